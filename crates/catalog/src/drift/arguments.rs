//! A part of a schema that was not there before: everything in it is new to whoever reads it.

use super::fields::{Site, at, strings, texts};
use super::text::Role;
use serde_json::Value;

/// Reads the texts and values of a new argument, or of another new part of a schema.
pub(super) fn arrived(site: &mut Site<'_>, place: &str, schema: &Value) {
    let Some(members) = schema.as_object() else { return };
    for (key, value) in members {
        let here = at(place, key);
        match key.as_str() {
            "description" => texts(site, &here, Role::Argument, None, Some(value)),
            "title" => texts(site, &here, Role::Label, None, Some(value)),
            "properties" | "$defs" | "definitions" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    arrived(site, &at(&here, name), schema);
                }
            }
            "items" | "additionalProperties" => arrived(site, &here, value),
            "anyOf" | "oneOf" | "allOf" => {
                for (i, schema) in value.as_array().into_iter().flatten().enumerate() {
                    arrived(site, &format!("{here}/{i}"), schema);
                }
            }
            "type" | "required" | "$ref" | "$schema" | "format" => {}
            _ => strings(site, &here, None, Some(value)),
        }
    }
}
