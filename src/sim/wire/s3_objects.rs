//! S3's objects: whole ones, ranges, conditions, copies.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::chunked::{self, CRC32_HEADER};
use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::s3_uploads::MARK_HEADER;
use super::{s3_list, uri};
use crate::sim::{ObjectRecord, World};

/// The largest answer: of a large object that is only declared, ranges are asked for.
const ANSWER_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn get(
    world: &World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let object = world.object(bucket, key, request.header("if-match"))?;
    unless_unchanged(request, object)?;
    world.body(bucket, key, None)?;
    let wanted = wanted(request, object)?;
    if wanted.length > ANSWER_LIMIT_BYTES {
        let message = "an answer that large is not part of the simulated pipeline: ask for a range";
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    let content = object.body.range(wanted.from, wanted.length);
    let mut reply = described(object, &wanted);
    // The stored checksum is of the whole object, so a part cannot carry it.
    if !wanted.is_part && request.header("x-amz-checksum-mode") == Some("ENABLED") {
        reply = with_checksum(reply, &content);
    }
    reply.body = content;
    Ok(reply)
}

pub(super) fn head(
    world: &World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let object = world.object(bucket, key, request.header("if-match"))?;
    unless_unchanged(request, object)?;
    Ok(described(object, &wanted(request, object)?))
}

fn unless_unchanged(request: &Incoming, object: &ObjectRecord) -> Result<(), Refusal> {
    let known = request.header("if-none-match");
    if known.is_some_and(|known| known == "*" || known.trim_matches('"') == object.etag) {
        return Err(Refusal::new(304, "NotModified", "Not Modified"));
    }
    Ok(())
}

/// The bytes that were asked for.
struct Wanted {
    from: u64,
    length: u64,
    is_part: bool,
}

fn wanted(request: &Incoming, object: &ObjectRecord) -> Result<Wanted, Refusal> {
    let size = object.body.len();
    let whole = Wanted { from: 0, length: size, is_part: false };
    let Some(range) = request.header("range") else { return Ok(whole) };
    // A range that is not understood is ignored, as HTTP has it.
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Ok(whole);
    };
    let bounds = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => {
            (size.saturating_sub(suffix), size.saturating_sub(1))
        }
        (Err(_), Ok(0)) if first.is_empty() => (size, size),
        _ => return Ok(whole),
    };
    if bounds.0 >= size {
        return Err(not_satisfiable(range, size));
    }
    Ok(Wanted { from: bounds.0, length: bounds.1 - bounds.0 + 1, is_part: true })
}

fn not_satisfiable(range: &str, size: u64) -> Refusal {
    let mut refusal = Refusal::new(416, "InvalidRange", "The requested range is not satisfiable");
    refusal.members.push(("RangeRequested", range.into()));
    refusal.members.push(("ActualObjectSize", size.to_string().into()));
    refusal
}

fn described(object: &ObjectRecord, wanted: &Wanted) -> Reply {
    let mut reply = Reply::empty(if wanted.is_part { 206 } else { 200 })
        .header("etag", format!("\"{}\"", object.etag))
        .header("last-modified", http_date(object.last_modified))
        .header("accept-ranges", "bytes")
        .header("content-type", "binary/octet-stream")
        .header("content-length", wanted.length.to_string());
    if wanted.is_part {
        let last = wanted.from + wanted.length - 1;
        let range = format!("bytes {}-{last}/{}", wanted.from, object.body.len());
        reply = reply.header("content-range", range);
    }
    if let Some(mark) = &object.mark {
        reply = reply.header(MARK_HEADER, mark.as_str());
    }
    if object.storage_class != "STANDARD" {
        reply = reply.header("x-amz-storage-class", object.storage_class.as_str());
    }
    reply
}

/// An instant as HTTP headers carry it.
pub(super) fn http_date(instant: DateTime<Utc>) -> String {
    instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn with_checksum(reply: Reply, content: &Bytes) -> Reply {
    reply
        .header(CRC32_HEADER, chunked::crc32_base64(content))
        .header("x-amz-checksum-type", "FULL_OBJECT")
}

pub(super) fn put(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let content = chunked::content(&request.headers, &request.body)?;
    let if_absent = is_conditional(request)?;
    if let Some(etag) = request.header("if-match") {
        world.object(bucket, key, Some(etag))?;
    }
    let etag = world.put_object(bucket, key, content.clone(), if_absent)?;
    Ok(with_checksum(Reply::empty(200).header("etag", format!("\"{etag}\"")), &content))
}

/// Whether the write is only to happen when the key is absent.
pub(super) fn is_conditional(request: &Incoming) -> Result<bool, Refusal> {
    match request.header("if-none-match") {
        None => Ok(false),
        Some("*") => Ok(true),
        Some(_) => {
            let message = "A header you provided implies functionality that is not implemented";
            Err(Refusal::new(501, "NotImplemented", message))
        }
    }
}

pub(super) fn copy(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let source = request.header("x-amz-copy-source").unwrap_or_default();
    let source = source.split_once("?versionId=").map_or(source, |(source, _)| source);
    let source = uri::decode(source.strip_prefix('/').unwrap_or(source), false);
    let Some((source_bucket, source_key)) = source.split_once('/') else {
        let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        return Err(Refusal::bad("InvalidArgument", message));
    };
    let replaces = request.header("x-amz-metadata-directive") == Some("REPLACE");
    if (source_bucket, source_key) == (bucket, key) && !replaces {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(Refusal::bad("InvalidRequest", message));
    }
    world.object(source_bucket, source_key, request.header("x-amz-copy-source-if-match"))?;
    let if_absent = is_conditional(request)?;
    let etag = world.copy_object(source_bucket, source_key, bucket, key, if_absent)?;
    Ok(s3_list::document("CopyObjectResult", |xml| {
        xml.text("LastModified", s3_list::instant(world.now()));
        xml.text("ETag", format!("\"{etag}\""));
    }))
}
