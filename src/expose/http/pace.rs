//! So many requests in a second, over all clients.
//!
//! Pages and documents are made anew for every request. A client in a loop must not take the
//! processor from the daemon, so it is told to come back; metrics and health always answer.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

/// Requests in a second, in the long run.
const REQUESTS_PER_SECOND: f64 = 20.0;
/// Requests that may come at once: some browser windows that wake up together.
const REQUESTS_AT_ONCE: f64 = 60.0;
/// What supervisors and alerts depend on.
const ALWAYS: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// A bucket that fills with time.
pub(super) struct Pace {
    bucket: Mutex<(f64, Instant)>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { bucket: Mutex::new((REQUESTS_AT_ONCE, Instant::now())) }
    }

    /// Whether one more request may be answered now.
    fn take(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *bucket;
        let gained = now.saturating_duration_since(at).as_secs_f64() * REQUESTS_PER_SECOND;
        let left = (left + gained).min(REQUESTS_AT_ONCE);
        let may = left >= 1.0;
        *bucket = (if may { left - 1.0 } else { left }, now);
        may
    }
}

/// Answers, or asks to come back in a second.
pub(super) async fn keep(State(pace): State<Arc<Pace>>, request: Request, next: Next) -> Response {
    if ALWAYS.contains(&request.uri().path()) || pace.take(Instant::now()) {
        return next.run(request).await;
    }
    let text = "too many requests; come back in a second\n";
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_burst_is_answered_and_then_so_many_a_second() {
        let (pace, begin) = (Pace::new(), Instant::now());
        let answered = |at| (0..100).filter(|_| pace.take(at)).count();
        assert_eq!(answered(begin + Duration::from_secs(9)), 60, "no more than a burst is saved");
        assert_eq!(answered(begin + Duration::from_secs(10)), 20);
    }
}
