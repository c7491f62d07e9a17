//! The line to AWS: every request goes through here, one attempt at a time.
//!
//! ```text
//!   ask ──► permit ──► one attempt ──► observer ──► answer
//!    ▲                                    │
//!    └──── wait, without the permit ◄── may it be sent again?
//! ```
//!
//! The SDK's own retries are off, for they know neither which calls are safe to repeat nor our
//! clock, and they would hold a permit while they wait. This never repeats a request that may
//! have been carried out, unless the caller says that a repetition does nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::{Again, Failure};
use crate::domain::ErrorClass;
use crate::platform::{Answer, CallObserver, CallResult, Clock};

/// Eight attempts see a call through a failure rate of 30% all but once in 15,000 times.
const ATTEMPTS: u32 = 8;

/// Credentials that could not be fetched (their providers try again by themselves) and a clock
/// that was wrong (the SDK corrects it) are worth another try, but not many.
const ATTEMPTS_WHEN_DENIED: u32 = 3;

/// A service that slows us down has no less to say: it is given the time, up to [`CALL_LIMIT`].
const ATTEMPTS_WHEN_THROTTLED: u32 = 14;

/// The first wait; it doubles. Waits add up to at most 25 s.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// No single wait is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(20);

/// No further attempt begins this long after the first one began.
const CALL_LIMIT: Duration = Duration::from_mins(2);

/// Which requests may be sent again after which failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// A read: again after any passing failure, while the retry allowance lasts.
    Read,
    /// An effect that a repetition does not double (a token, a state, a create-if-absent):
    /// again after any passing failure, and never short of allowance, for holds are released so.
    Safe,
    /// The same on something that others change too: a conflict says that somebody else is at it,
    /// so the caller looks again before it asks again.
    Alone,
    /// An effect that a repetition would double: again only when nothing was done.
    Once,
}

impl Repeat {
    fn allows(self, again: Again) -> bool {
        match again {
            Again::Never => false,
            Again::NothingDone => true,
            Again::MayBeDone => self != Self::Once,
        }
    }
}

/// The one way to AWS, shared by all services.
pub(super) struct Line {
    permits: Semaphore,
    allowance: Allowance,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CallObserver>,
}

impl Line {
    /// A line that carries that many requests at once.
    pub(super) fn new(
        max_in_flight: usize,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn CallObserver>,
    ) -> Self {
        let permits = Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        Self { permits, allowance: Allowance::default(), clock, observer }
    }

    /// A read.
    pub(super) async fn read<T, E, F>(
        &self,
        operation: &'static str,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Answer<T>
    where
        T: Send,
        E: Into<Failure> + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        self.ask(operation, Repeat::Read, attempt).await
    }

    /// Asks until there is an answer, or asking again would be wrong or useless.
    pub(super) async fn ask<T, E, F>(
        &self,
        operation: &'static str,
        repeat: Repeat,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Answer<T>
    where
        T: Send,
        E: Into<Failure> + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        let mut attempts = 0;
        let mut first_began = None;
        loop {
            attempts += 1;
            let permit = self.permits.acquire().await.ok();
            let began = Instant::now();
            let first_began = *first_began.get_or_insert(began);
            let answer = attempt().await.map_err(Into::into);
            drop(permit);
            self.observe(operation, &answer, began.elapsed());
            let failure = match answer {
                Ok(value) => {
                    self.allowance.refund(service(operation).0, attempts);
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            let wait = backoff(attempts);
            let in_time = first_began.elapsed() + wait < CALL_LIMIT;
            if attempts >= attempts_at(failure.class)
                || !in_time
                || !self.may_ask_again(operation, repeat, &failure)
            {
                return Err(failure.of(operation));
            }
            tracing::debug!(operation, attempts, class = failure.class.label(), "asking again");
            self.clock.sleep(wait).await;
        }
    }

    fn may_ask_again(&self, operation: &'static str, repeat: Repeat, failure: &Failure) -> bool {
        let alone = repeat == Repeat::Alone && failure.class == ErrorClass::Conflict;
        !alone
            && repeat.allows(failure.again)
            && (repeat != Repeat::Read || self.allowance.take(service(operation).0, failure.class))
    }

    fn observe<T>(&self, operation: &'static str, answer: &Result<T, Failure>, took: Duration) {
        let result = match answer {
            Ok(_) => CallResult::Ok,
            Err(failure) => CallResult::Failed(failure.class),
        };
        let (service, name) = service(operation);
        self.observer.called(service, name, result, took.as_secs_f64());
    }

    /// The wall clock of whoever uses this line.
    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

fn attempts_at(class: ErrorClass) -> u32 {
    match class {
        ErrorClass::Denied => ATTEMPTS_WHEN_DENIED,
        ErrorClass::Throttled => ATTEMPTS_WHEN_THROTTLED,
        ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Invalid
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Transport => ATTEMPTS,
    }
}

/// `glue` and `GetTables` of `glue:GetTables`.
fn service(operation: &'static str) -> (&'static str, &'static str) {
    operation.split_once(':').unwrap_or(("aws", operation))
}

/// Doubles from attempt to attempt; half of it is chance, so that many calls do not return at once.
fn backoff(attempts: u32) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1_u32 << (attempts - 1).min(16));
    let longest = doubled.min(LONGEST_BACKOFF);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// How many more reads may be repeated, for each service: one that is down is not asked eight
/// times for everything, and takes nothing from the others. Successes fill it up again, so
/// single failures never drain it.
#[derive(Default)]
struct Allowance {
    spent: Mutex<BTreeMap<&'static str, u32>>,
}

impl Allowance {
    const FULL: u32 = 500;
    const COST: u32 = 5;
    /// An attempt that ran into its time limit has cost us more than a quick refusal.
    const COST_OF_TIMEOUT: u32 = 10;
    /// A service that slows us down is well, and our waits are what it asks for.
    const COST_OF_THROTTLING: u32 = 1;

    fn take(&self, service: &'static str, class: ErrorClass) -> bool {
        let cost = match class {
            ErrorClass::Timeout => Self::COST_OF_TIMEOUT,
            ErrorClass::Throttled => Self::COST_OF_THROTTLING,
            ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Conflict
            | ErrorClass::Invalid
            | ErrorClass::Server
            | ErrorClass::Transport => Self::COST,
        };
        let mut services = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = services.entry(service).or_default();
        let is_left = *spent + cost <= Self::FULL;
        if is_left {
            *spent += cost;
        }
        is_left
    }

    /// A success at once adds one; a success after repetitions gives the last one's cost back.
    fn refund(&self, service: &'static str, attempts: u32) {
        let amount = if attempts > 1 { Self::COST } else { 1 };
        let mut services = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = services.entry(service).or_default();
        *spent = spent.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::canned::StillClock;
    use super::*;
    use crate::platform::Unobserved;

    #[tokio::test]
    async fn no_more_requests_are_under_way_than_allowed() {
        let line = Line::new(3, Arc::new(StillClock::default()), Arc::new(Unobserved));
        let (under_way, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let ask = || {
            line.read("glue:GetTables", || async {
                let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok::<(), Failure>(())
            })
        };
        let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn backoff_doubles_and_stays_under_its_limit() {
        for attempts in 1..=40 {
            let longest = Duration::from_millis(200 << (attempts - 1).min(16)).min(LONGEST_BACKOFF);
            let wait = backoff(attempts);
            assert!(wait <= longest && wait >= longest / 2, "attempt {attempts}: {wait:?}");
        }
    }

    #[test]
    fn effects_that_double_are_repeated_only_when_nothing_was_done() {
        assert!(Repeat::Once.allows(Again::NothingDone));
        assert!(!Repeat::Once.allows(Again::MayBeDone));
        assert!(Repeat::Safe.allows(Again::MayBeDone));
        assert!(!Repeat::Read.allows(Again::Never));
    }

    #[test]
    fn an_allowance_ends_and_successes_fill_it_up_again() {
        let allowance = Allowance::default();
        let taken = (0..1_000).filter(|_| allowance.take("glue", ErrorClass::Server)).count();
        assert_eq!(taken, 100);
        assert!(allowance.take("ecs", ErrorClass::Server), "another service has its own");
        for _ in 0..5 {
            allowance.refund("glue", 1);
        }
        assert!(allowance.take("glue", ErrorClass::Server));
        assert!(!allowance.take("glue", ErrorClass::Server));
    }

    #[test]
    fn a_third_of_failures_never_drains_the_allowance() {
        let allowance = Allowance::default();
        let mut random = fastrand::Rng::with_seed(42);
        for _ in 0..20_000 {
            let mut attempts = 1;
            while random.f64() < 0.3 && attempts < ATTEMPTS {
                assert!(allowance.take("glue", ErrorClass::Server));
                attempts += 1;
            }
            allowance.refund("glue", attempts);
        }
    }
}
