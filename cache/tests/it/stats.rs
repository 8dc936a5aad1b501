//! How large the cache is, and what for.

use std::collections::BTreeMap;

use dag_cache::{Made, Share, Space, Stats, Usage, gc, stats};

use crate::gc::{WEEK, options};
use crate::world::{World, key, row};

fn made(pipeline: &str, kind: &str, hits: u64) -> Made {
    Made {
        pipeline: pipeline.to_owned(),
        stage: "a stage".to_owned(),
        kind: kind.to_owned(),
        hits,
    }
}

fn share(records: u64, blobs: u64, bytes: u64) -> Share {
    Share {
        records,
        blobs,
        bytes,
    }
}

fn space(count: u64, bytes: u64) -> Space {
    Space { count, bytes }
}

#[test]
fn shared_blobs_count_once_in_the_total_and_in_every_part_that_names_them() {
    let world = World::new();
    let a = world.published("a", b"shared bytes");
    let b = world.published("b", b"shared bytes");
    let c = world.published("c", b"own");
    let (model, _) = world.published_model("m", &[("config.json", b"own"), ("weights", b"12345")]);
    let manifest = world.cache.blob_size(&model.outputs["text"].bytes).unwrap();
    world.cache.put_bytes(b"nobody's").unwrap();
    let memo = world.cache.memo("sample").unwrap();
    memo.put(row("r"), b"a row").unwrap();
    memo.flush().unwrap();
    fs_err::write(world.cache.scratch(&key("d")).unwrap().join("x"), "1234").unwrap();

    let history = BTreeMap::from([
        (a.key, made("first", "sample", 3)),
        (b.key, made("second", "sample", 1)),
        (c.key, made("second", "filter", 0)),
    ]);
    let found = stats(&world.cache, &history).unwrap();
    let expected = Stats {
        records: 4,
        blobs: 5,
        blob_bytes: 12 + 3 + 5 + manifest + 8,
        artifacts: BTreeMap::from([
            ("document", share(3, 2, 15)),
            ("model", share(1, 3, 3 + 5 + manifest)),
        ]),
        kinds: BTreeMap::from([
            ("filter".to_owned(), share(1, 1, 3)),
            ("sample".to_owned(), share(2, 1, 12)),
        ]),
        pipelines: BTreeMap::from([
            ("first".to_owned(), share(1, 1, 12)),
            ("second".to_owned(), share(2, 2, 15)),
        ]),
        unrecorded: share(1, 3, 3 + 5 + manifest),
        shared: space(2, 15),
        orphans: space(1, 8),
        memo: BTreeMap::from([("sample".to_owned(), space(1, 60 + 5))]),
        scratch: space(1, 4),
        ..found.clone()
    };
    assert_eq!(found, expected);
    assert_eq!(found.saved.hits, 4);
    assert_eq!(found.saved.seconds, 4.0 * a.seconds);
    assert_eq!(
        found.saved.usage,
        Usage {
            prompt_tokens: 4,
            completion_tokens: 8,
            requests: 4,
            usd: 0.0
        }
    );
}

#[test]
fn what_lies_in_the_trash_is_measured_there() {
    let world = World::new();
    world.published("a", b"result");
    let taken = gc(&world.cache, &options(WEEK)).unwrap();
    let found = stats(&world.cache, &BTreeMap::new()).unwrap();
    assert_eq!((found.records, found.blobs), (0, 0));
    assert_eq!(found.trash, space(1, taken.freed_later));
}
