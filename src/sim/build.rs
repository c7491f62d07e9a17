//! Builders: worlds with a history, laid out up to a given day.

use chrono::{DateTime, Utc};

use super::timing::Timing;
use super::world::Sim;

/// Lays out a world: N days of history up to now, with what is wrong in it.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    now: DateTime<Utc>,
    seed: u64,
    days: u32,
    timing: Timing,
}

impl WorldBuilder {
    /// A world in which it is now `now`, with 30 whole days of history and the production names.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now, seed: 1, days: 30, timing: Timing::realistic() }
    }

    /// The seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many days of history there are.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// How long everything takes.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// The world.
    #[must_use]
    pub fn build(self) -> Sim {
        let _ = (self.now, self.seed, self.days, self.timing);
        todo!()
    }
}
