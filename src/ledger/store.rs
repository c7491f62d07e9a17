//! Where the entries are kept: the port that both stores fill.
//!
//! A store knows numbers and bytes, nothing else. The one promise that everything rests on
//! is [`Store::create`]: of all that ever ask for a number, exactly one gets it, and what
//! it wrote is never changed again. Checkpoints and the beat are conveniences that may be
//! lost at any time.
//!
//! What a store never does: overwrite an entry, delete one, or repeat a create whose effect
//! is unknown. Settling an unknown effect is the log's business, for it knows the nonce.

use async_trait::async_trait;
use bytes::Bytes;

pub use crate::platform::Created;

/// A place that keeps entries.
#[async_trait]
pub trait Store: Send + Sync {
    /// The place, as people write it: `file:///dir` or `s3://bucket/prefix`.
    fn describe(&self) -> String;

    /// Creates an entry, durably, unless its number is taken.
    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError>;
    /// One entry; `None` when its number is free.
    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError>;
    /// The numbers above `seq` that are taken, ascending.
    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError>;

    /// The numbers of the checkpoints that are kept, ascending.
    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError>;
    /// One checkpoint.
    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError>;
    /// Keeps a checkpoint, over an older one of the same number.
    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError>;

    /// The advisory beat, `acting.json`.
    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError>;
    /// Overwrites the advisory beat.
    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError>;

    /// Whether a beat may be written every few seconds: it costs nothing, and shows that the place
    /// can still be written.
    fn beats_are_free(&self) -> bool {
        false
    }

    /// Called before the first write of a process: makes sure that the place can keep the
    /// promise of [`Store::create`]. Readers never call it, so they need no right to write.
    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the place keeps the promise of [`Store::create`], for `check`: found out without an
    /// entry, also against a store that looks first and writes later.
    async fn try_promise(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Takes the lock of those who act, if this store has one and it is free.
    async fn take_lock(&self) -> Result<Lock, StoreError> {
        Ok(Lock::Unknown)
    }
    /// Looks at the lock without keeping it.
    async fn look_at_lock(&self) -> Result<Lock, StoreError> {
        Ok(Lock::Unknown)
    }
    /// Gives the lock back, if it is ours.
    async fn drop_lock(&self) {}
}

/// The lock of those who act. It is a courtesy: safety comes from [`Store::create`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// We hold it.
    Ours,
    /// Nobody holds it; a process that died cannot.
    Free,
    /// Somebody else holds it.
    Taken,
    /// This store has none, or it cannot be seen.
    Unknown,
}

/// What was asked of a store; the `operation` label of `ledger_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Creating an entry.
    Create,
    /// Reading an entry.
    Get,
    /// Listing entries.
    List,
    /// Reading or keeping a checkpoint.
    Checkpoint,
    /// Reading or writing the beat.
    Beat,
    /// Making sure that the place is fit to be written.
    Prepare,
    /// The lock of those who act.
    Lock,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Get,
        Self::List,
        Self::Checkpoint,
        Self::Beat,
        Self::Prepare,
        Self::Lock,
    ];

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Checkpoint => "checkpoint",
            Self::Beat => "beat",
            Self::Prepare => "prepare",
            Self::Lock => "lock",
        }
    }
}

/// What kind of trouble a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing was done; the same call may succeed in a moment (409, throttled).
    Busy,
    /// No answer: it may have been done, now or later.
    Unsettled,
    /// Not permitted; nothing was done.
    Denied,
    /// No room left; nothing was done.
    Full,
    /// The disk may have lost what it was told to keep: nothing more is believed until the
    /// ledger is opened anew.
    Poisoned,
    /// The place cannot keep the promise of create-if-absent.
    Unfit,
    /// Anything else; nothing was done.
    Failed,
}

impl Trouble {
    /// What a person could do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Busy | Self::Unsettled => {
                "the place is slow or unreachable; it is tried again on the next pass"
            }
            Self::Denied => {
                "give gapmend's user or role the right to list, read and create under ledger.url"
            }
            Self::Full => "make room on the disk; nothing was lost",
            Self::Poisoned => {
                "check the disk, then restart gapmend: it reads the ledger anew and goes on from what is there"
            }
            Self::Unfit => {
                "choose another ledger.url: S3 itself, or a local file system with hard links"
            }
            Self::Failed => "check ledger.url",
        }
    }
}

/// A call that a store could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in the ledger at {place}: {message}", operation.label())]
pub struct StoreError {
    /// What was asked.
    pub operation: Operation,
    /// Of which store, or which of its files.
    pub place: String,
    /// The kind of trouble.
    pub trouble: Trouble,
    /// What the disk or the service said.
    pub message: String,
}

impl StoreError {
    /// A store that cannot keep the promise of [`Store::create`].
    pub(super) fn overwrites(place: String) -> Self {
        let message = "this store overwrites an object although it was told not to (If-None-Match)";
        Self::unfit(place, message)
    }

    /// A store that keeps it only while nobody else asks.
    pub(super) fn overwrites_at_once(place: String) -> Self {
        let message = "this store let several create the same object at the same moment, although each was told not to overwrite (If-None-Match)";
        Self::unfit(place, message)
    }

    fn unfit(place: String, message: &str) -> Self {
        Self {
            operation: Operation::Prepare,
            place,
            trouble: Trouble::Unfit,
            message: message.to_owned(),
        }
    }
}

/// The file name of an entry or a checkpoint.
#[must_use]
pub fn file_name(seq: u64) -> String {
    format!("{seq:020}.json")
}

/// The number that a file name spells; `None` for anything that is not an entry's name.
#[must_use]
pub fn number_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".json")?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_file_name_are_the_same_thing() {
        for seq in [0, 1, 42, 11_000, u64::MAX] {
            assert_eq!(number_of(&file_name(seq)), Some(seq));
        }
        assert_eq!(file_name(42), "00000000000000000042.json");
    }

    #[test]
    fn other_files_are_no_entries() {
        for name in [
            "42.json",
            "00000000000000000042.json.bak",
            ".00000000000000000042.x.tmp",
            "0000000000000000004x.json",
            "99999999999999999999.json",
            "",
        ] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
