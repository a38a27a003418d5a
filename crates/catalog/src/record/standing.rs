//! What a server's state allows where it runs.

use super::{Record, State};
use decision::{Environment, Timestamp};
use serde::Serialize;

/// How much a record counts in an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// One person's machine: what has no record is used as it is.
    Local,
    /// Any other: what has no record is a candidate.
    Shared,
    /// Only what is approved.
    #[default]
    Production,
}

impl Regime {
    /// The stricter one of where the gateway is and where the server is.
    pub fn of(gateway: &Environment, server: &Environment) -> Self {
        Self::of_one(gateway).max(Self::of_one(server))
    }

    fn of_one(environment: &Environment) -> Self {
        match environment.as_str() {
            "production" | "prod" => Self::Production,
            _ if *environment == Environment::default() => Self::Local,
            _ => Self::Shared,
        }
    }
}

/// Why only reads are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Nobody has approved it yet.
    Candidate,
    /// Somebody looks at it.
    InReview,
    /// It is reached in another way, or as somebody else, than was approved.
    Rewired,
    /// The date of its review has passed.
    Overdue,
}

/// Why nothing is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shut {
    Unapproved,
    InReview,
    Rewired,
    Suspended,
    Retired,
}

/// What of a server may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    Whole,
    Reads(Held),
    Nothing(Shut),
}

/// What a server's record allows, whenever somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    access: Access,
    /// From then on, reads only.
    until: Option<Timestamp>,
    /// Whether the gateway may connect to it to see what it offers.
    looks: bool,
}

impl Default for Standing {
    /// Of a server that nobody knows.
    fn default() -> Self {
        Self { access: Access::Nothing(Shut::Unapproved), until: None, looks: false }
    }
}

impl Standing {
    /// `wiring` is how the server is reached now.
    pub fn of(regime: Regime, record: Option<&Record>, wiring: &str) -> Self {
        let unapproved = |held: Held, shut: Shut| match regime {
            Regime::Production => Access::Nothing(shut),
            Regime::Local | Regime::Shared => Access::Reads(held),
        };
        let approved = record.and_then(|record| record.approved.as_ref());
        let access = match record.map(|record| record.state) {
            None if regime == Regime::Local => Access::Whole,
            None | Some(State::Candidate) => unapproved(Held::Candidate, Shut::Unapproved),
            Some(State::InReview) => unapproved(Held::InReview, Shut::InReview),
            Some(State::Approved) if approved.is_some_and(|approved| approved.wiring == wiring) => {
                Access::Whole
            }
            Some(State::Approved) => unapproved(Held::Rewired, Shut::Rewired),
            Some(State::Suspended) => Access::Nothing(Shut::Suspended),
            Some(State::Retired) => Access::Nothing(Shut::Retired),
        };
        // what is reviewed has to be seen, wherever it is
        let looks = !matches!(access, Access::Nothing(_))
            || record.is_some_and(|record| record.state == State::InReview);
        Self { access, until: record.and_then(Record::until).filter(|_| access == Access::Whole), looks }
    }

    pub fn at(&self, now: Timestamp) -> Access {
        match self.until {
            Some(until) if now >= until => Access::Reads(Held::Overdue),
            Some(_) | None => self.access,
        }
    }
    /// Whether it may be used at all, at any time.
    pub fn is_open(&self) -> bool {
        !matches!(self.access, Access::Nothing(_))
    }
    pub fn looks(&self) -> bool {
        self.looks
    }
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }
    /// Whether somebody may have to know which tools read.
    pub fn may_hold(&self) -> bool {
        self.until.is_some() || matches!(self.access, Access::Reads(_))
    }
}

impl Access {
    /// What this means, and how it becomes better.
    pub fn because(self, server: &str) -> Option<String> {
        let review = format!("`callgate registry review {server}`");
        let approve = format!("`callgate registry approve {server} --until DATE`");
        let missing =
            format!("`callgate registry show {server}` says what is missing, {approve} approves it");
        Some(match self {
            Self::Whole => return None,
            Self::Reads(Held::Candidate) => format!(
                "nobody has approved the server `{server}`, so only what reads may be used: {review}, then {approve}"
            ),
            Self::Reads(Held::InReview) => {
                format!("the server `{server}` is in review, so only what reads may be used: {missing}")
            }
            Self::Nothing(Shut::InReview) => format!(
                "the server `{server}` is in review, and production has only what is approved: {missing}"
            ),
            Self::Reads(Held::Rewired) => format!(
                "the server `{server}` is reached in another way than was approved, so only what reads may be used: \
                 see `callgate registry diff {server}`, then {approve}"
            ),
            Self::Reads(Held::Overdue) => format!(
                "the review of the server `{server}` is overdue, so only what reads may be used until it has a new \
                 date: {approve}"
            ),
            Self::Nothing(Shut::Unapproved) => format!(
                "nobody has approved the server `{server}`, and production has only what is approved: {review}, then \
                 {approve}"
            ),
            Self::Nothing(Shut::Rewired) => format!(
                "the server `{server}` is reached in another way than was approved, and production has only what is \
                 approved: see `callgate registry diff {server}`, then {approve}"
            ),
            Self::Nothing(Shut::Suspended) => {
                format!("the server `{server}` is suspended until somebody has looked at it: {review}")
            }
            Self::Nothing(Shut::Retired) => {
                format!("the server `{server}` is retired: `callgate registry add {server}` begins anew")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Approved, Facts};
    use super::*;

    const UNTIL: Timestamp = Timestamp(1_000);

    fn record(state: State) -> Record {
        Record {
            state,
            facts: Facts::default(),
            approved: Some(Approved {
                at: Timestamp(1),
                by: "carol".to_owned(),
                until: UNTIL,
                wiring: "here".to_owned(),
                version: None,
            }),
            version: 1,
            changed_at: Timestamp(1),
            changed_by: "carol".to_owned(),
            because: None,
        }
    }

    #[test]
    fn what_a_state_allows_is_as_the_table_says_in_every_environment() {
        use Access::{Nothing, Reads, Whole};
        let unapproved = Nothing(Shut::Unapproved);
        let table = [
            // local, shared, production
            (None, [Whole, Reads(Held::Candidate), unapproved]),
            (Some(State::Candidate), [Reads(Held::Candidate), Reads(Held::Candidate), unapproved]),
            (Some(State::InReview), [Reads(Held::InReview), Reads(Held::InReview), Nothing(Shut::InReview)]),
            (Some(State::Approved), [Whole; 3]),
            (Some(State::Suspended), [Nothing(Shut::Suspended); 3]),
            (Some(State::Retired), [Nothing(Shut::Retired); 3]),
        ];
        for (state, row) in table {
            let record = state.map(record);
            for (regime, want) in [Regime::Local, Regime::Shared, Regime::Production].into_iter().zip(row) {
                let standing = Standing::of(regime, record.as_ref(), "here");
                assert_eq!(standing.at(Timestamp(999)), want, "{state:?} {regime:?}");
                let late = if state == Some(State::Approved) { Reads(Held::Overdue) } else { want };
                assert_eq!(standing.at(UNTIL), late, "{state:?} {regime:?} on its date");
                assert_eq!(standing.is_open(), !matches!(want, Nothing(_)));
                let looks = standing.is_open() || state == Some(State::InReview);
                assert_eq!(standing.looks(), looks, "{state:?} {regime:?}");
                assert_eq!(want.because("crm").is_none(), want == Whole);
            }
        }
    }

    #[test]
    fn what_is_reached_in_another_way_was_not_approved() {
        let approved = record(State::Approved);
        let of = |regime| Standing::of(regime, Some(&approved), "elsewhere").at(Timestamp(1));
        assert_eq!(of(Regime::Local), Access::Reads(Held::Rewired));
        assert_eq!(of(Regime::Shared), Access::Reads(Held::Rewired));
        assert_eq!(of(Regime::Production), Access::Nothing(Shut::Rewired));
    }

    #[test]
    fn the_stricter_of_two_environments_counts() {
        let of = |gateway: &str, server: &str| {
            Regime::of(&Environment::new(gateway).unwrap(), &Environment::new(server).unwrap())
        };
        assert_eq!(of("local", "local"), Regime::Local);
        assert_eq!(of("local", "staging"), Regime::Shared);
        assert_eq!(of("local", "production"), Regime::Production);
        assert_eq!(of("production", "local"), Regime::Production);
        assert_eq!(of("prod", "staging"), Regime::Production);
    }

    #[test]
    fn a_server_that_nobody_knows_is_not_reached() {
        assert!(!Standing::default().is_open() && !Standing::default().looks());
    }
}
