//! The narrow look at one date, right before it is started and when its run should be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use super::zip_tail::ZipMemory;
use super::{Confirmation, Scan, blind, clock, landing, raw_zone};
use crate::config::DatasetSettings;
use crate::domain::{Blindness, Export, Seen};
use crate::platform::{Listing, World};

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
    let (clock, tables, now_there, export) = futures_util::join!(
        clock::trusted(world),
        raw_zone::date_tables(platform, dataset, last.map(|scan| &scan.coverage), date, in_flight),
        landing::list_dumps(platform, dataset, &prefix),
        export_of(world, dataset, date),
    );
    clock.map_err(|cause| vec![cause])?;
    let tables = tables?;
    let now_there = now_there.map_err(|cause| vec![cause])?;
    let export = export.map_err(|cause| vec![cause])?;
    let dumps = now_there.dumps.get(&date).cloned().unwrap_or_default();
    let mut view = last.map_or(now_there, |scan| scan.landing.clone());
    Arc::make_mut(&mut view.dumps).insert(date, dumps.clone());
    let dump_fault = if dumps.is_empty() {
        None
    } else {
        let fault = landing::fault(platform, memory, &view, dataset, date).await;
        fault.map_err(|cause| vec![cause])?
    };
    let exported = match &export {
        Some(export) => exported_tables(world, dataset, export).await?,
        None => None,
    };
    Ok(Confirmation {
        date,
        at,
        whole: tables.whole,
        half: tables.half,
        exported,
        tables: tables.all,
        dumps,
        dump_fault,
        export,
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

/// The tables that the export held (H28): folders named `database.table` below its id, which the
/// catalog spells `database_table`.
async fn exported_tables(
    world: &World,
    dataset: &DatasetSettings,
    export: &Export,
) -> Result<Option<BTreeSet<String>>, Vec<Blindness>> {
    let Some(bucket) = dataset.export.as_ref().and_then(|settings| settings.bucket.clone()) else {
        return Ok(None);
    };
    let mut tables = BTreeSet::new();
    let listing =
        Listing { prefix: format!("{}/", export.id), bucket: bucket.clone(), ..Listing::default() };
    world
        .platform
        .list_objects(&listing, &mut |page| {
            let keys = page.iter().filter(|object| object.key.ends_with(".parquet"));
            tables.extend(keys.filter_map(|object| table_of_key(&object.key)));
        })
        .await
        .map_err(|error| vec![blind(format!("export {} in s3://{bucket}", export.id), &error)])?;
    Ok(Some(tables))
}

/// `id/db/db.table/1/part-0.parquet` → `db_table`, in lower case as Glue has it.
fn table_of_key(key: &str) -> Option<String> {
    let (folders, _file) = key.rsplit_once('/')?;
    let folder = folders.split('/').find(|folder| folder.contains('.'))?;
    Some(folder.replace('.', "_").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_folder_names_its_table() {
        let key = "sql-to-parquet-2022-06-01-backdated/liberator/liberator.PCN/1/part-0.gz.parquet";
        assert_eq!(table_of_key(key).as_deref(), Some("liberator_pcn"));
        assert_eq!(table_of_key("id/export_info.json"), None);
    }
}
