//! Folders go in and come out as they were, and cannot climb out.

use dag_cache::{CacheError, Lookup};

use crate::world::{World, flip, key, record};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn a_folder_comes_out_as_it_went_in_and_read_only() {
    let world = World::new();
    let model = folder(&[("config.json", b"{}"), ("sub/weights.bin", &[1; 5000])]);
    let tree = world.cache.put_tree(model.path()).unwrap();
    assert_eq!(tree.size, 5002);
    let out = world.cache.tree_path(&tree.bytes).unwrap();
    assert_eq!(fs_err::read(out.join("config.json")).unwrap(), b"{}");
    assert_eq!(
        fs_err::read(out.join("sub/weights.bin")).unwrap(),
        [1; 5000]
    );
    assert!(
        fs_err::metadata(out.join("config.json"))
            .unwrap()
            .permissions()
            .readonly()
    );
    assert_eq!(world.reopened().tree_path(&tree.bytes).unwrap(), out);
}

#[test]
fn the_same_files_are_the_same_tree() {
    let world = World::new();
    let a = world
        .cache
        .put_tree(folder(&[("a", b"1"), ("b/c", b"2")]).path())
        .unwrap();
    let b = world
        .cache
        .put_tree(folder(&[("b/c", b"2"), ("a", b"1")]).path())
        .unwrap();
    let c = world
        .cache
        .put_tree(folder(&[("b/d", b"2"), ("a", b"1")]).path())
        .unwrap();
    assert_eq!(a, b);
    assert_ne!(a.content, c.content);
}

#[test]
fn a_damaged_file_of_a_tree_is_found() {
    let world = World::new();
    let tree = world
        .cache
        .put_tree(folder(&[("weights.bin", &[9; 100])]).path())
        .unwrap();
    world.cache.tree_path(&tree.bytes).unwrap();
    let blob = world
        .files("blobs-v1")
        .into_iter()
        .find(|path| fs_err::metadata(path).unwrap().len() == 100)
        .unwrap();
    flip(&blob, 50);
    assert!(matches!(
        world.reopened().tree_path(&tree.bytes),
        Err(CacheError::Damaged { .. })
    ));
}

fn manifest(world: &World, files: &[(&str, dag_cache::Digest)]) -> dag_cache::Digest {
    let files: Vec<_> = files
        .iter()
        .map(|(name, digest)| serde_json::json!({ "name": name, "digest": digest, "size": 1 }))
        .collect();
    let manifest = serde_json::json!({ "files": files });
    world
        .cache
        .put_bytes(manifest.to_string().as_bytes())
        .unwrap()
}

#[test]
fn a_manifest_whose_names_climb_or_have_another_spelling_is_refused() {
    let world = World::new();
    let file = world.cache.put_bytes(b"x").unwrap();
    for name in [
        "../up",
        "/etc/up",
        "a/../../up",
        "",
        "a//b",
        "./a",
        "a/./b",
        "a/",
        "a\0b",
        "..",
        "/",
    ] {
        let error = world
            .cache
            .tree_path(&manifest(&world, &[(name, file)]))
            .unwrap_err();
        assert!(
            error.to_string().contains("is no name within a folder"),
            "{name}: {error}"
        );
    }
    let odd = [("a\\b", file), ("a b", file), ("é", file)];
    world.cache.tree_path(&manifest(&world, &odd)).unwrap_err();
    let odd = [("a b", file), ("a\\b", file), ("é", file)];
    world.cache.tree_path(&manifest(&world, &odd)).unwrap();
}

#[test]
fn a_manifest_with_a_name_twice_writes_over_nothing() {
    let world = World::new();
    let first = world.cache.put_bytes(b"of somebody else").unwrap();
    let second = world.cache.put_bytes(b"poison").unwrap();
    for files in [
        [("a", first), ("a", second)],
        [("b", first), ("a", second)],
        [("a/b", first), ("a//b", second)],
    ] {
        assert!(matches!(
            world.cache.tree_path(&manifest(&world, &files)),
            Err(CacheError::Damaged { .. })
        ));
    }
    assert_eq!(
        world.reopened().read_blob(&first).unwrap(),
        b"of somebody else"
    );
}

#[test]
fn a_model_is_a_hit_only_with_every_file_of_it() {
    let world = World::new();
    let tree = world
        .cache
        .put_tree(folder(&[("config.json", b"{}"), ("weights.bin", &[9; 100])]).path())
        .unwrap();
    let mut model = record(key("model"), tree.bytes, tree.size);
    model.outputs.get_mut("text").unwrap().artifact = dag_cache::ArtifactType::Model;
    world.cache.publish(&model).unwrap();
    assert!(matches!(world.cache.lookup(&model.key), Lookup::Hit(_)));
    let blob = world
        .files("blobs-v1")
        .into_iter()
        .find(|path| fs_err::metadata(path).unwrap().len() == 100)
        .unwrap();
    fs_err::remove_file(blob).unwrap();
    assert!(
        matches!(world.cache.lookup(&model.key), Lookup::Incomplete { missing, .. } if missing.len() == 1)
    );
}
