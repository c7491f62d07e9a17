//! S3: buckets, objects, conditional writes, multipart uploads.
//!
//! Every write into the watched bucket, whoever makes it, is noticed by the trail (H12).
//! Parts of an upload are not: only its completion is.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};

use super::error::{SimError, SimResult};
use super::inspect::Writer;
use super::versions::MarkerRecord;
use super::world::World;

/// The bytes of an object: small ones are held whole; of large ones only the head and the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    head: Bytes,
    zeros: u64,
    tail: Bytes,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { head: bytes, zeros: 0, tail: Bytes::new() }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl Body {
    /// A large object: its head and its tail, with zeros between them that nobody stores.
    #[must_use]
    pub fn declared(head: Bytes, zeros: u64, tail: Bytes) -> Self {
        Self { head, zeros, tail }
    }

    /// The bytes at its beginning that are held.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// How many zeros lie between its head and its tail.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.head.len() as u64 + self.zeros + self.tail.len() as u64
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes `from..from + length`, cut off at the end.
    pub fn range(&self, from: u64, length: u64) -> Bytes {
        let until = from.saturating_add(length).min(self.len());
        if from >= until {
            return Bytes::new();
        }
        let mut bytes = BytesMut::new();
        let zeros_from = self.head.len() as u64;
        let tail_from = zeros_from + self.zeros;
        bytes.extend_from_slice(&slice(&self.head, from, until));
        let zeros = until.min(tail_from).saturating_sub(from.max(zeros_from));
        bytes.resize(bytes.len() + to_usize(zeros), 0);
        let (tail_start, tail_end) =
            (from.saturating_sub(tail_from), until.saturating_sub(tail_from));
        bytes.extend_from_slice(&slice(&self.tail, tail_start, tail_end));
        bytes.freeze()
    }

    /// All the bytes.
    pub fn bytes(&self) -> Bytes {
        if self.zeros == 0 && self.tail.is_empty() {
            return self.head.clone();
        }
        self.range(0, self.len())
    }

    /// The MD5 of the bytes that are held, in hex.
    pub fn etag(&self) -> String {
        let mut digest = Md5::new();
        digest.update(&self.head);
        digest.update(self.zeros.to_be_bytes());
        digest.update(&self.tail);
        if self.zeros == 0 && self.tail.is_empty() {
            return hex(&Md5::digest(&self.head));
        }
        hex(&digest.finalize())
    }
}

fn slice(bytes: &Bytes, from: u64, until: u64) -> Bytes {
    let length = bytes.len();
    let (from, until) = (to_usize(from).min(length), to_usize(until).min(length));
    bytes.slice(from..until.max(from))
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub body: Body,
    /// MD5 in hex, without quotes; with `-n` when it was uploaded in n parts.
    pub etag: String,
    /// When it was last written.
    pub last_modified: DateTime<Utc>,
    /// `STANDARD`, `GLACIER`, …
    pub storage_class: String,
    /// Its metadata `gapmend-upload`: the mark that an upload in parts gave it.
    pub mark: Option<String>,
}

/// Under which condition an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteIf<'e> {
    /// None.
    Anything,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match`: the key still has this `ETag`.
    Unchanged(&'e str),
}

/// A multipart upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRecord {
    /// Its id.
    pub id: String,
    /// The bucket.
    pub bucket: String,
    /// The key that it will write.
    pub key: String,
    /// The mark that its object will carry.
    pub mark: Option<String>,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Its parts so far: body and `ETag`.
    pub parts: BTreeMap<u32, (Bytes, String)>,
}

/// The versioning of a bucket: `Enabled`, `Suspended`, or `None` when it never was.
pub type BucketVersioning = Option<&'static str>;

#[derive(Clone, Debug, Default)]
pub(super) struct S3 {
    pub(super) buckets: BTreeMap<String, BTreeMap<String, ObjectRecord>>,
    /// Buckets that keep no versions, or no longer; all others do.
    pub(super) versioning: BTreeMap<String, BucketVersioning>,
    /// What may not be deleted: buckets and prefixes.
    pub(super) locked: Vec<(String, String)>,
    /// Delete markers, oldest first.
    pub(super) markers: Vec<MarkerRecord>,
    pub(super) uploads: BTreeMap<String, UploadRecord>,
    /// Objects whose bytes cannot be read, by bucket and key, and what is answered.
    pub(super) unreadable: BTreeMap<(String, String), SimError>,
}

impl World {
    /// `s3:ListBuckets`.
    pub fn buckets(&self) -> Vec<String> {
        self.s3.buckets.keys().cloned().collect()
    }

    /// `s3:CreateBucket`; one that exists is fine.
    pub fn create_bucket(&mut self, bucket: &str) {
        self.s3.buckets.entry(bucket.to_owned()).or_default();
    }

    /// `s3:ListObjectsV2`: up to `at_most` objects after `start_after`, in the order of their bytes.
    pub fn list_objects(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<&str>,
        at_most: usize,
    ) -> SimResult<Vec<ObjectRecord>> {
        self.bucket(bucket)?;
        Ok(self.objects_below(bucket, prefix, start_after).take(at_most).cloned().collect())
    }

    /// `s3:ListObjectsV2` with `/` as its delimiter: up to `at_most` folders after `start_after`.
    pub(super) fn folders(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<&str>,
        at_most: usize,
    ) -> SimResult<Vec<String>> {
        self.bucket(bucket)?;
        let mut folders: Vec<String> = Vec::new();
        let mut after = start_after.map(ToOwned::to_owned);
        while folders.len() < at_most {
            let next = self.objects_below(bucket, prefix, after.as_deref()).next();
            let Some(object) = next else { break };
            let below = &object.key[prefix.len()..];
            after = Some(match below.split_once('/') {
                Some((folder, _)) => {
                    folders.push(format!("{prefix}{folder}/"));
                    format!("{prefix}{folder}/\u{10ffff}")
                }
                None => object.key.clone(),
            });
        }
        Ok(folders)
    }

    /// The same without copies; none in a bucket that is absent.
    pub(super) fn objects_below<'a>(
        &'a self,
        bucket: &str,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a ObjectRecord> {
        let from = match start_after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let objects = self.s3.buckets.get(bucket).into_iter();
        objects
            .flat_map(move |objects| objects.range::<str, _>((from, Bound::Unbounded)))
            .map(|(_, object)| object)
            .take_while(move |object| object.key.starts_with(prefix))
    }

    /// `s3:HeadObject`; with `if_match`, only while it has that `ETag`.
    pub fn object(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<&str>,
    ) -> SimResult<&ObjectRecord> {
        let object = self.bucket(bucket)?.get(key).ok_or_else(no_such_key)?;
        if if_match.is_some_and(|etag| etag.trim_matches('"') != object.etag) {
            return Err(precondition_failed());
        }
        Ok(object)
    }

    /// `s3:GetObject`: its bytes; of an archived object there are none before a restore.
    pub fn body(&self, bucket: &str, key: &str, if_match: Option<&str>) -> SimResult<&Body> {
        let object = self.object(bucket, key, if_match)?;
        if let Some(error) = self.s3.unreadable.get(&(bucket.to_owned(), key.to_owned())) {
            return Err(error.clone());
        }
        if matches!(object.storage_class.as_str(), "GLACIER" | "DEEP_ARCHIVE") {
            let message = "The operation is not valid for the object's storage class";
            return Err(SimError::new("InvalidObjectState", 403, message));
        }
        Ok(&object.body)
    }

    /// From now on the bytes of an object cannot be read: archived by Intelligent-Tiering, another
    /// owner's, its key disabled, …
    pub fn refuse_reads(&mut self, bucket: &str, key: &str, code: &'static str, status: u16) {
        let message = "The object's bytes cannot be read (its tier, its owner, its key)";
        let error = SimError::new(code, status, message);
        self.s3.unreadable.insert((bucket.to_owned(), key.to_owned()), error);
    }

    /// Moves an object into another storage class, as a lifecycle rule would.
    pub fn set_storage_class(&mut self, bucket: &str, key: &str, class: &str) -> SimResult<()> {
        let object = self.bucket_mut(bucket)?.get_mut(key).ok_or_else(no_such_key)?;
        class.clone_into(&mut object.storage_class);
        Ok(())
    }

    /// A person writes into a bucket with the console.
    pub fn person_writes(&mut self, bucket: &str, key: &str, body: impl Into<Body>) {
        self.write_as(Writer::Person, bucket, key, body.into());
    }

    /// `s3:PutObject`; with `if_absent`, only when there is no such key. Returns the `ETag`.
    pub fn put_object(
        &mut self,
        bucket: &str,
        key: &str,
        body: impl Into<Body>,
        if_absent: bool,
    ) -> SimResult<String> {
        self.check_absent(bucket, key, if_absent, "PutObject")?;
        let body = body.into();
        let etag = body.etag();
        self.write(bucket, key, body, &etag, Writer::Caller, "PutObject")?;
        Ok(etag)
    }

    /// `s3:CopyObject`; with `if_absent`, only when there is no such target. Returns the `ETag`.
    pub fn copy_object(
        &mut self,
        source_bucket: &str,
        source_key: &str,
        bucket: &str,
        key: &str,
        if_absent: bool,
    ) -> SimResult<String> {
        let body = self.object(source_bucket, source_key, None)?.body.clone();
        self.check_absent(bucket, key, if_absent, "CopyObject")?;
        let etag = body.etag();
        self.write(bucket, key, body, &etag, Writer::Caller, "CopyObject")?;
        Ok(etag)
    }

    /// `s3:CreateMultipartUpload`; returns the upload's id.
    pub fn create_multipart_upload(
        &mut self,
        bucket: &str,
        key: &str,
        mark: Option<&str>,
    ) -> SimResult<String> {
        self.bucket(bucket)?;
        let id = self.random_hex(32);
        let upload = UploadRecord {
            id: id.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            mark: mark.map(str::to_owned),
            began_at: self.now,
            parts: BTreeMap::new(),
        };
        self.s3.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// `s3:UploadPart`; returns the part's `ETag`. Fires nothing.
    pub fn upload_part(&mut self, upload: &str, number: u32, bytes: Bytes) -> SimResult<String> {
        let etag = hex(&Md5::digest(&bytes));
        let upload = self.s3.uploads.get_mut(upload).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, (bytes, etag.clone()));
        Ok(etag)
    }

    /// `s3:CompleteMultipartUpload` with the parts in order; returns the `ETag`.
    pub fn complete_multipart_upload(
        &mut self,
        upload: &str,
        parts: &[(u32, String)],
        only_if: WriteIf<'_>,
    ) -> SimResult<String> {
        let record = self.s3.uploads.get(upload).ok_or_else(no_such_upload)?.clone();
        let (body, etag) = assemble(&record, parts)?;
        let (event, writer) = ("CompleteMultipartUpload", Writer::Caller);
        self.check_condition(&record.bucket, &record.key, only_if, event)?;
        self.write(&record.bucket, &record.key, body, &etag, writer, event)?;
        if let Some(object) = self.bucket_mut(&record.bucket)?.get_mut(&record.key) {
            object.mark = record.mark;
        }
        self.s3.uploads.remove(upload);
        Ok(etag)
    }

    /// `s3:AbortMultipartUpload`.
    pub fn abort_multipart_upload(&mut self, upload: &str) -> SimResult<()> {
        self.s3.uploads.remove(upload).map(|_| ()).ok_or_else(no_such_upload)
    }

    /// Uploads under way in a bucket: what a half-finished upload leaves behind.
    pub fn uploads(&self, bucket: &str) -> Vec<UploadRecord> {
        self.s3.uploads.values().filter(|upload| upload.bucket == bucket).cloned().collect()
    }

    pub(super) fn bucket(&self, bucket: &str) -> SimResult<&BTreeMap<String, ObjectRecord>> {
        self.s3.buckets.get(bucket).ok_or_else(no_such_bucket)
    }

    pub(super) fn bucket_mut(
        &mut self,
        bucket: &str,
    ) -> SimResult<&mut BTreeMap<String, ObjectRecord>> {
        self.s3.buckets.get_mut(bucket).ok_or_else(no_such_bucket)
    }

    fn check_absent(
        &mut self,
        bucket: &str,
        key: &str,
        if_absent: bool,
        event_name: &'static str,
    ) -> SimResult<()> {
        let only_if = if if_absent { WriteIf::Absent } else { WriteIf::Anything };
        self.check_condition(bucket, key, only_if, event_name)
    }

    /// A write that is refused is noticed by the trail all the same (H12).
    fn check_condition(
        &mut self,
        bucket: &str,
        key: &str,
        only_if: WriteIf<'_>,
        event_name: &'static str,
    ) -> SimResult<()> {
        let found = self.bucket(bucket)?.get(key);
        let refused = match only_if {
            WriteIf::Anything => None,
            WriteIf::Absent => found.map(|_| precondition_failed()),
            WriteIf::Unchanged(etag) => match found {
                Some(object) if object.etag == etag.trim_matches('"') => None,
                Some(_) => Some(precondition_failed()),
                None => Some(no_such_key()),
            },
        };
        let Some(refused) = refused else { return Ok(()) };
        self.notice_write(bucket, key, Writer::Caller, event_name, true);
        Err(refused)
    }

    /// Writes an object, whoever does it, and lets the trail notice.
    pub(super) fn write(
        &mut self,
        bucket: &str,
        key: &str,
        body: Body,
        etag: &str,
        writer: Writer,
        event_name: &'static str,
    ) -> SimResult<()> {
        let object = ObjectRecord {
            key: key.to_owned(),
            body,
            etag: etag.to_owned(),
            last_modified: self.now,
            storage_class: "STANDARD".to_owned(),
            mark: None,
        };
        self.bucket_mut(bucket)?.insert(key.to_owned(), object);
        self.notice_write(bucket, key, writer, event_name, false);
        Ok(())
    }

    /// Writes an object of the pipeline's own.
    pub(super) fn write_own(&mut self, bucket: &str, key: &str, body: Body) {
        self.write_as(Writer::Pipeline, bucket, key, body);
    }

    /// Writes an object; makes the bucket when there is none.
    pub(super) fn write_as(&mut self, writer: Writer, bucket: &str, key: &str, body: Body) {
        let etag = body.etag();
        self.create_bucket(bucket);
        let written = self.write(bucket, key, body, &etag, writer, "PutObject");
        debug_assert!(written.is_ok(), "the bucket was just made");
    }
}

fn assemble(upload: &UploadRecord, parts: &[(u32, String)]) -> SimResult<(Body, String)> {
    let mut bytes = BytesMut::new();
    let mut digests = Md5::new();
    let mut last = 0;
    for (number, etag) in parts {
        if *number <= last {
            let message = "The list of parts was not in ascending order.";
            return Err(SimError::new("InvalidPartOrder", 400, message));
        }
        last = *number;
        let part = upload.parts.get(number);
        let Some((body, _)) = part.filter(|(_, known)| known == etag.trim_matches('"')) else {
            let message = "One or more of the specified parts could not be found.";
            return Err(SimError::new("InvalidPart", 400, message));
        };
        bytes.extend_from_slice(body);
        digests.update(Md5::digest(body));
    }
    if parts.is_empty() {
        let message = "You must specify at least one part";
        return Err(SimError::new("MalformedXML", 400, message));
    }
    let etag = format!("{}-{}", hex(&digests.finalize()), parts.len());
    Ok((bytes.freeze().into(), etag))
}

fn no_such_bucket() -> SimError {
    SimError::new("NoSuchBucket", 404, "The specified bucket does not exist")
}

pub(super) fn no_such_key() -> SimError {
    SimError::new("NoSuchKey", 404, "The specified key does not exist.")
}

fn no_such_upload() -> SimError {
    SimError::new("NoSuchUpload", 404, "The specified upload does not exist.")
}

fn precondition_failed() -> SimError {
    let message = "At least one of the pre-conditions you specified did not hold";
    SimError::new("PreconditionFailed", 412, message)
}
