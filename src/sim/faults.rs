//! Faults: what goes wrong between a caller and a service, decided in one place for both doors.
//!
//! A door asks [`Faults::next`] once per request, with the operation's name. A fault comes before
//! the effect (nothing was done) or after it (everything was done and the answer is lost).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The service slows us down.
    Throttle,
    /// Not permitted.
    Denied,
    /// Somebody else is changing the same thing just then.
    Concurrent,
    /// A 500.
    Server,
    /// No answer ever comes.
    Timeout,
    /// The connection is closed without an answer.
    Dropped,
}

/// Before the effect or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done.
    Before,
    /// It was done, and the answer is lost.
    After,
}

/// One thing going wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How.
    pub kind: FaultKind,
    /// When.
    pub moment: Moment,
}

/// Which requests a rule is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultWhen {
    /// The n-th call of the operation since the world began, counted from 1.
    Call(u64),
    /// Calls `first..=last`, counted from 1.
    Calls(u64, u64),
    /// So many of a thousand calls, drawn from the world's seed.
    PerMille(u16),
    /// Every call.
    Always,
}

/// A rule: which requests go wrong, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// `service:Operation`, e.g. `ecs:RunTask`; `ecs:*` and `*` for many.
    pub operation: String,
    /// Which calls.
    pub when: FaultWhen,
    /// What happens to them.
    pub fault: Fault,
}

/// A request that reached the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When.
    pub at: DateTime<Utc>,
    /// `service:Operation`.
    pub operation: &'static str,
    /// What it was about: a key, a table, an ARN.
    pub target: String,
    /// What went wrong with it, when something was made to.
    pub fault: Option<Fault>,
}

/// The fault plan, the counters and the log of calls.
#[derive(Clone, Debug)]
pub struct Faults {
    rules: Vec<FaultRule>,
    counts: BTreeMap<&'static str, u64>,
    rng: fastrand::Rng,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), counts: BTreeMap::new(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// Adds a rule; the first that fits decides.
    pub fn add(&mut self, operation: &str, when: FaultWhen, kind: FaultKind, moment: Moment) {
        let fault = Fault { kind, moment };
        self.rules.push(FaultRule { operation: operation.to_owned(), when, fault });
    }

    /// Takes every rule away; the counters stay.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts a call and says what goes wrong with it.
    pub fn next(&mut self, operation: &'static str) -> Option<Fault> {
        let count = self.counts.entry(operation).or_default();
        *count += 1;
        let count = *count;
        let rng = &mut self.rng;
        self.rules
            .iter()
            .filter(|rule| names(&rule.operation, operation))
            .find(|rule| fits(rule.when, count, rng))
            .map(|rule| rule.fault)
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> u64 {
        self.counts.get(operation).copied().unwrap_or(0)
    }
}

fn names(pattern: &str, operation: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => operation.starts_with(prefix),
        None => pattern == operation,
    }
}

fn fits(when: FaultWhen, count: u64, rng: &mut fastrand::Rng) -> bool {
    match when {
        FaultWhen::Call(number) => number == count,
        FaultWhen::Calls(first, last) => (first..=last).contains(&count),
        FaultWhen::PerMille(share) => rng.u16(0..1000) < share,
        FaultWhen::Always => true,
    }
}
