//! What stands between two boxes or two formulas: does it make one answer of them?

use std::sync::LazyLock;

use regex::Regex;

/// What is to be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// Boxes are deliberate: a noun may stand beside the word that joins them.
    Boxes,
    /// Formulas stand everywhere: only signs and words that join.
    Formulas,
}

/// The longest text that joins, in bytes.
const LONGEST: usize = 80;
/// How many words besides "and" and "or" may stand between two boxes.
const WORDS: usize = 4;

/// Words after which the second answer replaces or explains the first.
const TURNS: [&str; 51] = [
    "is",
    "are",
    "was",
    "equals",
    "equal",
    "so",
    "thus",
    "hence",
    "therefore",
    "then",
    "but",
    "wait",
    "not",
    "actually",
    "gives",
    "means",
    "because",
    "since",
    "which",
    "instead",
    "equivalently",
    "approximately",
    "namely",
    "simplifies",
    "becomes",
    "implies",
    "correct",
    "wrong",
    "check",
    "verify",
    "again",
    "final",
    "answer",
    "it",
    "no",
    "now",
    "however",
    "although",
    "while",
    "if",
    "when",
    "where",
    "we",
    "get",
    "got",
    "let",
    "corrected",
    "rather",
    "should",
    "must",
    "i",
];

/// Whether what stands between two of them makes one answer of both: `, `, ` and `, ` papers and `, `, y = `.
pub(super) fn joins(between: &str, what: Between) -> bool {
    static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\\(?:quad|qquad|textrm|text|mbox|mathrm|hspace|left|right)\b|\\[,;:! ()\[\]]|[${}~\s]",
        )
        .expect("a constant pattern")
    });
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\s*[A-Za-z](?:_[A-Za-z0-9]|_\{[A-Za-z0-9]+\})?\s*=\s*$")
            .expect("a constant pattern")
    });
    // A blank line ends a statement: what stands before it was another one.
    if between.len() > LONGEST || between.contains("\n\n") {
        return false;
    }
    let plain = LOOKS.replace_all(between, " ");
    let named = NAME.replace(&plain, " ");
    let mut joiner = named.trim().is_empty() && plain.trim().is_empty();
    let mut words = 0;
    for piece in named.split_whitespace() {
        // A row of marks is decoration.
        if piece.len() > 2 && piece.chars().all(|c| matches!(c, '+' | '*' | '-' | '_')) {
            joiner = true;
            continue;
        }
        let word = piece.trim_matches([',', ';', '&']);
        joiner |= word.len() < piece.len();
        match word.to_lowercase().as_str() {
            "" => {}
            "and" | "or" => joiner = true,
            turn if TURNS.contains(&turn) => return false,
            other if other.chars().all(char::is_alphabetic) => words += 1,
            _ => return false,
        }
    }
    joiner
        && match what {
            Between::Boxes => words <= WORDS,
            Between::Formulas => words == 0,
        }
}
