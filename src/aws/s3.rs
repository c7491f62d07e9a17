//! S3: listings, small objects, parts of large ones, copies.
//!
//! Every request names the account that must own the bucket, so that a bucket which was deleted
//! and taken by somebody else is refused by S3 itself.

mod deletions;
mod uploads;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, Object, OptionalObjectAttributes, RestoreStatus};
use aws_smithy_types::base64;
use bytes::Bytes;
use md5::{Digest, Md5};

pub(super) use self::deletions::{DELETE_OBJECT, DELETE_OBJECTS, GET_VERSIONING, LIST_VERSIONS};
pub(super) use self::uploads::{
    ABORT_UPLOAD, BEGIN_UPLOAD, COMPLETE_UPLOAD, HEAD_OBJECT, LIST_UPLOADS, UPLOAD_PART,
};
use super::config;
use super::convert::{instant, page_size};
use super::error::Failure;
use super::line::{Line, Repeat};
use super::pages::Pages;
use crate::platform::{Answer, Created, Listing, ObjectInfo, ObjectRange, PlatformError};

/// `s3:ListObjectsV2`
pub(super) const LIST_OBJECTS: &str = "s3:ListObjectsV2";
/// `s3:GetObject`
pub(super) const GET_OBJECT: &str = "s3:GetObject";
/// `s3:PutObject`
pub(super) const PUT_OBJECT: &str = "s3:PutObject";
/// `s3:CopyObject`
pub(super) const COPY_OBJECT: &str = "s3:CopyObject";

/// S3's own limit.
const KEYS_PER_PAGE: usize = 1_000;

/// Whole objects are entries of our ledger; anything near this size is none.
const SMALL_OBJECT_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// The buckets of one account.
pub(super) struct Objects {
    client: aws_sdk_s3::Client,
    line: Arc<Line>,
    owner: String,
}

impl Objects {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>, owner: &str) -> Self {
        let client = aws_sdk_s3::Client::from_conf(config::for_s3(shared));
        Self { client, line, owner: owner.to_owned() }
    }

    /// Objects in key order, page by page.
    pub(super) async fn list(
        &self,
        listing: &Listing,
        page: &mut (dyn FnMut(Vec<ObjectInfo>) + Send),
    ) -> Answer<()> {
        let mut pages = Pages::of(LIST_OBJECTS);
        let mut token = None;
        let mut so_far = 0;
        while listing.at_most.is_none_or(|at_most| so_far < at_most) {
            let request = self
                .client
                .list_objects_v2()
                .bucket(&listing.bucket)
                .prefix(&listing.prefix)
                .set_start_after(listing.start_after.clone())
                // XML cannot hold every key: one such would hide all the others.
                .encoding_type(EncodingType::Url)
                .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
                .expected_bucket_owner(&self.owner)
                .max_keys(page_size(KEYS_PER_PAGE, listing.at_most, so_far))
                .set_continuation_token(token);
            let answer = self.line.read(LIST_OBJECTS, || request.clone().send()).await?;
            let encoded = answer.encoding_type == Some(EncodingType::Url);
            let mut objects = objects(answer.contents.unwrap_or_default(), encoded)?;
            objects.truncate(listing.at_most.map_or(usize::MAX, |at_most| at_most - so_far));
            so_far += objects.len();
            let is_past_end = listing.is_past_end(objects.last());
            if !objects.is_empty() {
                page(objects);
            }
            if answer.is_truncated != Some(true) || is_past_end {
                return Ok(());
            }
            token = pages.next(answer.next_continuation_token)?;
            if token.is_none() {
                return Err(pages.error("a truncated page without a token"));
            }
        }
        Ok(())
    }

    /// The folders right below a prefix.
    pub(super) async fn folders(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        let mut pages = Pages::of(LIST_OBJECTS);
        let mut token = None;
        let mut folders = Vec::new();
        loop {
            let request = self
                .client
                .list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                .delimiter("/")
                .expected_bucket_owner(&self.owner)
                .set_continuation_token(token);
            let answer = self.line.read(LIST_OBJECTS, || request.clone().send()).await?;
            let found = answer.common_prefixes.unwrap_or_default();
            folders.extend(found.into_iter().filter_map(|folder| folder.prefix));
            if answer.is_truncated != Some(true) {
                return Ok(folders);
            }
            token = pages.next(answer.next_continuation_token)?;
            if token.is_none() {
                return Err(pages.error("a truncated page without a token"));
            }
        }
    }

    /// A part of an object, as long as it is the same object.
    pub(super) async fn read_range(&self, bucket: &str, part: &ObjectRange) -> Answer<Bytes> {
        let Some(last) = part.length.checked_sub(1).and_then(|more| part.from.checked_add(more))
        else {
            return Err(Failure::invalid("an empty or endless range").of(GET_OBJECT));
        };
        let request = self
            .get_request(bucket, &part.key)
            .if_match(format!("\"{}\"", part.etag))
            .range(format!("bytes={}-{last}", part.from));
        self.line.read(GET_OBJECT, || body(request.clone(), part.length)).await
    }

    /// A whole small object; `None` when it is absent.
    pub(super) async fn get(&self, bucket: &str, key: &str) -> Answer<Option<Bytes>> {
        let request = self.get_request(bucket, key);
        let answer =
            self.line.read(GET_OBJECT, || body(request.clone(), SMALL_OBJECT_LIMIT_BYTES)).await;
        match answer {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_code(&error, "NoSuchKey") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object unless the key exists.
    ///
    /// Safe to repeat: a first attempt that landed, its answer lost, shows as `Exists`.
    pub(super) async fn create(&self, bucket: &str, key: &str, bytes: Bytes) -> Answer<Created> {
        let answer = self
            .line
            .ask(PUT_OBJECT, Repeat::Safe, || {
                self.put_request(bucket, key, bytes.clone()).if_none_match("*").send()
            })
            .await;
        created(answer.map(drop))
    }

    /// Overwrites a small object.
    pub(super) async fn put(&self, bucket: &str, key: &str, bytes: Bytes) -> Answer<()> {
        self.line
            .ask(PUT_OBJECT, Repeat::Safe, || self.put_request(bucket, key, bytes.clone()).send())
            .await
            .map(drop)
    }

    /// Copies within a bucket unless the target exists.
    ///
    /// Sent once: each copy into a landing bucket fires the live ingestion, the refused ones
    /// probably too (H12).
    pub(super) async fn copy(&self, bucket: &str, from: &str, to: &str) -> Answer<Created> {
        let request = self
            .client
            .copy_object()
            .bucket(bucket)
            .key(to)
            .copy_source(copy_source(bucket, from))
            .if_none_match("*")
            .expected_bucket_owner(&self.owner)
            .expected_source_bucket_owner(&self.owner);
        let answer = self
            .line
            .ask(COPY_OBJECT, Repeat::Once, || {
                request.clone().customize().config_override(config::for_long_calls()).send()
            })
            .await;
        created(answer.map(drop))
    }

    fn get_request(&self, bucket: &str, key: &str) -> GetObjectFluentBuilder {
        self.client.get_object().bucket(bucket).key(key).expected_bucket_owner(&self.owner)
    }

    /// With its MD5: a bucket with Object Lock takes no object without one.
    fn put_request(&self, bucket: &str, key: &str, bytes: Bytes) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type(key))
            .content_md5(base64::encode(Md5::digest(&bytes)))
            .expected_bucket_owner(&self.owner)
            .body(ByteStream::from(bytes))
    }
}

/// So that a browser shows the entries of a ledger.
fn content_type(key: &str) -> &'static str {
    match key.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        _ => "application/octet-stream",
    }
}

/// The answer and its body are one attempt: a body that breaks off is asked for again.
async fn body(request: GetObjectFluentBuilder, limit_bytes: u64) -> Result<Bytes, Failure> {
    let answer = request.send().await?;
    check_length(&answer, limit_bytes)?;
    let bytes = answer.body.collect().await.map_err(|error| Failure::broken_answer(&error))?;
    Ok(bytes.into_bytes())
}

fn check_length(answer: &GetObjectOutput, limit_bytes: u64) -> Result<(), Failure> {
    let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
    match length {
        Some(length) if length <= limit_bytes => Ok(()),
        Some(length) => Err(Failure::invalid(format!(
            "the answer has {length} bytes where at most {limit_bytes} were asked for"
        ))),
        None => Err(Failure::nonsense("an answer without a length")),
    }
}

fn created(answer: Answer<()>) -> Answer<Created> {
    match answer {
        Ok(()) => Ok(Created::Created),
        Err(error) if is_code(&error, "PreconditionFailed") => Ok(Created::Exists),
        Err(error) => Err(error),
    }
}

fn is_code(error: &PlatformError, code: &str) -> bool {
    error.code.as_deref() == Some(code)
}

fn objects(contents: Vec<Object>, encoded: bool) -> Answer<Vec<ObjectInfo>> {
    contents.into_iter().map(|found| object(found, encoded)).collect()
}

/// A key as S3 writes it for `encoding-type=url`: `%XX`, and `+` for a space. A store that does
/// not know the parameter says so by not repeating it.
fn decoded(key: &str, encoded: bool) -> String {
    if !encoded || !key.contains(['%', '+']) {
        return key.to_owned();
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut rest = key.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'?'), left),
                _ => (b'%', after),
            },
            (b'+', _) => (b' ', after),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn object(found: Object, encoded: bool) -> Answer<ObjectInfo> {
    let last_modified = instant(found.last_modified.as_ref());
    let size = found.size.and_then(|size| u64::try_from(size).ok());
    let (Some(key), Some(size), Some(last_modified)) = (found.key, size, last_modified) else {
        return Err(Failure::nonsense("an object without key, size or time").of(LIST_OBJECTS));
    };
    Ok(ObjectInfo {
        key: decoded(&key, encoded),
        size,
        etag: found.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        last_modified,
        storage_class: found
            .storage_class
            .filter(|_| !found.restore_status.is_some_and(|status| is_restored(&status)))
            .map(|class| class.as_str().to_owned()),
    })
}

/// A restored copy of an archived object can be read until it expires; the class stays.
fn is_restored(status: &RestoreStatus) -> bool {
    status.is_restore_in_progress != Some(true) && status.restore_expiry_date.is_some()
}

/// `bucket/key`, percent-encoded, as the header wants it.
fn copy_source(bucket: &str, key: &str) -> String {
    use std::fmt::Write;

    let mut source = format!("{bucket}/");
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            let _ = write!(source, "%{byte:02X}");
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_only_where_the_answer_says_so() {
        for (written, key) in [
            ("a/b.zip", "a/b.zip"),
            ("a+b%2B%25.zip", "a b+%.zip"),
            ("odd%04%C3%BC", "odd\u{4}ü"),
            ("broken%F", "broken%F"),
            ("broken%zz", "broken%zz"),
            ("latin%FC", "latin\u{fffd}"),
        ] {
            assert_eq!(decoded(written, true), key);
            assert_eq!(decoded(written, false), written);
        }
    }

    #[test]
    fn the_source_of_a_copy_is_percent_encoded_but_for_its_slashes() {
        assert_eq!(
            copy_source("landing", "parking/a b+ü_1.zip"),
            "landing/parking/a%20b%2B%C3%BC_1.zip"
        );
    }
}
