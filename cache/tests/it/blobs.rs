//! Blobs are whole or absent, and verified on every read.

use std::io::Write as _;

use dag_cache::{CacheError, Digest};

use crate::world::{World, age, flip};

#[test]
fn what_is_put_is_read_under_its_digest() {
    let world = World::new();
    for content in [&b""[..], b"x", &[7; 3_000_000]] {
        let digest = world.cache.put_bytes(content).unwrap();
        assert_eq!(digest, Digest::of(content));
        assert_eq!(world.cache.read_blob(&digest).unwrap(), content);
        assert_eq!(world.cache.blob_size(&digest), Some(content.len() as u64));
        assert_eq!(
            fs_err::read(world.cache.blob_path(&digest).unwrap()).unwrap(),
            content
        );
    }
}

#[test]
fn a_writer_gives_the_same_blob_as_bytes_and_nothing_if_it_is_dropped() {
    let world = World::new();
    let mut writer = world.cache.blob_writer().unwrap();
    writer.write_all(b"one ").unwrap();
    writer.write_all(b"two").unwrap();
    assert_eq!(writer.finish().unwrap(), (Digest::of(b"one two"), 7));

    let mut dropped = world.cache.blob_writer().unwrap();
    dropped.write_all(b"lost").unwrap();
    drop(dropped);
    assert_eq!(world.cache.blob_size(&Digest::of(b"lost")), None);
    assert!(
        world.files("incoming").is_empty(),
        "nothing is left of a dropped writer"
    );
}

#[test]
fn an_absent_blob_is_said_to_be_absent() {
    let world = World::new();
    let digest = Digest::of(b"nobody wrote this");
    assert!(
        matches!(world.cache.read_blob(&digest), Err(CacheError::Missing(missing)) if missing == digest)
    );
    assert!(matches!(
        world.cache.blob_path(&digest),
        Err(CacheError::Missing(_))
    ));
}

#[test]
fn a_flipped_bit_anywhere_is_found_set_aside_and_healed_by_writing_again() {
    let content = b"every single byte of this counts";
    for at in 0..content.len() {
        for by_path in [false, true] {
            let world = World::new();
            let digest = world.cache.put_bytes(content).unwrap();
            flip(&world.files("blobs-v1")[0], at);
            let cache = world.reopened();
            let error = if by_path {
                cache.blob_path(&digest).err()
            } else {
                cache.read_blob(&digest).err()
            };
            assert!(
                matches!(error, Some(CacheError::Damaged { .. })),
                "byte {at}: {error:?}"
            );
            assert_eq!(cache.blob_size(&digest), None, "set aside");
            assert_eq!(
                world.files("quarantine").len(),
                1,
                "kept for who wants to look"
            );
            cache.put_bytes(content).unwrap();
            assert_eq!(cache.read_blob(&digest).unwrap(), content);
        }
    }
}

#[test]
fn damage_after_a_verified_read_is_found_as_well() {
    let world = World::new();
    let digest = world.cache.put_bytes(b"verified once").unwrap();
    world.cache.blob_path(&digest).unwrap();
    flip(&world.files("blobs-v1")[0], 3);
    assert!(matches!(
        world.cache.blob_path(&digest),
        Err(CacheError::Damaged { .. })
    ));
}

#[test]
fn a_files_digest_follows_its_content() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    fs_err::write(&file, "one").unwrap();
    assert_eq!(world.cache.file_digest(&file).unwrap(), Digest::of(b"one"));
    // the same size, written within the resolution of the file's times
    fs_err::write(&file, "two").unwrap();
    assert_eq!(world.cache.file_digest(&file).unwrap(), Digest::of(b"two"));
}

#[test]
fn a_folders_digest_depends_on_names_and_contents_and_not_on_its_place() {
    let world = World::new();
    let make = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        world.cache.folder_digest(folder.path()).unwrap()
    };
    let first = make(&[("a", "1"), ("b/c", "2")]);
    assert_eq!(first, make(&[("b/c", "2"), ("a", "1")]));
    assert_ne!(first, make(&[("a", "1"), ("b/d", "2")]));
    assert_ne!(first, make(&[("a", "1"), ("b/c", "3")]));
}

#[test]
fn blobs_and_records_are_read_only_and_open_to_whom_the_umask_lets() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode =
        |path: &std::path::Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    let world = World::new();
    world.published("a", b"by bytes");
    let mut writer = world.cache.blob_writer().unwrap();
    writer.write_all(b"by writer").unwrap();
    writer.finish().unwrap();
    let plain = world.root().join("plain");
    fs_err::write(&plain, "").unwrap();
    for file in world
        .files("blobs-v1")
        .iter()
        .chain(&world.files("records-v1"))
    {
        assert_eq!(mode(file), mode(&plain) & 0o444);
    }
}

#[test]
fn a_blob_that_is_put_again_is_young_again() {
    let world = World::new();
    let two_weeks = std::time::Duration::from_secs(14 * 86_400);
    world.cache.put_bytes(b"reused").unwrap();
    let blob = world.files("blobs-v1")[0].clone();
    let young = || {
        let changed = fs_err::metadata(&blob).unwrap().modified().unwrap();
        changed.elapsed().unwrap() < std::time::Duration::from_secs(600)
    };
    age(&blob, two_weeks);
    assert!(!young());
    world.cache.put_bytes(b"reused").unwrap();
    assert!(young());
    age(&blob, two_weeks);
    let mut writer = world.cache.blob_writer().unwrap();
    writer.write_all(b"reused").unwrap();
    writer.finish().unwrap();
    assert!(young());
}

#[test]
fn remembered_file_digests_are_used_and_a_flipped_bit_in_them_is_not_believed() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    fs_err::write(&file, "content").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let expected = Digest::of(b"content");
    world.cache.folder_digest(folder.path()).unwrap();
    let memo = world.root().join("file-digests-v1");
    let whole = fs_err::read(&memo).unwrap();
    for at in 0..whole.len() {
        flip(&memo, at);
        assert_eq!(
            world.reopened().file_digest(&file).unwrap(),
            expected,
            "byte {at}"
        );
        fs_err::write(&memo, &whole).unwrap();
    }
    // that it is read at all: a well-made lie is believed
    let text = String::from_utf8(whole).unwrap();
    let body = text
        .split_once('\n')
        .unwrap()
        .1
        .replace(&expected.to_string(), &Digest::of(b"lie").to_string());
    fs_err::write(
        &memo,
        format!(
            "dag file digests v1 {}\n{body}",
            Digest::of(body.as_bytes())
        ),
    )
    .unwrap();
    assert_eq!(
        world.reopened().file_digest(&file).unwrap(),
        Digest::of(b"lie")
    );
}

#[test]
fn a_blob_that_was_just_written_is_not_believed_for_having_been_verified() {
    let world = World::new();
    let digest = world.cache.put_bytes(b"just written").unwrap();
    let path = world.cache.blob_path(&digest).unwrap();
    let before = fs_err::metadata(&path).unwrap().modified().unwrap();
    // the same file, size and time: only its bytes tell
    fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&path, b"just wriTTen").unwrap();
    fs_err::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .into_parts()
        .0
        .set_modified(before)
        .unwrap();
    assert!(matches!(
        world.cache.blob_path(&digest),
        Err(CacheError::Damaged { .. })
    ));
}
