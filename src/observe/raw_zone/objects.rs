//! What the objects say of one table: which dates have bytes, how many, and when they were
//! written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::super::blind;
use super::spelling::Layout;
use super::{Dates, RawTable, split_location};
use crate::domain::{Blindness, DateSet, PartitionSample, TableVolumes, Written};
use crate::platform::{Listing, Platform};

/// Named dates further apart are listed on their own, and not with all that lies between them.
const ONE_LISTING_DAYS: i64 = 31;
/// So many days around a named date are listed with it, so that there is something to compare
/// its volume with.
const NEIGHBOUR_DAYS: i64 = 7;

/// What a listing of a table's objects showed.
pub(super) struct Found {
    /// Dates that have at least one object with bytes.
    pub(super) stored: DateSet,
    /// Dates whose objects come from two runs (H8).
    pub(super) written_twice: DateSet,
    /// The newest write of each date looked at.
    pub(super) newest: Vec<(NaiveDate, DateTime<Utc>)>,
    /// How much there is of each date, and of those beside the dates looked at.
    pub(super) volumes: TableVolumes,
}

impl Found {
    /// Sums up what was written, so that nothing of the listing itself is kept.
    fn of(table: &RawTable<'_>, dates: Dates<'_>, written: &BTreeMap<NaiveDate, Written>) -> Self {
        let volumes = written.iter().map(|(date, written)| (*date, written.volume())).collect();
        let limits = table.source().volume_limits(&table.id.table);
        let volumes = TableVolumes::judge(table.id.clone(), limits, volumes);
        let looked_at = || written.iter().filter(|(date, _)| dates.contains(**date));
        let twice =
            looked_at().filter(|(date, written)| written.is_from_two_runs(volumes.usual(**date)));
        Self {
            stored: looked_at().map(|(date, _)| *date).collect(),
            written_twice: twice.map(|(date, _)| *date).collect(),
            newest: looked_at()
                .filter_map(|(date, written)| Some((*date, written.newest()?)))
                .collect(),
            volumes,
        }
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
    let mut written: BTreeMap<NaiveDate, Written> = BTreeMap::new();
    for (listing, only) in listings(table, location, dates, sample) {
        // Listings may overlap where folders do not sort as their dates do: each date is counted
        // in one of them.
        let counts = |date: &NaiveDate| match &only {
            Some(only) => only.binary_search(date).is_ok(),
            None => dates.are_near(*date, NEIGHBOUR_DAYS),
        };
        platform
            .list_objects(&listing, &mut |page| {
                for object in page.into_iter().filter(|object| object.size > 0) {
                    let date = date_of_key(table, &location.1, &object.key);
                    if let Some(date) = date.filter(counts) {
                        written.entry(date).or_default().note(object.last_modified, object.size);
                    }
                }
            })
            .await
            .map_err(|error| blind(format!("objects of {}", table.id), &error))?;
    }
    Ok(Found::of(table, dates, &written))
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

/// One listing for the window, and one for each group of named dates, with the dates that count
/// in it; a single one of the whole table when nothing tells how its folders are spelled.
fn listings(
    table: &RawTable<'_>,
    (bucket, prefix): &(String, String),
    dates: Dates<'_>,
    sample: Option<&PartitionSample>,
) -> Vec<(Listing, Option<Vec<NaiveDate>>)> {
    let all = Listing { bucket: bucket.clone(), prefix: prefix.clone(), ..Listing::default() };
    let Some(layout) = sample.and_then(|sample| layout(table, prefix, sample)) else {
        return vec![(all, None)];
    };
    let listing = |dates: Vec<NaiveDate>, end: bool| {
        let folders = || dates.iter().map(|date| layout.folders(*date));
        let first = folders().filter_map(|folders| folders.into_iter().next()).min()?;
        let last = folders().filter_map(|folders| folders.into_iter().next_back()).max()?;
        let listing = Listing {
            start_after: Some(format!("{prefix}{first}")),
            // The highest character comes after every key of the last folder.
            end_before: end.then(|| format!("{prefix}{last}{}", char::MAX)),
            ..all.clone()
        };
        Some((listing, Some(dates)))
    };
    let groups = groups(dates);
    let named =
        groups.iter().filter_map(|group| listing(with_neighbours(group, dates.window), true));
    listing(dates.window.to_vec(), false).into_iter().chain(named).collect()
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

/// Dates and the days around them, each once, without those of the window.
fn with_neighbours(dates: &[NaiveDate], window: &[NaiveDate]) -> Vec<NaiveDate> {
    let days = (-NEIGHBOUR_DAYS..=NEIGHBOUR_DAYS).map(Duration::days);
    let all = dates.iter().flat_map(|date| days.clone().map(|days| *date + days));
    let all: BTreeSet<NaiveDate> = all.filter(|date| window.binary_search(date).is_err()).collect();
    all.into_iter().collect()
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
