//! Laws of the loads: when one may begin, of what, and beside what.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::ledger::{Event, Request};
use gapmend::sim::{DumpKind, TaskRecord, zip};

use super::data::only_its_content_is_wrong;
use super::{Evidence, USUAL_DUMP_BYTES, day_of, is_alive_at, is_ours};

/// A live load is seen, and ours is stopped, within this time: two polls and what a stop takes.
const YIELDS_WITHIN: TimeDelta = TimeDelta::minutes(4);
/// The narrow look at a date is so old at most when its load is asked for.
const CONFIRMED_WITHIN: TimeDelta = TimeDelta::minutes(2);
/// Below this age a date is the nightly's.
const MIN_AGE_DAYS: i64 = 7;

pub(super) fn never_two_at_once(evidence: &Evidence<'_>) -> Option<String> {
    let tasks = evidence.world.tasks();
    let task = |arn: &String| tasks.iter().find(|task| task.arn == *arn);
    evidence.world.overlaps().iter().find_map(|overlap| {
        let (first, second) = (task(&overlap.first)?, task(&overlap.second)?);
        let ours = [first, second].into_iter().filter(|task| is_ours(task) && !task.live).count();
        let foreign = if is_ours(first) && !first.live { second } else { first };
        // Nobody can yield who is dead, or cannot see.
        let seen = foreign.visible_from + evidence.hears_within();
        let could_yield =
            evidence.book.was_watched(seen, overlap.at) && overlap.at - seen >= YIELDS_WITHIN;
        (ours == 2 || (ours == 1 && could_yield))
            .then(|| format!("at {} {} dropped what {} loads", overlap.at, second.arn, first.arn))
    })
}

/// No task of ours is asked for while another has long been there to be seen.
pub(super) fn never_begun_beside_another(evidence: &Evidence<'_>) -> Option<String> {
    let tasks = evidence.world.tasks();
    tasks.iter().filter(|task| is_ours(task)).find_map(|ours| {
        let then = ours.created_at - evidence.hears_within();
        let other = tasks.iter().find(|other| {
            other.arn != ours.arn
                && other.visible_from < then
                && is_alive_at(other, ours.created_at)
        })?;
        Some(format!("{} of {} was begun beside {}", ours.arn, day_of(ours), other.arn))
    })
}

pub(super) fn only_of_bare_dates(evidence: &Evidence<'_>) -> Option<String> {
    let world = evidence.world;
    evidence.our_loads().find_map(|task| {
        let (date, before) = (day_of(task), task.created_at - CONFIRMED_WITHIN);
        let has_it = world.copies(date).into_keys().find(|id| {
            let written = world.generations(&id.database, &id.table, date);
            written.iter().any(|generation| generation.at < before)
        });
        let id = world.names.backdated_id(date);
        let exports = world.export_tasks(Some(&id), None).unwrap_or_default();
        let spent = exports.iter().any(|export| export.snapshot_time < before);
        if let Some(table) = has_it {
            return Some(format!("{} loads {date}, which {table} had already", task.arn));
        }
        spent.then(|| format!("{} loads {date}, whose export {id} exists", task.arn))
    })
}

/// The dump that the task reads was there, and whole, when the load was asked for; a waived date
/// without one is therefore never loaded. A person may have replaced it within the last minutes.
pub(super) fn only_of_good_dumps(evidence: &Evidence<'_>) -> Option<String> {
    let world = evidence.world;
    evidence.our_loads().find_map(|task| {
        let (date, before) = (day_of(task), task.created_at - CONFIRMED_WITHIN);
        let key = world.names.dump_key_of(date);
        let Ok(dump) = world.object(&world.names.dump_bucket, &key, None) else {
            return Some(format!("{} loads {date}, which has no {key}", task.arn));
        };
        // What was there before the history began is on no trail.
        let began = world.trail().iter().map(|event| event.written_at.date_naive()).min();
        let written = world.trail().iter().filter(|event| event.key == key && !event.refused);
        let first = written.map(|event| event.written_at).min();
        let on_trail = began.is_some_and(|began| date >= began);
        if on_trail && first.is_some_and(|first| first > task.created_at) {
            return Some(format!("{} loads {date}, whose {key} came later", task.arn));
        }
        let whole = zip::dump(DumpKind::Whole, date, USUAL_DUMP_BYTES)?;
        let bad = dump.last_modified < before
            && dump.etag != whole.etag()
            && !only_its_content_is_wrong(evidence, task);
        bad.then(|| format!("{} loads {date}, whose {key} is bad", task.arn))
    })
}

pub(super) fn only_of_old_dates(evidence: &Evidence<'_>) -> Option<String> {
    evidence.our_loads().find_map(|task| {
        let date = day_of(task);
        let wrong_clock = i64::from(evidence.book.clocks_were_wrong(task.created_at));
        let local = task.created_at.with_timezone(&chrono_tz::Europe::London).date_naive();
        let age = (local - date).num_days();
        (age < MIN_AGE_DAYS - wrong_clock)
            .then(|| format!("{} loads {date} at the age of {age} days", task.arn))
    })
}

/// Loads of a date whose run nobody cancelled, between two forgivings of people.
pub(super) fn attempts_are_bounded(evidence: &Evidence<'_>) -> Option<String> {
    let most = evidence.climate.policy.max_attempts as usize;
    let mut counts: BTreeMap<(NaiveDate, usize), usize> = BTreeMap::new();
    let ended_by_itself = |task: &&TaskRecord| {
        task.stop_code != Some("UserInitiated") && !was_cancelled(evidence, task)
    };
    for task in evidence.our_loads().filter(ended_by_itself) {
        let date = day_of(task);
        let forgiven = forgivings(evidence, date);
        let since = forgiven.iter().filter(|at| **at <= task.created_at).count();
        *counts.entry((date, since)).or_default() += 1;
    }
    let ((date, _), count) = counts.into_iter().find(|(_, count)| *count > most)?;
    Some(format!("{date} was loaded {count} times, {most} attempts are allowed"))
}

/// Whether somebody asked for its run's end, also after the load, before the next one of ours.
fn was_cancelled(evidence: &Evidence<'_>, task: &TaskRecord) -> bool {
    let next = evidence.our_loads().map(|other| other.created_at);
    let next = next.filter(|at| *at > task.created_at).min();
    let cancels =
        |event: &Event| matches!(event, Event::Requested { request: Request::Cancel, .. });
    evidence.book.entries.iter().any(|entry| {
        let meanwhile = entry.at > task.created_at && next.is_none_or(|next| entry.at < next);
        meanwhile && entry.events.iter().any(cancels)
    })
}

fn forgivings(evidence: &Evidence<'_>, date: NaiveDate) -> Vec<DateTime<Utc>> {
    let forgives = |event: &Event| matches!(event, Event::Requested { request: Request::Retry { date: of }, .. } if *of == date);
    let entries = evidence.book.entries.iter();
    entries.filter(|entry| entry.events.iter().any(forgives)).map(|entry| entry.at).collect()
}

/// A load of ours begins by deleting snapshots: none may be among them that waits for its
/// export and was there before our task.
pub(super) fn unsettled_snapshots_are_spared(evidence: &Evidence<'_>) -> Option<String> {
    let tasks = evidence.world.tasks();
    evidence.world.incidents().iter().find_map(|incident| {
        let lost = incident.what.strip_prefix("DBSnapshotNotFound: ")?;
        let id = lost.split(' ').next()?;
        // The task that made it ended before the one that deleted it began.
        let deleter = tasks.iter().rev().find(|task| {
            task.started_at
                .is_some_and(|at| at <= incident.at && incident.at - at < TimeDelta::hours(2))
        })?;
        let beside = tasks.iter().any(|other| {
            other.arn != deleter.arn
                && other
                    .stopped_at
                    .is_none_or(|at| at > deleter.created_at - evidence.hears_within())
                && other.created_at < incident.at
        });
        (is_ours(deleter) && !deleter.live && !beside)
            .then(|| format!("at {} {id} was deleted by {}", incident.at, deleter.arn))
    })
}
