//! `[datasets.NAME]`: section by section.

use std::collections::BTreeMap;

use glob::Pattern;

use super::named::{self, Owner};
use super::{Around, IntoText, hold, rules};
use crate::config::key_path::KeyPath;
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{
    Backfill, Calendar, CopySettings, DatasetSettings, DeadManSettings, ExportSettings, Landing,
    Load, NetworkSource, PublishSettings, RawSource, TriggerSettings, Window,
};
use crate::config::words::{Bucket, Hours, ReadyBy, Weekdays};
use crate::config::written::{FromText as _, Written};
use crate::domain::{DateFormat, Network};

/// What a key of that kind holds, for the message when it is missing.
const FORMAT: &str = "a text with strftime letters that names a whole day";
const DURATION: &str = "a duration such as \"15m\"";
const NUMBER: &str = "a whole number";

pub(super) fn dataset(
    name: String,
    raw: raw::Dataset,
    at: &KeyPath,
    around: Around,
    report: &mut Report,
) -> Option<DatasetSettings> {
    rules::dataset_name(&name, at, report);
    rules::within_dataset(&raw, at, around.today, report);
    let mode = report.need(raw.mode, at, "mode", "a mode");
    let calendar = calendar(raw.calendar, &at.key("calendar"), report);
    let landing = landing(raw.landing, &at.key("landing"), report);
    let sources = sources(raw.raw, &at.key("raw"), report);
    let window = window(&raw.window, &at.key("window"), report);
    let backfill = backfill(raw.backfill, &at.key("backfill"), report);
    let load = load(raw.load, &at.key("load"), report);
    // An optional section that is there but broken is not the same as absent.
    let export = raw.export.map(|raw| export(raw, &at.key("export"), report));
    let copy = raw.copy.map(|raw| copy(raw, &at.key("copy"), report));
    let publish = raw.publish.map(|raw| publish(raw, &at.key("publish"), report));
    let trigger = raw.trigger.map(|raw| trigger(raw, &at.key("trigger"), report));
    Some(DatasetSettings {
        name,
        mode: mode?.0,
        calendar: calendar?,
        landing: landing?,
        raw: sources,
        window: window?,
        backfill: backfill?,
        load: load?,
        export: whole(export)?,
        copy: whole(copy)?,
        publish: whole(publish)?,
        trigger: whole(trigger)?,
        timezone: around.timezone,
    })
}

/// `Some(None)` for a section that is absent; `None` for one that is broken.
#[expect(clippy::option_option, reason = "absent and broken are different things")]
fn whole<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    match section {
        None => Some(None),
        Some(built) => built.map(Some),
    }
}

fn calendar(raw: raw::Calendar, at: &KeyPath, report: &mut Report) -> Option<Calendar> {
    let expect = report.need(raw.expect, at, "expect", Weekdays::EXPECTED);
    if expect.as_ref().is_some_and(|raw::Expect(Weekdays(days))| days.is_empty()) {
        report.empty(&at.key("expect"), "at least one day of the week");
    }
    let arrives_by = report.need(raw.arrives_by, at, "arrives_by", "a time of day");
    let ready_by = report.need(raw.ready_by, at, "ready_by", ReadyBy::EXPECTED);
    let except = named::table(raw.except, &at.key("except"), Owner::Optional, report);
    let also = named::table(raw.also, &at.key("also"), Owner::Optional, report);
    let ReadyBy(days, time) = ready_by?.0;
    Some(Calendar {
        expect: expect?.0.0,
        arrives_by: arrives_by?.0.0,
        ready_by: (days, time),
        except,
        also,
    })
}

fn landing(raw: raw::Landing, at: &KeyPath, report: &mut Report) -> Option<Landing> {
    let bucket = report.need(raw.bucket, at, "bucket", Bucket::EXPECTED);
    let prefix = report.need(raw.prefix, at, "prefix", "a prefix");
    let keys = need_some(raw.keys, at, "keys", FORMAT, report);
    let verify = report.need(raw.verify, at, "verify", "how to check a dump");
    let min_size = report.need(raw.min_size, at, "min_size", "a size");
    let size_band = report.need(raw.size_band, at, "size_band", "a percentage");
    Some(Landing {
        bucket: bucket?.into_text(),
        prefix: prefix?.0.0,
        keys: keys?,
        verify: verify?.0,
        min_size: min_size?.0,
        size_band_percent: size_band?.0.0,
    })
}

fn sources(
    raw: BTreeMap<String, raw::RawSource>,
    at: &KeyPath,
    report: &mut Report,
) -> BTreeMap<String, RawSource> {
    if raw.is_empty() {
        report.missing(at, "at least one table such as `raw.NAME` with `database` and `tables`");
    }
    let mut sources = BTreeMap::new();
    for (name, raw) in raw {
        if let Some(source) = source(raw, &at.key(&name), report) {
            sources.insert(name, source);
        }
    }
    sources
}

fn source(raw: raw::RawSource, at: &KeyPath, report: &mut Report) -> Option<RawSource> {
    let database = report.need(raw.database, at, "database", "the Glue database");
    let tables = need_some(raw.tables, at, "tables", Pattern::EXPECTED, report);
    let partition_key = report.need(
        raw.partition_key,
        at,
        "partition_key",
        "the partition key that holds the date",
    );
    let partition_format = report.need(raw.partition_format, at, "partition_format", FORMAT);
    let volume_band = report.need(raw.volume_band, at, "volume_band", "a percentage");
    let volume_min_size = report.need(raw.volume_min_size, at, "volume_min_size", "a size");
    Some(RawSource {
        database: database?.into_text(),
        tables: tables?,
        exclude: unwritten(raw.exclude),
        optional: unwritten(raw.optional),
        partition_key: partition_key?.into_text(),
        partition_format: partition_format?.0,
        volume_band_percent: volume_band?.0.0,
        volume_min_size: volume_min_size?.0,
    })
}

fn window(raw: &raw::Window, at: &KeyPath, report: &mut Report) -> Option<Window> {
    let lookback_days = report.need(raw.lookback_days, at, "lookback_days", NUMBER);
    let min_age_days = report.need(raw.min_age_days, at, "min_age_days", NUMBER);
    let check_objects = report.need(raw.check_objects, at, "check_objects", "true or false");
    let lag = report.need(raw.lag_objective_dates, at, "lag_objective_dates", NUMBER);
    Some(Window {
        from: raw.from.as_ref().map(|from| from.0),
        lookback_days: lookback_days?.0,
        min_age_days: min_age_days?.0,
        check_objects: check_objects?,
        lag_objective_dates: lag?.0,
    })
}

fn backfill(raw: raw::Backfill, at: &KeyPath, report: &mut Report) -> Option<Backfill> {
    let order = report.need(raw.order, at, "order", "an order");
    let max_runs = report.need(raw.max_runs_per_night, at, "max_runs_per_night", NUMBER);
    let max_attempts = report.need(raw.max_attempts, at, "max_attempts", NUMBER);
    let backoff = report.need(raw.backoff, at, "backoff", DURATION);
    let stop_after = report.need(raw.stop_after, at, "stop_after", NUMBER);
    let allow = named::table(raw.allow, &at.key("allow"), Owner::Optional, report);
    let deny = named::table(raw.deny, &at.key("deny"), Owner::Optional, report);
    let waive = named::table(raw.waive, &at.key("waive"), Owner::Required, report);
    let freeze = named::table(raw.freeze, &at.key("freeze"), Owner::Optional, report);
    named::warn_of_overlaps(&allow, &deny, at, report);
    Some(Backfill {
        order: order?.0,
        max_runs_per_night: max_runs?.0,
        max_attempts: max_attempts?.0,
        backoff: backoff?.0.0,
        stop_after: stop_after?.0,
        hours: raw.hours.map(|Written(Hours(from, to))| (from, to)),
        allow,
        deny,
        waive,
        freeze,
    })
}

fn load(raw: raw::Load, at: &KeyPath, report: &mut Report) -> Option<Load> {
    let cluster = report.need(raw.cluster, at, "cluster", "the ECS cluster");
    let task_definition =
        report.need(raw.task_definition, at, "task_definition", "the task definition's family");
    let container = report.need(raw.container, at, "container", "the name of the container");
    let date_variable =
        report.need(raw.date_variable, at, "date_variable", "the variable that carries the date");
    let date_format = report.need(raw.date_format, at, "date_format", FORMAT);
    let dump_key = report.need(raw.dump_key, at, "dump_key", FORMAT);
    let other_name = report.need(raw.other_name, at, "other_name", "what to do");
    let network = report.need(raw.network, at, "network", "where the task runs");
    let network = network.and_then(|raw| network_source(raw, &at.key("network"), report));
    let expected = report.need(raw.expected, at, "expected", DURATION);
    let deadline = report.need(raw.deadline, at, "deadline", DURATION);
    let poll = report.need(raw.poll, at, "poll", DURATION);
    Some(Load {
        cluster: cluster?.into_text(),
        task_definition: task_definition?.into_text(),
        container: container?.into_text(),
        date_variable: date_variable?.into_text(),
        date_format: date_format?.0,
        dump_key: dump_key?.0,
        other_name: other_name?.0,
        network: network?,
        log_group: raw.log_group.map(IntoText::into_text),
        log_stream_prefix: raw.log_stream_prefix.map(IntoText::into_text),
        expected: expected?.0.0,
        deadline: deadline?.0.0,
        poll: poll?.0.0,
    })
}

fn network_source(raw: raw::Network, at: &KeyPath, report: &mut Report) -> Option<NetworkSource> {
    let raw = match raw {
        raw::Network::FromTrigger => return Some(NetworkSource::FromTrigger),
        raw::Network::Inline(raw) => raw,
    };
    let subnets = need_some(raw.subnets, at, "subnets", "at least one subnet", report);
    let groups = "at least one security group; without it the task cannot reach its database";
    let security_groups = need_some(raw.security_groups, at, "security_groups", groups, report);
    let texts = |list: Vec<crate::config::words::Text>| list.into_iter().map(|it| it.0).collect();
    Some(NetworkSource::Inline {
        network: Network {
            subnets: texts(subnets?),
            security_groups: texts(security_groups?),
            assign_public_ip: raw.assign_public_ip,
        },
        platform_version: raw.platform_version.map(IntoText::into_text),
    })
}

fn export(raw: raw::Export, at: &KeyPath, report: &mut Report) -> Option<ExportSettings> {
    let snapshot_id = report.need(raw.snapshot_id, at, "snapshot_id", FORMAT);
    let deadline = report.need(raw.deadline, at, "deadline", DURATION);
    let poll = report.need(raw.poll, at, "poll", DURATION);
    Some(ExportSettings {
        snapshot_id: snapshot_id?.0,
        instance: raw.instance.map(IntoText::into_text),
        bucket: raw.bucket.map(IntoText::into_text),
        live_id: raw.live_id.map(|id| id.0),
        deadline: deadline?.0.0,
        poll: poll?.0.0,
    })
}

fn copy(raw: raw::CopyZone, at: &KeyPath, report: &mut Report) -> Option<CopySettings> {
    let bucket = report.need(raw.bucket, at, "bucket", Bucket::EXPECTED);
    let prefix = report.need(raw.prefix, at, "prefix", "the prefix above the tables' folders");
    let folder = report.need(raw.folder, at, "folder", FORMAT);
    let deadline = report.need(raw.deadline, at, "deadline", DURATION);
    let poll = report.need(raw.poll, at, "poll", DURATION);
    Some(CopySettings {
        bucket: bucket?.into_text(),
        prefix: prefix?.0.0,
        folder: folder?.0,
        deadline: deadline?.0.0,
        poll: poll?.0.0,
    })
}

fn publish(raw: raw::Publish, at: &KeyPath, report: &mut Report) -> Option<PublishSettings> {
    let workflow = report.need(raw.workflow, at, "workflow", "the backdated workflow");
    let date_property = report.need(
        raw.date_property,
        at,
        "date_property",
        "the run property that carries the date",
    );
    let date_format: Option<Written<DateFormat>> =
        report.need(raw.date_format, at, "date_format", FORMAT);
    let start_within = report.need(raw.start_within, at, "start_within", DURATION);
    let deadline = report.need(raw.deadline, at, "deadline", DURATION);
    let poll = report.need(raw.poll, at, "poll", DURATION);
    Some(PublishSettings {
        workflow: workflow?.into_text(),
        date_property: date_property?.into_text(),
        date_format: date_format?.0,
        live_workflow: raw.live_workflow.map(IntoText::into_text),
        start_within: start_within?.0.0,
        deadline: deadline?.0.0,
        poll: poll?.0.0,
    })
}

fn trigger(raw: raw::Trigger, at: &KeyPath, report: &mut Report) -> Option<TriggerSettings> {
    let rule = report.need(raw.rule, at, "rule", "the name of the event rule");
    let event_bus = report.need(raw.event_bus, at, "event_bus", "the name of its bus");
    let arrival = report.need(raw.arrival, at, "arrival", "when the live dump lands");
    let hold = report.need(raw.hold, at, "hold", "when to hold");
    let propagation = report.need(raw.propagation, at, "propagation", DURATION);
    let settle = report.need(raw.settle, at, "settle", DURATION);
    let max_hold = report.need(raw.max_hold, at, "max_hold", DURATION);
    let ignore_disabled = report.need(raw.ignore_disabled, at, "ignore_disabled", "true or false");
    let dead_man = match raw.dead_man {
        None => None,
        Some(raw) => Some(dead_man(raw, &at.key("dead_man"), report)?),
    };
    let settings = TriggerSettings {
        rule: rule?.into_text(),
        event_bus: event_bus?.into_text(),
        arrival: arrival?.0,
        hold: hold?.0,
        propagation: propagation?.0.0,
        settle: settle?.0.0,
        max_hold: max_hold?.0.0,
        dead_man,
        ignore_disabled: ignore_disabled?,
    };
    hold::fits_in_time(&settings, at, report);
    Some(settings)
}

fn dead_man(raw: raw::DeadMan, at: &KeyPath, report: &mut Report) -> Option<DeadManSettings> {
    let raw = match raw {
        raw::DeadMan::Accepted => return Some(DeadManSettings::Accepted),
        raw::DeadMan::Schedule(raw) => raw,
    };
    let group = report.need(raw.group, at, "group", "the schedule group");
    let role_arn = report.need(raw.role_arn, at, "role_arn", "the role that the scheduler takes");
    let after = report.need(raw.after, at, "after", DURATION);
    Some(DeadManSettings::Schedule {
        group: group?.into_text(),
        role_arn: role_arn?.into_text(),
        after: after?.0.0,
    })
}

/// A list with something in it.
fn need_some<T>(
    list: Option<Vec<Written<T>>>,
    table: &KeyPath,
    key: &str,
    expected: &str,
    report: &mut Report,
) -> Option<Vec<T>> {
    let list = report.need(list, table, key, expected)?;
    if list.is_empty() {
        report.empty(&table.key(key), expected);
        return None;
    }
    Some(unwritten(list))
}

fn unwritten<T>(list: Vec<Written<T>>) -> Vec<T> {
    list.into_iter().map(|written| written.0).collect()
}
