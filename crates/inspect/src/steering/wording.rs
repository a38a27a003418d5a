//! How a sentence is worded, beside sentences of poisoned and of honest definitions.
//!
//! Rules find what has a shape, and an attack that sounds like documentation has none. So each word, each pair of neighbours
//! and each topic has a weight, learnt by logistic regression from labelled sentences; what a sentence weighs is their sum over
//! the root of their number. Nothing is called and nothing is learnt at run time: it is one table in the program, made by
//! `cargo xtask learn wording`, and the words that weigh most are in the reason.

use super::lexicon::{CONTEXT, MODEL, OTHERS, OUTSIDE, QUOTED, SECRET, STRONGBOX, Topics, USER, YOU};
use super::words::{Kind, Sentence, Token, is_unspaced};
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::text::About;

/// How many features are told apart; a power of two.
pub const BUCKETS: usize = 1 << 17;
/// Two numbers of four bytes, little end first: what a step of a weight is worth, and what a sentence of nothing weighs.
const HEAD: usize = 8;
static TABLE: &[u8; HEAD + BUCKETS] = include_bytes!("wording.bin");

/// From here on a text is withheld: 0.3 % of real tools that were not learnt from weigh as much (`docs/detection.md`).
pub const STEERS: f32 = 2.6;
/// From here on a reviewer is told.
const NOTEWORTHY: f32 = 1.6;

/// Somebody who acts, or something that an order would be about.
const STEERABLE: Topics = MODEL.or(YOU).or(USER).or(OTHERS).or(OUTSIDE).or(SECRET).or(STRONGBOX).or(CONTEXT);

/// What a text of each kind is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Description,
    Parameter,
    Title,
    Instructions,
    Data,
}

impl Carrier {
    fn of(seat: Seat, about: &About<'_>) -> Option<Self> {
        Some(match seat {
            Seat::Name => return None,
            Seat::Title => Self::Title,
            Seat::Prose if about.asks => Self::Parameter,
            Seat::Prose => Self::Description,
            Seat::Value if about.value => Self::Data,
            Seat::Value => Self::Instructions,
        })
    }
}

/// What the heaviest sentence of a text is like.
pub(super) fn look(sentences: &[Sentence<'_>], seat: Seat, about: &About<'_>) -> Option<Sighting> {
    let carrier = Carrier::of(seat, about)?;
    let all = sentences.iter().filter_map(|one| Some((one, weight(one, carrier)?)));
    let (sentence, weight) = all.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let severity = match weight {
        _ if weight >= STEERS && !is_cited(sentence) => Severity::High,
        _ if weight >= NOTEWORTHY => Severity::Low,
        _ => return None,
    };
    let telling = telling(sentence).join("`, `");
    let because =
        format!("worded like texts that steer a model, by `{telling}`: `{}`", excerpt(sentence.text));
    Some(Sighting::new(Detector::Wording, severity, confidence(weight), because))
}

/// It says what it is about and then such a text, as a scanner's description does: "finds texts such as: …".
fn is_cited(sentence: &Sentence<'_>) -> bool {
    let cites = sentence.text.contains(": ") || sentence.text.contains('"');
    cites && sentence.speaks_of(QUOTED) && !sentence.speaks_to_somebody()
}

/// From half of the most where reviewers are told to nearly the most where a text is withheld: words alone are never as sure
/// as text that hides.
fn confidence(weight: f32) -> f32 {
    const MOST: f32 = 0.9;
    MOST / (1.0 + (-2.0 * (weight - NOTEWORTHY)).exp())
}

/// What a sentence weighs, or of a long one its heaviest part, so that nothing is made light by much around it; `None` for
/// what is too short.
fn weight(sentence: &Sentence<'_>, carrier: Carrier) -> Option<f32> {
    /// Longest sentence that is weighed as one, and how long and how far apart the parts of others are, in words.
    const LONG: usize = 64;
    const PART: usize = 40;
    const STRIDE: usize = 20;
    let whole = std::iter::once((&*sentence.tokens, sentence.topics));
    let ending = sentence.tokens.rchunks(PART).take(1);
    let parts = sentence.tokens.windows(PART).step_by(STRIDE).chain(ending);
    let parts = parts.filter(|_| sentence.tokens.len() > LONG);
    let parts = parts.map(|part| (part, part.iter().fold(Topics::NONE, |all, one| all.or(one.topics))));
    let weights = whole.chain(parts).filter_map(|(tokens, topics)| {
        let here = weight_of(&Piece { tokens, topics, first: sentence.first, carrier })?;
        // an order is one wherever it stands; what is said of a thing is weighed where it is said
        let elsewhere = Piece { tokens, topics, first: false, carrier: Carrier::Description };
        let there = if topics.meets(STEERABLE) { weight_of(&elsewhere) } else { None };
        Some(there.map_or(here, |there| here.max(there)))
    });
    weights.max_by(f32::total_cmp)
}

/// A sentence, or a part of one, and where it stands.
struct Piece<'s, 't> {
    tokens: &'s [Token<'t>],
    topics: Topics,
    first: bool,
    carrier: Carrier,
}

fn weight_of(piece: &Piece<'_, '_>) -> Option<f32> {
    let [s0, s1, s2, s3, b0, b1, b2, b3, ..] = TABLE;
    let (step, bias) = (f32::from_le_bytes([*s0, *s1, *s2, *s3]), f32::from_le_bytes([*b0, *b1, *b2, *b3]));
    let (mut sum, mut count) = (0, 0_u16);
    each(piece, |feature| {
        sum += steps(feature);
        count = count.saturating_add(1);
    });
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds of small numbers")]
    (count > 0).then(|| bias + step * sum as f32 / f32::from(count).sqrt())
}

fn steps(feature: u32) -> i32 {
    TABLE.get(HEAD + feature as usize).map_or(0, |step| i32::from(step.cast_signed()))
}

/// The words and pairs that weigh most.
fn telling(sentence: &Sentence<'_>) -> Vec<String> {
    const MOST: usize = 3;
    let mut all: Vec<(i32, String)> = Vec::new();
    let mut before: Option<(String, u64)> = None;
    words(&sentence.tokens, |word| {
        let own = hash(word);
        all.push((steps(bucket(own)), word.to_owned()));
        if let Some((first, of_first)) = &before {
            all.push((steps(bucket(pair(*of_first, own))), format!("{first} {word}")));
        }
        before = Some((word.to_owned(), own));
    });
    all.sort_by(|(a, one), (b, other)| b.cmp(a).then(one.cmp(other)));
    all.dedup();
    all.into_iter().take(MOST).filter(|(steps, _)| *steps > 0).map(|(_, text)| excerpt(&text)).collect()
}

/// What stands for no word.
const BEGIN: u64 = 1;
const END: u64 = 2;
const TOPIC: u64 = 3;
const FIRST: u64 = 4;
const CARRIER: u64 = 5;

/// Calls back with each feature, as often as it is there. Three words are no sentence.
fn each(piece: &Piece<'_, '_>, mut then: impl FnMut(u32)) {
    if piece.tokens.len() < 4 && !piece.tokens.iter().any(is_unspaced_word) {
        return;
    }
    let mut before = BEGIN;
    words(piece.tokens, |word| {
        let own = hash(word);
        // a word said a hundred times weighs no more than once
        if own != before {
            then(bucket(own));
            then(bucket(pair(before, own)));
            before = own;
        }
    });
    then(bucket(pair(before, END)));
    topics(piece.topics, |topic| then(bucket(pair(TOPIC, topic))));
    then(bucket(pair(FIRST, u64::from(piece.first))));
    then(bucket(pair(CARRIER, piece.carrier as u64)));
}

fn topics(of: Topics, mut then: impl FnMut(u64)) {
    let mut left = of.bits();
    while left != 0 {
        then(u64::from(left.trailing_zeros()));
        left &= left - 1;
    }
}

/// Words as they are compared: addresses and numbers are each one; what is written without spaces goes by pairs of letters.
fn words(tokens: &[Token<'_>], mut then: impl FnMut(&str)) {
    for token in tokens {
        match token.kind {
            Kind::Url => then("<url>"),
            Kind::Mail => then("<mail>"),
            Kind::Path => then("<path>"),
            Kind::Word | Kind::Name if token.text.as_bytes().first().is_some_and(u8::is_ascii_digit) => {
                then("<n>")
            }
            Kind::Word | Kind::Name if is_unspaced_word(token) => letters(&token.text, &mut then),
            Kind::Word | Kind::Name => then(&token.text),
        }
    }
}

fn is_unspaced_word(token: &Token<'_>) -> bool {
    !token.text.is_ascii() && token.text.chars().any(is_unspaced)
}

fn letters(text: &str, then: &mut impl FnMut(&str)) {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let pairs = text.char_indices().zip(ends.skip(1));
    pairs.filter_map(|((from, _), to)| text.get(from..to)).for_each(then);
}

const STIR: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash(word: &str) -> u64 {
    let mut state = word.len() as u64;
    let mut rest = word.as_bytes();
    while let Some((eight, left)) = rest.split_first_chunk() {
        state = (state.rotate_left(5) ^ u64::from_le_bytes(*eight)).wrapping_mul(STIR);
        rest = left;
    }
    let last = rest.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
    state = (state.rotate_left(5) ^ last).wrapping_mul(STIR);
    state
}

fn pair(first: u64, second: u64) -> u64 {
    (first.rotate_left(23) ^ second.rotate_left(7)).wrapping_mul(STIR)
}

fn bucket(hash: u64) -> u32 {
    let first_bits = (hash ^ hash >> 29).wrapping_mul(STIR) >> (u64::BITS - BUCKETS.trailing_zeros());
    u32::try_from(first_bits).unwrap_or_default()
}

/// A sentence, for whoever learns from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worded {
    pub text: String,
    /// Numbers below [`BUCKETS`], as often as each is there; none for what is too short to be weighed.
    pub features: Vec<u32>,
}

/// The sentences of a text with their features, as they are weighed. A name has none.
pub fn wordings(text: &str, seat: Seat, about: &About<'_>) -> Vec<Worded> {
    let Some(carrier) = Carrier::of(seat, about) else { return Vec::new() };
    let of = |sentence: &Sentence<'_>| {
        let mut features = Vec::new();
        let (tokens, topics, first) = (&*sentence.tokens, sentence.topics, sentence.first);
        each(&Piece { tokens, topics, first, carrier }, |feature| features.push(feature));
        Worded { text: sentence.text.to_owned(), features }
    };
    super::prepared(text, seat, about).iter().map(of).collect()
}
