//! The volumes of every table, as one scan saw them and narrow looks changed them since.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use super::usual::Comparison;
use super::{Usual, Volume, VolumeLimits, Volumes, bytes_in_units};
use crate::domain::{DateSet, TableId};

/// One table's volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableVolumes {
    /// The table.
    pub id: TableId,
    /// How it is judged.
    pub limits: VolumeLimits,
    /// What it has, also of a few dates beside those that were looked at.
    pub volumes: Volumes,
    /// The dates on which that is odd.
    odd: DateSet,
}

impl TableVolumes {
    /// Judges every date of a table.
    #[must_use]
    pub fn judge(id: TableId, limits: VolumeLimits, volumes: Volumes) -> Self {
        let mut table = Self { id, limits, volumes, odd: DateSet::default() };
        if limits.band_percent.is_some() {
            let odd = table.volumes.iter().filter(|(day, volume)| {
                Comparison::of(&table.volumes, *day, limits).is_odd(volume.bytes, limits)
            });
            table.odd = odd.filter_map(|(day, _)| DateSet::date_of(day)).collect();
        }
        table
    }

    /// What is usual for a date.
    #[must_use]
    pub fn usual(&self, date: NaiveDate) -> Option<Usual> {
        Comparison::of(&self.volumes, DateSet::day_of(date), self.limits).usual()
    }

    fn set(&mut self, date: NaiveDate, volume: Volume) {
        self.volumes.set(date, volume);
        let day = DateSet::day_of(date);
        let comparison = Comparison::of(&self.volumes, day, self.limits);
        if volume.bytes > 0 && comparison.is_odd(volume.bytes, self.limits) {
            self.odd.insert(date);
        } else {
            self.odd.remove(date);
        }
    }
}

/// One table on one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOnDate<'a> {
    /// The table.
    pub id: &'a TableId,
    /// What it has of the date.
    pub volume: Volume,
    /// What is usual.
    pub usual: Option<Usual>,
    /// The band that it lies outside of.
    pub odd_by: Option<u32>,
}

/// `liberator_pcn 51.0 MiB, usually 102.1 MiB (98.0 MiB to 105.3 MiB)`
impl fmt::Display for TableOnDate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id.table, bytes_in_units(self.volume.bytes))?;
        let Some(Usual { median, from, to }) = self.usual else { return Ok(()) };
        let [median, from, to] = [median, from, to].map(bytes_in_units);
        write!(f, ", usually {median} ({from} to {to})")
    }
}

/// The volumes of every table; empty when objects are not listed. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeBook {
    tables: Arc<Vec<Arc<TableVolumes>>>,
    /// Over all tables.
    totals: Arc<Volumes>,
}

impl VolumeBook {
    /// The book of these tables.
    #[must_use]
    pub fn of(tables: Vec<TableVolumes>) -> Self {
        let mut totals: BTreeMap<i64, Volume> = BTreeMap::new();
        for (day, volume) in tables.iter().flat_map(|table| table.volumes.iter()) {
            let total = totals.entry(day).or_default();
            *total = total.plus(volume);
        }
        let totals =
            totals.into_iter().filter_map(|(day, all)| Some((DateSet::date_of(day)?, all)));
        Self {
            totals: Arc::new(totals.collect()),
            tables: Arc::new(tables.into_iter().map(Arc::new).collect()),
        }
    }

    /// The dates on which any table is odd.
    #[must_use]
    pub fn odd_dates(&self) -> DateSet {
        let mut dates = DateSet::default();
        for table in self.tables.iter() {
            dates.add_all(&table.odd);
        }
        dates
    }

    /// What all tables have of a date together, and what is usual.
    #[must_use]
    pub fn total(&self, date: NaiveDate) -> Option<(Volume, Option<Usual>)> {
        let all = self.totals.get(date)?;
        let day = DateSet::day_of(date);
        Some((all, Comparison::of(&self.totals, day, VolumeLimits::default()).usual()))
    }

    /// What is usual for a table's date.
    #[must_use]
    pub fn usual(&self, id: &TableId, date: NaiveDate) -> Option<Usual> {
        self.tables.iter().find(|table| table.id == *id)?.usual(date)
    }

    /// Every table that has anything of a date.
    pub fn tables_on(&self, date: NaiveDate) -> impl Iterator<Item = TableOnDate<'_>> {
        self.tables.iter().filter_map(move |table| {
            let volume = table.volumes.get(date)?;
            let odd_by = table.limits.band_percent.filter(|_| table.odd.contains(date));
            Some(TableOnDate { id: &table.id, volume, usual: table.usual(date), odd_by })
        })
    }

    /// The tables that are odd on a date.
    pub fn odd_on(&self, date: NaiveDate) -> impl Iterator<Item = TableOnDate<'_>> {
        let tables = self.tables.iter().filter(move |table| table.odd.contains(date));
        tables.filter_map(move |table| {
            let volume = table.volumes.get(date)?;
            let (usual, odd_by) = (table.usual(date), table.limits.band_percent);
            Some(TableOnDate { id: &table.id, volume, usual, odd_by })
        })
    }

    /// Takes over what a narrow look saw of one date, in every table.
    pub fn set(&mut self, date: NaiveDate, seen: &BTreeMap<TableId, Volume>) {
        let mut all = Volume::default();
        for table in Arc::make_mut(&mut self.tables) {
            let volume = seen.get(&table.id).copied().unwrap_or_default();
            all = all.plus(volume);
            if table.volumes.get(date).unwrap_or_default() != volume {
                Arc::make_mut(table).set(date, volume);
            }
        }
        Arc::make_mut(&mut self.totals).set(date, all);
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    const LIMITS: VolumeLimits = VolumeLimits { band_percent: Some(40), min_bytes: 0 };

    fn id(table: &str) -> TableId {
        TableId { database: "raw".to_owned(), table: table.to_owned() }
    }

    fn day(day: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 1).unwrap() + Duration::days(day)
    }

    fn book() -> VolumeBook {
        let table = |name: &str, bytes: u64| {
            let days = (0..20).filter(|offset| *offset != 10);
            let volume = Volume { bytes, objects: 2 };
            TableVolumes::judge(id(name), LIMITS, days.map(|it| (day(it), volume)).collect())
        };
        VolumeBook::of(vec![table("a", 1000), table("b", 3000)])
    }

    #[test]
    fn a_narrow_look_is_judged_beside_what_the_scan_saw() {
        let mut book = book();
        assert!(book.odd_dates().is_empty() && book.total(day(10)).is_none());
        let volume = |bytes| Volume { bytes, objects: 4 };
        book.set(day(10), &BTreeMap::from([(id("a"), volume(1000)), (id("b"), volume(6000))]));
        let usual = Usual { median: 4000, from: 4000, to: 4000 };
        let all = Volume { bytes: 7000, objects: 8 };
        assert_eq!(book.total(day(10)), Some((all, Some(usual))));
        let odd: Vec<_> = book.odd_on(day(10)).collect();
        let usual = Some(Usual { median: 3000, from: 3000, to: 3000 });
        let id = id("b");
        let expected = TableOnDate { id: &id, volume: volume(6000), usual, odd_by: Some(40) };
        assert_eq!(odd, [expected]);
        assert_eq!(book.tables_on(day(10)).count(), 2);
        assert_eq!(book.odd_dates().iter().collect::<Vec<_>>(), [day(10)]);
        book.set(day(10), &BTreeMap::new());
        assert!(book.odd_dates().is_empty() && book.tables_on(day(10)).count() == 0);
    }
}
