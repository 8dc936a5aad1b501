//! From characters to tokens: LaTeX and plain text end in the same alphabet.
//!
//! What only concerns looks (`\left`, `\displaystyle`, spacing, dollar signs of maths mode) is gone
//! afterwards, so the token list doubles as the normalised text of an answer.

use super::parse::ParseError;

/// The longest answer that is read, in bytes. A longer one is no answer but an essay.
pub(super) const MAX_BYTES: usize = 8192;

/// How a comma between digits is read when it could be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commas {
    /// `1,234` is one number where the groups allow it.
    Thousands,
    /// `1,234` is two numbers.
    List,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits, perhaps with a decimal point and an exponent; separators are gone.
    Number(String),
    /// One letter, Latin or Greek (Greek by its LaTeX name).
    Letter(String),
    /// Several letters that no rule takes apart.
    Word(String),
    /// The contents of `\text{…}` and its kin.
    Text(String),
    /// A LaTeX command that means something, or a plain word of the same meaning (`sqrt`, `pi`).
    Command(String),
    /// A sign.
    Sign(char),
    /// White space, kept until the words are joined and mixed numbers are seen.
    Space,
}

/// The tokens of an answer without looks and white space at the ends.
pub(super) fn tokens(text: &str, commas: Commas) -> Result<Vec<Token>, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::TooLong);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        chars,
        at: 0,
        commas,
        tokens: Vec::new(),
        brackets: 0,
    };
    lexer.run();
    Ok(trimmed(lexer.tokens))
}

/// The tokens as text in one canonical writing: the first rung of the ladder compares these.
pub(super) fn normal_text(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Number(word) | Token::Letter(word) | Token::Text(word) => text.push_str(word),
            Token::Word(word) => text.push_str(word),
            Token::Command(name) => {
                text.push('\\');
                text.push_str(name);
                text.push(' ');
            }
            Token::Sign(sign) => text.push(*sign),
            Token::Space => text.push(' '),
        }
    }
    text
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    commas: Commas,
    tokens: Vec<Token>,
    /// How many brackets that separate values are open.
    brackets: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.command(),
                '0'..='9' => self.number(),
                '.' if self.peek(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
                c if c.is_whitespace() || c == '~' || c == '\u{200b}' => {
                    self.at += 1;
                    self.push(Token::Space);
                }
                '$' | '\u{feff}' => self.at += 1,
                '*' if self.peek(1) == Some('*') && !self.power_stars() => self.at += 2,
                '*' if self.peek(1) == Some('*') => {
                    self.at += 2;
                    self.push(Token::Sign('^'));
                }
                c if c.is_alphabetic() => self.word(),
                c => {
                    self.at += 1;
                    self.sign(c);
                }
            }
        }
    }

    /// `2**3` is a power; `**3**` is bold.
    fn power_stars(&self) -> bool {
        let before = self
            .tokens
            .iter()
            .rev()
            .find(|token| **token != Token::Space);
        matches!(
            before,
            Some(Token::Number(_) | Token::Letter(_) | Token::Sign(')' | '}'))
        ) && self
            .peek(2)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '(' | '-' | '{' | ' '))
    }

    fn push(&mut self, token: Token) {
        if token == Token::Space && matches!(self.tokens.last(), None | Some(Token::Space)) {
            return;
        }
        self.tokens.push(token);
    }

    fn sign(&mut self, c: char) {
        let sign = match c {
            '−' | '–' | '—' | '‐' | '‑' => '-',
            '×' | '·' | '⋅' | '∙' | '∗' => '*',
            '÷' | '⁄' | '∕' => '/',
            '（' => '(',
            '）' => ')',
            '，' | '、' => ',',
            '；' => ';',
            '：' => ':',
            '≤' | '⩽' | '≦' => return self.name("le"),
            '≥' | '⩾' | '≧' => return self.name("ge"),
            '≠' => return self.name("ne"),
            '∈' => return self.name("in"),
            '∪' => return self.name("cup"),
            '∞' => return self.name("infty"),
            '√' => return self.name("sqrt"),
            '±' => return self.name("pm"),
            '∅' => return self.name("emptyset"),
            '≈' => return self.name("approx"),
            '⟨' => '⟨',
            '⟩' => '⟩',
            '°' => '°',
            '½' => return self.vulgar("1", "2"),
            '⅓' => return self.vulgar("1", "3"),
            '⅔' => return self.vulgar("2", "3"),
            '¼' => return self.vulgar("1", "4"),
            '¾' => return self.vulgar("3", "4"),
            '²' => return self.superscript("2"),
            '³' => return self.superscript("3"),
            other => other,
        };
        match sign {
            '(' | '[' => self.brackets += 1,
            ')' | ']' => self.brackets = self.brackets.saturating_sub(1),
            '<' if self.peek(0) == Some('=') => {
                self.at += 1;
                return self.name("le");
            }
            '>' if self.peek(0) == Some('=') => {
                self.at += 1;
                return self.name("ge");
            }
            '!' if self.peek(0) == Some('=') => {
                self.at += 1;
                return self.name("ne");
            }
            _ => {}
        }
        self.push(Token::Sign(sign));
    }

    fn name(&mut self, name: &str) {
        self.push(Token::Command(name.to_owned()));
    }

    fn vulgar(&mut self, numerator: &str, denominator: &str) {
        self.name("frac");
        for part in [numerator, denominator] {
            self.push(Token::Sign('{'));
            self.push(Token::Number(part.to_owned()));
            self.push(Token::Sign('}'));
        }
    }

    fn superscript(&mut self, exponent: &str) {
        self.push(Token::Sign('^'));
        self.push(Token::Number(exponent.to_owned()));
    }

    /// Digits with their separators, point and exponent.
    fn number(&mut self) {
        let mut digits = self.digits();
        if (1..=3).contains(&digits.len()) {
            // Separators join groups of exactly three, after a first group of one to three.
            while let Some(skip) = self.separator() {
                let group = (0..4).take_while(|i| self.digit(skip + i)).count();
                if group != 3 {
                    break;
                }
                self.at += skip;
                digits.push_str(&self.digits());
            }
        }
        if self.peek(0) == Some('.') && self.digit(1) {
            self.at += 1;
            digits.push('.');
            digits.push_str(&self.digits());
        } else if self.peek(0) == Some('.')
            && self.peek(1).is_none_or(|c| c.is_whitespace() || c == '$')
        {
            // The full stop of a sentence, or `4.`
            self.at += 1;
        }
        self.exponent(&mut digits);
        self.push(Token::Number(digits));
    }

    fn digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|c| c.is_ascii_digit())
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// The length of a thousands separator that stands here, if any.
    fn separator(&self) -> Option<usize> {
        let here = |ahead: usize| self.peek(ahead);
        match here(0)? {
            '{' if here(1) == Some(',') && here(2) == Some('}') => Some(3),
            ',' if here(1) == Some('\\') && here(2) == Some('!') => Some(3),
            '\\' if here(1) == Some(',') => Some(2),
            ',' if self.commas == Commas::Thousands && self.brackets == 0 => Some(1),
            ' ' | '\u{a0}' | '\u{202f}' => Some(1),
            _ => None,
        }
    }

    /// `1.5e-3` and `2E5`; `2e` stays a product with Euler's number.
    fn exponent(&mut self, digits: &mut String) {
        if !matches!(self.peek(0), Some('e' | 'E')) {
            return;
        }
        let sign = usize::from(matches!(self.peek(1), Some('-' | '+')));
        let mut end = 1 + sign;
        while self.peek(end).is_some_and(|c| c.is_ascii_digit()) {
            end += 1;
        }
        let whole = self.peek(end).is_none_or(|c| !c.is_alphanumeric());
        if end > 1 + sign
            && whole
            && (sign == 1 || digits.contains('.') || self.peek(0) == Some('E'))
        {
            digits.push('e');
            digits.extend((1..end).filter_map(|i| self.peek(i)));
            self.at += end;
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while self
            .peek(0)
            .is_some_and(|c| c.is_alphabetic() || (c == '\'' && self.at > start))
        {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if let Some(command) = plain_name(&word) {
            return self.name(command);
        }
        if let [c] = self.chars[start..self.at] {
            let token = match c {
                'π' => Token::Command("pi".into()),
                c => match greek(c) {
                    Some(name) => Token::Letter(name.into()),
                    None => Token::Letter(c.into()),
                },
            };
            return self.push(token);
        }
        // `2π` and `πr` are products.
        if word.contains('π') {
            for c in word.chars() {
                self.push(match c {
                    'π' => Token::Command("pi".into()),
                    c => Token::Letter(c.into()),
                });
            }
            return;
        }
        self.push(Token::Word(word));
    }

    fn command(&mut self) {
        self.at += 1;
        let Some(c) = self.peek(0) else { return };
        if !c.is_ascii_alphabetic() {
            self.at += 1;
            match c {
                '{' => {
                    self.brackets += 1;
                    self.name("{");
                }
                '}' => {
                    self.brackets = self.brackets.saturating_sub(1);
                    self.name("}");
                }
                '%' => self.push(Token::Sign('%')),
                '$' => self.name("$"),
                '|' => self.push(Token::Sign('|')),
                '\\' => self.name("\\"),
                '!' => {}
                ',' | ';' | ':' | ' ' | '\n' | '(' | ')' | '[' | ']' => self.push(Token::Space),
                '_' | '&' | '#' => self.push(Token::Sign(c)),
                _ => self.push(Token::Space),
            }
            return;
        }
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect();
        match name.as_str() {
            "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl"
            | "Bigr" | "biggl" | "biggr" | "Biggl" | "Biggr" | "middle" => {
                // `\left.` opens nothing.
                if self.peek(0) == Some('.') {
                    self.at += 1;
                }
            }
            "displaystyle" | "textstyle" | "limits" | "nolimits" | "rm" | "bf" | "it"
            | "boldsymbol" | "mathbf" | "mathit" | "mathcal" | "vec" | "overrightarrow"
            | "hline" | "boxed" | "fbox" | "bm" => {}
            "quad" | "qquad" | "enspace" | "thinspace" | "space" | "hspace" | "newline" => {
                self.push(Token::Space);
            }
            "text" | "mbox" | "hbox" | "textbf" | "textit" | "textrm" | "mathrm"
            | "operatorname" | "textnormal" | "mathsf" | "texttt" => self.text(),
            "dfrac" | "tfrac" | "cfrac" => self.name("frac"),
            "dbinom" | "tbinom" | "choose" => self.name("binom"),
            "cdot" | "times" | "ast" => self.push(Token::Sign('*')),
            "div" => self.push(Token::Sign('/')),
            "colon" => self.push(Token::Sign(':')),
            "lt" => self.push(Token::Sign('<')),
            "gt" => self.push(Token::Sign('>')),
            "leq" | "leqslant" | "leqq" => self.name("le"),
            "geq" | "geqslant" | "geqq" => self.name("ge"),
            "neq" => self.name("ne"),
            "degree" | "circ" => self.push(Token::Sign('°')),
            "lbrace" => {
                self.brackets += 1;
                self.name("{");
            }
            "rbrace" => {
                self.brackets = self.brackets.saturating_sub(1);
                self.name("}");
            }
            "lbrack" => self.push(Token::Sign('[')),
            "rbrack" => self.push(Token::Sign(']')),
            "langle" => self.push(Token::Sign('⟨')),
            "rangle" => self.push(Token::Sign('⟩')),
            "lvert" | "rvert" | "vert" | "mid" => self.push(Token::Sign('|')),
            "varnothing" => self.name("emptyset"),
            "simeq" | "sim" => self.name("approx"),
            "percent" => self.push(Token::Sign('%')),
            "dots" | "ldots" | "cdots" => self.name("dots"),
            _ if GREEK.iter().any(|(_, greek)| *greek == name) => self.push(Token::Letter(name)),
            _ => self.name(&name),
        }
    }

    /// The contents of `\text{…}`: words, but a number or a sign in them is itself.
    fn text(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        if self.peek(0) != Some('{') {
            return;
        }
        let mut depth = 0usize;
        let start = self.at + 1;
        while let Some(c) = self.peek(0) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        let end = if depth == 0 { self.at - 1 } else { self.at };
        let inner: String = self.chars[start.min(end)..end].iter().collect();
        let words: String = inner.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.replace(['\\', '{', '}', '$'], "");
        if let Some(command) = plain_name(&words) {
            self.name(command);
        } else if words.chars().any(char::is_alphabetic) {
            self.push(Token::Text(words));
        } else if !words.is_empty() {
            // Digits and signs do not become words by their font. Once more only: what `\` began is gone.
            let saved = std::mem::replace(&mut self.chars, words.chars().collect());
            let at = std::mem::replace(&mut self.at, 0);
            self.run();
            self.chars = saved;
            self.at = at;
        }
    }
}

/// Plain words that are commands in LaTeX.
fn plain_name(word: &str) -> Option<&'static str> {
    Some(match word {
        "sqrt" => "sqrt",
        "cbrt" => "cbrt",
        "pi" => "pi",
        "infinity" | "infty" | "inf" | "oo" => "infty",
        "sin" => "sin",
        "cos" => "cos",
        "tan" => "tan",
        "cot" => "cot",
        "sec" => "sec",
        "csc" => "csc",
        "arcsin" | "asin" => "arcsin",
        "arccos" | "acos" => "arccos",
        "arctan" | "atan" => "arctan",
        "sinh" => "sinh",
        "cosh" => "cosh",
        "tanh" => "tanh",
        "ln" => "ln",
        "log" => "log",
        "exp" => "exp",
        "abs" => "abs",
        "floor" => "floor",
        "ceil" => "ceil",
        "or" => "or",
        "and" => "and",
        "percent" => "percent",
        "cup" => "cup",
        _ => return None,
    })
}

const GREEK: [(char, &str); 30] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ε', "varepsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('θ', "vartheta"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('ρ', "rho"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('φ', "phi"),
    ('φ', "varphi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('Σ', "Sigma"),
    ('Φ', "Phi"),
    ('Ψ', "Psi"),
    ('Ω', "Omega"),
    ('ħ', "hbar"),
];

fn greek(c: char) -> Option<&'static str> {
    GREEK
        .iter()
        .find(|(letter, _)| *letter == c)
        .map(|(_, name)| *name)
}

/// Without white space and full stops at the ends.
fn trimmed(mut tokens: Vec<Token>) -> Vec<Token> {
    let loose = |token: &Token| {
        matches!(token, Token::Space | Token::Sign('.' | ',' | ';'))
            || *token == Token::Command("\\".into())
    };
    while tokens.last().is_some_and(loose) {
        tokens.pop();
    }
    let start = tokens
        .iter()
        .position(|token| !loose(token))
        .unwrap_or(tokens.len());
    tokens.drain(..start);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(
            normal_text(&tokens(text, Commas::Thousands).unwrap()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn looks_are_gone() {
        check(r"$\left( 1,\; 2 \right).$", "( 1, 2 )");
        check(r"\dfrac{1}{2}", r"\frac {1}{2}");
        check(r"\text{13}", "13");
        check("**5**", "5");
    }

    #[test]
    fn separators_join_groups_of_three_only() {
        check("1,000", "1000");
        check(r"1{,}000{,}000", "1000000");
        check(r"49,\!479", "49479");
        check("12 000 km", "12000 km");
        check("1,00", "1,00");
        check("1,0000", "1,0000");
        check("(100,200)", "(100,200)");
        check("1000,000", "1000,000");
        check("1.50", "1.50");
        check("7,425,000.5", "7425000.5");
    }

    #[test]
    fn an_exponent_needs_a_sign_a_point_or_a_capital() {
        check("1.5e10", "1.5e10");
        check("1e-4", "1e-4");
        check("2e", "2e");
    }
}
