//! `command`: the user's own program as a stage. Tables go in as Parquet files, one comes out.
//!
//! The program runs in a folder of its own, empty and gone afterwards, and finds in its environment:
//!
//! | variable | what |
//! |---|---|
//! | `DAG_INPUT_<SLOT>` | the Parquet file of an input (`from` → `DAG_INPUT_FROM`); of several under one slot, the files in order, one a line |
//! | `DAG_OUTPUT` | where to put the output: write Parquet there, or JSON lines to that path with `.jsonl` added |
//! | `DAG_FILE_<N>` | the absolute path of the N-th declared file, counted from 0 |
//! | `DAG_SEED` | the stage's seed |
//! | `PATH`, `HOME`, `LANG`, `TMPDIR` and what `env` names | as in the caller's environment |
//!
//! Nothing else of the environment is passed on, so that what is not declared is not relied upon. Values of `env` reach
//! the program only, never a key or a record. The program and its children are one process group, killed together when
//! the run is stopped, the time is over or the program has ended.
//!
//! Three rows before and after `run = ["python3", "shout.py"]`:
//!
//! | prompt | → | prompt | loud |
//! |---|---|---|---|
//! | a | | a | A |
//! | b | | b | B |
//! | c | | c | C |

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow::datatypes::Schema;
use dag_engine::event::Level;
use dag_engine::{
    Declaration, Fault, Inputs, OneOrMany, OutputDecl, StageContext, StageError, StageKind,
    StageRef, canon, open_schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many last lines of the program's errors an error of the stage quotes.
const TAIL: usize = 20;
/// Rows read of the JSON lines before their columns are decided.
const INFERRED_FROM: usize = 10_000;
/// What is passed on without being asked for.
const ALWAYS: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// Settings of `command`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// The tables that go in, as `DAG_INPUT_FROM`. Default none. Semantic.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub from: OneOrMany<StageRef>,
    /// More inputs by slot: `inputs = { gold = "problems" }` is `DAG_INPUT_GOLD`. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, StageRef>,
    /// The program and its arguments; no shell takes part. An argument that is exactly one of `files` is replaced by
    /// its absolute path. Semantic.
    pub run: Vec<String>,
    /// What the program reads besides its inputs: scripts, word lists, folders. Relative to the pipeline file, hashed.
    /// Semantic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Environment variables that are passed on by name. Operational.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Columns that the output is promised to have; checked before and after the run. Default: whatever comes.
    /// Semantic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The longest run, in seconds. Default: no limit. Operational.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// The same inputs give the same output. Default true. With `false` the record says so; the output is kept and
    /// reused all the same. Semantic.
    #[serde(default = "yes")]
    pub deterministic: bool,
    /// CPU cores that the program keeps busy. Default 1. Operational.
    #[serde(default = "one")]
    pub cpus: u32,
    /// GPUs that the program needs. Default 0. Operational.
    #[serde(default)]
    pub gpus: u32,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

/// The kind `command`.
pub struct Command;

impl StageKind for Command {
    type Settings = CommandSettings;

    const NAME: &'static str = "command";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "run a program of your own, Parquet in and out";
    const VERB: &'static str = "Ran";

    fn declare(settings: &CommandSettings) -> Declaration {
        let CommandSettings {
            from,
            inputs,
            run,
            files,
            env: _, // operational
            columns,
            timeout_s: _, // operational
            deterministic,
            cpus,
            gpus,
        } = settings;
        let texts = |texts: &[String]| {
            canon::Value::List(texts.iter().map(|text| text.as_str().into()).collect())
        };
        let mut declaration = Declaration::new()
            .key(canon::Value::map([
                // an argument that names a file is that file's place, and its content counts instead
                (
                    "run",
                    canon::Value::List(
                        run.iter()
                            .map(|argument| semantic(argument, files))
                            .collect(),
                    ),
                ),
                ("columns", texts(columns)),
                ("deterministic", (*deterministic).into()),
            ]))
            .cpus(*cpus)
            .gpus(*gpus);
        if !from.is_empty() {
            declaration = declaration.input("from", from);
        }
        for (slot, stage) in inputs {
            declaration = declaration.input(&format!("inputs.{slot}"), stage);
        }
        for (at, file) in files.iter().enumerate() {
            declaration = declaration.file(&format!("files.{at}"), file);
        }
        declaration
    }

    fn outputs(settings: &CommandSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let faults: Vec<Fault> = inputs
            .slots()
            .filter_map(|(slot, _)| inputs.need(slot, &[]).err())
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        if settings.columns.is_empty() {
            return Ok(vec![OutputDecl::open_table("main")]);
        }
        let columns: Vec<&str> = settings.columns.iter().map(String::as_str).collect();
        Ok(vec![OutputDecl::table("main", open_schema(&columns))])
    }

    fn check(settings: &CommandSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if settings.run.first().is_none_or(String::is_empty) {
            faults.push(
                Fault::field("run", "`run` names no program")
                    .hint("write `run = [\"python3\", \"script.py\"]`"),
            );
        }
        if settings.timeout_s == Some(0) {
            faults.push(Fault::field(
                "timeout_s",
                "`timeout_s` is 0: the program would be stopped at once",
            ));
        }
        if settings.cpus == 0 {
            faults.push(Fault::field(
                "cpus",
                "`cpus` is 0: a program needs at least one",
            ));
        }
        for slot in settings.inputs.keys() {
            if slot == "from"
                || slot.is_empty()
                || !slot.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            {
                faults.push(Fault::field(
                    "inputs",
                    format!("input `{slot}` cannot become the name of an environment variable: use letters, digits and `_`, and not `from`"),
                ));
            }
        }
        for name in &settings.env {
            if name.is_empty() || name.contains(['=', '\0']) || name.starts_with("DAG_") {
                faults.push(Fault::field("env", format!("`{name}` is not a variable that can be passed on: it is a name, without `=`, and not one of `DAG_…`")));
            }
        }
        faults
    }

    fn run(settings: &CommandSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let folder = cx.scratch()?.join("work");
        fs_err::create_dir_all(&folder)?;
        let output = cx.scratch()?.join("output");
        let mut program = prepared(settings, cx, &folder, &output)?;
        let name = settings.run.join(" ");
        let (status, tail) = supervise(&mut program, &name, settings.timeout_s, cx)?;
        if !status.success() {
            return Err(ended_badly(&name, status, &tail));
        }
        if !settings.deterministic {
            cx.note(
                "the program is declared not deterministic: another run may give another output",
            );
        }
        take_output(settings, cx, &name, &output)
    }
}

/// An argument as it enters the key.
fn semantic(argument: &str, files: &[PathBuf]) -> canon::Value {
    match files.iter().position(|file| file == Path::new(argument)) {
        Some(at) => {
            canon::Value::List(vec!["file".into(), (at as u64).to_string().as_str().into()])
        }
        None => argument.into(),
    }
}

/// The program with its arguments and its environment, ready to start.
fn prepared(
    settings: &CommandSettings,
    cx: &StageContext,
    folder: &Path,
    output: &Path,
) -> Result<std::process::Command, StageError> {
    let resolve = |argument: &String| -> Result<std::ffi::OsString, StageError> {
        match settings
            .files
            .iter()
            .position(|file| file == Path::new(argument))
        {
            Some(at) => Ok(cx.file(&format!("files.{at}"))?.into()),
            None => Ok(argument.into()),
        }
    };
    let mut arguments = settings.run.iter().map(resolve);
    let program = arguments
        .next()
        .ok_or_else(|| StageError::bug("`run` was checked, and is empty"))??;
    let mut command = std::process::Command::new(program);
    for argument in arguments {
        command.arg(argument?);
    }
    command
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.process_group(0);
    for name in ALWAYS
        .into_iter()
        .chain(settings.env.iter().map(String::as_str))
    {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("DAG_OUTPUT", output)
        .env("DAG_SEED", cx.seed().to_string());
    for at in 0..settings.files.len() {
        command.env(format!("DAG_FILE_{at}"), cx.file(&format!("files.{at}"))?);
    }
    let more = settings
        .inputs
        .keys()
        .map(|slot| (format!("inputs.{slot}"), slot.to_ascii_uppercase()));
    for (slot, variable) in [("from".to_owned(), "FROM".to_owned())]
        .into_iter()
        .chain(more)
    {
        let mut paths = Vec::new();
        for input in cx.inputs(&slot) {
            paths.push(cx.open_table(input)?.path().display().to_string());
        }
        if !paths.is_empty() {
            command.env(format!("DAG_INPUT_{variable}"), paths.join("\n"));
        }
    }
    Ok(command)
}

/// A running program and its children. Dropped, all of them are killed.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        let group = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // fails only if nothing of the group is left
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        self.0.wait().ok();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the program to its end, and gives its status and the last lines of its errors. Its output goes to the log.
fn supervise(
    command: &mut std::process::Command,
    name: &str,
    timeout_s: Option<u64>,
    cx: &StageContext,
) -> Result<(ExitStatus, Vec<String>), StageError> {
    let child = command.spawn().map_err(|error| {
        StageError::failed(format!("`{name}` does not start: {error}"))
            .with_hint("the program must be on the PATH, be absolute, or stand in `files`")
    })?;
    let mut group = Group(child);
    let (told, lines) = std::sync::mpsc::channel();
    let readers: Vec<JoinHandle<()>> = [
        group
            .0
            .stdout
            .take()
            .map(|pipe| read_lines(pipe, Level::Info, told.clone())),
        group
            .0
            .stderr
            .take()
            .map(|pipe| read_lines(pipe, Level::Warn, told)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let started = Instant::now();
    let mut tail = VecDeque::new();
    let mut take = |level: Level, line: String| {
        cx.log(level, &line);
        if matches!(level, Level::Warn) {
            tail.push_back(line);
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
    };
    let status = loop {
        while let Ok((level, line)) = lines.try_recv() {
            take(level, line);
        }
        if let Some(status) = group.0.try_wait()? {
            break status;
        }
        if cx.cancel().stopping() {
            return Err(StageError::Interrupted);
        }
        if let Some(limit) = timeout_s
            && started.elapsed() >= Duration::from_secs(limit)
        {
            return Err(
                StageError::failed(format!("`{name}` was stopped after {limit} s"))
                    .with_hint("raise `timeout_s`, or give the program less to do"),
            );
        }
        if let Ok((level, line)) = lines.recv_timeout(LOOK) {
            take(level, line);
        }
    };
    // children that outlive the program would hold its pipes open
    group.kill();
    for reader in readers {
        reader.join().ok();
    }
    while let Ok((level, line)) = lines.try_recv() {
        take(level, line);
    }
    Ok((status, tail.into()))
}

/// Hands over what comes, line by line; bytes that are no text are replaced.
fn read_lines(
    pipe: impl Read + Send + 'static,
    level: Level,
    told: std::sync::mpsc::Sender<(Level, String)>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            if told
                .send((level, String::from_utf8_lossy(&line).trim_end().to_owned()))
                .is_err()
            {
                return;
            }
            line.clear();
        }
    })
}

fn ended_badly(name: &str, status: ExitStatus, tail: &[String]) -> StageError {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("`{name}` ended with exit code {code}"),
        (None, Some(signal)) => format!("`{name}` was killed by signal {signal}"),
        (None, None) => format!("`{name}` ended badly"),
    };
    if tail.is_empty() {
        return StageError::failed(how).with_hint("it said nothing on stderr");
    }
    StageError::failed(format!("{how}:\n{}", tail.join("\n")))
}

/// Makes the program's file the stage's output.
fn take_output(
    settings: &CommandSettings,
    cx: &StageContext,
    name: &str,
    output: &Path,
) -> Result<(), StageError> {
    let lines = output.with_extension("jsonl");
    let check = |schema: &Schema| match settings
        .columns
        .iter()
        .find(|column| schema.column_with_name(column).is_none())
    {
        Some(column) => {
            let names: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            Err(StageError::failed(format!(
                "`{name}` promised column `{column}`; its output has {}",
                names.join(", ")
            )))
        }
        None => Ok(()),
    };
    let rows = if output.is_file() {
        let table = dag_engine::Table::open(output)?;
        check(table.schema())?;
        let mut writer = cx.table_writer("main", Arc::clone(table.schema()))?;
        for batch in table.batches()? {
            writer.write(&batch?)?;
        }
        writer.finish()?.rows
    } else if lines.is_file() {
        let mut first = BufReader::new(fs_err::File::open(&lines)?);
        let (schema, _) = arrow::json::reader::infer_json_schema(&mut first, Some(INFERRED_FROM))?;
        check(&schema)?;
        let schema = Arc::new(schema);
        let mut writer = cx.table_writer("main", Arc::clone(&schema))?;
        let again = BufReader::new(fs_err::File::open(&lines)?);
        for batch in arrow::json::ReaderBuilder::new(schema)
            .with_strict_mode(true)
            .build(again)?
        {
            writer.write(&batch?)?;
        }
        writer.finish()?.rows
    } else {
        return Err(StageError::failed(format!("`{name}` wrote no output"))
            .with_hint("write Parquet to the path in DAG_OUTPUT, or JSON lines to that path with `.jsonl` added"));
    };
    cx.count("out", rows.unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> CommandSettings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_moved_script_has_the_same_key() {
        let at = |place: &str| {
            Command::declare(&settings(&format!(
                r#"{{"run": ["python3", "{place}"], "files": ["{place}"]}}"#
            )))
            .key
        };
        assert_eq!(at("a/x.py"), at("b/y.py"));
        let undeclared = |place: &str| {
            Command::declare(&settings(&format!(r#"{{"run": ["python3", "{place}"]}}"#))).key
        };
        assert_ne!(undeclared("a/x.py"), undeclared("b/y.py"));
    }

    #[test]
    fn operational_settings_do_not_reach_the_key() {
        let plain = Command::declare(&settings(r#"{"run": ["true"]}"#)).key;
        let tuned = Command::declare(&settings(
            r#"{"run": ["true"], "env": ["TOKEN"], "timeout_s": 5, "cpus": 2}"#,
        ))
        .key;
        assert_eq!(plain, tuned);
        assert_ne!(
            plain,
            Command::declare(&settings(r#"{"run": ["true"], "columns": ["x"]}"#)).key
        );
    }

    #[test]
    fn settings_without_sense_are_refused() {
        for (text, field) in [
            (r#"{"run": []}"#, "run"),
            (r#"{"run": ["true"], "timeout_s": 0}"#, "timeout_s"),
            (r#"{"run": ["true"], "env": ["A=b"]}"#, "env"),
            (r#"{"run": ["true"], "inputs": {"from": "x"}}"#, "inputs"),
        ] {
            let faults = Command::check(&settings(text));
            assert_eq!(
                faults.first().and_then(|fault| fault.field.as_deref()),
                Some(field),
                "{text}"
            );
        }
    }
}
