//! Relations against relations: what a name is given, equations up to a constant factor and the side on which a
//! term stands, inequalities up to a positive factor, chains as all of their parts.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use num_rational::BigRational;
use num_traits::{Signed, Zero};

use super::super::expression::{Expression, Relation, difference, integer};
use super::super::numeric;
use super::collections::as_matched;
use super::names::{renamed, same_name, valued};
use super::same::same;
use super::scalars::scalars;
use super::{Comparison, all, regions};

/// How many steps the comparison of two relations costs.
const COST: usize = 10;
/// The longest chain whose relations may stand in any order.
const MAX_UNORDERED: usize = 8;

type Relations<'a> = (&'a [Expression], &'a [Relation]);

pub(super) fn chains(
    (left, signs): Relations<'_>,
    (right, others): Relations<'_>,
    policy: &Comparison<'_>,
) -> Option<bool> {
    Comparison::spend(&policy.steps, COST)?;
    // What a chain says between its ends must be said by the other too, unless it only calculates.
    let said = !calculates(left, policy) || !calculates(right, policy);
    if said && equal_only(signs) && equal_only(others) {
        return as_matched(left, right, policy);
    }
    if let Some((Some(a), xs)) = valued(left, signs)
        && let Some((Some(b), ys)) = valued(right, others)
    {
        if same_name(a, b) {
            let mut undecided = false;
            for x in &xs {
                for y in &ys {
                    let x = renamed(x, a, b);
                    match same(&x, y, policy) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => undecided = true,
                    }
                }
            }
            // The same unknown on both sides may be solved for, as in `x = 2x - 1` and `x = 1`.
            if undecided {
                return None;
            }
        }
        if !xs.iter().chain(&ys).all(Expression::is_scalar) {
            return regions::chains((left, signs), (right, others), policy).or(Some(false));
        }
    }
    if let Some(decided) = regions::chains((left, signs), (right, others), policy) {
        return Some(decided);
    }
    let (parts, other_parts) = (pairs(left, signs), pairs(right, others));
    if parts.len() != other_parts.len() {
        return Some(false);
    }
    if parts.len() > MAX_UNORDERED {
        let beside = |other: &mut dyn Iterator<Item = Pair<'_>>| {
            all(parts
                .iter()
                .zip(other)
                .map(|(a, b)| relation(a, &b, policy)))
        };
        let straight = beside(&mut other_parts.iter().copied());
        return if straight == Some(true) {
            straight
        } else {
            match beside(&mut other_parts.iter().rev().map(turned)) {
                Some(false) => straight,
                decided => decided,
            }
        };
    }
    let holds = |part: &Pair<'_>, among: &[Pair<'_>]| {
        let mut undecided = false;
        for other in among {
            match relation(part, other, policy) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => undecided = true,
            }
        }
        if undecided { None } else { Some(false) }
    };
    all(parts
        .iter()
        .map(|part| holds(part, &other_parts))
        .chain(other_parts.iter().map(|part| holds(part, &parts))))
}

fn equal_only(signs: &[Relation]) -> bool {
    signs.iter().all(|sign| *sign == Relation::Equal)
}

/// Whether every side between the first and the last is on the way to the last: without letters, or the same.
fn calculates(sides: &[Expression], policy: &Comparison<'_>) -> bool {
    let Some((last, between)) = sides.split_last() else {
        return true;
    };
    between.iter().skip(1).all(|side| {
        side.is_scalar() && symbols(side).is_empty() || same(side, last, policy) == Some(true)
    })
}

/// One relation between two sides.
type Pair<'a> = (&'a Expression, Relation, &'a Expression);

fn pairs<'a>(sides: &'a [Expression], signs: &[Relation]) -> Vec<Pair<'a>> {
    sides
        .windows(2)
        .zip(signs)
        .map(|(pair, sign)| (&pair[0], *sign, &pair[1]))
        .collect()
}

/// A relation as read from the right.
fn turned<'a>(pair: &Pair<'a>) -> Pair<'a> {
    (pair.2, pair.1.reversed(), pair.0)
}

fn relation(left: &Pair<'_>, right: &Pair<'_>, policy: &Comparison<'_>) -> Option<bool> {
    Comparison::spend(&policy.steps, COST)?;
    let turned = turned(right);
    if !left.0.is_scalar() || !left.2.is_scalar() || !right.0.is_scalar() || !right.2.is_scalar() {
        let beside = |other: &Pair<'_>| {
            if left.1 == other.1 {
                all([same(left.0, other.0, policy), same(left.2, other.2, policy)].into_iter())
            } else {
                Some(false)
            }
        };
        let straight = beside(right);
        return if straight == Some(true) || matches!(left.1, Relation::In) {
            straight
        } else {
            match beside(&turned) {
                Some(false) => straight,
                decided => decided,
            }
        };
    }
    if left.1.is_order() != right.1.is_order() {
        return Some(false);
    }
    if !left.1.is_order() {
        let equality = |sign: Relation| matches!(sign, Relation::Equal | Relation::Near);
        if left.1 != right.1 && !(equality(left.1) && equality(right.1)) {
            return Some(false);
        }
        let beside = |other: &Pair<'_>| {
            all([
                scalars(left.0, other.0, policy),
                scalars(left.2, other.2, policy),
            ]
            .into_iter())
        };
        match left.1 {
            Relation::In => return beside(right),
            Relation::Similar | Relation::Congruent | Relation::Equivalent => {
                return match beside(right) {
                    Some(false) => beside(&turned),
                    decided => decided,
                };
            }
            Relation::Equal
            | Relation::Near
            | Relation::NotEqual
            | Relation::Less
            | Relation::LessEqual
            | Relation::Greater
            | Relation::GreaterEqual => {}
        }
        return same_equation((left.0, left.2), (right.0, right.2), policy);
    }
    // Both as `… > 0` or `… ≥ 0`.
    let upward = |pair: &Pair<'_>| match pair.1 {
        Relation::Less | Relation::LessEqual => (pair.2.clone(), pair.1.reversed(), pair.0.clone()),
        _ => (pair.0.clone(), pair.1, pair.2.clone()),
    };
    let (a, sign, b) = upward(left);
    let (c, other, d) = upward(right);
    if sign != other {
        return Some(false);
    }
    if [&a, &b, &c, &d]
        .into_iter()
        .map(Expression::size)
        .sum::<usize>()
        > MAX_PARTS
    {
        let beside = all([scalars(&a, &c, policy), scalars(&b, &d, policy)].into_iter());
        return (beside == Some(true)).then_some(true);
    }
    proportional(&difference(&a, &b), &difference(&c, &d), true, policy)
}

/// Whether two equations say the same. One that always holds says nothing, so it is the same as none.
fn same_equation(
    (a, b): (&Expression, &Expression),
    (c, d): (&Expression, &Expression),
    policy: &Comparison<'_>,
) -> Option<bool> {
    // What is longer is compared side by side: no answer is, and the copies would cost memory.
    if [a, b, c, d].iter().map(|side| side.size()).sum::<usize>() > MAX_PARTS {
        let beside = |c: &Expression, d: &Expression| {
            all([scalars(a, c, policy), scalars(b, d, policy)].into_iter())
        };
        return (beside(c, d) == Some(true)).then_some(true);
    }
    let (left, right) = (difference(a, b), difference(c, d));
    if symbols(&left).is_empty() || symbols(&right).is_empty() {
        return all([scalars(a, c, policy), scalars(b, d, policy)].into_iter());
    }
    let straight = proportional(&left, &right, false, policy);
    if straight != Some(false) {
        return straight;
    }
    // Without denominators: `y = 1/x` is `xy = 1`.
    match (cleared(&left), cleared(&right)) {
        (None, None) => straight,
        (above, other) => proportional(
            &above.unwrap_or(left),
            &other.unwrap_or(right),
            false,
            policy,
        ),
    }
}

fn symbols(scalar: &Expression) -> BTreeSet<String> {
    fn walk(scalar: &Expression, found: &mut BTreeSet<String>) {
        match scalar {
            Expression::Symbol(name) => {
                found.insert(name.clone());
            }
            Expression::Apply(..) => {
                found.insert(format!("{scalar:?}"));
            }
            other => {
                for part in other.operands() {
                    walk(part, found);
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(scalar, &mut found);
    found
}

/// How many points are tried before an expression counts as always zero.
const POINTS: i64 = 4;

/// Whether `left` is a constant times `right`, and neither is always zero. With `positive`, the constant must be.
///
/// The constant is found at one point, where neither is zero, and then checked everywhere.
fn proportional(
    left: &Expression,
    right: &Expression,
    positive: bool,
    policy: &Comparison<'_>,
) -> Option<bool> {
    let mut names: Vec<String> = symbols(left).union(&symbols(right)).cloned().collect();
    names.sort();
    for point in 0..POINTS {
        let at = |side: &Expression| {
            side.replaced(&|part| {
                let name = match part {
                    Expression::Symbol(name) => name.clone(),
                    Expression::Apply(..) => format!("{part:?}"),
                    _ => return None,
                };
                let place = names.iter().position(|other| *other == name)?;
                let place = i64::try_from(place).ok()?;
                // Small numbers without a pattern between them.
                let above = (place * 37 + point * 53 + 11) % 97 + 3;
                Some(Expression::Number(BigRational::new(
                    above.into(),
                    (place + 7).into(),
                )))
            })
        };
        let (a, b) = (at(left), at(right));
        let zero = integer(0);
        let (Some(a_zero), Some(b_zero)) = (scalars(&a, &zero, policy), scalars(&b, &zero, policy))
        else {
            continue;
        };
        match (a_zero, b_zero) {
            (true, true) => continue,
            (true, false) | (false, true) => return Some(false),
            (false, false) => {}
        }
        let ratio = match (
            super::super::normal::exact(&a).and_then(|value| value.as_number()),
            super::super::normal::exact(&b).and_then(|value| value.as_number()),
        ) {
            (Some(a), Some(b)) if !b.is_zero() => Expression::Number(a / b),
            _ => Expression::Product(vec![
                a,
                Expression::Power(Box::new(b), Box::new(integer(-1))),
            ]),
        };
        if positive {
            match sign(&ratio, &policy.values)? {
                Ordering::Greater => {}
                Ordering::Less | Ordering::Equal => return Some(false),
            }
        }
        let scaled = Expression::Product(vec![ratio, right.clone()]);
        return scalars(left, &scaled, policy);
    }
    // Zero at every point: one of them says nothing.
    Some(false)
}

/// The sign of a real constant. None where it cannot be told from zero.
pub(super) fn sign(constant: &Expression, values: &Cell<usize>) -> Option<Ordering> {
    if let Some(number) = constant.as_number() {
        return Some(number.cmp(&BigRational::zero()));
    }
    let (value, error) = numeric::constant(constant, values)?;
    let zero = BigRational::zero();
    if value > error {
        Some(Ordering::Greater)
    } else if value < &zero - &error {
        Some(Ordering::Less)
    } else {
        None
    }
}

/// How many parts two relations may have together to be compared up to a factor.
const MAX_PARTS: usize = 400;
/// How many denominators an equation may have to be freed of them.
const MAX_DENOMINATORS: usize = 6;

/// The numerator over the common denominator; None where nothing with a symbol is divided by, or too much.
fn cleared(scalar: &Expression) -> Option<Expression> {
    let denominators = Cell::new(0usize);
    scalar.any(&|part: &Expression| {
        if let Expression::Power(base, exponent) = part
            && exponent.as_number().is_some_and(Signed::is_negative)
            && !symbols(base).is_empty()
        {
            denominators.set(denominators.get() + 1);
        }
        false
    });
    let few = (1..=MAX_DENOMINATORS).contains(&denominators.get());
    few.then(|| fraction(scalar).0)
}

/// Numerator and denominator of a sum, product or power; anything else is its own numerator.
fn fraction(scalar: &Expression) -> (Expression, Option<Expression>) {
    let times = |left: Expression, right: Option<Expression>| match right {
        Some(right) => Expression::Product(vec![left, right]),
        None => left,
    };
    match scalar {
        Expression::Sum(parts) => {
            let mut above: Option<Expression> = None;
            let mut below: Option<Expression> = None;
            for part in parts {
                let (part_above, part_below) = fraction(part);
                above = Some(match above {
                    None => part_above,
                    Some(above) => Expression::Sum(vec![
                        times(above, part_below.clone()),
                        times(part_above, below.clone()),
                    ]),
                });
                below = match (below, part_below) {
                    (Some(a), Some(b)) => Some(Expression::Product(vec![a, b])),
                    (a, b) => a.or(b),
                };
            }
            (above.unwrap_or_else(|| integer(0)), below)
        }
        Expression::Product(parts) => {
            let fractions: Vec<_> = parts.iter().map(fraction).collect();
            let below: Vec<Expression> = fractions.iter().filter_map(|(_, b)| b.clone()).collect();
            let above = fractions.into_iter().map(|(a, _)| a).collect();
            (
                Expression::Product(above),
                (!below.is_empty()).then_some(Expression::Product(below)),
            )
        }
        Expression::Power(base, exponent)
            if exponent.as_number().is_some_and(Signed::is_negative) =>
        {
            let exponent = exponent
                .as_number()
                .map(|number| -number)
                .unwrap_or_default();
            let below = Expression::Power(base.clone(), Box::new(Expression::Number(exponent)));
            (integer(1), Some(below))
        }
        other => (other.clone(), None),
    }
}
