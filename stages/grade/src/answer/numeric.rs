//! The value of an expression at a point, with a bound on its error: the rung for what has no exact form here
//! (trigonometry, logarithms, nested radicals, powers with variables).
//!
//! Every value carries the size of the largest error it may have. Two values are different where they lie
//! further apart than their errors, at one point; they are the same where they agree to [`AGREEMENT`] bits at
//! every point that counts; otherwise nothing is decided. Points are seeded, so a verdict never varies.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::ToPrimitive;

use super::expression::{Constant, Expression, Function};
use super::float::{BITS, Float};

/// How many bits must be the same for two values to count as one.
const AGREEMENT: i64 = 60;
/// How many points are tried: the first half has positive variables only.
const POINTS: usize = 8;
/// How many points must have a value before anything counts as the same.
const ENOUGH: usize = 3;
/// The sizes that are computed with, as powers of two.
const RANGE: i64 = 60_000;
/// The error of an exact zero.
const NONE: i64 = i64::MIN / 4;

/// A complex number and the power of two that bounds its error.
#[derive(Debug, Clone)]
pub(super) struct Value {
    re: Float,
    im: Float,
    error: i64,
}

impl Value {
    /// A value whose parts smaller than its error are cut to zero. None where it is out of range.
    fn new(re: Float, im: Float, error: i64) -> Option<Self> {
        let mut value = Self { re, im, error };
        let size = value.size();
        value.error = value.error.max(size - BITS + 6);
        if size > RANGE || (size > NONE && size < -RANGE) {
            return None;
        }
        for part in [&mut value.re, &mut value.im] {
            if part.magnitude().is_some_and(|size| size <= value.error) {
                *part = Float::zero();
            }
        }
        Some(value)
    }

    fn real(re: Float, error: i64) -> Option<Self> {
        Self::new(re, Float::zero(), error)
    }

    fn integer(value: i64) -> Self {
        Self {
            re: Float::integer(value),
            im: Float::zero(),
            error: NONE,
        }
    }

    /// The least `n` with both parts below `2^n`.
    fn size(&self) -> i64 {
        self.re.magnitude().max(self.im.magnitude()).unwrap_or(NONE)
    }

    fn is_real(&self) -> bool {
        self.im.sign() == Ordering::Equal
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        let error = self
            .error
            .max(other.error)
            .max(self.size().max(other.size()) - BITS + 4)
            + 1;
        Self::new(self.re.plus(&other.re), self.im.plus(&other.im), error)
    }

    fn negated(&self) -> Self {
        Self {
            re: self.re.negated(),
            im: self.im.negated(),
            error: self.error,
        }
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let (a, b) = (self.size(), other.size());
        let error = (a + other.error)
            .max(b + self.error)
            .max(self.error + other.error)
            .max(a + b - BITS + 6)
            + 3;
        Self::new(
            self.re.times(&other.re).minus(&self.im.times(&other.im)),
            self.re.times(&other.im).plus(&self.im.times(&other.re)),
            error,
        )
    }

    /// None where zero is within the error.
    fn inverse(&self) -> Option<Self> {
        let size = self.size();
        if size <= self.error + 16 {
            return None;
        }
        let square = self.re.times(&self.re).plus(&self.im.times(&self.im));
        Self::new(
            self.re.over(&square),
            self.im.negated().over(&square),
            self.error - 2 * size + 6,
        )
    }

    fn modulus(&self) -> Float {
        if self.is_real() {
            return self.re.abs();
        }
        self.re
            .times(&self.re)
            .plus(&self.im.times(&self.im))
            .sqrt()
    }

    fn sqrt(&self) -> Option<Self> {
        let size = self.size();
        if size == NONE {
            return Some(self.clone());
        }
        let error = if size > self.error + 4 {
            self.error - size / 2 + 3
        } else {
            self.error / 2 + 3
        };
        let modulus = self.modulus();
        if self.is_real() {
            let root = modulus.sqrt();
            return match self.re.sign() {
                Ordering::Less => Self::new(Float::zero(), root, error),
                Ordering::Equal | Ordering::Greater => Self::real(root, error),
            };
        }
        let half = |x: Float| x.scaled(-1).sqrt();
        let (re, im) = if self.re.sign() == Ordering::Less {
            let im = half(modulus.minus(&self.re));
            let re = self.im.abs().over(&im).scaled(-1);
            (
                re,
                if self.im.sign() == Ordering::Less {
                    im.negated()
                } else {
                    im
                },
            )
        } else {
            let re = half(modulus.plus(&self.re));
            let im = self.im.over(&re).scaled(-1);
            (re, im)
        };
        Self::new(re, im, error)
    }

    fn exp(&self) -> Option<Self> {
        if self.re.magnitude().is_some_and(|size| size > 15) || self.error > -8 {
            return None;
        }
        let length = self.re.exp();
        let size = length.magnitude().unwrap_or(0);
        if self.is_real() {
            return Self::real(length, self.error.max(-BITS + 16) + size + 2);
        }
        let (sine, cosine) = self.sin_cos_of(&self.im)?;
        Self::new(
            length.times(&cosine),
            length.times(&sine),
            self.error.max(-BITS + 16) + size + 2,
        )
    }

    fn sin_cos_of(&self, angle: &Float) -> Option<(Float, Float)> {
        (angle.magnitude().unwrap_or(0) <= 30).then(|| angle.sin_cos())
    }

    /// None where zero is within the error.
    fn ln(&self) -> Option<Self> {
        let size = self.size();
        if size <= self.error + 16 {
            return None;
        }
        let error = (self.error - size + 3).max(-BITS + 24);
        let re = self.modulus().ln();
        let im = if self.is_real() && self.re.sign() == Ordering::Greater {
            Float::zero()
        } else {
            Float::angle(&self.im, &self.re)
        };
        Self::new(re, im, error)
    }

    /// Sine and cosine.
    fn sin_cos(&self) -> Option<(Self, Self)> {
        if self.error > -8 {
            return None;
        }
        let (sine, cosine) = self.sin_cos_of(&self.re)?;
        if self.is_real() {
            let error = self.error.max(-BITS + 40) + 1;
            return Some((Self::real(sine, error)?, Self::real(cosine, error)?));
        }
        if self.im.magnitude().is_some_and(|size| size > 10) {
            return None;
        }
        let (up, down) = (self.im.exp(), self.im.negated().exp());
        let cosh = up.plus(&down).scaled(-1);
        let sinh = up.minus(&down).scaled(-1);
        let error = self.error.max(-BITS + 40) + cosh.magnitude().unwrap_or(0) + 2;
        Some((
            Self::new(sine.times(&cosh), cosine.times(&sinh), error)?,
            Self::new(cosine.times(&cosh), sine.times(&sinh).negated(), error)?,
        ))
    }

    fn arcsin(&self) -> Option<Self> {
        // −i ln(iz + √(1 − z²))
        let i = Self {
            re: Float::zero(),
            im: Float::integer(1),
            error: NONE,
        };
        let root = Self::integer(1)
            .plus(&self.times(self)?.negated())?
            .sqrt()?;
        Some(i.times(&i.times(self)?.plus(&root)?.ln()?)?.negated())
    }

    fn arctan(&self) -> Option<Self> {
        if !self.is_real() {
            return None;
        }
        Self::real(
            Float::angle(&self.re, &Float::integer(1)),
            self.error.max(-BITS + 24) + 1,
        )
    }

    fn whole_power(&self, exponent: u64) -> Option<Self> {
        let (mut result, mut square, mut rest) = (Self::integer(1), self.clone(), exponent);
        while rest > 0 {
            if rest % 2 == 1 {
                result = result.times(&square)?;
            }
            rest /= 2;
            if rest > 0 {
                square = square.times(&square)?;
            }
        }
        Some(result)
    }

    fn is_near(&self, other: &Self) -> Option<bool> {
        let error = self.error.max(other.error) + 2;
        let apart = self.plus(&other.negated())?.size();
        if apart > error {
            return Some(false);
        }
        let size = self.size().max(other.size());
        // What cannot be told from zero is zero only where the error is small by itself.
        (error < (size - AGREEMENT).max(-2 * AGREEMENT)).then_some(true)
    }
}

/// A point: a value for each symbol, the same in both expressions, from the symbol's name.
struct Point<'a> {
    number: usize,
    values: &'a Cell<usize>,
    symbols: BTreeMap<String, Value>,
    /// Whether every value on the way was real.
    real: bool,
}

impl Point<'_> {
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
            Expression::Number(number) => {
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
            Expression::PlusMinus(..)
            | Expression::Percent(_)
            | Expression::Quantity(..)
            | Expression::Group(..)
            | Expression::Ratio(_)
            | Expression::Set(_)
            | Expression::List(_)
            | Expression::Union(_)
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
            _ => super::normal::exact(exponent).and_then(|q| q.as_number()),
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

impl Value {
    /// A whole part. A value within its error of a whole number is that number.
    fn whole(&self, part: fn(&Float) -> BigInt) -> Option<Self> {
        if !self.is_real() || self.error > -AGREEMENT {
            return None;
        }
        let nearest = Float::whole(self.re.round());
        if self
            .re
            .minus(&nearest)
            .magnitude()
            .is_none_or(|size| size <= self.error + 2)
        {
            return Self::real(nearest, NONE);
        }
        Self::real(Float::whole(part(&self.re)), NONE)
    }
}

/// What the values of two expressions say about them.
pub(super) enum Nearness {
    /// The same at every point.
    Same,
    /// Different at one point at least.
    Different,
    /// Too few points have values, or an error is too large.
    Unknown,
}

fn uses_i(expression: &Expression) -> bool {
    match expression {
        Expression::Constant(Constant::I) => true,
        Expression::Sum(parts) | Expression::Product(parts) | Expression::Call(_, parts) => {
            parts.iter().any(uses_i)
        }
        Expression::Power(base, exponent) => uses_i(base) || uses_i(exponent),
        _ => false,
    }
}

fn has_symbol(expression: &Expression) -> bool {
    match expression {
        Expression::Symbol(_) => true,
        Expression::Sum(parts) | Expression::Product(parts) | Expression::Call(_, parts) => {
            parts.iter().any(has_symbol)
        }
        Expression::Power(base, exponent) => has_symbol(base) || has_symbol(exponent),
        _ => false,
    }
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
    let mut agreed = 0;
    for number in 0..points {
        let mut point = Point {
            number,
            values,
            symbols: BTreeMap::new(),
            real: true,
        };
        let (Some(a), Some(b)) = (point.value(left), point.value(right)) else {
            continue;
        };
        if number >= POINTS / 2 && !complex && !point.real {
            continue;
        }
        match a.is_near(&b) {
            Some(true) => agreed += 1,
            Some(false) => return Nearness::Different,
            None => {}
        }
    }
    if values.get() == 0 || agreed < ENOUGH.min(points) {
        Nearness::Unknown
    } else {
        Nearness::Same
    }
}
