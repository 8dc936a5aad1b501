//! What gc took can be brought back until its time is over, and never over what is there since.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dag_cache::remote::{Listener, Notice, Push, RemoteSpec, Remotes};
use dag_cache::store::MemoryStore;
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_cache::{
    CacheError, GcOptions, GcReport, Lookup, Published, Record, Restore, TRASH_GRACE, gc, restore,
    trash, verify,
};

use crate::gc::{WEEK, options};
use crate::world::{World, age, key, row};

fn whole(world: &World, record: &Record) -> bool {
    matches!(world.cache.peek(&record.key), Lookup::Hit(found) if *found == *record)
        && record.outputs.values().all(|output| {
            let blobs = world.cache.blobs_of(output).unwrap();
            blobs.iter().all(|blob| world.cache.read_blob(blob).is_ok())
        })
}

#[test]
fn what_was_taken_comes_back_whole_and_young() {
    let world = World::new();
    let text = world.published("a", b"result");
    let (model, _) = world.published_model("m", &[("config.json", b"{}"), ("weights", b"1234")]);
    let scratch = world.cache.scratch(&key("unfinished")).unwrap();
    fs_err::write(scratch.join("checkpoint"), "half").unwrap();
    world.age(WEEK);
    age(&scratch, WEEK);

    let now = options(Duration::ZERO);
    let report = gc(&world.cache, &now).unwrap();
    assert_eq!((report.records, report.blobs, report.scratch), (2, 4, 1));
    assert!(matches!(world.cache.lookup(&text.key), Lookup::Miss));
    assert!(!world.cache.has_scratch(&key("unfinished")));
    let runs = trash(&world.cache).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(Some(&runs[0].id), report.trash.as_ref());
    assert_eq!(
        (runs[0].records.len(), runs[0].blobs, runs[0].scratch),
        (2, 4, 1)
    );
    assert_eq!(runs[0].bytes, report.freed_later);
    assert_eq!(runs[0].until - runs[0].at, TRASH_GRACE.as_secs());
    assert!(!runs[0].open);

    let back = restore(&world.cache, &Restore::Newest).unwrap();
    assert_eq!((back.records.len(), back.blobs, back.scratch), (2, 4, 1));
    assert_eq!(back.bytes, report.freed_later);
    assert!(whole(&world, &text) && whole(&world, &model));
    assert!(world.cache.has_scratch(&key("unfinished")));
    assert!(
        trash(&world.cache).unwrap().is_empty(),
        "nothing is left in it"
    );
    assert_eq!(gc(&world.cache, &now).unwrap().records, 0, "it is young");
    assert!(verify(&world.cache, |_| {}).unwrap().is_clean());
}

#[test]
fn one_key_comes_back_alone_with_what_it_shares() {
    let world = World::new();
    let (a, b) = (
        world.published("a", b"shared"),
        world.published("b", b"shared"),
    );
    let (model, _) = world.published_model("m", &[("weights", b"shared"), ("config.json", b"{}")]);
    gc(&world.cache, &options(WEEK)).unwrap();
    let back = restore(&world.cache, &Restore::Key(model.key)).unwrap();
    assert_eq!(
        (back.records.as_slice(), back.blobs),
        ([model.key].as_slice(), 3)
    );
    assert!(whole(&world, &model));
    assert!(matches!(world.cache.peek(&a.key), Lookup::Miss));
    // its blob is in its place already
    let back = restore(&world.cache, &Restore::Key(a.key)).unwrap();
    assert_eq!(
        (back.records.as_slice(), back.blobs),
        ([a.key].as_slice(), 0)
    );
    assert!(whole(&world, &a));
    let id = trash(&world.cache).unwrap()[0].id.clone();
    restore(&world.cache, &Restore::Run(id[..20].to_owned())).unwrap();
    assert!(whole(&world, &b));
}

#[test]
fn a_result_that_was_made_again_since_is_not_replaced() {
    let world = World::new();
    let first = world.published("a", b"one result");
    gc(&world.cache, &options(WEEK)).unwrap();
    let second = world.record("a", b"another result");
    assert!(matches!(
        world.cache.publish(&second).unwrap(),
        Published::New
    ));
    let back = restore(&world.cache, &Restore::Newest).unwrap();
    assert_eq!(
        (back.records.len(), back.there.as_slice()),
        (0, [first.key].as_slice())
    );
    assert!(whole(&world, &second));
}

#[test]
fn the_trash_is_emptied_by_a_later_gc_after_its_time_and_at_once_when_asked() {
    let world = World::new();
    world.published("a", b"result");
    let now = SystemTime::now() + WEEK;
    let at = |later: Duration| GcOptions {
        now: now + later,
        ..options(WEEK)
    };
    let taken = gc(&world.cache, &at(Duration::ZERO)).unwrap();
    let early = gc(&world.cache, &at(TRASH_GRACE - Duration::from_secs(5))).unwrap();
    assert_eq!((early.emptied, early.trash_bytes), (0, taken.freed_later));
    let dry = gc(
        &world.cache,
        &GcOptions {
            dry_run: true,
            ..at(TRASH_GRACE)
        },
    )
    .unwrap();
    let late = gc(&world.cache, &at(TRASH_GRACE)).unwrap();
    assert_eq!(late, dry);
    assert_eq!(
        (late.emptied, late.freed, late.trash_bytes),
        (1, taken.freed_later, 0)
    );
    assert!(matches!(
        restore(&world.cache, &Restore::Newest),
        Err(CacheError::TrashEmpty)
    ));

    world.published("b", b"another");
    let purge = |dry_run| GcOptions {
        purge: true,
        dry_run,
        ..options(WEEK)
    };
    let dry = gc(&world.cache, &purge(true)).unwrap();
    let purged = gc(&world.cache, &purge(false)).unwrap();
    assert_eq!(purged, dry);
    assert_eq!(
        (purged.records, purged.blobs, purged.freed_later),
        (1, 1, 0)
    );
    assert!(purged.freed > 0 && purged.trash.is_none());
    assert!(world.files("trash-v1").is_empty() && world.files("incoming").is_empty());
}

/// A gc that was killed right after it took a blob that somebody had just made young for a record.
fn killed_while_taking(world: &World) -> Record {
    let record = world.published("in use", b"old bytes");
    world.published("unused", b"unused bytes");
    world.age(WEEK);
    // what happens to `unused` only makes the folder
    let keep = [record.key].into();
    let taken = gc(
        &world.cache,
        &GcOptions {
            keep,
            ..options(Duration::ZERO)
        },
    )
    .unwrap();
    let folder = world.root().join("trash-v1").join(taken.trash.unwrap());
    let manifest = folder.join("manifest.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"finished\":true"), "{text}");
    fs_err::remove_file(&manifest).unwrap();
    fs_err::write(&manifest, text.replace("true", "false")).unwrap();
    let blob = world.files("blobs-v1").pop().unwrap();
    age(&blob, Duration::ZERO);
    let aside = folder.join(blob.strip_prefix(world.root()).unwrap());
    fs_err::create_dir_all(aside.parent().unwrap()).unwrap();
    fs_err::rename(&blob, &aside).unwrap();
    record
}

#[test]
fn what_a_killed_gc_took_too_early_is_found_by_whoever_needs_it() {
    let world = World::new();
    let record = killed_while_taking(&world);
    assert!(whole(&world, &record), "a lookup brings it back");
    let world = World::new();
    let record = killed_while_taking(&world);
    let digest = record.outputs["text"].bytes;
    assert_eq!(world.cache.read_blob(&digest).unwrap(), b"old bytes");
    let world = World::new();
    let record = killed_while_taking(&world);
    assert!(matches!(
        world.cache.publish(&record).unwrap(),
        Published::Same
    ));
    assert!(whole(&world, &record));
}

#[test]
fn the_next_gc_puts_it_back_and_even_a_purge_does_not_lose_it() {
    let world = World::new();
    let record = killed_while_taking(&world);
    let purge = GcOptions {
        purge: true,
        keep: [record.key].into(),
        ..options(Duration::ZERO)
    };
    let report = gc(&world.cache, &purge).unwrap();
    assert_eq!((report.records, report.blobs, report.emptied), (0, 0, 1));
    assert!(whole(&world, &record));
    assert!(world.files("trash-v1").is_empty());
}

#[test]
fn a_folder_whose_gc_is_at_work_is_left_alone() {
    let world = World::new();
    world.published("a", b"result");
    let taken = gc(&world.cache, &options(WEEK)).unwrap();
    let manifest = world
        .root()
        .join("trash-v1")
        .join(taken.trash.unwrap())
        .join("manifest.json");
    let held = fs_err::File::open(&manifest).unwrap().into_parts().0;
    held.try_lock().unwrap();
    assert!(trash(&world.cache).unwrap()[0].open);
    let id = trash(&world.cache).unwrap()[0].id.clone();
    assert!(matches!(
        restore(&world.cache, &Restore::Run(id.clone())),
        Err(CacheError::Busy(busy)) if busy == id
    ));
    let purge = GcOptions {
        purge: true,
        ..options(WEEK)
    };
    assert_eq!(gc(&world.cache, &purge).unwrap().emptied, 0);
    drop(held);
    assert_eq!(
        restore(&world.cache, &Restore::Run(id))
            .unwrap()
            .records
            .len(),
        1
    );
}

#[test]
fn a_manifest_that_cannot_be_read_does_not_lose_what_lies_beside_it() {
    for damaged in [
        "",
        "{",
        "{\"format\":7,\"at\":0,\"until\":0,\"finished\":true}",
    ] {
        let world = World::new();
        let record = world.published("a", b"result");
        world.age(WEEK);
        let taken = gc(&world.cache, &options(Duration::ZERO)).unwrap();
        let manifest = world
            .root()
            .join("trash-v1")
            .join(taken.trash.unwrap())
            .join("manifest.json");
        fs_err::remove_file(&manifest).unwrap();
        fs_err::write(&manifest, damaged).unwrap();
        let again = gc(&world.cache, &options(Duration::ZERO)).unwrap();
        assert_eq!(
            again,
            GcReport {
                trash_bytes: taken.trash_bytes,
                ..GcReport::default()
            }
        );
        restore(&world.cache, &Restore::Key(record.key)).unwrap();
        assert!(whole(&world, &record), "{damaged}");
    }
}

#[test]
fn a_record_whose_blobs_went_since_stays_in_the_trash_and_is_told() {
    let world = World::new();
    let record = world.published("a", b"result");
    gc(&world.cache, &options(WEEK)).unwrap();
    let blob = world
        .files("trash-v1")
        .into_iter()
        .find(|path| path.to_string_lossy().contains("blobs-v1"));
    fs_err::remove_file(blob.unwrap()).unwrap();
    let back = restore(&world.cache, &Restore::Newest).unwrap();
    assert_eq!((back.records.len(), back.incomplete), (0, vec![record.key]));
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Miss));
}

#[test]
fn what_is_not_in_the_trash_is_an_error_that_names_it() {
    let world = World::new();
    let error = |what| restore(&world.cache, &what).unwrap_err().to_string();
    assert_eq!(error(Restore::Newest), "the trash is empty");
    assert_eq!(
        error(Restore::Run("0192".to_owned())),
        "`0192` is not in the trash"
    );
    let told = error(Restore::Key(key("a")));
    assert!(told.starts_with("a record of "), "{told}");
}

/// Two caches with one remote, and a result that the first pushed with the row that it used.
fn shared() -> (World, World, Record) {
    let store: Arc<MemoryStore> = Arc::default();
    let writer = WriterKey::generate().unwrap();
    let worlds = [true, false].map(|writes| {
        let world = World::new();
        let spec = RemoteSpec {
            name: "team".to_owned(),
            store: Arc::clone(&store) as _,
            trust: Trust::Any,
            push: Push::OnSuccess,
        };
        let key = writes.then(|| WriterKey::from_text(&writer.to_text()).unwrap());
        let remotes = Remotes::new(vec![spec], Keyring::default(), key, Arc::new(Unheard));
        world.cache.connect(remotes);
        world
    });
    let [first, second] = worlds;
    let record = first.published("a", b"a result of a colleague");
    let memo = first.cache.memo("sample").unwrap();
    memo.put(row("r"), b"a row").unwrap();
    memo.flush().unwrap();
    first
        .cache
        .note_rows(&record.key, "sample", &[row("r")].into())
        .unwrap();
    first.cache.push(&record.key, "team").unwrap();
    assert!(matches!(
        second.cache.lookup_all(&[record.key]).as_slice(),
        [Lookup::Shared { .. }]
    ));
    (first, second, record)
}

struct Unheard;

impl Listener for Unheard {
    fn hear(&self, _: &Notice) {}
}

#[test]
fn a_list_of_used_rows_goes_and_comes_back_with_its_record() {
    let (world, _, record) = shared();
    assert_eq!(world.files("used-rows-v1").len(), 1);
    let dry = GcOptions {
        dry_run: true,
        ..options(WEEK)
    };
    let dry = gc(&world.cache, &dry).unwrap();
    let report = gc(&world.cache, &options(WEEK)).unwrap();
    assert_eq!((report.records, report.blobs, report.row_lists), (1, 1, 1));
    assert_eq!(
        GcReport {
            trash: None,
            ..report.clone()
        },
        dry
    );
    assert!(world.files("used-rows-v1").is_empty());
    let back = restore(&world.cache, &Restore::Key(record.key)).unwrap();
    assert_eq!(back.bytes, report.freed_later);
    assert_eq!(world.files("used-rows-v1").len(), 1);
    assert!(whole(&world, &record) && trash(&world.cache).unwrap().is_empty());
}

#[test]
fn what_was_adopted_is_kept_by_roots_and_goes_and_comes_back_like_what_was_made_here() {
    let (_, world, record) = shared();
    let keep = GcOptions {
        keep: [record.key].into(),
        ..options(WEEK)
    };
    assert_eq!(gc(&world.cache, &keep).unwrap().records, 0);
    // its blob never came
    assert_eq!(
        (
            gc(&world.cache, &options(WEEK)).unwrap().records,
            world.files("adopted-v1").len()
        ),
        (1, 0)
    );
    let back = restore(&world.cache, &Restore::Newest).unwrap();
    assert_eq!((back.records, back.blobs), (vec![record.key], 0));
    assert!(matches!(
        world.cache.peek(&record.key),
        Lookup::Shared { .. }
    ));

    let digest = record.outputs["text"].bytes;
    world.cache.read_blob(&digest).unwrap();
    world.age(WEEK);
    let report = gc(&world.cache, &options(Duration::ZERO)).unwrap();
    assert_eq!((report.records, report.blobs), (1, 1));
    let back = restore(&world.cache, &Restore::Key(record.key)).unwrap();
    assert_eq!((back.records, back.blobs), (vec![record.key], 1));
    assert!(whole(&world, &record));
    let verified = verify(&world.cache, |_| {}).unwrap();
    assert!(verified.is_clean() && verified.incomplete.is_empty());
}

#[test]
fn a_blob_that_lies_in_the_trash_is_not_fetched_again() {
    let (first, second, record) = shared();
    let digest = record.outputs["text"].bytes;
    second.cache.read_blob(&digest).unwrap();
    gc(&second.cache, &options(WEEK)).unwrap();
    assert_eq!(second.cache.blob_size(&digest), None);
    drop(first);
    // without any remote
    let bytes = second.reopened().read_blob(&digest).unwrap();
    assert_eq!(bytes, b"a result of a colleague");
}
