//! The exact value of an expression: a polynomial over the rationals whose variables are the symbols, π, e
//! and roots of whole numbers. Everything else has no exact value here.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

use super::expression::{Constant, Expression, Function};

/// How many products of terms one value may take.
const BUDGET: usize = 20_000;
/// The largest whole exponent that is multiplied out.
const MAX_POWER: i64 = 64;
/// The longest number that is kept, in bits.
const MAX_BITS: u64 = 16_384;

/// A variable of a polynomial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Atom {
    Symbol(String),
    Pi,
    E,
    /// The square root of a square-free number above one, or of −1.
    Root(BigInt),
}

type Monomial = BTreeMap<Atom, u32>;

/// A sum of monomials with non-zero coefficients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Polynomial(BTreeMap<Monomial, BigRational>);

/// A quotient of two polynomials.
#[derive(Debug, Clone)]
pub(super) struct Quotient {
    above: Polynomial,
    below: Polynomial,
}

impl Polynomial {
    fn constant(value: BigRational) -> Self {
        Self::term(Monomial::new(), value)
    }

    fn term(monomial: Monomial, value: BigRational) -> Self {
        let mut terms = BTreeMap::new();
        if !value.is_zero() {
            terms.insert(monomial, value);
        }
        Self(terms)
    }

    fn add(&mut self, monomial: Monomial, value: BigRational) {
        let entry = self
            .0
            .entry(monomial.clone())
            .or_insert_with(BigRational::zero);
        *entry += value;
        if entry.is_zero() {
            self.0.remove(&monomial);
        }
    }

    fn plus(mut self, other: &Self) -> Self {
        for (monomial, value) in &other.0 {
            self.add(monomial.clone(), value.clone());
        }
        self
    }

    fn times(&self, other: &Self, budget: &mut usize) -> Option<Self> {
        *budget = budget.checked_sub(self.0.len() * other.0.len())?;
        let mut result = Self::default();
        for (left, a) in &self.0 {
            for (right, b) in &other.0 {
                let mut value = a * b;
                let mut monomial = left.clone();
                for (atom, power) in right {
                    *monomial.entry(atom.clone()).or_insert(0) += power;
                }
                // A root squared is its number; roots of different numbers multiply into one.
                let mut radicand = BigInt::one();
                let mut minus = 0;
                monomial.retain(|atom, power| match atom {
                    Atom::Root(number) if *number == BigInt::from(-1) => {
                        minus += *power;
                        false
                    }
                    Atom::Root(number) => {
                        value *= BigRational::from_integer(num_traits::pow(
                            number.clone(),
                            (*power / 2) as usize,
                        ));
                        if *power % 2 == 1 {
                            radicand *= number;
                        }
                        false
                    }
                    Atom::Symbol(_) | Atom::Pi | Atom::E => true,
                });
                if minus / 2 % 2 == 1 {
                    value = -value;
                }
                if minus % 2 == 1 {
                    monomial.insert(Atom::Root(BigInt::from(-1)), 1);
                }
                if radicand > BigInt::one() {
                    let (outside, inside) = square_part(&radicand)?;
                    value *= BigRational::from_integer(outside);
                    if inside > BigInt::one() {
                        monomial.insert(Atom::Root(inside), 1);
                    }
                }
                if value.numer().bits().max(value.denom().bits()) > MAX_BITS {
                    return None;
                }
                result.add(monomial, value);
            }
        }
        Some(result)
    }

    fn as_number(&self) -> Option<BigRational> {
        match self.0.len() {
            0 => Some(BigRational::zero()),
            1 => self
                .0
                .iter()
                .next()
                .filter(|(m, _)| m.is_empty())
                .map(|(_, value)| value.clone()),
            _ => None,
        }
    }
}

impl Quotient {
    fn from(above: Polynomial) -> Self {
        Self {
            above,
            below: Polynomial::constant(BigRational::one()),
        }
    }

    /// The value, where it is a rational number.
    pub(super) fn as_number(&self) -> Option<BigRational> {
        Some(self.above.as_number()? / self.below.as_number().filter(|below| !below.is_zero())?)
    }

    /// `left − right`, times what clears the denominators.
    fn difference(&self, other: &Self, budget: &mut usize) -> Option<Polynomial> {
        let left = self.above.times(&other.below, budget)?;
        let right = other.above.times(&self.below, budget)?;
        let minus = right.times(&Polynomial::constant(-BigRational::one()), budget)?;
        Some(left.plus(&minus))
    }

    /// Whether two values are the same; None where the budget ends.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        // What has no denominator has no value: after cross-multiplying it would equal everything.
        if self.below.0.is_empty() || other.below.0.is_empty() {
            return None;
        }
        let mut budget = BUDGET;
        Some(self.difference(other, &mut budget)?.0.is_empty())
    }
}

/// The exact value of a scalar. None where it has none here, divides by zero, or costs too much.
pub(super) fn exact(expression: &Expression) -> Option<Quotient> {
    value(expression, &mut { BUDGET }).filter(|quotient| !quotient.below.0.is_empty())
}

fn value(expression: &Expression, budget: &mut usize) -> Option<Quotient> {
    let atom = |atom: Atom| {
        Quotient::from(Polynomial::term(
            Monomial::from([(atom, 1)]),
            BigRational::one(),
        ))
    };
    Some(match expression {
        Expression::Number(number) => Quotient::from(Polynomial::constant(number.clone())),
        Expression::Symbol(name) => atom(Atom::Symbol(name.clone())),
        Expression::Constant(Constant::Pi) => atom(Atom::Pi),
        Expression::Constant(Constant::E) => atom(Atom::E),
        Expression::Constant(Constant::I) => atom(Atom::Root(BigInt::from(-1))),
        Expression::Constant(Constant::Infinity) => atom(Atom::Symbol("∞".to_owned())),
        Expression::Sum(terms) => {
            let mut sum = Quotient::from(Polynomial::default());
            for term in terms {
                let term = value(term, budget)?;
                let left = sum.above.times(&term.below, budget)?;
                let right = term.above.times(&sum.below, budget)?;
                sum = Quotient {
                    above: left.plus(&right),
                    below: sum.below.times(&term.below, budget)?,
                };
            }
            sum
        }
        Expression::Product(factors) => {
            let mut product = Quotient::from(Polynomial::constant(BigRational::one()));
            for factor in factors {
                let factor = value(factor, budget)?;
                product = Quotient {
                    above: product.above.times(&factor.above, budget)?,
                    below: product.below.times(&factor.below, budget)?,
                };
            }
            product
        }
        Expression::Power(base, exponent) => power(
            &value(base, budget)?,
            &value(exponent, budget)?.as_number()?,
            budget,
        )?,
        Expression::Call(Function::Factorial, arguments) => {
            let n = value(arguments.first()?, budget)?.as_number()?;
            let n = n
                .is_integer()
                .then(|| n.to_integer().to_u32())
                .flatten()
                .filter(|n| *n <= 500)?;
            let product = (1..=n).fold(BigInt::one(), |product, factor| product * factor);
            Quotient::from(Polynomial::constant(BigRational::from_integer(product)))
        }
        _ => return None,
    })
}

fn power(base: &Quotient, exponent: &BigRational, budget: &mut usize) -> Option<Quotient> {
    if exponent.is_integer() {
        let exponent = exponent.to_integer().to_i64()?;
        // A number may be raised higher than a sum, within its bits.
        let number = base.as_number();
        if exponent.abs() > MAX_POWER && number.is_none() || exponent.unsigned_abs() > MAX_BITS {
            return None;
        }
        if let Some(number) = number {
            let bits = number.numer().bits().max(number.denom().bits());
            if bits.saturating_mul(exponent.unsigned_abs()) > MAX_BITS
                || (number.is_zero() && exponent <= 0)
            {
                return None;
            }
            let raised = num_traits::pow(number, usize::try_from(exponent.unsigned_abs()).ok()?);
            let raised = if exponent < 0 { raised.recip() } else { raised };
            return Some(Quotient::from(Polynomial::constant(raised)));
        }
        let one = Polynomial::constant(BigRational::one());
        let mut result = Quotient {
            above: one.clone(),
            below: one,
        };
        for _ in 0..exponent.unsigned_abs() {
            result = Quotient {
                above: result.above.times(&base.above, budget)?,
                below: result.below.times(&base.below, budget)?,
            };
        }
        if exponent < 0 {
            result = Quotient {
                above: result.below,
                below: result.above,
            };
        }
        return (!result.below.0.is_empty()).then_some(result);
    }
    // Square roots of rational numbers: √(p/q) = √(pq) / q.
    let number = base.as_number()?;
    let twice = exponent * BigRational::from_integer(2.into());
    if !twice.is_integer() || number.is_zero() {
        return None;
    }
    let radicand = number.numer() * number.denom();
    let (negative, radicand) = (
        radicand < BigInt::zero(),
        radicand.magnitude().clone().into(),
    );
    let (outside, inside) = square_part(&radicand)?;
    let mut root = Polynomial::constant(BigRational::new(outside, number.denom().clone()));
    for atom in [
        (inside > BigInt::one()).then_some(inside),
        negative.then(|| BigInt::from(-1)),
    ]
    .into_iter()
    .flatten()
    {
        let atom = Polynomial::term(Monomial::from([(Atom::Root(atom), 1)]), BigRational::one());
        root = root.times(&atom, budget)?;
    }
    power(&Quotient::from(root), &twice, budget)
}

/// `n = outside² · inside` with `inside` square-free. None for numbers too large to take apart.
fn square_part(number: &BigInt) -> Option<(BigInt, BigInt)> {
    let mut rest = number.to_u64().filter(|n| *n <= 1_000_000_000_000)?;
    let (mut outside, mut inside) = (1u64, 1u64);
    let mut prime = 2u64;
    while prime * prime <= rest {
        while rest % (prime * prime) == 0 {
            outside *= prime;
            rest /= prime * prime;
        }
        if rest % prime == 0 {
            inside *= prime;
            rest /= prime;
        }
        prime += 1;
    }
    Some((outside.into(), (inside * rest).into()))
}
