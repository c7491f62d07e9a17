//! Configuration: figment layers → a raw twin → checked [`Settings`].
//!
//! ```text
//!   built-in defaults ─┐
//!   the file ──────────┤ layers    merge      gather              check
//!   conf.d/*.toml ─────┼────────► one value ────────► raw twin ────────► Settings
//!   GAPMEND_CONFIG__… ─┘                     every problem of both, with file, line and key
//! ```
//!
//! [`load`] is pure over the files, the [`Environment`] and the moment it is given, and
//! cheap to call again, so a reload is the same call. What this layer never does: read
//! the process's environment anywhere but in [`Environment::of_process`], read a clock,
//! stop at the first mistake, panic, or print a value that may be a secret.

mod check;
mod environment;
mod gather;
mod key_path;
mod layers;
mod lookup;
mod problem;
mod raw;
mod reference;
mod report;
mod schema;
pub mod settings;
mod suggest;
mod words;
mod written;

#[cfg(test)]
mod tests;

use std::path::Path;

use chrono::{DateTime, Utc};

pub use environment::Environment;
pub use lookup::UnknownDataset;
pub use problem::{Place, Problem, Problems, Severity};
pub use reference::reference;
pub use schema::schema;
pub use settings::*;

use layers::Layers;
use report::Report;

/// A configuration that is fit for use.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the other layers see.
    pub settings: Settings,
    /// What is allowed but deserves a look.
    pub warnings: Vec<Problem>,
}

/// Loads the file, what lies beside it in `conf.d`, and the environment.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(
    path: &Path,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<Loaded, Problems> {
    finish(Layers::read(path, environment), now)
}

/// Loads a configuration from text: for the demo and for tests.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load_text(
    text: &str,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<Loaded, Problems> {
    finish(Layers::from_text(text, environment), now)
}

fn finish(layers: Layers, now: DateTime<Utc>) -> Result<Loaded, Problems> {
    let mut report = Report::new(layers.sources);
    report.take(layers.problems);
    if report.has_errors() {
        return Err(report.into_problems()); // A half-read configuration has no meaning to check.
    }
    let gathered = gather::gather(layers.merged, &mut report);
    let settings =
        check::settings(gathered.raw, (gathered.fingerprint, gathered.effective), now, &mut report);
    match settings {
        Some(settings) if !report.has_errors() => {
            Ok(Loaded { settings, warnings: report.into_warnings() })
        }
        _ => Err(report.into_problems()),
    }
}
