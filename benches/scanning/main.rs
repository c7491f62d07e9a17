//! What a scan costs as a whole process: calls, time, memory. `cargo bench --bench scanning`.
//!
//! The server answers every call after 25 ms, as a region that is near does. Times are compared
//! within one run, in turn: with a bare client that throws the same pages away, and, when
//! `GAPMEND_BOTO3` names a Python that has boto3, with a script of sixteen threads. Memory and
//! CPU are what the operating system accounts for the process. Arguments choose the parts:
//! `cargo bench --bench scanning -- speed memory large window objects idle`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may fail loudly")]

mod bare;
mod idle;
mod server;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use gapmend::platform::{Clock, SystemClock};
use server::{Server, Shape};
use tempfile::TempDir;

const LATENCY: Duration = Duration::from_millis(25);
const IN_FLIGHT: usize = 16;
const TURNS: usize = 5;

fn main() {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, fn()); 6] = [
        ("speed", speed),
        ("window", window),
        ("objects", objects),
        ("memory", memory),
        ("large", large),
        ("idle", idle::measure),
    ];
    for (name, part) in parts {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            println!("\n== {name}");
            part();
        }
    }
}

/// 200 tables of 1,500 dates: calls, and time against the bare client and against boto3.
fn speed() {
    for rich in [false, true] {
        let stage = Stage::new(Shape { tables: 200, dates: 1_500, rich });
        let window = format!("from = \"{}\"\ncheck_objects = false", stage.server.first());
        stage.configure(&window, IN_FLIGHT);
        let (mut bares, mut ours) = (Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let first = Some(stage.server.first());
            let bare = bare::fetch(&stage.server, stage.port, first, IN_FLIGHT).as_secs_f64();
            let fetched = stage.server.take_calls().values().sum::<usize>();
            let scan = stage.scan();
            if turn == 0 {
                println!(
                    "{} rows: bare client {fetched} calls; scan {}",
                    if rich { "rich" } else { "lean" },
                    words(&scan.calls)
                );
                continue; // warm caches, and pages laid out
            }
            bares.push(bare);
            ours.push(scan);
        }
        let seconds: Vec<f64> = ours.iter().map(|scan| scan.seconds).collect();
        let ratios: Vec<f64> = seconds.iter().zip(&bares).map(|(ours, bare)| ours / bare).collect();
        println!(
            "  bare {:.3} s, scan {:.3} s (cpu {:.2} s): {:.2} times (from {:.2} to {:.2}); peak {:.1} MiB",
            median(&bares),
            median(&seconds),
            median(&ours.iter().map(|scan| scan.cpu).collect::<Vec<_>>()),
            median(&ratios),
            ratios.iter().copied().fold(f64::MAX, f64::min),
            ratios.iter().copied().fold(0.0, f64::max),
            median(&ours.iter().map(|scan| scan.peak_mib).collect::<Vec<_>>()),
        );
        if let Some(python) = std::env::var_os("GAPMEND_BOTO3") {
            let script = beside("subtract.py").into_os_string();
            let from = stage.server.first().format("%Y%m%d").to_string();
            let url = format!("http://127.0.0.1:{}", stage.port);
            let theirs = measured(&[python, script, url.into(), from.into()]);
            println!(
                "  boto3 {:.2} s: {:.1} times a scan ({})",
                theirs.seconds,
                theirs.seconds / median(&seconds),
                theirs.said
            );
        }
    }
}

/// The default window is one page a table, however long the history.
fn window() {
    let stage = Stage::new(Shape { tables: 200, dates: 1_500, rich: false });
    stage.configure("check_objects = false", IN_FLIGHT);
    println!("90 days of 1,500: {}", words(&stage.scan().calls));
}

/// With the objects behind the catalog.
fn objects() {
    let stage = Stage::new(Shape { tables: 200, dates: 1_500, rich: false });
    stage.configure("", IN_FLIGHT);
    let scan = stage.scan();
    println!("90 days, objects listed: {} in {:.2} s", words(&scan.calls), scan.seconds);
}

/// Peak memory as the dates grow.
fn memory() {
    for dates in [500, 1_500, 3_650] {
        let stage = Stage::new(Shape { tables: 200, dates, rich: true });
        let window = format!("from = \"{}\"\ncheck_objects = false", stage.server.first());
        stage.configure(&window, IN_FLIGHT);
        let scan = stage.scan();
        println!(
            "200 tables, {dates} dates: peak {:.1} MiB in {:.2} s",
            scan.peak_mib, scan.seconds
        );
    }
}

/// 2,000 tables of ten years, and a quarter of them: the cost goes with the pages.
fn large() {
    for tables in [500, 2_000] {
        let stage = Stage::new(Shape { tables, dates: 3_650, rich: false });
        let window = format!("from = \"{}\"\ncheck_objects = false", stage.server.first());
        stage.configure(&window, IN_FLIGHT);
        let scan = stage.scan();
        let pages: usize = scan.calls.values().sum();
        let milliseconds = scan.seconds * 1_000.0 / f64::from(u32::try_from(pages).unwrap());
        println!(
            "{tables} tables, 3,650 dates: {pages} calls in {:.2} s, {:.2} ms a call (cpu {:.2} s); peak {:.1} MiB",
            scan.seconds, milliseconds, scan.cpu, scan.peak_mib
        );
    }
}

/// A server, and a folder with a configuration for it.
pub(crate) struct Stage {
    pub(crate) server: Arc<Server>,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

/// What a process came to.
struct Measured {
    seconds: f64,
    cpu: f64,
    peak_mib: f64,
    calls: BTreeMap<String, usize>,
    said: String,
}

impl Stage {
    pub(crate) fn new(shape: Shape) -> Self {
        let today: NaiveDate = SystemClock.now().date_naive();
        let (server, port) = Server::start(shape, today, LATENCY);
        Self { server, port, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("gapmend.toml")
    }

    pub(crate) fn configure(&self, window: &str, in_flight: usize) {
        let text = format!(
            r#"
[aws]
region = "eu-west-2"
account_id = "111122223333"
endpoint_url = "http://127.0.0.1:{port}"
max_in_flight = {in_flight}
[ledger]
url = "file://{ledger}"
[schedule]
timezone = "UTC"
[http]
listen = "127.0.0.1:0"
[datasets.bench]
mode = "observe"
[datasets.bench.landing]
bucket = "landing"
prefix = "parking/"
keys = ["liberator_dump_%Y%m%d.zip"]
verify = "size"
[datasets.bench.raw.all]
database = "raw"
tables = ["liberator_*"]
partition_key = "import_date"
partition_format = "%Y%m%d"
[datasets.bench.window]
{window}
[datasets.bench.load]
cluster = "workers"
task_definition = "load"
container = "load"
dump_key = "liberator_dump_%Y%m%d.zip"
network = {{ subnets = ["subnet-0a"], security_groups = ["sg-0a"] }}
"#,
            port = self.port,
            ledger = self.folder.path().join("ledger").display(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn scan(&self) -> Measured {
        self.server.take_calls();
        let binary = binary();
        let arguments = ["--output", "json", "scan", "--config"].map(Into::into);
        let command: Vec<_> =
            [binary].into_iter().chain(arguments).chain([self.config().into()]).collect();
        let measured = measured(&command);
        Measured { calls: self.server.take_calls(), ..measured }
    }
}

/// The binary that is measured: this build's, or the one that `GAPMEND_BINARY` names.
pub(crate) fn binary() -> OsString {
    std::env::var_os("GAPMEND_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_gapmend").into())
}

/// Runs a command as a whole process.
fn measured(command: &[OsString]) -> Measured {
    let out = Command::new("python3")
        .arg(beside("measure.py"))
        .args(command)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (figures, said) = text.split_once('\n').unwrap();
    let figures: Vec<f64> = figures.split(' ').map(|figure| figure.parse().unwrap()).collect();
    assert!(figures[3].abs() < 0.5, "{}", String::from_utf8_lossy(&out.stderr));
    Measured {
        seconds: figures[0],
        cpu: figures[2],
        peak_mib: figures[1] / 1024.0,
        calls: BTreeMap::new(),
        said: said.trim().to_owned(),
    }
}

fn beside(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/scanning").join(file)
}

fn words(calls: &BTreeMap<String, usize>) -> String {
    let listed: Vec<String> = calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let lists = ["GetTables", "GetPartitions", "ListObjectsV2"];
    let lists: usize = lists.iter().filter_map(|name| calls.get(*name)).sum();
    format!("{lists} catalog and listing calls ({})", listed.join(", "))
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
