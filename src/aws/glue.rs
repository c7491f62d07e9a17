//! Glue: the catalog's tables and partitions, and the workflows.
//!
//! It never says that a run succeeded: `COMPLETED` means no more than that nothing is left to
//! start (H26), so the graph is handed on as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_glue::types::{
    Crawl, JobRun, Node, Partition as SdkPartition, PartitionValueList, Table,
    WorkflowRun as SdkRun, WorkflowRunStatistics, WorkflowRunStatus,
};
use chrono::{DateTime, Utc};
use tokio_util::task::AbortOnDropHandle;

use super::convert::{instant, page_size};
use super::error::Failure;
use super::line::{Line, Repeat};
use super::pages::Pages;
use super::partition_page::PartitionPage;
use crate::domain::{
    ErrorClass, NodeKind, NodeRun, WorkflowNode, WorkflowRun, WorkflowStatistics, WorkflowStatus,
};
use crate::platform::{Answer, CatalogTable, Partition, PartitionQuery, PlatformError, TableKind};

/// `glue:GetTables`
pub(super) const GET_TABLES: &str = "glue:GetTables";
/// `glue:BatchGetPartition`
pub(super) const BATCH_GET_PARTITION: &str = "glue:BatchGetPartition";
/// `glue:BatchDeletePartition`
pub(super) const BATCH_DELETE_PARTITION: &str = "glue:BatchDeletePartition";
/// `glue:GetPartitions`
pub(super) const GET_PARTITIONS: &str = "glue:GetPartitions";
/// `glue:GetWorkflowRuns`
pub(super) const GET_RUNS: &str = "glue:GetWorkflowRuns";
/// `glue:GetWorkflowRun`
pub(super) const GET_RUN: &str = "glue:GetWorkflowRun";
/// `glue:GetWorkflowRunProperties`
pub(super) const GET_RUN_PROPERTIES: &str = "glue:GetWorkflowRunProperties";
/// `glue:StartWorkflowRun`
pub(super) const START_RUN: &str = "glue:StartWorkflowRun";

/// Glue's own limits.
const TABLES_PER_PAGE: i32 = 100;
const PARTITIONS_PER_PAGE: usize = 1_000;
const RUNS_PER_PAGE: i32 = 1_000;
/// Glue may leave keys of a batch unprocessed; so often in a row it is a failure.
const BATCHES_AT_MOST: usize = 8;

/// The catalog and the workflows.
pub(super) struct Catalog {
    client: aws_sdk_glue::Client,
    line: Arc<Line>,
}

impl Catalog {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_glue::Client::new(shared), line }
    }

    /// Every table of a database, page by page.
    pub(super) async fn tables(
        &self,
        database: &str,
        page: &mut (dyn FnMut(Vec<CatalogTable>) + Send),
    ) -> Answer<()> {
        let mut pages = Pages::of(GET_TABLES);
        let mut token = None;
        loop {
            let request = self
                .client
                .get_tables()
                .database_name(database)
                .max_results(TABLES_PER_PAGE)
                .set_next_token(token);
            let answer = self.line.read(GET_TABLES, || request.clone().send()).await?;
            let list = pages.list(answer.table_list, answer.next_token.as_deref())?;
            page(list.into_iter().map(table).collect());
            token = pages.next(answer.next_token)?;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Partitions of a table, page by page; each page is dropped before the next is asked for.
    pub(super) async fn partitions(
        &self,
        query: &PartitionQuery,
        page: &mut (dyn FnMut(Vec<Partition>) + Send),
    ) -> Answer<()> {
        let mut pages = Pages::of(GET_PARTITIONS);
        let mut token = None;
        let mut so_far = 0;
        while query.at_most.is_none_or(|at_most| so_far < at_most) {
            let request = self
                .client
                .get_partitions()
                .database_name(&query.database)
                .table_name(&query.table)
                .set_expression(query.expression.clone())
                .exclude_column_schema(true)
                .max_results(page_size(PARTITIONS_PER_PAGE, query.at_most, so_far))
                .set_next_token(token);
            let list = PartitionPage::default();
            let ask = || request.clone().customize().interceptor(list.clone()).send();
            let answer = self.line.read(GET_PARTITIONS, || aside(ask())).await?;
            let mut partitions = pages.list(list.take(), answer.next_token.as_deref())?;
            partitions.truncate(query.at_most.map_or(usize::MAX, |at_most| at_most - so_far));
            so_far += partitions.len();
            if !partitions.is_empty() {
                page(partitions);
            }
            token = pages.next(answer.next_token)?;
            if token.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The partitions with one of these lists of values.
    pub(super) async fn partitions_at(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<Partition>> {
        let list = |values: &Vec<String>| {
            let list = PartitionValueList::builder().set_values(Some(values.clone())).build();
            list.map_err(|error| Failure::invalid(error.to_string()).of(BATCH_GET_PARTITION))
        };
        let mut wanted = values.iter().map(list).collect::<Answer<Vec<_>>>()?;
        let mut found = Vec::new();
        for _ in 0..BATCHES_AT_MOST {
            let request = self
                .client
                .batch_get_partition()
                .database_name(database)
                .table_name(table)
                .set_partitions_to_get(Some(wanted));
            let answer = self.line.read(BATCH_GET_PARTITION, || request.clone().send()).await?;
            found.extend(partitions(answer.partitions.unwrap_or_default())?);
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(Failure::nonsense("keys stay unprocessed").of(BATCH_GET_PARTITION))
    }

    /// Takes partitions out of the catalog. Safe to repeat: one that is out already counts as out.
    pub(super) async fn delete_partitions(
        &self,
        database: &str,
        table: &str,
        values: &[Vec<String>],
    ) -> Answer<Vec<(Vec<String>, PlatformError)>> {
        let list = |values: &Vec<String>| {
            let list = PartitionValueList::builder().set_values(Some(values.clone())).build();
            list.map_err(|error| Failure::invalid(error.to_string()).of(BATCH_DELETE_PARTITION))
        };
        let request = self
            .client
            .batch_delete_partition()
            .database_name(database)
            .table_name(table)
            .set_partitions_to_delete(Some(values.iter().map(list).collect::<Answer<_>>()?));
        let ask = || request.clone().send();
        let answer = self.line.ask(BATCH_DELETE_PARTITION, Repeat::Safe, ask).await?;
        let refused = answer.errors.unwrap_or_default().into_iter().map(|refused| {
            let detail = refused.error_detail;
            let code = detail.as_ref().and_then(|detail| detail.error_code.clone());
            let message = detail.and_then(|detail| detail.error_message).unwrap_or_default();
            let failure = Failure::coded(code.unwrap_or_default(), &message);
            (refused.partition_values.unwrap_or_default(), failure.of(BATCH_DELETE_PARTITION))
        });
        Ok(refused.filter(|(_, error)| error.class != ErrorClass::NotFound).collect())
    }

    /// Every run of a workflow that began after `since`.
    ///
    /// Their order is undocumented, so no page tells that the rest is older: all are read. Glue
    /// forgets runs after 90 days. A run without a start counts as one that just began.
    pub(super) async fn runs(
        &self,
        workflow: &str,
        since: DateTime<Utc>,
    ) -> Answer<Vec<WorkflowRun>> {
        let mut pages = Pages::of(GET_RUNS);
        let mut token = None;
        let mut runs = Vec::new();
        loop {
            let request = self
                .client
                .get_workflow_runs()
                .name(workflow)
                .include_graph(false)
                .max_results(RUNS_PER_PAGE)
                .set_next_token(token);
            let page = self.line.read(GET_RUNS, || request.clone().send()).await?;
            for found in page.runs.unwrap_or_default() {
                let run = run(found, GET_RUNS)?;
                if run.started_at.is_none_or(|started_at| started_at > since) {
                    runs.push(run);
                }
            }
            token = pages.next(page.next_token)?;
            if token.is_none() {
                runs.sort_by_key(|run| run.started_at.unwrap_or(DateTime::<Utc>::MAX_UTC));
                return Ok(runs);
            }
        }
    }

    /// One run with its graph and properties.
    pub(super) async fn run(&self, workflow: &str, id: &str) -> Answer<WorkflowRun> {
        let request = self.client.get_workflow_run().name(workflow).run_id(id).include_graph(true);
        let answer = self.line.read(GET_RUN, || request.clone().send()).await?;
        let Some(found) = answer.run else {
            return Err(Failure::nonsense("an answer without a run").of(GET_RUN));
        };
        let mut run = run(found, GET_RUN)?;
        if run.properties.is_empty() {
            run.properties = self.properties(workflow, id).await?;
        }
        Ok(run)
    }

    /// Starts a run; sent once, for Glue has no token for it.
    pub(super) async fn start_run(
        &self,
        workflow: &str,
        properties: &BTreeMap<String, String>,
    ) -> Answer<String> {
        let properties = properties.clone().into_iter().collect();
        let request =
            self.client.start_workflow_run().name(workflow).set_run_properties(Some(properties));
        let answer = self.line.ask(START_RUN, Repeat::Once, || request.clone().send()).await?;
        answer.run_id.ok_or_else(|| Failure::nonsense("a started run without an id").of(START_RUN))
    }

    async fn properties(&self, workflow: &str, id: &str) -> Answer<BTreeMap<String, String>> {
        let request = self.client.get_workflow_run_properties().name(workflow).run_id(id);
        let answer = self.line.read(GET_RUN_PROPERTIES, || request.clone().send()).await?;
        Ok(answer.run_properties.unwrap_or_default().into_iter().collect())
    }
}

/// Asks in a task of its own: reading a page of a thousand partitions is most of a scan's work,
/// and so it is done on every core and not only where the scan is.
async fn aside<T, E>(ask: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "it is awaited here, or aborted with this call")]
    let task = AbortOnDropHandle::new(tokio::spawn(ask));
    match task.await {
        Ok(answer) => answer.map_err(Into::into),
        Err(ended) => Err(Failure::broken_answer(&ended)),
    }
}

fn table(found: Table) -> CatalogTable {
    let keys = found.partition_keys.unwrap_or_default();
    let parameters = found.parameters.unwrap_or_default();
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    let is_link = found.target_table.is_some();
    CatalogTable {
        kind: TableKind::read(is_link, found.table_type.as_deref(), parameter),
        name: found.name,
        partition_keys: keys
            .into_iter()
            .map(|key| (key.name, key.r#type.unwrap_or_default()))
            .collect(),
        location: found.storage_descriptor.and_then(|storage| storage.location),
    }
}

fn partitions(found: Vec<SdkPartition>) -> Answer<Vec<Partition>> {
    found.into_iter().map(partition).collect()
}

fn partition(found: SdkPartition) -> Answer<Partition> {
    let values = found
        .values
        .ok_or_else(|| Failure::nonsense("a partition without values").of(GET_PARTITIONS))?;
    let location = found.storage_descriptor.and_then(|storage| storage.location);
    Ok(Partition { values, location })
}

fn run(found: SdkRun, operation: &'static str) -> Answer<WorkflowRun> {
    let started_at = instant(found.started_on.as_ref());
    let ended_at = instant(found.completed_on.as_ref());
    let (Some(id), Some(status)) = (found.workflow_run_id, found.status) else {
        return Err(Failure::nonsense("a run without id or status").of(operation));
    };
    let nodes = found.graph.and_then(|graph| graph.nodes).unwrap_or_default();
    Ok(WorkflowRun {
        id,
        status: run_status(&status),
        started_at,
        ended_at,
        properties: found.workflow_run_properties.unwrap_or_default().into_iter().collect(),
        statistics: found.statistics.as_ref().map(statistics),
        nodes: sorted(nodes.into_iter().filter_map(node).collect()),
        error: found.error_message,
    })
}

fn run_status(status: &WorkflowRunStatus) -> WorkflowStatus {
    match status.as_str() {
        "RUNNING" | "STOPPING" => WorkflowStatus::Running,
        "COMPLETED" => WorkflowStatus::Completed,
        other => WorkflowStatus::Ended(other.to_owned()),
    }
}

fn statistics(found: &WorkflowRunStatistics) -> WorkflowStatistics {
    let count = |actions: i32| u32::try_from(actions).unwrap_or(0);
    WorkflowStatistics {
        total: count(found.total_actions),
        succeeded: count(found.succeeded_actions),
        unsuccessful: [
            found.failed_actions,
            found.errored_actions,
            found.timeout_actions,
            found.stopped_actions,
        ]
        .map(count)
        .iter()
        .sum(),
    }
}

/// Crawlers, then jobs, each by name: Glue's order means nothing.
fn sorted(mut nodes: Vec<WorkflowNode>) -> Vec<WorkflowNode> {
    nodes.sort_by(|a, b| {
        let rank = |node: &WorkflowNode| node.kind == NodeKind::Job;
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    nodes
}

/// Crawlers and jobs; triggers do nothing of their own.
fn node(found: Node) -> Option<WorkflowNode> {
    let (kind, runs) = match found.r#type?.as_str() {
        "CRAWLER" => {
            let crawls = found.crawler_details.and_then(|details| details.crawls);
            let crawls = crawls.unwrap_or_default();
            (NodeKind::Crawler, oldest_first(crawls, |crawl| crawl.started_on, crawl))
        }
        "JOB" => {
            let job_runs = found.job_details.and_then(|details| details.job_runs);
            let job_runs = job_runs.unwrap_or_default();
            (NodeKind::Job, oldest_first(job_runs, |run| run.started_on, job_run))
        }
        _ => return None,
    };
    Some(WorkflowNode { name: found.name.unwrap_or_default(), kind, runs })
}

/// A run that has no start yet is the youngest.
fn oldest_first<T>(
    mut runs: Vec<T>,
    started_on: impl Fn(&T) -> Option<aws_smithy_types::DateTime>,
    convert: impl Fn(T) -> NodeRun,
) -> Vec<NodeRun> {
    runs.sort_by_key(|run| instant(started_on(run).as_ref()).unwrap_or(DateTime::<Utc>::MAX_UTC));
    runs.into_iter().map(convert).collect()
}

fn crawl(found: Crawl) -> NodeRun {
    let state = found.state.map(|state| state.as_str().to_owned());
    NodeRun { state: state.unwrap_or_default(), error: found.error_message }
}

fn job_run(found: JobRun) -> NodeRun {
    let state = found.job_run_state.map(|state| state.as_str().to_owned());
    NodeRun { state: state.unwrap_or_default(), error: found.error_message }
}
