//! What would be if something else were offered: the same rules over another catalogue, asked and never put in force.

use crate::{
    actions::{self, PRINCIPALS, uid},
    ask::Subject,
    explain::{RuleView, view},
    load::{Loader, Policies},
    slice::Plan,
    source::{Problem, Source},
};
use catalog::Catalogue;
use cedar_policy::EntityUid;
use decision::ItemKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Policies {
    /// These rules over another catalogue. Servers that they would not fit are closed in it, as they would be.
    ///
    /// Errors: the texts themselves are wrong, which they are not while they are in force.
    pub fn over(&self, catalogue: Arc<Catalogue>) -> Result<Self, Vec<Problem>> {
        let texts: BTreeMap<&str, &String> =
            self.rules.iter().map(|rule| (rule.place.source.name(), rule.place.source.inner())).collect();
        let source = |(path, text): (&str, &String)| Source { path: path.to_owned(), text: text.clone() };
        Loader::default().refit(texts.into_iter().map(source).collect(), catalogue)
    }

    /// The rules that can decide about an item, whoever asks and with whatever arguments, in the order of the files:
    /// those that name it, its server, or what it is.
    pub fn deciding(&self, subject: Subject<'_>) -> Vec<RuleView<'_>> {
        let Some(plans) = self.plans.get(subject.server) else { return Vec::new() };
        let methods: &[&str] = match subject.kind {
            ItemKind::Tool => &[],
            ItemKind::Prompt => &["prompts/get", "completion/complete"],
            ItemKind::Resource => &["resources/read", "resources/subscribe"],
            ItemKind::ResourceTemplate => &["resources/read", "resources/subscribe", "completion/complete"],
            ItemKind::Server | ItemKind::Question => return Vec::new(),
        };
        let tool = (subject.kind == ItemKind::Tool).then(|| plans.tools.get(subject.name)).flatten();
        let plans = tool.into_iter().chain(methods.iter().filter_map(|method| plans.methods.get(method)));
        let only = self.entity(subject);
        let mut found = BTreeSet::new();
        for plan in plans {
            found.extend(self.of_plan(plan, subject, only.as_ref()));
        }
        self.rules
            .iter()
            .enumerate()
            .filter(|(index, _)| found.contains(index))
            .map(|(_, rule)| view(rule))
            .collect()
    }

    fn of_plan(&self, plan: &Plan, subject: Subject<'_>, only: Option<&EntityUid>) -> BTreeSet<usize> {
        let slices = (0..PRINCIPALS.len()).filter_map(|who| plan.slice(who));
        let Some(server) = uid("Server", subject.server.as_str()) else { return BTreeSet::new() };
        let kinds: &[&str] = match subject.kind {
            ItemKind::Prompt => &["Prompt"],
            ItemKind::Resource | ItemKind::ResourceTemplate => &["McpResource"],
            ItemKind::Tool | ItemKind::Server | ItemKind::Question => &["Tool"],
        };
        let covers = |index: &usize| {
            self.rules.get(*index).is_some_and(|rule| rule.covers_resource(kinds, &server, only))
        };
        slices.flat_map(|slice| slice.chosen().iter().copied()).filter(covers).collect()
    }

    /// The one thing that is asked about.
    fn entity(&self, subject: Subject<'_>) -> Option<EntityUid> {
        let entry = self.catalogue.server(subject.server)?;
        let entity = match subject.kind {
            ItemKind::Tool => return uid("Tool", &catalog::federated(subject.server, subject.name)),
            ItemKind::Prompt => actions::prompt_entity(subject.server, entry, subject.name),
            ItemKind::Resource | ItemKind::ResourceTemplate => {
                actions::resource_entity(subject.server, entry, subject.name)
            }
            ItemKind::Server | ItemKind::Question => None,
        };
        entity.map(|entity| entity.uid())
    }
}
