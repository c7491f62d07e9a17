//! Reading on: from the last entry that is known, as far as the entries are sound.
//!
//! ```text
//!   is the last known entry still there? ──► list what follows ──► fetch side by side, apply in order
//!                                                                    └─ one is missing or damaged
//!                                      a later entry acknowledges it ◄──┘
//! ```
//!
//! What it never does: wait for one entry while others that it asked for hold every permit, go
//! past an entry that nobody gave up, or take a directory that was emptied for a new ledger.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::codec::{self, EntryFault};
use super::error::LedgerError;
use super::event::{Entry, EntrySpan, Event};
use super::log::Ledger;
use super::state::ReplayError;
use super::store::{Store, StoreError};

/// Entries fetched side by side: enough to hide S3's latency, few enough for its limits.
pub(super) const FETCH_AT_ONCE: usize = 32;

impl Ledger {
    pub(super) async fn read_tail(&mut self) -> Result<(), LedgerError> {
        let store = Arc::clone(&self.store);
        let known = if std::mem::take(&mut self.last_was_seen) { 0 } else { self.state.seq };
        let (last, numbers) =
            futures_util::join!(last_known(&store, known), store.list_after(self.state.seq));
        self.recognise(known, last?)?;
        let numbers = numbers?;
        while let Some(found) = numbers.last().copied().filter(|found| *found > self.state.seq) {
            let before = (self.state.clone(), self.last_nonce.clone());
            let Err(error) = self.read(&numbers, found).await else { return Ok(()) };
            let Some(seq) = unsound(&error) else { return Err(error) };
            if let LedgerError::Replay { source: ReplayError::Misfit { .. }, .. } = &error {
                // It was applied in part: once more, up to the one before it.
                (self.state, self.last_nonce) = before;
                self.read(&numbers, seq - 1).await?;
            }
            if !self.was_given_up(seq, &numbers).await? {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The entry that was last here must still be last here: else the place was emptied, exchanged
    /// or restored under this process, and nothing may be appended to it. Of one that was given up
    /// nobody knows what it said.
    fn recognise(&self, seq: u64, last: Option<Bytes>) -> Result<(), LedgerError> {
        let Some(nonce) = self.last_nonce.as_ref().filter(|_| seq > 0) else { return Ok(()) };
        let place = self.store.describe();
        match last {
            None => Err(LedgerError::Shortened { place, seq }),
            Some(bytes) if codec::has_nonce(&bytes, nonce) => self.decode(seq, &bytes).map(|_| ()),
            Some(bytes) => {
                self.decode(seq, &bytes)?;
                Err(LedgerError::Exchanged { place, seq })
            }
        }
    }

    /// Fetches and applies everything after the state, up to a number. What a late listing lacks
    /// is asked for by name before it is called missing.
    async fn read(&mut self, numbers: &[u64], through: u64) -> Result<(), LedgerError> {
        let store = Arc::clone(&self.store);
        let given_up = self.given_up.clone();
        let mut entries = stream::iter(self.state.seq + 1..=through)
            .map(|seq| {
                let store = Arc::clone(&store);
                let is_lost = given_up.iter().any(|span| span.contains(seq));
                async move {
                    let bytes = if is_lost { Some(None) } else { store.get(seq).await?.map(Some) };
                    Ok::<_, StoreError>((seq, bytes))
                }
            })
            .buffered(FETCH_AT_ONCE);
        while let Some((seq, bytes)) = entries.try_next().await? {
            match bytes {
                Some(Some(bytes)) => self.apply(seq, &bytes)?,
                Some(None) => {
                    self.state.pass_over(seq);
                    self.last_nonce = None;
                }
                None if numbers.contains(&seq) => return Err(self.vanished(seq).into()),
                None => {
                    let found = numbers.iter().copied().find(|found| *found > seq);
                    let found = found.unwrap_or(through);
                    return Err(self.replay_error(ReplayError::Gap { expected: seq, found }));
                }
            }
        }
        Ok(())
    }

    /// Whether a later entry says that an operator gave this one up. What was searched once is not
    /// read again for the same entry.
    async fn was_given_up(&mut self, seq: u64, numbers: &[u64]) -> Result<bool, LedgerError> {
        let searched = self.searched.filter(|(about, _)| *about == seq);
        let after = searched.map_or(seq, |(_, through)| through);
        let store = Arc::clone(&self.store);
        let later = numbers.iter().copied().filter(|number| *number > after);
        let mut entries = stream::iter(later)
            .map(|seq| {
                let store = Arc::clone(&store);
                async move { store.get(seq).await.map(|bytes| (seq, bytes)) }
            })
            .buffered(FETCH_AT_ONCE);
        let mut found = false;
        while let Some((number, bytes)) = entries.try_next().await? {
            let entry = bytes.and_then(|bytes| codec::entry_from_bytes(number, &bytes).ok());
            let spans: Vec<EntrySpan> = entry.iter().flat_map(acknowledged).collect();
            if spans.iter().any(|span| span.contains(seq)) {
                self.given_up.extend(spans);
                found = true;
            }
        }
        self.searched = numbers.last().map(|last| (seq, *last));
        Ok(found)
    }

    pub(super) fn apply(&mut self, seq: u64, bytes: &[u8]) -> Result<(), LedgerError> {
        let entry = self.decode(seq, bytes)?;
        self.state.apply(&entry).map_err(|source| self.replay_error(source))?;
        self.last_nonce = Some(entry.nonce);
        self.heard += 1;
        Ok(())
    }

    pub(super) fn decode(&self, seq: u64, bytes: &[u8]) -> Result<Entry, LedgerError> {
        let place = || self.store.describe();
        codec::entry_from_bytes(seq, bytes).map_err(|fault| match fault {
            EntryFault::Broken(message) => LedgerError::Damaged { place: place(), seq, message },
            EntryFault::NotUnderstood(message) => {
                LedgerError::NotUnderstood { place: place(), seq, message }
            }
            EntryFault::NewerVersion(version) => {
                self.replay_error(ReplayError::NewerVersion { seq, version })
            }
        })
    }
}

/// The entry of this number, if it has one; 0 asks for none.
async fn last_known(store: &Arc<dyn Store>, seq: u64) -> Result<Option<Bytes>, StoreError> {
    if seq == 0 { Ok(None) } else { store.get(seq).await }
}

/// The entries that an entry gives up.
#[expect(clippy::wildcard_enum_match_arm, reason = "one kind says so, and no other ever will")]
pub(super) fn acknowledged(entry: &Entry) -> impl Iterator<Item = EntrySpan> + '_ {
    let lost = |event: &Event| match event {
        Event::LossAcknowledged { lost, .. } => lost.clone(),
        _ => Vec::new(),
    };
    entry.events.iter().flat_map(lost)
}

/// The entry that an operator may give up, when the reading stopped at one.
fn unsound(error: &LedgerError) -> Option<u64> {
    match error {
        LedgerError::Damaged { seq, .. } | LedgerError::NotUnderstood { seq, .. } => Some(*seq),
        LedgerError::Replay { source, .. } => match source {
            ReplayError::Gap { expected, .. } => Some(*expected),
            ReplayError::Misfit { seq, .. } => Some(*seq),
            ReplayError::NewerVersion { .. } => None,
        },
        LedgerError::Store(_)
        | LedgerError::Unsettled { .. }
        | LedgerError::Shortened { .. }
        | LedgerError::Exchanged { .. }
        | LedgerError::StandBy { .. }
        | LedgerError::Contended { .. }
        | LedgerError::Nonsense { .. }
        | LedgerError::LosesHolds { .. } => None,
    }
}
