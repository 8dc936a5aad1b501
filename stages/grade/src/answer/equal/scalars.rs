//! Two numbers or functions: by exact value, by value at seeded points, and as far as the policy goes by
//! percentage, tolerance and rounding.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::super::expression::{Constant, Expression};
use super::super::normal;
use super::super::numeric::{self, Nearness};
use super::super::policy::Percent;
use super::Comparison;

/// The estimate that is not counted further.
const MUCH: usize = 1 << 20;

/// The same value? None where neither rung decides.
pub(super) fn scalars(
    gold: &Expression,
    answer: &Expression,
    policy: &Comparison<'_>,
) -> Option<bool> {
    if let (Some(a), Some(b)) = (gold.as_number(), answer.as_number()) {
        if a == b {
            policy.because(format!("both are {}", shown(a)));
            return Some(true);
        }
        return Some(near(gold, answer, (a, b), policy));
    }
    let (left, right) = spelled(plain(gold), plain(answer));
    if left == right {
        policy.because("the same expression".to_owned());
        return Some(true);
    }
    // What infinity is part of has no value: `0 · ∞` is not 0, nor anything else.
    if reaches(&left) || reaches(&right) {
        return None;
    }
    let decided = exact(&left, &right, policy).or_else(|| numeric(&left, &right, policy));
    // What stands for a sum or an integral has a value that is not known here.
    if decided == Some(false) && (has_operator(gold) || has_operator(answer)) {
        return None;
    }
    if decided != Some(false) || !is_lenient(policy) {
        return decided;
    }
    // What is not the same may still be within what the policy allows.
    let value = |side: &Expression| {
        normal::exact(side)
            .and_then(|exact| exact.as_number())
            .or_else(|| Some(numeric::constant(side, &policy.values)?.0))
    };
    match (value(&left), value(&right)) {
        (Some(a), Some(b)) => Some(near(gold, answer, (&a, &b), policy)),
        _ => decided,
    }
}

/// Whether infinity stands in a calculation. With a sign it is an end of the line, and a value.
fn reaches(scalar: &Expression) -> bool {
    let infinity = Expression::Constant(Constant::Infinity);
    let end = match scalar {
        Expression::Product(parts) => {
            matches!(parts.as_slice(), [sign, value] if *value == infinity
                && sign.as_number().is_some_and(|sign| sign.abs().is_one()))
        }
        Expression::Sum(parts) => matches!(parts.as_slice(), [value] if *value == infinity),
        other => *other == infinity,
    };
    !end && scalar.any(&|part| *part == infinity)
}

fn has_operator(scalar: &Expression) -> bool {
    scalar.any(&|part| matches!(part, Expression::Apply(name, _) if name.starts_with('\\')))
}

fn is_lenient(policy: &Comparison<'_>) -> bool {
    policy.relative_tolerance > 0.0
        || policy.rounded_to.is_some()
        || policy.policy.percent == Percent::Any
}

/// A run of capitals as the product of its letters, where only one side has such runs.
fn spelled(left: Expression, right: Expression) -> (Expression, Expression) {
    let is_run = |part: &Expression| matches!(part, Expression::Symbol(name) if run(name));
    match (left.any(&is_run), right.any(&is_run)) {
        (true, false) => (spell(&left), right),
        (false, true) => (left, spell(&right)),
        (true, true) | (false, false) => (left, right),
    }
}

fn run(name: &str) -> bool {
    name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn spell(scalar: &Expression) -> Expression {
    scalar.replaced(&|part| match part {
        Expression::Symbol(name) if run(name) => Some(Expression::Product(
            name.chars()
                .map(|letter| Expression::Symbol(letter.to_string()))
                .collect(),
        )),
        _ => None,
    })
}

/// Decimals as numbers, and functions without a rule as symbols.
fn plain(scalar: &Expression) -> Expression {
    scalar.replaced(&|part| match part {
        Expression::Decimal(value, _) => Some(Expression::Number(value.clone())),
        Expression::Apply(name, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(written).collect();
            Some(Expression::Symbol(format!(
                "{name}({})",
                arguments.join(",")
            )))
        }
        _ => None,
    })
}

/// An argument in one writing: as the number it is, or part by part.
fn written(argument: &Expression) -> String {
    let argument = plain(argument);
    match normal::exact(&argument).and_then(|value| value.as_number()) {
        Some(number) => number.to_string(),
        None => {
            let mut text = String::new();
            write(&argument, &mut text);
            text
        }
    }
}

/// Writes a scalar part by part. Names stand as they are: escaped, those within names would double with each depth.
fn write(scalar: &Expression, text: &mut String) {
    let parts = |name: &str, parts: &[Expression], text: &mut String| {
        text.push_str(name);
        text.push('(');
        for part in parts {
            write(part, text);
            text.push(',');
        }
        text.push(')');
    };
    match scalar {
        Expression::Number(number) | Expression::Decimal(number, _) => {
            text.push_str(&number.to_string());
        }
        Expression::Symbol(name) => text.push_str(name),
        Expression::Constant(constant) => text.push_str(&format!("{constant:?}")),
        Expression::Apply(name, arguments) => parts(name, arguments, text),
        Expression::Sum(terms) => parts("+", terms, text),
        Expression::Product(factors) => parts("*", factors, text),
        Expression::Call(function, arguments) => parts(&format!("{function:?}"), arguments, text),
        Expression::Power(base, exponent) => {
            text.push_str("^(");
            write(base, text);
            text.push(',');
            write(exponent, text);
            text.push(')');
        }
        other => text.push_str(&format!("{other:?}")),
    }
}

fn shown(number: &BigRational) -> String {
    let text = number.to_string();
    if text.len() > 40 {
        "the same number".to_owned()
    } else {
        text
    }
}

/// How many terms a value may have when it is multiplied out, and how many products that takes. An estimate
/// from above that decides what is tried, not what is true.
fn effort(scalar: &Expression) -> (usize, usize) {
    let product = |left: (usize, usize), right: (usize, usize)| {
        let terms = left.0.saturating_mul(right.0).min(MUCH);
        (
            terms,
            left.1
                .saturating_add(right.1)
                .saturating_add(terms)
                .min(MUCH),
        )
    };
    match scalar {
        Expression::Sum(parts) => parts.iter().map(effort).fold((0, 0), |sum, part| {
            (
                (sum.0 + part.0).min(MUCH),
                (sum.1 + part.1 + sum.0).min(MUCH),
            )
        }),
        Expression::Product(parts) => parts.iter().map(effort).fold((1, 0), product),
        Expression::Power(base, exponent) => {
            let base = effort(base);
            let times = exponent
                .as_number()
                .filter(|number| number.is_integer())
                .and_then(|number| number.to_integer().abs().to_usize())
                .unwrap_or(2);
            match (base.0, times) {
                (0 | 1, _) => (1, base.1 + 1),
                (_, 65..) => (MUCH, MUCH),
                (_, times) => (0..times).fold((1, 0), |power, _| product(power, base)),
            }
        }
        _ => (1, 1),
    }
}

fn exact(left: &Expression, right: &Expression, policy: &Comparison<'_>) -> Option<bool> {
    let cost = effort(left).1 + effort(right).1 + 1;
    Comparison::spend(&policy.products, cost.min(super::PRODUCTS / 4))?;
    let (a, b) = normal::exact(left).zip(normal::exact(right))?;
    let equal = a.equals(&b)?;
    if equal {
        policy.because(match a.as_number() {
            Some(number) => format!("both are {}", shown(&number)),
            None => "equal when multiplied out".to_owned(),
        });
    }
    Some(equal)
}

fn numeric(left: &Expression, right: &Expression, policy: &Comparison<'_>) -> Option<bool> {
    policy.numeric.set(true);
    match numeric::compare(left, right, &policy.values) {
        Nearness::Same(points) => {
            policy.because(match points {
                1 => "equal to 320 bits and more".to_owned(),
                _ => format!("equal at {points} seeded points"),
            });
            Some(true)
        }
        Nearness::Different => Some(false),
        Nearness::Unknown => None,
    }
}

/// Whether two different values are the same as far as the policy goes.
fn near(
    gold: &Expression,
    answer: &Expression,
    (a, b): (&BigRational, &BigRational),
    policy: &Comparison<'_>,
) -> bool {
    let hundred = BigRational::from_integer(100.into());
    // The powers of ten by which the digits of each side were moved.
    let close = |a: &BigRational, b: &BigRational, (of_a, of_b): (i64, i64)| {
        a == b
            || within(a, b, policy.relative_tolerance)
            || policy.rounded_to.is_some_and(|digits| {
                is_rounded(answer, of_b, (a, b), digits) || is_rounded(gold, of_a, (b, a), digits)
            })
    };
    if close(a, b, (0, 0)) {
        policy.because(format!("{} is near enough to {}", decimal(b), decimal(a)));
        return true;
    }
    if policy.policy.percent == Percent::Any
        && (close(&(a * &hundred), b, (2, 0)) || close(a, &(b * &hundred), (0, 2)))
    {
        policy.because(format!("{} is {} as a percentage", decimal(b), decimal(a)));
        return true;
    }
    false
}

/// Whether two numbers differ by no more than `tolerance` of the larger. Whole numbers are exact: 10001 is not
/// 10000 at any tolerance.
fn within(a: &BigRational, b: &BigRational, tolerance: f64) -> bool {
    if tolerance <= 0.0 || a.is_integer() && b.is_integer() {
        return false;
    }
    let Some(tolerance) = BigRational::from_float(tolerance) else {
        return false;
    };
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// Whether `rounded`, which is `written` times a power of ten, is `value` rounded to the digits that are written.
fn is_rounded(
    written: &Expression,
    shift: i64,
    (value, rounded): (&BigRational, &BigRational),
    digits: u32,
) -> bool {
    let Some(last) = last_digit(written).map(|last| last + shift) else {
        return false;
    };
    let Ok(size) = usize::try_from(last.unsigned_abs()) else {
        return false;
    };
    let ten = num_traits::pow(BigInt::from(10), size);
    let unit = if last < 0 {
        BigRational::new(1.into(), ten)
    } else {
        BigRational::from_integer(ten)
    };
    let significant = (rounded / &unit).to_integer().abs().to_string().len();
    let half = unit / BigRational::from_integer(2.into());
    significant >= digits as usize && (value - rounded).abs() <= half
}

/// The exponent of ten of the last digit of a decimal, also before a power of ten.
fn last_digit(written: &Expression) -> Option<i64> {
    match written {
        Expression::Decimal(value, last) if !value.is_zero() => Some(*last),
        Expression::Product(parts) => {
            let mut last = None;
            let mut shift = 0;
            for part in parts {
                match part {
                    Expression::Decimal(..) if last.is_none() => last = last_digit(part),
                    Expression::Number(number) if number.abs().is_one() => {}
                    Expression::Power(base, exponent)
                        if base.as_number() == Some(&BigRational::from_integer(10.into())) =>
                    {
                        shift += exponent.as_number()?.to_integer().to_i64()?;
                    }
                    _ => return None,
                }
            }
            last?.checked_add(shift).filter(|last| last.abs() <= 1_000)
        }
        _ => None,
    }
}

/// A value as a short decimal, for a person.
fn decimal(value: &BigRational) -> String {
    if value.is_integer() {
        return shown(value);
    }
    match value.to_f64() {
        Some(value) => format!("{value}"),
        None => "a number".to_owned(),
    }
}
