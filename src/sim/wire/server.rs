//! The HTTP server: one door for all services, on a loopback port.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::calls::{Calls, WireCall};
use super::clock::WireClock;
use super::dispatch::{self, Outcome};
use super::ecs;
use super::listener::{CuttableListener, Cutter};
use super::reply::Reply;
use super::route::{Incoming, Route, route};
use super::s3_objects::http_date;
use super::shape::Service;
use super::uri::Pairs;
use crate::sim::Sim;

/// The largest body that is read: a part of an upload, and room to spare.
const BODY_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// How long answers in progress may take once the door closes.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

/// How the door behaves; [`Default`] is the system's clock, any free port and no latency.
#[derive(Clone, Copy, Debug)]
pub struct WireOptions {
    /// How the World's time follows ours.
    pub clock: WireClock,
    /// The port on `127.0.0.1`; 0 for any that is free.
    pub port: u16,
    /// How long every call takes before it is looked at: for benchmarks.
    pub latency: Duration,
}

impl Default for WireOptions {
    fn default() -> Self {
        Self { clock: WireClock::System, port: 0, latency: Duration::ZERO }
    }
}

/// The open door. Dropping it closes it at once, [`WireServer::stop`] in order.
#[derive(Debug)]
pub struct WireServer {
    url: String,
    door: Arc<Door>,
    closing: CancellationToken,
    cut_all: CancellationToken,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

/// Opens the door to a World.
pub async fn serve(sim: Sim, options: WireOptions) -> std::io::Result<WireServer> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let door = Arc::new(Door::new(sim, options));
    let (closing, cut_all) = (CancellationToken::new(), CancellationToken::new());
    let service = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&door))
        .into_make_service_with_connect_info::<Cutter>();
    let server = axum::serve(CuttableListener::new(listener, cut_all.clone()), service)
        .with_graceful_shutdown(closing.clone().cancelled_owned());
    #[expect(clippy::disallowed_methods, reason = "stop waits for it, and drop aborts it")]
    let serving = tokio::spawn(server.into_future());
    Ok(WireServer { url, door, closing, cut_all, serving: Some(serving) })
}

impl WireServer {
    /// `http://127.0.0.1:PORT`: what an SDK takes as its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Every call that came so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<WireCall> {
        self.door.calls.all()
    }

    /// Closes: no new connections, a moment for answers in progress, then the rest is cut.
    pub async fn stop(mut self) {
        self.closing.cancel();
        let Some(mut serving) = self.serving.take() else { return };
        if tokio::time::timeout(CLOSING_LIMIT, &mut serving).await.is_err() {
            self.cut_all.cancel();
            let _ = tokio::time::timeout(CLOSING_LIMIT, &mut serving).await;
            serving.abort();
        }
    }
}

impl Drop for WireServer {
    fn drop(&mut self) {
        self.closing.cancel();
        self.cut_all.cancel();
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// What the handlers share.
#[derive(Debug)]
struct Door {
    sim: Sim,
    clock: WireClock,
    latency: Duration,
    calls: Calls,
    requests: AtomicU64,
}

async fn answer(
    State(door): State<Arc<Door>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response<Body> {
    match door.call(request).await {
        Some(Outcome::Answered(reply)) => return reply.into_response(),
        // The door closes some day, even on those who wait for ever.
        Some(Outcome::Silent) => cutter.wait().await,
        // A client that leaves in the middle of its body asked for nothing.
        Some(Outcome::Dropped | Outcome::Refused(_)) | None => cutter.cut(),
    }
    // The connection is cut by now, so this reaches nobody: it only lets the server end it.
    Response::new(Body::empty())
}

impl Door {
    fn new(sim: Sim, options: WireOptions) -> Self {
        let WireOptions { clock, latency, port: _ } = options;
        Self { sim, clock, latency, calls: Calls::default(), requests: AtomicU64::new(1) }
    }

    /// One call from its first byte to its answer, with refusals written out.
    async fn call(&self, request: Request) -> Option<Outcome> {
        let id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        let incoming = read(request, id).await?;
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let route = route(&incoming);
        let target = dispatch::target(route.service, &incoming);
        let mut context = dispatch::context(route.service, &incoming);
        if let Some(tag) = ecs::resource_tag(&route.name, &target, &self.sim.lock()) {
            context.insert("aws:ResourceTag/gapmend", tag);
        }
        let (now, outcome) = self.in_world(&route, &incoming, &target);
        let (outcome, code) = written(outcome, route.service, &incoming);
        let outcome = match outcome {
            Outcome::Answered(reply) => {
                Outcome::Answered(with_common_headers(reply, route.service, &incoming.id, now))
            }
            other @ (Outcome::Refused(_) | Outcome::Dropped | Outcome::Silent) => other,
        };
        self.calls.push(WireCall {
            service: route.service.name(),
            operation: route.name,
            target,
            context,
            at: now,
            status: status(&outcome),
            code,
        });
        Some(outcome)
    }

    /// Moves the World to our time and carries the call out in it.
    fn in_world(
        &self,
        route: &Route,
        incoming: &Incoming,
        target: &str,
    ) -> (DateTime<Utc>, Outcome) {
        let mut world = self.sim.lock();
        if let Some(now) = self.clock.now() {
            world.advance_to(now);
        }
        let outcome = dispatch::carry_out(route, incoming, target, &mut world);
        (world.now(), outcome)
    }
}

async fn read(request: Request, id: String) -> Option<Incoming> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT_BYTES).await.ok()?;
    Some(Incoming {
        id,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: Pairs::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
    })
}

/// A refusal in its service's shape, and its code.
fn written(outcome: Outcome, service: Service, incoming: &Incoming) -> (Outcome, Option<String>) {
    match outcome {
        Outcome::Refused(refusal) => {
            let reply = service.write(&refusal, incoming);
            (Outcome::Answered(reply), Some(refusal.code))
        }
        other @ (Outcome::Answered(_) | Outcome::Dropped | Outcome::Silent) => (other, None),
    }
}

fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered(reply) => Some(reply.status),
        Outcome::Refused(_) | Outcome::Dropped | Outcome::Silent => None,
    }
}

fn with_common_headers(reply: Reply, service: Service, id: &str, now: DateTime<Utc>) -> Reply {
    let reply = reply.header(service.request_id_header(), id).header("date", http_date(now));
    if service == Service::S3 {
        return reply.header("x-amz-id-2", format!("{id}/sim")).header("server", "AmazonS3");
    }
    reply
}
