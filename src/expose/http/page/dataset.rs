//! One dataset on the status page: the four answers first, then everything else.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{heat, lists, run};
use crate::daemon::{DatasetReport, Report};
use crate::expose::advice::{Hands, hands};
use crate::expose::console;
use crate::expose::words::{
    Tone, daemon_words, next_words, plural, pulse, tone_of_lag, tone_of_trigger, trigger_words,
    whole_words,
};
use crate::ledger::Run;
use crate::plan::Census;

pub(super) fn section(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    year: Option<i32>,
    now: DateTime<Utc>,
) -> Markup {
    let active = report.ledger.active_run().filter(|run| run.dataset == name);
    html! {
        section aria-labelledby={ "dataset-" (name) } {
            h2 id={ "dataset-" (name) } { (name) " " span.mode { "mode " (dataset.mode.label()) } }
            (answers(report, name, dataset, active, now))
            @if let Some(census) = &dataset.census { (verdict(name, census)) }
            @if let Some(active) = active { (run::current(active, dataset, now)) }
            @match &dataset.census {
                Some(census) => { (heat::map(name, census, year)) (lists::gaps(report, name, census)) }
                None => p.note { "The first look is not over yet." }
            }
            (lists::queue(report, name, dataset, now))
            div.columns { (lists::runs(report, name)) (lists::passes(report, name)) }
        }
    }
}

fn answers(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    active: Option<&Run>,
    now: DateTime<Utc>,
) -> Markup {
    let trigger = trigger_words(report, name, dataset, now);
    let rule = dataset.settings.trigger.as_ref();
    let rule = rule.map(|rule| console::rule(&report.region, &rule.event_bus, &rule.rule));
    let daemon = format!("{}; {}", daemon_words(report), pulse(report, now).1);
    let next = next_words(report, name, dataset, now);
    html! {
        div.tiles {
            (tile("Trigger", tone_of_trigger(dataset.trigger), &html! {
                (trigger)
                @if let Some(rule) = rule { " " a.out href=(rule.url) rel="noreferrer" { (rule.name) } }
            }))
            (tile("Daemon", tone_of_daemon(report, now), &html! { (daemon) }))
            (tile("Whole through", tone_of_lag(dataset), &html! { (whole_words(dataset)) }))
            (tile("Next", tone_of_next(dataset, active), &html! { (next) }))
        }
    }
}

fn tile(title: &str, tone: Tone, text: &Markup) -> Markup {
    html! {
        div.tile.(tone.label()) {
            h3 { (title) }
            p { (text) }
        }
    }
}

/// Whether somebody has to get up.
fn verdict(name: &str, census: &Census) -> Markup {
    let count = |whose: Hands| {
        let gaps = census.dates.iter().filter(|verdict| verdict.status.is_gap());
        gaps.filter(|verdict| hands(verdict.status) == whose).count() as u64
    };
    let (ours, theirs) = (count(Hands::Gapmend), count(Hands::Person));
    html! {
        p.verdict {
            @if ours + theirs == 0 { "Every date that is due is there." }
            @if ours > 0 { (plural(ours, "date")) " will be healed without you. " }
            @if theirs > 0 { b { (plural(theirs, "date")) } " will not: see what to do under " a href={ "#gaps-" (name) } { "Gaps" } "." }
        }
    }
}

fn tone_of_daemon(report: &Report, now: DateTime<Utc>) -> Tone {
    if report.acting && report.config.ok && pulse(report, now).0 { Tone::Good } else { Tone::Bad }
}

fn tone_of_next(dataset: &DatasetReport, active: Option<&Run>) -> Tone {
    match active {
        Some(_) => Tone::Busy,
        None if dataset.stopped => Tone::Bad,
        None if dataset.paused_until.is_some() => Tone::Warn,
        None => Tone::Quiet,
    }
}
