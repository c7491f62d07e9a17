//! How long each stage of a run may take, by the configuration.

use std::time::Duration;

use crate::config::DatasetSettings;
use crate::domain::Stage;

/// How long each stage may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageLimits {
    /// The ECS task.
    pub load: Option<Duration>,
    /// The snapshot, and the export, each.
    pub export: Option<Duration>,
    /// The copy.
    pub copy: Option<Duration>,
    /// The workflow.
    pub publish: Option<Duration>,
}

impl StageLimits {
    /// The deadlines of a dataset.
    #[must_use]
    pub fn of(dataset: &DatasetSettings) -> Self {
        Self {
            load: Some(dataset.load.deadline),
            export: dataset.export.as_ref().map(|export| export.deadline),
            copy: dataset.copy.as_ref().map(|copy| copy.deadline),
            publish: dataset.publish.as_ref().map(|publish| publish.deadline),
        }
    }

    /// Seconds that a stage may take, if it has a limit.
    pub(super) fn seconds(self, stage: Stage) -> Option<i64> {
        let limit = match stage {
            Stage::Load => self.load,
            Stage::Snapshot | Stage::Export => self.export,
            Stage::Copy => self.copy,
            Stage::Publish => self.publish,
            Stage::Preflight | Stage::StageDump | Stage::Verify => None,
        };
        limit.and_then(|limit| i64::try_from(limit.as_secs()).ok())
    }
}
