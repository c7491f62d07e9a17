//! Entries as objects: `s3://bucket/prefix/log/…`, through the platform's object calls.
//!
//! An entry is created with `If-None-Match: *`. A store that does not know that header
//! would overwrite entries in silence, so before the first write of a process a probe is
//! created twice: the second must find it there. One that looks and then writes is found out by
//! several creates at the same moment. The probes are two objects that stay, so that a role
//! without the right to delete leaves no litter.
//!
//! What it never does: write into any other key, or repeat a create whose effect is unknown.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::{Created, Operation, Store, StoreError, Trouble, file_name, number_of};
use crate::domain::ErrorClass;
use crate::platform::{Listing, Platform, PlatformError};

/// Tries for the probe: twice is the proof, the rest is for collisions and lost answers.
const PROBE_TRIES: u32 = 4;
/// Creates of one key at the same moment.
const PROBES_AT_ONCE: u32 = 4;
/// What the probe holds, for people who find it.
const PROBE_BODY: &str =
    "gapmend asks here, before it writes, whether this store refuses to overwrite.\n";

/// A store in a bucket.
pub struct S3Store {
    platform: Arc<dyn Platform>,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl std::fmt::Debug for S3Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("S3Store").field(&self.describe()).finish()
    }
}

impl S3Store {
    /// A store under `prefix`, which has no slashes at its ends and may be empty.
    pub fn new(platform: Arc<dyn Platform>, bucket: &str, prefix: &str) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { platform, bucket: bucket.to_owned(), prefix }
    }

    fn log_key(&self, seq: u64) -> String {
        format!("{}log/{}", self.prefix, file_name(seq))
    }

    fn checkpoint_key(&self, seq: u64) -> String {
        format!("{}checkpoint/{}", self.prefix, file_name(seq))
    }

    fn beat_key(&self) -> String {
        format!("{}acting.json", self.prefix)
    }

    fn probe_key(&self, name: &str) -> String {
        format!("{}probe/{name}.txt", self.prefix)
    }

    async fn numbers(
        &self,
        folder: &str,
        after: Option<u64>,
        operation: Operation,
    ) -> Result<Vec<u64>, StoreError> {
        let prefix = format!("{}{folder}/", self.prefix);
        let listing = Listing {
            bucket: self.bucket.clone(),
            prefix: prefix.clone(),
            start_after: after.map(|seq| format!("{prefix}{}", file_name(seq))),
            ..Listing::default()
        };
        let mut numbers = Vec::new();
        let mut page = |objects: Vec<crate::platform::ObjectInfo>| {
            numbers.extend(
                objects.iter().filter_map(|object| number_of(object.key.strip_prefix(&prefix)?)),
            );
        };
        self.platform
            .list_objects(&listing, &mut page)
            .await
            .map_err(|error| self.error(operation, &error))?;
        numbers.retain(|seq| after.is_none_or(|after| *seq > after));
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn read(&self, key: &str, operation: Operation) -> Result<Option<Bytes>, StoreError> {
        let read = self.platform.get_object(&self.bucket, key).await;
        read.map_err(|error| self.error(operation, &error))
    }

    async fn put(&self, key: &str, body: Bytes, operation: Operation) -> Result<(), StoreError> {
        let put = self.platform.put_object(&self.bucket, key, body).await;
        put.map_err(|error| self.error(operation, &error))
    }

    fn error(&self, operation: Operation, error: &PlatformError) -> StoreError {
        StoreError {
            operation,
            place: self.describe(),
            trouble: trouble_of(error.class),
            message: error.to_string(),
        }
    }
}

#[async_trait]
impl Store for S3Store {
    fn describe(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix.trim_end_matches('/'))
    }

    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        let created = self.platform.create_object(&self.bucket, &self.log_key(seq), bytes).await;
        created.map_err(|error| self.error(Operation::Create, &error))
    }

    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(&self.log_key(seq), Operation::Get).await
    }

    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        self.numbers("log", Some(seq), Operation::List).await
    }

    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        self.numbers("checkpoint", None, Operation::Checkpoint).await
    }

    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(&self.checkpoint_key(seq), Operation::Checkpoint).await
    }

    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.put(&self.checkpoint_key(seq), bytes, Operation::Checkpoint).await
    }

    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        self.read(&self.beat_key(), Operation::Beat).await
    }

    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.put(&self.beat_key(), bytes, Operation::Beat).await
    }

    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.create_twice().await?;
        self.create_at_once().await
    }

    async fn try_promise(&self) -> Result<(), StoreError> {
        self.prepare_to_write().await
    }
}

impl S3Store {
    /// `Exists` is the proof, at whichever try it comes: only a store that looks says it.
    async fn create_twice(&self) -> Result<(), StoreError> {
        let mut created = 0;
        let mut last_error = None;
        for _ in 0..PROBE_TRIES {
            match self.probe(&self.probe_key("create-if-absent")).await {
                Ok(Created::Exists) => return Ok(()),
                Ok(Created::Created) if created == 0 => created += 1,
                Ok(Created::Created) => return Err(StoreError::overwrites(self.describe())),
                Err(error) if error.class.is_transient() => {
                    last_error = Some(self.error(Operation::Prepare, &error));
                }
                Err(error) => return Err(self.error(Operation::Prepare, &error)),
            }
        }
        Err(last_error.unwrap_or_else(|| StoreError::overwrites(self.describe())))
    }

    /// A store that looks first and writes later tells two that ask at the same moment that both
    /// created it. Shown once for each ledger, for the object stays.
    async fn create_at_once(&self) -> Result<(), StoreError> {
        let key = self.probe_key("create-at-once");
        if self.read(&key, Operation::Prepare).await?.is_some() {
            return Ok(());
        }
        let tries = (0..PROBES_AT_ONCE).map(|_| self.probe(&key));
        let answers = futures_util::future::join_all(tries).await;
        let created =
            answers.iter().filter(|answer| matches!(answer, Ok(Created::Created))).count();
        if created > 1 { Err(StoreError::overwrites_at_once(self.describe())) } else { Ok(()) }
    }

    async fn probe(&self, key: &str) -> Result<Created, PlatformError> {
        let body = Bytes::from_static(PROBE_BODY.as_bytes());
        self.platform.create_object(&self.bucket, key, body).await
    }
}

fn trouble_of(class: ErrorClass) -> Trouble {
    match class {
        ErrorClass::Throttled | ErrorClass::Conflict => Trouble::Busy,
        ErrorClass::Denied => Trouble::Denied,
        ErrorClass::NotFound | ErrorClass::Invalid => Trouble::Failed,
        ErrorClass::Server | ErrorClass::Timeout | ErrorClass::Transport => Trouble::Unsettled,
    }
}

#[cfg(test)]
mod tests;
