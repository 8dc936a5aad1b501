//! Reading an answer: recursive descent over tokens, with a bound on depth and size.
//!
//! From loosest to tightest: lists, relations, ratios, unions, sums, products (with or without a sign),
//! powers, postfix marks. What cannot be read is an error, never a guess at something shorter.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

use super::expression::{Constant, Expression, Function, Relation};
use super::lex::{self, Commas, Token};

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

    /// A unit after a value: words to the end of the value.
    fn unit(&mut self) -> Option<String> {
        let mut at = self.at;
        let mut unit = String::new();
        loop {
            match self.tokens.get(at) {
                Some(Token::Space) => unit.push(' '),
                Some(Token::Text(text))
                    if !matches!(text.to_lowercase().as_str(), "or" | "and") =>
                {
                    unit.push_str(text)
                }
                Some(Token::Word(word)) if !unit.trim().is_empty() || is_unit_word(word) => {
                    unit.push_str(word)
                }
                Some(Token::Sign('°')) => unit.push('°'),
                Some(Token::Sign('€' | '£' | '¥')) => unit.push('€'),
                Some(Token::Command(name)) if name == "$" => unit.push('$'),
                // Inside a unit: `m/s`, `cm^2`, `degree C`.
                Some(Token::Letter(letter)) if !unit.trim().is_empty() => unit.push_str(letter),
                Some(Token::Sign(sign @ ('^' | '/' | '{' | '}' | '*')))
                    if !unit.trim().is_empty() =>
                {
                    if !matches!(sign, '{' | '}') {
                        unit.push(*sign);
                    }
                }
                Some(Token::Number(number))
                    if unit.ends_with('^') && matches!(number.as_str(), "2" | "3" | "1") =>
                {
                    unit.push_str(number);
                }
                // `^\circ`: the power belongs to the mark.
                Some(Token::Sign('^')) if self.degree_mark(at).is_some() => {
                    at = self.degree_mark(at)?;
                    unit.push('°');
                    continue;
                }
                _ => break,
            }
            at += 1;
        }
        let unit = unit.trim().to_lowercase();
        if unit.is_empty() || unit.ends_with('}') {
            return None;
        }
        // A closing brace that belongs to the value around stays there.
        let mut open = 0i32;
        for (place, token) in self.tokens[self.at..at].iter().enumerate() {
            match token {
                Token::Sign('{') => open += 1,
                Token::Sign('}') => open -= 1,
                _ => {}
            }
            if open < 0 {
                at = self.at + place;
                break;
            }
        }
        self.at = at;
        Some(unit)
    }

    /// Where `^\circ` or `^{\circ}` ends.
    fn degree_mark(&self, at: usize) -> Option<usize> {
        match (
            self.tokens.get(at + 1)?,
            self.tokens.get(at + 2),
            self.tokens.get(at + 3),
        ) {
            (Token::Sign('°'), _, _) => Some(at + 2),
            (Token::Sign('{'), Some(Token::Sign('°')), Some(Token::Sign('}'))) => Some(at + 4),
            _ => None,
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

    fn after_number(&mut self, digits: &str) -> Parsed {
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
    fn mixed_part(&mut self) -> Option<BigRational> {
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
    fn repeating(&mut self, digits: &str) -> Parsed {
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

    fn after_letter(&mut self, mut name: String) -> Parsed {
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

    fn after_command(&mut self, name: &str) -> Parsed {
        match name {
            "frac" => {
                let above = self.digit_argument()?;
                let below = self.digit_argument()?;
                if !above.is_scalar() || !below.is_scalar() {
                    return Err(unexpected(self.peek()));
                }
                Ok(Expression::Product(vec![above, inverse(below)]))
            }
            "sqrt" => {
                let degree = if self.take_sign('[') {
                    let degree = self.deeper(Self::sum)?;
                    self.expect_sign(']')?;
                    degree
                } else {
                    integer(2)
                };
                self.root(degree)
            }
            "cbrt" => self.root(integer(3)),
            "pi" => Ok(Expression::Constant(Constant::Pi)),
            "infty" => Ok(Expression::Constant(Constant::Infinity)),
            "binom" => {
                let n = self.digit_argument()?;
                let k = self.digit_argument()?;
                Ok(Expression::Call(Function::Binomial, vec![n, k]))
            }
            "exp" => {
                let argument = self.function_argument()?;
                Ok(Expression::Power(
                    Box::new(Expression::Constant(Constant::E)),
                    Box::new(argument),
                ))
            }
            "abs" | "floor" | "ceil" => {
                let argument = self.function_argument()?;
                let function = match name {
                    "abs" => Function::Abs,
                    "floor" => Function::Floor,
                    _ => Function::Ceil,
                };
                Ok(Expression::Call(function, vec![argument]))
            }
            "lfloor" | "lceil" => {
                let inner = self.deeper(Self::sum)?;
                let (function, close) = if name == "lfloor" {
                    (Function::Floor, "rfloor")
                } else {
                    (Function::Ceil, "rceil")
                };
                if !self.take_command(close) {
                    return Err(unexpected(self.peek()));
                }
                Ok(Expression::Call(function, vec![inner]))
            }
            "{" => {
                if self.take_command("}") {
                    return Ok(Expression::Set(Vec::new()));
                }
                let inner = self.deeper(Self::items)?;
                if !self.take_command("}") {
                    return Err(unexpected(self.peek()));
                }
                Ok(Expression::Set(inner))
            }
            "emptyset" => Ok(Expression::Set(Vec::new())),
            "$" => self.deeper(Self::power),
            "begin" => self.matrix(),
            "mathbb" => {
                let inner = self.deeper(Self::primary)?;
                match inner {
                    Expression::Symbol(name) => Ok(Expression::Symbol(format!("mathbb {name}"))),
                    _ => Err(unexpected(self.peek())),
                }
            }
            _ => match function(name) {
                Some(function) => self.call(function),
                None => Err(unexpected(Some(&Token::Command(name.to_owned())))),
            },
        }
    }

    fn root(&mut self, degree: Expression) -> Parsed {
        let radicand = self.digit_argument_whole()?;
        if !radicand.is_scalar() || !degree.is_scalar() {
            return Err(unexpected(self.peek()));
        }
        Ok(Expression::Power(
            Box::new(radicand),
            Box::new(inverse(degree)),
        ))
    }

    /// The radicand of `\sqrt`: `\sqrt{12}`, `sqrt(12)`, `√12`.
    fn digit_argument_whole(&mut self) -> Parsed {
        self.deeper(Self::primary)
    }

    fn call(&mut self, mut function: Function) -> Parsed {
        let mut base = None;
        if self.next() == Some(&Token::Sign('_')) {
            self.at += 1;
            base = Some(self.deeper(Self::digit_argument_whole)?);
        }
        let mut exponent = None;
        if self.next() == Some(&Token::Sign('^')) {
            self.at += 1;
            let power = self.deeper(Self::argument)?;
            if power == integer(-1) && inverse_function(function).is_some() {
                function = inverse_function(function).unwrap_or(function);
            } else {
                exponent = Some(power);
            }
        }
        let argument = self.function_argument()?;
        let call = match (function, base) {
            (Function::Log, Some(base)) => Expression::Call(Function::Log, vec![base, argument]),
            (Function::Log, None) => Expression::Call(Function::Log, vec![integer(10), argument]),
            (_, Some(_)) => return Err(unexpected(self.peek())),
            (function, None) => Expression::Call(function, vec![argument]),
        };
        Ok(match exponent {
            Some(exponent) => Expression::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// What a function without brackets takes: the factors up to the next sign or function.
    fn function_argument(&mut self) -> Parsed {
        self.deeper(|parser| {
            if matches!(parser.next(), Some(Token::Sign('(' | '{'))) {
                return parser.primary().and_then(|inner| {
                    if inner.is_scalar() {
                        Ok(inner)
                    } else if let Expression::Quantity(value, _) = inner {
                        Ok(*value)
                    } else {
                        Err(unexpected(parser.peek()))
                    }
                });
            }
            let mut factors = vec![parser.power()?];
            while parser.begins_factor(factors.last())
                && !matches!(parser.peek(), Some(Token::Command(name)) if function(name).is_some())
                && !matches!(parser.peek(), Some(Token::Sign('(')))
            {
                factors.push(parser.power()?);
            }
            // Degrees turn into radians where a function takes them.
            if let Some(unit) = parser.unit() {
                if unit != "°" {
                    return Err(unexpected(parser.peek()));
                }
                factors.push(Expression::Constant(Constant::Pi));
                factors.push(inverse(integer(180)));
            }
            if !factors.iter().all(Expression::is_scalar) {
                return Err(unexpected(parser.peek()));
            }
            Ok(product(factors))
        })
    }

    fn matrix(&mut self) -> Parsed {
        self.expect_sign('{')?;
        let kind = match self.next() {
            Some(Token::Word(kind)) => kind.clone(),
            other => return Err(unexpected(other)),
        };
        self.at += 1;
        self.expect_sign('}')?;
        if !matches!(
            kind.as_str(),
            "pmatrix" | "bmatrix" | "matrix" | "vmatrix" | "array" | "smallmatrix" | "Bmatrix"
        ) {
            return Err(ParseError::Unexpected(format!("`{kind}`")));
        }
        if kind == "array" && self.take_sign('{') {
            while !matches!(self.next(), Some(Token::Sign('}')) | None) {
                self.at += 1;
            }
            self.expect_sign('}')?;
        }
        let mut rows: Vec<Vec<Expression>> = Vec::new();
        let mut row = Vec::new();
        loop {
            if self.take_command("end") {
                break;
            }
            row.push(self.deeper(Self::chain)?);
            if self.take_sign('&') {
                continue;
            }
            let ended = self.take_command("end");
            if !ended && !self.take_command("\\") {
                return Err(unexpected(self.peek()));
            }
            rows.push(std::mem::take(&mut row));
            if ended {
                break;
            }
        }
        self.expect_sign('{')?;
        self.at += 1;
        self.expect_sign('}')?;
        if rows.is_empty() || !row.is_empty() || rows.iter().any(|row| row.len() != rows[0].len()) {
            return Err(ParseError::Unexpected(
                "rows of different lengths".to_owned(),
            ));
        }
        Ok(Expression::Matrix(rows))
    }
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Log,
        _ => return None,
    })
}

fn inverse_function(function: Function) -> Option<Function> {
    match function {
        Function::Sin => Some(Function::Arcsin),
        Function::Cos => Some(Function::Arccos),
        Function::Tan => Some(Function::Arctan),
        _ => None,
    }
}

/// Words that are units even after a variable, so that `4xy` stays a product.
fn is_unit_word(word: &str) -> bool {
    const SHORT: [&str; 23] = [
        "cm", "mm", "km", "kg", "mg", "ft", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph",
        "kph", "mL", "ml", "Hz", "am", "pm", "in", "deg", "rad",
    ];
    word.chars().count() > 3 || SHORT.contains(&word)
}

fn symbol(name: String) -> Expression {
    match name.as_str() {
        "e" => Expression::Constant(Constant::E),
        "i" => Expression::Constant(Constant::I),
        _ => Expression::Symbol(name),
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

/// A numeral with perhaps a point and an exponent, exactly.
fn number(digits: &str) -> Parsed {
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
