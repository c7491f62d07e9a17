//! The log of calls: what was asked at the door, for tests and for the curious.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// How many calls are remembered: a night of a daemon, many times over.
const CALLS_LIMIT: usize = 100_000;

/// One call that came to the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireCall {
    /// The service as its endpoint is called: `s3`, `glue`, `ecs`, `events`, `logs`, `scheduler`, `rds`, `sts`.
    pub service: &'static str,
    /// The operation as AWS names it, e.g. `GetPartitions`.
    pub operation: String,
    /// What it is about, as far as one name says it: `bucket/key`, `database.table`, a rule.
    pub target: String,
    /// What a policy may ask about it besides: `s3:prefix`, `ecs:cluster`, …
    pub context: BTreeMap<&'static str, String>,
    /// In the World's time.
    pub at: DateTime<Utc>,
    /// The HTTP status; `None` when the client never got an answer.
    pub status: Option<u16>,
    /// The error's code, when it was refused.
    pub code: Option<String>,
}

/// The calls, oldest first.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<VecDeque<WireCall>>);

impl Calls {
    /// Remembers a call, and forgets the oldest beyond the limit.
    pub(super) fn push(&self, call: WireCall) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == CALLS_LIMIT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    /// All that are remembered.
    pub(super) fn all(&self) -> Vec<WireCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
