//! What `explain` prints: the evidence for one date, and what to do about it.

use std::fmt::Write;

use chrono::NaiveDate;

use super::history::attempt;
use super::style::{Paper, facts};
use crate::daemon::Report;
use crate::domain::{Dump, TableOnDate};
use crate::expose::advice::{commands, queue_words, repair};
use crate::expose::volume::{table_words, total_words};
use crate::expose::words::{minute, size, status_words, tone_of_status};
use crate::plan::{Census, DateVerdict};

/// The evidence for a date; `None` when it was not looked at.
#[must_use]
pub fn explain_text(name: &str, date: NaiveDate, report: &Report, paper: Paper) -> Option<String> {
    let dataset = report.datasets.get(name)?;
    let census = dataset.census.as_ref()?;
    let verdict = census.verdict(date)?;
    let status = status_words(verdict.status);
    let mut text = paper.bold(&format!("{name} {date}: "));
    text += &paper.toned(tone_of_status(verdict.status), &status);
    text.push('\n');
    let mut known = evidence(name, verdict, report);
    known.extend(volumes(census, date));
    text += &facts(paper, &known);
    for (index, command) in commands(name, verdict, report).iter().enumerate() {
        let blank = if index == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{blank}    {command}");
    }
    let _ = writeln!(text, "\nSeen by the scan of {}.", minute(census.scanned_at));
    for run in report.ledger.runs_of(name, date) {
        text.push('\n');
        text += &attempt(run, paper);
    }
    Some(text)
}

fn evidence(name: &str, verdict: &DateVerdict, report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![("why", verdict.reason.to_string()), ("next", verdict.next.to_string())];
    facts.extend(verdict.until.map(|until| ("until", minute(until))));
    facts.push(("queue", queue_words(name, verdict, report)));
    if verdict.dumps.is_empty() {
        facts.push(("dump", "none".to_owned()));
    }
    facts.extend(verdict.dumps.iter().map(|dump| ("dump", dump_words(dump))));
    facts.push((
        "tables",
        format!("{} of {} have it", verdict.tables_present, verdict.tables_expected),
    ));
    facts.extend(verdict.tables_missing.iter().map(|table| ("lacking", table.to_string())));
    facts.extend(verdict.tables_having.iter().map(|table| ("having", table.to_string())));
    facts.extend(repair(name, verdict, report).map(|words| ("repair", words)));
    facts.extend(verdict.flags.iter().map(|flag| ("flag", flag.label().to_owned())));
    if !verdict.in_window {
        facts.push(("window", "outside it; looked at because it was named".to_owned()));
    }
    facts
}

/// What the date amounts to, and each table: the odd ones by themselves.
fn volumes(census: &Census, date: NaiveDate) -> Vec<(&'static str, String)> {
    let total = total_words(&census.volumes, date).map(|words| ("volume", words));
    let mut tables: Vec<TableOnDate<'_>> = census.volumes.tables_on(date).collect();
    tables.sort_by_key(|table| table.odd_by.is_none());
    let each = tables.iter().map(|table| {
        let name = if table.odd_by.is_some() { "odd" } else { "" };
        (name, format!("{} {}", table.id, table_words(table)))
    });
    total.into_iter().chain(each).collect()
}

/// What a request comes to for a date, as far as it can be seen now.
#[must_use]
pub fn answer_text(name: &str, date: NaiveDate, report: &Report) -> Option<String> {
    let verdict = report.datasets.get(name)?.census.as_ref()?.verdict(date)?;
    let status = status_words(verdict.status);
    let queue = queue_words(name, verdict, report);
    Some(format!(
        "{date} is {status}: {}\nIn the queue: {queue}\nNext: {}",
        verdict.reason, verdict.next
    ))
}

fn dump_words(dump: &Dump) -> String {
    let archived =
        dump.archived.as_ref().map_or_else(String::new, |class| format!(", archived in {class}"));
    format!("{}, {}, written {}{archived}", dump.key, size(dump.size), minute(dump.last_modified))
}
