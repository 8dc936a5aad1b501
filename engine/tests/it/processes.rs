//! Tasks in a process of their own. The test program itself is the other process: it runs one of
//! its tests, which then serves a task instead.

use std::io::BufReader;
use std::sync::{Arc, Mutex};

use dag_engine::subprocess::Line;
use dag_engine::{Cancel, Event, StageOutcome, Subprocess, Task, serve_exec};

use crate::kind::registry;
use crate::world::{Ran, World, chain};

/// Set in the child. It answers on descriptor 3, since the test harness writes to its standard
/// output.
const CHILD: &str = "DAG_TEST_CHILD";

fn in_processes(world: &mut World) {
    let program = std::env::current_exe().unwrap();
    let command = format!(
        "{CHILD}=1 exec '{}' --exact processes::a_task_is_served --nocapture --quiet 3>&1 >/dev/null",
        program.display()
    );
    world.options.isolated = Some(Arc::new(Subprocess::new("sh", &["-c", &command])));
}

fn isolated(ran: &Ran) -> usize {
    // A stage that ran elsewhere is not counted here.
    ran.summary.ended(StageOutcome::Ran).len() - ran.calls.len()
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_task_is_served() {
    if std::env::var_os(CHILD).is_some() {
        let answers = fs_err::OpenOptions::new()
            .write(true)
            .open("/dev/fd/3")
            .unwrap();
        serve_exec(
            &registry(),
            BufReader::new(std::io::stdin()),
            answers,
            &Cancel::new(),
            |_| {},
        )
        .unwrap();
        return;
    }
    let world = World::with(chain());
    let ran = world.run();
    let record = &ran.summary.records["a"];
    let stage = &world.pipeline().stages[0];
    let task = Task {
        stage: "a".into(),
        kind: "numbers".into(),
        version: 1,
        settings: stage.settings_json.clone(),
        key: record.key,
        preimage: record.preimage.clone(),
        seed: 0,
        inputs: Vec::new(),
        models: Vec::new(),
        files: std::collections::BTreeMap::new(),
        hub: std::collections::BTreeMap::new(),
        outputs: Vec::new(),
        resources: dag_engine::Resources::default(),
        cache: world.cache.root().to_owned(),
        by: "test@here".into(),
        tool: "0".into(),
        force: false,
        share: true,
        wait: false,
        supervised: false,
    };
    let input = std::io::Cursor::new(serde_json::to_vec(&task).unwrap());
    let output = Shared::default();
    assert!(serve_exec(&registry(), input, output.clone(), &Cancel::new(), |_| {}).unwrap());
    let output = output.0.lock().unwrap().clone();
    let Line::Done { finished } = serde_json::from_slice(&output).unwrap() else {
        panic!("no answer")
    };
    assert_eq!(finished.record, **record);
}

#[test]
fn a_stage_in_a_process_of_its_own_gives_the_same_result() {
    let mut world = World::with(chain());
    in_processes(&mut world);
    world.stage("b").isolate = true;
    let ran = world.run();
    assert_eq!(isolated(&ran), 1);
    assert_eq!(ran.numbers("c"), [1, 2, 3]);
    let here = World::with(chain()).run();
    for stage in ["a", "b", "c"] {
        assert_eq!(
            ran.summary.records[stage].key,
            here.summary.records[stage].key
        );
        assert_eq!(
            ran.summary.records[stage].outputs,
            here.summary.records[stage].outputs
        );
    }
}

#[test]
fn failures_and_money_come_back_from_a_process() {
    let mut world = World::with(chain());
    in_processes(&mut world);
    world.options.isolate_all = true;
    world.stage("a").usd = 3;
    world.trouble("b", "fail");
    let ran = world.run();
    assert_eq!(ran.summary.usage.requests, 3);
    assert_eq!(ran.failure("b"), "row 7 has no answer");
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, Event::StageUsage { .. }))
    );
}

#[test]
fn a_process_that_dies_is_a_failure_and_nothing_is_published() {
    let mut world = World::with(chain());
    in_processes(&mut world);
    world.options.isolate_all = true;
    world.trouble("a", "abort");
    let ran = world.run();
    assert_eq!(ran.outcome("a"), StageOutcome::Failed);
    assert!(
        ran.failure("a").contains("ended without an answer"),
        "{}",
        ran.failure("a")
    );
    world.trouble("a", "");
    world.options.isolate_all = false;
    assert_eq!(world.run().calls, ["a", "b", "c"]);
}

#[test]
fn a_cancel_reaches_a_process() {
    let mut world = World::with(chain());
    in_processes(&mut world);
    world.options.isolate_all = true;
    world.trouble("a", "wait");
    let ran = world.run_cancelled(Cancel::drain);
    assert_eq!(ran.outcome("a"), StageOutcome::Ran);
    assert_eq!(ran.outcome("b"), StageOutcome::Interrupted);
}
