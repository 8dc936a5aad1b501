//! What an answer is, once read.

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
            Relation::Equal | Relation::NotEqual | Relation::In => self,
        }
    }
}

/// An answer. Depth is bounded by the parser, so walking it may recurse.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(BigRational),
    Constant(Constant),
    Symbol(String),
    Sum(Vec<Expression>),
    Product(Vec<Expression>),
    Power(Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
    /// `a ± b` with `a` first; a leading sign has the sum of nothing before it.
    PlusMinus(Box<Expression>, Box<Expression>),
    /// `x %`.
    Percent(Box<Expression>),
    /// A value with its unit as written, lower-case.
    Quantity(Box<Expression>, String),
    /// Values between brackets: a tuple or an interval, told apart by the brackets alone.
    Group(char, Vec<Expression>, char),
    /// `a : b`.
    Ratio(Vec<Expression>),
    Set(Vec<Expression>),
    /// Values separated by commas, semicolons, "or", "and", without brackets.
    List(Vec<Expression>),
    Union(Vec<Expression>),
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
            | Expression::Constant(_)
            | Expression::Symbol(_)
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
            | Expression::List(_)
            | Expression::Union(_)
            | Expression::Matrix(_)
            | Expression::Chain(..)
            | Expression::Text(_) => false,
        }
    }
}
