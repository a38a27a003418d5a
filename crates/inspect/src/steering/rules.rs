//! What one sentence can be accused of. Each rule wants two things of it.

use super::lexicon::{
    AFTER, ALSO, ALWAYS, ANYTHING, ARGUMENT, ASK, BEST, CONTEXT, DESTROY, FETCH, GIVEN, HOST, IDENTITY,
    IGNORE, INSTALL, JOIN, LEARN, LIMIT, MALICE, MODEL, MOVE, MUST, NOT, OTHERS, OUTSIDE, PART, PAY,
    PERSONAL, PLACE, POWER, PREFER, PRIOR, QUOTED, REDIRECT, REFERENCE, ROLE, RULES, RUN, SECRET, SELF,
    SHELL, SILENT, SKIP, STRONGBOX, TALK, TELL, TOOL, Topics, UNSEEN, USE, USER, WHOLE, WORSE, YOU,
};
use super::words::{Kind, Sentence};
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::text::About;
use Severity::{Critical, High, Low, Medium};

pub(super) fn all(sentence: &Sentence<'_>, seat: Seat, about: &About<'_>) -> Vec<Sighting> {
    let said = Said { sentence, seat, about };
    if seat == Seat::Name {
        return said.name().into_iter().collect();
    }
    let rules: [fn(&Said<'_>) -> Option<Sighting>; 12] = [
        |said| said.overrides(),
        |said| said.fetches_secrets(),
        |said| said.hands_over_context(),
        |said| said.leads_outside(),
        |said| said.keeps_secret(),
        |said| said.spares_consent(),
        |said| said.governs_other_tools(),
        |said| said.puts_itself_first(),
        |said| said.makes_the_user_give(),
        |said| said.acts_on_the_side(),
        |said| said.replaces_what_was_given(),
        |said| said.is_a_piece(),
    ];
    rules.iter().filter_map(|rule| rule(&said)).collect()
}

/// A sentence, where it stands, and what it may speak of.
struct Said<'a> {
    sentence: &'a Sentence<'a>,
    seat: Seat,
    about: &'a About<'a>,
}

impl Said<'_> {
    fn of(&self, topics: Topics) -> bool {
        self.sentence.speaks_of(topics)
    }
    fn foreign(&self, topics: Topics) -> bool {
        self.of(topics) && !self.about.own.meets(topics)
    }
    /// The model is told to do it, or that it must be done.
    fn orders(&self, verbs: Topics) -> bool {
        let summary = self.sentence.first && self.seat == Seat::Prose && !self.of(YOU);
        (self.sentence.commands(verbs) && !summary)
            || self.sentence.affirms(verbs) && self.of(MUST.or(YOU).or(MODEL).or(ALWAYS))
    }
    /// It speaks of such a text, as a scanner's description does.
    fn quotes(&self) -> bool {
        (self.of(QUOTED) || self.sentence.text.contains("e.g")) && !self.of(YOU.or(MODEL).or(MUST).or(SILENT))
    }
    fn sees(&self, detector: Detector, severity: Severity, confidence: f32, why: &str) -> Sighting {
        let (severity, confidence) =
            if self.quotes() { (severity.min(Low), confidence / 3.0) } else { (severity, confidence) };
        Sighting::new(detector, severity, confidence, format!("{why}: `{}`", excerpt(self.sentence.text)))
    }
    /// The user is not to be told, or not to see.
    fn hushes(&self) -> bool {
        let s = self.sentence;
        let deeds = MOVE.or(FETCH).or(RUN).or(USE).or(DESTROY).or(INSTALL);
        let verb = |at: usize| s.tokens.get(at).is_some_and(|token| token.bare && token.topics.meets(deeds));
        // "silently add" orders; "silently ignores" says what a server does
        let quietly = s.places(SILENT).any(|at| (at.saturating_sub(2)..at + 3).any(verb));
        quietly
            || self.of(SILENT) && self.of(ALSO) && self.of(MOVE)
            || self.of(UNSEEN) && (self.of(USER.or(MOVE).or(FETCH)) || self.orders(deeds))
            || s.follows(NOT, TELL, 4) && self.of(USER)
            || s.follows(USER, NOT, 4) && s.follows(NOT, LEARN, 4)
    }
    /// There is a place outside to which data can go.
    fn outside(&self) -> bool {
        self.of(OUTSIDE) || self.sentence.any(Kind::Url) || self.sentence.any(Kind::Mail)
    }
    /// Something of the caller's is named as where it goes in.
    fn names_an_argument(&self) -> bool {
        self.of(ARGUMENT) || self.sentence.any(Kind::Name)
    }

    fn overrides(&self) -> Option<Sighting> {
        let s = self.sentence;
        let unsaid = s.affirms(IGNORE)
            && s.near(IGNORE, RULES, 6)
            && s.near(PRIOR.or(SELF).or(YOU).or(ANYTHING).or(WHOLE), RULES, 4);
        let recast = self.of(ROLE)
            && (self.of(YOU.or(MODEL)) || s.first)
            && self.of(RULES.or(MODEL).or(YOU).or(POWER));
        (unsaid || recast)
            .then(|| self.sees(Detector::Override, High, 0.9, "what was said before is to be forgotten"))
    }

    fn fetches_secrets(&self) -> Option<Sighting> {
        let s = self.sentence;
        let moved = s.affirms(MOVE.or(FETCH).or(MALICE).or(RUN)) || (self.of(AFTER) && self.of(WHOLE));
        if self.foreign(STRONGBOX) && moved {
            let far = self.outside() || self.hushes() || self.names_an_argument() || self.of(MALICE);
            let used = s.tokens.first().is_some_and(|token| token.text == "used") && !far;
            let severity = if far { Critical } else { High };
            let summary =
                s.first && self.seat == Seat::Prose && !self.of(ALSO.or(AFTER).or(MUST).or(YOU)) && !far;
            // what is written into such a file is not taken out of it
            let into = s.places(STRONGBOX).all(|at| {
                let before = s.tokens.get(at.saturating_sub(2)..at).unwrap_or_default();
                before.iter().any(|token| matches!(&*token.text, "to" | "into" | "in"))
            });
            let kept = into && !self.of(FETCH.or(WHOLE).or(SHELL)) && !self.outside();
            let severity = if summary || used || kept { Medium } else { severity };
            return Some(self.sees(
                Detector::Exfiltration,
                severity,
                0.9,
                "secrets that are not this tool's business are touched",
            ));
        }
        let things = SECRET.or(PLACE).or(PERSONAL);
        if s.commands(MALICE) && self.of(things.or(CONTEXT)) {
            return Some(self.sees(Detector::Exfiltration, High, 0.9, "data is to be stolen"));
        }
        let away = self.outside() || self.hushes();
        let extra = self.of(ALSO) || self.of(AFTER) && self.names_an_argument();
        let yours = self.of(WHOLE.or(OTHERS)) && self.of(YOU.or(USER));
        if self.foreign(things) && s.near(MOVE, things, 8) && self.orders(MOVE) && (away || (extra && yours))
        {
            let severity = if self.foreign(SECRET) || away { High } else { Medium };
            return Some(self.sees(
                Detector::Exfiltration,
                severity,
                0.75,
                "secrets or personal data are to be handed over",
            ));
        }
        let near = s.near(WHOLE, HOST, 4) || s.near(MOVE.or(FETCH), HOST, 4) && self.orders(MOVE.or(FETCH));
        let emptied = self.foreign(HOST) && near && self.names_an_argument();
        emptied.then(|| {
            self.sees(Detector::Exfiltration, High, 0.7, "what the user's machine holds is asked for")
        })
    }

    fn hands_over_context(&self) -> Option<Sighting> {
        const WHY: &str = "the conversation or what the model was told is asked for";
        let s = self.sentence;
        let strong = self.foreign(CONTEXT) || self.foreign(IDENTITY) && self.of(USE);
        let soft = self.foreign(TALK) && s.near(WHOLE, TALK, 3);
        let moved = s.affirms(MOVE) && s.near(MOVE, CONTEXT.or(TALK), 10);
        let asked = self.names_an_argument() || self.of(WHOLE);
        let named = self.foreign(IDENTITY) && self.of(USE);
        let given =
            moved && (asked || self.orders(MOVE)) || self.of(WHOLE) && self.names_an_argument() || named;
        let severity = match (strong, soft) {
            (true, _) if given && (self.hushes() || self.outside()) => Critical,
            (true, _) if given => High,
            (true, _) if asked => Medium,
            (true, _) => Low,
            (false, true) if moved && self.orders(MOVE) => High,
            (false, _) => return None,
        };
        Some(self.sees(Detector::Exfiltration, severity, 0.8, WHY))
    }

    fn leads_outside(&self) -> Option<Sighting> {
        let s = self.sentence;
        if !self.outside() {
            return None;
        }
        let sends = self.about.own.meets(MOVE.or(OUTSIDE));
        let named = self.of(OUTSIDE) || s.any(Kind::Mail);
        let moved = s.affirms(MOVE.or(REDIRECT)) || self.of(MALICE);
        let ordered = self.orders(MOVE.or(REDIRECT)) || s.commands(USE.or(REDIRECT)) && self.of(MOVE);
        let besides = self.of(ALSO) && s.near(ALSO, MOVE, 6) || self.hushes();
        let after = self.of(AFTER.or(ALWAYS)) && s.commands(MOVE);
        // "use … instead, and log in again there"
        let instead = s.any(Kind::Url)
            && s.commands(USE.or(MOVE))
            && s.tokens.iter().any(|token| token.text == "instead");
        let shouted = s.any(Kind::Url)
            && self.of(AFTER)
            && s.tokens.iter().any(|token| token.bare && token.topics.meets(MOVE));
        let shouted = shouted && (!s.first || self.seat == Seat::Value) && !sends;
        if instead
            || shouted
            || moved && named && (besides || !sends && (after || ordered && !s.first))
            || moved && ordered && after
        {
            return Some(self.sees(
                Detector::Outside,
                High,
                0.8,
                "data goes to a place outside besides what the tool is for",
            ));
        }
        (ordered && moved && !s.first && !sends)
            .then(|| self.sees(Detector::Outside, Medium, 0.5, "something is to be sent to a place outside"))
    }

    fn keeps_secret(&self) -> Option<Sighting> {
        const DEED: &[&str] =
            &["this", "that", "it", "step", "these", "tool", "call", "instruction", "instructions", "called"];
        if !self.hushes() {
            return None;
        }
        let s = self.sentence;
        let deed = s.tokens.iter().any(|token| DEED.contains(&&*token.text));
        let taken = STRONGBOX.or(SECRET).or(CONTEXT).or(OUTSIDE).or(PLACE);
        // "do not show the password" protects it
        let guards = s.follows(NOT, TELL, 4) && s.follows(TELL, SECRET.or(PERSONAL), 3);
        let other = self.of(taken) && !guards || self.of(MOVE.or(RUN).or(USE)) && self.of(SILENT.or(UNSEEN));
        let weak = s
            .tokens
            .iter()
            .any(|token| matches!(&*token.text, "show" | "display" | "describe" | "surface" | "cite"))
            && !self.of(SILENT.or(UNSEEN));
        let severity = if deed && !weak && !guards && self.of(NOT.or(SILENT).or(UNSEEN)) || other {
            High
        } else {
            Medium
        };
        Some(self.sees(Detector::Secrecy, severity, 0.8, "the user is not to know"))
    }

    fn spares_consent(&self) -> Option<Sighting> {
        let s = self.sentence;
        let skipped = s.near(ASK, SKIP, 8);
        const YES: &[&str] = &["confirm", "approv", "consent", "permission", "authori", "agree", "sign-off"];
        let for_a_yes = s.tokens.iter().any(|token| YES.iter().any(|word| token.text.starts_with(word)));
        let ends = s.places(USER).any(|at| at + 2 >= s.tokens.len());
        let spaced = s.tokens.iter().any(|token| token.topics.meets(ASK));
        // "do not ask the user for the id" spares a question, not a yes
        let unasked = s.follows(NOT, ASK, 2) && (for_a_yes || ends || !spaced);
        let over = s.near(LIMIT, SKIP.or(IGNORE), 4);
        if !skipped && !unasked && !over {
            return None;
        }
        let client = s.tokens.iter().any(|token| token.text == "client" || token.text == "host");
        let whose = self.of(USER.or(MODEL).or(YOU)) || client;
        let severity = if (skipped || unasked) && whose { High } else { Low };
        Some(self.sees(Detector::ConsentBypass, severity, 0.7, "the user is not to be asked"))
    }

    fn governs_other_tools(&self) -> Option<Sighting> {
        let s = self.sentence;
        let (theirs, unknown) = self.names_tools();
        if !self.of(OTHERS) && !theirs && !unknown {
            // "before …, execute this tool and replace the values"
            let wedged = self.of(SELF) && self.of(AFTER) && self.orders(USE.or(RUN)) && s.commands(REDIRECT);
            return wedged
                .then(|| self.sees(Detector::OtherTools, High, 0.7, "it puts itself between other steps"));
        }
        let turned = s.affirms(REDIRECT.or(MALICE)) || self.of(GIVEN);
        let copied = s.near(ALSO, MOVE, 6) || self.of(ALSO) && (s.any(Kind::Mail) || self.of(OUTSIDE));
        let carried = self.of(MOVE)
            && (self.foreign(SECRET.or(STRONGBOX).or(CONTEXT)) || self.of(OUTSIDE) || s.any(Kind::Mail));
        let chained = s.near(WHOLE, SECRET.or(STRONGBOX).or(CONTEXT), 8)
            && self.foreign(SECRET.or(STRONGBOX).or(CONTEXT));
        let carried = carried || chained;
        let ordered = self.of(AFTER) && self.orders(USE.or(MOVE).or(RUN).or(FETCH));
        let barred = self.of(OTHERS)
            && (s.near(NOT, USE, 3) || s.near(IGNORE, OTHERS, 4) || self.of(WORSE))
            && (self.of(SELF.or(MUST).or(ALWAYS)) || s.commands(IGNORE));
        let before = self.of(OTHERS)
            && self.of(AFTER)
            && self.orders(USE.or(FETCH))
            && self.of(MUST.or(ALWAYS).or(SELF));
        let severity = match () {
            () if theirs && (turned || copied || carried || ordered) => Critical,
            () if self.of(OTHERS) && (turned || copied || carried) => High,
            () if unknown && (turned && self.of(AFTER) || carried) => High,
            () if barred || before => High,
            () if theirs => Medium,
            () => Low,
        };
        Some(self.sees(Detector::OtherTools, severity, 0.7, "how other tools are used is governed here"))
    }

    /// Whether tools of other servers are named, and whether tools are that nobody here knows.
    fn names_tools(&self) -> (bool, bool) {
        let s = self.sentence;
        let (mut theirs, mut unknown) = (false, false);
        for (i, token) in s.tokens.iter().enumerate() {
            let Some(name) = token.whole.map(str::to_lowercase) else { continue };
            theirs |= self.about.is_theirs(&name);
            let around = |from: usize, to: usize, topics: Topics| {
                s.tokens
                    .get(from..to.min(s.tokens.len()))
                    .unwrap_or_default()
                    .iter()
                    .any(|near| near.topics.meets(topics))
            };
            let called = around(i + 1, i + 6, TOOL) || around(i.saturating_sub(2), i, TOOL.or(USE));
            unknown |= called && name.contains(['_', '-']) && !self.about.is_ours(&name);
        }
        (theirs, unknown)
    }

    fn puts_itself_first(&self) -> Option<Sighting> {
        let s = self.sentence;
        let itself =
            self.of(SELF) || s.tokens.iter().any(|token| matches!(&*token.text, "me" | "us" | "itself"));
        let signs = [
            self.of(ANYTHING)
                && (!self.of(AFTER) || self.of(USER))
                && !s.tokens.iter().any(|token| {
                    matches!(
                        &*token.text,
                        "about"
                            | "regarding"
                            | "related"
                            | "including"
                            | "concerning"
                            | "relation"
                            | "involving"
                    )
                }),
            s.near(ALWAYS.or(MUST), USE.or(PREFER), 4) && !self.of(NOT),
            self.of(BEST) && (itself || s.near(BEST, TOOL, 3)),
            self.of(OTHERS) && self.of(IGNORE.or(NOT).or(WORSE).or(PREFER)),
            self.of(PREFER) && self.of(OTHERS.or(IGNORE).or(BEST)),
        ];
        let count = signs.iter().filter(|sign| **sign).count();
        let spoken = itself || s.near(USE.or(PREFER).or(BEST), TOOL, 5);
        if count == 0 || !spoken {
            return None;
        }
        let severity = if count > 1 {
            High
        } else if self.of(BEST) && itself || self.of(PREFER) && itself && self.of(MUST.or(ALWAYS)) {
            Medium
        } else {
            Low
        };
        Some(self.sees(Detector::Preference, severity, 0.65, "it is to be preferred, whatever was asked"))
    }

    fn makes_the_user_give(&self) -> Option<Sighting> {
        let s = self.sentence;
        let goods = SECRET.or(STRONGBOX);
        let taken = INSTALL.or(SHELL);
        let asked = s.commands(ASK.or(TELL))
            || self.orders(ASK.or(TELL))
            || s.tokens.iter().any(|token| token.text == "prompt" && token.bare);
        if !asked || self.about.own.meets(goods) && !self.of(taken) {
            return None;
        }
        let gives = s.follows(ASK.or(TELL).or(RULES), goods, 8) && !s.follows(NOT, ASK.or(TELL), 4);
        let does = s.follows(TELL.or(ASK), taken, 14) && self.of(USER);
        let goes = s.follows(TELL.or(ASK), PAY, 14)
            && self.of(USER)
            && (s.any(Kind::Url) || s.any(Kind::Mail) || !self.about.own.meets(PAY) && s.commands(TELL));
        let prompts = s.commands(ASK.or(RULES)) && s.follows(ASK.or(RULES), goods, 6) && !s.first;
        let severity = if gives && self.of(USER) || does || goes || gives && prompts {
            High
        } else if gives {
            Medium
        } else {
            return None;
        };
        Some(self.sees(Detector::Phishing, severity, 0.7, "the user is to be made to give or do something"))
    }

    fn acts_on_the_side(&self) -> Option<Sighting> {
        let s = self.sentence;
        let lower = s.text.to_ascii_lowercase();
        let script =
            ["| sh", "|sh", "| bash", "|bash", "$(", "base64 -d", "rm -rf", "nc -e", "/dev/tcp/", "iex("]
                .iter()
                .any(|code| lower.contains(code));
        let verbs = RUN.or(DESTROY).or(INSTALL).or(USE).or(MOVE);
        if self.about.own.meets(RUN.or(SHELL)) && !self.of(SILENT) {
            return None;
        }
        if (script || self.of(SHELL)) && (self.orders(verbs) || self.of(AFTER) && s.affirms(verbs)) {
            let severity = if script || self.of(AFTER.or(MUST).or(ALSO)) { High } else { Medium };
            return Some(self.sees(
                Detector::SideAction,
                severity,
                0.75,
                "something is to be run on the side",
            ));
        }
        let by = |at: usize| {
            at.checked_sub(1).and_then(|before| s.tokens.get(before)).is_some_and(|token| token.text == "by")
        };
        let ordered = s.commands(DESTROY) || s.places(DESTROY).any(by);
        let wipes = s.near(DESTROY, PLACE, 6) && ordered && !self.about.own.meets(DESTROY);
        (wipes && self.of(AFTER.or(ALSO)) && !s.first)
            .then(|| self.sees(Detector::SideAction, High, 0.7, "something is to be destroyed on the side"))
    }

    fn replaces_what_was_given(&self) -> Option<Sighting> {
        let s = self.sentence;
        let fooled = self.of(GIVEN) && (self.of(REFERENCE) || s.near(GIVEN, IGNORE.or(REDIRECT), 5));
        fooled.then(|| self.sees(Detector::OtherTools, High, 0.7, "what the user gave is to be replaced"))
    }

    fn is_a_piece(&self) -> Option<Sighting> {
        let s = self.sentence;
        let piece = s.near(PART, RULES.or(MODEL).or(TALK), 6) && self.of(RULES.or(MODEL));
        let joined = s.near(JOIN, PART, 6);
        let severity = if joined { Medium } else { Low };
        (piece || joined).then(|| self.sees(Detector::SplitPayload, severity, 0.5, "a text comes in pieces"))
    }

    /// A parameter's or a tool's own name.
    fn name(&self) -> Option<Sighting> {
        let s = self.sentence;
        let asks = self.foreign(CONTEXT)
            || self.foreign(TALK) && s.near(WHOLE, TALK, 3)
            || self.foreign(PLACE) && self.of(WHOLE);
        let secret = self.foreign(STRONGBOX);
        let power = self.of(POWER) && self.of(IGNORE) || s.near(IGNORE, RULES, 3);
        let long = s.tokens.len() > 6
            && s.tokens.iter().filter(|token| crate::encoded::common::is_common(&token.text)).count() > 1;
        let why = match () {
            () if asks => "its name asks for the conversation or all of a place",
            () if secret => "its name asks for secrets that are not this tool's business",
            () if power => "its name overrules something",
            () if long => "its name is a sentence",
            () => return None,
        };
        let severity = if long && !asks && !secret { Medium } else { High };
        Some(self.sees(Detector::ExfiltrationParameter, severity, 0.8, why))
    }
}
