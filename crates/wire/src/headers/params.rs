//! Tool arguments that are repeated in headers: `x-mcp-header` in a tool's input
//! schema makes `Mcp-Param-…` a duty of the client.

use std::borrow::Cow;

use super::{Header, HeaderMismatch, decode, encode, single};
use crate::json::{self, Value};

const KEYWORD: &str = "x-mcp-header";
/// Far deeper than a scanned schema can be.
const DEPTH_MAX: usize = 128;
/// The largest integer a double holds exactly, 2^53 − 1.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// The type of an annotated argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// `string`
    String,
    /// `integer`, within ±(2^53 − 1)
    Integer,
    /// `boolean`
    Boolean,
    /// `number`. The specification excludes it, yet the published conformance suite
    /// demands it and the official SDKs accept it; so do we.
    Number,
}

/// One annotated argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Member names from the arguments object to the argument.
    pub path: Vec<String>,
    /// The header's name after `Mcp-Param-`, as the schema writes it.
    pub name: String,
    /// The argument's type.
    pub kind: Primitive,
}

impl Annotation {
    /// The full header name, as the schema writes it.
    pub fn header(&self) -> String {
        format!("Mcp-Param-{}", self.name)
    }

    fn same(&self, sent: &str, expected: &str) -> bool {
        match self.kind {
            Primitive::String | Primitive::Boolean => sent == expected,
            Primitive::Integer | Primitive::Number => {
                number(sent).is_some_and(|sent| number(expected) == Some(sent))
            }
        }
    }
}

/// Why a tool definition is invalid for HTTP: it must not be offered. Names are not
/// carried; they are the server's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// Not a string, or not a header token (RFC 9110 §5.6.2).
    #[error("an `x-mcp-header` is not a header name")]
    Name,
    /// The same header twice, in any case.
    #[error("an `x-mcp-header` is there twice")]
    Duplicate,
    /// On an argument that is not string, integer, boolean or number.
    #[error("an `x-mcp-header` stands on an argument that is not of a primitive type")]
    Type,
    /// Not reachable from the root through `properties` alone.
    #[error("an `x-mcp-header` stands where no argument is")]
    Unreachable,
    /// Nested deeper than a strict scan allows.
    #[error("the schema is nested too deep")]
    TooDeep,
}

/// The annotated arguments of one tool, read once from its pinned input schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    list: Vec<Annotation>,
}

impl Annotations {
    /// Reads all annotations of a raw input schema.
    ///
    /// # Errors
    /// Any annotation that breaks a rule: the whole tool is then invalid.
    pub fn read(input_schema_raw: &[u8]) -> Result<Self, AnnotationError> {
        let mut annotations = Self::default();
        // most schemas have none; the keyword can hide only behind an escape
        let maybe = |word: &[u8]| memchr::memmem::find(input_schema_raw, word).is_some();
        if !maybe(KEYWORD.as_bytes()) && !maybe(b"\\u") {
            return Ok(annotations);
        }
        annotations.schema(input_schema_raw, Some(&mut Vec::new()), 0)?;
        for (index, one) in annotations.list.iter().enumerate() {
            let mut others = annotations.list.iter().skip(index + 1);
            if others.any(|other| other.name.eq_ignore_ascii_case(&one.name)) {
                return Err(AnnotationError::Duplicate);
            }
        }
        Ok(annotations)
    }

    /// The annotations in the schema's order.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.list.iter()
    }

    /// Whether the tool has none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `path` is where an argument stands, while only `properties` led here.
    fn schema(
        &mut self,
        raw: &[u8],
        mut path: Option<&mut Vec<String>>,
        depth: usize,
    ) -> Result<(), AnnotationError> {
        if depth > DEPTH_MAX {
            return Err(AnnotationError::TooDeep);
        }
        for range in json::array_elements(raw) {
            self.schema(raw.get(range).unwrap_or_default(), None, depth + 1)?;
        }
        for (key, value) in json::object_members(raw) {
            let value = raw.get(value).unwrap_or_default();
            match key.as_ref() {
                KEYWORD => match path.as_deref() {
                    Some(path) if !path.is_empty() => self.annotation(raw, value, path)?,
                    Some(_) | None => return Err(AnnotationError::Unreachable),
                },
                "properties" => self.map(value, path.as_deref_mut(), depth)?,
                "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => {
                    self.map(value, None, depth)?
                }
                // instance data, not schemas
                "default" | "const" | "enum" | "examples" => {}
                _ => self.schema(value, None, depth + 1)?,
            }
        }
        Ok(())
    }

    /// A map from names to schemas.
    fn map(
        &mut self,
        raw: &[u8],
        mut path: Option<&mut Vec<String>>,
        depth: usize,
    ) -> Result<(), AnnotationError> {
        for (key, value) in json::object_members(raw) {
            let value = raw.get(value).unwrap_or_default();
            if let Some(path) = path.as_deref_mut() {
                path.push(key.into_owned());
            }
            self.schema(value, path.as_deref_mut(), depth + 1)?;
            if let Some(path) = path.as_deref_mut() {
                path.pop();
            }
        }
        Ok(())
    }

    fn annotation(&mut self, schema: &[u8], value: &[u8], path: &[String]) -> Result<(), AnnotationError> {
        let name = json::decode_string(value).ok_or(AnnotationError::Name)?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(AnnotationError::Name);
        }
        let kind = match json::string_member(schema, "type").as_deref() {
            Some("string") => Primitive::String,
            Some("integer") => Primitive::Integer,
            Some("boolean") => Primitive::Boolean,
            Some("number") => Primitive::Number,
            Some(_) | None => return Err(AnnotationError::Type),
        };
        self.list.push(Annotation { path: path.to_vec(), name: name.into_owned(), kind });
        Ok(())
    }
}

/// Why the `Mcp-Param-…` headers of a call are not in order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// The tool's schema is at fault.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// The request is at fault.
    #[error(transparent)]
    Mismatch(#[from] HeaderMismatch),
}

/// The `Mcp-Param-…` headers, name and encoded value, that raw arguments demand under
/// a raw input schema. No bytes at all mean no arguments.
///
/// # Errors
/// As [`Annotations::read`] and [`Annotations::headers`].
pub fn param_headers(
    input_schema_raw: &[u8],
    arguments_raw: &[u8],
) -> Result<Vec<(String, String)>, ParamError> {
    Ok(Annotations::read(input_schema_raw)?.headers(arguments_raw)?)
}

/// Checks the `Mcp-Param-…` headers of a request against its raw arguments under a raw
/// input schema. `header` looks a full header name up, ignoring case.
///
/// # Errors
/// As [`Annotations::read`] and [`Annotations::check`].
pub fn check_params<'h>(
    input_schema_raw: &[u8],
    arguments_raw: &[u8],
    header: impl Fn(&str) -> Header<'h>,
) -> Result<(), ParamError> {
    Ok(Annotations::read(input_schema_raw)?.check(arguments_raw, header)?)
}

impl Annotations {
    /// The headers that these raw arguments demand, name and encoded value. Arguments
    /// that are absent or null have none.
    ///
    /// # Errors
    /// [`HeaderMismatch::Malformed`] for an argument that is not of its declared type or
    /// an integer that is not safe: there is no honest header for it.
    pub fn headers(&self, arguments_raw: &[u8]) -> Result<Vec<(String, String)>, HeaderMismatch> {
        let mut headers = Vec::new();
        for annotation in self.iter() {
            if let Some(text) = value(annotation, arguments_raw)? {
                headers.push((annotation.header(), encode(&text).into_owned()));
            }
        }
        Ok(headers)
    }

    /// Checks the headers of a request against its raw arguments. `header` looks a full
    /// header name up, ignoring case. Headers that no annotation names are not looked at.
    ///
    /// # Errors
    /// What is missing, repeated, malformed, different or about nothing. Numbers are
    /// compared as numbers.
    pub fn check<'h>(
        &self,
        arguments_raw: &[u8],
        header: impl Fn(&str) -> Header<'h>,
    ) -> Result<(), HeaderMismatch> {
        for annotation in self.iter() {
            let name = Cow::Owned(annotation.header());
            let sent = match single(header(&name), &name)?.map(decode) {
                None => None,
                Some(None) => return Err(HeaderMismatch::Malformed(name)),
                Some(Some(text)) => Some(text),
            };
            match (sent, value(annotation, arguments_raw)?) {
                (None, None) => {}
                (Some(sent), Some(expected)) if annotation.same(&sent, &expected) => {}
                (Some(_), Some(_)) => return Err(HeaderMismatch::Differs(name)),
                (None, Some(_)) => return Err(HeaderMismatch::Missing(name)),
                (Some(_), None) => return Err(HeaderMismatch::Unexpected(name)),
            }
        }
        Ok(())
    }
}

/// The text of an annotated argument, not yet encoded for a header.
fn value<'a>(
    annotation: &Annotation,
    arguments_raw: &'a [u8],
) -> Result<Option<Cow<'a, str>>, HeaderMismatch> {
    let found = annotation.path.iter().try_fold(arguments_raw, |raw, key| json::member(raw, key));
    let Some(raw) = found else { return Ok(None) };
    let raw_text = std::str::from_utf8(raw).unwrap_or_default();
    let text = match (Value::of(raw), annotation.kind) {
        (Some(Value::Null), _) => return Ok(None),
        (Some(Value::String), Primitive::String) => json::decode_string(raw),
        (Some(Value::Bool), Primitive::Boolean) => Some(Cow::Borrowed(raw_text)),
        (Some(Value::Number), Primitive::Integer) => {
            let whole = number(raw_text).filter(|n| n.fract() == 0.0 && n.abs() <= SAFE_INTEGER_MAX);
            whole.map(|n| Cow::Owned(format!("{}", n + 0.0)))
        }
        (Some(Value::Number), Primitive::Number) => number(raw_text).map(|n| {
            let short = n.abs() < 1e21 && (n == 0.0 || n.abs() >= 1e-6);
            if short { Cow::Owned(format!("{}", n + 0.0)) } else { Cow::Borrowed(raw_text) }
        }),
        _ => None,
    };
    text.map(Some).ok_or_else(|| HeaderMismatch::Malformed(Cow::Owned(annotation.header())))
}

/// A JSON number as a double. Rust alone would also read `inf` and `+1`.
fn number(text: &str) -> Option<f64> {
    let json = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let begins = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    text.parse().ok().filter(|n: &f64| json && begins && n.is_finite())
}
