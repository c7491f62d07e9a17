//! Scenarios: the real loop (look, plan, act, ledger) over the model of the pipeline, in
//! virtual time. Each ends by changing nothing and passing again.

mod bed;
mod healing;
mod trigger;
