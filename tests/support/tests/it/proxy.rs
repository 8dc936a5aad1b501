//! The proxy between a client and a server: what passes passes whole, what goes wrong goes wrong as told.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use dag_testing::{Exchange, FakeBucket, FaultyProxy, Moved, Refuse, Rule, WireFault};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore as _, ObjectStoreExt as _};

use crate::wire::{Got, ask, bytes, canned, client, connect, wait};

struct World {
    bucket: FakeBucket,
    proxy: FaultyProxy,
}

impl World {
    fn new(seed: u64) -> Self {
        let bucket = FakeBucket::start();
        let proxy = FaultyProxy::start(&bucket.url(), seed);
        Self { bucket, proxy }
    }

    fn ruled(rule: Rule) -> Self {
        let world = Self::new(1);
        world.proxy.rules([rule]);
        world
    }

    fn get(&self, key: &str) -> std::io::Result<Got> {
        ask(&self.proxy.url(), &format!("GET /bucket/{key}"), b"")
    }

    fn put(&self, key: &str, bytes: &[u8]) -> std::io::Result<Got> {
        ask(&self.proxy.url(), &format!("PUT /bucket/{key}"), bytes)
    }

    fn last(&self) -> Exchange {
        self.proxy.log().pop().unwrap()
    }
}

fn length(got: &Got) -> usize {
    let lower = got.head.to_ascii_lowercase();
    let after = lower.split("content-length:").nth(1).unwrap();
    after.lines().next().unwrap().trim().parse().unwrap()
}

#[test]
fn without_rules_everything_passes_unchanged() {
    let world = World::new(1);
    let store = client(&world.proxy.url(), 0);
    let large = bytes(12 << 20);
    wait(async {
        for length in [0, 1, 70_000] {
            let path = Path::from(format!("some/{length}"));
            store.put(&path, bytes(length).into()).await.unwrap();
            assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == bytes(length));
            assert_eq!(store.head(&path).await.unwrap().size, length as u64);
        }
        let path = Path::from("large");
        let mut upload = store.put_multipart(&path).await.unwrap();
        for part in large.chunks(5 << 20) {
            upload.put_part(part.to_vec().into()).await.unwrap();
        }
        upload.complete().await.unwrap();
        assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == large);
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 4);
        store.delete(&path).await.unwrap();
        assert!(store.get(&path).await.is_err());
    });
    assert_eq!(world.bucket.keys(""), ["some/0", "some/1", "some/70000"]);
    let log = world.proxy.log();
    assert_eq!(log.len(), world.bucket.requests().len());
    assert!(log.iter().all(|one| one.fault.is_none() && one.reached));
    let statuses: Vec<_> = log.iter().map(|one| one.status.unwrap()).collect();
    let seen: Vec<_> = world
        .bucket
        .requests()
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(statuses, seen);
}

#[test]
fn heads_pass_letter_by_letter() {
    let answer = "HTTP/1.1 200 Fine\r\nX-Odd:  two blanks\r\nx-ODD:\tagain \r\nContent-Length: 2\r\nX-Latin: \u{e9}\r\n\r\nok";
    let answer: Vec<u8> = answer.chars().map(|char| char as u8).collect();
    let (server, heard) = canned(|read| read.ends_with(b"\r\n\r\n"), answer.clone());
    let proxy = FaultyProxy::start(&server, 1);
    let request = b"GET /a%2Fb?c=%20&D HTTP/1.1\r\nHost: signed.example\r\nAUTHORIZATION: AWS4 x/y\r\nx-empty:\r\n\r\n";
    let mut stream = connect(&proxy.url());
    stream.write_all(request).unwrap();
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&heard.join().unwrap()),
        String::from_utf8_lossy(request)
    );
    assert_eq!(got, answer);
    let moved = Moved {
        from_clients: request.len() as u64,
        to_clients: answer.len() as u64,
    };
    assert_eq!(proxy.moved(), moved);
}

#[test]
fn chunked_bodies_pass_both_ways_and_the_connection_goes_on() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;name=x\r\nabc\r\nA\r\n0123456789\r\n0\r\ntrailer: dropped\r\n\r\n";
    let (server, heard) = canned(|read| read.ends_with(b"0\r\n\r\n"), answer);
    let proxy = FaultyProxy::start(&server, 1);
    let mut stream = connect(&proxy.url());
    let head = "PUT /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for piece in ["5\r\nhel", "lo\r", "\n1\r\n!\r\n", "0\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut got = Vec::new();
    while !got.ends_with(b"0\r\n\r\n") {
        let mut piece = [0; 1000];
        let count = stream.read(&mut piece).unwrap();
        assert!(
            count > 0,
            "it ended after {:?}",
            String::from_utf8_lossy(&got)
        );
        got.extend_from_slice(&piece[..count]);
    }
    assert_eq!(unchunked(&heard.join().unwrap()), "hello!");
    assert_eq!(unchunked(&got), "abc0123456789");
}

/// The body of a message in chunks.
fn unchunked(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).into_owned();
    let (_, mut rest) = text.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body += &after[..size];
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
}

#[test]
fn many_requests_go_over_one_connection() {
    let world = World::new(1);
    world.bucket.replace("k", b"bytes");
    let mut stream = connect(&world.proxy.url());
    // all at once, as HTTP allows
    let request = "GET /bucket/k HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    stream.write_all(request.as_bytes()).unwrap();
    let mut got = String::new();
    while got.matches("\r\n\r\nbytes").count() < 20 {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "it ended after {got}");
        got += &String::from_utf8_lossy(&piece[..count]);
    }
    assert_eq!(world.proxy.log().len(), 20);
}

#[test]
fn a_client_that_waits_for_leave_to_send_is_given_it() {
    let world = World::new(1);
    let mut stream = connect(&world.proxy.url());
    stream
        .write_all(b"PUT /bucket/k HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        .unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"bytes").unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(world.bucket.read("k").as_deref(), Some(&b"bytes"[..]));
}

#[test]
fn a_server_that_answers_before_it_has_read_all_is_heard() {
    let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    let (server, _heard) = canned(|read| read.len() > 1000, answer);
    let proxy = FaultyProxy::start(&server, 1);
    let got = ask(&proxy.url(), "PUT /x", &bytes(40 << 20)).unwrap();
    assert_eq!((got.status, got.body.as_slice()), (403, &b"no"[..]));
    let log = proxy.log();
    assert_eq!((log[0].reached, log[0].status), (false, Some(403)));
}

#[test]
fn a_server_that_is_down_is_a_connection_that_breaks() {
    let world = World::new(1);
    world.bucket.replace("k", b"bytes");
    assert_eq!(world.get("k").unwrap().status, 200);
    world.bucket.stop();
    assert!(world.get("k").is_err());
    assert_eq!(
        world.last().to_string(),
        "#1 GET /bucket/k: passed, server did not answer"
    );
    world.bucket.resume();
    assert_eq!(world.get("k").unwrap().body, b"bytes");
    world.proxy.stop();
    let refused = std::net::TcpStream::connect(world.proxy.url().strip_prefix("http://").unwrap());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    world.proxy.resume();
    assert_eq!(world.get("k").unwrap().body, b"bytes");
}

#[test]
fn a_connection_outlives_a_server_that_starts_again() {
    let world = World::new(1);
    world.bucket.replace("k", b"bytes");
    let mut stream = connect(&world.proxy.url());
    for _ in 0..20 {
        stream
            .write_all(b"HEAD /bucket/k HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        assert_eq!(&head_of(&mut stream)[9..12], "200");
        world.bucket.stop();
        world.bucket.resume();
    }
}

#[test]
fn cut_before_the_server_hears_nothing() {
    let world = World::ruled(WireFault::CutBefore.always());
    assert!(world.put("k", b"bytes").is_err());
    assert!(world.bucket.requests().is_empty());
    assert_eq!(
        world.last().to_string(),
        "#0 PUT /bucket/k: cut before, server did not answer"
    );
}

#[test]
fn cut_during_the_server_hears_a_part_and_stores_nothing() {
    let world = World::ruled(WireFault::CutDuring.always());
    for _ in 0..10 {
        assert!(world.put("k", &bytes(100_000)).is_err());
        let last = world.last();
        assert_eq!(last.fault, Some(WireFault::CutDuring));
        assert!(last.at.unwrap() < 100_000 && !last.reached);
    }
    assert!(world.bucket.keys("").is_empty());
    // without a body there is nothing to cut in
    assert_eq!(world.get("k").unwrap().status, 404);
    assert_eq!(world.last().spared, Some(WireFault::CutDuring));
}

#[test]
fn cut_after_the_work_is_done_and_the_answer_lost() {
    let world = World::ruled(WireFault::CutAfter.always().times(1));
    assert!(world.put("k", b"bytes").is_err());
    assert_eq!(world.bucket.read("k").as_deref(), Some(&b"bytes"[..]));
    assert_eq!(
        world.last().to_string(),
        "#0 PUT /bucket/k: cut after, server said 200"
    );
    let again = ask(
        &world.proxy.url(),
        "PUT /bucket/k\nif-none-match: *",
        b"bytes",
    )
    .unwrap();
    assert_eq!(again.status, 412);
}

#[test]
fn unavailable_is_said_without_asking_the_server() {
    let world = World::ruled(WireFault::Unavailable.always().times(2));
    let mut stream = connect(&world.proxy.url());
    stream
        .write_all(b"HEAD /bucket/k HTTP/1.1\r\nhost: x\r\n\r\nPUT /bucket/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nbytesGET /bucket/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    let statuses: Vec<_> = got
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|one| &one[..3])
        .collect();
    assert_eq!(statuses, ["503", "503", "404"], "{got}");
    assert_eq!(world.bucket.requests().len(), 1);
    assert!(world.bucket.keys("").is_empty());
}

#[test]
fn a_truncated_body_is_shorter_than_its_head_says() {
    let world = World::ruled(WireFault::Truncate.always());
    let whole = bytes(200_000);
    world.bucket.replace("k", &whole);
    for _ in 0..10 {
        let got = world.get("k").unwrap();
        let at = usize::try_from(world.last().at.unwrap()).unwrap();
        assert_eq!(length(&got), whole.len());
        assert!(at < whole.len());
        assert!(got.body == whole[..at]);
    }
    // a good client notices
    let store = client(&world.proxy.url(), 0);
    let read = wait(async { store.get(&Path::from("k")).await?.bytes().await });
    assert!(read.is_err());
    assert_eq!(
        ask(&world.proxy.url(), "HEAD /bucket/k", b"")
            .unwrap()
            .status,
        200
    );
    assert_eq!(world.last().spared, Some(WireFault::Truncate));
}

#[test]
fn a_quietly_truncated_body_is_as_long_as_its_head_says() {
    let world = World::ruled(WireFault::TruncateQuietly.always());
    let whole = bytes(200_000);
    world.bucket.replace("k", &whole);
    for _ in 0..10 {
        let got = world.get("k").unwrap();
        let at = usize::try_from(world.last().at.unwrap()).unwrap();
        assert_eq!(length(&got), at);
        assert!(at < whole.len());
        assert!(got.body == whole[..at]);
    }
    // no client notices by itself
    let store = client(&world.proxy.url(), 0);
    let read = wait(async {
        store
            .get(&Path::from("k"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
    });
    assert!(read.len() < whole.len());
}

#[test]
fn a_flip_changes_one_bit() {
    let world = World::ruled(WireFault::Flip.always());
    let whole = bytes(200_000);
    world.bucket.replace("k", &whole);
    for _ in 0..10 {
        let got = world.get("k").unwrap();
        let at = usize::try_from(world.last().at.unwrap()).unwrap();
        let wrong: Vec<_> = (0..whole.len())
            .filter(|&place| got.body[place] != whole[place])
            .collect();
        assert_eq!(wrong, [at]);
        assert_eq!((got.body[at] ^ whole[at]).count_ones(), 1);
    }
}

#[test]
fn bodies_in_chunks_are_damaged_too() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n";
    let through = |fault: WireFault| {
        let (server, _heard) = canned(|read| read.ends_with(b"\r\n\r\n"), answer);
        let proxy = FaultyProxy::start(&server, 3);
        proxy.rules([fault.always()]);
        let got = ask(&proxy.url(), "GET /x", b"").unwrap();
        let message = format!("{}\r\n\r\n{}", got.head, got.text());
        (
            message,
            usize::try_from(proxy.log()[0].at.unwrap()).unwrap(),
        )
    };
    let (flipped, at) = through(WireFault::Flip);
    let body = unchunked(flipped.as_bytes());
    assert_eq!(body.len(), 10);
    assert_eq!(
        (0..10)
            .filter(|&n| body.as_bytes()[n] != b"abcdefghij"[n])
            .collect::<Vec<_>>(),
        [at]
    );
    let (quiet, at) = through(WireFault::TruncateQuietly);
    assert_eq!(unchunked(quiet.as_bytes()), "abcdefghij"[..at]);
    let (cut, at) = through(WireFault::Truncate);
    assert!(!cut.ends_with("0\r\n\r\n"), "{cut}");
    assert!(cut.contains(&"abcdefghij"[..at]), "{cut}");
}

#[test]
fn an_older_answer_is_the_object_as_it_was() {
    let world = World::new(1);
    assert_eq!(world.get("k").unwrap().status, 404);
    world.bucket.replace("k", b"first");
    world.get("k").unwrap();
    world.bucket.replace("k", b"second");
    world.get("k").unwrap();
    world.proxy.rules([WireFault::ReplayOlder.always()]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let got = world.get("k").unwrap();
        assert_eq!(world.last().status, Some(200));
        assert_eq!(world.last().fault, Some(WireFault::ReplayOlder));
        seen.insert((got.status, (got.status == 200).then_some(got.body)));
    }
    let expected = [(200, Some(b"first".to_vec())), (404, None)];
    assert_eq!(seen, expected.into());
    // of another range, or another object, no older answer is known
    world.bucket.replace("other", b"other");
    assert_eq!(world.get("other").unwrap().body, b"other");
    let ranged = ask(&world.proxy.url(), "GET /bucket/k\nrange: bytes=1-2", b"").unwrap();
    assert_eq!(ranged.body, b"ec");
    assert_eq!(world.last().spared, Some(WireFault::ReplayOlder));
    // and a write is never answered from memory
    assert_eq!(world.put("k", b"third").unwrap().status, 200);
    assert_eq!(world.bucket.read("k").as_deref(), Some(&b"third"[..]));
}

#[test]
fn another_answer_is_a_whole_object_under_a_wrong_name() {
    let world = World::new(1);
    world.bucket.replace("a", b"of a");
    world.bucket.replace("b", b"of b, longer");
    world.proxy.rules([WireFault::ReplayOther.always()]);
    assert_eq!(world.get("a").unwrap().body, b"of a");
    assert_eq!(world.last().spared, Some(WireFault::ReplayOther));
    let got = world.get("b").unwrap();
    assert_eq!(got.body, b"of a");
    assert_eq!(length(&got), 4);
    assert_eq!(world.last().fault, Some(WireFault::ReplayOther));
}

#[test]
fn what_is_replayed_is_answered_on_a_connection_that_goes_on() {
    let world = World::new(1);
    world.bucket.replace("k", b"first");
    world.get("k").unwrap();
    world.bucket.replace("k", &bytes(3 << 20));
    world
        .proxy
        .rules([WireFault::ReplayOlder.always().times(1)]);
    let mut stream = connect(&world.proxy.url());
    let request = "GET /bucket/k HTTP/1.1\r\nhost: x\r\n\r\nGET /bucket/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    let first = got
        .windows(9)
        .position(|window| window == b"\r\n\r\nfirst")
        .unwrap();
    assert!(first < 1000);
    assert!(got.ends_with(&bytes(3 << 20)));
}

#[test]
fn a_black_hole_takes_everything_and_never_answers() {
    let world = World::ruled(WireFault::BlackHole.always());
    let mut stream = connect(&world.proxy.url());
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let head = format!(
        "PUT /bucket/k HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        20 << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bytes(20 << 20)).unwrap();
    let kind = stream.read(&mut [0]).unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{kind:?}"
    );
    assert_eq!(world.last().fault, Some(WireFault::BlackHole));
    assert!(world.bucket.requests().is_empty());
    // others are served meanwhile
    world.proxy.calm();
    assert_eq!(world.get("k").unwrap().status, 404);
}

#[test]
fn a_delay_is_noted_and_waited_for() {
    let world = World::ruled(WireFault::Delay(Duration::from_millis(200)).always());
    let since = Instant::now();
    for _ in 0..5 {
        world.get("k").unwrap();
    }
    let noted: Duration = world.proxy.log().iter().map(|one| one.delay).sum();
    assert!(noted > Duration::ZERO && noted < Duration::from_secs(1));
    assert!(since.elapsed() >= noted);
}

#[test]
fn rules_change_between_two_requests_of_one_connection() {
    let world = World::new(1);
    world.bucket.replace("k", b"bytes");
    let mut stream = connect(&world.proxy.url());
    for (rules, status) in [
        (vec![], "200"),
        (vec![WireFault::Unavailable.always()], "503"),
        (vec![], "200"),
    ] {
        world.proxy.rules(rules);
        stream
            .write_all(b"HEAD /bucket/k HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let got = head_of(&mut stream);
        assert_eq!(&got[9..12], status);
    }
}

/// Reads to the end of a head and not beyond.
fn head_of(stream: &mut std::net::TcpStream) -> String {
    let mut got = String::new();
    while !got.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        got.push(char::from(byte[0]));
    }
    got
}

/// Each request of a fixed list, one after the other, and what was done to it.
fn storm(seed: u64) -> Vec<String> {
    let world = World::new(seed);
    world.proxy.rules([
        WireFault::CutBefore.with(0.05),
        WireFault::CutDuring.with(0.05),
        WireFault::CutAfter.with(0.05),
        WireFault::Unavailable.with(0.05),
        WireFault::Truncate.with(0.05),
        WireFault::TruncateQuietly.with(0.05),
        WireFault::Flip.with(0.05),
        WireFault::ReplayOlder.with(0.1),
        WireFault::ReplayOther.with(0.1),
        WireFault::Delay(Duration::from_millis(2)).with(0.2),
    ]);
    for round in 0..60_usize {
        let key = format!("k{}", round % 3);
        let _put = world.put(&key, &bytes(1000 + round));
        let _got = world.get(&key);
    }
    world.proxy.log().iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_seed_does_the_same_to_the_same_requests() {
    let one = storm(11);
    assert_eq!(one, storm(11));
    assert_ne!(one, storm(12));
    let damaged = one.iter().filter(|line| !line.contains(": passed")).count();
    assert!((15..100).contains(&damaged), "{damaged} of 120");
}

#[test]
fn a_client_that_tries_again_gets_through_what_can_be_noticed() {
    let world = World::new(5);
    world.proxy.rules([
        WireFault::CutBefore.with(0.05),
        WireFault::CutDuring.with(0.05),
        WireFault::CutAfter.with(0.05),
        WireFault::Unavailable.with(0.1),
        WireFault::Truncate.with(0.1),
        WireFault::Delay(Duration::from_millis(5)).with(0.2),
    ]);
    let store = client(&world.proxy.url(), 10);
    wait(async {
        let jobs = (0..8_usize).map(|job| {
            let store = &store;
            async move {
                for round in 0..25_usize {
                    let path = Path::from(format!("{job}/{round}"));
                    let content = bytes(round * 1000 + job);
                    // a plain put is not tried again by the client itself when its answer is lost
                    while store.put(&path, content.clone().into()).await.is_err() {}
                    let read = loop {
                        if let Ok(got) = store.get(&path).await
                            && let Ok(read) = got.bytes().await
                        {
                            break read;
                        }
                    };
                    assert!(read == content, "{path}");
                }
            }
        });
        futures::future::join_all(jobs).await;
    });
    assert_eq!(world.bucket.keys("").len(), 200);
    let happened = world.proxy.happened();
    assert_eq!(happened.len(), 5, "{happened:?}");
    assert!(happened.values().all(|times| *times > 3), "{happened:?}");
}

#[test]
fn beginning_anew_counts_from_zero_and_keeps_what_may_be_replayed() {
    let world = World::new(1);
    world.bucket.replace("k", b"first");
    world.get("k").unwrap();
    world.bucket.replace("k", b"second");
    world.proxy.reseed(2);
    assert!(world.proxy.log().is_empty());
    world.proxy.rules([WireFault::ReplayOlder.always()]);
    assert_eq!(world.get("k").unwrap().body, b"first");
    assert_eq!(
        world.last().to_string(),
        "#0 GET /bucket/k: replayed an older answer, server said 200"
    );
}

#[test]
fn refusals_of_the_server_pass_as_they_are() {
    let world = World::new(1);
    world.bucket.refuse(Refuse::Everything);
    let got = world.put("k", &bytes(100_000)).unwrap();
    assert_eq!(got.status, 403);
    assert!(got.text().contains("<Code>AccessDenied</Code>"));
}
