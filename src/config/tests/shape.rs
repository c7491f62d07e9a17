//! Single values: unknown keys, wrong types, bad words; where they are and what they say.

use super::*;

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    let text = r#"
[aws]
regoin = "eu-west-2"
account_id = 111122223333
max_in_flight = "many"

[schedule]
scan = "0 2 30 2 *"
timezone = "Europe/Lodnon"

[datasets.demo.landing]
bucket = "demo-landing"
keys = ["dump_%Y%m%d.zip", "dump_%Y%m.zip"]
min_size = "1 banana"

[datasets.demo.calendar]
except.summer = { dates = ["2026-08-10..2026-08-01", 2026-08-05, "2026-02-30"], reason = "closed" }

[datasets.demo.load]
poll = "often"
other_name = "stages"
"#;
    insta::assert_snapshot!(complaints(text), @r#"
    error: aws.region: missing; expected a region such as "eu-west-2"
      --> gapmend.toml:2:2
       |
     2 | [aws]
       |  ^^^

    error: aws.regoin: unknown key `regoin`
      --> gapmend.toml:3:1
       |
     3 | regoin = …
       | ^^^^^^
       = help: did you mean `region`?

    error: aws.account_id: found the number `111122223333`, expected twelve digits in quotes, such as "111122223333"
      --> gapmend.toml:4:14
       |
     4 | account_id = 111122223333
       |              ^^^^^^^^^^^^

    error: aws.max_in_flight: found the text `many`, expected a whole number from 1 to 64
      --> gapmend.toml:5:17
       |
     5 | max_in_flight = "many"
       |                 ^^^^^^

    error: schedule.scan: `0 2 30 2 *` never fires
      --> gapmend.toml:8:8
       |
     8 | scan = "0 2 30 2 *"
       |        ^^^^^^^^^^^^
       = help: a scan is nightly work: write one fixed time, such as "0 4 * * *"

    error: schedule.timezone: `Europe/Lodnon` is not a time zone that I know; did you mean `Europe/London`?
      --> gapmend.toml:9:12
       |
     9 | timezone = "Europe/Lodnon"
       |            ^^^^^^^^^^^^^^^

    error: datasets.demo.raw: missing; expected at least one table such as `raw.NAME` with `database` and `tables`
       --> gapmend.toml:11:11
        |
     11 | [datasets.demo.landing]
        |           ^^^^

    error: datasets.demo.landing.keys[1]: `dump_%Y%m.zip` does not name a whole day; it needs a year, a month and a day, e.g. %Y%m%d
       --> gapmend.toml:13:28
        |
     13 | keys = ["dump_%Y%m%d.zip", "dump_%Y%m.zip"]
        |                            ^^^^^^^^^^^^^^^

    error: datasets.demo.landing.min_size: found the text `1 banana`, expected a size such as "1KiB", "10MB" or a number of bytes
       --> gapmend.toml:14:12
        |
     14 | min_size = "1 banana"
        |            ^^^^^^^^^^

    error: datasets.demo.calendar.except.summer.dates[0]: the range 2026-08-10..2026-08-01 ends before it begins
       --> gapmend.toml:17:28
        |
     17 | except.summer = { dates = ["2026-08-10..2026-08-01", 2026-08-05, "2026-02-30"], reason = "closed" }
        |                            ^^^^^^^^^^^^^^^^^^^^^^^^

    error: datasets.demo.calendar.except.summer.dates[2]: `2026-02-30` is not a date like 2022-06-01 or a range like 2022-06-10..2022-06-20
       --> gapmend.toml:17:66
        |
     17 | except.summer = { dates = ["2026-08-10..2026-08-01", 2026-08-05, "2026-02-30"], reason = "closed" }
        |                                                                  ^^^^^^^^^^^^

    error: datasets.demo.load.network: "from_trigger" needs a rule to take it from, and there is no trigger section
       --> gapmend.toml:19:16
        |
     19 | [datasets.demo.load]
        |                ^^^^
        = help: add [datasets.demo.trigger] with `rule`, or write the network as a table with `subnets` and `security_groups`

    error: datasets.demo.load.cluster: missing; expected the ECS cluster
       --> gapmend.toml:19:16
        |
     19 | [datasets.demo.load]
        |                ^^^^

    error: datasets.demo.load.task_definition: missing; expected the task definition's family
       --> gapmend.toml:19:16
        |
     19 | [datasets.demo.load]
        |                ^^^^

    error: datasets.demo.load.container: missing; expected the name of the container
       --> gapmend.toml:19:16
        |
     19 | [datasets.demo.load]
        |                ^^^^

    error: datasets.demo.load.dump_key: missing; expected a text with strftime letters that names a whole day
       --> gapmend.toml:19:16
        |
     19 | [datasets.demo.load]
        |                ^^^^

    error: datasets.demo.load.poll: found the text `often`, expected a duration such as "15m", "1h 30m" or "200ms"
       --> gapmend.toml:20:8
        |
     20 | poll = "often"
        |        ^^^^^^^

    error: datasets.demo.load.other_name: found `stages`, expected one of `refuse`, `stage`
       --> gapmend.toml:21:14
        |
     21 | other_name = "stages"
        |              ^^^^^^^^
        = help: did you mean `stage`?

    the configuration has 18 problems
    "#);
}

#[test]
fn a_syntax_error_is_shown_where_it_is() {
    insta::assert_snapshot!(complaints("[aws]\nregion = \"eu-west-2\naccount_id = 1\n"), @r#"
    error: not valid TOML: invalid basic string, expected `"`
      --> gapmend.toml:2:20
       |
     2 | region = "eu-west-2
       |                    ^

    the configuration has 1 problem
    "#);
    assert!(complaints("[aws]\nregion = \"a\"\nregion = \"b\"\n").contains("gapmend.toml:3:1"));
}

#[test]
fn what_may_be_a_secret_is_never_printed() {
    for text in [
        "[aws]\nsecret_access_key = \"hunter2\"",
        "[aws]\nanything = \"hunter2\"",
        "password = \"hunter2",
        "token = hunter2",
        "[aws]\nendpoint_url = \"http://me:hunter2@127.0.0.1/\"",
        "[hunter]\nx = { password = \"hunter2\" }",
    ] {
        let said = complaints(text);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn types_are_told_in_the_words_of_toml() {
    let one = |line: &str| keys(&small_and(line)).join("\n");
    let cases = [
        (
            "[http]\nlisten = 9464",
            "http.listen: found the number `9464`, expected an address and a port such as \"127.0.0.1:9464\"",
        ),
        (
            "[http]\nlisten = [\"a\"]",
            "http.listen: found a list, expected an address and a port such as \"127.0.0.1:9464\"",
        ),
        (
            "[datasets.demo.window]\ncheck_objects = \"yes\"",
            "datasets.demo.window.check_objects: found the text `yes`, expected true or false",
        ),
        (
            "[datasets.demo.window]\nlookback_days = 0",
            "datasets.demo.window.lookback_days: found the number `0`, expected a whole number from 1 to 3660",
        ),
        (
            "[datasets.demo.window]\nlookback_days = 1.5",
            "datasets.demo.window.lookback_days: found the number `1.5`, expected a whole number from 1 to 3660",
        ),
        (
            "[datasets.demo.backfill]\nallow = [\"2022-06-01\"]",
            "datasets.demo.backfill.allow: found a list, expected a table",
        ),
        (
            "[datasets.demo.backfill]\nbackoff = 15",
            "datasets.demo.backfill.backoff: found the number `15`, expected a duration such as \"15m\", \"1h 30m\" or \"200ms\"",
        ),
        (
            "[datasets.demo.backfill]\nhours = \"2-18\"",
            "datasets.demo.backfill.hours: found the text `2-18`, expected hours of the day such as \"02:00-18:00\" or \"22:00-04:00\"",
        ),
        (
            "[[datasets.demo.calendar]]\nexpect = \"daily\"",
            "datasets.demo.calendar: found a list, expected a table",
        ),
        (
            "[datasets.demo.export]\nsnapshot_id = \"s-%Y-%m-%d\"\npoll = [\"1s\"]",
            "datasets.demo.export.poll: found a list, expected a duration such as \"15m\", \"1h 30m\" or \"200ms\"",
        ),
        (
            "[schedule]\nscan = \"0 0 4 * * * 2027\"",
            "schedule.scan: `0 0 4 * * * 2027` is not a cron expression of five fields, or six with seconds, such as \"0 4 * * *\": Invalid pattern: Pattern must have 5 or 6 fields when years are disallowed",
        ),
        ("http = [\"127.0.0.1:1\"]", "http: found a list, expected a table"),
        (
            "ledger.url = \"/var/lib\"",
            "ledger.url: found the text `/var/lib`, expected \"file:///directory\" or \"s3://bucket/prefix\"",
        ),
    ];
    for (line, expected) in cases {
        // A top-level key must stand before the first table.
        let said = if line.starts_with('[') {
            one(line)
        } else {
            keys(&format!("{line}\n{SMALL}")).join("\n")
        };
        assert_eq!(said, expected, "{line}");
    }
}

#[test]
fn inside_a_table_that_can_be_a_word_keys_are_still_checked() {
    let text = small_and("dead_man = { group = \"g\", role = \"r\", after = \"soon\" }");
    assert_eq!(
        keys(&text),
        [
            "datasets.demo.trigger.dead_man.role_arn: missing; expected the role that the scheduler takes",
            "datasets.demo.trigger.dead_man.role: unknown key `role`",
            "datasets.demo.trigger.dead_man.after: found the text `soon`, expected a duration such as \"15m\", \"1h 30m\" or \"200ms\"",
        ]
    );
}

#[test]
fn fifteen_capital_m_is_not_a_quarter_of_an_hour() {
    let said = keys(&small_but("cluster =", "expected = \"15M\"\ncluster ="));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("`15M` is 1year"), "{said:?}");
}

#[test]
fn zero_is_a_wait_and_not_a_limit() {
    let waits = "dead_man = \"none\"\npropagation = \"0s\"\nsettle = \"0\"\nmax_hold = \"50ms\"\n\
                 [datasets.demo.backfill]\nbackoff = \"0s\"\n";
    let dataset = dataset(&small_and(waits));
    assert!(dataset.backfill.backoff.is_zero());
    let zero = small_but("container =", "poll = \"0s\"\ncontainer =");
    assert_eq!(keys(&zero), ["datasets.demo.load.poll: `0s` is zero; expected more than that"]);
}

#[test]
fn every_spelling_of_a_value_is_read() {
    let dataset = dataset(&small_and(
        r#"
arrival = "23:05"
hold = "never"

[datasets.demo.calendar]
expect = ["sun", "sat", "sun"]
ready_by = "D 23:00"
also.extra = { dates = "2026-01-01", reason = "r", owner = "o", ticket = "t", until = 2026-12-31 }

[datasets.demo.backfill]
hours = "22:00-04:00"
order = "oldest_first"
waive.outage = { dates = ["2021-11-30", 2021-12-01, "2022-06-10..2022-06-20"], reason = "r", owner = "o" }

[datasets.demo.window]
from = 2021-06-04

[ledger]
url = "s3://demo-ledger//gapmend/"
"#,
    ));
    assert_eq!(dataset.calendar.expect, [chrono::Weekday::Sat, chrono::Weekday::Sun]);
    assert_eq!(dataset.calendar.ready_by.0, 0);
    assert_eq!(dataset.calendar.also["extra"].until, "2026-12-31".parse().ok());
    let spans: Vec<String> =
        dataset.backfill.waive["outage"].dates.iter().map(ToString::to_string).collect();
    assert_eq!(spans, ["2021-11-30", "2021-12-01", "2022-06-10..2022-06-20"]);
    let trigger = dataset.trigger.as_ref().unwrap();
    assert!(matches!(trigger.arrival, Arrival::At(_)));
    assert_eq!(trigger.hold, HoldPolicy::Never);
}

#[test]
fn a_prefix_gets_its_slash_and_loses_none_of_its_letters() {
    let prefix = |text: &str| {
        dataset(&small_but(
            "[datasets.demo.landing]",
            &format!("[datasets.demo.landing]\nprefix = \"{text}\""),
        ))
        .landing
        .prefix
    };
    assert_eq!(prefix("parking"), "parking/");
    assert_eq!(prefix("parking/"), "parking/");
    assert_eq!(prefix(""), "");
}

#[test]
fn a_file_of_nothing_but_mistakes_comes_to_an_end() {
    let lines: Vec<String> = (0..500).map(|number| format!("key{number} = 1")).collect();
    let text = lines.join("\n");
    let Err(problems) = load_text(&text, &no_environment(), now()) else { panic!() };
    assert!(problems.to_string().contains("more than 200 problems"));
    assert!(problems.0.len() < 210);
}
