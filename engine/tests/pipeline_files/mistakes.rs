//! Every file in `tests/pipelines/invalid/` is a mistake that somebody makes; its snapshot is what
//! they are told. Lines `# set: a.b=c` and `# lock: …` in a file are command line and lock file.

use std::collections::BTreeSet;

use dag_engine::diagnostic::{CODES, Colour, SourceFile, json, render};
use dag_engine::pipeline::{LoadOptions, Loaded, load};

use crate::{exists, files, kinds};

fn load_case(name: &str, text: &str) -> Loaded {
    let marked = |mark: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(mark))
            .map(|rest| rest.trim().to_owned())
            .collect()
    };
    let lock = marked("# lock:");
    let options = LoadOptions {
        sets: marked("# set:"),
        lock: (!lock.is_empty()).then(|| SourceFile::new(format!("{name}.lock"), lock.join("\n"))),
        exists,
    };
    load(
        &SourceFile::new(format!("{name}.toml"), text),
        &kinds::registry(),
        &options,
    )
}

#[test]
fn every_mistake_is_told_as_in_its_snapshot() {
    let cases = files("invalid");
    assert!(cases.len() >= 40, "only {} mistakes", cases.len());
    for (name, path) in cases {
        let text = fs_err::read_to_string(path).unwrap();
        let loaded = load_case(&name, &text);
        assert!(!loaded.diagnostics.is_empty(), "{name}: nothing was found");
        let broken = loaded
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.is_error());
        assert_eq!(loaded.pipeline.is_none(), broken, "{name}");
        let drawn = render(&loaded.diagnostics, &loaded.sources, Colour::Plain);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, drawn);
        });
    }
}

#[test]
fn every_code_is_shown_by_a_mistake() {
    let mut seen = BTreeSet::new();
    for (name, path) in files("invalid") {
        let text = fs_err::read_to_string(path).unwrap();
        seen.extend(
            load_case(&name, &text)
                .diagnostics
                .iter()
                .map(|diagnostic| diagnostic.code),
        );
    }
    let known: BTreeSet<&str> = CODES.iter().map(|explanation| explanation.code).collect();
    assert_eq!(seen, known);
}

#[test]
fn no_snapshot_is_left_of_a_mistake_that_is_gone() {
    let names: BTreeSet<String> = files("invalid").into_iter().map(|(name, _)| name).collect();
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/pipeline_files/snapshots"
    );
    for entry in fs_err::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().to_string_lossy().into_owned();
        let name = file.trim_end_matches(".snap");
        assert!(names.contains(name), "snapshot without a file: {file}");
    }
}

#[test]
fn rust_does_not_show_through() {
    for (name, path) in files("invalid") {
        let text = fs_err::read_to_string(path).unwrap();
        for diagnostic in load_case(&name, &text).diagnostics {
            let said = format!("{} {}", diagnostic.message, diagnostic.label);
            for word in [
                "u32", "u64", "f64", "i64", "usize", "struct ", "enum ", "serde", "sequence",
                "Settings",
            ] {
                assert!(!said.contains(word), "{name}: {said}");
            }
        }
    }
}

#[test]
fn a_program_reads_the_same_as_json() {
    let text = "[stage.a]\nkind = \"filter\"\nfrom = \"b\"\nstrategy = \"none\"\n";
    let loaded = load_case("p", text);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&loaded.diagnostics)).unwrap(), @r##"
    [
      {
        "code": "D0201",
        "severity": "error",
        "file": "p.toml",
        "span": {
          "start": 33,
          "end": 36,
          "line": 3,
          "col": 8
        },
        "message": "there is no stage `b`",
        "label": "`from` of stage `a`, a `filter` stage",
        "labels": [],
        "help": [
          "there are no other stages"
        ]
      }
    ]
    "##);
}

#[test]
fn colour_is_a_choice() {
    let loaded = load_case("p", "[stage.a]\n");
    assert!(!render(&loaded.diagnostics, &loaded.sources, Colour::Plain).contains('\u{1b}'));
    assert!(render(&loaded.diagnostics, &loaded.sources, Colour::Ansi).contains('\u{1b}'));
}
