//! gapmend finds the dates missing from a data lake's raw zone and ingests them again,
//! unattended, one at a time, without ever hurting the live ingestion.
//!
//! ```text
//!            config ──► observe ──► plan ──► act ──► ledger ──► expose
//!
//!   main     composes; the only one that sees everything
//!   expose   CLI, HTTP, metrics: views of what the daemon last reported
//!   daemon   wake-ups and the pass: look, plan, at most one step, record
//!   act      carries out one step        plan     decides, purely
//!   observe  looks                       ledger   remembers
//!   platform where the world begins: one trait and a clock      (aws, sim beside it)
//!   domain   the nouns
//! ```
//!
//! Arrows go strictly down; `tests/layers.rs` fails on an upward import.

pub mod act;
pub mod aws;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod expose;
pub mod ledger;
pub mod observe;
pub mod plan;
pub mod platform;
pub mod sim;
