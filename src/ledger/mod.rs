//! Numbered JSON entries, replay, and the two stores.
//!
//! Appending is creating entry N+1; who loses reads the tail and decides again. So no
//! decision is ever made on a stale state, and two processes are safe without clocks or
//! leases. Nothing here decides anything.
//!
//! ```text
//!   event, state   what is said, and what it adds up to
//!   log            one process's ledger: open, refresh, append
//!   acting         epochs, beats, standing by
//!   store          the port ── directory, s3, memory (tests and the simulation)
//! ```

pub mod acting;
mod bounded;
pub mod check;
mod checkpoint;
mod codec;
pub mod directory;
pub mod error;
pub mod event;
mod held;
pub mod log;
pub mod memory;
pub mod open;
pub mod process;
mod reading;
pub mod s3;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;

pub use acting::{Beat, TakeOver, WhoActs};
pub use check::{LedgerCheck, LedgerFault};
pub use directory::DirectoryStore;
pub use error::LedgerError;
pub use event::{
    Asked, Entry, EntrySpan, Event, HoldStep, HoldWhy, Repeat, Request, ScanCause, ScanRecord,
    StopWhy, Trace, UploadOutcome,
};
pub use held::Held;
pub use log::{Appended, Ledger};
pub use memory::MemoryStore;
pub use open::refuse_directory_on_ecs;
pub use process::Process;
pub use s3::S3Store;
pub use state::{
    DatasetState, Hold, Loss, ReplayError, RequestRecord, Run, State, SweptDump, Upload,
};
pub use store::{Store, StoreError};
