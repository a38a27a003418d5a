//! Keys that mean nothing. `serde` stops at the first one; a person wants to see all of them, each with the key
//! that was probably meant. What may be written is read from the file's own JSON Schema, so there is no second list.

use serde_json::Value as Schema;
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A key that means nothing.
#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) at: Range<usize>,
    pub(super) key: String,
    /// What could be written in its place, the nearest first.
    pub(super) near: Option<String>,
    /// Where, such as `servers.crm`; empty at the top.
    pub(super) inside: String,
}

/// Takes every unknown key out of the file and returns them.
pub(super) fn take_unknown(table: &mut DeTable<'_>, schema: &Schema) -> Vec<Unknown> {
    let mut found = Vec::new();
    walk(table, schema, schema, &mut Vec::new(), &mut found);
    found
}

/// Follows references, and looks through `null` alternatives.
fn resolve<'s>(root: &'s Schema, schema: &'s Schema) -> &'s Schema {
    if let Some(path) = schema.get("$ref").and_then(Schema::as_str) {
        let target = path.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(schema, |target| resolve(root, target));
    }
    let object = |one: &&Schema| one.get("type").and_then(Schema::as_str) != Some("null");
    match schema.get("anyOf").and_then(Schema::as_array).and_then(|any| any.iter().find(object)) {
        Some(one) => resolve(root, one),
        None => schema,
    }
}

fn walk(
    table: &mut DeTable<'_>,
    schema: &Schema,
    root: &Schema,
    path: &mut Vec<String>,
    found: &mut Vec<Unknown>,
) {
    let schema = resolve(root, schema);
    let known = schema.get("properties").and_then(Schema::as_object);
    let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
    let mut strange = Vec::new();
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().as_ref();
        let below = known.and_then(|known| known.get(name)).or(rest);
        match (below, known) {
            (Some(below), _) => {
                path.push(name.to_owned());
                value_below(value, below, root, path, found);
                path.pop();
            }
            (None, Some(known)) => {
                let near = nearest(name, known.keys().map(String::as_str));
                let inside = path.join(".");
                found.push(Unknown { at: key.span(), key: name.to_owned(), near, inside });
                strange.push(key.clone());
            }
            (None, None) => {}
        }
    }
    for key in &strange {
        table.remove(key);
    }
}

fn value_below(
    value: &mut Spanned<DeValue<'_>>,
    schema: &Schema,
    root: &Schema,
    path: &mut Vec<String>,
    found: &mut Vec<Unknown>,
) {
    match value.get_mut() {
        DeValue::Table(table) => walk(table, schema, root, path, found),
        DeValue::Array(items) => {
            let Some(below) = resolve(root, schema).get("items") else { return };
            for item in items.iter_mut() {
                value_below(item, below, root, path, found);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// The word that was probably meant, if one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    // `snake_case` and `camelCase` are the same word here
    let plain = |text: &str| text.replace('_', "-").to_ascii_lowercase();
    let word = plain(word);
    let distance = |known: &str| distance(&word, known);
    let best = known.map(|known| (distance(known), known)).min()?;
    (best.0 <= 2.max(word.len() / 3)).then(|| best.1.to_owned())
}

/// Levenshtein distance over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (diagonal + usize::from(x != y)).min(left + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, here);
            left = here;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_told_from_a_strange_one() {
        let known = ["listen", "allowed-hosts", "state-dir", "servers"];
        let near = |word| nearest(word, known.into_iter());
        assert_eq!(near("lisen").as_deref(), Some("listen"));
        assert_eq!(near("allowedHosts").as_deref(), Some("allowed-hosts"));
        assert_eq!(near("state_dir").as_deref(), Some("state-dir"));
        assert_eq!(near("telemetry"), None);
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("abc", "acb")), (3, 0, 2));
    }
}
