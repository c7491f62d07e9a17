//! Between the export and the jobs: what an export writes, and the copier that carries its files
//! into the landing zone.
//!
//! The copier takes everything whose key begins with the export's id (H11), swallows every error
//! (H18), then starts the workflow; it may be cut off on the way, three times over (H20). Live and
//! backdated exports have other file names, so the files of both may lie in one folder.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use chrono::{Datelike, NaiveDate};

use super::glue::partition_path;
use super::inspect::Writer;
use super::profile::WorkflowStart;
use super::s3::{Body, ObjectRecord};
use super::world::{Happening, World};

impl World {
    /// Writes the files of an export: several a table, with random names; and its info files.
    pub(super) fn write_export(&mut self, id: &str, skips: &BTreeSet<String>) {
        let rows = self.rds.export_rows.get(id).cloned().unwrap_or_default();
        let bucket = self.names.export_bucket.clone();
        for table in self.tables_of(&rows).difference(skips) {
            for (key, body) in self.export_files(id, table, &rows) {
                self.write_own(&bucket, &key, body);
            }
        }
        for name in info_files(id) {
            self.write_own(&bucket, &format!("{id}/{name}"), Body::from("{}"));
        }
    }

    /// The files of one table, and the marker that RDS leaves beside them.
    pub(super) fn export_files(
        &mut self,
        id: &str,
        table: &str,
        rows: &BTreeSet<NaiveDate>,
    ) -> Vec<(String, Body)> {
        let folder = format!("{id}/{}/{}", self.names.mysql_database, self.landing_folder(table));
        let parts = self.files_per_table;
        let mut files = Vec::new();
        for part in 1..=parts {
            let uuid = self.random_hex(12);
            let name = format!("part-{:05}-{uuid}.gz.parquet", part - 1);
            files.push((format!("{folder}/{part}/{name}"), parquet(table, rows, part, parts)));
        }
        files.push((format!("{folder}/1/_success"), Body::from("")));
        files
    }

    /// The tables that a database with these dates' rows has (H28).
    pub(super) fn tables_of(&mut self, rows: &BTreeSet<NaiveDate>) -> BTreeSet<String> {
        let tables = self.names.raw.iter().flat_map(|zone| zone.tables.clone());
        let mut tables: BTreeSet<_> = tables.collect();
        for date in rows {
            let absent = self.script(*date, |profile| profile.tables_absent.clone());
            tables.retain(|table| !absent.contains(table));
        }
        tables
    }

    /// `liberator_pcn` in the catalog is `liberator.pcn` in the landing zone.
    pub(super) fn landing_folder(&self, table: &str) -> String {
        let mysql = &self.names.mysql_database;
        let name = table.strip_prefix(&format!("{mysql}_")).unwrap_or(table);
        format!("{mysql}.{name}")
    }

    pub(super) fn landing_base(&self, table: &str) -> String {
        let mysql = &self.names.mysql_database;
        format!("parking/{mysql}/{}/", self.landing_folder(table))
    }

    /// What lies in the landing zone for a date: the keys.
    pub fn copied_files(&self, date: NaiveDate) -> Vec<String> {
        let tables = self.names.raw.iter().flat_map(|zone| &zone.tables);
        let prefixes =
            tables.map(|table| format!("{}{}", self.landing_base(table), partition_path(date)));
        let bucket = &self.names.landing_zone_bucket;
        prefixes
            .flat_map(|prefix| {
                let files = self.objects_below(bucket, &prefix, None);
                files.map(|file| file.key.clone()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// What the copier would carry of an export, and where to.
    fn copies_due(&mut self, export: &str, date: NaiveDate) -> Vec<(String, Body)> {
        let from = self.names.export_bucket.clone();
        let files = self.list_objects(&from, export, None, usize::MAX).unwrap_or_default();
        let loses = self.script(date, |profile| profile.copy_loses.clone());
        let mut targets = Vec::new();
        for table in self.tables_of(&BTreeSet::new()).difference(&loses) {
            let folder = format!("/{}/", self.landing_folder(table));
            let base = format!("{}{}", self.landing_base(table), partition_path(date));
            let of_table =
                |file: &&ObjectRecord| file.key.contains(&folder) && file.key.ends_with(".parquet");
            for file in files.iter().filter(of_table) {
                let name = file.key.rsplit('/').next().unwrap_or_default();
                targets.push((format!("{base}{name}"), file.body.clone()));
            }
        }
        targets
    }

    /// A copy has an `ETag` of its own: with a customer's key it is no digest.
    fn copy_into_zone(&mut self, key: &str, body: Body) {
        let bucket = self.names.landing_zone_bucket.clone();
        let etag = self.random_hex(32);
        self.create_bucket(&bucket);
        let written = self.write(&bucket, key, body, &etag, Writer::Pipeline, "CopyObject");
        debug_assert!(written.is_ok(), "the bucket was just made");
    }

    /// The first half of the files.
    pub(super) fn copier_moves(&mut self, export: &str) {
        let Some(date) = date_in(export) else { return };
        if self.script(date, |profile| profile.copier_never_runs) != super::profile::Times::Never {
            return;
        }
        let loses = self.script(date, |profile| profile.copy_loses_files) as usize;
        let files = self.copies_due(export, date);
        let half = files.len() / 2;
        for (key, body) in files.into_iter().take(half).skip(loses) {
            self.copy_into_zone(&key, body);
        }
    }

    /// The second half, then the workflow.
    pub(super) fn copier_ends(&mut self, export: &str) {
        let Some(date) = date_in(export) else { return };
        if self.script(date, |profile| profile.copier_never_runs.take()) {
            return self.incident(format!("the event of the export {export} never came"));
        }
        if self.script(date, |profile| profile.copier_cut_off.take()) {
            return self.incident(format!("the copier of {export} was cut off three times"));
        }
        let loses = self.script(date, |profile| profile.copy_loses_files) as usize;
        let files = self.copies_due(export, date);
        let half = files.len() / 2;
        for (key, body) in files.into_iter().skip(half.max(loses)) {
            self.copy_into_zone(&key, body);
        }
        self.copier_starts_workflow(export, date);
    }

    /// A person invokes the copier with an export's id: everything is copied again.
    pub fn person_invokes_copier(&mut self, export: &str) {
        let Some(date) = date_in(export) else { return };
        for (key, body) in self.copies_due(export, date) {
            self.copy_into_zone(&key, body);
        }
        self.copier_starts_workflow(export, date);
    }

    /// A person invokes the exporter with a snapshot's id.
    pub fn person_asks_for_export(&mut self, snapshot: &str) {
        self.export_is_asked(snapshot);
    }

    /// `UpdateWorkflow` overwrites the whole workflow (H4, H5); then `StartWorkflowRun`, without properties.
    fn copier_starts_workflow(&mut self, export: &str, date: NaiveDate) {
        let backdated = export.ends_with("-backdated");
        let names = &self.names;
        let name = if backdated { &names.backdated_workflow } else { &names.live_workflow }.clone();
        if let Some(workflow) = self.workflows.definitions.get_mut(&name) {
            let value = date.format("%Y%m%d").to_string();
            workflow.default_properties = [("import_date".to_owned(), value)].into();
            workflow.max_concurrent_runs = None;
        }
        let (copies, late) = match self.script(date, |profile| profile.workflow_start) {
            WorkflowStart::OnTime => (1, Duration::ZERO),
            WorkflowStart::Late(delay) => (1, delay),
            WorkflowStart::Twice => (2, Duration::ZERO),
            WorkflowStart::Never => {
                return self.incident(format!("the start of {name} was refused, and swallowed"));
            }
        };
        for _ in 0..copies {
            let asked = Happening::WorkflowIsAsked { workflow: name.clone() };
            self.after(self.timing.workflow_start + late, asked);
        }
    }
}

/// What RDS writes beside the tables.
pub(super) fn info_files(id: &str) -> [String; 2] {
    [format!("export_info_{id}.json"), format!("export_tables_info_{id}_from_1_to_7.json")]
}

/// A file that says whose rows it holds, and which part of them: as large as those rows are.
pub(super) fn parquet(table: &str, rows: &BTreeSet<NaiveDate>, part: u32, parts: u32) -> Body {
    let lines: Vec<_> = rows.iter().map(|date| format!("{date} {part}/{parts}")).collect();
    let bytes: u64 = rows.iter().map(|date| row_bytes(table, *date)).sum();
    with_lines(&lines, bytes / u64::from(parts.max(1)))
}

/// The rows of several files in one.
pub(super) fn joined(files: &[Body]) -> Body {
    let lines: Vec<String> = files.iter().flat_map(lines_of).collect();
    with_lines(&lines, files.iter().map(Body::zeros).sum())
}

/// All rows of a table for a date, as a job writes them into one of so many objects.
pub(super) fn whole_rows(table: &str, date: NaiveDate, parts: u32, objects: u32) -> Body {
    let lines: Vec<_> = (1..=parts).map(|part| format!("{date} {part}/{parts}")).collect();
    with_lines(&lines, row_bytes(table, date) / u64::from(objects.max(1)))
}

fn with_lines(lines: &[String], bytes: u64) -> Body {
    Body::declared(format!("PAR1\n{}\n", lines.join("\n")).into(), bytes, Bytes::from("PAR1"))
}

/// The bytes of one day's rows of a table: tables differ, days differ by a tenth at most.
fn row_bytes(table: &str, date: NaiveDate) -> u64 {
    let name = table.bytes().fold(0_u64, |sum, byte| sum * 31 % 10_007 + u64::from(byte));
    let usual = 200_000 + name * 100;
    let day = u64::from(date.num_days_from_ce().unsigned_abs());
    usual * (95 + (day * 7 + name) % 11) / 100
}

fn lines_of(file: &Body) -> Vec<String> {
    let text = String::from_utf8_lossy(file.head()).into_owned();
    text.lines().filter(|line| *line != "PAR1").map(ToOwned::to_owned).collect()
}

/// The dates whose rows a file holds.
pub(super) fn rows_in(file: &Body) -> BTreeSet<NaiveDate> {
    let date = |line: &String| line.split(' ').next()?.parse().ok();
    lines_of(file).iter().filter_map(date).collect()
}

/// Which parts of a date's rows a file holds: part and number of parts.
pub(super) fn parts_in(file: &Body) -> Vec<(u32, u32)> {
    let part = |line: &String| {
        let (_, part) = line.split_once(' ')?;
        let (part, parts) = part.split_once('/')?;
        Some((part.parse().ok()?, parts.parse().ok()?))
    };
    lines_of(file).iter().map(|line| part(line).unwrap_or((1, 1))).collect()
}

/// The date in `sql-to-parquet-2022-06-01-backdated`, or in the nightly's
/// `sql-to-parquet-22-06-01-231500`.
pub(super) fn date_in(id: &str) -> Option<NaiveDate> {
    let (dated, _) = id.rsplit_once('-')?;
    let long = dated.get(dated.len().checked_sub(10)?..)?.parse().ok();
    let short = dated.get(dated.len().checked_sub(8)?..)?;
    long.or_else(|| NaiveDate::parse_from_str(short, "%y-%m-%d").ok())
}
