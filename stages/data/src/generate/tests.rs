//! What `generate` promises, case by case.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn rows(settings: &GenerateSettings, seed: u64) -> Vec<Problem> {
    problems(settings, seed).collect::<Result<_, _>>().unwrap()
}

fn lines(settings: &GenerateSettings) -> String {
    rows(settings, 42)
        .iter()
        .map(|row| {
            let difficulty = row.difficulty.unwrap();
            let (prompt, answer) = (&row.prompt, row.answer.as_deref().unwrap());
            let solution = row.solution.as_deref().unwrap().replace('\n', "⏎");
            format!(
                "{} {difficulty} {prompt} | {answer} | {solution}\n",
                row.family
            )
        })
        .collect()
}

#[test]
fn the_first_rows_of_each_family_never_change() {
    insta::assert_snapshot!(lines(&GenerateSettings::new(2)));
    let first_code = &rows(
        &GenerateSettings {
            families: vec![Family::Code],
            ..GenerateSettings::new(1)
        },
        42,
    )[0];
    insta::assert_debug_snapshot!(first_code);
}

#[test]
fn mixed_style_works_the_short_problems_only() {
    let settings = GenerateSettings {
        steps: [2, 4],
        style: Style::Mixed,
        ..GenerateSettings::new(200)
    };
    for row in rows(&settings, 5) {
        let worked = row.solution.unwrap().contains([';', 'x']) && row.family != "code";
        if row.family != "code" {
            assert_eq!(worked, row.difficulty.unwrap() <= 3, "{}", row.prompt);
        }
    }
}

#[test]
fn slips_spoil_their_share_of_solutions_and_no_answer() {
    let plain = GenerateSettings::new(300);
    let slipping = GenerateSettings {
        slips: 0.25,
        ..plain.clone()
    };
    let (right, wrong) = (rows(&plain, 9), rows(&slipping, 9));
    let spoiled = right
        .iter()
        .zip(&wrong)
        .filter(|(right, wrong)| right.solution != wrong.solution)
        .count();
    assert!(
        right
            .iter()
            .zip(&wrong)
            .all(|(right, wrong)| right.id == wrong.id)
    );
    // 1,800 solutions at a quarter: 450, with a standard deviation of 18
    assert!((360..=540).contains(&spoiled), "{spoiled}");
    for (right, wrong) in right
        .iter()
        .zip(&wrong)
        .filter(|(right, wrong)| right.solution != wrong.solution)
    {
        // every step is a bijection, so a slip always reaches the answer, but where a later variable goes around it
        assert!(
            right.family == "track"
                || !wrong
                    .solution
                    .as_deref()
                    .unwrap()
                    .ends_with(&super::family::marked(
                        if right.family == "code" {
                            Family::Code
                        } else {
                            Family::Chain
                        },
                        right.answer.as_deref().unwrap()
                    ))
        );
    }
}

#[test]
fn train_and_test_share_no_problem_whatever_the_seeds() {
    let train = GenerateSettings {
        steps: [1, 5],
        unique: false,
        ..GenerateSettings::new(3_000)
    };
    let test = GenerateSettings {
        split: Split::Test,
        ..train.clone()
    };
    let prompts = |settings, seed| {
        rows(settings, seed)
            .into_iter()
            .map(|row| row.prompt)
            .collect::<BTreeSet<_>>()
    };
    let (train, test) = (prompts(&train, 1), prompts(&test, 2));
    assert!(train.is_disjoint(&test));
    assert!(train.len() > 5_000 && test.len() > 3_000);
}

#[test]
fn a_family_without_enough_problems_says_so() {
    let settings = GenerateSettings {
        families: vec![Family::Swap],
        steps: [1, 1],
        ..GenerateSettings::new(100)
    };
    let error = problems(&settings, 0).find_map(Result::err).unwrap();
    // 5 cups and 10 swaps make 50 problems, of which some are for testing
    assert!((30..50).contains(&error.made), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "family `swap` has only {} different problems of 1 to 1 steps in this split, 100 are asked for",
            error.made
        )
    );
}

#[test]
fn faults_name_their_field() {
    let settings = GenerateSettings {
        steps: [0, 9],
        families: vec![],
        slips: 2.0,
        ..GenerateSettings::new(0)
    };
    let fields: Vec<_> = settings
        .faults()
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["steps", "families", "count", "slips"]);
    assert!(GenerateSettings::new(1).faults().is_empty());
}

/// An independent solver: reads the prompt as text and knows nothing of how it was made.
fn solve(family: &str, prompt: &str) -> Option<String> {
    let bytes: Vec<char> = prompt.chars().collect();
    let digit = |at: usize| bytes.get(at)?.to_digit(10).map(i64::from);
    let step = |value: i64, op: char, by: i64| match op {
        '+' | 'R' => (value + by).rem_euclid(10),
        '-' | 'L' => (value - by).rem_euclid(10),
        _ => (value * by).rem_euclid(10),
    };
    match family {
        "chain" | "walk" => {
            let mut value = digit(0)?;
            for at in (1..bytes.len()).step_by(2) {
                value = step(value, bytes[at], digit(at + 1)?);
            }
            Some(value.to_string())
        }
        "swap" => {
            let (start, swaps) = prompt.split_once('~')?;
            let mut ball = start.to_owned();
            for swap in swaps.split('~') {
                let (one, other) = swap.split_at(1);
                ball = if ball == one {
                    other.to_owned()
                } else if ball == other {
                    one.to_owned()
                } else {
                    ball
                };
            }
            Some(ball)
        }
        "permute" => {
            let mut row: Vec<char> = bytes[..3].to_vec();
            for turn in &bytes[3..] {
                match turn {
                    's' => row.swap(0, 1),
                    't' => row.swap(1, 2),
                    'v' => row.reverse(),
                    'l' => row.rotate_left(1),
                    'r' => row.rotate_right(1),
                    _ => return None,
                }
            }
            Some(row.into_iter().collect())
        }
        "track" => {
            let mut values = std::collections::BTreeMap::new();
            let mut last = None;
            for line in prompt.split(';') {
                let (value, name) = line.split_once('>')?;
                let value: i64 = match value.parse() {
                    Ok(number) => number,
                    Err(_) => {
                        let mut parts = value.chars();
                        let from = *values.get(&parts.next()?.to_string())?;
                        step(from, parts.next()?, parts.as_str().parse().ok()?)
                    }
                };
                values.insert(name.to_owned(), value);
                last = Some(value.to_string());
            }
            last
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn answers_are_right_and_characters_known(seed in any::<u64>(), low in 1u32..=8, more in 0u32..8, numbered in any::<bool>()) {
        let settings = GenerateSettings {
            steps: [low, (low + more).min(8)], unique: false, numbered, ..GenerateSettings::new(20)
        };
        for row in rows(&settings, seed) {
            let everything = format!("{}{}{}", row.prompt, row.answer.as_deref().unwrap(), row.solution.as_deref().unwrap());
            prop_assert!(everything.chars().all(|c| ALPHABET.contains(c)), "{everything}");
            if !numbered && row.family != "code" {
                prop_assert_eq!(solve(&row.family, &row.prompt), row.answer.clone());
            }
            if row.family == "code" {
                let gold = row.answer.unwrap();
                prop_assert!(row.solution.unwrap().ends_with(&super::family::marked(Family::Code, &gold)));
            } else {
                let gold = row.answer.unwrap();
                prop_assert!(row.solution.unwrap().ends_with(&super::family::marked(Family::Chain, &gold)));
            }
        }
    }

    #[test]
    fn a_larger_count_keeps_the_first_rows(seed in any::<u64>(), count in 1u32..30, more in 1u32..30) {
        let few = rows(&GenerateSettings::new(count), seed);
        let many = rows(&GenerateSettings::new(count + more), seed);
        prop_assert_eq!(&few[..], &many[..few.len()]);
        let ids: BTreeSet<_> = many.iter().map(|row| &row.id).collect();
        prop_assert_eq!(ids.len(), many.len());
    }
}

#[test]
fn the_programs_do_what_their_tests_say() {
    for row in rows(
        &GenerateSettings {
            families: vec![Family::Code],
            ..GenerateSettings::new(12)
        },
        3,
    ) {
        let tests: serde_json::Value = serde_json::from_str(row.tests.as_deref().unwrap()).unwrap();
        for case in tests["cases"].as_array().unwrap() {
            let mut child = std::process::Command::new("sh")
                .args(["-c", row.answer.as_deref().unwrap()])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(
                &mut child.stdin.take().unwrap(),
                case["stdin"].as_str().unwrap().as_bytes(),
            )
            .unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                case["stdout"].as_str().unwrap(),
                "{}",
                row.prompt
            );
        }
    }
}
