//! Whole numbers that stay on the stack while they are small: a polynomial of two thousand terms is mostly these.

use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

/// A whole number. One that fits is always small, so equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Integer {
    Small(i64),
    Big(BigInt),
}

impl Integer {
    pub(super) fn new(value: BigInt) -> Self {
        match value.to_i64() {
            Some(small) => Integer::Small(small),
            None => Integer::Big(value),
        }
    }

    pub(super) fn big(&self) -> BigInt {
        match self {
            Integer::Small(small) => BigInt::from(*small),
            Integer::Big(big) => big.clone(),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Integer::Small(small) => *small == 0,
            Integer::Big(big) => big.is_zero(),
        }
    }

    pub(super) fn is_negative(&self) -> bool {
        match self {
            Integer::Small(small) => *small < 0,
            Integer::Big(big) => *big < BigInt::zero(),
        }
    }

    /// The length in bits, without the sign; 64 for whatever is small.
    pub(super) fn bits(&self) -> u64 {
        match self {
            Integer::Small(_) => 64,
            Integer::Big(big) => big.bits(),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        if let (Integer::Small(a), Integer::Small(b)) = (self, other)
            && let Some(sum) = a.checked_add(*b)
        {
            return Integer::Small(sum);
        }
        Self::new(self.big() + other.big())
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        match (self, other) {
            (Integer::Small(a), Integer::Small(b)) => match a.checked_mul(*b) {
                Some(product) => Integer::Small(product),
                None => Self::new(BigInt::from(*a) * BigInt::from(*b)),
            },
            (Integer::Small(small), Integer::Big(big))
            | (Integer::Big(big), Integer::Small(small)) => Self::new(big * *small),
            (Integer::Big(a), Integer::Big(b)) => Self::new(a * b),
        }
    }

    pub(super) fn negated(&self) -> Self {
        match self {
            Integer::Small(small) => match small.checked_neg() {
                Some(negated) => Integer::Small(negated),
                None => Self::new(-BigInt::from(*small)),
            },
            Integer::Big(big) => Self::new(-big.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn sums_and_products_are_those_of_large_numbers(a: i64, b: i64) {
            let (small, other) = (Integer::Small(a), Integer::Small(b));
            let (big, second) = (BigInt::from(a), BigInt::from(b));
            assert_eq!(small.plus(&other), Integer::new(&big + &second));
            assert_eq!(small.times(&other), Integer::new(&big * &second));
            assert_eq!(small.negated(), Integer::new(-&big));
            let large = small.times(&other).times(&small);
            assert_eq!(large, Integer::new(&big * &second * &big));
        }
    }
}
