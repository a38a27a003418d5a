//! What becomes of something that nobody asked yet: what the rules say, and what stands before them and above them.

use crate::say::{Say, printable};
use decision::{Actor, AgentName, Code, Principal, Refusal, RuleId};
use gateway::Live;
use policy::{Answer, Can};
use serde_json::json;
use std::collections::BTreeSet;

/// What the rules say to one principal of one item, and what the gateway makes of it.
pub(crate) struct Row {
    pub(crate) can: Can,
    /// Refused whatever the rules say.
    pub(crate) shut: Option<Refusal>,
    /// The server only observes: what the rules refuse is recorded and happens.
    observed: bool,
}

impl Row {
    /// In the order of the path: whoever is disabled is asked nothing, and only whom the rules show an item is refused it for
    /// how its server stands.
    pub(crate) fn of(can: Can, is_shown: bool, live: &Live, disabled: &BTreeSet<AgentName>) -> Self {
        let observed = live.observes(&can.server);
        let shut = disabled_is(&can.principal, disabled);
        let stands = || live.registry.refusal(&can.server, can.kind, &can.name);
        let shut = shut.or_else(|| (is_shown || observed).then(stands).flatten());
        Self { can, shut, observed }
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.shut.is_none() && (self.observed || self.can.answer.is_allowed())
    }

    /// Whether it happens only because the server observes.
    fn is_let_pass(&self) -> bool {
        self.is_allowed() && !self.can.answer.is_allowed()
    }

    /// One word and why, for a table.
    pub(crate) fn told(&self, say: Say) -> [String; 2] {
        if let Some(no) = &self.shut {
            return [say.paint(31, "no"), printable(&format!("{}: {}", no.code.as_str(), no.because))];
        }
        let (word, colour, because) = ruled(&self.can.answer);
        if self.is_let_pass() {
            let told = format!("`{}` only observes; if it enforced: {word}, {because}", self.can.server);
            return [say.paint(33, "yes"), printable(&told)];
        }
        [say.paint(colour, word), printable(&because)]
    }

    /// For programs. What would be refused or held if the server enforced is beside what happens.
    pub(crate) fn value(&self) -> serde_json::Value {
        let can = &self.can;
        let ruled = values(&can.answer);
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
pub(crate) fn values(answer: &Answer) -> serde_json::Value {
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

fn names(rules: &[RuleId]) -> String {
    rules.iter().map(RuleId::as_str).collect::<Vec<_>>().join(", ")
}

/// Why nothing is taken of a principal.
pub(crate) fn disabled_is(principal: &Principal, disabled: &BTreeSet<AgentName>) -> Option<Refusal> {
    let (Actor::Agent(name) | Actor::Workload(name)) = &principal.actor else { return None };
    let told = || format!("agent `{name}` is disabled: `callgate agent enable {name}`");
    disabled.contains(name).then(|| Refusal::new(Code::CredentialRevoked, told()))
}
