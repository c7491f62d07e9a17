//! Numbered JSON entries, replay, and the two stores.
//!
//! Appending is creating entry N+1; who loses reads the tail and decides again. So no
//! decision is ever made on a stale state, and two processes are safe without clocks or
//! leases. Nothing here decides anything.

pub mod event;
pub mod state;

pub use event::{
    Asked, Entry, Event, HoldStep, HoldWhy, Repeat, Request, ScanCause, ScanRecord, StopWhy,
};
pub use state::{DatasetState, Hold, ReplayError, Run, State};
