//! What is known of a year without asking gapmend: who lived when, what people configured, when
//! the weather was bad; and the entries of the ledger, which are facts of the world.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::ledger::{Entry, MemoryStore, State};

use super::climate::Policy;

/// One life of one process.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) host: &'static str,
    pub(super) to: Option<DateTime<Utc>>,
    /// Calls made when it slept last, and the most between two sleeps.
    calls: u64,
    pub(super) most_calls: u64,
}

/// The record of a year.
#[derive(Default)]
pub(super) struct Book {
    pub(super) lives: Vec<Life>,
    /// Since when which life's epoch is the newest.
    acting: Vec<(DateTime<Utc>, usize)>,
    /// By the configuration's hash.
    pub(super) policies: BTreeMap<String, Policy>,
    /// Dates that people loaded by hand.
    pub(super) by_hand: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// Times at which AWS, the ledger's store or a clock was not itself.
    pub(super) storms: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// Times at which some clock was wrong.
    pub(super) wrong_clocks: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// Times at which the dataset was not in the configuration.
    pub(super) absences: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// Turns of the loop since the faults ended, and in which the last effect was asked for.
    pub(super) calm_turns: Option<u64>,
    pub(super) last_effect_in_turn: u64,
    /// The ledger's entries so far, and what they add up to.
    pub(super) entries: Vec<Entry>,
    pub(super) replayed: State,
    /// What was seen to be wrong on the spot.
    pub(super) caught: Vec<String>,
}

impl Book {
    pub(super) fn begin(&mut self, host: &'static str) -> usize {
        self.lives.push(Life { host, to: None, calls: 0, most_calls: 0 });
        self.lives.len() - 1
    }

    pub(super) fn end(&mut self, life: usize, at: DateTime<Utc>) {
        self.lives[life].to = Some(at);
    }

    pub(super) fn acts(&mut self, life: usize, at: DateTime<Utc>) {
        self.acting.push((at, life));
    }

    pub(super) fn slept(&mut self, life: usize, calls: u64) {
        let life = &mut self.lives[life];
        life.most_calls = life.most_calls.max(calls - life.calls);
        life.calls = calls;
        if let Some(turns) = &mut self.calm_turns {
            *turns += 1;
        }
    }

    /// An effect is asked for.
    pub(super) fn asks(&mut self) {
        self.last_effect_in_turn = self.calm_turns.unwrap_or_default();
    }

    pub(super) fn configured(&mut self, gone: bool, at: DateTime<Utc>) {
        let absent = self.absences.last_mut().filter(|absence| absence.1.is_none());
        match (gone, absent) {
            (true, None) => self.absences.push((at, None)),
            (false, Some(absence)) => absence.1 = Some(at),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Whether the dataset was not in the configuration at some time of those.
    pub(super) fn was_absent(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        meets(&self.absences, from, to)
    }

    /// Whether a process acted, without trouble, for the whole of that time.
    pub(super) fn was_watched(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let acting = self.acting.iter().rev().find(|(at, _)| *at <= from);
        let Some((_, life)) = acting else { return false };
        let overtaken = self.acting.iter().any(|(at, _)| *at > from && *at <= to);
        let alive = self.lives[*life].to.is_none_or(|end| end > to);
        alive && !overtaken && !self.was_stormy(from, to)
    }

    pub(super) fn was_stormy(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        meets(&self.storms, from, to)
    }

    /// Whether some clock was wrong within a day of then.
    pub(super) fn clocks_were_wrong(&self, at: DateTime<Utc>) -> bool {
        meets(&self.wrong_clocks, at - TimeDelta::days(1), at)
    }

    /// Reads the entries that were written since.
    pub(super) fn read(&mut self, store: &MemoryStore) {
        for (seq, bytes) in store.entries().range(self.replayed.seq + 1..) {
            let entry: Entry = serde_json::from_slice(bytes)
                .unwrap_or_else(|error| panic!("entry {seq} cannot be read: {error}"));
            if let Err(error) = self.replayed.apply(&entry) {
                panic!("the ledger does not replay: {error}");
            }
            self.entries.push(entry);
        }
    }
}

fn meets(
    times: &[(DateTime<Utc>, Option<DateTime<Utc>>)],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> bool {
    times.iter().any(|(began, ended)| *began <= to && ended.is_none_or(|ended| ended >= from))
}
