//! Arguments of a call, read as a careful author would.

use serde_json::{Map, Value};

/// What is wrong with a call, for whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("`{0}` is missing or has the wrong type")]
    Argument(&'static str),
    #[error("there is no {0} `{1}`")]
    NotFound(&'static str, String),
    #[error("{0}")]
    Impossible(String),
    /// The tool itself is not there; a protocol error and not a result.
    #[error("unknown tool")]
    UnknownTool,
}

#[derive(Debug)]
pub(crate) struct Args<'a>(pub(crate) &'a Map<String, Value>);

impl Args<'_> {
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Fault> {
        self.0.get(name).and_then(Value::as_str).ok_or(Fault::Argument(name))
    }
    pub(crate) fn text_or<'a>(&'a self, name: &'static str, otherwise: &'a str) -> Result<&'a str, Fault> {
        if self.0.contains_key(name) { self.text(name) } else { Ok(otherwise) }
    }
    /// An amount of money in cents. Errors: not a positive number of at most two decimals, or over ten million.
    pub(crate) fn cents(&self, name: &'static str) -> Result<i64, Fault> {
        let number = self.0.get(name).and_then(Value::as_number).ok_or(Fault::Argument(name))?;
        let text = number.to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let part = part.trim_end_matches('0');
        let whole: i64 = whole.parse().map_err(|_| Fault::Argument(name))?;
        let part: i64 = match part.len() {
            0 => 0,
            1 => part.parse::<i64>().map_err(|_| Fault::Argument(name))? * 10,
            2 => part.parse().map_err(|_| Fault::Argument(name))?,
            _ => return Err(Fault::Argument(name)),
        };
        let cents = whole.checked_mul(100).and_then(|cents| cents.checked_add(part));
        cents.filter(|cents| (1..=1_000_000_000).contains(cents)).ok_or(Fault::Argument(name))
    }
}

/// Cents as they are written in results: `40.00`.
pub(crate) fn money(cents: i64) -> Value {
    serde_json::Number::from_f64(f64::from(i32::try_from(cents).unwrap_or(i32::MAX)) / 100.0)
        .map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cents(value: Value) -> Result<i64, Fault> {
        let map = Map::from_iter([("amount".to_owned(), value)]);
        Args(&map).cents("amount")
    }

    #[test]
    fn amounts_are_read_to_the_cent_and_nothing_is_rounded() {
        for (value, expected) in
            [(json!(40), 4_000), (json!(40.5), 4_050), (json!(0.01), 1), (json!(12.34), 1_234)]
        {
            assert_eq!(cents(value.clone()), Ok(expected), "{value}");
        }
        for value in
            [json!(0), json!(-1), json!(0.001), json!(1e300), json!("40"), json!(null), json!(99_999_999)]
        {
            assert_eq!(cents(value.clone()), Err(Fault::Argument("amount")), "{value}");
        }
    }

    #[test]
    fn an_optional_text_of_the_wrong_type_is_not_taken_for_a_missing_one() {
        let map = Map::from_iter([("status".to_owned(), json!(7))]);
        assert_eq!(Args(&map).text_or("status", "open"), Err(Fault::Argument("status")));
        assert_eq!(Args(&Map::new()).text_or("status", "open"), Ok("open"));
    }
}
