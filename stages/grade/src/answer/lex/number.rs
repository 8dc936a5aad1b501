//! Numerals: separators of thousands, decimals, exponents, and decimals that go on for ever.

use super::{Commas, Lexer, Token};

impl Lexer {
    /// Digits with their separators, point and exponent.
    pub(super) fn number(&mut self) {
        let mut digits = self.digits();
        if (1..=3).contains(&digits.len()) {
            // Separators join groups of exactly three, after a first group of one to three.
            while let Some(skip) = self.separator() {
                let group = (0..4).take_while(|i| self.digit(skip + i)).count();
                if group != 3 {
                    break;
                }
                self.at += skip;
                digits.push_str(&self.digits());
            }
        }
        // `1,500` is fifteen hundred in every country; `0,500` is a half.
        let decimals = (1..).take_while(|&i| self.digit(i)).count();
        let grouped = decimals == 3 && (1..=3).contains(&digits.len()) && !digits.starts_with('0');
        let comma = self.commas == Commas::Decimal
            && self.brackets == 0
            && self.peek(0) == Some(',')
            && !grouped;
        if (self.peek(0) == Some('.') || comma) && self.digit(1) {
            self.at += 1;
            digits.push('.');
            digits.push_str(&self.digits());
        } else if self.peek(0) == Some('.') && self.begins_period() {
            self.at += 1;
            digits.push('.');
        } else if self.peek(0) == Some('.')
            && self
                .peek(1)
                .is_none_or(|c| c.is_whitespace() || matches!(c, '$' | ')' | '}'))
        {
            // The full stop of a sentence, or `4.`
            self.at += 1;
        }
        self.exponent(&mut digits);
        if let Some(period) = self.endless(&digits) {
            digits.truncate(digits.len() - period.len());
            self.push(Token::Number(digits));
            self.name("overline");
            self.push(Token::Sign('{'));
            self.push(Token::Number(period));
            return self.push(Token::Sign('}'));
        }
        self.push(Token::Number(digits));
    }

    /// Whether a repeating part stands after the point: `0.\overline{3}`, `0.(3)`.
    fn begins_period(&self) -> bool {
        let rest = self.chars.get(self.at + 1..).unwrap_or_default();
        ["\\overline", "\\dot", "\\bar", "("].iter().any(|mark| {
            let length = mark.chars().count();
            rest.len() > length
                && rest[..length].iter().copied().eq(mark.chars())
                && (*mark != "(" || rest[length].is_ascii_digit())
        })
    }

    /// The repeating part of `0.333…`, taken with its dots. A part must be seen twice, and three digits in all.
    fn endless(&mut self, digits: &str) -> Option<String> {
        let dots: Vec<char> = self.chars.iter().copied().skip(self.at).take(8).collect();
        let dots: String = dots.into_iter().collect();
        let length = ["...", "…", r"\ldots", r"\dots", r"\cdots"]
            .into_iter()
            .find(|mark| dots.starts_with(mark))?
            .chars()
            .count();
        let decimals = digits.split_once('.')?.1;
        if !decimals.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let size = (1..=decimals.len() / 2).find(|&size| {
            let (rest, last) = decimals.split_at(decimals.len() - size);
            rest.ends_with(last) && (size > 1 || rest.ends_with(&last.repeat(2)))
        })?;
        self.at += length;
        Some(decimals[decimals.len() - size..].to_owned())
    }

    fn digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|c| c.is_ascii_digit())
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// The length of a thousands separator that stands here, if any.
    fn separator(&self) -> Option<usize> {
        let spaces = |from: usize| {
            (from..from + 4)
                .take_while(|&i| self.peek(i) == Some(' '))
                .count()
        };
        // `{,}`, with spaces anywhere.
        let before = spaces(0);
        if self.peek(before) == Some('{') {
            let comma = before + 1 + spaces(before + 1);
            let close = comma + 1 + spaces(comma + 1);
            if self.peek(comma) == Some(',') && self.peek(close) == Some('}') {
                return Some(close + 1 + spaces(close + 1));
            }
        }
        match self.peek(0)? {
            ',' if self.peek(1) == Some('\\') && matches!(self.peek(2), Some('!' | ',')) => {
                Some(3 + spaces(3))
            }
            '\\' if matches!(self.peek(1), Some(',' | ';' | '!' | ' ')) => Some(2),
            // Between brackets a comma parts the members, of which none is written `000`.
            ',' if self.commas == Commas::Thousands
                && (self.brackets == 0 || self.peek(1) == Some('0')) =>
            {
                Some(1)
            }
            '.' if self.commas == Commas::Decimal && self.point_of_thousands() => Some(1),
            ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => Some(1),
            _ => None,
        }
    }

    /// Whether groups of three digits follow this point, and at last a decimal comma.
    fn point_of_thousands(&self) -> bool {
        let mut at = 0;
        while self.peek(at) == Some('.') && (1..=3).all(|i| self.digit(at + i)) {
            at += 4;
        }
        at > 0 && self.peek(at) == Some(',') && self.digit(at + 1)
    }

    /// `1.5e-3`, `1e3` and `2E5`; `2e` stays a product with Euler's number.
    fn exponent(&mut self, digits: &mut String) {
        if !matches!(self.peek(0), Some('e' | 'E')) {
            return;
        }
        let sign = usize::from(matches!(self.peek(1), Some('-' | '+')));
        let mut end = 1 + sign;
        while self.digit(end) {
            end += 1;
        }
        let whole = self.peek(end).is_none_or(|c| !c.is_alphanumeric());
        // `1e3` is a thousand; digits times e times digits is not written so.
        if end > 1 + sign && whole {
            digits.push('e');
            digits.extend((1..end).filter_map(|i| self.peek(i)));
            self.at += end;
        }
    }
}
