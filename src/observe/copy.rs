//! The copy: the zone between export and raw. It answers one question, "which objects lie there
//! for this date?", and its twin, "which files does this export hold?".
//!
//! The tables' folders are not known beforehand: one listing by delimiter finds them, then each
//! is listed below the date's folder. Every listing is whole, or the answer is blind.

use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::blind;
use crate::config::CopySettings;
use crate::domain::{Blindness, CopiedFile, CopyListing, ExportListing, FileId};
use crate::platform::{Listing, ObjectInfo, Platform};

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
