//! What `status` and `trigger status` print: four answers first, then the details.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::style::{Paper, facts};
use super::table::{Sheet, cell, number, toned};
use crate::config::TriggerSettings;
use crate::daemon::{DatasetReport, Report};
use crate::expose::words::{
    Tone, between, daemon_words, minute, next_words, trigger_words, whole_words,
};
use crate::ledger::{DatasetState, Run};
use crate::plan::Candidate;

/// Queue entries that are shown; the rest is counted.
const QUEUE_ROWS: usize = 10;

/// Passes that are shown.
const PASS_ROWS: usize = 8;

/// How things stand.
#[must_use]
pub fn status_text(report: &Report, now: DateTime<Utc>, paper: Paper) -> String {
    let mut text = facts(paper, &whole(report));
    for (name, dataset) in &report.datasets {
        text.push('\n');
        text += &one(report, name, dataset, now, paper);
    }
    text
}

/// The rules: state, since when, whose.
#[must_use]
pub fn trigger_text(
    report: &Report,
    rules: &[(&str, &TriggerSettings)],
    now: DateTime<Utc>,
    paper: Paper,
) -> String {
    if rules.is_empty() {
        return "No dataset has a trigger.\n".to_owned();
    }
    let one = |(name, rule): &(&str, &TriggerSettings)| {
        let dataset = report.datasets.get(*name)?;
        let state = trigger_words(report, name, dataset, now);
        let known = [("rule", format!("{}/{}", rule.event_bus, rule.rule)), ("state", state)];
        Some(paper.bold(name) + "\n" + &facts(paper, &known))
    };
    rules.iter().filter_map(one).collect::<Vec<_>>().join("\n")
}

fn whole(report: &Report) -> Vec<(&'static str, String)> {
    let acting = &report.ledger.acting;
    let who = match (&acting.writer, acting.since) {
        (Some(writer), Some(since)) => format!("{writer} acts, since {}", minute(since)),
        (Some(writer), None) => format!("{writer} acts"),
        (None, _) => daemon_words(report),
    };
    let mut facts = vec![("daemon", who)];
    facts.extend(report.next_scan_at.map(|at| ("next scan", minute(at))));
    facts.extend(report.config.in_words().map(|words| ("configuration", words)));
    facts
}

fn one(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
    paper: Paper,
) -> String {
    let run = report.ledger.active_run().filter(|run| run.dataset == name);
    let mut text = paper.bold(&format!("{name} (mode {})", dataset.mode.label())) + "\n";
    text += &facts(paper, &answers(report, name, dataset, now));
    if let Some(run) = run {
        let _ = writeln!(text, "\nRun in progress: {} attempt {}", run.date, run.attempt);
        text += &current(run, dataset.stage_percent, now, paper);
    }
    text += "\nQueue\n";
    text += &queue(&dataset.queue, report.ledger.datasets.get(name), now, paper);
    text += "\nLast passes\n";
    text += &passes(report.ledger.datasets.get(name), paper);
    text
}

fn answers(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
) -> Vec<(&'static str, String)> {
    let mut answers = vec![
        ("trigger", trigger_words(report, name, dataset, now)),
        ("whole through", whole_words(dataset)),
        ("next", next_words(report, name, dataset, now)),
    ];
    answers.extend(dataset.last_scan_at.map(|at| ("last scan", minute(at))));
    answers.extend(dataset.next_arrival_at.map(|at| ("next live dump", minute(at))));
    answers.extend(dataset.paused_until.map(|at| ("paused", format!("until {}", minute(at)))));
    if dataset.stopped {
        answers.push((
            "stopped",
            "after too many failures; see history, then gapmend resume".to_owned(),
        ));
    }
    answers
}

fn current(run: &Run, percent: Option<u8>, now: DateTime<Utc>, paper: Paper) -> String {
    let mut sheet = Sheet::new(paper, &["stage", "took", "seen"]);
    for record in &run.stages {
        let took = between(record.started_at, record.ended_at);
        sheet.row(vec![cell(record.stage.label()), number(took), cell(&record.detail)]);
    }
    let progress = percent.map_or_else(String::new, |percent| format!(", {percent} %"));
    sheet.row(vec![
        toned(Tone::Busy, run.stage.label()),
        number(between(run.stage_since, now)),
        cell(format!("in progress{progress}")),
    ]);
    sheet.text()
}

fn queue(
    queue: &[Candidate],
    state: Option<&DatasetState>,
    now: DateTime<Utc>,
    paper: Paper,
) -> String {
    if queue.is_empty() {
        return "  empty\n".to_owned();
    }
    let mut sheet = Sheet::new(paper, &["#", "date", "attempt", "waits", "asked by"]);
    for (index, candidate) in queue.iter().take(QUEUE_ROWS).enumerate() {
        let since = state.and_then(|state| state.enqueued.get(&candidate.date));
        sheet.row(vec![
            number(index + 1),
            cell(candidate.date),
            number(candidate.attempt),
            number(since.map_or_else(String::new, |since| between(*since, now))),
            cell(&candidate.asked.by),
        ]);
    }
    let more = queue.len().saturating_sub(QUEUE_ROWS);
    if more > 0 { format!("{}  … and {more} more\n", sheet.text()) } else { sheet.text() }
}

fn passes(state: Option<&DatasetState>, paper: Paper) -> String {
    let passes = state.map_or(&[][..], |state| &state.passes);
    if passes.is_empty() {
        return "  none yet\n".to_owned();
    }
    let mut sheet = Sheet::new(paper, &["when", "outcome", "detail"]);
    for pass in passes.iter().rev().take(PASS_ROWS) {
        let outcome = pass.outcome.label().replace('_', " ");
        sheet.row(vec![cell(minute(pass.at)), cell(outcome), cell(&pass.detail)]);
    }
    sheet.firm(&[0, 1]);
    sheet.text()
}
