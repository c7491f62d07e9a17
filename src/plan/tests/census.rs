//! One row a status: what is spoiled, and what the date then is.

use super::night::{TABLES, World, at, date, entry, export, gap, live_task, today};
use crate::config::Mode;
use crate::domain::{DateStatus, DumpFault, ExportStatus, Flag, RunOutcome, Seen, Stage};
use crate::ledger::{Event, Repeat, Request};
use crate::plan;

fn check(what: &str, spoil: impl FnOnce(&mut World), expected: DateStatus) {
    check_date(what, gap(), spoil, expected);
}

fn check_date(
    what: &str,
    date: chrono::NaiveDate,
    spoil: impl FnOnce(&mut World),
    expected: DateStatus,
) {
    let mut world = World::with_gap();
    spoil(&mut world);
    let plan = world.plan();
    let verdict = plan.census.as_ref().unwrap().verdict(date).unwrap();
    assert_eq!(verdict.status, expected, "{what}: {}", verdict.reason);
    let queued = plan.queue.iter().any(|candidate| candidate.date == date);
    assert_eq!(queued, expected == DateStatus::Missing, "{what}: queued");
}

fn yesterday_noon() -> chrono::DateTime<chrono::Utc> {
    at("2026-06-29T12:00:00Z")
}

#[test]
fn first_the_data_speaks() {
    use DateStatus as S;
    check("nothing spoiled but the gap", |_| {}, S::Missing);
    check("whole", |world| *world = World::whole(), S::Available);
    check_date("today, before its dump is due", today(), |_| {}, S::NotDue);
    check_date(
        "yesterday, its live run still due",
        date("2026-06-29"),
        |world| {
            world.lose(date("2026-06-29"));
            world.now = at("2026-06-30T04:00:00Z");
        },
        S::NotDue,
    );
    check("no dump", |world| drop(world.dumps().remove(&gap())), S::NoDump);
    check(
        "one table has it",
        |world| {
            world.catalogued.get_mut(TABLES[0]).unwrap().insert(gap());
            world.stored.get_mut(TABLES[0]).unwrap().insert(gap());
        },
        S::Partial,
    );
    check(
        "catalogued without objects",
        |world| {
            for table in TABLES {
                world.catalogued.get_mut(table).unwrap().insert(gap());
            }
        },
        S::Empty,
    );
    check(
        "objects without a catalog entry",
        |world| {
            for table in TABLES {
                world.stored.get_mut(table).unwrap().insert(gap());
            }
        },
        S::Unregistered,
    );
    check(
        "our run of it",
        |world| {
            world.begin(world.now, gap(), Stage::Load);
        },
        S::Running,
    );
    check(
        "somebody's run of it",
        |world| {
            let mut task = live_task();
            task.date_override = Some(gap().to_string());
            world.watch.tasks = Seen::Known(vec![task]);
        },
        S::Running,
    );
}

#[test]
fn the_calendar_and_waivers_yield_to_a_dump() {
    use DateStatus as S;
    let waive = |world: &mut World| {
        let waiver = entry("2026-06-15", "the supplier moved house");
        world.dataset.backfill.waive.insert("moved".to_owned(), waiver);
    };
    let except = |world: &mut World| {
        let entry = entry("2026-06-15", "no enforcement");
        world.dataset.calendar.except.insert("holiday".to_owned(), entry);
    };
    let no_dump = |world: &mut World| drop(world.dumps().remove(&gap()));
    check("waived, and a dump came", waive, S::Missing);
    check(
        "waived",
        |world| {
            waive(world);
            no_dump(world);
        },
        S::Waived,
    );
    let until = |world: &mut World, day: &str| {
        let waiver = world.dataset.backfill.waive.get_mut("moved").unwrap();
        waiver.until = Some(date(day));
    };
    check(
        "waived until today",
        |world| {
            waive(world);
            until(world, "2026-06-30");
            no_dump(world);
        },
        S::Waived,
    );
    check(
        "waived until yesterday",
        |world| {
            waive(world);
            until(world, "2026-06-29");
            no_dump(world);
        },
        S::NoDump,
    );
    check("excepted, and a dump came", except, S::Missing);
    check(
        "excepted",
        |world| {
            except(world);
            no_dump(world);
        },
        S::NotExpected,
    );
    check(
        "excepted, and expected after all",
        |world| {
            except(world);
            no_dump(world);
            world.dataset.calendar.also.insert("extra".to_owned(), entry("2026-06-15", "extra"));
        },
        S::NoDump,
    );
    check(
        "not that weekday",
        |world| {
            world.dataset.calendar.expect = vec![chrono::Weekday::Sun];
            no_dump(world);
        },
        S::NotExpected,
    );
    check(
        "an optional table lacks it",
        |world| {
            *world = World::whole();
            world.optional.insert(TABLES[1]);
            world.catalogued.get_mut(TABLES[1]).unwrap().remove(&gap());
            world.stored.get_mut(TABLES[1]).unwrap().remove(&gap());
        },
        S::Available,
    );
}

#[test]
fn then_what_may_be_done_about_a_missing_date() {
    use DateStatus as S;
    let deny = |world: &mut World| {
        world.dataset.backfill.deny.insert("bad".to_owned(), entry("2026-06-15", "bad data"));
    };
    let ask = |world: &mut World| {
        let request = Request::Heal { dates: vec![gap()], max_runs: None };
        world.request(yesterday_noon(), request);
    };
    check("denied", deny, S::NotAllowed);
    check(
        "denied, though asked for",
        |world| {
            ask(world);
            deny(world);
        },
        S::NotAllowed,
    );
    check(
        "denied until yesterday",
        |world| {
            deny(world);
            world.dataset.backfill.deny.get_mut("bad").unwrap().until = Some(date("2026-06-29"));
        },
        S::Missing,
    );
    check("outside the allowlist", |world| world.dataset.mode = Mode::Allowlist, S::NotAllowed);
    check(
        "outside the allowlist, asked for",
        |world| {
            world.dataset.mode = Mode::Allowlist;
            ask(world);
        },
        S::Missing,
    );
    check(
        "in the allowlist",
        |world| {
            world.dataset.mode = Mode::Allowlist;
            world.dataset.backfill.allow.insert("one".to_owned(), entry("2026-06-15", "try"));
        },
        S::Missing,
    );
    check("mode observe reports as auto", |world| world.dataset.mode = Mode::Observe, S::Missing);
    check_date(
        "six days old",
        date("2026-06-24"),
        |world| {
            world.lose(date("2026-06-24"));
        },
        S::TooYoung,
    );
    check_date(
        "seven days old",
        date("2026-06-23"),
        |world| {
            world.lose(date("2026-06-23"));
        },
        S::Missing,
    );
    check(
        "a bad dump",
        |world| {
            let fault = DumpFault::TooSmall { size: 1, min: 1024 };
            world.landing.faults.insert(gap(), fault);
        },
        S::BadDump,
    );
}

#[test]
fn failures_back_off_and_end_in_quarantine_until_a_retry() {
    use DateStatus as S;
    let fail = |world: &mut World, at_text: &str| {
        world.fail(at(at_text), gap(), Repeat::FromTheTop);
    };
    check("a failure a moment ago", |world| fail(world, "2026-06-30T11:50:00Z"), S::BackingOff);
    check("a failure an hour ago", |world| fail(world, "2026-06-30T11:00:00Z"), S::Missing);
    check(
        "the second wait is twice as long",
        |world| {
            fail(world, "2026-06-30T11:00:00Z");
            fail(world, "2026-06-30T11:40:00Z");
        },
        S::BackingOff,
    );
    let thrice = |world: &mut World| {
        for time in ["01:00", "03:00", "05:00"] {
            fail(world, &format!("2026-06-30T{time}:00Z"));
        }
    };
    check("attempts spent", thrice, S::Quarantined);
    check(
        "attempts spent and forgiven",
        |world| {
            thrice(world);
            world.request(at("2026-06-30T11:00:00Z"), Request::Retry { date: gap() });
        },
        S::Missing,
    );
    check(
        "unsafe to repeat",
        |world| {
            world.fail(yesterday_noon(), gap(), Repeat::Unsafe);
        },
        S::Quarantined,
    );
    check(
        "unsafe, and a bad dump",
        |world| {
            world.fail(yesterday_noon(), gap(), Repeat::Unsafe);
            let fault = DumpFault::TooSmall { size: 1, min: 1024 };
            world.landing.faults.insert(gap(), fault);
        },
        S::Quarantined,
    );
    check(
        "a failed export under its id",
        |world| {
            world.exports.insert(gap(), export(ExportStatus::Ended("FAILED".to_owned())));
        },
        S::Quarantined,
    );
    check(
        "a complete export under its id",
        |world| {
            world.exports.insert(gap(), export(ExportStatus::Complete));
        },
        S::Missing,
    );
    let published_in_vain = |world: &mut World| {
        world.exports.insert(gap(), export(ExportStatus::Complete));
        world.begin(yesterday_noon(), gap(), Stage::Publish);
        let ended = at("2026-06-29T18:00:00Z");
        world.end(ended, crate::domain::RunOutcome::Failed, Repeat::Unsafe);
    };
    check("a complete export that was published in vain", published_in_vain, S::Quarantined);
    check(
        "the same, forgiven: it is taken up once more",
        |world| {
            published_in_vain(world);
            world.request(at("2026-06-30T11:00:00Z"), Request::Retry { date: gap() });
        },
        S::Missing,
    );
    check(
        "void runs are no failed attempts",
        |world| {
            for hour in 4..6 {
                let begun = at(&format!("2026-06-30T0{hour}:00:00Z"));
                world.begin(begun, gap(), Stage::Load);
                world.end(begun, crate::domain::RunOutcome::Void, Repeat::FromTheTop);
            }
        },
        S::Missing,
    );
}

#[test]
fn a_date_that_no_table_has_is_never_available() {
    let mut world = World::whole();
    for day in 0..20 {
        world.lose(super::night::first() + chrono::Duration::days(day));
    }
    assert_eq!(world.status(gap()), DateStatus::Missing);
}

/// The lag of a world: the watermark, the oldest gap, the dates behind.
fn lag(world: &World) -> (Option<chrono::NaiveDate>, Option<chrono::NaiveDate>, u32) {
    let census = world.plan().census.unwrap();
    (census.whole_through, census.oldest_gap, census.dates_behind)
}

#[test]
fn healing_an_old_date_never_makes_a_newer_hole_look_better() {
    let (old, new) = (date("2026-06-12"), date("2026-06-20"));
    let mut only_new = World::whole();
    only_new.lose(new);
    let mut both = only_new.clone();
    both.lose(old);
    assert_eq!(lag(&both), (Some(date("2026-06-11")), Some(old), 18));
    // Healed, the old one takes its own lag away, and the new one's is what it always was.
    assert_eq!(lag(&only_new), (Some(date("2026-06-19")), Some(new), 10));
    let mut newer_healed = World::whole();
    newer_healed.lose(old);
    assert_eq!(lag(&newer_healed), lag(&both), "and healing the newer one first hides nothing");
}

#[test]
fn lag_counts_expected_dates_only() {
    let mut world = World::whole();
    world.dataset.calendar.expect.retain(|weekday| *weekday != chrono::Weekday::Sun);
    for sunday in ["2026-06-14", "2026-06-21", "2026-06-28"] {
        world.lose(date(sunday));
        world.dumps().remove(&date(sunday));
    }
    assert_eq!(lag(&world), (Some(date("2026-06-29")), None, 0));
    world.lose(date("2026-06-13"));
    let (whole_through, oldest_gap, behind) = lag(&world);
    assert_eq!((whole_through, oldest_gap), (Some(date("2026-06-12")), Some(date("2026-06-13"))));
    assert_eq!(behind, 14, "17 days, three of them Sundays");
}

/// A run of the date that ended at eleven, having proven so many tables.
fn ended(world: &mut World, outcome: RunOutcome, repeat: Repeat, proven: Option<u32>) {
    let run = world.begin(at("2026-06-30T08:00:00Z"), gap(), Stage::Load);
    let event = Event::RunEnded {
        run,
        outcome,
        stage: Stage::Verify,
        reason: None,
        detail: "it ended".to_owned(),
        log_tail: Vec::new(),
        repeat,
        tables_present: proven,
    };
    world.note(at("2026-06-30T11:00:00Z"), vec![event]);
}

#[test]
fn a_date_that_we_healed_has_what_its_dump_held() {
    use DateStatus as S;
    let healed = |outcome: RunOutcome, proven: u32, catalogued: bool, stored: bool| {
        let mut world = World::with_gap();
        ended(&mut world, outcome, Repeat::FromTheTop, Some(proven));
        if catalogued {
            world.catalogued.get_mut(TABLES[0]).unwrap().insert(gap());
        }
        if stored {
            world.stored.get_mut(TABLES[0]).unwrap().insert(gap());
        }
        world.status(gap())
    };
    assert_eq!(healed(RunOutcome::Succeeded, 1, true, true), S::Available);
    assert_eq!(healed(RunOutcome::Succeeded, 2, true, true), S::Partial);
    assert_eq!(healed(RunOutcome::Succeeded, 1, true, false), S::Partial);
    assert_eq!(healed(RunOutcome::Succeeded, 1, false, true), S::Partial);
    assert_eq!(healed(RunOutcome::Failed, 1, true, true), S::Partial);
    assert_eq!(healed(RunOutcome::Succeeded, 0, false, false), S::Missing);
}

/// The date's attempts were forgiven by the entry before its last run's.
fn forgiven_before(world: &mut World) {
    let seq = world.ledger.runs_of("liberator", gap()).last().unwrap().seq - 1;
    let state = world.ledger.datasets.entry("liberator".to_owned()).or_default();
    state.forgiven.insert(gap(), seq);
}

#[test]
fn a_date_that_was_cancelled_tonight_waits_for_the_next_slot_unless_it_is_asked_for() {
    use DateStatus as S;
    let cancelled = |outcome: RunOutcome, repeat: Repeat, then: fn(&mut World)| {
        let mut world = World::with_gap();
        ended(&mut world, outcome, repeat, None);
        then(&mut world);
        world.status(gap())
    };
    let (by_operator, safe) = (Repeat::Unsafe, Repeat::FromTheTop);
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, |_| {}), S::BackingOff);
    assert_eq!(cancelled(RunOutcome::Cancelled, safe, |_| {}), S::Missing);
    assert_eq!(cancelled(RunOutcome::Void, by_operator, |_| {}), S::Missing);
    let last_night = |world: &mut World| world.night.began_at = at("2026-06-30T11:00:01Z");
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, last_night), S::Missing);
    let tonight = |world: &mut World| world.night.began_at = at("2026-06-30T11:00:00Z");
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, tonight), S::BackingOff);
    let retried = |world: &mut World| {
        world.request(at("2026-06-30T11:30:00Z"), Request::Retry { date: gap() });
    };
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, retried), S::Missing);
    let retried_before = forgiven_before;
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, retried_before), S::BackingOff);
    let asked = |world: &mut World| {
        let request = Request::Heal { dates: vec![gap()], max_runs: None };
        world.request(at("2026-06-30T11:30:00Z"), request);
    };
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, asked), S::Missing);
    let by_name = |world: &mut World| world.night.only = Some([gap()].into());
    assert_eq!(cancelled(RunOutcome::Cancelled, by_operator, by_name), S::Missing);
}

#[test]
fn waits_end_to_the_second() {
    use DateStatus as S;
    let failed = |now: &str| {
        let mut world = World::with_gap();
        world.dataset.backfill.backoff = std::time::Duration::from_mins(30);
        ended(&mut world, RunOutcome::Failed, Repeat::FromTheTop, None);
        world.now = at(now);
        world.status(gap())
    };
    assert_eq!(failed("2026-06-30T11:29:59Z"), S::BackingOff);
    let mut world = World::with_gap();
    world.dataset.backfill.backoff = std::time::Duration::from_mins(90);
    ended(&mut world, RunOutcome::Failed, Repeat::FromTheTop, None);
    let census = world.plan().census.unwrap();
    assert_eq!(census.verdict(gap()).unwrap().until, Some(at("2026-06-30T12:30:00Z")));
    assert_eq!(failed("2026-06-30T11:30:00Z"), S::Missing);
    // In London, an hour ahead of UTC: due by 23:45 on its day, ready by 6:00 on the next.
    let todays = |now: &str| {
        let mut world = World::whole();
        world.dataset.calendar.arrives_by = "23:45:00".parse().unwrap();
        world.now = at(now);
        world.status(today())
    };
    assert_eq!(todays("2026-06-30T22:44:59Z"), S::NotDue);
    assert_eq!(todays("2026-06-30T22:45:00Z"), S::NoDump);
    let yesterdays = |now: &str| {
        let mut world = World::whole();
        let yesterday = date("2026-06-29");
        world.lose(yesterday);
        world.dataset.calendar.ready_by = (1, "06:00:00".parse().unwrap());
        world.now = at(now);
        world.status(yesterday)
    };
    assert_eq!(yesterdays("2026-06-30T04:59:59Z"), S::NotDue);
    assert_eq!(yesterdays("2026-06-30T05:00:00Z"), S::TooYoung);
}

#[test]
fn the_newest_available_date_is_told() {
    let mut world = World::whole();
    world.lose(date("2026-06-29"));
    let census = world.plan().census.unwrap();
    assert_eq!(census.latest_available, Some(date("2026-06-28")));
}

#[test]
fn a_complete_export_that_was_published_in_vain_is_spent_until_it_is_forgiven() {
    use DateStatus as S;
    let taken_up = |stage: Stage, then: fn(&mut World)| {
        let mut world = World::with_gap();
        world.exports.insert(gap(), export(ExportStatus::Complete));
        world.begin(at("2026-06-29T08:00:00Z"), gap(), stage);
        world.end(at("2026-06-29T09:00:00Z"), RunOutcome::Failed, Repeat::FromTheTop);
        then(&mut world);
        world.status(gap())
    };
    assert_eq!(taken_up(Stage::Export, |_| {}), S::Missing, "it was never published");
    assert_eq!(taken_up(Stage::Publish, |_| {}), S::Quarantined);
    let retried = |world: &mut World| {
        world.request(at("2026-06-29T10:00:00Z"), Request::Retry { date: gap() });
    };
    assert_eq!(taken_up(Stage::Publish, retried), S::Missing);
    assert_eq!(taken_up(Stage::Publish, forgiven_before), S::Quarantined);
}

#[test]
fn what_was_forgiven_is_a_matter_of_entries_whatever_the_clocks_say() {
    use DateStatus as S;
    let spent = |retried_at: Option<&str>| {
        let mut world = World::with_gap();
        world.dataset.backfill.max_attempts = 1;
        world.dataset.backfill.backoff = std::time::Duration::ZERO;
        if let Some(at_clock) = retried_at {
            world.begin(at("2026-06-29T08:00:00Z"), gap(), Stage::Load);
            world.end(at("2026-06-29T09:00:00Z"), RunOutcome::Failed, Repeat::FromTheTop);
            world.request(at(at_clock), Request::Retry { date: gap() });
        }
        world
    };
    let behind = spent(Some("2026-06-29T07:57:00Z"));
    assert_eq!(behind.status(gap()), S::Missing, "a clock behind forgives all the same");
    let mut ahead = spent(Some("2026-06-29T12:00:00Z"));
    ahead.begin(at("2026-06-29T10:00:00Z"), gap(), Stage::Load);
    ahead.end(at("2026-06-29T11:00:00Z"), RunOutcome::Failed, Repeat::FromTheTop);
    assert_eq!(ahead.status(gap()), S::Quarantined, "a clock ahead forgives nothing to come");
}

#[test]
fn a_date_whose_runs_make_way_again_and_again_waits_and_is_then_for_a_person() {
    use DateStatus as S;
    let voided = |nights: &[usize]| {
        let mut world = World::with_gap();
        for (night, runs) in nights.iter().enumerate() {
            let began = world.night.began_at - chrono::Days::new((nights.len() - 1 - night) as u64);
            for _ in 0..*runs {
                world.begin(began, gap(), Stage::Load);
                world.end(began, RunOutcome::Void, Repeat::FromTheTop);
            }
        }
        world
    };
    assert_eq!(voided(&[2]).status(gap()), S::Missing);
    assert_eq!(voided(&[3]).status(gap()), S::BackingOff);
    assert_eq!(voided(&[3, 0]).status(gap()), S::Missing, "another night");
    assert_eq!(voided(&[3, 3, 2, 0]).status(gap()), S::Missing);
    assert_eq!(voided(&[3, 3, 3, 0]).status(gap()), S::Quarantined);
    let mut retried = voided(&[3, 3, 3, 0]);
    retried.request(retried.now, Request::Retry { date: gap() });
    assert_eq!(retried.status(gap()), S::Missing);
}

#[test]
fn after_a_loss_no_gap_of_before_is_run_before_somebody_says_so() {
    use DateStatus as S;
    let mut world = World::with_gap();
    let run = world.begin(at("2026-06-30T08:00:00Z"), gap(), Stage::Load);
    let lost = vec![crate::ledger::EntrySpan { from: 900, to: 901 }];
    let asked = crate::ledger::Asked { by: "kim".to_owned(), reason: None, ticket: None };
    let event = Event::LossAcknowledged { lost, epoch: 9, asked };
    world.note(world.now, vec![event]);
    assert!(world.ledger.active_run().is_none(), "{run} is given up");
    assert_eq!(world.status(gap()), S::Quarantined);
    assert_eq!((world.ledger.acting.epoch, &world.ledger.acting.writer), (9, &None));
    world.request(world.now, Request::Retry { date: gap() });
    assert_eq!(world.status(gap()), S::Missing);
}

#[test]
fn a_dump_that_is_newer_than_its_data_was_delivered_again() {
    let flagged = |written_at: &str| {
        let world = World::whole();
        let mut seen = world.observation();
        let Seen::Known(scan) = &mut seen.scan else { panic!("it is seen") };
        scan.coverage.written_at.insert(gap(), at(written_at));
        let World { ledger, dataset, night, now, .. } = &world;
        let census = plan::plan(ledger, &seen, dataset, night, *now).census.unwrap();
        census.verdict(gap()).unwrap().flags.contains(&Flag::Redelivered)
    };
    assert!(flagged("2026-06-15T23:04:59Z"));
    assert!(!flagged("2026-06-15T23:05:00Z"));
}
