//! Runs: the one in progress with its stages, and attempts with all that is known of them.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::heat;
use crate::daemon::DatasetReport;
use crate::domain::Stage;
use crate::expose::console::{self, Link};
use crate::expose::json::outcome_label;
use crate::expose::limits::StageLimits;
use crate::expose::words::{between, minute, or_dash, size, span, tone_of_outcome};
use crate::ledger::{Run, Trace};

/// The stages of the run in progress: done, now and to come.
pub(super) fn current(run: &Run, dataset: &DatasetReport, now: DateTime<Utc>) -> Markup {
    let limits = StageLimits::of(&dataset.settings);
    html! {
        h3 { "Run in progress: " a href=(heat::path(&run.dataset, run.date)) { (run.date) } ", attempt " (run.attempt) }
        p.meta { "asked by " (run.asked.by) ", permitted by " (run.permitted_by) ", began " (minute(run.started_at))
            ", under way for " (between(run.started_at, now)) }
        ol.stages {
            @for stage in Stage::ALL { (step(run, stage, limits, dataset.stage_percent, now)) }
        }
        @if let Some(stop) = &run.stopping { p.note { b { "Stopping the task: " } (stop.detail) } }
    }
}

fn step(
    run: &Run,
    stage: Stage,
    limits: StageLimits,
    percent: Option<u8>,
    now: DateTime<Utc>,
) -> Markup {
    let done = run.stages.iter().find(|record| record.stage == stage);
    html! {
        @if let Some(done) = done {
            li.good { b { "✓ " (stage.label()) } span { (between(done.started_at, done.ended_at)) } }
        } @else if run.stage == stage {
            li.busy aria-current="step" { b { "▶ " (stage.label()) } (progress(run, limits, percent, now)) }
        } @else if stage > run.stage {
            li.quiet { b { "· " (stage.label()) } span { "to come" } }
        }
    }
}

/// How far the stage is by the service's word, and how much of its deadline is gone.
fn progress(run: &Run, limits: StageLimits, percent: Option<u8>, now: DateTime<Utc>) -> Markup {
    let elapsed = (now - run.stage_since).num_seconds().max(0);
    let limit = limits.seconds(run.stage);
    html! {
        @if let Some(percent) = percent {
            span { (percent) " % done" }
            progress max="100" value=(percent) aria-label={ (run.stage.label()) ", percent done" } {}
        }
        span { (span(elapsed)) @if let Some(limit) = limit { " of at most " (span(limit)) } }
        @if let Some(limit) = limit {
            progress.time max=(limit) value=(elapsed.min(limit)) aria-label={ (run.stage.label()) ", time spent of its deadline" } {}
        }
    }
}

/// One attempt with everything that is known of it.
pub(super) fn attempt(run: &Run, dataset: &DatasetReport, region: &str) -> Markup {
    let outcome = run.end.as_ref().map(|end| end.outcome);
    html! {
        article.attempt {
            h3 { "Attempt " (run.attempt) " " span.word.(tone_of_outcome(outcome).label()) { (outcome_label(run)) } }
            @if let Some(end) = &run.end { p { (end.detail) } }
            (links(&console::of_run(run, &dataset.settings, region)))
            div.scroll tabindex="0" role="group" aria-label={ "Stages of attempt " (run.attempt) } { (stages(run)) }
            dl { @for (name, value) in known(run) { dt { (name) } dd { (value) } } }
            @if let Some(end) = run.end.as_ref().filter(|end| !end.log_tail.is_empty()) {
                h4 { "The end of the task's log" }
                pre tabindex="0" { @for line in &end.log_tail { (line) "\n" } }
            }
        }
    }
}

/// Links into the console.
pub(super) fn links(links: &[Link]) -> Markup {
    html! {
        @if !links.is_empty() {
            p.out-links { "In the AWS console: "
                @for (index, link) in links.iter().enumerate() {
                    @if index > 0 { " · " }
                    a href=(link.url) rel="noreferrer" { (link.name) }
                }
            }
        }
    }
}

fn stages(run: &Run) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { "stage" } th scope="col" { "began" } th.number scope="col" { "took" } th scope="col" { "seen" } } }
            tbody {
                @for record in &run.stages {
                    tr {
                        td { (record.stage.label()) } td.date { (minute(record.started_at)) }
                        td.number { (between(record.started_at, record.ended_at)) } td { (record.detail) }
                    }
                }
                @if run.is_active() {
                    tr { td { (run.stage.label()) } td.date { (minute(run.stage_since)) } td.number { "–" } td { "in progress" } }
                }
            }
        }
    }
}

/// Who wanted it, what allowed it, and every id.
fn known(run: &Run) -> Vec<(&'static str, String)> {
    let mut known = vec![("run", run.id.clone()), ("asked by", run.asked.by.clone())];
    known.extend(run.asked.reason.clone().map(|reason| ("reason", reason)));
    known.extend(run.asked.ticket.clone().map(|ticket| ("ticket", ticket)));
    known.push(("permitted by", run.permitted_by.clone()));
    known.extend(run.cancelled_by.as_ref().map(|asked| ("cancelled by", asked.by.clone())));
    if let Some(dump) = &run.dump {
        known.push(("dump", format!("{}, {}, ETag {}", dump.key, size(dump.size), dump.etag)));
    }
    known.extend(run.load.as_ref().and_then(|load| load.task_arn.clone()).map(|arn| ("task", arn)));
    known.extend(run.traces.get(&Trace::Snapshot).cloned().map(|id| ("snapshot", id)));
    known.extend(run.traces.get(&Trace::Export).cloned().map(|id| ("export", id)));
    known.extend(run.workflow_run.clone().map(|id| ("workflow run", id)));
    let after = run.end.as_ref().and_then(|end| end.tables_present);
    known.push((
        "tables",
        format!(
            "{} before, {} after, of {} expected",
            or_dash(run.tables_before),
            or_dash(after),
            run.tables_expected
        ),
    ));
    known.push(("gapmend", format!("{}, configuration {}", run.version, run.config)));
    known
}
