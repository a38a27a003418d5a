//! The `endpoint` event of HTTP+SSE: whatever a server names, messages and the credential go to the server's own origin, as
//! our HTTP client reads the address too, and nothing of the credential is in it.
//!
//! The reader is private to the gateway: this file is included where `reader` beside it is that module.
//!
//! Input: a byte that says where the stream is, then what the event holds.

use super::reader::{Own, read};
use url::Url;

const SECRET: &str = "s3cret-token";
const STREAMS: [&str; 4] = [
    "https://s.example:8443/a/sse",
    "http://127.0.0.1:3000/sse?key=k",
    "https://s.example/",
    "http://[::1]:8080/a/b/c/sse?x=1#y",
];

pub(crate) fn run(data: &[u8]) {
    let Some((which, said)) = data.split_first() else { return };
    let stream: Url = STREAMS[usize::from(*which) % STREAMS.len()].parse().unwrap();
    let own = Own { names: &["key"], without: |text: &str| text.replace(SECRET, "[secret:k]") };
    match read(&stream, said, &own) {
        Ok(url) => {
            assert_eq!(url.origin(), stream.origin());
            assert!(
                url.username().is_empty() && url.password().is_none() && url.fragment().is_none(),
                "{url}"
            );
            assert!(!url.as_str().contains(SECRET), "{url}");
            assert!(url.query_pairs().all(|(name, _)| name != "key"), "{url}");
            // the client parses by itself
            let uri: http::Uri = url.as_str().parse().unwrap();
            assert_eq!(uri.scheme_str(), Some(stream.scheme()));
            let port = stream.port().map(|port| format!(":{port}")).unwrap_or_default();
            let authority = format!("{}{port}", stream.host_str().unwrap());
            assert_eq!(uri.authority().unwrap().as_str(), authority);
            // read again, from there or from the stream, it is the same
            for from in [&stream, &url] {
                assert_eq!(read(from, url.as_str().as_bytes(), &own).as_ref(), Ok(&url));
            }
            if let Some(path) = plain_path(said) {
                assert_eq!(url.path(), path);
            }
        }
        Err(why) => {
            assert!(!why.contains(SECRET), "{why}");
            assert!(why.len() <= 256 && why.is_ascii() && !why.contains(char::is_control), "{why}");
            assert!(plain_path(said).is_none(), "{why}");
        }
    }
}

/// A path that can be read in one way only.
fn plain_path(said: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(said).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let one = text.starts_with('/') && !text.contains("//") && text.len() <= 2_048;
    (plain && one && !text.contains(SECRET)).then_some(text)
}
