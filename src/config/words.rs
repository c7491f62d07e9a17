//! How each kind of value is written: texts, sizes, patterns, choices; dates and times
//! in `times`, the names of AWS in `places`.

use chrono::Weekday;
use glob::Pattern;
use schemars::{Schema, json_schema};

use super::settings::{Arrival, HoldPolicy, LedgerUrl, Mode, Order, OtherName, Verify};
use super::suggest::closest;
use super::written::{FromText, Refusal};
use crate::domain::{DateFormat, IdPattern};

use Refusal::{Because, NotThis};

mod places;
mod times;

pub(super) use places::{AccountId, Bucket, Endpoint, Listen, Prefix, Region};
pub(super) use times::{Hours, LocalTime, ReadyBy, Schedule, Span, Wait, Weekdays};

/// Names, buckets, ARNs: nothing that AWS knows is longer.
const TEXT_LIMIT_CHARS: usize = 2048;

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

    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
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

impl FromText for DateFormat {
    const NAME: &'static str = "DateFormat";
    const EXPECTED: &'static str = "a text that names a whole day, such as \"%Y%m%d\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::new(text).map_err(|error| Because(error.to_string()))
    }
}

impl FromText for IdPattern {
    const NAME: &'static str = "IdPattern";
    const EXPECTED: &'static str =
        "a text that names a whole day and then has one `*`, such as \"export-%Y-%m-%d-*\"";

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
