//! A small world: a folder with a pipeline and problems, a cache of its own, and a teacher on loopback
//! that knows its sums, mostly. Tests edit the files as a user would and run the program itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dag_testing::{FakeTeacher, Question};
use serde_json::Value;
use tempfile::TempDir;

/// The pipeline that most tests begin with. `URL` becomes the teacher's address.
const PIPELINE: &str = r#"[pipeline]
name = "world"
seed = 7

[models.teacher]
name   = "fake-teacher"
server = { url = "URL", concurrency = 8 }

[stage.problems]
kind   = "problems"
source = { jsonl = "problems.jsonl" }
domain = "math"

[stage.traces]
kind  = "sample"
from  = "problems"
model = "teacher"
n     = 2

[stage.accepted]
kind     = "filter"
from     = "traces"
strategy = "rejection"

[stage.formatted]
kind  = "reformat"
from  = "accepted"
style = "think"
"#;

/// A folder with a pipeline, its own cache, and a teacher.
pub(crate) struct World {
    root: TempDir,
    /// The folder of the pipeline file; it can be moved.
    home: PathBuf,
    teacher: Arc<FakeTeacher>,
}

/// What one call of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output, if it is one JSON document.
    pub(crate) json: Value,
}

/// Content digests: stage → output → digest.
pub(crate) type Contents = BTreeMap<String, BTreeMap<String, String>>;

impl World {
    /// A world with `n` sums to ask and the usual pipeline.
    pub(crate) fn with_problems(n: usize) -> Self {
        let teacher = Arc::new(FakeTeacher::start(answer));
        Self::taught_by(teacher, n)
    }

    /// The same, with a cache and folder of its own, and another world's teacher.
    pub(crate) fn beside(&self, n: usize) -> Self {
        Self::taught_by(Arc::clone(&self.teacher), n)
    }

    fn taught_by(teacher: Arc<FakeTeacher>, n: usize) -> Self {
        let root = tempfile::Builder::new()
            .prefix("dag-world-")
            .tempdir()
            .unwrap();
        let home = root.path().join("project");
        fs_err::create_dir_all(&home).unwrap();
        let world = Self {
            root,
            home,
            teacher,
        };
        world.write_problems((0..n).map(problem));
        world.write(PIPELINE);
        world
    }

    /// The world after a run that succeeded.
    pub(crate) fn ran(self) -> Self {
        self.run().succeeded();
        self
    }

    /// Writes the pipeline file; `URL` becomes the teacher's address.
    pub(crate) fn write(&self, toml: &str) {
        fs_err::write(self.pipeline(), toml.replace("URL", &self.teacher.url())).unwrap();
    }

    /// The pipeline file's text.
    pub(crate) fn text(&self) -> String {
        fs_err::read_to_string(self.pipeline()).unwrap()
    }

    /// Replaces a part of the pipeline file, which must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(
            text.contains(from),
            "`{from}` is not in the pipeline:\n{text}"
        );
        self.write(&text.replacen(from, to, 1));
    }

    /// Adds to the end of the pipeline file.
    pub(crate) fn append(&self, toml: &str) {
        self.write(&format!("{}\n{toml}", self.text()));
    }

    /// Adds `n` problems after those that are there.
    pub(crate) fn add_problems(&self, n: usize) {
        let there = self.problems().len();
        self.write_problems((0..there + n).map(problem));
    }

    /// The same problems, the last first.
    pub(crate) fn shuffle_problems(&self) {
        let mut lines = self.problems();
        lines.reverse();
        self.write_problems(lines);
    }

    fn problems(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.home.join("problems.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn write_problems(&self, lines: impl IntoIterator<Item = String>) {
        let mut text = lines.into_iter().collect::<Vec<_>>().join("\n");
        text.push('\n');
        fs_err::write(self.home.join("problems.jsonl"), text).unwrap();
    }

    /// Moves the folder of the pipeline; the cache stays.
    pub(crate) fn move_folder(&mut self) {
        let there = self.root.path().join("somewhere/else");
        fs_err::create_dir_all(there.parent().unwrap()).unwrap();
        fs_err::rename(&self.home, &there).unwrap();
        self.home = there;
    }

    pub(crate) fn pipeline(&self) -> PathBuf {
        self.home.join("dag.toml")
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    pub(crate) fn teacher(&self) -> &FakeTeacher {
        &self.teacher
    }

    /// Requests that reached the teacher since it was last asked for them.
    pub(crate) fn calls(&self) -> usize {
        let calls = self.teacher.requests();
        self.teacher.forget();
        calls
    }

    /// `dag run --json`.
    pub(crate) fn run(&self) -> Ran {
        self.dag(&["run", "--json"])
    }

    /// The program with these arguments, in the folder of the pipeline.
    pub(crate) fn dag(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// The program, ready to start: a clean environment, no terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dag"));
        command
            .args(arguments)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path())
            .env("USER", "somebody")
            .env("DAG_CACHE_DIR", self.cache())
            // Nobody listens there: a test that needs the hub fails at once.
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .stdin(Stdio::null());
        command
    }

    /// The content digest of every output of these stages, as `dag show` tells them.
    pub(crate) fn contents(&self, stages: &[&str]) -> Contents {
        let outputs = |stage: &str| {
            let shown = self.dag(&["show", stage, "--json", "-n", "0"]).succeeded();
            let outputs = shown.json["record"]["outputs"].as_object().unwrap().clone();
            outputs
                .into_iter()
                .map(|(name, output)| (name, output["content"].as_str().unwrap().to_owned()))
                .collect()
        };
        stages
            .iter()
            .map(|stage| ((*stage).to_owned(), outputs(stage)))
            .collect()
    }
}

impl Ran {
    /// Starts a command and waits for its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let stdout = text(output.stdout);
        Self {
            code: output.status.code().unwrap_or(-1),
            json: serde_json::from_str(&stdout).unwrap_or_default(),
            stdout,
            stderr: text(output.stderr),
        }
    }

    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "standard error:\n{}\nstandard output:\n{}",
            self.stderr, self.stdout
        );
        self
    }

    /// It ended well.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended_with(0)
    }

    /// The stages with this outcome, in the order they ended.
    pub(crate) fn stages(&self, outcome: &str) -> Vec<&str> {
        let stages = self.json["stages"]
            .as_array()
            .expect("a run told its stages");
        let ended = stages.iter().filter(|stage| stage["outcome"] == outcome);
        ended
            .map(|stage| stage["stage"].as_str().unwrap())
            .collect()
    }

    /// The report of one stage.
    pub(crate) fn stage(&self, name: &str) -> &Value {
        let stages = self.json["stages"]
            .as_array()
            .expect("a run told its stages");
        stages
            .iter()
            .find(|stage| stage["stage"] == name)
            .expect("the stage is in the run")
    }
}

/// One line of `problems.jsonl`: a sum that no other place has.
fn problem(place: usize) -> String {
    let (a, b) = (place + 2, 3);
    serde_json::json!({ "prompt": format!("What is {a} + {b}?"), "answer": (a + b).to_string() })
        .to_string()
}

/// What the teacher says: right, except where the first number leaves 3 when divided by 4. Where it
/// divides by 5, it takes more than fifty words. Another seed is another wording.
fn answer(question: &Question) -> String {
    let mut numbers = question
        .prompt()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|text| text.parse::<u64>().ok());
    let (a, b) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let said = if a % 4 == 3 { a + b + 1 } else { a + b };
    let counting = if a.is_multiple_of(5) {
        "one more, ".repeat(25)
    } else {
        String::new()
    };
    let mood = question.seed().unwrap_or_default().rem_euclid(1000);
    format!(
        "Mood {mood}. I have {a} and count {counting}until {b} are added.\n\nThe answer is \\boxed{{{said}}}."
    )
}
