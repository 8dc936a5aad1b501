//! The index of codes: a page for every sort of mistake. A code never changes its meaning, and one
//! that is given up is not given out again.

/// The page of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// `D0101`.
    pub code: &'static str,
    /// What it says, in a few words.
    pub title: &'static str,
    /// What it means, why it is refused and what to do; Markdown.
    pub text: &'static str,
}

/// The page of a code, written in any case (`d0101`).
#[must_use]
pub fn explain(code: &str) -> Option<&'static Explanation> {
    CODES
        .iter()
        .find(|explanation| explanation.code.eq_ignore_ascii_case(code.trim()))
}

/// All pages as one Markdown page, for the book.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Error codes\n\n\
         Everything that `dag check` can say about a pipeline file. `dag explain CODE` prints one of these.\n",
    );
    for group in GROUPS {
        page.push_str(&format!("\n## {}\n", group.1));
        for explanation in CODES
            .iter()
            .filter(|explanation| explanation.code.starts_with(group.0))
        {
            page.push_str(&format!(
                "\n### {}: {}\n\n{}\n",
                explanation.code, explanation.title, explanation.text
            ));
        }
    }
    page
}

const GROUPS: [(&str, &str); 4] = [
    ("D01", "The file and its settings"),
    ("D02", "How stages hang together"),
    ("D03", "Sweeps, defaults and `--set`"),
    ("D04", "The lock file"),
];

/// Every code, in order.
pub const CODES: &[Explanation] = &[
    Explanation {
        code: "D0101",
        title: "not TOML",
        text: "\
The text cannot be read as TOML, so nothing else in it was looked at. Common causes are a missing \
quotation mark, a missing `=` and a bracket that is not closed. Text is always quoted: \
`kind = \"sample\"`, not `kind = sample`.",
    },
    Explanation {
        code: "D0102",
        title: "unknown setting",
        text: "\
A table has a setting that nobody reads. Settings are never ignored: a mistyped `temprature` would \
otherwise run for hours with the default. The message names the nearest setting there is. \
`dag schema` writes a schema from which an editor completes the names.",
    },
    Explanation {
        code: "D0103",
        title: "wrong sort of value",
        text: "\
A setting has a value of another sort than it needs: text where a number is expected, a number \
where a list is. TOML tells `\"4\"` (text) from `4` (a number), and `1` (whole) from `1.0`.",
    },
    Explanation {
        code: "D0104",
        title: "missing setting",
        text: "\
A stage, model or table lacks a setting that has no default. All that are missing are named at \
once. A setting that many stages of a kind share can stand in `[defaults.KIND]`.",
    },
    Explanation {
        code: "D0105",
        title: "value not allowed",
        text: "\
The value is of the right sort but not one of those allowed: a strategy that does not exist, a \
negative count, a number too large. The message says what is allowed.",
    },
    Explanation {
        code: "D0106",
        title: "unknown section",
        text: "\
A pipeline file has the sections `[pipeline]`, `[models.NAME]`, `[stage.NAME]`, `[defaults.KIND]`, \
`[sweep]` and `[limits]`, and no others. A setting written above the first section belongs to none.",
    },
    Explanation {
        code: "D0107",
        title: "written twice",
        text: "\
The same key, or the same stage, stands in the file twice. TOML forbids it, and which of the two \
counts would be a guess. Often a stage was copied and not renamed.",
    },
    Explanation {
        code: "D0108",
        title: "stage without a kind",
        text: "\
Every stage says what it does: `kind = \"sample\"`. Without it none of its settings can be checked.",
    },
    Explanation {
        code: "D0109",
        title: "unknown kind",
        text: "\
No stage kind has this name. The kinds are listed with the error. Some kinds are built only with a \
feature of the program (`query` with `polars`); `dag doctor` says what yours has.",
    },
    Explanation {
        code: "D0110",
        title: "invalid name",
        text: "\
The name of a stage, model or pipeline begins with a letter and has letters, digits, `_` and `-`, \
at most 64 characters. A dot would be confused with `stage.output`, and names become names of files.",
    },
    Explanation {
        code: "D0111",
        title: "a stage and a model of the same name",
        text: "\
Stages and models share one set of names, because `model = \"student\"` may mean either an entry of \
`[models]` or the stage that trains it. Rename one of the two.",
    },
    Explanation {
        code: "D0112",
        title: "setting not understood",
        text: "\
The value has the right form, but the setting itself refuses it, for the reason given.",
    },
    Explanation {
        code: "D0113",
        title: "settings that make no sense",
        text: "\
Each setting is well formed, but alone or together they describe something that cannot be done: \
zero replicates, a batch that the micro batch does not divide.",
    },
    Explanation {
        code: "D0114",
        title: "no stages",
        text: "The file is a pipeline without a stage: there is nothing to run.",
    },
    Explanation {
        code: "D0201",
        title: "unknown stage",
        text: "\
An input names a stage that is not in the file. An input is the name of a stage (`from = \"traces\"`) \
or of one of its outputs (`from = \"accepted.rejected\"`), never a file: data enters through a \
`problems` stage.",
    },
    Explanation {
        code: "D0202",
        title: "a stage reads itself",
        text: "A stage names itself as its input or model. It would have to be finished before it begins.",
    },
    Explanation {
        code: "D0203",
        title: "stages in a circle",
        text: "\
Each stage of the circle needs the output of the next, so none can begin. The error shows the place \
of every step. To repeat a loop (train, sample again, train again), write the rounds as stages of \
their own.",
    },
    Explanation {
        code: "D0204",
        title: "unknown output",
        text: "\
`stage.output` names an output that the stage does not have. Without a dot, the main output is \
meant. A stage that drops rows keeps them in a second output, `rejected`.",
    },
    Explanation {
        code: "D0205",
        title: "a model where a stage is needed",
        text: "\
An input slot names an entry of `[models]`. A model is not a table; a `sample` stage asks it and \
gives a table.",
    },
    Explanation {
        code: "D0206",
        title: "wrong artifact",
        text: "\
Stages give tables, models or documents, and a slot takes one sort of them. Here a slot is filled \
with another sort: a filter cannot read a trained model.",
    },
    Explanation {
        code: "D0207",
        title: "unknown model",
        text: "\
A bare text in a model slot is the name of an entry of `[models]` or of a stage that trains a \
model. Hub ids, folders and servers stand in a table that says which they are: \
`{ hf = \"Qwen/Qwen2.5-0.5B\" }`, `{ path = \"models/base\" }`.",
    },
    Explanation {
        code: "D0208",
        title: "missing column",
        text: "\
A stage needs a column that its input does not have. Columns are checked along the whole graph \
before anything runs. Usually the stages are in the wrong order, or a stage that adds the column \
(`filter` adds `verdict`, `reformat` adds `messages`) is missing in between.",
    },
    Explanation {
        code: "D0209",
        title: "missing file",
        text: "\
A setting names a file or folder that is not there. Relative paths start from the folder of the \
pipeline file, not from where the program was started.",
    },
    Explanation {
        code: "D0210",
        title: "unused model (warning)",
        text: "\
An entry of `[models]` that no stage uses. It does no harm; often a stage names another model than \
its author thought.",
    },
    Explanation {
        code: "D0211",
        title: "a stage that gives no model",
        text: "\
A model slot names a stage whose output is a table or a document. Stages that train (`sft`) give \
models.",
    },
    Explanation {
        code: "D0212",
        title: "a model that does not say what it is",
        text: "\
A model is exactly one of: a hub id (`hf`, with a `revision`), a local folder (`path`), or a `name` \
that a `server` knows. What answers is part of every key, so it may not be left open. A server says \
where it answers, and may stand beside any of them.",
    },
    Explanation {
        code: "D0213",
        title: "inputs that do not fit",
        text: "\
The inputs of a stage are there, but not as its kind needs them: none, too many, or tables whose \
columns do not go together.",
    },
    Explanation {
        code: "D0301",
        title: "a sweep key that is no setting",
        text: "\
Keys of `[sweep]` read \"stage.field\": the name of a stage (or model), a dot, and the setting to \
vary, with further dots for nested settings: `\"traces.n\" = [1, 4]`. `\"pipeline.seed\"` varies the seed.",
    },
    Explanation {
        code: "D0302",
        title: "sweep over an unknown stage",
        text: "A key of `[sweep]` begins with a name that is neither a stage nor a model of this file.",
    },
    Explanation {
        code: "D0303",
        title: "sweep values that are no list",
        text: "\
A swept setting has a list of values, one variant each. A single value is no sweep and belongs into \
the stage. To sweep a setting that is itself a list, give a list of lists.",
    },
    Explanation {
        code: "D0304",
        title: "empty sweep",
        text: "\
A sweep over an empty list has no variants at all: nothing would run, without a word. Take the key \
out or give it values.",
    },
    Explanation {
        code: "D0305",
        title: "swept kind",
        text: "\
A sweep varies the settings of a stage, not what it is. Write a stage for each kind, and sweep the \
input of the next stage over their names.",
    },
    Explanation {
        code: "D0306",
        title: "too many variants",
        text: "\
Every combination of the swept values is a variant, so the lists multiply. Beyond 10,000 variants \
the file is refused. Split the sweep, or use `--set` to fix some of its keys.",
    },
    Explanation {
        code: "D0307",
        title: "a sweep value twice",
        text: "\
The same value stands in a sweep list twice. Both variants would be the same run and could not be \
told apart in a table. For repetitions, sweep `\"pipeline.seed\"`.",
    },
    Explanation {
        code: "D0308",
        title: "unused defaults (warning)",
        text: "`[defaults.KIND]` for a kind of which the file has no stage: nothing reads these settings.",
    },
    Explanation {
        code: "D0309",
        title: "--set that cannot be read",
        text: "\
A `--set` reads `STAGE.FIELD=VALUE`. The value is TOML (`8`, `true`, `[1, 2]`, `\"text\"`); anything \
that is not TOML is taken as text.",
    },
    Explanation {
        code: "D0310",
        title: "--set of an unknown stage",
        text: "A `--set` begins with a name that is neither a stage, a model nor a section of this file.",
    },
    Explanation {
        code: "D0311",
        title: "a path through a plain value",
        text: "\
A sweep key or `--set` goes on below a setting that is a plain value: `traces.n.x`, where `n` is a \
number, has no place to stand in.",
    },
    Explanation {
        code: "D0401",
        title: "damaged lock file",
        text: "\
The lock file beside the pipeline cannot be read. It is written by the program; if a merge damaged \
it, mend the lines or delete it to have every revision looked up again (which may move them).",
    },
    Explanation {
        code: "D0402",
        title: "lock file of a newer version",
        text: "\
The lock file was written by a newer version of the program, and this one does not know what it \
means. Nothing was changed.",
    },
    Explanation {
        code: "D0403",
        title: "lock entry that is no revision",
        text: "\
An entry of the lock file reads `\"dataset:owner/name@revision\" = \"commit\"` (or `model:`), where \
the commit is 7 to 64 hexadecimal digits.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_explained() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for explanation in CODES {
            assert!(explanation.text.len() > 50, "{}", explanation.code);
            assert!(reference_page().contains(explanation.text));
        }
        assert_eq!(explain("d0203").unwrap().code, "D0203");
        assert!(explain("D9999").is_none());
    }
}
