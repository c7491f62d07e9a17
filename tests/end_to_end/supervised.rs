//! What supervisors are told: systemd over its socket, and containers by `healthcheck`.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use tokio::process::Command;

use crate::serving::Daemon;
use crate::stage::{PATIENCE, Stage, days_ago, terminate, world};

/// The socket that systemd would give, and what came to it.
struct Systemd {
    socket: UnixDatagram,
    path: std::path::PathBuf,
    heard: Vec<String>,
}

impl Systemd {
    fn listen(stage: &Stage) -> Self {
        let path = stage.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path, heard: Vec::new() }
    }

    /// Listens until a message has this line.
    async fn until_told(&mut self, line: &str) -> String {
        loop {
            let socket = self.socket.try_clone().unwrap();
            let message = tokio::task::spawn_blocking(move || {
                let mut buffer = [0; 8192];
                let length = socket.recv(&mut buffer).expect("a message in time");
                String::from_utf8(buffer[..length].to_vec()).unwrap()
            });
            let message = message.await.unwrap();
            self.heard.push(message.clone());
            if message.lines().any(|it| it.starts_with(line)) {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn systemd_is_told_of_readiness_progress_reloads_and_the_end() {
    let stage =
        Stage::set_with(world().gap(days_ago(12)), "[datasets.liberator]\nmode = \"observe\"\n")
            .await;
    let mut systemd = Systemd::listen(&stage);
    let mut command = stage.command(&["run"]);
    command
        .env("NOTIFY_SOCKET", &systemd.path)
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let id = child.id().unwrap();

    assert_eq!(systemd.until_told("READY=1").await, "READY=1");
    assert_eq!(systemd.heard.len(), 1, "nothing is told before it is ready");
    systemd.until_told("STATUS=acting; liberator: ").await;
    // An idle loop turns every fifteen seconds; the watchdog is fed all the same.
    for _ in 0..3 {
        systemd.until_told("WATCHDOG=1").await;
    }

    let hang_up = format!("kill -HUP {id}");
    assert!(Command::new("sh").args(["-c", &hang_up]).status().await.unwrap().success());
    systemd.until_told("RELOADING=1").await;
    systemd.until_told("READY=1").await;

    assert_eq!(terminate(child).await, 0);
    systemd.until_told("STOPPING=1").await;
}

#[tokio::test]
async fn systemd_is_not_told_of_readiness_by_a_daemon_that_cannot_start() {
    let stage = Stage::set(world()).await;
    stage.write("conf.d/30-wrong.toml", "[ledger]\nurl = \"file:///proc/nowhere\"\n");
    let systemd = Systemd::listen(&stage);
    let mut command = stage.command(&["run"]);
    let ended = command.env("NOTIFY_SOCKET", &systemd.path).output();
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap();
    assert_eq!(ended.status.code(), Some(1));
    systemd.socket.set_nonblocking(true).unwrap();
    assert!(systemd.socket.recv(&mut [0; 64]).is_err(), "nothing was told");
}

#[tokio::test]
async fn healthcheck_says_by_its_exit_code_whether_the_daemon_lives() {
    let stage = Stage::set(world()).await;
    let daemon = Daemon::start(&stage).await;
    let listen = format!("[http]\nlisten = \"0.0.0.0:{}\"\n", daemon.address.port());
    stage.write("conf.d/30-listen.toml", &listen);
    daemon.until_it_tells("/healthz", "alive").await;
    let came = stage.run(&["healthcheck"]).await.with_code(0);
    assert!(came.stdout.starts_with("alive: "), "{}", came.stdout);
    assert_eq!(terminate(daemon.child).await, 0);
    let came = stage.run(&["healthcheck"]).await.with_code(1);
    assert!(came.stderr.contains("refused"), "{}", came.stderr);
}
