//! Every crash point: a process dies right before its k-th call, for every k, and another one
//! takes over. What was asked for and not answered is one of these points too.

use chrono::{Duration, NaiveDate};
use gapmend::sim::{FaultKind, FaultWhen, Moment, Profile, Times, WorkflowStart};

use super::bed::{Bed, Happening, block_on, date, world};
use super::mortal::{Call, Fate};

/// A story that ends with its gaps healed, wherever it is cut.
struct Story {
    bed: fn() -> Bed,
    gaps: &'static [&'static str],
    /// Minutes after noon.
    happenings: &'static [(i64, Happening)],
    /// How long nobody lives after the death.
    down_minutes: &'static [i64],
    runs_at_most: usize,
}

impl Story {
    fn bed(&self) -> Bed {
        let bed = (self.bed)();
        bed.at_minutes(self.happenings);
        bed
    }

    fn check(&self) {
        let points = block_on(self.live_whole());
        for (number, call) in points {
            for down in self.down_minutes {
                let about = format!("died at call {number}, {call:?}, back after {down} min");
                block_on(self.live_twice(number, Duration::minutes(*down), &about));
            }
        }
    }

    /// Nobody dies. Answers where somebody could.
    async fn live_whole(&self) -> Vec<(u64, Call)> {
        let bed = self.bed();
        let before = bed.copies();
        let fate = Fate::immortal(&bed.sim);
        bed.live(&fate).await;
        self.assert_ends_well(&bed, &before, "nobody died").await;
        fate.points()
    }

    async fn live_twice(&self, dies_at: u64, down: Duration, about: &str) {
        let bed = self.bed();
        let before = bed.copies();
        let fate = Fate::dies_at(&bed.sim, dies_at);
        tokio::select! {
            _ = bed.live(&fate) => {}
            () = fate.death() => {}
        }
        bed.pass_time(down);
        bed.live(&Fate::immortal(&bed.sim)).await;
        self.assert_ends_well(&bed, &before, about).await;
    }

    async fn assert_ends_well(&self, bed: &Bed, before: &super::laws::Copies, about: &str) {
        let gaps: Vec<NaiveDate> = self.gaps.iter().map(|gap| date(gap)).collect();
        let runs = bed.runs().await;
        let told: Vec<_> = runs.iter().map(|run| (&run.id, run.stage, &run.end)).collect();
        let about = format!("{about}\n{told:#?}\n");
        for gap in &gaps {
            bed.assert_healed(*gap, &about);
        }
        bed.assert_sound(before, &gaps, &about).await;
        assert!(runs.len() <= self.runs_at_most, "{about}: too many runs");
        assert!(runs.iter().all(|run| !run.is_active()), "{about}");
    }
}

const GAP: &str = "2026-06-20";
const OTHER_GAP: &str = "2026-06-19";

#[test]
fn a_gap_is_healed_wherever_the_process_dies() {
    Story {
        bed: || Bed::new(world().gap(date(GAP)), "6m"),
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[1, 300],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_gap_whose_first_load_fails_is_healed_wherever_the_process_dies() {
    Story {
        bed: || {
            let failing = Profile { exits_1: Times::First(1), ..Profile::default() };
            Bed::new(world().gap(date(GAP)).profile(date(GAP), failing), "6m")
        },
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[3],
        runs_at_most: 3,
    }
    .check();
}

#[test]
fn a_workflow_that_the_pipeline_never_starts_is_started_wherever_the_process_dies() {
    Story {
        bed: || {
            let forgotten = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
            Bed::new(world().gap(date(GAP)).profile(date(GAP), forgotten), "6m")
        },
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[1],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_load_whose_answer_is_lost_is_found_wherever_the_process_dies() {
    Story {
        bed: || {
            let bed = Bed::new(world().gap(date(GAP)), "6m");
            let when = FaultWhen::Calls(1, 2);
            bed.sim.lock().faults.add("ecs:RunTask", when, FaultKind::Dropped, Moment::After);
            bed
        },
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[0],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_complete_export_is_taken_up_wherever_the_process_dies() {
    Story {
        // A person loaded the date in the morning; the pipeline forgot the workflow.
        bed: || {
            let forgotten = Profile { workflow_start: WorkflowStart::Never, ..Profile::default() };
            let bed = Bed::new(world().gap(date(GAP)).profile(date(GAP), forgotten), "6m");
            bed.sim.lock().person_runs_task(Some(date(GAP)));
            bed.pass_time(Duration::hours(4));
            bed
        },
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[1],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_load_under_a_hold_is_healed_and_the_rule_comes_back_wherever_the_process_dies() {
    Story {
        bed: || Bed::holding(world().gap(date(GAP)), "6m"),
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[1],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_live_dump_that_lands_in_a_hold_has_its_run_wherever_the_process_dies() {
    Story {
        bed: || Bed::holding(world().gap(date(GAP)).no_supplier(), "6m"),
        gaps: &[GAP],
        happenings: &[(30, |world| world.write_dump(world.now().date_naive()))],
        down_minutes: &[1],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_dump_is_staged_once_and_fires_nothing_wherever_the_process_dies() {
    Story {
        bed: || Bed::staging(world().gap(date(GAP)).old_name(date(GAP)), "6m"),
        gaps: &[GAP],
        happenings: &[],
        down_minutes: &[1],
        runs_at_most: 2,
    }
    .check();
}

#[test]
fn a_live_run_in_mid_load_is_yielded_to_wherever_the_process_dies() {
    Story {
        bed: || Bed::new(world().gap(date(GAP)).gap(date(OTHER_GAP)), "2m"),
        gaps: &[GAP, OTHER_GAP],
        happenings: &[(30, |world| {
            world.person_runs_task(Some(date(OTHER_GAP)));
        })],
        down_minutes: &[1],
        runs_at_most: 4,
    }
    .check();
}
