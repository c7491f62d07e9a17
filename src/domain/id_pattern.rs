//! Ids that name a day and then something that is not known beforehand: the nightly's exports.

use std::fmt;

use chrono::NaiveDate;

use super::date_format::{DateFormat, DateFormatError};

/// A [`DateFormat`], a `*`, and a literal end: `sql-to-parquet-%y-%m-%d-*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdPattern {
    before: DateFormat,
    after: String,
}

impl IdPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It has no `*` or several, or the day does not stand whole before it.
    pub fn new(pattern: &str) -> Result<Self, IdPatternError> {
        let mut parts = pattern.split('*');
        let (Some(before), Some(after), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(IdPatternError::NotOneStar(pattern.to_owned()));
        };
        if after.contains('%') {
            return Err(IdPatternError::DayAfterStar(pattern.to_owned()));
        }
        Ok(Self { before: DateFormat::new(before)?, after: after.to_owned() })
    }

    /// What every id of the date begins with.
    #[must_use]
    pub fn literal_prefix(&self, date: NaiveDate) -> String {
        self.before.render(date)
    }

    /// Whether an id is one of the date's.
    #[must_use]
    pub fn matches(&self, date: NaiveDate, id: &str) -> bool {
        let rest = id.strip_prefix(&self.literal_prefix(date));
        rest.and_then(|rest| rest.strip_suffix(&self.after)).is_some_and(|star| !star.is_empty())
    }
}

impl fmt::Debug for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdPattern({self})")
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.before, self.after)
    }
}

/// Why a text is no pattern of ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdPatternError {
    /// There must be exactly one star.
    #[error("`{0}` needs exactly one `*`")]
    NotOneStar(String),
    /// The day must stand before the star, so that ids can be listed by it.
    #[error("`{0}` has a `%` letter after its `*`; the whole day must stand before it")]
    DayAfterStar(String),
    /// What stands before the star does not name a day.
    #[error(transparent)]
    Day(#[from] DateFormatError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nightly_s_ids_of_a_date_match_and_the_backdated_one_does_not() {
        let pattern = IdPattern::new("sql-to-parquet-%y-%m-%d-*").unwrap();
        let date = "2022-06-01".parse().unwrap();
        assert_eq!(pattern.literal_prefix(date), "sql-to-parquet-22-06-01-");
        assert!(pattern.matches(date, "sql-to-parquet-22-06-01-011530"));
        for id in [
            "sql-to-parquet-22-06-01-",
            "sql-to-parquet-2022-06-01-backdated",
            "sql-to-parquet-22-06-02-1",
        ] {
            assert!(!pattern.matches(date, id), "{id}");
        }
        let ends = IdPattern::new("n-%Y%m%d-*-live").unwrap();
        assert!(ends.matches(date, "n-20220601-7-live"));
        assert!(!ends.matches(date, "n-20220601-7-backdated"));
    }

    #[test]
    fn a_pattern_has_one_star_after_a_whole_day() {
        for bad in ["a-%Y%m%d", "*-%Y%m%d", "a-%Y%m-*", "a-%Y%m%d-*-*", "a-%Y%m%d-*-%d"] {
            assert!(IdPattern::new(bad).is_err(), "{bad}");
        }
        assert_eq!(IdPattern::new("a-%Y%m%d-*").unwrap().to_string(), "a-%Y%m%d-*");
    }
}
