//! The page of one date: what is known of it, what to do about it, and what was done.

use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};

use super::{heat, run, shell};
use crate::daemon::{DatasetReport, Report};
use crate::domain::{Dump, TableOnDate};
use crate::expose::advice::{commands, queue_words, repair};
use crate::expose::console;
use crate::expose::volume::{table_words, total_words};
use crate::expose::words::{minute, request_words, size, status_words};
use crate::ledger::{Request, RequestRecord, Run};
use crate::plan::{Census, DateVerdict};

/// From this page to `/`.
const ROOT: &str = "../../../";

/// The page; `None` when the date was not looked at.
pub(in super::super) fn render(
    report: &Report,
    name: &str,
    date: NaiveDate,
    now: DateTime<Utc>,
) -> Option<Markup> {
    let dataset = report.datasets.get(name)?;
    let census = dataset.census.as_ref()?;
    let verdict = census.verdict(date)?;
    let title = format!("{date} {} – {name} – gapmend", status_words(verdict.status));
    let body = html! {
        main {
            (neighbours(census, date))
            h2 { (name) " " (date) " " span.mode { (date.format("%A")) } }
            p.status-line { (heat::key(verdict.status)) }
            p.reason { (verdict.reason) }
            (what_to_do(report, name, verdict))
            (evidence(report, name, dataset, census, verdict))
            (history(report, name, date))
            (attempts(report, name, dataset, date))
        }
    };
    let note = html! { "as of " (minute(now)) };
    Some(shell(&title, ROOT, &note, &body, report, now))
}

/// The dates before and after, as far as they were looked at.
fn neighbours(census: &Census, date: NaiveDate) -> Markup {
    let near = [date.pred_opt(), date.succ_opt()]
        .map(|near| near.filter(|it| census.verdict(*it).is_some()));
    html! {
        nav aria-label="Dates" {
            a href=(ROOT) { "all dates" }
            @if let Some(before) = near[0] { " · " a href=(before) { "← " (before) } }
            @if let Some(after) = near[1] { " · " a href=(after) { (after) " →" } }
        }
    }
}

fn what_to_do(report: &Report, name: &str, verdict: &DateVerdict) -> Markup {
    let commands = commands(name, verdict, report);
    html! {
        section.todo aria-labelledby="todo" {
            h3 id="todo" { "What to do" }
            p { (sentence(&verdict.next)) @if let Some(until) = verdict.until { " (" (minute(until)) ")" } }
            @if let Some(words) = repair(name, verdict, report) { p { (sentence(&words)) } }
            @if !commands.is_empty() {
                pre tabindex="0" aria-label="Commands to paste" { @for command in &commands { (command) "\n" } }
            }
        }
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

fn evidence(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    census: &Census,
    verdict: &DateVerdict,
) -> Markup {
    let bucket = &dataset.settings.landing.bucket;
    html! {
        h3 { "Evidence" }
        dl {
            dt { "seen" } dd { "by the scan of " (minute(census.scanned_at)) @if !verdict.in_window { "; outside the window, looked at because it was named" } }
            dt { "queue" } dd { (queue_words(name, verdict, report)) }
            dt { "tables" } dd { (verdict.tables_present) " of " (verdict.tables_expected) " have it" }
            @if !verdict.tables_missing.is_empty() {
                dt { "lacking" } dd { ul.plain { @for table in verdict.tables_missing.iter() { li { code { (table) } } } } }
            }
            @if !verdict.tables_having.is_empty() {
                dt { "having" } dd { ul.plain { @for table in verdict.tables_having.iter() { li { code { (table) } } } } }
            }
            dt { "dumps" } dd {
                @if verdict.dumps.is_empty() { "none in " code { "s3://" (bucket) } }
                @else { ul.plain { @for dump in verdict.dumps.iter() { (dump_row(report, bucket, dump)) } } }
            }
            (volumes(census, verdict.date))
            @if !verdict.flags.is_empty() {
                dt { "flags" } dd { @for flag in &verdict.flags { (flag.label()) " " } }
            }
        }
    }
}

/// What the date amounts to: the odd tables at once, the others when they are asked for.
fn volumes(census: &Census, date: NaiveDate) -> Markup {
    let Some(total) = total_words(&census.volumes, date) else { return Markup::default() };
    let tables = || census.volumes.tables_on(date);
    let row =
        |table: TableOnDate<'_>| html! { li { code { (table.id) } " " (table_words(&table)) } };
    html! {
        dt { "volume" } dd {
            (total)
            ul.plain { @for table in census.volumes.odd_on(date) { (row(table)) } }
            details {
                summary { "each table" }
                ul.plain { @for table in tables().filter(|table| table.odd_by.is_none()) { (row(table)) } }
            }
        }
    }
}

fn dump_row(report: &Report, bucket: &str, dump: &Dump) -> Markup {
    let link = console::dump(&report.region, bucket, &dump.key);
    html! {
        li {
            code { (dump.key) } ", " (size(dump.size)) ", written " (minute(dump.last_modified)) ", ETag " code { (dump.etag) }
            @if let Some(class) = &dump.archived { ", archived in " (class) }
            " " a.out href=(link.url) rel="noreferrer" { (link.name) }
        }
    }
}

/// What happened to the date, oldest first, besides the stages of its attempts.
fn history(report: &Report, name: &str, date: NaiveDate) -> Markup {
    let mut events: Vec<(DateTime<Utc>, String)> = Vec::new();
    if let Some(state) = report.ledger.datasets.get(name) {
        events.extend(state.enqueued.get(&date).map(|at| (*at, "first seen healable".to_owned())));
        let about_it = state.requests.iter().filter(|record| concerns(record, date));
        events.extend(about_it.map(|record| (record.at, request_words(record))));
    }
    for run in report.ledger.runs_of(name, date) {
        events.push((run.started_at, format!("attempt {} began", run.attempt)));
        if let Some(end) = &run.end {
            let words = format!("attempt {} {}: {}", run.attempt, end.outcome.label(), end.detail);
            events.push((end.at, words));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    html! {
        h3 { "History" }
        @if events.is_empty() { p { "gapmend has done nothing about this date." } }
        @else { ul.list { @for (at, words) in events { li { b { (minute(at)) } " " (words) } } } }
    }
}

fn concerns(record: &RequestRecord, date: NaiveDate) -> bool {
    match &record.request {
        Request::Heal { dates, .. } => dates.contains(&date),
        Request::Retry { date: about } => *about == date,
        Request::Scan | Request::Cancel | Request::Pause { .. } | Request::Resume => false,
    }
}

fn attempts(report: &Report, name: &str, dataset: &DatasetReport, date: NaiveDate) -> Markup {
    let runs: Vec<&Run> = report.ledger.runs_of(name, date).collect();
    html! {
        @for attempt in runs.iter().rev() { (run::attempt(attempt, dataset, &report.region)) }
    }
}
