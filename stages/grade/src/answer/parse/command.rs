//! What begins with a command: fractions, roots, functions, sets, matrices.

use super::super::expression::{Constant, Expression, Function};
use super::super::lex::Token;
use super::{ParseError, Parsed, Parser, integer, inverse, product, unexpected};

impl Parser {
    pub(super) fn after_command(&mut self, name: &str) -> Parsed {
        match name {
            "frac" => {
                let above = self.digit_argument()?;
                let below = self.digit_argument()?;
                if !above.is_scalar() || !below.is_scalar() {
                    return Err(unexpected(self.peek()));
                }
                Ok(Expression::Product(vec![above, inverse(below)]))
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
                Ok(Expression::Call(Function::Binomial, vec![n, k]))
            }
            "exp" => {
                let argument = self.function_argument()?;
                Ok(Expression::Power(
                    Box::new(Expression::Constant(Constant::E)),
                    Box::new(argument),
                ))
            }
            "abs" | "floor" | "ceil" => {
                let argument = self.function_argument()?;
                let function = match name {
                    "abs" => Function::Abs,
                    "floor" => Function::Floor,
                    _ => Function::Ceil,
                };
                Ok(Expression::Call(function, vec![argument]))
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
                Ok(Expression::Call(function, vec![inner]))
            }
            "{" => {
                if self.take_command("}") {
                    return Ok(Expression::Set(Vec::new()));
                }
                let inner = self.deeper(Self::items)?;
                if !self.take_command("}") {
                    return Err(unexpected(self.peek()));
                }
                Ok(Expression::Set(inner))
            }
            "emptyset" => Ok(Expression::Set(Vec::new())),
            "$" => self.deeper(Self::power),
            "begin" => self.matrix(),
            "mathbb" => {
                let inner = self.deeper(Self::primary)?;
                match inner {
                    Expression::Symbol(name) => Ok(Expression::Symbol(format!("mathbb {name}"))),
                    _ => Err(unexpected(self.peek())),
                }
            }
            _ => match function(name) {
                Some(function) => self.call(function),
                None => Err(unexpected(Some(&Token::Command(name.to_owned())))),
            },
        }
    }

    pub(super) fn root(&mut self, degree: Expression) -> Parsed {
        let radicand = self.digit_argument_whole()?;
        if !radicand.is_scalar() || !degree.is_scalar() {
            return Err(unexpected(self.peek()));
        }
        Ok(Expression::Power(
            Box::new(radicand),
            Box::new(inverse(degree)),
        ))
    }

    /// The radicand of `\sqrt`: `\sqrt{12}`, `sqrt(12)`, `√12`.
    pub(super) fn digit_argument_whole(&mut self) -> Parsed {
        self.deeper(Self::primary)
    }

    pub(super) fn call(&mut self, mut function: Function) -> Parsed {
        let mut base = None;
        if self.next() == Some(&Token::Sign('_')) {
            self.at += 1;
            base = Some(self.deeper(Self::digit_argument_whole)?);
        }
        let mut exponent = None;
        if self.next() == Some(&Token::Sign('^')) {
            self.at += 1;
            let power = self.deeper(Self::argument)?;
            if power == integer(-1) && inverse_function(function).is_some() {
                function = inverse_function(function).unwrap_or(function);
            } else {
                exponent = Some(power);
            }
        }
        let argument = self.function_argument()?;
        let call = match (function, base) {
            (Function::Log, Some(base)) => Expression::Call(Function::Log, vec![base, argument]),
            (Function::Log, None) => Expression::Call(Function::Log, vec![integer(10), argument]),
            (_, Some(_)) => return Err(unexpected(self.peek())),
            (function, None) => Expression::Call(function, vec![argument]),
        };
        Ok(match exponent {
            Some(exponent) => Expression::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// What a function without brackets takes: the factors up to the next sign or function.
    pub(super) fn function_argument(&mut self) -> Parsed {
        self.deeper(|parser| {
            if matches!(parser.next(), Some(Token::Sign('(' | '{'))) {
                return parser.primary().and_then(|inner| {
                    if inner.is_scalar() {
                        Ok(inner)
                    } else if let Expression::Quantity(value, _) = inner {
                        Ok(*value)
                    } else {
                        Err(unexpected(parser.peek()))
                    }
                });
            }
            let mut factors = vec![parser.power()?];
            while parser.begins_factor(factors.last())
                && !matches!(parser.peek(), Some(Token::Command(name)) if function(name).is_some())
                && !matches!(parser.peek(), Some(Token::Sign('(')))
            {
                factors.push(parser.power()?);
            }
            // Degrees turn into radians where a function takes them.
            if let Some(unit) = parser.unit() {
                if unit != "°" {
                    return Err(unexpected(parser.peek()));
                }
                factors.push(Expression::Constant(Constant::Pi));
                factors.push(inverse(integer(180)));
            }
            if !factors.iter().all(Expression::is_scalar) {
                return Err(unexpected(parser.peek()));
            }
            Ok(product(factors))
        })
    }

    pub(super) fn matrix(&mut self) -> Parsed {
        self.expect_sign('{')?;
        let kind = match self.next() {
            Some(Token::Word(kind)) => kind.clone(),
            other => return Err(unexpected(other)),
        };
        self.at += 1;
        self.expect_sign('}')?;
        if !matches!(
            kind.as_str(),
            "pmatrix" | "bmatrix" | "matrix" | "vmatrix" | "array" | "smallmatrix" | "Bmatrix"
        ) {
            return Err(ParseError::Unexpected(format!("`{kind}`")));
        }
        if kind == "array" && self.take_sign('{') {
            while !matches!(self.next(), Some(Token::Sign('}')) | None) {
                self.at += 1;
            }
            self.expect_sign('}')?;
        }
        let mut rows: Vec<Vec<Expression>> = Vec::new();
        let mut row = Vec::new();
        loop {
            if self.take_command("end") {
                break;
            }
            row.push(self.deeper(Self::chain)?);
            if self.take_sign('&') {
                continue;
            }
            let ended = self.take_command("end");
            if !ended && !self.take_command("\\") {
                return Err(unexpected(self.peek()));
            }
            rows.push(std::mem::take(&mut row));
            if ended {
                break;
            }
        }
        self.expect_sign('{')?;
        self.at += 1;
        self.expect_sign('}')?;
        if rows.is_empty() || !row.is_empty() || rows.iter().any(|row| row.len() != rows[0].len()) {
            return Err(ParseError::Unexpected(
                "rows of different lengths".to_owned(),
            ));
        }
        Ok(Expression::Matrix(rows))
    }
}

pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Log,
        _ => return None,
    })
}

pub(super) fn inverse_function(function: Function) -> Option<Function> {
    match function {
        Function::Sin => Some(Function::Arcsin),
        Function::Cos => Some(Function::Arccos),
        Function::Tan => Some(Function::Arctan),
        _ => None,
    }
}
