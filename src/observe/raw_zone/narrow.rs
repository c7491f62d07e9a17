//! The narrow look at one date: each table's partition, and whether it has an object with bytes.
//!
//! Absence is what starts a run, so it is asked for twice and in different ways: the partition
//! by its values, spelled as the scan's sample tells (`BatchGetPartition`), and, when that finds
//! nothing or nothing tells the spelling, by a predicate that no spelling of the date escapes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::super::blind;
use super::catalog::{date_expression, date_of, query};
use super::reading::{Row, read_values, told};
use super::{RawTable, find_tables, objects, spelling, split_location};
use crate::config::DatasetSettings;
use crate::domain::{
    Blindness, Coverage, ErrorClass, OddSpellings, PartitionSample, TableId, Written,
};
use crate::platform::{Answer, Listing, Partition, Platform};

/// The tables by what they have of one date.
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct DateTables {
    pub(in crate::observe) all: BTreeSet<TableId>,
    pub(in crate::observe) whole: BTreeSet<TableId>,
    pub(in crate::observe) half: BTreeSet<TableId>,
    /// What was written for it, in the tables that have any of it.
    pub(in crate::observe) written: BTreeMap<TableId, Written>,
    /// What tables have of it under another spelling than the configured one.
    pub(in crate::observe) spelled: BTreeMap<TableId, OddSpellings>,
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
    let found: Vec<(TableId, Option<Presence>)> = stream::iter(looks)
        .buffer_unordered(in_flight.max(1))
        .try_collect()
        .await
        .map_err(|cause| vec![cause])?;
    let gone = found.iter().filter(|(_, presence)| presence.is_none()).map(|(id, _)| id.clone());
    let gone = super::confirm_gone(platform, gone.collect()).await?;
    let mut result = DateTables { all, ..DateTables::default() };
    for table in &gone {
        result.all.remove(&table.id);
    }
    for (id, presence) in found {
        let Some(presence) = presence else { continue };
        if presence.spelled != OddSpellings::default() {
            result.spelled.insert(id.clone(), presence.spelled.clone());
        }
        match (presence.catalogued, presence.stored) {
            (true, true) => result.whole.insert(id.clone()),
            (false, false) if presence.spelled.uncertain.is_empty() => false,
            (true | false, false) | (false, true) => result.half.insert(id.clone()),
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
    spelled: OddSpellings,
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
    /// `None` for a table that Glue does not know any more.
    async fn presence(&self) -> Result<Option<Presence>, Blindness> {
        let blind_to = |what: &str, error: &_| {
            blind(format!("{what} of {} in {}", self.date, self.table.id), error)
        };
        let (mut spelled, mut written) = (OddSpellings::default(), Written::default());
        if self.table.is_projected() {
            let listed = self.list_strays(&mut spelled, &mut written).await;
            listed.map_err(|error| blind_to("objects", &error))?;
            let stored = !written.is_empty();
            return Ok(Some(Presence { catalogued: stored, stored, written, spelled }));
        }
        let partition = match self.partition(&mut spelled).await {
            Ok(partition) => partition,
            Err(error) if error.class == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(blind_to("the partition", &error)),
        };
        let listed = match &partition {
            Some(partition) => self.list_partition(partition, &mut written).await,
            None if self.dataset.window.check_objects => {
                self.list_strays(&mut spelled, &mut written).await.map(|()| true)
            }
            None => Ok(true),
        };
        let is_listed = listed.map_err(|error| blind_to("objects", &error))?;
        let stored = !is_listed || !written.is_empty();
        Ok(Some(Presence { catalogued: partition.is_some(), stored, written, spelled }))
    }

    /// The date's partition, under whatever spelling.
    async fn partition(&self, spelled: &mut OddSpellings) -> Answer<Option<Partition>> {
        let is_it = |found: &Partition| date_of(self.table, found) == Some(self.date);
        let values = self.spelled_values();
        if !values.is_empty() {
            let id = &self.table.id;
            let found = self.platform.partitions_at(&id.database, &id.table, &values).await?;
            if let Some(partition) = found.into_iter().find(is_it) {
                return Ok(Some(partition));
            }
        }
        let mut found: Option<(bool, Partition)> = None;
        let expression = date_expression(self.table, self.date);
        self.platform
            .partitions(&query(self.table, expression, None), &mut |page| {
                for partition in page {
                    let odd = match self.row(&partition.values) {
                        Row::Plain(date) if date == self.date => false,
                        Row::Odd(date) if date == self.date => {
                            let value = || told(&partition.values);
                            spelled.certain.entry(date).or_insert_with(value);
                            true
                        }
                        Row::Torn(by_key, by_parts)
                            if self.date == by_key || self.date == by_parts =>
                        {
                            let value = || told(&partition.values);
                            spelled.uncertain.entry(self.date).or_insert_with(value);
                            continue;
                        }
                        Row::Perhaps(all) if all.contains(&self.date) => {
                            let value = || told(&partition.values);
                            spelled.uncertain.entry(self.date).or_insert_with(value);
                            continue;
                        }
                        Row::Plain(_)
                        | Row::Odd(_)
                        | Row::Torn(..)
                        | Row::Perhaps(_)
                        | Row::Absent
                        | Row::Unread => continue,
                    };
                    if found.as_ref().is_none_or(|(known_odd, _)| *known_odd && !odd) {
                        found = Some((odd, partition));
                    }
                }
            })
            .await?;
        Ok(found.map(|(_, partition)| partition))
    }

    fn row(&self, values: &[String]) -> Row {
        read_values(self.table, values, std::iter::once(self.date))
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
        let Some((bucket, prefix)) = partition.location.as_deref().and_then(split_location) else {
            return Ok(false);
        };
        for object in objects::objects_at(self.platform, &bucket, &prefix).await? {
            written.note(object.last_modified, object.size);
        }
        Ok(true)
    }

    /// Objects of the date that the catalog does not know, under whatever spelling: everything of
    /// its year is read, for which folder they would lie in nobody knows.
    async fn list_strays(&self, spelled: &mut OddSpellings, written: &mut Written) -> Answer<()> {
        let Some((bucket, prefix)) = &self.table.location else { return Ok(()) };
        let year = objects::year_prefix(self.table, prefix, self.sample, self.date);
        let listing = Listing {
            bucket: bucket.clone(),
            prefix: year.unwrap_or_else(|| prefix.clone()),
            ..Listing::default()
        };
        self.platform
            .list_objects(&listing, &mut |page| {
                for object in page.iter().filter(|object| object.size > 0) {
                    let days = std::iter::once(self.date);
                    let folder = || objects::folder_of(&object.key, prefix);
                    match objects::row_of_key(self.table, prefix, &object.key, days) {
                        Row::Plain(date) | Row::Torn(date, _) if date == self.date => {
                            written.note(object.last_modified, object.size);
                        }
                        Row::Odd(date) if date == self.date => {
                            written.note(object.last_modified, object.size);
                            spelled.certain.entry(date).or_insert_with(folder);
                        }
                        Row::Perhaps(all) if all.contains(&self.date) => {
                            spelled.uncertain.entry(self.date).or_insert_with(folder);
                        }
                        Row::Plain(_)
                        | Row::Torn(..)
                        | Row::Odd(_)
                        | Row::Perhaps(_)
                        | Row::Absent
                        | Row::Unread => {}
                    }
                }
            })
            .await
    }
}
