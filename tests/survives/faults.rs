//! Seeded histories: every call may go wrong, processes die, people and live runs get in the
//! way, dumps and stages fail. Then the faults end, and it must come to rest, nothing hurt.
//!
//! `GAPMEND_SEED=n` plays one history again, `GAPMEND_HISTORIES=n` plays more of them.

use chrono::{Duration, NaiveDate};
use gapmend::domain::RunOutcome;
use gapmend::ledger::memory::Fault;
use gapmend::ledger::store::Trouble;
use gapmend::sim::{
    DumpKind, FaultKind, FaultWhen, JobFailure, Moment, Profile, Times, WorkflowStart,
};

use super::bed::{Bed, block_on, date, noon, world};
use super::laws::Copies;
use super::mortal::Fate;

const HISTORIES: u64 = 100;
/// Nights without faults after which nothing is left to do.
const NIGHTS_TO_REST: usize = 1;
/// Deaths of one history.
const DEATHS_AT_MOST: usize = 6;
/// Dates that may be gaps: old enough to be healed, inside the window.
const OLDEST_GAP: &str = "2026-06-19";
/// Dates that are the nightly's still.
const TOO_YOUNG: &str = "2026-06-28";

#[test]
fn whatever_goes_wrong_nothing_is_hurt_and_it_comes_to_rest() {
    let number = |name| std::env::var_os(name)?.to_string_lossy().parse().ok();
    let seeds = match number("GAPMEND_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("GAPMEND_HISTORIES").unwrap_or(HISTORIES),
    };
    for seed in seeds {
        block_on(History::drawn(seed).play());
    }
}

struct History {
    seed: u64,
    random: fastrand::Rng,
    bed: Bed,
    before: Copies,
    gaps: Vec<NaiveDate>,
    /// A person's backdated runs may touch these.
    by_hand: Vec<NaiveDate>,
}

impl History {
    fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = world().seed(seed);
        let mut gaps = Vec::new();
        for _ in 0..random.usize(1..=3) {
            let gap = date(OLDEST_GAP) + Duration::days(random.i64(0..=5));
            let kind = if random.u8(0..8) == 0 { bad_dump(&mut random) } else { DumpKind::Whole };
            world = world.dump(gap, kind).profile(gap, profile(&mut random));
            gaps.push(gap);
        }
        world = world.gap(date(TOO_YOUNG)).partial(date("2026-06-18"), &["liberator_pcn"]);
        let bed = Bed::new(world, "5m");
        let before = bed.copies();
        Self { seed, random, bed, before, gaps, by_hand: Vec::new() }
    }

    async fn play(mut self) {
        self.lay_faults();
        for _ in 0..self.random.usize(0..=DEATHS_AT_MOST) {
            let fate = Fate::dies_at(&self.bed.sim, self.random.u64(20..600));
            tokio::select! {
                _ = self.bed.live(&fate) => {}
                () = fate.death() => {}
            }
            self.bed.pass_time(Duration::minutes(self.random.i64(0..=2)));
            self.people_meddle();
        }
        self.bed.sim.lock().faults.clear();
        self.bed.store.heal();
        for _ in 0..NIGHTS_TO_REST {
            self.bed.live(&Fate::immortal(&self.bed.sim)).await;
            self.bed.pass_time(Duration::hours(24));
        }
        self.bed.live(&Fate::immortal(&self.bed.sim)).await;
        self.check().await;
    }

    fn lay_faults(&mut self) {
        let kinds =
            [FaultKind::Throttle, FaultKind::Server, FaultKind::Timeout, FaultKind::Dropped];
        for operation in ["ecs:RunTask", "ecs:StopTask", "glue:StartWorkflowRun", "*"] {
            let kind = kinds[self.random.usize(0..kinds.len())];
            let after = self.random.bool() && kind != FaultKind::Throttle;
            let moment = if after { Moment::After } else { Moment::Before };
            let most = if operation == "*" { 12 } else { 500 };
            let share = FaultWhen::PerMille(self.random.u16(0..=most));
            self.bed.sim.lock().faults.add(operation, share, kind, moment);
        }
        let share = self.random.u8(0..=8);
        let mut random = self.random.fork();
        self.bed.store.choose_faults(move |_, _| {
            if random.u8(0..100) >= share {
                return None;
            }
            Some(match random.u8(0..4) {
                0 => Fault::LostAnswer,
                1 => Fault::NeverArrives,
                2 => Fault::ArrivesLater(random.u64(1..5)),
                _ => Fault::Answers(Trouble::Busy),
            })
        });
    }

    /// Somebody runs the task from the console, for a gap of their own.
    fn people_meddle(&mut self) {
        let mut world = self.bed.sim.lock();
        let quiet = world.tasks().iter().all(|task| task.stopped_at.is_some());
        if self.random.u8(0..6) == 0 && quiet && self.by_hand.is_empty() {
            let day = self.gaps[self.random.usize(0..self.gaps.len())];
            world.person_runs_task(Some(day));
            self.by_hand.push(day);
        }
    }

    async fn check(&self) {
        let runs = self.bed.runs().await;
        let told: Vec<String> =
            runs.iter().map(|run| format!("{}: {:?}", run.id, run.end)).collect();
        let about = format!("GAPMEND_SEED={}\n{}\n", self.seed, told.join("\n"));
        self.bed.assert_safe(&self.before, &self.gaps, &about);
        self.bed.assert_rests(&about).await;
        for run in &runs {
            assert!(!run.is_active(), "{about}");
            assert!(self.gaps.contains(&run.date), "{about}: {} was run", run.date);
            let healed = run.end.as_ref().is_some_and(|end| end.outcome == RunOutcome::Succeeded);
            assert!(!healed || self.bed.has_data(run.date), "{about}: success without data");
        }
        for gap in &self.gaps {
            let failures = runs.iter().filter(|run| run.date == *gap && run.failed()).count();
            assert!(failures <= 3, "{about}: {gap} failed {failures} times");
        }
    }
}

fn bad_dump(random: &mut fastrand::Rng) -> DumpKind {
    let kinds = [DumpKind::Missing, DumpKind::Truncated, DumpKind::TwoSql, DumpKind::Tiny];
    kinds[random.usize(0..kinds.len())]
}

/// What goes wrong with a date: mostly nothing, else one thing, once or always.
pub(super) fn profile(random: &mut fastrand::Rng) -> Profile {
    let times = if random.u8(0..4) == 0 { Times::Always } else { Times::First(1) };
    let good = Profile::default();
    match random.u8(0..24) {
        0 => Profile { capacity_refused: times, ..good },
        1 => Profile { fails_to_start: times, ..good },
        2 => Profile { hangs: times, ..good },
        3 => Profile { exits_1: times, ..good },
        4 => Profile { load_slower: std::time::Duration::from_hours(2), ..good },
        5 => Profile { snapshot_fails: times, ..good },
        6 => Profile { export_never_starts: times, ..good },
        7 => Profile { export_fails: times, ..good },
        8 => Profile { copier_never_runs: times, ..good },
        9 => Profile { workflow_start: WorkflowStart::Never, ..good },
        10 => Profile { workflow_start: WorkflowStart::Twice, ..good },
        11 => {
            let late = std::time::Duration::from_mins(random.u64(1..180));
            Profile { workflow_start: WorkflowStart::Late(late), ..good }
        }
        12 => Profile { crawl_fails: times, ..good },
        13 | 14 => {
            let failure = JobFailure { zone: 0, tables_written: random.usize(0..4), times };
            let twice = random.bool();
            let workflow_start = if twice { WorkflowStart::Twice } else { WorkflowStart::OnTime };
            Profile { job_fails: Some(failure), workflow_start, ..good }
        }
        15 => Profile { writes_nothing: times, ..good },
        16 => Profile { tables_absent: ["liberator_hub".to_owned()].into(), ..good },
        17 => Profile { export_skips: ["liberator_hub".to_owned()].into(), ..good },
        18 => Profile { never_starts: times, ..good },
        _ => good,
    }
}

#[test]
fn the_gaps_of_a_history_are_old_enough() {
    assert!(date(OLDEST_GAP) + Duration::days(5) < date(TOO_YOUNG));
    assert!((noon().date_naive() - date(TOO_YOUNG)).num_days() < 7);
}
