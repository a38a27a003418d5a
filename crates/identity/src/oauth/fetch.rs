//! What is read from a provider: its metadata (RFC 8414, OpenID Connect Discovery) and its keys.

use super::settings::Source;
use decision::canonical;
use egress::{Bounds, Client, Full, Origin, Request, collect_limited};
use serde_json::{Map, Value};
use std::time::Duration;

/// Largest document.
const DOCUMENT_BYTES_MAX: usize = 512 << 10;
/// A provider that takes longer is not there.
const BOUNDS: Bounds = Bounds {
    first_byte_max: Duration::from_secs(5),
    idle_max: Duration::from_secs(5),
    total_max: Some(Duration::from_secs(8)),
};

/// Finds out where the keys are: as configured, else as the provider's own metadata says.
pub(super) async fn find(client: &Client, source: &Source) -> Result<String, String> {
    if let Some(jwks) = &source.jwks {
        return Ok(jwks.clone());
    }
    discovered(client, source, jwks_of).await
}

/// What the first of the issuer's documents that has it says.
async fn discovered(
    client: &Client,
    source: &Source,
    wanted: fn(&Map<String, Value>) -> Result<String, String>,
) -> Result<String, String> {
    let mut reasons = Vec::new();
    for url in well_known(&source.issuer)? {
        let read = async { read(&get(client, &url).await?, &source.issuer).and_then(|found| wanted(&found)) };
        match read.await {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(format!("`{url}`: {reason}")),
        }
    }
    Err(reasons.join("; "))
}

/// Finds out where tokens are asked about. A token and the gateway's own secret go there, so a document may name
/// a place at the issuer's own address only; any other is for the operator to write down.
pub(super) async fn introspection(client: &Client, source: &Source) -> Result<String, String> {
    let endpoint = discovered(client, source, endpoint_of).await?;
    let origin = |url: &str| Origin::of(&url.parse().ok()?).ok();
    match (origin(&endpoint), origin(&source.issuer)) {
        (Some(found), Some(own)) if found == own => Ok(endpoint),
        _ => Err(
            "its metadata names an `introspection_endpoint` at another address than the issuer's; if that \
                  is meant, write it as `introspection.endpoint`"
                .to_owned(),
        ),
    }
}

fn endpoint_of(document: &Map<String, Value>) -> Result<String, String> {
    let endpoint = document.get("introspection_endpoint").and_then(Value::as_str);
    endpoint.map(str::to_owned).ok_or_else(|| "the document has no `introspection_endpoint`".to_owned())
}

/// The places for an issuer's metadata, in the order of the MCP specification (*authorization server metadata
/// discovery*).
fn well_known(issuer: &str) -> Result<Vec<String>, String> {
    let url = url::Url::parse(issuer).map_err(|e| format!("`{issuer}`: {e}"))?;
    let (root, path) = (url.origin().ascii_serialization(), url.path().trim_end_matches('/'));
    let inserted = |name: &str| format!("{root}/.well-known/{name}{path}");
    let mut places = vec![inserted("oauth-authorization-server"), inserted("openid-configuration")];
    if !path.is_empty() {
        places.push(format!("{root}{path}/.well-known/openid-configuration"));
    }
    Ok(places)
}

/// A document of this issuer, and of no other.
fn read(text: &[u8], issuer: &str) -> Result<Map<String, Value>, String> {
    canonical::bytes(text).map_err(|e| e.to_string())?;
    let document: Map<String, Value> = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(format!("the document is of another issuer than `{issuer}`"));
    }
    Ok(document)
}

fn jwks_of(document: &Map<String, Value>) -> Result<String, String> {
    let jwks = document.get("jwks_uri").and_then(Value::as_str).ok_or("the document has no `jwks_uri`")?;
    safe(jwks).ok_or_else(|| "`jwks_uri` is neither https nor on this machine".to_owned())
}

/// An address that nobody on the way can change the answers of.
fn safe(url: &str) -> Option<String> {
    let origin = Origin::of(&url.parse().ok()?).ok()?;
    (origin.is_https() || origin.is_local()).then(|| url.to_owned())
}

/// One document. Redirects are not followed.
pub(super) async fn get(client: &Client, url: &str) -> Result<bytes::Bytes, String> {
    let request = Request::get(url).header("accept", "application/json").body(Full::default());
    let response =
        client.send(request.map_err(|e| e.to_string())?, BOUNDS).await.map_err(|e| e.to_string())?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(format!("the answer is {status}"));
    }
    collect_limited(response.into_body(), DOCUMENT_BYTES_MAX).await.map_err(|e| e.to_string())
}
