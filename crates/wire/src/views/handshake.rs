//! Views of the handshake and of its successor.

use std::borrow::Cow;

use super::{ViewError, pick, text, typed};
use crate::era::{Implementation, META_SERVER_INFO};
use crate::json::{self, Value};
use crate::scan::Frame;

/// `params` of `initialize`.
#[derive(Clone, Debug)]
pub struct InitializeParams<'a> {
    /// The revision asked for, any string.
    pub protocol_version: Cow<'a, str>,
    /// The raw capabilities object.
    pub capabilities_raw: &'a [u8],
    /// The client as it calls itself. Required by the specification; its absence is tolerated.
    pub client_info: Option<Implementation<'a>>,
}

impl<'a> InitializeParams<'a> {
    /// Reads an `initialize` request.
    ///
    /// # Errors
    /// No version or capabilities, or a known member of the wrong type.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let names = ["protocolVersion", "capabilities", "clientInfo"];
        let [version, capabilities, info] = pick(frame.params_raw().unwrap_or_default(), names);
        let version = version.ok_or(ViewError::Missing("params.protocolVersion"))?;
        let capabilities = capabilities.ok_or(ViewError::Missing("params.capabilities"))?;
        Ok(Self {
            protocol_version: text(version, "params.protocolVersion")?,
            capabilities_raw: typed(capabilities, Value::Object, "params.capabilities")?,
            client_info: info.map(|raw| implementation(raw, "params.clientInfo")).transpose()?,
        })
    }
}

/// `result` of `initialize`.
#[derive(Clone, Debug)]
pub struct InitializeResult<'a> {
    /// The revision the server chose, any string.
    pub protocol_version: Cow<'a, str>,
    /// The raw capabilities object.
    pub capabilities_raw: &'a [u8],
    /// The server as it calls itself.
    pub server_info: Option<Implementation<'a>>,
    /// Text meant for the model: untrusted.
    pub instructions: Option<Cow<'a, str>>,
}

impl<'a> InitializeResult<'a> {
    /// Reads a raw `initialize` result.
    ///
    /// # Errors
    /// No version or capabilities, or a known member of the wrong type.
    pub fn read(result_raw: &'a [u8]) -> Result<Self, ViewError> {
        let names = ["protocolVersion", "capabilities", "serverInfo", "instructions"];
        let [version, capabilities, info, instructions] = pick(result_raw, names);
        let version = version.ok_or(ViewError::Missing("result.protocolVersion"))?;
        let capabilities = capabilities.ok_or(ViewError::Missing("result.capabilities"))?;
        Ok(Self {
            protocol_version: text(version, "result.protocolVersion")?,
            capabilities_raw: typed(capabilities, Value::Object, "result.capabilities")?,
            server_info: info.map(|raw| implementation(raw, "result.serverInfo")).transpose()?,
            instructions: instructions.map(|raw| text(raw, "result.instructions")).transpose()?,
        })
    }
}

/// `result` of `server/discover` (2026-07-28).
#[derive(Clone, Debug)]
pub struct DiscoverResult<'a> {
    /// The revisions the server speaks, any strings.
    pub supported_versions: Vec<Cow<'a, str>>,
    /// The raw capabilities object.
    pub capabilities_raw: &'a [u8],
    /// The server as it calls itself, from the result's `_meta`.
    pub server_info: Option<Implementation<'a>>,
    /// Text meant for the model: untrusted.
    pub instructions: Option<Cow<'a, str>>,
}

impl<'a> DiscoverResult<'a> {
    /// Reads a raw `server/discover` result.
    ///
    /// # Errors
    /// No versions or capabilities, or a known member of the wrong type.
    pub fn read(result_raw: &'a [u8]) -> Result<Self, ViewError> {
        let names = ["supportedVersions", "capabilities", "instructions", "_meta"];
        let [versions, capabilities, instructions, meta] = pick(result_raw, names);
        let versions = versions.ok_or(ViewError::Missing("result.supportedVersions"))?;
        let versions = typed(versions, Value::Array, "result.supportedVersions")?;
        let capabilities = capabilities.ok_or(ViewError::Missing("result.capabilities"))?;
        let info = meta.and_then(|meta| json::member(meta, META_SERVER_INFO));
        Ok(Self {
            supported_versions: json::array_elements(versions)
                .map(|range| text(versions.get(range).unwrap_or_default(), "result.supportedVersions"))
                .collect::<Result<_, _>>()?,
            capabilities_raw: typed(capabilities, Value::Object, "result.capabilities")?,
            server_info: info.map(|raw| implementation(raw, META_SERVER_INFO)).transpose()?,
            instructions: instructions.map(|raw| text(raw, "result.instructions")).transpose()?,
        })
    }
}

fn implementation<'a>(raw: &'a [u8], name: &'static str) -> Result<Implementation<'a>, ViewError> {
    Implementation::read(typed(raw, Value::Object, name)?).ok_or(ViewError::WrongType(name))
}
