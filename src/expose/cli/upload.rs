//! `upload`: the bar while parts are sent, and what came of it.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::expose::words::{minute, size};
use crate::ledger::{Upload, UploadOutcome};

/// Where nobody watches a bar, a line is written for each quarter.
const QUARTERS: u64 = 4;

/// The bytes that were sent, on stderr: a bar on a terminal, a few lines otherwise.
pub struct PartsProgress {
    bytes: u64,
    sent: AtomicU64,
    bar: Option<ProgressBar>,
    lines: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for PartsProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartsProgress").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl PartsProgress {
    /// For a file of so many bytes.
    #[must_use]
    pub fn standard(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let bar = (!bar.is_hidden()).then_some(bar);
        Self {
            bytes,
            sent: AtomicU64::new(0),
            bar,
            lines: Mutex::new(Box::new(anstream::stderr())),
        }
    }

    /// So many more bytes are on their way.
    pub fn sent(&self, bytes: u64) {
        let before = self.sent.fetch_add(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            return bar.inc(bytes);
        }
        let quarter = |sent: u64| sent.saturating_mul(QUARTERS) / self.bytes.max(1);
        if quarter(before) < quarter(before + bytes)
            && let Ok(mut lines) = self.lines.lock()
        {
            // Progress that nobody reads must not end an upload.
            let _ = writeln!(lines, "sent {} of {}", size(before + bytes), size(self.bytes));
        }
    }

    /// Nothing more is sent.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// What came of an upload.
#[must_use]
pub fn upload_text(upload: &Upload, healable: &str) -> String {
    let mut lines = Vec::new();
    let place = format!("s3://{}/{}", upload.bucket, upload.key);
    match &upload.end {
        Some(end) if end.outcome == UploadOutcome::Written => {
            lines.push(format!("{place} is written: {}", size(upload.size)));
            lines.push(format!("sha256 {}", upload.sha256));
        }
        Some(end) => lines.push(format!("{place} was not written: {}", end.detail)),
        None => lines.push(format!("{place} is not written yet")),
    }
    if let Some(hold) = &upload.hold {
        if let (Some(off), Some(on)) = (hold.disabled_at, hold.enabled_at) {
            let (off, on) = (minute(off), minute(on));
            lines.push(format!("The trigger was held from {off} to {on}: {}.", hold.detail));
        }
        for task in &hold.fired {
            lines.push(format!(
                "A live run began after the write although the rule was held: {task}. Look at what it loaded."
            ));
        }
    }
    let written = upload.end.as_ref().is_some_and(|end| end.outcome == UploadOutcome::Written);
    if written && upload.live {
        lines.push("It fires the live run, as every night.".to_owned());
    } else if written {
        lines.push(format!("{healable}."));
    }
    lines.join("\n")
}
