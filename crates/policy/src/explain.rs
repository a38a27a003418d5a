//! Why, and who: answers for people, made by asking the engine.

use crate::{
    actions::PRINCIPALS,
    answer::Answer,
    ask::{Asker, Question, Subject},
    load::Policies,
    rule::{Rule, Sway},
};
use catalog::{Classified, federated};
use decision::approval::Cure;
use decision::{ItemKind, Principal, RuleId, ServerName};
use std::collections::BTreeSet;

/// A rule as its author wrote it, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView<'a> {
    pub id: &'a RuleId,
    pub sway: Sway,
    pub because: Option<&'a str>,
    /// Whose yes lifts it.
    pub unless_approved: Option<&'a Cure>,
    pub path: &'a str,
    /// From 1.
    pub line: usize,
    /// The whole statement.
    pub text: &'a str,
}

/// One row of what somebody can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Can {
    pub principal: Principal,
    pub server: ServerName,
    pub kind: ItemKind,
    /// The author's name.
    pub name: String,
    /// As `/mcp` names it, for tools and prompts.
    pub federated: Option<String>,
    pub classified: Option<Classified>,
    pub answer: Answer,
}

impl Policies {
    /// The rule behind an id.
    pub fn explain(&self, id: &RuleId) -> Option<RuleView<'_>> {
        self.rule(id).map(view)
    }

    /// Whose yes a call of this tool may need, whoever makes it and with whatever arguments.
    pub fn may_need(&self, server: &ServerName, tool: &str) -> Vec<String> {
        let plan = self.plans.get(server).and_then(|plans| plans.tools.get(tool));
        let slices =
            plan.into_iter().flat_map(|plan| (0..PRINCIPALS.len()).filter_map(|who| plan.slice(who)));
        let cures = slices.flat_map(|slice| slice.rules(&self.rules)).filter_map(|rule| rule.cure.as_ref());
        cures.map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// All rules, in the order of the files.
    pub fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.rules.iter().map(view)
    }

    /// Everything the principal may see, and everything it may not: one row per accepted item.
    pub fn what_can(&self, asker: Asker<'_>) -> Vec<Can> {
        let mut rows = Vec::new();
        for (server, entry) in self.catalogue.servers() {
            for item in entry.items() {
                let (kind, name) = (item.definition.kind(), item.definition.name());
                let answer = self.see(asker, Subject { server, kind, name });
                let named = matches!(kind, ItemKind::Tool | ItemKind::Prompt);
                rows.push(Can {
                    principal: asker.principal.clone(),
                    server: server.clone(),
                    kind,
                    name: name.to_owned(),
                    federated: named.then(|| federated(server, name)),
                    classified: (kind == ItemKind::Tool).then(|| item.classified.clone()),
                    answer,
                });
            }
        }
        rows
    }

    /// The answer to one question for each of these principals.
    pub fn who_can<'p>(
        &self,
        question: &Question<'_>,
        principals: impl IntoIterator<Item = &'p Principal>,
    ) -> Vec<Can> {
        let row = |principal: &Principal| {
            let asker = Asker { principal, host: question.asker.host };
            let Subject { server, kind, name } = question.subject;
            let named = matches!(kind, ItemKind::Tool | ItemKind::Prompt);
            Can {
                principal: principal.clone(),
                server: server.clone(),
                kind,
                name: name.to_owned(),
                federated: named.then(|| federated(server, name)),
                classified: self.catalogue.item(server, kind, name).map(|item| item.classified.clone()),
                answer: self.call(&Question { asker, ..*question }),
            }
        };
        principals.into_iter().map(row).collect()
    }
}

pub(crate) fn view(rule: &Rule) -> RuleView<'_> {
    let text = rule.place.source.inner();
    let before = text.get(..rule.place.span.start).unwrap_or_default();
    RuleView {
        id: &rule.id,
        sway: rule.sway,
        because: rule.because.as_deref(),
        unless_approved: rule.cure.as_ref(),
        path: rule.place.source.name(),
        line: before.bytes().filter(|b| *b == b'\n').count() + 1,
        text: rule.place.text(),
    }
}
