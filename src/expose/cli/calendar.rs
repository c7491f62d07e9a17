//! The calendar: one row a month, one character a day, and a legend.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::Datelike;

use super::style::{Paper, wrap};
use crate::domain::DateStatus;
use crate::expose::words::{status_words, tone_of_status};
use crate::plan::{Census, DateVerdict};

/// Days of the longest month.
const DAYS: u32 = 31;

/// Columns before the first day.
const MARGIN: usize = 9;

/// The days that the header names; each label has room until the next.
const NAMED_DAYS: [u32; 7] = [1, 5, 10, 15, 20, 25, 30];

/// The calendar and its legend.
pub(super) fn calendar(census: &Census, paper: Paper) -> String {
    let mut months: BTreeMap<(i32, u32), BTreeMap<u32, &DateVerdict>> = BTreeMap::new();
    for verdict in &census.dates {
        let month = (verdict.date.year(), verdict.date.month());
        months.entry(month).or_default().insert(verdict.date.day(), verdict);
    }
    let mut text = header();
    for ((year, month), days) in &months {
        let cells: String = (1..=DAYS).map(|day| cell(days.get(&day).copied(), paper)).collect();
        let _ = writeln!(text, "{:MARGIN$}{cells}  {}", format!("{year}-{month:02}"), tally(days));
    }
    text + "\n" + &legend(census, paper)
}

fn header() -> String {
    let mut line = " ".repeat(MARGIN);
    for day in NAMED_DAYS {
        let column = MARGIN + day as usize - 1;
        line = format!("{line:column$}{day}");
    }
    line + "\n"
}

fn cell(verdict: Option<&DateVerdict>, paper: Paper) -> String {
    match verdict {
        None => " ".to_owned(),
        Some(verdict) => {
            paper.toned(tone_of_status(verdict.status), &verdict.status.letter().to_string())
        }
    }
}

/// How many of the month's dates that count are whole.
fn tally(days: &BTreeMap<u32, &DateVerdict>) -> String {
    let gaps = days.values().filter(|verdict| verdict.status.is_gap()).count();
    let whole = days.values().filter(|verdict| verdict.status == DateStatus::Available).count();
    if gaps == 0 { format!("{whole} whole") } else { format!("{whole} whole, {gaps} not") }
}

/// Only what occurs, with its number.
fn legend(census: &Census, paper: Paper) -> String {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut parts: Vec<(String, DateStatus)> = Vec::new();
    for (status, number) in census.counts() {
        if number > 0 && status != DateStatus::NotExpected {
            let words = status_words(status).replace(' ', "\u{a0}");
            parts.push((format!("{}\u{a0}{words}\u{a0}{number}", status.letter()), status));
        }
    }
    for (part, status) in parts {
        let width = part.chars().count();
        let painted = paper.toned(tone_of_status(status), &part.replace('\u{a0}', " "));
        match lines.last_mut() {
            Some((used, line)) if *used + 3 + width <= usize::from(paper.columns) => {
                *used += 3 + width;
                *line += "   ";
                *line += &painted;
            }
            _ => lines.push((width, painted)),
        }
    }
    let mut text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    if let Some(remark) = blanks(census) {
        for line in wrap(&remark, usize::from(paper.columns)) {
            text += &line;
            text.push('\n');
        }
    }
    text
}

fn blanks(census: &Census) -> Option<String> {
    let number = census.counts().get(&DateStatus::NotExpected).copied().unwrap_or(0);
    (number > 0).then(|| format!("A blank is a date that the calendar does not expect ({number}), or one that was not looked at."))
}
