//! `ledger export --csv`: a line for each event, for whoever audits with a spreadsheet.

use serde_json::{Map, Value};

use crate::expose::words::rfc3339;
use crate::ledger::Entry;

/// The columns. What an event has besides stands in `more`, as JSON.
const COLUMNS: [&str; 15] = [
    "seq", "at", "epoch", "writer", "kind", "dataset", "date", "run", "request", "by", "reason",
    "ticket", "outcome", "detail", "more",
];

/// The first line.
#[must_use]
pub fn csv_header() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// The lines of an entry, one for each event.
#[must_use]
pub fn csv_lines(entry: &Entry) -> String {
    entry.events.iter().map(|event| line(entry, event_fields(event))).collect()
}

fn event_fields(event: &crate::ledger::Event) -> Map<String, Value> {
    match serde_json::to_value(event) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(), // our own events are objects with string keys
    }
}

fn line(entry: &Entry, mut fields: Map<String, Value>) -> String {
    let head =
        [entry.seq.to_string(), rfc3339(entry.at), entry.epoch.to_string(), entry.writer.clone()];
    flatten(&mut fields, "asked");
    flatten(&mut fields, "request");
    let taken: Vec<String> = COLUMNS[head.len()..COLUMNS.len() - 1]
        .iter()
        .map(|column| fields.remove(*column).as_ref().map_or_else(String::new, plain))
        .collect();
    let more = if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() };
    let cells = head.into_iter().chain(taken).chain([more]).map(|text| cell(&text));
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Puts the members of an inner table beside the others; what is there already stays.
fn flatten(fields: &mut Map<String, Value>, name: &str) {
    match fields.remove(name) {
        Some(Value::Object(inner)) => {
            for (key, value) in inner {
                fields.entry(key).or_insert(value);
            }
        }
        Some(other) => {
            fields.insert(name.to_owned(), other);
        }
        None => {}
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Quoted where it must be (RFC 4180). A spreadsheet would run what begins like a formula,
/// and reasons are free text, so such a cell begins with an apostrophe.
fn cell(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Asked, Event, Request};

    fn entry(reason: &str) -> Entry {
        Entry {
            v: 1,
            seq: 7,
            at: "2022-06-13T04:00:00Z".parse().unwrap(),
            epoch: 0,
            writer: "host/812/retry".to_owned(),
            nonce: "n".to_owned(),
            events: vec![
                Event::Requested {
                    dataset: "liberator".to_owned(),
                    request: Request::Retry { date: "2022-06-01".parse().unwrap() },
                    asked: Asked {
                        by: "arn:aws:iam::1:user/kim".to_owned(),
                        reason: Some(reason.to_owned()),
                        ticket: None,
                    },
                },
                Event::Left {},
            ],
        }
    }

    #[test]
    fn each_event_is_a_line_with_who_and_why() {
        insta::assert_snapshot!(csv_lines(&entry("asked, \"twice\"")).replace('\r', ""), @r#"
        7,2022-06-13T04:00:00Z,0,host/812/retry,requested,liberator,2022-06-01,,retry,arn:aws:iam::1:user/kim,"asked, ""twice""",,,,
        7,2022-06-13T04:00:00Z,0,host/812/retry,left,,,,,,,,,,
        "#);
    }

    #[test]
    fn every_line_has_every_column_and_none_is_a_formula() {
        let lines = csv_lines(&entry("=cmd|'/c calc'!A1"));
        assert!(lines.contains(",'=cmd|"), "{lines}");
        for line in csv_header().lines().chain(lines.lines()) {
            assert_eq!(line.matches(',').count(), COLUMNS.len() - 1, "{line}");
        }
    }
}
