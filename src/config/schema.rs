//! The JSON schema of the configuration, for editors: made from the raw twin.
//!
//! Nothing is marked as required in it: a file of `conf.d` is a part of a configuration,
//! and a part must not be underlined for what it leaves to the others. What is required is
//! said in the descriptions and checked by `load`.

use figment::value::{Dict, Value};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

use super::gather::canonical;
use super::layers::default_values;
use super::raw::Raw;

/// The JSON schema (draft 2020-12) of the configuration file.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(WithoutNull)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Raw>().to_value();
    let mut defaults = default_values();
    let dataset = defaults.remove("dataset").and_then(Value::into_dict).unwrap_or_default();
    note_defaults(&mut schema, &defaults);
    if let Some(each) = schema.pointer_mut("/properties/datasets/additionalProperties") {
        note_defaults(each, &dataset);
    }
    schema
}

/// TOML has no null: an optional key is left out.
#[derive(Clone, Debug)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        object.remove("default");
        if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(serde_json::Value::Array(choices)) = object.get_mut("enum") {
            choices.retain(|choice| !choice.is_null());
        }
        let is_null =
            |schema: &serde_json::Value| schema.get("type").is_some_and(|kind| kind == "null");
        if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| !is_null(choice));
            if let [serde_json::Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
    }
}

/// Of a table whose names are the reader's own the defaults are those of each entry.
fn note_defaults(schema: &mut serde_json::Value, defaults: &Dict) {
    let is_named = schema.pointer("/additionalProperties/properties").is_some();
    let schema = if is_named { &mut schema["additionalProperties"] } else { schema };
    for (key, default) in defaults {
        let Some(property) = schema.get_mut("properties").and_then(|all| all.get_mut(key)) else {
            continue;
        };
        match (default, property.as_object_mut()) {
            (Value::Dict(_, table), _) => note_defaults(property, table),
            (leaf, Some(object)) => {
                object.insert("default".to_owned(), canonical(leaf));
            }
            (_, None) => {}
        }
    }
}
