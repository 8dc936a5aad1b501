//! Responses that deny, take back, suppose or break off, and their siblings that do not.

use dag_grade::answer::{Policy, grade};

/// Each gold against each response, under each preset.
#[track_caller]
fn judged(presets: &[&str], pass: bool, cases: &[(&str, &str)]) {
    for preset in presets {
        let policy = Policy::preset(preset).unwrap();
        for (gold, response) in cases {
            let graded = grade(gold, response, &policy);
            assert_eq!(
                graded.verdict.is_pass(),
                pass,
                "{preset}: {gold} against {response}: {graded:?}"
            );
        }
    }
}

const DEFAULT: &[&str] = &["default"];
const BOTH: &[&str] = &["default", "math-verify"];

#[test]
fn what_is_denied_is_no_answer() {
    judged(
        BOTH,
        false,
        &[
            ("12", r"The answer is not \boxed{12}."),
            ("12", r"The answer isn't \boxed{12}."),
            (
                "12",
                r"The answer is definitely not $\boxed{12}$, it is 13.",
            ),
            ("12", r"The answer cannot be \boxed{12}."),
            ("12", r"So $x \ne \boxed{12}$."),
            ("12", r"$\boxed{12} \neq \boxed{13}$"),
            ("12", r"\boxed{12} is wrong; the answer is 13."),
            ("12", r"$\boxed{12}$ is not correct."),
            ("12", r"\boxed{12} does not work."),
            (
                "12",
                r"\text{\boxed{12}} is the wrong answer, 13 the right one.",
            ),
            ("12", r"\boxed{13} (not \boxed{12})"),
            ("12", "It is false that the answer is 12."),
            ("12", "I doubt that the answer is 12."),
            ("12", "Someone who says the answer is 12 is mistaken."),
            ("12", "Final Answer: 12 is impossible."),
            ("12", "Why the answer is 12 is beyond me; I get 13."),
        ],
    );
    judged(
        DEFAULT,
        false,
        &[
            ("12", "The answer is unlikely to be 12."),
            ("12", "The answer is wrong if it is 12."),
        ],
    );
    judged(
        BOTH,
        true,
        &[
            ("13", r"\boxed{13} (not \boxed{12})"),
            ("13", r"\boxed{12} is wrong; the answer is 13."),
            (
                "12",
                r"It is not hard to see that the answer is \boxed{12}.",
            ),
            ("12", r"The answer is not 13 but \boxed{12}."),
            (
                "12",
                r"Since $x = -3$ is impossible, the answer is \boxed{12}.",
            ),
            ("12", r"\boxed{12}, which is not a multiple of 5."),
            ("12", r"\boxed{12} is the answer. It cannot be simplified."),
            ("12", r"$\boxed{12}$ is correct."),
            ("12", r"There are at most $\boxed{12}$ left over."),
            ("12", "The answer is 12, which is not divisible by 5."),
            ("12", "I have no doubt. The answer is 12."),
            ("12", "The answer is 12, because 13 is wrong."),
            ("12", "The answer is 12. It is not hard to check this."),
            ("12", "I think that the answer is 12."),
        ],
    );
}

#[test]
fn what_is_taken_back_is_no_answer() {
    judged(
        BOTH,
        false,
        &[
            (
                "12",
                r"\boxed{12}. Wait, this is wrong. Let me recompute: it should be 13.",
            ),
            (
                "12",
                "\\boxed{12}\n\nBut this is not correct, so there's no solution.",
            ),
            ("12", "\\[\\boxed{12}\\]\n\nThat is wrong."),
            ("12", "The answer is 12. No wait, it's 13."),
            (
                "12",
                "The answer is $12$. Actually, that's wrong: it should be 13.",
            ),
            ("12", "One might think that the answer is 12, but it is 13."),
            ("12", "The answer is 12. Oops, I made a mistake."),
            ("12", "The answer is 12. Sorry, that isn't right."),
        ],
    );
    judged(
        BOTH,
        true,
        &[
            ("13", r"\boxed{12}. Wait, this is wrong. It is \boxed{13}."),
            ("13", "The answer is 12. No wait, the answer is 13."),
            (
                "12",
                "The answer is 12. Wait, let me check: 3 times 4. Yes.",
            ),
            ("12", "The answer is 12, but it is easy to miss."),
            (
                "12",
                "The answer is 12.\n\nThis is because 3 times 4 is 12.",
            ),
            (
                "12",
                "\\boxed{12}\n\nThis is the total. However, a common mistake is to add 3 and 4.",
            ),
            ("12", "\\boxed{12}\n\nNote that 13 would be wrong."),
        ],
    );
}

#[test]
fn what_is_supposed_given_or_asked_is_not_said() {
    judged(
        DEFAULT,
        false,
        &[
            ("12", "Let x = 12."),
            ("12", "Let $x=12$ be the first guess."),
            ("12", "So suppose that $x=12$."),
            ("12", "Suppose the answer is 12."),
            ("12", "If the answer is 12, we are done."),
            ("12", "Assume that x is 12."),
            ("12", "We know the perimeter is 12."),
            ("12", "We are given that the area is $12$."),
            ("12", "Does x equal $12$?"),
            ("12", "So $x=12$ is impossible."),
            ("12", "This contradicts $x=12$."),
            ("12", "Thus the equation fails for $x=12$."),
            ("12", "The only excluded value is $x=12$."),
            ("12", "I cannot determine whether it is $12$."),
        ],
    );
    judged(
        BOTH,
        true,
        &[
            ("12", "Let $x=3$, then the area is $12$."),
            ("12", "Suppose that $x = 3$. Then the area is 12."),
            ("12", "If $x = 3$, the answer is 12."),
            ("12", "If we add them, we get 12."),
            ("12", "We know that $x = 3$, so the area is $12$."),
            ("12", "Since $x = -3$ is impossible, $x = 12$."),
            ("12", "Hence the number of students who cannot swim is 12."),
            ("12", "So $x = 12$ is the only solution."),
            ("2/3", "The probability that it fails is 2/3."),
        ],
    );
}

#[test]
fn an_expression_in_words_is_not_its_number() {
    judged(
        DEFAULT,
        false,
        &[
            ("12", "The answer is 12 squared."),
            ("12", "The answer is 12 plus the number of apples."),
            ("12", "The answer is 12 factorial."),
            ("12", "The answer is 12 and a half."),
            ("12", "The answer is 12 more than x."),
            ("12", "The answer is $12$ more than x."),
            ("12", "The answer is 12 times the length."),
            ("12", "The total is 12 dozen."),
            ("12", "The total is 12 more than before."),
        ],
    );
    judged(
        BOTH,
        true,
        &[
            ("12", "The answer is 12 more apples."),
            ("12", "The answer is 12 times a week."),
            ("12", "The answer is 12 square units."),
            ("12", "The answer is 12 and that is final."),
            ("12", "The total is 12 apples."),
        ],
    );
}

#[test]
fn what_breaks_off_in_a_thought_or_a_tag_is_no_answer() {
    judged(
        BOTH,
        false,
        &[
            (
                "12",
                "<think>Let x be the number. Then 2x = 24, so x = 12. But",
            ),
            ("12", "<think>the answer is 12. But wait, I should check."),
            ("12", "<think>\nSo it is \\boxed{12}. Let me check"),
            (
                "12",
                r"<think>so it is \boxed{12}.</think> I could not solve it.",
            ),
            ("12", "<think>It must be 12"),
            ("12", "<|begin_of_thought|>It must be 12"),
            ("12", "<answer>12"),
            ("12", "So we have <answer> 12"),
        ],
    );
    judged(
        BOTH,
        true,
        &[
            ("12", "<think>13?</think> The answer is 12."),
            ("12", r"<think>so it is \boxed{12}.</think>"),
            ("12", r"<think>so it is \boxed{12}.</think> That is all."),
            ("12", "<think>so</think>\n<answer>12</answer>"),
            ("12", r"I shall use <think> first. \boxed{12}"),
            ("12", r"\boxed{12} <think>Is that so?"),
            ("12", r"<answer>\boxed{12}"),
        ],
    );
}

#[test]
fn the_sign_before_a_box_and_the_factors_behind_it_belong_to_it() {
    judged(
        BOTH,
        true,
        &[
            ("-5", r"-\boxed{5}"),
            ("-5", r"$x = -\boxed{5}$"),
            ("-5", r"$x = - \boxed{5}$"),
            ("-x-5", r"$-\boxed{x+5}$"),
            ("5000", r"\boxed{5} \times 10^3"),
            ("5000", r"$\boxed{5} \times 10^{3}$"),
            (r"\frac14", r"$\boxed{\frac12}^2$"),
            ("60", r"$\boxed{60}^\circ$"),
            ("5", r"- \boxed{5}"),
            ("5", r"The answer - \boxed{5}"),
            ("5", r"$x - 2 = \boxed{5}$"),
            ("5", r"\boxed{5}!"),
        ],
    );
    judged(
        BOTH,
        false,
        &[
            ("5", r"-\boxed{5}"),
            ("5", r"$x = -\boxed{5}$"),
            ("5", r"\boxed{5} \times 10^3"),
            (r"\frac12", r"$\boxed{\frac12}^2$"),
            ("5", r"$2\cdot\boxed{5}$"),
            ("5", r"$\sqrt{\boxed{5}}$"),
        ],
    );
}
