//! `gapmend retire`: the end of gapmend's work, in order.
//!
//! Pause, end the run, release the trigger, delete its switch; then tell what is left. What is
//! left is not deleted: the data, the ledger and the roles belong to others.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use gapmend::config::{DatasetSettings, DeadManSettings};
use gapmend::daemon::{self, Errand, NoRecorder, Released};
use gapmend::domain::Stage;
use gapmend::expose::Exit;
use gapmend::expose::cli::args::{GlobalArgs, Output, RetireArgs};
use gapmend::expose::cli::{Left, Out, left_text};
use gapmend::ledger::{Ledger, Request, State, Trace};
use gapmend::platform::DeadMan;
use tokio::sync::Notify;

use super::Outcome;
use super::failure::Failure;
use super::heal::show_progress;
use super::session::Session;
use super::signals::Signals;

/// The pause outlasts every forgotten daemon: as long as a pause may be.
const PAUSE_DAYS: i64 = 92;
/// The ledger is read this often while another process ends the run.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// Retires.
pub(super) async fn retire(global: &GlobalArgs, args: &RetireArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let names = session.dataset_names(global)?;
    let by = session.identify().await?;
    let signals = Signals::listen(&Arc::new(Notify::new()))?;
    let mut ledger = session.ledger("retire").await?;
    let until = session.world.now() + TimeDelta::days(PAUSE_DAYS);
    for name in &names {
        let asked = Session::asked(by.clone(), &args.asked);
        if args.cancel && is_running(ledger.state(), name) {
            ledger.append_request(name, Request::Cancel, asked.clone()).await?;
        }
        ledger.append_request(name, Request::Pause { until }, asked).await?;
    }
    out.remark(&format!("paused until {}; ending what is under way", until.format("%Y-%m-%d")))?;
    wind_up(&session, &mut ledger, &names, &signals).await?;
    let mut left = Vec::new();
    for name in &names {
        left.extend(release(&session, &mut ledger, &session.settings.datasets[name]).await?);
    }
    ledger.refresh().await?;
    left.extend(what_is_left(&session, &mut ledger, &names).await?);
    left.push(Left::new("pause", format!("in the ledger until {}", until.format("%Y-%m-%d"))));
    left.push(Left::new("role", format!("the permissions of {by}")));
    match global.output {
        Output::Json => out.json(&serde_json::json!({ "datasets": names, "left": left }))?,
        Output::Table => {
            let text = left_text(&left, out.paper());
            out.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

fn is_running(state: &State, name: &str) -> bool {
    state.active_run().is_some_and(|run| run.dataset == name)
}

/// Until nothing is under way: by the process that acts, or by this one when there is none.
async fn wind_up(
    session: &Session,
    ledger: &mut Ledger,
    names: &[String],
    signals: &Signals,
) -> Result<(), Failure> {
    loop {
        ledger.refresh().await?;
        if !names.iter().any(|name| daemon::is_busy(ledger.state(), name)) {
            return Ok(());
        }
        if ledger.someone_else_acts().await?.is_some() {
            tokio::select! {
                () = session.world.clock.sleep(FOLLOW_EVERY) => {}
                () = signals.shutdown.cancelled() => return Err(interrupted()),
            }
            continue;
        }
        let mut engine = session.engine("retire", Errand::default(), Arc::new(NoRecorder)).await?;
        let progress = show_progress(session, engine.reports());
        let done = tokio::select! {
            done = daemon::wind_up(&mut engine, names, &signals.shutdown) => done?,
            () = progress => false,
            () = signals.at_once.cancelled() => false,
        };
        if !done {
            return Err(interrupted());
        }
    }
}

fn interrupted() -> Failure {
    Failure::other(
        "not retired: something is still under way; it stays paused, and `gapmend retire` goes on where it is",
    )
}

/// The rule comes back if gapmend had disabled it, and its switch is deleted.
async fn release(
    session: &Session,
    ledger: &mut Ledger,
    dataset: &DatasetSettings,
) -> Result<Vec<Left>, Failure> {
    let Some(trigger) = &dataset.trigger else { return Ok(Vec::new()) };
    let released = daemon::release(&session.world, Some(ledger), dataset).await?;
    let state = match released {
        Released::NotDisabled => "is enabled".to_owned(),
        Released::Enabled { proof, .. } => {
            format!("is enabled again; gapmend had disabled it ({proof})")
        }
        Released::NotSeenEnabled => {
            return Err(Failure::other(format!(
                "rule {} is still seen disabled; run `gapmend retire` again in a minute",
                trigger.rule
            )));
        }
        Released::NotOurs => {
            "is disabled, and not by gapmend: whoever did it should know".to_owned()
        }
    };
    let mut left = vec![Left::new("rule", format!("{} {state}", trigger.rule))];
    if let Some(DeadManSettings::Schedule { group, role_arn, .. }) = &trigger.dead_man {
        let name = DeadMan::name_for(&dataset.name);
        session.world.platform.disarm_dead_man(group, &name).await?;
        let words =
            format!("group {group} (gapmend's schedule {name} is deleted) and role {role_arn}");
        left.push(Left::new("schedules", words));
    }
    Ok(left)
}

/// What remains, for whoever cleans up.
async fn what_is_left(
    session: &Session,
    ledger: &mut Ledger,
    names: &[String],
) -> Result<Vec<Left>, Failure> {
    let mut left = Vec::new();
    if let Some(other) = ledger.someone_else_acts().await? {
        left.push(Left::new("process", format!("{} still acts: stop it", other.writer)));
    }
    let state = ledger.state();
    let entries =
        format!("{}, {} entries: keep it for the audit", session.settings.ledger, state.seq);
    left.push(Left::new("ledger", entries));
    for name in names {
        left.extend(of_dataset(&session.settings.datasets[name], state));
    }
    Ok(left)
}

fn of_dataset(dataset: &DatasetSettings, state: &State) -> Vec<Left> {
    let runs = || state.runs.iter().filter(|run| run.dataset == dataset.name);
    let mut left = Vec::new();
    let staged = runs().filter(|run| run.stages.iter().any(|it| it.stage == Stage::StageDump));
    left.extend(staged.map(|run| {
        let key = dataset.load.dump_key.render(run.date);
        let (bucket, prefix) = (&dataset.landing.bucket, &dataset.landing.prefix);
        Left::new("copy of a dump", format!("s3://{bucket}/{prefix}{key}"))
    }));
    for (trace, what) in
        [(Trace::Snapshot, "snapshot in RDS"), (Trace::Export, "export in RDS and S3")]
    {
        let ids: Vec<&str> =
            runs().filter_map(|run| run.traces.get(&trace)).map(String::as_str).collect();
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            let words = format!(
                "{} of gapmend's runs, {first} to {last}; the pipeline deletes what it deletes",
                ids.len()
            );
            left.push(Left::new(what, words));
        }
    }
    let scan = state.datasets.get(&dataset.name).and_then(|it| it.last_scan.as_ref());
    let healable = scan.map_or(0, |(_, scan)| scan.queue.len());
    if healable > 0 {
        let words = format!(
            "{healable} dates of {} are healable, and nobody heals them any more",
            dataset.name
        );
        left.push(Left::new("gaps", words));
    }
    left
}
