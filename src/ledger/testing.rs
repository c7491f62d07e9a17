//! What the ledger's tests share: a clock that is set by hand, random events, and a
//! scheduler that decides the order of every step.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

use super::event::*;
use super::log::{Appended, Ledger};
use super::store::Store;
use crate::domain::{FailureReason, Network, PassOutcome, RunOutcome, Stage};
use crate::platform::{Clock, TaskRequest};

/// A clock that is set by hand; sleeping moves it on.
#[derive(Clone)]
pub(super) struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new("2022-06-13T04:00:00Z".parse().unwrap())))
    }

    pub(super) fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }

    pub(super) fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::task::yield_now().await;
        self.pass(TimeDelta::from_std(duration).unwrap());
    }
}

/// An event that is legal in every state.
pub(super) fn passed(detail: &str) -> Event {
    Event::Passed {
        dataset: "liberator".to_owned(),
        outcome: PassOutcome::Waiting,
        detail: detail.to_owned(),
    }
}

pub(super) fn asked() -> Asked {
    Asked { by: "someone".to_owned(), reason: Some("why not".to_owned()), ticket: None }
}

/// Polls the futures one step at a time in the order given, then in turn until all are done.
pub(super) fn drive<'a, T>(
    mut futures: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>,
    order: &[usize],
) -> Vec<T> {
    const STEP_LIMIT: usize = 1_000_000;
    let mut context = Context::from_waker(Waker::noop());
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let count = futures.len();
    for turn in order.iter().map(|turn| turn % count).chain((0..STEP_LIMIT).map(|i| i % count)) {
        if done[turn].is_none()
            && let Poll::Ready(value) = futures[turn].as_mut().poll(&mut context)
        {
            done[turn] = Some(value);
        }
        if done.iter().all(Option::is_some) {
            break;
        }
    }
    done.into_iter().map(|value| value.expect("everybody ends within the limit")).collect()
}

/// What the passes of this ledger say.
pub(super) fn details(ledger: &Ledger) -> Vec<String> {
    let dataset = ledger.state().datasets.get("liberator");
    let passes = dataset.map(|dataset| dataset.passes.as_slice()).unwrap_or_default();
    passes.iter().map(|pass| pass.detail.clone()).collect()
}

/// One writer that records so many facts, each exactly once, whatever happens to its calls.
pub(super) async fn insist(
    store: Arc<dyn Store>,
    name: String,
    facts: usize,
) -> Vec<(u64, String)> {
    let clock = TestClock::new();
    let mut ledger = loop {
        match Ledger::open(Arc::clone(&store), clock.shared(), name.as_str()).await {
            Ok(ledger) => break ledger,
            Err(error) => assert!(error.passes(), "{error}"),
        }
    };
    let mut recorded = Vec::new();
    for fact in 0..facts {
        let mark = format!("{name}/{fact}/");
        while !details(&ledger).iter().any(|detail| detail.starts_with(&mark)) {
            let decided_on = ledger.state().seq;
            match ledger.append(vec![passed(&format!("{mark}{decided_on}"))]).await {
                Ok(Appended::Recorded(seq)) => {
                    assert_eq!(seq, decided_on + 1, "an append that succeeds was never behind");
                    recorded.push((seq, format!("{mark}{decided_on}")));
                }
                Ok(Appended::Behind) => assert!(ledger.state().seq > decided_on),
                Err(error) => assert!(error.passes(), "{error}"),
            }
        }
    }
    recorded
}

/// Every fact stands there once, under the number that was acknowledged, and was decided on the
/// entry before it.
pub(super) fn assert_one_log(
    entries: &BTreeMap<u64, Bytes>,
    recorded: Vec<Vec<(u64, String)>>,
    facts: usize,
) {
    assert_eq!(entries.len(), facts, "every fact once, and nothing else");
    assert!(entries.keys().copied().eq(1..=facts as u64), "{:?}", entries.keys());
    for (seq, detail) in recorded.into_iter().flatten() {
        let text = String::from_utf8_lossy(&entries[&seq]).into_owned();
        assert!(text.contains(&detail), "acknowledged as {seq}: {detail}");
    }
    for (seq, bytes) in entries {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let decided_on = format!("/{}\"", seq - 1);
        assert!(text.contains(&decided_on), "entry {seq} was decided on the one before");
    }
}

fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2022, 6, day).unwrap()
}

fn task() -> TaskRequest {
    TaskRequest {
        cluster: "workers".to_owned(),
        task_definition: "liberator:7".to_owned(),
        container: "liberator".to_owned(),
        environment: BTreeMap::from([("IMPORT_DATE".to_owned(), "2022-06-01".to_owned())]),
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            security_groups: vec!["sg-1".to_owned()],
            assign_public_ip: false,
        },
        platform_version: None,
        client_token: "token".to_owned(),
        started_by: "gapmend/1".to_owned(),
    }
}

fn run_id(day: u32) -> String {
    format!("liberator/{}/1", date(day))
}

pub(super) fn run_started(day: u32) -> Event {
    Event::RunStarted {
        run: run_id(day),
        dataset: "liberator".to_owned(),
        date: date(day),
        attempt: 1,
        stage: Stage::Load,
        dump: None,
        asked: asked(),
        permitted_by: "mode".to_owned(),
        tables_expected: 9,
        tables_before: Some(0),
        config: "c0ffee".to_owned(),
        version: "1".to_owned(),
        preflight_at: "2022-06-13T03:59:00.000000001Z".parse().unwrap(),
    }
}

pub(super) fn run_ended(day: u32, outcome: RunOutcome) -> Event {
    Event::RunEnded {
        run: run_id(day),
        outcome,
        stage: Stage::Load,
        reason: (outcome == RunOutcome::Failed).then_some(FailureReason::Deadline),
        detail: "over".to_owned(),
        log_tail: vec!["line".to_owned()],
        repeat: Repeat::FromTheTop,
        tables_present: Some(3),
    }
}

fn scanned(day: u32, blind: bool) -> Event {
    Event::Scanned {
        dataset: "liberator".to_owned(),
        scan: ScanRecord {
            cause: ScanCause::Slot,
            slot: Some(date(day)),
            missed_slots: 0,
            counts: BTreeMap::from([("missing".to_owned(), day)]),
            whole_through: Some(date(day)),
            available: vec!["2022-05-01..2022-06-01".to_owned()],
            queue: vec![date(day), date(1)],
            tables: 9,
            partitions: 900,
            config: "c0ffee".to_owned(),
            blind: if blind { vec!["partitions".to_owned()] } else { Vec::new() },
        },
    }
}

fn hold_intended(name: u32) -> Event {
    Event::HoldIntended {
        hold: name.to_string(),
        dataset: "liberator".to_owned(),
        rule: "rule".to_owned(),
        event_bus: "default".to_owned(),
        prior_state: "ENABLED".to_owned(),
        why: HoldWhy::Run { run: run_id(1) },
        until: "2022-06-13T05:30:00Z".parse().unwrap(),
        dead_man: None,
    }
}

fn requested(request: Request) -> Event {
    Event::Requested { dataset: "liberator".to_owned(), request, asked: asked() }
}

/// Any event; whether it is legal depends on the state.
pub(super) fn any_event() -> impl Strategy<Value = Event> {
    let outcome = prop::sample::select(RunOutcome::ALL.to_vec());
    let stage = prop::sample::select(Stage::ALL.to_vec());
    let next = prop::sample::select(Stage::ALL.to_vec());
    let step = prop::sample::select(vec![
        HoldStep::Armed,
        HoldStep::Answered,
        HoldStep::Disabled,
        HoldStep::WorkDone,
        HoldStep::Enabled,
    ]);
    let day = 1..4_u32;
    let of_runs = prop_oneof![
        day.clone().prop_map(run_started),
        day.clone().prop_map(|day| Event::LoadIntended { run: run_id(day), task: task() }),
        day.clone()
            .prop_map(|day| Event::LoadSubmitted { run: run_id(day), task_arn: "arn".to_owned() }),
        day.clone().prop_map(|day| Event::StopIntended {
            run: run_id(day),
            task_arn: "arn".to_owned(),
            why: StopWhy::Yield,
            detail: "a live run".to_owned(),
        }),
        (day.clone(), stage, next).prop_map(|(day, stage, next)| Event::StageEnded {
            run: run_id(day),
            stage,
            next,
            detail: "seen".to_owned(),
        }),
        day.clone().prop_map(|day| Event::RunTraced {
            run: run_id(day),
            trace: Trace::Export,
            id: "sql-to-parquet".to_owned(),
        }),
        day.clone().prop_map(|day| Event::PublishIntended {
            run: run_id(day),
            workflow: "w".to_owned(),
            properties: BTreeMap::from([("import_date".to_owned(), "20220601".to_owned())]),
        }),
        day.clone().prop_map(|day| Event::PublishFound {
            run: run_id(day),
            workflow_run: "wr_1".to_owned(),
            ours: true,
        }),
        (day.clone(), outcome).prop_map(|(day, outcome)| run_ended(day, outcome)),
    ];
    let of_holds = prop_oneof![
        day.clone().prop_map(hold_intended),
        (day.clone(), step)
            .prop_map(|(day, step)| Event::HoldMoved { hold: day.to_string(), step }),
        day.clone().prop_map(|day| Event::HoldClosed {
            hold: day.to_string(),
            detail: "by us".to_owned(),
            fired: Vec::new(),
            refused: false,
        }),
    ];
    let of_people = prop_oneof![
        Just(requested(Request::Scan)),
        Just(requested(Request::Cancel)),
        Just(requested(Request::Resume)),
        Just(requested(Request::Pause { until: "2022-06-14T00:00:00Z".parse().unwrap() })),
        day.clone().prop_map(|day| requested(Request::Retry { date: date(day) })),
        day.clone()
            .prop_map(|day| requested(Request::Heal { dates: vec![date(day)], max_runs: Some(1) })),
        (1..40_u64).prop_map(|seq| Event::RequestDone {
            dataset: "liberator".to_owned(),
            seq,
            answer: "done".to_owned(),
        }),
    ];
    let of_looks = prop_oneof![
        (day.clone(), any::<bool>()).prop_map(|(day, blind)| scanned(day, blind)),
        Just(passed("waiting")),
        Just(Event::Left {}),
        (day.clone(), any::<bool>()).prop_map(|(day, missed)| Event::LiveDumpSwept {
            dataset: "liberator".to_owned(),
            date: date(day),
            key: format!("parking/{day}.zip"),
            etag: "e".to_owned(),
            missed,
        }),
        day.clone().prop_map(|day| Event::LiveDriveIntended {
            dataset: "liberator".to_owned(),
            date: date(day),
            task: task(),
        }),
        day.prop_map(|day| Event::LiveDriveSubmitted {
            dataset: "liberator".to_owned(),
            date: date(day),
            task_arn: "arn".to_owned(),
        }),
        Just(Event::LoadsOverlapped {
            dataset: "liberator".to_owned(),
            run: None,
            detail: "two".to_owned(),
        }),
    ];
    prop_oneof![4 => of_runs, 2 => of_holds, 2 => of_people, 2 => of_looks]
}
