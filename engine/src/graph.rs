//! The graph of a pipeline: who takes what from whom. Walks are loops, never recursion.

use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::checked::{ModelSource, Pipeline};

/// The stages of a pipeline by index, with an edge from every stage to those that need it.
#[derive(Clone, Debug)]
pub struct Graph {
    edges: DiGraph<(), (), u32>,
    by_name: HashMap<String, usize>,
    levels: Vec<Vec<usize>>,
}

/// A pipeline that is no graph. Loading a file finds these with their places first; this is for
/// pipelines made in code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A stage names one that is not there.
    #[error("stage `{stage}` takes input from `{names}`, which is not there")]
    Unknown {
        /// The stage.
        stage: String,
        /// What it names.
        names: String,
    },
    /// Two stages have one name.
    #[error("two stages are called `{stage}`")]
    Twice {
        /// The name.
        stage: String,
    },
    /// Stages wait for each other.
    #[error("these stages wait for each other: {}", stages.join(", "))]
    Cycle {
        /// The stages in or behind cycles.
        stages: Vec<String>,
    },
}

impl Graph {
    /// Reads the graph off a pipeline.
    ///
    /// # Errors
    /// Names are missing or doubled, or there is a cycle.
    pub fn of(pipeline: &Pipeline) -> Result<Self, GraphError> {
        let mut by_name = HashMap::with_capacity(pipeline.stages.len());
        let mut edges = DiGraph::with_capacity(pipeline.stages.len(), pipeline.stages.len());
        for (index, stage) in pipeline.stages.iter().enumerate() {
            edges.add_node(());
            if by_name.insert(stage.name.clone(), index).is_some() {
                return Err(GraphError::Twice {
                    stage: stage.name.clone(),
                });
            }
        }
        for (index, stage) in pipeline.stages.iter().enumerate() {
            let models = stage.models.iter().filter_map(|model| match &model.source {
                ModelSource::Stage { stage, .. } => Some(stage),
                ModelSource::Spec(_) => None,
            });
            let mut parents = Vec::new();
            for name in stage.inputs.iter().map(|input| &input.stage).chain(models) {
                let parent = by_name
                    .get(name)
                    .copied()
                    .ok_or_else(|| GraphError::Unknown {
                        stage: stage.name.clone(),
                        names: name.clone(),
                    })?;
                if !parents.contains(&parent) {
                    parents.push(parent);
                    edges.add_edge(NodeIndex::new(parent), NodeIndex::new(index), ());
                }
            }
        }
        let levels = levels(&edges);
        if levels.iter().map(Vec::len).sum::<usize>() < pipeline.stages.len() {
            let mut placed = vec![false; pipeline.stages.len()];
            for &index in levels.iter().flatten() {
                placed[index] = true;
            }
            let stages = pipeline
                .stages
                .iter()
                .zip(placed)
                .filter(|(_, placed)| !placed)
                .map(|(stage, _)| stage.name.clone())
                .collect();
            return Err(GraphError::Cycle { stages });
        }
        Ok(Self {
            edges,
            by_name,
            levels,
        })
    }

    /// The number of stages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edges.node_count()
    }

    /// Whether there is no stage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of a stage in [`Pipeline::stages`].
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Stages in levels: each needs only stages of earlier levels. In the file's order within one.
    #[must_use]
    pub fn levels(&self) -> &[Vec<usize>] {
        &self.levels
    }

    /// The stages a stage needs.
    pub fn parents(&self, stage: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges
            .neighbors_directed(NodeIndex::new(stage), Direction::Incoming)
            .map(NodeIndex::index)
    }

    /// The stages that need a stage.
    pub fn children(&self, stage: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges
            .neighbors_directed(NodeIndex::new(stage), Direction::Outgoing)
            .map(NodeIndex::index)
    }

    /// Which stages are needed for these: themselves and all before them.
    #[must_use]
    pub fn needed_for(&self, targets: &[usize]) -> Vec<bool> {
        self.reach(targets, Direction::Incoming)
    }

    /// Which stages these reach: themselves and all after them.
    #[must_use]
    pub fn reached_from(&self, sources: &[usize]) -> Vec<bool> {
        self.reach(sources, Direction::Outgoing)
    }

    fn reach(&self, from: &[usize], direction: Direction) -> Vec<bool> {
        let mut seen = vec![false; self.len()];
        let mut open = from.to_vec();
        while let Some(stage) = open.pop() {
            if !std::mem::replace(&mut seen[stage], true) {
                open.extend(
                    self.edges
                        .neighbors_directed(NodeIndex::new(stage), direction)
                        .map(NodeIndex::index),
                );
            }
        }
        seen
    }
}

/// Kahn's algorithm, level by level; stages in a cycle are in no level.
fn levels(edges: &DiGraph<(), (), u32>) -> Vec<Vec<usize>> {
    let mut waiting: Vec<usize> = edges
        .node_indices()
        .map(|node| edges.neighbors_directed(node, Direction::Incoming).count())
        .collect();
    let mut level: Vec<usize> = waiting
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(index, _)| index)
        .collect();
    let mut levels = Vec::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        for &stage in &level {
            for child in edges.neighbors_directed(NodeIndex::new(stage), Direction::Outgoing) {
                waiting[child.index()] -= 1;
                if waiting[child.index()] == 0 {
                    next.push(child.index());
                }
            }
        }
        next.sort_unstable();
        levels.push(std::mem::replace(&mut level, next));
    }
    levels
}
