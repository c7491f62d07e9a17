//! What is counted as it happens: counters and histograms, and the process's own figures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::PREFIX;
use super::failures::pairs;
use crate::daemon::{DatasetReport, Happening};
use crate::domain::{FailureReason, RunOutcome, Stage};
use crate::ledger::store::Operation;
use crate::platform::CallResult;

/// One second to eight hours: a preflight takes seconds, a load hours.
const STAGE_BUCKETS_SECONDS: [f64; 12] =
    [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 14400.0, 28800.0];

/// A scan of an emulator takes a tenth of a second, one of ten years of tables minutes.
const SCAN_BUCKETS_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// One hour to a quarter of a year: from the first sight of a gap to its healing.
const HEAL_BUCKETS_SECONDS: [f64; 9] = [
    3600.0,
    14400.0,
    43200.0,
    86400.0,
    172_800.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
    7_776_000.0,
];

/// 25 ms to 30 s: what one attempt takes.
const REQUEST_BUCKETS_SECONDS: [f64; 8] = [0.025, 0.1, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Whether a scan was clear.
const SCAN_OUTCOMES: [&str; 2] = ["clear", "blind"];

/// What we do to the rule, and how AWS took it.
const TRIGGER_CHANGES: [(&str, &str); 4] =
    [("disable", "ok"), ("disable", "error"), ("enable", "ok"), ("enable", "error")];

/// Counters and histograms, and the datasets that they know.
#[derive(Debug)]
pub(super) struct Counted {
    registry: Registry,
    known: Mutex<BTreeSet<String>>,
    scans: IntCounterVec,
    scan_seconds: HistogramVec,
    missed_slots: IntCounterVec,
    runs: IntCounterVec,
    run_failures: IntCounterVec,
    stage_seconds: HistogramVec,
    heal_seconds: HistogramVec,
    trigger_changes: IntCounterVec,
    ledger_errors: IntCounterVec,
    aws_requests: IntCounterVec,
    aws_seconds: HistogramVec,
}

impl Counted {
    pub(super) fn new(operations: &[&str]) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(format!("{PREFIX}{name}"), help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let opts =
                HistogramOpts::new(format!("{PREFIX}{name}"), help).buckets(buckets.to_vec());
            let vec = HistogramVec::new(opts, labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let all = Self {
            known: Mutex::default(),
            scans: counter(
                "scans_total",
                "Looks at everything, by whether all of it could be seen (clear) or not (blind).",
                &["dataset", "outcome"],
            )?,
            scan_seconds: histogram(
                "scan_duration_seconds",
                "How long a look at everything took.",
                &["dataset"],
                &SCAN_BUCKETS_SECONDS,
            )?,
            missed_slots: counter(
                "schedule_missed_slots_total",
                "Slots of the schedule that passed without a scan; they are caught up by one.",
                &["dataset"],
            )?,
            runs: counter(
                "runs_total",
                "Runs that ended, by outcome; void ones yielded to a live run.",
                &["dataset", "outcome"],
            )?,
            run_failures: counter(
                "run_failures_total",
                "Runs that failed, by the stage in which they ended and the reason.",
                &["dataset", "stage", "reason"],
            )?,
            stage_seconds: histogram(
                "stage_duration_seconds",
                "How long a stage of a run took, however it ended.",
                &["dataset", "stage"],
                &STAGE_BUCKETS_SECONDS,
            )?,
            heal_seconds: histogram(
                "time_to_heal_seconds",
                "From the first sight of a gap to the look that saw its data.",
                &["dataset"],
                &HEAL_BUCKETS_SECONDS,
            )?,
            trigger_changes: counter(
                "trigger_changes_total",
                "Changes that we asked of the trigger rule, by action (disable, enable) and result.",
                &["dataset", "action", "result"],
            )?,
            ledger_errors: counter(
                "ledger_errors_total",
                "Failures of the ledger's store, by operation.",
                &["operation"],
            )?,
            aws_requests: counter(
                "aws_requests_total",
                "Attempts at requests to AWS, by result (ok, or the class of the error); a retry is another.",
                &["service", "operation", "result"],
            )?,
            aws_seconds: histogram(
                "aws_request_duration_seconds",
                "How long one attempt at a request to AWS took.",
                &["service", "operation"],
                &REQUEST_BUCKETS_SECONDS,
            )?,
            registry: registry.clone(),
        };
        all.start_at_zero(operations);
        Ok(all)
    }

    /// The label sets that do not depend on the configuration.
    fn start_at_zero(&self, operations: &[&str]) {
        for operation in Operation::ALL {
            self.ledger_errors.with_label_values(&[operation.label()]);
        }
        for (service, operation) in operations.iter().filter_map(|name| name.split_once(':')) {
            self.aws_seconds.with_label_values(&[service, operation]);
            for result in CallResult::labels() {
                self.aws_requests.with_label_values(&[service, operation, result]);
            }
        }
    }

    /// Makes every label set of a dataset, once.
    pub(super) fn know(&self, dataset: &str) {
        if !self.known().insert(dataset.to_owned()) {
            return;
        }
        self.scan_seconds.with_label_values(&[dataset]);
        self.missed_slots.with_label_values(&[dataset]);
        self.heal_seconds.with_label_values(&[dataset]);
        for outcome in SCAN_OUTCOMES {
            self.scans.with_label_values(&[dataset, outcome]);
        }
        for outcome in RunOutcome::ALL {
            self.runs.with_label_values(&[dataset, outcome.label()]);
        }
        for (stage, reason) in pairs() {
            self.run_failures.with_label_values(&[dataset, stage, reason]);
        }
        for stage in Stage::ALL {
            self.stage_seconds.with_label_values(&[dataset, stage.label()]);
        }
        for (action, result) in TRIGGER_CHANGES {
            self.trigger_changes.with_label_values(&[dataset, action, result]);
        }
    }

    /// Knows the datasets of the report, and forgets the series of all others. The report from
    /// before the first pass names none, and what was counted until then stays.
    pub(super) fn keep_only(&self, datasets: &BTreeMap<String, DatasetReport>) {
        if datasets.is_empty() {
            return;
        }
        for dataset in datasets.keys() {
            self.know(dataset);
        }
        let gone: Vec<String> = {
            let mut known = self.known();
            let gone = known.iter().filter(|name| !datasets.contains_key(*name)).cloned().collect();
            known.retain(|name| datasets.contains_key(name));
            gone
        };
        for dataset in &gone {
            self.forget(dataset);
        }
    }

    /// Removing a series that is not there is an error of no interest.
    fn forget(&self, dataset: &str) {
        let _ = self.scan_seconds.remove_label_values(&[dataset]);
        let _ = self.missed_slots.remove_label_values(&[dataset]);
        let _ = self.heal_seconds.remove_label_values(&[dataset]);
        for outcome in SCAN_OUTCOMES {
            let _ = self.scans.remove_label_values(&[dataset, outcome]);
        }
        for outcome in RunOutcome::ALL {
            let _ = self.runs.remove_label_values(&[dataset, outcome.label()]);
        }
        // All pairs, not only the likely ones: an unlikely one may have been counted.
        for stage in Stage::ALL {
            let _ = self.stage_seconds.remove_label_values(&[dataset, stage.label()]);
            for reason in FailureReason::ALL {
                let labels = [dataset, stage.label(), reason.label()];
                let _ = self.run_failures.remove_label_values(&labels);
            }
        }
        for (action, result) in TRIGGER_CHANGES {
            let _ = self.trigger_changes.remove_label_values(&[dataset, action, result]);
        }
    }

    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    pub(super) fn api_called(&self, service: &str, operation: &str, result: &str, seconds: f64) {
        self.aws_requests.with_label_values(&[service, operation, result]).inc();
        self.aws_seconds.with_label_values(&[service, operation]).observe(seconds);
    }

    pub(super) fn record(&self, happening: &Happening) {
        match happening {
            Happening::Scanned { dataset, clear, seconds } => {
                self.know(dataset);
                let outcome = if *clear { "clear" } else { "blind" };
                self.scans.with_label_values(&[dataset.as_str(), outcome]).inc();
                self.scan_seconds.with_label_values(&[dataset]).observe(*seconds);
            }
            Happening::SlotsMissed { dataset, slots } => {
                self.know(dataset);
                self.missed_slots.with_label_values(&[dataset]).inc_by(u64::from(*slots));
            }
            // The start is shown from the ledger, as `run_last_start_timestamp_seconds`.
            Happening::RunStarted { dataset } => self.know(dataset),
            Happening::StageEnded { dataset, stage, seconds } => {
                self.know(dataset);
                let labels = [dataset.as_str(), stage.label()];
                self.stage_seconds.with_label_values(&labels).observe(*seconds);
            }
            Happening::RunEnded { dataset, outcome, stage, reason, time_to_heal_seconds } => {
                self.know(dataset);
                self.runs.with_label_values(&[dataset.as_str(), outcome.label()]).inc();
                if let Some(reason) = reason {
                    let labels = [dataset.as_str(), stage.label(), reason.label()];
                    self.run_failures.with_label_values(&labels).inc();
                }
                if let Some(seconds) = time_to_heal_seconds {
                    self.heal_seconds.with_label_values(&[dataset]).observe(*seconds);
                }
            }
            Happening::TriggerChanged { dataset, action, ok } => {
                self.know(dataset);
                let result = if *ok { "ok" } else { "error" };
                self.trigger_changes.with_label_values(&[dataset.as_str(), action, result]).inc();
            }
            Happening::LedgerFailed { operation } => {
                self.ledger_errors.with_label_values(&[operation]).inc();
            }
        }
    }

    /// A panic elsewhere cannot leave a set of names half changed.
    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
