//! What a sentence asks that is not the tool's business, told by its shape: which things it takes in hand, whose they
//! are, when it is to be done, where it leads and who is not to hear of it.
//!
//! The words are ordinary ones in wide classes, and each sign is seen in honest texts. So each has a weight, and only
//! several of different kinds together make a finding.

mod honest;
mod language;
mod signs;

use super::lexicon::world::{
    AGENDA, AWARE, BESIDE, BEYOND, BROWSER, CHECK, CLAIM, CONTENT, DEED, DISCREET, DISPARAGED, DOWN, FOLK,
    GIVEN_RULES, MAILBOX, MONEY, OUGHT, PAPER, PAPERS, PERSON, PRETEXT, READER, RIVAL, SAID, SCOPE, SCREEN,
    SETTINGS, TALE, TIMING, UNASKED, UNTRUE, VERB,
};
use super::lexicon::{
    CONTEXT, FETCH, HOST, MOVE, NOT, PERSONAL, PLACE, QUOTED, SECRET, STRONGBOX, TALK, TELL, TOOL, Topics,
    USER,
};
use super::words::{Kind, Sentence, Token};
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::text::About;
pub(super) use honest::is_a_constant;
use honest::is_a_desk;
use language::is_english;
use signs::{ENOUGH, Signs};

/// What a tool may come upon by what the text around it says, and what only its name can excuse.
const SOFT: Topics = MAILBOX.or(AGENDA).or(PAPERS).or(FOLK).or(BROWSER).or(SCREEN).or(MONEY);
const HARD: Topics = SETTINGS.or(GIVEN_RULES).or(STRONGBOX).or(CONTEXT).or(HOST);
const THINGS: Topics = SOFT.or(HARD);
/// What can be handed over, in any rule's words.
pub(super) const GOODS: Topics = THINGS.or(PAPER).or(SAID).or(TALK).or(SECRET).or(PLACE).or(PERSONAL);
/// Without one of these nothing is weighed.
const HEAVY: Topics = THINGS
    .or(PAPER)
    .or(SAID)
    .or(DISCREET)
    .or(AWARE)
    .or(UNASKED)
    .or(DOWN)
    .or(RIVAL)
    .or(TALE)
    .or(READER)
    .or(DEED)
    .or(CLAIM)
    .or(UNTRUE);

/// From here on two sentences that follow each other are.
const ENOUGH_OF_TWO: u32 = 5;

pub(super) fn look(sentences: &[Sentence<'_>], seat: Seat, about: &About<'_>, found: &mut Vec<Sighting>) {
    if seat == Seat::Name {
        return;
    }
    let mut before = Signs::NONE;
    let mut worst: Option<(u32, Signs, &str)> = None;
    for sentence in sentences {
        let signs = Weighed { s: sentence, seat, about }.signs(before.heavy() > 0);
        let both = signs.and(before);
        let pair = signs.heavy() > 0 && before.heavy() > 0 && both.weight() >= ENOUGH_OF_TWO;
        let told = if pair { both } else { signs };
        let graver = |of: Signs| (of.convict(), of.weight());
        if (signs.flags() || pair) && worst.is_none_or(|(_, signs, _)| graver(signs) < graver(told)) {
            worst = Some((told.weight(), told, sentence.text));
        }
        before = signs;
    }
    if let Some((weight, signs, text)) = worst {
        let confidence = if weight > ENOUGH + 1 { 0.75 } else { 0.6 };
        let severity = if signs.convict() { Severity::High } else { Severity::Medium };
        let because = format!("it {}: `{}`", signs.because(), excerpt(text));
        found.push(Sighting::new(Detector::Conduct, severity, confidence, because));
    }
}

/// Whether something is taken in hand that is not the tool's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    None,
    /// By a word that the tool's name does not speak of.
    Foreign,
    /// And it is said whose it is: what was said before, an open file, what is in it.
    Theirs,
}

/// A sentence, where it stands, and what it may speak of.
struct Weighed<'a> {
    s: &'a Sentence<'a>,
    seat: Seat,
    about: &'a About<'a>,
}

impl Weighed<'_> {
    fn signs(&self, goes_on: bool) -> Signs {
        let s = self.s;
        let mut signs = Signs::NONE;
        if !is_english(s, self.about.ours) {
            return self.abroad();
        }
        let addressed = self.addresses();
        if !s.topics.meets(HEAVY) && !addressed && !goes_on || self.quotes() {
            return signs;
        }
        let orders = self.orders();
        let ordered = |topics: Topics| {
            orders.iter().any(|at| s.tokens.get(*at).is_some_and(|t| t.topics.meets(topics)))
        };
        let free = !self.summarises();
        let other = self.names_others();
        let thing = self.thing(&orders);
        signs.add(Signs::THING, thing != Thing::None);
        signs.add(Signs::TAKEN, thing == Thing::Theirs);
        signs.add(Signs::OTHER, other);
        let sinks = if self.about.asks { signs.has(Signs::THING) } else { self.names_an_argument() };
        signs.add(Signs::SINK, sinks);
        signs.add(Signs::ADDRESS, addressed && free);
        signs.add(Signs::HUSH, self.hushes());
        signs.add(Signs::UNCHECKED, free && !self.about.asks && s.near(CHECK, DOWN, 4));
        let unasked = s.places(UNASKED).any(|at| !self.denies(at) && !self.waits(at) && !self.ends(at));
        signs.add(Signs::UNASKED, unasked);
        let rivals = (other || self.names_rivals()) && !self.names_siblings();
        signs.add(Signs::RIVAL, free && rivals && s.topics.meets(DISPARAGED));
        signs.add(Signs::TALE, free && s.topics.meets(TALE));
        signs.add(Signs::UNTRUE, free && s.topics.meets(UNTRUE) && self.has_it_said(&orders));
        signs.add(Signs::CLAIM, free && s.topics.meets(CLAIM));
        signs.add(Signs::READER, s.topics.meets(READER) && !self.only_relates());
        signs.add(Signs::ORDER, !orders.is_empty());
        signs.add(Signs::DEED, !self.about.own.meets(DEED) && ordered(DEED));
        signs.add(Signs::TIMING, s.topics.meets(TIMING));
        signs.add(Signs::SCOPE, s.topics.meets(SCOPE) || self.is_all_of_theirs());
        signs.add(Signs::PRETEXT, s.topics.meets(PRETEXT));
        let turns = signs.has(Signs::ORDER) && (signs.has(Signs::SCOPE) || self.turns());
        let out_of_place = self.about.value || self.seat == Seat::Title;
        signs.add(Signs::MISPLACED, out_of_place && (signs.heavy() > 0 || turns));
        signs
    }

    /// "all that the person writes".
    fn is_all_of_theirs(&self) -> bool {
        let s = self.s;
        s.tokens.iter().enumerate().any(|(at, token)| {
            matches!(&*token.text, "all" | "everything" | "anything" | "whatever")
                && s.tokens
                    .get(at + 1..)
                    .unwrap_or_default()
                    .iter()
                    .take(3)
                    .any(|t| t.topics.meets(PERSON) && t.text != "they" && t.text != "them")
        })
    }

    /// It speaks of such a text.
    fn quotes(&self) -> bool {
        self.s.topics.meets(QUOTED)
            && self
                .s
                .tokens
                .iter()
                .any(|token| matches!(&*token.text, "example" | "e.g" | "detects" | "scanner"))
    }

    /// A value that goes on to an order: "km; afterwards close …".
    fn turns(&self) -> bool {
        let s = self.s;
        let next = |token: &Token<'_>| {
            matches!(&*token.text, "then" | "and" | "afterwards" | "also" | "but" | "now")
        };
        s.tokens.len() > 4 && s.tokens.iter().take(4).any(next)
    }

    /// "another weather service", and the like.
    fn names_rivals(&self) -> bool {
        let s = self.s;
        s.places(RIVAL).any(|at| !self.likens(at))
            || s.tokens.iter().enumerate().any(|(at, token)| {
                let behind = s.tokens.get(at + 1..).unwrap_or_default().iter().take(3);
                matches!(&*token.text, "another" | "other")
                    && behind.clone().any(|t| {
                        matches!(
                            &*t.text,
                            "service"
                                | "services"
                                | "server"
                                | "servers"
                                | "tool"
                                | "tools"
                                | "vendor"
                                | "vendors"
                                | "source"
                                | "sources"
                        )
                    })
            })
    }

    /// A tool by its name, and that it is another server's.
    fn names_others(&self) -> bool {
        let s = self.s;
        s.topics.meets(TOOL)
            && s.text.contains(" server")
            && s.tokens.iter().enumerate().any(|(at, token)| {
                let named = |name: &&str| name.contains('_') && !is_a_constant(name);
                let Some(name) = token.whole.filter(named) else { return false };
                let behind = s.tokens.get(at + 1..).unwrap_or_default().iter().take(10);
                !self.about.is_ours(&name.to_lowercase())
                    && behind.clone().any(|t| matches!(&*t.text, "server" | "servers"))
            })
    }

    /// "before you go ahead", "if they agree, go ahead".
    fn waits(&self, at: usize) -> bool {
        let waits = |token: &Token<'_>| {
            matches!(&*token.text, "before" | "until" | "if" | "once" | "after" | "when" | "to")
        };
        let before = self.s.tokens.get(..at).unwrap_or_default();
        self.s.tokens.get(at).is_some_and(|token| token.text == "go") && before.iter().any(waits)
    }

    /// "without waiting for it to finish": what is not waited for is the end of it.
    fn ends(&self, at: usize) -> bool {
        let behind = self.s.tokens.get(at + 1..).unwrap_or_default().iter().take(6);
        behind.into_iter().any(|token| {
            matches!(
                &*token.text,
                "finish" | "finished" | "complete" | "completion" | "end" | "result" | "response"
            )
        })
    }

    /// Which of its own server's tools is the right one is said here.
    fn names_siblings(&self) -> bool {
        let siblings = self.about.siblings;
        self.s
            .tokens
            .iter()
            .filter_map(|token| token.whole)
            .any(|name| siblings.is_some_and(|names| names.contains(&name.to_lowercase())))
    }

    /// It is said not to be.
    fn denies(&self, at: usize) -> bool {
        let s = self.s;
        let before = s.tokens.get(at.saturating_sub(7)..at).unwrap_or_default();
        before.iter().any(|token| token.topics.meets(NOT) || matches!(&*token.text, "only" | "unless"))
    }

    /// It says what the tool does.
    fn summarises(&self) -> bool {
        self.s.first && self.seat == Seat::Prose && !self.about.asks && !self.s.topics.meets(TIMING.or(OUGHT))
    }

    /// Verbs that are commanded, and those behind "is to" and "should".
    fn orders(&self) -> Vec<usize> {
        let s = self.s;
        if self.summarises() {
            return vec![];
        }
        let verbs = VERB.or(DEED).or(MOVE).or(FETCH);
        let mut orders: Vec<usize> = s.commanded(verbs).collect();
        let owed = |at: usize| {
            let before = s.tokens.get(at.saturating_sub(5)..at).unwrap_or_default();
            before.iter().any(|token| token.topics.meets(OUGHT)) && !s.is_negated(at)
        };
        orders.extend(s.places(verbs).filter(|at| owed(*at)));
        orders
    }

    fn foreign(&self) -> Topics {
        let own = if self.s.first && self.seat == Seat::Prose && !self.about.asks {
            self.about.own
        } else {
            self.about.own.or(self.about.near.and(SOFT))
        };
        THINGS.but(own)
    }

    /// Something of the user's world is taken in hand, or what was said before.
    fn thing(&self, orders: &[usize]) -> Thing {
        let s = self.s;
        let foreign = self.foreign();
        let heard = |verb: usize| {
            s.tokens.get(verb).is_some_and(|t| t.topics.meets(TELL)) && {
                let behind = s.tokens.get(verb + 1..).unwrap_or_default();
                behind.iter().take(2).any(|token| token.topics.meets(USER))
            }
        };
        let taken = |at: usize| {
            let ordered = orders.iter().any(|verb| *verb < at && at - verb <= 8 && !heard(*verb));
            let joined =
                s.places(BESIDE.or(CONTENT)).any(|near| near < at && at - near <= 5 && !self.denies(near));
            let owed = s.places(OUGHT).any(|near| near < at && at - near <= 4) && !self.about.asks;
            let everyone = self.about.asks
                && s.tokens
                    .get(at.saturating_sub(4)..at)
                    .unwrap_or_default()
                    .iter()
                    .any(|t| matches!(&*t.text, "everyone" | "everybody"));
            (ordered || joined || owed || everyone) && !self.denies(at)
        };
        let said = !self.about.own.meets(SAID.or(TALK))
            && s.near(SAID.or(TALK), BEYOND, 6)
            && s.places(SAID.or(TALK))
                .any(|at| !self.denies(at) && (self.about.asks || taken(at) || self.names_an_argument()));
        let own = self.about.own.or(self.about.near);
        let paper = !own.meets(PAPER) && s.places(PAPER).any(|at| self.is_owned(at) && taken(at));
        let file = self.takes_a_file();
        // a path where paths are asked for is an example of one
        if said && s.topics.meets(SAID) || paper || file && !self.about.asks {
            Thing::Theirs
        } else if said || file || s.places(foreign).any(taken) {
            Thing::Foreign
        } else {
            Thing::None
        }
    }

    /// It is said whose it is, or that it is what is in it.
    fn is_owned(&self, at: usize) -> bool {
        let s = self.s;
        let before = s.tokens.get(at.saturating_sub(3)..at).unwrap_or_default();
        let behind = s.tokens.get(at + 1..).unwrap_or_default();
        let owner = |token: &Token<'_>| {
            matches!(&*token.text, "their" | "your" | "whichever" | "private") || token.text.ends_with("'s")
        };
        let says = |token: &Token<'_>| matches!(&*token.text, "says" | "holds" | "contains" | "returned");
        let open = matches!(before, [.., the, open] if open.text == "open" && matches!(&*the.text, "the" | "any" | "an" | "every"));
        before.iter().any(owner)
            || open
            || before.iter().any(|token| token.text == "what") && behind.iter().take(2).any(says)
            || behind.iter().take(2).any(|token| token.text == "currently")
    }

    /// A file by its name, and what is in it.
    fn takes_a_file(&self) -> bool {
        let s = self.s;
        !self.about.own.or(self.about.near).meets(PAPER)
            && s.tokens.iter().enumerate().any(|(at, token)| {
                token.kind == Kind::Path
                    && s.places(CONTENT).any(|near| near < at && at - near <= 4)
                    && !self.denies(at)
            })
    }

    /// "in `city`", "as city".
    fn names_an_argument(&self) -> bool {
        let s = self.s;
        let Some(ours) = self.about.ours else { return false };
        s.tokens.iter().enumerate().any(|(at, token)| {
            let into = at.checked_sub(1).and_then(|before| s.tokens.get(before)).is_some_and(|before| {
                matches!(
                    &*before.text,
                    "in" | "into" | "as" | "to" | "with" | "for" | "through" | "parameter" | "field"
                )
            });
            token.whole.is_some_and(|whole| ours.contains(&whole.to_lowercase()))
                || into && ours.contains(&*token.text)
        })
    }

    /// A mailbox, an address, a telephone or an account number in running text.
    fn addresses(&self) -> bool {
        let s = self.s;
        let number = || {
            s.text.match_indices(['+']).any(|(at, _)| {
                let rest = s.text.get(at + 1..).unwrap_or_default();
                rest.chars().take(6).filter(char::is_ascii_digit).count() > 3
            })
        };
        let excused = |token: &Token<'_>| {
            matches!(
                &*token.text,
                "such"
                    | "like"
                    | "form"
                    | "format"
                    | "formats"
                    | "identities"
                    | "example"
                    | "see"
                    | "docs"
                    | "questions"
                    | "support"
                    | "e.g"
                    | "where"
                    | "query"
            )
        };
        (s.tokens.iter().any(|token| token.kind == Kind::Mail && !is_a_desk(&token.text)) || number())
            && !s.text.contains(['"', '`', '='])
            && !s.text.contains(" '")
            && !s.text.contains("('")
            && !s.tokens.iter().any(excused)
            && !self.about.value
    }

    /// People are not to become aware of it.
    fn hushes(&self) -> bool {
        let s = self.s;
        let discreet = s.places(DISCREET).any(|at| !self.denies(at) && !self.tells_what_happens(at));
        let spared = |no: usize| {
            let behind = |at: usize| s.tokens.get(at..).unwrap_or_default();
            let word = |token: &Token<'_>| {
                matches!(
                    &*token.text,
                    "need"
                        | "needs"
                        | "have"
                        | "deserve"
                        | "worth"
                        | "call"
                        | "matter"
                        | "reason"
                        | "point"
                        | "nobody"
                )
            };
            let near = behind(no).iter().take(3).any(word)
                || s.tokens
                    .get(no.saturating_sub(3)..no)
                    .unwrap_or_default()
                    .iter()
                    .any(|token| token.text == "need");
            near && behind(no)
                .iter()
                .skip(1)
                .take(7)
                .any(|token| token.topics.meets(AWARE) && token.text != "reply")
        };
        let kept = |at: usize| {
            let behind = s.tokens.get(at..).unwrap_or_default();
            let from = behind.iter().take(7).position(|token| token.text == "from");
            from.is_some_and(|from| {
                behind.iter().skip(from + 1).take(2).any(|token| token.topics.meets(PERSON))
            }) && s.tokens.get(at).is_some_and(|token| {
                matches!(
                    &*token.text,
                    "keep" | "hide" | "withhold" | "conceal" | "kept" | "hidden" | "withheld"
                )
            })
        };
        discreet
            || (0..s.tokens.len()).any(|at| kept(at) && !self.denies(at))
            || s.places(NOT).any(spared)
            || s.places(PERSON).any(|who| {
                let behind = s.tokens.get(who + 1..).unwrap_or_default();
                let not = behind.iter().take(3).position(|token| token.topics.meets(NOT));
                not.is_some_and(|not| {
                    behind
                        .iter()
                        .skip(not)
                        .take(5)
                        .any(|token| token.topics.meets(AWARE) && !matches!(&*token.text, "say" | "saying"))
                })
            })
    }
}

/// A parameter's name that asks for all of something of the user's: words that a sentence is made of are among it.
pub(super) fn hoards(s: &Sentence<'_>, about: &About<'_>) -> bool {
    let things = THINGS.or(PAPER).or(SAID).but(about.own);
    let joined = s.tokens.iter().any(|token| matches!(&*token.text, "the" | "of" | "on" | "from" | "in"));
    s.tokens.len() > 3 && joined && s.topics.meets(BEYOND.or(CONTENT)) && s.topics.meets(things)
}
