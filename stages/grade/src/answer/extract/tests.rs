//! Where answers stand, mark by mark.

use super::*;

fn with(options: &ExtractOptions, text: &str, expected: Option<(&str, ExtractRule)>) {
    let found = extract(text, options);
    assert_eq!(
        found.as_ref().map(|f| (f.text.as_str(), f.rule)),
        expected,
        "{text}"
    );
}

/// As `grade` looks, with everything that a policy may allow.
fn check(text: &str, answer: &str, rule: ExtractRule) {
    let options = ExtractOptions {
        last_number: true,
        closing: true,
        whole_up_to: 200,
        ..ExtractOptions::default()
    };
    with(&options, text, Some((answer, rule)));
}

/// As `grade` looks under the default policy.
fn check_strict(text: &str, expected: Option<(&str, ExtractRule)>) {
    let options = ExtractOptions {
        closing: true,
        whole_up_to: 200,
        ..ExtractOptions::default()
    };
    with(&options, text, expected);
}

use ExtractRule::{Boxed, Choice, Formula, Hashes, LastNumber, Phrase, Statement, Tag, Whole};

#[test]
fn a_box_wins_over_every_other_mark_but_the_tag() {
    check(r"The answer is 3. #### 4 then \boxed{5}", "5", Boxed);
    check(
        r"\boxed{\frac{1}{\sqrt{2}}} is it",
        r"\frac{1}{\sqrt{2}}",
        Boxed,
    );
    check(r"\fbox {7}", "7", Boxed);
    check(r"\framebox{7}", "7", Boxed);
    check("\\boxed\n {7}", "7", Boxed);
    check(r"\boxed 7$", "7", Boxed);
    check(r"\boxed{\{1,2\}}", r"\{1,2\}", Boxed);
    check(r"\boxed{\boxed{5}}", "5", Boxed);
    check(r"\boxed{3} <answer>4</answer>", "4", Tag);
}

#[test]
fn a_backslash_that_was_escaped_twice_still_opens_a_box() {
    check(r"so $\\boxed{\\frac{1}{2}}$", r"\\frac{1}{2}", Boxed);
    check(r"a \\ \boxed{2}", "2", Boxed);
}

#[test]
fn the_boxes_of_one_closing_sentence_are_one_answer() {
    check(r"\boxed{2}, \boxed{3}", "2, 3", Boxed);
    check(r"\boxed{2} and $\boxed{3}$", "2, 3", Boxed);
    check(r"\boxed{1} papers and \boxed{2} bins", "1, 2", Boxed);
    check(r"$\boxed{1}\boxed{2}$", "1, 2", Boxed);
    check(
        r"$$\boxed{a} \quad \text{and} \quad \boxed{b}$$",
        "a, b",
        Boxed,
    );
    check(r"$x = \boxed{2}$, $y = \boxed{3}$", "2, 3", Boxed);
    check(
        r"\boxed{3} red balls, \boxed{4} blue balls and \boxed{5} green ones",
        "3, 4, 5",
        Boxed,
    );
}

#[test]
fn a_later_box_of_another_sentence_replaces_an_earlier_one() {
    check(r"first \boxed{2}, but wait, it is \boxed{3}", "3", Boxed);
    check(r"We get \boxed{2}. Thus \boxed{3}.", "3", Boxed);
    check("\\boxed{2}\n\n\\boxed{3}", "3", Boxed);
    check(r"\boxed{2} = \boxed{4}", "4", Boxed);
}

#[test]
fn an_answer_that_is_boxed_twice_is_one_answer() {
    check(r"$\boxed{84}$, \boxed{84}", "84", Boxed);
    check(r"$\boxed{84}\boxed{84}$", "84", Boxed);
    check(
        "so \\boxed{84}\n\n**Final Answer**\n\\boxed{84}",
        "84",
        Boxed,
    );
    check(r"\boxed{\frac12} or \boxed{0.5}", r"\frac12", Boxed);
}

#[test]
fn a_percent_sign_behind_a_box_belongs_to_the_answer() {
    check(r"$\boxed{20}\%$", r"20\%", Boxed);
    check(r"$\boxed{28}$ pct", r"28\%", Boxed);
    check(r"$\boxed{20\%}\%$", r"20\%", Boxed);
}

#[test]
fn a_truncated_box_is_no_answer() {
    check(r"\boxed{2} wait \boxed{3", "2", Boxed);
    check(r"so it must be \boxed{\frac{1}{", "1", LastNumber);
    check_strict(
        r"so it must be \boxed{35",
        Some((r"so it must be \boxed{35", Whole)),
    );
    // What ends the formula ends the box.
    check(r"$\boxed{35$. I hope it is correct.", "35", Boxed);
    let gold = ExtractOptions {
        unclosed_box: true,
        ..ExtractOptions::default()
    };
    with(&gold, r"so \boxed{35", Some(("35", Boxed)));
}

#[test]
fn an_empty_box_holds_nothing() {
    check_strict(r"\boxed{}", None);
    check_strict(r"x = 5, so \boxed{ }", None);
    check(r"In \boxed{}: \boxed{7}. It is in \boxed{}.", "7", Boxed);
    check(r"I shall use \boxed{}. The answer is 7.", "7", Phrase);
}

#[test]
fn prose_in_a_box_is_looked_through() {
    check(r"\boxed{The answer is 5}", "5", Boxed);
    check(r"\boxed{\text{Evelyn}}", r"\text{Evelyn}", Boxed);
    check(r"\boxed{12\text{ and }13}", r"12\text{ and }13", Boxed);
}

#[test]
fn tags_hold_answers_and_their_mention_does_not() {
    check("<answer>42</answer>", "42", Tag);
    check("<answer>\n\\boxed{42}\n</answer>", "42", Boxed);
    check(
        "It goes in <answer> </answer>: <answer>7</answer>",
        "7",
        Tag,
    );
    // It may have been cut in the middle of a number; a box that is closed was not.
    check_strict("<answer>12", None);
    check(r"<answer>\boxed{12}", "12", Boxed);
    check("<answer>The sum is $12$.</answer>", "12", Tag);
}

#[test]
fn thoughts_and_what_follows_the_turn_are_read_last() {
    check(
        r"<think>maybe \boxed{3}</think> The answer is 4.",
        "4",
        Phrase,
    );
    check(r"<think>so \boxed{3}</think>", "3", Boxed);
    check(
        "the answer is 2/3. <|im_end|><|im_start|>user\nThe answer is 9",
        "2/3",
        Phrase,
    );
    check("The answer is 5.\nHuman: is the answer is 6?", "5", Phrase);
    check(
        "#### 5\n\nQuestion: What is 3+3?\nAnswer: 6\n#### 6",
        "5",
        Hashes,
    );
    check(
        "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nThe answer is 8<|im_end|>",
        "8",
        Phrase,
    );
}

#[test]
fn hashes_mark_answers_and_headings_are_none() {
    check("He paid 5.\n#### 1,200\n", "1,200", Hashes);
    check("#### 12\n#### Remarks\nThat was easy.", "12", Hashes);
    check("#### Solution\nWe get $x = 2$.", "x = 2", Statement);
}

#[test]
fn phrases_end_where_the_reason_begins() {
    check("The answer is 7 because 3+4", "7", Phrase);
    check(
        "The final answer is $x^2. y$. I hope it is correct.",
        "x^2. y",
        Phrase,
    );
    check("**Answer:** 1,000", "1,000", Phrase);
    check("So the answer is (0, 1).", "(0, 1)", Phrase);
    check("the answer is 3.5.", "3.5", Phrase);
    check("The answer is **73**.", "73", Phrase);
    check("The answer is **73** (see above).", "73", Phrase);
    check(
        "the answer, in metres, is 12, since 3 times 4 is 12",
        "12",
        Phrase,
    );
    check("The answer to the question would be $12$.", "12", Phrase);
    check("The final answer is:\n\n\\[ 12 \\]", "12", Phrase);
    check("**Final Answer**\n\n$12$\n", "12", Phrase);
    check("### Answer\n12", "12", Phrase);
    check("The final result is 12.", "12", Phrase);
    check("Answer: 3 + 4 = 7", "7", Phrase);
    check(
        "The answers are $x=1$ and $x=2$.",
        "$x=1$ and $x=2$",
        Phrase,
    );
    check("the answer is not 5. The answer is 6, not 5.", "6", Phrase);
    check(
        "The answer is 6. I checked it, and the answer is correct.",
        "6",
        Phrase,
    );
    check("所以答案是 12。", "12", Phrase);
    check("The answer is Paris.", "Paris", Phrase);
    check("The answer is The Hague.", "The Hague", Phrase);
}

#[test]
fn announcements_have_many_forms() {
    for text in [
        "Ans: 5",
        "ANSWER: 5",
        "My answer: 5",
        "the answer=5",
        "Final answer - 5",
        "Final Answer \u{2192} 5",
        "**Answer: $5$**",
        "The answer is therefore 5.",
        "The answer should be 5.",
        "The correct answer would be `5`.",
        "The answer is 5 - this follows from 3+2",
        "The answer is 5\nThis is because 3+2 = 5.",
        "The answer is 5, the sum of both.",
        "The answer is 5, i.e. half of ten.",
        "I think the answer is \"5\".",
    ] {
        check(text, "5", Phrase);
    }
    check("The correct answer is option A.", "A", Phrase);
    check("The answer is yes, it is.", "yes", Phrase);
    check("Yes, it is.", "Yes", Statement);
}

#[test]
fn what_a_phrase_announces_may_be_prose() {
    check("Final Answer: The largest $n$ is 34.", "34", Phrase);
    check(
        "Final Answer: The maximum of $f(x)$ over the domain is 19.",
        "19",
        Phrase,
    );
    check(
        "Final Answer: Jane started growing Sphere 3 hours ago.",
        "3 hours ago",
        Phrase,
    );
    check(
        "Final Answer: The maximum is reached for $x=2$ and is 8.",
        "8",
        Phrase,
    );
    check("Answer: the set of all $x$ is $(2, 3)$", "(2, 3)", Phrase);
}

#[test]
fn a_derivation_is_its_last_side() {
    check("So the sum is $a + b = 3 + 4 = 7$.", "7", Statement);
    check("Hence $a + b = 3 + 4 = 7$ outfits.", "7", Formula);
    check("We get $x = 3 + 4 = 7$.", "x = 3 + 4 = 7", Statement);
    check("Hence $a + b = 7$ is left.", "7", Formula);
    check("The sum of the roots is $a + b = 7$.", "7", Statement);
    check(
        "The equation of the line is $2x + y = 7$.",
        "2x + y = 7",
        Statement,
    );
    check("The answer is $2x + y = 7$.", "2x + y = 7", Phrase);
    check(
        "Hence $(a, b) = (1, 2)$ is left.",
        "(a, b) = (1, 2)",
        Formula,
    );
    check("Hence $2x + 1 \\ge 7$ is left.", "2x + 1 \\ge 7", Formula);
    check("So there are $3! = 6$ ways.", "$6$ ways", Statement);
    check(
        "Thus $c = 14,$ and $a_1 = 14 \\cdot 6^2 = 504.$",
        "a_1 = 14 \\cdot 6^2 = 504",
        Formula,
    );
    check(
        r"Thus $7n \equiv 24 \equiv 3 \pmod{7}$ holds.",
        "3",
        Formula,
    );
    check(
        "Then\n\\[\\begin{aligned} p &= 1 + 2 \\\\ &= 3. \\end{aligned}\\]",
        "3",
        Formula,
    );
    check("There are $2$ different values of $x$.", "2", Statement);
    check(
        "The angle is $180-100=80$ degrees.",
        "$80$ degrees",
        Statement,
    );
    check("Hence $x=4,$ since $10000$ ends in zeroes.", "x=4", Formula);
    check(
        "We are closer to $8$, so that $x = 11$ holds.",
        "x = 11",
        Formula,
    );
    check(
        "So the sum is $12$.\n[asy] draw(1,2); [/asy]",
        "12",
        Statement,
    );
}

#[test]
fn one_value_in_two_writings_is_one_answer() {
    check("The probability is 3/4, or 75%.", "3/4", Statement);
    check("The answer is 0.5 or 1/2.", "0.5", Phrase);
    check("The answer is 2 or 3.", "2 or 3", Phrase);
}

#[test]
fn a_unit_may_stand_to_its_number_in_a_sentence() {
    check(
        "it's not 10 it's 1,000.99m²",
        r"1,000.99\text{ m}²",
        Statement,
    );
    check("The length is 12cm.", r"12\text{ cm}", Statement);
    check("The length is 5 m.", r"5\text{ m}", Statement);
    check("The area is 1.5m^2.", r"1.5\text{ m}^2", Statement);
    check("The term is 3x.", "3x", Statement);
    check("The term is 3m.", "3m", Statement);
}

#[test]
fn what_a_sentence_denies_is_not_what_it_says() {
    check_strict(
        "The answer is not 9.",
        Some(("The answer is not 9.", Whole)),
    );
    check(
        "It is not 9, but there are more than 8.",
        "It is not 9, but there are more than 8.",
        Whole,
    );
}

#[test]
fn a_value_that_its_words_restrict_is_not_the_answer() {
    for text in [
        "all real numbers except 3",
        "all numbers except $3$",
        "at least 3",
        "x is at least 3",
        "It is more than 3",
        "So it cannot be $3$",
        "a multiple of 3",
        "Monday, June 3",
        "step 3",
    ] {
        check_strict(text, Some((text, Whole)));
    }
    check_strict(
        "The answer is all real numbers except 3.",
        Some(("all real numbers except 3", Phrase)),
    );
    check_strict("x is 3", Some(("3", Statement)));
    check_strict("approximately 3", Some(("3", Statement)));
    check_strict("The total is about $3$.", Some(("3", Statement)));
}

#[test]
fn words_may_be_what_a_sentence_says() {
    check("So the fastest runner is Evelyn.", "Evelyn", Statement);
    check("The number of them is even.", "even", Statement);
    check(
        "There are 12 ways. The proof is complete.",
        "12 ways",
        Statement,
    );
}

#[test]
fn signs_of_a_conclusion_part_it_from_what_comes_before() {
    check(r"$$x^2 = 4 \implies x = 2$$", "x = 2$$", Whole);
    check(r"\boxed{x^2=4 \implies x=2}", "x=2", Boxed);
    check(r"\boxed{A \implies B}", r"A \implies B", Boxed);
    check(
        r"The length is $\sqrt{2} \approx 1.414$.",
        r"\sqrt{2}",
        Statement,
    );
    check(r"So $A \approx 16386.16$ is left", "16386.16", Formula);
    check(r"So $A = 5 \cdot 3.7 \approx 19$ is left", "19", Formula);
    check(
        r"So the solution is $x \geq 3$, as wanted.",
        r"x \geq 3",
        Statement,
    );
    check("The time is 3:15 pm.", "3:15 pm", Statement);
    check("Answer - 4", "4", Phrase);
    check(r"\textbf{Answer: } 4", "4", Phrase);
    check(r"\boxed{\text{The answer is }5}", "5", Boxed);
    check("Hence there are 12 pairs $(a,b)$.", "12", Statement);
}

#[test]
fn a_number_with_words_behind_it_is_a_number() {
    check("The answer is 18 of them in total.", "18", Phrase);
    check("The answer is 5 units of length.", "5", Phrase);
    check("The answer is 50% of the people.", "50%", Phrase);
}

#[test]
fn a_sentence_is_looked_through_for_what_it_says() {
    check(r"We find that $x \lt 3$.", r"x \lt 3", Formula);
    check("Thus $x <= 2$ is our answer.", "x <= 2", Formula);
    check(r"Answer \[ 9 \]", "9", Formula);
    check("Answer $$\n 9 \n$$", "9", Formula);
    check(r"Answer \( (9+1) \)", "(9+1)", Formula);
    check("The sum is $1 + x$", "1 + x", Statement);
    check("The largest $n$ is 34.", "34", Statement);
    check(
        "the number is not 10 which is 1,000.99€",
        "1,000.99€",
        Statement,
    );
    check("The probability that Alice wins is 2/3.", "2/3", Statement);
    check("We are left with $x=2$ or $x=3$.", "x=2, x=3", Formula);
    check("There are 12 ways to choose them all.", "12", Statement);
    check("In the end 12 remain and go home.", "12", LastNumber);
    check_strict(
        "There are 12 ways to choose them all.",
        Some(("12", Statement)),
    );
    check(
        r"Answer $ \frac{1}{2} \$ = \frac{10}{9} $",
        r"\frac{10}{9}",
        Formula,
    );
    check(
        r"Hence \begin{align*} x &= 3 + 4 \\ &= 7. \end{align*}",
        "7",
        Formula,
    );
    check(r"So $x^2 = 4 \implies x = 2$.", "x = 2", Formula);
    check("It costs $5 and $6, so we have $11$.", "11", Statement);
}

#[test]
fn a_bare_answer_is_itself() {
    for bare in [
        "5",
        "x = 5",
        r"\frac{1}{2}",
        "$[0,1)$",
        "Evelyn",
        "New York",
        "$21,16$ or $11$",
        "$28$ %",
        r"\text{(C)}",
        "5 miles per hour",
        r"$\frac{1}{3} \textbf{meters}$",
        // What does not read, and has no words, is an answer that does not read.
        r"\frac{1",
    ] {
        check_strict(bare, Some((bare, Whole)));
    }
}

#[test]
fn without_a_mark_the_last_number_counts_only_where_declared() {
    check(
        "I saw 7 birds, and then came 1,000 fish, all swimming in a row",
        "1,000",
        LastNumber,
    );
    check_strict(
        "I saw 7 birds, and then came 1,000 fish, all swimming in a row",
        Some((
            "I saw 7 birds, and then came 1,000 fish, all swimming in a row",
            Whole,
        )),
    );
    with(&ExtractOptions::default(), "I saw 7 birds", None);
    with(&ExtractOptions::default(), "so $x = 7$.", None);
}

#[test]
fn a_long_text_that_breaks_off_has_no_closing_sentence() {
    let long = "We add the numbers and go on. ".repeat(20);
    check_strict(
        &format!("{long}So the sum is $12$."),
        Some(("12", Statement)),
    );
    check_strict(&format!("{long}So the sum is $12$ and we mul"), None);
    check(
        &format!("{long}So the sum is $12$ and we mul"),
        "12",
        Statement,
    );
}

#[test]
fn choices_are_letters_that_stand_alone() {
    let options = ExtractOptions {
        choice: true,
        ..ExtractOptions::default()
    };
    let letter = |text: &str, letter, rule| with(&options, text, Some((letter, rule)));
    letter(r"\boxed{\text{(C)}}", "C", Boxed);
    letter("The correct answer is (B) Mars.", "B", Phrase);
    letter("Answer: d", "D", Phrase);
    letter("A man walks. It must be option C, I think", "C", Choice);
    letter("<think>A or B?</think> <answer>B</answer>", "B", Tag);
    with(&options, "Nothing here", None);
}

#[test]
fn every_rule_has_its_word() {
    for rule in ExtractRule::ALL {
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(json, format!("\"{}\"", rule.as_str()));
    }
}

#[test]
fn the_time_of_a_long_text_grows_with_its_length() {
    for piece in [
        r"\boxed{",
        r"\boxed{1}, ",
        r"not \boxed{1} ",
        r"\boxed{1} is wrong. ",
        "The answer is 1. No wait, it is 2. ",
        "<think>",
        r"\boxed{1} and so \boxed{",
        "the answer is ",
        "the answer is 5 (",
        "answer: $x",
        "#### ",
        "#### a\n",
        "{",
        "}",
        "$",
        "$$",
        "$a$ ",
        r"\(",
        r"\[ x \] ",
        r"\begin{align}",
        "1,",
        "1 ",
        "A ",
        "is ",
        "x = ",
        ". ",
        "\n\n",
        "<answer>",
        "<answer></answer>",
        "</think>",
        "<|im_start|>",
        "é",
        "答案是",
        r"\\",
    ] {
        let text = piece.repeat(100_000 / piece.len());
        for choice in [false, true] {
            let start = std::time::Instant::now();
            extract(
                &text,
                &ExtractOptions {
                    choice,
                    last_number: true,
                    closing: true,
                    whole_up_to: 200,
                    unclosed_box: false,
                },
            );
            // A debug build on a busy machine: what is not linear takes minutes.
            assert!(
                start.elapsed().as_secs() < 5,
                "{piece}: {:?}",
                start.elapsed()
            );
        }
    }
}
