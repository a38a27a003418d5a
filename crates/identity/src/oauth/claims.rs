//! From a token's claims to a principal: a small table that the operator writes.
//!
//! Two different people, clients or groups never become one name unless the operator wrote that down:
//! a value passes as it is, behind the issuer's prefix, or through a map in which every value stands;
//! nothing is folded, cut or escaped on the way.

use super::quoted;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Actor, AgentName, Code, GroupName, Refusal, User, UserName};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// Most groups of one token.
const GROUPS_MAX: usize = 512;
/// Claims whose text is a list of words.
const SCOPES: [&str; 2] = ["scope", "scp"];
/// Longest host name that a token gives.
const HOST_CHARS_MAX: usize = 80;

/// Which claims say who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Stands before every user and agent that no map names, so that issuers cannot name each other's.
    pub prefix: String,
    /// The claim that names the person.
    pub user: String,
    /// If any: only these values are known, and this is who they are.
    pub users: BTreeMap<String, UserName>,
    /// Takes an `email` that the provider did not verify as the name of a person.
    pub trust_unverified_email: bool,
    /// The claim that names the client, which is the agent.
    pub agent: String,
    /// If any: only these values are known, and this is who they are.
    pub agents: BTreeMap<String, AgentName>,
    /// The claim with the person's groups.
    pub groups: Option<String>,
    /// Stands before every group that no map names.
    pub group_prefix: String,
    /// If given, be it empty: the other groups of a token are not taken over.
    pub group_names: Option<BTreeMap<String, GroupName>>,
    /// If given, be it empty: the other groups of a token are not taken over.
    pub group_allow: Option<BTreeSet<String>>,
    /// Takes a token without that claim as one of nobody's groups.
    pub groups_optional: bool,
    /// The claim that names the Host, instead of what the Host says of itself.
    pub host: Option<String>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            user: "sub".to_owned(),
            users: BTreeMap::new(),
            trust_unverified_email: false,
            agent: "client_id".to_owned(),
            agents: BTreeMap::new(),
            groups: None,
            group_prefix: String::new(),
            group_names: None,
            group_allow: None,
            groups_optional: false,
            host: None,
        }
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub actor: Actor,
    pub user: Option<User>,
    /// The Host as the token names it.
    pub host: Option<String>,
    /// The certificate without which the token is a copy (RFC 8705, section 3.1), by its SHA-256.
    pub bound_to: Option<[u8; 32]>,
}

/// Whether a token of a provider can speak for somebody of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// No token can.
    Never,
    /// The provider alone knows whether it has such a one.
    Perhaps,
    /// The settings name it.
    Listed,
}

impl Mapping {
    /// Of a person, by the name they have here.
    pub fn names_user(&self, name: &str) -> Naming {
        named(&self.users, &self.prefix, name)
    }

    /// Of an agent or a workload, by the name it has here.
    pub fn names_agent(&self, name: &str) -> Naming {
        named(&self.agents, &self.prefix, name)
    }

    /// Of a group, by the name it has here.
    pub fn names_group(&self, name: &str) -> Naming {
        if self.groups.is_none() {
            return Naming::Never;
        }
        let bare = name.strip_prefix(&self.group_prefix);
        let renamed = self.group_names.iter().flatten().any(|(_, group)| group.as_str() == name);
        let allowed = bare.is_some_and(|bare| self.group_allow.iter().flatten().any(|group| group == bare));
        let is_open = self.group_names.is_none() && self.group_allow.is_none();
        match bare {
            _ if renamed || allowed => Naming::Listed,
            Some(_) if is_open => Naming::Perhaps,
            Some(_) | None => Naming::Never,
        }
    }

    /// Who these claims speak for. Errors: a claim is missing, or names nobody.
    pub fn who(&self, claims: &Map<String, Value>) -> Result<Who, Refusal> {
        let bound_to = claims.get("cnf").map(certificate).transpose()?;
        let agent = name(claims, &self.agent, &self.agents, &self.prefix)?;
        let host = match &self.host {
            Some(claim) => Some(text(claims, claim)?.chars().take(HOST_CHARS_MAX).collect()),
            None => None,
        };
        if is_client_only(claims) {
            // a client on its own is a service, and never gets what some person may do
            return Ok(Who { actor: Actor::Workload(agent), user: None, host, bound_to });
        }
        if self.user == "email"
            && !self.trust_unverified_email
            && claims.get("email_verified") != Some(&Value::Bool(true))
        {
            let because = "the token does not say that the provider has verified the `email`";
            return Err(Refusal::new(Code::ClaimUnusable, because));
        }
        let user = name(claims, &self.user, &self.users, &self.prefix)?;
        let groups = self.groups(claims)?;
        Ok(Who { actor: Actor::Agent(agent), user: Some(User { name: user, groups }), host, bound_to })
    }

    fn groups(&self, claims: &Map<String, Value>) -> Result<BTreeSet<GroupName>, Refusal> {
        let Some(claim) = &self.groups else {
            return Ok(BTreeSet::new());
        };
        let listed: Vec<&str> = match find(claims, claim) {
            None if self.groups_optional => Vec::new(),
            None => return Err(missing(claim)),
            // only scopes are words by their specification (RFC 6749, section 3.3); "Finance Readers" is one group
            Some(Value::String(text)) if SCOPES.contains(&claim.as_str()) => {
                text.split_ascii_whitespace().collect()
            }
            Some(Value::String(text)) => vec![text.as_str()],
            Some(Value::Array(items)) => {
                let texts = items.iter().map(Value::as_str).collect::<Option<_>>();
                texts.ok_or_else(|| wrong(claim, "is not a list of strings"))?
            }
            Some(_) => return Err(wrong(claim, "is neither a list nor a string")),
        };
        if listed.len() > GROUPS_MAX {
            return Err(wrong(claim, &format!("names more than {GROUPS_MAX} groups")));
        }
        let mut groups = BTreeSet::new();
        let all = self.group_names.is_none() && self.group_allow.is_none();
        for group in listed {
            if let Some(name) = self.group_names.as_ref().and_then(|names| names.get(group)) {
                groups.insert(name.clone());
            } else if all || self.group_allow.as_ref().is_some_and(|allowed| allowed.contains(group)) {
                groups.insert(parse(claim, group, &self.group_prefix)?);
            }
        }
        Ok(groups)
    }
}

/// Whether the token was given to a client for itself: RFC 9068, section 2.2, and how others say it.
fn is_client_only(claims: &Map<String, Value>) -> bool {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let clients = [text("client_id"), text("azp")];
    let is_client = |subject: &str| {
        let bare = subject.strip_suffix("@clients");
        clients.into_iter().flatten().any(|client| client == subject || Some(client) == bare)
    };
    let said = text("gty") == Some("client-credentials") || text("idtyp") == Some("app");
    said || match claims.get("sub") {
        None => true,
        Some(Value::String(subject)) => is_client(subject),
        Some(_) => false,
    }
}

/// A claim's value as a name: by the map, where there is one, else as it is behind the prefix.
fn name<T: FromStr + Clone>(
    claims: &Map<String, Value>,
    claim: &str,
    map: &BTreeMap<String, T>,
    prefix: &str,
) -> Result<T, Refusal>
where
    T::Err: std::fmt::Display,
{
    let value = text(claims, claim)?;
    if map.is_empty() {
        return parse(claim, value, prefix);
    }
    map.get(value).cloned().ok_or_else(|| wrong(claim, &format!("is {}, which no map names", quoted(value))))
}

/// Whether [`name`] can come to this one.
fn named<T: std::fmt::Display>(map: &BTreeMap<String, T>, prefix: &str, name: &str) -> Naming {
    match map.is_empty() {
        false if map.values().any(|known| known.to_string() == name) => Naming::Listed,
        true if name.starts_with(prefix) => Naming::Perhaps,
        true | false => Naming::Never,
    }
}

fn parse<T: FromStr>(claim: &str, value: &str, prefix: &str) -> Result<T, Refusal>
where
    T::Err: std::fmt::Display,
{
    let parsed = if prefix.is_empty() { value.parse() } else { format!("{prefix}{value}").parse() };
    parsed.map_err(|e: T::Err| wrong(claim, &format!("cannot be used: {e}")))
}

fn text<'c>(claims: &'c Map<String, Value>, claim: &str) -> Result<&'c str, Refusal> {
    match find(claims, claim) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => {
            Err(Refusal::new(Code::ClaimMissing, format!("the claim `{claim}` is not a string, or is empty")))
        }
        None => Err(missing(claim)),
    }
}

/// A claim by its very name, else by a path with dots, as `realm_access.roles`.
fn find<'c>(claims: &'c Map<String, Value>, claim: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(claim) {
        return Some(value);
    }
    let mut steps = claim.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

fn missing(claim: &str) -> Refusal {
    Refusal::new(Code::ClaimMissing, format!("the token has no claim `{claim}`"))
}

/// The certificate in `cnf`. Whoever bound the token to some other key did not mean it for everybody who has
/// a copy, and of no other key is a proof checked here.
fn certificate(cnf: &Value) -> Result<[u8; 32], Refusal> {
    let thumbprint = cnf.as_object().filter(|members| members.len() == 1).and_then(|members| {
        let decoded = URL_SAFE_NO_PAD.decode(members.get("x5t#S256")?.as_str()?).ok()?;
        <[u8; 32]>::try_from(decoded).ok()
    });
    let because = "the claim `cnf` binds the token to a key, of which no proof is checked here";
    thumbprint.ok_or_else(|| Refusal::new(Code::TokenUnproven, because))
}

fn wrong(claim: &str, why: &str) -> Refusal {
    Refusal::new(Code::ClaimUnusable, format!("the claim `{claim}` {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_token_can_speak_for_is_what_it_would_be_read_as() {
        let open = Mapping {
            prefix: "corp:".to_owned(),
            groups: Some("groups".to_owned()),
            group_prefix: "g-".to_owned(),
            ..Mapping::default()
        };
        assert_eq!(open.names_user("corp:alice"), Naming::Perhaps);
        assert_eq!((open.names_user("alice"), open.names_agent("bot")), (Naming::Never, Naming::Never));
        assert_eq!((open.names_group("g-ops"), open.names_group("ops")), (Naming::Perhaps, Naming::Never));
        assert_eq!(Mapping { groups: None, ..open.clone() }.names_group("g-ops"), Naming::Never);
        let closed = Mapping {
            users: BTreeMap::from([("1".to_owned(), "alice".parse().unwrap())]),
            group_names: Some(BTreeMap::from([("x".to_owned(), "finance".parse().unwrap())])),
            group_allow: Some(BTreeSet::from(["ops".to_owned()])),
            ..open
        };
        assert_eq!(
            (closed.names_user("alice"), closed.names_user("corp:bob")),
            (Naming::Listed, Naming::Never)
        );
        assert_eq!(closed.names_group("finance"), Naming::Listed);
        assert_eq!((closed.names_group("g-ops"), closed.names_group("g-x")), (Naming::Listed, Naming::Never));
    }

    #[test]
    fn a_text_is_one_group_and_only_scopes_are_words() {
        let groups = |claim: &str, value: Value, names: &[(&str, &str)]| {
            let names = names.iter().map(|(from, to)| ((*from).to_owned(), to.parse().unwrap()));
            let mapping = Mapping {
                groups: Some(claim.to_owned()),
                group_names: Some(names.collect()),
                group_allow: Some(BTreeSet::from(["finance".to_owned()])),
                ..Mapping::default()
            };
            let claims = Map::from_iter([(claim.to_owned(), value)]);
            let found = mapping.groups(&claims).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let none: [String; 0] = [];
        assert_eq!(groups("groups", "not finance".into(), &[]), none);
        assert_eq!(groups("groups", "finance".into(), &[]), ["finance"]);
        let names = [("Finance Readers", "readers"), ("Finance", "finance")];
        for one in [Value::from("Finance Readers"), Value::from(vec!["Finance Readers"])] {
            assert_eq!(groups("groups", one, &names), ["readers"]);
        }
        assert_eq!(groups("scope", "openid finance".into(), &[]), ["finance"]);
    }
}
