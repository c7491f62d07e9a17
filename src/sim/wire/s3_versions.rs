//! S3's deletions and versions: delete markers, and taking them back.

use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::{s3_list, uri, xml};
use crate::sim::World;

/// The most keys that one deletion names.
const KEYS_LIMIT: usize = 1_000;
/// The most versions that a page holds.
const PAGE_LIMIT: usize = 1_000;

pub(super) fn versioning(world: &World, bucket: &str) -> Result<Reply, Refusal> {
    let status = world.bucket_versioning(bucket)?;
    Ok(s3_list::document("VersioningConfiguration", |xml| xml.maybe("Status", status)))
}

pub(super) fn delete(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    if let Some(version) = request.query.get("versionId") {
        world.delete_version(bucket, key, version)?;
        let reply = Reply::empty(204).header("x-amz-delete-marker", "true");
        return Ok(reply.header("x-amz-version-id", version));
    }
    Ok(match world.delete_key(bucket, key)? {
        None => Reply::empty(204),
        Some(version) => Reply::empty(204)
            .header("x-amz-delete-marker", "true")
            .header("x-amz-version-id", version),
    })
}

/// A key of a deletion, and the version, when one is named.
struct Named {
    key: String,
    version: Option<String>,
}

pub(super) fn delete_many(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
) -> Result<Reply, Refusal> {
    let is_checked = request
        .headers
        .keys()
        .any(|name| name == "content-md5" || name.as_str().starts_with("x-amz-checksum-"));
    if !is_checked {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(Refusal::bad("InvalidRequest", message));
    }
    let malformed = || {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        Refusal::bad("MalformedXML", message)
    };
    let (named, is_quiet) = read(&request.body).ok_or_else(malformed)?;
    if named.is_empty() || named.len() > KEYS_LIMIT {
        return Err(malformed());
    }
    world.bucket_versioning(bucket)?;
    let mut answers = Vec::new();
    for one in named {
        let answer = match &one.version {
            Some(version) => world.delete_version(bucket, &one.key, version).map(|()| None),
            None => world.delete_key(bucket, &one.key),
        };
        answers.push((one, answer));
    }
    Ok(s3_list::document("DeleteResult", |xml| {
        for (one, answer) in answers {
            match answer {
                Ok(_) if is_quiet => {}
                Ok(marker) => xml.element("Deleted", |xml| {
                    xml.text("Key", &one.key);
                    xml.maybe("VersionId", one.version.as_ref());
                    xml.maybe("DeleteMarker", marker.is_some().then_some("true"));
                    xml.maybe("DeleteMarkerVersionId", marker);
                }),
                Err(refused) => xml.element("Error", |xml| {
                    xml.text("Key", &one.key);
                    xml.text("Code", refused.code);
                    xml.text("Message", refused.message);
                }),
            }
        }
    }))
}

fn read(body: &[u8]) -> Option<(Vec<Named>, bool)> {
    let root = xml::parse(std::str::from_utf8(body).ok()?)?;
    let is_quiet = root.child_text("Quiet") == Some("true");
    let objects = root.children.iter().filter(|child| child.name == "Object");
    let named = objects.map(|object| {
        let key = object.child("Key")?.text.clone();
        let version = object.child_text("VersionId").map(str::to_owned);
        Some(Named { key, version })
    });
    Some((named.collect::<Option<_>>()?, is_quiet))
}

/// `ListObjectVersions`, as far as anybody asks: the delete markers.
pub(super) fn list(world: &World, request: &Incoming, bucket: &str) -> Result<Reply, Refusal> {
    let prefix = request.query.get("prefix").unwrap_or_default();
    let is_encoded = request.query.get("encoding-type") == Some("url");
    let encoded = |key: &str| if is_encoded { uri::encode_key(key) } else { key.to_owned() };
    let key_marker = request.query.get("key-marker").filter(|key| !key.is_empty());
    let version_marker = request.query.get("version-id-marker").filter(|id| !id.is_empty());
    let markers = world.delete_markers(bucket, prefix)?;
    let begins = key_marker.map_or(0, |key| {
        let is_it = |id: &str| markers.iter().position(|m| m.key == key && m.version_id == id);
        let after_key = || markers.partition_point(|marker| marker.key.as_str() <= key);
        version_marker.and_then(is_it).map_or_else(after_key, |place| place + 1)
    });
    let page: Vec<_> = markers.iter().skip(begins).take(PAGE_LIMIT).collect();
    let last = page.last().copied().filter(|_| begins + page.len() < markers.len());
    Ok(s3_list::document("ListVersionsResult", |xml| {
        xml.text("Name", bucket);
        xml.text("Prefix", encoded(prefix));
        xml.text("MaxKeys", PAGE_LIMIT.to_string());
        xml.maybe("EncodingType", is_encoded.then_some("url"));
        xml.text("IsTruncated", last.is_some().to_string());
        xml.maybe("NextKeyMarker", last.map(|marker| encoded(&marker.key)));
        xml.maybe("NextVersionIdMarker", last.map(|marker| &marker.version_id));
        let mut newest: Option<&str> = None;
        for marker in page {
            let is_latest = newest != Some(marker.key.as_str())
                && world.object(bucket, &marker.key, None).is_err();
            newest = Some(&marker.key);
            xml.element("DeleteMarker", |xml| {
                xml.text("Key", encoded(&marker.key));
                xml.text("VersionId", &marker.version_id);
                xml.text("IsLatest", is_latest.to_string());
                xml.text("LastModified", s3_list::instant(marker.made_at));
            });
        }
    }))
}
