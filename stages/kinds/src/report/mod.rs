//! `report`: any stages in, one HTML page out, that needs nothing but itself.
//!
//! | in | out |
//! |---|---|
//! | an eval's scores and samples | headline, dot plots with intervals, paired differences, tables |
//! | measurements by step | curves |
//! | problems, traces, verdicts, training rows | funnel by family, verdicts, lengths, trace browser |
//! | a model, any other table | a line under provenance |
//!
//! The page is a function of the contents of its inputs: it holds no time and no place, so the same inputs give the
//! same bytes. What is known only after the run (states, times, settings) goes into its slot by [`with_run`]. A part
//! whose inputs are missing is left out.

mod chart;
mod collect;
mod page;

use std::collections::{BTreeMap, BTreeSet};

use dag_engine::{
    ArtifactType, Declaration, Fault, Inputs, OneOrMany, OutputDecl, StageContext, StageError,
    StageKind, StageRef, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use chart::{Dot, Lengths, Width};
use collect::{Facts, Role};
pub use page::with_run;
use page::{
    Card, Differences, Families, FamilyPlot, Funnel, FunnelBar, FunnelFamily, Input, Page,
    ScoreRow, Scores, Traces, VerdictRow, Verdicts,
};

/// Settings of `report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSettings {
    /// The stages to report on: every output of each, or one output as `stage.output`. Semantic.
    pub from: OneOrMany<StageRef>,
    /// The page's title. Default: the stage's name. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The most traces on the page, taken evenly from stages, verdicts and families. Default 200. Semantic.
    #[serde(default = "default_traces")]
    pub traces: u32,
}

fn default_traces() -> u32 {
    200
}

/// The kind `report`.
pub struct Report;

impl StageKind for Report {
    type Settings = ReportSettings;

    const NAME: &'static str = "report";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "one self-contained HTML page about any stages";
    const VERB: &'static str = "Reported";

    fn declare(settings: &ReportSettings) -> Declaration {
        let ReportSettings {
            from,
            title,
            traces,
        } = settings;
        Declaration::new()
            .input_all("from", from)
            .key(canon::Value::map([
                (
                    "title",
                    title
                        .as_deref()
                        .map_or(canon::Value::Null, canon::Value::from),
                ),
                ("traces", (*traces).into()),
                // in the key, since tables name their stages on the page
                (
                    "from",
                    canon::Value::List(from.iter().map(|name| name.0.as_str().into()).collect()),
                ),
            ]))
            .unseeded()
    }

    fn outputs(_: &ReportSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::document("main")])
    }

    fn check(settings: &ReportSettings) -> Vec<Fault> {
        if settings.from.is_empty() {
            return vec![Fault::field(
                "from",
                "`from` names no stage: there is nothing to report on",
            )];
        }
        Vec::new()
    }

    fn run(settings: &ReportSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let title = settings
            .title
            .clone()
            .unwrap_or_else(|| cx.stage().to_owned());
        let mut gathered = Gathered::default();
        cx.progress().set_total(cx.inputs("from").len() as u64);
        for input in cx.inputs("from") {
            let artifact = &input.artifact;
            let (kind, role) = match artifact.artifact {
                ArtifactType::Table => {
                    let table = cx.open_table(input)?;
                    let role = Role::of(&table, &input.output);
                    gathered.take(&input.stage, role, &table)?;
                    ("table", role.told())
                }
                ArtifactType::Model => ("model", "listed"),
                ArtifactType::Document => ("document", "listed"),
            };
            gathered.inputs.push(Input {
                stage: input.stage.clone(),
                output: input.output.clone(),
                artifact: kind,
                rows: artifact.rows,
                size: artifact.size,
                content: artifact.content.to_string(),
                role,
            });
            if cx.cancel().stopping() {
                return Err(StageError::Interrupted);
            }
            cx.progress().advance(1);
        }
        let page = gathered.page(title, settings.traces as usize);
        for note in &page.notes {
            cx.note(note);
        }
        let html = page::render(&page)
            .map_err(|error| StageError::bug(format!("the report's template: {error}")))?;
        cx.put_document("main", "text/html", html.as_bytes())
    }
}

/// What was read of all inputs.
#[derive(Default)]
struct Gathered {
    facts: Vec<Facts>,
    sample: collect::Sample,
    scores: Vec<ScoreRow>,
    curves: Vec<(String, String, collect::Curve)>,
    inputs: Vec<Input>,
}

impl Gathered {
    fn take(
        &mut self,
        stage: &str,
        role: Role,
        table: &dag_engine::Table,
    ) -> Result<(), StageError> {
        self.facts
            .push(collect::read(stage, role, table, &mut self.sample)?);
        match role {
            Role::Scores => self.scores.extend(collect::scores(table)?),
            Role::Metrics => {
                let curves = collect::metrics(table)?;
                self.curves.extend(
                    curves
                        .into_iter()
                        .map(|(metric, points)| (stage.to_owned(), metric, points)),
                );
            }
            Role::Problems
            | Role::Sampled
            | Role::Graded
            | Role::Formatted
            | Role::Samples
            | Role::Rejected
            | Role::Other => {}
        }
        Ok(())
    }

    fn page(self, title: String, most_traces: usize) -> Page {
        let colours = Colours::of(&self.scores);
        let overall: Vec<ScoreRow> = self
            .scores
            .iter()
            .filter(|row| row.family == "all")
            .cloned()
            .collect();
        let by_family: Vec<ScoreRow> = self
            .scores
            .iter()
            .filter(|row| row.family != "all")
            .cloned()
            .collect();
        let differing: Vec<ScoreRow> = overall
            .iter()
            .filter(|row| row.difference.is_some())
            .cloned()
            .collect();
        let offered = self.sample.offered;
        let shown = self.sample.take(most_traces);
        let mut notes = Vec::new();
        let told = if shown.len() as u64 == offered {
            format!("All {offered} answers.")
        } else {
            let told = format!(
                "{} of {offered} answers, taken evenly from stages, verdicts and families.",
                shown.len()
            );
            notes.push(format!("the trace browser shows {told}"));
            told
        };
        let cut = shown.iter().filter(|trace| trace.cut).count();
        if cut > 0 {
            notes.push(format!("{cut} traces are cut for the page"));
        }
        let funnel = funnel(&self.facts);
        Page {
            title,
            lead: lead(&self.inputs),
            headline: headline(&overall, &colours),
            families: families(&by_family, &colours),
            differences: differences(differing, &colours),
            scores: (!overall.is_empty()).then(|| Scores {
                plot: chart::dot_plot(score_groups(&overall, &colours), (0.0, 1.0), Width::Page),
                rows: overall,
            }),
            curves: {
                let stages: Vec<&str> = self
                    .curves
                    .iter()
                    .map(|(stage, _, _)| stage.as_str())
                    .collect();
                self.curves
                    .iter()
                    .filter_map(|(stage, metric, points)| {
                        chart::curve(stage, metric, &colours.nth(place(&stages, stage)), points)
                    })
                    .collect()
            },
            verdicts: verdicts(&self.facts),
            lengths: lengths(&self.facts),
            funnel,
            traces: Traces { shown, told },
            inputs: self.inputs,
            notes,
        }
    }
}

/// The place of a name among the different names of a list.
fn place(names: &[&str], name: &str) -> usize {
    let mut seen: Vec<&str> = Vec::new();
    for candidate in names {
        if !seen.contains(candidate) {
            seen.push(candidate);
        }
    }
    seen.iter()
        .position(|candidate| *candidate == name)
        .unwrap_or(0)
}

/// A colour class for every model: the base is grey everywhere, the others have the same colour in every chart.
struct Colours {
    base: Option<String>,
    others: Vec<String>,
}

impl Colours {
    fn of(scores: &[ScoreRow]) -> Self {
        let base = scores.iter().find_map(|row| row.base.clone());
        let mut others: Vec<String> = Vec::new();
        for row in scores {
            if Some(&row.model) != base.as_ref() && !others.contains(&row.model) {
                others.push(row.model.clone());
            }
        }
        Self { base, others }
    }

    fn model(&self, name: &str) -> String {
        if self.base.as_deref() == Some(name) {
            return "c-base".into();
        }
        self.nth(
            self.others
                .iter()
                .position(|other| other == name)
                .unwrap_or(0),
        )
    }

    fn nth(&self, at: usize) -> String {
        format!("c{}", at % 6 + 1)
    }
}

fn lead(inputs: &[Input]) -> String {
    let stages: BTreeSet<&str> = inputs.iter().map(|input| input.stage.as_str()).collect();
    let stages: Vec<&str> = stages.into_iter().collect();
    format!("Made from {}.", stages.join(", "))
}

fn interval(low: f64, high: f64) -> String {
    format!("[{}, {}]", page::percent(low), page::percent(high))
}

fn headline(overall: &[ScoreRow], colours: &Colours) -> Vec<Card> {
    const MOST: usize = 8;
    let several = place(
        &overall
            .iter()
            .map(|row| row.benchmark.as_str())
            .collect::<Vec<_>>(),
        overall.last().map_or("", |row| &row.benchmark),
    ) > 0;
    overall
        .iter()
        .filter(|row| row.k == 1)
        .map(|row| Card {
            label: if several {
                format!("{} on {}", row.model, row.benchmark)
            } else {
                row.model.clone()
            },
            value: page::percent(row.rate),
            unit: "%".into(),
            detail: match (row.difference, row.difference_low, row.difference_high) {
                (Some(difference), Some(low), Some(high)) => format!(
                    "{} · {} to base [{}, {}]",
                    interval(row.low, row.high),
                    page::signed(difference),
                    page::signed(low),
                    page::signed(high)
                ),
                _ => format!("{} · 95 % interval", interval(row.low, row.high)),
            },
            colour: colours.model(&row.model),
        })
        .take(MOST)
        .collect()
}

fn score_dot(row: &ScoreRow, colours: &Colours) -> Dot {
    Dot {
        label: if row.k == 1 {
            row.model.clone()
        } else {
            format!("{} pass@{}", row.model, row.k)
        },
        text: format!(
            "{} % {}",
            page::percent(row.rate),
            interval(row.low, row.high)
        ),
        colour: colours.model(&row.model),
        value: row.rate,
        low: row.low,
        high: row.high,
    }
}

/// Dots grouped by benchmark, in the order of the rows.
fn grouped(rows: &[ScoreRow], dot: impl Fn(&ScoreRow) -> Dot) -> Vec<(String, Vec<Dot>)> {
    let mut groups: Vec<(String, Vec<Dot>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(name, _)| *name == row.benchmark) {
            Some((_, dots)) => dots.push(dot(row)),
            None => groups.push((row.benchmark.clone(), vec![dot(row)])),
        }
    }
    groups
}

fn score_groups(rows: &[ScoreRow], colours: &Colours) -> Vec<(String, Vec<Dot>)> {
    grouped(rows, |row| score_dot(row, colours))
}

fn families(rows: &[ScoreRow], colours: &Colours) -> Option<Families> {
    let several = rows.iter().any(|row| row.benchmark != rows[0].benchmark);
    let mut plots: Vec<(String, Vec<Dot>)> = Vec::new();
    for row in rows {
        let label = if several {
            format!("{}: {}", row.benchmark, row.family)
        } else {
            row.family.clone()
        };
        match plots.iter_mut().find(|(name, _)| *name == label) {
            Some((_, dots)) => dots.push(score_dot(row, colours)),
            None => plots.push((label, vec![score_dot(row, colours)])),
        }
    }
    (!rows.is_empty()).then(|| Families {
        plots: plots
            .into_iter()
            .map(|(label, dots)| FamilyPlot {
                label,
                plot: chart::dot_plot(vec![(String::new(), dots)], (0.0, 1.0), Width::Small),
            })
            .collect(),
        rows: rows.to_vec(),
    })
}

fn differences(rows: Vec<ScoreRow>, colours: &Colours) -> Option<Differences> {
    let bound = |pick: fn(&ScoreRow) -> Option<f64>| rows.iter().filter_map(pick);
    let low = bound(|row| row.difference_low).fold(0.0, f64::min);
    let high = bound(|row| row.difference_high).fold(0.0, f64::max);
    let groups = grouped(&rows, |row| {
        let (low, high) = (
            row.difference_low.unwrap_or_default(),
            row.difference_high.unwrap_or_default(),
        );
        let difference = row.difference.unwrap_or_default();
        Dot {
            label: if row.k == 1 {
                row.model.clone()
            } else {
                format!("{} pass@{}", row.model, row.k)
            },
            text: format!(
                "{} [{}, {}]",
                page::signed(difference),
                page::signed(low),
                page::signed(high)
            ),
            colour: colours.model(&row.model),
            value: difference,
            low,
            high,
        }
    });
    (!rows.is_empty()).then(|| Differences {
        base: colours.base.clone().unwrap_or_else(|| "base".into()),
        plot: chart::dot_plot(groups, (low, high), Width::Page),
        rows,
    })
}

fn funnel(facts: &[Facts]) -> Option<Funnel> {
    const LEFT: f64 = 320.0;
    const SPAN: f64 = 540.0;
    const BAR: f64 = 28.0;
    let mut steps: Vec<(&str, &Facts)> = facts
        .iter()
        .filter_map(|facts| {
            let label = match facts.role {
                Role::Problems => "problems",
                Role::Sampled => "sampled",
                Role::Graded => "kept",
                Role::Formatted => "formatted",
                Role::Scores | Role::Samples | Role::Metrics | Role::Rejected | Role::Other => {
                    return None;
                }
            };
            Some((label, facts))
        })
        .collect();
    steps.sort_by_key(|(_, facts)| facts.role);
    let most = steps
        .iter()
        .map(|(_, facts)| facts.rows)
        .max()
        .filter(|most| *most > 0)?;
    let names: BTreeSet<&String> = steps
        .iter()
        .flat_map(|(_, facts)| facts.families.keys())
        .collect();
    let bars: Vec<FunnelBar> = steps
        .iter()
        .enumerate()
        .map(|(at, (label, facts))| FunnelBar {
            label: (*label).to_owned(),
            stage: facts.stage.clone(),
            rows: facts.rows,
            y: at as f64 * BAR,
            length: (facts.rows as f64 / most as f64 * SPAN * 10.0).round() / 10.0,
        })
        .collect();
    Some(Funnel {
        width: 960.0,
        height: bars.len() as f64 * BAR,
        left: LEFT,
        span: SPAN,
        bars,
        families: names
            .into_iter()
            .map(|family| FunnelFamily {
                family: family.clone(),
                cells: steps
                    .iter()
                    .map(|(_, facts)| facts.families.get(family).copied())
                    .collect(),
            })
            .collect(),
    })
}

fn verdicts(facts: &[Facts]) -> Option<Verdicts> {
    let mut by_stage: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((label, verdict), count) in facts.iter().flat_map(|facts| &facts.verdicts) {
        *by_stage
            .entry(label)
            .or_default()
            .entry(verdict)
            .or_default() += count;
    }
    const ORDER: [&str; 5] = ["pass", "fail", "error", "timeout", "unparsable"];
    let found: BTreeSet<&str> = by_stage
        .values()
        .flat_map(|counts| counts.keys().copied())
        .collect();
    let names: Vec<&str> = ORDER
        .into_iter()
        .filter(|name| found.contains(name))
        .chain(found.iter().copied().filter(|name| !ORDER.contains(name)))
        .collect();
    let rows: Vec<VerdictRow> = by_stage
        .iter()
        .map(|(stage, counts)| {
            let all: u64 = counts.values().sum();
            let passed = counts.get("pass").copied().unwrap_or(0);
            VerdictRow {
                stage: (*stage).to_owned(),
                cells: names
                    .iter()
                    .map(|name| counts.get(name).copied().unwrap_or(0))
                    .collect(),
                passed: passed as f64 / all.max(1) as f64,
            }
        })
        .collect();
    (!rows.is_empty()).then(|| Verdicts {
        names: names.into_iter().map(str::to_owned).collect(),
        rows,
    })
}

fn lengths(facts: &[Facts]) -> Vec<chart::LengthPlot> {
    let mut by_stage: BTreeMap<&str, BTreeMap<Option<bool>, Lengths>> = BTreeMap::new();
    for ((label, passed), lengths) in facts.iter().flat_map(|facts| &facts.lengths) {
        let all = by_stage
            .entry(label)
            .or_default()
            .entry(*passed)
            .or_default();
        all.tokens.extend(&lengths.tokens);
        all.truncated += lengths.truncated;
    }
    by_stage
        .into_iter()
        .filter_map(|(stage, parts)| {
            let parts = parts
                .into_iter()
                .rev()
                .map(|(passed, lengths)| {
                    let (label, colour) = match passed {
                        Some(true) => ("passed", "c4"),
                        Some(false) => ("not passed", "c5"),
                        None => ("all", "c1"),
                    };
                    (label.to_owned(), colour.to_owned(), lengths)
                })
                .collect();
            chart::length_plot(stage, parts)
        })
        .collect()
}
