//! What a server answers to one message, in its era. Pure: transports carry it.

use super::Service;
use super::args::{Args, Fault};
use serde_json::{Map, Value, json};
use wire::{Frame, Revision, rpc};

/// A protocol error.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Refused {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
    pub(crate) fn bytes(&self, id: Option<&[u8]>) -> bytes::Bytes {
        let data = self.data.as_ref().map(|data| data.to_string().into_bytes());
        rpc::error(id, self.code, &self.message, data.as_deref())
    }
}

/// Answers a request in the given revision. Handshakes are the transport's, as they make its session.
pub(crate) fn answer(service: &mut dyn Service, revision: Revision, frame: &Frame) -> Result<Value, Refused> {
    let params = params(frame)?;
    let method = frame.method().unwrap_or_default();
    let mut result = match method.as_ref() {
        "server/discover" if revision.is_modern() => discovery(service),
        "ping" if !revision.is_modern() => json!({}),
        "tools/list" => json!({ "tools": service.tools() }),
        "tools/call" => call(service, &params)?,
        "prompts/list" if !service.prompts().is_empty() => json!({ "prompts": service.prompts() }),
        "prompts/get" if !service.prompts().is_empty() => prompt(service, &params)?,
        "resources/list" if !service.resources().is_empty() => json!({ "resources": service.resources() }),
        "resources/templates/list" if !service.resources().is_empty() => json!({ "resourceTemplates": [] }),
        "resources/read" if !service.resources().is_empty() => read(service, revision, &params)?,
        other => return Err(Refused::new(rpc::METHOD_NOT_FOUND, format!("Method not found: {other}"))),
    };
    if let (true, Value::Object(members)) = (revision.is_modern(), &mut result) {
        members.insert("resultType".to_owned(), json!("complete"));
        let cacheable = method.ends_with("/list") || matches!(&*method, "server/discover" | "resources/read");
        if cacheable {
            members.insert("ttlMs".to_owned(), json!(60_000));
            members.insert("cacheScope".to_owned(), json!("private"));
        }
        members.insert("_meta".to_owned(), json!({ wire::era::META_SERVER_INFO: identity(service) }));
    }
    Ok(result)
}

/// The result of `initialize`.
pub(crate) fn handshake(service: &dyn Service, revision: Revision) -> Value {
    json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities(service),
        "serverInfo": identity(service),
        "instructions": service.instructions(),
    })
}

fn discovery(service: &dyn Service) -> Value {
    json!({
        "supportedVersions": [Revision::LATEST_MODERN.as_str()],
        "capabilities": capabilities(service),
        "instructions": service.instructions(),
    })
}

fn identity(service: &dyn Service) -> Value {
    json!({ "name": service.name(), "title": format!("Demo {}", service.name()), "version": "1.4.0" })
}

fn capabilities(service: &dyn Service) -> Value {
    let mut capabilities = Map::from_iter([("tools".to_owned(), json!({}))]);
    if !service.prompts().is_empty() {
        capabilities.insert("prompts".to_owned(), json!({}));
    }
    if !service.resources().is_empty() {
        capabilities.insert("resources".to_owned(), json!({}));
    }
    Value::Object(capabilities)
}

fn params(frame: &Frame) -> Result<Map<String, Value>, Refused> {
    let Some(raw) = frame.params_raw() else { return Ok(Map::new()) };
    serde_json::from_slice(raw)
        .map_err(|_| Refused::new(rpc::INVALID_PARAMS, "Invalid params: an object is expected"))
}

fn named<'a>(params: &'a Map<String, Value>, member: &str) -> Result<&'a str, Refused> {
    params.get(member).and_then(Value::as_str).ok_or_else(|| {
        Refused::new(rpc::INVALID_PARAMS, format!("Invalid params: `{member}` must be a string"))
    })
}

fn arguments(params: &Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    match params.get("arguments") {
        None => Ok(Map::new()),
        Some(Value::Object(arguments)) => Ok(arguments.clone()),
        Some(_) => Err(Refused::new(rpc::INVALID_PARAMS, "Invalid params: `arguments` must be an object")),
    }
}

fn call(service: &mut dyn Service, params: &Map<String, Value>) -> Result<Value, Refused> {
    let (name, arguments) = (named(params, "name")?, arguments(params)?);
    match service.call(name, &Args(&arguments)) {
        Ok(value) => Ok(json!({
            "content": [{ "type": "text", "text": value.to_string() }],
            "structuredContent": value,
            "isError": false,
        })),
        Err(Fault::UnknownTool) => Err(Refused::new(rpc::INVALID_PARAMS, format!("Unknown tool: {name}"))),
        Err(fault @ (Fault::Argument(_) | Fault::NotFound(..) | Fault::Impossible(_))) => Ok(json!({
            "content": [{ "type": "text", "text": fault.to_string() }],
            "isError": true,
        })),
    }
}

fn prompt(service: &dyn Service, params: &Map<String, Value>) -> Result<Value, Refused> {
    let (name, arguments) = (named(params, "name")?, arguments(params)?);
    let unknown = || Refused::new(rpc::INVALID_PARAMS, format!("Unknown prompt: {name}"));
    let given = service.prompt(name, &Args(&arguments)).ok_or_else(unknown)?;
    given.map_err(|fault| Refused::new(rpc::INVALID_PARAMS, format!("Invalid params: {fault}")))
}

fn read(service: &dyn Service, revision: Revision, params: &Map<String, Value>) -> Result<Value, Refused> {
    let uri = named(params, "uri")?;
    service.resource(uri).ok_or_else(|| {
        let code = if revision.is_modern() { rpc::INVALID_PARAMS } else { rpc::RESOURCE_NOT_FOUND };
        Refused { data: Some(json!({ "uri": uri })), ..Refused::new(code, "Resource not found") }
    })
}
