//! `where`: a small part of SQL that says which rows of a source are wanted.
//!
//! `source IN ('math', 'olympiads') AND level >= 4`. Known are `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `IN`, `NOT IN`,
//! `LIKE` with `%` and `_`, `IS NULL`, `IS NOT NULL`, `AND`, `OR`, `NOT` and parentheses, on columns, texts and
//! numbers. As in SQL, a comparison with a missing value is neither true nor false, and such a row is not wanted.

use serde_json::Value;

use crate::rows::SourceRow;

/// A condition on rows, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Expression);

/// What is wrong with the text of a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {message}")]
pub struct ConditionFault {
    /// Where, counted from 1.
    pub at: usize,
    /// What.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(Operand, Comparison, Operand),
    In(Operand, Vec<Operand>),
    Like(Operand, String),
    IsNull(Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Column(String),
    Constant(Value),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// The text is no condition of the known part of SQL; the fault says where.
    ///
    /// ```
    /// let condition = dag_data::Condition::parse("level >= 4 AND subject != 'Algebra'")?;
    /// let row = serde_json::json!({ "level": 5, "subject": "Geometry" });
    /// assert!(condition.holds(row.as_object().unwrap()));
    /// # Ok::<(), dag_data::ConditionFault>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConditionFault> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            end: text.chars().count() + 1,
            depth: 0,
        };
        let expression = parser.either()?;
        match parser.peek() {
            None => Ok(Self(expression)),
            Some(_) => Err(parser.fault("AND or OR is expected")),
        }
    }

    /// Whether the row is wanted.
    #[must_use]
    pub fn holds(&self, row: &SourceRow) -> bool {
        self.0.ask(row) == Some(true)
    }
}

impl Expression {
    /// SQL's three answers: `None` is unknown.
    fn ask(&self, row: &SourceRow) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.ask(row), right.ask(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                (None, _) | (_, None) => None,
            },
            Self::Or(left, right) => match (left.ask(row), right.ask(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                (None, _) | (_, None) => None,
            },
            Self::Not(inner) => inner.ask(row).map(|yes| !yes),
            Self::Compare(left, comparison, right) => {
                let order = order(left.value(row)?, right.value(row)?)?;
                Some(match comparison {
                    Comparison::Equal => order.is_eq(),
                    Comparison::Unequal => order.is_ne(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                })
            }
            Self::In(operand, list) => {
                let value = operand.value(row)?;
                Some(list.iter().any(|item| {
                    item.value(row)
                        .and_then(|item| order(value, item))
                        .is_some_and(std::cmp::Ordering::is_eq)
                }))
            }
            Self::Like(operand, pattern) => Some(like(operand.value(row)?.as_str()?, pattern)),
            Self::IsNull(operand) => Some(operand.value(row).is_none()),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, row: &'a SourceRow) -> Option<&'a Value> {
        match self {
            Self::Column(name) => row.get(name).filter(|value| !value.is_null()),
            Self::Constant(value) => Some(value),
        }
    }
}

/// Numbers with numbers, texts with texts, truth with truth; anything else cannot be compared.
fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// SQL's LIKE: `%` any text, `_` one character. Linear in practice: one place to go back to.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '_' || *wanted == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Text(String),
    Number(Value),
    Sign(&'static str),
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ConditionFault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let fault = |message: String| ConditionFault {
            at: start + 1,
            message,
        };
        let token = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            quote @ ('\'' | '"') => {
                let mut inside = String::new();
                at += 1;
                loop {
                    match chars.get(at) {
                        None => return Err(fault(format!("the {quote} is never closed"))),
                        // a doubled quote is one quote inside
                        Some(c) if *c == quote && chars.get(at + 1) == Some(&quote) => {
                            inside.push(quote);
                            at += 2;
                        }
                        Some(c) if *c == quote => {
                            at += 1;
                            break;
                        }
                        Some(c) => {
                            inside.push(*c);
                            at += 1;
                        }
                    }
                }
                if quote == '\'' {
                    Token::Text(inside)
                } else {
                    Token::Quoted(inside)
                }
            }
            c if c.is_ascii_digit()
                || (c == '-' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) =>
            {
                at += 1;
                while chars
                    .get(at)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || *c == '.')
                {
                    at += 1;
                }
                let digits: String = chars[start..at].iter().collect();
                Token::Number(
                    serde_json::from_str(&digits)
                        .map_err(|_| fault(format!("`{digits}` is no number")))?,
                )
            }
            c if c.is_alphabetic() || c == '_' => {
                while chars
                    .get(at)
                    .is_some_and(|c| c.is_alphanumeric() || *c == '_')
                {
                    at += 1;
                }
                Token::Word(chars[start..at].iter().collect())
            }
            c => {
                let sign = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","]
                    .into_iter()
                    .find(|sign| {
                        sign.chars()
                            .enumerate()
                            .all(|(offset, wanted)| chars.get(at + offset) == Some(&wanted))
                    });
                let sign = sign.ok_or_else(|| fault(format!("`{c}` has no meaning here")))?;
                at += sign.len();
                Token::Sign(sign)
            }
        };
        tokens.push((start + 1, token));
    }
    Ok(tokens)
}

/// How deep parentheses and NOTs may go: far beyond what a person writes, far below the stack.
const DEPTH: usize = 64;

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn fault(&self, message: impl Into<String>) -> ConditionFault {
        ConditionFault {
            at: self.tokens.get(self.at).map_or(self.end, |(at, _)| *at),
            message: message.into(),
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here =
            matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(here);
        here
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(here);
        here
    }

    fn either(&mut self) -> Result<Expression, ConditionFault> {
        let mut left = self.both()?;
        while self.take_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expression, ConditionFault> {
        let mut left = self.unary()?;
        while self.take_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, ConditionFault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fault("the condition is nested too deeply"));
        }
        let expression = if self.take_word("not") {
            Expression::Not(Box::new(self.unary()?))
        } else if self.take_sign("(") {
            let inside = self.either()?;
            if !self.take_sign(")") {
                return Err(self.fault("a closing parenthesis is expected"));
            }
            inside
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Result<Expression, ConditionFault> {
        let left = self.operand()?;
        if self.take_word("is") {
            let not = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.fault("NULL is expected"));
            }
            let null = Expression::IsNull(left);
            return Ok(if not {
                Expression::Not(Box::new(null))
            } else {
                null
            });
        }
        let not = self.take_word("not");
        let found = if self.take_word("in") {
            Expression::In(left, self.list()?)
        } else if self.take_word("like") {
            match self.operand()? {
                Operand::Constant(Value::String(pattern)) => Expression::Like(left, pattern),
                Operand::Column(_) | Operand::Constant(_) => {
                    self.at -= 1;
                    return Err(self.fault("LIKE needs a text in single quotes"));
                }
            }
        } else if not {
            return Err(self.fault("IN or LIKE is expected"));
        } else {
            let comparison = match self.peek() {
                Some(Token::Sign("=")) => Comparison::Equal,
                Some(Token::Sign("!=" | "<>")) => Comparison::Unequal,
                Some(Token::Sign("<")) => Comparison::Less,
                Some(Token::Sign("<=")) => Comparison::LessOrEqual,
                Some(Token::Sign(">")) => Comparison::Greater,
                Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
                _ => return Err(self.fault("a comparison is expected")),
            };
            self.at += 1;
            return Ok(Expression::Compare(left, comparison, self.operand()?));
        };
        Ok(if not {
            Expression::Not(Box::new(found))
        } else {
            found
        })
    }

    fn list(&mut self) -> Result<Vec<Operand>, ConditionFault> {
        if !self.take_sign("(") {
            return Err(self.fault("a list in parentheses is expected"));
        }
        let mut list = vec![self.operand()?];
        while self.take_sign(",") {
            list.push(self.operand()?);
        }
        if self.take_sign(")") {
            Ok(list)
        } else {
            Err(self.fault("a comma or a closing parenthesis is expected"))
        }
    }

    fn operand(&mut self) -> Result<Operand, ConditionFault> {
        let operand = match self.peek() {
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => {
                Operand::Constant(Value::Bool(true))
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => {
                Operand::Constant(Value::Bool(false))
            }
            Some(Token::Word(word))
                if !["and", "or", "not", "in", "is", "like", "null"]
                    .iter()
                    .any(|w| word.eq_ignore_ascii_case(w)) =>
            {
                Operand::Column(word.clone())
            }
            Some(Token::Quoted(name)) => Operand::Column(name.clone()),
            Some(Token::Text(text)) => Operand::Constant(Value::String(text.clone())),
            Some(Token::Number(number)) => Operand::Constant(number.clone()),
            Some(Token::Word(_) | Token::Sign(_)) | None => {
                return Err(self.fault("a column or a value is expected"));
            }
        };
        self.at += 1;
        Ok(operand)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(condition: &str, expect: bool) {
        let row = serde_json::json!({ "source": "math", "level": 4, "part": 0.5, "note": null, "two words": "it's" });
        assert_eq!(
            Condition::parse(condition)
                .unwrap()
                .holds(row.as_object().unwrap()),
            expect,
            "{condition}"
        );
    }

    #[test]
    fn conditions_mean_what_they_mean_in_sql() {
        check("source IN ('math', 'olympiads', 'amc_aime')", true);
        check("source not in ('math')", false);
        check("level >= 4 AND level <= 9", true);
        check("level < 4 OR part = 0.5", true);
        check("NOT (level = 4)", false);
        check(
            "source LIKE 'm%h' AND source LIKE '_ath' AND source NOT LIKE '%x%'",
            true,
        );
        check("\"two words\" = 'it''s'", true);
        check(
            "note IS NULL AND absent IS NULL AND level IS NOT NULL",
            true,
        );
        check("note = 'x' OR NOT note = 'x'", false);
        check("level = '4'", false);
        check("level <> 5 and level != 5", true);
        // AND binds tighter than OR
        check("level = 4 OR level = 5 AND source = 'x'", true);
    }

    #[test]
    fn a_fault_says_where() {
        let fault = |text| Condition::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                fault(""),
                fault("source IN"),
                fault("source = 'math"),
                fault("level >= 4 level"),
                fault("(level = 1"),
                fault("level ; 2"),
                fault("level LIKE 4"),
                fault("1.2.3 = level"),
            ]
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9 ()'\"<>=!,.%_-]{0,40}|\\PC{0,20}|(NOT |\\(|x=1 AND ){0,100}") {
            let _parsed = Condition::parse(&text);
        }

        #[test]
        fn like_agrees_with_the_plain_definition(text in "[ab]{0,8}", pattern in "[ab%_]{0,6}") {
            fn plain(text: &[u8], pattern: &[u8]) -> bool {
                match (text, pattern) {
                    (_, [b'%', rest @ ..]) => (0..=text.len()).any(|skip| plain(&text[skip..], rest)),
                    ([_, text @ ..], [b'_', rest @ ..]) => plain(text, rest),
                    ([a, text @ ..], [b, rest @ ..]) if a == b => plain(text, rest),
                    ([], []) => true,
                    _ => false,
                }
            }
            prop_assert_eq!(like(&text, &pattern), plain(text.as_bytes(), pattern.as_bytes()));
        }
    }
}
