use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::ledger::log::{Appended, Ledger};
use crate::ledger::testing::{TestClock, assert_one_log, details, insist, passed};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn ready(root: &Path) -> DirectoryStore {
    let store = DirectoryStore::new(root);
    store.prepare_to_write().await.unwrap();
    store
}

/// A disk that fails in one way, after letting some calls pass.
struct BrokenDisk {
    call: &'static str,
    kind: io::ErrorKind,
    calls_before: AtomicUsize,
    /// Whether it does what it was asked all the same.
    done: bool,
}

impl BrokenDisk {
    fn answer<T>(&self, call: &str, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let breaks = call == self.call
            && self
                .calls_before
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_err();
        if !breaks {
            return work();
        }
        if self.done {
            work()?;
        }
        Err(self.kind.into())
    }
}

impl Disk for BrokenDisk {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        self.answer("write_new", || RealDisk.write_new(path, bytes))
    }
    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.answer("sync_file", || RealDisk.sync_file(file))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.answer("link", || RealDisk.link(from, to))
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.answer("sync_directory", || RealDisk.sync_directory(path))
    }
}

fn broken(root: &Path, call: &'static str, kind: io::ErrorKind, done: bool) -> DirectoryStore {
    // The directories are made and synced by a sound disk first.
    broken_after(0, root, call, kind, done)
}

/// The same, once some calls have passed.
fn broken_after(
    calls: usize,
    root: &Path,
    call: &'static str,
    kind: io::ErrorKind,
    done: bool,
) -> DirectoryStore {
    let disk = BrokenDisk { call, kind, calls_before: AtomicUsize::new(calls), done };
    DirectoryStore::with_disk(root.to_owned(), Box::new(disk))
}

#[tokio::test]
async fn an_entry_is_created_once_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    let store = ready(root.path()).await;
    assert_eq!(store.create(1, Bytes::from_static(b"one")).await.unwrap(), Created::Created);
    assert_eq!(store.create(1, Bytes::from_static(b"two")).await.unwrap(), Created::Exists);
    assert_eq!(store.get(1).await.unwrap().unwrap(), "one");
    assert_eq!(store.get(2).await.unwrap(), None);
    assert_eq!(names(&root.path().join("log")), ["00000000000000000001.json"]);
}

#[tokio::test]
async fn entries_are_listed_in_order_and_other_files_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let store = ready(root.path()).await;
    for seq in [3, 1, 10, 2] {
        store.create(seq, Bytes::from_static(b"x")).await.unwrap();
    }
    for other in [".00000000000000000011.x.tmp", "notes.txt", "12.json"] {
        fs::write(root.path().join("log").join(other), "x").unwrap();
    }
    assert_eq!(store.list_after(0).await.unwrap(), [1, 2, 3, 10]);
    assert_eq!(store.list_after(2).await.unwrap(), [3, 10]);
    assert_eq!(store.list_after(10).await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn a_reader_of_an_absent_directory_sees_nothing_and_creates_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("not/there");
    let clock = TestClock::new();
    let store = Arc::new(DirectoryStore::new(&root));
    let mut ledger = Ledger::open(store, clock.shared(), "reader").await.unwrap();
    assert_eq!(ledger.state().seq, 0);
    assert!(ledger.someone_else_acts().await.unwrap().is_none());
    assert!(names(parent.path()).is_empty());
}

#[tokio::test]
async fn a_writer_creates_the_directory_and_its_parents() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("not/there");
    let clock = TestClock::new();
    let store = Arc::new(DirectoryStore::new(&root));
    let mut ledger = Ledger::open(store, clock.shared(), "writer").await.unwrap();
    assert_eq!(ledger.append(vec![passed("x")]).await.unwrap(), Appended::Recorded(1));
    assert_eq!(names(&root), ["checkpoint", "log"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_created_is_named() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("file"), "x").unwrap();
    let error =
        DirectoryStore::new(parent.path().join("file/below")).prepare_to_write().await.unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
}

#[test]
fn what_the_disk_says_is_told_apart() {
    let path = Path::new("/x");
    for (kind, trouble) in [
        (io::ErrorKind::PermissionDenied, Trouble::Denied),
        (io::ErrorKind::ReadOnlyFilesystem, Trouble::Denied),
        (io::ErrorKind::StorageFull, Trouble::Full),
        (io::ErrorKind::QuotaExceeded, Trouble::Full),
        (io::ErrorKind::Other, Trouble::Failed),
    ] {
        assert_eq!(io_error(Operation::Create, path, &kind.into()).trouble, trouble);
    }
    for (kind, trouble) in [
        (io::ErrorKind::PermissionDenied, Trouble::Unfit),
        (io::ErrorKind::Unsupported, Trouble::Unfit),
        (io::ErrorKind::NotFound, Trouble::Busy),
        (io::ErrorKind::StorageFull, Trouble::Full),
        (io::ErrorKind::TimedOut, Trouble::Unsettled),
    ] {
        assert_eq!(link_error(path, &kind.into()).trouble, trouble);
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_behind_and_is_no_poison() {
    let root = tempfile::tempdir().unwrap();
    ready(root.path()).await;
    let store = broken(root.path(), "write_new", io::ErrorKind::StorageFull, true);
    let error = store.create(1, Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Full);
    assert!(names(&root.path().join("log")).is_empty(), "half a file would be left");
    assert_eq!(store.get(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_fsync_poisons_the_store_until_it_is_opened_anew() {
    for (call, landed) in [("sync_file", false), ("sync_directory", true)] {
        let root = tempfile::tempdir().unwrap();
        ready(root.path()).await;
        let store = broken(root.path(), call, io::ErrorKind::Other, false);
        let error = store.create(1, Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.trouble, Trouble::Poisoned, "{call}");
        assert_eq!(store.get(1).await.unwrap_err().trouble, Trouble::Poisoned);
        assert_eq!(store.list_after(0).await.unwrap_err().trouble, Trouble::Poisoned);
        assert_eq!(store.get_beat().await.unwrap_err().trouble, Trouble::Poisoned);
        let anew = DirectoryStore::new(root.path());
        assert_eq!(anew.get(1).await.unwrap().is_some(), landed, "what is there is believed");
    }
}

#[tokio::test]
async fn a_link_whose_answer_was_lost_is_our_own_success() {
    let root = tempfile::tempdir().unwrap();
    ready(root.path()).await;
    let store = broken(root.path(), "link", io::ErrorKind::TimedOut, true);
    let clock = TestClock::new();
    let mut ledger = Ledger::open(Arc::new(store), clock.shared(), "a").await.unwrap();
    assert_eq!(ledger.append(vec![passed("x")]).await.unwrap(), Appended::Recorded(1));
}

#[tokio::test]
async fn a_torn_temporary_file_is_nothing_and_is_swept_once_it_is_old() {
    let root = tempfile::tempdir().unwrap();
    ready(root.path()).await;
    let log = root.path().join("log");
    let (old, young) = (log.join(temporary_name(1)), log.join(temporary_name(1)));
    for path in [&old, &young] {
        fs::write(path, "{\"v\": 1, \"se").unwrap();
    }
    let hour_ago = fs::metadata(&old).unwrap().modified().unwrap() - STALE_TEMPORARY_AGE * 2;
    File::options().write(true).open(&old).unwrap().set_modified(hour_ago).unwrap();

    let clock = TestClock::new();
    let store = Arc::new(DirectoryStore::new(root.path()));
    let mut ledger = Ledger::open(store, clock.shared(), "a").await.unwrap();
    assert_eq!(ledger.state().seq, 0);
    assert_eq!(ledger.append(vec![passed("x")]).await.unwrap(), Appended::Recorded(1));
    assert!(!old.exists());
    assert!(young.exists(), "its writer may still be alive");
}

#[tokio::test]
async fn only_the_last_checkpoints_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let store = ready(root.path()).await;
    for seq in [200, 400, 600, 800, 1000] {
        store.put_checkpoint(seq, Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(store.checkpoints().await.unwrap(), [600, 800, 1000]);
    assert_eq!(names(&root.path().join("checkpoint")).len(), 3);
}

#[tokio::test]
async fn the_lock_is_held_by_one_handle_and_freed_with_it() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (ready(root.path()).await, DirectoryStore::new(root.path()));
    assert_eq!(b.look_at_lock().await.unwrap(), Lock::Free);
    assert_eq!(a.take_lock().await.unwrap(), Lock::Ours);
    assert_eq!(a.take_lock().await.unwrap(), Lock::Ours);
    assert_eq!(b.take_lock().await.unwrap(), Lock::Taken);
    assert_eq!(b.look_at_lock().await.unwrap(), Lock::Taken);
    a.drop_lock().await;
    assert_eq!(b.look_at_lock().await.unwrap(), Lock::Free);
    assert_eq!(b.take_lock().await.unwrap(), Lock::Ours);
    drop(b);
    assert_eq!(a.take_lock().await.unwrap(), Lock::Ours);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_that_race_for_the_same_numbers_each_win_some_and_none_twice() {
    const WRITERS: usize = 4;
    const ENTRIES: usize = 25;
    let root = tempfile::tempdir().unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let root = root.path().to_owned();
        writers.spawn(async move {
            let clock = TestClock::new();
            let store = Arc::new(DirectoryStore::new(root));
            let mut ledger =
                Ledger::open(store, clock.shared(), format!("w{writer}")).await.unwrap();
            let mut won = Vec::new();
            while won.len() < ENTRIES {
                match ledger.append(vec![passed("x")]).await.unwrap() {
                    Appended::Recorded(seq) => won.push(seq),
                    Appended::Behind => {}
                }
            }
            won
        });
    }
    let won: Vec<u64> = writers.join_all().await.into_iter().flatten().collect();
    let unique: BTreeSet<u64> = won.iter().copied().collect();
    assert_eq!(won.len(), WRITERS * ENTRIES);
    assert_eq!(unique, (1..=(WRITERS * ENTRIES) as u64).collect());
    assert_eq!(names(&root.path().join("log")).len(), WRITERS * ENTRIES);
}

/// A writer's disk breaks at any of its calls, with or without the effect; another one writes
/// meanwhile; and the next process has a sound disk. Every fact stands there once, and nothing
/// that was acknowledged is lost.
#[tokio::test]
async fn wherever_a_disk_breaks_two_writers_make_one_log() {
    const FACTS: usize = 2;
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::TimedOut, io::ErrorKind::Other];
    for call in ["write_new", "sync_file", "link", "sync_directory"] {
        for (kind, done) in kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            for calls in 0..=FACTS {
                let root = tempfile::tempdir().unwrap();
                ready(root.path()).await;
                let sound = || Arc::new(DirectoryStore::new(root.path()));
                let store = Arc::new(broken_after(calls, root.path(), call, kind, done));
                let mut first = Ledger::open(store, TestClock::new().shared(), "a").await.unwrap();
                let mut recorded = Vec::new();
                for fact in 0..FACTS {
                    let detail = format!("a/{fact}/{}", first.state().seq);
                    match first.append(vec![passed(&detail)]).await {
                        Ok(Appended::Recorded(seq)) => recorded.push((seq, detail)),
                        Ok(Appended::Behind) | Err(_) => break,
                    }
                }
                let others = insist(sound(), "b".to_owned(), 1).await;
                drop(first);
                let again = insist(sound(), "a".to_owned(), FACTS).await;
                let about = format!("{call} {kind:?} {done} after {calls}");
                let told = Ledger::open(sound(), TestClock::new().shared(), "c").await.unwrap();
                assert_eq!(details(&told).len(), FACTS + 1, "{about}");
                let log = root.path().join("log");
                let entries = names(&log).into_iter().filter_map(|name| {
                    let bytes = fs::read(log.join(&name)).unwrap();
                    Some((number_of(&name)?, Bytes::from(bytes)))
                });
                assert_one_log(&entries.collect(), vec![recorded, others, again], FACTS + 1);
            }
        }
    }
}

/// Run by hand: `cargo test --release -- --ignored --nocapture ten_years`.
#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn ten_years_of_nights_open_at_once() {
    const ENTRIES: u64 = 11_000;
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("log");
    fs::create_dir_all(&log).unwrap();
    let event = serde_json::to_value(passed(&"x".repeat(600))).unwrap();
    for seq in 1..=ENTRIES {
        let entry = serde_json::json!({"v": 1, "seq": seq, "at": "2022-06-13T04:00:00Z",
            "epoch": 0, "writer": "w", "nonce": "n", "events": [event]});
        fs::write(log.join(file_name(seq)), serde_json::to_vec_pretty(&entry).unwrap()).unwrap();
    }
    let clock = TestClock::new();
    for title in ["every entry", "from a checkpoint"] {
        let store = Arc::new(DirectoryStore::new(root.path()));
        let begun = tokio::time::Instant::now();
        let mut ledger = Ledger::open(store, clock.shared(), "a").await.unwrap();
        println!("{title}: {} entries in {:?}", ledger.state().seq, begun.elapsed());
        let _ = ledger.append(vec![passed("x")]).await.unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_written_has_the_rights_of_its_directory_whatever_the_umask() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o2770)).unwrap();
    // Only root may give a directory away.
    let owner =
        std::os::unix::fs::chown(&root, Some(65_534), Some(65_533)).map(|()| (65_534, 65_533));
    let owner = owner.unwrap_or_else(|_| {
        let ours = fs::metadata(&root).unwrap();
        (ours.uid(), ours.gid())
    });
    let store = ready(&root).await;
    store.create(1, Bytes::from_static(b"x")).await.unwrap();
    store.put_beat(Bytes::from_static(b"x")).await.unwrap();
    store.put_checkpoint(1, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.take_lock().await.unwrap(), Lock::Ours);
    for (path, mode) in [
        ("log", 0o2770),
        ("checkpoint", 0o2770),
        ("log/00000000000000000001.json", 0o660),
        ("checkpoint/00000000000000000001.json", 0o660),
        ("acting.json", 0o660),
        ("acting.lock", 0o660),
    ] {
        let found = fs::metadata(root.join(path)).unwrap();
        assert_eq!(found.mode() & 0o7777, mode, "{path}: {:o}", found.mode());
        assert_eq!((found.uid(), found.gid()), owner, "{path}");
    }
}

#[tokio::test]
async fn an_empty_directory_is_tried_without_leaving_anything() {
    let folder = tempfile::tempdir().unwrap();
    let absent = DirectoryStore::new(folder.path().join("absent"));
    absent.try_promise().await.unwrap();
    assert!(!folder.path().join("absent").exists());
    DirectoryStore::new(folder.path()).try_promise().await.unwrap();
    assert_eq!(names(folder.path()), Vec::<String>::new());
    for (call, kind, trouble) in [
        ("write_new", io::ErrorKind::StorageFull, Trouble::Full),
        ("write_new", io::ErrorKind::ReadOnlyFilesystem, Trouble::Denied),
        ("link", io::ErrorKind::PermissionDenied, Trouble::Unfit),
    ] {
        let disk = BrokenDisk { call, kind, calls_before: AtomicUsize::new(0), done: false };
        let store = DirectoryStore::with_disk(folder.path().to_owned(), Box::new(disk));
        assert_eq!(store.try_promise().await.unwrap_err().trouble, trouble, "{call}");
    }
    assert_eq!(names(folder.path()), Vec::<String>::new());
}
