//! The status page and the pages of single dates.
//!
//! ```text
//!   dataset   four answers, the calendar, the run in progress, lists
//!   heat      the calendar, as an SVG that can be hovered and tabbed through
//!   run       stages, progress, deadlines; attempts with everything that is known of them
//!   lists     gaps, queue, last runs and passes
//!   date      one date: evidence, what to do, history
//! ```
//!
//! Rendered here and only here: no script, no form, nothing from elsewhere. Every colour has
//! a letter or a word beside it, and whatever can be hovered can be reached by keyboard.

mod dataset;
mod date;
mod heat;
mod lists;
mod run;

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use crate::daemon::Report;
use crate::expose::metrics::{REVISION, VERSION};
use crate::expose::words::{between, daemon_words, minute};

pub(super) use date::render as render_date;

/// How often the status page asks for itself again.
pub(super) const REFRESH_SECONDS: u32 = 30;

/// What the address of the status page asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// One that does not renew itself keeps the keyboard's place.
    pub(super) renews: bool,
    /// The year of the calendars, instead of the newest dates.
    pub(super) year: Option<i32>,
}

impl View {
    /// From the part of the address after `?`; what is not understood asks for nothing.
    pub(super) fn asked(query: Option<&str>) -> Self {
        let parts: Vec<&str> = query.unwrap_or_default().split('&').collect();
        let year = parts.iter().find_map(|part| part.strip_prefix("year=")?.parse().ok());
        Self { renews: !parts.contains(&"renew=off"), year }
    }

    /// The address of the same page that does, or does not, renew itself.
    fn turned(self) -> String {
        let year = self.year.map(|year| format!("year={year}"));
        let renew = self.renews.then(|| "renew=off".to_owned());
        format!("?{}", year.into_iter().chain(renew).collect::<Vec<_>>().join("&"))
    }
}

/// The whole status page.
pub(super) fn render(report: &Report, view: View, now: DateTime<Utc>) -> Markup {
    let body = html! {
        (warnings(report))
        main {
            @if report.datasets.is_empty() { p { "No dataset is configured." } }
            @for (name, dataset) in &report.datasets { (dataset::section(report, name, dataset, view.year, now)) }
        }
    };
    let note = html! {
        "as of " (minute(now)) ", "
        @if view.renews { "renewed every " (REFRESH_SECONDS) " s (" a href=(view.turned()) { "stop" } ")" }
        @else { "not renewed (" a href=(view.turned()) { "renew" } ")" }
    };
    shell(&title(report), "", &note, &body, report, now)
}

/// What every page has: head, header and footer. `root` leads from the page to `/`.
fn shell(
    title: &str,
    root: &str,
    note: &Markup,
    body: &Markup,
    report: &Report,
    now: DateTime<Utc>,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ (root) "style.css" };
            }
            body {
                header {
                    h1 { a href={ (root) "." } { "gapmend" } }
                    p.meta { (note) }
                }
                (body)
                (footer(root, report, now))
            }
        }
    }
}

fn footer(root: &str, report: &Report, now: DateTime<Utc>) -> Markup {
    html! {
        footer {
            p { "gapmend " (VERSION) " (" (REVISION) "), up " (between(report.started_at, now))
                ", ledger at entry " (report.ledger.seq) ". Read-only: changes go through the command line." }
            p {
                a href={ (root) "metrics" } { "metrics" } " · "
                a href={ (root) "api/v1/status" } { "status as JSON" } " · "
                a href={ (root) "api/v1/runs" } { "runs as JSON" }
                @for name in report.datasets.keys() {
                    " · " a href={ (root) "api/v1/datasets/" (name) "/dates" } { "dates of " (name) " as JSON" }
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
    let config = report.config.in_words().map(|words| format!("Configuration: {words}"));
    let acting =
        (!report.acting).then(|| format!("This daemon starts nothing: {}.", daemon_words(report)));
    html! {
        @for warning in [config, acting].into_iter().flatten() {
            p.banner role="alert" { strong { "! " } (warning) }
        }
    }
}
