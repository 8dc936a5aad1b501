//! A stage in a process of its own, and the other end of that: the same road that other machines
//! take. The task goes in as one line of JSON, events and the answer come out as JSON lines.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dag_cache::Cache;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::error::{Failure, StageError};
use crate::event::{Event, EventSink, Level};
use crate::executor::{Executor, Finished, exec_task};
use crate::registry::Registry;
use crate::task::Task;

/// How often a cancel is looked for, to be passed on.
const POLL: Duration = Duration::from_millis(10);

/// Runs each task in a process of its own.
///
/// The child reads the task as one line of JSON from its standard input and writes
/// [`Line`]s to its standard output; what it writes to standard error goes to the stage's log. It
/// gets a process group of its own: Ctrl-C reaches it through us, once per step.
#[derive(Clone, Debug)]
pub struct Subprocess {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Subprocess {
    /// Starts `program arguments…`, which must end in [`serve_exec`].
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
        }
    }

    /// Starts this very program with `exec`, for a pipeline in this folder.
    ///
    /// # Errors
    /// The system does not tell where the program lies.
    pub fn current_exe(project: &Path) -> std::io::Result<Self> {
        let mut this = Self::new(std::env::current_exe()?, &["exec", "--project"]);
        this.arguments.push(project.into());
        Ok(this)
    }
}

impl Executor for Subprocess {
    fn execute(
        &self,
        task: Arc<Task>,
        sink: Arc<dyn EventSink>,
        cancel: &Cancel,
    ) -> Result<Finished, StageError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| {
            StageError::environment(format!(
                "{} does not start: {error}",
                self.program.display()
            ))
        })?;
        let supervised = Task {
            supervised: true,
            ..(*task).clone()
        };
        let result = converse(&mut child, &supervised, &sink, cancel);
        if result.is_err() {
            // An answer that cannot be read leaves a child that nobody listens to.
            child.kill().ok();
        }
        let status = child.wait()?;
        match result? {
            Some(Line::Done { finished }) => Ok(*finished),
            Some(Line::Failed { failure }) => Err(failure.into()),
            Some(Line::Event { .. }) | None if cancel.stopping() => Err(StageError::Interrupted),
            Some(Line::Event { .. }) | None => Err(StageError::environment(format!(
                "the process of the stage ended without an answer ({status})"
            ))
            .with_hint("out of memory is the usual cause; see the stage's log")),
        }
    }
}

/// A line that a task's process writes to standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Something happened.
    Event {
        /// What.
        event: Box<Event>,
    },
    /// The stage is published. The last line.
    Done {
        /// Its record.
        finished: Box<Finished>,
    },
    /// The stage failed. The last line.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// Commands to a task's process, a line each.
const DRAIN: &str = "drain";
const STOP: &str = "stop";

/// Talks to a task's process until it falls silent; gives the last answer.
fn converse(
    child: &mut Child,
    task: &Task,
    sink: &Arc<dyn EventSink>,
    cancel: &Cancel,
) -> Result<Option<Line>, StageError> {
    let missing = || StageError::bug("a pipe to the stage's process is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let mut line = serde_json::to_string(task)
        .map_err(|error| StageError::bug(format!("a task does not become JSON: {error}")))?;
    line.push('\n');
    // A child that dies early closes the pipe; its status tells more than the pipe does.
    stdin
        .write_all(line.as_bytes())
        .and_then(|()| stdin.flush())
        .ok();

    let finished = Arc::new(Mutex::new(false));
    let forwarder = forward_cancel(stdin, cancel.clone(), Arc::clone(&finished));
    let logger = {
        let (sink, stage) = (Arc::clone(sink), task.stage.clone());
        std::thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.event(&Event::StageLog {
                    stage: stage.clone(),
                    level: Level::Warn,
                    text,
                });
            }
        })
    };
    let mut last = None;
    let mut broken = None;
    for line in BufReader::new(stdout).lines() {
        match line.map_err(StageError::from).and_then(|line| {
            serde_json::from_str(&line).map_err(|_| {
                StageError::bug(format!(
                    "the stage's process wrote a line that is no answer: {line}"
                ))
            })
        }) {
            Ok(Line::Event { event }) => sink.event(&event),
            Ok(answer) => last = Some(answer),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    *finished.lock().unwrap_or_else(PoisonError::into_inner) = true;
    forwarder.join().ok();
    if broken.is_none() {
        logger.join().ok();
    }
    broken.map_or(Ok(last), Err)
}

/// Passes each step of a cancel on to the child, and keeps its standard input open until then.
fn forward_cancel(
    mut stdin: ChildStdin,
    cancel: Cancel,
    finished: Arc<Mutex<bool>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut drained, mut stopped) = (false, false);
        while !*finished.lock().unwrap_or_else(PoisonError::into_inner) {
            if cancel.draining() && !std::mem::replace(&mut drained, true) {
                writeln!(stdin, "{DRAIN}").and_then(|()| stdin.flush()).ok();
            }
            if cancel.stopping() && !std::mem::replace(&mut stopped, true) {
                writeln!(stdin, "{STOP}").and_then(|()| stdin.flush()).ok();
            }
            std::thread::sleep(POLL);
        }
    })
}

/// The other end of [`Subprocess`]: reads a task from `input`, runs it against its cache after `connect`
/// has connected that with remotes, writes [`Line`]s to `output`. Says whether the stage was published. `cancel` is advanced by commands on `input`,
/// and stopped when a supervising process is gone; the caller may advance it on signals as well.
///
/// # Errors
/// The task cannot be read, or the answer cannot be written.
pub fn serve_exec(
    registry: &Registry,
    mut input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    cancel: &Cancel,
    connect: impl FnOnce(&Cache),
) -> std::io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let task: Arc<Task> = Arc::new(serde_json::from_str(&line)?);
    let lines = Arc::new(Lines(Mutex::new(output)));
    let (supervised, commanded) = (task.supervised, cancel.clone());
    std::thread::spawn(move || {
        for command in input.lines().map_while(Result::ok) {
            match command.trim() {
                DRAIN => commanded.drain(),
                STOP => commanded.stop(),
                _ => {}
            }
        }
        if supervised {
            commanded.stop();
        }
    });
    let result = Cache::open(&task.cache)
        .map_err(StageError::from)
        .and_then(|cache| {
            connect(&cache);
            exec_task(
                &task,
                registry,
                &cache,
                Arc::clone(&lines) as Arc<dyn EventSink>,
                cancel,
            )
        });
    let (answer, published) = match result {
        Ok(finished) => (
            Line::Done {
                finished: Box::new(finished),
            },
            true,
        ),
        Err(error) => (
            Line::Failed {
                failure: error.to_failure(),
            },
            false,
        ),
    };
    lines.write(&answer)?;
    Ok(published)
}

/// Writes lines from many threads, each whole.
struct Lines<W>(Mutex<W>);

impl<W: Write> Lines<W> {
    fn write(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(&text)?;
        output.flush()
    }
}

impl<W: Write + Send> EventSink for Lines<W> {
    fn event(&self, event: &Event) {
        // If nobody listens any more, the end of the input says so too.
        self.write(&Line::Event {
            event: Box::new(event.clone()),
        })
        .ok();
    }
}
