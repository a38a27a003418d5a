//! What a caller says of itself: the `Authorization` header, our own tokens, and the challenge that answers. What is
//! taken is exactly what was sent, read again it is the same, and nothing that was sent ends a quoted string.

use identity::{ApiToken, BearerError, Challenge, Fault, Scope, TokenId, bearer};
use std::collections::BTreeMap;

pub(crate) fn run(data: &[u8]) {
    match bearer([data]) {
        Ok(token) => {
            assert!(data.ends_with(token.as_bytes()) && data[..6].eq_ignore_ascii_case(b"bearer"));
            assert!(token.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b'\'' | b';')));
            assert_eq!(bearer([format!("Bearer {token}").as_bytes()]), Ok(token));
            assert_eq!(bearer([data, data]), Err(BearerError::Several));
            own(token);
        }
        Err(error) => {
            challenged(
                &error.challenge(Challenge::bearer()).to_string(),
                &["error", "error_description", "realm"],
            );
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    own(text);
    let scopes: Vec<Scope> = text.split(' ').filter_map(|scope| Scope::new(scope).ok()).collect();
    let challenge = Challenge::bearer()
        .fault(Fault::InsufficientScope, text)
        .resource_metadata(text)
        .scopes(scopes.clone())
        .to_string();
    let all = ["error", "error_description", "realm", "resource_metadata", "scope"];
    let said = challenged(&challenge, &all);
    let again: Vec<&str> = said.get("scope").into_iter().flat_map(|scope| scope.split(' ')).collect();
    assert_eq!(again, scopes.iter().map(Scope::as_str).collect::<Vec<_>>());
}

/// A token of ours is read strictly: one spelling, and its parts are where they stand.
fn own(text: &str) {
    match ApiToken::parse(text) {
        Ok(token) => {
            assert_eq!(token.reveal(), text);
            assert_eq!(TokenId::parse(&text[4..20]).as_ref(), Some(&token.id()));
            assert!(token.hash().matches(&ApiToken::parse(text).unwrap().hash()));
            assert!(ApiToken::parse(&text.to_ascii_uppercase()).is_err());
            assert!(ApiToken::parse(&format!("{text}0")).is_err() && ApiToken::parse(&text[..79]).is_err());
        }
        Err(error) => assert!(error.to_string().len() < 100),
    }
}

/// Reads a challenge as a client would (RFC 9110, section 11.6.1).
fn challenged(value: &str, names: &[&str]) -> BTreeMap<String, String> {
    assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{value}");
    let mut params = BTreeMap::new();
    let mut rest = value.strip_prefix("Bearer ").unwrap();
    loop {
        let (name, behind) = rest.split_once("=\"").unwrap();
        let (text, after) = behind.split_once('"').unwrap();
        assert!(names.contains(&name) && !text.contains('\\'), "{value}");
        assert!(params.insert(name.to_owned(), text.to_owned()).is_none());
        match after.strip_prefix(", ") {
            Some(more) => rest = more,
            None => break assert!(after.is_empty(), "{value}"),
        }
    }
    params
}
