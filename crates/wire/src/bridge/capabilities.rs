//! What a client says it can do, as far as it means something in the other era.

use bytes::Bytes;

use crate::json;

/// What a client can be asked, in the words that both eras share.
///
/// A hidden session is opened for each such set and not for what a client happens to write, so that
/// no client can have more of them than there are sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Askable {
    /// `roots`
    pub roots: bool,
    /// `sampling`
    pub sampling: bool,
    /// `sampling.tools`
    pub sampling_tools: bool,
    /// `elicitation.form`; an empty `elicitation` means it too (2025-11-25 `client/elicitation`).
    pub form: bool,
    /// `elicitation.url`
    pub url: bool,
}

impl Askable {
    /// Nothing can be asked.
    pub const NOTHING: Self =
        Self { roots: false, sampling: false, sampling_tools: false, form: false, url: false };

    /// Reads a raw capabilities object of either era.
    pub fn read(capabilities_raw: &[u8]) -> Self {
        let has = |path: &[&str]| json::at_path(capabilities_raw, path).is_some();
        let url = has(&["elicitation", "url"]);
        Self {
            roots: has(&["roots"]),
            sampling: has(&["sampling"]),
            sampling_tools: has(&["sampling", "tools"]),
            form: has(&["elicitation", "form"]) || (has(&["elicitation"]) && !url),
            url,
        }
    }

    /// The same as a raw capabilities object, the same bytes for the same set.
    pub fn to_json(self) -> Bytes {
        let mut members = Vec::new();
        let inner = |named: &[(&str, bool)]| {
            let said: Vec<_> =
                named.iter().filter(|(_, is)| *is).map(|(name, _)| format!("\"{name}\":{{}}")).collect();
            said.join(",")
        };
        if self.roots {
            members.push("\"roots\":{}".to_owned());
        }
        if self.sampling {
            members.push(format!("\"sampling\":{{{}}}", inner(&[("tools", self.sampling_tools)])));
        }
        if self.form || self.url {
            members.push(format!("\"elicitation\":{{{}}}", inner(&[("form", self.form), ("url", self.url)])));
        }
        format!("{{{}}}", members.join(",")).into()
    }
}

/// The extension that is not carried between the eras.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A raw capabilities object without what does not cross: tasks, core (2025-11-25) and as an extension,
/// and the members named in `without`. What is not an object reads as none.
pub fn crossing(capabilities_raw: &[u8], without: &[&str]) -> Bytes {
    let kept = select(capabilities_raw, |key, value| {
        if key == "tasks" || without.contains(&key) {
            return None;
        }
        if key == "extensions" {
            return Some(select(value, |name, value| (name != TASKS).then(|| value.to_vec())));
        }
        Some(value.to_vec())
    });
    kept.into()
}

fn select(raw: &[u8], keep: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (key, range) in json::object_members(raw) {
        let Some(value) = keep(&key, raw.get(range).unwrap_or_default()) else { continue };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(json::encode_string(&key).as_bytes());
        out.push(b':');
        out.extend_from_slice(&value);
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Askable {
        Askable::read(raw.as_bytes())
    }

    #[test]
    fn what_can_be_asked_reads_back_and_is_no_more_than_there_are_sets() {
        for bits in 0..32u8 {
            let is = |bit: u8| bits & (1 << bit) != 0;
            let (sampling, sampling_tools) = (is(1) || is(2), is(2));
            let one = Askable { roots: is(0), sampling, sampling_tools, form: is(3), url: is(4) };
            assert_eq!(Askable::read(&one.to_json()), one);
        }
        assert_eq!(read("{}"), Askable::NOTHING);
        assert!(read(r#"{"elicitation":{}}"#).form && !read(r#"{"elicitation":{}}"#).url);
        assert!(!read(r#"{"elicitation":{"url":{}}}"#).form);
        let odd = read(r#"{"roots":{"listChanged":true},"elicitation":{"x":1},"experimental":{"y":{}}}"#);
        assert_eq!(odd.to_json(), r#"{"roots":{},"elicitation":{"form":{}}}"#);
    }

    #[test]
    fn tasks_do_not_cross_wherever_they_are_said_and_the_rest_keeps_its_bytes() {
        let raw = r#"{"tasks":{"list":{}},"sampling":{"tools" : {}},"extensions":{"io.modelcontextprotocol/tasks":{},"a/ui":{"n":1.0}}}"#;
        assert_eq!(
            crossing(raw.as_bytes(), &[]),
            r#"{"sampling":{"tools" : {}},"extensions":{"a/ui":{"n":1.0}}}"#
        );
        assert_eq!(crossing(raw.as_bytes(), &["sampling"]), r#"{"extensions":{"a/ui":{"n":1.0}}}"#);
        assert_eq!(crossing(b"7", &[]), "{}");
        assert_eq!(crossing(br#"{"\u0074asks":{}}"#, &[]), "{}", "however it is spelled");
    }
}
