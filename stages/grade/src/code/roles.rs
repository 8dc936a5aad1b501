//! The Python that runs around a program: what each process of a run does.

/// What every process finds in its environment, and nothing else. The seed makes the order of sets the same each
/// time, so that a verdict can be had again.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
    ("PYTHONHASHSEED", "0"),
];

/// What a warm worker runs.
pub(super) const WORKER: &str = concat!(
    include_str!("python/wire.py"),
    "\n",
    include_str!("python/worker.py")
);

/// What one process of a run does. The first descriptor it is given holds the program, or the test code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Is the program.
    Start,
    /// Calls a function of the program; the second descriptor takes what comes out.
    Call,
    /// Answers questions about the program; the descriptors after the first bring questions and take answers.
    Serve,
    /// Runs test code and asks; the descriptors after the first bring answers, take questions and the outcome.
    Check,
}

impl Role {
    pub(super) const ALL: [Role; 4] = [Role::Start, Role::Call, Role::Serve, Role::Check];

    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Start => "start",
            Role::Call => "call",
            Role::Serve => "serve",
            Role::Check => "check",
        }
    }

    pub(super) fn source(self) -> &'static str {
        match self {
            Role::Start => include_str!("python/start.py"),
            Role::Call => concat!(
                include_str!("python/wire.py"),
                "\n",
                include_str!("python/call.py")
            ),
            // What both sides of `assert` tests speak comes before what each of them does.
            Role::Serve => concat!(
                include_str!("python/wire.py"),
                include_str!("python/codec.py"),
                "\n",
                include_str!("python/serve.py")
            ),
            Role::Check => concat!(
                include_str!("python/wire.py"),
                include_str!("python/codec.py"),
                "\n",
                include_str!("python/check.py")
            ),
        }
    }
}
