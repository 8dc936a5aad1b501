//! Numerals, mixed numbers, repeating decimals and names.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

use super::super::expression::{Constant, Expression, Function};
use super::super::lex::Token;
use super::{MAX_DECIMALS, MAX_EXPONENT, ParseError, Parsed, Parser, arithmetic, unexpected};

impl Parser {
    pub(super) fn after_number(&mut self, digits: &str) -> Parsed {
        let value = number(digits)?;
        if digits.contains('.') && !digits.contains('e') {
            for mark in ["overline", "dot", "bar"] {
                if self.take_command(mark) {
                    return self.repeating(digits, '{', '}');
                }
            }
            if digits.ends_with('.') && self.next() == Some(&Token::Sign('(')) {
                return self.repeating(digits, '(', ')');
            }
        }
        if !digits.contains(['.', 'e'])
            && let Some((fraction, end)) = self.mixed_part()
        {
            self.at = end;
            return Ok(Expression::Sum(vec![value, Expression::Number(fraction)]));
        }
        if let Some(times) = self.multiplier()
            && let Some(number) = value.as_number()
        {
            return Ok(Expression::Number(number * times));
        }
        Ok(value)
    }

    /// `1.5 million`: the word after a number that multiplies it.
    fn multiplier(&mut self) -> Option<BigRational> {
        let at = self.after_space(self.at);
        let (Token::Word(text) | Token::Text(text)) = self.tokens.get(at)? else {
            return None;
        };
        let (word, rest) = match text.split_once(' ') {
            Some((word, rest)) => (word, Some(rest.to_owned())),
            None => (text.as_str(), None),
        };
        let times = times(&word.to_lowercase())?;
        // `million dollars` between the same braces.
        match rest {
            Some(rest) => {
                *self.tokens.get_mut(at)? = Token::Text(rest);
                self.at = at;
            }
            None => self.at = at + 1,
        }
        Some(times)
    }

    /// The fraction of `1\frac{1}{2}` and `1 1/2`, and where it ends.
    fn mixed_part(&self) -> Option<(BigRational, usize)> {
        let at = self.after_space(self.at);
        let (above, below, end) = match self.tokens.get(at)? {
            Token::Command(name) if name == "frac" => self.literal_fraction(at + 1)?,
            Token::Number(_) if at > self.at => match self.tokens.get(at..at + 3)? {
                [Token::Number(above), Token::Sign('/'), Token::Number(below)] => {
                    (whole(above)?, whole(below)?, at + 3)
                }
                _ => return None,
            },
            _ => return None,
        };
        (above < below).then(|| (BigRational::new(above, below), end))
    }

    /// The two whole numbers after `\frac`: `{1}{2}`, `12`, `1{2}`; and where they end.
    fn literal_fraction(&self, at: usize) -> Option<(BigInt, BigInt, usize)> {
        let mut at = at;
        let mut parts = Vec::with_capacity(2);
        while parts.len() < 2 {
            at = self.after_space(at);
            match self.tokens.get(at)? {
                Token::Number(digits) if parts.is_empty() && digits.len() == 2 => {
                    return Some((whole(&digits[..1])?, whole(&digits[1..])?, at + 1));
                }
                Token::Number(digits) if digits.len() == 1 => {
                    parts.push(whole(digits)?);
                    at += 1;
                }
                Token::Sign('{') => {
                    let inner = self.after_space(at + 1);
                    let close = self.after_space(inner + 1);
                    let Some(Token::Number(digits)) = self.tokens.get(inner) else {
                        return None;
                    };
                    if self.tokens.get(close) != Some(&Token::Sign('}')) {
                        return None;
                    }
                    parts.push(whole(digits)?);
                    at = close + 1;
                }
                _ => return None,
            }
        }
        let below = parts.pop()?;
        Some((parts.pop()?, below, at))
    }

    /// `0.1\overline{6}`, `0.(3)`.
    fn repeating(&mut self, digits: &str, open: char, close: char) -> Parsed {
        let braced = self.take_sign(open);
        let Some(Token::Number(period)) = self.next().cloned() else {
            return Err(unexpected(self.peek()));
        };
        if period.contains(['.', 'e']) || period.len() > MAX_DECIMALS {
            return Err(unexpected(self.peek()));
        }
        self.at += 1;
        if braced {
            self.expect_sign(close)?;
        }
        let places = digits.len() - digits.find('.').map_or(0, |at| at + 1);
        let (start, cycle) = (number(digits)?, number(&period)?);
        let (Some(start), Some(cycle)) = (start.as_number(), cycle.as_number()) else {
            return Err(ParseError::Empty);
        };
        let ten = BigInt::from(10);
        let nines = num_traits::pow(ten.clone(), period.len()) - BigInt::one();
        let shift = nines * num_traits::pow(ten, places);
        Ok(Expression::Number(
            start + BigRational::new(cycle.numer().clone(), shift),
        ))
    }

    /// A name: a letter with its primes and its index, or a function of what stands in brackets.
    pub(super) fn after_letter(&mut self, letter: String) -> Parsed {
        let name = self.name(letter)?;
        if let Some(name) = self.signed_set(&name) {
            return Ok(Expression::Symbol(name));
        }
        // Other letters before a bracket are factors, or are read as functions by `definition`.
        let mut start = name.chars();
        let known = matches!(start.next(), Some('f' | 'g' | 'h'))
            && matches!(start.next(), None | Some('\'' | '_' | '*'));
        let inverse = self.is_inverse(&name);
        if known || inverse {
            let open = self.after_space(if inverse { self.at + 5 } else { self.at });
            if self.tokens.get(open) == Some(&Token::Sign('(')) {
                self.at = open + 1;
                let (arguments, _) = self.deeper(Self::items)?;
                self.expect_sign(')')?;
                let name = if inverse { format!("{name}^-1") } else { name };
                return if arguments.iter().all(Expression::is_scalar) {
                    Ok(Expression::Apply(name, arguments))
                } else {
                    Err(unexpected(self.peek()))
                };
            }
        }
        Ok(symbol(name))
    }

    /// `ℝ^+`, `ℤ^{-}`: the positive or negative numbers of a set.
    fn signed_set(&mut self, name: &str) -> Option<String> {
        if !matches!(name, "ℝ" | "ℤ" | "ℕ" | "ℚ") || self.peek() != Some(&Token::Sign('^'))
        {
            return None;
        }
        let (sign, end) = match self.tokens.get(self.at + 1..)? {
            [
                Token::Sign('{'),
                Token::Sign(sign @ ('+' | '-')),
                Token::Sign('}'),
                ..,
            ] => (*sign, self.at + 4),
            [Token::Sign(sign @ ('+' | '-')), ..] => (*sign, self.at + 2),
            _ => return None,
        };
        self.at = end;
        Some(format!("{name}{sign}"))
    }

    /// Whether `^{-1}` and a bracket follow the name of a function.
    fn is_inverse(&self, name: &str) -> bool {
        matches!(name, "f" | "g" | "h")
            && matches!(
                self.tokens.get(self.at..self.at + 6),
                Some([
                    Token::Sign('^'),
                    Token::Sign('{'),
                    Token::Sign('-'),
                    Token::Number(one),
                    Token::Sign('}'),
                    Token::Sign('(')
                ]) if one == "1"
            )
    }

    /// The primes and the index after a letter, as part of its name.
    pub(super) fn name(&mut self, mut name: String) -> Result<String, ParseError> {
        let mut index = String::new();
        loop {
            if self.peek() == Some(&Token::Sign('\'')) {
                self.at += 1;
                name.push('\'');
            } else if let Some((marks, end)) = self.marks_above() {
                self.at = end;
                name.push_str(&marks);
            } else if index.is_empty()
                && self.tokens.get(self.after_space(self.at)) == Some(&Token::Sign('_'))
            {
                self.at = self.after_space(self.at) + 1;
                index = self.index()?;
            } else {
                break;
            }
        }
        if !index.is_empty() {
            name.push('_');
            name.push_str(&index);
        }
        Ok(name)
    }

    /// `^\prime`, `^{\prime\prime}`, `^*`: marks that belong to a name, and where they end.
    fn marks_above(&self) -> Option<(String, usize)> {
        if self.peek() != Some(&Token::Sign('^')) {
            return None;
        }
        let start = self.after_space(self.at + 1);
        let braced = self.tokens.get(start) == Some(&Token::Sign('{'));
        let mut at = if braced { start + 1 } else { start };
        let mut marks = String::new();
        while let Some(token) = self.tokens.get(at) {
            match token {
                Token::Sign(mark @ ('\'' | '*')) => marks.push(*mark),
                Token::Space => {}
                _ => break,
            }
            at += 1;
            if !braced && !marks.is_empty() {
                break;
            }
        }
        if marks.is_empty() {
            return None;
        }
        if braced {
            if self.tokens.get(at) != Some(&Token::Sign('}')) {
                return None;
            }
            at += 1;
        }
        Some((marks, at))
    }

    /// What stands after `_`, in one writing: `{\mathrm{B}}` and `B` are `B`.
    pub(super) fn index(&mut self) -> Result<String, ParseError> {
        let mut index = String::new();
        let mut open = 0usize;
        loop {
            match self.next() {
                Some(Token::Sign('{')) => open += 1,
                Some(Token::Sign('}')) if open > 0 => open -= 1,
                Some(Token::Number(part) | Token::Letter(part) | Token::Word(part)) => {
                    index.push_str(part);
                }
                Some(Token::Text(part)) => index.push_str(&part.replace(' ', "")),
                Some(Token::Command(part)) => index.push_str(part),
                Some(Token::Sign(part)) if open > 0 => index.push(*part),
                token @ (Some(Token::Sign(_) | Token::Space) | None) => {
                    return Err(unexpected(token));
                }
            }
            self.at += 1;
            if open == 0 {
                return Ok(index);
            }
        }
    }

    /// An index after a value: `x^2_0`, `1011_2`.
    pub(super) fn indexed(&mut self, value: Expression) -> Parsed {
        if self.peek() != Some(&Token::Sign('_')) {
            return Ok(value);
        }
        match value {
            Expression::Number(_) => {
                self.at += 1;
                let base = self.deeper(Self::argument)?;
                arithmetic::call(Function::Numeral, vec![value, base])
            }
            Expression::Symbol(name) => Ok(Expression::Symbol(self.name(name)?)),
            Expression::Power(base, exponent) if matches!(*base, Expression::Symbol(_)) => {
                let base = self.indexed(*base)?;
                Ok(Expression::Power(Box::new(base), exponent))
            }
            _ => Err(unexpected(self.peek())),
        }
    }
}

/// What a word after a number multiplies it by.
fn times(word: &str) -> Option<BigRational> {
    let whole = |value: i64| Some(BigRational::from_integer(value.into()));
    let part = |below: i64| Some(BigRational::new(1.into(), below.into()));
    match word {
        "dozen" => whole(12),
        "hundred" => whole(100),
        "thousand" => whole(1_000),
        "lakh" => whole(100_000),
        "million" => whole(1_000_000),
        "crore" => whole(10_000_000),
        "billion" => whole(1_000_000_000),
        "trillion" => whole(1_000_000_000_000),
        "half" | "halves" => part(2),
        "thirds" => part(3),
        "fourths" => part(4),
        "fifths" => part(5),
        "sixths" => part(6),
        "sevenths" => part(7),
        "eighths" => part(8),
        "ninths" => part(9),
        "tenths" => part(10),
        "hundredths" => part(100),
        "thousandths" => part(1_000),
        _ => None,
    }
}

pub(super) fn symbol(name: String) -> Expression {
    match name.as_str() {
        "e" => Expression::Constant(Constant::E),
        "i" => Expression::Constant(Constant::I),
        _ => Expression::Symbol(name),
    }
}

fn whole(digits: &str) -> Option<BigInt> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// A numeral with perhaps a point and an exponent, exactly.
pub(super) fn number(digits: &str) -> Parsed {
    let (mantissa, exponent) = match digits.split_once('e') {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent.trim_start_matches('+').parse().unwrap_or(i64::MAX),
        ),
        None => (digits, 0i64),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(-MAX_EXPONENT..=MAX_EXPONENT).contains(&exponent) || decimals.len() > MAX_DECIMALS {
        return Err(ParseError::TooLarge);
    }
    let all: String = [whole, decimals].concat();
    let value: BigInt = all
        .parse()
        .map_err(|_| ParseError::Unexpected(format!("`{digits}`")))?;
    let last = exponent - i64::try_from(decimals.len()).map_err(|_| ParseError::TooLong)?;
    let shift = usize::try_from(last.unsigned_abs()).map_err(|_| ParseError::TooLarge)?;
    let shift = num_traits::pow(BigInt::from(10), shift);
    let value = if last < 0 {
        BigRational::new(value, shift)
    } else {
        BigRational::from_integer(value * shift)
    };
    Ok(if digits.contains(['.', 'e']) && !value.is_zero() {
        Expression::Decimal(value, last)
    } else {
        Expression::Number(value)
    })
}
