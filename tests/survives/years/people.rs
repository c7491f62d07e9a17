//! What people, the supplier and the weather do, day by day, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::ledger::memory::Fault;
use gapmend::ledger::store::Trouble;
use gapmend::ledger::{Asked, Ledger, Request};
use gapmend::sim::{
    DumpKind, FaultKind, FaultWhen, Moment, RuleSetting, TaskStatus, Times, World, zip,
};

use super::climate::{LOOKBACK_DAYS, Policy};
use super::host::Host;
use super::year::Year;
use crate::faults::profile;

/// A person looks into a task or a workflow that hangs after so long.
const HANGS_AFTER_HOURS: i64 = 9;
/// Whoever loads a date by hand knows that younger ones are the nightly's.
const BY_HAND_FROM_DAYS: i64 = 8;
/// A request that the ledger does not take is given up after so many tries.
const REQUEST_TRIES: usize = 3;

/// One thing that happens at its time.
enum Act {
    StormBegins,
    StormEnds,
    ClockSteps(usize, TimeDelta),
    SecondDaemon(bool),
    Kill(usize),
    Request,
    RuleOff,
    RuleOn(&'static str),
    ByHand,
    Delivery,
    OldNameOf(NaiveDate),
    Change,
    DatasetReturns,
    Instance(&'static str),
}

pub(super) struct People {
    year: Arc<Year>,
    hosts: [Arc<Host>; 2],
    random: fastrand::Rng,
    agenda: Vec<(DateTime<Utc>, Act)>,
}

impl People {
    pub(super) fn new(year: &Arc<Year>, hosts: [Arc<Host>; 2], random: fastrand::Rng) -> Self {
        Self { year: Arc::clone(year), hosts, random, agenda: Vec::new() }
    }

    /// A day, from noon to noon.
    pub(super) async fn live_through(&mut self, noon: DateTime<Utc>) {
        self.tidy_up().await;
        self.draw_tonight(noon.date_naive());
        self.draw_acts(noon);
        let end = noon + TimeDelta::days(1);
        loop {
            self.agenda.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let Some((at, act)) = self.agenda.pop_if(|(at, _)| *at < end) else { break };
            self.year.until(at).await;
            self.act(act).await;
        }
        self.year.until(end).await;
    }

    /// What goes wrong with the dump of tonight and its stages.
    fn draw_tonight(&mut self, today: NaiveDate) {
        let climate = self.year.climate.clone();
        if self.happens(climate.bad_stages) {
            let mut bad = profile(&mut self.random);
            if self.random.u8(0..8) == 0 {
                bad.event_lost = Times::First(1);
            }
            if self.random.u8(0..12) == 0 {
                bad.fires_again = 1;
            }
            self.year.sim.lock().profiles.insert(today, bad);
        }
        if self.happens(climate.bad_dumps) {
            let kind = match self.random.u8(0..8) {
                0 | 1 => DumpKind::Late(Duration::from_mins(self.random.u64(1..1_500))),
                2 => DumpKind::Truncated,
                3 => DumpKind::TwoSql,
                4 => DumpKind::Tiny,
                5 => DumpKind::CopyOf(today - TimeDelta::days(2)),
                6 => {
                    let at = self.year.now() + TimeDelta::hours(self.random.i64(20..70));
                    self.agenda.push((at, Act::OldNameOf(today)));
                    DumpKind::Missing
                }
                _ => DumpKind::Missing,
            };
            self.year.sim.lock().profiles.entry(today).or_default().dump = kind;
            self.tell(format!("tonight's dump will be {kind:?}"));
        }
    }

    fn draw_acts(&mut self, noon: DateTime<Utc>) {
        let climate = self.year.climate.clone();
        let mut plan =
            |odds: u16, most_minutes: i64, acts: &mut dyn FnMut(&mut Self) -> Vec<(i64, Act)>| {
                if !self.happens(odds) {
                    return;
                }
                let at = noon + TimeDelta::seconds(self.random.i64(0..most_minutes * 60));
                for (later, act) in acts(self) {
                    self.agenda.push((at + TimeDelta::minutes(later), act));
                }
            };
        let day = 24 * 60;
        plan(climate.storms, day, &mut |me| {
            vec![(0, Act::StormBegins), (me.random.i64(5..600), Act::StormEnds)]
        });
        plan(climate.clock_steps, day, &mut |me| {
            let minutes = me.random.i64(-200..200);
            let host = me.random.usize(0..2);
            let back = me.random.i64(1..300);
            let step = TimeDelta::minutes(minutes);
            vec![(0, Act::ClockSteps(host, step)), (back, Act::ClockSteps(host, TimeDelta::zero()))]
        });
        plan(climate.second_daemons, day, &mut |me| {
            let leaves = me.random.i64(10..4_000);
            vec![(0, Act::SecondDaemon(true)), (leaves, Act::SecondDaemon(false))]
        });
        plan(climate.second_daemons, day, &mut |me| vec![(0, Act::Kill(me.random.usize(0..2)))]);
        plan(climate.requests, day, &mut |_| vec![(0, Act::Request)]);
        plan(climate.toggles, day, &mut |me| match me.random.u8(0..3) {
            0 => vec![(0, Act::RuleOn("terraform"))],
            _ => vec![(0, Act::RuleOff), (me.random.i64(20..2_000), Act::RuleOn("operator"))],
        });
        plan(climate.by_hand, day, &mut |_| vec![(0, Act::ByHand)]);
        plan(climate.deliveries, day, &mut |_| vec![(0, Act::Delivery)]);
        plan(climate.changes, day, &mut |_| vec![(0, Act::Change)]);
        plan(climate.bad_stages / 8, day, &mut |me| {
            let minutes = me.random.i64(10..200);
            vec![(0, Act::Instance("backing-up")), (minutes, Act::Instance("available"))]
        });
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::StormBegins => self.storm_begins(),
            Act::StormEnds => self.storm_ends(),
            Act::ClockSteps(host, offset) => self.clock_steps(host, offset),
            Act::SecondDaemon(true) => self.hosts[1].start(),
            Act::SecondDaemon(false) => self.hosts[1].stop(),
            Act::Kill(host) => self.hosts[host].killed.notify_waiters(),
            Act::Request => {
                let request = self.draw_request();
                self.request(request).await;
            }
            Act::RuleOff => self.year.sim.lock().operator_disables_trigger(),
            Act::RuleOn(who) => self.year.sim.lock().set_trigger(RuleSetting::Enabled, who),
            Act::ByHand => self.load_by_hand(),
            Act::Delivery => self.deliver_again(),
            Act::OldNameOf(date) => self.deliver_under_old_name(date),
            Act::Change => self.change_configuration(),
            Act::DatasetReturns => {
                let policy = Policy { gone: false, ..self.year.policy() };
                self.tell("the dataset is in the configuration again");
                self.year.configure(policy);
            }
            Act::Instance(status) => self.year.sim.lock().set_instance_status(status),
        }
    }

    // ---- weather ---------------------------------------------------------------------

    fn storm_begins(&mut self) {
        let kinds =
            [FaultKind::Throttle, FaultKind::Server, FaultKind::Timeout, FaultKind::Dropped];
        let some = [
            "ecs:RunTask",
            "ecs:StopTask",
            "ecs:*",
            "glue:StartWorkflowRun",
            "glue:*",
            "rds:*",
            "events:*",
            "scheduler:*",
            "s3:*",
            "sts:*",
            "*",
        ];
        let outage = self.random.u8(0..8) == 0;
        for operation in some {
            if self.random.bool() {
                continue;
            }
            let kind = kinds[self.random.usize(0..kinds.len())];
            let after = self.random.bool() && kind != FaultKind::Throttle;
            let moment = if after { Moment::After } else { Moment::Before };
            let broad = operation.ends_with('*');
            let most = if outage {
                1000
            } else if broad {
                60
            } else {
                500
            };
            let share = FaultWhen::PerMille(self.random.u16(0..=most));
            self.year.sim.lock().faults.add(operation, share, kind, moment);
        }
        if self.random.bool() {
            self.ledger_storm();
        }
        self.year.book.lock().unwrap().storms.push((self.year.now(), None));
        self.tell(if outage { "a storm begins, an outage" } else { "a storm begins" });
    }

    fn ledger_storm(&mut self) {
        let share = self.random.u8(1..=12);
        let fatal = self.random.u8(0..4) == 0;
        let mut random = self.random.fork();
        self.year.store.choose_faults(move |_, _| {
            if random.u8(0..100) >= share {
                return None;
            }
            Some(match random.u8(0..8) {
                0 | 1 => Fault::LostAnswer,
                2 => Fault::NeverArrives,
                3 => Fault::ArrivesLater(random.u64(1..5)),
                4 if fatal => Fault::Answers(Trouble::Poisoned),
                5 => Fault::Answers(Trouble::Full),
                _ => Fault::Answers(Trouble::Busy),
            })
        });
    }

    fn storm_ends(&mut self) {
        self.year.sim.lock().faults.clear();
        self.year.store.heal();
        let now = self.year.now();
        for storm in &mut self.year.book.lock().unwrap().storms {
            storm.1.get_or_insert(now);
        }
        self.tell("the storm is over");
    }

    fn clock_steps(&mut self, host: usize, offset: TimeDelta) {
        *self.hosts[host].clock_offset.lock().unwrap() = offset;
        let now = self.year.now();
        let mut book = self.year.book.lock().unwrap();
        if offset.is_zero() {
            for wrong in &mut book.wrong_clocks {
                wrong.1.get_or_insert(now);
            }
        } else {
            book.wrong_clocks.push((now, None));
        }
        drop(book);
        self.tell(format!("the clock of {} is off by {offset}", self.hosts[host].name));
    }

    // ---- the supplier ----------------------------------------------------------------

    fn deliver_again(&mut self) {
        let date = self.recent_date(1);
        let mut world = self.year.sim.lock();
        world.profiles.entry(date).or_default().dump = DumpKind::Whole;
        world.write_dump(date);
    }

    fn deliver_under_old_name(&mut self, date: NaiveDate) {
        let mut world = self.year.sim.lock();
        let Some(body) = zip::dump(DumpKind::Whole, date, 4096) else { return };
        let (bucket, key) = (world.names.dump_bucket.clone(), world.names.old_dump_key_of(date));
        world.person_writes(&bucket, &key, body);
    }

    // ---- operators -------------------------------------------------------------------

    fn load_by_hand(&mut self) {
        let date = self.recent_date(BY_HAND_FROM_DAYS);
        let mut world = self.year.sim.lock();
        let bare = world.copies(date).values().all(|copies| *copies == 0);
        let exported = world.export_tasks(Some(&world.names.backdated_id(date)), None).is_ok();
        if bare && !exported {
            let now = world.now();
            world.person_runs_task(Some(date));
            self.year.book.lock().unwrap().by_hand.insert(date, now);
        } else {
            world.person_runs_task(None);
        }
    }

    fn draw_request(&mut self) -> Request {
        let date = self.recent_date(5);
        match self.random.u8(0..9) {
            0 | 1 => {
                let until = self.year.now() + TimeDelta::minutes(self.random.i64(10..4_000));
                Request::Pause { until }
            }
            2 => Request::Resume,
            3 | 4 => Request::Retry { date },
            5 => Request::Cancel,
            6 => Request::Scan,
            _ => Request::Heal { dates: vec![date], max_runs: None },
        }
    }

    async fn request(&mut self, request: Request) {
        let clock = Arc::new(self.year.clock.clone());
        for _ in 0..REQUEST_TRIES {
            let store = Arc::new(self.year.store.clone());
            let Ok(mut ledger) = Ledger::open(store, Arc::clone(&clock) as _, "person").await
            else {
                continue;
            };
            let asked = Asked { by: "person".to_owned(), reason: None, ticket: None };
            if ledger.append_request("liberator", request.clone(), asked).await.is_ok() {
                self.tell(format!("asks: {request:?}"));
                return;
            }
        }
        self.tell(format!("could not ask: {request:?}"));
    }

    fn change_configuration(&mut self) {
        let mut policy = self.year.policy();
        let date = self.recent_date(3);
        match self.random.u8(0..9) {
            8 => {
                policy.gone = true;
                let returns = self.year.now() + TimeDelta::minutes(self.random.i64(1..2_000));
                self.agenda.push((returns, Act::DatasetReturns));
            }
            0 => drop(policy.deny.insert(date)),
            1 => policy.deny.clear(),
            2 => drop(policy.waive.insert(date)),
            3 => drop(policy.allow.insert(date)),
            4 => policy.hold = ["upload", "run", "never"][self.random.usize(0..3)],
            5 => policy.mode = ["observe", "allowlist"][self.random.usize(0..2)],
            6 => policy.mode = "auto",
            _ => {
                let tomorrow = self.year.now().date_naive() + TimeDelta::days(1);
                policy.freeze = [tomorrow].into();
            }
        }
        self.tell(format!("configures {policy:?}"));
        self.year.configure(policy);
    }

    /// Every noon: what hangs is stopped, and who is stopped by failures is told to go on.
    pub(super) async fn tidy_up(&mut self) {
        let stopped = {
            let book = self.year.book.lock().unwrap();
            let state = book.replayed.datasets.get("liberator");
            state.is_some_and(|state| state.failures_in_row >= 3)
        };
        if stopped && (self.year.is_calm() || self.random.bool()) {
            self.request(Request::Resume).await;
        }
        let mut world = self.year.sim.lock();
        self.year.journal.keep_faults(&world);
        world.forget_calls();
        stop_hanging_tasks(&mut world);
        stop_hanging_workflows(&mut world);
    }

    /// The end of the faults: the weather is good, and people take back what they did.
    pub(super) async fn undo_everything(&mut self) {
        self.agenda.clear();
        self.storm_ends();
        for host in 0..2 {
            self.clock_steps(host, TimeDelta::zero());
        }
        self.hosts[1].stop();
        {
            let mut world = self.year.sim.lock();
            world.set_instance_status("available");
            if world.rule_history().last().is_some_and(|change| change.who == "operator") {
                world.set_trigger(RuleSetting::Enabled, "operator");
            }
        }
        let mut policy = self.year.policy();
        policy.mode = "auto";
        policy.gone = false;
        policy.freeze.clear();
        self.year.configure(policy);
        self.request(Request::Resume).await;
    }

    // ---- small things ----------------------------------------------------------------

    fn happens(&mut self, per_mille: u16) -> bool {
        self.random.u16(0..1000) < per_mille
    }

    /// A date of the window that is so old at least.
    fn recent_date(&mut self, days_old: i64) -> NaiveDate {
        let today = self.year.now().date_naive();
        today - TimeDelta::days(self.random.i64(days_old..LOOKBACK_DAYS))
    }

    fn tell(&self, what: impl AsRef<str>) {
        self.year.journal.say(self.year.now(), "people", what);
    }
}

fn stop_hanging_tasks(world: &mut World) {
    let long_ago = world.now() - TimeDelta::hours(HANGS_AFTER_HOURS);
    let ours =
        |who: &Option<String>| who.as_ref().is_some_and(|who| who.starts_with("gapmend/lib"));
    let hanging: Vec<_> = world
        .tasks()
        .into_iter()
        .filter(|task| task.last_status != TaskStatus::Stopped && task.created_at < long_ago)
        .filter(|task| !ours(&task.started_by))
        .map(|task| task.arn.clone())
        .collect();
    let cluster = world.names.cluster.clone();
    for arn in hanging {
        world.stop_task(&cluster, &arn, "a person: it hangs").expect("the task is there");
    }
}

fn stop_hanging_workflows(world: &mut World) {
    let long_ago = world.now() - TimeDelta::hours(HANGS_AFTER_HOURS);
    for name in [world.names.live_workflow.clone(), world.names.backdated_workflow.clone()] {
        let runs = world.workflow_runs(&name).unwrap_or_default();
        for run in runs.iter().filter(|run| run.is_running() && run.started_at < long_ago) {
            world.stop_workflow_run(&name, &run.id).expect("it is running");
        }
    }
}
