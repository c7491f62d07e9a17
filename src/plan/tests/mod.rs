//! What is decided, over observations made by hand: one table of statuses, one of gates, and
//! the laws over random ones.

mod census;
mod gates;
mod hold;
mod laws;
mod night;
mod progress;
mod sweep;
mod tended;
mod wake;
mod witness;
