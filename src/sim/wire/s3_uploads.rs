//! S3's uploads in parts.

use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::{chunked, s3_list, s3_objects, uri, xml};
use crate::sim::{UploadRecord, World, WriteIf};

/// The metadata that the model keeps of an upload.
pub(super) const MARK_HEADER: &str = "x-amz-meta-gapmend-upload";

/// The least that a part holds, unless it is the last.
const PART_LEAST_BYTES: usize = 5 * 1024 * 1024;

/// The highest number of a part.
const PART_NUMBER_LIMIT: u32 = 10_000;

pub(super) fn create(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let id = world.create_multipart_upload(bucket, key, request.header(MARK_HEADER))?;
    Ok(s3_list::document("InitiateMultipartUploadResult", |xml| {
        xml.text("Bucket", bucket);
        xml.text("Key", key);
        xml.text("UploadId", id);
    }))
}

pub(super) fn upload_part(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let upload = find(world, request, bucket, key)?;
    let number = request.query.get("partNumber").and_then(|number| number.parse().ok());
    let number =
        number.filter(|number| (1..=PART_NUMBER_LIMIT).contains(number)).ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            Refusal::bad("InvalidArgument", message)
        })?;
    let content = chunked::content(&request.headers, &request.body)?;
    let checksum = chunked::crc32_base64(&content);
    let etag = world.upload_part(&upload.id, number, content)?;
    let reply = Reply::empty(200).header("etag", format!("\"{etag}\""));
    Ok(reply.header(chunked::CRC32_HEADER, checksum))
}

pub(super) fn complete(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let upload = find(world, request, bucket, key)?;
    let parts = read_parts(&request.body).ok_or_else(|| {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        Refusal::bad("MalformedXML", message)
    })?;
    refuse_small_parts(&upload, &parts)?;
    let only_if = match (s3_objects::is_conditional(request)?, request.header("if-match")) {
        (true, _) => WriteIf::Absent,
        (false, Some(etag)) => WriteIf::Unchanged(etag),
        (false, None) => WriteIf::Anything,
    };
    let etag = world.complete_multipart_upload(&upload.id, &parts, only_if)?;
    Ok(s3_list::document("CompleteMultipartUploadResult", |xml| {
        xml.text("Location", format!("/{bucket}/{key}"));
        xml.text("Bucket", bucket);
        xml.text("Key", key);
        xml.text("ETag", format!("\"{etag}\""));
    }))
}

fn read_parts(body: &[u8]) -> Option<Vec<(u32, String)>> {
    let root = xml::parse(std::str::from_utf8(body).ok()?)?;
    let parts = root.children.iter().filter(|child| child.name == "Part");
    parts
        .map(|part| {
            let number = part.child_text("PartNumber")?.parse().ok()?;
            Some((number, part.child_text("ETag")?.to_owned()))
        })
        .collect()
}

fn refuse_small_parts(upload: &UploadRecord, parts: &[(u32, String)]) -> Result<(), Refusal> {
    let all_but_last = parts.split_last().map_or(&[][..], |(_, rest)| rest);
    let is_small = |number: &u32| {
        upload.parts.get(number).is_some_and(|(bytes, _)| bytes.len() < PART_LEAST_BYTES)
    };
    if all_but_last.iter().any(|(number, _)| is_small(number)) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(Refusal::bad("EntityTooSmall", message));
    }
    Ok(())
}

pub(super) fn abort(
    world: &mut World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<Reply, Refusal> {
    let upload = find(world, request, bucket, key)?;
    world.abort_multipart_upload(&upload.id)?;
    Ok(Reply::empty(204))
}

/// `ListMultipartUploads`, on one page.
pub(super) fn list(world: &World, request: &Incoming, bucket: &str) -> Result<Reply, Refusal> {
    world.list_objects(bucket, "", None, 1)?;
    let prefix = request.query.get("prefix").unwrap_or_default();
    let mut uploads = world.uploads(bucket);
    uploads.retain(|upload| upload.key.starts_with(prefix));
    let encode = request.query.get("encoding-type") == Some("url");
    let written = |text: &str| if encode { uri::encode_key(text) } else { text.to_owned() };
    Ok(s3_list::document("ListMultipartUploadsResult", |xml| {
        xml.text("Bucket", bucket);
        xml.text("Prefix", written(prefix));
        xml.maybe("EncodingType", encode.then_some("url"));
        xml.text("MaxUploads", "1000");
        xml.text("IsTruncated", "false");
        for upload in &uploads {
            xml.element("Upload", |xml| {
                xml.text("Key", written(&upload.key));
                xml.text("UploadId", &upload.id);
                xml.text("StorageClass", "STANDARD");
                xml.text("Initiated", s3_list::instant(upload.began_at));
            });
        }
    }))
}

/// The upload of that id, bucket and key.
fn find(
    world: &World,
    request: &Incoming,
    bucket: &str,
    key: &str,
) -> Result<UploadRecord, Refusal> {
    let id = request.query.get("uploadId").unwrap_or_default();
    let mut uploads = world.uploads(bucket).into_iter();
    uploads.find(|upload| upload.id == id && upload.key == key).ok_or_else(|| {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
        Refusal::new(404, "NoSuchUpload", message)
    })
}
