//! Why a command ended without doing what it was asked, in words for a person.

use std::fmt;

use gapmend::config::Problems;
use gapmend::daemon::SendError;
use gapmend::expose::Exit;
use gapmend::ledger::LedgerError;
use gapmend::platform::PlatformError;

/// A message, and the exit code that goes with it.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    exit: Exit,
}

impl Failure {
    /// Wrong usage or configuration.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit: Exit::Usage }
    }

    /// A rule of ours, or the state of the world, forbids it.
    pub(super) fn refused(message: impl fmt::Display) -> Self {
        Self { message: format!("refused: {message}"), exit: Exit::Failed }
    }

    /// Anything else.
    pub(super) fn other(message: impl fmt::Display) -> Self {
        Self { message: format!("error: {message}"), exit: Exit::Failed }
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::usage(problems)
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::other(format!("failed to {}\n  = help: {}", error.in_words(), error.hint()))
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        Self::other(format!("{error}\n  = help: {}", error.class.hint()))
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ledger(error) => error.into(),
            SendError::Platform(error) => error.into(),
            SendError::File(_) => Self::refused(error),
            SendError::Interrupted => Self::other(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::other(error)
    }
}
