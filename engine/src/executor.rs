//! Where a stage runs, and what happens around it wherever that is: its lease, its record, and a
//! panic that becomes an error. [`InProcess`] runs it on the calling thread,
//! [`Subprocess`](crate::subprocess::Subprocess) in a process of its own; both run the same
//! [`Task`].

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use dag_cache::{Cache, Lease, LeaseError, Lookup, Published, Record, StageKey};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::context::StageContext;
use crate::error::StageError;
use crate::event::{Event, EventSink, Level};
use crate::registry::Registry;
use crate::task::Task;

/// Pause between two looks at a lease that another process holds, or at a cancelled run.
const POLL: Duration = Duration::from_millis(50);

/// Runs tasks. `execute` blocks until the stage is published, or is sure not to be: on an error
/// nothing of the stage is visible except finished rows in the memo and its checkpoints.
pub trait Executor: Send + Sync {
    /// Runs one task. Events go to `sink` while it runs; `cancel` is heeded.
    ///
    /// # Errors
    /// The stage failed, panicked, was interrupted, or its process died.
    fn execute(
        &self,
        task: Arc<Task>,
        sink: Arc<dyn EventSink>,
        cancel: &Cancel,
    ) -> Result<Finished, StageError>;
}

/// A stage that is published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// The record that counts: the first one published for this key.
    pub record: Record,
    /// How it came to be.
    pub outcome: Execution,
}

/// How a published record came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// The stage ran and its result is the one that counts.
    Ran,
    /// The stage ran, and gave another result than is stored; the stored one was kept.
    RanButKept,
    /// Somebody else published it in the meantime.
    Found,
}

/// Runs tasks on the calling thread.
#[derive(Clone)]
pub struct InProcess {
    registry: Registry,
    cache: Cache,
}

impl InProcess {
    /// Runs tasks of these kinds against this cache.
    #[must_use]
    pub fn new(registry: &Registry, cache: &Cache) -> Self {
        Self {
            registry: registry.clone(),
            cache: cache.clone(),
        }
    }
}

impl Executor for InProcess {
    fn execute(
        &self,
        task: Arc<Task>,
        sink: Arc<dyn EventSink>,
        cancel: &Cancel,
    ) -> Result<Finished, StageError> {
        exec_task(&task, &self.registry, &self.cache, sink, cancel)
    }
}

/// Runs one task on the calling thread, under its lease, and publishes its record.
///
/// # Errors
/// See [`Executor::execute`].
pub fn exec_task(
    task: &Arc<Task>,
    registry: &Registry,
    cache: &Cache,
    sink: Arc<dyn EventSink>,
    cancel: &Cancel,
) -> Result<Finished, StageError> {
    let kind = registry.get(&task.kind).ok_or_else(|| {
        StageError::environment(format!("this program has no stage kind `{}`", task.kind))
    })?;
    if kind.version() != task.version {
        return Err(StageError::environment(format!(
            "the task is for version {} of kind `{}`, this program has version {}",
            task.version,
            task.kind,
            kind.version()
        ))
        .with_hint("run every part with the same version of the program"));
    }
    let settings = kind.settings_from_json(&task.settings).map_err(|error| {
        StageError::bug(format!(
            "settings of kind `{}` do not survive JSON: {error}",
            task.kind
        ))
    })?;
    let lease = match take_lease(task, cache, sink.as_ref(), cancel)? {
        Turn::Ours(lease) => lease,
        Turn::Done(record) => {
            return Ok(Finished {
                record: *record,
                outcome: Execution::Found,
            });
        }
    };
    let began = Instant::now();
    let mut cx = StageContext::new(
        Arc::clone(task),
        cache.clone(),
        Arc::clone(&sink),
        cancel.clone(),
    );
    let result = unwinding(|| kind.run(&settings, &mut cx));
    cx.flush_memo()?;
    result?;
    let record = record_of(task, &cx, began.elapsed())?;
    let finished = match cache.publish(&record)? {
        Published::New | Published::Same => Finished {
            record,
            outcome: Execution::Ran,
        },
        Published::Kept(first) => Finished {
            record: *first,
            outcome: Execution::RanButKept,
        },
    };
    cache.drop_scratch(&task.key)?;
    drop(lease);
    Ok(finished)
}

/// Whose turn it is to work on a key.
enum Turn {
    Ours(Lease),
    Done(Box<Record>),
}

/// Waits for the lease of the task's key. A result that appears meanwhile is as good.
fn take_lease(
    task: &Task,
    cache: &Cache,
    sink: &dyn EventSink,
    cancel: &Cancel,
) -> Result<Turn, StageError> {
    let mut told = false;
    loop {
        match cache.lease(&task.key) {
            Ok(lease) => {
                // Published between the plan and the lease?
                if !task.force
                    && let Lookup::Hit(record) = cache.lookup(&task.key)
                {
                    return Ok(Turn::Done(record));
                }
                return Ok(Turn::Ours(lease));
            }
            Err(LeaseError::Held { by }) => {
                if !std::mem::replace(&mut told, true) {
                    sink.event(&Event::StageLog {
                        stage: task.stage.clone(),
                        level: Level::Info,
                        text: format!("{by} is working on the same stage; waiting for its result"),
                    });
                }
                if cancel.draining() {
                    return Err(StageError::Interrupted);
                }
                std::thread::sleep(POLL);
            }
            Err(LeaseError::Cache(error)) => return Err(error.into()),
        }
    }
}

/// Puts together what the stage has put out.
fn record_of(task: &Task, cx: &StageContext, took: Duration) -> Result<Record, StageError> {
    let collected = std::mem::take(&mut *cx.collected().lock());
    for output in &task.outputs {
        if !collected.outputs.contains_key(&output.name) {
            return Err(StageError::bug(format!(
                "kind `{}` announced output `{}` and did not write it",
                task.kind, output.name
            )));
        }
    }
    let main = task
        .outputs
        .first()
        .ok_or_else(|| StageError::bug(format!("kind `{}` announced no output", task.kind)))?;
    Ok(Record {
        key: task.key,
        preimage: task.preimage.clone(),
        outputs: collected.outputs,
        main: main.name.clone(),
        metrics: collected.metrics,
        counts: collected.counts,
        usage: collected.usage,
        notes: collected.notes,
        unfinished: collected.unfinished,
        seconds: took.as_secs_f64(),
        finished_at: jiff::Timestamp::now().to_string(),
        by: task.by.clone(),
        tool: task.tool.clone(),
    })
}

thread_local! {
    /// The last panic on this thread, while a stage runs on it.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether a stage runs on this thread.
    static GUARDED: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs a stage; a panic becomes an error with its message and place. The default hook would print
/// into the middle of whatever the terminal shows, so it is left out on threads that run stages.
fn unwinding(run: impl FnOnce() -> Result<(), StageError>) -> Result<(), StageError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if GUARDED.with(|guarded| *guarded.borrow()) {
                PANIC.with(|last| *last.borrow_mut() = Some(panic.to_string()));
            } else {
                before(panic);
            }
        }));
    });
    let outer = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(run));
    GUARDED.with(|guarded| *guarded.borrow_mut() = outer);
    result.unwrap_or_else(|payload| {
        let message = PANIC.with(RefCell::take).unwrap_or_else(|| {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned())
        });
        Err(StageError::Bug(message))
    })
}

/// Whether the cache has a whole result for a key.
pub(crate) fn is_hit(cache: &Cache, key: &StageKey) -> bool {
    matches!(cache.lookup(key), Lookup::Hit(_))
}
