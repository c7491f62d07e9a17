//! What wakes the loop. Wake-ups carry no data: the loop always looks for itself.
//!
//! The scheduler crate only notifies, once a minute, in UTC. It is never told the schedule
//! or a time zone: it would freeze the zone's offset of the day (its issues 87 and 107), and
//! it forgets ticks missed while the process was down. The truth is `slots::due`; the loop
//! also wakes by its own timer, so that either alone is enough.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Once a minute, on the minute, in UTC.
const EVERY_MINUTE: &str = "0 * * * * *";

/// The loop never sleeps longer: clocks step, requests come, beats are due.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// Nor shorter: what is due at once is due in a moment.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);

/// How long the loop sleeps when it is due again then.
pub(super) fn nap(until: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (until - now).to_std().unwrap_or_default().clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
}

/// Notifies the loop once a minute until it is dropped or shut down.
pub(super) struct MinuteBell(JobScheduler);

impl MinuteBell {
    /// Begins to ring.
    ///
    /// # Errors
    /// The scheduler could not be started; the loop's own timer still wakes it.
    pub(super) async fn start(wake: Arc<Notify>) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let job = Job::new_async(EVERY_MINUTE, move |_id, _scheduler| {
            let wake = Arc::clone(&wake);
            Box::pin(async move { wake.notify_one() })
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self(scheduler))
    }

    /// Rings no more.
    pub(super) async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop cleanly");
        }
    }
}
