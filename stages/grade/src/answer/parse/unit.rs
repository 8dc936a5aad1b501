//! Units: the words, marks and money signs after a value.

use super::super::lex::Token;
use super::Parser;

impl Parser {
    /// A unit after a value: words to the end of the value.
    pub(super) fn unit(&mut self) -> Option<String> {
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
    pub(super) fn degree_mark(&self, at: usize) -> Option<usize> {
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
}

/// Words that are units even after a variable, so that `4xy` stays a product.
pub(super) fn is_unit_word(word: &str) -> bool {
    const SHORT: [&str; 23] = [
        "cm", "mm", "km", "kg", "mg", "ft", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph",
        "kph", "mL", "ml", "Hz", "am", "pm", "in", "deg", "rad",
    ];
    word.chars().count() > 3 || SHORT.contains(&word)
}
