//! Glue workflows: a crawler and two copy jobs, and runs that are COMPLETED whatever happened in them (H26).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::error::SimResult;
use super::glue::entity_not_found;
use super::world::World;

/// A job of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// Its name.
    pub name: String,
    /// The raw zone that it writes, by its index in `Names::raw`.
    pub zone: usize,
    /// Whether it is the nightly's: purges today, and reads every date of the last five days (H7).
    pub live: bool,
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRecord {
    /// Its name.
    pub name: String,
    /// What its runs inherit; the copier overwrites it (H4).
    pub default_properties: BTreeMap<String, String>,
    /// `None`: no limit. The copier's `UpdateWorkflow` wipes it (H5).
    pub max_concurrent_runs: Option<usize>,
    /// Its crawler.
    pub crawler: String,
    /// Its jobs.
    pub jobs: Vec<JobSpec>,
}

/// The status of a workflow run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Under way.
    Running,
    /// No more actions; says nothing about success.
    Completed,
    /// Being stopped.
    Stopping,
    /// Stopped.
    Stopped,
    /// In error.
    Error,
}

impl RunStatus {
    /// As Glue writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Error => "ERROR",
        }
    }
}

/// One crawl of a workflow run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrawlRecord {
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `CANCELLED`.
    pub state: &'static str,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRunRecord {
    /// Its id.
    pub id: String,
    /// The job.
    pub job: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `STOPPED`.
    pub state: &'static str,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRunRecord {
    /// The workflow.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Where it is.
    pub status: RunStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// The crawler node's runs.
    pub crawls: Vec<CrawlRecord>,
    /// The job nodes' runs, by the job's name; a job that was never triggered has none.
    pub job_runs: BTreeMap<String, Vec<JobRunRecord>>,
    /// Glue's only message: concurrent runs exceeded.
    pub error: Option<String>,
}

/// `WorkflowRun.Statistics`: nodes that were never triggered are just not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStatistics {
    /// Actions that were started.
    pub total: u32,
    /// Still running.
    pub running: u32,
    /// Succeeded.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Stopped.
    pub stopped: u32,
}

impl WorkflowRunRecord {
    /// Its counters.
    pub fn statistics(&self) -> RunStatistics {
        let crawls = self.crawls.iter().map(|crawl| crawl.state);
        let jobs = self.job_runs.values().flatten().map(|run| run.state);
        let mut statistics = RunStatistics::default();
        for state in crawls.chain(jobs) {
            statistics.total += 1;
            match state {
                "SUCCEEDED" => statistics.succeeded += 1,
                "FAILED" => statistics.failed += 1,
                "STOPPED" | "CANCELLED" => statistics.stopped += 1,
                _ => statistics.running += 1,
            }
        }
        statistics
    }

    /// Whether it is still at work.
    pub fn is_running(&self) -> bool {
        matches!(self.status, RunStatus::Running | RunStatus::Stopping)
    }
}

/// A crawler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrawlerRecord {
    /// Its name.
    pub name: String,
    /// `READY` or `RUNNING`.
    pub state: &'static str,
    /// The last crawl.
    pub last_crawl: Option<CrawlRecord>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Workflows {
    pub(super) workflows: BTreeMap<String, WorkflowRecord>,
    pub(super) runs: BTreeMap<String, WorkflowRunRecord>,
    pub(super) crawlers: BTreeMap<String, CrawlerRecord>,
}

impl World {
    /// `glue:GetWorkflow`.
    pub fn workflow(&self, name: &str) -> SimResult<&WorkflowRecord> {
        let workflow = self.workflows.workflows.get(name);
        workflow.ok_or_else(|| entity_not_found(format!("Entity not found: workflow {name}")))
    }

    /// `glue:GetWorkflowRuns` without paging; in no useful order, as in Glue.
    pub fn workflow_runs(&self, name: &str) -> SimResult<Vec<WorkflowRunRecord>> {
        self.workflow(name)?;
        Ok(self.workflows.runs.values().filter(|run| run.name == name).cloned().collect())
    }

    /// `glue:GetWorkflowRun`, graph and properties included.
    pub fn workflow_run(&self, name: &str, id: &str) -> SimResult<&WorkflowRunRecord> {
        self.workflow(name)?;
        let run = self.workflows.runs.get(id).filter(|run| run.name == name);
        run.ok_or_else(|| entity_not_found(format!("Entity not found: workflow run {id}")))
    }

    /// `glue:StartWorkflowRun`: the properties come on top of the workflow's defaults. Returns the id.
    pub fn start_workflow_run(
        &mut self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> SimResult<String> {
        let _ = (name, properties);
        todo!()
    }

    /// `glue:StopWorkflowRun`.
    pub fn stop_workflow_run(&mut self, name: &str, id: &str) -> SimResult<()> {
        let _ = (name, id);
        todo!()
    }

    /// `glue:GetCrawler`.
    pub fn crawler(&self, name: &str) -> SimResult<&CrawlerRecord> {
        let crawler = self.workflows.crawlers.get(name);
        crawler.ok_or_else(|| entity_not_found(format!("Crawler with name {name} not found")))
    }

    /// `glue:GetJobRuns` without paging, newest first.
    pub fn job_runs(&self, job: &str) -> SimResult<Vec<JobRunRecord>> {
        let _ = job;
        todo!()
    }
}
