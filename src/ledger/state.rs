//! The state that the ledger's entries add up to.
//!
//! [`State::apply`] is the only way in which it changes: in memory after an append, and at
//! every start by replaying from the first entry (or a checkpoint). It never decides
//! anything; it only remembers, and refuses entries that make no sense.

mod holds;
mod runs;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::event::{Asked, ENTRY_VERSION, Entry, EntrySpan, Event, Repeat, Request, ScanRecord};
use super::process::Process;
use crate::domain::{PassOutcome, RunOutcome};

pub use self::holds::{Hold, SweptDump};
pub use self::runs::{LoadRecord, Run, RunEnd, StageRecord, StopRecord};
pub use self::uploads::{Upload, UploadEnd, UploadHold};

/// Passes that are remembered per dataset, for `status`.
const PASSES_KEPT: usize = 50;
/// Requests that are remembered per dataset, for `explain` and the page of a date.
const REQUESTS_KEPT: usize = 50;

/// Everything that the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last entry applied.
    pub seq: u64,
    /// The newest epoch, and who took it.
    pub acting: Acting,
    /// By dataset.
    pub datasets: BTreeMap<String, DatasetState>,
    /// Every run, in the order in which they began.
    pub runs: Vec<Run>,
    /// Every hold that is not closed, by its name.
    pub holds: BTreeMap<String, Hold>,
    /// Uploads that are open, and the last ones that are over, oldest first.
    #[serde(default)]
    pub uploads: Vec<Upload>,
    /// The last loss of entries that an operator acknowledged.
    #[serde(default)]
    pub loss: Option<Loss>,
}

/// Entries are lost, and an operator said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The entry that says so.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Which entries.
    pub lost: Vec<EntrySpan>,
    /// Who, and why.
    pub asked: Asked,
}

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Acting {
    /// The newest epoch; 0 before the first.
    pub epoch: u64,
    /// Its writer; `None` when it left.
    pub writer: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// The process that took it; `None` where its entry does not say.
    #[serde(default)]
    pub process: Option<Process>,
}

/// What is remembered of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetState {
    /// The last clear scan.
    pub last_scan: Option<(DateTime<Utc>, ScanRecord)>,
    /// The last scan, clear or blind: when, and whether it was clear.
    pub last_look: Option<(DateTime<Utc>, bool)>,
    /// The newest slot that was satisfied.
    pub last_slot: Option<NaiveDate>,
    /// The newest slot for which a scan was attempted, complete or not.
    #[serde(default)]
    pub last_attempted_slot: Option<NaiveDate>,
    /// Since when each date stands in the queue.
    pub enqueued: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// Nothing starts until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// Failed runs since the last success or `resume`.
    pub failures_in_row: u32,
    /// The entry that last forgave a date's attempts. What comes first is a matter of entry
    /// numbers: writers' clocks differ.
    pub forgiven: BTreeMap<NaiveDate, u64>,
    /// Dates that were asked for by name and have not been run since.
    pub asked: BTreeMap<NaiveDate, Asked>,
    /// Requests that wait for an answer, by the entry that made them.
    pub pending: BTreeMap<u64, (Request, Asked)>,
    /// The last passes that had something to say.
    pub passes: Vec<PassRecord>,
    /// The last requests, answered or not.
    #[serde(default)]
    pub requests: Vec<RequestRecord>,
    /// Live dumps that landed in a hold and were not driven yet.
    pub swept: Vec<SweptDump>,
    /// Live dumps that were lost to the day.
    pub live_dumps_missed: u32,
    /// When and why the last hold was refused before it began, until one is not.
    #[serde(default)]
    pub hold_refused: Option<(DateTime<Utc>, String)>,
    /// Times that two loads were seen alive together.
    pub overlaps: u32,
    /// Since when the rule has been seen disabled, whoever did it.
    #[serde(default)]
    pub rule_disabled_since: Option<DateTime<Utc>>,
}

/// One pass that had something to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassRecord {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: PassOutcome,
    /// Why.
    pub detail: String,
}

/// What an operator asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The entry that asked.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub request: Request,
    /// Who, and why.
    pub asked: Asked,
    /// What came of it, when somebody answered.
    pub answer: Option<String>,
}

impl State {
    /// What is remembered of a dataset; empty when nothing is.
    #[must_use]
    pub fn dataset(&self, name: &str) -> DatasetView<'_> {
        let mut runs: BTreeMap<NaiveDate, Vec<&Run>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.dataset == name) {
            runs.entry(run.date).or_default().push(run);
        }
        DatasetView { state: self.datasets.get(name), loss: self.loss.as_ref(), runs }
    }

    /// Goes on without an entry that an operator gave up.
    pub(super) fn pass_over(&mut self, seq: u64) {
        self.seq = seq;
    }

    /// Applies the next entry.
    ///
    /// # Errors
    /// The entry is not the next one, is of a newer version, or does not fit what came before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        if entry.v > ENTRY_VERSION {
            return Err(ReplayError::NewerVersion { seq: entry.seq, version: entry.v });
        }
        if entry.seq != self.seq + 1 {
            return Err(ReplayError::Gap { expected: self.seq + 1, found: entry.seq });
        }
        for event in &entry.events {
            self.apply_event(entry, event)?;
        }
        self.seq = entry.seq;
        Ok(())
    }

    fn apply_event(&mut self, entry: &Entry, event: &Event) -> Result<(), ReplayError> {
        match event {
            Event::Acting { process, .. } => {
                if entry.epoch <= self.acting.epoch {
                    return Err(ReplayError::Misfit {
                        seq: entry.seq,
                        what: "an epoch that is not newer than the last",
                    });
                }
                self.acting = Acting {
                    epoch: entry.epoch,
                    writer: Some(entry.writer.clone()),
                    since: Some(entry.at),
                    process: process.clone(),
                };
            }
            Event::Left {} => {
                if entry.epoch == self.acting.epoch {
                    self.acting.writer = None;
                }
            }
            Event::Scanned { dataset, scan } => self.apply_scan(entry.at, dataset, scan),
            Event::Passed { dataset, outcome, detail } => {
                let passes = &mut self.entry(dataset).passes;
                passes.push(PassRecord { at: entry.at, outcome: *outcome, detail: detail.clone() });
                if passes.len() > PASSES_KEPT {
                    passes.remove(0);
                }
            }
            Event::Requested { dataset, request, asked } => {
                self.apply_request(entry, dataset, request, asked);
            }
            Event::RequestDone { dataset, seq, answer } => {
                let state = self.entry(dataset);
                state.pending.remove(seq);
                state.answer(*seq, answer);
            }
            Event::RunStarted { .. }
            | Event::LoadIntended { .. }
            | Event::LoadSubmitted { .. }
            | Event::StopIntended { .. }
            | Event::StageEnded { .. }
            | Event::RunTraced { .. }
            | Event::PublishIntended { .. }
            | Event::PublishFound { .. }
            | Event::RunEnded { .. } => self.apply_run(entry, event)?,
            Event::HoldIntended { .. } | Event::HoldMoved { .. } | Event::HoldClosed { .. } => {
                self.apply_hold(entry, event)?;
            }
            Event::LiveDumpSwept { dataset, date, key, etag, missed } => {
                let state = self.entry(dataset);
                let known =
                    state.swept.iter_mut().find(|dump| dump.key == *key && dump.etag == *etag);
                match known {
                    Some(dump) => dump.missed |= *missed,
                    None => state.swept.push(SweptDump {
                        date: *date,
                        key: key.clone(),
                        etag: etag.clone(),
                        drive: None,
                        task_arn: None,
                        driven_at: None,
                        missed: *missed,
                    }),
                }
                state.live_dumps_missed += u32::from(*missed);
            }
            Event::LiveDriveIntended { dataset, date, task } => {
                for dump in self.entry(dataset).swept.iter_mut().filter(|dump| dump.date == *date) {
                    dump.drive = Some(task.clone());
                }
            }
            Event::LiveDriveSubmitted { dataset, date, task_arn } => {
                for dump in self.entry(dataset).swept.iter_mut().filter(|dump| dump.date == *date) {
                    dump.task_arn = Some(task_arn.clone());
                    dump.driven_at = Some(entry.at);
                }
            }
            Event::RuleSeen { dataset, disabled } => {
                let since = &mut self.entry(dataset).rule_disabled_since;
                *since = disabled.then(|| since.unwrap_or(entry.at));
            }
            Event::UploadIntended { .. }
            | Event::UploadBegun { .. }
            | Event::UploadReady { .. }
            | Event::UploadWriting { .. }
            | Event::UploadEnded { .. } => self.apply_upload(entry, event)?,
            Event::LossAcknowledged { lost, epoch, asked } => {
                self.acknowledge_loss(entry, lost, *epoch, asked);
            }
            Event::LoadsOverlapped { dataset, .. } => self.entry(dataset).overlaps += 1,
        }
        Ok(())
    }

    /// Whoever acted stands by and takes a new epoch; the run in progress may be any further than
    /// it is known to be, so it ends and is not repeated.
    fn acknowledge_loss(&mut self, entry: &Entry, lost: &[EntrySpan], epoch: u64, asked: &Asked) {
        let epoch = self.acting.epoch.max(epoch);
        self.acting = Acting { epoch, ..Acting::default() };
        let spans: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let detail = format!("the ledger lost entries {}; {} said so", spans.join(", "), asked.by);
        self.end_lost_run(entry.at, &detail);
        let (lost, asked) = (lost.to_vec(), asked.clone());
        self.loss = Some(Loss { seq: entry.seq, at: entry.at, lost, asked });
    }

    fn apply_scan(&mut self, at: DateTime<Utc>, dataset: &str, scan: &ScanRecord) {
        let state = self.entry(dataset);
        let clear = scan.blind.is_empty();
        state.last_look = Some((at, clear));
        state.last_attempted_slot = state.last_attempted_slot.max(scan.slot);
        if scan.slot.is_some() && clear {
            state.last_slot = state.last_slot.max(scan.slot);
        }
        if clear {
            state.enqueued.retain(|date, _| scan.queue.contains(date));
            for date in &scan.queue {
                state.enqueued.entry(*date).or_insert(at);
            }
            state.last_scan = Some((at, scan.clone()));
        }
    }

    fn apply_request(&mut self, entry: &Entry, dataset: &str, request: &Request, asked: &Asked) {
        let state = self.entry(dataset);
        state.remember(RequestRecord {
            seq: entry.seq,
            at: entry.at,
            request: request.clone(),
            asked: asked.clone(),
            answer: None,
        });
        match request {
            Request::Scan | Request::Cancel => {
                state.pending.insert(entry.seq, (request.clone(), asked.clone()));
            }
            Request::Heal { dates, .. } => {
                state.asked.extend(dates.iter().map(|date| (*date, asked.clone())));
                state.pending.insert(entry.seq, (request.clone(), asked.clone()));
            }
            Request::Retry { date } => {
                state.forgiven.insert(*date, entry.seq);
                state.failures_in_row = 0;
            }
            Request::Pause { until } => state.paused_until = Some(*until),
            Request::Resume => {
                state.hold_refused = None;
                state.paused_until = None;
                state.failures_in_row = 0;
            }
        }
    }

    fn entry(&mut self, dataset: &str) -> &mut DatasetState {
        self.datasets.entry(dataset.to_owned()).or_default()
    }
}

impl DatasetState {
    /// Who asked for the end of the run in progress.
    #[must_use]
    pub fn cancel_asked(&self) -> Option<&Asked> {
        let cancel = self.pending.values().find(|(request, _)| *request == Request::Cancel);
        cancel.map(|(_, asked)| asked)
    }

    fn remember(&mut self, record: RequestRecord) {
        self.requests.push(record);
        if self.requests.len() > REQUESTS_KEPT {
            self.requests.remove(0);
        }
    }

    fn answer(&mut self, seq: u64, answer: &str) {
        if let Some(record) = self.requests.iter_mut().find(|record| record.seq == seq) {
            record.answer = Some(answer.to_owned());
        }
    }
}

/// A dataset's part of the state, whether anything is remembered or not.
#[derive(Clone, Debug)]
pub struct DatasetView<'a> {
    state: Option<&'a DatasetState>,
    loss: Option<&'a Loss>,
    /// Its runs by date, oldest first: ten years of them are asked for date by date.
    runs: BTreeMap<NaiveDate, Vec<&'a Run>>,
}

impl<'a> DatasetView<'a> {
    /// What is remembered.
    #[must_use]
    pub fn get(&self) -> Option<&'a DatasetState> {
        self.state
    }

    /// The runs of a date, oldest first.
    pub fn runs_of(
        &self,
        date: NaiveDate,
    ) -> impl DoubleEndedIterator<Item = &'a Run> + ExactSizeIterator {
        self.runs.get(&date).map_or(&[][..], Vec::as_slice).iter().copied()
    }

    /// The failed runs of a date that still count: those since it was last forgiven.
    #[must_use]
    pub fn counted_failures(&self, date: NaiveDate) -> Vec<&'a Run> {
        self.runs_of(date).filter(|run| run.failed() && !self.is_forgiven(run)).collect()
    }

    /// Dates with a failure that must not be repeated, and that was not forgiven.
    #[must_use]
    pub fn unsafe_dates(&self) -> BTreeSet<NaiveDate> {
        let is_unsafe =
            |run: &&Run| run.end.as_ref().is_some_and(|end| end.repeat == Repeat::Unsafe);
        let dates = self.runs.keys().copied();
        dates.filter(|date| self.counted_failures(*date).iter().any(is_unsafe)).collect()
    }

    /// Dates whose last word is that their workflow ran over an incomplete copy.
    #[must_use]
    pub fn published_incompletely(&self) -> BTreeSet<NaiveDate> {
        let dates = self.runs.keys().copied();
        dates.filter(|date| self.was_published_incompletely(*date)).collect()
    }

    /// Whether the date's workflow ran over an incomplete copy, and no run healed it since.
    #[must_use]
    pub fn was_published_incompletely(&self, date: NaiveDate) -> bool {
        let succeeded =
            |run: &&&Run| run.end.as_ref().is_some_and(|end| end.outcome == RunOutcome::Succeeded);
        let runs = self.runs.get(&date).map_or(&[][..], Vec::as_slice);
        let since = runs.iter().rev().take_while(|run| !succeeded(run));
        since.into_iter().any(|run| run.published_incompletely())
    }

    /// Runs of a date that made way for a live one, since it was last forgiven and since it last
    /// ended otherwise.
    #[must_use]
    pub fn void_runs_in_row(&self, date: NaiveDate) -> Vec<&'a Run> {
        let is_void = |run: &&&Run| run.is_void() && !self.is_forgiven(run);
        self.runs_of(date).rev().take_while(|run| is_void(&run)).collect()
    }

    /// Whether a person asked for the date again after this run began.
    #[must_use]
    pub fn is_forgiven(&self, run: &Run) -> bool {
        self.forgiven_by(run.date).is_some_and(|seq| seq > run.seq)
    }

    /// The loss of entries since which nobody asked for this date again: a run of it may be among
    /// them. Only dates that were gaps by then can have been run.
    #[must_use]
    pub fn loss_of(&self, date: NaiveDate) -> Option<&'a Loss> {
        let loss = self.loss.filter(|loss| date <= loss.at.date_naive())?;
        self.forgiven_by(date).is_none_or(|seq| seq < loss.seq).then_some(loss)
    }

    /// The entry that last forgave the date's attempts.
    fn forgiven_by(&self, date: NaiveDate) -> Option<u64> {
        self.state.and_then(|state| state.forgiven.get(&date)).copied()
    }

    /// Who asked for the date by name, if somebody did.
    #[must_use]
    pub fn asked_for(&self, date: NaiveDate) -> Option<&'a Asked> {
        self.state.and_then(|state| state.asked.get(&date))
    }
}

/// Why the ledger cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A newer gapmend wrote here.
    #[error(
        "entry {seq} has format version {version}, newer than this gapmend knows: upgrade it before it may act"
    )]
    NewerVersion {
        /// The entry.
        seq: u64,
        /// Its version.
        version: u32,
    },
    /// An entry is missing.
    #[error(
        "entry {expected} is missing: the next one found is {found}; restore it before gapmend may act"
    )]
    Gap {
        /// The entry that should come next.
        expected: u64,
        /// The entry that came.
        found: u64,
    },
    /// An event that does not fit what came before.
    #[error("entry {seq} does not fit what came before: {what}")]
    Misfit {
        /// The entry.
        seq: u64,
        /// Why.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::testing::{run_ended, run_started};

    fn entry(seq: u64, epoch: u64, event: Event) -> Entry {
        Entry {
            v: ENTRY_VERSION,
            seq,
            at: "2022-06-13T04:00:00Z".parse().unwrap(),
            epoch,
            writer: "w".to_owned(),
            nonce: seq.to_string(),
            events: vec![event],
        }
    }

    fn acting() -> Event {
        Event::Acting { command: "run".to_owned(), version: "1".to_owned(), process: None }
    }

    fn misfits(error: &Result<(), ReplayError>) -> bool {
        matches!(error, Err(ReplayError::Misfit { .. }))
    }

    #[test]
    fn epochs_only_ever_rise() {
        let mut state = State::default();
        assert!(misfits(&state.apply(&entry(1, 0, acting()))));
        state.apply(&entry(1, 1, acting())).unwrap();
        assert!(misfits(&state.clone().apply(&entry(2, 1, acting()))));
        state.apply(&entry(2, 2, acting())).unwrap();
        state.apply(&entry(3, 1, Event::Left {})).unwrap();
        assert!(state.acting.writer.is_some(), "an older epoch leaves nothing");
        state.apply(&entry(4, 2, Event::Left {})).unwrap();
        assert_eq!(state.acting.writer, None);
    }

    #[test]
    fn an_event_of_another_run_does_not_fit_the_one_in_progress() {
        let mut state = State::default();
        state.apply(&entry(1, 1, run_started(1))).unwrap();
        assert!(misfits(&state.clone().apply(&entry(2, 1, run_started(2)))));
        let other = run_ended(2, RunOutcome::Failed);
        assert!(misfits(&state.clone().apply(&entry(2, 1, other))));
        state.apply(&entry(2, 1, run_ended(1, RunOutcome::Failed))).unwrap();
        assert!(state.active_run().is_none());
    }

    #[test]
    fn entries_come_in_order_without_a_gap() {
        let mut state = State::default();
        let gap = state.apply(&entry(2, 0, acting()));
        assert_eq!(gap, Err(ReplayError::Gap { expected: 1, found: 2 }));
        state.apply(&entry(1, 1, acting())).unwrap();
        let again = state.apply(&entry(1, 1, acting()));
        assert_eq!(again, Err(ReplayError::Gap { expected: 2, found: 1 }));
    }
}
