//! The names of things: by default those of the production pipeline.

use chrono::NaiveDate;

/// A raw zone: a Glue database whose tables hold a share of the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawZone {
    /// Its name in the configuration, e.g. `parking`.
    pub source: String,
    /// The Glue database.
    pub database: String,
    /// Its prefix in the raw bucket, with a trailing slash.
    pub prefix: String,
    /// The tables of the dump that land in it, as the catalog calls them: `liberator_pcn`.
    pub tables: Vec<String>,
    /// The live copy job.
    pub live_job: String,
    /// The backdated copy job.
    pub backdated_job: String,
}

/// What everything is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Twelve digits.
    pub account: String,
    /// The region.
    pub region: String,
    /// Who the caller is.
    pub caller_arn: String,
    /// The watched bucket in which the dumps land.
    pub dump_bucket: String,
    /// The prefix of the dumps in it, with a trailing slash.
    pub dump_prefix: String,
    /// The file name that the load task reads.
    pub dump_key: String,
    /// The bucket of the exports.
    pub export_bucket: String,
    /// The bucket of the landing zone (parquet), which nothing watches.
    pub landing_zone_bucket: String,
    /// The landing zone's database in the catalog.
    pub landing_database: String,
    /// The bucket of the raw zones.
    pub raw_bucket: String,
    /// A bucket for our ledger.
    pub ledger_bucket: String,
    /// The ECS cluster.
    pub cluster: String,
    /// The task's family, and its container.
    pub family: String,
    /// The revision that the rule's target names.
    pub revision: u32,
    /// The variable that carries a backdated run's date.
    pub date_variable: String,
    /// The task's log group.
    pub log_group: String,
    /// The prefix of its log streams.
    pub log_stream_prefix: String,
    /// What every snapshot's id begins with that the exporter hears of.
    pub export_prefix: String,
    /// The RDS instance.
    pub instance: String,
    /// The database in the instance: what the dump is loaded into.
    pub mysql_database: String,
    /// The rule that fires the live run.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// The live workflow and its crawler.
    pub live_workflow: String,
    /// The crawler of the live workflow.
    pub live_crawler: String,
    /// The backdated workflow.
    pub backdated_workflow: String,
    /// The crawler of the backdated workflow.
    pub backdated_crawler: String,
    /// The raw zones.
    pub raw: Vec<RawZone>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            account: "111122223333".into(),
            region: "eu-west-2".into(),
            caller_arn: "arn:aws:sts::111122223333:assumed-role/gapmend/gapmend".into(),
            dump_bucket: "dataplatform-prod-liberator-data-storage".into(),
            dump_prefix: "parking/".into(),
            dump_key: "liberator_dump_%Y%m%d.zip".into(),
            export_bucket: "dataplatform-prod-rds-shapshot-export-storage".into(),
            landing_zone_bucket: "dataplatform-prod-landing-zone".into(),
            landing_database: "dataplatform-prod-liberator-landing-zone".into(),
            raw_bucket: "dataplatform-prod-raw-zone".into(),
            ledger_bucket: "gapmend-ledger".into(),
            cluster: "dataplatform-prod-workers".into(),
            family: "liberator-to-rds-snapshot".into(),
            revision: 42,
            date_variable: "IMPORT_DATE_OVERRIDE".into(),
            log_group: "liberator-to-rds-snapshot-ecs-task-logs".into(),
            log_stream_prefix: "liberator-to-rds-snapshot".into(),
            export_prefix: "sql-to-parquet".into(),
            instance: "liberator-to-rds-snapshot".into(),
            mysql_database: "liberator".into(),
            rule: "liberator-to-rds-snapshot-event".into(),
            event_bus: "default".into(),
            live_workflow: "parking-liberator-data-workflow".into(),
            live_crawler: "dataplatform-prod-landing-zone-liberator".into(),
            backdated_workflow: "parking-liberator-backdated-data-workflow".into(),
            backdated_crawler: "dataplatform-prod-landing-zone-liberator-backdated".into(),
            raw: vec![parking(), env_enforcement()],
        }
    }
}

fn parking() -> RawZone {
    let job = "Copy parking Liberator landing zone to raw";
    RawZone {
        source: "parking".into(),
        database: "dataplatform-prod-liberator-raw-zone".into(),
        prefix: "parking/liberator/".into(),
        tables: ["hub", "pcn", "permit", "suspension", "visitor_voucher"]
            .map(|name| format!("liberator_{name}"))
            .into(),
        live_job: job.into(),
        backdated_job: format!("{job} backdated"),
    }
}

fn env_enforcement() -> RawZone {
    let job = "Copy Env Enforcement Liberator landing zone to raw";
    RawZone {
        source: "env-enforcement".into(),
        database: "env-enforcement-raw-zone".into(),
        prefix: "env-enforcement/liberator/".into(),
        tables: ["fpn_notice", "fpn_payment"].map(|name| format!("liberator_{name}")).into(),
        live_job: job.into(),
        backdated_job: format!("{job} backdated"),
    }
}

impl Names {
    /// An ARN in this account and region.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// The cluster's ARN.
    #[must_use]
    pub fn cluster_arn(&self) -> String {
        self.arn("ecs", &format!("cluster/{}", self.cluster))
    }

    /// The task definition that the rule's target names.
    #[must_use]
    pub fn task_definition_arn(&self) -> String {
        self.arn("ecs", &format!("task-definition/{}:{}", self.family, self.revision))
    }

    /// The key of a date's dump under the name that the load task reads.
    #[must_use]
    pub fn dump_key_of(&self, date: NaiveDate) -> String {
        format!("{}{}", self.dump_prefix, date.format(&self.dump_key))
    }

    /// The key of a date's dump in the old spelling.
    #[must_use]
    pub fn old_dump_key_of(&self, date: NaiveDate) -> String {
        format!("{}{}", self.dump_prefix, date.format("liberator_dump_%y%m%d.zip"))
    }

    /// The id of a live run's snapshot and export; the time of day makes it unique.
    #[must_use]
    pub fn live_id(&self, date: NaiveDate, time: &str) -> String {
        format!("{}-{}-{time}", self.export_prefix, date.format("%y-%m-%d"))
    }

    /// The id of a backdated run's snapshot and export.
    #[must_use]
    pub fn backdated_id(&self, date: NaiveDate) -> String {
        format!("{}-{date}-backdated", self.export_prefix)
    }
}
