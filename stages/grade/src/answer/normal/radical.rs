//! Roots of whole numbers: taken apart into primes.

use num_bigint::{BigInt, BigUint};
use num_traits::{One, ToPrimitive, Zero};

use super::integer::Integer;
use super::polynomial::{Atom, Atoms, Budget, MAX_BITS, PARTS, Polynomial};

/// Primes up to here are taken out of numbers of any length.
const SMALL: u64 = 1_000;
/// The largest number without small primes that is taken apart.
const LARGEST: u64 = 10_000_000_000;

/// `value^(above / below)` for a positive whole number and primes that stand under roots already, with exponents in
/// parts. None where it cannot be taken apart.
pub(super) fn root(
    value: &Integer,
    primes: &[(u64, u32)],
    above: u32,
    below: u32,
    atoms: &mut Atoms,
    budget: &mut Budget,
) -> Option<Polynomial> {
    if below == 0 || !PARTS.is_multiple_of(below) {
        return None;
    }
    let mut powers: Vec<(u64, u64)> = Vec::new();
    let mut outside = BigInt::one();
    match perfect(&value.big(), below, budget)? {
        Some(exact) => outside = power(&exact, u64::from(above), budget)?,
        None => {
            for (prime, exponent) in factors(value.big().magnitude(), budget)? {
                powers.push((
                    prime,
                    exponent * u64::from(above) * u64::from(PARTS / below),
                ));
            }
        }
    }
    for (prime, exponent) in primes {
        // Exponents in parts that the root does not divide are outside of what is kept.
        let parts = u64::from(*exponent) * u64::from(above);
        if parts % u64::from(below) != 0 {
            return None;
        }
        powers.push((*prime, parts / u64::from(below)));
    }
    let mut result = Polynomial::one();
    for (prime, parts) in powers {
        let whole = parts / u64::from(PARTS);
        outside *= power(&BigInt::from(prime), whole, budget)?;
        if outside.bits() > MAX_BITS {
            return None;
        }
        let rest = u8::try_from(parts % u64::from(PARTS)).ok()?;
        if rest > 0 {
            let place = atoms.place(&Atom::Prime(prime))?;
            result = result.times(&Polynomial::atom(place, rest), atoms, budget)?;
        }
    }
    result.times(&Polynomial::constant(Integer::new(outside)), atoms, budget)
}

/// `base^exponent` within the longest coefficient.
pub(super) fn power(base: &BigInt, exponent: u64, budget: &mut Budget) -> Option<BigInt> {
    let bits = base.bits().saturating_mul(exponent);
    if base.magnitude().is_one() || base.is_zero() {
        let even = exponent.is_multiple_of(2);
        return Some(if exponent == 0 || even && !base.is_zero() {
            BigInt::one()
        } else {
            base.clone()
        });
    }
    if bits > MAX_BITS {
        return None;
    }
    budget.spend_product(bits, bits)?;
    Some(num_traits::pow(
        base.clone(),
        usize::try_from(exponent).ok()?,
    ))
}

/// The whole root of a positive number, `Some(None)` where it has none.
fn perfect(value: &BigInt, degree: u32, budget: &mut Budget) -> Option<Option<BigInt>> {
    let bits = value.bits();
    budget.spend(20)?;
    budget.spend_product(16 * bits, bits)?;
    let root = value.nth_root(degree);
    let exact = num_traits::pow(root.clone(), degree as usize) == *value;
    Some(exact.then_some(root))
}

/// The prime factors of a positive number.
fn factors(value: &BigUint, budget: &mut Budget) -> Option<Vec<(u64, u64)>> {
    let mut rest = value.clone();
    let mut found = Vec::new();
    for prime in (2..SMALL).filter(|n| *n == 2 || n % 2 == 1) {
        if rest.is_one() {
            break;
        }
        let mut exponent = 0;
        loop {
            budget.spend(rest.bits() / 4_096 + 1)?;
            if !(&rest % prime).is_zero() {
                break;
            }
            rest /= prime;
            exponent += 1;
        }
        if exponent > 0 {
            found.push((prime, exponent));
        }
    }
    let mut rest = rest.to_u64().filter(|rest| *rest <= LARGEST)?;
    let mut prime = SMALL + 1;
    while prime * prime <= rest {
        let mut exponent = 0;
        while rest % prime == 0 {
            rest /= prime;
            exponent += 1;
        }
        if exponent > 0 {
            found.push((prime, exponent));
        }
        prime += 2;
    }
    budget.spend((prime - SMALL) / 50)?;
    if rest > 1 {
        found.push((rest, 1));
    }
    Some(found)
}
