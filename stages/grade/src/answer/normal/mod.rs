//! The exact value of an expression: a quotient of polynomials over the whole numbers whose atoms are the symbols, π,
//! e, i, and roots of primes. Everything else has no exact value here: roots of sums, functions, powers with symbols.
//!
//! Fractions are never reduced: two quotients are compared by multiplying crosswise. The work is counted, in terms and
//! in bits, and where it ends nothing is decided.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::expression::{Constant, Expression, Function};

mod integer;
mod polynomial;
mod radical;

use integer::Integer;
use polynomial::{Atom, Atoms, Budget, MAX_BITS, Polynomial};

/// The largest factorial that is multiplied out, and the largest `n` of a binomial coefficient.
const MAX_FACTORIAL: u32 = 1_000;
/// The longest reduced number that is told, in bits.
const MAX_NUMBER: u64 = 8_192;

/// A quotient of two polynomials.
#[derive(Debug, Clone)]
pub(super) struct Quotient {
    atoms: Atoms,
    above: Polynomial,
    below: Polynomial,
}

impl Quotient {
    /// The value, where it is a rational number.
    pub(super) fn as_number(&self) -> Option<BigRational> {
        fraction(&self.above, &self.below)
    }

    /// Whether two values are the same; None where the budget ends.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        // What has no denominator has no value: after cross-multiplying it would equal everything.
        if self.below.is_zero() || other.below.is_zero() {
            return None;
        }
        let budget = &mut Budget::new();
        let mut atoms = self.atoms.clone();
        let above = other.above.placed(&other.atoms, &mut atoms)?;
        if self.below.is_one() && other.below.is_one() {
            return Some(self.above == above);
        }
        let below = other.below.placed(&other.atoms, &mut atoms)?;
        let left = self.above.times(&below, &atoms, budget)?;
        let right = above.times(&self.below, &atoms, budget)?;
        Some(left == right)
    }
}

/// The exact value of a scalar. None where it has none here, divides by zero, or costs too much.
pub(super) fn exact(expression: &Expression) -> Option<Quotient> {
    let mut evaluation = Evaluation {
        atoms: Atoms::default(),
        budget: Budget::new(),
    };
    let Fraction { above, below } = evaluation.value(expression)?;
    (!below.is_zero()).then_some(Quotient {
        atoms: evaluation.atoms,
        above,
        below,
    })
}

/// A quotient whose atoms stand in the evaluation's table.
#[derive(Debug, Clone)]
struct Fraction {
    above: Polynomial,
    below: Polynomial,
}

impl Fraction {
    fn whole(above: Polynomial) -> Self {
        Self {
            above,
            below: Polynomial::one(),
        }
    }

    fn number(number: &BigRational) -> Option<Self> {
        let (above, below) = (number.numer(), number.denom());
        (above.bits().max(below.bits()) <= MAX_BITS).then(|| Self {
            above: Polynomial::constant(Integer::new(above.clone())),
            below: Polynomial::constant(Integer::new(below.clone())),
        })
    }
}

fn fraction(above: &Polynomial, below: &Polynomial) -> Option<BigRational> {
    let (above, below) = (above.as_number()?, below.as_number()?);
    if below.is_zero() || above.bits().max(below.bits()) > MAX_BITS {
        return None;
    }
    let number = BigRational::new(above, below);
    (number.numer().bits().max(number.denom().bits()) <= MAX_NUMBER).then_some(number)
}

/// The walk over one expression: the atoms met so far and what is left of the budget.
struct Evaluation {
    atoms: Atoms,
    budget: Budget,
}

impl Evaluation {
    fn value(&mut self, expression: &Expression) -> Option<Fraction> {
        self.budget.spend(1)?;
        Some(match expression {
            Expression::Number(number) | Expression::Decimal(number, _) => {
                Fraction::number(number)?
            }
            Expression::Symbol(name) => self.atom(&Atom::Symbol(name.clone()))?,
            Expression::Constant(constant) => self.atom(&match constant {
                Constant::Pi => Atom::Pi,
                Constant::E => Atom::E,
                Constant::I => Atom::I,
                Constant::Infinity => Atom::Infinity,
            })?,
            Expression::Sum(terms) => {
                let mut sum = Fraction::whole(Polynomial::default());
                for term in terms {
                    let term = self.value(term)?;
                    sum = self.sum(sum, term)?;
                }
                sum
            }
            Expression::Product(factors) => {
                let mut product = Fraction::whole(Polynomial::one());
                for factor in factors {
                    let factor = self.value(factor)?;
                    product = self.product(&product, &factor)?;
                }
                product
            }
            Expression::Power(base, exponent) => {
                let base = self.value(base)?;
                let exponent = self.value(exponent)?;
                self.power(&base, &fraction(&exponent.above, &exponent.below)?)?
            }
            Expression::Call(function, arguments) => self.call(*function, arguments)?,
            Expression::Apply(..)
            | Expression::PlusMinus(..)
            | Expression::Percent(_)
            | Expression::Quantity(..)
            | Expression::Group(..)
            | Expression::Ratio(_)
            | Expression::Set(_)
            | Expression::Builder(..)
            | Expression::List(_)
            | Expression::Both(_)
            | Expression::Either(_)
            | Expression::Union(_)
            | Expression::Intersection(_)
            | Expression::Without(..)
            | Expression::Matrix(_)
            | Expression::Chain(..)
            | Expression::Text(_) => return None,
        })
    }

    fn atom(&mut self, atom: &Atom) -> Option<Fraction> {
        let place = self.atoms.place(atom)?;
        Some(Fraction::whole(Polynomial::atom(place, 1)))
    }

    fn sum(&mut self, left: Fraction, right: Fraction) -> Option<Fraction> {
        if left.below == right.below {
            return Some(Fraction {
                above: left.above.plus(right.above, &mut self.budget)?,
                below: left.below,
            });
        }
        let below = self.times(&left.below, &right.below)?;
        let (left, right) = (
            self.times(&left.above, &right.below)?,
            self.times(&right.above, &left.below)?,
        );
        Some(Fraction {
            above: left.plus(right, &mut self.budget)?,
            below,
        })
    }

    fn product(&mut self, left: &Fraction, right: &Fraction) -> Option<Fraction> {
        Some(Fraction {
            above: self.times(&left.above, &right.above)?,
            below: self.times(&left.below, &right.below)?,
        })
    }

    fn times(&mut self, left: &Polynomial, right: &Polynomial) -> Option<Polynomial> {
        left.times(right, &self.atoms, &mut self.budget)
    }

    fn power(&mut self, base: &Fraction, exponent: &BigRational) -> Option<Fraction> {
        if base.below.is_zero() || base.above.is_zero() && !exponent.is_positive() {
            return None;
        }
        let size = exponent.abs();
        let raised = if exponent.is_integer() {
            let size = size.to_integer().to_u32()?;
            Fraction {
                above: self.whole_power(&base.above, size)?,
                below: self.whole_power(&base.below, size)?,
            }
        } else {
            let (above, below) = (size.numer().to_u32()?, size.denom().to_u32()?);
            self.fractional_power(base, above, below)?
        };
        Some(if exponent.is_negative() {
            Fraction {
                above: raised.below,
                below: raised.above,
            }
        } else {
            raised
        })
    }

    fn whole_power(&mut self, base: &Polynomial, exponent: u32) -> Option<Polynomial> {
        if let Some(number) = base.as_number() {
            let raised = radical::power(&number, u64::from(exponent), &mut self.budget)?;
            return Some(Polynomial::constant(Integer::new(raised)));
        }
        // A sum times itself again and again is cheaper than its squares.
        let mut result = Polynomial::one();
        for _ in 0..exponent {
            self.budget.spend(1)?;
            result = self.times(&result, base)?;
        }
        Some(result)
    }

    /// Roots of numbers and of products of roots. An odd root of a negative number is the real one.
    fn fractional_power(&mut self, base: &Fraction, above: u32, below: u32) -> Option<Fraction> {
        if base.above.is_zero() {
            return Some(base.clone());
        }
        let mut negative = false;
        let mut sides = Vec::with_capacity(2);
        for side in [&base.above, &base.below] {
            let (mut value, primes) = side.as_radical(&self.atoms)?;
            if value.is_negative() {
                negative = !negative;
                value = value.negated();
            }
            sides.push(radical::root(
                &value,
                &primes,
                above,
                below,
                &mut self.atoms,
                &mut self.budget,
            )?);
        }
        let (mut below_side, mut above_side) = (sides.pop()?, sides.pop()?);
        if negative {
            match (below, above % 4) {
                (2, 1) => above_side = self.times_i(&above_side)?,
                // i³ is −i.
                (2, _) => above_side = self.times_i(&above_side)?.negated(),
                _ if below % 2 == 1 => {
                    if above % 2 == 1 {
                        below_side = below_side.negated();
                    }
                }
                _ => return None,
            }
        }
        Some(Fraction {
            above: above_side,
            below: below_side,
        })
    }

    fn times_i(&mut self, side: &Polynomial) -> Option<Polynomial> {
        let place = self.atoms.place(&Atom::I)?;
        self.times(side, &Polynomial::atom(place, 1))
    }

    fn call(&mut self, function: Function, arguments: &[Expression]) -> Option<Fraction> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.value(argument)?;
            values.push(fraction(&value.above, &value.below)?);
        }
        let whole = |number: &BigRational| {
            number
                .is_integer()
                .then(|| number.to_integer().to_u32())
                .flatten()
                .filter(|n| *n <= MAX_FACTORIAL)
        };
        let number = match (function, values.as_slice()) {
            (Function::Abs, [x]) => x.abs(),
            (Function::Floor, [x]) => x.floor(),
            (Function::Ceil, [x]) => x.ceil(),
            (Function::Factorial, [n]) => {
                let n = whole(n)?;
                self.budget.spend(u64::from(n))?;
                BigRational::from_integer((1..=n).fold(BigInt::one(), |product, k| product * k))
            }
            (Function::Binomial, [n, k]) => {
                let (n, k) = (whole(n)?, whole(k)?);
                self.budget.spend(u64::from(n))?;
                let k = k.min(n.saturating_sub(k)).min(if k > n { 0 } else { n });
                let value = (0..k).fold(BigInt::one(), |value, i| value * (n - i) / (i + 1));
                let beyond = values.last()? > values.first()?;
                BigRational::from_integer(if beyond { BigInt::zero() } else { value })
            }
            _ => return None,
        };
        Fraction::number(&number)
    }
}

#[cfg(test)]
mod tests;
