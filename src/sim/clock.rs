//! Virtual time: sleeping advances the world.
//!
//! The clock keeps its own queue of sleepers rather than the runtime's timers, so that it needs no
//! special runtime and the world's time is the only time. The earliest sleeper wakes first, equal ones
//! in the order in which they lay down. Time moves only when nothing else does: a sleeper
//! lets the runtime turn until it has seen [`IDLE_TURNS`] turns in which nobody called the
//! platform, read the clock, lay down or woke, and then the earliest moves the world to its time.
//!
//! For a current-thread runtime, where a turn polls every task that is ready: there it is
//! deterministic. Work that blocks outside the runtime (files, sockets) does not count as activity;
//! hold the time with [`SimClock::hold`] around it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::world::Sim;
use crate::platform::Clock;

/// Turns of the runtime without activity after which time moves: messages between tasks need some.
const IDLE_TURNS: u32 = 32;
/// The same where nobody sends messages between tasks.
const IDLE_TURNS_OF_ONE_TASK: u32 = 3;

/// A `Clock` in virtual time over the model.
#[derive(Clone, Debug)]
pub struct SimClock {
    sim: Sim,
    bed: Arc<Mutex<Bed>>,
}

/// Who sleeps until when.
#[derive(Debug)]
struct Bed {
    sleepers: BTreeSet<(DateTime<Utc>, u64)>,
    next_number: u64,
    activity: u64,
    holds: u32,
    idle_turns: u32,
}

impl SimClock {
    /// A clock over this world. Clones share their sleepers; two clocks of one world do not.
    #[must_use]
    pub fn new(sim: Sim) -> Self {
        Self::with_idle_turns(sim, IDLE_TURNS)
    }

    /// The same where everything runs in one task: a turn polls it all, so few idle ones say
    /// that nobody has anything to do.
    #[must_use]
    pub fn of_one_task(sim: Sim) -> Self {
        Self::with_idle_turns(sim, IDLE_TURNS_OF_ONE_TASK)
    }

    fn with_idle_turns(sim: Sim, idle_turns: u32) -> Self {
        let (sleepers, next_number, activity, holds) = (BTreeSet::new(), 0, 0, 0);
        let bed = Bed { sleepers, next_number, activity, holds, idle_turns };
        Self { sim, bed: Arc::new(Mutex::new(bed)) }
    }

    /// The world behind it.
    #[must_use]
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Time stands still until the guard is dropped.
    #[must_use]
    pub fn hold(&self) -> TimeHold {
        self.bed().holds += 1;
        TimeHold { clock: self.clone() }
    }

    fn bed(&self) -> MutexGuard<'_, Bed> {
        self.bed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, no sleeper moves the time.
#[derive(Debug)]
pub struct TimeHold {
    clock: SimClock,
}

impl Drop for TimeHold {
    fn drop(&mut self) {
        let mut bed = self.clock.bed();
        bed.holds -= 1;
        bed.activity += 1;
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        self.bed().activity += 1;
        self.sim.lock().now()
    }

    async fn sleep(&self, duration: Duration) {
        let length = TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let now = self.sim.lock().now();
        let until = now.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Sleep::new(self.clone(), until).await;
    }
}

struct Sleep {
    clock: SimClock,
    place: (DateTime<Utc>, u64),
    idle_turns: u32,
    seen: (u64, u64),
}

impl Sleep {
    fn new(clock: SimClock, until: DateTime<Utc>) -> Self {
        let mut bed = clock.bed();
        bed.next_number += 1;
        bed.activity += 1;
        let place = (until, bed.next_number);
        bed.sleepers.insert(place);
        drop(bed);
        Self { clock, place, idle_turns: 0, seen: (0, 0) }
    }

    /// Counts the turns in which nobody does anything while this sleeper is the first.
    fn count_turn(&mut self, seen: (u64, u64), may_count: bool, enough: u32) -> bool {
        if seen != self.seen || !may_count {
            self.seen = seen;
            self.idle_turns = 0;
            return false;
        }
        self.idle_turns += 1;
        self.idle_turns >= enough
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (clock, until) = (self.clock.clone(), self.place.0);
        let bed = clock.bed();
        let mut world = clock.sim.lock();
        let is_first = bed.sleepers.first() == Some(&self.place);
        let seen = (bed.activity, world.requests);
        if self.count_turn(seen, is_first && bed.holds == 0, bed.idle_turns) {
            world.advance_to(until);
        }
        // Others may have moved the world past us; still the earliest goes first.
        if is_first && world.now() >= until {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut bed = self.clock.bed();
        bed.sleepers.remove(&self.place);
        bed.activity += 1;
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::sim::WorldBuilder;

    fn clock() -> SimClock {
        let now = Utc.with_ymd_and_hms(2026, 11, 22, 8, 0, 0).unwrap();
        SimClock::new(WorldBuilder::at(now).days(0).build())
    }

    #[tokio::test]
    async fn sleeping_moves_the_world_by_exactly_that_long() {
        let clock = clock();
        let before = clock.now();
        clock.sleep(Duration::from_hours(3)).await;
        assert_eq!(clock.now() - before, TimeDelta::hours(3));
    }

    #[tokio::test]
    async fn the_earliest_sleeper_wakes_first_and_equal_ones_in_order() {
        let clock = clock();
        let woken = Mutex::new(Vec::new());
        let nap = |name: &'static str, seconds: u64| {
            let (clock, woken) = (&clock, &woken);
            async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                woken.lock().unwrap().push((name, clock.now()));
            }
        };
        let start = clock.now();
        futures_util::future::join_all([nap("c", 30), nap("a", 10), nap("b", 10)]).await;
        let at = |seconds| start + TimeDelta::seconds(seconds);
        assert_eq!(*woken.lock().unwrap(), [("a", at(10)), ("b", at(10)), ("c", at(30))]);
    }

    #[tokio::test]
    async fn a_sleep_that_is_given_up_does_not_move_the_world() {
        let clock = clock();
        let start = clock.now();
        tokio::select! {
            () = clock.sleep(Duration::from_hours(1)) => unreachable!("the shorter one wins"),
            () = clock.sleep(Duration::from_mins(1)) => {}
        }
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(clock.now() - start, TimeDelta::minutes(2));
    }

    #[tokio::test]
    async fn a_task_that_is_at_work_is_not_overtaken_by_time() {
        let clock = clock();
        let start = clock.now();
        let (send, mut receive) = tokio::sync::mpsc::channel::<()>(1);
        let work = async {
            for _ in 0..20 {
                send.send(()).await.unwrap();
                tokio::task::yield_now().await;
            }
            clock.now()
        };
        let drain = async {
            for _ in 0..20 {
                receive.recv().await.unwrap();
            }
        };
        let (done_at, (), ()) =
            futures_util::join!(work, drain, clock.sleep(Duration::from_hours(1)));
        assert_eq!(done_at, start);
    }
}
