//! Entries in memory, with faults on request: for tests and the simulation.
//!
//! Handles are cheap and share their contents, like processes that share a bucket. Every
//! call is one step: it yields once before it does anything, so that whoever polls the
//! futures decides the order of all steps. A fault is either queued for the next call of
//! its kind, or chosen by a function that sees every call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::store::{Created, Operation, Store, StoreError, Trouble};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done, but the answer is lost.
    LostAnswer,
    /// It never arrives, and there is no answer.
    NeverArrives,
    /// There is no answer now, and it arrives after so many further steps.
    ArrivesLater(u64),
    /// It answers with this trouble, and nothing is done.
    Answers(Trouble),
    /// No call ever comes back.
    Hangs,
    /// A listing made while entries were written: it lacks this one. Other calls answer.
    Overlooks(u64),
}

impl Fault {
    /// Whether the call is answered in good faith.
    fn answers(self) -> bool {
        matches!(self, Self::Overlooks(_))
    }
}

/// Chooses the fault of a call: its step, and what it asks.
pub type Choice = dyn FnMut(u64, Operation) -> Option<Fault> + Send;

/// A store in memory; clones share it.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    entries: BTreeMap<u64, Bytes>,
    checkpoints: BTreeMap<u64, Bytes>,
    beat: Option<Bytes>,
    steps: u64,
    queued: BTreeMap<Operation, VecDeque<Option<Fault>>>,
    choice: Option<Box<Choice>>,
    /// Creates that are still under way: when they arrive, and what they write.
    under_way: Vec<(u64, u64, Bytes)>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shared = self.shared();
        f.debug_struct("MemoryStore")
            .field("entries", &shared.entries.len())
            .field("steps", &shared.steps)
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a fault for the next call of this kind that has none queued; `None` lets one
    /// call pass.
    pub fn queue(&self, operation: Operation, fault: impl Into<Option<Fault>>) {
        self.shared().queued.entry(operation).or_default().push_back(fault.into());
    }

    /// Lets a function choose the fault of every call that has none queued.
    pub fn choose_faults(
        &self,
        choice: impl FnMut(u64, Operation) -> Option<Fault> + Send + 'static,
    ) {
        self.shared().choice = Some(Box::new(choice));
    }

    /// No more faults. What is under way still arrives.
    pub fn heal(&self) {
        let mut shared = self.shared();
        shared.queued.clear();
        shared.choice = None;
    }

    /// How many calls there were.
    pub fn steps(&self) -> u64 {
        self.shared().steps
    }

    /// Every entry, in order.
    pub fn entries(&self) -> BTreeMap<u64, Bytes> {
        self.shared().entries.clone()
    }

    /// The last so many entries, the newest first.
    pub fn last_entries(&self, count: usize) -> Vec<Bytes> {
        self.shared().entries.values().rev().take(count).cloned().collect()
    }

    /// Puts an entry there as it is, whatever was there: for damaged logs.
    pub fn put_entry(&self, seq: u64, bytes: impl Into<Bytes>) {
        self.shared().entries.insert(seq, bytes.into());
    }

    /// Takes an entry away.
    pub fn remove_entry(&self, seq: u64) {
        self.shared().entries.remove(&seq);
    }

    /// The numbers of the checkpoints.
    pub fn kept_checkpoints(&self) -> Vec<u64> {
        self.shared().checkpoints.keys().copied().collect()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step: yields, counts, lets arrive what is due, and chooses a fault.
    async fn step(&self, operation: Operation) -> Option<Fault> {
        tokio::task::yield_now().await;
        let mut shared = self.shared();
        shared.steps += 1;
        shared.arrive();
        shared.fault(operation)
    }

    async fn read<T>(
        &self,
        operation: Operation,
        look: impl FnOnce(&Shared) -> T,
    ) -> Result<T, StoreError> {
        match self.step(operation).await {
            None | Some(Fault::Overlooks(_)) => Ok(look(&self.shared())),
            Some(fault) => Err(error(operation, fault)),
        }
    }

    async fn overwrite(
        &self,
        operation: Operation,
        write: impl FnOnce(&mut Shared),
    ) -> Result<(), StoreError> {
        let fault = self.step(operation).await.filter(|fault| !fault.answers());
        if matches!(fault, None | Some(Fault::LostAnswer)) {
            write(&mut self.shared());
        }
        fault.map_or(Ok(()), |fault| Err(error(operation, fault)))
    }
}

impl Shared {
    fn arrive(&mut self) {
        let now = self.steps;
        let under_way = std::mem::take(&mut self.under_way);
        let (due, later): (Vec<_>, Vec<_>) = under_way.into_iter().partition(|(at, ..)| *at <= now);
        self.under_way = later;
        for (_, seq, bytes) in due {
            self.create(seq, bytes);
        }
    }

    fn fault(&mut self, operation: Operation) -> Option<Fault> {
        match self.queued.get_mut(&operation).and_then(VecDeque::pop_front) {
            Some(queued) => queued,
            None => self.choice.as_mut().and_then(|choice| choice(self.steps, operation)),
        }
    }

    fn create(&mut self, seq: u64, bytes: Bytes) -> Created {
        if self.entries.contains_key(&seq) {
            return Created::Exists;
        }
        self.entries.insert(seq, bytes);
        Created::Created
    }
}

fn error(operation: Operation, fault: Fault) -> StoreError {
    let trouble = match fault {
        Fault::LostAnswer | Fault::NeverArrives | Fault::Hangs | Fault::ArrivesLater(_) => {
            Trouble::Unsettled
        }
        Fault::Answers(trouble) => trouble,
        Fault::Overlooks(_) => Trouble::Failed,
    };
    StoreError {
        operation,
        place: "memory".to_owned(),
        trouble,
        message: format!("a fault on request: {fault:?}"),
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        let fault = self.step(Operation::Create).await.filter(|fault| !fault.answers());
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        let mut shared = self.shared();
        match fault {
            None => return Ok(shared.create(seq, bytes)),
            Some(Fault::LostAnswer) => {
                shared.create(seq, bytes);
            }
            Some(Fault::ArrivesLater(steps)) => {
                let at = shared.steps + steps;
                shared.under_way.push((at, seq, bytes));
            }
            Some(Fault::NeverArrives | Fault::Hangs | Fault::Answers(_) | Fault::Overlooks(_)) => {}
        }
        fault.map_or(Ok(Created::Exists), |fault| Err(error(Operation::Create, fault)))
    }

    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(Operation::Get, |shared| shared.entries.get(&seq).cloned()).await
    }

    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        let overlooked = match self.step(Operation::List).await {
            None => None,
            Some(Fault::Overlooks(number)) => Some(number),
            Some(fault) => return Err(error(Operation::List, fault)),
        };
        let shared = self.shared();
        let taken = shared.entries.keys().copied();
        Ok(taken.filter(|number| *number > seq && Some(*number) != overlooked).collect())
    }

    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        self.read(Operation::Checkpoint, |shared| shared.checkpoints.keys().copied().collect())
            .await
    }

    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(Operation::Checkpoint, |shared| shared.checkpoints.get(&seq).cloned()).await
    }

    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.overwrite(Operation::Checkpoint, |shared| {
            shared.checkpoints.insert(seq, bytes);
        })
        .await
    }

    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        self.read(Operation::Beat, |shared| shared.beat.clone()).await
    }

    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.overwrite(Operation::Beat, |shared| shared.beat = Some(bytes)).await
    }

    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.read(Operation::Prepare, |_| ()).await
    }
}
