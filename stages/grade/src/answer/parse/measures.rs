//! The table of known measures: names and signs, and what they are in bases.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::One;

use super::super::expression::Unit;

/// A word without the ending of its plural.
pub(super) fn singular(word: &str) -> &str {
    match word {
        "feet" => "foot",
        "inches" => "inch",
        _ => word
            .strip_suffix('s')
            .filter(|rest| rest.len() > 2)
            .unwrap_or(word),
    }
}

/// A known measure, by its sign (in its own case) or by its name (in any case, and in the plural).
pub(super) fn known(word: &str) -> Option<Unit> {
    let lower = word.to_lowercase();
    let single = singular(&lower);
    let (_, above, below, bases) = MEASURES.iter().find(|(names, ..)| {
        names
            .split(' ')
            .any(|name| name == word || (name.len() > 3 || name == "day") && name == single)
    })?;
    let factor = BigRational::new(BigInt::from(*above), BigInt::from(*below));
    Some(Unit {
        // A sign keeps its case: `mW` and `MW`.
        written: if word.chars().count() > 3 {
            single
        } else {
            word
        }
        .to_owned(),
        factor: (!factor.is_one()).then(|| Box::new(factor)),
        bases: bases.iter().copied().collect::<BTreeMap<_, _>>(),
    })
}

type Measure = (&'static str, u64, u64, &'static [(&'static str, i32)]);

const LENGTH: &[(&str, i32)] = &[("m", 1)];
const VOLUME: &[(&str, i32)] = &[("m", 3)];
const MASS: &[(&str, i32)] = &[("kg", 1)];
const TIME: &[(&str, i32)] = &[("s", 1)];
const SPEED: &[(&str, i32)] = &[("m", 1), ("s", -1)];
const FORCE: &[(&str, i32)] = &[("kg", 1), ("m", 1), ("s", -2)];
const PRESSURE: &[(&str, i32)] = &[("kg", 1), ("m", -1), ("s", -2)];
const ENERGY: &[(&str, i32)] = &[("kg", 1), ("m", 2), ("s", -2)];
const POWER: &[(&str, i32)] = &[("kg", 1), ("m", 2), ("s", -3)];
const VOLTAGE: &[(&str, i32)] = &[("kg", 1), ("m", 2), ("s", -3), ("A", -1)];
const RESISTANCE: &[(&str, i32)] = &[("kg", 1), ("m", 2), ("s", -3), ("A", -2)];
const CHARGE: &[(&str, i32)] = &[("A", 1), ("s", 1)];
const FREQUENCY: &[(&str, i32)] = &[("s", -1)];

/// Names and signs, factor above and below, bases. SI and what stands by definition in a whole ratio to it.
const MEASURES: &[Measure] = &[
    ("m meter metre", 1, 1, LENGTH),
    ("km kilometer kilometre", 1000, 1, LENGTH),
    ("dm decimeter decimetre", 1, 10, LENGTH),
    ("cm centimeter centimetre", 1, 100, LENGTH),
    ("mm millimeter millimetre", 1, 1000, LENGTH),
    ("um micrometer micron", 1, 1_000_000, LENGTH),
    ("nm nanometer nanometre", 1, 1_000_000_000, LENGTH),
    ("in inch", 254, 10_000, LENGTH),
    ("ft foot", 3048, 10_000, LENGTH),
    ("yd yard", 9144, 10_000, LENGTH),
    ("mi mile", 1_609_344, 1000, LENGTH),
    ("L l liter litre", 1, 1000, VOLUME),
    ("mL ml milliliter millilitre", 1, 1_000_000, VOLUME),
    ("kg kilogram", 1, 1, MASS),
    ("g gram", 1, 1000, MASS),
    ("mg milligram", 1, 1_000_000, MASS),
    ("tonne", 1000, 1, MASS),
    ("lb lbs", 45_359_237, 100_000_000, MASS),
    ("oz ounce", 45_359_237, 1_600_000_000, MASS),
    ("s sec secs second", 1, 1, TIME),
    ("ms millisecond", 1, 1000, TIME),
    ("ns nanosecond", 1, 1_000_000_000, TIME),
    ("min mins minute", 60, 1, TIME),
    ("h hr hrs hour", 3600, 1, TIME),
    ("day days", 86_400, 1, TIME),
    ("week", 604_800, 1, TIME),
    ("month", 1, 1, &[("month", 1)]),
    ("year", 12, 1, &[("month", 1)]),
    ("mph", 44_704, 100_000, SPEED),
    ("kph kmh", 1000, 3600, SPEED),
    ("N newton", 1, 1, FORCE),
    ("kN", 1000, 1, FORCE),
    ("Pa pascal", 1, 1, PRESSURE),
    ("kPa", 1000, 1, PRESSURE),
    ("MPa", 1_000_000, 1, PRESSURE),
    ("J joule", 1, 1, ENERGY),
    ("kJ", 1000, 1, ENERGY),
    ("MJ", 1_000_000, 1, ENERGY),
    ("W watt", 1, 1, POWER),
    ("mW", 1, 1000, POWER),
    ("kW kilowatt", 1000, 1, POWER),
    ("MW", 1_000_000, 1, POWER),
    ("V volt", 1, 1, VOLTAGE),
    ("mV", 1, 1000, VOLTAGE),
    ("kV", 1000, 1, VOLTAGE),
    ("Omega ohm ohms", 1, 1, RESISTANCE),
    ("C coulomb", 1, 1, CHARGE),
    ("A ampere", 1, 1, &[("A", 1)]),
    ("mA", 1, 1000, &[("A", 1)]),
    ("Hz hertz", 1, 1, FREQUENCY),
    ("kHz", 1000, 1, FREQUENCY),
    ("MHz", 1_000_000, 1, FREQUENCY),
    ("GHz", 1_000_000_000, 1, FREQUENCY),
    ("K kelvin", 1, 1, &[("K", 1)]),
    ("mol mole", 1, 1, &[("mol", 1)]),
    ("T tesla", 1, 1, &[("kg", 1), ("s", -2), ("A", -1)]),
    (
        "F farad",
        1,
        1,
        &[("kg", -1), ("m", -2), ("s", 4), ("A", 2)],
    ),
    (
        "H henry",
        1,
        1,
        &[("kg", 1), ("m", 2), ("s", -2), ("A", -2)],
    ),
    ("eV", 1, 1, &[("eV", 1)]),
    ("keV", 1000, 1, &[("eV", 1)]),
    ("MeV", 1_000_000, 1, &[("eV", 1)]),
    ("GeV", 1_000_000_000, 1, &[("eV", 1)]),
    ("° deg degree", 1, 1, &[("°", 1)]),
    ("rad radian", 1, 1, &[("rad", 1)]),
    ("°C celsius", 1, 1, &[("°C", 1)]),
    ("°F fahrenheit", 1, 1, &[("°F", 1)]),
    ("$ usd dollar", 1, 1, &[("$", 1)]),
    ("cent", 1, 100, &[("$", 1)]),
    ("€ eur euro", 1, 1, &[("€", 1)]),
    ("£ gbp", 1, 1, &[("£", 1)]),
    ("¥ yen", 1, 1, &[("¥", 1)]),
    ("yuan", 1, 1, &[("yuan", 1)]),
    // Where something lies is no measure, but it tells values apart as one does.
    ("east", 1, 1, &[("east", 1)]),
    ("west", 1, 1, &[("west", 1)]),
    ("north", 1, 1, &[("north", 1)]),
    ("south", 1, 1, &[("south", 1)]),
    ("northeast", 1, 1, &[("northeast", 1)]),
    ("northwest", 1, 1, &[("northwest", 1)]),
    ("southeast", 1, 1, &[("southeast", 1)]),
    ("southwest", 1, 1, &[("southwest", 1)]),
    ("left", 1, 1, &[("left", 1)]),
    ("right", 1, 1, &[("right", 1)]),
    ("am a.m", 1, 1, &[("am", 1)]),
    ("pm p.m", 1, 1, &[("pm", 1)]),
];
