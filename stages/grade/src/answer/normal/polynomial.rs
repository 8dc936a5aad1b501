//! Polynomials with whole coefficients in at most sixteen atoms.
//!
//! An atom is a symbol, π, e, i, or a root of a prime. A monomial is sixteen bytes, one for each atom: the exponent of
//! a symbol; of i, 0 or 1; of a prime, the exponent in 120ths, below one. Products of such roots of primes are
//! linearly independent over the rationals (Besicovitch 1940), so a value has one form only, and two forms that
//! differ are two values.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_traits::One;

use super::integer::Integer;

/// The parts of one in which exponents of primes are kept.
pub(super) const PARTS: u32 = 120;
/// The most atoms of one value.
const ATOMS: usize = 16;
/// The most terms of one polynomial.
const TERMS: usize = 2_500;
/// The longest coefficient, in bits.
pub(super) const MAX_BITS: u64 = 16_384;
/// The most bits of all coefficients of one polynomial that are not small: 128 KiB.
const ALL_BITS: u64 = 1 << 20;
/// The largest exponent of a symbol.
const MAX_EXPONENT: u8 = 127;

/// What is left of the work that one value may cost: about 100 ns a unit.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new() -> Self {
        Self(25_000)
    }

    /// None where the budget is spent.
    pub(super) fn spend(&mut self, units: u64) -> Option<()> {
        self.0 = self.0.checked_sub(units)?;
        Some(())
    }

    /// Pays for the product of two numbers of so many bits.
    pub(super) fn spend_product(&mut self, bits: u64, other: u64) -> Option<()> {
        self.spend(1 + (bits / 64) * (other / 64) / 32)
    }
}

/// What a polynomial is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    I,
    Pi,
    E,
    Infinity,
    Symbol(String),
    /// A prime under roots.
    Prime(u64),
}

/// The atoms of a value by their place in its monomials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Atoms(Vec<Atom>);

/// Exponents, a byte an atom.
type Monomial = u128;

fn exponent(monomial: Monomial, place: usize) -> u8 {
    monomial.to_le_bytes().get(place).copied().unwrap_or(0)
}

impl Atoms {
    /// The place of an atom, which is added if it is new. None where there are too many.
    pub(super) fn place(&mut self, atom: &Atom) -> Option<usize> {
        if let Some(place) = self.0.iter().position(|known| known == atom) {
            return Some(place);
        }
        (self.0.len() < ATOMS).then(|| {
            self.0.push(atom.clone());
            self.0.len() - 1
        })
    }

    /// The product of two monomials, and the number that comes out of its roots and of i².
    fn times(&self, left: Monomial, right: Monomial) -> Option<(Monomial, Integer)> {
        // Exponents are below 128, so no byte overflows into the next.
        let mut product = left + right;
        let mut factor = Integer::Small(1);
        for (place, atom) in self.0.iter().enumerate() {
            let shift = 8 * place;
            let exponent = exponent(product, place);
            match atom {
                Atom::I if exponent >= 2 => {
                    product -= 2 << shift;
                    factor = factor.negated();
                }
                Atom::Prime(prime) if u32::from(exponent) >= PARTS => {
                    product -= Monomial::from(PARTS) << shift;
                    factor = factor.times(&Integer::new(BigInt::from(*prime)));
                }
                Atom::I | Atom::Prime(_) => {}
                Atom::Pi | Atom::E | Atom::Infinity | Atom::Symbol(_) => {
                    if exponent > MAX_EXPONENT {
                        return None;
                    }
                }
            }
        }
        Some((product, factor))
    }
}

/// A sum of monomials with coefficients that are not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Polynomial {
    terms: BTreeMap<Monomial, Integer>,
}

impl Polynomial {
    pub(super) fn constant(value: Integer) -> Self {
        let mut terms = BTreeMap::new();
        if !value.is_zero() {
            terms.insert(0, value);
        }
        Self { terms }
    }

    pub(super) fn one() -> Self {
        Self::constant(Integer::Small(1))
    }

    /// An atom at this place, with its exponent.
    pub(super) fn atom(place: usize, exponent: u8) -> Self {
        Self {
            terms: BTreeMap::from([(Monomial::from(exponent) << (8 * place), Integer::Small(1))]),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    pub(super) fn is_one(&self) -> bool {
        self.as_number().is_some_and(|number| number.is_one())
    }

    /// The value, where it has no atoms.
    pub(super) fn as_number(&self) -> Option<BigInt> {
        match self.only_term() {
            None => self.is_zero().then(BigInt::default),
            Some((monomial, value)) => (monomial == 0).then(|| value.big()),
        }
    }

    fn only_term(&self) -> Option<(Monomial, &Integer)> {
        let mut terms = self.terms.iter();
        let (monomial, value) = terms.next()?;
        terms.next().is_none().then_some((*monomial, value))
    }

    /// The coefficient and the primes with their exponents in parts, where there is one term with nothing else.
    pub(super) fn as_radical(&self, atoms: &Atoms) -> Option<(Integer, Vec<(u64, u32)>)> {
        let (monomial, value) = self.only_term()?;
        let mut primes = Vec::new();
        for (place, atom) in atoms.0.iter().enumerate() {
            match (exponent(monomial, place), atom) {
                (0, _) => {}
                (exponent, Atom::Prime(prime)) => primes.push((*prime, u32::from(exponent))),
                _ => return None,
            }
        }
        Some((value.clone(), primes))
    }

    pub(super) fn negated(mut self) -> Self {
        for value in self.terms.values_mut() {
            *value = value.negated();
        }
        self
    }

    /// None where the sum has too many terms.
    pub(super) fn plus(mut self, other: Self, budget: &mut Budget) -> Option<Self> {
        let (mut large, small) = if self.terms.len() < other.terms.len() {
            (other, self)
        } else {
            (std::mem::take(&mut self), other)
        };
        for (monomial, value) in small.terms {
            budget.spend(1 + value.bits() / 2_048)?;
            large.add(monomial, value);
        }
        (large.terms.len() <= TERMS).then_some(large)
    }

    fn add(&mut self, monomial: Monomial, value: Integer) {
        use std::collections::btree_map::Entry;
        match self.terms.entry(monomial) {
            Entry::Vacant(place) => {
                if !value.is_zero() {
                    place.insert(value);
                }
            }
            Entry::Occupied(mut place) => {
                let sum = place.get().plus(&value);
                if sum.is_zero() {
                    place.remove();
                } else {
                    *place.get_mut() = sum;
                }
            }
        }
    }

    /// None where the product costs too much or grows too large.
    pub(super) fn times(&self, other: &Self, atoms: &Atoms, budget: &mut Budget) -> Option<Self> {
        if self.is_one() {
            return Some(other.clone());
        }
        if other.is_one() {
            return Some(self.clone());
        }
        let mut result = Self::default();
        // An upper bound: what cancels is counted all the same.
        let mut bits = 0;
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                budget.spend_product(a.bits(), b.bits())?;
                if a.bits() + b.bits() > MAX_BITS {
                    return None;
                }
                let (monomial, factor) = atoms.times(*left, *right)?;
                let mut value = a.times(b);
                if factor != Integer::Small(1) {
                    value = value.times(&factor);
                }
                if let Integer::Big(big) = &value {
                    let known = result.terms.get(&monomial).map_or(0, Integer::bits);
                    bits += big.bits().saturating_sub(known);
                }
                result.add(monomial, value);
                if result.terms.len() > TERMS || bits > ALL_BITS {
                    return None;
                }
            }
        }
        Some(result)
    }

    /// The same polynomial with its atoms at the places that they have in another table.
    pub(super) fn placed(&self, from: &Atoms, to: &mut Atoms) -> Option<Self> {
        let mut places = Vec::with_capacity(from.0.len());
        for atom in &from.0 {
            places.push(to.place(atom)?);
        }
        let mut terms = BTreeMap::new();
        for (monomial, value) in &self.terms {
            let moved = places.iter().enumerate().fold(0, |moved, (old, new)| {
                moved | ((monomial >> (8 * old)) & 0xff) << (8 * new)
            });
            terms.insert(moved, value.clone());
        }
        Some(Self { terms })
    }
}
