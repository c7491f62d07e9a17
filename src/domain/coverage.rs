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
        let base = *self.base.get_or_insert(date);
        let mut offset = (date - base).num_days();
        if offset < 0 {
            let words = (-offset + WORD_BITS - 1) / WORD_BITS;
            let padding = usize::try_from(words).unwrap_or(0);
            self.words.splice(0..0, std::iter::repeat_n(0, padding));
            self.base = Some(base - chrono::Duration::days(words * WORD_BITS));
            offset += words * WORD_BITS;
        }
        let (word, bit) = Self::slot(offset);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << bit;
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
    /// Whether the catalog has any partition before the dates that were looked at.
    pub began_before: bool,
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
