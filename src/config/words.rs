//! How each kind of value is written: durations, sizes, dates, times, patterns, choices.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use glob::Pattern;

use super::settings::{Arrival, HoldPolicy, LedgerUrl, Mode, Order, OtherName, Verify};
use super::suggest::closest;
use super::written::{FromText, Refusal};
use crate::domain::{DateFormat, DateSpan};

use Refusal::{Because, NotThis};

/// Names, buckets, ARNs: nothing that AWS knows is longer.
const TEXT_LIMIT_CHARS: usize = 2048;

/// Nothing here takes longer; it also catches `15M`, which means fifteen months.
const DURATION_LIMIT: Duration = Duration::from_hours(31 * 24);

/// A range of more days than this is a slip in a year.
const SPAN_LIMIT_DAYS: i64 = 3660;

/// Dates outside these years are slips.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

/// A text that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl FromText for Text {
    const NAME: &'static str = "Text";
    const EXPECTED: &'static str = "a text that is not empty";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.chars().any(char::is_control) {
            return Err(Because("has control characters in it".to_owned()));
        }
        if text.chars().count() > TEXT_LIMIT_CHARS {
            return Err(Because(format!("longer than {TEXT_LIMIT_CHARS} characters")));
        }
        let says_something = !text.trim().is_empty();
        says_something.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// A duration that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(pub(super) Duration);

impl FromText for Wait {
    const NAME: &'static str = "Wait";
    const EXPECTED: &'static str = "a duration such as \"15m\", \"1h 30m\" or \"200ms\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        // humantime knows no bare zero.
        let duration = if text.trim() == "0" {
            Duration::ZERO
        } else {
            humantime::parse_duration(text.trim()).map_err(|_| NotThis)?
        };
        if duration > DURATION_LIMIT {
            let most = humantime::format_duration(DURATION_LIMIT);
            let written = humantime::format_duration(duration);
            return Err(Because(format!("`{text}` is {written}; the most is {most}")));
        }
        Ok(Self(duration))
    }
}

/// A duration longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromText for Span {
    const NAME: &'static str = "Span";
    const EXPECTED: &'static str = Wait::EXPECTED;

    fn from_text(text: &str) -> Result<Self, Refusal> {
        match Wait::from_text(text)?.0 {
            Duration::ZERO => Err(Because(format!("`{text}` is zero; expected more than that"))),
            duration => Ok(Self(duration)),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(pub(super) u64);

impl FromText for ByteSize {
    const NAME: &'static str = "ByteSize";
    const EXPECTED: &'static str = "a size such as \"1KiB\", \"10MB\" or a number of bytes";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = bytes_per(unit.trim()).ok_or(NotThis)?;
        let number: u64 = number.parse().map_err(|_| NotThis)?;
        number.checked_mul(factor).map(Self).ok_or(NotThis)
    }
}

fn bytes_per(unit: &str) -> Option<u64> {
    Some(match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1000_u64.pow(2),
        "GB" => 1000_u64.pow(3),
        "TB" => 1000_u64.pow(4),
        "KiB" => 1024,
        "MiB" => 1024_u64.pow(2),
        "GiB" => 1024_u64.pow(3),
        "TiB" => 1024_u64.pow(4),
        _ => return None,
    })
}

/// Percent around a median, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeBand(pub(super) Option<u32>);

impl FromText for SizeBand {
    const NAME: &'static str = "SizeBand";
    const EXPECTED: &'static str = "a percentage from \"1%\" to \"1000%\", or \"none\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text == "none" {
            return Ok(Self(None));
        }
        let number = text.strip_suffix('%').ok_or(NotThis)?.trim();
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let percent = number.parse().ok().filter(|percent| plain && (1..=1000).contains(percent));
        percent.map(|percent| Self(Some(percent))).ok_or(NotThis)
    }
}

impl FromText for NaiveDate {
    const NAME: &'static str = "Date";
    const EXPECTED: &'static str = "a date such as \"2022-06-01\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let span = DateSpan::from_text(text).map_err(|refusal| match refusal {
            Because(reason) if !text.contains("..") && reason.contains("year") => Because(reason),
            Because(_) | NotThis => NotThis,
        })?;
        let one_day = !text.contains("..");
        one_day.then_some(span.from).ok_or(NotThis)
    }
}

impl FromText for DateSpan {
    const NAME: &'static str = "DateSpan";
    const EXPECTED: &'static str =
        "a date such as \"2022-06-01\" or a range such as \"2022-06-10..2022-06-20\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let span = Self::from_str(text).map_err(|error| Because(error.to_string()))?;
        if !YEARS.contains(&span.from.year()) || !YEARS.contains(&span.to.year()) {
            let (first, last) = (YEARS.start(), YEARS.end());
            return Err(Because(format!("`{text}` is outside the years {first} to {last}")));
        }
        if span.len_days() > SPAN_LIMIT_DAYS {
            let days = span.len_days();
            return Err(Because(format!(
                "`{text}` has {days} days, more than the {SPAN_LIMIT_DAYS} that a range may have"
            )));
        }
        Ok(span)
    }
}

impl FromText for DateFormat {
    const NAME: &'static str = "DateFormat";
    const EXPECTED: &'static str = "a text that names a whole day, such as \"%Y%m%d\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::new(text).map_err(|error| Because(error.to_string()))
    }
}

impl FromText for Pattern {
    const NAME: &'static str = "TablePattern";
    const EXPECTED: &'static str = "a name or shell pattern such as \"liberator_*\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(NotThis);
        }
        Self::new(text).map_err(|error| {
            Because(format!(
                "`{text}` is no shell pattern: {} at character {}",
                error.msg,
                error.pos + 1
            ))
        })
    }
}

impl FromText for Tz {
    const NAME: &'static str = "TimeZone";
    const EXPECTED: &'static str = "the name of a time zone such as \"Europe/London\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::from_str(text).map_err(|_| {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let guess = closest(text, names).unwrap_or("Europe/London");
            Because(format!("`{text}` is not a time zone that I know; did you mean `{guess}`?"))
        })
    }
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalTime(pub(super) NaiveTime);

impl FromText for LocalTime {
    const NAME: &'static str = "LocalTime";
    const EXPECTED: &'static str = "a time of day such as \"23:45\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        time_of_day(text).map(Self).ok_or(NotThis)
    }
}

/// `HH:MM` or `HH:MM:SS`, two digits each.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| plain(part)) {
        return None;
    }
    let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse().ok());
    NaiveTime::from_hms_opt(number(0)?, number(1)?, number(2)?)
}

/// Days after the date, and a local time: `D+1 06:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadyBy(pub(super) i64, pub(super) NaiveTime);

impl FromText for ReadyBy {
    const NAME: &'static str = "ReadyBy";
    const EXPECTED: &'static str = "a day and a time such as \"D+1 06:00\" or \"D 23:00\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        const MOST_DAYS: u8 = 60;
        let (day, time) = text.split_once(' ').ok_or(NotThis)?;
        let days = match day.strip_prefix("D+") {
            Some(days) if days.bytes().all(|byte| byte.is_ascii_digit()) => {
                days.parse().ok().filter(|days: &u8| *days <= MOST_DAYS).ok_or(NotThis)?
            }
            None if day == "D" => 0,
            _ => return Err(NotThis),
        };
        let time = time_of_day(time.trim()).ok_or(NotThis)?;
        Ok(Self(i64::from(days), time))
    }
}

/// A part of the day; may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hours(pub(super) NaiveTime, pub(super) NaiveTime);

impl FromText for Hours {
    const NAME: &'static str = "Hours";
    const EXPECTED: &'static str = "hours of the day such as \"02:00-18:00\" or \"22:00-04:00\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let (from, to) = text.split_once('-').ok_or(NotThis)?;
        let from = time_of_day(from.trim()).ok_or(NotThis)?;
        let to = time_of_day(to.trim()).ok_or(NotThis)?;
        if from == to {
            return Err(Because(format!(
                "`{text}` begins and ends at the same time; leave it out to mean the whole day"
            )));
        }
        Ok(Self(from, to))
    }
}

impl FromText for Arrival {
    const NAME: &'static str = "Arrival";
    const EXPECTED: &'static str = "\"learned\", \"none\" or a time in UTC such as \"23:05\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "learned" => Ok(Self::Learned),
            "none" => Ok(Self::None),
            time => time_of_day(time).map(Self::At).ok_or(NotThis),
        }
    }
}

impl FromText for LedgerUrl {
    const NAME: &'static str = "LedgerUrl";
    const EXPECTED: &'static str = "\"file:///directory\" or \"s3://bucket/prefix\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if let Some(directory) = text.strip_prefix("file://") {
            let absolute = directory.starts_with('/') && !directory.contains('\0');
            return absolute.then(|| Self::Directory(directory.into())).ok_or(NotThis);
        }
        let rest = text.strip_prefix("s3://").ok_or(NotThis)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let Bucket(bucket) = Bucket::from_text(bucket)?;
        Ok(Self::S3 { bucket, prefix: prefix.trim_matches('/').to_owned() })
    }
}

/// The name of an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket(pub(super) String);

impl FromText for Bucket {
    const NAME: &'static str = "Bucket";
    const EXPECTED: &'static str =
        "the name of a bucket (3 to 63 small letters, digits, dots and hyphens)";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let valid = (3..=63).contains(&text.len()) && text.chars().all(allowed);
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// What comes before a key's name, with its trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix(pub(super) String);

impl FromText for Prefix {
    const NAME: &'static str = "Prefix";
    const EXPECTED: &'static str = "a prefix such as \"parking/\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.ends_with('/') && !text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        if text.starts_with('/') {
            return Err(Because(format!("`{text}` begins with a slash; keys in S3 do not")));
        }
        Ok(Self(format!("{text}/")))
    }
}

/// An AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountId(pub(super) String);

impl FromText for AccountId {
    const NAME: &'static str = "AccountId";
    const EXPECTED: &'static str = "twelve digits in quotes, such as \"111122223333\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let valid = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// An AWS region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region(pub(super) String);

impl FromText for Region {
    const NAME: &'static str = "Region";
    const EXPECTED: &'static str = "a region such as \"eu-west-2\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = text.split('-').collect();
        let plain =
            |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let valid = parts.len() >= 3
            && parts.iter().all(|part| !part.is_empty() && plain(part))
            && parts.last().is_some_and(number);
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// The address of an emulator. Never shown: it could hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(pub(super) String);

impl FromText for Endpoint {
    const NAME: &'static str = "Endpoint";
    const EXPECTED: &'static str = "an address such as \"http://127.0.0.1:5000\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if rest.contains('@') => {
                Err(Because("an endpoint takes no user name and no password".to_owned()))
            }
            Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(Because(format!("not an endpoint; expected {}", Self::EXPECTED))),
        }
    }
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen(pub(super) String);

impl FromText for Listen {
    const NAME: &'static str = "Listen";
    const EXPECTED: &'static str = "an address and a port such as \"127.0.0.1:9464\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let (host, port) = text.rsplit_once(':').ok_or(NotThis)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', ' ']);
        let valid = (bracketed || plain) && port.parse::<u16>().is_ok();
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// A cron expression and what it means; whether it suits a nightly scan is checked later.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) expression: String,
    pub(super) cron: Cron,
}

impl FromText for Schedule {
    const NAME: &'static str = "Schedule";
    const EXPECTED: &'static str =
        "a cron expression of five fields, or six with seconds, such as \"0 4 * * *\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.trim_end_matches('.');
            Because(format!("`{text}` is not {}: {reason}", Self::EXPECTED))
        })?;
        Ok(Self { expression: text.trim().to_owned(), cron })
    }
}

/// Which weekdays are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weekdays(pub(super) Vec<Weekday>);

impl FromText for Weekdays {
    const NAME: &'static str = "Weekdays";
    const EXPECTED: &'static str = "\"daily\", \"weekdays\" or a list such as [\"sat\", \"sun\"]";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "daily" => Ok(Self(WEEK.to_vec())),
            "weekdays" => Ok(Self(WEEK[..5].to_vec())),
            _ => Err(NotThis),
        }
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

impl Weekdays {
    /// The named days, each once, in the order of the week.
    pub(super) fn of(named: &[Weekday]) -> Self {
        let days: BTreeSet<u32> = named.iter().map(Weekday::num_days_from_monday).collect();
        Self(WEEK.into_iter().filter(|day| days.contains(&day.num_days_from_monday())).collect())
    }
}

/// A type of few values, each with its name.
macro_rules! choices {
    ($type:ty, $name:literal, $expected:literal, [$($text:literal => $value:expr),+ $(,)?]) => {
        impl FromText for $type {
            const NAME: &'static str = $name;
            const EXPECTED: &'static str = $expected;
            const CHOICES: &'static [&'static str] = &[$($text),+];

            fn from_text(text: &str) -> Result<Self, Refusal> {
                match text {
                    $($text => Ok($value),)+
                    _ => Err(NotThis),
                }
            }
        }
    };
}

choices!(Mode, "Mode", "a mode", [
    "observe" => Self::Observe,
    "allowlist" => Self::Allowlist,
    "auto" => Self::Auto,
]);
choices!(Order, "Order", "an order", [
    "newest_first" => Self::NewestFirst,
    "oldest_first" => Self::OldestFirst,
]);
choices!(OtherName, "OtherName", "what to do", [
    "refuse" => Self::Refuse,
    "stage" => Self::Stage,
]);
choices!(Verify, "Verify", "how to check a dump", [
    "zip" => Self::Zip,
    "size" => Self::Size,
]);
choices!(HoldPolicy, "Hold", "when to hold", [
    "upload" => Self::Upload,
    "run" => Self::Run,
    "never" => Self::Never,
]);
choices!(Weekday, "Weekday", "a day of the week", [
    "mon" => Self::Mon,
    "tue" => Self::Tue,
    "wed" => Self::Wed,
    "thu" => Self::Thu,
    "fri" => Self::Fri,
    "sat" => Self::Sat,
    "sun" => Self::Sun,
]);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}
