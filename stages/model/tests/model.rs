//! Laws of the model crate at its public boundary.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use burn::backend::Flex;
use burn::tensor::{Int, Tensor, TensorData};
use dag_model::{
    ChatTemplate, Config, Decoder, Generator, Layout, Message, Model, Request, Sampling, Stored,
    Weights, init, load,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn small() -> Model {
    let spec = init::Spec {
        layers: 2,
        hidden: 32,
        heads: 4,
        kv_heads: 2,
        intermediate: 48,
        positions: 64,
        tied: false,
    };
    init::from_scratch(&spec, 5).unwrap()
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

fn lines(path: &Path) -> Vec<Value> {
    fs_err::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_burn_decoder_and_the_fused_one_give_the_same_logits() {
    for class in ["LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"] {
        let config = Config::from_json(&json!({
            "architectures": [class], "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 103, "tie_word_embeddings": class == "Qwen2ForCausalLM",
            "max_position_embeddings": 64,
        }))
        .unwrap();
        let layout = Arc::new(Layout::of(&config));
        let values = (0..layout.len())
            .map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.4) * 0.5)
            .collect();
        let mut model = small();
        model.config = config.clone();
        let model = model.with_weights(Weights::new(layout, values, Stored::F32));
        let tokens: Vec<u32> = (0..40).map(|i| i * 31 % 103).collect();
        let fused = Generator::new(&model).logits(&tokens);
        let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
        let ids =
            Tensor::<Flex, 2, Int>::from_data(TensorData::new(ids, [1, 40]), &Default::default());
        let plain = Decoder::<Flex>::new(&config, &model.weights, &Default::default())
            .forward(&config, ids);
        let plain = plain.into_data().to_vec::<f32>().unwrap();
        let largest = plain.iter().fold(0f32, |a, b| a.max(b.abs()));
        for (a, b) in fused.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-4 * largest, "{class}: {a} and {b}");
        }
    }
}

#[test]
fn a_text_does_not_depend_on_its_neighbours() {
    let model = small();
    let requests: Vec<Request> = (0..9usize)
        .map(|seed| Request {
            prompt: model
                .prompt(&[Message::new("user", "abc".repeat(seed % 3 + 1))])
                .unwrap(),
            seed: seed as u64,
            sampling: Sampling {
                temperature: 1.0,
                ..Sampling::greedy(12)
            },
        })
        .collect();
    let together = Generator::new(&model)
        .with_threads(2, 3)
        .generate(&requests)
        .unwrap();
    let alone = Generator::new(&model).with_threads(1, 1);
    for (request, answer) in requests.iter().zip(&together) {
        assert_eq!(
            alone.generate(std::slice::from_ref(request)).unwrap()[0],
            *answer
        );
    }
    assert!(
        together
            .iter()
            .any(|answer| answer.text != together[0].text),
        "seeds should matter"
    );
}

#[test]
fn a_saved_folder_loads_as_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = small();
    model.save(folder.path()).unwrap();
    let again = load(folder.path()).unwrap();
    assert_eq!(again.weights, model.weights);
    assert_eq!(again.ends(), [1]);
    let text = "3 * 4 = 12\n#### 12";
    assert_eq!(
        again
            .tokenizer
            .decode(&again.tokenizer.encode(text).unwrap())
            .unwrap(),
        text
    );
    assert_eq!(again.tokenizer.encode(text).unwrap().len(), text.len());
}

#[test]
fn a_damaged_folder_is_named_with_its_tensor() {
    let folder = tempfile::tempdir().unwrap();
    small().save(folder.path()).unwrap();
    let path = folder.path().join("config.json");
    let config = fs_err::read_to_string(&path)
        .unwrap()
        .replace("\"intermediate_size\": 48", "\"intermediate_size\": 49");
    fs_err::write(&path, config).unwrap();
    let message = load(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("model.layers.0.mlp.gate_proj.weight") && message.contains("48"),
        "{message}"
    );
    fs_err::write(folder.path().join("model.safetensors"), [1, 2, 3]).unwrap();
    assert!(
        load(folder.path())
            .unwrap_err()
            .to_string()
            .contains("model.safetensors")
    );
}

#[test]
fn the_qwen_tokenizer_and_template_cases_are_exact() {
    let Some(folder) = shared("qwen2.5-tokenizer") else {
        return;
    };
    let tokenizer = dag_model::load_tokenizer(&folder).unwrap();
    for case in lines(&folder.join("tokenize_cases.jsonl")) {
        if case["tokenizer"] != "qwen2.5" {
            continue;
        }
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(
            tokenizer.encode(case["text"].as_str().unwrap()).unwrap(),
            ids,
            "{}",
            case["text"]
        );
    }
    let template: ChatTemplate = dag_model::load_template(&folder).unwrap().unwrap();
    for case in lines(&folder.join("chat_cases.jsonl")) {
        if case["model"] != "qwen2.5-instruct" {
            continue;
        }
        let open = case["add_generation_prompt"].as_bool().unwrap();
        let text = template
            .render_with(&case["messages"], case.get("tools"), open)
            .unwrap();
        assert_eq!(text, case["rendered"].as_str().unwrap());
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(&text).unwrap(), ids);
    }
}

#[test]
fn a_real_model_agrees_with_its_reference() {
    let Some(folder) = std::env::var_os("DAG_SMOLLM2").map(PathBuf::from) else {
        eprintln!("skipped: DAG_SMOLLM2 names no folder");
        return;
    };
    let Some(reference) = shared("smollm2/reference.json") else {
        return;
    };
    let reference: Value = serde_json::from_slice(&fs_err::read(reference).unwrap()).unwrap();
    let model = load(&folder).unwrap();
    let generator = Generator::new(&model);
    for case in reference["nll_nats_per_token"].as_array().unwrap() {
        let tokens = model
            .tokenizer
            .encode(case["text"].as_str().unwrap())
            .unwrap();
        assert_eq!(tokens.len() as u64, case["tokens"].as_u64().unwrap());
        let nll = generator.score(&tokens).unwrap();
        assert!(
            (nll - case["nll"].as_f64().unwrap()).abs() < 2e-3,
            "{nll} for {case}"
        );
    }
    for case in reference["greedy"].as_array().unwrap() {
        let prompt = match case.get("prompt") {
            Some(prompt) => model.tokenizer.encode(prompt.as_str().unwrap()).unwrap(),
            None => model
                .prompt(&serde_json::from_value::<Vec<Message>>(case["messages"].clone()).unwrap())
                .unwrap(),
        };
        let answer = generator
            .generate(&[Request {
                prompt,
                seed: 0,
                sampling: Sampling::greedy(24),
            }])
            .unwrap()
            .remove(0);
        if let Some(start) = case.get("starts_with").and_then(Value::as_str) {
            assert!(answer.text.starts_with(start), "{}", answer.text);
        }
        if let Some(part) = case.get("contains").and_then(Value::as_str) {
            assert!(answer.text.contains(part), "{}", answer.text);
        }
    }
}
