//! Which day a partition's values name, or a folder does, also in a spelling nobody configured.
//!
//! The date's key speaks first, in the configured format. What it leaves open the keys of year,
//! month and day may settle; where they contradict it, a person decides.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::RawTable;
use crate::domain::{NO_VALUE, Spelled, spelled_date};

/// What a partition, or a folder, says of its date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The date, in the configured format.
    Plain(NaiveDate),
    /// The date, spelled otherwise; its meaning is certain.
    Odd(NaiveDate),
    /// The date's key names the first, the keys of year, month and day the second.
    Torn(NaiveDate, NaiveDate),
    /// One of these dates.
    Perhaps(BTreeSet<NaiveDate>),
    /// No date, and no value either.
    Absent,
    /// No date.
    Unread,
}

/// The places of year, month and day among a table's keys, where it has one of each.
pub(super) fn places_of_parts(keys: &[String], date_key: &str) -> Option<[usize; 3]> {
    let place = |part: &str| {
        let names = |key: &&String| {
            !key.eq_ignore_ascii_case(date_key) && key.to_ascii_lowercase().contains(part)
        };
        let mut found = keys.iter().enumerate().filter(|(_, key)| names(key)).map(|(at, _)| at);
        found.next().filter(|_| found.next().is_none())
    };
    Some([place("year")?, place("month")?, place("day")?])
}

/// Reads a partition's values. `days` are the dates that the scan is about: a value without a
/// year may mean any of them.
pub(super) fn read_values(
    table: &RawTable<'_>,
    values: &[String],
    days: impl Iterator<Item = NaiveDate>,
) -> Row {
    let Some(value) = values.get(table.key_index) else { return Row::Unread };
    let by_parts = day_of_parts(table, values);
    if let Some(day) = table.source().partition_format.parse(value) {
        return match by_parts {
            Some(other) if other != day => Row::Torn(day, other),
            _ => Row::Plain(day),
        };
    }
    if shape(value) == shape(&table.source().partition_format.render(NaiveDate::default())) {
        return Row::Unread; // written as the format says, and no date: the format may be wrong
    }
    let read = spelled_date::read(value);
    match (&read, by_parts) {
        (Spelled::Nothing, None) if value == NO_VALUE => Row::Absent,
        (Spelled::Nothing, None) => Row::Unread,
        (Spelled::Nothing, Some(day)) => Row::Perhaps(BTreeSet::from([day])),
        (Spelled::Day(day), None) => Row::Odd(*day),
        (read, Some(day)) if read.may_be(day) => Row::Odd(day),
        (Spelled::Day(day), Some(other)) => Row::Perhaps(BTreeSet::from([*day, other])),
        (Spelled::OneOf(_) | Spelled::Yearless(_), _) => {
            let year = year_of(table, values);
            let fits = |day: &NaiveDate| year.is_none_or(|year| day.year() == year);
            let mut days: BTreeSet<NaiveDate> = read.among(days).into_iter().filter(fits).collect();
            days.extend(by_parts);
            Row::Perhaps(days)
        }
    }
}

/// A text with its digits all alike.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

fn day_of_parts(table: &RawTable<'_>, values: &[String]) -> Option<NaiveDate> {
    let [year, month, day] = table.parts?;
    spelled_date::read_parts(values.get(year)?, values.get(month)?, values.get(day)?)
}

fn year_of(table: &RawTable<'_>, values: &[String]) -> Option<i32> {
    let [year, ..] = table.parts?;
    i32::try_from(spelled_date::read_number(values.get(year)?)?).ok()
}

/// Reads the folders of a key below its table: `import_month=3/import_date=2022-03-05`, the bare
/// value, or a year, a month and a day in folders of their own.
pub(super) fn read_folders(
    table: &RawTable<'_>,
    folders: &str,
    days: impl Iterator<Item = NaiveDate>,
) -> Row {
    let format = &table.source().partition_format;
    let plain = folders.split('/').find_map(|folder| match folder.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case(table.key()) => format.parse(value),
        Some(_) => None,
        None => format.parse(folder),
    });
    if let Some(day) = plain {
        return Row::Plain(day);
    }
    let values: Option<Vec<String>> = table.keys.iter().map(|key| value_of(folders, key)).collect();
    if let Some(values) = values {
        return read_values(table, &values, days);
    }
    read_bare(folders).map_or(Row::Unread, Row::Odd)
}

fn value_of(folders: &str, key: &str) -> Option<String> {
    let mut pairs = folders.split('/').filter_map(|folder| folder.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    Some(value.to_owned())
}

/// `2022-03-05/…`, or `2022/03/05/…`.
fn read_bare(folders: &str) -> Option<NaiveDate> {
    let folders: Vec<&str> = folders.split('/').collect();
    let whole = folders.iter().find_map(|folder| {
        let value = folder.split_once('=').map_or(*folder, |(_, value)| value);
        match spelled_date::read(value) {
            Spelled::Day(day) => Some(day),
            Spelled::OneOf(_) | Spelled::Yearless(_) | Spelled::Nothing => None,
        }
    });
    whole.or_else(|| {
        folders.windows(3).find_map(|parts| {
            let value = |part: &'_ str| part.split_once('=').map_or(part, |(_, v)| v).to_owned();
            let [year, month, day] = [parts[0], parts[1], parts[2]].map(value);
            (year.len() == 4).then(|| spelled_date::read_parts(&year, &month, &day)).flatten()
        })
    })
}

/// The values as they are told: `2022 / 3 / 5 / 2022-03-05`.
pub(super) fn told(values: &[String]) -> String {
    values.join(" / ")
}
