//! The raw zone: which tables have which dates, in the catalog and in the objects.
//!
//! ```text
//!   tables of each database, page by page ──► each table, side by side:
//!        catalog   one query with the dates as its predicate
//!        objects   one listing that begins right before the first of the dates
//!        earlier   only where others have a date that the table seems to begin after
//! ```
//!
//! The calls are what the page arithmetic demands, and a page is dropped as soon as its dates
//! are noted. [`narrow`] looks at one date, right before it is started and when it is done.

mod catalog;
mod narrow;
mod objects;
mod spelling;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use futures_util::{StreamExt, future, stream};
use tokio::sync::mpsc;

pub(super) use narrow::date_tables;

use super::blind;
use crate::config::{DatasetSettings, RawSource};
use crate::domain::{
    Blindness, Coverage, DateSet, ErrorClass, TableCoverage, TableId, TableVolumes, VolumeBook,
};
use crate::platform::{CatalogTable, Platform};

/// A table of a raw source with all that is needed to query it.
#[derive(Clone, Debug)]
struct RawTable<'a> {
    id: TableId,
    /// The source's name, and the source.
    of: (&'a str, &'a RawSource),
    /// The place of the date among the partition keys.
    key_index: usize,
    /// All partition keys, in order: the table's folders.
    keys: Vec<String>,
    /// Whether the key's literals are quoted in an expression.
    quoted: bool,
    /// Bucket and prefix with a trailing slash.
    location: Option<(String, String)>,
}

impl<'a> RawTable<'a> {
    /// The catalog's table, or its name when it lacks the partition key.
    fn new(of: (&'a str, &'a RawSource), table: CatalogTable) -> Result<Self, TableId> {
        let (_, source) = of;
        let id = TableId { database: source.database.clone(), table: table.name };
        let key = table.partition_keys.iter().position(|(key, _)| *key == source.partition_key);
        let Some(key_index) = key else { return Err(id) };
        let kind = table.partition_keys[key_index].1.to_ascii_lowercase();
        let quoted = matches!(kind.as_str(), "string" | "date" | "timestamp" | "")
            || kind.starts_with("varchar")
            || kind.starts_with("char");
        Ok(Self {
            id,
            of,
            key_index,
            keys: table.partition_keys.into_iter().map(|(key, _)| key).collect(),
            quoted,
            location: table.location.as_deref().and_then(split_location),
        })
    }

    fn source(&self) -> &'a RawSource {
        self.of.1
    }

    /// The date's key.
    fn key(&self) -> &'a str {
        &self.of.1.partition_key
    }
}

/// `s3://bucket/prefix` as bucket and prefix with a trailing slash.
fn split_location(location: &str) -> Option<(String, String)> {
    let rest =
        ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| location.strip_prefix(scheme))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Some((bucket.to_owned(), prefix))
}

/// The dates that a look is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates<'a> {
    pub(super) window: &'a [NaiveDate],
    pub(super) named: &'a BTreeSet<NaiveDate>,
}

impl Dates<'_> {
    fn first(&self) -> Option<NaiveDate> {
        self.window.first().into_iter().chain(self.named.first()).min().copied()
    }

    fn contains(&self, date: NaiveDate) -> bool {
        let window = self.window.first().zip(self.window.last());
        window.is_some_and(|(first, last)| (*first..=*last).contains(&date))
            || self.named.contains(&date)
    }

    /// Whether the date is one of them or lies so near to one.
    fn are_near(&self, date: NaiveDate, days: i64) -> bool {
        let around = date - Duration::days(days)..=date + Duration::days(days);
        self.contains(date) || self.named.range(around).next().is_some()
    }
}

/// The tables of a dataset as their pages come, each found table handed on at once; at the end
/// the matching tables without the partition key.
async fn find_tables<'a>(
    platform: &dyn Platform,
    dataset: &'a DatasetSettings,
    found: mpsc::UnboundedSender<RawTable<'a>>,
) -> Result<Vec<TableId>, Vec<Blindness>> {
    let databases: BTreeSet<&str> =
        dataset.raw.values().map(|source| source.database.as_str()).collect();
    let lists =
        databases.into_iter().map(|database| tables_of(platform, dataset, database, &found));
    let mut ignored = Vec::new();
    let mut causes = Vec::new();
    for list in future::join_all(lists).await {
        match list {
            Ok(tables) => ignored.extend(tables),
            Err(more) => causes.extend(more),
        }
    }
    if causes.is_empty() { Ok(ignored) } else { Err(causes) }
}

/// One database is listed once, however many sources are in it.
async fn tables_of<'a>(
    platform: &dyn Platform,
    dataset: &'a DatasetSettings,
    database: &str,
    found: &mpsc::UnboundedSender<RawTable<'a>>,
) -> Result<Vec<TableId>, Vec<Blindness>> {
    let what = || format!("tables of {database}");
    let mut ignored = Vec::new();
    let mut bare: BTreeMap<&str, &RawSource> = dataset
        .raw
        .iter()
        .filter(|(_, source)| source.database == database)
        .map(|(name, source)| (name.as_str(), source))
        .collect();
    let sources: Vec<(&'a str, &'a RawSource)> = bare
        .keys()
        .filter_map(|name| dataset.raw.get_key_value(*name))
        .map(|(name, source)| (name.as_str(), source))
        .collect();
    let mut page = |tables: Vec<CatalogTable>| {
        for table in tables {
            for of in sources.iter().filter(|(_, source)| source.selects(&table.name)) {
                match RawTable::new(*of, table.clone()) {
                    Ok(table) => {
                        bare.remove(of.0);
                        let _ = found.send(table); // nobody listens once the look has failed
                    }
                    Err(id) => ignored.push(id),
                }
            }
        }
    };
    let listed = platform.table_pages(database, &mut page).await;
    listed.map_err(|error| vec![blind(what(), &error)])?;
    let unmatched: Vec<Blindness> = bare.keys().map(|name| no_table(what(), name)).collect();
    if unmatched.is_empty() { Ok(ignored) } else { Err(unmatched) }
}

fn no_table(what: String, source: &str) -> Blindness {
    let why =
        format!("no table matches raw.{source}.tables; check the pattern and the permissions");
    Blindness { what, why, class: ErrorClass::NotFound }
}

/// What every table has of the dates.
pub(super) async fn coverage(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    dates: Dates<'_>,
    in_flight: usize,
) -> Result<Coverage, Vec<Blindness>> {
    let (send, receive) = mpsc::unbounded_channel();
    let tables = stream::unfold(receive, |mut receive| async {
        receive.recv().await.map(|table| (table, receive))
    });
    let mut written_at = BTreeMap::new();
    let looks = tables
        .map(|table| TableLook::make(platform, dataset, table, dates))
        .buffer_unordered(in_flight.max(1))
        .map(|look| look.map(|look| look.having_noted_newest(&mut written_at)))
        .collect();
    let (ignored, looks) = future::join(find_tables(platform, dataset, send), looks).await;
    let mut looks = whole(looks)?;
    let ignored = ignored?;
    looks.sort_by(|a: &TableLook<'_>, b| {
        (a.table.of.0, &a.table.id).cmp(&(b.table.of.0, &b.table.id))
    });
    let oldest = looks.iter().filter_map(|look| look.catalog.dates.first()).min();
    let looks = stream::iter(looks)
        .map(|look| look.with_what_came_earlier(platform, dataset, dates, oldest))
        .buffered(in_flight.max(1))
        .map(|look| look.map(|look| look.having_noted_newest(&mut written_at)))
        .collect()
        .await;
    let mut coverage = Coverage { ignored, written_at, ..Coverage::default() };
    let mut volumes = Vec::new();
    for look in whole(looks)? {
        let (table, of_table) = look.into_parts();
        coverage.tables.push(table);
        volumes.extend(of_table);
    }
    coverage.volumes = VolumeBook::of(volumes);
    Ok(coverage)
}

/// All of them, or every reason why not.
fn whole<T>(results: Vec<Result<T, Blindness>>) -> Result<Vec<T>, Vec<Blindness>> {
    let mut causes = Vec::new();
    let mut found = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(one) => found.push(one),
            Err(cause) => causes.push(cause),
        }
    }
    if causes.is_empty() { Ok(found) } else { Err(causes) }
}

/// One table, looked at.
struct TableLook<'a> {
    table: RawTable<'a>,
    catalog: catalog::Found,
    /// `None` when objects are not looked at, or not yet.
    objects: Option<objects::Found>,
}

impl<'a> TableLook<'a> {
    async fn make(
        platform: &dyn Platform,
        dataset: &DatasetSettings,
        table: RawTable<'a>,
        dates: Dates<'_>,
    ) -> Result<Self, Blindness> {
        let catalog = catalog::look(platform, &table, dates).await?;
        let mut look = Self { table, catalog, objects: None };
        if look.catalog.sample.is_some() {
            look.list_objects(platform, dataset, dates).await?;
        }
        Ok(look)
    }

    /// A predicate is blind to what lies before it. Where other tables have dates that this one
    /// seems to begin after, or none has any, its own first partition is looked for.
    async fn with_what_came_earlier(
        mut self,
        platform: &dyn Platform,
        dataset: &DatasetSettings,
        dates: Dates<'_>,
        oldest: Option<NaiveDate>,
    ) -> Result<Self, Blindness> {
        let first = self.catalog.dates.first();
        let begins_late = first.is_none_or(|first| oldest.is_some_and(|oldest| oldest < first));
        if begins_late {
            catalog::look_earlier(platform, &self.table, dates, &mut self.catalog).await?;
        }
        self.catalog.can_be_read(&self.table)?;
        if self.objects.is_none() {
            self.list_objects(platform, dataset, dates).await?;
        }
        Ok(self)
    }

    async fn list_objects(
        &mut self,
        platform: &dyn Platform,
        dataset: &DatasetSettings,
        dates: Dates<'_>,
    ) -> Result<(), Blindness> {
        if let (Some(location), true) = (&self.table.location, dataset.window.check_objects) {
            let sample = self.catalog.sample.as_ref();
            let found = objects::look(platform, &self.table, location, dates, sample).await?;
            self.objects = Some(found);
        }
        Ok(())
    }

    /// The newest writes are wanted over all tables only; of each they would be the largest part.
    fn having_noted_newest(mut self, written_at: &mut BTreeMap<NaiveDate, DateTime<Utc>>) -> Self {
        let found = self.objects.as_mut();
        for (date, at) in found.map(|found| std::mem::take(&mut found.newest)).into_iter().flatten()
        {
            let newest = written_at.entry(date).or_insert(at);
            *newest = (*newest).max(at);
        }
        self
    }

    fn into_parts(self) -> (TableCoverage, Option<TableVolumes>) {
        let (stored, written_twice, volumes) = match self.objects {
            Some(found) => (Some(found.stored), found.written_twice, Some(found.volumes)),
            None => (None, DateSet::default(), None),
        };
        let table = TableCoverage {
            optional: self.table.source().is_optional(&self.table.id.table),
            id: self.table.id,
            source: self.table.of.0.to_owned(),
            catalogued: self.catalog.dates,
            begins: self.catalog.begins,
            sample: self.catalog.sample,
            stored,
            written_twice,
        };
        (table, volumes)
    }
}
