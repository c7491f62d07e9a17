//! Small conversions that every service needs.

use chrono::{DateTime, Utc};

/// The SDK's instant as ours; `None` beyond chrono's years.
pub(super) fn instant(time: Option<&aws_smithy_types::DateTime>) -> Option<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()))
}

/// A percentage as the services write it.
pub(super) fn percent(value: Option<i32>) -> Option<u8> {
    value.and_then(|value| u8::try_from(value.clamp(0, 100)).ok())
}

/// How many to ask for in a page, when only some more are wanted.
pub(super) fn page_size(page_limit: usize, at_most: Option<usize>, so_far: usize) -> i32 {
    let wanted = at_most.map_or(page_limit, |at_most| at_most.saturating_sub(so_far));
    i32::try_from(wanted.clamp(1, page_limit)).unwrap_or(i32::MAX)
}

/// As headers carry credentials.
pub(super) fn base64(text: &str) -> String {
    aws_smithy_types::base64::encode(text)
}
