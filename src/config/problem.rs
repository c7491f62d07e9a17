//! What is wrong with a configuration, shown where it is written.
//!
//! ```text
//! error: unknown key `retires`
//!   --> gapmend.toml:3:1
//!    |
//!  3 | retires = …
//!    | ^^^^^^^
//!    = help: did you mean `retries`?
//! ```

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is used, but deserves a look.
    Warning,
}

/// Where the value in question is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    Line {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The whole line, with anything masked that may be a secret.
        text: String,
        /// How many characters to underline; at least one.
        width: usize,
    },
    /// Somewhere in a file, or the file itself.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
    /// Nowhere: it is missing altogether, or a built-in default.
    Nowhere,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The key, e.g. `datasets.liberator.load.poll`; empty for a whole file.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        if self.key.is_empty() {
            write!(f, "{severity}: {}", self.message)?;
        } else {
            write!(f, "{severity}: {}: {}", self.key, self.message)?;
        }
        let margin = self.write_place(f)?;
        if let Some(help) = &self.help {
            write!(f, "\n{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl Problem {
    /// Writes the place; returns the width of the line number's column.
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
        match &self.place {
            Place::Line { file, line, column, text, width } => {
                let margin = line.to_string().len() + 1;
                writeln!(f, "\n{:margin$}--> {}:{line}:{column}", "", file.display())?;
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, " {line} | {text}")?;
                let underline = "^".repeat(*width);
                write!(f, "{:margin$} | {:indent$}{underline}", "", "", indent = column - 1)?;
                Ok(margin)
            }
            Place::File(file) => {
                write!(f, "\n --> {}", file.display())?;
                Ok(1)
            }
            Place::Variable(name) => {
                write!(f, "\n --> environment variable {name}")?;
                Ok(1)
            }
            Place::Nowhere => Ok(1),
        }
    }
}

/// Everything that is wrong, warnings last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}\n")?;
        }
        let errors = self.0.iter().filter(|problem| problem.severity == Severity::Error).count();
        let noun = if errors == 1 { "problem" } else { "problems" };
        write!(f, "the configuration has {errors} {noun}")
    }
}

impl std::error::Error for Problems {}
