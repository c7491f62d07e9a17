//! Durations, dates, times of day, and what repeats.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::Refusal::{Because, NotThis};
use super::{Arrival, FromText, Refusal, closest};
use crate::domain::DateSpan;
use crate::domain::partition_date::YEARS;

/// Nothing here takes longer; it also catches `15M`, which means fifteen months.
const DURATION_LIMIT: Duration = Duration::from_hours(31 * 24);

/// A range of more days than this is a slip in a year.
const SPAN_LIMIT_DAYS: i64 = 3660;

/// A duration that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Wait(pub(in crate::config) Duration);

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
pub(in crate::config) struct Span(pub(in crate::config) Duration);

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
pub(in crate::config) struct LocalTime(pub(in crate::config) NaiveTime);

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
pub(in crate::config) struct ReadyBy(pub(in crate::config) i64, pub(in crate::config) NaiveTime);

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
pub(in crate::config) struct Hours(
    pub(in crate::config) NaiveTime,
    pub(in crate::config) NaiveTime,
);

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

/// A cron expression and what it means; whether it suits a nightly scan is checked later.
#[derive(Clone, Debug)]
pub(in crate::config) struct Schedule {
    pub(in crate::config) expression: String,
    pub(in crate::config) cron: Cron,
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
pub(in crate::config) struct Weekdays(pub(in crate::config) Vec<Weekday>);

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
    pub(in crate::config) fn of(named: &[Weekday]) -> Self {
        let days: BTreeSet<u32> = named.iter().map(Weekday::num_days_from_monday).collect();
        Self(WEEK.into_iter().filter(|day| days.contains(&day.num_days_from_monday())).collect())
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}
