//! The small machines behind the families: a state, operations, and what an operation makes of a state.
//!
//! Every operation is a bijection on the states, so every step matters: no multiplication by zero or five wipes out
//! what came before, and no shortcut spares a solver the steps. One step is a look-up in a table of at most a few
//! hundred entries; several at once are not.

use std::fmt;

use crate::dice::Dice;

/// The operations between states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Add a digit, modulo 10.
    Add(u8),
    /// Subtract a digit, modulo 10.
    Sub(u8),
    /// Multiply by 3, 7 or 9, modulo 10.
    Mul(u8),
    /// Walk clockwise on a ring of ten places.
    Right(u8),
    /// Walk back.
    Left(u8),
    /// Exchange two cups.
    Swap(u8, u8),
    /// Exchange or rotate the three items of an order.
    Order(Turn),
}

/// What can be done to three items in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Exchange the first two.
    S,
    /// Exchange the last two.
    T,
    /// Exchange the first and the last.
    V,
    /// The first goes to the end.
    L,
    /// The last comes to the front.
    R,
}

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A digit modulo 10, a place on the ring, or the number of a cup.
    Digit(u8),
    /// Three items in a row.
    Order([u8; 3]),
    /// The function `scale * x + shift` modulo 10.
    Line {
        /// Factor of `x`.
        scale: u8,
        /// What is added.
        shift: u8,
    },
}

/// How many cups the ball can be under.
pub(super) const CUPS: u8 = 5;

impl State {
    /// The state after `op`. An operation of another machine leaves the state as it is: families only pair what fits.
    pub(super) fn after(self, op: Op) -> Self {
        match (self, op) {
            (Self::Digit(digit), Op::Add(by) | Op::Right(by)) => Self::Digit((digit + by) % 10),
            (Self::Digit(digit), Op::Sub(by) | Op::Left(by)) => Self::Digit((digit + 10 - by) % 10),
            (Self::Digit(digit), Op::Mul(by)) => Self::Digit(digit * by % 10),
            (Self::Digit(cup), Op::Swap(one, other)) => Self::Digit(if cup == one {
                other
            } else if cup == other {
                one
            } else {
                cup
            }),
            (Self::Order([a, b, c]), Op::Order(turn)) => Self::Order(match turn {
                Turn::S => [b, a, c],
                Turn::T => [a, c, b],
                Turn::V => [c, b, a],
                Turn::L => [b, c, a],
                Turn::R => [c, a, b],
            }),
            (Self::Line { scale, shift }, Op::Add(by)) => Self::Line {
                scale,
                shift: (shift + by) % 10,
            },
            (Self::Line { scale, shift }, Op::Sub(by)) => Self::Line {
                scale,
                shift: (shift + 10 - by) % 10,
            },
            (Self::Line { scale, shift }, Op::Mul(by)) => Self::Line {
                scale: scale * by % 10,
                shift: shift * by % 10,
            },
            (
                Self::Order(_),
                Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Right(_) | Op::Left(_) | Op::Swap(..),
            )
            | (Self::Line { .. }, Op::Right(_) | Op::Left(_) | Op::Swap(..) | Op::Order(_))
            | (Self::Digit(_), Op::Order(_)) => self,
        }
    }

    /// A wrong state of the same sort, as a slip of the pen would give. `cups` keeps a digit within the cups.
    pub(super) fn slipped(self, cups: bool, dice: &mut Dice) -> Self {
        match self {
            Self::Digit(cup) if cups => Self::Digit((cup - 1 + dice.digit(1, CUPS - 1)) % CUPS + 1),
            Self::Digit(digit) => Self::Digit((digit + dice.digit(1, 9)) % 10),
            Self::Order([a, b, c]) => Self::Order(match dice.below(3) {
                0 => [b, a, c],
                1 => [a, c, b],
                _ => [c, b, a],
            }),
            Self::Line { scale, shift } => Self::Line {
                scale,
                shift: (shift + dice.digit(1, 9)) % 10,
            },
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digit(digit) => write!(f, "{digit}"),
            Self::Order([a, b, c]) => write!(f, "{a}{b}{c}"),
            Self::Line { scale, shift } => write!(f, "{scale}x{shift}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(by) => write!(f, "+{by}"),
            Self::Sub(by) => write!(f, "-{by}"),
            Self::Mul(by) => write!(f, "*{by}"),
            Self::Right(by) => write!(f, "R{by}"),
            Self::Left(by) => write!(f, "L{by}"),
            Self::Swap(one, other) => write!(f, "~{one}{other}"),
            Self::Order(turn) => f.write_str(match turn {
                Turn::S => "s",
                Turn::T => "t",
                Turn::V => "v",
                Turn::L => "l",
                Turn::R => "r",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_a_bijection() {
        let digits: Vec<State> = (0..10).map(State::Digit).collect();
        let orders: Vec<State> = [
            [1, 2, 3],
            [1, 3, 2],
            [2, 1, 3],
            [2, 3, 1],
            [3, 1, 2],
            [3, 2, 1],
        ]
        .map(State::Order)
        .to_vec();
        let mut ops: Vec<Op> = (1..10)
            .flat_map(|n| [Op::Add(n), Op::Sub(n), Op::Right(n), Op::Left(n)])
            .collect();
        ops.extend([3, 7, 9].map(Op::Mul));
        ops.extend([Op::Swap(1, 2), Op::Swap(2, 5)]);
        ops.extend([Turn::S, Turn::T, Turn::V, Turn::L, Turn::R].map(Op::Order));
        for op in ops {
            let states = if matches!(op, Op::Order(_)) {
                &orders
            } else {
                &digits
            };
            let after: BTreeSet<String> = states
                .iter()
                .map(|state| state.after(op).to_string())
                .collect();
            assert_eq!(after.len(), states.len(), "{op}");
        }
    }

    #[test]
    fn a_line_is_the_function_its_steps_compute() {
        let ops = [Op::Add(3), Op::Mul(7), Op::Sub(9), Op::Mul(3)];
        let State::Line { scale, shift } = ops
            .iter()
            .fold(State::Line { scale: 1, shift: 0 }, |line, op| {
                line.after(*op)
            })
        else {
            panic!("a line stays a line")
        };
        for x in 0..10 {
            let stepped = ops
                .iter()
                .fold(State::Digit(x), |digit, op| digit.after(*op));
            assert_eq!(stepped, State::Digit((scale * x + shift) % 10));
        }
    }

    #[test]
    fn a_slip_is_always_wrong() {
        let mut dice = Dice::new(0, &["slips"]);
        for state in [
            State::Digit(4),
            State::Order([2, 3, 1]),
            State::Line { scale: 3, shift: 9 },
        ] {
            for _ in 0..200 {
                assert_ne!(state.slipped(false, &mut dice), state);
            }
        }
        for cup in 1..=CUPS {
            for _ in 0..50 {
                let State::Digit(wrong) = State::Digit(cup).slipped(true, &mut dice) else {
                    panic!("a cup")
                };
                assert!(wrong != cup && (1..=CUPS).contains(&wrong));
            }
        }
    }
}
