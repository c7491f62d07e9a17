//! Health: is the loop alive, and does this daemon act?

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::HttpState;
use crate::daemon::Report;
use crate::expose::words::pulse;

/// The loop is alive.
pub(super) async fn healthz(State(state): State<HttpState>) -> Response {
    answer(alive(&state.report(), state.clock.now()))
}

/// This daemon is the one that acts, on a valid configuration and a ledger that it can use.
pub(super) async fn readyz(State(state): State<HttpState>) -> Response {
    answer(ready(&state.report()))
}

fn alive(report: &Report, now: DateTime<Utc>) -> Result<String, String> {
    match pulse(report, now) {
        (true, words) => Ok(format!("alive: {words}")),
        (false, words) => Err(words),
    }
}

fn ready(report: &Report) -> Result<String, String> {
    if !report.config.ok {
        let problem = report.config.problem.as_deref().unwrap_or("no reason given");
        return Err(format!("not ready: the newest configuration was refused: {problem}"));
    }
    if let Some(why) = &report.not_acting {
        return Err(format!("not ready: {why}"));
    }
    if let Some(problem) = &report.ledger_problem {
        return Err(format!("not ready: the ledger failed to {problem}"));
    }
    if !report.acting {
        return Err("not ready: this daemon stands by".to_owned());
    }
    Ok("ready: acting".to_owned())
}

fn answer(result: Result<String, String>) -> Response {
    match result {
        Ok(text) => (StatusCode::OK, text + "\n").into_response(),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text + "\n").into_response(),
    }
}
