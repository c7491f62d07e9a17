//! What `scan` prints: the calendar, and the gaps by range with cause and next action.

use std::collections::BTreeMap;

use super::calendar::calendar;
use super::style::{Paper, facts};
use super::table::{Sheet, cell, number, toned};
use crate::domain::{DateStatus, Flag, PassOutcome};
use crate::expose::words::{minute, or_dash, plural, range, status_words, tone_of_status};
use crate::plan::{Census, DateVerdict, Gap};

/// Every dataset that was scanned.
#[must_use]
pub fn scan_text(datasets: &[(&str, &Census, PassOutcome)], paper: Paper) -> String {
    let parts: Vec<String> =
        datasets.iter().map(|(name, census, outcome)| one(name, census, *outcome, paper)).collect();
    parts.join("\n")
}

/// Only the calendars.
#[must_use]
pub fn calendar_text(datasets: &[(&str, &Census, PassOutcome)], paper: Paper) -> String {
    let one = |(name, census, _): &(&str, &Census, PassOutcome)| {
        let whole = or_dash(census.whole_through);
        let behind = plural(census.dates_behind.into(), "date");
        let head = paper.bold(name) + &format!(", whole through {whole}, {behind} behind\n\n");
        head + &calendar(census, paper)
    };
    datasets.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(name: &str, census: &Census, outcome: PassOutcome, paper: Paper) -> String {
    let mut text = paper.bold(name) + "\n";
    text += &facts(paper, &head(census, outcome));
    text.push('\n');
    text += &calendar(census, paper);
    text.push('\n');
    text += &gaps(census, paper);
    text += &flags(census, paper);
    text += &remarks(census, paper);
    text
}

fn head(census: &Census, outcome: PassOutcome) -> Vec<(&'static str, String)> {
    let behind = plural(census.dates_behind.into(), "date");
    let mut facts = vec![
        (
            "scanned",
            format!("{}, {}", minute(census.scanned_at), outcome.label().replace('_', " ")),
        ),
        ("whole through", format!("{}, {behind} behind", or_dash(census.whole_through))),
        ("newest available", or_dash(census.latest_available)),
        ("tables expected", census.tables_expected.to_string()),
    ];
    if outcome == PassOutcome::Error {
        facts.push((
            "careful",
            "not everything could be seen; nothing is started on this".to_owned(),
        ));
    }
    facts
}

/// The gaps by range, oldest first, so that the newest stand above the prompt.
fn gaps(census: &Census, paper: Paper) -> String {
    if census.gaps.is_empty() {
        return "No gaps.\n".to_owned();
    }
    let header: &[&str] = if paper.is_wide() {
        &["gap", "dates", "status", "why", "next"]
    } else {
        &["gap", "dates", "status", "why, and what next"]
    };
    let mut sheet = Sheet::new(paper, header);
    for gap in &census.gaps {
        sheet.row(gap_row(census, gap, paper));
    }
    sheet.firm(&[0, 1, 2]);
    sheet.text()
}

fn gap_row(census: &Census, gap: &Gap, paper: Paper) -> Vec<comfy_table::Cell> {
    let status = format!("{} {}", gap.status.letter(), status_words(gap.status));
    let mut row = vec![
        cell(range(gap.from, gap.to)),
        number(gap.dates),
        toned(tone_of_status(gap.status), status),
    ];
    // The newest of the range speaks for it: what happens next happens to it first.
    let (why, next) = census.verdict(gap.to).map_or(("", ""), |v| (&*v.reason, &*v.next));
    if paper.is_wide() {
        row.extend([cell(why), cell(next)]);
    } else {
        let arrow = if next.is_empty() { "" } else { "\n→ " };
        row.push(cell(format!("{why}{arrow}{next}")));
    }
    row
}

/// Dates with a remark; they need not be gaps.
fn flags(census: &Census, paper: Paper) -> String {
    let flagged = census.dates.iter().filter(|verdict| !verdict.flags.is_empty());
    let lines: String = flagged.map(|verdict| flag_lines(census, verdict, paper)).collect();
    if lines.is_empty() { lines } else { format!("\nFlagged\n{lines}") }
}

/// `  2026-01-15  odd_volume: liberator_pcn 51.0 MiB, usually 102.1 MiB and 2 more tables`
fn flag_lines(census: &Census, verdict: &DateVerdict, paper: Paper) -> String {
    let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.label()).collect();
    let mut words = flags.join(", ");
    let odd: Vec<_> = census.volumes.odd_on(verdict.date).collect();
    if let Some(first) = odd.first().filter(|_| verdict.flags.contains(&Flag::OddVolume)) {
        let more = odd.len() as u64 - 1;
        let more =
            if more > 0 { format!(" and {}", plural(more, "more table")) } else { String::new() };
        words = format!("{words}: {first}{more}");
    }
    let narrower = Paper { columns: paper.columns.saturating_sub(2), ..paper };
    facts(narrower, &[(&verdict.date.to_string(), words)])
        .lines()
        .fold(String::new(), |lines, line| lines + "  " + line + "\n")
}

fn remarks(census: &Census, paper: Paper) -> String {
    let mut remarks = Vec::new();
    if let Some(problem) = &census.problem {
        remarks.push(("problem", problem.clone()));
    }
    if census.noise > 0 {
        remarks.push((
            "ignored",
            format!("{} in the landing bucket that are no dump", plural(census.noise, "key")),
        ));
    }
    let mut ignored: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for table in &census.ignored_why {
        ignored.entry(&table.why).or_default().push(table.id.to_string());
    }
    for (why, tables) in ignored {
        remarks.push(("ignored", format!("{}: {why}", tables.join(", "))));
    }
    let healable = census.counts().get(&DateStatus::Missing).copied().unwrap_or(0);
    remarks.push(("healable", format!("{}; see gapmend plan", plural(healable.into(), "date"))));
    format!("\n{}", facts(paper, &remarks))
}
