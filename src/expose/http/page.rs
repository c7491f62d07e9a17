//! The status page: one look answers whether the trigger is safe, whether the daemon is
//! alive, how far the data is whole, and what will happen next.
//!
//! Rendered here and only here: no script, no form, nothing from elsewhere. Every colour has
//! a letter or a word beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use maud::{DOCTYPE, Markup, html};

use crate::daemon::{DatasetReport, Report};
use crate::domain::{DateStatus, Stage};
use crate::expose::json::outcome_label;
use crate::expose::metrics::{REVISION, VERSION};
use crate::expose::words::{
    Tone, between, daemon_words, minute, next_words, plural, pulse, status_words, tone_of_lag,
    tone_of_outcome, tone_of_status, tone_of_trigger, trigger_words, whole_words,
};
use crate::ledger::Run;
use crate::ledger::state::PassRecord;
use crate::plan::{Census, DateVerdict, Gap};

/// How often the page asks for itself again.
const REFRESH_SECONDS: u32 = 30;

/// Rows of the lists that could grow.
const QUEUE_ROWS: usize = 12;
const RUN_ROWS: usize = 8;
const PASS_ROWS: usize = 8;
const GAP_ROWS: usize = 60;

/// A blank that takes its place.
const BLANK: &str = "\u{a0}";

/// Days of the longest month.
const DAYS: u32 = 31;

/// The whole page.
pub(super) fn render(report: &Report, now: DateTime<Utc>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { (title(report)) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="style.css";
            }
            body {
                header {
                    h1 { "gapmend" }
                    p.meta { "as of " (minute(now)) ", renewed every " (REFRESH_SECONDS) " s" }
                }
                (warnings(report))
                main {
                    @if report.datasets.is_empty() { p { "No dataset is configured." } }
                    @for (name, dataset) in &report.datasets {
                        (dataset_section(report, name, dataset, now))
                    }
                }
                footer {
                    p { "gapmend " (VERSION) " (" (REVISION) "), up " (between(report.started_at, now))
                        ", ledger at entry " (report.ledger.seq) "." }
                    p { a href="metrics" { "metrics" } " · " a href="api/v1/status" { "status" } " · "
                        a href="api/v1/runs" { "runs" }
                        @for name in report.datasets.keys() {
                            " · " a href={ "api/v1/datasets/" (name) "/dates" } { (name) " dates" }
                        }
                    }
                }
            }
        }
    }
}

/// The worst first, for the tab.
fn title(report: &Report) -> String {
    let behind = report.datasets.values().filter_map(|dataset| dataset.census.as_ref());
    let behind: u32 = behind.map(|census| census.dates_behind).sum();
    match (report.acting, behind) {
        (false, _) => "standing by – gapmend".to_owned(),
        (true, 0) => "whole – gapmend".to_owned(),
        (true, behind) => format!("{behind} behind – gapmend"),
    }
}

fn warnings(report: &Report) -> Markup {
    let config = (!report.config.ok).then(|| {
        let problem = report.config.problem.as_deref().unwrap_or("no reason given");
        format!("The newest configuration was refused, the old one is in use: {problem}")
    });
    let acting =
        (!report.acting).then(|| format!("This daemon starts nothing: {}.", daemon_words(report)));
    html! {
        @for warning in [config, acting].into_iter().flatten() {
            p.banner role="alert" { strong { "! " } (warning) }
        }
    }
}

fn dataset_section(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
) -> Markup {
    let run = report.ledger.active_run().filter(|run| run.dataset == name);
    html! {
        section {
            h2 { (name) " " span.mode { "mode " (dataset.mode.label()) } }
            div.tiles {
                (tile("Trigger", tone_of_trigger(dataset.trigger), &trigger_words(report, name, dataset, now)))
                (tile("Daemon", tone_of_daemon(report, now), &daemon_tile(report, now)))
                (tile("Whole through", tone_of_lag(dataset), &whole_words(dataset)))
                (tile("Next", tone_of_next(dataset, run), &next_words(report, name, dataset, now)))
            }
            @if let Some(run) = run { (current_run(run, dataset.stage_percent, now)) }
            @match &dataset.census {
                Some(census) => { (calendar(census)) (gaps(census)) }
                None => p.note { "The first look is not over yet." }
            }
            div.columns { (queue(dataset)) (runs(report, name)) (passes(report, name)) }
        }
    }
}

fn tile(title: &str, tone: Tone, text: &str) -> Markup {
    html! {
        div.tile.(tone.label()) {
            h3 { (title) }
            p { (text) }
        }
    }
}

fn tone_of_daemon(report: &Report, now: DateTime<Utc>) -> Tone {
    if report.acting && report.config.ok && pulse(report, now).0 { Tone::Good } else { Tone::Bad }
}

fn daemon_tile(report: &Report, now: DateTime<Utc>) -> String {
    format!("{}; {}", daemon_words(report), pulse(report, now).1)
}

fn tone_of_next(dataset: &DatasetReport, run: Option<&Run>) -> Tone {
    match run {
        Some(_) => Tone::Busy,
        None if dataset.stopped => Tone::Bad,
        None if dataset.paused_until.is_some() => Tone::Warn,
        None => Tone::Quiet,
    }
}

/// The stages of the run in progress, done, now and to come.
fn current_run(run: &Run, percent: Option<u8>, now: DateTime<Utc>) -> Markup {
    html! {
        h3 { "Run in progress: " (run.date) ", attempt " (run.attempt) }
        ol.stages {
            @for stage in Stage::ALL { (stage_step(run, stage, percent, now)) }
        }
    }
}

fn stage_step(run: &Run, stage: Stage, percent: Option<u8>, now: DateTime<Utc>) -> Markup {
    let done = run.stages.iter().find(|record| record.stage == stage);
    html! {
        @if let Some(done) = done {
            li.good { b { "✓ " (stage.label()) } span { (between(done.started_at, done.ended_at)) } }
        } @else if run.stage == stage {
            li.busy aria-current="step" {
                b { "▶ " (stage.label()) }
                span { (between(run.stage_since, now)) @if let Some(percent) = percent { ", " (percent) " %" } }
            }
        } @else if stage > run.stage {
            li.quiet { b { "· " (stage.label()) } span { "to come" } }
        }
    }
}

fn calendar(census: &Census) -> Markup {
    let mut months: BTreeMap<(i32, u32), BTreeMap<u32, &DateVerdict>> = BTreeMap::new();
    for verdict in &census.dates {
        let month = (verdict.date.year(), verdict.date.month());
        months.entry(month).or_default().insert(verdict.date.day(), verdict);
    }
    html! {
        div.scroll {
            table.calendar {
                caption { (plural(census.dates.len() as u64, "date")) ", scanned " (minute(census.scanned_at)) }
                thead { tr { th scope="col" { "month" } @for day in 1..=DAYS { th scope="col" { (day) } } } }
                tbody {
                    @for ((year, month), days) in months.iter().rev() {
                        tr {
                            th scope="row" { (format!("{year}-{month:02}")) }
                            @for day in 1..=DAYS { (cell(days.get(&day).copied())) }
                        }
                    }
                }
            }
        }
        (legend(census))
    }
}

fn cell(verdict: Option<&DateVerdict>) -> Markup {
    let Some(verdict) = verdict else { return html! { td.none {} } };
    let title = format!("{} {}: {}", verdict.date, status_words(verdict.status), verdict.reason);
    html! {
        td.(tone_of_status(verdict.status).label()).flagged[!verdict.flags.is_empty()] title=(title) {
            (letter(verdict.status))
        }
    }
}

/// The page draws a full block by its background.
fn letter(status: DateStatus) -> String {
    if status == DateStatus::Available {
        return "✓".to_owned();
    }
    status.letter().to_string().replace(' ', BLANK)
}

fn legend(census: &Census) -> Markup {
    let counts = census.counts();
    let flagged = census.dates.iter().filter(|verdict| !verdict.flags.is_empty()).count();
    html! {
        ul.legend {
            @for (status, number) in counts.iter().filter(|(_, number)| **number > 0) {
                li {
                    span.key.(tone_of_status(*status).label()) { (letter(*status)) }
                    " " (status_words(*status)) " " b { (number) }
                }
            }
            @if flagged > 0 { li { span.key.quiet.flagged { (BLANK) } " flagged " b { (flagged) } } }
        }
    }
}

fn gaps(census: &Census) -> Markup {
    html! {
        h3 { "Gaps" }
        @if census.gaps.is_empty() { p.good { "✓ No date is missing." } }
        @else {
            div.scroll {
                table.list {
                    thead { tr {
                        th scope="col" { "dates" } th.number scope="col" { "number" } th scope="col" { "status" }
                        th scope="col" { "why" } th scope="col" { "what happens next" }
                    } }
                    tbody { @for gap in census.gaps.iter().rev().take(GAP_ROWS) { (gap_row(census, gap)) } }
                }
            }
            @if census.gaps.len() > GAP_ROWS { p { "… and " (census.gaps.len() - GAP_ROWS) " older ranges" } }
        }
    }
}

fn gap_row(census: &Census, gap: &Gap) -> Markup {
    let verdict = census.verdict(gap.to);
    html! {
        tr {
            td.date { (dates(gap.from, gap.to)) }
            td.number { (gap.dates) }
            td { span.key.(tone_of_status(gap.status).label()) { (letter(gap.status)) } " " (status_words(gap.status)) }
            td { (verdict.map_or("", |verdict| verdict.reason.as_str())) }
            td { (verdict.map_or("", |verdict| verdict.next.as_str())) }
        }
    }
}

fn dates(from: NaiveDate, to: NaiveDate) -> String {
    if from == to { from.to_string() } else { format!("{from} – {to}") }
}

fn queue(dataset: &DatasetReport) -> Markup {
    html! {
        div {
            h3 { "Queue" }
            @if dataset.queue.is_empty() { p { "Empty." } }
            ol.list {
                @for candidate in dataset.queue.iter().take(QUEUE_ROWS) {
                    li { b { (candidate.date) } " attempt " (candidate.attempt) ", by " (candidate.asked.by) }
                }
            }
            @if dataset.queue.len() > QUEUE_ROWS { p { "… and " (dataset.queue.len() - QUEUE_ROWS) " more" } }
        }
    }
}

fn runs(report: &Report, name: &str) -> Markup {
    let runs: Vec<&Run> =
        report.ledger.runs.iter().rev().filter(|run| run.dataset == name).take(RUN_ROWS).collect();
    html! {
        div {
            h3 { "Last runs" }
            @if runs.is_empty() { p { "None yet." } }
            ul.list { @for run in runs { (run_row(run)) } }
        }
    }
}

fn run_row(run: &Run) -> Markup {
    let outcome = run.end.as_ref().map(|end| end.outcome);
    let detail = run.end.as_ref().map_or("", |end| end.detail.as_str());
    html! {
        li {
            b { (run.date) } " attempt " (run.attempt) " "
            span.word.(tone_of_outcome(outcome).label()) { (outcome_label(run)) }
            @if !detail.is_empty() { br; small { (detail) } }
        }
    }
}

fn passes(report: &Report, name: &str) -> Markup {
    let passes = report.ledger.datasets.get(name).map_or(&[][..], |state| &state.passes);
    html! {
        div {
            h3 { "Last passes" }
            @if passes.is_empty() { p { "None yet." } }
            ul.list { @for pass in passes.iter().rev().take(PASS_ROWS) { (pass_row(pass)) } }
        }
    }
}

fn pass_row(pass: &PassRecord) -> Markup {
    html! {
        li { b { (minute(pass.at)) } " " (pass.outcome.label().replace('_', " ")) br; small { (pass.detail) } }
    }
}
