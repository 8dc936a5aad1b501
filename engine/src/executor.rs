//! Where a stage runs, and what happens around it wherever that is: its lease, its record, and a
//! panic that becomes an error. [`InProcess`] runs it on the calling thread,
//! [`Subprocess`](crate::subprocess::Subprocess) in a process of its own; both run the same
//! [`Task`].

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use dag_cache::remote::{Busy, Pushed, RemoteLease, Watched};
use dag_cache::{Cache, Lease, LeaseError, Lookup, Published, Record};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::context::StageContext;
use crate::error::StageError;
use crate::event::{Event, EventSink, Level};
use crate::registry::Registry;
use crate::task::Task;

/// Pause between two looks at a lease that another process holds, or at a cancelled run.
const POLL: Duration = Duration::from_millis(50);

/// Pause between two looks at a colleague's work.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// The stage ran and its result is the one that counts.
    Ran,
    /// The stage ran, and gave another result than is stored; the stored one was kept.
    RanButKept,
    /// The stage ran, and a colleague had pushed another result; theirs was adopted.
    RanButAdopted {
        /// Who, by the name this user gave them.
        writer: String,
        /// Where.
        remote: String,
    },
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
    let announced = match announce(task, cache, sink.as_ref(), cancel)? {
        Turn::Ours(announced) => announced,
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
    cx.keep_rows()?;
    result?;
    let record = record_of(task, &cx, began.elapsed())?;
    // Said before the result is there, so that it is never there without.
    if !task.share {
        cache.keep_private(&task.key, true)?;
    }
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
    let finished = push(task, cache, sink.as_ref(), finished);
    drop(announced);
    drop(lease);
    Ok(finished)
}

/// Whose turn it is to work on a key.
enum Turn<L> {
    Ours(L),
    Done(Box<Record>),
}

/// Waits for the lease of the task's key. A result that appears meanwhile is as good.
fn take_lease(
    task: &Task,
    cache: &Cache,
    sink: &dyn EventSink,
    cancel: &Cancel,
) -> Result<Turn<Lease>, StageError> {
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

/// Tells colleagues that the stage runs here. One who is at work on it already is waited for, if the task
/// says so.
fn announce(
    task: &Task,
    cache: &Cache,
    sink: &dyn EventSink,
    cancel: &Cancel,
) -> Result<Turn<Vec<RemoteLease>>, StageError> {
    if !task.share {
        return Ok(Turn::Ours(Vec::new()));
    }
    let tell = |busy: &Busy| {
        sink.event(&Event::StageElsewhere {
            stage: task.stage.clone(),
            by: busy.by.clone(),
            remote: busy.remote.clone(),
            waits: task.wait,
        });
    };
    loop {
        let mut busy = match cache.announce(&task.key, &task.by) {
            Ok(leases) => return Ok(Turn::Ours(leases)),
            Err(busy) => busy,
        };
        tell(&busy);
        if !task.wait {
            return Ok(Turn::Ours(Vec::new()));
        }
        loop {
            let over = busy.look() == Watched::Over;
            match cache.lookup_all(&[task.key]).pop() {
                Some(Lookup::Hit(record) | Lookup::Shared { record, .. }) if !task.force => {
                    return Ok(Turn::Done(record));
                }
                _ => {}
            }
            if over {
                break;
            }
            let until = Instant::now() + LOOK_EVERY;
            while Instant::now() < until {
                if cancel.draining() {
                    return Err(StageError::Interrupted);
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Pushes a result to every remote that results go to. A remote that fails costs a warning: the result is
/// here, and can be pushed later.
fn push(task: &Task, cache: &Cache, sink: &dyn EventSink, mut finished: Finished) -> Finished {
    let Some(remotes) = cache.remotes().filter(|_| task.share) else {
        return finished;
    };
    for remote in remotes.pushed_to() {
        let (mut blobs, mut bytes, mut rows) = (0, 0, 0);
        let (mut over, mut failure) = (None, None);
        match cache.push(&task.key, remote) {
            Ok(report) => {
                (blobs, bytes, rows) = (report.blobs, report.bytes, report.rows);
                match report.outcome {
                    Pushed::New | Pushed::Same => {}
                    Pushed::Replaced { reason } => over = Some(reason),
                    Pushed::Adopted { record, writer } => {
                        finished = Finished {
                            record: *record,
                            outcome: Execution::RanButAdopted {
                                writer,
                                remote: remote.to_owned(),
                            },
                        };
                    }
                }
            }
            Err(error) => {
                let told = StageError::from(error).to_failure();
                failure = Some(told.causes.join(": "));
            }
        }
        sink.event(&Event::StagePushed {
            stage: task.stage.clone(),
            remote: remote.to_owned(),
            blobs,
            bytes,
            rows,
            over,
            failure,
        });
    }
    finished
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
