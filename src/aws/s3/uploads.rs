//! S3's uploads in parts. Parts fire nothing; the one call that makes an object of them does,
//! and it is sent once.
//!
//! Whose object it became in the end is told by a mark in its metadata: where the bucket is
//! encrypted with a key of its own, an `ETag` says nothing about the bytes.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, EncodingType};
use aws_smithy_types::base64;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};

use super::{Objects, created, decoded, is_code};
use crate::aws::config;
use crate::aws::convert::instant;
use crate::aws::error::Failure;
use crate::aws::line::Repeat;
use crate::domain::ErrorClass;
use crate::platform::{Answer, Created, MarkedObject, PartsUpload};

/// `s3:CreateMultipartUpload`
pub(in crate::aws) const BEGIN_UPLOAD: &str = "s3:CreateMultipartUpload";
/// `s3:UploadPart`
pub(in crate::aws) const UPLOAD_PART: &str = "s3:UploadPart";
/// `s3:CompleteMultipartUpload`
pub(in crate::aws) const COMPLETE_UPLOAD: &str = "s3:CompleteMultipartUpload";
/// `s3:AbortMultipartUpload`
pub(in crate::aws) const ABORT_UPLOAD: &str = "s3:AbortMultipartUpload";
/// `s3:ListMultipartUploads`
pub(in crate::aws) const LIST_UPLOADS: &str = "s3:ListMultipartUploads";
/// `s3:HeadObject`
pub(in crate::aws) const HEAD_OBJECT: &str = "s3:HeadObject";

/// The metadata in which the mark stands: `x-amz-meta-gapmend-upload`.
const MARK: &str = "gapmend-upload";

/// Uploads to one key that are under way at once; there is one, or somebody forgot some.
const UPLOADS_OF_A_KEY_LIMIT: usize = 1_000;

impl Objects {
    pub(in crate::aws) async fn begin_upload(
        &self,
        bucket: &str,
        key: &str,
        mark: &str,
    ) -> Answer<PartsUpload> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(bucket)
            .key(key)
            .content_type("application/zip")
            .metadata(MARK, mark)
            .expected_bucket_owner(&self.owner);
        let answer = self.line.ask(BEGIN_UPLOAD, Repeat::Once, || request.clone().send()).await?;
        let id = answer
            .upload_id
            .ok_or_else(|| Failure::nonsense("an upload without an id").of(BEGIN_UPLOAD))?;
        Ok(PartsUpload { bucket: bucket.to_owned(), key: key.to_owned(), id })
    }

    pub(in crate::aws) async fn upload_part(
        &self,
        upload: &PartsUpload,
        number: u32,
        body: Bytes,
    ) -> Answer<String> {
        let md5 = base64::encode(Md5::digest(&body));
        let request = || {
            self.client
                .upload_part()
                .bucket(&upload.bucket)
                .key(&upload.key)
                .upload_id(&upload.id)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .content_md5(&md5)
                .expected_bucket_owner(&self.owner)
                .body(ByteStream::from(body.clone()))
                .customize()
                .config_override(config::for_long_calls())
                .send()
        };
        let answer = self.line.ask(UPLOAD_PART, Repeat::Safe, request).await?;
        answer.e_tag.ok_or_else(|| Failure::nonsense("a part without an ETag").of(UPLOAD_PART))
    }

    pub(in crate::aws) async fn complete_upload(
        &self,
        upload: &PartsUpload,
        etags: &[String],
        replaces: Option<&str>,
    ) -> Answer<Created> {
        let parts = (1..)
            .zip(etags)
            .map(|(number, etag)| CompletedPart::builder().part_number(number).e_tag(etag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&upload.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .multipart_upload(parts)
            .expected_bucket_owner(&self.owner);
        let request = match replaces {
            None => request.if_none_match("*"),
            Some(etag) => request.if_match(format!("\"{etag}\"")),
        };
        let send = || request.clone().customize().config_override(config::for_long_calls()).send();
        created(self.line.ask(COMPLETE_UPLOAD, Repeat::Once, send).await.map(drop))
    }

    pub(in crate::aws) async fn abort_upload(&self, upload: &PartsUpload) -> Answer<()> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&upload.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .expected_bucket_owner(&self.owner);
        match self.line.ask(ABORT_UPLOAD, Repeat::Safe, || request.clone().send()).await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, "NoSuchUpload") => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(in crate::aws) async fn uploads_to(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Vec<(PartsUpload, DateTime<Utc>)>> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(bucket)
            .prefix(key)
            .encoding_type(EncodingType::Url)
            .expected_bucket_owner(&self.owner);
        let answer = self.line.read(LIST_UPLOADS, || request.clone().send()).await?;
        let uploads = answer.uploads.unwrap_or_default();
        if answer.is_truncated == Some(true) && uploads.len() >= UPLOADS_OF_A_KEY_LIMIT {
            return Err(
                Failure::invalid(format!("{key} has too many uploads under way")).of(LIST_UPLOADS)
            );
        }
        let encoded = answer.encoding_type == Some(EncodingType::Url);
        let of_key = uploads.into_iter().filter(|upload| {
            upload.key.as_deref().is_some_and(|found| decoded(found, encoded) == key)
        });
        Ok(of_key
            .filter_map(|upload| {
                let began = instant(upload.initiated.as_ref())?;
                let (bucket, key) = (bucket.to_owned(), key.to_owned());
                Some((PartsUpload { bucket, key, id: upload.upload_id? }, began))
            })
            .collect())
    }

    pub(in crate::aws) async fn marked(
        &self,
        bucket: &str,
        key: &str,
    ) -> Answer<Option<MarkedObject>> {
        let request =
            self.client.head_object().bucket(bucket).key(key).expected_bucket_owner(&self.owner);
        match self.line.read(HEAD_OBJECT, || request.clone().send()).await {
            Ok(head) => Ok(Some(MarkedObject {
                size: head.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                etag: head.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
                mark: head.metadata.unwrap_or_default().remove(MARK),
            })),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
