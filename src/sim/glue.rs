//! The Glue catalog: databases, tables, partitions.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::error::{SimError, SimResult};
use super::expression::Expression;
use super::world::World;

/// A table of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRecord {
    /// The database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Columns that are no partition keys: name and type.
    pub columns: Vec<(String, String)>,
    /// Partition keys in order: name and type.
    pub partition_keys: Vec<(String, String)>,
    /// `StorageDescriptor.Location`.
    pub location: Option<String>,
    /// `EXTERNAL_TABLE`, `VIRTUAL_VIEW`.
    pub table_type: String,
    /// `TargetTable`: database and name, where it is a resource link.
    pub target: Option<(String, String)>,
    /// `Parameters`.
    pub parameters: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// In the order of the table's keys.
    pub values: Vec<String>,
    /// `StorageDescriptor.Location`.
    pub location: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) databases: BTreeMap<String, BTreeMap<String, CatalogEntry>>,
}

#[derive(Clone, Debug)]
pub(super) struct CatalogEntry {
    pub(super) table: TableRecord,
    pub(super) partitions: BTreeMap<Vec<String>, PartitionRecord>,
}

impl World {
    /// `glue:GetDatabases`: the names.
    pub fn databases(&self) -> Vec<String> {
        self.catalog.databases.keys().cloned().collect()
    }

    /// `glue:GetTables` without paging, in order of their names.
    pub fn tables(&self, database: &str) -> SimResult<Vec<TableRecord>> {
        Ok(self.database(database)?.values().map(|entry| entry.table.clone()).collect())
    }

    /// `glue:GetTable`.
    pub fn table(&self, database: &str, table: &str) -> SimResult<&TableRecord> {
        Ok(&self.entry(database, table)?.table)
    }

    /// `glue:GetPartitions` without paging, in order of their values.
    pub fn partitions(
        &self,
        database: &str,
        table: &str,
        expression: Option<&str>,
    ) -> SimResult<Vec<PartitionRecord>> {
        let entry = self.entry(database, table)?;
        let Some(text) = expression.filter(|text| !text.trim().is_empty()) else {
            return Ok(entry.partitions.values().cloned().collect());
        };
        let expression = Expression::parse(text, &entry.table.partition_keys)?;
        let chosen = entry.partitions.values().filter(|row| expression.holds(&row.values));
        Ok(chosen.cloned().collect())
    }

    /// `glue:BatchGetPartition`: those that exist; absent ones simply do not come back.
    pub fn batch_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> SimResult<Vec<PartitionRecord>> {
        let entry = self.entry(database, table)?;
        Ok(values.iter().filter_map(|values| entry.partitions.get(values).cloned()).collect())
    }

    /// `glue:BatchDeletePartition`: answers those that are not there.
    pub fn delete_partitions(
        &mut self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> SimResult<Vec<Vec<String>>> {
        self.entry(database, table)?;
        let tables = self.catalog.databases.get_mut(database);
        let Some(entry) = tables.and_then(|tables| tables.get_mut(table)) else {
            return Ok(Vec::new());
        };
        let absent = |values: &&Vec<String>| entry.partitions.remove(*values).is_none();
        Ok(values.iter().filter(absent).cloned().collect())
    }

    /// Registers a partition of a table, and the table when there is none.
    pub(super) fn register(&mut self, database: &str, table: &str, base: &str, date: NaiveDate) {
        let now = self.now;
        let tables = self.catalog.databases.entry(database.to_owned()).or_default();
        let entry = tables.entry(table.to_owned()).or_insert_with(|| CatalogEntry {
            table: new_table(database, table, base, now),
            partitions: BTreeMap::new(),
        });
        let values = partition_values(date);
        entry.partitions.entry(values.clone()).or_insert_with(|| PartitionRecord {
            values,
            location: Some(format!("{base}{}", partition_path(date))),
            created_at: now,
        });
    }

    /// Takes a partition out of the catalog; its objects stay.
    pub fn unregister(&mut self, database: &str, table: &str, date: NaiveDate) {
        let tables = self.catalog.databases.get_mut(database);
        if let Some(entry) = tables.and_then(|tables| tables.get_mut(table)) {
            entry.partitions.remove(&partition_values(date));
        }
    }

    /// Puts a table into the catalog, as a person would.
    pub fn add_table(&mut self, table: TableRecord) {
        let tables = self.catalog.databases.entry(table.database.clone()).or_default();
        let entry = CatalogEntry { table, partitions: BTreeMap::new() };
        tables.insert(entry.table.name.clone(), entry);
    }

    /// Changes a table of the catalog, as a person would; its partitions stay as they are.
    pub fn change_table(
        &mut self,
        database: &str,
        table: &str,
        change: impl FnOnce(&mut TableRecord),
    ) {
        let tables = self.catalog.databases.get_mut(database);
        if let Some(entry) = tables.and_then(|tables| tables.get_mut(table)) {
            change(&mut entry.table);
        }
    }

    /// `glue:CreatePartition`, with whatever values: the catalog does not read them.
    pub fn add_partition(
        &mut self,
        database: &str,
        table: &str,
        values: &[&str],
        location: Option<&str>,
    ) {
        let now = self.now;
        let tables = self.catalog.databases.get_mut(database);
        if let Some(entry) = tables.and_then(|tables| tables.get_mut(table)) {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            let location = location.map(str::to_owned);
            let record = PartitionRecord { values: values.clone(), location, created_at: now };
            entry.partitions.insert(values, record);
        }
    }

    /// `glue:DeletePartition`.
    pub fn drop_partition(&mut self, database: &str, table: &str, values: &[String]) {
        let tables = self.catalog.databases.get_mut(database);
        if let Some(entry) = tables.and_then(|tables| tables.get_mut(table)) {
            entry.partitions.remove(values);
        }
    }

    /// Takes a table out of the catalog, as a lost permission would.
    pub fn drop_table(&mut self, database: &str, table: &str) {
        if let Some(tables) = self.catalog.databases.get_mut(database) {
            tables.remove(table);
        }
    }

    pub(super) fn database(&self, database: &str) -> SimResult<&BTreeMap<String, CatalogEntry>> {
        self.catalog
            .databases
            .get(database)
            .ok_or_else(|| entity_not_found(format!("Database {database} not found.")))
    }

    fn entry(&self, database: &str, table: &str) -> SimResult<&CatalogEntry> {
        self.database(database)?
            .get(table)
            .ok_or_else(|| entity_not_found(format!("Table {table} not found.")))
    }
}

pub(super) fn entity_not_found(message: impl Into<String>) -> SimError {
    SimError::new("EntityNotFoundException", 400, message)
}

fn new_table(database: &str, name: &str, base: &str, now: DateTime<Utc>) -> TableRecord {
    let strings = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), "string".to_owned())).collect()
    };
    TableRecord {
        database: database.to_owned(),
        name: name.to_owned(),
        columns: strings(&["id", "status", "import_datetime"]),
        partition_keys: strings(&["import_year", "import_month", "import_day", "import_date"]),
        location: Some(base.to_owned()),
        table_type: "EXTERNAL_TABLE".to_owned(),
        target: None,
        parameters: BTreeMap::from([("classification".to_owned(), "parquet".to_owned())]),
        created_at: now,
    }
}

fn partition_values(date: NaiveDate) -> Vec<String> {
    ["%Y", "%m", "%d", "%Y%m%d"].map(|format| date.format(format).to_string()).into()
}

/// The folders of a date below a table, with a trailing slash.
pub(super) fn partition_path(date: NaiveDate) -> String {
    let path = "import_year=%Y/import_month=%m/import_day=%d/import_date=%Y%m%d/";
    date.format(path).to_string()
}
