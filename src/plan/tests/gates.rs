//! One row a gate: what closes it, and what the plan rests on.

use HoldStep::{Armed, Disabled, WorkDone};
use chrono::Duration;

use super::night::{
    World, at, blindness, date, dump, entry, export, gap, hold, live_task, task_request, today,
};
use crate::config::{Mode, Order};
use crate::domain::{
    Export, ExportStatus, RuleState, RunOutcome, Seen, Stage, WorkflowRun, WorkflowStatus,
};
use crate::ledger::{Event, HoldStep, HoldWhy, Repeat, Request};
use crate::observe::{Confirmation, Traffic};
use crate::plan::{self, Rest, Step, gates};

fn check(what: &str, spoil: impl FnOnce(&mut World), expected: &str) {
    let mut world = World::with_gap();
    spoil(&mut world);
    let plan = world.plan();
    let found = match &plan.step {
        Ok(Step::Begin(_)) => "begins",
        Ok(Step::TakeUp(_)) => "takes up",
        Ok(step) => panic!("{what}: {step:?}"),
        Err(rest) => rest.label(),
    };
    assert_eq!(found, expected, "{what}: {:?}", plan.step);
    assert!(plan.wake_at >= world.now, "{what}");
    let hours = (plan.wake_at - world.now).num_hours();
    assert!(hours <= 16, "{what}: it sleeps past the next slot, for {hours} hours");
}

#[test]
fn people_close_gates() {
    check("nothing closed", |_| {}, "begins");
    check("mode observe", |world| world.dataset.mode = Mode::Observe, "observing");
    check(
        "a pause",
        |world| {
            let until = at("2026-07-03T00:00:00Z");
            world.request(world.now, Request::Pause { until });
        },
        "paused",
    );
    check(
        "a pause that is over",
        |world| {
            let until = at("2026-06-30T11:59:00Z");
            world.request(at("2026-06-29T00:00:00Z"), Request::Pause { until });
        },
        "begins",
    );
    check(
        "a pause that ends right now",
        |world| world.request(at("2026-06-29T00:00:00Z"), Request::Pause { until: world.now }),
        "begins",
    );
    check(
        "a pause that was ended",
        |world| {
            let until = at("2026-07-03T00:00:00Z");
            world.request(at("2026-06-29T00:00:00Z"), Request::Pause { until });
            world.request(at("2026-06-29T01:00:00Z"), Request::Resume);
        },
        "begins",
    );
    let three_failures = |world: &mut World| {
        for day in ["2026-06-11", "2026-06-12", "2026-06-13"] {
            world.fail(at("2026-06-29T12:00:00Z"), date(day), Repeat::FromTheTop);
        }
    };
    check("three failures in a row", three_failures, "stopped");
    check(
        "the same, resumed",
        |world| {
            three_failures(world);
            world.request(world.now, Request::Resume);
        },
        "begins",
    );
    check(
        "a freeze",
        |world| {
            let freeze = entry("2026-06-30", "the year's end");
            world.dataset.backfill.freeze.insert("end".to_owned(), freeze);
        },
        "frozen",
    );
    check(
        "a freeze on another day",
        |world| {
            let freeze = entry("2026-06-29", "the year's end");
            world.dataset.backfill.freeze.insert("end".to_owned(), freeze);
        },
        "begins",
    );
}

#[test]
fn hours_may_pass_midnight() {
    let hours = |opens: &'static str, closes: &'static str| {
        move |world: &mut World| {
            let times = (opens.parse().unwrap(), closes.parse().unwrap());
            world.dataset.backfill.hours = Some(times);
        }
    };
    // Noon in UTC is one o'clock in London.
    check("inside", hours("13:00:00", "14:00:00"), "begins");
    check("at the end", hours("12:00:00", "13:00:00"), "outside_hours");
    check("before", hours("14:00:00", "18:00:00"), "outside_hours");
    check("outside, over midnight", hours("22:00:00", "04:00:00"), "outside_hours");
    check("inside, over midnight", hours("12:30:00", "04:00:00"), "begins");
    check("inside, after midnight", hours("22:00:00", "14:00:00"), "begins");
    check("at the end, over midnight", hours("22:00:00", "13:00:00"), "outside_hours");
    let mut world = World::with_gap();
    hours("22:00:00", "04:00:00")(&mut world);
    let Err(Rest::OutsideHours { until }) = world.plan().step else { panic!("it is open") };
    assert_eq!(until, at("2026-06-30T21:00:00Z"), "ten in the evening in London");
}

#[test]
fn a_night_has_its_number_of_runs() {
    let runs = |world: &mut World, outcome: RunOutcome| {
        for day in ["2026-06-11", "2026-06-12", "2026-06-13"] {
            world.begin(at("2026-06-30T04:00:00Z"), date(day), Stage::Load);
            world.end(at("2026-06-30T05:00:00Z"), outcome, Repeat::FromTheTop);
        }
    };
    let ask = |world: &mut World| {
        let request = Request::Heal { dates: vec![gap()], max_runs: None };
        world.request(at("2026-06-30T06:00:00Z"), request);
    };
    check("spent", |world| runs(world, RunOutcome::Succeeded), "night_spent");
    check("void runs do not count", |world| runs(world, RunOutcome::Void), "begins");
    check(
        "spent last night",
        |world| {
            runs(world, RunOutcome::Succeeded);
            world.night.began_at = at("2026-06-30T05:30:00Z");
        },
        "begins",
    );
    check(
        "spent, but asked for by name",
        |world| {
            runs(world, RunOutcome::Succeeded);
            ask(world);
        },
        "begins",
    );
    check(
        "asked for by name, with a number of its own",
        |world| {
            runs(world, RunOutcome::Succeeded);
            ask(world);
            world.night.max_runs = Some(3);
        },
        "night_spent",
    );
    check(
        "only other dates are asked for",
        |world| {
            world.night.only = Some([date("2026-06-11")].into());
        },
        "nothing_to_do",
    );
}

#[test]
fn the_world_closes_gates() {
    check("a blind scan", |world| world.blind = true, "blind");
    check("tasks unseen", |world| world.watch.tasks = Seen::Blind(vec![blindness()]), "blind");
    check(
        "the rule unseen",
        |world| {
            world.watch.rule = Some(Seen::Blind(vec![blindness()]));
        },
        "blind",
    );
    check("a live task", |world| world.watch.tasks = Seen::Known(vec![live_task()]), "live_task");
    check(
        "an operator disabled the rule",
        |world| {
            world.rule().state = RuleState::Disabled;
        },
        "disabled_by_other",
    );
    check(
        "two targets",
        |world| {
            let rule = world.rule();
            rule.targets.push(rule.targets[0].clone());
        },
        "odd_trigger",
    );
    check(
        "no subnets",
        |world| world.rule().targets[0].network.as_mut().unwrap().subnets.clear(),
        "odd_trigger",
    );
    check(
        "no security groups",
        |world| world.rule().targets[0].network.as_mut().unwrap().security_groups.clear(),
        "odd_trigger",
    );
    check(
        "traffic unseen",
        |world| {
            world.watch.traffic = Some(Seen::Blind(vec![blindness()]));
        },
        "blind",
    );
    check(
        "a workflow",
        |world| {
            let run = WorkflowRun {
                id: "wr_1".to_owned(),
                status: WorkflowStatus::Running,
                started_at: None,
                ended_at: None,
                properties: std::collections::BTreeMap::new(),
                statistics: None,
                nodes: Vec::new(),
                error: None,
            };
            let workflows = vec![("live".to_owned(), run)];
            world.watch.traffic = Some(Seen::Known(Traffic { workflows, ..Traffic::default() }));
        },
        "workflow_running",
    );
}

#[test]
fn snapshots_are_left_to_be_exported() {
    let snapshot = |status: &str, exports: Vec<Export>, made: &str| {
        let live = super::night::snapshot("sql-to-parquet-2026-06-29-231500", status, at(made));
        let snapshots = vec![(live, exports)];
        move |world: &mut World| {
            world.watch.traffic = Some(Seen::Known(Traffic { snapshots, ..Traffic::default() }));
        }
    };
    let recent = "2026-06-30T11:00:00Z";
    let long_ago = "2026-06-30T01:00:00Z";
    check("being made", snapshot("creating", vec![], long_ago), "unsettled_snapshot");
    check("not exported yet", snapshot("available", vec![], recent), "unsettled_snapshot");
    check("never exported", snapshot("available", vec![], long_ago), "begins");
    let six_hours_ago = "2026-06-30T06:00:00Z";
    check(
        "may be exported yet",
        snapshot("available", vec![], six_hours_ago),
        "unsettled_snapshot",
    );
    check("failed", snapshot("failed", vec![], recent), "begins");
    let running = export(ExportStatus::InProgress);
    check("being exported", snapshot("available", vec![running], recent), "export_running");
    let complete = export(ExportStatus::Complete);
    check("exported", snapshot("available", vec![complete], recent), "begins");
}

#[test]
fn no_load_is_begun_that_would_meet_the_live_dump() {
    let at_time = |time: &'static str| {
        move |world: &mut World| {
            world.now = at(time);
            world.watch.at = world.now;
        }
    };
    check("three hours before", at_time("2026-06-30T19:34:00Z"), "begins");
    check("a load before, to the second", at_time("2026-06-30T19:35:00Z"), "begins");
    check("less than a load before", at_time("2026-06-30T19:36:00Z"), "live_dump_due");
    check("at its time", at_time("2026-06-30T22:50:00Z"), "live_dump_due");
    check(
        "it landed, its event may be on its way",
        |world| {
            at_time("2026-06-30T23:10:00Z")(world);
            world.dumps().insert(today(), vec![dump(today())].into());
        },
        "live_dump_due",
    );
    check(
        "it landed, its event has settled to the second",
        |world| {
            at_time("2026-06-30T23:20:00Z")(world);
            world.dumps().insert(today(), vec![dump(today())].into());
        },
        "begins",
    );
    check(
        "it lands later than now, by a clock that is ahead of ours",
        |world| {
            at_time("2026-06-30T23:00:00Z")(world);
            world.dumps().insert(today(), vec![dump(today())].into());
        },
        "begins",
    );
    check(
        "it landed long ago",
        |world| {
            at_time("2026-06-30T23:40:00Z")(world);
            world.dumps().insert(today(), vec![dump(today())].into());
        },
        "begins",
    );
    check("it never came", at_time("2026-07-01T01:00:00Z"), "begins");
}

#[test]
fn a_live_run_that_is_driven_comes_first() {
    let swept =
        |missed: bool| move |world: &mut World| world.sweep(at("2026-06-30T11:00:00Z"), missed);
    let driven = |when: &'static str| {
        move |world: &mut World| {
            swept(false)(world);
            let (dataset, date) = ("liberator".to_owned(), today());
            let task = task_request("live");
            let intent = Event::LiveDriveIntended { dataset: dataset.clone(), date, task };
            let task_arn = "arn".to_owned();
            let answer = Event::LiveDriveSubmitted { dataset, date, task_arn };
            world.note(at(when), vec![intent, answer]);
        }
    };
    check("it is to be driven", swept(false), "live_task");
    check("it was missed", swept(true), "begins");
    check("its task may not show itself yet", driven("2026-06-30T11:55:01Z"), "live_task");
    check("its task would be seen", driven("2026-06-30T11:55:00Z"), "begins");
}

#[test]
fn a_rule_that_is_held_for_another_datasets_run_is_waited_for() {
    let held = |steps: &'static [HoldStep], begun: bool| {
        move |world: &mut World| {
            let run = if begun {
                let run = world.begin(at("2026-06-30T04:00:00Z"), date("2026-06-11"), Stage::Load);
                world.end(at("2026-06-30T05:00:00Z"), RunOutcome::Succeeded, Repeat::FromTheTop);
                run
            } else {
                "other/2026-06-11/1".to_owned()
            };
            let (begun_at, until) = (at("2026-06-30T11:00:00Z"), at("2026-06-30T17:00:00Z"));
            let steps = steps.iter().map(|step| (*step, begun_at));
            let hold = hold("other", HoldWhy::Run { run }, [begun_at, until], steps);
            world.ledger.holds.insert(hold.id.clone(), hold);
        }
    };
    check("its run is next", held(&[Armed, Disabled], false), "other_dataset");
    check("its run was given up", held(&[Armed, Disabled, WorkDone], false), "begins");
    check("its run is over", held(&[Armed, Disabled], true), "begins");
}

#[test]
fn the_next_live_dump_is_the_one_whose_time_is_still_to_come() {
    let looks = |when: &str, landed: bool, disabled: bool| {
        let mut world = World::whole();
        if landed {
            world.dumps().insert(today(), vec![dump(today())].into());
        }
        if disabled {
            world.rule().state = RuleState::Disabled;
        }
        plan::awaited(&world.landing, Some(&world.watch), &world.dataset, at(when))
    };
    let (tonight, tomorrow) = (Some(at("2026-06-30T22:35:00Z")), Some(at("2026-07-01T22:35:00Z")));
    assert_eq!(looks("2026-06-30T22:34:59Z", false, false), tonight);
    assert_eq!(looks("2026-06-30T22:35:00Z", false, false), tomorrow);
    assert_eq!(
        looks("2026-06-30T22:35:00Z", false, true),
        tonight,
        "it may come, and fire nothing"
    );
    assert_eq!(looks("2026-07-01T00:34:59Z", false, true), tonight);
    assert_eq!(looks("2026-07-01T00:35:00Z", false, true), tomorrow, "it is waited for no more");
    assert_eq!(looks("2026-06-30T23:30:00Z", true, true), tomorrow, "it landed");
}

#[test]
fn the_usual_load_is_our_own_95th_percentile_once_there_are_five() {
    let usual = |loads: i64, of: &str| {
        let mut world = World::whole();
        for minutes in 1..=loads {
            let began = at("2026-06-01T00:00:00Z");
            let run = world.begin(began, date("2026-06-11"), Stage::Load);
            let detail = String::new();
            let (stage, next) = (Stage::Load, Stage::Snapshot);
            let loaded =
                Event::StageEnded { run: run.clone(), stage, next, detail: detail.clone() };
            world.note(began + Duration::minutes(minutes), vec![loaded]);
            let (stage, next) = (Stage::Snapshot, Stage::Export);
            let made = Event::StageEnded { run, stage, next, detail };
            world.note(began + Duration::hours(5), vec![made]);
            world.end(began + Duration::hours(9), RunOutcome::Succeeded, Repeat::FromTheTop);
        }
        of.clone_into(&mut world.dataset.name);
        world.dataset.load.expected = std::time::Duration::from_hours(3);
        gates::usual_load(&world.ledger, &world.dataset).as_secs() / 60
    };
    assert_eq!(usual(4, "liberator"), 180, "too few");
    assert_eq!(usual(5, "liberator"), 5);
    assert_eq!(usual(40, "liberator"), 38);
    assert_eq!(usual(40, "other"), 180, "others' loads are not ours");
}

#[test]
fn a_date_is_looked_at_once_more_within_the_minute_before_its_start() {
    let begins = |spoil: fn(&mut Confirmation)| {
        let world = World::with_gap();
        let mut seen = world.observation();
        let mut look = world.look_at(gap());
        spoil(&mut look);
        seen.confirmed = Some(Seen::Known(look));
        let World { ledger, dataset, night, now, .. } = &world;
        match plan::plan(ledger, &seen, dataset, night, *now).step {
            Ok(Step::Begin(_)) => true,
            Ok(Step::Confirm { date }) => {
                assert_eq!(date, gap());
                false
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(begins(|_| {}));
    assert!(begins(|look| look.at -= Duration::seconds(59)));
    assert!(!begins(|look| look.at -= Duration::seconds(60)));
    assert!(!begins(|look| look.date = date("2026-06-16")), "another date was looked at");
}

#[test]
fn a_night_rests_until_the_first_date_that_backs_off_may_be_tried_again() {
    let rests = |spoil: fn(&mut World)| {
        let mut world = World::with_gap();
        world.dataset.backfill.backoff = std::time::Duration::from_mins(30);
        world.fail(at("2026-06-30T11:50:00Z"), gap(), Repeat::FromTheTop);
        spoil(&mut world);
        world.plan().step.unwrap_err()
    };
    assert_eq!(rests(|_| {}), Rest::BackingOff { until: at("2026-06-30T12:20:00Z") });
    let other = |world: &mut World| world.night.only = Some([date("2026-06-16")].into());
    assert_eq!(rests(other), Rest::NothingToDo, "it is not asked for");
    let mut cancelled = World::with_gap();
    cancelled.begin(at("2026-06-30T11:50:00Z"), gap(), Stage::Load);
    cancelled.end(at("2026-06-30T11:51:00Z"), RunOutcome::Cancelled, Repeat::Unsafe);
    let rest = cancelled.plan().step.unwrap_err();
    assert_eq!(rest, Rest::NothingToDo, "that is the next night's work");
}

#[test]
fn a_complete_export_is_taken_up_although_a_load_would_have_to_wait() {
    check(
        "a live task",
        |world| {
            world.exports.insert(gap(), export(ExportStatus::Complete));
            world.watch.tasks = Seen::Known(vec![live_task()]);
        },
        "takes up",
    );
}

/// An auditor reads it beside the run.
#[test]
fn a_run_says_what_permits_it() {
    let says = |spoil: &dyn Fn(&mut World)| {
        let mut world = World::with_gap();
        spoil(&mut world);
        world.plan().queue.remove(0).permitted_by
    };
    let allow = |world: &mut World| {
        world.dataset.backfill.allow.insert("june".to_owned(), entry("2026-06-15", "agreed"));
    };
    let ask = |world: &mut World| {
        let request = Request::Heal { dates: vec![gap()], max_runs: None };
        world.request(world.now, request);
    };
    assert_eq!(says(&|_| {}), "mode auto");
    assert_eq!(says(&|world| world.dataset.mode = Mode::Observe), "mode observe");
    let named = |world: &mut World| {
        world.dataset.mode = Mode::Allowlist;
        world.night.only = Some([gap()].into());
    };
    assert_eq!(says(&named), "asked for by name");
    assert_eq!(says(&ask), "asked for by name by someone");
    assert_eq!(says(&allow), "backfill.allow.june: agreed");
}

#[test]
fn the_queue_has_the_configured_order_and_first_what_was_asked_for() {
    let queue = |order: Order, asked: Option<&str>| -> Vec<String> {
        let mut world = World::with_gap();
        world.lose(date("2026-06-12"));
        world.lose(date("2026-06-18"));
        world.dataset.backfill.order = order;
        if let Some(asked) = asked {
            let request = Request::Heal { dates: vec![date(asked)], max_runs: None };
            world.request(world.now, request);
        }
        let queue = world.plan().queue;
        queue.iter().map(|candidate| candidate.date.format("%d").to_string()).collect()
    };
    assert_eq!(queue(Order::OldestFirst, None), ["12", "15", "18"]);
    assert_eq!(queue(Order::NewestFirst, None), ["18", "15", "12"]);
    assert_eq!(queue(Order::NewestFirst, Some("2026-06-15")), ["15", "18", "12"]);
}
