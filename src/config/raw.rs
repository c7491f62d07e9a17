//! The raw twin: the configuration as it is written, before anything is checked across keys.
//!
//! Every field is optional, also the required ones, so that what is missing can be told
//! together with everything else that is wrong; the defaults are a layer, not an attribute.
//! The JSON schema is made from these types: their comments are what an editor shows.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use chrono_tz::Tz;
use glob::Pattern;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::settings::{Arrival, HoldPolicy, LedgerUrl, Mode, Order, OtherName, Verify};
use super::words::{
    AccountId, Bucket, Endpoint, Hours, Listen, LocalTime, Prefix, ReadyBy, Region, Schedule,
    SizeBand, Span, Text, Wait,
};
use super::written::{Whole, Written};
use crate::domain::{DateFormat, IdPattern};

mod unions;

/// Makes structs that are read from tables only: what serde derives would also take a list
/// for the fields in their order, and `[[aws]]` with it.
macro_rules! from_tables_only {
    ($($name:ident),+ $(,)?) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TableVisitor;

                impl<'de> Visitor<'de> for TableVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a table")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(table))
                    }
                }

                deserializer.deserialize_any(TableVisitor)
            }
        }
    )+};
}

from_tables_only!(
    Raw,
    Aws,
    Ledger,
    ScanTimes,
    Http,
    Dataset,
    Calendar,
    Entry,
    Landing,
    RawSource,
    Window,
    Backfill,
    Load,
    InlineNetwork,
    Export,
    CopyZone,
    Publish,
    Trigger,
    DeadManSchedule
);

pub(super) use unions::{Dates, DeadMan, Expect, Network, Size};

/// The configuration of gapmend.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schemars(rename = "Configuration")]
pub(super) struct Raw {
    /// The account and region that gapmend works in.
    pub(super) aws: Aws,
    /// Where the record of decisions and deeds is kept.
    pub(super) ledger: Ledger,
    /// When everything is looked at.
    pub(super) schedule: ScanTimes,
    /// The read-only web server: metrics, health, status page.
    pub(super) http: Http,
    /// The feeds, each under its own name.
    pub(super) datasets: BTreeMap<String, Dataset>,
}

/// The account and region that gapmend works in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Aws {
    /// The region of everything. Required.
    pub(super) region: Option<Written<Region>>,
    /// The twelve digits of the account, in quotes; gapmend does nothing in any other account. Required.
    pub(super) account_id: Option<Written<AccountId>>,
    /// Requests at once, over all services.
    pub(super) max_in_flight: Option<Whole<1, 64>>,
    /// The address of an emulator; leave it out for the real AWS. The variable `AWS_ENDPOINT_URL` works too.
    pub(super) endpoint_url: Option<Written<Endpoint>>,
}

/// Where the record of decisions and deeds is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Ledger {
    /// `file:///directory` or `s3://bucket/prefix`. Never a landing bucket: any write there fires the live ingestion.
    pub(super) url: Option<Written<LedgerUrl>>,
}

/// When everything is looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schemars(rename = "Schedule")]
pub(super) struct ScanTimes {
    /// A cron expression of five fields, or six with seconds first; at most once on each local date.
    pub(super) scan: Option<Written<Schedule>>,
    /// The time zone of this schedule and of all local times.
    pub(super) timezone: Option<Written<Tz>>,
}

/// The read-only web server: metrics, health, status page.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Http {
    /// The address and port to listen on.
    pub(super) listen: Option<Written<Listen>>,
}

/// One feed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Dataset {
    /// `observe` starts and changes nothing, whoever asks; `allowlist` heals the dates in `backfill.allow`; `auto` heals every date that is not denied.
    pub(super) mode: Option<Written<Mode>>,
    /// Which dates are expected, and by when.
    pub(super) calendar: Calendar,
    /// Where the dumps land.
    pub(super) landing: Landing,
    /// Where the partitions are, by the name of the source; a date is available when every source has it. At least one.
    pub(super) raw: BTreeMap<String, RawSource>,
    /// Which dates are looked at.
    pub(super) window: Window,
    /// What is healed, and how eagerly.
    pub(super) backfill: Backfill,
    /// The ECS task that loads a date.
    pub(super) load: Load,
    /// The RDS snapshot and its export, when the pipeline has them.
    pub(super) export: Option<Export>,
    /// The zone between export and raw: the export's files lie here before they are published.
    pub(super) copy: Option<CopyZone>,
    /// The Glue workflow, when the pipeline has one.
    pub(super) publish: Option<Publish>,
    /// The event rule that fires the live run, when there is one.
    pub(super) trigger: Option<Trigger>,
}

/// Which dates are expected, and by when.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Calendar {
    /// `daily`, `weekdays`, or a list of days such as `["sat", "sun"]`.
    pub(super) expect: Option<Expect>,
    /// Local time on the date itself; later than that an absent dump is `no_dump`.
    pub(super) arrives_by: Option<Written<LocalTime>>,
    /// When raw should be whole, as days after the date and a local time: `D+1 06:00`. For the alerts.
    pub(super) ready_by: Option<Written<ReadyBy>>,
    /// Dates that are not expected after all, by name: holidays, days on which the source was down.
    pub(super) except: BTreeMap<String, Entry>,
    /// Dates that are expected as well, by name.
    pub(super) also: BTreeMap<String, Entry>,
}

/// Some dates, and why.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Entry {
    /// Dates and inclusive ranges: `["2022-06-01", "2022-06-10..2022-06-20"]`. Required.
    pub(super) dates: Option<Dates>,
    /// Why, in words. Required.
    pub(super) reason: Option<Written<Text>>,
    /// Who answers for it. Required where dates are waived.
    pub(super) owner: Option<Written<Text>>,
    /// Where it was agreed.
    pub(super) ticket: Option<Written<Text>>,
    /// The last day on which the entry counts.
    pub(super) until: Option<Written<NaiveDate>>,
}

/// Where the dumps land.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Landing {
    /// The bucket that the live rule watches. Required.
    pub(super) bucket: Option<Written<Bucket>>,
    /// What comes before the names of the dumps.
    pub(super) prefix: Option<Written<Prefix>>,
    /// The spellings of a dump's name below the prefix, with strftime letters for the date. Required.
    pub(super) keys: Option<Vec<Written<DateFormat>>>,
    /// How a dump is checked before it is loaded: `zip` reads the end of the archive, `size` only looks at its size.
    pub(super) verify: Option<Written<Verify>>,
    /// Smaller dumps are refused.
    pub(super) min_size: Option<Size>,
    /// Dumps that differ more than this from the median of the neighbouring dates are refused; `none` for no limit.
    pub(super) size_band: Option<Written<SizeBand>>,
}

/// A Glue database, or a part of one, that must have each date.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct RawSource {
    /// The Glue database. Required.
    pub(super) database: Option<Written<Text>>,
    /// The tables that belong, as names or shell patterns. Required.
    pub(super) tables: Option<Vec<Written<Pattern>>>,
    /// Tables that do not belong after all.
    pub(super) exclude: Vec<Written<Pattern>>,
    /// Tables that belong, but are never expected to have a date.
    pub(super) optional: Vec<Written<Pattern>>,
    /// The partition key that holds the date. Required.
    pub(super) partition_key: Option<Written<Text>>,
    /// How the date is spelled there, in strftime letters. Required.
    pub(super) partition_format: Option<Written<DateFormat>>,
    /// A date of which a table has bytes that differ more than this from the median of its neighbouring dates is flagged `odd_volume`; `none` for no limit.
    pub(super) volume_band: Option<Written<SizeBand>>,
    /// A table that usually has fewer bytes a date is not judged by `volume_band`.
    pub(super) volume_min_size: Option<Size>,
}

/// Which dates are looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Window {
    /// The first date looked at; without it, `lookback_days` before today.
    pub(super) from: Option<Written<NaiveDate>>,
    /// Days before today; dates that are allowed or asked for by name are looked at as well.
    pub(super) lookback_days: Option<Whole<1, 3660>>,
    /// Days; younger dates are still the nightly's. Under 6 is refused where `publish.live_workflow` is set.
    pub(super) min_age_days: Option<Whole<0, 3660>>,
    /// Also list the objects behind the catalog: tells empty and unregistered partitions.
    pub(super) check_objects: Option<bool>,
    /// How many expected dates raw may lag behind before it is worth an alert.
    pub(super) lag_objective_dates: Option<Whole<0, 3660>>,
}

/// What is healed, and how eagerly.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Backfill {
    /// `newest_first` or `oldest_first`.
    pub(super) order: Option<Written<Order>>,
    /// Runs that may start between one scan's slot and the next.
    pub(super) max_runs_per_night: Option<Whole<1, 100>>,
    /// Runs of one date before it is quarantined.
    pub(super) max_attempts: Option<Whole<1, 100>>,
    /// The wait after a first failure; it doubles with each further one.
    pub(super) backoff: Option<Written<Wait>>,
    /// Failed runs in a row, on whatever dates, that stop the dataset until `resume`.
    pub(super) stop_after: Option<Whole<1, 100>>,
    /// Local time in which a run may start; may pass midnight.
    pub(super) hours: Option<Written<Hours>>,
    /// Dates that mode `allowlist` may heal, by name.
    pub(super) allow: BTreeMap<String, Entry>,
    /// Dates that are never healed, by name.
    pub(super) deny: BTreeMap<String, Entry>,
    /// Dates that need no data, by name; each with its owner.
    pub(super) waive: BTreeMap<String, Entry>,
    /// Days on which nothing starts, by name.
    pub(super) freeze: BTreeMap<String, Entry>,
}

/// The ECS task that loads a date.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Load {
    /// The ECS cluster. Required.
    pub(super) cluster: Option<Written<Text>>,
    /// The task definition's family. Required.
    pub(super) task_definition: Option<Written<Text>>,
    /// The container whose environment gets the date. Required.
    pub(super) container: Option<Written<Text>>,
    /// The environment variable that carries the date.
    pub(super) date_variable: Option<Written<Text>>,
    /// How the date is spelled in it.
    pub(super) date_format: Option<Written<DateFormat>>,
    /// The dump's name that this task reads, below the landing prefix. Required.
    pub(super) dump_key: Option<Written<DateFormat>>,
    /// What to do with a dump of another name: `refuse` it, or `stage` a copy under the expected name with the trigger held.
    pub(super) other_name: Option<Written<OtherName>>,
    /// `from_trigger` takes it from the rule's own target; or write it here.
    pub(super) network: Option<Network>,
    /// The log group of the task, to show why it failed.
    pub(super) log_group: Option<Written<Text>>,
    /// The prefix of its log streams.
    pub(super) log_stream_prefix: Option<Written<Text>>,
    /// How long a load takes, until own history knows better.
    pub(super) expected: Option<Written<Span>>,
    /// Past it the task is stopped.
    pub(super) deadline: Option<Written<Span>>,
    /// The wait between two looks at it.
    pub(super) poll: Option<Written<Span>>,
}

/// Where the task runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schemars(rename = "InlineNetwork")]
pub(super) struct InlineNetwork {
    /// At least one.
    pub(super) subnets: Option<Vec<Written<Text>>>,
    /// At least one: without the right one the task cannot reach its database.
    pub(super) security_groups: Option<Vec<Written<Text>>>,
    /// Whether the task gets a public address.
    pub(super) assign_public_ip: bool,
    /// The Fargate platform version.
    pub(super) platform_version: Option<Written<Text>>,
}

/// The RDS snapshot and its export.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Export {
    /// The id of a date's snapshot, and of its export. Required.
    pub(super) snapshot_id: Option<Written<DateFormat>>,
    /// The RDS instance: all its snapshots are seen then, not only those of our dates.
    pub(super) instance: Option<Written<Text>>,
    /// The bucket of the exports: the tables and files that a date held are read from it.
    pub(super) bucket: Option<Written<Bucket>>,
    /// The ids of the nightly's exports of a date, with one `*`, such as `sql-to-parquet-%y-%m-%d-*`: an unpublished date may be complete from one of them.
    pub(super) live_id: Option<Written<IdPattern>>,
    /// For the snapshot and for the export, each.
    pub(super) deadline: Option<Written<Span>>,
    /// The wait between two looks.
    pub(super) poll: Option<Written<Span>>,
}

/// The zone between export and raw: a copier puts the export's files here, and the workflow reads them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schemars(rename = "Copy")]
pub(super) struct CopyZone {
    /// The bucket that the copier writes to. Required.
    pub(super) bucket: Option<Written<Bucket>>,
    /// Below it lies one folder a table, named as in the export: `database.table`. Required.
    pub(super) prefix: Option<Written<Prefix>>,
    /// A date's folder below a table's folder, with strftime letters and a slash at the end.
    pub(super) folder: Option<Written<DateFormat>>,
    /// Of the export's end; past it the copy is incomplete and nothing is published.
    pub(super) deadline: Option<Written<Span>>,
    /// The wait between two looks.
    pub(super) poll: Option<Written<Span>>,
}

/// The Glue workflow that carries an export into raw.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Publish {
    /// The backdated workflow. Required.
    pub(super) workflow: Option<Written<Text>>,
    /// The run property that carries the date.
    pub(super) date_property: Option<Written<Text>>,
    /// How the date is spelled in it.
    pub(super) date_format: Option<Written<DateFormat>>,
    /// The live workflow, when it writes the same tables: nothing starts while it runs.
    pub(super) live_workflow: Option<Written<Text>>,
    /// Of the copy's end (the export's, without `copy`); past it gapmend starts the workflow itself, once.
    pub(super) start_within: Option<Written<Wait>>,
    /// For the workflow's run.
    pub(super) deadline: Option<Written<Span>>,
    /// The wait between two looks.
    pub(super) poll: Option<Written<Span>>,
}

/// The event rule that fires the live run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct Trigger {
    /// The rule's name. Required.
    pub(super) rule: Option<Written<Text>>,
    /// Its event bus.
    pub(super) event_bus: Option<Written<Text>>,
    /// When the live dump usually lands: `learned` from the listing, a time in UTC, or `none`. No run starts that would not be through its load before it.
    pub(super) arrival: Option<Written<Arrival>>,
    /// When the rule is disabled by us: `upload` only around our own writes to the landing bucket, `run` until our export exists, `never`.
    pub(super) hold: Option<Written<HoldPolicy>>,
    /// The wait after disabling, before writing.
    pub(super) propagation: Option<Written<Wait>>,
    /// The wait after our last write, before enabling: the audit trail is late.
    pub(super) settle: Option<Written<Wait>>,
    /// Past it our task is stopped and the rule released; between `propagation + settle` and `dead_man.after`.
    pub(super) max_hold: Option<Written<Span>>,
    /// The schedule that enables the rule when nobody of ours does any more; needed for holding. `none` accepts the risk.
    pub(super) dead_man: Option<DeadMan>,
    /// Start runs although someone else has the rule disabled: an operator is probably at work, so better not.
    pub(super) ignore_disabled: Option<bool>,
}

/// The schedule that enables the rule when nobody of ours does any more.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub(super) struct DeadManSchedule {
    /// The schedule group. Required.
    pub(super) group: Option<Written<Text>>,
    /// The role that the scheduler takes. Required.
    pub(super) role_arn: Option<Written<Text>>,
    /// How long after the hold begins it fires. Required.
    pub(super) after: Option<Written<Span>>,
}
