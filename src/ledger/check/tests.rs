//! Logs that are damaged in every way that a disk, a bucket or a person can: each is named, none
//! is waited for, and what an operator gave up is passed over by all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::*;
use crate::domain::RunOutcome;
use crate::ledger::memory::{Fault, MemoryStore};
use crate::ledger::store::{Operation, Store, Trouble};
use crate::ledger::testing::{TestClock, asked, passed, run_ended, run_started};
use crate::ledger::{Appended, Ledger};

async fn open(store: impl Store + 'static) -> Ledger {
    Ledger::open(Arc::new(store), TestClock::new().shared(), "a").await.unwrap()
}

/// A log of so many entries, the first of which is a run's beginning.
async fn log(entries: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let mut ledger = open(store.clone()).await;
    ledger.act("run").await.unwrap();
    assert_eq!(ledger.append(vec![run_started(1)]).await.unwrap(), Appended::Recorded(2));
    for number in 2..entries {
        let appended = ledger.append(vec![passed(&number.to_string())]).await.unwrap();
        assert!(matches!(appended, Appended::Recorded(_)));
    }
    store
}

fn span(from: u64, to: u64) -> EntrySpan {
    EntrySpan { from, to }
}

/// A store whose requests need permits, as those to AWS do, and take a moment.
struct Narrow(MemoryStore, Semaphore);

#[async_trait]
impl Store for Narrow {
    fn describe(&self) -> String {
        "narrow".to_owned()
    }
    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        self.0.create(seq, bytes).await
    }
    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        let permit = self.1.acquire().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let got = self.0.get(seq).await;
        drop(permit);
        got
    }
    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        let _permit = self.1.acquire().await;
        self.0.list_after(seq).await
    }
    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        Ok(Vec::new())
    }
    async fn get_checkpoint(&self, _: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }
    async fn put_checkpoint(&self, _: u64, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }
    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }
    async fn put_beat(&self, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_hole_is_named_however_few_requests_may_be_under_way() {
    for hole in [1, 2, 17, 40, 99] {
        let store = log(100).await;
        store.remove_entry(hole);
        let narrow = Narrow(store, Semaphore::new(2));
        let opened = tokio::time::timeout(Duration::from_mins(1), open(narrow));
        let ledger = opened.await.expect("it is not waited for");
        assert_eq!(ledger.state().seq, hole - 1, "the sound part is read");
        assert!(ledger.refusal().unwrap().in_words().contains(&format!("entry {hole} is missing")));
    }
}

#[tokio::test]
async fn a_check_names_all_that_is_wrong() {
    let store = log(60).await;
    for seq in [5, 6, 30, 60] {
        store.remove_entry(seq);
    }
    store.put_entry(9, Bytes::from_static(b"\0\0\0\0"));
    let mut flipped = store.entries()[&12].to_vec();
    flipped[200] ^= 4;
    store.put_entry(12, flipped);
    let check = open(store.clone()).await.check().await.unwrap();
    assert_eq!((check.entries, check.last), (56, 59), "nothing says that there was a 60th");
    assert_eq!(check.losses(), [span(5, 6), span(9, 9), span(12, 12), span(30, 30)]);
    assert_eq!(check.open, ["run liberator/2022-06-01/1 (stage load)"]);
}

#[tokio::test]
async fn what_is_lost_at_the_end_is_told_by_a_checkpoint() {
    let store = log(60).await;
    for seq in 40..=60 {
        store.remove_entry(seq);
    }
    let mut ledger = open(store.clone()).await;
    let check = ledger.check().await.unwrap();
    assert_eq!(check.losses(), [span(40, 50)]);
    assert_eq!(ledger.acknowledge(&check, asked()).await.unwrap(), 51);
    let after = open(store).await;
    assert_eq!((after.refusal(), after.state().seq), (None, 51));
}

#[tokio::test]
async fn an_entry_that_lost_its_predecessor_is_lost_with_it() {
    let store = log(4).await;
    let mut ledger = open(store.clone()).await;
    ledger.act("run").await.unwrap();
    let ended = run_ended(1, RunOutcome::Failed);
    assert_eq!(ledger.append(vec![ended]).await.unwrap(), Appended::Recorded(6));
    store.remove_entry(2);
    let check = open(store).await.check().await.unwrap();
    assert_eq!(check.losses(), [span(2, 2), span(6, 6)]);
    assert_eq!(check.faults[1].what, What::Misfit("no run is in progress"));
}

#[tokio::test]
async fn what_an_operator_gave_up_is_passed_over_and_nothing_that_may_run_is_repeated() {
    let store = log(60).await;
    let mut daemon = open(store.clone()).await;
    daemon.act("run").await.unwrap();
    for seq in [7, 8, 31] {
        store.remove_entry(seq);
    }
    for kept in store.kept_checkpoints() {
        store.put_checkpoint(kept, Bytes::from_static(b"gone")).await.unwrap();
    }
    let mut person = open(store.clone()).await;
    let check = person.check().await.unwrap();
    let seq = person.acknowledge(&check, asked()).await.unwrap();
    assert_eq!(seq, 62);
    for _ in 0..2 {
        let ledger = open(store.clone()).await;
        assert_eq!((ledger.refusal(), ledger.state().seq), (None, 62));
        let run = &ledger.state().runs[0];
        let end = run.end.as_ref().unwrap();
        assert_eq!(
            (end.outcome, end.repeat),
            (RunOutcome::Cancelled, crate::ledger::Repeat::Unsafe)
        );
        let liberator = ledger.state().dataset("liberator");
        assert!(liberator.loss_of(run.date).is_some(), "it is quarantined");
        assert_eq!(ledger.check().await.unwrap().faults, []);
    }
    daemon.refresh().await.unwrap();
    assert!(!daemon.is_acting(), "who acted reads it, and stands by");
    assert_eq!(
        daemon.standing_by_may_take_over().await.unwrap(),
        Some(crate::ledger::TakeOver::Left)
    );
    daemon.act("run").await.unwrap();
    let mut other = open(store.clone()).await;
    assert_eq!(other.state().acting.epoch, daemon.state().acting.epoch, "one history");
    // A second loss, after the first.
    store.remove_entry(63);
    assert!(matches!(daemon.refresh().await, Err(LedgerError::Shortened { seq: 63, .. })));
    other.refresh().await.unwrap_err();
}

#[tokio::test]
async fn a_daemon_that_stopped_at_a_hole_goes_on_when_it_is_given_up() {
    let store = log(10).await;
    store.remove_entry(6);
    let mut daemon = open(store.clone()).await;
    assert!(daemon.refresh().await.is_err());
    let gets = store.steps();
    assert!(daemon.refresh().await.is_err());
    assert!(store.steps() - gets < 12, "what was searched once is not read again");
    let mut person = open(store).await;
    let check = person.check().await.unwrap();
    person.acknowledge(&check, asked()).await.unwrap();
    daemon.refresh().await.unwrap();
    assert_eq!((daemon.refusal(), daemon.state().seq), (None, 11));
}

#[tokio::test]
async fn what_cannot_be_read_or_is_newer_is_never_given_up() {
    let store = log(5).await;
    let newer = serde_json::json!({"v": 2, "seq": 6, "nonce": "n"}).to_string();
    store.put_entry(6, newer);
    let ledger = open(store.clone()).await;
    store.queue(Operation::Get, None);
    store.queue(Operation::Get, Fault::Answers(Trouble::Denied));
    let check = ledger.check().await.unwrap();
    let kinds: Vec<_> = check.faults.iter().map(|fault| fault.entries.from).collect();
    assert_eq!((kinds.len(), kinds[1], check.losses()), (2, 6, vec![]));
    assert!(matches!(check.no_loss().unwrap().what, What::Unreadable(_)));
    assert!(matches!(check.faults[1].what, What::Newer(_)));
}

#[tokio::test]
async fn a_place_that_was_emptied_or_exchanged_is_not_written_to() {
    let store = log(10).await;
    let mut daemon = open(store.clone()).await;
    daemon.act("run").await.unwrap();
    let (kept, other) = (store.entries(), log(11).await);
    for seq in 1..=11 {
        store.remove_entry(seq);
    }
    assert!(matches!(daemon.refresh().await, Err(LedgerError::Shortened { seq: 11, .. })));
    assert!(daemon.append(vec![passed("x")]).await.is_err());
    assert_eq!(store.entries().len(), 0, "no hole is made");
    for (seq, bytes) in other.entries() {
        store.put_entry(seq, bytes);
    }
    assert!(matches!(daemon.refresh().await, Err(LedgerError::Exchanged { seq: 11, .. })));
    for (seq, bytes) in kept {
        store.put_entry(seq, bytes);
    }
    daemon.refresh().await.unwrap();
    assert!(daemon.is_acting(), "it is back, and so are we");
}
