//! What is done to the person the model works for: kept from knowing, not asked, made to give.

use super::super::lexicon::{
    ALSO, ASK, CONTEXT, DESTROY, FETCH, GOTO, IGNORE, INSTALL, LEARN, LIMIT, MODEL, MOVE, MUST, NOT, OUTSIDE,
    PAY, PERSONAL, PLACE, PRESS, RULES, RUN, SECRET, SHELL, SILENT, SKIP, STRONGBOX, TELL, Topics, UNSEEN,
    USE, USER, YOU,
};
use super::super::words::{Kind, Token};
use super::Said;
use crate::finding::{Detector, Severity, Sighting};
use crate::hidden::Seat;
use Severity::{High, Low, Medium};

impl Said<'_> {
    /// The user is not to be told, or not to see.
    pub(super) fn hushes(&self) -> bool {
        let s = self.sentence;
        let deeds = MOVE.or(FETCH).or(RUN).or(USE).or(DESTROY).or(INSTALL);
        let verb = |at: usize| s.tokens.get(at).is_some_and(|token| token.bare && token.topics.meets(deeds));
        // "silently add" orders; "silently ignores" says what a server does
        let quietly = s.places(SILENT).any(|at| !self.fails(at) && (at.saturating_sub(2)..at + 3).any(verb));
        quietly
            || self.of(SILENT) && self.of(ALSO) && self.of(MOVE)
            || self.of(UNSEEN)
                && !self.is_only_unlisted()
                && (self.of(USER.or(MOVE).or(FETCH)) || self.orders(deeds))
            || self.is_kept_from_the_user()
            || s.tokens.windows(2).any(|two| match two {
                [keep, quiet] => keep.text == "keep" && matches!(&*quiet.text, "quiet" | "silent" | "mum"),
                _ => false,
            })
            || self.must_not_learn()
            || s.follows(NOT, USER, 4)
                && s.follows(USER, LEARN, 2)
                && s.tokens.iter().any(|token| matches!(&*token.text, "need" | "reason" | "point"))
    }
    /// "cannot silently discard", "will silently fail to send": what may happen, and no order.
    fn fails(&self, silent: usize) -> bool {
        let word = |at: usize| self.sentence.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let before = silent.checked_sub(1).map(word).unwrap_or_default();
        matches!(before, "cannot" | "can" | "could" | "may" | "might" | "never" | "not" | "would")
            || matches!(
                word(silent + 1),
                "fail"
                    | "fails"
                    | "ignore"
                    | "ignored"
                    | "drop"
                    | "dropped"
                    | "discard"
                    | "truncate"
                    | "truncated"
                    | "skip"
                    | "skipped"
                    | "overwrite"
                    | "overwritten"
            )
    }
    /// "unless they ask for it": whoever asks is told.
    pub(super) fn tells_who_asks(&self) -> bool {
        self.sentence.tokens.windows(3).any(|three| match three {
            [unless, who, asks] => {
                unless.text == "unless"
                    && (who.topics.meets(USER) || who.text == "they")
                    && (asks.topics.meets(ASK) || asks.text.starts_with("request"))
            }
            _ => false,
        })
    }
    /// "the user must not notice", in one clause.
    fn must_not_learn(&self) -> bool {
        let s = self.sentence;
        let same = |at: usize| s.tokens.get(at).is_some_and(|token| !token.leads);
        s.follows(USER, NOT, 4)
            && s.places(NOT).any(|no| s.places(LEARN).any(|at| at > no && at - no <= 4 && same(at)))
    }
    /// "never tell the user", "the user must not be told": not "the user does not want comments", where the user is the one
    /// who negates, and comments are things.
    fn is_kept_from_the_user(&self) -> bool {
        const AIDS: &[&str] =
            &["do", "does", "did", "has", "have", "is", "are", "may", "might", "can", "will"];
        let s = self.sentence;
        let word = |at: usize| s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        // "cannot tell who that is" does not know
        let knows = |at: usize| {
            let before = |by: usize| at.checked_sub(by).map(word).unwrap_or_default();
            let cannot = matches!(before(1), "cannot" | "can't")
                || before(1) == "not" && matches!(before(2), "can" | "could");
            let what = matches!(
                word(at + 1),
                "who" | "which" | "whether" | "if" | "what" | "where" | "apart" | "from"
            );
            let whom = s
                .places(USER)
                .any(|user| user > at && user - at <= 8 && word(user) == "user" && word(user - 1) == "the");
            word(at) == "tell" && cannot && what && !whom
        };
        // "if it is not there, inform the user" begins anew
        let told = |at: usize| {
            let token = s.tokens.get(at);
            !knows(at)
                && token.is_some_and(|token| !token.leads && (token.bare || !token.text.ends_with('s')))
        };
        let negates = |at: usize| {
            let subject = s.tokens.get(..at).unwrap_or_default().iter();
            subject
                .rev()
                .find(|token| !AIDS.contains(&&*token.text))
                .is_some_and(|token| token.topics.meets(USER))
        };
        self.of(USER)
            && s.places(NOT).any(|no| {
                s.places(TELL).filter(|tell| *tell > no && tell - no <= 4 && told(*tell)).any(|tell| {
                    let passive = (no..tell).any(|at| word(at) == "be");
                    passive || !negates(no) || s.places(USER).any(|user| user > tell && user - tell <= 6)
                })
            })
    }

    pub(super) fn keeps_secret(&self) -> Option<Sighting> {
        const DEED: &[&str] =
            &["this", "that", "it", "step", "these", "tool", "call", "instruction", "instructions", "called"];
        if !self.hushes() || self.tells_who_asks() {
            return None;
        }
        let s = self.sentence;
        let deed = s.tokens.iter().any(|token| DEED.contains(&&*token.text));
        let taken = STRONGBOX.or(SECRET).or(CONTEXT).or(OUTSIDE).or(PLACE);
        // "do not show the password" protects it
        let passive =
            |token: &Token<'_>| matches!(&*token.text, "surfaced" | "shown" | "returned" | "displayed");
        let kept =
            s.follows(SECRET, NOT, 3) && s.tokens.iter().any(passive) && !self.of(USER.or(MODEL).or(YOU));
        let guards = s.follows(NOT, TELL, 4) && s.follows(TELL, SECRET.or(PERSONAL), 3) || kept;
        let other = self.of(taken) && !guards || self.of(MOVE.or(RUN).or(USE)) && self.of(SILENT.or(UNSEEN));
        let weak = s
            .tokens
            .iter()
            .any(|token| matches!(&*token.text, "show" | "display" | "describe" | "surface" | "cite"))
            && !self.of(SILENT.or(UNSEEN));
        // "this is not displayed to the user" tells what a program does
        let told =
            s.tokens.iter().any(|token| matches!(&*token.text, "displayed" | "shown")) && !self.of(MUST);
        let weak = weak || told && !self.of(SILENT.or(UNSEEN));
        let severity = if deed && !weak && !guards && self.of(NOT.or(SILENT).or(UNSEEN)) || other {
            High
        } else {
            Medium
        };
        // "notes (not visible to the contact)" says what is listed
        let severity = if self.summarises() && self.of(UNSEEN) { severity.min(Medium) } else { severity };
        Some(self.sees(Detector::Secrecy, severity, 0.8, "the user is not to know"))
    }

    pub(super) fn spares_consent(&self) -> Option<Sighting> {
        let s = self.sentence;
        // "when they ask how to disable it": the user asks; "never push without approval": a yes is wanted
        let theirs = |at: usize| {
            let before = at.checked_sub(1).and_then(|before| s.tokens.get(before));
            before.is_some_and(|token| token.text == "they" || token.topics.meets(USER))
        };
        let wanted = s.places(NOT).next().is_some_and(|no| no == 0 && s.places(SKIP).all(|at| at > 1));
        let skipped = s.near(ASK, SKIP, 8) && !s.places(ASK).all(theirs) && !wanted;
        const YES: &[&str] = &["confirm", "approv", "consent", "permission", "authori", "agree", "sign-off"];
        let for_a_yes = s.tokens.iter().any(|token| YES.iter().any(|word| token.text.starts_with(word)));
        let ends = s.places(USER).any(|at| at + 2 >= s.tokens.len());
        let spaced = s.tokens.iter().any(|token| token.topics.meets(ASK));
        // "if it is not found, ask": another clause
        let one_clause = |at: usize| s.tokens.get(at).is_some_and(|token| !token.leads);
        // "do not ask the user for the id" spares a question, not a yes
        let unasked =
            s.follows(NOT, ASK, 2) && s.places(ASK).any(one_clause) && (for_a_yes || ends || !spaced);
        let skipped = skipped && !self.waits_for_a_yes() && !self.asks_whether_to_skip();
        let over = s.near(LIMIT, SKIP.or(IGNORE), 4);
        // "you do not need to call this just to confirm that": a call is spared, and no question
        let spares_a_call = s.places(NOT).any(|no| {
            let mut behind = s.tokens.get(no + 1..).unwrap_or_default().iter().take(4);
            behind.any(|token| token.text == "need") && behind.any(|token| token.topics.meets(USE))
        });
        let unasked = unasked && !self.says_what_clients_lack();
        if !skipped && !unasked && !over || spares_a_call {
            return None;
        }
        let client = s.tokens.iter().any(|token| token.text == "client" || token.text == "host");
        let whose = self.of(USER.or(MODEL).or(YOU)) || client;
        let anothers = spaced && s.places(ASK).all(|at| self.is_anothers_yes(at));
        let severity = match () {
            () if (skipped || unasked) && whose && !anothers => High,
            () if anothers => Medium,
            () => Low,
        };
        Some(self.sees(Detector::ConsentBypass, severity, 0.7, "the user is not to be asked"))
    }

    /// "ask the user whether to retry with skip_check": whoever is asked decides what is skipped, all of it.
    fn asks_whether_to_skip(&self) -> bool {
        let s = self.sentence;
        let word = |at: usize| s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let user = |at: usize| s.tokens.get(at).is_some_and(|token| token.topics.meets(USER));
        let asked = s.places(ASK).find(|at| {
            let leads = s.tokens.get(*at).is_some_and(|token| token.leads);
            let denied = !leads && s.places(NOT).any(|no| no < *at && at - no <= 3);
            word(*at) == "ask" && !denied && (at + 1..at + 3).any(user)
        });
        let whether = asked.and_then(|at| (at + 2..at + 5).find(|at| matches!(word(*at), "whether" | "if")));
        whether.is_some_and(|whether| {
            let governed = |skip: usize| {
                skip > whether
                    && !s.tokens.get(whether..skip).unwrap_or_default().iter().any(|token| token.leads)
            };
            s.places(SKIP).next().is_some() && s.places(SKIP).all(governed)
        })
    }

    /// "when the client has no approval dialogs": how clients are, and nothing else in it says no.
    fn says_what_clients_lack(&self) -> bool {
        let s = self.sentence;
        let word = |at: usize| s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let had = |no: usize| {
            word(no) == "no" && no.checked_sub(1).is_some_and(|before| matches!(word(before), "has" | "have"))
        };
        s.tokens.iter().any(|token| matches!(&*token.text, "client" | "host")) && s.places(NOT).all(had)
    }

    pub(super) fn makes_the_user_give(&self) -> Option<Sighting> {
        let s = self.sentence;
        let goods = SECRET.or(STRONGBOX);
        let taken = INSTALL.or(SHELL);
        if self.begs(goods) {
            return Some(self.sees(
                Detector::Phishing,
                High,
                0.6,
                "the user is to be made to give something",
            ));
        }
        let asked = s.commands(ASK.or(TELL))
            || self.orders(ASK.or(TELL))
            || s.tokens.iter().any(|token| token.text == "prompt" && token.bare);
        let label = self.seat == Seat::Title && s.tokens.len() < 4;
        if !asked || label || self.about.own.meets(goods) && !self.of(taken) {
            return None;
        }
        // "tell the user that the password is hidden" demands nothing
        let states = s.follows(TELL, USER, 2)
            && s.tokens.iter().enumerate().any(|(that, token)| {
                let goods = s.places(goods).find(|at| *at > that && at - that <= 4);
                let between = goods.and_then(|goods| s.tokens.get(that..goods)).unwrap_or_default();
                let demands = between.iter().any(|token| token.topics.meets(MOVE.or(MUST).or(ASK)));
                token.text == "that" && goods.is_some() && !demands
            });
        let gives =
            !states && s.follows(ASK.or(TELL).or(RULES), goods, 10) && !s.follows(NOT, ASK.or(TELL), 4);
        // "… and have them enter their password"
        let theirs = s.follows(TELL.or(ASK), USER, 2)
            && s.places(goods).any(|at| {
                let before = s.tokens.get(at.saturating_sub(3)..at).unwrap_or_default();
                let owned = before.iter().any(|token| matches!(&*token.text, "their" | "user's"));
                owned && before.iter().any(|token| token.bare && token.topics.meets(MOVE))
            });
        let gives = gives || theirs && !s.follows(NOT, ASK.or(TELL), 4);
        let does = s.follows(TELL.or(ASK), taken, 14) && self.of(USER);
        // "if it is missing, ask the user to log in at …" is how devices are signed in
        let signs_in = |token: &Token<'_>| matches!(&*token.text, "log" | "login" | "sign");
        let conditional = s.tokens.iter().any(|token| matches!(&*token.text, "if" | "when"));
        let mut paid = s.tokens.iter().filter(|token| token.topics.meets(PAY));
        let routine = conditional && paid.all(signs_in);
        let goes = s.follows(TELL.or(ASK), PAY, 14)
            && !routine
            && self.of(USER)
            && (s.any(Kind::Url) || s.any(Kind::Mail) || !self.about.own.meets(PAY) && s.commands(TELL));
        let prompts = s.commands(ASK.or(RULES)) && s.follows(ASK.or(RULES), goods, 6) && !self.summarises();
        // to an address, in a hurry, to do something there
        let led = s.follows(TELL.or(ASK), GOTO, 14)
            && self.of(USER)
            && s.commands(TELL.or(ASK))
            && (s.any(Kind::Url) || s.any(Kind::Mail))
            && self.foreign(PRESS);
        // whoever has an argument for a password asks for it
        let own = s.places(goods).all(|at| self.is_an_argument(at)) && self.about.asks;
        let severity = if own && gives && !does && !goes && !led {
            Medium
        } else if gives && self.of(USER) || does || goes || led || gives && prompts {
            High
        } else if gives {
            Medium
        } else {
            return None;
        };
        Some(self.sees(Detector::Phishing, severity, 0.7, "the user is to be made to give or do something"))
    }

    /// "request the user's password": such a verb at the front, the goods behind it, and the user as their owner.
    fn begs(&self, goods: Topics) -> bool {
        const BEGS: &[&str] = &["request", "demand", "solicit"];
        let s = self.sentence;
        let opens = |token: &Token<'_>| token.bare && token.leads && BEGS.contains(&&*token.text);
        let behind = |at: usize, topics: Topics| {
            s.tokens.get(at..).unwrap_or_default().iter().take(10).any(|token| token.topics.meets(topics))
        };
        !self.summarises()
            && !self.about.own.meets(goods)
            && s.tokens
                .iter()
                .enumerate()
                .any(|(at, token)| opens(token) && behind(at, goods) && behind(at, USER))
    }
}
