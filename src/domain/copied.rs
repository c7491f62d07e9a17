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

    /// The catalog's names of its tables.
    #[must_use]
    pub fn catalog_tables(&self) -> BTreeSet<String> {
        self.files.keys().map(|file| catalog_name(&file.table)).collect()
    }
}

/// Missing files that are named one by one; the others are counted.
const NAMED_AT_MOST: usize = 5;

/// What lies in the copy for a date, as far as decisions rest on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyState {
    /// Files that a job would read.
    pub files: u64,
    /// Tables that have such files.
    pub tables: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of them was written.
    pub newest: Option<DateTime<Utc>>,
    /// The catalog's names of those tables.
    pub catalog_tables: BTreeSet<String>,
    /// Whose files they are.
    pub whose: Whose,
    /// An object that begins with the date's export id although no such export exists: the
    /// copier would carry it too (H11).
    pub left_over: Option<String>,
}

/// Whose files lie in the copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// There are none.
    #[default]
    Nobody,
    /// Exactly those of one complete export.
    OneExport {
        /// Its id.
        id: String,
    },
    /// Some of those of one export, and no others.
    Incomplete {
        /// Its id.
        id: String,
        /// Files that it holds.
        expected: u64,
        /// Of which the copy lacks so many.
        missing: u64,
        /// Some of them by name.
        examples: Vec<FileId>,
    },
    /// Files of several exports, or of none that is known.
    Mixed {
        /// The exports that some of them belong to.
        ids: Vec<String>,
        /// Files that are not the first export's.
        strangers: u64,
    },
    /// The exports cannot be seen: no bucket of theirs is configured.
    Unknown,
}

impl CopyState {
    /// Judges a copy against complete exports of its date; `None` where exports cannot be seen.
    #[must_use]
    pub fn of(copy: &CopyListing, exports: Option<&BTreeMap<String, ExportListing>>) -> Self {
        let (files, tables, bytes) = copy.count();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            files: count(files),
            tables: count(tables),
            bytes,
            newest: copy.newest(),
            catalog_tables: copy.files().map(|(table, _)| catalog_name(table)).collect(),
            whose: whose(copy, exports),
            left_over: None,
        }
    }

    /// Whether a load may begin: its copier would find nothing beside its own files.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.whose == Whose::Nobody && self.files == 0 && self.left_over.is_none()
    }

    /// How much of the export is there; of one that lacks nothing, all.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        match &self.whose {
            Whose::OneExport { .. } => Some(100),
            Whose::Incomplete { expected, missing, .. } => {
                let there = expected.saturating_sub(*missing);
                u8::try_from(there.saturating_mul(100).checked_div(*expected)?).ok()
            }
            Whose::Nobody | Whose::Mixed { .. } | Whose::Unknown => None,
        }
    }

    /// The complete export whose files these are, all of them and no others.
    #[must_use]
    pub fn whole_export(&self) -> Option<&str> {
        match &self.whose {
            Whose::OneExport { id } if self.left_over.is_none() => Some(id),
            Whose::OneExport { .. }
            | Whose::Nobody
            | Whose::Incomplete { .. }
            | Whose::Mixed { .. }
            | Whose::Unknown => None,
        }
    }
}

fn whose(copy: &CopyListing, exports: Option<&BTreeMap<String, ExportListing>>) -> Whose {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let Some(exports) = exports else {
        return if copy.is_empty() { Whose::Nobody } else { Whose::Unknown };
    };
    if copy.is_empty() {
        return Whose::Nobody;
    }
    if let Some((id, _)) = exports.iter().find(|(_, export)| export.is_exactly(copy)) {
        return Whose::OneExport { id: id.clone() };
    }
    let shares = |export: &ExportListing| export.strangers_in(copy).len() < copy.files().count();
    let having: Vec<_> = exports.iter().filter(|(_, export)| shares(export)).collect();
    match having.as_slice() {
        [(id, export)] if export.strangers_in(copy).is_empty() => compare(id, export, copy),
        having => Whose::Mixed {
            ids: having.iter().map(|(id, _)| (*id).clone()).collect(),
            strangers: count(
                having
                    .first()
                    .map_or(copy.files().count(), |(_, export)| export.strangers_in(copy).len()),
            ),
        },
    }
}

/// How far a copy is with one export's files.
#[must_use]
pub fn compare(id: &str, export: &ExportListing, copy: &CopyListing) -> Whose {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let strangers = export.strangers_in(copy);
    if !strangers.is_empty() {
        return Whose::Mixed { ids: vec![id.to_owned()], strangers: count(strangers.len()) };
    }
    if export.is_exactly(copy) {
        return Whose::OneExport { id: id.to_owned() };
    }
    let missing = export.missing_in(copy);
    Whose::Incomplete {
        id: id.to_owned(),
        expected: count(export.files.len()),
        missing: count(missing.len()),
        examples: missing.into_iter().take(NAMED_AT_MOST).collect(),
    }
}

/// `db.table` → `db_table`, in lower case as Glue has it.
fn catalog_name(folder: &str) -> String {
    folder.replace('.', "_").to_ascii_lowercase()
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

    #[test]
    fn whose_files_lie_in_the_copy() {
        let (a, b) = (("db.a", "1.parquet", 5), ("db.b", "2.parquet", 6));
        let other = [("db.a", "8.parquet", 5), ("db.b", "9.parquet", 6)];
        let exports: BTreeMap<String, ExportListing> =
            [("night".to_owned(), export(&[a, b])), ("again".to_owned(), export(&other))].into();
        let whose = |files: &[(&str, &str, u64)]| CopyState::of(&copy(files), Some(&exports)).whose;
        assert_eq!(whose(&[]), Whose::Nobody);
        assert_eq!(whose(&[a, b]), Whose::OneExport { id: "night".into() });
        assert!(matches!(whose(&[a]), Whose::Incomplete { expected: 2, missing: 1, .. }));
        assert!(matches!(whose(&[a, b, other[0]]), Whose::Mixed { ids, .. } if ids.len() == 2));
        assert!(matches!(whose(&[("db.z", "0", 1)]), Whose::Mixed { ids, .. } if ids.is_empty()));
        assert_eq!(CopyState::of(&copy(&[a]), None).whose, Whose::Unknown);
        let left = CopyState { left_over: Some("k".into()), ..CopyState::default() };
        assert!(!left.is_clear() && CopyState::default().is_clear());
    }
}
