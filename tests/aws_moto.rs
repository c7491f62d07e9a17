//! The AWS adapters against moto, an emulator that others wrote: a second opinion on what our
//! own prepared answers and our own model say.
//!
//! Only what moto does as AWS does it is checked here. It runs where `GAPMEND_MOTO` names the
//! `moto_server` executable (`tests/support/moto.sh` installs one). Without it these tests say
//! that they were skipped; where `CI` is set they fail instead, so that nothing is skipped there
//! unseen.

#[path = "support/moto.rs"]
mod moto;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types as events;
use aws_sdk_glue::types as glue;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;
use chrono::{Duration, TimeZone, Utc};
use futures_util::StreamExt;
use gapmend::aws::{AwsPlatform, sdk_config};
use gapmend::config::settings::AwsSettings;
use gapmend::domain::{ErrorClass, ExportStatus, Network, RuleState, RuleTarget};
use gapmend::platform::{
    Answer, Clock, Created, DeadMan, Listing, ObjectRange, PartitionQuery, Platform, SystemClock,
    TaskFamily, Unobserved,
};

use crate::moto::{ACCOUNT, Moto, REGION};

/// The platform in front of moto, and the SDK's configuration to make fixtures with.
struct Bench {
    aws: AwsPlatform,
    shared: SdkConfig,
    _moto: Arc<Moto>,
}

impl Bench {
    /// `None` where there is no moto and none is demanded.
    async fn ready() -> Option<Self> {
        let moto = Moto::running()?;
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
        let aws =
            AwsPlatform::over(&shared, &settings, Arc::new(SystemClock), Arc::new(Unobserved));
        Some(Self { aws, shared, _moto: moto })
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.shared).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    async fn bucket(&self, name: &str) {
        let region = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(REGION))
            .build();
        let request = self.s3().create_bucket().bucket(name).create_bucket_configuration(region);
        request.send().await.expect("a new bucket");
    }
}

fn class_of<T: std::fmt::Debug>(answer: Answer<T>) -> ErrorClass {
    answer.expect_err("a refusal").class
}

#[tokio::test]
async fn our_identity_comes_with_the_clocks_difference() {
    let Some(bench) = Bench::ready().await else { return };
    let caller = bench.aws.caller().await.unwrap();
    assert_eq!(caller.account, ACCOUNT);
    assert!(caller.arn.starts_with("arn:aws:"), "{}", caller.arn);
    assert!(caller.clock_skew.is_some());
}

#[tokio::test]
async fn a_listing_goes_through_all_pages_in_the_order_of_keys() {
    let Some(bench) = Bench::ready().await else { return };
    bench.bucket("listing").await;
    let s3 = bench.s3();
    let keys: Vec<String> = (0..1_005).map(|n| format!("parking/dump_{n:04}.zip")).collect();
    futures_util::stream::iter(&keys)
        .for_each_concurrent(8, |key| {
            let put = s3.put_object().bucket("listing").key(key).body(Bytes::from("zip").into());
            async { drop(put.send().await.unwrap()) }
        })
        .await;
    s3.put_object().bucket("listing").key("other/file").send().await.unwrap();

    let (mut seen, mut pages) = (Vec::new(), 0);
    let listing =
        Listing { bucket: "listing".into(), prefix: "parking/".into(), ..Listing::default() };
    bench
        .aws
        .list_objects(&listing, &mut |page| {
            pages += 1;
            seen.extend(page);
        })
        .await
        .unwrap();
    assert_eq!((seen.len(), pages), (1_005, 2));
    assert!(seen.iter().map(|object| &object.key).eq(keys.iter()));
    assert_eq!((seen[0].size, seen[0].etag.as_str()), (3, "adcdbd79a8d84175c229b192aadc02f2"));

    let some = Listing { start_after: Some(keys[9].clone()), at_most: Some(2), ..listing };
    let mut seen = Vec::new();
    bench.aws.list_objects(&some, &mut |page| seen.extend(page)).await.unwrap();
    assert!(seen.iter().map(|object| &object.key).eq(&keys[10..12]));
}

#[tokio::test]
async fn objects_are_created_once_read_in_parts_and_copied() {
    let Some(bench) = Bench::ready().await else { return };
    bench.bucket("objects").await;
    let aws = &bench.aws;
    let body = |text: &'static str| Bytes::from_static(text.as_bytes());
    assert_eq!(aws.get_object("objects", "log/1.json").await.unwrap(), None);
    let first = aws.create_object("objects", "log/1.json", body("first")).await;
    assert_eq!(first.unwrap(), Created::Created);
    let second = aws.create_object("objects", "log/1.json", body("second")).await;
    assert_eq!(second.unwrap(), Created::Exists);
    assert_eq!(aws.get_object("objects", "log/1.json").await.unwrap(), Some(body("first")));

    let mut found = Vec::new();
    let all = Listing { bucket: "objects".into(), ..Listing::default() };
    aws.list_objects(&all, &mut |page| found.extend(page)).await.unwrap();
    let part =
        ObjectRange { key: found[0].key.clone(), etag: found[0].etag.clone(), from: 1, length: 3 };
    assert_eq!(aws.read_range("objects", &part).await.unwrap(), body("irs"));
    aws.put_object("objects", "log/1.json", body("changed")).await.unwrap();
    assert_eq!(class_of(aws.read_range("objects", &part).await), ErrorClass::Conflict);
    let absent = ObjectRange { key: "absent".into(), ..part };
    assert_eq!(class_of(aws.read_range("objects", &absent).await), ErrorClass::NotFound);

    let copied = aws.copy_object("objects", "log/1.json", "log/a copy+1.json").await;
    assert_eq!(copied.unwrap(), Created::Created);
    let copy = aws.get_object("objects", "log/a copy+1.json").await.unwrap();
    assert_eq!(copy, Some(body("changed")));
    assert_eq!(class_of(aws.get_object("nowhere", "key").await), ErrorClass::NotFound);
    let nowhere = Listing { bucket: "nowhere".into(), ..Listing::default() };
    let answer = aws.list_objects(&nowhere, &mut |_| ()).await;
    assert_eq!(class_of(answer), ErrorClass::NotFound);
}

fn storage(location: &str) -> glue::StorageDescriptor {
    glue::StorageDescriptor::builder().location(location).build()
}

#[tokio::test]
async fn partitions_come_by_expression_and_beyond_a_thousand() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_glue::Client::new(&bench.shared);
    let database = glue::DatabaseInput::builder().name("raw").build().unwrap();
    client.create_database().database_input(database).send().await.unwrap();
    let key = glue::Column::builder().name("import_date").r#type("string").build().unwrap();
    let table = glue::TableInput::builder()
        .name("liberator_pcn")
        .partition_keys(key)
        .storage_descriptor(storage("s3://raw/pcn/"))
        .build()
        .unwrap();
    client.create_table().database_name("raw").table_input(table).send().await.unwrap();
    let first = Utc.with_ymd_and_hms(2022, 1, 1, 0, 0, 0).unwrap().date_naive();
    let dates: Vec<String> =
        first.iter_days().take(1_200).map(|day| day.format("%Y%m%d").to_string()).collect();
    for hundred in dates.chunks(100) {
        let inputs = hundred.iter().map(|date| {
            let location = format!("s3://raw/pcn/import_date={date}");
            glue::PartitionInput::builder()
                .values(date)
                .storage_descriptor(storage(&location))
                .build()
        });
        let request = client.batch_create_partition().database_name("raw");
        let request = request.table_name("liberator_pcn");
        request.set_partition_input_list(Some(inputs.collect())).send().await.unwrap();
    }

    let tables = bench.aws.tables("raw").await.unwrap();
    assert_eq!(tables[0].name, "liberator_pcn");
    assert_eq!(tables[0].partition_keys, [("import_date".to_owned(), "string".to_owned())]);
    assert_eq!(tables[0].location.as_deref(), Some("s3://raw/pcn/"));

    let query = |expression: Option<&str>, at_most| PartitionQuery {
        database: "raw".into(),
        table: "liberator_pcn".into(),
        expression: expression.map(str::to_owned),
        at_most,
    };
    let count = async |query: PartitionQuery| {
        let mut seen = Vec::new();
        bench.aws.partitions(&query, &mut |page| seen.extend(page)).await.map(|()| seen)
    };
    assert_eq!(count(query(None, None)).await.unwrap().len(), 1_200);
    assert_eq!(count(query(None, Some(7))).await.unwrap().len(), 7);
    let expression = "import_date >= '20220105' AND import_date <= '20220106'";
    let some = count(query(Some(expression), None)).await.unwrap();
    assert_eq!(some.len(), 2);
    assert!(some.iter().any(|partition| {
        partition.values == ["20220105"]
            && partition.location.as_deref() == Some("s3://raw/pcn/import_date=20220105")
    }));

    assert_eq!(class_of(bench.aws.tables("absent").await), ErrorClass::NotFound);
    let absent = PartitionQuery { table: "absent".into(), ..query(None, None) };
    assert_eq!(class_of(count(absent).await), ErrorClass::NotFound);
}

#[tokio::test]
async fn a_workflow_run_is_started_with_its_date_and_found_again() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_glue::Client::new(&bench.shared);
    client.create_workflow().name("backdated").send().await.unwrap();
    let properties = [("import_date".to_owned(), "20220601".to_owned())].into();
    let id = bench.aws.start_workflow_run("backdated", &properties).await.unwrap();
    let run = bench.aws.workflow_run("backdated", &id).await.unwrap();
    assert_eq!((run.id, run.properties), (id, properties));
    assert!(run.nodes.is_empty());

    let absent = bench.aws.start_workflow_run("absent", &BTreeMap::new()).await;
    assert_eq!(class_of(absent), ErrorClass::NotFound);
    assert_eq!(class_of(bench.aws.workflow_run("absent", "wr_1").await), ErrorClass::NotFound);
}

#[tokio::test]
async fn a_rule_shows_its_ecs_target_and_can_be_switched_twice() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_eventbridge::Client::new(&bench.shared);
    let pattern = r#"{"source":["aws.s3"]}"#;
    client.put_rule().name("live").event_pattern(pattern).send().await.unwrap();
    let cluster = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/workers");
    let definition = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/loader:7");
    let vpc = events::AwsVpcConfiguration::builder()
        .set_subnets(Some(vec!["subnet-a".into(), "subnet-b".into()]))
        .security_groups("sg-1")
        .assign_public_ip(events::AssignPublicIp::Disabled)
        .build()
        .unwrap();
    let ecs = events::EcsParameters::builder()
        .task_definition_arn(&definition)
        .task_count(1)
        .launch_type(events::LaunchType::Fargate)
        .platform_version("1.4.0")
        .network_configuration(
            events::NetworkConfiguration::builder().awsvpc_configuration(vpc).build(),
        )
        .build()
        .unwrap();
    let target = events::Target::builder().id("t-1").arn(&cluster).ecs_parameters(ecs);
    let queue = events::Target::builder().id("t-2").arn("arn:aws:sqs:::q");
    let request = client.put_targets().rule("live").targets(target.build().unwrap());
    request.targets(queue.build().unwrap()).send().await.unwrap();

    let rule = bench.aws.rule("live", "default").await.unwrap();
    assert_eq!((rule.state, rule.managed_by), (RuleState::Enabled, None));
    let network = Network {
        subnets: vec!["subnet-a".into(), "subnet-b".into()],
        security_groups: vec!["sg-1".into()],
        assign_public_ip: false,
    };
    let expected = RuleTarget {
        id: "t-1".into(),
        cluster_arn: cluster,
        task_definition: Some(definition),
        platform_version: Some("1.4.0".into()),
        task_count: Some(1),
        network: Some(network),
        not_copied: Vec::new(),
    };
    assert_eq!(rule.targets, [expected]);

    for _ in 0..2 {
        bench.aws.disable_rule("live", "default").await.unwrap();
    }
    assert_eq!(bench.aws.rule("live", "default").await.unwrap().state, RuleState::Disabled);
    for _ in 0..2 {
        bench.aws.enable_rule("live", "default").await.unwrap();
    }
    assert_eq!(bench.aws.rule("live", "default").await.unwrap().state, RuleState::Enabled);
    assert_eq!(class_of(bench.aws.rule("absent", "default").await), ErrorClass::NotFound);
    let enabled = bench.aws.enable_rule("absent", "default").await;
    assert_eq!(class_of(enabled), ErrorClass::NotFound);
}

#[tokio::test]
async fn a_dead_mans_switch_is_armed_read_back_and_disarmed() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_scheduler::Client::new(&bench.shared);
    client.create_schedule_group().name("gapmend").send().await.unwrap();
    let fires_at = SystemClock.now() + Duration::hours(2);
    let switch = DeadMan {
        name: "gapmend-liberator-42".into(),
        group: "gapmend".into(),
        rule: "live".into(),
        event_bus: "default".into(),
        fires_at: Utc.timestamp_opt(fires_at.timestamp(), 0).unwrap(),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/dead-man"),
    };
    let read = || bench.aws.dead_man(&switch.group, &switch.name);
    assert_eq!(read().await.unwrap(), None);
    bench.aws.arm_dead_man(&switch).await.unwrap();
    assert_eq!(read().await.unwrap().as_ref(), Some(&switch));
    assert_eq!(class_of(bench.aws.arm_dead_man(&switch).await), ErrorClass::Conflict);
    for _ in 0..2 {
        bench.aws.disarm_dead_man(&switch.group, &switch.name).await.unwrap();
    }
    assert_eq!(read().await.unwrap(), None);
}

#[tokio::test]
async fn snapshots_and_their_exports_are_found_and_absent_ones_are_none() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_rds::Client::new(&bench.shared);
    let instance = client.create_db_instance().db_instance_identifier("loader");
    let instance = instance.db_instance_class("db.t3.small").engine("mysql");
    instance.allocated_storage(15).send().await.unwrap();
    let id = "sql-to-parquet-2022-06-01-backdated";
    let snapshot = client.create_db_snapshot().db_instance_identifier("loader");
    snapshot.db_snapshot_identifier(id).send().await.unwrap();

    let found = bench.aws.snapshot(id).await.unwrap().unwrap();
    assert!(found.is_available(), "{found:?}");
    assert!(bench.aws.snapshots("loader").await.unwrap().contains(&found));
    assert_eq!(bench.aws.snapshot("absent").await.unwrap(), None);
    assert_eq!(bench.aws.export(id).await.unwrap(), None);

    let export = client.start_export_task().export_task_identifier(id).source_arn(&found.arn);
    let export = export.s3_bucket_name("exports").kms_key_id("key").iam_role_arn("arn:aws:iam::r");
    export.send().await.unwrap();
    let export = bench.aws.export(id).await.unwrap().unwrap();
    assert_eq!(
        (export.source_arn.as_str(), &export.status),
        (&*found.arn, &ExportStatus::Complete)
    );
    assert!(bench.aws.exports_of(&found.arn).await.unwrap().contains(&export));
}

#[tokio::test]
async fn absent_clusters_are_errors_and_absent_tasks_are_none() {
    let Some(bench) = Bench::ready().await else { return };
    let client = aws_sdk_ecs::Client::new(&bench.shared);
    client.create_cluster().cluster_name("workers").send().await.unwrap();
    let family = |cluster: &str| TaskFamily {
        cluster: cluster.into(),
        family: "loader".into(),
        container: "loader".into(),
        date_variable: "IMPORT_DATE_OVERRIDE".into(),
    };
    assert!(bench.aws.family_tasks(&family("workers")).await.unwrap().is_empty());
    let ours = bench.aws.tasks_started_by(&family("workers"), "gapmend/1").await;
    assert!(ours.unwrap().is_empty());
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/workers/0123456789abcdef");
    assert_eq!(bench.aws.task(&family("workers"), &arn).await.unwrap(), None);
    let absent = bench.aws.family_tasks(&family("absent")).await;
    assert_eq!(class_of(absent), ErrorClass::NotFound);
}

#[tokio::test]
async fn the_tail_of_a_log_stream_is_its_last_lines() {
    let Some(bench) = Bench::ready().await else { return };
    assert!(bench.aws.log_tail("absent", "absent", 5).await.unwrap().is_empty());
    let client = aws_sdk_cloudwatchlogs::Client::new(&bench.shared);
    client.create_log_group().log_group_name("tasks").send().await.unwrap();
    assert!(bench.aws.log_tail("tasks", "absent", 5).await.unwrap().is_empty());
    let stream = client.create_log_stream().log_group_name("tasks").log_stream_name("s");
    stream.send().await.unwrap();
    let now = SystemClock.now().timestamp_millis();
    let events = (0..6).map(|n| {
        let event = aws_sdk_cloudwatchlogs::types::InputLogEvent::builder();
        event.timestamp(now - 10_000 + n).message(format!("line {n}")).build().unwrap()
    });
    let put = client.put_log_events().log_group_name("tasks").log_stream_name("s");
    put.set_log_events(Some(events.collect())).send().await.unwrap();
    assert_eq!(bench.aws.log_tail("tasks", "s", 2).await.unwrap(), ["line 4", "line 5"]);
}
