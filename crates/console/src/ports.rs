//! What the console is told by the gateway that it is part of, and asks of it.

use decision::approval::{Approval, Part, State, Terms};
use decision::{ServerName, Timestamp};
use futures::future::BoxFuture;
use std::sync::Arc;

/// A server as it is configured, and what of it may be used now.
#[derive(Debug, Clone)]
pub struct Configured {
    pub name: ServerName,
    /// Without what the store knows of it.
    pub known: catalog::record::Known,
    /// What the file says of it that only people know.
    pub declared: catalog::record::Facts,
    pub access: catalog::record::Access,
    /// Since when it cannot be looked at, and why.
    pub absent: Option<catalog::record::Absent>,
}

/// What a yes to a call is worth now, whoever says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worth {
    Counts,
    /// It may count later; the call would be refused as things are. Why, as a sentence without its end.
    NothingNow(String),
    /// Nothing any more: this is another thing than it was asked for.
    Void(Part),
}

/// Newer files that were read and are not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFiles {
    pub at: Timestamp,
    /// Why, a sentence each.
    pub problems: Vec<String>,
}

/// Who knows what is in force.
pub trait Servers: std::fmt::Debug + Send + Sync {
    /// Every server of the configuration, or only this one.
    fn configured(&self, only: Option<&ServerName>) -> Vec<Configured>;
    /// The rules in force over these definitions of one server alone, to ask what would be. `None` where it is not
    /// configured.
    fn rules_over(
        &self,
        server: &ServerName,
        definitions: Vec<Arc<catalog::Definition>>,
    ) -> Option<policy::Policies>;
    /// Agents and services that the settings name.
    fn agents(&self) -> Vec<store::NewAgent>;
    /// What a yes under these terms is worth by the definitions and policies in force.
    fn worth(&self, terms: &Terms) -> Worth;
    /// What changed since an approval that waits was asked for: a yes to it would count for nothing.
    fn void(&self, approval: &Approval) -> Option<Part> {
        let waits = approval.state == State::Proposed;
        match waits.then(|| self.worth(&approval.terms)) {
            Some(Worth::Void(part)) => Some(part),
            Some(Worth::Counts | Worth::NothingNow(_)) | None => None,
        }
    }
    /// The newest files, where they did not hold and older ones are in force.
    fn refused(&self) -> Option<RefusedFiles>;
}

/// Who looks at servers.
pub trait Looks: std::fmt::Debug + Send + Sync {
    /// Looks at this one now; nothing is done where nobody may use it. Errors: why that did not work, a sentence without its
    /// end, perhaps in the server's own words.
    fn look<'a>(&'a self, server: &'a ServerName) -> BoxFuture<'a, Result<(), String>>;
}
