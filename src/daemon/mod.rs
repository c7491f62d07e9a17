//! Wake-ups, and the pass: look, plan, at most one step, record.
//!
//! ```text
//!   minute bell ─┐
//!   own timer ───┤
//!   request ─────┼──► loop ──► pass(dataset) ──► report ──► metrics, HTTP, CLI
//!   signal ──────┘
//! ```
//!
//! Everything goes through [`Engine::pass`]; wake-ups carry no data.

mod engine;
mod heal;
pub mod report;
mod serve;
pub mod slots;
mod wake;

pub use engine::{Engine, Errand, Pass};
pub use heal::{HealEnd, Healed, heal};
pub use report::{ConfigReport, DatasetReport, Happening, NoRecorder, Recorder, Report};
pub use serve::{Reload, serve};
