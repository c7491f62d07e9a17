//! What must hold across keys and across datasets.

use super::*;

const HOLDING: &str = r#"dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "2h" }"#;

#[test]
fn a_date_the_live_workflow_would_take_in_too_is_refused() {
    let young = "[datasets.demo.window]\nmin_age_days = 5\n";
    let live = "[datasets.demo.publish]\nworkflow = \"w\"\nlive_workflow = \"live\"\n";
    assert!(keys(&small_and(young)).is_empty());
    insta::assert_snapshot!(complaints(&small_and(&format!("{young}{live}"))), @r"
    error: datasets.demo.window.min_age_days: 5 is too young where publish.live_workflow is set; expected 6 or more
       --> gapmend.toml:26:16
        |
     26 | min_age_days = 5
        |                ^
        = help: the live workflow takes in the landing files of the last days by itself, so a younger date would be in raw twice

    the configuration has 1 problem
    ");
    assert!(keys(&small_and(&format!("{}{live}", young.replace('5', "6")))).is_empty());
}

#[test]
fn the_ledger_is_never_in_a_landing_bucket() {
    let text = small_and("[ledger]\nurl = \"s3://demo-landing/gapmend\"");
    insta::assert_snapshot!(complaints(&text), @r#"
    error: ledger.url: `demo-landing` is the landing bucket of dataset `demo`; expected another bucket
       --> gapmend.toml:26:7
        |
     26 | url = "s3://demo-landing/gapmend"
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
        = help: any write to a landing bucket fires the live ingestion

    the configuration has 1 problem
    "#);
    assert!(keys(&small_and("[ledger]\nurl = \"s3://demo-ledger/gapmend\"")).is_empty());
}

#[test]
fn the_waits_fit_into_the_hold_and_the_hold_before_the_dead_man() {
    let with = |more: &str| keys(&small_and(&format!("{HOLDING}\n{more}")));
    assert!(with("").is_empty());
    assert_eq!(
        with("max_hold = \"17m\""),
        [
            "datasets.demo.trigger.max_hold: 17m is not longer than propagation and settle together, 17m"
        ]
    );
    assert_eq!(
        with("max_hold = \"2h\""),
        ["datasets.demo.trigger.dead_man.after: 2h is not after max_hold, 2h; \
          the dead man would release a rule still held"]
    );
    assert!(with("hold = \"never\"\nmax_hold = \"3h\"").is_empty());
}

#[test]
fn an_accepted_risk_still_needs_waits_that_fit() {
    let with = |more: &str| keys(&small_and(&format!("dead_man = \"none\"\n{more}")));
    assert!(with("max_hold = \"12h\"").is_empty());
    assert_eq!(with("max_hold = \"10m\"").len(), 1);
}

#[test]
fn holding_without_a_dead_man_is_a_warning_until_it_is_certain() {
    let acting = |more: &str| {
        let text = small_and(more);
        text.replace(
            "[datasets.demo.landing]",
            "[datasets.demo]\nmode = \"auto\"\n[datasets.demo.landing]",
        )
    };
    assert!(keys(SMALL).is_empty(), "observe never holds");
    assert_eq!(
        keys(&acting("")),
        ["warning: datasets.demo.trigger.dead_man: missing, so the rule cannot be held and \
          `upload` is refused"]
    );
    assert!(keys(&acting("hold = \"never\"")).is_empty());
    assert!(keys(&acting("dead_man = \"none\"")).is_empty());
    let certain = keys(&acting("hold = \"run\""));
    assert!(certain[0].starts_with("datasets.demo.trigger.dead_man: missing"), "{certain:?}");
    let staging = acting("").replace("container =", "other_name = \"stage\"\ncontainer =");
    assert!(keys(&staging)[0].starts_with("datasets.demo.trigger.dead_man: missing"));
}

#[test]
fn a_hold_that_ends_before_the_load_is_a_warning() {
    let run = |more: &str| keys(&small_and(&format!("{HOLDING}\nhold = \"run\"\n{more}")));
    assert_eq!(
        run(""),
        ["warning: datasets.demo.trigger.max_hold: 1h 30m is not longer than load.expected, 3h; \
          with hold = \"run\" the task is stopped before it is through"]
    );
    let text = small_and(&format!("{HOLDING}\nhold = \"run\""));
    assert!(keys(&text.replace("container =", "expected = \"1h\"\ncontainer =")).is_empty());
}

#[test]
fn staging_is_refused_where_nothing_is_ever_held() {
    let text =
        small_and("hold = \"never\"").replace("container =", "other_name = \"stage\"\ncontainer =");
    assert_eq!(keys(&text).len(), 1);
    assert!(keys(&text)[0].starts_with("datasets.demo.load.other_name: \"stage\" writes"));
}

#[test]
fn the_network_comes_from_a_trigger_that_exists() {
    let without = small_but("[datasets.demo.trigger]\nrule = \"landed\"\n", "");
    insta::assert_snapshot!(complaints(&without), @r#"
    error: datasets.demo.load.network: "from_trigger" needs a rule to take it from, and there is no trigger section
       --> gapmend.toml:16:16
        |
     16 | [datasets.demo.load]
        |                ^^^^
        = help: add [datasets.demo.trigger] with `rule`, or write the network as a table with `subnets` and `security_groups`

    the configuration has 1 problem
    "#);
    let inline = without.replace(
        "container =",
        "network = { subnets = [\"subnet-1\"], security_groups = [\"sg-1\"] }\ncontainer =",
    );
    let NetworkSource::Inline { network, .. } = dataset(&inline).load.network else { panic!() };
    assert!(!network.assign_public_ip);
    let no_group = inline.replace("[\"sg-1\"]", "[]");
    assert!(keys(&no_group)[0].starts_with("datasets.demo.load.network.security_groups: empty"));
}

#[test]
fn a_broken_trigger_is_not_reported_as_an_absent_one() {
    let text =
        small_but("[datasets.demo.trigger]\nrule = \"landed\"\n", "[datasets.demo]\ntrigger = 3\n");
    assert_eq!(keys(&text), ["datasets.demo.trigger: found the number `3`, expected a table"]);
}

#[test]
fn the_first_date_is_not_in_the_future() {
    let from = |date: &str| keys(&small_and(&format!("[datasets.demo.window]\nfrom = {date}")));
    assert!(from("2026-11-22").is_empty());
    assert_eq!(
        from("2026-11-23"),
        ["datasets.demo.window.from: 2026-11-23 is in the future; today is 2026-11-22"]
    );
}

#[test]
fn two_datasets_share_neither_a_landing_place_nor_a_rule() {
    let second = SMALL.split_once("account_id = \"111122223333\"").unwrap().1;
    let text = small_and(&second.replace("datasets.demo", "datasets.other"));
    assert_eq!(
        keys(&text),
        [
            "datasets.other.landing.prefix: s3://demo-landing/ is the landing place of dataset `demo`",
            "datasets.other.trigger.rule: `landed` is the rule of dataset `demo`",
        ]
    );
}

#[test]
fn a_dataset_is_named_in_small_letters() {
    for name in ["Demo", "-demo", "\"a b\"", "\"\"", &"x".repeat(41)] {
        let text = SMALL.replace("datasets.demo", &format!("datasets.{name}"));
        let found = keys(&text);
        assert!(found.iter().any(|it| it.contains("not a dataset's name")), "{name}: {found:?}");
    }
    for name in ["1st", "env-enforcement", "a_b", &"x".repeat(40)] {
        assert!(keys(&SMALL.replace("datasets.demo", &format!("datasets.{name}"))).is_empty());
    }
}

#[test]
fn entries_have_dates_and_a_reason_and_waived_ones_an_owner() {
    let entry = |line: &str| keys(&small_and(&format!("[datasets.demo.backfill]\n{line}")));
    assert!(entry("allow.a = { dates = 2022-06-01, reason = \"r\" }").is_empty());
    assert_eq!(entry("deny.a = { owner = \"o\" }").len(), 2, "both dates and reason are missing");
    assert_eq!(
        entry("waive.a = { dates = \"2022-06-01\", reason = \"r\" }"),
        [
            "datasets.demo.backfill.waive.a.owner: missing; expected who answers for doing without this data"
        ]
    );
    assert!(entry("freeze.a = { dates = [], reason = \"r\" }")[0].contains("dates: empty"));
}

#[test]
fn a_date_both_allowed_and_denied_is_a_warning() {
    let text = small_and(
        "[datasets.demo.backfill]\n\
         allow.june = { dates = [\"2022-06-01..2022-06-30\"], reason = \"r\" }\n\
         deny.broken = { dates = [\"2022-06-29..2022-07-02\"], reason = \"r\" }\n",
    );
    assert_eq!(
        keys(&text),
        ["warning: datasets.demo.backfill.allow.june.dates: 2022-06-29..2022-06-30 is denied by \
          `deny.broken`, and deny wins"]
    );
}

#[test]
fn a_task_that_reads_a_name_no_dump_has_is_a_warning() {
    let text = small_but("dump_key = \"dump_%Y%m%d.zip\"", "dump_key = \"dump_%y%m%d.zip\"");
    assert!(keys(&text)[0].starts_with("warning: datasets.demo.load.dump_key: `dump_%y%m%d.zip`"));
}

#[test]
fn without_a_dataset_there_is_nothing_to_do() {
    let text = "[aws]\nregion = \"eu-west-2\"\naccount_id = \"111122223333\"\n";
    assert_eq!(
        keys(text),
        ["datasets: missing; expected at least one table such as [datasets.NAME]"]
    );
}

#[test]
fn the_dataset_meant_is_found_or_named() {
    let settings = loads(SMALL).settings;
    assert_eq!(settings.dataset(None).unwrap().name, "demo");
    assert_eq!(
        settings.dataset(Some("dmeo")).unwrap_err().to_string(),
        "there is no dataset `dmeo`; did you mean `demo`?"
    );
    let second = SMALL.split_once("account_id = \"111122223333\"").unwrap().1;
    let second = second.replace("demo", "other").replace("landed", "arrived");
    let settings = loads(&small_and(&second)).settings;
    assert_eq!(
        settings.dataset(None).unwrap_err().to_string(),
        "there are several datasets; name one with --dataset: `demo`, `other`"
    );
    assert_eq!(settings.dataset(Some("other")).unwrap().landing.bucket, "other-landing");
}

const EXPORT: &str =
    "[datasets.demo.export]\nsnapshot_id = \"s-%Y-%m-%d\"\nbucket = \"demo-exports\"\n";
const PUBLISH: &str = "[datasets.demo.publish]\nworkflow = \"w\"\n";

#[test]
fn a_copy_has_a_folder_of_a_date_and_its_neighbours() {
    let copy = |more: &str| {
        format!("[datasets.demo.copy]\nbucket = \"demo-copy\"\nprefix = \"db\"\n{more}")
    };
    let with = |copy: &str| keys(&small_and(&format!("{EXPORT}{PUBLISH}{copy}")));
    assert_eq!(with(&copy("")), [""; 0]);
    let bare = keys(&small_and(&copy("")));
    assert_eq!(bare.len(), 2, "no export and no publish: {bare:?}");
    for folder in ["import_date=%Y%m%d", "/d=%Y%m%d/", "d=%Y%m/"] {
        let found = with(&copy(&format!("folder = \"{folder}\"")));
        assert!(found.len() == 1 && found[0].contains("copy.folder"), "{folder}: {found:?}");
    }
    let found = with("[datasets.demo.copy]\nbucket = \"demo-copy\"\nprefix = \"\"\n");
    assert!(found.len() == 1 && found[0].contains("copy.prefix"), "{found:?}");
}

#[test]
fn what_cannot_be_seen_between_export_and_raw_is_a_warning() {
    let warned =
        |text: &str| loads(text).warnings.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    assert_eq!(warned(&small_and(&format!("{EXPORT}{PUBLISH}"))), ["datasets.demo.copy"]);
    let copy = "[datasets.demo.copy]\nbucket = \"demo-copy\"\nprefix = \"db/\"\n";
    assert!(warned(&small_and(&format!("{EXPORT}{PUBLISH}{copy}"))).is_empty());
    let hidden = EXPORT.replace("bucket = \"demo-exports\"\n", "");
    assert_eq!(warned(&small_and(&format!("{hidden}{PUBLISH}{copy}"))), ["datasets.demo.copy"]);
}
