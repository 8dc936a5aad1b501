//! What stands before `=` to say what the value is of: `Area`, `W(x)`, `P(A | B)`.

use super::super::expression::Expression;
use super::super::lex::{self, Token};
use super::atom::symbol;
use super::words::is_stop_word;
use super::{ParseError, Parser};

impl Parser {
    /// Names between brackets: `(x, y)`. None where something else stands here.
    pub(super) fn variables(&mut self) -> Result<Option<Vec<String>>, ParseError> {
        let mut names = Vec::new();
        if !self.take_sign('(') {
            return Ok(None);
        }
        loop {
            let Some(Token::Letter(letter)) = self.next().cloned() else {
                return Ok(None);
            };
            self.at += 1;
            names.push(self.name(letter)?);
            if self.take_sign(')') {
                return Ok(Some(names));
            }
            if !self.take_sign(',') {
                return Ok(None);
            }
        }
    }

    /// `P(X = 1)`, `P(A | B)` before `=`: a probability, named by its event. None where something else stands here.
    pub(super) fn probability(&mut self) -> Option<Expression> {
        let start = self.after_space(self.at);
        let named = matches!(self.tokens.get(start), Some(Token::Letter(name)) if name == "P");
        let open = self.after_space(start + 1);
        if !named || self.tokens.get(open) != Some(&Token::Sign('(')) {
            return None;
        }
        let mut depth = 0usize;
        let close = (open..self.tokens.len()).find(|&at| {
            match self.tokens.get(at) {
                Some(Token::Sign('(')) => depth += 1,
                Some(Token::Sign(')')) => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let after = self.after_space(close + 1);
        if self.tokens.get(after) != Some(&Token::Sign('=')) {
            return None;
        }
        let mut name = self.tokens.get(start..=close)?.to_vec();
        name.retain(|token| *token != Token::Space);
        self.at = close + 1;
        Some(Expression::Symbol(lex::normal_text(&name)))
    }

    /// `W(x)` before `=`: a function that is being defined. None where something else stands here.
    pub(super) fn definition(&mut self) -> Result<Option<Expression>, ParseError> {
        let start = self.after_space(self.at);
        let Some(Token::Letter(letter)) = self.tokens.get(start).cloned() else {
            return Ok(None);
        };
        let before = std::mem::replace(&mut self.at, start + 1);
        let found = self.name(letter).and_then(|name| {
            let Some(names) = self.variables()? else {
                return Ok(None);
            };
            let variables = names.into_iter().map(symbol).collect();
            let defined = self.next() == Some(&Token::Sign('=')) || self.is_command("approx");
            Ok(defined.then_some(Expression::Apply(name, variables)))
        });
        if !matches!(found, Ok(Some(_))) {
            self.at = before;
        }
        Ok(found.unwrap_or(None))
    }

    /// Words before `=`: `Area = 5`. None where something else stands here.
    pub(super) fn label(&mut self) -> Option<Expression> {
        let mut at = self.after_space(self.at);
        let mut words: Vec<String> = Vec::new();
        while let Some(Token::Word(word)) = self.tokens.get(at) {
            if is_stop_word(word) {
                return None;
            }
            words.push(word.to_lowercase());
            at = self.after_space(at + 1);
        }
        let long = words.iter().any(|word| word.chars().count() > 3);
        if !long || words.len() > 4 || self.tokens.get(at) != Some(&Token::Sign('=')) {
            return None;
        }
        self.at = at;
        Some(Expression::Text(words.join(" ")))
    }
}
