//! What is wrong with a date's dump: by the listing first, then by its bytes, then by the other
//! dates' dumps. One dump that cannot be read is its own date's trouble and no other's.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use futures_util::{StreamExt, stream};

use super::LandingView;
use super::landing::fault_by_listing;
use super::zip::{Verdict, judge};
use crate::config::{DatasetSettings, Verify};
use crate::domain::{Dump, DumpFault, ErrorClass, ScriptId};
use crate::platform::{Answer, ObjectRange, Platform, PlatformError};

/// A dump that could not be read just now is read again after so long.
const READ_AGAIN_MINUTES: i64 = 15;
/// A dump is compared with the nearest other date's on either side, whatever their sizes.
const NEIGHBOURS_EACH_SIDE: usize = 1;
/// And with so many others of exactly its size, the nearest first: another day's file under this
/// day's name has the same bytes, and so the same size, even where `ETag`s are no digests.
const SAME_SIZE_AT_MOST: usize = 20;

/// What was found in dumps that were read, by `ETag` and size: no dump is read twice.
#[derive(Debug, Default)]
pub struct ZipMemory(Mutex<BTreeMap<(String, u64), Verdict>>);

impl ZipMemory {
    /// What is in the dump, read at most once for each `ETag`.
    async fn verdict(&self, platform: &dyn Platform, bucket: &str, dump: &Dump) -> Answer<Verdict> {
        let id = (dump.etag.clone(), dump.size);
        let known = self.0.lock().ok().and_then(|memory| memory.get(&id).cloned());
        if let Some(verdict) = known {
            return Ok(verdict);
        }
        let verdict = judge(dump.size, |from, length| {
            let range =
                ObjectRange { key: dump.key.clone(), etag: dump.etag.clone(), from, length };
            async move { platform.read_range(bucket, &range).await }
        })
        .await?;
        if let Ok(mut memory) = self.0.lock() {
            memory.insert(id, verdict.clone());
        }
        Ok(verdict)
    }
}

/// Everything that a check of dumps needs.
#[derive(Clone, Copy)]
pub(super) struct DumpCheck<'a> {
    pub(super) platform: &'a dyn Platform,
    pub(super) memory: &'a ZipMemory,
    pub(super) view: &'a LandingView,
    pub(super) dataset: &'a DatasetSettings,
    pub(super) now: DateTime<Utc>,
}

impl DumpCheck<'_> {
    /// What is wrong with the dumps of these dates; a date whose dump is good is not among them.
    pub(super) async fn faults(
        &self,
        dates: &[NaiveDate],
        in_flight: usize,
    ) -> BTreeMap<NaiveDate, DumpFault> {
        let read = dates.iter().map(|date| async move { (*date, self.own_fault(*date).await) });
        let read: Vec<_> = stream::iter(read).buffered(in_flight.max(1)).collect().await;
        // Now every candidate is known, and no comparison reads one a second time.
        let compared = read.into_iter().map(|(date, own)| async move {
            let fault = match own {
                Err(fault) => Some(fault),
                Ok(Some(script)) => self.same_script(date, script).await,
                Ok(None) => None,
            };
            (date, fault)
        });
        let compared: Vec<_> = stream::iter(compared).buffered(in_flight.max(1)).collect().await;
        compared.into_iter().filter_map(|(date, fault)| Some((date, fault?))).collect()
    }

    /// What is wrong with the dump of one date.
    pub(super) async fn fault(&self, date: NaiveDate) -> Option<DumpFault> {
        self.faults(&[date], 1).await.remove(&date)
    }

    /// The script of a date's dump, as far as it is read, or what is wrong with the dump alone.
    async fn own_fault(&self, date: NaiveDate) -> Result<Option<ScriptId>, DumpFault> {
        if let Some(fault) = fault_by_listing(self.view, self.dataset, date) {
            return Err(fault);
        }
        let dump = self.view.dumps.get(&date).and_then(|dumps| dumps.first());
        let (Some(dump), Verify::Zip) = (dump, self.dataset.landing.verify) else {
            return Ok(None);
        };
        match self.memory.verdict(self.platform, &self.dataset.landing.bucket, dump).await {
            Ok(verdict) => verdict.map(Some),
            Err(error) => Err(unread(&error, self.now)),
        }
    }

    /// Another date's dump with the same script: this one is that date's file (H29). A dump that
    /// cannot be read for the comparison says nothing about this one.
    async fn same_script(&self, date: NaiveDate, script: ScriptId) -> Option<DumpFault> {
        let size = self.view.dumps.get(&date)?.first()?.size;
        for other in self.comparable(date, size) {
            let bucket = &self.dataset.landing.bucket;
            let verdict = self.memory.verdict(self.platform, bucket, other).await;
            if verdict.is_ok_and(|verdict| verdict == Ok(script)) {
                return Some(DumpFault::SameAsAnother { other_key: other.key.clone() });
            }
        }
        None
    }

    /// The dumps that are worth comparing with, the nearest dates first.
    fn comparable(&self, date: NaiveDate, size: u64) -> Vec<&Dump> {
        let dumps = &self.view.dumps;
        let mut before = dumps.range(..date).rev().peekable();
        let mut after = dumps.range(date..).filter(|(other, _)| **other != date).peekable();
        let (mut same_size, mut all) = (0, Vec::new());
        let (mut earlier, mut later) = (0, 0);
        loop {
            let is_before = match (before.peek(), after.peek()) {
                (Some((b, _)), Some((a, _))) => date - **b <= **a - date,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return all,
            };
            let next = if is_before { before.next() } else { after.next() };
            let nth = if is_before { &mut earlier } else { &mut later };
            *nth += 1;
            let is_neighbour = *nth <= NEIGHBOURS_EACH_SIDE;
            let readable = next.into_iter().flat_map(|(_, dumps)| dumps.iter());
            for dump in readable.filter(|dump| dump.archived.is_none()) {
                let is_same_size = dump.size == size && same_size < SAME_SIZE_AT_MOST;
                same_size += usize::from(is_same_size);
                if is_neighbour || is_same_size {
                    all.push(dump);
                }
            }
        }
    }
}

/// What it means for a date that its dump could not be read.
fn unread(error: &PlatformError, now: DateTime<Utc>) -> DumpFault {
    let why = error.to_string();
    match (error.class, error.code.as_deref()) {
        (_, Some("InvalidObjectState")) => DumpFault::ArchivedTier(why),
        (ErrorClass::Denied, _) => DumpFault::Denied(why),
        (ErrorClass::NotFound | ErrorClass::Invalid, _)
        | (ErrorClass::Conflict, Some("PreconditionFailed")) => DumpFault::Unreadable(why),
        (
            ErrorClass::Conflict
            | ErrorClass::Throttled
            | ErrorClass::Server
            | ErrorClass::Timeout
            | ErrorClass::Transport,
            _,
        ) => DumpFault::NotRead { why, again_at: now + Duration::minutes(READ_AGAIN_MINUTES) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass, code: Option<&str>) -> PlatformError {
        PlatformError {
            operation: "s3:GetObject",
            class,
            code: code.map(str::to_owned),
            message: "the service's words".to_owned(),
            request_id: None,
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_read_again() {
        let now = "2026-06-30T12:00:00Z".parse().unwrap();
        for class in ErrorClass::ALL {
            let fault = unread(&error(class, None), now);
            let waits = matches!(fault, DumpFault::NotRead { .. });
            assert_eq!(waits, class.is_transient(), "{class:?}: {fault}");
            assert!(fault.to_string().contains("the service's words"), "{fault}");
        }
        let gone = unread(&error(ErrorClass::Conflict, Some("PreconditionFailed")), now);
        assert!(matches!(gone, DumpFault::Unreadable(_)), "{gone}");
        let archived = unread(&error(ErrorClass::Invalid, Some("InvalidObjectState")), now);
        assert!(matches!(archived, DumpFault::ArchivedTier(_)), "{archived}");
    }
}
