//! The `dag` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dag::main())
}
