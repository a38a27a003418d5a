//! Defaults: a call that leaves the argument out means what the default says.

use super::Kind;
use super::fields::{strings, told};
use super::guards::{self, Turn, turn};
use super::scales::{is_more, is_wider};
use super::schema::Walk;
use super::values::{Reading, deed};
use serde_json::Value;

pub(super) fn default(walk: &mut Walk<'_, '_>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    let null = |value: Option<&Value>| value.is_none_or(Value::is_null);
    let mut because = format!("the default was {} and is {}", told(old), told(new));
    let (kind, fits, mut weight) = match (old, new) {
        (None, Some(_)) => (Kind::DefaultAdded, true, 0.05),
        (Some(_), None) => (Kind::DefaultRemoved, null(old), 0.03),
        (Some(_), Some(_)) | (None, None) => (Kind::DefaultChanged, null(old) && null(new), 0.12),
    };
    let fits = fits || !walk.takes();
    if walk.takes() {
        let stakes = walk.site.stakes;
        if let Some(why) = opened(&walk.name, old, new) {
            because.push_str(&format!(": {why}"));
            weight = stakes.lifted();
        } else if old != new && !null(old) && !null(new) {
            weight = stakes.loosened(weight);
        }
        if guards::is_deed(&walk.name) {
            weight = weight.max(other_deed(walk, old, new));
        }
    }
    walk.site.push(place, kind, fits, weight, because);
    strings(walk.site, place, old, new);
}

/// Of an argument that names what is done: something worse is done now.
fn other_deed(walk: &mut Walk<'_, '_>, old: Option<&Value>, new: Option<&Value>) -> f64 {
    let (Some(was), Some(is)) = (old.and_then(Value::as_str), new.and_then(Value::as_str)) else {
        return 0.0;
    };
    let Some(left) = walk.site.judgements.checked_sub(2) else { return 0.3 };
    walk.site.judgements = left;
    let worse = deed(is, Reading::Named) && !deed(was, Reading::Named);
    if worse { walk.site.stakes.lifted() } else { 0.0 }
}

/// Why a call that leaves the argument out does more than before, or is held back by less.
fn opened(name: &str, old: Option<&Value>, new: Option<&Value>) -> Option<&'static str> {
    let turn = turn(name);
    let on = |value: Option<&Value>| value.and_then(is_on);
    let guard = "what holds a call back is off unless it is asked for";
    match (turn, on(old), on(new)) {
        (Some(Turn::Guards), Some(true), Some(false) | None) if is_switch(new) => return Some(guard),
        (Some(Turn::Guards), None, Some(false)) if old.is_none() => return Some(guard),
        (Some(Turn::Opens), Some(false) | None, Some(true)) => {
            return Some("it does more unless it is told not to");
        }
        _ => {}
    }
    let (was, is) = (old?.as_str()?, new?.as_str()?);
    if is_more(was, is) {
        return Some("on the scale that both are on it is more");
    }
    is_wider(was, is).then_some("what was meant is but a part of it")
}

/// A value that can be one of a switch, or none.
fn is_switch(value: Option<&Value>) -> bool {
    value.is_none_or(|value| is_on(value).is_some() || value.is_null())
}

fn is_on(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" | "enabled" | "required" | "always" | "strict" => Some(true),
            "false" | "off" | "no" | "0" | "disabled" | "none" | "never" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
