//! What is recorded of a server: who answers for it, what it is for, and whether it may be used.
//!
//! [`State::after`] is the one place that says which step leads where; [`Standing`] the one that says what a state allows.

mod facts;
mod known;
mod looked;
mod reads;
mod standing;

pub use facts::{Fact, FactError, Facts, Group};
pub use known::{Difference, Grant, Known, Missing, ToolKnown};
pub use looked::looked_at;
pub use reads::reads;
pub use standing::{Access, Held, Regime, Shut, Standing};

use decision::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// That a server cannot be looked at, as the gateway that runs knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    pub since: Timestamp,
    /// Why the last look failed.
    pub because: String,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Somebody wants it.
    Candidate,
    /// Somebody looks at it.
    InReview,
    /// It may be used, until a date.
    Approved,
    /// Nobody may use it until it was looked at again.
    Suspended,
    /// Nobody uses it any more.
    Retired,
}

/// What people do to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Add,
    /// Other facts, the same state.
    Set,
    Review,
    Approve,
    Suspend,
    Retire,
    /// What was accepted of its items was forgotten, so nobody has looked at what it shows next.
    Forget,
}

impl State {
    pub const ALL: [Self; 5] =
        [Self::Candidate, Self::InReview, Self::Approved, Self::Suspended, Self::Retired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::InReview => "in-review",
            Self::Approved => "approved",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Where a step leads from here; from `None` where there is no record. `None`: it is not to be taken.
    ///
    /// What is approved is not put in review, which would take it away: a new date is another approval.
    pub fn after(from: Option<Self>, step: Step) -> Option<Self> {
        use State::{Approved, Candidate, InReview, Retired, Suspended};
        match (from, step) {
            (None | Some(Retired), Step::Add) => Some(Candidate),
            // stopping a server and having it looked at must not wait for paperwork
            (None, Step::Review) => Some(InReview),
            (None, Step::Suspend) => Some(Suspended),
            (Some(Candidate | Suspended), Step::Review) => Some(InReview),
            (Some(InReview | Approved), Step::Approve) => Some(Approved),
            (Some(Candidate | InReview | Approved), Step::Suspend) => Some(Suspended),
            (Some(Candidate | InReview | Approved | Suspended), Step::Retire) => Some(Retired),
            (Some(Approved), Step::Forget) => Some(InReview),
            (Some(state), Step::Set | Step::Forget) => Some(state),
            (None, Step::Set | Step::Approve | Step::Retire | Step::Forget)
            | (Some(Candidate | InReview | Approved | Suspended), Step::Add)
            | (Some(InReview | Approved | Retired), Step::Review)
            | (Some(Candidate | Suspended | Retired), Step::Approve)
            | (Some(Suspended | Retired), Step::Suspend)
            | (Some(Retired), Step::Retire) => None,
        }
    }

    /// What people can do from here.
    pub fn steps(from: Option<Self>) -> impl Iterator<Item = Step> {
        Step::BY_PEOPLE.into_iter().filter(move |step| Self::after(from, *step).is_some())
    }
}

impl Step {
    pub const ALL: [Self; 7] =
        [Self::Add, Self::Set, Self::Review, Self::Approve, Self::Suspend, Self::Retire, Self::Forget];
    const BY_PEOPLE: [Self; 6] =
        [Self::Add, Self::Set, Self::Review, Self::Approve, Self::Suspend, Self::Retire];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Set => "set",
            Self::Review => "review",
            Self::Approve => "approve",
            Self::Suspend => "suspend",
            Self::Retire => "retire",
            Self::Forget => "forget",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }

    /// Why it is not to be taken from there, and what to do instead: commands that work as they stand.
    pub fn refused(self, from: Option<State>, server: &str) -> String {
        let show = format!("`callgate registry show {server}`");
        match (from, self) {
            (None, _) => format!("it has no record yet: begin with `callgate registry add {server}`"),
            (Some(State::Retired), _) => {
                format!("it is retired: `callgate registry add {server}` begins anew")
            }
            (Some(State::Candidate | State::Suspended), Self::Approve) => {
                format!("somebody has to look at it first: `callgate registry review {server}`")
            }
            (Some(State::Approved), Self::Review) => format!(
                "it is approved: give it a new date with `callgate registry approve {server} --until 90d`, or stop it with \
                 `callgate registry suspend {server}`"
            ),
            (Some(_), Self::Add) => format!(
                "it has a record already: {show} has what is in it, and `callgate registry set {server} FIELD=VALUE` changes that"
            ),
            (Some(State::InReview), Self::Review) => {
                format!("it is in review already: {show} says what is missing for an approval")
            }
            (Some(_), _) => format!("it is so already, see {show}"),
        }
    }
}

/// What is recorded of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub state: State,
    /// What only people know.
    pub facts: Facts,
    /// What was approved last, whatever became of it since.
    pub approved: Option<Approved>,
    /// Counts the changes.
    pub version: u64,
    pub changed_at: Timestamp,
    pub changed_by: String,
    pub because: Option<String>,
}

impl Record {
    /// Until when it is approved, while it is.
    pub fn until(&self) -> Option<Timestamp> {
        self.approved.as_ref().filter(|_| self.state == State::Approved).map(|approved| approved.until)
    }
}

/// A yes to a server as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    pub at: Timestamp,
    pub by: String,
    /// From then on it has to be looked at again.
    pub until: Timestamp,
    /// How it was reached, and as whom: see [`Known::wiring`].
    pub wiring: String,
    /// As it called it itself.
    pub version: Option<String>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub at: Timestamp,
    pub by: String,
    pub step: Step,
    pub from: Option<State>,
    pub to: State,
    pub until: Option<Timestamp>,
    pub because: Option<String>,
    /// Keys of the facts that are other ones now.
    pub facts: Vec<String>,
}

impl Change {
    /// Who did what and why, for the ledger. `facts` are those after it.
    pub fn detail(&self, facts: &Facts, when: impl Fn(Timestamp) -> String) -> BTreeMap<String, String> {
        let fact = |key: &String| Fact::parse(key).ok().and_then(|fact| facts.get(fact));
        let facts =
            self.facts.iter().map(|key| (format!("record.{key}"), fact(key).unwrap_or_default().to_owned()));
        let more = [
            ("from", self.from.map(|state| state.as_str().to_owned())),
            ("until", self.until.map(when)),
            ("because", self.because.clone()),
        ];
        let more = more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let always = [("step", self.step.as_str()), ("state", self.to.as_str()), ("by", self.by.as_str())];
        let always = always.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        facts.chain(more).chain(always).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair, by hand: a row for each state, a letter for each step, `-` where it is not to be taken.
    #[test]
    fn every_step_from_every_state_is_as_the_table_says() {
        use State::{Approved, Candidate, InReview, Retired, Suspended};
        //                          add  set  rev  app  sus  ret  forget
        let table = [
            (None, ["C", "-", "I", "-", "S", "-", "-"]),
            (Some(Candidate), ["-", "C", "I", "-", "S", "R", "C"]),
            (Some(InReview), ["-", "I", "-", "A", "S", "R", "I"]),
            (Some(Approved), ["-", "A", "-", "A", "S", "R", "I"]),
            (Some(Suspended), ["-", "S", "I", "-", "-", "R", "S"]),
            (Some(Retired), ["C", "R", "-", "-", "-", "-", "R"]),
        ];
        let letter = |state: Option<State>| match state {
            None => "-",
            Some(Candidate) => "C",
            Some(InReview) => "I",
            Some(Approved) => "A",
            Some(Suspended) => "S",
            Some(Retired) => "R",
        };
        for (from, row) in table {
            let got = Step::ALL.map(|step| letter(State::after(from, step)));
            assert_eq!(got, row, "from {from:?}");
        }
    }

    #[test]
    fn nothing_is_approved_that_nobody_looked_at() {
        for from in State::ALL.into_iter().map(Some).chain([None]) {
            for step in Step::ALL {
                if State::after(from, step) == Some(State::Approved) && from != Some(State::Approved) {
                    assert_eq!((from, step), (Some(State::InReview), Step::Approve));
                }
            }
        }
    }

    #[test]
    fn a_step_that_is_not_to_be_taken_says_what_to_do() {
        for from in State::ALL.into_iter().map(Some).chain([None]) {
            for step in Step::ALL.into_iter().filter(|step| State::after(from, *step).is_none()) {
                assert!(step.refused(from, "crm").contains("callgate registry"));
            }
        }
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        for step in Step::ALL {
            assert_eq!(Step::parse(step.as_str()), Some(step));
        }
    }
}
