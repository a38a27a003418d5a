//! What each detector looks for, in the words of a rule: for answers that programs keep.

use catalog::lint;
use inspect::{Detector, Severity};

/// A detector as a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    /// The usual severity; a finding has its own.
    pub(super) severity: Severity,
    pub(super) what: &'static str,
    pub(super) repair: &'static str,
}

const REWORD: &str = "Take the text out of the definition, or do not use the server.";

const POISON: [(Detector, Severity, &str, &str); 27] = [
    (
        Detector::HiddenCharacters,
        Severity::Critical,
        "Characters that nobody sees and every model reads.",
        REWORD,
    ),
    (Detector::Bidi, Severity::High, "Characters that turn the direction of writing.", REWORD),
    (Detector::ControlCharacters, Severity::High, "Terminal escapes and other control characters.", REWORD),
    (Detector::Confusables, Severity::Medium, "Letters of another script that look like these.", REWORD),
    (Detector::InvisibleMarkup, Severity::High, "Comments, and markup that makes text invisible.", REWORD),
    (Detector::WhiteSpace, Severity::Medium, "White space that pushes text out of sight.", REWORD),
    (Detector::EncodedText, Severity::High, "Text in a code.", REWORD),
    (Detector::FakeRole, Severity::High, "Markup of a conversation, or a voice of authority.", REWORD),
    (Detector::Override, Severity::High, "What was said before is to be forgotten.", REWORD),
    (Detector::Secrecy, Severity::High, "The user is not to know.", REWORD),
    (Detector::ConsentBypass, Severity::High, "The user is not to be asked.", REWORD),
    (
        Detector::Exfiltration,
        Severity::Critical,
        "Data the tool has no business with is to be handed over.",
        REWORD,
    ),
    (
        Detector::ExfiltrationParameter,
        Severity::High,
        "A parameter asks for the conversation, credentials or files.",
        "Take the parameter out of the schema, or do not use the server.",
    ),
    (Detector::Outside, Severity::High, "Data is to go to a place outside.", REWORD),
    (Detector::OtherTools, Severity::High, "How other tools are to be used.", REWORD),
    (Detector::Preference, Severity::Medium, "This tool is to be preferred, whatever was asked.", REWORD),
    (Detector::Phishing, Severity::High, "The user is to be made to give or do something.", REWORD),
    (Detector::SideAction, Severity::High, "Something is to be run or destroyed on the side.", REWORD),
    (
        Detector::Conduct,
        Severity::High,
        "Several signs together that the text governs what is not this tool's business.",
        REWORD,
    ),
    (Detector::Wording, Severity::High, "Its words are those of texts that steer a model.", REWORD),
    (Detector::Carrier, Severity::High, "Prose where a value belongs.", "Let values be values."),
    (
        Detector::OverLong,
        Severity::Medium,
        "Longer than anybody reads.",
        "Shorten it, and move manuals elsewhere.",
    ),
    (
        Detector::NameCollision,
        Severity::Low,
        "One name for two tools, of two servers or of one.",
        "Rename one of them, or for two servers reach both through a gateway that names each tool after its server.",
    ),
    (
        Detector::Impersonation,
        Severity::High,
        "A tool or a server that passes for another.",
        "Find out who wrote it; use only the one that you meant.",
    ),
    (Detector::SplitPayload, Severity::High, "A text in pieces, to be put together.", REWORD),
    (
        Detector::Contradiction,
        Severity::High,
        "The author's hints deny what the definition says.",
        "Correct the hints, or the description.",
    ),
    (
        Detector::UnreadLanguage,
        Severity::Low,
        "A language that nothing here reads, so nothing can be found in it.",
        "Have somebody who speaks it read the definition.",
    ),
];

const SETUP: [(&str, Severity, &str, &str); 21] = [
    (
        "two-ways",
        Severity::High,
        "A program and an address, or several addresses: which counts is up to the client.",
        "Leave one of them.",
    ),
    ("plain-http", Severity::High, "Another machine is reached in the clear.", "Use https."),
    ("shell", Severity::Medium, "A shell line starts the server.", "Name the program and its arguments."),
    ("unpinned", Severity::Medium, "Each start runs whatever is newest.", "Name one version."),
    (
        "container-of-the-host",
        Severity::High,
        "A container has what the machine has.",
        "Mount and allow what it needs.",
    ),
    (
        "broad-folder",
        Severity::High,
        "A server of files may use far too many.",
        "Name the folders that are needed.",
    ),
    (
        "secret-in-file",
        Severity::High,
        "A credential stands in a file.",
        "Have the gateway keep it: `callgate secret set`.",
    ),
    (
        "ungoverned",
        Severity::Low,
        "Nothing stands between the model and the server.",
        "`callgate import`, or the gateway's address.",
    ),
    (
        "unmarked-secret",
        Severity::Medium,
        "A credential that no client would treat as one.",
        "Say `\"isSecret\": true`.",
    ),
    (
        "other-code",
        Severity::High,
        "An option runs something else than what is named.",
        "Name the program, and keep its code in a file of it.",
    ),
    (
        "loads-code",
        Severity::High,
        "A variable has code loaded into whatever is started.",
        "Leave the variable out.",
    ),
    (
        "other-source",
        Severity::Medium,
        "Packages come from where somebody else says.",
        "Keep the source in the machine's own configuration.",
    ),
    (
        "foreign-runner",
        Severity::High,
        "A program that does not fetch such a package.",
        "Name the one that does, or none.",
    ),
    (
        "runner-argument",
        Severity::Medium,
        "An argument of which nobody knows that it leaves alone what is run.",
        "Leave it to the user.",
    ),
    (
        "bad-package",
        Severity::High,
        "A package's name or version that is none.",
        "Name the package as its registry does.",
    ),
    ("withdrawn", Severity::High, "The registry has taken it back.", "Do not use it."),
    ("deprecated", Severity::Medium, "Its registry says that it is going away.", "Use what replaces it."),
    (
        "unchecked-digest",
        Severity::Low,
        "A digest that the package's runner does not check.",
        "Compare it by hand, or name an image by its digest.",
    ),
    ("unverified-package", Severity::High, "A package that can be replaced.", "Name its `fileSha256`."),
    ("old-transport", Severity::Low, "A transport that is going away.", "Offer `streamable-http`."),
    ("no-source", Severity::Low, "Nobody can read what it does.", "Name its `repository`."),
];

/// Every rule there is.
pub(super) fn all() -> Vec<Rule> {
    let poison = POISON.iter().map(|(detector, severity, what, repair)| Rule {
        id: detector.as_str(),
        severity: *severity,
        what,
        repair,
    });
    let setup =
        SETUP.iter().map(|(id, severity, what, repair)| Rule { id, severity: *severity, what, repair });
    let design = lint::Rule::ALL.map(|rule| Rule {
        id: rule.as_str(),
        severity: rule.severity(),
        what: rule.what(),
        repair: rule.repair(),
    });
    poison.chain(setup).chain(design).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_one_name() {
        let mut ids: Vec<&str> = all().iter().map(|rule| rule.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
