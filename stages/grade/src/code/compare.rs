//! Whether an output is the expected one.

use serde_json::Value;

/// How far numbers of `call` tests may be apart, relative to the larger one.
const CLOSE: f64 = 1e-9;
/// The most characters of a value that stand in a reason.
const SHOWN: usize = 120;

/// Compares outputs line by line and token by token; spaces at the end of lines and empty lines at the end
/// do not count. None where they agree, otherwise what differs.
pub(super) fn text(expected: &str, got: &str, tolerance: Option<f64>) -> Option<String> {
    let expected = expected.trim_end().lines();
    let got = got.trim_end().lines();
    let (lines_expected, lines_got) = (expected.clone().count(), got.clone().count());
    for (number, (expected, got)) in expected.zip(got).enumerate() {
        let same = expected.split_whitespace().count() == got.split_whitespace().count()
            && expected
                .split_whitespace()
                .zip(got.split_whitespace())
                .all(|(e, g)| token(e, g, tolerance));
        if !same {
            return Some(format!(
                "line {}: expected `{}`, got `{}`",
                number + 1,
                shown(expected),
                shown(got)
            ));
        }
    }
    (lines_expected != lines_got)
        .then(|| format!("expected {lines_expected} lines, got {lines_got}"))
}

fn token(expected: &str, got: &str, tolerance: Option<f64>) -> bool {
    if expected == got {
        return true;
    }
    let Some(tolerance) = tolerance else {
        return false;
    };
    match (expected.parse::<f64>(), got.parse::<f64>()) {
        (Ok(e), Ok(g)) if e.is_finite() && g.is_finite() => {
            (e - g).abs() <= tolerance * e.abs().max(1.0)
        }
        _ => false,
    }
}

/// Compares values as JSON: numbers by value, a truth value is no number, order of keys does not count.
pub(super) fn values(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Number(a), Value::Number(b)) => {
            if a == b {
                return true;
            }
            // Whole numbers are exact, however large.
            if (a.is_i64() || a.is_u64()) && (b.is_i64() || b.is_u64()) {
                return false;
            }
            match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= CLOSE * a.abs().max(b.abs()),
                _ => false,
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| values(a, b)))
        }
        _ => expected == got,
    }
}

/// A text short enough for a reason, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outputs_agree_token_by_token() {
        let check = |expected, got, tolerance, same: bool| {
            assert_eq!(
                text(expected, got, tolerance).is_none(),
                same,
                "{expected:?} {got:?}"
            );
        };
        check("1 2\n", "1  2 \n\n", None, true);
        check("1\n2", "1 2", None, false);
        check("1 2", "12", None, false);
        check("0.3333", "0.33333", None, false);
        check("0.3333", "0.33333", Some(1e-3), true);
        check("yes", "no", Some(10.0), false);
        check("nan", "nan ", Some(1.0), true);
        check("1", "inf", Some(1.0), false);
        check("", "1", None, false);
        check("1\n2\n3", "1\n2", None, false);
    }

    #[test]
    fn values_agree_as_json() {
        let check = |a: Value, b: Value, same| assert_eq!(values(&a, &b), same, "{a} {b}");
        check(json!(1), json!(1.0), true);
        check(json!(0.3), json!(0.1 + 0.2), true);
        check(json!(1), json!(true), false);
        check(
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_992_i64),
            false,
        );
        check(json!([1, [2]]), json!([1, [2, 3]]), false);
        check(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true);
        check(json!("1"), json!(1), false);
        check(json!(null), json!(0), false);
    }
}
