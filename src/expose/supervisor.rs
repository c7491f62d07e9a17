//! systemd's notify protocol: what the supervisor of a virtual machine is told.
//!
//! One datagram a message, to the socket that `NOTIFY_SOCKET` names. The watchdog is fed while
//! the loop turns, by the very rule of `/healthz`, so that a daemon that only looks alive is
//! started anew.
//!
//! What it never does: wait, or trouble the daemon. A supervisor that cannot be told is no
//! reason to stop.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::words::{daemon_words, next_words, pulse};
use crate::daemon::Report;
use crate::platform::Clock;

/// Without a watchdog the status is told this often.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// Whoever started us and wants to know how we are; perhaps nobody.
pub struct Supervisor {
    line: Option<(UnixDatagram, SocketAddr)>,
    /// Half of the time after which silence counts as death.
    beat: Duration,
}

impl Supervisor {
    /// The supervisor that listens at `NOTIFY_SOCKET`, a path or `@` and an abstract name, and
    /// takes a silence of `WATCHDOG_USEC` for death.
    pub fn at(notify_socket: Option<&str>, watchdog_microseconds: Option<&str>) -> Self {
        let line = notify_socket.and_then(|name| match connect(name) {
            Ok(line) => Some(line),
            Err(error) => {
                tracing::warn!(%error, name, "NOTIFY_SOCKET cannot be used; nobody is told");
                None
            }
        });
        let beat = watchdog_microseconds
            .and_then(|text| text.parse::<u64>().ok())
            .filter(|microseconds| *microseconds > 0)
            .map_or(STATUS_EVERY, |microseconds| Duration::from_micros(microseconds) / 2);
        Self { line, beat }
    }

    /// The configuration is good, the ledger is open, HTTP is bound: the daemon works.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; `ready` follows, whatever comes of it.
    pub fn reloading(&self) {
        self.tell("RELOADING=1");
    }

    /// Tells how it goes until the shutdown, and then that it ends.
    pub async fn follow(
        &self,
        mut reports: watch::Receiver<Arc<Report>>,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) {
        while !shutdown.is_cancelled() {
            let report = reports.borrow_and_update().clone();
            let (alive, _) = pulse(&report, clock.now());
            let feed = if alive { "\nWATCHDOG=1" } else { "" };
            self.tell(&format!("STATUS={}{feed}", status(&report, &*clock)));
            tokio::select! {
                () = tokio::time::sleep(self.beat) => {}
                Ok(()) = reports.changed() => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.tell("STOPPING=1\nSTATUS=ending; a run in progress is taken up by the next start");
    }

    fn tell(&self, message: &str) {
        let Some((socket, to)) = &self.line else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), to) {
            tracing::debug!(%error, "the supervisor could not be told");
        }
    }
}

fn connect(name: &str) -> std::io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// One line, for `systemctl status`.
fn status(report: &Report, clock: &dyn Clock) -> String {
    let now = clock.now();
    let datasets = report
        .datasets
        .iter()
        .map(|(name, dataset)| format!("; {name}: {}", next_words(report, name, dataset, now)));
    let line = daemon_words(report) + &datasets.collect::<String>();
    line.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::expose::sample;

    struct StandsAt(DateTime<Utc>);

    #[async_trait::async_trait]
    impl Clock for StandsAt {
        fn now(&self) -> DateTime<Utc> {
            self.0
        }

        async fn sleep(&self, _duration: Duration) {}
    }

    #[test]
    fn nobody_is_told_where_nobody_listens() {
        Supervisor::at(None, None).ready();
        Supervisor::at(Some("/nonexistent/socket"), None).ready();
        Supervisor::at(Some(""), Some("soon")).ready();
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_bites() {
        let beat = |microseconds| Supervisor::at(None, microseconds).beat;
        assert_eq!(beat(Some("60000000")), Duration::from_secs(30));
        assert_eq!(beat(Some("0")), STATUS_EVERY);
        assert_eq!(beat(None), STATUS_EVERY);
    }

    #[tokio::test]
    async fn a_loop_that_is_stuck_gets_no_more_food() {
        let name = format!("@gapmend-test-{}", uuid::Uuid::new_v4());
        let listener = UnixDatagram::bind_addr(
            &SocketAddr::from_abstract_name(name.trim_start_matches('@')).unwrap(),
        )
        .unwrap();
        let supervisor = Supervisor::at(Some(&name), None);
        for (minutes, fed) in [(1, true), (60, false)] {
            let (_keep, reports) = watch::channel(Arc::new(sample::report()));
            let clock = Arc::new(StandsAt(sample::now() + chrono::Duration::minutes(minutes)));
            let shutdown = CancellationToken::new();
            let following = supervisor.follow(reports, clock, shutdown.clone());
            let heard = async {
                let heard = receive(&listener).await;
                shutdown.cancel();
                heard
            };
            let ((), heard) = tokio::join!(following, heard);
            assert!(heard.starts_with("STATUS="), "{heard}");
            assert_eq!(heard.contains("\nWATCHDOG=1"), fed, "after {minutes} minutes: {heard}");
            assert!(receive(&listener).await.starts_with("STOPPING=1"));
        }
    }

    async fn receive(listener: &UnixDatagram) -> String {
        listener.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        loop {
            match listener.recv(&mut buffer) {
                Ok(length) => return String::from_utf8(buffer[..length].to_vec()).unwrap(),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}
