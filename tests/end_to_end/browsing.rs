//! The status page as a person meets it, in headless Chromium: content, console, keyboard,
//! accessibility, light and dark, narrow and printed.
//!
//! It runs where `GAPMEND_BROWSER` names the folder that `tests/browser/install.sh` printed.
//! Without it the test says that it was skipped; where `CI` is set it fails instead.
//! `GAPMEND_SCREENSHOTS` names a folder for the pictures.

use std::io::Write;

use gapmend::sim::{DumpKind, Profile, Times};
use serde_json::Value;
use tokio::process::Command;

use crate::serving::Daemon;
use crate::stage::{PATIENCE, Stage, days_ago, terminate, world};

const VARIABLE: &str = "GAPMEND_BROWSER";

#[expect(clippy::disallowed_methods, reason = "how tests are told where their tools are")]
fn drivers() -> Option<String> {
    if let Ok(path) = std::env::var(VARIABLE) {
        return Some(path);
    }
    assert!(
        std::env::var("CI").is_err(),
        "{VARIABLE} is not set: CI must look at the page in a browser (tests/browser/install.sh)"
    );
    // Written past the test harness, which would keep it to itself.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: no browser. {VARIABLE}=\"$(tests/browser/install.sh)\" cargo test runs this test too"
    );
    None
}

#[tokio::test]
async fn the_page_is_read_by_eye_by_ear_and_by_keyboard() {
    let Some(drivers) = drivers() else { return };
    // The newest gap is being published for ever; the others show what a person is told.
    let hanging = Profile { jobs_hang: Times::Always, ..Profile::default() };
    let world = world()
        .gap(days_ago(9))
        .profile(days_ago(9), hanging)
        .gap(days_ago(11))
        .dump(days_ago(13), DumpKind::Truncated)
        .no_dump(days_ago(15))
        .partial(days_ago(17), &["liberator_permit"])
        .gap(days_ago(3));
    let slow = "[datasets.liberator]\npublish = { deadline = \"10m\" }\n";
    let stage = Stage::set_with(world, slow).await;
    let daemon = Daemon::start(&stage).await;
    daemon.until_it_tells("/", "▶ publish").await;

    let seen = looked_at(&drivers, &daemon).await;
    assert_eq!(seen["errors"], serde_json::json!([]), "the console is silent");
    assert_eq!(seen["refresh"], "30", "the page renews itself unless it is told not to");
    let pages = seen["pages"].as_array().unwrap();
    assert!(pages.len() > 8, "the pages of the gaps were not reached: {}", pages.len());
    for page in pages {
        assert_is_fit(page);
    }
    for words in ["Run in progress", "Calendar", "Gaps", "Queue", "Last passes", "Whole through"] {
        assert!(
            pages[0]["text"].as_str().unwrap().contains(words),
            "{words}: {}",
            pages[0]["text"]
        );
    }
    let told = &seen["keyboard"];
    assert_eq!(told["visible"], true, "what a focused date tells is seen: {told}");
    assert!(told["lines"][0].as_str().unwrap().contains("tables"), "{told}");
    assert!(told["arrived"].as_str().unwrap().starts_with("/datasets/liberator/dates/"), "{told}");
    assert_eq!(terminate(daemon.child).await, 0);
}

#[track_caller]
fn assert_is_fit(page: &Value) {
    let name = page["name"].as_str().unwrap();
    assert_eq!(page["status"], 200, "{name}");
    assert_eq!(page["violations"], serde_json::json!([]), "{name}");
    assert_eq!(page["headers"]["x-content-type-options"], "nosniff", "{name}");
    let policy = page["headers"]["content-security-policy"].as_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
    assert!(
        page["overflow"].as_i64().unwrap() <= 0,
        "{name} is wider than its window: {}",
        page["overflow"]
    );
}

#[expect(clippy::disallowed_methods, reason = "how tests are told where pictures go")]
async fn looked_at(drivers: &str, daemon: &Daemon) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/look.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(drivers).arg(format!("http://{}/", daemon.address));
    command.args(std::env::var("GAPMEND_SCREENSHOTS")).kill_on_drop(true);
    let looked = tokio::time::timeout(PATIENCE, command.output()).await;
    let looked = looked.expect("the browser is done in time").unwrap();
    let (told, complained) =
        (String::from_utf8(looked.stdout).unwrap(), String::from_utf8_lossy(&looked.stderr));
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}\n{complained}"))
}
