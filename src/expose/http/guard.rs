//! What holds for every request and every answer.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Bytes that a request may say its body has; none is read, but some clients send an empty one.
const BODY_BYTES: u64 = 1024;

/// On every answer. The page needs its own style sheet and nothing else.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    // One request a connection: see `bounded`.
    (header::CONNECTION, "close"),
];

/// Refuses what is not reading, and sets the headers.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(request: &Request) -> Option<Response> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let allow = [(header::ALLOW, "GET, HEAD")];
        let text = "gapmend's HTTP is read-only; changes go through its command line\n";
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response());
    }
    let length =
        request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (length > BODY_BYTES)
        .then(|| (StatusCode::PAYLOAD_TOO_LARGE, "no request here needs a body\n").into_response())
}
