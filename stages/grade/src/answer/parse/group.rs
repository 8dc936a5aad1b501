//! What stands alone or between brackets: the atoms of an answer.

use super::super::expression::{Expression, Function};
use super::super::lex::Token;
use super::atom::{number, symbol};
use super::command::{function, is_call};
use super::words::is_stop_word;
use super::{ParseError, Parsed, Parser, arithmetic, unexpected};

impl Parser {
    pub(super) fn primary(&mut self) -> Parsed {
        while self.take_command("quad") {}
        let Some(token) = self.next().cloned() else {
            return Err(unexpected(None));
        };
        self.at += 1;
        match token {
            Token::Number(digits) => self.after_number(&digits),
            Token::Letter(letter) => self.after_letter(letter),
            Token::Word(word) => self.after_word(word),
            Token::Text(text) => self.after_text(&text),
            Token::Sign(sign) => self.after_sign(sign),
            Token::Command(name) => self.after_command(&name),
            Token::Space => Err(unexpected(None)),
        }
    }

    /// Up to three letters, or up to five capitals (points), are a product; a longer word is no mathematics.
    fn after_word(&mut self, word: String) -> Parsed {
        let count = word.chars().count();
        let points = count <= 5 && word.chars().all(|c| c.is_ascii_uppercase());
        let letters = count <= 3 && word.is_ascii() && !is_stop_word(&word);
        if !points && !letters {
            return Err(unexpected(Some(&Token::Word(word))));
        }
        // Three capitals and more that stand alone are an order or a figure: `HTH` is not `HHT`.
        if count >= 3 && word.chars().all(|c| c.is_ascii_uppercase()) && self.stands_alone() {
            return Ok(Expression::Symbol(word));
        }
        let mut letters: Vec<char> = word.chars().collect();
        let last = letters.pop();
        let mut factors: Vec<Expression> =
            letters.into_iter().map(|c| symbol(c.to_string())).collect();
        // What follows belongs to the last letter: `xy_1`, `ab^2`.
        if let Some(last) = last {
            let last = symbol(self.name(last.to_string())?);
            factors.push(self.raised(last)?);
        }
        arithmetic::product(factors)
    }

    /// Whether the token just taken has no factor, sign or index beside it.
    fn stands_alone(&self) -> bool {
        let apart = |token: Option<&Token>| match token {
            None | Some(Token::Sign(',' | ';' | '=' | ':' | '(' | ')' | '{' | '}' | '[' | ']')) => {
                true
            }
            Some(Token::Command(name)) => {
                matches!(
                    name.as_str(),
                    "and" | "or" | "{" | "}" | "sim" | "cong" | "quad"
                )
            }
            Some(_) => false,
        };
        let before = self
            .tokens
            .get(..self.at.saturating_sub(1))
            .unwrap_or_default();
        let before = before.iter().rev().find(|token| **token != Token::Space);
        apart(before) && apart(self.tokens.get(self.after_space(self.at)))
    }

    /// `\text{C}` and `\text{(C)}` are letters; words are a name where nothing that could be a factor follows.
    fn after_text(&mut self, text: &str) -> Parsed {
        let inner = text.trim_matches(['(', ')', ' ', '.']);
        if inner.chars().count() == 1 {
            return self.after_letter(inner.to_owned());
        }
        let name = self.name(text.to_lowercase())?;
        match self.next() {
            None | Some(Token::Sign(',' | ';' | ')' | ']' | '}' | '=' | ':' | '<' | '>' | '&')) => {
                Ok(Expression::Symbol(name))
            }
            Some(Token::Command(name_after)) if !is_call(name_after) => {
                Ok(Expression::Symbol(name))
            }
            other => Err(unexpected(other)),
        }
    }

    fn after_sign(&mut self, sign: char) -> Parsed {
        match sign {
            '(' | '[' | '⟨' => self.group(sign),
            ']' if self.outward => self.group(sign),
            '{' => self.braces(),
            '|' => {
                self.bars += 1;
                let inner = self.deeper(Self::sum)?;
                self.bars -= 1;
                self.expect_sign('|')?;
                arithmetic::call(Function::Abs, vec![inner])
            }
            '€' | '£' | '¥' => {
                let value = self.deeper(Self::power)?;
                money(value, sign)
            }
            other => Err(unexpected(Some(&Token::Sign(other)))),
        }
    }

    /// LaTeX's group of one, or a set of several.
    fn braces(&mut self) -> Parsed {
        if self.take_sign('}') {
            return Ok(Expression::Set(Vec::new()));
        }
        let bars = std::mem::take(&mut self.bars);
        let (mut inner, _) = self.deeper(Self::items)?;
        self.bars = bars;
        if self.take_command("choose") {
            let below = self.deeper(Self::sum)?;
            self.expect_sign('}')?;
            return match (inner.pop(), inner.is_empty()) {
                (Some(above), true) => self.binomial(above, below),
                _ => Err(unexpected(self.peek())),
            };
        }
        self.expect_sign('}')?;
        Ok(if inner.len() == 1 {
            inner.remove(0)
        } else {
            Expression::Set(inner)
        })
    }

    /// After `\{`: a set, listed or described.
    pub(super) fn set(&mut self) -> Parsed {
        if self.take_command("}") {
            return Ok(Expression::Set(Vec::new()));
        }
        if let Some(builder) = self.builder()? {
            return Ok(builder);
        }
        let bars = std::mem::take(&mut self.bars);
        let (inner, _) = self.deeper(Self::items)?;
        self.bars = bars;
        if !self.take_command("}") {
            return Err(unexpected(self.peek()));
        }
        Ok(Expression::Set(inner))
    }

    /// `{ x | x > 3 }`, `{ x ∈ ℝ : x ≠ 0 }`.
    fn builder(&mut self) -> Result<Option<Expression>, ParseError> {
        let start = self.at;
        let name = match self.next().cloned() {
            Some(Token::Letter(letter)) => {
                self.at += 1;
                self.name(letter)?
            }
            // `{ (x, y) | … }`
            Some(Token::Sign('(')) => match self.variables()? {
                Some(names) => names.join(","),
                None => {
                    self.at = start;
                    return Ok(None);
                }
            },
            _ => return Ok(None),
        };
        let within = self.take_command("in").then(|| self.next().cloned());
        if let Some(Some(Token::Letter(_))) = within {
            self.at += 1;
        }
        if !self.take_sign('|') && !self.take_sign(':') {
            self.at = start;
            return Ok(None);
        }
        let (mut conditions, joints) = self.deeper(Self::items)?;
        if conditions.len() > 1
            && let either @ Expression::Either(_) = joints.join(conditions.clone())
        {
            conditions = vec![either];
        }
        if let Some(Some(Token::Letter(set))) = within
            && set != "ℝ"
        {
            let member = vec![symbol(name.clone()), symbol(set)];
            conditions.push(Expression::Chain(member, vec![super::Relation::In]));
        }
        if !self.take_command("}") {
            return Err(unexpected(self.peek()));
        }
        Ok(Some(Expression::Builder(name, conditions)))
    }

    fn group(&mut self, open: char) -> Parsed {
        let bars = std::mem::take(&mut self.bars);
        let (mut items, _) = self.deeper(Self::items)?;
        self.bars = bars;
        let Some(Token::Sign(close)) = self.next().cloned() else {
            return Err(unexpected(self.peek()));
        };
        self.at += 1;
        let (open, close) = match (open, close) {
            (']', '[') if self.outward => ('(', ')'),
            (']', ']') if self.outward => ('(', ']'),
            ('[' | '(', '[') if self.outward => (open, ')'),
            (_, ')' | ']' | '⟩') => (open, close),
            _ => return Err(unexpected(Some(&Token::Sign(close)))),
        };
        match (open, close) {
            ('(', ')') if items.len() == 1 => items.pop().ok_or(ParseError::Empty),
            // Square brackets around one value are brackets.
            ('[', ']') if matches!(items.as_slice(), [one] if one.is_scalar() || matches!(one, Expression::Matrix(_) | Expression::PlusMinus(..))) => {
                items.pop().ok_or(ParseError::Empty)
            }
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

    /// Whether a relation stands between these brackets: a condition on what was said before, and no factor.
    fn states(&self, open: usize) -> bool {
        let mut depth = 0usize;
        for token in self.tokens.iter().skip(open) {
            match token {
                Token::Sign('(' | '{') => depth += 1,
                Token::Sign(')' | '}') => depth = depth.saturating_sub(1),
                Token::Sign('=' | '<' | '>') if depth == 1 => return true,
                Token::Command(name)
                    if depth == 1 && matches!(name.as_str(), "le" | "ge" | "ne" | "in") =>
                {
                    return true;
                }
                _ => {}
            }
            if depth == 0 {
                return false;
            }
        }
        false
    }

    /// Whether a factor follows without a sign.
    pub(super) fn begins_factor(&mut self, before: Option<&Expression>) -> bool {
        let (bars, outward) = (self.bars, self.outward);
        match self.next() {
            None => false,
            Some(Token::Number(_)) => before.is_none_or(|b| b.as_number().is_none()),
            Some(Token::Letter(_)) => true,
            Some(Token::Word(word)) => !is_stop_word(word),
            Some(Token::Text(_) | Token::Space) => false,
            Some(Token::Sign(sign)) => match sign {
                '(' => !self.states(self.at),
                '{' => true,
                '[' => !outward && before.is_some_and(arithmetic::is_value),
                '|' => bars == 0,
                _ => false,
            },
            Some(Token::Command(name)) => {
                matches!(
                    name.as_str(),
                    "frac"
                        | "sqrt"
                        | "cbrt"
                        | "pi"
                        | "infty"
                        | "binom"
                        | "lfloor"
                        | "lceil"
                        | "begin"
                ) || function(name).is_some()
                    || is_call(name)
            }
        }
    }

    pub(super) fn power(&mut self) -> Parsed {
        let primary = self.primary()?;
        let base = self.indexed(primary)?;
        let base = self.marks(base)?;
        let power = self.raised(base)?;
        if matches!(power, Expression::Matrix(_)) {
            self.copy(power.size())?;
        }
        Ok(power)
    }

    /// The exponent after a base, if one stands here.
    fn raised(&mut self, base: Expression) -> Parsed {
        let at = self.after_space(self.at);
        if self.tokens.get(at) != Some(&Token::Sign('^')) || self.degree_mark(at).is_some() {
            return Ok(base);
        }
        self.at = at + 1;
        if self.ordinal() {
            return Ok(base);
        }
        let exponent = self.deeper(Self::argument)?;
        let power = arithmetic::power(base, exponent)?;
        let power = self.indexed(power)?;
        self.marks(power)
    }

    /// `5^{\text{th}}` counts; the ending is no exponent.
    fn ordinal(&mut self) -> bool {
        let ending = |token: Option<&Token>| {
            matches!(token, Some(Token::Text(word) | Token::Word(word))
                if matches!(word.trim(), "th" | "st" | "nd" | "rd"))
        };
        let at = self.after_space(self.at);
        let end = if ending(self.tokens.get(at)) {
            at + 1
        } else if self.tokens.get(at) == Some(&Token::Sign('{'))
            && ending(self.tokens.get(at + 1))
            && self.tokens.get(at + 2) == Some(&Token::Sign('}'))
        {
            at + 3
        } else {
            return false;
        };
        self.at = end;
        true
    }

    /// `!` and `%` after a value.
    fn marks(&mut self, mut value: Expression) -> Parsed {
        loop {
            let at = self.after_space(self.at);
            match self.tokens.get(at) {
                Some(Token::Sign('!')) if value.is_scalar() => {
                    let double = self.tokens.get(at + 1) == Some(&Token::Sign('!'));
                    self.at = at + 1 + usize::from(double);
                    value = if double {
                        arithmetic::double_factorial(value)
                    } else {
                        Expression::Call(Function::Factorial, vec![value])
                    };
                    self.depth += 1;
                    if self.depth > super::MAX_DEPTH {
                        return Err(ParseError::TooDeep);
                    }
                }
                Some(Token::Sign('%')) if arithmetic::is_value(&value) => {
                    self.at = at + 1;
                    value = Expression::Percent(Box::new(value));
                }
                Some(Token::Command(name)) if name == "percent" && arithmetic::is_value(&value) => {
                    self.at = at + 1;
                    value = Expression::Percent(Box::new(value));
                }
                _ => return Ok(value),
            }
        }
    }

    /// What stands after `^`, `_` or `\frac`: a group, or a single token.
    pub(super) fn argument(&mut self) -> Parsed {
        match self.next() {
            Some(Token::Sign('-')) => {
                self.at += 1;
                let inner = self.deeper(Self::argument)?;
                arithmetic::negated(inner)
            }
            Some(Token::Sign('+')) => {
                self.at += 1;
                self.deeper(Self::argument)
            }
            Some(_) => {
                // No index here: in `v^2_0` it belongs to what is raised.
                let base = self.primary()?;
                let at = self.after_space(self.at);
                if self.tokens.get(at) == Some(&Token::Sign('^')) && self.degree_mark(at).is_none()
                {
                    self.at = at + 1;
                    let exponent = self.deeper(Self::argument)?;
                    return arithmetic::power(base, exponent);
                }
                Ok(base)
            }
            None => Err(unexpected(None)),
        }
    }

    /// An argument of `\frac`, of which `\frac12` takes a digit each.
    pub(super) fn digit_argument(&mut self) -> Parsed {
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
}

/// A value with a money sign before it.
pub(super) fn money(value: Expression, sign: char) -> Parsed {
    if !arithmetic::is_value(&value) {
        return Err(unexpected(Some(&Token::Sign(sign))));
    }
    Ok(Expression::Quantity(
        Box::new(value),
        super::unit::currency(sign),
    ))
}
