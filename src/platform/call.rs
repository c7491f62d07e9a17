//! What became of each request: for the metrics of whoever watches the traffic.
//!
//! Told once for every attempt on the wire, retries included. It never sees names, ids or
//! messages, so that nothing of them can reach a label.

use crate::domain::ErrorClass;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The service gave the answer asked for.
    Ok,
    /// It did not; "it is not there" and "it exists" are such answers too.
    Failed(ErrorClass),
}

impl CallResult {
    /// Every label, in order: `ok` first, then the classes of failures.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        std::iter::once(Self::Ok.label()).chain(ErrorClass::ALL.into_iter().map(ErrorClass::label))
    }

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(class) => class.label(),
        }
    }
}

/// Whoever counts the requests.
pub trait CallObserver: Send + Sync {
    /// One attempt is over. `service` is like `glue`, `operation` like `GetPartitions`.
    fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        result: CallResult,
        seconds: f64,
    );
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn called(
        &self,
        _service: &'static str,
        _operation: &'static str,
        _result: CallResult,
        _seconds: f64,
    ) {
    }
}
