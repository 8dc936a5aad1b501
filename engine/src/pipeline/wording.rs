//! What serde says, in the user's words: "a whole number", not `u32`.

/// What is wrong with a setting, as far as serde tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// A field nobody knows; the names that would be known.
    UnknownField { name: String, known: Vec<String> },
    /// A field that must be there and is not.
    MissingField { name: String },
    /// A value of another sort than the one expected.
    WrongType { found: String, expected: String },
    /// A value of the right sort outside what is allowed.
    NotAllowed {
        found: String,
        expected: String,
        known: Vec<String>,
    },
    /// A message of the settings' own.
    Other(String),
}

/// Takes a message of serde apart.
pub(crate) fn complaint(message: &str) -> Complaint {
    let message = message.trim();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (name, known) = name_and_known(rest);
        return Complaint::UnknownField { name, known };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return Complaint::MissingField {
            name: quoted(rest).unwrap_or(rest).to_owned(),
        };
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (name, known) = name_and_known(rest);
        let expected = match known.len() {
            0 => "something else".to_owned(),
            _ => one_of(&known),
        };
        return Complaint::NotAllowed {
            found: format!("\"{name}\""),
            expected,
            known,
        };
    }
    if let Some(rest) = message.strip_prefix("invalid type: ")
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        return Complaint::WrongType {
            found: self::found(found),
            expected: self::expected(expected),
        };
    }
    if let Some(rest) = message.strip_prefix("invalid value: ")
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        let negative = found.contains('-');
        let expected = match expected {
            "u32" if !negative => "a whole number of at most 4294967295".to_owned(),
            "i32" => "a whole number between -2147483648 and 2147483647".to_owned(),
            expected => self::expected(expected),
        };
        return Complaint::NotAllowed {
            found: self::found(found),
            expected,
            known: Vec::new(),
        };
    }
    if let Some(rest) = message.strip_prefix("invalid length ")
        && let Some((found, expected)) = rest.split_once(", expected ")
    {
        return Complaint::WrongType {
            found: format!("{found} of them"),
            expected: self::expected(expected),
        };
    }
    if message == "wanted string or table" {
        return Complaint::WrongType {
            found: "this".to_owned(),
            expected: "a text or a table".to_owned(),
        };
    }
    if message.starts_with("wanted exactly 1 element") {
        return Complaint::WrongType {
            found: "this".to_owned(),
            expected: "a table with exactly one setting, which says what it is".to_owned(),
        };
    }
    if message.ends_with("number overflowed") {
        return Complaint::NotAllowed {
            found: "this".to_owned(),
            expected: "a number that fits into 64 bits".to_owned(),
            known: Vec::new(),
        };
    }
    Complaint::Other(message.to_owned())
}

/// "`a`, expected one of `b`, `c`" → a, [b, c].
fn name_and_known(rest: &str) -> (String, Vec<String>) {
    let (name, known) = match rest.rsplit_once(", expected ") {
        Some((name, known)) => (name, known),
        None => match rest.rsplit_once(", there are no ") {
            Some((name, _)) => (name, ""),
            None => (rest, ""),
        },
    };
    let known = known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    (quoted(name).unwrap_or(name).to_owned(), known)
}

fn quoted(text: &str) -> Option<&str> {
    text.trim().strip_prefix('`')?.strip_suffix('`')
}

fn found(found: &str) -> String {
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the text {text}");
    }
    for prefix in ["integer ", "floating point "] {
        if let Some(number) = found.strip_prefix(prefix) {
            return format!("the number {}", quoted(number).unwrap_or(number));
        }
    }
    if let Some(truth) = found.strip_prefix("boolean ") {
        return truth.to_owned();
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        "null" | "unit value" => "nothing".to_owned(),
        "unit variant" => "a text".to_owned(),
        "newtype variant" | "struct variant" | "tuple variant" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// The name of a Rust type or of serde for it, as a user would say it.
pub(crate) fn expected(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "u128" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" | "string" | "str" => "a text".to_owned(),
        "path string" => "a path, as text".to_owned(),
        "a character" | "char" => "a single character".to_owned(),
        "a boolean" | "bool" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other => {
            if other.starts_with("a nonzero u") {
                "a whole number, 1 or more".to_owned()
            } else if other.starts_with("a nonzero i") {
                "a whole number other than 0".to_owned()
            } else if other.starts_with("struct ") {
                "a table".to_owned()
            } else if other.starts_with("enum ") || other.starts_with("variant of enum ") {
                "a text or a table".to_owned()
            } else if let Some(size) = other.strip_prefix("a tuple of size ") {
                format!("a list of {size} values")
            } else if let Some(size) = other
                .strip_prefix("an array of length ")
                .or_else(|| other.strip_prefix("an array of size "))
            {
                format!("a list of {size} values")
            } else if other.starts_with("tuple struct ") {
                "a list".to_owned()
            } else {
                other.to_owned()
            }
        }
    }
}

fn one_of(known: &[String]) -> String {
    let names: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_types_do_not_reach_the_user() {
        assert_eq!(
            complaint("invalid type: string \"lots\", expected u32"),
            Complaint::WrongType {
                found: "the text \"lots\"".to_owned(),
                expected: "a whole number, 0 or more".to_owned(),
            }
        );
        assert_eq!(
            complaint("invalid value: integer `-1`, expected u32"),
            Complaint::NotAllowed {
                found: "the number -1".to_owned(),
                expected: "a whole number, 0 or more".to_owned(),
                known: vec![],
            }
        );
        assert_eq!(expected("struct ServerSpec with 8 elements"), "a table");
        assert_eq!(expected("a tuple of size 2"), "a list of 2 values");
    }

    #[test]
    fn known_names_are_read_out_of_the_message() {
        assert_eq!(
            complaint("unknown field `temprature`, expected one of `n`, `temperature`"),
            Complaint::UnknownField {
                name: "temprature".to_owned(),
                known: vec!["n".to_owned(), "temperature".to_owned()],
            }
        );
        assert_eq!(
            complaint("unknown field `x`, there are no fields"),
            Complaint::UnknownField {
                name: "x".to_owned(),
                known: vec![]
            }
        );
        assert_eq!(
            complaint("unknown variant `best`, expected `all` or `first`"),
            Complaint::NotAllowed {
                found: "\"best\"".to_owned(),
                expected: "\"all\" or \"first\"".to_owned(),
                known: vec!["all".to_owned(), "first".to_owned()],
            }
        );
    }
}
