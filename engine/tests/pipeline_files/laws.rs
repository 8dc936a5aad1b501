//! What holds for every text, good or bad.

use dag_engine::diagnostic::{Colour, render};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{files, load_with};

/// One way to spoil a text.
#[derive(Debug, Clone)]
enum Spoil {
    Byte(Index, u8),
    CutBytes(Index, usize),
    DropLine(Index),
    RepeatLine(Index),
    SwapLines(Index, Index),
    SwapTokens(Index, Index),
    DropToken(Index),
    Insert(Index, &'static str),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<Index>;
    let pieces = [
        "🦀",
        "\t",
        "\r\n",
        "[",
        "]]",
        "{",
        "\"",
        "'''",
        "=",
        ".",
        "#",
        "[stage.x]\n",
        "kind = \"sample\"\n",
        "[sweep]\n\"student.epochs\" = [1]\n",
        "= 1e999",
        "99999999999999999999999",
        "[[[[[[[[",
        "\0",
        "é",
        "stage.",
        "traces",
        "[defaults.sft]\n",
        "{ hf = \"a/b\" }",
        "1979-05-27",
        "inf",
        "true",
        "[]",
        "\u{feff}",
    ];
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
        (index(), 1usize..40).prop_map(|(at, n)| Spoil::CutBytes(at, n)),
        index().prop_map(Spoil::DropLine),
        index().prop_map(Spoil::RepeatLine),
        (index(), index()).prop_map(|(a, b)| Spoil::SwapLines(a, b)),
        (index(), index()).prop_map(|(a, b)| Spoil::SwapTokens(a, b)),
        index().prop_map(Spoil::DropToken),
        (index(), proptest::sample::select(pieces.to_vec()))
            .prop_map(|(at, piece)| Spoil::Insert(at, piece)),
    ]
}

fn apply(text: String, spoil: &Spoil) -> String {
    if text.is_empty() {
        return text;
    }
    let lines = || -> Vec<String> { text.split_inclusive('\n').map(str::to_owned).collect() };
    // tokens with what stands between them, so that nothing is lost
    let tokens = || -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        let mut in_word = false;
        for c in text.chars() {
            let word = c.is_alphanumeric() || c == '_';
            match tokens.last_mut() {
                Some(last) if word && in_word => last.push(c),
                _ => tokens.push(c.to_string()),
            }
            in_word = word;
        }
        tokens
    };
    match spoil {
        Spoil::Byte(at, byte) => {
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = *byte;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Spoil::CutBytes(at, n) => {
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes.drain(at..(at + n).min(text.len()));
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Spoil::DropLine(at) => {
            let mut lines = lines();
            lines.remove(at.index(lines.len()));
            lines.concat()
        }
        Spoil::RepeatLine(at) => {
            let mut lines = lines();
            let line = lines[at.index(lines.len())].clone();
            lines.insert(at.index(lines.len()), line);
            lines.concat()
        }
        Spoil::SwapLines(a, b) => {
            let mut lines = lines();
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            lines.concat()
        }
        Spoil::SwapTokens(a, b) => {
            let mut tokens = tokens();
            let (a, b) = (a.index(tokens.len()), b.index(tokens.len()));
            tokens.swap(a, b);
            tokens.concat()
        }
        Spoil::DropToken(at) => {
            let mut tokens = tokens();
            tokens.remove(at.index(tokens.len()));
            tokens.concat()
        }
        Spoil::Insert(at, piece) => {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let mut text = text.clone();
            text.insert_str(places[at.index(places.len())], piece);
            text
        }
    }
}

/// How many texts are tried; in all of them together.
fn cases(default: u32) -> ProptestConfig {
    ProptestConfig {
        cases: default,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn a_spoilt_file_is_told_about_or_loads_and_never_panics(
        which in any::<Index>(),
        spoils in proptest::collection::vec(spoil(), 1..5),
        set in proptest::option::of("[a-z.]{0,12}=?[a-z0-9\"\\[{]{0,6}"),
    ) {
        thread_local! {
            static TEXTS: Vec<String> = files("valid")
                .into_iter()
                .map(|(_, path)| fs_err::read_to_string(path).unwrap())
                .collect();
        }
        let text = TEXTS.with(|texts| texts[which.index(texts.len())].clone());
        let text = spoils.iter().fold(text, apply);
        let sets: Vec<&str> = set.iter().map(String::as_str).collect();
        let loaded = load_with(&text, &sets);
        let broken = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
        prop_assert_eq!(loaded.pipeline.is_none(), broken);
        for pair in loaded.diagnostics.windows(2) {
            prop_assert!(pair[0].file != pair[1].file || pair[0].span.start <= pair[1].span.start);
        }
        let drawn = render(&loaded.diagnostics, &loaded.sources, Colour::Plain);
        for diagnostic in &loaded.diagnostics {
            let source = if diagnostic.file == "--set" { set.as_deref().unwrap_or("") } else { &text };
            let span = diagnostic.span;
            prop_assert!(source.get(span.start..span.end).is_some());
            let before = &source[..span.start];
            prop_assert_eq!(span.line, before.matches('\n').count() + 1);
            let line = before.rfind('\n').map_or(0, |at| at + 1);
            prop_assert_eq!(span.col, before[line..].chars().count() + 1);
            prop_assert!(drawn.contains(diagnostic.code));
        }
    }
}
