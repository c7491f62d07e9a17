//! S3's versions, as much of them as deleting needs: a bucket that keeps them puts a delete marker
//! on a key, and deleting the marker brings the object back; in any other bucket it is gone.

use chrono::{DateTime, Utc};

use super::error::{SimError, SimResult};
use super::s3::{BucketVersioning, ObjectRecord};
use super::world::World;

/// A delete marker, with what lies under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerRecord {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The marker's own version.
    pub version_id: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What it hides; `None` when it lies on another marker, or on nothing.
    hides: Option<ObjectRecord>,
}

impl World {
    /// `s3:GetBucketVersioning`.
    pub fn bucket_versioning(&self, bucket: &str) -> SimResult<BucketVersioning> {
        self.bucket(bucket)?;
        Ok(self.s3.versioning.get(bucket).copied().unwrap_or(Some("Enabled")))
    }

    /// `s3:PutBucketVersioning`, or a bucket that was made without it.
    pub fn set_bucket_versioning(&mut self, bucket: &str, versioning: BucketVersioning) {
        self.s3.versioning.insert(bucket.to_owned(), versioning);
    }

    /// `s3:DeleteObject`; absent is fine. Returns the delete marker's version, where one was made.
    pub fn delete_object(&mut self, bucket: &str, key: &str) -> SimResult<Option<String>> {
        let versioning = self.bucket_versioning(bucket)?;
        let found = self.bucket_mut(bucket)?.remove(key);
        let Some(versioning) = versioning else { return Ok(None) };
        // Once versioning is suspended, the marker takes the place of what has no version.
        let version_id =
            if versioning == "Enabled" { self.random_hex(32) } else { "null".to_owned() };
        self.s3.markers.push(MarkerRecord {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version_id.clone(),
            made_at: self.now,
            hides: found.filter(|_| versioning == "Enabled"),
        });
        Ok(Some(version_id))
    }

    /// One key of `s3:DeleteObjects`: it may be refused while the others are deleted.
    pub fn delete_key(&mut self, bucket: &str, key: &str) -> SimResult<Option<String>> {
        let locked =
            self.s3.locked.iter().any(|(of, prefix)| of == bucket && key.starts_with(prefix));
        if locked {
            return Err(SimError::new("AccessDenied", 403, "Access Denied"));
        }
        self.delete_object(bucket, key)
    }

    /// From now on nothing that begins like this may be deleted by name, as by a bucket's policy.
    pub fn lock_keys(&mut self, bucket: &str, prefix: &str) {
        self.s3.locked.push((bucket.to_owned(), prefix.to_owned()));
    }

    /// All keys may be deleted again.
    pub fn unlock_keys(&mut self) {
        self.s3.locked.clear();
    }

    /// `s3:DeleteObject` of a version: of a delete marker, which brings back what it hides.
    pub fn delete_version(&mut self, bucket: &str, key: &str, version: &str) -> SimResult<()> {
        self.bucket(bucket)?;
        let is_it =
            |it: &MarkerRecord| it.bucket == bucket && it.key == key && it.version_id == version;
        let Some(place) = self.s3.markers.iter().position(is_it) else {
            let message = "The specified version does not exist.";
            return Err(SimError::new("NoSuchVersion", 404, message));
        };
        let marker = self.s3.markers.remove(place);
        let Some(object) = marker.hides else { return Ok(()) };
        let later =
            self.s3.markers[place..].iter_mut().find(|it| it.bucket == bucket && it.key == key);
        match later {
            // Another marker lies on it: it hides the object now.
            Some(later) if later.hides.is_none() => later.hides = Some(object),
            Some(_) => {}
            None => {
                self.bucket_mut(bucket)?.entry(key.to_owned()).or_insert(object);
            }
        }
        Ok(())
    }

    /// The delete markers of `s3:ListObjectVersions`, by key, the newest first.
    pub fn delete_markers(&self, bucket: &str, prefix: &str) -> SimResult<Vec<MarkerRecord>> {
        self.bucket(bucket)?;
        let found = self.s3.markers.iter().rev();
        let mut found: Vec<MarkerRecord> = found
            .filter(|marker| marker.bucket == bucket && marker.key.starts_with(prefix))
            .cloned()
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }
}
