//! Which tables are expected to have a date, and which have it.
//!
//! The rule, stated once: a table is expected from its own first partition on, wherever that
//! lies. It is expected no more after its last one when it has lacked [`RETIRED_AFTER_DATES`]
//! dates in a row that other tables have. `optional` tables are never expected. When no table
//! has begun by a date, every table is expected, so that an empty raw zone is never whole.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::domain::{Coverage, DateSet, TableCoverage, TableId, TableList};

/// A table that lacks so many dates in a row, up to the newest one that others have, has
/// been retired: a fortnight outlasts any outage of a single table that was ever healed late.
pub const RETIRED_AFTER_DATES: usize = 14;

/// When each table is expected, and the dates that every expected table has.
#[derive(Clone, Debug)]
pub(super) struct Expectations {
    tables: Arc<[TableId]>,
    /// `None` for a table that never had any date, or is optional.
    lives: Vec<Option<Life>>,
    /// The days on which tables begin, and those after which they are retired.
    beginnings: Tally,
    endings: Tally,
    /// Dates that all tables expected on them have: most dates of most feeds, so they are told
    /// for sixty-four days and a table at once.
    whole: DateSet,
    /// Dates that any table has anything of.
    touched: DateSet,
    /// The tables expected on a date that none has, by how many have begun and been retired by
    /// then: most such dates lack the same ones.
    lacking: Vec<OnceCell<TableList>>,
    /// Dates of which some table has objects from two runs, or two partitions.
    written_twice: DateSet,
    /// Dates of which some table has odd many bytes.
    odd_volume: DateSet,
    /// Dates that some table has under another spelling than the configured one.
    spelled: DateSet,
}

/// Days on which something happens, each with how often anything has happened by then.
#[derive(Clone, Debug)]
struct Tally(Vec<(NaiveDate, usize)>);

impl Tally {
    fn of(days: impl Iterator<Item = NaiveDate>) -> Self {
        let mut days: Vec<NaiveDate> = days.collect();
        days.sort_unstable();
        let last_of_each = |at: &usize| days.get(at + 1) != Some(&days[*at]);
        Self((0..days.len()).filter(last_of_each).map(|at| (days[at], at + 1)).collect())
    }

    /// How often by the end of the day.
    fn by(&self, date: NaiveDate) -> usize {
        let passed = self.0.partition_point(|(day, _)| *day <= date);
        passed.checked_sub(1).map_or(0, |last| self.0[last].1)
    }

    fn total(&self) -> usize {
        self.0.last().map_or(0, |(_, total)| *total)
    }

    fn days(&self) -> impl Iterator<Item = NaiveDate> {
        self.0.iter().map(|(day, _)| *day)
    }
}

/// From when to when a table is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// Its own first partition.
    from: NaiveDate,
    /// `None` while it lives.
    to: Option<NaiveDate>,
}

/// What the tables say about one date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DateCoverage {
    /// Expected tables that have it in the catalog, and in the objects where those were listed.
    pub present: u32,
    /// Expected tables.
    pub expected: u32,
    /// Expected tables that do not have it.
    pub missing: TableList,
    /// Tables, expected or not, that have it in the catalog; of a whole date the expected ones.
    pub catalogued: u32,
    /// Tables, expected or not, that have objects for it; of a whole date the expected ones.
    pub stored: u32,
    /// Expected tables that are catalogued without objects.
    pub empty: TableList,
    /// Expected tables that have objects without a catalog entry.
    pub unregistered: TableList,
    /// Tables, expected or not, that have anything of a date that is not whole.
    pub having: TableList,
    /// Whether one table's objects come from two runs, or it has two partitions.
    pub written_twice: bool,
    /// Tables that have a value which may mean the date.
    pub uncertain: u32,
    /// What some table has under another spelling, and whether it counts as the date.
    pub spelled: Option<SpelledAs>,
}

/// What a table has of a date under another spelling than the configured one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpelledAs {
    pub table: TableId,
    pub found: String,
    pub is_certain: bool,
    /// How many more tables have one.
    pub more: usize,
}

impl Expectations {
    /// Reads the tables' lives from what they have.
    #[must_use]
    pub(super) fn of(coverage: &Coverage) -> Self {
        let needed = coverage.tables.iter().filter(|table| !table.optional);
        let seen = union(needed.map(|table| &table.catalogued));
        let lives: Vec<_> = coverage.tables.iter().map(|table| life(table, &seen)).collect();
        let beginnings = Tally::of(lives.iter().flatten().map(|life| life.from));
        let endings = Tally::of(lives.iter().flatten().filter_map(|life| life.to));
        Self {
            tables: coverage.tables.iter().map(|table| table.id.clone()).collect(),
            whole: whole_dates(coverage, &lives, &seen),
            touched: union(
                coverage.tables.iter().flat_map(held).chain([&uncertain_dates(coverage)]),
            ),
            lacking: vec![OnceCell::new(); beginnings.total() + endings.total() + 1],
            written_twice: written_twice(coverage),
            odd_volume: coverage.volumes.odd_dates(),
            spelled: spelled_dates(coverage),
            lives,
            beginnings,
            endings,
        }
    }

    /// What the tables say about a date.
    #[must_use]
    pub(super) fn on(&self, coverage: &Coverage, date: NaiveDate) -> DateCoverage {
        let written_twice = self.written_twice.contains(date);
        let spelled = || self.spelled.contains(date).then(|| spelled_as(coverage, date)).flatten();
        if self.whole.contains(date) {
            let all = self.alive_on(date);
            let whole = DateCoverage {
                present: all,
                expected: all,
                catalogued: all,
                stored: all,
                ..Default::default()
            };
            return DateCoverage { written_twice, spelled: spelled(), ..whole };
        }
        if !self.touched.contains(date) {
            let missing = self.lacking_on(coverage, date);
            let expected = u32::try_from(missing.len()).unwrap_or(u32::MAX);
            return DateCoverage { expected, missing, written_twice, ..Default::default() };
        }
        let found = DateCoverage { written_twice, spelled: spelled(), ..DateCoverage::default() };
        let mut notes = Notes { found, ..Notes::default() };
        let day = DateSet::day_of(date);
        for (at, (table, expected)) in self.expects(coverage, date).enumerate() {
            notes.take(at, table, day, expected);
            if table.spelled.uncertain.contains_key(&date) {
                notes.found.uncertain += 1;
                notes.having.push(at);
            }
        }
        notes.together(&self.tables)
    }

    /// Whether some table's bytes of the date are odd.
    pub(super) fn is_odd(&self, date: NaiveDate) -> bool {
        self.odd_volume.contains(date)
    }

    /// The tables that are expected on a date which none has.
    fn lacking_on(&self, coverage: &Coverage, date: NaiveDate) -> TableList {
        let (begun, ended) = self.turns_by(date);
        let expected = || {
            let tables = self.expects(coverage, date).enumerate();
            let expected = tables.filter(|(_, (_, expected))| *expected);
            TableList::of(&self.tables, expected.map(|(at, _)| at))
        };
        self.lacking[begun + ended].get_or_init(expected).clone()
    }

    /// Every number of tables that is expected on some date.
    pub(super) fn counts(&self) -> BTreeSet<u32> {
        let retired = self.endings.days().filter_map(|last| last.succ_opt());
        let turns = self.beginnings.days().chain(retired);
        turns.map(|date| self.alive_on(date)).collect()
    }

    /// How many tables are expected on the date, once any has begun.
    fn alive_on(&self, date: NaiveDate) -> u32 {
        let (begun, ended) = self.turns_by(date);
        u32::try_from(begun - ended).unwrap_or(u32::MAX)
    }

    /// How many tables have begun by the date, and how many were retired before it.
    fn turns_by(&self, date: NaiveDate) -> (usize, usize) {
        let before = date.pred_opt().unwrap_or(date);
        (self.beginnings.by(date), self.endings.by(before))
    }

    /// Every table, and whether it is expected on the date.
    fn expects<'a>(
        &'a self,
        coverage: &'a Coverage,
        date: NaiveDate,
    ) -> impl Iterator<Item = (&'a TableCoverage, bool)> {
        let nobody_yet = self.alive_on(date) == 0;
        coverage.tables.iter().zip(&self.lives).map(move |(table, life)| {
            let is_alive = life.is_some_and(|life| life.includes(date));
            (table, is_alive || (nobody_yet && !table.optional))
        })
    }
}

/// The dates that some table is expected on, and that each table expected on them has.
fn whole_dates(coverage: &Coverage, lives: &[Option<Life>], seen: &DateSet) -> DateSet {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return DateSet::default() };
    let lives =
        coverage.tables.iter().zip(lives).filter_map(|(table, life)| Some((table, (*life)?)));
    let mut whole = DateSet::default();
    let mut lacking = DateSet::default();
    for (table, life) in lives {
        let lives_in = (life.from.max(first), life.to.unwrap_or(last).min(last));
        whole.insert_span(lives_in);
        lacking.insert_span_without(lives_in, &table.catalogued);
        if let Some(stored) = &table.stored {
            lacking.insert_span_without(lives_in, stored);
        }
    }
    whole.remove_all(&lacking);
    whole
}

impl Life {
    fn includes(self, date: NaiveDate) -> bool {
        self.from <= date && self.to.is_none_or(|to| date <= to)
    }
}

/// What is being noted of one date, tables by their positions.
#[derive(Default)]
struct Notes {
    found: DateCoverage,
    missing: Vec<usize>,
    empty: Vec<usize>,
    unregistered: Vec<usize>,
    having: Vec<usize>,
}

impl Notes {
    fn take(&mut self, at: usize, table: &TableCoverage, day: i64, expected: bool) {
        let catalogued = table.catalogued.contains_day(day);
        let stored = table.stored.as_ref().map(|stored| stored.contains_day(day));
        self.found.catalogued += u32::from(catalogued);
        self.found.stored += u32::from(stored.unwrap_or(catalogued));
        if catalogued || stored == Some(true) {
            self.having.push(at);
        }
        if !expected {
            return;
        }
        self.found.expected += 1;
        match (catalogued, stored.unwrap_or(catalogued)) {
            (true, true) => self.found.present += 1,
            (true, false) => self.empty.push(at),
            (false, true) => self.unregistered.push(at),
            (false, false) => {}
        }
        if !(catalogued && stored.unwrap_or(true)) {
            self.missing.push(at);
        }
    }

    fn together(self, tables: &Arc<[TableId]>) -> DateCoverage {
        DateCoverage {
            missing: TableList::of(tables, self.missing),
            empty: TableList::of(tables, self.empty),
            unregistered: TableList::of(tables, self.unregistered),
            having: TableList::of(tables, self.having),
            ..self.found
        }
    }
}

impl DateCoverage {
    /// Whether no table has anything of the date.
    #[must_use]
    pub(super) fn is_bare(&self) -> bool {
        self.catalogued == 0 && self.stored == 0 && self.uncertain == 0
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

/// What a table has in the catalog, and in the objects where those were listed.
fn held(table: &TableCoverage) -> impl Iterator<Item = &DateSet> {
    std::iter::once(&table.catalogued).chain(&table.stored)
}

fn uncertain_dates(coverage: &Coverage) -> DateSet {
    coverage.tables.iter().flat_map(|table| table.spelled.uncertain.keys().copied()).collect()
}

fn spelled_dates(coverage: &Coverage) -> DateSet {
    let of = |table: &TableCoverage| {
        let spelled = table.spelled.clone();
        let twice = spelled.twice.into_keys();
        spelled.certain.into_keys().chain(spelled.uncertain.into_keys()).chain(twice)
    };
    coverage.tables.iter().flat_map(of).collect()
}

fn written_twice(coverage: &Coverage) -> DateSet {
    let mut dates = union(coverage.tables.iter().map(|table| &table.written_twice));
    for date in coverage.tables.iter().flat_map(|table| table.spelled.twice.keys()) {
        dates.insert(*date);
    }
    dates
}

/// What the first table that has the date under another spelling has; an uncertain one first.
fn spelled_as(coverage: &Coverage, date: NaiveDate) -> Option<SpelledAs> {
    let having: Vec<&TableCoverage> =
        coverage.tables.iter().filter(|table| table.spelled.of(date).is_some()).collect();
    let is_uncertain = |table: &&&TableCoverage| table.spelled.uncertain.contains_key(&date);
    let uncertain = having.iter().find(is_uncertain).copied();
    let table = uncertain.or_else(|| having.first().copied())?;
    let found = match table.spelled.uncertain.get(&date) {
        Some(found) => found.as_str(),
        None => table.spelled.of(date)?,
    };
    Some(SpelledAs {
        table: table.id.clone(),
        found: found.to_owned(),
        is_certain: uncertain.is_none(),
        more: having.len() - 1,
    })
}

fn union<'a>(sets: impl Iterator<Item = &'a DateSet>) -> DateSet {
    sets.fold(DateSet::default(), |mut all, set| {
        all.add_all(set);
        all
    })
}

fn life(table: &TableCoverage, seen: &DateSet) -> Option<Life> {
    let stored = table.stored.as_ref();
    let from = table.begins.or_else(|| stored.and_then(DateSet::first))?;
    let last = table.catalogued.last().or_else(|| stored.and_then(DateSet::last)).unwrap_or(from);
    let to = (seen.len_after(last) >= RETIRED_AFTER_DATES).then_some(last);
    (!table.optional).then_some(Life { from, to })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::OddSpellings;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::Days::new(number)
    }

    fn table(
        number: usize,
        lacks: &BTreeSet<u64>,
        unstored: &BTreeSet<u64>,
        lives: (u64, u64),
    ) -> TableCoverage {
        let (from, to) = lives;
        let catalogued: DateSet = (from..to).filter(|day| !lacks.contains(day)).map(day).collect();
        let stored = catalogued.iter().filter(|date| !unstored.iter().any(|n| day(*n) == *date));
        TableCoverage {
            id: TableId { database: "raw".to_owned(), table: number.to_string() },
            source: "raw".to_owned(),
            optional: number == 3,
            begins: catalogued.first(),
            sample: None,
            stored: Some(stored.collect()),
            catalogued,
            written_twice: DateSet::default(),
            spelled: OddSpellings::default(),
        }
    }

    /// A table that has all of its days.
    fn whole(number: usize, lives: (u64, u64)) -> TableCoverage {
        table(number, &BTreeSet::new(), &BTreeSet::new(), lives)
    }

    fn coverage(tables: impl IntoIterator<Item = TableCoverage>) -> Coverage {
        Coverage { tables: tables.into_iter().collect(), ..Coverage::default() }
    }

    fn names(tables: &TableList) -> Vec<&str> {
        tables.iter().map(|id| id.table.as_str()).collect()
    }

    #[test]
    fn a_date_that_nobody_has_lacks_the_tables_of_its_time() {
        // The first is retired, the second begins: as many on both days, and not the same.
        let gaps = BTreeSet::from([10, 70]);
        let tables = [
            table(0, &gaps, &BTreeSet::new(), (0, 30)),
            table(1, &gaps, &BTreeSet::new(), (40, 90)),
        ];
        let coverage = coverage(tables);
        let expectations = Expectations::of(&coverage);
        assert_eq!(names(&expectations.on(&coverage, day(10)).missing), ["0"]);
        assert_eq!(names(&expectations.on(&coverage, day(70)).missing), ["1"]);
        let expected = expected_tables(&coverage, day(70));
        assert_eq!(expected.iter().map(|id| id.table.as_str()).collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn optional_tables_alone_make_no_date_whole() {
        let coverage = coverage([whole(3, (0, 90))]);
        let on = Expectations::of(&coverage).on(&coverage, day(20));
        assert_eq!((on.expected, on.is_whole(), on.is_bare()), (0, false, false));
    }

    #[test]
    fn whoever_has_anything_of_a_date_is_named() {
        let mut tables = [whole(0, (0, 90)), whole(1, (0, 90)), whole(2, (0, 90))];
        let gap = DateSet::from_iter([day(20)]);
        tables[0].catalogued.remove_all(&gap);
        for set in [&mut tables[1].catalogued, tables[1].stored.as_mut().unwrap()] {
            set.remove_all(&gap);
        }
        tables[2].written_twice = DateSet::from_iter([day(20)]);
        let coverage = coverage(tables);
        let on = Expectations::of(&coverage).on(&coverage, day(20));
        assert_eq!(names(&on.having), ["0", "2"], "objects without a catalog entry count");
        assert_eq!((names(&on.unregistered), names(&on.missing)), (vec!["0"], vec!["0", "1"]));
        assert_eq!((on.catalogued, on.stored, on.present, on.written_twice), (1, 2, 1, true));
    }

    proptest! {
        #[test]
        fn the_quick_answer_for_whole_dates_is_the_slow_one(
            lacks in proptest::collection::vec(proptest::collection::btree_set(0_u64..90, 0..8), 4),
            unstored in proptest::collection::btree_set(0_u64..90, 0..4),
            lives in proptest::collection::vec((0_u64..60, prop_oneof![Just(90), 60_u64..90]), 4),
        ) {
            let coverage = coverage((0..4).map(|n| table(n, &lacks[n], &unstored, lives[n])));
            let quick = Expectations::of(&coverage);
            let every_day = (0..95).map(day).collect();
            let slow = Expectations {
                whole: DateSet::default(), touched: every_day, ..quick.clone()
            };
            for date in (0..95).map(day) {
                let (quick, slow) = (quick.on(&coverage, date), slow.on(&coverage, date));
                prop_assert_eq!(quick.is_whole(), slow.is_whole(), "{}", date);
                prop_assert_eq!((quick.present, quick.expected), (slow.present, slow.expected));
                prop_assert_eq!(quick.missing, slow.missing);
            }
        }
    }
}
