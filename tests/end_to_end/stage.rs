//! The stage: a world behind its door, a configuration, and the binary to run against them.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use gapmend::platform::{Clock, SystemClock};
use gapmend::sim::wire::{WireOptions, WireServer, serve};
use gapmend::sim::{Sim, Timing, WorldBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::granted;
use crate::iam::BLOCKS;

/// The Liberator configuration of the repository; `conf.d` beside it makes it quick.
const LIBERATOR: &str = include_str!("../../config/liberator.toml");

/// What no log, page or answer may ever tell.
pub(crate) const SECRETS: [&str; 2] = ["kept-to-ourselves", "a-token-for-a-while"];

/// How much shorter than in the demo everything is: an ingestion takes about two seconds.
pub(crate) const SPEED: f64 = 0.2;

/// Whatever a test waits for happens within this time, or never: generous, for slow machines.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at what a test waits for.
const GLANCE: Duration = Duration::from_millis(5);

/// A world, its door, and a folder with a configuration and a ledger.
pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) door: WireServer,
    folder: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Came {
    /// The JSON that it printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It ended with this exit code, or all that it said is shown.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Came {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// So many days before today, by the clock that the binary reads too.
pub(crate) fn days_ago(days: u64) -> NaiveDate {
    now().date_naive() - Days::new(days)
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// Thirty whole days up to last night, and a supplier who does not come while a test runs.
pub(crate) fn world() -> WorldBuilder {
    WorldBuilder::at(now()).no_supplier().timing(Timing::quick().scaled(SPEED))
}

impl Stage {
    /// The stage over a world, in mode auto.
    pub(crate) async fn set(world: WorldBuilder) -> Self {
        Self::set_with(world, "").await
    }

    /// The stage with one more file of configuration.
    pub(crate) async fn set_with(world: WorldBuilder, more: &str) -> Self {
        let sim = world.build();
        let door = serve(sim.clone(), WireOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { sim, door, folder };
        std::fs::create_dir(stage.path("conf.d")).unwrap();
        stage.write("gapmend.toml", LIBERATOR);
        stage.write("conf.d/10-quick.toml", &stage.quick());
        stage.write("conf.d/20-more.toml", more);
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn quick(&self) -> String {
        format!(
            r#"
[aws]
endpoint_url = "{url}"
[ledger]
url = "file://{ledger}"
[schedule]
timezone = "UTC"
[http]
listen = "127.0.0.1:0"
[datasets.liberator]
mode = "auto"
window = {{ lookback_days = 25, check_objects = true }}
backfill = {{ backoff = "1s", max_runs_per_night = 20 }}
load = {{ expected = "1m", deadline = "1m", poll = "100ms" }}
export = {{ deadline = "1m", poll = "100ms" }}
copy = {{ deadline = "10s", poll = "100ms" }}
publish = {{ start_within = "20s", deadline = "1m", poll = "100ms" }}
trigger = {{ arrival = "none", hold = "never" }}
"#,
            url = self.door.url(),
            ledger = self.path("ledger").display(),
        )
    }

    /// The binary with a command, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gapmend"));
        command
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
            .env("AWS_SESSION_TOKEN", SECRETS[1])
            .env("AWS_CONFIG_FILE", self.path("no-profile"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.path("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .arg("--config")
            .arg(self.path("gapmend.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Came {
        let ended = tokio::time::timeout(PATIENCE, self.command(arguments).output()).await;
        ended.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap().into()
    }

    /// Runs a command to its end, for its JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        self.json_with_code(arguments, 0).await
    }

    /// Runs a command that ends with this exit code, for its JSON.
    pub(crate) async fn json_with_code(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [&["--output", "json"], arguments].concat();
        self.run(&arguments).await.with_code(code).json()
    }

    /// The status that `scan` tells of a date.
    pub(crate) async fn status_of(&self, date: NaiveDate) -> String {
        let scan = self.json(&["scan"]).await;
        let dates = scan["datasets"][0]["dates"].as_array().unwrap();
        let of_date = dates.iter().find(|entry| entry["date"] == date.to_string().as_str());
        of_date.unwrap()["status"].as_str().unwrap().to_owned()
    }

    /// How many calls the door has answered.
    pub(crate) fn calls(&self) -> usize {
        self.door.calls().len()
    }

    /// How often an operation such as `RunTask` was asked for.
    pub(crate) fn calls_of(&self, operation: &str) -> usize {
        self.door.calls().iter().filter(|call| call.operation == operation).count()
    }

    /// Exactly one copy in every table, no two loads at once, the rule and the landing untouched.
    #[track_caller]
    pub(crate) fn assert_healed_once(&self, dates: &[NaiveDate]) {
        let world = self.sim.lock();
        for date in dates {
            assert!(world.is_whole(*date), "{date}: {:?}", world.copies(*date));
        }
        assert!(world.wrong_data().is_empty(), "{:?}", world.wrong_data());
        assert!(world.overlaps().is_empty(), "{:?}", world.overlaps());
        assert!(world.rule_history().is_empty(), "{:?}", world.rule_history());
        assert!(world.our_dump_writes().is_empty(), "{:?}", world.our_dump_writes());
    }
}

/// Whatever a test did at its stage, the policies grant all of it.
impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            granted::uses_of(self, &BLOCKS);
        }
    }
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn until<'a>(
    what: &'a str,
    mut is_true: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let waiting = async move {
        while !is_true() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    async move {
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

/// Sends a process a signal, such as `INT`.
pub(crate) async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs");
    let kill = format!("kill -{name} {id}");
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
}

/// Ends a process in order, and answers its exit code.
pub(crate) async fn terminate(mut child: Child) -> i32 {
    signal(&child, "TERM").await;
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
    ended.expect("it ends within ten seconds").unwrap().code().unwrap_or(-1)
}
