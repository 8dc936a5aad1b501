//! The life of a cache: what gc takes comes back, pins stay, damage is repaired, results travel in one
//! file; and gc racing runs, both killed at any moment, loses nothing.
//!
//! Four rounds of the race by default. The long form:
//!
//! ```text
//! DAG_KILLS=200 cargo test -p dag --test cli life::a_gc -- --nocapture
//! ```

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::world::World;

const ALL: [&str; 4] = ["problems", "traces", "accepted", "formatted"];

/// Everything of the cache that gc judges by age looks as if nobody had touched it for a day.
fn age(world: &World) {
    let then = SystemTime::now() - Duration::from_secs(86_400);
    let mut open = ["records-v1", "adopted-v1", "blobs-v1", "used-rows-v1"]
        .map(|name| world.cache().join(name))
        .to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let file = fs_err::File::open(path).unwrap().into_parts().0;
                file.set_modified(then).unwrap();
            }
        }
    }
}

/// A world with two runs: what the first one made after `problems` the second did not use.
fn changed() -> World {
    let world = World::with_problems(6).ran();
    world.edit("n     = 2", "n     = 3");
    world.run().succeeded();
    world.calls();
    age(&world);
    world
}

const GC: [&str; 7] = [
    "cache",
    "gc",
    "--keep-runs",
    "1",
    "--older-than",
    "0",
    "--json",
];

#[test]
fn gc_says_before_what_it_takes_and_restore_brings_it_back() {
    let world = changed();
    let dry = world.dag(&[&GC[..], &["--dry-run"]].concat()).succeeded();
    let mut real = world.dag(&GC).succeeded().json;
    assert!(real["trash"].is_string());
    real["trash"] = serde_json::Value::Null;
    assert_eq!(real, dry.json);
    assert_eq!(
        (real["records"].as_u64(), real["kept_records"].as_u64()),
        (Some(3), Some(4))
    );
    assert!(real["freed_later"].as_u64().unwrap() > 0);
    assert_eq!(
        world.run().succeeded().stages("cached"),
        ALL,
        "what the last run used stays"
    );

    let listed = world
        .dag(&["cache", "restore", "--list", "--json"])
        .succeeded();
    assert_eq!(listed.json.as_array().unwrap().len(), 1);
    let back = world.dag(&["cache", "restore", "--json"]).succeeded();
    assert_eq!(back.json["records"].as_array().unwrap().len(), 3);
    assert_eq!(back.json["bytes"], real["freed_later"]);
    world.edit("n     = 3", "n     = 2");
    assert_eq!(world.run().succeeded().stages("cached"), ALL);
    assert_eq!(world.calls(), 0);
    let nothing = world.dag(&["cache", "restore"]).ended_with(5);
    assert!(
        nothing.stderr.contains("the trash is empty"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn one_stage_comes_back_by_its_name() {
    let world = changed();
    world.dag(&GC).succeeded();
    world.edit("n     = 3", "n     = 2");
    let back = world
        .dag(&["cache", "restore", "traces", "--json"])
        .succeeded();
    assert_eq!(back.json["records"].as_array().unwrap().len(), 1);
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("cached"), ["problems", "traces"]);
    assert_eq!(world.calls(), 0);
}

#[test]
fn purged_is_gone_and_the_next_run_pays_for_no_row_again() {
    let world = changed();
    let purged = world.dag(&[&GC[..], &["--purge"]].concat()).succeeded();
    assert_eq!(purged.json["freed_later"], 0);
    assert!(purged.json["freed"].as_u64().unwrap() > 0);
    world.dag(&["cache", "restore"]).ended_with(5);
    world.edit("n     = 3", "n     = 2");
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), ["traces", "accepted", "formatted"]);
    assert_eq!(
        world.calls(),
        0,
        "finished rows are in the memo, which gc leaves alone"
    );
}

#[test]
fn a_pin_keeps_a_result_whatever_is_asked() {
    let world = World::with_problems(6).ran();
    let told = world
        .dag(&[
            "cache",
            "pin",
            "accepted",
            "--why",
            "for the paper",
            "--json",
        ])
        .succeeded();
    assert_eq!(
        (&told.json[0]["name"], &told.json[0]["result"]),
        (&"accepted".into(), &true.into())
    );
    let key = told.json[0]["key"].as_str().unwrap().to_owned();
    age(&world);
    let everything = [
        "cache",
        "gc",
        "--keep-runs",
        "0",
        "--older-than",
        "0",
        "--max-size",
        "0",
        "--json",
    ];
    let report = world.dag(&everything).succeeded();
    assert_eq!(
        (
            report.json["records"].as_u64(),
            report.json["kept_records"].as_u64()
        ),
        (Some(3), Some(1))
    );
    world.dag(&["cache", "verify"]).succeeded();

    let listed = world.dag(&["cache", "pin"]).succeeded();
    assert!(listed.stdout.contains("for the paper"), "{}", listed.stdout);
    assert!(listed.stdout.contains(&key[..8]), "{}", listed.stdout);
    world.dag(&["cache", "unpin", &key[..10]]).succeeded();
    world.dag(&["cache", "unpin", &key[..10]]).ended_with(2);
    age(&world);
    let report = world.dag(&everything).succeeded();
    assert_eq!(
        (
            report.json["records"].as_u64(),
            report.json["kept_records"].as_u64()
        ),
        (Some(1), Some(0))
    );
}

#[test]
fn a_name_that_is_neither_stage_nor_key_is_told() {
    let world = World::with_problems(2).ran();
    let told = world.dag(&["cache", "pin", "acepted"]).ended_with(2);
    assert!(
        told.stderr.contains("did you mean `accepted`?"),
        "{}",
        told.stderr
    );
    let told = world
        .dag(&["cache", "gc", "--max-size", "much"])
        .ended_with(2);
    assert!(told.stderr.contains("is no size"), "{}", told.stderr);
    fs_err::remove_file(world.pipeline()).unwrap();
    let told = world.dag(&["cache", "pin", "accepted"]).ended_with(2);
    assert!(
        told.stderr.contains("is no beginning of a key"),
        "{}",
        told.stderr
    );
}

#[test]
fn stats_say_what_takes_space_and_what_was_saved() {
    let world = World::with_problems(6).ran();
    world.run().succeeded();
    let stats = world.dag(&["cache", "stats", "--json"]).succeeded().json;
    assert_eq!(stats["records"], 4);
    assert_eq!(stats["pipelines"]["world"]["records"], 4);
    assert_eq!(stats["kinds"]["sample"]["records"], 1);
    assert_eq!(stats["artifacts"]["table"]["blobs"], stats["blobs"]);
    assert_eq!(stats["pipelines"]["world"]["bytes"], stats["blob_bytes"]);
    assert_eq!(
        (&stats["saved"]["hits"], &stats["unrecorded"]["records"]),
        (&4.into(), &0.into())
    );
    assert_eq!(stats["saved"]["usage"]["requests"], 12);
    let told = world.dag(&["cache", "stats"]).succeeded().stdout;
    for words in [
        "4 records",
        "saved by 4 hits",
        "pipeline",
        "of finished rows of `sample`",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn results_travel_in_one_file_and_the_other_user_runs_nothing() {
    let first = World::with_problems(6).ran();
    let second = first.beside(6);
    first.calls();
    let bundle = first.home().join("results.dag");
    let bundle = bundle.to_str().unwrap();
    let told = first.dag(&["cache", "export", bundle]).succeeded();
    assert!(told.stderr.contains("not signed"), "{}", told.stderr);

    let refused = second.dag(&["cache", "import", bundle]).ended_with(1);
    assert!(
        refused.stderr.contains("it is not signed"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--trust any"), "{}", refused.stderr);
    let told = second
        .dag(&["cache", "import", bundle, "--trust", "any", "--json"])
        .succeeded();
    assert_eq!(told.json["new"].as_array().unwrap().len(), 4);
    assert_eq!(told.json["rows"], 12);
    assert_eq!(second.run().succeeded().stages("cached"), ALL);
    assert_eq!(first.calls(), 0);
    assert_eq!(second.contents(&ALL), first.contents(&ALL));

    // Rows came along: who adds a problem pays for that one.
    second.add_problems(1);
    second.run().succeeded();
    assert_eq!(first.calls(), 2);
}

#[test]
fn a_bundle_that_is_cut_off_or_none_says_what_to_do() {
    let world = World::with_problems(3).ran();
    let path = world.home().join("one.dag");
    let name = path.to_str().unwrap();
    let report = world
        .dag(&["cache", "export", name, "accepted", "--no-rows", "--json"])
        .succeeded();
    assert_eq!(
        (
            report.json["records"].as_array().unwrap().len(),
            &report.json["row_indexes"]
        ),
        (1, &0.into())
    );
    let whole = fs_err::read(&path).unwrap();
    fs_err::write(&path, &whole[..whole.len() / 2]).unwrap();
    let told = world
        .dag(&["cache", "import", name, "--trust", "any"])
        .ended_with(5);
    assert!(
        told.stderr.contains("the bundle is cut off"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("copy it again"), "{}", told.stderr);
    fs_err::write(&path, [7; 2000]).unwrap();
    let told = world.dag(&["cache", "import", name]).ended_with(5);
    assert!(told.stderr.contains("this is no bundle"), "{}", told.stderr);
    world.dag(&["cache", "import", "nowhere.dag"]).ended_with(2);
    world
        .dag(&["cache", "export", name, "--file", "nowhere.toml"])
        .ended_with(2);
    assert!(no_parts(world.home()), "nothing half written is left");
}

fn no_parts(folder: &Path) -> bool {
    let mut names = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.all(|name| !name.to_string_lossy().contains(".part"))
}

#[test]
fn after_a_repair_verify_is_clean_and_the_next_run_makes_what_is_lost() {
    let world = World::with_problems(6).ran();
    let before = world.contents(&ALL);
    world.calls();
    let shown = world.dag(&["show", "accepted", "--path"]).succeeded();
    let blob = shown.stdout.trim().to_owned();
    let mut bytes = fs_err::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs_err::remove_file(&blob).unwrap();
    fs_err::write(&blob, bytes).unwrap();
    fs_err::write(world.cache().join("blobs-v1/notes.txt"), "a stray file").unwrap();
    let repaired = world
        .dag(&["cache", "verify", "--repair", "--json"])
        .succeeded()
        .json;
    assert_eq!(repaired["found"]["damaged"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&repaired["set_aside"], &repaired["fetched"]),
        (&1.into(), &0.into())
    );
    assert_eq!(repaired["incomplete"].as_array().unwrap().len(), 1);
    world.dag(&["cache", "verify"]).succeeded();
    assert_eq!(world.run().succeeded().stages("ran"), ["accepted"]);
    assert_eq!(world.contents(&ALL), before);
    assert_eq!(world.calls(), 0);
}

/// A number below `below` from a seed: SplitMix64, so that a failure can be repeated.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

#[test]
#[expect(clippy::print_stderr, reason = "a long test says how far it came")]
fn a_gc_that_races_runs_and_is_killed_with_them_loses_nothing_in_use() {
    const PROBLEMS: usize = 12;
    const CONCURRENCY: usize = 8;
    let rounds: usize = std::env::var("DAG_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(4);
    let undisturbed = World::with_problems(PROBLEMS);
    undisturbed.run().succeeded();
    let expected = undisturbed.contents(&ALL);
    let world = undisturbed.beside(PROBLEMS);
    world.calls();
    let began = Instant::now();
    let mut seed = 11;
    let (mut round, mut both, mut killed, mut calls) = (0, 0, 0, 0);
    // A round counts if it killed a run and a gc, not if one was done before its moment came.
    while both < rounds {
        assert!(round < 30 * rounds, "they are done too soon to be killed");
        // Everything may go unless the run uses it: no run counts as a root.
        age(&world);
        let gc = [
            "cache",
            "gc",
            "--keep-runs",
            "0",
            "--older-than",
            "0",
            "--quiet",
        ];
        let mut other = gc.to_vec();
        if draw(&mut seed, 3) == 0 {
            other.push("--purge");
        }
        let run = ["run", "--quiet"];
        let mut racers: Vec<_> = [(true, &run[..]), (false, &gc[..]), (false, &other[..])]
            .into_iter()
            .map(|(is_run, arguments)| {
                let child = world.command(arguments).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(draw(&mut seed, 10)));
                (is_run, child)
            })
            .collect();
        let mut deaths = [0, 0];
        while !racers.is_empty() {
            let most = if draw(&mut seed, 4) == 0 { 200 } else { 30 };
            std::thread::sleep(Duration::from_millis(draw(&mut seed, most)));
            let at = usize::try_from(draw(&mut seed, racers.len() as u64)).unwrap();
            let (is_run, mut child) = racers.swap_remove(at);
            child.kill().unwrap();
            let status = child.wait().unwrap();
            assert!(
                status.success() || status.code().is_none(),
                "round {round}: one failed by itself: {status}"
            );
            deaths[usize::from(is_run)] += usize::from(status.code().is_none());
        }
        killed += deaths[0] + deaths[1];
        both += usize::from(deaths[0] > 0 && deaths[1] > 0);
        round += 1;
        let verified = world.dag(&["cache", "verify", "--json"]).succeeded().json;
        assert_eq!(
            verified["incomplete"].as_array().unwrap().len(),
            0,
            "round {round}"
        );
        if draw(&mut seed, 4) == 0 {
            // What an undisturbed run used is there for the next one, whatever gc is asked meanwhile.
            world.run().succeeded();
            world.dag(&gc).succeeded();
            assert_eq!(
                world.run().succeeded().stages("cached"),
                ALL,
                "round {round}"
            );
            assert_eq!(world.contents(&ALL), expected, "round {round}");
        }
        calls += world.calls();
        if round % 50 == 0 {
            eprintln!(
                "{both} of {round} rounds, {killed} killed, {:.0?}",
                began.elapsed()
            );
        }
    }
    world.run().succeeded();
    assert_eq!(world.contents(&ALL), expected);
    calls += world.calls();
    let most = PROBLEMS * 2 + CONCURRENCY * killed;
    assert!(
        calls <= most,
        "{calls} questions, {most} with every one in flight lost"
    );
    eprintln!(
        "{both} rounds of {round} killed a run and a gc, {killed} processes in all; {calls} questions, {:.0?}",
        began.elapsed()
    );
}
