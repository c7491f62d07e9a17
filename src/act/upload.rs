//! The one write of an upload, and the end of one that is not written.
//!
//! Whose object it became is read from its mark, before the write and after a refusal or a
//! lost answer; so a write is never repeated that was made, and never called made on a guess.

use chrono::Duration;

use super::{Acted, Actor};
use crate::domain::{ErrorClass, PassOutcome, RuleState};
use crate::ledger::{Appended, Event, Hold, HoldStep, LedgerError, Request, Upload, UploadOutcome};
use crate::platform::{Answer, Created, Listing, ObjectInfo, PartsUpload, PlatformError};

/// An upload whose beginning was never answered is told by its time; the clocks may differ so.
const BEGAN_SLACK_MINUTES: i64 = 1;

/// What is under an upload's key.
enum Found {
    /// What it has written.
    Ours,
    /// Something that it may write over, or nothing.
    Free,
    /// Something that it may not write over, in words.
    Taken(String),
}

impl Actor<'_> {
    pub(super) async fn write_upload(
        &mut self,
        hold: String,
        (rule, event_bus): &(String, String),
        upload: &Upload,
    ) -> Result<Acted, LedgerError> {
        match self.found(upload).await {
            Err(error) if refused_for_good(&error) => {
                return self.is_not_written(hold, upload, error.to_string()).await;
            }
            Err(error) => return Ok(Acted::Unanswered(error)),
            Ok(Found::Ours) => return self.is_written(hold, upload).await,
            Ok(Found::Taken(why)) => return self.is_not_written(hold, upload, why).await,
            Ok(Found::Free) => {}
        }
        let intent = Event::UploadWriting { upload: upload.id.clone() };
        if self.ledger.append(vec![intent]).await? == Appended::Behind
            || !self.ledger.clear_for_effect().await?
        {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.rule(rule, event_bus).await {
            Err(error) => return Ok(Acted::Unanswered(error)),
            Ok(rule) if rule.state != RuleState::Disabled => return Ok(Acted::DecideAgain),
            Ok(_) => {}
        }
        match self.make_object(upload).await {
            Ok(Found::Ours) => self.is_written(hold, upload).await,
            Ok(Found::Taken(why)) => self.is_not_written(hold, upload, why).await,
            Ok(Found::Free) => Ok(Acted::DecideAgain),
            Err(error) => Ok(Acted::Unanswered(error)),
        }
    }

    /// Today's own dump, by the command that was asked for it: without a hold, for it is to fire
    /// the live run. Answers what is under its key then.
    ///
    /// # Errors
    /// The ledger could not be written: nothing was asked for after that.
    pub async fn write_live(
        &mut self,
        upload: &Upload,
        (rule, event_bus): (&str, &str),
    ) -> Result<Answer<()>, LedgerError> {
        let disabled = match self.world.platform.rule(rule, event_bus).await {
            Err(error) => Some((error.to_string(), Err(error))),
            Ok(read) if read.state == RuleState::Disabled => {
                let why = format!("rule {rule} is disabled by now: the dump would fire nothing");
                Some((why, Ok(())))
            }
            Ok(_) => None,
        };
        if let Some((why, answer)) = disabled {
            let left = self.forget(upload).await;
            let detail = [Some(why), left].into_iter().flatten().collect::<Vec<_>>().join("; ");
            self.ledger.record(ended(upload, UploadOutcome::Failed, detail)).await?;
            return Ok(answer);
        }
        self.ledger.record(Event::UploadWriting { upload: upload.id.clone() }).await?;
        let (outcome, detail, answer) = match self.make_object(upload).await {
            Ok(Found::Ours) => (UploadOutcome::Written, written_words(upload), Ok(())),
            Ok(Found::Taken(why)) => (UploadOutcome::Failed, why, Ok(())),
            Ok(Found::Free) => {
                (UploadOutcome::Failed, "S3 did not make the object".to_owned(), Ok(()))
            }
            Err(error) => (UploadOutcome::Failed, error.to_string(), Err(error)),
        };
        let left = if outcome == UploadOutcome::Written { None } else { self.forget(upload).await };
        let detail = [Some(detail), left].into_iter().flatten().collect::<Vec<_>>().join("; ");
        if outcome == UploadOutcome::Written {
            self.sweep_live(upload, (rule, event_bus)).await?;
        }
        let id = upload.id.clone();
        self.ledger.record(Event::UploadEnded { upload: id, outcome, detail }).await?;
        Ok(answer)
    }

    /// A rule that was disabled at the moment of the write did not fire: the dump is driven if it
    /// is our own hold, else it is counted, for an operator is at work.
    async fn sweep_live(
        &mut self,
        upload: &Upload,
        (rule, event_bus): (&str, &str),
    ) -> Result<(), LedgerError> {
        let read = self.world.platform.rule(rule, event_bus).await;
        if read.is_ok_and(|read| read.state != RuleState::Disabled) {
            return Ok(());
        }
        let Ok(Some(object)) = self.world.platform.marked_object(&upload.bucket, &upload.key).await
        else {
            return Ok(());
        };
        self.ledger.refresh().await?;
        let hold = self.ledger.state().hold_of(&upload.dataset);
        let missed = !hold.is_some_and(Hold::keeps_rule_disabled);
        tracing::error!(rule, key = upload.key, "the rule was disabled at the moment of the write");
        let (dataset, date) = (upload.dataset.clone(), upload.date);
        let (key, etag) = (upload.key.clone(), object.etag);
        let swept = Event::LiveDumpSwept { dataset, date, key, etag, missed };
        self.ledger.record(swept).await.map(drop)
    }

    /// Asks for the object, once, and reads what became of it.
    async fn make_object(&self, upload: &Upload) -> Answer<Found> {
        let (Some(parts), Some((_, etags))) = (&upload.parts, &upload.ready) else {
            return Ok(Found::Taken("its parts are not all there".to_owned()));
        };
        let answer =
            self.world.platform.complete_upload(parts, etags, upload.replaces.as_deref()).await;
        let refused = match answer {
            Ok(Created::Created) => return Ok(Found::Ours),
            Ok(Created::Exists) => None,
            Err(error) if refused_for_good(&error) => Some(error),
            // It may have been made: the mark will tell.
            Err(error) => {
                return match self.found(upload).await {
                    Ok(Found::Ours) => Ok(Found::Ours),
                    Ok(Found::Free | Found::Taken(_)) | Err(_) => Err(error),
                };
            }
        };
        Ok(match (self.found(upload).await?, refused) {
            (Found::Free, Some(error)) => Found::Taken(error.to_string()),
            (found, _) => found,
        })
    }

    /// Of a key that is not there `HeadObject` may answer 403 and not 404, unless the role may
    /// list the whole bucket; so absence is taken from a listing.
    async fn found(&self, upload: &Upload) -> Answer<Found> {
        let found = if self.is_listed(upload).await? {
            self.world.platform.marked_object(&upload.bucket, &upload.key).await?
        } else {
            None
        };
        Ok(match (found, &upload.replaces) {
            (Some(object), _) if object.mark.as_ref() == Some(&upload.id) => Found::Ours,
            (Some(object), Some(etag)) if object.etag == *etag => Found::Free,
            (Some(_), Some(_)) => {
                Found::Taken(format!("{} has changed since it was looked at", upload.key))
            }
            (Some(_), None) => Found::Taken(format!("{} is there already", upload.key)),
            (None, Some(_)) => Found::Taken(format!("{} is gone since", upload.key)),
            (None, None) => Found::Free,
        })
    }

    async fn is_listed(&self, upload: &Upload) -> Answer<bool> {
        // In key order the key itself comes before all that it is a prefix of.
        let listing = Listing {
            bucket: upload.bucket.clone(),
            prefix: upload.key.clone(),
            at_most: Some(1),
            ..Listing::default()
        };
        let mut listed = false;
        let mut note = |page: Vec<ObjectInfo>| {
            listed |= page.iter().any(|object| object.key == upload.key);
        };
        self.world.platform.list_objects(&listing, &mut note).await?;
        Ok(listed)
    }

    /// With it goes the request for a scan: the date is another one now.
    async fn is_written(&mut self, hold: String, upload: &Upload) -> Result<Acted, LedgerError> {
        let detail = written_words(upload);
        let ended = ended(upload, UploadOutcome::Written, detail.clone());
        let done = Event::HoldMoved { hold, step: HoldStep::WorkDone };
        let scan = Event::Requested {
            dataset: upload.dataset.clone(),
            request: Request::Scan,
            asked: upload.asked.clone(),
        };
        self.note(vec![done, ended, scan], PassOutcome::Started, detail).await
    }

    async fn is_not_written(
        &mut self,
        hold: String,
        upload: &Upload,
        why: String,
    ) -> Result<Acted, LedgerError> {
        let left = self.forget(upload).await;
        let why = [Some(why), left].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let detail = format!("{} was not written: {why}", upload.key);
        let ended = ended(upload, UploadOutcome::Failed, why);
        let done = Event::HoldMoved { hold, step: HoldStep::WorkDone };
        self.note(vec![done, ended], PassOutcome::Error, detail).await
    }

    pub(super) async fn end_upload(
        &mut self,
        upload: &Upload,
        outcome: UploadOutcome,
        detail: String,
    ) -> Result<Acted, LedgerError> {
        // Who was to write it may have done so, and died before it was written down.
        let wrote = match (upload.writing_at, self.found(upload).await) {
            (Some(_), Err(error)) => return Ok(Acted::Unanswered(error)),
            (Some(_), Ok(Found::Ours)) => true,
            (Some(_), Ok(Found::Free | Found::Taken(_))) | (None, _) => false,
        };
        if wrote {
            let words = written_words(upload);
            let ended = ended(upload, UploadOutcome::Written, words.clone());
            return self.note(vec![ended], PassOutcome::Started, words).await;
        }
        let left = self.forget(upload).await;
        let detail = [Some(detail), left].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let words = format!("the upload of {} is {}: {detail}", upload.date, outcome.label());
        self.note(vec![ended(upload, outcome, detail)], PassOutcome::Error, words).await
    }

    /// Removes an upload's parts; answers in words what could not be removed.
    pub async fn forget(&self, upload: &Upload) -> Option<String> {
        let parts = match &upload.parts {
            Some(parts) => vec![parts.clone()],
            None => match self.unanswered_beginnings(upload).await {
                Ok(parts) => parts,
                Err(error) => {
                    return Some(format!("uploads to {} cannot be listed: {error}", upload.key));
                }
            },
        };
        for parts in parts {
            if let Err(error) = self.world.platform.abort_upload(&parts).await {
                return Some(format!("upload {} could not be removed: {error}", parts.id));
            }
        }
        None
    }

    /// The beginning of an upload whose answer was lost: one to its very key, since then.
    async fn unanswered_beginnings(&self, upload: &Upload) -> Answer<Vec<PartsUpload>> {
        let since = upload.intended_at - Duration::minutes(BEGAN_SLACK_MINUTES);
        let known = |parts: &PartsUpload| {
            let others = self.ledger.state().uploads.iter();
            others.filter(|other| other.is_open()).any(|other| other.parts.as_ref() == Some(parts))
        };
        let found = self.world.platform.uploads_to(&upload.bucket, &upload.key).await?;
        let ours = found.into_iter().filter(|(parts, began)| *began >= since && !known(parts));
        Ok(ours.map(|(parts, _)| parts).collect())
    }
}

fn written_words(upload: &Upload) -> String {
    format!("{} is written, {} bytes", upload.key, upload.size)
}

fn ended(upload: &Upload, outcome: UploadOutcome, detail: String) -> Event {
    Event::UploadEnded { upload: upload.id.clone(), outcome, detail }
}

/// Whether asking again would only be refused again.
fn refused_for_good(error: &PlatformError) -> bool {
    matches!(error.class, ErrorClass::Denied | ErrorClass::NotFound | ErrorClass::Invalid)
}
