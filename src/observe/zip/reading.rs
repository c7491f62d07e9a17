//! Reading parts of a dump: bounded in number and bytes, and nothing is read twice.

use std::future::Future;

use bytes::Bytes;

use crate::domain::{DumpFault, ErrorClass};
use crate::platform::{Answer, PlatformError};

/// A part of the dump is read in pieces of at least so many bytes.
const WINDOW_BYTES: u64 = 4 * 1024;
/// The whole check of one dump asks for at most so many parts: a dump of one script needs three.
const READS_AT_MOST: usize = 64;
/// The whole check of one dump reads at most so many bytes.
const READ_BYTES_AT_MOST: u64 = 8 * 1024 * 1024;

/// Why a check ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The dump is bad.
    Bad(DumpFault),
    /// A part of it could not be read.
    Unread(PlatformError),
}

impl From<DumpFault> for Stop {
    fn from(fault: DumpFault) -> Self {
        Self::Bad(fault)
    }
}

pub(super) type Checked<T> = Result<T, Stop>;

/// The bytes are not those of a whole zip.
pub(super) fn broken(why: impl Into<String>) -> DumpFault {
    DumpFault::BrokenZip(why.into())
}

/// The bytes are a zip, but not one that the load task's `unzip` unpacks without a complaint.
pub(super) fn refused(why: impl Into<String>) -> DumpFault {
    DumpFault::NotUnpackable(why.into())
}

/// A dump of `size` bytes, read in parts through `read(from, length)`.
pub(super) struct Parts<F> {
    pub(super) size: u64,
    read: F,
    windows: Vec<(u64, Bytes)>,
    bytes_read: u64,
}

impl<F, R> Parts<F>
where
    F: Fn(u64, u64) -> R,
    R: Future<Output = Answer<Bytes>>,
{
    pub(super) fn new(size: u64, read: F) -> Self {
        Self { size, read, windows: Vec::new(), bytes_read: 0 }
    }

    /// Bytes `from..from + length`, which must lie inside the dump.
    pub(super) async fn part(&mut self, from: u64, length: u64) -> Checked<Bytes> {
        let end = from.checked_add(length).filter(|end| *end <= self.size);
        let Some(end) = end else {
            return Err(broken("a part of it lies outside the file: it was cut off").into());
        };
        if length == 0 {
            return Ok(Bytes::new());
        }
        if let Some(known) = self.known(from, end) {
            return Ok(known);
        }
        let whole = length.max(WINDOW_BYTES).min(self.size - from);
        if self.windows.len() >= READS_AT_MOST || self.bytes_read + whole > READ_BYTES_AT_MOST {
            return Err(refused(format!(
                "its entries are too many to check ({READS_AT_MOST} reads, {READ_BYTES_AT_MOST} \
                 bytes at most): send a zip that holds the .sql alone"
            ))
            .into());
        }
        let bytes = (self.read)(from, whole).await.map_err(Stop::Unread)?;
        if bytes.len() as u64 != whole {
            return Err(Stop::Unread(short_answer(whole, bytes.len())));
        }
        self.bytes_read += whole;
        self.windows.push((from, bytes));
        self.known(from, end).ok_or_else(|| Stop::Unread(short_answer(length, 0)))
    }

    fn known(&self, from: u64, end: u64) -> Option<Bytes> {
        self.windows.iter().find_map(|(start, bytes)| {
            let first = usize::try_from(from.checked_sub(*start)?).ok()?;
            let last = usize::try_from(end.checked_sub(*start)?).ok()?;
            (last <= bytes.len()).then(|| bytes.slice(first..last))
        })
    }
}

fn short_answer(asked: u64, came: usize) -> PlatformError {
    PlatformError {
        operation: "s3:GetObject",
        class: ErrorClass::Transport,
        code: None,
        message: format!("{came} bytes came where {asked} were asked for"),
        request_id: None,
    }
}

/// A little-endian number of `length` bytes; 0 past the end.
pub(super) fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let field = bytes.get(at..at.saturating_add(length)).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
