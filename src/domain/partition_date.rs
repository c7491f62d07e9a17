//! Partition dates: calendar days, their ranges, and the formats that spell them.
//!
//! A partition date is a day in the council's calendar, never an instant; nothing
//! in this module knows what day it is today.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use chrono::format::{Fixed, Item, Numeric, StrftimeItems};

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

/// A text with one date in it, in `strftime` letters: a dump's name, a partition's
/// value, a snapshot's id. It names a whole day and nothing finer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateFormat(String);

impl DateFormat {
    /// Checks that the pattern names a day completely (year, month and day) and nothing finer.
    ///
    /// # Errors
    /// The pattern has an unknown letter, a time of day, or does not name a whole day.
    pub fn new(pattern: &str) -> Result<Self, DateFormatError> {
        for item in StrftimeItems::new(pattern) {
            match item {
                Item::Error => return Err(DateFormatError::Unknown(pattern.to_owned())),
                Item::Numeric(kind, _) if !is_day_part(&kind) => {
                    return Err(DateFormatError::NotADay(pattern.to_owned()));
                }
                Item::Fixed(kind) if !is_day_name(&kind) => {
                    return Err(DateFormatError::NotADay(pattern.to_owned()));
                }
                Item::Literal(_)
                | Item::Space(_)
                | Item::OwnedLiteral(_)
                | Item::OwnedSpace(_)
                | Item::Numeric(..)
                | Item::Fixed(_) => {}
            }
        }
        let format = Self(pattern.to_owned());
        let probes = [(2021, 6, 4), (2022, 6, 4), (2021, 7, 4), (2021, 6, 5), (1999, 12, 31)];
        let names_every_day = probes
            .iter()
            .filter_map(|&(year, month, day)| NaiveDate::from_ymd_opt(year, month, day))
            .all(|date| format.parse(&format.render(date)) == Some(date));
        if names_every_day {
            Ok(format)
        } else {
            Err(DateFormatError::Incomplete(pattern.to_owned()))
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0
    }

    /// The text for one date.
    #[must_use]
    pub fn render(&self, date: NaiveDate) -> String {
        date.format(&self.0).to_string()
    }

    /// The date that a text spells, when it is exactly what [`Self::render`] would write for it.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<NaiveDate> {
        let date = NaiveDate::parse_from_str(text, &self.0).ok()?;
        (self.render(date) == text).then_some(date)
    }
}

fn is_day_part(kind: &Numeric) -> bool {
    matches!(
        kind,
        Numeric::Year
            | Numeric::YearDiv100
            | Numeric::YearMod100
            | Numeric::Month
            | Numeric::Day
            | Numeric::Ordinal
    )
}

fn is_day_name(kind: &Fixed) -> bool {
    matches!(kind, Fixed::ShortMonthName | Fixed::LongMonthName)
}

impl fmt::Debug for DateFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateFormat({})", self.0)
    }
}

impl fmt::Display for DateFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a pattern is no date format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateFormatError {
    /// A letter that strftime does not know.
    #[error("`{0}` has a `%` letter that is not a strftime date letter")]
    Unknown(String),
    /// The pattern has hours or another unit finer or stranger than a day.
    #[error("`{0}` names something else than a day; only year, month and day letters are allowed")]
    NotADay(String),
    /// The pattern leaves out the year, the month or the day.
    #[error("`{0}` does not name a whole day; it needs a year, a month and a day, e.g. %Y%m%d")]
    Incomplete(String),
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

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_format_reads_only_what_it_writes() {
        let short = DateFormat::new("liberator_dump_%y%m%d.zip").unwrap();
        let long = DateFormat::new("liberator_dump_%Y%m%d.zip").unwrap();
        assert_eq!(short.parse("liberator_dump_210604.zip"), Some(date("2021-06-04")));
        assert_eq!(short.parse("liberator_dump_20210604.zip"), None);
        assert_eq!(long.parse("liberator_dump_20210604.zip"), Some(date("2021-06-04")));
        assert_eq!(long.parse("liberator_dump_210604.zip"), None);
        assert_eq!(short.parse("liberator_dump_21064.zip"), None);
        assert_eq!(long.parse("liberator_dump_20210604.zip.part"), None);
    }

    #[test]
    fn a_format_names_a_whole_day_and_nothing_finer() {
        assert!(matches!(DateFormat::new("%Y%m%d%H"), Err(DateFormatError::NotADay(_))));
        assert!(matches!(DateFormat::new("%Y%m"), Err(DateFormatError::Incomplete(_))));
        assert!(matches!(DateFormat::new("dump.zip"), Err(DateFormatError::Incomplete(_))));
        assert!(matches!(DateFormat::new("%Y%m%d%Q"), Err(DateFormatError::Unknown(_))));
        assert!(DateFormat::new("sql-to-parquet-%Y-%m-%d-backdated").is_ok());
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
