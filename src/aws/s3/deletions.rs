//! S3's deletions: a delete marker on each key of a bucket that keeps versions, and nothing else.
//!
//! No request here names a version, so nothing is ever lost. Each is sent once: a repetition would
//! put a second marker on a key, and one that takes back the first alone would find the key
//! deleted still.

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, EncodingType, ObjectIdentifier};

use super::Objects;
use crate::aws::convert::instant;
use crate::aws::error::Failure;
use crate::aws::line::Repeat;
use crate::aws::pages::Pages;
use crate::domain::ErrorClass;
use crate::platform::{Answer, DeleteMarker, DeletedKey, PlatformError, Versioning};

/// `s3:DeleteObjects`
pub(in crate::aws) const DELETE_OBJECTS: &str = "s3:DeleteObjects";
/// `s3:DeleteObject`
pub(in crate::aws) const DELETE_OBJECT: &str = "s3:DeleteObject";
/// `s3:GetBucketVersioning`
pub(in crate::aws) const GET_VERSIONING: &str = "s3:GetBucketVersioning";
/// `s3:ListObjectVersions`
pub(in crate::aws) const LIST_VERSIONS: &str = "s3:ListObjectVersions";

impl Objects {
    pub(in crate::aws) async fn versioning(&self, bucket: &str) -> Answer<Versioning> {
        let request =
            self.client.get_bucket_versioning().bucket(bucket).expected_bucket_owner(&self.owner);
        let answer = self.line.read(GET_VERSIONING, || request.clone().send()).await?;
        Ok(match answer.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            None => Versioning::Never,
            Some(_) => Versioning::Suspended,
        })
    }

    /// Many keys at once; those that XML cannot hold one by one.
    pub(in crate::aws) async fn delete(
        &self,
        bucket: &str,
        keys: &[String],
    ) -> Answer<Vec<DeletedKey>> {
        let (plain, odd): (Vec<&String>, Vec<&String>) =
            keys.iter().partition(|key| key.chars().all(fits_xml));
        let mut deleted = Vec::new();
        if !plain.is_empty() {
            deleted = self.delete_many(bucket, &plain).await?;
        }
        for key in odd {
            let outcome = self.delete_one(bucket, key).await;
            deleted.push(DeletedKey { key: key.clone(), outcome });
        }
        Ok(deleted)
    }

    async fn delete_many(&self, bucket: &str, keys: &[&String]) -> Answer<Vec<DeletedKey>> {
        let identified = keys.iter().map(|key| ObjectIdentifier::builder().key(*key).build());
        let objects = identified.collect::<Result<Vec<_>, _>>();
        let delete = objects
            .and_then(|objects| Delete::builder().set_objects(Some(objects)).build())
            .map_err(|error| Failure::invalid(error.to_string()).of(DELETE_OBJECTS))?;
        let request = self
            .client
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .expected_bucket_owner(&self.owner);
        let answer = self.line.ask(DELETE_OBJECTS, Repeat::Once, || request.clone().send()).await?;
        let done = answer.deleted.unwrap_or_default().into_iter().filter_map(|done| {
            let marker =
                done.delete_marker_version_id.filter(|_| done.delete_marker != Some(false));
            Some(DeletedKey { key: done.key?, outcome: Ok(marker) })
        });
        let refused = answer.errors.unwrap_or_default().into_iter().filter_map(|refused| {
            let failure = Failure::coded(
                refused.code.unwrap_or_default(),
                refused.message.as_deref().unwrap_or_default(),
            );
            Some(DeletedKey { key: refused.key?, outcome: Err(failure.of(DELETE_OBJECTS)) })
        });
        let mut answers: Vec<DeletedKey> = done.chain(refused).collect();
        answers.extend(unanswered(keys, &answers));
        Ok(answers)
    }

    async fn delete_one(&self, bucket: &str, key: &str) -> Answer<Option<String>> {
        let request =
            self.client.delete_object().bucket(bucket).key(key).expected_bucket_owner(&self.owner);
        let answer = self.line.ask(DELETE_OBJECT, Repeat::Once, || request.clone().send()).await?;
        Ok(answer.version_id.filter(|_| answer.delete_marker == Some(true)))
    }

    pub(in crate::aws) async fn delete_markers(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Answer<Vec<DeleteMarker>> {
        let mut pages = Pages::of(LIST_VERSIONS);
        let mut after: Option<(String, Option<String>)> = None;
        let mut markers = Vec::new();
        loop {
            let (key, version) = after.unzip();
            let request = self
                .client
                .list_object_versions()
                .bucket(bucket)
                .prefix(prefix)
                .encoding_type(EncodingType::Url)
                .set_key_marker(key)
                .set_version_id_marker(version.flatten())
                .expected_bucket_owner(&self.owner);
            let answer = self.line.read(LIST_VERSIONS, || request.clone().send()).await?;
            let found = answer.delete_markers.unwrap_or_default().into_iter();
            markers.extend(found.filter_map(|marker| {
                let last_modified = instant(marker.last_modified.as_ref())?;
                Some(DeleteMarker {
                    key: decoded(&marker.key?),
                    version_id: marker.version_id?,
                    last_modified,
                })
            }));
            if answer.is_truncated != Some(true) {
                return Ok(markers);
            }
            let key = decoded(&answer.next_key_marker.unwrap_or_default());
            let token = pages.next(Some(format!("{key}\n{:?}", answer.next_version_id_marker)))?;
            if token.is_none() || key.is_empty() {
                return Err(pages.error("a truncated page without a token"));
            }
            after = Some((key, answer.next_version_id_marker));
        }
    }
}

/// Keys of which the answer says nothing: what became of them is not known.
fn unanswered(keys: &[&String], answers: &[DeletedKey]) -> Vec<DeletedKey> {
    let told: std::collections::BTreeSet<&str> =
        answers.iter().map(|answer| answer.key.as_str()).collect();
    let silent = keys.iter().filter(|key| !told.contains(key.as_str()));
    let unknown = |key: &&String| DeletedKey {
        key: (*key).clone(),
        outcome: Err(PlatformError {
            operation: DELETE_OBJECTS,
            class: ErrorClass::Server,
            code: None,
            message: "the answer does not say what became of this key".to_owned(),
            request_id: None,
        }),
    };
    silent.map(unknown).collect()
}

/// A key as `encoding-type=url` writes it: XML cannot hold every key.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *byte == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(hex.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

/// Whether XML 1.0 can hold a character.
fn fits_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        || character > '\u{ffff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_what_xml_cannot_hold_are_told_apart() {
        assert!("a/import_date=20221101/päck + \u{1f600}.parquet".chars().all(fits_xml));
        assert!(!"odd\u{4}".chars().all(fits_xml));
        assert!(!"odd\u{ffff}".chars().all(fits_xml));
    }

    #[test]
    fn a_key_is_read_as_it_was_encoded() {
        assert_eq!(decoded("a%2Bb+c%04/%C3%BC.parquet"), "a+b c\u{4}/ü.parquet");
        assert_eq!(decoded("50%/x%"), "50%/x%");
    }

    #[test]
    fn a_key_that_the_answer_does_not_name_is_not_called_deleted() {
        let keys = ["a".to_owned(), "b".to_owned()];
        let keys: Vec<&String> = keys.iter().collect();
        let answers = [DeletedKey { key: "a".to_owned(), outcome: Ok(Some("v".to_owned())) }];
        let silent = unanswered(&keys, &answers);
        assert_eq!(silent.len(), 1);
        assert!(silent[0].key == "b" && silent[0].outcome.is_err());
    }
}
