//! The log: opening, reading the tail, appending.
//!
//! ```text
//!   open ──► newest checkpoint that fits ──► tail ──► State
//!
//!   append(events) ── entry N+1 fits the state? ──► create-if-absent
//!                                                    ├─ created, or ours after a lost answer ──► Recorded
//!                                                    └─ somebody else's ──► read the tail ──► Behind: decide again
//! ```
//!
//! What it never does: write an entry that it could not read back, go past a number whose
//! fate is unknown, or write for an epoch that is no longer the newest. A future that is
//! dropped in the middle of an append loses nothing: the next append finds the number taken,
//! reads the entry, and answers [`Appended::Behind`].

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

use super::acting::Watch;
use super::codec;
use super::error::LedgerError;
use super::event::{Asked, ENTRY_VERSION, Entry, EntrySpan, Event, Request};
use super::held::Held;
use super::process::Process;
use super::reading::FETCH_AT_ONCE;
use super::state::{ReplayError, State};
use super::store::{Created, Store, StoreError, Trouble};
use crate::platform::Clock;

/// Tries for one entry, before it is left to the next pass.
const CREATE_TRIES: u32 = 5;
/// The pause before the second try; it doubles.
const CREATE_PAUSE_MILLISECONDS: u64 = 200;
/// Tries against faster writers, for what needs no new decision.
pub(super) const APPEND_TRIES: u32 = 32;
/// An entry is a few kilobytes; a larger one is a defect, and would slow every start.
const ENTRY_LIMIT_BYTES: usize = 1024 * 1024;
/// Past it an intent is checked against the log again before its effect is asked for.
const INTENT_FRESH_SECONDS: i64 = 10;

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is entry N, durably.
    Recorded(u64),
    /// Nothing was written: others wrote first. The state has caught up; decide again.
    Behind,
}

/// The ledger, as one process holds it.
pub struct Ledger {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writer: String,
    pub(super) process: Process,
    pub(super) state: State,
    /// The epoch that we took; kept when somebody takes a newer one, until we leave.
    pub(super) epoch: Option<u64>,
    /// Why nothing may be written, until the entries can be read again.
    pub(super) refusal: Option<LedgerError>,
    /// The store was found fit to be written.
    prepared: bool,
    /// Entries of others that were read.
    pub(super) heard: u64,
    /// The nonce of the last entry that was read or written, by which it is known again.
    pub(super) last_nonce: Option<String>,
    /// It was read just now: the next reading need not ask for it.
    pub(super) last_was_seen: bool,
    /// Entries that an operator gave up.
    pub(super) given_up: Vec<EntrySpan>,
    /// An entry that stops the reading, and how far the rest was searched for its acknowledgement.
    pub(super) searched: Option<(u64, u64)>,
    pub(super) last_checkpoint: u64,
    /// Our last entry: its number, and when its decision was made.
    acknowledged: Option<(u64, DateTime<Utc>)>,
    /// Nobody else acts, and we could not take an epoch: what is held may be released.
    unattended: bool,
    pub(super) watch: Watch,
    /// What is held, for those who do not wait for the store.
    pub(super) held: watch::Sender<Arc<Held>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("place", &self.store.describe())
            .field("seq", &self.state.seq)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Reads everything, as far as it is sound.
    ///
    /// A ledger with entries that are missing, damaged or of a newer gapmend opens too, with the
    /// state up to them, so that it can be looked at and what is held can be released;
    /// [`Ledger::refusal`] then says why nothing can be written.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        writer: impl Into<String>,
    ) -> Result<Self, LedgerError> {
        let mut ledger = Self {
            store,
            clock,
            writer: writer.into(),
            process: Process::this(),
            state: State::default(),
            epoch: None,
            refusal: None,
            prepared: false,
            heard: 0,
            last_nonce: None,
            last_was_seen: false,
            given_up: Vec::new(),
            searched: None,
            last_checkpoint: 0,
            acknowledged: None,
            unattended: false,
            watch: Watch::default(),
            held: watch::Sender::default(),
        };
        if let Some(kept) = ledger.newest_checkpoint().await? {
            ledger.last_checkpoint = kept.state.seq;
            ledger.last_nonce = Some(kept.nonce);
            ledger.last_was_seen = kept.last_is_there;
            ledger.state = kept.state;
        }
        match ledger.refresh().await {
            Err(error) if error.passes() => Err(error),
            Ok(()) | Err(_) => Ok(ledger),
        }
    }

    /// What the entries add up to, as far as they were read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it is.
    pub fn describe(&self) -> String {
        self.store.describe()
    }

    /// How many entries of others were read: whoever compares it sees whether anybody wrote
    /// meanwhile, also between two entries of ours.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Who we are in it.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Why nothing may be written, if so.
    pub fn refusal(&self) -> Option<&LedgerError> {
        self.refusal.as_ref()
    }

    /// Reads the tail.
    ///
    /// # Errors
    /// As for opening; the state then stands at the last entry that could be read.
    pub async fn refresh(&mut self) -> Result<(), LedgerError> {
        let read = self.read_tail().await;
        self.note(read).await
    }

    /// The entries after a number as they stand, oldest first, a few at a time.
    ///
    /// # Errors
    /// The store cannot be read, or an entry is damaged or of a newer gapmend.
    pub async fn entries(
        &self,
        after: u64,
        each: &mut (dyn FnMut(&Entry) -> std::io::Result<()> + Send),
    ) -> Result<(), LedgerError> {
        let numbers = self.store.list_after(after).await?;
        let store = &self.store;
        let mut entries = stream::iter(numbers)
            .map(|seq| async move { store.get(seq).await.map(|bytes| (seq, bytes)) })
            .buffered(FETCH_AT_ONCE);
        while let Some((seq, bytes)) = entries.try_next().await? {
            let bytes = bytes.ok_or_else(|| self.vanished(seq))?;
            if each(&self.decode(seq, &bytes)?).is_err() {
                return Ok(()); // nobody reads any more
            }
        }
        Ok(())
    }

    /// Appends one entry, decided on the state as it stands.
    ///
    /// # Errors
    /// [`LedgerError::StandBy`] when a newer epoch acts; others when nothing is known to be
    /// written. After any error but `StandBy`, the next append settles what happened.
    pub async fn append(&mut self, events: Vec<Event>) -> Result<Appended, LedgerError> {
        self.check_epoch()?;
        let epoch = self.epoch.unwrap_or(0);
        let appended = self.append_as(epoch, events).await?;
        self.check_epoch()?;
        Ok(appended)
    }

    /// Appends a request of a person, which needs no decision. It carries no epoch.
    ///
    /// # Errors
    /// As for [`Ledger::append`], but never `StandBy`.
    pub async fn append_request(
        &mut self,
        dataset: &str,
        request: Request,
        asked: Asked,
    ) -> Result<u64, LedgerError> {
        self.record(Event::Requested { dataset: dataset.to_owned(), request, asked }).await
    }

    /// Appends what somebody who does not act did or asks for: it needs no decision, and
    /// carries no epoch.
    ///
    /// # Errors
    /// As for [`Ledger::append`], but never `StandBy`.
    pub async fn record(&mut self, event: Event) -> Result<u64, LedgerError> {
        for _ in 0..APPEND_TRIES {
            match self.append_as(0, vec![event.clone()]).await? {
                Appended::Recorded(seq) => return Ok(seq),
                Appended::Behind => {}
            }
        }
        Err(LedgerError::Contended { tries: APPEND_TRIES })
    }

    /// Whether we may write here, and nothing is ever overwritten. The last entry is created once
    /// more, of its own bytes, and whoever may create is told that it exists. An empty ledger is
    /// asked by its probe.
    ///
    /// # Errors
    /// It cannot be written, or would be overwritten.
    pub async fn try_writing(&self) -> Result<(), LedgerError> {
        let last = self.state.seq;
        let Some(bytes) = self.store.get(last).await? else {
            return Ok(self.store.try_promise().await?);
        };
        match self.store.create(last, bytes).await? {
            Created::Exists => Ok(self.store.try_promise().await?),
            Created::Created => Err(StoreError::overwrites(self.store.describe()).into()),
        }
    }

    /// Whether our last entry was decided so recently that its effect may be asked for
    /// without another look. A clock that went backwards makes it not so.
    pub fn intent_is_fresh(&self) -> bool {
        self.acknowledged.is_some_and(|(_, at)| {
            let age = self.clock.now() - at;
            age >= TimeDelta::zero() && age <= TimeDelta::seconds(INTENT_FRESH_SECONDS)
        })
    }

    /// Reads the tail, and says whether we still act and our last entry is still the last.
    ///
    /// # Errors
    /// As for [`Ledger::refresh`]: it is not known, so nothing may be done.
    pub async fn still_mine(&mut self) -> Result<bool, LedgerError> {
        self.refresh().await?;
        let last_is_ours = self.acknowledged.is_some_and(|(seq, _)| seq == self.state.seq);
        Ok(self.is_acting() && last_is_ours)
    }

    /// What to ask right before an effect: nothing more while the intent is fresh, else
    /// [`Ledger::still_mine`].
    ///
    /// # Errors
    /// As for [`Ledger::still_mine`].
    pub async fn clear_for_effect(&mut self) -> Result<bool, LedgerError> {
        let last_is_ours = self.acknowledged.is_some_and(|(seq, _)| seq == self.state.seq);
        if self.intent_is_fresh() && last_is_ours && self.is_acting() {
            return Ok(true);
        }
        self.still_mine().await
    }

    /// Whether we act: our epoch is the newest that is known here.
    pub fn is_acting(&self) -> bool {
        self.refusal.is_none()
            && self.epoch == Some(self.state.acting.epoch)
            && self.state.acting.writer.is_some()
    }

    /// Whether a trigger may be released by us: no newer epoch acts. A ledger that cannot be
    /// written, or has entries of a newer gapmend, does not keep a rule disabled.
    pub fn may_release(&self) -> bool {
        self.epoch == Some(self.state.acting.epoch) || self.epoch.is_none() && self.unattended
    }

    /// Lets a process that could not take an epoch release what is held, while nobody else acts
    /// as far as that can be seen.
    pub async fn release_unattended(&mut self) {
        self.unattended = !matches!(self.someone_else_acts().await, Ok(Some(_)));
        self.tell_held();
    }

    /// Whether a newer epoch acts, by what was read.
    ///
    /// # Errors
    /// [`LedgerError::StandBy`] says whose.
    pub fn check_epoch(&self) -> Result<(), LedgerError> {
        match self.epoch {
            Some(ours) if ours != self.state.acting.epoch => Err(LedgerError::StandBy {
                ours,
                newest: self.state.acting.epoch,
                writer: self.state.acting.writer.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Appends one entry in the given epoch.
    pub(super) async fn append_as(
        &mut self,
        epoch: u64,
        events: Vec<Event>,
    ) -> Result<Appended, LedgerError> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        self.prepare().await?;
        let draft = self.draft(epoch, events)?;
        match self.create(&draft).await {
            Ok(Outcome::Ours) => {
                self.acknowledged = Some((draft.entry.seq, draft.entry.at));
                self.last_nonce = Some(draft.entry.nonce.clone());
                self.state = draft.next;
                self.tell_held();
                self.keep_checkpoint(&draft.entry.nonce).await;
                Ok(Appended::Recorded(draft.entry.seq))
            }
            Ok(Outcome::Theirs(bytes)) => {
                self.refresh().await?;
                self.catch_up_with(draft.entry.seq, &bytes).await?;
                Ok(Appended::Behind)
            }
            Err(error) => self.note(Err(error)).await.map(|()| Appended::Behind),
        }
    }

    async fn prepare(&mut self) -> Result<(), LedgerError> {
        if !self.prepared {
            self.store.prepare_to_write().await?;
            self.prepared = true;
        }
        Ok(())
    }

    /// The next entry, proven: it is read back from its own bytes and fits the state, so
    /// nothing is ever written that the next start could not replay.
    fn draft(&self, epoch: u64, events: Vec<Event>) -> Result<Draft, LedgerError> {
        let nonsense = |message: String| LedgerError::Nonsense { message };
        let seq = self.state.seq + 1;
        let entry = Entry {
            v: ENTRY_VERSION,
            seq,
            at: self.clock.now(),
            epoch,
            writer: self.writer.clone(),
            nonce: uuid::Uuid::new_v4().simple().to_string(),
            events,
        };
        let bytes = codec::entry_to_bytes(&entry).map_err(|e| nonsense(format!("{e:?}")))?;
        if bytes.len() > ENTRY_LIMIT_BYTES {
            return Err(nonsense(format!("they take {} bytes", bytes.len())));
        }
        let entry = codec::entry_from_bytes(seq, &bytes).map_err(|e| nonsense(format!("{e:?}")))?;
        let mut next = self.state.clone();
        next.apply(&entry).map_err(|e| nonsense(e.to_string()))?;
        Ok(Draft { entry, bytes, next })
    }

    /// Creates the entry, or learns whose it is. The same bytes are sent every time, so a
    /// try that lands late is still this entry.
    async fn create(&self, draft: &Draft) -> Result<Outcome, LedgerError> {
        let seq = draft.entry.seq;
        let mut last_error = None;
        for try_number in 0..CREATE_TRIES {
            if try_number > 0 {
                self.pause(try_number).await;
            }
            match self.store.create(seq, draft.bytes.clone()).await {
                Ok(Created::Created) => return Ok(Outcome::Ours),
                Ok(Created::Exists) => {}
                Err(error) => match error.trouble {
                    Trouble::Busy => {
                        last_error = Some(error);
                        continue;
                    }
                    Trouble::Unsettled => last_error = Some(error),
                    Trouble::Denied
                    | Trouble::Full
                    | Trouble::Poisoned
                    | Trouble::Unfit
                    | Trouble::Failed => return Err(error.into()),
                },
            }
            match self.store.get(seq).await {
                Ok(Some(bytes)) if codec::has_nonce(&bytes, &draft.entry.nonce) => {
                    return Ok(Outcome::Ours);
                }
                Ok(Some(bytes)) => return Ok(Outcome::Theirs(bytes)),
                Ok(None) => {}
                Err(error) => last_error = Some(error),
            }
        }
        let source = last_error.unwrap_or_else(|| self.vanished(seq));
        Err(LedgerError::Unsettled { seq, source })
    }

    async fn pause(&self, try_number: u32) {
        let milliseconds = CREATE_PAUSE_MILLISECONDS << (try_number - 1);
        self.clock.sleep(std::time::Duration::from_millis(milliseconds)).await;
    }

    /// A listing that is late must not let the caller decide on the same state again.
    async fn catch_up_with(&mut self, seq: u64, bytes: &[u8]) -> Result<(), LedgerError> {
        if self.state.seq + 1 != seq {
            return Ok(());
        }
        let before = self.state.clone();
        let read = self.apply(seq, bytes);
        if read.is_err() {
            self.state = before; // it may have been applied in part
        }
        self.note(read).await
    }

    /// Remembers what a reading or a writing means for all that follow.
    async fn note(&mut self, result: Result<(), LedgerError>) -> Result<(), LedgerError> {
        match &result {
            Ok(()) => self.refusal = None,
            Err(error) if error.is_poisoned() || !error.passes() => {
                self.refusal = Some(error.clone());
            }
            Err(_) => {}
        }
        if self.epoch.is_some() && !self.is_acting() {
            // Those who stand by let go of the lock, so that the new one can take it.
            self.store.drop_lock().await;
        }
        self.tell_held();
        result
    }

    pub(super) fn replay_error(&self, source: ReplayError) -> LedgerError {
        LedgerError::Replay { place: self.store.describe(), source }
    }

    pub(super) fn vanished(&self, seq: u64) -> StoreError {
        StoreError {
            operation: super::store::Operation::Get,
            place: self.store.describe(),
            trouble: Trouble::Failed,
            message: format!("entry {seq} was there and is gone"),
        }
    }
}

/// An entry that is ready to be written, and the state after it.
struct Draft {
    entry: Entry,
    bytes: Bytes,
    next: State,
}

/// Whose the number is.
enum Outcome {
    Ours,
    Theirs(Bytes),
}

#[cfg(test)]
mod tests;
