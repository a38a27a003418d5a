//! The arguments of a call as Cedar values: exactly, or not at all.
//!
//! Numbers are read from their digits, never through a double, so a rule compares what the server will read. Only
//! what some rule names is translated; the rest of the arguments is skipped.

use crate::types::Type;
use cedar_policy::RestrictedExpression;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// Which arguments the rules of a slice name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// All of it, with everything inside.
    All,
    /// These members only.
    Some(BTreeMap<String, Named>),
}

impl Named {
    pub(crate) fn none() -> Self {
        Self::Some(BTreeMap::new())
    }
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::Some(members) if members.is_empty())
    }
    pub(crate) fn add(&mut self, path: &[String]) {
        match (path.split_first(), &mut *self) {
            (_, Self::All) => {}
            (None, Self::Some(_)) => *self = Self::All,
            (Some((first, rest)), Self::Some(members)) => {
                members.entry(first.clone()).or_insert_with(Self::none).add(rest);
            }
        }
    }
    fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Some(members) => members.get(name),
        }
    }
}

/// An argument that a rule names and Cedar cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) path: String,
    pub(crate) why: String,
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The named part of the arguments. An optional argument that was not given stays absent.
///
/// Errors: the first argument that is named and does not fit its type exactly.
pub(crate) fn arguments(of: &Type, named: &Named, json: &[u8]) -> Result<RestrictedExpression, Unfit> {
    if named.is_none() || json.trim_ascii().is_empty() {
        return record([]);
    }
    let text = std::str::from_utf8(json).map_err(|_| unfit(&[], "it is not UTF-8"))?;
    value(of, named, text, &mut Vec::new())
}

fn value(
    of: &Type,
    named: &Named,
    text: &str,
    path: &mut Vec<String>,
) -> Result<RestrictedExpression, Unfit> {
    let text = text.trim_ascii();
    match of {
        Type::Text => match serde_json::from_str::<String>(text) {
            Ok(text) => Ok(RestrictedExpression::new_string(text)),
            Err(_) => Err(unfit(path, "it is not a string")),
        },
        Type::Bool => match text {
            "true" => Ok(RestrictedExpression::new_bool(true)),
            "false" => Ok(RestrictedExpression::new_bool(false)),
            _ => Err(unfit(path, "it is not a boolean")),
        },
        Type::Long => match exact(text, 0) {
            Some(long) => Ok(RestrictedExpression::new_long(long)),
            None => Err(unfit(path, "it is not an integer of 64 bits")),
        },
        Type::Decimal => match exact(text, 4) {
            Some(scaled) => Ok(RestrictedExpression::new_decimal(decimal(scaled))),
            None => Err(unfit(path, "it is not a number of at most four decimals and 15 digits before them")),
        },
        Type::Set(element) => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|_| unfit(path, "it is not a list"))?;
            let elements: Result<Vec<_>, _> =
                elements.iter().map(|raw| value(element, &Named::All, raw.get(), path)).collect();
            Ok(RestrictedExpression::new_set(elements?))
        }
        // nothing to read from it, whatever it is: the parameters of a method without typed arguments
        Type::Record(fields) if fields.is_empty() => record([]),
        Type::Record(fields) => {
            let members: Members<'_> = members(text).ok_or_else(|| unfit(path, "it is not an object"))?;
            let mut known = Vec::new();
            for (name, field) in fields {
                let (Some(raw), Some(named)) = (members.get(name.as_str()), named.member(name)) else {
                    continue;
                };
                if let Type::Absent(_) = field.of {
                    continue; // not declared, so no rule reads it
                }
                path.push(name.clone());
                known.push((name.clone(), value(&field.of, named, raw.get(), path)?));
                path.pop();
            }
            record(known)
        }
        Type::Absent(why) => Err(unfit(path, why)),
    }
}

fn members(text: &str) -> Option<Members<'_>> {
    #[derive(serde::Deserialize)]
    struct Object<'a>(#[serde(borrow)] BTreeMap<Key<'a>, &'a RawValue>);
    #[derive(serde::Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(transparent)]
    struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
    let Object(members) = serde_json::from_str(text).ok()?;
    Some(members.into_iter().map(|(Key(name), raw)| (name, raw)).collect())
}

fn record(
    fields: impl IntoIterator<Item = (String, RestrictedExpression)>,
) -> Result<RestrictedExpression, Unfit> {
    RestrictedExpression::new_record(fields).map_err(|_| unfit(&[], "a member occurs twice"))
}

fn unfit(path: &[String], why: &str) -> Unfit {
    Unfit { path: path.join("."), why: why.to_owned() }
}

/// The JSON number times ten to the `scale`, if that is an integer of 64 bits. Exact: `None` rather than rounded.
pub(crate) fn exact(number: &str, scale: i32) -> Option<i64> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()),
        None => (digits, Some(0)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let significant: String = [whole, fraction].concat();
    let trimmed = significant.trim_end_matches('0');
    if trimmed.is_empty() {
        return Some(0);
    }
    let dropped = i32::try_from(significant.len() - trimmed.len()).ok()?;
    let point = i32::try_from(fraction.len()).ok()?;
    let shift = exponent?.checked_sub(point)?.checked_add(dropped)?.checked_add(scale)?;
    let power = u32::try_from(shift).ok().filter(|shift| *shift <= 19)?;
    let trimmed = trimmed.trim_start_matches('0');
    if trimmed.len() > 19 {
        return None;
    }
    let magnitude = trimmed.parse::<i128>().ok()?.checked_mul(10i128.checked_pow(power)?)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Ten-thousandths as Cedar writes a decimal.
fn decimal(scaled: i64) -> String {
    let sign = if scaled < 0 { "-" } else { "" };
    let magnitude = scaled.unsigned_abs();
    format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn tool() -> Type {
        Type::of_input_schema(&json!({"type": "object", "required": ["amount"], "properties": {
            "amount": {"type": "number"}, "count": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
            "to": {"type": "object", "properties": {"name": {"type": "string"}, "note": {"type": ["string", "null"]}}}
        }}))
    }
    fn fits(json: &str, path: &[&str]) -> Result<(), Unfit> {
        let mut named = Named::none();
        named.add(&path.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        arguments(&tool(), &named, json.as_bytes()).map(|_| ())
    }

    #[test]
    fn a_named_value_that_cedar_cannot_hold_exactly_is_unfit() {
        for (json, path) in [
            (r#"{"amount":0.12345}"#, "amount"),
            (r#"{"amount":1.00000000000000000001}"#, "amount"),
            (r#"{"amount":922337203685477.5808}"#, "amount"),
            (r#"{"amount":1e999999999999}"#, "amount"),
            (r#"{"amount":"5"}"#, "amount"),
            (r#"{"count":9223372036854775808}"#, "count"),
            (r#"{"count":1.5}"#, "count"),
            (r#"{"count":null}"#, "count"),
            (r#"{"tags":["a",7]}"#, "tags"),
            (r#"{"tags":"a"}"#, "tags"),
            (r#"{"to":{"name":5}}"#, "to"),
            (r#"[]"#, "amount"),
        ] {
            assert!(fits(json, &[path]).is_err(), "{json}");
        }
        assert!(arguments(&Type::empty(), &Named::All, br#""file:///a""#).is_ok());
        assert_eq!(fits(r#"{"to":{"name":5}}"#, &["to", "name"]).unwrap_err().path, "to.name");
    }

    #[test]
    fn what_no_rule_names_may_be_anything() {
        assert_eq!(fits(r#"{"amount":0.123456789,"count":1}"#, &["count"]), Ok(()));
        assert_eq!(fits(r#"{"to":{"note":null,"name":"a"}}"#, &["to", "name"]), Ok(()));
        assert_eq!(
            fits(r#"{"to":{"note":null,"name":"a"}}"#, &["to"]),
            Ok(()),
            "null has no type, so nobody reads it"
        );
    }

    #[test]
    fn numbers_are_read_by_their_digits() {
        for (text, scale, expected) in [
            ("0", 0, Some(0)),
            ("-0.0", 4, Some(0)),
            ("1e2", 0, Some(100)),
            ("5.0", 0, Some(5)),
            ("120E-1", 0, Some(12)),
            ("9007199254740993.0", 0, Some(9_007_199_254_740_993)),
            ("9223372036854775807", 0, Some(i64::MAX)),
            ("-9223372036854775808", 0, Some(i64::MIN)),
            ("9223372036854775808", 0, None),
            ("0.1", 4, Some(1000)),
            ("0.1000000", 4, Some(1000)),
            ("0.00001", 4, None),
            ("1e15", 4, None),
            ("0e99999999999", 0, Some(0)),
            ("1e-99999999999", 0, None),
            ("", 0, None),
            ("-", 0, None),
            ("1e", 0, None),
            ("+1", 0, None),
        ] {
            assert_eq!(exact(text, scale), expected, "{text}");
        }
        assert_eq!(decimal(-1), "-0.0001");
        assert_eq!(decimal(i64::MIN), "-922337203685477.5808");
    }

    proptest! {
        #[test]
        fn a_number_is_exact_or_refused(whole in any::<i32>(), fraction in 0u32..100_000) {
            let text = format!("{whole}.{fraction:05}");
            let scaled = exact(&text, 4);
            prop_assert_eq!(scaled.is_some(), fraction % 10 == 0);
            if let Some(scaled) = scaled {
                let back: f64 = decimal(scaled).parse().unwrap();
                prop_assert!((back - text.parse::<f64>().unwrap()).abs() < 1e-6);
            }
        }
    }
}
