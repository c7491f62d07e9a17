//! The hazards of ARCHITECTURE.md that concern the trigger and what it fires: the name of each
//! scenario begins with its hazard's number. Each ends with a pass that changes nothing.

mod database;
mod holding;
mod publish;

use super::bed::date;

/// Today in these worlds.
const TODAY: &str = "2026-06-30";

/// The gap of these worlds.
const GAP: &str = "2026-06-15";

fn today() -> chrono::NaiveDate {
    date(TODAY)
}

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");
const SCENARIOS: [&str; 3] =
    [include_str!("database.rs"), include_str!("holding.rs"), include_str!("publish.rs")];
/// The hazards of a run that only looks like a success have their scenarios elsewhere.
const LAST: u32 = 17;

#[test]
fn every_hazard_of_the_trigger_has_a_scenario() {
    for number in 1..=LAST {
        let row = format!("\n| H{number} | ");
        assert!(ARCHITECTURE.contains(&row), "H{number} is not in ARCHITECTURE.md");
        let name = format!("async fn h{number}_");
        assert!(SCENARIOS.iter().any(|file| file.contains(&name)), "H{number} has no scenario");
    }
}
