//! Seeded interleavings of everything that touches the trigger: runs and uploads under holds,
//! live dumps at any minute, late events, slow rules, roll-outs and operators, deaths, lost
//! answers. Then all of that ends, and the rule is itself again, no live dump of its day is
//! lost, and no two loads were at once while somebody watched.
//!
//! `GAPMEND_SEED=n` plays one again, `GAPMEND_INTERLEAVINGS=n` plays more of them.

use std::time::Duration as Length;

use chrono::{DateTime, Duration, Utc};
use gapmend::sim::{FaultKind, FaultWhen, Moment, RuleSetting, Span, World};

use super::bed::{Bed, Happening, block_on, date, noon, world};
use super::holding::{MISSING, assert_trigger_is_safe};
use super::mortal::Fate;

const INTERLEAVINGS: u64 = 60;
const DEATHS_AT_MOST: usize = 3;
const GAPS: [&str; 2] = ["2026-06-20", "2026-06-21"];
/// What happens, happens in the first hours: holds and loads are over by then.
const HAPPENS_WITHIN_MINUTES: i64 = 7 * 60;

#[test]
fn no_interleaving_leaves_the_rule_disabled_loses_a_dump_or_mixes_two_loads() {
    let number = |name| std::env::var_os(name)?.to_string_lossy().parse().ok();
    let seeds = match number("GAPMEND_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("GAPMEND_INTERLEAVINGS").unwrap_or(INTERLEAVINGS),
    };
    for seed in seeds {
        block_on(Interleaving::drawn(seed).play());
    }
}

struct Interleaving {
    seed: u64,
    random: fastrand::Rng,
    bed: Bed,
    /// When nobody lived.
    dead: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Interleaving {
    fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let hold = if random.bool() { "run" } else { "upload" };
        let gaps = &GAPS[..random.usize(0..=2)];
        let world = gaps.iter().fold(world().seed(seed).no_supplier(), |w, gap| w.gap(date(gap)));
        let world = world.no_dump(date(MISSING));
        let bed = Bed::held(world, "2m", hold);
        {
            let mut world = bed.sim.lock();
            let late = Length::from_mins(random.u64(0..=20));
            world.timing.cloudtrail = Span::new(Length::ZERO, late);
            world.timing.propagation =
                Span::new(Length::ZERO, Length::from_secs(random.u64(0..=110)));
        }
        let mut interleaving = Self { seed, random, bed, dead: Vec::new() };
        interleaving.plan_happenings();
        interleaving.lay_faults();
        interleaving
    }

    fn plan_happenings(&mut self) {
        let minute = |random: &mut fastrand::Rng| random.i64(1..HAPPENS_WITHIN_MINUTES);
        let live: Happening = |world| world.write_dump(date("2026-06-30"));
        let mut happenings = vec![(minute(&mut self.random), live)];
        if self.random.u8(0..3) == 0 {
            happenings.push((minute(&mut self.random), World::terraform_enables_trigger));
        }
        if self.random.u8(0..3) == 0 {
            let at = minute(&mut self.random);
            happenings.push((at, World::operator_disables_trigger));
            happenings.push((at + self.random.i64(1..90), World::terraform_enables_trigger));
        }
        self.bed.at_minutes(&happenings);
    }

    fn lay_faults(&mut self) {
        let lost = [FaultKind::Server, FaultKind::Timeout, FaultKind::Dropped];
        let refused = [FaultKind::Throttle, FaultKind::Concurrent];
        for operation in ["events:*", "scheduler:*", "s3:CompleteMultipartUpload", "ecs:*"] {
            let met = usize::from(operation != "ecs:*"); // two changes never meet in ECS
            let kinds = [&lost[..], &refused[..=met]].concat();
            let kind = kinds[self.random.usize(0..kinds.len())];
            let after = self.random.bool() && lost.contains(&kind);
            let moment = if after { Moment::After } else { Moment::Before };
            let share = FaultWhen::PerMille(self.random.u16(0..=150));
            self.bed.sim.lock().faults.add(operation, share, kind, moment);
        }
    }

    async fn play(mut self) {
        if self.random.bool() {
            let fate = Fate::dies_at(&self.bed.sim, self.random.u64(1..140));
            let sent = self.bed.try_upload(&fate, date(MISSING));
            tokio::select! {
                () = sent => {}
                () = fate.death() => {}
            }
            self.nobody_lives();
        }
        for _ in 0..self.random.usize(0..=DEATHS_AT_MOST) {
            let fate = Fate::dies_at(&self.bed.sim, self.random.u64(10..500));
            tokio::select! {
                _ = self.bed.live(&fate) => {}
                () = fate.death() => {}
            }
            self.nobody_lives();
        }
        self.bed.sim.lock().faults.clear();
        self.bed.live(&Fate::immortal(&self.bed.sim)).await;
        self.bed.pass_time(Duration::hours(25));
        self.bed.live(&Fate::immortal(&self.bed.sim)).await;
        self.check().await;
    }

    /// A supervisor is quick, mostly; now and then nobody comes for half a day.
    fn nobody_lives(&mut self) {
        let minutes = if self.random.u8(0..8) == 0 { 720 } else { self.random.i64(0..=20) };
        let from = self.bed.sim.lock().now();
        self.bed.pass_time(Duration::minutes(minutes));
        self.dead.push((from, self.bed.sim.lock().now()));
    }

    async fn check(&self) {
        let state = self.bed.ledger(&Fate::immortal(&self.bed.sim)).await.state().clone();
        let about = format!("GAPMEND_SEED={}", self.seed);
        assert!(state.holds.is_empty(), "{about}: {:#?}", state.holds);
        assert!(state.uploads.iter().all(|upload| !upload.is_open()), "{about}");
        assert_trigger_is_safe(&self.bed, &state, &about);
        self.assert_loads_were_alone(&about);
        self.bed.assert_rests(&about).await;
    }

    /// Two loads at once only where nobody lived to make way.
    fn assert_loads_were_alone(&self, about: &str) {
        let world = self.bed.sim.lock();
        let began = |arn: &str| {
            let tasks = world.tasks();
            tasks.iter().find(|task| task.arn == arn).map_or(noon(), |task| task.created_at)
        };
        for overlap in world.overlaps() {
            let from = began(&overlap.second);
            let unwatched =
                self.dead.iter().any(|(died, back)| *died <= overlap.at && *back >= from);
            assert!(unwatched, "{about}: {overlap:?}, dead {:?}", self.dead);
        }
        if world.overlaps().is_empty() {
            assert_eq!(world.wrong_data(), [], "{about}");
        }
        assert_eq!(
            world.rule(&world.names.rule, &world.names.event_bus).unwrap().state,
            RuleSetting::Enabled
        );
    }
}
