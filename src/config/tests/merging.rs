//! The layers: which one wins, what is merged and what is replaced.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A directory with the small configuration in it.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("gapmend.toml");
    fs::write(&main, SMALL).unwrap();
    (directory, main)
}

fn with_environment(variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_text(SMALL, &variables.iter().copied().collect(), now())
}

#[test]
fn a_missing_file_is_an_error_and_no_parent_is_searched() {
    let (directory, _) = directory();
    let below = directory.path().join("below");
    fs::create_dir(&below).unwrap();
    let problems = load(&below.join("gapmend.toml"), &no_environment(), now()).unwrap_err();
    let text = problems.to_string();
    assert!(text.contains("cannot be read"), "{text}");
    assert!(text.contains("below/gapmend.toml"), "{text}");
}

#[test]
fn a_file_that_is_no_configuration_is_refused_before_it_is_read_through() {
    let (_directory, main) = directory();
    let refusal = || load(&main, &no_environment(), now()).unwrap_err().to_string();
    fs::write(&main, [b'#', 0xff, 0xfe]).unwrap();
    assert!(refusal().contains("not UTF-8 text"));
    fs::write(&main, "# much\n".repeat(200_000)).unwrap();
    assert!(refusal().contains("larger than 1048576 bytes"));
}

#[test]
fn a_variable_may_hold_the_text_of_the_file_and_is_named_in_complaints() {
    let nowhere = PathBuf::from("/nonexistent/gapmend.toml");
    let load_from = |text: &str| {
        let environment =
            [("GAPMEND_CONFIG_TEXT", text), ("GAPMEND_CONFIG__AWS__REGION", "eu-west-1")];
        load(&nowhere, &environment.into_iter().collect(), now())
    };
    assert_eq!(load_from(SMALL).unwrap().settings.aws.region, "eu-west-1");
    let problems = load_from("nonsense = 1\n").unwrap_err().to_string();
    assert!(problems.contains("GAPMEND_CONFIG_TEXT:1:1"), "{problems}");
}

#[test]
fn a_table_in_a_variable_is_merged_and_a_part_of_it_overridden() {
    let prefix = "GAPMEND_CONFIG__DATASETS__DEMO__TRIGGER__DEAD_MAN";
    let loaded = with_environment(&[
        (prefix, "{ group = \"g\", role_arn = \"r\", after = \"2h\" }"),
        (&format!("{prefix}__AFTER"), "3h"),
    ])
    .unwrap();
    let trigger = loaded.settings.dataset(None).unwrap().trigger.clone().unwrap();
    let Some(DeadManSettings::Schedule { group, after, .. }) = trigger.dead_man else { panic!() };
    assert_eq!((group.as_str(), after.as_secs()), ("g", 10_800));
}

#[test]
fn files_of_conf_d_add_entries_in_the_order_of_their_names() {
    let (directory, main) = directory();
    let layers = directory.path().join("conf.d");
    fs::create_dir(&layers).unwrap();
    let entry = |name: &str, date: &str| {
        format!("[datasets.demo.backfill]\nallow.{name} = {{ dates = {date}, reason = \"r\" }}\n")
    };
    fs::write(layers.join("20-b.toml"), entry("both", "2022-06-02")).unwrap();
    fs::write(
        layers.join("10-a.toml"),
        entry("both", "2022-06-01") + "allow.a = { dates = 2022-06-03, reason = \"r\" }",
    )
    .unwrap();
    fs::write(layers.join("notes.txt"), "not a layer").unwrap();
    fs::write(layers.join(".10-a.toml.swp.toml"), "not = a layer").unwrap();
    let settings = load(&main, &no_environment(), now()).unwrap().settings;
    let allow = &settings.dataset(None).unwrap().backfill.allow;
    assert_eq!(allow.keys().collect::<Vec<_>>(), ["a", "both"]);
    assert_eq!(allow["both"].dates[0].to_string(), "2022-06-02");
    let names: Vec<_> = settings.sources.iter().map(|it| it.file_name().unwrap()).collect();
    assert_eq!(names, ["gapmend.toml", "10-a.toml", "20-b.toml"]);
}

#[test]
fn a_problem_names_the_file_that_has_the_last_word() {
    let (directory, main) = directory();
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    let layer = directory.path().join("conf.d/10-slow.toml");
    fs::write(&layer, "[datasets.demo.load]\npoll = \"soon\"\n").unwrap();
    let problems = load(&main, &no_environment(), now()).unwrap_err();
    let Place::Line { file, line, column, .. } = &problems.0[0].place else { panic!() };
    assert_eq!((file, *line, *column), (&layer, 2, 8));
}

#[test]
fn lists_are_replaced_and_never_joined() {
    let (directory, main) = directory();
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    let layer = "[datasets.demo.landing]\nkeys = [\"other_%Y%m%d.zip\", \"dump_%Y%m%d.zip\"]\n";
    fs::write(directory.path().join("conf.d/keys.toml"), layer).unwrap();
    let settings = load(&main, &no_environment(), now()).unwrap().settings;
    assert_eq!(settings.dataset(None).unwrap().landing.keys.len(), 2);
}

#[test]
fn the_environment_wins_and_keeps_a_leading_zero() {
    let loaded = with_environment(&[
        ("GAPMEND_CONFIG__AWS__ACCOUNT_ID", "012345678901"),
        ("GAPMEND_CONFIG__AWS__MAX_IN_FLIGHT", "4"),
        ("GAPMEND_CONFIG__AWS__REGION", "\"eu-west-1\""),
        ("GAPMEND_CONFIG__DATASETS__DEMO__WINDOW__CHECK_OBJECTS", "false"),
        ("GAPMEND_CONFIG__DATASETS__DEMO__RAW__MAIN__TABLES", "[\"a\", \"b*\"]"),
        ("GAPMEND_CONFIG__DATASETS__DEMO__LANDING__MIN_SIZE", "2048"),
        (
            "GAPMEND_CONFIG__DATASETS__DEMO__BACKFILL__ALLOW__JUNE",
            "{ dates = \"2022-06-01\", reason = \"r\" }",
        ),
        ("GAPMEND_LOG", "debug"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    let aws = &loaded.settings.aws;
    assert_eq!(aws.account_id, "012345678901");
    assert_eq!((aws.max_in_flight, aws.region.as_str()), (4, "eu-west-1"));
    let dataset = loaded.settings.dataset(None).unwrap();
    assert!(!dataset.window.check_objects);
    assert_eq!(dataset.raw["main"].tables.len(), 2);
    assert_eq!(dataset.landing.min_size, 2048);
    assert!(dataset.backfill.allow.contains_key("june"));
}

#[test]
fn a_variable_means_the_key_that_is_there_whatever_its_hyphens() {
    let text = SMALL.replace("raw.main", "raw.env-enforcement");
    let environment = [("GAPMEND_CONFIG__DATASETS__DEMO__RAW__ENV_ENFORCEMENT__DATABASE", "other")];
    let loaded = load_text(&text, &environment.into_iter().collect(), now()).unwrap();
    assert_eq!(loaded.settings.dataset(None).unwrap().raw["env-enforcement"].database, "other");
}

#[test]
fn a_wrong_variable_is_named_and_an_unknown_one_is_not_shown() {
    let problems = with_environment(&[
        ("GAPMEND_CONFIG__AWS__MAX_IN_FLIGHT", "lots"),
        ("GAPMEND_CONFIG__AWS__SECRET_KEY", "hunter2"),
        ("GAPMEND_CONFIG__AWS__", "x"),
    ])
    .unwrap_err();
    let text = problems.to_string() + "\n";
    assert!(text.contains("environment variable GAPMEND_CONFIG__AWS__\n"), "{text}");
    let problems = with_environment(&[
        ("GAPMEND_CONFIG__AWS__MAX_IN_FLIGHT", "lots"),
        ("GAPMEND_CONFIG__AWS__SECRET_KEY", "hunter2"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(problems, @r"
    error: aws.max_in_flight: found the text `lots`, expected a whole number from 1 to 64
     --> environment variable GAPMEND_CONFIG__AWS__MAX_IN_FLIGHT

    error: aws.secret_key: unknown key `secret_key`
     --> environment variable GAPMEND_CONFIG__AWS__SECRET_KEY
      = help: the keys here are `region`, `account_id`, `max_in_flight`, `endpoint_url`

    the configuration has 2 problems
    ");
}

#[test]
fn the_usual_endpoint_variable_counts_where_no_file_speaks() {
    let loaded = with_environment(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")]).unwrap();
    assert_eq!(loaded.settings.aws.endpoint_url.as_deref(), Some("http://127.0.0.1:5000"));
    let text = small_but("[aws]", "[aws]\nendpoint_url = \"http://127.0.0.1:6000\"");
    let environment = [("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")].into_iter().collect();
    let loaded = load_text(&text, &environment, now()).unwrap();
    assert_eq!(loaded.settings.aws.endpoint_url.as_deref(), Some("http://127.0.0.1:6000"));
}

#[test]
fn the_hash_is_of_what_counts_and_not_of_how_it_is_written() {
    let plain = loads(SMALL).settings.hash;
    assert_eq!(plain.len(), 64);
    let said = loads(&small_but("[aws]", "# a comment\n[aws]\nmax_in_flight = 8")).settings.hash;
    assert_eq!(plain, said, "a default that is written down changes nothing");
    let changed = loads(&small_but("[aws]", "[aws]\nmax_in_flight = 9")).settings.hash;
    assert_ne!(plain, changed);
}
