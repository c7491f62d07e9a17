//! What a service of the model answers when it refuses: AWS's own code, status and words.

/// A refusal, protocol-neutral: the doors give it its shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SimError {
    /// AWS's code, e.g. `EntityNotFoundException`, `NoSuchKey`.
    pub code: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
    /// AWS's message, or one like it.
    pub message: String,
    /// For ECS's `ConflictException`: the tasks that exist.
    pub resource_ids: Vec<String>,
}

/// The answer of every operation of the model.
pub type SimResult<T> = Result<T, SimError>;

impl SimError {
    /// A refusal with its code, status and message.
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), resource_ids: Vec::new() }
    }
}
