//! Metrics for CloudWatch, in the log: its embedded metric format. One line for the process and
//! one for each dataset, at most once a minute. CloudWatch Logs makes metrics of them, so nothing
//! but the log's own rights is needed. A loop that hangs publishes no report, and so no line.

use std::io::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::daemon::Report;

/// The namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "gapmend";

/// Lines are written this often at most: an alarm's shortest usual period.
const EVERY_SECONDS: i64 = 60;

/// Writes the lines of every report to the log, until `shutdown`.
pub async fn follow(
    mut reports: watch::Receiver<Arc<Report>>,
    ledger: String,
    shutdown: CancellationToken,
) {
    let mut written: Option<DateTime<Utc>> = None;
    loop {
        let report = Arc::clone(&reports.borrow_and_update());
        let age = |at: DateTime<Utc>| (report.last_tick_at - at).num_seconds().abs();
        if written.is_none_or(|at| age(at) >= EVERY_SECONDS) {
            // One write: lines of the log never stand inside it. A log that cannot be written has
            // no place to say so.
            let lines: Vec<String> = lines(&report, &ledger).iter().map(Value::to_string).collect();
            let _ = std::io::stderr().write_all(format!("{}\n", lines.join("\n")).as_bytes());
            written = Some(report.last_tick_at);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = reports.changed() => if changed.is_err() { return },
        }
    }
}

fn lines(report: &Report, ledger: &str) -> Vec<Value> {
    let now = report.last_tick_at;
    let leader = [("Leader", "Count", Some(i64::from(report.acting)))];
    let mut lines = vec![line(now, &[("Ledger", ledger)], &leader)];
    for (name, dataset) in &report.datasets {
        let age = |at: DateTime<Utc>| (now - at).num_seconds().max(0);
        let behind = dataset.census.as_ref().map(|census| i64::from(census.dates_behind));
        let metrics = [
            ("ScanAge", "Seconds", dataset.last_scan_at.map(age)),
            ("TriggerDisabled", "Seconds", Some(dataset.trigger_disabled_since.map_or(0, age))),
            ("DatesBehind", "Count", behind),
        ];
        lines.push(line(now, &[("Ledger", ledger), ("Dataset", name)], &metrics));
    }
    lines
}

/// One line; a metric without a value is left out.
fn line(
    at: DateTime<Utc>,
    dimensions: &[(&str, &str)],
    metrics: &[(&str, &str, Option<i64>)],
) -> Value {
    let known = || metrics.iter().filter_map(|(name, unit, value)| Some((name, unit, (*value)?)));
    let definitions: Vec<Value> =
        known().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut made = json!({ "_aws": {
        "Timestamp": at.timestamp_millis(),
        "CloudWatchMetrics": [
            { "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions }
        ],
    } });
    for (name, value) in dimensions {
        made[*name] = json!(value);
    }
    for (name, _, value) in known() {
        made[*name] = json!(value);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::sample;

    const LEDGER: &str = "s3://ledger/gapmend";

    /// What the format demands: every metric and dimension that is declared stands at the root,
    /// as a number or as text.
    fn check(line: &Value) {
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert!(line["_aws"]["Timestamp"].is_i64());
        assert_eq!(declared["Namespace"], NAMESPACE);
        for name in declared["Dimensions"][0].as_array().unwrap() {
            assert!(line[name.as_str().unwrap()].is_string(), "{line}");
        }
        for metric in declared["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{line}");
        }
    }

    #[test]
    fn a_report_has_a_line_for_the_process_and_one_for_each_dataset() {
        let lines = lines(&sample::holding_report(), LEDGER);
        lines.iter().for_each(check);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["Leader"], 1);
        assert_eq!(
            (&lines[1]["Dataset"], &lines[1]["Ledger"]),
            (&json!(sample::NAME), &json!(LEDGER))
        );
        assert_eq!(lines[1]["ScanAge"], 2 * 3600 + 29 * 60 + 55);
        assert_eq!(lines[1]["TriggerDisabled"], 9 * 60 + 50);
    }

    #[test]
    fn what_is_not_known_yet_is_left_out() {
        let lines = lines(&sample::first_report(), LEDGER);
        lines.iter().for_each(check);
        assert!(lines[1].get("ScanAge").is_none() && lines[1].get("DatesBehind").is_none());
        assert_eq!(lines[1]["TriggerDisabled"], 0);
    }
}
