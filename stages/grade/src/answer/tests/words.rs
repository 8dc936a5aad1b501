//! Answers in words.

use super::*;

#[test]
fn words_are_the_same_without_regard_to_case_fonts_and_marks() {
    same(&[
        (r"\text{Evelyn}", "evelyn"),
        (r"\text{odd}", "odd"),
        (r"\text{Even}", "Even"),
        (r"\text{ellipse}", "an ellipse"),
        (r"\text{east}", r"\textbf{East}."),
        ("the red one", "red one"),
        ("yes", "Yes"),
        (r"\text{not possible}", "not possible"),
        ("Monday", r"\text{Monday}"),
        ("May 5", "5 May"),
        ("May 5, 1990", "5th of May 1990"),
    ]);
    differ(&[
        ("Evelyn", "Carla"),
        ("odd", "even"),
        ("yes", "no"),
        ("May 5", "May 6"),
        ("May 5", "June 5"),
    ]);
}

#[test]
fn words_are_not_letters_multiplied() {
    same(&[
        (r"\text{no}", "no"),
        (r"\text{Yes}", "yes"),
        ("No.", r"\text{no}"),
        (r"\text{True}", "true"),
        (r"\text{none}", "None"),
        (r"\text{Alice and Bob}", "Alice and Bob"),
        (r"\text{right triangle}", "a right triangle"),
        (r"\text{hyperbola}", r"\textit{hyperbola}"),
        ("does not exist", r"\text{Does not exist}"),
        ("infinitely many", r"\text{infinitely many}"),
    ]);
    differ(&[
        (r"\text{no}", "on"),
        (r"\text{parabola}", r"\text{hyperbola}"),
        (r"\text{true}", r"\text{false}"),
        ("none", "neno"),
    ]);
    check_all(
        &Policy::default(),
        Verdict::Fail,
        &[("5", r"\text{five apples}"), ("east", "5"), ("x", "yes")],
    );
}

#[test]
fn choices_are_letters_in_any_dress() {
    same(&[
        ("B", "(B)"),
        ("B", r"\text{(B)}"),
        ("B", r"\textbf{(B)}"),
        ("B", r"\text{B}"),
        ("B", r"\mathrm{B}"),
        (r"\text{E}", "E"),
        ("(C)", r"\text{C}"),
        ("A, C", "C and A"),
    ]);
    differ(&[("d", r"\text{E}"), ("A", "C"), ("(A)", r"\text{(B)}")]);
}
