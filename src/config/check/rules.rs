//! What must hold across keys and across datasets: mostly hazards of the pipeline.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::hold;
use crate::config::key_path::KeyPath;
use crate::config::raw::{Dataset, Network, Raw};
use crate::config::report::Report;
use crate::config::settings::{HoldPolicy, LedgerUrl, OtherName};

/// The live workflow's job takes in files of the last five days by itself (H7).
const LIVE_REACH_DAYS: u32 = 6;

/// Names go into metrics, file names and schedule names.
const NAME_LIMIT_CHARS: usize = 40;

pub(super) fn dataset_name(name: &str, at: &KeyPath, report: &mut Report) {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins_well = name.starts_with(small);
    let valid = begins_well && name.chars().all(|c| small(c) || c == '_' || c == '-');
    if !valid || name.len() > NAME_LIMIT_CHARS {
        let message = format!(
            "not a dataset's name; expected small letters, digits, `-` and `_`, \
             beginning with a letter or digit, at most {NAME_LIMIT_CHARS} in all"
        );
        report.wrong_key(at, message, None);
    }
}

/// The rules of one dataset that span its sections.
pub(super) fn within_dataset(
    dataset: &Dataset,
    at: &KeyPath,
    today: NaiveDate,
    report: &mut Report,
) {
    old_enough_for_the_live_workflow(dataset, at, report);
    begins_in_the_past(dataset, at, today, report);
    network_has_a_trigger(dataset, at, report);
    staging_has_a_hold(dataset, at, report);
    task_reads_a_known_name(dataset, at, report);
    copy_fits_its_neighbours(dataset, at, report);
    hold::has_a_dead_man(dataset, at, report);
    hold::lasts_through_the_load(dataset, at, report);
}

fn old_enough_for_the_live_workflow(dataset: &Dataset, at: &KeyPath, report: &mut Report) {
    let live = dataset.publish.as_ref().and_then(|publish| publish.live_workflow.as_ref());
    let Some(min_age_days) = dataset.window.min_age_days.map(|days| days.0) else { return };
    if live.is_some() && min_age_days < LIVE_REACH_DAYS {
        let message = format!(
            "{min_age_days} is too young where publish.live_workflow is set; \
             expected {LIVE_REACH_DAYS} or more"
        );
        let help = "the live workflow takes in the landing files of the last days by itself, \
                    so a younger date would be in raw twice";
        report.error_with_help(&at.key("window").key("min_age_days"), message, help);
    }
}

fn begins_in_the_past(dataset: &Dataset, at: &KeyPath, today: NaiveDate, report: &mut Report) {
    let Some(from) = dataset.window.from.as_ref().map(|from| from.0) else { return };
    if from > today {
        let message = format!("{from} is in the future; today is {today}");
        report.error(&at.key("window").key("from"), message);
    }
}

fn network_has_a_trigger(dataset: &Dataset, at: &KeyPath, report: &mut Report) {
    let from_trigger = matches!(dataset.load.network, Some(Network::FromTrigger));
    if from_trigger && dataset.trigger.is_none() && !report.is_spoiled(&at.key("trigger")) {
        let help = format!(
            "add [{}] with `rule`, or write the network as a table with `subnets` and \
             `security_groups`",
            at.key("trigger")
        );
        report.error_with_help(
            &at.key("load").key("network"),
            "\"from_trigger\" needs a rule to take it from, and there is no trigger section",
            help,
        );
    }
}

fn staging_has_a_hold(dataset: &Dataset, at: &KeyPath, report: &mut Report) {
    let stages = dataset.load.other_name.as_ref().is_some_and(|it| it.0 == OtherName::Stage);
    let hold = dataset.trigger.as_ref().and_then(|trigger| trigger.hold.as_ref());
    if stages && hold.is_some_and(|hold| hold.0 == HoldPolicy::Never) {
        report.error(
            &at.key("load").key("other_name"),
            "\"stage\" writes to the landing bucket, which needs the trigger held, \
             and trigger.hold is \"never\"",
        );
    }
}

fn task_reads_a_known_name(dataset: &Dataset, at: &KeyPath, report: &mut Report) {
    let stages = dataset.load.other_name.as_ref().is_some_and(|it| it.0 == OtherName::Stage);
    let (Some(dump_key), Some(keys)) = (&dataset.load.dump_key, &dataset.landing.keys) else {
        return;
    };
    if !stages && !keys.iter().any(|key| key.0.pattern() == dump_key.0.pattern()) {
        let message = format!(
            "`{}` is none of landing.keys, so every dump that is found is refused as bad_dump",
            dump_key.0
        );
        report.warn(&at.key("load").key("dump_key"), message);
    }
}

/// The copy is judged against the export and read by the workflow: it needs both.
fn copy_fits_its_neighbours(dataset: &Dataset, at: &KeyPath, report: &mut Report) {
    let Some(copy) = &dataset.copy else {
        if dataset.export.is_some() && dataset.publish.is_some() {
            let message = "there is an export and a workflow, but no copy section: gapmend cannot \
                           see what lies between export and raw, and a date whose files lie there \
                           already is doubled when it is loaded again";
            report.warn(&at.key("copy"), message);
        }
        return;
    };
    let at = at.key("copy");
    for (section, is_there) in
        [("export", dataset.export.is_some()), ("publish", dataset.publish.is_some())]
    {
        if !is_there {
            let message = format!(
                "the copy lies between export and publish, and there is no {section} section"
            );
            report.error(&at, message);
        }
    }
    let Some(export) = &dataset.export else { return };
    if export.bucket.is_none() {
        let message = "export.bucket is not set: gapmend cannot compare the copy with its export, \
                       and takes up no date from the copy";
        report.warn(&at, message);
    }
    if let Some(folder) = &copy.folder
        && (!folder.0.pattern().ends_with('/') || folder.0.pattern().starts_with('/'))
    {
        let message = format!(
            "`{}` is no folder; expected a slash at its end and none at its beginning",
            folder.0
        );
        report.error(&at.key("folder"), message);
    }
    let (Some(bucket), Some(prefix)) = (&copy.bucket, &copy.prefix) else { return };
    if dataset.landing.bucket.as_ref().is_some_and(|landing| landing.0 == bucket.0)
        && dataset.landing.prefix.as_ref().is_some_and(|landing| prefix.0.0 == landing.0.0)
    {
        report.error(&at.key("prefix"), "the dumps lie there; expected the copy's own prefix");
    }
    if prefix.0.0.is_empty() {
        report.error(&at.key("prefix"), "empty; expected the prefix above the tables' folders");
    }
    if export.bucket.as_ref().is_some_and(|exports| exports.0 == bucket.0) {
        let message =
            "the exports lie in this bucket; expected the bucket that the copier writes to";
        report.warn(&at.key("bucket"), message);
    }
}

/// The rules that span datasets, and those between a dataset and the ledger.
pub(super) fn across_datasets(raw: &Raw, report: &mut Report) {
    if raw.datasets.is_empty() {
        report.missing(&KeyPath::of(["datasets"]), "at least one table such as [datasets.NAME]");
    }
    ledger_is_elsewhere(raw, report);
    landings_differ(raw, report);
    rules_differ(raw, report);
}

fn ledger_is_elsewhere(raw: &Raw, report: &mut Report) {
    let Some(LedgerUrl::S3 { bucket, .. }) = raw.ledger.url.as_ref().map(|url| &url.0) else {
        return;
    };
    for (name, dataset) in &raw.datasets {
        if dataset.landing.bucket.as_ref().is_some_and(|landing| landing.0.0 == *bucket) {
            let message = format!(
                "`{bucket}` is the landing bucket of dataset `{name}`; expected another bucket"
            );
            let help = "any write to a landing bucket fires the live ingestion";
            report.error_with_help(&KeyPath::of(["ledger", "url"]), message, help);
        }
    }
}

fn landings_differ(raw: &Raw, report: &mut Report) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (name, dataset) in &raw.datasets {
        let (Some(bucket), Some(prefix)) = (&dataset.landing.bucket, &dataset.landing.prefix)
        else {
            continue;
        };
        if let Some(other) = seen.insert((&bucket.0.0, &prefix.0.0), name) {
            let path = KeyPath::of(["datasets", name, "landing", "prefix"]);
            let place = format!("s3://{}/{}", bucket.0.0, prefix.0.0);
            report.error(&path, format!("{place} is the landing place of dataset `{other}`"));
        }
    }
}

fn rules_differ(raw: &Raw, report: &mut Report) {
    let mut seen: BTreeMap<(&str, Option<&str>), &str> = BTreeMap::new();
    for (name, dataset) in &raw.datasets {
        let Some(trigger) = &dataset.trigger else { continue };
        let Some(rule) = &trigger.rule else { continue };
        let bus = trigger.event_bus.as_ref().map(|bus| bus.0.0.as_str());
        if let Some(other) = seen.insert((&rule.0.0, bus), name) {
            let path = KeyPath::of(["datasets", name, "trigger", "rule"]);
            report.error(&path, format!("`{}` is the rule of dataset `{other}`", rule.0.0));
        }
    }
}
