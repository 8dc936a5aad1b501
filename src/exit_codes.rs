//! What the process says by its exit code. Scripts rely on these: a number never changes its meaning.

/// Everything asked for was done, or was there already.
pub(crate) const OK: u8 = 0;
/// A stage failed.
pub(crate) const STAGE_FAILED: u8 = 1;
/// The command line could not be understood (clap's own code).
pub(crate) const USAGE: u8 = 2;
/// The pipeline file has errors.
pub(crate) const PIPELINE: u8 = 3;
/// The surroundings lack something: a device, a server, disk space, a hub revision while offline.
pub(crate) const ENVIRONMENT: u8 = 5;
/// The plan costs more than the budget allows, and nobody said yes.
pub(crate) const BUDGET: u8 = 6;
/// `cache verify` found damage.
pub(crate) const CACHE_DAMAGED: u8 = 7;
/// `plan --exit-code` found work to do.
pub(crate) const WORK_TO_DO: u8 = 8;
/// A fault of the program itself: what a panic ends with.
#[expect(
    dead_code,
    reason = "the language ends a panic with it; it stands here so that the list is whole"
)]
pub(crate) const BUG: u8 = 101;
/// Stopped by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM, as batch systems do before they take a machine back.
pub(crate) const TERMINATED: u8 = 143;
