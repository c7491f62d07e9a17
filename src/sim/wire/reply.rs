//! What the door sends back: a [`Reply`], or a [`Refusal`] that every protocol writes in its own shape.
//!
//! Nothing here knows a service; the shapes of errors are in `shape.rs`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use crate::sim::SimError;

/// An answer, before the headers that every answer has.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: u16,
    /// Lower-case names, in the order of writing.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body, whole: nothing here is ever large.
    pub(super) body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An answer with a body of a type.
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::empty(status).header("content-type", content_type).with_body(body)
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same as an HTTP response. A header that HTTP cannot carry is left out.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A service's own error: a code, a status and a message.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The service's code, e.g. `NoSuchKey`.
    pub(super) code: String,
    /// The service's message.
    pub(super) message: String,
    /// Members of the error beyond code and message, e.g. ECS's `resourceIds`.
    pub(super) members: Vec<(&'static str, Value)>,
}

impl Refusal {
    /// A refusal.
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), members: Vec::new() }
    }

    /// A refusal with status 400.
    pub(super) fn bad(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }
}

impl From<SimError> for Refusal {
    fn from(error: SimError) -> Self {
        let mut refusal = Self::new(error.status, error.code, error.message);
        // ECS's conflict names the tasks that exist.
        if !error.resource_ids.is_empty() {
            refusal.members.push(("resourceIds", error.resource_ids.into()));
        }
        refusal
    }
}
