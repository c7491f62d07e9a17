//! The pass: look, plan, at most one step, record. Start-up, the nightly scan, a request and
//! a retry are all this one function; nothing else in gapmend has an effect.

mod ledger_health;
mod orphan;
mod reporting;
mod scanning;
mod tending;
mod traces;
mod uploading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use tokio::sync::watch;

use self::ledger_health::LedgerHealth;
use super::guard::{Guard, Guarded};
use super::report::{ConfigReport, Happening, Recorder, Report};
use super::slots;
use crate::act::{Acted, Actor, HoldNotes, seconds_between};
use crate::config::{DatasetSettings, Settings};
use crate::domain::{PassOutcome, RunOutcome, Seen};
use crate::ledger::{Appended, Event, Ledger, LedgerError, Run};
use crate::observe::{self, Observation, Scan, Watch, ZipMemory};
use crate::plan::{self, Census, Night, Plan, Rest, Step};
use crate::platform::World;

/// A scan that was blind, or could not be written down, is made again after so long, and not
/// oftener.
const SCAN_RETRY_MINUTES: i64 = 5;
/// An idle daemon still looks at the trigger this often: somebody may have disabled it.
const TRIGGER_LOOK_MINUTES: i64 = 5;
/// A pass looks closer so often at most: at what is in the way, then at the date.
const CLOSER_LOOKS_AT_MOST: usize = 2;
/// A fact is written against so many faster writers at most.
const APPEND_TRIES: u32 = 16;

/// Everything that passes need; one process has one.
pub struct Engine {
    pub(super) world: World,
    pub(super) ledger: Ledger,
    pub(super) settings: Arc<Settings>,
    recorder: Arc<dyn Recorder>,
    /// What was seen done to held rules, and may not be in the ledger yet.
    pub(super) notes: HoldNotes,
    /// What the guard beside the passes must know of them.
    pub(super) guarded: Arc<Guarded>,
    memory: ZipMemory,
    datasets: BTreeMap<String, DatasetMemory>,
    pub(super) errand: Errand,
    /// Why the last pass could not use the ledger.
    pub(super) ledger_trouble: Option<LedgerError>,
    /// Why the ledger cannot be read, and why not even a sign of life can be written there.
    ledger_health: LedgerHealth,
    /// What others had written when the pass began: what comes later was not considered in it.
    heard: u64,
    /// One-shot commands only look: their report is about whoever acts.
    looks: Looks,
    /// Whether the process that acts by the ledger's word is gone; only those who look ask.
    writer_is_gone: bool,
    started_at: DateTime<Utc>,
    config: ConfigReport,
    report: watch::Sender<Arc<Report>>,
}

/// What a `heal` in the foreground was asked for; the daemon has none.
#[derive(Clone, Debug, Default)]
pub struct Errand {
    /// Only these dates.
    pub only: Option<BTreeSet<NaiveDate>>,
    /// At most so many runs, counted from the start.
    pub max_runs: Option<u32>,
    /// Dates that are looked at as well, and nothing more.
    pub look_at: BTreeSet<NaiveDate>,
    /// Only holds and uploads are served; a run in progress is watched, and none is begun.
    pub serves_uploads: bool,
}

/// Whether passes may do something, or only see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// They decide and act.
    AndActs,
    /// They tell what would be done: what is in the way of a start is looked at too.
    AtEverything,
    /// They tell what each date is, and no more is looked at.
    AtDates,
}

/// What is kept in memory of a dataset between passes: nothing that a restart would miss.
#[derive(Default)]
struct DatasetMemory {
    scan: Option<Seen<Scan>>,
    scan_tried_at: Option<DateTime<Utc>>,
    /// The newest slot for which a scan was attempted.
    attempted_slot: Option<NaiveDate>,
    disabled_since: Option<DateTime<Utc>>,
    trigger: tending::TriggerMemory,
    view: Option<View>,
}

/// The last pass, for the report.
struct View {
    plan: Plan,
    census: Option<Arc<Census>>,
    watch: Watch,
    last_pass: (DateTime<Utc>, PassOutcome, String),
    /// What the pass before said, in the log.
    logged: (PassOutcome, String),
    /// When the next one is due at the latest.
    wake_at: DateTime<Utc>,
    /// The ledger's last entry when it ended.
    seq: u64,
    /// What others had written when it began.
    heard: u64,
}

/// How a pass ended.
#[derive(Clone, Debug)]
pub struct Pass {
    /// How.
    pub outcome: PassOutcome,
    /// Why, in words.
    pub detail: String,
    /// Why nothing was done, when nothing was.
    pub rest: Option<Rest>,
    /// When the next one is due at the latest.
    pub wake_at: DateTime<Utc>,
}

impl Engine {
    /// An engine over an opened ledger.
    pub fn new(
        world: World,
        ledger: Ledger,
        settings: Arc<Settings>,
        recorder: Arc<dyn Recorder>,
        errand: Errand,
    ) -> Self {
        let now = world.now();
        let config = ConfigReport::read(now);
        let first = Report {
            started_at: now,
            last_tick_at: now,
            acting: false,
            not_acting: Some("starting".to_owned()),
            ledger_problem: None,
            next_scan_at: None,
            ledger: Arc::new(ledger.state().clone()),
            datasets: BTreeMap::new(),
            region: settings.aws.region.clone(),
            config: config.clone(),
        };
        let (report, _) = watch::channel(Arc::new(first));
        let engine = Self {
            notes: HoldNotes::default(),
            guarded: Guarded::over(Arc::clone(&settings)),
            world,
            ledger,
            settings,
            recorder,
            memory: ZipMemory::default(),
            datasets: BTreeMap::new(),
            errand,
            ledger_trouble: None,
            ledger_health: LedgerHealth::default(),
            heard: 0,
            looks: Looks::AndActs,
            writer_is_gone: false,
            started_at: now,
            config,
            report,
        };
        // A scrape before the first pass finds what the ledger knows.
        let datasets = engine.dataset_reports(now);
        engine.report.send_modify(|first| Arc::make_mut(first).datasets = datasets);
        engine
    }

    /// The same, for a command that only looks: its report is about the process that acts.
    #[must_use]
    pub fn looking(self) -> Self {
        Self { looks: Looks::AtEverything, ..self }
    }

    /// The same, for a command that only tells what each date is.
    #[must_use]
    pub fn looking_at_dates(self) -> Self {
        Self { looks: Looks::AtDates, ..self }
    }

    /// The last report, and every later one.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.report.subscribe()
    }

    /// What releases and yields beside the passes, when one takes too long.
    pub fn guard(&self) -> Guard {
        Guard::new(
            self.world.clone(),
            self.ledger.held(),
            self.notes.clone(),
            Arc::clone(&self.guarded),
            Arc::clone(&self.recorder),
        )
    }

    /// What the ledger adds up to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same, for a command that writes down what it did itself.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The world, and the configuration's hash for the audit.
    pub fn world_and_config(&self) -> (World, String) {
        (self.world.clone(), self.settings.hash.clone())
    }

    /// The last plan of a dataset.
    pub fn last_plan(&self, name: &str) -> Option<&Plan> {
        let view = self.datasets.get(name).and_then(|memory| memory.view.as_ref());
        view.map(|view| &view.plan)
    }

    /// Looks only at the trigger, the tasks and the run in progress.
    pub async fn glance(&mut self, name: &str) {
        let Some(dataset) = self.settings.datasets.get(name).cloned() else { return };
        let watch = observe::watch(&self.world, &dataset, self.ledger.state()).await;
        let seen = Observation { scan: self.take_scan(name), watch, confirmed: None };
        let plan = self.plan(&dataset, &seen);
        let pass = self.idle_pass("");
        self.keep(name, seen, plan, &pass);
        self.publish_report();
    }

    /// Looks again, for whoever watches: at everything when the ledger tells that dates have
    /// changed since, else as [`Engine::glance`] does.
    pub async fn look_again(&mut self, name: &str) {
        let known = self.dates_told(name);
        if let Err(error) = self.ledger.refresh().await {
            tracing::warn!(%error, "the ledger could not be read");
        }
        if self.dates_told(name) == known {
            return self.glance(name).await;
        }
        if let Some(memory) = self.datasets.get_mut(name) {
            memory.scan = None;
        }
        self.pass(name).await;
    }

    /// The last scan and the runs that are over: what the ledger tells of the dates.
    fn dates_told(&self, name: &str) -> (Option<DateTime<Utc>>, usize) {
        let state = self.ledger.state();
        let scan = state.datasets.get(name).and_then(|dataset| dataset.last_scan.as_ref());
        let over = state.runs.iter().filter(|run| run.dataset == name && !run.is_active());
        (scan.map(|(at, _)| *at), over.count())
    }

    /// What the last scan of a dataset could not see.
    pub fn blindness(&self, name: &str) -> Vec<String> {
        let scan = self.datasets.get(name).and_then(|memory| memory.scan.as_ref());
        scan.map(|scan| scan.blindness().iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    /// Takes over new settings after a reload; what was seen under the old ones is forgotten.
    /// Clients, ledger and listener stay those of the start, and their settings with them.
    pub fn reconfigure(&mut self, mut settings: Settings) {
        let needs_restart = settings.keep_what_needs_a_restart(&self.settings);
        if !needs_restart.is_empty() {
            let keys = needs_restart.join(", ");
            tracing::warn!(keys, "these keys have new values that need a restart");
        }
        self.config = ConfigReport { needs_restart, ..ConfigReport::read(self.world.now()) };
        self.datasets.retain(|name, _| settings.datasets.contains_key(name));
        for memory in self.datasets.values_mut() {
            memory.scan = None;
            memory.scan_tried_at = None;
            if let Some(view) = &mut memory.view {
                view.wake_at = DateTime::<Utc>::MIN_UTC; // what it waits for may hold no longer
            }
        }
        self.settings = Arc::new(settings);
        self.guarded.take_settings(Arc::clone(&self.settings));
    }

    /// Lets the next pass scan at once although the last scan was blind.
    pub(super) fn forget_blind_scan(&mut self, name: &str) {
        if let Some(memory) = self.datasets.get_mut(name)
            && matches!(memory.scan, Some(Seen::Blind(_)))
        {
            memory.scan = None;
        }
    }

    /// Says that a new configuration is bad; the old one stays.
    pub fn refuse_config(&mut self, problem: String) {
        self.config.ok = false;
        self.config.problem = Some(problem);
    }

    /// The datasets in the order in which they may start: whoever ran longest ago comes first,
    /// and the one with a run in progress before all.
    #[must_use]
    pub fn turn_order(&self) -> Vec<String> {
        let state = self.ledger.state();
        let active = state.active_run().map(|run| run.dataset.clone());
        let last_run = |name: &String| {
            state.runs.iter().rev().find(|run| run.dataset == *name).map(|run| run.started_at)
        };
        let mut names: Vec<String> = self.names_to_tend().into_iter().collect();
        names.sort_by_key(|name| (active.as_ref() != Some(name), last_run(name)));
        names
    }

    /// When the dataset's next pass is due: when the last one said, when somebody wrote to the
    /// ledger since, when a slot is due, and now and then for the trigger's sake.
    #[must_use]
    pub fn due_at(&self, name: &str) -> DateTime<Utc> {
        let now = self.world.now();
        let state = self.ledger.state();
        let view = self.datasets.get(name).and_then(|memory| memory.view.as_ref());
        let is_current = |view: &&View| (view.seq, view.heard) == (state.seq, self.ledger.heard());
        let Some(view) = view.filter(is_current) else { return now };
        let last_slot = state.datasets.get(name).and_then(|dataset| dataset.last_slot);
        let (last_pass_at, ..) = view.last_pass;
        if last_pass_at > now {
            return now; // the clock went back: what was to be waited for would last so much longer
        }
        let due = slots::due(&self.settings.schedule, last_slot, now);
        if due.is_some_and(|(slot, _)| last_pass_at < slot.at) {
            return now;
        }
        view.wake_at.min(last_pass_at + Duration::minutes(TRIGGER_LOOK_MINUTES))
    }

    /// One pass over one dataset.
    pub async fn pass(&mut self, name: &str) -> Pass {
        if self.looks != Looks::AndActs {
            self.writer_is_gone = matches!(self.ledger.someone_else_acts().await, Ok(None));
        }
        let before = self.active_run_of(name).cloned();
        let pass = match self.try_pass(name).await {
            Ok(pass) => {
                self.ledger_trouble = None;
                pass
            }
            Err(error) => self.ledger_failed(error),
        };
        self.log_pass(name, &pass, before.as_ref());
        self.publish_report();
        pass
    }

    /// One line for each decision; a pass that says the same again is only for the curious.
    /// It names the run in progress, or the one that ended with this pass.
    fn log_pass(&self, name: &str, pass: &Pass, before: Option<&Run>) {
        let run = self.active_run_of(name).or_else(|| {
            let ended = self.ledger.state().runs.last();
            ended.filter(|last| before.is_some_and(|before| before.id == last.id))
        });
        let view = self.datasets.get(name).and_then(|memory| memory.view.as_ref());
        let news = view.is_none_or(|view| view.logged != (pass.outcome, pass.detail.clone()));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    dataset = name,
                    outcome = pass.outcome.label(),
                    rest = pass.rest.as_ref().map(Rest::label),
                    run = run.map(|run| run.id.as_str()),
                    date = run.map(|run| tracing::field::display(run.date)),
                    attempt = run.map(|run| run.attempt),
                    stage = run.map(|run| run.stage.label()),
                    "{}",
                    pass.detail
                )
            };
        }
        match (news, pass.outcome) {
            (true, PassOutcome::Error) => line!(warn),
            (true, _) => line!(info),
            (false, _) => line!(debug),
        }
    }

    async fn try_pass(&mut self, name: &str) -> Result<Pass, LedgerError> {
        let read = self.ledger.refresh().await;
        self.ledger_health.note_reading(read.as_ref().err());
        self.heard = self.ledger.heard();
        let Some(dataset) = self.settings.datasets.get(name).cloned() else {
            return self.tend_orphan(name).await;
        };
        if self.looks != Looks::AndActs {
            read?;
            return self.look_only(name, &dataset).await;
        }
        let mut watch = observe::watch(&self.world, &dataset, self.ledger.state()).await;
        self.guarded.looked(name, watch.at);
        if let Some(pass) = self.tend(name, Some(&dataset), &watch).await? {
            return Ok(pass);
        }
        read?;
        self.end_orphan().await?;
        self.note_overlaps(&dataset, &watch).await?;
        self.note_traces(&dataset, &watch).await;
        self.note_rule_seen(&dataset, &watch).await?;
        if let Some(pass) = self.serve_upload(&dataset, &mut watch).await? {
            return Ok(pass);
        }
        if self.errand.serves_uploads && self.active_run_of(name).is_none() {
            return Ok(self.tended_only(&dataset));
        }
        let scanned = self.scan_if_due(&dataset, self.world.now()).await?;
        if scanned {
            watch = observe::watch(&self.world, &dataset, self.ledger.state()).await;
            self.guarded.looked(name, watch.at);
        }
        let scan = self.take_scan(name);
        let mut seen = Observation { scan, watch, confirmed: None };
        let mut plan = self.plan(&dataset, &seen);
        for _ in 0..CLOSER_LOOKS_AT_MOST {
            match plan.step {
                Ok(Step::Survey) => {
                    seen.watch.traffic = Some(observe::survey(&self.world, &dataset).await);
                }
                Ok(Step::Confirm { date }) => {
                    self.look_closer(&dataset, &mut seen, date).await;
                    if self.holds_for_runs(&dataset) {
                        let skew = observe::clock_skew(&self.world).await;
                        seen.watch.trigger.clock_skew = Some(skew);
                    }
                }
                Ok(_) | Err(_) => break,
            }
            plan = self.plan(&dataset, &seen);
        }
        // Whatever becomes of the ledger, what was seen is kept: a scan is not made again for it.
        let carried_out = match self.carry_out(&dataset, &plan).await {
            Ok(pass) => self.note_pass(name, scanned, &pass).await.map(|()| pass),
            Err(error) => Err(error),
        };
        match &carried_out {
            Ok(pass) => self.keep(name, seen, plan, pass),
            Err(error) => self.keep(name, seen, plan, &self.failed_pass(error)),
        }
        carried_out
    }

    /// The pass of a process that never acts: both looks at once, nothing tended, nothing done.
    /// A date is looked at narrowly only by those who would start it.
    async fn look_only(
        &mut self,
        name: &str,
        dataset: &DatasetSettings,
    ) -> Result<Pass, LedgerError> {
        let (watch, scan) = self.look_at_once(dataset).await;
        let mut seen = Observation { scan, watch, confirmed: None };
        let mut plan = self.plan(dataset, &seen);
        if self.looks == Looks::AtEverything && matches!(plan.step, Ok(Step::Survey)) {
            seen.watch.traffic = Some(observe::survey(&self.world, dataset).await);
            plan = self.plan(dataset, &seen);
        }
        let pass = self.carry_out(dataset, &plan).await?;
        self.keep(name, seen, plan, &pass);
        Ok(pass)
    }

    fn plan(&self, dataset: &DatasetSettings, seen: &Observation) -> Plan {
        let now = self.world.now();
        plan::plan(self.ledger.state(), seen, dataset, &self.night(now), now)
    }

    async fn look_closer(
        &mut self,
        dataset: &DatasetSettings,
        seen: &mut Observation,
        date: NaiveDate,
    ) {
        let last = seen.scan.known();
        let in_flight = self.settings.aws.max_in_flight;
        let look =
            observe::confirm(&self.world, dataset, &self.memory, last, date, in_flight).await;
        if let (Seen::Known(scan), Seen::Known(look)) = (&mut seen.scan, &look) {
            scan.absorb(look);
        }
        seen.confirmed = Some(look);
    }

    async fn carry_out(
        &mut self,
        dataset: &DatasetSettings,
        plan: &Plan,
    ) -> Result<Pass, LedgerError> {
        let step = match &plan.step {
            Err(rest) => {
                return Ok(Pass {
                    outcome: rest.outcome(),
                    detail: rest.to_string(),
                    rest: Some(rest.clone()),
                    wake_at: plan.wake_at,
                });
            }
            Ok(step) => step.clone(),
        };
        if !self.ledger.is_acting() {
            return Ok(self.idle_pass("this process does not act"));
        }
        let before = self.ledger.state().active_run().cloned();
        let runs_before = self.ledger.state().runs.len();
        let enqueued =
            self.ledger.state().datasets.get(&dataset.name).map(|state| state.enqueued.clone());
        let acted = self.act(step).await;
        if before.is_some() || self.ledger.state().runs.len() > runs_before {
            self.record_run_changes(dataset, before.as_ref(), &enqueued.unwrap_or_default());
        }
        let acted = acted?;
        let now = self.world.now();
        Ok(match acted {
            Acted::Done(outcome, detail) => Pass { outcome, detail, rest: None, wake_at: now },
            Acted::DecideAgain => Pass {
                outcome: PassOutcome::Waiting,
                detail: "another process wrote first; deciding again".to_owned(),
                rest: None,
                wake_at: now,
            },
            Acted::Unanswered(error) => Pass {
                outcome: PassOutcome::Error,
                detail: error.to_string(),
                rest: None,
                wake_at: plan::after_no_answer(self.ledger.state(), dataset, now),
            },
        })
    }

    /// The hands of this engine.
    pub fn actor<'a>(&'a mut self, config: &'a str) -> Actor<'a> {
        Actor { world: &self.world, ledger: &mut self.ledger, notes: &self.notes, config }
    }

    async fn act(&mut self, step: Step) -> Result<Acted, LedgerError> {
        let config = self.settings.hash.clone();
        self.actor(&config).act(step).await
    }

    // ---- remembering -----------------------------------------------------------------

    fn keep(&mut self, name: &str, seen: Observation, plan: Plan, pass: &Pass) {
        let now = self.world.now();
        let memory = self.datasets.entry(name.to_owned()).or_default();
        let never_tried = memory.scan_tried_at.is_none();
        memory.scan = if never_tried { None } else { Some(seen.scan) };
        memory.note_rule(&seen.watch, now);
        let before = memory.view.as_ref().map(|view| {
            let (_, outcome, detail) = &view.last_pass;
            (*outcome, detail.clone())
        });
        memory.view = Some(View {
            wake_at: pass.wake_at,
            seq: self.ledger.state().seq,
            heard: self.heard,
            logged: before.unwrap_or((PassOutcome::Waiting, String::new())),
            census: plan.census.clone().map(Arc::new),
            plan,
            watch: seen.watch,
            last_pass: (now, pass.outcome, pass.detail.clone()),
        });
    }

    /// Writes down a pass that has news: after a scan, and when the reason for resting changed.
    async fn note_pass(
        &mut self,
        name: &str,
        scanned: bool,
        pass: &Pass,
    ) -> Result<(), LedgerError> {
        if !self.ledger.is_acting() || pass.outcome == PassOutcome::Started {
            return Ok(());
        }
        let last = self.ledger.state().datasets.get(name).and_then(|state| state.passes.last());
        let same =
            last.is_some_and(|last| last.outcome == pass.outcome && last.detail == pass.detail);
        let in_progress = matches!(pass.rest, Some(Rest::InProgress { .. }));
        if in_progress || (same && !scanned) {
            return Ok(());
        }
        let event = Event::Passed {
            dataset: name.to_owned(),
            outcome: pass.outcome,
            detail: pass.detail.clone(),
        };
        self.write(vec![event]).await
    }

    /// Writes facts, which need no new decision when others wrote first.
    pub(super) async fn write(&mut self, events: Vec<Event>) -> Result<(), LedgerError> {
        for _ in 0..APPEND_TRIES {
            if let Appended::Recorded(_) = self.ledger.append(events.clone()).await? {
                return Ok(());
            }
        }
        Err(LedgerError::Contended { tries: APPEND_TRIES })
    }

    /// `enqueued_at` is when the run's date was first seen missing, before the run ended.
    fn record_run_changes(
        &self,
        dataset: &DatasetSettings,
        before: Option<&Run>,
        enqueued: &BTreeMap<NaiveDate, DateTime<Utc>>,
    ) {
        let state = self.ledger.state();
        let Some(run) = state.runs.iter().rev().find(|run| run.dataset == dataset.name) else {
            return;
        };
        let known = before.filter(|before| before.id == run.id);
        if known.is_none() {
            self.recorder.record(&Happening::RunStarted { dataset: dataset.name.clone() });
        }
        let stages_known = known.map_or(0, |before| before.stages.len());
        for record in run.stages.iter().skip(stages_known) {
            self.recorder.record(&Happening::StageEnded {
                dataset: dataset.name.clone(),
                stage: record.stage,
                seconds: seconds_between(record.started_at, record.ended_at),
            });
        }
        let gap_seen_at = enqueued.get(&run.date).copied().unwrap_or(run.started_at);
        let ended_now = known.is_none_or(Run::is_active);
        if let (Some(end), true) = (&run.end, ended_now) {
            let healed = end.outcome == RunOutcome::Succeeded;
            self.recorder.record(&Happening::RunEnded {
                dataset: dataset.name.clone(),
                outcome: end.outcome,
                stage: run.stage,
                reason: end.reason,
                time_to_heal_seconds: healed.then(|| seconds_between(gap_seen_at, end.at)),
            });
        }
    }

    // ---- small things ----------------------------------------------------------------

    fn active_run_of(&self, name: &str) -> Option<&Run> {
        self.ledger.state().active_run().filter(|run| run.dataset == name)
    }

    /// The night that `now` belongs to, or the errand that was asked for.
    pub(super) fn night(&self, now: DateTime<Utc>) -> Night {
        let schedule = &self.settings.schedule;
        let began = slots::last_due(schedule, now).map_or(now, |slot| slot.at);
        let ends = slots::next(schedule, now).map_or(now + Duration::days(1), |slot| slot.at);
        Night {
            began_at: if self.errand.max_runs.is_some() { self.started_at } else { began },
            ends_at: ends,
            max_runs: self.errand.max_runs,
            only: self.errand.only.clone(),
        }
    }

    fn idle_pass(&self, detail: &str) -> Pass {
        let wake_at = self.world.now() + Duration::minutes(1);
        Pass { outcome: PassOutcome::Waiting, detail: detail.to_owned(), rest: None, wake_at }
    }

    /// The end of a pass that scans and starts nothing.
    fn tended_only(&self, dataset: &DatasetSettings) -> Pass {
        let poll = Duration::from_std(dataset.load.poll).unwrap_or_default();
        let pass = self.idle_pass("only holds and uploads are served");
        Pass { wake_at: pass.wake_at.min(self.world.now() + poll), ..pass }
    }

    fn ledger_failed(&mut self, error: LedgerError) -> Pass {
        self.recorder.record(&Happening::LedgerFailed { operation: error.operation().label() });
        let pass = self.failed_pass(&error);
        self.ledger_trouble = Some(error);
        pass
    }

    fn failed_pass(&self, error: &LedgerError) -> Pass {
        Pass {
            outcome: PassOutcome::Error,
            detail: format!("the ledger failed to {}; {}", error.in_words(), error.hint()),
            rest: None,
            wake_at: self.world.now() + Duration::seconds(LEDGER_RETRY_SECONDS),
        }
    }
}

/// The ledger is tried again after so long.
const LEDGER_RETRY_SECONDS: i64 = 10;
