//! Glue: the catalog in pages, expressions, workflows.
//!
//! What begins with `portable_` asks for a [`Catalog`], which another endpoint can hold too.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_glue::Client;
use aws_sdk_glue::types::{
    Column, DatabaseInput, PartitionInput, PartitionValueList, Segment, StorageDescriptor,
    TableInput, WorkflowRunStatus,
};
use gapmend::sim::Names;
use gapmend::sim::wire::WireServer;

use crate::door::{Door, code, config, july, other_endpoint, quiet, unique};

const DATABASE: &str = "dataplatform-prod-liberator-raw-zone";
const WORKFLOW: &str = "parking-liberator-backdated-data-workflow";

/// So many tables in the parking raw zone.
fn names(tables: usize) -> Names {
    let mut names = Names::default();
    names.raw[0].tables = (0..tables).map(|number| format!("liberator_t{number:03}")).collect();
    names
}

const TABLE: &str = "liberator_t000";
const KEYS: [&str; 4] = ["import_year", "import_month", "import_day", "import_date"];

/// A table with the first nineteen days of July but the 5th, behind our door or the other endpoint.
struct Catalog {
    client: Client,
    database: String,
    _server: Option<WireServer>,
}

async fn catalog() -> Catalog {
    if let Some(url) = other_endpoint() {
        let client = Client::new(&config(&url));
        let database = unique("wire-checks");
        lay_out(&client, &database).await;
        return Catalog { client, database, _server: None };
    }
    let door = Door::open(quiet().days(19).names(names(1)).gap(july(5))).await;
    Catalog { client: door.glue(), database: DATABASE.to_owned(), _server: Some(door.server) }
}

async fn lay_out(client: &Client, database: &str) {
    let input = DatabaseInput::builder().name(database).build().unwrap();
    client.create_database().database_input(input).send().await.unwrap();
    let storage = |location: &str| StorageDescriptor::builder().location(location).build();
    let keys = KEYS.map(|key| Column::builder().name(key).r#type("string").build().unwrap());
    let place = "s3://dataplatform-prod-raw-zone/parking/liberator/t000/";
    let table = TableInput::builder().name(TABLE).storage_descriptor(storage(place));
    let table = table.set_partition_keys(Some(keys.to_vec())).build().unwrap();
    client.create_table().database_name(database).table_input(table).send().await.unwrap();
    for day in (1..=19).filter(|day| *day != 5) {
        let partition = PartitionInput::builder().set_values(Some(values_of(day)));
        let partition = partition.storage_descriptor(storage(&format!("{place}{day}"))).build();
        let create = client.create_partition().database_name(database).table_name(TABLE);
        create.partition_input(partition).send().await.unwrap();
    }
}

fn values_of(day: u32) -> Vec<String> {
    vec!["2026".into(), "07".into(), format!("{day:02}"), format!("202607{day:02}")]
}

#[tokio::test]
async fn tables_come_a_hundred_to_a_page() {
    let door = Door::open(quiet().days(1).names(names(230))).await;
    let mut pages = door.glue().get_tables().database_name(DATABASE).into_paginator().send();
    let (mut seen, mut sizes) = (BTreeSet::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.table_list().len());
        seen.extend(page.table_list().iter().map(|table| table.name().to_owned()));
    }
    assert_eq!(sizes, [100, 100, 30]);
    assert_eq!(seen.len(), 230);
}

#[tokio::test]
async fn portable_a_table_has_its_keys_and_its_place() {
    let catalog = catalog().await;
    let table = catalog.client.get_table().database_name(&catalog.database).name(TABLE).send();
    let table = table.await.unwrap().table.unwrap();
    let keys: Vec<_> = table.partition_keys().iter().map(|key| key.name().to_owned()).collect();
    assert_eq!(keys, KEYS);
    let location = table.storage_descriptor().unwrap().location().unwrap();
    assert!(
        location.starts_with("s3://dataplatform-prod-raw-zone/parking/liberator/"),
        "{location}"
    );
}

#[tokio::test]
async fn partitions_come_a_thousand_to_a_page_and_none_is_lost() {
    let door = Door::open(quiet().days(1100).names(names(1))).await;
    let request =
        || door.glue().get_partitions().database_name(DATABASE).table_name("liberator_t000");
    let mut pages = request().exclude_column_schema(true).into_paginator().send();
    let (mut seen, mut sizes) = (BTreeSet::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.partitions().len());
        for partition in page.partitions() {
            assert!(partition.storage_descriptor().unwrap().columns().is_empty());
            seen.insert(partition.values().to_vec());
        }
    }
    assert_eq!((sizes, seen.len()), (vec![1000, 100], 1100));
    let by_ten = request().max_results(10).send().await.unwrap();
    assert_eq!(by_ten.partitions().len(), 10);
    let token = by_ten.next_token().unwrap();
    let elsewhere = request().expression("import_date > '2026'").next_token(token).send().await;
    assert_eq!(code(elsewhere), "InvalidInputException");
}

#[tokio::test]
async fn the_segments_of_a_table_are_the_table() {
    let door = Door::open(quiet().days(40).names(names(1))).await;
    let mut seen = Vec::new();
    for number in 0..3 {
        let segment = Segment::builder().segment_number(number).total_segments(3).build().unwrap();
        let request =
            door.glue().get_partitions().database_name(DATABASE).table_name("liberator_t000");
        let page = request.segment(segment).send().await.unwrap();
        seen.extend(page.partitions().iter().map(|partition| partition.values().to_vec()));
    }
    let distinct: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!((seen.len(), distinct.len()), (40, 40));
}

#[tokio::test]
async fn portable_an_expression_chooses_partitions_and_a_bad_one_is_refused() {
    let catalog = catalog().await;
    let request =
        || catalog.client.get_partitions().database_name(&catalog.database).table_name(TABLE);
    let chosen = request().expression("import_date >= '20260704' AND import_date < '20260708'");
    let chosen = chosen.send().await.unwrap();
    let dates: BTreeSet<_> =
        chosen.partitions().iter().map(|one| one.values()[3].clone()).collect();
    assert_eq!(dates.iter().collect::<Vec<_>>(), ["20260704", "20260706", "20260707"]);
    let bad = request().expression("import_date LIKES '2026'").send().await;
    assert_eq!(code(bad), "InvalidInputException");
}

#[tokio::test]
async fn portable_a_batch_gives_back_the_partitions_that_exist() {
    let catalog = catalog().await;
    let values =
        |day| PartitionValueList::builder().set_values(Some(values_of(day))).build().unwrap();
    let batch = catalog.client.batch_get_partition();
    let batch = batch.database_name(&catalog.database).table_name(TABLE);
    let batch = batch.partitions_to_get(values(4)).partitions_to_get(values(5));
    let found = batch.send().await.unwrap();
    let dates: Vec<_> = found.partitions().iter().map(|one| one.values()[3].as_str()).collect();
    assert_eq!(dates, ["20260704"]);
}

#[tokio::test]
async fn portable_absent_databases_and_tables_are_errors_and_never_empty() {
    let catalog = catalog().await;
    let glue = &catalog.client;
    let not_found = "EntityNotFoundException";
    assert_eq!(code(glue.get_database().name("nowhere").send().await), not_found);
    assert_eq!(code(glue.get_tables().database_name("nowhere").send().await), not_found);
    let table = glue.get_table().database_name(&catalog.database).name("nothing").send().await;
    assert_eq!(code(table), not_found);
}

#[tokio::test]
async fn what_is_not_catalogued_is_an_error_and_never_empty() {
    let door = Door::open(quiet().days(1)).await;
    let glue = door.glue();
    let not_found = "EntityNotFoundException";
    assert_eq!(code(glue.get_database().name("nowhere").send().await), not_found);
    assert_eq!(code(glue.get_tables().database_name("nowhere").send().await), not_found);
    let table = glue.get_table().database_name(DATABASE).name("nothing").send().await;
    assert_eq!(code(table), not_found);
    let partitions = glue.get_partitions().database_name(DATABASE).table_name("nothing");
    assert_eq!(code(partitions.send().await), not_found);
    assert_eq!(code(glue.get_workflow().name("nothing").send().await), not_found);
    assert_eq!(code(glue.get_crawler().name("nothing").send().await), not_found);
    assert_eq!(code(glue.get_tables().send().await), "InvalidInputException");
    glue.get_database().name(DATABASE).send().await.unwrap();
}

#[tokio::test]
async fn a_workflow_run_shows_its_properties_its_graph_and_its_end() {
    let door = Door::open(quiet()).await;
    let glue = door.glue();
    let started =
        glue.start_workflow_run().name(WORKFLOW).run_properties("import_date", "20260705");
    let id = started.send().await.unwrap().run_id.unwrap();
    let read = || glue.get_workflow_run().name(WORKFLOW).run_id(&id).include_graph(true);
    door.pass(1);
    let run = read().send().await.unwrap().run.unwrap();
    assert_eq!(run.status(), Some(&WorkflowRunStatus::Running));
    assert_eq!(run.workflow_run_properties().unwrap()["import_date"], "20260705");
    door.pass(600);
    let run = read().send().await.unwrap().run.unwrap();
    assert_eq!(run.status(), Some(&WorkflowRunStatus::Completed));
    assert!(run.completed_on().is_some());
    let kinds: Vec<_> = run
        .graph()
        .unwrap()
        .nodes()
        .iter()
        .map(|node| node.r#type().unwrap().as_str().to_owned())
        .collect();
    assert_eq!(kinds, ["CRAWLER", "JOB", "JOB"]);
    let properties =
        glue.get_workflow_run_properties().name(WORKFLOW).run_id(&id).send().await.unwrap();
    assert_eq!(properties.run_properties().unwrap()["import_date"], "20260705");
    let crawler = glue.get_crawler().name("dataplatform-prod-landing-zone-liberator-backdated");
    let crawler = crawler.send().await.unwrap().crawler.unwrap();
    assert_eq!(crawler.state().unwrap().as_str(), "READY");
    let jobs = glue.get_job_runs().job_name("Copy parking Liberator landing zone to raw backdated");
    assert_eq!(jobs.send().await.unwrap().job_runs().len(), 1);
}

#[tokio::test]
async fn runs_come_in_pages_without_graphs_and_can_be_stopped() {
    let door = Door::open(quiet().days(1)).await;
    let glue = door.glue();
    let mut started = BTreeMap::new();
    for day in 1..=5 {
        let date = format!("202607{day:02}");
        let run = glue.start_workflow_run().name(WORKFLOW).run_properties("import_date", &date);
        started.insert(run.send().await.unwrap().run_id.unwrap(), date);
        door.pass(300);
    }
    let mut pages = glue.get_workflow_runs().name(WORKFLOW).max_results(2).into_paginator().send();
    let mut seen = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for run in page.unwrap().runs() {
            assert!(run.graph().is_none());
            let date = run.workflow_run_properties().unwrap()["import_date"].clone();
            seen.insert(run.workflow_run_id().unwrap().to_owned(), date);
        }
    }
    assert_eq!(seen, started);
    let last = glue.start_workflow_run().name(WORKFLOW).send().await.unwrap().run_id.unwrap();
    glue.stop_workflow_run().name(WORKFLOW).run_id(&last).send().await.unwrap();
    door.pass(60);
    let run =
        glue.get_workflow_run().name(WORKFLOW).run_id(&last).send().await.unwrap().run.unwrap();
    assert_eq!(run.status(), Some(&WorkflowRunStatus::Stopped));
}
