//! The conventions, the names of the contract, and the life of a series.

use std::collections::BTreeSet;

use super::*;
use crate::aws::OPERATIONS;
use crate::daemon::NoRecorder;
use crate::domain::{DateStatus, ErrorClass, FailureReason, RunOutcome, Stage};
use crate::expose::sample;
use crate::ledger::store::Operation;
use crate::ledger::{ScanCause, ScanRecord};

/// Every name of the contract, without the prefix.
const CONTRACT: &str = "whole_through_timestamp_seconds latest_available_timestamp_seconds
    oldest_gap_timestamp_seconds dates_behind lag_objective_dates latest_due_timestamp_seconds
    latest_dump_timestamp_seconds next_arrival_timestamp_seconds dates dates_flagged queue_depth
    queue_oldest_enqueued_timestamp_seconds runs_total run_failures_total run_active run_stage
    run_last_start_timestamp_seconds run_last_completion_timestamp_seconds
    run_last_success_timestamp_seconds stage_duration_seconds time_to_heal_seconds trigger_state
    trigger_held_since_timestamp_seconds trigger_disabled_since_timestamp_seconds
    overlapping_loads_total trigger_changes_total live_dumps_missed_total scans_total
    scan_duration_seconds scan_last_success_timestamp_seconds schedule_next_scan_timestamp_seconds
    schedule_missed_slots_total loop_last_tick_timestamp_seconds aws_requests_total
    aws_request_duration_seconds build_info dataset_mode paused_until_timestamp_seconds
    backfill_stopped acting ledger_entries ledger_errors_total config_last_reload_successful
    config_last_reload_success_timestamp_seconds dataset_info stage_deadline_seconds resting
    run_stage_since_timestamp_seconds trigger_held_until_timestamp_seconds
    latest_due_ready_by_timestamp_seconds latest_due_dump_arrived latest_due_whole
    live_dump_rescue_deadline_timestamp_seconds";

fn rendered(report: &Report) -> String {
    Metrics::new([sample::NAME], &OPERATIONS).unwrap().render(report).unwrap()
}

/// The series' names with their labels, without values.
fn series(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series.to_owned()))
        .collect()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no series {series}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn every_name_of_the_contract_is_there_on_a_first_start() {
    let text = rendered(&sample::first_report());
    for name in CONTRACT.split_whitespace() {
        assert!(text.contains(&format!("# HELP {PREFIX}{name} ")), "{name} is not there");
        let has_series = text.lines().any(|line| line.starts_with(&format!("{PREFIX}{name}")));
        assert!(has_series, "{name} has no series");
    }
    assert!(text.contains("process_resident_memory_bytes"));
}

#[test]
fn names_and_units_follow_the_conventions() {
    let text = rendered(&sample::report());
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let mut words = line.split(' ').skip(2);
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        assert!(name.starts_with(PREFIX) || name.starts_with("process_"), "{name} has no prefix");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert_eq!(
            kind == "histogram",
            name.ends_with("_duration_seconds") || name.ends_with("heal_seconds")
        );
        assert!(
            !name.contains("_milliseconds")
                && !name.contains("_minutes")
                && !name.contains("_hours")
        );
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name} is odd");
    }
    for line in text.lines().filter(|line| line.starts_with("# HELP gapmend_")) {
        let help = line.splitn(4, ' ').nth(3).unwrap();
        assert!(help.ends_with('.'), "a help text is a sentence: {line}");
    }
}

#[test]
fn nothing_that_happens_makes_a_new_series() {
    let metrics = Metrics::new([sample::NAME], &OPERATIONS).unwrap();
    let before = series(&metrics.render(&sample::first_report()).unwrap());
    let dataset = sample::NAME.to_owned();
    for (stage, reasons) in failures::PAIRS {
        metrics.record(&Happening::StageEnded { dataset: dataset.clone(), stage, seconds: 3.0 });
        for reason in reasons {
            metrics.record(&Happening::RunEnded {
                dataset: dataset.clone(),
                outcome: RunOutcome::Failed,
                stage,
                reason: Some(*reason),
                time_to_heal_seconds: Some(90_000.0),
            });
        }
    }
    for ok in [true, false] {
        metrics.record(&Happening::Scanned { dataset: dataset.clone(), clear: ok, seconds: 3.0 });
        for action in ["enable", "disable"] {
            metrics.record(&Happening::TriggerChanged { dataset: dataset.clone(), action, ok });
        }
    }
    for operation in Operation::ALL {
        metrics.record(&Happening::LedgerFailed { operation: operation.label() });
    }
    metrics.record(&Happening::SlotsMissed { dataset: dataset.clone(), slots: 2 });
    metrics.record(&Happening::RunStarted { dataset });
    for (service, operation) in OPERATIONS.iter().filter_map(|name| name.split_once(':')) {
        metrics.called(service, operation, CallResult::Failed(ErrorClass::Throttled), 0.2);
    }
    let text = metrics.render(&sample::report()).unwrap();
    assert_eq!(before, series(&text));
    assert!(
        (value(&text, "gapmend_schedule_missed_slots_total{dataset=\"liberator\"}") - 2.0).abs()
            < 0.1
    );
}

#[test]
fn every_reason_and_every_stage_after_the_preflight_can_occur() {
    let reasons: BTreeSet<&str> = failures::pairs().map(|(_, reason)| reason).collect();
    assert_eq!(reasons.len(), FailureReason::ALL.len());
    let stages: BTreeSet<&str> = failures::pairs().map(|(stage, _)| stage).collect();
    assert_eq!(stages.len(), Stage::ALL.len() - 1);
}

#[test]
fn the_statuses_sum_to_the_window() {
    let text = rendered(&sample::report());
    let dates = text.lines().filter(|line| line.starts_with("gapmend_dates{"));
    let numbers: Vec<u32> =
        dates.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert_eq!(numbers.len(), DateStatus::ALL.len());
    assert_eq!(numbers.iter().sum::<u32>(), 90);
}

#[test]
fn a_date_is_exported_as_the_instant_at_which_it_ends() {
    let text = rendered(&sample::report());
    let end = sample::at("2026-01-20T00:00:00Z").timestamp();
    let line = format!("gapmend_whole_through_timestamp_seconds{{dataset=\"liberator\"}} {end}");
    assert!(text.contains(&line), "2026-01-19 ends when 2026-01-20 begins");
    let first = rendered(&sample::first_report());
    assert!(first.contains("gapmend_whole_through_timestamp_seconds{dataset=\"liberator\"} 0"));
}

#[test]
fn the_view_says_what_the_report_says() {
    let text = rendered(&sample::holding_report());
    let shown = |series: &str| value(&text, &format!("gapmend_{series}"));
    let is = |series: &str, number: f64| assert!((shown(series) - number).abs() < 0.1, "{series}");
    is("run_stage{dataset=\"liberator\",stage=\"export\"}", 1.0);
    is("run_stage{dataset=\"liberator\",stage=\"load\"}", 0.0);
    is("trigger_state{dataset=\"liberator\",state=\"held\"}", 1.0);
    is("trigger_state{dataset=\"liberator\",state=\"enabled\"}", 0.0);
    is("dataset_mode{dataset=\"liberator\",mode=\"auto\"}", 1.0);
    is("resting{dataset=\"liberator\",reason=\"in_progress\"}", 1.0);
    is("resting{dataset=\"liberator\",reason=\"paused\"}", 0.0);
    is("stage_deadline_seconds{dataset=\"liberator\",stage=\"load\"}", 14_400.0);
    is("latest_due_whole{dataset=\"liberator\"}", 1.0);
    is("live_dump_rescue_deadline_timestamp_seconds{dataset=\"liberator\"}", 0.0);
    is("queue_depth{dataset=\"liberator\"}", 2.0);
    is("overlapping_loads_total{dataset=\"liberator\"}", 1.0);
    is("ledger_entries", 42.0);
    is("dates_flagged{dataset=\"liberator\",flag=\"duplicated\"}", 1.0);
    let instants = [
        ("queue_oldest_enqueued_timestamp_seconds", "2026-03-10T04:00:00Z"),
        ("run_last_start_timestamp_seconds", "2026-03-15T04:01:00Z"),
        ("run_last_completion_timestamp_seconds", "2026-03-14T09:32:00Z"),
        ("run_last_success_timestamp_seconds", "2026-03-14T09:32:00Z"),
        ("trigger_held_since_timestamp_seconds", "2026-03-15T06:20:00Z"),
        ("trigger_held_until_timestamp_seconds", "2026-03-15T07:50:00Z"),
        ("run_stage_since_timestamp_seconds", "2026-03-15T06:08:00Z"),
        ("latest_due_ready_by_timestamp_seconds", "2026-03-15T06:00:00Z"),
    ];
    for (name, instant) in instants {
        let expected = sample::at(instant).timestamp();
        let line = format!("gapmend_{name}{{dataset=\"liberator\"}} {expected}");
        assert!(text.contains(&line), "{line}");
    }
}

#[test]
fn a_dataset_that_vanishes_takes_its_series_along() {
    let metrics = Metrics::new([sample::NAME, "other"], &OPERATIONS).unwrap();
    metrics.record(&Happening::Scanned { dataset: "new".to_owned(), clear: true, seconds: 1.0 });
    let mut report = sample::report();
    let one = report.datasets[sample::NAME].clone();
    report.datasets.insert("new".to_owned(), one);
    let text = metrics.render(&report).unwrap();
    assert!(!text.contains("dataset=\"other\""));
    assert!(
        (value(&text, "gapmend_scans_total{dataset=\"new\",outcome=\"clear\"}") - 1.0).abs() < 0.1
    );
    report.datasets.remove("new");
    assert!(!metrics.render(&report).unwrap().contains("dataset=\"new\""));
}

#[test]
fn what_was_counted_before_the_first_report_outlives_a_scrape() {
    let metrics = Metrics::new([sample::NAME], &OPERATIONS).unwrap();
    let dataset = sample::NAME.to_owned();
    metrics.record(&Happening::Scanned { dataset, clear: true, seconds: 1.0 });
    metrics.render(&sample::first_report()).unwrap();
    let text = metrics.render(&sample::report()).unwrap();
    let scans = value(&text, "gapmend_scans_total{dataset=\"liberator\",outcome=\"clear\"}");
    assert!((scans - 1.0).abs() < 0.1, "{scans}");
}

#[test]
fn metrics_are_a_recorder() {
    let recorders: [&dyn Recorder; 2] = [&Metrics::new([], &OPERATIONS).unwrap(), &NoRecorder];
    for recorder in recorders {
        recorder.record(&Happening::LedgerFailed { operation: Operation::Create.label() });
    }
}

#[test]
fn before_the_first_pass_the_last_recorded_scan_is_shown() {
    let mut report = sample::first_report();
    let mut ledger = (*sample::report().ledger).clone();
    let scan = ScanRecord {
        cause: ScanCause::Slot,
        slot: None,
        missed_slots: 0,
        counts: [("available".to_owned(), 88), ("no_dump".to_owned(), 2)].into(),
        whole_through: Some(sample::at("2026-01-19T00:00:00Z").date_naive()),
        available: Vec::new(),
        queue: Vec::new(),
        tables: 7,
        partitions: 600,
        config: String::new(),
        blind: Vec::new(),
    };
    let state = ledger.datasets.get_mut(sample::NAME).unwrap();
    state.last_scan = Some((sample::at("2026-03-15T04:00:00Z"), scan));
    report.ledger = std::sync::Arc::new(ledger);
    let text = rendered(&report);
    let shown = |status: &str| {
        value(&text, &format!("gapmend_dates{{dataset=\"liberator\",status=\"{status}\"}}"))
    };
    assert!((shown("available") - 88.0).abs() < 0.1 && (shown("no_dump") - 2.0).abs() < 0.1);
    assert!(shown("missing").abs() < 0.1);
    let through = value(&text, "gapmend_whole_through_timestamp_seconds{dataset=\"liberator\"}");
    assert!((through - 1_768_867_200.0).abs() < 0.1, "2026-01-19 ends when 2026-01-20 begins");
    let overlaps = value(&text, "gapmend_overlapping_loads_total{dataset=\"liberator\"}");
    assert!((overlaps - 1.0).abs() < 0.1, "what the ledger counts is there from the first scrape");
}
