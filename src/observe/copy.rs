//! The copy: the zone between export and raw. It answers one question, "which objects lie there
//! for this date?", and its twin, "which files does this export hold?".
//!
//! The tables' folders are not known beforehand: one listing by delimiter finds them, then each
//! is listed below the date's folder. Every listing is whole, or the answer is blind.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::blind;
use crate::config::{CopySettings, DatasetSettings};
use crate::domain::copied::compare;
use crate::domain::{
    Blindness, CopiedFile, CopyListing, CopyState, ExportListing, ExportStatus, FileId, Seen,
};
use crate::platform::{Listing, ObjectInfo, Platform};

/// Listings of one run's copy that are asked for side by side; the platform's own limit of requests
/// stands above it.
const LISTINGS_AT_ONCE: usize = 8;

/// What lies in the copy for the date.
///
/// # Errors
/// A listing failed: nothing is known then, not even of the other tables.
pub async fn copy_of(
    platform: &dyn Platform,
    copy: &CopySettings,
    date: NaiveDate,
    in_flight: usize,
) -> Result<CopyListing, Blindness> {
    let folders = table_folders(platform, copy).await?;
    copy_below(platform, copy, &folders, date, in_flight).await
}

/// The tables' folders: names such as `liberator.pcn`, without slashes.
///
/// # Errors
/// The listing failed.
pub async fn table_folders(
    platform: &dyn Platform,
    copy: &CopySettings,
) -> Result<Vec<String>, Blindness> {
    let folders = platform.folders(&copy.bucket, &copy.prefix).await;
    let folders = folders.map_err(|error| {
        blind(format!("tables in s3://{}/{}", copy.bucket, copy.prefix), &error)
    })?;
    let name = |folder: &String| {
        folder.strip_prefix(&copy.prefix)?.strip_suffix('/').map(ToOwned::to_owned)
    };
    Ok(folders.iter().filter_map(name).filter(|name| !name.is_empty()).collect())
}

/// What lies in the date's folder of each of these tables.
///
/// # Errors
/// One of the listings failed.
pub async fn copy_below(
    platform: &dyn Platform,
    copy: &CopySettings,
    tables: &[String],
    date: NaiveDate,
    in_flight: usize,
) -> Result<CopyListing, Blindness> {
    let looks = tables.iter().map(|table| async move {
        let files = files_of(platform, copy, table, date).await?;
        Ok::<_, Blindness>((table.clone(), files))
    });
    let found: Vec<(String, Vec<CopiedFile>)> =
        stream::iter(looks).buffer_unordered(in_flight.max(1)).try_collect().await?;
    let tables = found.into_iter().filter(|(_, files)| !files.is_empty()).collect();
    Ok(CopyListing { tables })
}

async fn files_of(
    platform: &dyn Platform,
    copy: &CopySettings,
    table: &str,
    date: NaiveDate,
) -> Result<Vec<CopiedFile>, Blindness> {
    let prefix = format!("{}{table}/{}", copy.prefix, copy.folder.render(date));
    let listing =
        Listing { bucket: copy.bucket.clone(), prefix: prefix.clone(), ..Listing::default() };
    let mut files = Vec::new();
    platform
        .list_objects(&listing, &mut |page| {
            files.extend(page.into_iter().map(|object| copied(&prefix, object)));
        })
        .await
        .map_err(|error| blind(format!("s3://{}/{prefix}", copy.bucket), &error))?;
    Ok(files)
}

fn copied(prefix: &str, object: ObjectInfo) -> CopiedFile {
    CopiedFile {
        name: object.key.strip_prefix(prefix).unwrap_or(&object.key).to_owned(),
        key: object.key,
        size: object.size,
        etag: object.etag,
        last_modified: object.last_modified,
    }
}

/// The files that an export holds, by its own folder.
///
/// # Errors
/// The listing failed.
pub async fn export_files(
    platform: &dyn Platform,
    bucket: &str,
    id: &str,
) -> Result<ExportListing, Blindness> {
    let listing =
        Listing { bucket: bucket.to_owned(), prefix: format!("{id}/"), ..Listing::default() };
    let mut export = ExportListing::default();
    platform
        .list_objects(&listing, &mut |page| {
            let files = page.iter().filter_map(|object| Some((file_id(&object.key)?, object.size)));
            export.files.extend(files);
        })
        .await
        .map_err(|error| blind(format!("export {id} in s3://{bucket}"), &error))?;
    Ok(export)
}

/// What lies in the copy for the date, and whose files they are; `None` without a copy section.
pub(super) async fn state_of(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    date: NaiveDate,
    in_flight: usize,
) -> Result<Option<CopyState>, Blindness> {
    let Some(copy) = &dataset.copy else { return Ok(None) };
    let folders = table_folders(platform, copy).await?;
    state_below(platform, dataset, copy, &folders, date, in_flight).await.map(Some)
}

/// The same for several dates; a date that could not be seen spoils no other one.
pub(super) async fn states_of(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    dates: &[NaiveDate],
    in_flight: usize,
) -> BTreeMap<NaiveDate, Seen<CopyState>> {
    let (Some(copy), false) = (&dataset.copy, dates.is_empty()) else { return BTreeMap::new() };
    let folders = match table_folders(platform, copy).await {
        Ok(folders) => folders,
        Err(cause) => {
            let blind = |date: &NaiveDate| (*date, Seen::Blind(vec![cause.clone()]));
            return dates.iter().map(blind).collect();
        }
    };
    let mut states = BTreeMap::new();
    for date in dates {
        let state = state_below(platform, dataset, copy, &folders, *date, in_flight).await;
        states.insert(*date, state.map_or_else(|cause| Seen::Blind(vec![cause]), Seen::Known));
    }
    states
}

async fn state_below(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    copy: &CopySettings,
    folders: &[String],
    date: NaiveDate,
    in_flight: usize,
) -> Result<CopyState, Blindness> {
    let (listing, exports) = futures_util::try_join!(
        copy_below(platform, copy, folders, date, in_flight),
        complete_exports(platform, dataset, date),
    )?;
    let (exports, left_over) = match exports {
        Some(found) => (Some(found.complete), found.left_over),
        None => (None, None),
    };
    Ok(CopyState { left_over, ..CopyState::of(&listing, exports.as_ref()) })
}

/// How far the copy is with the files of the date's own export: what a run waits for.
pub(super) async fn state_for_run(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    date: NaiveDate,
) -> Result<Option<CopyState>, Blindness> {
    let (Some(copy), Some(export)) = (&dataset.copy, &dataset.export) else { return Ok(None) };
    let id = export.snapshot_id.render(date);
    let listing = copy_of(platform, copy, date, LISTINGS_AT_ONCE).await?;
    let state = CopyState::of(&listing, None);
    let whose = match &export.bucket {
        Some(bucket) => compare(&id, &export_files(platform, bucket, &id).await?, &listing),
        None => state.whose.clone(),
    };
    Ok(Some(CopyState { whose, ..state }))
}

/// The complete exports of a date, backdated or the nightly's.
struct Exports {
    complete: BTreeMap<String, ExportListing>,
    /// An object under the backdated id although no such export exists (H11).
    left_over: Option<String>,
}

/// `None` where the exports' bucket is not configured.
async fn complete_exports(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    date: NaiveDate,
) -> Result<Option<Exports>, Blindness> {
    let Some(export) = &dataset.export else { return Ok(None) };
    let Some(bucket) = &export.bucket else { return Ok(None) };
    let own = export.snapshot_id.render(date);
    let mut found = by_export(platform, bucket, &own).await?;
    if let Some(live_id) = &export.live_id {
        let mut live = by_export(platform, bucket, &live_id.literal_prefix(date)).await?;
        live.retain(|id, _| live_id.matches(date, id));
        found.extend(live);
    }
    let mut exports = Exports { complete: BTreeMap::new(), left_over: None };
    for (id, seen) in found {
        let task = platform.export(&id).await;
        let task = task.map_err(|error| blind(format!("export {id}"), &error))?;
        match task {
            Some(task) if task.status == ExportStatus::Complete && task.warning.is_none() => {
                exports.complete.insert(id, seen.files);
            }
            // The copier takes whatever begins with the id (H11): a load would have it copied too.
            None if id.starts_with(&own) => exports.left_over = Some(seen.first_key),
            Some(_) | None => {}
        }
    }
    Ok(Some(exports))
}

/// What lies under the ids that begin so.
struct SeenExport {
    files: ExportListing,
    first_key: String,
}

async fn by_export(
    platform: &dyn Platform,
    bucket: &str,
    prefix: &str,
) -> Result<BTreeMap<String, SeenExport>, Blindness> {
    let listing =
        Listing { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..Listing::default() };
    let mut exports: BTreeMap<String, SeenExport> = BTreeMap::new();
    platform
        .list_objects(&listing, &mut |page| {
            for object in page {
                let id = object.key.split('/').next().unwrap_or_default().to_owned();
                let file = file_id(&object.key);
                let seen = exports.entry(id).or_insert_with(|| SeenExport {
                    files: ExportListing::default(),
                    first_key: object.key,
                });
                seen.files.files.extend(file.map(|file| (file, object.size)));
            }
        })
        .await
        .map_err(|error| blind(format!("exports {prefix}… in s3://{bucket}"), &error))?;
    Ok(exports)
}

/// `id/db/db.table/1/part-0.parquet` is file `part-0.parquet` of table `db.table`; the export's
/// info files and markers are no files of a table.
pub(super) fn file_id(key: &str) -> Option<FileId> {
    let (folders, name) = key.rsplit_once('/')?;
    if !name.ends_with(".parquet") {
        return None;
    }
    let mut folders = folders.split('/').skip(2);
    let table = folders.next()?;
    Some(FileId { table: table.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_file_names_its_table_and_info_files_do_not() {
        let id = "sql-to-parquet-2022-06-01-backdated";
        let found =
            file_id(&format!("{id}/liberator/liberator.PCN/1/part-0-u.gz.parquet")).unwrap();
        assert_eq!(found.to_string(), "liberator.PCN/part-0-u.gz.parquet");
        for other in ["export_info_x.json", "liberator/liberator.PCN/1/_success", "x.parquet"] {
            assert_eq!(file_id(&format!("{id}/{other}")), None, "{other}");
        }
    }
}
