//! What an answer is, once read.

use std::collections::BTreeMap;

use num_rational::BigRational;

/// A named number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Constant {
    Pi,
    E,
    I,
    Infinity,
}

/// A named function of one argument, but for `Log` (base, argument) and `Binomial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Log,
    Abs,
    Floor,
    Ceil,
    Factorial,
    Binomial,
    /// `1011_2`: a numeral and its base.
    Numeral,
}

/// How two sides stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Relation {
    Equal,
    /// `≈`: what follows is the value before it, rounded.
    Near,
    /// `~`: of one shape.
    Similar,
    /// `≅`: of one shape and size.
    Congruent,
    /// `≡`: identical, or the same up to multiples of a modulus.
    Equivalent,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

impl Relation {
    /// The relation as read from the right.
    pub(super) fn reversed(self) -> Self {
        match self {
            Relation::Less => Relation::Greater,
            Relation::LessEqual => Relation::GreaterEqual,
            Relation::Greater => Relation::Less,
            Relation::GreaterEqual => Relation::LessEqual,
            Relation::Equal
            | Relation::Near
            | Relation::Similar
            | Relation::Congruent
            | Relation::Equivalent
            | Relation::NotEqual
            | Relation::In => self,
        }
    }

    /// Whether this compares sizes.
    pub(super) fn is_order(self) -> bool {
        match self {
            Relation::Less | Relation::LessEqual | Relation::Greater | Relation::GreaterEqual => {
                true
            }
            Relation::Equal
            | Relation::Near
            | Relation::Similar
            | Relation::Congruent
            | Relation::Equivalent
            | Relation::NotEqual
            | Relation::In => false,
        }
    }
}

/// A unit of measure: what was written, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Unit {
    /// As written, in one spacing.
    pub(super) written: String,
    /// How many units of the bases this is; `None` stands for one. Boxed, because every part of an answer has the
    /// size of the largest.
    pub(super) factor: Option<Box<BigRational>>,
    /// The bases and their exponents; empty for words that are no known measure.
    pub(super) bases: BTreeMap<&'static str, i32>,
}

/// An answer. Depth is bounded by the parser, so walking it may recurse.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(BigRational),
    /// A number with decimals, and the exponent of ten of its last digit: `0.50` is (1/2, −2).
    Decimal(BigRational, i64),
    Constant(Constant),
    Symbol(String),
    /// `f(x, y)`: a function without a known rule.
    Apply(String, Vec<Expression>),
    Sum(Vec<Expression>),
    Product(Vec<Expression>),
    Power(Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
    /// Two scalars: the value with every `±` read as plus, and with every `±` read as minus.
    PlusMinus(Box<Expression>, Box<Expression>),
    /// `x %`.
    Percent(Box<Expression>),
    /// A value with its unit.
    Quantity(Box<Expression>, Unit),
    /// Values between brackets: a tuple or an interval, told apart by the brackets alone.
    Group(char, Vec<Expression>, char),
    /// `a : b`.
    Ratio(Vec<Expression>),
    Set(Vec<Expression>),
    /// `{ x | conditions }`.
    Builder(String, Vec<Expression>),
    /// Values separated by commas, semicolons, "or", "and", without brackets; or relations separated by commas.
    List(Vec<Expression>),
    /// Relations that hold together: joined by "and", or the rows of `cases`.
    Both(Vec<Expression>),
    /// Relations of which one holds: joined by "or".
    Either(Vec<Expression>),
    Union(Vec<Expression>),
    Intersection(Vec<Expression>),
    /// The first without the second.
    Without(Box<Expression>, Box<Expression>),
    Matrix(Vec<Vec<Expression>>),
    /// `a < x ≤ b`: one side more than relations.
    Chain(Vec<Expression>, Vec<Relation>),
    Text(String),
}

impl Expression {
    /// Whether this denotes a number or a function of variables, not a collection, a relation or text.
    pub(super) fn is_scalar(&self) -> bool {
        match self {
            Expression::Number(_)
            | Expression::Decimal(..)
            | Expression::Constant(_)
            | Expression::Symbol(_)
            | Expression::Apply(..)
            | Expression::Sum(_)
            | Expression::Product(_)
            | Expression::Power(..)
            | Expression::Call(..) => true,
            Expression::PlusMinus(..)
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
            | Expression::Text(_) => false,
        }
    }

    /// The parts of a scalar that are scalars themselves; nothing for anything else.
    pub(super) fn operands(&self) -> Vec<&Expression> {
        match self {
            Expression::Sum(parts)
            | Expression::Product(parts)
            | Expression::Call(_, parts)
            | Expression::Apply(_, parts) => parts.iter().collect(),
            Expression::Power(base, exponent) => vec![base, exponent],
            _ => Vec::new(),
        }
    }

    /// How many parts this has, itself and those of collections included.
    pub(super) fn size(&self) -> usize {
        let all = |parts: &[Expression]| parts.iter().map(Expression::size).sum::<usize>();
        1 + match self {
            Expression::Number(_)
            | Expression::Decimal(..)
            | Expression::Constant(_)
            | Expression::Symbol(_)
            | Expression::Text(_) => 0,
            Expression::Apply(_, parts)
            | Expression::Sum(parts)
            | Expression::Product(parts)
            | Expression::Call(_, parts)
            | Expression::Group(_, parts, _)
            | Expression::Ratio(parts)
            | Expression::Set(parts)
            | Expression::Builder(_, parts)
            | Expression::List(parts)
            | Expression::Both(parts)
            | Expression::Either(parts)
            | Expression::Union(parts)
            | Expression::Intersection(parts)
            | Expression::Chain(parts, _) => all(parts),
            Expression::Power(a, b) | Expression::PlusMinus(a, b) | Expression::Without(a, b) => {
                a.size() + b.size()
            }
            Expression::Percent(value) | Expression::Quantity(value, _) => value.size(),
            Expression::Matrix(rows) => rows.iter().map(|row| all(row)).sum(),
        }
    }

    /// The number this is, if it is written as one.
    pub(super) fn as_number(&self) -> Option<&BigRational> {
        match self {
            Expression::Number(number) | Expression::Decimal(number, _) => Some(number),
            _ => None,
        }
    }

    /// Whether `holds` is true of this scalar or of a part of it.
    pub(super) fn any(&self, holds: &impl Fn(&Expression) -> bool) -> bool {
        holds(self) || self.operands().into_iter().any(|part| part.any(holds))
    }

    /// This scalar with every part replaced for which `new` has something, outermost first.
    pub(super) fn replaced(&self, new: &impl Fn(&Expression) -> Option<Expression>) -> Expression {
        if let Some(other) = new(self) {
            return other;
        }
        let each = |parts: &[Expression]| parts.iter().map(|part| part.replaced(new)).collect();
        match self {
            Expression::Sum(parts) => Expression::Sum(each(parts)),
            Expression::Product(parts) => Expression::Product(each(parts)),
            Expression::Call(function, parts) => Expression::Call(*function, each(parts)),
            Expression::Apply(name, parts) => Expression::Apply(name.clone(), each(parts)),
            Expression::Power(base, exponent) => Expression::Power(
                Box::new(base.replaced(new)),
                Box::new(exponent.replaced(new)),
            ),
            other => other.clone(),
        }
    }
}

/// A whole number.
pub(super) fn integer(value: i64) -> Expression {
    Expression::Number(BigRational::from_integer(value.into()))
}

/// `left − right`.
pub(super) fn difference(left: &Expression, right: &Expression) -> Expression {
    Expression::Sum(vec![
        left.clone(),
        Expression::Product(vec![integer(-1), right.clone()]),
    ])
}
