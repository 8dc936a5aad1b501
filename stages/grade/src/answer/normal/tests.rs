//! Exact values: which are the same, which differ, and what is left to the numeric rung.

use std::time::{Duration, Instant};

use super::super::lex::Commas;
use super::super::parse::parse;
use super::*;

/// How long one of the hard cases may take here. Measured in release builds: under 20 ms.
const LIMIT: Duration = Duration::from_secs(2);

fn value(text: &str) -> Option<Quotient> {
    exact(&parse(text, Commas::Thousands).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn check(left: &str, right: &str, expected: Option<bool>) {
    let decided = value(left)
        .zip(value(right))
        .and_then(|(left, right)| left.equals(&right));
    assert_eq!(decided, expected, "{left} and {right}");
}

#[test]
fn roots_are_compared_by_their_primes() {
    for (left, right, expected) in [
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", true),
        (r"\sqrt{12}", r"2\sqrt{3}", true),
        (r"\sqrt{6}", r"\sqrt{2}\sqrt{3}", true),
        (r"\sqrt[3]{8}", "2", true),
        (r"\sqrt[3]{54}", r"3\sqrt[3]{2}", true),
        (r"2^{1/3}\cdot 2^{2/3}", "2", true),
        (r"2^{1/3}\cdot 4^{1/3}", "2", true),
        (r"\sqrt[3]{2}", r"2^{2/6}", true),
        (r"\sqrt[3]{2}", r"2^{2/3}", false),
        (r"\sqrt{\sqrt{2}}", r"\sqrt[4]{2}", true),
        (r"\sqrt[6]{8}", r"\sqrt{2}", true),
        (r"\sqrt[3]{-8}", "-2", true),
        (r"\sqrt[3]{\frac{-8}{27}}", r"-\frac23", true),
        (r"8^{-2/3}", r"\frac14", true),
        (r"\sqrt{-4}", "2i", true),
        (r"\sqrt{\frac{3}{8}}", r"\frac{\sqrt{6}}{4}", true),
        (r"\frac{1}{1+\sqrt{2}}", r"\sqrt{2}-1", true),
        (r"\frac{1}{\sqrt[3]{4}}", r"\frac{\sqrt[3]{2}}{2}", true),
        (
            r"\frac{1}{\sqrt[3]{2}-1}",
            r"1+\sqrt[3]{2}+\sqrt[3]{4}",
            true,
        ),
        (
            r"(1+\sqrt{2}+\sqrt{3})^2",
            r"6+2\sqrt{2}+2\sqrt{3}+2\sqrt{6}",
            true,
        ),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}", false),
        (r"\sqrt{1000000007}", r"\sqrt{1000000009}", false),
        (r"\sqrt{10^{40}}", "10^{20}", true),
    ] {
        check(left, right, Some(expected));
    }
}

#[test]
fn polynomials_and_quotients_are_compared_by_their_terms() {
    for (left, right, expected) in [
        ("(x+1)^2", "x^2+2x+1", true),
        ("(x+y)(x-y)", "x^2-y^2", true),
        (r"\frac{x^2-1}{x-1}", "x+1", true),
        (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}", true),
        ("x^{-2}", r"\frac{1}{x^2}", true),
        ("(1+i)^2", "2i", true),
        ("(2+3i)(2-3i)", "13", true),
        ("i^{7}", "-i", true),
        (r"\pi", "3.14", false),
        ("n^2+19n+88", "(n+8)(n+11)", true),
        ("n^2+19n+88", "n^2+19n+99", false),
        (r"2^{100}", "1267650600228229401496703205376", true),
        (r"\binom{10}{3}", "120", true),
        (r"\binom{3}{10}", "0", true),
        ("20!", "2432902008176640000", true),
        (r"\lfloor 7/2 \rfloor", "3", true),
        ("|-5|", "5", true),
    ] {
        check(left, right, Some(expected));
    }
}

#[test]
fn what_has_no_exact_value_is_left() {
    for left in [
        r"\sqrt{3+2\sqrt{2}}",
        r"\sqrt{x}",
        "2^x",
        r"\frac{x}{y-y}",
        "0^{-1}",
        r"\frac{1}{0}",
        r"\sqrt[4]{-1}",
        r"\sqrt[7]{2}",
        r"2^{100000}",
        "2000!",
        "x^{200}",
    ] {
        assert!(value(left).is_none(), "{left}");
    }
}

#[test]
fn work_is_bounded_in_terms_and_in_bits() {
    // Denominators of ten digits without common factors: 10,000 bits.
    let fractions: Vec<String> = (0..300u64)
        .map(|k| {
            format!(
                r"\frac{{{}}}{{{}}}",
                k + 1,
                1_000_000_007 + 2 * k * k + 31 * k
            )
        })
        .collect();
    let roots: Vec<String> = (0..15u64)
        .map(|k| format!(r"\sqrt{{{}}}", 9_999_999_000 + 7 * k))
        .collect();
    for text in [
        fractions.join("+"),
        "(a+b+c+d+e+f)^9".to_owned(),
        "(a+b+c+d)^{60}".to_owned(),
        "((a+b+c+d)^6)^6".to_owned(),
        roots.join("+"),
        format!("({})^{{9}}", roots[..5].join("+")),
        "(12345678901234567890x+98765432109876543210)^{100}".to_owned(),
        "(2^{1000}x+3^{900}y+5^{500}z)^{12}".to_owned(),
        "1000!^{2}".to_owned(),
        r"\frac{1}{(a+b+c)^{20}}+\frac{1}{(a-b-c)^{20}}".to_owned(),
    ] {
        let Ok(read) = parse(&text, Commas::Thousands) else {
            continue;
        };
        let start = Instant::now();
        if let Some(value) = exact(&read) {
            value.equals(&value.clone());
            value.as_number();
        }
        let taken = start.elapsed();
        assert!(taken < LIMIT, "{text}: {taken:?}");
    }
}
