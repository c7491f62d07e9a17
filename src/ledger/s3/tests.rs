use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::{Export, Rule, Snapshot, Task, WorkflowRun};
use crate::ledger::event::Request;
use crate::ledger::log::{Appended, Ledger};
use crate::ledger::testing::{TestClock, asked, assert_one_log, drive, insist, passed};
use crate::platform::{
    Answer, Caller, CatalogTable, DeadMan, DeleteMarker, DeletedKey, MarkedObject, ObjectInfo,
    ObjectRange, Partition, PartitionQuery, PartsUpload, TaskFamily, TaskRequest, TaskStart,
    Versioning,
};

/// A bucket that writes down what it is asked. Every call is one step.
#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    calls: Mutex<Vec<String>>,
    /// The next creates: whether each is done, and how it answers all the same.
    creates: Mutex<VecDeque<Option<(bool, ErrorClass)>>>,
    overwrites: bool,
    /// Whether it keeps its promise only while nobody else asks.
    looks_first: bool,
    read_only: bool,
}

impl Bucket {
    fn call(&self, what: &str, key: &str) {
        self.calls.lock().unwrap().push(format!("{what} {key}"));
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn refuse_writes(&self) -> Answer<()> {
        if self.read_only { Err(failure(ErrorClass::Denied)) } else { Ok(()) }
    }
}

fn failure(class: ErrorClass) -> PlatformError {
    PlatformError {
        operation: "s3:PutObject",
        class,
        code: None,
        message: String::new(),
        request_id: None,
    }
}

#[async_trait]
impl Platform for Bucket {
    async fn list_objects(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        self.call("list", &listing.prefix);
        tokio::task::yield_now().await;
        let found: Vec<ObjectInfo> = self
            .objects
            .lock()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.starts_with(&listing.prefix))
            .filter(|(key, _)| listing.start_after.as_ref().is_none_or(|after| *key > after))
            .map(|(key, body)| ObjectInfo {
                key: key.clone(),
                size: body.len() as u64,
                etag: "e".to_owned(),
                last_modified: DateTime::<Utc>::UNIX_EPOCH,
                storage_class: None,
            })
            .collect();
        for objects in found.chunks(2) {
            page(objects.to_vec());
        }
        Ok(())
    }

    async fn get_object(&self, _: &str, key: &str) -> Answer<Option<Bytes>> {
        self.call("get", key);
        tokio::task::yield_now().await;
        Ok(self.objects.lock().unwrap().get(key).cloned())
    }

    async fn create_object(&self, _: &str, key: &str, body: Bytes) -> Answer<Created> {
        self.call("create", key);
        tokio::task::yield_now().await;
        self.refuse_writes()?;
        let fault = self.creates.lock().unwrap().pop_front().flatten();
        if let Some((false, class)) = fault {
            return Err(failure(class));
        }
        let existed = self.objects.lock().unwrap().contains_key(key);
        if self.looks_first {
            tokio::task::yield_now().await;
        }
        let mut objects = self.objects.lock().unwrap();
        let exists = if self.looks_first { existed } else { objects.contains_key(key) };
        if !exists || self.overwrites {
            objects.insert(key.to_owned(), body);
        }
        match fault {
            Some((_, class)) => Err(failure(class)),
            None if exists && !self.overwrites => Ok(Created::Exists),
            None => Ok(Created::Created),
        }
    }

    async fn put_object(&self, _: &str, key: &str, body: Bytes) -> Answer<()> {
        self.call("put", key);
        self.refuse_writes()?;
        self.objects.lock().unwrap().insert(key.to_owned(), body);
        Ok(())
    }

    async fn caller(&self) -> Answer<Caller> {
        unreachable!()
    }
    async fn folders(&self, _: &str, _: &str) -> Answer<Vec<String>> {
        unreachable!()
    }
    async fn read_range(&self, _: &str, _: &ObjectRange) -> Answer<Bytes> {
        unreachable!()
    }
    async fn copy_object(&self, _: &str, _: &str, _: &str) -> Answer<Created> {
        unreachable!()
    }
    async fn begin_upload(&self, _: &str, _: &str, _: &str) -> Answer<PartsUpload> {
        unreachable!()
    }
    async fn upload_part(&self, _: &PartsUpload, _: u32, _: Bytes) -> Answer<String> {
        unreachable!()
    }
    async fn complete_upload(
        &self,
        _: &PartsUpload,
        _: &[String],
        _: Option<&str>,
    ) -> Answer<Created> {
        unreachable!()
    }
    async fn abort_upload(&self, _: &PartsUpload) -> Answer<()> {
        unreachable!()
    }
    async fn uploads_to(&self, _: &str, _: &str) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        unreachable!()
    }
    async fn marked_object(&self, _: &str, _: &str) -> Answer<Option<MarkedObject>> {
        unreachable!()
    }
    async fn bucket_versioning(&self, _: &str) -> Answer<Versioning> {
        unreachable!()
    }
    async fn delete_objects(&self, _: &str, _: &[String]) -> Answer<Vec<DeletedKey>> {
        unreachable!()
    }
    async fn delete_markers(&self, _: &str, _: &str) -> Answer<Vec<DeleteMarker>> {
        unreachable!()
    }
    async fn delete_partitions(
        &self,
        _: &str,
        _: &str,
        _: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        unreachable!()
    }
    async fn table_pages(
        &self,
        _: &str,
        _: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        unreachable!()
    }
    async fn partitions_at(&self, _: &str, _: &str, _: &[Vec<String>]) -> Answer<Vec<Partition>> {
        unreachable!()
    }
    async fn partitions(
        &self,
        _: &PartitionQuery,
        _: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        unreachable!()
    }
    async fn family_tasks(&self, _: &TaskFamily) -> Answer<Vec<Task>> {
        unreachable!()
    }
    async fn tasks_started_by(&self, _: &TaskFamily, _: &str) -> Answer<Vec<Task>> {
        unreachable!()
    }
    async fn task(&self, _: &TaskFamily, _: &str) -> Answer<Option<Task>> {
        unreachable!()
    }
    async fn run_task(&self, _: &TaskRequest) -> Answer<TaskStart> {
        unreachable!()
    }
    async fn stop_task(&self, _: &str, _: &str, _: &str) -> Answer<()> {
        unreachable!()
    }
    async fn log_tail(&self, _: &str, _: &str, _: usize) -> Answer<Vec<String>> {
        unreachable!()
    }
    async fn snapshot(&self, _: &str) -> Answer<Option<Snapshot>> {
        unreachable!()
    }
    async fn snapshots(&self, _: &str) -> Answer<Vec<Snapshot>> {
        unreachable!()
    }
    async fn export(&self, _: &str) -> Answer<Option<Export>> {
        unreachable!()
    }
    async fn exports_of(&self, _: &str) -> Answer<Vec<Export>> {
        unreachable!()
    }
    async fn workflow_runs(&self, _: &str, _: DateTime<Utc>) -> Answer<Vec<WorkflowRun>> {
        unreachable!()
    }
    async fn workflow_run(&self, _: &str, _: &str) -> Answer<WorkflowRun> {
        unreachable!()
    }
    async fn start_workflow_run(&self, _: &str, _: &BTreeMap<String, String>) -> Answer<String> {
        unreachable!()
    }
    async fn rule(&self, _: &str, _: &str) -> Answer<Rule> {
        unreachable!()
    }
    async fn disable_rule(&self, _: &str, _: &str) -> Answer<()> {
        unreachable!()
    }
    async fn enable_rule(&self, _: &str, _: &str) -> Answer<()> {
        unreachable!()
    }
    async fn arm_dead_man(&self, _: &DeadMan) -> Answer<()> {
        unreachable!()
    }
    async fn dead_man(&self, _: &str, _: &str) -> Answer<Option<DeadMan>> {
        unreachable!()
    }
    async fn disarm_dead_man(&self, _: &str, _: &str) -> Answer<()> {
        unreachable!()
    }
    async fn takes_dead_men(&self, _: &str) -> Answer<bool> {
        unreachable!()
    }
}

async fn open(bucket: &Arc<Bucket>, prefix: &str) -> Ledger {
    let store = S3Store::new(Arc::clone(bucket) as _, "ledger", prefix);
    Ledger::open(Arc::new(store), TestClock::new().shared(), "w").await.unwrap()
}

#[tokio::test]
async fn keys_stand_under_the_prefix_and_nowhere_else() {
    for (prefix, before) in [("a/b", "a/b/"), ("", "")] {
        let bucket = Arc::new(Bucket::default());
        let mut ledger = open(&bucket, prefix).await;
        ledger.act("run").await.unwrap();
        let expected = [
            "acting.json",
            "log/00000000000000000001.json",
            "probe/create-at-once.txt",
            "probe/create-if-absent.txt",
        ];
        assert_eq!(bucket.keys(), expected.map(|key| format!("{before}{key}")));
        assert_eq!(open(&bucket, prefix).await.state(), ledger.state());
    }
}

#[tokio::test]
async fn listings_come_in_pages_and_other_keys_are_passed_over() {
    let bucket = Arc::new(Bucket::default());
    let store = S3Store::new(Arc::clone(&bucket) as _, "ledger", "p");
    for seq in 1..=7 {
        store.create(seq, Bytes::from_static(b"x")).await.unwrap();
    }
    for other in ["p/log/00000000000000000009.json/x", "p/log/a.json", "p/logs/x", "q/log/x"] {
        bucket.objects.lock().unwrap().insert(other.to_owned(), Bytes::new());
    }
    assert_eq!(store.list_after(4).await.unwrap(), [5, 6, 7]);
    assert_eq!(store.list_after(0).await.unwrap().len(), 7);
    assert_eq!(store.describe(), "s3://ledger/p");
}

#[tokio::test]
async fn a_store_that_overwrites_is_refused_before_anything_is_written_to_the_log() {
    let bucket = Arc::new(Bucket { overwrites: true, ..Bucket::default() });
    let mut ledger = open(&bucket, "p").await;
    let error = ledger.act("run").await.unwrap_err();
    assert!(error.hint().contains("another ledger.url"), "{error}");
    assert!(ledger.append_request("d", Request::Scan, asked()).await.is_err());
    assert_eq!(bucket.keys(), ["p/probe/create-if-absent.txt"]);
}

#[tokio::test]
async fn a_store_that_looks_first_and_writes_later_is_found_out_before_any_entry() {
    let bucket = Arc::new(Bucket { looks_first: true, ..Bucket::default() });
    let reader = open(&bucket, "p").await;
    let error = reader.try_writing().await.unwrap_err();
    assert!(error.in_words().contains("at the same moment"), "{}", error.in_words());
    bucket.objects.lock().unwrap().clear();
    let mut ledger = open(&bucket, "p").await;
    assert!(ledger.act("run").await.is_err());
    assert!(!bucket.keys().iter().any(|key| key.contains("/log/")));
}

#[tokio::test]
async fn an_empty_ledger_that_overwrites_is_found_out_by_a_reader_too() {
    let bucket = Arc::new(Bucket { overwrites: true, ..Bucket::default() });
    let error = open(&bucket, "p").await.try_writing().await.unwrap_err();
    assert!(error.in_words().contains("If-None-Match"), "{}", error.in_words());
    open(&Arc::new(Bucket::default()), "p").await.try_writing().await.unwrap();
}

#[tokio::test]
async fn the_probe_asks_twice_at_first_and_once_ever_after() {
    let bucket = Arc::new(Bucket::default());
    let probes = |bucket: &Bucket| {
        bucket.take_calls().iter().filter(|call| call.starts_with("create p/probe")).count()
    };
    let mut first = open(&bucket, "p").await;
    assert_eq!(probes(&bucket), 0, "a reader does not ask");
    let _ = first.append(vec![passed("x")]).await.unwrap();
    assert_eq!(probes(&bucket), 2 + PROBES_AT_ONCE as usize);
    let _ = first.append(vec![passed("x")]).await.unwrap();
    assert_eq!(probes(&bucket), 0);
    let mut second = open(&bucket, "p").await;
    let _ = second.append(vec![passed("x")]).await.unwrap();
    assert_eq!(probes(&bucket), 1);
}

#[tokio::test]
async fn a_probe_whose_answer_is_lost_proves_itself_by_the_next() {
    for fault in [(true, ErrorClass::Timeout), (false, ErrorClass::Conflict)] {
        let bucket = Arc::new(Bucket::default());
        bucket.creates.lock().unwrap().push_back(Some(fault));
        let mut ledger = open(&bucket, "p").await;
        assert_eq!(ledger.append(vec![passed("x")]).await.unwrap(), Appended::Recorded(1));
    }
}

#[tokio::test]
async fn a_role_that_may_only_read_can_look() {
    let bucket = Arc::new(Bucket::default());
    let mut writer = open(&bucket, "p").await;
    writer.act("run").await.unwrap();
    let objects = Mutex::new(bucket.objects.lock().unwrap().clone());
    let read_only = Arc::new(Bucket { objects, read_only: true, ..Bucket::default() });
    let mut reader = open(&read_only, "p").await;
    assert_eq!(reader.state(), writer.state());
    assert!(reader.someone_else_acts().await.unwrap().is_some());
    let error = reader.append(vec![passed("x")]).await.unwrap_err();
    assert!(error.hint().contains("right"), "{error}");
}

#[tokio::test]
async fn lost_answers_and_collisions_of_entries_are_settled() {
    for fault in [
        (true, ErrorClass::Timeout),
        (true, ErrorClass::Server),
        (false, ErrorClass::Transport),
        (false, ErrorClass::Conflict),
        (false, ErrorClass::Throttled),
    ] {
        let bucket = Arc::new(Bucket::default());
        let mut ledger = open(&bucket, "p").await;
        let _ = ledger.append(vec![passed("x")]).await.unwrap();
        bucket.creates.lock().unwrap().push_back(Some(fault));
        let appended = ledger.append(vec![passed("y")]).await.unwrap();
        assert_eq!(appended, Appended::Recorded(2), "{fault:?}");
        assert_eq!(open(&bucket, "p").await.state(), ledger.state());
    }
}

#[tokio::test]
async fn opening_takes_four_requests_and_the_tail() {
    let bucket = Arc::new(Bucket::default());
    let mut ledger = open(&bucket, "p").await;
    for _ in 0..203 {
        let _ = ledger.append(vec![passed("x")]).await.unwrap();
    }
    bucket.take_calls();
    let again = open(&bucket, "p").await;
    assert_eq!(again.state(), ledger.state());
    let calls = bucket.take_calls();
    assert_eq!(calls.len(), 4 + 3, "{calls:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Two and three writers of one bucket, step by step in any order, and any create of theirs
    /// lost before it or after it, or met by another one (409).
    #[test]
    fn writers_in_any_order_with_any_faults_make_one_log(
        writers in 2..4_usize,
        order in prop::collection::vec(0..6_usize, 0..300),
        faults in prop::collection::vec(prop_oneof![
            5 => Just(None),
            1 => Just(Some((true, ErrorClass::Timeout))),
            1 => Just(Some((true, ErrorClass::Server))),
            1 => Just(Some((false, ErrorClass::Transport))),
            1 => Just(Some((false, ErrorClass::Conflict))),
            1 => Just(Some((false, ErrorClass::Throttled))),
        ], 0..60),
    ) {
        const FACTS: usize = 3;
        let bucket = Arc::new(Bucket::default());
        bucket.creates.lock().unwrap().extend(faults);
        let store = || Arc::new(S3Store::new(Arc::clone(&bucket) as _, "ledger", "p"));
        let futures = (0..writers)
            .map(|writer| Box::pin(insist(store(), format!("w{writer}"), FACTS)) as _)
            .collect();
        let recorded = drive(futures, &order);
        let objects = bucket.objects.lock().unwrap();
        let entries = objects.iter().filter_map(|(key, body)| {
            let number = key.strip_prefix("p/log/")?.strip_suffix(".json")?;
            Some((number.parse().unwrap(), body.clone()))
        });
        assert_one_log(&entries.collect(), recorded, writers * FACTS);
    }
}
