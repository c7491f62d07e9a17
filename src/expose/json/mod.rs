//! The documented JSON of the commands and of `/api/v1`.
//!
//! Names are `snake_case` and stable; members are only ever added. Dates are ISO, instants
//! RFC 3339 in UTC with seconds, and what is not known is `null`, never left out. A `reason`
//! is always words for people; what programs should branch on is a closed word
//! (`status`, `outcome`, `kind`, `failure`, `state`).

mod dates;
mod ledger;
mod runs;
mod status;
mod uploads;
mod volumes;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

pub(super) use dates::waiting;
pub use dates::{dataset_json, explain_json, plan_json, scan_json};
pub use ledger::ledger_check_json;
pub(super) use runs::outcome_label;
pub use runs::{heal_json, history_json};
pub use status::{check_json, rules, status_json, trigger_json};
pub use uploads::upload_json;

use super::words::rfc3339;

/// Our own structures have string keys and finite numbers only, so they always become JSON.
fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

fn maybe_instant(at: Option<DateTime<Utc>>) -> Option<String> {
    at.map(rfc3339)
}

#[cfg(test)]
mod tests;
