//! An open door and clients for it.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gapmend::sim::wire::{WireClock, WireOptions, WireServer, serve};
use gapmend::sim::{Sim, Timing, WorldBuilder};

/// A day in July on which nothing is due.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-07-20T12:00:00Z".parse().unwrap()
}

/// A day of that July.
pub(crate) fn july(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 7, day).unwrap()
}

/// A small world at noon: thirty days, and no nightly to come in between.
pub(crate) fn quiet() -> WorldBuilder {
    WorldBuilder::at(noon()).no_supplier().timing(Timing::realistic())
}

/// The door, the world behind it and the way to it.
pub(crate) struct Door {
    pub(crate) sim: Sim,
    pub(crate) server: WireServer,
    pub(crate) config: SdkConfig,
}

impl Door {
    /// Opens a door that never moves the world by itself.
    pub(crate) async fn open(world: WorldBuilder) -> Self {
        Self::with(world.build(), WireClock::Manual).await
    }

    /// Opens a door with a clock.
    pub(crate) async fn with(sim: Sim, clock: WireClock) -> Self {
        let options = WireOptions { clock, ..WireOptions::default() };
        let server = serve(sim.clone(), options).await.unwrap();
        let config = config(&server.url());
        Self { sim, server, config }
    }

    /// Lets the world's time pass.
    pub(crate) fn pass(&self, minutes: i64) {
        let mut world = self.sim.lock();
        let then = world.now() + TimeDelta::minutes(minutes);
        world.advance_to(then);
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        s3(&self.config)
    }

    pub(crate) fn glue(&self) -> aws_sdk_glue::Client {
        aws_sdk_glue::Client::new(&self.config)
    }

    pub(crate) fn ecs(&self) -> aws_sdk_ecs::Client {
        aws_sdk_ecs::Client::new(&self.config)
    }

    pub(crate) fn rds(&self) -> aws_sdk_rds::Client {
        aws_sdk_rds::Client::new(&self.config)
    }

    pub(crate) fn events(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    pub(crate) fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    pub(crate) fn scheduler(&self) -> aws_sdk_scheduler::Client {
        aws_sdk_scheduler::Client::new(&self.config)
    }

    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }
}

/// Clients' settings for an endpoint: no retries, so that every call is seen as it is.
pub(crate) fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-2"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(gapmend::aws::http_client())
        .build()
}

pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The endpoint to compare with, when one is named.
#[expect(clippy::disallowed_methods, reason = "a switch of the test suite, not of gapmend")]
pub(crate) fn other_endpoint() -> Option<String> {
    std::env::var("SIM_WIRE_ENDPOINT").ok().filter(|url| !url.is_empty())
}

/// A name that no other test has, nor an earlier run against the same endpoint.
pub(crate) fn unique(stem: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{number}", std::process::id())
}

/// The service's own code of a refusal.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, E>,
) -> String {
    let error = result.unwrap_err();
    error.code().map_or_else(|| format!("no code in {error:?}"), str::to_owned)
}
