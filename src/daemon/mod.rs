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

mod check;
mod engine;
mod giving_up;
mod guard;
mod heal;
mod release;
pub mod report;
mod retire;
mod sending;
mod serve;
pub mod slots;
mod upload;
mod wake;

pub use check::check;
pub use engine::{Engine, Errand, Pass};
pub use guard::Guard;
pub use heal::{HealEnd, Healed, heal};
pub use release::{Released, release};
pub use report::{
    ConfigReport, DatasetReport, Finding, Happening, Names, NoRecorder, Recorder, Report, Verdict,
};
pub use retire::{is_busy, wind_up};
pub use sending::{SendError, Sending, send_parts};
pub use serve::{Reload, serve, take_up, turns};
pub use upload::{UploadNews, end_upload, see_upload_through};
