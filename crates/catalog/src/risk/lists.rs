//! Deeds that a description lists: `Supports adding and removing`, `Dataset ops: list/get/delete`.

use super::lexicon::{Act, inflected, looking, nounish};
use super::prose::conjunction;
use super::words::{Form, Gap, Token};

/// A sentence that lists what can be asked for.
pub(super) fn lists_deeds(sentence: &[Token]) -> bool {
    let mut words = sentence.iter().map(|token| token.word.as_str());
    let first = words.next().unwrap_or_default();
    matches!(
        first,
        "supports" | "support" | "supported" | "operations" | "actions" | "methods" | "capabilities"
    ) || (first == "available"
        && words.next().is_some_and(|word| matches!(word, "actions" | "operations" | "methods")))
        || (first == "can" && sentence.len() > 1)
        || enumerates(sentence)
}

/// `Dataset ops: list/get/create/delete`: what it can be told to do, by what it is done to.
fn enumerates(sentence: &[Token]) -> bool {
    let head = sentence.iter().take(5).position(|token| {
        matches!(token.word.as_str(), "ops" | "operations" | "actions" | "commands" | "subcommands")
    });
    let listed = |at: usize| {
        let rest = sentence.get(at + 1..).unwrap_or_default();
        let colon = rest.first().is_some_and(|token| token.gap == Gap::Colon);
        let known = rest.iter().skip(1).take(12).filter(|token| inflected(&token.word).is_some()).count();
        colon && rest.get(1).is_some_and(|token| token.gap == Gap::Aside) && known > 1
    };
    head.is_some_and(listed)
}

/// The run of verbs that begins first after `from`.
pub(super) fn list_after(sentence: &[Token], from: usize) -> Vec<(Act, String)> {
    let deed = |token: &Token| {
        inflected(&token.word).filter(|(act, form)| *form != Form::Third && *act != Act::Umbrella)
    };
    let rest = sentence.get(from..).unwrap_or_default();
    let Some(start) = rest.iter().position(|token| deed(token).is_some()) else {
        return Vec::new();
    };
    if start > 5 {
        return Vec::new();
    }
    let listed = rest.iter().skip(start).take(24).enumerate();
    let of_list = listed.filter(|(at, token)| {
        let before = (start + at).checked_sub(1).and_then(|at| rest.get(at));
        *at == 0
            || token.gap == Gap::Comma
            || token.gap == Gap::Aside
            || before.is_some_and(|before| conjunction(&before.word))
    });
    // `publish date`, `text search`: a noun before another
    let noun = |(at, token): &(usize, &Token)| {
        let next = rest.get(start + at + 1).filter(|next| next.gap == Gap::Space);
        next.is_some_and(|next| match next.word.as_str() {
            "date" | "dates" | "time" => true,
            next => nounish(&token.word) && looking(next),
        })
    };
    of_list
        .filter(|listed| !noun(listed))
        .filter_map(|(_, token)| Some((deed(token)?.0, token.word.clone())))
        .collect()
}

/// What is listed with marks, however the lines break: `with these actions: - get: Get it. - delete: Deletes it.`
pub(super) fn items(text: &str) -> Vec<(Act, String)> {
    let words: Vec<&str> = text.split_whitespace().take(600).collect();
    let mark = |word: &str| {
        matches!(word, "-" | "*" | "•" | "–" | "·")
            || word.strip_suffix(['.', ')']).is_some_and(|number| number.parse::<u8>().is_ok())
    };
    let of_deeds = |word: &&str| {
        let plain = word.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
        matches!(
            plain.as_str(),
            "actions"
                | "action"
                | "operations"
                | "operation"
                | "commands"
                | "subcommands"
                | "methods"
                | "modes"
                | "ops"
        )
    };
    let Some(first) = words.iter().position(|word| mark(word)) else {
        return Vec::new();
    };
    let head = words.get(first.saturating_sub(6)..first).unwrap_or_default();
    if !head.iter().any(of_deeds) {
        return Vec::new();
    }
    let named = |(at, word): (usize, &&str)| {
        let item = words.get(at + 1).filter(|_| mark(word))?;
        let ends = item.ends_with(':')
            || words.get(at + 2).is_some_and(|next| matches!(*next, "-" | "–" | ":" | "="));
        let item = item.trim_matches(|c: char| !c.is_alphanumeric());
        ends.then(|| Some((super::schema::deed(item, true)?, item.to_owned())))?
    };
    words.iter().enumerate().skip(first).filter_map(named).collect()
}
