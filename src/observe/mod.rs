//! Looking: from the platform's answers to an [`Observation`] that `plan` can decide on.
//!
//! There are two looks. A [`scan`] sees every date: dumps, catalog, objects, exports. A
//! [`watch`] sees only what the moment needs: the rule, the tasks, and the run in progress
//! with its snapshot, export, workflow run and date. A third, [`confirm`], sees one date
//! once more and narrowly, right before it is started and when its run should be done.
//!
//! What this layer never does: decide, remember, or read "could not see" as "is not there".
//! Whatever cannot be seen whole makes its part of the observation [`Seen::Blind`].

mod clock;
mod confirm;
mod copy;
mod dump_check;
mod landing;
mod raw_zone;
mod scan;
mod trigger;
mod watch;
mod zip;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

pub use clock::{CLOCK_OFF_AT_MOST_SECONDS, clock_skew};
pub use confirm::confirm;
pub use copy::{copy_below, copy_of, export_files, table_folders};
pub use dump_check::ZipMemory;
pub use landing::{judge_size, landing, same_as_another};
pub(crate) use raw_zone::keyed_tables;
pub(crate) use scan::count_partitions;
pub use scan::{ScanScope, scan};
pub use trigger::{EVENT_LATE_AT_MOST_MINUTES, TriggerView, orphan, rule_of_hold};
pub use watch::{survey, tasks_of, watch};
pub use zip::{Verdict as ZipVerdict, judge as judge_zip, judge_bytes};

use crate::domain::{
    Blindness, CopyState, Coverage, Dump, DumpFault, Export, OddSpellings, Rule, Seen, Snapshot,
    TableId, Task, WorkflowRun, Written,
};
use crate::ledger::Hold;
use crate::platform::PlatformError;

/// Everything that `plan` knows of the world.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The last look at everything; it may be hours old.
    pub scan: Seen<Scan>,
    /// The look of this pass.
    pub watch: Watch,
    /// A narrow look of this pass at one date, when one was asked for.
    pub confirmed: Option<Seen<Confirmation>>,
}

/// A look at everything.
#[derive(Clone, Debug)]
pub struct Scan {
    /// When it began: every age and deadline is measured from this one instant.
    pub at: DateTime<Utc>,
    /// Today in the schedule's time zone, then.
    pub today: NaiveDate,
    /// The window's dates, oldest first.
    pub window: Vec<NaiveDate>,
    /// Dates outside the window that are allowed or asked for by name.
    pub named: BTreeSet<NaiveDate>,
    /// The landing bucket.
    pub landing: LandingView,
    /// The raw zone.
    pub coverage: Coverage,
    /// Exports that exist under the ids of the dates without data (H21).
    pub exports: BTreeMap<NaiveDate, Export>,
    /// What lies in the copy for the dates at the head of the queue, and for those that the
    /// ledger remembers as published incompletely.
    pub copies: BTreeMap<NaiveDate, Seen<CopyState>>,
}

/// What lies in the landing bucket.
#[derive(Clone, Debug, Default)]
pub struct LandingView {
    /// The dumps of each date: the one that the task reads first.
    pub dumps: Arc<BTreeMap<NaiveDate, Arc<Vec<Dump>>>>,
    /// Keys that are no dump.
    pub noise: u64,
    /// Every dump of a date without data that was asked for is denied: no fault of the dumps, but
    /// of our rights.
    pub all_denied: Option<String>,
    /// What is wrong with the dumps of the dates without data.
    pub faults: BTreeMap<NaiveDate, DumpFault>,
    /// How long after its date's midnight UTC a live dump usually lands, in seconds, learned
    /// from the listing: the earliest of the last ones, less a margin.
    pub usual_arrival_seconds: Option<u32>,
}

impl LandingView {
    /// The dumps of one date.
    #[must_use]
    pub fn dumps_of(&self, date: NaiveDate) -> DateDumps {
        DateDumps { all: Arc::clone(&self.dumps), date }
    }
}

/// The dumps of one date, beside the look they come from: most dates are whole, and nobody asks
/// for theirs.
#[derive(Clone, Debug, Default)]
pub struct DateDumps {
    all: Arc<BTreeMap<NaiveDate, Arc<Vec<Dump>>>>,
    date: NaiveDate,
}

impl Deref for DateDumps {
    type Target = [Dump];

    fn deref(&self) -> &[Dump] {
        self.all.get(&self.date).map_or(&[], |dumps| dumps.as_slice())
    }
}

impl PartialEq for DateDumps {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// What one pass sees of the pipeline.
#[derive(Clone, Debug)]
pub struct Watch {
    /// When the look began.
    pub at: DateTime<Utc>,
    /// The rule; `None` without a trigger section.
    pub rule: Option<Seen<Rule>>,
    /// The tasks of the load's family that are not over, whoever started them.
    pub tasks: Seen<Vec<Task>>,
    /// What a start must not meet; looked at only when a start asks for it.
    pub traffic: Option<Seen<Traffic>>,
    /// The run in progress, as far as its stage needs it.
    pub run: Option<Seen<RunView>>,
    /// What a hold of the rule needs to know.
    pub trigger: TriggerView,
}

impl Watch {
    /// A look that saw nothing yet.
    #[must_use]
    pub fn of_nothing(at: DateTime<Utc>) -> Self {
        Self {
            at,
            rule: None,
            tasks: Seen::Blind(Vec::new()),
            traffic: None,
            run: None,
            trigger: TriggerView::default(),
        }
    }

    /// When the hold's dead man's switch fired, by this look; `None` when it has not, or could
    /// not be seen.
    #[must_use]
    pub fn switch_fired_at(&self, hold: &Hold, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.trigger.dead_man.as_ref()?.known()?;
        hold.switch_fired_at(found.as_ref(), now)
    }
}

/// Snapshots, exports and workflow runs that a start must not meet.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// The instance's snapshots, each with the exports made from it.
    pub snapshots: Vec<(Snapshot, Vec<Export>)>,
    /// Runs in progress, by workflow.
    pub workflows: Vec<(String, WorkflowRun)>,
}

/// The run in progress, as the services show it.
#[derive(Clone, Debug, Default)]
pub struct RunView {
    /// Our task; `None` when ECS does not know it.
    pub task: Option<Task>,
    /// The snapshot under the date's id.
    pub snapshot: Option<Snapshot>,
    /// The export under the date's id.
    pub export: Option<Export>,
    /// The workflow runs of the date that began since the run did, oldest first; the newest one
    /// with its graph when it is over.
    pub workflow_runs: Vec<WorkflowRun>,
    /// Whether another run of the backdated or live workflow is in progress.
    pub workflow_busy: bool,
    /// The copy, while the run waits for it or is about to publish it.
    pub copy: Option<CopyState>,
    /// The end of our task's log, when it ended badly.
    pub log_tail: Vec<String>,
}

/// A narrow look at one date.
#[derive(Clone, Debug)]
pub struct Confirmation {
    /// The date.
    pub date: NaiveDate,
    /// When the look began.
    pub at: DateTime<Utc>,
    /// Tables with a partition and at least one object with bytes.
    pub whole: BTreeSet<TableId>,
    /// Tables with a partition or an object, but not both.
    pub half: BTreeSet<TableId>,
    /// Tables that the date's export held, when its bucket can be seen (H28).
    pub exported: Option<BTreeSet<String>>,
    /// Every matching table of the catalog.
    pub tables: BTreeSet<TableId>,
    /// What was written for the date, in the tables that have any of it.
    pub written: BTreeMap<TableId, Written>,
    /// What tables have of it under another spelling than the configured one.
    pub spelled: BTreeMap<TableId, OddSpellings>,
    /// The date's dumps as they are now, the one that the task reads first.
    pub dumps: Arc<Vec<Dump>>,
    /// What is wrong with the first of them.
    pub dump_fault: Option<DumpFault>,
    /// The export under the date's id (H21).
    pub export: Option<Export>,
    /// What lies in the copy; `None` without a copy section.
    pub copy: Option<CopyState>,
}

/// What a failed call means for a look.
fn blind(what: String, error: &PlatformError) -> Blindness {
    Blindness { what, why: error.to_string(), class: error.class }
}

impl Scan {
    /// Takes over what a narrow look saw since: a date that changed is judged anew.
    pub fn absorb(&mut self, look: &Confirmation) {
        for table in &mut self.coverage.tables {
            let whole = look.whole.contains(&table.id);
            if !whole {
                continue;
            }
            table.catalogued.insert(look.date);
            if let Some(stored) = &mut table.stored {
                stored.insert(look.date);
            }
        }
        self.absorb_halves(look);
        self.absorb_volumes(look);
        for table in &mut self.coverage.tables {
            if let Some(spelled) = look.spelled.get(&table.id) {
                table.spelled.add(spelled.clone());
            }
        }
        let dumps = Arc::make_mut(&mut self.landing.dumps);
        if look.dumps.is_empty() {
            dumps.remove(&look.date);
        } else {
            dumps.insert(look.date, Arc::clone(&look.dumps));
        }
        match &look.dump_fault {
            Some(fault) => self.landing.faults.insert(look.date, fault.clone()),
            None => self.landing.faults.remove(&look.date),
        };
        match &look.export {
            Some(export) => self.exports.insert(look.date, export.clone()),
            None => self.exports.remove(&look.date),
        };
        if let Some(copy) = &look.copy {
            self.copies.insert(look.date, Seen::Known(copy.clone()));
        }
    }

    /// A table that has half of a date is enough to keep the date from ever being re-run (H8).
    fn absorb_halves(&mut self, look: &Confirmation) {
        for table in &mut self.coverage.tables {
            let spelled = look.spelled.get(&table.id);
            let is_uncertain = spelled.is_some_and(|it| it.uncertain.contains_key(&look.date));
            if look.half.contains(&table.id) && !is_uncertain {
                table.catalogued.insert(look.date);
            }
        }
    }

    /// What the objects amount to is judged anew, when the scan listed them.
    fn absorb_volumes(&mut self, look: &Confirmation) {
        let Coverage { tables, volumes, .. } = &mut self.coverage;
        let seen = look.written.iter().map(|(id, written)| (id.clone(), written.volume()));
        volumes.set(look.date, &seen.collect());
        for table in tables.iter_mut().filter(|table| table.stored.is_some()) {
            let usual = volumes.usual(&table.id, look.date);
            let written = look.written.get(&table.id);
            if written.is_some_and(|written| written.is_from_two_runs(usual)) {
                table.written_twice.insert(look.date);
            } else {
                table.written_twice.remove(look.date);
            }
        }
    }
}
