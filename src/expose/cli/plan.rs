//! What `plan` prints: the queue in order, why nothing starts, and why every other date waits.

use super::style::{Paper, facts};
use super::table::{Sheet, cell, number, toned};
use crate::expose::json::waiting;
use crate::expose::words::{minute, size, status_words, tone_of_status};
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
        Sheet::new(paper, &["#", "date", "attempt", "dump", "size", "asked by", "permitted by"]);
    for (index, candidate) in queue.iter().enumerate() {
        sheet.row(vec![
            number(index + 1),
            cell(candidate.date),
            number(candidate.attempt),
            cell(candidate.dump.key.rsplit('/').next().unwrap_or_default()),
            number(size(candidate.dump.size)),
            cell(&candidate.asked.by),
            cell(&candidate.permitted_by),
        ]);
    }
    sheet.firm(&[0, 1, 2, 4]);
    sheet.text()
}

fn others(plan: &Plan, paper: Paper) -> String {
    let mut sheet = Sheet::new(paper, &["date", "status", "why not", "until"]);
    let mut empty = true;
    for verdict in waiting(plan) {
        empty = false;
        sheet.row(other_row(verdict));
    }
    if empty {
        return "  no other date\n".to_owned();
    }
    sheet.firm(&[0, 1, 3]);
    sheet.text()
}

fn other_row(verdict: &DateVerdict) -> Vec<comfy_table::Cell> {
    let status = format!("{} {}", verdict.status.letter(), status_words(verdict.status));
    vec![
        cell(verdict.date),
        toned(tone_of_status(verdict.status), status),
        cell(&verdict.reason),
        cell(
            verdict
                .until
                .map_or_else(String::new, |until| until.format("%Y-%m-%d %H:%M").to_string()),
        ),
    ]
}
