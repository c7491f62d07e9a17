//! A day in a spelling that nobody configured.
//!
//! Crawlers and people leave `2022-03-05`, `2022/3/5` or `5 Mar 2022` among `20220305`s. A text
//! whose meaning is certain names its day; one that can be read in several ways (`05/03/2022`)
//! names every day that it may be, so that nobody takes any of them for missing.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

/// What a text says of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelled {
    /// Exactly this day.
    Day(NaiveDate),
    /// One of these days.
    OneOf(BTreeSet<NaiveDate>),
    /// A month and a day of some year, in one or two readings.
    Yearless(Vec<(u32, u32)>),
    /// No day.
    Nothing,
}

/// What Hive writes for a value that is absent.
pub const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A pipeline's data is not older, nor younger, than this; other numbers are no years.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2099;
/// Longer texts are no dates.
const CHARACTERS_AT_MOST: usize = 64;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads a text as a day, whatever its spelling.
#[must_use]
pub fn read(text: &str) -> Spelled {
    if text == NO_VALUE || text.len() > CHARACTERS_AT_MOST {
        return Spelled::Nothing;
    }
    let unescaped = unescape(text);
    let (day, is_midnight) = split_time(unescaped.trim());
    let read = read_day(day);
    // Another time of day may be another day elsewhere.
    let is_open = !is_midnight && matches!(read, Spelled::Day(_));
    if is_open { Spelled::OneOf(read.among(std::iter::empty())) } else { read }
}

/// A year, a month or a day as a partition's value has it: `03`, `3` and `010`, which no other
/// number is meant by.
#[must_use]
pub fn read_number(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The day that a year, a month and a day make, each a value of its own.
#[must_use]
pub fn read_parts(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let month = read_number(month).or_else(|| month_by_name(month.trim()))?;
    let year = i32::try_from(read_number(year)?).ok().filter(|year| YEARS.contains(year))?;
    NaiveDate::from_ymd_opt(year, month, read_number(day)?)
}

/// Hive escapes what a path cannot hold: `2022-03-05 00%3A00%3A00`.
#[must_use]
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            plain.push(byte);
            at += 3;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The text before a time of day, and whether that time is midnight (or there is none).
fn split_time(text: &str) -> (&str, bool) {
    let Some(colon) = text.find(':') else {
        let bare = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        let bare =
            bare.strip_suffix("T000000").or_else(|| bare.strip_suffix("T00")).unwrap_or(bare);
        return (bare, true);
    };
    let is_digit = |c: char| c.is_ascii_digit();
    let hours = text[..colon].trim_end_matches(is_digit);
    let day = hours.trim_end_matches(['T', 't', ' ', '-', '_']);
    let zoneless = text[hours.len()..].trim_end_matches(['Z', 'z']);
    let zoneless = zoneless.strip_suffix("+00:00").unwrap_or(zoneless);
    let is_midnight = zoneless.chars().all(|c| matches!(c, '0' | ':' | '.'));
    (day, is_midnight)
}

fn read_day(text: &str) -> Spelled {
    let is_separator = |c: char| matches!(c, '-' | '/' | '.' | '_' | ' ' | ',');
    let pieces: Vec<&str> = text.split(is_separator).filter(|piece| !piece.is_empty()).collect();
    match pieces.as_slice() {
        [whole] => read_digits(whole),
        [one, other] => read_yearless(one, other),
        [first, second, third] => read_three(first, second, third),
        _ => Spelled::Nothing,
    }
}

/// `20220305`, and what else eight, six or four digits may be.
fn read_digits(text: &str) -> Spelled {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Spelled::Nothing;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or(0);
    match text.len() {
        8 => {
            let (year, last) = (number(0, 4), number(4, 8));
            if let Some(day) = day_of(year, last / 100, last % 100) {
                return Spelled::Day(day);
            }
            let (first, second, year_last) = (number(0, 2), number(2, 4), number(4, 8));
            one_of([
                day_of(year, last % 100, last / 100),
                day_of(year_last, second, first),
                day_of(year_last, first, second),
            ])
        }
        6 => {
            let (a, b, c) = (number(0, 2), number(2, 4), number(4, 6));
            one_of([day_of(century(a), b, c), day_of(century(c), b, a), day_of(century(c), a, b)])
        }
        4 => yearless(number(0, 2), number(2, 4)),
        _ => Spelled::Nothing,
    }
}

fn read_three(first: &str, second: &str, third: &str) -> Spelled {
    if let Some(month) = month_by_name(second) {
        return named_month(first, month, third);
    }
    if let Some(month) = month_by_name(first) {
        return named_month(second, month, third);
    }
    let (Some(a), Some(b), Some(c)) = (read_number(first), read_number(second), read_number(third))
    else {
        return Spelled::Nothing;
    };
    match (first.len(), third.len()) {
        // The year first: everybody goes on with the month. Where that is no day, who knows.
        (4, _) => day_of(a, b, c).map_or_else(|| one_of([day_of(a, c, b)]), Spelled::Day),
        (_, 4) => match (day_of(c, b, a), day_of(c, a, b)) {
            (Some(day), None) | (None, Some(day)) => Spelled::Day(day),
            (Some(one), Some(other)) if one == other => Spelled::Day(one),
            both => one_of([both.0, both.1]),
        },
        _ => one_of([day_of(century(a), b, c), day_of(century(c), b, a), day_of(century(c), a, b)]),
    }
}

/// `5 Mar 2022`, `Mar 5, 2022`, `2022-Mar-05`.
fn named_month(one: &str, month: u32, other: &str) -> Spelled {
    let (Some(one_number), Some(other_number)) = (read_number(one), read_number(other)) else {
        return Spelled::Nothing;
    };
    let day = match (one.len(), other.len()) {
        (4, _) => day_of(one_number, month, other_number),
        (_, 4) => day_of(other_number, month, one_number),
        _ => {
            let (one, other) = (
                day_of(century(one_number), month, other_number),
                day_of(century(other_number), month, one_number),
            );
            return one_of([one, other]);
        }
    };
    day.map_or(Spelled::Nothing, Spelled::Day)
}

fn read_yearless(one: &str, other: &str) -> Spelled {
    match (month_by_name(one), month_by_name(other)) {
        (Some(month), None) => read_number(other).map_or(Spelled::Nothing, |day| {
            if is_day_of_some_year(month, day) {
                Spelled::Yearless(vec![(month, day)])
            } else {
                Spelled::Nothing
            }
        }),
        (None, Some(month)) => read_number(one).map_or(Spelled::Nothing, |day| {
            if is_day_of_some_year(month, day) {
                Spelled::Yearless(vec![(month, day)])
            } else {
                Spelled::Nothing
            }
        }),
        (None, None) if one.len() <= 2 && other.len() <= 2 => {
            match (read_number(one), read_number(other)) {
                (Some(one), Some(other)) => yearless(one, other),
                _ => Spelled::Nothing,
            }
        }
        _ => Spelled::Nothing,
    }
}

fn yearless(one: u32, other: u32) -> Spelled {
    let readings = [(one, other), (other, one)];
    let mut readings: Vec<(u32, u32)> =
        readings.into_iter().filter(|(month, day)| is_day_of_some_year(*month, *day)).collect();
    readings.dedup();
    if readings.is_empty() { Spelled::Nothing } else { Spelled::Yearless(readings) }
}

fn is_day_of_some_year(month: u32, day: u32) -> bool {
    NaiveDate::from_ymd_opt(2024, month, day).is_some() // a leap year
}

fn one_of<const N: usize>(days: [Option<NaiveDate>; N]) -> Spelled {
    let days: BTreeSet<NaiveDate> = days.into_iter().flatten().collect();
    if days.is_empty() { Spelled::Nothing } else { Spelled::OneOf(days) }
}

fn day_of(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    let year = i32::try_from(year).ok().filter(|year| YEARS.contains(year))?;
    NaiveDate::from_ymd_opt(year, month, day)
}

fn century(short: u32) -> u32 {
    match short {
        0..70 => 2000 + short,
        70..100 => 1900 + short,
        _ => short,
    }
}

fn month_by_name(text: &str) -> Option<u32> {
    let start = text.get(..3)?.to_ascii_lowercase();
    if !text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let place = MONTHS.iter().position(|month| *month == start)?;
    u32::try_from(place + 1).ok()
}

impl Spelled {
    /// The days that it may be, of these.
    pub fn among(&self, days: impl Iterator<Item = NaiveDate>) -> BTreeSet<NaiveDate> {
        match self {
            Self::Day(day) => BTreeSet::from([*day]),
            Self::OneOf(all) => all.clone(),
            Self::Yearless(readings) => {
                days.filter(|day| readings.contains(&(day.month(), day.day()))).collect()
            }
            Self::Nothing => BTreeSet::new(),
        }
    }

    /// Whether it may be this day.
    #[must_use]
    pub fn may_be(&self, day: NaiveDate) -> bool {
        self.among(std::iter::once(day)).contains(&day)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_spelling_whose_meaning_is_certain_names_its_day() {
        for text in [
            "2022-03-05",
            "2022/03/05",
            "2022.03.05",
            "2022_03_05",
            "2022-3-5",
            "2022/3/5",
            "20220305",
            " 20220305",
            "20220305 ",
            "2022-03-05 00:00:00",
            "2022-03-05 00:00:00.0",
            "2022-03-05T00:00:00Z",
            "2022-03-05T00:00:00.000Z",
            "2022-03-05T00:00:00+00:00",
            "2022-03-05 00%3A00%3A00",
            "2022%2F03%2F05",
            "2022-03-05%2000%3A00%3A00",
            "20220305T000000Z",
            "5 Mar 2022",
            "05-Mar-2022",
            "March 5, 2022",
            "2022-MAR-05",
            "2022-03-05Z",
            "2022-003-005",
        ] {
            assert_eq!(read(text), Spelled::Day(date("2022-03-05")), "{text}");
        }
        assert_eq!(
            read("13/03/2022"),
            Spelled::Day(date("2022-03-13")),
            "no month is the thirteenth"
        );
        assert_eq!(read("03-13-2022"), Spelled::Day(date("2022-03-13")));
        assert_eq!(read("05.05.2022"), Spelled::Day(date("2022-05-05")));
        assert_eq!(read("2022-01-010"), Spelled::Day(date("2022-01-10")));
    }

    #[test]
    fn one_that_can_be_read_in_two_ways_is_certain_of_neither() {
        let both = BTreeSet::from([date("2022-03-05"), date("2022-05-03")]);
        for text in ["05/03/2022", "5.3.2022", "03-05-2022", "05032022"] {
            assert_eq!(read(text), Spelled::OneOf(both.clone()), "{text}");
        }
        for (text, day) in [
            ("2022-13-03", "2022-03-13"),
            ("20221303", "2022-03-13"),
            ("220305", "2022-03-05"),
            ("22-03-05", "2022-03-05"),
            ("05-03-22", "2022-03-05"),
            ("2022-03-05 07:12:00", "2022-03-05"),
            ("2022-03-05T00:00:00+01:00", "2022-03-05"),
        ] {
            let read = read(text);
            assert!(
                matches!(&read, Spelled::OneOf(_)) && read.may_be(date(day)),
                "{text}: {read:?}"
            );
            assert!(!read.may_be(date("2021-12-24")), "{text}");
        }
    }

    #[test]
    fn a_day_without_its_year_may_be_of_any() {
        for text in ["0305", "03-05", "5 Mar", "3/5"] {
            let read = read(text);
            assert!(read.may_be(date("2022-03-05")) && read.may_be(date("2021-03-05")), "{text}");
            assert!(!read.may_be(date("2022-03-06")), "{text}: {read:?}");
        }
    }

    #[test]
    fn what_is_no_day_says_nothing() {
        for text in [
            "",
            " ",
            NO_VALUE,
            "latest",
            "2022",
            "2022-03",
            "99999999",
            "20221345",
            "31-31-31-31",
            "1646438400",
            "2022-02-30x",
            "null",
            "0000-00-00",
            "%",
            "%zz",
            "a-b-c",
            "2022-W09-6",
            "uk",
        ] {
            assert_eq!(read(text), Spelled::Nothing, "{text}");
        }
    }

    #[test]
    fn a_part_is_read_whatever_its_padding() {
        assert_eq!(read_parts("2022", "3", "010"), Some(date("2022-03-10")));
        assert_eq!(read_parts("2022", "03", " 5"), Some(date("2022-03-05")));
        assert_eq!(read_parts("2022", "Mar", "5"), Some(date("2022-03-05")));
        for (year, month, day) in
            [("22", "3", "5"), ("2022", "13", "5"), ("2022", "2", "30"), ("", "3", "5")]
        {
            assert_eq!(read_parts(year, month, day), None, "{year} {month} {day}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in ".{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn a_day_written_with_the_year_first_is_read_back(days in 0_u64..36_000, separator in "[-/._ ]") {
            let day = date("1971-01-01") + chrono::Days::new(days);
            let text = format!("{}{separator}{}{separator}{}", day.year(), day.month(), day.day());
            prop_assert_eq!(read(&text), Spelled::Day(day));
        }
    }
}
