//! Dumps: the objects in the landing bucket that carry a date's data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One object in the landing bucket whose name spells a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// The whole key, prefix included.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without the quotes that S3 writes around it.
    pub etag: String,
    /// When S3 last wrote it.
    pub last_modified: DateTime<Utc>,
    /// The storage class when it is one that must be restored before reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
}

/// Why a dump must not be loaded. Each becomes the reason of `bad_dump`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpFault {
    /// Smaller than `landing.min_size`.
    #[error("the dump has {size} bytes, fewer than min_size {min}")]
    TooSmall {
        /// Its bytes.
        size: u64,
        /// The least allowed.
        min: u64,
    },
    /// Outside `landing.size_band` around the median of its neighbours (H29).
    #[error(
        "the dump has {size} bytes, its neighbours' median is {median}: outside size_band {band_percent}%"
    )]
    OutsideBand {
        /// Its bytes.
        size: u64,
        /// The neighbours' median, bytes.
        median: u64,
        /// The band in percent of the median.
        band_percent: u32,
    },
    /// In an archive class: S3 cannot read it until it is restored.
    #[error("the dump is in storage class {0} and needs a restore first")]
    Archived(String),
    /// The zip's end of central directory is absent or wrong (H29).
    #[error("the dump is not a whole zip: {0}")]
    BrokenZip(String),
    /// The zip must hold exactly one `.sql` (H29).
    #[error("the zip holds {0} .sql files, the load expects exactly one")]
    NotOneSql(usize),
    /// The zip unpacks to more than the task's disk holds.
    #[error("the zip says that it unpacks to {unpacked} bytes from {packed}: refused as a bomb")]
    Bomb {
        /// Bytes when unpacked, by its own figures.
        unpacked: u64,
        /// Bytes as stored.
        packed: u64,
    },
    /// The same bytes stand under another date (H29).
    #[error("the dump has the same ETag as {other_key}: it is another date's file")]
    SameAsAnother {
        /// The other date's key.
        other_key: String,
    },
    /// The task reads another spelling of the name, and staging a copy is not allowed.
    #[error(
        "the dump is named {found}, the task reads {expected}; set load.other_name = \"stage\" to allow a copy"
    )]
    OtherName {
        /// The key that is there.
        found: String,
        /// The key that the task would read.
        expected: String,
    },
}
