//! Uploads: what a person asked to be put into the landing bucket, and how far it is.
//!
//! ```text
//!   intended ─► begun ─► ready ─► writing ─► ended: written
//!       └────────┴─────────┴─────────┴─────► ended: failed, cancelled
//! ```
//!
//! The parts are sent by the process that was asked; the object is made of them by whoever
//! acts, under a hold. Each step says all that the next process needs to go on from it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Hold, ReplayError, State};
use crate::ledger::event::{Asked, Entry, Event, HoldStep, HoldWhy, UploadOutcome};
use crate::ledger::process::Process;
use crate::platform::PartsUpload;

/// Uploads that are remembered after their end.
const ENDED_KEPT: usize = 20;

/// An upload, as recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Its name; the object carries it as its mark.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The dump's date.
    pub date: NaiveDate,
    /// The landing bucket.
    pub bucket: String,
    /// The key that is written.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// The `ETag` of the object that it may replace.
    pub replaces: Option<String>,
    /// Today's own dump: nothing is held for it.
    pub live: bool,
    /// Who, and why.
    pub asked: Asked,
    /// The process that sends the parts.
    pub process: Process,
    /// When it was intended.
    pub intended_at: DateTime<Utc>,
    /// S3's own name for it, once known.
    pub parts: Option<PartsUpload>,
    /// The parts' `ETag`s, once all are there, and since when.
    pub ready: Option<(DateTime<Utc>, Vec<String>)>,
    /// When the object was last about to be made.
    pub writing_at: Option<DateTime<Utc>>,
    /// Holds that were begun for it.
    pub holds: u32,
    /// How it ended.
    pub end: Option<UploadEnd>,
    /// How its last hold ended.
    pub hold: Option<UploadHold>,
}

/// The end of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadEnd {
    /// When.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: UploadOutcome,
    /// In words.
    pub detail: String,
}

/// The hold under which an upload was written, once it is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadHold {
    /// When the rule was seen disabled.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When it was seen enabled.
    pub enabled_at: Option<DateTime<Utc>>,
    /// When the hold was closed.
    pub closed_at: DateTime<Utc>,
    /// By whom the rule was enabled, and what was found.
    pub detail: String,
    /// Live tasks that began after the write all the same.
    pub fired: Vec<String>,
    /// Somebody else enabled the rule before the hold had done its work.
    #[serde(default)]
    pub broken: bool,
}

impl Upload {
    /// Whether it is not over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Whether a hold is, or was, for it.
    pub(in crate::ledger) fn is_why(&self, dataset: &str, why: &HoldWhy) -> bool {
        let same = HoldWhy::Upload { date: self.date, key: self.key.clone() };
        self.dataset == dataset && !self.live && self.ready.is_some() && *why == same
    }
}

impl State {
    /// The upload of a dataset that is not over.
    #[must_use]
    pub fn open_upload(&self, dataset: &str) -> Option<&Upload> {
        self.uploads.iter().find(|upload| upload.dataset == dataset && upload.is_open())
    }

    /// The upload that a hold is for; a hold for a copy of ours has none.
    #[must_use]
    pub fn upload_of(&self, hold: &Hold) -> Option<&Upload> {
        self.uploads.iter().rev().find(|upload| {
            let lasted = upload.end.as_ref().is_none_or(|end| end.at >= hold.begun_at);
            upload.is_why(&hold.dataset, &hold.why) && lasted
        })
    }

    /// An upload by its name.
    #[must_use]
    pub fn upload(&self, id: &str) -> Option<&Upload> {
        self.uploads.iter().find(|upload| upload.id == id)
    }

    pub(super) fn apply_upload(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        let misfit = |what: &'static str| ReplayError::Misfit { seq: entry.seq, what };
        if let Event::UploadIntended {
            upload,
            dataset,
            date,
            bucket,
            key,
            size,
            sha256,
            replaces,
            live,
            asked,
            process,
        } = event
        {
            self.forget_old_uploads();
            self.uploads.push(Upload {
                id: upload.clone(),
                dataset: dataset.clone(),
                date: *date,
                bucket: bucket.clone(),
                key: key.clone(),
                size: *size,
                sha256: sha256.clone(),
                replaces: replaces.clone(),
                live: *live,
                asked: asked.clone(),
                process: process.clone(),
                intended_at: entry.at,
                parts: None,
                ready: None,
                writing_at: None,
                holds: 0,
                end: None,
                hold: None,
            });
            return Ok(());
        }
        let Some(id) = event.upload() else { return Err(misfit("not an upload's event")) };
        let Some(upload) = self.uploads.iter_mut().find(|upload| upload.id == id) else {
            return Err(misfit("no such upload"));
        };
        upload.apply(entry.at, event);
        Ok(())
    }

    fn forget_old_uploads(&mut self) {
        let mut ended = self.uploads.iter().filter(|upload| !upload.is_open()).count();
        self.uploads.retain(|upload| {
            let goes = !upload.is_open() && ended > ENDED_KEPT;
            ended -= usize::from(goes);
            !goes
        });
    }

    pub(super) fn count_hold_of_upload(&mut self, dataset: &str, why: &HoldWhy) {
        let ours = |upload: &&mut Upload| upload.is_open() && upload.is_why(dataset, why);
        if let Some(upload) = self.uploads.iter_mut().find(ours) {
            upload.holds += 1;
        }
    }

    pub(super) fn note_hold_of_upload(
        &mut self,
        hold: &Hold,
        closed_at: DateTime<Utc>,
        detail: &str,
        fired: &[String],
    ) {
        let Some(id) = self.upload_of(hold).map(|upload| upload.id.clone()) else { return };
        if let Some(upload) = self.uploads.iter_mut().find(|upload| upload.id == id) {
            upload.hold = Some(UploadHold {
                disabled_at: hold.step_at(HoldStep::Disabled),
                enabled_at: hold.step_at(HoldStep::Enabled),
                closed_at,
                detail: detail.to_owned(),
                fired: fired.to_vec(),
                broken: hold.was_broken(),
            });
        }
    }
}

impl Upload {
    /// Whoever sends the parts and whoever acts may both write of an end: the first word counts,
    /// but that it was written after all is never unsaid.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only the events of uploads come here")]
    fn apply(&mut self, at: DateTime<Utc>, event: &Event) {
        match event {
            Event::UploadBegun { parts, .. } => self.parts = Some(parts.clone()),
            Event::UploadReady { etags, .. } => self.ready = Some((at, etags.clone())),
            Event::UploadWriting { .. } => self.writing_at = Some(at),
            Event::UploadEnded { outcome, detail, .. }
                if self.is_open() || *outcome == UploadOutcome::Written =>
            {
                self.end = Some(UploadEnd { at, outcome: *outcome, detail: detail.clone() });
            }
            _ => {}
        }
    }
}

impl Event {
    /// The upload that it is about.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about none")]
    fn upload(&self) -> Option<&str> {
        match self {
            Self::UploadIntended { upload, .. }
            | Self::UploadBegun { upload, .. }
            | Self::UploadReady { upload, .. }
            | Self::UploadWriting { upload, .. }
            | Self::UploadEnded { upload, .. } => Some(upload),
            _ => None,
        }
    }
}
