//! The calendar: a row a month, a square a day, its status in colour and as a letter.
//!
//! An inline SVG without script or style attributes. Each square is a link to its date's page;
//! hovered or focused, it tells about itself in the line under the calendar.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use maud::{Markup, html};

use crate::domain::DateStatus;
use crate::expose::words::{clock_minute, minute, plural, size, status_words};
use crate::plan::{Census, DateVerdict};

/// Days of the longest month.
const DAYS: u32 = 31;
/// Squares of a page at most, when no year is asked for: three years.
const DATES_SHOWN: usize = 1_100;
/// A square, and what lies between two of them.
const SIDE: u32 = 24;
const STEP: u32 = 27;
/// Where the squares begin: right of the months, under the numbers of the days.
const LEFT: u32 = 74;
const TOP: u32 = 22;
/// The two lines under the last row.
const TELLING: u32 = 46;
/// Characters of a reason that the line has room for.
const REASON_CHARACTERS: usize = 130;
/// A blank that takes its place.
const BLANK: &str = "\u{a0}";

/// The calendar and its legend: of one year, or else of the newest dates.
pub(super) fn map(name: &str, census: &Census, year: Option<i32>) -> Markup {
    let older = census.dates.len().saturating_sub(DATES_SHOWN);
    let shown: Vec<&DateVerdict> = match year {
        Some(year) => census.dates.iter().filter(|one| one.date.year() == year).collect(),
        None => census.dates[older..].iter().collect(),
    };
    let mut months: BTreeMap<(i32, u32), Vec<&DateVerdict>> = BTreeMap::new();
    for verdict in &shown {
        months.entry((verdict.date.year(), verdict.date.month())).or_default().push(verdict);
    }
    let rows = u32::try_from(months.len()).unwrap_or(u32::MAX);
    let (width, bottom) = (LEFT + DAYS * STEP, TOP + rows * STEP);
    html! {
        h3 { "Calendar" }
        p.meta {
            (plural(shown.len() as u64, "date")) ", scanned " (minute(census.scanned_at)) ". "
            @if older > 0 || year.is_some() { (years(census, year)) }
            a.skip href={ "#gaps-" (name) } { "Skip the calendar" }
        }
        div.scroll {
            svg.heat viewBox={ "0 0 " (width) " " (bottom + TELLING) } role="group" aria-label={ "Calendar of " (name) } {
                text.hint x="0" y=(bottom + 18) { "Point at a date, or go to it with Tab, to be told about it; open it for everything that is known." }
                @for day in 1..=DAYS { text.day x=(middle(day)) y=(TOP - 8) { (day) } }
                @for (row, ((year, month), dates)) in (0_u32..).zip(months.iter().rev()) {
                    text.month x="0" y=(TOP + row * STEP + 17) { (format!("{year}-{month:02}")) }
                    @for verdict in dates { (square(name, verdict, row, bottom)) }
                }
            }
        }
        (legend(census))
    }
}

/// Ways to the years that one page has no room for.
fn years(census: &Census, shown: Option<i32>) -> Markup {
    let mut years: Vec<i32> = census.dates.iter().map(|one| one.date.year()).collect();
    years.dedup();
    html! {
        "Year: "
        @for year in years.into_iter().rev() {
            @if shown == Some(year) { b aria-current="true" { (year) } } @else { a href={ "?year=" (year) } { (year) } }
            " · "
        }
        @if shown.is_some() { a href="?" { "the newest" } } @else { b aria-current="true" { "the newest" } }
        ". "
    }
}

fn middle(day: u32) -> u32 {
    LEFT + (day - 1) * STEP + SIDE / 2
}

fn square(name: &str, verdict: &DateVerdict, row: u32, bottom: u32) -> Markup {
    let (x, y) = (middle(verdict.date.day()) - SIDE / 2, TOP + row * STEP);
    let what = telling(verdict);
    html! {
        a.(class(verdict.status)).flagged[!verdict.flags.is_empty()] href=(path(name, verdict.date)) {
            title { (what) "\n" (verdict.reason) }
            rect x=(x) y=(y) width=(SIDE) height=(SIDE) rx="3" {}
            text x=(x + SIDE / 2) y=(y + 17) { (letter(verdict.status)) }
            g.tell aria-hidden="true" {
                text.what x="0" y=(bottom + 18) { (what) }
                text.why x="0" y=(bottom + 38) { (shortened(&verdict.reason)) }
            }
        }
    }
}

/// The page of a date, from `/`.
pub(super) fn path(name: &str, date: NaiveDate) -> String {
    format!("datasets/{name}/dates/{date}")
}

/// Date, status, tables, dump and flags in one line.
fn telling(verdict: &DateVerdict) -> String {
    let dump = match verdict.dumps.first() {
        Some(dump) => {
            format!("dump {} of {}", size(dump.size), clock_minute(dump.last_modified))
        }
        None => "no dump".to_owned(),
    };
    let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.label()).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(", {}", flags.join(", ")) };
    format!(
        "{} {}: {} – {} of {} tables, {dump}{flags}",
        verdict.date.format("%a"),
        verdict.date,
        status_words(verdict.status),
        verdict.tables_present,
        verdict.tables_expected,
    )
}

fn shortened(reason: &str) -> String {
    if reason.chars().count() <= REASON_CHARACTERS {
        return reason.to_owned();
    }
    reason.chars().take(REASON_CHARACTERS - 1).chain(['…']).collect()
}

/// The style of a status: each has its own colours.
pub(super) fn class(status: DateStatus) -> String {
    format!("s-{}", status.label())
}

/// The page draws a full block by its background.
pub(super) fn letter(status: DateStatus) -> String {
    if status == DateStatus::Available {
        return "✓".to_owned();
    }
    status.letter().to_string().replace(' ', BLANK)
}

/// A status as its square and its name.
pub(super) fn key(status: DateStatus) -> Markup {
    html! { span.key.(class(status)) aria-hidden="true" { (letter(status)) } " " (status_words(status)) }
}

fn legend(census: &Census) -> Markup {
    let counts = census.counts();
    let flagged = census.dates.iter().filter(|verdict| !verdict.flags.is_empty()).count();
    html! {
        ul.legend {
            @for (status, number) in counts.iter().filter(|(_, number)| **number > 0) {
                li { (key(*status)) " " b { (number) } }
            }
            @if flagged > 0 {
                li { span.key.s-available.flagged aria-hidden="true" { (BLANK) } " flagged " b { (flagged) } }
            }
        }
    }
}
