//! The files between an export and raw: what an export holds, what lies in the copy, and whether
//! the one is exactly the other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

/// A file of a table, as the export and the copy name it both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The table's folder, e.g. `liberator.pcn`.
    pub table: String,
    /// The file's own name, e.g. `part-00000-….gz.parquet`.
    pub name: String,
}

impl std::fmt::Display for FileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.table, self.name)
    }
}

/// An object in a date's folder of the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedFile {
    /// Its whole key.
    pub key: String,
    /// The file's own name: the key below the date's folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes; no digest where the bucket is encrypted with a key of its own.
    pub etag: String,
    /// When it was written.
    pub last_modified: DateTime<Utc>,
}

impl CopiedFile {
    /// Whether a job would read it: a folder's marker and hidden names are passed over.
    #[must_use]
    pub fn is_data(&self) -> bool {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        !name.is_empty() && !name.starts_with(['_', '.'])
    }
}

/// What lies in the copy for one date: every object, by the table's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyListing {
    /// By the table's folder, e.g. `liberator.pcn`; tables without an object of the date are
    /// left out.
    pub tables: BTreeMap<String, Vec<CopiedFile>>,
}

impl CopyListing {
    /// The files that a job would read.
    pub fn files(&self) -> impl Iterator<Item = (&str, &CopiedFile)> {
        self.tables.iter().flat_map(|(table, files)| {
            files.iter().filter(|file| file.is_data()).map(move |file| (table.as_str(), file))
        })
    }

    /// Whether a job would find nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files().next().is_none()
    }

    /// How many files a job would read, of how many tables, with how many bytes.
    #[must_use]
    pub fn count(&self) -> (usize, usize, u64) {
        let tables: BTreeSet<&str> = self.files().map(|(table, _)| table).collect();
        let bytes = self.files().fold(0_u64, |sum, (_, file)| sum.saturating_add(file.size));
        (self.files().count(), tables.len(), bytes)
    }

    /// When its newest file was written.
    #[must_use]
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        self.files().map(|(_, file)| file.last_modified).max()
    }
}

/// The files that one export holds, by its own listing; its info files are no tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportListing {
    /// Each file's size.
    pub files: BTreeMap<FileId, u64>,
}

impl ExportListing {
    /// Its files that the copy lacks, or has with another size.
    #[must_use]
    pub fn missing_in(&self, copy: &CopyListing) -> Vec<FileId> {
        let there: BTreeSet<(&str, &str, u64)> =
            copy.files().map(|(table, file)| (table, file.name.as_str(), file.size)).collect();
        let lacks = |(file, size): &(&FileId, &u64)| {
            !there.contains(&(file.table.as_str(), file.name.as_str(), **size))
        };
        self.files.iter().filter(lacks).map(|(file, _)| file.clone()).collect()
    }

    /// The copy's files that are not the export's.
    #[must_use]
    pub fn strangers_in(&self, copy: &CopyListing) -> Vec<FileId> {
        let file_id =
            |table: &str, name: &str| FileId { table: table.to_owned(), name: name.to_owned() };
        copy.files()
            .map(|(table, file)| (file_id(table, &file.name), file.size))
            .filter(|(file, size)| self.files.get(file) != Some(size))
            .map(|(file, _)| file)
            .collect()
    }

    /// Whether the copy holds exactly these files, byte for byte as far as sizes tell.
    #[must_use]
    pub fn is_exactly(&self, copy: &CopyListing) -> bool {
        !self.files.is_empty()
            && self.missing_in(copy).is_empty()
            && self.strangers_in(copy).is_empty()
    }

    /// The catalog's names of its tables: `db.table` → `db_table`, in lower case as Glue has it.
    #[must_use]
    pub fn catalog_tables(&self) -> BTreeSet<String> {
        self.files.keys().map(|file| file.table.replace('.', "_").to_ascii_lowercase()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(files: &[(&str, &str, u64)]) -> CopyListing {
        let mut copy = CopyListing::default();
        for (table, name, size) in files {
            copy.tables.entry((*table).to_owned()).or_default().push(CopiedFile {
                key: format!("p/{table}/d/{name}"),
                name: (*name).to_owned(),
                size: *size,
                etag: String::new(),
                last_modified: DateTime::UNIX_EPOCH,
            });
        }
        copy
    }

    fn export(files: &[(&str, &str, u64)]) -> ExportListing {
        let id = |table: &str, name: &str| FileId { table: table.into(), name: name.into() };
        ExportListing { files: files.iter().map(|(t, n, size)| (id(t, n), *size)).collect() }
    }

    #[test]
    fn a_copy_is_an_export_s_only_file_by_file_and_size_by_size() {
        let files = [("db.a", "1.parquet", 5), ("db.a", "2.parquet", 6), ("db.b", "3.parquet", 7)];
        let whole = export(&files);
        assert!(whole.is_exactly(&copy(&files)));
        assert_eq!(whole.missing_in(&copy(&files[..2])).len(), 1, "a file is lost");
        let short = [files[0], files[1], ("db.b", "3.parquet", 6)];
        assert!(!whole.is_exactly(&copy(&short)), "a file is cut short");
        let two = [files[0], files[1], files[2], ("db.b", "9.parquet", 7)];
        assert_eq!(whole.strangers_in(&copy(&two))[0].to_string(), "db.b/9.parquet");
        assert!(!export(&[]).is_exactly(&copy(&[])), "nothing is no complete export");
    }

    #[test]
    fn markers_and_hidden_names_are_no_files() {
        let odd = copy(&[("db.a", "", 0), ("db.a", "_SUCCESS", 0), ("db.a", ".crc", 8)]);
        assert!(odd.is_empty());
        assert_eq!(odd.count(), (0, 0, 0));
        assert_eq!(copy(&[("db.a", "1", 5), ("db.a", "2", 6)]).count(), (2, 1, 11));
    }
}
