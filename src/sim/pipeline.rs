//! The pipeline after the load: exporter, crawler's register, copy jobs. And the supplier before it.
//! What lies between the export and the jobs is in `copying`.
//!
//! Every parquet file of the model says in its bytes whose rows it holds, so whatever is mixed,
//! copied twice or left over upstream shows in the raw zones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate, NaiveTime};

use super::copying::{date_in, joined, parts_in, rows_in};
use super::events::{RuleRecord, RuleSetting};
use super::glue::partition_path;
use super::inspect::{Generation, Writer};
use super::names::RawZone;
use super::profile::{DumpKind, JobFailure};
use super::rds::ExportRecord;
use super::s3::{Body, ObjectRecord};
use super::workflow::{JobRunRecord, JobSpec};
use super::world::{Happening, World};
use super::zip;
use crate::domain::TableId;

/// The live job reads the landing zone's dates so far back (H7).
const LIVE_JOB_DAYS: u64 = 5;

impl World {
    /// From the next such time of day (UTC) on, the supplier delivers a dump every day.
    pub fn supply_daily_at(&mut self, time: NaiveTime) {
        self.supplier = Some(time);
        let today = self.now.date_naive();
        let date = if today.and_time(time).and_utc() > self.now { today } else { next(today) };
        self.at(date.and_time(time).and_utc(), Happening::SupplierDelivers { date });
    }

    pub(super) fn supplier_delivers(&mut self, date: NaiveDate) {
        match self.script(date, |profile| profile.dump) {
            DumpKind::Late(delay) => self.after(delay, Happening::DumpIsWritten { date }),
            DumpKind::Whole
            | DumpKind::Missing
            | DumpKind::Truncated
            | DumpKind::TwoSql
            | DumpKind::Tiny
            | DumpKind::CopyOf(_) => self.write_dump(date),
        }
        if let Some(time) = self.supplier {
            let date = next(date);
            self.at(date.and_time(time).and_utc(), Happening::SupplierDelivers { date });
        }
    }

    /// The supplier writes the dump of a date, as its script says.
    pub fn write_dump(&mut self, date: NaiveDate) {
        let kind = self.script(date, |profile| profile.dump);
        let Some(body) = zip::dump(kind, date, self.usual_dump_bytes) else { return };
        let (bucket, key) = (self.names.dump_bucket.clone(), self.names.dump_key_of(date));
        self.write_as(Writer::Supplier, &bucket, &key, body);
    }

    pub(super) fn snapshot_settles(&mut self, id: &str) {
        let Some(date) = date_in(id) else { return };
        let fails = self.script(date, |profile| profile.snapshot_fails.take());
        let Some(snapshot) = self.rds.snapshots.get_mut(id) else { return };
        snapshot.status = if fails { "failed" } else { "available" };
        snapshot.percent = if fails { 0 } else { 100 };
        if fails {
            return self.incident(format!("the snapshot {id} failed"));
        }
        if self.script(date, |profile| profile.export_never_starts.take()) {
            return self.incident(format!("the event of the snapshot {id} never came"));
        }
        let asked = Happening::ExportIsAsked { snapshot: id.to_owned() };
        self.after(self.timing.export_start, asked);
    }

    /// The export lambda: its id is the snapshot's, and an id can be used once (H21).
    pub(super) fn export_is_asked(&mut self, id: &str) {
        if !id.starts_with(&self.names.export_prefix) {
            return;
        }
        let Some(snapshot) = self.rds.snapshots.get(id) else {
            return self
                .incident(format!("DBSnapshotNotFound: {id} was deleted before its export"));
        };
        if self.rds.exports.contains_key(id) {
            return self.incident(format!("ExportTaskAlreadyExists: {id}"));
        }
        let export = ExportRecord {
            id: id.to_owned(),
            source_arn: snapshot.arn.clone(),
            status: "STARTING",
            percent: 0,
            bucket: self.names.export_bucket.clone(),
            snapshot_time: snapshot.created_at,
            started_at: None,
            ended_at: None,
            warning: None,
            failure: None,
        };
        let rows = self.rds.snapshot_rows.get(id).cloned().unwrap_or_default();
        self.rds.export_rows.insert(id.to_owned(), rows);
        self.rds.exports.insert(id.to_owned(), export);
        for percent in [1_u8, 25, 50, 75, 100] {
            let delay = self.timing.export * u32::from(percent) / 100;
            self.after(delay, Happening::ExportMoves { id: id.to_owned(), percent });
        }
    }

    pub(super) fn export_moves(&mut self, id: &str, percent: u8) {
        let now = self.now;
        if let Some(export) = self.rds.exports.get_mut(id) {
            export.status = "IN_PROGRESS";
            export.percent = percent;
            export.started_at.get_or_insert(now);
        }
        if percent == 100 {
            self.export_ends(id);
        }
    }

    fn export_ends(&mut self, id: &str) {
        let now = self.now;
        let Some(date) = date_in(id) else { return };
        let fails = self.script(date, |profile| profile.export_fails.take());
        let skips = self.script(date, |profile| profile.export_skips.clone());
        if !fails {
            self.write_export(id, &skips);
        }
        if let Some(export) = self.rds.exports.get_mut(id) {
            export.status = if fails { "FAILED" } else { "COMPLETE" };
            export.ended_at = Some(now);
            export.failure = fails.then(|| "An internal error occurred".to_owned());
            export.warning = warning_of(&skips).filter(|_| !fails);
        }
        if !fails {
            self.after(self.timing.copy / 2, Happening::CopierMoves { export: id.to_owned() });
            self.after(self.timing.copy, Happening::CopierEnds { export: id.to_owned() });
        }
    }

    pub(super) fn workflow_is_asked(&mut self, workflow: &str) {
        if let Err(error) = self.start_workflow_run(workflow, &std::collections::BTreeMap::new()) {
            self.incident(format!("{workflow} was not started: {error}"));
        }
    }

    /// What a crawl finds in the landing zone is registered.
    pub(super) fn register_landing(&mut self) {
        let bucket = self.names.landing_zone_bucket.clone();
        let database = self.names.landing_database.clone();
        for table in self.tables_of(&BTreeSet::new()) {
            let prefix = self.landing_base(&table);
            let files = self.objects_below(&bucket, &prefix, None);
            let dates: BTreeSet<_> = files.filter_map(|file| import_date(&file.key)).collect();
            for date in dates {
                let base = format!("s3://{bucket}/{prefix}");
                self.register(&database, &table, &base, date);
            }
        }
    }

    /// One run of a copy job: reads what its bookmark has not seen, appends it, saves the bookmark last (H8).
    pub(super) fn carry_out(
        &mut self,
        job: &JobSpec,
        run: &JobRunRecord,
        import_date: Option<NaiveDate>,
    ) -> Result<(), String> {
        let about = import_date.unwrap_or_else(|| self.now.date_naive());
        if self.script(about, |profile| profile.writes_nothing.take()) {
            return Ok(());
        }
        let fails_after = self.script(about, |profile| tables_before_failure(profile, job));
        let zone = self.names.raw[job.zone].clone();
        let limit = fails_after.unwrap_or(usize::MAX);
        let mut read = Vec::new();
        for table in zone.tables.iter().take(limit) {
            let files = self.unseen_files(job, table, import_date);
            if job.live && !files.is_empty() {
                self.purge(&zone, table, run.started_at.date_naive());
            }
            let mut by_date: BTreeMap<NaiveDate, Vec<Body>> = BTreeMap::new();
            for (date, file) in &files {
                by_date.entry(*date).or_default().push(file.body.clone());
            }
            for (date, files) in by_date {
                self.append(&zone, table, date, &run.id, &files);
            }
            read.extend(files.into_iter().map(|(_, file)| (file.key, file.last_modified)));
        }
        if fails_after.is_some() {
            return Err("An error occurred while calling o123.pyWriteDynamicFrame".to_owned());
        }
        self.save_bookmark(job, run, read);
        Ok(())
    }

    fn unseen_files(
        &self,
        job: &JobSpec,
        table: &str,
        import_date: Option<NaiveDate>,
    ) -> Vec<(NaiveDate, ObjectRecord)> {
        let today = self.now.date_naive();
        let dates: Vec<_> = if job.live {
            (0..=LIVE_JOB_DAYS).rev().map(|days| today - Days::new(days)).collect()
        } else {
            import_date.into_iter().collect()
        };
        let mut unseen = Vec::new();
        for date in dates {
            let prefix = format!("{}{}", self.landing_base(table), partition_path(date));
            let files = self.objects_below(&self.names.landing_zone_bucket, &prefix, None);
            let fresh = files.filter(|file| self.is_unseen(job, file));
            unseen.extend(fresh.map(|file| (date, file.clone())));
        }
        unseen
    }

    fn is_unseen(&self, job: &JobSpec, file: &ObjectRecord) -> bool {
        let Some(bookmark) = self.workflows.bookmarks.get(&job.name) else { return true };
        let band = self.timing.bookmark_band;
        let too_old = bookmark.mark.is_some_and(|mark| file.last_modified < mark - band);
        !too_old && !bookmark.seen.contains(&(file.key.clone(), file.last_modified))
    }

    fn save_bookmark(
        &mut self,
        job: &JobSpec,
        run: &JobRunRecord,
        read: Vec<(String, chrono::DateTime<chrono::Utc>)>,
    ) {
        let oldest = run.started_at - self.timing.bookmark_band;
        let bookmark = self.workflows.bookmarks.entry(job.name.clone()).or_default();
        bookmark.mark = Some(run.started_at);
        bookmark.seen.extend(read);
        bookmark.seen.retain(|(_, written)| *written >= oldest);
    }

    /// The live job deletes today's partition before it writes.
    fn purge(&mut self, zone: &RawZone, table: &str, today: NaiveDate) {
        let prefix = format!("{}{table}/{}", zone.prefix, partition_path(today));
        let bucket = self.names.raw_bucket.clone();
        let old = self.list_objects(&bucket, &prefix, None, usize::MAX).unwrap_or_default();
        if let Ok(objects) = self.bucket_mut(&bucket) {
            for object in old {
                objects.remove(&object.key);
            }
        }
        self.record.generations.remove(&(table_id(zone, table), today));
    }

    /// Appends files to a raw table and registers its partition; never looks whether it is there already.
    pub(super) fn append(
        &mut self,
        zone: &RawZone,
        table: &str,
        date: NaiveDate,
        job_run: &str,
        files: &[Body],
    ) {
        let base = format!("{}{table}/", zone.prefix);
        let part = self.random_hex(16);
        let key = format!("{base}{}part-{part}.snappy.parquet", partition_path(date));
        let bucket = self.names.raw_bucket.clone();
        self.write_own(&bucket, &key, joined(files));
        self.register(&zone.database, table, &format!("s3://{bucket}/{base}"), date);
        let generation = Generation {
            at: self.now,
            job_run: job_run.to_owned(),
            rows_of: files.iter().flat_map(rows_in).collect::<BTreeSet<_>>().into_iter().collect(),
            parts: files.iter().flat_map(parts_in).collect(),
        };
        let id = (table_id(zone, table), date);
        self.record.generations.entry(id).or_default().push(generation);
    }

    /// A person puts the trigger off, or Terraform puts it on again (H15).
    pub fn operator_disables_trigger(&mut self) {
        self.set_trigger(RuleSetting::Disabled, "operator");
    }

    /// An apply finds the rule disabled and enables it (H15).
    pub fn terraform_enables_trigger(&mut self) {
        self.set_trigger(RuleSetting::Enabled, "terraform");
    }

    /// Somebody changes the rule or its target.
    pub fn trigger_mut(&mut self) -> Option<&mut RuleRecord> {
        let key = (self.names.event_bus.clone(), self.names.rule.clone());
        self.events.rules.get_mut(&key)
    }

    /// A migration copies every object of a bucket: all were last written now.
    pub fn migrate_bucket(&mut self, bucket: &str) {
        let now = self.now;
        for object in self.bucket_mut(bucket).into_iter().flat_map(|objects| objects.values_mut()) {
            object.last_modified = now;
        }
    }

    /// A person runs the task from the console: today's, or a date's. Returns its ARN.
    pub fn person_runs_task(&mut self, date: Option<NaiveDate>) -> Option<String> {
        let mut request = self.target_request()?;
        request.started_by = None;
        if let Some(date) = date {
            let environment = [(self.names.date_variable.clone(), date.to_string())].into();
            let name = self.names.family.clone();
            request.overrides =
                vec![super::ecs::ContainerOverride { name, environment, command: Vec::new() }];
        }
        let answer = self.run_task(&request).ok()?;
        Some(answer.tasks.first()?.arn.clone())
    }
}

pub(super) fn table_id(zone: &RawZone, table: &str) -> TableId {
    TableId { database: zone.database.clone(), table: table.to_owned() }
}

fn tables_before_failure(profile: &mut super::profile::Profile, job: &JobSpec) -> Option<usize> {
    let JobFailure { zone, tables_written, times } = profile.job_fails.as_mut()?;
    (*zone == job.zone && times.take()).then_some(*tables_written)
}

fn warning_of(skips: &BTreeSet<String>) -> Option<String> {
    let warning = serde_json::json!({ "skippedTables": skips });
    (!skips.is_empty()).then(|| warning.to_string())
}

fn import_date(key: &str) -> Option<NaiveDate> {
    let (_, rest) = key.split_once("/import_date=")?;
    NaiveDate::parse_from_str(rest.get(..8)?, "%Y%m%d").ok()
}

fn next(date: NaiveDate) -> NaiveDate {
    date + Days::new(1)
}
