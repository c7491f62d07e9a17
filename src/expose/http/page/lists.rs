//! Gaps, queue, last runs and last passes.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};

use super::heat;
use crate::daemon::{DatasetReport, Report};
use crate::expose::advice::commands;
use crate::expose::json::outcome_label;
use crate::expose::words::{between, minute, or_dash, tone_of_outcome};
use crate::ledger::Run;
use crate::ledger::state::PassRecord;
use crate::plan::{Candidate, Census, Gap, Rest};

/// Rows of the lists that could grow.
const QUEUE_ROWS: usize = 12;
const RUN_ROWS: usize = 8;
const PASS_ROWS: usize = 8;
const GAP_ROWS: usize = 60;

/// The gaps by range, the newest first: why, attempts, the next try, what to do.
pub(super) fn gaps(report: &Report, name: &str, census: &Census) -> Markup {
    let attempts = attempts(report, name);
    html! {
        h3 id={ "gaps-" (name) } { "Gaps" }
        @if census.gaps.is_empty() { p.good { "✓ No date is missing." } }
        @else {
            div.scroll tabindex="0" role="group" aria-label="Gaps by range" {
                table.list.gaps {
                    thead { tr {
                        th scope="col" { "dates" } th.number scope="col" { "number" } th scope="col" { "status" }
                        th scope="col" { "why" } th.number scope="col" { "attempts" }
                        th scope="col" { "next try" } th scope="col" { "what happens next" }
                    } }
                    tbody {
                        @for gap in census.gaps.iter().rev().take(GAP_ROWS) { (gap_row(report, name, census, gap, &attempts)) }
                    }
                }
            }
            @if census.gaps.len() > GAP_ROWS { p { "… and " (census.gaps.len() - GAP_ROWS) " older ranges" } }
        }
    }
}

/// How often each date was tried.
fn attempts(report: &Report, name: &str) -> BTreeMap<NaiveDate, u32> {
    let mut attempts = BTreeMap::new();
    for run in report.ledger.runs.iter().filter(|run| run.dataset == name) {
        *attempts.entry(run.date).or_default() += 1;
    }
    attempts
}

/// The newest of the range speaks for it: what happens next happens to it first.
fn gap_row(
    report: &Report,
    name: &str,
    census: &Census,
    gap: &Gap,
    attempts: &BTreeMap<NaiveDate, u32>,
) -> Markup {
    let Some(verdict) = census.verdict(gap.to) else { return html! {} };
    let tried: u32 = attempts.range(gap.from..=gap.to).map(|(_, number)| number).sum();
    html! {
        tr {
            td.date {
                a href=(heat::path(name, gap.from)) { (gap.from) }
                @if gap.from != gap.to { " – " a href=(heat::path(name, gap.to)) { (gap.to) } }
            }
            td.number { (gap.dates) }
            td.status { (heat::key(gap.status)) }
            td { (verdict.reason) }
            td.number { (tried) }
            td.date { (or_dash(verdict.until.map(minute))) }
            td {
                (verdict.next)
                @if let Some(command) = commands(name, verdict, report).first() { br; code { (command) } }
            }
        }
    }
}

/// What would run, in order: why, since when it waits, and when it may start.
pub(super) fn queue(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
) -> Markup {
    let queue = &dataset.queue;
    let running = report.ledger.active_run().is_some();
    let enqueued = report.ledger.datasets.get(name).map(|state| &state.enqueued);
    html! {
        h3 { "Queue" }
        @if queue.is_empty() { p { "Empty: no date is healable now." } }
        @else {
            div.scroll tabindex="0" role="group" aria-label="Queue" {
                table.list {
                    thead { tr {
                        th.number scope="col" { "#" } th scope="col" { "date" } th.number scope="col" { "attempt" }
                        th scope="col" { "why" } th.number scope="col" { "waits for" } th scope="col" { "when" }
                    } }
                    tbody {
                        @for (index, candidate) in queue.iter().take(QUEUE_ROWS).enumerate() {
                            tr {
                                td.number { (index + 1) }
                                td.date { a href=(heat::path(name, candidate.date)) { (candidate.date) } }
                                td.number { (candidate.attempt) }
                                td { (why(candidate)) }
                                td.number { (or_dash(enqueued.and_then(|it| it.get(&candidate.date)).map(|since| between(*since, now)))) }
                                td { (when(index, dataset.rest.as_ref(), running)) }
                            }
                        }
                    }
                }
            }
            @if queue.len() > QUEUE_ROWS { p { "… and " (queue.len() - QUEUE_ROWS) " more" } }
        }
    }
}

fn why(candidate: &Candidate) -> String {
    let asked = &candidate.asked;
    let reason = asked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("asked by {}{reason}; permitted by {}", asked.by, candidate.permitted_by)
}

fn when(index: usize, rest: Option<&Rest>, running: bool) -> String {
    if index > 0 {
        return format!("after number {index}");
    }
    match rest {
        _ if running => "after the run in progress".to_owned(),
        None => "now".to_owned(),
        Some(rest) => match rest.until() {
            Some(until) => format!("not before {}: {rest}", minute(until)),
            None => format!("not yet: {rest}"),
        },
    }
}

pub(super) fn runs(report: &Report, name: &str) -> Markup {
    let runs: Vec<&Run> =
        report.ledger.runs.iter().rev().filter(|run| run.dataset == name).take(RUN_ROWS).collect();
    html! {
        div {
            h3 { "Last runs" }
            @if runs.is_empty() { p { "None yet." } }
            @else { ul.list { @for run in runs { (run_row(run)) } } }
        }
    }
}

fn run_row(run: &Run) -> Markup {
    let outcome = run.end.as_ref().map(|end| end.outcome);
    let detail = run.end.as_ref().map_or("", |end| end.detail.as_str());
    html! {
        li {
            a href=(heat::path(&run.dataset, run.date)) { (run.date) } " attempt " (run.attempt) " "
            span.word.(tone_of_outcome(outcome).label()) { (outcome_label(run)) }
            @if !detail.is_empty() { br; small { (detail) } }
        }
    }
}

/// The last passes with something to say, also those that found nothing to do.
pub(super) fn passes(report: &Report, name: &str) -> Markup {
    let passes = report.ledger.datasets.get(name).map_or(&[][..], |state| &state.passes);
    html! {
        div {
            h3 { "Last passes" }
            @if passes.is_empty() { p { "None yet." } }
            @else { ul.list { @for pass in passes.iter().rev().take(PASS_ROWS) { (pass_row(pass)) } } }
        }
    }
}

fn pass_row(pass: &PassRecord) -> Markup {
    html! {
        li { b { (minute(pass.at)) } " " (pass.outcome.label().replace('_', " ")) br; small { (pass.detail) } }
    }
}
