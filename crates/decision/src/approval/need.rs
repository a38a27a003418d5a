//! Whose yes is needed.

use super::Vote;
use crate::{GroupName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Most people of one group that a rule may want.
const COUNT_MAX: u8 = 9;
/// Most groups that a rule may name.
const NEEDS_MAX: usize = 8;

/// So many people of this group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Need {
    pub group: GroupName,
    pub count: u8,
    /// Who may stand in when nobody of the group came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

/// From then on these people count as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Escalation {
    pub at: Timestamp,
    pub to: GroupName,
}

/// What lifts a rule: everybody it needs, different people all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cure {
    /// By group, each once.
    pub needs: Vec<Need>,
    /// Nobody counts who shares a group with the asker.
    #[serde(default)]
    pub apart: bool,
    /// The call leaves when the yes is there, whether or not the asker still waits.
    #[serde(default)]
    pub executes: bool,
}

/// A text that is no cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say who approves: write a group, or as `2 of finance and security`")]
pub struct CureError(String);

impl FromStr for Cure {
    type Err = CureError;

    /// `finance`, `2 of finance`, `2 of finance and security`.
    fn from_str(text: &str) -> Result<Self, CureError> {
        let wrong = || CureError(text.to_owned());
        let mut needs = BTreeMap::new();
        for part in text.split(" and ") {
            let (count, group) = match part.split_once(" of ") {
                Some((count, group)) => (count.trim().parse().map_err(|_| wrong())?, group),
                None => (1, part),
            };
            let group = GroupName::new(group.trim()).map_err(|_| wrong())?;
            if !(1..=COUNT_MAX).contains(&count) || needs.insert(group, count).is_some() {
                return Err(wrong());
            }
        }
        if needs.len() > NEEDS_MAX {
            return Err(wrong());
        }
        let needs = needs.into_iter().map(|(group, count)| Need { group, count, escalation: None });
        Ok(Self { needs: needs.collect(), apart: false, executes: false })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}", self.group),
            count => write!(f, "{count} of {}", self.group),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs: Vec<_> = self.needs.iter().map(ToString::to_string).collect();
        f.write_str(&needs.join(" and "))
    }
}

impl Cure {
    /// What lifts both: the stricter of each. Executing without the asker needs every rule's word.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut counts: BTreeMap<GroupName, u8> = BTreeMap::new();
        for need in self.needs.into_iter().chain(other.needs) {
            let count = counts.entry(need.group).or_default();
            *count = need.count.max(*count);
        }
        let needs = counts.into_iter().map(|(group, count)| Need { group, count, escalation: None });
        Self {
            needs: needs.collect(),
            apart: self.apart || other.apart,
            executes: self.executes && other.executes,
        }
    }

    /// The groups whose members may decide at `now`.
    pub fn asked(&self, now: Timestamp) -> BTreeSet<GroupName> {
        self.needs.iter().flat_map(|need| need.takes(now)).cloned().collect()
    }

    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        self.needs.iter().map(|need| &need.group)
    }
}

impl Need {
    fn takes(&self, at: Timestamp) -> impl Iterator<Item = &GroupName> {
        let to = self.escalation.as_ref().filter(|escalation| at >= escalation.at);
        std::iter::once(&self.group).chain(to.map(|escalation| &escalation.to))
    }
    fn takes_vote(&self, vote: &Vote) -> bool {
        vote.yes && self.takes(vote.at).any(|group| vote.groups.contains(group))
    }
}

/// How many people count for each need when every person counts once, as many as possible in all: a matching of people and places,
/// found by augmenting paths (Kuhn 1955).
pub(super) fn filled(needs: &[Need], votes: &[Vote]) -> Vec<u8> {
    let places: Vec<usize> =
        needs.iter().enumerate().flat_map(|(n, need)| (0..need.count).map(move |_| n)).collect();
    let mut taken: Vec<Option<usize>> = vec![None; places.len()];
    let voices = voices(votes);
    for voice in 0..voices.len() {
        seat(voice, &voices, needs, &places, &mut taken, &mut BTreeSet::new());
    }
    let mut counts = vec![0; needs.len()];
    for (need, _) in places.iter().zip(&taken).filter(|(_, voice)| voice.is_some()) {
        if let Some(count) = counts.get_mut(*need) {
            *count += 1;
        }
    }
    counts
}

/// One person, one voice, whatever is kept: who decides themselves is not heard through a loan too, nor through two.
fn voices(votes: &[Vote]) -> Vec<Vote> {
    let deciders: BTreeSet<_> = votes.iter().map(|vote| &vote.person).collect();
    let (mut people, mut lenders) = (BTreeSet::new(), BTreeSet::new());
    let heard = |vote: &Vote| {
        let mine: BTreeSet<_> = vote.lent.values().filter(|lender| !deciders.contains(lender)).collect();
        let mine: BTreeSet<_> = mine.into_iter().filter(|lender| lenders.insert((*lender).clone())).collect();
        let groups =
            vote.groups.iter().filter(|group| vote.lent.get(*group).is_none_or(|by| mine.contains(by)));
        Vote { groups: groups.cloned().collect(), ..vote.clone() }
    };
    votes.iter().filter(|vote| people.insert(&vote.person)).map(heard).collect()
}

fn seat(
    voice: usize,
    voices: &[Vote],
    needs: &[Need],
    places: &[usize],
    taken: &mut Vec<Option<usize>>,
    tried: &mut BTreeSet<usize>,
) -> bool {
    for (place, need) in places.iter().enumerate() {
        let fits = needs.get(*need).zip(voices.get(voice)).is_some_and(|(n, vote)| n.takes_vote(vote));
        if !fits || !tried.insert(place) {
            continue;
        }
        let sits = taken.get(place).copied().flatten();
        if sits.is_none_or(|other| seat(other, voices, needs, places, taken, tried)) {
            if let Some(slot) = taken.get_mut(place) {
                *slot = Some(voice);
            }
            return true;
        }
    }
    false
}

/// Whether everybody who is needed said yes. What needs nobody is never met.
pub(super) fn met(needs: &[Need], votes: &[Vote]) -> bool {
    !needs.is_empty() && filled(needs, votes).iter().zip(needs).all(|(have, need)| *have >= need.count)
}
