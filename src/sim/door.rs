//! The Platform door: the same world, in our words, in virtual time.

use super::world::Sim;

/// A `Platform` over the model.
#[derive(Clone, Debug)]
pub struct SimPlatform {
    sim: Sim,
}

impl SimPlatform {
    /// A platform over this world.
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
