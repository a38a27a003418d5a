//! Scopes: what a token is bounded to, `mcp:<server>:read`, `:write` or `:destructive`, with `*` for every server.
//!
//! The wider class holds the narrower ones. A scope hides nothing, or no client could ask for more; what
//! may be seen is for the rules alone.

use crate::Scope;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt};

/// Most scopes of one token that are looked at.
const SCOPES_MAX: usize = 256;
/// Never asked for by a resource (MCP authorization, scope selection).
const NEVER_ASKED: &str = "offline_access";

/// What a call may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    Read,
    Write,
    Destructive,
}

impl Width {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|width| width.as_str() == name)
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scope for one class of one server's items; without a server, of every server's.
pub fn scope_for(server: Option<&str>, width: Width) -> Option<Scope> {
    Scope::new(&format!("mcp:{}:{width}", server.unwrap_or("*"))).ok()
}

/// The scopes of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted(BTreeSet<Scope>);

impl Granted {
    /// From `scope` (RFC 9068, section 2.2.3) and `scp`, as a list or separated by spaces.
    pub(crate) fn of(claims: &Map<String, Value>) -> Self {
        let texts = |claim: &str| -> Vec<String> {
            match claims.get(claim) {
                Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
                Some(Value::Array(items)) => {
                    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Some(_) | None => Vec::new(),
            }
        };
        let all = texts("scope").into_iter().chain(texts("scp"));
        Self(all.take(SCOPES_MAX).filter_map(|text| Scope::new(&text).ok()).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether this much of this server is granted.
    pub fn covers(&self, server: &str, width: Width) -> bool {
        self.0.iter().any(|scope| {
            let parts = scope.as_str().strip_prefix("mcp:").and_then(|rest| rest.rsplit_once(':'));
            parts.is_some_and(|(of, class)| {
                (of == server || of == "*") && Width::parse(class).is_some_and(|granted| granted >= width)
            })
        })
    }

    /// What to ask for so that this is granted too and nothing is lost (SEP-835: one complete challenge). `ask` is what
    /// the operator wants asked for: providers do not list every scope in the token that it gave.
    pub fn and(&self, server: &str, width: Width, ask: &[Scope]) -> BTreeSet<Scope> {
        let held = self.0.iter().filter(|scope| scope.as_str() != NEVER_ASKED).cloned();
        held.chain(scope_for(Some(server), width)).chain(askable(ask)).collect()
    }
}

/// Scopes that a client may be told to ask for.
pub(crate) fn askable(scopes: &[Scope]) -> impl Iterator<Item = Scope> {
    scopes.iter().filter(|scope| scope.as_str() != NEVER_ASKED).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn granted(claims: Value) -> Granted {
        Granted::of(claims.as_object().unwrap())
    }

    #[test]
    fn a_wider_class_holds_the_narrower_and_a_star_every_server() {
        let one = granted(json!({ "scope": "openid mcp:crm:write" }));
        assert!(!one.covers("crm", Width::Destructive));
        assert!(!one.covers("crm2", Width::Read));
        assert!(!one.covers("", Width::Read));
        assert!(one.covers("crm", Width::Read) && one.covers("crm", Width::Write));
        let all = granted(json!({ "scp": ["mcp:*:destructive"] }));
        assert!(Width::ALL.into_iter().all(|width| all.covers("any", width)));
        for nothing in
            ["mcp", "mcp:crm", "mcp:crm:", "mcp:crm:all", "mcp::read", "MCP:crm:read", "xmcp:crm:read"]
        {
            let scopes = granted(json!({ "scope": nothing }));
            assert!(!scopes.covers("crm", Width::Read), "{nothing}");
        }
    }

    #[test]
    fn a_challenge_asks_for_what_is_held_and_what_is_missing_but_never_for_offline_access() {
        let held = granted(json!({ "scope": "offline_access openid mcp:crm:read", "scp": "email" }));
        let ask = Scope::new("groups.read").unwrap();
        let asked: Vec<_> =
            held.and("crm", Width::Write, &[ask]).iter().map(|s| s.as_str().to_owned()).collect();
        assert_eq!(asked, ["email", "groups.read", "mcp:crm:read", "mcp:crm:write", "openid"]);
    }
}
