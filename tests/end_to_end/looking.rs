//! What only looks: `scan`, `plan`, `check`, and configurations that are wrong.

use gapmend::sim::{DumpKind, FaultKind, FaultWhen, Moment};

use crate::stage::{Stage, days_ago, now, world};

#[tokio::test]
async fn scan_tells_every_date_in_its_promised_shape() {
    let (gap, next, absent, half) = (days_ago(12), days_ago(11), days_ago(15), days_ago(18));
    let (empty, loose, young) = (days_ago(20), days_ago(21), days_ago(3));
    let world = world()
        .gap(gap)
        .gap(next)
        .no_dump(absent)
        .partial(half, &["liberator_pcn"])
        .empty(empty)
        .unregistered(loose)
        .dump(days_ago(23), DumpKind::Tiny)
        .gap(young);
    let stage = Stage::set(world).await;
    let scan = stage.json(&["scan"]).await;
    let dataset = &scan["datasets"][0];
    assert_eq!(dataset["dataset"], "liberator");
    assert_eq!(dataset["tables_expected"], 7);
    let scanned_at: chrono::DateTime<chrono::Utc> =
        dataset["scanned_at"].as_str().unwrap().parse().unwrap();
    assert!((now() - scanned_at).num_minutes() < 5);
    let dates = dataset["dates"].as_array().unwrap();
    let entry = |date: chrono::NaiveDate| {
        dates.iter().find(|entry| entry["date"] == date.to_string().as_str()).unwrap()
    };
    for (date, status) in [
        (gap, "missing"),
        (next, "missing"),
        (absent, "no_dump"),
        (half, "partial"),
        (empty, "empty"),
        (loose, "unregistered"),
        (days_ago(23), "bad_dump"),
        (young, "too_young"),
        (days_ago(13), "available"),
    ] {
        assert_eq!(entry(date)["status"], status, "{}", entry(date));
        assert!(!entry(date)["reason"].as_str().unwrap().is_empty());
        assert!(entry(date)["next"].is_string() && entry(date)["flags"].is_array());
    }
    assert_eq!(entry(half)["tables_present"], 6);
    let missing = entry(half)["tables_missing"][0].as_str().unwrap();
    assert!(missing.ends_with("liberator_pcn"), "{missing}");
    let dump = &entry(gap)["dumps"][0];
    let key = gap.format("parking/liberator_dump_%Y%m%d.zip").to_string();
    assert_eq!(dump["key"], key.as_str());
    assert!(dump["size"].as_u64().unwrap() > 1024 && dump["etag"].is_string());
    assert!(dump["last_modified"].is_string());
    let range = dataset["gaps"].as_array().unwrap().iter().find(|gap| gap["dates"] == 2).unwrap();
    assert_eq!(range["from"], gap.to_string().as_str());
    assert_eq!(range["to"], next.to_string().as_str());
    assert_eq!(range["status"], "missing");
    assert_eq!(dataset["whole_through"], days_ago(24).to_string().as_str());
    let counted: u64 =
        dataset["counts"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    let in_window = dates.iter().filter(|entry| entry["in_window"] == true).count();
    assert_eq!(counted, in_window as u64, "the counts add up to the window");
    assert_eq!(stage.calls_of("RunTask"), 0);
}

/// Over the wire: a doubled and a halved date are flagged, every view names the tables beside what
/// is usual, and a heal says how much it wrote.
#[tokio::test]
async fn a_doubled_and_a_halved_date_are_flagged_and_explained() {
    let (doubled, halved, gap) = (days_ago(15), days_ago(20), days_ago(12));
    let stage = Stage::set(world().objects_per_partition(2).gap(gap)).await;
    {
        let mut world = stage.sim.lock();
        let bucket = world.names.raw_bucket.clone();
        let keys = |world: &gapmend::sim::World, date: chrono::NaiveDate| {
            let folder = date.format("liberator_pcn/import_year=%Y").to_string();
            let day = date.format("import_date=%Y%m%d").to_string();
            let objects = world.list_objects(&bucket, "", None, usize::MAX).unwrap();
            let of_day = objects.into_iter().map(|object| object.key);
            of_day.filter(|key| key.contains(&folder) && key.contains(&day)).collect::<Vec<_>>()
        };
        for key in keys(&world, doubled) {
            let body = world.body(&bucket, &key, None).unwrap().clone();
            world.person_writes(&bucket, &key.replace("part-", "again-"), body);
        }
        let one = keys(&world, halved)[0].clone();
        world.delete_object(&bucket, &one).unwrap();
    }
    let scan = stage.json(&["scan"]).await;
    let dates = scan["datasets"][0]["dates"].as_array().unwrap();
    let flagged: Vec<_> = dates
        .iter()
        .filter(|entry| entry["flags"] != serde_json::json!([]))
        .map(|entry| (entry["date"].as_str().unwrap(), &entry["flags"], &entry["status"]))
        .collect();
    let (halved, doubled) = (halved.to_string(), doubled.to_string());
    let odd = serde_json::json!(["odd_volume"]);
    let both = serde_json::json!(["duplicated", "odd_volume"]);
    let available = serde_json::json!("available");
    assert_eq!(flagged, [(&*halved, &odd, &available), (&*doubled, &both, &available)]);
    for (date, percent) in [(&halved, 50), (&doubled, 200)] {
        let why = stage.json(&["explain", date]).await;
        let volumes = why["volumes"].as_array().unwrap();
        assert_eq!((volumes.len(), &why["status"]), (7, &available));
        let odd: Vec<_> = volumes.iter().filter(|volume| volume["odd"] == true).collect();
        assert_eq!(odd.len(), 1);
        assert_eq!(why["tables_odd"], serde_json::json!([odd[0]["table"]]));
        let number = |name: &str| odd[0][name].as_u64().unwrap();
        assert!(odd[0]["table"].as_str().unwrap().ends_with(".liberator_pcn"));
        let is = number("bytes") * 100 / number("usual_bytes");
        assert!(is.abs_diff(percent) < percent / 10, "{is} percent");
        assert!((number("usual_from")..=number("usual_to")).contains(&number("usual_bytes")));
        let text = stage.run(&["explain", date]).await.with_code(0).stdout;
        assert!(text.contains("outside volume_band 40%") && text.contains("neighbours"), "{text}");
    }
    let healed = stage.json(&["heal"]).await;
    let detail = healed["runs"][0]["reason"].as_str().unwrap();
    assert!(detail.starts_with("7/7 tables, ") && detail.contains(", neighbours "), "{detail}");
    assert!(!detail.contains("odd volume"), "{detail}");
    stage.assert_healed_once(&[gap]);
}

#[tokio::test]
async fn scan_says_by_its_exit_code_whether_there_are_gaps() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.run(&["scan"]).await.with_code(0);
    let came = stage.run(&["scan", "--exit-code"]).await.with_code(3);
    assert!(came.stdout.contains(&days_ago(12).to_string()), "{}", came.stdout);
    let whole = Stage::set(world()).await;
    whole.run(&["scan", "--exit-code"]).await.with_code(0);
}

#[tokio::test]
async fn a_look_that_could_not_see_says_nothing_of_any_date() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.sim.lock().faults.add(
        "glue:GetPartitions",
        FaultWhen::Always,
        FaultKind::Denied,
        Moment::Before,
    );
    let came = stage.run(&["scan", "--exit-code"]).await.with_code(1);
    assert!(came.stderr.contains("blind"), "{}", came.stderr);
    assert!(!came.stdout.contains("missing"), "{}", came.stdout);
    let heal = stage.run(&["heal", "--dry-run"]).await.with_code(1);
    assert!(heal.stderr.contains("glue:GetPartitions"), "{}", heal.stderr);
}

#[tokio::test]
async fn plan_tells_the_queue_in_order_and_why_the_others_wait() {
    let world = world().gap(days_ago(20)).gap(days_ago(12)).gap(days_ago(2)).no_dump(days_ago(9));
    let stage = Stage::set(world).await;
    let plan = stage.json(&["plan"]).await;
    let dataset = &plan["datasets"][0];
    let queue = dataset["queue"].as_array().unwrap();
    let dates: Vec<&str> = queue.iter().map(|entry| entry["date"].as_str().unwrap()).collect();
    assert_eq!(dates, [days_ago(12).to_string(), days_ago(20).to_string()]);
    assert_eq!(queue[0]["attempt"], 1);
    let key = days_ago(12).format("parking/liberator_dump_%Y%m%d.zip").to_string();
    assert_eq!(queue[0]["dump"], key.as_str());
    let waiting = dataset["waiting"].as_array().unwrap();
    let of = |date: chrono::NaiveDate| {
        waiting.iter().find(|entry| entry["date"] == date.to_string().as_str()).unwrap()
    };
    assert_eq!(of(days_ago(2))["status"], "too_young");
    assert!(of(days_ago(2))["until"].is_string());
    assert_eq!(of(days_ago(9))["status"], "no_dump");
    assert_eq!(stage.calls_of("RunTask"), 0);
}

#[tokio::test]
async fn check_is_content_with_a_whole_pipeline_and_names_what_is_not_there() {
    let stage = Stage::set(world()).await;
    stage.run(&["check"]).await.with_code(0);
    stage.write(
        "conf.d/30-wrong.toml",
        "[datasets.liberator.raw.parking]\ndatabase = \"no-such-database\"\n\
         [datasets.liberator.trigger]\nrule = \"no-such-rule\"\n",
    );
    let came = stage.run(&["check"]).await.with_code(1);
    for name in ["no-such-database", "no-such-rule"] {
        assert!(came.stdout.contains(name), "{}", came.stdout);
    }
    stage.json_with_code(&["check"], 1).await;
}

/// Whoever may list need not be allowed to read: `check` was content, and every look blind.
#[tokio::test]
async fn check_uses_each_right_that_a_look_needs() {
    let stage = Stage::set(world().gap(days_ago(12))).await;
    stage.run(&["heal"]).await.with_code(0);
    for operation in [
        "glue:GetPartitions",
        "glue:BatchGetPartition",
        "s3:GetObject",
        "ecs:DescribeTasks",
        "glue:GetWorkflowRun",
    ] {
        let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
        stage.sim.lock().faults.add(operation, denied.0, denied.1, denied.2);
        let came = stage.run(&["check"]).await.with_code(1);
        assert!(came.stdout.contains(operation), "{operation}: {}", came.stdout);
        stage.sim.lock().faults.clear();
    }
    stage.run(&["check"]).await.with_code(0);
}

#[tokio::test]
async fn check_sees_that_nothing_could_be_written_down() {
    let ledger = "[ledger]\nurl = \"s3://gapmend-ledger/gapmend\"\n";
    let stage = Stage::set_with(world().gap(days_ago(12)), ledger).await;
    stage.run(&["heal"]).await.with_code(0);
    let written = || {
        let world = stage.sim.lock();
        world.list_objects("gapmend-ledger", "", None, 1_000).unwrap()
    };
    let before = written();
    stage.run(&["check"]).await.with_code(0);
    assert_eq!(written(), before, "it wrote nothing");

    let denied = (FaultWhen::Always, FaultKind::Denied, Moment::Before);
    stage.sim.lock().faults.add("s3:PutObject", denied.0, denied.1, denied.2);
    let answer = stage.json(&["check"]).await;
    let findings = answer["findings"].as_array().unwrap().iter();
    let ledger = findings.last().unwrap();
    assert_eq!(ledger["verdict"], "warning", "{ledger}");
    assert!(ledger["detail"].as_str().unwrap().contains("s3:PutObject"), "{ledger}");
}

const HOLDS_IN: &str = r#"
[datasets.liberator.trigger]
hold = "upload"
dead_man = { group = "GROUP", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "2h" }
"#;

#[tokio::test]
async fn check_sees_that_no_switch_could_be_armed() {
    let stage = Stage::set_with(world(), &HOLDS_IN.replace("GROUP", "gapmend")).await;
    let verdict_and_hint = |answer: &serde_json::Value| {
        let mut findings = answer["findings"].as_array().unwrap().iter();
        let is_group = |subject: &str| subject.starts_with("liberator: schedule group ");
        let found = findings.find(|it| is_group(it["subject"].as_str().unwrap())).unwrap();
        let hint = found["hint"].as_str().unwrap_or_default().to_owned();
        (found["verdict"].as_str().unwrap().to_owned(), hint)
    };
    let there = stage.json(&["check"]).await;
    assert_eq!(verdict_and_hint(&there).0, "ok");

    let asked = "scheduler:GetScheduleGroup";
    stage.sim.lock().faults.add(asked, FaultWhen::Always, FaultKind::Denied, Moment::Before);
    let (verdict, hint) = verdict_and_hint(&stage.json(&["check"]).await);
    assert!(verdict == "warning" && hint.contains(asked), "{verdict}: {hint}");
    stage.sim.lock().faults.clear();

    stage.write("conf.d/20-more.toml", &HOLDS_IN.replace("GROUP", "no-such-group"));
    let (verdict, hint) = verdict_and_hint(&stage.json_with_code(&["check"], 1).await);
    assert!(verdict == "error" && hint.contains("trigger.dead_man.group"), "{verdict}: {hint}");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_all_its_problems() {
    let stage = Stage::set(world()).await;
    stage.write(
        "conf.d/30-wrong.toml",
        "[datasets.liberator.backfill]\nmax_atempts = 3\n\
         [datasets.liberator.load]\npoll = \"soon\"\n\
         [datasets.liberator.window]\nmin_age_days = 2\n",
    );
    for command in ["scan", "plan", "heal", "run", "check", "status"] {
        let came = stage.run(&[command]).await.with_code(2);
        for word in ["max_atempts", "max_attempts", "poll", "min_age_days", "30-wrong.toml"] {
            assert!(came.stderr.contains(word), "{command}: {}", came.stderr);
        }
    }
    assert_eq!(stage.calls(), 0, "nothing was asked of AWS");
}

#[tokio::test]
async fn another_account_is_refused_before_anything_is_looked_at() {
    let other = "[aws]\naccount_id = \"999988887777\"\n";
    let stage = Stage::set_with(world().gap(days_ago(12)), other).await;
    for command in ["scan", "plan", "heal", "run", "status"] {
        let came = stage.run(&[command]).await.with_code(1);
        assert!(came.stderr.contains("111122223333"), "{command}: {}", came.stderr);
        assert!(came.stderr.contains("999988887777"), "{command}: {}", came.stderr);
    }
    stage.run(&["check"]).await.with_code(1);
    let looked: Vec<_> =
        stage.door.calls().into_iter().filter(|call| call.operation == "RunTask").collect();
    assert!(looked.is_empty());
}

#[tokio::test]
async fn what_needs_no_configuration_asks_for_none() {
    let stage = Stage::set(world()).await;
    std::fs::remove_file(stage.path("gapmend.toml")).unwrap();
    for arguments in [&["config", "schema"][..], &["completions", "bash"], &["man"]] {
        let came = stage.run(arguments).await.with_code(0);
        assert!(came.stdout.len() > 1000, "{arguments:?}");
    }
    stage.run(&["scan"]).await.with_code(2);
    stage.run(&["no-such-command"]).await.with_code(2);
}

#[tokio::test]
async fn check_asks_nothing_more_of_an_account_that_is_not_ours() {
    let stage = Stage::set_with(world(), "[aws]\naccount_id = \"999999999999\"").await;
    let came = stage.run(&["check"]).await.with_code(1);
    assert!(came.stdout.contains("put the account right first"), "{came:?}");
    assert_eq!(stage.calls(), stage.calls_of("GetCallerIdentity"), "who we are, and no more");
}
