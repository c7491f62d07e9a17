//! What was read may be older than what was done: EventBridge and ECS are eventually consistent.
//! And the clock may go back.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use gapmend::daemon::{Engine, Errand, NoRecorder, take_up};
use gapmend::ledger::Ledger;
use gapmend::platform::{Clock, World};
use gapmend::sim::{RuleSetting, Sim, SimClock, SimPlatform};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, block_on, date, world};
use super::mortal::{Effect, Fate, Senses};

const GAP: &str = "2026-06-20";

/// Reads the rule as it was before its first change for ten minutes after it, but for the first
/// look.
struct Backwards {
    sim: Sim,
}

impl Senses for Backwards {
    fn lag(&self) -> TimeDelta {
        let world = self.sim.lock();
        let [change] = world.rule_history() else { return TimeDelta::zero() };
        let age = world.now() - change.at;
        let truly = age <= TimeDelta::seconds(3) || age > TimeDelta::minutes(10);
        if truly { TimeDelta::zero() } else { age + TimeDelta::seconds(1) }
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

/// Reads the rule as it was before its first change for three minutes after it, from the first
/// look on.
struct Slow {
    sim: Sim,
}

impl Senses for Slow {
    fn lag(&self) -> TimeDelta {
        let world = self.sim.lock();
        let [change] = world.rule_history() else { return TimeDelta::zero() };
        let age = world.now() - change.at;
        if age > TimeDelta::minutes(3) { TimeDelta::zero() } else { age + TimeDelta::seconds(1) }
    }
}

/// A rule that is still read as enabled after our request was answered: it may be an old reading,
/// or somebody else's doing, so it is waited for, and not disabled again (H15).
#[test]
fn a_disabling_that_was_answered_is_waited_for_and_not_repeated() {
    block_on(async {
        let bed = Bed::holding(world().gap(date(GAP)), "6m");
        let before = bed.copies();
        let senses = Arc::new(Slow { sim: bed.sim.clone() });
        bed.live(&Fate::with_senses(&bed.sim, u64::MAX, senses)).await;
        bed.assert_healed(date(GAP), "read slowly");
        bed.assert_sound(&before, &[date(GAP)], "read slowly").await;
        assert_eq!(bed.sim.lock().faults.calls("events:DisableRule"), 1);
        assert_eq!(bed.sim.lock().rule_history().len(), 2, "one hold");
    });
}

/// A Terraform apply enables the rule again (H15) after the pass has looked at it, while the date
/// is looked at once more; and tells how the rule was whenever a copy was asked for.
struct RollsOut {
    sim: Sim,
    done: Mutex<bool>,
    copied_under: Mutex<Vec<RuleSetting>>,
}

impl RollsOut {
    fn rule(&self) -> RuleSetting {
        let world = self.sim.lock();
        world.rule(&world.names.rule, &world.names.event_bus).unwrap().state
    }
}

impl Senses for RollsOut {
    fn leaves(&self, call: &'static str) {
        let held = self.rule() == RuleSetting::Disabled;
        if held && call == "read glue:partitions_at" && !*self.done.lock().unwrap() {
            *self.done.lock().unwrap() = true;
            self.sim.lock().terraform_enables_trigger();
        }
    }

    fn asks(&self, effect: &Effect) {
        if effect.name == "s3:copy" {
            self.copied_under.lock().unwrap().push(self.rule());
        }
    }
}

/// The pass saw the rule disabled; only the reading right before the copy knows better.
#[test]
fn a_rule_that_comes_back_between_the_look_and_the_copy_is_not_written_under() {
    block_on(async {
        let bed = Bed::staging(world().gap(date(GAP)).old_name(date(GAP)), "6m");
        let before = bed.copies();
        let (done, copied_under) = Default::default();
        let senses = Arc::new(RollsOut { sim: bed.sim.clone(), done, copied_under });
        let watching = Arc::clone(&senses) as _;
        bed.live(&Fate::with_senses(&bed.sim, u64::MAX, watching)).await;
        assert!(*senses.done.lock().unwrap(), "nobody looked at the date under the hold");
        let copied_under = senses.copied_under.lock().unwrap().clone();
        assert_eq!(copied_under, [RuleSetting::Disabled], "once, under the next hold");
        bed.assert_healed(date(GAP), "rolled out");
        bed.assert_sound(&before, &[date(GAP)], "rolled out").await;
    });
}

/// The clock of a machine that is set while the daemon runs.
#[derive(Clone)]
struct Stepping {
    inner: SimClock,
    offset: Arc<Mutex<TimeDelta>>,
}

#[async_trait]
impl Clock for Stepping {
    fn now(&self) -> DateTime<Utc> {
        self.inner.now() + *self.offset.lock().unwrap()
    }

    async fn sleep(&self, duration: std::time::Duration) {
        self.inner.sleep(duration).await;
    }
}

/// The next pass was due by the old time, three hours away by the new: a load of ours was not
/// watched for so long, and would not have yielded.
#[test]
fn a_clock_that_goes_back_does_not_put_off_the_next_pass() {
    block_on(async {
        let bed = Bed::new(world().gap(date(GAP)), "6m");
        let clock = Arc::new(Stepping { inner: bed.clock.clone(), offset: Arc::default() });
        let store = Arc::new(bed.store.clone());
        let ledger = Ledger::open(store, Arc::clone(&clock) as _, "test").await.unwrap();
        let platform = Arc::new(SimPlatform::new(bed.sim.clone()));
        let doors = World { platform, clock: Arc::clone(&clock) as _ };
        let settings = Arc::clone(&bed.settings);
        let mut engine =
            Engine::new(doors, ledger, settings, Arc::new(NoRecorder), Errand::default());
        take_up(&mut engine, &CancellationToken::new()).await.unwrap();
        while bed.sim.lock().faults.calls("ecs:RunTask") == 0 {
            engine.pass("liberator").await;
        }
        engine.pass("liberator").await;
        assert!(engine.due_at("liberator") > clock.now(), "it waits for the next poll");
        *clock.offset.lock().unwrap() = -TimeDelta::hours(3);
        assert!(engine.due_at("liberator") <= clock.now());
    });
}
