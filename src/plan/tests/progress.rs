//! What a run in progress needs when an answer is lost, or the world cannot be seen.

use chrono::{DateTime, Duration, Utc};

use super::night::{TABLES, World, at, blindness, gap, live_task, task};
use crate::config::Mode;
use crate::domain::{
    Export, ExportStatus, FailureReason, Flag, NodeKind, NodeRun, RunOutcome, Seen, Snapshot,
    Stage, TaskState, WorkflowNode, WorkflowRun, WorkflowStatistics, WorkflowStatus,
};
use crate::ledger::{Event, Hold, HoldStep, HoldWhy, Repeat, Request, StopWhy};
use crate::observe::RunView;
use crate::plan::{self, Rest, Step};

fn began() -> DateTime<Utc> {
    at("2026-06-30T12:00:00Z")
}

/// A run whose load was asked for at noon, looked at so long after.
fn unanswered(after: Duration) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Load);
    world.now = began() + after;
    world.watch.run = Some(Seen::Known(RunView::default()));
    world
}

fn running(after: Duration) -> World {
    let mut world = unanswered(after);
    let run = world.ledger.active_run().unwrap().id.clone();
    world.note(began(), vec![Event::LoadSubmitted { run, task_arn: "arn/ours".to_owned() }]);
    world
}

fn ended(step: &Result<Step, Rest>) -> Option<RunOutcome> {
    match step {
        Ok(Step::EndRun(end)) => Some(end.outcome),
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_at_once() {
    let step = unanswered(Duration::seconds(15)).plan().step;
    assert!(matches!(step, Ok(Step::Resubmit { .. })), "{step:?}");
}

#[test]
fn a_load_that_may_exist_is_not_given_up_before_it_would_have_shown_itself() {
    let closings: [fn(&mut World); 4] = [
        |world| world.watch.tasks = Seen::Known(vec![live_task()]),
        |world| world.request(world.now, Request::Cancel),
        |world| world.dataset.mode = Mode::Observe,
        |world| {
            let until = at("2026-07-03T00:00:00Z");
            world.request(world.now, Request::Pause { until });
        },
    ];
    for close in closings {
        let mut world = unanswered(Duration::seconds(30));
        close(&mut world);
        let step = world.plan().step;
        assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
        world.now = began() + Duration::minutes(6);
        let step = world.plan().step;
        assert!(matches!(ended(&step), Some(RunOutcome::Void | RunOutcome::Cancelled)), "{step:?}");
    }
}

#[test]
fn a_lost_answer_is_not_repeated_blindly() {
    let mut world = unanswered(Duration::seconds(30));
    world.watch.tasks = Seen::Blind(vec![blindness()]);
    let step = world.plan().step;
    assert!(matches!(step, Err(Rest::Blind(_))), "{step:?}");
}

#[test]
fn an_intent_of_an_hour_ago_is_planned_afresh() {
    let step = unanswered(Duration::minutes(61)).plan().step;
    assert_eq!(ended(&step), Some(RunOutcome::Cancelled), "{step:?}");
}

#[test]
fn our_task_yields_although_the_run_could_not_be_seen() {
    let mut world = running(Duration::minutes(10));
    let ours = task("arn/ours", "gapmend/liberator/2026-06-15/1", TaskState::Running);
    world.watch.tasks = Seen::Known(vec![ours, live_task()]);
    world.watch.run = Some(Seen::Blind(vec![blindness()]));
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::StopTask { .. })), "{step:?}");
}

#[test]
fn a_task_that_is_listed_is_not_lost() {
    let mut world = running(Duration::minutes(10));
    let ours = task("arn/ours", "gapmend/liberator/2026-06-15/1", TaskState::Running);
    world.watch.tasks = Seen::Known(vec![ours]);
    let step = world.plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
    world.watch.tasks = Seen::Known(Vec::new());
    assert_eq!(ended(&world.plan().step), Some(RunOutcome::Failed));
}

#[test]
fn a_run_that_cannot_be_seen_ends_one_day_after_its_deadline() {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Export);
    world.watch.run = Some(Seen::Blind(vec![blindness()]));
    world.now = began() + Duration::hours(20);
    assert!(matches!(world.plan().step, Err(Rest::Blind(_))));
    world.now = began() + Duration::hours(29);
    let Ok(Step::EndRun(end)) = world.plan().step else { panic!("it goes on") };
    assert_eq!((end.outcome, end.repeat), (RunOutcome::Failed, Repeat::Unsafe));
}

fn workflow_run(id: &str, job: Option<&str>) -> WorkflowRun {
    let run = |state: &str| vec![NodeRun { state: state.to_owned(), error: None }];
    let node = |name: &str, kind, runs| WorkflowNode { name: name.to_owned(), kind, runs };
    let crawl = if job.is_some() { "SUCCEEDED" } else { "FAILED" };
    WorkflowRun {
        id: id.to_owned(),
        status: WorkflowStatus::Completed,
        started_at: Some(began()),
        ended_at: Some(began()),
        properties: std::collections::BTreeMap::new(),
        statistics: None,
        nodes: vec![
            node("crawler", NodeKind::Crawler, run(crawl)),
            node("job", NodeKind::Job, job.map(run).unwrap_or_default()),
        ],
        error: None,
    }
}

/// A run at publish that sees these workflow runs, and has noted the first that counts.
fn publishing(workflow_runs: Vec<WorkflowRun>) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), Stage::Publish);
    world.now = began() + Duration::minutes(61);
    world.watch.run = Some(Seen::Known(RunView { workflow_runs, ..RunView::default() }));
    if let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
        world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
    }
    world
}

#[test]
fn of_two_workflow_runs_of_a_date_the_one_that_wrote_counts() {
    let empty = || workflow_run("wr_empty", None);
    let half = publishing(vec![workflow_run("wr_half", Some("FAILED")), empty()]);
    assert_eq!(ended(&half.plan().step), Some(RunOutcome::Failed), "{:?}", half.plan().step);
    let good = publishing(vec![workflow_run("wr_good", Some("SUCCEEDED")), empty()]);
    let step = good.plan().step;
    assert!(matches!(step, Ok(Step::EndStage { next: Stage::Verify, .. })), "{step:?}");
    let step = publishing(vec![empty()]).plan().step;
    assert!(matches!(step, Ok(Step::StartWorkflow { .. })), "nothing was written: {step:?}");
}

/// Nothing of ours can undo what the pipeline wrote twice (H10), but it is told.
#[test]
fn of_two_workflow_runs_that_wrote_both_are_written_down() {
    let wrote = |id: &str| workflow_run(id, Some("SUCCEEDED"));
    let mut world = publishing(vec![wrote("wr_a"), wrote("wr_b")]);
    for _ in 0..2 {
        if let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
            world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
        }
    }
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::EndStage { next: Stage::Verify, .. })), "{step:?}");
    let run = world.ledger.active_run().unwrap();
    assert_eq!(run.workflow_runs_beside().count(), 1, "{run:?}");
}

#[test]
fn a_date_that_is_taken_up_again_does_not_fail_by_what_failed_before() {
    let mut world = publishing(vec![workflow_run("wr_half", Some("FAILED"))]);
    world.end(world.now, RunOutcome::Failed, Repeat::Unsafe);
    world.begin(world.now, gap(), Stage::Publish);
    world.now += Duration::minutes(61);
    let step = world.plan().step;
    assert!(matches!(step, Ok(Step::StartWorkflow { .. })), "{step:?}");
}

#[test]
fn throttled_starts_of_the_workflow_are_waited_out() {
    let mut world = publishing(Vec::new());
    let mut starts = 0;
    let until = world.now + Duration::minutes(30);
    while world.now < until {
        match world.plan().step {
            Ok(Step::StartWorkflow { run, workflow, properties }) => {
                starts += 1;
                world.note(world.now, vec![Event::PublishIntended { run, workflow, properties }]);
            }
            Err(Rest::InProgress { .. }) => {}
            other => panic!("{other:?}"),
        }
        world.now += Duration::seconds(15);
    }
    assert!((4..=7).contains(&starts), "{starts}");
}

#[test]
fn mode_observe_starts_no_workflow_either() {
    let mut world = publishing(Vec::new());
    world.dataset.mode = Mode::Observe;
    assert!(matches!(world.plan().step, Err(Rest::InProgress { .. })));
}

#[test]
fn an_intent_counts_for_an_hour_and_not_for_a_date_that_appeared() {
    let step = unanswered(Duration::minutes(60)).plan().step;
    assert!(matches!(step, Ok(Step::Resubmit { .. })), "{step:?}");
    let mut half = unanswered(Duration::minutes(5));
    half.stored.values_mut().next().unwrap().insert(gap());
    assert_eq!(ended(&half.plan().step), Some(RunOutcome::Void), "{:?}", half.plan().step);
    half.now -= Duration::seconds(1);
    let step = half.plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "its task may show itself: {step:?}");
}

#[test]
fn a_task_that_ecs_does_not_know_yet_is_waited_for_five_minutes() {
    let step = running(Duration::seconds(299)).plan().step;
    assert!(matches!(step, Err(Rest::InProgress { .. })), "{step:?}");
    let Ok(Step::EndRun(end)) = running(Duration::seconds(300)).plan().step else {
        panic!("it goes on")
    };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::Lost), Repeat::FromTheTop));
}

/// A run whose task was told to stop at ten past, and is seen in this state.
fn told_to_stop(state: TaskState) -> World {
    let mut world = running(Duration::minutes(10));
    let run = world.ledger.active_run().unwrap().id.clone();
    let ours = task("arn/ours", &format!("gapmend/{run}"), state);
    world.watch.run = Some(Seen::Known(RunView { task: Some(ours.clone()), ..RunView::default() }));
    world.watch.tasks = Seen::Known(vec![ours]);
    let (task_arn, why, detail) = ("arn/ours".to_owned(), StopWhy::Yield, "yields".to_owned());
    world.note(world.now, vec![Event::StopIntended { run, task_arn, why, detail }]);
    world
}

#[test]
fn a_stop_that_did_not_take_is_asked_for_again_whichever_way_the_clock_went() {
    let again = |state: TaskState, seconds: i64| {
        let mut world = told_to_stop(state);
        world.now += Duration::seconds(seconds);
        match world.plan().step {
            Ok(Step::StopTask { .. }) => true,
            Err(Rest::InProgress { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(!again(TaskState::Running, 4) && again(TaskState::Running, 5));
    assert!(!again(TaskState::Running, -4) && again(TaskState::Running, -5));
    assert!(!again(TaskState::Stopping, 60), "it took");
    let step = told_to_stop(TaskState::Stopped).plan().step;
    assert_eq!(ended(&step), Some(RunOutcome::Void), "{step:?}");
}

#[test]
fn a_load_is_stopped_at_the_end_of_its_own_hold() {
    let stops = |own: bool, seconds: i64| {
        let mut world = told_to_stop(TaskState::Running);
        let stopping = world.ledger.runs.last_mut().unwrap();
        stopping.stopping = None;
        let run = if own { stopping.id.clone() } else { "another".to_owned() };
        let until = world.now;
        world.ledger.holds.insert(
            "h".to_owned(),
            Hold {
                id: "h".to_owned(),
                dataset: "liberator".to_owned(),
                rule: "rule".to_owned(),
                event_bus: "default".to_owned(),
                prior_state: "ENABLED".to_owned(),
                why: HoldWhy::Run { run },
                begun_at: began(),
                until,
                dead_man: None,
                steps: [(HoldStep::Armed, began()), (HoldStep::Disabled, began())].into(),
            },
        );
        world.now += Duration::seconds(seconds);
        matches!(world.plan().step, Ok(Step::StopTask { why: StopWhy::HoldTooLong, .. }))
    };
    assert!(!stops(true, -1) && stops(true, 0));
    assert!(!stops(false, 0), "it is not this run's");
}

#[test]
fn what_a_load_left_is_adopted_if_it_is_younger_than_the_run() {
    let left = |created_at: DateTime<Utc>| {
        let mut world = told_to_stop(TaskState::Stopped);
        let Some(Seen::Known(view)) = world.watch.run.as_mut() else { panic!("it is seen") };
        view.snapshot = Some(Snapshot {
            id: "sql-to-parquet-2026-06-15-backdated".to_owned(),
            arn: "arn".to_owned(),
            status: "creating".to_owned(),
            percent: None,
            created_at: Some(created_at),
        });
        matches!(world.plan().step, Ok(Step::EndStage { next: Stage::Snapshot, .. }))
    };
    assert!(left(began()) && !left(began() - Duration::seconds(1)));
}

#[test]
fn the_end_of_a_failed_loads_log_is_told() {
    let mut world = told_to_stop(TaskState::Stopped);
    world.ledger.runs.last_mut().unwrap().stopping = None;
    let Some(Seen::Known(view)) = world.watch.run.as_mut() else { panic!("it is seen") };
    view.task.as_mut().unwrap().exit_code = Some(1);
    let detail = |world: &World| {
        let Ok(Step::EndRun(end)) = world.plan().step else { panic!("it goes on") };
        end.detail
    };
    assert!(!detail(&world).contains("its log ends"));
    let Some(Seen::Known(view)) = world.watch.run.as_mut() else { panic!("it is seen") };
    view.log_tail = ["a", "b", "c", "d"].map(str::to_owned).into();
    assert!(detail(&world).ends_with("; its log ends: b | c | d"), "{}", detail(&world));
}

#[test]
fn a_cancelled_run_ends_in_any_stage_and_its_date_waits() {
    for stage in [Stage::Snapshot, Stage::Export, Stage::Publish, Stage::Verify] {
        let mut world = at_stage(stage, RunView::default());
        world.request(world.now, Request::Cancel);
        let Ok(Step::EndRun(end)) = world.plan().step else { panic!("{stage:?} goes on") };
        assert_eq!((end.outcome, end.repeat), (RunOutcome::Cancelled, Repeat::Unsafe), "{stage:?}");
    }
}

#[test]
fn a_look_at_another_date_proves_nothing() {
    let looks = |world: &World| {
        let mut seen = world.observation();
        seen.confirmed = Some(Seen::Known(world.look_at(gap() + Duration::days(1))));
        let World { ledger, dataset, night, now, .. } = world;
        plan::plan(ledger, &seen, dataset, night, *now).step
    };
    for world in [unanswered(Duration::minutes(6)), at_stage(Stage::Verify, RunView::default())] {
        let step = looks(&world);
        assert!(matches!(step, Ok(Step::Confirm { date }) if date == gap()), "{step:?}");
    }
}

#[test]
fn whose_workflow_run_it_is_is_written_down() {
    let ours = |asked: bool| {
        let mut world = at_stage(Stage::Publish, RunView::default());
        world.now = began() + Duration::minutes(61);
        if let (true, Ok(Step::StartWorkflow { run, workflow, properties })) =
            (asked, world.plan().step)
        {
            world.note(world.now, vec![Event::PublishIntended { run, workflow, properties }]);
        }
        let runs = vec![workflow_run("wr", Some("SUCCEEDED"))];
        world.watch.run = Some(Seen::Known(RunView { workflow_runs: runs, ..RunView::default() }));
        let Ok(Step::NoteWorkflow { ours, .. }) = world.plan().step else { panic!("not noted") };
        ours
    };
    assert!(ours(true) && !ours(false));
}

#[test]
fn the_pipeline_has_its_time_to_start_the_workflow_and_a_start_of_ours_to_show_itself() {
    let starts = |world: &mut World, at: DateTime<Utc>| {
        world.now = at;
        match world.plan().step {
            Ok(Step::StartWorkflow { run, workflow, properties }) => {
                world.note(at, vec![Event::PublishIntended { run, workflow, properties }]);
                true
            }
            Err(Rest::InProgress { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    let mut world = publishing(Vec::new());
    world.dataset.publish.as_mut().unwrap().start_within = std::time::Duration::from_hours(1);
    assert!(!starts(&mut world, began() + Duration::seconds(3_599)));
    let first = began() + Duration::hours(1);
    assert!(starts(&mut world, first));
    assert!(!starts(&mut world, first + Duration::seconds(29)));
    assert!(starts(&mut world, first + Duration::seconds(30)));
    let second = first + Duration::seconds(30);
    assert!(!starts(&mut world, second + Duration::seconds(59)), "twice as long");
    assert!(starts(&mut world, second + Duration::seconds(60)));
}

#[test]
fn a_workflow_run_in_which_no_job_ran_is_started_again_once() {
    let mut world = publishing(vec![workflow_run("wr_1", None)]);
    let Ok(Step::StartWorkflow { run, workflow, properties }) = world.plan().step else {
        panic!("it is not started again")
    };
    world.note(world.now, vec![Event::PublishIntended { run, workflow, properties }]);
    let runs = vec![workflow_run("wr_1", None), workflow_run("wr_2", None)];
    world.watch.run = Some(Seen::Known(RunView { workflow_runs: runs, ..RunView::default() }));
    if let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
        world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
    }
    assert_eq!(ended(&world.plan().step), Some(RunOutcome::Failed), "{:?}", world.plan().step);
}

#[test]
fn a_stage_has_its_time_to_the_second() {
    let goes_on = |stage: Stage, spoil: fn(&mut World), seconds: i64| {
        let mut world = World::with_gap();
        world.begin(began(), gap(), stage);
        let deadline = std::time::Duration::from_hours(2);
        world.dataset.export.as_mut().unwrap().deadline = deadline;
        world.dataset.publish.as_mut().unwrap().deadline = deadline;
        world.watch.run = Some(Seen::Known(RunView::default()));
        spoil(&mut world);
        world.now = began() + Duration::hours(2) + Duration::seconds(seconds);
        let step = world.plan().step;
        assert!(ended(&step).is_none_or(|it| it == RunOutcome::Failed), "{step:?}");
        ended(&step).is_none()
    };
    let running = |world: &mut World| {
        let run = WorkflowRun {
            status: WorkflowStatus::Running,
            ended_at: None,
            ..workflow_run("wr", None)
        };
        let event = Event::PublishFound {
            run: world.ledger.active_run().unwrap().id.clone(),
            workflow_run: "wr".to_owned(),
            ours: false,
        };
        world.note(began(), vec![event]);
        let view = RunView { workflow_runs: vec![run], ..RunView::default() };
        world.watch.run = Some(Seen::Known(view));
    };
    for (stage, spoil) in [
        (Stage::Snapshot, (|_| {}) as fn(&mut World)),
        (Stage::Export, |_| {}),
        (Stage::Publish, running),
    ] {
        assert!(goes_on(stage, spoil, 0), "{stage:?}");
        assert!(!goes_on(stage, spoil, 1), "{stage:?}");
    }
}

/// A run at this stage since noon, which sees this.
fn at_stage(stage: Stage, view: RunView) -> World {
    let mut world = World::with_gap();
    world.begin(began(), gap(), stage);
    world.now = began() + Duration::minutes(1);
    world.watch.run = Some(Seen::Known(view));
    world
}

#[test]
fn a_snapshot_is_waited_for_until_it_is_there_or_failed() {
    let seen = |status: &str| {
        let snapshot = Snapshot {
            id: "sql-to-parquet-2026-06-15-backdated".to_owned(),
            arn: "arn".to_owned(),
            status: status.to_owned(),
            percent: None,
            created_at: Some(began()),
        };
        let view = RunView { snapshot: Some(snapshot), ..RunView::default() };
        at_stage(Stage::Snapshot, view).plan().step
    };
    assert!(matches!(seen("creating"), Err(Rest::InProgress { .. })));
    assert!(matches!(seen("available"), Ok(Step::EndStage { next: Stage::Export, .. })));
    assert_eq!(ended(&seen("failed")), Some(RunOutcome::Failed));
}

#[test]
fn an_export_is_waited_for_until_its_deadline_and_its_id_is_spent_then() {
    let after = |seconds: i64| {
        let export = Export {
            id: "sql-to-parquet-2026-06-15-backdated".to_owned(),
            source_arn: "arn".to_owned(),
            status: ExportStatus::InProgress,
            percent: None,
            started_at: None,
            ended_at: None,
            warning: None,
            failure: None,
        };
        let view = RunView { export: Some(export), ..RunView::default() };
        let mut world = at_stage(Stage::Export, view);
        world.dataset.export.as_mut().unwrap().deadline = std::time::Duration::from_hours(2);
        world.now = began() + Duration::hours(2) + Duration::seconds(seconds);
        world.plan().step
    };
    assert!(matches!(after(0), Err(Rest::InProgress { .. })));
    let Ok(Step::EndRun(end)) = after(1) else { panic!("it goes on") };
    assert_eq!((end.reason, end.repeat), (Some(FailureReason::Deadline), Repeat::Unsafe));
}

#[test]
fn a_workflow_run_without_nodes_is_judged_by_its_count_of_actions() {
    let judged = |counted: Option<(u32, u32, u32)>, status: WorkflowStatus| {
        let statistics = counted.map(|(total, succeeded, unsuccessful)| WorkflowStatistics {
            total,
            succeeded,
            unsuccessful,
        });
        let run = WorkflowRun { statistics, status, nodes: Vec::new(), ..workflow_run("wr", None) };
        match publishing(vec![run]).plan().step {
            Ok(Step::EndStage { .. }) => "good",
            Ok(Step::EndRun(_)) => "bad",
            Ok(Step::StartWorkflow { .. }) => "nothing ran",
            other => panic!("{other:?}"),
        }
    };
    let completed = || WorkflowStatus::Completed;
    assert_eq!(judged(Some((3, 3, 0)), completed()), "good");
    assert_eq!(judged(Some((3, 2, 0)), completed()), "bad");
    assert_eq!(judged(Some((3, 3, 1)), completed()), "bad");
    assert_eq!(judged(None, completed()), "good", "the data decides");
    let stopped = || WorkflowStatus::Ended("STOPPED".to_owned());
    assert_eq!(judged(Some((0, 0, 0)), stopped()), "nothing ran");
    assert_eq!(judged(Some((3, 1, 0)), stopped()), "bad");
    assert_eq!(judged(None, stopped()), "bad");
}

#[test]
fn a_failed_job_is_told_by_its_name() {
    let detail = |job: &str, error: Option<&str>| {
        let mut run = workflow_run("wr", Some(job));
        run.nodes[1].runs[0].error = error.map(str::to_owned);
        let Ok(Step::EndRun(end)) = publishing(vec![run]).plan().step else { panic!("goes on") };
        end.detail
    };
    assert!(detail("FAILED", Some("out of memory")).ends_with("`job` is FAILED (out of memory)"));
    assert!(detail("TIMEOUT", None).ends_with("`job` is TIMEOUT"));
}

/// These tables have the date, whole.
fn has(world: &mut World, tables: &[&'static str]) {
    for table in tables {
        world.catalogued.get_mut(table).unwrap().insert(gap());
        world.stored.get_mut(table).unwrap().insert(gap());
    }
}

#[test]
fn the_proof_is_that_every_table_has_the_date_in_a_fresh_look() {
    let verified = |minutes: i64, seconds: i64, spoil: fn(&mut World)| {
        let mut world = at_stage(Stage::Verify, RunView::default());
        spoil(&mut world);
        world.now = began() + Duration::minutes(minutes) + Duration::seconds(seconds);
        match world.plan().step {
            Ok(Step::EndRun(end)) => {
                Some((end.outcome, end.reason, end.repeat, end.tables_present))
            }
            Err(Rest::InProgress { .. }) => None,
            other => panic!("{other:?}"),
        }
    };
    let whole = |world: &mut World| has(world, &TABLES);
    let half = |world: &mut World| has(world, &TABLES[..1]);
    let healed = (RunOutcome::Succeeded, None, Repeat::FromTheTop, Some(2));
    assert_eq!(verified(1, 0, whole), Some(healed));
    let lacks = |present| {
        let reason = Some(FailureReason::OutputMissing);
        Some((RunOutcome::Failed, reason, Repeat::Unsafe, Some(present)))
    };
    for (spoil, present) in [(half as fn(&mut World), 1), (|_| {}, 0)] {
        assert_eq!(verified(15, 0, spoil), None, "partitions may show themselves yet");
        assert_eq!(verified(15, 1, spoil), lacks(present));
    }
    let without_workflow = |world: &mut World| {
        world.dataset.publish = None;
        world.dataset.load.deadline = std::time::Duration::from_hours(1);
    };
    assert_eq!(verified(60, 0, without_workflow), None, "others publish it");
    assert_eq!(verified(60, 1, without_workflow), lacks(0));
    let optional = |world: &mut World| world.optional = TABLES.into();
    assert_eq!(verified(1, 0, optional), None, "nothing proves nothing");
    // Without a scan the number of tables that the start expected decides: two.
    let blind_whole = |world: &mut World| {
        has(world, &TABLES);
        world.blind = true;
    };
    assert_eq!(verified(1, 0, blind_whole), Some(healed));
    let blind_half = |world: &mut World| {
        has(world, &TABLES[..1]);
        world.blind = true;
    };
    assert_eq!(verified(1, 0, blind_half), None);
}

#[test]
fn a_date_that_two_workflow_runs_wrote_is_flagged_until_it_is_written_anew() {
    let flagged = |runs: &[&str], written_at: Option<DateTime<Utc>>| {
        let wrote = |id: &&str| workflow_run(id, Some("SUCCEEDED"));
        let mut world = publishing(runs.iter().map(wrote).collect());
        while let Ok(Step::NoteWorkflow { run, workflow_run, ours }) = world.plan().step {
            world.note(world.now, vec![Event::PublishFound { run, workflow_run, ours }]);
        }
        let run = world.ledger.active_run().unwrap().id.clone();
        let (stage, next, detail) = (Stage::Publish, Stage::Verify, String::new());
        world.note(world.now, vec![Event::StageEnded { run, stage, next, detail }]);
        has(&mut world, &TABLES);
        let Ok(Step::EndRun(end)) = world.plan().step else { panic!("it goes on") };
        assert_eq!(end.detail.contains("ran as well"), runs.len() > 1, "{}", end.detail);
        world.end(world.now, RunOutcome::Succeeded, Repeat::FromTheTop);
        let mut seen = world.observation();
        let Seen::Known(scan) = &mut seen.scan else { panic!("it is seen") };
        scan.coverage.written_at.extend(written_at.map(|at| (gap(), at)));
        let World { ledger, dataset, night, now, .. } = &world;
        let census = plan::plan(ledger, &seen, dataset, night, *now).census.unwrap();
        census.verdict(gap()).unwrap().flags.contains(&Flag::Duplicated)
    };
    let ended = began() + Duration::minutes(61);
    assert!(!flagged(&["wr_a"], None));
    assert!(flagged(&["wr_a", "wr_b"], None));
    assert!(flagged(&["wr_a", "wr_b"], Some(ended)));
    assert!(!flagged(&["wr_a", "wr_b"], Some(ended + Duration::seconds(1))));
    assert!(!flagged(&["wr_a"], Some(ended)));
}

/// An old dump may lack tables that began since (H28).
#[test]
fn the_tables_that_the_export_held_are_the_proof_when_they_are_known() {
    let healed = |blind: bool, exported: Option<&[&str]>| {
        let mut world = at_stage(Stage::Verify, RunView::default());
        has(&mut world, &TABLES[..1]);
        world.blind = blind;
        let mut seen = world.observation();
        let mut look = world.look_at(gap());
        look.exported = exported.map(|names| names.iter().map(|it| (*it).to_owned()).collect());
        seen.confirmed = Some(Seen::Known(look));
        let World { ledger, dataset, night, now, .. } = &world;
        match plan::plan(ledger, &seen, dataset, night, *now).step {
            Ok(Step::EndRun(end)) => {
                assert_eq!(end.outcome, RunOutcome::Succeeded);
                true
            }
            Err(Rest::InProgress { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    for blind in [false, true] {
        assert!(healed(blind, Some(&TABLES[..1])), "{blind}");
        assert!(!healed(blind, Some(&TABLES)), "{blind}");
        assert!(!healed(blind, Some(&["others"])), "{blind}: it names none of ours");
        assert!(!healed(blind, None), "{blind}");
    }
}
