//! What can be said of a call before its arguments are known.

use crate::{
    answer::{Answer, Reason},
    ask::{Aim, Question, Requester, requesters},
    context::context,
    load::Policies,
    rule::Rule,
    slice::{Plan, Slice},
    types::Found,
};
use cedar_policy::{Request, RestrictedExpression};
use decision::RuleId;
use std::collections::BTreeSet;

/// An answer that leaves the arguments open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaid {
    /// What all other rules say. A no among them is final, as what reads arguments only ever forbids.
    pub otherwise: Answer,
    /// The rules that read arguments which the item has, and may hold or refuse the call for them.
    pub rules: BTreeSet<RuleId>,
}

impl Policies {
    /// What is certain of a call with whatever arguments, and which rules decide the rest. Those of the question are not
    /// looked at.
    pub fn unsaid(&self, question: &Question<'_>) -> Unsaid {
        let no = |otherwise| Unsaid { otherwise, rules: BTreeSet::new() };
        let aim = match self.aim(question.subject, Some(question.method)) {
            Ok(aim) => aim,
            Err(refused) => return no(refused),
        };
        let requesters = match requesters(question.asker.principal) {
            Ok(requesters) => requesters,
            Err(refused) => return no(refused),
        };
        let one = |requester: &Requester<'_>| {
            self.unsaid_one(requester, &aim, question).unwrap_or_else(|| {
                no(Answer::refused(Reason::RuleFailed, "the question cannot be put to the rules"))
            })
        };
        let both = requesters.iter().map(one).reduce(|a, b| Unsaid {
            otherwise: a.otherwise.and(b.otherwise),
            rules: a.rules.into_iter().chain(b.rules).collect(),
        });
        both.unwrap_or_else(|| no(Answer::refused(Reason::NoPrincipal, "nobody asks")))
    }

    fn unsaid_one(
        &self,
        requester: &Requester<'_>,
        aim: &Aim<'_>,
        question: &Question<'_>,
    ) -> Option<Unsaid> {
        let standing = self.standing(requester, aim)?;
        let (mut rules, mut others) = (BTreeSet::new(), Vec::new());
        for index in standing.slice.chosen() {
            let rule = self.rules.get(*index)?;
            if reads_arguments(rule, aim.plan) {
                rules.insert(rule.id.clone());
            } else {
                others.push(*index);
            }
        }
        let slice = Slice::shared(others);
        let calling = slice.call(&self.rules);
        let nothing = RestrictedExpression::new_record([]).ok()?;
        let context = match context(question.asker, &calling.reads, Some((question, nothing))) {
            Ok(context) => context,
            Err(otherwise) => return Some(Unsaid { otherwise, rules }),
        };
        let (who, what) = (standing.uid.clone(), aim.plan.uid.clone());
        let request = Request::new(who, what, aim.resource.uid(), context, None).ok()?;
        let ask = |set| self.authorizer.is_authorized(&request, set, &standing.entities);
        let without = calling.uncurable.as_ref().map(|set| || ask(set));
        let without = without.as_ref().map(|ask| ask as &dyn Fn() -> cedar_policy::Response);
        let otherwise = self.answer_of(&ask(&calling.all), without, &request);
        Some(Unsaid { otherwise, rules })
    }
}

/// Whether what the rule says may depend on arguments of this item: those that it lacks are absent whatever is sent.
fn reads_arguments(rule: &Rule, plan: &Plan) -> bool {
    let exists = |path: &Vec<String>| !matches!(plan.arguments.at(path), Found::Missing);
    rule.reads.whole || rule.reads.arguments.iter().any(exists)
}
