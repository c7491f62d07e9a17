//! Failures: what went wrong, whether it may be tried again, and "could not see".

use serde::{Deserialize, Serialize};

/// What kind of answer a service gave when it did not give the answer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Slowed down by the service; nothing was done.
    Throttled,
    /// Not permitted, or no credentials; nothing was done.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The request collides with another one or with a state; nothing was done.
    Conflict,
    /// The service does not understand the request; nothing was done.
    Invalid,
    /// A 5xx answer: the effect is unknown.
    Server,
    /// No answer in time: the effect is unknown.
    Timeout,
    /// The connection failed or broke: the effect is unknown.
    Transport,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Throttled,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::Invalid,
        Self::Server,
        Self::Timeout,
        Self::Transport,
    ];

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
        }
    }

    /// Whether the request may have been carried out all the same.
    #[must_use]
    pub fn effect_unknown(self) -> bool {
        matches!(self, Self::Server | Self::Timeout | Self::Transport)
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.effect_unknown() || matches!(self, Self::Throttled | Self::Conflict)
    }

    /// What a person could do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Throttled => "the service is slowing us down; it is tried again on the next pass",
            Self::Denied => "check the credentials and the policy of gapmend's role",
            Self::NotFound => "check the name in the configuration",
            Self::Conflict => "something else is changing the same thing; it is tried again",
            Self::Invalid => {
                "check the configuration; the service refused the request as it stands"
            }
            Self::Server | Self::Timeout | Self::Transport => {
                "the service or the network failed; it is tried again on the next pass"
            }
        }
    }
}

/// One thing that a look could not see, and why. Never read as "is not there".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blindness {
    /// What was looked for, e.g. `partitions of raw.liberator_pcn`.
    pub what: String,
    /// Why it could not be seen.
    pub why: String,
    /// The kind of the failure.
    pub class: ErrorClass,
}

impl std::fmt::Display for Blindness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not see {}: {} ({})", self.what, self.why, self.class.hint())
    }
}

/// What a look found, or that it could not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// All of it was seen.
    Known(T),
    /// Some of it could not be seen, so none of it is believed.
    Blind(Vec<Blindness>),
}

impl<T> Seen<T> {
    /// What was seen, if all of it was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Blind(_) => None,
        }
    }

    /// What could not be seen.
    pub fn blindness(&self) -> &[Blindness] {
        match self {
            Self::Known(_) => &[],
            Self::Blind(causes) => causes,
        }
    }
}

/// Why a run failed; the `reason` label of `run_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The stage took longer than its deadline.
    Deadline,
    /// The service refused to start it (capacity, parameters).
    NotStarted,
    /// It ran and failed (exit code, failed node, failed export).
    Failed,
    /// The service says that it succeeded, but the data is not there.
    OutputMissing,
    /// Not permitted.
    Denied,
    /// The dump vanished, changed or is unreadable.
    SourceChanged,
    /// It can be done once only, and was done already (H21).
    Spent,
    /// What we started cannot be found any more.
    Lost,
    /// The date changed under us: it is available or partial by now.
    DataChanged,
    /// The copy between export and raw lacks files of the export, or holds another's (H18, H20).
    CopyIncomplete,
    /// The snapshot is there and its export was never asked for (H17).
    NotExported,
}

impl FailureReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Deadline,
        Self::NotStarted,
        Self::Failed,
        Self::OutputMissing,
        Self::Denied,
        Self::SourceChanged,
        Self::Spent,
        Self::Lost,
        Self::DataChanged,
        Self::CopyIncomplete,
        Self::NotExported,
    ];

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::NotStarted => "not_started",
            Self::Failed => "failed",
            Self::OutputMissing => "output_missing",
            Self::Denied => "denied",
            Self::SourceChanged => "source_changed",
            Self::Spent => "spent",
            Self::Lost => "lost",
            Self::DataChanged => "data_changed",
            Self::CopyIncomplete => "copy_incomplete",
            Self::NotExported => "not_exported",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means_for_its_effect_and_for_the_next_try() {
        use ErrorClass as E;
        let unknown = [E::Server, E::Timeout, E::Transport];
        let transient = [E::Throttled, E::Conflict, E::Server, E::Timeout, E::Transport];
        for class in E::ALL {
            assert_eq!(class.effect_unknown(), unknown.contains(&class), "{class:?}");
            assert_eq!(class.is_transient(), transient.contains(&class), "{class:?}");
            let promises = class.hint().contains("tried again");
            assert_eq!(promises, class.is_transient(), "{class:?}");
        }
    }

    #[test]
    fn what_could_not_be_seen_is_told() {
        let blindness = Blindness {
            what: "the tasks".to_owned(),
            why: "no answer".to_owned(),
            class: ErrorClass::Denied,
        };
        let words = blindness.to_string();
        assert!(words.starts_with("could not see the tasks: no answer (check the"), "{words}");
        assert_eq!(Seen::<()>::Blind(vec![blindness.clone()]).blindness(), [blindness]);
        assert_eq!(Seen::Known(()).blindness(), []);
    }
}
