//! What ships with the program: pipelines that check and plan without a network, and every command
//! that a newcomer tries, after a tiny run.

use std::path::PathBuf;

use crate::world::World;

fn shipped(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("pipelines")
        .join(name)
        .display()
        .to_string()
}

/// A student from nothing, its scores and a report.
const REST: &str = r#"
[stage.student]
kind          = "sft"
from          = "formatted"
init          = { layers = 1, hidden = 32, heads = 2, positions = 320 }
cutoff        = 320
world         = 1
batch         = 4
steps         = 3

[stage.scores]
kind       = "eval"
from       = "problems"
models     = { base = "teacher", student = "student" }
max_tokens = 60

[stage.report]
kind  = "report"
title = "A small world"
from  = ["traces", "accepted", "formatted", "student", "scores"]
"#;

fn whole() -> World {
    let world = World::with_problems(6);
    world.append(REST);
    world
}

const ALL: [&str; 7] = [
    "problems",
    "traces",
    "accepted",
    "formatted",
    "student",
    "scores",
    "report",
];

#[test]
fn the_pipelines_that_ship_check_and_plan_without_a_network() {
    let world = World::with_problems(1);
    for (name, stages) in [
        ("quickstart.toml", 12),
        ("sky-t1.toml", 19),
        ("ablations.toml", 0),
    ] {
        let file = shipped(name);
        let checked = world.dag(&["check", "--json", &file]).succeeded();
        assert_eq!(checked.json["ok"], true, "{name}");
        let told = checked.json["stages"].as_u64().unwrap();
        assert!(stages == 0 || told == stages, "{name} has {told} stages");
        let plan = world.dag(&["plan", "--json", &file]).succeeded();
        assert_eq!(
            plan.json["stages"].as_array().unwrap().len() as u64,
            told,
            "{name}"
        );
        world.dag(&["plan", &file]).succeeded();
    }
    assert!(
        !PathBuf::from(shipped("sky-t1.lock")).exists(),
        "planning writes nothing"
    );
}

#[test]
fn the_plan_of_sky_t1_says_what_is_missing() {
    let world = World::with_problems(1);
    let plan = world
        .dag(&["plan", "--json", &shipped("sky-t1.toml")])
        .succeeded();
    let blocked: Vec<_> = plan.json["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|stage| stage["status"]["status"] == "blocked")
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect();
    // without a commit in the file and nothing in the lock file yet; and no devices to train on
    let here = match fs_err::read_dir("/proc/driver/nvidia/gpus") {
        Ok(gpus) => gpus.count(),
        Err(_) => 0,
    };
    let expected = [
        "numina_aime",
        "numina_math",
        "numina_olympiads",
        "apps",
        "math500",
        "aime24",
        "livecodebench",
        "gpqa",
        "still2",
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .chain((here < 8).then_some("student"))
        .collect();
    assert_eq!(blocked, expected);
    let needed: Vec<_> = plan.json["needs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|need| need["name"].as_str().unwrap())
        .collect();
    for need in [
        "NovaSky-AI/labeled_numina_difficulty_859K",
        "8 devices",
        "http://localhost:8000/v1",
        "https://api.openai.com/v1",
        "Qwen/Qwen2.5-32B-Instruct",
    ] {
        assert!(needed.contains(&need), "{need} is not in {needed:?}");
    }
    let text = world
        .dag(&["plan", &shipped("sky-t1.toml")])
        .succeeded()
        .stdout;
    assert!(
        text.contains("livecodebench/code_generation_lite") && text.contains("blocked"),
        "{text}"
    );
}

#[test]
fn the_quickstart_can_begin_at_once() {
    let world = World::with_problems(1);
    let plan = world
        .dag(&["plan", "--json", &shipped("quickstart.toml")])
        .succeeded();
    for stage in plan.json["stages"].as_array().unwrap() {
        assert_ne!(stage["status"]["status"], "blocked", "{stage:#}");
    }
}

#[test]
fn init_writes_a_pipeline_that_checks_and_a_schema_beside_it() {
    let world = World::with_problems(1);
    for recipe in ["quickstart", "sky-t1", "ablations"] {
        let file = format!("{recipe}/dag.toml");
        world.dag(&["init", recipe, "--output", &file]).succeeded();
        world.dag(&["check", &file]).succeeded();
        let schema =
            fs_err::read_to_string(world.home().join(recipe).join(".dag/schema.json")).unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(&schema)
                .unwrap()
                .is_object()
        );
    }
    let text = fs_err::read_to_string(world.pipeline()).unwrap();
    world.dag(&["init"]).ended_with(2);
    assert_eq!(
        fs_err::read_to_string(world.pipeline()).unwrap(),
        text,
        "nothing was overwritten"
    );
}

#[test]
fn the_schema_names_every_kind() {
    let world = World::with_problems(1);
    let schema = world.dag(&["schema"]).succeeded();
    assert!(schema.json.is_object(), "{}", schema.stdout);
    for kind in [
        "problems", "mix", "sample", "filter", "reformat", "sft", "eval", "report", "command",
    ] {
        assert!(schema.stdout.contains(&format!("\"{kind}\"")), "{kind}");
    }
}

#[test]
fn pages_and_scripts_are_printed() {
    let world = World::with_problems(1);
    assert!(
        world
            .dag(&["completions", "bash"])
            .succeeded()
            .stdout
            .contains("complete")
    );
    assert!(
        world
            .dag(&["explain", "D0101"])
            .succeeded()
            .stdout
            .starts_with("D0101")
    );
    assert!(world.dag(&["explain"]).succeeded().stdout.lines().count() >= 20);
    assert!(
        world
            .dag(&["--version"])
            .succeeded()
            .stdout
            .starts_with("dag ")
    );
    let help = world.dag(&["--help"]).succeeded().stdout;
    for command in [
        "init",
        "check",
        "plan",
        "run",
        "why",
        "status",
        "show",
        "graph",
        "sweep",
        "report",
        "logs",
        "cache",
        "doctor",
        "schema",
        "explain",
        "completions",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} is not in\n{help}"
        );
    }
    let doctor = world.dag(&["doctor", "--json"]).succeeded();
    let findings = doctor.json["findings"].as_array().unwrap();
    for name in ["program", "cpu", "gpu", "cache", "sandbox", "hub"] {
        assert!(
            findings.iter().any(|finding| finding["name"] == name),
            "{name} is not in {findings:#?}"
        );
    }
}

#[test]
fn every_command_tells_of_a_finished_run() {
    let world = whole();
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), ALL, "{}", ran.stderr);

    let graph = world
        .dag(&["graph", "--format", "mermaid"])
        .succeeded()
        .stdout;
    assert!(
        graph.starts_with("flowchart LR\n") && graph.contains("-->"),
        "{graph}"
    );
    assert!(
        world
            .dag(&["graph", "--format", "dot"])
            .succeeded()
            .stdout
            .starts_with("digraph")
    );
    assert_eq!(
        world
            .dag(&["graph"])
            .succeeded()
            .stdout
            .matches('✓')
            .count(),
        ALL.len() + 1
    );

    let status = world.dag(&["status", "--json"]).succeeded();
    assert_eq!(status.json["run"]["id"], ran.json["run"]);
    let status = world.dag(&["status"]).succeeded().stdout;
    assert!(ALL.iter().all(|stage| status.contains(stage)), "{status}");
    assert!(
        world
            .dag(&["status", "--list"])
            .succeeded()
            .stdout
            .contains("succeeded")
    );

    let logs = world.dag(&["logs", "traces"]).succeeded().stdout;
    assert!(
        logs.lines().all(|line| line.contains("  traces  ")) && logs.contains("started"),
        "{logs}"
    );

    let shown = world
        .dag(&["show", "formatted", "-n", "2"])
        .succeeded()
        .stdout;
    assert!(
        shown.contains("<think>") && shown.contains("formatted.main"),
        "{shown}"
    );
    let shown = world
        .dag(&["show", "formatted", "--json", "-n", "2"])
        .succeeded();
    assert_eq!(shown.json["rows"].as_array().unwrap().len(), 2);
    let rejected = world
        .dag(&["show", "accepted.rejected", "--json"])
        .succeeded();
    // of the first numbers 2 to 7, 3 and 7 are added wrongly, twice each
    assert_eq!(rejected.json["artifact"]["rows"], 4);
    let model = PathBuf::from(
        world
            .dag(&["show", "student", "--path"])
            .succeeded()
            .stdout
            .trim(),
    );
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        assert!(model.join(file).is_file(), "{file}");
    }

    let reports = ran.json["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 1);
    let page = fs_err::read_to_string(world.home().join(reports[0].as_str().unwrap())).unwrap();
    assert!(page.contains("A small world") && page.contains("student"));
    fs_err::remove_dir_all(world.home().join(".dag/reports")).unwrap();
    let again = world.dag(&["report"]).succeeded().stdout;
    assert!(world.home().join(again.trim()).is_file(), "{again}");

    let stats = world.dag(&["cache", "stats", "--json"]).succeeded();
    assert_eq!(stats.json["records"], ALL.len());
    assert_eq!(
        world
            .dag(&["cache", "ls", "--json"])
            .succeeded()
            .json
            .as_array()
            .unwrap()
            .len(),
        ALL.len()
    );
    assert_eq!(
        world.dag(&["cache", "path"]).succeeded().stdout.trim(),
        world.cache().display().to_string()
    );
    world.dag(&["cache", "verify"]).succeeded();
    world.dag(&["cache", "gc", "--older-than", "0"]).succeeded();
    assert_eq!(
        world.run().succeeded().stages("cached"),
        ALL,
        "what the last runs used is kept"
    );
}

#[test]
fn why_names_the_setting_the_file_and_the_line() {
    let world = World::with_problems(4).ran();
    world.edit(r#""rejection""#, r#""parsable""#);
    let line = world
        .text()
        .lines()
        .position(|line| line.starts_with("strategy"))
        .unwrap()
        + 1;
    let why = world.dag(&["why", "accepted", "--json"]).succeeded();
    let change = &why.json["changes"][0];
    assert_eq!(change["change"], "setting", "{:#}", why.json);
    assert_eq!(change["setting"], "strategy");
    assert!(change["from"].as_str().unwrap().contains("rejection"));
    assert!(change["to"].as_str().unwrap().contains("parsable"));
    assert_eq!(change["line"]["line"], line);
    assert!(
        change["line"]["file"]
            .as_str()
            .unwrap()
            .ends_with("dag.toml")
    );
    let text = world.dag(&["why", "accepted"]).succeeded().stdout;
    assert!(
        text.contains("strategy") && text.contains(&format!("dag.toml:{line}")),
        "{text}"
    );
    let plan = world.dag(&["plan"]).succeeded().stdout;
    assert!(plan.contains(&format!("dag.toml:{line}")), "{plan}");

    // After the run it is told too: compared with the result before.
    world.run().succeeded();
    let text = world.dag(&["why", "accepted"]).succeeded().stdout;
    assert!(text.contains("cached"), "{text}");
}

#[test]
fn a_setting_on_the_command_line_counts_as_one_in_the_file() {
    let world = World::with_problems(4).ran();
    world.calls();
    let ran = world
        .dag(&["run", "--json", "--set", "traces.n=3"])
        .succeeded();
    assert_eq!(ran.stage("traces")["rows"], 12);
    assert_eq!(world.calls(), 4);
    world.edit("n     = 2", "n     = 3");
    assert_eq!(world.run().succeeded().stages("ran"), [""; 0]);
}

#[test]
fn stages_in_processes_of_their_own_give_the_same() {
    let together = whole();
    together.run().succeeded();
    let apart = together.beside(6);
    apart.append(REST);
    let ran = apart.dag(&["run", "--json", "--isolate"]).succeeded();
    assert_eq!(ran.stages("ran"), ALL);
    let stages = &ALL[..6];
    assert_eq!(apart.contents(stages), together.contents(stages));
    assert_eq!(apart.run().succeeded().stages("cached"), ALL);
}

#[test]
fn a_run_without_bars_tells_each_stage_in_a_line() {
    let world = World::with_problems(4);
    let said = world.dag(&["run"]).succeeded();
    assert_eq!(said.stdout, "", "a run's result is in the cache");
    let verbs: Vec<_> = said
        .stderr
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        verbs,
        ["Gathered", "Sampled", "Filtered", "Reformatted", "Finished"],
        "{}",
        said.stderr
    );
    let quiet = world.dag(&["run", "--quiet"]).succeeded();
    assert_eq!(quiet.stderr, "");
    let events = World::with_problems(2)
        .dag(&["run", "--progress", "json"])
        .succeeded()
        .stderr;
    let names: Vec<String> = events
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?["event"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(names.first().map(String::as_str), Some("run_started"));
    assert_eq!(
        names
            .iter()
            .filter(|name| *name == "stage_finished")
            .count(),
        4
    );
}
