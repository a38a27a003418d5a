//! Markup that a page does not show: comments, styles without size or colour, text beside the screen.

use super::{Hidden, Seat};
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::steering;
use crate::text::About;

/// Opening and closing of what renderers leave out.
const COMMENTS: &[(&str, &str)] = &[
    ("<!--", "-->"),
    ("[//]: #", "\n"),
    ("[comment]: #", "\n"),
    ("[_]: #", "\n"),
    ("<template>", "</template>"),
    ("<noscript>", "</noscript>"),
    ("<script", "</script"),
    ("\\phantom{", "}"),
    ("\\iffalse", "\\fi"),
    ("\\begin{comment}", "\\end{comment}"),
];

/// Properties of style that leave nothing to see, without the white space in them.
const STYLES: &[&str] = &[
    "display:none",
    "visibility:hidden",
    "opacity:0;",
    "opacity:0\"",
    "opacity:0'",
    "opacity:0}",
    "opacity:0.0",
    "font-size:0",
    "font-size:1px",
    "color:transparent",
    "color:white",
    "color:#fff",
    "color:rgba(0,0,0,0)",
    "text-indent:-9",
    "left:-9",
    "height:0;",
    "max-height:0",
    "clip:rect(0",
    "<spanhidden",
    "<divhidden",
    "<phidden",
    "hidden=\"",
    "aria-hidden=\"true",
    "<fontcolor=\"white",
    "color=\"white\"",
    "color=\"#fff",
    "\\color{white}",
    "\\textcolor{white}",
    "\\color[rgb]{1,1,1}",
    "\\transparent{0",
    "\\fontsize{0",
    "\\hphantom{",
    "\\vphantom{",
    "\\scalebox{0",
];

/// Most comments of one kind that are read; more of them are in the same text.
const COMMENTS_MAX: usize = 16;

pub(super) fn look(text: &str, hidden: &mut Hidden<'_>) {
    if !text.bytes().any(|b| matches!(b, b'<' | b'[' | b'\\' | b'{')) {
        return;
    }
    let lower = text.to_ascii_lowercase();
    for (open, close) in COMMENTS {
        for (at, _) in lower.match_indices(open).take(COMMENTS_MAX) {
            // lower has the length of the text: only ASCII letters changed
            let Some(inside) = text.get(at + open.len()..) else { continue };
            let lowered = lower.get(at + open.len()..).unwrap_or_default();
            // a condition of an old mail program that is spoken of, and closed nowhere
            if lowered.starts_with("[if ") && !lowered.contains(close) {
                continue;
            }
            // `<script>alert(1)</script>` in a line about such things is shown, as code is
            let quoted = text.get(..at).is_some_and(|before| before.ends_with(['`', '"', '\'']));
            if quoted && *open == "<script" && lowered.find(close).is_some_and(|end| end < 60) {
                continue;
            }
            let end = lowered.find(close).unwrap_or(inside.len());
            let inside = inside.get(..end).unwrap_or(inside);
            comment(open, inside, hidden);
        }
    }
    style(text, &lower, hidden);
    if ["\\x1b[", "\\u001b[", "\\033[", "\\e["].iter().any(|escape| lower.contains(escape)) {
        let because = "a terminal escape is spelled out";
        hidden.sightings.push(Sighting::new(Detector::ControlCharacters, Severity::Medium, 0.5, because));
    }
}

/// A comment of a word or two is layout; one of sentences speaks to somebody who reads the source.
fn comment(open: &str, inside: &str, hidden: &mut Hidden<'_>) {
    let words = inside.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    let script = open.starts_with("<script");
    if words < 2 && !script {
        return;
    }
    let severity = if words > 3 || script { Severity::High } else { Severity::Medium };
    hidden.sightings.push(Sighting::new(
        Detector::InvisibleMarkup,
        severity,
        0.85,
        format!("`{}` is not shown by what renders this: `{}`", open.trim_end(), excerpt(inside)),
    ));
    hidden.revealed.push(inside.to_owned());
}

fn style(text: &str, lower: &str, hidden: &mut Hidden<'_>) {
    // a style is seldom written without these; a description seldom with both
    if !lower.contains(['<', '\\', '{']) {
        return;
    }
    let mut tight = String::with_capacity(lower.len());
    let mut places = Vec::with_capacity(lower.len());
    for (at, c) in lower.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        tight.push(c);
        places.resize(tight.len(), at);
    }
    // several styles on one text are one finding
    if let Some((at, style)) =
        STYLES.iter().filter_map(|style| tight.find(style).map(|at| (at, *style))).min_by_key(|(at, _)| *at)
    {
        let from = places.get(at + style.len() - 1).map_or(0, |place| place + 1);
        let rest = text.get(from..).unwrap_or_default();
        let rest = rest.trim_start_matches(|c: char| !c.is_whitespace() && c != '>').trim_start_matches('>');
        let because = format!("`{style}` makes text invisible: `{}`", excerpt(rest));
        let tag = text.get(..from).and_then(|before| before.rfind('<')).unwrap_or(from);
        let severity = if is_spoken_of(text, tag, rest) { Severity::Low } else { Severity::High };
        hidden.sightings.push(Sighting::new(Detector::InvisibleMarkup, severity, 0.85, because));
        if !severity.flags() {
            return;
        }
        hidden.revealed.push(rest.to_owned());
    }
}

/// "Renders `<div style="display:none">` to a picture": a tag that is spoken of, opened in the middle of a sentence that goes on
/// behind it, closed nowhere, and nothing is seen in
/// what is behind it.
fn is_spoken_of(text: &str, tag: usize, rest: &str) -> bool {
    let opened = text.get(tag..).is_some_and(|tag| tag.starts_with('<'));
    let goes_on = |c: char| c.is_lowercase() || matches!(c, '`' | ',' | ')' | '"' | '\'');
    let before = text.get(..tag).unwrap_or_default().trim_end_matches(['`', '"', '\'', '(', ' ']);
    opened
        && before.ends_with(char::is_alphanumeric)
        && rest.trim_start().starts_with(goes_on)
        && !rest.contains("</")
        && steering::weigh(rest, Seat::Value, &About::default()).is_empty()
}
