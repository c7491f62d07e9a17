//! Whole configurations: what is said about wrong ones, and what right ones mean.

use chrono::{DateTime, Utc};

use super::*;

mod examples;
mod merging;
mod never_panics;
mod rules;
mod shape;

fn now() -> DateTime<Utc> {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

/// A small configuration that loads: everything required and nothing else.
const SMALL: &str = r#"
[aws]
region = "eu-west-2"
account_id = "111122223333"

[datasets.demo.landing]
bucket = "demo-landing"
keys = ["dump_%Y%m%d.zip"]

[datasets.demo.raw.main]
database = "demo-raw"
tables = ["demo_*"]
partition_key = "import_date"
partition_format = "%Y%m%d"

[datasets.demo.load]
cluster = "workers"
task_definition = "load"
container = "load"
dump_key = "dump_%Y%m%d.zip"

[datasets.demo.trigger]
rule = "landed"
"#;

fn no_environment() -> Environment {
    Environment::default()
}

fn loads(text: &str) -> Loaded {
    load_text(text, &no_environment(), now()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn dataset(text: &str) -> DatasetSettings {
    DatasetSettings::clone(loads(text).settings.dataset(None).unwrap())
}

/// What is said about a wrong configuration.
fn complaints(text: &str) -> String {
    match load_text(text, &no_environment(), now()) {
        Ok(_) => "nothing".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

/// The keys complained about, each with its message.
fn keys(text: &str) -> Vec<String> {
    match load_text(text, &no_environment(), now()) {
        Ok(loaded) => loaded.warnings.iter().map(brief).collect(),
        Err(problems) => problems.0.iter().map(brief).collect(),
    }
}

fn brief(problem: &Problem) -> String {
    let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
    format!("{severity}{}: {}", problem.key, problem.message)
}

/// The small configuration with more at its end.
fn small_and(more: &str) -> String {
    format!("{SMALL}\n{more}")
}

/// The small configuration with one line put in place of another.
fn small_but(line: &str, replaced: &str) -> String {
    assert!(SMALL.contains(line), "{line}");
    SMALL.replace(line, replaced)
}
