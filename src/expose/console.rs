//! Links into the AWS console: where a person looks next.
//!
//! Made of configured names and recorded ids only, each of them percent-encoded.

use std::fmt::Write;

use crate::config::DatasetSettings;
use crate::ledger::{Run, Trace};

/// A link and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) url: String,
}

/// What a run left in AWS.
pub(super) fn of_run(run: &Run, dataset: &DatasetSettings, region: &str) -> Vec<Link> {
    let task = run.load.as_ref().and_then(|load| load.task_arn.as_deref()).map(task_id);
    let mut links = Vec::new();
    links.extend(task.map(|task| ecs_task(region, &dataset.load.cluster, task)));
    links.extend(task.and_then(|task| log_of_task(region, dataset, task)));
    links.extend(run.traces.contains_key(&Trace::Snapshot).then(|| snapshots(region)));
    let published = dataset.publish.as_ref().filter(|_| run.workflow_run.is_some());
    links.extend(published.map(|publish| workflow(region, &publish.workflow)));
    links
}

/// An object in the landing bucket.
pub(super) fn dump(region: &str, bucket: &str, key: &str) -> Link {
    let path = format!("s3/object/{}?region={region}&prefix={}", encoded(bucket), encoded(key));
    link("dump in S3", region, &path)
}

/// The rule that fires the live run.
pub(super) fn rule(region: &str, bus: &str, rule: &str) -> Link {
    let path =
        format!("events/home?region={region}#/eventbus/{}/rules/{}", encoded(bus), encoded(rule));
    link("rule in EventBridge", region, &path)
}

fn ecs_task(region: &str, cluster: &str, task: &str) -> Link {
    let (cluster, task) = (encoded(cluster), encoded(task));
    let path = format!("ecs/v2/clusters/{cluster}/tasks/{task}/configuration?region={region}");
    link("task in ECS", region, &path)
}

fn log_of_task(region: &str, dataset: &DatasetSettings, task: &str) -> Option<Link> {
    let load = &dataset.load;
    let (group, prefix) = (load.log_group.as_ref()?, load.log_stream_prefix.as_ref()?);
    let stream = format!("{prefix}/{}/{task}", load.container);
    let path = format!(
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}/log-events/{}",
        twice_encoded(group),
        twice_encoded(&stream)
    );
    Some(link("log in CloudWatch", region, &path))
}

fn snapshots(region: &str) -> Link {
    link("snapshots in RDS", region, &format!("rds/home?region={region}#snapshots-list:"))
}

fn workflow(region: &str, name: &str) -> Link {
    let path =
        format!("glue/home?region={region}#/v2/etl-configuration/workflows/view/{}", encoded(name));
    link("workflow in Glue", region, &path)
}

fn link(name: &str, region: &str, path: &str) -> Link {
    let host = format!("https://{}.console.aws.amazon.com", encoded(region));
    Link { name: name.to_owned(), url: format!("{host}/{path}") }
}

fn task_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// CloudWatch's own way: encoded, and its percent signs as `$25`.
fn twice_encoded(text: &str) -> String {
    encoded(text).replace('%', "$25")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::sample;

    #[test]
    fn a_run_leads_to_everything_that_it_left() {
        let report = sample::report();
        let settings = &report.datasets[sample::NAME].settings;
        let links = of_run(&sample::healed_run(), settings, "eu-west-2");
        let urls: Vec<&str> = links.iter().map(|link| link.url.as_str()).collect();
        insta::assert_snapshot!(urls.join("\n"), @"
        https://eu-west-2.console.aws.amazon.com/ecs/v2/clusters/dataplatform-prod-workers/tasks/8f3e/configuration?region=eu-west-2
        https://eu-west-2.console.aws.amazon.com/cloudwatch/home?region=eu-west-2#logsV2:log-groups/log-group/liberator-to-rds-snapshot-ecs-task-logs/log-events/liberator-to-rds-snapshot$252Fliberator-to-rds-snapshot$252F8f3e
        https://eu-west-2.console.aws.amazon.com/rds/home?region=eu-west-2#snapshots-list:
        ");
    }

    #[test]
    fn what_stands_in_a_name_cannot_leave_its_place() {
        let url = dump("eu-west-2", "b", "a&b=\"<c>/d").url;
        assert!(url.ends_with("prefix=a%26b%3D%22%3Cc%3E%2Fd"), "{url}");
        assert_eq!(twice_encoded("/aws/ecs"), "$252Faws$252Fecs");
    }
}
