//! What only people know of a server.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use std::collections::BTreeMap;

/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 2_000;

/// Where a fact is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Ownership,
    Data,
    Review,
    Vendor,
}

impl Group {
    pub const ALL: [Self; 4] = [Self::Ownership, Self::Data, Self::Review, Self::Vendor];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ownership => "Ownership",
            Self::Data => "Data and access",
            Self::Review => "Review",
            Self::Vendor => "Vendor",
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// Where something is: an address, or words.
    Place,
    /// `2026-11-26`.
    Date,
    Class,
}

/// How sensitive data is, in the order of how much.
const CLASSES: [&str; 4] = ["public", "internal", "confidential", "restricted"];

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $fact:ident = $key:literal, $label:literal, $ids:literal, $group:ident, $form:ident;)+) => {
        /// A field of a record that people fill in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fact { $($(#[doc = $doc])+ $fact,)+ }

        impl Fact {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$fact),+];

            /// As it is written in `callgate.toml` and on the command line.
            pub fn key(self) -> &'static str {
                match self { $(Self::$fact => $key),+ }
            }
            /// As people read it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$fact => $label),+ }
            }
            /// The requirements it is for.
            pub fn ids(self) -> &'static str {
                match self { $(Self::$fact => $ids),+ }
            }
            /// What it says.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$fact => concat!($($doc),+).trim_ascii_start()),+ }
            }
            pub fn group(self) -> Group {
                match self { $(Self::$fact => Group::$group),+ }
            }
            fn form(self) -> Form {
                match self { $(Self::$fact => Form::$form),+ }
            }
        }
    };
}

facts! {
    /// The person who answers for the server.
    Owner = "owner", "Owner", "R2 R23", Ownership, Text;
    /// The team that runs it and owns its tools.
    Team = "team", "Team", "R2 R17", Ownership, Text;
    /// What it is for.
    Purpose = "purpose", "Purpose", "R3", Ownership, Text;
    /// Where its source is.
    Repository = "repository", "Source repository", "R4 R25", Ownership, Place;
    /// How it gets to where it runs.
    Pipeline = "pipeline", "Deployment pipeline", "R23", Ownership, Text;
    /// The most sensitive data that passes through it: public, internal, confidential or restricted.
    Classification = "data-classification", "Data classification", "R10 R23", Data, Class;
    /// What its credentials may do in the system behind it: scopes, roles, grants.
    Permissions = "permissions", "Scopes and permissions", "R12", Data, Text;
    /// What it cannot do, or does badly; `none known` where that is so.
    Limitations = "limitations", "Known limitations", "R14", Review, Text;
    /// The day of the last security review.
    SecurityReview = "security-review", "Last security review", "R15", Review, Date;
    /// Who did it, or where it is written down.
    Reviewer = "security-reviewer", "Reviewed by", "R15", Review, Text;
    /// The day on which somebody read its source.
    SourceReview = "source-review", "Source read", "R25", Review, Date;
    /// Where its threat model is.
    ThreatModel = "threat-model", "Threat model", "R23", Review, Text;
    /// Who runs it, where that is somebody else.
    Vendor = "vendor", "Vendor", "R26", Vendor, Text;
    /// What the vendor does with data, and where it is.
    VendorData = "vendor-data-handling", "Data handling", "R26", Vendor, Text;
    /// How the vendor keeps customers apart.
    VendorTenants = "vendor-tenant-isolation", "Tenant isolation", "R26", Vendor, Text;
    /// How the vendor changes the server, and tells of it.
    VendorVersions = "vendor-versioning", "Versioning", "R26", Vendor, Text;
    /// Where the vendor's security is described.
    VendorSecurity = "vendor-security", "Security documents", "R26", Vendor, Text;
}

/// Why a value is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    #[error("`{0}` is no field of a record: the fields are {known}", known = keys())]
    Unknown(String),
    #[error("`{key}` {rule}")]
    Unfit { key: &'static str, rule: &'static str },
}

fn keys() -> String {
    Fact::ALL.iter().map(|fact| fact.key()).collect::<Vec<_>>().join(", ")
}

impl Fact {
    pub fn parse(key: &str) -> Result<Self, FactError> {
        let known = Self::ALL.iter().copied().find(|fact| fact.key() == key);
        known.ok_or_else(|| FactError::Unknown(key.chars().take(60).collect()))
    }

    pub fn is_date(self) -> bool {
        self.form() == Form::Date
    }
    /// The words to choose from, where there are some.
    pub fn words(self) -> &'static [&'static str] {
        if self.form() == Form::Class { &CLASSES } else { &[] }
    }

    /// The value as it is kept. Errors: it is none for this field.
    pub fn value(self, text: &str) -> Result<String, FactError> {
        let text = text.trim();
        let unfit = |rule| Err(FactError::Unfit { key: self.key(), rule });
        if text.is_empty() || text.len() > VALUE_BYTES_MAX {
            return unfit("takes 1 to 2000 bytes of text");
        }
        if text.chars().any(|c| c.is_control() || inspect::shown::is_hidden(c)) {
            return unfit("takes one line of text, in which nothing is hidden or turns its direction");
        }
        match self.form() {
            Form::Text => Ok(text.to_owned()),
            Form::Place if is_place(text) => Ok(text.to_owned()),
            Form::Place => {
                unfit("takes an address of https, http, ssh or git, or the name of a place without a colon")
            }
            Form::Date if is_date(text) => Ok(text.to_owned()),
            Form::Date => unfit("takes a day, as in `2026-11-26`"),
            Form::Class if CLASSES.contains(&text) => Ok(text.to_owned()),
            Form::Class => unfit("is `public`, `internal`, `confidential` or `restricted`"),
        }
    }
}

/// Whether it is no address, or one that only leads somewhere: whoever shows it may make a link of it.
fn is_place(text: &str) -> bool {
    let Some((before, behind)) = text.split_once(':') else { return !text.starts_with("//") };
    if let Some(rest) = behind.strip_prefix("//") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let user = host.rsplit_once('@').map(|(user, _)| user);
        // of ssh a name belongs to the address; a password belongs to none
        let named = user.is_some_and(|user| user.contains(':') || !before.eq_ignore_ascii_case("ssh"));
        if named || host.is_empty() || rest.contains(char::is_whitespace) {
            return false;
        }
    }
    // `git@host:path`, `host.example:8443/path`
    let is_host = before.contains(['@', '/', '.']) && !before.contains(char::is_whitespace);
    let leads = ["https", "http", "ssh", "git"].iter().any(|one| before.eq_ignore_ascii_case(one));
    leads && behind.starts_with("//") || is_host && !behind.starts_with("//")
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, digits: usize| {
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && year >= 1970
}

/// The facts that somebody gave, each as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<Fact, String>);

impl Facts {
    pub fn get(&self, fact: Fact) -> Option<&str> {
        self.0.get(&fact).map(String::as_str)
    }
    pub fn iter(&self) -> impl Iterator<Item = (Fact, &str)> {
        self.0.iter().map(|(fact, value)| (*fact, value.as_str()))
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a field, or clears it with an empty text.
    pub fn set(&mut self, fact: Fact, text: &str) -> Result<(), FactError> {
        if text.trim().is_empty() {
            self.0.remove(&fact);
        } else {
            self.0.insert(fact, fact.value(text)?);
        }
        Ok(())
    }

    /// Sets the fields that `other` has.
    pub fn take(&mut self, other: &Self) {
        self.0.extend(other.0.clone());
    }

    /// Reads what was serialized. What a later version knows and this one does not is left out.
    pub fn from_json(text: &str) -> Option<Self> {
        let written: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        let read = |(key, value): (String, String)| Some((Fact::parse(&key).ok()?, value));
        Some(Self(written.into_iter().filter_map(read).collect()))
    }

    /// Keys of the fields that are other ones in `other`.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let differs = |fact: &&Fact| self.get(**fact) != other.get(**fact);
        Fact::ALL.iter().filter(differs).map(|fact| fact.key().to_owned()).collect()
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (fact, value) in self.iter() {
            map.serialize_entry(fact.key(), value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_has_a_key_of_its_own_and_says_what_it_is_for() {
        let keys: std::collections::BTreeSet<_> = Fact::ALL.iter().map(|fact| fact.key()).collect();
        assert_eq!(keys.len(), Fact::ALL.len());
        for fact in Fact::ALL {
            assert_eq!(Fact::parse(fact.key()), Ok(*fact));
            assert!(fact.meaning().ends_with('.') && fact.ids().starts_with('R'), "{fact:?}");
        }
        assert!(Fact::parse("onwer").unwrap_err().to_string().contains("owner, team"));
    }

    #[test]
    fn a_value_is_of_the_form_of_its_field() {
        let date = |text| Fact::SecurityReview.value(text).is_ok();
        assert!(date("2026-11-26") && date("2024-02-29"));
        for wrong in ["2026-02-29", "2026-13-01", "26.11.2026", "2026-11-31", "2026-1-1", "+026-11-26", ""] {
            assert!(!date(wrong), "{wrong}");
        }
        assert!(
            Fact::Classification.value("internal").is_ok() && Fact::Classification.value("secret").is_err()
        );
        assert_eq!(Fact::Owner.value("  Ada ").as_deref(), Ok("Ada"));
        for wrong in ["", " ", "two\nlines", "\u{1b}[2J"] {
            assert!(Fact::Owner.value(wrong).is_err(), "{wrong:?}");
        }
        assert!(Fact::Owner.value(&"x".repeat(2_001)).is_err());
        for wrong in ["Ada\u{202e}adA", "A\u{200b}da", "\u{2066}x"] {
            assert!(Fact::Owner.value(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_repository_is_a_place_and_runs_nothing() {
        let repository = |text| Fact::Repository.value(text).is_ok();
        for good in [
            "https://git.example/a/b",
            "ssh://git@git.example/a",
            "git@git.example:a/b.git",
            "git.example:8443/a",
            "the shelf in room 3",
            "git.example/a/b",
        ] {
            assert!(repository(good), "{good}");
        }
        for wrong in [
            "javascript:alert(1)",
            "JavaScript://x",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc",
            "https://user:password@git.example/x",
            "https://user@git.example/x",
            "ssh://git:password@git.example/x",
            "https://ex ample",
            "//elsewhere/x",
            "java.script://x",
        ] {
            assert!(!repository(wrong), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn facts_come_back_as_they_were_written(values in proptest::collection::vec("[ -~]{0,30}", Fact::ALL.len())) {
            let mut facts = Facts::default();
            for (fact, value) in Fact::ALL.iter().zip(&values) {
                // a form that does not fit is refused and changes nothing
                let _ = facts.set(*fact, value);
            }
            let text = serde_json::to_string(&facts).unwrap();
            prop_assert_eq!(Facts::from_json(&text), Some(facts.clone()));
            prop_assert!(facts.changed(&facts).is_empty());
        }
    }
}
