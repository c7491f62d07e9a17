//! `gapmend healthcheck`: asks the daemon's own `/healthz`, for images that hold no other
//! program which could.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use gapmend::expose::Exit;
use gapmend::expose::cli::Out;
use gapmend::expose::cli::args::GlobalArgs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};

use super::Outcome;
use super::failure::Failure;
use super::session::read_settings;

/// A healthy daemon answers at once; supervisors give up after a few seconds themselves.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// An answer is a line and some headers.
const ANSWER_LIMIT_BYTES: u64 = 16 * 1024;

/// Exit code 0 if the daemon of this configuration is alive.
pub(super) async fn healthcheck(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let (settings, _) = read_settings(global)?;
    let listen = &settings.listen;
    let unhealthy = |why: &dyn std::fmt::Display| Failure::other(format!("{listen}: {why}"));
    let answer = match tokio::time::timeout(ANSWER_LIMIT, ask(listen)).await {
        Ok(answer) => answer.map_err(|error| unhealthy(&error))?,
        Err(_) => return Err(unhealthy(&"no answer in time")),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) != Some("200") {
        return Err(unhealthy(&body.trim_end()));
    }
    out.text(body)?;
    Ok(Exit::Done)
}

async fn ask(listen: &str) -> std::io::Result<String> {
    let nowhere = || std::io::Error::other("not an address");
    let address = lookup_host(listen).await?.next().ok_or_else(nowhere)?;
    let mut stream = TcpStream::connect(from_here(address)).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(ANSWER_LIMIT_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Whoever listens on every address is asked on the machine's own.
fn from_here(address: SocketAddr) -> SocketAddr {
    let own = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let ip = if address.ip().is_unspecified() { own } else { address.ip() };
    SocketAddr::new(ip, address.port())
}
