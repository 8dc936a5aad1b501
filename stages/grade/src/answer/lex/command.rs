//! What begins with a backslash.

use super::names::{GREEK, longest_known, number_set, plain_name};
use super::{Lexer, Token};

/// How deeply `\text` inside `\text` is read as mathematics.
const MAX_TEXTS: usize = 4;

impl Lexer {
    pub(super) fn command(&mut self) {
        self.at += 1;
        let Some(c) = self.peek(0) else { return };
        if !c.is_ascii_alphabetic() {
            self.at += 1;
            return self.escaped(c);
        }
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect();
        // `\quadx`: the letters after the longest known name are letters.
        let known = longest_known(&name).unwrap_or(&name);
        self.at = start + known.len();
        self.named(known);
    }

    fn escaped(&mut self, c: char) {
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
            '_' | '&' | '#' => self.push(Token::Sign(c)),
            _ => self.push(Token::Space),
        }
    }

    fn named(&mut self, name: &str) {
        match name {
            "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl"
            | "Bigr" | "biggl" | "biggr" | "Biggl" | "Biggr" | "middle" => {
                // `\left.` opens nothing.
                if self.peek(0) == Some('.') {
                    self.at += 1;
                }
            }
            "displaystyle" | "textstyle" | "scriptstyle" | "limits" | "nolimits" | "rm" | "bf"
            | "it" | "boldsymbol" | "mathbf" | "mathit" | "mathcal" | "mathscr" | "mathfrak"
            | "hline" | "large" | "Large" | "small" | "normalsize" | "tiny" | "huge" | "boxed"
            | "fbox" | "bm" | "mathop" | "phantom" | "triangle" | "ensuremath" | "underline" => {}
            "vec" | "overrightarrow" => {
                // An arrow over two points leads from the first to the second.
                if let Some(points) = self.points(2..=2) {
                    self.push(Token::Letter(format!("→{points}")));
                }
            }
            "angle" | "measuredangle" => {
                // Of an angle only the vertex has its place.
                if let Some(points) = self.points(3..=3) {
                    let turned: String = points.chars().rev().collect();
                    self.push(Token::Letter(format!("∠{}", points.min(turned))));
                }
            }
            "textcolor" | "color" | "tag" => {
                // The colour of what follows, or the number of an equation.
                self.braced();
            }
            "quad" | "qquad" | "newline" => self.name("quad"),
            "enspace" | "thinspace" | "space" | "hspace" | "nobreak" | "medspace" => {
                self.push(Token::Space);
            }
            "text" | "mbox" | "hbox" | "textbf" | "textit" | "textrm" | "mathrm"
            | "operatorname" | "textnormal" | "mathsf" | "texttt" | "textsf" | "emph"
            | "mathtt" => {
                self.text();
            }
            "mathbb" | "Bbb" => self.number_set(),
            "R" | "reals" | "Reals" => self.push(Token::Letter("ℝ".into())),
            "Z" => self.push(Token::Letter("ℤ".into())),
            "N" => self.push(Token::Letter("ℕ".into())),
            "Q" => self.push(Token::Letter("ℚ".into())),
            "C" => self.push(Token::Letter("ℂ".into())),
            "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac" => self.name("frac"),
            "dbinom" | "tbinom" => self.name("binom"),
            "cdot" | "times" | "ast" | "bullet" => self.push(Token::Sign('*')),
            "div" => self.push(Token::Sign('/')),
            "colon" => self.push(Token::Sign(':')),
            "lt" => self.push(Token::Sign('<')),
            "gt" => self.push(Token::Sign('>')),
            "leq" | "leqslant" | "leqq" => self.name("le"),
            "geq" | "geqslant" | "geqq" => self.name("ge"),
            "neq" => self.name("ne"),
            "not" => {
                while self.peek(0).is_some_and(char::is_whitespace) {
                    self.at += 1;
                }
                if self.peek(0) == Some('=') {
                    self.at += 1;
                    self.name("ne");
                } else {
                    self.name("not");
                }
            }
            "degree" | "circ" | "textdegree" => self.push(Token::Sign('°')),
            "prime" => self.push(Token::Sign('\'')),
            "lbrace" => self.escaped('{'),
            "rbrace" => self.escaped('}'),
            "lbrack" => self.sign('['),
            "rbrack" => self.sign(']'),
            "lparen" => self.sign('('),
            "rparen" => self.sign(')'),
            "langle" => self.push(Token::Sign('⟨')),
            "rangle" => self.push(Token::Sign('⟩')),
            "lvert" | "rvert" | "vert" | "mid" | "lVert" | "rVert" | "Vert" => {
                self.push(Token::Sign('|'));
            }
            "varnothing" => self.name("emptyset"),
            "simeq" => self.name("approx"),
            "percent" => self.push(Token::Sign('%')),
            "pounds" | "textsterling" => self.push(Token::Sign('£')),
            "euro" => self.push(Token::Sign('€')),
            "textdollar" | "dollar" => self.name("$"),
            "dots" | "ldots" | "cdots" | "dotsc" | "dotsb" => self.name("dots"),
            "backslash" | "smallsetminus" => self.name("setminus"),
            "land" | "wedge" => self.name("land"),
            "lor" | "vee" => self.name("lor"),
            "lg" => self.name("log"),
            "arccsc" | "arcsec" | "arccot" => self.name(name),
            "tg" | "ctg" | "cotg" | "cosec" | "arctg" | "arcctg" => {
                self.name(plain_name(name).unwrap_or(name));
            }
            "varepsilon" | "varphi" => {
                self.push(Token::Letter(name.trim_start_matches("var").to_owned()))
            }
            "mod" | "pmod" => self.name("mod"),
            _ if GREEK.iter().any(|(_, greek)| *greek == name) => {
                self.push(Token::Letter(name.to_owned()));
            }
            _ => self.name(name),
        }
    }

    /// Leaves out a group in braces.
    fn braced(&mut self) {
        let mut at = self.at;
        while self.chars.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        if self.chars.get(at) != Some(&'{') {
            return;
        }
        if let Some(length) = self.chars.iter().skip(at).position(|c| *c == '}') {
            self.at = at + length + 1;
        }
    }

    /// A run of so many capitals, perhaps braced; taken only if nothing else belongs to it.
    fn points(&mut self, count: std::ops::RangeInclusive<usize>) -> Option<String> {
        let mut at = self.at;
        let mut points = String::new();
        let mut braced = false;
        loop {
            match self.chars.get(at) {
                Some(c) if c.is_whitespace() => {}
                Some('{') if points.is_empty() && !braced => braced = true,
                Some(c) if c.is_ascii_uppercase() => points.push(*c),
                Some('}') if braced => {
                    at += 1;
                    break;
                }
                _ if braced => return None,
                _ => break,
            }
            at += 1;
        }
        let bare = self
            .chars
            .get(at)
            .is_none_or(|c| !c.is_alphabetic() && !matches!(c, '_' | '\''));
        if !bare || !count.contains(&points.len()) {
            return None;
        }
        self.at = at;
        Some(points)
    }

    /// `\mathbb{R}`: the letter of a number set.
    fn number_set(&mut self) {
        let rest: String = self.chars[self.at..].iter().take(16).collect();
        let inner = rest.trim_start();
        let skipped = rest.len() - inner.len();
        let braced = inner.strip_prefix('{');
        let body = braced.unwrap_or(inner).trim_start();
        let Some(letter) = body.chars().next().filter(char::is_ascii_alphabetic) else {
            return self.name("mathbb");
        };
        let mut length = skipped + (inner.len() - body.len()) + 1;
        if braced.is_some() {
            let after = body[1..].trim_start();
            if !after.starts_with('}') {
                return self.name("mathbb");
            }
            length += body.len() - after.len();
        }
        self.at += length;
        let name = number_set(letter).map_or_else(|| format!("mathbb{letter}"), str::to_owned);
        self.push(Token::Letter(name));
    }

    /// The contents of `\text{…}`: words, but a number or a sign in them is itself.
    fn text(&mut self) {
        if self.peek(0) == Some('*') {
            self.at += 1;
        }
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
        let words = inner.replace('~', " ");
        let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
        // `\text{ boys and }` joins what stands on either side.
        let joint = ["and", "or"]
            .into_iter()
            .find(|joint| words.ends_with(&format!(" {joint}")) && plain_name(&words).is_none());
        let words = match joint {
            Some(joint) => words[..words.len() - joint.len()].trim_end().to_owned(),
            None => words,
        };
        let plain = words.trim_matches([' ', ',', ';', '.', ':']);
        let alphabetic = words.chars().any(char::is_alphabetic);
        let separate = plain
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let letters_only = separate.clone().all(|word| word.chars().count() == 1);
        // `cm^2` is a unit, not mathematics.
        let unraised = words.replace("^2", "").replace("^3", "");
        let mathematical = words.contains(['\\', '$', '_', '='])
            || unraised.chars().any(|c| c.is_ascii_digit())
            || (letters_only && words.contains(',') && separate.count() > 1);
        if let Some(command) = plain_name(plain) {
            self.name(command);
        } else if alphabetic && (!mathematical || self.texts >= MAX_TEXTS) {
            self.push(Token::Text(words.replace(['\\', '{', '}', '$'], "")));
        } else if !words.is_empty() && self.texts < MAX_TEXTS {
            // Digits and signs do not become words by their font.
            self.texts += 1;
            let saved = std::mem::replace(&mut self.chars, words.chars().collect());
            let at = std::mem::replace(&mut self.at, 0);
            self.push(Token::Space);
            self.run();
            self.push(Token::Space);
            self.chars = saved;
            self.at = at;
            self.texts -= 1;
        }
        if let Some(joint) = joint {
            self.name(joint);
        }
    }
}
