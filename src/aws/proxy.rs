//! The way to a service: straight, or through the proxy that the environment names.
//!
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read in capitals or small letters.
//! What goes to `https` is tunnelled (`CONNECT`), so a proxy never sees a request; what goes to
//! `http`, an emulator, is asked of the proxy. The machine's own credential services are never
//! behind one. A proxy is spoken to over plain HTTP.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector as Dialer};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower_service::Service;

use super::convert::base64;
use crate::config::Environment;

/// Where EC2, ECS and EKS hand credentials out: a proxy would answer with its own, or keep them.
const CREDENTIAL_SERVICES: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"];

/// The answer's head to a `CONNECT` is short; a longer one is no proxy's.
const HEAD_LIMIT_BYTES: usize = 8 << 10;

type Failed = Box<dyn Error + Send + Sync>;

/// A proxy, and what it asks for before it serves.
#[derive(Clone, Debug)]
struct Proxy {
    uri: Uri,
    /// The value of `Proxy-Authorization`.
    auth: Option<String>,
}

impl Proxy {
    fn parsed(text: &str) -> Option<Self> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = whole.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let auth = authority.rsplit_once('@').map(|(user, _)| format!("Basic {}", base64(user)));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(Self { uri: format!("http://{host}").parse().ok()?, auth })
    }

    fn name(&self) -> &str {
        self.uri.authority().map_or("?", |authority| authority.as_str())
    }
}

/// What the environment says of proxies.
#[derive(Clone, Debug, Default)]
struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Hosts, domains, addresses and networks that are asked straight.
    no: Vec<String>,
}

impl Proxies {
    fn of(environment: &Environment) -> Self {
        let first = |names: [&str; 2]| {
            let [capitals, small] = names;
            environment.get(capitals).or_else(|| environment.get(small)).filter(|it| !it.is_empty())
        };
        let all = first(["ALL_PROXY", "all_proxy"]);
        let proxy = |names| first(names).or(all).and_then(Proxy::parsed);
        let no = first(["NO_PROXY", "no_proxy"]).unwrap_or_default();
        Self {
            http: proxy(["HTTP_PROXY", "http_proxy"]),
            https: proxy(["HTTPS_PROXY", "https_proxy"]),
            no: no
                .split(',')
                .map(|it| it.trim().to_lowercase())
                .filter(|it| !it.is_empty())
                .collect(),
        }
    }

    fn before(&self, service: &Uri) -> Option<&Proxy> {
        let host = service.host()?.to_lowercase();
        let straight = CREDENTIAL_SERVICES.contains(&host.as_str())
            || self.no.iter().any(|entry| is_named(entry, &host));
        let proxy = if service.scheme_str() == Some("https") { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !straight)
    }
}

/// Whether an entry of `NO_PROXY` names this host.
fn is_named(entry: &str, host: &str) -> bool {
    if let (Some((network, bits)), Ok(host)) = (entry.split_once('/'), host.parse::<IpAddr>()) {
        return contains(network, bits, host).unwrap_or(false);
    }
    let domain = entry.trim_start_matches('*').trim_start_matches('.');
    entry == "*" || host == domain || (!domain.is_empty() && host.ends_with(&format!(".{domain}")))
}

fn contains(network: &str, bits: &str, host: IpAddr) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    Some(match (network.parse().ok()?, host) {
        (IpAddr::V4(network), IpAddr::V4(host)) => {
            let differs = network.to_bits() ^ host.to_bits();
            differs.checked_shr(32_u32.checked_sub(bits)?).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(host)) => {
            let differs = network.to_bits() ^ host.to_bits();
            differs.checked_shr(128_u32.checked_sub(bits)?).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    })
}

/// Dials a service, or the proxy before it.
#[derive(Clone)]
pub(super) struct Route {
    dialer: Dialer,
    proxies: Arc<Proxies>,
}

impl Route {
    /// The way that the environment names.
    pub(super) fn of_environment(dialer: Dialer) -> Self {
        Self::of(dialer, &Environment::of_process())
    }

    fn of(dialer: Dialer, environment: &Environment) -> Self {
        Self { dialer, proxies: Arc::new(Proxies::of(environment)) }
    }

    /// The proxy before a service, without its credentials: for the log.
    pub(super) fn proxy_of(&self, service: &Uri) -> Option<String> {
        self.proxies.before(service).map(|proxy| proxy.name().to_owned())
    }
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.dialer.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, service: Uri) -> Self::Future {
        let proxy = self.proxies.before(&service).cloned();
        let mut dialer = self.dialer.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(Stream { io: dialer.call(service).await?, asks_proxy: false });
            };
            let told =
                |error: Failed| -> Failed { format!("proxy {}: {error}", proxy.name()).into() };
            let io = dialer.call(proxy.uri.clone()).await.map_err(|error| told(error.into()))?;
            if service.scheme_str() != Some("https") {
                return Ok(Stream { io, asks_proxy: true });
            }
            let io =
                tunnel(io.into_inner(), &service, proxy.auth.as_deref()).await.map_err(told)?;
            Ok(Stream { io: TokioIo::new(io), asks_proxy: false })
        })
    }
}

/// Asks a proxy for a way to a service.
async fn tunnel(
    mut stream: TcpStream,
    service: &Uri,
    auth: Option<&str>,
) -> Result<TcpStream, Failed> {
    let host = service.host().unwrap_or_default();
    let to = format!("{host}:{}", service.port_u16().unwrap_or(443));
    let auth = auth.map(|auth| format!("Proxy-Authorization: {auth}\r\n")).unwrap_or_default();
    let asked = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{auth}\r\n");
    stream.write_all(asked.as_bytes()).await?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the service.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_LIMIT_BYTES {
            return Err("its answer has no end".into());
        }
        head.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(stream),
        Some("407") => Err("it asks for credentials (user:password@ in the variable)".into()),
        _ => Err(format!("it refuses: {line}").into()),
    }
}

/// A connection, to a service or to a proxy that is asked for one.
pub(super) struct Stream {
    io: TokioIo<TcpStream>,
    asks_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.asks_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn route(proxy: &str, no: &str) -> Route {
        let mut dialer = Dialer::new();
        dialer.enforce_http(false);
        let environment = [("ALL_PROXY", proxy), ("no_proxy", no)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Route::of(dialer, &environment.into_iter().collect())
    }

    #[test]
    fn what_no_proxy_names_and_the_machines_credentials_are_asked_straight() {
        let route = route("http://kim:secret@proxy.council:3128", "10.0.0.0/8,.internal");
        let through = |uri: &str| route.proxy_of(&uri.parse().unwrap());
        assert_eq!(through("https://sts.eu-west-2.amazonaws.com").unwrap(), "proxy.council:3128");
        for straight in [
            "http://169.254.169.254/latest",
            "http://169.254.170.2/v2",
            "https://10.1.2.3",
            "https://internal",
            "https://vpce.internal",
        ] {
            assert_eq!(through(straight), None, "{straight}");
        }
    }

    #[tokio::test]
    async fn https_is_tunnelled_with_the_proxys_own_credentials() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        let mut route = route(&format!("http://kim:secret@{address}"), "");
        let serving = async {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut asked).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            String::from_utf8(asked).unwrap()
        };
        let (asked, stream) = tokio::join!(
            serving,
            route.call("https://glue.eu-west-2.amazonaws.com".parse().unwrap())
        );
        assert!(!stream.unwrap().asks_proxy);
        assert!(asked.starts_with("CONNECT glue.eu-west-2.amazonaws.com:443 "), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic a2ltOnNlY3JldA==\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        drop(proxy);
        let mut route = route(&format!("http://{address}"), "");
        let error = route.call("https://glue.eu-west-2.amazonaws.com".parse().unwrap()).await;
        assert!(error.err().unwrap().to_string().starts_with("proxy 127.0.0.1:"));
    }
}
