//! What a seed draws: the configuration that people chose, and how bad the year's weather is.
//! In every climate some things never happen.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Europe::London;
use gapmend::config::{self, Environment, Settings};

/// The Liberator configuration of the repository; its last section is the trigger's.
const LIBERATOR: &str = include_str!("../../../config/liberator.toml");
/// So many dates are looked at: a world that is small enough for a year in a second.
pub(super) const LOOKBACK_DAYS: i64 = 16;
/// The arms of a hold that lasts through a load.
pub(super) const MAX_HOLD_HOURS: i64 = 5;
/// When the dead man's switch fires.
pub(super) const DEAD_MAN_HOURS: i64 = 6;

/// The odds of one year, in thousandths of a day unless they say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Climate {
    pub(super) policy: Policy,
    /// A dump that is late, missing, broken.
    pub(super) bad_dumps: u16,
    /// A stage that goes wrong with a date.
    pub(super) bad_stages: u16,
    /// A dump delivered again, or under both names.
    pub(super) deliveries: u16,
    /// A person runs the task by hand.
    pub(super) by_hand: u16,
    /// Pause, retry, cancel, heal, scan.
    pub(super) requests: u16,
    /// The rule is put off by an operator, or on by an infrastructure roll-out.
    pub(super) toggles: u16,
    /// The configuration is changed.
    pub(super) changes: u16,
    /// Hours of faults: of AWS, of the ledger's store.
    pub(super) storms: u16,
    /// The clock of the machine steps.
    pub(super) clock_steps: u16,
    /// A second daemon begins, and leaves within days.
    pub(super) second_daemons: u16,
    /// Calls that a process lives at most; 0 for ever.
    pub(super) calls_to_live: u64,
    /// Seconds by which ECS and EventBridge may lag, and how often in a thousand looks.
    pub(super) lag: (i64, u16),
    /// An idle process may be so slow.
    pub(super) longest_nap: Duration,
}

/// What people have configured at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Policy {
    pub(super) mode: &'static str,
    /// The dataset has gone from the configuration; one of another name is there, and only looks.
    pub(super) gone: bool,
    pub(super) scan: &'static str,
    pub(super) hold: &'static str,
    pub(super) other_name: &'static str,
    pub(super) order: &'static str,
    /// Local times between which a run may begin.
    pub(super) hours: Option<Hours>,
    pub(super) max_runs: u32,
    pub(super) max_attempts: u32,
    pub(super) deny: BTreeSet<NaiveDate>,
    pub(super) waive: BTreeSet<NaiveDate>,
    pub(super) allow: BTreeSet<NaiveDate>,
    pub(super) freeze: BTreeSet<NaiveDate>,
}

/// From one full hour to another, through midnight when the second is smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hours(u32, u32);

impl Hours {
    pub(super) fn contain(self, time: NaiveTime) -> bool {
        let Self(from, to) = self;
        let length = (to + 24 - from) % 24;
        (time.hour() + 24 - from) % 24 < length
    }
}

impl Climate {
    pub(super) fn drawn(random: &mut fastrand::Rng) -> Self {
        let mut odds = |most: u16| if random.u8(0..3) == 0 { 0 } else { random.u16(1..=most) };
        Self {
            bad_dumps: odds(150),
            bad_stages: odds(250),
            deliveries: odds(60),
            by_hand: odds(40),
            requests: odds(120),
            toggles: odds(50),
            changes: odds(60),
            storms: odds(120),
            clock_steps: odds(40),
            second_daemons: odds(30),
            calls_to_live: [0, 500, 3_000, 20_000][usize::from(odds(3))],
            lag: (i64::from(odds(45)), odds(300)),
            longest_nap: Duration::from_mins(u64::from(60 + odds(180))),
            policy: Policy::drawn(random),
        }
    }
}

impl Policy {
    fn drawn(random: &mut fastrand::Rng) -> Self {
        fn one<T: Copy, const N: usize>(random: &mut fastrand::Rng, of: [T; N]) -> T {
            of[random.usize(0..N)]
        }
        Self {
            mode: one(random, ["auto", "auto", "auto", "allowlist"]),
            gone: false,
            scan: one(random, ["0 4 * * *", "0 4 * * *", "30 1 * * *", "0 2 * * *"]),
            hold: one(random, ["upload", "run", "run", "never"]),
            other_name: one(random, ["refuse", "stage"]),
            order: one(random, ["newest_first", "oldest_first"]),
            hours: one(random, [None, None, Some(Hours(1, 18)), Some(Hours(20, 16))]),
            max_runs: random.u32(1..=3),
            max_attempts: random.u32(2..=3),
            deny: BTreeSet::new(),
            waive: BTreeSet::new(),
            allow: BTreeSet::new(),
            freeze: BTreeSet::new(),
        }
    }

    /// The night that a moment belongs to: it begins with the scan of its date.
    pub(super) fn night_of(&self, at: DateTime<Utc>) -> NaiveDate {
        let mut fields = self.scan.split(' ').map(|field| field.parse().unwrap_or(0));
        let (minute, hour) = (fields.next().unwrap(), fields.next().unwrap());
        let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let date = at.with_timezone(&London).date_naive();
        let begun = scan_at(date, time) <= at;
        if begun { date } else { date.pred_opt().unwrap() }
    }

    /// The checked settings that say it.
    pub(super) fn settings(&self, now: DateTime<Utc>) -> Settings {
        let other_name = if self.hold == "never" { "refuse" } else { self.other_name };
        let hours = self.hours.map(|Hours(from, to)| {
            let key = "GAPMEND_CONFIG__DATASETS__LIBERATOR__BACKFILL__HOURS".to_owned();
            (key, format!("{from:02}:00-{to:02}:00"))
        });
        let environment = [
            ("LIBERATOR__MODE", if self.gone { "observe" } else { self.mode }),
            ("LIBERATOR__WINDOW__LOOKBACK_DAYS", &LOOKBACK_DAYS.to_string()),
            ("LIBERATOR__LOAD__POLL", "60s"),
            ("LIBERATOR__LOAD__EXPECTED", "2h"),
            ("LIBERATOR__LOAD__OTHER_NAME", other_name),
            ("LIBERATOR__EXPORT__POLL", "10m"),
            ("LIBERATOR__PUBLISH__POLL", "15m"),
            ("LIBERATOR__BACKFILL__ORDER", self.order),
            ("LIBERATOR__BACKFILL__MAX_RUNS_PER_NIGHT", &self.max_runs.to_string()),
            ("LIBERATOR__BACKFILL__MAX_ATTEMPTS", &self.max_attempts.to_string()),
            ("LIBERATOR__TRIGGER__HOLD", self.hold),
            ("LIBERATOR__TRIGGER__MAX_HOLD", &format!("{MAX_HOLD_HOURS}h")),
        ]
        .map(|(key, value)| (format!("GAPMEND_CONFIG__DATASETS__{key}"), value.to_owned()))
        .into_iter()
        .chain(hours)
        .chain([("GAPMEND_CONFIG__SCHEDULE__SCAN".to_owned(), self.scan.to_owned())])
        .map(|(key, value)| (self.named(&key), value))
        .collect::<Environment>();
        let text = self.named(&format!("{LIBERATOR}\n{}", self.tables()));
        config::load_text(&text, &environment, now)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .settings
    }

    /// The same under the dataset's name of now.
    fn named(&self, text: &str) -> String {
        if !self.gone {
            return text.to_owned();
        }
        text.replace("[datasets.liberator", "[datasets.renamed")
            .replace("__LIBERATOR__", "__RENAMED__")
    }

    fn tables(&self) -> String {
        let mut text = format!(
            "dead_man = {{ group = \"gapmend\", role_arn = \
             \"arn:aws:iam::111122223333:role/dead-man\", after = \"{DEAD_MAN_HOURS}h\" }}\n"
        );
        let tables = [
            ("deny", &self.deny),
            ("waive", &self.waive),
            ("allow", &self.allow),
            ("freeze", &self.freeze),
        ];
        for (table, date) in tables
            .into_iter()
            .flat_map(|(table, dates)| dates.iter().map(move |date| (table, date)))
        {
            let _ = writeln!(
                text,
                "[datasets.liberator.backfill.{table}.d{date}]\n\
                 dates = [\"{date}\"]\nreason = \"drawn\"\nowner = \"people\""
            );
        }
        text
    }
}

/// When a date's scan is due: once, also when the clock shows its time twice; where it shows it
/// never, as soon as it goes on.
fn scan_at(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    let wall = date.and_time(time);
    let instant = London.from_local_datetime(&wall).earliest();
    let instant = instant.unwrap_or_else(|| {
        let hour = wall - TimeDelta::minutes(i64::from(time.minute())) + TimeDelta::hours(1);
        London.from_local_datetime(&hour).earliest().expect("a gap is one hour")
    });
    instant.with_timezone(&Utc)
}
