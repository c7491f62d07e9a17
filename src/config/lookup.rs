//! Finding the dataset that a command means.

use std::sync::Arc;

use super::settings::{DatasetSettings, Settings};
use super::suggest::{closest, list_of};

/// Why a command's dataset could not be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDataset {
    /// There are several, and none was named.
    #[error("there are several datasets; name one with --dataset: {}", list(.known))]
    Unnamed {
        /// All names.
        known: Vec<String>,
    },
    /// There is none of that name.
    #[error("there is no dataset `{name}`; {}", hint(.name, .known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names.
        known: Vec<String>,
    },
}

fn list(known: &[String]) -> String {
    list_of(known.iter().map(String::as_str))
}

fn hint(name: &str, known: &[String]) -> String {
    match closest(name, known.iter().map(String::as_str)) {
        Some(guess) => format!("did you mean `{guess}`?"),
        None => format!("the datasets are {}", list(known)),
    }
}

impl Settings {
    /// The dataset of that name, or the only one.
    ///
    /// # Errors
    /// There is none of that name, or several and none was named.
    pub fn dataset(&self, name: Option<&str>) -> Result<&Arc<DatasetSettings>, UnknownDataset> {
        let known = || self.datasets.keys().cloned().collect();
        let mut all = self.datasets.values();
        match (name, all.next(), all.next()) {
            (Some(name), _, _) => self
                .datasets
                .get(name)
                .ok_or_else(|| UnknownDataset::Unknown { name: name.to_owned(), known: known() }),
            (None, Some(only), None) => Ok(only),
            (None, _, _) => Err(UnknownDataset::Unnamed { known: known() }),
        }
    }
}
