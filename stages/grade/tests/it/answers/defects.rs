//! What the field's own graders get wrong, each a test.

use dag_grade::Verdict::{Error, Fail, Pass, Unparsable};

use super::{check, graded};

#[test]
fn nothing_is_not_equal_to_nothing() {
    for (gold, answer) in [
        ("", ""),
        (r"\boxed{}", ""),
        ("", r"\boxed{}"),
        (r"\boxed{}", r"\boxed{}"),
        (" ", " "),
    ] {
        let graded = graded(gold, answer);
        assert!(!graded.verdict.is_pass(), "{gold:?} {answer:?}: {graded:?}");
    }
    check(r"\boxed{}", "5", Error);
    check("5", "", Unparsable);
}

#[test]
fn ten_thousand_and_one_is_not_ten_thousand() {
    check("10000", "10001", Fail);
    check("10001", "10000", Fail);
}

#[test]
fn fifty_is_not_one_half() {
    check("0.5", "50", Fail);
    check("50", "0.5", Fail);
    check(r"50\%", "0.5", Pass);
}

#[test]
fn the_ends_of_an_interval_are_part_of_it() {
    check("(0,1]", "[0,1)", Fail);
    check("[0,1)", "[0,1)", Pass);
}

#[test]
fn a_pair_is_not_two_answers() {
    check("1,2", "(1,2)", Fail);
    check("(1,2)", "1,2", Fail);
}

#[test]
fn another_unknown_is_another_answer() {
    check("k=3", "m=3", Fail);
    check("k=3", "k=3", Pass);
}

#[test]
fn a_boxed_thousand_is_one_number() {
    check("1000", r"\boxed{1,000}", Pass);
    check("1000", r"\boxed{1{,}000}", Pass);
    check("1000", r"\boxed{1\,000}", Pass);
    check("1000", r"\boxed{0,1}", Fail);
}

#[test]
fn two_boxes_are_two_answers() {
    check("2, 3", r"\boxed{2}, \boxed{3}", Pass);
    check("3", r"\boxed{2}, \boxed{3}", Fail);
}

#[test]
fn a_reason_is_no_part_of_the_answer() {
    check("7", "The answer is 7 because 3+4", Pass);
    check("4", "The answer is 7 because 3+4", Fail);
}

#[test]
fn the_last_number_of_a_text_is_not_its_answer_unless_a_policy_says_so() {
    let text = "We had 3 apples and bought some more of them. In the end there were many, not only 4, in the basket";
    assert!(!graded("4", text).verdict.is_pass());
}

/// Math-Verify, issue 44.
#[test]
fn an_answer_that_is_boxed_twice_is_not_a_longer_answer() {
    let text = "So the answer is \\boxed{84}.\n\n**Final Answer**\n\\boxed{84}";
    check("84", text, Pass);
    check("84", r"$\boxed{84}$ $\boxed{84}$", Pass);
    check("8484", r"$\boxed{84}\boxed{84}$", Fail);
    check("840840", r"\boxed{840}\boxed{840}", Fail);
    check("840", r"\boxed{840}\boxed{840}", Pass);
}

/// Math-Verify, issue 76.
#[test]
fn bold_is_no_power() {
    check("73", "**73**", Pass);
    check("73", "The answer is **73**.", Pass);
    check("8", "2**3", Pass);
}

/// Math-Verify, issue 60.
#[test]
fn two_equations_are_not_both_true_and_so_equal() {
    for (gold, answer) in [
        ("x+y=3", "0=0"),
        ("0=0", "x=x+1"),
        ("x^2+y^2=1", "1=1"),
        ("x=3", "3=3"),
    ] {
        let graded = graded(gold, answer);
        assert!(
            !graded.verdict.is_pass(),
            "{gold} against {answer}: {graded:?}"
        );
    }
}

/// The worked example of the Sky-T1 article: for which n is n² + 19n + 88 a square? It claims n = 1 and 8 with sum 9,
/// but 108 and 304 are no squares, and no positive n gives one: the sum is 0. The polynomial is (n + 8)(n + 11).
#[test]
fn the_example_that_has_no_solution_is_judged_by_its_values() {
    check("0", r"The sum of all such $n$ is $\boxed{9}$.", Fail);
    check("0", r"There is none, so the sum is $\boxed{0}$.", Pass);
    check("n^2+19n+88", "(n+8)(n+11)", Pass);
    check("n^2+19n+88", "n^2+19n+89", Fail);
    check("n^2+19n+88", "(n+1)(n+8)", Fail);
    check(r"1^2+19\cdot 1+88", "108", Pass);
    check(r"8^2+19\cdot 8+88", "304", Pass);
    check(r"\sqrt{108}", r"6\sqrt{3}", Pass);
    check(r"\sqrt{304}", r"4\sqrt{19}", Pass);
    check(r"-\frac{361}{4}+88", "-2.25", Pass);
    // The question that was meant: n² − 19n + 99, with n = 1, 9, 10, 18.
    check("38", "1+9+10+18", Pass);
}

#[test]
fn a_gold_that_does_not_read_is_an_error_even_against_itself() {
    check(r"\frac{1", r"\frac{1", Error);
    check("((1", "((1", Error);
    // The same writing but for a space that keeps one side from being read, whichever side that is.
    for (gold, answer) in [(r"1 \_pm 2", r"1\_pm 2"), (r"1\_pm 2", r"1 \_pm 2")] {
        assert!(!graded(gold, answer).verdict.is_pass(), "{gold} {answer}");
    }
    check("all numbers except 4", "All numbers  except 4", Pass);
    // A number in words that restrict it is not that number, on either side.
    assert!(!graded("all numbers except 4", "4").verdict.is_pass());
    check("4", "all numbers except 4", Unparsable);
}
