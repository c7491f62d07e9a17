//! A loopback HTTP server that gives prepared answers in order, for the tests of this layer.
//!
//! It shows what really goes over the wire, and can do what no emulator does: hang up, break off
//! in the middle of an answer, repeat a page token.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::timeout::TimeoutConfig;
use chrono::{DateTime, TimeZone, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{AwsPlatform, sdk_config};
use crate::config::settings::AwsSettings;
use crate::platform::{CallObserver, CallResult, Clock};

/// One prepared answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A whole answer.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is closed without a word.
    HangUp,
    /// A whole answer, but late.
    Late { after: Duration, body: String },
    /// The head and half of the body, then the connection is closed.
    BreakOff { body: String },
}

impl Reply {
    pub(super) fn ok(body: impl Into<String>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// An error of a JSON service.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": message });
        Self::status(status, body.to_string())
    }

    /// An error of S3.
    pub(super) fn s3_error(status: u16, code: &str) -> Self {
        Self::status(
            status,
            format!("<Error><Code>{code}</Code><Message>as prepared</Message></Error>"),
        )
    }

    /// An error of a query service.
    pub(super) fn query_error(status: u16, code: &str) -> Self {
        Self::status(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                 <Message>as prepared</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
            ),
        )
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the request is JSON")
    }

    /// `GetTables` of `AWSGlue.GetTables`.
    pub(super) fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap_or_default()
    }
}

/// The server, as long as it is held.
pub(super) struct Canned {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    _server: JoinSet<()>,
}

impl Canned {
    pub(super) async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.into_iter().collect()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, replies, seen.clone()));
        Self { address, seen, _server: server }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(
    listener: TcpListener,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (replies, seen) = (replies.clone(), seen.clone());
        connections.spawn(async move {
            let _ = converse(stream, &replies, &seen).await;
        });
    }
}

async fn converse(
    mut stream: TcpStream,
    replies: &Mutex<VecDeque<Reply>>,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let request = receive(&mut stream).await?;
    seen.lock().unwrap().push(request);
    let reply = replies.lock().unwrap().pop_front();
    match reply.unwrap_or_else(|| Reply::status(418, "nothing is prepared for this request")) {
        Reply::Answer { status, headers, body } => {
            stream.write_all(head(status, &headers, body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Reply::Late { after, body } => {
            tokio::time::sleep(after).await;
            stream.write_all(head(200, &[], body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Reply::BreakOff { body } => {
            stream.write_all(head(200, &[], body.len()).as_bytes()).await?;
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await?;
        }
        Reply::HangUp => {}
    }
    stream.shutdown().await
}

fn head(status: u16, headers: &[(&'static str, String)], length: usize) -> String {
    use std::fmt::Write;

    let mut head = format!("HTTP/1.1 {status} Canned\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head + "Connection: close\r\n\r\n"
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    let head_length = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_length]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_length + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let body = String::from_utf8_lossy(&bytes[head_length..]).into_owned();
    Ok(Request { line, headers, body })
}

/// A clock that stands still and does not wait, but remembers how long it should have.
#[derive(Default)]
pub(super) struct StillClock {
    pub(super) waits: Mutex<Vec<Duration>>,
}

impl StillClock {
    pub(super) fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        Self::noon()
    }

    async fn sleep(&self, duration: Duration) {
        self.waits.lock().unwrap().push(duration);
    }
}

/// Writes down every attempt.
#[derive(Default)]
pub(super) struct Attempts(pub(super) Mutex<Vec<(String, CallResult)>>);

impl CallObserver for Attempts {
    fn called(&self, service: &'static str, operation: &'static str, result: CallResult, _: f64) {
        self.0.lock().unwrap().push((format!("{service}:{operation}"), result));
    }
}

/// The platform in front of a canned server, and what can be seen of its work.
pub(super) struct Bench {
    pub(super) aws: AwsPlatform,
    pub(super) server: Canned,
    pub(super) clock: Arc<StillClock>,
    pub(super) attempts: Arc<Attempts>,
}

impl Bench {
    pub(super) async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::made(replies, |shared| shared).await
    }

    /// Waits no longer than this for an answer, where no operation says otherwise.
    pub(super) async fn with_patience(
        patience: Duration,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let timeouts = TimeoutConfig::builder().read_timeout(patience).build();
        Self::made(replies, |shared| shared.timeout_config(timeouts)).await
    }

    async fn made(
        replies: impl IntoIterator<Item = Reply>,
        change: impl FnOnce(aws_types::sdk_config::Builder) -> aws_types::sdk_config::Builder,
    ) -> Self {
        let server = Canned::with(replies).await;
        let clock = Arc::new(StillClock::default());
        let attempts = Arc::new(Attempts::default());
        let aws = platform_at(&server.url(), clock.clone(), attempts.clone(), change).await;
        Self { aws, server, clock, attempts }
    }

    /// The requests' operations, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.operation().to_owned()).collect()
    }

    pub(super) fn results(&self) -> Vec<&'static str> {
        self.attempts.0.lock().unwrap().iter().map(|(_, result)| result.label()).collect()
    }
}

pub(super) async fn platform_at(
    url: &str,
    clock: Arc<StillClock>,
    attempts: Arc<Attempts>,
    change: impl FnOnce(aws_types::sdk_config::Builder) -> aws_types::sdk_config::Builder,
) -> AwsPlatform {
    let settings = settings(url);
    let keys = Credentials::new("AKIDCANNED", "secret", None, None, "canned");
    let shared = sdk_config(&settings)
        .await
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(keys));
    AwsPlatform::over(&change(shared).build(), &settings, clock, attempts)
}

pub(super) fn settings(url: &str) -> AwsSettings {
    AwsSettings {
        region: "eu-west-2".into(),
        account_id: "111122223333".into(),
        max_in_flight: 4,
        endpoint_url: Some(url.to_owned()),
    }
}
