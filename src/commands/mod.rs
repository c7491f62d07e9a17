//! What each command does: compose, call, print. No decision is made here.

mod ask;
mod check;
mod demo;
mod failure;
mod heal;
mod healthcheck;
mod ledger;
mod look;
mod release;
mod reload;
mod retire;
mod session;
mod signals;
mod upload;
mod watch;

use std::time::Duration;

use gapmend::expose::cli::args::{self, ConfigCommand, LedgerCommand, Output, TriggerCommand};
use gapmend::expose::cli::{Cli, Command, Out};
use gapmend::expose::{Exit, telemetry};

use failure::Failure;

/// Past it a thread that waits for a disk is left behind.
const THREADS_END_WITHIN: Duration = Duration::from_secs(1);

/// What a command comes to.
type Outcome = Result<Exit, Failure>;

/// Runs a command to its end, and says what went wrong, once.
pub(super) fn run(cli: Cli) -> Exit {
    let mut out = Out::standard();
    let output = cli.global.output;
    let outcome = prepare(&cli).and_then(|runtime| {
        let outcome = runtime.block_on(dispatch(cli, &mut out));
        // A file system that hangs keeps a thread for ever, and must not keep the process.
        runtime.shutdown_timeout(THREADS_END_WITHIN);
        outcome
    });
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            // Nobody is left to tell when stderr is gone too.
            let _ = out.remark(&failure.to_string());
            if output == Output::Json {
                let _ = out.json_error(&failure.to_string());
            }
            failure.exit()
        }
    }
}

fn prepare(cli: &Cli) -> Result<tokio::runtime::Runtime, Failure> {
    telemetry::init(cli.log_filter(), cli.global.log_format).map_err(Failure::usage)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::other)
}

async fn dispatch(cli: Cli, out: &mut Out) -> Outcome {
    let global = &cli.global;
    match cli.command {
        Command::Run => Box::pin(watch::run(global)).await,
        Command::Scan(args) => look::scan(global, &args, out).await,
        Command::Plan => look::plan(global, out).await,
        Command::Status(args) => look::status(global, &args, out).await,
        Command::History(args) => look::history(global, &args, out).await,
        Command::Explain(args) => look::explain(global, &args, out).await,
        Command::Heal(args) => heal::heal(global, &args, out).await,
        Command::Check => check::check(global, out).await,
        Command::Healthcheck => healthcheck::healthcheck(global, out).await,
        Command::Demo(args) => demo::demo(&args, out).await,
        Command::Config(ConfigCommand::Schema) => look::schema(out),
        Command::Config(ConfigCommand::Reference) => look::reference(out),
        Command::Config(ConfigCommand::Show) => look::show_config(global, out),
        Command::Upload(args) => Box::pin(upload::upload(global, &args, out)).await,
        Command::Retry(args) => ask::retry(global, args, out).await,
        Command::Cancel(args) => Box::pin(ask::cancel(global, args, out)).await,
        Command::Pause(args) => ask::pause(global, args, out).await,
        Command::Resume(args) => ask::resume(global, args, out).await,
        Command::Ledger(LedgerCommand::Export(args)) => ledger::export(global, &args, out).await,
        Command::Ledger(LedgerCommand::Check) => ledger::check(global, out).await,
        Command::Ledger(LedgerCommand::Acknowledge(args)) => {
            ledger::acknowledge(global, &args, out).await
        }
        Command::Retire(args) => Box::pin(retire::retire(global, &args, out)).await,
        Command::Trigger(TriggerCommand::Status) => look::trigger(global, out).await,
        Command::Trigger(TriggerCommand::Release) => release::release(global, out).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            args::completions(shell, &mut script);
            out.bytes(&script)?;
            Ok(Exit::Done)
        }
        Command::Man => {
            let mut page = Vec::new();
            args::manual(&mut page)?;
            out.bytes(&page)?;
            Ok(Exit::Done)
        }
    }
}
