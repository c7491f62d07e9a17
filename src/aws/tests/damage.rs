//! Answers that were damaged on their way, or come from something that is not AWS: each is an
//! answer or an error in words, and nobody panics or waits for ever.

use bytes::Bytes;
use proptest::prelude::*;

use super::tasks::{family, task_request};
use crate::aws::canned::{Bench, Reply, StillClock};
use crate::domain::testing::cases;
use crate::platform::{
    Answer, CatalogTable, Listing, ObjectInfo, Partition, PartitionQuery, Platform,
};

/// A call is answered the same however often it tries.
const TRIES_AT_MOST: usize = 16;

/// A call, and an answer that it understands.
#[derive(Clone, Copy, Debug)]
enum Call {
    Caller,
    ListObjects,
    CreateObject,
    Tables,
    Partitions,
    RunTask,
    FamilyTasks,
    Snapshot,
    Export,
    WorkflowRuns,
    Rule,
    DeadMan,
    LogTail,
}

const CALLS: [(Call, &str); 13] = [
    (
        Call::Caller,
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1:x</Arn>\
         <UserId>u</UserId><Account>111122223333</Account></GetCallerIdentityResult>\
         </GetCallerIdentityResponse>",
    ),
    (
        Call::ListObjects,
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>parking/a.zip</Key>\
         <LastModified>2026-03-01T10:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>4096</Size>\
         <StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>",
    ),
    (Call::CreateObject, ""),
    (
        Call::Tables,
        r#"{"TableList":[{"Name":"liberator_hub","DatabaseName":"raw","PartitionKeys":[{"Name":"import_date","Type":"string"}],"StorageDescriptor":{"Location":"s3://raw/hub/"}}],"NextToken":""}"#,
    ),
    (
        Call::Partitions,
        r#"{"Partitions":[{"Values":["2026","02","28","20260228"],"StorageDescriptor":{"Location":"s3://raw/hub/import_date=20260228/"},"CreationTime":1772300000}]}"#,
    ),
    (Call::RunTask, r#"{"tasks":[{"taskArn":"arn:t","lastStatus":"PROVISIONING"}],"failures":[]}"#),
    (Call::FamilyTasks, r#"{"taskArns":[],"tasks":[],"nextToken":null}"#),
    (
        Call::Snapshot,
        "<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot>\
         <DBSnapshotIdentifier>s</DBSnapshotIdentifier><DBSnapshotArn>arn:s</DBSnapshotArn><Status>available</Status>\
         <PercentProgress>100</PercentProgress><SnapshotCreateTime>2026-03-01T10:00:00Z\
         </SnapshotCreateTime></DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult>\
         </DescribeDBSnapshotsResponse>",
    ),
    (
        Call::Export,
        "<DescribeExportTasksResponse><DescribeExportTasksResult><ExportTasks><ExportTask>\
         <ExportTaskIdentifier>s</ExportTaskIdentifier><SourceArn>arn:s</SourceArn><Status>COMPLETE</Status>\
         <PercentProgress>100</PercentProgress><WarningMessage>{&quot;skippedTables&quot;:[]}\
         </WarningMessage></ExportTask></ExportTasks></DescribeExportTasksResult>\
         </DescribeExportTasksResponse>",
    ),
    (
        Call::WorkflowRuns,
        r#"{"Runs":[{"WorkflowRunId":"wr_1","Status":"RUNNING","StartedOn":1772366400,"WorkflowRunProperties":{"import_date":"20260228"}}]}"#,
    ),
    (
        Call::Rule,
        r#"{"Name":"rule","Arn":"arn:r","State":"ENABLED","Targets":[{"Id":"t","Arn":"arn:c","EcsParameters":{"TaskDefinitionArn":"arn:d","NetworkConfiguration":{"awsvpcConfiguration":{"Subnets":["s"]}}}}]}"#,
    ),
    (
        Call::DeadMan,
        r#"{"Name":"gapmend-liberator","GroupName":"gapmend","State":"ENABLED","FlexibleTimeWindow":{"Mode":"OFF"},"ScheduleExpression":"at(2026-03-01T14:00:00)","Target":{"Arn":"arn:aws:scheduler:::aws-sdk:eventbridge:enableRule","RoleArn":"arn:r","Input":"{\"Name\":\"rule\",\"EventBusName\":\"default\"}"}}"#,
    ),
    (Call::LogTail, r#"{"events":[{"timestamp":1772366400000,"message":"loaded"}]}"#),
];

impl Call {
    /// Makes the call; answers what went wrong, in words.
    async fn of(self, bench: &Bench) -> Result<(), String> {
        let aws = &bench.aws;
        match self {
            Self::Caller => told(aws.caller().await),
            Self::ListObjects => {
                let listing = Listing {
                    bucket: "landing".to_owned(),
                    prefix: "parking/".to_owned(),
                    start_after: None,
                    end_before: None,
                    at_most: None,
                };
                let mut objects: Vec<ObjectInfo> = Vec::new();
                told(aws.list_objects(&listing, &mut |page| objects.extend(page)).await)
            }
            Self::CreateObject => {
                told(aws.create_object("ledger", "log/1.json", Bytes::from_static(b"{}")).await)
            }
            Self::Tables => {
                let mut tables: Vec<CatalogTable> = Vec::new();
                told(aws.table_pages("raw", &mut |page| tables.extend(page)).await)
            }
            Self::Partitions => {
                let query = PartitionQuery {
                    database: "raw".to_owned(),
                    table: "hub".to_owned(),
                    expression: None,
                    at_most: None,
                };
                let mut partitions: Vec<Partition> = Vec::new();
                told(aws.partitions(&query, &mut |page| partitions.extend(page)).await)
            }
            Self::RunTask => told(aws.run_task(&task_request()).await),
            Self::FamilyTasks => told(aws.family_tasks(&family()).await),
            Self::Snapshot => told(aws.snapshot("s").await),
            Self::Export => told(aws.export("s").await),
            Self::WorkflowRuns => told(aws.workflow_runs("w", StillClock::noon()).await),
            Self::Rule => told(aws.rule("rule", "default").await),
            Self::DeadMan => told(aws.dead_man("gapmend", "gapmend-liberator").await),
            Self::LogTail => told(aws.log_tail("group", "stream", 5).await),
        }
    }
}

fn told<T>(answer: Answer<T>) -> Result<(), String> {
    answer.map(|_| ()).map_err(|error| error.to_string())
}

/// Bytes of the answer are replaced, taken out and put in.
fn damaged(answer: &str, damages: &[(prop::sample::Index, u8, u8)]) -> String {
    let mut bytes = answer.as_bytes().to_vec();
    for (at, how, to) in damages {
        if bytes.is_empty() {
            bytes.push(to % 128);
            continue;
        }
        let at = at.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = to % 128,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, to % 128),
            _ => drop(bytes.remove(at)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(call: Call, status: u16, body: &str) -> Result<(), String> {
    let replies = std::iter::repeat_n(Reply::status(status, body), TRIES_AT_MOST);
    call.of(&Bench::with(replies).await).await
}

#[tokio::test]
async fn every_answer_is_understood_while_it_is_whole() {
    for (call, answer) in CALLS {
        assert_eq!(ask(call, 200, answer).await, Ok(()), "{call:?}");
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_damaged_answer_is_an_answer_or_an_error_in_words(
        which in any::<prop::sample::Index>(),
        status in prop::sample::select(vec![200_u16, 200, 200, 400, 403, 404, 409, 412, 500, 503]),
        damages in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (call, answer) = CALLS[which.index(CALLS.len())];
        let told = runtime.block_on(ask(call, status, &damaged(answer, &damages)));
        if let Err(words) = told {
            prop_assert!(words.len() > 10, "{call:?}: {words:?}");
        }
    }
}
