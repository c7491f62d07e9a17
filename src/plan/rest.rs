//! Why nothing is done: inaction is typed too.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::domain::{Blindness, PassOutcome, Stage};

/// The reason for doing nothing now.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// No date is healable.
    NothingToDo,
    /// Something could not be seen: never taken for "is not there".
    Blind(Vec<Blindness>),
    /// Mode `observe`.
    Observing,
    /// An operator paused the dataset.
    Paused {
        /// The end of the pause.
        until: DateTime<Utc>,
    },
    /// Too many failed runs in a row.
    Stopped {
        /// How many.
        failures: u32,
    },
    /// A day on which nothing starts.
    Frozen {
        /// The entry of the configuration.
        entry: String,
        /// Its reason.
        reason: String,
        /// The end of the day.
        until: DateTime<Utc>,
    },
    /// Outside `backfill.hours`.
    OutsideHours {
        /// When they begin.
        until: DateTime<Utc>,
    },
    /// As many runs as a night may have.
    NightSpent {
        /// How many.
        runs: u32,
        /// The next slot.
        until: DateTime<Utc>,
    },
    /// A failed attempt waits for its next try.
    BackingOff {
        /// The earliest next try.
        until: DateTime<Utc>,
    },
    /// Somebody else disabled the rule: an operator is at work.
    DisabledByOther {
        /// The rule.
        rule: String,
    },
    /// The rule or its target is not one that we know how to work with.
    OddTrigger {
        /// What is odd.
        why: String,
    },
    /// A task of the family that is not ours is alive (H1).
    LiveTask {
        /// Which.
        task: String,
    },
    /// A snapshot has no export yet, or is not whole (H2).
    UnsettledSnapshot {
        /// Its id.
        snapshot: String,
    },
    /// A backdated load's snapshot was never exported, and nobody will ask for it by itself any
    /// more: a load would delete it.
    SnapshotNeedsExport {
        /// Its id.
        snapshot: String,
        /// Its ARN, for the call that asks for the export.
        arn: String,
    },
    /// An export is under way (H2).
    ExportRunning {
        /// Its id.
        export: String,
    },
    /// A run of a workflow that shares tables with ours (H4, H6).
    WorkflowRunning {
        /// The workflow.
        workflow: String,
        /// The run.
        run: String,
    },
    /// The load would not be through before the live dump (H3).
    LiveDumpDue {
        /// When the live dump is expected.
        arrival: DateTime<Utc>,
    },
    /// The trigger is held: what comes next waits for it.
    Holding {
        /// Its end at the latest.
        until: DateTime<Utc>,
        /// What it waits for.
        detail: String,
    },
    /// The trigger would have to be held, and may not be.
    HoldRefused {
        /// Why.
        why: String,
    },
    /// There is one run at a time over all datasets.
    OtherDataset {
        /// Whose.
        dataset: String,
    },
    /// Our run is under way.
    InProgress {
        /// The run.
        run: String,
        /// Its stage.
        stage: Stage,
        /// What it waits for.
        detail: String,
    },
}

impl Rest {
    /// Every label, for metrics.
    pub const LABELS: [&'static str; 21] = [
        "nothing_to_do",
        "blind",
        "observing",
        "paused",
        "stopped",
        "frozen",
        "outside_hours",
        "night_spent",
        "backing_off",
        "disabled_by_other",
        "odd_trigger",
        "live_task",
        "unsettled_snapshot",
        "snapshot_needs_export",
        "export_running",
        "workflow_running",
        "live_dump_due",
        "holding",
        "hold_refused",
        "other_dataset",
        "in_progress",
    ];

    /// A short name for JSON and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NothingToDo => "nothing_to_do",
            Self::Blind(_) => "blind",
            Self::Observing => "observing",
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::Frozen { .. } => "frozen",
            Self::OutsideHours { .. } => "outside_hours",
            Self::NightSpent { .. } => "night_spent",
            Self::BackingOff { .. } => "backing_off",
            Self::DisabledByOther { .. } => "disabled_by_other",
            Self::OddTrigger { .. } => "odd_trigger",
            Self::LiveTask { .. } => "live_task",
            Self::UnsettledSnapshot { .. } => "unsettled_snapshot",
            Self::SnapshotNeedsExport { .. } => "snapshot_needs_export",
            Self::ExportRunning { .. } => "export_running",
            Self::WorkflowRunning { .. } => "workflow_running",
            Self::LiveDumpDue { .. } => "live_dump_due",
            Self::Holding { .. } => "holding",
            Self::HoldRefused { .. } => "hold_refused",
            Self::OtherDataset { .. } => "other_dataset",
            Self::InProgress { .. } => "in_progress",
        }
    }

    /// The outcome of a pass that ends with it.
    #[must_use]
    pub fn outcome(&self) -> PassOutcome {
        match self {
            Self::NothingToDo => PassOutcome::NothingToDo,
            Self::Blind(_) => PassOutcome::Error,
            Self::Observing
            | Self::Paused { .. }
            | Self::Stopped { .. }
            | Self::Frozen { .. }
            | Self::OutsideHours { .. }
            | Self::NightSpent { .. }
            | Self::DisabledByOther { .. }
            | Self::HoldRefused { .. }
            | Self::SnapshotNeedsExport { .. }
            | Self::OddTrigger { .. } => PassOutcome::Skipped,
            Self::BackingOff { .. }
            | Self::LiveTask { .. }
            | Self::UnsettledSnapshot { .. }
            | Self::ExportRunning { .. }
            | Self::WorkflowRunning { .. }
            | Self::LiveDumpDue { .. }
            | Self::Holding { .. }
            | Self::OtherDataset { .. }
            | Self::InProgress { .. } => PassOutcome::Waiting,
        }
    }

    /// Whether it ends by itself within the night, so that a `heal` in the foreground waits for it.
    #[must_use]
    pub fn passes_by_itself(&self) -> bool {
        self.outcome() == PassOutcome::Waiting
    }

    /// When it ends, if that is known.
    #[must_use]
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Paused { until }
            | Self::Frozen { until, .. }
            | Self::OutsideHours { until }
            | Self::NightSpent { until, .. }
            | Self::BackingOff { until }
            | Self::Holding { until, .. } => Some(*until),
            Self::LiveDumpDue { arrival } => Some(*arrival),
            Self::NothingToDo
            | Self::Blind(_)
            | Self::Observing
            | Self::Stopped { .. }
            | Self::DisabledByOther { .. }
            | Self::OddTrigger { .. }
            | Self::LiveTask { .. }
            | Self::UnsettledSnapshot { .. }
            | Self::SnapshotNeedsExport { .. }
            | Self::ExportRunning { .. }
            | Self::WorkflowRunning { .. }
            | Self::HoldRefused { .. }
            | Self::OtherDataset { .. }
            | Self::InProgress { .. } => None,
        }
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = "%Y-%m-%d %H:%M UTC";
        match self {
            Self::NothingToDo => write!(f, "no date is healable"),
            Self::Blind(causes) => {
                let words: Vec<String> = causes.iter().take(3).map(ToString::to_string).collect();
                write!(f, "{}", words.join("; "))?;
                if causes.len() > 3 {
                    write!(f, "; and {} more", causes.len() - 3)?;
                }
                Ok(())
            }
            Self::Observing => write!(f, "mode is observe: nothing is started"),
            Self::Paused { until } => write!(f, "paused until {}", until.format(minute)),
            Self::Stopped { failures } => write!(
                f,
                "stopped after {failures} failed runs in a row; look into them, then `gapmend resume`"
            ),
            Self::Frozen { entry, reason, .. } => write!(f, "freeze.{entry}: {reason}"),
            Self::OutsideHours { until } => {
                write!(f, "outside the permitted hours, which begin {}", until.format(minute))
            }
            Self::NightSpent { runs, until } => {
                write!(
                    f,
                    "{runs} runs were started this night; the next begins {}",
                    until.format(minute)
                )
            }
            Self::BackingOff { until } => {
                write!(f, "a failed date waits until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))
            }
            Self::DisabledByOther { rule } => write!(
                f,
                "rule {rule} is disabled, and not by gapmend: an operator is at work; nothing is started"
            ),
            Self::OddTrigger { why } => write!(f, "the trigger is not as expected: {why}"),
            Self::LiveTask { task } => write!(f, "another load is alive: {task}"),
            Self::UnsettledSnapshot { snapshot } => {
                write!(f, "snapshot {snapshot} has no export yet: a load would delete it")
            }
            Self::SnapshotNeedsExport { snapshot, arn } => write!(
                f,
                "snapshot {snapshot} is available and was never exported; a load would delete it: have it exported by invoking the exporter's function with {{\"detail\":{{\"SourceIdentifier\":\"{snapshot}\",\"SourceArn\":\"{arn}\"}}}}, or delete it"
            ),
            Self::ExportRunning { export } => write!(f, "export {export} is under way"),
            Self::WorkflowRunning { workflow, run } => {
                write!(f, "workflow {workflow} is running ({run})")
            }
            Self::LiveDumpDue { arrival } => write!(
                f,
                "a load would not be through before the live dump, expected {}",
                arrival.format(minute)
            ),
            Self::Holding { detail, .. } => write!(f, "{detail}"),
            Self::HoldRefused { why } => write!(f, "the trigger may not be held: {why}"),
            Self::OtherDataset { dataset } => {
                write!(f, "dataset {dataset} has the one run, or is next")
            }
            Self::InProgress { run, stage, detail } => {
                write!(f, "run {run}, stage {}: {detail}", stage.label())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_causes_three_are_named() {
        let cause = |what: usize| crate::domain::Blindness {
            what: what.to_string(),
            why: "fog".to_owned(),
            class: crate::domain::ErrorClass::Throttled,
        };
        let words = |causes| Rest::Blind((0..causes).map(cause).collect()).to_string();
        assert!(!words(3).contains("more"), "{}", words(3));
        assert!(words(5).ends_with("; and 2 more"), "{}", words(5));
    }

    #[test]
    fn what_waits_passes_by_itself_and_says_until_when_if_it_is_known() {
        let until = "2026-06-30T12:00:00Z".parse().unwrap();
        let backs_off = Rest::BackingOff { until };
        assert!(backs_off.passes_by_itself() && backs_off.until() == Some(until));
        let due = Rest::LiveDumpDue { arrival: until };
        assert!(due.passes_by_itself() && due.until() == Some(until));
        let paused = Rest::Paused { until };
        assert!(!paused.passes_by_itself() && paused.until() == Some(until));
        assert!(!Rest::NothingToDo.passes_by_itself() && Rest::NothingToDo.until().is_none());
    }

    #[test]
    fn the_list_of_labels_is_whole() {
        let source = include_str!("rest.rs");
        let begins = source.find("pub fn label").unwrap();
        let ends = begins + source[begins..].find("/// The outcome").unwrap();
        let labels: Vec<&str> = source[begins..ends].split('"').skip(1).step_by(2).collect();
        assert_eq!(labels, Rest::LABELS);
    }
}
