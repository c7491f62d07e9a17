//! The command line: what it takes, and what it prints.
//!
//! ```text
//!   args      the commands                       (clap)
//!   scan …    data ──► String, pure              (calendar, tables, texts)
//!   out       the one place that prints
//!   progress  a run's stages while `heal` waits
//!   waiting   a sign of life while AWS is asked
//! ```
//!
//! A colour never says anything that a letter or a word beside it does not say.

pub mod args;
mod calendar;
mod check;
mod examples;
mod explain;
mod export;
mod history;
mod ledger;
mod left;
mod out;
mod plan;
mod progress;
mod scan;
mod status;
mod style;
mod table;
mod upload;
mod waiting;

pub use args::{Cli, Command, Output};
pub use check::check_text;
pub use explain::{answer_text, explain_text};
pub use export::{csv_header, csv_lines};
pub use history::history_text;
pub use ledger::ledger_check_text;
pub use left::{Left, left_text};
pub use out::Out;
pub use plan::plan_text;
pub use progress::HealProgress;
pub use scan::{calendar_text, scan_text};
pub use status::{status_text, trigger_text};
pub use style::Paper;
pub use upload::{PartsProgress, upload_text};
pub use waiting::{CallCount, while_waiting};

#[cfg(test)]
mod tests;
