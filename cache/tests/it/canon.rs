//! Equal values have equal digests, others have others, on every machine.

use dag_cache::canon::{Value, digest};
use proptest::prelude::*;

#[test]
fn the_encoding_never_changes() {
    // These digests are in users' caches: a change here loses every one of them.
    let value = Value::map([
        ("bool", true.into()),
        ("digest", dag_cache::Digest::of(b"x").into()),
        ("float", 0.1.into()),
        ("int", (-7_i64).into()),
        ("list", Value::List(vec!["a".into(), Value::Null])),
    ]);
    insta::assert_snapshot!(digest("test", &Value::Null), @"370ae12cf7b5629bceb984fc96c88bcea0f077d95a642138859e53d0fa0e8be1");
    insta::assert_snapshot!(digest("test", &value), @"cbd9d47798a4cea0784fb4159e40335137e9321cb6668ee5a8f2f3790c738f07");
    insta::assert_snapshot!(digest("another", &value), @"358343140cb794f56e42173220685babd81f02e1136eea0d8fac58bc00e242b6");
}

#[test]
fn values_that_look_alike_are_told_apart() {
    let values: Vec<Value> = vec![
        Value::Null,
        false.into(),
        0_i64.into(),
        0.0.into(),
        "".into(),
        "0".into(),
        Value::List(vec![]),
        Value::List(vec![Value::Null]),
        Value::List(vec!["ab".into(), "c".into()]),
        Value::List(vec!["a".into(), "bc".into()]),
        Value::map([("a", "b".into())]),
        Value::map([("ab", "".into())]),
        u64::MAX.into(),
        u64::MAX.to_string().into(),
        (u64::MAX - 1).into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
    ];
    for (i, a) in values.iter().enumerate() {
        for (j, b) in values.iter().enumerate() {
            assert_eq!(a.encode() == b.encode(), i == j, "{a:?} {b:?}");
        }
    }
    assert_eq!(Value::from(0.0).encode(), Value::from(-0.0).encode());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        any::<[u8; 32]>().prop_map(|bytes| dag_cache::Digest::from_bytes(bytes).into()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map("(\\$digest|\\$float|\\$map|[a-c]{0,2})", inner, 0..5)
                .prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn equal_exactly_if_encoded_equal(a in values(), b in values()) {
        prop_assert_eq!(a == b, a.encode() == b.encode());
        prop_assert_eq!(a.encode(), a.clone().encode());
    }

    #[test]
    fn written_and_read_as_json_a_value_is_itself(value in values()) {
        let text = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back, value, "{}", text);
    }
}

#[test]
fn a_number_of_64_bits_survives_json() {
    let value = Value::from(u64::MAX);
    let back: Value = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
    assert_eq!(back, value);
}
