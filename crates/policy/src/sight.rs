//! Who may see which of many items: the rules are asked once for all items that they cannot tell apart.

use crate::{
    ask::{Aim, Asker, Requester, Subject, requesters},
    load::Policies,
    memo::Key,
    rule::Rule,
};
use cedar_policy::ResourceConstraint;
use std::sync::Arc;

/// What the rules that speak of one principal and one kind of action say of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The same of each.
    Alike(bool),
    /// Perhaps something else of each.
    Apart,
}

impl Policies {
    /// Whether [`Policies::see`] allows it. `left` is how many questions may still be put to the rules; `None` where it takes
    /// one more.
    pub fn sees(&self, asker: Asker<'_>, subject: Subject<'_>, left: &mut usize) -> Option<bool> {
        let (Ok(aim), Ok(who)) = (self.aim(subject, None), requesters(asker.principal)) else {
            return Some(false);
        };
        let mut ask = || {
            *left = left.checked_sub(1)?;
            Some(self.see(asker, subject).is_allowed())
        };
        let key = key(asker, &who, &aim)?;
        if let Some(sight) = self.sights.get(&key) {
            return match sight {
                Sight::Alike(sees) => Some(sees),
                Sight::Apart => ask(),
            };
        }
        let is_alike = self.is_alike(&who, &aim)?;
        let sees = ask()?;
        self.sights.keep(key, if is_alike { Sight::Alike(sees) } else { Sight::Apart });
        Some(sees)
    }

    /// Whether no rule for these tells one item of the action's kind from another whose rules are the same.
    fn is_alike(&self, who: &[Requester<'_>], aim: &Aim<'_>) -> Option<bool> {
        let is_fixed = aim.plan.resource.is_some();
        let is_blind = |rule: &Rule| {
            let everywhere = || matches!(rule.policy.resource_constraint(), ResourceConstraint::Any);
            !rule.reads.item && (is_fixed || everywhere())
        };
        for requester in who {
            let (uid, groups) = (requester.uid()?, requester.groups()?);
            let chosen = aim.plan.slice(requester.kind)?.of_principal(&self.rules, &uid, &groups);
            if !chosen.iter().filter_map(|index| self.rules.get(*index)).all(is_blind) {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// Who asks, from where, and by which rules: actions with the same rules share one slice.
fn key(asker: Asker<'_>, who: &[Requester<'_>], aim: &Aim<'_>) -> Option<Key> {
    let mut key = Key::of(who.len());
    key.number(usize::from(aim.plan.resource.is_some()));
    for requester in who {
        requester.key(&mut key);
        key.number(Arc::as_ptr(aim.plan.slice(requester.kind)?).addr());
    }
    key.text(asker.principal.environment.as_str());
    asker.host.into_iter().for_each(|host| key.text(host));
    Some(key)
}
