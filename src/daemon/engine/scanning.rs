//! Scanning: when a dataset is looked at whole, and what of it goes into the ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::super::report::Happening;
use super::super::slots;
use super::{DatasetMemory, Engine, SCAN_RETRY_MINUTES};
use crate::act::seconds_between;
use crate::config::DatasetSettings;
use crate::domain::{Blindness, DateStatus, ErrorClass, Seen, Stage};
use crate::ledger::{Event, LedgerError, Request, Run, ScanCause, ScanRecord};
use crate::observe::{self, Observation, Scan, ScanScope, Watch};
use crate::plan::{self, Census};

impl Engine {
    /// Scans when a slot is due, at start-up, on request, and again after a blind look.
    pub(super) async fn scan_if_due(
        &mut self,
        dataset: &DatasetSettings,
        now: DateTime<Utc>,
    ) -> Result<bool, LedgerError> {
        let name = &dataset.name;
        if self.ledger.is_acting() && self.active_run_of(name).is_some_and(is_loading) {
            return Ok(false); // a load is watched at every poll; the scan waits for its end
        }
        let remembered = self.ledger.state().datasets.get(name);
        let last_slot = remembered.and_then(|state| state.last_slot);
        let requests: Vec<(u64, Request)> = remembered
            .into_iter()
            .flat_map(|state| &state.pending)
            .filter(|(_, (request, _))| matches!(request, Request::Scan | Request::Heal { .. }))
            .map(|(seq, (request, _))| (*seq, request.clone()))
            .collect();
        let due = slots::due(&self.settings.schedule, last_slot, now);
        let memory = self.datasets.entry(name.clone()).or_default();
        let blind = matches!(memory.scan, Some(Seen::Blind(_)));
        let tried = memory.scan_tried_at.map(|at| now - at);
        let resting = blind && is_recent(tried);
        // Likewise when the scan was seen and could not be written down.
        let resting = resting || (due.is_some() && memory.scan.is_some() && is_recent(tried));
        let cause = match (&memory.scan, due) {
            _ if !requests.is_empty() => ScanCause::Request,
            (Some(_), _) if resting => return Ok(false),
            (Some(_), Some(_)) => ScanCause::Slot,
            (None | Some(Seen::Blind(_)), _) => ScanCause::StartUp,
            (Some(Seen::Known(scan)), None) if memory.is_late(dataset, scan.at, now) => {
                ScanCause::ReadyBy
            }
            (Some(Seen::Known(_)), None) => return Ok(false),
        };
        self.scan(dataset, cause, due).await?;
        self.answer_scans(name, &requests).await?;
        Ok(true)
    }

    async fn scan(
        &mut self,
        dataset: &DatasetSettings,
        cause: ScanCause,
        due: Option<(slots::Slot, u32)>,
    ) -> Result<(), LedgerError> {
        let began = self.world.now();
        let scope = self.scan_scope(dataset);
        let scan = observe::scan(&self.world, dataset, &self.memory, &scope).await;
        let seconds = seconds_between(began, self.world.now());
        let clear = scan.known().is_some();
        let dataset_name = dataset.name.clone();
        self.recorder.record(&Happening::Scanned { dataset: dataset_name.clone(), clear, seconds });
        let missed = self.newly_missed(&dataset.name, due);
        if missed > 0 {
            tracing::warn!(dataset = dataset_name, missed, "slots of the schedule were missed");
            let happening = Happening::SlotsMissed { dataset: dataset_name.clone(), slots: missed };
            self.recorder.record(&happening);
        }
        let slot = due.map(|(slot, _)| slot.date);
        let head = ScanHead { cause, slot, missed_slots: missed };
        let record = self.ledger.is_acting().then(|| self.scan_record(dataset, &scan, &head));
        let memory = self.datasets.entry(dataset_name.clone()).or_default();
        memory.scan = Some(scan);
        memory.scan_tried_at = Some(began);
        if let Some(record) = record {
            self.write(vec![Event::Scanned { dataset: dataset_name, scan: record }]).await?;
        }
        Ok(())
    }

    /// Slots that were missed before the one that is due, unless an earlier attempt at the same
    /// slot counted them: an incomplete scan is retried many times.
    fn newly_missed(&mut self, name: &str, due: Option<(slots::Slot, u32)>) -> u32 {
        let Some((slot, missed)) = due else { return 0 };
        let recorded =
            self.ledger.state().datasets.get(name).and_then(|state| state.last_attempted_slot);
        let memory = self.datasets.entry(name.to_owned()).or_default();
        let attempted = recorded.max(memory.attempted_slot);
        memory.attempted_slot = Some(slot.date);
        let after = |last| slots::due(&self.settings.schedule, Some(last), slot.at);
        match attempted {
            Some(last) => after(last).map_or(0, |(_, missed)| missed),
            None => missed,
        }
    }

    /// Both looks side by side, for those who do nothing between them.
    pub(super) async fn look_at_once(&mut self, dataset: &DatasetSettings) -> (Watch, Seen<Scan>) {
        let began = self.world.now();
        let scope = self.scan_scope(dataset);
        let (watch, scan) = futures_util::join!(
            observe::watch(&self.world, dataset, self.ledger.state()),
            observe::scan(&self.world, dataset, &self.memory, &scope),
        );
        self.datasets.entry(dataset.name.clone()).or_default().scan_tried_at = Some(began);
        (watch, scan)
    }

    fn scan_scope(&self, dataset: &DatasetSettings) -> ScanScope {
        let state = self.ledger.state().datasets.get(&dataset.name);
        let asked = state.into_iter().flat_map(|state| state.asked.keys().copied());
        let view = self.ledger.state().dataset(&dataset.name);
        let errand = self.errand.only.iter().flatten().chain(&self.errand.look_at).copied();
        ScanScope {
            asked: asked.chain(errand).collect(),
            last: state
                .and_then(|state| state.last_scan.as_ref())
                .map(|(_, record)| record.clone())
                .filter(|record| record.config == self.settings.hash),
            unsafe_dates: view.unsafe_dates(),
            suspects: view.published_incompletely(),
            in_flight: self.settings.aws.max_in_flight,
        }
    }

    fn scan_record(
        &self,
        dataset: &DatasetSettings,
        scan: &Seen<Scan>,
        head: &ScanHead,
    ) -> ScanRecord {
        let now = self.world.now();
        let mut record = ScanRecord {
            cause: head.cause,
            slot: head.slot,
            missed_slots: head.missed_slots,
            counts: BTreeMap::new(),
            whole_through: None,
            available: Vec::new(),
            queue: Vec::new(),
            tables: 0,
            partitions: 0,
            config: self.settings.hash.clone(),
            blind: scan.blindness().iter().map(ToString::to_string).collect(),
        };
        let Some(known) = scan.known() else { return record };
        let watch = Watch {
            at: now,
            rule: None,
            tasks: Seen::Known(Vec::new()),
            traffic: None,
            run: None,
            trigger: observe::TriggerView::default(),
        };
        let seen = Observation { scan: Seen::Known(known.clone()), watch, confirmed: None };
        let plan = plan::plan(self.ledger.state(), &seen, dataset, &self.night(now), now);
        let Some(census) = plan.census else { return record };
        record.counts = census
            .counts()
            .into_iter()
            .map(|(status, count)| (status.label().to_owned(), count))
            .collect();
        record.whole_through = census.whole_through;
        record.available = self.ever_available(dataset, &census);
        record.queue = plan.queue.iter().map(|candidate| candidate.date).collect();
        record.tables = u32::try_from(known.coverage.tables.len()).unwrap_or(u32::MAX);
        record.partitions = observe::count_partitions(&known.coverage);
        record
    }

    /// Dates that any scan saw available, in ranges: once available, a date can only regress.
    fn ever_available(&self, dataset: &DatasetSettings, census: &Census) -> Vec<String> {
        let state = self.ledger.state().datasets.get(&dataset.name);
        let before = state.and_then(|state| state.last_scan.as_ref());
        let before = before.into_iter().flat_map(|(_, record)| &record.available);
        let mut dates: BTreeSet<NaiveDate> = before
            .filter_map(|span| span.parse::<crate::domain::DateSpan>().ok())
            .flat_map(crate::domain::DateSpan::days)
            .collect();
        let now = census.dates.iter().filter(|verdict| verdict.status == DateStatus::Available);
        dates.extend(now.map(|verdict| verdict.date));
        let next_day = |a: NaiveDate, b: NaiveDate| a.succ_opt() == Some(b);
        let spans = crate::domain::partition_date::fold_ranges(dates, next_day);
        spans.iter().map(ToString::to_string).collect()
    }

    async fn answer_scans(
        &mut self,
        name: &str,
        requests: &[(u64, Request)],
    ) -> Result<(), LedgerError> {
        if requests.is_empty() || !self.ledger.is_acting() {
            return Ok(());
        }
        let done = requests.iter().map(|(seq, _)| Event::RequestDone {
            dataset: name.to_owned(),
            seq: *seq,
            answer: "scanned".to_owned(),
        });
        self.write(done.collect()).await
    }

    /// The scan of the dataset, taken out of memory for the length of a pass.
    pub(super) fn take_scan(&mut self, name: &str) -> Seen<Scan> {
        let memory = self.datasets.entry(name.to_owned()).or_default();
        memory.scan.take().unwrap_or_else(|| {
            Seen::Blind(vec![Blindness {
                what: "the dates".to_owned(),
                why: "no scan was made yet: a load is in progress".to_owned(),
                class: ErrorClass::Conflict,
            }])
        })
    }
}

impl DatasetMemory {
    /// Whether the newest date should be whole by now, and is to be looked at again.
    fn is_late(
        &self,
        dataset: &DatasetSettings,
        scanned_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> bool {
        let census = self.view.as_ref().and_then(|view| view.census.as_deref());
        let newest = census.and_then(|census| plan::newest(census, dataset));
        newest.is_some_and(|newest| newest.is_looked_at_again(scanned_at, now))
    }
}

/// What a scan record begins with.
struct ScanHead {
    cause: ScanCause,
    slot: Option<NaiveDate>,
    missed_slots: u32,
}

/// Whether our task runs: one whose answer was lost is first looked for, with a scan.
fn is_loading(run: &Run) -> bool {
    let started = run.load.as_ref().is_some_and(|load| load.task_arn.is_some());
    run.stage <= Stage::Load && started
}

/// Whether a scan of this age is too young to be made again by itself.
fn is_recent(age: Option<Duration>) -> bool {
    let retry = Duration::minutes(SCAN_RETRY_MINUTES);
    age.is_some_and(|age| age >= Duration::zero() && age < retry)
}
