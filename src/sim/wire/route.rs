//! From an HTTP request to a service and an operation.
//!
//! All services share one port, so the service is read from what only it sends: the target
//! header, else the scope of the signature, else the shape of the request.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;

use super::shape::Service;
use super::uri::Pairs;
use super::{ecs, events, glue, logs, rds, s3, scheduler, sts};

/// A request that has come in whole.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// The door's own number for it.
    pub(super) id: String,
    pub(super) method: Method,
    /// As it was sent: still percent-encoded.
    pub(super) path: String,
    pub(super) query: Pairs,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Incoming {
    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A form body, for the query services.
    pub(super) fn form(&self) -> Pairs {
        Pairs::parse(&String::from_utf8_lossy(&self.body))
    }

    /// Whether an access key is named, by header or in a presigned address.
    pub(super) fn is_signed(&self) -> bool {
        credential(self).is_some_and(|credential| !credential.starts_with('/'))
    }
}

/// `AKID/20260714/eu-west-2/s3/aws4_request`
fn credential(request: &Incoming) -> Option<&str> {
    if let Some(credential) = request.query.get("X-Amz-Credential") {
        return Some(credential);
    }
    let (_, after) = request.header("authorization")?.split_once("Credential=")?;
    after.split([',', ' ']).next().filter(|credential| !credential.is_empty())
}

/// What was asked, as far as the door understands it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) service: Service,
    /// As the client names it.
    pub(super) name: String,
    /// `service:Operation`, when the model has it.
    pub(super) operation: Option<&'static str>,
}

/// Finds the service and the operation.
pub(super) fn route(request: &Incoming) -> Route {
    let service = service(request);
    let name = operation_name(service, request);
    let mut known = operations(service).iter().copied();
    let operation =
        known.find(|operation| operation.split_once(':').is_some_and(|(_, own)| own == name));
    Route { service, name, operation }
}

fn service(request: &Incoming) -> Service {
    by_target(request).or_else(|| by_scope(request)).unwrap_or_else(|| by_shape(request))
}

fn by_target(request: &Incoming) -> Option<Service> {
    let (prefix, _) = request.header("x-amz-target")?.rsplit_once('.')?;
    Service::ALL.into_iter().find(|service| service.target_prefix() == Some(prefix))
}

fn by_scope(request: &Incoming) -> Option<Service> {
    Service::named(credential(request)?.rsplit('/').nth(1)?)
}

fn by_shape(request: &Incoming) -> Service {
    let is_form = request
        .header("content-type")
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    if is_form && request.path == "/" {
        let is_sts = request.form().get("Version") == Some(sts::VERSION);
        return if is_sts { Service::Sts } else { Service::Rds };
    }
    let is_scheduler =
        request.path.starts_with("/schedules") || request.path.starts_with("/schedule-groups");
    if is_scheduler { Service::Scheduler } else { Service::S3 }
}

fn operation_name(service: Service, request: &Incoming) -> String {
    match service {
        Service::S3 => s3::operation_name(request).to_owned(),
        Service::Scheduler => scheduler::operation_name(request).to_owned(),
        Service::Rds | Service::Sts => request.form().get("Action").unwrap_or_default().to_owned(),
        Service::Glue | Service::Ecs | Service::Events | Service::Logs => {
            let target = request.header("x-amz-target").unwrap_or_default();
            target.rsplit_once('.').map_or(target, |(_, name)| name).to_owned()
        }
    }
}

fn operations(service: Service) -> &'static [&'static str] {
    match service {
        Service::S3 => s3::OPERATIONS,
        Service::Glue => glue::OPERATIONS,
        Service::Ecs => ecs::OPERATIONS,
        Service::Events => events::OPERATIONS,
        Service::Logs => logs::OPERATIONS,
        Service::Scheduler => scheduler::OPERATIONS,
        Service::Rds => rds::OPERATIONS,
        Service::Sts => sts::OPERATIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str, headers: &[(&'static str, &str)]) -> Incoming {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Incoming {
            id: "1".to_owned(),
            method,
            path: path.to_owned(),
            query: Pairs::parse(query),
            headers: map,
            body: Bytes::new(),
        }
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260714/eu-west-2/{service}/aws4_request, SignedHeaders=host, Signature=00"
        )
    }

    #[test]
    fn a_target_names_service_and_operation() {
        let target = "AmazonEC2ContainerServiceV20141113.RunTask";
        let route = route(&request(Method::POST, "/", &[("x-amz-target", target)]));
        assert_eq!((route.service, route.operation), (Service::Ecs, Some("ecs:RunTask")));
    }

    #[test]
    fn a_bucket_may_be_called_schedules_when_the_signature_says_s3() {
        let authorization = signed("s3");
        let headers = [("authorization", authorization.as_str())];
        let s3 = route(&request(Method::GET, "/schedules/a", &headers));
        assert_eq!((s3.service, s3.operation), (Service::S3, Some("s3:GetObject")));
        let authorization = signed("scheduler");
        let headers = [("authorization", authorization.as_str())];
        let scheduler = route(&request(Method::GET, "/schedules/a", &headers));
        assert_eq!(scheduler.operation, Some("scheduler:GetSchedule"));
    }

    #[test]
    fn an_access_key_must_be_named() {
        let authorization = signed("s3");
        assert!(request(Method::GET, "/b", &[("authorization", &authorization)]).is_signed());
        assert!(!request(Method::GET, "/b", &[]).is_signed());
        let empty = authorization.replace("AKID", "");
        assert!(!request(Method::GET, "/b", &[("authorization", &empty)]).is_signed());
        assert!(request(Method::GET, "/b/k?X-Amz-Credential=AKID%2F20260714", &[]).is_signed());
    }

    #[test]
    fn an_operation_that_the_model_lacks_is_not_found() {
        let route = route(&request(Method::POST, "/", &[("x-amz-target", "AWSGlue.DeleteTable")]));
        assert_eq!((route.name.as_str(), route.operation), ("DeleteTable", None));
    }
}
