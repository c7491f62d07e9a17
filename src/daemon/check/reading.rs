//! Rights that only show when they are used: whoever may list need not be allowed to read.
//!
//! Each is used once, on something that is there: a partition, the newest dump, a task that
//! nobody has, the newest run of a workflow. Without them every look is blind, or a load could
//! not be followed once it runs.

use chrono::Duration;

use super::{Checker, Finding, WORKFLOWS_SINCE_DAYS, right, wrong};
use crate::config::{Mode, RawSource};
use crate::domain::Dump;
use crate::observe::LandingView;
use crate::platform::{Answer, ObjectRange, PartitionQuery};

/// An id that no task has: ECS answers that it is missing, or that we may not ask.
const NO_TASK: &str = "00000000000000000000000000000000";

impl Checker<'_> {
    /// `landing` is what the look at the dumps saw.
    pub(super) async fn reading(&self, landing: Option<&LandingView>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(view) = landing {
            findings.extend(self.newest_dump(view).await);
        }
        for (name, source) in &self.dataset.raw {
            let subject = format!("partitions of raw.{name}");
            findings.push(match self.a_partition(source).await {
                Ok(Some(value)) => wrong(
                    self.subject(&subject),
                    format!("`{value}` is no date like {}", source.partition_format.pattern()),
                    "correct partition_format: every date would be taken for missing",
                ),
                asked => self.seen(&subject, asked.map(|_| String::new())),
            });
        }
        findings.push(self.a_task().await);
        findings.extend(self.a_workflow_run().await);
        findings
    }

    /// The newest dump, by its last byte.
    async fn newest_dump(&self, view: &LandingView) -> Option<Finding> {
        let readable = |dump: &&Dump| dump.archived.is_none() && dump.size > 0;
        let newest = view.dumps.values().rev().flat_map(|dumps| dumps.iter()).find(readable)?;
        let range = ObjectRange {
            key: newest.key.clone(),
            etag: newest.etag.clone(),
            from: newest.size - 1,
            length: 1,
        };
        let bucket = &self.dataset.landing.bucket;
        let read = self.world.platform.read_range(bucket, &range).await;
        Some(self.seen(&format!("dump {}", newest.key), read.map(|_| "can be read".to_owned())))
    }

    /// One partition, found and then asked for by its values, as before a start; answers a value
    /// that is no date in the source's format.
    async fn a_partition(&self, source: &RawSource) -> Answer<Option<String>> {
        let platform = &self.world.platform;
        let tables = platform.tables(&source.database).await?;
        let with_key = tables.into_iter().find_map(|table| {
            let is_key =
                |(key, _): &(String, String)| key.eq_ignore_ascii_case(&source.partition_key);
            let place = table.partition_keys.iter().position(is_key)?;
            source.selects(&table.name).then_some((table.name, place))
        });
        let Some((table, place)) = with_key else { return Ok(None) };
        let query = PartitionQuery {
            database: source.database.clone(),
            table: table.clone(),
            expression: None,
            at_most: Some(1),
        };
        let mut found = Vec::new();
        platform.partitions(&query, &mut |page| found.extend(page)).await?;
        let Some(partition) = found.into_iter().next() else { return Ok(None) };
        let value = partition.values.get(place).cloned().unwrap_or_default();
        // Asked for before a start alone: a role that only observes need not have it.
        if self.dataset.mode != Mode::Observe {
            platform.partitions_at(&source.database, &table, &[partition.values]).await?;
        }
        Ok(source.partition_format.parse(&value).is_none().then_some(value))
    }

    async fn a_task(&self) -> Finding {
        let asked = self.world.platform.task(&self.dataset.load.family(), NO_TASK).await;
        self.seen("a task by its id", asked.map(|_| "can be asked for".to_owned()))
    }

    /// The newest run of the workflow, with its graph. A role that only observes need not see it.
    async fn a_workflow_run(&self) -> Option<Finding> {
        if self.dataset.mode == Mode::Observe {
            return None;
        }
        let workflow = &self.dataset.publish.as_ref()?.workflow;
        let since = self.world.now() - Duration::days(WORKFLOWS_SINCE_DAYS);
        let runs = self.world.platform.workflow_runs(workflow, since).await.ok()?; // told already
        let subject = format!("a run of {workflow}");
        let Some(run) = runs.into_iter().max_by_key(|run| run.started_at) else {
            let subject = self.subject(&subject);
            let detail = "there is none: whether its nodes may be seen does not show";
            return Some(right(subject, detail.to_owned()));
        };
        let seen = self.world.platform.workflow_run(workflow, &run.id).await;
        Some(self.seen(&subject, seen.map(|_| String::new())))
    }
}
