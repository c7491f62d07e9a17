//! From TOML to figment's values. Dates stay text: what they mean is for the twin to say.

use figment::value::{Dict, Value};
use toml_edit::Item;

/// A table and everything in it.
pub(super) fn from_table(table: &dyn toml_edit::TableLike) -> Dict {
    table.iter().filter_map(|(key, item)| Some((key.to_owned(), from_item(item)?))).collect()
}

fn from_item(item: &Item) -> Option<Value> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(from_value(value)),
        Item::Table(table) => Some(Value::from(from_table(table))),
        Item::ArrayOfTables(tables) => {
            Some(Value::from(tables.iter().map(|table| from_table(table)).collect::<Vec<_>>()))
        }
    }
}

fn from_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => Value::from(*number.value()),
        toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
        toml_edit::Value::Datetime(moment) => Value::from(moment.value().to_string()),
        toml_edit::Value::Array(list) => {
            Value::from(list.iter().map(from_value).collect::<Vec<_>>())
        }
        toml_edit::Value::InlineTable(table) => Value::from(from_table(table)),
    }
}

/// A variable is text, so that an account id keeps its leading zero; quotes around it are
/// taken off, for those who write TOML there. A table is one from the start, to be merged.
pub(super) fn from_variable(text: &str) -> Value {
    let quoted = text.starts_with(['"', '\'']);
    match text.parse::<toml_edit::Value>() {
        Ok(toml_edit::Value::String(inner)) if quoted => Value::from(inner.value().as_str()),
        Ok(toml_edit::Value::InlineTable(table)) => Value::from(from_table(&table)),
        _ => Value::from(text),
    }
}

/// A variable read again as TOML, when text is not what its key wants: numbers, switches, lists.
pub(in crate::config) fn reread(text: &str) -> Option<Value> {
    let value = text.trim().parse::<toml_edit::Value>().ok()?;
    (!value.is_str()).then(|| from_value(&value))
}
