//! How a sentence begins that says in another way than by its first verb what is done: a request to do it, a look that a noun
//! names, what is told in full after a colon; and sentences that are advice.

use super::lexicon::{Act, inflected};
use super::prose::{article, lead_in};
use super::words::{Form, Gap, Token};

/// `Semantic search by meaning`, `Full-text search of bodies`: a look that a noun names.
pub(super) fn names_a_look(sentence: &[Token]) -> Option<String> {
    let at = sentence.iter().take(4).position(|token| matches!(token.word.as_str(), "search" | "lookup"))?;
    let plain =
        sentence.iter().take(at).all(|token| inflected(&token.word).is_none() && !lead_in(&token.word, &[]));
    let of = sentence.get(at + 1).is_some_and(|next| {
        next.gap == Gap::Space
            && matches!(next.word.as_str(), "of" | "by" | "over" | "across" | "via" | "through" | "in" | "on")
    });
    (at > 0 && plain && of).then(|| "search".to_owned())
}

/// What whoever calls it has to do before, further on in its description: `Configure the address of the service`.
pub(super) fn advises(sentence: &[Token]) -> bool {
    sentence.first().is_some_and(|first| {
        matches!(first.word.as_str(), "configure" | "set" | "enable" | "install" | "ensure" | "preserve")
    })
}

/// `Review a request: submit an opinion`: what is done in full.
pub(super) fn told_after_a_colon(rest: &[Token]) -> Option<(Act, String)> {
    let at = rest.iter().position(|token| token.gap == Gap::Colon)?;
    let (verb, next) = (rest.get(at)?, rest.get(at + 1)?);
    let (act, form) = inflected(&verb.word)?;
    (form == Form::Base && article(&next.word)).then(|| (act, verb.word.clone()))
}

/// `Make a request to read a topic`: what is done is what is asked for.
pub(super) fn requested(sentence: &[Token]) -> Option<(usize, Form)> {
    let asks = matches!(
        sentence.first()?.word.as_str(),
        "make"
            | "makes"
            | "send"
            | "sends"
            | "issue"
            | "issues"
            | "perform"
            | "performs"
            | "execute"
            | "executes"
    );
    let request = |token: &Token| matches!(token.word.as_str(), "request" | "call" | "query");
    let at = sentence.iter().take(6).position(request).filter(|_| asks)?;
    let (to, deed) = (sentence.get(at + 1)?, sentence.get(at + 2)?);
    let (_, form) = inflected(&deed.word).filter(|_| to.word == "to" && to.gap == Gap::Space)?;
    Some((at + 2, form))
}
