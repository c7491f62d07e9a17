//! The SDK's configuration: one for all services, with every limit named.
//!
//! Making it reads the environment and the profile files, and sends nothing: credentials are
//! fetched with the first request. Retries are off here, because [`super::line`] does them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_types::retry::RetryConfig;
use aws_types::sdk_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_types::service_config::ServiceConfigKey;

use super::http;
use crate::config::settings::AwsSettings;

/// What CloudTrail shows beside each of our calls.
const APP_NAME: &str = "gapmend";

/// Services of a region are milliseconds away.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From the request's end to the answer's first byte.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// One attempt, body included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// One attempt and the fetching of credentials before it. Over all attempts `line` watches.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
/// S3 copies up to 5 GB while the connection is silent.
const COPY_TIMEOUT: Duration = Duration::from_mins(15);

/// The configuration that every service's client is made from.
pub async fn load(settings: &AwsSettings) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http::client())
        .region(Region::new(settings.region.clone()))
        .timeout_config(timeouts())
        .retry_config(RetryConfig::disabled())
        // The default adds trailing checksums, which not every S3 clone understands.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(endpoint_url) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    loader.load().await
}

/// S3's own: buckets go into the path where no DNS name can be made of them.
pub(super) fn for_s3(shared: &SdkConfig) -> aws_sdk_s3::Config {
    aws_sdk_s3::config::Builder::from(shared).force_path_style(has_own_endpoint(shared)).build()
}

/// What a copy within S3, a part over a slow line or the joining of many parts may take.
pub(super) fn for_long_calls() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::default().timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(COPY_TIMEOUT)
            .operation_attempt_timeout(COPY_TIMEOUT)
            .operation_timeout(COPY_TIMEOUT + OPERATION_TIMEOUT)
            .build(),
    )
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// Whether S3 is somewhere else: by our settings, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` or
/// the profile, read the way the SDK reads them.
fn has_own_endpoint(shared: &SdkConfig) -> bool {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_s3 = shared
        .service_config()
        .zip(key.ok())
        .is_some_and(|(config, key)| config.load_config(key).is_some());
    of_s3 || shared.endpoint_url().is_some()
}

#[cfg(test)]
mod tests {
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    #[derive(Debug)]
    struct Environment(&'static [(&'static str, &'static str)]);

    impl LoadServiceConfig for Environment {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            let of_service = format!("{}_{}", key.env(), key.service_id().to_uppercase());
            let (_, value) =
                self.0.iter().find(|(name, _)| *name == of_service || *name == key.env())?;
            Some((*value).to_owned())
        }
    }

    #[test]
    fn buckets_go_into_the_path_wherever_the_endpoint_was_set() {
        let with = |environment| SdkConfig::builder().service_config(Environment(environment));
        assert!(!has_own_endpoint(&with(&[]).build()));
        assert!(!has_own_endpoint(&with(&[("AWS_ENDPOINT_URL_GLUE", "http://a")]).build()));
        assert!(has_own_endpoint(&with(&[("AWS_ENDPOINT_URL_S3", "http://a")]).build()));
        assert!(has_own_endpoint(&with(&[("AWS_ENDPOINT_URL", "http://a")]).build()));
        assert!(has_own_endpoint(&with(&[]).endpoint_url("http://a").build()));
    }
}
