//! What each kind puts out on a small input, pinned beside its version. Where a digest moves, the same key would give
//! another result, and caches of users would hold the old one: raise the `VERSION` of the kind whose output moved
//! first, then accept the snapshot.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::world::World;

/// The kinds that the usual world lacks. `report` is not among them: its page tells of the run.
const REST: &str = r#"
[stage.more]
kind   = "problems"
source = { generate = { families = ["chain", "permute"], count = 4, seed = 5 } }

[stage.mixed]
kind  = "mix"
from  = ["problems", "more"]
seed  = 3

[stage.copied]
kind = "command"
from = "mixed"
run  = ["sh", "-c", "cp \"$DAG_INPUT_FROM\" \"$DAG_OUTPUT\""]

[stage.student]
kind          = "sft"
from          = "formatted"
init          = { layers = 1, hidden = 32, heads = 2, positions = 320 }
learning_rate = 1e-3
cutoff        = 320
batch         = 4
steps         = 3

[stage.own_words]
kind        = "sample"
from        = "problems"
model       = "student"
temperature = 1.0
max_tokens  = 20

[stage.scores]
kind       = "eval"
from       = "problems"
models     = { base = "teacher", student = "student" }
max_tokens = 60
"#;

/// Every stage with its kind, in the order of the file.
const STAGES: [(&str, &str); 10] = [
    ("problems", "problems"),
    ("traces", "sample"),
    ("accepted", "filter"),
    ("formatted", "reformat"),
    ("more", "problems"),
    ("mixed", "mix"),
    ("copied", "command"),
    ("student", "sft"),
    ("own_words", "sample"),
    ("scores", "eval"),
];

#[test]
fn what_a_kind_puts_out_moves_with_its_version_only() {
    let world = World::with_problems(6);
    world.append(REST);
    world.run().succeeded();
    let names: Vec<&str> = STAGES.iter().map(|(stage, _)| *stage).collect();
    let contents = world.contents(&names);
    let registry = dag_kinds::registry();
    let mut told = String::new();
    for (stage, kind) in STAGES {
        let version = registry.get(kind).unwrap().version();
        for (output, digest) in &contents[stage] {
            writeln!(
                told,
                "{kind} v{version}: {stage}.{output} {}",
                &digest[..16]
            )
            .unwrap();
        }
    }
    assert_snapshot!(told);
}
