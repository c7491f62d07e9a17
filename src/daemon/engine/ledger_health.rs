//! Whether the ledger can be read and written, as a daemon that has nothing to do finds out too.
//!
//! A pass that fails says so by itself. Between passes every turn of the loop reads the tail and
//! writes a sign of life, so a ledger that vanished, filled up, hangs or was closed to us is
//! reported within a turn, and not with the next entry hours later.

use super::super::report::Happening;
use super::Engine;
use crate::ledger::LedgerError;

/// The last reading, and the last sign of life.
#[derive(Debug, Default)]
pub(super) struct LedgerHealth {
    unread: Option<LedgerError>,
    unwritten: Option<LedgerError>,
}

impl LedgerHealth {
    pub(super) fn note_reading(&mut self, error: Option<&LedgerError>) {
        self.unread = error.cloned();
    }
}

impl Engine {
    /// Reads what others wrote.
    pub(in crate::daemon) async fn read_ledger(&mut self) {
        let read = self.ledger.refresh().await.err();
        self.count_trouble(read.as_ref(), "the ledger could not be read");
        self.ledger_health.unread = read;
    }

    /// Writes the sign of life, when one is due.
    pub(in crate::daemon) async fn beat(&mut self) {
        let beaten = self.ledger.beat().await.err();
        self.count_trouble(beaten.as_ref(), "the sign of life could not be written");
        self.ledger_health.unwritten = beaten;
    }

    /// Why the ledger cannot be used right now, if so; fits after "failed to".
    pub(super) fn ledger_problem(&self) -> Option<String> {
        let health = &self.ledger_health;
        let trouble = self.ledger_trouble.as_ref();
        let error = trouble.or(health.unread.as_ref()).or(health.unwritten.as_ref())?;
        Some(format!("{}; {}", error.in_words(), error.hint()))
    }

    fn count_trouble(&self, error: Option<&LedgerError>, what: &str) {
        let Some(error) = error else { return };
        let happening = Happening::LedgerFailed { operation: error.operation().label() };
        self.recorder.record(&happening);
        tracing::warn!(error = error.in_words(), "{what}");
    }
}
