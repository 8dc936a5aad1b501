//! What a good file means.

use dag_engine::checked::{HubLock, ModelSource};
use dag_engine::declaration::HubRepo;
use dag_engine::diagnostic::SourceFile;
use dag_engine::pipeline::{LoadOptions, load, lock_path, schema, write_lock};
use serde_json::json;

use crate::{exists, files, kinds, load_with, pipeline, pipeline_with};

const BASE: &str = r#"
[pipeline]
seed = 7

[models.teacher]
name = "qwq"
server = { url = "http://localhost/v1" }

[defaults.sample]
max_tokens = 100
temperature = 0.5

[stage.problems]
kind = "problems"
source = { generate = 10 }

[stage.traces]
kind = "sample"
from = "problems"
model = "teacher"
temperature = 0.9
"#;

#[test]
fn every_valid_file_loads_without_a_word() {
    let cases = files("valid");
    assert!(!cases.is_empty());
    for (name, path) in cases {
        let loaded = load_with(&fs_err::read_to_string(path).unwrap(), &[]);
        assert!(
            loaded.pipeline.is_some(),
            "{name}: {:?}",
            loaded.diagnostics
        );
        assert_eq!(loaded.diagnostics, [], "{name}");
    }
}

#[test]
fn stages_come_with_everything_resolved() {
    let text = fs_err::read_to_string(&files("valid").iter().find(|f| f.0 == "sky-t1").unwrap().1)
        .unwrap();
    let pipeline = pipeline(&text);
    assert_eq!(
        (pipeline.name.as_str(), pipeline.seed, pipeline.budget),
        ("sky-t1", 42, Some(200.0))
    );
    let names: Vec<&str> = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "math",
            "code",
            "mix",
            "traces",
            "accepted",
            "formatted",
            "student",
            "scores",
            "report"
        ]
    );
    let report = pipeline.stage("report").unwrap();
    let inputs: Vec<(&str, Option<&str>)> = report
        .inputs
        .iter()
        .map(|i| (i.stage.as_str(), i.output.as_deref()))
        .collect();
    assert_eq!(
        inputs,
        [
            ("scores", None),
            ("student", None),
            ("accepted", Some("rejected"))
        ]
    );
    let scores = pipeline.stage("scores").unwrap();
    let slots: Vec<&str> = scores
        .models
        .iter()
        .map(|model| model.slot.as_str())
        .collect();
    assert_eq!(slots, ["models.base", "models.student", "models.teacher"]);
    assert_eq!(
        scores.models[1].source,
        ModelSource::Stage {
            stage: "student".into(),
            output: None
        }
    );
    assert!(
        matches!(&scores.models[2].source, ModelSource::Spec(spec) if spec.hf.as_deref() == Some("Qwen/QwQ-32B-Preview"))
    );
}

#[test]
fn defaults_fill_only_what_a_stage_leaves_open() {
    let pipeline = pipeline(BASE);
    let traces = pipeline.stage("traces").unwrap();
    assert_eq!(traces.settings_json["max_tokens"], json!(100));
    assert_eq!(traces.settings_json["temperature"], json!(0.9));
    assert_eq!(traces.seed, 7);
}

#[test]
fn every_setting_knows_its_line() {
    let pipeline = pipeline_with(BASE, &["traces.n=3"]);
    let traces = pipeline.stage("traces").unwrap();
    let line = |path: &str| {
        let line = traces.line_of(path).unwrap();
        (line.file.as_str(), line.line, line.text.as_str())
    };
    assert_eq!(line(""), ("p.toml", 17, "[stage.traces]"));
    assert_eq!(line("temperature"), ("p.toml", 21, "temperature = 0.9"));
    assert_eq!(line("max_tokens"), ("p.toml", 10, "max_tokens = 100"));
    assert_eq!(line("n"), ("--set", 1, "traces.n=3"));
    assert_eq!(line("stop"), ("p.toml", 17, "[stage.traces]"));
    let problems = pipeline.stage("problems").unwrap();
    assert_eq!(problems.line_of("source.generate").unwrap().line, 15);
}

#[test]
fn set_overrides_what_is_written() {
    let sets = [
        "traces.n=8",
        "traces.stop=[\"</s>\", \"END\"]",
        "problems.where=difficulty > 3",
        "pipeline.seed = 9",
        "teacher.name=qwen",
        "defaults.sample.max_tokens=5",
    ];
    let pipeline = pipeline_with(BASE, &sets);
    let traces = pipeline.stage("traces").unwrap();
    assert_eq!(traces.settings_json["n"], json!(8));
    assert_eq!(traces.settings_json["stop"], json!(["</s>", "END"]));
    assert_eq!(traces.settings_json["max_tokens"], json!(5));
    assert_eq!(
        pipeline.stage("problems").unwrap().settings_json["where"],
        json!("difficulty > 3")
    );
    assert_eq!(pipeline.seed, 9);
    assert_eq!(pipeline.models["teacher"].name.as_deref(), Some("qwen"));
}

#[test]
fn comments_and_the_order_of_keys_and_sections_mean_nothing() {
    let other = r#"
# a comment
[stage.traces]
temperature = 0.90   # warm
model = 'teacher'
from = "problems"
kind = "sample"

[defaults]
sample = { temperature = 0.5, max_tokens = 1_00 }

[stage.problems]
source.generate = 0x0a
kind = "problems"

[models]
teacher = { server = { url = "http://localhost/v1" }, name = "qwq" }

[pipeline]
seed = 7
"#;
    let (mut a, mut b) = (pipeline(BASE), pipeline(other));
    for pipeline in [&mut a, &mut b] {
        pipeline.stages.sort_by(|x, y| x.name.cmp(&y.name));
        for stage in &mut pipeline.stages {
            stage.lines.clear();
        }
    }
    assert_eq!(format!("{a:#?}"), format!("{b:#?}"));
}

#[test]
fn hub_revisions_come_from_the_lock_file() {
    let mut lock = HubLock::default();
    let key = HubLock::entry_key(HubRepo::Dataset, "BAAI/TACO", None);
    lock.revisions.insert(key, "d593ed0d593ed0".to_owned());
    assert_eq!(
        lock_path("a/sky-t1.toml".as_ref()).to_str(),
        Some("a/sky-t1.lock")
    );
    let options = LoadOptions {
        lock: Some(SourceFile::new("p.lock", write_lock(&lock, None))),
        exists,
        ..LoadOptions::default()
    };
    let loaded = load(
        &SourceFile::new("p.toml", BASE),
        &kinds::registry(),
        &options,
    );
    assert_eq!(loaded.pipeline.unwrap().lock, lock);
}

#[test]
fn a_hub_id_without_a_revision_is_no_mistake() {
    let text = "[stage.a]\nkind = \"problems\"\nsource = { hf = \"BAAI/TACO\" }\n";
    assert_eq!(load_with(text, &[]).diagnostics, []);
}

#[test]
fn the_schema_knows_every_kind_and_its_settings() {
    let schema = schema(&kinds::registry());
    let kinds = schema["properties"]["stage"]["additionalProperties"]["oneOf"]
        .as_array()
        .unwrap();
    assert_eq!(kinds.len(), 8);
    let sample = kinds
        .iter()
        .find(|kind| kind["properties"]["kind"]["const"] == "sample")
        .unwrap();
    assert_eq!(sample["required"], json!(["kind", "from", "model"]));
    assert_eq!(sample["additionalProperties"], json!(false));
    assert_eq!(
        sample["properties"]["max_tokens"]["description"],
        "Longest answer, in tokens."
    );
    assert!(
        schema["properties"]["defaults"]["properties"]["sample"]
            .get("required")
            .is_none()
    );
    let text = schema.to_string();
    for reference in text.split("\"$ref\":\"#/definitions/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            schema["definitions"].get(name).is_some(),
            "no definition of {name}"
        );
    }
}

#[test]
fn a_chain_of_100_000_stages_loads_without_recursion() {
    let mut text = String::from("[stage.s0]\nkind = \"problems\"\nsource = { generate = 1 }\n");
    for i in 1..100_000 {
        text.push_str(&format!(
            "[stage.s{i}]\nkind = \"mix\"\nfrom = \"s{}\"\n",
            i - 1
        ));
    }
    let started = std::time::Instant::now();
    let pipeline = pipeline(&text);
    assert_eq!(pipeline.stages.len(), 100_000);
    // debug builds are slow; quadratic time would take minutes
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    // and in a circle
    let text = text.replace(
        "kind = \"problems\"\nsource = { generate = 1 }",
        "kind = \"mix\"\nfrom = \"s99999\"",
    );
    let diagnostics = load_with(&text, &[]).diagnostics;
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].code, "D0203");
}

#[test]
fn the_page_of_error_codes_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/error-codes.md");
    let page = dag_engine::diagnostic::reference_page();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs_err::write(path, &page).unwrap();
    }
    let written = fs_err::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/error-codes.md is stale: UPDATE_PAGES=1 cargo test -p dag-engine --test pipeline_files"
    );
}
