//! Reading an answer: recursive descent over tokens, with a bound on depth and size.
//!
//! From loosest to tightest: lists, relations, ratios, unions, sums, products (with or without a sign),
//! powers, postfix marks. What cannot be read is an error, never a guess at something shorter.

use num_rational::BigRational;
use num_traits::Zero;

use super::expression::{Expression, Function, Relation};
use super::lex::{self, Commas, Token};

mod atom;
mod command;
mod unit;

use atom::{number, symbol};
use command::function;
use unit::is_unit_word;

/// How deeply brackets, exponents and arguments may nest.
const MAX_DEPTH: usize = 40;
/// How large the exponent of `1.5e300` may be: larger numbers are not answers, and cost memory.
const MAX_EXPONENT: i64 = 400;

/// Why a text could not be read as an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("nothing to read")]
    Empty,
    #[error("longer than {} bytes", lex::MAX_BYTES)]
    TooLong,
    #[error("nested too deeply")]
    TooDeep,
    #[error("a number with an exponent over {MAX_EXPONENT}")]
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
    if let Some(text) = words(&tokens) {
        return Ok(Expression::Text(text));
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        bars: 0,
    };
    let expression = parser.list()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(unexpected(Some(token))),
    }
}

/// The text of an answer that is nothing but words.
fn words(tokens: &[Token]) -> Option<String> {
    let only_words = tokens.iter().all(|token| match token {
        Token::Word(_) | Token::Text(_) | Token::Letter(_) | Token::Space => true,
        Token::Sign(sign) => matches!(
            sign,
            '-' | '.' | ',' | '\'' | '"' | ':' | '?' | '!' | '(' | ')' | '“' | '”'
        ),
        Token::Command(name) => matches!(name.as_str(), "or" | "and"),
        Token::Number(_) => false,
    });
    let spoken = tokens.iter().any(|token| match token {
        Token::Text(_) => true,
        Token::Word(word) => {
            word.len() > 3 || word.to_lowercase().contains(['a', 'e', 'i', 'o', 'u'])
        }
        Token::Letter(_) | Token::Space | Token::Sign(_) | Token::Command(_) | Token::Number(_) => {
            false
        }
    });
    // `a, -b` has letters only: it is mathematics. So is `\text{(C)}`, whose inside is read again.
    if !only_words || !spoken {
        return None;
    }
    let text: String = lex::normal_text(tokens)
        .replace("\\or ", "or")
        .replace("\\and ", "and");
    let text: String = text
        .chars()
        .map(|c| {
            if matches!(c, '(' | ')' | '"' | '“' | '”' | '.' | ',' | '?' | '!') {
                ' '
            } else {
                c
            }
        })
        .collect();
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
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
}

type Parsed = Result<Expression, ParseError>;

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

    fn take_sign(&mut self, sign: char) -> bool {
        let found = self.next() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn take_command(&mut self, name: &str) -> bool {
        let found = matches!(self.next(), Some(Token::Command(command)) if command == name);
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
        let mut items = self.deeper(Self::items)?;
        if items.len() == 1 {
            items.pop().ok_or(ParseError::Empty)
        } else {
            Ok(Expression::List(items))
        }
    }

    fn items(&mut self) -> Result<Vec<Expression>, ParseError> {
        let mut items = vec![self.chain()?];
        loop {
            let mut separated = false;
            // ", and" separates once.
            while self.take_sign(',')
                || self.take_sign(';')
                || self.take_command("or")
                || self.take_command("and")
                || self.take_joining_text()
            {
                separated = true;
            }
            if !separated {
                return Ok(items);
            }
            items.push(self.chain()?);
        }
    }

    /// `\text{ or }` with a maths answer on either side.
    fn take_joining_text(&mut self) -> bool {
        let found = matches!(self.next(), Some(Token::Text(text)) if matches!(text.to_lowercase().as_str(), "or" | "and" | ", and" | ", or"));
        self.at += usize::from(found);
        found
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
                "approx" | "equiv" => Relation::Equal,
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
        let first = self.ratio()?;
        let mut sides = vec![first];
        let mut relations = Vec::new();
        while let Some(relation) = self.relation() {
            relations.push(relation);
            sides.push(self.ratio()?);
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
        while self.take_sign(':') {
            parts.push(self.union()?);
        }
        Ok(Expression::Ratio(parts))
    }

    fn union(&mut self) -> Parsed {
        let first = self.sum()?;
        if !matches!(self.next(), Some(Token::Command(name)) if name == "cup") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_command("cup") {
            parts.push(self.sum()?);
        }
        Ok(Expression::Union(parts))
    }

    fn sum(&mut self) -> Parsed {
        let mut terms = Vec::new();
        let mut plus_minus: Option<Expression> = None;
        loop {
            let mut negative = false;
            let mut either = false;
            let mut signed = false;
            loop {
                match self.next() {
                    Some(Token::Sign('-')) => negative = !negative,
                    Some(Token::Sign('+')) => {}
                    Some(Token::Command(name)) if name == "pm" || name == "mp" => either = true,
                    _ => break,
                }
                self.at += 1;
                signed = true;
            }
            if !signed && !terms.is_empty() {
                break;
            }
            if !signed && plus_minus.is_some() {
                break;
            }
            let term = self.product()?;
            let term = if negative { negated(term)? } else { term };
            if either {
                if plus_minus.is_some() {
                    return Err(unexpected(self.peek()));
                }
                plus_minus = Some(term);
            } else {
                terms.push(term);
            }
        }
        let base = match terms.len() {
            1 => terms.pop().ok_or(ParseError::Empty)?,
            _ => {
                if !terms.iter().all(Expression::is_scalar) {
                    return self.mixed_sum(terms, plus_minus);
                }
                Expression::Sum(terms)
            }
        };
        Ok(match plus_minus {
            Some(step) => Expression::PlusMinus(Box::new(base), Box::new(step)),
            None => base,
        })
    }

    /// Sums of quantities keep the last unit; sums of collections are not read.
    fn mixed_sum(&self, terms: Vec<Expression>, plus_minus: Option<Expression>) -> Parsed {
        let mut unit = None;
        let mut bare = Vec::with_capacity(terms.len());
        for term in terms {
            match term {
                Expression::Quantity(value, name) => {
                    bare.push(*value);
                    unit = Some(name);
                }
                scalar if scalar.is_scalar() => bare.push(scalar),
                _ => return Err(unexpected(self.peek())),
            }
        }
        match (unit, plus_minus) {
            (Some(unit), None) => Ok(Expression::Quantity(Box::new(Expression::Sum(bare)), unit)),
            _ => Err(unexpected(self.peek())),
        }
    }

    fn product(&mut self) -> Parsed {
        let first = self.power()?;
        let mut factors = vec![first];
        loop {
            if let Some(unit) = self.unit() {
                let value = product(factors);
                return Ok(Expression::Quantity(Box::new(value), unit));
            }
            if self.take_sign('*') {
                factors.push(self.signed_power()?);
            } else if self.take_sign('/') {
                let divisor = self.signed_power()?;
                factors.push(inverse(divisor));
            } else if self.begins_factor(factors.last()) {
                factors.push(self.power()?);
            } else {
                break;
            }
        }
        if factors.len() > 1
            && let Some(Expression::Percent(_)) = factors.last()
            && factors[..factors.len() - 1]
                .iter()
                .all(Expression::is_scalar)
            && let Some(Expression::Percent(last)) = factors.pop()
        {
            // `\frac{100}{3}·2%`
            factors.push(*last);
            return Ok(Expression::Percent(Box::new(product(factors))));
        }
        if factors.len() > 1 && !factors.iter().all(Expression::is_scalar) {
            return Err(unexpected(self.peek()));
        }
        Ok(product(factors))
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
        if negative { negated(power) } else { Ok(power) }
    }

    /// Whether a factor follows without a sign.
    fn begins_factor(&mut self, before: Option<&Expression>) -> bool {
        let bars = self.bars;
        match self.next() {
            None => false,
            Some(Token::Number(_)) => !matches!(before, Some(Expression::Number(_))),
            Some(Token::Letter(_) | Token::Word(_)) => true,
            Some(Token::Text(_) | Token::Space) => false,
            Some(Token::Sign(sign)) => match sign {
                '(' | '{' => true,
                '|' => bars == 0,
                _ => false,
            },
            Some(Token::Command(name)) => {
                matches!(
                    name.as_str(),
                    "frac" | "sqrt" | "cbrt" | "pi" | "infty" | "binom" | "lfloor" | "lceil"
                ) || function(name).is_some()
                    || matches!(name.as_str(), "exp" | "abs" | "floor" | "ceil")
            }
        }
    }

    fn power(&mut self) -> Parsed {
        let base = self.postfix()?;
        self.skip_space();
        if self.peek() == Some(&Token::Sign('^')) && self.degree_mark(self.at).is_none() {
            self.at += 1;
            let exponent = self.deeper(Self::argument)?;
            if !base.is_scalar() || !exponent.is_scalar() {
                return Err(unexpected(self.peek()));
            }
            let power = Expression::Power(Box::new(base), Box::new(exponent));
            return self.marks(power);
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.marks(primary)
    }

    /// `!` and `%` after a value.
    fn marks(&mut self, mut value: Expression) -> Parsed {
        loop {
            match self.next() {
                Some(Token::Sign('!')) if value.is_scalar() => {
                    self.at += 1;
                    value = Expression::Call(Function::Factorial, vec![value]);
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(ParseError::TooDeep);
                    }
                }
                Some(Token::Sign('%')) if value.is_scalar() => {
                    self.at += 1;
                    value = Expression::Percent(Box::new(value));
                }
                Some(Token::Command(name)) if name == "percent" && value.is_scalar() => {
                    self.at += 1;
                    value = Expression::Percent(Box::new(value));
                }
                _ => return Ok(value),
            }
        }
    }

    /// What stands after `^`, `_` or `\frac`: a group, or a single token.
    fn argument(&mut self) -> Parsed {
        match self.next() {
            Some(Token::Sign('-')) => {
                self.at += 1;
                let inner = self.deeper(Self::argument)?;
                negated(inner)
            }
            Some(Token::Sign('+')) => {
                self.at += 1;
                self.deeper(Self::argument)
            }
            Some(_) => self.postfix_of_argument(),
            None => Err(unexpected(None)),
        }
    }

    /// `2^{3}^…` and `x^2!` are not read further.
    fn postfix_of_argument(&mut self) -> Parsed {
        let base = self.primary()?;
        self.skip_space();
        if self.peek() == Some(&Token::Sign('^')) && self.degree_mark(self.at).is_none() {
            self.at += 1;
            let exponent = self.deeper(Self::argument)?;
            return Ok(Expression::Power(Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    /// An argument of `\frac`, of which `\frac12` takes a digit each.
    fn digit_argument(&mut self) -> Parsed {
        self.skip_space();
        if let Some(Token::Number(digits)) = self.tokens.get_mut(self.at)
            && digits.len() > 1
            && !digits.contains(['.', 'e'])
        {
            let first = digits.remove(0);
            return number(&first.to_string());
        }
        self.deeper(Self::primary)
    }

    fn primary(&mut self) -> Parsed {
        let Some(token) = self.next().cloned() else {
            return Err(unexpected(None));
        };
        self.at += 1;
        match token {
            Token::Number(digits) => self.after_number(&digits),
            Token::Letter(letter) => self.after_letter(letter),
            Token::Word(word) => {
                if word.len() <= 3 && word.is_ascii() && !is_unit_word(&word) {
                    let letters = word.chars().map(|c| symbol(c.to_string())).collect();
                    Ok(Expression::Product(letters))
                } else {
                    self.after_letter(word)
                }
            }
            Token::Text(text) => {
                // `\text{(C)}` is a letter; other text inside mathematics is a name.
                let inner = text.trim_matches(['(', ')', ' ', '.']).to_owned();
                let name = if inner.chars().count() == 1 {
                    inner
                } else {
                    text
                };
                Ok(Expression::Symbol(name.to_lowercase()))
            }
            Token::Sign(sign) => self.after_sign(sign),
            Token::Command(name) => self.after_command(&name),
            Token::Space => Err(unexpected(None)),
        }
    }

    fn after_sign(&mut self, sign: char) -> Parsed {
        match sign {
            '(' | '[' | '⟨' => self.group(sign),
            '{' => {
                if self.take_sign('}') {
                    return Ok(Expression::Set(Vec::new()));
                }
                let bars = std::mem::take(&mut self.bars);
                let inner = self.deeper(Self::items)?;
                self.bars = bars;
                self.expect_sign('}')?;
                Ok(single_or(inner, Expression::Set))
            }
            '|' => {
                self.bars += 1;
                let inner = self.deeper(Self::sum)?;
                self.bars -= 1;
                self.expect_sign('|')?;
                Ok(Expression::Call(Function::Abs, vec![inner]))
            }
            '€' | '£' | '¥' => self.deeper(Self::power),
            other => Err(unexpected(Some(&Token::Sign(other)))),
        }
    }

    fn group(&mut self, open: char) -> Parsed {
        let bars = std::mem::take(&mut self.bars);
        let mut items = self.deeper(Self::items)?;
        self.bars = bars;
        let Some(Token::Sign(close @ (')' | ']' | '⟩'))) = self.next().cloned() else {
            return Err(unexpected(self.peek()));
        };
        self.at += 1;
        match (open, close) {
            ('(', ')') if items.len() == 1 => items.pop().ok_or(ParseError::Empty),
            // A vector is a tuple.
            ('⟨', '⟩') => Ok(Expression::Group('(', items, ')')),
            ('⟨', _) | (_, '⟩') => Err(unexpected(Some(&Token::Sign(close)))),
            // One value between unlike brackets is no interval.
            _ if items.len() == 1 && (open, close) != ('[', ']') => {
                Err(unexpected(Some(&Token::Sign(close))))
            }
            _ => Ok(Expression::Group(open, items, close)),
        }
    }
}

fn integer(value: i64) -> Expression {
    Expression::Number(BigRational::from_integer(value.into()))
}

fn negated(value: Expression) -> Parsed {
    Ok(match value {
        Expression::Number(number) => Expression::Number(-number),
        Expression::Percent(inner) => Expression::Percent(Box::new(negated(*inner)?)),
        Expression::Quantity(inner, unit) => Expression::Quantity(Box::new(negated(*inner)?), unit),
        scalar if scalar.is_scalar() => Expression::Product(vec![integer(-1), scalar]),
        _ => return Err(ParseError::Unexpected("`-`".to_owned())),
    })
}

fn inverse(value: Expression) -> Expression {
    match value {
        Expression::Number(number) if !number.is_zero() => Expression::Number(number.recip()),
        other => Expression::Power(Box::new(other), Box::new(integer(-1))),
    }
}

fn product(mut factors: Vec<Expression>) -> Expression {
    if factors.len() == 1 {
        factors.remove(0)
    } else {
        Expression::Product(factors)
    }
}

fn single_or(mut items: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if items.len() == 1 {
        items.remove(0)
    } else {
        many(items)
    }
}
