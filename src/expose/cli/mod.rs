//! The command line: what it takes, and what it prints.
//!
//! ```text
//!   args      the commands                       (clap)
//!   scan …    data ──► String, pure              (calendar, tables, texts)
//!   out       the one place that prints
//!   progress  a run's stages while `heal` waits
//! ```
//!
//! A colour never says anything that a letter or a word beside it does not say.

pub mod args;
mod calendar;
mod check;
mod explain;
mod history;
mod out;
mod plan;
mod progress;
mod scan;
mod status;
mod style;
mod table;

pub use args::{Cli, Command, Output};
pub use check::check_text;
pub use explain::explain_text;
pub use history::history_text;
pub use out::Out;
pub use plan::plan_text;
pub use progress::{HealProgress, StageLimits};
pub use scan::scan_text;
pub use status::{status_text, trigger_text};
pub use style::Paper;

#[cfg(test)]
mod tests;
