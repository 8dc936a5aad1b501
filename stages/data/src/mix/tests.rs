//! What `mix` promises, case by case.

use proptest::prelude::*;

use super::*;
use crate::{Problem, ProblemRows};

/// Tests need one error for everything.
#[derive(Debug)]
struct Failure(#[expect(dead_code, reason = "shown by `unwrap`")] String);

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Self(error.to_string())
    }
}
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
impl From<parquet::errors::ParquetError> for Failure {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self(error.to_string())
    }
}

struct InMemory(&'static str, Vec<String>);

impl MixSource<Failure> for InMemory {
    fn name(&self) -> &str {
        self.0
    }
    fn schema(&self) -> SchemaRef {
        crate::schema()
    }
    fn open(
        &self,
        _: bool,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, Failure>> + '_>, Failure> {
        Ok(Box::new(self.1.chunks(3).map(|prompts| {
            let mut rows = ProblemRows::default();
            for prompt in prompts {
                rows.push(
                    &Problem {
                        prompt: prompt.clone(),
                        ..Problem::default()
                    }
                    .identified(),
                );
            }
            Ok(rows.take()?)
        })))
    }
}

fn source(name: &'static str, prompts: &[&str]) -> InMemory {
    InMemory(
        name,
        prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
    )
}

fn options() -> MixOptions {
    MixOptions {
        take: BTreeMap::new(),
        weights: BTreeMap::new(),
        dedup: true,
        ngram: 13,
        shuffle: false,
        seed: 1,
    }
}

struct Mixed {
    rows: Vec<String>,
    rejected: Vec<(String, String)>,
    counts: MixCounts,
}

fn run(sources: &[&InMemory], avoid: &[&InMemory], options: &MixOptions) -> Mixed {
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    let text = |batch: &RecordBatch, name: &str| -> Vec<String> {
        batch
            .column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|text| text.unwrap().to_owned())
            .collect()
    };
    fn dynamic<'a>(sources: &[&'a InMemory]) -> Vec<&'a dyn MixSource<Failure>> {
        sources
            .iter()
            .map(|source| *source as &dyn MixSource<Failure>)
            .collect()
    }
    let counts = mix(
        &dynamic(sources),
        &dynamic(avoid),
        options,
        MixOutputs {
            mixed: &mut |batch| {
                rows.extend(text(&batch, "prompt"));
                Ok(())
            },
            rejected: &mut |batch| {
                rejected.extend(text(&batch, "prompt").into_iter().zip(text(&batch, REASON)));
                Ok(())
            },
            scratch: folder.path(),
        },
    )
    .unwrap();
    Mixed {
        rows,
        rejected,
        counts,
    }
}

#[test]
fn duplicates_and_known_problems_are_kept_aside_with_their_reason() {
    let one = source("one", &["What is 2+2?", "Name a colour.", "what  IS 2+2?"]);
    let two = source("two", &["NAME A COLOUR.", "a b c d e f", "fresh"]);
    let eval = source("bench", &["x a b c d y"]);
    let mixed = run(
        &[&one, &two],
        &[&eval],
        &MixOptions {
            ngram: 4,
            ..options()
        },
    );
    assert_eq!(mixed.rows, ["What is 2+2?", "Name a colour.", "fresh"]);
    let rejected: Vec<(&str, &str)> = mixed
        .rejected
        .iter()
        .map(|(prompt, why)| (prompt.as_str(), why.as_str()))
        .collect();
    assert_eq!(
        rejected,
        [
            ("what  IS 2+2?", "duplicate"),
            ("NAME A COLOUR.", "duplicate"),
            ("a b c d e f", "in bench")
        ]
    );
    assert_eq!(
        mixed.counts.taken,
        BTreeMap::from([("one".to_owned(), 2), ("two".to_owned(), 1)])
    );
    assert_eq!(
        mixed.counts.rejected,
        BTreeMap::from([("duplicate".to_owned(), 2), ("in bench".to_owned(), 1)])
    );
}

#[test]
fn weights_give_the_largest_mix_that_keeps_them() {
    let prompts = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|at| format!("{name}{at}")).collect()
    };
    let (math, code, rest) = (
        InMemory("math", prompts("m", 100)),
        InMemory("code", prompts("c", 10)),
        InMemory("rest", prompts("r", 5)),
    );
    let weights = BTreeMap::from([("math".to_owned(), 0.6), ("code".to_owned(), 0.2)]);
    let mixed = run(
        &[&math, &code, &rest],
        &[],
        &MixOptions {
            weights,
            ..options()
        },
    );
    let expect =
        [("code", 10), ("math", 30), ("rest", 0)].map(|(name, rows)| (name.to_owned(), rows));
    assert_eq!(mixed.counts.taken, BTreeMap::from(expect));
}

#[test]
fn columns_of_two_types_are_refused() {
    let text = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, false)]));
    let number = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)]));
    assert_eq!(joined_schema(&[text, number]).unwrap_err().0, "a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_mix_loses_nothing_and_keeps_its_promises(
        one in proptest::collection::vec("[a-c ]{1,4}", 0..40),
        two in proptest::collection::vec("[a-c ]{1,4}", 0..40),
        bench in proptest::collection::vec("[a-c]{1,3}", 0..4),
        take in 0u64..20, seed in any::<u64>(), shuffle in any::<bool>(),
    ) {
        let (one, two, bench) = (InMemory("one", one), InMemory("two", two), InMemory("bench", bench));
        let options = MixOptions { take: BTreeMap::from([("one".to_owned(), take)]), seed, shuffle, ..options() };
        let mixed = run(&[&one, &two], &[&bench], &options);
        // every row is somewhere
        let mut all: Vec<String> = mixed.rows.iter().cloned().chain(mixed.rejected.iter().map(|(prompt, _)| prompt.clone())).collect();
        let mut expected: Vec<String> = one.1.iter().chain(&two.1).cloned().collect();
        all.sort();
        expected.sort();
        prop_assert_eq!(all, expected);
        // no duplicate and nothing known is left
        let forms: HashSet<String> = mixed.rows.iter().map(|prompt| normalised(prompt)).collect();
        prop_assert_eq!(forms.len(), mixed.rows.len());
        prop_assert!(bench.1.iter().all(|prompt| !forms.contains(&normalised(prompt))));
        prop_assert!(mixed.counts.taken["one"] <= take);
        // again, the same
        let again = run(&[&one, &two], &[&bench], &options);
        prop_assert_eq!(&again.rows, &mixed.rows);
        // the other order holds the same rows
        let other = run(&[&one, &two], &[&bench], &MixOptions { shuffle: !shuffle, ..options });
        let sorted = |mut rows: Vec<String>| { rows.sort(); rows };
        prop_assert_eq!(sorted(other.rows), sorted(mixed.rows));
    }

    #[test]
    fn reordering_a_source_takes_the_same_prompts(count in 1usize..60, take in 0u64..60, seed in any::<u64>()) {
        let prompts: Vec<String> = (0..count).map(|at| format!("prompt {at}")).collect();
        let options = MixOptions { take: BTreeMap::from([("s".to_owned(), take)]), seed, shuffle: true, ..options() };
        let there = run(&[&InMemory("s", prompts.clone())], &[], &options).rows;
        let back = run(&[&InMemory("s", prompts.into_iter().rev().collect())], &[], &options).rows;
        prop_assert_eq!(there, back);
    }
}

#[test]
fn many_boxes_keep_every_row_in_the_order_of_its_key() {
    let many: Vec<String> = (0..40_000).map(|at| format!("row {at}")).collect();
    let mixed = run(
        &[&InMemory("many", many.clone())],
        &[],
        &MixOptions {
            shuffle: true,
            ..options()
        },
    );
    let keys: Vec<u64> = mixed
        .rows
        .iter()
        .map(|prompt| lot(1, "order", digest(prompt)))
        .collect();
    assert!(keys.is_sorted() && mixed.rows.len() == 40_000 && mixed.rows != many);
}
