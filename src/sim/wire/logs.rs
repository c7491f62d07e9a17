//! CloudWatch Logs: JSON 1.1.

use serde_json::{Value, json};

use super::json::{Arguments, reply};
use super::paging::{page, read_token, token_after};
use super::reply::{Refusal, Reply};
use super::shape::Service;
use crate::sim::{LogLine, World};

/// What the door knows of CloudWatch Logs.
pub(super) const OPERATIONS: &[&str] =
    &["logs:GetLogEvents", "logs:FilterLogEvents", "logs:DescribeLogStreams"];

/// The code for an argument that will not do.
pub(super) const INVALID: &str = "InvalidParameterException";

const EVENTS_PAGE_LIMIT: usize = 10_000;
const STREAMS_PAGE_LIMIT: usize = 50;

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    arguments: &Arguments,
    world: &World,
) -> Result<Reply, Refusal> {
    match operation {
        "GetLogEvents" => get_events(arguments, world),
        "FilterLogEvents" => filter_events(arguments, world),
        "DescribeLogStreams" => describe_streams(arguments, world),
        _ => Err(Service::Logs.unknown_operation(operation)),
    }
}

/// The group by name, or by the ARN that may stand for it.
fn group(arguments: &Arguments) -> Result<&str, Refusal> {
    let identifier = arguments.text("logGroupIdentifier")?;
    let identifier =
        identifier.map(|text| text.rsplit_once(":log-group:").map_or(text, |(_, name)| name));
    match (arguments.text("logGroupName")?, identifier) {
        (Some(name), None) | (None, Some(name)) => Ok(name.trim_end_matches(":*")),
        (None, None) | (Some(_), Some(_)) => {
            Err(arguments.refuse("exactly one of logGroupName and logGroupIdentifier is needed"))
        }
    }
}

/// From `startTime`, inclusive, to `endTime`, exclusive.
struct Period {
    from: i64,
    to: i64,
}

impl Period {
    fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        Ok(Self {
            from: arguments.integer("startTime")?.unwrap_or(i64::MIN),
            to: arguments.integer("endTime")?.unwrap_or(i64::MAX),
        })
    }

    fn holds(&self, line: &LogLine) -> bool {
        (self.from..self.to).contains(&line.at.timestamp_millis())
    }
}

/// Reads a stream forwards or backwards. Both tokens always come; at an end the same one
/// comes again, and that is the only sign of the end.
fn get_events(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let group = group(arguments)?;
    let stream = arguments.required("logStreamName")?;
    let limit = arguments.page_size("limit", EVENTS_PAGE_LIMIT)?;
    let period = Period::read(arguments)?;
    let lines = world.log_events(group, stream)?;
    let chosen: Vec<&LogLine> = lines.iter().filter(|line| period.holds(line)).collect();
    let scope = format!("log events\n{group}\n{stream}");
    let (from, to) = match arguments.text("nextToken")? {
        Some(token) => bounds_of(&scope, token, chosen.len(), limit)
            .ok_or_else(|| arguments.refuse("The specified nextToken is invalid."))?,
        None if arguments.flag("startFromHead")? => (0, limit.min(chosen.len())),
        None => (chosen.len().saturating_sub(limit), chosen.len()),
    };
    let events: Vec<Value> = chosen[from..to].iter().map(|line| event_json(line)).collect();
    Ok(reply(json!({
        "events": events,
        "nextForwardToken": format!("f/{}", token_after(&scope, &to.to_string())),
        "nextBackwardToken": format!("b/{}", token_after(&scope, &from.to_string())),
    })))
}

fn bounds_of(scope: &str, token: &str, length: usize, limit: usize) -> Option<(usize, usize)> {
    let (direction, token) = token.split_once('/')?;
    let position = read_token(scope, token)?.parse::<usize>().ok()?.min(length);
    match direction {
        "f" => Some((position, position.saturating_add(limit).min(length))),
        "b" => Some((position.saturating_sub(limit), position)),
        _ => None,
    }
}

fn event_json(line: &LogLine) -> Value {
    let at = line.at.timestamp_millis();
    json!({ "timestamp": at, "message": line.message, "ingestionTime": at })
}

/// A line, its stream and its number in it.
struct Found {
    stream: String,
    number: usize,
    line: LogLine,
}

impl Found {
    /// Sorts by time, then stream, then position.
    fn key(&self) -> String {
        format!("{:020}\n{}\n{:010}", self.line.at.timestamp_millis(), self.stream, self.number)
    }
}

fn filter_events(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let group = group(arguments)?;
    let pattern = Pattern::read(arguments)?;
    let period = Period::read(arguments)?;
    let streams = chosen_streams(arguments, world, group)?;
    let mut found = Vec::new();
    for stream in streams {
        let lines = world.log_events(group, &stream)?;
        for (number, line) in lines.into_iter().enumerate() {
            if period.holds(&line) && pattern.holds(&line.message) {
                found.push(Found { stream: stream.clone(), number, line });
            }
        }
    }
    let limit = arguments.page_size("limit", EVENTS_PAGE_LIMIT)?;
    let token = arguments.text("nextToken")?;
    let page = page(found, Found::key, &format!("filter\n{group}\n{pattern:?}"), token, limit)
        .map_err(|_| arguments.refuse("The specified nextToken is invalid."))?;
    let events: Vec<Value> = page.items.iter().map(found_json).collect();
    Ok(reply(json!({ "events": events, "searchedLogStreams": [], "nextToken": page.next })))
}

fn chosen_streams(
    arguments: &Arguments,
    world: &World,
    group: &str,
) -> Result<Vec<String>, Refusal> {
    let names = arguments.texts("logStreamNames")?;
    let prefix = arguments.text("logStreamNamePrefix")?;
    if !names.is_empty() && prefix.is_some() {
        return Err(arguments.refuse("logStreamNames and logStreamNamePrefix exclude one another"));
    }
    let mut streams = world.log_streams(group, prefix.unwrap_or_default())?;
    if let Some(absent) = names.iter().find(|name| !streams.contains(name)) {
        let message = format!("The specified log stream does not exist: {absent}");
        return Err(Refusal::bad("ResourceNotFoundException", message));
    }
    streams.retain(|stream| names.is_empty() || names.contains(stream));
    Ok(streams)
}

fn found_json(found: &Found) -> Value {
    let mut event = event_json(&found.line);
    event["logStreamName"] = found.stream.as_str().into();
    event["eventId"] =
        format!("{:08x}{:08}", crc32fast::hash(found.stream.as_bytes()), found.number).into();
    event
}

/// A filter pattern of plain terms: all of them, or with `?` before each, any.
#[derive(Debug)]
struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
}

impl Pattern {
    fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        let text = arguments.text("filterPattern")?.unwrap_or_default();
        if text.trim_start().starts_with(['{', '[', '%']) || text.contains(" -") {
            return Err(
                arguments.refuse("a filter of that kind is not part of the simulated pipeline")
            );
        }
        let mut pattern = Self { all: Vec::new(), any: Vec::new() };
        for term in terms(text) {
            match term.strip_prefix('?') {
                Some(term) => pattern.any.push(term.trim_matches('"').to_owned()),
                None => pattern.all.push(term.trim_matches('"').to_owned()),
            }
        }
        Ok(pattern)
    }

    fn holds(&self, message: &str) -> bool {
        self.all.iter().all(|term| message.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| message.contains(term)))
    }
}

/// Words, and what stands in quotes, quotes included.
fn terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        is_quoted ^= character == '"';
        match terms.last_mut() {
            Some(term) if is_quoted || !character.is_whitespace() => term.push(character),
            Some(_) | None => terms.push(String::new()),
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

fn describe_streams(arguments: &Arguments, world: &World) -> Result<Reply, Refusal> {
    let group = group(arguments)?;
    let prefix = arguments.text("logStreamNamePrefix")?.unwrap_or_default();
    let by_time = arguments.text("orderBy")? == Some("LastEventTime");
    if by_time && !prefix.is_empty() {
        return Err(arguments.refuse("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let mut streams = Vec::new();
    for name in world.log_streams(group, prefix)? {
        let lines = world.log_events(group, &name)?;
        streams.push((name, lines));
    }
    let is_descending = arguments.flag("descending")?;
    let key =
        |(name, lines): &(String, Vec<LogLine>)| stream_key(name, lines, by_time, is_descending);
    let limit = arguments.page_size("limit", STREAMS_PAGE_LIMIT)?;
    let scope = format!("streams\n{group}\n{prefix}\n{by_time}\n{is_descending}");
    let page = page(streams, key, &scope, arguments.text("nextToken")?, limit)
        .map_err(|_| arguments.refuse("The specified nextToken is invalid."))?;
    let streams: Vec<Value> =
        page.items.iter().map(|(name, lines)| stream_json(world, group, name, lines)).collect();
    Ok(reply(json!({ "logStreams": streams, "nextToken": page.next })))
}

/// Sorts by name or by the last event's time, upwards or downwards.
fn stream_key(name: &str, lines: &[LogLine], by_time: bool, is_descending: bool) -> String {
    let last = lines.last().map_or(0, |line| line.at.timestamp_millis());
    match (by_time, is_descending) {
        (true, true) => format!("{:020}{name}", i64::MAX - last),
        (true, false) => format!("{last:020}{name}"),
        (false, true) => {
            name.bytes().map(|byte| format!("{:02x}", !byte)).chain(["g".into()]).collect()
        }
        (false, false) => name.to_owned(),
    }
}

fn stream_json(world: &World, group: &str, name: &str, lines: &[LogLine]) -> Value {
    let first = lines.first().map(|line| line.at.timestamp_millis());
    let last = lines.last().map(|line| line.at.timestamp_millis());
    json!({
        "logStreamName": name,
        "creationTime": first,
        "firstEventTimestamp": first,
        "lastEventTimestamp": last,
        "lastIngestionTime": last,
        "arn": world.names.arn("logs", &format!("log-group:{group}:log-stream:{name}")),
        "storedBytes": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let body = json!({ "filterPattern": text }).to_string();
        Pattern::read(&Arguments::parse(body.as_bytes(), INVALID).unwrap()).unwrap()
    }

    #[test]
    fn terms_must_all_be_there_and_questioned_ones_any() {
        assert!(pattern("").holds("anything"));
        assert!(pattern("Dropping database").holds("Dropping and recreating RDS database"));
        assert!(!pattern("Dropping table").holds("Dropping and recreating RDS database"));
        assert!(pattern("?ERROR ?\"Task timed out\"").holds("x Task timed out y"));
        assert!(!pattern("\"timed Task\"").holds("Task timed out"));
    }
}
