//! Keys that mean nothing, and words that cannot stand where they do. `serde` stops at the first one; a person wants to see
//! all of them, each with what was probably meant. What may be written is read from the file's own JSON Schema, so there is
//! no second list.

use serde_json::Value as Schema;
use std::{borrow::Cow, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What means nothing here, and what could be meant.
#[derive(Debug)]
pub(super) struct Strange {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Where values are that may be secrets.
    pub(super) hidden: Vec<Range<usize>>,
}

/// One of a few words that is read as text, so that words that are not there yet are refused by name.
const READ_AS_TEXT: &str = "#/$defs/Authority";

/// Takes every unknown key out of the file, puts a word that may be there in the place of each that may not, and returns
/// what was wrong. What is left is there to find more that is wrong, and never to be in force.
pub(super) fn take_strange(table: &mut DeTable<'_>, schema: &Schema) -> Vec<Strange> {
    let mut found = Vec::new();
    walk(table, schema, schema, &mut Vec::new(), &mut found);
    found
}

/// The words that may stand here, where nothing but a few words may.
fn words<'s>(root: &'s Schema, schema: &'s Schema) -> Vec<&'s str> {
    let object = |one: &&Schema| one.get("type").and_then(Schema::as_str) != Some("null");
    let alternatives = schema.get("anyOf").and_then(Schema::as_array);
    let named = alternatives.and_then(|any| any.iter().find(object)).unwrap_or(schema);
    if named.get("$ref").and_then(Schema::as_str) == Some(READ_AS_TEXT) {
        return Vec::new();
    }
    let schema = resolve(root, schema);
    let of = |one: &'s Schema| {
        let listed = one.get("enum").and_then(Schema::as_array).into_iter().flatten();
        listed.chain(one.get("const")).filter_map(Schema::as_str)
    };
    let several = schema.get("oneOf").and_then(Schema::as_array).into_iter().flatten();
    // each alternative is a word, or there is more to write here than words
    let all_words = several.clone().all(|one| of(one).next().is_some());
    let found = of(schema).chain(several.flat_map(of)).collect();
    if all_words { found } else { Vec::new() }
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
    found: &mut Vec<Strange>,
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
                let as_header = header(path, name);
                let near = nearest(name, known.keys().map(String::as_str));
                let inside =
                    if path.is_empty() { String::new() } else { format!(" in `{}`", path.join(".")) };
                let message = format!("there is no key `{name}`{inside}");
                let hidden = if as_header.is_some() { values(value) } else { Vec::new() };
                let help = as_header.or_else(|| Some(meant(near.as_deref(), known.keys())));
                found.push(Strange { at: key.span(), message, help, hidden });
                strange.push(key.clone());
            }
            (None, None) => {}
        }
    }
    for key in &strange {
        table.remove(key);
    }
}

/// What could be meant: the key that is nearest, or all that there are.
fn meant<'s>(near: Option<&str>, known: impl Iterator<Item = &'s String>) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<_> = known.map(|key| format!("`{key}`")).collect();
            format!("the keys here are {}", known.join(", "))
        }
    }
}

fn value_below(
    value: &mut Spanned<DeValue<'_>>,
    schema: &Schema,
    root: &Schema,
    path: &mut Vec<String>,
    found: &mut Vec<Strange>,
) {
    let at = value.span();
    if let (DeValue::Table(table), true) = (value.get_mut(), lists_tables(root, schema)) {
        let inside = path.join(".");
        found.push(Strange {
            at: at.clone(),
            message: format!("`{inside}` is a list, of which this would be one"),
            help: Some(format!("write `[[{inside}]]`, with two brackets")),
            hidden: Vec::new(),
        });
        // it goes on as what was meant
        let one = Spanned::new(at.clone(), DeValue::Table(std::mem::take(table)));
        *value.get_mut() = DeValue::Array(std::iter::once(one).collect());
    }
    match value.get_mut() {
        DeValue::Table(table) => walk(table, schema, root, path, found),
        DeValue::Array(items) => {
            let Some(below) = resolve(root, schema).get("items") else { return };
            for item in items.iter_mut() {
                value_below(item, below, root, path, found);
            }
        }
        DeValue::String(given) => word(given, at, &words(root, schema), path, found),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Whether what stands here is a list of tables.
fn lists_tables(root: &Schema, schema: &Schema) -> bool {
    let items = resolve(root, schema).get("items");
    items.is_some_and(|items| resolve(root, items).get("properties").is_some())
}

/// What to write for what clients of MCP write into a server's entry as its headers.
fn header(path: &[String], name: &str) -> Option<String> {
    let [first, server] = path else { return None };
    let names = ["headers", "header", "http-headers", "http_headers", "httpheaders", "authorization"];
    let is_one = first == "servers" && names.contains(&name.to_ascii_lowercase().as_str());
    is_one.then(|| {
        format!(
            "store the value with `callgate secret set NAME`, and say where it goes under `[[servers.{server}.credentials]]`: \
             `secret = \"NAME\"`, `header = \"Authorization\"`, `prefix = \"Bearer \"`"
        )
    })
}

/// Where every value in this is.
fn values(value: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().flat_map(|(_, value)| values(value)).collect(),
        DeValue::Array(items) => items.iter().flat_map(values).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => vec![value.span()],
    }
}

/// Notes a word that may not stand here. The one that was probably meant goes on in its place.
fn word(
    given: &mut Cow<'_, str>,
    at: Range<usize>,
    allowed: &[&str],
    path: &[String],
    found: &mut Vec<Strange>,
) {
    let Some(first) = allowed.first().filter(|_| !allowed.contains(&given.as_ref())) else { return };
    let near = nearest(given, allowed.iter().copied());
    let listed: Vec<String> = allowed.iter().map(|one| format!("`{one}`")).collect();
    let listed = listed.join(", ");
    let inside = path.join(".");
    found.push(Strange {
        at,
        message: format!("`{given}` cannot be `{inside}`"),
        help: Some(match &near {
            Some(near) => format!("did you mean `{near}`? It can be {listed}"),
            None => format!("it can be {listed}"),
        }),
        hidden: Vec::new(),
    });
    *given = Cow::Owned(near.unwrap_or_else(|| (*first).to_owned()));
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
