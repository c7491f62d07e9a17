//! The narrow look at one date: each table's partition, and what its objects amount to.
//!
//! Absence is what starts a run, so it is asked for twice and in different ways: the partition
//! by its values, spelled as the scan's sample tells (`BatchGetPartition`), and, when that finds
//! nothing or nothing tells the spelling, by a predicate on the date's key alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::super::blind;
use super::catalog::{date_of, literal, query};
use super::{RawTable, find_tables, objects, spelling, split_location};
use crate::config::DatasetSettings;
use crate::domain::{Blindness, Coverage, PartitionSample, TableId, Written};
use crate::platform::{Answer, Listing, ObjectInfo, Partition, Platform};

/// The tables by what they have of one date.
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct DateTables {
    pub(in crate::observe) all: BTreeSet<TableId>,
    pub(in crate::observe) whole: BTreeSet<TableId>,
    pub(in crate::observe) half: BTreeSet<TableId>,
    /// What was written for it, in the tables that have any of it.
    pub(in crate::observe) written: BTreeMap<TableId, Written>,
}

/// Looks at one date; `known` is the last scan's coverage, which tells how tables spell dates.
pub(in crate::observe) async fn date_tables(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    known: Option<&Coverage>,
    date: NaiveDate,
    in_flight: usize,
) -> Result<DateTables, Vec<Blindness>> {
    let (send, mut receive) = mpsc::unbounded_channel();
    find_tables(platform, dataset, send).await?;
    let mut tables = Vec::new();
    while let Ok(table) = receive.try_recv() {
        tables.push(table);
    }
    let samples = samples(known);
    let all = tables.iter().map(|table| table.id.clone()).collect();
    let looks = tables.into_iter().map(|table| {
        let sample = samples.get(&table.id).copied();
        async move {
            let look = Look { platform, dataset, table: &table, sample, date };
            let presence = look.presence().await?;
            Ok::<_, Blindness>((table.id, presence))
        }
    });
    let found: Vec<(TableId, Presence)> = stream::iter(looks)
        .buffer_unordered(in_flight.max(1))
        .try_collect()
        .await
        .map_err(|cause| vec![cause])?;
    let mut result = DateTables { all, ..DateTables::default() };
    for (id, presence) in found {
        match (presence.catalogued, presence.stored) {
            (true, true) => result.whole.insert(id.clone()),
            (true, false) | (false, true) => result.half.insert(id.clone()),
            (false, false) => false,
        };
        if !presence.written.is_empty() {
            result.written.insert(id, presence.written);
        }
    }
    Ok(result)
}

fn samples(known: Option<&Coverage>) -> BTreeMap<&TableId, &PartitionSample> {
    let tables = known.into_iter().flat_map(|coverage| &coverage.tables);
    tables.filter_map(|table| Some((&table.id, table.sample.as_ref()?))).collect()
}

struct Presence {
    catalogued: bool,
    stored: bool,
    written: Written,
}

/// One table and one date.
struct Look<'a> {
    platform: &'a dyn Platform,
    dataset: &'a DatasetSettings,
    table: &'a RawTable<'a>,
    sample: Option<&'a PartitionSample>,
    date: NaiveDate,
}

impl Look<'_> {
    async fn presence(&self) -> Result<Presence, Blindness> {
        let blind_to = |what: &str, error: &_| {
            blind(format!("{what} of {} in {}", self.date, self.table.id), error)
        };
        let partition = self.partition().await;
        let partition = partition.map_err(|error| blind_to("the partition", &error))?;
        let mut written = Written::default();
        let listed = match &partition {
            Some(partition) => self.list_partition(partition, &mut written).await,
            None if self.dataset.window.check_objects => {
                self.list_likely_folders(&mut written).await.map(|()| true)
            }
            None => Ok(true),
        };
        let is_listed = listed.map_err(|error| blind_to("objects", &error))?;
        let stored = !is_listed || !written.is_empty();
        Ok(Presence { catalogued: partition.is_some(), stored, written })
    }

    async fn partition(&self) -> Answer<Option<Partition>> {
        let is_it = |found: &Partition| date_of(self.table, found) == Some(self.date);
        let values = self.spelled_values();
        if !values.is_empty() {
            let id = &self.table.id;
            let found = self.platform.partitions_at(&id.database, &id.table, &values).await?;
            if let Some(partition) = found.into_iter().find(is_it) {
                return Ok(Some(partition));
            }
        }
        let mut found = None;
        let expression = format!("{} = {}", self.table.key(), literal(self.table, self.date));
        self.platform
            .partitions(&query(self.table, Some(expression), None), &mut |page| {
                found = found.take().or_else(|| page.into_iter().find(is_it));
            })
            .await?;
        Ok(found)
    }

    fn spelled_values(&self) -> Vec<Vec<String>> {
        let format = &self.table.source().partition_format;
        match self.sample {
            Some(sample) => spelling::values_of(sample, format, self.date),
            None if self.table.keys.len() == 1 => vec![vec![format.render(self.date)]],
            None => Vec::new(),
        }
    }

    /// Whether it could be listed: a partition without a place of its own is taken at the
    /// catalog's word.
    async fn list_partition(&self, partition: &Partition, written: &mut Written) -> Answer<bool> {
        match partition.location.as_deref().and_then(split_location) {
            Some((bucket, prefix)) => {
                self.list_below(&bucket, prefix, written).await.map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Objects of the date that the catalog does not know.
    async fn list_likely_folders(&self, written: &mut Written) -> Answer<()> {
        let Some((bucket, prefix)) = &self.table.location else { return Ok(()) };
        for folder in self.likely_folders(prefix) {
            self.list_below(bucket, format!("{prefix}{folder}"), written).await?;
        }
        Ok(())
    }

    /// Where the date's objects would lie: as the sample's do, else as the keys' names suggest.
    /// What a wrong supposition misses the next scan sees.
    fn likely_folders(&self, prefix: &str) -> Vec<String> {
        let layout = self.sample.and_then(|sample| objects::layout(self.table, prefix, sample));
        if let Some(layout) = layout {
            return layout.folders(self.date);
        }
        let mut folders: Vec<String> = [("%m", "%d"), ("%-m", "%-d")]
            .iter()
            .filter_map(|parts| self.supposed(*parts))
            .collect();
        folders.dedup();
        folders
    }

    fn supposed(&self, (month, day): (&str, &str)) -> Option<String> {
        let folder = |key: &String| {
            let value = match key {
                key if *key == self.table.key() => {
                    self.table.source().partition_format.render(self.date)
                }
                key if key.contains("year") => self.date.format("%Y").to_string(),
                key if key.contains("month") => self.date.format(month).to_string(),
                key if key.contains("day") => self.date.format(day).to_string(),
                _ => return None,
            };
            Some(format!("{key}={value}/"))
        };
        self.table.keys.iter().map(folder).collect()
    }

    /// All objects: they are summed up.
    async fn list_below(&self, bucket: &str, prefix: String, written: &mut Written) -> Answer<()> {
        let listing = Listing { bucket: bucket.to_owned(), prefix, ..Listing::default() };
        let mut note = |page: Vec<ObjectInfo>| {
            for object in page {
                written.note(object.last_modified, object.size);
            }
        };
        self.platform.list_objects(&listing, &mut note).await
    }
}
