//! How the vault stands, for `callgate check`.

use crate::{
    command::secret::{self, dates::State},
    keys::{self, Asking},
    place::Place,
    say::Say,
    sources::SystemClock,
};
use decision::{Clock as _, ServerName};
use serde_json::json;

/// How the vault stands.
#[derive(Default)]
pub(super) struct Vault {
    /// Why its keys cannot be used.
    fault: Option<anyhow::Error>,
    /// Sealed under keys that are not there.
    closed: Vec<secret::Named>,
    /// In a form that the server cannot be given.
    unusable: Vec<(secret::Named, ServerName)>,
    /// That texts hold by chance.
    common: Vec<secret::Named>,
    /// With dates that ask for somebody.
    dated: Vec<(secret::Named, State)>,
    /// Why memory for secrets is not locked.
    unlocked: Option<String>,
    /// The passphrase would have to be asked for, so nothing is known of what it opens.
    unasked: bool,
}

impl Vault {
    pub(super) async fn look(place: &Place, store: &store::Store) -> anyhow::Result<Self> {
        let dated = secret::dated(place, store, SystemClock.now()).await?;
        let mut vault = Self { dated, unlocked: keys::unlocked(), ..Self::default() };
        let empty = store.list_secrets(&place.scope()).await?.is_empty();
        if place.meant.keys.asks() {
            vault.unasked = !empty;
            return Ok(vault);
        }
        // without secrets there is nothing to open, and no key must be made for it; but a start needs one
        if empty {
            vault.fault = keys::look(place).await.err();
            return Ok(vault);
        }
        match keys::open(place, store, Asking::Never).await {
            Ok(keys) => {
                vault.closed = secret::closed(place, store, &keys).await?;
                vault.unusable = secret::unusable(place, store, &keys).await?;
                vault.common = secret::commons(place, store, &keys).await?;
            }
            Err(error) => vault.fault = Some(error),
        }
        Ok(vault)
    }

    pub(super) fn is_good(&self) -> bool {
        let expired = self.dated.iter().any(|(_, state)| matches!(state, State::Expired(_)));
        self.fault.is_none() && self.closed.is_empty() && self.unusable.is_empty() && !expired
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let named = |named: &secret::Named| json!({ "secret": named.name, "user": named.user });
        let dated = |(one, state): &(secret::Named, State)| json!({ "secret": one.name, "user": one.user, "state": state.as_str() });
        json!({
            "fault": self.fault.as_ref().map(|error| format!("{error:#}")),
            "code": self.fault.as_ref().and_then(|error| error.downcast_ref()).map(|_: &keys::OpensNothing| keys::OpensNothing::CODE),
            "sealed-under-another-key": self.closed.iter().map(named).collect::<Vec<_>>(),
            "unusable": self.unusable.iter().map(|(one, server)| json!({ "secret": one.name, "user": one.user, "server": server })).collect::<Vec<_>>(),
            "common": self.common.iter().map(named).collect::<Vec<_>>(),
            "dates": self.dated.iter().map(dated).collect::<Vec<_>>(),
            "memory-not-locked": self.unlocked,
            "key-not-checked": self.unasked,
        })
    }

    pub(super) fn tell(&self, say: Say) {
        let (bad, warn) = (say.paint(31, "✗"), say.paint(33, "!"));
        if let Some(fault) = &self.fault {
            say.line(format!("{bad} the keys of the vault cannot be used: {fault:#}"));
        }
        for named in &self.closed {
            say.line(format!(
                "{bad} {named} is sealed under a key that is not there: name it under `vault.old-keys`"
            ));
        }
        for (named, server) in &self.unusable {
            if server.as_str() == gateway::webhooks::WEBHOOK {
                say.line(format!(
                    "{bad} {named} is no key that signs what webhooks are told, so none of them is told anything: store `whsec_` and the base64 of 24 to 64 bytes with `callgate secret set {}`",
                    named.name
                ));
                continue;
            }
            say.line(format!(
                "{bad} {named} cannot stand in a header or a query of `{server}`, whose calls are refused (secret-unusable): it has a blank at an end, a line break, a tab or a character that is not ASCII; store it again with `callgate secret set {}`",
                named.name
            ));
        }
        for named in &self.common {
            say.line(format!("{warn} {}", secret::common(named)));
        }
        for (named, state) in &self.dated {
            let mark = if matches!(state, State::Expired(_)) { &bad } else { &warn };
            say.line(format!("{mark} {named} {state}: `callgate secret rotate {}`", named.name));
        }
        if let Some(why) = &self.unlocked {
            say.line(format!("{warn} {why}"));
        }
        if self.unasked {
            say.line(format!(
                "{warn} the passphrase is asked for at start, so what it opens was not checked"
            ));
        }
    }
}
