//! Coverage: which tables have which dates, in the catalog and in the objects.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{DateSet, TableId, VolumeBook};

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

/// Dates that a table has under another spelling than the configured one, each with what was
/// found: a partition's values, or a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddSpellings {
    /// The meaning is certain: these count as the date.
    pub certain: BTreeMap<NaiveDate, String>,
    /// It may be this date: a person decides, and the date is never loaded.
    pub uncertain: BTreeMap<NaiveDate, String>,
    /// The catalog has the date twice, under two spellings.
    pub twice: BTreeMap<NaiveDate, String>,
}

impl OddSpellings {
    /// Takes over what another look found; what is known stays.
    pub fn add(&mut self, other: Self) {
        for (date, found) in other.certain {
            self.certain.entry(date).or_insert(found);
        }
        for (date, found) in other.uncertain {
            self.uncertain.entry(date).or_insert(found);
        }
        for (date, found) in other.twice {
            self.twice.entry(date).or_insert(found);
        }
    }

    /// What was found of a date, if anything.
    #[must_use]
    pub fn of(&self, date: NaiveDate) -> Option<&str> {
        let found = self.certain.get(&date).or_else(|| self.uncertain.get(&date));
        found.or_else(|| self.twice.get(&date)).map(String::as_str)
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
    /// Its own first partition, as far as it is known: some date before all that were looked at
    /// when it began before them.
    pub begins: Option<NaiveDate>,
    /// A partition that tells how the table spells dates.
    pub sample: Option<PartitionSample>,
    /// Dates whose objects come from two runs (H8).
    pub written_twice: DateSet,
    /// What it has under other spellings than the configured one.
    pub spelled: OddSpellings,
}

/// A matching table that the scan leaves out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredTable {
    /// The table.
    pub id: TableId,
    /// Why, in words.
    pub why: String,
}

/// What the raw zone has, over the dates that a look covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Every matching table of every raw source.
    pub tables: Vec<TableCoverage>,
    /// Matching tables that lack the partition key, listed once and ignored.
    pub ignored: Vec<IgnoredTable>,
    /// The newest write of each date's objects, when objects were listed.
    pub written_at: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// How much each table has of each date, when objects were listed.
    pub volumes: VolumeBook,
}
