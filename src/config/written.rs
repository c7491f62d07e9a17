//! Values that are written as text and checked as they are read.
//!
//! A type says in [`FromText`] how it is written; [`Written`] gives it serde and a place in
//! the JSON schema. There is nothing untagged and nothing flattened here: both would cost
//! the key path of an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// Why a text is not a value of its type.
pub(super) enum Refusal {
    /// It is simply something else.
    NotThis,
    /// It is nearly right; the reason stands by itself.
    Because(String),
}

/// A type that is written as text.
pub(super) trait FromText: Sized {
    /// Its name in the schema.
    const NAME: &'static str;
    /// Fits after "expected".
    const EXPECTED: &'static str;
    /// All there is, for types with few values.
    const CHOICES: &'static [&'static str] = &[];

    fn from_text(text: &str) -> Result<Self, Refusal>;

    /// What an editor can check of it.
    fn schema() -> Schema {
        if Self::CHOICES.is_empty() {
            json_schema!({ "type": "string", "title": Self::EXPECTED })
        } else {
            json_schema!({ "type": "string", "enum": Self::CHOICES })
        }
    }
}

/// A value, read from its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written<T>(pub(super) T);

/// Reads a text, with the error that says best what is wrong with it.
pub(super) fn read<T: FromText, E: de::Error>(text: &str) -> Result<T, E> {
    T::from_text(text).map_err(|refusal| match refusal {
        Refusal::Because(reason) => E::custom(reason),
        Refusal::NotThis if !T::CHOICES.is_empty() => E::unknown_variant(text, T::CHOICES),
        Refusal::NotThis => E::invalid_value(Unexpected::Str(text), &T::EXPECTED),
    })
}

impl<'de, T: FromText> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        read(text).map(Written)
    }
}

impl<T: FromText> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// A whole number within limits, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const LEAST: u32, const MOST: u32>(pub(super) u32);

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor::<LEAST, MOST>)
    }
}

struct WholeVisitor<const LEAST: u32, const MOST: u32>;

impl<const LEAST: u32, const MOST: u32> Visitor<'_> for WholeVisitor<LEAST, MOST> {
    type Value = Whole<LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        u32::try_from(number)
            .ok()
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Whole)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let signed = i64::try_from(number)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        self.visit_i64(signed)
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Whole<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }
}
