//! What the objects say of one table: which dates have bytes, and when they were written.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::super::blind;
use super::spelling::Layout;
use super::{Dates, RawTable, split_location};
use crate::domain::{Blindness, DateSet, PartitionSample};
use crate::platform::{Listing, ObjectInfo, Platform};

/// Objects of one table and date written further apart come from two runs (H8).
const ONE_WRITE_HOURS: i64 = 6;
/// Named dates further apart are listed on their own, and not with all that lies between them.
const ONE_LISTING_DAYS: i64 = 31;

/// What a listing of a table's objects showed.
#[derive(Default)]
pub(super) struct Found {
    /// Dates that have at least one object with bytes.
    pub(super) stored: DateSet,
    /// The newest write of each.
    pub(super) newest: BTreeMap<NaiveDate, DateTime<Utc>>,
    oldest: BTreeMap<NaiveDate, DateTime<Utc>>,
}

impl Found {
    /// Dates whose objects come from two writes hours apart (H8).
    pub(super) fn written_twice(&self) -> DateSet {
        let apart = Duration::hours(ONE_WRITE_HOURS);
        let twice = self.newest.iter().filter(|(date, newest)| {
            self.oldest.get(*date).is_some_and(|oldest| **newest - *oldest > apart)
        });
        twice.map(|(date, _)| *date).collect()
    }

    fn note(&mut self, date: NaiveDate, object: &ObjectInfo) {
        if object.size == 0 {
            return; // a folder's marker is no data
        }
        self.stored.insert(date);
        let at = object.last_modified;
        let oldest = self.oldest.entry(date).or_insert(at);
        *oldest = (*oldest).min(at);
        let newest = self.newest.entry(date).or_insert(at);
        *newest = (*newest).max(at);
    }
}

/// Lists what lies under the table, from right before the first folder of the dates on.
pub(super) async fn look(
    platform: &dyn Platform,
    table: &RawTable<'_>,
    location: &(String, String),
    dates: Dates<'_>,
    sample: Option<&PartitionSample>,
) -> Result<Found, Blindness> {
    let mut found = Found::default();
    for listing in listings(table, location, dates, sample) {
        platform
            .list_objects(&listing, &mut |page| {
                for object in page {
                    let date = date_of_key(table, &location.1, &object.key);
                    if let Some(date) = date.filter(|date| dates.contains(*date)) {
                        found.note(date, &object);
                    }
                }
            })
            .await
            .map_err(|error| blind(format!("objects of {}", table.id), &error))?;
    }
    Ok(found)
}

/// The date in a key's folder: `…/import_date=20260105/part-0.parquet`, or the bare value.
fn date_of_key(table: &RawTable<'_>, prefix: &str, key: &str) -> Option<NaiveDate> {
    let (folders, _file) = key.strip_prefix(prefix).unwrap_or(key).rsplit_once('/')?;
    folders.split('/').find_map(|folder| {
        let value = match folder.split_once('=') {
            Some((name, value)) => (name == table.key()).then_some(value)?,
            None => folder,
        };
        table.source().partition_format.parse(value)
    })
}

/// One listing for the window, and one for each group of named dates; a single one of the whole
/// table when nothing tells how its folders are spelled.
fn listings(
    table: &RawTable<'_>,
    (bucket, prefix): &(String, String),
    dates: Dates<'_>,
    sample: Option<&PartitionSample>,
) -> Vec<Listing> {
    let all = Listing { bucket: bucket.clone(), prefix: prefix.clone(), ..Listing::default() };
    let Some(layout) = sample.and_then(|sample| layout(table, prefix, sample)) else {
        return vec![all];
    };
    let listing = |dates: &[NaiveDate], end: bool| {
        let folders = || dates.iter().map(|date| layout.folders(*date));
        let first = folders().filter_map(|folders| folders.into_iter().next()).min()?;
        let last = folders().filter_map(|folders| folders.into_iter().next_back()).max()?;
        Some(Listing {
            start_after: Some(format!("{prefix}{first}")),
            // The highest character comes after every key of the last folder.
            end_before: end.then(|| format!("{prefix}{last}{}", char::MAX)),
            ..all.clone()
        })
    };
    let groups = groups(dates);
    let named = groups.iter().filter_map(|group| listing(group, true));
    listing(dates.window, false).into_iter().chain(named).collect()
}

/// The named dates, those that are near each other together.
fn groups(dates: Dates<'_>) -> Vec<Vec<NaiveDate>> {
    let mut groups: Vec<Vec<NaiveDate>> = Vec::new();
    for date in dates.named {
        match groups.last_mut() {
            Some(group)
                if group
                    .last()
                    .is_some_and(|last| (*date - *last).num_days() <= ONE_LISTING_DAYS) =>
            {
                group.push(*date);
            }
            _ => groups.push(vec![*date]),
        }
    }
    groups
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
