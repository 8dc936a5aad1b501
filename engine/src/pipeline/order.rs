//! The order in which stages follow from each other, or the cycles that there is none for. All
//! loops, no recursion: a chain of 100,000 stages is an ordinary file.

use std::collections::{HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::document::Place;
use super::references::Wiring;
use super::stages::StageNode;
use crate::diagnostic::Finding;

/// Positions of stages, every stage after those it needs; stages in or behind a cycle are left
/// out, and each cycle is a finding that names all its edges.
///
/// A swept stage counts with the needs of all its configurations. That finds no cycle too many:
/// configurations of different stages are chosen independently, so a cycle through any of them is
/// the cycle of some variant.
pub(crate) fn order(
    stages: &[StageNode<'_>],
    wirings: &[Vec<Option<Wiring>>],
    findings: &mut Vec<Finding>,
) -> Vec<usize> {
    // needs[s]: what stage s reads and where it says so, each once
    let needs: Vec<Vec<(usize, &Place)>> = wirings
        .iter()
        .map(|wirings| {
            let mut needs: Vec<(usize, &Place)> = Vec::new();
            // most stages read one or two others; a long list gets an index
            let mut seen = std::collections::HashSet::new();
            for (stage, at) in wirings.iter().flatten().flat_map(Wiring::needs) {
                let new = match needs.len() {
                    0..8 => needs.iter().all(|(known, _)| *known != stage),
                    8 => {
                        seen.extend(needs.iter().map(|(known, _)| *known));
                        seen.insert(stage)
                    }
                    _ => seen.insert(stage),
                };
                if new {
                    needs.push((stage, at));
                }
            }
            needs
        })
        .collect();
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    for (stage, needs) in needs.iter().enumerate() {
        for (need, _) in needs {
            if let Some(readers) = readers.get_mut(*need) {
                readers.push(stage);
            }
        }
    }
    let mut ready: VecDeque<usize> = (0..stages.len())
        .filter(|stage| waiting.get(*stage) == Some(&0))
        .collect();
    let mut order = Vec::with_capacity(stages.len());
    while let Some(stage) = ready.pop_front() {
        order.push(stage);
        for reader in readers.get(stage).into_iter().flatten() {
            if let Some(waiting) = waiting.get_mut(*reader) {
                *waiting -= 1;
                if *waiting == 0 {
                    ready.push_back(*reader);
                }
            }
        }
    }
    if order.len() < stages.len() {
        let left: Vec<usize> = (0..stages.len())
            .filter(|stage| waiting.get(*stage).is_some_and(|n| *n > 0))
            .collect();
        cycles(stages, &needs, &left, findings);
    }
    order
}

fn cycles(
    stages: &[StageNode<'_>],
    needs: &[Vec<(usize, &Place)>],
    left: &[usize],
    findings: &mut Vec<Finding>,
) {
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let nodes: HashMap<usize, _> = left
        .iter()
        .map(|stage| (*stage, graph.add_node(*stage)))
        .collect();
    for stage in left {
        for (need, _) in needs.get(*stage).into_iter().flatten() {
            if let (Some(from), Some(to)) = (nodes.get(stage), nodes.get(need)) {
                graph.add_edge(*from, *to, ());
            }
        }
    }
    for component in kosaraju_scc(&graph) {
        if component.len() < 2 {
            continue;
        }
        let mut members: Vec<usize> = component
            .iter()
            .filter_map(|node| graph.node_weight(*node).copied())
            .collect();
        members.sort_unstable();
        if let Some(cycle) = shortest_cycle(&members, needs) {
            findings.push(cycle_finding(stages, &cycle));
        }
    }
}

/// The shortest way from the first member back to itself, as edges (reader, needed, place).
fn shortest_cycle<'a>(
    members: &[usize],
    needs: &[Vec<(usize, &'a Place)>],
) -> Option<Vec<(usize, usize, &'a Place)>> {
    let inside: std::collections::HashSet<usize> = members.iter().copied().collect();
    let start = *members.first()?;
    let mut came: HashMap<usize, (usize, &'a Place)> = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(stage) = open.pop_front() {
        for (need, at) in needs.get(stage)? {
            if !inside.contains(need) || came.contains_key(need) {
                continue;
            }
            came.insert(*need, (stage, at));
            open.push_back(*need);
        }
        if came.contains_key(&start) {
            break;
        }
    }
    let mut edges = Vec::new();
    let mut here = start;
    loop {
        let (reader, at) = came.get(&here)?;
        edges.push((*reader, here, *at));
        here = *reader;
        if here == start {
            break;
        }
    }
    edges.reverse();
    Some(edges)
}

fn cycle_finding(stages: &[StageNode<'_>], cycle: &[(usize, usize, &Place)]) -> Finding {
    let name = |stage: usize| {
        stages
            .get(stage)
            .map_or("", |stage| stage.node.name.as_str())
    };
    let says = |(reader, need, _): &(usize, usize, &Place)| {
        format!("`{}` reads `{}`", name(*reader), name(*need))
    };
    // a long circle is told by its beginning and its end
    let shown = 12;
    let mut way: Vec<String> = cycle
        .iter()
        .take(shown)
        .map(|(reader, ..)| format!("`{}`", name(*reader)))
        .collect();
    if cycle.len() > shown {
        way.push(format!("… {} more …", cycle.len() - shown));
    }
    let first = cycle.first();
    way.push(format!(
        "`{}`",
        first.map_or("", |(reader, ..)| name(*reader))
    ));
    let mut finding = Finding::error(
        "D0203",
        first.map_or(0..0, |(_, _, at)| (*at).clone()),
        format!("stages go in a circle: {}", way.join(" → ")),
    )
    .here(first.map_or(String::new(), says));
    for edge in cycle.iter().skip(1).take(50) {
        finding = finding.also(edge.2.clone(), says(edge));
    }
    finding.help("each of these waits for the next: let one of them read something else")
}
