//! Markup of a conversation and voices of authority inside a text that should describe something.

use super::lexicon::{ALWAYS, FETCH, IGNORE, MODEL, MOVE, MUST, NOT, ROLE, RUN, TELL, USE, YOU};
use super::words::Sentence;
use crate::finding::{Detector, Severity, Sighting, excerpt};

/// Marks that chat templates put between speakers. A description has no use for them.
const TEMPLATES: &[&str] = &[
    "<|im_start|>",
    "<|im_end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<start_of_turn>",
    "### instruction",
    "### system",
    "###instruction",
    "<|endoftext|>",
    "<system-reminder>",
    "<function_calls>",
    "\nhuman:",
    "\nassistant:",
    "\n\nsystem:",
    "<<end",
    "[end of",
    "</tool_description",
    "</description",
    "</tool>",
    "</system",
    "begin system",
    "--- end",
];

/// Who is spoken to in a tag or a heading that a renderer may swallow.
const VOICES: &[&str] = &[
    "important",
    "system",
    "hidden",
    "secret",
    "instructions",
    "instruction",
    "critical",
    "admin",
    "assistant",
    "override",
    "internal",
    "private",
    "priority",
    "mandatory",
    "urgent",
    "alert",
    "sys",
    "prompt",
    "developer",
    "policy",
    "ai",
    "llm",
    "agent",
    "note_to_model",
    "warning",
    "directive",
    "rules",
    "s",
    "do_not_display",
    "invisible",
    "thinking",
    "thought",
];

/// Of those, what honest authors call a part of a long definition.
const SECTIONS: &[&str] = &["instructions", "instruction", "rules", "warning", "policy", "critical", "alert"];

pub(super) fn look(text: &str, sentences: &[Sentence<'_>], found: &mut Vec<Sighting>) {
    if text.contains(['<', '[', '#', '\n']) {
        let lower = text.to_ascii_lowercase();
        let marked = text.contains(['<', '[', '#']);
        if let Some(mark) = TEMPLATES
            .iter()
            .find(|mark| (marked || mark.starts_with(['\n', 'b', '-'])) && lower.contains(*mark))
        {
            let because = format!("`{}` is a mark between speakers of a conversation", mark.trim());
            found.push(Sighting::new(Detector::FakeRole, Severity::High, 0.9, because));
        } else if let Some((tag, inside)) = voice(text, &lower) {
            let severity = if commands(sentences) || shouts(tag) { Severity::High } else { Severity::Medium };
            let because =
                format!("`{tag}` speaks with a voice that is not a description's: `{}`", excerpt(inside));
            found.push(Sighting::new(Detector::FakeRole, severity, 0.85, because));
        }
    }
    // `fromNowOn` is a value, and no speech
    let word = !text.trim().contains(|c: char| c.is_whitespace() || !c.is_ascii());
    let speaks = |one: &&Sentence<'_>| (!word || one.tokens.len() > 3) && addresses_the_model(one);
    if let Some(spoken) = sentences.iter().find(speaks) {
        // some honest servers do, about their own arguments
        let severity = if spoken.speaks_of(ROLE) { Severity::High } else { Severity::Low };
        let because =
            format!("the model is spoken to, not told what the tool does: `{}`", excerpt(spoken.text));
        found.push(Sighting::new(Detector::FakeRole, severity, 0.75, because));
    }
}

/// Most tags that are read.
const TAGS_MAX: usize = 64;

/// A pair of tags, or brackets, named for somebody who may give orders, with a text.
fn voice<'a>(text: &'a str, lower: &str) -> Option<(&'a str, &'a str)> {
    for (open, close) in [('<', '>'), ('[', ']')] {
        for (at, _) in lower.match_indices(open).take(TAGS_MAX) {
            let Some(rest) = lower.get(at + 1..) else { continue };
            let Some(end) = rest.find(close).filter(|end| *end < 40) else { continue };
            let name = rest.get(..end).unwrap_or_default().trim_start_matches(['/', '!']);
            let first = name.split([' ', ':']).next().unwrap_or_default();
            let tag = text.get(at..at + end + 2).unwrap_or_default();
            let inside = text.get(at + end + 2..).unwrap_or_default();
            // `<id>` and `[admin]` stand for a value; a voice is closed again, shouts, or is followed by a sentence
            let closed = lower.contains(&format!("</{name}"));
            let shouts = shouts(tag);
            // "[+ workflow unless hidden]" is a part that may be missing
            let speaker = |word: &&str| {
                open == '<' || matches!(*word, "assistant" | "ai" | "llm" | "agent" | "system" | "developer")
            };
            let long =
                name.contains(' ') && name.split(' ').filter(speaker).any(|word| VOICES.contains(&word));
            let known = VOICES.contains(&first) || VOICES.contains(&name);
            // `[text](address)` is a link
            if open == '[' && inside.starts_with('(') {
                continue;
            }
            // where nothing is before it, no other voice begins
            let opens = lower
                .trim_start()
                .strip_prefix('<')
                .is_some_and(|start| start.strip_prefix(name).is_some_and(|after| after.starts_with('>')));
            let section =
                open == '<' && SECTIONS.contains(&name) && !shouts && (opens || has_sections(lower));
            let known = known && !section;
            let speaks = inside.split_whitespace().nth(2).is_some();
            if (known && speaks && (closed || shouts || open == '[' && at == 0)) || (long && name.len() > 12)
            {
                return Some((tag, if speaks { inside } else { tag }));
            }
        }
    }
    None
}

/// The text is written in sections: two others are opened and closed.
fn has_sections(lower: &str) -> bool {
    let mut sections: Vec<&str> = lower
        .match_indices("</")
        .take(TAGS_MAX)
        .filter_map(|(at, _)| lower.get(at + 2..)?.split_once('>').map(|(name, _)| name))
        .filter(|name| !VOICES.contains(name) && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .filter(|name| lower.contains(&format!("<{name}>")))
        .collect();
    sections.sort_unstable();
    sections.dedup();
    sections.len() > 1
}

fn shouts(tag: &str) -> bool {
    tag.starts_with('<') && tag.chars().any(char::is_uppercase) && !tag.chars().any(char::is_lowercase)
}

/// Somewhere the text orders something.
fn commands(sentences: &[Sentence<'_>]) -> bool {
    let verbs = MOVE.or(FETCH).or(RUN).or(USE).or(TELL).or(IGNORE);
    sentences.iter().any(|sentence| {
        sentence.commands(verbs) && (!sentence.first || sentence.speaks_of(MUST.or(ALWAYS).or(NOT).or(YOU)))
            || sentence.speaks_of(YOU.or(MODEL)) && sentence.speaks_of(MUST.or(ALWAYS).or(NOT))
    })
}

/// "Note to the assistant:", "Dear model", "you are now".
fn addresses_the_model(sentence: &Sentence<'_>) -> bool {
    let words: Vec<&str> = sentence.tokens.iter().take(8).map(|token| &*token.text).collect();
    let called = |words: &[&str]| match words {
        [to, "the" | "any" | "all", who, ..] | [to, who, ..]
            if matches!(*to, "to" | "for" | "dear" | "attention") =>
        {
            matches!(
                *who,
                "assistant" | "model" | "llm" | "ai" | "agent" | "agents" | "assistants" | "models" | "llms"
            )
        }
        _ => false,
    };
    let note = |word: &&str| {
        matches!(*word, "note" | "notice" | "message" | "instruction" | "instructions" | "reminder" | "hint")
    };
    (words.first().is_some_and(note) || words.get(1).is_some_and(note))
        && (1..4).any(|i| called(words.get(i..).unwrap_or_default()))
        || called(&words) && matches!(words.first(), Some(&"dear" | &"attention"))
        || matches!(
            words.as_slice(),
            ["you", "are", "now", ..] | ["from", "now", "on", ..] | ["you", "are", "a", "helpful", ..]
        )
        || matches!(words.as_slice(), [who, "instructions" | "instruction" | "note", ..] if matches!(*who, "assistant" | "agent" | "model" | "llm" | "ai"))
}
