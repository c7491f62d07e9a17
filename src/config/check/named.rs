//! The tables that people add to: allow, deny, waive, freeze, except, also.

use std::collections::BTreeMap;

use crate::config::key_path::KeyPath;
use crate::config::raw::{Dates, Entry};
use crate::config::report::Report;
use crate::config::settings::NamedDates;
use crate::config::written::FromText as _;
use crate::domain::DateSpan;

use super::IntoText;

/// Whether an entry must say who answers for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Required,
    Optional,
}

pub(super) fn table(
    entries: BTreeMap<String, Entry>,
    at: &KeyPath,
    owner: Owner,
    report: &mut Report,
) -> BTreeMap<String, NamedDates> {
    let mut checked = BTreeMap::new();
    for (name, raw) in entries {
        if let Some(dates) = entry(raw, &at.key(&name), owner, report) {
            checked.insert(name, dates);
        }
    }
    checked
}

fn entry(raw: Entry, at: &KeyPath, owner: Owner, report: &mut Report) -> Option<NamedDates> {
    let dates = report.need(raw.dates, at, "dates", DateSpan::EXPECTED);
    let reason = report.need(raw.reason, at, "reason", "why, in words");
    if owner == Owner::Required && raw.owner.is_none() {
        report.missing(&at.key("owner"), "who answers for doing without this data");
    }
    if dates.as_ref().is_some_and(|Dates(spans)| spans.is_empty()) {
        report.empty(&at.key("dates"), DateSpan::EXPECTED);
    }
    Some(NamedDates {
        dates: dates?.0,
        reason: reason?.into_text(),
        owner: raw.owner.map(IntoText::into_text),
        ticket: raw.ticket.map(IntoText::into_text),
        until: raw.until.map(|until| until.0),
    })
}

/// Warns about dates that one table allows and the other denies: deny wins.
pub(super) fn warn_of_overlaps(
    allow: &BTreeMap<String, NamedDates>,
    deny: &BTreeMap<String, NamedDates>,
    backfill: &KeyPath,
    report: &mut Report,
) {
    for (allowed, entry) in allow {
        for (denied, other) in deny {
            if let Some(overlap) = overlap(&entry.dates, &other.dates) {
                let path = backfill.key("allow").key(allowed).key("dates");
                let message = format!("{overlap} is denied by `deny.{denied}`, and deny wins");
                report.warn(&path, message);
            }
        }
    }
}

fn overlap(left: &[DateSpan], right: &[DateSpan]) -> Option<DateSpan> {
    let shared = |a: &DateSpan, b: &DateSpan| DateSpan::new(a.from.max(b.from), a.to.min(b.to));
    left.iter().find_map(|a| right.iter().find_map(|b| shared(a, b)))
}
