//! JSON 1.1 and REST JSON: reading arguments as strictly as AWS does, writing instants.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::reply::{Refusal, Reply};

/// The body type of the JSON 1.1 services.
pub(super) const JSON_1_1: &str = "application/x-amz-json-1.1";

/// The members of a request.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    members: Map<String, Value>,
    /// The service's code for an argument that will not do.
    invalid: &'static str,
}

impl Arguments {
    /// Reads a body; an empty one is an empty object.
    pub(super) fn parse(body: &[u8], invalid: &'static str) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self { members: Map::new(), invalid });
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self { members, invalid }),
            Ok(_) | Err(_) => Err(Refusal::bad("SerializationException", "not a JSON object")),
        }
    }

    /// A refusal of an argument.
    pub(super) fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal::bad(self.invalid, message)
    }

    /// The member, unless absent or null.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.value(name).map(|value| value.as_str().ok_or_else(|| mistyped(name))).transpose()
    }

    /// A member that is text; an empty one is as good as absent.
    pub(super) fn filled(&self, name: &str) -> Result<Option<&str>, Refusal> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A member that is text and must be there, and not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.filled(name)?.ok_or_else(|| {
            self.refuse(format!("1 validation error detected: {name} must not be null"))
        })
    }

    /// A member that is true or false; absent is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        let value = self.value(name).map(|value| value.as_bool().ok_or_else(|| mistyped(name)));
        Ok(value.transpose()?.unwrap_or(false))
    }

    /// A member that is a whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.value(name).map(|value| value.as_i64().ok_or_else(|| mistyped(name))).transpose()
    }

    /// The size of a page: within `1..=most`, `most` when it is not said.
    pub(super) fn page_size(&self, name: &str, most: usize) -> Result<usize, Refusal> {
        let Some(asked) = self.integer(name)? else { return Ok(most) };
        usize::try_from(asked).ok().filter(|size| (1..=most).contains(size)).ok_or_else(|| {
            self.refuse(format!("{name} must be between 1 and {most}, but it is {asked}"))
        })
    }

    /// A member that is a list of texts; absent is empty.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let texts = value.as_array().ok_or_else(|| mistyped(name))?.iter();
        texts.map(|text| text.as_str().map(str::to_owned).ok_or_else(|| mistyped(name))).collect()
    }

    /// A member that is an object of texts; absent is empty.
    pub(super) fn text_map(&self, name: &str) -> Result<Vec<(String, String)>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let members = value.as_object().ok_or_else(|| mistyped(name))?.iter();
        members
            .map(|(key, text)| {
                let text = text.as_str().ok_or_else(|| mistyped(name))?;
                Ok((key.clone(), text.to_owned()))
            })
            .collect()
    }

    /// A member that is an object; absent is an empty one.
    pub(super) fn object(&self, name: &str) -> Result<Self, Refusal> {
        Ok(Self { members: self.maybe_object(name)?.unwrap_or_default(), invalid: self.invalid })
    }

    fn maybe_object(&self, name: &str) -> Result<Option<Map<String, Value>>, Refusal> {
        let object = |value: &Value| value.as_object().cloned().ok_or_else(|| mistyped(name));
        self.value(name).map(object).transpose()
    }

    /// A member that is a list of objects; absent is empty.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let objects = value.as_array().ok_or_else(|| mistyped(name))?.iter();
        objects
            .map(|object| {
                let members = object.as_object().cloned().ok_or_else(|| mistyped(name))?;
                Ok(Self { members, invalid: self.invalid })
            })
            .collect()
    }

    /// The first of these members that is text: for the log of calls.
    pub(super) fn first_text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.members.get(*name)?.as_str())
    }
}

fn mistyped(name: &str) -> Refusal {
    Refusal::bad("SerializationException", format!("{name} has the wrong type"))
}

/// Epoch seconds with milliseconds: a JSON number.
pub(super) fn seconds(instant: DateTime<Utc>) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
    let seconds = instant.timestamp_millis() as f64 / 1000.0;
    seconds.into()
}

/// A 200 answer of a JSON 1.1 service. Members that are null are left out, as AWS does.
pub(super) fn reply(mut body: Value) -> Reply {
    prune(&mut body);
    Reply::new(200, JSON_1_1, body.to_string())
}

/// Removes members that are null, at every depth.
pub(super) fn prune(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, member| !member.is_null());
        object.values_mut().for_each(prune);
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(prune);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(body: &Value) -> Arguments {
        Arguments::parse(body.to_string().as_bytes(), "InvalidInputException").unwrap()
    }

    #[test]
    fn a_member_of_the_wrong_type_is_a_serialization_error() {
        let arguments = arguments(&json!({"Name": 7, "Max": "x"}));
        assert_eq!(arguments.text("Name").unwrap_err().code, "SerializationException");
        assert_eq!(arguments.integer("Max").unwrap_err().code, "SerializationException");
    }

    #[test]
    fn a_page_size_outside_the_limits_is_refused() {
        for asked in [0, -1, 1001] {
            let error = arguments(&json!({"MaxResults": asked})).page_size("MaxResults", 1000);
            assert_eq!(error.unwrap_err().code, "InvalidInputException");
        }
        assert_eq!(arguments(&json!({})).page_size("MaxResults", 1000).unwrap(), 1000);
    }

    #[test]
    fn nulls_are_left_out_at_every_depth() {
        let mut value = json!({"a": null, "b": [{"c": null, "d": 1}]});
        prune(&mut value);
        assert_eq!(value, json!({"b": [{"d": 1}]}));
    }

    #[test]
    fn instants_are_seconds_with_a_fraction() {
        let instant = DateTime::from_timestamp_millis(1_654_041_600_250).unwrap();
        assert_eq!(seconds(instant), json!(1_654_041_600.25));
    }
}
