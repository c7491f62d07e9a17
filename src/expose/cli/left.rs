//! What `retire` prints at its end: what is left, and where.

use serde::Serialize;

use super::style::{Paper, facts};

/// One thing that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    what: &'static str,
    detail: String,
}

impl Left {
    /// A thing, and where it is.
    #[must_use]
    pub fn new(what: &'static str, detail: String) -> Self {
        Self { what, detail }
    }
}

/// Everything that is left.
#[must_use]
pub fn left_text(left: &[Left], paper: Paper) -> String {
    let known: Vec<(&str, String)> =
        left.iter().map(|one| (one.what, one.detail.clone())).collect();
    let head = paper.bold("gapmend is retired: it starts and changes nothing any more.");
    format!("{head}\n\nWhat is left\n{}", facts(paper, &known))
}
