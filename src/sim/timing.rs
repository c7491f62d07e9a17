//! How long everything takes: seconds for the demo, hours for the simulation.

use std::time::Duration;

/// A range from which a duration is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

impl Span {
    /// A range.
    #[must_use]
    pub const fn new(from: Duration, to: Duration) -> Self {
        Self { from, to }
    }

    /// Always the same.
    #[must_use]
    pub const fn exactly(duration: Duration) -> Self {
        Self { from: duration, to: duration }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { from: self.from.mul_f64(factor), to: self.to.mul_f64(factor) }
    }
}

/// The durations of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A new task answers `MISSING` for so long.
    pub task_invisible: Duration,
    /// From `RunTask` to `PENDING`.
    pub provisioning: Duration,
    /// From `PENDING` to `RUNNING`: the image pull.
    pub pending: Duration,
    /// From the deletion of the snapshots to DROP: download and unzip.
    pub fetch: Duration,
    /// From DROP to the snapshot.
    pub load: Duration,
    /// From `StopTask` to the death of the container: SIGTERM, then SIGKILL.
    pub stop_grace: Duration,
    /// From the container's end to `STOPPED`.
    pub deprovisioning: Duration,
    /// How long a stopped task can still be described.
    pub describable: Duration,
    /// From `creating` to `available`.
    pub snapshot: Duration,
    /// From `available` to the export lambda's `StartExportTask`.
    pub export_start: Duration,
    /// From `StartExportTask` to its end.
    pub export: Duration,
    /// From the export's end to the last file in the landing zone.
    pub copy: Duration,
    /// From the copier's `UpdateWorkflow` to its `StartWorkflowRun`.
    pub workflow_start: Duration,
    /// The crawl.
    pub crawl: Duration,
    /// Each copy job.
    pub job: Duration,
    /// Files older than the bookmark by more than this are taken for processed (H9).
    pub bookmark_band: Duration,
    /// From a write to the arrival of its event.
    pub cloudtrail: Span,
    /// From `EnableRule`/`DisableRule` to its effect.
    pub propagation: Span,
    /// From a schedule's time to its firing: the Scheduler is exact to the minute.
    pub scheduler: Span,
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

impl Timing {
    /// Hours, as in production.
    #[must_use]
    pub const fn realistic() -> Self {
        Self {
            task_invisible: seconds(5),
            provisioning: seconds(20),
            pending: seconds(60),
            fetch: minutes(5),
            load: minutes(70),
            stop_grace: seconds(30),
            deprovisioning: seconds(25),
            describable: minutes(60),
            snapshot: minutes(12),
            export_start: minutes(1),
            export: minutes(45),
            copy: minutes(12),
            workflow_start: seconds(10),
            crawl: minutes(20),
            job: minutes(35),
            bookmark_band: minutes(15),
            cloudtrail: Span::new(minutes(1), minutes(12)),
            propagation: Span::new(Duration::ZERO, minutes(1)),
            scheduler: Span::new(Duration::ZERO, minutes(1)),
        }
    }

    /// Seconds, for the demo and for end-to-end tests: a whole ingestion takes about eight.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            task_invisible: Duration::from_millis(100),
            provisioning: Duration::from_millis(300),
            pending: Duration::from_millis(300),
            fetch: Duration::from_millis(500),
            load: seconds(2),
            stop_grace: Duration::from_millis(300),
            deprovisioning: Duration::from_millis(200),
            describable: minutes(60),
            snapshot: Duration::from_millis(500),
            export_start: Duration::from_millis(200),
            export: Duration::from_millis(1_500),
            copy: Duration::from_millis(500),
            workflow_start: Duration::from_millis(200),
            crawl: Duration::from_millis(800),
            job: Duration::from_secs(1),
            bookmark_band: Duration::from_millis(400),
            cloudtrail: Span::new(Duration::from_millis(200), Duration::from_millis(800)),
            propagation: Span::new(Duration::ZERO, Duration::from_millis(200)),
            scheduler: Span::new(Duration::ZERO, Duration::from_millis(500)),
        }
    }

    /// Everything longer or shorter by a factor, except how long a stopped task can be described.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let by = |duration: Duration| duration.mul_f64(factor);
        Self {
            task_invisible: by(self.task_invisible),
            provisioning: by(self.provisioning),
            pending: by(self.pending),
            fetch: by(self.fetch),
            load: by(self.load),
            stop_grace: by(self.stop_grace),
            deprovisioning: by(self.deprovisioning),
            describable: self.describable,
            snapshot: by(self.snapshot),
            export_start: by(self.export_start),
            export: by(self.export),
            copy: by(self.copy),
            workflow_start: by(self.workflow_start),
            crawl: by(self.crawl),
            job: by(self.job),
            bookmark_band: by(self.bookmark_band),
            cloudtrail: self.cloudtrail.scaled(factor),
            propagation: self.propagation.scaled(factor),
            scheduler: self.scheduler.scaled(factor),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::realistic()
    }
}
