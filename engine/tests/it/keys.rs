//! The key itself: pinned, and free of everything that must not decide a result.

use dag_engine::{
    HubLock, HubRepo, ModelRef, ModelSpec, PipelineBuilder, ServerSpec, Status, canon,
};

use crate::kind::{Numbers, NumbersSettings};
use crate::world::{World, after, chain};

#[test]
fn the_preimage_holds_contents_and_semantic_settings_only() {
    let world = World::with(chain());
    let ran = world.run();
    let canon::Value::Map(preimage) = &ran.summary.records["b"].preimage else {
        panic!("no map")
    };
    let entries: Vec<&str> = preimage.keys().map(String::as_str).collect();
    assert_eq!(
        entries,
        [
            "files", "format", "hub", "inputs", "kind", "models", "seed", "settings", "version"
        ]
    );
    let text = serde_json::to_string(&preimage).unwrap();
    assert!(
        !text.contains(&world.path("").display().to_string()),
        "no path: {text}"
    );
    assert!(
        text.contains(&ran.summary.records["a"].outputs["main"].content.to_string()),
        "{text}"
    );
}

#[test]
fn a_key_is_pinned() {
    let ran = World::with(chain()).run();
    insta::assert_snapshot!(ran.summary.records["b"].key);
}

fn with_model(spec: ModelSpec, lock: HubLock) -> Status {
    let world = World::with(Vec::new());
    let settings = NumbersSettings {
        model: Some(ModelRef::Named("teacher".into())),
        ..after(&[])
    };
    let pipeline = PipelineBuilder::new("test", &world.path("pipeline.toml"))
        .model("teacher", spec)
        .lock(lock)
        .stage::<Numbers>("traces", settings)
        .build()
        .unwrap();
    let graph = dag_engine::Graph::of(&pipeline).unwrap();
    let lookups = dag_engine::CacheLookups::new(&world.cache);
    let plan = dag_engine::Plan::of(
        &pipeline,
        &graph,
        &dag_engine::Scope::all(),
        &dag_engine::Capacity::cpus(1),
        &lookups,
    )
    .unwrap();
    plan.stages[0].status.clone()
}

fn hub(revision: Option<&str>) -> ModelSpec {
    ModelSpec {
        hf: Some("Qwen/QwQ-32B-Preview".into()),
        revision: revision.map(str::to_owned),
        ..ModelSpec::default()
    }
}

#[test]
fn a_hub_model_without_a_known_commit_blocks_and_a_lock_or_commit_frees() {
    let Status::Blocked { needs } = with_model(hub(None), HubLock::default()) else {
        panic!("not blocked")
    };
    assert_eq!(
        needs[0].to_string(),
        "the commit of model `Qwen/QwQ-32B-Preview` at `main` is not known yet"
    );
    let mut lock = HubLock::default();
    let entry = HubLock::entry_key(HubRepo::Model, "Qwen/QwQ-32B-Preview", None);
    lock.revisions
        .insert(entry, "91906fe41a48b6a89ce2970abfd1269eefee170e".into());
    assert_eq!(with_model(hub(None), lock), Status::Run);
    assert_eq!(
        with_model(hub(Some("91906fe")), HubLock::default()),
        Status::Run
    );
}

#[test]
fn where_a_model_answers_is_not_in_the_key() {
    let key = |server: Option<ServerSpec>| {
        let world = World::with(Vec::new());
        let settings = NumbersSettings {
            model: Some(ModelRef::Spec(ModelSpec {
                server,
                ..hub(Some("91906fe"))
            })),
            ..after(&[])
        };
        let pipeline = PipelineBuilder::new("test", &world.path("pipeline.toml"))
            .stage::<Numbers>("traces", settings)
            .build()
            .unwrap();
        let graph = dag_engine::Graph::of(&pipeline).unwrap();
        let lookups = dag_engine::CacheLookups::new(&world.cache);
        let scope = dag_engine::Scope::all();
        let capacity = dag_engine::Capacity::cpus(1);
        let plan = dag_engine::Plan::of(&pipeline, &graph, &scope, &capacity, &lookups).unwrap();
        plan.stages[0].key.unwrap()
    };
    let server: ServerSpec =
        serde_json::from_str(r#"{"url": "http://gpu1:8000/v1", "price": {"output": 0.2}}"#)
            .unwrap();
    assert_eq!(key(None), key(Some(server)));
}
