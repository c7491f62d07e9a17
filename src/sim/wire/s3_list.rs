//! S3's buckets and listings.

use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};

use super::paging::{read_token, token_after};
use super::reply::{Refusal, Reply};
use super::s3::NAMESPACE;
use super::uri::{self, Pairs};
use super::xml::Xml;
use crate::sim::{ObjectRecord, World};

/// The most that a page holds, objects and common prefixes together.
const PAGE_LIMIT: usize = 1000;

/// An answer of S3 with a document.
pub(super) fn document(root: &str, fill: impl FnOnce(&mut Xml)) -> Reply {
    Reply::new(200, "application/xml", Xml::document(root, NAMESPACE, fill))
}

/// An instant as S3 writes it in documents: whole seconds, with zeros for the rest.
pub(super) fn instant(instant: DateTime<Utc>) -> String {
    instant.trunc_subsecs(0).to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn list_buckets(world: &World) -> Reply {
    document("ListAllMyBucketsResult", |xml| {
        xml.element("Buckets", |xml| {
            for bucket in world.buckets() {
                xml.element("Bucket", |xml| {
                    xml.text("Name", bucket);
                    xml.text("CreationDate", "2020-01-01T00:00:00.000Z");
                });
            }
        });
        xml.element("Owner", |xml| xml.text("ID", &world.names.account));
    })
}

pub(super) fn create_bucket(world: &mut World, bucket: &str) -> Result<Reply, Refusal> {
    if exists(world, bucket) {
        let message =
            "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refusal::new(409, "BucketAlreadyOwnedByYou", message));
    }
    world.create_bucket(bucket);
    world.set_bucket_versioning(bucket, None);
    Ok(Reply::empty(200).header("location", format!("/{bucket}")))
}

pub(super) fn head_bucket(world: &World, bucket: &str) -> Result<Reply, Refusal> {
    require(world, bucket)?;
    Ok(Reply::empty(200).header("x-amz-bucket-region", world.names.region.as_str()))
}

pub(super) fn get_bucket_location(world: &World, bucket: &str) -> Result<Reply, Refusal> {
    require(world, bucket)?;
    let root = "LocationConstraint";
    let document = format!(
        "<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{}</{root}>",
        world.names.region
    );
    Ok(Reply::new(200, "application/xml", document))
}

fn exists(world: &World, bucket: &str) -> bool {
    world.list_objects(bucket, "", None, 1).is_ok()
}

fn require(world: &World, bucket: &str) -> Result<(), Refusal> {
    world.list_objects(bucket, "", None, 1)?;
    Ok(())
}

/// A line of a listing.
enum Entry {
    Object(Box<ObjectRecord>),
    Prefix(String),
}

impl Entry {
    /// Where it stands: an object by its key, a common prefix after all that it stands for.
    fn cursor(&self) -> String {
        match self {
            Self::Object(object) => format!("k{}", object.key),
            Self::Prefix(prefix) => format!("p{prefix}"),
        }
    }
}

/// What a listing was asked for.
struct Asked<'q> {
    bucket: &'q str,
    prefix: &'q str,
    delimiter: &'q str,
    start_after: Option<&'q str>,
    token: Option<&'q str>,
    encode: bool,
    max_keys: usize,
}

impl<'q> Asked<'q> {
    fn read(bucket: &'q str, query: &'q Pairs) -> Result<Self, Refusal> {
        let text = |name: &str| query.get(name).filter(|value| !value.is_empty());
        let encode = match text("encoding-type") {
            None => false,
            Some("url") => true,
            Some(_) => {
                return Err(invalid_argument("Invalid Encoding Method specified in Request"));
            }
        };
        if query.get("continuation-token") == Some("") {
            return Err(invalid_argument("The continuation token provided is incorrect"));
        }
        Ok(Self {
            bucket,
            prefix: text("prefix").unwrap_or_default(),
            delimiter: text("delimiter").unwrap_or_default(),
            start_after: text("start-after"),
            token: text("continuation-token"),
            encode,
            max_keys: max_keys(text("max-keys"))?,
        })
    }

    /// What a token is bound to.
    fn scope(&self) -> String {
        format!("s3\n{}\n{}\n{}", self.bucket, self.prefix, self.delimiter)
    }

    fn encoded(&self, text: &str) -> String {
        if self.encode { uri::encode_key(text) } else { text.to_owned() }
    }
}

fn max_keys(asked: Option<&str>) -> Result<usize, Refusal> {
    let Some(asked) = asked else { return Ok(PAGE_LIMIT) };
    let keys = asked.parse::<i32>().ok().and_then(|keys| usize::try_from(keys).ok());
    let refusal =
        || invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647");
    keys.map(|keys| keys.min(PAGE_LIMIT)).ok_or_else(refusal)
}

fn invalid_argument(message: &str) -> Refusal {
    Refusal::bad("InvalidArgument", message)
}

pub(super) fn list_objects(world: &World, bucket: &str, query: &Pairs) -> Result<Reply, Refusal> {
    let asked = Asked::read(bucket, query)?;
    require(world, bucket)?;
    let mut entries = entries(world, &asked)?;
    // A page of no keys is never truncated: there would be no way on from it.
    let is_truncated = asked.max_keys > 0 && entries.len() > asked.max_keys;
    entries.truncate(asked.max_keys);
    let next = entries.last().filter(|_| is_truncated);
    let next = next.map(|entry| token_after(&asked.scope(), &entry.cursor()));
    Ok(document("ListBucketResult", |xml| write_listing(xml, &asked, &entries, next.as_deref())))
}

/// The entries after the token, one more than a page holds.
fn entries(world: &World, asked: &Asked<'_>) -> Result<Vec<Entry>, Refusal> {
    let cursor = match asked.token {
        Some(token) => Some(
            read_token(&asked.scope(), token)
                .ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))?,
        ),
        None => None,
    };
    let (after, skipped) = match cursor.as_deref().and_then(|cursor| cursor.split_at_checked(1)) {
        Some(("p", prefix)) => (Some(prefix), Some(prefix)),
        Some((_, key)) => (Some(key), None),
        None => (asked.start_after, None),
    };
    let most = if asked.delimiter.is_empty() { asked.max_keys + 1 } else { usize::MAX };
    let objects = world.list_objects(asked.bucket, asked.prefix, after, most)?;
    let objects = objects
        .into_iter()
        .filter(|object| skipped.is_none_or(|prefix| !object.key.starts_with(prefix)));
    Ok(rolled_up(objects, asked))
}

fn rolled_up(objects: impl Iterator<Item = ObjectRecord>, asked: &Asked<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for object in objects {
        let Some(prefix) = common_prefix(&object.key, asked) else {
            entries.push(Entry::Object(Box::new(object)));
            continue;
        };
        let is_known = matches!(entries.last(), Some(Entry::Prefix(last)) if *last == prefix);
        if !is_known {
            entries.push(Entry::Prefix(prefix));
        }
        if entries.len() > asked.max_keys {
            break;
        }
    }
    entries
}

fn common_prefix(key: &str, asked: &Asked<'_>) -> Option<String> {
    if asked.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(asked.prefix)?;
    let (head, _) = rest.split_once(asked.delimiter)?;
    Some(format!("{}{head}{}", asked.prefix, asked.delimiter))
}

fn write_listing(xml: &mut Xml, asked: &Asked<'_>, entries: &[Entry], next: Option<&str>) {
    xml.text("Name", asked.bucket);
    xml.text("Prefix", asked.encoded(asked.prefix));
    if !asked.delimiter.is_empty() {
        xml.text("Delimiter", asked.encoded(asked.delimiter));
    }
    xml.maybe("StartAfter", asked.start_after.map(|key| asked.encoded(key)));
    xml.maybe("ContinuationToken", asked.token);
    xml.maybe("NextContinuationToken", next);
    xml.text("KeyCount", entries.len().to_string());
    xml.text("MaxKeys", asked.max_keys.to_string());
    xml.maybe("EncodingType", asked.encode.then_some("url"));
    xml.text("IsTruncated", next.is_some().to_string());
    for entry in entries {
        match entry {
            Entry::Object(object) => {
                xml.element("Contents", |xml| write_object(xml, asked, object));
            }
            Entry::Prefix(prefix) => {
                xml.element("CommonPrefixes", |xml| xml.text("Prefix", asked.encoded(prefix)));
            }
        }
    }
}

fn write_object(xml: &mut Xml, asked: &Asked<'_>, object: &ObjectRecord) {
    xml.text("Key", asked.encoded(&object.key));
    xml.text("LastModified", instant(object.last_modified));
    xml.text("ETag", format!("\"{}\"", object.etag));
    xml.text("Size", object.body.len().to_string());
    xml.text("StorageClass", &object.storage_class);
}
