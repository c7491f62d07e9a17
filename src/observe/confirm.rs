//! The narrow look at one date, right before it is started and when its run should be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use super::dump_check::{DumpCheck, ZipMemory};
use super::{Confirmation, Scan, blind, clock, copy, landing, raw_zone};
use crate::config::DatasetSettings;
use crate::domain::{Blindness, Export, Seen};
use crate::platform::World;

/// Looks at one date: every table's partition and objects, its dump, its export.
///
/// `last` is the last scan: its dumps are what this one is judged against, and its partitions
/// tell how the tables spell dates.
pub async fn confirm(
    world: &World,
    dataset: &DatasetSettings,
    memory: &ZipMemory,
    last: Option<&Scan>,
    date: NaiveDate,
    in_flight: usize,
) -> Seen<Confirmation> {
    match look(world, dataset, memory, last, date, in_flight).await {
        Ok(confirmation) => Seen::Known(confirmation),
        Err(causes) => Seen::Blind(causes),
    }
}

async fn look(
    world: &World,
    dataset: &DatasetSettings,
    memory: &ZipMemory,
    last: Option<&Scan>,
    date: NaiveDate,
    in_flight: usize,
) -> Result<Confirmation, Vec<Blindness>> {
    let at = world.now();
    let platform = world.platform.as_ref();
    let prefix = landing::common_name_prefix(&dataset.landing.keys, date);
    let (clock, tables, now_there, export, copied) = futures_util::join!(
        clock::trusted(world),
        raw_zone::date_tables(platform, dataset, last.map(|scan| &scan.coverage), date, in_flight),
        landing::list_dumps(platform, dataset, &prefix),
        export_of(world, dataset, date),
        copy::state_of(platform, dataset, date, in_flight),
    );
    clock.map_err(|cause| vec![cause])?;
    let tables = tables?;
    let now_there = now_there.map_err(|cause| vec![cause])?;
    let export = export.map_err(|cause| vec![cause])?;
    let dumps = now_there.dumps.get(&date).cloned().unwrap_or_default();
    let mut view = last.map_or(now_there, |scan| scan.landing.clone());
    Arc::make_mut(&mut view.dumps).insert(date, dumps.clone());
    let check = DumpCheck { platform, memory, view: &view, dataset, now: at };
    let dump_fault = if dumps.is_empty() { None } else { check.fault(date).await };
    let copied = copied.map_err(|cause| vec![cause])?;
    let exported = match &export {
        Some(export) => exported_tables(world, dataset, export).await?,
        None => copied.as_ref().filter(|it| it.files > 0).map(|it| it.catalog_tables.clone()),
    };
    Ok(Confirmation {
        date,
        at,
        whole: tables.whole,
        half: tables.half,
        exported,
        tables: tables.all,
        written: tables.written,
        spelled: tables.spelled,
        dumps,
        dump_fault,
        export,
        copy: copied,
    })
}

async fn export_of(
    world: &World,
    dataset: &DatasetSettings,
    date: NaiveDate,
) -> Result<Option<Export>, Blindness> {
    let Some(settings) = &dataset.export else { return Ok(None) };
    let id = settings.snapshot_id.render(date);
    world.platform.export(&id).await.map_err(|error| blind(format!("export {id}"), &error))
}

/// The tables that the export held (H28), as the catalog spells them.
async fn exported_tables(
    world: &World,
    dataset: &DatasetSettings,
    export: &Export,
) -> Result<Option<BTreeSet<String>>, Vec<Blindness>> {
    let Some(bucket) = dataset.export.as_ref().and_then(|settings| settings.bucket.as_ref()) else {
        return Ok(None);
    };
    let files = copy::export_files(world.platform.as_ref(), bucket, &export.id).await;
    Ok(Some(files.map_err(|cause| vec![cause])?.catalog_tables()))
}
