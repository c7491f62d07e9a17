//! The services, and the shape that each gives to an error.

use axum::http::Method;
use serde_json::{Map, Value};

use super::json::JSON_1_1;
use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::xml::Xml;
use super::{rds, sts};

/// A service that the door speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    Glue,
    Ecs,
    Events,
    Logs,
    Scheduler,
    Rds,
    Sts,
}

impl Service {
    pub(super) const ALL: [Self; 8] = [
        Self::S3,
        Self::Glue,
        Self::Ecs,
        Self::Events,
        Self::Logs,
        Self::Scheduler,
        Self::Rds,
        Self::Sts,
    ];

    /// As it is called in the scope of a signature, and in the log of calls.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Glue => "glue",
            Self::Ecs => "ecs",
            Self::Events => "events",
            Self::Logs => "logs",
            Self::Scheduler => "scheduler",
            Self::Rds => "rds",
            Self::Sts => "sts",
        }
    }

    /// What stands before the dot in `X-Amz-Target`, for the JSON 1.1 services.
    pub(super) fn target_prefix(self) -> Option<&'static str> {
        match self {
            Self::Glue => Some("AWSGlue"),
            Self::Ecs => Some("AmazonEC2ContainerServiceV20141113"),
            Self::Events => Some("AWSEvents"),
            Self::Logs => Some("Logs_20140328"),
            Self::S3 | Self::Scheduler | Self::Rds | Self::Sts => None,
        }
    }

    /// The service whose scope or target this is.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// Too many calls; nothing was done.
    pub(super) fn throttled(self) -> Refusal {
        match self {
            Self::S3 => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
            Self::Scheduler => Refusal::new(429, "ThrottlingException", "Rate exceeded"),
            Self::Rds | Self::Sts => Refusal::bad("Throttling", "Rate exceeded"),
            Self::Glue | Self::Ecs | Self::Events | Self::Logs => {
                Refusal::bad("ThrottlingException", "Rate exceeded")
            }
        }
    }

    /// Not permitted.
    pub(super) fn denied(self, operation: &str) -> Refusal {
        let message = format!("User is not authorized to perform: {}:{operation}", self.name());
        match self {
            Self::S3 => Refusal::new(403, "AccessDenied", "Access Denied"),
            Self::Rds | Self::Sts => Refusal::new(403, "AccessDenied", message),
            Self::Scheduler => Refusal::new(403, "AccessDeniedException", message),
            Self::Glue | Self::Ecs | Self::Events | Self::Logs => {
                Refusal::bad("AccessDeniedException", message)
            }
        }
    }

    /// Two changes of one thing met; ours was not made.
    pub(super) fn concurrent(self) -> Refusal {
        let message = "There is concurrent modification of the resource.";
        match self {
            Self::S3 => Refusal::new(409, "ConditionalRequestConflict", message),
            Self::Scheduler => Refusal::new(409, "ConflictException", message),
            Self::Glue | Self::Events => Refusal::bad("ConcurrentModificationException", message),
            Self::Ecs => Refusal::bad("ConflictException", message),
            Self::Logs => Refusal::bad("OperationAbortedException", message),
            Self::Rds | Self::Sts => Refusal::bad("OperationAborted", message),
        }
    }

    /// The service failed; whether it acted is unknown.
    pub(super) fn failed(self) -> Refusal {
        let message = "We encountered an internal error. Please try again.";
        let code = match self {
            Self::S3 => "InternalError",
            Self::Glue => "InternalServiceException",
            Self::Ecs => "ServerException",
            Self::Events => "InternalException",
            Self::Logs => "ServiceUnavailableException",
            Self::Scheduler => "InternalServerException",
            Self::Rds | Self::Sts => "InternalFailure",
        };
        Refusal::new(500, code, message)
    }

    /// The access key is missing.
    pub(super) fn unsigned(self) -> Refusal {
        match self {
            Self::S3 => Refusal::new(403, "AccessDenied", "Access Denied"),
            Self::Rds | Self::Sts => Refusal::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            Self::Scheduler => Refusal::new(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            Self::Glue | Self::Ecs | Self::Events | Self::Logs => {
                Refusal::bad("MissingAuthenticationTokenException", "Missing Authentication Token")
            }
        }
    }

    /// An operation that AWS has, but this model does not.
    pub(super) fn unknown_operation(self, operation: &str) -> Refusal {
        let message = format!("{}:{operation} is not part of the simulated pipeline", self.name());
        match self {
            Self::S3 => Refusal::new(501, "NotImplemented", message),
            Self::Rds | Self::Sts => Refusal::bad("InvalidAction", message),
            Self::Glue | Self::Ecs | Self::Events | Self::Logs | Self::Scheduler => {
                Refusal::bad("UnknownOperationException", message)
            }
        }
    }

    /// The header in which its answers carry the request's id.
    pub(super) fn request_id_header(self) -> &'static str {
        match self {
            Self::S3 => "x-amz-request-id",
            Self::Glue
            | Self::Ecs
            | Self::Events
            | Self::Logs
            | Self::Scheduler
            | Self::Rds
            | Self::Sts => "x-amzn-requestid",
        }
    }

    /// A refusal as this service writes it.
    pub(super) fn write(self, refusal: &Refusal, request: &Incoming) -> Reply {
        match self {
            Self::S3 => s3_error(refusal, request),
            Self::Rds => query_error(refusal, request, rds::NAMESPACE),
            Self::Sts => query_error(refusal, request, sts::NAMESPACE),
            // Glue and Scheduler write the member with a capital, the others without.
            Self::Glue => json_error(refusal, JSON_1_1, "Message"),
            Self::Scheduler => json_error(refusal, "application/json", "Message"),
            Self::Ecs | Self::Events | Self::Logs => json_error(refusal, JSON_1_1, "message"),
        }
    }
}

fn s3_error(refusal: &Refusal, request: &Incoming) -> Reply {
    if request.method == Method::HEAD || refusal.status == 304 {
        return Reply::empty(refusal.status);
    }
    let body = Xml::document("Error", "", |xml| {
        xml.text("Code", &refusal.code);
        xml.text("Message", &refusal.message);
        for (name, value) in &refusal.members {
            xml.text(name, value.as_str().unwrap_or_default());
        }
        xml.text("Resource", &request.path);
        xml.text("RequestId", &request.id);
    });
    Reply::new(refusal.status, "application/xml", body)
}

fn query_error(refusal: &Refusal, request: &Incoming, namespace: &str) -> Reply {
    let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let body = Xml::document("ErrorResponse", namespace, |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", fault);
            xml.text("Code", &refusal.code);
            xml.text("Message", &refusal.message);
        });
        xml.text("RequestId", &request.id);
    });
    Reply::new(refusal.status, "text/xml", body)
}

fn json_error(refusal: &Refusal, content_type: &str, message_member: &str) -> Reply {
    let mut body = Map::new();
    body.insert("__type".to_owned(), Value::from(refusal.code.as_str()));
    body.insert(message_member.to_owned(), Value::from(refusal.message.as_str()));
    for (name, value) in &refusal.members {
        body.insert((*name).to_owned(), value.clone());
    }
    Reply::new(refusal.status, content_type, Value::from(body).to_string())
        .header("x-amzn-errortype", refusal.code.as_str())
}
