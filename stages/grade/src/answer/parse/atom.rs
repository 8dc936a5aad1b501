//! Numerals, mixed numbers, repeating decimals and names.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::One;

use super::super::expression::{Constant, Expression, Function};
use super::super::lex::{self, Token};
use super::{MAX_EXPONENT, ParseError, Parsed, Parser, unexpected};

impl Parser {
    pub(super) fn after_number(&mut self, digits: &str) -> Parsed {
        let mut value = number(digits)?;
        if digits.contains('.') && self.take_command("overline") {
            return self.repeating(digits);
        }
        let integer = !digits.contains(['.', 'e']);
        if self.peek() == Some(&Token::Sign('_')) {
            self.at += 1;
            let base = self.deeper(Self::argument)?;
            return Ok(Expression::Call(Function::Numeral, vec![value, base]));
        }
        if integer && let Some(fraction) = self.mixed_part() {
            value = Expression::Sum(vec![value, Expression::Number(fraction)]);
        }
        Ok(value)
    }

    /// The fraction of `1\frac{1}{2}` and `1 1/2`.
    pub(super) fn mixed_part(&mut self) -> Option<BigRational> {
        let start = self.at;
        self.skip_space();
        let spaced = self.at > start;
        let found = match self.peek()? {
            Token::Command(name) if name == "frac" => {
                self.at += 1;
                let saved = self.tokens.clone();
                let parts = (self.digit_argument().ok(), self.digit_argument().ok());
                if !matches!(
                    parts,
                    (Some(Expression::Number(_)), Some(Expression::Number(_)))
                ) {
                    self.tokens = saved;
                }
                parts
            }
            Token::Number(_) if spaced => {
                let window = self.tokens.get(self.at..self.at + 3)?.to_vec();
                match window.as_slice() {
                    [Token::Number(above), Token::Sign('/'), Token::Number(below)] => {
                        self.at += 3;
                        (number(above).ok(), number(below).ok())
                    }
                    _ => (None, None),
                }
            }
            _ => (None, None),
        };
        if let (Some(Expression::Number(above)), Some(Expression::Number(below))) = found
            && above.is_integer()
            && below.is_integer()
            && above < below
        {
            return Some(above / below);
        }
        self.at = start;
        None
    }

    /// `0.1\overline{6}`.
    pub(super) fn repeating(&mut self, digits: &str) -> Parsed {
        self.expect_sign('{')?;
        let Some(Token::Number(period)) = self.next().cloned() else {
            return Err(unexpected(self.peek()));
        };
        if period.contains(['.', 'e']) {
            return Err(unexpected(self.peek()));
        }
        self.at += 1;
        self.expect_sign('}')?;
        let places = digits.len() - digits.find('.').map_or(0, |at| at + 1);
        let Expression::Number(start) = number(digits)? else {
            return Err(ParseError::Empty);
        };
        let Expression::Number(cycle) = number(&period)? else {
            return Err(ParseError::Empty);
        };
        let ten = BigRational::from_integer(10.into());
        let nines = num_traits::pow(ten.clone(), period.len()) - BigRational::one();
        Ok(Expression::Number(
            start + cycle / nines / num_traits::pow(ten, places),
        ))
    }

    pub(super) fn after_letter(&mut self, mut name: String) -> Parsed {
        while self.peek() == Some(&Token::Sign('\'')) {
            self.at += 1;
            name.push('\'');
        }
        if self.peek() == Some(&Token::Sign('_')) {
            self.at += 1;
            let start = self.at;
            self.deeper(Self::argument)?;
            let index: String = lex::normal_text(&self.tokens[start..self.at]);
            name.push('_');
            name.extend(index.chars().filter(|c| c.is_alphanumeric()));
            return Ok(Expression::Symbol(name));
        }
        Ok(symbol(name))
    }
}

pub(super) fn symbol(name: String) -> Expression {
    match name.as_str() {
        "e" => Expression::Constant(Constant::E),
        "i" => Expression::Constant(Constant::I),
        _ => Expression::Symbol(name),
    }
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
    if !(-MAX_EXPONENT..=MAX_EXPONENT).contains(&exponent) {
        return Err(ParseError::TooLarge);
    }
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, decimals].concat();
    let value: BigInt = all
        .parse()
        .map_err(|_| ParseError::Unexpected(format!("`{digits}`")))?;
    let ten = BigRational::from_integer(10.into());
    let places = exponent - i64::try_from(decimals.len()).map_err(|_| ParseError::TooLong)?;
    let shift = num_traits::pow(
        ten,
        usize::try_from(places.unsigned_abs()).map_err(|_| ParseError::TooLarge)?,
    );
    let value = BigRational::from_integer(value);
    Ok(Expression::Number(if places < 0 {
        value / shift
    } else {
        value * shift
    }))
}
