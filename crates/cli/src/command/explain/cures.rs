//! Who can lift what holds a call: of the people who are known here, those whose yes counts.

use crate::{
    cli::Given,
    say::{one_line, when},
};
use decision::approval::{Approval, Curable, Cure, Vote, Voter};
use decision::{Principal, Timestamp};
use serde_json::{Value, json};

/// A cure, and what the people who are known could do about it.
#[derive(Debug)]
pub(super) struct Cures {
    cure: Cure,
    /// Where people were asked, what became of it.
    asked: Option<Box<Approval>>,
    found: Curable,
}

impl Cures {
    /// Of a call that nobody made.
    pub(super) fn what_if(cure: Cure, asker: &Principal, people: &[Voter], now: Timestamp) -> Self {
        let found = cure.among(asker, people, &[], now);
        Self { cure, asked: None, found }
    }

    /// Of one that people were asked about.
    pub(super) fn of(approval: Approval, people: &[Voter], now: Timestamp) -> Self {
        let found = approval.cure.among(&approval.terms.principal, people, &approval.votes, now);
        Self { cure: approval.cure.clone(), asked: Some(Box::new(approval)), found }
    }

    fn votes(&self) -> &[Vote] {
        self.asked.as_ref().map_or(&[], |approval| &approval.votes)
    }

    /// Whether it still waits for anybody.
    fn is_open(&self) -> bool {
        self.asked.as_ref().is_none_or(|approval| approval.state == decision::approval::State::Proposed)
    }

    pub(super) fn value(&self) -> Value {
        let can = self
            .found
            .can
            .iter()
            .map(|vote| json!({ "person": vote.person, "groups": vote.groups, "lent": vote.lent }));
        let cannot = self.found.cannot.iter();
        let cannot = cannot.map(|(person, why)| json!({ "person": person, "why": why.to_string() }));
        let asked = self.asked.as_ref();
        json!({
            "needs": self.cure.to_string(), "apart": self.cure.apart, "enough": self.found.enough,
            "can": can.collect::<Vec<_>>(), "cannot": cannot.collect::<Vec<_>>(),
            "approval": asked.map(|approval| approval.id), "state": asked.map(|approval| approval.state),
            "votes": self.votes(),
        })
    }

    pub(super) fn tell(&self, given: &Given) {
        let say = given.say;
        match &self.asked {
            None => say.line(format!("it would wait for {}", self.cure)),
            Some(approval) => {
                let (id, state) = (approval.id, approval.state.as_str());
                say.line(format!("people were asked ({id}, {state}): it needs {}", self.cure));
            }
        }
        if self.cure.apart {
            say.line("  nobody counts who shares a group with the asker");
        }
        for vote in self.votes() {
            let word = if vote.yes { "yes" } else { "no" };
            let groups = list(&vote.groups);
            let why = vote.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            say.line(one_line(&format!(
                "  {} said {word} for {groups}, {}{why}",
                vote.person,
                when(vote.at)
            )));
        }
        if !self.is_open() {
            return;
        }
        for need in &self.cure.needs {
            if let Some(escalation) = &need.escalation {
                let (to, at) = (&escalation.to, when(escalation.at));
                say.line(format!("  for {} {to} counts as well, from {at}", need.group));
            }
        }
        for Vote { person, groups, lent, .. } in &self.found.can {
            let lent: Vec<_> = lent.iter().map(|(group, by)| format!("{group} is lent by {by}")).collect();
            let lent = if lent.is_empty() { String::new() } else { format!(" ({})", lent.join(", ")) };
            say.line(one_line(&format!("  {person} can say yes for {}{lent}", list(groups))));
        }
        for (person, why) in &self.found.cannot {
            say.line(one_line(&format!("  {person} cannot: {why}")));
        }
        if !self.found.enough {
            say.line("  that is not enough: more people have to be added or lent the group");
        }
    }
}

fn list(groups: &std::collections::BTreeSet<decision::GroupName>) -> String {
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
