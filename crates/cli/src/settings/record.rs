//! `[servers.NAME.record]`: what the file says of a server that only people know. The record itself is in the store; the two
//! are compared, and neither overwrites the other.

use super::problem::Crossing;
use catalog::record::{Fact, Facts};
use serde::Deserialize;
use toml::{Spanned, Table, Value};

/// What only people know of a server, as it should stand in its record.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Record {
    /// The person who answers for the server.
    #[schemars(with = "Option<String>")]
    pub(crate) owner: Option<Spanned<String>>,
    /// The team that runs it and owns its tools.
    #[schemars(with = "Option<String>")]
    pub(crate) team: Option<Spanned<String>>,
    /// What it is for.
    #[schemars(with = "Option<String>")]
    pub(crate) purpose: Option<Spanned<String>>,
    /// Where its source is.
    #[schemars(with = "Option<String>")]
    pub(crate) repository: Option<Spanned<String>>,
    /// How it gets to where it runs.
    #[schemars(with = "Option<String>")]
    pub(crate) pipeline: Option<Spanned<String>>,
    /// The most sensitive data that passes through it: `public`, `internal`, `confidential` or `restricted`.
    #[schemars(with = "Option<String>")]
    pub(crate) data_classification: Option<Spanned<String>>,
    /// What its credentials may do in the system behind it: scopes, roles, grants.
    #[schemars(with = "Option<String>")]
    pub(crate) permissions: Option<Spanned<String>>,
    /// What it cannot do, or does badly; `none known` where that is so.
    #[schemars(with = "Option<String>")]
    pub(crate) limitations: Option<Spanned<String>>,
    /// The day of the last security review, as in `2026-11-26`.
    #[schemars(with = "Option<String>")]
    pub(crate) security_review: Option<Spanned<String>>,
    /// Who did it, or where it is written down.
    #[schemars(with = "Option<String>")]
    pub(crate) security_reviewer: Option<Spanned<String>>,
    /// The day on which somebody read its source.
    #[schemars(with = "Option<String>")]
    pub(crate) source_review: Option<Spanned<String>>,
    /// Where its threat model is.
    #[schemars(with = "Option<String>")]
    pub(crate) threat_model: Option<Spanned<String>>,
    /// Who runs it, where that is somebody else.
    #[schemars(with = "Option<String>")]
    pub(crate) vendor: Option<Spanned<String>>,
    /// What the vendor does with data, and where it is.
    #[schemars(with = "Option<String>")]
    pub(crate) vendor_data_handling: Option<Spanned<String>>,
    /// How the vendor keeps customers apart.
    #[schemars(with = "Option<String>")]
    pub(crate) vendor_tenant_isolation: Option<Spanned<String>>,
    /// How the vendor changes the server, and tells of it.
    #[schemars(with = "Option<String>")]
    pub(crate) vendor_versioning: Option<Spanned<String>>,
    /// Where the vendor's security is described.
    #[schemars(with = "Option<String>")]
    pub(crate) vendor_security: Option<Spanned<String>>,
}

impl Record {
    fn get(&self, fact: Fact) -> Option<&Spanned<String>> {
        match fact {
            Fact::Owner => self.owner.as_ref(),
            Fact::Team => self.team.as_ref(),
            Fact::Purpose => self.purpose.as_ref(),
            Fact::Repository => self.repository.as_ref(),
            Fact::Pipeline => self.pipeline.as_ref(),
            Fact::Classification => self.data_classification.as_ref(),
            Fact::Permissions => self.permissions.as_ref(),
            Fact::Limitations => self.limitations.as_ref(),
            Fact::SecurityReview => self.security_review.as_ref(),
            Fact::Reviewer => self.security_reviewer.as_ref(),
            Fact::SourceReview => self.source_review.as_ref(),
            Fact::ThreatModel => self.threat_model.as_ref(),
            Fact::Vendor => self.vendor.as_ref(),
            Fact::VendorData => self.vendor_data_handling.as_ref(),
            Fact::VendorTenants => self.vendor_tenant_isolation.as_ref(),
            Fact::VendorVersions => self.vendor_versioning.as_ref(),
            Fact::VendorSecurity => self.vendor_security.as_ref(),
        }
    }
}

pub(super) fn cross(crossing: &mut Crossing<'_>, written: &Record) -> Facts {
    let mut facts = Facts::default();
    for fact in Fact::ALL {
        let Some(given) = written.get(*fact) else { continue };
        let said = fact.value(given.get_ref()).and_then(|value| facts.set(*fact, &value));
        if let Err(error) = said {
            crossing.problem(given.span(), error.to_string(), None);
        }
    }
    facts
}

pub(super) fn effective(facts: &Facts) -> Table {
    facts.iter().map(|(fact, value)| (fact.key().to_owned(), Value::String(value.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_record_can_be_declared_under_its_key() {
        for fact in Fact::ALL {
            let written: Record = toml::from_str(&format!("{} = \"x\"", fact.key())).unwrap();
            assert_eq!(written.get(*fact).map(|given| given.get_ref().as_str()), Some("x"), "{fact:?}");
        }
    }
}
