//! The wire door of the simulator, driven by the real SDK clients: every operation that
//! gapmend uses, in pages, with conditions, errors and faults.
//!
//! The checks of `s3.rs`, `glue.rs` and `events.rs` marked as portable can be pointed at another
//! endpoint, to compare the door with it: `SIM_WIRE_ENDPOINT=http://127.0.0.1:5000`.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

mod door;
mod ecs;
mod events;
mod faults;
mod glue;
mod ingestion;
mod others;
mod s3;
