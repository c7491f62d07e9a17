//! What the catalog says of one table: predicates, pages of partitions, the first partition.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use super::super::blind;
use super::reading::{Row, read_values, told};
use super::{Dates, RawTable};
use crate::domain::{Blindness, DateSet, ErrorClass, NO_VALUE, OddSpellings, PartitionSample};
use crate::platform::{Partition, PartitionQuery, Platform, PlatformError};

/// Glue refuses a longer expression.
const EXPRESSION_CHARACTERS_AT_MOST: usize = 2_048;

/// What the catalog has of one table.
#[derive(Default)]
pub(super) struct Found {
    /// The dates looked at that have a partition.
    pub(super) dates: DateSet,
    /// The first partition, as far as it is known; before all dates looked at when it is there.
    pub(super) begins: Option<NaiveDate>,
    /// A partition that tells how the table spells its keys and folders.
    pub(super) sample: Option<PartitionSample>,
    /// What it has under other spellings.
    pub(super) spelled: OddSpellings,
    /// Partitions that do not lie in a folder of the table that names their date, newest last.
    pub(super) elsewhere: BTreeMap<NaiveDate, Vec<String>>,
    sample_is_odd: bool,
    /// Partitions that spell a date, and those that do not.
    read: u64,
    unread: u64,
    /// Those that can be read in several ways.
    ambiguous: u64,
    /// One of the two latter.
    odd: Option<String>,
    torn: Torn,
    /// Where the table has keys beside the date's: which of their values each date has.
    beside: BTreeSet<(NaiveDate, Vec<String>)>,
}

/// Partitions whose keys contradict each other.
#[derive(Default)]
struct Torn {
    /// Partitions whose keys of year, month and day agree with the date's key, or not.
    agree: u64,
    differ: u64,
    rows: Vec<(NaiveDate, NaiveDate, Partition)>,
}

/// So many percent of a table's values may be no dates: people leave strange things behind. So
/// many may contradict themselves; above it, the keys of year, month and day mean another day.
const UNREAD_AT_MOST_PERCENT: u64 = 10;
/// So many ambiguous values are left to a person date by date, however few the others are.
const AMBIGUOUS_AT_MOST: u64 = 3;
/// Contradictory partitions of one table that are remembered.
const TORN_AT_MOST: usize = 1_000;

/// One query, with the dates as its predicate.
pub(super) async fn look(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    dates: Dates<'_>,
) -> Result<Found, PlatformError> {
    let set = dates.first().map(DateSet::starting_at).unwrap_or_default();
    let mut found = Found { dates: set, ..Found::default() };
    let query = query(table, window_expression(table, dates), None);
    platform
        .partitions(&query, &mut |page| {
            for partition in page {
                found.take(table, dates, partition);
            }
        })
        .await?;
    found.settle_torn(table, dates);
    Ok(found)
}

/// Looks for partitions before the dates that were looked at, and, where those have holes,
/// for the very first one.
pub(super) async fn look_earlier(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    dates: Dates<'_>,
    found: &mut Found,
) -> Result<(), Blindness> {
    let Some(first) = dates.first().filter(|_| texts_sort_like_dates(table)) else {
        return Ok(()); // without a predicate everything was seen
    };
    look_before(platform, table, first, Some(1), found).await?;
    let is_before_all = found.begins.is_some_and(|begins| begins < first);
    if is_before_all || dates.named.is_empty() {
        return Ok(());
    }
    let before = found.begins.or(dates.window.first().copied()).unwrap_or(first);
    look_before(platform, table, before, None, found).await
}

async fn look_before(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    before: NaiveDate,
    at_most: Option<usize>,
    found: &mut Found,
) -> Result<(), Blindness> {
    let key = table.key();
    let expression = format!("{key} >= '{FIRST_YEAR}' AND {key} < {}", literal(table, before));
    platform
        .partitions(&query(table, Some(expression), at_most), &mut |page| {
            for partition in page {
                let date = date_of(table, &partition);
                if let Some(date) = date.filter(|date| *date < before) {
                    found.note(date, partition, false);
                }
            }
        })
        .await
        .map_err(|error| blind(format!("earlier partitions of {}", table.id), &error))
}

impl Found {
    fn take(&mut self, table: &RawTable<'_>, dates: Dates<'_>, partition: Partition) {
        let row = read_values(table, &partition.values, dates.all());
        match row {
            Row::Plain(date) => {
                self.read += 1;
                self.torn.agree += 1;
                self.note_date(table, dates, date, partition, false);
            }
            Row::Odd(date) => {
                self.read += 1;
                self.note_date(table, dates, date, partition, true);
            }
            Row::Torn(by_key, by_parts) => {
                self.read += 1;
                self.torn.differ += 1;
                let wanted = dates.contains(by_key) || dates.contains(by_parts);
                if wanted && self.torn.rows.len() < TORN_AT_MOST {
                    self.torn.rows.push((by_key, by_parts, partition));
                } else {
                    self.note_date(table, dates, by_key, partition, false);
                }
            }
            Row::Perhaps(all) => {
                self.read += 1;
                if partition.values.get(table.key_index).is_some_and(|value| value != NO_VALUE) {
                    self.ambiguous += 1;
                    self.keep_odd(table, &partition);
                }
                self.note_uncertain(dates, &all, &partition);
            }
            Row::Absent => {}
            Row::Unread => {
                self.unread += 1;
                self.keep_odd(table, &partition);
            }
        }
    }

    fn keep_odd(&mut self, table: &RawTable<'_>, partition: &Partition) {
        let value = partition.values.get(table.key_index);
        self.odd.get_or_insert_with(|| value.cloned().unwrap_or_default());
    }

    /// A few partitions that contradict themselves are left to a person; where many do, the keys
    /// of year, month and day are about another day than the date's key.
    fn settle_torn(&mut self, table: &RawTable<'_>, dates: Dates<'_>) {
        let Torn { agree, differ, rows } = std::mem::take(&mut self.torn);
        let few = differ * 100 <= (agree + differ) * UNREAD_AT_MOST_PERCENT;
        for (by_key, by_parts, partition) in rows {
            if few {
                self.note_uncertain(dates, &BTreeSet::from([by_key, by_parts]), &partition);
            } else {
                self.note_date(table, dates, by_key, partition, false);
            }
        }
    }

    fn note_uncertain(
        &mut self,
        dates: Dates<'_>,
        all: &BTreeSet<NaiveDate>,
        partition: &Partition,
    ) {
        for date in all.iter().filter(|date| dates.contains(**date)) {
            self.spelled.uncertain.entry(*date).or_insert_with(|| told(&partition.values));
        }
    }

    fn note_date(
        &mut self,
        table: &RawTable<'_>,
        dates: Dates<'_>,
        date: NaiveDate,
        partition: Partition,
        odd: bool,
    ) {
        if dates.contains(date) {
            let beside = table.values_beside(&partition.values);
            let known = if beside.is_empty() {
                self.dates.contains(date)
            } else {
                !self.beside.insert((date, beside))
            };
            let value = told(&partition.values);
            if known {
                self.spelled.twice.entry(date).or_insert_with(|| value.clone());
            }
            if odd {
                self.spelled.certain.entry(date).or_insert(value);
            }
            self.dates.insert(date);
            if let Some(place) = partition.location.as_ref().filter(|it| !table.names(it, date)) {
                self.elsewhere.entry(date).or_default().push(place.clone());
            }
        }
        self.note(date, partition, odd);
    }

    /// Values that are no dates in the source's format would all be missing dates, and be
    /// ingested a second time (H8).
    pub(super) fn can_be_read(&self, table: &RawTable<'_>) -> Result<(), Blindness> {
        let seen = self.read + self.unread;
        let many = |count: u64| count * 100 > seen * UNREAD_AT_MOST_PERCENT;
        let (count, are) = if many(self.unread) {
            (self.unread, "are no dates like")
        } else if self.ambiguous > AMBIGUOUS_AT_MOST && many(self.ambiguous) {
            (self.ambiguous, "can be read as several dates, and are not like")
        } else {
            return Ok(());
        };
        let (key, format) = (table.key(), table.source().partition_format.pattern());
        let odd = self.odd.as_deref().unwrap_or_default();
        Err(Blindness {
            what: format!("the dates of {}", table.id),
            why: format!(
                "{count} of {seen} values of {key}, such as `{odd}`, {are} {format}; correct partition_format, or exclude the table"
            ),
            class: ErrorClass::Invalid,
        })
    }

    fn note(&mut self, date: NaiveDate, partition: Partition, odd: bool) {
        self.begins = Some(self.begins.map_or(date, |begins| begins.min(date)));
        let kept = self.sample.as_ref().map(|sample| (self.sample_is_odd, doubts(sample.date)));
        if kept.is_none_or(|kept| (odd, doubts(date)) < kept) {
            let Partition { values, location } = partition;
            self.sample = Some(PartitionSample { date, values, location });
            self.sample_is_odd = odd;
        }
    }
}

/// How much a date leaves open about the spelling of its parts: `11` is a padded and a plain
/// month, and on the eleventh a day as well.
fn doubts(date: NaiveDate) -> u8 {
    u8::from(date.month() >= 10) + u8::from(date.day() >= 10) + u8::from(date.month() == date.day())
}

/// The date of a partition; `None` for one that does not spell a date of the source.
pub(super) fn date_of(table: &RawTable<'_>, partition: &Partition) -> Option<NaiveDate> {
    table.source().partition_format.parse(partition.values.get(table.key_index)?)
}

pub(super) fn query(
    table: &RawTable<'_>,
    expression: Option<String>,
    at_most: Option<usize>,
) -> PartitionQuery {
    PartitionQuery {
        database: table.id.database.clone(),
        table: table.id.table.clone(),
        expression,
        at_most,
    }
}

/// A date as an expression has it.
pub(super) fn literal(table: &RawTable<'_>, date: NaiveDate) -> String {
    format!("'{}'", table.source().partition_format.render(date))
}

/// The window as a predicate, with the years of the named dates beside it, and with whatever
/// sorts where no date of the format does: `-` and a blank come before the digits, so a bound
/// alone would hide `2022-03-05` among `20220305`s. Texts sort like dates only when the year comes
/// first and everything has its full width; else, and for keys that are no texts, everything is
/// fetched.
fn window_expression(table: &RawTable<'_>, dates: Dates<'_>) -> Option<String> {
    if !texts_sort_like_dates(table) {
        return None;
    }
    let key = table.key();
    let mut parts: Vec<String> = Vec::new();
    let window = dates.window.first();
    if let Some(first) = window {
        parts.push(format!("{key} >= {}", literal(table, *first)));
        let year = first.year();
        if let Some(new_year) = NaiveDate::from_ymd_opt(year, 1, 1) {
            let until = literal(table, new_year);
            parts.push(format!("({key} >= '{year}' AND {key} < {until})"));
        }
    }
    let named_years: BTreeSet<i32> = dates.named.iter().map(Datelike::year).collect();
    parts.extend(named_years.iter().map(|year| year_expression(key, *year)));
    parts.extend(strays(key));
    let expression = parts.join(" OR ");
    if expression.len() > EXPRESSION_CHARACTERS_AT_MOST {
        return None;
    }
    (window.is_some() || !named_years.is_empty()).then_some(expression)
}

/// Everything that begins with a year.
fn year_expression(key: &str, year: i32) -> String {
    format!("({key} >= '{year}' AND {key} < '{}')", year + 1)
}

/// Everything that begins with no year since [`FIRST_YEAR`], and sorts before those that do.
fn strays(key: &str) -> [String; 2] {
    [format!("{key} < '{FIRST_YEAR}'"), format!("({key} >= '2' AND {key} < '2000')")]
}

/// No partition's year is earlier.
const FIRST_YEAR: &str = "1900";

/// One date under whatever spelling: its year, and the strays; `None` for every partition.
pub(super) fn date_expression(table: &RawTable<'_>, date: NaiveDate) -> Option<String> {
    let key = table.key();
    texts_sort_like_dates(table).then(|| {
        let [low, high] = strays(key);
        let year = year_expression(key, date.year());
        let rest = format!("{key} >= '{LATER}'");
        [year, low, high, rest].join(" OR ")
    })
}

/// What begins with a day, or a year of two digits, above `20` sorts from here on.
const LATER: &str = "21";

/// Whether the table's values of the key are texts that sort as their dates do, the year first:
/// probed, for any pattern. Values of another type are compared as such, and one that does not
/// read is an error or hidden.
fn texts_sort_like_dates(table: &RawTable<'_>) -> bool {
    if !table.is_text {
        return false;
    }
    let probes: Vec<String> =
        [(2009, 12, 31), (2010, 1, 1), (2010, 2, 9), (2010, 2, 10), (2010, 11, 1), (2026, 1, 2)]
            .iter()
            .filter_map(|(year, month, day)| NaiveDate::from_ymd_opt(*year, *month, *day))
            .map(|date| table.source().partition_format.render(date))
            .collect();
    probes.is_sorted()
        && probes.iter().all(|text| text.len() == probes[0].len())
        && probes[0].starts_with("2009")
}
