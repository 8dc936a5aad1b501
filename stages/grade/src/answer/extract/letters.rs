//! Letters of multiple choice.

use std::sync::LazyLock;

use regex::Regex;

/// The last letter from A to J that stands alone or in brackets.
pub(super) fn choice_letter(text: &str) -> Option<String> {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^A-Za-z0-9'’])\(?([A-J])\)?(?:[^A-Za-z0-9'’]|$)")
            .expect("a constant pattern")
    });
    static LOWER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*\(?([a-j])\)?[.:]?\s*$").expect("a constant pattern"));
    if let Some(found) = LOWER.captures(text) {
        return Some(found[1].to_uppercase());
    }
    let bytes = text.len();
    let found = LETTER.captures_iter(text).filter(|found| {
        // "A" and "I" open English sentences: they count in brackets, or with nothing but marks around them.
        let letter = found.get(1).expect("the pattern has one group");
        if !matches!(letter.as_str(), "A" | "I") {
            return true;
        }
        let whole = found.get(0).expect("group 0 is the match");
        whole.as_str().contains(['(', ')', '*', '{', '$', ':', '.']) || letter.end() + 1 >= bytes
    });
    found.last().map(|found| found[1].to_owned())
}

/// A choice with what it says, `(C) 24`: the letter and the rest.
pub(in super::super) fn lettered(answer: &str) -> Option<(String, String)> {
    static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^\s*\$?\s*(?:\\(?:text|textbf|mathrm|mathbf|mbox|bf|rm)\s*\{?\s*)?\(?\s*([A-J])\s*\}?\s*[).:]\s*\}?(?:\\[ ,;:!]|\\quad|\\qquad|~|\s)*(\S.*)$",
        )
        .expect("a constant pattern")
    });
    let found = CHOICE.captures(answer)?;
    static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:[}+=*/^<>,;]|\\(?:cup|cap|setminus|times|cdot|in|le|ge|to|implies)\b|\([A-Z]\)|$)")
            .expect("a constant pattern")
    });
    let rest = found[2].trim().trim_matches('$').trim();
    // `(A) \cup (B)` is about sets.
    (!GOES_ON.is_match(rest)).then(|| (found[1].to_owned(), rest.to_owned()))
}
