//! A complex number with a bound on its error, and what can be computed with it.

use std::cmp::Ordering;

use num_bigint::BigInt;

use super::super::float::{BITS, Float};
use super::AGREEMENT;

/// The sizes that are computed with, as powers of two.
const RANGE: i64 = 60_000;
/// The error of an exact zero.
pub(super) const NONE: i64 = i64::MIN / 4;

/// A complex number and the power of two that bounds its error.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) re: Float,
    pub(super) im: Float,
    /// The power of two that no error reaches.
    pub(super) error: i64,
}

impl Value {
    /// A value whose parts smaller than its error are cut to zero. None where it is out of range.
    pub(super) fn new(re: Float, im: Float, error: i64) -> Option<Self> {
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

    pub(super) fn real(re: Float, error: i64) -> Option<Self> {
        Self::new(re, Float::zero(), error)
    }

    pub(super) fn integer(value: i64) -> Self {
        Self {
            re: Float::integer(value),
            im: Float::zero(),
            error: NONE,
        }
    }

    /// The least `n` with both parts below `2^n`.
    pub(super) fn size(&self) -> i64 {
        self.re.magnitude().max(self.im.magnitude()).unwrap_or(NONE)
    }

    pub(super) fn is_real(&self) -> bool {
        self.im.sign() == Ordering::Equal
    }

    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let error = self
            .error
            .max(other.error)
            .max(self.size().max(other.size()) - BITS + 4)
            + 1;
        Self::new(self.re.plus(&other.re), self.im.plus(&other.im), error)
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            re: self.re.negated(),
            im: self.im.negated(),
            error: self.error,
        }
    }

    pub(super) fn times(&self, other: &Self) -> Option<Self> {
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
    pub(super) fn inverse(&self) -> Option<Self> {
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

    pub(super) fn modulus(&self) -> Float {
        if self.is_real() {
            return self.re.abs();
        }
        self.re
            .times(&self.re)
            .plus(&self.im.times(&self.im))
            .sqrt()
    }

    pub(super) fn sqrt(&self) -> Option<Self> {
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

    pub(super) fn exp(&self) -> Option<Self> {
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

    pub(super) fn sin_cos_of(&self, angle: &Float) -> Option<(Float, Float)> {
        (angle.magnitude().unwrap_or(0) <= 30).then(|| angle.sin_cos())
    }

    /// None where zero is within the error.
    pub(super) fn ln(&self) -> Option<Self> {
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
    pub(super) fn sin_cos(&self) -> Option<(Self, Self)> {
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

    pub(super) fn arcsin(&self) -> Option<Self> {
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

    pub(super) fn arctan(&self) -> Option<Self> {
        if !self.is_real() {
            return None;
        }
        Self::real(
            Float::angle(&self.re, &Float::integer(1)),
            self.error.max(-BITS + 24) + 1,
        )
    }

    pub(super) fn whole_power(&self, exponent: u64) -> Option<Self> {
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

    pub(super) fn is_near(&self, other: &Self, bits: i64) -> Option<bool> {
        let error = self.error.max(other.error) + 2;
        let apart = self.plus(&other.negated())?.size();
        if apart > error {
            return Some(false);
        }
        let size = self.size().max(other.size());
        // What cannot be told from zero is zero only where the error is small by itself.
        (error < (size - bits).max(-bits - AGREEMENT)).then_some(true)
    }
}

impl Value {
    /// A whole part. A value within its error of a whole number is that number.
    pub(super) fn whole(&self, part: fn(&Float) -> BigInt) -> Option<Self> {
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
