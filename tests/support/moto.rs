//! One moto server for a test process: started when the first test asks for it, killed when the
//! last one lets go of it.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

/// Moto's own account.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-west-2";

/// Names the `moto_server` executable.
const VARIABLE: &str = "GAPMEND_MOTO";

/// Python takes its time on a busy machine.
const POLLS: u32 = 1_200;
const POLL: Duration = Duration::from_millis(50);

static RUNNING: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

/// A running server.
pub(crate) struct Moto {
    process: Child,
    port: u16,
}

impl Moto {
    /// The server of this process; `None`, and a word about it, where there is none to start.
    pub(crate) fn running() -> Option<Arc<Self>> {
        let executable = executable()?;
        let mut running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(moto) = running.upgrade() {
            return Some(moto);
        }
        let moto = Arc::new(Self::start(&executable));
        *running = Arc::downgrade(&moto);
        Some(moto)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Made up; moto does not look.
    pub(crate) fn credentials() -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new("AKIDMOTO", "moto", None, None, "moto"))
    }

    /// The port is free when we ask for it and may be gone when moto does, so a few are tried.
    fn start(executable: &str) -> Self {
        (0..3)
            .find_map(|_| Self::start_on(executable, free_port()))
            .unwrap_or_else(|| panic!("{executable} ({VARIABLE}) ended at once, three times"))
    }

    fn start_on(executable: &str, port: u16) -> Option<Self> {
        let process = Command::new(executable)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{VARIABLE} names {executable}: {error}"));
        let mut moto = Self { process, port };
        for _ in 0..POLLS {
            if moto.process.try_wait().expect("the state of a child").is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(moto);
            }
            std::thread::sleep(POLL);
        }
        panic!("{executable} does not listen");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "how tests are told where their tools are")]
fn executable() -> Option<String> {
    if let Ok(path) = std::env::var(VARIABLE) {
        return Some(path);
    }
    assert!(
        std::env::var("CI").is_err(),
        "{VARIABLE} is not set: CI must run the tests against moto (tests/support/moto.sh)"
    );
    // Written past the test harness, which would keep it to itself.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: no moto. GAPMEND_MOTO=\"$(tests/support/moto.sh)\" cargo test runs this test too"
    );
    None
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
