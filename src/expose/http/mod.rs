//! HTTP: metrics, health, a status page and JSON. Read-only, always.
//!
//! Every answer is made from the last report; no handler calls AWS, touches the ledger or
//! waits for anything. Nothing can be changed here: every method but GET and HEAD is refused,
//! and no request's body is ever read.
//!
//! Each connection carries one request and lives a few seconds at most (see [`bounded`]), so
//! that neither a slow client nor a half-sent request can hold the daemon's shutdown.

mod api;
mod bounded;
mod guard;
mod health;
mod pace;
mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::NaiveDate;
use maud::Markup;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::bounded::Bounded;
use self::pace::Pace;
use super::Metrics;
use crate::daemon::Report;
use crate::platform::Clock;

/// How long answers under way may take once the daemon shuts down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

/// The page's look; a file of its own, so that the content policy can forbid inline styles.
const STYLE: &str = include_str!("style.css");

/// What the handlers see.
#[derive(Clone)]
pub struct HttpState {
    /// The daemon's last report.
    pub report: watch::Receiver<Arc<Report>>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

impl HttpState {
    fn report(&self) -> Arc<Report> {
        self.report.borrow().clone()
    }
}

/// Serves until the shutdown, and at most [`SHUTDOWN_LIMIT`] longer.
///
/// # Errors
/// The listener's address cannot be read.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "HTTP is up, read-only");
    let graceful = shutdown.clone();
    let server = axum::serve(Bounded::new(listener), router(state))
        .with_graceful_shutdown(async move { graceful.cancelled().await });
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_LIMIT).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = overdue => {
            tracing::warn!("HTTP requests were still open at the end of the shutdown; dropped");
            Ok(())
        }
    }
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/datasets/{name}/dates/{date}", get(date_page))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/datasets/{name}/dates", get(api::dates))
        .route("/api/v1/datasets/{name}/dates/{date}", get(api::date))
        .route("/api/v1/runs", get(api::runs))
        .fallback(api::unknown)
        .layer(middleware::from_fn_with_state(Arc::new(Pace::new()), pace::keep))
        .layer(middleware::from_fn(guard::guard))
        .with_state(state)
}

/// Renewed by a header, so that it can be told not to: whoever goes through it by keyboard or
/// reads it aloud would lose their place.
async fn status_page(State(state): State<HttpState>, RawQuery(query): RawQuery) -> Response {
    let view = page::View::asked(query.as_deref());
    let page = page::render(&state.report(), view, state.clock.now());
    let mut response = html(page);
    if view.renews {
        response.headers_mut().insert(header::REFRESH, page::REFRESH_SECONDS.into());
    }
    response
}

async fn date_page(
    State(state): State<HttpState>,
    Path((name, date)): Path<(String, String)>,
) -> Response {
    let date = date.parse::<NaiveDate>().ok();
    let page =
        date.and_then(|date| page::render_date(&state.report(), &name, date, state.clock.now()));
    page.map_or_else(api::not_looked_at, html)
}

fn html(page: Markup) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

async fn metrics(State(state): State<HttpState>) -> Response {
    match state.metrics.render(&state.report()) {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::content_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to render the metrics");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be rendered\n")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests;
