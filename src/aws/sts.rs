//! STS: who we are, and what time AWS thinks it is.

use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use chrono::{DateTime, Utc};

use super::error::Failure;
use super::line::Line;
use crate::platform::{Answer, Caller};

/// `sts:GetCallerIdentity`
pub(super) const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

/// Our own identity.
pub(super) struct Identity {
    client: aws_sdk_sts::Client,
    line: Arc<Line>,
}

impl Identity {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_sts::Client::new(shared), line }
    }

    /// Account, ARN, and AWS's `Date` minus our clock.
    pub(super) async fn caller(&self) -> Answer<Caller> {
        let date = DateHeader::default();
        let answer = self
            .line
            .read(GET_CALLER_IDENTITY, || {
                self.client.get_caller_identity().customize().interceptor(date.clone()).send()
            })
            .await?;
        let now = self.line.clock().now();
        let (Some(account), Some(arn)) = (answer.account, answer.arn) else {
            return Err(
                Failure::nonsense("an identity without account or ARN").of(GET_CALLER_IDENTITY)
            );
        };
        Ok(Caller { account, arn, clock_skew: date.seen().map(|date| date - now) })
    }
}

/// Remembers the `Date` of the last answer.
#[derive(Clone, Debug, Default)]
struct DateHeader(Arc<Mutex<Option<DateTime<Utc>>>>);

impl DateHeader {
    fn seen(&self) -> Option<DateTime<Utc>> {
        self.0.lock().ok().and_then(|date| *date)
    }
}

#[dyn_dispatch_hint]
impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.response().headers().get("date");
        let date = header.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        if let (Some(date), Ok(mut seen)) = (date, self.0.lock()) {
            *seen = Some(date.to_utc());
        }
        Ok(())
    }
}
