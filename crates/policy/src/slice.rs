//! The rules that can matter to one action and one type of principal, ready to be asked.
//!
//! Cedar reads every rule it is given for every request. A slice leaves out what the scopes exclude with certainty
//! and nothing else, so it decides as the whole set does (property test in `tests/it`).

use crate::{
    actions::{Action, uid},
    facts::Named,
    reply,
    rule::{Actions, Rule},
    types::Type,
};
use cedar_policy::{Entity, EntityUid, PolicySet};
use decision::{RuleId, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// Rules for one action and one type of principal. The sets are built when they are first asked: a catalogue has
/// many more tools than are ever called.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Indices into the rules.
    chosen: Vec<usize>,
    see: OnceLock<PolicySet>,
    call: OnceLock<Calling>,
    answered: OnceLock<(PolicySet, Parts)>,
    named: OnceLock<Named>,
}

/// What a call is decided by.
#[derive(Debug)]
pub(crate) struct Calling {
    /// Everything that can matter.
    pub(crate) all: PolicySet,
    /// The same without the forbids that people can lift, if there are any.
    pub(crate) uncurable: Option<PolicySet>,
    /// Those that read nothing of the context, and those that do.
    pub(crate) still: PolicySet,
    pub(crate) moved: PolicySet,
    /// Which those are, if their conditions are the same whoever asks. Their scopes hold for whom they are chosen.
    pub(crate) shared: Option<Vec<RuleId>>,
    pub(crate) reads: Parts,
}

/// Which first members of the context the rules of a slice read: they need not be given the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parts {
    All,
    These(BTreeSet<String>),
}

impl Parts {
    pub(crate) fn has(&self, part: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(parts) => parts.contains(part),
        }
    }

    fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut parts = BTreeSet::new();
        for rule in rules {
            if rule.reads.whole {
                return Self::All;
            }
            parts.extend(rule.reads.parts.iter().cloned());
        }
        Self::These(parts)
    }
}

impl Slice {
    fn of(chosen: Vec<usize>) -> Self {
        Self {
            chosen,
            see: OnceLock::new(),
            call: OnceLock::new(),
            answered: OnceLock::new(),
            named: OnceLock::new(),
        }
    }

    /// Those of its rules that speak of a principal in exactly these groups.
    pub(crate) fn of_principal(
        &self,
        rules: &[Rule],
        principal: &EntityUid,
        groups: &[EntityUid],
    ) -> Vec<usize> {
        let speaks = |index: &usize| rules.get(*index).is_some_and(|rule| rule.whom.means(principal, groups));
        self.chosen.iter().copied().filter(speaks).collect()
    }

    /// Which rules these are.
    pub(crate) fn chosen(&self) -> &[usize] {
        &self.chosen
    }

    /// A slice of these rules.
    pub(crate) fn shared(chosen: Vec<usize>) -> Arc<Self> {
        Arc::new(Self::of(chosen))
    }

    /// The rules that count for seeing.
    pub(crate) fn see(&self, rules: &[Rule]) -> &PolicySet {
        self.see.get_or_init(|| set(self.rules(rules).filter(|rule| rule.counts_for_seeing())))
    }

    pub(crate) fn call(&self, rules: &[Rule]) -> &Calling {
        self.call.get_or_init(|| {
            let curable = self.rules(rules).any(|rule| rule.cure.is_some());
            let uncurable = || set(self.rules(rules).filter(|rule| rule.cure.is_none()));
            let reads = Parts::of(self.rules(rules));
            let (still, moved): (Vec<&Rule>, Vec<&Rule>) =
                self.rules(rules).partition(|rule| rule.reads.only(&[]));
            let same = |rule: &&Rule| !rule.reads.asker;
            let shared = moved.iter().all(same).then(|| moved.iter().map(|rule| rule.id.clone()).collect());
            Calling {
                shared,
                all: set(self.rules(rules)),
                uncurable: curable.then(uncurable),
                still: set(still.into_iter()),
                moved: set(moved.into_iter()),
                reads,
            }
        })
    }

    /// The forbids that read what a Host answers, and what else they read.
    pub(crate) fn answered(&self, rules: &[Rule]) -> &(PolicySet, Parts) {
        self.answered.get_or_init(|| {
            let read = || self.rules(rules).filter(|rule| rule.reads.has(reply::PART));
            (set(read()), Parts::of(read()))
        })
    }

    /// Which arguments these rules name.
    pub(crate) fn named(&self, rules: &[Rule]) -> &Named {
        self.named.get_or_init(|| {
            let mut named = Named::none();
            for rule in self.rules(rules) {
                if rule.reads.whole {
                    named = Named::All;
                }
                rule.reads.arguments.iter().for_each(|path| named.add(path));
            }
            named
        })
    }

    pub(crate) fn rules<'a>(&'a self, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> {
        self.chosen.iter().filter_map(|index| rules.get(*index))
    }
}

fn set<'a>(rules: impl Iterator<Item = &'a Rule>) -> PolicySet {
    let mut set = PolicySet::new();
    for rule in rules {
        // ids are unique, checked when the rules were read
        let _ = set.add(rule.policy.clone());
    }
    set
}

/// Everything about one action that does not depend on who asks.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Which one it is, of all of its rules and catalogue.
    pub(crate) number: usize,
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
    /// What it is asked of, where there is only one.
    pub(crate) resource: Option<Entity>,
    pub(crate) arguments: Type,
    /// In the order of `actions::PRINCIPALS`.
    slices: [Arc<Slice>; 3],
}

impl Plan {
    pub(crate) fn slice(&self, principal: usize) -> Option<&Arc<Slice>> {
        self.slices.get(principal)
    }
}

/// One action of one server, and the rules whose scope speaks of that action.
#[derive(Debug)]
pub(crate) struct Covered {
    pub(crate) server: ServerName,
    pub(crate) action: Action,
    /// By the action alone; a rule may still ask for another resource.
    pub(crate) by_action: Vec<usize>,
    /// By action and resource.
    pub(crate) rules: Vec<usize>,
}

/// Finds the rules of every action without comparing every rule with every action.
pub(crate) fn cover(rules: &[Rule], servers: Vec<(ServerName, Vec<Action>)>) -> Vec<Covered> {
    let mut any = Vec::new();
    let mut only: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut within: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        match &rule.actions {
            Actions::Any => any.push(index),
            Actions::Only(name) => only.entry(name).or_default().push(index),
            Actions::Within(names) => {
                names.iter().for_each(|name| within.entry(name).or_default().push(index))
            }
        }
    }
    let mut covered = Vec::new();
    for (server, actions) in servers {
        let entity = uid("Server", server.as_str());
        for action in actions {
            let mut found: BTreeSet<usize> = any.iter().copied().collect();
            found.extend(only.get(action.name.as_str()).into_iter().flatten());
            let groups = action.groups.iter().map(String::as_str).chain([action.name.as_str()]);
            groups.for_each(|group| found.extend(within.get(group).into_iter().flatten()));
            let by_action: Vec<usize> = found.into_iter().collect();
            let resource = action.resource.as_ref().map(Entity::uid);
            let fits = |index: &usize| {
                let rule = rules.get(*index);
                rule.zip(entity.as_ref()).is_some_and(|(rule, server)| {
                    rule.covers_resource(action.resources, server, resource.as_ref())
                })
            };
            let rules = by_action.iter().copied().filter(fits).collect();
            covered.push(Covered { server: server.clone(), action, by_action, rules });
        }
    }
    covered
}

/// Makes plans; equal lists of rules share one slice.
pub(crate) struct Slicer<'a> {
    rules: &'a [Rule],
    made: BTreeMap<Vec<usize>, Arc<Slice>>,
    plans: usize,
}

impl<'a> Slicer<'a> {
    pub(crate) fn new(rules: &'a [Rule]) -> Self {
        Self { rules, made: BTreeMap::new(), plans: 0 }
    }

    /// `None` only where a name cannot be one of Cedar's, which [`uid`] rules out.
    pub(crate) fn plan(&mut self, covered: &Covered) -> Option<Plan> {
        let action = &covered.action;
        let slices = [0, 1, 2].map(|kind: usize| {
            let meant = |rule: &Rule| rule.principals.get(kind).copied().unwrap_or(true);
            let fits = |index: &usize| self.rules.get(*index).is_some_and(meant);
            self.slice(covered.rules.iter().copied().filter(fits).collect())
        });
        let uid = uid("Action", &action.name)?;
        let parents: Option<Vec<_>> =
            action.groups.iter().map(|group| crate::actions::uid("Action", group)).collect();
        self.plans += 1;
        Some(Plan {
            number: self.plans,
            entity: Entity::new_no_attrs(uid.clone(), parents?.into_iter().collect()),
            uid,
            resource: action.resource.clone(),
            arguments: action.arguments.clone(),
            slices,
        })
    }

    fn slice(&mut self, chosen: Vec<usize>) -> Arc<Slice> {
        if let Some(slice) = self.made.get(&chosen) {
            return Arc::clone(slice);
        }
        let slice = Slice::shared(chosen.clone());
        self.made.insert(chosen, Arc::clone(&slice));
        slice
    }
}
