//! Requests: written to the ledger with who and why; the daemon answers them.

use chrono::TimeDelta;
use gapmend::expose::Exit;
use gapmend::expose::cli::Out;
use gapmend::expose::cli::args::{AskedArgs, GlobalArgs, PauseArgs, RetryArgs};
use gapmend::ledger::Request;

use super::Outcome;
use super::failure::Failure;
use super::session::Session;

/// `gapmend retry DATE`.
pub(super) async fn retry(global: &GlobalArgs, args: RetryArgs, out: &mut Out) -> Outcome {
    let request = Request::Retry { date: args.date };
    let words = format!("{}'s attempts are forgiven; the next pass judges it anew", args.date);
    ask(global, request, &args.asked, &words, out).await
}

/// `gapmend cancel`.
pub(super) async fn cancel(global: &GlobalArgs, args: AskedArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let name = session.one_dataset(global)?;
    let ledger = session.ledger("cancel").await?;
    let run = ledger.state().active_run().filter(|run| run.dataset == name).cloned();
    let Some(run) = run else {
        return Err(Failure::refused(format!("{name} has no run in progress")));
    };
    drop(ledger);
    let words =
        format!("{} (stage {}) is asked to end; the daemon stops it", run.id, run.stage.label());
    ask(global, Request::Cancel, &args, &words, out).await
}

/// `gapmend pause --for LENGTH`.
pub(super) async fn pause(global: &GlobalArgs, args: PauseArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let length = TimeDelta::from_std(args.length).map_err(Failure::usage)?;
    let until = session.world.now() + length;
    let words = format!(
        "nothing is started until {}; a run in progress goes on",
        until.format("%Y-%m-%d %H:%M UTC")
    );
    ask(global, Request::Pause { until }, &args.asked, &words, out).await
}

/// `gapmend resume`.
pub(super) async fn resume(global: &GlobalArgs, args: AskedArgs, out: &mut Out) -> Outcome {
    let words = "pause and stop are ended; the next pass goes on";
    ask(global, Request::Resume, &args, words, out).await
}

async fn ask(
    global: &GlobalArgs,
    request: Request,
    args: &AskedArgs,
    words: &str,
    out: &mut Out,
) -> Outcome {
    let session = Session::open(global).await?;
    let name = session.one_dataset(global)?;
    let by = session.identify().await?;
    let mut ledger = session.ledger("ask").await?;
    let seq = ledger.append_request(&name, request, Session::asked(by, args)).await?;
    out.text(&format!("{name}: {words} (ledger entry {seq})\n"))?;
    Ok(Exit::Done)
}
