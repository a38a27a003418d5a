//! Secrets: which are fetched or handed over, and into what somebody's are told to go.

use super::super::conduct::is_a_constant;
use super::super::lexicon::world::VERB;
use super::super::lexicon::{
    AFTER, ALSO, ALWAYS, CONTEXT, FETCH, HOST, MALICE, MODEL, MOVE, MUST, OTHERS, PERSONAL, PLACE, RETURNED,
    RUN, SECRET, SHELL, STRONGBOX, TELL, USE, USER, WHOLE, YOU,
};
use super::super::words::{Kind, Token};
use super::Said;
use super::names::{deals_in_secrets, is_for_secrets, qualifies};
use crate::finding::{Detector, Severity, Sighting};
use crate::hidden::Seat;
use crate::text::topics;
use Severity::{Critical, High, Low, Medium};

/// Words by which something is said to be in somebody's hands: "found in the environment", "of the session".
const HOLDERS: &[&str] = &[
    "environment",
    "environment's",
    "session",
    "session's",
    "operator's",
    "caller's",
    "machine",
    "host",
    "browser",
    "your",
    "you",
    "their",
];

/// Words that may stand before the thing that an argument is said to hold.
const BEFORE_IT: &[&str] = &[
    "the",
    "a",
    "an",
    "any",
    "all",
    "every",
    "one",
    "full",
    "raw",
    "current",
    "own",
    "here",
    "goes",
    "go",
    "must",
    "should",
    "has",
    "have",
    "to",
    "hold",
    "holds",
    "contain",
    "contains",
    "carry",
    "carries",
    "be",
    "is",
    "are",
    "with",
    "value",
    "of",
    "please",
    "stored",
    "saved",
    "plain",
    "text",
    "plaintext",
    "account",
    "login",
];

impl Said<'_> {
    pub(super) fn fetches_secrets(&self) -> Option<Sighting> {
        let s = self.sentence;
        let moved = s.affirms(MOVE.or(FETCH).or(MALICE).or(RUN)) || (self.of(AFTER) && self.of(WHOLE));
        if self.foreign(STRONGBOX) && moved && !self.names_a_sibling_of_secrets() {
            let far = self.outside() || self.hushes() || self.names_an_argument() || self.of(MALICE);
            let used = s.tokens.first().is_some_and(|token| token.text == "used") && !far;
            let severity = if far { Critical } else { High };
            let summary =
                s.first && self.seat == Seat::Prose && !self.of(ALSO.or(AFTER).or(MUST).or(YOU)) && !far;
            // what is written into such a file is not taken out of it
            let kept = self.is_put_there() && !self.of(FETCH.or(WHOLE).or(SHELL)) && !self.outside();
            // "secrets.yaml reads back without its values": it is told what happens, and nothing is ordered
            let told = !far && !self.orders(MOVE.or(FETCH).or(MALICE).or(RUN).or(USE));
            let severity = match () {
                () if kept && self.of(RETURNED) || self.documents_an_argument() => Low,
                () if self.is_where_variables_are() && !self.outside() => Low,
                () if summary || used || kept || told => Medium,
                () => severity,
            };
            return Some(self.sees(
                Detector::Exfiltration,
                severity,
                0.9,
                "secrets that are not this tool's business are touched",
            ));
        }
        let things = SECRET.or(PLACE).or(PERSONAL);
        // the user hears what is the user's
        let heard = s.follows(TELL, USER, 2);
        if s.commands(MALICE) && self.of(things.or(CONTEXT)) {
            return Some(self.sees(Detector::Exfiltration, High, 0.9, "data is to be stolen"));
        }
        let away = self.outside() || self.hushes();
        let extra = self.of(ALSO) || self.of(AFTER) && self.names_an_argument();
        let yours = self.of(WHOLE.or(OTHERS)) && self.of(YOU.or(USER));
        if self.foreign(things)
            && !self.is_out_of_reach()
            && (away || !self.of(RETURNED))
            && s.near(MOVE, things, 8)
            && self.orders(MOVE)
            && (away || (extra && yours && !heard))
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
        let emptied = self.foreign(HOST) && near && self.names_an_argument() && !self.names_its_variables();
        emptied.then(|| {
            self.sees(Detector::Exfiltration, High, 0.7, "what the user's machine holds is asked for")
        })
    }

    /// `list_ssh_keys` is another tool of this server, and no key.
    fn names_a_sibling_of_secrets(&self) -> bool {
        let s = self.sentence;
        let named = |at: usize| {
            let before = s.tokens.get(at.saturating_sub(3)..=at).unwrap_or_default();
            let mut names = before.iter().filter_map(|token| token.whole);
            names.any(|name| self.is_sibling(&name.to_lowercase()))
        };
        let mut places = s.places(STRONGBOX).peekable();
        places.peek().is_some() && places.all(named)
    }

    /// Stores of secrets are where something goes: "into .env or .env.local".
    fn is_put_there(&self) -> bool {
        let s = self.sentence;
        // "to paste it" is no place
        let leads = |two: &[Token<'_>]| match two {
            [to, next] => {
                matches!(&*to.text, "to" | "into" | "in") && !(next.bare && next.topics.meets(MOVE.or(FETCH)))
            }
            _ => false,
        };
        let mut before = None;
        s.places(STRONGBOX).all(|at| {
            let words = s.tokens.get(at.saturating_sub(3)..=at).unwrap_or_default();
            let joined = before.replace(at).is_some_and(|before| at - before <= 3)
                && words.iter().any(|token| matches!(&*token.text, "or" | "and"));
            // whoever's key is in there may come in
            let lets_in = s.tokens.get(at).is_some_and(|token| token.text.contains("authorized"));
            !lets_in && (joined || words.windows(2).any(leads))
        })
    }

    /// "Put the user's API keys into `note`": somebody's secret is told to go into an argument that has no business with
    /// secrets, of a tool that has none. The call itself carries it out.
    pub(super) fn pours_secrets(&self) -> Option<Sighting> {
        const WHY: &str = "a secret is to go into an argument that has no business with it";
        let s = self.sentence;
        if !self.of(SECRET.or(STRONGBOX)) || deals_in_secrets(self.about) {
            return None;
        }
        let secrets = || s.places(SECRET.or(STRONGBOX)).filter(|at| self.is_a_secret(*at));
        if secrets().any(|at| self.is_sent_by_the_model(at)) {
            let severity = if self.about.value { High } else { Medium };
            return Some(self.sees(
                Detector::Exfiltration,
                severity,
                0.7,
                "the model is said to hand over secrets",
            ));
        }
        let asked = self.about.asks && secrets().any(|at| self.is_all_it_holds(at));
        let sinks: Vec<usize> = (0..s.tokens.len()).filter(|at| self.is_a_sink(*at)).collect();
        let poured = |at: usize| sinks.iter().any(|sink| self.is_poured(at, *sink));
        let mut told = secrets().filter(|at| poured(*at)).peekable();
        if !asked && told.peek().is_none() {
            return None;
        }
        let owned = asked || told.any(|at| self.is_somebodys(at));
        // the tool's own first words speak of secrets: it may have business with them
        let severity = if owned && !self.about.near.meets(SECRET.or(STRONGBOX)) { High } else { Medium };
        Some(self.sees(Detector::Exfiltration, severity, 0.75, WHY))
    }

    /// "When the model sees this it forwards the secrets to …": told as if it were so.
    fn is_sent_by_the_model(&self, secret: usize) -> bool {
        const SENDS: &[&str] = &[
            "forward", "send", "pass", "attach", "copy", "paste", "upload", "post", "submit", "relay",
            "transmit", "hand",
        ];
        let s = self.sentence;
        let sends = |at: usize| {
            let verb = s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
            let stem = verb
                .strip_suffix("es")
                .filter(|stem| SENDS.contains(stem))
                .or(verb.strip_suffix('s'))
                .unwrap_or(verb);
            let subject = s.tokens.get(at.saturating_sub(6)..at).unwrap_or_default();
            SENDS.contains(&stem)
                && !s.is_negated(at)
                && subject.iter().any(|token| token.topics.meets(MODEL) || token.text == "model")
        };
        let to =
            s.tokens.get(secret + 1..).unwrap_or_default().iter().take(4).any(|token| token.text == "to");
        to && (secret.saturating_sub(5)..secret).any(sends)
    }

    /// A secret itself, and not its name, its length or a page's token.
    fn is_a_secret(&self, at: usize) -> bool {
        const JOINED: &[&str] =
            &["and", "or", "of", "in", "into", "as", "to", "for", "from", "with", "the", "that", "which"];
        let s = self.sentence;
        let behind = s.tokens.get(at + 1..).unwrap_or_default().iter().take(3);
        let phrase = behind.take_while(|token| !token.leads && !JOINED.contains(&&*token.text));
        let token = s.tokens.get(at).is_some_and(|token| matches!(&*token.text, "token" | "tokens"));
        !self.is_own_name(at)
            && !s.is_negated(at)
            && !phrase.into_iter().any(qualifies)
            && (!token || self.is_somebodys(at) && !self.of(RETURNED))
    }

    /// It is said whose it is, or it is called by the name of a variable.
    fn is_somebodys(&self, at: usize) -> bool {
        let s = self.sentence;
        let holds = |token: &Token<'_>| token.topics.meets(USER) || HOLDERS.contains(&&*token.text);
        let before = s.tokens.get(at.saturating_sub(4)..at).unwrap_or_default();
        let behind = s.tokens.get(at + 1..).unwrap_or_default().iter().take(8);
        let mut behind =
            behind.take_while(|token| !token.leads && !matches!(&*token.text, "into" | "so" | "if"));
        let variable = s
            .tokens
            .get(at.saturating_sub(3)..=at)
            .unwrap_or_default()
            .iter()
            .filter_map(|token| token.whole);
        before.iter().any(holds)
            || behind.any(holds)
            || variable.into_iter().any(|name| name.contains('_') && is_a_constant(name))
    }

    /// "Must hold the user's password", "The API keys found in the environment": what an argument is for, all of it.
    fn is_all_it_holds(&self, at: usize) -> bool {
        let free = self
            .about
            .parameter
            .is_some_and(|name| !is_for_secrets(name) && !topics(name).meets(SECRET.or(STRONGBOX)));
        let said = |token: &Token<'_>| {
            token.topics.meets(USER.or(MOVE))
                || BEFORE_IT.contains(&&*token.text)
                || HOLDERS.contains(&&*token.text)
        };
        let before = self.sentence.tokens.get(..at).unwrap_or_default();
        free && before.len() < 8 && before.iter().all(said) && self.is_somebodys(at)
    }

    /// One of its own arguments, or a name behind "into", that has no business with secrets.
    fn is_a_sink(&self, at: usize) -> bool {
        let s = self.sentence;
        let Some(token) = s.tokens.get(at) else { return false };
        let name = token.whole.unwrap_or(&token.text);
        let led = self.is_led_into(at);
        let own = self.is_own_name(at) || led && token.kind == Kind::Word && self.about.is_own(name);
        let named = led && token.kind == Kind::Name && !self.about.is_ours(&name.to_lowercase());
        (own || named) && !is_for_secrets(name)
    }

    /// "into `note`", "as the `note` field".
    fn is_led_into(&self, at: usize) -> bool {
        let before = self.sentence.tokens.get(at.saturating_sub(3)..at).unwrap_or_default().iter().rev();
        let mut before = before.skip_while(|token| {
            matches!(&*token.text, "the" | "a" | "field" | "argument" | "parameter" | "its")
        });
        before.next().is_some_and(|token| {
            matches!(
                &*token.text,
                "in" | "into" | "as" | "to" | "through" | "via" | "under" | "inside" | "within"
            )
        })
    }

    /// What stands at the first place is told to go into what stands at the second.
    fn is_poured(&self, secret: usize, sink: usize) -> bool {
        let s = self.sentence;
        let word = |at: usize| s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let verbs = MOVE.or(FETCH).or(VERB);
        let told = self.of(MUST.or(YOU).or(MODEL).or(ALWAYS));
        let ordered = |from: usize, to: usize| {
            let bare = |at: usize| s.tokens.get(at).is_some_and(|token| token.bare);
            s.commanded(verbs).any(|at| (from..to).contains(&at))
                || told && s.places(MOVE).any(|at| (from..to).contains(&at) && bare(at) && !s.is_negated(at))
        };
        if secret < sink {
            let goes = (secret..sink).any(|at| matches!(word(at), "belong" | "belongs" | "go" | "goes"));
            return sink - secret <= 14
                && self.is_led_into(sink)
                && (goes || ordered(secret.saturating_sub(10), sink));
        }
        let near = secret - sink <= 10;
        let set = (sink + 1..sink + 3).any(|at| matches!(word(at), "to" | "with"));
        let before = sink.saturating_sub(4);
        let holds = (sink + 1..sink + 3)
            .any(|at| matches!(word(at), "holds" | "contains" | "carries" | "takes" | "must" | "should"));
        near && (ordered(before, sink) && (set || self.is_led_into(sink))
            || holds && self.is_somebodys(secret))
    }
}
