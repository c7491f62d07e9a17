//! Laws of the model that hold whatever people do to it.

use std::sync::LazyLock;

use chrono::Days;

use super::*;
use crate::domain::TableId;
use crate::sim::{DumpKind, JobFailure, Profile, RuleSetting, Sim, Times, WorkflowStart};

const DAYS: u64 = 45;

/// One world for each seed; made once, only looked at afterwards.
static WORLDS: LazyLock<Vec<Sim>> = LazyLock::new(|| (0..4).map(mischief).collect());

/// A world full of scripts, in which people start, stop and switch things at random.
fn mischief(seed: u64) -> Sim {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut builder = WorldBuilder::at(morning()).seed(seed).days(20);
    for offset in 0..20 + DAYS {
        let day = date("2026-11-03") + Days::new(offset);
        builder = builder.profile(day, random_profile(&mut rng));
        if day < morning().date_naive() && rng.u8(0..4) == 0 {
            builder = builder.gap(day);
        }
    }
    let sim = builder.build();
    let mut world = sim.lock();
    while world.now() < morning() + TimeDelta::days(i64::try_from(DAYS).unwrap()) {
        pass_minutes(&mut world, rng.i64(1..400));
        act(&mut world, &mut rng);
    }
    world.set_trigger(RuleSetting::Enabled, "operator");
    pass_hours(&mut world, 72);
    drop(world);
    sim
}

fn random_profile(rng: &mut fastrand::Rng) -> Profile {
    let once = Times::First(1);
    let good = Profile::default();
    match rng.u8(0..20) {
        0 => Profile { exits_1: once, ..good },
        1 => Profile { capacity_refused: Times::First(2), ..good },
        2 => Profile { fails_to_start: once, ..good },
        3 => Profile { export_fails: once, ..good },
        4 => Profile { snapshot_fails: once, ..good },
        5 => Profile { export_never_starts: once, ..good },
        6 => Profile { workflow_start: WorkflowStart::Twice, ..good },
        7 => Profile { workflow_start: WorkflowStart::Never, ..good },
        8 => Profile { crawl_fails: once, ..good },
        9 => {
            let failure = JobFailure { zone: 1, tables_written: 1, times: once };
            Profile { job_fails: Some(failure), ..good }
        }
        10 => Profile { fires_again: 1, ..good },
        11 => Profile { dump: DumpKind::Truncated, ..good },
        12 => Profile { dump: DumpKind::CopyOf(date("2026-11-03")), ..good },
        13 => Profile { tables_absent: ["liberator_pcn".to_owned()].into(), ..good },
        _ => good,
    }
}

fn act(world: &mut World, rng: &mut fastrand::Rng) {
    let cluster = world.names.cluster.clone();
    let bucket = world.names.dump_bucket.clone();
    match rng.u8(0..8) {
        0 | 1 => {
            let day = world.now().date_naive() - Days::new(rng.u64(0..25));
            world.person_runs_task(Some(day));
        }
        2 => {
            let running = world.list_tasks(&cluster, &crate::sim::TaskFilter::default()).unwrap();
            if let Some(arn) = running.first() {
                world.stop_task(&cluster, arn, "mischief").unwrap();
            }
        }
        3 => world.operator_disables_trigger(),
        4 => world.terraform_enables_trigger(),
        5 => world.person_writes(&bucket, "parking/README.txt", "words"),
        _ => {}
    }
}

/// The objects of a raw partition, counted in the bucket.
fn objects_of(world: &World, id: &TableId, day: NaiveDate) -> usize {
    let zone = world.names.raw.iter().find(|zone| zone.database == id.database).unwrap();
    let path = day.format("import_year=%Y/import_month=%m/import_day=%d/import_date=%Y%m%d/");
    let prefix = format!("{}{}/{path}", zone.prefix, id.table);
    world.list_objects(&world.names.raw_bucket, &prefix, None, usize::MAX).unwrap().len()
}

#[test]
fn what_the_world_remembers_is_what_lies_in_the_bucket_and_the_catalog() {
    for (seed, sim) in WORLDS.iter().enumerate() {
        let world = sim.lock();
        for day in date("2026-11-03").iter_days().take(80) {
            for (id, copies) in world.copies(day) {
                let written = world.generations(&id.database, &id.table, day).len();
                assert_eq!(objects_of(&world, &id, day), written, "seed {seed}: {id} {day}");
                let expression = format!("import_date = '{}'", day.format("%Y%m%d"));
                let rows = world.partitions(&id.database, &id.table, Some(&expression)).unwrap();
                assert!(copies == 0 || rows.len() == 1, "seed {seed}: {id} {day}");
            }
        }
    }
}

#[test]
fn nothing_is_left_under_way_and_nobody_stays_at_the_database() {
    for (seed, sim) in WORLDS.iter().enumerate() {
        let world = sim.lock();
        assert!(world.loads().iter().filter(|load| load.to.is_none()).count() <= 1, "seed {seed}");
        for load in world.loads() {
            assert!(load.to.is_none_or(|to| to >= load.from), "seed {seed}: {load:?}");
        }
        let is_next_delivery = |at| at > world.now();
        assert!(world.next_happening_at().is_none_or(is_next_delivery), "seed {seed}");
        assert!(world.trail().iter().filter(|event| !event.arrived).count() <= 1, "seed {seed}");
    }
}

#[test]
fn rows_are_mixed_only_where_loads_overlapped_or_the_dump_was_wrong() {
    for (seed, sim) in WORLDS.iter().enumerate() {
        let world = sim.lock();
        for (id, day, what) in world.wrong_data() {
            let mixed = world
                .generations(&id.database, &id.table, day)
                .iter()
                .any(|generation| generation.rows_of.len() > 1);
            assert!(!mixed || !world.overlaps().is_empty(), "seed {seed}: {id} {day}: {what}");
        }
    }
}

#[test]
fn the_mischief_does_harm_or_these_laws_would_prove_nothing() {
    let any = |harm: fn(&World) -> bool| WORLDS.iter().any(|sim| harm(&sim.lock()));
    assert!(any(|world| !world.overlaps().is_empty()));
    assert!(any(|world| !world.lost_live_dumps().is_empty()));
    assert!(any(|world| !world.wrong_data().is_empty()));
    assert!(any(|world| !world.incidents().is_empty()));
}
