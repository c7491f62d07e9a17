//! The verdict on a dump that is a zip: a few KiB by ranged reads, never the whole dump.
//!
//! The load task's shell is the oracle: a dump is good when Info-ZIP `unzip` (Debian's 6.0) unpacks
//! it with exit code 0 and without a question, and exactly one file then matches `*.sql`. What
//! `unzip` would do is read from the end records, the central directory and the entries' own
//! headers, as `unzip` reads them:
//!
//! ```text
//!   end ──▶ directory ──▶ names (what lies in the folder) ──▶ local (each entry's header)
//! ```
//!
//! Compressed data is not read, so a checksum that does not fit it cannot be seen here. In
//! everything else this verdict may be stricter than `unzip` and never laxer; `tests/unzip` holds
//! it against the real one. The bytes are a stranger's: every figure in them is checked before it
//! is used.

mod directory;
mod end;
mod local;
mod names;
mod reading;

use bytes::Bytes;

use self::directory::Entry;
use self::reading::{Checked, Parts, Stop, broken, refused};
use crate::domain::{DumpFault, ScriptId};
use crate::platform::Answer;

/// The load task has a disk of 50 GiB, the zip and the dump side by side.
const UNPACKED_BYTES_AT_MOST: u64 = 45 * 1024 * 1024 * 1024;
/// SQL text packs well, but not that well.
const RATIO_AT_MOST: u64 = 1_000;

/// The script of a good dump, or what is wrong with a bad one.
pub type Verdict = Result<ScriptId, DumpFault>;

/// Judges a zip of `size` bytes through `read(from, length)`.
///
/// # Errors
/// It could not be read.
pub async fn judge<F, R>(size: u64, read: F) -> Answer<Verdict>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    match script(&mut Parts::new(size, read)).await {
        Ok(script) => Ok(Ok(script)),
        Err(Stop::Bad(fault)) => Ok(Err(fault)),
        Err(Stop::Unread(error)) => Err(error),
    }
}

/// Judges a whole zip that is at hand.
pub fn judge_bytes(whole: &Bytes) -> Verdict {
    let size = whole.len() as u64;
    let slice = |from: u64, length: u64| {
        let place = |at: u64| usize::try_from(at.min(size)).unwrap_or(usize::MAX);
        std::future::ready(Ok(whole.slice(place(from)..place(from.saturating_add(length)))))
    };
    let judged = futures_util::FutureExt::now_or_never(judge(size, slice));
    judged.and_then(Result::ok).unwrap_or_else(|| Err(broken("it cannot be read")))
}

async fn script<F, R>(parts: &mut Parts<F>) -> Checked<ScriptId>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    let directory = end::find(parts).await?;
    let bytes = parts.part(directory.offset, directory.size).await?;
    let entries = directory::entries(&bytes, &directory)?;
    let script = one_script(&entries)?;
    refuse_bomb(&entries, parts.size)?;
    let any_unicode_path = entries.iter().any(|entry| entry.unicode_path);
    let mut files = directory.taken.clone();
    files.push((directory.offset, directory.offset + directory.size));
    let mut folders = Vec::new();
    for entry in &entries {
        let span = local::span(parts, entry, any_unicode_path).await?;
        let is_file = !entry.name.is_folder() && !entry.is_label;
        if is_file { files.push(span) } else { folders.push(span.0) }
    }
    refuse_overlap(files, &folders)?;
    Ok(script)
}

/// The one file that the load would take.
fn one_script(entries: &[Entry]) -> Checked<ScriptId> {
    let mut folder = names::Folder::default();
    let mut script = None;
    for entry in entries.iter().filter(|entry| !entry.is_label) {
        if folder.add(&entry.name, entry.origin)? {
            script = Some(entry);
        }
    }
    if let Some(fault) = folder.fault() {
        return Err(fault.into());
    }
    let Some(script) = script else { return Err(broken("it holds no files").into()) };
    let name = script.name.shown();
    if script.is_link {
        return Err(refused(format!("{name} is a symbolic link: send the file itself")).into());
    }
    if script.unpacked == 0 {
        return Err(refused(format!("{name} is empty: send the whole dump")).into());
    }
    let crc32 = u32::try_from(script.crc32).unwrap_or_default();
    Ok(ScriptId { crc32, size: script.unpacked })
}

fn refuse_bomb(entries: &[Entry], packed: u64) -> Checked<()> {
    let unpacked = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.unpacked));
    let too_dense = unpacked / RATIO_AT_MOST > packed;
    if unpacked > UNPACKED_BYTES_AT_MOST || too_dense {
        return Err(DumpFault::Bomb { unpacked, packed }.into());
    }
    Ok(())
}

/// `unzip` refuses entries that share bytes with each other or with the directory (exit code 12).
fn refuse_overlap(mut files: Vec<(u64, u64)>, folders: &[u64]) -> Checked<()> {
    files.sort_unstable();
    let overlap = files.windows(2).any(|two| two[0].1 > two[1].0)
        || folders.iter().any(|at| files.iter().any(|(from, to)| (*from..*to).contains(at)));
    if overlap {
        return Err(refused(
            "its entries lie over each other, as in a zip bomb: unzip refuses it. Send the .sql \
             in a zip of its own",
        )
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
