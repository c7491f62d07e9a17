//! S3: REST and XML, in path style.
//!
//! This file knows which operation a request is; buckets and listings are in `s3_list.rs`,
//! objects in `s3_objects.rs`, deletions in `s3_versions.rs`, uploads in parts in `s3_uploads.rs`.

use axum::http::Method;

use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::shape::Service;
use super::{s3_list, s3_objects, s3_uploads, s3_versions, uri};
use crate::sim::World;

/// What the door knows of S3.
pub(super) const OPERATIONS: &[&str] = &[
    "s3:ListBuckets",
    "s3:CreateBucket",
    "s3:HeadBucket",
    "s3:GetBucketLocation",
    "s3:ListObjectsV2",
    "s3:GetObject",
    "s3:HeadObject",
    "s3:PutObject",
    "s3:CopyObject",
    "s3:DeleteObject",
    "s3:DeleteObjects",
    "s3:GetBucketVersioning",
    "s3:ListObjectVersions",
    "s3:CreateMultipartUpload",
    "s3:UploadPart",
    "s3:CompleteMultipartUpload",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploads",
];

/// The namespace of S3's documents.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A path taken apart: the bucket and the key, decoded; either may be empty.
pub(super) fn bucket_and_key(path: &str) -> (String, String) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    (uri::decode(bucket, false), uri::decode(key, false))
}

/// The operation's name; an unknown combination is named after what it looks like.
pub(super) fn operation_name(request: &Incoming) -> &'static str {
    let (bucket, key) = bucket_and_key(&request.path);
    match (bucket.is_empty(), key.is_empty()) {
        (true, _) => {
            if request.method == Method::GET {
                "ListBuckets"
            } else {
                "Unknown"
            }
        }
        (false, true) => of_bucket(request),
        (false, false) => of_object(request),
    }
}

fn of_bucket(request: &Incoming) -> &'static str {
    let query = &request.query;
    match request.method.as_str() {
        "PUT" if query.has("versioning") => "PutBucketVersioning",
        "PUT" => "CreateBucket",
        "HEAD" => "HeadBucket",
        "GET" if query.has("location") => "GetBucketLocation",
        "GET" if query.has("versioning") => "GetBucketVersioning",
        "GET" if query.get("list-type") == Some("2") => "ListObjectsV2",
        "GET" if query.has("uploads") => "ListMultipartUploads",
        "GET" if query.has("versions") => "ListObjectVersions",
        "GET" => "ListObjects",
        "POST" if query.has("delete") => "DeleteObjects",
        "DELETE" => "DeleteBucket",
        _ => "Unknown",
    }
}

fn of_object(request: &Incoming) -> &'static str {
    let query = &request.query;
    let is_copy = request.headers.contains_key("x-amz-copy-source");
    match request.method.as_str() {
        "GET" if query.has("uploadId") => "ListParts",
        "GET" if query.has("tagging") => "GetObjectTagging",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "PUT" if query.has("uploadId") => {
            if is_copy {
                "UploadPartCopy"
            } else {
                "UploadPart"
            }
        }
        "PUT" if query.has("tagging") => "PutObjectTagging",
        "PUT" if is_copy => "CopyObject",
        "PUT" => "PutObject",
        "POST" if query.has("uploads") => "CreateMultipartUpload",
        "POST" if query.has("uploadId") => "CompleteMultipartUpload",
        "DELETE" if query.has("uploadId") => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        _ => "Unknown",
    }
}

/// Carries out an operation.
pub(super) fn answer(
    operation: &str,
    request: &Incoming,
    world: &mut World,
) -> Result<Reply, Refusal> {
    let (bucket, key) = bucket_and_key(&request.path);
    match operation {
        "ListBuckets" => Ok(s3_list::list_buckets(world)),
        "CreateBucket" => s3_list::create_bucket(world, &bucket),
        "HeadBucket" => s3_list::head_bucket(world, &bucket),
        "GetBucketLocation" => s3_list::get_bucket_location(world, &bucket),
        "ListObjectsV2" => s3_list::list_objects(world, &bucket, &request.query),
        "GetObject" => s3_objects::get(world, request, &bucket, &key),
        "HeadObject" => s3_objects::head(world, request, &bucket, &key),
        "PutObject" => s3_objects::put(world, request, &bucket, &key),
        "CopyObject" => s3_objects::copy(world, request, &bucket, &key),
        "DeleteObject" => s3_versions::delete(world, request, &bucket, &key),
        "DeleteObjects" => s3_versions::delete_many(world, request, &bucket),
        "GetBucketVersioning" => s3_versions::versioning(world, &bucket),
        "ListObjectVersions" => s3_versions::list(world, request, &bucket),
        "CreateMultipartUpload" => s3_uploads::create(world, request, &bucket, &key),
        "UploadPart" => s3_uploads::upload_part(world, request, &bucket, &key),
        "CompleteMultipartUpload" => s3_uploads::complete(world, request, &bucket, &key),
        "ListMultipartUploads" => s3_uploads::list(world, request, &bucket),
        "AbortMultipartUpload" => s3_uploads::abort(world, request, &bucket, &key),
        _ => Err(Service::S3.unknown_operation(operation)),
    }
}
