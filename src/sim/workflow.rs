//! Glue workflows: a crawler and two copy jobs, and runs that are COMPLETED whatever happened in them (H26).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::error::{SimError, SimResult};
use super::glue::entity_not_found;
use super::world::{Happening, World};

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

/// What a job has processed: files by name near the mark, everything older by time (H9).
#[derive(Clone, Debug, Default)]
pub(super) struct Bookmark {
    pub(super) mark: Option<DateTime<Utc>>,
    pub(super) seen: BTreeSet<(String, DateTime<Utc>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Workflows {
    pub(super) definitions: BTreeMap<String, WorkflowRecord>,
    pub(super) runs: BTreeMap<String, WorkflowRunRecord>,
    pub(super) crawlers: BTreeMap<String, CrawlerRecord>,
    /// Which run a crawler crawls for.
    pub(super) crawling: BTreeMap<String, String>,
    pub(super) bookmarks: BTreeMap<String, Bookmark>,
}

impl World {
    /// `glue:GetWorkflow`.
    pub fn workflow(&self, name: &str) -> SimResult<&WorkflowRecord> {
        let workflow = self.workflows.definitions.get(name);
        workflow.ok_or_else(|| entity_not_found(format!("Entity not found: workflow {name}")))
    }

    /// A workflow, to change what no operation of ours changes.
    pub fn workflow_mut(&mut self, name: &str) -> SimResult<&mut WorkflowRecord> {
        let workflow = self.workflows.definitions.get_mut(name);
        workflow.ok_or_else(|| entity_not_found(format!("Entity not found: workflow {name}")))
    }

    /// `glue:GetWorkflowRuns` without paging; in no useful order, as in Glue.
    pub fn workflow_runs(&self, name: &str) -> SimResult<Vec<WorkflowRunRecord>> {
        self.workflow(name)?;
        Ok(self.workflows.runs.values().filter(|run| run.name == name).cloned().collect())
    }

    /// The same without copies, those that began since; none of a workflow that is absent.
    pub(super) fn workflow_runs_since(
        &self,
        name: &str,
        since: DateTime<Utc>,
    ) -> impl Iterator<Item = &WorkflowRunRecord> {
        let runs = self.workflows.runs.values();
        runs.filter(move |run| run.started_at > since && run.name == name)
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
        let workflow = self.workflow(name)?.clone();
        let runs = self.workflows.runs.values();
        let running = runs.filter(|run| run.name == name && run.is_running()).count();
        if workflow.max_concurrent_runs.is_some_and(|limit| running >= limit) {
            let message = format!("Concurrent runs exceeded for workflow: {name}.");
            return Err(SimError::new("ConcurrentRunsExceededException", 400, message));
        }
        let id = format!("wr_{}", self.random_hex(64));
        let mut all = workflow.default_properties.clone();
        all.extend(properties.clone());
        let job_names = workflow.jobs.iter().map(|job| (job.name.clone(), Vec::new()));
        let run = WorkflowRunRecord {
            name: name.to_owned(),
            id: id.clone(),
            status: RunStatus::Running,
            started_at: self.now,
            completed_at: None,
            properties: all,
            crawls: Vec::new(),
            job_runs: job_names.collect(),
            error: None,
        };
        self.workflows.runs.insert(id.clone(), run);
        self.start_crawl(&workflow.crawler, &id);
        Ok(id)
    }

    /// `glue:StopWorkflowRun`.
    pub fn stop_workflow_run(&mut self, name: &str, id: &str) -> SimResult<()> {
        if !self.workflow_run(name, id)?.is_running() {
            let message = format!("The workflow run {id} is not running.");
            return Err(SimError::new("IllegalWorkflowStateException", 400, message));
        }
        let crawler = self.workflow(name)?.crawler.clone();
        if self.workflows.crawling.get(&crawler).is_some_and(|run| run == id) {
            self.crawler_is_ready(&crawler);
        }
        let now = self.now;
        self.change_run(id, |run| {
            run.status = RunStatus::Stopped;
            run.completed_at = Some(now);
            for crawl in run.crawls.iter_mut().filter(|crawl| crawl.state == "RUNNING") {
                crawl.state = "CANCELLED";
                crawl.completed_at = Some(now);
            }
            let jobs = run.job_runs.values_mut().flatten();
            for job in jobs.filter(|job| job.state == "RUNNING") {
                job.state = "STOPPED";
                job.completed_at = Some(now);
            }
        });
        Ok(())
    }

    /// `glue:GetCrawler`.
    pub fn crawler(&self, name: &str) -> SimResult<&CrawlerRecord> {
        let crawler = self.workflows.crawlers.get(name);
        crawler.ok_or_else(|| entity_not_found(format!("Crawler with name {name} not found")))
    }

    /// `glue:GetJobRuns` without paging, newest first.
    pub fn job_runs(&self, job: &str) -> SimResult<Vec<JobRunRecord>> {
        let workflows = self.workflows.definitions.values();
        if !workflows.flat_map(|workflow| &workflow.jobs).any(|known| known.name == job) {
            return Err(entity_not_found(format!("Job {job} not found")));
        }
        let runs = self.workflows.runs.values().filter_map(|run| run.job_runs.get(job));
        let mut runs: Vec<_> = runs.flatten().cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
        Ok(runs)
    }

    /// A crawler that is running cannot be started: the crawl fails, and nothing follows it (H6).
    fn start_crawl(&mut self, crawler: &str, run: &str) {
        let now = self.now;
        let busy = self.workflows.crawling.contains_key(crawler);
        let crawl = CrawlRecord {
            state: if busy { "FAILED" } else { "RUNNING" },
            started_at: now,
            completed_at: busy.then_some(now),
            error: busy.then(|| "CrawlerRunningException: the crawler is running".to_owned()),
        };
        self.change_run(run, |record| record.crawls.push(crawl));
        if busy {
            self.complete_if_done(run);
            return;
        }
        self.workflows.crawling.insert(crawler.to_owned(), run.to_owned());
        if let Some(record) = self.workflows.crawlers.get_mut(crawler) {
            record.state = "RUNNING";
        }
        self.after(self.timing.crawl, Happening::CrawlEnds { run: run.to_owned() });
    }

    pub(super) fn crawl_ends(&mut self, id: &str) {
        let Some(run) = self.workflows.runs.get(id).cloned() else { return };
        if run.status != RunStatus::Running {
            return;
        }
        let Ok(workflow) = self.workflow(&run.name).cloned() else { return };
        let fails = date_of(&run)
            .is_some_and(|date| self.script(date, |profile| profile.crawl_fails.take()));
        let now = self.now;
        self.change_run(id, |run| {
            for crawl in run.crawls.iter_mut().filter(|crawl| crawl.state == "RUNNING") {
                crawl.state = if fails { "FAILED" } else { "SUCCEEDED" };
                crawl.completed_at = Some(now);
                crawl.error = fails.then(|| "Internal Service Exception".to_owned());
            }
        });
        let crawl = self.workflows.runs.get(id).and_then(|run| run.crawls.last().cloned());
        if let Some(record) = self.workflows.crawlers.get_mut(&workflow.crawler) {
            record.last_crawl = crawl;
        }
        self.crawler_is_ready(&workflow.crawler);
        if !fails {
            self.register_landing();
            for job in &workflow.jobs {
                self.start_job(id, job);
            }
        }
        self.complete_if_done(id);
    }

    fn crawler_is_ready(&mut self, crawler: &str) {
        self.workflows.crawling.remove(crawler);
        if let Some(record) = self.workflows.crawlers.get_mut(crawler) {
            record.state = "READY";
        }
    }

    /// A job runs once at a time: a second start fails at once (H27).
    fn start_job(&mut self, run: &str, job: &JobSpec) {
        let now = self.now;
        let all = self.workflows.runs.values().filter_map(|each| each.job_runs.get(&job.name));
        let busy = all.flatten().any(is_running);
        let record = JobRunRecord {
            id: format!("jr_{}", self.random_hex(64)),
            job: job.name.clone(),
            state: if busy { "FAILED" } else { "RUNNING" },
            started_at: now,
            completed_at: busy.then_some(now),
            error: busy.then(|| "exceeded its maximum allowed concurrent runs".to_owned()),
        };
        self.change_run(run, |each| {
            each.job_runs.entry(job.name.clone()).or_default().push(record);
        });
        let date = self.workflows.runs.get(run).and_then(date_of);
        let hangs = date.is_some_and(|date| self.script(date, |profile| profile.jobs_hang.take()));
        if !busy && !hangs {
            let ends = Happening::JobEnds { run: run.to_owned(), job: job.name.clone() };
            self.after(self.timing.job, ends);
        }
    }

    pub(super) fn job_ends(&mut self, id: &str, name: &str) {
        let Some(run) = self.workflows.runs.get(id).cloned() else { return };
        let Some(record) = run.job_runs.get(name).and_then(|runs| runs.last()).cloned() else {
            return;
        };
        let spec = self.workflow(&run.name).ok();
        let spec = spec.and_then(|each| each.jobs.iter().find(|job| job.name == name)).cloned();
        let Some(spec) = spec.filter(|_| is_running(&record)) else { return };
        let error = self.carry_out(&spec, &record, date_of(&run)).err();
        let now = self.now;
        self.change_run(id, |run| {
            let jobs = run.job_runs.get_mut(name).into_iter().flatten();
            for job in jobs.filter(|job| is_running(job)) {
                job.state = if error.is_some() { "FAILED" } else { "SUCCEEDED" };
                job.completed_at = Some(now);
                job.error.clone_from(&error);
            }
        });
        self.complete_if_done(id);
    }

    /// COMPLETED means that there is no more to do, whatever became of it (H26).
    fn complete_if_done(&mut self, id: &str) {
        let now = self.now;
        self.change_run(id, |run| {
            let crawls = run.crawls.iter().any(|crawl| crawl.state == "RUNNING");
            let jobs = run.job_runs.values().flatten().any(is_running);
            if !crawls && !jobs && run.status == RunStatus::Running {
                run.status = RunStatus::Completed;
                run.completed_at = Some(now);
            }
        });
    }

    fn change_run(&mut self, id: &str, change: impl FnOnce(&mut WorkflowRunRecord)) {
        if let Some(run) = self.workflows.runs.get_mut(id) {
            change(run);
        }
    }
}

fn is_running(job: &JobRunRecord) -> bool {
    job.state == "RUNNING"
}

/// The date that a run is about: its property `import_date`.
fn date_of(run: &WorkflowRunRecord) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(run.properties.get("import_date")?, "%Y%m%d").ok()
}
