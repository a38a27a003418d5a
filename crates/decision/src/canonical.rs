//! One byte form per JSON value, so a digest means the same thing everywhere.
//!
//! Keys are sorted by their bytes, insignificant space is dropped, strings are
//! written with the fewest escapes, and numbers keep their very digits: RFC 8785
//! would fold numbers that differ only beyond a double's precision into one, and
//! then an approval for one amount would fit another. Not `serde_json::to_vec`
//! either: a dependency turns on `preserve_order`, and Cargo unifies features.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// So many decimal digits any double keeps (IEEE 754, binary64).
const DOUBLE_DIGITS: usize = 15;
/// Deepest nesting that has a canonical form.
pub const DEPTH_MAX: usize = 100;

/// The text is not JSON, nests too deeply, or repeats a key.
#[derive(Debug, thiserror::Error)]
#[error("no canonical form: {0}")]
pub struct CanonicalError(String);

/// The canonical form of one JSON text. Empty in, empty out (no arguments).
pub fn bytes(json: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(json.len());
    if !json.is_empty() {
        write(json, 0, &mut out)?;
    }
    Ok(out)
}

/// The same, with every number by its value and not as it is spelled: `1`, `1.0` and `1e0` are one. Whole numbers are compared
/// exactly, what has a fraction as a double.
pub fn by_value(json: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    let canonical = bytes(json)?;
    let mut out = Vec::with_capacity(canonical.len());
    let (mut rest, mut in_string) = (canonical.as_slice(), false);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' if in_string => {
                out.push(*byte);
                let Some((escaped, behind)) = rest.split_first() else { break };
                out.push(*escaped);
                rest = behind;
            }
            b'-' | b'0'..=b'9' if !in_string => {
                let more =
                    rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
                let (digits, behind) = rest.split_at(more.count());
                let number: String = [*byte].iter().chain(digits).map(|byte| char::from(*byte)).collect();
                out.extend_from_slice(value(&number).as_bytes());
                rest = behind;
            }
            _ => {
                in_string ^= *byte == b'"';
                out.push(*byte);
            }
        }
    }
    Ok(out)
}

/// A JSON number by its value: digits without a zero at either end, and an exponent.
fn value(number: &str) -> String {
    match scientific(number) {
        Some((negative, digits, exponent)) if exponent < 0 => {
            // behind the point servers have a double
            let double = number.parse::<f64>().ok().filter(|double| double.is_finite());
            let read = double.and_then(|double| scientific(&format!("{double:e}")));
            spelled(read.unwrap_or((negative, digits, exponent)))
        }
        Some(read) => spelled(read),
        None => number.to_owned(),
    }
}

fn spelled((negative, digits, exponent): (bool, String, i64)) -> String {
    match digits.as_str() {
        "" => "0".to_owned(),
        digits => format!("{}{digits}e{exponent}", if negative { "-" } else { "" }),
    }
}

/// Sign, digits and exponent of a number, exactly; `None` where the exponent is beyond all reason.
fn scientific(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let moved = i64::try_from(digits.len() - trimmed.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(moved)?;
    Some((negative, trimmed.trim_start_matches('0').to_owned(), exponent))
}

/// The numbers of a JSON text that are whole in more digits than a double keeps, in order: values read from two texts may be
/// equal where these are not.
pub fn long_numbers(json: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut at) = (Vec::new(), 0);
    let (mut in_string, mut escaped) = (false, false);
    while let Some(byte) = json.get(at) {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
        } else if *byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_digit() {
            let rest = json.get(at..).unwrap_or_default();
            let part = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
            let number = rest.split(|b| !part(b)).next().unwrap_or_default();
            // behind the point more digits are the same number for any purpose; with an exponent they may be before it
            let exponent = number.iter().any(|b| matches!(b, b'e' | b'E'));
            let digits = number.iter().take_while(|b| exponent || **b != b'.').filter(|b| b.is_ascii_digit());
            if digits.count() > DOUBLE_DIGITS {
                found.push(number);
            }
            at += number.len();
            continue;
        }
        at += 1;
    }
    found
}

fn write(json: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let fault = |e: serde_json::Error| CanonicalError(e.to_string());
    if depth > DEPTH_MAX {
        return Err(CanonicalError(format!("nested deeper than {DEPTH_MAX}")));
    }
    let json = trim(json);
    match json.first() {
        Some(b'{') => {
            let Members(mut members) = serde_json::from_slice(json).map_err(fault)?;
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            if members.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
                return Err(CanonicalError("a key occurs twice".to_owned()));
            }
            out.push(b'{');
            for (i, (key, value)) in members.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                string(key, out)?;
                out.push(b':');
                write(value.get().as_bytes(), depth + 1, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let Elements(elements) = serde_json::from_slice(json).map_err(fault)?;
            out.push(b'[');
            for (i, value) in elements.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                write(value.get().as_bytes(), depth + 1, out)?;
            }
            out.push(b']');
        }
        Some(b'"') => string(&serde_json::from_slice::<String>(json).map_err(fault)?, out)?,
        _ => {
            let _: &RawValue = serde_json::from_slice(json).map_err(fault)?;
            out.extend_from_slice(json);
        }
    }
    Ok(())
}

/// Without the space that JSON knows; a form feed is none (RFC 8259, section 2).
fn trim(mut json: &[u8]) -> &[u8] {
    const SPACE: &[u8] = b" \t\n\r";
    while let [first, rest @ ..] = json
        && SPACE.contains(first)
    {
        json = rest;
    }
    while let [rest @ .., last] = json
        && SPACE.contains(last)
    {
        json = rest;
    }
    json
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(|e| CanonicalError(e.to_string()))
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::{by_value, bytes};
    use proptest::prelude::*;

    fn canon(json: &str) -> String {
        String::from_utf8(bytes(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn key_order_space_and_escapes_do_not_change_the_bytes() {
        let a = canon(r#"{ "b" : null, "a": [1, {"y":2,"x":"q\"\u0041"}] }"#);
        let b = canon(r#"{"a":[1,{"x":"q\"A","y":2}],"b":null}"#);
        assert_eq!(a, b);
    }

    #[test]
    fn numbers_that_differ_only_beyond_a_double_stay_different() {
        assert_ne!(canon("9007199254740993"), canon("9007199254740992"));
        assert_ne!(canon("0.1"), canon("0.10"));
    }

    #[test]
    fn a_number_is_the_same_by_value_however_it_is_spelled() {
        let fold = |json: &str| String::from_utf8(by_value(json.as_bytes()).unwrap()).unwrap();
        for all in [
            &["1", "1.0", "1e0", "10e-1", "0.1E+1", "1.00000000000000000000001"][..],
            &["0", "-0", "0.0", "0e5", "-0.0e-7"],
            &["0.1", "0.10", "1e-1", "0.1000000000000000000001"],
            &["-7000", "-7e3", "-7000.000"],
            &["12345678901234567890", "12345678901234567890.0", "1234567890123456789e1"],
        ] {
            for one in all {
                assert_eq!(fold(one), fold(all[0]), "{one}");
                let inside = |number: &str| format!(r#"{{"a":["1.0\\\" 1e0",{number}],"b":"2.0"}}"#);
                assert_eq!(fold(&inside(one)), fold(&inside(all[0])), "{one}");
            }
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.2"), ("9007199254740993", "9007199254740992")] {
            assert_ne!(fold(a), fold(b));
        }
        for (a, b) in [(r#""1""#, r#""1.0""#), (r#"{"1":0}"#, r#"{"1.0":0}"#), ("1", r#""1""#)] {
            assert_ne!(fold(a), fold(b), "what is a text stays one");
        }
        assert_eq!(fold("1e99999999999999999999"), "1e99999999999999999999");
        assert!(by_value(b"[1,]").is_err());
    }

    #[test]
    fn what_has_no_one_meaning_has_no_canonical_form() {
        for bad in [r#"{"a":1,"\u0061":2}"#, "{", "[1,]", "01", "tru", r#""\ud800""#, "0\u{c}", "\u{c}{}"] {
            assert!(bytes(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(bytes(("[".repeat(500) + &"]".repeat(500)).as_bytes()).is_err());
        assert!(bytes(b"").unwrap().is_empty());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((".*", inner), 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn numbers_that_a_double_folds_are_told_apart() {
        let long =
            |text: &str| super::long_numbers(text.as_bytes()).iter().map(|n| n.len()).collect::<Vec<_>>();
        assert_eq!(long(r#"{"a":123456789012345678901,"b":[-1.2345678901234567e7,12,1e400]}"#), [21, 20]);
        assert_eq!(long("[0.10000000000000000001,1234567890123456.5]"), [18]);
        assert!(long(r#"{"a":"1234567890123456789","b\\":"\\\"1234567890123456789"}"#).is_empty());
        assert_eq!(long("1234567890123456"), [16]);
    }

    proptest! {
        #[test]
        fn canonical_form_is_the_same_value_and_a_fixed_point(value in json()) {
            let compact = serde_json::to_vec(&value).unwrap();
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            let canonical = bytes(&compact).unwrap();
            prop_assert_eq!(&canonical, &bytes(&pretty).unwrap());
            prop_assert_eq!(&canonical, &bytes(&canonical).unwrap());
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&canonical).unwrap(), value);
        }
    }
}
