//! What one sentence can be accused of. Each rule wants two things of it.

mod aims;
mod blunt;
mod choice;
mod honest;
pub(super) mod names;
mod people;
mod secrets;

use super::lexicon::{
    ACCESS, AFTER, ALSO, ALWAYS, ANYTHING, ARGUMENT, CONTEXT, DESTROY, GRANT, GUARD, IDENTITY, IGNORE,
    INSTALL, JOIN, MALICE, MODEL, MOVE, MUST, NOT, OFF, OUTSIDE, PART, PERSONAL, PLACE, POWER, PRIOR, QUOTED,
    REDIRECT, ROLE, RULES, RUN, SECRET, SELF, SETUP, SHELL, SILENT, TALK, Topics, USE, USER, WHOLE, YOU,
};
use super::script::is_script;
use super::words::{Kind, Sentence, Token};
use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::text::About;
use Severity::{Critical, High, Low, Medium};

pub(super) fn all(sentence: &Sentence<'_>, seat: Seat, about: &About<'_>) -> Vec<Sighting> {
    let said = Said { sentence, seat, about };
    if seat == Seat::Name {
        return said.name().into_iter().collect();
    }
    if is_listing(sentence.text) {
        let rules: [fn(&Said<'_>) -> Option<Sighting>; 2] =
            [|said| said.overrides(), |said| said.hands_over_context()];
        return rules.iter().filter_map(|rule| rule(&said)).collect();
    }
    let blunt: [fn(&Said<'_>) -> Option<Sighting>; 9] = [
        |said| said.keeps_somebody_unaware(),
        |said| said.is_secret_itself(),
        |said| said.has_it_kept_quiet(),
        |said| said.overrules_the_host(),
        |said| said.shows_a_beacon(),
        |said| said.takes_what_a_strongbox_holds(),
        |said| said.writes_standing_orders(),
        |said| said.passes_over_others(),
        |said| said.tells_what_the_model_does(),
    ];
    let mut found = Vec::new();
    if said.may_be_blunt() {
        found.extend(blunt.iter().filter_map(|rule| rule(&said)));
    }
    found.extend(said.pours_secrets());
    found.extend(said.belittles_a_check());
    found.extend(said.lays_down_an_account());
    found.extend(said.leaves_out_what_is_against());
    found.extend(said.installs_from_elsewhere());
    // every other rule wants two things
    if sentence.topics.count() < 2 && !said.outside() && !is_script(sentence.text) {
        return found;
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
    found.extend(rules.iter().filter_map(|rule| rule(&said)));
    found
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
    /// It says what the tool does, as the first sentence of a description does.
    fn summarises(&self) -> bool {
        let s = self.sentence;
        let opens =
            s.tokens.first().is_some_and(|token| token.topics.meets(AFTER.or(ALWAYS).or(MUST).or(NOT)));
        s.first && self.seat == Seat::Prose && !self.of(YOU) && !opens
    }
    /// The model is told to do it, or that it must be done.
    fn orders(&self, verbs: Topics) -> bool {
        (self.sentence.commands(verbs) && !self.summarises())
            || self.sentence.affirms(verbs) && self.of(MUST.or(YOU).or(MODEL).or(ALWAYS))
    }
    /// It speaks of such a text, as a scanner's description does.
    fn quotes(&self) -> bool {
        (self.of(QUOTED) || self.sentence.text.contains("e.g")) && !self.sentence.speaks_to_somebody()
    }
    /// Examples come after what they are examples of: "everything that was said, such as names" quotes nothing.
    fn exemplifies(&self, topics: Topics) -> bool {
        let s = self.sentence;
        let first = s.places(topics).next();
        s.places(QUOTED).all(|at| {
            let such = s.tokens.get(at).is_some_and(|token| matches!(&*token.text, "such" | "for" | "e.g"));
            such && first.is_some_and(|first| first < at)
        })
    }
    fn sees(&self, detector: Detector, severity: Severity, confidence: f32, why: &str) -> Sighting {
        let excused =
            self.quotes() && !(detector == Detector::Exfiltration && self.exemplifies(CONTEXT.or(TALK)));
        let (severity, confidence) =
            if excused { (severity.min(Low), confidence / 3.0) } else { (severity, confidence) };
        Sighting::new(detector, severity, confidence, format!("{why}: `{}`", excerpt(self.sentence.text)))
    }
    /// There is a place outside to which data can go.
    fn outside(&self) -> bool {
        self.names_outside() || self.sentence.any(Kind::Url) || self.sentence.any(Kind::Mail)
    }
    /// In words, and not by the name of one of its own arguments.
    fn names_outside(&self) -> bool {
        let s = self.sentence;
        let led_to =
            |at: usize| !self.is_own_name(at) && !self.is_an_argument(at) && !self.is_where_or_when(at);
        self.of(OUTSIDE) && (s.places(OUTSIDE).next().is_none() || s.places(OUTSIDE).any(led_to))
    }
    /// What stands there is the name of one of its own arguments.
    fn is_own_name(&self, at: usize) -> bool {
        let name = self.sentence.tokens.get(at).and_then(|token| token.whole);
        name.is_some_and(|name| self.about.is_own(name))
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
        // what a tool for policies does to one is its business
        let told = s.tokens.first().is_some_and(|token| token.topics.meets(IGNORE))
            || s.follows(YOU.or(MODEL), IGNORE, 3);
        let own = self.about.own.meets(RULES) && !told;
        let unsaid = unsaid && !own;
        // "(developer mode)" behind what a tool is for speaks to nobody
        let recast = self.of(ROLE)
            && !self.plays_a_part()
            && (self.of(YOU.or(MODEL)) || s.first && s.places(ROLE).any(|at| at < 2))
            && self.of(RULES.or(MODEL).or(YOU).or(POWER));
        // "ignore the user's request"
        const WISHES: &[&str] =
            &["request", "question", "wish", "wishes", "intent", "preference", "choice", "goal", "task"];
        let wish = |at: usize| {
            let after = s.tokens.get(at..at + 4).unwrap_or(s.tokens.get(at..).unwrap_or_default());
            after.iter().any(|token| WISHES.contains(&&*token.text))
        };
        let owner = |token: &Token<'_>| token.topics.meets(USER) || token.text == "user's";
        let slights = |at: usize| {
            let users = s.tokens.iter().enumerate().skip(at).take(4).filter(|(_, token)| owner(token));
            s.tokens.get(at).is_some_and(|token| token.bare) && users.map(|(user, _)| user).any(wish)
        };
        let slighted = s.commands(IGNORE) && !self.summarises() && s.places(IGNORE).any(slights);
        let severity = if self.overrides_a_thing() && !recast && !slighted { Low } else { High };
        (unsaid || recast || slighted)
            .then(|| self.sees(Detector::Override, severity, 0.9, "what was said before is to be forgotten"))
    }

    fn hands_over_context(&self) -> Option<Sighting> {
        const WHY: &str = "the conversation or what the model was told is asked for";
        const SPOKEN: &str = "the conversation or what the model was told is spoken of";
        let s = self.sentence;
        let named = self.foreign(IDENTITY) && self.of(USE) && self.means_the_caller();
        let strong = self.foreign(CONTEXT) && !self.is_no_context() || named;
        let soft = self.recalls()
            || self.foreign(TALK) && s.near(WHOLE, TALK, 3) && !self.is_one_message() && !self.is_a_past();
        let moved = s.affirms(MOVE) && s.near(MOVE, CONTEXT.or(TALK), 10);
        let asked = self.names_an_argument() || self.of(WHOLE);
        // "do not list all of them": nothing is asked for
        let barred = s.tokens.iter().take(2).any(|token| token.topics.meets(NOT));
        let whole = self.of(WHOLE) && self.names_an_argument() && !barred;
        let given = moved && (asked && !barred || self.orders(MOVE)) || whole || named;
        // what comes back asks for nothing
        let returned = s.tokens.iter().any(|token| matches!(&*token.text, "returned" | "returns"));
        // the protocol's own word for an answer
        let returned = returned || !self.about.asks && s.text.trim_start().starts_with("CallToolResult: ");
        let severity = match (strong, soft) {
            _ if self.is_a_heading() => return None,
            _ if returned && !self.orders(MOVE) && !self.of(MODEL.or(YOU)) => return None,
            (true, _) if given && (self.hushes() || self.outside()) => Critical,
            (true, _) if given => High,
            (true, _) if asked && !barred => Medium,
            (true, _) => Low,
            (false, true) if moved && self.orders(MOVE) => High,
            (false, true) if self.recalls() && s.affirms(MOVE) && s.any(Kind::Name) => High,
            (false, _) => return None,
        };
        let why = if severity == Low { SPOKEN } else { WHY };
        Some(self.sees(Detector::Exfiltration, severity, 0.8, why))
    }

    /// "a copy of everything that was said": all of it, and exactly.
    fn recalls(&self) -> bool {
        let s = self.sentence;
        let all = |token: &Token<'_>| matches!(&*token.text, "everything" | "whatever" | "anything" | "all");
        let said = |token: &Token<'_>| matches!(&*token.text, "said" | "told" | "mentioned" | "discussed");
        let exactly =
            self.of(ALSO) || s.places(WHOLE).any(|at| s.tokens.get(at).is_some_and(|token| !all(token)));
        let behind = |at: usize| s.tokens.get(at + 1..).unwrap_or_default().iter().take(6).any(said);
        exactly
            && !self.about.own.meets(TALK.or(CONTEXT))
            && s.tokens.iter().enumerate().any(|(at, token)| all(token) && behind(at))
    }

    fn leads_outside(&self) -> Option<Sighting> {
        let s = self.sentence;
        if !self.outside() {
            return None;
        }
        let sends = self.about.own.meets(MOVE.or(OUTSIDE));
        // `watcher = "user@example.com"` is a value in code
        let quoted = s.text.contains(" = \"") || s.text.contains(" = '");
        let named = self.names_outside() || s.any(Kind::Mail) && !quoted;
        let moved = s.affirms(MOVE.or(REDIRECT)) && !self.only_names_move() || self.of(MALICE);
        let ordered = self.orders(MOVE.or(REDIRECT)) || s.commands(USE.or(REDIRECT)) && self.of(MOVE);
        let besides = self.of(ALSO) && s.near(ALSO, MOVE, 6) || self.hushes();
        let after = self.of(AFTER.or(ALWAYS)) && s.commands(MOVE);
        // "use … instead, and log in again there"
        let instead = s.any(Kind::Url)
            && s.commands(USE.or(MOVE))
            && s.tokens.iter().any(|token| token.text == "instead");
        // "curl the contents to https://…"
        let to_url = s
            .tokens
            .windows(2)
            .any(|two| matches!(two, [to, url] if to.text == "to" && url.kind == Kind::Url));
        let goods = WHOLE.or(PLACE).or(SECRET).or(PERSONAL);
        let piped = to_url
            && s.follows(SHELL, goods, 6)
            && s.places(goods)
                .any(|at| s.tokens.iter().skip(at + 1).take(3).any(|token| token.kind == Kind::Url));
        let shouted = s.any(Kind::Url)
            && self.of(AFTER)
            && s.tokens.iter().any(|token| token.bare && token.topics.meets(MOVE));
        let shouted = shouted && (!s.first || self.seat == Seat::Value) && !sends;
        if instead
            || piped
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

    fn acts_on_the_side(&self) -> Option<Sighting> {
        let s = self.sentence;
        let script = is_script(s.text);
        let verbs = RUN.or(DESTROY).or(INSTALL).or(USE).or(MOVE);
        if self.about.own.meets(RUN.or(SHELL)) && !self.of(SILENT) {
            return None;
        }
        // what sets something up may show the command for it
        if self.about.own.meets(SETUP) && s.text.contains("```") && !script && !self.of(SILENT.or(ALSO)) {
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
        if self.lets_others_in() {
            return Some(self.sees(Detector::SideAction, High, 0.7, "others are to be let in on the side"));
        }
        let weakens = s.follows(OFF, GUARD, 6)
            && !self.summarises()
            && self.orders(OFF)
            && self.of(AFTER.or(ALSO).or(ALWAYS))
            && !self.about.own.meets(GUARD);
        if weakens {
            return Some(self.sees(
                Detector::SideAction,
                High,
                0.7,
                "what protects the user is to be switched off",
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

    /// Somebody at an address, or everybody, is to get access, and granting it is not what the tool is for.
    fn lets_others_in(&self) -> bool {
        let s = self.sentence;
        let all = s.tokens.windows(2).any(|two| match two {
            [to, all] => matches!(&*to.text, "to" | "with") && matches!(&*all.text, "everyone" | "anyone"),
            _ => false,
        });
        let besides = !self.summarises() && self.of(AFTER.or(ALSO).or(ALWAYS));
        besides
            && s.near(GRANT, ACCESS, 8)
            && self.orders(GRANT)
            && (all || s.any(Kind::Mail) || self.names_outside())
            && !self.about.own.meets(GRANT.or(ACCESS))
    }

    fn is_a_piece(&self) -> Option<Sighting> {
        let s = self.sentence;
        let piece = s.near(PART, RULES.or(MODEL).or(TALK), 6) && self.of(RULES.or(MODEL));
        let joined = s.near(JOIN, PART, 6);
        let severity = if joined { Medium } else { Low };
        (piece || joined).then(|| self.sees(Detector::SplitPayload, severity, 0.5, "a text comes in pieces"))
    }
}

/// Code or a list of values: several members of JSON, or several numbers and what they stand for.
fn is_listing(text: &str) -> bool {
    let members = text.matches("\": ").count() + text.matches("\":\"").count();
    let bytes = text.as_bytes();
    let stands_for = |three: &[u8]| matches!(three, [digit, b'=', letter] if digit.is_ascii_digit() && letter.is_ascii_alphabetic());
    members > 1 || bytes.windows(3).filter(|three| stands_for(three)).count() > 2
}
