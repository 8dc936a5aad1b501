//! Grading one response of one problem: which grader a domain asks, and what is remembered. `filter` and `eval` grade
//! through here, so a response has one verdict wherever it is asked for.
//!
//! | domain | what is compared | `extracted` |
//! |---|---|---|
//! | `math` | the marked answer with the gold answer, by value | the answer as written |
//! | `choice` | the letter with the gold letter | the letter |
//! | `text` | the marked answer with the gold answer, without case, spacing and closing marks | the answer as written |
//! | `code` | the program against its tests, in the sandbox | the program |
//!
//! A program is run once: its verdict is in the row memo under program, tests and limits. What may come out differently
//! the next time, an error or a timeout, is never stored.

mod code;

use dag_cache::RowMemo;
use dag_engine::StageError;
use dag_grade::Verdict;
use dag_grade::answer::{self, ExtractOptions, Policy, extract};

pub use dag_grade::answer::Graded;

use code::Coder;

/// The longest response without a mark that is read as a bare answer, in bytes.
const BARE_ANSWER: usize = 200;

/// How strictly and with which limits responses are graded. All of it is semantic.
#[derive(Debug, Clone, PartialEq)]
pub struct GradingOptions {
    /// What counts as the same answer.
    pub policy: Policy,
    /// Time for one test of a program, in seconds.
    pub timeout_s: u32,
    /// Memory of a program, in MiB.
    pub memory_mb: u32,
    /// Programs run even where a layer of the sandbox is missing.
    pub unsafe_ok: bool,
}

impl Default for GradingOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            timeout_s: 6,
            memory_mb: 1024,
            unsafe_ok: false,
        }
    }
}

/// What of a problem decides whether a response is right: columns of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gold<'a> {
    /// `math`, `choice`, `text` or `code`.
    pub domain: &'a str,
    /// The gold answer.
    pub answer: Option<&'a str>,
    /// The tests of a program, as JSON text.
    pub tests: Option<&'a str>,
}

/// Grades responses, from as many threads as there are. The sandbox is looked for at the first program.
pub struct Grader<'a> {
    policy: Policy,
    coder: Coder<'a>,
}

impl<'a> Grader<'a> {
    /// A grader that remembers the verdicts of programs in `memo`, if there is one.
    #[must_use]
    pub fn new(options: &GradingOptions, memo: Option<&'a RowMemo>) -> Self {
        Self {
            policy: options.policy.clone(),
            coder: Coder::new(options, memo),
        }
    }

    /// The verdict of one response. A pass always has something extracted.
    ///
    /// # Errors
    /// The sandbox cannot be used at all, or the memo cannot be read or written; never because of what the response or
    /// the problem says, which is a verdict.
    pub fn grade(&self, gold: &Gold<'_>, response: &str) -> Result<Graded, StageError> {
        let Gold {
            domain,
            answer,
            tests,
        } = *gold;
        match (domain, answer, tests) {
            ("math", Some(answer), _) => Ok(self.math(answer, response)),
            ("choice", Some(answer), _) => Ok(choice(answer, response)),
            ("text", Some(answer), _) => Ok(self.text(answer, response)),
            ("code", _, Some(tests)) => self.coder.grade(tests, response),
            ("math" | "choice" | "text", None, _) => Ok(error("the problem has no answer")),
            ("code", _, None) => Ok(error("the problem has no tests")),
            (other, _, _) => Ok(error(&format!(
                "`{other}` is no domain; there are math, choice, text and code"
            ))),
        }
    }

    /// What the reader of the verdicts must know: layers of the sandbox that were missing.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.coder.notes()
    }

    fn math(&self, gold: &str, response: &str) -> Graded {
        answer::grade(gold, response, &self.policy)
    }

    fn text(&self, gold: &str, response: &str) -> Graded {
        let options = ExtractOptions {
            whole_up_to: BARE_ANSWER,
            ..ExtractOptions::default()
        };
        let Some(found) = extract(response, &options) else {
            return unparsable("no answer in the response");
        };
        let plain = |text: &str| plain(text, self.policy.case_sensitive);
        let gold =
            plain(&extract(gold, &options).map_or_else(|| gold.to_owned(), |found| found.text));
        if gold.is_empty() {
            return error("the gold answer is empty");
        }
        compared(
            &format!("{}+text", found.rule),
            plain(&found.text) == gold,
            &gold,
            found.text,
        )
    }
}

fn choice(gold: &str, response: &str) -> Graded {
    let options = ExtractOptions {
        choice: true,
        ..ExtractOptions::default()
    };
    let Some(gold) = extract(gold, &options) else {
        return error(&format!("the gold answer `{gold}` is no letter"));
    };
    match extract(response, &options) {
        Some(found) => compared(
            &format!("{}+letter", found.rule),
            found.text == gold.text,
            &gold.text,
            found.text,
        ),
        None => unparsable("no letter in the response"),
    }
}

/// A text without what does not tell answers apart: spacing, quotes around it, marks at its end, and case.
fn plain(text: &str, case_sensitive: bool) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let bare = joined
        .trim_matches(['"', '\'', '“', '”', '‘', '’', '`', '*', ' '])
        .trim_end_matches(['.', '!', ' ']);
    if case_sensitive {
        bare.to_owned()
    } else {
        bare.to_lowercase()
    }
}

fn compared(rule: &str, same: bool, gold: &str, extracted: String) -> Graded {
    let (verdict, reason) = match same {
        true => (Verdict::Pass, String::new()),
        false => (Verdict::Fail, format!("`{extracted}` is not `{gold}`")),
    };
    Graded {
        verdict,
        rule: rule.to_owned(),
        reason,
        extracted: Some(extracted),
    }
}

/// The problem cannot be graded, whatever the response.
fn error(reason: &str) -> Graded {
    Graded {
        verdict: Verdict::Error,
        rule: "none".to_owned(),
        reason: reason.to_owned(),
        extracted: None,
    }
}

fn unparsable(reason: &str) -> Graded {
    Graded {
        verdict: Verdict::Unparsable,
        rule: "none".to_owned(),
        reason: reason.to_owned(),
        extracted: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(domain: &str, gold: &str, response: &str, verdict: Verdict, rule: &str) {
        let grader = Grader::new(&GradingOptions::default(), None);
        let graded = grader
            .grade(
                &Gold {
                    domain,
                    answer: Some(gold),
                    tests: None,
                },
                response,
            )
            .unwrap();
        assert_eq!(
            (graded.verdict, graded.rule.as_str()),
            (verdict, rule),
            "{graded:?}"
        );
    }

    #[test]
    fn each_domain_asks_its_own_grader() {
        check(
            "math",
            "0.5",
            r"So \boxed{\frac12}.",
            Verdict::Pass,
            "boxed+exact",
        );
        check(
            "choice",
            "B",
            "The correct answer is (B) Mars.",
            Verdict::Pass,
            "phrase+letter",
        );
        check(
            "choice",
            "(C)",
            "It must be option D, I think",
            Verdict::Fail,
            "choice+letter",
        );
        check(
            "text",
            "New York",
            "The answer is  new york!",
            Verdict::Pass,
            "phrase+text",
        );
        check(
            "text",
            "New York",
            r"\boxed{York}",
            Verdict::Fail,
            "boxed+text",
        );
    }

    #[test]
    fn a_response_without_an_answer_is_unparsable_and_never_right() {
        let long = "and then ".repeat(100);
        check("math", "4", &long, Verdict::Unparsable, "none");
        check("choice", "B", "no idea", Verdict::Unparsable, "none");
        check("text", "Paris", &long, Verdict::Unparsable, "none");
    }

    #[test]
    fn a_problem_that_cannot_be_graded_is_an_error() {
        let grader = Grader::new(&GradingOptions::default(), None);
        for (domain, answer) in [
            ("math", None),
            ("code", Some("4")),
            ("poetry", Some("4")),
            ("choice", Some("seven")),
            ("text", Some(" .")),
        ] {
            let graded = grader
                .grade(
                    &Gold {
                        domain,
                        answer,
                        tests: None,
                    },
                    "The answer is 4",
                )
                .unwrap();
            assert_eq!(graded.verdict, Verdict::Error, "{domain}: {graded:?}");
        }
    }
}
