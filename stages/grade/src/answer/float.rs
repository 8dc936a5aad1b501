//! Real numbers of 512 bits, for values that have no exact form here.
//!
//! A number is `mantissa · 2^exponent`, cut to [`BITS`] bits after every operation. Each operation is right to
//! a few units in the last place; who needs a bound on the whole computation keeps it (see `numeric`).

use std::cmp::Ordering;
use std::sync::LazyLock;

use num_bigint::{BigInt, Sign};
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// The bits of a mantissa.
pub(super) const BITS: i64 = 512;
/// The fractional bits of the fixed-point numbers inside the series.
const FIXED: usize = 576;

/// A binary floating point number. Zero has the mantissa and the exponent 0.
#[derive(Debug, Clone)]
pub(super) struct Float {
    mantissa: BigInt,
    exponent: i64,
}

fn bits(value: &BigInt) -> i64 {
    i64::try_from(value.bits()).unwrap_or(i64::MAX / 4)
}

fn shifted(value: &BigInt, left: i64) -> BigInt {
    match usize::try_from(left.unsigned_abs()) {
        Ok(by) if left >= 0 => value << by,
        Ok(by) => value >> by,
        Err(_) => BigInt::zero(),
    }
}

impl Float {
    fn new(mantissa: BigInt, exponent: i64) -> Self {
        if mantissa.is_zero() {
            return Self::zero();
        }
        let over = bits(&mantissa) - BITS;
        if over > 0 {
            Self {
                mantissa: shifted(&mantissa, -over),
                exponent: exponent + over,
            }
        } else {
            Self { mantissa, exponent }
        }
    }

    pub(super) fn zero() -> Self {
        Self {
            mantissa: BigInt::zero(),
            exponent: 0,
        }
    }

    pub(super) fn integer(value: i64) -> Self {
        Self::new(value.into(), 0)
    }

    pub(super) fn rational(value: &BigRational) -> Self {
        Self::new(value.numer().clone(), 0).over(&Self::new(value.denom().clone(), 0))
    }

    /// From a finite binary64.
    fn from_f64(value: f64) -> Option<Self> {
        let exact = BigRational::from_float(value)?;
        Some(Self::rational(&exact))
    }

    /// As binary64, of a number whose size that type can hold.
    fn to_f64(&self) -> f64 {
        let over = bits(&self.mantissa) - 62;
        let top = shifted(&self.mantissa, -over);
        let exponent = i32::try_from(self.exponent + over).unwrap_or(0);
        top.to_f64().unwrap_or(0.0) * f64::from(exponent).exp2()
    }

    /// Exactly. None for a number too large or too small to be worth it.
    pub(super) fn to_rational(&self) -> Option<BigRational> {
        let exponent = usize::try_from(self.exponent.unsigned_abs())
            .ok()
            .filter(|exponent| *exponent <= 4_096)?;
        let power = BigInt::one() << exponent;
        Some(if self.exponent < 0 {
            BigRational::new(self.mantissa.clone(), power)
        } else {
            BigRational::from_integer(&self.mantissa * power)
        })
    }

    fn fixed(&self) -> BigInt {
        shifted(&self.mantissa, self.exponent + FIXED as i64)
    }

    fn from_fixed(value: BigInt) -> Self {
        Self::new(value, -(FIXED as i64))
    }

    /// The least `n` with `|x| < 2^n`; None for zero.
    pub(super) fn magnitude(&self) -> Option<i64> {
        (!self.mantissa.is_zero()).then(|| bits(&self.mantissa) + self.exponent)
    }

    pub(super) fn sign(&self) -> Ordering {
        match self.mantissa.sign() {
            Sign::Minus => Ordering::Less,
            Sign::NoSign => Ordering::Equal,
            Sign::Plus => Ordering::Greater,
        }
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            mantissa: -&self.mantissa,
            exponent: self.exponent,
        }
    }

    pub(super) fn abs(&self) -> Self {
        Self {
            mantissa: self.mantissa.abs(),
            exponent: self.exponent,
        }
    }

    pub(super) fn scaled(&self, power_of_two: i64) -> Self {
        if self.mantissa.is_zero() {
            return Self::zero();
        }
        Self {
            mantissa: self.mantissa.clone(),
            exponent: self.exponent + power_of_two,
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let (Some(a), Some(b)) = (self.magnitude(), other.magnitude()) else {
            return if self.mantissa.is_zero() {
                other.clone()
            } else {
                self.clone()
            };
        };
        // What lies wholly under the last bit of the other adds nothing.
        if a - b > BITS + 8 {
            return self.clone();
        }
        if b - a > BITS + 8 {
            return other.clone();
        }
        let exponent = self.exponent.min(other.exponent);
        let left = shifted(&self.mantissa, self.exponent - exponent);
        let right = shifted(&other.mantissa, other.exponent - exponent);
        Self::new(left + right, exponent)
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        Self::new(
            &self.mantissa * &other.mantissa,
            self.exponent + other.exponent,
        )
    }

    /// The quotient; zero where the divisor is zero, which callers rule out.
    pub(super) fn over(&self, other: &Self) -> Self {
        if other.mantissa.is_zero() {
            return Self::zero();
        }
        let shift = (BITS + 2 + bits(&other.mantissa) - bits(&self.mantissa)).max(0);
        Self::new(
            shifted(&self.mantissa, shift) / &other.mantissa,
            self.exponent - other.exponent - shift,
        )
    }

    /// The root of the absolute value.
    pub(super) fn sqrt(&self) -> Self {
        let mut shift = (2 * BITS + 2 - bits(&self.mantissa)).max(0);
        if (self.exponent - shift) % 2 != 0 {
            shift += 1;
        }
        let mantissa = shifted(&self.mantissa.abs(), shift);
        Self::new(mantissa.sqrt(), (self.exponent - shift) / 2)
    }

    /// The nearest whole number.
    pub(super) fn round(&self) -> BigInt {
        let twice = shifted(&self.mantissa, self.exponent + 1) + BigInt::one();
        twice >> 1usize
    }

    /// The largest whole number that is not above.
    pub(super) fn floor(&self) -> BigInt {
        shifted(&self.mantissa, self.exponent)
    }

    pub(super) fn whole(value: BigInt) -> Self {
        Self::new(value, 0)
    }

    pub(super) fn pi() -> Self {
        Self::from_fixed(PI.clone())
    }

    /// `e^x` for `|x| < 2^16`.
    pub(super) fn exp(&self) -> Self {
        let times = self.over(&Self::from_fixed(LN_2.clone())).round();
        // Eight halvings keep the series short; as many squarings undo them.
        const HALVINGS: usize = 8;
        let rest = (self.fixed() - &times * &*LN_2) >> HALVINGS;
        let one = BigInt::one() << FIXED;
        let (mut sum, mut term, mut n) = (one.clone(), one, 1u32);
        loop {
            term = ((&term * &rest) >> FIXED) / n;
            if bits(&term) < 2 {
                break;
            }
            sum += &term;
            n += 1;
        }
        for _ in 0..HALVINGS {
            sum = (&sum * &sum) >> FIXED;
        }
        Self::from_fixed(sum).scaled(times.to_i64().unwrap_or(0))
    }

    /// The logarithm of a positive number.
    pub(super) fn ln(&self) -> Self {
        let Some(magnitude) = self.magnitude() else {
            return Self::zero();
        };
        let near_one = self.scaled(-magnitude);
        // Fifty bits from binary64; what is left is a logarithm of a number within 2^-50 of one.
        let Some(start) = Self::from_f64(near_one.to_f64().ln()) else {
            return Self::zero();
        };
        let power = start.exp();
        let u = near_one.minus(&power).over(&near_one.plus(&power));
        start
            .plus(&u.odd_series(1).scaled(1))
            .plus(&Self::integer(magnitude).times(&Self::from_fixed(LN_2.clone())))
    }

    /// Sine and cosine, for `|x| < 2^40`.
    pub(super) fn sin_cos(&self) -> (Self, Self) {
        let quarter: BigInt = &*PI >> 1usize;
        let turns = self.over(&Self::from_fixed(quarter.clone())).round();
        let rest = self.fixed() - &turns * quarter;
        let square = (&rest * &rest) >> FIXED;
        let series = |first: BigInt, mut n: u32| {
            let (mut sum, mut term) = (first.clone(), first);
            loop {
                term = -((&term * &square) >> FIXED) / (n * (n + 1));
                if bits(&term) < 2 {
                    return Self::from_fixed(sum);
                }
                sum += &term;
                n += 2;
            }
        };
        let sine = series(rest.clone(), 2);
        let cosine = series(BigInt::one() << FIXED, 1);
        let quadrant: BigInt = ((turns % 4) + 4) % 4;
        match quadrant.to_u8() {
            Some(1) => (cosine, sine.negated()),
            Some(2) => (sine.negated(), cosine.negated()),
            Some(3) => (cosine.negated(), sine),
            _ => (sine, cosine),
        }
    }

    /// The angle of the point `(x, y)`, in (−π, π].
    pub(super) fn angle(y: &Self, x: &Self) -> Self {
        let scale = -y.magnitude().max(x.magnitude()).unwrap_or(0);
        let start = y.scaled(scale).to_f64().atan2(x.scaled(scale).to_f64());
        let Some(start) = Self::from_f64(start) else {
            return Self::zero();
        };
        let (sine, cosine) = start.sin_cos();
        let across = y.times(&cosine).minus(&x.times(&sine));
        let along = x.times(&cosine).plus(&y.times(&sine));
        if along.mantissa.is_zero() {
            return start;
        }
        let t = across.over(&along);
        start.plus(&t.odd_series(-1))
    }

    /// `Σ sign^k · x^(2k+1)/(2k+1)` for `|x| < 2^-48`: six terms leave an error under 2^-620.
    fn odd_series(&self, sign: i64) -> Self {
        let square = self.times(self).times(&Self::integer(sign));
        let sum = [9, 7, 5, 3, 1].into_iter().fold(
            Self::integer(1).over(&Self::integer(11)),
            |sum, n| {
                Self::integer(1)
                    .over(&Self::integer(n))
                    .plus(&square.times(&sum))
            },
        );
        self.times(&sum)
    }
}

/// `Σ sign^k · x^(2k+1)/(2k+1)` with `x = 1/n`: the arctangent, or with `sign` 1 its hyperbolic sister.
fn inverse_series(n: u32, sign: i32) -> BigInt {
    let mut power = (BigInt::one() << FIXED) / n;
    let (mut sum, mut k, mut factor) = (power.clone(), 1u32, sign);
    loop {
        power /= n * n;
        k += 2;
        let term = &power / k;
        if term.is_zero() {
            return sum;
        }
        sum += term * factor;
        factor *= sign;
    }
}

/// Machin: π/4 = 4 arctan(1/5) − arctan(1/239).
static PI: LazyLock<BigInt> =
    LazyLock::new(|| inverse_series(5, -1) * 16 - inverse_series(239, -1) * 4);
/// ln 2 = 2 artanh(1/3).
static LN_2: LazyLock<BigInt> = LazyLock::new(|| inverse_series(3, 1) * 2);

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Float, b: &Float) {
        let difference = a.minus(b).magnitude().unwrap_or(-1000);
        assert!(difference < -235, "2^{difference}: {a:?} {b:?}");
    }

    #[test]
    fn functions_undo_each_other() {
        for x in ["3/7", "22/7", "1000001/1000", "-5/3", "1/100000", "17/1"] {
            let x = Float::rational(&x.parse().unwrap());
            close(&x.exp().ln(), &x);
            let (sine, cosine) = x.sin_cos();
            close(
                &sine.times(&sine).plus(&cosine.times(&cosine)),
                &Float::integer(1),
            );
            let root = x.abs().sqrt();
            close(&root.times(&root), &x.abs());
        }
    }

    #[test]
    fn known_values_come_out() {
        close(
            &Float::angle(&Float::integer(1), &Float::integer(1)).scaled(1),
            &Float::pi().over(&Float::integer(2)),
        );
        close(
            &Float::angle(&Float::zero(), &Float::integer(-1)),
            &Float::pi(),
        );
        assert!((Float::pi().to_f64() - std::f64::consts::PI).abs() < 1e-15);
        assert!((Float::integer(1).exp().to_f64() - std::f64::consts::E).abs() < 1e-15);
        assert!((Float::integer(10).ln().to_f64() - std::f64::consts::LN_10).abs() < 1e-15);
        let (sine, cosine) = Float::pi().over(&Float::integer(3)).sin_cos();
        close(&cosine, &Float::rational(&"1/2".parse().unwrap()));
        close(
            &sine.times(&sine),
            &Float::rational(&"3/4".parse().unwrap()),
        );
    }

    #[test]
    fn whole_parts_round_down_and_to_the_nearest() {
        let half = Float::rational(&"-7/4".parse().unwrap());
        assert_eq!(half.floor(), BigInt::from(-2));
        assert_eq!(half.round(), BigInt::from(-2));
        assert_eq!(Float::integer(5).floor(), BigInt::from(5));
    }
}
