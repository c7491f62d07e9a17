//! What the daemon says of itself: the last report, and what happened on the way.
//!
//! Metrics, HTTP and CLI are views of these two; none of them calls AWS or the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use crate::config::{DatasetSettings, Mode};
use crate::domain::{FailureReason, PassOutcome, RunOutcome, Stage, TriggerState};
use crate::ledger::State;
use crate::plan::{Candidate, Census, Newest, Rest};

/// The state of everything after the last pass.
#[derive(Clone, Debug)]
pub struct Report {
    /// When the process began.
    pub started_at: DateTime<Utc>,
    /// When the loop last turned.
    pub last_tick_at: DateTime<Utc>,
    /// Whether this process acts; else it stands by.
    pub acting: bool,
    /// Why it does not act, or why the ledger cannot be used.
    pub not_acting: Option<String>,
    /// Why the ledger cannot be read or written right now; fits after "failed to".
    pub ledger_problem: Option<String>,
    /// The next slot of the schedule.
    pub next_scan_at: Option<DateTime<Utc>>,
    /// What the ledger adds up to.
    pub ledger: Arc<State>,
    /// By dataset.
    pub datasets: BTreeMap<String, DatasetReport>,
    /// The region of everything: for links into the console.
    pub region: String,
    /// The configuration's last reload.
    pub config: ConfigReport,
}

/// How the last reading of the configuration went.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigReport {
    /// Whether the newest file is the one in use.
    pub ok: bool,
    /// When a good one was read.
    pub read_at: DateTime<Utc>,
    /// What is wrong with the newest one.
    pub problem: Option<String>,
    /// Keys whose new value only a restart puts to use.
    pub needs_restart: Vec<&'static str>,
}

impl ConfigReport {
    /// A good one was read.
    #[must_use]
    pub fn read(at: DateTime<Utc>) -> Self {
        Self { ok: true, read_at: at, problem: None, needs_restart: Vec::new() }
    }

    /// What a person should know of it, if anything.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        if !self.ok {
            let problem = self.problem.as_deref().unwrap_or("no reason given");
            return Some(format!(
                "the newest configuration was refused, the old one is in use: {problem}"
            ));
        }
        let keys = self.needs_restart.join(", ");
        (!keys.is_empty()).then(|| format!("the new value of {keys} needs a restart"))
    }
}

/// The state of one dataset after its last pass.
#[derive(Clone, Debug)]
pub struct DatasetReport {
    /// Its configuration.
    pub settings: Arc<DatasetSettings>,
    /// What it may do.
    pub mode: Mode,
    /// For the alerts.
    pub lag_objective_dates: u32,
    /// The last census, as the ledger and the last runs have changed it since.
    pub census: Option<Arc<Census>>,
    /// The healable dates, in order.
    pub queue: Vec<Candidate>,
    /// Why nothing is being started.
    pub rest: Option<Rest>,
    /// The trigger.
    pub trigger: TriggerState,
    /// Since when the rule has been seen disabled, whoever did it.
    pub trigger_disabled_since: Option<DateTime<Utc>>,
    /// When the next live dump is expected.
    pub next_arrival_at: Option<DateTime<Utc>>,
    /// The newest dump's date.
    pub latest_dump: Option<NaiveDate>,
    /// The last pass.
    pub last_pass: Option<(DateTime<Utc>, PassOutcome, String)>,
    /// The last clear scan.
    pub last_scan_at: Option<DateTime<Utc>>,
    /// How far the stage in progress is, in percent, when the service says.
    pub stage_percent: Option<u8>,
    /// The end of the pause.
    pub paused_until: Option<DateTime<Utc>>,
    /// Whether `stop_after` stopped it.
    pub stopped: bool,
    /// The newest date that is due, and what became of it.
    pub newest: Option<Newest>,
    /// A live dump landed and fired nothing: until when its live run can still be started.
    pub rescue_until: Option<DateTime<Utc>>,
    /// How long each stage may take.
    pub stage_deadlines: BTreeMap<Stage, Duration>,
    /// What an operator's commands have to name.
    pub names: Names,
}

/// What an operator's commands have to name, from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The trigger's rule; empty without a trigger.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// Where the dumps land, as a URL.
    pub landing: String,
}

/// One finding of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, e.g. `liberator: cluster dataplatform-prod-workers`.
    pub subject: String,
    /// What came of it.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
    /// What a person could do.
    pub hint: Option<String>,
}

impl Finding {
    /// Whether gapmend cannot do its work because of it.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.verdict == Verdict::Wrong
    }
}

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Right,
    /// It works, but somebody should know.
    Doubtful,
    /// It does not work.
    Wrong,
}

impl Verdict {
    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Right => "ok",
            Self::Doubtful => "warning",
            Self::Wrong => "error",
        }
    }
}

/// Something that happened once and is counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A scan ended.
    Scanned {
        /// The dataset.
        dataset: String,
        /// Whether it was clear.
        clear: bool,
        /// How long it took.
        seconds: f64,
    },
    /// Slots of the schedule passed without a scan.
    SlotsMissed {
        /// The dataset.
        dataset: String,
        /// How many.
        slots: u32,
    },
    /// A run began.
    RunStarted {
        /// The dataset.
        dataset: String,
    },
    /// A stage ended, well or badly.
    StageEnded {
        /// The dataset.
        dataset: String,
        /// Which.
        stage: Stage,
        /// How long it took.
        seconds: f64,
    },
    /// A run ended.
    RunEnded {
        /// The dataset.
        dataset: String,
        /// How.
        outcome: RunOutcome,
        /// Where.
        stage: Stage,
        /// Why it failed.
        reason: Option<FailureReason>,
        /// Seconds from the first sight of the gap to its healing.
        time_to_heal_seconds: Option<f64>,
    },
    /// The rule was enabled or disabled by us.
    TriggerChanged {
        /// The dataset.
        dataset: String,
        /// `disable` or `enable`.
        action: &'static str,
        /// Whether AWS took it.
        ok: bool,
    },
    /// The ledger failed.
    LedgerFailed {
        /// The store's operation.
        operation: &'static str,
    },
}

/// Counts what happens; the metrics implement it.
pub trait Recorder: Send + Sync {
    /// Something happened.
    fn record(&self, happening: &Happening);
}

/// Counts nothing: for one-shot commands and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _happening: &Happening) {}
}
