//! The ladder: normalised text, exact value, structure, and numeric for scalars without an exact form.
//! What no rung decides is unparsable.

use std::cell::Cell;
use std::ops::Deref;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive};

use super::expression::{Expression, Relation};
use super::lex::{self, Commas};
use super::normal;
use super::numeric::{self, Nearness};
use super::parse::parse;
use super::policy::{ListOrder, Percent, Policy, Units};
use crate::Verdict;

/// How many numeric values one pair may compute, over all its parts.
const NUMERIC_BUDGET: usize = 2_000;

/// The policy of one comparison and what is left of its budget.
struct Comparison<'a> {
    policy: &'a Policy,
    values: Cell<usize>,
    /// Whether a scalar had to be decided numerically.
    numeric: Cell<bool>,
}

impl Deref for Comparison<'_> {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        self.policy
    }
}

/// A decision and the rung that made it.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    pub(super) rung: &'static str,
    pub(super) reason: String,
}

/// Whether a gold answer reads, and if not, why.
pub(super) fn readable(gold: &str) -> Result<(), String> {
    parse(gold, Commas::Thousands)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Decides whether two bare answers are the same.
pub(super) fn decide(gold: &str, answer: &str, policy: &Policy) -> Decision {
    let decision = |verdict, rung, reason: String| Decision {
        verdict,
        rung,
        reason,
    };
    let text = |text: &str| {
        let text = lex::tokens(text, Commas::Thousands)
            .map(|tokens| lex::normal_text(&tokens))
            .unwrap_or_default();
        let text: String = text.split_whitespace().collect();
        if policy.case_sensitive {
            text
        } else {
            text.to_lowercase()
        }
    };
    let (gold_text, answer_text) = (text(gold), text(answer));
    // Case carries meaning in mathematics (`n`, `N`), so only words are equal without regard to it.
    let same_writing = gold_text == answer_text && gold.trim() == answer.trim();
    if same_writing && !gold_text.is_empty() {
        return decision(Verdict::Pass, "text", String::new());
    }
    let comparison = Comparison {
        policy,
        values: Cell::new(NUMERIC_BUDGET),
        numeric: Cell::new(false),
    };
    let mut last = None;
    for commas in [Commas::Thousands, Commas::List] {
        let gold = match parse(gold, commas) {
            Ok(gold) => gold,
            Err(error) => {
                return decision(
                    Verdict::Error,
                    "gold",
                    format!("the gold answer does not read: {error}"),
                );
            }
        };
        let answer = match parse(answer, commas) {
            Ok(answer) => answer,
            Err(error) => {
                return decision(
                    Verdict::Unparsable,
                    "parse",
                    format!("the answer does not read: {error}"),
                );
            }
        };
        let scalar = gold.is_scalar() && answer.is_scalar();
        comparison.numeric.set(false);
        let outcome = same(&gold, &answer, &comparison);
        let rung = match (scalar, comparison.numeric.get()) {
            (false, _) => "structure",
            (true, true) => "numeric",
            (true, false) => "exact",
        };
        if outcome == Some(true) {
            return decision(Verdict::Pass, rung, String::new());
        }
        // The first reading is the usual one; the second may only add a pass.
        last.get_or_insert((outcome, rung));
    }
    match last {
        Some((Some(false), rung)) => decision(
            Verdict::Fail,
            rung,
            format!("`{}` is not `{}`", brief(answer), brief(gold)),
        ),
        _ => decision(
            Verdict::Unparsable,
            "undecided",
            "equality could not be decided".to_owned(),
        ),
    }
}

fn brief(text: &str) -> String {
    let mut brief: String = text.trim().chars().take(60).collect();
    if brief.len() < text.trim().len() {
        brief.push('…');
    }
    brief
}

fn all(mut parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut undecided = false;
    let failed = parts.any(|part| {
        undecided |= part.is_none();
        part == Some(false)
    });
    if failed {
        Some(false)
    } else if undecided {
        None
    } else {
        Some(true)
    }
}

fn in_order(left: &[Expression], right: &[Expression], policy: &Comparison<'_>) -> Option<bool> {
    if left.len() != right.len() {
        return Some(false);
    }
    all(left.iter().zip(right).map(|(a, b)| same(a, b, policy)))
}

/// Every member of either side has its equal on the other.
fn as_sets(left: &[Expression], right: &[Expression], policy: &Comparison<'_>) -> Option<bool> {
    // Both loops are bounded: an answer of more members is not compared.
    if left.len() * right.len() > 10_000 {
        return None;
    }
    let has = |member: &Expression, others: &[Expression]| {
        let mut undecided = false;
        for other in others {
            match same(member, other, policy) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => undecided = true,
            }
        }
        if undecided { None } else { Some(false) }
    };
    all(left
        .iter()
        .map(|m| has(m, right))
        .chain(right.iter().map(|m| has(m, left))))
}

fn as_lists(left: &[Expression], right: &[Expression], policy: &Comparison<'_>) -> Option<bool> {
    match policy.list_order {
        ListOrder::Ordered => in_order(left, right, policy),
        ListOrder::Unordered if left.len() != right.len() => Some(false),
        ListOrder::Unordered => as_sets(left, right, policy),
    }
}

fn hundredth(value: &Expression) -> Expression {
    Expression::Product(vec![
        value.clone(),
        Expression::Number(BigRational::new(1.into(), 100.into())),
    ])
}

/// The same value? None where no rule decides.
fn same(gold: &Expression, answer: &Expression, policy: &Comparison<'_>) -> Option<bool> {
    use Expression::{
        Chain, Group, List, Matrix, Percent as Percents, PlusMinus, Quantity, Ratio, Set, Text,
        Union,
    };
    match (gold, answer) {
        (Text(a), Text(b)) => Some(if policy.case_sensitive {
            a == b
        } else {
            a.to_lowercase() == b.to_lowercase()
        }),
        (Percents(a), Percents(b)) => same(a, b, policy),
        (Percents(a), b) | (b, Percents(a)) if b.is_scalar() => {
            if same(&hundredth(a), b, policy) == Some(true) {
                return Some(true);
            }
            match policy.percent {
                Percent::Exact => same(&hundredth(a), b, policy),
                Percent::Sign | Percent::Any => same(a, b, policy),
            }
        }
        (Quantity(a, unit), Quantity(b, other)) => {
            if measure(unit) == measure(other) {
                same(a, b, policy)
            } else {
                Some(false)
            }
        }
        (Quantity(a, _), b) | (b, Quantity(a, _)) if policy.units == Units::Strip => {
            same(a, b, policy)
        }
        (PlusMinus(..), _) => same(&both_signs(gold)?, answer, policy),
        (_, PlusMinus(..)) => same(gold, &both_signs(answer)?, policy),
        (Group(a, left, b), Group(c, right, d)) => {
            if (a, b) == (c, d) {
                in_order(left, right, policy)
            } else {
                Some(false)
            }
        }
        (Ratio(left), Ratio(right)) => in_order(left, right, policy),
        (Set(left), Set(right)) | (Union(left), Union(right)) => as_sets(left, right, policy),
        (List(left), List(right)) => as_lists(left, right, policy),
        (Set(left), List(right)) | (List(left), Set(right)) => as_sets(left, right, policy),
        (Matrix(left), Matrix(right)) => {
            if left.len() != right.len() {
                return Some(false);
            }
            all(left.iter().zip(right).map(|(a, b)| in_order(a, b, policy)))
        }
        (Chain(left, signs), Chain(right, others)) => chains(left, signs, right, others, policy),
        (Chain(sides, signs), b) | (b, Chain(sides, signs)) => {
            match (sides.as_slice(), signs.as_slice()) {
                ([name, value], [Relation::Equal | Relation::In])
                    if policy.assignment && is_name(name) =>
                {
                    same(value, b, policy)
                }
                _ => Some(false),
            }
        }
        (a, b) if a.is_scalar() && b.is_scalar() => scalars(a, b, policy),
        // Different shapes are different answers.
        _ => Some(false),
    }
}

fn measure(unit: &str) -> String {
    let unit = unit
        .replace([' ', '.'], "")
        .replace("degrees", "°")
        .replace("degree", "°");
    let unit = unit
        .strip_suffix('s')
        .filter(|rest| rest.len() > 2)
        .unwrap_or(&unit)
        .to_owned();
    if unit == "$" {
        "dollar".to_owned()
    } else {
        unit
    }
}

fn both_signs(expression: &Expression) -> Option<Expression> {
    let Expression::PlusMinus(base, step) = expression else {
        return None;
    };
    if !base.is_scalar() || !step.is_scalar() {
        return None;
    }
    let minus = Expression::Number(BigRational::from_integer(BigInt::from(-1)));
    let down = Expression::Product(vec![minus, (**step).clone()]);
    Some(Expression::List(vec![
        Expression::Sum(vec![(**base).clone(), (**step).clone()]),
        Expression::Sum(vec![(**base).clone(), down]),
    ]))
}

/// `x`, `f(x)`: what may stand before `=` without being part of the answer.
fn is_name(expression: &Expression) -> bool {
    match expression {
        Expression::Symbol(_) | Expression::Text(_) => true,
        Expression::Product(parts) => {
            parts.len() <= 3 && parts.iter().all(|p| matches!(p, Expression::Symbol(_)))
        }
        _ => false,
    }
}

fn chains(
    left: &[Expression],
    signs: &[Relation],
    right: &[Expression],
    others: &[Relation],
    policy: &Comparison<'_>,
) -> Option<bool> {
    let reversed: Vec<Expression> = right.iter().rev().cloned().collect();
    let reversed_signs: Vec<Relation> = others.iter().rev().map(|sign| sign.reversed()).collect();
    let straight = if signs == others {
        in_order(left, right, policy)
    } else {
        Some(false)
    };
    if straight == Some(true) {
        return straight;
    }
    let turned = if signs == reversed_signs {
        in_order(left, &reversed, policy)
    } else {
        Some(false)
    };
    if turned == Some(true) {
        return turned;
    }
    // `k = 3` and `m = 3` name different things. Other equations may be scaled, which is not decided here.
    match (left, right) {
        ([a, _], [b, _]) if is_name(a) && is_name(b) => all([straight, turned].into_iter()),
        _ => None,
    }
}

fn scalars(gold: &Expression, answer: &Expression, policy: &Comparison<'_>) -> Option<bool> {
    if gold == answer {
        return Some(true);
    }
    let exact = normal::exact(gold).zip(normal::exact(answer));
    let Some((a, b, equal)) = exact.and_then(|(a, b)| a.equals(&b).map(|equal| (a, b, equal)))
    else {
        policy.numeric.set(true);
        return match numeric::compare(gold, answer, &policy.values) {
            Nearness::Same => Some(true),
            Nearness::Different => Some(false),
            Nearness::Unknown => None,
        };
    };
    if equal {
        return Some(true);
    }
    if let (Some(a), Some(b)) = (a.as_number(), b.as_number()) {
        let hundred = BigRational::from_integer(100.into());
        if policy.percent == Percent::Any && (&a * &hundred == b || &b * &hundred == a) {
            return Some(true);
        }
        // Whole numbers are exact: 10001 is not 10000 at any tolerance.
        if a.is_integer() && b.is_integer() || policy.relative_tolerance <= 0.0 {
            return Some(false);
        }
        let scale = a.abs().max(b.abs()).to_f64()?;
        let distance = (a - b).abs().to_f64()?;
        return Some(distance <= policy.relative_tolerance * scale);
    }
    Some(false)
}
