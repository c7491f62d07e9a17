//! The trigger: the event rule that fires the live run, as we see it.

use serde::{Deserialize, Serialize};

/// What the live trigger is, seen together with our own ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerState {
    /// The rule is enabled.
    Enabled,
    /// The rule is disabled, and a hold of ours says why.
    Held,
    /// The rule is disabled, and not by us: reported, never touched.
    DisabledByOther,
    /// The rule could not be seen.
    Unknown,
}

impl TriggerState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Enabled, Self::Held, Self::DisabledByOther, Self::Unknown];

    /// The public name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Held => "held",
            Self::DisabledByOther => "disabled_by_other",
            Self::Unknown => "unknown",
        }
    }
}
