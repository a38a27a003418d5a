//! Where upstreams may be: the spelling of an address, and networks beyond the public Internet.

use super::problem::Crossing;
use egress::IpNet;
use toml::Spanned;
use url::Url;

/// The networks that are written, each a range that may be listed at all.
pub(super) fn networks(crossing: &mut Crossing<'_>, written: &[Spanned<String>]) -> Vec<IpNet> {
    written.iter().filter_map(|one| network(crossing, one)).collect()
}

fn network(crossing: &mut Crossing<'_>, written: &Spanned<String>) -> Option<IpNet> {
    let text = written.get_ref();
    let Ok(network) = text.parse::<IpNet>() else {
        let message = format!("`{text}` is not a network");
        let help = "write an address and a length: `10.0.0.0/8`, `fd12::/48`, `10.1.2.3/32`";
        crossing.problem(written.span(), message, Some(help));
        return None;
    };
    if let Some((message, help)) = unlisted(network) {
        crossing.problem(written.span(), format!("`{text}` {message}"), Some(help));
        return None;
    }
    Some(network.trunc())
}

/// Why a network cannot be listed. The client would refuse these addresses all the same; it is said here
/// so that nobody believes otherwise.
fn unlisted(network: IpNet) -> Option<(&'static str, &'static str)> {
    let first = network.network();
    if network.prefix_len() == 0 {
        Some(("is every address there is", "name the networks that servers are in"))
    } else if first.is_loopback() {
        Some(("is this machine", "take it out and write `localhost` or `127.0.0.1` as the host of `url`"))
    } else if first.is_unspecified() || first.is_multicast() {
        Some(("holds no server", "name the networks that servers are in"))
    } else if matches!(first, std::net::IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        Some(("is IPv4 in the clothes of IPv6", "write it as IPv4: `10.0.0.0/8`"))
    } else {
        None
    }
}

/// What the host of an address should be written as, where that differs: what looks like a name to one
/// parser must not be an address to another.
pub(super) fn other_spelling(text: &str, url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let lower = text.to_ascii_lowercase();
    let after = lower.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://"));
    match after.and_then(|rest| rest.strip_prefix(host)) {
        Some(rest) if rest.is_empty() || rest.starts_with([':', '/', '?', '#']) => None,
        Some(_) | None => Some(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_written_as_it_is_meant() {
        for (text, meant) in [
            ("http://2130706433/mcp", "127.0.0.1"),
            ("http://0x7f.1/mcp", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://127.1:80/", "127.0.0.1"),
            ("http://１２７.0.0.1/", "127.0.0.1"),
            ("http://127。0。0。1/", "127.0.0.1"),
            ("http://loc%61lhost/", "localhost"),
            ("http://lo\tcalhost/", "localhost"),
            ("http:\\\\localhost/", "localhost"),
            ("http:localhost/", "localhost"),
            ("http://[0:0::1]/", "[::1]"),
            ("https://b\u{fc}cher.example/", "xn--bcher-kva.example"),
        ] {
            assert_eq!(other_spelling(text, &Url::parse(text).unwrap()).as_deref(), Some(meant), "{text}");
        }
        for text in [
            "HTTP://LocalHost:80/mcp",
            "http://127.0.0.1",
            "http://[::1]:80/",
            "https://a.example?x",
            "http://a.",
        ] {
            assert_eq!(other_spelling(text, &Url::parse(text).unwrap()), None, "{text}");
        }
    }
}
