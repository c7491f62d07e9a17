//! What tests ask of the world afterwards: copies, overlaps, who changed the rule, what was lost.

use chrono::{DateTime, NaiveDate, Utc};

/// Who wrote an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Whoever speaks through a door: gapmend, or a person.
    Caller,
    /// The supplier of the dumps.
    Supplier,
    /// The pipeline itself.
    Pipeline,
}

/// A write into the watched bucket, and what the trail made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// The key.
    pub key: String,
    /// `PutObject`, `CopyObject` or `CompleteMultipartUpload`.
    pub event_name: &'static str,
    /// Who wrote it.
    pub writer: Writer,
    /// When it was written.
    pub written_at: DateTime<Utc>,
    /// When its event arrives.
    pub arrives_at: DateTime<Utc>,
    /// Whether it has arrived.
    pub arrived: bool,
    /// The tasks that it fired; none when the rule was disabled as it arrived.
    pub fired: Vec<String>,
}

impl TrailEvent {
    /// Whether the event came to nothing because the rule was disabled (H14).
    pub fn was_lost(&self) -> bool {
        self.arrived && self.fired.is_empty()
    }
}

/// From DROP to the end of the load: while it lasts, the task owns the one shared database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadInterval {
    /// The task.
    pub task: String,
    /// The date that it loads.
    pub date: NaiveDate,
    /// Whether it is a live run.
    pub live: bool,
    /// Its DROP.
    pub from: DateTime<Utc>,
    /// Its end; `None` while it lasts.
    pub to: Option<DateTime<Utc>>,
}

/// Two tasks loading into the one database at once (H1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// When the second one dropped the database.
    pub at: DateTime<Utc>,
    /// The task that was loading.
    pub first: String,
    /// The task that dropped it.
    pub second: String,
}

/// One writing of a date into a raw table. More than one is a duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The job run that wrote it, or `history`.
    pub job_run: String,
    /// The dates whose rows are really in it: exactly the partition's own, or it is wrong.
    pub rows_of: Vec<NaiveDate>,
}
