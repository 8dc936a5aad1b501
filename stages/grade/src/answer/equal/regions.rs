//! Sets of real numbers, however they are written: intervals, unions, inequalities in one variable, `x ≠ 3`,
//! `ℝ ∖ {0}`, described sets.
//!
//! Two sets are the same where they agree at every end and between every two neighbouring ends, so the ends of
//! both are put in order and each set is asked at each place.

use num_rational::BigRational;

use super::super::expression::{Constant, Expression, Relation, integer};
use super::super::numeric;
use super::super::parse::UNNAMED;
use super::scalars::scalars;
use super::solve::chain;
use super::{Comparison, all};

/// How many ends both sets may have together.
const MAX_ENDS: usize = 64;

/// Where an interval ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Low,
    At(Box<Expression>),
    High,
}

/// A set of real numbers.
#[derive(Debug, Clone)]
pub(super) enum Region {
    /// From, whether that belongs to it; to, whether that does.
    Interval(End, bool, End, bool),
    Points(Vec<Expression>),
    Union(Vec<Region>),
    Intersection(Vec<Region>),
    Without(Box<Region>, Box<Region>),
}

/// Every real number.
pub(super) const ALL: Region = Region::Interval(End::Low, false, End::High, false);

/// Whether this can only be meant as a set of numbers, so that an interval beside it is one too.
pub(super) fn is_region(value: &Expression) -> bool {
    match value {
        Expression::Union(_)
        | Expression::Intersection(_)
        | Expression::Without(..)
        | Expression::Builder(..)
        | Expression::Both(_)
        | Expression::Either(_) => true,
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
    let unnamed = |name: &Option<String>| name.as_deref() == Some(UNNAMED);
    if name.is_some() && other.is_some() && name != other && !unnamed(&name) && !unnamed(&other) {
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
pub(super) fn region(
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
        Expression::List(parts) | Expression::Either(parts)
            if parts.iter().all(is_region) && !parts.is_empty() =>
        {
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

pub(super) fn end(value: &Expression) -> Option<End> {
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
