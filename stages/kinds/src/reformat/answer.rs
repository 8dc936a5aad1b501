//! Whether a rewritten solution still says what the response said.

use dag_grade::answer::{ExtractOptions, Policy, extract, grade};

/// An error if `solution` does not end in the answer of `response`: for code the same program, else
/// an equal answer. A response without a recognisable answer must not gain one.
pub(super) fn unchanged(domain: &str, response: &str, solution: &str) -> Result<(), String> {
    if domain == "code" {
        return match (program(response), program(solution)) {
            (None, None) => Ok(()),
            (Some(before), Some(after)) if before == after => Ok(()),
            (Some(_), None) => Err("the solution lacks the program".to_owned()),
            (None | Some(_), Some(_)) => Err("the program is not what it was".to_owned()),
        };
    }
    let options = ExtractOptions {
        choice: domain == "choice",
        ..ExtractOptions::default()
    };
    match (extract(response, &options), extract(solution, &options)) {
        (None, None) => Ok(()),
        (Some(before), None) => Err(format!("the solution lacks the answer `{}`", before.text)),
        (None, Some(after)) => Err(format!("the solution gained an answer `{}`", after.text)),
        (Some(before), Some(after)) if before.text.trim() == after.text.trim() => Ok(()),
        (Some(before), Some(after)) => {
            if grade(&before.text, solution, &Policy::default())
                .verdict
                .is_pass()
            {
                Ok(())
            } else {
                Err(format!(
                    "the answer was `{}` and became `{}`",
                    before.text, after.text
                ))
            }
        }
    }
}

/// The last complete fenced block, without blanks at the ends of its lines.
fn program(text: &str) -> Option<String> {
    let mut last = None;
    let mut open: Option<Vec<&str>> = None;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            match open.take() {
                Some(lines) => last = Some(lines.join("\n").trim().to_owned()),
                None => open = Some(Vec::new()),
            }
        } else if let Some(lines) = &mut open {
            lines.push(line.trim_end());
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(domain: &str, response: &str, solution: &str, expect: Result<(), &str>) {
        assert_eq!(
            unchanged(domain, response, solution),
            expect.map_err(str::to_owned),
            "{response} / {solution}"
        );
    }

    #[test]
    fn an_answer_stays_is_lost_or_becomes_another() {
        check("math", r"so \boxed{4}", r"It is \boxed{4}.", Ok(()));
        check(
            "math",
            r"so \boxed{4}",
            "It is four-ish.",
            Err("the solution lacks the answer `4`"),
        );
        check(
            "math",
            r"so \boxed{4}",
            r"\boxed{5}",
            Err("the answer was `4` and became `5`"),
        );
        check("text", "a story", "the story", Ok(()));
    }

    #[test]
    fn a_program_stays_is_lost_or_becomes_another() {
        let code = "x\n```python\nprint(1)\n```\n";
        check("code", code, "```python\nprint(1)  \n```", Ok(()));
        check(
            "code",
            code,
            "print it",
            Err("the solution lacks the program"),
        );
        check(
            "code",
            code,
            "```python\nprint(2)\n```",
            Err("the program is not what it was"),
        );
    }
}
