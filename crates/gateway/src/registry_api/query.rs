//! What is asked for: the path and the query.

use super::document::Document;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use decision::{ServerName, Timestamp};

/// Entries on one page, where nothing is said and at most.
const LIMIT: usize = 30;
const LIMIT_MAX: usize = 100;
/// Between the name of a cursor and what is searched for; no name has it.
const SEARCHED: char = '~';
/// Longest text that is searched for.
const SEARCH_CHARS_MAX: usize = 200;

/// The three reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Servers,
    Versions(ServerName),
    Version(ServerName, String),
}

/// Reads the path behind the prefix. `/v0`, which is not stable, is read as `/v0.1`, for clients that know nothing else.
///
/// A name has a slash in it, which clients write as `%2F`; some forget to.
pub(super) fn place(path: &str, namespace: &str) -> Option<Place> {
    let rest = path.strip_prefix("/v0.1/servers").or_else(|| path.strip_prefix("/v0/servers"))?;
    if rest.is_empty() {
        return Some(Place::Servers);
    }
    let decode = |part: &str| {
        let text = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    let (name, version) = rest.strip_prefix('/')?.split_once("/versions")?;
    let name = decode(name)?;
    let server = ServerName::new(name.strip_prefix(namespace)?.strip_prefix('/')?.to_owned()).ok()?;
    match version {
        "" => Some(Place::Versions(server)),
        _ => {
            let version = decode(version.strip_prefix('/')?)?;
            (!version.is_empty() && !version.contains('/')).then_some(Place::Version(server, version))
        }
    }
}

/// Which entries are listed.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The last name of the page before.
    pub(super) cursor: Option<String>,
    pub(super) limit: usize,
    /// In lower case.
    search: Option<String>,
    since: Option<Timestamp>,
    version: Option<String>,
}

impl Wanted {
    /// Errors: what is wrong with which parameter. Parameters that nobody knows are passed over, as the API has it.
    pub(super) fn read(query: &str, namespace: &str) -> Result<Self, String> {
        let mut cursor = None;
        let mut wanted = Self { cursor: None, limit: LIMIT, search: None, since: None, version: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "cursor" if !value.is_empty() => cursor = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                    wanted.limit =
                        limit.ok_or_else(|| format!("`limit` is a number from 1 to {LIMIT_MAX}"))?;
                }
                "search" if value.chars().count() > SEARCH_CHARS_MAX => {
                    return Err(format!("`search` has at most {SEARCH_CHARS_MAX} characters"));
                }
                "search" => wanted.search = Some(value.to_lowercase()).filter(|text| !text.is_empty()),
                "updated_since" => {
                    let at: Option<jiff::Timestamp> = value.parse().ok();
                    let us = at.and_then(|at| u64::try_from(at.as_microsecond()).ok());
                    let wrong = || "`updated_since` is a time as RFC 3339 has it".to_owned();
                    wanted.since = Some(us.map(Timestamp).ok_or_else(wrong)?);
                }
                "version" if value != "latest" => wanted.version = Some(value.into_owned()),
                _ => {}
            }
        }
        if let Some(cursor) = cursor {
            wanted.go_on(cursor, namespace)?;
        }
        Ok(wanted)
    }

    /// VS Code leaves out of the second page what it searches for, so the cursor has it.
    fn go_on(&mut self, cursor: String, namespace: &str) -> Result<(), String> {
        let wrong = || "`cursor` is none that was given here".to_owned();
        let name = cursor.split_once(SEARCHED).map_or(cursor.as_str(), |(name, _)| name);
        let server = name.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/'));
        // the server may be gone since
        if server.is_none_or(|server| ServerName::new(server).is_err()) {
            return Err(wrong());
        }
        let Some((name, search)) = cursor.split_once(SEARCHED) else {
            self.cursor = Some(cursor);
            return Ok(());
        };
        let text = URL_SAFE_NO_PAD.decode(search).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.filter(|text| text.chars().count() <= SEARCH_CHARS_MAX);
        let text = text.ok_or_else(wrong)?;
        self.cursor = Some(name.to_owned());
        self.search.get_or_insert(text);
        Ok(())
    }

    /// Where a page goes on that ends with the entry of this name. It has only what an address needs not escape: VS Code
    /// escapes nothing.
    pub(super) fn cursor_behind(&self, name: &str) -> String {
        match &self.search {
            Some(text) => format!("{name}{SEARCHED}{}", URL_SAFE_NO_PAD.encode(text)),
            None => name.to_owned(),
        }
    }

    pub(super) fn takes(&self, one: &Document) -> bool {
        self.is_said_by(&one.name, &one.description)
            && self.since.is_none_or(|since| one.updated >= since)
            && self.version.as_ref().is_none_or(|version| *version == one.version)
    }

    /// Every word that is searched for stands in the name or in the description: clients show `order-desk` as `Order Desk`.
    fn is_said_by(&self, name: &str, description: &str) -> bool {
        let said = [name.to_lowercase(), description.to_lowercase()];
        let found = |word: &str| said.iter().any(|said| said.contains(word));
        self.search.as_ref().is_none_or(|text| text.split_whitespace().all(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    #[test]
    fn the_three_reads_have_their_paths_and_nothing_else_has() {
        let of = |path| place(path, "com.example");
        assert_eq!(of("/v0.1/servers"), Some(Place::Servers));
        assert_eq!(of("/v0/servers"), Some(Place::Servers));
        assert_eq!(of("/v0.1/servers/com.example%2Fcrm/versions"), Some(Place::Versions(name("crm"))));
        assert_eq!(of("/v0.1/servers/com.example/crm/versions"), Some(Place::Versions(name("crm"))));
        assert_eq!(
            of("/v0.1/servers/com.example%2fcrm/versions/1.0%2Bbuild"),
            Some(Place::Version(name("crm"), "1.0+build".to_owned()))
        );
        for other in [
            "",
            "/",
            "/v0.1",
            "/v0.2/servers",
            "/v0.1/servers/",
            "/v0.1/serversx",
            "/v0.1/servers/crm/versions",
            "/v0.1/servers/com.other%2Fcrm/versions",
            "/v0.1/servers/com.example%2Fcrm",
            "/v0.1/servers/com.example%2F/versions",
            "/v0.1/servers/com.example%2F..%2Fcrm/versions",
            "/v0.1/servers/com.example%2Fcrm/versions/",
            "/v0.1/servers/com.example%2Fcrm/versionsx",
            "/v0.1/servers/com.example%2Fcrm/versions/a%2Fb",
            "/v0.1/servers/%ff/versions",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_bad_parameter_is_named_and_an_unknown_one_is_passed_over() {
        for (query, says) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=many", "limit"),
            ("updated_since=yesterday", "updated_since"),
            ("updated_since=1900-01-01T00:00:00Z", "updated_since"),
        ] {
            assert!(Wanted::read(query, "a").unwrap_err().contains(says), "{query}");
        }
        assert!(Wanted::read(&format!("search={}", "x".repeat(201)), "a").is_err());
        let wanted =
            Wanted::read("colour=red&limit=7&cursor=a%2Fb&search=&updated_since=2026-01-01T00:00:00Z", "a");
        let wanted = wanted.unwrap();
        assert_eq!((wanted.limit, wanted.cursor.as_deref()), (7, Some("a/b")));
        assert!(wanted.search.is_none() && wanted.since.is_some());
    }

    #[test]
    fn a_search_takes_words_of_name_and_description() {
        let found = |search: &str| {
            let wanted = Wanted::read(&format!("search={search}"), "a").unwrap();
            wanted.is_said_by("local.callgate/order-desk", "Orders and Invoices of the shop")
        };
        for search in ["order%20desk", "Order+Desk", "ORDER", "invoices", "desk+shop", "call", ""] {
            assert!(found(search), "{search}");
        }
        assert!(!found("order+chair") && !found("refund"));
    }

    #[test]
    fn a_cursor_goes_on_with_the_search_and_another_search_wins() {
        let first = Wanted::read("search=Caf%C3%A9+desk", "local.callgate").unwrap();
        let cursor = first.cursor_behind("local.callgate/a");
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b)), "{cursor}");
        let next = Wanted::read(&format!("limit=50&cursor={cursor}"), "local.callgate").unwrap();
        assert_eq!(next.cursor.as_deref(), Some("local.callgate/a"));
        assert_eq!(next.search, first.search);
        let other = Wanted::read(&format!("cursor={cursor}&search=b"), "local.callgate").unwrap();
        assert_eq!(other.search.as_deref(), Some("b"));
        for bad in [
            "zzz",
            "n/",
            "n/A",
            "m/a",
            "n/a~!",
            "n/a~_w",
            &format!("n/a~{}", URL_SAFE_NO_PAD.encode("x".repeat(201))),
        ] {
            assert!(Wanted::read(&format!("cursor={bad}"), "n").unwrap_err().contains("cursor"), "{bad}");
        }
        assert_eq!(Wanted::read("", "n").unwrap().cursor_behind("n/a"), "n/a");
    }
}
