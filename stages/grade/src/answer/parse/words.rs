//! Answers in words: names, choices, dates. And the words that tell prose from an answer.

use num_rational::BigRational;

use super::super::expression::Expression;
use super::super::lex::Token;
use super::{ParseError, unexpected};

/// How many words an answer may have; more are prose.
const MAX_WORDS: usize = 10;

/// Words that stand in sentences, not in answers: a text with one of them beside mathematics is prose.
const STOP_WORDS: [&str; 97] = [
    "a",
    "about",
    "after",
    "all",
    "also",
    "am",
    "an",
    "answer",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "but",
    "by",
    "can",
    "correct",
    "could",
    "do",
    "does",
    "each",
    "equals",
    "every",
    "final",
    "find",
    "for",
    "from",
    "get",
    "gives",
    "had",
    "has",
    "have",
    "he",
    "hence",
    "her",
    "his",
    "hope",
    "how",
    "if",
    "in",
    "is",
    "it",
    "its",
    "let",
    "may",
    "must",
    "my",
    "no",
    "not",
    "of",
    "on",
    "one",
    "our",
    "result",
    "she",
    "since",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "thus",
    "to",
    "up",
    "us",
    "value",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "would",
    "yes",
    "you",
    "your",
    "solution",
    "note",
    "into",
];

pub(super) fn is_stop_word(word: &str) -> bool {
    word.len() > 1 && STOP_WORDS.contains(&word.to_lowercase().as_str())
}

/// The answer that is nothing but words, if it is one. Too many words are an error.
pub(super) fn words(tokens: &[Token]) -> Result<Option<Expression>, ParseError> {
    let only_words = tokens.iter().all(|token| match token {
        Token::Word(_) | Token::Text(_) | Token::Letter(_) | Token::Space => true,
        Token::Sign(sign) => matches!(
            sign,
            '-' | '.'
                | ','
                | '\''
                | '"'
                | ':'
                | '?'
                | '!'
                | '('
                | ')'
                | '“'
                | '”'
                | ';'
                | '/'
                | '*'
        ),
        Token::Command(name) => {
            matches!(name.as_str(), "or" | "and" | "min" | "max" | "sec" | "in")
        }
        Token::Number(_) => false,
    });
    let spoken = tokens.iter().any(|token| match token {
        Token::Text(text) => text.chars().filter(|c| c.is_alphabetic()).count() > 1,
        Token::Word(word) => is_spoken(word),
        Token::Letter(_) | Token::Space | Token::Sign(_) | Token::Command(_) | Token::Number(_) => {
            false
        }
    });
    // A variable with its unit: `x\text{ cm}`.
    let measured = matches!(tokens.first(), Some(Token::Letter(_)))
        && matches!(tokens.get(1), Some(Token::Text(_)))
        && !tokens.iter().any(|token| matches!(token, Token::Word(_)));
    // `a, -b` has letters only: it is mathematics. So is `\text{(C)}`, whose inside is read again.
    if !only_words || !spoken || measured {
        return Ok(None);
    }
    let text = plain(tokens);
    let count = text.split(' ').count();
    if count > MAX_WORDS {
        return Err(unexpected(
            tokens.iter().find(|t| matches!(t, Token::Word(_))),
        ));
    }
    Ok(Some(meaning(&text).unwrap_or(Expression::Text(text))))
}

/// Whether a word is one, and no product of letters.
fn is_spoken(word: &str) -> bool {
    let count = word.chars().count();
    let points = count <= 5 && word.chars().all(|c| c.is_ascii_uppercase());
    let lower = word.to_lowercase();
    let variables = match count {
        0..=2 => !is_stop_word(word) && !matches!(lower.as_str(), "or" | "ok" | "hi"),
        // `abc`, `xyz`; `cat`, `odd` are words.
        3 => lower.chars().all(|c| "abcxyzkmnpqr".contains(c)),
        _ => false,
    };
    !points && !variables
}

/// The words without marks, in one spacing.
fn plain(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Word(word) | Token::Letter(word) | Token::Command(word) => text.push_str(word),
            // Words in different boxes are different words.
            Token::Text(word) => {
                text.push(' ');
                text.push_str(word);
                text.push(' ');
            }
            Token::Sign(sign @ ('-' | '\'' | '/' | ':')) => text.push(*sign),
            Token::Number(_) | Token::Sign(_) | Token::Space => text.push(' '),
        }
    }
    let marks = ['(', ')', '"', '“', '”', '.', ',', '?', '!', ';', '*'];
    let text: String = text
        .chars()
        .map(|c| if marks.contains(&c) { ' ' } else { c })
        .collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = match words.split_first() {
        Some((article, rest))
            if !rest.is_empty()
                && matches!(article.to_lowercase().as_str(), "a" | "an" | "the")
                && (article.chars().count() > 1 || rest.iter().all(|w| w.chars().count() > 1)) =>
        {
            rest
        }
        _ => words.as_slice(),
    };
    words.join(" ")
}

/// Words that say what a sign says.
fn meaning(text: &str) -> Option<Expression> {
    let lower = text.to_lowercase();
    const NUMBERS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    if let Some(number) = NUMBERS.iter().position(|name| *name == lower) {
        return Some(Expression::Number(BigRational::from_integer(number.into())));
    }
    match lower.as_str() {
        "no solution" | "no solutions" | "no real solution" | "no real solutions" | "empty set"
        | "no such numbers" | "no real roots" | "no roots" => Some(Expression::Set(Vec::new())),
        "all real numbers" | "all reals" | "real numbers" | "every real number"
        | "any real number" => Some(Expression::Symbol("ℝ".to_owned())),
        "all integers" | "integers" => Some(Expression::Symbol("ℤ".to_owned())),
        "all positive integers" | "positive integers" => Some(Expression::Symbol("ℕ".to_owned())),
        _ => None,
    }
}

/// A day of a month, in whichever order it is written: `May 5, 1990` and `5 May 1990`.
pub(super) fn date(tokens: &[Token]) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if tokens.len() > 12 {
        return None;
    }
    if let [
        Token::Number(year),
        Token::Sign('-'),
        Token::Number(month),
        Token::Sign('-'),
        Token::Number(day),
    ] = tokens
        && (year.len(), month.len(), day.len()) == (4, 2, 2)
    {
        let (month, day) = (month.parse::<u32>().ok()?, day.parse::<u32>().ok()?);
        return ((1..=12).contains(&month) && (1..=31).contains(&day))
            .then(|| format!("month {month} day {day} year {year}"));
    }
    let mut month = None;
    let mut numbers = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) | Token::Text(word) => {
                let word = word.to_lowercase();
                match MONTHS.iter().position(|name| *name == word) {
                    Some(found) if month.is_none() => month = Some(found + 1),
                    None if matches!(word.as_str(), "th" | "st" | "nd" | "rd" | "of") => {}
                    _ => return None,
                }
            }
            Token::Number(digits) => numbers.push(digits.parse::<u32>().ok()?),
            Token::Space | Token::Sign(',' | '^' | '{' | '}') => {}
            Token::Letter(_) | Token::Command(_) | Token::Sign(_) => return None,
        }
    }
    let month = month?;
    match numbers.as_slice() {
        [day] if (1..=31).contains(day) => Some(format!("month {month} day {day}")),
        [day, year] if (1..=31).contains(day) && *year > 31 => {
            Some(format!("month {month} day {day} year {year}"))
        }
        _ => None,
    }
}
