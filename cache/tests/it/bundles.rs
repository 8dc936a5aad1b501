//! Bundles: what goes in comes out, and whatever else comes is refused with its reason.

use std::collections::BTreeSet;

use dag_cache::bundle::{
    BundleError, ExportOptions, ExportReport, ImportOptions, ImportReport, export, import,
};
use dag_cache::trust::{Keyring, Purpose, Trust, WriterKey, seal};
use dag_cache::{Digest, Lookup, Record, RowKey, StageKey, gc, verify};
use proptest::prelude::*;

use crate::gc::{WEEK, options};
use crate::world::{World, key, record, row};

fn exported(world: &World, writer: Option<&WriterKey>) -> (Vec<u8>, ExportReport) {
    let keys: BTreeSet<StageKey> = world.cache.keys().unwrap().into_iter().collect();
    let mut bundle = Vec::new();
    let options = ExportOptions { writer, rows: true };
    let report = export(&world.cache, &keys, &mut bundle, &options, |_| {}).unwrap();
    (bundle, report)
}

fn imported(
    world: &World,
    bundle: &[u8],
    trust: &Trust,
    keyring: &Keyring,
) -> Result<ImportReport, BundleError> {
    let options = ImportOptions { trust, keyring };
    import(&world.cache, bundle, &options, |_| {})
}

fn believed(world: &World, bundle: &[u8]) -> Result<ImportReport, BundleError> {
    imported(world, bundle, &Trust::Any, &Keyring::default())
}

fn is_whole(world: &World, record: &Record) -> bool {
    matches!(world.cache.lookup(&record.key), Lookup::Hit(found) if *found == *record)
        && record.outputs.values().all(|output| {
            let blobs = world.cache.blobs_of(output).unwrap();
            blobs.iter().all(|blob| world.cache.read_blob(blob).is_ok())
        })
}

/// A text, a model that shares a file with it, and a stage with rows.
fn furnished() -> (World, Vec<Record>) {
    let world = World::new();
    let text = world.published("text", b"shared bytes");
    let (model, _) = world.published_model(
        "model",
        &[("config.json", b"{}"), ("weights", b"shared bytes")],
    );
    let rows = world.published("rows", b"a table");
    let memo = world.cache.memo("sample").unwrap();
    let names = ["a", "b", "c"].map(row);
    for (name, number) in names.iter().zip(0_u8..) {
        memo.put(*name, &[number; 40]).unwrap();
    }
    memo.flush().unwrap();
    let names: BTreeSet<RowKey> = names.into();
    world.cache.note_rows(&rows.key, "sample", &names).unwrap();
    (world, vec![text, model, rows])
}

#[test]
fn what_is_exported_is_imported_whole_with_its_rows() {
    let (from, records) = furnished();
    let (bundle, report) = exported(&from, None);
    assert_eq!((report.records.len(), report.row_indexes), (3, 1));
    // three for the model, one of them shared, one for the table, one pack
    assert_eq!((report.blobs, report.left_out.len()), (5, 0));

    let to = World::new();
    let came = believed(&to, &bundle).unwrap();
    assert_eq!((came.new.len(), came.blobs, came.rows), (3, 5, 3));
    assert!(came.refused.is_empty(), "{:?}", came.refused);
    assert!(records.iter().all(|record| is_whole(&to, record)));
    let memo = to.cache.memo("sample").unwrap();
    assert_eq!(memo.get(&row("b")).unwrap().unwrap(), [1; 40]);
    let verified = verify(&to.cache, |_| {}).unwrap();
    assert!(verified.is_clean() && verified.incomplete.is_empty());
    assert!(to.files("incoming").is_empty());

    let again = believed(&to, &bundle).unwrap();
    assert_eq!((again.new.len(), again.same.len()), (0, 3));
    assert_eq!((again.blobs, again.known_blobs, again.rows), (0, 5, 0));
    // rows are in the memo: the pack is nobody's
    let keep = records.iter().map(|record| record.key).collect();
    let report = gc(
        &to.cache,
        &dag_cache::GcOptions {
            keep,
            ..options(WEEK)
        },
    )
    .unwrap();
    assert_eq!((report.records, report.blobs), (0, 1));
}

#[test]
fn the_same_results_are_the_same_bundle_byte_for_byte() {
    let (first, _) = furnished();
    let (second, _) = furnished();
    assert_eq!(exported(&first, None).0, exported(&second, None).0);
}

#[test]
fn another_tar_reads_the_names_as_at_a_remote_blobs_first_and_records_last() {
    let (from, _) = furnished();
    let (bundle, _) = exported(&from, None);
    let mut archive = tar::Archive::new(bundle.as_slice());
    let folders: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path().unwrap().into_owned();
            path.iter().next().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    let mut expected = vec!["blobs-v1"; 5];
    expected.push("rows-v1");
    expected.extend(["records-v1"; 3]);
    assert_eq!(folders, expected);
}

#[test]
fn what_has_no_whole_result_is_left_out_and_told() {
    let world = World::new();
    let gone = world.published("gone", b"its blob goes");
    fs_err::remove_file(&world.files("blobs-v1")[0]).unwrap();
    let keys = BTreeSet::from([gone.key, key("never made")]);
    let mut bundle = Vec::new();
    let report = export(
        &world.cache,
        &keys,
        &mut bundle,
        &ExportOptions::default(),
        |_| {},
    )
    .unwrap();
    assert_eq!((report.records.len(), report.blobs), (0, 0));
    let reasons: Vec<&str> = report
        .left_out
        .iter()
        .map(|(_, reason)| reason.as_str())
        .collect();
    assert!(reasons.contains(&"it has no result"), "{reasons:?}");
    assert!(
        reasons.iter().any(|reason| reason.contains("is gone")),
        "{reasons:?}"
    );
    assert_eq!(
        believed(&World::new(), &bundle).unwrap(),
        ImportReport::default()
    );
}

#[test]
fn a_result_that_is_here_already_stays() {
    let (from, to) = (World::new(), World::new());
    from.published("a", b"their result");
    let ours = to.published("a", b"our result");
    let (bundle, _) = exported(&from, None);
    let report = believed(&to, &bundle).unwrap();
    assert_eq!((report.new.len(), report.kept), (0, vec![ours.key]));
    assert!(is_whole(&to, &ours));
}

#[test]
fn only_who_is_trusted_is_believed_and_the_reason_is_told() {
    let (from, records) = furnished();
    let (alice, stranger) = (
        WriterKey::generate().unwrap(),
        WriterKey::generate().unwrap(),
    );
    let mut keyring = Keyring::default();
    keyring.trust("alice", alice.writer()).unwrap();
    for (writer, reason) in [
        (None, "it is not signed"),
        (Some(&stranger), "who is not in the keyring"),
    ] {
        let to = World::new();
        let (bundle, _) = exported(&from, writer);
        let report = imported(&to, &bundle, &Trust::Signed, &keyring).unwrap();
        assert_eq!(
            (report.new.len(), report.rows, report.refused.len()),
            (0, 0, 4)
        );
        assert!(
            report.refused.iter().all(|(_, told)| told.contains(reason)),
            "{report:?}"
        );
        assert!(records.iter().all(|record| !is_whole(&to, record)));
    }
    let to = World::new();
    let (bundle, _) = exported(&from, Some(&alice));
    let report = imported(&to, &bundle, &Trust::Signed, &keyring).unwrap();
    assert_eq!(
        (report.new.len(), report.rows, report.refused.len()),
        (3, 3, 0)
    );

    // What somebody else signed keeps that signature when it is handed on.
    let (onward, _) = exported(&to, Some(&stranger));
    let third = World::new();
    let report = imported(&third, &onward, &Trust::Signed, &keyring).unwrap();
    assert_eq!(report.new.len(), 3, "{:?}", report.refused);
    assert!(records.iter().all(|record| is_whole(&third, record)));
}

/// A bundle of entries that may be anything.
struct Forged(tar::Builder<Vec<u8>>);

impl Forged {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        let header = Self::header(name, tar::EntryType::Regular, bytes.len() as u64);
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn of_kind(mut self, name: &str, kind: tar::EntryType, bytes: &[u8]) -> Self {
        let header = Self::header(name, kind, bytes.len() as u64);
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn blob_entry(bytes: &[u8]) -> String {
    let hex = Digest::of(bytes).to_string();
    format!("blobs-v1/{}/{hex}", &hex[..2])
}

fn record_entry(key: &StageKey) -> String {
    let hex = key.to_string();
    format!("records-v1/{}/{hex}", &hex[..2])
}

fn sealed(world: &World, record: &Record) -> Vec<u8> {
    // as it lies in a cache folder
    world.cache.publish(record).unwrap();
    let path = world
        .files("records-v1")
        .into_iter()
        .find(|path| path.ends_with(record.key.to_string()))
        .unwrap();
    let payload = fs_err::read(path).unwrap();
    seal(Purpose::Record, &record.key.to_string(), &payload, None)
}

#[test]
fn names_that_are_none_of_a_cache_are_refused_and_nothing_is_written() {
    let hex = Digest::of(b"x").to_string();
    let names = [
        "../outside".to_owned(),
        "/etc/passwd".to_owned(),
        format!("blobs-v1/../{hex}"),
        format!("blobs-v1/./{hex}"),
        format!("blobs-v1/00/{hex}"),
        format!("blobs-v1/{hex}"),
        format!("blobs-v1//{hex}"),
        format!("blobs-v1/{}/{}", &hex[..2], hex.to_uppercase()),
        format!("blobs-v1/{}/{hex}/more", &hex[..2]),
        format!("./blobs-v1/{}/{hex}", &hex[..2]),
        format!("blobs-v2/{}/{hex}", &hex[..2]),
        format!("pins-v1/{}/{hex}", &hex[..2]),
        format!("rows-v1/../{hex}"),
        format!("rows-v1/.hidden/{hex}"),
        "CACHEDIR.TAG".to_owned(),
        "\u{1b}[31mred".to_owned(),
        String::new(),
    ];
    for name in names {
        let world = World::new();
        let bundle = Forged::new().with(&name, b"x").done();
        match believed(&world, &bundle) {
            Err(BundleError::Entry { name: told, .. }) => {
                assert!(!told.contains('\u{1b}'), "{told}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(world.files("blobs-v1").is_empty() && world.files("incoming").is_empty());
    }
}

#[test]
fn only_plain_files_are_taken() {
    use tar::EntryType;
    let name = blob_entry(b"x");
    for (kind, reason) in [
        (EntryType::Link, "a link"),
        (EntryType::Symlink, "a link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a device"),
        (EntryType::Directory, "a folder"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::GNULongName, "other entries"),
        (EntryType::GNULongLink, "other entries"),
        (EntryType::XHeader, "other entries"),
        (EntryType::XGlobalHeader, "other entries"),
        (EntryType::Continuous, "no plain file"),
        (EntryType::new(b'Z'), "no plain file"),
    ] {
        let world = World::new();
        let bundle = Forged::new().of_kind(&name, kind, b"x").done();
        let error = believed(&world, &bundle).unwrap_err().to_string();
        assert!(error.contains(reason), "{kind:?}: {error}");
        assert!(world.files("blobs-v1").is_empty());
    }
}

#[test]
fn a_claim_of_many_bytes_takes_neither_disk_nor_memory() {
    for claimed in [1 << 40, u64::MAX >> 1, u64::MAX] {
        for name in [
            blob_entry(b"x"),
            record_entry(&key("a")),
            format!("rows-v1/sample/{}", key("a")),
        ] {
            let world = World::new();
            let mut bundle = Forged::header(&name, tar::EntryType::Regular, claimed)
                .as_bytes()
                .to_vec();
            bundle.extend_from_slice(&[0; 1024]);
            let error = believed(&world, &bundle).unwrap_err();
            assert!(
                matches!(
                    error,
                    BundleError::CutOff(_) | BundleError::Malformed { .. }
                ),
                "{name} {claimed}: {error:?}"
            );
            assert!(world.files("blobs-v1").is_empty() && world.files("incoming").is_empty());
        }
    }
}

#[test]
fn a_record_larger_than_any_is_refused_alone() {
    let world = World::new();
    let whole = world.published("a", b"x");
    let large = vec![b'x'; (16 << 20) + 1];
    let bundle = Forged::new()
        .with(&blob_entry(b"x"), b"x")
        .with(&record_entry(&key("large")), &large)
        .with(&record_entry(&whole.key), &sealed(&world, &whole))
        .done();
    let to = World::new();
    let report = believed(&to, &bundle).unwrap();
    assert_eq!((report.new, report.refused.len()), (vec![whole.key], 1));
    assert!(
        report.refused[0].1.contains("claims 16777217 bytes"),
        "{:?}",
        report.refused
    );
}

#[test]
fn a_blob_with_other_bytes_stops_the_import_and_is_not_kept() {
    let world = World::new();
    let bundle = Forged::new().with(&blob_entry(b"right"), b"wrong").done();
    let error = believed(&world, &bundle).unwrap_err().to_string();
    assert!(error.contains("its bytes have another digest"), "{error}");
    // also where the right one is here already
    world.cache.put_bytes(b"right").unwrap();
    assert!(believed(&world, &bundle).is_err());
    assert_eq!(world.files("blobs-v1").len(), 1);
    assert!(world.files("incoming").is_empty());
}

#[test]
fn a_record_comes_after_its_blobs_or_is_told_to_lack_them() {
    let from = World::new();
    let record = from.published("a", b"result");
    let blob = || (blob_entry(b"result"), b"result");
    let sealed = sealed(&from, &record);
    let (name, bytes) = blob();
    let late = Forged::new()
        .with(&record_entry(&record.key), &sealed)
        .with(&name, bytes);
    let world = World::new();
    let error = believed(&world, &late.done()).unwrap_err().to_string();
    assert!(error.contains("blobs come first"), "{error}");
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Miss));
    let lacking = Forged::new().with(&record_entry(&record.key), &sealed);
    let report = believed(&world, &lacking.done()).unwrap();
    assert_eq!((report.new.len(), report.refused.len()), (0, 1));
    assert!(
        report.refused[0]
            .1
            .contains("neither here nor in the bundle")
    );
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Miss));
    // a record under another key is no record of that
    let moved = Forged::new()
        .with(&name, bytes)
        .with(&record_entry(&key("b")), &sealed);
    let report = believed(&world, &moved.done()).unwrap();
    assert_eq!((report.new.len(), report.refused.len()), (0, 1));
    assert!(matches!(world.cache.lookup(&key("b")), Lookup::Miss));
}

#[test]
fn a_model_whose_manifest_is_none_is_refused() {
    for manifest in [
        b"no manifest".to_vec(),
        br#"{"files":[{"name":"../../x","digest":"0000000000000000000000000000000000000000000000000000000000000000","size":1}]}"#.to_vec(),
        vec![b' '; (64 << 20) + 1],
    ] {
        let from = World::new();
        let bytes = from.cache.put_bytes(&manifest).unwrap();
        let mut model = record(key("m"), bytes, 1);
        // published as a document, or it would be refused there already
        let payload = sealed(&from, &model);
        let text = String::from_utf8(payload).unwrap();
        let body = text.split_once("{").unwrap().1;
        let body = format!("{{{body}").replace("\"document\"", "\"model\"");
        let payload = format!("dag record v1 {}\n{body}", Digest::of(body.as_bytes()));
        let forged = Forged::new()
            .with(&blob_entry(&manifest), &manifest)
            .with(&record_entry(&model.key), payload.as_bytes());
        model.outputs.clear();
        let to = World::new();
        let report = believed(&to, &forged.done()).unwrap();
        assert_eq!((report.new.len(), report.refused.len()), (0, 1), "{report:?}");
        assert!(matches!(to.cache.lookup(&model.key), Lookup::Miss));
    }
}

#[test]
fn a_bundle_that_is_cut_off_anywhere_says_so_and_gives_no_half_result() {
    let (from, records) = furnished();
    let (bundle, _) = exported(&from, None);
    // the second of the two empty blocks at the end may be missing
    let needed = bundle.len() - 512;
    for end in (0..needed).step_by(331).chain((0..needed).step_by(512)) {
        let to = World::new();
        let error = believed(&to, &bundle[..end]).unwrap_err();
        assert!(matches!(error, BundleError::CutOff(_)), "{end}: {error:?}");
        for record in &records {
            match to.cache.lookup(&record.key) {
                Lookup::Miss => {}
                Lookup::Hit(_) => assert!(is_whole(&to, record), "{end}"),
                other => panic!("{end}: {other:?}"),
            }
        }
        assert!(to.files("incoming").is_empty(), "{end}");
        assert!(verify(&to.cache, |_| {}).unwrap().is_clean());
    }
}

#[test]
fn what_is_no_bundle_at_all_is_said_to_be_none() {
    let world = World::new();
    for bytes in [&b"PK\x03\x04 a zip"[..], &[0xff; 4096], b"{}"] {
        let error = believed(&world, bytes).unwrap_err();
        assert!(
            matches!(
                error,
                BundleError::CutOff(_) | BundleError::Malformed { .. }
            ),
            "{error:?}"
        );
    }
    let error = believed(&world, &[0xff; 4096]).unwrap_err().to_string();
    assert!(error.starts_with("this is no bundle: "), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_from_one_that_is_cut_off() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let world = World::new();
    let options = ImportOptions {
        trust: &Trust::Any,
        keyring: &Keyring::default(),
    };
    let error = import(&world.cache, Broken, &options, |_| {}).unwrap_err();
    assert!(matches!(error, BundleError::Io(_)), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever bits flip: no panic, and under a policy that asks for signatures no result that differs.
    #[test]
    fn a_changed_bundle_gives_the_signed_results_or_none(
        flips in prop::collection::vec((0.0_f64..1.0, 0_u8..8), 1..4),
    ) {
        let (from, records) = furnished();
        let alice = WriterKey::generate().unwrap();
        let mut keyring = Keyring::default();
        keyring.trust("alice", alice.writer()).unwrap();
        let (mut bundle, _) = exported(&from, Some(&alice));
        for (place, bit) in flips {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place in a small file"
            )]
            let at = (place * bundle.len() as f64) as usize;
            bundle[at] ^= 1 << bit;
        }
        let to = World::new();
        let came = imported(&to, &bundle, &Trust::Signed, &keyring);
        let new = came.map(|report| report.new).unwrap_or_default();
        for record in &records {
            match to.cache.lookup(&record.key) {
                Lookup::Hit(_) => prop_assert!(is_whole(&to, record)),
                Lookup::Miss => prop_assert!(!new.contains(&record.key)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(to.cache.keys().unwrap().iter().filter(|key| {
            records.iter().all(|record| record.key != **key)
        }).count(), 0, "no key that nobody exported");
        for name in ["a", "b", "c"] {
            let row_there = to.cache.memo("sample").unwrap().get(&row(name)).unwrap();
            prop_assert!(row_there.is_none_or(|bytes| bytes.len() == 40));
        }
    }
}
