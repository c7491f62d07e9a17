//! Partition dates: calendar days and their ranges.
//!
//! A partition date is a day in the council's calendar, never an instant; nothing
//! in this module knows what day it is today.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;

/// Dates outside these years are slips, in the configuration and on the command line.
pub const YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

/// The calendar day that a dump and its partitions belong to.
pub type PartitionDate = NaiveDate;

/// An inclusive range of dates, `from <= to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateSpan {
    /// The first date.
    pub from: NaiveDate,
    /// The last date, included.
    pub to: NaiveDate,
}

impl DateSpan {
    /// One single day.
    #[must_use]
    pub fn day(date: NaiveDate) -> Self {
        Self { from: date, to: date }
    }

    /// Both ends included; `None` when they are the wrong way round.
    #[must_use]
    pub fn new(from: NaiveDate, to: NaiveDate) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    /// Whether the date lies in the range.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        (self.from..=self.to).contains(&date)
    }

    /// How many days the range has; at least one.
    #[must_use]
    pub fn len_days(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// Every day of the range, oldest first.
    pub fn days(self) -> impl DoubleEndedIterator<Item = NaiveDate> {
        (0..self.len_days()).map(move |offset| self.from + chrono::Duration::days(offset))
    }
}

impl fmt::Display for DateSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{}..{}", self.from, self.to)
        }
    }
}

impl FromStr for DateSpan {
    type Err = DateSpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = |part: &str| {
            NaiveDate::parse_from_str(part.trim(), "%Y-%m-%d")
                .ok()
                .filter(|date| date.to_string() == part.trim())
                .ok_or_else(|| DateSpanError::NotADate(part.trim().to_owned()))
        };
        let Some((from, to)) = text.split_once("..") else {
            return Ok(Self::day(day(text)?));
        };
        let (from, to) = (day(from)?, day(to)?);
        Self::new(from, to).ok_or(DateSpanError::Reversed { from, to })
    }
}

/// Why a text is no date or range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateSpanError {
    /// A part that is no ISO date.
    #[error("`{0}` is not a date like 2022-06-01 or a range like 2022-06-10..2022-06-20")]
    NotADate(String),
    /// The range ends before it begins.
    #[error("the range {from}..{to} ends before it begins")]
    Reversed {
        /// The first date given.
        from: NaiveDate,
        /// The last date given.
        to: NaiveDate,
    },
}

/// Folds sorted dates into ranges, where `follows(a, b)` says that `b` comes right after `a`.
#[must_use]
pub fn fold_ranges(
    dates: impl IntoIterator<Item = NaiveDate>,
    follows: impl Fn(NaiveDate, NaiveDate) -> bool,
) -> Vec<DateSpan> {
    let mut spans: Vec<DateSpan> = Vec::new();
    for date in dates {
        match spans.last_mut() {
            Some(span) if follows(span.to, date) => span.to = date,
            _ => spans.push(DateSpan::day(date)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::DateFormat;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_inclusive_and_the_right_way_round() {
        let span: DateSpan = "2022-06-10..2022-06-20".parse().unwrap();
        assert_eq!(span.len_days(), 11);
        assert_eq!(span.days().last(), Some(date("2022-06-20")));
        assert!("2022-06-20..2022-06-10".parse::<DateSpan>().is_err());
        assert!("2022-6-1".parse::<DateSpan>().is_err());
        assert_eq!(span.to_string(), "2022-06-10..2022-06-20");
    }

    #[test]
    fn dates_that_follow_each_other_are_one_range() {
        let dates = ["2022-06-10", "2022-06-11", "2022-06-13"].map(date);
        let spans = fold_ranges(dates, |before, after| before.succ_opt() == Some(after));
        let words: Vec<String> = spans.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["2022-06-10..2022-06-11", "2022-06-13"]);
    }

    /// The names that dumps, snapshots and partitions have had.
    const FORMATS: [&str; 6] = [
        "liberator_dump_%y%m%d.zip",
        "liberator_dump_%Y%m%d.zip",
        "sql-to-parquet-%Y-%m-%d-backdated",
        "%Y%m%d",
        "%Y-%m-%d",
        "%d.%m.%y",
    ];

    proptest! {
        #[test]
        fn a_name_reads_back_as_the_date_that_it_was_written_for(days in 0..36_000_i64) {
            let date = date("2000-01-01") + chrono::Duration::days(days);
            for text in FORMATS {
                let format = DateFormat::new(text).unwrap();
                let read = format.parse(&format.render(date));
                // Two digits of a year mean one century only.
                prop_assert!(read == Some(date) || text.contains("%y"), "{}: {:?}", text, read);
                prop_assert!(read.is_none_or(|read| format.render(read) == format.render(date)));
            }
        }

        /// What is read is written back as the same name: no other name is taken for a date's.
        #[test]
        fn a_name_that_is_read_is_the_name_that_is_written(
            name in "(liberator_dump_)?[-0-9]{0,10}(\\.zip)?|\\PC{0,30}",
            days in 0..9_000_i64,
            at in any::<prop::sample::Index>(),
            other in any::<char>(),
        ) {
            for text in FORMATS {
                let format = DateFormat::new(text).unwrap();
                let written = format.render(date("2020-01-01") + chrono::Duration::days(days));
                let mut near: Vec<char> = written.chars().collect();
                let at = at.index(near.len());
                near[at] = other;
                for name in [name.clone(), near.into_iter().collect()] {
                    let read = format.parse(&name);
                    prop_assert!(read.is_none_or(|read| format.render(read) == name), "{}", name);
                }
            }
        }
    }
}
