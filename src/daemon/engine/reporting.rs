//! Reporting: the state after a pass, for metrics, HTTP and the progress display.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::report::{DatasetReport, Names, Report};
use super::super::slots;
use super::{Engine, Looks};
use crate::config::DatasetSettings;
use crate::domain::{Seen, Stage};
use crate::ledger::{LedgerError, State};
use crate::observe::Watch;
use crate::plan;

impl Engine {
    /// Publishes the state after a pass, for metrics, HTTP and the progress display.
    pub(in crate::daemon) fn publish_report(&self) {
        let now = self.world.now();
        let looks_only = self.looks != Looks::AndActs;
        let state = self.shared_state();
        let somebody_acts = state.acting.writer.is_some();
        let acting = if looks_only { somebody_acts } else { self.ledger.is_acting() };
        let refusal = self.ledger.refusal().map(LedgerError::in_words);
        let words = match (looks_only, somebody_acts) {
            (true, _) | (false, false) => "no process acts: start `gapmend run`",
            (false, true) => "another process acts; this one stands by",
        };
        self.report.send_replace(Arc::new(Report {
            started_at: self.started_at,
            last_tick_at: now,
            acting,
            not_acting: (!acting).then(|| refusal.unwrap_or_else(|| words.to_owned())),
            ledger_problem: self.ledger_problem(),
            next_scan_at: slots::next(&self.settings.schedule, now).map(|slot| slot.at),
            ledger: state,
            datasets: self.dataset_reports(now),
            region: self.settings.aws.region.clone(),
            config: self.config.clone(),
        }));
    }

    pub(super) fn dataset_reports(&self, now: DateTime<Utc>) -> BTreeMap<String, DatasetReport> {
        let datasets = self.settings.datasets.values();
        datasets.map(|dataset| (dataset.name.clone(), self.dataset_report(dataset, now))).collect()
    }

    /// What the ledger adds up to; the same copy as last time while no entry was added.
    fn shared_state(&self) -> Arc<State> {
        let (last, state) = (Arc::clone(&self.report.borrow().ledger), self.ledger.state());
        if self.writer_is_gone {
            let mut state = state.clone();
            state.acting.writer = None; // killed, so that it could not say so
            return Arc::new(state);
        }
        let same = last.seq == state.seq && last.acting == state.acting;
        if same { last } else { Arc::new(state.clone()) }
    }

    fn dataset_report(&self, dataset: &Arc<DatasetSettings>, now: DateTime<Utc>) -> DatasetReport {
        let memory = self.datasets.get(&dataset.name);
        let view = memory.and_then(|memory| memory.view.as_ref());
        let state = self.ledger.state().datasets.get(&dataset.name);
        let scan = memory.and_then(|memory| memory.scan.as_ref()).and_then(Seen::known);
        let failures = state.map_or(0, |state| state.failures_in_row);
        let census = view.and_then(|view| view.census.clone());
        let watch = view.map(|view| &view.watch);
        DatasetReport {
            settings: Arc::clone(dataset),
            mode: dataset.mode,
            lag_objective_dates: dataset.window.lag_objective_dates,
            newest: census.as_deref().and_then(|census| plan::newest(census, dataset)),
            rescue_until: watch
                .and_then(|watch| plan::rescue_until(self.ledger.state(), watch, dataset, now)),
            stage_deadlines: deadlines(dataset),
            names: names(dataset),
            census,
            queue: view.map(|view| view.plan.queue.clone()).unwrap_or_default(),
            rest: view.and_then(|view| view.plan.step.as_ref().err().cloned()),
            trigger: self.trigger_state(dataset, watch),
            trigger_disabled_since: memory.and_then(|memory| memory.disabled_since).map(|seen| {
                let recorded = state.and_then(|state| state.rule_disabled_since);
                recorded.map_or(seen, |since| since.min(seen))
            }),
            next_arrival_at: scan
                .and_then(|scan| plan::awaited(&scan.landing, watch, dataset, now)),
            latest_dump: scan.and_then(|scan| scan.landing.dumps.keys().next_back().copied()),
            last_pass: view.map(|view| view.last_pass.clone()),
            last_scan_at: state.and_then(|state| state.last_scan.as_ref()).map(|(at, _)| *at),
            stage_percent: view.and_then(|view| {
                let run = self.active_run_of(&dataset.name)?;
                stage_percent(run.stage, &view.watch)
            }),
            paused_until: state.and_then(|state| state.paused_until).filter(|until| *until > now),
            stopped: failures >= dataset.backfill.stop_after,
        }
    }
}

fn deadlines(dataset: &DatasetSettings) -> BTreeMap<Stage, Duration> {
    Stage::ALL.into_iter().map(|stage| (stage, dataset.stage_deadline(stage))).collect()
}

fn names(dataset: &DatasetSettings) -> Names {
    let trigger = dataset.trigger.as_ref();
    let landing = &dataset.landing;
    Names {
        rule: trigger.map(|trigger| trigger.rule.clone()).unwrap_or_default(),
        event_bus: trigger.map(|trigger| trigger.event_bus.clone()).unwrap_or_default(),
        landing: format!("s3://{}/{}", landing.bucket, landing.prefix),
    }
}

/// How far the stage is, by the service that does it.
fn stage_percent(stage: Stage, watch: &Watch) -> Option<u8> {
    let run = watch.run.as_ref()?.known()?;
    match stage {
        Stage::Snapshot => run.snapshot.as_ref()?.percent,
        Stage::Export => run.export.as_ref()?.percent,
        Stage::Copy => run.copy.as_ref()?.percent(),
        Stage::Preflight | Stage::StageDump | Stage::Load | Stage::Publish | Stage::Verify => None,
    }
}
