//! `/api/v1`: the same JSON as the commands print.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::json;

use super::HttpState;
use crate::domain::PassOutcome;
use crate::expose::json::{dataset_json, history_json, status_json};

/// Runs that are given when the request does not say how many.
const RUNS_BY_DEFAULT: usize = 100;

/// Runs that are given at most.
const RUNS_AT_MOST: usize = 1000;

/// Which runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    dataset: Option<String>,
    date: Option<NaiveDate>,
    limit: Option<usize>,
}

/// How things stand.
pub(super) async fn status(State(state): State<HttpState>) -> Response {
    Json(status_json(&state.report())).into_response()
}

/// Every date of a dataset.
pub(super) async fn dates(State(state): State<HttpState>, Path(name): Path<String>) -> Response {
    let report = state.report();
    let Some(dataset) = report.datasets.get(&name) else {
        return refuse(StatusCode::NOT_FOUND, "no dataset of that name is configured");
    };
    let Some(census) = &dataset.census else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the dataset was not looked at yet");
    };
    let outcome =
        dataset.last_pass.as_ref().map_or(PassOutcome::Waiting, |(_, outcome, _)| *outcome);
    Json(dataset_json(&name, census, outcome)).into_response()
}

/// Attempts, the newest first.
pub(super) async fn runs(
    State(state): State<HttpState>,
    query: Result<Query<RunsQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        let text = "the query may have dataset, date (like 2022-06-01) and limit (a number)";
        return refuse(StatusCode::BAD_REQUEST, text);
    };
    let report = state.report();
    let wanted = report.ledger.runs.iter().rev().filter(|run| {
        query.dataset.as_ref().is_none_or(|name| run.dataset == *name)
            && query.date.is_none_or(|date| run.date == date)
    });
    let limit = query.limit.unwrap_or(RUNS_BY_DEFAULT).min(RUNS_AT_MOST);
    Json(history_json(wanted.take(limit))).into_response()
}

/// Whatever else was asked for.
pub(super) async fn unknown() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no such page")
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
