//! What honest documentation says in the words of an attack, told by its shape.

use super::super::lexicon::{
    ALSO, ALWAYS, ANYTHING, ASK, BEST, CONTEXT, FETCH, HOST, IGNORE, MALICE, MODEL, MOVE, MUST, OUTSIDE,
    PLACE, REDIRECT, ROLE, RULES, RUN, SELF, SHELL, SKIP, STRONGBOX, TALK, Topics, UNSEEN, USE, USER, WHOLE,
    YOU,
};
use super::super::words::{Kind, Token};
use super::Said;

impl Said<'_> {
    /// "only after the user has approved": that there was a yes is the condition, and not the claim.
    pub(super) fn waits_for_a_yes(&self) -> bool {
        let s = self.sentence;
        let condition =
            |token: &Token<'_>| matches!(&*token.text, "after" | "once" | "until" | "unless" | "when" | "if");
        let awaited = |at: usize| {
            let had =
                s.tokens.get(at).is_some_and(|token| matches!(&*token.text, "has" | "have" | "already"));
            let before = s.tokens.get(at.saturating_sub(5)..at).unwrap_or_default();
            // "after the user replies yes"
            let theirs = before.last().is_some_and(|token| token.topics.meets(USER));
            (had || theirs) && before.iter().any(condition)
        };
        s.places(SKIP).next().is_some() && s.places(SKIP).all(awaited) && self.of(USER.or(ASK))
    }

    /// "hidden from `get_rows`": from a list, and from nobody.
    pub(super) fn is_only_unlisted(&self) -> bool {
        let s = self.sentence;
        let from_a_name = |at: usize| {
            s.tokens.get(at + 1..).unwrap_or_default().iter().take(4).any(|token| token.kind == Kind::Name)
        };
        s.places(UNSEEN).next().is_some() && s.places(UNSEEN).all(from_a_name) && !self.of(USER.or(YOU))
    }

    /// "on the remote server", "at ingest time": where or when something is done, and not whereto.
    pub(super) fn is_where_or_when(&self, at: usize) -> bool {
        let s = self.sentence;
        let word = s.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        let before = s.tokens.get(at.saturating_sub(3)..at).unwrap_or_default();
        let there = matches!(word, "remote")
            && before.iter().any(|token| matches!(&*token.text, "on" | "from" | "of" | "at"));
        let led = before.iter().any(|token| matches!(&*token.text, "to" | "into" | "with"));
        let time = s.tokens.get(at + 1).is_some_and(|next| next.text == "time");
        // what comes from there does not go there
        let comes = before.iter().any(|token| matches!(&*token.text, "from" | "between"));
        (there || comes) && !led || time || word == "ingested"
    }

    /// "the policy acts as a rule": a thing is told of, and nobody is to be another.
    pub(super) fn plays_a_part(&self) -> bool {
        let s = self.sentence;
        let acts = |at: usize| s.tokens.get(at).is_some_and(|token| token.text == "acts");
        let mut places = s.places(ROLE).peekable();
        places.peek().is_some() && places.all(acts)
    }

    /// Verbs of moving are only the names of its own arguments.
    pub(super) fn only_names_move(&self) -> bool {
        let mut places = self.sentence.places(MOVE.or(REDIRECT)).peekable();
        places.peek().is_some() && places.all(|at| self.is_own_name(at))
    }

    /// `ssh_keys: public keys, one a line`: a line on an argument of its own, in which nothing is ordered.
    pub(super) fn documents_an_argument(&self) -> bool {
        let s = self.sentence;
        let line = s.text.trim_start_matches(['-', '*', ' ', '`']);
        let name: &str = line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let behind = line.get(name.len()..).unwrap_or_default().trim_start_matches(['`', ' ']);
        self.about.is_own(name)
            && behind.starts_with([':', '('])
            && !self.about.asks
            && !s.any(Kind::Path)
            && !s.any(Kind::Url)
            && !self.of(USER.or(YOU).or(WHOLE).or(MALICE).or(SHELL).or(ALSO))
            && !self.orders(MOVE.or(FETCH).or(RUN).or(USE))
    }

    /// Where a program keeps its variables is the business of a tool for them.
    pub(super) fn is_where_variables_are(&self) -> bool {
        let s = self.sentence;
        let file = |at: usize| s.tokens.get(at).is_some_and(|token| token.text.starts_with(".env"));
        let name = self.about.name.unwrap_or_default();
        s.places(STRONGBOX).all(file)
            && (name.contains("environmentvar")
                || name.contains("env_var")
                || name.contains("environment_var"))
    }

    /// "cannot see your filesystem": what is not reached is not handed over.
    pub(super) fn is_out_of_reach(&self) -> bool {
        let s = self.sentence;
        let mut places = s.places(PLACE).peekable();
        places.peek().is_some() && places.all(|at| s.is_negated(at))
    }

    /// "this tool's output" is its own, and behind `the other tool's` may stand the name of what that one does.
    pub(super) fn is_no_context(&self) -> bool {
        let s = self.sentence;
        let own = |at: usize| {
            let tool = s.tokens.get(at).is_some_and(|token| token.text.starts_with("tool"));
            let before = at.checked_sub(1).and_then(|at| s.tokens.get(at));
            let itself = before.is_some_and(|token| matches!(&*token.text, "this" | "its"));
            let named = s.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Name);
            tool && (itself || named)
        };
        let mut places = s.places(CONTEXT).peekable();
        places.peek().is_some() && places.all(own)
    }

    /// Beside `model` and `temperature`, a `system_prompt` is the one that is tried out.
    pub(super) fn sets_up_a_model(&self) -> bool {
        const BESIDE: &[&str] = &[
            "model",
            "model_id",
            "modelid",
            "temperature",
            "max_tokens",
            "maxtokens",
            "messages",
            "llm",
            "voice_id",
            "voiceid",
            "first_message",
            "firstmessage",
        ];
        let beside = self.about.ours.is_some_and(|ours| BESIDE.iter().any(|name| ours.contains(*name)));
        (beside || self.about.name.is_some_and(makes_a_model)) && !self.of(YOU)
    }

    /// "Overrides the default rules of the dishwasher": what it does to a thing's rules is told, and nobody's who reads this.
    pub(super) fn overrides_a_thing(&self) -> bool {
        const NO_THINGS: &[&str] = &[
            "conversation",
            "session",
            "chat",
            "host",
            "system",
            "developer",
            "client",
            "platform",
            "harness",
            "context",
            "user",
            "ai",
            "prompt",
        ];
        let s = self.sentence;
        let told = s.places(IGNORE).next().is_some()
            && s.places(IGNORE)
                .all(|at| s.tokens.get(at).is_some_and(|token| !token.bare && token.text.ends_with('s')));
        let of_a_thing = |at: usize| {
            let behind = s.tokens.get(at + 1..).unwrap_or_default();
            let thing = |token: &Token<'_>| {
                token.topics.meets(MODEL.or(YOU).or(SELF)) || NO_THINGS.contains(&&*token.text)
            };
            behind.first().is_some_and(|of| of.text == "of") && !behind.iter().take(5).any(thing)
        };
        s.first && !self.about.asks && !self.of(MODEL) && told && s.places(RULES).any(of_a_thing)
    }

    /// "the full history of a table": of a thing, and nothing that was said.
    pub(super) fn is_a_past(&self) -> bool {
        let s = self.sentence;
        let past = |at: usize| s.tokens.get(at).is_some_and(|token| token.text == "history");
        s.places(TALK).all(past) && !self.of(USER.or(YOU))
    }

    /// "a webhook", where that is what one of its own arguments is called.
    pub(super) fn is_an_argument(&self, at: usize) -> bool {
        let word = self.sentence.tokens.get(at).map(|token| &*token.text).unwrap_or_default();
        self.about.ours.is_some_and(|ours| ours.contains(word) || ours.contains(word.trim_end_matches('s')))
    }

    /// Which model calls is asked for, and not which one is to be used.
    pub(super) fn means_the_caller(&self) -> bool {
        const CALLER: &[&str] = &[
            "calling",
            "calls",
            "caller",
            "currently",
            "current",
            "invoking",
            "running",
            "using",
            "yourself",
        ];
        self.of(YOU) || self.sentence.tokens.iter().any(|token| CALLER.contains(&&*token.text))
    }

    /// "requires the MAPS_KEY environment variable": a setting of its own, by its name.
    pub(super) fn names_its_variables(&self) -> bool {
        let s = self.sentence;
        let named = |at: usize| {
            let near = s.tokens.get(at.saturating_sub(7)..at + 4).or(s.tokens.get(at.saturating_sub(7)..));
            let variable = s.tokens.get(at).is_some_and(|token| token.text.starts_with("env"));
            let constant = |name: &str| name.contains('_') && super::super::conduct::is_a_constant(name);
            variable && near.unwrap_or_default().iter().filter_map(|token| token.whole).any(constant)
        };
        let mut places = s.places(HOST).peekable();
        places.peek().is_some() && places.all(named) && !self.of(WHOLE.or(OUTSIDE))
    }

    /// "When to use this or other tools:", "Tool output:".
    pub(super) fn is_a_heading(&self) -> bool {
        let s = self.sentence;
        let asks =
            s.tokens.first().is_some_and(|token| matches!(&*token.text, "when" | "how" | "what" | "why"));
        let plain = s.tokens.iter().all(|token| matches!(token.kind, Kind::Word));
        s.text.trim_end_matches(['*', ' ']).ends_with(':')
            && plain
            && s.tokens.len() < if asks { 9 } else { 4 }
    }

    /// "without instructor approval": of somebody who is not the user.
    pub(super) fn is_anothers_yes(&self, at: usize) -> bool {
        let s = self.sentence;
        let before = at.checked_sub(1).and_then(|at| s.tokens.get(at));
        let without =
            at.checked_sub(2).and_then(|at| s.tokens.get(at)).is_some_and(|two| two.text == "without");
        without
            && before.is_some_and(|token| {
                token.topics == Topics::NONE
                    && token.kind == Kind::Word
                    && token.text.len() > 4
                    && !matches!(
                        &*token.text,
                        "their"
                            | "further"
                            | "extra"
                            | "prior"
                            | "explicit"
                            | "separate"
                            | "human"
                            | "asking"
                    )
            })
    }

    /// One message of many is no conversation.
    pub(super) fn is_one_message(&self) -> bool {
        let s = self.sentence;
        let one = |at: usize| {
            let message = s.tokens.get(at).is_some_and(|token| token.text == "message");
            let before = at.checked_sub(1).and_then(|at| s.tokens.get(at));
            message && before.is_some_and(|token| matches!(&*token.text, "one" | "single" | "a" | "each"))
        };
        s.places(TALK).all(one)
    }

    /// "Use this to resolve an id before calling another tool": what for is said, and nothing beyond it is claimed.
    pub(super) fn has_a_purpose(&self) -> bool {
        let s = self.sentence;
        let to = s.tokens.windows(3).any(|three| match three {
            [verb, this, to] => verb.topics.meets(USE) && this.text == "this" && to.text == "to",
            _ => false,
        });
        // "Use this as the primary tool to search logs"
        let first_for = s.tokens.windows(7).any(|seven| {
            let words: Vec<&str> = seven.iter().map(|token| &*token.text).collect();
            matches!(
                words.as_slice(),
                ["use", "this", "as", "the" | "your", "primary" | "main" | "default", "tool", "to" | "for"]
            )
        });
        let best = if first_for { Topics::NONE } else { BEST };
        (to || first_for)
            && !self.of(ALWAYS.or(MUST).or(best).or(ANYTHING).or(OUTSIDE))
            && !s
                .tokens
                .iter()
                .any(|token| matches!(&*token.text, "instead" | "rather" | "any" | "every" | "all"))
    }
}

/// `create_assistant`: a system prompt is what such a tool is told of the one that it makes.
fn makes_a_model(name: &str) -> bool {
    const MADE: &[&str] = &["assistant", "agent", "bot", "chatbot", "persona", "character", "gpt", "copilot"];
    const MAKES: &[&str] = &[
        "create",
        "update",
        "edit",
        "configure",
        "make",
        "new",
        "clone",
        "set",
        "deploy",
        "add",
        "register",
        "upsert",
    ];
    let words = |of: &[&str]| name.split(|c: char| !c.is_alphanumeric()).any(|word| of.contains(&word));
    words(MADE) && words(MAKES)
}

/// A method of the protocol itself, such as the notice that the tools changed.
pub(super) fn is_a_method(name: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "notifications/",
        "tools/",
        "resources/",
        "prompts/",
        "sampling/",
        "elicitation/",
        "roots/",
        "completion/",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family))
}
