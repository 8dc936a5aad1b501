//! Matrices and other environments, and the arithmetic of matrices, which is done while reading: sums,
//! multiples, products, powers, transposes, determinants. The entries stay expressions.

use num_rational::BigRational;
use num_traits::ToPrimitive;

use super::super::expression::{Expression, integer};
use super::super::lex::Token;
use super::{ParseError, Parsed, Parser, arithmetic, unexpected};

/// How many entries a matrix may have that is computed with.
const MAX_ENTRIES: usize = 64;
/// How many rows a determinant may have.
const MAX_DETERMINANT: usize = 4;
/// The largest power of a matrix.
const MAX_POWER: usize = 8;
/// How many parts the entries may have together, before and after.
const MAX_NODES: usize = 2_000;

type Rows = Vec<Vec<Expression>>;

impl Parser {
    /// After `\begin`.
    pub(super) fn environment(&mut self) -> Parsed {
        let kind = self.environment_name()?;
        let matrix = matches!(
            kind.as_str(),
            "pmatrix" | "bmatrix" | "matrix" | "vmatrix" | "array" | "smallmatrix" | "Bmatrix"
        );
        if matches!(
            kind.as_str(),
            "aligned" | "align" | "gathered" | "split" | "equation"
        ) {
            return self.lines();
        }
        if !matrix && kind != "cases" {
            return Err(ParseError::Unexpected(format!("`{kind}`")));
        }
        if kind == "array" && self.take_sign('{') {
            while !matches!(self.next(), Some(Token::Sign('}')) | None) {
                self.at += 1;
            }
            self.expect_sign('}')?;
        }
        let rows = self.rows(kind == "cases")?;
        self.environment_name()?;
        if kind == "cases" && rows.iter().all(|row| row.len() == 1) {
            return Ok(Expression::Both(rows.into_iter().flatten().collect()));
        }
        if rows.is_empty() || rows.iter().any(|row| row.len() != rows[0].len()) {
            return Err(ParseError::Unexpected(
                "rows of different lengths".to_owned(),
            ));
        }
        let matrix = Expression::Matrix(rows);
        if kind == "vmatrix" {
            self.determinant(matrix)
        } else {
            Ok(matrix)
        }
    }

    /// The determinant of a small matrix.
    pub(super) fn determinant(&mut self, matrix: Expression) -> Parsed {
        let rows = checked(matrix)?;
        let (height, width) = size(&rows);
        if height != width || height > MAX_DETERMINANT {
            return Err(ParseError::Unexpected(
                "the determinant of this matrix".to_owned(),
            ));
        }
        // An entry of four rows stands in six products.
        self.copy(rows.iter().flatten().map(Expression::size).sum::<usize>() * 10)?;
        let columns: Vec<usize> = (0..width).collect();
        Ok(minor(&rows, &columns))
    }

    /// The lines of `aligned`, in which `&` only says where they stand.
    fn lines(&mut self) -> Parsed {
        let mut place = 0;
        let from = self.at;
        self.tokens.retain(|token| {
            place += 1;
            place <= from || *token != Token::Sign('&')
        });
        let (mut items, _) = self.deeper(Self::items)?;
        if !self.take_command("end") {
            return Err(unexpected(self.peek()));
        }
        self.environment_name()?;
        Ok(if items.len() == 1 {
            items.remove(0)
        } else {
            Expression::List(items)
        })
    }

    /// `{pmatrix}`, also as letters or with a star.
    fn environment_name(&mut self) -> Result<String, ParseError> {
        self.expect_sign('{')?;
        let mut name = String::new();
        while let Some(Token::Word(part) | Token::Letter(part) | Token::Text(part)) = self.next() {
            name.push_str(part);
            self.at += 1;
        }
        self.take_sign('*');
        self.expect_sign('}')?;
        Ok(name)
    }

    fn rows(&mut self, cases: bool) -> Result<Rows, ParseError> {
        let mut rows = Rows::new();
        let mut row = Vec::new();
        loop {
            if self.take_command("end") {
                return if row.is_empty() {
                    Ok(rows)
                } else {
                    Err(unexpected(self.peek()))
                };
            }
            if cases {
                self.condition_words();
            }
            row.push(self.deeper(Self::chain)?);
            if cases {
                self.take_sign(',');
            }
            if self.take_sign('&') {
                continue;
            }
            let ended = self.take_command("end");
            if !ended && !self.take_command("\\") {
                return Err(unexpected(self.peek()));
            }
            rows.push(std::mem::take(&mut row));
            if ended {
                return Ok(rows);
            }
        }
    }

    /// `\text{if }` before a condition says nothing.
    fn condition_words(&mut self) {
        let spoken = match self.next() {
            Some(Token::Text(text) | Token::Word(text)) => matches!(
                text.trim().to_lowercase().as_str(),
                "if" | "for" | "when" | "where"
            ),
            _ => false,
        };
        self.at += usize::from(spoken);
    }
}

fn size(rows: &Rows) -> (usize, usize) {
    (rows.len(), rows.first().map_or(0, Vec::len))
}

/// A matrix that may be computed with: of scalars, and small.
fn checked(matrix: Expression) -> Result<Rows, ParseError> {
    match matrix {
        Expression::Matrix(rows)
            if rows.iter().flatten().all(Expression::is_scalar)
                && rows.iter().map(Vec::len).sum::<usize>() <= MAX_ENTRIES
                && rows.iter().flatten().map(Expression::size).sum::<usize>() <= MAX_NODES =>
        {
            Ok(rows)
        }
        _ => Err(ParseError::Unexpected(
            "arithmetic with this matrix".to_owned(),
        )),
    }
}

pub(super) fn total(terms: Vec<Expression>) -> Parsed {
    let mut matrices = Vec::with_capacity(terms.len());
    for term in terms {
        matrices.push(checked(term)?);
    }
    let shape = matrices.first().map_or((0, 0), size);
    if matrices.iter().any(|matrix| size(matrix) != shape) {
        return Err(ParseError::Unexpected(
            "a sum of matrices of different sizes".to_owned(),
        ));
    }
    let entry = |i: usize, j: usize| {
        Expression::Sum(matrices.iter().map(|matrix| matrix[i][j].clone()).collect())
    };
    Ok(Expression::Matrix(
        (0..shape.0)
            .map(|i| (0..shape.1).map(|j| entry(i, j)).collect())
            .collect(),
    ))
}

/// A product of scalars and matrices, the matrices in order.
pub(super) fn product(scalars: Vec<Expression>, matrices: Vec<Expression>) -> Parsed {
    let mut result: Option<Rows> = None;
    for matrix in matrices {
        let right = checked(matrix)?;
        result = Some(match result {
            None => right,
            Some(left) => {
                let ((rows, inner), (other, columns)) = (size(&left), size(&right));
                if inner != other {
                    return Err(ParseError::Unexpected(
                        "a product of matrices that do not fit".to_owned(),
                    ));
                }
                let parts =
                    |rows: &Rows| rows.iter().flatten().map(Expression::size).sum::<usize>();
                if parts(&left) * columns + parts(&right) * rows > MAX_NODES {
                    return Err(ParseError::TooMany);
                }
                let entry = |i: usize, j: usize| {
                    Expression::Sum(
                        (0..inner)
                            .map(|k| {
                                Expression::Product(vec![left[i][k].clone(), right[k][j].clone()])
                            })
                            .collect(),
                    )
                };
                let product = (0..rows)
                    .map(|i| (0..columns).map(|j| entry(i, j)).collect())
                    .collect();
                checked(Expression::Matrix(product))?
            }
        });
    }
    let rows = result.ok_or(ParseError::Empty)?;
    if scalars.is_empty() {
        return Ok(Expression::Matrix(rows));
    }
    let scalar = arithmetic::product(scalars)?;
    if scalar
        .size()
        .saturating_mul(rows.iter().map(Vec::len).sum())
        > MAX_NODES
    {
        return Err(ParseError::TooMany);
    }
    let scale = |entry: Expression| Expression::Product(vec![scalar.clone(), entry]);
    Ok(Expression::Matrix(
        rows.into_iter()
            .map(|row| row.into_iter().map(scale).collect())
            .collect(),
    ))
}

pub(super) fn power(matrix: Expression, times: &BigRational) -> Parsed {
    let times = times
        .is_integer()
        .then(|| times.to_integer().to_usize())
        .flatten()
        .filter(|times| (1..=MAX_POWER).contains(times))
        .ok_or_else(|| ParseError::Unexpected("a power of a matrix".to_owned()))?;
    product(Vec::new(), vec![matrix; times])
}

pub(super) fn transposed(rows: &Rows) -> Rows {
    let (_, columns) = size(rows);
    (0..columns)
        .map(|j| rows.iter().map(|row| row[j].clone()).collect())
        .collect()
}

/// The determinant of the last rows and these columns, by the first of those rows.
fn minor(rows: &Rows, columns: &[usize]) -> Expression {
    let row = rows.len() - columns.len();
    if let [column] = columns {
        return rows[row][*column].clone();
    }
    let terms = columns.iter().enumerate().map(|(place, &column)| {
        let rest: Vec<usize> = columns.iter().copied().filter(|c| *c != column).collect();
        let sign = if place % 2 == 0 { 1 } else { -1 };
        Expression::Product(vec![
            integer(sign),
            rows[row][column].clone(),
            minor(rows, &rest),
        ])
    });
    Expression::Sum(terms.collect())
}
