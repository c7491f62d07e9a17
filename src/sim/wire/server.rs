//! The HTTP server: one door for all services, on a loopback port.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Response};
use axum::Router;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::calls::{Calls, WireCall};
use super::clock::WireClock;
use super::dispatch;
use super::listener::{CuttableListener, Cutter};
use super::reply::{Refusal, Reply};
use super::route::{Incoming, Route, route};
use super::shape::Asked;
use super::uri::Pairs;
use crate::sim::{Fault, FaultKind, Moment, Sim, World};

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

/// What becomes of a call.
enum Outcome {
    Answered(Reply),
    /// The connection is closed without an answer.
    Dropped,
    /// No answer ever comes.
    Silent,
}

async fn answer(
    State(door): State<Arc<Door>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response<Body> {
    match door.call(request).await {
        Outcome::Answered(reply) => return reply.into_response(),
        Outcome::Dropped => cutter.cut(),
        Outcome::Silent => {}
    }
    std::future::pending().await
}

impl Door {
    fn new(sim: Sim, options: WireOptions) -> Self {
        let WireOptions { clock, latency, port: _ } = options;
        Self { sim, clock, latency, calls: Calls::default(), requests: AtomicU64::new(1) }
    }

    async fn call(&self, request: Request) -> Outcome {
        let id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        // A client that leaves in the middle of its body asked for nothing.
        let Some(incoming) = read(request).await else { return Outcome::Dropped };
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let route = route(&incoming);
        let (now, target, result) = self.sim.with(|world| {
            if let Some(now) = self.clock.now() {
                world.advance_to(now);
            }
            let target = dispatch::target(&route, &incoming);
            (world.now(), target.clone(), attempt(&route, &incoming, &target, world))
        });
        let mut call = WireCall {
            service: route.service.name(),
            operation: route.name.clone(),
            target,
            at: now,
            status: None,
            code: None,
        };
        let outcome = self.written(&route, &incoming, &id, now, result, &mut call);
        self.calls.push(call);
        outcome
    }

    fn written(
        &self,
        route: &Route,
        incoming: &Incoming,
        id: &str,
        now: DateTime<Utc>,
        result: Result<Result<Reply, Refusal>, Outcome>,
        call: &mut WireCall,
    ) -> Outcome {
        let reply = match result {
            Err(outcome) => return outcome,
            Ok(Ok(reply)) => reply,
            Ok(Err(refusal)) => {
                call.code = Some(refusal.code.clone());
                let asked =
                    Asked { method: &incoming.method, path: &incoming.path, request_id: id };
                route.service.write(&refusal, &asked)
            }
        };
        call.status = Some(reply.status);
        Outcome::Answered(with_common_headers(reply, route, id, now))
    }
}
