//! Each entrance as a resource of its own: its address, its metadata (RFC 9728), and who a token is for.

use super::{Oauth, Width, scope::askable, scope_for};
use crate::Scope;
use serde_json::json;

/// Where the metadata of every resource is (RFC 9728, section 3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// One entrance: one server's, or that of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    pub server: Option<&'a str>,
}

impl Resource<'_> {
    fn path(self) -> String {
        match self.server {
            Some(server) => format!("/s/{server}/mcp"),
            None => "/mcp".to_owned(),
        }
    }

    /// Its address, which is its identifier.
    pub fn url(self, oauth: &Oauth) -> String {
        format!("{}{}", oauth.public_url, self.path())
    }

    /// Where its metadata is: the path goes behind the well-known one (RFC 9728, section 3.1).
    pub fn metadata_url(self, oauth: &Oauth) -> String {
        format!("{}{WELL_KNOWN}{}", oauth.public_url, self.path())
    }

    /// Whether an audience names this resource, to the letter.
    pub fn is_named_by(self, audience: &str, oauth: &Oauth) -> bool {
        let path = audience.strip_prefix(oauth.public_url.as_str());
        match (self.server, path) {
            (_, None) => false,
            (None, Some(path)) => path == "/mcp",
            (Some(server), Some(path)) => {
                path.strip_prefix("/s/").and_then(|rest| rest.strip_suffix("/mcp")) == Some(server)
            }
        }
    }

    /// What a client should ask for first: to read, and what the operator wants beside.
    pub fn first_scopes(self, oauth: &Oauth) -> Vec<Scope> {
        let reads = oauth.enforce_scopes.then(|| scope_for(self.server, Width::Read)).flatten();
        askable(&oauth.ask).chain(reads).collect()
    }

    /// Its metadata. Computed from the name alone, so it says nothing about which servers there are.
    pub fn metadata(self, oauth: &Oauth) -> serde_json::Value {
        let widths = if oauth.enforce_scopes { Width::ALL.as_slice() } else { &[] };
        let scopes: Vec<_> = askable(&oauth.ask)
            .chain(widths.iter().filter_map(|width| scope_for(self.server, *width)))
            .map(|scope| scope.as_str().to_owned())
            .collect();
        let name = self.server.map_or_else(|| "Callgate".to_owned(), |server| format!("Callgate: {server}"));
        let mut document = json!({
            "resource": self.url(oauth),
            "authorization_servers":
                oauth.issuers.iter().map(|issuer| issuer.source.issuer.as_str()).collect::<Vec<_>>(),
            "bearer_methods_supported": ["header"],
            "resource_name": name,
        });
        if let (false, Some(members)) = (scopes.is_empty(), document.as_object_mut()) {
            members.insert("scopes_supported".to_owned(), json!(scopes));
        }
        document
    }
}
