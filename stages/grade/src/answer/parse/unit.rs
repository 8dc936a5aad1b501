//! Units: the words, marks and money signs after a value. Known measures have a factor and bases, so that
//! `5 km` is `5000 m`; other words ("apples") are kept as written.

use num_rational::BigRational;
use num_traits::One;

use super::super::expression::Unit;
use super::super::lex::{self, Token};
use super::Parser;
use super::measures::{known, singular};
use super::words::is_stop_word;

/// How many words a unit may have.
const MAX_WORDS: usize = 4;
/// The largest exponent of a unit.
const MAX_EXPONENT: i32 = 9;

impl Unit {
    /// A known measure by its sign or name.
    pub(in super::super) fn known(word: &str) -> Option<Unit> {
        known(word)
    }

    /// `mod 7`: what a value is said to be counted by, in one writing.
    pub(in super::super) fn modulus(&self) -> Option<&str> {
        self.written.strip_prefix("mod ")
    }

    /// Whether two wordings may be of one thing: they share a word, or one of them only counts.
    pub(in super::super) fn is_like(&self, other: &Unit) -> bool {
        let words = |unit: &Unit| -> Vec<String> {
            unit.written
                .split([' ', '/'])
                .map(|word| {
                    word.trim_end_matches(|c: char| c.is_ascii_digit())
                        .to_lowercase()
                })
                .filter(|word| !word.is_empty())
                .collect()
        };
        let (left, right) = (words(self), words(other));
        let counts = |words: &[String]| {
            words.iter().all(|word| {
                matches!(
                    word.as_str(),
                    "unit"
                        | "way"
                        | "time"
                        | "number"
                        | "total"
                        | "different"
                        | "possible"
                        | "solution"
                        | "th"
                        | "st"
                        | "nd"
                        | "rd"
                )
            })
        };
        counts(&left) || counts(&right) || left.iter().any(|word| right.contains(word))
    }

    /// Whether this is exactly one of `base`.
    pub(in super::super) fn is(&self, base: &str) -> bool {
        self.factor.is_none() && self.bases.len() == 1 && self.bases.get(base) == Some(&1)
    }

    /// This times `other^exponent`.
    pub(super) fn times(mut self, other: &Unit, exponent: i32) -> Unit {
        if let Some(factor) = &other.factor {
            let mine = self
                .factor
                .take()
                .map_or_else(BigRational::one, |mine| *mine);
            let raised = num_traits::pow((**factor).clone(), exponent.unsigned_abs() as usize);
            let product = if exponent < 0 {
                mine / raised
            } else {
                mine * raised
            };
            self.factor = (!product.is_one()).then(|| Box::new(product));
        }
        for (base, power) in &other.bases {
            let sum = self.bases.get(base).copied().unwrap_or(0) + power * exponent;
            if sum == 0 {
                self.bases.remove(base);
            } else {
                self.bases.insert(base, sum);
            }
        }
        if !self.written.is_empty() && !other.written.is_empty() {
            self.written.push(if exponent < 0 { '/' } else { ' ' });
        }
        self.written.push_str(&other.written);
        if exponent.abs() != 1 {
            self.written.push_str(&exponent.abs().to_string());
        }
        self
    }
}

/// The unit of a money sign.
pub(super) fn currency(sign: char) -> Unit {
    known(&sign.to_string()).unwrap_or_default()
}

/// What was read of a unit so far.
#[derive(Default)]
struct Reading {
    unit: Unit,
    /// The last unit, which an exponent raises.
    last: Option<Unit>,
    /// The exponent of the last unit and of the next.
    exponent: i32,
    /// `square` and `cubic` raise what follows.
    raised: i32,
    divided: bool,
    words: usize,
}

impl Reading {
    fn flush(&mut self) {
        if let Some(last) = self.last.take() {
            self.unit = std::mem::take(&mut self.unit).times(&last, self.exponent);
        }
    }

    fn push(&mut self, unit: Unit) {
        // `degrees Celsius` is one unit.
        if self.last.as_ref().is_some_and(|last| last.is("°")) && (unit.is("°C") || unit.is("°F"))
        {
            self.last = Some(unit);
            return;
        }
        self.flush();
        let sign = if self.divided { -1 } else { 1 };
        self.exponent = sign * self.raised.max(1);
        self.raised = 0;
        self.divided = false;
        self.last = Some(unit);
        self.words += 1;
    }

    fn raise(&mut self, exponent: i32) {
        let raised = self.exponent * exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT);
        self.exponent = raised.clamp(-MAX_EXPONENT, MAX_EXPONENT);
    }

    fn begun(&self) -> bool {
        self.words > 0 || self.raised > 0
    }

    /// One word of a unit. False for a word of a sentence.
    fn word(&mut self, word: &str) -> bool {
        // `cm^2`, `m2`
        let (name, exponent) = match word.trim_end_matches('.').split_once('^') {
            Some((name, exponent)) => (name, exponent.parse::<i32>().ok()),
            None => (word.trim_end_matches('.'), None),
        };
        let name = name.trim_matches(['(', ')', '!', ',']);
        if name.is_empty() {
            return true;
        }
        let degrees = self.last.as_ref().is_some_and(|unit| unit.is("°"));
        match name.to_lowercase().as_str() {
            "c" | "f" if degrees => {
                self.push(known(&format!("°{}", name.to_uppercase())).unwrap_or_default());
            }
            "per" => self.divided = true,
            "square" | "sq" => self.raised = 2,
            "cubic" | "cu" => self.raised = 3,
            "squared" => self.raise(2),
            "cubed" => self.raise(3),
            // `an hour`, `of water` describe; other words of sentences do not.
            "a" | "an" if self.divided => {}
            "am" if !self.begun() => self.push(known("am").unwrap_or_default()),
            "in" if !self.begun() || self.raised > 0 || self.divided => {
                self.push(known("in").unwrap_or_default());
            }
            _ if is_stop_word(name) || is_verdict(name) => return false,
            _ => self.push(known(name).unwrap_or_else(|| Unit {
                written: singular(&name.to_lowercase()).to_owned(),
                ..Unit::default()
            })),
        }
        if let Some(exponent) = exponent {
            self.raise(exponent);
        }
        true
    }
}

impl Parser {
    /// A unit after a value, to its end. None where none stands here, or where the words are prose.
    pub(super) fn unit(&mut self) -> Option<Unit> {
        let mut reading = Reading::default();
        let mut end = self.at;
        let mut at = self.at;
        while let Some(token) = self.tokens.get(at) {
            let begun = reading.begun();
            match token {
                Token::Space => {
                    at += 1;
                    continue;
                }
                Token::Text(text) => {
                    for part in text
                        .replace('/', " per ")
                        .replace(['*', '·'], " ")
                        .split(' ')
                    {
                        if !reading.word(part) || reading.words > MAX_WORDS {
                            return None;
                        }
                    }
                }
                Token::Word(word)
                    if begun
                        || reading.divided
                        || is_unit_word(word) && self.is_apart(at, word) =>
                {
                    if !reading.word(word) {
                        break;
                    }
                }
                Token::Letter(letter) if begun || reading.divided => {
                    // A single letter goes on a unit only where it is one: `degrees F`, `m/s`.
                    if known(letter).is_none() {
                        break;
                    }
                    reading.word(letter);
                }
                Token::Sign('°') => reading.push(known("°").unwrap_or_default()),
                Token::Sign(sign @ ('€' | '£' | '¥')) => reading.push(currency(*sign)),
                Token::Command(name) if name == "$" => reading.push(currency('$')),
                Token::Command(name)
                    if matches!(name.as_str(), "min" | "sec") && self.ends_value(at + 1) =>
                {
                    reading.word(name);
                }
                // `^\circ`: the power belongs to the mark.
                Token::Sign('^') if self.degree_mark(at).is_some() => {
                    reading.push(known("°").unwrap_or_default());
                    at = self.degree_mark(at)?;
                    end = at;
                    continue;
                }
                Token::Sign('^') if begun => {
                    let Some((exponent, after)) = self.unit_exponent(at + 1) else {
                        break;
                    };
                    reading.raise(exponent);
                    at = after;
                    end = at;
                    continue;
                }
                Token::Sign('/') if begun && self.goes_on(at + 1) => reading.divided = true,
                Token::Sign('*') if begun && self.goes_on(at + 1) => {}
                Token::Command(name) if name == "mod" || name == "bmod" && self.congruence => {
                    // `9 \pmod{11}`: the modulus is said beside the answer.
                    let after = self.modulus(at + 1)?;
                    let mut modulus = self.tokens.get(at + 1..after)?.to_vec();
                    modulus.retain(|token| !matches!(token, Token::Space | Token::Sign('{' | '}')));
                    reading.push(Unit {
                        written: format!("mod {}", lex::normal_text(&modulus)),
                        ..Unit::default()
                    });
                    at = after;
                    end = at;
                    continue;
                }
                _ => break,
            }
            at += 1;
            end = at;
            if reading.words > MAX_WORDS {
                return None;
            }
        }
        if reading.words == 0 {
            return None;
        }
        reading.flush();
        self.at = end;
        Some(reading.unit)
    }

    /// Whether a word is no product of letters: `2mg` is, `2 mg` and `2cm` are not.
    fn is_apart(&self, at: usize, word: &str) -> bool {
        const GLUED: [&str; 20] = [
            "cm", "mm", "km", "kg", "ft", "lb", "lbs", "oz", "hr", "hrs", "mph", "kph", "mL", "ml",
            "Hz", "am", "pm", "in", "deg", "rad",
        ];
        let spaced = at > self.at
            || at.checked_sub(1).and_then(|at| self.tokens.get(at)) == Some(&Token::Space);
        word.chars().count() > 3 || spaced || is_ordinal(word) || GLUED.contains(&word)
    }

    /// Whether a value ends here.
    fn ends_value(&self, at: usize) -> bool {
        match self.tokens.get(self.after_space(at)) {
            None => true,
            Some(Token::Sign(sign)) => matches!(sign, ',' | ';' | ')' | ']' | '}' | '.' | '='),
            Some(Token::Command(name)) => {
                matches!(name.as_str(), "or" | "and" | "lor" | "land" | "}" | "quad")
            }
            Some(_) => false,
        }
    }

    /// Whether another unit follows `/` or `·`.
    fn goes_on(&self, at: usize) -> bool {
        match self.tokens.get(self.after_space(at)) {
            Some(Token::Text(_)) => true,
            Some(Token::Word(word)) => is_unit_word(word),
            Some(Token::Letter(letter)) => known(letter).is_some(),
            _ => false,
        }
    }

    fn unit_exponent(&self, at: usize) -> Option<(i32, usize)> {
        let number = |token: Option<&Token>| match token {
            Some(Token::Number(digits)) => digits.parse::<i32>().ok(),
            _ => None,
        };
        let at = self.after_space(at);
        let (braced, mut at) = match self.tokens.get(at)? {
            Token::Sign('{') => (true, self.after_space(at + 1)),
            _ => (false, at),
        };
        let negative = self.tokens.get(at) == Some(&Token::Sign('-'));
        at += usize::from(negative);
        let value = number(self.tokens.get(at))?;
        at += 1;
        if braced {
            at = self.after_space(at);
            if self.tokens.get(at) != Some(&Token::Sign('}')) {
                return None;
            }
            at += 1;
        }
        Some((if negative { -value } else { value }, at))
    }

    /// Where the number after `\pmod` ends.
    fn modulus(&self, at: usize) -> Option<usize> {
        let mut at = self.after_space(at);
        let braced = self.tokens.get(at) == Some(&Token::Sign('{'));
        at += usize::from(braced);
        while matches!(
            self.tokens.get(at),
            Some(Token::Number(_) | Token::Letter(_))
        ) {
            at += 1;
        }
        if braced && self.tokens.get(at) != Some(&Token::Sign('}')) {
            return None;
        }
        Some(at + usize::from(braced))
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
    let count = word.chars().count();
    !is_stop_word(word) && count > 3 || count > 1 && known(word).is_some() || is_ordinal(word)
}

/// Words that bound a value, judge it or compute with it: what they stand behind is more than a value with a unit.
fn is_verdict(word: &str) -> bool {
    matches!(
        word.to_lowercase().as_str(),
        "more"
            | "less"
            | "fewer"
            | "greater"
            | "larger"
            | "smaller"
            | "minimum"
            | "maximum"
            | "least"
            | "most"
            | "or"
            | "and"
            | "wrong"
            | "incorrect"
            | "false"
            | "true"
            | "impossible"
            | "factorial"
            | "plus"
            | "minus"
            | "gross"
            | "score"
            | "below"
            | "divided"
            | "choose"
    )
}

fn is_ordinal(word: &str) -> bool {
    matches!(word, "th" | "st" | "nd" | "rd")
}
