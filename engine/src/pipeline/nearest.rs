//! "Did you mean": the known name nearest to what was written.

/// The candidate nearest to `written`, if one is near enough that the user may have meant it.
///
/// Ties go to the candidate that comes first.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(written);
    let mut best: Option<(&str, usize)> = None;
    for candidate in candidates {
        if candidate == written {
            continue;
        }
        let theirs = fold(candidate);
        // swapped neighbours count once; a word in which the other is whole is near too
        let mut distance = strsim::damerau_levenshtein(&folded, &theirs);
        let shorter = folded.len().min(theirs.len());
        if shorter >= 4 && (folded.contains(&theirs) || theirs.contains(&folded)) {
            distance = distance.min(2);
        }
        let allowed = (folded.chars().count().max(theirs.chars().count()) + 1) / 3;
        if distance <= allowed && best.is_none_or(|(_, least)| distance < least) {
            best = Some((candidate, distance));
        }
    }
    best.map(|(name, _)| name)
}

/// The sentence for `help`, when there is a near name.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(written, candidates).map(|name| format!("did you mean `{name}`?"))
}

fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// `a`, `b` and `c`, at most twelve of them.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = 12;
    let mut text = String::new();
    for (index, name) in names.iter().take(shown).enumerate() {
        if index > 0 {
            let last = index + 1 == names.len();
            text.push_str(if last { " and " } else { ", " });
        }
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["temperature", "max_tokens", "n", "from", "model"];
        assert_eq!(nearest("temprature", known), Some("temperature"));
        assert_eq!(nearest("maxtokens", known), Some("max_tokens"));
        assert_eq!(nearest("max-tokens", known), Some("max_tokens"));
        assert_eq!(nearest("form", known), Some("from"));
        assert_eq!(nearest("tokens", known), Some("max_tokens"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("m", known), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
