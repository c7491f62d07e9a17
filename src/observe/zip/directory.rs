//! The central directory: its entries, and whether the load task's `unzip` knows how to unpack
//! each of them.

use super::end::Directory;
use super::names::{Name, Origin, has_unicode_path};
use super::reading::{Checked, broken, number, refused};

const ENTRY_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
/// A 32-bit figure that says: see the zip64 extra field.
const IN_ZIP64: u64 = 0xffff_ffff;
const ZIP64: u64 = 1;
/// The flag of an entry that asks for a password.
pub(super) const ENCRYPTED: u64 = 1;
/// The flag of an entry whose figures stand behind its data.
pub(super) const STREAMED: u64 = 1 << 3;
/// The flag of names in UTF-8.
pub(super) const UTF8: u64 = 1 << 11;
/// Debian's `unzip` knows the format up to 4.6, which brought bzip2.
const VERSION_AT_MOST: u64 = 46;
/// The system in an entry's needed version at which `unzip` asks a question.
const VMS: u64 = 2;
/// Systems whose volume labels are entries, and not unpacked.
const WITH_LABELS: [u8; 4] = [0, 5, 6, 11];
/// Systems whose file modes are in the directory.
const FILE_TYPE: u64 = 0o170_000;
const SYMLINK: u64 = 0o120_000;

pub(super) const STORED: u64 = 0;

/// A file or folder, as the central directory describes it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) origin: Origin,
    pub(super) method: u64,
    pub(super) crc32: u64,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    pub(super) offset: u64,
    pub(super) is_link: bool,
    /// It is a disk's label, and nothing is made of it.
    pub(super) is_label: bool,
    /// Its extra field has a name in UTF-8.
    pub(super) unicode_path: bool,
}

/// The entries of a directory whose bytes these are.
pub(super) fn entries(mut bytes: &[u8], directory: &Directory) -> Checked<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let length = entry_length(bytes)?;
        let Some((entry, rest)) = bytes.split_at_checked(length) else {
            return Err(damaged("an entry is cut off").into());
        };
        entries.push(read_entry(entry)?);
        bytes = rest;
    }
    let wrap = if directory.entries_wrap { 0xffff } else { u64::MAX };
    if entries.len() as u64 & wrap != directory.entries {
        let (found, said) = (entries.len(), directory.entries);
        return Err(damaged(&format!("it has {found} entries and says {said}")).into());
    }
    Ok(entries)
}

fn damaged(why: &str) -> crate::domain::DumpFault {
    broken(format!("its directory is damaged ({why}): send it again"))
}

fn entry_length(bytes: &[u8]) -> Checked<usize> {
    if bytes.len() < ENTRY_BYTES || !bytes.starts_with(&ENTRY_SIGNATURE) {
        return Err(damaged("an entry is not where it should be").into());
    }
    let variable: u64 = [28, 30, 32].iter().map(|at| number(bytes, *at, 2)).sum();
    Ok(ENTRY_BYTES + usize::try_from(variable).unwrap_or(usize::MAX))
}

fn read_entry(bytes: &[u8]) -> Checked<Entry> {
    let name_length = usize::try_from(number(bytes, 28, 2)).unwrap_or(usize::MAX);
    let extra_length = usize::try_from(number(bytes, 30, 2)).unwrap_or(usize::MAX);
    let (name, rest) = bytes[ENTRY_BYTES..].split_at(name_length);
    let extra = &rest[..extra_length];
    let flags = number(bytes, 8, 2);
    let origin = Origin { host: (bytes[5], bytes[4]), utf8: flags & UTF8 != 0 };
    let name = Name::new(name, extra, origin)?;
    let needed = (number(bytes, 6, 1), number(bytes, 7, 1));
    let method = number(bytes, 10, 2);
    is_known(&name, flags, needed, method)?;
    let figures = [number(bytes, 24, 4), number(bytes, 20, 4), number(bytes, 42, 4)];
    let [unpacked, packed, offset] = in_zip64(figures, extra)?;
    let attributes = number(bytes, 38, 4);
    let label = attributes & 0x18 == 0x08 && WITH_LABELS.contains(&origin.host.0);
    let mode = (attributes >> 16) & FILE_TYPE;
    Ok(Entry {
        is_link: mode == SYMLINK && !name.is_folder(),
        is_label: label,
        unicode_path: has_unicode_path(extra),
        name,
        origin,
        method,
        crc32: number(bytes, 16, 4),
        packed,
        unpacked,
        offset,
    })
}

/// What `unzip` skips, with exit code 81 or 82, or asks about.
fn is_known(name: &Name, flags: u64, needed: (u64, u64), method: u64) -> Checked<()> {
    let name = name.shown();
    if flags & ENCRYPTED != 0 {
        return Err(refused(format!(
            "{name} is encrypted, and the task has no password: send it without one"
        ))
        .into());
    }
    if !is_method_known(method) {
        return Err(refused(format!(
            "{name} is compressed with {}, which the task's unzip does not know: send it deflated",
            method_name(method)
        ))
        .into());
    }
    let (version, system) = needed;
    if system == VMS || version > VERSION_AT_MOST {
        return Err(refused(format!(
            "{name} asks for version {}.{} of the zip format, and the task's unzip knows 4.6: \
             send it deflated, without further features",
            version / 10,
            version % 10
        ))
        .into());
    }
    Ok(())
}

/// Stored, shrunk, imploded, deflated, deflate64 and bzip2: Debian's `unzip` has them.
fn is_method_known(method: u64) -> bool {
    matches!(method, 0 | 1 | 6 | 8 | 9 | 12)
}

fn method_name(method: u64) -> String {
    let name = match method {
        2..=5 => "reducing",
        7 => "tokenizing",
        10 => "PKWARE's imploding",
        14 => "LZMA",
        16 => "IBM's CMPSC",
        18 => "IBM's TERSE",
        19 => "IBM's LZ77",
        20 | 93 => "zstd",
        94 => "MP3",
        95 => "xz",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        99 => "AES encryption",
        _ => return format!("method {method}"),
    };
    format!("{name} (method {method})")
}

/// Figures, each in 64 bits when its 32 say so.
pub(super) fn in_zip64<const N: usize>(figures: [u64; N], mut extra: &[u8]) -> Checked<[u64; N]> {
    let mut figures = figures;
    while extra.len() >= 4 {
        let length = usize::try_from(number(extra, 2, 2)).unwrap_or(usize::MAX);
        let Some(block) = extra.get(4..4_usize.saturating_add(length)) else { break };
        if number(extra, 0, 2) == ZIP64 {
            let mut at = 0;
            for figure in figures.iter_mut().filter(|figure| **figure == IN_ZIP64) {
                if at + 8 > block.len() {
                    return Err(damaged("a zip64 field is too short").into());
                }
                *figure = number(block, at, 8);
                at += 8;
            }
        }
        extra = &extra[4 + length..];
    }
    if figures.contains(&IN_ZIP64) {
        return Err(damaged("a zip64 size is absent").into());
    }
    Ok(figures)
}
