//! Tokens of answers, and what is gone from them.

use super::*;

fn check(text: &str, expected: &str) {
    assert_eq!(
        normal_text(&tokens(text, Commas::Thousands).unwrap()),
        expected,
        "{text}"
    );
}

#[test]
fn looks_are_gone() {
    check(r"$\left( 1,\; 2 \right).$", "( 1, 2 )");
    check(r"\dfrac{1}{2}", r"\frac {1}{2}");
    check(r"\text{13}", "13");
    check("**5**", "5");
}

#[test]
fn separators_join_groups_of_three_only() {
    for (text, expected) in [
        ("1,000", "1000"),
        (r"1{,}000{,}000", "1000000"),
        (r"14 {, }916", "14916"),
        (r"49,\!479", "49479"),
        (r"11,\! 111,\! 111,\! 100", "11111111100"),
        (r"12\,000", "12000"),
        ("12 000 km", "12000 km"),
        ("1,00", "1,00"),
        ("1,0000", "1,0000"),
        ("(100,200)", "(100,200)"),
        ("1000,000", "1000,000"),
        ("32, 349", "32, 349"),
        ("1.50", "1.50"),
        ("7,425,000.5", "7425000.5"),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_decimal_comma_is_read_only_where_it_is_asked_for() {
    for (text, expected) in [
        ("1000,99", "1000.99"),
        ("0,111", "0.111"),
        ("1.234.567,5", "1234567.5"),
        ("1 000,99", "1000.99"),
        ("1.5", "1.5"),
        ("(1,2)", "(1,2)"),
    ] {
        assert_eq!(
            normal_text(&tokens(text, Commas::Decimal).unwrap()),
            expected,
            "{text}"
        );
    }
}

#[test]
fn an_exponent_needs_a_sign_a_point_or_a_capital() {
    check("1.5e10", "1.5e10");
    check("1e-4", "1e-4");
    check("2e", "2e");
}

#[test]
fn backslashes_that_were_escaped_twice_are_single() {
    check(r"\\frac{1}{2}", r"\frac {1}{2}");
    check(
        r"\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}",
        r"\begin {pmatrix} 1 \\  2 \end {pmatrix}",
    );
    check(
        r"\begin{pmatrix}a\\b\end{pmatrix}",
        r"\begin {pmatrix}a\\ b\end {pmatrix}",
    );
}

#[test]
fn a_command_ends_where_its_name_does() {
    check(r"1,\quadx", r"1,\quad x");
    check(r"a\cdotx", "a*x");
    check(r"\pir^2", r"\pi r^2");
    check(r"\infty", r"\infty ");
    check(r"\leqslant", r"\le ");
    check("sinx", r"\sin x");
}

#[test]
fn endless_decimals_have_a_period() {
    check("0.333...", r"0.33\overline {3}");
    check(r"0.1666\ldots", r"0.166\overline {6}");
    check("0.1212…", r"0.12\overline {12}");
    check("0.123...", r"0.123\dots ");
}
