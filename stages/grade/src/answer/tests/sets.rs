//! Lists, sets, tuples and intervals.

use super::*;

#[test]
fn lists_and_sets_have_no_order_and_tuples_have() {
    same(&[
        ("1,2", "2, 1"),
        ("1,2", "1 and 2"),
        ("1,2", r"1 \text{ or } 2"),
        ("1,2", r"1\text{ and }2"),
        ("1,2", "1;2"),
        ("1,2", r"1 \quad 2"),
        ("1,2", r"1 \quad \text{and} \quad 2"),
        ("21,16,11", "$21,16$ or $11$"),
        ("19, 46, and 82", r"19, 46, \text{ and } 82"),
        ("12 and 13", r"12\text{ and }13"),
        ("{1,2}", r"\{2, 1\}"),
        (r"\{1,2\}", "1,2"),
        (r"\{1,2\}", r"\{1,2,2\}"),
        (r"\{5\}", "5"),
        (r"\{\}", r"\emptyset"),
        (r"\emptyset", "no solution"),
        ("(2,1),(3,1)", "(3,1),(2,1)"),
        ("(11,7)or(7,11)", r"(7,11),\ (11,7)"),
        ("(1,2)", r"\left( 1, 2 \right)"),
        ("(1;2)", "(1,2)"),
        ("(0;0;0),(0;-2;0)", "(0, -2, 0), (0, 0, 0)"),
        (r"\left(3,\frac{\pi}{2}\right)", r"(3, \pi/2)"),
        ("(1,2,3)", "[1,2,3]"),
        ("P(1,2)", "(1,2)"),
        ("2,3,5,7,13", "{2, 3, 5, 7, 13}"),
        ("{35 cm, 4}", "4, 35 cm"),
        ("A,B", "B, A"),
        (r"\text{A, B}", "A,B"),
    ]);
    differ(&[
        ("(1,2)", "(2,1)"),
        ("(1,2)", "1,2"),
        ("1,2", "1,3"),
        ("1,2", "1,2,3"),
        ("1,2", "1"),
        (r"\{1,2\}", r"\{1,3\}"),
        ("(1,2),(3,4)", "(2,1),(3,4)"),
        ("(1,2,3)", "(1,2)"),
    ]);
}

#[test]
fn collections_of_other_things() {
    same(&[
        (r"\left\{\frac{1}{2}, 3\right\}", r"\{3, 0.5\}"),
        (r"\{(1,2),(3,4)\}", "(3,4),(1,2)"),
        (r"(\sqrt{2}, \pi)", r"(2^{1/2}, \pi)"),
        ("(x,y) = (1,2)", "(1,2)"),
        ("x = 1, 2, 3", "1, 2, 3"),
        ("x=1 or x=2", "1, 2"),
        (r"x=1\text{ or }x=2", r"x \in \{1,2\}"),
        (r"x \in \{1, 2\}", "1, 2"),
        (r"\{x=1, x=2\}", "1,2"),
        ("a, b", "b, a"),
        (r"2, 3, \text{ and } 5", "5, 3, 2"),
        ("1, 2,", "1, 2"),
        (r"\{2, 4, 6, \ldots\}", r"\{2,4,6,\dots\}"),
        (r"\emptyset", r"\varnothing"),
        (r"\emptyset", "∅"),
        (
            r"\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix}",
            r"\left(-\frac13,\frac23,\frac53\right)",
        ),
        (r"[1,2]\cup\{5\}", r"\{5\}\cup[1,2]"),
        (r"\mathbb{Z}", "ℤ"),
        (r"x\in\mathbb{Z}", r"\mathbb{Z}"),
    ]);
    differ(&[
        (r"\emptyset", "0"),
        (r"\{0\}", r"\emptyset"),
        (r"\mathbb{Z}", r"\mathbb{R}"),
        (r"\{(1,2),(3,4)\}", r"\{(1,2),(4,3)\}"),
        ("x=1 or x=2", "1, 3"),
        (r"[1,2]\cup\{5\}", r"[1,2]\cup\{6\}"),
        ("1, 1, 2", "1, 2"),
    ]);
}

#[test]
fn intervals_keep_their_ends() {
    same(&[
        ("[0,1)", r"\left[0,1\right)"),
        (r"(-\infty, 0]", r"(-\infty,0]"),
        (r"(5,\infty)", r"(5,+\infty)"),
        (
            r"(-\infty,1]\cup[10,+\infty)",
            r"c \in \left(-\infty, 1\right]\cup[10,+\infty)",
        ),
        (r"(-\infty,1)\cup(2,3)", r"(2,3)\cup(-\infty,1)"),
        ("(0,1)U(2,3)", r"(0,1)\cup(2,3)"),
        (r"(0,2)", r"(0,1)\cup[1,2)"),
        (r"(0,3)", r"(0,2)\cup(1,3)"),
        (r"(0,1)", r"(0,2)\cap(-1,1)"),
        ("]0,1[", "(0,1)"),
        ("[0,1[", "[0,1)"),
        (
            r"\left[\frac{\pi^2}{8},\frac{5\pi^2}{4}\right]",
            r"[\pi^2/8, 5\pi^2/4]",
        ),
        ("(a,b]", r"\left(a,b\right]"),
        (r"[1,\sqrt{2}]", r"[1,2^{1/2}]"),
    ]);
    differ(&[
        ("[0,1)", "(0,1]"),
        ("[0,1]", "(0,1)"),
        ("[0,9)", "[0,1)"),
        (r"(-\infty,-3]\cup[2,\infty)", "[-3,2]"),
        (r"(0,2)", r"(0,1)\cup(1,2)"),
        ("1", "[0,1)"),
    ]);
}

#[test]
fn unions_overlap_and_differ() {
    same(&[
        (r"(-\infty,\infty)", r"(-\infty,0]\cup(0,\infty)"),
        (r"(-2,2)\setminus\{0\}", r"(-2,0)\cup(0,2)"),
        (r"(-2,2)-\{0\}", r"(-2,0)\cup(0,2)"),
        (r"[0,1]\cap[1,2]", r"\{1\}"),
        (r"(0, 9) \cup (9, 36)", r"(9,36)\cup(0,9)"),
        (
            r"(-\infty,-\sqrt{2})\cup(\sqrt{2},\infty)",
            r"x<-\sqrt{2} \text{ or } x>\sqrt{2}",
        ),
        (r"\left(-\infty,\tfrac12\right]", r"x\le 0.5"),
        (r"x \ge 2 \text{ and } x \neq 3", r"[2,3)\cup(3,\infty)"),
        (r"x\ne 1, x\ne 2", r"(-\infty,1)\cup(1,2)\cup(2,\infty)"),
        (r"\mathbb{R}\backslash\{1,2\}", r"x\ne 1, x\ne 2"),
    ]);
    differ(&[
        (
            r"(-\infty,-\sqrt{2})\cup(\sqrt{2},\infty)",
            r"(-\sqrt{2},\sqrt{2})",
        ),
        (r"(0,1)\cup(2,3)", "(0,3)"),
        (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}\setminus\{1\}"),
        (r"x \ge 2 \text{ and } x \neq 3", r"[2,\infty)"),
    ]);
}

#[test]
fn inequalities_are_the_intervals_they_describe() {
    same(&[
        (r"x \in [-2,7]", r"-2 \le x \le 7"),
        (r"-2 \\le x \\le 7", r"x \in [-2,7]"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("[-2,7]", r"-2 \leq x \leq 7"),
        (
            r"1\leq|z|\leq\frac{3}{2}",
            r"z\in\left[-\frac32,-1\right]\cup\left[1,\frac32\right]",
        ),
        ("|x|<3", "(-3,3)"),
        ("|x-1| \\le 2", "[-1,3]"),
        ("|2x|>4", r"(-\infty,-2)\cup(2,\infty)"),
        ("x>3", r"(3,\infty)"),
        (r"x\neq 3", r"(-\infty,3)\cup(3,\infty)"),
        (r"x\neq 3", r"\mathbb{R}\setminus\{3\}"),
        (r"\mathbb{R}\setminus\{0\}", r"\mathbb R - \{0\}"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"\mathbb{R}", "all real numbers"),
        (r"x\in\mathbb{R}", r"\mathbb{R}"),
        ("x<1 or x>3", r"(-\infty,1)\cup(3,\infty)"),
        (r"x<1 \text{ or } x>3", "x > 3 or x < 1"),
        ("x>1 and x<3", "1<x<3"),
        ("x>1 and x<3", "(1,3)"),
        (r"\{x \mid x>3\}", r"(3,\infty)"),
        (r"\{x\in\mathbb{R}: x\ne 0\}", r"\mathbb{R}\setminus\{0\}"),
        (r"\{t \mid t>3\}", r"\{x : x > 3\}"),
        ("-1 < 2x+1 < 5", "(-1,2)"),
        ("3-x > 1", "x<2"),
        ("a<x<b", "(a,b)"),
    ]);
    differ(&[
        (r"x \in [-2,7]", r"-2 < x \le 7"),
        ("x>3", r"[3,\infty)"),
        ("x>3", "y>3"),
        (r"x\neq 3", r"x\neq 4"),
        ("|x|<3", "(0,3)"),
        ("x<1 or x>3", "(1,3)"),
        (r"\mathbb{R}", r"(0,\infty)"),
    ]);
}
