//! What gapmend is built from, held against `deny.toml`: where every dependency comes from,
//! under which licence, and that none of the banned ones is back.
//!
//! `cargo deny` asks the same, and the advisories besides; this asks it wherever the tests run.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package that is built for Linux, but ourselves.
fn dependencies() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(ROOT).args(["metadata", "--format-version=1", "--locked", "--offline"]);
    let output = command.arg("--filter-platform=x86_64-unknown-linux-gnu").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let resolved = metadata["resolve"]["nodes"].as_array().unwrap();
    let ids: BTreeSet<&str> = resolved.iter().map(|node| node["id"].as_str().unwrap()).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let built = packages.filter(|it| ids.contains(it["id"].as_str().unwrap()));
    built.filter(|it| it["name"] != "gapmend").cloned().collect()
}

fn deny() -> toml_edit::DocumentMut {
    std::fs::read_to_string(format!("{ROOT}/deny.toml")).unwrap().parse().unwrap()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn everything_comes_from_crates_io() {
    for package in dependencies() {
        assert_eq!(package["source"], CRATES_IO, "{}", name(&package));
    }
}

#[test]
fn every_licence_is_one_of_those_that_are_allowed() {
    let deny = deny();
    let listed = deny["licenses"]["allow"].as_array().unwrap().iter();
    let allowed: BTreeSet<&str> = listed.map(|it| it.as_str().unwrap()).collect();
    for package in dependencies() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(permits(licence, &allowed), "{}: {licence:?}", name(&package));
    }
}

#[test]
fn nothing_that_is_banned_is_back() {
    let deny = deny();
    let dependencies = dependencies();
    for ban in deny["bans"]["deny"].as_array().unwrap() {
        let ban = ban.as_inline_table().unwrap();
        let (krate, why) = (ban["crate"].as_str().unwrap(), ban["reason"].as_str().unwrap());
        let (banned, below) = krate.split_once(":<").unwrap_or((krate, ""));
        for package in dependencies.iter().filter(|it| name(it) == banned) {
            let version = package["version"].as_str().unwrap();
            assert!(!below.is_empty() && !is_below(version, below), "{banned} {version}: {why}");
        }
    }
}

fn is_below(version: &str, limit: &str) -> bool {
    let numbers =
        |text: &str| -> Vec<u64> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    numbers(version) < numbers(limit)
}

/// Whether a choice of the licences that an SPDX expression offers is allowed.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (permitted, rest) = any_of(&words, allowed);
    permitted && rest.is_empty()
}

fn any_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    let (mut permitted, mut rest) = all_of(words, allowed);
    while let ["OR", more @ ..] = rest {
        let (next, after) = all_of(more, allowed);
        (permitted, rest) = (permitted | next, after);
    }
    (permitted, rest)
}

fn all_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    let (mut permitted, mut rest) = one(words, allowed);
    while let ["AND", more @ ..] = rest {
        let (next, after) = one(more, allowed);
        (permitted, rest) = (permitted & next, after);
    }
    (permitted, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => match any_of(inner, allowed) {
            (permitted, [")", rest @ ..]) => (permitted, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            (allowed.contains(format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (allowed.contains(licence), rest),
        [] => (false, &[]),
    }
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, permitted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("Apache-2.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(MIT OR GPL-3.0) AND GPL-2.0", false),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("", false),
        ("(MIT", false),
    ] {
        assert_eq!(permits(expression, &allowed), permitted, "{expression}");
    }
}
