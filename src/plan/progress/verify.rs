//! The proof: a date is healed when every expected table shows it in a fresh look.

use chrono::Duration;

use super::{Progress, waits};
use crate::domain::{
    CopyState, FailureReason, RunOutcome, Seen, TableId, Volume, Whose, Written, bytes_in_units,
};
use crate::ledger::Repeat;
use crate::observe::Confirmation;
use crate::plan::rest::Rest;
use crate::plan::span;
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
        if let Some(copy) = look.copy.as_ref().filter(|copy| is_wrong(copy)) {
            // Whoever started the workflow, it may have read this.
            let detail =
                format!("it was published from a copy that {}", super::describe_fault(copy));
            return Ok(self.fail(FailureReason::CopyIncomplete, detail, Repeat::Unsafe));
        }
        let found = self.proof(look);
        if found.missing.is_empty() && found.present > 0 {
            let mut detail = self.proof_in_words(&found, look);
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
            None => span(self.dataset.load.deadline),
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
        Proof { present, expected: expected.len().max(look.whole.len()), missing }
    }

    /// `7/7 tables, 812.0 MiB, neighbours 798.2 MiB to 820.1 MiB`, and which of them look odd.
    ///
    /// An odd volume is a suspicion, no proof: an old dump may really hold half of a table. So
    /// the run has succeeded, says so here, and the date is flagged `odd_volume`.
    fn proof_in_words(&self, found: &Proof, look: &Confirmation) -> String {
        let written = look.written.values().map(Written::volume);
        let all = written.fold(Volume::default(), Volume::plus);
        let mut text = format!("{}/{} tables", found.present, found.expected);
        if all.bytes > 0 {
            text = format!("{text}, {}", bytes_in_units(all.bytes));
        }
        let Some(scan) = self.seen.scan.known() else { return text };
        let volumes = &scan.coverage.volumes;
        if let Some((_, Some(usual))) = volumes.total(look.date) {
            let (from, to) = (bytes_in_units(usual.from), bytes_in_units(usual.to));
            text = format!("{text}, neighbours {from} to {to}");
        }
        let odd: Vec<String> = volumes.odd_on(look.date).map(|odd| odd.to_string()).collect();
        if odd.is_empty() {
            return text;
        }
        let named = odd.iter().take(ODD_TABLES_NAMED).map(String::as_str).collect::<Vec<_>>();
        let more = odd.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let of = found.present;
        format!(
            "{text}; check it, {} of {of} tables have an odd volume: {}{more}",
            odd.len(),
            named.join(", ")
        )
    }
}

/// Whether a copy is surely not one whole export. An empty one says nothing: somebody may clear
/// the zone behind the jobs.
fn is_wrong(copy: &CopyState) -> bool {
    matches!(copy.whose, Whose::Incomplete { .. } | Whose::Mixed { .. })
}

/// So many tables of an odd volume are named.
const ODD_TABLES_NAMED: usize = 3;

struct Proof {
    present: u32,
    /// How many should have it, those included that have it all the same.
    expected: usize,
    missing: Vec<String>,
}
