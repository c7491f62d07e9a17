//! `/api/v1`: the same JSON as the commands print.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HttpState;
use crate::domain::PassOutcome;
use crate::expose::json::{dataset_json, explain_json, history_json, status_json};

/// Runs that are given when the request does not say how many.
const RUNS_BY_DEFAULT: usize = 100;

/// Runs that are given at most.
const RUNS_AT_MOST: usize = 1000;

/// Dates that are given at most.
const DATES_AT_MOST: usize = 4000;

/// Which dates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatesQuery {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

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

/// Every date of a dataset, or those of a range.
pub(super) async fn dates(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    query: Result<Query<DatesQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        let text = "the query may have from and to (dates like 2022-06-01)";
        return refuse(StatusCode::BAD_REQUEST, text);
    };
    let report = state.report();
    let Some(dataset) = report.datasets.get(&name) else {
        return refuse(StatusCode::NOT_FOUND, "no dataset of that name is configured");
    };
    let Some(census) = &dataset.census else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the dataset was not looked at yet");
    };
    let outcome =
        dataset.last_pass.as_ref().map_or(PassOutcome::Waiting, |(_, outcome, _)| *outcome);
    let mut document = dataset_json(&name, census, outcome);
    narrow(&mut document, &query);
    Json(document).into_response()
}

/// Leaves the dates of the range, the newest of them when they are too many.
fn narrow(document: &mut Value, query: &DatesQuery) {
    let Some(dates) = document.get_mut("dates").and_then(Value::as_array_mut) else { return };
    let date_of = |date: &Value| date["date"].as_str().and_then(|text| text.parse().ok());
    dates.retain(|date| {
        date_of(date).is_none_or(|date: NaiveDate| {
            query.from.is_none_or(|from| from <= date) && query.to.is_none_or(|to| date <= to)
        })
    });
    let left_out = dates.len().saturating_sub(DATES_AT_MOST);
    dates.drain(..left_out);
    document["dates_left_out"] = left_out.into();
}

/// Attempts, the newest first.
pub(super) async fn runs(
    State(state): State<HttpState>,
    query: Result<Query<RunsQuery>, QueryRejection>,
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

/// The evidence for one date, its place in the queue and its attempts.
pub(super) async fn date(
    State(state): State<HttpState>,
    Path((name, date)): Path<(String, String)>,
) -> Response {
    let date = date.parse::<NaiveDate>().ok();
    let found = date.and_then(|date| explain_json(&name, date, &state.report()));
    found.map_or_else(not_looked_at, |found| Json(found).into_response())
}

/// A date that no look has seen, or that is none.
pub(super) fn not_looked_at() -> Response {
    let text = "no such date of such a dataset was looked at; dates are like 2022-06-01";
    refuse(StatusCode::NOT_FOUND, text)
}

/// Whatever else was asked for.
pub(super) async fn unknown() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no such page")
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
