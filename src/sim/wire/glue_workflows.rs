//! Glue's workflows, crawlers and job runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::glue::cut;
use super::json::{Arguments, reply, seconds};
use super::reply::{Refusal, Reply};
use crate::sim::{CrawlRecord, JobRunRecord, WorkflowRecord, WorkflowRunRecord, World};

const RUNS_PAGE_LIMIT: usize = 1000;
const JOB_RUNS_PAGE_LIMIT: usize = 200;

pub(super) fn get_workflow(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let workflow = world.workflow(arguments.required("Name")?)?;
    Ok(reply(json!({ "Workflow": {
        "Name": workflow.name,
        "DefaultRunProperties": workflow.default_properties,
        "MaxConcurrentRuns": workflow.max_concurrent_runs,
    }})))
}

pub(super) fn get_runs(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let name = arguments.required("Name")?;
    let with_graph = arguments.flag("IncludeGraph")?;
    let workflow = world.workflow(name)?;
    let runs = world.workflow_runs(name)?;
    let page =
        cut(runs, |run| run.id.clone(), &format!("runs\n{name}"), arguments, RUNS_PAGE_LIMIT)?;
    let runs: Vec<Value> =
        page.items.iter().map(|run| run_json(run, with_graph.then_some(workflow))).collect();
    Ok(reply(json!({ "Runs": runs, "NextToken": page.next })))
}

pub(super) fn get_run(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let name = arguments.required("Name")?;
    let with_graph = arguments.flag("IncludeGraph")?;
    let run = world.workflow_run(name, arguments.required("RunId")?)?;
    let workflow = world.workflow(name)?;
    Ok(reply(json!({ "Run": run_json(run, with_graph.then_some(workflow)) })))
}

pub(super) fn get_run_properties(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let run = world.workflow_run(arguments.required("Name")?, arguments.required("RunId")?)?;
    Ok(reply(json!({ "RunProperties": run.properties })))
}

pub(super) fn start_run(arguments: &Arguments, world: &mut World) -> Result<Reply, Refusal> {
    let name = arguments.required("Name")?;
    let properties: BTreeMap<String, String> =
        arguments.text_map("RunProperties")?.into_iter().collect();
    let id = world.start_workflow_run(name, &properties)?;
    Ok(reply(json!({ "RunId": id })))
}

pub(super) fn stop_run(arguments: &Arguments, world: &mut World) -> Result<Reply, Refusal> {
    world.stop_workflow_run(arguments.required("Name")?, arguments.required("RunId")?)?;
    Ok(reply(json!({})))
}

fn run_json(run: &WorkflowRunRecord, graph_of: Option<&WorkflowRecord>) -> Value {
    let statistics = run.statistics();
    json!({
        "Name": run.name,
        "WorkflowRunId": run.id,
        "WorkflowRunProperties": run.properties,
        "StartedOn": seconds(run.started_at),
        "CompletedOn": run.completed_at.map(seconds),
        "Status": run.status.as_str(),
        "ErrorMessage": run.error,
        "Statistics": {
            "TotalActions": statistics.total,
            "RunningActions": statistics.running,
            "SucceededActions": statistics.succeeded,
            "FailedActions": statistics.failed,
            "StoppedActions": statistics.stopped,
            "TimeoutActions": 0,
            "ErroredActions": 0,
            "WaitingActions": 0,
        },
        "Graph": graph_of.map(|workflow| graph_json(run, workflow)),
    })
}

fn graph_json(run: &WorkflowRunRecord, workflow: &WorkflowRecord) -> Value {
    let crawls: Vec<Value> = run.crawls.iter().map(crawl_json).collect();
    let mut nodes = vec![json!({
        "Type": "CRAWLER",
        "Name": workflow.crawler,
        "UniqueId": format!("wnode_{}", workflow.crawler),
        "CrawlerDetails": { "Crawls": crawls },
    })];
    for job in &workflow.jobs {
        let runs = run.job_runs.get(&job.name).map_or(&[][..], Vec::as_slice);
        let runs: Vec<Value> = runs.iter().map(job_run_json).collect();
        nodes.push(json!({
            "Type": "JOB",
            "Name": job.name,
            "UniqueId": format!("wnode_{}", job.name),
            "JobDetails": { "JobRuns": runs },
        }));
    }
    json!({ "Nodes": nodes, "Edges": [] })
}

fn crawl_json(crawl: &CrawlRecord) -> Value {
    json!({
        "State": crawl.state,
        "StartedOn": seconds(crawl.started_at),
        "CompletedOn": crawl.completed_at.map(seconds),
        "ErrorMessage": crawl.error,
    })
}

fn job_run_json(run: &JobRunRecord) -> Value {
    json!({
        "Id": run.id,
        "Attempt": 0,
        "JobName": run.job,
        "StartedOn": seconds(run.started_at),
        "LastModifiedOn": seconds(run.completed_at.unwrap_or(run.started_at)),
        "CompletedOn": run.completed_at.map(seconds),
        "JobRunState": run.state,
        "ErrorMessage": run.error,
    })
}

pub(super) fn get_crawler(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let crawler = world.crawler(arguments.required("Name")?)?;
    let last = crawler.last_crawl.as_ref().map(|crawl| {
        json!({
            "Status": crawl.state,
            "ErrorMessage": crawl.error,
            "StartTime": seconds(crawl.started_at),
        })
    });
    Ok(reply(json!({ "Crawler": {
        "Name": crawler.name,
        "State": crawler.state,
        "LastCrawl": last,
    }})))
}

pub(super) fn get_job_runs(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let job = arguments.required("JobName")?;
    let runs = world.job_runs(job)?;
    // Newest first: the later, the smaller the key.
    let key = |run: &JobRunRecord| {
        format!("{:020}{}", i64::MAX - run.started_at.timestamp_millis(), run.id)
    };
    let page = cut(runs, key, &format!("job runs\n{job}"), arguments, JOB_RUNS_PAGE_LIMIT)?;
    let runs: Vec<Value> = page.items.iter().map(job_run_json).collect();
    Ok(reply(json!({ "JobRuns": runs, "NextToken": page.next })))
}
