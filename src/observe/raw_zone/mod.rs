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
mod reading;
mod spelling;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use futures_util::{StreamExt, future, stream};
use tokio::sync::mpsc;

pub(super) use narrow::date_tables;
use reading::Row;

use super::blind;
use crate::config::{DatasetSettings, RawSource};
use crate::domain::{
    Blindness, Coverage, DateSet, ErrorClass, IgnoredTable, TableCoverage, TableId, TableVolumes,
    VolumeBook,
};
use crate::platform::{CatalogTable, Platform, TableKind};

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
    /// The places of year, month and day among them.
    parts: Option<[usize; 3]>,
    /// Whether the values of the date's key are texts, and compared as such.
    is_text: bool,
    /// Bucket and prefix with a trailing slash.
    location: Option<(String, String)>,
    kind: TableKind,
}

impl<'a> RawTable<'a> {
    /// The catalog's table, or why it is left out.
    fn new(of: (&'a str, &'a RawSource), table: CatalogTable) -> Result<Self, Ignored> {
        let (_, source) = of;
        let id = TableId { database: source.database.clone(), table: table.name };
        let keys: Vec<String> = table.partition_keys.iter().map(|(key, _)| key.clone()).collect();
        let is_date_key = |key: &String| key.eq_ignore_ascii_case(&source.partition_key);
        let why = match &table.kind {
            TableKind::Other(kind) => Some((*kind).to_owned()),
            TableKind::Partitioned | TableKind::Projected { .. } if keys.is_empty() => {
                Some("it has no partition keys".to_owned())
            }
            TableKind::Partitioned | TableKind::Projected { .. } => None,
        };
        let key = keys.iter().position(is_date_key).filter(|_| why.is_none());
        let Some(key_index) = key else {
            let why = why.unwrap_or_else(|| format!("it has the keys {}", keys.join(", ")));
            return Err(Ignored { table: IgnoredTable { id, why }, keys });
        };
        let kind = table.partition_keys[key_index].1.to_ascii_lowercase();
        let is_text = matches!(kind.as_str(), "string" | "")
            || kind.starts_with("varchar")
            || kind.starts_with("char");
        Ok(Self {
            id,
            of,
            key_index,
            parts: reading::places_of_parts(&keys, &source.partition_key),
            keys,
            is_text,
            location: match &table.kind {
                TableKind::Projected { template: Some(template) } => split_template(template),
                TableKind::Partitioned | TableKind::Projected { .. } | TableKind::Other(_) => {
                    table.location.as_deref().and_then(split_location)
                }
            },
            kind: table.kind,
        })
    }

    fn source(&self) -> &'a RawSource {
        self.of.1
    }

    /// The date's key.
    fn key(&self) -> &'a str {
        &self.of.1.partition_key
    }

    /// Whether objects alone decide which dates the table has.
    fn is_projected(&self) -> bool {
        matches!(self.kind, TableKind::Projected { .. })
    }

    /// A partition's values that are no part of its date.
    fn values_beside(&self, values: &[String]) -> Vec<String> {
        let is_beside = |at: &usize| {
            *at != self.key_index && self.parts.is_none_or(|parts| !parts.contains(at))
        };
        let beside = (0..values.len()).filter(is_beside);
        beside.map(|at| values[at].clone()).collect()
    }

    /// Whether a location is a folder of the table that names the date, so that the table's own
    /// listing shows what is in it.
    fn names(&self, location: &str, date: NaiveDate) -> bool {
        let (Some(place), Some((bucket, prefix))) = (split_location(location), &self.location)
        else {
            return false;
        };
        let Some(folders) = place.1.strip_prefix(prefix.as_str()) else { return false };
        let leads = |folders: &str| match (folders.split_once('='), self.keys.first()) {
            (Some((label, _)), Some(key)) => label == key,
            _ => folders.starts_with(|first: char| first.is_ascii_digit()),
        };
        let row = reading::read_folders(self, folders.trim_end_matches('/'), std::iter::once(date));
        let is_it = matches!(row, Row::Plain(it) | Row::Odd(it) | Row::Torn(it, _) if it == date);
        place.0 == *bucket && leads(folders) && is_it
    }

    /// What the folders of a projected table's year begin with.
    fn projected_year(&self, date: NaiveDate) -> Option<String> {
        let TableKind::Projected { template: None } = &self.kind else { return None };
        let first = self.keys.first()?;
        let is_year = self.parts.is_some_and(|[year, ..]| year == 0);
        let leads =
            self.key_index == 0 && self.source().partition_format.pattern().starts_with("%Y");
        (is_year || leads).then(|| format!("{first}={}", date.format("%Y")))
    }
}

/// A matching table that is left out.
struct Ignored {
    table: IgnoredTable,
    keys: Vec<String>,
}

/// `s3://bucket/prefix` as bucket and prefix with a trailing slash.
fn split_location(location: &str) -> Option<(String, String)> {
    let rest =
        ["s3://", "s3a://", "s3n://", "S3://"].iter().find_map(|it| location.strip_prefix(it))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Some((bucket.to_owned(), prefix))
}

/// The folder that all folders of a `storage.location.template` share.
fn split_template(template: &str) -> Option<(String, String)> {
    let fixed = template.split("${").next().unwrap_or(template);
    split_location(fixed.rsplit_once('/').map_or(fixed, |(folder, _)| folder))
}

/// The dates that a look is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates<'a> {
    pub(super) window: &'a [NaiveDate],
    pub(super) named: &'a BTreeSet<NaiveDate>,
}

impl<'a> Dates<'a> {
    /// Every one of them.
    fn all(self) -> impl Iterator<Item = NaiveDate> + use<'a> {
        self.window.iter().chain(self.named).copied()
    }

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
) -> Result<Vec<IgnoredTable>, Vec<Blindness>> {
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
) -> Result<Vec<IgnoredTable>, Vec<Blindness>> {
    let what = || format!("tables of {database}");
    let mut ignored = Vec::new();
    let mut bare: BTreeMap<&str, Unkeyed> = dataset
        .raw
        .iter()
        .filter(|(_, source)| source.database == database)
        .map(|(name, _)| (name.as_str(), Unkeyed::default()))
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
                    Err(left_out) => {
                        if let Some(unkeyed) = bare.get_mut(of.0) {
                            unkeyed.note(&left_out);
                        }
                        ignored.push(left_out.table);
                    }
                }
            }
        }
    };
    let listed = platform.table_pages(database, &mut page).await;
    listed.map_err(|error| vec![blind(what(), &error)])?;
    let unmatched: Vec<Blindness> = bare
        .iter()
        .filter_map(|(name, unkeyed)| Some((name, unkeyed, dataset.raw.get(*name)?)))
        .map(|(name, unkeyed, source)| unkeyed.blindness(what(), name, source))
        .collect();
    if unmatched.is_empty() { Ok(ignored) } else { Err(unmatched) }
}

/// The matching tables of a source none of which has the date's key.
#[derive(Debug, Default)]
struct Unkeyed {
    tables: usize,
    /// The keys that they have, in order.
    keys: Vec<String>,
    /// Why one of them has none.
    why: Option<String>,
}

/// Why none of a source's tables can be read by the date's key, in words, or how many can.
pub(crate) fn keyed_tables(
    name: &str,
    source: &RawSource,
    tables: &[CatalogTable],
) -> Result<usize, String> {
    let mut unkeyed = Unkeyed::default();
    let mut keyed = 0;
    for table in tables.iter().filter(|table| source.selects(&table.name)) {
        match RawTable::new((name, source), table.clone()) {
            Ok(_) => keyed += 1,
            Err(left_out) => unkeyed.note(&left_out),
        }
    }
    if keyed > 0 { Ok(keyed) } else { Err(unkeyed.describe(name, source)) }
}

impl Unkeyed {
    fn note(&mut self, left_out: &Ignored) {
        self.tables += 1;
        if left_out.keys.is_empty() {
            self.why.get_or_insert_with(|| left_out.table.why.clone());
        }
        for key in &left_out.keys {
            if !self.keys.contains(key) && self.keys.len() < KEYS_TOLD_AT_MOST {
                self.keys.push(key.clone());
            }
        }
    }

    /// What is wrong, in words, and what to do.
    fn describe(&self, name: &str, source: &RawSource) -> String {
        let key = &source.partition_key;
        match (self.tables, self.keys.as_slice(), &self.why) {
            (0, ..) => {
                format!("no table matches raw.{name}.tables; check the pattern and the permissions")
            }
            (tables, [], why) => format!(
                "{tables} tables match, none has the key `{key}`: {}; gapmend reads tables that are partitioned in the catalog",
                why.as_deref().unwrap_or("they have no partition keys")
            ),
            (tables, keys, _) => format!(
                "{tables} tables match, none has the key `{key}`; they have {}; correct raw.{name}.partition_key",
                keys.join(", ")
            ),
        }
    }

    fn blindness(&self, what: String, name: &str, source: &RawSource) -> Blindness {
        Blindness { what, why: self.describe(name, source), class: ErrorClass::NotFound }
    }
}

/// Different keys of the tables of one source that are named.
const KEYS_TOLD_AT_MOST: usize = 12;

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
    let looks: Vec<Found<'_>> = whole(looks)?;
    let mut ignored = ignored?;
    let (mut looks, gone) = part(looks);
    ignored.extend(confirm_gone(platform, gone).await?);
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

/// A table that was listed, and looked at, or that Glue no longer knows.
enum Found<'a> {
    There(Box<TableLook<'a>>),
    Gone(TableId),
}

impl Found<'_> {
    fn having_noted_newest(self, written_at: &mut BTreeMap<NaiveDate, DateTime<Utc>>) -> Self {
        match self {
            Self::There(look) => Self::There(Box::new(look.having_noted_newest(written_at))),
            Self::Gone(id) => Self::Gone(id),
        }
    }
}

fn part(found: Vec<Found<'_>>) -> (Vec<TableLook<'_>>, Vec<TableId>) {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Found::There(look) => there.push(*look),
            Found::Gone(id) => gone.push(id),
        }
    }
    (there, gone)
}

/// A table that Glue listed and then did not know was deleted in between, when a second list no
/// longer has it. One that is still listed is hidden from us, and its dates with it.
async fn confirm_gone(
    platform: &dyn Platform,
    gone: Vec<TableId>,
) -> Result<Vec<IgnoredTable>, Vec<Blindness>> {
    let databases: BTreeSet<&str> = gone.iter().map(|id| id.database.as_str()).collect();
    let mut listed = BTreeSet::new();
    for database in databases {
        let tables = platform.tables(database).await;
        let tables =
            tables.map_err(|error| vec![blind(format!("tables of {database}"), &error)])?;
        listed.extend(tables.into_iter().map(|table| (database.to_owned(), table.name)));
    }
    let is_listed = |id: &TableId| listed.contains(&(id.database.clone(), id.table.clone()));
    let hidden: Vec<Blindness> = gone
        .iter()
        .filter(|id| is_listed(id))
        .map(|id| Blindness {
            what: format!("partitions of {id}"),
            why: "Glue lists the table and answers that it does not exist: the role cannot see it \
                  (permissions, Lake Formation), or it is being recreated"
                .to_owned(),
            class: ErrorClass::Denied,
        })
        .collect();
    if !hidden.is_empty() {
        return Err(hidden);
    }
    let why = || "it was deleted during the scan".to_owned();
    Ok(gone.into_iter().map(|id| IgnoredTable { id, why: why() }).collect())
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
    ) -> Result<Found<'a>, Blindness> {
        let catalog = if table.is_projected() {
            catalog::Found::default()
        } else {
            match catalog::look(platform, &table, dates).await {
                Ok(found) => found,
                Err(error) if error.class == ErrorClass::NotFound => {
                    return Ok(Found::Gone(table.id));
                }
                Err(error) => return Err(blind(format!("partitions of {}", table.id), &error)),
            }
        };
        let mut look = Self { table, catalog, objects: None };
        if look.catalog.sample.is_some() {
            look.list_objects(platform, dataset, dates).await?;
        }
        Ok(Found::There(Box::new(look)))
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
        if self.table.is_projected() {
            return self.by_its_objects(platform, dataset, dates).await;
        }
        let first = self.catalog.dates.first();
        let begins_late = first.is_none_or(|first| oldest.is_some_and(|oldest| oldest < first));
        let is_known_earlier = self.catalog.begins < first;
        if begins_late && !(first.is_some() && is_known_earlier) {
            catalog::look_earlier(platform, &self.table, dates, &mut self.catalog).await?;
        }
        self.catalog.can_be_read(&self.table)?;
        if self.objects.is_none() {
            self.list_objects(platform, dataset, dates).await?;
        }
        Ok(self)
    }

    /// A table by partition projection: Athena reads the folders that exist, and so does this.
    async fn by_its_objects(
        mut self,
        platform: &dyn Platform,
        dataset: &DatasetSettings,
        dates: Dates<'_>,
    ) -> Result<Self, Blindness> {
        let Some(location) = self.table.location.clone() else {
            return Err(Blindness {
                what: format!("objects of {}", self.table.id),
                why: "it uses partition projection, and its location is no s3:// address"
                    .to_owned(),
                class: ErrorClass::Invalid,
            });
        };
        if self.objects.is_none() {
            self.list_objects(platform, dataset, dates).await?;
        }
        let stored = self.objects.as_ref().map(|found| found.stored.clone()).unwrap_or_default();
        self.catalog.begins = objects::first_date(platform, &self.table, &location)
            .await?
            .into_iter()
            .chain(stored.first())
            .min();
        self.catalog.dates = stored;
        Ok(self)
    }

    async fn list_objects(
        &mut self,
        platform: &dyn Platform,
        dataset: &DatasetSettings,
        dates: Dates<'_>,
    ) -> Result<(), Blindness> {
        if !(dataset.window.check_objects || self.table.is_projected()) {
            return Ok(());
        }
        let elsewhere = &self.catalog.elsewhere;
        if self.table.location.is_none() && elsewhere.is_empty() {
            return Ok(());
        }
        let mut found = match &self.table.location {
            Some(location) => {
                let sample = self.catalog.sample.as_ref();
                objects::look(platform, &self.table, location, dates, sample).await?
            }
            None => objects::Gathered::default(),
        };
        objects::look_elsewhere(platform, &self.table, elsewhere, &mut found).await?;
        self.objects = Some(objects::Found::of(&self.table, dates, found));
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
        let mut spelled = self.catalog.spelled;
        let (stored, written_twice, volumes) = match self.objects {
            Some(found) => {
                spelled.add(found.spelled);
                (Some(found.stored), found.written_twice, Some(found.volumes))
            }
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
            spelled,
        };
        (table, volumes)
    }
}
