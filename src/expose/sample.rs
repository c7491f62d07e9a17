//! A night to look at: one dataset with every kind of date, a run in progress and a past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::config::{
    self, Arrival, DatasetSettings, Environment, HoldPolicy, Mode, TriggerSettings,
};
use crate::daemon::{ConfigReport, DatasetReport, Names, Report};
use crate::domain::{
    DateStatus, Dump, FailureReason, Flag, Network, PassOutcome, RunOutcome, Stage, TableId,
    TableList, TableVolumes, TriggerState, Volume, VolumeBook, VolumeLimits,
};
use crate::ledger::state::{
    Acting, LoadRecord, PassRecord, RunEnd, StageRecord, UploadEnd, UploadHold,
};
use crate::ledger::{
    Asked, DatasetState, Hold, HoldStep, HoldWhy, Process, Repeat, Run, State, Trace, Upload,
    UploadOutcome,
};
use crate::observe::{DateDumps, LandingView};
use crate::plan::{Candidate, Census, DateVerdict, Gap, Newest, Plan, Rest};
use crate::platform::TaskRequest;

pub(super) const NAME: &str = "liberator";

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The moment at which the samples are looked at.
pub(super) fn now() -> DateTime<Utc> {
    at("2026-03-15T06:30:00Z")
}

pub(super) fn dump(date: NaiveDate) -> Dump {
    Dump {
        key: format!("parking/liberator_dump_{}.zip", date.format("%y%m%d")),
        size: 1_610_612_736,
        etag: "9b2cf535f27731c974343645a3985328".to_owned(),
        last_modified: date.and_hms_opt(23, 7, 42).unwrap().and_utc(),
        archived: None,
    }
}

/// A date's dumps, as a look has them.
pub(super) fn dumps(date: NaiveDate, dumps: Vec<Dump>) -> DateDumps {
    let all = BTreeMap::from([(date, Arc::new(dumps))]);
    LandingView { dumps: Arc::new(all), ..LandingView::default() }.dumps_of(date)
}

/// Every date of the window is available, except these.
fn exceptions() -> BTreeMap<NaiveDate, (DateStatus, &'static str, &'static str)> {
    use DateStatus as S;
    [
        ("2025-12-25", S::NotExpected, "except.christmas: no enforcement", "nothing"),
        ("2025-12-26", S::NotExpected, "except.christmas: no enforcement", "nothing"),
        ("2026-01-11", S::Waived, "waive.migration: the supplier moved house", "nothing"),
        (
            "2026-01-20",
            S::Partial,
            "16 of 17 tables have it; liberator_pcn_audit lacks it",
            "a person decides: re-running would duplicate the 16 others",
        ),
        (
            "2026-01-28",
            S::Empty,
            "catalogued, but without objects",
            "check the raw zone's lifecycle rule; then `gapmend retry 2026-01-28`",
        ),
        (
            "2026-02-02",
            S::Unregistered,
            "objects, but no catalog entry",
            "run the raw zone's crawler",
        ),
        (
            "2026-02-05",
            S::Unpublished,
            "no table has it, but the copy holds 34 files of 17 tables, exactly those of export sql-to-parquet-26-02-05-231500",
            "it is queued: the workflow publishes it, nothing is loaded",
        ),
        (
            "2026-02-08",
            S::NoDump,
            "no dump under parking/ names this date",
            "ask the supplier, then `gapmend upload`",
        ),
        (
            "2026-02-09",
            S::NoDump,
            "no dump under parking/ names this date",
            "ask the supplier, then `gapmend upload`",
        ),
        (
            "2026-02-13",
            S::BadDump,
            "the dump has 12 bytes, fewer than min_size 1024",
            "ask the supplier for it again",
        ),
        (
            "2026-02-17",
            S::Quarantined,
            "3 attempts failed; the last: task exited 1",
            "look at the log, then `gapmend retry 2026-02-17`",
        ),
        ("2026-02-18", S::BackingOff, "attempt 1 failed: task exited 1", "tried again by itself"),
        ("2026-02-21", S::NotAllowed, "deny.audit: frozen for the auditors", "remove deny.audit"),
        ("2026-03-03", S::Missing, "the dump is there, 17 tables lack the date", "queued, second"),
        ("2026-03-04", S::Missing, "the dump is there, 17 tables lack the date", "queued, first"),
        ("2026-03-05", S::Running, "run liberator/2026-03-05/1, stage export", "wait for the run"),
        ("2026-03-12", S::TooYoung, "3 days old: still the nightly's", "healable from 2026-03-19"),
        ("2026-03-15", S::NotDue, "arrives by 23:45", "wait for the live run"),
    ]
    .into_iter()
    .map(|(text, status, reason, next)| (date(text), (status, reason, next)))
    .collect()
}

fn verdict(day: NaiveDate) -> DateVerdict {
    let (status, reason, next) = exceptions().get(&day).copied().unwrap_or((
        DateStatus::Available,
        "17 of 17 tables have it",
        "nothing",
    ));
    let lacking = TableId {
        database: "dataplatform-prod-liberator-raw-zone".to_owned(),
        table: "liberator_pcn_audit".to_owned(),
    };
    let having = TableId { table: "liberator_pcn_tickets".to_owned(), ..lacking.clone() };
    DateVerdict {
        date: day,
        in_window: true,
        status,
        reason: reason.into(),
        next: next.into(),
        until: [
            (DateStatus::BackingOff, at("2026-03-15T07:00:00Z")),
            (DateStatus::TooYoung, at("2026-03-19T00:00:00Z")),
        ]
        .into_iter()
        .find_map(|(which, until)| (which == status).then_some(until)),
        flags: match day.to_string().as_str() {
            "2026-01-20" => BTreeSet::from([Flag::Duplicated]),
            ODD_DAY => BTreeSet::from([Flag::OddVolume]),
            _ => BTreeSet::new(),
        },
        dumps: if status == DateStatus::NoDump {
            DateDumps::default()
        } else {
            dumps(day, vec![dump(day)])
        },
        tables_present: [(DateStatus::Available, 17), (DateStatus::Partial, 16)]
            .into_iter()
            .find_map(|(which, number)| (which == status).then_some(number))
            .unwrap_or(0),
        tables_expected: 17,
        tables_missing: (status == DateStatus::Partial).then_some(lacking).into_iter().collect(),
        takes_up: status == DateStatus::Unpublished,
        tables_having: (status == DateStatus::Partial).then_some(having).into_iter().collect(),
    }
}

fn gaps(dates: &[DateVerdict]) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for verdict in dates.iter().filter(|verdict| verdict.status.is_gap()) {
        match gaps.last_mut() {
            Some(gap) if gap.status == verdict.status && gap.to + Days::new(1) == verdict.date => {
                gap.to = verdict.date;
                gap.dates += 1;
            }
            _ => gaps.push(Gap {
                from: verdict.date,
                to: verdict.date,
                status: verdict.status,
                dates: 1,
            }),
        }
    }
    gaps
}

/// The date of which one table has half its bytes.
const ODD_DAY: &str = "2026-01-15";

/// What two of the tables have of each date.
fn volumes(today: NaiveDate) -> VolumeBook {
    let limits = VolumeLimits { band_percent: Some(40), min_bytes: 1024 };
    let table = |name: &str, mib: u64| {
        let volume = |day: NaiveDate| {
            let part = if day == date(ODD_DAY) && name == "liberator_pcn_tickets" { 2 } else { 1 };
            let noise = u64::from(day.num_days_from_ce().unsigned_abs() % 5);
            Volume { bytes: ((mib << 20) + (noise << 18)) / part, objects: 3 }
        };
        let days = (0..90).rev().map(|back| today - Days::new(back));
        let days = days.filter(|day| !exceptions().contains_key(day));
        let id = TableId {
            database: "dataplatform-prod-liberator-raw-zone".to_owned(),
            table: name.to_owned(),
        };
        TableVolumes::judge(id, limits, days.map(|day| (day, volume(day))).collect())
    };
    VolumeBook::of(vec![table("liberator_pcn_audit", 12), table("liberator_pcn_tickets", 800)])
}

/// Ninety days with every status.
pub(super) fn census() -> Census {
    let today = date("2026-03-15");
    let dates: Vec<DateVerdict> =
        (0..90).rev().map(|back| verdict(today - Days::new(back))).collect();
    Census {
        scanned_at: at("2026-03-15T04:00:00Z"),
        today,
        gaps: gaps(&dates),
        dates,
        whole_through: Some(date("2026-01-19")),
        latest_available: Some(date("2026-03-14")),
        oldest_gap: Some(date("2026-01-20")),
        latest_due: Some(date("2026-03-14")),
        dates_behind: 54,
        tables_expected: 17,
        noise: 3,
        problem: None,
        ignored_tables: TableList::default(),
        volumes: volumes(today),
        ignored_why: Vec::new(),
    }
}

fn candidate(day: &str) -> Candidate {
    Candidate {
        date: date(day),
        attempt: 1,
        dump: dump(date(day)),
        asked: Asked::schedule(),
        permitted_by: "mode auto".to_owned(),
        takes_up: false,
    }
}

pub(super) fn queue() -> Vec<Candidate> {
    vec![candidate("2026-03-04"), candidate("2026-03-03")]
}

/// A plan that waits for the run in progress.
pub(super) fn plan() -> Plan {
    Plan {
        census: Some(census()),
        queue: queue(),
        step: Err(Rest::InProgress {
            run: "liberator/2026-03-05/1".to_owned(),
            stage: Stage::Export,
            detail: "export sql-to-parquet-2026-03-05-backdated is at 42 %".to_owned(),
        }),
        wake_at: at("2026-03-15T06:31:00Z"),
    }
}

fn task(day: &str) -> TaskRequest {
    TaskRequest {
        cluster: "dataplatform-prod-workers".to_owned(),
        task_definition: "liberator-to-rds-snapshot".to_owned(),
        container: "liberator-to-rds-snapshot".to_owned(),
        environment: [("IMPORT_DATE_OVERRIDE".to_owned(), day.to_owned())].into(),
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            security_groups: vec!["sg-1".to_owned()],
            assign_public_ip: false,
        },
        platform_version: None,
        client_token: "0f5e1c2a".to_owned(),
        started_by: format!("gapmend/{day}/1"),
    }
}

fn stage(stage: Stage, from: &str, to: &str, detail: &str) -> StageRecord {
    StageRecord { stage, started_at: at(from), ended_at: at(to), detail: detail.to_owned() }
}

/// The run in progress.
pub(super) fn active_run() -> Run {
    Run {
        id: "liberator/2026-03-05/1".to_owned(),
        dataset: NAME.to_owned(),
        date: date("2026-03-05"),
        attempt: 1,
        seq: 40,
        started_at: at("2026-03-15T04:01:00Z"),
        stage: Stage::Export,
        stage_since: at("2026-03-15T06:08:00Z"),
        stages: vec![
            stage(Stage::Preflight, "2026-03-15T04:00:40Z", "2026-03-15T04:01:00Z", "clear"),
            stage(Stage::Load, "2026-03-15T04:01:00Z", "2026-03-15T05:58:00Z", "task exited 0"),
            stage(Stage::Snapshot, "2026-03-15T05:58:00Z", "2026-03-15T06:08:00Z", "available"),
        ],
        dump: Some(dump(date("2026-03-05"))),
        asked: Asked::schedule(),
        permitted_by: "mode auto".to_owned(),
        tables_expected: 17,
        config: "3f0a".to_owned(),
        version: "0.1.0".to_owned(),
        load: Some(LoadRecord {
            task: task("2026-03-05"),
            intended_at: at("2026-03-15T04:01:00Z"),
            task_arn: Some(
                "arn:aws:ecs:eu-west-2:111122223333:task/dataplatform-prod-workers/8f3e".to_owned(),
            ),
            submitted_at: Some(at("2026-03-15T04:01:01Z")),
        }),
        tables_before: Some(0),
        traces: [(Trace::Snapshot, "sql-to-parquet-2026-03-05-backdated".to_owned())].into(),
        cancelled_by: None,
        stopping: None,
        publish_intended: Vec::new(),
        workflow_runs_judged: Vec::new(),
        workflow_runs_seen: Vec::new(),
        workflow_run: None,
        end: None,
    }
}

/// A run that failed the night before.
pub(super) fn failed_run() -> Run {
    let mut run = active_run();
    run.id = "liberator/2026-02-18/1".to_owned();
    run.date = date("2026-02-18");
    run.started_at = at("2026-03-14T04:01:00Z");
    run.stage = Stage::Load;
    run.traces.clear(); // it ended before there was a snapshot
    run.stages = vec![
        stage(Stage::Preflight, "2026-03-14T04:00:40Z", "2026-03-14T04:01:00Z", "clear"),
        stage(Stage::Load, "2026-03-14T04:01:00Z", "2026-03-14T04:33:00Z", "task exited 1"),
    ];
    run.dump = Some(dump(run.date));
    run.asked = Asked {
        by: "arn:aws:sts::111122223333:assumed-role/operator/kim".to_owned(),
        reason: Some("the finance report needs it".to_owned()),
        ticket: Some("DP-123".to_owned()),
    };
    run.end = Some(RunEnd {
        at: at("2026-03-14T04:33:00Z"),
        outcome: RunOutcome::Failed,
        reason: Some(FailureReason::Failed),
        detail: "task exited 1: Essential container in task exited".to_owned(),
        log_tail: vec!["ERROR 1045 (28000): Access denied for user".to_owned()],
        repeat: Repeat::FromTheTop,
        tables_present: Some(0),
    });
    run
}

/// A run that healed its date.
pub(super) fn healed_run() -> Run {
    let mut run = failed_run();
    run.id = "liberator/2026-03-06/1".to_owned();
    run.date = date("2026-03-06");
    run.stage = Stage::Verify;
    let id = "sql-to-parquet-2026-03-06-backdated".to_owned();
    run.traces = [(Trace::Snapshot, id.clone()), (Trace::Export, id)].into();
    run.asked = Asked::schedule();
    run.started_at = at("2026-03-14T04:35:00Z");
    run.stages = vec![
        stage(Stage::Load, "2026-03-14T04:35:00Z", "2026-03-14T06:31:00Z", "task exited 0"),
        stage(Stage::Verify, "2026-03-14T09:31:00Z", "2026-03-14T09:32:00Z", "17 of 17 tables"),
    ];
    run.end = Some(RunEnd {
        at: at("2026-03-14T09:32:00Z"),
        outcome: RunOutcome::Succeeded,
        reason: None,
        detail: "17 of 17 tables have it".to_owned(),
        log_tail: Vec::new(),
        repeat: Repeat::FromTheTop,
        tables_present: Some(17),
    });
    run
}

/// A dump that came late and was put where it belongs.
pub(super) fn upload() -> Upload {
    Upload {
        id: "up-4f1c2a".to_owned(),
        dataset: NAME.to_owned(),
        date: date("2026-02-08"),
        bucket: "dataplatform-prod-liberator-data-storage".to_owned(),
        key: "parking/liberator_dump_260208.zip".to_owned(),
        size: 734_003_200,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        replaces: None,
        live: false,
        asked: Asked {
            by: "arn:aws:iam::111122223333:user/ada".to_owned(),
            reason: Some("sent by mail".to_owned()),
            ticket: None,
        },
        process: Process {
            host: "ops".to_owned(),
            realm: String::new(),
            pid: 4242,
            process_start: 0,
        },
        intended_at: at("2026-03-15T06:12:00Z"),
        parts: None,
        ready: None,
        writing_at: Some(at("2026-03-15T06:22:10Z")),
        holds: 1,
        end: Some(UploadEnd {
            at: at("2026-03-15T06:22:14Z"),
            outcome: UploadOutcome::Written,
            detail: "written under the hold".to_owned(),
        }),
        hold: Some(UploadHold {
            broken: false,
            disabled_at: Some(at("2026-03-15T06:20:05Z")),
            enabled_at: Some(at("2026-03-15T06:37:20Z")),
            closed_at: at("2026-03-15T06:52:21Z"),
            detail: "enabled by us; nothing landed meanwhile".to_owned(),
            fired: Vec::new(),
        }),
    }
}

/// A hold for an upload.
pub(super) fn hold() -> Hold {
    Hold {
        id: "hold-1".to_owned(),
        dataset: NAME.to_owned(),
        rule: "liberator-to-rds-snapshot-event".to_owned(),
        event_bus: "default".to_owned(),
        prior_state: "ENABLED".to_owned(),
        why: HoldWhy::Upload {
            date: date("2026-02-08"),
            key: "parking/liberator_dump_260208.zip".to_owned(),
        },
        begun_at: at("2026-03-15T06:20:00Z"),
        until: at("2026-03-15T07:50:00Z"),
        dead_man: None,
        steps: [
            (HoldStep::Armed, at("2026-03-15T06:20:03Z")),
            (HoldStep::Disabled, at("2026-03-15T06:20:05Z")),
        ]
        .into(),
    }
}

pub(super) fn state() -> State {
    let passes = [
        ("2026-03-14T04:33:10Z", PassOutcome::Error, "glue:GetPartitions answered throttled"),
        ("2026-03-14T09:32:00Z", PassOutcome::Healed, "2026-03-06: 17 of 17 tables have it"),
        ("2026-03-15T04:01:00Z", PassOutcome::Started, "2026-03-05 attempt 1"),
    ];
    let dataset = DatasetState {
        enqueued: [
            (date("2026-03-03"), at("2026-03-10T04:00:00Z")),
            (date("2026-03-04"), at("2026-03-11T04:00:00Z")),
        ]
        .into(),
        passes: passes
            .into_iter()
            .map(|(when, outcome, detail)| PassRecord {
                at: at(when),
                outcome,
                detail: detail.to_owned(),
            })
            .collect(),
        overlaps: 1,
        ..DatasetState::default()
    };
    State {
        seq: 42,
        loss: None,
        acting: Acting {
            epoch: 7,
            writer: Some("host-1/812/run".to_owned()),
            since: Some(at("2026-03-10T03:00:00Z")),
            process: None,
        },
        datasets: [(NAME.to_owned(), dataset)].into(),
        runs: vec![failed_run(), healed_run(), active_run()],
        holds: BTreeMap::new(),
        uploads: Vec::new(),
    }
}

/// The Liberator feed, in mode auto.
pub(super) fn settings() -> Arc<DatasetSettings> {
    let text = include_str!("../../config/liberator.toml")
        .replace("mode = \"observe\"", "mode = \"auto\"");
    let loaded = config::load_text(&text, &Environment::default(), now()).unwrap();
    Arc::clone(&loaded.settings.datasets[NAME])
}

/// The rule that fires the live run.
pub(super) fn rule() -> TriggerSettings {
    TriggerSettings {
        rule: "liberator-to-rds-snapshot-event".to_owned(),
        event_bus: "default".to_owned(),
        arrival: Arrival::Learned,
        hold: HoldPolicy::Upload,
        propagation: Duration::from_mins(2),
        settle: Duration::from_mins(15),
        max_hold: Duration::from_mins(90),
        dead_man: None,
        ignore_disabled: false,
    }
}

/// A report in which the trigger is held for an upload.
pub(super) fn holding_report() -> Report {
    let mut report = report();
    let mut ledger = state();
    ledger.holds.insert("hold-1".to_owned(), hold());
    report.ledger = Arc::new(ledger);
    if let Some(dataset) = report.datasets.get_mut(NAME) {
        dataset.trigger = TriggerState::Held;
        dataset.trigger_disabled_since = Some(at("2026-03-15T06:20:05Z"));
    }
    report
}

/// A report of a busy night.
pub(super) fn report() -> Report {
    let plan = plan();
    let dataset = DatasetReport {
        settings: settings(),
        mode: Mode::Auto,
        lag_objective_dates: 8,
        census: plan.census.map(Arc::new),
        queue: plan.queue,
        rest: plan.step.err(),
        trigger: TriggerState::Enabled,
        trigger_disabled_since: None,
        next_arrival_at: Some(at("2026-03-15T23:05:00Z")),
        latest_dump: Some(date("2026-03-14")),
        last_pass: Some((
            at("2026-03-15T06:29:00Z"),
            PassOutcome::Waiting,
            "export at 42 %".to_owned(),
        )),
        last_scan_at: Some(at("2026-03-15T04:00:00Z")),
        stage_percent: Some(42),
        paused_until: None,
        stopped: false,
        newest: Some(Newest {
            date: date("2026-03-14"),
            ready_by: at("2026-03-15T06:00:00Z"),
            arrived: true,
            whole: true,
        }),
        rescue_until: None,
        stage_deadlines: Stage::ALL.map(|stage| (stage, Duration::from_hours(4))).into(),
        names: Names {
            rule: "liberator-to-rds-snapshot-event".to_owned(),
            event_bus: "default".to_owned(),
            landing: "s3://dataplatform-prod-liberator-data-storage/parking/".to_owned(),
        },
    };
    Report {
        started_at: at("2026-03-10T03:00:00Z"),
        last_tick_at: at("2026-03-15T06:29:55Z"),
        acting: true,
        not_acting: None,
        ledger_problem: None,
        next_scan_at: Some(at("2026-03-16T04:00:00Z")),
        ledger: Arc::new(state()),
        datasets: [(NAME.to_owned(), dataset)].into(),
        region: "eu-west-2".to_owned(),
        config: ConfigReport::read(at("2026-03-10T03:00:00Z")),
    }
}

/// A report of a first start: nothing was looked at yet.
pub(super) fn first_report() -> Report {
    let mut report = report();
    report.ledger = Arc::new(State::default());
    if let Some(dataset) = report.datasets.get_mut(NAME) {
        dataset.census = None;
        dataset.queue.clear();
        dataset.rest = None;
        dataset.trigger = TriggerState::Unknown;
        dataset.last_pass = None;
        dataset.last_scan_at = None;
        dataset.latest_dump = None;
        dataset.next_arrival_at = None;
        dataset.stage_percent = None;
        dataset.newest = None;
    }
    report
}
