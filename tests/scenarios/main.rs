//! Scenarios: the real loop (look, plan, act, ledger) over the model of the pipeline, in
//! virtual time. Each ends by changing nothing and passing again.

#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests may fail loudly, and a test crate exports nothing"
)]

mod bed;
mod copying;
mod datasets;
mod detecting;
mod hazards;
mod healing;
mod pipelines;
mod reloading;
mod telling;
mod trigger;
mod upload;
