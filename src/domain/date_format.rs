//! Date formats: texts with a whole day in them, a dump's name, a partition's value.

use std::fmt;

use chrono::NaiveDate;
use chrono::format::{Fixed, Item, Numeric, StrftimeItems};

/// A text with one date in it, in `strftime` letters: a dump's name, a partition's
/// value, a snapshot's id. It names a whole day and nothing finer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateFormat {
    pattern: String,
    /// The pattern taken apart, when it has nothing but digits of a fixed width in it.
    fixed: Option<Vec<Part>>,
}

/// A piece of a pattern whose texts all have the same width.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Literal(String),
    /// `%Y`, four digits.
    Year,
    /// `%y`, two digits: from 1970 to 2069, as strftime has it.
    YearOfCentury,
    /// `%m`
    Month,
    /// `%d`
    Day,
}

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
        let mut format = Self { pattern: pattern.to_owned(), fixed: None };
        let probes = [(2021, 6, 4), (2022, 6, 4), (2021, 7, 4), (2021, 6, 5), (1999, 12, 31)];
        let names_every_day = probes
            .iter()
            .filter_map(|&(year, month, day)| NaiveDate::from_ymd_opt(year, month, day))
            .all(|date| format.parse(&format.render(date)) == Some(date));
        if !names_every_day {
            return Err(DateFormatError::Incomplete(pattern.to_owned()));
        }
        format.fixed = fixed_parts(pattern);
        Ok(format)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The text for one date.
    #[must_use]
    pub fn render(&self, date: NaiveDate) -> String {
        date.format(&self.pattern).to_string()
    }

    /// The date that a text spells, when it is exactly what [`Self::render`] would write for it.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<NaiveDate> {
        if let Some(parts) = &self.fixed {
            return parse_fixed(parts, text); // a scan reads hundreds of thousands of them
        }
        let date = NaiveDate::parse_from_str(text, &self.pattern).ok()?;
        (self.render(date) == text).then_some(date)
    }
}

fn fixed_parts(pattern: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            parts.push(Part::Literal(rest[..at].to_owned()));
        }
        parts.push(match rest.as_bytes().get(at + 1)? {
            b'Y' => Part::Year,
            b'y' => Part::YearOfCentury,
            b'm' => Part::Month,
            b'd' => Part::Day,
            _ => return None,
        });
        rest = &rest[at + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    let once = |part: &Part| parts.iter().filter(|found| *found == part).count() == 1;
    let years = once(&Part::Year) != once(&Part::YearOfCentury);
    let whole = years && once(&Part::Month) && once(&Part::Day);
    // White space in a pattern stands for any in the text: left to strftime's own reader.
    (whole && !pattern.contains(char::is_whitespace)).then_some(parts)
}

fn parse_fixed(parts: &[Part], mut text: &str) -> Option<NaiveDate> {
    let (mut year, mut month, mut day) = (0, 0, 0);
    for part in parts {
        match part {
            Part::Literal(literal) => text = text.strip_prefix(literal.as_str())?,
            Part::Year => year = i32::try_from(digits(&mut text, 4)?).ok()?,
            Part::YearOfCentury => {
                let short = i32::try_from(digits(&mut text, 2)?).ok()?;
                year = if short < 70 { 2000 + short } else { 1900 + short };
            }
            Part::Month => month = digits(&mut text, 2)?,
            Part::Day => day = digits(&mut text, 2)?,
        }
    }
    if text.is_empty() { NaiveDate::from_ymd_opt(year, month, day) } else { None }
}

/// Takes a number of exactly so many digits from the front.
fn digits(text: &mut &str, width: usize) -> Option<u32> {
    let (front, rest) = text.split_at_checked(width)?;
    let number = front.bytes().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })?;
    *text = rest;
    Some(number)
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
        write!(f, "DateFormat({})", self.pattern)
    }
}

impl fmt::Display for DateFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert!(matches!(DateFormat::new("%a %Y%m%d"), Err(DateFormatError::NotADay(_))));
        let named = DateFormat::new("%d-%b-%Y").unwrap();
        assert_eq!(named.parse("04-Jun-2021"), Some(date("2021-06-04")));
    }

    #[test]
    fn a_format_is_told_as_it_was_written() {
        let format = DateFormat::new("%Y%m%d").unwrap();
        assert_eq!(
            format!("{format} {format:?} {}", format.pattern()),
            "%Y%m%d DateFormat(%Y%m%d) %Y%m%d"
        );
    }

    #[test]
    fn two_digits_of_a_year_are_read_as_strftime_reads_them() {
        let format = DateFormat::new("%y%m%d").unwrap();
        assert_eq!(format.parse("690101"), Some(date("2069-01-01")));
        assert_eq!(format.parse("700101"), Some(date("1970-01-01")));
    }

    #[test]
    fn what_has_no_fixed_width_or_says_a_thing_twice_is_left_to_strftime() {
        for pattern in ["%Y%m%d%d", "%Y%m%m%d", "%Y%y%m%d", "%Y%Y%m%d", "%Y %m%d", "%d-%b-%Y"] {
            let format = DateFormat::new(pattern).unwrap();
            assert_eq!(format.fixed, None, "{pattern}");
            let text = format.render(date("2021-06-04"));
            assert_eq!(format.parse(&text), Some(date("2021-06-04")), "{pattern}");
        }
    }

    const FIXED: [&str; 5] =
        ["%Y%m%d", "%Y-%m-%d", "dump_%y%m%d.zip", "dump_%d.%m.%Y", "y%y/m%m/d%d/"];

    proptest! {
        #[test]
        fn the_quick_reader_reads_what_strftime_reads(
            which in 0..FIXED.len(), days in -60_000_i64..60_000, spoilt in 0_usize..40, to in any::<char>(),
        ) {
            let quick = DateFormat::new(FIXED[which]).unwrap();
            prop_assert!(quick.fixed.is_some());
            let slow = DateFormat { fixed: None, ..quick.clone() };
            let day = date("2020-01-01") + chrono::Duration::days(days);
            let mut text: Vec<char> = quick.render(day).chars().collect();
            if let Some(character) = text.get_mut(spoilt) {
                *character = to;
            }
            let text: String = text.into_iter().collect();
            prop_assert_eq!(quick.parse(&text), slow.parse(&text), "{}", text);
        }
    }
}
