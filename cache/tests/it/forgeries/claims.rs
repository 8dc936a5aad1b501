//! What the record itself says, where its seal is in order.

use dag_cache::Digest;
use dag_cache::trust::Trust;

use super::check;
use super::forger::{Forger, as_record};
use crate::world::{key, record};

/// Alice is believed and signs all of these: her program may be faulty, or her key be in other hands.
#[test]
fn a_trusted_writer_cannot_say_just_anything() {
    let forger = Forger::new();
    let says = |from: &str, to: &str| forger.alice_says(from, to);
    let signed = |body: &str| forger.by_alice(&as_record(body.as_bytes()));
    let json = forger.json();
    let output = |name: &str| {
        let start = json.find(r#""text":{"#).unwrap();
        let end = start + json[start..].find('}').unwrap() + 1;
        format!(r#""{name}"{},"#, &json[start + r#""text""#.len()..end])
    };
    let outputs = |names: &mut dyn Iterator<Item = String>| {
        let more: String = names.map(|name| output(&name)).collect();
        says(r#""outputs":{"#, &format!(r#""outputs":{{{more}"#))
    };
    let one = |name: &str| outputs(&mut std::iter::once(name.to_owned()));
    let size = |claim: &str| says(r#""size":6"#, &format!(r#""size":{claim}"#));
    let preimage = |value: &str| says(r#""n":1"#, &format!(r#""n":{value}"#));
    let largest = i64::MAX.to_string();
    let text = |text: &[u8]| {
        let at = json.find("someone").unwrap();
        forger.by_alice(&as_record(
            &[&json.as_bytes()[..at], text, &json.as_bytes()[at..]].concat(),
        ))
    };
    let rows: Vec<(&'static str, Vec<u8>, &'static str)> = vec![
        // another thing than a record
        (
            "nothing, signed",
            forger.by_alice(b""),
            "it does not begin like a record",
        ),
        (
            "a first line alone",
            forger.by_alice(b"dag record v1 "),
            "it ends within its first line",
        ),
        (
            "an older record",
            forger.by_alice(&[b"dag record v0 ", &forger.plain[14..]].concat()),
            "it does not begin like a record",
        ),
        (
            "a newer record",
            forger.by_alice(&[b"dag record v2 ", &forger.plain[14..]].concat()),
            "it does not begin like a record",
        ),
        (
            "a checksum that does not fit",
            forger.by_alice(&[&forger.plain[..], b" "].concat()),
            "its checksum does not fit",
        ),
        (
            "a checksum in capitals",
            forger.by_alice(&{
                let mut plain = forger.plain.clone();
                plain[14..78].make_ascii_uppercase();
                plain
            }),
            "its checksum does not fit",
        ),
        (
            "a line that ends with a carriage return",
            forger.by_alice(&[&forger.plain[..78], b"\r", &forger.plain[78..]].concat()),
            "its checksum does not fit",
        ),
        ("an empty body", signed(""), "EOF while parsing"),
        (
            "a list",
            signed("[]"),
            "invalid type: sequence, expected an object",
        ),
        ("an empty object", signed("{}"), "missing field `key`"),
        (
            "half a body",
            signed(&json[..json.len() / 2]),
            "EOF while parsing",
        ),
        ("two bodies", signed(&json.repeat(2)), "trailing characters"),
        (
            "a NUL after the body",
            signed(&format!("{json}\0")),
            "trailing characters",
        ),
        (
            "a byte order mark before the body",
            signed(&format!("\u{feff}{json}")),
            "expected value",
        ),
        (
            "a comment",
            signed(&format!("{json}// fine")),
            "trailing characters",
        ),
        (
            "bytes that are no text",
            text(b"\xff"),
            "invalid unicode code point",
        ),
        (
            "half a surrogate",
            text(br"\ud800"),
            "unexpected end of hex escape",
        ),
        // another key, no main output
        (
            "the record of another key",
            {
                let theirs = record(key("b"), Digest::of(b"result"), 6);
                says(&key("a").to_string(), &theirs.key.to_string())
            },
            "it is the record of",
        ),
        (
            "no main output",
            says(r#""main":"text""#, r#""main":"rows""#),
            "it has no output `rows`",
        ),
        (
            "a main output that climbs",
            says(r#""main":"text""#, r#""main":"../text""#),
            "it has no output `../text`",
        ),
        (
            "no output",
            {
                let all = output("text");
                says(all.trim_end_matches(','), "")
            },
            "it has no output `text`",
        ),
        // said twice
        (
            "the key twice",
            says(r#"{"key":"#, &format!(r#"{{"key":"{}","key":"#, key("b"))),
            "`key` stands there twice",
        ),
        (
            "the time twice",
            says(r#""seconds":0.5"#, r#""seconds":0.5,"seconds":9.0"#),
            "`seconds` stands there twice",
        ),
        (
            "the outputs twice",
            says(r#""outputs":{"#, r#""outputs":{},"outputs":{"#),
            "`outputs` stands there twice",
        ),
        ("an output twice", one("text"), "`text` stands there twice"),
        (
            "an output twice, once in disguise",
            one(r"\u0074ext"),
            "`text` stands there twice",
        ),
        (
            "a digest of an output twice",
            says(
                r#""size":6"#,
                &format!(r#""size":6,"bytes":"{}""#, Digest::of(b"poison")),
            ),
            "`bytes` stands there twice",
        ),
        (
            "a metric twice",
            says(r#""loss":0.25"#, r#""loss":0.25,"loss":0.0"#),
            "`loss` stands there twice",
        ),
        (
            "a count twice",
            says(r#""in":3"#, r#""in":3,"in":4"#),
            "`in` stands there twice",
        ),
        (
            "what it took, twice",
            says(r#""requests":1"#, r#""requests":1,"requests":0"#),
            "`requests` stands there twice",
        ),
        (
            "a setting of the preimage twice",
            says(r#""n":1"#, r#""n":1,"n":2"#),
            "`n` stands there twice",
        ),
        (
            "a setting twice, deep in the preimage",
            preimage(r#"[[{"a":{"b":1,"b":1}}]]"#),
            "`b` stands there twice",
        ),
        (
            "a setting twice in a map of pairs",
            preimage(r#"{"$map":[["a",1],["a",2]]}"#),
            "a name stands there twice",
        ),
        (
            "a column twice in a schema",
            says(r#""media""#, r#""schema":{"a":1,"a":2},"media""#),
            "`a` stands there twice",
        ),
        (
            "a field to be passed over, twice",
            says(r#"{"key""#, r#"{"x-a":1,"x-a":2,"key""#),
            "`x-a` stands there twice",
        ),
        // fields that nobody knows
        (
            "an unknown field",
            says(r#"{"key""#, r#"{"unfinishd":3,"key""#),
            "the field `unfinishd` is none of a record",
        ),
        (
            "a field in capitals",
            says(r#""metrics""#, r#""Metrics""#),
            "the field `Metrics` is none of a record",
        ),
        (
            "an unknown field that clears the screen",
            says(r#"{"key""#, r#"{"\u001b[2J":3,"key""#),
            r"the field `\u{1b}[2J` is none of a record",
        ),
        (
            "an unknown field of an output",
            says(r#""size":6"#, r#""size":6,"offset":6"#),
            "unknown field `offset`",
        ),
        (
            "an unknown field of what it took",
            says(r#""requests":1"#, r#""requests":1,"eur":6"#),
            "unknown field `eur`",
        ),
        (
            "a new kind of output",
            says(r#""document""#, r#""program""#),
            "unknown variant `program`",
        ),
        // outputs
        (
            "a thousand outputs",
            outputs(&mut (0..999).map(|n| format!("o{n}"))),
            "it has 1000 outputs; 64 are the most",
        ),
        (
            "one output too many",
            outputs(&mut (0..64).map(|n| format!("o{n}"))),
            "it has 65 outputs; 64 are the most",
        ),
        (
            "an output that climbs",
            one("../text"),
            "`../text` is no name of an output",
        ),
        (
            "an output that climbs within",
            one("a/../../text"),
            "`a/../../text` is no name of an output",
        ),
        (
            "an output named ..",
            one(".."),
            "`..` is no name of an output",
        ),
        (
            "an output that hides",
            one(".ssh"),
            "`.ssh` is no name of an output",
        ),
        (
            "an output at the root",
            one("/etc/passwd"),
            "`/etc/passwd` is no name of an output",
        ),
        (
            "an output in another system's folder",
            one(r"a\\b"),
            r"`a\b` is no name of an output",
        ),
        (
            "an output without a name",
            one(""),
            "`` is no name of an output",
        ),
        (
            "an output with a NUL",
            one(r"text\u0000"),
            r"`text\u{0}` is no name of an output",
        ),
        (
            "an output that looks like another",
            one("tеxt"),
            "`tеxt` is no name of an output",
        ),
        (
            "an output with an endless name",
            one(&"a".repeat(1 << 20)),
            "is no name of an output",
        ),
        // numbers
        (
            "a size beyond all",
            size("18446744073709551615"),
            "a size or count of 18446744073709551615 cannot be",
        ),
        (
            "a size just too large",
            size("9223372036854775808"),
            "a size or count of 9223372036854775808 cannot be",
        ),
        (
            "a size of 21 digits",
            size("100000000000000000000"),
            "invalid type: floating point",
        ),
        (
            "a size below nothing",
            size("-1"),
            "invalid value: integer `-1`",
        ),
        (
            "a size as a float",
            size("6.0"),
            "invalid type: floating point `6.0`",
        ),
        ("a size as a text", size(r#""6""#), "invalid type: string"),
        (
            "sizes that are too much together",
            {
                let large = output("other").replace(r#""size":6"#, &format!(r#""size":{largest}"#));
                says(r#""outputs":{"#, &format!(r#""outputs":{{{large}"#))
            },
            "a size or count of 9223372036854775813 cannot be",
        ),
        (
            "sizes whose sum begins again at nothing",
            {
                let large =
                    |name| output(name).replace(r#""size":6"#, &format!(r#""size":{largest}"#));
                let two = large("one") + &large("two");
                says(r#""outputs":{"#, &format!(r#""outputs":{{{two}"#))
            },
            "a size or count of 18446744073709551615 cannot be",
        ),
        (
            "rows beyond all",
            says(r#""size":6"#, r#""size":6,"rows":18446744073709551615"#),
            "a size or count of 18446744073709551615 cannot be",
        ),
        (
            "a count beyond all",
            says(r#""in":3"#, r#""in":18446744073709551615"#),
            "a size or count of",
        ),
        (
            "tokens beyond all",
            says(
                r#""prompt_tokens":1"#,
                r#""prompt_tokens":18446744073709551615"#,
            ),
            "a size or count of",
        ),
        (
            "unfinished rows beyond all",
            says(r#"{"key""#, r#"{"unfinished":18446744073709551615,"key""#),
            "a size or count of",
        ),
        (
            "a metric beyond floats",
            says("0.25", "1e999"),
            "number out of range",
        ),
        (
            "a metric in words",
            says("0.25", r#""infinity""#),
            "a number, or `NaN`, `inf` or `-inf`",
        ),
        ("a bare NaN", says("0.25", "NaN"), "expected value"),
        (
            "a time below nothing",
            says(r#""seconds":0.5"#, r#""seconds":-0.5"#),
            "it took less than no time",
        ),
        (
            "a price below nothing",
            says(r#""usd":0.0"#, r#""usd":"-inf""#),
            "cost less than nothing",
        ),
        // what is shown
        (
            "a maker who clears the screen",
            text(br"\u001b[2J"),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        (
            "a maker who turns the direction",
            text("\u{202e}".as_bytes()),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        (
            "a maker of many words",
            text(&[b'a'; 2000]),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        // small texts that grow
        (
            "lists, ten thousand deep",
            preimage(&("[".repeat(10_000) + &"]".repeat(10_000))),
            "recursion limit exceeded",
        ),
        (
            "objects, ten thousand deep",
            preimage(&(r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000))),
            "recursion limit exceeded",
        ),
        (
            "a schema, ten thousand deep",
            says(
                r#""media""#,
                &format!(
                    r#""schema":{}{},"media""#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
            "recursion limit exceeded",
        ),
        (
            "lists that never end",
            preimage(&"[".repeat(100_000)),
            "recursion limit exceeded",
        ),
        (
            "a million values",
            preimage(&format!("[{}0]", "0,".repeat(1_000_000))),
            "there are more values than a record can have",
        ),
    ];
    // Her seal or none, what is said must hold.
    check(
        &forger,
        rows.iter()
            .map(|(what, bytes, reason)| (*what, bytes.clone(), Trust::Signed, *reason))
            .collect(),
    );
    check(
        &forger,
        rows.into_iter()
            .map(|(what, bytes, reason)| (what, bytes, Trust::Any, reason))
            .collect(),
    );
}
