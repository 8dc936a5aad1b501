//! The numbers for which relations in one variable hold, where these can be solved: what is linear in the variable,
//! and absolute values of that.

use std::cmp::Ordering;

use super::super::expression::{Expression, Function, Relation, difference, integer};
use super::super::normal;
use super::Comparison;
use super::equations::sign;
use super::regions::{ALL, End, Region, end, region};
use super::scalars::scalars;

/// The numbers for which every relation of a chain holds.
pub(super) fn chain(
    sides: &[Expression],
    signs: &[Relation],
    name: &mut Option<String>,
    policy: &Comparison<'_>,
) -> Option<Region> {
    let variable = match name {
        Some(name) => name.clone(),
        None => name.insert(variable(sides)?).clone(),
    };
    let parts: Option<Vec<Region>> = sides
        .windows(2)
        .zip(signs)
        .map(|(pair, sign)| relation(&pair[0], *sign, &pair[1], &variable, policy))
        .collect();
    let mut parts = parts?;
    if parts.len() == 1 {
        return parts.pop();
    }
    Some(bounded(&parts).unwrap_or(Region::Intersection(parts)))
}

/// What two half-lines that face each other enclose: an interval, also where its ends have no order.
fn bounded(parts: &[Region]) -> Option<Region> {
    let [
        Region::Interval(a, open, b, close),
        Region::Interval(c, other_open, d, other_close),
    ] = parts
    else {
        return None;
    };
    match (a, b, c, d) {
        (End::At(_), End::High, End::Low, End::At(_)) => {
            Some(Region::Interval(a.clone(), *open, d.clone(), *other_close))
        }
        (End::Low, End::At(_), End::At(_), End::High) => {
            Some(Region::Interval(c.clone(), *other_open, b.clone(), *close))
        }
        _ => None,
    }
}

/// The variable of a chain: its only symbol, or the symbol in its middle.
fn variable(sides: &[Expression]) -> Option<String> {
    if let [_, Expression::Symbol(name), _] = sides {
        return Some(name.clone());
    }
    let mut found: Option<String> = None;
    let mut only = true;
    for side in sides {
        collect(side, &mut |name| match &found {
            Some(other) => only &= other == name,
            None => found = Some(name.to_owned()),
        });
    }
    found.filter(|_| only)
}

fn collect(value: &Expression, found: &mut impl FnMut(&str)) {
    if let Expression::Symbol(name) = value
        && name != "ℝ"
    {
        found(name);
    }
    for part in value.operands() {
        collect(part, found);
    }
}

fn contains(value: &Expression, name: &str) -> bool {
    value.any(&|part| matches!(part, Expression::Symbol(other) if other == name))
}

/// The numbers for which one relation holds: of something linear in the variable, or of its absolute value.
fn relation(
    left: &Expression,
    relation_sign: Relation,
    right: &Expression,
    variable: &str,
    policy: &Comparison<'_>,
) -> Option<Region> {
    if relation_sign == Relation::In {
        let named = matches!(left, Expression::Symbol(name) if name == variable);
        return named
            .then(|| region(right, &mut Some(variable.to_owned()), policy))
            .flatten();
    }
    if !left.is_scalar() || !right.is_scalar() {
        return None;
    }
    match (contains(left, variable), contains(right, variable)) {
        (false, true) => {
            return relation(right, relation_sign.reversed(), left, variable, policy);
        }
        (false, false) => return None,
        (true, both) => {
            if !both && let Expression::Call(Function::Abs, inner) = left {
                return absolute(inner.first()?, relation_sign, right, variable, policy);
            }
            if !both && matches!(left, Expression::Symbol(_)) {
                return half(relation_sign, right.clone());
            }
        }
    }
    let (slope, start) = linear(&difference(left, right), variable, policy)?;
    let root = Expression::Product(vec![
        integer(-1),
        start,
        Expression::Power(Box::new(slope.clone()), Box::new(integer(-1))),
    ]);
    match sign(&slope, &policy.values)? {
        Ordering::Greater => half(relation_sign, root),
        Ordering::Less => half(relation_sign.reversed(), root),
        Ordering::Equal => None,
    }
}

/// `x relation bound`.
fn half(relation_sign: Relation, bound: Expression) -> Option<Region> {
    let bound = match end(&bound)? {
        End::At(bound) => *bound,
        End::Low | End::High => {
            // `x < ∞` says nothing, `x > ∞` is never so.
            return matches!(
                (relation_sign, end(&bound)?),
                (Relation::Less | Relation::LessEqual, End::High)
                    | (Relation::Greater | Relation::GreaterEqual, End::Low)
            )
            .then_some(ALL);
        }
    };
    Some(match relation_sign {
        Relation::Less => Region::Interval(End::Low, false, End::At(Box::new(bound)), false),
        Relation::LessEqual => Region::Interval(End::Low, false, End::At(Box::new(bound)), true),
        Relation::Greater => Region::Interval(End::At(Box::new(bound)), false, End::High, false),
        Relation::GreaterEqual => {
            Region::Interval(End::At(Box::new(bound)), true, End::High, false)
        }
        Relation::Equal | Relation::Near => Region::Points(vec![bound]),
        Relation::NotEqual => Region::Without(Box::new(ALL), Box::new(Region::Points(vec![bound]))),
        Relation::In | Relation::Similar | Relation::Congruent | Relation::Equivalent => {
            return None;
        }
    })
}

/// `|inner| relation bound`.
fn absolute(
    inner: &Expression,
    relation_sign: Relation,
    bound: &Expression,
    variable: &str,
    policy: &Comparison<'_>,
) -> Option<Region> {
    let minus = Expression::Product(vec![integer(-1), bound.clone()]);
    let up = relation(inner, relation_sign, bound, variable, policy)?;
    let down = relation(inner, relation_sign.reversed(), &minus, variable, policy)?;
    Some(match relation_sign {
        Relation::Less | Relation::LessEqual | Relation::NotEqual => {
            Region::Intersection(vec![up, down])
        }
        Relation::Greater | Relation::GreaterEqual | Relation::Equal | Relation::Near => {
            Region::Union(vec![up, down])
        }
        Relation::In | Relation::Similar | Relation::Congruent | Relation::Equivalent => {
            return None;
        }
    })
}

/// Slope and value at zero of something linear in the variable and free of other symbols.
fn linear(
    value: &Expression,
    variable: &str,
    policy: &Comparison<'_>,
) -> Option<(Expression, Expression)> {
    let at = |number: i64| {
        value.replaced(&|part| {
            matches!(part, Expression::Symbol(name) if name == variable).then(|| integer(number))
        })
    };
    let start = at(0);
    let slope = simpler(difference(&at(1), &start));
    let start = simpler(start);
    let line = Expression::Sum(vec![
        Expression::Product(vec![slope.clone(), Expression::Symbol(variable.to_owned())]),
        start.clone(),
    ]);
    (scalars(value, &line, policy) == Some(true)).then_some((slope, start))
}

/// A number, where the value is one.
fn simpler(value: Expression) -> Expression {
    match normal::exact(&value).and_then(|exact| exact.as_number()) {
        Some(number) => Expression::Number(number),
        None => value,
    }
}
