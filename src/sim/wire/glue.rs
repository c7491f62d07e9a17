//! Glue: JSON 1.1. The catalog is here, workflows are in `glue_workflows.rs`.

use serde_json::{Value, json};

use super::glue_workflows;
use super::json::{Arguments, reply, seconds};
use super::paging::{Page, page};
use super::reply::{Refusal, Reply};
use super::shape::Service;
use crate::sim::{PartitionRecord, TableRecord, World};

/// What the door knows of Glue.
pub(super) const OPERATIONS: &[&str] = &[
    "glue:GetDatabase",
    "glue:GetDatabases",
    "glue:GetTables",
    "glue:GetTable",
    "glue:GetPartitions",
    "glue:BatchDeletePartition",
    "glue:BatchGetPartition",
    "glue:GetWorkflow",
    "glue:GetWorkflowRuns",
    "glue:GetWorkflowRun",
    "glue:GetWorkflowRunProperties",
    "glue:StartWorkflowRun",
    "glue:StopWorkflowRun",
    "glue:GetCrawler",
    "glue:GetJobRuns",
];

/// The code for an argument that will not do.
pub(super) const INVALID: &str = "InvalidInputException";

const TABLES_PAGE_LIMIT: usize = 100;
const PARTITIONS_PAGE_LIMIT: usize = 1000;
const BATCH_LIMIT: usize = 1000;
const DELETION_LIMIT: usize = 25;
const SEGMENTS_LIMIT: i64 = 10;

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    arguments: &Arguments,
    world: &mut World,
) -> Result<Reply, Refusal> {
    match operation {
        "GetDatabase" => get_database(arguments, world),
        "GetDatabases" => get_databases(arguments, world),
        "GetTables" => get_tables(arguments, world),
        "GetTable" => get_table(arguments, world),
        "GetPartitions" => get_partitions(arguments, world),
        "BatchDeletePartition" => batch_delete_partition(arguments, world),
        "BatchGetPartition" => batch_get_partition(arguments, world),
        "GetWorkflow" => glue_workflows::get_workflow(arguments, world),
        "GetWorkflowRuns" => glue_workflows::get_runs(arguments, world),
        "GetWorkflowRun" => glue_workflows::get_run(arguments, world),
        "GetWorkflowRunProperties" => glue_workflows::get_run_properties(arguments, world),
        "StartWorkflowRun" => glue_workflows::start_run(arguments, world),
        "StopWorkflowRun" => glue_workflows::stop_run(arguments, world),
        "GetCrawler" => glue_workflows::get_crawler(arguments, world),
        "GetJobRuns" => glue_workflows::get_job_runs(arguments, world),
        _ => Err(Service::Glue.unknown_operation(operation)),
    }
}

/// A page of a list, or the refusal of its token.
pub(super) fn cut<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    scope: &str,
    arguments: &Arguments,
    most: usize,
) -> Result<Page<T>, Refusal> {
    let limit = arguments.page_size("MaxResults", most)?;
    let token = arguments.text("NextToken")?;
    page(items, key, scope, token, limit).map_err(|_| arguments.refuse("Invalid NextToken"))
}

fn database_json(name: &str, world: &World) -> Value {
    json!({ "Name": name, "CatalogId": world.names.account })
}

fn get_database(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let name = arguments.required("Name")?;
    world.tables(name)?;
    Ok(reply(json!({ "Database": database_json(name, world) })))
}

fn get_databases(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let page = cut(world.databases(), Clone::clone, "databases", arguments, TABLES_PAGE_LIMIT)?;
    let databases: Vec<Value> = page.items.iter().map(|name| database_json(name, world)).collect();
    Ok(reply(json!({ "DatabaseList": databases, "NextToken": page.next })))
}

fn get_tables(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let database = arguments.required("DatabaseName")?;
    if arguments.text("Expression")?.is_some_and(|expression| !expression.is_empty()) {
        return Err(arguments.refuse("Expression is not part of the simulated pipeline"));
    }
    let tables = world.tables(database)?;
    let scope = format!("tables\n{database}");
    let page = cut(tables, |table| table.name.clone(), &scope, arguments, TABLES_PAGE_LIMIT)?;
    let tables: Vec<Value> = page.items.iter().map(|table| table_json(table, world)).collect();
    Ok(reply(json!({ "TableList": tables, "NextToken": page.next })))
}

fn get_table(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let database = arguments.required("DatabaseName")?;
    let table = world.table(database, arguments.required("Name")?)?;
    Ok(reply(json!({ "Table": table_json(table, world) })))
}

fn columns(columns: &[(String, String)]) -> Value {
    columns.iter().map(|(name, kind)| json!({ "Name": name, "Type": kind })).collect()
}

fn table_json(table: &TableRecord, world: &World) -> Value {
    json!({
        "Name": table.name,
        "DatabaseName": table.database,
        "CreateTime": seconds(table.created_at),
        "UpdateTime": seconds(table.created_at),
        "Retention": 0,
        "StorageDescriptor": storage(table.location.as_deref(), Some(&columns(&table.columns))),
        "PartitionKeys": columns(&table.partition_keys),
        "TableType": table.table_type,
        "TargetTable": table.target.as_ref().map(|(database, name)| {
            json!({ "CatalogId": world.names.account, "DatabaseName": database, "Name": name })
        }),
        "Parameters": table.parameters,
        "CatalogId": world.names.account,
    })
}

fn storage(location: Option<&str>, columns: Option<&Value>) -> Value {
    json!({
        "Columns": columns,
        "Location": location,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "Compressed": false,
    })
}

fn get_partitions(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let database = arguments.required("DatabaseName")?;
    let table = arguments.required("TableName")?;
    let expression = arguments.text("Expression")?;
    let segment = Segment::read(arguments)?;
    let mut partitions = world.partitions(database, table, expression)?;
    partitions.retain(|partition| segment.holds(partition));
    let scope = format!("partitions\n{database}\n{table}\n{expression:?}\n{segment:?}");
    let page = cut(partitions, partition_key, &scope, arguments, PARTITIONS_PAGE_LIMIT)?;
    let with_columns = !arguments.flag("ExcludeColumnSchema")?;
    let table = world.table(database, table)?;
    let row = |partition: &PartitionRecord| partition_json(partition, table, with_columns, world);
    let partitions: Vec<Value> = page.items.iter().map(row).collect();
    Ok(reply(json!({ "Partitions": partitions, "NextToken": page.next })))
}

/// Values in order; the separator sorts before everything that a value holds.
fn partition_key(partition: &PartitionRecord) -> String {
    partition.values.join("\u{1}")
}

fn partition_json(
    partition: &PartitionRecord,
    table: &TableRecord,
    with_columns: bool,
    world: &World,
) -> Value {
    let columns = with_columns.then(|| columns(&table.columns));
    json!({
        "Values": partition.values,
        "DatabaseName": table.database,
        "TableName": table.name,
        "CreationTime": seconds(partition.created_at),
        "StorageDescriptor": storage(partition.location.as_deref(), columns.as_ref()),
        "CatalogId": world.names.account,
    })
}

/// A share of a table's partitions, for readers that work side by side.
#[derive(Debug)]
struct Segment {
    number: u32,
    total: u32,
}

impl Segment {
    fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        if arguments.value("Segment").is_none() {
            return Ok(Self { number: 0, total: 1 });
        }
        let segment = arguments.object("Segment")?;
        let total = segment.integer("TotalSegments")?.filter(|n| (1..=SEGMENTS_LIMIT).contains(n));
        let total = total.and_then(|total| u32::try_from(total).ok());
        let number = segment.integer("SegmentNumber")?.and_then(|n| u32::try_from(n).ok());
        match (number, total) {
            (Some(number), Some(total)) if number < total => Ok(Self { number, total }),
            _ => {
                Err(arguments
                    .refuse("Segment number must be below TotalSegments, which is 1 to 10"))
            }
        }
    }

    fn holds(&self, partition: &PartitionRecord) -> bool {
        crc32fast::hash(partition_key(partition).as_bytes()) % self.total == self.number
    }
}

fn batch_delete_partition(arguments: &Arguments, world: &mut World) -> Result<Reply, Refusal> {
    let database = arguments.required("DatabaseName")?;
    let table = arguments.required("TableName")?;
    let named = arguments.objects("PartitionsToDelete")?;
    if named.len() > DELETION_LIMIT {
        return Err(arguments.refuse("PartitionsToDelete must have at most 25 members"));
    }
    let values: Vec<Vec<String>> =
        named.iter().map(|one| one.texts("Values")).collect::<Result<_, _>>()?;
    let absent = world.delete_partitions(database, table, &values)?;
    let errors: Vec<Value> = absent
        .iter()
        .map(|values| {
            let detail = json!({
                "ErrorCode": "EntityNotFoundException",
                "ErrorMessage": "Partition not found.",
            });
            json!({ "PartitionValues": values, "ErrorDetail": detail })
        })
        .collect();
    Ok(reply(json!({ "Errors": errors })))
}

fn batch_get_partition(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let database = arguments.required("DatabaseName")?;
    let table = arguments.required("TableName")?;
    let wanted = arguments.objects("PartitionsToGet")?;
    if wanted.len() > BATCH_LIMIT {
        return Err(arguments.refuse("PartitionsToGet must have at most 1000 members"));
    }
    let values: Vec<Vec<String>> =
        wanted.iter().map(|one| one.texts("Values")).collect::<Result<_, _>>()?;
    let partitions = world.batch_partitions(database, table, &values)?;
    let table = world.table(database, table)?;
    let partitions: Vec<Value> =
        partitions.iter().map(|partition| partition_json(partition, table, true, world)).collect();
    Ok(reply(json!({ "Partitions": partitions, "UnprocessedKeys": [] })))
}
