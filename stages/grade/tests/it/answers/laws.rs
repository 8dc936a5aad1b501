//! What holds for every answer: it is itself; equality has no sides; looks do not matter; nothing panics or hangs.

use std::time::Instant;

use dag_grade::Verdict;
use proptest::prelude::*;

use super::corpus::{GOLDS, PIECES};
use super::graded;

#[test]
fn every_answer_is_itself_and_no_other() {
    for gold in GOLDS {
        for answer in GOLDS {
            let graded = graded(gold, answer);
            let same = gold == answer;
            assert_eq!(
                graded.verdict.is_pass(),
                same,
                "{gold} against {answer}: {graded:?}"
            );
        }
    }
}

/// Changes of looks that leave an answer what it is.
const LOOKS: [fn(&str) -> String; 14] = [
    |text| format!("${text}$"),
    |text| format!("$${text}$$"),
    |text| format!(r"\({text}\)"),
    |text| format!("  {text} "),
    |text| format!(r"\boxed{{{text}}}"),
    |text| format!(r"{{\displaystyle {text}}}"),
    |text| text.replace(r"\frac", r"\dfrac"),
    |text| text.replace(r"\dfrac", r"\tfrac"),
    |text| text.replace(r"\left", "").replace(r"\right", ""),
    |text| text.replace('+', " + ").replace('=', " = "),
    |text| text.replace(" + ", r"\, + \!").replace(", ", r",\, "),
    |text| {
        text.replace(r"\left", r"\bigl")
            .replace(r"\right", r"\bigr")
    },
    |text| text.replace("^2", "^{2}").replace("_2 ", "_{2} "),
    |text| {
        text.replace(r"\pi", r"{\pi}")
            .replace(r"\sqrt{3}", r"{\sqrt{3}}")
    },
];

#[test]
fn looks_do_not_matter() {
    for gold in GOLDS {
        for (number, first) in LOOKS.iter().enumerate() {
            for second in &LOOKS[number..] {
                let answer = second(&first(gold));
                // Braces around several values are a set, and words are not set in display style.
                let words = gold.contains(r"\text") || gold == "east";
                if answer.contains(r"{\displaystyle") && (words || gold.contains([',', ';'])) {
                    continue;
                }
                let graded = graded(gold, &answer);
                assert!(
                    graded.verdict.is_pass(),
                    "{gold} against {answer}: {graded:?}"
                );
            }
        }
    }
}

#[test]
fn the_same_signs_are_no_answer_where_they_do_not_read() {
    for (gold, answer) in [("8_25", "8 _$25"), (r"90^\circ", r"90^\^\circ")] {
        for (gold, answer) in [(gold, answer), (answer, gold)] {
            let graded = graded(gold, answer);
            assert!(
                !graded.verdict.is_pass(),
                "{gold} against {answer}: {graded:?}"
            );
        }
    }
}

#[test]
fn brackets_may_grow() {
    for (gold, answer) in [
        ("(3,4]", r"\left(3,4\right]"),
        ("[0,1)", r"\big[0,1\big)"),
        ("|x-3|", r"\left|x-3\right|"),
        (r"\{1,2\}", r"\left\{1,2\right\}"),
        ("(a+5)(b+2)", r"\left(a+5\right)\left(b+2\right)"),
        ("2(x+1)", r"2{\left(x+1\right)}"),
    ] {
        for (gold, answer) in [(gold, answer), (answer, gold)] {
            let graded = graded(gold, answer);
            assert!(
                graded.verdict.is_pass(),
                "{gold} against {answer}: {graded:?}"
            );
        }
    }
}

/// A formula with space of every kind at places where there may be some.
fn spaced() -> impl Strategy<Value = (&'static str, String)> {
    let formulas: Vec<&str> = GOLDS
        .into_iter()
        .filter(|gold| {
            !["\\text", "\\mbox", "\\begin"]
                .iter()
                .any(|name| gold.contains(name))
        })
        .collect();
    let spaces = prop::sample::select(vec![r"\,", r"\!", r"\;", r"\:", " ", "~", r"\ ", ""]);
    (
        prop::sample::select(formulas),
        prop::collection::vec(spaces, 40),
    )
        .prop_map(|(gold, spaces)| {
            let mut spaces = spaces.into_iter().cycle();
            let mut spaced = String::new();
            for c in gold.chars() {
                if matches!(c, ')' | '}' | ']' | '=') && !spaced.ends_with('\\') {
                    spaced.push_str(spaces.next().unwrap());
                }
                spaced.push(c);
                if matches!(c, '(' | '{' | '[' | '+' | '=') {
                    spaced.push_str(spaces.next().unwrap());
                }
            }
            (gold, spaced)
        })
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..14)
        .prop_map(|pieces| pieces.concat())
}

/// A gold with some of it cut out, doubled, or replaced by noise.
fn mutated() -> impl Strategy<Value = String> {
    let gold = prop::sample::select(GOLDS.to_vec());
    (
        gold,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        soup(),
        0..4,
    )
        .prop_map(|(gold, from, to, noise, how)| {
            let chars: Vec<char> = gold.chars().collect();
            let (from, to) = (from.index(chars.len() + 1), to.index(chars.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            let text = |part: &[char]| part.iter().collect::<String>();
            let (head, middle, tail) = (
                text(&chars[..from]),
                text(&chars[from..to]),
                text(&chars[to..]),
            );
            match how {
                0 => head,
                1 => head + &tail,
                2 => head + &middle + &middle + &tail,
                _ => head + &noise + &tail,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn spaces_do_not_matter((gold, answer) in spaced()) {
        for (gold, answer) in [(gold, answer.as_str()), (&answer, gold)] {
            let graded = graded(gold, answer);
            prop_assert!(graded.verdict.is_pass(), "{} against {}: {:?}", gold, answer, graded);
        }
    }

    #[test]
    fn what_reads_is_itself(text in prop_oneof![soup(), mutated()]) {
        let graded = graded(&text, &text);
        prop_assert_ne!(graded.verdict, Verdict::Fail, "{}: {:?}", text, graded);
    }

    #[test]
    fn equality_has_no_sides(
        left in prop_oneof![soup(), mutated()],
        right in prop_oneof![soup(), mutated(), prop::sample::select(GOLDS.to_vec()).prop_map(str::to_owned)],
    ) {
        let (there, back) = (graded(&left, &right), graded(&right, &left));
        prop_assert_eq!(
            there.verdict.is_pass(), back.verdict.is_pass(),
            "{} against {}: {:?}, {:?}", left, right, there, back
        );
    }

    #[test]
    fn no_text_panics_or_takes_long(gold in "\\PC{0,80}", answer in any::<String>()) {
        let start = Instant::now();
        graded(&gold, &answer);
        // A debug build on a busy machine; the fuzz command measures.
        prop_assert!(start.elapsed().as_secs() < 2);
    }
}
