//! What `plan` prints: the queue in order, why nothing starts, and why every other date waits.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::style::{Paper, facts};
use super::table::{Sheet, cell, number, toned};
use crate::domain::DateStatus;
use crate::expose::json::waiting;
use crate::expose::words::{minute, range, size, status_words, tone_of_status};
use crate::plan::{Candidate, DateVerdict, Plan};

/// Every dataset's plan.
#[must_use]
pub fn plan_text(plans: &[(&str, &Plan)], paper: Paper) -> String {
    let parts: Vec<String> = plans.iter().map(|(name, plan)| one(name, plan, paper)).collect();
    parts.join("\n")
}

fn one(name: &str, plan: &Plan, paper: Paper) -> String {
    let mut text = paper.bold(name) + "\n";
    text += &facts(paper, &[("now", now_words(plan))]);
    text += "\nQueue\n";
    text += &queue(&plan.queue, paper);
    text += "\nWaiting, and why\n";
    text += &others(plan, paper);
    text
}

fn now_words(plan: &Plan) -> String {
    match (&plan.step, plan.queue.first()) {
        (Err(rest), _) => match rest.until() {
            Some(until) => format!("nothing is started: {rest} (looks again by {})", minute(until)),
            None => format!("nothing is started: {rest}"),
        },
        (Ok(_), Some(head)) => format!("{} would be started, attempt {}", head.date, head.attempt),
        (Ok(_), None) => "the run in progress would be moved on".to_owned(),
    }
}

fn queue(queue: &[Candidate], paper: Paper) -> String {
    if queue.is_empty() {
        return "  empty\n".to_owned();
    }
    let mut sheet =
        Sheet::new(paper, &["#", "date", "attempt", "dump", "asked by", "permitted by"]);
    for (index, candidate) in queue.iter().enumerate() {
        let name = candidate.dump.key.rsplit('/').next().unwrap_or_default();
        let bytes = if paper.is_wide() {
            format!(", {}", size(candidate.dump.size))
        } else {
            String::new()
        };
        sheet.row(vec![
            number(index + 1),
            cell(candidate.date),
            number(candidate.attempt),
            cell(format!("{name}{bytes}")),
            cell(&candidate.asked.by),
            cell(&candidate.permitted_by),
        ]);
    }
    sheet.firm(&[0, 1, 2]);
    sheet.text()
}

fn others(plan: &Plan, paper: Paper) -> String {
    let spans = folded(plan);
    if spans.is_empty() {
        return "  no other date\n".to_owned();
    }
    let mut sheet = Sheet::new(paper, &["dates", "status", "why not"]);
    for (from, to) in spans {
        let until = from.until.map_or_else(String::new, |at| format!(", until {}", minute(at)));
        sheet.row(vec![
            cell(range(from.date, to.date)),
            toned(
                tone_of_status(from.status),
                format!("{} {}", from.status.letter(), status_words(from.status)),
            ),
            cell(format!("{}{until}", from.reason)),
        ]);
    }
    sheet.firm(&[0, 1]);
    sheet.text()
}

/// Neighbours that wait for the same reason, as the first and the last of them. Dates that
/// the calendar does not expect lie between neighbours without parting them.
fn folded(plan: &Plan) -> Vec<(&DateVerdict, &DateVerdict)> {
    let expected = plan.census.iter().flat_map(|census| &census.dates);
    let expected = expected.filter(|verdict| verdict.status != DateStatus::NotExpected);
    let next: BTreeMap<NaiveDate, NaiveDate> =
        expected.clone().zip(expected.skip(1)).map(|(one, other)| (one.date, other.date)).collect();
    let mut spans: Vec<(&DateVerdict, &DateVerdict)> = Vec::new();
    for verdict in waiting(plan) {
        match spans.last_mut() {
            Some((_, last))
                if next.get(&last.date) == Some(&verdict.date) && alike(last, verdict) =>
            {
                *last = verdict;
            }
            _ => spans.push((verdict, verdict)),
        }
    }
    spans
}

fn alike(one: &DateVerdict, other: &DateVerdict) -> bool {
    (one.status, &one.reason, one.until) == (other.status, &other.reason, other.until)
}
