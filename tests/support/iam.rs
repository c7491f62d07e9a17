//! The policies of `deploy/iam`, rendered for the Liberator, and as much of IAM as is needed to
//! ask them: an explicit deny wins, then an allow, and what nobody mentions is denied.

use std::collections::{BTreeMap, BTreeSet};

use gapmend::sim::wire::WireCall;
use serde_json::Value;

/// The blocks that a role may be given, one by one.
pub(crate) const BLOCKS: [&str; 7] =
    ["observe", "ledger", "heal", "repair", "hold", "upload", "purge"];

/// A folder of the repository.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/iam");

/// Something that somebody asks AWS for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: BTreeMap<String, String>,
}

impl Ask {
    pub(crate) fn new(action: &str, resource: impl Into<String>) -> Self {
        let context = BTreeMap::new();
        Self { action: action.to_owned(), resource: resource.into(), context }
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}

/// One statement of a block.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The block's name and the statement's own.
    pub(crate) name: String,
    allows: bool,
    pub(crate) actions: Vec<String>,
    pub(crate) resources: Vec<String>,
    /// Operator, key, values.
    conditions: Vec<(String, String, Vec<String>)>,
}

/// The statements of some blocks.
#[derive(Clone, Debug)]
pub(crate) struct Policy(pub(crate) Vec<Statement>);

impl Policy {
    /// The blocks, rendered with the Liberator's names.
    pub(crate) fn of(blocks: &[&str]) -> Self {
        let names = read("liberator");
        let statements = blocks.iter().flat_map(|block| {
            let document = read(block);
            let statements = document["Statement"].as_array().unwrap().clone();
            statements.into_iter().map(|it| Statement::read(block, &it, &names)).collect::<Vec<_>>()
        });
        // What has no resource with these names is left out, as by everybody who renders.
        Self(statements.filter(|statement| !statement.resources.is_empty()).collect())
    }

    /// The statement that decides: the one that denies, else one that allows.
    pub(crate) fn allows(&self, ask: &Ask) -> Option<&Statement> {
        let applies = |statement: &&Statement| statement.applies_to(ask);
        if self.0.iter().filter(applies).any(|statement| !statement.allows) {
            return None;
        }
        self.0.iter().filter(applies).find(|statement| statement.allows)
    }

    /// Every action of every statement, as `block.Sid action`.
    pub(crate) fn grants(&self) -> BTreeSet<String> {
        let grants = self.0.iter().flat_map(|statement| {
            statement.actions.iter().map(|action| format!("{} {action}", statement.name))
        });
        grants.collect()
    }
}

impl Statement {
    fn read(block: &str, document: &Value, names: &Value) -> Self {
        let conditions = document["Condition"].as_object().into_iter().flatten();
        let conditions = conditions.flat_map(|(operator, keys)| {
            keys.as_object()
                .unwrap()
                .iter()
                .map(move |(key, values)| (operator.clone(), key.clone(), texts(values, names)))
        });
        Self {
            name: format!("{block}.{}", document["Sid"].as_str().unwrap()),
            allows: document["Effect"] == "Allow",
            actions: texts(&document["Action"], names),
            resources: texts(&document["Resource"], names),
            conditions: conditions.collect(),
        }
    }

    fn applies_to(&self, ask: &Ask) -> bool {
        self.actions.iter().any(|action| is_like(action, &ask.action))
            && self.resources.iter().any(|resource| is_like(resource, &ask.resource))
            && self.conditions.iter().all(|(operator, key, values)| {
                holds(operator, ask.context.get(key).map(String::as_str), values)
            })
    }
}

fn holds(operator: &str, found: Option<&str>, values: &[String]) -> bool {
    let matches = |found: &str| values.iter().any(|value| is_like(value, found));
    match operator {
        "StringEquals" | "StringLike" | "ArnEquals" | "Bool" => found.is_some_and(matches),
        "BoolIfExists" => found.is_none_or(matches),
        "Null" => values == [found.is_none().to_string()],
        other => panic!("the condition operator {other} is not known here"),
    }
}

fn is_like(pattern: &str, text: &str) -> bool {
    glob::Pattern::new(pattern).unwrap().matches(text)
}

/// A policy's template, or the names.
pub(crate) fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(format!("{FOLDER}/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One text or a list of them; each stands once for every value of the name that it holds.
fn texts(value: &Value, names: &Value) -> Vec<String> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().flat_map(|text| fill(text.as_str().unwrap(), names)).collect()
}

fn fill(text: &str, names: &Value) -> Vec<String> {
    let Some((before, rest)) = text.split_once("${") else { return vec![text.to_owned()] };
    let (name, after) = rest.split_once('}').unwrap();
    let value = &names[name];
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let filled = values.iter().map(|value| format!("{before}{}{after}", value.as_str().unwrap()));
    filled.flat_map(|text| fill(&text, names)).collect()
}

const ACCOUNT: &str = "eu-west-2:111122223333";

/// What a call that came to the door asks of IAM.
pub(crate) fn asks_of(call: &WireCall) -> Vec<Ask> {
    let target = call.target.as_str();
    let context = |key: &str| call.context.get(key).map_or("", String::as_str);
    match (call.service, call.operation.as_str()) {
        // Everybody may ask who they are.
        ("sts", "GetCallerIdentity") => Vec::new(),
        ("s3", operation) => vec![of_s3(operation, target, &call.context)],
        ("glue", "GetTables") => vec![
            Ask::new("glue:GetTables", format!("arn:aws:glue:{ACCOUNT}:catalog")),
            Ask::new("glue:GetTables", format!("arn:aws:glue:{ACCOUNT}:database/{target}")),
        ],
        ("glue", operation @ ("GetPartitions" | "BatchGetPartition" | "BatchDeletePartition")) => {
            let (database, table) = target.split_once('.').unwrap();
            let resources = [
                "catalog".to_owned(),
                format!("database/{database}"),
                format!("table/{database}/{table}"),
            ];
            let action = format!("glue:{operation}");
            let ask = |it| Ask::new(&action, format!("arn:aws:glue:{ACCOUNT}:{it}"));
            resources.into_iter().map(ask).collect()
        }
        ("glue", operation) => {
            let workflow = target.split('/').next().unwrap();
            let resource = format!("arn:aws:glue:{ACCOUNT}:workflow/{workflow}");
            vec![Ask::new(&format!("glue:{operation}"), resource)]
        }
        ("ecs", operation) => of_ecs(operation, target, &call.context),
        ("events", operation) => {
            let resource = format!("arn:aws:events:{ACCOUNT}:rule/{target}");
            vec![Ask::new(&format!("events:{operation}"), resource)]
        }
        ("logs", operation) => {
            let (group, stream) = (context("log-group"), target);
            let resource = format!("arn:aws:logs:{ACCOUNT}:log-group:{group}:log-stream:{stream}");
            vec![Ask::new(&format!("logs:{operation}"), resource)]
        }
        ("scheduler", "GetScheduleGroup") => {
            let group = format!("arn:aws:scheduler:{ACCOUNT}:schedule-group/{target}");
            vec![Ask::new("scheduler:GetScheduleGroup", group)]
        }
        ("scheduler", operation) => {
            let group = context("schedule-group");
            let resource = format!("arn:aws:scheduler:{ACCOUNT}:schedule/{group}/{target}");
            let mut asks = vec![Ask::new(&format!("scheduler:{operation}"), resource)];
            if operation == "CreateSchedule" {
                asks.push(pass_role("gapmend-dead-man", "scheduler.amazonaws.com"));
            }
            asks
        }
        ("rds", operation) => vec![Ask::new(&format!("rds:{operation}"), "*")],
        (service, operation) => panic!("what does {service}:{operation} ask of IAM?"),
    }
}

fn of_s3(operation: &str, target: &str, context: &BTreeMap<&'static str, String>) -> Ask {
    let action = match operation {
        "ListObjectsV2" => "ListBucket",
        // A copy reads its source and writes its target; so do uploads in parts.
        "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            "PutObject"
        }
        "HeadObject" => "GetObject",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListObjectVersions" => "ListBucketVersions",
        "DeleteObjects" => "DeleteObject",
        "ListParts" => "ListMultipartUploadParts",
        other => other,
    };
    let ask = Ask::new(&format!("s3:{action}"), format!("arn:aws:s3:::{target}"));
    let mut ask = ask.with("aws:SecureTransport", "true");
    ask.context.extend(context.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    ask
}

fn of_ecs(operation: &str, target: &str, context: &BTreeMap<&'static str, String>) -> Vec<Ask> {
    let cluster = context.get("ecs:cluster").map_or("", String::as_str);
    let with = |mut ask: Ask, key: &str| {
        ask.context.extend(context.get(key).map(|value| (key.to_owned(), value.clone())));
        ask
    };
    let ask = |resource: String| {
        let cluster = format!("arn:aws:ecs:{ACCOUNT}:cluster/{cluster}");
        Ask::new(&format!("ecs:{operation}"), resource).with("ecs:cluster", cluster)
    };
    match operation {
        "ListTasks" => vec![ask("*".to_owned())],
        "DescribeTasks" => vec![ask(format!("arn:aws:ecs:{ACCOUNT}:task/{cluster}/some"))],
        "StopTask" => vec![with(ask(target.to_owned()), "aws:ResourceTag/gapmend")],
        "RunTask" => {
            let is_arn = target.starts_with("arn:");
            let short = format!("arn:aws:ecs:{ACCOUNT}:task-definition/{target}");
            let roles =
                ["liberator-to-rds-snapshot-task-role", "liberator-to-rds-snapshot-fargate"];
            let run = ask(if is_arn { target.to_owned() } else { short });
            let passed = roles.map(|role| pass_role(role, "ecs-tasks.amazonaws.com"));
            let tag =
                Ask::new("ecs:TagResource", format!("arn:aws:ecs:{ACCOUNT}:task/{cluster}/*"));
            let tag = with(tag.with("ecs:CreateAction", "RunTask"), "aws:RequestTag/gapmend");
            [run, tag].into_iter().chain(passed).collect()
        }
        other => panic!("what does ecs:{other} ask of IAM?"),
    }
}

fn pass_role(role: &str, to: &str) -> Ask {
    let resource = format!("arn:aws:iam::111122223333:role/{role}");
    Ask::new("iam:PassRole", resource).with("iam:PassedToService", to)
}
