//! `ledger check`: every entry from the first, and all that is wrong with them.
//!
//! A start stops at the first entry that it cannot read, and reads nothing before its
//! checkpoint. This goes on behind each fault, so that a person sees the whole damage at once,
//! and can give up what cannot be restored: [`Ledger::acknowledge`] appends the entry that says
//! so. It changes nothing else.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use super::codec::{self, EntryFault};
use super::error::LedgerError;
use super::event::{Asked, ENTRY_VERSION, Entry, EntrySpan, Event};
use super::log::Ledger;
use super::reading::{FETCH_AT_ONCE, acknowledged};
use super::state::{ReplayError, State};
use super::store::{Created, StoreError};

/// Faults of a kind that stand in a row are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerFault {
    /// Which entries.
    pub entries: EntrySpan,
    /// What is wrong with them.
    pub what: What,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is not there, and later ones are, or it is in a checkpoint.
    Missing,
    /// Its bytes are not what was written.
    Damaged(String),
    /// It does not fit what came before.
    Misfit(&'static str),
    /// A newer gapmend wrote it.
    Newer(String),
    /// It is there and cannot be read.
    Unreadable(String),
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Damaged(why) => write!(f, "damaged: {why}"),
            Self::Misfit(why) => write!(f, "does not fit what came before: {why}"),
            Self::Newer(why) => write!(f, "of a newer gapmend, or damaged: {why}"),
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

impl What {
    /// The public name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged(_) => "damaged",
            Self::Misfit(_) => "misfit",
            Self::Newer(_) => "newer",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Whether an operator may give it up. What a newer gapmend wrote is no loss, and what cannot
    /// be read may be read tomorrow.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Missing | Self::Damaged(_) | Self::Misfit(_))
    }
}

/// What `ledger check` found.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerCheck {
    /// The store.
    pub place: String,
    /// Entries that are there.
    pub entries: u64,
    /// The number of the last one that is, or was.
    pub last: u64,
    /// All that is wrong, by number.
    pub faults: Vec<LedgerFault>,
    /// Entries that were given up before.
    pub given_up: Vec<EntrySpan>,
    /// Runs, holds and uploads that the sound entries leave open.
    pub open: Vec<String>,
    /// Higher than every epoch that was read.
    next_epoch: u64,
    /// What the sound entries add up to.
    state: State,
}

impl LedgerCheck {
    /// The entries that an operator may give up.
    #[must_use]
    pub fn losses(&self) -> Vec<EntrySpan> {
        let lost = self.faults.iter().filter(|fault| fault.what.is_loss());
        joined(lost.flat_map(|fault| fault.entries.from..=fault.entries.to))
    }

    /// The first fault that no acknowledgement can end.
    #[must_use]
    pub fn no_loss(&self) -> Option<&LedgerFault> {
        self.faults.iter().find(|fault| !fault.what.is_loss())
    }
}

impl Ledger {
    /// Reads every entry, and says all that is wrong.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn check(&self) -> Result<LedgerCheck, LedgerError> {
        let numbers = self.store.list_after(0).await?;
        let kept = self.store.checkpoints().await.unwrap_or_default();
        let last = numbers.last().copied().unwrap_or(0).max(kept.last().copied().unwrap_or(0));
        let last = last.max(self.state.seq);
        let mut faults: BTreeMap<u64, What> = BTreeMap::new();
        let mut entries = Vec::new();
        let store = &self.store;
        let mut read = stream::iter(numbers.iter().copied())
            .map(|seq| async move { (seq, store.get(seq).await) })
            .buffered(FETCH_AT_ONCE);
        while let Some((seq, bytes)) = read.next().await {
            match decoded(seq, bytes) {
                Ok(entry) => entries.push(entry),
                Err(what) => drop(faults.insert(seq, what)),
            }
        }
        let given_up: Vec<EntrySpan> = entries.iter().flat_map(acknowledged).collect();
        let is_given_up = |seq: u64| given_up.iter().any(|span| span.contains(seq));
        missing(&numbers, last, &mut faults);
        faults.retain(|seq, _| !is_given_up(*seq));
        let state = replay(&entries, last, &given_up, &mut faults);
        let next_epoch = entries.iter().map(|entry| entry.epoch).max().unwrap_or(0) + 1;
        Ok(LedgerCheck {
            place: self.store.describe(),
            entries: numbers.len() as u64,
            last,
            faults: in_rows(faults),
            given_up,
            open: open(&state),
            next_epoch,
            state,
        })
    }

    /// Appends the entry by which an operator gives up what a check found lost.
    ///
    /// # Errors
    /// Something is wrong that is no loss, others wrote meanwhile, or it cannot be written.
    pub async fn acknowledge(
        &mut self,
        check: &LedgerCheck,
        asked: Asked,
    ) -> Result<u64, LedgerError> {
        let nonsense = |message: String| LedgerError::Nonsense { message };
        self.store.prepare_to_write().await?;
        let (seq, lost) = (check.last + 1, check.losses());
        let event = Event::LossAcknowledged { lost, epoch: check.next_epoch, asked };
        let entry = Entry {
            v: ENTRY_VERSION,
            seq,
            at: self.clock.now(),
            epoch: 0,
            writer: self.writer.clone(),
            nonce: uuid::Uuid::new_v4().simple().to_string(),
            events: vec![event],
        };
        let mut next = check.state.clone();
        next.apply(&entry).map_err(|error| nonsense(error.to_string()))?;
        let bytes = codec::entry_to_bytes(&entry).map_err(|e| nonsense(format!("{e:?}")))?;
        match self.store.create(seq, bytes).await? {
            Created::Created => Ok(seq),
            Created::Exists => Err(LedgerError::Contended { tries: 1 }),
        }
    }
}

fn decoded(seq: u64, bytes: Result<Option<bytes::Bytes>, StoreError>) -> Result<Entry, What> {
    match bytes {
        Err(error) => Err(What::Unreadable(error.message)),
        Ok(None) => Err(What::Missing),
        Ok(Some(bytes)) => codec::entry_from_bytes(seq, &bytes).map_err(|fault| match fault {
            EntryFault::Broken(message) => What::Damaged(message),
            EntryFault::NotUnderstood(message) => What::Newer(message),
            EntryFault::NewerVersion(version) => What::Newer(format!("format version {version}")),
        }),
    }
}

/// No more missing entries are named one by one: a stray file may have any number.
const NAMED_AT_MOST: usize = 1_000_000;

/// The numbers up to the last that nothing has.
fn missing(numbers: &[u64], last: u64, faults: &mut BTreeMap<u64, What>) {
    let mut expected = 1;
    for found in numbers.iter().copied().chain([last + 1]) {
        faults.extend((expected..found).take(NAMED_AT_MOST).map(|seq| (seq, What::Missing)));
        expected = found + 1;
    }
}

/// Adds up what is sound. An entry that does not fit is a fault too, and everything is added up
/// anew without it, for it may have been applied in part.
fn replay(
    entries: &[Entry],
    last: u64,
    given_up: &[EntrySpan],
    faults: &mut BTreeMap<u64, What>,
) -> State {
    loop {
        let mut state = State::default();
        let mut misfit = None;
        for entry in entries {
            let passed = |seq: u64| given_up.iter().any(|span| span.contains(seq));
            if passed(entry.seq) || faults.contains_key(&entry.seq) {
                continue;
            }
            state.pass_over(entry.seq - 1);
            if let Err(error) = state.apply(entry) {
                misfit = Some((entry.seq, error));
                break;
            }
        }
        let Some((seq, error)) = misfit else {
            state.pass_over(last);
            return state;
        };
        let what = match error {
            ReplayError::Misfit { what, .. } => What::Misfit(what),
            ReplayError::Gap { .. } | ReplayError::NewerVersion { .. } => {
                What::Newer(error.to_string())
            }
        };
        faults.insert(seq, what);
    }
}

fn open(state: &State) -> Vec<String> {
    let run = state.active_run().map(|run| format!("run {} (stage {})", run.id, run.stage.label()));
    let holds = state.holds.values().map(|hold| format!("hold of rule {}", hold.rule));
    run.into_iter().chain(holds).collect()
}

fn in_rows(faults: BTreeMap<u64, What>) -> Vec<LedgerFault> {
    let mut rows: Vec<LedgerFault> = Vec::new();
    for (seq, what) in faults {
        match rows.last_mut().filter(|row| row.what == what && row.entries.to + 1 == seq) {
            Some(row) => row.entries.to = seq,
            None => rows.push(LedgerFault { entries: EntrySpan { from: seq, to: seq }, what }),
        }
    }
    rows
}

/// Numbers, ascending, in spans.
fn joined(numbers: impl Iterator<Item = u64>) -> Vec<EntrySpan> {
    let mut spans: Vec<EntrySpan> = Vec::new();
    for seq in numbers {
        match spans.last_mut().filter(|span| span.to + 1 == seq) {
            Some(span) => span.to = seq,
            None => spans.push(EntrySpan { from: seq, to: seq }),
        }
    }
    spans
}

#[cfg(test)]
mod tests;
