//! Views of lists and of the definitions in them.

use std::borrow::Cow;

use super::{ViewError, boolean, pick, text, typed};
use crate::json::{self, Value};

/// The result of one of the four lists. A list is filtered by slicing it: an item is
/// forwarded as the bytes it came in, or not at all.
#[derive(Clone, Debug)]
pub struct ListResult<'a> {
    /// The raw objects, in the server's order.
    pub items: Vec<&'a [u8]>,
    /// Where the next page begins.
    pub next_cursor: Option<Cow<'a, str>>,
}

impl<'a> ListResult<'a> {
    /// Reads a raw list result whose items stand under `key`: `tools`, `resources`,
    /// `resourceTemplates` or `prompts`.
    ///
    /// # Errors
    /// No such array, an item that is not an object, or a cursor that is not a string.
    pub fn read(result_raw: &'a [u8], key: &'static str) -> Result<Self, ViewError> {
        let [items, cursor] = pick(result_raw, [key, "nextCursor"]);
        let array = typed(items.ok_or(ViewError::Missing(key))?, Value::Array, key)?;
        let mut items = Vec::new();
        for range in json::array_elements(array) {
            items.push(typed(array.get(range).unwrap_or_default(), Value::Object, key)?);
        }
        // some servers say null for the last page, or an empty text
        let cursor = cursor.filter(|raw| Value::of(raw) != Some(Value::Null) && *raw != b"\"\"");
        Ok(Self { items, next_cursor: cursor.map(|raw| text(raw, "nextCursor")).transpose()? })
    }
}

/// A tool's hints about itself: claims, never facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations<'a> {
    /// `title`
    pub title: Option<Cow<'a, str>>,
    /// `readOnlyHint`
    pub read_only_hint: Option<bool>,
    /// `destructiveHint`
    pub destructive_hint: Option<bool>,
    /// `idempotentHint`
    pub idempotent_hint: Option<bool>,
    /// `openWorldHint`
    pub open_world_hint: Option<bool>,
}

/// One element of `tools/list`.
#[derive(Clone, Debug)]
pub struct ToolDefinition<'a> {
    /// `name`
    pub name: Cow<'a, str>,
    /// `title`
    pub title: Option<Cow<'a, str>>,
    /// `description`
    pub description: Option<Cow<'a, str>>,
    /// The raw `inputSchema` object.
    pub input_schema_raw: &'a [u8],
    /// The raw `outputSchema` object.
    pub output_schema_raw: Option<&'a [u8]>,
    /// `annotations`
    pub annotations: Annotations<'a>,
    /// The raw `annotations` object, unknown hints included.
    pub annotations_raw: Option<&'a [u8]>,
}

impl<'a> ToolDefinition<'a> {
    /// Reads a raw tool definition.
    ///
    /// # Errors
    /// No name or input schema, or a known member of the wrong type.
    pub fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let names = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];
        let [name, title, description, input, output, annotations] = pick(raw, names);
        let annotations_raw = annotations.map(|raw| typed(raw, Value::Object, "annotations")).transpose()?;
        Ok(Self {
            name: text(name.ok_or(ViewError::Missing("name"))?, "name")?,
            title: title.map(|raw| text(raw, "title")).transpose()?,
            description: description.map(|raw| text(raw, "description")).transpose()?,
            input_schema_raw: typed(
                input.ok_or(ViewError::Missing("inputSchema"))?,
                Value::Object,
                "inputSchema",
            )?,
            output_schema_raw: output.map(|raw| typed(raw, Value::Object, "outputSchema")).transpose()?,
            annotations: annotations_raw.map_or_else(|| Ok(Annotations::default()), Annotations::read)?,
            annotations_raw,
        })
    }
}

impl<'a> Annotations<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let names = ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
        let [title, read_only, destructive, idempotent, open_world] = pick(raw, names);
        let hint = |raw: Option<&[u8]>, name| raw.map(|raw| boolean(raw, name)).transpose();
        Ok(Self {
            title: title.map(|raw| text(raw, "annotations.title")).transpose()?,
            read_only_hint: hint(read_only, "annotations.readOnlyHint")?,
            destructive_hint: hint(destructive, "annotations.destructiveHint")?,
            idempotent_hint: hint(idempotent, "annotations.idempotentHint")?,
            open_world_hint: hint(open_world, "annotations.openWorldHint")?,
        })
    }
}

/// One element of `prompts/list`.
#[derive(Clone, Debug)]
pub struct PromptDefinition<'a> {
    /// `name`
    pub name: Cow<'a, str>,
    /// `description`
    pub description: Option<Cow<'a, str>>,
    /// The raw `arguments` array.
    pub arguments_raw: Option<&'a [u8]>,
}

impl<'a> PromptDefinition<'a> {
    /// Reads a raw prompt definition.
    ///
    /// # Errors
    /// No name, or a known member of the wrong type.
    pub fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let [name, description, arguments] = pick(raw, ["name", "description", "arguments"]);
        Ok(Self {
            name: text(name.ok_or(ViewError::Missing("name"))?, "name")?,
            description: description.map(|raw| text(raw, "description")).transpose()?,
            arguments_raw: arguments.map(|raw| typed(raw, Value::Array, "arguments")).transpose()?,
        })
    }
}

/// One element of `resources/list`.
#[derive(Clone, Debug)]
pub struct ResourceDefinition<'a> {
    /// `uri`
    pub uri: Cow<'a, str>,
    /// `name`
    pub name: Option<Cow<'a, str>>,
    /// `description`
    pub description: Option<Cow<'a, str>>,
    /// `mimeType`
    pub mime_type: Option<Cow<'a, str>>,
}

impl<'a> ResourceDefinition<'a> {
    /// Reads a raw resource definition.
    ///
    /// # Errors
    /// No URI, or a known member of the wrong type.
    pub fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let [uri, name, description, mime] = pick(raw, ["uri", "name", "description", "mimeType"]);
        Ok(Self {
            uri: text(uri.ok_or(ViewError::Missing("uri"))?, "uri")?,
            name: name.map(|raw| text(raw, "name")).transpose()?,
            description: description.map(|raw| text(raw, "description")).transpose()?,
            mime_type: mime.map(|raw| text(raw, "mimeType")).transpose()?,
        })
    }
}

/// One element of `resources/templates/list`.
#[derive(Clone, Debug)]
pub struct TemplateDefinition<'a> {
    /// `uriTemplate`, RFC 6570
    pub uri_template: Cow<'a, str>,
    /// `name`
    pub name: Option<Cow<'a, str>>,
    /// `description`
    pub description: Option<Cow<'a, str>>,
}

impl<'a> TemplateDefinition<'a> {
    /// Reads a raw template definition.
    ///
    /// # Errors
    /// No template, or a known member of the wrong type.
    pub fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let [template, name, description] = pick(raw, ["uriTemplate", "name", "description"]);
        Ok(Self {
            uri_template: text(template.ok_or(ViewError::Missing("uriTemplate"))?, "uriTemplate")?,
            name: name.map(|raw| text(raw, "name")).transpose()?,
            description: description.map(|raw| text(raw, "description")).transpose()?,
        })
    }
}
