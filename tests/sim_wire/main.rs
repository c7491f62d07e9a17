//! The wire door of the simulator, driven by the real SDK clients: every operation that
//! gapmend uses, in pages, with conditions, errors and faults.
//!
//! The checks of S3, and those of Glue and EventBridge that ask for a `Catalog` or a `Trigger`, can
//! be pointed at another endpoint, to compare the door with it: they make there what they need.
//! `SIM_WIRE_ENDPOINT=http://127.0.0.1:5000 cargo test --test sim_wire -- s3:: portable_`

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

mod door;
mod ecs;
mod events;
mod faults;
mod glue;
mod ingestion;
mod others;
mod s3;
