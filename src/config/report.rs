//! The collector of problems: knows where every key is written, and which values were
//! already complained about, so that one mistake is one problem.

use super::key_path::KeyPath;
use super::layers::{Sources, Spot};
use super::problem::{Place, Problem, Problems, Severity};

/// Collects problems while the configuration is gathered and checked.
pub(super) struct Report {
    pub(super) sources: Sources,
    problems: Vec<Problem>,
    spoiled: Vec<KeyPath>,
}

impl Report {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, problems: Vec::new(), spoiled: Vec::new() }
    }

    pub(super) fn take(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// A value that is wrong.
    pub(super) fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.add(Severity::Error, path, Spot::Value, message.into(), None);
    }

    /// A value that is wrong, and what to do.
    pub(super) fn error_with_help(
        &mut self,
        path: &KeyPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, path, Spot::Value, message.into(), Some(help.into()));
    }

    /// A value that is allowed but deserves a look.
    pub(super) fn warn(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.add(Severity::Warning, path, Spot::Value, message.into(), None);
    }

    /// A key that is wrong, whatever its value: the value is not shown.
    pub(super) fn wrong_key(&mut self, path: &KeyPath, message: String, help: Option<String>) {
        self.add(Severity::Error, path, Spot::Key, message, help);
    }

    /// A key that must be there and is not, unless its value was refused already.
    pub(super) fn missing(&mut self, path: &KeyPath, expected: &str) {
        if !self.is_spoiled(path) {
            let message = format!("missing; expected {expected}");
            self.add(Severity::Error, path, Spot::Key, message, None);
        }
    }

    /// A list that must hold something, unless its elements were refused already.
    pub(super) fn empty(&mut self, path: &KeyPath, expected: &str) {
        if !self.is_spoiled(path) {
            self.error(path, format!("empty; expected {expected}"));
        }
    }

    /// Takes the value, or complains that it is missing.
    pub(super) fn need<T>(
        &mut self,
        value: Option<T>,
        table: &KeyPath,
        key: &str,
        expected: &str,
    ) -> Option<T> {
        if value.is_none() {
            self.missing(&table.key(key), expected);
        }
        value
    }

    /// Remembers that the value at the path was refused and taken out.
    pub(super) fn spoil(&mut self, path: KeyPath) {
        self.spoiled.push(path);
    }

    /// Whether something at, above or below the path was refused already.
    pub(super) fn is_spoiled(&self, path: &KeyPath) -> bool {
        self.spoiled.iter().any(|spoiled| path.starts_with(spoiled) || spoiled.starts_with(path))
    }

    fn add(
        &mut self,
        severity: Severity,
        path: &KeyPath,
        spot: Spot,
        message: String,
        help: Option<String>,
    ) {
        let place = self.sources.place(path, spot);
        self.problems.push(Problem { severity, key: path.to_string(), message, place, help });
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_warnings(self) -> Vec<Problem> {
        self.into_problems().0
    }

    /// Errors before warnings, each in the order of the files.
    pub(super) fn into_problems(mut self) -> Problems {
        self.problems.sort_by(|left, right| {
            let order = |problem: &Problem| (problem.severity, is_unplaced(&problem.place));
            order(left).cmp(&order(right)).then_with(|| left.place.cmp(&right.place))
        });
        self.problems.dedup();
        Problems(self.problems)
    }
}

fn is_unplaced(place: &Place) -> bool {
    !matches!(place, Place::Line { .. })
}
