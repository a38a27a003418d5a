//! JSON as people keep it in settings, with comments and last commas: where in the text each value stands.

use std::ops::Range;

/// Deepest nesting of arrays and objects.
const DEPTH_MAX: usize = 100;

/// A value, and which bytes of the text it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object(Vec<Member>),
    Array(Vec<Node>),
    /// Text, a number, `true`, `false` or `null`.
    Plain,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// The key with its quotes.
    pub(crate) at: Range<usize>,
    pub(crate) value: Node,
}

/// What stands where something else belongs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {wanted} on line {line}")]
pub(crate) struct SyntaxError {
    wanted: &'static str,
    line: usize,
}

/// Reads the whole text, which may begin with a byte order mark.
///
/// Errors: [`SyntaxError`], for the first place that is wrong.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let node = reader.value(0)?;
    reader.skip()?;
    if reader.at == text.len() { Ok(node) } else { Err(reader.lacks("end")) }
}

/// The line that a byte stands on, the first being 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

impl Node {
    /// The value below these keys, and its key where it has one. Of a key that occurs twice the last counts, as it does
    /// for whoever reads the file.
    pub(crate) fn below<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        keys.into_iter().try_fold(self, |node, key| node.child(key))
    }

    /// The member of an object, or the element of an array.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(members) => {
                members.iter().rev().find(|member| member.key == key).map(|member| &member.value)
            }
            Kind::Array(elements) => elements.get(key.parse::<usize>().ok()?),
            Kind::Plain => None,
        }
    }

    /// What a JSON pointer leads to.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Self> {
        let keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
        let keys: Vec<String> = keys.collect();
        self.below(keys.iter().map(String::as_str))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn lacks(&self, wanted: &'static str) -> SyntaxError {
        SyntaxError { wanted, line: line(self.text, self.at) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Past white space and comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(inside) = rest.strip_prefix("/*") {
                let end = inside.find("*/").ok_or_else(|| self.lacks("end of the comment"))?;
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn takes(&mut self, wanted: u8) -> bool {
        let here = self.peek() == Some(wanted);
        self.at += usize::from(here);
        here
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.skip()?;
        if depth > DEPTH_MAX {
            return Err(self.lacks("end of the nesting"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object(self.members(depth)?),
            Some(b'[') => Kind::Array(self.elements(depth)?),
            Some(b'"') => {
                self.string()?;
                Kind::Plain
            }
            _ => {
                let rest = self.rest();
                let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | '/' | ':');
                let end = rest.find(is_end).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                if serde_json::from_str::<serde_json::Value>(word).is_err() {
                    return Err(self.lacks("value"));
                }
                self.at += end;
                Kind::Plain
            }
        };
        Ok(Node { span: start..self.at, kind })
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        if !self.takes(b'"') {
            return Err(self.lacks("key"));
        }
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.lacks("end of the text")),
            }
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(raw).map_err(|_| self.lacks("text"))
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, SyntaxError> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.skip()?;
            if self.takes(b'}') {
                return Ok(members);
            }
            let start = self.at;
            let key = self.string()?;
            let at = start..self.at;
            self.skip()?;
            if !self.takes(b':') {
                return Err(self.lacks("`:`"));
            }
            members.push(Member { key, at, value: self.value(depth + 1)? });
            self.skip()?;
            if !self.takes(b',') && self.peek() != Some(b'}') {
                return Err(self.lacks("`,` or `}`"));
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Node>, SyntaxError> {
        let mut elements = Vec::new();
        self.at += 1;
        loop {
            self.skip()?;
            if self.takes(b']') {
                return Ok(elements);
            }
            elements.push(self.value(depth + 1)?);
            self.skip()?;
            if !self.takes(b',') && self.peek() != Some(b']') {
                return Err(self.lacks("`,` or `]`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, pointer: &str) -> &'a str {
        text.get(parse(text).unwrap().at(pointer).unwrap().span.clone()).unwrap()
    }

    #[test]
    fn every_value_is_where_it_stands() {
        let text = "\u{feff}{ // a \"comment\"\n \"a/b\": [1, 2.5e3, {\"x\": \"}\\\"\"},], /* and\n one */ \"a/b2\": {} ,}\n";
        assert_eq!(found(text, "/a~1b"), "[1, 2.5e3, {\"x\": \"}\\\"\"},]");
        assert_eq!(found(text, "/a~1b/1"), "2.5e3");
        assert_eq!(found(text, "/a~1b/2/x"), "\"}\\\"\"");
        assert_eq!(found(text, "/a~1b2"), "{}");
        assert!(parse(text).unwrap().at("/a~1b/3").is_none());
        assert_eq!(found("{\"a\": 1, \"\\u0061\": 2}", "/a"), "2", "the last counts");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_line() {
        for bad in [
            "", "{", "{\"a\"}", "{\"a\":}", "[1 2]", "[,]", "{} {}", "nul", "/* x", "{a: 1}", "\"\n", "[\"\\",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert_eq!(parse("{\n\"a\": 1\n\"b\": 2}").unwrap_err().to_string(), "no `,` or `}` on line 3");
    }
}
