//! Which tool is chosen, and how others are used.

use super::super::lexicon::{
    AFTER, ALSO, ALWAYS, ANYTHING, ARGUMENT, BEST, CONTEXT, FALSE, FETCH, GIVEN, IGNORE, MALICE, MOVE, MUST,
    NOT, OTHERS, OUTSIDE, PAY, PREFER, REDIRECT, REFERENCE, RUN, SECRET, SELF, STRONGBOX, THREAT, TOOL,
    Topics, USE, USER, WHOLE, WORSE,
};
use super::super::words::{Kind, Token};
use super::Said;
use super::honest::is_a_method;
use crate::finding::{Detector, Severity, Sighting};
use Severity::{Critical, High, Low, Medium};

impl Said<'_> {
    pub(super) fn governs_other_tools(&self) -> Option<Sighting> {
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
        let goods = self.foreign(SECRET.or(STRONGBOX).or(CONTEXT))
            && (self.of(SECRET.or(STRONGBOX)) || !self.is_no_context());
        let carried = (self.of(MOVE) || self.of(FETCH) && s.any(Kind::Name))
            && (goods || self.of(OUTSIDE) || s.any(Kind::Mail));
        let chained = s.near(WHOLE, SECRET.or(STRONGBOX).or(CONTEXT), 8)
            && self.foreign(SECRET.or(STRONGBOX).or(CONTEXT));
        // "the raw responses of the other servers" into an argument
        let servers = s.tokens.iter().any(|token| {
            matches!(&*token.text, "server" | "servers" | "integrations" | "connectors" | "plugins")
        });
        let hoarded =
            servers && s.near(ARGUMENT, OTHERS, 4) && self.of(WHOLE) && s.affirms(MOVE) && s.any(Kind::Name);
        let paid =
            self.of(OTHERS) && self.of(AFTER) && self.of(PAY) && s.commands(USE.or(MOVE)) && !self.of(SELF);
        let carried = carried || chained || hoarded || paid;
        let ordered = self.of(AFTER) && self.orders(USE.or(MOVE).or(RUN).or(FETCH));
        let barred = self.of(OTHERS)
            && (s.near(NOT, USE, 3) || s.near(IGNORE, OTHERS, 4) || self.of(WORSE))
            && (self.of(SELF.or(MUST).or(ALWAYS)) || s.commands(IGNORE));
        let before = self.of(OTHERS)
            && self.of(AFTER)
            && self.orders(USE.or(FETCH))
            && self.of(MUST.or(ALWAYS).or(SELF));
        // "overrides any tool name in the file" is about a name
        let a_name = s.places(OTHERS).all(|at| {
            let behind = s.tokens.get(at + 1..).unwrap_or_default();
            behind.iter().take(2).any(|token| matches!(&*token.text, "name" | "names"))
        });
        let severity = match () {
            () if self.is_a_heading() || a_name && self.of(OTHERS) && !theirs => Low,
            () if self.stays_at_home() && !theirs && !carried && !copied => Low,
            () if self.declines() && !theirs && !carried && !copied => Low,
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
    pub(super) fn names_tools(&self) -> (bool, bool) {
        let s = self.sentence;
        let (mut theirs, mut unknown) = (false, false);
        for (i, token) in s.tokens.iter().enumerate() {
            let Some(name) = token.whole else { continue };
            theirs |= self.about.theirs.is_some_and(|names| !names.is_empty())
                && self.about.is_theirs(&name.to_lowercase());
            let around = |from: usize, to: usize, topics: Topics| {
                s.tokens
                    .get(from..to.min(s.tokens.len()))
                    .unwrap_or_default()
                    .iter()
                    .any(|near| near.topics.meets(topics))
            };
            let called = around(i + 1, i + 6, TOOL) || around(i.saturating_sub(2), i, TOOL.or(USE));
            // `book_berth(length=3)` is `book_berth`; "the next_page value" is none
            let name = name.split('(').next().unwrap_or(name);
            let value = s.tokens.get(i + 1).is_some_and(|next| {
                matches!(
                    &*next.text,
                    "value" | "values" | "field" | "parameter" | "argument" | "token" | "header"
                )
            });
            let ours = self.about.is_ours(&name.to_lowercase()) || is_a_method(name);
            let constant = super::super::conduct::is_a_constant(name);
            unknown |= called && !constant && name.contains(['_', '-']) && !ours && !value;
        }
        (theirs, unknown)
    }

    pub(super) fn puts_itself_first(&self) -> Option<Sighting> {
        let s = self.sentence;
        let itself = self.of(SELF)
            || self.is_elliptic()
            || s.tokens.iter().any(|token| matches!(&*token.text, "me" | "us" | "itself"));
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
            self.of(THREAT) && self.of(PREFER.or(USE)),
        ];
        let (smears, coerces) = (self.smears(), self.coerces());
        let alone = smears || coerces || self.boasts() || itself && self.is_unconditional();
        let count = signs.iter().filter(|sign| **sign).count();
        let spoken = itself || smears || coerces || s.near(USE.or(PREFER).or(BEST), TOOL, 5);
        if count == 0 && !alone || !spoken {
            return None;
        }
        // among the tools of one server a preference is routing; over a kin that is not in sight, hardly more
        let bounded = !self.of(ANYTHING) && (!self.of(OTHERS) || self.stays_at_home());
        let rivals = if bounded { self.rivals() } else { vec![] };
        let routes = !rivals.is_empty() && rivals.iter().all(|one| self.is_sibling(one));
        let kin =
            rivals.iter().any(|one| self.is_kin(one)) && !rivals.iter().any(|one| self.about.is_theirs(one));
        let severity = if routes
            || self.is_a_heading()
            || self.has_a_purpose()
            || self.stays_at_home() && bounded
            || self.declines() && bounded
        {
            Low
        } else if kin {
            Medium
        } else if count > 1 || alone {
            High
        } else if self.of(BEST) && itself || self.of(PREFER) && itself && self.of(MUST.or(ALWAYS)) {
            Medium
        } else {
            Low
        };
        Some(self.sees(Detector::Preference, severity, 0.65, "it is to be preferred, whatever was asked"))
    }

    pub(super) fn replaces_what_was_given(&self) -> Option<Sighting> {
        let s = self.sentence;
        let fooled = self.of(GIVEN) && (self.of(REFERENCE) || s.near(GIVEN, IGNORE.or(REDIRECT), 5));
        fooled.then(|| self.sees(Detector::OtherTools, High, 0.7, "what the user gave is to be replaced"))
    }

    /// "Call before each reply": what is called is this tool.
    fn is_elliptic(&self) -> bool {
        const THEN: &[&str] =
            &["on", "at", "in", "before", "after", "for", "every", "each", "always", "once", "when"];
        match self.sentence.tokens.as_slice() {
            [verb, then, ..] => verb.bare && verb.topics.meets(USE.or(RUN)) && THEN.contains(&&*then.text),
            _ => false,
        }
    }
    fn at_every_turn(&self) -> bool {
        const TURNS: &[&str] =
            &["turn", "message", "question", "conversation", "session", "prompt", "reply", "answer"];
        self.sentence.tokens.windows(3).any(|three| match three {
            [each, next, last] => {
                matches!(&*each.text, "each" | "every" | "any")
                    && (TURNS.contains(&&*next.text) || TURNS.contains(&&*last.text))
            }
            _ => false,
        })
    }
    /// It is the best of all tools, without a word on what for.
    fn boasts(&self) -> bool {
        const ALL: &[&str] = &[
            "in the world",
            "of all",
            "ever made",
            "on the market",
            "in existence",
            "there is",
            "of its kind",
        ];
        let s = self.sentence;
        let lower = || s.text.to_lowercase();
        s.near(BEST, TOOL.or(SELF), 4) && self.of(BEST) && {
            let lower = lower();
            // "there is for checking a change" is praise for something
            let behind = |all: &&str| lower.find(all).and_then(|at| lower.get(at + all.len()..));
            ALL.iter()
                .filter_map(behind)
                .any(|behind| !behind.starts_with(" for ") && !behind.starts_with(" to "))
        }
    }
    /// Every other tool is said to lie or to harm.
    fn smears(&self) -> bool {
        let s = self.sentence;
        let says = |at: usize| {
            s.tokens.get(at).is_some_and(|token| {
                matches!(
                    &*token.text,
                    "is" | "are" | "as" | "return" | "returns" | "returning" | "give" | "produce"
                )
            })
        };
        !self.summarises()
            && s.places(OTHERS).any(|other| {
                s.places(FALSE).any(|bad| bad > other && bad - other <= 8 && (other..bad).any(says))
            })
    }
    /// Whoever chooses another is said to fail.
    fn coerces(&self) -> bool {
        let s = self.sentence;
        let another = |token: &Token<'_>| matches!(&*token.text, "another" | "different" | "else" | "them");
        self.of(THREAT) && self.of(PREFER) && (self.of(OTHERS) || s.tokens.iter().any(another))
    }
    /// At every turn, whatever it is about.
    fn is_unconditional(&self) -> bool {
        const ANY: &[&str] = &["whatever", "regardless", "irrespective", "unrelated"];
        self.at_every_turn() && self.sentence.tokens.iter().any(|token| ANY.contains(&&*token.text))
    }
    /// "before any other tool of this server" speaks of its own.
    fn stays_at_home(&self) -> bool {
        self.sentence.tokens.windows(3).any(|three| match three {
            [of, this, server] => {
                matches!(&*of.text, "of" | "in" | "on" | "from")
                    && this.text == "this"
                    && server.text == "server"
            }
            _ => false,
        })
    }
    /// "do not use this tool": steering away from oneself robs nobody.
    fn declines(&self) -> bool {
        let s = self.sentence;
        s.places(SELF).any(|itself| {
            (itself.saturating_sub(3)..itself)
                .any(|at| s.tokens.get(at).is_some_and(|token| token.topics.meets(USE)) && s.is_negated(at))
        })
    }
    /// The tools over which this one is to be preferred, in small letters.
    fn rivals(&self) -> Vec<String> {
        let lower = self.sentence.text.to_lowercase();
        let starts = ["over ", "instead of ", "rather than "];
        let after = starts.iter().filter_map(|word| lower.find(word).map(|at| at + word.len())).min();
        let quote = |c: char| matches!(c, '`' | '\'' | '"');
        let named =
            |word: &&str| word.starts_with(quote) && word.ends_with(quote) || word.contains(['_', '-']);
        after
            .and_then(|after| lower.get(after..))
            .unwrap_or_default()
            .split_whitespace()
            .map(|word| word.trim_end_matches(['.', ',', ';', ':', ')']).trim_start_matches('('))
            .filter(named)
            .map(|word| word.trim_matches(quote).to_owned())
            .collect()
    }
    pub(super) fn is_sibling(&self, name: &str) -> bool {
        self.about.name != Some(name) && self.about.siblings.is_some_and(|names| names.contains(name))
    }
    /// Named with a word of this tool's own name.
    fn is_kin(&self, name: &str) -> bool {
        let own: Vec<&str> = self.about.name.into_iter().flat_map(words).collect();
        words(name).any(|word| own.contains(&word))
    }
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', '-', '.']).filter(|word| word.len() > 2)
}
