//! Showing things: metrics, HTTP, the command line and the log.
//!
//! ```text
//!   daemon's Report ──┬─► metrics    /metrics
//!   plan's Census ────┼─► json       --output json, /api/v1
//!   ledger's State ───┼─► http       /, /healthz, /readyz
//!                     ├─► supervisor systemd's notify socket
//!                     └─► cli        tables, calendars, progress
//! ```
//!
//! Everything here is a view. What this layer never does: call AWS, write to the ledger,
//! decide anything, or read a clock (`now` is an argument).

mod advice;
pub mod cli;
mod console;
pub mod embedded_metrics;
mod exit;
pub mod http;
pub mod json;
mod limits;
pub mod metrics;
mod supervisor;
pub mod telemetry;
mod volume;
mod words;

#[cfg(test)]
mod sample;

pub use exit::Exit;
pub use limits::StageLimits;
pub use metrics::Metrics;
pub use supervisor::Supervisor;
