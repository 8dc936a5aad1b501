//! When a stage whose work is quick to repeat ends at the user's sign.

use dag_engine::{StageContext, StageError};

/// Ends the stage at the first sign: what it has done costs next to nothing to do again. Stages that pay by the row
/// finish what is under way instead.
pub(crate) fn if_draining(cx: &StageContext) -> Result<(), StageError> {
    if cx.cancel().draining() {
        Err(StageError::Interrupted)
    } else {
        Ok(())
    }
}
