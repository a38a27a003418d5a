//! Which address a request is for, and the answers that need no governing.

use super::{Body, Ends, Health, Probes, facts, json, whole};
use crate::{exchange::Entrance, settings::Settings};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use identity::oauth::WELL_KNOWN;

/// Longest path a reply repeats.
const PATH_CHARS_MAX: usize = 120;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Mcp(Entrance),
    Probe(Probe),
    /// What a protected resource says of itself (RFC 9728).
    Metadata(Entrance),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Alive,
    Ready,
    Metrics,
    /// Public keys, for whoever asks.
    Keys,
}

/// Where servers find the keys with which they check assertions.
const KEYS: &str = "/.well-known/callgate-assertions/jwks.json";

/// Reads the path as it is: no decoding, no folding of dots or slashes, so nothing has two spellings.
pub(super) fn of(path: &str) -> Address {
    match path {
        "/mcp" => Address::Mcp(Entrance::Federated),
        "/healthz" => Address::Probe(Probe::Alive),
        "/readyz" => Address::Probe(Probe::Ready),
        "/metrics" => Address::Probe(Probe::Metrics),
        _ if path.starts_with(WELL_KNOWN) => match path.strip_prefix(WELL_KNOWN).map(of) {
            Some(Address::Mcp(entrance)) => Address::Metadata(entrance),
            _ if path == WELL_KNOWN => Address::Metadata(Entrance::Federated),
            _ => Address::Unknown,
        },
        KEYS => Address::Probe(Probe::Keys),
        _ => {
            let server = path.strip_prefix("/s/").and_then(|rest| rest.strip_suffix("/mcp"));
            match server.filter(|name| !name.is_empty() && !name.contains('/')) {
                Some(name) => Address::Mcp(Entrance::Server(name.to_owned())),
                None => Address::Unknown,
            }
        }
    }
}

pub(super) fn probe(
    probes: &Probes,
    probe: Probe,
    request: &Request<Incoming>,
    ends: &Ends,
    settings: &Settings,
) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = json(StatusCode::METHOD_NOT_ALLOWED, r#"{"error":"method not allowed"}"#);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    // a page in a browser must not read what monitoring reads; a prober that uses the machine's own
    // address still learns whether it is up
    let foreign = facts::foreign_host(request.uri(), request.headers(), ends, settings).is_some()
        || facts::foreign_origin(request.headers(), settings).is_some();
    match probe {
        Probe::Alive => health(&(probes.alive)(), foreign),
        Probe::Ready => health(&(probes.ready)(), foreign),
        Probe::Metrics if foreign => forbidden(),
        Probe::Metrics if !may_read(request, ends, settings) => json(StatusCode::FORBIDDEN, FROM_ELSEWHERE),
        Probe::Keys => json(StatusCode::OK, (probes.keys)()),
        Probe::Metrics => {
            let mut response = Response::new(whole((probes.metrics)()));
            super::guard(response.headers_mut(), "text/plain; version=0.0.4; charset=utf-8");
            response
        }
    }
}

const FROM_ELSEWHERE: &str =
    r#"{"error":"forbidden","message":"metrics are read from this machine, or from `metrics-networks`"}"#;

/// Metrics name servers and say how often which of them is called.
fn may_read(request: &Request<Incoming>, ends: &Ends, settings: &Settings) -> bool {
    let from = ends.remote.ip().to_canonical();
    facts::is_here(request.headers(), ends)
        || !facts::is_proxied(request.headers())
            && settings.metrics_networks.iter().any(|net| net.contains(&from))
}

fn health(health: &Health, foreign: bool) -> Response<Body> {
    let (status, text) = match health {
        Health::Good => (StatusCode::OK, "ok\n".to_owned()),
        Health::Bad(_) if foreign => (StatusCode::SERVICE_UNAVAILABLE, "not ok\n".to_owned()),
        Health::Bad(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    super::guard(response.headers_mut(), "text/plain; charset=utf-8");
    response
}

fn forbidden() -> Response<Body> {
    json(
        StatusCode::FORBIDDEN,
        r#"{"error":"forbidden","message":"this `Host` or `Origin` is not one of this gateway's"}"#,
    )
}

/// A resource's metadata, for whoever asks and for pages of every origin: it is how a client finds out
/// where to sign in. The same for every well-formed name, so it does not say which servers there are.
pub(super) fn metadata(
    entrance: &Entrance,
    request: &Request<Incoming>,
    ends: &Ends,
    settings: &Settings,
) -> Response<Body> {
    if facts::foreign_host(request.uri(), request.headers(), ends, settings).is_some() {
        return forbidden();
    }
    let named = !matches!(entrance, Entrance::Server(_)) || entrance.server().is_some();
    let Some(oauth) = settings.oauth.as_ref().filter(|_| named) else {
        return unknown(request, ends, settings);
    };
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => json(StatusCode::OK, entrance.resource().metadata(oauth).to_string()),
        Method::OPTIONS => {
            let mut response = Response::new(whole(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => json(StatusCode::METHOD_NOT_ALLOWED, r#"{"error":"method not allowed"}"#),
    };
    let headers = response.headers_mut();
    let mut say = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    say(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    say(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    // the header that clients of MCP send along
    say(header::ACCESS_CONTROL_ALLOW_HEADERS, "mcp-protocol-version");
    say(header::ALLOW, "GET, HEAD, OPTIONS");
    response
}

/// Whether the request is for a host that is not ours.
pub(super) fn foreign(request: &Request<Incoming>, ends: &Ends, settings: &Settings) -> bool {
    facts::foreign_host(request.uri(), request.headers(), ends, settings).is_some()
}

/// There is nothing here; says where MCP is.
pub(super) fn unknown(request: &Request<Incoming>, ends: &Ends, settings: &Settings) -> Response<Body> {
    if foreign(request, ends, settings) {
        return forbidden();
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if ends.tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}", host.map_or_else(|| ends.local.to_string(), str::to_owned));
    let path = request.uri().path();
    let shown: String = path.chars().take(PATH_CHARS_MAX).collect();
    let hint = meant(path).map_or_else(
        || format!("MCP is spoken at `{base}/mcp` (every server) and `{base}/s/NAME/mcp` (one server)"),
        |meant| format!("you may want `{base}{meant}`"),
    );
    let said = serde_json::json!({
        "error": "not found",
        "message": format!("there is nothing at `{shown}`: {hint}"),
        "mcp": format!("{base}{}", meant(path).unwrap_or_else(|| "/mcp".to_owned())),
    });
    json(StatusCode::NOT_FOUND, said.to_string())
}

/// The address of ours that is nearest to a near miss.
fn meant(path: &str) -> Option<String> {
    let bare = path.trim_end_matches('/');
    if path.len() > PATH_CHARS_MAX {
        return None;
    }
    for candidate in [bare.to_owned(), bare.to_ascii_lowercase(), format!("{bare}/mcp"), format!("/s{bare}")]
    {
        if matches!(of(&candidate), Address::Mcp(_)) {
            return Some(candidate);
        }
    }
    let old = bare.strip_suffix("/sse").or_else(|| bare.strip_suffix("/messages"))?;
    let candidate = format!("{old}/mcp");
    matches!(of(&candidate), Address::Mcp(_)).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(of("/mcp"), Address::Mcp(Entrance::Federated));
        assert_eq!(of("/s/crm/mcp"), Address::Mcp(Entrance::Server("crm".into())));
        assert_eq!(
            of("/s/%63rm/mcp"),
            Address::Mcp(Entrance::Server("%63rm".into())),
            "a name no server has"
        );
        for other in
            ["/", "", "/mcp/", "//mcp", "/MCP", "/s//mcp", "/s/a/b/mcp", "/s/crm/mcp/", "/s/crm", "/./mcp"]
        {
            assert_eq!(of(other), Address::Unknown, "{other}");
        }
    }

    #[test]
    fn a_near_miss_is_told_the_right_address() {
        for (path, right) in [
            ("/", Some("/mcp")),
            ("/mcp/", Some("/mcp")),
            ("/MCP", Some("/mcp")),
            ("/sse", Some("/mcp")),
            ("/s/crm", Some("/s/crm/mcp")),
            ("/s/crm/sse", Some("/s/crm/mcp")),
            ("/crm/mcp", Some("/s/crm/mcp")),
            ("/favicon.ico", None),
        ] {
            assert_eq!(meant(path).as_deref(), right, "{path}");
        }
    }
}
