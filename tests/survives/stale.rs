//! What was read may be older than what was done: EventBridge and ECS are eventually consistent.

use std::sync::Arc;

use chrono::TimeDelta;
use gapmend::sim::{RuleSetting, Sim};

use super::bed::{Bed, block_on, date, world};
use super::mortal::{Fate, Senses};

const GAP: &str = "2026-06-20";

/// Reads the rule as it was half a minute ago after its first change, but for the first look.
struct Backwards {
    sim: Sim,
}

impl Senses for Backwards {
    fn lag(&self) -> TimeDelta {
        let world = self.sim.lock();
        let [change] = world.rule_history() else { return TimeDelta::zero() };
        let seen = world.now() - change.at <= TimeDelta::seconds(3);
        if seen { TimeDelta::zero() } else { TimeDelta::seconds(30) }
    }
}

/// The rule is seen disabled, then as it was before: enabled. It was taken for released, its
/// dead man's switch was deleted, and the live ingestion stayed off for ever.
#[test]
fn a_rule_that_is_read_as_it_was_before_our_hold_is_not_taken_for_released() {
    block_on(async {
        let bed = Bed::holding(world().gap(date(GAP)), "6m");
        let before = bed.copies();
        let senses = Arc::new(Backwards { sim: bed.sim.clone() });
        bed.live(&Fate::with_senses(&bed.sim, u64::MAX, senses)).await;
        bed.assert_sound(&before, &[date(GAP)], "read backwards").await;
        let history = bed.sim.lock().rule_history().to_vec();
        assert_eq!(history.first().map(|change| change.state), Some(RuleSetting::Disabled));
        assert_eq!(history.last().map(|change| change.state), Some(RuleSetting::Enabled));
    });
}
