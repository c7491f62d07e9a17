//! Volumes for people: what a date amounts to, and which tables look odd beside their neighbours.

use chrono::NaiveDate;

use super::words::{plural, size};
use crate::domain::{TableOnDate, Usual, VolumeBook};

/// `812.0 MiB in 21 objects; neighbours 798.2 MiB to 820.1 MiB`; `None` when objects are not
/// listed, or the date has none.
pub(super) fn total_words(book: &VolumeBook, date: NaiveDate) -> Option<String> {
    let (all, usual) = book.total(date)?;
    let objects = plural(all.objects.into(), "object");
    let neighbours = usual.map_or_else(String::new, |usual| {
        format!("; neighbours {} to {}", size(usual.from), size(usual.to))
    });
    Some(format!("{} in {objects}{neighbours}", size(all.bytes)))
}

/// `51.0 MiB in 3 objects, usually 102.1 MiB (98.0 MiB to 105.3 MiB)`
pub(super) fn table_words(table: &TableOnDate<'_>) -> String {
    let objects = plural(table.volume.objects.into(), "object");
    let usual = table.usual.map_or_else(
        || ", nothing to compare it with".to_owned(),
        |Usual { median, from, to }| {
            format!(", usually {} ({} to {})", size(median), size(from), size(to))
        },
    );
    let odd =
        table.odd_by.map_or_else(String::new, |band| format!(": outside volume_band {band}%"));
    format!("{} in {objects}{usual}{odd}", size(table.volume.bytes))
}
