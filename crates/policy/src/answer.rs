//! What the rules say, with everything needed to say why.

use decision::approval::Cure;
use decision::{Code, Refusal, RuleId};

/// Which of the two questions was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    See,
    Call,
}

/// Why the answer is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No rule permits it.
    NoRule,
    /// A rule forbids it.
    Forbidden,
    /// A rule could not be evaluated.
    RuleFailed,
    /// A rule names an argument whose value it cannot be given exactly.
    ArgumentUnfit,
    /// The asker is nobody rules speak of: unknown, a server, or the gateway itself.
    NoPrincipal,
    /// The catalogue has no such item, or the method does not fit it.
    NoItem,
    /// The address is not in normal form, so a rule on its text could be walked around.
    AddressUnsafe,
}

/// The rules' answer. There is no fourth one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allowed {
        /// The permits it rests on, of the agent and of the user behind it.
        basis: Vec<RuleId>,
    },
    Refused {
        reason: Reason,
        /// The forbids that matched, or the rules that failed.
        rules: Vec<RuleId>,
        /// What the rules' `@because` says; fit for the asker.
        because: Vec<String>,
        /// For the operator: one sentence.
        detail: String,
        /// The Cedar line that would permit it, where none does. For the operator.
        remedy: Option<String>,
    },
    /// Forbidden, but only by rules that people's yes lifts, and permitted without them.
    Held(Held),
}

/// What holds a call, and what lifts that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub cure: Cure,
    pub rules: Vec<RuleId>,
    /// What each rule's `@because` says; fit for the asker.
    pub because: Vec<String>,
}

impl Held {
    /// As a refusal, for whoever cannot wait for people.
    ///
    /// Always `approval-required`.
    pub fn refusal(&self) -> Refusal {
        let (whom, because) = (self.cure.to_string(), self.because.join("; "));
        Refusal::new(Code::ApprovalRequired, format!("held for approval by {whom}: {because}"))
            .told(because)
            .remedy(
                format!("approval by {whom} is needed"),
                self.cure.groups().map(ToString::to_string).collect(),
            )
            .basis(self.rules.iter().map(ToString::to_string).collect())
    }
}

impl Answer {
    pub(crate) fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused { reason, rules: Vec::new(), because: Vec::new(), detail: detail.into(), remedy: None }
    }

    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// Both must be allowed: an agent's request and the request of the user behind it.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Allowed { mut basis }, Self::Allowed { basis: more }) => {
                basis.extend(more);
                basis.sort();
                basis.dedup();
                Self::Allowed { basis }
            }
            (Self::Held(mut held), Self::Held(more)) => {
                for (rule, text) in more.rules.into_iter().zip(more.because) {
                    if !held.rules.contains(&rule) {
                        held.rules.push(rule);
                        held.because.push(text);
                    }
                }
                Self::Held(Held { cure: held.cure.and(more.cure), ..held })
            }
            (refused @ Self::Refused { .. }, Self::Allowed { .. } | Self::Held(_))
            | (Self::Allowed { .. } | Self::Held(_), refused @ Self::Refused { .. }) => refused,
            (held @ Self::Held(_), Self::Allowed { .. }) | (Self::Allowed { .. }, held @ Self::Held(_)) => {
                held
            }
            (
                Self::Refused { reason, rules, because, detail, remedy },
                Self::Refused { rules: more_rules, because: more, remedy: other, .. },
            ) => {
                let join = |mut ours: Vec<_>, theirs: Vec<_>| {
                    ours.extend(theirs);
                    ours
                };
                let mut rules = join(rules, more_rules);
                rules.sort();
                rules.dedup();
                let mut because = because;
                because.extend(more.into_iter().filter(|text| !because.contains(text)).collect::<Vec<_>>());
                let remedy = match (remedy, other) {
                    (Some(ours), Some(theirs)) => Some(format!("{ours}\n{theirs}")),
                    (ours, theirs) => ours.or(theirs),
                };
                Self::Refused { reason, rules, because, detail, remedy }
            }
        }
    }

    /// As a stage's answer: the rules it rests on, or the refusal to record and to tell.
    ///
    /// Errors: `not-permitted` for *see* (which tells the Host no more than an unknown item would), and for *call*
    /// `rule-denied`, `rule-failed`, `arguments-invalid` or `approval-required`.
    pub fn judged(self, asked: Asked) -> Result<Vec<RuleId>, Refusal> {
        let names = |rules: &[RuleId]| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self {
            Self::Allowed { basis } => Ok(basis),
            Self::Held(held) => Err(held.refusal()),
            Self::Refused { reason, rules, because, detail, remedy } => {
                let code = match (asked, reason) {
                    (_, Reason::RuleFailed) => Code::RuleFailed,
                    (_, Reason::AddressUnsafe) => Code::ArgumentsInvalid,
                    (Asked::See, _) => Code::NotPermitted,
                    (Asked::Call, Reason::ArgumentUnfit) => Code::ArgumentsInvalid,
                    (
                        Asked::Call,
                        Reason::NoRule | Reason::Forbidden | Reason::NoPrincipal | Reason::NoItem,
                    ) => Code::RuleDenied,
                };
                let mut for_operator = detail;
                for text in
                    [because.join("; "), remedy.unwrap_or_default()].into_iter().filter(|t| !t.is_empty())
                {
                    for_operator = format!("{for_operator}: {text}");
                }
                let mut refusal = Refusal::new(code, for_operator).basis(names(&rules));
                if asked == Asked::Call && !because.is_empty() {
                    refusal = refusal.told(because.join("; "));
                }
                if asked == Asked::Call && reason == Reason::NoRule {
                    refusal = refusal.told("no rule permits it").remedy(
                        "an operator can permit it with a rule; `callgate explain` shows the line",
                        vec![],
                    );
                }
                Err(refusal)
            }
        }
    }
}
