//! `gapmend run`: the daemon with its HTTP server, until a signal ends it.

use std::sync::Arc;
use std::time::Duration;

use gapmend::aws::OPERATIONS;
use gapmend::config::Environment;
use gapmend::daemon::{self, Errand, Released, serve, take_up};
use gapmend::expose::cli::args::GlobalArgs;
use gapmend::expose::http::{self, HttpState};
use gapmend::expose::telemetry::LogFormat;
use gapmend::expose::{Exit, Metrics, Supervisor, embedded_metrics};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::Outcome;
use super::failure::Failure;
use super::reload::reloader;
use super::session::{Session, read_settings};
use super::signals::Signals;

/// Past it an orderly end is given up: supervisors send SIGKILL soon after.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// A supervisor is told of readiness once the ledger is taken over, and at the latest by now: with a
/// ledger that cannot be written that lasts as long as a hold, and a supervisor that waited for it
/// would begin the hold's settling anew with each restart.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Runs the daemon.
pub(super) async fn run(global: &GlobalArgs) -> Outcome {
    let (settings, on_ecs) = read_settings(global)?;
    let wake = Arc::new(Notify::new());
    let signals = Signals::listen(&wake)?;
    let metrics = Arc::new(
        Metrics::new(settings.datasets.keys().map(String::as_str), &OPERATIONS)
            .map_err(Failure::other)?,
    );
    let session = Session::over(settings, on_ecs, metrics.clone()).await;
    let listen = session.settings.listen.clone();
    let listener = TcpListener::bind(&listen).await.map_err(|error| {
        Failure::other(format!("cannot listen on http.listen = \"{listen}\": {error}"))
    })?;
    session.identify().await?;
    let engine = session.engine("run", Errand::default(), metrics.clone()).await;
    let mut engine = match engine {
        Ok(engine) => engine,
        Err(failure) => {
            release_by_switch(&session).await;
            return Err(failure);
        }
    };
    let state =
        HttpState { report: engine.reports(), metrics, clock: Arc::clone(&session.world.clock) };
    let supervisor = Arc::new(supervisor());
    let hangup = &signals.hangup;
    let reload = reloader(global.config_path(), &session.settings, hangup, Arc::clone(&supervisor));
    let taken_over = Notify::new();
    let telling = {
        let follow = supervisor.follow(
            engine.reports(),
            Arc::clone(&session.world.clock),
            signals.shutdown.clone(),
        );
        async {
            tokio::select! {
                biased;
                () = signals.shutdown.cancelled() => return,
                () = taken_over.notified() => {}
                () = tokio::time::sleep(READY_WITHIN) => {}
            }
            supervisor.ready();
            follow.await;
        }
    };
    let reports = engine.reports();
    let ledger = session.settings.ledger.to_string();
    let metered = async {
        if global.log_format == LogFormat::Emf {
            embedded_metrics::follow(reports, ledger, signals.shutdown.clone()).await;
        }
    };
    let daemon = async {
        let ended = match take_up(&mut engine, &signals.shutdown).await {
            Ok(()) => {
                taken_over.notify_one();
                serve(&mut engine, wake, reload, signals.shutdown.clone()).await
            }
            Err(error) => Err(error),
        };
        signals.shutdown.cancel(); // HTTP must not outlive a loop that gave up
        ended
    };
    let server = http::serve(listener, state, signals.shutdown.clone());
    let overdue = async {
        signals.shutdown.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(ENDS_WITHIN) => {}
            () = signals.at_once.cancelled() => {}
        }
    };
    let all = async { tokio::join!(daemon, server, telling, metered) };
    tokio::select! {
        (daemon, server, (), ()) = all => {
            server?;
            daemon?;
            tracing::info!("ended; a run in progress is taken up by the next start");
            Ok(Exit::Done)
        }
        () = overdue => {
            tracing::warn!("ended before everything was put away; the next start takes it up");
            Ok(Exit::Done)
        }
    }
}

/// Whoever supervises this process, as the environment names it.
fn supervisor() -> Supervisor {
    let environment = Environment::of_process();
    let ours = std::process::id().to_string();
    let is_ours = environment.get("WATCHDOG_PID").is_none_or(|pid| pid == ours);
    let watchdog = environment.get("WATCHDOG_USEC").filter(|_| is_ours);
    Supervisor::at(environment.get("NOTIFY_SOCKET"), watchdog)
}

/// A ledger that cannot even be read does not keep a rule disabled: a dead man's switch of our
/// name beside it proves whose doing that is.
async fn release_by_switch(session: &Session) {
    for (name, dataset) in &session.settings.datasets {
        match daemon::release(&session.world, None, dataset).await {
            Ok(Released::NotDisabled | Released::NotOurs) => {}
            Ok(Released::Enabled { proof, .. }) => {
                tracing::warn!(
                    dataset = name,
                    proof,
                    "the ledger cannot be read; the rule that gapmend had disabled is enabled"
                );
            }
            Ok(Released::NotSeenEnabled) => {
                tracing::error!(dataset = name, "the rule was enabled, and is still seen disabled");
            }
            Err(error) => {
                tracing::error!(dataset = name, %error, "whether the rule is held could not be seen");
            }
        }
    }
}
