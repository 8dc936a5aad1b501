//! Reading an answer: recursive descent over tokens, with a bound on depth and size.
//!
//! From loosest to tightest: lists, relations, ratios, unions, sums, products (with or without a sign),
//! powers, postfix marks. What cannot be read is an error, never a guess at something shorter: a text that only
//! contains an answer ("the sum is 5", "7 because 3+4") does not read, so that its reader can look inside.
//! A word that is no known name never turns into a product of letters.

use super::expression::{Expression, Relation};
use super::lex::{self, Commas, Token};

mod arithmetic;
mod atom;
mod command;
mod group;
mod matrix;
mod measures;
mod named;
mod operator;
mod unit;
mod words;

/// The name of what was left out: `> 5`.
pub(super) const UNNAMED: &str = "□";
/// How deeply brackets, exponents and arguments may nest.
const MAX_DEPTH: usize = 40;
/// How large the exponent of `1.5e300` may be: larger numbers are not answers, and cost memory.
const MAX_EXPONENT: i64 = 400;
/// How many decimals a numeral may have.
const MAX_DECIMALS: usize = 1_000;

/// How many parts reading may make that were not written.
const MAX_COPIES: usize = 1_500;

/// Why a text could not be read as an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("nothing to read")]
    Empty,
    #[error("longer than {} bytes", lex::MAX_BYTES)]
    TooLong,
    #[error("nested too deeply")]
    TooDeep,
    #[error("more terms than are written out")]
    TooMany,
    #[error("a number with an exponent over {MAX_EXPONENT} or more than {MAX_DECIMALS} decimals")]
    TooLarge,
    #[error("unexpected {0}")]
    Unexpected(String),
}

/// Reads an answer.
pub(super) fn parse(text: &str, commas: Commas) -> Result<Expression, ParseError> {
    let tokens = lex::tokens(text, commas)?;
    if tokens.is_empty() {
        return Err(ParseError::Empty);
    }
    if let Some(text) = words::date(&tokens) {
        return Ok(Expression::Text(text));
    }
    if let Some(text) = words::words(&tokens)? {
        return Ok(text);
    }
    let count = |sign: char| tokens.iter().filter(|t| **t == Token::Sign(sign)).count();
    let outward = count('[') != count(']') || tokens.first() == Some(&Token::Sign(']'));
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        bars: 0,
        outward,
        copies: MAX_COPIES,
        congruence: false,
    };
    let expression = parser.list()?;
    parser.skip_space();
    match parser.peek() {
        // `[x]` alone is the whole part of x; brackets within a calculation are brackets.
        None if !is_number(&expression) && expression.is_scalar() && parser.is_bracketed() => {
            Ok(Expression::Group('[', vec![expression], ']'))
        }
        None => Ok(expression),
        Some(token) => Err(unexpected(Some(token))),
    }
}

/// Whether every relation gives the same unknown a value: `x = 1 and x = 2` lists solutions, as `or` does.
fn is_one_unknown(items: &[Expression]) -> bool {
    let unknown = |item: &Expression| match item {
        Expression::Chain(sides, signs) if *signs == [Relation::Equal] => sides.first().cloned(),
        _ => None,
    };
    let first = items.first().and_then(unknown);
    first.is_some() && items.iter().all(|item| unknown(item) == first)
}

/// Whether a value has no letters in it.
fn is_number(value: &Expression) -> bool {
    value.is_scalar()
        && !value.any(&|part| matches!(part, Expression::Symbol(_) | Expression::Apply(..)))
}

fn unexpected(token: Option<&Token>) -> ParseError {
    ParseError::Unexpected(match token {
        None => "end".to_owned(),
        Some(token) => format!("`{}`", lex::normal_text(std::slice::from_ref(token)).trim()),
    })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// How many `|` are open.
    bars: usize,
    /// Whether brackets that face outward mark open ends: `]0, 1[`.
    outward: bool,
    /// How many more parts may be made that were not written: terms of sums, entries of products of matrices.
    copies: usize,
    /// Whether the side of a congruence is read: there `\bmod` says the modulus, elsewhere it computes.
    congruence: bool,
}

type Parsed = Result<Expression, ParseError>;

/// What joined the members of a list.
#[derive(Debug, Clone, Copy, Default)]
struct Joints {
    and: bool,
    or: bool,
    /// `∧` or `∨`, which join statements, never values.
    logical: bool,
}

impl Joints {
    /// What relations so joined say together. Values are a list in any case.
    fn join(self, items: Vec<Expression>) -> Expression {
        let stated = self.logical
            || items
                .iter()
                .all(|item| matches!(item, Expression::Chain(..)))
                && !is_one_unknown(&items);
        match (stated, self.and, self.or) {
            (true, true, false) => Expression::Both(items),
            (true, false, true) => Expression::Either(items),
            _ => Expression::List(items),
        }
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    /// The next token that is no space, without taking it.
    fn next(&mut self) -> Option<&Token> {
        self.skip_space();
        self.peek()
    }

    /// Whether one pair of square brackets stands around everything.
    fn is_bracketed(&self) -> bool {
        let mut depth = 0usize;
        let end = self.tokens.iter().position(|token| {
            match token {
                Token::Sign('[') => depth += 1,
                Token::Sign(']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        });
        end.is_some_and(|end| end > 0 && end + 1 == self.tokens.len())
    }

    /// The place of the first token from `at` on that is no space.
    fn after_space(&self, mut at: usize) -> usize {
        while self.tokens.get(at) == Some(&Token::Space) {
            at += 1;
        }
        at
    }

    /// Pays for parts that were not written.
    fn copy(&mut self, parts: usize) -> Result<(), ParseError> {
        self.copies = self.copies.checked_sub(parts).ok_or(ParseError::TooMany)?;
        Ok(())
    }

    /// A `±` makes two of everything around it.
    fn copy_for_signs(&mut self, parts: &[Expression]) -> Result<(), ParseError> {
        let either = |part: &Expression| matches!(part, Expression::PlusMinus(..));
        if parts.len() > 1 && parts.iter().any(either) {
            self.copy(parts.iter().map(Expression::size).sum())?;
        }
        Ok(())
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let found = self.next() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn is_command(&mut self, name: &str) -> bool {
        matches!(self.next(), Some(Token::Command(command)) if command == name)
    }

    fn take_command(&mut self, name: &str) -> bool {
        let found = self.is_command(name);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: char) -> Result<(), ParseError> {
        if self.take_sign(sign) {
            Ok(())
        } else {
            Err(unexpected(self.peek()))
        }
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self) -> Parsed {
        let (mut items, joints) = self.deeper(Self::items)?;
        if items.len() == 1 {
            return items.pop().ok_or(ParseError::Empty);
        }
        Ok(joints.join(items))
    }

    fn items(&mut self) -> Result<(Vec<Expression>, Joints), ParseError> {
        let mut joints = Joints::default();
        let mut items = vec![self.chain()?];
        loop {
            let mut separated = false;
            // ", and" separates once.
            loop {
                if self.take_command("and") {
                    joints.and = true;
                } else if self.take_command("or") {
                    joints.or = true;
                } else if self.take_command("land") {
                    (joints.and, joints.logical) = (true, true);
                } else if self.take_command("lor") {
                    (joints.or, joints.logical) = (true, true);
                } else if !self.take_sign(',')
                    && !self.take_sign(';')
                    && !self.take_command("quad")
                    && !self.take_command("\\")
                {
                    break;
                }
                separated = true;
            }
            // `y = 1 (x ≠ 0)`: a condition in brackets says what a comma would.
            if !separated
                && matches!(items.last(), Some(Expression::Chain(..)))
                && let Some(condition) = self.condition()
            {
                items.push(condition);
                continue;
            }
            let ended = match self.next() {
                None => true,
                Some(Token::Sign(sign)) => matches!(sign, '}' | ')'),
                Some(Token::Command(name)) => matches!(name.as_str(), "}" | "end"),
                Some(_) => false,
            };
            if !separated || ended {
                return Ok((items, joints));
            }
            items.push(self.chain()?);
        }
    }

    /// A relation in brackets. None where something else stands here.
    fn condition(&mut self) -> Option<Expression> {
        let start = self.at;
        let found = self.bracketed_condition();
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn bracketed_condition(&mut self) -> Option<Expression> {
        if !self.take_sign('(') {
            return None;
        }
        let inner = self.deeper(Self::chain).ok()?;
        (matches!(inner, Expression::Chain(..)) && self.take_sign(')')).then_some(inner)
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match self.next()? {
            Token::Sign('=') => Relation::Equal,
            Token::Sign('<') => Relation::Less,
            Token::Sign('>') => Relation::Greater,
            Token::Command(name) => match name.as_str() {
                "le" => Relation::LessEqual,
                "ge" => Relation::GreaterEqual,
                "ne" => Relation::NotEqual,
                "in" => Relation::In,
                "approx" => Relation::Near,
                "sim" => Relation::Similar,
                "cong" => Relation::Congruent,
                "equiv" => Relation::Equivalent,
                _ => return None,
            },
            Token::Number(_)
            | Token::Letter(_)
            | Token::Word(_)
            | Token::Text(_)
            | Token::Sign(_)
            | Token::Space => {
                return None;
            }
        };
        self.at += 1;
        Some(relation)
    }

    fn chain(&mut self) -> Parsed {
        while self.take_command("quad") || self.take_command("forall") {}
        // `= 5`, `≈ 3.14`: the name was said before.
        if self.take_sign('=') || self.take_command("approx") || self.take_command("sim") {
            return self.ratio();
        }
        // `> 5`: what is larger was said before.
        let start = self.at;
        if let Some(relation) = self.relation() {
            if relation.is_order() {
                let unnamed = Expression::Symbol(UNNAMED.to_owned());
                return Ok(Expression::Chain(
                    vec![unnamed, self.ratio()?],
                    vec![relation],
                ));
            }
            self.at = start;
        }
        let first = if let Some(label) = self.label() {
            label
        } else if let Some(definition) = self.definition()? {
            definition
        } else if let Some(probability) = self.probability() {
            probability
        } else {
            self.ratio()?
        };
        let mut sides = vec![first];
        let mut relations = Vec::new();
        while let Some(relation) = self.relation() {
            let congruence = self.congruence;
            self.congruence |= relation == Relation::Equivalent;
            let side = self.ratio();
            self.congruence = congruence;
            let side = side?;
            let bare =
                matches!(side, Expression::Quantity(_, ref unit) if unit.modulus().is_some());
            relations.push(match relation {
                // `x ~ 5` is a rough value, `f(x) ≡ 0` an equation that always holds.
                Relation::Similar if is_number(&side) => Relation::Near,
                Relation::Equivalent
                    if !bare && matches!(sides.last(), Some(Expression::Apply(..))) =>
                {
                    Relation::Equal
                }
                other => other,
            });
            sides.push(side);
        }
        match sides.len() {
            1 => sides.pop().ok_or(ParseError::Empty),
            _ => Ok(Expression::Chain(sides, relations)),
        }
    }

    fn ratio(&mut self) -> Parsed {
        let first = self.union()?;
        if self.next() != Some(&Token::Sign(':')) {
            return Ok(first);
        }
        let mut parts = vec![first];
        let mut clock = false;
        while self.take_sign(':') {
            // `3:05` is a time, not a ratio.
            clock |= matches!(self.next(), Some(Token::Number(digits)) if digits.len() == 2 && digits.starts_with('0'));
            parts.push(self.union()?);
        }
        Ok(if clock {
            Expression::Group(':', parts, ':')
        } else {
            Expression::Ratio(parts)
        })
    }

    /// `∪`, `∩` and `∖`, from left to right.
    fn union(&mut self) -> Parsed {
        let mut left = self.sum()?;
        loop {
            if self.take_command("cup") {
                let right = self.sum()?;
                match &mut left {
                    Expression::Union(parts) => parts.push(right),
                    _ => left = Expression::Union(vec![left, right]),
                }
            } else if self.take_command("cap") {
                let right = self.sum()?;
                match &mut left {
                    Expression::Intersection(parts) => parts.push(right),
                    _ => left = Expression::Intersection(vec![left, right]),
                }
            } else if self.take_command("setminus") {
                let right = self.sum()?;
                left = self.nested(left, right)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// `left ∖ right`. Each one nests deeper, so the bound on depth counts them.
    fn nested(&mut self, left: Expression, right: Expression) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        Ok(Expression::Without(Box::new(left), Box::new(right)))
    }

    fn sum(&mut self) -> Parsed {
        let mut terms = Vec::new();
        loop {
            let mut negative = false;
            let mut either = None;
            let mut signed = false;
            loop {
                match self.next() {
                    Some(Token::Sign('-')) => negative = !negative,
                    Some(Token::Sign('+')) => {}
                    Some(Token::Command(name)) if name == "pm" || name == "mp" => {
                        if either.is_some() {
                            return Err(unexpected(self.peek()));
                        }
                        either = Some(name == "pm");
                    }
                    _ => break,
                }
                self.at += 1;
                signed = true;
            }
            if !signed && !terms.is_empty() {
                break;
            }
            let term = self.product()?;
            // `ℝ - {0}`
            if negative
                && matches!(term, Expression::Set(_))
                && let [set] = terms.as_mut_slice()
                && arithmetic::is_set(set)
            {
                let set = std::mem::replace(set, Expression::Set(Vec::new()));
                terms = vec![self.nested(set, term)?];
                continue;
            }
            let term = if negative {
                arithmetic::negated(term)?
            } else {
                term
            };
            terms.push(match either {
                Some(upper) => arithmetic::either(term, upper)?,
                None => term,
            });
        }
        if terms.len() == 1 {
            return terms.pop().ok_or(ParseError::Empty);
        }
        self.copy_for_signs(&terms)?;
        arithmetic::total(terms)
    }

    fn product(&mut self) -> Parsed {
        let mut factors = vec![self.power()?];
        loop {
            if factors.iter().all(arithmetic::is_value)
                && let Some(unit) = self.unit()
            {
                let value = arithmetic::product(std::mem::take(&mut factors))?;
                factors.push(Expression::Quantity(Box::new(value), unit));
                // `5 ft 3 in`
                if matches!(self.next(), Some(Token::Number(_))) {
                    return self.compound(factors.remove(0));
                }
            } else if self.take_sign('*') {
                factors.push(self.signed_power()?);
            } else if !self.congruence && self.take_command("bmod") {
                let value = arithmetic::product(std::mem::take(&mut factors))?;
                let modulus = self.power()?;
                factors.push(arithmetic::remainder(value, modulus)?);
            } else if self.take_sign('/') {
                factors.push(arithmetic::inverse(self.signed_power()?)?);
            } else if self.begins_factor(factors.last()) {
                factors.push(self.power()?);
            } else {
                self.copy_for_signs(&factors)?;
                return arithmetic::product(factors);
            }
        }
    }

    /// A quantity in two units: `2 hours 30 minutes`.
    fn compound(&mut self, first: Expression) -> Parsed {
        let at = self.at;
        let second = self.deeper(Self::product)?;
        match (&first, &second) {
            (Expression::Quantity(_, a), Expression::Quantity(_, b))
                if a.bases == b.bases && !a.bases.is_empty() =>
            {
                arithmetic::total(vec![first, second])
            }
            _ => Err(unexpected(self.tokens.get(at))),
        }
    }

    fn signed_power(&mut self) -> Parsed {
        let mut negative = false;
        loop {
            match self.next() {
                Some(Token::Sign('-')) => negative = !negative,
                Some(Token::Sign('+')) => {}
                _ => break,
            }
            self.at += 1;
        }
        let power = self.power()?;
        if negative {
            arithmetic::negated(power)
        } else {
            Ok(power)
        }
    }
}
