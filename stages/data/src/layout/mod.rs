//! Layouts: how the rows of a data set become problems.
//!
//! A preset knows a published layout; `columns` renames single columns, before or instead of one. A row that does
//! not fit is no error: it comes back with the reason, to be kept aside and counted.

mod code_tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::Problem;
use crate::rows::SourceRow;
pub use code_tests::{CodeTests, NotedTests, ShownTests};

/// A published layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `question`, `answer` with the gold after `####`.
    Gsm8k,
    /// `problem`, `solution`, `answer`, `subject`, `level`.
    Math500,
    /// `problem`, `solution` with the gold in its last `\boxed{}`, `source`.
    Numina,
    /// `question`, `solutions`, `input_output`, `starter_code`, `difficulty`.
    Apps,
    /// As APPS.
    Taco,
    /// `question_content`, `public_test_cases`, `private_test_cases`, `starter_code`, `metadata`.
    Livecodebench,
    /// `text` or `prompt`, `code`, `test_list`, `test_setup_code`.
    Mbpp,
}

/// How rows become problems. Every field is semantic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LayoutSettings {
    /// The layout of the data set; without one the columns have our names.
    pub layout: Option<Layout>,
    /// Our column = their column, for `prompt`, `answer`, `solution`, `tests`, `domain`, `family`, `source` and
    /// `difficulty`. Goes before the layout.
    pub columns: BTreeMap<String, String>,
    /// The domain of every row: `math`, `code`, `choice` or `text`.
    pub domain: Option<String>,
    /// The family of every row.
    pub family: Option<String>,
    /// The answer is what follows the last of these marks in the answer column, as `####` in GSM8K.
    pub answer_after: Option<String>,
}

/// The columns that `columns` can rename.
pub const COLUMNS: [&str; 8] = [
    "prompt",
    "answer",
    "solution",
    "tests",
    "domain",
    "family",
    "source",
    "difficulty",
];

/// The domains that grading knows.
pub const DOMAINS: [&str; 4] = ["math", "code", "choice", "text"];

impl LayoutSettings {
    /// What makes no sense: pairs of field and sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for ours in self.columns.keys() {
            if !COLUMNS.contains(&ours.as_str()) {
                let known = COLUMNS.join(", ");
                faults.push((
                    format!("columns.{ours}"),
                    format!("`{ours}` is no column of a problem; these are: {known}"),
                ));
            }
        }
        if let Some(domain) = self
            .domain
            .as_deref()
            .filter(|domain| !DOMAINS.contains(domain))
        {
            faults.push((
                "domain".to_owned(),
                format!("`{domain}` is no domain; these are: {}", DOMAINS.join(", ")),
            ));
        }
        faults
    }
}

/// A row that became a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The problem.
    pub problem: Problem,
    /// What of the row could not be used; the problem stands without it.
    pub note: Option<&'static str>,
}

/// Turns a row into a problem; `source` names where it comes from when no column does, `code_tests` reads its unit
/// tests where the layout has some.
///
/// # Errors
/// The reason why the row is no problem, as a short sentence.
///
/// ```
/// use dag_data::layout::{CodeTests, Layout, LayoutSettings, problem_of};
/// let row = serde_json::json!({ "question": "How many?", "answer": "2+1=3\n#### 3" });
/// let settings = LayoutSettings { layout: Some(Layout::Gsm8k), ..Default::default() };
/// let mapped = problem_of(row.as_object().unwrap(), &settings, "gsm8k", &CodeTests::default())?;
/// assert_eq!(mapped.problem.answer.as_deref(), Some("3"));
/// # Ok::<(), String>(())
/// ```
pub fn problem_of(
    row: &SourceRow,
    settings: &LayoutSettings,
    source: &str,
    code_tests: &CodeTests,
) -> Result<Mapped, String> {
    let fields = Fields { row, settings };
    let mut mapped = match settings.layout {
        None => plain(&fields)?,
        Some(Layout::Gsm8k) => gsm8k(&fields)?,
        Some(Layout::Math500) => math500(&fields)?,
        Some(Layout::Numina) => numina(&fields)?,
        Some(Layout::Apps | Layout::Taco) => contest(&fields, code_tests)?,
        Some(Layout::Livecodebench) => livecodebench(&fields, code_tests)?,
        Some(Layout::Mbpp) => mbpp(&fields, code_tests)?,
    };
    let problem = &mut mapped.problem;
    if let Some(domain) = &settings.domain {
        problem.domain.clone_from(domain);
    }
    if !DOMAINS.contains(&problem.domain.as_str()) {
        return Err(format!("`{}` is no domain", problem.domain));
    }
    if let Some(family) = &settings.family {
        problem.family.clone_from(family);
    }
    if problem.source.is_empty() {
        source.clone_into(&mut problem.source);
    }
    if problem.prompt.trim().is_empty() {
        return Err("the prompt is empty".to_owned());
    }
    if let (Some(mark), Some(answer)) = (&settings.answer_after, &problem.answer) {
        problem.answer = Some(after(answer, mark)?);
    }
    mapped.problem = mapped.problem.identified();
    Ok(mapped)
}

/// A row seen through `columns`.
struct Fields<'a> {
    row: &'a SourceRow,
    settings: &'a LayoutSettings,
}

impl<'a> Fields<'a> {
    /// The value of our column: renamed, or the first of the names that the layout gives it.
    fn value(&self, ours: &str, theirs: &[&str]) -> Option<&'a Value> {
        let named = match self.settings.columns.get(ours) {
            Some(name) => self.row.get(name),
            None => theirs.iter().find_map(|name| self.row.get(*name)),
        };
        named.filter(|value| !value.is_null())
    }

    /// A text; a number or truth value is taken by its spelling.
    fn text(&self, ours: &str, theirs: &[&str]) -> Option<String> {
        match self.value(ours, theirs)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn needed(&self, ours: &str, theirs: &[&str]) -> Result<String, String> {
        self.text(ours, theirs).ok_or_else(|| {
            let name = self
                .settings
                .columns
                .get(ours)
                .map_or(theirs[0], String::as_str);
            format!("the row has no text in `{name}`")
        })
    }

    fn whole(&self, ours: &str, theirs: &[&str]) -> Option<i32> {
        match self.value(ours, theirs)? {
            Value::Number(number) => i32::try_from(number.as_i64()?).ok(),
            // "Level 5" and "5"
            Value::String(text) => text.rsplit(' ').next()?.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

fn plain(fields: &Fields<'_>) -> Result<Mapped, String> {
    let tests = match fields.value("tests", &["tests"]) {
        None => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(tests) => Some(tests.to_string()),
    };
    if let Some(text) = &tests
        && !serde_json::from_str::<Value>(text).is_ok_and(|tests| tests.get("kind").is_some())
    {
        return Err("`tests` is no JSON object with a `kind`".to_owned());
    }
    let domain = fields.text("domain", &["domain"]);
    Ok(Mapped {
        problem: Problem {
            domain: domain
                .unwrap_or_else(|| if tests.is_some() { "code" } else { "math" }.to_owned()),
            family: fields.text("family", &["family"]).unwrap_or_default(),
            source: fields.text("source", &["source"]).unwrap_or_default(),
            difficulty: fields.whole("difficulty", &["difficulty"]),
            prompt: fields.needed("prompt", &["prompt"])?,
            answer: fields.text("answer", &["answer"]),
            tests,
            solution: fields.text("solution", &["solution"]),
            ..Problem::default()
        },
        note: None,
    })
}

fn gsm8k(fields: &Fields<'_>) -> Result<Mapped, String> {
    let worked = fields.needed("answer", &["answer"])?;
    let problem = Problem {
        domain: "math".to_owned(),
        family: fields
            .text("family", &[])
            .unwrap_or_else(|| "gsm8k".to_owned()),
        source: fields.text("source", &[]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &[]),
        prompt: fields.needed("prompt", &["question"])?,
        answer: Some(after(&worked, "####")?),
        solution: Some(worked),
        ..Problem::default()
    };
    Ok(Mapped {
        problem,
        note: None,
    })
}

fn math500(fields: &Fields<'_>) -> Result<Mapped, String> {
    let problem = Problem {
        domain: "math".to_owned(),
        family: fields
            .text("family", &["subject", "type"])
            .unwrap_or_default(),
        source: fields.text("source", &[]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &["level"]),
        prompt: fields.needed("prompt", &["problem"])?,
        answer: Some(fields.needed("answer", &["answer"])?),
        solution: fields.text("solution", &["solution"]),
        ..Problem::default()
    };
    Ok(Mapped {
        problem,
        note: None,
    })
}

fn numina(fields: &Fields<'_>) -> Result<Mapped, String> {
    let solution = fields.needed("solution", &["solution"])?;
    let answer = match fields.text("answer", &[]) {
        Some(answer) => answer,
        None => last_boxed(&solution)
            .ok_or("the solution has no closed \\boxed{}")?
            .trim()
            .to_owned(),
    };
    if answer.is_empty() {
        return Err("the \\boxed{} of the solution is empty".to_owned());
    }
    let problem = Problem {
        domain: "math".to_owned(),
        family: fields.text("family", &["source"]).unwrap_or_default(),
        source: fields.text("source", &[]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &[]),
        prompt: fields.needed("prompt", &["problem"])?,
        answer: Some(answer),
        solution: Some(solution),
        ..Problem::default()
    };
    Ok(Mapped {
        problem,
        note: None,
    })
}

/// APPS and TACO.
fn contest(fields: &Fields<'_>, code_tests: &CodeTests) -> Result<Mapped, String> {
    let mut prompt = fields.needed("prompt", &["question"])?;
    if let Some(starter) = fields
        .text("starter", &["starter_code"])
        .filter(|starter| !starter.trim().is_empty())
    {
        prompt = format!("{prompt}\n{starter}");
    }
    let tests = fields
        .value("tests", &["input_output"])
        .ok_or("the row has no `input_output`")?;
    let tests = (code_tests.contest)(tests)?;
    let problem = Problem {
        domain: "code".to_owned(),
        family: fields.text("family", &["difficulty"]).unwrap_or_default(),
        source: fields.text("source", &[]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &[]),
        prompt,
        tests: Some(tests),
        solution: first_solution(fields.value("solution", &["solutions"])),
        ..Problem::default()
    };
    Ok(Mapped {
        problem,
        note: None,
    })
}

fn livecodebench(fields: &Fields<'_>, code_tests: &CodeTests) -> Result<Mapped, String> {
    let mut prompt = fields.needed("prompt", &["question_content"])?;
    if let Some(starter) = fields
        .text("starter", &["starter_code"])
        .filter(|starter| !starter.trim().is_empty())
    {
        prompt = format!("{prompt}\n{starter}");
    }
    let (tests, note) = (code_tests.live_code_bench)(fields.row)?;
    let problem = Problem {
        domain: "code".to_owned(),
        family: fields.text("family", &["difficulty"]).unwrap_or_default(),
        source: fields.text("source", &["platform"]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &[]),
        prompt,
        tests: Some(tests),
        ..Problem::default()
    };
    Ok(Mapped { problem, note })
}

fn mbpp(fields: &Fields<'_>, code_tests: &CodeTests) -> Result<Mapped, String> {
    let text = fields.needed("prompt", &["text", "prompt"])?;
    let list = fields
        .value("tests", &["test_list", "tests"])
        .ok_or("the row has no `test_list`")?;
    let setup = fields
        .text("setup", &["test_setup_code"])
        .unwrap_or_default();
    let (tests, shown) = (code_tests.assertions)(list, &setup)?;
    let problem = Problem {
        domain: "code".to_owned(),
        family: fields
            .text("family", &[])
            .unwrap_or_else(|| "mbpp".to_owned()),
        source: fields.text("source", &[]).unwrap_or_default(),
        difficulty: fields.whole("difficulty", &[]),
        // only the tests say what the function is called
        prompt: format!(
            "{}\n\nYour code should pass these tests:\n\n{shown}",
            text.trim_end()
        ),
        tests: Some(tests),
        solution: fields.text("solution", &["code"]),
        ..Problem::default()
    };
    Ok(Mapped {
        problem,
        note: None,
    })
}

/// What follows the last `mark`, trimmed.
fn after(text: &str, mark: &str) -> Result<String, String> {
    let (_, answer) = text
        .rsplit_once(mark)
        .ok_or_else(|| format!("the answer has no `{mark}`"))?;
    match answer.trim() {
        "" => Err(format!("nothing follows `{mark}`")),
        answer => Ok(answer.to_owned()),
    }
}

/// The content of the last `\boxed{…}`, braces matched; an escaped brace is text.
fn last_boxed(text: &str) -> Option<&str> {
    let (start, _) = text
        .rmatch_indices("\\boxed")
        .find(|(at, word)| text[at + word.len()..].trim_start().starts_with('{'))?;
    let open = start + text[start..].find('{')?;
    let mut depth = 0usize;
    let mut escaped = false;
    for (offset, c) in text[open..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[open + 1..open + offset]);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first of a list of solutions, which APPS and TACO keep as JSON text or as a list.
fn first_solution(solutions: Option<&Value>) -> Option<String> {
    match solutions? {
        Value::Array(list) => list.first()?.as_str().map(str::to_owned),
        Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => list.into_iter().next(),
            Err(_) => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
