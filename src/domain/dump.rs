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

/// What a dump is, whatever it is packed or encrypted with: its script's CRC-32 and bytes.
///
/// An `ETag` is no digest where the bucket is encrypted with a customer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptId {
    /// The CRC-32 of the unpacked script.
    pub crc32: u32,
    /// The unpacked script's bytes.
    pub size: u64,
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
    /// Archived in a tier that the listing does not show: S3 refuses to read it.
    #[error("the dump is archived and needs a restore first: {0}")]
    ArchivedTier(String),
    /// We may not read it.
    #[error("the dump may not be read: {0}")]
    Denied(String),
    /// It is gone or changed, or its key cannot be used.
    #[error("the dump cannot be read: {0}")]
    Unreadable(String),
    /// It could not be read just now: no verdict, it is read again.
    #[error("the dump could not be read: {why}")]
    NotRead {
        /// The service's words.
        why: String,
        /// When it is read again.
        again_at: DateTime<Utc>,
    },
    /// The zip's end of central directory is absent or wrong (H29).
    #[error("the dump is not a whole zip: {0}")]
    BrokenZip(String),
    /// It is a zip, but not one that the load task's `unzip` unpacks without a complaint.
    #[error("the load task cannot unpack the dump: {0}")]
    NotUnpackable(String),
    /// The zip must hold exactly one `.sql` (H29).
    #[error("the zip holds {count} .sql files at its top, the load expects exactly one{detail}")]
    NotOneSql {
        /// How many match `*.sql` where the zip was unpacked.
        count: usize,
        /// Which, and what to send.
        detail: String,
    },
    /// The zip unpacks to more than the task's disk holds.
    #[error("the zip says that it unpacks to {unpacked} bytes from {packed}: refused as a bomb")]
    Bomb {
        /// Bytes when unpacked, by its own figures.
        unpacked: u64,
        /// Bytes as stored.
        packed: u64,
    },
    /// The same script stands under another date (H29).
    #[error("the dump has the same contents as {other_key}: it is another date's file")]
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
