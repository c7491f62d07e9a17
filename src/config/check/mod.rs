//! From the raw twin to checked settings: what is required, and what must hold across keys.
//!
//! Nothing here stops at a mistake: every part is built as far as it goes, so that one
//! reading tells everything.

mod dataset;
mod hold;
mod named;
mod rules;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::key_path::KeyPath;
use super::raw::{Aws, Raw};
use super::report::Report;
use super::settings::{AwsSettings, DatasetSettings, Settings};
use super::words::{AccountId, Bucket, Endpoint, Listen, Region, Text};
use super::written::{FromText, Written};

/// What the datasets need to know of the rest.
#[derive(Clone, Copy)]
struct Around {
    timezone: Tz,
    today: NaiveDate,
}

/// Checks everything; `None` when a part could not be built, which the report then explains.
pub(super) fn settings(
    raw: Raw,
    fingerprint: &str,
    now: DateTime<Utc>,
    report: &mut Report,
) -> Option<Settings> {
    rules::across_datasets(&raw, report);
    let root = KeyPath::root();
    let schedule = schedule::schedule(raw.schedule, now, report);
    let timezone = schedule.as_ref().map_or(Tz::UTC, |schedule| schedule.timezone);
    let around = Around { timezone, today: now.with_timezone(&timezone).date_naive() };
    let aws = aws(raw.aws, report);
    let url = raw.ledger.url;
    let ledger = report.need(url, &root.key("ledger"), "url", "where to keep the ledger");
    let listen = report.need(raw.http.listen, &root.key("http"), "listen", Listen::EXPECTED);
    let mut datasets: BTreeMap<String, Arc<DatasetSettings>> = BTreeMap::new();
    for (name, dataset) in raw.datasets {
        let path = root.key("datasets").key(&name);
        if let Some(settings) = dataset::dataset(name.clone(), dataset, &path, around, report) {
            datasets.insert(name, Arc::new(settings));
        }
    }
    Some(Settings {
        aws: aws?,
        ledger: ledger?.0,
        schedule: schedule?,
        listen: listen?.0.0,
        datasets,
        hash: fingerprint.to_owned(),
        sources: report.sources.paths(),
    })
}

fn aws(raw: Aws, report: &mut Report) -> Option<AwsSettings> {
    let at = KeyPath::of(["aws"]);
    let region = report.need(raw.region, &at, "region", Region::EXPECTED);
    let account_id = report.need(raw.account_id, &at, "account_id", AccountId::EXPECTED);
    let max_in_flight = report.need(raw.max_in_flight, &at, "max_in_flight", "a whole number");
    Some(AwsSettings {
        region: region?.0.0,
        account_id: account_id?.0.0,
        max_in_flight: max_in_flight?.0 as usize,
        endpoint_url: raw.endpoint_url.map(|Written(Endpoint(url))| url),
    })
}

/// A name, an ARN, a bucket: the text itself.
trait IntoText {
    fn into_text(self) -> String;
}

impl IntoText for Written<Text> {
    fn into_text(self) -> String {
        self.0.0
    }
}

impl IntoText for Written<Bucket> {
    fn into_text(self) -> String {
        self.0.0
    }
}
