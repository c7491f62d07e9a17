//! Virtual time: sleeping advances the world.

use super::world::Sim;

/// A `Clock` in virtual time over the model.
#[derive(Clone, Debug)]
pub struct SimClock {
    sim: Sim,
}

impl SimClock {
    /// A clock over this world.
    #[must_use]
    pub fn new(sim: Sim) -> Self {
        Self { sim }
    }

    /// The world behind it.
    #[must_use]
    pub fn sim(&self) -> &Sim {
        &self.sim
    }
}
