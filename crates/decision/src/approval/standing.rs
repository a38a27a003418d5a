//! Whose word counts, when it is given and when it is used.

use super::{Approval, Cure, Unfit, Vote, Voter, need};
use crate::{GroupName, Principal, Timestamp, UserName};
use std::collections::BTreeSet;

/// What the people who are known could do about a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curable {
    /// Whose yes counts, and for which groups.
    pub can: Vec<(Voter, BTreeSet<GroupName>)>,
    /// Whose does not although they are in a group that is asked, and why.
    pub cannot: Vec<(UserName, Unfit)>,
    /// Whether it is lifted when all of them say yes.
    pub enough: bool,
}

impl Cure {
    /// The groups for which this person's word counts at `at`, where `asker` asks. Errors: why it counts for nothing.
    pub fn counts(
        &self,
        asker: &Principal,
        voter: &Voter,
        at: Timestamp,
    ) -> Result<BTreeSet<GroupName>, Unfit> {
        let person = asker.person();
        if person == Some(&voter.person) {
            return Err(Unfit::OwnDeed);
        }
        if self.apart
            && let Some(both) = voter.groups.intersection(&asker.all_groups()).next()
        {
            return Err(Unfit::OwnGroups(both.clone()));
        }
        // what the asker lent is the asker's own word
        let lent = voter.lent.iter().filter(|(_, lender)| Some(*lender) != person).map(|(group, _)| group);
        let has: BTreeSet<_> = voter.groups.iter().chain(lent).cloned().collect();
        let asked = self.asked(at);
        let counts: BTreeSet<_> = has.intersection(&asked).cloned().collect();
        match counts.is_empty() {
            true => Err(Unfit::NotAsked(asked.iter().map(ToString::to_string).collect())),
            false => Ok(counts),
        }
    }

    /// Who of these people could lift it, with the votes that there are.
    pub fn among(&self, asker: &Principal, people: &[Voter], votes: &[Vote], at: Timestamp) -> Curable {
        let mut found = Curable::default();
        let mut voices = votes.to_vec();
        for voter in people.iter().filter(|one| votes.iter().all(|vote| vote.person != one.person)) {
            match self.counts(asker, voter, at) {
                Ok(groups) => {
                    voices.push(Vote {
                        person: voter.person.clone(),
                        groups: groups.clone(),
                        lent: voter.lent.clone(),
                        yes: true,
                        reason: None,
                        at,
                    });
                    found.can.push((voter.clone(), groups));
                }
                Err(Unfit::NotAsked(_)) => {}
                Err(why) => found.cannot.push((voter.person.clone(), why)),
            }
        }
        found.enough = need::met(&self.needs, &voices);
        found
    }
}

impl Approval {
    /// Whether the votes are enough when each counts only for what its person may still decide now. Of those who voted, who
    /// is not among `people` is gone.
    pub fn stands(&self, people: &[Voter]) -> bool {
        let still = |vote: &Vote| {
            let voter = people.iter().find(|one| one.person == vote.person)?;
            let now = self.cure.counts(&self.terms.principal, voter, vote.at).ok()?;
            Some(Vote { groups: vote.groups.intersection(&now).cloned().collect(), ..vote.clone() })
        };
        let votes: Vec<Vote> = self.votes.iter().filter_map(still).collect();
        need::met(&self.cure.needs, &votes)
    }
}
