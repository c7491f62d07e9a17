//! A page of partitions, skimmed while it comes.
//!
//! A page is a megabyte of text, of which two fields of each of a thousand partitions matter. The
//! SDK would keep the whole text, and make two dozen strings and maps of each partition. So the
//! answer's body is changed on its way to the SDK's reader: the partitions are taken out of it one
//! by one, as soon as each is whole, and what the SDK reads is what is left, the token around an
//! empty list.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde::Deserialize;

use crate::platform::Partition;

/// A connection hands on all that it has read; so much of it is skimmed at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Takes the list out of the answer of one request; the token stays in the SDK's.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionPage(Arc<Mutex<Option<Vec<Partition>>>>);

impl PartitionPage {
    /// The list of the last answer; `None` when it had none.
    pub(super) fn take(&self) -> Option<Vec<Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, list: Option<Vec<Partition>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }
}

#[dyn_dispatch_hint]
impl Intercept for PartitionPage {
    fn name(&self) -> &'static str {
        "PartitionPage"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            let body = context.response_mut().body_mut();
            let whole = std::mem::replace(body, SdkBody::taken());
            let skimmed =
                Skimmed { whole: Box::pin(whole), page: self.clone(), skim: Some(Skim::default()) };
            *body = SdkBody::from_body_1_x(skimmed);
        }
        Ok(())
    }
}

/// An answer's body without its partitions.
struct Skimmed {
    whole: Pin<Box<SdkBody>>,
    page: PartitionPage,
    /// `None` once what is left was handed on.
    skim: Option<Skim>,
}

impl Body for Skimmed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let frame = ready!(self.whole.as_mut().poll_frame(context)).transpose()?;
            let data = frame.map(Frame::into_data);
            match (data, self.skim.take()) {
                (Some(Ok(data)), Some(mut skim)) => {
                    for chunk in data.chunks(CHUNK_BYTES) {
                        skim.read(chunk);
                    }
                    self.skim = Some(skim);
                }
                (None, Some(skim)) => {
                    self.page.put(skim.list);
                    return Poll::Ready(Some(Ok(Frame::data(skim.rest.into()))));
                }
                (Some(Err(_trailers)), skim) => self.skim = skim,
                (_, None) => return Poll::Ready(None),
            }
        }
    }
}

/// Reads a page chunk by chunk. A list that never ends leaves `rest` open, and the SDK's reader
/// refuses the page.
#[derive(Default)]
struct Skim {
    /// What is not of the list.
    rest: Vec<u8>,
    /// How deep `rest` is in objects and lists.
    depth: usize,
    /// Whether `rest` ends within a text, and whether right after its backslash.
    in_text: bool,
    escaped: bool,
    /// The partitions so far, once there is a list.
    list: Option<Vec<Partition>>,
    /// Within the list: what was read of it and is no whole partition yet.
    unread: Vec<u8>,
    in_list: bool,
}

impl Skim {
    fn read(&mut self, chunk: &[u8]) {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            chunk = if self.in_list { self.read_list(chunk) } else { self.read_around(chunk) };
        }
    }

    /// Reads up to the beginning of the list; answers what comes after.
    fn read_around<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        for (index, letter) in chunk.iter().enumerate() {
            let begins = !self.in_text && *letter == b'[' && self.depth == 1 && self.is_at_list();
            self.rest.push(*letter);
            match letter {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => self.depth += 1,
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if begins {
                self.in_list = true;
                self.list.get_or_insert_default();
                return &chunk[index + 1..];
            }
        }
        &[]
    }

    /// Whether the last key is the list's.
    fn is_at_list(&self) -> bool {
        let before = self.rest.trim_ascii_end();
        let key = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        key.is_some_and(|key| key.ends_with(br#""Partitions""#))
    }

    /// Reads the partitions that are whole; answers what comes after the list's end.
    ///
    /// What cannot be read may go on in the next chunk (half a number is no number), so it is kept;
    /// if it is no partition after all, the list never ends.
    fn read_list<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let known = self.unread.len();
        self.unread.extend_from_slice(chunk);
        let mut read = 0;
        loop {
            let left = &self.unread[read..];
            let between = left.iter().take_while(|letter| b", \t\r\n".contains(letter)).count();
            read += between;
            match self.unread.get(read) {
                Some(b']') => {
                    let after = &chunk[read - known..];
                    self.unread = Vec::new();
                    self.in_list = false;
                    return after;
                }
                None => break,
                Some(_) => {}
            }
            let mut rows =
                serde_json::Deserializer::from_slice(&self.unread[read..]).into_iter::<Row>();
            match rows.next() {
                Some(Ok(row)) => self.list.get_or_insert_default().push(row.into()),
                Some(Err(_)) | None => break,
            }
            read += rows.byte_offset();
        }
        self.unread.drain(..read);
        &[]
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    values: Vec<String>,
    storage_descriptor: Option<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    location: Option<String>,
}

impl From<Row> for Partition {
    fn from(row: Row) -> Self {
        let location = row.storage_descriptor.and_then(|place| place.location);
        Self { values: row.values, location }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#" {"More": {"Partitions": [1]}, "Partitions" : [
        {"Values":["2026","a\"]}"],"Columns":[{"Name":"x]"}],"StorageDescriptor":{"Location":"s3://a/b"}},
        {"CreationTime":1.75E9,"LastAccessTime":-0.5,"Parameters":{},"Values":["\u00e9"]} ], "NextToken":"[\"tok}en\\"}"#;

    fn skimmed(chunks: &[&[u8]]) -> (Option<Vec<Partition>>, String) {
        let mut skim = Skim::default();
        for chunk in chunks {
            skim.read(chunk);
        }
        (skim.list, String::from_utf8(skim.rest).unwrap())
    }

    #[test]
    fn a_page_is_read_alike_however_it_is_cut() {
        let whole = skimmed(&[PAGE.as_bytes()]);
        let rows = whole.0.clone().unwrap();
        assert_eq!(rows[0].values, ["2026", "a\"]}"]);
        assert_eq!(rows[0].location.as_deref(), Some("s3://a/b"));
        assert_eq!((rows[1].values[0].as_str(), &rows[1].location), ("é", &None));
        let rest: serde_json::Value = serde_json::from_str(&whole.1).unwrap();
        assert_eq!(rest["NextToken"], "[\"tok}en\\");
        assert_eq!(rest["Partitions"], serde_json::json!([]));
        assert_eq!(rest["More"]["Partitions"][0], 1);
        for cut in 1..PAGE.len() {
            let (first, second) = PAGE.as_bytes().split_at(cut);
            assert_eq!(skimmed(&[first, second]), whole, "cut at {cut}");
        }
        let letters: Vec<&[u8]> = PAGE.as_bytes().chunks(1).collect();
        assert_eq!(skimmed(&letters), whole);
    }

    #[test]
    fn an_empty_list_is_no_absent_one() {
        let none = skimmed(&[br#"{"Partitions":[]}"#]);
        assert_eq!(none, (Some(Vec::new()), r#"{"Partitions":[]}"#.to_owned()));
        assert_eq!(skimmed(&[br#"{"NextToken":"a"}"#]).0, None);
        assert_eq!(skimmed(&[br#"{"Partitions":null}"#]).0, None);
    }

    #[test]
    fn what_is_no_page_is_left_to_the_sdk_or_refused() {
        let html = "<html>[Partitions: {\"a\": ]</html>";
        assert_eq!(skimmed(&[html.as_bytes()]), (None, html.to_owned()));
        for cut in 20..PAGE.len() {
            let (_, rest) = skimmed(&[&PAGE.as_bytes()[..cut]]);
            assert!(serde_json::from_str::<serde_json::Value>(&rest).is_err(), "cut at {cut}");
        }
        for odd in [r#"{"Values":[1]}"#, r#"{"StorageDescriptor":{}}"#, r#"{"Values":["a"]},[]"#] {
            let (_, rest) = skimmed(&[format!(r#"{{"Partitions":[{odd}]}}"#).as_bytes()]);
            assert!(serde_json::from_str::<serde_json::Value>(&rest).is_err(), "{odd}");
        }
    }
}
