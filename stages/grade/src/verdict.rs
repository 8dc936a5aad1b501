//! The five things a grader can say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What became of one row. Only [`Verdict::Pass`] is a pass; the others say why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The answer is the gold answer, or every test passed.
    Pass,
    /// The answer is another one, or a test failed.
    Fail,
    /// The row could not be judged: the gold does not parse, the tests are malformed, the sandbox could not start.
    Error,
    /// The program ran out of time.
    Timeout,
    /// No answer could be read, or equality could not be decided.
    Unparsable,
}

impl Verdict {
    /// Every verdict, in the order in which they are listed to people.
    pub const ALL: [Verdict; 5] = [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Error,
        Verdict::Timeout,
        Verdict::Unparsable,
    ];

    /// The word that stands in tables: `pass`, `fail`, `error`, `timeout`, `unparsable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Error => "error",
            Verdict::Timeout => "timeout",
            Verdict::Unparsable => "unparsable",
        }
    }

    /// Whether this is a pass.
    pub fn is_pass(self) -> bool {
        self == Verdict::Pass
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no verdict")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
            .ok_or_else(|| UnknownVerdict(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_reads_back_from_its_word() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.as_str().parse(), Ok(verdict));
        }
        assert!("passed".parse::<Verdict>().is_err());
    }
}
