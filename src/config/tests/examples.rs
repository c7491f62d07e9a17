//! The files of `config/`: they load as they are, and say what is true.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

use super::*;
use crate::config::gather::canonical;
use crate::config::layers::Layers;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

#[test]
fn the_reference_loads_as_it_is() {
    let loaded = load(&file("default.toml"), &no_environment(), now()).unwrap();
    assert_eq!(loaded.settings.dataset(None).unwrap().name, "example");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

/// Every value by its path.
fn leaves(value: &Json, path: &str, found: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(table) => {
            for (key, value) in table {
                leaves(value, &format!("{path}.{key}"), found);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

#[test]
fn the_reference_writes_the_defaults_down() {
    let defaults = toml_leaves(include_str!("../defaults.toml"));
    let reference = toml_leaves(&text("default.toml"));
    for (path, default) in defaults {
        let path = path.replacen(".dataset.", ".datasets.example.", 1);
        let path = path.replacen(".example.raw.", ".example.raw.main.", 1);
        assert_eq!(reference.get(&path), Some(&default), "{path}");
    }
}

fn toml_leaves(text: &str) -> BTreeMap<String, Json> {
    let merged = Layers::from_text(text, &no_environment()).merged;
    let mut written = BTreeMap::new();
    leaves(&canonical(&merged), "", &mut written);
    written
}

/// Every key of the schema, without the names that people choose.
fn schema_keys(schema: &Json, found: &mut Vec<String>) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|inner| schema_keys(inner, found));
        }
        Json::Array(list) => list.iter().for_each(|inner| schema_keys(inner, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn the_reference_has_every_key() {
    let text = text("default.toml");
    let mut keys = Vec::new();
    schema_keys(&schema(), &mut keys);
    for key in keys {
        let written =
            [format!("{key} ="), format!("{key}."), format!(".{key}]"), format!("[{key}")];
        assert!(written.iter().any(|form| text.contains(form)), "default.toml lacks `{key}`");
    }
}

#[test]
fn what_the_reference_has_in_comments_is_right_too() {
    let mut taken = std::collections::BTreeSet::new();
    let with_examples: Vec<String> = text("default.toml")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(example) if is_assignment(example) => example.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    // A key that stands there twice, once as an alternative, is taken the second time.
    let mut lines: Vec<String> = Vec::new();
    for line in with_examples.into_iter().rev() {
        let fresh = !is_assignment(&line) || line.starts_with("network") && taken.insert("network");
        if fresh || !line.starts_with("network") {
            lines.push(line);
        }
    }
    lines.reverse();
    let loaded = loads(&lines.join("\n"));
    let dataset = loaded.settings.dataset(None).unwrap();
    assert!(dataset.backfill.hours.is_some());
    assert!(matches!(dataset.load.network, NetworkSource::Inline { .. }));
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.' || c == '-')
    })
}

#[test]
fn production_loads_as_it_is_and_only_observes() {
    let loaded = load(&file("liberator.toml"), &no_environment(), now()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let liberator = loaded.settings.dataset(Some("liberator")).unwrap();
    assert_eq!(liberator.mode, Mode::Observe);
    assert!(liberator.raw["parking"].selects("liberator_pcn"));
    assert!(!liberator.raw["parking"].selects("liberator_fpn_payments"));
    assert!(liberator.raw["env-enforcement"].selects("liberator_fpn_payments"));
    assert_eq!(liberator.calendar.expect.len(), 7);
    assert_eq!(liberator.load.expected, Duration::from_hours(3));
    let day = "2026-07-14".parse().unwrap();
    assert_eq!(liberator.load.dump_key.render(day), "liberator_dump_20260714.zip");
}

#[test]
fn both_files_name_their_schema() {
    for name in ["default.toml", "liberator.toml"] {
        assert!(text(name).starts_with("#:schema ./gapmend.schema.json\n"), "{name}");
    }
}

/// `GAPMEND_WRITE_SCHEMA=1 cargo test the_committed_schema` writes it anew.
#[test]
fn the_committed_schema_is_the_code_s() {
    let fresh = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if Environment::of_process().get("GAPMEND_WRITE_SCHEMA").is_some() {
        std::fs::write(file("gapmend.schema.json"), &fresh).unwrap();
    }
    let same = text("gapmend.schema.json") == fresh;
    assert!(same, "run `gapmend config schema > config/gapmend.schema.json`");
}

#[test]
fn the_reference_of_every_key_is_what_the_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/configuration.md lags: `gapmend config reference > docs/configuration.md`"
    );
}
