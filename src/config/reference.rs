//! Every key of the configuration as Markdown: made from the schema, so that it cannot lag.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::schema;

const HEAD: &str = "\
# Every key of the configuration

Written by `gapmend config reference` from the schema; a test fails when it lags behind.
[`config/default.toml`](../config/default.toml) tells the same as a commented file, with the
ways in which values are written. `NAME` stands for a name that is yours.
";

/// Every key with its default and its meaning.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    table(&mut text, "", &schema());
    text
}

/// One table: its own keys first, then the tables below it.
fn table(text: &mut String, path: &str, schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let (tables, keys): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(_, property)| inner(property).is_some());
    if !path.is_empty() {
        let _ = write!(text, "\n## `[{path}]`\n\n{}\n", description(schema));
    }
    keys_of(text, &keys);
    for (name, property) in tables {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match inner(property) {
            Some(Inner::Table(inner)) => table(text, &below, &described(inner, property)),
            Some(Inner::Named(inner)) => {
                table(text, &format!("{below}.NAME"), &described(inner, property));
            }
            None => {}
        }
    }
}

enum Inner<'a> {
    Table(&'a Value),
    Named(&'a Value),
}

/// A table, or a table of tables with names of one's own.
fn inner(property: &Value) -> Option<Inner<'_>> {
    if property.get("properties").is_some() {
        return Some(Inner::Table(property));
    }
    let each = property.get("additionalProperties")?;
    each.get("properties").map(|_| Inner::Named(each))
}

/// The inner schema under the words of the key that holds it.
fn described(inner: &Value, property: &Value) -> Value {
    let mut inner = inner.clone();
    if let (Some(object), Some(words)) = (inner.as_object_mut(), property.get("description")) {
        object.insert("description".to_owned(), words.clone());
    }
    inner
}

fn keys_of(text: &mut String, keys: &[(&String, &Value)]) {
    if keys.is_empty() {
        return;
    }
    text.push_str("\n| key | default | meaning |\n|---|---|---|\n");
    for (name, property) in keys {
        let default = property.get("default").map_or_else(String::new, |it| format!("`{it}`"));
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} |",
            escaped(&default),
            escaped(&meaning(property))
        );
    }
}

/// The description, the closed words that may be written, and bounds.
fn meaning(property: &Value) -> String {
    let mut meaning = description(property);
    let words = property.get("enum").and_then(Value::as_array);
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let _ = write!(meaning, " One of {}.", words.join(", "));
    }
    if let Some((least, most)) = bounds(property.as_object()) {
        let _ = write!(meaning, " From {least} to {most}.");
    }
    meaning
}

fn bounds(property: Option<&Map<String, Value>>) -> Option<(&Value, &Value)> {
    let property = property?;
    Some((property.get("minimum")?, property.get("maximum")?))
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

/// A bar would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
