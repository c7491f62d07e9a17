//! It survives anything: a process may die at every call that it makes, and every call may go
//! wrong, and still each gap is healed exactly once and nothing else is touched.
//!
//! The real engine runs over the model of the pipeline and a ledger in memory, in virtual time.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod bed;
mod crash_points;
mod faults;
mod holding;
mod interleavings;
mod laws;
mod mortal;
mod stale;
mod years;
