//! What `hub` promises, case by case.

use dag_testing::FakeHub;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

struct World {
    hub: FakeHub,
    cache: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            hub: FakeHub::start(),
            cache: tempfile::tempdir().unwrap(),
        };
        let big = vec![b'x'; 100_000];
        world.hub.dataset(
            "owner/set",
            COMMIT,
            &[
                ("README.md", b"#"),
                ("data/train-0.jsonl", &big),
                ("data/test-0.jsonl", b"{}\n"),
            ],
        );
        world.hub.model(
            "owner/tiny",
            COMMIT,
            &[
                ("config.json", b"{}"),
                ("model.safetensors", &big),
                ("pytorch_model.bin", &big),
                ("onnx/model.onnx", b"o"),
            ],
        );
        world
    }

    fn client(&self) -> Hub {
        Hub::from_env_values(HubConfig {
            endpoint: self.hub.url(),
            cache: self.cache.path().to_owned(),
            token: None,
            offline: false,
        })
    }

    fn offline(&self) -> Hub {
        Hub::from_env_values(HubConfig {
            endpoint: self.hub.url(),
            cache: self.cache.path().to_owned(),
            token: None,
            offline: true,
        })
    }
}

fn train() -> DataFiles {
    DataFiles {
        split: Some("train".to_owned()),
        ..DataFiles::default()
    }
}

#[test]
fn a_split_is_fetched_once_and_then_lies_in_the_shared_layout() {
    let world = World::new();
    let commit = world
        .client()
        .resolve_revision(RepoKind::Dataset, "owner/set", None)
        .unwrap();
    assert_eq!(commit, COMMIT);
    let paths = world
        .client()
        .fetch_dataset_files("owner/set", &commit, &train())
        .unwrap();
    let folder = world.cache.path().join("datasets--owner--set");
    assert_eq!(
        paths,
        [folder
            .join("snapshots")
            .join(COMMIT)
            .join("data/train-0.jsonl")]
    );
    assert_eq!(fs_err::read(&paths[0]).unwrap().len(), 100_000);
    assert!(
        fs_err::read_link(&paths[0])
            .unwrap()
            .starts_with("../../../blobs")
    );
    assert_eq!(
        fs_err::read_to_string(folder.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(world.hub.downloads(), 1);
    world
        .client()
        .fetch_dataset_files("owner/set", &commit, &train())
        .unwrap();
    assert_eq!(world.hub.downloads(), 1);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let world = World::new();
    world.hub.cut_next("data/train-0.jsonl");
    let paths = world
        .client()
        .fetch_dataset_files("owner/set", "main", &train())
        .unwrap();
    assert!(
        fs_err::read(&paths[0])
            .unwrap()
            .iter()
            .all(|byte| *byte == b'x')
    );
    assert_eq!(
        (
            fs_err::metadata(&paths[0]).unwrap().len(),
            world.hub.downloads()
        ),
        (100_000, 2)
    );
}

#[test]
fn a_download_that_another_process_left_half_done_is_taken_up() {
    let world = World::new();
    // the blob's name is known once the file was there
    let paths = world
        .client()
        .fetch_dataset_files("owner/set", COMMIT, &train())
        .unwrap();
    let blob = fs_err::canonicalize(&paths[0]).unwrap();
    let partial = blob.with_extension("incomplete");
    fs_err::write(&partial, vec![b'y'; 40_000]).unwrap();
    fs_err::remove_file(&blob).unwrap();
    world
        .client()
        .fetch_dataset_files("owner/set", COMMIT, &train())
        .unwrap();
    let bytes = fs_err::read(&paths[0]).unwrap();
    assert_eq!(
        (bytes.len(), bytes[39_999], bytes[40_000]),
        (100_000, b'y', b'x')
    );
}

#[test]
fn a_model_comes_without_the_weights_in_other_formats() {
    let world = World::new();
    let folder = world
        .client()
        .fetch_model("owner/tiny", &COMMIT[..8])
        .unwrap();
    let mut names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors"]);
}

#[test]
fn offline_the_cache_answers_and_nothing_else() {
    let world = World::new();
    let offline = world.offline();
    assert!(matches!(
        offline.fetch_dataset_files("owner/set", "main", &train()),
        Err(HubError::Offline { .. })
    ));
    world
        .client()
        .fetch_dataset_files("owner/set", "main", &train())
        .unwrap();
    let asked = world.hub.requests().len();
    for revision in ["main", &COMMIT[..9], COMMIT] {
        assert_eq!(
            offline
                .fetch_dataset_files("owner/set", revision, &train())
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(world.hub.requests().len(), asked);
}

#[test]
fn what_is_missing_or_locked_is_said_so() {
    let world = World::new();
    let resolve = |id: &str, revision: &str| {
        world
            .client()
            .resolve_revision(RepoKind::Dataset, id, Some(revision))
            .unwrap_err()
    };
    insta::assert_snapshot!(resolve("owner/gone", "main"), @"owner/gone at main is not on the hub");
    insta::assert_snapshot!(resolve("owner/set", "v9"), @"owner/set at v9 is not on the hub");
    insta::assert_snapshot!(resolve("../etc", "main"), @"`../etc` is no name of a repository, revision or file");
    insta::assert_snapshot!(resolve("owner/set", "../x"), @"`../x` is no name of a repository, revision or file");
    world.hub.gate("owner/set", "secret");
    insta::assert_snapshot!(resolve("owner/set", "main"), @"owner/set at main needs a token that may read it");
    let config = HubConfig {
        endpoint: world.hub.url(),
        cache: world.cache.path().to_owned(),
        token: Some("secret".to_owned()),
        offline: false,
    };
    assert_eq!(
        Hub::from_env_values(config)
            .resolve_revision(RepoKind::Dataset, "owner/set", None)
            .unwrap(),
        COMMIT
    );
}
