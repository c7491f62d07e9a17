//! CloudWatch Logs: the lines that tasks leave behind.

use chrono::{DateTime, Utc};

use super::error::{SimError, SimResult};
use super::world::World;

/// A line of a log stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The line.
    pub message: String,
}

impl World {
    /// `logs:GetLogEvents` without paging: a stream's lines, oldest first.
    pub fn log_events(&self, group: &str, stream: &str) -> SimResult<Vec<LogLine>> {
        let streams = self.log_group(group)?;
        streams.get(stream).cloned().ok_or_else(|| {
            SimError::new(
                "ResourceNotFoundException",
                400,
                "The specified log stream does not exist.",
            )
        })
    }

    /// `logs:DescribeLogStreams` without paging: the names, in order.
    pub fn log_streams(&self, group: &str, prefix: &str) -> SimResult<Vec<String>> {
        let streams = self.log_group(group)?;
        Ok(streams.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn log_group(
        &self,
        group: &str,
    ) -> SimResult<&std::collections::BTreeMap<String, Vec<LogLine>>> {
        self.logs.get(group).ok_or_else(|| {
            SimError::new(
                "ResourceNotFoundException",
                400,
                "The specified log group does not exist.",
            )
        })
    }

    pub(super) fn log(&mut self, stream: &str, message: impl Into<String>) {
        let line = LogLine { at: self.now, message: message.into() };
        let group = self.logs.entry(self.names.log_group.clone()).or_default();
        group.entry(stream.to_owned()).or_default().push(line);
    }
}
