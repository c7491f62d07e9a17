//! The end of central directory: where `unzip` finds it, and what it says of the directory.

use std::future::Future;

use bytes::Bytes;

use super::reading::{Checked, Parts, broken, number, refused};
use crate::platform::Answer;

/// The end record is at the very end, unless a comment or a few stray bytes follow it.
const TAIL_BYTES: u64 = 4 * 1024;
/// `unzip` looks for the end record in so many last bytes.
const LONGEST_TAIL_BYTES: u64 = 66_000;
/// A dump has one entry; a directory larger than this is not one of ours.
const DIRECTORY_BYTES_AT_MOST: u64 = 4 * 1024 * 1024;

const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
const END64_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
pub(super) const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END64_BYTES: u64 = 56;
/// Control-S: `unzip` stops in a comment that has it, and waits for a key.
const PAUSE: u8 = 0x13;
/// 32-bit figures that ran over are wrong by a multiple of this.
const FOUR_GIB: u64 = 1 << 32;

/// The central directory, by the records at the end.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) size: u64,
    /// How many entries it says that it has.
    pub(super) entries: u64,
    /// Whether that figure has only 16 bits, and more entries than that may be meant.
    pub(super) entries_wrap: bool,
    /// What the records at the end cover: no entry may lie there.
    pub(super) taken: Vec<(u64, u64)>,
}

/// Finds the central directory as `unzip` does: by the last signature of an end record.
pub(super) async fn find<F, R>(parts: &mut Parts<F>) -> Checked<Directory>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    if parts.size < END_BYTES {
        return Err(broken(format!("{} bytes are too few for a zip", parts.size)).into());
    }
    let at = match end_in(parts, TAIL_BYTES).await? {
        Some(at) => at,
        None => end_in(parts, LONGEST_TAIL_BYTES).await?.ok_or_else(|| {
            broken(
                "it has no end of central directory: it was cut off, or is no zip at all. Send \
                 the whole file again",
            )
        })?,
    };
    let record = parts.part(at, END_BYTES.min(parts.size - at)).await?;
    if (record.len() as u64) < END_BYTES {
        return Err(broken("its end of central directory is cut off: send it again").into());
    }
    let comment = number(&record, 20, 2);
    let end = at + END_BYTES + comment;
    if end > parts.size {
        return Err(broken(
            "its comment is cut off, or its last bytes look like another end of central \
             directory: send it again, without a comment",
        )
        .into());
    }
    if parts.part(at + END_BYTES, comment).await?.contains(&PAUSE) {
        return Err(refused(
            "its comment holds a Control-S, at which unzip waits for a key: send it without a \
             comment",
        )
        .into());
    }
    let short = Short {
        this_disk: number(&record, 4, 2),
        directory_disk: number(&record, 6, 2),
        entries_here: number(&record, 8, 2),
        entries: number(&record, 10, 2),
        size: number(&record, 12, 4),
        offset: number(&record, 16, 4),
    };
    let directory = match long(parts, at, &short).await? {
        Some(long) => long.merged(&short, at, end)?,
        None => short.alone(at, end)?,
    };
    check(&directory)?;
    Ok(directory)
}

/// The place of the last signature of an end record in so many last bytes.
async fn end_in<F, R>(parts: &mut Parts<F>, last_bytes: u64) -> Checked<Option<u64>>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    let from = parts.size.saturating_sub(last_bytes);
    let tail = parts.part(from, parts.size - from).await?;
    let found = tail.windows(END_SIGNATURE.len()).rposition(|four| four == END_SIGNATURE);
    Ok(found.map(|at| from + at as u64))
}

fn check(directory: &Directory) -> Checked<()> {
    if directory.size == 0 || directory.entries == 0 {
        return Err(broken("it holds no files: send the zip with the .sql in it").into());
    }
    if directory.size > DIRECTORY_BYTES_AT_MOST {
        let size = directory.size;
        return Err(refused(format!(
            "its directory has {size} bytes, more than {DIRECTORY_BYTES_AT_MOST}: send a zip that \
             holds the .sql alone"
        ))
        .into());
    }
    Ok(())
}

/// The figures of the record that every zip has.
struct Short {
    this_disk: u64,
    directory_disk: u64,
    entries_here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl Short {
    fn alone(&self, at: u64, end: u64) -> Checked<Directory> {
        one_disk(self.this_disk, self.directory_disk)?;
        ends_at(self.offset, self.size, at)?;
        Ok(Directory {
            offset: self.offset,
            size: self.size,
            entries: self.entries,
            entries_wrap: true,
            taken: vec![(at, end)],
        })
    }
}

/// The figures of the zip64 record.
struct Long {
    at: u64,
    end: u64,
    disk: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl Long {
    fn merged(&self, short: &Short, at: u64, end: u64) -> Checked<Directory> {
        let disk = if short.this_disk == 0xffff { self.disk } else { short.this_disk };
        one_disk(disk, 0)?;
        ends_at(self.offset, self.size, self.at)?;
        let locator = at - LOCATOR_BYTES;
        if self.end <= self.at || self.end > locator {
            return Err(broken("its zip64 record says a length that it has not").into());
        }
        Ok(Directory {
            offset: self.offset,
            size: self.size,
            entries: self.entries,
            entries_wrap: false,
            taken: vec![(self.at, self.end), (locator, end)],
        })
    }
}

/// The zip64 record, when there is one that agrees with the end record at `at`.
async fn long<F, R>(parts: &mut Parts<F>, at: u64, short: &Short) -> Checked<Option<Long>>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    let Some(locator_at) = at.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
    let locator = parts.part(locator_at, LOCATOR_BYTES).await?;
    if !locator.starts_with(&LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let disk = number(&locator, 4, 4);
    let disks = number(&locator, 16, 4);
    if short.this_disk != 0xffff && short.this_disk + 1 != disks {
        return Ok(None);
    }
    let mut record_at = number(&locator, 8, 8);
    let outside = || broken("its zip64 record lies outside the file: it was cut off or changed");
    if record_at > locator_at {
        return Err(outside().into());
    }
    let mut record = read64(parts, record_at).await?;
    if !record.starts_with(&END64_SIGNATURE) {
        record_at = locator_at.checked_sub(END64_BYTES).ok_or_else(outside)?;
        record = read64(parts, record_at).await?;
    }
    if !record.starts_with(&END64_SIGNATURE) {
        return Err(broken("its zip64 record is not where it should be: send it again").into());
    }
    let long = Long {
        at: record_at,
        end: record_at.saturating_add(12).saturating_add(number(&record, 4, 8)),
        disk,
        entries: number(&record, 32, 8),
        size: number(&record, 40, 8),
        offset: number(&record, 48, 8),
    };
    let agrees = |short: u64, long: u64, all_ones: u64| short == all_ones || short == long;
    let agree = number(&record, 16, 4) == disk
        && agrees(short.directory_disk, number(&record, 20, 4), 0xffff)
        && agrees(short.entries_here, number(&record, 24, 8), 0xffff)
        && agrees(short.entries, long.entries, 0xffff)
        && agrees(short.size, long.size, 0xffff_ffff)
        && agrees(short.offset, long.offset, 0xffff_ffff);
    Ok(agree.then_some(long))
}

async fn read64<F, R>(parts: &mut Parts<F>, at: u64) -> Checked<Bytes>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    parts.part(at, END64_BYTES.min(parts.size.saturating_sub(at))).await
}

fn one_disk(this: u64, directory: u64) -> Checked<()> {
    if this == 0 && directory == 0 {
        return Ok(());
    }
    Err(refused("it is one of several disks (a split archive): send it as one file, not in parts")
        .into())
}

/// The directory must end where the record after it begins: bytes before it or between, and bytes
/// that are missing, show here.
fn ends_at(offset: u64, size: u64, record_at: u64) -> Checked<()> {
    let says = offset.checked_add(size);
    let Some(says) = says.filter(|says| *says <= record_at) else {
        return Err(broken(
            "bytes are missing: its directory should end further on than it does. Send it again",
        )
        .into());
    };
    let extra = record_at - says;
    if extra == 0 {
        return Ok(());
    }
    let why = if extra.is_multiple_of(FOUR_GIB) {
        "it is over 4 GiB and written without zip64 (macOS's Archive Utility does so): unzip \
         ends with a warning. Send it made by a tool with zip64"
            .to_owned()
    } else {
        format!(
            "{extra} bytes stand before it, or between its parts, that belong to no file (a \
             self-extractor, two archives in one, a transfer that began twice): unzip ends with \
             a warning. Send the zip alone"
        )
    };
    Err(refused(why).into())
}
