//! Who acts: epochs, the beat, and the courtesy of standing by.
//!
//! Safety never rests on anything here. An entry is created or not, and an older epoch
//! writes nothing: that is in `log.rs`. This file only keeps two processes from taking
//! turns at interrupting each other, and lets one of them go on when the other is gone.
//!
//! ```text
//!   onlooker ── act ──► acting ── a newer epoch is read ──► standing by ── act ──► acting
//!                         └── leave ──► onlooker                  │
//!                                       left · lock freed · process died · silent for 15 minutes
//! ```

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use super::event::Event;
use super::log::{APPEND_TRIES, Appended, Ledger};
use super::process::Process;
use super::store::Lock;

/// A beat is written this often: three may be lost before we count as silent. On S3 each
/// one is a version of `acting.json`, so not oftener.
const BEAT_EVERY_SECONDS: i64 = 4 * 60;
/// Where beats are free, each turn of a loop may write one: a disk that filled up shows at once.
const FREE_BEAT_EVERY_SECONDS: i64 = 10;
/// Who has not been heard of for so long does not act any more.
const SILENT_AFTER_MINUTES: i64 = 15;

/// `acting.json`: a sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The epoch that it speaks for.
    pub epoch: u64,
    /// Who: host, process, command.
    pub writer: String,
    /// The process itself.
    #[serde(flatten)]
    pub process: Process,
    /// When it was written, by the writer's clock.
    pub at: DateTime<Utc>,
    /// Whether it holds the lock; only then does a free lock mean anything.
    pub locked: bool,
}

/// Another process that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoActs {
    /// Its epoch.
    pub epoch: u64,
    /// Who: host, process, command.
    pub writer: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Its last beat; `None` when it has not had one yet.
    pub last_beat: Option<DateTime<Utc>>,
}

/// Why a process that stands by may act again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// Nobody acts: the other one said so, or nobody ever did.
    Left,
    /// The other one's lock is free: it is gone.
    LockFreed,
    /// The other one's process is gone.
    ProcessDied,
    /// Nothing was heard of it, by our own clock.
    Silent,
}

/// A sign of life: an epoch, and its last beat.
type Sign = (u64, Option<DateTime<Utc>>);

/// What those who stand by have seen, and what those who act have done, about beats.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The last sign of life of another, and when we first saw it.
    seen: Option<(Sign, DateTime<Utc>)>,
    /// Our own last beat.
    beaten: Option<DateTime<Utc>>,
    /// Whether we hold the lock.
    locked: bool,
}

impl Ledger {
    /// Takes a new epoch: from now on every older one stands by.
    ///
    /// Whether somebody else acts is not asked here; see [`Ledger::someone_else_acts`].
    ///
    /// # Errors
    /// The ledger cannot be read or written, or was written by a newer gapmend.
    pub async fn act(&mut self, command: &str) -> Result<u64, LedgerError> {
        self.refresh().await?;
        let acting = Event::Acting {
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: Some(self.process.clone()),
        };
        for _ in 0..APPEND_TRIES {
            let epoch = self.state.acting.epoch + 1;
            match self.append_as(epoch, vec![acting.clone()]).await? {
                Appended::Recorded(_) => {
                    self.epoch = Some(epoch);
                    self.watch = Watch::default();
                    self.tell_held();
                    self.first_beat().await;
                    return Ok(epoch);
                }
                Appended::Behind => {}
            }
        }
        Err(LedgerError::Contended { tries: APPEND_TRIES })
    }

    /// Acts no longer, and says so if it is still ours to say.
    ///
    /// # Errors
    /// The word could not be written; the lock is free all the same, and others notice.
    pub async fn leave(&mut self) -> Result<(), LedgerError> {
        let said = self.say_left().await;
        self.epoch = None;
        self.watch = Watch::default();
        self.tell_held();
        self.store.drop_lock().await;
        said
    }

    async fn say_left(&mut self) -> Result<(), LedgerError> {
        for _ in 0..APPEND_TRIES {
            if !self.is_acting() {
                return Ok(());
            }
            match self.append(vec![Event::Left {}]).await {
                Ok(Appended::Recorded(_)) | Err(LedgerError::StandBy { .. }) => return Ok(()),
                Ok(Appended::Behind) => {}
                Err(error) => return Err(error),
            }
        }
        Err(LedgerError::Contended { tries: APPEND_TRIES })
    }

    /// A sign of life, when one is due; call it as often as you like.
    ///
    /// # Errors
    /// It could not be written. Nothing but courtesy depends on it.
    pub async fn beat(&mut self) -> Result<(), LedgerError> {
        if !self.is_acting() {
            return Ok(());
        }
        let gained = !self.watch.locked && self.try_lock().await?;
        if gained || self.beat_is_due() {
            self.write_beat().await?;
        }
        Ok(())
    }

    /// Who else acts, by the best evidence that one look gives. Reads the tail.
    ///
    /// # Errors
    /// The ledger or the evidence cannot be read.
    pub async fn someone_else_acts(&mut self) -> Result<Option<WhoActs>, LedgerError> {
        self.refresh().await?;
        let Some(other) = self.other() else { return Ok(None) };
        let beat = self.beat_of(other.epoch).await?;
        if self.certainly_gone(beat.as_ref()).await?.is_some() {
            return Ok(None);
        }
        let last_beat = beat.map(|beat| beat.at);
        let heard = last_beat.or(other.since);
        let recent = heard.is_some_and(|at| (self.clock.now() - at).abs() < silent_after());
        Ok(recent.then_some(WhoActs { last_beat, ..other }))
    }

    /// Whether a process that stands by may act again, and why. Reads the tail.
    ///
    /// Silence is measured by our own clock from when we first saw the last sign of life,
    /// so that two machines whose clocks disagree do not take turns.
    ///
    /// # Errors
    /// The ledger or the evidence cannot be read.
    pub async fn standing_by_may_take_over(&mut self) -> Result<Option<TakeOver>, LedgerError> {
        self.refresh().await?;
        if self.is_acting() {
            return Ok(None);
        }
        let Some(other) = self.other() else { return Ok(Some(TakeOver::Left)) };
        let beat = self.beat_of(other.epoch).await?;
        if let Some(why) = self.certainly_gone(beat.as_ref()).await? {
            return Ok(Some(why));
        }
        let unchanged = self.unchanged_for((other.epoch, beat.map(|beat| beat.at)));
        Ok((unchanged >= silent_after()).then_some(TakeOver::Silent))
    }

    /// The other one that the entries say acts.
    fn other(&self) -> Option<WhoActs> {
        let acting = &self.state.acting;
        let writer = acting.writer.clone()?;
        (self.epoch != Some(acting.epoch)).then_some(WhoActs {
            epoch: acting.epoch,
            writer,
            since: acting.since,
            last_beat: None,
        })
    }

    /// The beat of this epoch. One that cannot be read is no beat: it is only a courtesy.
    async fn beat_of(&self, epoch: u64) -> Result<Option<Beat>, LedgerError> {
        let bytes = self.store.get_beat().await?;
        let beat = bytes.and_then(|bytes| serde_json::from_slice::<Beat>(&bytes).ok());
        Ok(beat.filter(|beat| beat.epoch == epoch))
    }

    /// A process that was killed before its first beat is known by its entry alone.
    async fn certainly_gone(&self, beat: Option<&Beat>) -> Result<Option<TakeOver>, LedgerError> {
        let locked = beat.is_some_and(|beat| beat.locked);
        if locked && self.store.look_at_lock().await? == Lock::Free {
            return Ok(Some(TakeOver::LockFreed));
        }
        let process = beat.map(|beat| &beat.process).or(self.state.acting.process.as_ref());
        let dead = process.is_some_and(Process::is_certainly_dead);
        Ok(dead.then_some(TakeOver::ProcessDied))
    }

    fn unchanged_for(&mut self, sign: Sign) -> TimeDelta {
        let now = self.clock.now();
        match self.watch.seen {
            Some((seen, first)) if seen == sign && first <= now => now - first,
            Some(_) | None => {
                self.watch.seen = Some((sign, now));
                TimeDelta::zero()
            }
        }
    }

    /// The first beat of an epoch; the entry itself is a sign of life until one succeeds.
    async fn first_beat(&mut self) {
        if let Err(error) = self.beat().await {
            tracing::warn!(
                error = error.in_words(),
                "the first beat could not be written; it is tried again"
            );
        }
    }

    async fn try_lock(&mut self) -> Result<bool, LedgerError> {
        self.watch.locked = self.store.take_lock().await? == Lock::Ours;
        Ok(self.watch.locked)
    }

    fn beat_is_due(&self) -> bool {
        let free = self.store.beats_are_free();
        let every = if free { FREE_BEAT_EVERY_SECONDS } else { BEAT_EVERY_SECONDS };
        self.watch.beaten.is_none_or(|at| {
            let age = self.clock.now() - at;
            age < TimeDelta::zero() || age >= TimeDelta::seconds(every)
        })
    }

    async fn write_beat(&mut self) -> Result<(), LedgerError> {
        let beat = Beat {
            epoch: self.epoch.unwrap_or_default(),
            writer: self.writer.clone(),
            process: self.process.clone(),
            at: self.clock.now(),
            locked: self.watch.locked,
        };
        let bytes = serde_json::to_vec_pretty(&beat)
            .map_err(|error| LedgerError::Nonsense { message: error.to_string() })?;
        self.store.put_beat(Bytes::from(bytes)).await?;
        self.watch.beaten = Some(beat.at);
        Ok(())
    }
}

fn silent_after() -> TimeDelta {
    TimeDelta::minutes(SILENT_AFTER_MINUTES)
}

#[cfg(test)]
mod tests;
