//! What tests ask of the world afterwards: copies, overlaps, who changed the rule, what was lost.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::ecs::TaskRecord;
use super::events::RuleChange;
use super::world::World;
use crate::domain::TableId;

/// Who wrote an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Whoever speaks through a door.
    Caller,
    /// The supplier of the dumps.
    Supplier,
    /// A person with the console.
    Person,
    /// The pipeline itself.
    Pipeline,
}

/// A write into the watched bucket, and what the trail made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// The key.
    pub key: String,
    /// `PutObject`, `CopyObject` or `CompleteMultipartUpload`.
    pub event_name: &'static str,
    /// Who wrote it.
    pub writer: Writer,
    /// Whether it was refused because the key was there; the trail does not mind.
    pub refused: bool,
    /// When it was written.
    pub written_at: DateTime<Utc>,
    /// When its event arrives.
    pub arrives_at: DateTime<Utc>,
    /// Whether it has arrived.
    pub arrived: bool,
    /// Whether the rule was enabled as it arrived.
    pub matched: bool,
    /// The tasks that it fired.
    pub fired: Vec<String>,
}

impl TrailEvent {
    /// Whether the event came to nothing because the rule was disabled (H14).
    pub fn was_lost(&self) -> bool {
        self.arrived && !self.matched
    }
}

/// From DROP to the end of the load: while it lasts, the task owns the one shared database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadInterval {
    /// The task.
    pub task: String,
    /// The date that it loads.
    pub date: NaiveDate,
    /// Whether it is a live run.
    pub live: bool,
    /// Its DROP.
    pub from: DateTime<Utc>,
    /// Its end; `None` while it lasts.
    pub to: Option<DateTime<Utc>>,
}

/// Two tasks loading into the one database at once (H1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// When the second one dropped the database.
    pub at: DateTime<Utc>,
    /// The task that was loading.
    pub first: String,
    /// The task that dropped it.
    pub second: String,
}

/// One writing of a date into a raw table. More than one is a duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The job run that wrote it, or `history`.
    pub job_run: String,
    /// The dates whose rows are really in it: exactly the partition's own, or it is wrong.
    pub rows_of: Vec<NaiveDate>,
    /// Which parts of the rows: each with the number of parts that there are.
    pub parts: Vec<(u32, u32)>,
}

/// Something that went wrong in the pipeline and that no service reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: String,
}

/// What the world remembers of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) trail: Vec<TrailEvent>,
    pub(super) loads: Vec<LoadInterval>,
    pub(super) overlaps: Vec<Overlap>,
    pub(super) incidents: Vec<Incident>,
    pub(super) generations: BTreeMap<(TableId, NaiveDate), Vec<Generation>>,
}

impl World {
    /// Every write into the watched bucket, in order.
    pub fn trail(&self) -> &[TrailEvent] {
        &self.record.trail
    }

    /// Writes into the watched bucket that came through a door.
    pub fn our_dump_writes(&self) -> Vec<&TrailEvent> {
        self.record.trail.iter().filter(|event| event.writer == Writer::Caller).collect()
    }

    /// The supplier's dumps whose event came while the rule was disabled (H14).
    pub fn lost_live_dumps(&self) -> Vec<&TrailEvent> {
        let supplied = self.record.trail.iter().filter(|event| event.writer == Writer::Supplier);
        supplied.filter(|event| event.was_lost()).collect()
    }

    /// The supplier's dumps that fired a live run.
    pub fn fired_live_dumps(&self) -> Vec<&TrailEvent> {
        let supplied = self.record.trail.iter().filter(|event| event.writer == Writer::Supplier);
        supplied.filter(|event| !event.fired.is_empty()).collect()
    }

    /// Every change of the rule, in order: who, when, to what.
    pub fn rule_history(&self) -> &[RuleChange] {
        &self.events.history
    }

    /// Who owned the shared database, and when.
    pub fn loads(&self) -> &[LoadInterval] {
        &self.record.loads
    }

    /// Two tasks loading at once (H1).
    pub fn overlaps(&self) -> &[Overlap] {
        &self.record.overlaps
    }

    /// What went wrong in the pipeline and no service reports.
    pub fn incidents(&self) -> &[Incident] {
        &self.record.incidents
    }

    /// Every task ever, oldest first, those too that ECS has forgotten.
    pub fn tasks(&self) -> Vec<&TaskRecord> {
        let mut tasks: Vec<_> = self.ecs.tasks.values().collect();
        tasks.sort_by_key(|task| task.created_at);
        tasks
    }

    /// Whether a task is not over yet that was started by someone of this name.
    pub fn has_live_task_of(&self, prefix: &str) -> bool {
        self.recent_tasks().any(|task| {
            task.stopped_at.is_none()
                && task.started_by.as_ref().is_some_and(|who| who.starts_with(prefix))
        })
    }

    /// The writings of a date into a raw table.
    pub fn generations(&self, database: &str, table: &str, date: NaiveDate) -> &[Generation] {
        let id = TableId { database: database.to_owned(), table: table.to_owned() };
        self.record.generations.get(&(id, date)).map_or(&[], Vec::as_slice)
    }

    /// How many copies of a date each raw table has, over every raw zone.
    pub fn copies(&self, date: NaiveDate) -> BTreeMap<TableId, usize> {
        let tables = self.names.raw.iter().flat_map(|zone| {
            zone.tables
                .iter()
                .map(|table| TableId { database: zone.database.clone(), table: table.clone() })
        });
        tables
            .map(|id| {
                let count = copies_in(self.generations(&id.database, &id.table, date));
                (id, count)
            })
            .collect()
    }

    /// Whether every raw table of every zone has the date exactly once, with that date's rows and no others.
    pub fn is_whole(&self, date: NaiveDate) -> bool {
        self.copies(date).keys().all(|id| {
            let generations = self.generations(&id.database, &id.table, date);
            copies_in(generations) == 1
                && complaint(date, generations).is_none()
                && !is_half(generations)
        })
    }

    /// Everything in the raw zones that is wrong: duplicates, and rows of other dates.
    pub fn wrong_data(&self) -> Vec<(TableId, NaiveDate, String)> {
        let written = self.record.generations.iter();
        written
            .filter_map(|((id, date), generations)| {
                complaint(*date, generations).map(|what| (id.clone(), *date, what))
            })
            .collect()
    }

    /// Tables that have a part of a date's rows and lack another.
    pub fn halves(&self) -> Vec<(TableId, NaiveDate)> {
        let written = self.record.generations.iter();
        written.filter(|(_, generations)| is_half(generations)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn incident(&mut self, what: impl Into<String>) {
        self.record.incidents.push(Incident { at: self.now, what: what.into() });
    }
}

/// How often the rows are there: as often as the part that is there most often.
fn copies_in(generations: &[Generation]) -> usize {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for (part, _) in generations.iter().flat_map(|generation| &generation.parts) {
        *counts.entry(*part).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

/// Whether a part of the rows is there and another is not.
fn is_half(generations: &[Generation]) -> bool {
    let parts: Vec<_> = generations.iter().flat_map(|generation| &generation.parts).collect();
    let of = parts.iter().map(|(_, of)| *of).max().unwrap_or(0);
    !parts.is_empty() && (1..=of).any(|wanted| !parts.iter().any(|(part, _)| *part == wanted))
}

fn complaint(date: NaiveDate, generations: &[Generation]) -> Option<String> {
    let copies = copies_in(generations);
    if copies > 1 {
        return Some(format!("{copies} copies"));
    }
    let stranger = generations.iter().find(|generation| generation.rows_of != [date])?;
    Some(format!("rows of {:?}", stranger.rows_of))
}
