//! Checking a zip by its tail: a few KiB by ranged reads, never the whole dump.
//!
//! The end of central directory says how many entries there are and where the directory
//! is; the directory says their names and sizes. That is enough to refuse a truncated file,
//! one with no or several `.sql`, and one that unpacks to more than any task could hold.
//! The bytes are a stranger's: every figure in them is checked before it is used.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;

use crate::domain::{Dump, DumpFault};
use crate::platform::{Answer, ObjectRange, Platform};

/// The end record is at the very end, unless a comment follows it; real dumps have none.
const TAIL_BYTES: u64 = 4 * 1024;
/// The end record with the longest comment that there can be: read only where it is not in the
/// tail.
const LONGEST_TAIL_BYTES: u64 = 22 + 0xffff;
/// A dump has one entry; a directory larger than this is not one of ours.
const DIRECTORY_BYTES_AT_MOST: u64 = 256 * 1024;
/// The load task has a disk of 50 GiB, the zip and the dump side by side.
const UNPACKED_BYTES_AT_MOST: u64 = 45 * 1024 * 1024 * 1024;
/// SQL text packs well, but not that well.
const RATIO_AT_MOST: u64 = 1_000;

const END_SIGNATURE: [u8; 4] = [0x50, 0x4b, 0x05, 0x06];
const ENTRY_SIGNATURE: [u8; 4] = [0x50, 0x4b, 0x01, 0x02];
const ZIP64_LOCATOR_SIGNATURE: [u8; 4] = [0x50, 0x4b, 0x06, 0x07];
const ZIP64_END_SIGNATURE: [u8; 4] = [0x50, 0x4b, 0x06, 0x06];
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const ZIP64_LOCATOR_BYTES: usize = 20;
const ZIP64_END_BYTES: u64 = 56;
/// The flag of an entry that asks for a password.
const ENCRYPTED: u64 = 1;
/// A 32-bit figure that says: look in the zip64 record.
const IN_ZIP64: u64 = 0xffff_ffff;

/// What was found wrong with dumps that were read, by `ETag`: no dump is read twice.
#[derive(Debug, Default)]
pub struct ZipMemory(Mutex<BTreeMap<String, Option<DumpFault>>>);

impl ZipMemory {
    /// What is wrong with the dump, read at most once for each `ETag`.
    pub(super) async fn fault(
        &self,
        platform: &dyn Platform,
        bucket: &str,
        dump: &Dump,
    ) -> Answer<Option<DumpFault>> {
        let known = self.0.lock().ok().and_then(|memory| memory.get(&dump.etag).cloned());
        if let Some(fault) = known {
            return Ok(fault);
        }
        let fault = judge(dump.size, |from, length| {
            let range =
                ObjectRange { key: dump.key.clone(), etag: dump.etag.clone(), from, length };
            async move { platform.read_range(bucket, &range).await }
        })
        .await?;
        if let Ok(mut memory) = self.0.lock() {
            memory.insert(dump.etag.clone(), fault.clone());
        }
        Ok(fault)
    }
}

/// Judges a zip of `size` bytes through `read(from, length)`.
///
/// # Errors
/// It could not be read.
pub async fn judge<F, R>(size: u64, read: F) -> Answer<Option<DumpFault>>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    if size < END_BYTES as u64 {
        return Ok(Some(broken("it is too short")));
    }
    let mut tail_from = size.saturating_sub(TAIL_BYTES);
    let mut tail = read(tail_from, size - tail_from).await?;
    let mut end = find_end(&tail);
    if end.is_none() && tail_from > 0 {
        tail_from = size.saturating_sub(LONGEST_TAIL_BYTES);
        tail = read(tail_from, size - tail_from).await?;
        end = find_end(&tail);
    }
    let Some(end) = end else {
        return Ok(Some(broken("it has no end of central directory: it was cut off")));
    };
    let mut directory = match find_directory(&tail, end, size) {
        Ok(directory) => directory,
        Err(fault) => return Ok(Some(fault)),
    };
    if let Some(at) = directory.zip64_end_at {
        if at.checked_add(ZIP64_END_BYTES).is_none_or(|end| end > size) {
            return Ok(Some(broken("its zip64 record lies outside the file")));
        }
        directory = match zip64_directory(&read(at, ZIP64_END_BYTES).await?) {
            Some(directory) => directory,
            None => return Ok(Some(broken("its zip64 record is not one"))),
        };
    }
    if let Some(fault) = directory.fault(size) {
        return Ok(Some(fault));
    }
    let bytes = if directory.offset >= tail_from {
        tail.slice(usize::try_from(directory.offset - tail_from).unwrap_or(0)..)
    } else {
        read(directory.offset, directory.size.max(1)).await?
    };
    Ok(judge_entries(&bytes, &directory, size))
}

/// Where the central directory is, by the end record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    entries: u64,
    size: u64,
    offset: u64,
    zip64_end_at: Option<u64>,
}

impl Directory {
    fn fault(&self, file_size: u64) -> Option<DumpFault> {
        if self.entries == 0 {
            return Some(DumpFault::NotOneSql(0));
        }
        let end = self.offset.checked_add(self.size);
        if end.is_none_or(|end| end > file_size) {
            return Some(broken("its directory lies outside the file: it was cut off or changed"));
        }
        (self.size > DIRECTORY_BYTES_AT_MOST).then(|| broken("its directory is too large"))
    }
}

fn broken(why: &str) -> DumpFault {
    DumpFault::BrokenZip(why.to_owned())
}

fn find_end(tail: &[u8]) -> Option<usize> {
    (0..=tail.len().saturating_sub(END_BYTES)).rev().find(|at| is_end_record(tail, *at))
}

/// What the end record at `at` says.
fn find_directory(tail: &[u8], at: usize, file_size: u64) -> Result<Directory, DumpFault> {
    let record = &tail[at..];
    let directory = Directory {
        entries: number(record, 10, 2),
        size: number(record, 12, 4),
        offset: number(record, 16, 4),
        zip64_end_at: None,
    };
    let needs_zip64 =
        directory.offset == IN_ZIP64 || directory.size == IN_ZIP64 || directory.entries == 0xffff;
    if !needs_zip64 {
        let ends_at = directory.offset + directory.size;
        let record_at = file_size - (tail.len() - at) as u64;
        if ends_at > record_at {
            return Err(broken("its directory overlaps its end: it was changed"));
        }
        return Ok(directory);
    }
    let locator = at.checked_sub(ZIP64_LOCATOR_BYTES).map(|from| &tail[from..at]);
    match locator {
        Some(locator) if locator.starts_with(&ZIP64_LOCATOR_SIGNATURE) => {
            Ok(Directory { zip64_end_at: Some(number(locator, 8, 8)), ..directory })
        }
        Some(_) | None => Err(broken("its zip64 locator is absent")),
    }
}

/// The end record is where its signature is and its comment ends exactly with the file.
fn is_end_record(tail: &[u8], at: usize) -> bool {
    let record = &tail[at..];
    record.starts_with(&END_SIGNATURE)
        && record.len() >= END_BYTES
        && number(record, 20, 2) == (record.len() - END_BYTES) as u64
}

fn zip64_directory(record: &[u8]) -> Option<Directory> {
    (record.starts_with(&ZIP64_END_SIGNATURE) && record.len() as u64 >= ZIP64_END_BYTES).then(
        || Directory {
            entries: number(record, 32, 8),
            size: number(record, 40, 8),
            offset: number(record, 48, 8),
            zip64_end_at: None,
        },
    )
}

fn judge_entries(mut bytes: &[u8], directory: &Directory, file_size: u64) -> Option<DumpFault> {
    let mut sql_files = 0;
    let mut unpacked = 0_u64;
    for _ in 0..directory.entries {
        if bytes.len() < ENTRY_BYTES || !bytes.starts_with(&ENTRY_SIGNATURE) {
            return Some(broken("its directory has fewer entries than it says"));
        }
        let variable: u64 = [28, 30, 32].iter().map(|at| number(bytes, *at, 2)).sum();
        let name_length = usize::try_from(number(bytes, 28, 2)).unwrap_or(usize::MAX);
        let Some(name) = bytes.get(ENTRY_BYTES..ENTRY_BYTES.saturating_add(name_length)) else {
            return Some(broken("an entry's name is cut off"));
        };
        let is_sql = name.ends_with(b".sql"); // as the task's own pattern has it (H29)
        sql_files += usize::from(is_sql);
        if number(bytes, 8, 2) & ENCRYPTED != 0 {
            return Some(broken("it is encrypted: the task has no password"));
        }
        let size = number(bytes, 24, 4);
        let size = if size == IN_ZIP64 { zip64_size(bytes, name_length) } else { Some(size) };
        let Some(size) = size else { return Some(broken("an entry's zip64 size is absent")) };
        if size == 0 && is_sql {
            return Some(broken("its .sql is empty"));
        }
        unpacked = unpacked.saturating_add(size);
        let entry = usize::try_from(variable).unwrap_or(usize::MAX).saturating_add(ENTRY_BYTES);
        bytes = bytes.get(entry..).unwrap_or_default();
    }
    if sql_files != 1 {
        return Some(DumpFault::NotOneSql(sql_files));
    }
    let too_dense = unpacked / RATIO_AT_MOST > file_size;
    (unpacked > UNPACKED_BYTES_AT_MOST || too_dense)
        .then_some(DumpFault::Bomb { unpacked, packed: file_size })
}

/// The unpacked size in an entry's zip64 extra field, which holds it first.
fn zip64_size(entry: &[u8], name_length: usize) -> Option<u64> {
    let extra_length = usize::try_from(number(entry, 30, 2)).ok()?;
    let from = ENTRY_BYTES.checked_add(name_length)?;
    let mut extra = entry.get(from..from.checked_add(extra_length)?)?;
    while extra.len() >= 4 {
        let length = usize::try_from(number(extra, 2, 2)).ok()?;
        if number(extra, 0, 2) == 1 && length >= 8 {
            return extra.get(4..12).map(|field| number(field, 0, 8));
        }
        extra = extra.get(4 + length..)?;
    }
    None
}

/// A little-endian number of `length` bytes; 0 past the end.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let field = bytes.get(at..at + length).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Judges a whole zip that is at hand, as a fuzz target and the `upload` command do.
#[must_use]
pub fn judge_bytes(whole: &Bytes) -> Option<DumpFault> {
    let size = whole.len() as u64;
    let slice = |from: u64, length: u64| {
        let place = |at: u64| usize::try_from(at.min(size)).unwrap_or(usize::MAX);
        std::future::ready(Ok(whole.slice(place(from)..place(from.saturating_add(length)))))
    };
    let judged = futures_util::FutureExt::now_or_never(judge(size, slice));
    judged.and_then(Result::ok).unwrap_or_else(|| Some(broken("it cannot be read")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::cases;
    use proptest::prelude::*;

    fn zip(entries: &[(&str, u32)]) -> Vec<u8> {
        let mut file = vec![0_u8; 40];
        let offset = u32::try_from(file.len()).unwrap();
        for (name, unpacked) in entries {
            let mut entry = vec![0_u8; ENTRY_BYTES];
            entry[..4].copy_from_slice(&ENTRY_SIGNATURE);
            entry[24..28].copy_from_slice(&unpacked.to_le_bytes());
            entry[28..30].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            file.extend(entry);
            file.extend(name.as_bytes());
        }
        let size = u32::try_from(file.len()).unwrap() - offset;
        let count = u16::try_from(entries.len()).unwrap();
        let mut end = vec![0_u8; END_BYTES];
        end[..4].copy_from_slice(&END_SIGNATURE);
        end[10..12].copy_from_slice(&count.to_le_bytes());
        end[12..16].copy_from_slice(&size.to_le_bytes());
        end[16..20].copy_from_slice(&offset.to_le_bytes());
        file.extend(end);
        file
    }

    #[test]
    fn a_zip_with_one_sql_is_good() {
        assert_eq!(judge_bytes(&zip(&[("dump/liberator.sql", 1000)]).into()), None);
    }

    #[test]
    fn a_zip_with_two_or_no_sql_is_refused() {
        let two = zip(&[("a.sql", 1), ("b.sql", 1)]);
        assert_eq!(judge_bytes(&two.into()), Some(DumpFault::NotOneSql(2)));
        let shouted = zip(&[("A.SQL", 1)]);
        assert_eq!(judge_bytes(&shouted.into()), Some(DumpFault::NotOneSql(0)));
        assert_eq!(judge_bytes(&zip(&[("a.txt", 1)]).into()), Some(DumpFault::NotOneSql(0)));
        assert_eq!(judge_bytes(&zip(&[]).into()), Some(DumpFault::NotOneSql(0)));
    }

    #[test]
    fn what_the_task_cannot_unpack_or_would_load_as_nothing_is_refused() {
        let mut encrypted = zip(&[("a.sql", 1000)]);
        encrypted[40 + 8] = 1;
        let says = |bytes: Vec<u8>| judge_bytes(&bytes.into()).map(|fault| fault.to_string());
        assert!(says(encrypted).is_some_and(|words| words.contains("encrypted")));
        assert!(says(zip(&[("a.sql", 0)])).is_some_and(|words| words.contains("empty")));
        assert_eq!(says(zip(&[("folder/", 0), ("folder/a.sql", 9)])), None);
    }

    #[test]
    fn a_truncated_zip_is_refused() {
        let mut whole = zip(&[("a.sql", 1)]);
        whole.truncate(whole.len() - 5);
        assert!(matches!(judge_bytes(&whole.into()), Some(DumpFault::BrokenZip(_))));
        let middle = zip(&[("a.sql", 1)])[20..].to_vec();
        assert!(matches!(judge_bytes(&middle.into()), Some(DumpFault::BrokenZip(_))));
    }

    #[test]
    fn a_bomb_is_refused_by_its_own_figures() {
        let bomb = zip(&[("a.sql", 4_000_000_000)]);
        assert!(matches!(judge_bytes(&bomb.into()), Some(DumpFault::Bomb { .. })));
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = judge_bytes(&bytes.into());
        }

        #[test]
        fn any_damage_to_a_good_zip_is_judged_without_panic(at in 0_usize..115, to in any::<u8>()) {
            let mut bytes = zip(&[("a.sql", 1)]);
            let last = bytes.len() - 1;
            bytes[at.min(last)] = to;
            let _ = judge_bytes(&bytes.into());
        }
    }
}
