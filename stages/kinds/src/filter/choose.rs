//! Which accepted responses of a problem are kept. What is remembered of a problem is a few bytes, whatever its id.

use std::collections::{HashMap, HashSet};

/// A problem's id, hashed to 16 bytes: a million of them fit in memory, and no two of a table meet.
type Problem = [u8; 16];

fn problem(id: &str) -> Problem {
    let mut short = [0; 16];
    blake3::Hasher::new_derive_key("dag-kinds 2026 filter problem v1")
        .update(id.as_bytes())
        .finalize_xof()
        .fill(&mut short);
    short
}

/// A choice that needs no look ahead.
pub(super) enum Choice {
    /// Every accepted response.
    All,
    /// The first one of each problem.
    First(Kept),
}

/// Problems that have their response.
#[derive(Default)]
pub(super) struct Kept(HashSet<Problem>);

impl Choice {
    /// Whether the next response is kept.
    pub(super) fn takes(&mut self, id: &str, accepted: bool) -> bool {
        match self {
            Self::All => accepted,
            Self::First(kept) => accepted && kept.0.insert(problem(id)),
        }
    }
}

/// The shortest accepted response of each problem: its length and its place in the table.
#[derive(Default)]
pub(super) struct Shortest(HashMap<Problem, (u64, u64)>);

impl Shortest {
    /// Tells of an accepted response. Of two as short, the one with the smaller place counts.
    pub(super) fn offer(&mut self, id: &str, characters: u64, at: u64) {
        let there = self.0.entry(problem(id)).or_insert((characters, at));
        *there = (*there).min((characters, at));
    }

    /// Whether the response at this place is the shortest of its problem.
    pub(super) fn is(&self, id: &str, at: u64) -> bool {
        self.0
            .get(&problem(id))
            .is_some_and(|(_, place)| *place == at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_accepted_response_of_a_problem_is_kept() {
        let mut choice = Choice::First(Kept::default());
        let rows = [
            ("a", false),
            ("a", true),
            ("b", true),
            ("a", true),
            ("b", false),
        ];
        let kept: Vec<bool> = rows
            .iter()
            .map(|(id, accepted)| choice.takes(id, *accepted))
            .collect();
        assert_eq!(kept, [false, true, true, false, false]);
    }

    #[test]
    fn the_shortest_is_kept_and_of_two_the_first() {
        let mut shortest = Shortest::default();
        let rows = [("a", 9), ("b", 5), ("a", 4), ("a", 4)];
        for (at, (id, characters)) in (0..).zip(rows) {
            shortest.offer(id, characters, at);
        }
        let kept: Vec<bool> = (0..)
            .zip(rows)
            .map(|(at, (id, _))| shortest.is(id, at))
            .collect();
        assert_eq!(kept, [false, true, true, false]);
    }
}
