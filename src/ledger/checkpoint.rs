//! Checkpoints: the state as it was after some entry, so that a start reads only the tail.
//!
//! They are a cache. One that is absent, torn, of another version or of another log is
//! passed over, and one that cannot be kept is done without; deleting them all only makes
//! the next start slower. The one thing that they prove is loss: a log without the entry
//! that its own checkpoint ends with was shortened.

use super::codec;
use super::error::LedgerError;
use super::log::Ledger;
use super::state::State;

/// A checkpoint is kept after so many entries: about three weeks of quiet nights.
const CHECKPOINT_EVERY_ENTRIES: u64 = 50;
/// Checkpoints that are tried at opening before everything is replayed.
const CHECKPOINTS_TRIED: usize = 3;

/// A checkpoint that is believed.
pub(super) struct Kept {
    pub(super) state: State,
    /// Of its last entry.
    pub(super) nonce: String,
    /// Whether that entry is still there.
    pub(super) last_is_there: bool,
}

impl Ledger {
    /// The newest that can be believed.
    pub(super) async fn newest_checkpoint(&self) -> Result<Option<Kept>, LedgerError> {
        let numbers = match self.store.checkpoints().await {
            Ok(numbers) => numbers,
            Err(error) => {
                tracing::warn!(%error, "checkpoints cannot be listed; every entry is read");
                return Ok(None);
            }
        };
        for seq in numbers.into_iter().rev().take(CHECKPOINTS_TRIED) {
            match self.checkpoint(seq).await? {
                Ok(kept) => return Ok(Some(kept)),
                Err(why) => tracing::info!(seq, why, "a checkpoint is not used"),
            }
        }
        Ok(None)
    }

    /// One checkpoint, or why it is not believed. It must end with an entry of this log. Where
    /// nothing is left of the log from there on, the checkpoint is the last that is known: what it
    /// says is held can be released, and the reading that follows finds its entry lost.
    async fn checkpoint(&self, seq: u64) -> Result<Result<Kept, String>, LedgerError> {
        let (kept, entry) =
            futures_util::join!(self.store.get_checkpoint(seq), self.store.get(seq));
        let state = match kept {
            Ok(Some(bytes)) => codec::checkpoint_from_bytes(seq, &bytes),
            Ok(None) => Err("it is gone".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let (state, nonce) = match state {
            Ok(believed) => believed,
            Err(why) => return Ok(Err(why)),
        };
        match entry? {
            Some(bytes) if codec::has_nonce(&bytes, &nonce) => {
                Ok(Ok(Kept { state, nonce, last_is_there: true }))
            }
            Some(_) => Ok(Err("it belongs to another log".to_owned())),
            None if self.store.list_after(seq).await?.is_empty() => {
                Ok(Ok(Kept { state, nonce, last_is_there: false }))
            }
            None => Ok(Err("its last entry is lost".to_owned())),
        }
    }

    /// A cache: when it cannot be kept, the next start only reads more.
    pub(super) async fn keep_checkpoint(&mut self, nonce: &str) {
        let seq = self.state.seq;
        if seq < self.last_checkpoint + CHECKPOINT_EVERY_ENTRIES {
            return;
        }
        // Also after a failure: it is tried again as many entries later, not every time.
        self.last_checkpoint = seq;
        let kept = match codec::checkpoint_to_bytes(&self.state, nonce) {
            Ok(bytes) => self.store.put_checkpoint(seq, bytes).await.map_err(|e| e.to_string()),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(seq, error, "a checkpoint could not be kept; nothing depends on it");
        }
    }
}
