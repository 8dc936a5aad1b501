//! What sums, products and powers make of what they are given: scalars, `±`, percents, quantities, vectors
//! and matrices. What has no such meaning is an error.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::super::expression::{Expression, Function, Unit, integer};
use super::super::normal;
use super::{ParseError, Parsed, matrix};

fn meaningless(what: &str) -> ParseError {
    ParseError::Unexpected(format!("{what} of something that is no number"))
}

/// Whether this is a scalar, perhaps with a `±` in it.
pub(super) fn is_value(value: &Expression) -> bool {
    value.is_scalar() || matches!(value, Expression::PlusMinus(..))
}

/// Builds with every `±` as plus, and with every `±` as minus, where there is one.
fn lifted(parts: Vec<Expression>, build: &dyn Fn(Vec<Expression>) -> Parsed) -> Parsed {
    if !parts
        .iter()
        .any(|part| matches!(part, Expression::PlusMinus(..)))
    {
        return build(parts);
    }
    let side = |upper: bool| -> Vec<Expression> {
        parts
            .iter()
            .map(|part| match part {
                Expression::PlusMinus(plus, minus) => (**if upper { plus } else { minus }).clone(),
                other => other.clone(),
            })
            .collect()
    };
    let (plus, minus) = (build(side(true))?, build(side(false))?);
    Ok(match (plus, minus) {
        (Expression::Quantity(a, unit), Expression::Quantity(b, _)) => {
            Expression::Quantity(Box::new(Expression::PlusMinus(a, b)), unit)
        }
        (Expression::Percent(a), Expression::Percent(b)) => {
            Expression::Percent(Box::new(Expression::PlusMinus(a, b)))
        }
        (a, b) if a.is_scalar() && b.is_scalar() => Expression::PlusMinus(Box::new(a), Box::new(b)),
        _ => return Err(meaningless("`±`")),
    })
}

/// `± term`, or `∓ term`.
pub(super) fn either(term: Expression, upper: bool) -> Parsed {
    let other = negated(term.clone())?;
    let (plus, minus) = if upper { (term, other) } else { (other, term) };
    match (plus, minus) {
        (Expression::Quantity(a, unit), Expression::Quantity(b, _)) => Ok(Expression::Quantity(
            Box::new(Expression::PlusMinus(a, b)),
            unit,
        )),
        (a, b) if a.is_scalar() && b.is_scalar() => {
            Ok(Expression::PlusMinus(Box::new(a), Box::new(b)))
        }
        _ => Err(meaningless("`±`")),
    }
}

pub(super) fn negated(value: Expression) -> Parsed {
    Ok(match value {
        Expression::Number(number) => Expression::Number(-number),
        Expression::Decimal(number, last) => Expression::Decimal(-number, last),
        Expression::Percent(inner) => Expression::Percent(Box::new(negated(*inner)?)),
        Expression::Quantity(inner, unit) => Expression::Quantity(Box::new(negated(*inner)?), unit),
        other => product(vec![integer(-1), other])?,
    })
}

pub(super) fn total(terms: Vec<Expression>) -> Parsed {
    lifted(terms, &|terms| {
        if terms.iter().all(Expression::is_scalar) {
            return Ok(Expression::Sum(terms));
        }
        if terms
            .iter()
            .all(|term| matches!(term, Expression::Matrix(_)))
        {
            return matrix::total(terms);
        }
        if terms.iter().all(|term| vector(term).is_some()) {
            return vectors(&terms);
        }
        if terms
            .iter()
            .all(|term| matches!(term, Expression::Percent(_)))
        {
            let inner = terms.into_iter().filter_map(|term| match term {
                Expression::Percent(inner) => Some(*inner),
                _ => None,
            });
            return Ok(Expression::Percent(Box::new(total(inner.collect())?)));
        }
        quantities(terms)
    })
}

/// Whether this may stand before the minus sign of `ℝ - {0}`.
pub(super) fn is_set(value: &Expression) -> bool {
    match value {
        Expression::Symbol(name) => matches!(name.as_str(), "ℝ" | "ℤ" | "ℕ" | "ℚ" | "ℂ"),
        Expression::Group(..) | Expression::Set(_) | Expression::Without(..) => true,
        _ => false,
    }
}

/// Sums of quantities of one measure are in the unit of the first; a bare number among them has that unit.
fn quantities(terms: Vec<Expression>) -> Parsed {
    let mut unit: Option<Unit> = None;
    for term in &terms {
        if let Expression::Quantity(_, other) = term {
            match &unit {
                Some(unit) if unit.bases != other.bases => return Err(meaningless("a sum")),
                Some(_) => {}
                None => unit = Some(other.clone()),
            }
        }
    }
    let unit = unit.ok_or_else(|| meaningless("a sum"))?;
    let one = BigRational::one();
    let first = unit.factor.as_deref().unwrap_or(&one).clone();
    let mut bare = Vec::with_capacity(terms.len());
    for term in terms {
        match term {
            Expression::Quantity(value, other) => {
                let ratio = other.factor.as_deref().unwrap_or(&one) / &first;
                bare.push(if ratio.is_one() {
                    *value
                } else {
                    product(vec![Expression::Number(ratio), *value])?
                });
            }
            scalar if scalar.is_scalar() => bare.push(scalar),
            _ => return Err(meaningless("a sum")),
        }
    }
    Ok(Expression::Quantity(Box::new(total(bare)?), unit))
}

fn vector(value: &Expression) -> Option<&[Expression]> {
    match value {
        Expression::Group('(', parts, ')') if parts.iter().all(Expression::is_scalar) => {
            Some(parts)
        }
        _ => None,
    }
}

fn vectors(terms: &[Expression]) -> Parsed {
    let parts: Vec<&[Expression]> = terms.iter().filter_map(vector).collect();
    let size = parts.first().map_or(0, |first| first.len());
    if parts.iter().any(|part| part.len() != size) {
        return Err(meaningless("a sum"));
    }
    let sums = (0..size)
        .map(|i| Expression::Sum(parts.iter().map(|part| part[i].clone()).collect()))
        .collect();
    Ok(Expression::Group('(', sums, ')'))
}

pub(super) fn product(mut factors: Vec<Expression>) -> Parsed {
    if factors.len() == 1 {
        return Ok(factors.remove(0));
    }
    lifted(factors, &|factors| {
        if factors.iter().all(Expression::is_scalar) {
            return Ok(Expression::Product(factors));
        }
        // `P(1, 2)` names a point.
        if let [
            Expression::Symbol(name),
            point @ Expression::Group('(', parts, ')'),
        ] = factors.as_slice()
            && parts.len() > 1
            && name.starts_with(|c: char| c.is_ascii_uppercase())
        {
            return Ok(Expression::Chain(
                vec![Expression::Symbol(name.clone()), point.clone()],
                vec![super::Relation::Equal],
            ));
        }
        let (scalars, mut others): (Vec<Expression>, Vec<Expression>) =
            factors.into_iter().partition(Expression::is_scalar);
        if others
            .iter()
            .all(|other| matches!(other, Expression::Matrix(_)))
        {
            return matrix::product(scalars, others);
        }
        let Some(other) = others.pop() else {
            return Err(meaningless("a product"));
        };
        if others.is_empty() {
            return scaled(scalars, other);
        }
        // Quantities multiply, and their units with them.
        let mut values = scalars;
        let mut unit = Unit::default();
        others.push(other);
        for other in others {
            let Expression::Quantity(value, factor) = other else {
                return Err(meaningless("a product"));
            };
            values.push(*value);
            unit = unit.times(&factor, 1);
        }
        Ok(Expression::Quantity(Box::new(product(values)?), unit))
    })
}

/// A vector, percentage or quantity times scalars.
fn scaled(mut scalars: Vec<Expression>, other: Expression) -> Parsed {
    Ok(match other {
        Expression::Percent(value) => {
            scalars.push(*value);
            Expression::Percent(Box::new(product(scalars)?))
        }
        Expression::Quantity(value, unit) => {
            scalars.push(*value);
            Expression::Quantity(Box::new(product(scalars)?), unit)
        }
        Expression::Group('(', parts, ')') if parts.iter().all(Expression::is_scalar) => {
            let scale = |part: Expression| {
                let mut factors = scalars.clone();
                factors.push(part);
                Expression::Product(factors)
            };
            Expression::Group('(', parts.into_iter().map(scale).collect(), ')')
        }
        _ => return Err(meaningless("a product")),
    })
}

pub(super) fn inverse(value: Expression) -> Parsed {
    lifted(vec![value], &|mut value| {
        Ok(match value.remove(0) {
            Expression::Number(number) if !number.is_zero() => Expression::Number(number.recip()),
            Expression::Quantity(value, unit) => {
                Expression::Quantity(Box::new(inverse(*value)?), Unit::default().times(&unit, -1))
            }
            scalar if scalar.is_scalar() => {
                Expression::Power(Box::new(scalar), Box::new(integer(-1)))
            }
            _ => return Err(meaningless("a division")),
        })
    })
}

pub(super) fn power(base: Expression, exponent: Expression) -> Parsed {
    if let (Expression::Matrix(rows), Expression::Symbol(name)) = (&base, &exponent)
        && matches!(name.as_str(), "T" | "top")
    {
        return Ok(Expression::Matrix(matrix::transposed(rows)));
    }
    if let (Expression::Matrix(_), Some(times)) = (&base, exponent.as_number()) {
        return matrix::power(base.clone(), times);
    }
    lifted(vec![base, exponent], &|mut parts| {
        let (Some(exponent), Some(base)) = (parts.pop(), parts.pop()) else {
            return Err(ParseError::Empty);
        };
        if !base.is_scalar() || !exponent.is_scalar() {
            return Err(meaningless("a power"));
        }
        Ok(Expression::Power(Box::new(base), Box::new(exponent)))
    })
}

/// The largest number whose double factorial is multiplied out.
const MAX_DOUBLE_FACTORIAL: u32 = 300;

/// `n!!`, the product of every second number down from `n`. Of letters it is a value without a known rule.
pub(super) fn double_factorial(value: Expression) -> Expression {
    let small = value
        .as_number()
        .filter(|number| number.is_integer())
        .and_then(|number| number.to_integer().to_u32())
        .filter(|number| *number <= MAX_DOUBLE_FACTORIAL);
    match small {
        Some(number) => {
            let factors = (1..=number).rev().step_by(2);
            let product = factors.fold(BigInt::one(), |product, factor| product * factor);
            Expression::Number(BigRational::from_integer(product))
        }
        None => Expression::Apply("!!".to_owned(), vec![value]),
    }
}

/// What is left of a whole number after it was divided by another: from 0 up to the modulus. Of letters it is a
/// value without a known rule.
pub(super) fn remainder(value: Expression, modulus: Expression) -> Parsed {
    let number = |value: &Expression| normal::exact(value)?.as_number();
    match (number(&value), number(&modulus)) {
        (Some(a), Some(b)) if a.is_integer() && b.is_integer() && b.is_positive() => Ok(
            Expression::Number(BigRational::from_integer(a.numer().mod_floor(b.numer()))),
        ),
        (None, _) | (_, None) if value.is_scalar() && modulus.is_scalar() => {
            Ok(Expression::Apply("mod".to_owned(), vec![value, modulus]))
        }
        _ => Err(meaningless("a remainder")),
    }
}

pub(super) fn call(function: Function, arguments: Vec<Expression>) -> Parsed {
    lifted(arguments, &|arguments| {
        if arguments.iter().all(Expression::is_scalar) {
            Ok(Expression::Call(function, arguments))
        } else {
            Err(meaningless("a function"))
        }
    })
}
