//! The words that the page, the tables and the texts share.

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};

use crate::daemon::{DatasetReport, Report};
use crate::domain::{DateSpan, DateStatus, RunOutcome, TriggerState, bytes_in_units};
use crate::ledger::{HoldWhy, Request, RequestRecord, Run};

/// How much a thing should worry its reader. Never shown by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// Worth a look.
    Warn,
    /// A person is needed.
    Bad,
    /// Of no concern.
    Quiet,
}

impl Tone {
    /// The name of its style.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// The tone of a date.
pub(super) fn tone_of_status(status: DateStatus) -> Tone {
    match status {
        DateStatus::Available => Tone::Good,
        DateStatus::Running => Tone::Busy,
        DateStatus::Missing
        | DateStatus::TooYoung
        | DateStatus::BackingOff
        | DateStatus::NotAllowed => Tone::Warn,
        DateStatus::Partial
        | DateStatus::Empty
        | DateStatus::Unregistered
        | DateStatus::Unpublished
        | DateStatus::NoDump
        | DateStatus::Quarantined
        | DateStatus::BadDump => Tone::Bad,
        DateStatus::Waived | DateStatus::NotExpected | DateStatus::NotDue => Tone::Quiet,
    }
}

/// The tone of a run's end, or of a run in progress.
pub(super) fn tone_of_outcome(outcome: Option<RunOutcome>) -> Tone {
    match outcome {
        None => Tone::Busy,
        Some(RunOutcome::Succeeded) => Tone::Good,
        Some(RunOutcome::Failed) => Tone::Bad,
        Some(RunOutcome::Cancelled | RunOutcome::Void) => Tone::Quiet,
    }
}

/// The tone of the trigger.
pub(super) fn tone_of_trigger(state: TriggerState) -> Tone {
    match state {
        TriggerState::Enabled => Tone::Good,
        TriggerState::Held => Tone::Busy,
        TriggerState::DisabledByOther => Tone::Bad,
        TriggerState::Unknown => Tone::Warn,
    }
}

/// A status in words.
pub(super) fn status_words(status: DateStatus) -> String {
    status.label().replace('_', " ")
}

/// An instant for people.
pub(super) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// An instant of which the reader knows the rest: short, for lines.
pub(super) fn clock_minute(at: DateTime<Utc>) -> String {
    at.format("%d %b %H:%M UTC").to_string()
}

/// Who asked for what, why, and what came of it.
pub(super) fn request_words(record: &RequestRecord) -> String {
    let what = match &record.request {
        Request::Scan => "a scan".to_owned(),
        Request::Heal { dates, .. } if dates.is_empty() => "the queue to be healed".to_owned(),
        Request::Heal { dates, .. } => {
            format!("{} to be healed", plural(dates.len() as u64, "date"))
        }
        Request::Retry { date } => format!("the attempts of {date} to be forgiven"),
        Request::Cancel => "the run in progress to be ended".to_owned(),
        Request::Pause { until } => format!("a pause until {}", minute(*until)),
        Request::Resume => "the pause or the stop to be ended".to_owned(),
    };
    let asked = &record.asked;
    let said = format!("{} asked for {what}", asked.by);
    let more = [&asked.reason, &asked.ticket, &record.answer];
    let more = more.into_iter().flatten().map(String::as_str);
    std::iter::once(&*said).chain(more).collect::<Vec<_>>().join("; ")
}

/// An instant for machines.
pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A date, or a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// A range of dates, as the configuration and `--date` take it.
pub(super) fn range(from: NaiveDate, to: NaiveDate) -> String {
    DateSpan { from, to }.to_string()
}

/// A length of time in its two largest units.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// The time between two instants.
pub(super) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    span((to - from).num_seconds())
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    bytes_in_units(bytes)
}

/// `1 date`, `2 dates`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Whether the trigger is safe, and who has it.
pub(super) fn trigger_words(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
) -> String {
    let since = dataset.trigger_disabled_since;
    match dataset.trigger {
        TriggerState::Enabled => "enabled".to_owned(),
        TriggerState::Held => {
            match report.ledger.hold_on(name, &dataset.names.rule, &dataset.names.event_bus) {
                Some(hold) => format!(
                    "held {} for {}, back on by {} at the latest",
                    between(hold.begun_at, now),
                    hold_words(&hold.why),
                    minute(hold.until)
                ),
                None => "held by gapmend".to_owned(),
            }
        }
        TriggerState::DisabledByOther => match since {
            Some(at) => format!("disabled by someone else, seen since {}", minute(at)),
            None => "disabled by someone else".to_owned(),
        },
        TriggerState::Unknown => "unknown: the rule could not be seen".to_owned(),
    }
}

/// What a hold is for.
pub(super) fn hold_words(why: &HoldWhy) -> String {
    match why {
        HoldWhy::Upload { date, .. } => format!("the upload of {date}"),
        HoldWhy::Run { run } => format!("run {run}"),
    }
}

/// The loop turns at least once a minute; a pass that looks at years of tables may take longer.
const TICK_LIMIT: Duration = Duration::minutes(15);

/// Whether the loop is alive, with the words for it.
pub(super) fn pulse(report: &Report, now: DateTime<Utc>) -> (bool, String) {
    let age = between(report.last_tick_at, now);
    if now - report.last_tick_at < TICK_LIMIT {
        return (true, format!("the loop turned {age} ago"));
    }
    let limit = TICK_LIMIT.num_minutes();
    (false, format!("stuck: the loop turned {age} ago, the limit is {limit} minutes"))
}

/// Whether the daemon acts.
pub(super) fn daemon_words(report: &Report) -> String {
    if report.acting {
        return match &report.ledger_problem {
            Some(problem) => format!("acting, but starts nothing: the ledger failed to {problem}"),
            None => "acting".to_owned(),
        };
    }
    match &report.not_acting {
        Some(why) => format!("standing by: {why}"),
        None => "standing by".to_owned(),
    }
}

/// Where the run in progress is.
pub(super) fn run_words(run: &Run, percent: Option<u8>, now: DateTime<Utc>) -> String {
    let percent = percent.map_or_else(String::new, |percent| format!(", {percent} %"));
    let stage = run.stage.label();
    let elapsed = between(run.stage_since, now);
    format!("{} attempt {} is in stage {stage} for {elapsed}{percent}", run.date, run.attempt)
}

/// What runs next, and when.
pub(super) fn next_words(
    report: &Report,
    name: &str,
    dataset: &DatasetReport,
    now: DateTime<Utc>,
) -> String {
    if let Some(run) = report.ledger.active_run().filter(|run| run.dataset == name) {
        return run_words(run, dataset.stage_percent, now);
    }
    let head = dataset.queue.first().map(|head| format!("{} attempt {}", head.date, head.attempt));
    match (&dataset.rest, head) {
        (None, Some(head)) => format!("{head}, now"),
        (Some(rest), Some(head)) => format!("{head}, but not yet: {rest}"),
        (Some(rest), None) => format!("{rest}; {}", scan_words(report)),
        (None, None) => scan_words(report),
    }
}

fn scan_words(report: &Report) -> String {
    match report.next_scan_at {
        Some(at) => format!("next scan {}", minute(at)),
        None => "no scan is scheduled".to_owned(),
    }
}

/// How far the data is whole.
pub(super) fn whole_words(dataset: &DatasetReport) -> String {
    let Some(census) = &dataset.census else { return "not looked at yet".to_owned() };
    match census.whole_through {
        Some(date) if census.dates_behind == 0 => format!("{date}, nothing behind"),
        Some(date) => format!("{date}, {} behind", plural(census.dates_behind.into(), "date")),
        None => {
            format!("nowhere in the window, {} behind", plural(census.dates_behind.into(), "date"))
        }
    }
}

/// The tone of the lag.
pub(super) fn tone_of_lag(dataset: &DatasetReport) -> Tone {
    match &dataset.census {
        None => Tone::Warn,
        Some(census) if census.dates_behind == 0 => Tone::Good,
        Some(census) if census.dates_behind <= dataset.lag_objective_dates => Tone::Warn,
        Some(_) => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        let spans = [0, 59, 61, 3600, 3 * 86400 + 5 * 3600 + 59, -5].map(span);
        assert_eq!(spans, ["0s", "59s", "1m 01s", "1h 00m", "3d 05h", "0s"]);
    }

    #[test]
    fn a_size_has_one_decimal() {
        let sizes = [0, 1023, 1024, 1536, 5 * 1024 * 1024 * 1024].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
    }
}
