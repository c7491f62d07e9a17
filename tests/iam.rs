//! The policies in `deploy/iam` and the operations that gapmend can call are the same set.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeSet;

/// What AWS calls the permission of an operation, where the two names differ.
fn permission(operation: &str) -> Option<String> {
    match operation {
        "s3:ListObjectsV2" => Some("s3:ListBucket".to_owned()),
        // A copy reads its source and writes its target.
        "s3:CopyObject" => Some("s3:PutObject".to_owned()),
        // Everybody may ask who they are.
        "sts:GetCallerIdentity" => None,
        other => Some(other.to_owned()),
    }
}

fn granted() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/iam");
    let mut actions = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            // One action, or a list of them.
            let action = &statement["Action"];
            let list = action.as_array().map_or(std::slice::from_ref(action), Vec::as_slice);
            actions.extend(list.iter().map(|action| action.as_str().unwrap().to_owned()));
        }
    }
    actions
}

#[test]
fn the_policies_grant_exactly_what_gapmend_calls() {
    let mut called: BTreeSet<String> =
        gapmend::aws::OPERATIONS.iter().filter_map(|operation| permission(operation)).collect();
    called.insert("iam:PassRole".to_owned()); // RunTask and CreateSchedule hand roles over
    assert_eq!(granted(), called);
}
