//! The environment as the configuration sees it: a snapshot, so that loading is pure.

use std::collections::BTreeMap;

/// Variables with this prefix set one key each; `__` separates the parts of the key.
pub(super) const PREFIX: &str = "GAPMEND_CONFIG__";

/// This variable holds the text of the configuration file, where there is no file.
pub(super) const TEXT: &str = "GAPMEND_CONFIG_TEXT";

/// A snapshot of the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process: the only place that reads them.
    #[must_use]
    pub fn of_process() -> Self {
        // Text that is not UTF-8 is kept with replacement characters and fails its own check.
        std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .collect()
    }

    /// The value of one variable, unless it is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of gapmend's own variables.
    pub fn our_names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str).filter(|name| name.starts_with("GAPMEND_"))
    }

    /// Whether this is an ECS task, whose disk dies with it.
    #[must_use]
    pub fn is_on_ecs(&self) -> bool {
        self.get("ECS_CONTAINER_METADATA_URI_V4").is_some()
    }

    /// The configuration's own variables, in name order.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables }
    }
}
