//! How the World's time follows ours.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::platform::{Clock as _, SystemClock};

/// Where the World's time comes from; it is read before each call.
#[derive(Clone, Copy, Debug)]
pub enum WireClock {
    /// The system's clock: what a daemon under test, which reads that clock too, needs.
    System,
    /// A day of one's own that passes faster or slower than ours.
    Scaled {
        /// The World's time when `since` was.
        base: DateTime<Utc>,
        /// A point of our own time.
        since: Instant,
        /// The World's seconds for one of ours.
        factor: f64,
    },
    /// The door never moves the World: whoever holds the `Sim` does.
    Manual,
}

impl WireClock {
    /// From now on, `factor` seconds of the World for each of ours, beginning at `base`.
    #[must_use]
    pub fn scaled(base: DateTime<Utc>, factor: f64) -> Self {
        Self::Scaled { base, since: Instant::now(), factor }
    }

    /// The World's time, unless it is not ours to say.
    #[must_use]
    pub fn now(&self) -> Option<DateTime<Utc>> {
        match *self {
            Self::System => Some(SystemClock.now()),
            Self::Scaled { base, since, factor } => {
                let passed = since.elapsed().as_secs_f64() * factor;
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a demo")]
                let passed = TimeDelta::milliseconds((passed * 1000.0) as i64);
                Some(base + passed)
            }
            Self::Manual => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_scaled_clock_passes_an_hour_in_a_second() {
        let base = DateTime::from_timestamp(1_654_041_600, 0).unwrap();
        let since = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let clock = WireClock::Scaled { base, since, factor: 3600.0 };
        let passed = clock.now().unwrap() - base;
        assert!(passed >= TimeDelta::hours(2), "{passed}");
    }
}
