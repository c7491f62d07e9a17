//! Why the ledger does not do what it was asked.

use super::state::ReplayError;
use super::store::{Operation, StoreError, Trouble};

/// Why the ledger does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The place could not be read or written.
    #[error("reach the ledger: {0}")]
    Store(#[from] StoreError),
    /// It is unknown whether the entry was written, after every try.
    #[error("learn whether entry {seq} was written: {source}")]
    Unsettled {
        /// The entry.
        seq: u64,
        /// The last answer.
        source: StoreError,
    },
    /// The entries do not add up.
    #[error("replay the ledger at {place}: {source}")]
    Replay {
        /// The store.
        place: String,
        /// Why.
        source: ReplayError,
    },
    /// An entry is not a whole JSON document.
    #[error("read entry {seq} of the ledger at {place}: it is damaged: {message}")]
    Damaged {
        /// The store.
        place: String,
        /// The entry.
        seq: u64,
        /// What is wrong with it.
        message: String,
    },
    /// An entry says something that this gapmend does not know.
    #[error("understand entry {seq} of the ledger at {place}: {message}")]
    NotUnderstood {
        /// The store.
        place: String,
        /// The entry.
        seq: u64,
        /// What is not known.
        message: String,
    },
    /// The log ends before an entry that this process, or its own checkpoint, has read.
    #[error(
        "find entry {seq} of the ledger at {place}, which was there: entries are lost, or the place was emptied or is another one"
    )]
    Shortened {
        /// The store.
        place: String,
        /// The last entry that was known.
        seq: u64,
    },
    /// The last entry that this process read has another content by now.
    #[error(
        "recognise entry {seq} of the ledger at {place}: another entry has its number, so the ledger was restored or exchanged under this process"
    )]
    Exchanged {
        /// The store.
        place: String,
        /// The last entry that was known.
        seq: u64,
    },
    /// Somebody else acts by now; nothing was written.
    #[error(
        "act in epoch {ours}: {} acts in epoch {newest}",
        writer.as_deref().unwrap_or("a process that has left")
    )]
    StandBy {
        /// Our epoch.
        ours: u64,
        /// The newest one.
        newest: u64,
        /// Who took it; `None` when it left again.
        writer: Option<String>,
    },
    /// Others wrote before us, every time.
    #[error("append to the ledger: others were faster {tries} times in a row")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// The events make no sense in this state; nothing was written.
    #[error("record these events: {message}")]
    Nonsense {
        /// Why not.
        message: String,
    },
    /// A directory on a disk that dies with the task, while a trigger may be held.
    #[error(
        "keep the ledger at {place} on ECS: its disk dies with the task, and {dataset} may hold a trigger"
    )]
    LosesHolds {
        /// The store.
        place: String,
        /// A dataset that may hold.
        dataset: String,
    },
}

impl LedgerError {
    /// The error and its causes, in one line that fits after "failed to".
    #[must_use]
    pub fn in_words(&self) -> String {
        self.to_string()
    }

    /// What a person could do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) | Self::Unsettled { source: error, .. } => error.trouble.hint(),
            Self::Replay { source, .. } => replay_hint(source),
            Self::Damaged { .. } => {
                "restore the file from a backup or the bucket's versions, never edit it; `gapmend ledger check` names all that is wrong, and what to do when there is no backup"
            }
            Self::NotUnderstood { .. } => {
                "a newer gapmend wrote it: upgrade this one before it may act"
            }
            Self::Shortened { .. } => {
                "see that ledger.url is the right place and mounted, and restore the missing entries; if the log was restored from a backup on purpose, delete the newer files under checkpoint/ and restart gapmend; `gapmend ledger check` says more"
            }
            Self::Exchanged { .. } => {
                "if it was restored on purpose, restart gapmend: it reads the ledger anew; else put the right one back"
            }
            Self::StandBy { .. } => {
                "see `gapmend status` for what it does; a daemon stands by until it leaves or falls silent, a `heal` ends"
            }
            Self::Contended { .. } => {
                "it is tried again on the next pass; check that not more than two daemons share this ledger"
            }
            Self::Nonsense { .. } => "this is a defect in gapmend: report it; nothing was written",
            Self::LosesHolds { .. } => {
                "use an s3:// ledger, or set trigger.hold = \"never\" for every dataset"
            }
        }
    }

    /// Whether this process must be restarted before it may trust the ledger again.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(
            self,
            Self::Store(error) | Self::Unsettled { source: error, .. }
                if error.trouble == Trouble::Poisoned
        )
    }

    /// Whether it is a right that is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Store(error) if error.trouble == Trouble::Denied)
    }

    /// Whether it may be gone at the next try by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Store(_)
            | Self::Unsettled { .. }
            | Self::StandBy { .. }
            | Self::Contended { .. }
            | Self::Nonsense { .. }
            | Self::LosesHolds { .. } => true,
            Self::Replay { .. }
            | Self::Damaged { .. }
            | Self::NotUnderstood { .. }
            | Self::Shortened { .. }
            | Self::Exchanged { .. } => false,
        }
    }

    /// The call that failed, for `ledger_errors_total`.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Store(error) | Self::Unsettled { source: error, .. } => error.operation,
            Self::Replay { .. }
            | Self::Damaged { .. }
            | Self::NotUnderstood { .. }
            | Self::Shortened { .. }
            | Self::Exchanged { .. } => Operation::Get,
            Self::StandBy { .. } | Self::Contended { .. } | Self::Nonsense { .. } => {
                Operation::Create
            }
            Self::LosesHolds { .. } => Operation::Prepare,
        }
    }
}

fn replay_hint(error: &ReplayError) -> &'static str {
    match error {
        ReplayError::NewerVersion { .. } => {
            "a newer gapmend wrote it: upgrade this one before it may act"
        }
        ReplayError::Gap { .. } => {
            "restore the missing entry from a backup or the bucket's versions; `gapmend ledger check` names all that is wrong, and what to do when there is no backup"
        }
        ReplayError::Misfit { .. } => {
            "the entry was edited or two logs were mixed: restore the log from a backup; `gapmend ledger check` names all that is wrong, and what to do when there is none"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words_it_says_what_the_store_said() {
        let error = LedgerError::from(StoreError {
            operation: Operation::List,
            place: "s3://ledger/x".to_owned(),
            trouble: Trouble::Failed,
            message: "NoSuchBucket".to_owned(),
        });
        assert_eq!(
            error.in_words(),
            "reach the ledger: list in the ledger at s3://ledger/x: NoSuchBucket"
        );
    }
}
