//! What the copy says of a date: its files lie between export and raw, or were published when
//! they were not all there.

use chrono::NaiveDate;

use super::verdict::{Finding, Judge};
use crate::domain::{CopyState, DateStatus, FailureReason, Seen, Stage, Whose};
use crate::ledger::Run;
use crate::plan::expected::DateCoverage;
use crate::plan::progress::{copier_call, describe_fault};

impl Judge<'_> {
    /// No table has the date, and the copy holds files of it: a load would double them.
    pub(super) fn unpublished(&self, date: NaiveDate) -> Option<Finding> {
        let copy = self.scan.copies.get(&date)?.known().filter(|copy| !copy.is_clear())?;
        let folder = self.copy_folder(date);
        let holds = format!(
            "no table has it, but the copy holds {} files of {} tables in {folder}",
            copy.files, copy.tables
        );
        let finding = |reason: String, next: String| {
            Some(Finding::new(DateStatus::Unpublished, reason, next))
        };
        let repair = "loading it again would double them; the guide's section \"Purging a date\" says how to remove them".to_owned();
        if let Some(key) = &copy.left_over {
            let reason = format!(
                "an object lies under its export id although no such export exists: {key}; the copier would take it along"
            );
            return finding(
                reason,
                "remove the left-over object; the guide's section \"Purging a date\" says how"
                    .to_owned(),
            );
        }
        let Some(id) = copy.whole_export() else {
            let next = self.finish_by_hand(date, copy).unwrap_or(repair);
            return finding(format!("{holds}: the copy {}", describe_fault(copy)), next);
        };
        let holds = format!("{holds}, exactly those of export {id}");
        if let Some(run) = self.taken_up_in_vain(date, copy) {
            let end = run.end.as_ref();
            let detail = end.map_or("", |end| end.detail.as_str());
            let reason =
                format!("{holds}; run {} did not get them into raw: {detail}", run.attempt);
            if end.is_some_and(|end| end.reason == Some(FailureReason::OutputMissing)) {
                let why = "the job's bookmark has probably passed them";
                return finding(format!("{reason}; {why}"), repair);
            }
            let retry = format!("once that is settled, `gapmend retry {date}`");
            return finding(reason, format!("{retry}; {repair}"));
        }
        match self.not_to_be_published(date) {
            Some(other) => {
                let (reason, next) = other.words();
                finding(format!("{holds}; {reason}"), next.to_owned())
            }
            None => finding(
                holds,
                "it is queued: the workflow publishes it, nothing is loaded".to_owned(),
            ),
        }
    }

    /// Whether an unpublished date is to be taken up at `publish`, once.
    pub(super) fn is_taken_up_from_copy(&self, date: NaiveDate) -> bool {
        let copy = self.scan.copies.get(&date).and_then(Seen::known);
        copy.is_some_and(|copy| {
            copy.whole_export().is_some() && self.taken_up_in_vain(date, copy).is_none()
        }) && self.not_to_be_published(date).is_none()
    }

    fn not_to_be_published(&self, date: NaiveDate) -> Option<Finding> {
        self.not_allowed(date).or_else(|| self.too_young(date)).or_else(|| self.backing_off(date))
    }

    /// A run of ours published these very files already: nothing was written since.
    fn taken_up_in_vain(&self, date: NaiveDate, copy: &CopyState) -> Option<&Run> {
        let newest = copy.newest;
        self.ledger
            .runs_of(date)
            .filter(|run| {
                run.failed() && run.stage >= Stage::Publish && !self.ledger.is_forgiven(run)
            })
            .rfind(|run| run.end.as_ref().zip(newest).is_none_or(|(end, newest)| newest <= end.at))
    }

    /// The workflow ran over a copy that was not whole: the date is partial although the catalog
    /// shows every table, until the copy is whole and raw was written after it.
    pub(super) fn published_incompletely(
        &self,
        date: NaiveDate,
        tables: &DateCoverage,
    ) -> Option<Finding> {
        if tables.is_bare() || !self.ledger.was_published_incompletely(date) {
            return None;
        }
        let run = self.ledger.runs_of(date).rev().find(|run| run.published_incompletely())?;
        let copy = self.scan.copies.get(&date).and_then(Seen::known);
        if copy.is_some_and(|copy| self.is_mended(date, copy)) {
            return None;
        }
        let detail = run.end.as_ref().map_or("", |end| end.detail.as_str());
        let reason = format!("run {} was not whole: {detail}", run.attempt);
        let next = "purge it as the guide's section \"Purging a date\" says: gapmend never re-runs it by itself".to_owned();
        Some(Finding::new(DateStatus::Partial, reason, next))
    }

    fn is_mended(&self, date: NaiveDate, copy: &CopyState) -> bool {
        let written = self.scan.coverage.written_at.get(&date);
        let after = copy.newest.zip(written).is_some_and(|(newest, written)| *written > newest);
        copy.whole_export().is_some() && after
    }

    /// The one call that finishes the copy of a backdated export; the nightly's own would have the
    /// live workflow started, which does not read old dates.
    fn finish_by_hand(&self, date: NaiveDate, copy: &CopyState) -> Option<String> {
        let Whose::Incomplete { id, .. } = &copy.whose else { return None };
        let own = self.dataset.export.as_ref()?.snapshot_id.render(date);
        (*id == own).then(|| {
            let call = copier_call(id);
            format!(
                "finish the copy: {call}; or purge it as the guide's section \"Purging a date\" says"
            )
        })
    }

    fn copy_folder(&self, date: NaiveDate) -> String {
        let Some(copy) = &self.dataset.copy else { return String::new() };
        format!("s3://{}/{}TABLE/{}", copy.bucket, copy.prefix, copy.folder.render(date))
    }
}
