//! The words of a finding: what saw it, how bad it is, and why.

use serde::Serialize;

/// How much a finding asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// Seen in honest texts as often as not.
    Low,
    /// One sign of an attack without a second.
    Medium,
    /// Poisoned: two signs that bear each other out, or one that has no honest use. To be withheld.
    High,
    /// Poisoned, and what it would do is known.
    Critical,
}

impl Severity {
    /// Whether what it was found in counts as poisoned.
    pub fn flags(self) -> bool {
        self >= Self::High
    }
    /// As it is written for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What saw it. The list is closed, and its names are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// Characters that nobody sees: without width, tags, runs of variation selectors.
    HiddenCharacters,
    /// Characters that turn the direction of writing.
    Bidi,
    /// Terminal escapes and other control characters.
    ControlCharacters,
    /// Letters of another script that look like these.
    Confusables,
    /// Comments, and markup that makes text invisible.
    InvisibleMarkup,
    /// So much white space that what follows is out of sight.
    WhiteSpace,
    /// Text in a code: base64, hexadecimal, escapes, shifted, reversed, spelled with digits or spaces.
    EncodedText,
    /// Markup of a conversation, or a voice of authority, inside a definition.
    FakeRole,
    /// What was said before is to be forgotten.
    Override,
    /// The user is not to know.
    Secrecy,
    /// The user is not to be asked.
    ConsentBypass,
    /// What the tool has no business with is to be fetched or handed over.
    Exfiltration,
    /// A parameter asks for the conversation, credentials or files.
    ExfiltrationParameter,
    /// Data is to go to a place outside.
    Outside,
    /// How other tools are to be used.
    OtherTools,
    /// This tool is to be preferred, whatever was asked.
    Preference,
    /// The user is to be made to give or do something.
    Phishing,
    /// Something is to be run or destroyed on the side.
    SideAction,
    /// Several signs together that the text governs what is not this tool's business.
    Conduct,
    /// Its words are those of texts that steer a model, by what was learnt from labelled ones.
    Wording,
    /// Prose where a value belongs.
    Carrier,
    /// Longer than anybody reads.
    OverLong,
    /// Two servers, one name: which is called is chance.
    NameCollision,
    /// A tool or a server that passes for another.
    Impersonation,
    /// A text in pieces, to be put together.
    SplitPayload,
    /// The author's hints deny what the definition says.
    Contradiction,
    /// It is in a language that nothing here reads.
    UnreadLanguage,
}

impl Detector {
    /// As it is written for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HiddenCharacters => "hidden-characters",
            Self::Bidi => "bidi",
            Self::ControlCharacters => "control-characters",
            Self::Confusables => "confusables",
            Self::InvisibleMarkup => "invisible-markup",
            Self::WhiteSpace => "white-space",
            Self::EncodedText => "encoded-text",
            Self::FakeRole => "fake-role",
            Self::Override => "override",
            Self::Secrecy => "secrecy",
            Self::ConsentBypass => "consent-bypass",
            Self::Exfiltration => "exfiltration",
            Self::ExfiltrationParameter => "exfiltration-parameter",
            Self::Outside => "outside",
            Self::OtherTools => "other-tools",
            Self::Preference => "preference",
            Self::Phishing => "phishing",
            Self::SideAction => "side-action",
            Self::Conduct => "conduct",
            Self::Wording => "wording",
            Self::Carrier => "carrier",
            Self::OverLong => "over-long",
            Self::NameCollision => "name-collision",
            Self::Impersonation => "impersonation",
            Self::SplitPayload => "split-payload",
            Self::Contradiction => "contradiction",
            Self::UnreadLanguage => "unread-language",
        }
    }
}

/// Something seen in a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sighting {
    pub detector: Detector,
    pub severity: Severity,
    /// From 0 to 1: how often such a thing is meant ill. An order, not a measured probability.
    pub confidence: f32,
    pub because: String,
}

impl Sighting {
    pub fn new(detector: Detector, severity: Severity, confidence: f32, because: impl Into<String>) -> Self {
        Self { detector, severity, confidence, because: because.into() }
    }
}

/// The first characters of a text, for a reason: one line, everything in it visible.
pub fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut one: String = text.split_whitespace().take(CHARS_MAX).collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = one.char_indices().nth(CHARS_MAX) {
        one.truncate(cut);
        one.push('…');
    }
    crate::shown::visible(&one)
}
