//! The bucket as a client of S3 sees it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use dag_testing::{FakeBucket, Refuse, Traffic};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attribute, Error, GetOptions, GetRange, MultipartUpload as _, ObjectStore as _,
    ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use crate::wire::{ask, bytes, client, connect, wait};

const MIB: usize = 1 << 20;

#[test]
fn what_is_put_is_got_whole_and_by_ranges() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    let path = Path::from("a/b");
    let ten = b"0123456789";
    wait(async {
        store.put(&path, ten.to_vec().into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        assert_eq!(meta.size, 10);
        let age = object_store::GetResult::bytes(store.get(&path).await.unwrap());
        assert_eq!(age.await.unwrap().as_ref(), ten);
        for (range, expected) in [
            (GetRange::Bounded(2..5), &b"234"[..]),
            (GetRange::Bounded(8..50), b"89"),
            (GetRange::Offset(7), b"789"),
            (GetRange::Suffix(4), b"6789"),
            (GetRange::Suffix(99), ten),
        ] {
            let options = GetOptions::new().with_range(Some(range));
            let got = store.get_opts(&path, options).await.unwrap();
            assert_eq!(got.meta.size, 10);
            assert_eq!(got.meta.e_tag, meta.e_tag);
            assert_eq!(got.bytes().await.unwrap().as_ref(), expected);
        }
        let beyond = GetOptions::new().with_range(Some(GetRange::Offset(10)));
        let error = store.get_opts(&path, beyond).await.unwrap_err().to_string();
        assert!(error.contains("InvalidRange"), "{error}");
        let absent = store.get(&Path::from("a")).await;
        assert!(matches!(absent, Err(Error::NotFound { .. })), "{absent:?}");
    });
    assert_eq!(bucket.read("a/b").as_deref(), Some(&ten[..]));
    assert_eq!(bucket.keys(""), ["a/b"]);
}

#[test]
fn keys_and_metadata_come_back_as_they_were() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    let keys = ["a b/c+d", "x&y/<z>", "ü/ß", "50%/25%2F", "q?a=b#c"];
    wait(async {
        for key in keys {
            let mut options = PutOptions::default();
            let name = Attribute::Metadata("writer".into());
            options.attributes.insert(name, "alice".into());
            options
                .attributes
                .insert(Attribute::ContentType, "text/x".into());
            let path = Path::parse(key).unwrap();
            store
                .put_opts(&path, key.to_owned().into(), options)
                .await
                .unwrap();
            let got = store.get(&path).await.unwrap();
            let name = Attribute::Metadata("writer".into());
            assert_eq!(got.attributes.get(&name), Some(&"alice".into()));
            assert_eq!(
                got.attributes.get(&Attribute::ContentType),
                Some(&"text/x".into())
            );
            assert_eq!(got.bytes().await.unwrap(), key);
        }
        let listed: BTreeSet<String> = store
            .list(None)
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed, keys.map(str::to_owned).into());
    });
    assert_eq!(
        BTreeSet::from_iter(bucket.keys("")),
        keys.map(str::to_owned).into()
    );
}

#[test]
fn of_many_writers_that_create_one_key_one_wins() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    wait(async {
        for round in 0..10 {
            let path = Path::from(format!("race/{round}"));
            let writers = (0..16_u8).map(|writer| {
                let (store, path) = (&store, &path);
                async move {
                    let payload = PutPayload::from(vec![writer; 100]);
                    (
                        writer,
                        store.put_opts(path, payload, PutMode::Create.into()).await,
                    )
                }
            });
            let ended = futures::future::join_all(writers).await;
            let (won, lost): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(_, put)| put.is_ok());
            assert_eq!(won.len(), 1);
            for (_, put) in lost {
                assert!(matches!(put, Err(Error::AlreadyExists { .. })), "{put:?}");
            }
            let stored = bucket.read(path.as_ref()).unwrap();
            assert_eq!(stored, vec![won[0].0; 100]);
        }
    });
}

#[test]
fn an_update_wants_the_version_it_was_made_from() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    let path = Path::from("lease");
    wait(async {
        let first = store.put(&path, "one".into()).await.unwrap();
        let update = |e_tag| {
            let version = UpdateVersion {
                e_tag,
                version: None,
            };
            PutOptions::from(PutMode::Update(version))
        };
        let second = store
            .put_opts(&path, "two".into(), update(first.e_tag.clone()))
            .await;
        assert_ne!(second.unwrap().e_tag, first.e_tag);
        let late = store
            .put_opts(&path, "three".into(), update(first.e_tag.clone()))
            .await;
        assert!(matches!(late, Err(Error::Precondition { .. })), "{late:?}");
        let gone = store
            .put_opts(&Path::from("none"), "x".into(), update(first.e_tag))
            .await;
        // a 404 on the wire, which the client turns into this
        assert!(matches!(gone, Err(Error::Precondition { .. })), "{gone:?}");
    });
    assert_eq!(bucket.read("lease").as_deref(), Some(&b"two"[..]));
    assert_eq!(bucket.keys(""), ["lease"]);
}

#[test]
fn a_reader_may_ask_for_another_version_than_it_has() {
    let bucket = FakeBucket::start();
    bucket.replace("k", b"one");
    let store = client(&bucket.url(), 0);
    wait(async {
        let path = Path::from("k");
        let etag = store.head(&path).await.unwrap().e_tag;
        let if_other = GetOptions {
            if_none_match: etag.clone(),
            ..GetOptions::default()
        };
        let if_same = GetOptions {
            if_match: etag,
            ..GetOptions::default()
        };
        let got = store.get_opts(&path, if_other.clone()).await;
        assert!(matches!(got, Err(Error::NotModified { .. })), "{got:?}");
        assert!(store.get_opts(&path, if_same.clone()).await.is_ok());
        bucket.replace("k", b"two");
        assert!(store.get_opts(&path, if_other).await.is_ok());
        let got = store.get_opts(&path, if_same).await;
        assert!(matches!(got, Err(Error::Precondition { .. })), "{got:?}");
    });
}

#[test]
fn a_listing_goes_over_pages_and_stops_at_the_delimiter() {
    let bucket = FakeBucket::start();
    for number in 0..2500 {
        bucket.replace(&format!("blobs/{:02x}/{number:04}", number % 200), b"x");
    }
    bucket.replace("blobs/top", b"four");
    bucket.replace("blobsy", b"");
    bucket.replace("before", b"");
    let store = client(&bucket.url(), 0);
    let folder = Path::from("blobs");
    wait(async {
        let listed: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
        let names: Vec<String> = listed
            .iter()
            .map(|meta| meta.location.to_string())
            .collect();
        assert_eq!(names, bucket.keys("blobs/"));
        assert_eq!(listed.last().unwrap().size, 4);
        let head = store.head(&Path::from("blobs/top")).await.unwrap();
        assert_eq!(listed.last().unwrap().e_tag, head.e_tag);
        assert_eq!(bucket.traffic("GET").requests, 3);

        let offset = Path::from("blobs/c6/2198");
        let after: Vec<_> = store
            .list_with_offset(Some(&folder), &offset)
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .unwrap();
        let expected: Vec<String> = bucket
            .keys("blobs/")
            .into_iter()
            .filter(|key| key.as_str() > offset.as_ref())
            .collect();
        assert_eq!(after, expected);

        let one = store.list_with_delimiter(Some(&folder)).await.unwrap();
        assert_eq!(one.common_prefixes.len(), 200);
        assert_eq!(one.objects.len(), 1);
    });
}

#[test]
fn a_page_that_ends_with_a_common_prefix_goes_on_behind_it() {
    let bucket = FakeBucket::start();
    for key in ["p/a/1", "p/a/2", "p/b", "p/c/1", "p/c/2", "p/d"] {
        bucket.replace(key, b"");
    }
    let mut found = Vec::new();
    let mut token = String::new();
    // four pages are enough, if they go on
    for _ in 0..8 {
        let target = format!("GET /bucket?list-type=2&prefix=p%2F&delimiter=%2F&max-keys=1{token}");
        let page = ask(&bucket.url(), &target, b"").unwrap().text();
        let one = |name: &str| {
            let (_, after) = page.split_once(&format!("<{name}>"))?;
            Some(after.split_once('<')?.0.to_owned())
        };
        found.push(
            one("Key").or(page
                .split("<CommonPrefixes><Prefix>")
                .nth(1)
                .map(|rest| rest.split_once('<').unwrap().0.to_owned())),
        );
        match one("NextContinuationToken") {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert_eq!(found, ["p/a/", "p/b", "p/c/", "p/d"]);
}

#[test]
fn removing_takes_one_or_many_and_does_not_mind_the_absent() {
    let bucket = FakeBucket::start();
    for number in 0..1500 {
        bucket.replace(&format!("k&{number}"), b"");
    }
    bucket.replace("stays", b"");
    let store = client(&bucket.url(), 0);
    wait(async {
        store.delete(&Path::from("k&7")).await.unwrap();
        store.delete(&Path::from("absent")).await.unwrap();
        let all: Vec<_> = bucket
            .keys("k&")
            .into_iter()
            .map(|key| Ok(Path::from(key)))
            .collect();
        assert_eq!(all.len(), 1499);
        let removed: Vec<_> = store
            .delete_stream(futures::stream::iter(all).boxed())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(removed.len(), 1499);
    });
    assert_eq!(
        ask(&bucket.url(), "DELETE /bucket/stays/not", b"")
            .unwrap()
            .status,
        204
    );
    assert_eq!(bucket.keys(""), ["stays"]);
    assert!(bucket.delete("stays"));
    assert!(!bucket.delete("stays"));
}

#[test]
fn an_upload_in_parts_becomes_an_object_when_it_is_completed() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    let path = Path::from("large");
    let whole = bytes(11 * MIB);
    wait(async {
        let mut upload = store.put_multipart(&path).await.unwrap();
        // the second part first: numbers decide, not time
        let parts: Vec<_> = whole
            .chunks(5 * MIB)
            .map(|part| upload.put_part(part.to_vec().into()))
            .collect();
        for part in parts.into_iter().rev() {
            part.await.unwrap();
        }
        assert_eq!(bucket.read("large"), None);
        assert_eq!(bucket.open_uploads(), 1);
        upload.complete().await.unwrap();
        assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == whole);
    });
    assert_eq!(bucket.open_uploads(), 0);
    assert_eq!(bucket.traffic("PUT").received, whole.len() as u64);
}

#[test]
fn an_upload_that_is_aborted_or_has_a_small_part_becomes_none() {
    let bucket = FakeBucket::start();
    let store = client(&bucket.url(), 0);
    let path = Path::from("large");
    wait(async {
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part(bytes(100).into()).await.unwrap();
        upload.put_part(bytes(100).into()).await.unwrap();
        let error = upload.complete().await.unwrap_err().to_string();
        assert!(error.contains("EntityTooSmall"), "{error}");
        assert_eq!(bucket.open_uploads(), 1);
        upload.abort().await.unwrap();
    });
    assert_eq!(bucket.open_uploads(), 0);
    assert!(bucket.keys("").is_empty());
}

#[test]
fn completing_an_upload_can_ask_for_an_absent_key() {
    let bucket = FakeBucket::start();
    let url = bucket.url();
    let begun = ask(&url, "POST /bucket/k?uploads", b"").unwrap().text();
    let id = begun
        .split("<UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let part = ask(
        &url,
        &format!("PUT /bucket/k?partNumber=1&uploadId={id}"),
        b"mine",
    )
    .unwrap();
    let etag = part
        .head
        .split("etag: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let document = |etag: &str| {
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        )
    };
    let complete = format!("POST /bucket/k?uploadId={id}\nif-none-match: *");
    bucket.replace("k", b"theirs");
    assert_eq!(
        ask(&url, &complete, document(etag).as_bytes())
            .unwrap()
            .status,
        412
    );
    assert_eq!(bucket.read("k").as_deref(), Some(&b"theirs"[..]));
    bucket.delete("k");
    let wrong = ask(&url, &complete, document("&quot;0000&quot;").as_bytes()).unwrap();
    assert!(
        wrong.text().contains("<Code>InvalidPart</Code>"),
        "{wrong:?}"
    );
    assert_eq!(
        ask(&url, &complete, document(etag).as_bytes())
            .unwrap()
            .status,
        200
    );
    assert_eq!(bucket.read("k").as_deref(), Some(&b"mine"[..]));
    let again = ask(&url, &complete, document(etag).as_bytes()).unwrap();
    assert!(
        again.text().contains("<Code>NoSuchUpload</Code>"),
        "{again:?}"
    );
}

#[test]
fn refusals_have_the_status_and_the_code_of_s3() {
    let bucket = FakeBucket::start();
    bucket.replace("k", b"bytes");
    #[track_caller]
    fn check(bucket: &FakeBucket, head: &str, status: u16, code: &str) {
        let got = ask(&bucket.url(), head, b"body").unwrap();
        assert_eq!(got.status, status, "{head}: {got:?}");
        let expected = format!("<Code>{code}</Code>");
        assert!(got.text().contains(&expected), "{head}: {}", got.text());
    }
    check(&bucket, "GET /bucket/none", 404, "NoSuchKey");
    check(&bucket, "GET /other/k", 404, "NoSuchBucket");
    check(
        &bucket,
        "GET /bucket/k\nrange: bytes=5-",
        416,
        "InvalidRange",
    );
    check(
        &bucket,
        "PUT /bucket/k\nif-none-match: *",
        412,
        "PreconditionFailed",
    );
    check(
        &bucket,
        "PUT /bucket/k?uploadId=x&partNumber=1",
        404,
        "NoSuchUpload",
    );
    check(&bucket, "POST /bucket?delete", 400, "MalformedXML");
    check(
        &bucket,
        "GET /bucket?list-type=2&max-keys=many",
        400,
        "InvalidArgument",
    );
    check(&bucket, "GET /bucket/%zz", 400, "InvalidArgument");
    // what would be stored as something it is not, or answered by a guess
    check(
        &bucket,
        "PUT /bucket/k2\nx-amz-copy-source: bucket/k",
        501,
        "NotImplemented",
    );
    check(
        &bucket,
        "PUT /bucket/k2\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        501,
        "NotImplemented",
    );
    check(&bucket, "PUT /bucket/k2?tagging", 501, "NotImplemented");
    check(&bucket, "GET /bucket/k?versionId=1", 501, "NotImplemented");
    check(&bucket, "GET /bucket", 501, "NotImplemented");
    bucket.refuse(Refuse::Writes);
    check(&bucket, "PUT /bucket/k3", 403, "AccessDenied");
    check(&bucket, "DELETE /bucket/k", 403, "AccessDenied");
    assert_eq!(
        ask(&bucket.url(), "GET /bucket/k", b"").unwrap().status,
        200
    );
    bucket.refuse(Refuse::Everything);
    check(&bucket, "GET /bucket/k", 403, "AccessDenied");
    assert_eq!(
        ask(&bucket.url(), "HEAD /bucket/k", b"").unwrap().status,
        403
    );
    let denied = wait(async { client(&bucket.url(), 0).get(&Path::from("k")).await });
    assert!(
        matches!(denied, Err(Error::PermissionDenied { .. })),
        "{denied:?}"
    );
    bucket.refuse(Refuse::Nothing);
    assert_eq!(bucket.keys(""), ["k"]);
}

#[test]
fn a_put_that_breaks_off_stores_nothing() {
    let bucket = FakeBucket::start();
    let mut stream = connect(&bucket.url());
    stream
        .write_all(b"PUT /bucket/half HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this")
        .unwrap();
    drop(stream);
    let since = Instant::now();
    while bucket.requests().is_empty() && since.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(bucket.keys("").is_empty());
    // the server may drop the request before or after it is noted, but never calls it stored
    assert!(
        bucket
            .requests()
            .iter()
            .all(|request| request.status == 400)
    );
}

#[test]
fn requests_and_bytes_are_counted_by_method() {
    let bucket = FakeBucket::start();
    let url = bucket.url();
    ask(&url, "PUT /bucket/k", b"0123456789").unwrap();
    ask(&url, "GET /bucket/k", b"").unwrap();
    ask(&url, "GET /bucket/k\nrange: bytes=2-4", b"").unwrap();
    ask(&url, "HEAD /bucket/k\nauthorization: a token", b"").unwrap();
    let traffic = |requests, received, sent| Traffic {
        requests,
        received,
        sent,
    };
    assert_eq!(bucket.traffic("PUT"), traffic(1, 10, 0));
    assert_eq!(bucket.traffic("GET"), traffic(2, 0, 13));
    assert_eq!(bucket.traffic("HEAD"), traffic(1, 0, 0));
    assert_eq!(bucket.traffic("DELETE"), Traffic::default());
    let seen = bucket.requests();
    assert_eq!(seen[2].range.as_deref(), Some("bytes=2-4"));
    assert_eq!((seen[2].status, seen[2].key.as_str()), (206, "k"));
    assert_eq!(seen[3].authorization.as_deref(), Some("a token"));
    bucket.forget();
    assert!(bucket.requests().is_empty());
    assert_eq!(bucket.keys(""), ["k"]);
}

#[test]
fn a_stopped_bucket_refuses_connections_and_comes_back_with_its_objects() {
    let bucket = FakeBucket::start();
    bucket.replace("k", b"bytes");
    let url = bucket.url();
    let address = url.strip_prefix("http://").unwrap();
    for _ in 0..3 {
        let mut open = connect(&url);
        bucket.stop();
        bucket.stop();
        let refused = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let mut byte = [0];
        let ended = std::io::Read::read(&mut open, &mut byte);
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        bucket.resume();
        bucket.resume();
        assert_eq!(bucket.url(), url);
        assert_eq!(ask(&url, "GET /bucket/k", b"").unwrap().body, b"bytes");
    }
}

#[test]
fn a_delay_holds_back_every_request_but_not_one_for_the_other() {
    let bucket = FakeBucket::start();
    bucket.replace("k", b"bytes");
    bucket.delay(Duration::from_millis(100));
    let store = client(&bucket.url(), 0);
    let since = Instant::now();
    wait(async {
        let gets = (0..20).map(|_| async { store.head(&Path::from("k")).await.unwrap() });
        futures::future::join_all(gets).await;
    });
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(
        took < Duration::from_millis(1500),
        "20 times 100 ms one after the other: {took:?}"
    );
}
