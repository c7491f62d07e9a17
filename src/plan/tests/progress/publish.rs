//! The workflow: started by whom, and what its runs were worth.

use chrono::{DateTime, Duration, Utc};

use super::super::night::{TABLES, World, gap};
use super::{at_stage, began, ended, has};
use crate::config::Mode;
use crate::domain::{
    Flag, NodeKind, NodeRun, RunOutcome, Seen, Stage, WorkflowNode, WorkflowRun,
    WorkflowStatistics, WorkflowStatus,
};
use crate::ledger::{Event, Repeat};
use crate::observe::RunView;
use crate::plan::{self, Rest, Step};

pub(super) fn workflow_run(id: &str, job: Option<&str>) -> WorkflowRun {
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
