//! Commands that only look: scan, plan, status, explain, history, trigger, config.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{FutureExt, future};
use gapmend::config;
use gapmend::daemon::{Engine, Errand, Pass};
use gapmend::domain::PassOutcome;
use gapmend::expose::Exit;
use gapmend::expose::cli::args::{
    ExplainArgs, GlobalArgs, HistoryArgs, Output, ScanArgs, StatusArgs,
};
use gapmend::expose::cli::{
    Out, calendar_text, explain_text, history_text, plan_text, scan_text, status_text, trigger_text,
};
use gapmend::expose::json;
use gapmend::ledger::Run;
use gapmend::plan::{Census, Plan, Rest};

use tokio::sync::Notify;

use super::Outcome;
use super::ask;
use super::failure::Failure;
use super::session::{Session, read_settings};
use super::signals::Signals;

/// Every dataset, looked at once.
struct Looked {
    engine: Engine,
    names: Vec<String>,
    passes: Vec<Pass>,
}

async fn look_at_all(
    session: &Session,
    global: &GlobalArgs,
    command: &str,
    errand: Errand,
) -> Result<Looked, Failure> {
    let names = session.dataset_names(global)?;
    look_with(session, session.looking_engine(command, errand), names).await
}

/// Looks, and asks meanwhile whether this is the account of the configuration: reading in
/// another one does no harm, as long as nothing is told of it.
async fn look_with(
    session: &Session,
    engine: impl Future<Output = Result<Engine, Failure>>,
    names: Vec<String>,
) -> Result<Looked, Failure> {
    let looking = async {
        let mut engine = engine.await?;
        let mut passes = Vec::new();
        for name in &names {
            let pass = engine.pass(name);
            passes.push(session.while_waiting(&format!("looking at {name}"), pass).await);
        }
        Ok((engine, passes))
    };
    // Whatever became of the look, the account has the first word.
    let (_, looked) = future::try_join(session.identify(), looking.map(Ok)).await?;
    looked.map(|(engine, passes)| Looked { engine, names, passes })
}

impl Looked {
    /// What could not be seen, by dataset.
    fn blindness(&self) -> Vec<(String, String)> {
        let blind = self.names.iter().zip(&self.passes).filter_map(|(name, pass)| {
            let unseen = self.engine.last_plan(name).is_none_or(|plan| plan.census.is_none());
            let told = matches!(pass.rest, Some(Rest::Blind(_)));
            unseen.then(|| {
                let why = if told { pass.detail.clone() } else { self.why_unseen(name, pass) };
                (name.clone(), why)
            })
        });
        blind.collect()
    }

    fn why_unseen(&self, name: &str, pass: &Pass) -> String {
        let causes = self.engine.blindness(name);
        if causes.is_empty() { pass.detail.clone() } else { causes.join("; ") }
    }
}

/// `gapmend scan`.
pub(super) async fn scan(global: &GlobalArgs, args: &ScanArgs, out: &mut Out) -> Outcome {
    if args.request {
        return ask::scan(global, &args.asked, out).await;
    }
    let session = Session::open(global).await?;
    let names = session.dataset_names(global)?;
    let looked = look_with(&session, session.scanning_engine("scan"), names).await?;
    let blind = looked.blindness();
    let nothing = Census { scanned_at: session.world.now(), ..Census::default() };
    let rows: Vec<(&str, &Census, PassOutcome)> = looked
        .names
        .iter()
        .map(|name| {
            let census = looked.engine.last_plan(name).and_then(|plan| plan.census.as_ref());
            let outcome = match census {
                None => PassOutcome::Error,
                Some(census) if census.gaps.is_empty() => PassOutcome::NothingToDo,
                Some(_) => PassOutcome::Waiting,
            };
            (name.as_str(), census.unwrap_or(&nothing), outcome)
        })
        .collect();
    match global.output {
        Output::Json => out.json(&json::scan_json(&rows))?,
        Output::Table => {
            let seen: Vec<_> =
                rows.iter().filter(|row| row.2 != PassOutcome::Error).copied().collect();
            if !seen.is_empty() {
                let render = if args.calendar { calendar_text } else { scan_text };
                let text = render(&seen, out.paper());
                out.text(&text)?;
            }
        }
    }
    if !blind.is_empty() {
        return Err(Failure::other(words_of(&blind)));
    }
    let gaps = rows.iter().any(|(_, census, _)| !census.gaps.is_empty());
    Ok(if args.exit_code && gaps { Exit::Gaps } else { Exit::Done })
}

fn words_of(blind: &[(String, String)]) -> String {
    let words: Vec<String> = blind
        .iter()
        .map(|(name, why)| {
            format!("{name}: the look was blind, so nothing is said of any date: {why}")
        })
        .collect();
    words.join("\n")
}

/// `gapmend plan`.
pub(super) async fn plan(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    print_plans(&session, global, Errand::default(), out).await
}

/// The plans, for the named dates only when there are some.
pub(super) async fn print_plans(
    session: &Session,
    global: &GlobalArgs,
    errand: Errand,
    out: &mut Out,
) -> Outcome {
    let looked = look_at_all(session, global, "plan", errand).await?;
    let blind = looked.blindness();
    let plans: Vec<(&str, &Plan)> = looked
        .names
        .iter()
        .filter_map(|name| Some((name.as_str(), looked.engine.last_plan(name)?)))
        .collect();
    match global.output {
        Output::Json => out.json(&json::plan_json(&plans))?,
        Output::Table if blind.is_empty() => {
            let text = plan_text(&plans, out.paper());
            out.text(&text)?;
        }
        Output::Table => {}
    }
    if blind.is_empty() { Ok(Exit::Done) } else { Err(Failure::other(words_of(&blind))) }
}

/// `gapmend status`; with `--watch` until a signal.
pub(super) async fn status(global: &GlobalArgs, args: &StatusArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let mut looked = look_at_all(&session, global, "status", Errand::default()).await?;
    if !args.watch {
        let text = status_of(&session, &looked, global, out);
        out.text(&text)?;
        return Ok(Exit::Done);
    }
    let signals = Signals::listen(&Arc::new(Notify::new()))?;
    loop {
        let text = status_of(&session, &looked, global, out);
        out.screen(&text)?;
        tokio::select! {
            () = session.world.clock.sleep(args.every) => {}
            () = signals.shutdown.cancelled() => return Ok(Exit::Done),
        }
        for name in &looked.names {
            looked.engine.look_again(name).await;
        }
    }
}

fn status_of(session: &Session, looked: &Looked, global: &GlobalArgs, out: &Out) -> String {
    let report = looked.engine.reports().borrow().clone();
    match global.output {
        Output::Json => format!("{:#}", json::status_json(&report)),
        Output::Table => status_text(&report, session.world.now(), out.paper()),
    }
}

/// `gapmend explain DATE`.
pub(super) async fn explain(global: &GlobalArgs, args: &ExplainArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let name = session.one_dataset(global)?;
    session.identify().await?;
    let errand = Errand { look_at: BTreeSet::from([args.date]), ..Errand::default() };
    let mut engine = session.looking_engine("explain", errand).await?;
    session.while_waiting(&format!("looking at {name}"), engine.pass(&name)).await;
    let report = engine.reports().borrow().clone();
    let blind = engine.blindness(&name);
    if !blind.is_empty() {
        return Err(Failure::other(words_of(&[(name, blind.join("; "))])));
    }
    let unseen =
        || Failure::refused(format!("{} was not looked at: it is in the future", args.date));
    match global.output {
        Output::Json => {
            out.json(&json::explain_json(&name, args.date, &report).ok_or_else(unseen)?)?;
        }
        Output::Table => {
            let text = explain_text(&name, args.date, &report, out.paper()).ok_or_else(unseen)?;
            out.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// `gapmend history`.
pub(super) async fn history(global: &GlobalArgs, args: &HistoryArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let names = session.dataset_names(global)?;
    let ledger = session.ledger("history").await?;
    let runs: Vec<&Run> = ledger
        .state()
        .runs
        .iter()
        .rev()
        .filter(|run| names.contains(&run.dataset))
        .filter(|run| args.date.is_none_or(|date| run.date == date))
        .take(args.limit.get())
        .collect();
    match global.output {
        Output::Json => out.json(&json::history_json(runs))?,
        Output::Table => {
            let text = history_text(runs, args.date.is_some(), out.paper());
            out.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// `gapmend trigger status`.
pub(super) async fn trigger(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let names = session.dataset_names(global)?;
    session.identify().await?;
    let mut engine = session.looking_engine("trigger", Errand::default()).await?;
    for name in &names {
        engine.glance(name).await;
    }
    let report = engine.reports().borrow().clone();
    match global.output {
        Output::Json => out.json(&json::trigger_json(&report, &json::rules(&session.settings)))?,
        Output::Table => {
            let now = session.world.now();
            let text = trigger_text(&report, &json::rules(&session.settings), now, out.paper());
            out.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// `gapmend config schema`.
pub(super) fn schema(out: &mut Out) -> Outcome {
    out.json(&config::schema())?;
    Ok(Exit::Done)
}

/// `gapmend config reference`.
pub(super) fn reference(out: &mut Out) -> Outcome {
    out.text(&config::reference())?;
    Ok(Exit::Done)
}

/// `gapmend config show`.
pub(super) fn show_config(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let (settings, _) = read_settings(global)?;
    let sources: Vec<String> =
        settings.sources.iter().map(|path| path.display().to_string()).collect();
    let datasets: Vec<serde_json::Value> = settings
        .datasets
        .values()
        .map(|dataset| serde_json::json!({"name": dataset.name, "mode": dataset.mode.label()}))
        .collect();
    out.json(&serde_json::json!({
        "sources": sources,
        "hash": settings.hash,
        "effective": settings.effective,
        "datasets": datasets,
    }))?;
    Ok(Exit::Done)
}
