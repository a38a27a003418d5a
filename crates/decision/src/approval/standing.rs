//! Whose word counts, when it is given and when it is used.

use super::{Approval, Cure, Lender, Unfit, Vote, Voter, need};
use crate::{GroupName, Principal, Timestamp, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// What the people who are known could do about a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curable {
    /// Every yes that would count.
    pub can: Vec<Vote>,
    /// Whose does not although they are in a group that is asked, and why.
    pub cannot: Vec<(UserName, Unfit)>,
    /// Whether it is lifted when all of them say yes.
    pub enough: bool,
}

/// For what somebody's word counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub groups: BTreeSet<GroupName>,
    /// Of these, the ones that were lent, and by whom.
    pub lent: BTreeMap<GroupName, UserName>,
}

impl Cure {
    /// For what this person's word counts at `at`, where `asker` asks and others have said theirs. Errors: why it counts for nothing.
    pub fn counts(
        &self,
        asker: &Principal,
        voter: &Voter,
        votes: &[Vote],
        at: Timestamp,
    ) -> Result<Standing, Unfit> {
        if asker.person() == Some(&voter.person) {
            return Err(Unfit::OwnDeed);
        }
        if let Some(both) = self.shared(asker, &voter.groups) {
            return Err(Unfit::OwnGroups(both));
        }
        let asked = self.asked(at);
        let mut groups: BTreeSet<_> = voter.groups.intersection(&asked).cloned().collect();
        let (mut lent, mut counted) = (BTreeMap::new(), None);
        for group in asked.difference(&voter.groups) {
            let mut lenders = self.lenders(asker, voter, group).peekable();
            counted = counted.or(lenders.peek().map(|one| one.person.clone()));
            if let Some(lender) = lenders.find(|one| !spoke(&one.person, votes)) {
                groups.insert(group.clone());
                lent.insert(group.clone(), lender.person.clone());
            }
        }
        match (groups.is_empty(), counted) {
            (false, _) => Ok(Standing { groups, lent }),
            (true, Some(lender)) => Err(Unfit::Counted(lender)),
            (true, None) => Err(Unfit::NotAsked(asked.iter().map(ToString::to_string).collect())),
        }
    }

    /// Who lent the voter this group. A loan is the lender's word: it counts where theirs would, and once.
    fn lenders<'a>(
        &'a self,
        asker: &'a Principal,
        voter: &'a Voter,
        group: &GroupName,
    ) -> impl Iterator<Item = &'a Lender> {
        let would = move |one: &&Lender| {
            asker.person() != Some(&one.person) && self.shared(asker, &one.groups).is_none()
        };
        voter.lent.get(group).into_iter().flatten().filter(would)
    }

    /// A group that keeps somebody who has these from counting.
    fn shared(&self, asker: &Principal, groups: &BTreeSet<GroupName>) -> Option<GroupName> {
        self.apart.then(|| groups.intersection(&asker.all_groups()).next().cloned()).flatten()
    }

    /// Who of these people could lift it, with the votes that there are.
    pub fn among(&self, asker: &Principal, people: &[Voter], votes: &[Vote], at: Timestamp) -> Curable {
        let mut found = Curable::default();
        for voter in people.iter().filter(|one| votes.iter().all(|vote| vote.person != one.person)) {
            match self.counts(asker, voter, votes, at) {
                Ok(Standing { groups, lent }) => {
                    let person = voter.person.clone();
                    found.can.push(Vote { person, groups, lent, yes: true, reason: None, at });
                }
                Err(Unfit::NotAsked(_)) => {}
                Err(why) => found.cannot.push((voter.person.clone(), why)),
            }
        }
        found.enough = need::met(&self.needs, &[votes, &found.can].concat());
        found
    }
}

/// Whether somebody has said their word, themselves or through whom they lent a group.
fn spoke(person: &UserName, votes: &[Vote]) -> bool {
    votes.iter().any(|vote| vote.person == *person || vote.lent.values().any(|lender| lender == person))
}

impl Approval {
    /// Whether the votes are enough when each counts only for what its person may still decide now. Of those who voted, who
    /// is not among `people` is gone, and who was added since is somebody else.
    pub fn stands(&self, people: &[Voter]) -> bool {
        let still = |vote: &Vote| {
            let voter = people.iter().find(|one| one.person == vote.person && one.since <= vote.at)?;
            let asker = &self.terms.principal;
            self.cure.counts(asker, voter, &[], vote.at).ok()?;
            let held = |group: &&GroupName| match vote.lent.get(*group) {
                Some(lender) => self.cure.lenders(asker, voter, group).any(|one| one.person == *lender),
                None => voter.groups.contains(*group),
            };
            Some(Vote { groups: vote.groups.iter().filter(held).cloned().collect(), ..vote.clone() })
        };
        let votes: Vec<Vote> = self.votes.iter().filter_map(still).collect();
        need::met(&self.cure.needs, &votes)
    }
}
