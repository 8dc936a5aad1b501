//! Sums, products, integrals and limits. A sum or a product over a few whole numbers is written out; the others are
//! names of what they stand for, which only their own writing equals.

use num_traits::ToPrimitive;

use super::super::expression::{Expression, Relation, integer};
use super::super::lex::{self, Token};
use super::{ParseError, Parsed, Parser, arithmetic};

/// How many terms are written out.
const MAX_TERMS: i64 = 100;
/// How many parts all terms may have together.
const MAX_PARTS: usize = 1_000;

/// Where an operator begins and ends.
#[derive(Default)]
struct Bounds {
    below: Option<Expression>,
    above: Option<Expression>,
    written: String,
}

impl Parser {
    /// After `\sum` and its kin: the bounds, and the product behind them.
    pub(super) fn operator(&mut self, name: &str) -> Parsed {
        let bounds = self.bounds()?;
        let body = self.deeper(Self::product)?;
        if !body.is_scalar() {
            return Err(ParseError::Unexpected(format!("`\\{name}` of no number")));
        }
        if let Some(terms) = written_out(name, &bounds, &body) {
            self.copy(terms.iter().map(Expression::size).sum())?;
            return if name == "sum" {
                arithmetic::total(terms)
            } else {
                arithmetic::product(terms)
            };
        }
        let name = format!("\\{name}{}", bounds.written);
        Ok(Expression::Apply(name, vec![body]))
    }

    fn bounds(&mut self) -> Result<Bounds, ParseError> {
        let mut bounds = Bounds::default();
        for _ in 0..2 {
            let start = self.after_space(self.at);
            let below = match self.tokens.get(start) {
                Some(Token::Sign('_')) => true,
                Some(Token::Sign('^')) => false,
                _ => break,
            };
            self.at = start + 1;
            // The text names what is not written out, so what has no meaning here is no error.
            let value = self.deeper(Self::primary).ok();
            self.at = self.group_end(start + 1);
            let mut written = self.tokens.get(start..self.at).unwrap_or_default().to_vec();
            written.retain(|token| !matches!(token, Token::Space | Token::Sign('{' | '}')));
            bounds.written.push_str(&lex::normal_text(&written));
            if below {
                bounds.below = value;
            } else {
                bounds.above = value;
            }
        }
        Ok(bounds)
    }

    /// Where the group or the token at `at` ends.
    fn group_end(&self, at: usize) -> usize {
        let start = self.after_space(at);
        let mut open = 0usize;
        for (place, token) in self.tokens.iter().enumerate().skip(start) {
            match token {
                Token::Sign('{') => open += 1,
                Token::Sign('}') => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                return place + 1;
            }
        }
        self.tokens.len()
    }
}

/// The terms of a sum from one whole number to another.
fn written_out(name: &str, bounds: &Bounds, body: &Expression) -> Option<Vec<Expression>> {
    if !matches!(name, "sum" | "prod") {
        return None;
    }
    let Some(Expression::Chain(sides, signs)) = &bounds.below else {
        return None;
    };
    let ([Expression::Symbol(variable), from], [Relation::Equal]) =
        (sides.as_slice(), signs.as_slice())
    else {
        return None;
    };
    let whole = |value: &Expression| {
        let number = value.as_number().filter(|number| number.is_integer())?;
        number.to_integer().to_i64()
    };
    let (from, to) = (whole(from)?, whole(bounds.above.as_ref()?)?);
    let count = to.checked_sub(from)?.checked_add(1)?;
    let size = usize::try_from(count).ok()?.saturating_mul(body.size());
    if !(1..=MAX_TERMS).contains(&count) || size > MAX_PARTS {
        return None;
    }
    let term = |number: i64| {
        body.replaced(&|part| {
            matches!(part, Expression::Symbol(name) if name == variable).then(|| integer(number))
        })
    };
    Some((from..=to).map(term).collect())
}
