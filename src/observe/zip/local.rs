//! Local headers: an entry's own header before its data, which must say what the directory says.

use std::future::Future;

use bytes::Bytes;

use super::directory::{ENCRYPTED, Entry, STORED, STREAMED, UTF8, in_zip64};
use super::names::{Name, Origin, has_unicode_path};
use super::reading::{Checked, Parts, Stop, broken, number, refused};
use crate::domain::DumpFault;
use crate::platform::Answer;

const SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const HEADER_BYTES: u64 = 30;
const DESCRIPTOR_SIGNATURE: u64 = 0x0807_4b50;
/// A descriptor with its signature and sizes of 64 bits.
const DESCRIPTOR_BYTES: u64 = 24;
/// `unzip` goes so many bytes further behind data whose entry has a name in UTF-8 as well.
const UNICODE_PATH_SKIPS: u64 = 8;

/// Reads the header of an entry and checks it. Answers the bytes `from..to` that `unzip` reads.
pub(super) async fn span<F, R>(
    parts: &mut Parts<F>,
    entry: &Entry,
    any_unicode_path: bool,
) -> Checked<(u64, u64)>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    let fixed = parts.part(entry.offset, HEADER_BYTES).await.map_err(|stop| match stop {
        Stop::Bad(DumpFault::BrokenZip(_)) => not_there(entry).into(),
        Stop::Bad(fault) => Stop::Bad(fault),
        Stop::Unread(error) => Stop::Unread(error),
    })?;
    if !fixed.starts_with(&SIGNATURE) {
        return Err(not_there(entry).into());
    }
    let header = Header::read(&fixed);
    let data_at = entry.offset + HEADER_BYTES + header.name_length + header.extra_length;
    let variable = header.name_length + header.extra_length;
    let variable = parts.part(entry.offset + HEADER_BYTES, variable).await?;
    let name_length = usize::try_from(header.name_length).unwrap_or(usize::MAX);
    let (name, extra) = variable.split_at(name_length);
    header.agrees(entry, name, extra)?;
    let data_end = data_at.saturating_add(entry.packed);
    if data_end > parts.size {
        return Err(broken(format!(
            "{} should go on after the file's end: it was cut off. Send it again",
            entry.name.shown()
        ))
        .into());
    }
    if entry.name.is_folder() || entry.is_label {
        return Ok((entry.offset, data_at));
    }
    let mut end = data_end;
    if header.flags & STREAMED != 0 {
        end += descriptor(parts, entry, data_end).await?;
        if any_unicode_path || has_unicode_path(extra) {
            end += UNICODE_PATH_SKIPS;
        }
    }
    Ok((entry.offset, end))
}

fn not_there(entry: &Entry) -> DumpFault {
    broken(format!(
        "{} does not begin where its directory says: bytes were lost or added in the middle. Send \
         it again",
        entry.name.shown()
    ))
}

struct Header {
    flags: u64,
    method: u64,
    figures: [u64; 2],
    crc32: u64,
    name_length: u64,
    extra_length: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Self {
        Self {
            flags: number(bytes, 6, 2),
            method: number(bytes, 8, 2),
            crc32: number(bytes, 14, 4),
            figures: [number(bytes, 22, 4), number(bytes, 18, 4)],
            name_length: number(bytes, 26, 2),
            extra_length: number(bytes, 28, 2),
        }
    }

    /// The header must not contradict the directory: `unzip` believes now the one, now the other.
    fn agrees(&self, entry: &Entry, name: &[u8], extra: &[u8]) -> Checked<()> {
        let differs = |what: &str| -> Checked<()> {
            let name = entry.name.shown();
            Err(broken(format!(
                "{name} has another {what} in its own header than in the directory: it is \
                 damaged. Send it again"
            ))
            .into())
        };
        if self.flags & ENCRYPTED != 0 {
            return differs("encryption");
        }
        let utf8 = self.flags & UTF8 != 0;
        if utf8 != entry.origin.utf8 {
            return differs("encoding of its name");
        }
        let own = Name::new(name, extra, Origin { utf8, ..entry.origin })?;
        if !own.is(&entry.name) {
            return differs("name");
        }
        if self.method != entry.method {
            return differs("compression");
        }
        let streamed = self.flags & STREAMED != 0;
        if !streamed {
            let figures = in_zip64(self.figures, extra)?;
            if figures != [entry.unpacked, entry.packed] {
                return differs("size");
            }
            if self.crc32 != entry.crc32 {
                return differs("checksum");
            }
        }
        if entry.name.is_folder() || entry.is_label {
            return Ok(());
        }
        if entry.method == STORED && entry.packed != entry.unpacked {
            return differs("size");
        }
        if entry.method != STORED && entry.packed == 0 {
            let name = entry.name.shown();
            return Err(broken(format!("{name} has no compressed data: send it again")).into());
        }
        Ok(())
    }
}

/// How many bytes `unzip` skips for the figures behind streamed data, which must be the
/// directory's.
async fn descriptor<F, R>(parts: &mut Parts<F>, entry: &Entry, at: u64) -> Checked<u64>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    let bytes = parts.part(at, DESCRIPTOR_BYTES.min(parts.size - at)).await?;
    let signed =
        number(&bytes, 0, 4) == DESCRIPTOR_SIGNATURE && entry.crc32 != DESCRIPTOR_SIGNATURE;
    let from = if signed { 4 } else { 0 };
    let says = |width: usize| {
        number(&bytes, from, 4) == entry.crc32
            && number(&bytes, from + 4, width) == entry.packed & mask(width)
            && number(&bytes, from + 4 + width, width) == entry.unpacked & mask(width)
    };
    if entry.crc32 == DESCRIPTOR_SIGNATURE || !(says(4) || says(8)) {
        return Err(refused(format!(
            "the figures behind {}'s data are not those of the directory: it is damaged. Send it \
             again",
            entry.name.shown()
        ))
        .into());
    }
    Ok(if signed { 16 } else { 12 })
}

fn mask(width: usize) -> u64 {
    if width == 8 { u64::MAX } else { 0xffff_ffff }
}
