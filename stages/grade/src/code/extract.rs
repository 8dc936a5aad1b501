//! The program in a response.

use super::Language;

/// The last fenced block that may be a program of this language. A fence that names a language is respected:
/// blocks that name this one come first, then blocks that name none; others are never taken. Without any
/// fence there is a program only where `whole_text` says that the text is one.
///
/// ```
/// use dag_grade::code::{Language, extract_program};
///
/// let text = "First:\n```python\nx = 1\n```\nthen\n```python\nx = 2\n```\nwhich prints\n```\n2\n```\n";
/// assert_eq!(extract_program(text, Language::Python, false).as_deref(), Some("x = 2\n"));
/// assert_eq!(extract_program("x = 3", Language::Python, false), None);
/// assert_eq!(extract_program("x = 3", Language::Python, true).as_deref(), Some("x = 3"));
/// ```
pub fn extract_program(text: &str, language: Language, whole_text: bool) -> Option<String> {
    let blocks = blocks(text);
    let names = language.row().fences;
    let named = blocks
        .iter()
        .rev()
        .find(|block| names.contains(&block.info.as_str()));
    let nameless = || blocks.iter().rev().find(|block| block.info.is_empty());
    match named.or_else(nameless) {
        Some(block) => Some(block.body.clone()).filter(|body| !body.trim().is_empty()),
        None if blocks.is_empty() && whole_text && !text.trim().is_empty() => Some(text.to_owned()),
        None => None,
    }
}

struct Block {
    info: String,
    body: String,
}

/// Fenced blocks as CommonMark has them: three or more backticks or tildes, closed by at least as many. A
/// block that the text ends in counts: the response was cut off after it or forgot the fence.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, usize, Block)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let indent = bare.len() - bare.trim_start_matches(' ').len();
        let stripped = bare.trim();
        let fence = stripped
            .chars()
            .next()
            .filter(|c| matches!(c, '`' | '~'))
            .map(|mark| {
                let length = stripped.chars().take_while(|c| *c == mark).count();
                (mark, length, stripped.get(length..).unwrap_or("").trim())
            });
        match (&mut open, fence) {
            (Some((mark, length, ..)), Some((m, l, ""))) if *mark == m && l >= *length => {
                blocks.extend(open.take().map(|(.., block)| block));
            }
            (Some((.., fence_indent, block)), _) => {
                let cut = (*fence_indent).min(line.len() - line.trim_start_matches(' ').len());
                block.body.push_str(&line[cut..]);
            }
            (None, Some((mark, length, info)))
                if length >= 3 && !(mark == '`' && info.contains('`')) =>
            {
                let word = info
                    .split([' ', '\t', ',', '{', '}'])
                    .find(|word| !word.is_empty())
                    .unwrap_or("");
                let info = word.trim_start_matches('.').to_lowercase();
                open = Some((
                    mark,
                    length,
                    indent,
                    Block {
                        info,
                        body: String::new(),
                    },
                ));
            }
            (None, _) => {}
        }
    }
    blocks.extend(open.map(|(.., block)| block));
    blocks
}
