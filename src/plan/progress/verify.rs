//! The proof: a date is healed when every expected table shows it in a fresh look.

use chrono::Duration;

use super::{Progress, waits};
use crate::domain::{FailureReason, RunOutcome, Seen, TableId};
use crate::ledger::Repeat;
use crate::observe::Confirmation;
use crate::plan::rest::Rest;
use crate::plan::{EndRun, Step, expected};

/// Partitions show themselves within this time of the workflow's end.
const VERIFY_WITHIN_MINUTES: i64 = 15;

impl Progress<'_> {
    pub(super) fn verify(&self) -> Result<Step, Rest> {
        let look = match &self.seen.confirmed {
            Some(Seen::Known(look)) if look.date == self.run.date => look,
            Some(Seen::Blind(causes)) => return self.unseen(causes),
            Some(Seen::Known(_)) | None => return Ok(Step::Confirm { date: self.run.date }),
        };
        let found = self.proof(look);
        if found.missing.is_empty() && found.present > 0 {
            let mut detail = format!("{} tables have it, with objects", found.present);
            let beside: Vec<&str> = self.run.workflow_runs_beside().collect();
            if !beside.is_empty() {
                let beside = beside.join(", ");
                detail =
                    format!("{detail}; workflow run {beside} ran as well: look for rows twice");
            }
            let end = self.ending(RunOutcome::Succeeded, detail);
            let tables_present = Some(found.present);
            return Ok(Step::EndRun(Box::new(EndRun { tables_present, ..end })));
        }
        let limit = match &self.dataset.publish {
            Some(_) => Duration::minutes(VERIFY_WITHIN_MINUTES),
            None => Duration::from_std(self.dataset.load.deadline).unwrap_or(Duration::MAX),
        };
        let lacking = format!(
            "{} tables lack it, e.g. {}",
            found.missing.len(),
            found.missing.first().map_or("all of them", String::as_str)
        );
        if self.now - self.run.stage_since > limit {
            let detail = format!("every stage said success, but {lacking}");
            return Ok(Step::EndRun(Box::new(EndRun {
                reason: Some(FailureReason::OutputMissing),
                repeat: Repeat::Unsafe,
                tables_present: Some(found.present),
                ..self.ending(RunOutcome::Failed, detail)
            })));
        }
        Err(waits(self.run, format!("waiting for partitions: {lacking}")))
    }

    /// Which of the tables that should have the date have it, by the narrow look.
    fn proof(&self, look: &Confirmation) -> Proof {
        let present = u32::try_from(look.whole.len()).unwrap_or(u32::MAX);
        // What the export held counts (H28), unless it names none of our tables.
        let exported: Option<Vec<TableId>> = look.exported.as_ref().map(|exported| {
            look.tables.iter().filter(|id| exported.contains(&id.table)).cloned().collect()
        });
        let exported = exported.filter(|exported| !exported.is_empty());
        let blind_scan = exported.is_none() && self.seen.scan.known().is_none();
        let expected: Vec<TableId> = match (exported, self.seen.scan.known()) {
            (Some(exported), _) => exported,
            (None, Some(scan)) => expected::expected_tables(&scan.coverage, self.run.date),
            (None, None) => look.half.iter().cloned().collect(),
        };
        let mut missing: Vec<String> = expected
            .iter()
            .filter(|id| !look.whole.contains(*id))
            .map(ToString::to_string)
            .collect();
        if blind_scan && present < self.run.tables_expected {
            missing.push(format!("{} tables", self.run.tables_expected - present));
        }
        Proof { present, missing }
    }
}

struct Proof {
    present: u32,
    missing: Vec<String>,
}
