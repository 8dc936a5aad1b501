//! Inputs that are made to cost: everything ends, within its budget.

use super::*;
use std::time::{Duration, Instant};

#[test]
fn costly_answers_end() {
    let list = |from: usize| -> String {
        let numbers: Vec<String> = (from..from + 800).map(|n| n.to_string()).collect();
        numbers.join(", ")
    };
    let symbols: Vec<String> = (0..450).map(|n| format!("x_{n}^2")).collect();
    let deep = format!("{}1{}", "{".repeat(2_000), "}".repeat(2_000));
    let deep_fractions = format!("{}1", r"\frac{1}{1+".repeat(300));
    let sums: Vec<String> = (1..500).map(|n| format!("1/{n}")).collect();
    let logs: Vec<String> = (2..350).map(|n| format!(r"\ln {n}")).collect();
    let roots: Vec<String> = (2..350).map(|n| format!(r"\sqrt{{{n}}}")).collect();
    let inequalities: Vec<String> = (2..300).map(|n| format!("x < {n}")).collect();
    let equation: Vec<String> = (2..300).map(|n| format!("1/x_{n}")).collect();
    let texts = [
        "10^{10^{10}}".to_owned(),
        "9^{9^{9^{9}}}".to_owned(),
        "100000!".to_owned(),
        "((((20!)!)!)!)!".to_owned(),
        "(a+b+c+d)^{60}".to_owned(),
        "(a+b+c+d+e+f)^{9}".to_owned(),
        format!("{}1", "2^".repeat(2_000)),
        format!("{}1", "-".repeat(4_000)),
        format!("{}x", r"\sin ".repeat(700)),
        "1/".repeat(2_000) + "3",
        "!".repeat(4_000),
        "|".repeat(4_000),
        r"\pm ".repeat(1_000),
        r"1\pm".repeat(30) + "1",
        format!("0.{}", "3".repeat(900)),
        "9".repeat(4_000),
        r"\quadqq".repeat(500),
        r"\begin{pmatrix}".repeat(250),
        list(1),
        list(5_000),
        symbols.join(", "),
        symbols.join(" + "),
        symbols.join(" "),
        deep,
        deep_fractions,
        sums.join("+"),
        logs.join(", "),
        logs.join("+"),
        roots.join(", "),
        roots.join("+"),
        inequalities.join(" or "),
        equation.join("+") + " = 1",
        "x=".repeat(2_000) + "17",
        "1:".repeat(2_000) + "1",
        "a<".repeat(2_000) + "b",
        r"\begin{pmatrix}a+b&c\\d&e\end{pmatrix}^8".to_owned(),
        r"\sum_{k=1}^{100} \frac{1}{k}+".repeat(100) + "1",
        format!("{}x{}", r"\binom{".repeat(30), "}{8}".repeat(30)),
        format!("{}x", r"\prod_{k=1}^{9}".repeat(30)),
        r"\begin{pmatrix}a&b\\c&d\end{pmatrix}^8,".repeat(60) + "1",
        r"\begin{vmatrix}a&b&c&d\\e&f&g&h\\i&j&k&l\\m&n&o&p\end{vmatrix}+".repeat(50) + "1",
        r"\text{".repeat(700),
    ];
    // The preset that tries most.
    let policy = Policy::preset("olympiadbench").unwrap();
    let mut slowest = (Duration::ZERO, String::new());
    for (i, left) in texts.iter().enumerate() {
        // Itself in another writing, its neighbour, and a few plain ones.
        let neighbour = &texts[(i + 1) % texts.len()];
        for right in [
            &format!("0+{left}"),
            neighbour,
            "7",
            "x",
            "x<7",
            "(0,1)",
            "1,2",
        ] {
            let start = Instant::now();
            let there = equal::decide(left, right, &policy);
            let took = start.elapsed();
            if took > slowest.0 {
                let brief = |text: &str| text.chars().take(40).collect::<String>();
                slowest = (took, format!("{} against {}", brief(left), brief(right)));
            }
            let twin = right.strip_prefix("0+") == Some(left.as_str());
            assert!(twin || !there.verdict.is_pass(), "{left} = {right}");
        }
    }
    // Without optimisation and beside other work; optimised it is a fiftieth of this.
    assert!(slowest.0 < Duration::from_secs(5), "slowest: {slowest:?}");
}

proptest::proptest! {
    #[test]
    fn no_answer_panics_and_both_directions_agree(
        gold in r"[-0-9a-fxyz\\{}()\[\],.^_/%|=<>+ ]{0,40}",
        answer in r"([-0-9a-fxyz(),.^_/%|=<>+ ]|\\frac|\\sqrt|\\pm|\\text|\\le|\\in|\\cup|\{|\}){0,30}",
    ) {
        let policy = Policy::default();
        let there = equal::decide(&gold, &answer, &policy).verdict;
        let back = equal::decide(&answer, &gold, &policy).verdict;
        proptest::prop_assert_eq!(there.is_pass(), back.is_pass());
    }
}
