//! What the headers say, for the path to judge.

use super::Ends;
use crate::{
    exchange::{Facts, Presented},
    settings::Settings,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Uri, header, request::Parts};
use std::net::IpAddr;

/// Query parameters by which people send credentials, compared without case.
const TOKEN_PARAMETERS: &[&str] = &[
    "access_token",
    "access-token",
    "accesstoken",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "authorization",
    "auth_token",
    "bearer",
    "bearer_token",
    "id_token",
    "jwt",
    "key",
    "password",
    "secret",
    "token",
    "x-api-key",
];

/// Headers that only a proxy sets, beside all that begin as [`FORWARDED_AS`]: whoever sent them did not connect to us,
/// so "the peer is on this machine" says nothing about them.
static PROXY_HEADERS: [HeaderName; 15] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("fly-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-azure-clientip"),
    HeaderName::from_static("x-azure-socketip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("x-original-for"),
    HeaderName::from_static("x-original-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];
const FORWARDED_AS: &str = "x-forwarded-";

// names are read once and not with every request
static REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");
/// After which event a stream goes on.
pub(super) static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Names that browsers take for this machine without asking anybody (RFC 6761): not all that are reached here
/// ([`egress::means_this_machine`]), but those under which a page may be ours. The second is ours alone: cookies know
/// no ports, so under `localhost` every other program that serves pages here would be sent those of the console.
const LOOPBACK_NAMES: [&str; 2] = ["localhost", "callgate.localhost"];

/// Somebody passed it on, as their headers say.
pub(super) fn is_proxied(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(FORWARDED_AS) || PROXY_HEADERS.contains(name))
}

/// It comes from this machine, and nobody passed it on.
pub(super) fn is_here(headers: &HeaderMap, ends: &Ends) -> bool {
    ends.remote.ip().to_canonical().is_loopback() && !is_proxied(headers)
}

/// Everything the path wants to know from the request's head.
pub(super) fn of(parts: &Parts, ends: &Ends, settings: &Settings) -> Facts {
    let headers = &parts.headers;
    let params = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("mcp-param-"))
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    Facts {
        foreign_host: foreign_host(&parts.uri, headers, ends, settings),
        foreign_origin: foreign_origin(headers, settings),
        revision: all(headers, &REVISION),
        session: all(headers, &SESSION),
        method: all(headers, &METHOD),
        name: all(headers, &NAME),
        params,
        batch: None,
        peer: Some(ends.remote.ip()),
        loopback_peer: is_here(headers, ends),
        acquaintance: ends.acquaintance.clone(),
        certificate: ends.certificate.clone(),
        bare: ends.tls.clone().filter(|_| ends.certificate.is_none()),
    }
}

/// The credential. One in the URL outweighs one in a header: it is in somebody's log already.
pub(super) fn presented(parts: &Parts) -> Presented {
    let in_query = parts.uri.query().is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| TOKEN_PARAMETERS.iter().any(|token| name.eq_ignore_ascii_case(token)))
    });
    let in_authority = parts.uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if in_query || in_authority {
        return Presented::InUrl;
    }
    let values: Vec<_> = parts
        .headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .map(|value| Bytes::copy_from_slice(value.as_bytes()))
        .collect();
    if values.is_empty() { Presented::Nothing } else { Presented::Authorization(values) }
}

/// A header's value. Several are joined, so that no two readers can pick different ones: the joined
/// value is no valid one of any header of MCP.
pub(super) fn all(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let mut text = String::from_utf8_lossy(values.next()?.as_bytes()).into_owned();
    for value in values {
        text.push_str(", ");
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    Some(text)
}

/// The `Host` (or the authority of an absolute request target) if it is not ours; an empty one if
/// there is none. A page that rebinds its own name to our address is told apart by exactly this.
pub(super) fn foreign_host(
    uri: &Uri,
    headers: &HeaderMap,
    ends: &Ends,
    settings: &Settings,
) -> Option<String> {
    let Some(hosts) = all(headers, &header::HOST) else {
        return Some(uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default());
    };
    if !our_host(&hosts, ends, settings) {
        return Some(hosts);
    }
    let target = uri.authority()?.as_str();
    (!our_host(target, ends, settings)).then(|| target.to_owned())
}

fn our_host(host: &str, ends: &Ends, settings: &Settings) -> bool {
    let Some((name, port)) = split_host(host) else { return false };
    let allowed =
        |spelled: &str| settings.allowed_hosts.iter().any(|ours| ours.eq_ignore_ascii_case(spelled));
    if allowed(host) || allowed(name) {
        return true;
    }
    let local = ends.local;
    if port.unwrap_or(if ends.tls.is_some() { 443 } else { 80 }) != local.port() {
        return false;
    }
    match name.parse::<IpAddr>() {
        // an address cannot be rebound to another one
        Ok(ip) => ip.is_loopback() || ip.to_canonical() == local.ip().to_canonical(),
        Err(_) => LOOPBACK_NAMES.iter().any(|ours| name.eq_ignore_ascii_case(ours)),
    }
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`, taken apart. `None` for anything else.
fn split_host(host: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    if let Some(rest) = host.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(digits) => Some((name, Some(port(digits)?))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match host.split_once(':') {
        Some((name, digits)) => Some((name, Some(port(digits)?))),
        None => Some((host, None)),
    }
}

/// The `Origin` if it is neither allowed nor a page of this machine. None is fine: no browser sent it.
pub(super) fn foreign_origin(headers: &HeaderMap, settings: &Settings) -> Option<String> {
    let origin = all(headers, &header::ORIGIN)?;
    let allowed = settings.allowed_origins.iter().any(|ours| ours.eq_ignore_ascii_case(&origin));
    (!allowed && !local_page(&origin)).then_some(origin)
}

fn local_page(origin: &str) -> bool {
    let Ok(url) = url::Url::parse(origin) else { return false };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    // an origin has no path, no credentials and no second spelling
    local && matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};
    use std::collections::BTreeSet;

    fn settings() -> Settings {
        let mut settings = crate::listen::settings();
        settings.allowed_hosts = BTreeSet::from(["gate.example".into(), "Proxy.example:8443".into()]);
        settings.allowed_origins = BTreeSet::from(["https://app.example".into()]);
        settings
    }
    fn ends(remote: &str) -> Ends {
        let (remote, local) = (remote.parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        Ends { remote, local, tls: None, certificate: None, acquaintance: Default::default() }
    }
    fn parts(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::get(uri).body(()).unwrap();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        request.into_parts().0
    }
    fn facts(uri: &str, headers: &[(&'static str, &str)]) -> Facts {
        of(&parts(uri, headers), &ends("127.0.0.1:5000"), &settings())
    }

    #[test]
    fn our_own_names_are_ours_and_every_other_host_is_foreign() {
        for ours in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "127.9.9.9:8080",
            "gate.example",
            "gate.example:1",
            "proxy.example:8443",
        ] {
            assert_eq!(facts("/mcp", &[("host", ours)]).foreign_host, None, "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8080",
            "localhost",
            "localhost:8081",
            "127.0.0.1",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "localhost.:8080",
            "10.0.0.1:8080",
            "proxy.example",
            "localhost:8080:8080",
            "localhost:+8080",
            "[::1",
            "[::1]x:8080",
            "",
        ] {
            assert_eq!(
                facts("/mcp", &[("host", foreign)]).foreign_host.as_deref(),
                Some(foreign),
                "{foreign}"
            );
        }
        assert_eq!(facts("/mcp", &[]).foreign_host.as_deref(), Some(""), "no host at all");
    }

    #[test]
    fn two_hosts_or_a_host_beside_a_foreign_target_are_foreign() {
        let two = facts("/mcp", &[("host", "localhost:8080"), ("host", "localhost:8080")]);
        assert_eq!(two.foreign_host.as_deref(), Some("localhost:8080, localhost:8080"));
        let target = facts("http://evil.example/mcp", &[("host", "localhost:8080")]);
        assert_eq!(target.foreign_host.as_deref(), Some("evil.example"));
        assert_eq!(facts("http://localhost:8080/mcp", &[("host", "localhost:8080")]).foreign_host, None);
        assert!(facts("http://localhost:8080/mcp", &[]).foreign_host.is_some());
    }

    #[test]
    fn a_page_of_this_machine_or_of_the_list_may_talk_and_no_other() {
        for fine in
            ["http://localhost:6274", "http://127.0.0.1:3000", "https://[::1]:1", "https://app.example"]
        {
            assert_eq!(facts("/mcp", &[("origin", fine)]).foreign_origin, None, "{fine}");
        }
        for foreign in [
            "null",
            "",
            "https://evil.example",
            "http://app.example",
            "https://app.example.evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://evil.example#localhost",
            "http://localhost/x",
            "file://localhost",
            "http://0.0.0.0:8080",
        ] {
            assert_eq!(
                facts("/mcp", &[("origin", foreign)]).foreign_origin.as_deref(),
                Some(foreign),
                "{foreign}"
            );
        }
        assert_eq!(facts("/mcp", &[]).foreign_origin, None, "not a browser");
    }

    #[test]
    fn a_credential_in_the_url_is_seen_whatever_else_came() {
        for uri in
            ["/mcp?token=x", "/mcp?a=b&ACCESS_TOKEN=x", "/mcp?api%5Fkey=x", "http://u:p@localhost:8080/mcp"]
        {
            let presented = presented(&parts(uri, &[("authorization", "Bearer x")]));
            assert!(matches!(presented, Presented::InUrl), "{uri}");
        }
        assert!(matches!(presented(&parts("/mcp?tokens=1", &[])), Presented::Nothing));
        let two = presented(&parts("/mcp", &[("authorization", "Bearer a"), ("authorization", "Basic b")]));
        assert!(matches!(&two, Presented::Authorization(values) if values.len() == 2));
        assert!(!format!("{two:?}").contains("Bearer"));
    }

    #[test]
    fn a_header_sent_twice_is_never_read_as_one_of_the_two() {
        let facts = facts(
            "/mcp",
            &[("mcp-name", "a"), ("mcp-name", "b"), ("mcp-param-x", "1"), ("mcp-param-x", "2")],
        );
        assert_eq!(facts.name.as_deref(), Some("a, b"));
        assert_eq!(facts.params.len(), 2);
    }

    #[test]
    fn only_a_peer_that_came_without_a_proxy_is_on_this_machine() {
        let local = |remote: &str, headers: &[(&'static str, &str)]| {
            of(&parts("/mcp", headers), &ends(remote), &settings()).loopback_peer
        };
        assert!(local("127.0.0.1:1", &[]) && local("[::ffff:127.0.0.1]:1", &[]) && local("[::1]:1", &[]));
        assert!(!local("10.0.0.1:1", &[]));
        for name in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-forwarded-server",
            "x-real-ip",
            "x-client-ip",
            "cf-connecting-ip",
            "client-ip",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-original-for",
            "fly-client-ip",
            "true-client-ip",
            "x-envoy-external-address",
            "x-original-forwarded-for",
        ] {
            assert!(!local("127.0.0.1:1", &[(name, "127.0.0.1")]), "{name}");
        }
        assert!(local("127.0.0.1:1", &[("accept", "*/*"), ("x-request-id", "1")]));
    }
}
