//! How much the tables have of a date.

use chrono::NaiveDate;
use serde::{Serialize, Serializer};

use super::dates::Name;
use crate::domain::{TableOnDate, VolumeBook};

/// The tables whose bytes of a date are odd, by name.
pub(super) struct OddTables<'a>(pub(super) &'a VolumeBook, pub(super) NaiveDate);

/// One table.
#[derive(Serialize)]
pub(super) struct VolumeJson<'a> {
    table: Name<'a>,
    bytes: u64,
    objects: u32,
    /// The median of the dates that it is compared with.
    usual_bytes: Option<u64>,
    usual_from: Option<u64>,
    usual_to: Option<u64>,
    odd: bool,
}

impl<'a> VolumeJson<'a> {
    pub(super) fn of(table: &TableOnDate<'a>) -> Self {
        Self {
            table: Name(table.id),
            bytes: table.volume.bytes,
            objects: table.volume.objects,
            usual_bytes: table.usual.map(|usual| usual.median),
            usual_from: table.usual.map(|usual| usual.from),
            usual_to: table.usual.map(|usual| usual.to),
            odd: table.odd_by.is_some(),
        }
    }
}

impl Serialize for OddTables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.odd_on(self.1).map(|table| Name(table.id)))
    }
}
