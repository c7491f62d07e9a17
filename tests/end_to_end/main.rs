//! The built binary, end to end: its commands, exit codes and signals, against the model of the
//! pipeline behind the AWS protocols on a loopback port, in real time.
//!
//! The model's day is today's and its hours are made short, so that a whole ingestion takes a
//! second or two. What is asserted is the model's own bookkeeping (copies, overlaps, changes of
//! the rule) and what the binary prints; nothing waits for a length of time, only for something
//! to be true.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod asking;
mod browsing;
mod demo;
mod documented;
mod encrypted;
mod faults;
mod granted;
mod healing;
mod holding;
mod hostile;
#[path = "../support/iam.rs"]
mod iam;
mod killing;
mod leaving;
mod logging;
mod looking;
mod serving;
mod stage;
mod supervised;
mod unwaiting;
