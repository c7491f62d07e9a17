//! The local file: its size, its checksums, whether it is a whole zip, and its parts.
//!
//! It is read twice: once to know its sums before anything is sent, and once to send it. A part
//! that differs then from what was summed up is not sent: the file changed meanwhile.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gapmend::domain::{DumpFault, ErrorClass};
use gapmend::observe;
use gapmend::platform::{Answer, PlatformError};
use md5::{Digest, Md5};
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::commands::failure::Failure;

/// S3 takes no smaller part but the last, and this much in memory is nothing.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// So many parts at most: their `ETag`s stand in one entry of the ledger. S3 would take ten times
/// as many.
const PARTS_AT_MOST: u64 = 1_000;
/// S3's limit for an object.
const FILE_BYTES_AT_MOST: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// A file that was summed up.
#[derive(Clone, Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    /// Bytes.
    pub(super) size: u64,
    /// Of the whole file, in hex.
    pub(super) sha256: String,
    /// The `ETag`s that its bytes have where they are not encrypted with a key: sent whole, and
    /// sent in our parts.
    pub(super) etags: Vec<String>,
    part_bytes: u64,
    part_sums: Vec<[u8; 16]>,
}

impl LocalFile {
    /// Reads it once.
    pub(super) async fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable =
            |error| Failure::refused(format!("{} cannot be read: {error}", path.display()));
        let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Failure::refused(format!("{} is no file", path.display())));
        }
        let size = metadata.len();
        if size == 0 || size > FILE_BYTES_AT_MOST {
            return Err(Failure::refused(format!("{} has {size} bytes", path.display())));
        }
        let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_AT_MOST));
        let mut file = Self {
            path: path.to_owned(),
            size,
            sha256: String::new(),
            etags: Vec::new(),
            part_bytes,
            part_sums: Vec::new(),
        };
        file.sum_up().await.map_err(unreadable)?;
        Ok(file)
    }

    async fn sum_up(&mut self) -> std::io::Result<()> {
        let (mut whole_md5, mut whole_sha256) = (Md5::new(), Sha256::new());
        let mut sums = Md5::new();
        for number in 1..=self.parts() {
            let bytes = self.bytes_of(number).await?;
            whole_md5.update(&bytes);
            whole_sha256.update(&bytes);
            let sum = Md5::digest(&bytes);
            sums.update(sum);
            self.part_sums.push(sum.into());
        }
        self.sha256 = hex(&whole_sha256.finalize());
        let in_parts = format!("{}-{}", hex(&sums.finalize()), self.parts());
        self.etags = vec![hex(&whole_md5.finalize()), in_parts];
        Ok(())
    }

    /// How many parts it has; they are counted from 1.
    pub(super) fn parts(&self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part_bytes)).unwrap_or(u32::MAX)
    }

    /// One part, as long as the file is what it was.
    pub(super) async fn part(&self, number: u32) -> Result<Bytes, String> {
        let path = self.path.display();
        let read = self.bytes_of(number).await;
        let bytes = read.map_err(|error| format!("{path} cannot be read: {error}"))?;
        let known = usize::try_from(number - 1).ok().and_then(|index| self.part_sums.get(index));
        if known != Some(&Md5::digest(&bytes).into()) {
            return Err(format!("{path} changed while it was sent; nothing was written"));
        }
        Ok(bytes)
    }

    async fn bytes_of(&self, number: u32) -> std::io::Result<Bytes> {
        let from = u64::from(number - 1) * self.part_bytes;
        self.range(from, self.part_bytes.min(self.size - from)).await
    }

    async fn range(&self, from: u64, length: u64) -> std::io::Result<Bytes> {
        let mut file = File::open(&self.path).await?;
        file.seek(SeekFrom::Start(from)).await?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact(&mut bytes).await?;
        Ok(bytes.into())
    }

    /// What is wrong with it as a zip, by its end, exactly as a dump in the bucket is judged.
    pub(super) async fn zip_fault(&self) -> Result<Option<DumpFault>, Failure> {
        let read = |from, length: u64| async move {
            let length = length.min(self.size.saturating_sub(from));
            self.range(from, length).await.map_err(|error| PlatformError {
                operation: "file:read",
                class: ErrorClass::Transport,
                code: None,
                message: error.to_string(),
                request_id: None,
            })
        };
        let judged: Answer<observe::ZipVerdict> = observe::judge_zip(self.size, read).await;
        judged.map(Result::err).map_err(Failure::from)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
