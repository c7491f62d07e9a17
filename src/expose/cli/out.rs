//! The one place that prints: results to stdout, remarks to stderr.
//!
//! A reader that went away (`gapmend history | head`) is no error.

use std::io::{self, BufWriter, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use comfy_table::Table;
use serde::Serialize;

use super::style::Paper;

/// Where a command's results go.
pub struct Out {
    paper: Paper,
    results: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
    told: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("paper", &self.paper).finish_non_exhaustive()
    }
}

impl Out {
    /// The process's own stdout and stderr; coloured on a terminal, unless `NO_COLOR` is set.
    #[must_use]
    pub fn standard() -> Self {
        let colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        Self {
            paper: Paper::new(Table::new().width(), colour),
            results: Box::new(AutoStream::auto(io::stdout())),
            remarks: Box::new(AutoStream::auto(io::stderr())),
            told: false,
        }
    }

    /// What the texts are to be rendered for.
    #[must_use]
    pub fn paper(&self) -> Paper {
        self.paper
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.told = true;
        let end = if text.ends_with('\n') { "" } else { "\n" };
        unless_closed(write!(self.results, "{text}{end}").and_then(|()| self.results.flush()))
    }

    /// Prints a result over the one before on a terminal, else after it.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn screen(&mut self, text: &str) -> io::Result<()> {
        if !io::stdout().is_terminal() {
            return self.text(text);
        }
        // From the top, each line to its end, then nothing below: no flicker.
        let lines = text.trim_end_matches('\n').replace('\n', "\x1b[K\n");
        let painted = format!("\x1b[H{lines}\x1b[K\n\x1b[J");
        let mut stdout = io::stdout().lock();
        unless_closed(stdout.write_all(painted.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// Prints a JSON document.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        self.told = true;
        unless_closed(write_json(&mut self.results, document))
    }

    /// Prints why there is no document, as one, to a program that would parse nothing.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn json_error(&mut self, message: &str) -> io::Result<()> {
        if self.told { Ok(()) } else { self.json(&serde_json::json!({ "error": message })) }
    }

    /// Prints bytes as they are: completions, the manual.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        unless_closed(self.results.write_all(bytes).and_then(|()| self.results.flush()))
    }

    /// Prints a remark or an error beside the results.
    ///
    /// # Errors
    /// Writing failed, other than because nobody reads any more.
    pub fn remark(&mut self, text: &str) -> io::Result<()> {
        unless_closed(writeln!(self.remarks, "{text}"))
    }
}

/// Writes a document as it is made: of ten years of dates it is ten megabytes.
fn write_json(results: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    let mut buffer = BufWriter::new(results);
    serde_json::to_writer_pretty(&mut buffer, document)?;
    buffer.write_all(b"\n")?;
    buffer.flush()
}

fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        assert!(unless_closed(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(unless_closed(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
