use std::sync::Arc;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::ledger::directory::DirectoryStore;
use crate::ledger::memory::{Fault, MemoryStore};
use crate::ledger::store::{Operation, Store, Trouble};
use crate::ledger::testing::{TestClock, drive, passed};

async fn open(store: &(impl Store + Clone + 'static), clock: &TestClock, writer: &str) -> Ledger {
    let mut ledger = Ledger::open(Arc::new(store.clone()), clock.shared(), writer).await.unwrap();
    // Every ledger of a test lives in one process; most tests are about two machines.
    ledger.process.host = writer.to_owned();
    ledger
}

fn is_stand_by(error: &LedgerError) -> bool {
    matches!(error, LedgerError::StandBy { .. })
}

#[tokio::test]
async fn the_newest_epoch_acts_and_an_older_one_writes_nothing() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut old = open(&store, &clock, "old").await;
    assert!(!old.is_acting());
    assert_eq!(old.act("run").await.unwrap(), 1);
    assert!(old.is_acting());
    let mut new = open(&store, &clock, "new").await;
    assert_eq!(new.act("heal").await.unwrap(), 2);

    // The older one does not know yet, and learns it by losing.
    assert!(old.is_acting());
    let error = old.append(vec![passed("x")]).await.unwrap_err();
    let known = LedgerError::StandBy { ours: 1, newest: 2, writer: Some("new".to_owned()) };
    assert_eq!(error, known);
    let steps = store.steps();
    assert!(is_stand_by(&old.append(vec![passed("x")]).await.unwrap_err()));
    assert_eq!(store.steps(), steps, "it does not even ask");
    assert!(!old.is_acting());
    assert!(!old.still_mine().await.unwrap());
    assert!(!old.clear_for_effect().await.unwrap());
    assert_eq!(store.entries().len(), 2);
}

#[tokio::test]
async fn who_stands_by_takes_over_when_the_other_leaves() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    let mut heal = open(&store, &clock, "heal").await;
    daemon.act("run").await.unwrap();
    heal.act("heal").await.unwrap();
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), None);
    heal.leave().await.unwrap();
    assert!(!heal.is_acting());
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), Some(TakeOver::Left));
    assert_eq!(daemon.act("run").await.unwrap(), 3);
    assert!(daemon.is_acting());
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), None);
}

#[tokio::test]
async fn who_was_overtaken_leaves_without_a_word() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut old = open(&store, &clock, "old").await;
    let mut new = open(&store, &clock, "new").await;
    old.act("run").await.unwrap();
    new.act("run").await.unwrap();
    old.leave().await.unwrap();
    new.refresh().await.unwrap();
    assert!(new.is_acting());
    assert_eq!(store.entries().len(), 2);
}

#[tokio::test]
async fn leaving_is_said_even_when_requests_come_between() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.act("run").await.unwrap();
    let mut person = open(&store, &clock, "person").await;
    let asked = crate::ledger::testing::asked();
    person.append_request("a", crate::ledger::Request::Scan, asked).await.unwrap();
    daemon.leave().await.unwrap();
    assert_eq!(open(&store, &clock, "x").await.state().acting.writer, None);
}

#[tokio::test]
async fn nobody_acts_in_a_new_ledger() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut ledger = open(&store, &clock, "a").await;
    assert_eq!(ledger.someone_else_acts().await.unwrap(), None);
    assert_eq!(ledger.standing_by_may_take_over().await.unwrap(), Some(TakeOver::Left));
}

#[tokio::test]
async fn a_fresh_beat_means_that_somebody_acts_and_a_stale_one_does_not() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.act("run").await.unwrap();
    for _ in 0..10 {
        clock.pass(TimeDelta::minutes(4));
        daemon.beat().await.unwrap();
    }
    clock.pass(TimeDelta::seconds(14 * 60 + 59));
    let mut heal = open(&store, &clock, "heal").await;
    let who = heal.someone_else_acts().await.unwrap().unwrap();
    assert_eq!((who.epoch, who.writer.as_str()), (1, "daemon"));
    assert!(who.last_beat > who.since);
    clock.pass(TimeDelta::seconds(1));
    assert_eq!(heal.someone_else_acts().await.unwrap(), None);
    assert_eq!(daemon.someone_else_acts().await.unwrap(), None, "we are nobody else");
}

#[tokio::test]
async fn who_just_began_acts_although_its_beat_was_lost() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    store.queue(Operation::Beat, Fault::Answers(Trouble::Denied));
    daemon.act("run").await.unwrap();
    let mut heal = open(&store, &clock, "heal").await;
    let who = heal.someone_else_acts().await.unwrap().unwrap();
    assert_eq!(who.last_beat, None);
    clock.pass(TimeDelta::minutes(15));
    assert_eq!(heal.someone_else_acts().await.unwrap(), None);
}

#[tokio::test]
async fn a_beat_of_an_older_epoch_says_nothing_about_the_newer() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut old = open(&store, &clock, "old").await;
    let mut new = open(&store, &clock, "new").await;
    old.act("run").await.unwrap();
    new.act("run").await.unwrap();
    clock.pass(TimeDelta::minutes(20));
    // The older one has not noticed.
    old.beat().await.unwrap();
    let mut third = open(&store, &clock, "third").await;
    assert_eq!(third.someone_else_acts().await.unwrap(), None);
}

#[tokio::test]
async fn beats_are_as_rare_as_named() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.act("run").await.unwrap();
    let first = store.get_beat().await.unwrap();
    clock.pass(TimeDelta::seconds(BEAT_EVERY_SECONDS - 1));
    daemon.beat().await.unwrap();
    assert_eq!(store.get_beat().await.unwrap(), first);
    clock.pass(TimeDelta::seconds(1));
    daemon.beat().await.unwrap();
    assert_ne!(store.get_beat().await.unwrap(), first);
    let beat: Beat = serde_json::from_slice(&store.get_beat().await.unwrap().unwrap()).unwrap();
    assert_eq!((beat.epoch, beat.writer.as_str()), (1, "daemon"));
}

#[tokio::test]
async fn silence_is_measured_by_the_watchers_own_clock() {
    let store = MemoryStore::new();
    let (clock, fast) = (TestClock::new(), TestClock::new());
    fast.pass(TimeDelta::hours(5));
    let mut standby = open(&store, &clock, "standby").await;
    let mut daemon = open(&store, &fast, "daemon").await;
    daemon.act("run").await.unwrap();
    for _ in 0..5 {
        for clock in [&clock, &fast] {
            clock.pass(TimeDelta::minutes(10));
        }
        daemon.beat().await.unwrap();
        assert_eq!(standby.standing_by_may_take_over().await.unwrap(), None);
    }
    clock.pass(TimeDelta::minutes(14));
    assert_eq!(standby.standing_by_may_take_over().await.unwrap(), None);
    clock.pass(TimeDelta::minutes(1));
    let why = standby.standing_by_may_take_over().await.unwrap();
    assert_eq!(why, Some(TakeOver::Silent));
}

#[tokio::test]
async fn a_torn_beat_is_no_beat() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.act("run").await.unwrap();
    store.put_beat(Bytes::from_static(b"{\"epoch\": 1, ")).await.unwrap();
    let mut heal = open(&store, &clock, "heal").await;
    assert!(heal.someone_else_acts().await.unwrap().is_some(), "its entry is fresh");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_is_killed_before_its_first_beat_is_not_waited_for() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.process = Process::this();
    daemon.process.process_start -= 1;
    store.queue(Operation::Beat, Fault::NeverArrives);
    daemon.act("run").await.unwrap();
    let mut heal = open(&store, &clock, "heal").await;
    assert_eq!(heal.someone_else_acts().await.unwrap(), None);
    let why = heal.standing_by_may_take_over().await.unwrap();
    assert_eq!(why, Some(TakeOver::ProcessDied));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dead_process_of_this_machine_does_not_act() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut daemon = open(&store, &clock, "daemon").await;
    daemon.process = Process::this();
    daemon.process.process_start -= 1;
    daemon.act("run").await.unwrap();
    let mut heal = open(&store, &clock, "heal").await;
    assert_eq!(heal.someone_else_acts().await.unwrap(), None);
    let why = heal.standing_by_may_take_over().await.unwrap();
    assert_eq!(why, Some(TakeOver::ProcessDied));
}

#[tokio::test]
async fn a_freed_lock_means_gone_but_only_if_it_was_held() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let handle = || DirectoryStore::new(directory.path());
    let mut daemon = open(&handle(), &clock, "daemon").await;
    daemon.act("run").await.unwrap();
    let mut standby = open(&handle(), &clock, "standby").await;
    assert!(standby.someone_else_acts().await.unwrap().is_some());
    assert_eq!(standby.standing_by_may_take_over().await.unwrap(), None);

    // Taken over by force: the lock is still the older one's, so its being free says nothing.
    let mut heal = open(&handle(), &clock, "heal").await;
    heal.act("heal").await.unwrap();
    assert!(!heal.watch.locked);
    daemon.refresh().await.unwrap();
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), None);
    assert!(standby.someone_else_acts().await.unwrap().is_some());

    // The daemon let go of it when it learned, so the next beat takes it.
    heal.beat().await.unwrap();
    assert!(heal.watch.locked);
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), None);
    drop(heal);
    assert_eq!(standby.someone_else_acts().await.unwrap(), None);
    assert_eq!(daemon.standing_by_may_take_over().await.unwrap(), Some(TakeOver::LockFreed));
}

/// Acts, works while it may, and leaves; gives the epochs in which it wrote.
async fn work(store: MemoryStore, name: String) -> Vec<u64> {
    let clock = TestClock::new();
    let mut ledger = Ledger::open(Arc::new(store), clock.shared(), name.as_str()).await.unwrap();
    let epoch = ledger.act("run").await.unwrap();
    let mut wrote = Vec::new();
    for _ in 0..4 {
        match ledger.append(vec![passed(&name)]).await {
            Ok(Appended::Recorded(_)) => wrote.push(epoch),
            Ok(Appended::Behind) => {}
            Err(error) => {
                assert!(is_stand_by(&error), "{error}");
                assert!(!ledger.is_acting());
            }
        }
    }
    ledger.leave().await.unwrap();
    wrote
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_epoch_writes_after_a_newer_one_was_taken(
        writers in 2..4_usize,
        order in prop::collection::vec(0..6_usize, 0..200),
    ) {
        let store = MemoryStore::new();
        let futures = (0..writers)
            .map(|writer| Box::pin(work(store.clone(), format!("w{writer}"))) as _)
            .collect();
        drive(futures, &order);
        let mut newest = 0;
        for (seq, bytes) in store.entries() {
            let entry: crate::ledger::Entry = serde_json::from_slice(&bytes).unwrap();
            if matches!(entry.events[..], [Event::Acting { .. }]) {
                prop_assert_eq!(entry.epoch, newest + 1, "entry {}", seq);
                newest = entry.epoch;
            }
            prop_assert_eq!(entry.epoch, newest, "entry {}", seq);
        }
        prop_assert_eq!(newest, writers as u64);
    }
}
