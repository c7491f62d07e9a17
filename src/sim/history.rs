//! Lays out what a [`WorldBuilder`] describes: services, days of the past, last night.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::build::{Flaw, Left, Spelling, WorldBuilder};
use super::copying::{info_files, whole_rows};
use super::events::{RuleRecord, TargetRecord};
use super::glue::partition_path;
use super::inspect::Generation;
use super::names::RawZone;
use super::pipeline::table_id;
use super::profile::DumpKind;
use super::rds::{ExportRecord, InstanceRecord};
use super::s3::{Body, ObjectRecord};
use super::workflow::{
    Bookmark, CrawlRecord, CrawlerRecord, JobRunRecord, JobSpec, RunStatus, WorkflowRecord,
    WorkflowRunRecord,
};
use super::world::{Sim, World};
use super::zip;
use crate::domain::Network;

/// The time of day in the ids of the nightly's exports, and in those of a second one.
const LIVE_TIME: &str = "231500";
const SECOND_TIME: &str = "234500";
/// When the raw zones of a date were written, after its midnight.
const WRITTEN_AFTER_HOURS: i64 = 26;

impl WorldBuilder {
    /// The world.
    #[must_use]
    pub fn build(self) -> Sim {
        let (names, timing) = (self.names.clone(), self.timing.clone());
        let mut world = World::empty(self.now, self.seed, names, timing);
        world.profiles.clone_from(&self.profiles);
        world.usual_dump_bytes = self.dump_bytes;
        world.files_per_table = self.files_per_table;
        self.lay_out_services(&mut world);
        let last = self.last_date();
        for back in (0..self.days).rev() {
            self.lay_out_day(&mut world, last - Days::new(u64::from(back)));
        }
        for name in &self.noise {
            let key = format!("{}{name}", self.names.dump_prefix);
            place(&mut world, &self.names.dump_bucket, &key, Body::from(""), self.now);
        }
        self.lay_out_last_night(&mut world, last);
        if let Some(time) = self.supplied_at {
            world.supply_daily_at(time);
        }
        Sim::new(world)
    }

    fn lay_out_services(&self, world: &mut World) {
        let names = &self.names;
        for bucket in [
            &names.dump_bucket,
            &names.export_bucket,
            &names.landing_zone_bucket,
            &names.raw_bucket,
            &names.ledger_bucket,
        ] {
            world.create_bucket(bucket);
        }
        for zone in &names.raw {
            world.catalog.databases.entry(zone.database.clone()).or_default();
        }
        world.catalog.databases.entry(names.landing_database.clone()).or_default();
        world.logs.entry(names.log_group.clone()).or_default();
        world.events.groups = ["default", "gapmend"].map(str::to_owned).into();
        let instance = InstanceRecord {
            id: names.instance.clone(),
            arn: names.arn("rds", &format!("db:{}", names.instance)),
            status: "available",
        };
        world.rds.instances.insert(names.instance.clone(), instance);
        self.lay_out_rule(world);
        self.lay_out_workflow(world, true);
        self.lay_out_workflow(world, false);
    }

    fn lay_out_rule(&self, world: &mut World) {
        let names = &self.names;
        let network = Network {
            subnets: ["subnet-0a1b2c3d", "subnet-1a2b3c4d", "subnet-2a3b4c5d"]
                .map(Into::into)
                .into(),
            security_groups: vec!["sg-0f1e2d3c".into()],
            assign_public_ip: false,
        };
        let target = TargetRecord {
            id: names.rule.clone(),
            cluster_arn: names.cluster_arn(),
            role_arn: format!("arn:aws:iam::{}:role/{}-run-ecs-task", names.account, names.family),
            task_definition_arn: names.task_definition_arn(),
            task_count: 1,
            launch_type: "FARGATE".to_owned(),
            platform_version: Some("1.4.0".to_owned()),
            network: Some(network),
            input: None,
        };
        let rule = RuleRecord {
            name: names.rule.clone(),
            arn: names.arn("events", &format!("rule/{}", names.rule)),
            event_bus: names.event_bus.clone(),
            state: self.rule,
            managed_by: self.managed_by.clone(),
            event_pattern: event_pattern(&names.dump_bucket),
            description: "Starts the load when something is written into the bucket".to_owned(),
            targets: vec![target],
            other_targets: Vec::new(),
        };
        world.events.initial.insert(names.rule.clone(), self.rule);
        world.events.rules.insert((names.event_bus.clone(), names.rule.clone()), rule);
    }

    fn lay_out_workflow(&self, world: &mut World, live: bool) {
        let names = &self.names;
        let (name, crawler) = if live {
            (&names.live_workflow, &names.live_crawler)
        } else {
            (&names.backdated_workflow, &names.backdated_crawler)
        };
        let jobs: Vec<_> = (0..)
            .zip(&names.raw)
            .map(|(zone, raw)| JobSpec {
                name: if live { raw.live_job.clone() } else { raw.backdated_job.clone() },
                zone,
                live,
            })
            .collect();
        // The backdated job last ran before this history began: its bookmark passed nothing of it.
        let mark = match (live, self.bookmark_passed) {
            (true, _) | (_, true) => self.now,
            (false, false) => self.now - TimeDelta::days(i64::from(self.days) + 30),
        };
        for job in &jobs {
            let bookmark = Bookmark { mark: Some(mark), seen: BTreeSet::new() };
            world.workflows.bookmarks.insert(job.name.clone(), bookmark);
        }
        let record = CrawlerRecord { name: crawler.clone(), state: "READY", last_crawl: None };
        world.workflows.crawlers.insert(crawler.clone(), record);
        let workflow = WorkflowRecord {
            name: name.clone(),
            default_properties: BTreeMap::new(),
            max_concurrent_runs: None,
            crawler: crawler.clone(),
            jobs,
        };
        world.workflows.definitions.insert(name.clone(), workflow);
    }

    fn lay_out_day(&self, world: &mut World, date: NaiveDate) {
        let flaw = self.flaws.get(&date);
        self.lay_out_dump(world, date, flaw);
        self.lay_out_nightly(world, date, flaw);
        for zone in &self.names.raw {
            for table in &zone.tables {
                if self.table_since.get(table).is_none_or(|since| *since <= date) {
                    self.lay_out_partition(world, zone, table, date, flaw);
                }
            }
        }
    }

    /// What the nightly left on its way: its export, and the files that its copier carried into
    /// the landing zone. Nothing of it is ever deleted.
    fn lay_out_nightly(&self, world: &mut World, date: NaiveDate, flaw: Option<&Flaw>) {
        if matches!(flaw, Some(Flaw::Gap(_))) || self.objects_per_partition == 0 {
            return;
        }
        let at = self.history(date).at - self.timing.crawl - self.timing.job;
        let id = self.names.live_id(date, LIVE_TIME);
        self.lay_out_files(world, &id, date, at, flaw != Some(&Flaw::Unpublished(Left::Half)));
        if flaw == Some(&Flaw::Unpublished(Left::Twice)) {
            let second = self.names.live_id(date, SECOND_TIME);
            self.lay_out_files(world, &second, date, at, true);
        }
    }

    fn lay_out_files(
        &self,
        world: &mut World,
        id: &str,
        date: NaiveDate,
        at: DateTime<Utc>,
        whole: bool,
    ) {
        let rows = BTreeSet::from([date]);
        let mut is_first = true;
        for table in self.names.raw.iter().flat_map(|zone| &zone.tables) {
            if self.table_since.get(table).is_some_and(|since| *since > date) {
                continue;
            }
            let base = format!("{}{}", world.landing_base(table), partition_path(date));
            for (key, body) in world.export_files(id, table, &rows) {
                let name = key.rsplit('/').next().unwrap_or_default().to_owned();
                place(world, &self.names.export_bucket, &key, body.clone(), at);
                let is_lost = is_first && !whole;
                if name.ends_with(".parquet") && !is_lost {
                    let key = format!("{base}{name}");
                    place(world, &self.names.landing_zone_bucket, &key, body, at);
                }
                is_first = false;
            }
        }
        for name in info_files(id) {
            let key = format!("{id}/{name}");
            place(world, &self.names.export_bucket, &key, Body::from("{}"), at);
        }
        lay_out_export(world, id, "COMPLETE");
        if let Some(export) = world.rds.exports.get_mut(id) {
            export.snapshot_time = at;
            export.started_at = Some(at);
            export.ended_at = Some(at);
        }
    }

    fn lay_out_dump(&self, world: &mut World, date: NaiveDate, flaw: Option<&Flaw>) {
        let kind = match flaw {
            Some(Flaw::Gap(kind)) => *kind,
            Some(Flaw::Partial(_) | Flaw::Unregistered | Flaw::Empty | Flaw::Unpublished(_))
            | None => DumpKind::Whole,
        };
        let Some(body) = zip::dump(kind, date, self.dump_bytes) else { return };
        let time = self.supplied_at.unwrap_or_default();
        let wobble = TimeDelta::seconds(world.rng.i64(0..1200));
        let at = (date.and_time(time).and_utc() + wobble).min(self.now);
        let spelling = self.spelling(date);
        if spelling != Spelling::Old {
            let key = self.names.dump_key_of(date);
            place(world, &self.names.dump_bucket, &key, body.clone(), at);
        }
        if spelling != Spelling::New {
            let key = self.names.old_dump_key_of(date);
            place(world, &self.names.dump_bucket, &key, body, at);
        }
    }

    fn spelling(&self, date: NaiveDate) -> Spelling {
        let by_age = match self.renamed_on {
            Some(renamed_on) if date < renamed_on => Spelling::Old,
            Some(_) | None => Spelling::New,
        };
        self.spellings.get(&date).copied().unwrap_or(by_age)
    }

    fn lay_out_partition(
        &self,
        world: &mut World,
        zone: &RawZone,
        table: &str,
        date: NaiveDate,
        flaw: Option<&Flaw>,
    ) {
        let (catalogued, has_objects) = match flaw {
            None => (true, true),
            Some(Flaw::Gap(_) | Flaw::Unpublished(_)) => (false, false),
            Some(Flaw::Partial(missing)) => {
                let there = !missing.contains(table);
                (there, there)
            }
            Some(Flaw::Unregistered) => (false, true),
            Some(Flaw::Empty) => (true, false),
        };
        let base = format!("{}{table}/", zone.prefix);
        if catalogued {
            let location = format!("s3://{}/{base}", self.names.raw_bucket);
            world.register(&zone.database, table, &location, date);
        }
        if has_objects {
            self.lay_out_objects(world, table, &base, date);
            let id = (table_id(zone, table), date);
            world.record.generations.insert(id, vec![self.history(date)]);
        }
    }

    fn lay_out_objects(&self, world: &mut World, table: &str, base: &str, date: NaiveDate) {
        let at = self.history(date).at;
        for number in 0..self.objects_per_partition {
            let key = format!("{base}{}part-{number:05}.snappy.parquet", partition_path(date));
            let body = whole_rows(table, date, self.files_per_table, self.objects_per_partition);
            place(world, &self.names.raw_bucket, &key, body, at);
        }
    }

    fn history(&self, date: NaiveDate) -> Generation {
        let written =
            date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(WRITTEN_AFTER_HOURS);
        Generation {
            at: written.min(self.now),
            job_run: "history".to_owned(),
            rows_of: vec![date],
            parts: (1..=self.files_per_table).map(|part| (part, self.files_per_table)).collect(),
        }
    }

    /// Last night's snapshot, its export, and the exports that were made by hand.
    fn lay_out_last_night(&self, world: &mut World, last: NaiveDate) {
        let id = self.names.live_id(last, LIVE_TIME);
        let mut snapshot = world.snapshot_record(&id, "available", 100);
        snapshot.created_at =
            (last.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(25)).min(self.now);
        world.rds.snapshots.insert(id.clone(), snapshot);
        lay_out_export(world, &id, "COMPLETE");
        let backup = format!("awsbackup:job-{}", last.format("%Y%m%d"));
        let mut record = world.snapshot_record(&backup, "available", 100);
        record.kind = "awsbackup";
        world.rds.snapshots.insert(backup, record);
        if !self.flaws.contains_key(&last) {
            self.lay_out_live_run(world, last);
        }
        for (date, status) in &self.spent {
            lay_out_export(world, &self.names.backdated_id(*date), status);
        }
    }

    /// The live workflow's run of the last date: over, and good.
    fn lay_out_live_run(&self, world: &mut World, last: NaiveDate) {
        let Ok(workflow) = world.workflow(&self.names.live_workflow).cloned() else { return };
        let completed_at = self.history(last).at;
        let started_at = completed_at - self.timing.crawl - self.timing.job;
        let crawl = CrawlRecord {
            state: "SUCCEEDED",
            started_at,
            completed_at: Some(completed_at - self.timing.job),
            error: None,
        };
        let mut run = WorkflowRunRecord {
            name: workflow.name.clone(),
            id: format!("wr_{}", world.random_hex(64)),
            status: RunStatus::Completed,
            started_at,
            completed_at: Some(completed_at),
            properties: [("import_date".to_owned(), last.format("%Y%m%d").to_string())].into(),
            crawls: vec![crawl],
            job_runs: BTreeMap::new(),
            error: None,
        };
        for job in &workflow.jobs {
            let record = JobRunRecord {
                id: format!("jr_{}", world.random_hex(64)),
                job: job.name.clone(),
                state: "SUCCEEDED",
                started_at: completed_at - self.timing.job,
                completed_at: Some(completed_at),
                error: None,
            };
            run.job_runs.insert(job.name.clone(), vec![record]);
        }
        world.workflows.runs.insert(run.id.clone(), run);
    }
}

fn lay_out_export(world: &mut World, id: &str, status: &'static str) {
    let export = ExportRecord {
        id: id.to_owned(),
        source_arn: world.names.arn("rds", &format!("snapshot:{id}")),
        status,
        percent: if status == "COMPLETE" { 100 } else { 0 },
        bucket: world.names.export_bucket.clone(),
        snapshot_time: world.now,
        started_at: Some(world.now),
        ended_at: Some(world.now),
        warning: None,
        failure: (status == "FAILED").then(|| "An internal error occurred".to_owned()),
    };
    world.rds.exports.insert(id.to_owned(), export);
}

/// Places an object of the past: the trail has long forgotten it.
fn place(world: &mut World, bucket: &str, key: &str, body: Body, at: DateTime<Utc>) {
    let object = ObjectRecord {
        key: key.to_owned(),
        etag: body.etag(),
        body,
        last_modified: at,
        storage_class: "STANDARD".to_owned(),
        mark: None,
    };
    if let Ok(objects) = world.bucket_mut(bucket) {
        objects.insert(key.to_owned(), object);
    }
}

fn event_pattern(bucket: &str) -> String {
    serde_json::json!({
        "source": ["aws.s3"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["s3.amazonaws.com"],
            "eventName": ["PutObject", "CompleteMultipartUpload", "CopyObject"],
            "requestParameters": { "bucketName": [bucket] }
        }
    })
    .to_string()
}
