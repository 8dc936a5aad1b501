//! Sweeps: what variants share exists once, what differs is named by what makes it differ.

use crate::{load_with, pipeline_with};

const BASE: &str = r#"
[models.teacher]
hf = "Qwen/QwQ-32B-Preview"

[stage.problems]
kind = "problems"
source = { generate = 10 }

[stage.traces]
kind = "sample"
from = "problems"
model = "teacher"

[stage.accepted]
kind = "filter"
from = "traces"
strategy = "rejection"

[stage.formatted]
kind = "reformat"
from = "accepted"

[stage.student]
kind = "sft"
from = "formatted"
model = { hf = "Qwen/Qwen2.5-0.5B" }
epochs = 3
learning_rate = 1e-5

[stage.report]
kind = "report"
from = ["student", "traces"]
"#;

/// Each stage with what it reads, one a line.
#[track_caller]
fn shape(sweep: &str, sets: &[&str]) -> String {
    let pipeline = pipeline_with(&format!("{BASE}\n[sweep]\n{sweep}\n"), sets);
    let mut lines = Vec::new();
    for stage in &pipeline.stages {
        let inputs: Vec<&str> = stage
            .inputs
            .iter()
            .map(|input| input.stage.as_str())
            .collect();
        lines.push(
            format!("{} <- {}", stage.name, inputs.join(" + "))
                .trim_end()
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[test]
fn what_variants_share_exists_once() {
    insta::assert_snapshot!(shape(r#""accepted.strategy" = ["none", "rejection"]
"student.epochs" = [1, 2]"#, &[]), @r##"
    problems <-
    traces <- problems
    accepted[accepted.strategy=none] <- traces
    accepted[accepted.strategy=rejection] <- traces
    formatted[accepted.strategy=none] <- accepted[accepted.strategy=none]
    formatted[accepted.strategy=rejection] <- accepted[accepted.strategy=rejection]
    student[accepted.strategy=none,student.epochs=1] <- formatted[accepted.strategy=none]
    student[accepted.strategy=none,student.epochs=2] <- formatted[accepted.strategy=none]
    student[accepted.strategy=rejection,student.epochs=1] <- formatted[accepted.strategy=rejection]
    student[accepted.strategy=rejection,student.epochs=2] <- formatted[accepted.strategy=rejection]
    report[accepted.strategy=none,student.epochs=1] <- student[accepted.strategy=none,student.epochs=1] + traces
    report[accepted.strategy=none,student.epochs=2] <- student[accepted.strategy=none,student.epochs=2] + traces
    report[accepted.strategy=rejection,student.epochs=1] <- student[accepted.strategy=rejection,student.epochs=1] + traces
    report[accepted.strategy=rejection,student.epochs=2] <- student[accepted.strategy=rejection,student.epochs=2] + traces
    "##);
}

#[test]
fn a_stage_is_labelled_with_what_makes_it_differ_and_nothing_else() {
    let text = format!(
        "{BASE}\n[sweep]\n\"accepted.strategy\" = [\"none\", \"rejection\"]\n\"student.epochs\" = [1, 2]\n"
    );
    let pipeline = pipeline_with(&text, &[]);
    let labels = |name: &str| -> Vec<String> {
        let stage = pipeline.stage(name).unwrap();
        stage
            .variant
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    };
    assert_eq!(labels("traces"), [""; 0]);
    assert_eq!(
        labels("accepted[accepted.strategy=none]"),
        ["accepted.strategy=none"]
    );
    assert_eq!(
        labels("report[accepted.strategy=none,student.epochs=2]"),
        ["accepted.strategy=none", "student.epochs=2"]
    );
    let student = pipeline
        .stage("student[accepted.strategy=none,student.epochs=2]")
        .unwrap();
    assert_eq!(student.settings_json["epochs"], 2);
    assert_eq!(
        student.line_of("epochs").unwrap().text,
        "\"student.epochs\" = [1, 2]"
    );
}

#[test]
fn a_swept_input_takes_along_only_what_lies_above_it() {
    insta::assert_snapshot!(shape(r#""formatted.from" = ["traces", "accepted"]
"accepted.strategy" = ["none", "rejection"]"#, &[]), @r##"
    problems <-
    traces <- problems
    accepted[accepted.strategy=none] <- traces
    accepted[accepted.strategy=rejection] <- traces
    formatted[formatted.from=traces] <- traces
    formatted[formatted.from=accepted,accepted.strategy=none] <- accepted[accepted.strategy=none]
    formatted[formatted.from=accepted,accepted.strategy=rejection] <- accepted[accepted.strategy=rejection]
    student[formatted.from=traces] <- formatted[formatted.from=traces]
    student[formatted.from=accepted,accepted.strategy=none] <- formatted[formatted.from=accepted,accepted.strategy=none]
    student[formatted.from=accepted,accepted.strategy=rejection] <- formatted[formatted.from=accepted,accepted.strategy=rejection]
    report[formatted.from=traces] <- student[formatted.from=traces] + traces
    report[formatted.from=accepted,accepted.strategy=none] <- student[formatted.from=accepted,accepted.strategy=none] + traces
    report[formatted.from=accepted,accepted.strategy=rejection] <- student[formatted.from=accepted,accepted.strategy=rejection] + traces
    "##);
}

#[test]
fn a_swept_model_reaches_the_stages_that_ask_it() {
    insta::assert_snapshot!(shape(r#""teacher.hf" = ["Qwen/QwQ-32B", "Qwen/Qwen3-8B"]"#, &[]), @r##"
    problems <-
    traces[teacher.hf=Qwen/QwQ-32B] <- problems
    traces[teacher.hf=Qwen/Qwen3-8B] <- problems
    accepted[teacher.hf=Qwen/QwQ-32B] <- traces[teacher.hf=Qwen/QwQ-32B]
    accepted[teacher.hf=Qwen/Qwen3-8B] <- traces[teacher.hf=Qwen/Qwen3-8B]
    formatted[teacher.hf=Qwen/QwQ-32B] <- accepted[teacher.hf=Qwen/QwQ-32B]
    formatted[teacher.hf=Qwen/Qwen3-8B] <- accepted[teacher.hf=Qwen/Qwen3-8B]
    student[teacher.hf=Qwen/QwQ-32B] <- formatted[teacher.hf=Qwen/QwQ-32B]
    student[teacher.hf=Qwen/Qwen3-8B] <- formatted[teacher.hf=Qwen/Qwen3-8B]
    report[teacher.hf=Qwen/QwQ-32B] <- student[teacher.hf=Qwen/QwQ-32B] + traces[teacher.hf=Qwen/QwQ-32B]
    report[teacher.hf=Qwen/Qwen3-8B] <- student[teacher.hf=Qwen/Qwen3-8B] + traces[teacher.hf=Qwen/Qwen3-8B]
    "##);
}

#[test]
fn a_swept_seed_reaches_the_stages_that_it_decides() {
    insta::assert_snapshot!(shape("pipeline.seed = [1, 2]", &[]), @r##"
    problems[pipeline.seed=1] <-
    problems[pipeline.seed=2] <-
    traces[pipeline.seed=1] <- problems[pipeline.seed=1]
    traces[pipeline.seed=2] <- problems[pipeline.seed=2]
    accepted[pipeline.seed=1] <- traces[pipeline.seed=1]
    accepted[pipeline.seed=2] <- traces[pipeline.seed=2]
    formatted[pipeline.seed=1] <- accepted[pipeline.seed=1]
    formatted[pipeline.seed=2] <- accepted[pipeline.seed=2]
    student[pipeline.seed=1] <- formatted[pipeline.seed=1]
    student[pipeline.seed=2] <- formatted[pipeline.seed=2]
    report[pipeline.seed=1] <- student[pipeline.seed=1] + traces[pipeline.seed=1]
    report[pipeline.seed=2] <- student[pipeline.seed=2] + traces[pipeline.seed=2]
    "##);
}

#[test]
fn setting_a_swept_value_ends_its_sweep() {
    insta::assert_snapshot!(shape(r#""student.epochs" = [1, 2]"#, &["student.epochs=4"]), @r##"
    problems <-
    traces <- problems
    accepted <- traces
    formatted <- accepted
    student <- formatted
    report <- student + traces
    "##);
}

#[test]
fn a_sweep_over_one_value_changes_the_setting_and_no_name() {
    let text = format!("{BASE}\n[sweep]\nstudent.epochs = [9]\n");
    let pipeline = pipeline_with(&text, &[]);
    assert_eq!(pipeline.stages.len(), 6);
    assert_eq!(
        pipeline.stage("student").unwrap().settings_json["epochs"],
        9
    );
}

#[test]
fn values_that_make_no_name_are_numbered() {
    let text = format!(
        "{BASE}\n[sweep]\n\"student.model\" = [{{ hf = \"a/b\" }}, {{ hf = \"c/d\" }}]\n\"traces.stop\" = [[], [\"x\", \"y\"]]\n"
    );
    let pipeline = pipeline_with(&text, &[]);
    assert!(pipeline.stage("traces[traces.stop=#2]").is_some());
    assert!(
        pipeline
            .stages
            .iter()
            .any(|s| s.name.contains("student.model={ hf"))
            || pipeline
                .stages
                .iter()
                .any(|s| s.name.contains("student.model=#"))
    );
    let mut names: Vec<&str> = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), pipeline.stages.len());
}

#[test]
fn a_mistake_in_a_shared_stage_is_told_once() {
    let text = format!("{BASE}\n[sweep]\n\"student.epochs\" = [1, 2, 3]\n")
        .replace("epochs = 3", "epochs = 3\nepoch = 3");
    assert_eq!(load_with(&text, &[]).diagnostics.len(), 1);
}
