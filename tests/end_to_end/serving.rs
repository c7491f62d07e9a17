//! `run`: the daemon with its HTTP, its signals, and the requests that it is handed.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Mutex;

use gapmend::sim::{FaultKind, FaultWhen, Moment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::stage::{PATIENCE, Stage, days_ago, terminate, until, world};

/// A running daemon, and where it listens.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let log = stage.path("daemon.log");
        let mut command = stage.command(&["run"]);
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let address = Mutex::new(None);
        until("the daemon listens", || {
            *address.lock().unwrap() = address_in(&std::fs::read_to_string(&log).unwrap());
            address.lock().unwrap().is_some()
        })
        .await;
        Self { child, address: address.into_inner().unwrap().unwrap() }
    }

    /// The status code and the body of an answer.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        let answer = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path).await
    }

    /// Asks again until the body tells something.
    pub(crate) async fn until_it_tells(&self, path: &str, words: &str) {
        let told = async {
            while !self.get(path).await.1.contains(words) {
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(PATIENCE, told).await;
        told.unwrap_or_else(|_| panic!("{path} never tells {words}"));
    }
}

/// The address in the line that says where HTTP is up.
fn address_in(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("HTTP is up"))?;
    let from = &line[line.find("127.0.0.1:")?..];
    let address: String =
        from.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    address.parse().ok()
}

#[tokio::test]
async fn the_daemon_heals_tells_of_it_and_ends_in_order() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let daemon = Daemon::start(&stage).await;
    until("the gap is healed", || stage.sim.lock().is_whole(gap)).await;
    let succeeded = "gapmend_runs_total{dataset=\"liberator\",outcome=\"succeeded\"} 1";
    daemon.until_it_tells("/metrics", succeeded).await;

    let (code, metrics) = daemon.get("/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "gapmend_dates{dataset=\"liberator\",status=\"missing\"} 0",
        "gapmend_trigger_state{dataset=\"liberator\",state=\"enabled\"} 1",
        "gapmend_queue_depth{dataset=\"liberator\"} 0",
        "gapmend_acting 1",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    for path in ["/healthz", "/readyz", "/", "/api/v1/status"] {
        assert_eq!(daemon.get(path).await.0, 200, "{path}");
    }
    let runs: serde_json::Value =
        serde_json::from_str(&daemon.get("/api/v1/runs").await.1).unwrap();
    assert_eq!(runs["runs"][0]["date"], gap.to_string().as_str());
    let dates = daemon.get("/api/v1/datasets/liberator/dates").await;
    assert!(dates.0 == 200 && dates.1.contains(&gap.to_string()));
    assert_eq!(daemon.get("/nothing").await.0, 404);
    assert_eq!(daemon.ask("POST", "/api/v1/status").await.0, 405, "HTTP changes nothing");

    assert_eq!(terminate(daemon.child).await, 0);
    stage.assert_healed_once(&[gap]);
}

#[tokio::test]
async fn a_daemon_that_is_ended_in_the_middle_leaves_the_run_to_the_next() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let daemon = Daemon::start(&stage).await;
    until("the load is asked for", || stage.calls_of("RunTask") == 1).await;
    assert_eq!(terminate(daemon.child).await, 0);
    let daemon = Daemon::start(&stage).await;
    until("the gap is healed", || stage.sim.lock().is_whole(gap)).await;
    assert_eq!(terminate(daemon.child).await, 0);
    stage.assert_healed_once(&[gap]);
    assert_eq!(stage.calls_of("RunTask"), 1);
}

#[tokio::test]
async fn a_changed_configuration_is_read_on_sighup_and_a_bad_one_refused() {
    let gap = days_ago(12);
    let observe = "[datasets.liberator]\nmode = \"observe\"\n";
    let stage = Stage::set_with(world().gap(gap), observe).await;
    let daemon = Daemon::start(&stage).await;
    daemon
        .until_it_tells("/metrics", "gapmend_dates{dataset=\"liberator\",status=\"missing\"} 1")
        .await;
    stage.write("conf.d/20-more.toml", "nonsense = 1\n");
    hang_up(&daemon).await;
    daemon.until_it_tells("/metrics", "gapmend_config_last_reload_successful 0").await;
    assert_eq!(daemon.get("/readyz").await.0, 503);
    assert_eq!(stage.calls_of("RunTask"), 0);
    stage.write("conf.d/20-more.toml", "");
    hang_up(&daemon).await;
    until("the gap is healed", || stage.sim.lock().is_whole(gap)).await;
    assert_eq!(daemon.get("/readyz").await.0, 200);
    assert_eq!(terminate(daemon.child).await, 0);
    stage.assert_healed_once(&[gap]);
}

async fn hang_up(daemon: &Daemon) {
    let kill = format!("kill -HUP {}", daemon.child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
}

#[tokio::test]
async fn heal_hands_its_request_to_the_daemon_that_acts() {
    let (asked, other) = (days_ago(15), days_ago(12));
    let allowlist = "[datasets.liberator]\nmode = \"allowlist\"\n";
    let stage = Stage::set_with(world().gap(asked).gap(other), allowlist).await;
    let daemon = Daemon::start(&stage).await;
    daemon.until_it_tells("/readyz", "ready: acting").await;
    let healed = stage.json(&["heal", "--date", &asked.to_string()]).await;
    assert_eq!(healed["runs"][0]["outcome"], "succeeded", "{healed}");
    let looked = stage.run(&["scan"]).await.with_code(0);
    assert!(!looked.stdout.is_empty(), "others may look while the daemon acts");
    assert_eq!(terminate(daemon.child).await, 0);
    stage.assert_healed_once(&[asked]);
    assert_eq!(stage.sim.lock().tasks().len(), 1);
}

#[tokio::test]
async fn a_second_daemon_stands_by_and_takes_over_when_the_first_ends() {
    let gap = days_ago(12);
    let stage = Stage::set(world().gap(gap)).await;
    let first = Daemon::start(&stage).await;
    first.until_it_tells("/readyz", "ready: acting").await;
    let second = Daemon::start(&stage).await;
    until("the gap is healed", || stage.sim.lock().is_whole(gap)).await;
    assert_eq!(terminate(first.child).await, 0);
    assert_eq!(terminate(second.child).await, 0);
    stage.assert_healed_once(&[gap]);
    assert_eq!(stage.sim.lock().tasks().len(), 1);
}

#[tokio::test]
async fn a_daemon_that_waits_for_a_silent_service_still_ends_in_time() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.sim.lock().faults.add(
        "glue:GetPartitions",
        FaultWhen::Always,
        FaultKind::Timeout,
        Moment::Before,
    );
    let daemon = Daemon::start(&stage).await;
    until("it waits for an answer", || stage.calls_of("GetPartitions") > 0).await;
    assert_eq!(daemon.get("/metrics").await.0, 200, "HTTP does not wait for AWS");
    assert_eq!(terminate(daemon.child).await, 0);
    assert_eq!(stage.calls_of("RunTask"), 0);
}

#[tokio::test]
async fn clients_that_say_half_and_read_nothing_do_not_hold_the_daemon() {
    let stage = Stage::set(world()).await;
    let daemon = Daemon::start(&stage).await;
    let mut clients = Vec::new();
    for sent in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for _ in 0..12 {
            let mut client = TcpStream::connect(daemon.address).await.unwrap();
            client.write_all(sent.as_bytes()).await.unwrap();
            clients.push(client); // half-open: neither closed nor read
        }
    }
    assert_eq!(daemon.get("/healthz").await.0, 200, "others are answered");
    assert_eq!(terminate(daemon.child).await, 0, "and the daemon ends in order");
    drop(clients);
}
