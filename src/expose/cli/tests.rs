//! What is printed, on 80 columns without colour.

use super::*;
use crate::daemon::{Finding, Verdict};
use crate::domain::PassOutcome;
use crate::expose::sample;

fn paper() -> Paper {
    Paper::new(Some(80), false)
}

/// No line is wider than the paper, none ends in blanks.
fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "too wide: {line}");
        assert_eq!(line, line.trim_end(), "blanks at the end");
    }
}

#[test]
fn a_scan_shows_the_calendar_and_the_gaps() {
    let census = sample::census();
    let text = scan_text(&[(sample::NAME, &census, PassOutcome::Waiting)], paper());
    fits(&text);
    insta::assert_snapshot!(text, @r#"
    liberator
    scanned           2026-03-15 04:00 UTC, waiting
    whole through     2026-01-19, 54 dates behind
    newest available  2026-03-14
    tables expected   17

             1   5    10   15   20   25   30
    2025-12                 █████████  █████  14 whole
    2026-01  ██████████W████████P███████E███  28 whole, 2 not
    2026-02  █U██C██SS███B███QT██N███████     20 whole, 8 not
    2026-03  ██MMR██████Y██·                  10 whole, 4 not

    █ available 72   W waived 1   · not due 1   R running 1   P partial 1
    E empty 1   U unregistered 1   C unpublished 1   S no dump 2   M missing 2
    N not allowed 1   Y too young 1   Q quarantined 1   B bad dump 1
    T backing off 1
    A blank is a date that the calendar does not expect (2), or one that was not
    looked at.

     gap                     dates  status          why, and what next
     2026-01-20                  1  P partial       16 of 17 tables have it;
                                                    liberator_pcn_audit lacks it
                                                    → a person decides: re-running
                                                    would duplicate the 16 others
     2026-01-28                  1  E empty         catalogued, but without objects
                                                    → check the raw zone's
                                                    lifecycle rule; then `gapmend
                                                    retry 2026-01-28`
     2026-02-02                  1  U unregistered  objects, but no catalog entry
                                                    → run the raw zone's crawler
     2026-02-05                  1  C unpublished   no table has it, but the copy
                                                    holds 34 files of 17 tables,
                                                    exactly those of export
                                                    sql-to-parquet-26-02-05-231500
                                                    → it is queued: the workflow
                                                    publishes it, nothing is loaded
     2026-02-08..2026-02-09      2  S no dump       no dump under parking/ names
                                                    this date
                                                    → ask the supplier, then
                                                    `gapmend upload`
     2026-02-13                  1  B bad dump      the dump has 12 bytes, fewer
                                                    than min_size 1024
                                                    → ask the supplier for it again
     2026-02-17                  1  Q quarantined   3 attempts failed; the last:
                                                    task exited 1
                                                    → look at the log, then
                                                    `gapmend retry 2026-02-17`
     2026-02-18                  1  T backing off   attempt 1 failed: task exited 1
                                                    → tried again by itself
     2026-02-21                  1  N not allowed   deny.audit: frozen for the
                                                    auditors
                                                    → remove deny.audit
     2026-03-03..2026-03-04      2  M missing       the dump is there, 17 tables
                                                    lack the date
                                                    → queued, first
     2026-03-05                  1  R running       run liberator/2026-03-05/1,
                                                    stage export
                                                    → wait for the run
     2026-03-12                  1  Y too young     3 days old: still the nightly's
                                                    → healable from 2026-03-19

    Flagged
      2026-01-15  odd_volume: liberator_pcn_tickets 400.1 MiB, usually 800.7 MiB
                  (800.0 MiB to 801.0 MiB)
      2026-01-20  duplicated

    ignored   3 keys in the landing bucket that are no dump
    healable  2 dates; see gapmend plan
    "#);
}

#[test]
fn a_scan_without_gaps_says_so() {
    let mut census = sample::census();
    census.gaps.clear();
    let text = scan_text(&[(sample::NAME, &census, PassOutcome::NothingToDo)], paper());
    assert!(text.contains("No gaps.\n"), "{text}");
}

#[test]
fn a_plan_shows_the_queue_and_why_the_others_wait() {
    let plan = sample::plan();
    let text = plan_text(&[(sample::NAME, &plan)], paper());
    fits(&text);
    insta::assert_snapshot!(text, @r#"
    liberator
    now  nothing is started: run liberator/2026-03-05/1, stage export: export
         sql-to-parquet-2026-03-05-backdated is at 42 %

    Queue
     #  date        attempt  dump                       asked by  permitted by
     1  2026-03-04        1  liberator_dump_260304.zip  schedule  mode auto
     2  2026-03-03        1  liberator_dump_260303.zip  schedule  mode auto

    Waiting, and why
     dates                   status          why not
     2026-01-20              P partial       16 of 17 tables have it;
                                             liberator_pcn_audit lacks it
     2026-01-28              E empty         catalogued, but without objects
     2026-02-02              U unregistered  objects, but no catalog entry
     2026-02-05              C unpublished   no table has it, but the copy holds 34
                                             files of 17 tables, exactly those of
                                             export sql-to-parquet-26-02-05-231500
     2026-02-08..2026-02-09  S no dump       no dump under parking/ names this date
     2026-02-13              B bad dump      the dump has 12 bytes, fewer than
                                             min_size 1024
     2026-02-17              Q quarantined   3 attempts failed; the last: task
                                             exited 1
     2026-02-18              T backing off   attempt 1 failed: task exited 1, until
                                             2026-03-15 07:00 UTC
     2026-02-21              N not allowed   deny.audit: frozen for the auditors
     2026-03-05              R running       run liberator/2026-03-05/1, stage
                                             export
     2026-03-12              Y too young     3 days old: still the nightly's, until
                                             2026-03-19 00:00 UTC
     2026-03-15              · not due       arrives by 23:45
    "#);
}

#[test]
fn a_status_answers_the_four_questions_first() {
    let text = status_text(&sample::report(), sample::now(), paper());
    fits(&text);
    insta::assert_snapshot!(text, @r#"
    daemon     host-1/812/run acts, since 2026-03-10 03:00 UTC
    next scan  2026-03-16 04:00 UTC

    liberator (mode auto)
    trigger         enabled
    whole through   2026-01-19, 54 dates behind
    next            2026-03-05 attempt 1 is in stage export for 22m 00s, 42 %
    last scan       2026-03-15 04:00 UTC
    next live dump  2026-03-15 23:05 UTC

    Run in progress: 2026-03-05 attempt 1
     stage      took     seen
     preflight      20s  clear
     load        1h 57m  task exited 0
     snapshot   10m 00s  available
     export     22m 00s  in progress, 42 %

    Queue
     #  date        attempt  waits   asked by
     1  2026-03-04        1  4d 02h  schedule
     2  2026-03-03        1  5d 02h  schedule

    Last passes
     when                  outcome  detail
     2026-03-15 04:01 UTC  started  2026-03-05 attempt 1
     2026-03-14 09:32 UTC  healed   2026-03-06: 17 of 17 tables have it
     2026-03-14 04:33 UTC  error    glue:GetPartitions answered throttled
    "#);
}

#[test]
fn a_first_start_has_a_status_too() {
    let text = status_text(&sample::first_report(), sample::now(), paper());
    fits(&text);
    assert!(text.contains("not looked at yet"), "{text}");
}

#[test]
fn a_held_trigger_says_for_what_and_until_when() {
    let rule = sample::rule();
    let rules = [(sample::NAME, &rule)];
    let text = trigger_text(&sample::holding_report(), &rules, sample::now(), paper());
    fits(&text);
    insta::assert_snapshot!(text, @r#"
    liberator
    rule   default/liberator-to-rds-snapshot-event
    state  held 10m 00s for the upload of 2026-02-08, back on by 2026-03-15 07:50
           UTC at the latest
    "#);
    let nothing = trigger_text(&sample::holding_report(), &[], sample::now(), paper());
    assert_eq!(nothing, "No dataset has a trigger.\n");
}

#[test]
fn a_history_is_a_table_of_attempts() {
    let runs = [sample::active_run(), sample::healed_run(), sample::failed_run()];
    let text = history_text(&runs, false, paper());
    fits(&text);
    insta::assert_snapshot!(text, @r#"
    began (UTC)       date        attempt  outcome            took
    2026-03-15 04:01  2026-03-05        1  running in export
    2026-03-14 04:35  2026-03-06        1  succeeded           4h 57m
        17 of 17 tables have it
    2026-03-14 04:01  2026-02-18        1  failed in load     32m 00s
        task exited 1: Essential container in task exited
    "#);
    assert_eq!(history_text([], false, paper()), "No attempts yet.\n");
}

#[test]
fn an_explanation_has_the_evidence_and_every_attempt() {
    let text = explain_text(sample::NAME, sample::date("2026-02-18"), &sample::report(), paper());
    insta::assert_snapshot!(text.unwrap(), @r#"
    liberator 2026-02-18: backing off
    why     attempt 1 failed: task exited 1
    next    tried again by itself
    until   2026-03-15 07:00 UTC
    queue   not yet: it comes into the queue by itself
    dump    parking/liberator_dump_260218.zip, 1.5 GiB, written 2026-02-18 23:07 UTC
    tables  0 of 17 have it

        gapmend retry 2026-02-18 --reason "…"

    Seen by the scan of 2026-03-15 04:00 UTC.

    2026-02-18 attempt 1: failed
    run           liberator/2026-02-18/1
    began         2026-03-14 04:01 UTC
    asked by      arn:aws:sts::111122223333:assumed-role/operator/kim
    asked why     the finance report needs it
    ticket        DP-123
    permitted by  mode auto
    dump          parking/liberator_dump_260218.zip, 1.5 GiB, ETag
                  9b2cf535f27731c974343645a3985328
    task          arn:aws:ecs:eu-west-2:111122223333:task/dataplatform-prod-workers/8f3e
    token         0f5e1c2a
    ended         2026-03-14 04:33 UTC: task exited 1: Essential container in task
                  exited
    failure       failed
    tables        0 before, 0 after, of 17 expected
    gapmend       0.1.0, configuration 3f0a
     stage      began           took     seen
     preflight  03-14 04:00:40      20s  clear
     load       03-14 04:01:00  32m 00s  task exited 1
      log | ERROR 1045 (28000): Access denied for user
    "#);
    let unseen = explain_text(sample::NAME, sample::date("2020-01-01"), &sample::report(), paper());
    assert_eq!(unseen, None);
}

#[test]
fn a_check_says_what_to_do() {
    let finding = |subject: &str, verdict, detail: &str, hint: Option<&str>| Finding {
        subject: subject.to_owned(),
        verdict,
        detail: detail.to_owned(),
        hint: hint.map(str::to_owned),
    };
    let text = check_text(
        &[
            finding("aws: account", Verdict::Right, "111122223333", None),
            finding("liberator: export", Verdict::Doubtful, "no bucket is configured", None),
            finding(
                "liberator: rule",
                Verdict::Wrong,
                "events:DescribeRule answered not_found",
                Some("check the name in the configuration"),
            ),
        ],
        paper(),
    );
    fits(&text);
    insta::assert_snapshot!(text, @r#"
              what               found
     ok       aws: account       111122223333
     warning  liberator: export  no bucket is configured
     error    liberator: rule    events:DescribeRule answered not_found → check the
                                 name in the configuration

    gapmend cannot work with this: 1 error.
    "#);
}

#[test]
fn colour_only_adds_colour() {
    let census = sample::census();
    let datasets = [(sample::NAME, &census, PassOutcome::Waiting)];
    let coloured = scan_text(&datasets, Paper::new(Some(80), true));
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(without_colour(&coloured), scan_text(&datasets, paper()));
}

/// A style that ends with a cell keeps the blanks before its end.
fn without_colour(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}
