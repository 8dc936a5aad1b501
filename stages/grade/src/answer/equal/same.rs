//! Two answers of whatever shape: which rule compares them.

use num_rational::BigRational;

use super::super::expression::{Constant, Expression, Function, Relation, Unit, integer};
use super::super::policy::{Percent, Units};
use super::collections::{as_lists, as_sets, assigned, in_order};
use super::scalars::scalars;
use super::{Comparison, all, equations, names, regions};

/// The same value? None where no rule decides.
pub(super) fn same(
    gold: &Expression,
    answer: &Expression,
    policy: &Comparison<'_>,
) -> Option<bool> {
    use Expression::{
        Both, Chain, Either, Group, List, Matrix, Percent as Percents, PlusMinus, Quantity, Ratio,
        Set, Text,
    };
    Comparison::spend(&policy.steps, 1)?;
    match (gold, answer) {
        (Expression::Apply(..), Expression::Apply(..))
            if !policy.argument_names && names::same_name(gold, answer) =>
        {
            policy.because("the same function".to_owned());
            Some(true)
        }
        (a, b) if a.is_scalar() && b.is_scalar() => match (numeral(a), numeral(b)) {
            (None, None) => scalars(a, b, policy),
            (Some(a), Some(b)) => numerals(a, b, policy),
            // A base is said beside the digits, as a unit is.
            (Some((digits, _)), None) if policy.units == Units::Strip => scalars(digits, b, policy),
            (None, Some((digits, _))) if policy.units == Units::Strip => scalars(a, digits, policy),
            _ => Some(false),
        },
        (Both(_), Either(_)) | (Either(_), Both(_)) => Some(false),
        (Either(left), Either(right)) => same(&List(left.clone()), &List(right.clone()), policy),
        (Either(parts), other) => same(&List(parts.clone()), other, policy),
        (other, Either(parts)) => same(other, &List(parts.clone()), policy),
        (Both(left), Both(right)) if !left.iter().chain(right).all(regions::is_region) => {
            as_sets(left, right, policy)
        }
        (Both(parts), other) if !parts.iter().all(regions::is_region) => {
            same(&List(parts.clone()), other, policy)
        }
        (other, Both(parts)) if !parts.iter().all(regions::is_region) => {
            same(other, &List(parts.clone()), policy)
        }
        (Chain(left, signs), Chain(right, others)) => {
            equations::chains((left, signs), (right, others), policy)
        }
        (Chain(sides, signs), other) | (other, Chain(sides, signs)) => {
            chain_against(gold, answer, (sides, signs), other, policy)
        }
        (Text(a), Text(b)) => Some(if policy.case_sensitive {
            a == b
        } else {
            a.to_lowercase() == b.to_lowercase()
        }),
        // `\text{Area}` as a name and as a word.
        (Text(a), Expression::Symbol(b)) | (Expression::Symbol(b), Text(a)) => {
            Some(a.to_lowercase() == b.to_lowercase())
        }
        (PlusMinus(..), _) => same(&both_signs(gold)?, answer, policy),
        (_, PlusMinus(..)) => same(gold, &both_signs(answer)?, policy),
        (Percents(a), Percents(b)) => same(a, b, policy),
        (Percents(a), b) => percent(a, b, policy),
        (a, Percents(b)) => percent(b, a, policy),
        (Quantity(a, unit), Quantity(b, other)) => quantities(a, unit, b, other, policy),
        (Quantity(a, unit), b) if b.is_scalar() => quantity(a, unit, b, policy),
        (a, Quantity(b, unit)) if a.is_scalar() => quantity(b, unit, a, policy),
        (Ratio(left), Ratio(right)) => ratios(left, right, policy),
        (Ratio(parts), b) | (b, Ratio(parts)) if b.is_scalar() => {
            same(&quotient(parts)?, b, policy)
        }
        // Hours and minutes.
        (Ratio(left), Group(':', right, _)) | (Group(':', right, _), Ratio(left)) => {
            in_order(left, right, policy)
        }
        (Both(left), Both(right)) => {
            let regions = regions::compare(gold, answer, policy);
            if regions.is_some() {
                return regions;
            }
            as_sets(left, right, policy)
        }
        (a, b) if regions::is_region(a) || regions::is_region(b) => {
            match (regions::compare(a, b, policy), a, b) {
                (Some(decided), _, _) => Some(decided),
                (None, Expression::Union(left), Expression::Union(right))
                | (None, Expression::Intersection(left), Expression::Intersection(right)) => {
                    as_sets(left, right, policy)
                }
                (None, Both(left), List(right)) | (None, List(right), Both(left)) => {
                    as_lists(left, right, policy)
                }
                (None, Expression::Builder(x, left), Expression::Builder(y, right)) if x == y => {
                    as_sets(left, right, policy)
                }
                (None, Expression::Without(a, b), Expression::Without(c, d)) => {
                    all([same(a, c, policy), same(b, d, policy)].into_iter())
                }
                (None, ..) => Some(false),
            }
        }
        // `(±1, ∓2)`: the signs within one tuple go together.
        (Group(..), _) if coupled(gold).is_some() => same(&coupled(gold)?, answer, policy),
        (_, Group(..)) if coupled(answer).is_some() => same(gold, &coupled(answer)?, policy),
        (Group(a, left, b), Group(c, right, d)) => {
            // Of more than two values the brackets say nothing.
            let brackets = left.len() > 2 || (a, b) == (c, d);
            if brackets && (*a == ':') == (*c == ':') {
                in_order(left, right, policy)
            } else {
                Some(false)
            }
        }
        // The whole part of a value, and its fractional part.
        (Group('[', one, ']'), Set(_)) | (Set(_), Group('[', one, ']'))
            if one.len() == 1 && one[0].is_scalar() =>
        {
            Some(false)
        }
        (Group('[', one, ']'), other) | (other, Group('[', one, ']'))
            if one.len() == 1 && one[0].is_scalar() =>
        {
            same(&one[0], other, policy)
        }
        (Set(left), Set(right)) => as_sets(left, right, policy),
        (List(left), List(right)) => as_lists(left, right, policy),
        (Set(left), List(right)) | (List(left), Set(right)) => as_sets(left, right, policy),
        (Group('[', left, ']'), List(right)) | (List(right), Group('[', left, ']'))
            if left.len() > 2 =>
        {
            in_order(left, right, policy)
        }
        // `x = 1, y = 2` is `(1, 2)`.
        (List(list), Group('(', parts, ')')) | (Group('(', parts, ')'), List(list))
            if policy.assignment =>
        {
            match assigned(list) {
                Some(values) => in_order(&values, parts, policy),
                None => Some(false),
            }
        }
        (Matrix(left), Matrix(right)) => {
            if left.len() != right.len() {
                return Some(false);
            }
            all(left.iter().zip(right).map(|(a, b)| in_order(a, b, policy)))
        }
        // A column or a row is a vector.
        (Matrix(rows), Group('(', parts, ')')) | (Group('(', parts, ')'), Matrix(rows))
            if rows.len() == 1 || rows.iter().all(|row| row.len() == 1) =>
        {
            let entries: Vec<Expression> = rows.iter().flatten().cloned().collect();
            in_order(&entries, parts, policy)
        }
        // The only member of a set is the answer.
        (Set(members), other) | (other, Set(members)) if members.len() == 1 => {
            same(&members[0], other, policy)
        }
        // Different shapes are different answers.
        _ => Some(false),
    }
}

/// A relation against something that is none: `x = 5` and `5`, `x > 3` and `(3, ∞)`.
fn chain_against(
    gold: &Expression,
    answer: &Expression,
    (sides, signs): (&[Expression], &[Relation]),
    other: &Expression,
    policy: &Comparison<'_>,
) -> Option<bool> {
    if !policy.assignment {
        return Some(false);
    }
    if let Some((_, values)) = names::valued(sides, signs) {
        let mut undecided = false;
        for value in values {
            match same(&value, other, policy) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => undecided = true,
            }
        }
        if undecided {
            return None;
        }
    }
    if matches!(
        other,
        Expression::Group(..) | Expression::Set(_) | Expression::List(_)
    ) || regions::is_region(other)
    {
        return Some(regions::compare(gold, answer, policy).unwrap_or(false));
    }
    Some(false)
}

fn hundredth(value: &Expression) -> Expression {
    Expression::Product(vec![
        value.clone(),
        Expression::Number(BigRational::new(1.into(), 100.into())),
    ])
}

/// `value %` against something without the sign.
fn percent(value: &Expression, other: &Expression, policy: &Comparison<'_>) -> Option<bool> {
    if !other.is_scalar() || !value.is_scalar() {
        return match other {
            Expression::Quantity(bare, unit) if unit.bases.is_empty() => {
                percent(value, bare, policy)
            }
            _ => Some(false),
        };
    }
    let exact = scalars(&hundredth(value), other, policy);
    if exact == Some(true) || policy.policy.percent == Percent::Exact {
        return exact;
    }
    scalars(value, other, policy)
}

/// Two values with units. Known measures are converted; other words say nothing about the value.
fn quantities(
    a: &Expression,
    unit: &Unit,
    b: &Expression,
    other: &Unit,
    policy: &Comparison<'_>,
) -> Option<bool> {
    let known = !unit.bases.is_empty() && !other.bases.is_empty();
    if known {
        let turned = |degrees: &Expression, radian: &Expression| {
            if degrees.is_scalar() {
                same(&radians(degrees), radian, policy)
            } else {
                Some(false)
            }
        };
        match (unit.is("°"), other.is("°")) {
            (true, false) if other.is("rad") => return turned(a, b),
            (false, true) if unit.is("rad") => return turned(b, a),
            _ if unit.bases != other.bases => return Some(false),
            _ => {}
        }
        return match (&unit.factor, &other.factor) {
            (x, y) if x == y => same(a, b, policy),
            (x, y) => same(&scaled(a, x.as_deref()), &scaled(b, y.as_deref()), policy),
        };
    }
    if unit.modulus().is_some() && other.modulus().is_some() {
        return congruent((a, unit), (b, other), policy);
    }
    if policy.units == Units::Keep && unit.written != other.written {
        return Some(false);
    }
    if unit.bases.is_empty() && other.bases.is_empty() && !unit.is_like(other) {
        return Some(false);
    }
    same(a, b, policy)
}

/// `4 (mod 3)` is `1 (mod 3)`.
fn congruent(
    (a, unit): (&Expression, &Unit),
    (b, other): (&Expression, &Unit),
    policy: &Comparison<'_>,
) -> Option<bool> {
    if unit.written != other.written {
        return Some(false);
    }
    let modulus: Option<BigRational> = unit.modulus().and_then(|digits| digits.parse().ok());
    match (a.as_number(), b.as_number(), modulus) {
        (Some(a), Some(b), Some(modulus)) if !num_traits::Zero::is_zero(&modulus) => {
            Some(((a - b) / modulus).is_integer())
        }
        _ => same(a, b, policy),
    }
}

fn radians(degrees: &Expression) -> Expression {
    Expression::Product(vec![
        degrees.clone(),
        Expression::Constant(Constant::Pi),
        Expression::Number(BigRational::new(1.into(), 180.into())),
    ])
}

fn scaled(value: &Expression, factor: Option<&BigRational>) -> Expression {
    match factor {
        Some(factor) => {
            Expression::Product(vec![Expression::Number(factor.clone()), value.clone()])
        }
        None => value.clone(),
    }
}

/// A value with a unit against a bare one.
fn quantity(
    value: &Expression,
    unit: &Unit,
    bare: &Expression,
    policy: &Comparison<'_>,
) -> Option<bool> {
    // `0.64 \text{ N}` and `0.64N`, `2 mg` and `2mg`, which read as products.
    let letters = unit
        .written
        .chars()
        .map(|c| Expression::Symbol(c.to_string()));
    let names: Vec<Expression> = match unit.written.len() {
        1..=3 => letters.collect(),
        _ => vec![Expression::Symbol(unit.written.clone())],
    };
    let spelled = if value.is_scalar() && names.iter().all(|name| bare.any(&|part| part == name)) {
        let product = Expression::Product([vec![value.clone()], names].concat());
        scalars(&product, bare, policy)
    } else {
        Some(false)
    };
    // `5000 m` in plain text, beside `5 km`.
    let converted = match letter_unit(bare) {
        Some((number, other)) if other.bases == unit.bases => {
            quantities(value, unit, number, &other, policy)
        }
        _ => Some(false),
    };
    // `90°` is π/2, said in words or not.
    let turned =
        unit.is("°") && value.is_scalar() && scalars(&radians(value), bare, policy) == Some(true);
    match (spelled, policy.units) {
        (Some(true), _) => Some(true),
        _ if converted == Some(true) || turned => Some(true),
        (_, Units::Strip) => same(value, bare, policy),
        (undecided, Units::Keep) => undecided,
    }
}

/// A number times a letter that may be a unit.
fn letter_unit(value: &Expression) -> Option<(&Expression, Unit)> {
    match value {
        Expression::Product(parts) => match parts.as_slice() {
            [number, Expression::Symbol(letter)] if number.as_number().is_some() => {
                Some((number, Unit::known(letter)?))
            }
            _ => None,
        },
        _ => None,
    }
}

fn both_signs(expression: &Expression) -> Option<Expression> {
    match expression {
        Expression::PlusMinus(plus, minus) => {
            Some(Expression::List(vec![(**plus).clone(), (**minus).clone()]))
        }
        _ => None,
    }
}

/// The two tuples of one with several `±`: with the upper signs, and with the lower.
fn coupled(tuple: &Expression) -> Option<Expression> {
    let Expression::Group(open @ '(', parts, close) = tuple else {
        return None;
    };
    let signs = |part: &&Expression| matches!(part, Expression::PlusMinus(..));
    if parts.iter().filter(signs).count() == 0 {
        return None;
    }
    let side = |upper: bool| {
        let parts = parts.iter().map(|part| match part {
            Expression::PlusMinus(plus, minus) => (**if upper { plus } else { minus }).clone(),
            other => other.clone(),
        });
        Expression::Group(*open, parts.collect(), *close)
    };
    Some(Expression::List(vec![side(true), side(false)]))
}

fn numeral(value: &Expression) -> Option<(&Expression, &Expression)> {
    match value {
        Expression::Call(Function::Numeral, parts) => Some((parts.first()?, parts.get(1)?)),
        _ => None,
    }
}

fn numerals(
    (a, base): (&Expression, &Expression),
    (b, other): (&Expression, &Expression),
    policy: &Comparison<'_>,
) -> Option<bool> {
    all([scalars(a, b, policy), scalars(base, other, policy)].into_iter())
}

fn quotient(parts: &[Expression]) -> Option<Expression> {
    match parts {
        [above, below] if above.is_scalar() && below.is_scalar() => {
            Some(Expression::Product(vec![
                above.clone(),
                Expression::Power(Box::new(below.clone()), Box::new(integer(-1))),
            ]))
        }
        _ => None,
    }
}

/// Ratios are the same where their parts are proportional; times of day where their parts are the same.
fn ratios(left: &[Expression], right: &[Expression], policy: &Comparison<'_>) -> Option<bool> {
    let straight = in_order(left, right, policy);
    let clocks = is_clock(left) && is_clock(right);
    if straight != Some(false) || left.len() != right.len() || clocks {
        return straight;
    }
    let (Some(first), Some(other)) = (left.first(), right.first()) else {
        return straight;
    };
    let scalars = |parts: &[Expression]| parts.iter().all(Expression::is_scalar);
    if !scalars(left) || !scalars(right) {
        return straight;
    }
    let zero = |parts: &[Expression]| {
        parts
            .iter()
            .any(|part| part.as_number().is_some_and(num_traits::Zero::is_zero))
    };
    if zero(left) || zero(right) {
        return straight;
    }
    let crossed = |a: &Expression, b: &Expression| Expression::Product(vec![a.clone(), b.clone()]);
    all(left
        .iter()
        .zip(right)
        .skip(1)
        .map(|(a, b)| super::scalars::scalars(&crossed(first, b), &crossed(other, a), policy)))
}

/// Whether two numbers may be hours and minutes.
fn is_clock(parts: &[Expression]) -> bool {
    let within = |part: &Expression, range: std::ops::Range<i64>| {
        part.as_number().is_some_and(|number| {
            number.is_integer()
                && num_traits::ToPrimitive::to_i64(number).is_some_and(|n| range.contains(&n))
        })
    };
    match parts {
        [hours, minutes] => within(hours, 0..24) && within(minutes, 10..60),
        _ => false,
    }
}
