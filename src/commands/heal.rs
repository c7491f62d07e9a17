//! `gapmend heal`: in the foreground, or handed to the daemon that acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use gapmend::config::Mode;
use gapmend::daemon::{self, Engine, Errand, HealEnd, Healed, NoRecorder, Report};
use gapmend::domain::{DateSpan, DateStatus, PassOutcome, RunOutcome, TriggerState};
use gapmend::expose::cli::args::{GlobalArgs, HealArgs, Output};
use gapmend::expose::cli::{HealProgress, Out, history_text};
use gapmend::expose::{Exit, StageLimits, json};
use gapmend::ledger::{Ledger, Request, Run, State};
use gapmend::plan::Rest;
use tokio::sync::{Notify, watch};

use super::Outcome;
use super::failure::Failure;
use super::look;
use super::session::Session;
use super::signals::Signals;

/// The ledger is read this often while another process does the work.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// A request that nobody has taken up for so long is left to the daemon.
const FOLLOWED_AT_MOST_HOURS: i64 = 24;
/// So many dates that are left over are told; `plan` tells them all.
const LEFT_SHOWN_AT_MOST: usize = 10;

/// Heals.
pub(super) async fn heal(global: &GlobalArgs, args: &HealArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let dates: BTreeSet<_> = args.named_dates().into_iter().collect();
    if let Some(last) = dates.last() {
        session.refuse_future(*last)?;
    }
    let only = (!dates.is_empty()).then_some(dates);
    let names = match &only {
        Some(_) => vec![session.one_dataset(global)?],
        None => session.dataset_names(global)?,
    };
    if args.dry_run {
        let errand = Errand { only, max_runs: args.max, ..Errand::default() };
        return look::print_plans(&session, global, errand, out).await;
    }
    refuse_observed(&session, &names)?;
    let wake = Arc::new(Notify::new());
    let signals = Signals::listen(&wake)?;
    let by = session.identify().await?;
    let asked = Session::asked(by, &args.asked);
    let mut ledger = session.ledger("heal").await?;
    let other = ledger.someone_else_acts().await?;
    if let Some(other) = other.filter(|_| !args.take_over) {
        let words =
            format!("{} acts (epoch {}); it is handed the request", other.writer, other.epoch);
        out.remark(&words)?;
        let request =
            Request::Heal { dates: only.into_iter().flatten().collect(), max_runs: args.max };
        let began = session.world.now();
        for name in &names {
            ledger.append_request(name, request.clone(), asked.clone()).await?;
        }
        let mut healed = follow(&session, ledger, &names, &request, began, &signals).await?;
        tell_why_not(&session, &mut healed).await;
        return finish(global, &session, &names, &healed, out).await;
    }
    drop(ledger);
    let errand = Errand { only, max_runs: args.max, ..Errand::default() };
    let mut engine = session.engine("heal", errand, Arc::new(NoRecorder)).await?;
    let healed = heal_here(&session, &mut engine, &names, &asked, &signals).await?;
    finish(global, &session, &names, &healed, out).await
}

/// In observe mode nothing is started, whoever asks.
fn refuse_observed(session: &Session, names: &[String]) -> Result<(), Failure> {
    let observed = |name: &&String| session.settings.datasets[*name].mode == Mode::Observe;
    if names.iter().all(|name| observed(&name)) {
        let name = names.first().map_or("", String::as_str);
        return Err(Failure::refused(format!(
            "mode is observe: nothing is started; set datasets.{name}.mode to \"allowlist\" or \"auto\", or see `gapmend plan`"
        )));
    }
    Ok(())
}

async fn heal_here(
    session: &Session,
    engine: &mut Engine,
    names: &[String],
    asked: &gapmend::ledger::Asked,
    signals: &Signals,
) -> Result<Healed, Failure> {
    let progress = show_progress(session, engine.reports());
    let healing = daemon::heal(engine, names, asked, &signals.shutdown);
    tokio::select! {
        healed = healing => Ok(healed?),
        () = progress => Err(Failure::other("the progress display ended early")),
        () = signals.at_once.cancelled() => Err(Failure::other(
            "ended at once; what runs in AWS goes on and is taken up by the next `gapmend heal` or `run`",
        )),
    }
}

/// Shows every report until it is dropped.
pub(super) async fn show_progress(session: &Session, mut reports: watch::Receiver<Arc<Report>>) {
    let mut shown: BTreeMap<String, HealProgress> = BTreeMap::new();
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        let now = session.world.now();
        let state = &report.ledger;
        for (name, dataset) in &report.datasets {
            let Some(settings) = session.settings.datasets.get(name) else { continue };
            let progress = shown
                .entry(name.clone())
                .or_insert_with(|| HealProgress::standard(StageLimits::of(settings)));
            let newest = state.runs.iter().rev().find(|run| run.dataset == *name);
            let fresh = |run: &&Run| run.is_active() || run.started_at >= report.started_at;
            match (newest.filter(fresh), &dataset.rest) {
                (Some(run), rest) => {
                    progress.show(run, dataset.stage_percent, now);
                    if let (false, Some(rest)) = (run.is_active(), rest) {
                        progress.rest(rest);
                    }
                }
                (None, Some(rest)) => progress.rest(rest),
                (None, None) => {}
            }
        }
    }
}

/// Follows what the acting process does with the request, through the ledger.
async fn follow(
    session: &Session,
    mut ledger: Ledger,
    names: &[String],
    request: &Request,
    began: DateTime<Utc>,
    signals: &Signals,
) -> Result<Healed, Failure> {
    let mut progress: BTreeMap<&String, HealProgress> = names
        .iter()
        .map(|name| {
            let limits = StageLimits::of(&session.settings.datasets[name]);
            (name, HealProgress::standard(limits))
        })
        .collect();
    let mut interrupted = false;
    loop {
        ledger.refresh().await?;
        let now = session.world.now();
        let state = ledger.state();
        for (name, progress) in &mut progress {
            if let Some(run) = state.active_run().filter(|run| run.dataset == **name) {
                progress.show(run, None, now);
            }
        }
        if names.iter().all(|name| is_served(&ledger, name, request, began)) {
            break;
        }
        if now - began > chrono::Duration::hours(FOLLOWED_AT_MOST_HOURS) {
            break;
        }
        if ledger.someone_else_acts().await?.is_none() {
            return Err(Failure::other(
                "the process that acted is gone; the request stands in the ledger: run `gapmend heal` again or start the daemon",
            ));
        }
        tokio::select! {
            () = session.world.clock.sleep(FOLLOW_EVERY) => {}
            () = signals.shutdown.cancelled() => {
                interrupted = true;
                break;
            }
        }
    }
    let state = ledger.state();
    let runs = state.runs.iter();
    let runs = runs.filter(|run| names.contains(&run.dataset) && run.started_at >= began);
    let rests = names.iter().map(|name| followed(state, name, request, began));
    Ok(Healed { runs: runs.cloned().collect(), rests: rests.collect(), interrupted })
}

/// How it ended for a dataset, by what the acting process wrote.
fn followed(state: &State, name: &str, request: &Request, began: DateTime<Utc>) -> HealEnd {
    let left = not_healed(state, name, request, began);
    let by_name = matches!(request, Request::Heal { dates, .. } if !dates.is_empty());
    let last = state.datasets.get(name).and_then(|dataset| dataset.passes.last());
    let skipped = last.filter(|pass| pass.at >= began && pass.outcome == PassOutcome::Skipped);
    let told = skipped.filter(|_| !by_name || !left.is_empty()).map(|pass| pass.detail.clone());
    HealEnd { dataset: name.to_owned(), rest: Rest::NothingToDo, told, left }
}

/// Whether the acting process has taken the request up and is done with it.
fn is_served(ledger: &Ledger, name: &str, request: &Request, began: DateTime<Utc>) -> bool {
    let state = ledger.state();
    let Some(dataset) = state.datasets.get(name) else { return false };
    let waiting = dataset.pending.values().any(|(pending, _)| pending == request);
    let active = state.active_run().is_some_and(|run| run.dataset == name);
    let rested = dataset.passes.last().is_some_and(|pass| {
        pass.at >= began && matches!(pass.outcome, PassOutcome::NothingToDo | PassOutcome::Skipped)
    });
    let healed = |date: &NaiveDate| has_succeeded(state, name, *date, began);
    let all_healed = match request {
        Request::Heal { dates, .. } => !dates.is_empty() && dates.iter().all(healed),
        Request::Scan
        | Request::Retry { .. }
        | Request::Cancel
        | Request::Pause { .. }
        | Request::Resume => false,
    };
    !waiting && !active && (rested || all_healed)
}

fn has_succeeded(state: &State, name: &str, date: NaiveDate, since: DateTime<Utc>) -> bool {
    state.runs_of(name, date).any(|run| {
        run.end.as_ref().is_some_and(|end| end.at >= since && end.outcome == RunOutcome::Succeeded)
    })
}

/// The dates of a request that were not healed, although they were asked for.
fn not_healed(
    state: &State,
    name: &str,
    request: &Request,
    since: DateTime<Utc>,
) -> Vec<(NaiveDate, DateStatus, String)> {
    let Request::Heal { dates, .. } = request else { return Vec::new() };
    let available = |date: NaiveDate| {
        let scan = state.datasets.get(name).and_then(|dataset| dataset.last_scan.as_ref());
        let spans = scan.into_iter().flat_map(|(_, record)| &record.available);
        spans.filter_map(|span| span.parse::<DateSpan>().ok()).any(|span| span.contains(date))
    };
    let left = dates
        .iter()
        .filter(|date| !has_succeeded(state, name, **date, since) && !available(**date));
    left.map(|date| (*date, DateStatus::Missing, format!("see `gapmend explain {date}`"))).collect()
}

/// A request stands above nothing that keeps its dates from being run: say what that is.
async fn tell_why_not(session: &Session, healed: &mut Healed) {
    for end in healed.rests.iter_mut().filter(|end| !end.left.is_empty()) {
        let dates = end.left.iter().map(|(date, ..)| *date).collect();
        let errand = Errand { look_at: dates, ..Errand::default() };
        let Ok(mut engine) = session.looking_engine("heal", errand).await else { continue };
        session.while_waiting("looking at what is left", engine.pass(&end.dataset)).await;
        let census = engine.last_plan(&end.dataset).and_then(|plan| plan.census.as_ref());
        for (date, status, reason) in &mut end.left {
            if let Some(verdict) = census.and_then(|census| census.verdict(*date)) {
                (*status, *reason) = (verdict.status, verdict.reason.to_string());
            }
        }
        end.left.retain(|(_, status, _)| *status != DateStatus::Available);
    }
}

async fn finish(
    global: &GlobalArgs,
    session: &Session,
    names: &[String],
    healed: &Healed,
    out: &mut Out,
) -> Outcome {
    let triggers = triggers(session, names).await;
    match global.output {
        Output::Json => out.json(&json::heal_json(&healed.runs, &triggers))?,
        Output::Table => {
            let text = history_text(&healed.runs, false, out.paper());
            out.text(if healed.runs.is_empty() { "Nothing was run.\n" } else { &text })?;
            for (name, state) in &triggers {
                out.text(&format!(
                    "The trigger of {name} is {}.\n",
                    state.label().replace('_', " ")
                ))?;
            }
        }
    }
    for end in &healed.rests {
        out.remark(&ending(end))?;
    }
    if healed.interrupted {
        out.remark("interrupted; what runs in AWS goes on and is taken up by the next `gapmend heal` or `run`")?;
    }
    Ok(if healed.is_whole() { Exit::Done } else { Exit::Failed })
}

fn ending(end: &HealEnd) -> String {
    let why = end.told.clone().unwrap_or_else(|| end.rest.to_string());
    let mut lines = vec![format!("{}: {why}", end.dataset)];
    for (date, status, reason) in end.left.iter().take(LEFT_SHOWN_AT_MOST) {
        lines.push(format!("  {date} is {}: {reason}", status.label().replace('_', " ")));
    }
    if end.left.len() > LEFT_SHOWN_AT_MOST {
        let more = end.left.len() - LEFT_SHOWN_AT_MOST;
        lines.push(format!("  and {more} more; see `gapmend plan`"));
    }
    lines.join("\n")
}

/// How each rule is now.
async fn triggers(session: &Session, names: &[String]) -> BTreeMap<String, TriggerState> {
    let Ok(mut engine) = session.looking_engine("heal", Errand::default()).await else {
        return names.iter().map(|name| (name.clone(), TriggerState::Unknown)).collect();
    };
    for name in names {
        engine.glance(name).await;
    }
    let report = engine.reports().borrow().clone();
    let states = report.datasets.iter().filter(|(name, _)| names.contains(name));
    states.map(|(name, dataset)| (name.clone(), dataset.trigger)).collect()
}
