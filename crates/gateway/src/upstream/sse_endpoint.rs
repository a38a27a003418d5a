//! Where a server of HTTP+SSE wants messages to be posted, as its `endpoint` event says.
//!
//! Nothing else of the gateway is named here: the fuzzer includes this file as it is.

use url::{Url, form_urlencoded};

/// Longest address that is taken.
const BYTES_MAX: usize = 2_048;
/// How much of a foreign origin is repeated.
const ORIGIN_CHARS_MAX: usize = 200;

/// What is the gateway's own in an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a, F> {
    /// The parameters that are added to each message anew.
    pub(super) names: &'a [&'a str],
    /// A text without a credential that it quotes.
    pub(super) without: F,
}

/// The address of `said`, read from the address of the stream (RFC 3986 §5). It has to be of the same origin: the
/// credential goes there.
///
/// Errors: what the event does instead, without what the server said beyond its origin.
pub(super) fn read<F: Fn(&str) -> String>(
    stream: &Url,
    said: &[u8],
    own: &Own<'_, F>,
) -> Result<Url, String> {
    let nothing = || "holds no address".to_owned();
    let text = std::str::from_utf8(said).map_or("", str::trim_ascii);
    // `url` reads as browsers do, who know more ways to write a slash than RFC 3986 does
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if text.is_empty() || text.len() > BYTES_MAX || !plain {
        return Err(nothing());
    }
    let mut url = stream.join(text).map_err(|_| nothing())?;
    if url.origin() != stream.origin() {
        // before it is cut: a piece of a credential is not found
        let origin = (own.without)(&url.origin().ascii_serialization());
        let origin: String = origin.chars().take(ORIGIN_CHARS_MAX).collect();
        return Err(format!("names another origin, `{origin}`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user".to_owned());
    }
    url.set_fragment(None);
    drop_ours(&mut url, own.names);
    if (own.without)(url.as_str()) != url.as_str() {
        return Err("repeats the credential".to_owned());
    }
    Ok(url)
}

/// Some servers repeat the whole query they were asked with. Our part of it is added to each message anew.
fn drop_ours(url: &mut Url, names: &[&str]) {
    let Some(query) = url.query().filter(|_| !names.is_empty()) else { return };
    let is_ours = |part: &&str| {
        let name = form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name);
        name.is_some_and(|name| names.contains(&name.as_ref()))
    };
    let kept: Vec<&str> = query.split('&').filter(|part| !is_ours(part)).collect();
    let kept = (!kept.is_empty()).then(|| kept.join("&"));
    url.set_query(kept.as_deref());
}

#[cfg(test)]
mod tests {
    use super::super::injected::{Hidden, Injected};
    use super::*;

    fn read_at(stream: &str, said: &str) -> Result<String, String> {
        let injected = Injected {
            headers: vec![(http::header::AUTHORIZATION, Hidden::new(b"Bearer s3cret-token".to_vec()))],
            query: vec![("key".to_owned(), Hidden::new(b"q-s3cret&x".to_vec()))],
            ..Injected::default()
        };
        let own = Own { names: &["key"], without: |text: &str| injected.without(text) };
        read(&stream.parse().unwrap(), said.as_bytes(), &own).map(Into::into)
    }

    #[test]
    fn an_endpoint_is_read_from_the_address_of_its_stream() {
        for (said, meant) in [
            ("/messages?sessionId=7", "https://s.example:8443/messages?sessionId=7"),
            ("messages", "https://s.example:8443/a/messages"),
            ("./b/../messages", "https://s.example:8443/a/messages"),
            ("../../../m", "https://s.example:8443/m"),
            ("?s=1", "https://s.example:8443/a/sse?s=1"),
            ("//s.example:8443/m#here", "https://s.example:8443/m"),
            ("HTTPS://S.EXAMPLE:8443/m", "https://s.example:8443/m"),
            (" /m \r", "https://s.example:8443/m"),
            ("/m?a=%20b&key=q-s3cret%26x&c=1", "https://s.example:8443/m?a=%20b&c=1"),
            ("/m?%6bey=old", "https://s.example:8443/m"),
        ] {
            assert_eq!(read_at("https://s.example:8443/a/sse", said).as_deref(), Ok(meant), "{said}");
        }
    }

    #[test]
    fn an_endpoint_elsewhere_is_none() {
        for said in [
            "https://evil.example/m",
            "//evil.example/m",
            "https:///evil.example/m",
            "http://s.example:8443/m",
            "https://s.example/m",
            "https://s.example:8444/m",
            "https://s.example.:8443/m",
            "https://s.example:8443@evil.example/m",
            "data:text/plain,x",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            let why = read_at("https://s.example:8443/a/sse", said).unwrap_err();
            assert!(why.contains("another origin"), "{said}: {why}");
        }
        for said in [
            "",
            " ",
            "///evil.example/m",
            "\\\\evil.example/m",
            "/\\evil.example/m",
            "/m\u{9}x",
            "/ä",
            "https://[",
            "/\nm",
        ] {
            let why = read_at("https://s.example:8443/a/sse", said).unwrap_err();
            assert!(why.ends_with("holds no address"), "{said}: {why}");
        }
        // where it would be cut within the credential
        let pad =
            "a".repeat(50) + "." + &"b".repeat(ORIGIN_CHARS_MAX - "https://s3cret-toke".len() - 52) + ".";
        let why = read_at("https://s.example/sse", &format!("https://{pad}s3cret-token.evil.example/m"));
        let why = why.unwrap_err();
        assert!(
            why.contains("another origin") && why.contains(".[secret:") && !why.contains("s3cret"),
            "{why}"
        );
        let long = format!("/{}", "x".repeat(BYTES_MAX));
        assert!(read_at("https://s.example/sse", &long).is_err());
    }

    #[test]
    fn an_endpoint_with_a_user_or_a_credential_is_none_and_is_not_repeated() {
        for said in
            ["https://u@s.example:8443/m", "https://u:pass@s.example:8443/m", "//:pass@s.example:8443/m"]
        {
            let why = read_at("https://s.example:8443/sse", said).unwrap_err();
            assert!(why.ends_with("names a user"), "{said}: {why}");
        }
        for said in ["/m?t=s3cret-token", "/s3cret%2Dtoken", "/m?other=q-s3cret%26x", "/czNjcmV0LXRva2Vu"] {
            let why = read_at("https://s.example:8443/sse", said).unwrap_err();
            assert!(why.ends_with("repeats the credential"), "{said}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_server_names_goes_to_its_own_origin_without_a_user(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "https:", "http:", "/", "//", "\\\\", "@", ":", "?", "#", "..", "%2e", "%40", "s.example", "evil.example",
                    ":8443", "[::1]", "u:p@", "key=q-s3cret", "&", ";", "\u{9}", " ", "s3cret-token", "a", "0x7f.1", "S.EXAMPLE",
                ]),
                0..8,
            ),
        ) {
            let stream: Url = "https://s.example:8443/a/sse".parse().unwrap();
            if let Ok(text) = read_at(stream.as_str(), &parts.concat()) {
                let url: Url = text.parse().unwrap();
                proptest::prop_assert_eq!(url.origin(), stream.origin());
                proptest::prop_assert!(url.username().is_empty() && url.password().is_none(), "{}", url);
                proptest::prop_assert!(!text.contains("s3cret-token"), "{}", text);
                // and as the client will read it, which parses by itself
                let uri: http::Uri = text.parse().unwrap();
                proptest::prop_assert_eq!(uri.authority().unwrap().as_str(), "s.example:8443");
            }
        }
    }
}
