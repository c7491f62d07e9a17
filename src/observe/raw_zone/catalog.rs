//! What the catalog says of one table: predicates, pages of partitions, the first partition.

use chrono::{Datelike, NaiveDate};

use super::super::blind;
use super::{Dates, RawTable};
use crate::config::RawSource;
use crate::domain::{Blindness, DateSet, ErrorClass, PartitionSample};
use crate::platform::{Partition, PartitionQuery, Platform};

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
    /// Partitions that spell a date of the source, and those that do not.
    read: u64,
    unread: u64,
    /// One of the latter.
    odd: Option<String>,
}

/// What Glue writes for a value that is absent: no date in any format.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
/// So many percent of a table's values may be no dates: people leave strange things behind.
const UNREAD_AT_MOST_PERCENT: u64 = 10;

/// One query, with the dates as its predicate.
pub(super) async fn look(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    dates: Dates<'_>,
) -> Result<Found, Blindness> {
    let set = dates.first().map(DateSet::starting_at).unwrap_or_default();
    let mut found = Found { dates: set, ..Found::default() };
    let query = query(table, window_expression(table, dates), None);
    platform
        .partitions(&query, &mut |page| {
            for partition in page {
                let Some(date) = found.date_of(table, &partition) else { continue };
                if dates.contains(date) {
                    found.dates.insert(date);
                }
                found.note(date, partition);
            }
        })
        .await
        .map_err(|error| blind(format!("partitions of {}", table.id), &error))?;
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
    let Some(first) = dates.first().filter(|_| sorts_like_dates(table.source())) else {
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
    let expression = format!("{} < {}", table.key(), literal(table, before));
    platform
        .partitions(&query(table, Some(expression), at_most), &mut |page| {
            for partition in page {
                let date = found.date_of(table, &partition);
                if let Some(date) = date.filter(|date| *date < before) {
                    found.note(date, partition);
                }
            }
        })
        .await
        .map_err(|error| blind(format!("earlier partitions of {}", table.id), &error))
}

impl Found {
    /// The date of a partition; one that spells none is counted.
    fn date_of(&mut self, table: &RawTable<'_>, partition: &Partition) -> Option<NaiveDate> {
        let date = date_of(table, partition);
        let value = partition.values.get(table.key_index).filter(|value| *value != NO_VALUE);
        match (date, value) {
            (Some(_), _) => self.read += 1,
            (None, Some(value)) => {
                self.unread += 1;
                self.odd.get_or_insert_with(|| value.clone());
            }
            (None, None) => {}
        }
        date
    }

    /// Values that are no dates in the source's format would all be missing dates, and be
    /// ingested a second time (H8).
    pub(super) fn can_be_read(&self, table: &RawTable<'_>) -> Result<(), Blindness> {
        let seen = self.read + self.unread;
        if self.unread * 100 <= seen * UNREAD_AT_MOST_PERCENT {
            return Ok(());
        }
        let (key, format) = (table.key(), table.source().partition_format.pattern());
        let (unread, odd) = (self.unread, self.odd.as_deref().unwrap_or_default());
        Err(Blindness {
            what: format!("the dates of {}", table.id),
            why: format!(
                "{unread} of {seen} values of {key}, such as `{odd}`, are no dates like {format}; correct partition_format, or exclude the table"
            ),
            class: ErrorClass::Invalid,
        })
    }

    fn note(&mut self, date: NaiveDate, partition: Partition) {
        self.begins = Some(self.begins.map_or(date, |begins| begins.min(date)));
        let kept = self.sample.as_ref().map(|sample| doubts(sample.date));
        if kept.is_none_or(|kept| doubts(date) < kept) {
            let Partition { values, location } = partition;
            self.sample = Some(PartitionSample { date, values, location });
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
    let value = table.source().partition_format.render(date);
    if table.quoted { format!("'{value}'") } else { value }
}

/// The window as a predicate, with the named dates beside it. Texts sort like dates only when
/// the year comes first and everything has its full width; else everything is fetched.
fn window_expression(table: &RawTable<'_>, dates: Dates<'_>) -> Option<String> {
    if !sorts_like_dates(table.source()) {
        return None;
    }
    let key = table.key();
    let window = dates.window.first();
    let mut expression = window.map(|from| format!("{key} >= {}", literal(table, *from)));
    if !dates.named.is_empty() {
        let values: Vec<String> = dates.named.iter().map(|date| literal(table, *date)).collect();
        let named = format!("{key} IN ({})", values.join(", "));
        expression = Some(match expression {
            Some(window) => format!("{window} OR {named}"),
            None => named,
        });
    }
    match expression {
        Some(text) if text.len() > EXPRESSION_CHARACTERS_AT_MOST => {
            dates.first().map(|first| format!("{key} >= {}", literal(table, first)))
        }
        other => other,
    }
}

/// Whether the format's texts sort as their dates do: probed, for any pattern.
fn sorts_like_dates(source: &RawSource) -> bool {
    let probes: Vec<String> =
        [(2009, 12, 31), (2010, 1, 1), (2010, 2, 9), (2010, 2, 10), (2010, 11, 1), (2026, 1, 2)]
            .iter()
            .filter_map(|(year, month, day)| NaiveDate::from_ymd_opt(*year, *month, *day))
            .map(|date| source.partition_format.render(date))
            .collect();
    probes.is_sorted() && probes.iter().all(|text| text.len() == probes[0].len())
}
