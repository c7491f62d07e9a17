//! The daemon when there is nothing to do: its memory, its CPU, and how fast it tells of itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Stage;
use crate::server::Shape;

const WATCHED: Duration = Duration::from_mins(1);
const ASKED: usize = 200;
/// What the kernel calls a tick, everywhere that Linux runs today.
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) fn measure() {
    let stage = Stage::new(Shape { tables: 200, dates: 1_500, rich: true });
    stage.configure("check_objects = false", 16);
    let log = stage.folder.path().join("log");
    let mut daemon = Command::new(crate::binary())
        .args(["run", "--config"])
        .arg(stage.config())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let address = until(|| address_in(&std::fs::read_to_string(&log).unwrap()));
    until(|| {
        get(&address, "/metrics")
            .contains("gapmend_scans_total{dataset=\"bench\",outcome=\"clear\"} 1")
            .then_some(())
    });
    let before = ticks(&daemon);
    sleep(WATCHED);
    let used = (ticks(&daemon) - before) / TICKS_PER_SECOND;
    println!(
        "after a scan of 200 tables: {:.1} MiB resident, {:.3} s of CPU in {} s",
        resident_mib(&daemon),
        used,
        WATCHED.as_secs()
    );
    let mut took: Vec<f64> = (0..ASKED).map(|_| timed(&address)).collect();
    took.sort_by(f64::total_cmp);
    println!(
        "/metrics, {} bytes: {:.2} ms (slowest of {ASKED}: {:.2})",
        get(&address, "/metrics").len(),
        took[ASKED / 2],
        took[ASKED - 1]
    );
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("it never happened");
}

fn address_in(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("HTTP is up"))?;
    let from = &line[line.find("127.0.0.1:")?..];
    Some(from.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn timed(address: &str) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch")]
    let begun = Instant::now();
    get(address, "/metrics");
    begun.elapsed().as_secs_f64() * 1_000.0
}

fn ticks(daemon: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<f64> = fields.split(' ').filter_map(|field| field.parse().ok()).collect();
    fields[10] + fields[11]
}

fn resident_mib(daemon: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
