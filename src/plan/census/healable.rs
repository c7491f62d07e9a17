//! What may be done about a date whose data is missing and whose dump is there, in the order of
//! [`DateStatus`].

use chrono::{Duration, NaiveDate, NaiveTime};

use super::verdict::{Finding, Judge};
use crate::config::{self, Mode};
use crate::domain::{
    DateStatus, DumpFault, Export, ExportStatus, FailureReason, RunOutcome, Stage,
};
use crate::ledger::Repeat;
use crate::observe::DateDumps;
use crate::plan::calendar;
use crate::plan::span;

impl Judge<'_> {
    /// Then what may be done about a missing date, in the order of [`DateStatus`].
    pub(super) fn what_may_be_done(&self, date: NaiveDate, dumps: &DateDumps) -> Finding {
        self.not_allowed(date)
            .or_else(|| self.too_young(date))
            .or_else(|| self.quarantined(date))
            .or_else(|| self.bad_dump(date))
            .or_else(|| self.unread_dump(date))
            .or_else(|| self.backing_off(date))
            .unwrap_or_else(|| {
                let key = dumps.first().map_or("", |dump| dump.key.as_str());
                Finding::new(
                    DateStatus::Missing,
                    format!("no table has it, and its dump {key} is there"),
                    "it is queued",
                )
            })
    }

    pub(super) fn not_allowed(&self, date: NaiveDate) -> Option<Finding> {
        let backfill = &self.dataset.backfill;
        if let Some((name, entry)) = config::entry_for(&backfill.deny, date, self.today) {
            let reason = format!("deny.{name}: {}", entry.reason);
            return Some(Finding::new(
                DateStatus::NotAllowed,
                reason,
                "nothing while it is denied",
            ));
        }
        let asked = self.is_asked(date);
        let allowed = config::entry_for(&backfill.allow, date, self.today).is_some();
        (self.dataset.mode == Mode::Allowlist && !asked && !allowed).then(|| {
            Finding::new(
                DateStatus::NotAllowed,
                "mode is allowlist, and no allow entry names it",
                format!("add it to backfill.allow, or run `gapmend heal --date {date}`"),
            )
        })
    }

    pub(super) fn too_young(&self, date: NaiveDate) -> Option<Finding> {
        let age_days = i64::from(self.dataset.window.min_age_days);
        let healable = date + Duration::days(age_days);
        (self.today < healable).then(|| {
            let reason = format!(
                "younger than {age_days} days: the nightly may still write it (healable from {healable})"
            );
            let next = format!("it is queued on {healable}");
            let midnight = NaiveTime::MIN;
            let from = calendar::local_instant(self.dataset.timezone, healable, midnight);
            Finding::new(DateStatus::TooYoung, reason, next).until(from)
        })
    }

    fn quarantined(&self, date: NaiveDate) -> Option<Finding> {
        let quarantined = |reason: String| {
            let person = format!(
                "read its stages and its log's end (`gapmend history --date {date}`), then `gapmend retry {date}`"
            );
            Finding::new(DateStatus::Quarantined, reason, person)
        };
        if let Some(loss) = self.ledger.loss_of(date) {
            let spans: Vec<String> = loss.lost.iter().map(ToString::to_string).collect();
            return Some(quarantined(format!(
                "a run of it may be among the entries that the ledger lost ({}; acknowledged {} by {})",
                spans.join(", "),
                loss.at.format("%Y-%m-%d"),
                loss.asked.by
            )));
        }
        let void = self.ledger.void_runs_in_row(date);
        if void.len() >= VOID_RUNS_AT_MOST {
            let count = void.len();
            return Some(quarantined(format!(
                "{count} runs in a row made way for a live one: something starts loads at this time"
            )));
        }
        let failures = self.ledger.counted_failures(date);
        let unsafe_run = failures.iter().rev().find_map(|run| {
            let end = run.end.as_ref().filter(|end| end.repeat == Repeat::Unsafe)?;
            // What its snapshot waited for has come since: the export is taken up.
            let exported = end.reason == Some(FailureReason::NotExported)
                && self.scan.exports.contains_key(&date);
            (!exported).then_some((run, end))
        });
        if let Some((run, end)) = unsafe_run {
            return Some(quarantined(format!(
                "run {} cannot be repeated safely: {}",
                run.attempt, end.detail
            )));
        }
        let last = failures.last().and_then(|run| run.end.as_ref()).map(|end| end.detail.as_str());
        if let Some(reason) = self.export_spent(date) {
            let why = last.map_or_else(String::new, |last| format!("; the last attempt: {last}"));
            return Some(quarantined(reason + &why));
        }
        let most = self.dataset.backfill.max_attempts;
        let spent = failures.len() >= usize::try_from(most).unwrap_or(usize::MAX);
        let last = last.unwrap_or("unknown");
        spent.then(|| quarantined(format!("{most} attempts failed; the last: {last}")))
    }

    /// An operator cancelled the date's last run tonight: it waits for the next slot, unless
    /// somebody asks for it again.
    fn cancelled(&self, date: NaiveDate) -> Option<Finding> {
        let last = self.ledger.runs_of(date).last()?;
        let end = last.end.as_ref()?;
        let by_operator = end.outcome == RunOutcome::Cancelled && end.repeat == Repeat::Unsafe;
        let tonight = end.at >= self.night.began_at;
        let forgiven = self.ledger.is_forgiven(last);
        (by_operator && tonight && !forgiven && !self.is_asked(date)).then(|| {
            let until = self.night.ends_at;
            let reason = format!("run {} was cancelled: {}", last.attempt, end.detail);
            let next = format!("it waits for the next slot, or `gapmend heal --date {date}`");
            Finding::new(DateStatus::BackingOff, reason, next).until(until)
        })
    }

    /// The date's runs made way for live ones tonight, again and again: each stops a load of ours
    /// in its middle, so the next try is the next night's.
    fn yielded(&self, date: NaiveDate) -> Option<Finding> {
        let tonight = |run: &&&crate::ledger::Run| {
            run.end.as_ref().is_some_and(|end| end.at >= self.night.began_at)
        };
        let void = self.ledger.void_runs_in_row(date).iter().filter(tonight).count();
        (void >= VOID_RUNS_A_NIGHT_AT_MOST).then(|| {
            let until = self.night.ends_at;
            let reason = format!("{void} runs made way for a live one tonight");
            let next = "it waits for the next slot".to_owned();
            Finding::new(DateStatus::BackingOff, reason, next).until(until)
        })
    }

    fn is_asked(&self, date: NaiveDate) -> bool {
        self.ledger.asked_for(date).is_some()
            || self.night.only.as_ref().is_some_and(|only| only.contains(&date))
    }

    /// A date's export id can be used once (H21): one that did not end well is for a person.
    fn export_spent(&self, date: NaiveDate) -> Option<String> {
        let export = self.scan.exports.get(&date)?;
        let taken_up = self
            .ledger
            .runs_of(date)
            .filter(|run| !self.ledger.is_forgiven(run))
            .any(|run| run.stage >= Stage::Publish);
        spent_reason(export, taken_up)
    }

    fn bad_dump(&self, date: NaiveDate) -> Option<Finding> {
        let fault = self.scan.landing.faults.get(&date)?;
        let next = match fault {
            DumpFault::NotRead { .. } => return None,
            DumpFault::Archived(_) | DumpFault::ArchivedTier(_) => {
                "restore the object, then it is queued".to_owned()
            }
            DumpFault::OtherName { .. } => {
                "set load.other_name, or upload it under that name".to_owned()
            }
            DumpFault::Denied(_) => "grant gapmend's role s3:GetObject on it, and kms:Decrypt on \
                 the key that it is encrypted with, then it is queued"
                .to_owned(),
            DumpFault::Unreadable(_) => {
                "put the dump back, then it is queued with the next scan".to_owned()
            }
            DumpFault::TooSmall { .. }
            | DumpFault::OutsideBand { .. }
            | DumpFault::BrokenZip(_)
            | DumpFault::NotUnpackable(_)
            | DumpFault::NotOneSql { .. }
            | DumpFault::Bomb { .. }
            | DumpFault::SameAsAnother { .. } => "ask the supplier for a good dump".to_owned(),
        };
        Some(Finding::new(DateStatus::BadDump, fault.to_string(), next))
    }

    /// Its dump could not be read just now; the others go on.
    fn unread_dump(&self, date: NaiveDate) -> Option<Finding> {
        let fault = self.scan.landing.faults.get(&date)?;
        let DumpFault::NotRead { again_at, .. } = fault else { return None };
        let next = format!("it is read again after {}", again_at.format("%Y-%m-%d %H:%M:%S UTC"));
        (self.now < *again_at)
            .then(|| Finding::new(DateStatus::BackingOff, fault.to_string(), next).until(*again_at))
    }

    pub(super) fn backing_off(&self, date: NaiveDate) -> Option<Finding> {
        if let Some(found) = self.cancelled(date).or_else(|| self.yielded(date)) {
            return Some(found);
        }
        let failures = self.ledger.counted_failures(date);
        let last = failures.last()?.end.as_ref()?;
        let until = last.at + backoff(self.dataset.backfill.backoff, failures.len());
        let reason = format!("attempt {} failed: {}", failures.len(), last.detail);
        let next = format!("it is tried again after {}", until.format("%Y-%m-%d %H:%M:%S UTC"));
        (self.now < until).then(|| Finding::new(DateStatus::BackingOff, reason, next).until(until))
    }
}

/// Why an export that exists under a date's id makes the date unsafe to run, if it does.
pub(in crate::plan) fn spent_reason(export: &Export, taken_up_before: bool) -> Option<String> {
    let id = &export.id;
    match &export.status {
        ExportStatus::Ended(status) => Some(format!(
            "export {id} is spent: it ended as {status}{}, and its id can be used only once",
            export.failure.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
        )),
        ExportStatus::Complete => match &export.warning {
            Some(warning) => {
                Some(format!("export {id} is spent: it completed with a warning: {warning}"))
            }
            None if taken_up_before => {
                Some(format!("export {id} is complete, and was published once without success"))
            }
            None => None,
        },
        ExportStatus::Starting | ExportStatus::InProgress => None,
    }
}

/// The wait after the n-th failure: it doubles, up to a day.
fn backoff(first: std::time::Duration, failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let wait = first.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_BACKOFF);
    span(wait)
}

/// A date whose runs made way for live ones so often in a night waits for the next.
const VOID_RUNS_A_NIGHT_AT_MOST: usize = 3;
/// A date whose runs made way so often in a row is for a person.
const VOID_RUNS_AT_MOST: usize = 9;

/// A date that failed is tried again at least once a day.
const LONGEST_BACKOFF: std::time::Duration = std::time::Duration::from_hours(24);
