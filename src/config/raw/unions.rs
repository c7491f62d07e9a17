//! Keys that can be written in two ways, each with a visitor of its own: an untagged enum
//! would lose the path of what is wrong inside.

use std::borrow::Cow;
use std::fmt;

use chrono::Weekday;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::{DeadManSchedule, InlineNetwork};
use crate::config::words::{ByteSize, Weekdays};
use crate::config::written::{FromText, Written, read};
use crate::domain::DateSpan;

/// `dates`: one date or range, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Dates(pub(in crate::config) Vec<DateSpan>);

/// `expect`: a word, or a list of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Expect(pub(in crate::config) Weekdays);

/// `min_size`: a text, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

/// `network`: `from_trigger`, or a table.
#[derive(Clone, Debug)]
pub(in crate::config) enum Network {
    FromTrigger,
    Inline(InlineNetwork),
}

/// `dead_man`: `none`, or a table.
#[derive(Clone, Debug)]
pub(in crate::config) enum DeadMan {
    Accepted,
    Schedule(DeadManSchedule),
}

macro_rules! deserialize_by {
    ($type:ty, $visitor:ident) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}

deserialize_by!(Dates, DatesVisitor);
deserialize_by!(Expect, ExpectVisitor);
deserialize_by!(Size, SizeVisitor);
deserialize_by!(Network, NetworkVisitor);
deserialize_by!(DeadMan, DeadManVisitor);

struct DatesVisitor;

impl<'de> Visitor<'de> for DatesVisitor {
    type Value = Dates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", DateSpan::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Dates, E> {
        Ok(Dates(vec![read(text)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Dates, A::Error> {
        let mut spans = Vec::new();
        while let Some(Written(span)) = list.next_element()? {
            spans.push(span);
        }
        Ok(Dates(spans))
    }
}

struct ExpectVisitor;

impl<'de> Visitor<'de> for ExpectVisitor {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Weekdays::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Expect, E> {
        read(text).map(Expect)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Expect, A::Error> {
        let mut days: Vec<Weekday> = Vec::new();
        while let Some(Written(day)) = list.next_element()? {
            days.push(day);
        }
        Ok(Expect(Weekdays::of(&days)))
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ByteSize::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        read(text).map(|ByteSize(bytes)| Size(bytes))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes)
            .map(Size)
            .map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }
}

struct NetworkVisitor;

impl<'de> Visitor<'de> for NetworkVisitor {
    type Value = Network;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"from_trigger\" or a table with `subnets` and `security_groups`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
        match text {
            "from_trigger" => Ok(Network::FromTrigger),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Network, A::Error> {
        InlineNetwork::deserialize(MapAccessDeserializer::new(table)).map(Network::Inline)
    }
}

struct DeadManVisitor;

impl<'de> Visitor<'de> for DeadManVisitor {
    type Value = DeadMan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `group`, `role_arn` and `after`, or \"none\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DeadMan, E> {
        match text {
            "none" => Ok(DeadMan::Accepted),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<DeadMan, A::Error> {
        DeadManSchedule::deserialize(MapAccessDeserializer::new(table)).map(DeadMan::Schedule)
    }
}

macro_rules! schema_by {
    ($type:ty, $name:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    };
}

schema_by!(Dates, "Dates", |_| json_schema!({
    "anyOf": [
        { "type": "string", "title": DateSpan::EXPECTED },
        { "type": "array", "items": { "type": "string", "title": DateSpan::EXPECTED } },
    ]
}));
schema_by!(Expect, "Expect", |_| json_schema!({
    "anyOf": [
        { "type": "string", "enum": ["daily", "weekdays"] },
        { "type": "array", "minItems": 1, "items": { "type": "string", "enum": Weekday::CHOICES } },
    ]
}));
schema_by!(Size, "Size", |_| json_schema!({
    "anyOf": [
        { "type": "string", "title": ByteSize::EXPECTED },
        { "type": "integer", "minimum": 0 },
    ]
}));
schema_by!(Network, "Network", |generator| json_schema!({
    "anyOf": [
        { "type": "string", "const": "from_trigger" },
        generator.subschema_for::<InlineNetwork>(),
    ]
}));
schema_by!(DeadMan, "DeadMan", |generator| json_schema!({
    "anyOf": [
        { "type": "string", "const": "none" },
        generator.subschema_for::<DeadManSchedule>(),
    ]
}));
