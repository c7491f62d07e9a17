//! Which tables are expected to have a date, and which have it.
//!
//! The rule, stated once: a table is expected from its own first partition on. It is
//! expected no more after its last one when it has lacked [`RETIRED_AFTER_DATES`] dates in
//! a row that other tables have. `optional` tables are never expected. When no table has
//! begun by a date, every table is expected, so that an empty raw zone is never whole.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::domain::{Coverage, DateSet, TableCoverage, TableId};

/// A table that lacks so many dates in a row, up to the newest one that others have, has
/// been retired: a fortnight outlasts any outage of a single table that was ever healed late.
pub const RETIRED_AFTER_DATES: usize = 14;

/// When each table is expected.
#[derive(Clone, Debug)]
pub(super) struct Expectations {
    lives: Vec<Life>,
}

/// From when to when a table is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// `None` when it had begun before the dates that were looked at.
    from: Option<NaiveDate>,
    /// `None` while it lives.
    to: Option<NaiveDate>,
    /// It never had any date, or it is optional.
    never: bool,
}

/// What the tables say about one date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DateCoverage {
    /// Expected tables that have it in the catalog, and in the objects where those were listed.
    pub present: u32,
    /// Expected tables.
    pub expected: u32,
    /// Expected tables that do not have it.
    pub missing: Vec<TableId>,
    /// Tables, expected or not, that have it in the catalog.
    pub catalogued: u32,
    /// Tables, expected or not, that have objects for it.
    pub stored: u32,
    /// Expected tables that are catalogued without objects.
    pub empty: Vec<TableId>,
    /// Expected tables that have objects without a catalog entry.
    pub unregistered: Vec<TableId>,
    /// Whether one table's objects come from two writes hours apart.
    pub written_twice: bool,
}

impl Expectations {
    /// Reads the tables' lives from what they have.
    #[must_use]
    pub(super) fn of(coverage: &Coverage) -> Self {
        let seen = all_dates(coverage);
        Self { lives: coverage.tables.iter().map(|table| life(table, &seen)).collect() }
    }

    /// What the tables say about a date.
    #[must_use]
    pub(super) fn on(&self, coverage: &Coverage, date: NaiveDate) -> DateCoverage {
        let mut found = DateCoverage::default();
        for (table, expected) in self.expects(coverage, date) {
            found.note(table, date, expected);
        }
        found
    }

    /// Every table, and whether it is expected on the date.
    fn expects<'a>(
        &'a self,
        coverage: &'a Coverage,
        date: NaiveDate,
    ) -> impl Iterator<Item = (&'a TableCoverage, bool)> {
        let nobody_yet = !self.lives.iter().any(|life| life.includes(date));
        coverage.tables.iter().zip(&self.lives).map(move |(table, life)| {
            (table, life.includes(date) || (nobody_yet && !table.optional))
        })
    }
}

impl Life {
    fn includes(self, date: NaiveDate) -> bool {
        !self.never
            && self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date <= to)
    }
}

impl DateCoverage {
    fn note(&mut self, table: &TableCoverage, date: NaiveDate, expected: bool) {
        let catalogued = table.catalogued.contains(date);
        let stored = table.stored.as_ref().map(|stored| stored.contains(date));
        self.catalogued += u32::from(catalogued);
        self.stored += u32::from(stored.unwrap_or(catalogued));
        self.written_twice |= table.written_twice.contains(date);
        if !expected {
            return;
        }
        self.expected += 1;
        match (catalogued, stored.unwrap_or(catalogued)) {
            (true, true) => self.present += 1,
            (true, false) => self.empty.push(table.id.clone()),
            (false, true) => self.unregistered.push(table.id.clone()),
            (false, false) => {}
        }
        if !(catalogued && stored.unwrap_or(true)) {
            self.missing.push(table.id.clone());
        }
    }

    /// Whether no table has anything of the date.
    #[must_use]
    pub(super) fn is_bare(&self) -> bool {
        self.catalogued == 0 && self.stored == 0
    }

    /// Whether every expected table has it, and there is at least one.
    #[must_use]
    pub(super) fn is_whole(&self) -> bool {
        self.expected > 0 && self.missing.is_empty()
    }
}

/// The tables that are expected on a date.
#[must_use]
pub fn expected_tables(coverage: &Coverage, date: NaiveDate) -> Vec<TableId> {
    Expectations::of(coverage)
        .expects(coverage, date)
        .filter(|(_, expected)| *expected)
        .map(|(table, _)| table.id.clone())
        .collect()
}

fn all_dates(coverage: &Coverage) -> Vec<NaiveDate> {
    let mut dates = BTreeSet::new();
    for table in coverage.tables.iter().filter(|table| !table.optional) {
        dates.extend(table.catalogued.iter());
    }
    dates.into_iter().collect()
}

fn life(table: &TableCoverage, seen: &[NaiveDate]) -> Life {
    let (Some(first), Some(last)) = (first_date(table), last_date(table)) else {
        return Life { from: None, to: None, never: true };
    };
    let lacking = seen.iter().filter(|date| **date > last).count();
    Life {
        from: (!table.began_before).then_some(first),
        to: (lacking >= RETIRED_AFTER_DATES).then_some(last),
        never: table.optional,
    }
}

fn first_date(table: &TableCoverage) -> Option<NaiveDate> {
    table.catalogued.first().or_else(|| table.stored.as_ref().and_then(DateSet::first))
}

fn last_date(table: &TableCoverage) -> Option<NaiveDate> {
    table.catalogued.last().or_else(|| table.stored.as_ref().and_then(DateSet::last))
}
