//! The `dag` program.

use std::process::ExitCode;

/// A large pipeline file is millions of small values, for which glibc's allocator takes longer than all the rest.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(dag::main())
}
