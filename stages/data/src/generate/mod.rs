//! Seeded reasoning problems with exact gold answers, for models of a few hundred thousand parameters.
//!
//! What it promises: the same settings and seed give the same rows for ever; a larger `count` keeps the rows of a
//! smaller one; a problem of the test split never occurs in the train split, whatever the seeds, because the prompt
//! itself decides its split; every character is one of [`ALPHABET`].

mod family;
mod machine;

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use family::Family;

use crate::dice::Dice;
use crate::problem::Problem;
use family::Instance;

/// Every character that generated prompts, work and answers use.
pub const ALPHABET: &str = "\n #$%()*+-0123456789;=>LR`abcdefghilorstvx~";

/// The most steps a problem can have.
pub const MAX_STEPS: u32 = 8;

/// Of every eight problems one is for testing.
const TEST_ONE_IN: u8 = 8;

/// How many misses in a row make a number of steps count as used up.
const MISSES: u32 = 2_000;

/// What to generate. Every field is semantic: it decides the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateSettings {
    /// Which families; rows alternate between them. Default: all.
    #[serde(default = "all_families")]
    pub families: Vec<Family>,
    /// Rows of each family.
    pub count: u32,
    /// The fewest and the most steps of a problem, 1 to 8, each number of steps as likely as the other.
    #[serde(default = "default_steps")]
    pub steps: [u32; 2],
    /// Where chance starts. Default: the seed of the pipeline.
    #[serde(default)]
    pub seed: Option<u64>,
    /// `train` or `test`; no problem is in both, whatever the seeds.
    #[serde(default)]
    pub split: Split,
    /// What the `solution` column shows.
    #[serde(default)]
    pub style: Style,
    /// With `style = "mixed"`: problems of at most this many steps are worked, longer ones answered at once.
    #[serde(default = "default_worked_up_to")]
    pub worked_up_to: u32,
    /// The share of worked solutions that contain one slip and a wrong answer that follows from it (0 to 1). The
    /// `answer` column stays right. For teachers that err.
    #[serde(default)]
    pub slips: f64,
    /// No problem twice. Off, short problems may repeat, as text to train on does.
    #[serde(default = "yes")]
    pub unique: bool,
    /// A letter before every operation, in the problem and in the work: easier to learn for the smallest models.
    #[serde(default)]
    pub numbered: bool,
}

/// Which half of all problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Seven of eight problems.
    #[default]
    Train,
    /// One of eight problems.
    Test,
}

/// What a solution shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Every step, then the answer.
    #[default]
    Worked,
    /// The answer alone.
    Direct,
    /// Short problems worked, longer ones answered at once.
    Mixed,
}

fn all_families() -> Vec<Family> {
    Family::ALL.to_vec()
}
fn default_steps() -> [u32; 2] {
    [4, 7]
}
fn default_worked_up_to() -> u32 {
    3
}
fn yes() -> bool {
    true
}

impl GenerateSettings {
    /// `count` worked training problems of every family, with the defaults of a pipeline file.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            families: all_families(),
            count,
            steps: default_steps(),
            seed: None,
            split: Split::default(),
            style: Style::default(),
            worked_up_to: default_worked_up_to(),
            slips: 0.0,
            unique: true,
            numbered: false,
        }
    }

    /// What makes no sense: pairs of field and sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let [low, high] = self.steps;
        if low == 0 || low > high || high > MAX_STEPS {
            faults.push((
                "steps",
                format!("steps = [{low}, {high}] is no range within 1 to {MAX_STEPS}"),
            ));
        }
        if self.families.is_empty() {
            faults.push(("families", "no family is named".to_owned()));
        }
        if (1..self.families.len()).any(|at| self.families[..at].contains(&self.families[at])) {
            faults.push(("families", "a family is named twice".to_owned()));
        }
        if self.count == 0 {
            faults.push(("count", "count = 0 makes no rows".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.slips) {
            faults.push((
                "slips",
                format!("slips = {} is no share between 0 and 1", self.slips),
            ));
        }
        faults
    }
}

/// Why no more problems can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("family `{}` has only {made} different problems of {} to {} steps in this split, {wanted} are asked for",
    family.name(), steps[0], steps[1])]
pub struct Exhausted {
    /// The family that ran dry.
    pub family: Family,
    /// How many problems it gave.
    pub made: u32,
    /// How many were asked for.
    pub wanted: u32,
    /// The range of steps.
    pub steps: [u32; 2],
}

/// The problems of these settings, one of each family in turn. `seed` counts when the settings name none.
///
/// The settings must be free of [`GenerateSettings::faults`]; steps beyond the range are brought into it.
///
/// ```
/// use dag_data::generate::{Family, GenerateSettings, problems};
/// let settings = GenerateSettings { families: vec![Family::Chain], ..GenerateSettings::new(3) };
/// for problem in problems(&settings, 42) {
///     let problem = problem?;
///     assert!(problem.solution.unwrap().ends_with(&format!("#### {}", problem.answer.unwrap())));
/// }
/// # Ok::<(), dag_data::generate::Exhausted>(())
/// ```
pub fn problems(
    settings: &GenerateSettings,
    seed: u64,
) -> impl Iterator<Item = Result<Problem, Exhausted>> + use<> {
    let seed = settings.seed.unwrap_or(seed);
    let mut sources: Vec<FamilySource> = settings
        .families
        .iter()
        .map(|family| FamilySource::new(*family, settings, seed))
        .collect();
    let total = u64::from(settings.count) * sources.len() as u64;
    (0..total).map(move |at| {
        let turn = usize::try_from(at % sources.len() as u64).unwrap_or_default();
        sources[turn].draw()
    })
}

/// The split that a prompt belongs to.
#[must_use]
pub fn split_of(prompt: &str) -> Split {
    let digest = blake3::derive_key("dag-data 2026 generate split v1", prompt.as_bytes());
    if digest[0].is_multiple_of(TEST_ONE_IN) {
        Split::Test
    } else {
        Split::Train
    }
}

/// One family's endless supply.
struct FamilySource {
    family: Family,
    settings: GenerateSettings,
    steps: Vec<u32>,
    /// Decides what is asked.
    questions: Dice,
    /// Decides slips, apart from the questions: more slips ask the same problems.
    pen: Dice,
    seen: HashSet<[u8; 16]>,
    made: u32,
}

impl FamilySource {
    fn new(family: Family, settings: &GenerateSettings, seed: u64) -> Self {
        let split = match settings.split {
            Split::Train => "train",
            Split::Test => "test",
        };
        let [low, high] = settings.steps;
        Self {
            family,
            settings: settings.clone(),
            steps: (low.clamp(1, MAX_STEPS)..=high.clamp(1, MAX_STEPS)).collect(),
            questions: Dice::new(seed, &["questions", family.name(), split]),
            pen: Dice::new(seed, &["pen", family.name(), split]),
            seen: HashSet::new(),
            made: 0,
        }
    }

    fn draw(&mut self) -> Result<Problem, Exhausted> {
        while !self.steps.is_empty() {
            let choice =
                self.questions
                    .below(u32::try_from(self.steps.len()).unwrap_or(1)) as usize;
            let steps = self.steps[choice];
            for _ in 0..MISSES {
                let instance = Instance::draw(self.family, steps as usize, &mut self.questions);
                let prompt = instance.prompt(self.settings.numbered);
                // the plain prompt decides, so that numbering a problem does not move it to the other split
                if split_of(&instance.prompt(false)) != self.settings.split {
                    continue;
                }
                if self.settings.unique && !self.seen.insert(short_digest(&prompt)) {
                    continue;
                }
                self.made += 1;
                return Ok(self.write_down(&instance, prompt, steps));
            }
            self.steps.remove(choice);
        }
        Err(Exhausted {
            family: self.family,
            made: self.made,
            wanted: self.settings.count,
            steps: self.settings.steps,
        })
    }

    fn write_down(&mut self, instance: &Instance, prompt: String, steps: u32) -> Problem {
        let settings = &self.settings;
        let states = instance.states(None, &mut self.pen);
        let gold = family::answer(*states.last().expect("the start is a state"));
        let worked = match settings.style {
            Style::Worked => true,
            Style::Direct => false,
            Style::Mixed => steps <= settings.worked_up_to,
        };
        let solution = if worked {
            let slip = self
                .pen
                .chance(settings.slips)
                .then(|| self.pen.below(steps) as usize);
            let shown = if slip.is_some() {
                instance.states(slip, &mut self.pen)
            } else {
                states
            };
            let last = family::answer(*shown.last().expect("the start is a state"));
            format!(
                "{}{}",
                instance.work(&shown, settings.numbered),
                family::marked(self.family, &last)
            )
        } else {
            family::marked(self.family, &gold)
        };
        Problem {
            id: String::new(),
            domain: self.family.domain().to_owned(),
            family: self.family.name().to_owned(),
            source: "generate".to_owned(),
            difficulty: i32::try_from(steps).ok(),
            tests: instance.tests(&mut Dice::new(0, &["tests", &prompt])),
            prompt,
            answer: Some(gold),
            solution: Some(solution),
        }
        .identified()
    }
}

fn short_digest(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests;
