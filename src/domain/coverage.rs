//! Coverage: which tables have which dates, in the catalog and in the objects.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// A catalog table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId {
    /// The Glue database.
    pub database: String,
    /// The table's name in it.
    pub table: String,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// A set of dates as bits, one bit a day: ten years are 456 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateSet {
    base: Option<NaiveDate>,
    words: Vec<u64>,
}

const WORD_BITS: i64 = 64;

impl DateSet {
    /// A set that holds dates from `base` on most cheaply; earlier dates are still allowed.
    #[must_use]
    pub fn starting_at(base: NaiveDate) -> Self {
        Self { base: Some(base), words: Vec::new() }
    }

    /// Adds a date.
    pub fn insert(&mut self, date: NaiveDate) {
        let base = self.make_room(date, date);
        let (word, bit) = Self::slot((date - base).num_days());
        self.words[word] |= 1 << bit;
    }

    /// Adds every date of an inclusive span; one that ends before it begins has none.
    pub fn insert_span(&mut self, span: (NaiveDate, NaiveDate)) {
        self.insert_span_without(span, &Self::default());
    }

    /// Adds every date of an inclusive span that the other set does not hold.
    pub fn insert_span_without(&mut self, (from, to): (NaiveDate, NaiveDate), other: &Self) {
        if from > to {
            return;
        }
        let base = self.make_room(from, to);
        let (first, last) = ((from - base).num_days(), (to - base).num_days());
        for index in first / WORD_BITS..=last / WORD_BITS {
            let day = index * WORD_BITS;
            let from_first = u64::MAX << (first - day).clamp(0, WORD_BITS - 1);
            let to_last = u64::MAX >> (WORD_BITS - 1 - (last - day)).clamp(0, WORD_BITS - 1);
            let others = other.word_at(base + chrono::Duration::days(day));
            self.words[Self::slot(day).0] |= from_first & to_last & !others;
        }
    }

    /// Makes room for every date of a span, and answers the date of the first bit.
    fn make_room(&mut self, from: NaiveDate, to: NaiveDate) -> NaiveDate {
        let mut base = *self.base.get_or_insert(from);
        let before = (base - from).num_days();
        if before > 0 {
            let words = (before + WORD_BITS - 1) / WORD_BITS;
            self.words.splice(0..0, std::iter::repeat_n(0, Self::slot(words * WORD_BITS).0));
            base -= chrono::Duration::days(words * WORD_BITS);
            self.base = Some(base);
        }
        let (last, _) = Self::slot((to - base).num_days());
        if self.words.len() <= last {
            self.words.resize(last + 1, 0);
        }
        base
    }

    /// Adds every date of the other set.
    pub fn add_all(&mut self, other: &Self) {
        let (Some(first), Some(last)) = (other.first(), other.last()) else { return };
        let base = self.make_room(first, last);
        for (index, word) in (0..).zip(&mut self.words) {
            *word |= other.word_at(base + chrono::Duration::days(index * WORD_BITS));
        }
    }

    /// Takes out every date that the other set holds.
    pub fn remove_all(&mut self, other: &Self) {
        let Some(base) = self.base else { return };
        for (index, word) in (0..).zip(&mut self.words) {
            *word &= !other.word_at(base + chrono::Duration::days(index * WORD_BITS));
        }
    }

    /// The sixty-four days from `date` on, as bits.
    fn word_at(&self, date: NaiveDate) -> u64 {
        let Some(base) = self.base else { return 0 };
        let offset = (date - base).num_days();
        let index = offset.div_euclid(WORD_BITS);
        let word = |index: i64| {
            usize::try_from(index)
                .ok()
                .and_then(|index| self.words.get(index))
                .copied()
                .unwrap_or(0)
        };
        match offset.rem_euclid(WORD_BITS) {
            0 => word(index),
            shift => (word(index) >> shift) | (word(index + 1) << (WORD_BITS - shift)),
        }
    }

    /// Whether the date is in the set.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        let Some(base) = self.base else { return false };
        let offset = (date - base).num_days();
        if offset < 0 {
            return false;
        }
        let (word, bit) = Self::slot(offset);
        self.words.get(word).is_some_and(|bits| bits & (1 << bit) != 0)
    }

    /// Every date of the set, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        let base = self.base.unwrap_or_default();
        self.words.iter().enumerate().flat_map(move |(index, &word)| {
            (0..WORD_BITS).filter(move |bit| word & (1 << bit) != 0).map(move |bit| {
                let days = i64::try_from(index).unwrap_or(0) * WORD_BITS + bit;
                base + chrono::Duration::days(days)
            })
        })
    }

    /// The oldest date.
    #[must_use]
    pub fn first(&self) -> Option<NaiveDate> {
        self.iter().next()
    }

    /// The newest date.
    #[must_use]
    pub fn last(&self) -> Option<NaiveDate> {
        let (index, word) = self.words.iter().enumerate().rev().find(|(_, word)| **word != 0)?;
        let bit = WORD_BITS - 1 - i64::from(word.leading_zeros());
        Some(self.base? + chrono::Duration::days(i64::try_from(index).ok()? * WORD_BITS + bit))
    }

    /// How many dates it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    fn slot(offset: i64) -> (usize, u32) {
        let word = usize::try_from(offset / WORD_BITS).unwrap_or(usize::MAX);
        (word, u32::try_from(offset % WORD_BITS).unwrap_or(0))
    }
}

impl FromIterator<NaiveDate> for DateSet {
    fn from_iter<I: IntoIterator<Item = NaiveDate>>(dates: I) -> Self {
        let mut set = Self::default();
        for date in dates {
            set.insert(date);
        }
        set
    }
}

/// A partition that exists, from which the spelling of others is learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSample {
    /// Its date.
    pub date: NaiveDate,
    /// Its values, in the order of the table's keys.
    pub values: Vec<String>,
    /// Its place, `s3://bucket/prefix`.
    pub location: Option<String>,
}

/// What one table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCoverage {
    /// The table.
    pub id: TableId,
    /// The raw source of the configuration that it belongs to.
    pub source: String,
    /// `optional` tables are never expected.
    pub optional: bool,
    /// Dates that the catalog has a partition for.
    pub catalogued: DateSet,
    /// Dates that have at least one object with bytes; `None` when objects were not listed.
    pub stored: Option<DateSet>,
    /// Its own first partition, as far as it is known: some date before all that were looked at
    /// when it began before them.
    pub begins: Option<NaiveDate>,
    /// A partition that tells how the table spells dates.
    pub sample: Option<PartitionSample>,
    /// Dates whose objects come from two writes hours apart (H8).
    pub written_twice: DateSet,
}

/// What the raw zone has, over the dates that a look covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Every matching table of every raw source.
    pub tables: Vec<TableCoverage>,
    /// Matching tables that lack the partition key, listed once and ignored.
    pub ignored: Vec<TableId>,
    /// The newest write of each date's objects, when objects were listed.
    pub written_at: std::collections::BTreeMap<NaiveDate, chrono::DateTime<chrono::Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn whole_words_say_what_single_dates_say(
            days in proptest::collection::vec(-300_i64..300, 0..80),
            before in proptest::collection::vec(-300_i64..300, 0..80),
            from in -300_i64..300, to in -300_i64..300,
        ) {
            let origin = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
            let day = |day: i64| origin + chrono::Duration::days(day);
            let other: DateSet = days.iter().map(|d| day(*d)).collect();
            let mut set: DateSet = before.iter().map(|d| day(*d)).collect();
            let mut model: BTreeSet<_> = set.iter().collect();
            set.insert_span_without((day(from), day(to)), &other);
            model.extend((from..=to).map(day).filter(|date| !other.contains(*date)));
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            set.remove_all(&other);
            model.retain(|date| !other.contains(*date));
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            set.add_all(&other);
            model.extend(other.iter());
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model);
        }

        #[test]
        fn a_date_set_is_a_set(days in proptest::collection::vec(-4000_i64..4000, 0..60)) {
            let origin = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
            let dates: Vec<_> = days.iter().map(|d| origin + chrono::Duration::days(*d)).collect();
            let set: DateSet = dates.iter().copied().collect();
            let model: BTreeSet<_> = dates.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(set.last(), model.last().copied());
            for date in &dates {
                prop_assert!(set.contains(*date));
                prop_assert_eq!(set.contains(*date + chrono::Duration::days(1)), model.contains(&(*date + chrono::Duration::days(1))));
            }
        }
    }
}
