//! What is shown of the last report: gauges, and the counters that the ledger keeps.
//!
//! Three tables, one line a metric: its name, its help, and the function that reads it from
//! the report. Everything is made anew for each scrape and then dropped.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::{PREFIX, REVISION, VERSION};
use crate::config::Mode;
use crate::daemon::{DatasetReport, Names, Report};
use crate::domain::{DateStatus, Flag, RunOutcome, Stage, TriggerState};
use crate::ledger::{DatasetState, Hold, Run, ScanRecord};
use crate::plan::{Census, Newest, Rest};

/// What every date's metric means by its instant.
macro_rules! end_of_day {
    ($what:literal) => {
        concat!($what, ", as the instant at which that date ends in UTC; 0 for never.")
    };
}

/// One dataset, as the report has it.
struct View<'a> {
    name: &'a str,
    report: &'a Report,
    dataset: &'a DatasetReport,
}

type Whole = (&'static str, &'static str, fn(&Report) -> i64);
type Single = (&'static str, &'static str, fn(&View<'_>) -> i64);
type Several =
    (&'static str, &'static str, &'static str, fn(&View<'_>) -> Vec<(&'static str, i64)>);
type Kept = (&'static str, &'static str, fn(&DatasetState) -> u32);

const OF_THE_PROCESS: [Whole; 6] = [
    (
        "loop_last_tick_timestamp_seconds",
        "When the daemon's loop last turned; it turns at least once a minute.",
        |report| seconds(report.last_tick_at),
    ),
    (
        "schedule_next_scan_timestamp_seconds",
        "The next slot of the schedule; 0 for none.",
        |report| maybe_seconds(report.next_scan_at),
    ),
    (
        "acting",
        "1 while this process may start and change things, 0 while it stands by.",
        |report| i64::from(report.acting),
    ),
    ("ledger_entries", "Entries in the ledger.", |report| whole(report.ledger.seq)),
    (
        "config_last_reload_successful",
        "1 when the newest configuration is the one in use, 0 when it was refused.",
        |report| i64::from(report.config.ok),
    ),
    (
        "config_last_reload_success_timestamp_seconds",
        "When a good configuration was last read.",
        |report| seconds(report.config.read_at),
    ),
];

const OF_A_DATASET: [Single; 25] = [
    (
        "whole_through_timestamp_seconds",
        end_of_day!("The last date up to which every expected date is available or waived"),
        |view| match (&view.dataset.census, view.recorded_scan()) {
            (None, Some(scan)) => scan.whole_through.map_or(0, day_end_seconds),
            _ => view.of_census(|census| census.whole_through),
        },
    ),
    ("latest_available_timestamp_seconds", end_of_day!("The newest available date"), |view| {
        view.of_census(|census| census.latest_available)
    }),
    ("oldest_gap_timestamp_seconds", end_of_day!("The oldest gap"), |view| {
        view.of_census(|census| census.oldest_gap)
    }),
    ("latest_due_timestamp_seconds", end_of_day!("The newest expected date that is due"), |view| {
        view.of_census(|census| census.latest_due)
    }),
    ("latest_dump_timestamp_seconds", end_of_day!("The newest dump's date"), |view| {
        view.dataset.latest_dump.map_or(0, day_end_seconds)
    }),
    ("dates_behind", "Expected and due dates after the watermark.", |view| {
        view.dataset.census.as_ref().map_or(0, |census| i64::from(census.dates_behind))
    }),
    (
        "lag_objective_dates",
        "How many expected dates the watermark may be behind before somebody is told.",
        |view| i64::from(view.dataset.lag_objective_dates),
    ),
    (
        "latest_due_ready_by_timestamp_seconds",
        "When the newest due date's data should be whole; 0 when no date is due.",
        |view| view.of_newest(|newest| seconds(newest.ready_by)),
    ),
    (
        "latest_due_dump_arrived",
        "1 when the newest due date's dump is there, 0 when it is not, or no date is due.",
        |view| view.of_newest(|newest| i64::from(newest.arrived)),
    ),
    (
        "latest_due_whole",
        "1 when the newest due date's data is there or waived, 0 when it is not, or no date is due.",
        |view| view.of_newest(|newest| i64::from(newest.whole)),
    ),
    (
        "next_arrival_timestamp_seconds",
        "When the live dump that is awaited is expected, up to two hours ago while the rule is disabled; 0 when that is not known.",
        |view| maybe_seconds(view.dataset.next_arrival_at),
    ),
    (
        "live_dump_rescue_deadline_timestamp_seconds",
        "A live dump landed and fired nothing: until when its live run can still be started; 0 for none.",
        |view| maybe_seconds(view.dataset.rescue_until),
    ),
    ("queue_depth", "Dates that can be healed and wait for their run.", |view| {
        count(view.dataset.queue.len())
    }),
    (
        "queue_oldest_enqueued_timestamp_seconds",
        "Since when the longest waiting date stands in the queue; 0 when the queue is empty.",
        |view| maybe_seconds(view.oldest_enqueued()),
    ),
    ("run_active", "1 while a run is in progress.", |view| i64::from(view.active_run().is_some())),
    (
        "run_stage_since_timestamp_seconds",
        "Since when the run in progress is in its stage; 0 when none is.",
        |view| maybe_seconds(view.active_run().map(|run| run.stage_since)),
    ),
    ("run_last_start_timestamp_seconds", "When a run last began; 0 for never.", |view| {
        maybe_seconds(view.runs().next_back().map(|run| run.started_at))
    }),
    (
        "run_last_completion_timestamp_seconds",
        "When a run last ended, however; 0 for never.",
        |view| maybe_seconds(view.last_end(|_| true)),
    ),
    (
        "run_last_success_timestamp_seconds",
        "When a run last ended with its data seen; 0 for never.",
        |view| maybe_seconds(view.last_end(|outcome| outcome == RunOutcome::Succeeded)),
    ),
    (
        "trigger_held_since_timestamp_seconds",
        "Since when we hold the trigger; 0 when we do not.",
        |view| maybe_seconds(view.hold().map(|hold| hold.begun_at)),
    ),
    (
        "trigger_held_until_timestamp_seconds",
        "When our hold of the trigger ends at the latest; 0 when we do not hold it.",
        |view| maybe_seconds(view.hold().map(|hold| hold.until)),
    ),
    (
        "trigger_disabled_since_timestamp_seconds",
        "Since when the rule has been seen disabled, whoever did it; 0 while it is enabled.",
        |view| maybe_seconds(view.dataset.trigger_disabled_since),
    ),
    (
        "scan_last_success_timestamp_seconds",
        "When a look last saw everything; 0 for never.",
        |view| maybe_seconds(view.dataset.last_scan_at),
    ),
    ("paused_until_timestamp_seconds", "The end of the operator's pause; 0 for none.", |view| {
        maybe_seconds(view.dataset.paused_until)
    }),
    (
        "backfill_stopped",
        "1 after stop_after failed runs in a row, until an operator resumes.",
        |view| i64::from(view.dataset.stopped),
    ),
];

const ONE_OF_SEVERAL: [Several; 7] = [
    ("dates", "Dates of the window by status; they sum to the window.", "status", |view| {
        view.dates_by_status()
    }),
    ("dates_flagged", "Dates with a remark beside their status.", "flag", |view| {
        view.dates_by_flag()
    }),
    ("run_stage", "1 for the stage that the run in progress is in.", "stage", |view| {
        let current = view.active_run().map(|run| run.stage);
        Stage::ALL.map(|stage| (stage.label(), i64::from(current == Some(stage)))).to_vec()
    }),
    (
        "stage_deadline_seconds",
        "How long a stage of a run may take, by the configuration.",
        "stage",
        |view| {
            let deadlines = &view.dataset.stage_deadlines;
            let of = |stage| deadlines.get(&stage).map_or(0, |limit| whole(limit.as_secs()));
            Stage::ALL.map(|stage| (stage.label(), of(stage))).to_vec()
        },
    ),
    ("resting", "1 for the reason for which nothing is being started.", "reason", |view| {
        let current = view.dataset.rest.as_ref().map(Rest::label);
        Rest::LABELS.map(|label| (label, i64::from(current == Some(label)))).to_vec()
    }),
    ("trigger_state", "1 for the state of the trigger rule.", "state", |view| {
        let current = view.dataset.trigger;
        TriggerState::ALL.map(|state| (state.label(), i64::from(current == state))).to_vec()
    }),
    ("dataset_mode", "1 for what the dataset may do.", "mode", |view| {
        let current = view.dataset.mode;
        Mode::ALL.map(|mode| (mode.label(), i64::from(current == mode))).to_vec()
    }),
];

/// Kept by the ledger and not by this process: they survive a restart.
const COUNTED_BY_THE_LEDGER: [Kept; 2] = [
    (
        "overlapping_loads_total",
        "Times that two loads were seen alive together: the data may be mixed.",
        |state| state.overlaps,
    ),
    (
        "live_dumps_missed_total",
        "Live dumps that landed while we held the trigger and could not be driven that day.",
        |state| state.live_dumps_missed,
    ),
];

/// The gauges of the report.
pub(super) fn show(report: &Report) -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let views: Vec<View<'_>> =
        report.datasets.iter().map(|(name, dataset)| View { name, report, dataset }).collect();
    let build =
        gauge(&registry, "build_info", "1; which gapmend this is.", &["version", "revision"])?;
    build.with_label_values(&[VERSION, REVISION]).set(1);
    show_names(&registry, &views)?;
    for (name, help, read) in OF_THE_PROCESS {
        gauge(&registry, name, help, &[])?.with_label_values::<&str>(&[]).set(read(report));
    }
    for (name, help, read) in OF_A_DATASET {
        let vec = gauge(&registry, name, help, &["dataset"])?;
        for view in &views {
            vec.with_label_values(&[view.name]).set(read(view));
        }
    }
    for (name, help, label, read) in ONE_OF_SEVERAL {
        let vec = gauge(&registry, name, help, &["dataset", label])?;
        for view in &views {
            for (value, number) in read(view) {
                vec.with_label_values(&[view.name, value]).set(number);
            }
        }
    }
    for (name, help, read) in COUNTED_BY_THE_LEDGER {
        let vec = IntCounterVec::new(Opts::new(format!("{PREFIX}{name}"), help), &["dataset"])?;
        registry.register(Box::new(vec.clone()))?;
        for view in &views {
            let number = view.state().map_or(0, read);
            vec.with_label_values(&[view.name]).inc_by(u64::from(number));
        }
    }
    Ok(registry)
}

/// Names for the texts of alerts, joined to other series by `dataset`.
fn show_names(registry: &Registry, views: &[View<'_>]) -> prometheus::Result<()> {
    let help = "1; what the commands of an operator have to name.";
    let info = gauge(registry, "dataset_info", help, &["dataset", "rule", "event_bus", "landing"])?;
    for view in views {
        let Names { rule, event_bus, landing } = &view.dataset.names;
        info.with_label_values(&[view.name, rule, event_bus, landing]).set(1);
    }
    Ok(())
}

fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    let vec = IntGaugeVec::new(Opts::new(format!("{PREFIX}{name}"), help), labels)?;
    registry.register(Box::new(vec.clone()))?;
    Ok(vec)
}

impl<'a> View<'a> {
    fn state(&self) -> Option<&'a DatasetState> {
        self.report.ledger.datasets.get(self.name)
    }

    /// The last complete scan, for the time before this process has made its own.
    fn recorded_scan(&self) -> Option<&'a ScanRecord> {
        self.state()?.last_scan.as_ref().map(|(_, record)| record)
    }

    fn runs(&self) -> impl DoubleEndedIterator<Item = &'a Run> + use<'a> {
        let name = self.name;
        self.report.ledger.runs.iter().filter(move |run| run.dataset == name)
    }

    fn active_run(&self) -> Option<&'a Run> {
        self.report.ledger.active_run().filter(|run| run.dataset == self.name)
    }

    /// The hold that keeps the rule disabled. It outlives the release until its sweep; the rule
    /// is enabled by then.
    fn hold(&self) -> Option<&'a Hold> {
        self.report.ledger.hold_of(self.name).filter(|hold| hold.keeps_rule_disabled())
    }

    fn of_newest(&self, read: fn(&Newest) -> i64) -> i64 {
        self.dataset.newest.as_ref().map_or(0, read)
    }

    fn last_end(&self, counts: fn(RunOutcome) -> bool) -> Option<DateTime<Utc>> {
        self.runs()
            .filter_map(|run| run.end.as_ref())
            .rfind(|end| counts(end.outcome))
            .map(|end| end.at)
    }

    fn oldest_enqueued(&self) -> Option<DateTime<Utc>> {
        let enqueued = &self.state()?.enqueued;
        self.dataset
            .queue
            .iter()
            .filter_map(|candidate| enqueued.get(&candidate.date))
            .min()
            .copied()
    }

    fn of_census(&self, read: fn(&Census) -> Option<NaiveDate>) -> i64 {
        self.dataset.census.as_deref().and_then(read).map_or(0, day_end_seconds)
    }

    fn dates_by_status(&self) -> Vec<(&'static str, i64)> {
        if let (None, Some(scan)) = (&self.dataset.census, self.recorded_scan()) {
            let number = |status: DateStatus| scan.counts.get(status.label()).copied().unwrap_or(0);
            return DateStatus::ALL
                .map(|status| (status.label(), i64::from(number(status))))
                .to_vec();
        }
        let window = || {
            let census = self.dataset.census.as_deref();
            census.into_iter().flat_map(|census| &census.dates).filter(|verdict| verdict.in_window)
        };
        let number = |status| count(window().filter(|verdict| verdict.status == status).count());
        DateStatus::ALL.map(|status| (status.label(), number(status))).to_vec()
    }

    fn dates_by_flag(&self) -> Vec<(&'static str, i64)> {
        let dates = || self.dataset.census.as_deref().into_iter().flat_map(|census| &census.dates);
        let number = |flag| count(dates().filter(|verdict| verdict.flags.contains(&flag)).count());
        Flag::ALL.map(|flag| (flag.label(), number(flag))).to_vec()
    }
}

fn seconds(at: DateTime<Utc>) -> i64 {
    at.timestamp()
}

fn maybe_seconds(at: Option<DateTime<Utc>>) -> i64 {
    at.map_or(0, seconds)
}

/// The instant at which a date ends in UTC.
fn day_end_seconds(date: NaiveDate) -> i64 {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    next.and_time(NaiveTime::MIN).and_utc().timestamp()
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
