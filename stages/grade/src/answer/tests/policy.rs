//! What each setting changes, and what it leaves.

use super::*;

/// Pass with the setting, fail without it, in both directions.
fn turns(policy: &Policy, pairs: &[(&str, &str)]) {
    check_all(policy, Verdict::Pass, pairs);
    check_all(&Policy::default(), Verdict::Fail, pairs);
}

#[test]
fn percent_decides_what_a_percent_sign_is_worth() {
    let any = Policy {
        percent: Percent::Any,
        ..Policy::default()
    };
    turns(
        &any,
        &[("75", "0.75"), ("0.5", "50"), ("1/3", r"\frac{100}{3}")],
    );
    check_all(&any, Verdict::Fail, &[("0.80", "75"), ("0.75", "7.5")]);
    let exact = Policy {
        percent: Percent::Exact,
        ..Policy::default()
    };
    check_all(&exact, Verdict::Pass, &[("50%", "1/2")]);
    check_all(&exact, Verdict::Fail, &[("50%", "50")]);
}

#[test]
fn list_order_decides_for_lists_without_brackets_only() {
    let ordered = Policy {
        list_order: ListOrder::Ordered,
        ..Policy::default()
    };
    check_all(&ordered, Verdict::Fail, &[("1,2", "2,1")]);
    check_all(
        &ordered,
        Verdict::Pass,
        &[(r"\{1,2\}", r"\{2,1\}"), ("1,2", "1, 2.0")],
    );
}

#[test]
fn units_may_have_to_be_said() {
    let keep = Policy {
        units: Units::Keep,
        ..Policy::default()
    };
    check_all(
        &keep,
        Verdict::Pass,
        &[
            ("0.64N", r"\frac{16}{25}N"),
            (r"0.64\text{ N}", "0.64N"),
            ("5 cm", "5 centimeters"),
            ("5 km", "5000 meters"),
        ],
    );
    check_all(
        &keep,
        Verdict::Fail,
        &[
            ("5 cm", "5"),
            ("0.64N", "0.64"),
            ("5 apples", "5 pears"),
            ("52_8", "52"),
        ],
    );
}

#[test]
fn a_tolerance_is_a_part_of_the_larger_number_and_whole_numbers_are_exact() {
    let tolerant = Policy {
        relative_tolerance: 1e-3,
        ..Policy::default()
    };
    turns(
        &tolerant,
        &[
            ("3.1416", r"\pi"),
            ("0.3333", "1/3"),
            ("4.1231", r"\sqrt{17}"),
            ("(0.3333, 1)", "(1/3, 1)"),
        ],
    );
    check_all(
        &tolerant,
        Verdict::Fail,
        &[("10001", "10000"), ("3.15", r"\pi"), ("0.3", "1/3")],
    );
}

#[test]
fn a_decimal_may_be_a_rounding() {
    let rounded = Policy {
        rounded_to: Some(3),
        ..Policy::default()
    };
    turns(
        &rounded,
        &[
            ("1/3", "0.333"),
            (r"\sqrt{17}", "4.12"),
            (r"\sqrt{17}", "4.123105625617661"),
            (r"\cos ^{10}(\frac{\pi}{10})", "0.6054"),
            ("16386.1644", "16386.16"),
            (r"6.626 \times 10^{-34}", r"6.63 \times 10^{-34}"),
            (
                r"\begin{pmatrix}1/3\\1/5\end{pmatrix}",
                r"\begin{pmatrix}0.333\\0.2\end{pmatrix}",
            ),
        ],
    );
    check_all(
        &rounded,
        Verdict::Fail,
        &[
            ("1/3", "0.33"),
            ("1/3", "0.334"),
            (r"\sqrt{17}", "4.13"),
            ("7", "7.1"),
            ("16386.16", "16386.20"),
            (r"7 \times 10^{35}", r"7.1 \times 10^{35}"),
        ],
    );
}

#[test]
fn a_comma_may_be_decimal() {
    let comma = Policy {
        decimal_comma: true,
        ..Policy::default()
    };
    turns(
        &comma,
        &[("1000.99", "1000,99"), ("1,22", "1.22"), ("0,111", "0.111")],
    );
    check_all(&comma, Verdict::Pass, &[("1234567.5", "1.234.567,5")]);
    check_all(&comma, Verdict::Fail, &[("1.22", "1,23")]);
    check_all(&comma, Verdict::Pass, &[("1000", "1,000"), ("1,2", "2,1")]);
}

#[test]
fn names_may_have_to_be_said() {
    let named = Policy {
        assignment: false,
        ..Policy::default()
    };
    check_all(
        &named,
        Verdict::Fail,
        &[("x=5", "5"), (r"x\in[0,1]", "[0,1]")],
    );
    check_all(
        &named,
        Verdict::Pass,
        &[("x=5", "5=x"), (r"x\in[0,1]", r"0\le x\le 1")],
    );
}

#[test]
fn the_case_of_words_may_matter() {
    let cased = Policy {
        case_sensitive: true,
        ..Policy::default()
    };
    check_all(&cased, Verdict::Fail, &[(r"\text{Even}", r"\text{even}")]);
    check_all(&cased, Verdict::Pass, &[(r"\text{Even}", "Even")]);
}

#[test]
fn presets_follow_their_suites() {
    for (preset, verdict, gold, answer) in [
        ("math-verify", Verdict::Pass, "1/3", "0.3333"),
        ("math-verify", Verdict::Pass, "1000.99", "1000,99"),
        ("math-verify", Verdict::Fail, "1 - 1/e", "1 + 1/e"),
        ("math-verify", Verdict::Fail, "16386.16", "16386.17"),
        ("math-verify", Verdict::Pass, "f(x)", "f(y)"),
        (
            "math-verify",
            Verdict::Pass,
            r"\frac{1}{3}",
            r"$\frac{1}{3} \textbf{meters}$",
        ),
        ("math-verify", Verdict::Pass, r"15\text{ cm}", "15"),
        ("math-verify", Verdict::Pass, "0.1", "0.10000000000000001"),
        ("hendrycks-math", Verdict::Pass, "10", r"10\%"),
        ("hendrycks-math", Verdict::Pass, "10 ", r"10\text{ units}"),
        ("hendrycks-math", Verdict::Fail, "4, 10, -2", "10, 4, -2"),
        ("hendrycks-math", Verdict::Fail, "100 ", r"10\text{ units}"),
        ("hendrycks-math", Verdict::Pass, "10", r"\$10"),
        (
            "hendrycks-math",
            Verdict::Pass,
            r"10\sqrt{3} + \sqrt4",
            r"10\sqrt3 + \sqrt{4}",
        ),
        (
            "hendrycks-math",
            Verdict::Pass,
            r"\tfrac{1}{2} +\frac1{72}",
            r"\\dfrac{1}{2} +\frac{1}{72}",
        ),
        ("skythought", Verdict::Pass, "0.75", "75"),
        ("skythought", Verdict::Pass, "3.14", "3.1415"),
        ("skythought", Verdict::Fail, "10001", "10000"),
        ("skythought", Verdict::Pass, "3.14", "3.1401"),
        ("skythought", Verdict::Fail, "3.14", "3.15"),
        ("skythought", Verdict::Fail, "[0,1)", "(0,1]"),
        ("skythought", Verdict::Fail, "k=3", "m=3"),
        ("skythought", Verdict::Fail, "(1,2)", "1,2"),
        ("skythought", Verdict::Pass, "x = 5", "5"),
        ("olympiadbench", Verdict::Fail, "0.64N", "0.64"),
        ("olympiadbench", Verdict::Pass, "0.6", "60%"),
        ("olympiadbench", Verdict::Pass, "0.64N", r"0.64\mathrm{~N}"),
        ("olympiadbench", Verdict::Fail, "0.64N", "0.65N"),
        ("olympiadbench", Verdict::Fail, "0.6", "0.61"),
        (
            "olympiadbench",
            Verdict::Pass,
            "x^2+y^2=1",
            "2x^{2}+2y^{2}=2",
        ),
        (
            "olympiadbench",
            Verdict::Pass,
            "x^2+y^2=1",
            "x^{2}+y^{2}-1=0",
        ),
        ("olympiadbench", Verdict::Pass, "(2,1),(3,1)", "(3,1),(2,1)"),
        ("olympiadbench", Verdict::Fail, "(2,1),(3,1)", "(1,2),(3,1)"),
        (
            "olympiadbench",
            Verdict::Fail,
            r"(-\infty,1]\cup[10,+\infty)",
            r"(-\infty,1)\cup[10,+\infty)",
        ),
        ("olympiadbench", Verdict::Pass, r"\pm 1", "1, -1"),
        ("olympiadbench", Verdict::Fail, "7.8\\times 10^2", "790"),
        (
            "open-r1",
            Verdict::Fail,
            r"\frac{63}{400}",
            r"\frac{64}{400}",
        ),
        ("qwen2.5-math", Verdict::Pass, "900,000,000", "900000000"),
        ("qwen2.5-math", Verdict::Fail, "4:30", "4:31"),
        (
            "qwen2.5-math",
            Verdict::Fail,
            "10{,}000",
            "9998.571428571429",
        ),
    ] {
        let policy = Policy::preset(preset).unwrap();
        let graded = grade(gold, answer, &policy);
        assert_eq!(
            graded.verdict, verdict,
            "{preset}: {gold} against {answer}: {graded:?}"
        );
    }
}

#[test]
fn the_letters_in_the_brackets_of_a_function_count_unless_told_otherwise() {
    differ(&[("f(x)", "f(y)"), ("g(s,t)", "g(u,v)")]);
    let by_name = Policy {
        argument_names: false,
        ..Policy::default()
    };
    check_all(
        &by_name,
        Verdict::Pass,
        &[("f(x)", "f(y)"), ("g(s,t)", "g(u,v)")],
    );
    check_all(
        &by_name,
        Verdict::Fail,
        &[
            ("f(x)", "g(x)"),
            ("f(x,y)", "f(x)"),
            ("f(x,x)", "f(x,y)"),
            ("f(2)", "f(3)"),
        ],
    );
}
