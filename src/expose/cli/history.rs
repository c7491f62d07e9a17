//! What `history` prints: attempts as a table, or those of one date with everything.

use std::fmt::Write;

use super::style::{Paper, facts, wrap};
use super::table::{Sheet, cell, number, toned};
use crate::domain::RunOutcome;
use crate::expose::json::outcome_label;
use crate::expose::words::{between, minute, or_dash, size, tone_of_outcome};
use crate::ledger::{Run, Trace};

/// Columns before a detail that stands under its line.
const DETAIL_MARGIN: usize = 5;

/// Attempts as a table; with `details`, each with its stages and ids.
#[must_use]
pub fn history_text<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
    details: bool,
    paper: Paper,
) -> String {
    let runs: Vec<&Run> = runs.into_iter().collect();
    if runs.is_empty() {
        return "No attempts yet.\n".to_owned();
    }
    if details {
        let parts: Vec<String> = runs.into_iter().map(|run| attempt(run, paper)).collect();
        return parts.join("\n");
    }
    let several = runs.iter().any(|run| run.dataset != runs[0].dataset);
    let rows = runs.iter().map(|run| row(run, several));
    let details = runs.iter().map(|run| run.end.as_ref().map_or("", |end| end.detail.as_str()));
    let columns = ["began (UTC)", "date", "attempt", "outcome", "took"];
    if paper.is_wide() {
        let mut sheet = Sheet::new(paper, &[&columns[..], &["detail"]].concat());
        rows.zip(details).for_each(|(row, detail)| {
            sheet.row(row.into_iter().chain([cell(detail)]).collect());
        });
        sheet.firm(&[0, 1, 2, 3, 4]);
        return sheet.text();
    }
    let mut sheet = Sheet::new(paper, &columns);
    rows.for_each(|row| sheet.row(row));
    sheet.firm(&[0, 1, 2, 3, 4]);
    under_each(&sheet.text(), details, paper)
}

/// The header, then each line with its detail below it.
fn under_each<'a>(lines: &str, details: impl Iterator<Item = &'a str>, paper: Paper) -> String {
    let room = usize::from(paper.columns).saturating_sub(DETAIL_MARGIN);
    let mut text = String::new();
    for (line, detail) in lines.lines().zip(std::iter::once("").chain(details)) {
        let below = wrap(detail, room).into_iter().filter(|line| !line.is_empty());
        text += line;
        text.push('\n');
        below.for_each(|line| {
            let _ = writeln!(text, "{:DETAIL_MARGIN$}{line}", "");
        });
    }
    text
}

fn row(run: &Run, several: bool) -> Vec<comfy_table::Cell> {
    let end = run.end.as_ref();
    let outcome = match end.map(|end| end.outcome) {
        Some(RunOutcome::Succeeded) => outcome_label(run).to_owned(),
        Some(RunOutcome::Failed | RunOutcome::Cancelled | RunOutcome::Void) | None => {
            format!("{} in {}", outcome_label(run), run.stage.label())
        }
    };
    let date = if several { format!("{} {}", run.dataset, run.date) } else { run.date.to_string() };
    vec![
        cell(run.started_at.format("%Y-%m-%d %H:%M")),
        cell(date),
        number(run.attempt),
        toned(tone_of_outcome(end.map(|end| end.outcome)), outcome),
        number(end.map_or_else(String::new, |end| between(run.started_at, end.at))),
    ]
}

/// One attempt with everything that is known of it.
pub(super) fn attempt(run: &Run, paper: Paper) -> String {
    let outcome = run.end.as_ref().map(|end| end.outcome);
    let head = format!("{} attempt {}: ", run.date, run.attempt);
    let mut text =
        paper.bold(&head) + &paper.toned(tone_of_outcome(outcome), outcome_label(run)) + "\n";
    text += &facts(paper, &known(run));
    text += &stages(run, paper);
    for line in run.end.iter().flat_map(|end| &end.log_tail) {
        let _ = writeln!(text, "  log | {line}");
    }
    text
}

fn known(run: &Run) -> Vec<(&'static str, String)> {
    let asked = &run.asked;
    let mut known = vec![
        ("run", run.id.clone()),
        ("began", minute(run.started_at)),
        ("asked by", asked.by.clone()),
    ];
    known.extend(asked.reason.clone().map(|reason| ("asked why", reason)));
    known.extend(asked.ticket.clone().map(|ticket| ("ticket", ticket)));
    known.push(("permitted by", run.permitted_by.clone()));
    if let Some(dump) = &run.dump {
        known.push(("dump", format!("{}, {}, ETag {}", dump.key, size(dump.size), dump.etag)));
    }
    if let Some(load) = &run.load {
        known.push(("task", or_dash(load.task_arn.as_deref())));
        known.push(("token", load.task.client_token.clone()));
    }
    known.extend(run.traces.get(&Trace::Snapshot).cloned().map(|id| ("snapshot", id)));
    known.extend(run.traces.get(&Trace::Export).cloned().map(|id| ("export", id)));
    known.extend(run.workflow_runs_judged.iter().map(|id| ("wrote nothing", id.clone())));
    known.extend(run.workflow_runs_beside().map(|id| ("ran as well", id.to_owned())));
    known.extend(run.workflow_run.clone().map(|id| ("workflow run", id)));
    if let Some(end) = &run.end {
        known.push(("ended", format!("{}: {}", minute(end.at), end.detail)));
        known.extend(end.reason.map(|reason| ("failure", reason.label().replace('_', " "))));
        known.extend(run.cancelled_by.as_ref().map(|asked| ("cancelled by", asked.by.clone())));
    }
    let before = or_dash(run.tables_before);
    let after = or_dash(run.end.as_ref().and_then(|end| end.tables_present));
    let expected = run.tables_expected;
    known.push(("tables", format!("{before} before, {after} after, of {expected} expected")));
    known.push(("gapmend", format!("{}, configuration {}", run.version, run.config)));
    known
}

fn stages(run: &Run, paper: Paper) -> String {
    let mut sheet = Sheet::new(paper, &["stage", "began", "took", "seen"]);
    for record in &run.stages {
        sheet.row(vec![
            cell(record.stage.label()),
            cell(record.started_at.format("%m-%d %H:%M:%S")),
            number(between(record.started_at, record.ended_at)),
            cell(&record.detail),
        ]);
    }
    if run.is_active() {
        let since = run.stage_since.format("%m-%d %H:%M:%S");
        sheet.row(vec![cell(run.stage.label()), cell(since), cell(""), cell("in progress")]);
    }
    sheet.firm(&[0, 1, 2]);
    sheet.text()
}
