//! The families: how a problem of each is drawn, asked, worked and answered.
//!
//! | family | asked | worked | answer |
//! |---|---|---|---|
//! | `chain` | `9*7+8-5` | `9*7=3;3+8=1;1-5=6;` | `6` |
//! | `walk` | `4R3L9` | `4R3=7;7L9=8;` | `8` |
//! | `swap` | `2~24~14` | `2~24=4;4~14=1;` | `1` |
//! | `permute` | `312sl` | `312s=132;132l=321;` | `321` |
//! | `track` | `3>a;a+4>b;b*7>c` | `3>a3;a3+4>b7;b7*7>c9;` | `9` |
//! | `code` | `x+3*7` | `1x0+3=1x3;1x3*7=7x1;` | `read x;echo $(((7*x+1)%10))` |
//!
//! All arithmetic is modulo 10 and goes from left to right. `walk` goes right and left on a ring of ten places; `swap`
//! follows a ball under five cups; `permute` changes the order of three items (`s` the first two, `t` the last two,
//! `v` the ends, `l` and `r` rotate); in `track` a value goes into a variable and the last one is asked for; `code`
//! asks for a shell program that reads a number and prints what the chain makes of it, and the work composes the chain
//! into one line `7x1`, that is 7·x + 1.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::machine::{CUPS, Op, State, Turn};
use crate::dice::Dice;

/// A family of generated problems.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Left-to-right arithmetic with single digits, modulo 10.
    Chain,
    /// A place on a ring of ten after steps to the right and left.
    Walk,
    /// The cup that hides the ball after swaps of two of five cups.
    Swap,
    /// The order of three items after exchanges and rotations.
    Permute,
    /// Variables that are computed from earlier variables; the last is asked for.
    Track,
    /// A shell program, checked by unit tests, that computes a chain from its input.
    Code,
}

impl Family {
    /// Every family, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Chain,
        Self::Walk,
        Self::Swap,
        Self::Permute,
        Self::Track,
        Self::Code,
    ];

    /// The name in settings and in the `family` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Walk => "walk",
            Self::Swap => "swap",
            Self::Permute => "permute",
            Self::Track => "track",
            Self::Code => "code",
        }
    }

    /// How its answers are judged: `code` by running it, all others as mathematics.
    #[must_use]
    pub fn domain(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Chain | Self::Walk | Self::Swap | Self::Permute | Self::Track => "math",
        }
    }
}

/// One problem before it is written down.
pub(super) struct Instance {
    family: Family,
    start: State,
    /// Which state each operation starts from (0 is the start), and the operation. Only `track` skips back.
    steps: Vec<(usize, Op)>,
}

impl Instance {
    /// Draws a problem with this many steps.
    pub(super) fn draw(family: Family, steps: usize, dice: &mut Dice) -> Self {
        let start = match family {
            Family::Chain | Family::Walk | Family::Track => State::Digit(dice.digit(0, 9)),
            Family::Swap => State::Digit(dice.digit(1, CUPS)),
            Family::Permute => {
                let first = dice.digit(0, 2);
                let rest = if dice.below(2) == 0 { [1, 2] } else { [2, 1] };
                State::Order([
                    first + 1,
                    (first + rest[0]) % 3 + 1,
                    (first + rest[1]) % 3 + 1,
                ])
            }
            Family::Code => State::Line { scale: 1, shift: 0 },
        };
        let mut instance = Self {
            family,
            start,
            steps: Vec::with_capacity(steps),
        };
        let mut states = vec![start];
        for at in 0..steps {
            // mostly the newest variable, so that the chain is as long as it looks
            let from = if family == Family::Track && at > 0 && dice.chance(0.25) {
                dice.below(u32::try_from(at).unwrap_or(1)) as usize
            } else {
                at
            };
            let op = draw_op(family, states[from], dice);
            states.push(states[from].after(op));
            instance.steps.push((from, op));
        }
        instance
    }

    /// The states along the way, the start first. `slip` makes the result of that step wrong, and what follows from it.
    pub(super) fn states(&self, slip: Option<usize>, dice: &mut Dice) -> Vec<State> {
        let mut states = vec![self.start];
        for (at, (from, op)) in self.steps.iter().enumerate() {
            let mut next = states[*from].after(*op);
            if slip == Some(at) {
                next = next.slipped(self.family == Family::Swap, dice);
            }
            states.push(next);
        }
        states
    }

    /// How the problem is asked. Numbered problems carry a letter before every operation.
    pub(super) fn prompt(&self, numbered: bool) -> String {
        let mut text = match self.family {
            Family::Code => "x".to_owned(),
            Family::Track => format!("{}>a", self.start),
            Family::Chain | Family::Walk | Family::Swap | Family::Permute => self.start.to_string(),
        };
        for (at, (from, op)) in self.steps.iter().enumerate() {
            if self.family == Family::Track {
                push(
                    &mut text,
                    format_args!(";{}{op}>{}", letter(*from), letter(at + 1)),
                );
            } else if numbered {
                push(&mut text, format_args!("{}{op}", letter(at)));
            } else {
                push(&mut text, format_args!("{op}"));
            }
        }
        text
    }

    /// The work, step by step, from these states.
    pub(super) fn work(&self, states: &[State], numbered: bool) -> String {
        let mut text = String::new();
        if self.family == Family::Track {
            push(&mut text, format_args!("{0}>a{0};", self.start));
        }
        for (at, (from, op)) in self.steps.iter().enumerate() {
            let (before, after) = (states[*from], states[at + 1]);
            if self.family == Family::Track {
                push(
                    &mut text,
                    format_args!("{}{before}{op}>{}{after};", letter(*from), letter(at + 1)),
                );
            } else if numbered {
                push(
                    &mut text,
                    format_args!("{}{before}{op}={after};", letter(at)),
                );
            } else {
                push(&mut text, format_args!("{before}{op}={after};"));
            }
        }
        text
    }

    /// The unit tests of a program, as JSON text; `None` for families whose answer is not a program.
    ///
    /// Inputs 0 and 1 pin the line `scale * x + shift` down, the third is a larger number.
    pub(super) fn tests(&self, dice: &mut Dice) -> Option<String> {
        if self.family != Family::Code {
            return None;
        }
        let larger = 2 + dice.below(98);
        let cases: Vec<serde_json::Value> = [0, 1, larger]
            .into_iter()
            .map(|x| {
                let digit = State::Digit((x % 10) as u8);
                let shown = self
                    .steps
                    .iter()
                    .fold(digit, |state, (_, op)| state.after(*op));
                serde_json::json!({ "stdin": format!("{x}\n"), "stdout": format!("{shown}\n") })
            })
            .collect();
        Some(serde_json::json!({ "kind": "stdio", "language": "sh", "cases": cases, "tolerance": null }).to_string())
    }
}

/// The answer that a last state stands for.
pub(super) fn answer(state: State) -> String {
    match state {
        State::Digit(_) | State::Order(_) => state.to_string(),
        State::Line { scale, shift } => format!("read x;echo $((({scale}*x+{shift})%10))"),
    }
}

/// How an answer ends a solution, so that a grader finds it: after `####`, or fenced when it is a program.
pub(super) fn marked(family: Family, answer: &str) -> String {
    match family {
        // a fence begins its line, as everywhere
        Family::Code => format!("\n```sh\n{answer}\n```"),
        Family::Chain | Family::Walk | Family::Swap | Family::Permute | Family::Track => {
            format!("#### {answer}")
        }
    }
}

fn draw_op(family: Family, state: State, dice: &mut Dice) -> Op {
    match family {
        Family::Chain | Family::Track | Family::Code => match dice.below(3) {
            0 => Op::Add(dice.digit(1, 9)),
            1 => Op::Sub(dice.digit(1, 9)),
            _ => Op::Mul([3, 7, 9][dice.below(3) as usize]),
        },
        Family::Walk => {
            let by = dice.digit(1, 9);
            if dice.below(2) == 0 {
                Op::Right(by)
            } else {
                Op::Left(by)
            }
        }
        Family::Swap => {
            // two of three swaps move the ball: left alone it would rest in most of them
            let one = match state {
                State::Digit(cup) if dice.chance(0.6) => cup,
                State::Digit(_) | State::Order(_) | State::Line { .. } => dice.digit(1, CUPS),
            };
            let other = (one - 1 + dice.digit(1, CUPS - 1)) % CUPS + 1;
            Op::Swap(one.min(other), one.max(other))
        }
        Family::Permute => {
            Op::Order([Turn::S, Turn::T, Turn::V, Turn::L, Turn::R][dice.below(5) as usize])
        }
    }
}

/// The letter of the n-th step or variable.
fn letter(at: usize) -> char {
    char::from(b"abcdefghi"[at.min(8)])
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part)
        .expect("writing to a string cannot fail");
}
