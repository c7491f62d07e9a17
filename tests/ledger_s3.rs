//! The ledger in a bucket of moto, an emulator that others wrote: entries are created once,
//! lost races are read, and a new process continues where the last one ended.
//!
//! It runs where `GAPMEND_MOTO` names the `moto_server` executable (`tests/support/moto.sh`
//! installs one); elsewhere it says so and passes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are outside of #[test] functions")]

#[path = "support/moto.rs"]
mod moto;

use std::sync::Arc;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use gapmend::aws::{AwsPlatform, sdk_config};
use gapmend::config::{AwsSettings, LedgerUrl};
use gapmend::ledger::{Appended, Asked, Ledger, LedgerError, Request};
use gapmend::platform::{Platform, SystemClock, Unobserved};

use crate::moto::{ACCOUNT, Moto, REGION};

async fn platform(moto: &Moto, bucket: &str) -> Arc<dyn Platform> {
    let settings = AwsSettings {
        region: REGION.into(),
        account_id: ACCOUNT.into(),
        max_in_flight: 4,
        endpoint_url: Some(moto.url()),
    };
    let shared = sdk_config(&settings)
        .await
        .into_builder()
        .credentials_provider(Moto::credentials())
        .build();
    let config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build();
    let region = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(REGION))
        .build();
    let create = aws_sdk_s3::Client::from_conf(config).create_bucket().bucket(bucket);
    create.create_bucket_configuration(region).send().await.unwrap();
    Arc::new(AwsPlatform::over(&shared, &settings, Arc::new(SystemClock), Arc::new(Unobserved)))
}

#[tokio::test]
async fn two_processes_share_a_ledger_in_a_bucket() {
    let Some(moto) = Moto::running() else { return };
    let platform = platform(&moto, "ledger").await;
    let url = LedgerUrl::S3 { bucket: "ledger".to_owned(), prefix: "a/b".to_owned() };
    let open = |writer: &'static str| {
        Ledger::open_url(&url, Arc::clone(&platform), Arc::new(SystemClock), writer)
    };
    let mut daemon = open("daemon").await.unwrap();
    let mut person = open("person").await.unwrap();
    assert_eq!(daemon.act("run").await.unwrap(), 1);
    let asked = Asked::schedule();
    // The person has not read the daemon's entry, loses the race for it, and repeats.
    assert_eq!(person.append_request("d", Request::Scan, asked.clone()).await.unwrap(), 2);
    assert_eq!(person.someone_else_acts().await.unwrap().unwrap().writer, "daemon");
    assert!(!daemon.still_mine().await.unwrap());
    person.append_request("d", Request::Cancel, asked).await.unwrap();
    assert_eq!(daemon.append(Vec::new()).await.unwrap(), Appended::Behind);
    assert_eq!(person.act("heal").await.unwrap(), 2);
    let refused = daemon.append(Vec::new()).await.unwrap_err();
    assert!(matches!(refused, LedgerError::StandBy { ours: 1, newest: 2, .. }), "{refused}");
    person.leave().await.unwrap();
    let again = open("again").await.unwrap();
    assert_eq!(again.state(), person.state());
    assert_eq!(again.state().seq, 5);
}
