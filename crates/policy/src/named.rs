//! Whom rules name, for somebody who knows who there is.

use crate::{
    check::literals,
    load::Policies,
    rule::Rule,
    source::{Place, Problem},
};
use decision::{RuleId, approval::Cure};

/// What kind of principal a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Agent,
    Workload,
    User,
    Group,
}

/// Where a rule says something.
#[derive(Debug, Clone)]
pub struct Said {
    rule: RuleId,
    place: Place,
}

impl Said {
    fn of(rule: &Rule, place: Place) -> Self {
        Self { rule: rule.id.clone(), place }
    }

    /// A warning at this place. The message is one line, lowercase.
    pub fn warning(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem::warning(&self.place, message).help(help).of(self.rule.as_str())
    }
}

impl Policies {
    /// The principals and groups that rules name, each once for each rule, in the order of the files.
    pub fn named(&self) -> Vec<(Kind, String, Said)> {
        let mut named = Vec::new();
        for rule in &self.rules {
            for uid in literals(rule) {
                let (of, name) = (uid.type_name().to_string(), AsRef::<str>::as_ref(uid.id()));
                let kind = match of.as_str() {
                    "Agent" => Kind::Agent,
                    "Workload" => Kind::Workload,
                    "User" => Kind::User,
                    "Group" => Kind::Group,
                    _ => continue,
                };
                let place = rule.place.find(&format!("{of}::\"{name}\""));
                named.push((kind, name.to_owned(), Said::of(rule, place)));
            }
        }
        named
    }

    /// Whose yes the rules ask for, and where they do.
    pub fn cures(&self) -> Vec<(&Cure, Said)> {
        let cure = |rule: &'_ Rule| Said::of(rule, rule.place.annotation("unless_approved"));
        self.rules.iter().filter_map(|rule| Some((rule.cure.as_ref()?, cure(rule)))).collect()
    }
}
