//! The checked settings: what every other layer sees of the configuration.
//!
//! A value of these types is valid by construction; only `config::load` makes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use glob::Pattern;

use crate::domain::{DateFormat, DateSpan, IdPattern, Network, Stage, TaskFamily, VolumeLimits};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account, region, limits.
    pub aws: AwsSettings,
    /// Where the ledger is.
    pub ledger: LedgerUrl,
    /// When to scan.
    pub schedule: ScanSchedule,
    /// `host:port` of the read-only HTTP server.
    pub listen: String,
    /// The feeds, by name.
    pub datasets: BTreeMap<String, Arc<DatasetSettings>>,
    /// SHA-256 of the effective configuration, in hex: for the audit.
    pub hash: String,
    /// What `hash` is made from: every key in use, defaults included.
    pub effective: serde_json::Value,
    /// The files that it came from.
    pub sources: Vec<PathBuf>,
}

impl Settings {
    /// Keeps the old value of what a running process cannot change; answers the keys whose value
    /// is another now.
    pub fn keep_what_needs_a_restart(&mut self, old: &Self) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let mut keep = |key: &'static str, is_new: bool| {
            if is_new {
                changed.push(key);
            }
        };
        keep("aws", self.aws != old.aws);
        keep("ledger.url", self.ledger != old.ledger);
        keep("http.listen", self.listen != old.listen);
        self.aws.clone_from(&old.aws);
        self.ledger.clone_from(&old.ledger);
        self.listen.clone_from(&old.listen);
        changed
    }
}

/// `[aws]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// The region of everything.
    pub region: String,
    /// Twelve digits; gapmend does nothing in any other account.
    pub account_id: String,
    /// Requests at once, over all services.
    pub max_in_flight: usize,
    /// For emulators only.
    pub endpoint_url: Option<String>,
}

/// `ledger.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerUrl {
    /// `file:///dir`
    Directory(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket: never a landing bucket (H12).
        bucket: String,
        /// Without slashes at either end; may be empty.
        prefix: String,
    },
}

impl std::fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "file://{}", path.display()),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// `[schedule]`: a slot is its local date.
#[derive(Clone, Debug)]
pub struct ScanSchedule {
    /// The cron expression as written, five or six fields.
    pub expression: String,
    /// The same, parsed; seconds are 0 when not given.
    pub cron: croner::Cron,
    /// The zone whose dates and times the expression means.
    pub timezone: Tz,
}

/// What a dataset may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing is started or changed, whoever asks.
    Observe,
    /// Only allowed dates are healed.
    Allowlist,
    /// Every date is healed that is not denied.
    Auto,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Observe, Self::Allowlist, Self::Auto];

    /// The name in the configuration and in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Allowlist => "allowlist",
            Self::Auto => "auto",
        }
    }
}

/// `[datasets.NAME]`: one feed.
#[derive(Clone, Debug)]
pub struct DatasetSettings {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub mode: Mode,
    /// Which dates are expected, and by when.
    pub calendar: Calendar,
    /// Where the dumps land.
    pub landing: Landing,
    /// Where the partitions are, by the name of the source.
    pub raw: BTreeMap<String, RawSource>,
    /// Which dates are looked at.
    pub window: Window,
    /// What is healed, and how eagerly.
    pub backfill: Backfill,
    /// The ECS task.
    pub load: Load,
    /// The RDS snapshot and its export, when the pipeline has them.
    pub export: Option<ExportSettings>,
    /// The zone between export and raw, when it is known.
    pub copy: Option<CopySettings>,
    /// The Glue workflow, when the pipeline has one.
    pub publish: Option<PublishSettings>,
    /// The rule that fires the live run, when there is one.
    pub trigger: Option<TriggerSettings>,
    /// The zone of all local times above (`schedule.timezone`).
    pub timezone: Tz,
}

impl DatasetSettings {
    /// How long a stage may take; a stage without a limit of its own has its neighbour's.
    #[must_use]
    pub fn stage_deadline(&self, stage: Stage) -> Duration {
        let load = self.load.deadline;
        match stage {
            Stage::Preflight | Stage::StageDump | Stage::Load => load,
            Stage::Snapshot | Stage::Export => {
                self.export.as_ref().map_or(load, |export| export.deadline)
            }
            Stage::Copy => self.copy.as_ref().map_or(load, |copy| copy.deadline),
            Stage::Publish | Stage::Verify => {
                self.publish.as_ref().map_or(load, |publish| publish.deadline)
            }
        }
    }
}

/// `[datasets.NAME.calendar]`.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// The weekdays that are expected.
    pub expect: Vec<Weekday>,
    /// Local time on the date itself; later than that an absent dump is `no_dump`.
    pub arrives_by: NaiveTime,
    /// Days after the date, and the local time, by which raw should be whole.
    pub ready_by: (i64, NaiveTime),
    /// Dates that are not expected after all.
    pub except: BTreeMap<String, NamedDates>,
    /// Dates that are expected as well.
    pub also: BTreeMap<String, NamedDates>,
}

/// An entry of one of the tables that people add to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDates {
    /// The dates, in ranges.
    pub dates: Vec<DateSpan>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// The last day on which the entry counts.
    pub until: Option<NaiveDate>,
}

impl NamedDates {
    /// Whether the entry names the date.
    #[must_use]
    pub fn names(&self, date: NaiveDate) -> bool {
        self.dates.iter().any(|span| span.contains(date))
    }

    /// Whether the entry still counts on that day.
    #[must_use]
    pub fn counts_on(&self, today: NaiveDate) -> bool {
        self.until.is_none_or(|until| today <= until)
    }
}

/// The entry of a table that names the date and still counts, with its name.
#[must_use]
pub fn entry_for(
    table: &BTreeMap<String, NamedDates>,
    date: NaiveDate,
    today: NaiveDate,
) -> Option<(&str, &NamedDates)> {
    table
        .iter()
        .find(|(_, entry)| entry.counts_on(today) && entry.names(date))
        .map(|(name, entry)| (name.as_str(), entry))
}

/// How a dump is checked before it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// By ranged reads of the zip's end of central directory.
    Zip,
    /// By its size only.
    Size,
}

/// `[datasets.NAME.landing]`.
#[derive(Clone, Debug)]
pub struct Landing {
    /// The bucket that the live rule watches: nothing but dumps is ever written there (H12).
    pub bucket: String,
    /// With its trailing slash.
    pub prefix: String,
    /// The spellings of a dump's name below the prefix.
    pub keys: Vec<DateFormat>,
    /// How it is checked.
    pub verify: Verify,
    /// Bytes.
    pub min_size: u64,
    /// Percent around the median of the neighbouring dates; `None` for no band.
    pub size_band_percent: Option<u32>,
}

/// `[datasets.NAME.raw.SOURCE]`.
#[derive(Clone, Debug)]
pub struct RawSource {
    /// The Glue database.
    pub database: String,
    /// Table names that belong, as shell patterns.
    pub tables: Vec<Pattern>,
    /// Table names that do not belong after all.
    pub exclude: Vec<Pattern>,
    /// Table names that are never expected.
    pub optional: Vec<Pattern>,
    /// The partition key that holds the date.
    pub partition_key: String,
    /// How it is spelled.
    pub partition_format: DateFormat,
    /// Percent around the median of a table's neighbouring dates; `None`: no date is odd.
    pub volume_band_percent: Option<u32>,
    /// Bytes; a table that usually has fewer is not judged.
    pub volume_min_size: u64,
}

impl RawSource {
    /// Whether a table of the database belongs to this source.
    #[must_use]
    pub fn selects(&self, table: &str) -> bool {
        self.tables.iter().any(|pattern| pattern.matches(table))
            && !self.exclude.iter().any(|pattern| pattern.matches(table))
    }

    /// How the volumes of a table are judged: those of `optional` ones are not.
    #[must_use]
    pub fn volume_limits(&self, table: &str) -> VolumeLimits {
        VolumeLimits {
            band_percent: self.volume_band_percent.filter(|_| !self.is_optional(table)),
            min_bytes: self.volume_min_size,
        }
    }

    /// Whether a table is never expected.
    #[must_use]
    pub fn is_optional(&self, table: &str) -> bool {
        self.optional.iter().any(|pattern| pattern.matches(table))
    }
}

/// `[datasets.NAME.window]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first date looked at; else `lookback_days` before today.
    pub from: Option<NaiveDate>,
    /// Days.
    pub lookback_days: u32,
    /// Days; younger dates are still the nightly's (H7).
    pub min_age_days: u32,
    /// Also list the objects behind the catalog.
    pub check_objects: bool,
    /// For the alerts, in expected dates.
    pub lag_objective_dates: u32,
}

/// The order of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Fresh data first.
    NewestFirst,
    /// History first.
    OldestFirst,
}

/// `[datasets.NAME.backfill]`.
#[derive(Clone, Debug)]
pub struct Backfill {
    /// The order of the queue.
    pub order: Order,
    /// Runs that may start between one slot and the next.
    pub max_runs_per_night: u32,
    /// Attempts before a date is quarantined.
    pub max_attempts: u32,
    /// The wait after a first failure; it doubles.
    pub backoff: Duration,
    /// Failed runs in a row that stop the dataset until `resume`.
    pub stop_after: u32,
    /// Local time in which a run may start; may pass midnight.
    pub hours: Option<(NaiveTime, NaiveTime)>,
    /// What mode `allowlist` may heal.
    pub allow: BTreeMap<String, NamedDates>,
    /// What is never healed.
    pub deny: BTreeMap<String, NamedDates>,
    /// What needs no data.
    pub waive: BTreeMap<String, NamedDates>,
    /// Days on which nothing starts.
    pub freeze: BTreeMap<String, NamedDates>,
}

/// What to do with a dump whose name is not the one that the task reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherName {
    /// `bad_dump`.
    Refuse,
    /// A copy under the expected name, with the trigger held.
    Stage,
}

/// Where the load's network comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSource {
    /// The rule's own target: subnets, security groups, platform, task revision.
    FromTrigger,
    /// Written in the configuration.
    Inline {
        /// Subnets, security groups, public address.
        network: Network,
        /// The Fargate platform version.
        platform_version: Option<String>,
    },
}

/// `[datasets.NAME.load]`.
#[derive(Clone, Debug)]
pub struct Load {
    /// The ECS cluster.
    pub cluster: String,
    /// The task's family.
    pub task_definition: String,
    /// The container whose environment is overridden.
    pub container: String,
    /// The variable that carries the date.
    pub date_variable: String,
    /// How the date is spelled in it.
    pub date_format: DateFormat,
    /// The dump's name that this task reads, below the landing prefix.
    pub dump_key: DateFormat,
    /// What to do with another spelling.
    pub other_name: OtherName,
    /// Where the task runs.
    pub network: NetworkSource,
    /// The log group of the task.
    pub log_group: Option<String>,
    /// The prefix of its log streams: `prefix/container/task-id`.
    pub log_stream_prefix: Option<String>,
    /// How long a load takes, until own history knows better.
    pub expected: Duration,
    /// Past it the task is stopped.
    pub deadline: Duration,
    /// Between two looks.
    pub poll: Duration,
}

impl Load {
    /// The family as the platform asks for it.
    #[must_use]
    pub fn family(&self) -> TaskFamily {
        TaskFamily {
            cluster: self.cluster.clone(),
            family: self.task_definition.clone(),
            container: self.container.clone(),
            date_variable: self.date_variable.clone(),
        }
    }
}

/// `[datasets.NAME.export]`.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// The id of the snapshot and of its export.
    pub snapshot_id: DateFormat,
    /// The RDS instance, to see every snapshot of it.
    pub instance: Option<String>,
    /// The bucket of the exports, to see which tables and files a date held.
    pub bucket: Option<String>,
    /// The ids of the nightly's exports.
    pub live_id: Option<IdPattern>,
    /// For the snapshot and for the export, each.
    pub deadline: Duration,
    /// Between two looks.
    pub poll: Duration,
}

/// `[datasets.NAME.copy]`: where the export's files lie before they are published.
#[derive(Clone, Debug)]
pub struct CopySettings {
    /// The bucket that the copier writes to.
    pub bucket: String,
    /// With its trailing slash; below it one folder a table, named as in the export.
    pub prefix: String,
    /// A date's folder below a table's, with its trailing slash.
    pub folder: DateFormat,
    /// After the export's end; past it the copy is incomplete.
    pub deadline: Duration,
    /// Between two looks.
    pub poll: Duration,
}

/// `[datasets.NAME.publish]`.
#[derive(Clone, Debug)]
pub struct PublishSettings {
    /// The backdated workflow.
    pub workflow: String,
    /// The run property that carries the date.
    pub date_property: String,
    /// How it is spelled.
    pub date_format: DateFormat,
    /// The live workflow: its runs share tables with ours.
    pub live_workflow: Option<String>,
    /// After the copy's end (the export's, without `copy`); past it gapmend starts the workflow
    /// itself, once (H19, H20).
    pub start_within: Duration,
    /// For the workflow run.
    pub deadline: Duration,
    /// Between two looks.
    pub poll: Duration,
}

/// When the live dump usually lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From the listing.
    Learned,
    /// A time of day in UTC.
    At(NaiveTime),
    /// Not considered.
    None,
}

/// When the trigger is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldPolicy {
    /// Only around our own writes to the landing bucket.
    Upload,
    /// From before the load until our export task exists.
    Run,
    /// Never.
    Never,
}

/// What enables the rule when nobody of ours does any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadManSettings {
    /// `"none"`: the risk is accepted.
    Accepted,
    /// A one-time schedule.
    Schedule {
        /// The schedule group.
        group: String,
        /// The role that the scheduler takes.
        role_arn: String,
        /// How long after the hold begins it fires.
        after: Duration,
    },
}

/// `[datasets.NAME.trigger]`.
#[derive(Clone, Debug)]
pub struct TriggerSettings {
    /// The rule's name.
    pub rule: String,
    /// Its bus.
    pub event_bus: String,
    /// When the live dump usually lands.
    pub arrival: Arrival,
    /// When the rule is held.
    pub hold: HoldPolicy,
    /// After disabling, before writing.
    pub propagation: Duration,
    /// After our last write, before enabling.
    pub settle: Duration,
    /// Past it our task is stopped and the rule released.
    pub max_hold: Duration,
    /// Absent: holding is refused.
    pub dead_man: Option<DeadManSettings>,
    /// Start runs although someone else has the rule disabled.
    pub ignore_disabled: bool,
}
