//! A night to decide about: twenty days, two tables, everything whole; tests spoil it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Duration, NaiveDate, Utc};

use crate::config::{self, DatasetSettings, DeadManSettings, Environment, NamedDates};
use crate::domain::{
    Blindness, CopyState, Coverage, DateSet, DateSpan, DateStatus, Dump, ErrorClass, Export,
    ExportStatus, Network, Rule, RuleState, RuleTarget, RunOutcome, Seen, Snapshot, Stage,
    TableCoverage, TableId, Task, TaskState,
};
use crate::ledger::{Asked, Entry, Event, Hold, HoldStep, HoldWhy, Repeat, Request, State};
use crate::observe::{Confirmation, LandingView, Observation, RunView, Scan, Traffic, Watch};
use crate::plan::{self, Night, Plan};
use crate::platform::TaskRequest;

const LIBERATOR: &str = include_str!("../../../config/liberator.toml");
pub(super) const TABLES: [&str; 2] = ["liberator_hub", "liberator_pcn"];

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The day that the tests spoil: old enough to be healed.
pub(super) fn gap() -> NaiveDate {
    date("2026-06-15")
}

pub(super) fn first() -> NaiveDate {
    date("2026-06-10")
}

pub(super) fn today() -> NaiveDate {
    date("2026-06-30")
}

pub(super) fn entry(dates: &str, reason: &str) -> NamedDates {
    NamedDates {
        dates: vec![dates.parse::<DateSpan>().unwrap()],
        reason: reason.to_owned(),
        owner: None,
        ticket: None,
        until: None,
    }
}

/// The Liberator feed, made to act.
pub(super) fn dataset() -> &'static DatasetSettings {
    static DATASET: OnceLock<Arc<DatasetSettings>> = OnceLock::new();
    DATASET.get_or_init(|| {
        let text = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"");
        let now = at("2026-06-30T12:00:00Z");
        let loaded = config::load_text(&text, &Environment::default(), now);
        let settings = loaded.unwrap_or_else(|problems| panic!("{problems}")).settings;
        Arc::clone(&settings.datasets["liberator"])
    })
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: DateTime<Utc>,
    pub(super) dataset: DatasetSettings,
    pub(super) ledger: State,
    pub(super) catalogued: BTreeMap<&'static str, BTreeSet<NaiveDate>>,
    pub(super) stored: BTreeMap<&'static str, BTreeSet<NaiveDate>>,
    pub(super) optional: BTreeSet<&'static str>,
    pub(super) landing: LandingView,
    pub(super) exports: BTreeMap<NaiveDate, crate::domain::Export>,
    pub(super) copies: BTreeMap<NaiveDate, CopyState>,
    pub(super) blind: bool,
    pub(super) watch: Watch,
    pub(super) confirmed: bool,
    pub(super) night: Night,
}

impl World {
    /// Noon; every date but today's is whole.
    pub(super) fn whole() -> Self {
        let now = at("2026-06-30T12:00:00Z");
        let dates: BTreeSet<NaiveDate> = (0..20).map(|day| first() + Duration::days(day)).collect();
        let by_table: BTreeMap<_, _> = TABLES.map(|table| (table, dates.clone())).into();
        let dumps = dates.iter().map(|date| (*date, vec![dump(*date)].into())).collect();
        Self {
            now,
            dataset: DatasetSettings { copy: None, ..dataset().clone() },
            ledger: State::default(),
            catalogued: by_table.clone(),
            stored: by_table,
            optional: BTreeSet::new(),
            landing: LandingView {
                dumps: Arc::new(dumps),
                usual_arrival_seconds: Some(22 * 3600 + 35 * 60),
                ..LandingView::default()
            },
            exports: BTreeMap::new(),
            copies: BTreeMap::new(),
            blind: false,
            watch: Watch {
                trigger: crate::observe::TriggerView::default(),
                at: now,
                rule: Some(Seen::Known(rule())),
                tasks: Seen::Known(Vec::new()),
                traffic: Some(Seen::Known(Traffic::default())),
                run: None,
            },
            confirmed: true,
            night: Night {
                began_at: at("2026-06-30T03:00:00Z"),
                ends_at: at("2026-07-01T03:00:00Z"),
                max_runs: None,
                only: None,
            },
        }
    }

    /// The same with one gap.
    pub(super) fn with_gap() -> Self {
        let mut world = Self::whole();
        world.lose(gap());
        world
    }

    pub(super) fn dumps(&mut self) -> &mut BTreeMap<NaiveDate, Arc<Vec<Dump>>> {
        Arc::make_mut(&mut self.landing.dumps)
    }

    /// The rule, to be changed.
    pub(super) fn rule(&mut self) -> &mut Rule {
        match self.watch.rule.as_mut() {
            Some(Seen::Known(rule)) => rule,
            Some(Seen::Blind(_)) | None => panic!("the rule is seen"),
        }
    }

    /// What is seen of the run, to be changed.
    pub(super) fn view(&mut self) -> &mut RunView {
        match self.watch.run.as_mut() {
            Some(Seen::Known(view)) => view,
            Some(Seen::Blind(_)) | None => panic!("the run is seen"),
        }
    }

    /// Nothing but the rule's state is in the way of a hold.
    pub(super) fn may_hold(&mut self) {
        self.watch.trigger.clock_skew = Some(Seen::Known(Some(Duration::zero())));
        let trigger = self.dataset.trigger.as_mut().unwrap();
        trigger.dead_man = Some(DeadManSettings::Accepted);
    }

    /// Today's dump landed in a hold.
    pub(super) fn sweep(&mut self, at: DateTime<Utc>, missed: bool) {
        let (dataset, date) = ("liberator".to_owned(), today());
        let Dump { key, etag, .. } = dump(date);
        self.note(at, vec![Event::LiveDumpSwept { dataset, date, key, etag, missed }]);
    }

    /// No table has the date.
    pub(super) fn lose(&mut self, date: NaiveDate) {
        for table in TABLES {
            self.catalogued.get_mut(table).unwrap().remove(&date);
            self.stored.get_mut(table).unwrap().remove(&date);
        }
    }

    /// Writes an entry into the ledger.
    pub(super) fn note(&mut self, at: DateTime<Utc>, events: Vec<Event>) {
        let entry = Entry {
            v: 1,
            seq: self.ledger.seq + 1,
            at,
            epoch: 1,
            writer: "test".to_owned(),
            nonce: String::new(),
            events,
        };
        self.ledger.apply(&entry).unwrap();
    }

    pub(super) fn request(&mut self, at: DateTime<Utc>, request: Request) {
        let asked = Asked { by: "someone".to_owned(), reason: None, ticket: None };
        let event = Event::Requested { dataset: "liberator".to_owned(), request, asked };
        self.note(at, vec![event]);
    }

    /// A run begins, as far as the intent of its load.
    pub(super) fn begin(&mut self, at: DateTime<Utc>, date: NaiveDate, stage: Stage) -> String {
        let attempt = u32::try_from(self.ledger.runs_of("liberator", date).count()).unwrap() + 1;
        let run = format!("liberator/{date}/{attempt}");
        let mut events = vec![Event::RunStarted {
            run: run.clone(),
            dataset: "liberator".to_owned(),
            date,
            attempt,
            stage,
            dump: Some(dump(date)),
            asked: Asked::schedule(),
            permitted_by: "mode auto".to_owned(),
            tables_expected: 2,
            tables_before: Some(0),
            config: String::new(),
            version: String::new(),
            preflight_at: at,
        }];
        if stage == Stage::Load {
            events.push(Event::LoadIntended { run: run.clone(), task: task_request(&run) });
        }
        self.note(at, events);
        run
    }

    pub(super) fn end(&mut self, at: DateTime<Utc>, outcome: RunOutcome, repeat: Repeat) {
        let run = self.ledger.active_run().unwrap();
        let event = Event::RunEnded {
            run: run.id.clone(),
            outcome,
            stage: run.stage,
            reason: None,
            detail: "it ended".to_owned(),
            log_tail: Vec::new(),
            repeat,
            tables_present: (outcome == RunOutcome::Succeeded).then_some(2),
        };
        self.note(at, vec![event]);
    }

    pub(super) fn fail(&mut self, at: DateTime<Utc>, date: NaiveDate, repeat: Repeat) {
        self.begin(at, date, Stage::Load);
        self.end(at, RunOutcome::Failed, repeat);
    }

    pub(super) fn observation(&self) -> Observation {
        let scan =
            if self.blind { Seen::Blind(vec![blindness()]) } else { Seen::Known(self.scan()) };
        Observation { scan, watch: self.watch.clone(), confirmed: None }
    }

    /// Decides, after the closer look that the plan asks for.
    pub(super) fn plan(&self) -> Plan {
        let mut seen = self.observation();
        let planned = plan::plan(&self.ledger, &seen, &self.dataset, &self.night, self.now);
        let Ok(plan::Step::Confirm { date }) = planned.step else { return planned };
        if !self.confirmed {
            return planned;
        }
        seen.confirmed = Some(Seen::Known(self.look_at(date)));
        plan::plan(&self.ledger, &seen, &self.dataset, &self.night, self.now)
    }

    pub(super) fn status(&self, date: NaiveDate) -> DateStatus {
        self.plan().census.unwrap().verdict(date).unwrap().status
    }

    fn scan(&self) -> Scan {
        let window: Vec<_> = (0..=20).map(|day| first() + Duration::days(day)).collect();
        let set = |dates: &BTreeSet<NaiveDate>| dates.iter().copied().collect::<DateSet>();
        let table = |name: &&'static str| TableCoverage {
            id: table_id(name),
            source: "parking".to_owned(),
            optional: self.optional.contains(name),
            catalogued: set(&self.catalogued[name]),
            stored: Some(set(&self.stored[name])),
            begins: Some(first() - Duration::days(1000)),
            sample: None,
            written_twice: DateSet::default(),
            spelled: crate::domain::OddSpellings::default(),
        };
        let coverage =
            Coverage { tables: TABLES.iter().map(table).collect(), ..Coverage::default() };
        Scan {
            at: self.now,
            today: today(),
            window,
            named: BTreeSet::new(),
            landing: self.landing.clone(),
            coverage,
            exports: self.exports.clone(),
            copies: self.copies.iter().map(|(date, it)| (*date, Seen::Known(it.clone()))).collect(),
        }
    }

    pub(super) fn look_at(&self, date: NaiveDate) -> Confirmation {
        let has = |of: &BTreeMap<&str, BTreeSet<NaiveDate>>, table: &str| of[table].contains(&date);
        let tables_where = |wanted: fn(bool, bool) -> bool| {
            let names = TABLES
                .iter()
                .filter(|name| wanted(has(&self.catalogued, name), has(&self.stored, name)));
            names.map(|name| table_id(name)).collect()
        };
        Confirmation {
            date,
            at: self.now,
            whole: tables_where(|catalogued, stored| catalogued && stored),
            half: tables_where(|catalogued, stored| catalogued != stored),
            exported: None,
            tables: TABLES.iter().map(|name| table_id(name)).collect(),
            written: BTreeMap::new(),
            spelled: BTreeMap::new(),
            dumps: self.landing.dumps.get(&date).cloned().unwrap_or_default(),
            dump_fault: self.landing.faults.get(&date).cloned(),
            export: self.exports.get(&date).cloned(),
            copy: self
                .dataset
                .copy
                .as_ref()
                .map(|_| self.copies.get(&date).cloned().unwrap_or_default()),
        }
    }
}

pub(super) fn table_id(name: &str) -> TableId {
    TableId { database: "raw".to_owned(), table: name.to_owned() }
}

pub(super) fn blindness() -> Blindness {
    Blindness { what: "it".to_owned(), why: "fog".to_owned(), class: ErrorClass::Throttled }
}

pub(super) fn dump(date: NaiveDate) -> Dump {
    Dump {
        key: format!("parking/liberator_dump_{}.zip", date.format("%Y%m%d")),
        size: 4096,
        etag: date.to_string(),
        last_modified: date.and_hms_opt(23, 5, 0).unwrap().and_utc(),
        archived: None,
    }
}

/// The name of the gap's snapshot and export.
pub(super) const BACKDATED: &str = "sql-to-parquet-2026-06-15-backdated";

pub(super) fn snapshot(id: &str, status: &str, created_at: DateTime<Utc>) -> Snapshot {
    Snapshot {
        id: id.to_owned(),
        arn: "arn".to_owned(),
        status: status.to_owned(),
        percent: None,
        created_at: Some(created_at),
    }
}

pub(super) fn export(status: ExportStatus) -> Export {
    Export {
        id: BACKDATED.to_owned(),
        source_arn: "arn".to_owned(),
        status,
        percent: None,
        started_at: None,
        ended_at: None,
        warning: None,
        failure: None,
    }
}

/// A hold named `h`, without a switch.
pub(super) fn hold(
    dataset: &str,
    why: HoldWhy,
    lasts: [DateTime<Utc>; 2],
    steps: impl IntoIterator<Item = (HoldStep, DateTime<Utc>)>,
) -> Hold {
    let [begun_at, until] = lasts;
    Hold {
        id: "h".to_owned(),
        dataset: dataset.to_owned(),
        rule: rule().name,
        event_bus: "default".to_owned(),
        prior_state: "ENABLED".to_owned(),
        why,
        begun_at,
        until,
        dead_man: None,
        steps: steps.into_iter().collect(),
    }
}

pub(super) fn rule() -> Rule {
    let network = Network {
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
        assign_public_ip: false,
    };
    Rule {
        name: "liberator-to-rds-snapshot-event".to_owned(),
        state: RuleState::Enabled,
        managed_by: None,
        targets: vec![RuleTarget {
            id: "target".to_owned(),
            cluster_arn: "arn".to_owned(),
            task_definition: Some("liberator-to-rds-snapshot:42".to_owned()),
            platform_version: None,
            task_count: Some(1),
            network: Some(network),
            not_copied: Vec::new(),
        }],
        other_targets: Vec::new(),
    }
}

pub(super) fn task_request(run: &str) -> TaskRequest {
    TaskRequest {
        cluster: "workers".to_owned(),
        task_definition: "liberator-to-rds-snapshot:42".to_owned(),
        container: "liberator-to-rds-snapshot".to_owned(),
        environment: BTreeMap::new(),
        network: rule().targets[0].network.clone().unwrap(),
        platform_version: None,
        client_token: run.to_owned(),
        started_by: format!("gapmend/{run}"),
    }
}

pub(super) fn task(arn: &str, started_by: &str, state: TaskState) -> Task {
    Task {
        arn: arn.to_owned(),
        state,
        started_by: Some(started_by.to_owned()),
        date_override: None,
        created_at: None,
        stopped_at: None,
        exit_code: None,
        stopped_reason: None,
    }
}

pub(super) fn live_task() -> Task {
    task("arn/live", "events-rule/liberator", TaskState::Running)
}
