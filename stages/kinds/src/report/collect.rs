//! Reading a report's inputs: what a table is, is told by its columns, so that a table of the user's own program takes
//! part as well as one of ours. Tables are streamed; what is kept of them is counts, lengths and a capped sample.

use std::collections::{BTreeMap, BinaryHeap};

use arrow::array::{Array, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use dag_engine::{StageError, Table};

use super::chart::Lengths;
use super::page::{ScoreRow, Trace};
use crate::columns::{filled, optional_text};

/// The longest text of a trace that the page shows, in bytes.
const LONGEST: usize = 20_000;
/// Traces that are kept of one verdict of one family of one stage.
const KEPT_PER_STRATUM: usize = 24;

/// What a table is to the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Problems without answers.
    Problems,
    /// Answers without verdicts.
    Sampled,
    /// Answers with verdicts.
    Graded,
    /// Rows with messages to train on.
    Formatted,
    /// An eval's scores.
    Scores,
    /// An eval's answers.
    Samples,
    /// Measurements by step.
    Metrics,
    /// Rows that a stage kept aside.
    Rejected,
    /// A table that says nothing to the report.
    Other,
}

impl Role {
    pub(crate) fn of(table: &Table, output: &str) -> Self {
        let has = |name: &str| table.schema().column_with_name(name).is_some();
        if has("benchmark") && has("model") && has("rate") && has("low") && has("high") {
            Self::Scores
        } else if has("benchmark") && has("verdict") && has("response") {
            Self::Samples
        } else if has("step")
            && table
                .schema()
                .fields()
                .iter()
                .any(|field| field.name().contains("loss"))
        {
            Self::Metrics
        } else if output == "rejected" || output == "failed" {
            Self::Rejected
        } else if has("messages") {
            Self::Formatted
        } else if has("verdict") && has("response") {
            Self::Graded
        } else if has("response") {
            Self::Sampled
        } else if has("prompt") {
            Self::Problems
        } else {
            Self::Other
        }
    }

    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Problems => "problems",
            Self::Sampled => "sampled answers",
            Self::Graded => "graded answers",
            Self::Formatted => "training rows",
            Self::Scores => "scores",
            Self::Samples => "graded answers of the eval",
            Self::Metrics => "measurements",
            Self::Rejected => "rows kept aside",
            Self::Other => "counted only",
        }
    }
}

/// What was read of one table.
pub(crate) struct Facts {
    pub(crate) stage: String,
    pub(crate) role: Role,
    pub(crate) rows: u64,
    pub(crate) families: BTreeMap<String, u64>,
    /// Rows by verdict; for samples of an eval, by model too.
    pub(crate) verdicts: BTreeMap<(String, String), u64>,
    /// Lengths by stage label and by whether the verdict is a pass; `None` without verdicts.
    pub(crate) lengths: BTreeMap<(String, Option<bool>), Lengths>,
}

/// Columns of a batch that the report looks at.
struct Columns {
    family: Option<StringArray>,
    verdict: Option<StringArray>,
    model: Option<StringArray>,
    finish: Option<StringArray>,
    tokens: Option<Int64Array>,
}

/// Streams a table, counts it, and offers its answers to `sample`.
pub(crate) fn read(
    stage: &str,
    role: Role,
    table: &Table,
    sample: &mut Sample,
) -> Result<Facts, StageError> {
    let mut facts = Facts {
        stage: stage.to_owned(),
        role,
        rows: table.rows(),
        families: BTreeMap::new(),
        verdicts: BTreeMap::new(),
        lengths: BTreeMap::new(),
    };
    if matches!(role, Role::Scores | Role::Metrics | Role::Other) {
        return Ok(facts);
    }
    for batch in table.batches()? {
        let batch = batch?;
        let columns = Columns {
            family: optional_text(&batch, "family")?,
            verdict: optional_text(&batch, "verdict")?,
            model: if role == Role::Samples {
                optional_text(&batch, "model")?
            } else {
                None
            },
            finish: optional_text(&batch, "finish_reason")?,
            tokens: integers(&batch, "completion_tokens")?,
        };
        let texts = if role == Role::Formatted {
            None
        } else {
            Texts::of(&batch)?
        };
        for row in 0..batch.num_rows() {
            facts.take(&columns, row);
            if let Some(texts) = &texts {
                sample.offer(|| facts.label(&columns, row), &columns, texts, row);
            }
        }
    }
    Ok(facts)
}

impl Facts {
    fn label(&self, columns: &Columns, row: usize) -> String {
        match filled(columns.model.as_ref(), row) {
            Some(model) => format!("{} · {model}", self.stage),
            None => self.stage.clone(),
        }
    }

    fn take(&mut self, columns: &Columns, row: usize) {
        let family = filled(columns.family.as_ref(), row).unwrap_or("(none)");
        add(&mut self.families, family);
        let label = self.label(columns, row);
        let verdict = filled(columns.verdict.as_ref(), row);
        if let Some(verdict) = verdict {
            *self
                .verdicts
                .entry((label.clone(), verdict.to_owned()))
                .or_default() += 1;
        }
        if self.role != Role::Formatted
            && let Some(tokens) = columns
                .tokens
                .as_ref()
                .filter(|tokens| tokens.is_valid(row))
                .map(|tokens| tokens.value(row))
        {
            let lengths = self
                .lengths
                .entry((label, verdict.map(|verdict| verdict == "pass")))
                .or_default();
            lengths
                .tokens
                .push(u32::try_from(tokens.max(0)).unwrap_or(u32::MAX));
            lengths.truncated += u64::from(filled(columns.finish.as_ref(), row) == Some("length"));
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

/// Columns of a trace.
struct Texts {
    id: Option<StringArray>,
    prompt: Option<StringArray>,
    response: StringArray,
    reasoning: Option<StringArray>,
    gold: Option<StringArray>,
    extracted: Option<StringArray>,
    rule: Option<StringArray>,
    reason: Option<StringArray>,
    replicate: Option<Int64Array>,
}

impl Texts {
    fn of(batch: &RecordBatch) -> Result<Option<Self>, StageError> {
        let Some(response) = optional_text(batch, "response")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id: optional_text(batch, "id")?,
            prompt: optional_text(batch, "prompt")?,
            response,
            reasoning: optional_text(batch, "reasoning")?,
            gold: optional_text(batch, "answer")?,
            extracted: optional_text(batch, "extracted")?,
            rule: optional_text(batch, "rule")?,
            reason: optional_text(batch, "reason")?,
            replicate: integers(batch, "replicate")?,
        }))
    }
}

/// A stratified sample of traces: of every stage, verdict and family alike, those whose place in a fixed shuffle comes
/// first. The order of the rows plays no part in which these are.
#[derive(Default)]
pub(crate) struct Sample {
    strata: BTreeMap<(String, Option<String>, Option<String>), BinaryHeap<Drawn>>,
    pub(crate) offered: u64,
}

/// A trace and its place in the shuffle.
struct Drawn {
    place: [u8; 16],
    trace: Trace,
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Drawn {}

impl PartialOrd for Drawn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Drawn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl Sample {
    fn offer(
        &mut self,
        label: impl FnOnce() -> String,
        columns: &Columns,
        texts: &Texts,
        row: usize,
    ) {
        self.offered += 1;
        let id = filled(texts.id.as_ref(), row).unwrap_or("");
        let replicate = texts
            .replicate
            .as_ref()
            .filter(|r| r.is_valid(row))
            .map(|r| r.value(row));
        let response = filled(Some(&texts.response), row).unwrap_or("");
        let label = label();
        let mut hasher = blake3::Hasher::new_derive_key("dag report trace sample v1");
        for part in [
            label.as_bytes(),
            id.as_bytes(),
            &replicate.unwrap_or(-1).to_le_bytes(),
            response.as_bytes(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut place = [0; 16];
        place.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (family, verdict) = (
            owned(filled(columns.family.as_ref(), row)),
            owned(filled(columns.verdict.as_ref(), row)),
        );
        let heap = self
            .strata
            .entry((label.clone(), verdict.clone(), family.clone()))
            .or_default();
        if heap.len() >= KEPT_PER_STRATUM && heap.peek().is_some_and(|last| last.place <= place) {
            return;
        }
        let mut was_cut = false;
        let mut short = |text: &str| {
            let end = text.floor_char_boundary(LONGEST);
            was_cut |= end < text.len();
            text[..end].to_owned()
        };
        let (thought, said) = match filled(texts.reasoning.as_ref(), row) {
            Some(reasoning) => (Some(reasoning), response),
            None => split_thought(response),
        };
        let trace = Trace {
            stage: label,
            family,
            verdict,
            id: id.to_owned(),
            replicate,
            prompt: short(filled(texts.prompt.as_ref(), row).unwrap_or("")),
            thought: thought.map(&mut short),
            response: short(said),
            gold: filled(texts.gold.as_ref(), row).map(&mut short),
            extracted: filled(texts.extracted.as_ref(), row).map(&mut short),
            rule: owned(filled(texts.rule.as_ref(), row)),
            reason: filled(texts.reason.as_ref(), row).map(&mut short),
            tokens: columns
                .tokens
                .as_ref()
                .filter(|t| t.is_valid(row))
                .map(|t| t.value(row)),
            finish: owned(filled(columns.finish.as_ref(), row)),
            cut: was_cut,
        };
        heap.push(Drawn { place, trace });
        if heap.len() > KEPT_PER_STRATUM {
            heap.pop();
        }
    }

    /// At most `most` traces, taken from all strata in turn, and sorted by stratum.
    pub(crate) fn take(self, most: usize) -> Vec<Trace> {
        let mut strata: Vec<_> = self
            .strata
            .into_values()
            .map(|heap| heap.into_sorted_vec().into_iter())
            .collect();
        let mut taken: Vec<Vec<Trace>> = strata.iter().map(|_| Vec::new()).collect();
        let mut left = most;
        while left > 0 {
            let before = left;
            for (stratum, taken) in strata.iter_mut().zip(&mut taken) {
                if left > 0
                    && let Some(drawn) = stratum.next()
                {
                    taken.push(drawn.trace);
                    left -= 1;
                }
            }
            if left == before {
                break;
            }
        }
        taken.into_iter().flatten().collect()
    }
}

/// Parts a response into its thought and what it says, by the tags of the usual formats; a response without them is
/// all said.
fn split_thought(response: &str) -> (Option<&str>, &str) {
    const TAGS: [(&str, &str); 3] = [
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<think>", "</think>"),
        ("<thought>", "</thought>"),
    ];
    for (open, close) in TAGS {
        if let Some((thought, said)) = response.split_once(close) {
            let thought = thought
                .split_once(open)
                .map_or(thought, |(_, thought)| thought);
            let said = said
                .trim()
                .trim_start_matches("<|begin_of_solution|>")
                .trim_end_matches("<|end_of_solution|>");
            return (Some(thought.trim()), said.trim());
        }
    }
    (None, response)
}

/// The rows of an eval's `scores` table.
pub(crate) fn scores(table: &Table) -> Result<Vec<ScoreRow>, StageError> {
    let mut rows = Vec::new();
    for batch in table.batches()? {
        let batch = batch?;
        let text = |name: &str| optional_text(&batch, name);
        let (model, benchmark, family, base) = (
            text("model")?,
            text("benchmark")?,
            text("family")?,
            text("base")?,
        );
        let float = |name: &str| floats(&batch, name);
        let (rate, low, high, majority) = (
            float("rate")?,
            float("low")?,
            float("high")?,
            float("majority")?,
        );
        let (tokens, truncated) = (float("mean_tokens")?, float("truncated")?);
        let (difference, d_low, d_high, p) = (
            float("difference")?,
            float("difference_low")?,
            float("difference_high")?,
            float("p")?,
        );
        let integer = |name: &str| integers(&batch, name);
        let (problems, samples, k) = (integer("problems")?, integer("samples")?, integer("k")?);
        for row in 0..batch.num_rows() {
            let number = |column: &Option<Float64Array>| {
                column
                    .as_ref()
                    .filter(|c| c.is_valid(row))
                    .map(|c| c.value(row))
                    .filter(|v| v.is_finite())
            };
            let count = |column: &Option<Int64Array>| {
                column
                    .as_ref()
                    .filter(|c| c.is_valid(row))
                    .map(|c| c.value(row))
            };
            let Some(((rate, low), high)) = number(&rate).zip(number(&low)).zip(number(&high))
            else {
                continue;
            };
            let name =
                |column: &Option<StringArray>| filled(column.as_ref(), row).map(str::to_owned);
            rows.push(ScoreRow {
                model: name(&model).unwrap_or_default(),
                benchmark: name(&benchmark).unwrap_or_default(),
                family: name(&family).unwrap_or_else(|| "all".into()),
                problems: count(&problems).unwrap_or_default(),
                samples: count(&samples).unwrap_or_default(),
                k: count(&k).unwrap_or(1),
                rate,
                low,
                high,
                majority: number(&majority),
                mean_tokens: number(&tokens),
                truncated: number(&truncated),
                base: name(&base),
                difference: number(&difference),
                difference_low: number(&d_low),
                difference_high: number(&d_high),
                p: number(&p),
                clear: number(&d_low).is_some_and(|low| low > 0.0)
                    || number(&d_high).is_some_and(|high| high < 0.0),
            });
        }
    }
    Ok(rows)
}

/// The points of a curve, `(x, y)`.
pub(crate) type Curve = Vec<(f64, f64)>;

/// Points (step, value) of each measurement worth a curve.
pub(crate) fn metrics(table: &Table) -> Result<Vec<(String, Curve)>, StageError> {
    /// Places in time and counts are axes and sums, no curves.
    const NO_CURVE: [&str; 8] = [
        "step", "epoch", "seconds", "tokens", "rows", "time", "examples", "seed",
    ];
    let names: Vec<String> = table
        .schema()
        .fields()
        .iter()
        .filter(|field| {
            field.data_type().is_numeric() && !NO_CURVE.contains(&field.name().as_str())
        })
        .map(|field| field.name().clone())
        .collect();
    let mut curves: Vec<(String, Vec<(f64, f64)>)> =
        names.into_iter().map(|name| (name, Vec::new())).collect();
    for batch in table.batches()? {
        let batch = batch?;
        let Some(steps) = floats(&batch, "step")? else {
            continue;
        };
        for (name, points) in &mut curves {
            let Some(values) = floats(&batch, name)? else {
                continue;
            };
            points.extend(
                (0..batch.num_rows())
                    .filter(|row| steps.is_valid(*row) && values.is_valid(*row))
                    .map(|row| (steps.value(row), values.value(row))),
            );
        }
    }
    // losses first, the rest as the table has them
    curves.sort_by_key(|(name, _)| !name.contains("loss"));
    Ok(curves)
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Option<Int64Array>, StageError> {
    match batch
        .column_by_name(name)
        .filter(|column| column.data_type().is_integer())
    {
        Some(column) => Ok(Some(
            cast(column, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone(),
        )),
        None => Ok(None),
    }
}

fn floats(batch: &RecordBatch, name: &str) -> Result<Option<Float64Array>, StageError> {
    match batch
        .column_by_name(name)
        .filter(|column| column.data_type().is_numeric())
    {
        Some(column) => Ok(Some(
            cast(column, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone(),
        )),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_parted_from_what_is_said() {
        assert_eq!(split_thought("<think>a</think>b"), (Some("a"), "b"));
        assert_eq!(
            split_thought(
                "<|begin_of_thought|>\n\nx\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n7\n\n<|end_of_solution|>"
            ),
            (Some("x"), "7")
        );
        assert_eq!(split_thought("just 7"), (None, "just 7"));
        // a template that opens the thought itself leaves only its end in the reply
        assert_eq!(split_thought("a</think>b"), (Some("a"), "b"));
    }
}
