//! Entries as files: `dir/log/00000000000000000042.json`.
//!
//! ```text
//!   temporary file ── fsync ──► hard link to the final name ──► fsync of the directory
//!                                 └─ the name is taken ──► Exists
//! ```
//!
//! The link is the one atomic moment; a crash before it leaves a temporary file, which a
//! later writer sweeps, and a crash after it leaves a whole entry. When an fsync fails, the
//! kernel may have dropped the pages and would report success the next time: so the store
//! is poisoned, and answers nothing more until it is opened anew and reads what is there.
//!
//! What it never does: overwrite or delete an entry, hold the lock for a reader, or create
//! anything before the first write.

mod disk;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::disk::{Disk, RealDisk};
use super::store::{Created, Lock, Operation, Store, StoreError, Trouble, file_name, number_of};

/// A temporary file this old belongs to nobody who still writes.
const STALE_TEMPORARY_AGE: Duration = Duration::from_hours(1);
/// Older checkpoints are deleted: they are a cache, and each contains all before it.
const CHECKPOINTS_KEPT: usize = 3;

/// A disk that hangs keeps a thread for each call: past so many nothing more is asked of it.
const UNDER_WAY_AT_MOST: usize = 64;

/// A store in a directory.
#[derive(Clone)]
pub struct DirectoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    log: PathBuf,
    checkpoint: PathBuf,
    disk: Box<dyn Disk>,
    poisoned: AtomicBool,
    /// Calls that the disk has not answered yet, given up or not.
    under_way: AtomicUsize,
    lock: Mutex<Option<File>>,
}

impl std::fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DirectoryStore").field(&self.inner.root).finish()
    }
}

impl DirectoryStore {
    /// A store in this directory, which need not exist yet: an absent one is empty.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_disk(root.into(), Box::new(RealDisk))
    }

    fn with_disk(root: PathBuf, disk: Box<dyn Disk>) -> Self {
        let inner = Inner {
            log: root.join("log"),
            checkpoint: root.join("checkpoint"),
            root,
            disk,
            poisoned: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            lock: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Runs a piece of blocking work. It is carried through even if nobody waits any more.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        inner.refuse_if_crowded(operation)?;
        inner.under_way.fetch_add(1, Ordering::AcqRel);
        let done = tokio::task::spawn_blocking(move || {
            let worked = inner.refuse_if_poisoned(operation).and_then(|()| work(&inner));
            inner.under_way.fetch_sub(1, Ordering::AcqRel);
            worked
        });
        match done.await {
            Ok(result) => result,
            Err(error) => Err(StoreError {
                operation,
                place: self.describe(),
                trouble: Trouble::Unsettled,
                message: error.to_string(),
            }),
        }
    }
}

#[async_trait]
impl Store for DirectoryStore {
    fn describe(&self) -> String {
        format!("file://{}", self.inner.root.display())
    }

    async fn create(&self, seq: u64, bytes: Bytes) -> Result<Created, StoreError> {
        self.blocking(Operation::Create, move |inner| inner.create(seq, &bytes)).await
    }

    async fn get(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.blocking(Operation::Get, move |inner| {
            read(&inner.log.join(file_name(seq)), Operation::Get)
        })
        .await
    }

    async fn list_after(&self, seq: u64) -> Result<Vec<u64>, StoreError> {
        self.blocking(Operation::List, move |inner| {
            let mut numbers = numbers_in(&inner.log, Operation::List)?;
            numbers.retain(|number| *number > seq);
            Ok(numbers)
        })
        .await
    }

    async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        self.blocking(Operation::Checkpoint, |inner| {
            numbers_in(&inner.checkpoint, Operation::Checkpoint)
        })
        .await
    }

    async fn get_checkpoint(&self, seq: u64) -> Result<Option<Bytes>, StoreError> {
        self.blocking(Operation::Checkpoint, move |inner| {
            read(&inner.checkpoint.join(file_name(seq)), Operation::Checkpoint)
        })
        .await
    }

    async fn put_checkpoint(&self, seq: u64, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking(Operation::Checkpoint, move |inner| {
            replace(&inner.checkpoint.join(file_name(seq)), &bytes, Operation::Checkpoint)?;
            inner.thin_out_checkpoints()
        })
        .await
    }

    async fn get_beat(&self) -> Result<Option<Bytes>, StoreError> {
        self.blocking(Operation::Beat, |inner| {
            read(&inner.root.join("acting.json"), Operation::Beat)
        })
        .await
    }

    async fn put_beat(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking(Operation::Beat, move |inner| {
            replace(&inner.root.join("acting.json"), &bytes, Operation::Beat)
        })
        .await
    }

    fn beats_are_free(&self) -> bool {
        true
    }

    async fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.blocking(Operation::Prepare, Inner::prepare).await
    }

    async fn try_promise(&self) -> Result<(), StoreError> {
        self.blocking(Operation::Prepare, Inner::try_promise).await
    }

    async fn take_lock(&self) -> Result<Lock, StoreError> {
        self.blocking(Operation::Lock, |inner| Ok(inner.take_lock())).await
    }

    async fn look_at_lock(&self) -> Result<Lock, StoreError> {
        self.blocking(Operation::Lock, |inner| Ok(inner.look_at_lock())).await
    }

    async fn drop_lock(&self) {
        // Closing the file frees the lock.
        drop(self.inner.held_lock().take());
    }
}

impl Inner {
    fn create(&self, seq: u64, bytes: &[u8]) -> Result<Created, StoreError> {
        let temporary = self.log.join(temporary_name(seq));
        let created = self.create_through(&temporary, &self.log.join(file_name(seq)), bytes);
        // Absent already, or swept an hour later: nothing depends on it.
        let _ = fs::remove_file(&temporary);
        created
    }

    fn create_through(
        &self,
        temporary: &Path,
        entry: &Path,
        bytes: &[u8],
    ) -> Result<Created, StoreError> {
        let operation = Operation::Create;
        let file = self
            .disk
            .write_new(temporary, bytes)
            .map_err(|error| io_error(operation, temporary, &error))?;
        self.disk.sync_file(&file).map_err(|error| self.poison(temporary, &error))?;
        drop(file);
        match self.disk.link(temporary, entry) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Created::Exists);
            }
            Err(error) => return Err(link_error(entry, &error)),
        }
        self.disk.sync_directory(&self.log).map_err(|error| self.poison(&self.log, &error))?;
        Ok(Created::Created)
    }

    fn prepare(&self) -> Result<(), StoreError> {
        let operation = Operation::Prepare;
        fs::create_dir_all(&self.root).map_err(|e| io_error(operation, &self.root, &e))?;
        for directory in [&self.log, &self.checkpoint] {
            disk::create_directory(directory).map_err(|e| io_error(operation, directory, &e))?;
        }
        // An entry is only as durable as the names of the directories above it.
        self.disk.sync_directory(&self.root).map_err(|e| self.poison(&self.root, &e))?;
        if let Some(parent) = self.root.parent() {
            // It may well be closed to us, and is only of use when the root is new.
            let _ = self.disk.sync_directory(parent);
        }
        self.sweep();
        Ok(())
    }

    /// Writes and links a file beside the entries, and removes it. A directory that is not there
    /// yet is created with the first entry.
    fn try_promise(&self) -> Result<(), StoreError> {
        if !self.root.exists() {
            return Ok(());
        }
        let (one, two) = (self.root.join(temporary_name(0)), self.root.join(temporary_name(0)));
        let tried = self
            .disk
            .write_new(&one, b"gapmend asks whether it can write here\n")
            .and_then(|file| self.disk.sync_file(&file))
            .map_err(|error| io_error(Operation::Prepare, &self.root, &error))
            .and_then(|()| self.disk.link(&one, &two).map_err(|error| link_error(&two, &error)));
        for path in [&one, &two] {
            let _ = fs::remove_file(path); // it may not be there
        }
        tried
    }

    /// Removes what writers left behind that died between a write and its link.
    fn sweep(&self) {
        let Ok(files) = fs::read_dir(&self.log) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            if is_temporary(&name.to_string_lossy()) && is_stale(&file) {
                let removed = fs::remove_file(file.path());
                tracing::info!(file = %file.path().display(), ok = removed.is_ok(), "swept a stale temporary file");
            }
        }
    }

    fn thin_out_checkpoints(&self) -> Result<(), StoreError> {
        let numbers = numbers_in(&self.checkpoint, Operation::Checkpoint)?;
        for seq in numbers.iter().rev().skip(CHECKPOINTS_KEPT) {
            // Somebody else may have been faster; the next checkpoint tries again.
            let _ = fs::remove_file(self.checkpoint.join(file_name(*seq)));
        }
        Ok(())
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("acting.lock")
    }

    fn held_lock(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file may belong to another user, who ran `heal` once; a reader can lock it too.
    fn lock_file(&self) -> Option<File> {
        let path = self.lock_path();
        let is_new = !path.exists();
        let created = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        if let (Ok(file), true) = (&created, is_new) {
            // A reader can lock it too: it is a courtesy.
            let _ = disk::belongs_to_directory(file, &path);
        }
        created.or_else(|_| File::open(&path)).ok()
    }

    fn take_lock(&self) -> Lock {
        let mut held = self.held_lock();
        if held.is_some() {
            return Lock::Ours;
        }
        let Some(file) = self.lock_file() else { return Lock::Unknown };
        match file.try_lock() {
            Ok(()) => {
                *held = Some(file);
                Lock::Ours
            }
            Err(TryLockError::WouldBlock) => Lock::Taken,
            // Some network file systems have no locks; beats remain.
            Err(TryLockError::Error(_)) => Lock::Unknown,
        }
    }

    /// A shared lock for a moment: two that look do not see each other.
    fn look_at_lock(&self) -> Lock {
        if self.held_lock().is_some() {
            return Lock::Ours;
        }
        let file = match File::open(self.lock_path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Lock::Free,
            Err(_) => return Lock::Unknown,
        };
        match file.try_lock_shared() {
            Ok(()) => Lock::Free,
            Err(TryLockError::WouldBlock) => Lock::Taken,
            Err(TryLockError::Error(_)) => Lock::Unknown,
        }
    }

    fn refuse_if_poisoned(&self, operation: Operation) -> Result<(), StoreError> {
        if !self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError {
            operation,
            place: self.root.display().to_string(),
            trouble: Trouble::Poisoned,
            message: "refused, since the disk failed to keep an earlier write".to_owned(),
        })
    }

    fn refuse_if_crowded(&self, operation: Operation) -> Result<(), StoreError> {
        let waiting = self.under_way.load(Ordering::Acquire);
        if waiting < UNDER_WAY_AT_MOST {
            return Ok(());
        }
        Err(StoreError {
            operation,
            place: self.root.display().to_string(),
            trouble: Trouble::Busy,
            message: format!("the disk has not answered {waiting} earlier calls"),
        })
    }

    fn poison(&self, path: &Path, error: &io::Error) -> StoreError {
        self.poisoned.store(true, Ordering::Release);
        StoreError {
            operation: Operation::Create,
            place: path.display().to_string(),
            trouble: Trouble::Poisoned,
            message: format!("the disk failed to keep a write (fsync): {error}"),
        }
    }
}

fn temporary_name(seq: u64) -> String {
    format!(".{seq:020}.{}.tmp", uuid::Uuid::new_v4().simple())
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.strip_suffix(".tmp").is_some()
}

/// By the file system's own times, since no other clock wrote them.
fn is_stale(file: &fs::DirEntry) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE_TEMPORARY_AGE))
}

fn read(path: &Path, operation: Operation) -> Result<Option<Bytes>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(operation, path, &error)),
    }
}

/// Ascending; an absent directory is empty.
fn numbers_in(directory: &Path, operation: Operation) -> Result<Vec<u64>, StoreError> {
    let files = match fs::read_dir(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(operation, directory, &error)),
    };
    let mut numbers = Vec::new();
    for file in files {
        let file = file.map_err(|error| io_error(operation, directory, &error))?;
        numbers.extend(file.file_name().to_str().and_then(number_of));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Replaces a file as a whole, without waiting for the disk: for what may be lost.
fn replace(path: &Path, bytes: &[u8], operation: Operation) -> Result<(), StoreError> {
    let temporary = path.with_file_name(format!(".replace.{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = RealDisk.write_new(&temporary, bytes);
    let replaced = written.and_then(|_| fs::rename(&temporary, path));
    replaced.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        io_error(operation, path, &error)
    })
}

fn io_error(operation: Operation, path: &Path, error: &io::Error) -> StoreError {
    let trouble = if is_denied(error) {
        Trouble::Denied
    } else if is_full(error) {
        Trouble::Full
    } else {
        Trouble::Failed
    };
    StoreError { operation, place: path.display().to_string(), trouble, message: error.to_string() }
}

fn is_denied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The file was just written here, so what fails now is the link itself.
fn link_error(entry: &Path, error: &io::Error) -> StoreError {
    let kind = error.kind();
    let (trouble, message) = if kind == io::ErrorKind::NotFound {
        (Trouble::Busy, "the temporary file was swept".to_owned())
    } else if is_full(error) {
        (Trouble::Full, error.to_string())
    } else if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) {
        (Trouble::Unfit, format!("this file system has no hard links: {error}"))
    } else {
        // Over a network the link may stand although the answer was lost.
        (Trouble::Unsettled, error.to_string())
    };
    StoreError {
        operation: Operation::Create,
        place: entry.display().to_string(),
        trouble,
        message,
    }
}

#[cfg(test)]
mod tests;
