//! URI templates: reading and matching end in linear time whatever both sides write, a URI that climbs belongs to
//! no template, and an expansion made by the book belongs to its template.
//!
//! Input: a template, the byte 0xFF, a URI.

use wire::template::{TEMPLATE_BYTES_MAX, Template, URI_BYTES_MAX};
use wire::template_matches;

pub(crate) fn run(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0xFF).unwrap_or(data.len());
    let (template, uri) = (text(&data[..at]), text(data.get(at + 1..).unwrap_or_default()));
    let matches = template_matches(&template, &uri);
    let Ok(read) = Template::parse(&template) else {
        assert!(!matches, "a template that cannot be read matches nothing");
        return;
    };
    assert!(template.len() <= TEMPLATE_BYTES_MAX && read.literal_bytes() <= template.len());
    assert_eq!(read.matches(&uri), matches);
    if matches {
        assert!(
            uri.len() <= URI_BYTES_MAX && !climbs(&uri) && uri.chars().all(|c| !c.is_control() && c != ' ')
        );
        let literal = template.split('{').next().unwrap_or_default();
        assert!(uri.starts_with(literal), "the literal beginning is there to the letter");
        if !template.contains('{') {
            assert_eq!(uri, template);
        }
    }
    // an expansion of plain variables by the book
    if let Some(expansion) = expand(&template) {
        let plain = |c: char| !c.is_control() && c != ' ' && c != '%';
        let fit = !climbs(&expansion) && expansion.chars().all(plain);
        if fit {
            assert!(read.matches(&expansion), "{expansion}");
        }
    }
    // the longest of both that are looked at
    let long: String = uri.chars().cycle().take(if uri.is_empty() { 0 } else { 600 }).collect();
    read.matches(&long);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every expression with the value `v1` for each of its variables (RFC 6570, section 3.2).
fn expand(template: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        out.push_str(literal);
        let (inside, tail) = after.split_once('}')?;
        let (operator, names) = match inside.chars().next()? {
            c @ ('+' | '#' | '.' | '/' | ';' | '?' | '&') => (Some(c), &inside[1..]),
            _ => (None, inside),
        };
        let names: Vec<&str> =
            names.split(',').map(|n| n.split([':', '*']).next().unwrap_or_default()).collect();
        let named = |separator: &str| -> String {
            names.iter().map(|name| format!("{name}=v1")).collect::<Vec<_>>().join(separator)
        };
        let plain = |separator: &str| vec!["v1"; names.len()].join(separator);
        match operator {
            None | Some('+') => out.push_str(&plain(",")),
            Some('#') => out.push_str(&format!("#{}", plain(","))),
            Some('.') => out.push_str(&format!(".{}", plain("."))),
            Some('/') => out.push_str(&format!("/{}", plain("/"))),
            Some(';') => out.push_str(&format!(";{}", named(";"))),
            Some(sign) => out.push_str(&format!("{sign}{}", named("&"))),
        }
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

/// Whether a segment is `..` once decoded, as a careless server would.
fn climbs(uri: &str) -> bool {
    let mut decoded = Vec::new();
    let bytes = uri.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))) {
            (b'%', Some(hex)) => {
                decoded.push(u8::from_str_radix(hex, 16).unwrap());
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded.split(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#')).any(|segment| segment == b"..")
}
