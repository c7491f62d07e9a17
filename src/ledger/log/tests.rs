use std::sync::Arc;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::ledger::memory::{Fault, MemoryStore};
use crate::ledger::store::Operation;
use crate::ledger::testing::{
    TestClock, any_event, asked, assert_one_log, details, drive, insist, passed,
};

async fn open(store: &MemoryStore, writer: &str) -> Ledger {
    try_open(store, writer).await.unwrap()
}

async fn try_open(store: &MemoryStore, writer: &str) -> Result<Ledger, LedgerError> {
    Ledger::open(Arc::new(store.clone()), TestClock::new().shared(), writer).await
}

/// Why nothing may be written to it.
async fn refused(store: &MemoryStore) -> LedgerError {
    open(store, "a").await.refusal().unwrap().clone()
}

async fn filled(entries: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "filler").await;
    for number in 0..entries {
        record(&mut ledger, &number.to_string()).await;
    }
    store
}

async fn record(ledger: &mut Ledger, detail: &str) -> u64 {
    match ledger.append(vec![passed(detail)]).await.unwrap() {
        Appended::Recorded(seq) => seq,
        Appended::Behind => panic!("nobody else writes here"),
    }
}

#[tokio::test]
async fn an_empty_ledger_begins_with_entry_one() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    assert_eq!(ledger.state(), &State::default());
    assert_eq!(record(&mut ledger, "first").await, 1);
    assert_eq!(open(&store, "b").await.state(), ledger.state());
}

#[tokio::test]
async fn whether_it_can_be_written_is_asked_without_writing() {
    let store = filled(3).await;
    let before = store.entries();
    let ledger = open(&store, "a").await;
    ledger.try_writing().await.unwrap();
    assert_eq!(store.entries(), before);
    store.queue(Operation::Create, Fault::Answers(Trouble::Denied));
    assert!(ledger.try_writing().await.unwrap_err().is_denied());
    open(&MemoryStore::new(), "a").await.try_writing().await.unwrap();
}

#[tokio::test]
async fn who_is_behind_reads_the_tail_and_decides_again() {
    let store = MemoryStore::new();
    let (mut a, mut b) = (open(&store, "a").await, open(&store, "b").await);
    record(&mut a, "a").await;
    assert_eq!(b.append(vec![passed("b")]).await.unwrap(), Appended::Behind);
    assert_eq!(details(&b), ["a"]);
    assert_eq!(record(&mut b, "b").await, 2);
}

#[tokio::test]
async fn a_lost_answer_to_our_own_success_is_a_success() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    store.queue(Operation::Create, Fault::LostAnswer);
    assert_eq!(record(&mut ledger, "once").await, 1);
    assert_eq!(store.entries().len(), 1);
    assert_eq!(details(&ledger), ["once"]);
}

#[tokio::test]
async fn a_retry_that_finds_our_own_first_try_is_a_success() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    store.queue(Operation::Create, Fault::LostAnswer);
    store.queue(Operation::Get, Fault::NeverArrives);
    assert_eq!(record(&mut ledger, "once").await, 1);
}

#[tokio::test]
async fn a_lost_answer_to_somebody_elses_success_is_behind() {
    let store = MemoryStore::new();
    let (mut a, mut b) = (open(&store, "a").await, open(&store, "b").await);
    record(&mut a, "a").await;
    store.queue(Operation::Create, Fault::LostAnswer);
    assert_eq!(b.append(vec![passed("b")]).await.unwrap(), Appended::Behind);
    assert_eq!(details(&b), ["a"]);
}

#[tokio::test]
async fn a_collision_or_a_request_that_never_arrives_is_tried_again() {
    for fault in [Fault::Answers(Trouble::Busy), Fault::NeverArrives] {
        let store = MemoryStore::new();
        let mut ledger = open(&store, "a").await;
        store.queue(Operation::Create, fault);
        store.queue(Operation::Create, fault);
        assert_eq!(record(&mut ledger, "once").await, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn tries_end_and_the_next_append_settles_what_happened() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    store.choose_faults(|_, operation| {
        matches!(operation, Operation::Create).then_some(Fault::ArrivesLater(30))
    });
    let error = ledger.append(vec![passed("late")]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unsettled { seq: 1, .. }), "{error}");
    assert!(ledger.refusal().is_none());
    store.heal();
    for _ in 0..30 {
        store.list_after(0).await.unwrap();
    }
    assert_eq!(ledger.append(vec![passed("next")]).await.unwrap(), Appended::Behind);
    assert_eq!(details(&ledger), ["late"]);
}

#[tokio::test]
async fn an_append_that_is_dropped_half_way_is_found_by_the_next() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    {
        let mut append = Box::pin(ledger.append(vec![passed("dropped")]));
        for _ in 0..2 {
            assert!(futures_util::poll!(append.as_mut()).is_pending());
        }
        store.queue(Operation::Create, Fault::LostAnswer);
        assert!(futures_util::poll!(append.as_mut()).is_pending());
    }
    assert_eq!(store.entries().len(), 1);
    assert_eq!(ledger.append(vec![passed("next")]).await.unwrap(), Appended::Behind);
    assert_eq!(details(&ledger), ["dropped"]);
}

#[tokio::test]
async fn a_gap_in_the_numbers_is_an_error_that_names_the_entry() {
    let store = filled(5).await;
    store.remove_entry(3);
    let error = refused(&store).await;
    let gap = ReplayError::Gap { expected: 3, found: 4 };
    assert_eq!(error, LedgerError::Replay { place: "memory".to_owned(), source: gap });
    assert!(error.hint().contains("restore"));
}

#[tokio::test]
async fn a_gap_that_opens_later_stops_all_writing_until_it_is_closed() {
    let store = filled(2).await;
    let mut reader = open(&store, "a").await;
    let mut writer = open(&store, "b").await;
    record(&mut writer, "3").await;
    record(&mut writer, "4").await;
    let third = store.entries()[&3].clone();
    store.remove_entry(3);
    assert!(reader.refresh().await.is_err());
    assert!(reader.append(vec![passed("x")]).await.is_err());
    assert_eq!(store.entries().len(), 3);
    store.put_entry(3, third);
    reader.refresh().await.unwrap();
    assert_eq!(record(&mut reader, "5").await, 5);
}

#[tokio::test]
async fn a_listing_that_overlooks_an_entry_is_not_a_gap() {
    let store = filled(5).await;
    store.queue(Operation::List, Fault::Overlooks(3));
    assert_eq!(open(&store, "a").await.state().seq, 5);
}

#[tokio::test]
async fn who_is_behind_moves_on_even_when_the_listing_is_late() {
    let store = MemoryStore::new();
    let (mut a, mut b) = (open(&store, "a").await, open(&store, "b").await);
    record(&mut a, "a").await;
    store.queue(Operation::List, Fault::Overlooks(1));
    assert_eq!(b.append(vec![passed("b")]).await.unwrap(), Appended::Behind);
    assert_eq!(details(&b), ["a"]);
}

#[tokio::test]
async fn a_damaged_entry_is_an_error_that_names_it() {
    let store = filled(3).await;
    store.put_entry(2, &b"{\"v\": 1, \"seq"[..]);
    let error = refused(&store).await;
    assert!(matches!(error, LedgerError::Damaged { seq: 2, .. }), "{error}");
    assert!(error.to_string().contains("entry 2"), "{error}");
}

#[tokio::test]
async fn a_newer_gapmends_entries_can_be_looked_at_but_not_followed() {
    for (from, to) in [("\"passed\"", "\"pondered\""), ("\"v\": 1", "\"v\": 2")] {
        let store = filled(3).await;
        let third = codec::entry_from_bytes(3, &store.entries()[&3]).unwrap();
        let third = serde_json::to_string_pretty(&third).unwrap();
        store.put_entry(3, third.replace(from, to));
        let mut ledger = open(&store, "a").await;
        assert_eq!(ledger.state().seq, 2);
        let refusal = ledger.refusal().unwrap().clone();
        assert!(refusal.hint().contains("upgrade"), "{refusal}");
        assert_eq!(ledger.act("run").await.unwrap_err(), refusal);
        assert_eq!(ledger.append(vec![passed("x")]).await.unwrap_err(), refusal);
        let request = ledger.append_request("liberator", Request::Scan, asked()).await;
        assert_eq!(request.unwrap_err(), refusal);
        assert_eq!(store.entries().len(), 3);
    }
}

#[tokio::test]
async fn events_that_make_no_sense_are_never_written() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    let closed = Event::HoldClosed {
        hold: "none".to_owned(),
        detail: String::new(),
        fired: Vec::new(),
        refused: false,
    };
    let error = ledger.append(vec![passed("fine"), closed]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Nonsense { .. }), "{error}");
    assert_eq!(ledger.state(), &State::default());
    assert!(store.entries().is_empty());
    assert_eq!(record(&mut ledger, "fine").await, 1);
}

#[tokio::test]
async fn an_entry_that_is_too_large_is_never_written() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    let huge = "x".repeat(ENTRY_LIMIT_BYTES);
    assert!(ledger.append(vec![passed(&huge)]).await.is_err());
    assert!(store.entries().is_empty());
}

#[tokio::test]
async fn a_poisoned_store_ends_all_writing() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    store.queue(Operation::Create, Fault::Answers(Trouble::Poisoned));
    let error = ledger.append(vec![passed("x")]).await.unwrap_err();
    assert!(error.is_poisoned());
    let steps = store.steps();
    assert!(ledger.append(vec![passed("x")]).await.unwrap_err().is_poisoned());
    assert_eq!(store.steps(), steps, "the store is not even asked");
}

#[tokio::test]
async fn a_full_disk_or_a_missing_right_is_no_poison() {
    for trouble in [Trouble::Full, Trouble::Denied, Trouble::Failed] {
        let store = MemoryStore::new();
        let mut ledger = open(&store, "a").await;
        store.queue(Operation::Create, Fault::Answers(trouble));
        assert!(ledger.append(vec![passed("x")]).await.is_err());
        assert_eq!(record(&mut ledger, "x").await, 1);
    }
}

#[tokio::test]
async fn readers_never_prepare_the_store() {
    let store = filled(3).await;
    store.choose_faults(|_, operation| {
        matches!(operation, Operation::Prepare | Operation::Create | Operation::Lock)
            .then_some(Fault::Answers(Trouble::Denied))
    });
    let mut reader = open(&store, "a").await;
    reader.refresh().await.unwrap();
    assert!(reader.someone_else_acts().await.unwrap().is_none());
    assert!(reader.append(vec![passed("x")]).await.is_err());
}

#[tokio::test]
async fn checkpoints_shorten_the_start_and_change_nothing() {
    let store = filled(130).await;
    assert_eq!(store.kept_checkpoints(), [50, 100]);
    let before = store.steps();
    let short = open(&store, "a").await;
    // List and read the checkpoint, read its last entry, list the log, read the tail.
    assert_eq!(store.steps() - before, 4 + 30);
    for seq in [50, 100] {
        store.put_checkpoint(seq, Bytes::from_static(b"{\"torn")).await.unwrap();
    }
    let long = open(&store, "a").await;
    assert_eq!(short.state(), long.state());
}

#[tokio::test]
async fn after_a_long_replay_the_next_append_keeps_a_checkpoint() {
    let store = filled(70).await;
    store.put_checkpoint(50, Bytes::from_static(b"nonsense")).await.unwrap();
    let mut ledger = open(&store, "a").await;
    record(&mut ledger, "x").await;
    assert_eq!(store.kept_checkpoints(), [50, 71]);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_or_kept_is_done_without() {
    let store = filled(49).await;
    store.choose_faults(|_, operation| {
        matches!(operation, Operation::Checkpoint).then_some(Fault::Answers(Trouble::Denied))
    });
    let mut ledger = open(&store, "a").await;
    assert_eq!(record(&mut ledger, "50").await, 50);
    assert!(store.kept_checkpoints().is_empty());
}

#[tokio::test]
async fn a_log_that_ends_before_its_checkpoint_lost_entries() {
    let store = filled(60).await;
    for seq in 40..=60 {
        store.remove_entry(seq);
    }
    let error = refused(&store).await;
    assert_eq!(error, LedgerError::Shortened { place: "memory".to_owned(), seq: 50 });
    assert_eq!(open(&store, "a").await.state().seq, 50, "what is known of it can be looked at");
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_not_used() {
    let (store, other) = (filled(51).await, filled(51).await);
    let foreign = other.get_checkpoint(50).await.unwrap().unwrap();
    store.put_checkpoint(50, foreign).await.unwrap();
    let ledger = open(&store, "a").await;
    assert_eq!(ledger.state().seq, 51);
    assert_eq!(ledger.last_checkpoint, 0);
}

#[tokio::test]
async fn an_intent_is_fresh_for_ten_seconds_and_never_before_it_was_made() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut ledger = Ledger::open(Arc::new(store.clone()), clock.shared(), "a").await.unwrap();
    assert!(!ledger.intent_is_fresh());
    ledger.act("run").await.unwrap();
    record(&mut ledger, "intent").await;
    assert!(ledger.intent_is_fresh());
    clock.pass(TimeDelta::seconds(10));
    assert!(ledger.intent_is_fresh());
    clock.pass(TimeDelta::milliseconds(1));
    assert!(!ledger.intent_is_fresh());
    clock.pass(TimeDelta::seconds(-60));
    assert!(!ledger.intent_is_fresh());
}

#[tokio::test]
async fn a_stale_intent_is_only_carried_out_when_nothing_followed_it() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let mut ledger = Ledger::open(Arc::new(store.clone()), clock.shared(), "a").await.unwrap();
    ledger.act("run").await.unwrap();
    record(&mut ledger, "intent").await;
    clock.pass(TimeDelta::minutes(1));
    assert!(ledger.clear_for_effect().await.unwrap());
    let mut person = open(&store, "b").await;
    person.append_request("liberator", Request::Cancel, asked()).await.unwrap();
    assert!(!ledger.clear_for_effect().await.unwrap());
    record(&mut ledger, "decided again").await;
    assert!(ledger.still_mine().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_read_is_not_still_ours() {
    let store = MemoryStore::new();
    let mut ledger = open(&store, "a").await;
    ledger.act("run").await.unwrap();
    store.queue(Operation::List, Fault::NeverArrives);
    assert!(ledger.still_mine().await.is_err());
    assert!(ledger.still_mine().await.unwrap());
}

#[tokio::test]
async fn requests_are_written_however_busy_the_others_are() {
    let store = MemoryStore::new();
    let mut person = open(&store, "person").await;
    let mut daemon = open(&store, "daemon").await;
    for number in 0..10 {
        record(&mut daemon, &number.to_string()).await;
    }
    let seq = person.append_request("liberator", Request::Scan, asked()).await.unwrap();
    assert_eq!(seq, 11);
    assert!(person.state().datasets["liberator"].pending.contains_key(&11));
}

fn any_fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::LostAnswer)),
        1 => Just(Some(Fault::NeverArrives)),
        1 => (1..40_u64).prop_map(|steps| Some(Fault::ArrivesLater(steps))),
        1 => Just(Some(Fault::Answers(Trouble::Busy))),
        1 => Just(Some(Fault::Answers(Trouble::Full))),
        1 => (1..12_u64).prop_map(|seq| Some(Fault::Overlooks(seq))),
    ]
}

/// Two writers, every order of their first steps, and an answer that is lost at any create.
#[test]
fn two_writers_in_every_order_with_any_answer_lost_make_one_log() {
    const STEPS: u32 = 9;
    const CREATES: usize = 3;
    for order in 0..1_usize << STEPS {
        let order: Vec<usize> = (0..STEPS).map(|step| (order >> step) & 1).collect();
        for lost in 0..=CREATES {
            let store = MemoryStore::new();
            for _ in 0..lost {
                store.queue(Operation::Create, None);
            }
            store.queue(Operation::Create, Fault::LostAnswer);
            let writers = ["a", "b"].map(|name| {
                let store = store.clone();
                Box::pin(insist(Arc::new(store), name.to_owned(), 1))
                    as std::pin::Pin<Box<dyn Future<Output = _>>>
            });
            let recorded: Vec<_> = drive(writers.into(), &order).into_iter().flatten().collect();
            let entries = store.entries();
            assert_eq!(entries.len(), 2, "{order:?}, the {lost}. answer lost: {entries:?}");
            for (seq, detail) in recorded {
                let text = String::from_utf8_lossy(&entries[&seq]).into_owned();
                assert!(text.contains(&detail), "{order:?}: {seq} is not {detail}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn writers_in_any_order_with_any_faults_make_one_log(
        writers in 2..4_usize,
        order in prop::collection::vec(0..6_usize, 0..400),
        faults in prop::collection::vec(any_fault(), 0..200),
    ) {
        const FACTS: usize = 4;
        let store = MemoryStore::new();
        let mut script = faults.into_iter();
        store.choose_faults(move |_, _| script.next().flatten());
        let futures = (0..writers)
            .map(|writer| Box::pin(insist(Arc::new(store.clone()), format!("w{writer}"), FACTS)) as _)
            .collect();
        let recorded = drive(futures, &order);

        store.heal();
        assert_one_log(&store.entries(), recorded, writers * FACTS);
    }

    #[test]
    fn what_is_in_memory_is_what_a_replay_gives_with_or_without_a_checkpoint(
        events in prop::collection::vec(prop::collection::vec(any_event(), 1..3), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let clock = TestClock::new();
            let mut ledger =
                Ledger::open(Arc::new(store.clone()), clock.shared(), "a").await.unwrap();
            ledger.act("run").await.unwrap();
            let mut states = vec![(ledger.state().clone(), 1)];
            for events in events {
                clock.pass(TimeDelta::nanoseconds(1_000_000_001));
                match ledger.append(events).await {
                    Ok(Appended::Recorded(seq)) => states.push((ledger.state().clone(), seq)),
                    Ok(Appended::Behind) => panic!("nobody else writes here"),
                    Err(LedgerError::Nonsense { .. }) => {
                        assert_eq!(ledger.state(), &states.last().unwrap().0);
                    }
                    Err(LedgerError::StandBy { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            let replayed = open(&store, "b").await;
            assert_eq!(replayed.state(), ledger.state());

            let (state, seq) = cut.get(&states);
            let entry = codec::entry_from_bytes(*seq, &store.entries()[seq]).unwrap();
            let bytes = codec::checkpoint_to_bytes(state, &entry.nonce).unwrap();
            store.put_checkpoint(*seq, bytes).await.unwrap();
            let shortened = open(&store, "c").await;
            assert_eq!(shortened.last_checkpoint, *seq, "the checkpoint was used");
            assert_eq!(shortened.state(), ledger.state());
        });
    }
}
