//! The raw zone: which tables have which dates, in the catalog and in the objects.
//!
//! Tables are read side by side, a page is dropped as soon as its dates are noted. The calls
//! are what the page arithmetic demands: the tables of each database, one predicate query a
//! table, one small query more for a table that seems to begin inside the window, and one
//! listing a table when objects are checked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::blind;
use crate::config::{DatasetSettings, RawSource};
use crate::domain::{Blindness, Coverage, DateSet, ErrorClass, TableCoverage, TableId};
use crate::platform::{
    Answer, CatalogTable, Listing, ObjectInfo, Partition, PartitionQuery, Platform,
};

/// Glue refuses a longer expression.
const EXPRESSION_CHARACTERS_AT_MOST: usize = 2_048;
/// Objects of one table and date written further apart come from two runs (H8).
const ONE_WRITE_HOURS: i64 = 6;

/// A table of a raw source with all that is needed to query it.
#[derive(Clone, Debug)]
pub(super) struct RawTable {
    pub(super) id: TableId,
    pub(super) source: String,
    pub(super) optional: bool,
    /// The place of the date among the partition keys.
    key_index: usize,
    key: String,
    /// All partition keys, in order: the table's folders.
    keys: Vec<String>,
    /// Whether the key's literals are quoted in an expression.
    quoted: bool,
    /// Bucket and prefix with a trailing slash.
    location: Option<(String, String)>,
}

/// Every matching table, and those without the partition key.
pub(super) async fn tables(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
) -> Result<(Vec<RawTable>, Vec<TableId>), Blindness> {
    let mut found = Vec::new();
    let mut ignored = Vec::new();
    for (name, source) in &dataset.raw {
        let what = || format!("tables of {}", source.database);
        let tables =
            platform.tables(&source.database).await.map_err(|error| blind(what(), &error))?;
        let before = found.len();
        for table in tables.into_iter().filter(|table| source.selects(&table.name)) {
            match raw_table(name, source, table) {
                Ok(table) => found.push(table),
                Err(id) => ignored.push(id),
            }
        }
        if found.len() == before {
            return Err(Blindness {
                what: what(),
                why: format!(
                    "no table matches raw.{name}.tables; check the pattern and the permissions"
                ),
                class: ErrorClass::NotFound,
            });
        }
    }
    Ok((found, ignored))
}

fn raw_table(name: &str, source: &RawSource, table: CatalogTable) -> Result<RawTable, TableId> {
    let id = TableId { database: source.database.clone(), table: table.name.clone() };
    let key = table.partition_keys.iter().position(|(key, _)| *key == source.partition_key);
    let Some(key_index) = key else { return Err(id) };
    let kind = table.partition_keys[key_index].1.to_ascii_lowercase();
    let quoted = matches!(kind.as_str(), "string" | "date" | "timestamp" | "")
        || kind.starts_with("varchar")
        || kind.starts_with("char");
    Ok(RawTable {
        optional: source.is_optional(&id.table),
        id,
        source: name.to_owned(),
        key_index,
        key: source.partition_key.clone(),
        keys: table.partition_keys.into_iter().map(|(key, _)| key).collect(),
        quoted,
        location: table.location.as_deref().and_then(split_location),
    })
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
#[derive(Clone, Debug)]
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
}

/// What every table has of the dates.
pub(super) async fn coverage(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    dates: &Dates<'_>,
    in_flight: usize,
) -> Result<Coverage, Vec<Blindness>> {
    let (tables, ignored) = tables(platform, dataset).await.map_err(|cause| vec![cause])?;
    let looks = tables.into_iter().map(|table| table_look(platform, dataset, table, dates));
    let results: Vec<Result<TableLook, Blindness>> =
        stream::iter(looks).buffered(in_flight.max(1)).collect().await;
    let mut coverage = Coverage { ignored, ..Coverage::default() };
    let mut causes = Vec::new();
    for result in results {
        match result {
            Ok(look) => {
                for (date, at) in look.written_at {
                    let newest = coverage.written_at.entry(date).or_insert(at);
                    *newest = (*newest).max(at);
                }
                coverage.tables.push(look.table);
            }
            Err(cause) => causes.push(cause),
        }
    }
    if causes.is_empty() { Ok(coverage) } else { Err(causes) }
}

struct TableLook {
    table: TableCoverage,
    written_at: BTreeMap<NaiveDate, DateTime<Utc>>,
}

async fn table_look(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    table: RawTable,
    dates: &Dates<'_>,
) -> Result<TableLook, Blindness> {
    let source = &dataset.raw[&table.source];
    let (catalogued, sample) = catalogued(platform, source, &table, dates).await?;
    let began_before = began_before(platform, source, &table, dates, &catalogued).await?;
    let objects = match (&table.location, dataset.window.check_objects) {
        (Some(location), true) => {
            Some(objects(platform, source, &table, location, dates, sample.as_ref()).await?)
        }
        (None, _) | (_, false) => None,
    };
    let (stored, written_at, written_twice) = match objects {
        Some(found) => (Some(found.stored), found.newest, found.twice),
        None => (None, BTreeMap::new(), DateSet::default()),
    };
    Ok(TableLook {
        table: TableCoverage {
            id: table.id,
            source: table.source,
            optional: table.optional,
            catalogued,
            stored,
            began_before,
            written_twice,
        },
        written_at,
    })
}

async fn catalogued(
    platform: &dyn Platform,
    source: &RawSource,
    table: &RawTable,
    dates: &Dates<'_>,
) -> Result<(DateSet, Option<Partition>), Blindness> {
    let mut set = dates.first().map(DateSet::starting_at).unwrap_or_default();
    let mut sample = None;
    let query = query(table, window_expression(source, table, dates), None);
    platform
        .partitions(&query, &mut |page| {
            for partition in page {
                let date = date_of(source, table, &partition).filter(|date| dates.contains(*date));
                if let Some(date) = date {
                    set.insert(date);
                    sample.get_or_insert(partition);
                }
            }
        })
        .await
        .map_err(|error| blind(format!("partitions of {}", table.id), &error))?;
    Ok((set, sample))
}

fn date_of(source: &RawSource, table: &RawTable, partition: &Partition) -> Option<NaiveDate> {
    source.partition_format.parse(partition.values.get(table.key_index)?)
}

fn query(table: &RawTable, expression: Option<String>, at_most: Option<usize>) -> PartitionQuery {
    PartitionQuery {
        database: table.id.database.clone(),
        table: table.id.table.clone(),
        expression,
        at_most,
    }
}

fn literal(source: &RawSource, table: &RawTable, date: NaiveDate) -> String {
    let value = source.partition_format.render(date);
    if table.quoted { format!("'{value}'") } else { value }
}

/// The window as a predicate, with the named dates beside it. Texts sort like dates only when
/// the year comes first and everything has its full width; else everything is fetched.
fn window_expression(source: &RawSource, table: &RawTable, dates: &Dates<'_>) -> Option<String> {
    if !sorts_like_dates(source) {
        return None;
    }
    let key = &table.key;
    let window = dates.window.first();
    let mut expression = window.map(|from| format!("{key} >= {}", literal(source, table, *from)));
    if !dates.named.is_empty() {
        let values: Vec<String> =
            dates.named.iter().map(|date| literal(source, table, *date)).collect();
        let named = format!("{key} IN ({})", values.join(", "));
        expression = Some(match expression {
            Some(window) => format!("{window} OR {named}"),
            None => named,
        });
    }
    match expression {
        Some(text) if text.len() > EXPRESSION_CHARACTERS_AT_MOST => {
            dates.first().map(|first| format!("{key} >= {}", literal(source, table, first)))
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

/// Whether the table has a partition before the dates looked at. Asked only of a table that
/// seems to begin inside them: a predicate is blind to what lies before it.
async fn began_before(
    platform: &dyn Platform,
    source: &RawSource,
    table: &RawTable,
    dates: &Dates<'_>,
    catalogued: &DateSet,
) -> Result<bool, Blindness> {
    let Some(first) = dates.first() else { return Ok(false) };
    if catalogued.contains(first) {
        return Ok(true);
    }
    let expression = sorts_like_dates(source)
        .then(|| format!("{} < {}", table.key, literal(source, table, first)));
    let at_most = expression.is_some().then_some(1);
    let mut found = false;
    platform
        .partitions(&query(table, expression, at_most), &mut |page| {
            found |= page
                .iter()
                .filter_map(|partition| date_of(source, table, partition))
                .any(|date| date < first);
        })
        .await
        .map_err(|error| blind(format!("earlier partitions of {}", table.id), &error))?;
    Ok(found)
}

/// What a listing of a table's objects showed.
#[derive(Default)]
struct Objects {
    stored: DateSet,
    oldest: BTreeMap<NaiveDate, DateTime<Utc>>,
    newest: BTreeMap<NaiveDate, DateTime<Utc>>,
    twice: DateSet,
}

async fn objects(
    platform: &dyn Platform,
    source: &RawSource,
    table: &RawTable,
    (bucket, prefix): &(String, String),
    dates: &Dates<'_>,
    sample: Option<&Partition>,
) -> Result<Objects, Blindness> {
    let mut found = Objects::default();
    let listing = Listing {
        bucket: bucket.clone(),
        prefix: prefix.clone(),
        start_after: start_after(source, table, prefix, dates, sample),
        at_most: None,
    };
    platform
        .list_objects(&listing, &mut |page| {
            for object in page {
                note_object(&mut found, source, prefix, dates, &object);
            }
        })
        .await
        .map_err(|error| blind(format!("objects of {}", table.id), &error))?;
    let apart = chrono::Duration::hours(ONE_WRITE_HOURS);
    found.twice = found
        .newest
        .iter()
        .filter(|(date, newest)| {
            found.oldest.get(*date).is_some_and(|oldest| **newest - *oldest > apart)
        })
        .map(|(date, _)| *date)
        .collect();
    Ok(found)
}

fn note_object(
    found: &mut Objects,
    source: &RawSource,
    prefix: &str,
    dates: &Dates<'_>,
    object: &ObjectInfo,
) {
    let path = object.key.strip_prefix(prefix).unwrap_or(&object.key);
    let Some(date) = date_in_path(source, path).filter(|date| dates.contains(*date)) else {
        return;
    };
    if object.size == 0 {
        return; // a folder's marker is no data
    }
    found.stored.insert(date);
    let at = object.last_modified;
    let oldest = found.oldest.entry(date).or_insert(at);
    *oldest = (*oldest).min(at);
    let newest = found.newest.entry(date).or_insert(at);
    *newest = (*newest).max(at);
}

/// The date in a key's folder: `…/import_date=20260105/part-0.parquet`.
fn date_in_path(source: &RawSource, path: &str) -> Option<NaiveDate> {
    path.split('/').find_map(|folder| {
        let value = folder.strip_prefix(&source.partition_key)?.strip_prefix('=')?;
        source.partition_format.parse(value)
    })
}

/// How a table's folders spell a date, learned from a partition that exists, never from names.
///
/// A sample does not tell everything (`11` may or may not be padded), so each folder keeps
/// every spelling that fits; the smallest of them is a bound that no real folder precedes.
struct Layout(Vec<(String, Vec<&'static str>)>);

/// The spellings that a part of a date may have in a folder's name.
const SPELLINGS: [&str; 9] =
    ["%Y%m%d", "%Y-%m-%d", "%Y%m", "%Y-%m", "%Y", "%m", "%-m", "%d", "%-d"];

impl Layout {
    fn learn(folders: &str, date: NaiveDate) -> Option<Self> {
        let parts = folders.trim_end_matches('/').split('/').map(|folder| {
            let (key, value) = folder.split_once('=')?;
            let fits = |spelling: &&&str| date.format(spelling).to_string() == value;
            let spellings: Vec<_> = SPELLINGS.iter().filter(fits).copied().collect();
            (!spellings.is_empty()).then(|| (key.to_owned(), spellings))
        });
        parts.collect::<Option<Vec<_>>>().map(Self)
    }

    /// No object of the date has a smaller key below the table's prefix.
    fn lower_bound(&self, date: NaiveDate) -> String {
        let smallest = |(key, spellings): &(String, Vec<&str>)| {
            let folders =
                spellings.iter().map(|spelling| format!("{key}={}/", date.format(spelling)));
            folders.min().unwrap_or_default()
        };
        self.0.iter().map(smallest).collect()
    }
}

/// Where a table's listing may begin: before the smallest folder of any date looked at.
fn start_after(
    source: &RawSource,
    table: &RawTable,
    prefix: &str,
    dates: &Dates<'_>,
    sample: Option<&Partition>,
) -> Option<String> {
    let sample = sample?;
    let date = date_of(source, table, sample)?;
    let (_, location) = split_location(sample.location.as_deref()?)?;
    let layout = Layout::learn(location.strip_prefix(prefix)?, date)?;
    let all = dates.window.iter().chain(dates.named.iter());
    let smallest = all.map(|date| layout.lower_bound(*date)).min()?;
    Some(format!("{prefix}{smallest}"))
}

/// A narrow look at one date: each table's partition, and whether it has an object with bytes.
pub(super) async fn date_tables(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    date: NaiveDate,
    in_flight: usize,
) -> Result<DateTables, Vec<Blindness>> {
    let (tables, _) = tables(platform, dataset).await.map_err(|cause| vec![cause])?;
    let all = tables.iter().map(|table| table.id.clone()).collect();
    let looks = tables.into_iter().map(|table| async move {
        let presence = presence(platform, dataset, &table, date).await?;
        Ok::<_, Blindness>((table.id, presence))
    });
    let found: Vec<(TableId, Presence)> = stream::iter(looks)
        .buffer_unordered(in_flight.max(1))
        .try_collect()
        .await
        .map_err(|cause| vec![cause])?;
    let mut result = DateTables { all, ..DateTables::default() };
    for (id, presence) in found {
        match (presence.catalogued, presence.stored) {
            (true, true) => result.whole.insert(id),
            (true, false) | (false, true) => result.half.insert(id),
            (false, false) => false,
        };
    }
    Ok(result)
}

/// The tables by what they have of one date.
#[derive(Clone, Debug, Default)]
pub(super) struct DateTables {
    pub(super) all: BTreeSet<TableId>,
    pub(super) whole: BTreeSet<TableId>,
    pub(super) half: BTreeSet<TableId>,
}

struct Presence {
    catalogued: bool,
    stored: bool,
}

async fn presence(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    table: &RawTable,
    date: NaiveDate,
) -> Result<Presence, Blindness> {
    let source = &dataset.raw[&table.source];
    let mut location = None;
    let mut catalogued = false;
    let expression = format!("{} = {}", table.key, literal(source, table, date));
    platform
        .partitions(&query(table, Some(expression), None), &mut |page| {
            for partition in page {
                if date_of(source, table, &partition) == Some(date) {
                    catalogued = true;
                    location = partition.location;
                }
            }
        })
        .await
        .map_err(|error| blind(format!("the partition of {date} in {}", table.id), &error))?;
    let folder = location.as_deref().and_then(split_location);
    let stored = match (folder, &table.location) {
        (Some((bucket, prefix)), _) => has_bytes(platform, &bucket, &prefix).await,
        (None, Some((bucket, prefix))) if dataset.window.check_objects => {
            stray_objects(platform, source, table, (bucket, prefix), date).await
        }
        (None, _) => Ok(catalogued),
    };
    let stored =
        stored.map_err(|error| blind(format!("objects of {date} in {}", table.id), &error))?;
    Ok(Presence { catalogued, stored })
}

/// Enough objects to see past a few empty markers.
const OBJECTS_FOR_PRESENCE: usize = 100;

async fn has_bytes(platform: &dyn Platform, bucket: &str, prefix: &str) -> Answer<bool> {
    let mut found = false;
    let listing = Listing {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        start_after: None,
        at_most: Some(OBJECTS_FOR_PRESENCE),
    };
    platform
        .list_objects(&listing, &mut |page| found |= page.iter().any(|object| object.size > 0))
        .await?;
    Ok(found)
}

/// Objects of a date that the catalog does not know. Their folder can only be supposed, from the
/// table's keys; what a wrong supposition misses the next scan sees.
async fn stray_objects(
    platform: &dyn Platform,
    source: &RawSource,
    table: &RawTable,
    (bucket, prefix): (&str, &str),
    date: NaiveDate,
) -> Answer<bool> {
    for (month, day) in [("%m", "%d"), ("%-m", "%-d")] {
        let folder = |key: &String| {
            let value = match key {
                key if *key == table.key => source.partition_format.render(date),
                key if key.contains("year") => date.format("%Y").to_string(),
                key if key.contains("month") => date.format(month).to_string(),
                key if key.contains("day") => date.format(day).to_string(),
                _ => return None,
            };
            Some(format!("{key}={value}/"))
        };
        let Some(folders) = table.keys.iter().map(folder).collect::<Option<String>>() else {
            return Ok(false);
        };
        if has_bytes(platform, bucket, &format!("{prefix}{folders}")).await? {
            return Ok(true);
        }
        if table.keys.len() == 1 {
            break; // nothing in the folder that could be padded
        }
    }
    Ok(false)
}
