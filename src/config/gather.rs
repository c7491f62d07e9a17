//! From the merged value to the raw twin, with every problem on the way.
//!
//! serde stops at the first mistake, so a mistake is noted, taken out, and the rest is read
//! again, until the rest can be read. Each round takes something out, so it ends.

use std::collections::BTreeMap;

use figment::Error;
use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use sha2::{Digest as _, Sha256};

use super::key_path::{KeyPath, Segment};
use super::layers::reread;
use super::raw::Raw;
use super::report::Report;
use super::suggest::{closest, list_of};

/// A file with more mistakes than this is not read to its end.
const PROBLEMS_LIMIT: usize = 200;

/// The raw twin, and the fingerprint of what it was read from.
pub(super) struct Gathered {
    pub(super) raw: Raw,
    /// SHA-256 over the effective configuration as canonical JSON, in hex.
    pub(super) fingerprint: String,
}

/// Reads the raw twin; mistakes go to the report and are left out.
pub(super) fn gather(merged: Value, report: &mut Report) -> Gathered {
    let mut gathering = Gathering { value: merged, dropped: BTreeMap::new(), report };
    for _ in 0..PROBLEMS_LIMIT {
        match gathering.value.deserialize::<Raw>() {
            Ok(raw) => return Gathered { raw, fingerprint: fingerprint(&gathering.value) },
            Err(error) => gathering.settle(&error),
        }
    }
    let message = format!("more than {PROBLEMS_LIMIT} problems; the rest is not shown");
    gathering.report.error(&KeyPath::root(), message);
    gathering.report.spoil(KeyPath::root());
    Gathered { raw: Raw::default(), fingerprint: String::new() }
}

struct Gathering<'r> {
    value: Value,
    /// For each list, the original places of the elements taken out: the others move up.
    dropped: BTreeMap<KeyPath, Vec<usize>>,
    report: &'r mut Report,
}

impl Gathering<'_> {
    fn settle(&mut self, error: &Error) {
        let here = resolve(&self.value, &error.path);
        let written = self.as_written(&here);
        if self.read_variable_again(&here, &written) {
            return;
        }
        explain(error, &written, self.report);
        self.take_out(&here, &written);
    }

    /// A variable that is no text after all: a number, a switch, a list.
    fn read_variable_again(&mut self, here: &KeyPath, written: &KeyPath) -> bool {
        let Some(variable) = self.report.sources.variable(written) else { return false };
        let Some(slot) = slot(&mut self.value, here) else { return false };
        match reread(&variable.text) {
            Some(value) if slot.as_str() == Some(&variable.text) => {
                *slot = value;
                true
            }
            _ => false,
        }
    }

    fn take_out(&mut self, here: &KeyPath, written: &KeyPath) {
        remove(&mut self.value, here);
        if let Some((list, Segment::Index(index))) = written.parent() {
            self.dropped.entry(list).or_default().push(*index);
        }
        self.report.spoil(written.clone());
    }

    /// The path as it is written: an element's place before others were taken out of its list.
    fn as_written(&self, here: &KeyPath) -> KeyPath {
        let mut written = KeyPath::root();
        for segment in here.segments() {
            written = match segment {
                Segment::Key(key) => written.key(key),
                Segment::Index(index) => {
                    let mut index = *index;
                    let mut dropped = self.dropped.get(&written).cloned().unwrap_or_default();
                    dropped.sort_unstable();
                    for before in dropped {
                        index += usize::from(before <= index);
                    }
                    written.index(index)
                }
            };
        }
        written
    }
}

/// figment's path, with list elements told from keys.
fn resolve(value: &Value, path: &[String]) -> KeyPath {
    let mut here = Some(value);
    let mut resolved = KeyPath::root();
    for part in path {
        let list = here.and_then(Value::as_array);
        if let (Some(list), Ok(index)) = (list, part.parse::<usize>()) {
            resolved = resolved.index(index);
            here = list.get(index);
        } else {
            resolved = resolved.key(part);
            here = here.and_then(Value::as_dict).and_then(|table| table.get(part));
        }
    }
    resolved
}

fn slot<'v>(value: &'v mut Value, path: &KeyPath) -> Option<&'v mut Value> {
    let mut here = value;
    for segment in path.segments() {
        here = match (here, segment) {
            (Value::Dict(_, table), Segment::Key(key)) => table.get_mut(key)?,
            (Value::Array(_, list), Segment::Index(index)) => list.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(here)
}

/// Takes a value out; what cannot be found takes everything with it, so that rounds end.
fn remove(value: &mut Value, path: &KeyPath) {
    let removed = path.parent().is_some_and(|(parent, last)| match (slot(value, &parent), last) {
        (Some(Value::Dict(_, table)), Segment::Key(key)) => table.remove(key).is_some(),
        (Some(Value::Array(_, list)), Segment::Index(index)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    });
    if !removed {
        *value = Value::from(Dict::new());
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for the rare kinds")]
fn explain(error: &Error, path: &KeyPath, report: &mut Report) {
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let (message, help) = unknown_key(name, known);
            report.wrong_key(path, message, Some(help));
        }
        Kind::UnknownVariant(found, known) => {
            let message =
                format!("found `{found}`, expected one of {}", list_of(known.iter().copied()));
            match closest(found, known.iter().copied()) {
                Some(guess) => {
                    report.error_with_help(path, message, format!("did you mean `{guess}`?"));
                }
                None => report.error(path, message),
            }
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            report.error(path, format!("found {}, expected {}", name(found), plain(expected)));
        }
        Kind::Message(message) => report.error(path, message.clone()),
        other => report.error(path, other.to_string()),
    }
}

fn unknown_key(name: &str, known: &[&'static str]) -> (String, String) {
    let help = match closest(name, known.iter().copied()) {
        Some(guess) => format!("did you mean `{guess}`?"),
        None => format!("the keys here are {}", list_of(known.iter().copied())),
    };
    (format!("unknown key `{name}`"), help)
}

/// What was found, in the words of TOML.
#[expect(clippy::wildcard_enum_match_arm, reason = "TOML has no values of the other kinds")]
fn name(found: &Actual) -> String {
    match found {
        Actual::Bool(flag) => format!("`{flag}`"),
        Actual::Unsigned(number) => format!("the number `{number}`"),
        Actual::Signed(number) => format!("the number `{number}`"),
        Actual::Float(number) => format!("the number `{number}`"),
        Actual::Char(letter) => format!("the text `{letter}`"),
        Actual::Str(text) => format!("the text `{}`", shortened(text)),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    /// Enough to recognise a value by.
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// serde's words for what it expected, in the words of TOML.
fn plain(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn fingerprint(effective: &Value) -> String {
    let mut hasher = Sha256::new();
    // figment's tables are sorted, so the text is canonical.
    hasher.update(canonical(effective).to_string());
    hasher.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The value as JSON, tables sorted by key.
pub(super) fn canonical(value: &Value) -> serde_json::Value {
    match value {
        Value::String(_, text) => text.clone().into(),
        Value::Char(_, letter) => letter.to_string().into(),
        Value::Bool(_, flag) => (*flag).into(),
        Value::Empty(_, _) => serde_json::Value::Null,
        Value::Num(_, number) => match number.to_i128().and_then(|it| i64::try_from(it).ok()) {
            Some(integer) => integer.into(),
            None => number.to_f64().into(),
        },
        Value::Array(_, list) => list.iter().map(canonical).collect(),
        Value::Dict(_, table) => {
            table.iter().map(|(key, value)| (key.clone(), canonical(value))).collect()
        }
    }
}
