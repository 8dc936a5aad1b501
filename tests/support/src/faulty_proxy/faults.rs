//! What can go wrong on the wire, and how it is decided: a pure function of the seed, the number of the
//! request and the rules, so that a run can be had again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One way for one request to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// The request goes on after a wait of at most so long. It may meet another fault as well.
    Delay(Duration),
    /// The connection is cut; the server never hears of the request.
    CutBefore,
    /// The connection is cut while the body of the request is on its way; the server sees a part of it.
    /// It takes a request with a body.
    CutDuring,
    /// The server does what it was asked to and answers; then the connection is cut and the answer lost.
    CutAfter,
    /// 503 from the proxy; the server never hears of the request.
    Unavailable,
    /// The head of the answer announces the whole body, a part of it comes, the connection is closed.
    Truncate,
    /// A part of the answer's body, under a head that says that this is all.
    TruncateQuietly,
    /// One bit of the answer's body is another.
    Flip,
    /// In place of the answer, an earlier and different one to the same `GET` or `HEAD`: the object as it
    /// was, or as it was not there yet.
    ReplayOlder,
    /// In place of the answer, an earlier one to the same method for something else.
    ReplayOther,
    /// The connection stays open, takes everything, and nothing ever comes; the server never hears of the
    /// request.
    BlackHole,
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(most) => write!(f, "delay of at most {} ms", most.as_millis()),
            Self::CutBefore => f.write_str("cut before"),
            Self::CutDuring => f.write_str("cut during"),
            Self::CutAfter => f.write_str("cut after"),
            Self::Unavailable => f.write_str("503"),
            Self::Truncate => f.write_str("truncated"),
            Self::TruncateQuietly => f.write_str("truncated quietly"),
            Self::Flip => f.write_str("flipped a bit"),
            Self::ReplayOlder => f.write_str("replayed an older answer"),
            Self::ReplayOther => f.write_str("replayed another object's answer"),
            Self::BlackHole => f.write_str("black hole"),
        }
    }
}

/// A request as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Counts the requests of a proxy from 0, in the order in which their heads arrived.
    pub number: u64,
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query, as they stood in the request.
    pub target: String,
}

type When = dyn Fn(&Ask) -> bool + Send + Sync;

/// A fault and when it happens.
#[derive(Clone)]
pub struct Rule {
    fault: WireFault,
    probability: f64,
    when: Option<Arc<When>>,
    left: Option<u64>,
}

impl WireFault {
    /// The fault happens to this part of the requests, 0 to 1.
    #[must_use]
    pub fn with(self, probability: f64) -> Rule {
        Rule {
            fault: self,
            probability,
            when: None,
            left: None,
        }
    }

    /// The fault happens to every request.
    #[must_use]
    pub fn always(self) -> Rule {
        self.with(1.0)
    }
}

impl Rule {
    /// Only to these requests. The condition must not ask the proxy, which waits for it.
    #[must_use]
    pub fn when(mut self, when: impl Fn(&Ask) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(when));
        self
    }

    /// Not more often than this. A fault that finds nothing to damage counts as well.
    #[must_use]
    pub fn times(mut self, most: u64) -> Self {
        self.left = Some(most);
        self
    }
}

/// What is to happen to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<WireFault>,
    /// Says where in a body, which of several answers, and the like.
    pub(crate) lot: u64,
}

/// Draws for every rule, whether it takes part or not: what befalls a request does not change with the
/// requests before it. Of several faults the first rule's happens; delays add up.
pub(crate) fn decide(seed: u64, ask: &Ask, rules: &mut [Rule]) -> Decision {
    let mut state = seed ^ ask.number.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut decision = Decision {
        lot: lot(&mut state),
        ..Decision::default()
    };
    for rule in rules {
        let (chance, amount) = (part(&mut state), part(&mut state));
        let hit = chance < rule.probability
            && rule.left != Some(0)
            && rule.when.as_ref().is_none_or(|when| when(ask));
        if !hit {
            continue;
        }
        match rule.fault {
            WireFault::Delay(most) => decision.delay += most.mul_f64(amount),
            fault if decision.fault.is_none() => decision.fault = Some(fault),
            _ => continue,
        }
        rule.left = rule.left.map(|left| left - 1);
    }
    decision
}

/// The next number of `SplitMix64` (Steele, Lea and Flood, 2014).
fn lot(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// From 0 up to, not including, 1.
fn part(state: &mut u64) -> f64 {
    let bits = u32::try_from(lot(state) >> 32).expect("32 bits are left");
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(number: u64) -> Ask {
        Ask {
            number,
            method: "GET".to_owned(),
            target: format!("/bucket/{number}"),
        }
    }

    fn decisions(seed: u64, rules: &[Rule]) -> Vec<Decision> {
        let mut rules = rules.to_vec();
        (0..2000)
            .map(|number| decide(seed, &ask(number), &mut rules))
            .collect()
    }

    fn hits(decisions: &[Decision], fault: WireFault) -> usize {
        let hit = |decision: &&Decision| decision.fault == Some(fault);
        decisions.iter().filter(hit).count()
    }

    #[test]
    fn the_same_seed_decides_the_same_and_another_does_not() {
        let rules = [
            WireFault::CutAfter.with(0.2),
            WireFault::Delay(Duration::from_millis(100)).with(0.5),
        ];
        assert_eq!(decisions(1, &rules), decisions(1, &rules));
        assert_ne!(decisions(1, &rules), decisions(2, &rules));
    }

    #[test]
    fn a_fault_happens_as_often_as_its_probability_says() {
        let found = decisions(
            7,
            &[WireFault::Flip.with(0.25), WireFault::CutBefore.with(0.5)],
        );
        let flips = hits(&found, WireFault::Flip);
        let cuts = hits(&found, WireFault::CutBefore);
        assert!((450..550).contains(&flips), "{flips} of 2000, expected 500");
        // what was flipped is not cut as well
        assert!((680..820).contains(&cuts), "{cuts} of 2000, expected 750");
        assert_eq!(
            hits(&decisions(7, &[WireFault::Flip.with(0.0)]), WireFault::Flip),
            0
        );
        assert_eq!(
            hits(&decisions(7, &[WireFault::Flip.always()]), WireFault::Flip),
            2000
        );
    }

    #[test]
    fn a_delay_stays_below_its_limit_and_comes_with_other_faults() {
        let most = Duration::from_millis(80);
        let found = decisions(
            3,
            &[
                WireFault::Delay(most).always(),
                WireFault::CutAfter.always(),
            ],
        );
        assert!(found.iter().all(|decision| decision.delay < most));
        assert!(found.iter().any(|decision| decision.delay > most / 2));
        assert_eq!(hits(&found, WireFault::CutAfter), 2000);
    }

    #[test]
    fn a_rule_with_a_condition_and_a_count_keeps_to_both() {
        let rule = WireFault::CutAfter
            .always()
            .when(|ask| ask.target.ends_with('5'))
            .times(3);
        let found = decisions(1, &[rule]);
        let numbers: Vec<usize> = (0..2000).filter(|&n| found[n].fault.is_some()).collect();
        assert_eq!(numbers, [5, 15, 25]);
    }

    #[test]
    fn a_rule_more_at_the_end_changes_nothing_of_those_before() {
        let one = decisions(9, &[WireFault::Flip.with(0.3)]);
        let two = decisions(
            9,
            &[WireFault::Flip.with(0.3), WireFault::CutBefore.with(0.0)],
        );
        assert_eq!(one, two);
    }
}
