//! Two people with homes of their own, and a bucket between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dag_testing::FakeBucket;
use serde_json::Value;

use crate::world::{Ran, World};

const STAGES: [&str; 4] = ["problems", "traces", "accepted", "formatted"];

/// Somebody with a cache, a folder and settings of their own.
struct Person<'b> {
    world: World,
    bucket: &'b FakeBucket,
    environment: BTreeMap<&'static str, String>,
}

impl<'b> Person<'b> {
    fn new(world: World, bucket: &'b FakeBucket, name: &'static str) -> Self {
        let environment = BTreeMap::from([
            ("USER", name.to_owned()),
            ("AWS_ACCESS_KEY_ID", "somebody".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2".to_owned()),
        ]);
        Self {
            world,
            bucket,
            environment,
        }
    }

    fn dag(&self, arguments: &[&str]) -> Ran {
        let mut command = self.world.command(arguments);
        command.envs(&self.environment);
        Ran::of(&mut command)
    }

    /// Makes a key, and gives the command that colleagues run.
    fn with_key(&self) -> Vec<String> {
        let told = self.dag(&["cache", "key", "new"]).succeeded();
        told.stdout
            .trim()
            .split(' ')
            .skip(1)
            .map(str::to_owned)
            .collect()
    }

    fn adds_the_bucket(&self, more: &[&str]) {
        let url = self.bucket.store_url();
        let mut arguments = vec!["cache", "remote", "add", "team", &url];
        arguments.extend(more);
        self.dag(&arguments).succeeded();
    }

    fn run(&self) -> Ran {
        self.dag(&["run", "--json"]).succeeded()
    }

    fn contents(&self) -> BTreeMap<String, String> {
        STAGES
            .iter()
            .map(|stage| {
                let shown = self.dag(&["show", stage, "--json", "-n", "0"]).succeeded();
                let record = &shown.json["record"];
                let main = record["main"].as_str().unwrap();
                let content = record["outputs"][main]["content"].as_str().unwrap();
                ((*stage).to_owned(), content.to_owned())
            })
            .collect()
    }
}

/// Alice, who pushes, and Bob, who believes her. Each has the same ten problems.
fn alice_and_bob(bucket: &FakeBucket) -> (Person<'_>, Person<'_>) {
    let world = World::with_problems(10);
    let bob = Person::new(world.beside(10), bucket, "bob");
    let alice = Person::new(world, bucket, "alice");
    let trust = alice.with_key();
    let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
    bob.dag(&trust).succeeded();
    alice.adds_the_bucket(&[]);
    bob.adds_the_bucket(&[]);
    (alice, bob)
}

fn states(plan: &Ran) -> Vec<(String, String)> {
    let stages = plan.json["stages"].as_array().unwrap();
    stages
        .iter()
        .map(|stage| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&stage["stage"]), text(&stage["status"]["status"]))
        })
        .collect()
}

#[test]
fn a_colleague_pays_for_nothing_and_then_for_ten_more_problems_alone() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    alice.run();
    alice.dag(&["cache", "push"]).succeeded();
    assert_eq!(alice.world.calls(), 20);

    let plan = bob.dag(&["plan", "--json"]).succeeded();
    for (stage, state) in states(&plan) {
        assert_eq!(state, "remote", "{stage}");
    }
    let told = bob.dag(&["plan"]).succeeded().stdout;
    assert!(
        told.contains("0 to run, 0 cached · 4 remote (at most "),
        "{told}"
    );

    bucket.forget();
    let ran = bob.run();
    assert_eq!(ran.stages("ran"), [""; 0]);
    assert_eq!(bob.world.calls(), 0);
    let moved: u64 = bucket
        .requests()
        .iter()
        .map(|request| request.received + request.sent)
        .sum();
    assert!(moved < 1 << 20, "{moved} bytes moved");
    let fetched_blobs = bucket
        .requests()
        .iter()
        .any(|request| request.key.contains("blobs-v1"));
    assert!(!fetched_blobs, "{:?}", bucket.requests());

    bob.world.add_problems(10);
    alice.world.add_problems(10);
    bob.run();
    assert_eq!(bob.world.calls(), 20, "two samples of ten new problems");
    alice.run();
    assert_eq!(alice.contents(), bob.contents());
}

#[test]
fn what_is_pushed_on_success_is_there_without_another_word() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    alice
        .dag(&["cache", "remote", "remove", "team"])
        .succeeded();
    alice.adds_the_bucket(&["--push", "on-success"]);
    alice.run();
    assert_eq!(bob.run().stages("ran"), [""; 0]);
    assert_eq!(bob.contents(), alice.contents(), "showing fetches");
    // What one had to read, one has.
    bob.dag(&["cache", "pull"]).succeeded();
    bucket.stop();
    assert_eq!(bob.run().stages("ran"), [""; 0]);
    assert_eq!(bob.contents(), alice.contents());
}

#[test]
fn a_stage_that_is_not_shared_stays_with_all_that_comes_of_it() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    for person in [&alice, &bob] {
        person
            .world
            .edit("[stage.traces]", "[stage.traces]\nshare = false");
    }
    alice.run();
    let told = alice.dag(&["cache", "push"]).succeeded().stderr;
    for stage in ["traces", "accepted", "formatted"] {
        assert!(told.contains(&format!("`{stage}` is not shared")), "{told}");
    }
    assert_eq!(bucket.keys("records-v1").len(), 1, "the problems");
    assert!(bucket.keys("rows-v1").is_empty());
    bucket.forget();
    let plan = bob.dag(&["plan", "--json"]).succeeded();
    assert_eq!(states(&plan)[0].1, "remote");
    let asked = bucket.requests();
    assert_eq!(
        asked
            .iter()
            .filter(|asked| asked.key.contains("records-v1"))
            .count(),
        1,
        "what is private is not asked for"
    );
}

#[test]
fn whom_one_does_not_know_one_does_not_believe_and_why_says_so() {
    let bucket = FakeBucket::start();
    let (alice, _) = alice_and_bob(&bucket);
    alice.run();
    alice.dag(&["cache", "push"]).succeeded();
    let carol = Person::new(alice.world.beside(10), &bucket, "carol");
    carol.adds_the_bucket(&[]);
    let why = carol.dag(&["why", "problems"]).succeeded();
    assert!(
        why.stdout.contains("`team` has a record, but") && why.stdout.contains("ed25519"),
        "{}",
        why.stdout
    );
    assert_eq!(carol.run().stages("ran").len(), 4);
}

#[test]
fn a_remote_that_is_gone_costs_a_warning_and_little_time() {
    let bucket = FakeBucket::start();
    let (alice, _) = alice_and_bob(&bucket);
    bucket.stop();
    let began = Instant::now();
    let ran = alice.dag(&["run"]).succeeded();
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let warnings = ran.stderr.matches("does not answer").count();
    assert_eq!(warnings, 1, "{}", ran.stderr);
}

#[test]
fn who_is_offline_asks_no_remote_however_it_is_said() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    alice.run();
    alice.dag(&["cache", "push"]).succeeded();
    bucket.forget();
    for word in ["1", "true"] {
        let mut command = bob.world.command(&["run", "--json"]);
        command.envs(&bob.environment).env("DAG_OFFLINE", word);
        Ran::of(&mut command).succeeded();
    }
    assert_eq!(bucket.requests().len(), 0);
    assert_eq!(bob.world.calls(), 20, "bob's own teacher, on this machine");
}

#[test]
fn no_secret_is_told() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    alice.run();
    let mut told = String::new();
    let mut hear = |ran: Ran| {
        told.push_str(&ran.stdout);
        told.push_str(&ran.stderr);
    };
    hear(alice.dag(&["cache", "push"]).succeeded());
    hear(alice.dag(&["cache", "key", "list"]));
    hear(alice.dag(&["cache", "remote", "list"]));
    hear(alice.dag(&["cache", "remote", "test"]));
    hear(alice.dag(&["doctor"]));
    bucket.stop();
    hear(alice.dag(&["cache", "push"]));
    hear(alice.dag(&["cache", "remote", "test"]));
    hear(bob.dag(&["plan"]));
    for key in bucket.keys("") {
        told.push_str(&String::from_utf8_lossy(
            &bucket.read(&key).unwrap_or_default(),
        ));
    }
    let secret =
        fs_err::read_to_string(alice.world.home().join("../.config/dag/writer.key")).unwrap();
    assert!(!told.contains(secret.trim()), "the writer's key");
    assert!(!told.contains("hunter2"), "the bucket's key:\n{told}");
}

#[test]
fn results_go_to_a_machine_without_a_network_in_one_file() {
    let bucket = FakeBucket::start();
    let (alice, bob) = alice_and_bob(&bucket);
    bob.dag(&["cache", "remote", "remove", "team"]).succeeded();
    alice.run();
    let file = alice.world.home().join("results.tar");
    let file = file.to_str().unwrap();
    alice.dag(&["cache", "export", file]).succeeded();
    bob.dag(&["cache", "import", file]).succeeded();
    assert_eq!(bob.run().stages("ran"), [""; 0]);
    assert_eq!(bob.contents(), alice.contents());
}
