//! One thing that was found, of whatever kind: what every form of the answer, and the baseline, are made of.

use catalog::{lint::Hint, listing::Offer, scan::Finding};
use decision::Digest;
use inspect::{Detector, Severity};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A file that was read, and what it says; what came from a running server or standard input has no place in one.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: Arc<str>,
}

/// Where something stands, for people and for programs that show files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spot {
    pub(super) source: Option<Source>,
    /// A JSON pointer into the file.
    pub(super) pointer: String,
    /// The client or server, and the tool where it is of one: `server/tool`.
    pub(super) subject: String,
    /// The same for fingerprints, where nobody else's names make it.
    pub(super) key: String,
    /// A JSON pointer into the subject.
    pub(super) inside: String,
}

/// What is written for programs, and beside it what the other forms need.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Notice {
    pub(super) detector: &'static str,
    pub(super) severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    pub(crate) because: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repair: Option<&'static str>,
    #[serde(flatten)]
    pub(super) mark: Option<Mark>,
    #[serde(skip)]
    pub(super) spot: Spot,
    #[serde(skip)]
    pub(super) fingerprint: String,
}

/// What is said of a finding where there is a baseline.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mark {
    fingerprint: String,
    pub(super) known: bool,
}

impl Notice {
    /// What was seen in one item: a tool, a prompt, a resource, or the instructions, which are a text.
    pub(super) fn of_item(finding: Finding, item: &Value, spot: &Spot, inside: &str) -> Self {
        let offends = if finding.detector == Detector::Contradiction {
            // the hint alone says nothing: it is what it denies
            format!("{:?} {:?}", item.get("name"), item.get("description"))
        } else {
            item.pointer(inside).unwrap_or(item).to_string()
        };
        let parts = [spot.key.as_str(), &unnumbered(inside), &offends];
        let fingerprint = fingerprint(finding.detector.as_str(), &parts);
        let pointer = format!("{}{inside}", spot.pointer);
        let spot = Spot { pointer, inside: inside.to_owned(), ..spot.clone() };
        Self::new(finding, fingerprint, spot)
    }

    /// What was seen by comparing servers: the same whichever of them was read first, and another when one of them is, or what it
    /// says.
    pub(super) fn across(finding: Finding, spot: Spot, beside: &Beside) -> Self {
        let mut parties: Vec<String> = beside.quoted(&finding.because);
        parties.sort_unstable();
        parties.dedup();
        let fingerprint = fingerprint(finding.detector.as_str(), &[ACROSS, &key(parties)]);
        Self::new(finding, fingerprint, spot)
    }

    fn new(finding: Finding, fingerprint: String, spot: Spot) -> Self {
        let Finding { detector, severity, confidence, place, because } = finding;
        Self {
            detector: detector.as_str(),
            severity,
            confidence: Some(confidence),
            place: Some(place),
            because,
            repair: None,
            mark: None,
            spot,
            fingerprint,
        }
    }

    /// What could be better in how a tool is designed.
    pub(super) fn of_design(hint: Hint, spot: &Spot) -> Self {
        let Hint { rule, severity, place, because } = hint;
        let pointer = format!("{}{place}", spot.pointer);
        let spot = Spot { pointer, inside: place.clone(), ..spot.clone() };
        let notice = Self::of_setup(rule.as_str(), severity, because, rule.repair(), &place, spot);
        Self { place: Some(place), ..notice }
    }

    /// What is told by how a server is declared. `offends` is what has to change for it to be another finding.
    pub(super) fn of_setup(
        detector: &'static str,
        severity: Severity,
        because: String,
        repair: &'static str,
        offends: &str,
        spot: Spot,
    ) -> Self {
        let fingerprint = fingerprint(detector, &[&spot.key, offends]);
        Self {
            detector,
            severity,
            confidence: None,
            place: None,
            because,
            repair: Some(repair),
            mark: None,
            spot,
            fingerprint,
        }
    }

    /// What it is.
    pub(crate) fn detector(&self) -> &'static str {
        self.detector
    }

    /// Says of it whether it is known.
    pub(super) fn mark(&mut self, known: bool) {
        self.mark = Some(Mark { fingerprint: self.fingerprint.clone(), known });
    }

    /// Whether continuous integration stops at it.
    pub(super) fn counts(&self) -> bool {
        self.severity.flags() && !self.is_known()
    }

    pub(super) fn is_known(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.known)
    }

    /// Whose it is, and where: `server/tool/description`.
    pub(super) fn whole_place(&self) -> String {
        format!("{}{}", self.spot.subject, self.spot.inside)
    }
}

/// Before it, such findings were known by the words in backticks alone.
const ACROSS: &str = "across/2";

/// What findings across servers may name: servers, and tools with what they say.
#[derive(Default)]
pub(super) struct Beside(BTreeMap<String, Vec<String>>);

/// Most backticks in a text: others that quote it write no names with more.
const TICKS_MAX: usize = 64;

impl Beside {
    pub(super) fn of(offers: &[Offer]) -> Self {
        let mut all = Self::default();
        for offer in offers {
            let server = offer.server.as_deref().unwrap_or_default();
            all.put(server, key([server]));
            for tool in &offer.tools {
                let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
                let said = tool.to_string().into_bytes();
                let said = decision::canonical::bytes(&said).unwrap_or(said);
                let digest = Digest::of(&said).to_string();
                all.put(name, key([server, name, &digest]));
            }
        }
        all
    }

    fn put(&mut self, name: &str, party: String) {
        self.0.entry(inspect::shown::visible(name)).or_default().push(party);
    }

    /// Whatever may be meant by what stands in backticks; a name may have some of its own.
    fn quoted(&self, text: &str) -> Vec<String> {
        let ticks: Vec<usize> = text.match_indices('`').map(|(at, _)| at).take(TICKS_MAX).collect();
        let pairs = ticks.iter().enumerate().flat_map(|(i, from)| {
            ticks.iter().skip(i.saturating_add(1)).map(move |to| (from.saturating_add(1), *to))
        });
        let named = pairs.filter_map(|(from, to)| self.0.get(text.get(from..to)?));
        named.flatten().cloned().chain([text.matches('`').count().to_string()]).collect()
    }
}

/// Names as one text, which no other names are.
pub(super) fn key<S: Into<String>>(names: impl IntoIterator<Item = S>) -> String {
    Value::Array(names.into_iter().map(|name| Value::String(name.into())).collect()).to_string()
}

/// A server and what is of it. What cannot be taken for another is written as it always was.
pub(super) fn of_server(server: &str, kind: &str, name: &str) -> String {
    let odd = server.contains('/')
        || server.starts_with('[')
        || (kind.is_empty() && KINDS.iter().any(|kind| name.starts_with(kind)));
    if odd { key([server, kind, name]) } else { format!("{server}/{kind}{name}") }
}

/// What stands before a name that is no tool's, and in place of one.
const KINDS: [&str; 6] =
    ["prompt:", "resource:", "resource-template:", "instructions", "description", catalog::scan::IDENTITY];

/// A pointer without the numbers of elements, which change when something unrelated is added before them.
fn unnumbered(pointer: &str) -> String {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    pointer.split('/').map(|part| if is_number(&part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// The same for the same offence, whatever changes around it.
fn fingerprint(detector: &str, parts: &[&str]) -> String {
    let mut said = format!("callgate-finding/1\n{detector}");
    for part in parts {
        said.push_str(&format!("\n{} {part}", part.len()));
    }
    let digest = Digest::of(said.as_bytes()).to_string();
    digest.trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_of_elements_say_nothing_and_parts_do_not_run_together() {
        assert_eq!(unnumbered("/inputSchema/enum/12/x2"), "/inputSchema/enum/*/x2");
        assert_ne!(fingerprint("a", &["b", "cd"]), fingerprint("a", &["bc", "d"]));
        assert_ne!(fingerprint("a", &["b\n1 c"]), fingerprint("a", &["b", "c"]));
    }

    #[test]
    fn no_server_and_tool_are_taken_for_others() {
        assert_eq!(of_server("a", "", "b/c"), "a/b/c", "as it was written before");
        let all = [
            ("a", "", "b/c"),
            ("a/b", "", "c"),
            ("a", "prompt:", "x"),
            ("a", "", "prompt:x"),
            ("a", "instructions", ""),
            ("a", "", "instructions"),
            ("[\"a", "", "b\",\"\",\"c\"]"),
        ];
        let keys: std::collections::BTreeSet<String> =
            all.iter().map(|(server, kind, name)| of_server(server, kind, name)).collect();
        assert_eq!(keys.len(), all.len(), "{keys:?}");
    }

    #[test]
    fn a_finding_across_servers_is_another_with_another_server_or_another_definition() {
        let of = |servers: &[(&str, &str)]| {
            let offer = |(server, says): &(&str, &str)| Offer {
                server: Some((*server).to_owned()),
                tools: vec![json!({ "name": "read_note", "description": says })],
                ..Offer::default()
            };
            let offers: Vec<Offer> = servers.iter().map(offer).collect();
            let mut found = catalog::scan::scan(&offers).across;
            assert_eq!(found.len(), 1, "{found:?}");
            Notice::across(found.remove(0), Spot::default(), &Beside::of(&offers)).fingerprint
        };
        let text = "Reads one note of the team by its number and gives its title and its text back to whoever asked.";
        let first = of(&[("good", text), ("vendor", text)]);
        assert_eq!(first, of(&[("vendor", text), ("good", text)]));
        assert_ne!(first, of(&[("good", text), ("evil", text)]));
        let more = format!("{text} Notes are kept.");
        assert_ne!(first, of(&[("good", text), ("vendor", &more)]));
        assert_ne!(first, of(&[("good", &more), ("vendor", text)]));
        // names with backticks do not shift what is quoted
        assert_ne!(of(&[("x", text), ("y", text)]), of(&[("x` and `y", text), ("evil", text)]));
    }

    #[test]
    fn a_finding_is_another_when_its_text_is_and_only_then() {
        let finding = |place: &str| Finding {
            detector: Detector::Secrecy,
            severity: Severity::High,
            confidence: 1.0,
            place: place.to_owned(),
            because: "so".to_owned(),
        };
        let of = |tool: Value, place: &str| {
            let spot = Spot { key: of_server("a", "", "t"), ..Spot::default() };
            Notice::of_item(finding(place), &tool, &spot, place).fingerprint
        };
        let first = of(json!({ "name": "t", "description": "hush", "enum": ["x", "hush"] }), "/enum/1");
        assert_eq!(first, of(json!({ "name": "t", "description": "other", "enum": ["hush"] }), "/enum/0"));
        assert_ne!(first, of(json!({ "name": "t", "enum": ["hush!"] }), "/enum/0"));
        assert_ne!(first, of(json!({ "name": "t", "description": "hush" }), "/description"));
    }
}
