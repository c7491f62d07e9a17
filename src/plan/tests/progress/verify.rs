//! The proof.

use chrono::Duration;

use super::super::night::{TABLES, World, gap, table_id};
use super::{at_stage, began, has};
use crate::domain::{
    FailureReason, RunOutcome, Seen, Stage, TableVolumes, Volume, VolumeBook, VolumeLimits, Written,
};
use crate::ledger::Repeat;
use crate::observe::RunView;
use crate::plan::{self, Rest, Step};

#[test]
fn the_proof_is_that_every_table_has_the_date_in_a_fresh_look() {
    let verified = |minutes: i64, seconds: i64, spoil: fn(&mut World)| {
        let mut world = at_stage(Stage::Verify, RunView::default());
        spoil(&mut world);
        world.now = began() + Duration::minutes(minutes) + Duration::seconds(seconds);
        match world.plan().step {
            Ok(Step::EndRun(end)) => {
                Some((end.outcome, end.reason, end.repeat, end.tables_present))
            }
            Err(Rest::InProgress { .. }) => None,
            other => panic!("{other:?}"),
        }
    };
    let whole = |world: &mut World| has(world, &TABLES);
    let half = |world: &mut World| has(world, &TABLES[..1]);
    let healed = (RunOutcome::Succeeded, None, Repeat::FromTheTop, Some(2));
    assert_eq!(verified(1, 0, whole), Some(healed));
    let lacks = |present| {
        let reason = Some(FailureReason::OutputMissing);
        Some((RunOutcome::Failed, reason, Repeat::Unsafe, Some(present)))
    };
    for (spoil, present) in [(half as fn(&mut World), 1), (|_| {}, 0)] {
        assert_eq!(verified(15, 0, spoil), None, "partitions may show themselves yet");
        assert_eq!(verified(15, 1, spoil), lacks(present));
    }
    let without_workflow = |world: &mut World| {
        world.dataset.publish = None;
        world.dataset.load.deadline = std::time::Duration::from_hours(1);
    };
    assert_eq!(verified(60, 0, without_workflow), None, "others publish it");
    assert_eq!(verified(60, 1, without_workflow), lacks(0));
    let optional = |world: &mut World| world.optional = TABLES.into();
    assert_eq!(verified(1, 0, optional), None, "nothing proves nothing");
    // Without a scan the number of tables that the start expected decides: two.
    let blind_whole = |world: &mut World| {
        has(world, &TABLES);
        world.blind = true;
    };
    assert_eq!(verified(1, 0, blind_whole), Some(healed));
    let blind_half = |world: &mut World| {
        has(world, &TABLES[..1]);
        world.blind = true;
    };
    assert_eq!(verified(1, 0, blind_half), None);
}

/// An old dump may lack tables that began since (H28).
#[test]
fn the_tables_that_the_export_held_are_the_proof_when_they_are_known() {
    let healed = |blind: bool, exported: Option<&[&str]>| {
        let mut world = at_stage(Stage::Verify, RunView::default());
        has(&mut world, &TABLES[..1]);
        world.blind = blind;
        let mut seen = world.observation();
        let mut look = world.look_at(gap());
        look.exported = exported.map(|names| names.iter().map(|it| (*it).to_owned()).collect());
        seen.confirmed = Some(Seen::Known(look));
        let World { ledger, dataset, night, now, .. } = &world;
        match plan::plan(ledger, &seen, dataset, night, *now).step {
            Ok(Step::EndRun(end)) => {
                assert_eq!(end.outcome, RunOutcome::Succeeded);
                true
            }
            Err(Rest::InProgress { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    for blind in [false, true] {
        assert!(healed(blind, Some(&TABLES[..1])), "{blind}");
        assert!(!healed(blind, Some(&TABLES)), "{blind}");
        assert!(!healed(blind, Some(&["others"])), "{blind}: it names none of ours");
        assert!(!healed(blind, None), "{blind}");
    }
}

/// What a run wrote stands beside what is usual; an odd volume is said, and never a failure.
#[test]
fn the_proof_says_how_much_there_is_and_which_tables_look_odd() {
    let detail = |bytes: [u64; 2], blind: bool| {
        let mut world = at_stage(Stage::Verify, RunView::default());
        has(&mut world, &TABLES);
        world.blind = blind;
        let mut seen = world.observation();
        let mut look = world.look_at(gap());
        let limits = VolumeLimits { band_percent: Some(40), min_bytes: 0 };
        let usual = Volume { bytes: 100 << 20, objects: 4 };
        let days = (1..=7).flat_map(|day| [-day, day]).map(|day| gap() + Duration::days(day));
        let days: Vec<_> = days.map(|date| (date, usual)).collect();
        let table = |name: &&str| {
            TableVolumes::judge(table_id(name), limits, days.iter().copied().collect())
        };
        let volumes = VolumeBook::of(TABLES.iter().map(table).collect());
        for (name, bytes) in TABLES.iter().zip(bytes) {
            let mut written = Written::default();
            written.note(began(), bytes << 20);
            look.written.insert(table_id(name), written);
        }
        if let Seen::Known(scan) = &mut seen.scan {
            scan.coverage.volumes = volumes;
            scan.absorb(&look);
        }
        seen.confirmed = Some(Seen::Known(look));
        let World { ledger, dataset, night, now, .. } = &world;
        match plan::plan(ledger, &seen, dataset, night, *now).step {
            Ok(Step::EndRun(end)) if end.outcome == RunOutcome::Succeeded => end.detail,
            other => panic!("{other:?}"),
        }
    };
    let proof = "2/2 tables, 210.0 MiB, neighbours 200.0 MiB to 200.0 MiB";
    assert_eq!(detail([100, 110], false), proof);
    let odd = detail([100, 50], false);
    assert!(
        odd.ends_with(&format!(
            "; check it, 1 of 2 tables have an odd volume: {} 50.0 MiB, usually 100.0 MiB (100.0 MiB to 100.0 MiB)",
            TABLES[1]
        )),
        "{odd}"
    );
    assert!(detail([200, 200], false).contains("2 of 2 tables have an odd volume"));
    assert_eq!(detail([200, 200], true), "2/2 tables, 400.0 MiB", "nothing to compare with");
}
