//! A whole backdated ingestion, asked for and watched through the door alone.

use std::time::Duration;

use aws_sdk_glue::types::WorkflowRunStatus;
use gapmend::platform::{Clock as _, SystemClock};
use gapmend::sim::wire::WireClock;
use gapmend::sim::{Timing, WorldBuilder};

use crate::door::{Door, july, quiet};
use crate::ecs::load;

const WORKFLOW: &str = "parking-liberator-backdated-data-workflow";
const DATABASE: &str = "dataplatform-prod-liberator-raw-zone";

/// Whether the backdated workflow has a run that is over.
async fn is_published(door: &Door) -> bool {
    let runs = door.glue().get_workflow_runs().name(WORKFLOW).send().await.unwrap();
    runs.runs().iter().any(|run| run.status() == Some(&WorkflowRunStatus::Completed))
}

async fn partitions(door: &Door, table: &str, date: &str) -> usize {
    let request = door.glue().get_partitions().database_name(DATABASE).table_name(table);
    let request = request.expression(format!("import_date = '{date}'"));
    request.send().await.unwrap().partitions().len()
}

#[tokio::test]
async fn a_task_through_the_door_brings_the_raw_partitions_of_its_date() {
    let door = Door::open(quiet().gap(july(5))).await;
    assert_eq!(partitions(&door, "liberator_pcn", "20260705").await, 0);
    load(&door.ecs(), "2026-07-05", "t").send().await.unwrap();
    for _ in 0..100 {
        if is_published(&door).await {
            break;
        }
        door.pass(10);
    }
    assert!(is_published(&door).await);
    assert_eq!(partitions(&door, "liberator_pcn", "20260705").await, 1);
    let copies = door.sim.lock().copies(july(5));
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    let prefix = "parking/liberator/";
    let objects = door.s3().list_objects_v2().bucket("dataplatform-prod-raw-zone").prefix(prefix);
    let objects = objects.send().await.unwrap();
    assert!(
        objects.contents().iter().any(|one| one.key().unwrap().contains("import_date=20260705"))
    );
}

#[tokio::test]
async fn with_short_stages_the_same_takes_moments_of_the_systems_clock() {
    let now = SystemClock.now();
    let date = now.date_naive() - chrono::Days::new(10);
    let timing = Timing::quick().scaled(0.1);
    let world = WorldBuilder::at(now).no_supplier().timing(timing).gap(date);
    let door = Door::with(world.build(), WireClock::System).await;
    load(&door.ecs(), &date.to_string(), "t").send().await.unwrap();
    let published = async {
        while !is_published(&door).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), published).await.unwrap();
    assert_eq!(partitions(&door, "liberator_pcn", &date.format("%Y%m%d").to_string()).await, 1);
}
