//! A page of partitions, read for what is needed of it.
//!
//! The SDK makes two dozen strings and maps of each of a page's thousand partitions, to which
//! nobody listens. So its reader is changed for this one, for answers that are no error: values
//! and places are read, and the rest is passed over.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_glue::operation::get_partitions::GetPartitionsOutput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, Error, Output,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::config_bag::ConfigBag;
use serde::Deserialize;

use crate::platform::Partition;

/// Takes the list out of the answer of one request; the token stays in the SDK's.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionPage(Arc<Mutex<Option<Vec<Partition>>>>);

impl PartitionPage {
    /// The list of the last answer; `None` when it had none.
    pub(super) fn take(&self) -> Option<Vec<Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, list: Option<Vec<Partition>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }
}

#[dyn_dispatch_hint]
impl Intercept for PartitionPage {
    fn name(&self) -> &'static str {
        "PartitionPage"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            let reader = SharedResponseDeserializer::new(self.clone());
            config.interceptor_state().store_put(reader);
        }
        Ok(())
    }
}

impl DeserializeResponse for PartitionPage {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        let body = response.body().bytes().unwrap_or_default();
        let page: Page = serde_json::from_slice(body)
            .map_err(|error| OrchestratorError::response(Box::new(error)))?;
        let list = page.partitions.map(|rows| rows.into_iter().map(Partition::from).collect());
        self.put(list);
        let output = GetPartitionsOutput::builder().set_next_token(page.next_token).build();
        Ok(Output::erase(output))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    partitions: Option<Vec<Row>>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    values: Vec<String>,
    storage_descriptor: Option<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    location: Option<String>,
}

impl From<Row> for Partition {
    fn from(row: Row) -> Self {
        let location = row.storage_descriptor.and_then(|place| place.location);
        Self { values: row.values, location }
    }
}
