//! The world: everything behind one mutex, moved by being told the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::ecs::{Ecs, TaskStep};
use super::events::Events;
use super::faults::{Call, Fault, Faults};
use super::glue::Catalog;
use super::inspect::Record;
use super::load::Database;
use super::logs::LogLine;
use super::names::Names;
use super::profile::Profile;
use super::rds::Rds;
use super::s3::S3;
use super::timing::{Span, Timing};
use super::workflow::Workflows;

/// `sts:GetCallerIdentity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
    /// The caller's unique id.
    pub user_id: String,
}

/// What will happen by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// The supplier's hour has come.
    SupplierDelivers { date: NaiveDate },
    /// A late dump is written.
    DumpIsWritten { date: NaiveDate },
    /// A write's event reaches the rule.
    TrailArrives { event: usize },
    /// The rule's target is tried (again).
    TargetFires { event: usize },
    /// A one-time schedule's time has come.
    ScheduleFires { group: String, name: String, at: DateTime<Utc> },
    /// A task moves on.
    Task { arn: String, step: TaskStep },
    /// A snapshot is made, or fails.
    SnapshotSettles { id: String },
    /// The export lambda hears of an available snapshot.
    ExportIsAsked { snapshot: String },
    /// An export moves on.
    ExportMoves { id: String, percent: u8 },
    /// The copier has carried half of an export's files.
    CopierMoves { export: String },
    /// The copier is through with an export's files.
    CopierEnds { export: String },
    /// The copier calls `StartWorkflowRun` without properties.
    WorkflowIsAsked { workflow: String },
    /// A crawl ends.
    CrawlEnds { run: String },
    /// A copy job ends.
    JobEnds { run: String, job: String },
}

/// The model.
#[derive(Debug)]
pub struct World {
    pub(super) now: DateTime<Utc>,
    pub(super) rng: fastrand::Rng,
    pub(super) agenda: BTreeMap<(DateTime<Utc>, u64), Happening>,
    pub(super) agenda_entries: u64,
    pub(super) supplier: Option<NaiveTime>,
    pub(super) usual_dump_bytes: usize,
    pub(super) files_per_table: u32,
    pub(super) s3: S3,
    pub(super) catalog: Catalog,
    pub(super) workflows: Workflows,
    pub(super) ecs: Ecs,
    pub(super) rds: Rds,
    pub(super) database: Database,
    pub(super) events: Events,
    pub(super) logs: BTreeMap<String, BTreeMap<String, Vec<LogLine>>>,
    pub(super) calls: Vec<Call>,
    pub(super) requests: u64,
    pub(super) record: Record,
    /// What everything is called.
    pub names: Names,
    /// How long everything takes.
    pub timing: Timing,
    /// What goes wrong with which date.
    pub profiles: BTreeMap<NaiveDate, Profile>,
    /// What goes wrong between a caller and a service.
    pub faults: Faults,
    /// How far AWS's clock is before the caller's.
    pub clock_skew: TimeDelta,
}

impl World {
    /// A world with nothing in it.
    pub(super) fn empty(now: DateTime<Utc>, seed: u64, names: Names, timing: Timing) -> Self {
        Self {
            now,
            rng: fastrand::Rng::with_seed(seed),
            agenda: BTreeMap::new(),
            agenda_entries: 0,
            supplier: None,
            usual_dump_bytes: 4096,
            files_per_table: 2,
            s3: S3::default(),
            catalog: Catalog::default(),
            workflows: Workflows::default(),
            ecs: Ecs::default(),
            rds: Rds::default(),
            database: Database::default(),
            events: Events::default(),
            logs: BTreeMap::new(),
            calls: Vec::new(),
            requests: 0,
            record: Record::default(),
            names,
            timing,
            profiles: BTreeMap::new(),
            faults: Faults::new(seed.wrapping_add(1)),
            clock_skew: TimeDelta::zero(),
        }
    }

    /// The world's time: that of the last [`World::advance_to`].
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Lets everything happen that is due until then, in order. Going back does nothing.
    pub fn advance_to(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.agenda.first_entry() {
            let at = entry.key().0;
            if at > now {
                break;
            }
            let happening = entry.remove();
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = self.now.max(now);
    }

    /// When something happens next by itself.
    pub fn next_happening_at(&self) -> Option<DateTime<Utc>> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::SupplierDelivers { date } => self.supplier_delivers(date),
            Happening::DumpIsWritten { date } => self.write_dump(date),
            Happening::TrailArrives { event } => self.trail_arrives(event),
            Happening::TargetFires { event } => self.target_fires(event),
            Happening::ScheduleFires { group, name, at } => self.schedule_fires(&group, &name, at),
            Happening::Task { arn, step } => self.task_moves(&arn, step),
            Happening::SnapshotSettles { id } => self.snapshot_settles(&id),
            Happening::ExportIsAsked { snapshot } => self.export_is_asked(&snapshot),
            Happening::ExportMoves { id, percent } => self.export_moves(&id, percent),
            Happening::CopierMoves { export } => self.copier_moves(&export),
            Happening::CopierEnds { export } => self.copier_ends(&export),
            Happening::WorkflowIsAsked { workflow } => self.workflow_is_asked(&workflow),
            Happening::CrawlEnds { run } => self.crawl_ends(&run),
            Happening::JobEnds { run, job } => self.job_ends(&run, &job),
        }
    }

    pub(super) fn at(&mut self, at: DateTime<Utc>, happening: Happening) {
        self.agenda_entries += 1;
        self.agenda.insert((at, self.agenda_entries), happening);
    }

    pub(super) fn after(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(super) fn draw(&mut self, span: Span) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (from, to) = (millis(span.from), millis(span.to));
        Duration::from_millis(self.rng.u64(from..=to.max(from)))
    }

    /// Asks the script of a date; a date without one is a good day.
    pub(super) fn script<T: Default>(
        &mut self,
        date: NaiveDate,
        ask: impl FnOnce(&mut Profile) -> T,
    ) -> T {
        self.profiles.get_mut(&date).map(ask).unwrap_or_default()
    }

    /// `sts:GetCallerIdentity`.
    pub fn caller(&self) -> Caller {
        Caller {
            account: self.names.account.clone(),
            arn: self.names.caller_arn.clone(),
            user_id: "AROAGAPMEND:gapmend".to_owned(),
        }
    }

    /// To be called by a door once per request, before its effect: logs and counts it, and says what goes wrong.
    pub fn receive(&mut self, operation: &'static str, target: &str) -> Option<Fault> {
        self.requests += 1;
        let fault = self.faults.next(operation);
        let target = target.to_owned();
        self.calls.push(Call { at: self.now, operation, target, fault });
        fault
    }

    /// Every request so far, or since [`World::forget_calls`].
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Empties the log of requests: a simulated year has millions. The counters stay.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }

    pub(super) fn random_hex(&mut self, digits: usize) -> String {
        (0..digits).filter_map(|_| char::from_digit(self.rng.u32(0..16), 16)).collect()
    }
}

/// A handle on the world that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Arc<Mutex<World>>,
}

impl Sim {
    /// A handle on this world.
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// Lets everything happen that is due until then.
    pub fn advance_to(&self, now: DateTime<Utc>) {
        self.lock().advance_to(now);
    }

    /// The world itself. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
