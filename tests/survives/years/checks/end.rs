//! The end of a history: everything that can be healed is, every other status is true, and
//! nothing more is done.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::daemon::{Engine, Errand, NoRecorder};
use gapmend::domain::{DateStatus, Flag};
use gapmend::ledger::Ledger;
use gapmend::plan::{Census, DateVerdict};
use gapmend::platform::World as Doors;
use gapmend::sim::{DumpKind, SimPlatform, World, zip};

use super::super::book::Book;
use super::super::climate::{LOOKBACK_DAYS, Policy};
use super::super::year::Year;
use super::{USUAL_DUMP_BYTES, day_of, is_ours};

/// A fresh process looks: it does nothing, and what it says of every date that is older than
/// `last` is true, and final.
pub(in super::super) async fn at_rest(year: &Year, last: NaiveDate) -> Option<String> {
    let before = effects(&year.sim.lock());
    let clock = Arc::new(year.clock.clone());
    let store = Arc::new(year.store.clone());
    let mut ledger = Ledger::open(store, Arc::clone(&clock) as _, "onlooker").await.unwrap();
    ledger.act("run").await.unwrap();
    let platform = Arc::new(SimPlatform::new(year.sim.clone()));
    let doors = Doors { platform, clock };
    let (_, settings) = year.settings();
    let mut engine = Engine::new(doors, ledger, settings, Arc::new(NoRecorder), Errand::default());
    for _ in 0..2 {
        engine.pass("liberator").await;
    }
    let after = effects(&year.sim.lock());
    if before != after {
        return Some(format!("a pass over a healed world did something: {before:?}, {after:?}"));
    }
    let report = Arc::clone(&engine.reports().borrow());
    let Some(census) = report.datasets["liberator"].census.clone() else {
        return Some("in the end nothing can be seen".to_owned());
    };
    let mut book = year.book.lock().unwrap();
    book.read(&year.store);
    every_status_is_true(&census, &year.sim.lock(), &book, &year.policy(), last)
}

/// Turns of the loop without faults after which nothing is done any more: a night idles through
/// fewer than a hundred, and a run takes fewer than three hundred.
const TURNS_TO_CONVERGE: u64 = 4_000;

/// Whether the last effect came soon enough after the faults.
pub(in super::super) fn converged(book: &Book) -> Option<String> {
    let turns = book.last_effect_in_turn;
    (turns > TURNS_TO_CONVERGE)
        .then(|| format!("it converges: the last effect was asked for in turn {turns}"))
}

/// Counts of all that we can do to the world.
fn effects(world: &World) -> [usize; 4] {
    let workflows = [&world.names.backdated_workflow, &world.names.live_workflow];
    let runs = workflows.map(|name| world.workflow_runs(name).unwrap_or_default().len());
    let ours = world.tasks().into_iter().filter(|task| is_ours(task)).count();
    [ours, runs[0], world.rule_history().len(), world.our_dump_writes().len()]
}

fn every_status_is_true(
    census: &Census,
    world: &World,
    book: &Book,
    policy: &Policy,
    last: NaiveDate,
) -> Option<String> {
    let truth = Truth { world, book, policy, now: world.now() };
    let newest = census.dates.iter().map(|verdict| verdict.date).max()?;
    if (world.now().date_naive() - newest).num_days() > 1 {
        return Some(format!("the census ends with {newest}"));
    }
    census.dates.iter().find_map(|verdict| {
        let true_now = truth.of(verdict);
        let settled = verdict.date > last || is_final(verdict.status);
        let flagged = truth.of_flags(verdict);
        (!true_now || !flagged || !settled).then(|| {
            format!(
                "{} is called {:?} {:?} ({}); it has {:?}; odd: {:?}",
                verdict.date,
                verdict.status,
                verdict.flags,
                verdict.reason,
                world.copies(verdict.date),
                census.volumes.odd_on(verdict.date).map(|odd| odd.to_string()).collect::<Vec<_>>(),
            )
        })
    })
}

/// Whether nothing more comes of a date without people.
fn is_final(status: DateStatus) -> bool {
    match status {
        DateStatus::Available
        | DateStatus::Waived
        | DateStatus::NotExpected
        | DateStatus::Partial
        | DateStatus::Empty
        | DateStatus::Unregistered
        | DateStatus::Unpublished
        | DateStatus::NoDump
        | DateStatus::NotAllowed
        | DateStatus::Quarantined
        | DateStatus::BadDump => true,
        DateStatus::NotDue
        | DateStatus::Running
        | DateStatus::TooYoung
        | DateStatus::BackingOff
        | DateStatus::Missing => false,
    }
}

struct Truth<'a> {
    world: &'a World,
    book: &'a Book,
    policy: &'a Policy,
    now: DateTime<Utc>,
}

impl Truth<'_> {
    /// Whether the world bears it out.
    fn of(&self, verdict: &DateVerdict) -> bool {
        let date = verdict.date;
        let tables = self.world.copies(date);
        let having = tables.values().filter(|copies| **copies > 0).count();
        let age = (self.now.date_naive() - date).num_days();
        match verdict.status {
            DateStatus::Available => having == tables.len() || self.lacked_tables(date, having),
            DateStatus::Partial => having > 0 && having < tables.len(),
            DateStatus::Empty | DateStatus::Unregistered => having > 0,
            DateStatus::Unpublished => having == 0 && self.has_copied_files(date),
            DateStatus::NoDump => having == 0 && !self.has_dump(date),
            DateStatus::BadDump => having == 0 && self.is_bad_dump(date),
            DateStatus::Waived => self.policy.waive.contains(&date) && !self.has_dump(date),
            DateStatus::NotAllowed => having == 0 && self.policy.deny.contains(&date),
            DateStatus::TooYoung => having == 0 && age < 8,
            DateStatus::NotDue => age < 2,
            DateStatus::Quarantined => having == 0 && self.was_spoiled(date),
            DateStatus::Missing | DateStatus::BackingOff => having == 0,
            DateStatus::NotExpected | DateStatus::Running => false,
        }
    }

    /// No date has an odd volume but one whose data is wrong, and one that is available and has
    /// a table twice is flagged.
    fn of_flags(&self, verdict: &DateVerdict) -> bool {
        let date = verdict.date;
        let is_wrong = self.world.wrong_data().iter().any(|(_, wrong, _)| *wrong == date);
        let is_twice = self.world.copies(date).values().any(|copies| *copies > 1);
        let has = |flag| verdict.flags.contains(&flag);
        let seen = has(Flag::OddVolume) || has(Flag::Duplicated);
        let unseen = is_twice && verdict.status == DateStatus::Available && !seen;
        !unseen && (is_wrong || !has(Flag::OddVolume))
    }

    /// Files of it lie in the copy.
    fn has_copied_files(&self, date: NaiveDate) -> bool {
        !self.world.copied_files(date).is_empty()
    }

    /// Its dump, or its export, had fewer tables (H28).
    fn lacked_tables(&self, date: NaiveDate, having: usize) -> bool {
        let profile = self.world.profiles.get(&date);
        having > 0 && profile.is_some_and(|profile| !profile.tables_absent.is_empty())
    }

    fn has_dump(&self, date: NaiveDate) -> bool {
        let names = &self.world.names;
        [names.dump_key_of(date), names.old_dump_key_of(date)]
            .iter()
            .any(|key| self.world.object(&names.dump_bucket, key, None).is_ok())
    }

    /// Not a whole zip of one script; another date's; or under the name that the task does not
    /// read.
    fn is_bad_dump(&self, date: NaiveDate) -> bool {
        let names = &self.world.names;
        let found = self.world.object(&names.dump_bucket, &names.dump_key_of(date), None);
        let Ok(dump) = found else { return self.has_dump(date) };
        let whole = zip::dump(DumpKind::Whole, date, USUAL_DUMP_BYTES);
        whole.is_none_or(|whole| whole.etag() != dump.etag) || self.has_twin(date, &dump.etag)
    }

    fn has_twin(&self, date: NaiveDate, etag: &str) -> bool {
        let names = &self.world.names;
        let around = (-LOOKBACK_DAYS..=LOOKBACK_DAYS).filter(|days| *days != 0);
        around.map(|days| date + TimeDelta::days(days)).any(|other| {
            let twin = self.world.object(&names.dump_bucket, &names.dump_key_of(other), None);
            twin.is_ok_and(|twin| twin.etag == etag)
        })
    }

    /// A load of it was tried in vain, or its export is spent.
    fn was_spoiled(&self, date: NaiveDate) -> bool {
        let id = self.world.names.backdated_id(date);
        let exported = self.world.export_tasks(Some(&id), None).is_ok();
        let tasks = self.world.tasks();
        let mut loads = tasks.iter().filter(|task| task.date == Some(date) && !task.live);
        exported
            || loads.any(|task| is_ours(task) && day_of(task) == date)
            || self.book.by_hand.contains_key(&date)
    }
}
