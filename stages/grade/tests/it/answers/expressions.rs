//! Random expressions, rewritten without changing their value, and with changing it.

use dag_grade::Verdict;
use proptest::prelude::*;

use super::graded;

/// An expression whose value is a polynomial with square roots.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Number(i32),
    Fraction(i32, u32),
    Symbol(char),
    Root(u32),
    Sum(Box<Tree>, Box<Tree>),
    Product(Box<Tree>, Box<Tree>),
    Square(Box<Tree>),
}

use Tree::{Fraction, Number, Product, Root, Square, Sum, Symbol};

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (-9i32..10).prop_map(Number),
        (-9i32..10, 1u32..9).prop_map(|(above, below)| Fraction(above, below)),
        prop::sample::select(vec!['x', 'y', 'n']).prop_map(Symbol),
        (2u32..12).prop_map(Root),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Sum(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Product(a.into(), b.into())),
            inner.prop_map(|a| Square(a.into())),
        ]
    })
}

/// How an expression is written; each bit is a choice.
fn written(tree: &Tree, style: &mut u64) -> String {
    let mut choose = || {
        *style = style.rotate_right(1);
        *style & 1 == 1
    };
    match tree {
        Number(value) => value.to_string(),
        Fraction(above, below) => match (choose(), choose()) {
            (true, true) => format!(r"\frac{{{above}}}{{{below}}}"),
            (true, false) => format!(r"\dfrac{{ {above} }}{{ {below} }}"),
            (false, _) => format!("({above})/{below}"),
        },
        Symbol(name) => name.to_string(),
        Root(number) => {
            if choose() {
                format!(r"\sqrt{{{number}}}")
            } else {
                format!(r"{number}^{{1/2}}")
            }
        }
        Sum(a, b) => {
            let spaced = choose();
            let (a, b) = (written(a, style), between(b, style));
            if spaced {
                format!("{a} + {b}")
            } else {
                format!("{a}+{b}")
            }
        }
        Product(a, b) => {
            let signed = choose();
            let (a, b) = (between(a, style), between(b, style));
            if signed {
                format!(r"{a} \cdot {b}")
            } else {
                format!("{a}{b}")
            }
        }
        Square(a) => format!("{}^2", between(a, style)),
    }
}

/// An expression between brackets.
fn between(tree: &Tree, style: &mut u64) -> String {
    *style = style.rotate_right(1);
    let large = *style & 1 == 1;
    let inner = written(tree, style);
    if large {
        format!(r"\left({inner}\right)")
    } else {
        format!("({inner})")
    }
}

/// The same value: operands change places, products of sums are multiplied out, fractions are scaled.
fn rewritten(tree: &Tree, choices: &mut u64) -> Tree {
    *choices = choices.rotate_right(3);
    let choice = *choices & 7;
    match tree {
        Number(value) if choice < 2 => Fraction(value * 3, 3),
        Number(value) if choice == 2 => Sum(Number(value - 4).into(), Number(4).into()),
        Fraction(above, below) => {
            let scale = u32::try_from(choice + 1).unwrap();
            Fraction(above * i32::try_from(scale).unwrap(), below * scale)
        }
        Root(number) if choice < 3 => Product(Fraction(1, 2).into(), Root(number * 4).into()),
        Number(_) | Symbol(_) | Root(_) => tree.clone(),
        Sum(a, b) => {
            let (a, b) = (rewritten(a, choices), rewritten(b, choices));
            if choice < 4 {
                Sum(b.into(), a.into())
            } else {
                Sum(a.into(), b.into())
            }
        }
        Product(a, b) => match (&**a, rewritten(b, choices)) {
            (Sum(c, d), b) if choice < 6 => Sum(
                Product(rewritten(c, choices).into(), b.clone().into()).into(),
                Product(b.into(), rewritten(d, choices).into()).into(),
            ),
            (a, b) => Product(b.into(), rewritten(a, choices).into()),
        },
        Square(a) => match &**a {
            // (c + d)² = c² + 2cd + d²
            Sum(c, d) if choice < 6 => {
                let (c, d) = (rewritten(c, choices), rewritten(d, choices));
                let twice = Product(
                    Number(2).into(),
                    Product(c.clone().into(), d.clone().into()).into(),
                );
                Sum(
                    Sum(Square(c.into()).into(), twice.into()).into(),
                    Square(d.into()).into(),
                )
            }
            a => {
                let a = rewritten(a, choices);
                Product(a.clone().into(), a.into())
            }
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_rewritten_expression_is_the_same(
        tree in trees(), choices: u64, mut style: u64, mut other: u64
    ) {
        let again = rewritten(&tree, &mut choices.clone());
        let (gold, answer) = (written(&tree, &mut style), written(&again, &mut other));
        let graded = graded(&gold, &answer);
        prop_assert_eq!(graded.verdict, Verdict::Pass, "{} against {}: {:?}", gold, answer, graded);
    }

    #[test]
    fn an_expression_of_another_value_is_another(
        tree in trees(), choices: u64, mut style: u64, mut other: u64, step in 1u32..9
    ) {
        let moved = Sum(rewritten(&tree, &mut choices.clone()).into(), Fraction(1, step).into());
        let (gold, answer) = (written(&tree, &mut style), written(&moved, &mut other));
        let graded = graded(&gold, &answer);
        prop_assert_eq!(graded.verdict, Verdict::Fail, "{} against {}: {:?}", gold, answer, graded);
    }

    #[test]
    fn an_expression_is_found_in_a_response(tree in trees(), mut style: u64, frame in 0usize..7) {
        let gold = written(&tree, &mut style);
        let response = [
            format!(r"So we get \boxed{{{gold}}}."),
            format!(r"<think>\boxed{{0}}</think> It is $\boxed{{{gold}}}$."),
            format!("The final answer is ${gold}$. I hope it is correct."),
            format!("**Answer:** ${gold}$"),
            format!("<answer>{gold}</answer>"),
            format!("We are done.\n#### {gold}\n"),
            format!(r"Adding up, the value of it is \[ {gold} \]"),
        ][frame].clone();
        let graded = graded(&gold, &response);
        prop_assert_eq!(graded.verdict, Verdict::Pass, "{}: {:?}", response, graded);
    }
}
