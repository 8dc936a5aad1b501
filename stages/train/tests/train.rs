//! Laws of training at the crate's public boundary.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use burn::backend::{Autodiff, Flex};
use dag_model::{Config, Layout, Message, Model, init};
use dag_train::{
    Differentiate, Fused, Overlong, Plain, Row, Rows, SftOptions, StepMetrics, TrainError, Watch,
    prepare, train,
};
use serde_json::json;
use std::sync::Arc;

struct StopAt(usize, usize);

impl Watch for StopAt {
    fn step(&mut self, metrics: &StepMetrics, _: usize, _: f64) {
        self.1 = metrics.step;
    }

    fn epoch(&mut self, _: usize, _: &[f32]) -> Result<(), TrainError> {
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.1 == self.0
    }
}

fn model() -> Model {
    let spec = init::Spec {
        layers: 2,
        hidden: 32,
        heads: 2,
        kv_heads: 1,
        intermediate: 48,
        positions: 64,
        tied: false,
    };
    init::from_scratch(&spec, 3).unwrap()
}

fn talks() -> Vec<Vec<Message>> {
    (0..30)
        .map(|i| {
            vec![
                Message::new("user", format!("{i}+1=")),
                Message::new("assistant", format!("{}", i + 1)),
            ]
        })
        .collect()
}

fn rows(model: &Model, options: &SftOptions) -> Rows {
    let talks = talks();
    prepare(model, talks.iter().map(Vec::as_slice), options).unwrap()
}

fn options() -> SftOptions {
    SftOptions {
        steps: Some(9),
        learning_rate: 1e-2,
        batch: 8,
        micro_batch: 2,
        warmup_steps: 2,
        weight_decay: 0.1,
        ..SftOptions::default()
    }
}

#[test]
fn the_fused_gradient_is_that_of_plain_autodiff() {
    for class in ["LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"] {
        let config = Config::from_json(&json!({
            "architectures": [class], "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 37, "tie_word_embeddings": class == "Qwen2ForCausalLM",
        }))
        .unwrap();
        let layout = Arc::new(Layout::of(&config));
        let weights: Vec<f32> = (0..layout.len())
            .map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.4) * 0.5)
            .collect();
        let row = |length: u32, from: usize| Row {
            tokens: (0..length).map(|i| (i * 11 + length) % 37).collect(),
            learnt: (0..length as usize).map(|i| i >= from).collect(),
        };
        let (first, second, third) = (row(50, 5), row(7, 1), row(33, 32));
        let rows = [&first, &second, &third];
        let (mut fused, mut plain) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let a = Fused::new(&config, layout.clone(), 64)
            .accumulate(&weights, &rows, 0.1, Some(&mut fused))
            .unwrap();
        let mut twin = Plain::<Autodiff<Flex>>::new(&config, layout.clone(), Default::default());
        let b = twin
            .accumulate(&weights, &rows, 0.1, Some(&mut plain))
            .unwrap();
        assert!((a - b).abs() < 1e-4 * b.abs(), "{class}: loss {a} and {b}");
        for place in &layout.tensors {
            let largest = plain[place.range.clone()]
                .iter()
                .fold(1e-6f32, |a, b| a.max(b.abs()));
            for (a, b) in fused[place.range.clone()]
                .iter()
                .zip(&plain[place.range.clone()])
            {
                assert!(
                    (a - b).abs() < 1e-3 * largest,
                    "{class} {}: {a} and {b}",
                    place.name
                );
            }
        }
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_bit_by_bit() {
    let (model, options) = (model(), options());
    let rows = rows(&model, &options);
    let whole = train(&model, &rows, &options, None, &mut StopAt(0, 1)).unwrap();
    for stop in [1, 4, 8] {
        let folder = tempfile::tempdir().unwrap();
        let stopped = train(
            &model,
            &rows,
            &options,
            Some(folder.path()),
            &mut StopAt(stop, 0),
        );
        assert!(matches!(stopped, Err(TrainError::Stopped { step }) if step == stop));
        let resumed = train(
            &model,
            &rows,
            &options,
            Some(folder.path()),
            &mut StopAt(0, 1),
        )
        .unwrap();
        assert_eq!(resumed, whole);
    }
}

#[test]
fn two_ranks_learn_what_one_learns() {
    let model = model();
    let losses = |world: usize, micro_batch: usize| -> Vec<f64> {
        let options = SftOptions {
            world,
            micro_batch,
            ..options()
        };
        let trained = train(
            &model,
            &rows(&model, &options),
            &options,
            None,
            &mut StopAt(0, 1),
        )
        .unwrap();
        trained.metrics.iter().map(|step| step.loss).collect()
    };
    let one = losses(1, 8);
    assert!(one[8] < one[0] * 0.9, "nothing was learnt: {one:?}");
    for (a, b) in one.iter().zip(losses(2, 2).iter().zip(losses(4, 1))) {
        assert!(
            (a - b.0).abs() < 1e-3 * a && (a - b.1).abs() < 1e-3 * a,
            "{a} and {b:?}"
        );
    }
}

#[test]
fn only_the_assistant_is_learnt_and_its_end_too() {
    let model = model();
    let row = &rows(&model, &options()).rows[7];
    let learnt: Vec<u32> = row
        .tokens
        .iter()
        .zip(&row.learnt)
        .filter(|(_, learnt)| **learnt)
        .map(|(token, _)| *token)
        .collect();
    assert_eq!(model.tokenizer.decode(&learnt).unwrap(), "8");
    assert_eq!(learnt.last(), Some(&model.ends()[0]));
}

#[test]
fn rows_over_the_cutoff_follow_the_policy() {
    let model = model();
    let talks = [vec![
        Message::new("user", "ab"),
        Message::new("assistant", "c".repeat(40)),
    ]];
    let with = |overlong| {
        prepare(
            &model,
            talks.iter().map(Vec::as_slice),
            &SftOptions {
                cutoff: 20,
                overlong,
                ..options()
            },
        )
    };
    assert!(matches!(
        with(Overlong::Drop),
        Err(TrainError::NoRows { dropped: 1 })
    ));
    assert!(matches!(
        with(Overlong::Error),
        Err(TrainError::Row { row: 0, .. })
    ));
    let cut = with(Overlong::TruncateKeepEnd).unwrap();
    assert_eq!((cut.truncated, cut.rows[0].tokens.len()), (1, 20));
    assert_eq!(cut.rows[0].tokens.last(), Some(&model.ends()[0]));
}

#[test]
fn impossible_options_are_named() {
    let model = model();
    let options = SftOptions {
        batch: 7,
        ..options()
    };
    let fault = train(
        &model,
        &rows(&model, &options),
        &options,
        None,
        &mut StopAt(0, 1),
    )
    .unwrap_err();
    assert!(matches!(fault, TrainError::Option { field: "batch", .. }));
}
