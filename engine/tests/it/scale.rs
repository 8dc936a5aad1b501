//! Size: long chains and wide graphs.

use std::time::{Duration, Instant};

use dag_engine::{Capacity, Graph, PipelineBuilder, Plan, Scope, Status};

use crate::kind::{Numbers, NumbersSettings};
use crate::world::{World, after, source};

#[test]
fn a_chain_of_a_hundred_thousand_stages_is_planned() {
    let world = World::with(Vec::new());
    let mut pipeline = PipelineBuilder::new("test", &world.path("pipeline.toml"))
        .stage::<Numbers>("s0", source(&[1]))
        .stage::<Numbers>("s1", after(&["s0"]))
        .build()
        .unwrap();
    // The builder looks names up one by one; copies are enough here.
    let link = pipeline.stages[1].clone();
    for number in 2..100_000 {
        let mut stage = link.clone();
        stage.name = format!("s{number}");
        stage.inputs[0].stage = format!("s{}", number - 1);
        pipeline.stages.push(stage);
    }
    let began = Instant::now();
    let graph = Graph::of(&pipeline).unwrap();
    let lookups = dag_engine::CacheLookups::new(&world.cache);
    let plan = Plan::of(
        &pipeline,
        &graph,
        &Scope::all(),
        &Capacity::cpus(2),
        &lookups,
    )
    .unwrap();
    let took = began.elapsed();
    assert_eq!(plan.stages.len(), 100_000);
    assert_eq!(plan.stages[0].status, Status::Run);
    assert_eq!(
        plan.stages[99_999].status,
        Status::Unknown {
            waits_for: vec!["s99998".into()]
        }
    );
    // The bound of a release build is 2 s; this one is not optimised and the machine is shared.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_fan_of_many_stages_runs_and_is_found_again() {
    let mut stages = vec![("first", source(&[1]))];
    let names: Vec<&'static str> = (0..60)
        .map(|number| &*Box::leak(format!("s{number}").into_boxed_str()))
        .collect();
    for (number, name) in names.iter().enumerate() {
        stages.push((
            name,
            NumbersSettings {
                values: vec![number as i64],
                ..after(&["first"])
            },
        ));
    }
    stages.push(("last", after(&names)));
    let world = World::with(stages).ran();
    let again = world.run();
    assert_eq!(again.calls, [""; 0]);
    assert_eq!(again.numbers("last").len(), 120);
}
