//! `share`: what stays on this machine, and what comes of it.

use crate::{load_with, pipeline};

/// Which stages are shared, of a chain with these lines in `problems` and `accepted`.
#[track_caller]
fn shared(problems: &str, accepted: &str) -> Vec<String> {
    let pipeline = pipeline(&format!(
        r#"
[models.teacher]
hf = "Qwen/QwQ-32B-Preview"

[stage.formatted]
kind = "reformat"
from = "accepted"

[stage.problems]
kind = "problems"
source = {{ generate = 10 }}
{problems}

[stage.open]
kind = "problems"
source = {{ generate = 11 }}

[stage.traces]
kind = "sample"
from = "problems"
model = "teacher"

[stage.accepted]
kind = "filter"
from = "traces"
strategy = "rejection"
{accepted}
"#
    ));
    let stages = pipeline.stages.iter().filter(|stage| stage.share);
    let mut names: Vec<String> = stages.map(|stage| stage.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn every_stage_is_shared_unless_somebody_says_no() {
    assert_eq!(
        shared("", ""),
        ["accepted", "formatted", "open", "problems", "traces"]
    );
}

#[test]
fn what_comes_of_a_private_stage_is_private_wherever_it_stands_in_the_file() {
    assert_eq!(shared("share = false", ""), ["open"]);
    assert_eq!(shared("", "share = false"), ["open", "problems", "traces"]);
}

#[test]
fn a_stage_behind_a_private_one_may_say_that_it_is_shared() {
    assert_eq!(
        shared("share = false", "share = true"),
        ["accepted", "formatted", "open"]
    );
}

#[test]
fn share_is_true_or_false() {
    let text = "[stage.a]\nkind = \"problems\"\nsource = { generate = 1 }\nshare = \"no\"\n";
    let loaded = load_with(text, &[]);
    let first = &loaded.diagnostics[0];
    assert_eq!(
        (first.code, first.message.as_str()),
        (
            "D0103",
            "`share` of stage `a` must be true or false, not the text \"no\""
        )
    );
}
