//! What the objects say of one table: which dates have bytes, how many, and when they were
//! written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Duration, NaiveDate, Utc};

use super::super::blind;
use super::reading::{Row, read_folders};
use super::spelling::Layout;
use super::{Dates, RawTable, split_location};
use crate::domain::{Blindness, DateSet, OddSpellings, PartitionSample, TableVolumes, Written};
use crate::platform::{Answer, Listing, ObjectInfo, Platform, PlatformError};

/// So many days around a date are listed with it, so that there is something to compare its volume
/// with.
const NEIGHBOUR_DAYS: i64 = 7;

/// What the listings of a table's objects showed.
pub(super) struct Found {
    /// Dates that have at least one object with bytes.
    pub(super) stored: DateSet,
    /// Dates whose objects come from two runs (H8).
    pub(super) written_twice: DateSet,
    /// The newest write of each date looked at.
    pub(super) newest: Vec<(NaiveDate, DateTime<Utc>)>,
    /// How much there is of each date, and of those beside the dates looked at.
    pub(super) volumes: TableVolumes,
    /// Dates whose folders are spelled otherwise than configured.
    pub(super) spelled: OddSpellings,
}

/// What is being gathered from the listings.
#[derive(Default)]
pub(super) struct Gathered {
    written: BTreeMap<NaiveDate, Written>,
    /// Dates whose place was not listed: the catalog's word counts.
    by_word: BTreeSet<NaiveDate>,
    spelled: OddSpellings,
}

impl Found {
    /// Sums up what was written, so that nothing of the listing itself is kept.
    pub(super) fn of(table: &RawTable<'_>, dates: Dates<'_>, gathered: Gathered) -> Self {
        let Gathered { written, by_word, spelled } = gathered;
        let volumes = written.iter().map(|(date, written)| (*date, written.volume())).collect();
        let limits = table.source().volume_limits(&table.id.table);
        let volumes = TableVolumes::judge(table.id.clone(), limits, volumes);
        let looked_at = || written.iter().filter(|(date, _)| dates.contains(**date));
        let twice =
            looked_at().filter(|(date, written)| written.is_from_two_runs(volumes.usual(**date)));
        Self {
            stored: looked_at().map(|(date, _)| *date).chain(by_word).collect(),
            written_twice: twice.map(|(date, _)| *date).collect(),
            newest: looked_at()
                .filter_map(|(date, written)| Some((*date, written.newest()?)))
                .collect(),
            volumes,
            spelled,
        }
    }
}

/// Lists what lies under the table, from the year of the first of the dates on: a bound at the
/// date itself would hide folders that are spelled otherwise.
pub(super) async fn look(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    location: &(String, String),
    dates: Dates<'_>,
    sample: Option<&PartitionSample>,
) -> Result<Gathered, Blindness> {
    let mut found = Gathered::default();
    for listing in listings(table, location, dates, sample) {
        platform
            .list_objects(&listing, &mut |page| {
                for object in page {
                    found.take(table, &location.1, dates, &object);
                }
            })
            .await
            .map_err(|error| blind(format!("objects of {}", table.id), &error))?;
    }
    Ok(found)
}

/// Lists the partitions that do not lie in a folder of the table that names their date: their own
/// location counts, wherever it is. The newest are listed one by one; of those beyond
/// [`LOCATIONS_AT_MOST`] the catalog's word counts.
pub(super) async fn look_elsewhere(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    elsewhere: &BTreeMap<NaiveDate, Vec<String>>,
    found: &mut Gathered,
) -> Result<(), Blindness> {
    let places = || elsewhere.iter().rev().flat_map(|(date, all)| all.iter().map(|it| (*date, it)));
    for (date, place) in places().take(LOCATIONS_AT_MOST) {
        let Some((bucket, prefix)) = split_location(place) else {
            found.by_word.insert(date);
            continue;
        };
        let home = table.location.as_ref();
        let is_below = home.is_some_and(|home| home.0 == bucket && prefix.starts_with(&home.1));
        if is_below && found.written.contains_key(&date) {
            continue; // the table's own listing has counted it
        }
        let what = |error: &PlatformError| blind(format!("{place} of {}", table.id), error);
        let objects = objects_at(platform, &bucket, &prefix).await;
        for object in objects.map_err(|error| what(&error))? {
            found.note(date, &object);
        }
    }
    for (date, _) in places().skip(LOCATIONS_AT_MOST) {
        found.by_word.insert(date);
    }
    Ok(())
}

/// The objects of a partition's own location: a folder, or, where people wrote one down, a file.
pub(super) async fn objects_at(
    platform: &dyn Platform,
    bucket: &str,
    folder: &str,
) -> Answer<Vec<ObjectInfo>> {
    let mut objects = Vec::new();
    let listing = |prefix: &str, at_most: usize| Listing {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        at_most: Some(at_most),
        ..Listing::default()
    };
    let in_folder = listing(folder, OBJECTS_OF_A_LOCATION);
    platform.list_objects(&in_folder, &mut |page| objects.extend(page)).await?;
    let file = folder.trim_end_matches('/');
    if objects.is_empty() && !file.is_empty() {
        platform.list_objects(&listing(file, 1), &mut |page| objects.extend(page)).await?;
        objects.retain(|object| object.key == file);
    }
    Ok(objects)
}

/// The first date under a table, where its folders sort as their dates do.
pub(super) async fn first_date(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    (bucket, prefix): &(String, String),
) -> Result<Option<NaiveDate>, Blindness> {
    let listing = Listing {
        bucket: bucket.clone(),
        prefix: prefix.clone(),
        at_most: Some(OBJECTS_OF_A_LOCATION),
        ..Listing::default()
    };
    let mut first = None;
    platform
        .list_objects(&listing, &mut |page| {
            let dates =
                page.iter().filter(|object| object.size > 0).filter_map(|object| match row_of_key(
                    table,
                    prefix,
                    &object.key,
                    std::iter::empty(),
                ) {
                    Row::Plain(date) | Row::Odd(date) | Row::Torn(date, _) => Some(date),
                    Row::Perhaps(_) | Row::Absent | Row::Unread => None,
                });
            first = first.into_iter().chain(dates).min();
        })
        .await
        .map_err(|error| blind(format!("objects of {}", table.id), &error))?;
    Ok(first)
}

/// Partitions of one table that are listed by their own location.
const LOCATIONS_AT_MOST: usize = 100;
/// Objects of one such location: enough to see past empty markers.
const OBJECTS_OF_A_LOCATION: usize = 1_000;

impl Gathered {
    fn take(&mut self, table: &RawTable<'_>, prefix: &str, dates: Dates<'_>, object: &ObjectInfo) {
        let folder = || folder_of(&object.key, prefix);
        match row_of_key(table, prefix, &object.key, dates.all()) {
            Row::Plain(date) | Row::Torn(date, _) => self.note_near(dates, date, object),
            Row::Odd(date) => {
                self.note_near(dates, date, object);
                if object.size > 0 && dates.contains(date) {
                    self.spelled.certain.entry(date).or_insert_with(folder);
                }
            }
            Row::Perhaps(all) if object.size > 0 => {
                for date in all.into_iter().filter(|date| dates.contains(*date)) {
                    self.spelled.uncertain.entry(date).or_insert_with(folder);
                }
            }
            Row::Perhaps(_) | Row::Absent | Row::Unread => {}
        }
    }

    fn note_near(&mut self, dates: Dates<'_>, date: NaiveDate, object: &ObjectInfo) {
        if dates.are_near(date, NEIGHBOUR_DAYS) {
            self.note(date, object);
        }
    }

    /// A folder's marker is no data.
    fn note(&mut self, date: NaiveDate, object: &ObjectInfo) {
        if object.size > 0 {
            self.written.entry(date).or_default().note(object.last_modified, object.size);
        }
    }
}

/// The folders of a key below its table.
pub(super) fn folder_of(key: &str, prefix: &str) -> String {
    let below = key.strip_prefix(prefix).unwrap_or(key);
    below.rsplit_once('/').map_or(below, |(folders, _)| folders).to_owned()
}

/// What a key's folder says of its date.
pub(super) fn row_of_key(
    table: &RawTable<'_>,
    prefix: &str,
    key: &str,
    days: impl Iterator<Item = NaiveDate>,
) -> Row {
    match key.strip_prefix(prefix).unwrap_or(key).rsplit_once('/') {
        Some((folders, _file)) => read_folders(table, folders, days),
        None => Row::Unread,
    }
}

/// One listing for the window, and one for each earlier year of named dates, none of which overlap;
/// a single one of the whole table when nothing tells how its folders are spelled.
fn listings(
    table: &RawTable<'_>,
    (bucket, prefix): &(String, String),
    dates: Dates<'_>,
    sample: Option<&PartitionSample>,
) -> Vec<Listing> {
    let all = Listing { bucket: bucket.clone(), prefix: prefix.clone(), ..Listing::default() };
    let year_of = |date: NaiveDate| year_prefix(table, prefix, sample, date);
    let window = dates.window.first().map(|first| {
        let start_after = year_of(*first)?;
        Some(Listing { start_after: Some(start_after), ..all.clone() })
    });
    let since = dates.window.first().map(Datelike::year);
    let sides = [-NEIGHBOUR_DAYS, NEIGHBOUR_DAYS].map(Duration::days);
    let near = dates.named.iter().flat_map(|date| sides.map(|days| *date + days));
    let years: BTreeMap<i32, NaiveDate> = near
        .map(|date| (date.year(), date))
        .filter(|(year, _)| since.is_none_or(|since| *year < since))
        .collect();
    let named = years
        .into_values()
        .map(|date| year_of(date).map(|prefix| Listing { prefix, ..all.clone() }));
    let listings: Option<Vec<Listing>> = window.into_iter().chain(named).collect();
    listings.unwrap_or_else(|| vec![all])
}

/// What every key of the date's year begins with, under any spelling of its month and day; `None`
/// when the year does not come first, or nothing tells.
pub(super) fn year_prefix(
    table: &RawTable<'_>,
    prefix: &str,
    sample: Option<&PartitionSample>,
    date: NaiveDate,
) -> Option<String> {
    let folder = match sample {
        Some(sample) => layout(table, prefix, sample)?.year_prefix(date)?,
        None => table.projected_year(date)?,
    };
    Some(format!("{prefix}{folder}"))
}

/// How the table's folders are spelled, by a partition that lies below the table.
pub(super) fn layout<'t>(
    table: &RawTable<'t>,
    prefix: &str,
    sample: &PartitionSample,
) -> Option<Layout<'t>> {
    let (_, location) = split_location(sample.location.as_deref()?)?;
    let format = &table.source().partition_format;
    Layout::learn(location.strip_prefix(prefix)?, sample.date, format)
}
