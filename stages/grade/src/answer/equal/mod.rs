//! The ladder: the same writing, the same exact value, the same structure, and numeric values for scalars without
//! an exact form. What no rung decides is unparsable.
//!
//! Everything that is compared in one pair draws on the same budgets, so a pair costs the same whether it is one
//! large expression or a thousand small ones.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use super::expression::Expression;
use super::extract::plain_words;
use super::lex::{self, Commas, Token};
use super::parse::parse;
use super::policy::{ListOrder, Policy};
use crate::Verdict;

mod collections;
mod equations;
mod names;
mod regions;
mod same;
mod scalars;
mod solve;

use same::same;

/// How many numeric values one pair may compute, over all its parts.
const NUMERIC_BUDGET: usize = 2_000;
/// How many comparisons of parts one pair may make.
const STEPS: usize = 10_000;
/// How many products of terms one pair may multiply out, over all its parts, by estimate.
const PRODUCTS: usize = 30_000;

/// The policy of one comparison, what is left of its budgets, and how scalars were decided so far.
struct Comparison<'a> {
    policy: &'a Policy,
    values: Cell<usize>,
    steps: Cell<usize>,
    products: Cell<usize>,
    /// Whether a scalar had to be decided numerically.
    numeric: Cell<bool>,
    /// Why the last two scalars that were the same are so.
    reason: RefCell<String>,
}

impl Deref for Comparison<'_> {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        self.policy
    }
}

impl<'a> Comparison<'a> {
    fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            values: Cell::new(NUMERIC_BUDGET),
            steps: Cell::new(STEPS),
            products: Cell::new(PRODUCTS),
            numeric: Cell::new(false),
            reason: RefCell::new(String::new()),
        }
    }

    /// Takes `cost` out of a budget; None where it does not last.
    fn spend(budget: &Cell<usize>, cost: usize) -> Option<()> {
        budget.set(budget.get().checked_sub(cost)?);
        Some(())
    }

    fn because(&self, reason: String) {
        self.reason.replace(reason);
    }
}

/// A decision and the rung that made it.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// `text`, `exact`, `structure` or `numeric`; `gold`, `parse` or `undecided` where nothing could be decided.
    pub(super) rung: &'static str,
    /// What was found, for a person.
    pub(super) reason: String,
}

/// Whether a text reads as an answer, and if not, why. Prose that contains an answer does not.
pub(super) fn readable(text: &str) -> Result<(), String> {
    parse(text, Commas::Thousands)
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
    // What does not read is no answer, not even to itself; words are what they are.
    let reads = (readable(gold).is_ok(), readable(answer).is_ok());
    if reads == (true, true) && same_writing(gold, answer) {
        return decision(Verdict::Pass, "text", "the same writing".to_owned());
    }
    if reads == (false, false)
        && plain_words(gold) > 0
        && plain_words(answer) > 0
        && same_words(gold, answer, policy.case_sensitive)
    {
        return decision(Verdict::Pass, "structure", "the same words".to_owned());
    }
    if let (Some(from), Some(to)) = (range(gold), range(answer))
        && from != to
    {
        let reason = format!("`{}` is not `{}`", brief(answer), brief(gold));
        return decision(Verdict::Fail, "structure", reason);
    }
    let failed = format!("`{}` is not `{}`", brief(answer), brief(gold));
    // A list that might be one number has its members where they stand.
    let in_order = Policy {
        list_order: ListOrder::Ordered,
        ..policy.clone()
    };
    // The first reading is the usual one, and decides where no reading passes.
    let mut first = None;
    for (gold_commas, answer_commas) in readings(gold, answer, policy) {
        let as_list = [gold_commas, answer_commas].contains(&Commas::List);
        let comparison = Comparison::new(if as_list { &in_order } else { policy });
        let (gold, answer) = match (parse(gold, gold_commas), parse(answer, answer_commas)) {
            (Ok(gold), Ok(answer)) => (gold, answer),
            (Err(error), _) => {
                first.get_or_insert_with(|| {
                    decision(
                        Verdict::Error,
                        "gold",
                        format!("the gold answer does not read: {error}"),
                    )
                });
                continue;
            }
            (_, Err(error)) => {
                first.get_or_insert_with(|| {
                    decision(
                        Verdict::Unparsable,
                        "parse",
                        format!("the answer does not read: {error}"),
                    )
                });
                continue;
            }
        };
        comparison.numeric.set(false);
        let outcome = same(&gold, &answer, &comparison);
        let scalar = gold.is_scalar() && answer.is_scalar();
        let rung = match (scalar, comparison.numeric.get()) {
            (false, _) => "structure",
            (true, true) => "numeric",
            (true, false) => "exact",
        };
        if outcome == Some(true) {
            let reason = comparison.reason.take();
            let reason = if scalar {
                reason
            } else {
                structure(&gold, &answer, &reason)
            };
            return decision(Verdict::Pass, rung, reason);
        }
        first.get_or_insert_with(|| match outcome {
            Some(_) => decision(Verdict::Fail, rung, failed.clone()),
            None => decision(
                Verdict::Unparsable,
                "undecided",
                "equality could not be decided".to_owned(),
            ),
        });
    }
    first.unwrap_or_else(|| decision(Verdict::Fail, "structure", failed))
}

/// How the commas of gold and answer are read, the usual reading first.
///
/// `1,234` is a number, and may be the list of 1 and 234 only beside an answer that cannot be misread. A list has no
/// member like `000`.
fn readings(gold: &str, answer: &str, policy: &Policy) -> Vec<(Commas, Commas)> {
    let mut readings = vec![(Commas::Thousands, Commas::Thousands)];
    if !gold.contains(',') && !answer.contains(',') {
        return readings;
    }
    let (of_gold, of_answer) = (grouping(gold), grouping(answer));
    match (of_gold, of_answer) {
        (Grouping::Either, Grouping::None) => readings.push((Commas::List, Commas::Thousands)),
        (Grouping::None, Grouping::Either) => readings.push((Commas::Thousands, Commas::List)),
        _ => {}
    }
    if policy.decimal_comma {
        let decimal = |grouping| match grouping {
            Grouping::None | Grouping::Fraction => Commas::Decimal,
            Grouping::Either | Grouping::Number => Commas::Thousands,
        };
        let decimals = (decimal(of_gold), decimal(of_answer));
        if decimals != readings[0] {
            readings.push(decimals);
        }
    }
    readings
}

/// What the commas between a text's digits can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grouping {
    /// None of them stands before three digits.
    None,
    /// `0,125`: a decimal, where commas make decimals.
    Fraction,
    /// `12,345`: a number, at a pinch a list.
    Either,
    /// `12,000`: a number.
    Number,
}

fn grouping(text: &str) -> Grouping {
    let numbers = |commas| -> Vec<String> {
        let tokens = lex::tokens(text, commas).unwrap_or_default();
        tokens
            .into_iter()
            .filter_map(|token| match token {
                Token::Number(digits) => Some(digits),
                _ => None,
            })
            .collect()
    };
    let (joined, apart) = (numbers(Commas::Thousands), numbers(Commas::List));
    let padded =
        |digits: &String| digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if joined == apart {
        Grouping::None
    } else if joined.iter().any(padded) {
        Grouping::Fraction
    } else if apart.iter().any(padded) {
        Grouping::Number
    } else {
        Grouping::Either
    }
}

/// The ends of `10-12`: from a number to a larger one, or two parts of one numeral. Beside another of its kind it is
/// no difference.
fn range(text: &str) -> Option<(String, String)> {
    let mut tokens = lex::tokens(text, Commas::Thousands).ok()?;
    tokens.retain(|token| *token != Token::Space);
    let [Token::Number(from), Token::Sign('-'), Token::Number(to)] = tokens.as_slice() else {
        return None;
    };
    let (a, b) = (from.parse::<u64>().ok()?, to.parse::<u64>().ok()?);
    (a < b).then(|| (from.clone(), to.clone()))
}

/// Whether two texts are the same words, but for white space.
fn same_words(gold: &str, answer: &str, case_sensitive: bool) -> bool {
    let words = |text: &str| -> String {
        let text: Vec<&str> = text.split_whitespace().collect();
        let text = text.join(" ");
        if case_sensitive {
            text
        } else {
            text.to_lowercase()
        }
    };
    words(gold) == words(answer)
}

/// Whether two texts are the same tokens, but for looks and white space.
fn same_writing(gold: &str, answer: &str) -> bool {
    let tokens = |text: &str| -> Vec<Token> {
        let mut tokens = lex::tokens(text, Commas::Thousands).unwrap_or_default();
        tokens.retain(|token| *token != Token::Space);
        tokens
    };
    let gold_tokens = tokens(gold);
    if gold_tokens.is_empty() {
        return false;
    }
    gold.trim() == answer.trim() || gold_tokens == tokens(answer)
}

/// Why two answers that are no scalars are the same.
fn structure(gold: &Expression, answer: &Expression, reason: &str) -> String {
    let what = match gold {
        Expression::List(_) | Expression::PlusMinus(..) => "the same values",
        Expression::Set(_) => "the same members",
        Expression::Group(..) | Expression::Matrix(_) => "equal place by place",
        Expression::Chain(..) | Expression::Both(_) | Expression::Either(_) => "the same relation",
        Expression::Union(_)
        | Expression::Intersection(_)
        | Expression::Without(..)
        | Expression::Builder(..) => "the same set of numbers",
        Expression::Ratio(_) => "the same ratio",
        Expression::Text(_) => "the same words",
        _ => "",
    };
    // `x = 5` against `5` is decided by its value.
    let valued = gold.is_scalar() || answer.is_scalar() || what.is_empty();
    if valued && !reason.is_empty() {
        reason.to_owned()
    } else if what.is_empty() {
        "the same value".to_owned()
    } else {
        what.to_owned()
    }
}

fn brief(text: &str) -> String {
    let mut brief: String = text.trim().chars().take(60).collect();
    if brief.len() < text.trim().len() {
        brief.push('…');
    }
    brief
}

/// Whether all parts hold: a part that does not decides, whatever is undecided beside it.
fn all(mut parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut undecided = false;
    let failed = parts.any(|part| {
        undecided |= part.is_none();
        part == Some(false)
    });
    match (failed, undecided) {
        (true, _) => Some(false),
        (false, true) => None,
        (false, false) => Some(true),
    }
}
