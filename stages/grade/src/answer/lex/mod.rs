//! From characters to tokens: LaTeX and plain text end in the same alphabet.
//!
//! What only concerns looks (`\left`, `\displaystyle`, spacing, dollar signs of maths mode) is gone
//! afterwards, so the token list doubles as the normalised text of an answer.

use super::parse::ParseError;

mod command;
mod names;
mod number;
#[cfg(test)]
mod tests;

pub(super) use names::FUNCTIONS;
use names::{greek, plain_name, split_word};

/// The longest answer that is read, in bytes. A longer one is no answer but an essay.
pub(super) const MAX_BYTES: usize = 4096;

/// How a comma between digits is read when it could be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commas {
    /// `1,234` is one number where the groups allow it.
    Thousands,
    /// `1,234` is two numbers.
    List,
    /// `1,5` is one and a half, and `1.234,5` has a thousands separator.
    Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits, perhaps with a decimal point and an exponent; separators are gone.
    Number(String),
    /// One letter, Latin or Greek (Greek by its LaTeX name), or a number set such as `ℝ`.
    Letter(String),
    /// Several letters that no rule takes apart.
    Word(String),
    /// The contents of `\text{…}` and its kin.
    Text(String),
    /// A LaTeX command that means something, or a plain word of the same meaning (`sqrt`, `pi`).
    Command(String),
    /// A sign.
    Sign(char),
    /// White space, kept until the words are joined and mixed numbers are seen.
    Space,
}

/// The tokens of an answer without looks and white space at the ends.
pub(super) fn tokens(text: &str, commas: Commas) -> Result<Vec<Token>, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::TooLong);
    }
    let mut lexer = Lexer {
        chars: undoubled(text).unwrap_or_else(|| text.chars().collect()),
        at: 0,
        commas,
        tokens: Vec::new(),
        brackets: 0,
        texts: 0,
    };
    lexer.run();
    Ok(trimmed(lexer.tokens))
}

/// The characters of a text that was escaped twice (`\\frac`), with single backslashes.
///
/// A matrix has doubled backslashes of its own, before a letter too: there the environment itself must be doubled.
fn undoubled(text: &str) -> Option<Vec<char>> {
    let doubled = |text: &str| {
        text.match_indices(r"\\").any(|(at, mark)| {
            text[at + mark.len()..].starts_with(|c: char| c.is_ascii_alphabetic())
        })
    };
    let escaped = if text.contains(r"\begin") {
        text.contains(r"\\begin")
    } else {
        doubled(text)
    };
    escaped.then(|| text.replace(r"\\", r"\").chars().collect())
}

/// The tokens as text in one canonical writing: the first rung of the ladder compares these.
pub(super) fn normal_text(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Number(word) | Token::Letter(word) | Token::Text(word) | Token::Word(word) => {
                text.push_str(word);
            }
            Token::Command(name) => {
                text.push('\\');
                text.push_str(name);
                text.push(' ');
            }
            Token::Sign(sign) => text.push(*sign),
            Token::Space => text.push(' '),
        }
    }
    text
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    commas: Commas,
    tokens: Vec<Token>,
    /// How many brackets that separate values are open.
    brackets: usize,
    /// How many `\text{…}` are being read as mathematics.
    texts: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.command(),
                '0'..='9' => self.number(),
                '.' if self.peek(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
                c if c.is_whitespace() || c == '~' || c == '\u{200b}' => {
                    self.at += 1;
                    self.push(Token::Space);
                }
                '$' | '\u{feff}' => self.at += 1,
                '*' if self.peek(1) == Some('*') && !self.power_stars() => self.at += 2,
                '*' if self.peek(1) == Some('*') => {
                    self.at += 2;
                    self.push(Token::Sign('^'));
                }
                '.' if self.peek(1) == Some('.') && self.peek(2) == Some('.') => {
                    self.at += 3;
                    self.name("dots");
                }
                c if c.is_alphabetic() => self.word(),
                c => {
                    self.at += 1;
                    self.sign(c);
                }
            }
        }
    }

    /// `2**3` is a power; `**3**` is bold.
    fn power_stars(&self) -> bool {
        matches!(
            before(&self.tokens),
            Some(Token::Number(_) | Token::Letter(_) | Token::Sign(')' | '}'))
        ) && self
            .peek(2)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '(' | '-' | '{' | ' '))
    }

    fn push(&mut self, token: Token) {
        if token == Token::Space && matches!(self.tokens.last(), None | Some(Token::Space)) {
            return;
        }
        self.tokens.push(token);
    }

    fn sign(&mut self, c: char) {
        let sign = match c {
            '−' | '–' | '—' | '‐' | '‑' | '﹣' | '－' => '-',
            '×' | '·' | '⋅' | '∙' | '∗' | '•' => '*',
            '÷' | '⁄' | '∕' => '/',
            '（' => '(',
            '）' => ')',
            '，' | '、' => ',',
            '；' => ';',
            '：' | '∶' => ':',
            '＝' => '=',
            '＋' => '+',
            '％' => '%',
            '′' | '’' | '‘' => '\'',
            '∣' => '|',
            '＜' => '<',
            '＞' => '>',
            '≤' | '⩽' | '≦' => return self.name("le"),
            '≥' | '⩾' | '≧' => return self.name("ge"),
            '≠' => return self.name("ne"),
            '∈' => return self.name("in"),
            '∪' => return self.name("cup"),
            '∩' => return self.name("cap"),
            '∖' => return self.name("setminus"),
            '∞' => return self.name("infty"),
            '√' => return self.name("sqrt"),
            '∛' => return self.name("cbrt"),
            '±' => return self.name("pm"),
            '∓' => return self.name("mp"),
            '∅' | '⌀' => return self.name("emptyset"),
            '≈' | '≃' => return self.name("approx"),
            '≅' => return self.name("cong"),
            '∼' => return self.name("sim"),
            '≡' => return self.name("equiv"),
            '∧' => return self.name("land"),
            '∨' => return self.name("lor"),
            '…' => return self.name("dots"),
            'º' | '˚' => '°',
            '½' => return self.vulgar("1", "2"),
            '⅓' => return self.vulgar("1", "3"),
            '⅔' => return self.vulgar("2", "3"),
            '¼' => return self.vulgar("1", "4"),
            '¾' => return self.vulgar("3", "4"),
            '⅕' => return self.vulgar("1", "5"),
            '⅛' => return self.vulgar("1", "8"),
            other => match (superscript(other), subscript(other)) {
                (Some(_), _) => return self.raised('^', superscript),
                (_, Some(_)) => return self.raised('_', subscript),
                (None, None) => other,
            },
        };
        match sign {
            '(' | '[' => self.brackets += 1,
            ')' | ']' => self.brackets = self.brackets.saturating_sub(1),
            '<' | '>' | '!' if self.peek(0) == Some('=') => {
                self.at += 1;
                return self.name(match sign {
                    '<' => "le",
                    '>' => "ge",
                    _ => "ne",
                });
            }
            '=' if self.peek(0) == Some('=') => self.at += 1,
            '=' if self.peek(0) == Some('<') => {
                self.at += 1;
                return self.name("le");
            }
            _ => {}
        }
        self.push(Token::Sign(sign));
    }

    fn name(&mut self, name: &str) {
        self.push(Token::Command(name.to_owned()));
    }

    fn vulgar(&mut self, numerator: &str, denominator: &str) {
        self.name("frac");
        for part in [numerator, denominator] {
            self.push(Token::Sign('{'));
            self.push(Token::Number(part.to_owned()));
            self.push(Token::Sign('}'));
        }
    }

    /// A run of raised or lowered digits, the first of which was taken.
    fn raised(&mut self, sign: char, plain: fn(char) -> Option<char>) {
        self.at -= 1;
        let mut digits = String::new();
        while let Some(c) = self.peek(0).and_then(plain) {
            digits.push(c);
            self.at += 1;
        }
        self.push(Token::Sign(sign));
        self.push(Token::Sign('{'));
        if let Some(rest) = digits.strip_prefix('-') {
            self.push(Token::Sign('-'));
            digits = rest.to_owned();
        }
        self.push(match digits.as_str() {
            "n" => Token::Letter(digits),
            _ => Token::Number(digits),
        });
        self.push(Token::Sign('}'));
    }

    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|c| {
            let inside = matches!(c, '\'' | '’')
                && self.at > start + 1
                && self.peek(1).is_some_and(char::is_alphabetic);
            c.is_alphabetic() || inside
        }) {
            self.at += 1;
        }
        // `1orx`: a word that joins, glued to what it joins.
        let joined = matches!(
            self.tokens.last(),
            Some(Token::Number(_) | Token::Sign(')' | '}' | ']'))
        );
        for (word, length) in [("or", 2), ("and", 3)] {
            let rest = self.at - start;
            if joined
                && (length + 1..=length + 2).contains(&rest)
                && self.chars[start..start + length]
                    .iter()
                    .copied()
                    .eq(word.chars())
            {
                self.at = start + length;
            }
        }
        let word: String = self.chars[start..self.at].iter().collect();
        // `5 m²` is an area: letters of algebra are rarely raised so.
        let number = matches!(before(&self.tokens), Some(Token::Number(_)));
        if word == "m" && number && matches!(self.peek(0), Some('²' | '³')) {
            let raised = if self.peek(0) == Some('²') {
                "m^2"
            } else {
                "m^3"
            };
            self.at += 1;
            return self.push(Token::Text(raised.to_owned()));
        }
        // `(0, 1) U (2, 3)`
        if word == "U"
            && matches!(
                before(&self.tokens),
                Some(Token::Sign(')' | ']') | Token::Command(_))
            )
        {
            return self.name("cup");
        }
        self.push_word(&word);
    }

    fn push_word(&mut self, word: &str) {
        if let Some(command) = plain_name(word) {
            return self.name(command);
        }
        let mut letters = word.chars();
        if let (Some(c), None) = (letters.next(), letters.next()) {
            return self.letter(c);
        }
        // `2πr` and `αβ` are products.
        if word.chars().any(|c| c == 'π' || greek(c).is_some()) {
            for c in word.chars() {
                self.letter(c);
            }
            return;
        }
        match split_word(word) {
            Some((function, rest)) => {
                self.name(function);
                for c in rest.chars() {
                    self.letter(c);
                }
            }
            None => self.push(Token::Word(word.to_owned())),
        }
    }

    fn letter(&mut self, c: char) {
        let token = match c {
            'π' => Token::Command("pi".into()),
            c => Token::Letter(greek(c).map_or_else(|| c.to_string(), str::to_owned)),
        };
        self.push(token);
    }
}

/// The last token that is no space.
fn before(tokens: &[Token]) -> Option<&Token> {
    tokens.iter().rev().find(|token| **token != Token::Space)
}

fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴' => '4',
        '⁵' => '5',
        '⁶' => '6',
        '⁷' => '7',
        '⁸' => '8',
        '⁹' => '9',
        '⁻' => '-',
        'ⁿ' => 'n',
        _ => return None,
    })
}

fn subscript(c: char) -> Option<char> {
    let digit = u32::from(c)
        .checked_sub(u32::from('₀'))
        .filter(|n| *n < 10)?;
    char::from_digit(digit, 10)
}

/// Without white space and full stops at the ends.
fn trimmed(mut tokens: Vec<Token>) -> Vec<Token> {
    let loose = |token: &Token| {
        matches!(token, Token::Space | Token::Sign('.' | ',' | ';'))
            || matches!(token, Token::Command(name) if matches!(name.as_str(), "\\" | "quad"))
    };
    while tokens.last().is_some_and(loose) {
        tokens.pop();
    }
    let start = tokens
        .iter()
        .position(|token| !loose(token))
        .unwrap_or(tokens.len());
    tokens.drain(..start);
    tokens
}
