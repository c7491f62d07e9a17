//! What was put into the landing bucket: `upload`.

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use super::{maybe_instant, value};
use crate::expose::words::rfc3339;
use crate::ledger::Upload;

#[derive(Serialize)]
struct UploadJson<'a> {
    upload: &'a str,
    dataset: &'a str,
    date: NaiveDate,
    bucket: &'a str,
    key: &'a str,
    size: u64,
    sha256: &'a str,
    live: bool,
    replaces: Option<&'a str>,
    /// `written`, `failed`, `cancelled`; `open` while it is none of these.
    outcome: &'static str,
    reason: Option<&'a str>,
    begun_at: String,
    written_at: Option<String>,
    held_from: Option<String>,
    held_to: Option<String>,
    live_tasks_fired: &'a [String],
    healable_from: NaiveDate,
}

/// `upload`.
#[must_use]
pub fn upload_json(upload: &Upload, healable_from: NaiveDate) -> Value {
    let hold = upload.hold.as_ref();
    value(UploadJson {
        upload: &upload.id,
        dataset: &upload.dataset,
        date: upload.date,
        bucket: &upload.bucket,
        key: &upload.key,
        size: upload.size,
        sha256: &upload.sha256,
        live: upload.live,
        replaces: upload.replaces.as_deref(),
        outcome: upload.end.as_ref().map_or("open", |end| end.outcome.label()),
        reason: upload.end.as_ref().map(|end| end.detail.as_str()),
        begun_at: rfc3339(upload.intended_at),
        written_at: maybe_instant(upload.writing_at),
        held_from: maybe_instant(hold.and_then(|hold| hold.disabled_at)),
        held_to: maybe_instant(hold.and_then(|hold| hold.enabled_at)),
        live_tasks_fired: hold.map_or(&[], |hold| &hold.fired),
        healable_from,
    })
}
