//! Which results may leave this machine. A stage that takes anything from one that is not shared is not
//! shared either, for its rows hold what the other's held, unless it says `share = true` itself.

use std::collections::BTreeMap;

use crate::checked::{CheckedStage, ModelSource};

/// Carries `share = false` on to the stages behind it.
pub(crate) fn carry(stages: &mut [CheckedStage]) {
    if stages.iter().all(|stage| stage.share) {
        return;
    }
    let place: BTreeMap<&str, usize> = stages
        .iter()
        .enumerate()
        .map(|(index, stage)| (stage.name.as_str(), index))
        .collect();
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    for (index, stage) in stages.iter().enumerate() {
        let models = stage.models.iter().filter_map(|model| match &model.source {
            ModelSource::Stage { stage, .. } => Some(stage.as_str()),
            ModelSource::Spec(_) => None,
        });
        let inputs = stage.inputs.iter().map(|input| input.stage.as_str());
        for above in inputs.chain(models).filter_map(|name| place.get(name)) {
            behind[*above].push(index);
        }
    }
    let mut open: Vec<usize> = (0..stages.len())
        .filter(|index| !stages[*index].share)
        .collect();
    while let Some(index) = open.pop() {
        for next in std::mem::take(&mut behind[index]) {
            let stage = &mut stages[next];
            if stage.share && !stage.lines.contains_key("share") {
                stage.share = false;
                open.push(next);
            }
        }
    }
}
