//! `gapmend demo`: everything on one machine, against an AWS that this process embeds.
//!
//! The commands that it shows are this very binary, run as a person would run it, with the
//! real SDK over loopback. Only the other end is a model, and only its time is scaled down.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use gapmend::config::Environment;
use gapmend::expose::Exit;
use gapmend::expose::cli::Out;
use gapmend::expose::cli::args::DemoArgs;
use gapmend::platform::{Clock, SystemClock};
use gapmend::sim::wire::{self, WireOptions, WireServer};
use gapmend::sim::{DumpKind, Profile, Sim, Times, Timing, WorldBuilder};
use std::sync::Arc;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::Outcome;
use super::failure::Failure;
use super::signals::Signals;

const CONFIG: &str = include_str!("../../config/demo.toml");

/// Dates that `heal` heals in the foreground; the daemon heals the rest.
const HEALED_BY_HAND: &str = "2";
/// The embedded AWS is twice as fast again as the model's quick timing.
const TIME_FACTOR: f64 = 0.5;
/// The daemon has healed everything within this time, or something is wrong.
const DAEMON_LIMIT: Duration = Duration::from_secs(90);
/// The daemon ends within this time of being asked.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Shows everything; with `--once`, ends when all is healed.
pub(super) async fn demo(args: &DemoArgs, out: &mut Out) -> Outcome {
    let signals = Signals::listen(&Arc::new(Notify::new()))?;
    let stage = Stage::set(args, out).await?;
    let shown = async { stage.play(args, &signals, out).await };
    let outcome = tokio::select! {
        outcome = shown => outcome,
        () = signals.at_once.cancelled() => Ok(Exit::Failed),
    };
    stage.strike().await;
    outcome
}

/// The embedded AWS, and the directory with configuration and ledger.
struct Stage {
    server: WireServer,
    directory: PathBuf,
    config: PathBuf,
    listen: String,
}

impl Stage {
    async fn set(args: &DemoArgs, out: &mut Out) -> Result<Self, Failure> {
        let today = SystemClock.now().date_naive();
        let server = wire::serve(world(today), WireOptions::default()).await?;
        let directory = std::env::temp_dir().join(format!("gapmend-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let config = directory.join("gapmend.toml");
        let listen = match args.listen {
            Some(address) => address.to_string(),
            None => free_address().await?,
        };
        let text = CONFIG
            .replace("@endpoint@", &server.url())
            .replace("@directory@", &directory.display().to_string())
            .replace("@listen@", &listen)
            .replace("@waived@", &days_before(today, WAIVED).to_string());
        std::fs::write(&config, text)?;
        out.text(&format!(
            "An AWS with six weeks of a council's parking data is embedded in this process, at {}.\n\
             It is a model of the real pipeline; its hours are scaled down to seconds.\n\
             Everything below is this binary talking to it through the real AWS SDK.\n",
            server.url()
        ))?;
        Ok(Self { server, directory, config, listen })
    }

    async fn play(&self, args: &DemoArgs, signals: &Signals, out: &mut Out) -> Outcome {
        self.show(out, &["scan"]).await?;
        self.show(out, &["plan"]).await?;
        self.show(out, &["heal", "--max", HEALED_BY_HAND]).await?;
        let mut daemon = self.start_daemon(out)?;
        let healed = tokio::select! {
            healed = self.wait_until_healed() => healed?,
            () = signals.shutdown.cancelled() => false,
        };
        if healed {
            self.show(out, &["scan"]).await?;
            self.show(out, &["status"]).await?;
        }
        if healed && !args.once {
            out.text(&self.farewell())?;
            signals.shutdown.cancelled().await;
        }
        let in_order = stop(&mut daemon).await?;
        let done = healed || signals.shutdown.is_cancelled();
        Ok(if done && in_order { Exit::Done } else { Exit::Failed })
    }

    /// Runs a command as a person would, and shows it.
    async fn show(&self, out: &mut Out, command: &[&str]) -> Result<(), Failure> {
        out.text(&format!("\n$ gapmend {}\n", command.join(" ")))?;
        let mut child = self.command(command)?.spawn()?;
        child.wait().await?; // an exit code of 1 is part of the show: a date fails for good
        Ok(())
    }

    fn start_daemon(&self, out: &mut Out) -> Result<Child, Failure> {
        out.text(&format!(
            "\n$ gapmend run &\n\
             The daemon heals the rest. Its status page: http://{0}/   its metrics: http://{0}/metrics\n",
            self.listen
        ))?;
        let mut command = self.command(&["run"])?;
        let log = std::fs::File::create(self.directory.join("daemon.log"))?;
        command.stdout(Stdio::null()).stderr(log).process_group(0);
        Ok(command.spawn()?)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        for name in Environment::of_process().our_names() {
            command.env_remove(name); // what is configured here is not meant for the demo
        }
        command
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", "demo")
            .env("AWS_SECRET_ACCESS_KEY", "demo")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_ENDPOINT_URL")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Asks the ledger's own record: nothing queued, nothing running.
    async fn wait_until_healed(&self) -> Result<bool, Failure> {
        let asked = tokio::time::timeout(DAEMON_LIMIT, async {
            loop {
                let quiet = self.plan_is_empty().await?;
                if quiet {
                    return Ok::<_, Failure>(true);
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => Ok(false),
        }
    }

    async fn plan_is_empty(&self) -> Result<bool, Failure> {
        let output = self.command(&["plan", "--output", "json"])?.output().await?;
        let plan: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null);
        let dataset = &plan["datasets"][0];
        let queue = dataset["queue"].as_array().map(Vec::len);
        let waits =
            dataset["waiting"].as_array().into_iter().flatten().any(|waiting| {
                matches!(waiting["status"].as_str(), Some("running" | "backing_off"))
            });
        Ok(queue == Some(0) && !waits)
    }

    fn farewell(&self) -> String {
        format!(
            "\nThe daemon goes on until Ctrl-C.\n\
             Status page   http://{listen}/\n\
             Metrics       http://{listen}/metrics\n\
             Its log       {log}\n\
             By hand       export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo\n\
             {indent}gapmend --config {config} status\n",
            listen = self.listen,
            log = self.directory.join("daemon.log").display(),
            config = self.config.display(),
            indent = " ".repeat(14),
        )
    }

    async fn strike(self) {
        self.server.stop().await;
        // A left-over directory in the temporary folder is all that a failure here means.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// SIGTERM, as a supervisor would; whether it ended in order.
async fn stop(daemon: &mut Child) -> Result<bool, Failure> {
    let Some(pid) = daemon.id() else { return Ok(false) };
    let asked = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
    if asked.is_err() {
        // A container holds no `kill`: it ends as abruptly as it is built to bear.
        daemon.kill().await?;
        return Ok(true);
    }
    if let Ok(status) = tokio::time::timeout(STOP_LIMIT, daemon.wait()).await {
        return Ok(status?.success());
    }
    daemon.kill().await?;
    Ok(false)
}

async fn free_address() -> Result<String, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.to_string())
}

/// Days before today on which something is the matter.
const GAPS: [u64; 3] = [9, 15, 24];
const FAILS_ONCE: u64 = 12;
const FAILS_ALWAYS: u64 = 19;
const CUT_OFF: u64 = 17;
const NEVER_CAME: u64 = 28;
const WAIVED: u64 = 33;
const HALF_THERE: u64 = 30;
const TOO_YOUNG: u64 = 4;

fn days_before(today: NaiveDate, days: u64) -> NaiveDate {
    today.checked_sub_days(Days::new(days)).unwrap_or(today)
}

/// Six weeks of history with everything that goes wrong in a year.
fn world(today: NaiveDate) -> Sim {
    let day = |days| days_before(today, days);
    let failing = |times| Profile {
        exits_1: times,
        log_lines: vec![
            "ERROR 1064 (42000) at line 7: You have an error in your SQL syntax".to_owned(),
        ],
        ..Profile::default()
    };
    let builder = WorldBuilder::at(SystemClock.now())
        .days(42)
        .timing(Timing::quick().scaled(TIME_FACTOR))
        .no_supplier()
        .gap(day(FAILS_ONCE))
        .profile(day(FAILS_ONCE), failing(Times::First(1)))
        .gap(day(FAILS_ALWAYS))
        .profile(day(FAILS_ALWAYS), failing(Times::Always))
        .dump(day(CUT_OFF), DumpKind::Truncated)
        .no_dump(day(NEVER_CAME))
        .no_dump(day(WAIVED))
        .partial(day(HALF_THERE), &["liberator_permit"])
        .gap(day(TOO_YOUNG));
    GAPS.into_iter().fold(builder, |builder, days| builder.gap(day(days))).build()
}
