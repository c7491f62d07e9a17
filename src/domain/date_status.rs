//! The status of a date: what the data says, and what may be done about it.

use serde::{Deserialize, Serialize};

/// What a date is, recomputed from the data at every scan and never stored as truth.
///
/// The order counts: first the data speaks, and only a `missing` date may
/// become one of the later five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateStatus {
    /// Every raw source has it.
    Available,
    /// An operator said that it needs no data.
    Waived,
    /// The calendar does not expect it.
    NotExpected,
    /// It has not arrived yet, or its live run is still due.
    NotDue,
    /// A run of that date is in progress, ours or a live one.
    Running,
    /// Some expected tables lack it.
    Partial,
    /// Catalogued, but without objects.
    Empty,
    /// Objects without a catalog entry.
    Unregistered,
    /// No table has it, but the copy between export and raw holds files of it: loading it again
    /// would double them.
    Unpublished,
    /// Absent at the source.
    NoDump,
    /// The dump is there, the data is not: healable.
    Missing,
    /// Denied, or outside the allowlist in that mode.
    NotAllowed,
    /// Still the nightly's to heal (H7).
    TooYoung,
    /// Attempts spent, or unsafe to repeat (H8, H21).
    Quarantined,
    /// The dump cannot be loaded (H29).
    BadDump,
    /// A failed attempt waits for its next try.
    BackingOff,
}

impl DateStatus {
    /// Every status, in the order in which they are judged.
    pub const ALL: [Self; 16] = [
        Self::Available,
        Self::Waived,
        Self::NotExpected,
        Self::NotDue,
        Self::Running,
        Self::Partial,
        Self::Empty,
        Self::Unregistered,
        Self::Unpublished,
        Self::NoDump,
        Self::Missing,
        Self::NotAllowed,
        Self::TooYoung,
        Self::Quarantined,
        Self::BadDump,
        Self::BackingOff,
    ];

    /// The public name, as in JSON and metric labels.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Waived => "waived",
            Self::NotExpected => "not_expected",
            Self::NotDue => "not_due",
            Self::Running => "running",
            Self::Partial => "partial",
            Self::Empty => "empty",
            Self::Unregistered => "unregistered",
            Self::Unpublished => "unpublished",
            Self::NoDump => "no_dump",
            Self::Missing => "missing",
            Self::NotAllowed => "not_allowed",
            Self::TooYoung => "too_young",
            Self::Quarantined => "quarantined",
            Self::BadDump => "bad_dump",
            Self::BackingOff => "backing_off",
        }
    }

    /// One character for calendars, legible without colour.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Available => '█',
            Self::Waived => 'W',
            Self::NotExpected => ' ',
            Self::NotDue => '·',
            Self::Running => 'R',
            Self::Partial => 'P',
            Self::Empty => 'E',
            Self::Unregistered => 'U',
            Self::Unpublished => 'C',
            Self::NoDump => 'S',
            Self::Missing => 'M',
            Self::NotAllowed => 'N',
            Self::TooYoung => 'Y',
            Self::Quarantined => 'Q',
            Self::BadDump => 'B',
            Self::BackingOff => 'T',
        }
    }

    /// Whether the date is a gap: expected, due, not waived, and not available.
    #[must_use]
    pub fn is_gap(self) -> bool {
        !matches!(self, Self::Available | Self::Waived | Self::NotExpected | Self::NotDue)
    }

    /// Whether the watermark may pass over the date.
    #[must_use]
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Available | Self::Waived | Self::NotExpected)
    }
}

/// A remark beside the status; shown and counted, never acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// It was available once and is not any more.
    Regressed,
    /// The dump is newer than the data made from it.
    Redelivered,
    /// One table's objects of the date come from two runs (H8).
    Duplicated,
    /// A table's bytes of the date are outside `volume_band` of its neighbouring dates.
    OddVolume,
}

impl Flag {
    /// Every flag.
    pub const ALL: [Self; 4] =
        [Self::Regressed, Self::Redelivered, Self::Duplicated, Self::OddVolume];

    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Redelivered => "redelivered",
            Self::Duplicated => "duplicated",
            Self::OddVolume => "odd_volume",
        }
    }
}
