//! The preflight: everything that the configuration names, looked at once, read-only.
//!
//! Each finding says what was looked at and what a person could do. Nothing is started,
//! changed or written.

mod reading;

use std::collections::BTreeSet;

use chrono::{Duration, NaiveDate};

use super::report::{Finding, Verdict};
use crate::config::{
    DatasetSettings, DeadManSettings, HoldPolicy, NetworkSource, Settings, entry_for,
};
use crate::domain::partition_date::fold_ranges;
use crate::domain::{ErrorClass, RuleState, Seen};
use crate::observe::{self, CLOCK_OFF_AT_MOST_SECONDS, LandingView};
use crate::plan;
use crate::platform::{Answer, Caller, Listing, PlatformError, World};

/// Workflow runs are asked for since so long ago.
const WORKFLOWS_SINCE_DAYS: i64 = 7;

/// The finding that decides whether anything else is looked at.
const ACCOUNT: &str = "account";

/// Looks at everything that the settings name, the ledger last. In an account that is not the
/// configured one, or cannot be asked, nothing more is looked at.
pub async fn check(
    world: &World,
    settings: &Settings,
    ledger: impl Future<Output = Finding>,
) -> Vec<Finding> {
    let caller = world.platform.caller().await;
    let mut findings = vec![account(settings, &caller), clock(&caller)];
    if findings.iter().any(|finding| finding.subject == ACCOUNT && finding.stops()) {
        let detail = "not looked at".to_owned();
        findings.push(doubtful("all the rest".to_owned(), detail, "put the account right first"));
        return findings;
    }
    for dataset in settings.datasets.values() {
        let checker = Checker { world, dataset };
        let (landing, view) = checker.landing().await;
        findings.push(landing);
        findings.extend(checker.raw().await);
        findings.push(checker.tasks().await);
        findings.extend(checker.export().await);
        findings.extend(checker.publish().await);
        findings.extend(checker.trigger().await);
        findings.extend(checker.reading(view.as_ref()).await);
        findings.extend(checker.allowed_in_vain(view.as_ref()));
    }
    findings.push(ledger.await);
    findings
}

fn account(settings: &Settings, caller: &Answer<Caller>) -> Finding {
    let subject = ACCOUNT.to_owned();
    match caller {
        Ok(caller) if caller.account == settings.aws.account_id => {
            right(subject, format!("{}, as {}", caller.account, caller.arn))
        }
        Ok(caller) => wrong(
            subject,
            format!(
                "the credentials belong to {}, not {}",
                caller.account, settings.aws.account_id
            ),
            "use credentials of the configured account, or correct aws.account_id",
        ),
        Err(error) => failed(subject, error),
    }
}

fn clock(caller: &Answer<Caller>) -> Finding {
    let subject = "clock".to_owned();
    match caller.as_ref().ok().and_then(|caller| caller.clock_skew) {
        Some(skew) if skew.num_seconds().abs() > CLOCK_OFF_AT_MOST_SECONDS => wrong(
            subject,
            format!(
                "{} s away from AWS's: no age can be told, nothing would be started",
                skew.num_seconds()
            ),
            "let the machine keep time (chrony, systemd-timesyncd)",
        ),
        Some(skew) => right(subject, format!("{} s away from AWS's", skew.num_seconds())),
        None => doubtful(subject, "AWS's clock could not be seen".to_owned(), "try again"),
    }
}

struct Checker<'a> {
    world: &'a World,
    dataset: &'a DatasetSettings,
}

impl Checker<'_> {
    fn subject(&self, what: &str) -> String {
        format!("{}: {what}", self.dataset.name)
    }

    /// The landing bucket, and what is there, when it can be seen.
    async fn landing(&self) -> (Finding, Option<LandingView>) {
        let landing = &self.dataset.landing;
        let subject = self.subject(&format!("landing s3://{}/{}", landing.bucket, landing.prefix));
        let view = match observe::landing(self.world, self.dataset).await {
            Seen::Known(view) => view,
            Seen::Blind(causes) => {
                let why: Vec<String> = causes.iter().map(|cause| cause.why.clone()).collect();
                let hint = causes.first().map_or("", |cause| cause.class.hint());
                return (wrong(subject, why.join("; "), hint), None);
            }
        };
        let (dates, noise) = (view.dumps.len(), view.noise);
        let finding = if dates == 0 {
            wrong(
                subject,
                format!("no key fits landing.keys, {noise} others are there"),
                "correct landing.prefix or landing.keys",
            )
        } else {
            right(subject, format!("dumps of {dates} dates, {noise} other keys"))
        };
        (finding, Some(view))
    }

    async fn raw(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, source) in &self.dataset.raw {
            let subject = self.subject(&format!("raw.{name} {}", source.database));
            let tables = self.world.platform.tables(&source.database).await;
            findings.push(match tables {
                Err(error) => failed(subject, &error),
                Ok(tables) => {
                    let all = tables.len();
                    let selected = tables.iter().filter(|table| source.selects(&table.name));
                    let matching = selected.count();
                    let key = &source.partition_key;
                    match observe::keyed_tables(name, source, &tables) {
                        Err(why) => wrong(subject, why, "correct tables, exclude or partition_key"),
                        Ok(keyed) => right(
                            subject,
                            format!("{matching} of {all} tables match, {keyed} have the key {key}"),
                        ),
                    }
                }
            });
        }
        findings
    }

    async fn tasks(&self) -> Finding {
        let load = &self.dataset.load;
        let subject = self.subject(&format!("cluster {}", load.cluster));
        match self.world.platform.family_tasks(&load.family()).await {
            Ok(tasks) => right(
                subject,
                format!("{} tasks of {} are alive", tasks.len(), load.task_definition),
            ),
            Err(error) => failed(subject, &error),
        }
    }

    async fn export(&self) -> Vec<Finding> {
        let Some(export) = &self.dataset.export else { return Vec::new() };
        let platform = &self.world.platform;
        let today = self.world.today_utc();
        let id = export.snapshot_id.render(today);
        let mut findings = vec![
            self.seen(
                &format!("snapshot {id}"),
                platform.snapshot(&id).await.map(|_| String::new()),
            ),
            self.seen(&format!("export {id}"), platform.export(&id).await.map(|_| String::new())),
        ];
        if let Some(instance) = &export.instance {
            let snapshots = platform.snapshots(instance).await;
            let words = snapshots.map(|found| format!("{} snapshots", found.len()));
            findings.push(self.seen(&format!("instance {instance}"), words));
        }
        if let Some(bucket) = &export.bucket {
            let listing = Listing {
                bucket: bucket.clone(),
                prefix: format!("{id}/"),
                at_most: Some(1),
                ..Listing::default()
            };
            let listed = platform.list_objects(&listing, &mut |_| {}).await;
            findings
                .push(self.seen(&format!("exports s3://{bucket}"), listed.map(|()| String::new())));
        }
        findings
    }

    async fn publish(&self) -> Vec<Finding> {
        let Some(publish) = &self.dataset.publish else { return Vec::new() };
        let since = self.world.now() - Duration::days(WORKFLOWS_SINCE_DAYS);
        let mut findings = Vec::new();
        for name in std::iter::once(&publish.workflow).chain(&publish.live_workflow) {
            let runs = self.world.platform.workflow_runs(name, since).await;
            let words =
                runs.map(|runs| format!("{} runs in {WORKFLOWS_SINCE_DAYS} days", runs.len()));
            findings.push(self.seen(&format!("workflow {name}"), words));
        }
        findings
    }

    async fn trigger(&self) -> Vec<Finding> {
        let Some(trigger) = &self.dataset.trigger else { return Vec::new() };
        let subject = self.subject(&format!("rule {}", trigger.rule));
        let rule = match self.world.platform.rule(&trigger.rule, &trigger.event_bus).await {
            Ok(rule) => rule,
            Err(error) => return vec![failed(subject, &error)],
        };
        let mut findings = vec![match &rule.state {
            RuleState::Enabled => right(subject, "enabled".to_owned()),
            RuleState::Disabled => doubtful(
                subject,
                "disabled: the next live ingestion will not happen".to_owned(),
                "see `gapmend trigger status`, and enable it unless somebody is at work",
            ),
            RuleState::Other(state) => doubtful(
                subject,
                format!("in state {state}: gapmend will never hold it"),
                "set hold = \"never\", or the rule to plain ENABLED",
            ),
        }];
        if let Some(service) = &rule.managed_by {
            let subject = self.subject(&format!("rule {}", trigger.rule));
            let detail = format!("managed by {service}: gapmend will never hold it");
            findings.push(doubtful(subject, detail, "set hold = \"never\""));
        }
        if self.dataset.load.network == NetworkSource::FromTrigger {
            findings.push(self.target(&rule));
        }
        if trigger.hold != HoldPolicy::Never {
            findings.extend(self.dead_man(trigger.dead_man.as_ref()).await);
        }
        findings
    }

    async fn dead_man(&self, settings: Option<&DeadManSettings>) -> Option<Finding> {
        match settings? {
            DeadManSettings::Accepted => Some(doubtful(
                self.subject("dead man's switch"),
                "none: if gapmend dies while it holds the rule, nothing enables it".to_owned(),
                "configure trigger.dead_man",
            )),
            DeadManSettings::Schedule { group, .. } => Some(self.schedule_group(group).await),
        }
    }

    /// A role that only observes may not ask: that is told, and is no fault.
    async fn schedule_group(&self, group: &str) -> Finding {
        let subject = self.subject(&format!("schedule group {group}"));
        match self.world.platform.takes_dead_men(group).await {
            Ok(true) => right(subject, "there".to_owned()),
            Ok(false) => wrong(
                subject,
                "not there, or being deleted: every hold would be refused".to_owned(),
                "create it (deploy/terraform does), or correct trigger.dead_man.group",
            ),
            Err(error) if error.class == ErrorClass::Denied => doubtful(
                subject,
                format!("whether it is there may not be asked: {error}"),
                "grant scheduler:GetScheduleGroup, as deploy/iam/hold.json does; without the group every hold is refused",
            ),
            Err(error) => failed(subject, &error),
        }
    }

    fn target(&self, rule: &crate::domain::Rule) -> Finding {
        let subject = self.subject("the rule's target");
        if let Some(why) = crate::plan::odd_target(rule, self.dataset) {
            return wrong(subject, why, "see `load.network`; an inline table can replace it");
        }
        let network = rule.targets.first().and_then(|target| target.network.as_ref());
        let (subnets, groups) =
            network.map_or((0, 0), |n| (n.subnets.len(), n.security_groups.len()));
        right(subject, format!("{subnets} subnets, {groups} security groups"))
    }

    /// Allowed dates that can never run, by name, and why.
    fn allowed_in_vain(&self, landing: Option<&LandingView>) -> Vec<Finding> {
        let backfill = &self.dataset.backfill;
        let today = self.world.now().with_timezone(&self.dataset.timezone).date_naive();
        let mut findings = Vec::new();
        for (name, entry) in &backfill.allow {
            let mut tell = |detail: String, hint: &str| {
                let subject = self.subject(&format!("backfill.allow.{name}"));
                findings.push(doubtful(subject, detail, hint));
            };
            if !entry.counts_on(today) {
                tell("it has ended (until)".to_owned(), "remove it or move its end");
                continue;
            }
            let dates: BTreeSet<NaiveDate> =
                entry.dates.iter().flat_map(|span| span.days()).collect();
            for obstacle in Obstacle::ALL {
                let held =
                    |date: &NaiveDate| self.obstacle(*date, today, landing) == Some(obstacle);
                let (what, hint) = obstacle.in_words();
                if let Some(dates) = in_ranges(dates.iter().copied().filter(held)) {
                    tell(format!("{what}: {dates}"), hint);
                }
            }
        }
        findings
    }

    /// What keeps an allowed date from being run, if anything that can be told beforehand does.
    fn obstacle(
        &self,
        date: NaiveDate,
        today: NaiveDate,
        landing: Option<&LandingView>,
    ) -> Option<Obstacle> {
        let min_age = Duration::days(i64::from(self.dataset.window.min_age_days));
        let has_no_dump = landing.is_some_and(|view| !view.dumps.contains_key(&date));
        if entry_for(&self.dataset.backfill.deny, date, today).is_some() {
            Some(Obstacle::Denied)
        } else if date > today {
            Some(Obstacle::InTheFuture)
        } else if has_no_dump && !plan::is_expected(&self.dataset.calendar, date) {
            Some(Obstacle::NotExpected)
        } else if has_no_dump {
            Some(Obstacle::NoDump)
        } else if today < date + min_age {
            Some(Obstacle::TooYoung)
        } else {
            None
        }
    }

    fn seen(&self, what: &str, looked: Answer<String>) -> Finding {
        let subject = self.subject(what);
        match looked {
            Ok(words) if words.is_empty() => right(subject, "can be seen".to_owned()),
            Ok(words) => right(subject, words),
            Err(error) => failed(subject, &error),
        }
    }
}

/// Why an allowed date does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    Denied,
    InTheFuture,
    NotExpected,
    NoDump,
    TooYoung,
}

impl Obstacle {
    const ALL: [Self; 5] =
        [Self::Denied, Self::InTheFuture, Self::NotExpected, Self::NoDump, Self::TooYoung];

    /// What it is, and what a person could do.
    fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Denied => ("denied as well, and deny wins", "take them out of one"),
            Self::InTheFuture => ("in the future", "check the year"),
            Self::NotExpected => (
                "not expected by the calendar, and without a dump",
                "take them out, or add them to calendar.also",
            ),
            Self::NoDump => ("without a dump in the landing bucket", "ask the supplier"),
            Self::TooYoung => (
                "younger than window.min_age_days, so still the nightly's",
                "wait: they run by themselves once they are old enough",
            ),
        }
    }
}

/// The dates in ranges; `None` when there are none.
fn in_ranges(dates: impl Iterator<Item = NaiveDate>) -> Option<String> {
    let spans = fold_ranges(dates, |a, b| a.succ_opt() == Some(b));
    let words: Vec<String> = spans.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn right(subject: String, detail: String) -> Finding {
    Finding { subject, verdict: Verdict::Right, detail, hint: None }
}

fn doubtful(subject: String, detail: String, hint: &str) -> Finding {
    Finding { subject, verdict: Verdict::Doubtful, detail, hint: Some(hint.to_owned()) }
}

fn wrong(subject: String, detail: String, hint: &str) -> Finding {
    Finding { subject, verdict: Verdict::Wrong, detail, hint: Some(hint.to_owned()) }
}

fn failed(subject: String, error: &PlatformError) -> Finding {
    wrong(subject, error.to_string(), error.class.hint())
}
