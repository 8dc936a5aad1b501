//! Sets of real numbers, however they are written: intervals, unions, inequalities in one variable, `x ≠ 3`,
//! `ℝ ∖ {0}`, described sets.
//!
//! Two sets are the same where they agree at every end and between every two neighbouring ends, so the ends of
//! both are put in order and each set is asked at each place.

use std::cmp::Ordering;

use num_rational::BigRational;

use super::super::expression::{Constant, Expression, Function, Relation, difference, integer};
use super::super::numeric;
use super::equations::sign;
use super::scalars::scalars;
use super::{Comparison, all};

/// How many ends both sets may have together.
const MAX_ENDS: usize = 64;

/// Where an interval ends.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Low,
    At(Box<Expression>),
    High,
}

/// A set of real numbers.
#[derive(Debug, Clone)]
enum Region {
    /// From, whether that belongs to it; to, whether that does.
    Interval(End, bool, End, bool),
    Points(Vec<Expression>),
    Union(Vec<Region>),
    Intersection(Vec<Region>),
    Without(Box<Region>, Box<Region>),
}

const ALL: Region = Region::Interval(End::Low, false, End::High, false);

/// Whether this can only be meant as a set of numbers, so that an interval beside it is one too.
pub(super) fn is_region(value: &Expression) -> bool {
    match value {
        Expression::Union(_)
        | Expression::Intersection(_)
        | Expression::Without(..)
        | Expression::Builder(..)
        | Expression::Both(_) => true,
        Expression::Symbol(name) => name == "ℝ",
        Expression::Chain(_, signs) => signs
            .iter()
            .any(|sign| sign.is_order() || *sign == Relation::NotEqual),
        Expression::List(parts) => !parts.is_empty() && parts.iter().all(is_region),
        _ => false,
    }
}

/// Compares two answers as sets of numbers. None where one of them is none, or where that decides nothing.
pub(super) fn compare(
    left: &Expression,
    right: &Expression,
    policy: &Comparison<'_>,
) -> Option<bool> {
    let mut name = None;
    let mut other = None;
    let a = region(left, &mut name, policy)?;
    let b = region(right, &mut other, policy)?;
    if name.is_some() && other.is_some() && name != other {
        return Some(false);
    }
    same(&a, &b, policy)
}

/// Two chains, of which one at least compares sizes.
pub(super) fn chains(
    (left, signs): (&[Expression], &[Relation]),
    (right, others): (&[Expression], &[Relation]),
    policy: &Comparison<'_>,
) -> Option<bool> {
    let a = Expression::Chain(left.to_vec(), signs.to_vec());
    let b = Expression::Chain(right.to_vec(), others.to_vec());
    let member = |signs: &[Relation]| signs == [Relation::In];
    ((is_region(&a) || member(signs)) && (is_region(&b) || member(others)))
        .then(|| compare(&a, &b, policy))
        .flatten()
}

/// Reads an answer as a set of numbers. `name` is the variable that its relations are about, one for all.
fn region(
    value: &Expression,
    name: &mut Option<String>,
    policy: &Comparison<'_>,
) -> Option<Region> {
    Comparison::spend(&policy.steps, 1)?;
    let mut each = |parts: &[Expression]| -> Option<Vec<Region>> {
        parts
            .iter()
            .map(|part| region(part, name, policy))
            .collect()
    };
    Some(match value {
        Expression::Symbol(set) if set == "ℝ" => ALL,
        Expression::Set(parts) if parts.iter().all(Expression::is_scalar) => {
            Region::Points(parts.clone())
        }
        Expression::Group(open @ ('(' | '['), ends, close @ (')' | ']')) => {
            let [from, to] = ends.as_slice() else {
                return None;
            };
            Region::Interval(end(from)?, *open == '[', end(to)?, *close == ']')
        }
        Expression::Union(parts) => Region::Union(each(parts)?),
        // "x < 1 or x > 3"
        Expression::List(parts) if is_region(value) => {
            let excluding = parts.iter().any(|part| {
                matches!(part, Expression::Chain(_, signs) if signs.contains(&Relation::NotEqual))
            });
            let parts = each(parts)?;
            // `x ≠ 1, x ≠ 2` excludes both, and `x > 0, x ≠ 1` one.
            if excluding {
                Region::Intersection(parts)
            } else {
                Region::Union(parts)
            }
        }
        Expression::Intersection(parts) | Expression::Both(parts) => {
            let parts = each(parts)?;
            // "x < 1 and x > 3" is said of the union.
            if matches!(value, Expression::Both(_)) && is_empty(&parts, policy)? {
                Region::Union(parts)
            } else {
                Region::Intersection(parts)
            }
        }
        Expression::Without(whole, rest) => {
            let whole = region(whole, name, policy)?;
            Region::Without(Box::new(whole), Box::new(region(rest, name, policy)?))
        }
        Expression::Builder(variable, conditions) => {
            // The variable of a described set is its own affair.
            let mut own = None;
            let parts: Option<Vec<Region>> = conditions
                .iter()
                .map(|part| region(part, &mut own, policy))
                .collect();
            if own.is_some_and(|own| own != *variable) {
                return None;
            }
            Region::Intersection(parts?)
        }
        Expression::Chain(sides, signs) => chain(sides, signs, name, policy)?,
        _ => return None,
    })
}

fn is_empty(parts: &[Region], policy: &Comparison<'_>) -> Option<bool> {
    same(
        &Region::Intersection(parts.to_vec()),
        &Region::Points(Vec::new()),
        policy,
    )
}

fn end(value: &Expression) -> Option<End> {
    let infinite = |value: &Expression| *value == Expression::Constant(Constant::Infinity);
    match value {
        value if infinite(value) => Some(End::High),
        Expression::Sum(parts) => match parts.as_slice() {
            [only] => end(only),
            _ => Some(End::At(Box::new(value.clone()))),
        },
        Expression::Product(parts) => match parts.as_slice() {
            [minus, infinity] if *minus == integer(-1) && infinite(infinity) => Some(End::Low),
            _ => Some(End::At(Box::new(value.clone()))),
        },
        value if value.is_scalar() => Some(End::At(Box::new(value.clone()))),
        _ => None,
    }
}

/// The numbers for which every relation of a chain holds.
fn chain(
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
        Relation::In => return None,
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
        Relation::In => return None,
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
    match super::super::normal::exact(&value).and_then(|exact| exact.as_number()) {
        Some(number) => Expression::Number(number),
        None => value,
    }
}

fn ends<'a>(region: &'a Region, found: &mut Vec<&'a Expression>) {
    match region {
        Region::Interval(from, _, to, _) => {
            for end in [from, to] {
                if let End::At(value) = end {
                    found.push(value);
                }
            }
        }
        Region::Points(points) => found.extend(points),
        Region::Union(parts) | Region::Intersection(parts) => {
            for part in parts {
                ends(part, found);
            }
        }
        Region::Without(whole, rest) => {
            ends(whole, found);
            ends(rest, found);
        }
    }
}

fn same(left: &Region, right: &Region, policy: &Comparison<'_>) -> Option<bool> {
    // Ends with symbols in them have no order: there only two intervals can be compared, end by end.
    if let (Region::Interval(a, open, b, close), Region::Interval(c, other_open, d, other_close)) =
        (left, right)
    {
        let beside = |a: &End, b: &End| match (a, b) {
            (End::At(a), End::At(b)) => scalars(a, b, policy),
            (a, b) => Some(a == b),
        };
        let marks = (open, close) == (other_open, other_close);
        return all([Some(marks), beside(a, c), beside(b, d)].into_iter());
    }
    let mut values = Vec::new();
    ends(left, &mut values);
    ends(right, &mut values);
    if values.len() > MAX_ENDS {
        return None;
    }
    let places = Places::of(&values, policy)?;
    let agree =
        (0..=2 * places.count).all(|place| places.holds(left, place) == places.holds(right, place));
    Some(agree)
}

/// The ends of two sets in order. Place `2k + 1` is the `k`-th end, the even places lie between.
struct Places<'a> {
    ranks: Vec<(&'a Expression, usize)>,
    count: usize,
}

impl<'a> Places<'a> {
    fn of(values: &[&'a Expression], policy: &Comparison<'_>) -> Option<Self> {
        let mut sorted: Vec<(BigRational, &'a Expression)> = Vec::with_capacity(values.len());
        for value in values {
            let approximate = match value.as_number() {
                Some(number) => number.clone(),
                None => numeric::constant(value, &policy.values)?.0,
            };
            sorted.push((approximate, value));
        }
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut ranks: Vec<(&Expression, usize)> = Vec::with_capacity(sorted.len());
        let mut count = 0;
        for (_, value) in sorted {
            match ranks.last() {
                Some((last, _)) if scalars(last, value, policy)? => {}
                _ => count += 1,
            }
            ranks.push((value, count - 1));
        }
        Some(Self { ranks, count })
    }

    /// The place of an end.
    fn place(&self, value: &Expression) -> usize {
        self.ranks
            .iter()
            .find(|(other, _)| std::ptr::eq(*other, value))
            .map_or(0, |(_, rank)| 2 * rank + 1)
    }

    fn holds(&self, region: &Region, place: usize) -> bool {
        match region {
            Region::Interval(from, open, to, close) => {
                let above = match from {
                    End::Low => true,
                    End::At(value) => {
                        let start = self.place(value);
                        place > start || place == start && *open
                    }
                    End::High => false,
                };
                let below = match to {
                    End::Low => false,
                    End::At(value) => {
                        let stop = self.place(value);
                        place < stop || place == stop && *close
                    }
                    End::High => true,
                };
                above && below
            }
            Region::Points(points) => points.iter().any(|point| self.place(point) == place),
            Region::Union(parts) => parts.iter().any(|part| self.holds(part, place)),
            Region::Intersection(parts) => parts.iter().all(|part| self.holds(part, place)),
            Region::Without(whole, rest) => self.holds(whole, place) && !self.holds(rest, place),
        }
    }
}
