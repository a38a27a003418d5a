//! What a call takes of a budget, and whether there is room for it (requirement B3).
//!
//! Pure: whoever keeps the counters reads them, asks [`Use::over`], and writes only if nothing was written in between.

use crate::{BudgetName, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// An amount of each call: one, or what an argument says.
    Amount,
    /// How many different values an argument had.
    Distinct,
    /// Whether an argument had this value before.
    FirstSeen,
}

/// When a use counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it is added.
    pub bucket: Timestamp,
    /// Buckets from here on count now.
    pub since: Timestamp,
    /// The bucket counts until then.
    pub until: Timestamp,
}

/// What one call takes of one counter of one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub budget: BudgetName,
    /// The counter: of this budget, for this one of whom it counts.
    pub subject: Digest,
    /// Whose counter it is, for people.
    pub whose: String,
    pub measure: Measure,
    pub span: Span,
    pub amount: u64,
    /// The argument's values; none where an amount is added up. In order, each once.
    pub values: Vec<Digest>,
    pub at_most: u64,
}

/// What was counted, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub value: Option<Digest>,
    pub amount: u64,
    pub until: Timestamp,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    pub used: u64,
    /// When there is, if nothing else is counted until then; never where it is too much by itself.
    pub again: Option<Timestamp>,
}

impl Use {
    /// Whether it is more than there is room for.
    pub fn over(&self, counted: &[Counted]) -> Option<Over> {
        match self.measure {
            Measure::Amount => {
                let amounts = counted.iter().map(|one| (one.until, one.amount)).collect();
                room(amounts, self.amount, self.at_most)
            }
            Measure::Distinct => {
                let mut known: BTreeMap<Digest, Timestamp> = BTreeMap::new();
                for one in counted {
                    let Some(value) = one.value else { continue };
                    let until = known.entry(value).or_insert(one.until);
                    *until = one.until.max(*until);
                }
                let new = self.values.iter().filter(|value| !known.contains_key(value)).count();
                let new = u64::try_from(new).unwrap_or(u64::MAX);
                if new == 0 {
                    return None;
                }
                room(known.into_values().map(|until| (until, 1)).collect(), new, self.at_most)
            }
            Measure::FirstSeen => {
                let known = |value: &Digest| counted.iter().any(|one| one.value == Some(*value));
                let new = !self.values.iter().all(known);
                new.then_some(Over { used: 0, again: None })
            }
        }
    }

    /// What is added: a value and its amount, or an amount alone.
    pub fn parts(&self) -> impl Iterator<Item = (Option<Digest>, u64)> {
        let amount = self.values.is_empty().then_some((None, self.amount));
        amount.into_iter().chain(self.values.iter().map(|value| (Some(*value), 1)))
    }
}

fn room(mut parts: Vec<(Timestamp, u64)>, more: u64, at_most: u64) -> Option<Over> {
    let total = |parts: &[(Timestamp, u64)]| parts.iter().fold(0_u64, |sum, one| sum.saturating_add(one.1));
    let used = total(&parts);
    let fits = |used: u64| used.checked_add(more).is_some_and(|sum| sum <= at_most);
    if fits(used) {
        return None;
    }
    parts.sort_unstable();
    let mut left = u128::from(used);
    let mut again = None;
    for (until, amount) in parts {
        left = left.saturating_sub(u128::from(amount));
        if u64::try_from(left).is_ok_and(fits) {
            again = Some(until);
            break;
        }
    }
    Some(Over { used, again })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(measure: Measure, amount: u64, values: &[u8], at_most: u64) -> Use {
        let at = Timestamp(0);
        Use {
            budget: "b".parse().unwrap(),
            subject: Digest::of(b""),
            whose: "everybody".to_owned(),
            measure,
            span: Span { bucket: at, since: at, until: at },
            amount,
            values: values.iter().map(|value| Digest::of(&[*value])).collect(),
            at_most,
        }
    }

    fn counted(value: Option<u8>, amount: u64, until: u64) -> Counted {
        Counted { value: value.map(|value| Digest::of(&[value])), amount, until: Timestamp(until) }
    }

    #[test]
    fn an_amount_fits_up_to_the_last_unit_and_not_one_more() {
        let before = [counted(None, 4, 30), counted(None, 5, 10)];
        assert_eq!(takes(Measure::Amount, 1, &[], 10).over(&before), None);
        let over = takes(Measure::Amount, 2, &[], 10).over(&before).unwrap();
        assert_eq!(over, Over { used: 9, again: Some(Timestamp(10)) }, "when the oldest falls out");
        let over = takes(Measure::Amount, 7, &[], 10).over(&before).unwrap();
        assert_eq!(over.again, Some(Timestamp(30)));
        assert_eq!(takes(Measure::Amount, 11, &[], 10).over(&[]).unwrap().again, None, "too much by itself");
        assert!(
            takes(Measure::Amount, u64::MAX, &[], u64::MAX).over(&before).is_some(),
            "no wrapping around"
        );
    }

    #[test]
    fn what_was_there_takes_no_more_room_and_what_is_new_does() {
        let before = [counted(Some(1), 1, 10), counted(Some(1), 1, 40), counted(Some(2), 1, 30)];
        assert_eq!(takes(Measure::Distinct, 1, &[1, 2], 2).over(&before), None);
        let over = takes(Measure::Distinct, 1, &[2, 3], 2).over(&before).unwrap();
        assert_eq!(
            over,
            Over { used: 2, again: Some(Timestamp(30)) },
            "a value counts as long as its last use"
        );
        assert_eq!(takes(Measure::Distinct, 1, &[3], 3).over(&before), None);
        assert!(takes(Measure::Distinct, 1, &[3, 4], 3).over(&before).is_some());
    }

    #[test]
    fn a_value_is_seen_for_the_first_time_once() {
        assert!(takes(Measure::FirstSeen, 1, &[1], 0).over(&[]).is_some());
        assert!(takes(Measure::FirstSeen, 1, &[1, 2], 0).over(&[counted(Some(1), 1, 9)]).is_some());
        assert!(takes(Measure::FirstSeen, 1, &[1], 0).over(&[counted(Some(1), 1, 9)]).is_none());
    }
}
