//! What becomes of something that nobody asked yet: what the rules say, and what stands before them and above them.

use crate::say::table::Cell;
use decision::{Actor, AgentName, Code, Principal, Refusal, RuleId};
use gateway::Live;
use policy::{Answer, Can, Unsaid};
use serde_json::json;
use std::collections::BTreeSet;

/// What the rules say, as far as it is known.
pub(crate) struct Ruling {
    pub(crate) answer: Answer,
    /// The rules that decide by arguments which are not known.
    open: BTreeSet<RuleId>,
}

impl From<Answer> for Ruling {
    fn from(answer: Answer) -> Self {
        Self { answer, open: BTreeSet::new() }
    }
}

impl From<Unsaid> for Ruling {
    /// Of a call whose arguments are not known. What is refused whatever they are does not depend on them.
    fn from(unsaid: Unsaid) -> Self {
        let open = match &unsaid.otherwise {
            Answer::Refused { .. } => BTreeSet::new(),
            Answer::Allowed { .. } | Answer::Held(_) => unsaid.rules,
        };
        Self { answer: unsaid.otherwise, open }
    }
}

impl Ruling {
    pub(crate) fn is_permitted(&self) -> bool {
        self.answer.is_allowed() && self.open.is_empty()
    }

    /// On what it depends, if it does.
    pub(crate) fn depends(&self) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let read = if self.open.len() == 1 { "reads" } else { "read" };
        let on = format!("on the arguments, which {} {read}", names(&self.open));
        Some(match &self.answer {
            Answer::Held(_) => {
                let (_, _, held) = ruled(&self.answer);
                format!("{on}; in any case held: {held}")
            }
            Answer::Allowed { .. } | Answer::Refused { .. } => format!("{on}: give them with `--args`"),
        })
    }

    /// For programs.
    pub(crate) fn value(&self) -> serde_json::Value {
        match self.depends() {
            Some(detail) => {
                json!({ "answer": "depends", "rules": self.open, "detail": detail, "remedy": null })
            }
            None => values(&self.answer),
        }
    }

    /// In a word, its colour, and why.
    fn told(&self) -> (&'static str, u8, String) {
        match self.depends() {
            Some(because) => ("depends", 33, because),
            None => ruled(&self.answer),
        }
    }
}

/// What the rules say to one principal of one item, and what the gateway makes of it.
pub(crate) struct Row {
    pub(crate) can: Can,
    /// Refused whatever the rules say.
    pub(crate) shut: Option<Refusal>,
    /// The server only observes: what the rules refuse is recorded and happens.
    observed: bool,
    /// Whether the call comes as far as its arguments.
    is_shown: bool,
    rules: Ruling,
}

impl Row {
    /// In the order of the path: whoever is disabled is asked nothing, and only whom the rules show an item is refused it for
    /// how its server stands.
    pub(crate) fn of(can: Can, is_shown: bool, live: &Live, disabled: &BTreeSet<AgentName>) -> Self {
        let observed = live.observes(&can.server);
        let shut = disabled_is(&can.principal, disabled);
        let stands = || live.registry.refusal(&can.server, can.kind, &can.name);
        let is_shown = is_shown || observed;
        let shut = shut.or_else(|| is_shown.then(stands).flatten());
        let rules = can.answer.clone().into();
        Self { can, shut, observed, is_shown, rules }
    }

    /// With arguments that the tool does not take.
    pub(crate) fn unfit(mut self, misfit: Option<&str>) -> Self {
        let misfit = misfit.filter(|_| self.is_shown && self.shut.is_none());
        self.shut = misfit.map(|misfit| Refusal::new(Code::ArgumentsInvalid, misfit)).or(self.shut);
        self
    }

    /// Of a call whose arguments are not known.
    pub(crate) fn unsaid(mut self, unsaid: Unsaid) -> Self {
        self.rules = unsaid.into();
        self
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.shut.is_none() && (self.observed || self.rules.is_permitted())
    }

    /// Whether arguments decide.
    pub(crate) fn depends(&self) -> bool {
        self.shut.is_none() && !self.observed && self.rules.depends().is_some()
    }

    /// Whether it happens only because the server observes.
    fn is_let_pass(&self) -> bool {
        self.is_allowed() && !self.rules.is_permitted()
    }

    /// One word and why, for a table.
    pub(crate) fn told(&self) -> [Cell; 2] {
        if let Some(no) = &self.shut {
            return [Cell::painted(31, "no"), format!("{}: {}", no.code.as_str(), no.because).into()];
        }
        let (word, colour, because) = self.rules.told();
        if self.is_let_pass() {
            let told = format!("`{}` only observes; if it enforced: {word}, {because}", self.can.server);
            return [Cell::painted(33, "yes"), told.into()];
        }
        [Cell::painted(colour, word), because.into()]
    }

    /// For programs. What would be refused or held if the server enforced is beside what happens.
    pub(crate) fn value(&self) -> serde_json::Value {
        let can = &self.can;
        let ruled = self.rules.value();
        let mut value = json!({
            "principal": can.principal, "server": can.server, "kind": can.kind, "name": can.name,
            "federated": can.federated, "code": self.shut.as_ref().map(|no| no.code.as_str()),
            "under-enforcement": self.is_let_pass().then(|| ruled.clone()),
        });
        let answer = match &self.shut {
            Some(no) => json!({ "answer": "refused", "rules": [], "detail": no.because, "remedy": null }),
            None if self.is_let_pass() => observed(),
            None => ruled,
        };
        if let (Some(value), serde_json::Value::Object(answer)) = (value.as_object_mut(), answer) {
            value.extend(answer);
        }
        value
    }
}

/// The answer for programs where the rules would not have it and the server only observes.
pub(crate) fn observed() -> serde_json::Value {
    json!({ "answer": "allowed", "rules": [], "detail": "the server only observes", "remedy": null })
}

/// An answer of the rules for programs.
fn values(answer: &Answer) -> serde_json::Value {
    let (word, rules, detail, remedy) = match answer {
        Answer::Allowed { basis } => ("allowed", basis, None, None),
        Answer::Held(held) => ("held", &held.rules, Some(held.because.join("; ")), None),
        Answer::Refused { rules, detail, remedy, .. } => {
            ("refused", rules, Some(detail.clone()), remedy.clone())
        }
    };
    json!({ "answer": word, "rules": rules, "detail": detail, "remedy": remedy })
}

/// An answer of the rules in a word, its colour, and why.
fn ruled(answer: &Answer) -> (&'static str, u8, String) {
    match answer {
        Answer::Allowed { basis } => ("yes", 32, names(basis)),
        Answer::Held(held) => ("held", 33, format!("{} unless {} approve", names(&held.rules), held.cure)),
        Answer::Refused { rules, detail, .. } if rules.is_empty() => ("no", 31, detail.clone()),
        Answer::Refused { rules, detail, .. } => ("no", 31, format!("{}: {detail}", names(rules))),
    }
}

fn names<'r>(rules: impl IntoIterator<Item = &'r RuleId>) -> String {
    rules.into_iter().map(RuleId::as_str).collect::<Vec<_>>().join(", ")
}

/// Why nothing is taken of a principal.
pub(crate) fn disabled_is(principal: &Principal, disabled: &BTreeSet<AgentName>) -> Option<Refusal> {
    let (Actor::Agent(name) | Actor::Workload(name)) = &principal.actor else { return None };
    let told = || format!("agent `{name}` is disabled: `callgate agent enable {name}`");
    disabled.contains(name).then(|| Refusal::new(Code::AgentDisabled, told()))
}
