//! The policies in `deploy/iam`: what they grant, and what nobody who holds them can do.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

#[path = "support/iam.rs"]
#[expect(dead_code, reason = "what calls ask for is asked by the end-to-end tests")]
mod iam;

use std::collections::BTreeSet;

use iam::{Ask, BLOCKS, Policy};

const ACCOUNT: &str = "eu-west-2:111122223333";
const LANDING: &str = "arn:aws:s3:::dataplatform-prod-liberator-data-storage";
const LEDGER: &str = "arn:aws:s3:::gapmend-ledger";

/// What AWS calls the permission of an operation, where the two names differ.
fn permission(operation: &str) -> Option<&str> {
    match operation {
        "s3:ListObjectsV2" => Some("s3:ListBucket"),
        "s3:ListMultipartUploads" => Some("s3:ListBucketMultipartUploads"),
        // A copy reads its source and writes its target.
        "s3:CopyObject"
        | "s3:CreateMultipartUpload"
        | "s3:UploadPart"
        | "s3:CompleteMultipartUpload" => Some("s3:PutObject"),
        "s3:HeadObject" => Some("s3:GetObject"),
        "s3:DeleteObjects" => Some("s3:DeleteObject"),
        "s3:ListObjectVersions" => Some("s3:ListBucketVersions"),
        // Everybody may ask who they are.
        "sts:GetCallerIdentity" => None,
        other => Some(other),
    }
}

#[test]
fn the_policies_grant_exactly_what_gapmend_calls() {
    let called: BTreeSet<&str> =
        gapmend::aws::OPERATIONS.iter().filter_map(|operation| permission(operation)).collect();
    let policy = Policy::of(&BLOCKS);
    let granted: BTreeSet<&str> = policy
        .0
        .iter()
        .flat_map(|statement| statement.actions.iter().map(String::as_str))
        // RunTask and CreateSchedule hand roles over, RunTask tags its task, and S3 asks for the
        // keys on our behalf.
        .filter(|action| !["iam:PassRole", "ecs:TagResource"].contains(action))
        .filter(|action| !action.starts_with("kms:"))
        .collect();
    assert_eq!(granted, called);
}

#[test]
fn no_grant_has_a_wildcard_for_an_action_or_for_a_whole_service() {
    for statement in Policy::of(&BLOCKS).0 {
        for action in &statement.actions {
            assert!(!action.contains('*'), "{}: {action}", statement.name);
        }
        // AWS itself knows no narrower resource for these; the cluster is a condition.
        let unbounded = statement.resources.iter().any(|resource| resource == "*");
        let excused = ["observe.TasksList", "observe.SnapshotsRead"];
        assert_eq!(unbounded, excused.contains(&statement.name.as_str()), "{}", statement.name);
    }
}

/// What each block must not let its holder do, whatever else it is given.
fn is_denied(blocks: &[&str], ask: &Ask) {
    let allowed = Policy::of(blocks).allows(ask).map(|statement| statement.name.clone());
    assert_eq!(allowed, None, "{blocks:?} allow {ask:?}");
}

fn is_granted(blocks: &[&str], ask: &Ask) {
    assert!(Policy::of(blocks).allows(ask).is_some(), "{blocks:?} deny {ask:?}");
}

#[test]
fn a_role_that_observes_can_change_nothing_outside_the_ledger() {
    let policy = Policy::of(&["observe"]);
    let reads = ["Get", "List", "Describe", "Decrypt"];
    for grant in policy.grants() {
        let verb = grant.split(':').next_back().unwrap();
        assert!(reads.iter().any(|read| verb.starts_with(read)), "{grant}");
    }
    let writes = Policy::of(&["ledger"]).0.into_iter().flat_map(|it| it.resources);
    for resource in writes {
        assert!(resource.starts_with(LEDGER), "{resource}");
    }
}

#[test]
fn a_stolen_role_cannot_touch_what_gapmend_never_touches() {
    let dump = format!("{LANDING}/parking/liberator_dump_20261110.zip");
    let task = "dataplatform-prod-workers";
    for ask in [
        Ask::new("s3:DeleteObject", &dump),
        Ask::new("s3:DeleteObjectVersion", &dump),
        Ask::new("s3:PutObject", format!("{LANDING}/parking/other.zip")),
        Ask::new("s3:GetObject", format!("{LANDING}/parking/other.csv")),
        Ask::new("s3:GetObject", "arn:aws:s3:::dataplatform-prod-raw-zone/parking/liberator/a"),
        Ask::new("s3:PutObject", "arn:aws:s3:::dataplatform-prod-raw-zone/parking/liberator/a"),
        Ask::new("s3:PutObject", format!("{LEDGER}/elsewhere/a")),
        Ask::new("s3:PutBucketPolicy", LEDGER),
        Ask::new("glue:UpdateWorkflow", format!("arn:aws:glue:{ACCOUNT}:workflow/any")),
        Ask::new(
            "glue:StartWorkflowRun",
            format!("arn:aws:glue:{ACCOUNT}:workflow/parking-liberator-data-workflow"),
        ),
        Ask::new("glue:DeletePartition", format!("arn:aws:glue:{ACCOUNT}:catalog")),
        Ask::new("ecs:DescribeTaskDefinition", "*"),
        Ask::new("ecs:RegisterTaskDefinition", "*"),
        Ask::new("ecs:StopTask", format!("arn:aws:ecs:{ACCOUNT}:task/another-cluster/1")),
        Ask::new("ecs:RunTask", format!("arn:aws:ecs:{ACCOUNT}:task-definition/something-else:1"))
            .with("ecs:cluster", format!("arn:aws:ecs:{ACCOUNT}:cluster/{task}")),
        Ask::new("events:PutRule", format!("arn:aws:events:{ACCOUNT}:rule/any")),
        Ask::new("events:DisableRule", format!("arn:aws:events:{ACCOUNT}:rule/another")),
        Ask::new(
            "scheduler:CreateSchedule",
            format!("arn:aws:scheduler:{ACCOUNT}:schedule/default/mine"),
        ),
        Ask::new("rds:DeleteDBSnapshot", "*"),
        Ask::new("iam:PassRole", "arn:aws:iam::111122223333:role/admin")
            .with("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        Ask::new("iam:PassRole", "arn:aws:iam::111122223333:role/gapmend-dead-man")
            .with("iam:PassedToService", "lambda.amazonaws.com"),
    ] {
        is_denied(&BLOCKS, &ask);
    }
}

#[test]
fn a_task_cannot_be_started_with_a_shell_to_enter_it() {
    let definition = format!("arn:aws:ecs:{ACCOUNT}:task-definition/liberator-to-rds-snapshot:42");
    let cluster = format!("arn:aws:ecs:{ACCOUNT}:cluster/dataplatform-prod-workers");
    let run = Ask::new("ecs:RunTask", definition).with("ecs:cluster", cluster);
    is_granted(&["heal"], &run);
    is_granted(&["heal"], &run.clone().with("ecs:enable-execute-command", "false"));
    is_denied(&BLOCKS, &run.clone().with("ecs:enable-execute-command", "true"));
    is_denied(&BLOCKS, &run.with("ecs:cluster", "arn:aws:ecs:eu-west-2:111122223333:cluster/b"));
}

#[test]
fn only_a_task_that_gapmend_started_can_be_stopped() {
    let task = format!("arn:aws:ecs:{ACCOUNT}:task/dataplatform-prod-workers/1");
    let cluster = format!("arn:aws:ecs:{ACCOUNT}:cluster/dataplatform-prod-workers");
    let stop = Ask::new("ecs:StopTask", &task).with("ecs:cluster", cluster);
    is_granted(&["heal"], &stop.clone().with("aws:ResourceTag/gapmend", "gapmend/1"));
    is_denied(&BLOCKS, &stop);
    // Nor can a task get the tag later.
    let tag = Ask::new("ecs:TagResource", &task).with("aws:RequestTag/gapmend", "gapmend/1");
    is_denied(&BLOCKS, &tag);
    is_granted(&["heal"], &tag.with("ecs:CreateAction", "RunTask"));
}

#[test]
fn a_rule_of_another_service_cannot_be_disabled() {
    let rule = format!("arn:aws:events:{ACCOUNT}:rule/liberator-to-rds-snapshot-event");
    let disable = Ask::new("events:DisableRule", rule);
    is_granted(&["hold"], &disable);
    is_denied(&BLOCKS, &disable.with("events:ManagedBy", "config.amazonaws.com"));
}

#[test]
fn entries_of_the_ledger_can_only_be_created_and_nothing_of_it_deleted() {
    let all = [&BLOCKS[..], &["ledger-bucket"]].concat();
    let entry = format!("{LEDGER}/gapmend/log/00000000000000000042.json");
    let over_tls = |ask: Ask| ask.with("aws:SecureTransport", "true");
    let create = over_tls(Ask::new("s3:PutObject", &entry)).with("s3:if-none-match", "*");
    is_granted(&all, &create);
    is_denied(&all, &over_tls(Ask::new("s3:PutObject", &entry)));
    is_denied(&all, &create.with("aws:SecureTransport", "false"));
    is_granted(&all, &over_tls(Ask::new("s3:PutObject", format!("{LEDGER}/gapmend/acting.json"))));
    for action in ["s3:DeleteObject", "s3:DeleteObjectVersion"] {
        // Not even somebody who may do everything else.
        let everything = Policy::of(&["ledger-bucket"]);
        let ask = over_tls(Ask::new(action, &entry));
        assert!(everything.0.iter().any(|it| it.actions.contains(&ask.action)), "{action}");
        is_denied(&all, &ask);
    }
}

#[test]
fn the_dead_mans_role_can_enable_the_one_rule_and_nothing_else() {
    let [only] = &Policy::of(&["dead-man"]).0[..] else { panic!("more than one statement") };
    assert_eq!(only.actions, ["events:EnableRule"]);
    let rule = format!("arn:aws:events:{ACCOUNT}:rule/liberator-to-rds-snapshot-event");
    assert_eq!(only.resources, [rule]);
}

#[test]
fn statements_without_a_resource_are_left_out_when_rendered() {
    let named = |policy: &Policy, name: &str| policy.0.iter().any(|it| it.name == name);
    assert!(named(&Policy::of(&["observe"]), "observe.DumpDecrypt"));
    // The Liberator's ledger has no key of its own.
    assert!(!named(&Policy::of(&["ledger"]), "ledger.LedgerKey"));
}
