//! The value of an expression at a point, with a bound on its error: the rung for what has no exact form here
//! (trigonometry, logarithms, nested radicals, powers with variables).
//!
//! Every value carries the size of the largest error it may have. Two values are different where they lie
//! further apart than their errors, at one point; they are the same where they agree to [`AGREEMENT`] bits
//! ([`CONSTANT_AGREEMENT`] without variables) at every point that counts; otherwise nothing is decided. Points are seeded, so a verdict never varies.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::ToPrimitive;

use super::expression::{Constant, Expression, Function};
use super::float::{BITS, Float};

mod value;

use value::{NONE, Value};

/// How many bits must be the same for two values to count as one.
const AGREEMENT: i64 = 60;
/// How many bits that is of two constants, which have no second point: `1 - e^{-200}` is not 1.
const CONSTANT_AGREEMENT: i64 = 320;
/// How many points are tried: the first half has positive variables only.
const POINTS: usize = 8;
/// How many more are tried where something is rounded to whole numbers.
const STEPS: usize = 4;
/// How many points must have a value before anything counts as the same.
const ENOUGH: usize = 3;
/// A point: a value for each symbol, the same in both expressions, from the symbol's name.
struct Point<'a> {
    number: usize,
    values: &'a Cell<usize>,
    symbols: BTreeMap<String, Value>,
    /// Whether every value on the way was real.
    real: bool,
}

impl<'a> Point<'a> {
    fn new(number: usize, values: &'a Cell<usize>) -> Self {
        Self {
            number,
            values,
            symbols: BTreeMap::new(),
            real: true,
        }
    }

    /// A rational between 1/16 and 4; from the second half of the points on with either sign.
    fn symbol(&mut self, name: &str) -> Value {
        if let Some(value) = self.symbols.get(name) {
            return value.clone();
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64
            ^ (self.number as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95);
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 32;
        let part = i64::try_from(state % 999_983).unwrap_or(1);
        if self.number >= POINTS {
            // Whole numbers and halves.
            let whole = i64::try_from(state % 19).unwrap_or(0) - 9;
            let halves = i64::from(self.number.is_multiple_of(2));
            let value = BigRational::new(BigInt::from(2 * whole + halves), BigInt::from(2));
            let value = Value {
                re: Float::rational(&value),
                im: Float::zero(),
                error: NONE,
            };
            self.symbols.insert(name.to_owned(), value.clone());
            return value;
        }
        // Even points stay below one, where inverse functions have values.
        let largest = if self.number.is_multiple_of(2) { 1 } else { 4 };
        let negative = self.number >= POINTS / 2 && (state >> 40).is_multiple_of(2);
        let value = BigRational::new(
            BigInt::from((part * largest).max(62_500) * if negative { -1 } else { 1 }),
            BigInt::from(1_000_003),
        );
        let float = Float::rational(&value);
        let error = float.magnitude().unwrap_or(0) - BITS + 2;
        let value = Value {
            re: float,
            im: Float::zero(),
            error,
        };
        self.symbols.insert(name.to_owned(), value.clone());
        value
    }

    /// The value here. None where there is none, where it is out of range, or where the budget ends.
    fn value(&mut self, expression: &Expression) -> Option<Value> {
        self.values.set(self.values.get().checked_sub(1)?);
        let value = match expression {
            Expression::Number(number) | Expression::Decimal(number, _) => {
                let float = Float::rational(number);
                let error = float.magnitude().map_or(NONE, |size| size - BITS + 2);
                Value::real(float, error)?
            }
            Expression::Symbol(name) => self.symbol(name),
            Expression::Constant(constant) => match constant {
                Constant::Pi => Value::real(Float::pi(), -BITS + 8)?,
                Constant::E => Value::real(Float::integer(1).exp(), -BITS + 8)?,
                Constant::I => Value::new(Float::zero(), Float::integer(1), NONE)?,
                Constant::Infinity => return None,
            },
            Expression::Sum(terms) => {
                let mut sum = Value::integer(0);
                for term in terms {
                    sum = sum.plus(&self.value(term)?)?;
                }
                sum
            }
            Expression::Product(factors) => {
                let mut product = Value::integer(1);
                for factor in factors {
                    product = product.times(&self.value(factor)?)?;
                }
                product
            }
            Expression::Power(base, exponent) => self.power(base, exponent)?,
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
        };
        self.real &= value.is_real();
        Some(value)
    }

    fn power(&mut self, base: &Expression, exponent: &Expression) -> Option<Value> {
        if *base == Expression::Constant(Constant::E) {
            return self.value(exponent)?.exp();
        }
        let value = self.value(base)?;
        let rational = match exponent {
            Expression::Number(number) => Some(number.clone()),
            _ => crate::answer::normal::exact(exponent).and_then(|q| q.as_number()),
        };
        let Some(rational) = rational else {
            let exponent = self.value(exponent)?;
            return exponent.times(&value.ln()?)?.exp();
        };
        let above = rational.numer().to_i64()?;
        let raised = if rational.is_integer() {
            value.whole_power(above.unsigned_abs())?
        } else if *rational.denom() == BigInt::from(2) {
            value.sqrt()?.whole_power(above.unsigned_abs())?
        } else {
            let size = Value::real(Float::rational(&rational).abs(), -BITS + 80)?;
            if value.is_real() && value.re.sign() != Ordering::Greater {
                if value.size() == NONE {
                    return (above > 0).then(|| Value::integer(0));
                }
                // An odd root of a negative number is the real one.
                if rational.denom().is_odd() {
                    let raised = size.times(&value.negated().ln()?)?.exp()?;
                    let raised = if above % 2 == 0 {
                        raised
                    } else {
                        raised.negated()
                    };
                    return if above < 0 {
                        raised.inverse()
                    } else {
                        Some(raised)
                    };
                }
            }
            size.times(&value.ln()?)?.exp()?
        };
        if above < 0 {
            raised.inverse()
        } else {
            Some(raised)
        }
    }

    fn call(&mut self, function: Function, arguments: &[Expression]) -> Option<Value> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        let x = values.last()?;
        let hyperbolic = |sign: i64| {
            let down = x.negated().exp()?.times(&Value::integer(sign))?;
            x.exp()?.plus(&down)
        };
        Some(match function {
            Function::Sin => x.sin_cos()?.0,
            Function::Cos => x.sin_cos()?.1,
            Function::Tan => {
                let (sine, cosine) = x.sin_cos()?;
                sine.times(&cosine.inverse()?)?
            }
            Function::Cot => {
                let (sine, cosine) = x.sin_cos()?;
                cosine.times(&sine.inverse()?)?
            }
            Function::Sec => x.sin_cos()?.1.inverse()?,
            Function::Csc => x.sin_cos()?.0.inverse()?,
            Function::Arcsin => x.arcsin()?,
            Function::Arccos => {
                let quarter = Value::real(Float::pi().scaled(-1), -BITS + 8)?;
                quarter.plus(&x.arcsin()?.negated())?
            }
            Function::Arctan => x.arctan()?,
            Function::Sinh => hyperbolic(-1)?.times(&Value::integer(2).inverse()?)?,
            Function::Cosh => hyperbolic(1)?.times(&Value::integer(2).inverse()?)?,
            Function::Tanh => hyperbolic(-1)?.times(&hyperbolic(1)?.inverse()?)?,
            Function::Ln => x.ln()?,
            Function::Log => x.ln()?.times(&values.first()?.ln()?.inverse()?)?,
            Function::Abs => Value::real(x.modulus(), x.error + 1)?,
            Function::Floor => x.whole(Float::floor)?,
            Function::Ceil => x.negated().whole(Float::floor)?.negated(),
            Function::Factorial | Function::Binomial | Function::Numeral => return None,
        })
    }
}

/// What the values of two expressions say about them.
pub(super) enum Nearness {
    /// The same at every point, of which there were so many.
    Same(usize),
    /// Different at one point at least.
    Different,
    /// Too few points have values, or an error is too large.
    Unknown,
}

fn uses_i(expression: &Expression) -> bool {
    expression.any(&|part| *part == Expression::Constant(Constant::I))
}

fn has_step(expression: &Expression) -> bool {
    expression.any(&|part| matches!(part, Expression::Call(Function::Floor | Function::Ceil, _)))
}

fn has_symbol(expression: &Expression) -> bool {
    expression.any(&|part| matches!(part, Expression::Symbol(_)))
}

/// Compares two scalars at seeded points, as long as `values` computed values last.
///
/// A point with a negative variable counts only where every value on the way is real, so that `√(ab)` and `√a √b` are
/// the same and `√(x²)` and `x` are not.
pub(super) fn compare(left: &Expression, right: &Expression, values: &Cell<usize>) -> Nearness {
    let complex = uses_i(left) || uses_i(right);
    let points = if has_symbol(left) || has_symbol(right) {
        POINTS
    } else {
        1
    };
    let agreement = if points > 1 {
        AGREEMENT
    } else {
        CONSTANT_AGREEMENT
    };
    let mut agreed = 0;
    // Steps differ from other functions only at whole numbers, or between them.
    let steps = points > 1 && (has_step(left) || has_step(right));
    let last = if steps { points + STEPS } else { points };
    for number in 0..last {
        let mut point = Point::new(number, values);
        let (Some(a), Some(b)) = (point.value(left), point.value(right)) else {
            continue;
        };
        if number >= POINTS / 2 && !complex && !point.real {
            continue;
        }
        match a.is_near(&b, agreement) {
            Some(true) => agreed += usize::from(number < points),
            Some(false) => return Nearness::Different,
            None => {}
        }
    }
    if values.get() == 0 || agreed < ENOUGH.min(points) {
        Nearness::Unknown
    } else {
        Nearness::Same(agreed)
    }
}

/// The real value of a scalar without symbols, and how far off it may be. None where it has none, is complex or
/// is too large or small to be written down, or where `values` run out.
pub(super) fn constant(
    expression: &Expression,
    values: &Cell<usize>,
) -> Option<(BigRational, BigRational)> {
    if has_symbol(expression) {
        return None;
    }
    let value = Point::new(0, values).value(expression)?;
    let error = Float::integer(1).scaled(value.error.max(-4 * BITS));
    value
        .is_real()
        .then(|| Some((value.re.to_rational()?, error.to_rational()?)))
        .flatten()
}
