//! Lists, sets and tuples: members in order, or each with its equal on the other side.

use std::collections::{BTreeMap, BTreeSet};

use super::super::expression::Expression;
use super::super::policy::{ListOrder, Percent};
use super::same::same;
use super::{Comparison, all, names};

/// From how many comparisons on members are first matched by their writing.
const MANY: usize = 64;

pub(super) fn in_order(
    left: &[Expression],
    right: &[Expression],
    policy: &Comparison<'_>,
) -> Option<bool> {
    if left.len() != right.len() {
        return Some(false);
    }
    all(left.iter().zip(right).map(|(a, b)| same(a, b, policy)))
}

/// The members, each `±` as two.
fn members(collection: &[Expression]) -> Vec<&Expression> {
    let mut members = Vec::with_capacity(collection.len());
    for member in collection {
        match member {
            Expression::PlusMinus(plus, minus) => members.extend([&**plus, &**minus]),
            Expression::Chain(sides, signs) => match (sides.as_slice(), signs.as_slice()) {
                // `x = ±2`, but not where the other members need their names.
                ([_, Expression::PlusMinus(plus, minus)], [_]) => {
                    members.extend([&**plus, &**minus]);
                }
                _ => members.push(member),
            },
            other => members.push(other),
        }
    }
    members
}

/// Every member of either side has its equal on the other.
pub(super) fn as_sets(
    left: &[Expression],
    right: &[Expression],
    policy: &Comparison<'_>,
) -> Option<bool> {
    let (mut left, mut right) = (members(left), members(right));
    let exact = is_exact(policy);
    let (all_left, all_right) = (left.clone(), right.clone());
    if left.len().saturating_mul(right.len()) > MANY {
        let keys = |members: &[&Expression]| -> BTreeSet<String> {
            members.iter().map(|m| format!("{m:?}")).collect()
        };
        let (left_keys, right_keys) = (keys(&left), keys(&right));
        left.retain(|m| !right_keys.contains(&format!("{m:?}")));
        right.retain(|m| !left_keys.contains(&format!("{m:?}")));
        let numbers = |members: &[&Expression]| members.iter().all(|m| m.as_number().is_some());
        if exact && numbers(&all_left) && numbers(&all_right) {
            // Numbers are equal only to themselves, in whichever writing.
            let values = |members: &[&Expression]| -> BTreeSet<_> {
                members
                    .iter()
                    .filter_map(|m| m.as_number().cloned())
                    .collect()
            };
            return Some(values(&all_left) == values(&all_right));
        }
    }
    let has = |member: &Expression, others: &[&Expression]| {
        let mut undecided = false;
        for other in others {
            match same(member, other, policy) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => undecided = true,
            }
            if policy.steps.get() == 0 {
                return None;
            }
        }
        if undecided { None } else { Some(false) }
    };
    all(left
        .into_iter()
        .map(|m| has(m, &all_right))
        .chain(right.into_iter().map(|m| has(m, &all_left))))
}

/// Every member of either side has an equal of its own on the other.
pub(super) fn as_matched(
    left: &[Expression],
    right: &[Expression],
    policy: &Comparison<'_>,
) -> Option<bool> {
    let (mut left, mut right) = (members(left), members(right));
    if left.len() != right.len() {
        return Some(false);
    }
    if left.len() * right.len() > MANY {
        if is_exact(policy) && left.iter().chain(&right).all(|m| m.as_number().is_some()) {
            let values = |members: &[&Expression]| {
                let mut values: Vec<_> = members.iter().filter_map(|m| m.as_number()).collect();
                values.sort();
                values.into_iter().cloned().collect::<Vec<_>>()
            };
            return Some(values(&left) == values(&right));
        }
        // The same writing is matched first, one by one.
        let mut written: BTreeMap<String, usize> = BTreeMap::new();
        for member in &right {
            *written.entry(format!("{member:?}")).or_default() += 1;
        }
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        left.retain(|member| {
            let key = format!("{member:?}");
            match written.get_mut(&key) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    *taken.entry(key).or_default() += 1;
                    false
                }
                _ => true,
            }
        });
        right.retain(|member| match taken.get_mut(&format!("{member:?}")) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
    }
    Matching::new(left, right).decide(policy)
}

/// Members of two sides, each to be given one of the other.
struct Matching<'a> {
    left: Vec<&'a Expression>,
    right: Vec<&'a Expression>,
    /// What was decided of a pair, once it was.
    decided: BTreeMap<(usize, usize), Option<bool>>,
    /// To which of the left each of the right is given.
    given: Vec<Option<usize>>,
}

impl<'a> Matching<'a> {
    fn new(left: Vec<&'a Expression>, right: Vec<&'a Expression>) -> Self {
        Self {
            decided: BTreeMap::new(),
            given: vec![None; right.len()],
            left,
            right,
        }
    }

    fn pair(&mut self, a: usize, b: usize, policy: &Comparison<'_>) -> Option<bool> {
        if policy.steps.get() == 0 {
            return None;
        }
        if let Some(decided) = self.decided.get(&(a, b)) {
            return *decided;
        }
        let decided = same(self.left[a], self.right[b], policy);
        self.decided.insert((a, b), decided);
        decided
    }

    /// Gives the `a`-th a partner, moving others where that helps. With `lenient`, a doubt is no hindrance.
    fn place(
        &mut self,
        a: usize,
        tried: &mut [bool],
        lenient: bool,
        policy: &Comparison<'_>,
    ) -> bool {
        for b in 0..self.right.len() {
            if tried[b] {
                continue;
            }
            if policy.steps.get() == 0 {
                return false;
            }
            let fits = self.pair(a, b, policy);
            if fits != Some(true) && !(lenient && fits.is_none()) {
                continue;
            }
            tried[b] = true;
            let free = match self.given[b] {
                None => true,
                Some(other) => self.place(other, tried, lenient, policy),
            };
            if free {
                self.given[b] = Some(a);
                return true;
            }
        }
        false
    }

    fn decide(mut self, policy: &Comparison<'_>) -> Option<bool> {
        let mut all = |lenient: bool| {
            self.given.fill(None);
            (0..self.left.len()).all(|a| {
                let mut tried = vec![false; self.right.len()];
                self.place(a, &mut tried, lenient, policy)
            })
        };
        if all(false) {
            Some(true)
        } else if policy.steps.get() == 0 || all(true) || policy.steps.get() == 0 {
            None
        } else {
            Some(false)
        }
    }
}

fn is_exact(policy: &Comparison<'_>) -> bool {
    policy.relative_tolerance <= 0.0
        && policy.rounded_to.is_none()
        && policy.policy.percent != Percent::Any
}

pub(super) fn as_lists(
    left: &[Expression],
    right: &[Expression],
    policy: &Comparison<'_>,
) -> Option<bool> {
    if policy.list_order == ListOrder::Ordered {
        return in_order(left, right, policy);
    }
    if members(left).len() != members(right).len() {
        return Some(false);
    }
    // `a = 1, b = 2` against `1, 2`: what names its values gives them an order.
    if policy.assignment {
        match (assigned(left), assigned(right)) {
            (Some(values), None) if bare(right) => return in_order(&values, right, policy),
            (None, Some(values)) if bare(left) => return in_order(left, &values, policy),
            _ => {}
        }
    }
    as_matched(left, right, policy)
}

fn bare(members: &[Expression]) -> bool {
    members
        .iter()
        .all(|member| !matches!(member, Expression::Chain(..)))
}

/// The values of a list in which every member has a name of its own. Names that differ only in their index
/// (`x_1`, `x_2`) number the solutions of one unknown, so they give no order.
pub(super) fn assigned(list: &[Expression]) -> Option<Vec<Expression>> {
    let mut letters = BTreeSet::new();
    let mut values = Vec::with_capacity(list.len());
    for member in list {
        let Expression::Chain(sides, signs) = member else {
            return None;
        };
        let (Some(name), mut found) = names::valued(sides, signs)? else {
            return None;
        };
        let letter = match name {
            Expression::Symbol(name) => name.split('_').next().unwrap_or(name).to_owned(),
            other => format!("{other:?}"),
        };
        if !letters.insert(letter) {
            return None;
        }
        values.push(found.remove(0));
    }
    (values.len() > 1).then_some(values)
}
