//! What begins with a command: fractions, roots, functions, floors, bars over names.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

use super::super::expression::{Constant, Expression, Function, integer};
use super::super::lex::{FUNCTIONS, Token};
use super::{ParseError, Parsed, Parser, arithmetic, unexpected};

/// The largest `n` of a binomial coefficient that is multiplied out.
const MAX_BINOMIAL: u32 = 500;
/// The largest `k` for which a binomial coefficient of a variable is a polynomial.
const MAX_DEGREE: u32 = 8;

impl Parser {
    pub(super) fn after_command(&mut self, name: &str) -> Parsed {
        match name {
            "frac" => {
                let above = self.digit_argument()?;
                let below = self.digit_argument()?;
                arithmetic::product(vec![above, arithmetic::inverse(below)?])
            }
            "sqrt" => {
                let degree = if self.take_sign('[') {
                    let degree = self.deeper(Self::sum)?;
                    self.expect_sign(']')?;
                    degree
                } else {
                    integer(2)
                };
                self.root(degree)
            }
            "cbrt" => self.root(integer(3)),
            "pi" => Ok(Expression::Constant(Constant::Pi)),
            "infty" => Ok(Expression::Constant(Constant::Infinity)),
            "binom" => {
                let n = self.digit_argument()?;
                let k = self.digit_argument()?;
                self.binomial(n, k)
            }
            "exp" => {
                let argument = self.function_argument()?;
                arithmetic::power(Expression::Constant(Constant::E), argument)
            }
            "abs" | "floor" | "ceil" => {
                let argument = self.function_argument()?;
                let function = match name {
                    "abs" => Function::Abs,
                    "floor" => Function::Floor,
                    _ => Function::Ceil,
                };
                arithmetic::call(function, vec![argument])
            }
            "arccot" | "arcsec" | "arccsc" => {
                let inverse = arithmetic::inverse(self.function_argument()?)?;
                let function = match name {
                    "arccot" => Function::Arctan,
                    "arcsec" => Function::Arccos,
                    _ => Function::Arcsin,
                };
                arithmetic::call(function, vec![inverse])
            }
            "lfloor" | "lceil" => {
                let inner = self.deeper(Self::sum)?;
                let (function, close) = if name == "lfloor" {
                    (Function::Floor, "rfloor")
                } else {
                    (Function::Ceil, "rceil")
                };
                if !self.take_command(close) {
                    return Err(unexpected(self.peek()));
                }
                arithmetic::call(function, vec![inner])
            }
            "gcd" | "lcm" | "max" | "min" => self.choice_of_numbers(name),
            "{" => self.set(),
            "emptyset" => Ok(Expression::Set(Vec::new())),
            "$" => {
                let value = self.deeper(Self::power)?;
                super::group::money(value, '$')
            }
            "begin" => self.environment(),
            "det" => {
                let inner = self.deeper(Self::primary)?;
                self.determinant(inner)
            }
            "sum" | "prod" | "int" | "lim" => self.operator(name),
            "overline" | "bar" | "hat" | "widehat" | "tilde" | "widetilde" | "dot" => {
                self.decorated(name)
            }
            "dots" => Ok(Expression::Symbol("…".to_owned())),
            "ell" | "partial" | "nabla" => Ok(Expression::Symbol(name.to_owned())),
            _ => match function(name) {
                Some(function) => self.call(function),
                None => Err(unexpected(Some(&Token::Command(name.to_owned())))),
            },
        }
    }

    fn root(&mut self, degree: Expression) -> Parsed {
        // `\sqrt{12}`, `sqrt(12)`, `√12`.
        let radicand = self.deeper(Self::primary)?;
        arithmetic::power(radicand, arithmetic::inverse(degree)?)
    }

    /// `\bar{x}` is another name than `x`; a bar over two points is a segment, and changes nothing.
    fn decorated(&mut self, mark: &str) -> Parsed {
        // One bar is as long as what it covers.
        let mark = if mark == "overline" { "bar" } else { mark };
        let inner = self.deeper(Self::primary)?;
        match inner {
            Expression::Symbol(name) => {
                let name = self.name(format!("{mark} {name}"))?;
                Ok(Expression::Symbol(name))
            }
            Expression::Product(letters)
                if letters.iter().all(|l| matches!(l, Expression::Symbol(_))) =>
            {
                if matches!(mark, "overline" | "bar") {
                    return Ok(Expression::Product(letters));
                }
                // An arc is read from either end.
                let names = letters.iter().filter_map(|letter| match letter {
                    Expression::Symbol(name) => Some(name.as_str()),
                    _ => None,
                });
                let (there, back): (Vec<&str>, Vec<&str>) =
                    (names.clone().collect(), names.rev().collect());
                Ok(Expression::Symbol(format!(
                    "{mark} {}",
                    there.min(back).join(" ")
                )))
            }
            _ => Err(unexpected(self.peek())),
        }
    }

    fn call(&mut self, mut function: Function) -> Parsed {
        let mut base = None;
        if self.next() == Some(&Token::Sign('_')) {
            self.at += 1;
            base = Some(self.digit_argument()?);
        }
        let mut exponent = None;
        let at = self.after_space(self.at);
        if self.tokens.get(at) == Some(&Token::Sign('^')) {
            self.at = at + 1;
            let power = self.deeper(Self::argument)?;
            match inverse_function(function).filter(|_| power == integer(-1)) {
                Some(inverse) => function = inverse,
                None => exponent = Some(power),
            }
        }
        let argument = self.function_argument()?;
        let arguments = match (function, base) {
            (Function::Log, Some(base)) => vec![base, argument],
            (Function::Log, None) => vec![integer(10), argument],
            (_, Some(_)) => return Err(unexpected(self.peek())),
            (_, None) => vec![argument],
        };
        let call = arithmetic::call(function, arguments)?;
        match exponent {
            Some(exponent) => arithmetic::power(call, exponent),
            None => Ok(call),
        }
    }

    /// What a function without brackets takes: the factors up to the next sign or function.
    fn function_argument(&mut self) -> Parsed {
        self.deeper(|parser| {
            if matches!(parser.next(), Some(Token::Sign('(' | '{'))) {
                let inner = parser.primary()?;
                return radians(inner);
            }
            let mut factors = vec![parser.power()?];
            loop {
                if parser.tokens.get(parser.after_space(parser.at)) == Some(&Token::Sign('/'))
                    && matches!(factors.as_slice(), [Expression::Constant(Constant::Pi)])
                {
                    // `sin π/6`
                    parser.take_sign('/');
                    let below = parser.power()?;
                    factors.push(arithmetic::inverse(below)?);
                } else if parser.begins_factor(factors.last())
                    && !matches!(parser.peek(), Some(Token::Command(name)) if function(name).is_some() || is_call(name))
                    && !matches!(parser.peek(), Some(Token::Sign('(')))
                {
                    factors.push(parser.power()?);
                } else {
                    break;
                }
            }
            let argument = arithmetic::product(factors)?;
            match parser.unit() {
                Some(unit) => radians(Expression::Quantity(Box::new(argument), unit)),
                None => Ok(argument),
            }
        })
    }

    /// `n` over `k`: a number where both are small whole numbers.
    pub(super) fn binomial(&mut self, n: Expression, k: Expression) -> Parsed {
        let small = |value: &Expression| {
            let number = value.as_number().filter(|number| number.is_integer())?;
            number.to_integer().to_u32().filter(|n| *n <= MAX_BINOMIAL)
        };
        let (above, below) = match (small(&n), small(&k)) {
            (Some(above), Some(below)) => (above, below),
            // A polynomial in `n`: n (n − 1) … / k!
            (None, Some(below)) if below <= MAX_DEGREE && n.is_scalar() => {
                self.copy(n.size() * below as usize)?;
                let mut factors: Vec<Expression> = (0..below)
                    .map(|i| Expression::Sum(vec![n.clone(), integer(-i64::from(i))]))
                    .collect();
                let factorial = (1..=below).fold(BigInt::one(), |product, i| product * i);
                factors.push(Expression::Number(BigRational::new(1.into(), factorial)));
                return arithmetic::product(factors);
            }
            _ => return arithmetic::call(Function::Binomial, vec![n, k]),
        };
        if below > above {
            return Ok(Expression::Number(BigRational::zero()));
        }
        let value = (0..below).fold(BigInt::one(), |value, i| value * (above - i) / (i + 1));
        Ok(Expression::Number(BigRational::from_integer(value)))
    }

    /// `gcd(12, 18)`, `max(1, 2)`: of numbers only.
    fn choice_of_numbers(&mut self, name: &str) -> Parsed {
        let place = self.at;
        let inner = self.deeper(Self::primary)?;
        let numbers: Option<Vec<BigRational>> = match inner {
            Expression::Group(_, parts, _) | Expression::Set(parts) => {
                parts.iter().map(|part| part.as_number().cloned()).collect()
            }
            _ => None,
        };
        let whole = |fold: fn(&BigInt, &BigInt) -> BigInt, numbers: Vec<BigRational>| {
            numbers
                .iter()
                .map(|n| n.is_integer().then(|| n.to_integer()))
                .collect::<Option<Vec<_>>>()
                .and_then(|all| all.into_iter().reduce(|a, b| fold(&a, &b)))
                .map(BigRational::from_integer)
        };
        numbers
            .and_then(|numbers| match name {
                "gcd" => whole(BigInt::gcd, numbers),
                "lcm" => whole(BigInt::lcm, numbers),
                "max" => numbers.into_iter().max(),
                _ => numbers.into_iter().min(),
            })
            .map(Expression::Number)
            .ok_or_else(|| unexpected(self.tokens.get(place)))
    }
}

/// An argument that may be in degrees.
fn radians(argument: Expression) -> Parsed {
    match argument {
        Expression::Quantity(value, unit) if unit.is("°") => arithmetic::product(vec![
            *value,
            Expression::Constant(Constant::Pi),
            Expression::Number(BigRational::new(1.into(), 180.into())),
        ]),
        Expression::Quantity(value, unit) if unit.is("rad") => Ok(*value),
        value if arithmetic::is_value(&value) => Ok(value),
        _ => Err(ParseError::Unexpected("an argument with a unit".to_owned())),
    }
}

pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" => Function::Tan,
        "cot" => Function::Cot,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "log" => Function::Log,
        _ => return None,
    })
}

/// Whether a command begins a value of its own.
pub(super) fn is_call(name: &str) -> bool {
    FUNCTIONS.contains(&name)
        || matches!(
            name,
            "abs"
                | "floor"
                | "ceil"
                | "frac"
                | "sqrt"
                | "pi"
                | "overline"
                | "bar"
                | "hat"
                | "tilde"
                | "sum"
                | "prod"
                | "int"
                | "lim"
        )
}

fn inverse_function(function: Function) -> Option<Function> {
    match function {
        Function::Sin => Some(Function::Arcsin),
        Function::Cos => Some(Function::Arccos),
        Function::Tan => Some(Function::Arctan),
        _ => None,
    }
}
