//! The Glue workflow: found, judged node by node (H26), and started by us when nobody did (H19).

use std::collections::BTreeMap;

use chrono::Duration;

use super::{Progress, waits};
use crate::config::{Mode, PublishSettings};
use crate::domain::{FailureReason, NodeKind, Stage, WorkflowNode, WorkflowRun, WorkflowStatus};
use crate::ledger::Repeat;
use crate::plan::Step;
use crate::plan::rest::Rest;

/// A workflow start whose answer was lost shows itself within this time, or did not happen. The
/// wait doubles with every start.
const WORKFLOW_APPEARS_WITHIN_SECONDS: i64 = 30;
/// The workflow is asked for so many times at most, lost and refused requests included: half an
/// hour of throttling must not cost a date that is loaded and exported.
const WORKFLOW_STARTS_AT_MOST: usize = 7;
/// A workflow run in which no job ran is started again so often (H6).
const EMPTY_WORKFLOW_RUNS_AT_MOST: usize = 1;

impl Progress<'_> {
    pub(super) fn publish(&self) -> Result<Step, Rest> {
        let Some(publish) = &self.dataset.publish else {
            return Ok(self.end_stage(Stage::Verify, "no workflow is configured"));
        };
        let Some(found) = self.date_workflow_run() else { return self.publish_absent(publish) };
        if let Some(step) = self.note_workflow(found) {
            return Ok(step);
        }
        match &found.status {
            WorkflowStatus::Running if self.stage_took_longer_than(publish.deadline) => {
                let detail = format!(
                    "workflow run {} is past its deadline; it was left running, for stopping it would leave half a date",
                    found.id
                );
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe))
            }
            WorkflowStatus::Running => {
                Err(waits(self.run, format!("workflow run {} is running", found.id)))
            }
            WorkflowStatus::Completed | WorkflowStatus::Ended(_) => {
                self.publish_over(found, publish)
            }
        }
    }

    /// The workflow run of the date that counts now. There may be several of a date (H10): one
    /// that is running comes first, then one that succeeded, then one that may have written
    /// something, and only if there is no such run one that wrote nothing.
    pub(super) fn date_workflow_run(&self) -> Option<&WorkflowRun> {
        let found = self.view.workflow_runs.iter().filter(|found| self.is_news(found));
        found.max_by_key(|found| match &found.status {
            WorkflowStatus::Running => 3,
            WorkflowStatus::Completed | WorkflowStatus::Ended(_) => match judge_workflow(found) {
                Verdict::Good => 2,
                Verdict::Bad(_) => 1,
                Verdict::NothingRan(_) => 0,
            },
        })
    }

    /// Every workflow run of the date that may have written is written down, the one that counts
    /// last: with two of them the rows may be there twice (H10).
    pub(super) fn note_workflow(&self, counts: &WorkflowRun) -> Option<Step> {
        let may_write = |found: &WorkflowRun| {
            found.status == WorkflowStatus::Running
                || !matches!(judge_workflow(found), Verdict::NothingRan(_))
        };
        let mut others = self.view.workflow_runs.iter().filter(|found| found.id != counts.id);
        let unknown = others.find(|found| {
            self.is_news(found)
                && may_write(found)
                && !self.run.workflow_runs_seen.contains(&found.id)
        });
        let is_noted = self.run.workflow_run.as_deref() == Some(counts.id.as_str());
        let news = unknown.or((!is_noted).then_some(counts))?;
        Some(Step::NoteWorkflow {
            run: self.run.id.clone(),
            workflow_run: news.id.clone(),
            ours: !self.run.publish_intended.is_empty(),
        })
    }

    /// Whether the workflow run was not found wanting already, by this run or by an earlier one
    /// of the date: a date that is taken up again must not fail by what failed before.
    fn is_news(&self, found: &WorkflowRun) -> bool {
        let earlier = self.ledger.runs_of(&self.run.dataset, self.run.date);
        let by_earlier = earlier.filter(|run| run.id != self.run.id).any(|run| {
            run.workflow_run.as_ref() == Some(&found.id)
                || run.workflow_runs_judged.contains(&found.id)
        });
        let over = found.status != WorkflowStatus::Running;
        !(self.run.workflow_runs_judged.contains(&found.id) || (over && by_earlier))
    }

    fn publish_absent(&self, publish: &PublishSettings) -> Result<Step, Rest> {
        if let Some(asked) = self.run.publish_intended.last() {
            let starts = u32::try_from(self.run.publish_intended.len()).unwrap_or(u32::MAX);
            let doublings = starts.saturating_sub(1).min(6);
            let patience = Duration::seconds(WORKFLOW_APPEARS_WITHIN_SECONDS << doublings);
            if self.now - *asked < patience {
                return Err(waits(self.run, "waiting for the workflow run to show itself"));
            }
        } else {
            let export_end = self.view.export.as_ref().and_then(|export| export.ended_at);
            let since = self.copy_ended_at().or(export_end).unwrap_or(self.run.stage_since);
            let patience = Duration::from_std(publish.start_within).unwrap_or_default();
            if self.now - since < patience {
                return Err(waits(self.run, "waiting for the pipeline to start the workflow"));
            }
        }
        if self.stage_took_longer_than(publish.deadline) {
            let detail = "no workflow run of the date began in time";
            return Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe));
        }
        self.start_workflow(publish)
    }

    fn start_workflow(&self, publish: &PublishSettings) -> Result<Step, Rest> {
        if self.run.publish_intended.len() >= WORKFLOW_STARTS_AT_MOST {
            let detail = format!("workflow {} could not be started", publish.workflow);
            return Ok(self.fail(FailureReason::NotStarted, detail, Repeat::Unsafe));
        }
        if let Some(forbidden) = self.copy_forbids_publishing() {
            return forbidden;
        }
        if self.dataset.mode == Mode::Observe {
            return Err(waits(self.run, "mode is observe: the workflow is not started"));
        }
        if self.view.workflow_busy {
            return Err(waits(
                self.run,
                "waiting for another workflow run to end before starting ours",
            ));
        }
        let value = publish.date_format.render(self.run.date);
        Ok(Step::StartWorkflow {
            run: self.run.id.clone(),
            workflow: publish.workflow.clone(),
            properties: BTreeMap::from([(publish.date_property.clone(), value)]),
        })
    }

    fn publish_over(&self, found: &WorkflowRun, publish: &PublishSettings) -> Result<Step, Rest> {
        match judge_workflow(found) {
            Verdict::Good => {
                let detail = format!("workflow run {} succeeded, node by node", found.id);
                Ok(self.end_stage(Stage::Verify, detail))
            }
            Verdict::NothingRan(why)
                if self.run.workflow_runs_judged.len() < EMPTY_WORKFLOW_RUNS_AT_MOST =>
            {
                // No job ran, so nothing was written: starting it again is safe (H6).
                self.start_workflow(publish).map_err(|_| {
                    let id = &found.id;
                    waits(
                        self.run,
                        format!(
                            "workflow run {id} wrote nothing ({why}); waiting to start it again"
                        ),
                    )
                })
            }
            Verdict::NothingRan(why) | Verdict::Bad(why) => {
                let detail = format!("workflow run {} did not succeed: {why}", found.id);
                Ok(self.fail(FailureReason::Failed, detail, Repeat::Unsafe))
            }
        }
    }
}

/// What a finished workflow run was worth (H26): its word COMPLETED means nothing.
enum Verdict {
    /// Every node ran and succeeded.
    Good,
    /// It ended before any job ran: nothing was written.
    NothingRan(String),
    /// A job failed, or may have: something may have been written.
    Bad(String),
}

fn judge_workflow(found: &WorkflowRun) -> Verdict {
    let counted = found.statistics;
    if let WorkflowStatus::Ended(status) = &found.status {
        let why = found.error.clone().unwrap_or_else(|| format!("it ended as {status}"));
        let untouched = counted.is_some_and(|counted| counted.total == 0);
        return if untouched { Verdict::NothingRan(why) } else { Verdict::Bad(why) };
    }
    if found.nodes.is_empty() {
        return match counted {
            Some(counted) if counted.unsuccessful == 0 && counted.succeeded == counted.total => {
                Verdict::Good
            }
            Some(counted) => Verdict::Bad(format!(
                "{} of {} actions succeeded",
                counted.succeeded, counted.total
            )),
            None => Verdict::Good, // nothing to judge by: the data decides in `verify`
        };
    }
    let bad: Vec<&WorkflowNode> = found.nodes.iter().filter(|node| !succeeded(node)).collect();
    let Some(first) = bad.first() else { return Verdict::Good };
    let why = describe_node(first);
    let a_job_ran =
        found.nodes.iter().any(|node| node.kind == NodeKind::Job && !node.runs.is_empty());
    if a_job_ran { Verdict::Bad(why) } else { Verdict::NothingRan(why) }
}

fn succeeded(node: &WorkflowNode) -> bool {
    node.runs.last().is_some_and(|run| run.state == "SUCCEEDED")
}

fn describe_node(node: &WorkflowNode) -> String {
    match node.runs.last() {
        None => format!("`{}` never ran", node.name),
        Some(run) => {
            let error = run.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            format!("`{}` is {}{error}", node.name, run.state)
        }
    }
}
