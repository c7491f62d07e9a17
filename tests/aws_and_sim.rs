//! The AWS adapters, over the wire, and the model, asked directly, give the same answers about
//! the same world.
//!
//! So what the simulation tests prove with the model holds for the adapters too, as far as the
//! model is right about AWS.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use chrono::{DateTime, Days, Duration, NaiveDate, TimeZone, Utc};
use gapmend::aws::{AwsPlatform, sdk_config};
use gapmend::config::settings::AwsSettings;
use gapmend::domain::{ErrorClass, WorkflowStatus};
use gapmend::platform::{
    Answer, Created, DeadMan, Listing, ObjectInfo, ObjectRange, Partition, PartitionQuery,
    Platform, SystemClock, TaskFamily, TaskRequest, TaskStart, Unobserved, Versioning,
};
use gapmend::sim::wire::{WireClock, WireOptions, WireServer, serve};
use gapmend::sim::{Names, Sim, SimPlatform, WorldBuilder};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 4, 0, 0).unwrap()
}

fn gap() -> NaiveDate {
    now().date_naive() - Days::new(12)
}

/// One world with its two doors.
struct Doors {
    model: SimPlatform,
    aws: AwsPlatform,
    names: Names,
    sim: Sim,
    _wire: WireServer,
}

impl Doors {
    async fn open() -> Self {
        let sim = WorldBuilder::at(now()).gap(gap()).build();
        let names = Names::default();
        let options = WireOptions { clock: WireClock::Manual, ..WireOptions::default() };
        let wire = serve(sim.clone(), options).await.expect("a free port");
        let settings = AwsSettings {
            region: names.region.clone(),
            account_id: names.account.clone(),
            max_in_flight: 4,
            endpoint_url: Some(wire.url()),
        };
        let keys = Credentials::new("AKIDMODEL", "model", None, None, "model");
        let shared = sdk_config(&settings)
            .await
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        let aws =
            AwsPlatform::over(&shared, &settings, Arc::new(SystemClock), Arc::new(Unobserved));
        Self { model: SimPlatform::new(sim.clone()), aws, names, sim, _wire: wire }
    }

    fn family(&self) -> TaskFamily {
        TaskFamily {
            cluster: self.names.cluster.clone(),
            family: self.names.family.clone(),
            container: self.names.family.clone(),
            date_variable: self.names.date_variable.clone(),
        }
    }

    async fn task_request(&self) -> TaskRequest {
        let rule = self.aws.rule(&self.names.rule, &self.names.event_bus).await.expect("the rule");
        let target = rule.targets[0].clone();
        TaskRequest {
            cluster: target.cluster_arn,
            task_definition: target.task_definition.expect("a task definition"),
            container: self.names.family.clone(),
            environment: BTreeMap::from([(self.names.date_variable.clone(), gap().to_string())]),
            network: target.network.expect("a network"),
            platform_version: target.platform_version,
            client_token: "token-1".into(),
            started_by: "gapmend/1".into(),
        }
    }
}

/// The same value, or the same failure but for its words; it is handed on.
fn same<T: Debug + PartialEq>(model: Answer<T>, aws: &Answer<T>) -> Answer<T> {
    match (&model, aws) {
        (Err(ours), Err(theirs)) => assert_eq!(
            (ours.operation, ours.class, &ours.code),
            (theirs.operation, theirs.class, &theirs.code)
        ),
        _ => assert_eq!(&model, aws),
    }
    model
}

/// Asks both doors the same; the answer is that of both.
macro_rules! both {
    ($doors:expr, $call:ident($($argument:expr),*)) => {{
        let model = $doors.model.$call($($argument),*).await;
        let aws = $doors.aws.$call($($argument),*).await;
        same(model, &aws)
    }};
}

async fn listed(platform: &dyn Platform, listing: &Listing) -> Answer<Vec<ObjectInfo>> {
    let mut objects = Vec::new();
    platform.list_objects(listing, &mut |page| objects.extend(page)).await?;
    Ok(objects)
}

async fn partitions(platform: &dyn Platform, query: &PartitionQuery) -> Answer<Vec<Partition>> {
    let mut partitions = Vec::new();
    platform.partitions(query, &mut |page| partitions.extend(page)).await?;
    Ok(partitions)
}

#[tokio::test]
async fn objects_look_the_same_through_both_doors() {
    let doors = Doors::open().await;
    let names = &doors.names;
    let mut dumps = Vec::new();
    for (bucket, prefix, start_after, at_most) in [
        (names.raw_bucket.as_str(), "", None, None),
        (&names.raw_bucket, "", None, Some(7)),
        (&names.raw_bucket, "", Some("parking"), Some(3)),
        ("nowhere", "", None, None),
        (&names.dump_bucket, &names.dump_prefix, None, None),
    ] {
        let listing = Listing {
            bucket: bucket.into(),
            prefix: prefix.into(),
            start_after: start_after.map(str::to_owned),
            at_most,
            ..Listing::default()
        };
        let (model, aws) = (&doors.model, &doors.aws);
        let objects = same(listed(model, &listing).await, &listed(aws, &listing).await);
        dumps = objects.unwrap_or_default();
    }
    let dump = dumps.iter().find(|object| object.size > 100).unwrap();
    let tail = ObjectRange {
        key: dump.key.clone(),
        etag: dump.etag.clone(),
        from: dump.size - 50,
        length: 50,
    };
    assert_eq!(both!(doors, read_range(&names.dump_bucket, &tail)).unwrap().len(), 50);
    for (range, class) in [
        (ObjectRange { etag: "0".into(), ..tail.clone() }, ErrorClass::Conflict),
        (ObjectRange { key: "absent".into(), ..tail.clone() }, ErrorClass::NotFound),
        (ObjectRange { from: dump.size, ..tail }, ErrorClass::Invalid),
    ] {
        let error = both!(doors, read_range(&names.dump_bucket, &range)).unwrap_err();
        assert_eq!(error.class, class);
    }
}

#[tokio::test]
async fn objects_are_created_and_copied_once_whichever_door_came_first() {
    let doors = Doors::open().await;
    let bucket = doors.names.ledger_bucket.as_str();
    assert_eq!(both!(doors, get_object(bucket, "log/1.json")), Ok(None));
    let first = doors.aws.create_object(bucket, "log/1.json", Bytes::from("first")).await;
    assert_eq!(first, Ok(Created::Created));
    let second = both!(doors, create_object(bucket, "log/1.json", Bytes::from("second")));
    assert_eq!(second, Ok(Created::Exists));
    let copied = doors.aws.copy_object(bucket, "log/1.json", "a copy ü+.json").await;
    assert_eq!(copied, Ok(Created::Created));
    let again = both!(doors, copy_object(bucket, "log/1.json", "a copy ü+.json"));
    assert_eq!(again, Ok(Created::Exists));
    both!(doors, copy_object(bucket, "absent", "other.json")).unwrap_err();
    both!(doors, put_object(bucket, "log/1.json", Bytes::from("third"))).unwrap();
    let copy = both!(doors, get_object(bucket, "a copy ü+.json"));
    assert_eq!(copy, Ok(Some(Bytes::from("first"))));
    both!(doors, get_object("nowhere", "key")).unwrap_err();
}

#[tokio::test]
async fn uploads_in_parts_do_the_same_through_both_doors() {
    let doors = Doors::open().await;
    let bucket = doors.names.dump_bucket.clone();
    let platforms: [(&str, &dyn Platform); 2] = [("model", &doors.model), ("aws", &doors.aws)];
    for (name, platform) in platforms {
        let key = format!("parking/{name}.zip");
        assert_eq!(platform.marked_object(&bucket, &key).await, Ok(None), "{name}");
        let upload = platform.begin_upload(&bucket, &key, "mark-1").await.unwrap();
        let under_way = platform.uploads_to(&bucket, &key).await.unwrap();
        assert_eq!(under_way, [(upload.clone(), now())], "{name}");
        let etag = platform.upload_part(&upload, 1, Bytes::from_static(b"PK")).await.unwrap();
        let etags = [etag];
        let written = platform.complete_upload(&upload, &etags, None).await;
        assert_eq!(written, Ok(Created::Created), "{name}");
        let object = platform.marked_object(&bucket, &key).await.unwrap().unwrap();
        assert_eq!((object.size, object.mark.as_deref()), (2, Some("mark-1")), "{name}");
        let gone = platform.complete_upload(&upload, &etags, None).await.unwrap_err();
        assert_eq!(
            (gone.class, gone.code.as_deref()),
            (ErrorClass::NotFound, Some("NoSuchUpload"))
        );

        let again = platform.begin_upload(&bucket, &key, "mark-2").await.unwrap();
        let etags = [platform.upload_part(&again, 1, Bytes::from_static(b"PK2")).await.unwrap()];
        for (replaces, expected) in [
            (None, Created::Exists),
            (Some("another"), Created::Exists),
            (Some(object.etag.as_str()), Created::Created),
        ] {
            let written = platform.complete_upload(&again, &etags, replaces).await;
            assert_eq!(written, Ok(expected), "{name}: {replaces:?}");
        }
        let mark = platform.marked_object(&bucket, &key).await.unwrap().unwrap().mark;
        assert_eq!(mark.as_deref(), Some("mark-2"), "{name}");

        let left = platform.begin_upload(&bucket, &key, "mark-3").await.unwrap();
        for _ in 0..2 {
            platform.abort_upload(&left).await.unwrap(); // absent is fine
        }
        assert_eq!(platform.uploads_to(&bucket, &key).await, Ok(Vec::new()), "{name}");
    }
    both!(doors, begin_upload("absent", "k", "m")).unwrap_err();
    both!(doors, uploads_to("absent", "k")).unwrap_err();
}

#[tokio::test]
async fn the_catalog_looks_the_same_through_both_doors() {
    let doors = Doors::open().await;
    for zone in &doors.names.raw {
        let tables = both!(doors, tables(&zone.database)).unwrap();
        assert!(!tables.is_empty());
        for table in tables {
            let values = ["20260210", "19990101"].map(|day| {
                vec![day[..4].to_owned(), day[4..6].into(), day[6..].into(), day.into()]
            });
            let found = both!(doors, partitions_at(&zone.database, &table.name, &values)).unwrap();
            assert_eq!(found.len(), 1, "the absent one simply does not come");
            for (expression, at_most) in [
                (None, None),
                (None, Some(3)),
                (Some("import_date >= '20260210' AND import_date <= '20260220'"), None),
                (Some("nonsense ==="), None),
            ] {
                let query = PartitionQuery {
                    database: zone.database.clone(),
                    table: table.name.clone(),
                    expression: expression.map(str::to_owned),
                    at_most,
                };
                let (model, aws) = (&doors.model, &doors.aws);
                let found = same(partitions(model, &query).await, &partitions(aws, &query).await);
                assert_eq!(found.is_err(), expression == Some("nonsense ==="));
            }
        }
    }
    both!(doors, tables("absent")).unwrap_err();
}

#[tokio::test]
async fn deletions_do_the_same_through_both_doors_and_can_be_taken_back() {
    let doors = Doors::open().await;
    let bucket = doors.names.raw_bucket.clone();
    let folder = "odd/import_date=20260101/";
    let keys: Vec<String> =
        ["a b&c.parquet", "\u{4}odd", "ü.parquet"].map(|name| format!("{folder}{name}")).into();
    for (one, key) in (0..).zip(&keys) {
        doors.sim.lock().put_object(&bucket, key, format!("{one}").into_bytes(), false).unwrap();
    }
    let model: &dyn Platform = &doors.model;
    for platform in [model, &doors.aws] {
        let versioned = platform.bucket_versioning(&bucket).await.unwrap();
        assert_eq!(versioned, Versioning::Enabled);
        let mut deleted = platform.delete_objects(&bucket, &keys).await.unwrap();
        deleted.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(deleted.len(), keys.len());
        let listing =
            Listing { bucket: bucket.clone(), prefix: folder.into(), ..Listing::default() };
        assert!(listed(platform, &listing).await.unwrap().is_empty());
        let markers = same(
            doors.model.delete_markers(&bucket, folder).await,
            &doors.aws.delete_markers(&bucket, folder).await,
        )
        .unwrap();
        assert_eq!(markers.len(), keys.len());
        for one in deleted {
            let version = one.outcome.unwrap().unwrap();
            assert!(markers.iter().any(|marker| marker.version_id == version));
            doors.sim.lock().delete_version(&bucket, &one.key, &version).unwrap();
        }
        assert_eq!(doors.sim.lock().list_objects(&bucket, folder, None, 10).unwrap().len(), 3);
    }
    doors.sim.lock().set_bucket_versioning(&bucket, None);
    assert_eq!(doors.aws.bucket_versioning(&bucket).await.unwrap(), Versioning::Never);
    doors.sim.lock().set_bucket_versioning(&bucket, Some("Suspended"));
    assert_eq!(doors.aws.bucket_versioning(&bucket).await.unwrap(), Versioning::Suspended);
    doors.sim.lock().lock_keys(&bucket, &keys[2]);
    let deleted = doors.aws.delete_objects(&bucket, &keys).await.unwrap();
    let refused = deleted.iter().find(|one| one.key == keys[2]).unwrap();
    assert_eq!(refused.outcome.as_ref().unwrap_err().class, ErrorClass::Denied);
    assert_eq!(deleted.iter().filter(|one| one.outcome.is_ok()).count(), 2);
}

#[tokio::test]
async fn partitions_leave_the_catalog_through_both_doors_and_one_that_is_out_counts_as_out() {
    let doors = Doors::open().await;
    let database = doors.names.raw[0].database.clone();
    let table = doors.sim.lock().tables(&database).unwrap()[0].name.clone();
    let query = PartitionQuery {
        database: database.clone(),
        table: table.clone(),
        expression: None,
        at_most: None,
    };
    let model: &dyn Platform = &doors.model;
    for platform in [model, &doors.aws] {
        let before = partitions(platform, &query).await.unwrap();
        let first = before[0].values.clone();
        for _ in 0..2 {
            let wanted = std::slice::from_ref(&first);
            let left = platform.delete_partitions(&database, &table, wanted).await.unwrap();
            assert!(left.is_empty(), "{left:?}");
        }
        assert_eq!(partitions(platform, &query).await.unwrap(), before[1..]);
    }
    let absent = doors.aws.delete_partitions(&database, "nothing", &[vec!["a".into()]]).await;
    assert_eq!(absent.unwrap_err().class, ErrorClass::NotFound);
}

#[tokio::test]
async fn the_rule_and_its_dead_man_look_the_same_through_both_doors() {
    let doors = Doors::open().await;
    let (rule, bus) = (doors.names.rule.as_str(), doors.names.event_bus.as_str());
    assert_eq!(both!(doors, rule(rule, bus)).unwrap().targets.len(), 1);
    both!(doors, disable_rule(rule, bus)).unwrap();
    both!(doors, rule(rule, bus)).unwrap();
    both!(doors, enable_rule(rule, bus)).unwrap();
    both!(doors, rule("absent", bus)).unwrap_err();
    both!(doors, enable_rule("absent", bus)).unwrap_err();

    let switch = DeadMan {
        name: "gapmend-1".into(),
        group: "gapmend".into(),
        rule: rule.into(),
        event_bus: bus.into(),
        fires_at: now() + Duration::hours(2),
        role_arn: "arn:aws:iam::111122223333:role/dead-man".into(),
    };
    assert_eq!(both!(doors, takes_dead_men("gapmend")), Ok(true));
    assert_eq!(both!(doors, takes_dead_men("absent")), Ok(false));
    assert_eq!(both!(doors, dead_man("gapmend", "gapmend-1")), Ok(None));
    doors.aws.arm_dead_man(&switch).await.unwrap();
    assert_eq!(both!(doors, dead_man("gapmend", "gapmend-1")).as_ref(), Ok(&Some(switch.clone())));
    let again = both!(doors, arm_dead_man(&switch)).unwrap_err();
    assert_eq!(again.class, ErrorClass::Conflict);
    both!(doors, disarm_dead_man("gapmend", "gapmend-1")).unwrap();
    assert_eq!(both!(doors, dead_man("gapmend", "gapmend-1")), Ok(None));
}

#[tokio::test]
async fn a_whole_ingestion_looks_the_same_through_both_doors() {
    let doors = Doors::open().await;
    let (names, family) = (&doors.names, doors.family());
    let request = doors.task_request().await;
    let TaskStart::Started(arn) = both!(doors, run_task(&request)).unwrap() else {
        panic!("the task was refused");
    };
    let stream =
        format!("{}/{}/{}", names.log_stream_prefix, names.family, arn.rsplit('/').next().unwrap());
    let id = format!("sql-to-parquet-{}-backdated", gap());
    let mut ended = false;
    for quarter in 0..60 {
        doors.sim.lock().advance_to(now() + Duration::minutes(15 * quarter));
        both!(doors, task(&family, &arn)).unwrap();
        both!(doors, family_tasks(&family)).unwrap();
        both!(doors, tasks_started_by(&family, &request.started_by)).unwrap();
        both!(doors, log_tail(&names.log_group, &stream, 5)).unwrap();
        both!(doors, snapshots(&names.instance)).unwrap();
        if let Some(snapshot) = both!(doors, snapshot(&id)).unwrap() {
            both!(doors, exports_of(&snapshot.arn)).unwrap();
        }
        both!(doors, export(&id)).unwrap();
        let runs = both!(doors, workflow_runs(&names.backdated_workflow, now())).unwrap();
        for run in &runs {
            let run = both!(doors, workflow_run(&names.backdated_workflow, &run.id)).unwrap();
            ended |= run.status == WorkflowStatus::Completed;
        }
    }
    assert!(ended, "the ingestion went through to its end");
    both!(doors, workflow_run(&names.backdated_workflow, "absent")).unwrap_err();
    both!(doors, start_workflow_run("absent", &BTreeMap::new())).unwrap_err();
    let elsewhere = TaskFamily { cluster: "absent".into(), ..family };
    both!(doors, family_tasks(&elsewhere)).unwrap_err();
}

/// Keys that XML cannot hold, spaces, another encoding's letters, folders: each is a key, and none
/// hides the others.
#[tokio::test]
async fn odd_keys_are_listed_as_they_are() {
    let doors = Doors::open().await;
    let bucket = doors.names.dump_bucket.clone();
    let keys = [
        "odd/",
        "odd/\u{4}control",
        "odd/\u{fffe}not-xml",
        "odd/a b+c%2B&d<é>\u{1f600}.zip",
        "odd/folder/",
        "odd/line\r\nfeed",
    ];
    for key in keys {
        doors.sim.lock().person_writes(&bucket, key, "x");
    }
    let listing = Listing { bucket, prefix: "odd/".to_owned(), ..Listing::default() };
    let mut found = Vec::new();
    let mut note = |page: Vec<ObjectInfo>| found.extend(page.into_iter().map(|object| object.key));
    doors.aws.list_objects(&listing, &mut note).await.expect("a listing");
    let mut expected = keys.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
}
