//! The demo, as the README promises it: no account, no network, nothing left behind.

use crate::stage::{Stage, world};

#[tokio::test]
async fn the_demo_heals_what_can_be_healed_and_leaves_nothing_behind() {
    let stage = Stage::set(world().days(1)).await;
    let temporary = stage.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gapmend"));
    command
        .args(["demo", "--once"])
        .env_clear()
        .env("TMPDIR", &temporary)
        .env("GAPMEND_CONFIG_TEXT", "another configuration")
        .kill_on_drop(true);
    let came = crate::stage::Came::from(command.output().await.unwrap()).with_code(0);
    for words in ["$ gapmend scan", "$ gapmend plan", "/metrics", "succeeded", "quarantined"] {
        assert!(came.stdout.contains(words), "no {words} in\n{}", came.stdout);
    }
    assert!(std::fs::read_dir(&temporary).unwrap().next().is_none(), "its folder is gone");
    assert_eq!(stage.calls(), 0);
}
