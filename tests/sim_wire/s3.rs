//! S3, portable: every check makes the bucket and the objects that it needs.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, EncodingType, MetadataDirective};
use futures_util::future::join_all;
use gapmend::sim::wire::WireServer;

use crate::door::{Door, code, config, other_endpoint, quiet, s3, unique};

/// A bucket of one's own, behind our door or the other endpoint.
struct Bucket {
    client: Client,
    name: String,
    _server: Option<WireServer>,
}

async fn bucket() -> Bucket {
    let (client, server) = if let Some(url) = other_endpoint() {
        (s3(&config(&url)), None)
    } else {
        let door = Door::open(quiet().days(1)).await;
        (door.s3(), Some(door.server))
    };
    let name = unique("wire-checks");
    let location = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuWest2)
        .build();
    let created = client.create_bucket().bucket(&name).create_bucket_configuration(location);
    created.send().await.unwrap();
    Bucket { client, name, _server: server }
}

impl Bucket {
    async fn put(&self, key: &str, text: &str) {
        let body = ByteStream::from(text.as_bytes().to_vec());
        self.client.put_object().bucket(&self.name).key(key).body(body).send().await.unwrap();
    }

    async fn put_all(&self, keys: &[&str]) {
        for key in keys {
            self.put(key, "x").await;
        }
    }

    async fn text(&self, key: &str) -> String {
        let object = self.client.get_object().bucket(&self.name).key(key).send().await.unwrap();
        let bytes = object.body.collect().await.unwrap().into_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn list(&self) -> aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder {
        self.client.list_objects_v2().bucket(&self.name)
    }

    fn create(
        &self,
        key: &str,
        text: &str,
    ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
        let body = ByteStream::from(text.as_bytes().to_vec());
        self.client.put_object().bucket(&self.name).key(key).if_none_match("*").body(body)
    }
}

#[tokio::test]
async fn a_listing_comes_whole_in_pages_in_the_order_of_its_bytes() {
    let bucket = bucket().await;
    let keys = [
        "p/liberator_dump_20260714.zip",
        "p/liberator_dump_220601.zip",
        "p/é",
        "p/A",
        "p/a",
        "q/x",
    ];
    bucket.put_all(&keys).await;
    let mut pages = bucket.list().prefix("p/").max_keys(2).into_paginator().send();
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.contents().len());
        seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    let mut expected = keys[..5].to_vec();
    expected.sort_by_key(|key| key.as_bytes().to_vec());
    assert_eq!(seen, expected);
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test]
async fn a_listing_starts_after_a_key_that_need_not_exist() {
    let bucket = bucket().await;
    bucket.put_all(&["a", "b", "c"]).await;
    let page = bucket.list().start_after("aa").send().await.unwrap();
    let keys: Vec<_> = page.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(page.key_count(), Some(2));
}

#[tokio::test]
async fn common_prefixes_count_as_keys_and_pages_go_on_after_them() {
    let bucket = bucket().await;
    bucket.put_all(&["a/1", "a/2", "b", "c/1", "c/2", "d"]).await;
    let mut pages = bucket.list().delimiter("/").max_keys(1).into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        seen.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        seen.extend(
            page.common_prefixes().iter().filter_map(|one| one.prefix().map(str::to_owned)),
        );
    }
    assert_eq!(seen, ["a/", "b", "c/", "d"]);
}

#[tokio::test]
async fn a_token_that_was_never_given_out_is_refused() {
    if other_endpoint().is_some() {
        return; // Only AWS and this door are strict about it.
    }
    let bucket = bucket().await;
    bucket.put_all(&["a", "b"]).await;
    let answer = bucket.list().continuation_token("made-up").send().await;
    assert_eq!(code(answer), "InvalidArgument");
    let first = bucket.list().max_keys(1).send().await.unwrap();
    let token = first.next_continuation_token().unwrap();
    let elsewhere = bucket.list().prefix("b").continuation_token(token).send().await;
    assert_eq!(code(elsewhere), "InvalidArgument");
}

#[tokio::test]
async fn odd_keys_survive_the_way_there_and_back() {
    let bucket = bucket().await;
    let key = "import_date=20260714/a b+c&d<é>%2F\"q\".zip";
    bucket.put(key, "odd").await;
    assert_eq!(bucket.text(key).await, "odd");
    let plain = bucket.list().send().await.unwrap();
    assert_eq!(plain.contents()[0].key(), Some(key));
    let encoded = bucket.list().encoding_type(EncodingType::Url).send().await.unwrap();
    assert!(encoded.contents()[0].key().unwrap().is_ascii());
}

#[tokio::test]
async fn ranges_are_read_while_the_etag_matches() {
    let bucket = bucket().await;
    bucket.put("k", "0123456789").await;
    let head = bucket.client.head_object().bucket(&bucket.name).key("k").send().await.unwrap();
    assert_eq!(head.content_length(), Some(10));
    let etag = head.e_tag().unwrap();
    let get = || bucket.client.get_object().bucket(&bucket.name).key("k");
    let part = get().range("bytes=2-4").if_match(etag).send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(&part.body.collect().await.unwrap().into_bytes()[..], b"234");
    let tail = get().range("bytes=-3").send().await.unwrap();
    assert_eq!(&tail.body.collect().await.unwrap().into_bytes()[..], b"789");
    let changed = get().range("bytes=2-4").if_match("\"0000\"").send().await;
    assert_eq!(code(changed), "PreconditionFailed");
    assert_eq!(code(get().range("bytes=10-12").send().await), "InvalidRange");
}

#[tokio::test]
async fn of_many_that_create_a_key_at_once_exactly_one_wins() {
    let bucket = bucket().await;
    let attempts = (0..8).map(|number| bucket.create("lock", &number.to_string()).send());
    let answers = join_all(attempts).await;
    let losers: Vec<String> = answers.into_iter().filter(Result::is_err).map(code).collect();
    assert_eq!(losers.len(), 7, "{losers:?}");
    let is_lost =
        |code: &String| code == "PreconditionFailed" || code == "ConditionalRequestConflict";
    assert!(losers.iter().all(is_lost), "{losers:?}");
}

#[tokio::test]
async fn a_streamed_body_arrives_whole_with_its_trailing_checksum() {
    let bucket = bucket().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "0123456789abcdef".repeat(20_000);
    std::fs::write(file.path(), &text).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    bucket.client.put_object().bucket(&bucket.name).key("s").body(body).send().await.unwrap();
    assert!(bucket.text("s").await == text);
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let bucket = bucket().await;
    bucket.put("one", "text").await;
    let source = format!("{}/one", bucket.name);
    let copy = || bucket.client.copy_object().bucket(&bucket.name).key("one").copy_source(&source);
    assert_eq!(code(copy().send().await), "InvalidRequest");
    copy().metadata_directive(MetadataDirective::Replace).send().await.unwrap();
    assert_eq!(bucket.text("one").await, "text");
}

#[tokio::test]
async fn a_copy_is_made_only_where_nothing_is() {
    let bucket = bucket().await;
    bucket.put("from é", "content").await;
    let source = format!("{}/from%20%C3%A9", bucket.name);
    let copy = |to: &str| {
        bucket
            .client
            .copy_object()
            .bucket(&bucket.name)
            .copy_source(&source)
            .key(to)
            .if_none_match("*")
    };
    copy("to").send().await.unwrap();
    assert_eq!(bucket.text("to").await, "content");
    if other_endpoint().is_none() {
        assert_eq!(code(copy("to").send().await), "PreconditionFailed");
    }
}

#[tokio::test]
async fn what_is_absent_says_so() {
    let bucket = bucket().await;
    let client = &bucket.client;
    assert_eq!(code(client.get_object().bucket(&bucket.name).key("k").send().await), "NoSuchKey");
    let nowhere = unique("nowhere");
    assert_eq!(code(client.list_objects_v2().bucket(&nowhere).send().await), "NoSuchBucket");
    let head = client.head_object().bucket(&bucket.name).key("k").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    client.delete_object().bucket(&bucket.name).key("k").send().await.unwrap();
}

#[tokio::test]
async fn an_upload_in_parts_appears_when_it_is_completed_and_not_before() {
    const FIVE_MEBIBYTES: usize = 5 * 1024 * 1024;
    let bucket = bucket().await;
    let client = &bucket.client;
    let upload =
        client.create_multipart_upload().bucket(&bucket.name).key("big").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in [(1, vec![1; FIVE_MEBIBYTES]), (2, b"end".to_vec())] {
        let part = client.upload_part().bucket(&bucket.name).key("big").upload_id(id);
        let part = part.part_number(number).body(body.into()).send().await.unwrap();
        let done = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
        parts = parts.parts(done.build());
    }
    assert_eq!(bucket.list().send().await.unwrap().key_count(), Some(0));
    let complete = client.complete_multipart_upload().bucket(&bucket.name).key("big");
    let complete = complete.upload_id(id).multipart_upload(parts.build()).if_none_match("*");
    let done = complete.send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{done:?}");
    let head = client.head_object().bucket(&bucket.name).key("big").send().await.unwrap();
    assert_eq!(head.content_length(), Some(5 * 1024 * 1024 + 3));
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let bucket = bucket().await;
    let client = &bucket.client;
    let upload =
        client.create_multipart_upload().bucket(&bucket.name).key("k").send().await.unwrap();
    let abort = || {
        let abort = client.abort_multipart_upload().bucket(&bucket.name).key("k");
        abort.set_upload_id(upload.upload_id.clone())
    };
    abort().send().await.unwrap();
    assert_eq!(code(abort().send().await), "NoSuchUpload");
}

#[tokio::test]
async fn buckets_are_listed_and_have_a_place() {
    let bucket = bucket().await;
    let buckets = bucket.client.list_buckets().send().await.unwrap();
    assert!(buckets.buckets().iter().any(|one| one.name() == Some(bucket.name.as_str())));
    let location = bucket.client.get_bucket_location().bucket(&bucket.name).send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "eu-west-2");
    bucket.client.head_bucket().bucket(&bucket.name).send().await.unwrap();
}

#[tokio::test]
async fn a_thousand_keys_are_a_page() {
    if other_endpoint().is_some() {
        return;
    }
    let door = Door::open(quiet().days(1)).await;
    for number in 0..1005 {
        let mut world = door.sim.lock();
        world.put_object("gapmend-ledger", &format!("log/{number:020}"), "{}", false).unwrap();
    }
    let first = door.s3().list_objects_v2().bucket("gapmend-ledger").prefix("log/").max_keys(5000);
    let first = first.send().await.unwrap();
    assert_eq!((first.key_count(), first.is_truncated()), (Some(1000), Some(true)));
    assert_eq!(first.max_keys(), Some(1000));
}
