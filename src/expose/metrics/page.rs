//! `docs/metrics.md`: the table of all metrics, made of what a scrape shows.
//!
//! The test compares; `GAPMEND_BLESS=1 cargo test --lib metrics::page` writes the page anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Metrics, PREFIX};
use crate::aws::OPERATIONS;
use crate::expose::sample;

const HEAD: &str = "# Metrics

What `GET /metrics` shows, in Prometheus' text format. This page is made from the code: a test
fails when it no longer agrees, and says how to make it anew.

- Every name begins with `gapmend_`, but for the process's own.
- Instants are exported as they are, as seconds since 1970 in UTC, 0 for never: an age is
  `time() - x`, and keeps growing when gapmend is stuck.
- A date is exported as the instant at which it ends in UTC.
- Every series of a configured dataset is there from the first scrape on, and goes with the
  dataset. Labels are configured names or closed lists; never dates, ids or error text.
- Counters begin anew with the process, but for `overlapping_loads_total` and
  `live_dumps_missed_total`, which the ledger keeps.

The dashboard and the alerts in [`dashboards/`](../dashboards/README.md) use nothing else.
";

/// Label values of these are names or too many to list.
const NOT_LISTED: [&str; 7] =
    ["dataset", "rule", "event_bus", "landing", "version", "revision", "operation"];

#[test]
fn the_page_of_the_metrics_says_what_a_scrape_shows() {
    let families =
        Metrics::new([sample::NAME], &OPERATIONS).unwrap().families(&sample::report()).unwrap();
    let page = page(&families);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("GAPMEND_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/metrics.md differs from the code; GAPMEND_BLESS=1 cargo test --lib metrics::page"
    );
}

fn page(families: &[MetricFamily]) -> String {
    let mut page = HEAD.to_owned();
    let (ours, others): (Vec<_>, Vec<_>) =
        families.iter().partition(|family| family.name().starts_with(PREFIX));
    for (title, families) in [("gapmend's own", ours), ("The process's", others)] {
        write!(page, "\n## {title}\n\n| name | type | unit | labels | meaning |\n").unwrap();
        page.push_str("|---|---|---|---|---|\n");
        for family in families {
            page.push_str(&line(family));
        }
    }
    page
}

fn line(family: &MetricFamily) -> String {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => "gauge",
    };
    let labels = labels(family).join("; ");
    format!("| `{}` | {kind} | {} | {labels} | {} |\n", family.name(), unit(family), family.help())
}

fn unit(family: &MetricFamily) -> &'static str {
    let name = family.name().trim_end_matches("_total");
    let unit = [("_timestamp_seconds", "instant"), ("_seconds", "seconds"), ("_bytes", "bytes")];
    unit.into_iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit)
}

/// `status` of `available, waived`: each label, and its values where they are a closed list.
fn labels(family: &MetricFamily) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in family.get_metric().iter().flat_map(Metric::get_label) {
        values.entry(pair.name()).or_default().insert(pair.value());
    }
    let describe = |(name, values): (&str, BTreeSet<&str>)| {
        if NOT_LISTED.contains(&name) {
            return format!("`{name}`");
        }
        let values: Vec<&str> = values.into_iter().collect();
        format!("`{name}`: {}", values.join(", "))
    };
    values.into_iter().map(describe).collect()
}
