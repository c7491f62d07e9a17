//! The four calls to the disk whose failure decides whether an entry is there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

/// A disk; tests have one that fails.
pub(super) trait Disk: Send + Sync {
    /// Writes a new file.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File>;
    /// Makes a file's content durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Gives a file a second name, unless that name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The real one.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        belongs_to_directory(&file, path)?;
        Ok(file)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Gives a new file or directory the owner of the directory that it is in, and what of its rights
/// a file can have: whoever writes here, root with a narrow umask too, writes for the daemon.
pub(super) fn belongs_to_directory(file: &File, path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    let (of, ours) = (fs::metadata(directory)?, file.metadata()?);
    if (of.uid(), of.gid()) != (ours.uid(), ours.gid()) {
        let given = fchown(file, Some(of.uid()), Some(of.gid()));
        // Only root may give files away; others may give them to a group of theirs.
        let given = given.or_else(|_| fchown(file, None, Some(of.gid())));
        drop(given);
    }
    let mode = if ours.is_dir() { of.mode() & 0o7777 } else { of.mode() & 0o666 };
    file.set_permissions(Permissions::from_mode(mode))
}

/// Creates a directory, unless it is there, and gives it to whom the one around it belongs.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => belongs_to_directory(&File::open(path)?, path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
