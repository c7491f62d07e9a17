//! A store whose every call ends: what has no answer in time is a failure of its own.
//!
//! A file system over a network, a frozen disk or a bucket behind a broken line answer nothing,
//! for hours. Whoever waits would look healthy and do nothing. A call that is given up may still
//! be carried out; the log treats it as one whose answer was lost.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::{Created, Lock, Operation, Store, StoreError, Trouble};
use crate::platform::Clock;

/// No call of a store is waited for longer; the services' own retries fit into it in a bad minute.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A store that always answers.
pub(super) struct Bounded {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Bounded {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    async fn within<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let late = self.clock.sleep(ANSWERS_WITHIN);
        futures_util::pin_mut!(call, late);
        match futures_util::future::select(call, late).await {
            futures_util::future::Either::Left((answer, _)) => answer,
            futures_util::future::Either::Right(((), _)) => Err(StoreError {
                operation,
                place: self.store.describe(),
                trouble: Trouble::Unsettled,
                message: format!("no answer within {} s", ANSWERS_WITHIN.as_secs()),
            }),
        }
    }
}

#[async_trait]
impl Store for Bounded {
    fn describe(&self) -> String {
        self.store.describe()
    }
    fn beats_are_free(&self) -> bool {
        self.store.beats_are_free()
    }
    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        self.within(Operation::Create, self.store.create(seq, bytes)).await
    }
    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.within(Operation::Get, self.store.get(seq)).await
    }
    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        self.within(Operation::List, self.store.list_after(seq)).await
    }
    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        self.within(Operation::Checkpoint, self.store.checkpoints()).await
    }
    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.within(Operation::Checkpoint, self.store.get_checkpoint(seq)).await
    }
    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.within(Operation::Checkpoint, self.store.put_checkpoint(seq, bytes)).await
    }
    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        self.within(Operation::Beat, self.store.get_beat()).await
    }
    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.within(Operation::Beat, self.store.put_beat(bytes)).await
    }
    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.within(Operation::Prepare, self.store.prepare_to_write()).await
    }
    async fn try_promise(&self) -> Result<(), StoreError> {
        self.within(Operation::Prepare, self.store.try_promise()).await
    }
    async fn take_lock(&self) -> Result<Lock, StoreError> {
        self.within(Operation::Lock, self.store.take_lock()).await
    }
    async fn look_at_lock(&self) -> Result<Lock, StoreError> {
        self.within(Operation::Lock, self.store.look_at_lock()).await
    }
    async fn drop_lock(&self) {
        self.store.drop_lock().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::super::testing::TestClock;
    use super::*;

    /// A store that never answers a reading.
    struct Hung(MemoryStore);

    #[async_trait]
    impl Store for Hung {
        fn describe(&self) -> String {
            "hung".to_owned()
        }
        async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
            self.0.create(seq, bytes).await
        }
        async fn get(&self, _: u64) -> Result<Option<Bytes>, StoreError> {
            std::future::pending().await
        }
        async fn list_after(&self, _: u64) -> Result<Vec<u64>, StoreError> {
            std::future::pending().await
        }
        async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
            self.0.checkpoints().await
        }
        async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
            self.0.get_checkpoint(seq).await
        }
        async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
            self.0.put_checkpoint(seq, bytes).await
        }
        async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
            self.0.get_beat().await
        }
        async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
            self.0.put_beat(bytes).await
        }
    }

    #[tokio::test]
    async fn what_does_not_answer_is_a_failure_in_time() {
        let clock = TestClock::new();
        let began = clock.shared().now();
        let bounded = Bounded::new(Arc::new(Hung(MemoryStore::new())), clock.shared());
        let error = bounded.list_after(0).await.unwrap_err();
        assert_eq!((error.trouble, error.operation), (Trouble::Unsettled, Operation::List));
        assert!(error.to_string().contains("no answer within 30 s"), "{error}");
        assert_eq!((clock.shared().now() - began).num_seconds(), 30);
        assert_eq!(bounded.checkpoints().await.unwrap(), Vec::<u64>::new());
    }
}
