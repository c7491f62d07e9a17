//! The look at everything: dumps, catalog, objects, and the exports of the dates without data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Duration, NaiveDate};
use futures_util::{StreamExt, stream};

use super::dump_check::{DumpCheck, ZipMemory};
use super::{LandingView, Scan, blind, clock, copy, landing, raw_zone};
use crate::config::{self, DatasetSettings, Mode, Order};
use crate::domain::{Blindness, Coverage, DumpFault, ErrorClass, Export, Seen};
use crate::ledger::ScanRecord;
use crate::platform::World;

/// Exports are looked up for so many dates without data at most, newest first.
const EXPORT_LOOKUPS_AT_MOST: usize = 200;
/// The copy is looked at for as many dates as so many nights may start.
const COPY_NIGHTS_LOOKED_AT: usize = 3;
/// And for no more dates than this: each costs one listing a table.
const COPY_DATES_AT_MOST: usize = 30;
/// Fewer than so many percent of the last scan's tables or partitions are a collapse, not a
/// loss: somebody hides the catalog from us (a policy, Lake Formation), or a page was lost.
const COLLAPSE_BELOW_PERCENT: u64 = 75;
/// One table may be dropped; of a few, that is many percent.
const COLLAPSE_FROM_TABLES_GONE: u64 = 2;
/// The partitions of one date may be purged by a person; of a short history, that is a lot.
const COLLAPSE_FROM_PARTITIONS: u64 = 20;

/// What a scan covers, besides the settings.
#[derive(Clone, Debug)]
pub struct ScanScope {
    /// Dates that were asked for by name.
    pub asked: BTreeSet<NaiveDate>,
    /// The last clear scan under the same configuration: a sudden collapse against it makes the
    /// look blind.
    pub last: Option<ScanRecord>,
    /// Dates whose last run must not be repeated: they wait for a person, behind the queue.
    pub unsafe_dates: BTreeSet<NaiveDate>,
    /// Dates that were published from an incomplete copy, as far as the ledger knows.
    pub suspects: BTreeSet<NaiveDate>,
    /// Requests at once.
    pub in_flight: usize,
}

/// Looks at everything.
pub async fn scan(
    world: &World,
    dataset: &DatasetSettings,
    memory: &ZipMemory,
    scope: &ScanScope,
) -> Seen<Scan> {
    match look(world, dataset, memory, scope).await {
        Ok(scan) => Seen::Known(scan),
        Err(causes) => Seen::Blind(causes),
    }
}

async fn look(
    world: &World,
    dataset: &DatasetSettings,
    memory: &ZipMemory,
    scope: &ScanScope,
) -> Result<Scan, Vec<Blindness>> {
    let at = world.now();
    let today = at.with_timezone(&dataset.timezone).date_naive();
    let window = window(dataset, today);
    let named = named(dataset, scope, &window, today);
    let dates = raw_zone::Dates { window: &window, named: &named };
    let platform = world.platform.as_ref();
    let (clock, dumps, coverage) = futures_util::join!(
        clock::trusted(world),
        landing::list_dumps(platform, dataset, ""),
        raw_zone::coverage(platform, dataset, dates, scope.in_flight),
    );
    clock.map_err(|cause| vec![cause])?;
    let (mut landing, coverage) = both(dumps, coverage)?;
    let unseen = unseen_sources(&coverage);
    if !unseen.is_empty() {
        return Err(unseen);
    }
    if let Some(cause) = collapse(&coverage, scope.last.as_ref()) {
        return Err(vec![cause]);
    }
    let bare = bare_dates(&window, &named, &coverage, &landing);
    let check = DumpCheck { platform, memory, view: &landing, dataset, now: at };
    let head = copy_dates(dataset, scope, &bare, today);
    let (faults, exports, in_copy) = futures_util::join!(
        check.faults(&bare, scope.in_flight),
        exports(world, dataset, &bare, scope.in_flight),
        copy::states_of(platform, dataset, &head, scope.in_flight),
    );
    let exports = exports?;
    landing.all_denied = all_denied(&bare, &faults, &dataset.landing.bucket);
    landing.faults = faults;
    Ok(Scan { at, today, window, named, landing, coverage, exports, copies: in_copy })
}

fn both<A, B>(
    first: Result<A, Blindness>,
    second: Result<B, Vec<Blindness>>,
) -> Result<(A, B), Vec<Blindness>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(cause), Ok(_)) => Err(vec![cause]),
        (Ok(_), Err(causes)) => Err(causes),
        (Err(cause), Err(causes)) => Err(std::iter::once(cause).chain(causes).collect()),
    }
}

/// The window's dates, today included.
fn window(dataset: &DatasetSettings, today: NaiveDate) -> Vec<NaiveDate> {
    let lookback = Duration::days(i64::from(dataset.window.lookback_days));
    let from = dataset.window.from.unwrap_or(today - lookback);
    let days = (today - from).num_days().max(0);
    (0..=days).map(|offset| from + Duration::days(offset)).filter(|date| *date <= today).collect()
}

/// Dates outside the window that are allowed or asked for by name.
fn named(
    dataset: &DatasetSettings,
    scope: &ScanScope,
    window: &[NaiveDate],
    today: NaiveDate,
) -> BTreeSet<NaiveDate> {
    let allowed = dataset
        .backfill
        .allow
        .values()
        .filter(|entry| entry.counts_on(today))
        .flat_map(|entry| &entry.dates)
        .flat_map(|span| span.days());
    let outside = |date: &NaiveDate| *date <= today && window.binary_search(date).is_err();
    allowed.chain(scope.asked.iter().copied()).filter(outside).collect()
}

/// A source whose tables have no partition, before the window or in it, was never seen: either
/// nothing was ever ingested, which is not for us to begin, or the catalog hides it.
fn unseen_sources(coverage: &Coverage) -> Vec<Blindness> {
    let expected = || coverage.tables.iter().filter(|table| !table.optional);
    let seen = |source: &str| {
        coverage.tables.iter().any(|table| table.source == source && table.begins.is_some())
    };
    let sources: BTreeSet<&str> = expected().map(|table| table.source.as_str()).collect();
    let unseen = sources.into_iter().filter(|source| !seen(source)).map(|source| Blindness {
        what: format!("raw.{source}"),
        why: "no table of it has any partition: if its data is there, the role cannot see it \
              (permissions, Lake Formation); if nothing was ever ingested, the first date is not \
              gapmend's to load"
            .to_owned(),
        class: ErrorClass::Denied,
    });
    unseen.collect()
}

/// Far fewer tables or partitions than last time is never believed.
fn collapse(coverage: &Coverage, last: Option<&ScanRecord>) -> Option<Blindness> {
    let last = last?;
    let tables = coverage.tables.len() as u64;
    let partitions = count_partitions(coverage);
    let fewer = |now: u64, before: u64| now * 100 < before * COLLAPSE_BELOW_PERCENT;
    let tables_before = u64::from(last.tables);
    let tables_gone = tables_before.saturating_sub(tables);
    let all_gone = partitions == 0 && last.partitions > 0;
    let why = if fewer(tables, tables_before) && tables_gone >= COLLAPSE_FROM_TABLES_GONE {
        format!("{tables} tables match, the last scan saw {}", last.tables)
    } else if all_gone
        || (last.partitions >= COLLAPSE_FROM_PARTITIONS && fewer(partitions, last.partitions))
    {
        format!("{partitions} partitions are visible, the last scan saw {}", last.partitions)
    } else {
        return None;
    };
    let what = "the whole catalog".to_owned();
    let why = format!(
        "{why}: a collapse is not believed; if it is real, say so in the configuration (raw.*.exclude, window.from), which starts the comparison anew"
    );
    Some(Blindness { what, why, class: ErrorClass::Denied })
}

/// Partitions over all tables, in the dates looked at.
#[must_use]
pub(crate) fn count_partitions(coverage: &Coverage) -> u64 {
    coverage.tables.iter().map(|table| table.catalogued.len() as u64).sum()
}

/// Dates that have a dump and that no table has: the only ones that may be run.
fn bare_dates(
    window: &[NaiveDate],
    named: &BTreeSet<NaiveDate>,
    coverage: &Coverage,
    landing: &LandingView,
) -> Vec<NaiveDate> {
    let has_data = |date: NaiveDate| {
        coverage.tables.iter().any(|table| {
            table.catalogued.contains(date)
                || table.spelled.of(date).is_some()
                || table.stored.as_ref().is_some_and(|stored| stored.contains(date))
        })
    };
    let dates = window.iter().chain(named.iter()).copied();
    dates.filter(|date| landing.dumps.contains_key(date) && !has_data(*date)).rev().collect()
}

/// Whether every one of several dumps is denied: then it is said once, as a matter of rights.
fn all_denied(
    candidates: &[NaiveDate],
    faults: &BTreeMap<NaiveDate, DumpFault>,
    bucket: &str,
) -> Option<String> {
    let denied = faults.values().filter(|fault| matches!(fault, DumpFault::Denied(_))).count();
    (denied > 1 && denied == candidates.len()).then(|| {
        format!(
            "every one of the {denied} dumps that were to be read is denied: gapmend's role needs \
             s3:GetObject on s3://{bucket}, and kms:Decrypt on the key that the bucket is \
             encrypted with"
        )
    })
}

/// The dates whose copy is looked at: those that the queue begins with, and those of which the
/// ledger remembers that they were published from an incomplete copy.
fn copy_dates(
    dataset: &DatasetSettings,
    scope: &ScanScope,
    bare: &[NaiveDate],
    today: NaiveDate,
) -> Vec<NaiveDate> {
    let backfill = &dataset.backfill;
    let healable = today - Duration::days(i64::from(dataset.window.min_age_days));
    let is_asked = |date: NaiveDate| scope.asked.contains(&date);
    let may_run = |date: NaiveDate| {
        let denied = config::entry_for(&backfill.deny, date, today).is_some();
        let allowed = dataset.mode != Mode::Allowlist
            || is_asked(date)
            || config::entry_for(&backfill.allow, date, today).is_some();
        date <= healable && allowed && !denied
    };
    let mut head: Vec<NaiveDate> = bare.iter().copied().filter(|date| may_run(*date)).collect();
    head.sort();
    if backfill.order == Order::NewestFirst {
        head.reverse();
    }
    head.sort_by_key(|date| (!is_asked(*date), scope.unsafe_dates.contains(date)));
    let runs = usize::try_from(backfill.max_runs_per_night).unwrap_or(usize::MAX);
    head.truncate(runs.saturating_mul(COPY_NIGHTS_LOOKED_AT).min(COPY_DATES_AT_MOST));
    let suspects = scope.suspects.iter().rev().take(COPY_DATES_AT_MOST);
    head.extend(suspects.filter(|date| !bare.contains(date)));
    head
}

async fn exports(
    world: &World,
    dataset: &DatasetSettings,
    dates: &[NaiveDate],
    in_flight: usize,
) -> Result<BTreeMap<NaiveDate, Export>, Vec<Blindness>> {
    let Some(settings) = &dataset.export else { return Ok(BTreeMap::new()) };
    let platform = world.platform.as_ref();
    let looks = dates.iter().take(EXPORT_LOOKUPS_AT_MOST).map(|date| async move {
        let id = settings.snapshot_id.render(*date);
        let export = platform.export(&id).await;
        let export = export.map_err(|error| blind(format!("export {id}"), &error))?;
        Ok(export.map(|export| (*date, export)))
    });
    gather(stream::iter(looks).buffered(in_flight.max(1)).collect().await)
}

fn gather<T>(
    results: Vec<Result<Option<(NaiveDate, T)>, Blindness>>,
) -> Result<BTreeMap<NaiveDate, T>, Vec<Blindness>> {
    let mut found = BTreeMap::new();
    let mut causes = Vec::new();
    for result in results {
        match result {
            Ok(one) => found.extend(one),
            Err(cause) => causes.push(cause),
        }
    }
    if causes.is_empty() { Ok(found) } else { Err(causes) }
}
