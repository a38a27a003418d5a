//! Does a URI belong to a resource template?
//!
//! Good enough to route a `resources/read` to the template that was pinned, and no
//! more: it says whether a URI can be an expansion of an RFC 6570 template (levels 1
//! to 3, and the level 4 modifiers read as their plain variable or as "more of it").
//! It is read the way MCP SDKs read templates: a plain `{x}` takes one or more
//! characters of one path segment, encoded or not.
//!
//! Time is linear in the URI for a given template: no backtracking, whatever the
//! server writes in its template and the client in its URI. A URI that climbs with
//! `..`, plain or percent-encoded, belongs to no template.

/// The longest template that is read, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 1024;
/// The longest URI that is compared, in bytes.
pub const URI_BYTES_MAX: usize = 8192;
/// The most parts (literals and expressions) of a template.
const PARTS_MAX: usize = 64;

/// What looking at one template costs beside comparing the URI with its parts: a literal is compared in words of so many bytes.
const WORD_BYTES: usize = 16;

/// More was to be compared than there were steps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many long templates begin like this address")]
pub struct TooMuch;

/// A URI that is sought among many templates, of which most do not even begin like it.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'u> {
    uri: &'u str,
    /// Whether it can belong to any.
    fit: bool,
}

impl<'u> Sought<'u> {
    pub fn new(uri: &'u str) -> Self {
        let bytes = uri.as_bytes();
        Self { uri, fit: bytes.len() <= URI_BYTES_MAX && plain(uri) && !climbs(bytes) }
    }

    /// Whether it can be an expansion of the template, and so many steps less. A template that cannot be read matches nothing.
    ///
    /// # Errors
    /// [`TooMuch`] when that takes more steps than are left.
    pub fn is_of(&self, template: &str, steps: &mut usize) -> Result<bool, TooMuch> {
        let literal = template.split('{').next().unwrap_or_default();
        if !self.fit || !self.uri.starts_with(literal) {
            return Ok(false);
        }
        take(steps, template.len())?;
        let Ok(template) = Template::parse(template) else { return Ok(false) };
        let each = template.parts.len() + template.literal_bytes() / WORD_BYTES;
        take(steps, each.saturating_mul(self.uri.len() + 1))?;
        Ok(template.reaches_the_end_of(self.uri.as_bytes()))
    }
}

fn take(steps: &mut usize, taken: usize) -> Result<(), TooMuch> {
    *steps = steps.checked_sub(taken).ok_or(TooMuch)?;
    Ok(())
}

/// Why a text is not a template we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Longer than [`TEMPLATE_BYTES_MAX`] or of too many parts.
    #[error("the URI template is too long")]
    TooLong,
    /// Braces that do not match, or an expression RFC 6570 does not know.
    #[error("the URI template has an invalid expression")]
    Expression,
}

/// A parsed URI template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expression {
        /// What an expansion begins with.
        prefix: &'static str,
        /// Whether nothing at all is an expansion.
        optional: bool,
        /// Characters an expansion ends at.
        stops: &'static [u8],
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A template that is too long or not one of RFC 6570.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        if template.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            if parts.len() >= PARTS_MAX {
                return Err(TemplateError::TooLong);
            }
            if let Some(after) = rest.strip_prefix('{') {
                let (inside, tail) = after.split_once('}').ok_or(TemplateError::Expression)?;
                parts.push(expression(inside)?);
                rest = tail;
            } else {
                let (literal, tail) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                if literal.contains('}') {
                    return Err(TemplateError::Expression);
                }
                parts.push(Part::Literal(literal.to_owned()));
                rest = tail;
            }
        }
        Ok(Self { parts })
    }

    /// Whether the URI can be an expansion of the template.
    pub fn matches(&self, uri: &str) -> bool {
        Sought::new(uri).fit && self.reaches_the_end_of(uri.as_bytes())
    }

    fn reaches_the_end_of(&self, bytes: &[u8]) -> bool {
        // reach[i]: the parts so far can end before byte i
        let mut reach = vec![false; bytes.len() + 1];
        if let Some(first) = reach.first_mut() {
            *first = true;
        }
        for part in &self.parts {
            reach = match part {
                Part::Literal(text) => after_text(&reach, bytes, text.as_bytes()),
                Part::Expression { prefix, optional, stops } => {
                    let mut next = after_some(&after_text(&reach, bytes, prefix.as_bytes()), bytes, stops);
                    if *optional {
                        next.iter_mut().zip(&reach).for_each(|(next, before)| *next |= *before);
                    }
                    next
                }
            };
        }
        reach.last() == Some(&true)
    }

    /// How many bytes of the template are literal: of several that match, the most
    /// specific has the most.
    pub fn literal_bytes(&self) -> usize {
        let literal = |part: &Part| match part {
            Part::Literal(text) => text.len(),
            Part::Expression { .. } => 0,
        };
        self.parts.iter().map(literal).sum()
    }
}

/// Whether the URI can be an expansion of the template. A template that cannot be
/// read matches nothing.
pub fn template_matches(template: &str, uri: &str) -> bool {
    Sought::new(uri).is_of(template, &mut { usize::MAX }).unwrap_or(false)
}

fn expression(inside: &str) -> Result<Part, TemplateError> {
    let (prefix, optional, stops, names): (&str, bool, &[u8], &str) = match inside.as_bytes().first() {
        Some(b'+') => ("", false, b"", inside.get(1..).unwrap_or_default()),
        Some(b'#') => ("#", true, b"", inside.get(1..).unwrap_or_default()),
        Some(b'.') => (".", true, b"/?#", inside.get(1..).unwrap_or_default()),
        Some(b'/') => ("/", true, b"?#", inside.get(1..).unwrap_or_default()),
        Some(b';') => (";", true, b"/?#", inside.get(1..).unwrap_or_default()),
        Some(b'?') => ("?", true, b"#", inside.get(1..).unwrap_or_default()),
        Some(b'&') => ("&", true, b"#", inside.get(1..).unwrap_or_default()),
        _ => ("", false, b"/?#", inside),
    };
    let mut count = 0;
    let mut explode = false;
    for name in names.split(',') {
        count += 1;
        let (name, star) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        explode |= star;
        let name = match name.split_once(':') {
            Some((name, length)) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => name,
            Some(_) => return Err(TemplateError::Expression),
            None => name,
        };
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'%' | b'-');
        if name.is_empty() || !name.bytes().all(known) {
            return Err(TemplateError::Expression);
        }
    }
    // one plain path variable is one segment; several, or an exploded one, are more
    let stops: &[u8] = match (prefix, stops) {
        ("/", _) if count == 1 && !explode => b"/?#",
        ("", b"/?#") if explode => b"?#",
        _ => stops,
    };
    Ok(Part::Expression { prefix, optional, stops })
}

/// Positions after `text`, from positions before it.
fn after_text(reach: &[bool], bytes: &[u8], text: &[u8]) -> Vec<bool> {
    let mut next = vec![false; reach.len()];
    for (at, _) in reach.iter().enumerate().filter(|(_, reached)| **reached) {
        if bytes.get(at..).is_some_and(|tail| tail.starts_with(text))
            && let Some(slot) = next.get_mut(at + text.len())
        {
            *slot = true;
        }
    }
    next
}

/// Positions after one or more bytes none of which is a stop.
fn after_some(reach: &[bool], bytes: &[u8], stops: &[u8]) -> Vec<bool> {
    let mut next = vec![false; reach.len()];
    let mut inside = false;
    for ((byte, before), slot) in bytes.iter().zip(reach).zip(next.iter_mut().skip(1)) {
        inside = (inside || *before) && !stops.contains(byte);
        *slot = inside;
    }
    next
}

/// No controls or spaces, and every percent sign begins an encoded byte.
fn plain(uri: &str) -> bool {
    let bytes = uri.as_bytes();
    uri.char_indices().all(|(at, char)| match char {
        '%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        ' ' => false,
        _ => !char.is_control(),
    })
}

/// Whether a segment is `..` once percent-encoding is undone, with a backslash taken
/// for a slash: some server will read it so.
fn climbs(bytes: &[u8]) -> bool {
    let mut segment: Option<u8> = Some(0);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let encoded = if *byte == b'%' { bytes.get(at + 1..at + 3) } else { None };
        let code = encoded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        at += if code.is_some() { 3 } else { 1 };
        segment = match (code.unwrap_or(*byte), segment) {
            (b'/' | b'\\' | b'?' | b'#', Some(2)) => return true,
            (b'/' | b'\\' | b'?' | b'#', _) => Some(0),
            (b'.', Some(dots @ 0..=2)) => Some(dots + 1),
            _ => None,
        };
    }
    segment == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansions_belong_to_their_template() {
        for (template, uri) in [
            ("file:///a/{name}", "file:///a/b.txt"),
            ("file:///a/{name}", "file:///a/b%2Fc%20d"),
            ("file:///a/{name}", "file:///a/ü"),
            ("user://{id}/profile", "user://me@x:1/profile"),
            ("a:{x}-{y}", "a:1-2-3"),
            ("a:{x,y}", "a:1,2"),
            ("file:///{+path}", "file:///a/b/c?d#e"),
            ("file:///{path*}", "file:///a/b/c"),
            ("file://{/path*}", "file:///a/b"),
            ("file://{/a,b}", "file:///a/b"),
            ("a:{/x}", "a:/b"),
            ("a:{/x}", "a:"),
            ("a:x{.ext}", "a:x.tar.gz"),
            ("a:x{?q,n}", "a:x?q=1&n=2"),
            ("a:x{?q}", "a:x"),
            ("a:x?fixed=1{&q}", "a:x?fixed=1&q=2"),
            ("a:x{#frag}", "a:x#y/z"),
            ("a:x{;p}", "a:x;p=1"),
            ("a:{x:3}", "a:abc"),
            ("a:b", "a:b"),
        ] {
            assert!(template_matches(template, uri), "{template} {uri}");
        }
    }

    #[test]
    fn other_uris_do_not() {
        for (template, uri) in [
            ("file:///a/{name}", "file:///a/"),
            ("file:///a/{name}", "file:///a/b/c"),
            ("file:///a/{name}", "file:///ab"),
            ("file:///a/{name}", "file:///a/b?c"),
            ("file:///a/{name}", "FILE:///a/b"),
            ("file:///a/{name}", "file:///a/.."),
            ("file:///a/{name}", "file:///a/%2e%2E"),
            ("file:///a/{name}", "file:///a/..%2f..%2fetc"),
            ("file:///a/{name}", "file:///a/x%5c..%5cy"),
            ("file:///{+path}", "file:///a/../../etc/passwd"),
            ("file:///{+path}", "file:///a/..?x"),
            ("file:///{+path}", "file:///a b"),
            ("file:///{+path}", "file:///a\nb"),
            ("file:///{+path}", "file:///a\u{85}b"),
            ("file:///{+path}", "file:///a%zz"),
            ("file:///{+path}", "file:///a%2"),
            ("a:{/x}", "a:/b/c"),
            ("a:b", "a:bc"),
            ("a:b", "a:"),
            ("", "a"),
            ("a:x{?q}", "a:x#f"),
        ] {
            assert!(!template_matches(template, uri), "{template} {uri}");
        }
    }

    #[test]
    fn dots_that_do_not_climb_are_left_alone() {
        assert!(template_matches("a:/{x}", "a:/..."));
        assert!(template_matches("a:/{x}", "a:/..b"));
        assert!(template_matches("a:/{x}", "a:/.hidden"));
    }

    #[test]
    fn broken_templates_match_nothing() {
        for template in
            ["a:{", "a:{}", "a:}", "a:{x", "a:{x}}", "a:{!x}", "a:{x y}", "a:{x,}", "a:{x:}", "a:{{x}}"]
        {
            assert_eq!(Template::parse(template), Err(TemplateError::Expression), "{template}");
        }
        assert_eq!(Template::parse(&"a".repeat(1025)), Err(TemplateError::TooLong));
        assert_eq!(Template::parse(&"{a}-".repeat(40)), Err(TemplateError::TooLong));
        assert!(!template_matches("{+x}", &"a".repeat(URI_BYTES_MAX + 1)));
    }

    #[test]
    fn the_worst_template_is_still_quick() {
        // exponential for a backtracking matcher
        let template = Template::parse(&format!("{}b", "{+a}a".repeat(31))).unwrap();
        assert!(!template.matches(&"a".repeat(URI_BYTES_MAX)));
    }

    #[test]
    fn a_sum_of_templates_costs_no_more_than_there_are_steps_for() {
        let uri = format!("x://h/{}", "a".repeat(8_000));
        let heavy: Vec<_> = (0..4_000).map(|n| format!("x://h/{}b{n}", "{+item}aaaa".repeat(28))).collect();
        let sought = Sought::new(&uri);
        let mut steps = 4 << 20;
        let mut looked_at = 0;
        let ended = heavy.iter().find_map(|one| {
            looked_at += 1;
            sought.is_of(one, &mut steps).err()
        });
        assert!(ended == Some(TooMuch) && looked_at < 20, "{looked_at}");
        // what does not begin like it costs nothing, however many there are
        let mut none = 0;
        for one in &heavy {
            assert_eq!(Sought::new("g:/1").is_of(one, &mut none), Ok(false));
        }
        assert_eq!(Sought::new("x://h/../a").is_of("x://h/{+a}", &mut none), Ok(false));
        assert_eq!(Sought::new("x://h/a").is_of("x://h/{a}", &mut 100), Ok(true));
    }

    #[test]
    fn the_more_literal_template_is_the_more_specific() {
        let size = |text| Template::parse(text).unwrap().literal_bytes();
        assert!(size("file:///a/{x}") > size("file:///{+x}"));
    }
}
