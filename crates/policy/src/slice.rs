//! The rules that can matter to one action and one type of principal, ready to be asked.
//!
//! Cedar reads every rule it is given for every request. A slice leaves out what the scopes exclude with certainty
//! and nothing else, so it decides as the whole set does (property test in `tests/it`).

use crate::{
    actions::{Action, PRINCIPALS, uid},
    facts::Named,
    rule::Rule,
    types::Type,
};
use cedar_policy::{Entity, EntityUid, PolicySet};
use decision::ServerName;
use std::{collections::BTreeMap, sync::Arc};

/// Rules for one action and one type of principal.
#[derive(Debug)]
pub(crate) struct Slice {
    /// For the call: everything that can matter.
    pub(crate) call: PolicySet,
    /// The same without the forbids that people can lift.
    pub(crate) uncurable: PolicySet,
    /// For seeing.
    pub(crate) see: PolicySet,
    pub(crate) curable: bool,
    /// Which arguments these rules name.
    pub(crate) named: Named,
}

impl Slice {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut slice = Self {
            call: PolicySet::new(),
            uncurable: PolicySet::new(),
            see: PolicySet::new(),
            curable: false,
            named: Named::none(),
        };
        for rule in rules {
            // ids are unique, checked when the rules were read
            let _ = slice.call.add(rule.policy.clone());
            match rule.cure {
                Some(_) => slice.curable = true,
                None => {
                    let _ = slice.uncurable.add(rule.policy.clone());
                }
            }
            if rule.counts_for_seeing() {
                let _ = slice.see.add(rule.policy.clone());
            }
            if rule.reads.whole {
                slice.named = Named::All;
            }
            for path in &rule.reads.arguments {
                slice.named.add(path);
            }
        }
        slice
    }
}

/// Everything about one action that does not depend on who asks.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
    /// What it is asked of, where there is only one.
    pub(crate) resource: Option<Entity>,
    pub(crate) arguments: Type,
    /// In the order of [`PRINCIPALS`].
    slices: [Arc<Slice>; 3],
}

impl Plan {
    pub(crate) fn slice(&self, principal: usize) -> Option<&Slice> {
        self.slices.get(principal).map(Arc::as_ref)
    }
}

/// Makes plans; equal lists of rules share one slice.
pub(crate) struct Slicer<'a> {
    rules: &'a [Rule],
    made: BTreeMap<Vec<usize>, Arc<Slice>>,
}

impl<'a> Slicer<'a> {
    pub(crate) fn new(rules: &'a [Rule]) -> Self {
        Self { rules, made: BTreeMap::new() }
    }

    /// `None` only where a name cannot be one of Cedar's, which [`uid`] rules out.
    pub(crate) fn plan(&mut self, server: &ServerName, action: &Action) -> Option<Plan> {
        let server = uid("Server", server.as_str())?;
        let only = action.resource.as_ref().map(Entity::uid);
        let relevant: Vec<usize> = (0..self.rules.len())
            .filter(|index| {
                self.rules.get(*index).is_some_and(|rule| {
                    rule.covers_action(&action.name, &action.groups)
                        && rule.covers_resource(action.resources, &server, only.as_ref())
                })
            })
            .collect();
        let slices = PRINCIPALS.map(|kind| {
            let fits = |index: &usize| self.rules.get(*index).is_some_and(|rule| rule.covers_principal(kind));
            let chosen: Vec<usize> = relevant.iter().copied().filter(fits).collect();
            let rules = self.rules;
            let make = |chosen: &Vec<usize>| Slice::of(chosen.iter().filter_map(|index| rules.get(*index)));
            match self.made.get(&chosen) {
                Some(slice) => Arc::clone(slice),
                None => {
                    let slice = Arc::new(make(&chosen));
                    self.made.insert(chosen, Arc::clone(&slice));
                    slice
                }
            }
        });
        let uid = uid("Action", &action.name)?;
        let parents: Option<Vec<_>> =
            action.groups.iter().map(|group| crate::actions::uid("Action", group)).collect();
        Some(Plan {
            entity: Entity::new_no_attrs(uid.clone(), parents?.into_iter().collect()),
            uid,
            resource: action.resource.clone(),
            arguments: action.arguments.clone(),
            slices,
        })
    }
}
