//! The credentials that the configuration names and the store cannot give.

use super::{introspects_with, signs_with};
use crate::place::Place;
use decision::{SecretName, ServerName};
use gateway::introspection;
use gateway::settings::{Authority, Source};
use gateway::webhooks::WEBHOOK;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{SecretListing, Store};

/// A secret that a server, the identity provider or a webhook needs and is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Who needs it.
    pub(crate) server: ServerName,
    pub(crate) secret: SecretName,
    /// Whether it is one of each user's own.
    per_user: bool,
    /// It is stored, and these alone may be given it.
    only_for: BTreeSet<ServerName>,
}

impl Missing {
    /// What to do about it, as the end of a sentence.
    pub(crate) fn advice(&self) -> String {
        let Self { server, secret, per_user, only_for } = self;
        let whose = if *per_user { " --user NAME" } else { "" };
        let set = format!("callgate secret set {secret}{whose}");
        if only_for.is_empty() {
            return format!("store it with `{set}`");
        }
        let only: Vec<_> = only_for.iter().map(|one| format!("`{one}`")).collect();
        format!(
            "it is stored, but only for {}: `{set} --any-server` gives it to all that name it, `{set} --server {server}` to this one instead",
            only.join(", ")
        )
    }

    pub(crate) fn json(&self) -> Value {
        match self.only_for.is_empty() {
            true => json!({ "server": self.server, "secret": self.secret }),
            false => json!({ "server": self.server, "secret": self.secret, "only-for": self.only_for }),
        }
    }
}

/// Whether the tie of a secret lets this one have it.
pub(super) fn may_have(listed: &SecretListing, server: &str) -> bool {
    listed.server.as_ref().is_none_or(|only| only.as_str() == server)
}

/// What is needed and cannot be given. Of a server that is used per user: what no user has stored.
pub(crate) async fn missing(place: &Place, store: &Store) -> anyhow::Result<Vec<Missing>> {
    let stored = store.list_secrets(&place.scope()).await?;
    let added = store.users_added(&place.scope()).await?;
    let stored: Vec<_> =
        stored.into_iter().filter(|one| !super::is_of_somebody_before(one, &added)).collect();
    let mut missing: Vec<Missing> = Vec::new();
    for ((server, secret), per_user) in needed(place)? {
        let such = |one: &&SecretListing| one.name == secret && one.user.is_some() == per_user;
        let such: Vec<_> = stored.iter().filter(such).collect();
        if such.iter().any(|one| may_have(one, server.as_str())) {
            continue;
        }
        let only_for = such.iter().filter_map(|one| one.server.clone()).collect();
        let one = Missing { server, secret, per_user, only_for };
        if !missing.contains(&one) {
            missing.push(one);
        }
    }
    Ok(missing)
}

/// Who needs which secret, and whether it is one of each user's own.
fn needed(place: &Place) -> anyhow::Result<Vec<((ServerName, SecretName), bool)>> {
    let mut needed = Vec::new();
    needed.extend(introspects_with(place).map(|secret| ((introspection::provider(), secret.clone()), false)));
    let hooks = ServerName::new(WEBHOOK)?;
    needed.extend(signs_with(place).map(|secret| ((hooks.clone(), secret.clone()), false)));
    let backends = place.meant.settings.vault.stored_credential();
    for (name, server) in &place.meant.settings.servers {
        let per_user = server.authority == Authority::PerUser;
        needed.extend(server.credentials.iter().filter_map(|one| match &one.source {
            Source::Stored => Some(((name.clone(), one.secret.clone()), per_user)),
            // what the backend itself wants, once for everybody
            Source::Kv(_) => backends.map(|secret| ((name.clone(), secret.clone()), false)),
            Source::Variable(_) | Source::File(_) => None,
        }));
    }
    Ok(needed)
}
