//! What opens of what is stored, and whether it can stand where it is needed. Nothing of a value comes out.

use super::{Named, signs_with, users};
use crate::{
    keys::{self, Asking},
    place::Place,
};
use decision::ServerName;
use gateway::{
    settings::{Authority, Place as Where, Source},
    webhooks::WEBHOOK,
};
use store::{Resealable, SecretListing, Store};
use vault::{Keys, SecretRef};

/// What the keys at hand open.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Sealed under keys that are not there.
    closed: Vec<Named>,
    /// Why nothing is known.
    pub(super) fault: Option<String>,
}

impl Opened {
    pub(super) async fn of(place: &Place, store: &Store, secrets: &[SecretListing]) -> Self {
        // without secrets no key must be made for it
        if secrets.is_empty() {
            return Self::default();
        }
        if !place.meant.state_dir.exists() {
            // whoever only reads begins nothing
            let fault = format!("`{}` does not exist", place.meant.state_dir.display());
            return Self { fault: Some(fault), ..Self::default() };
        }
        if place.meant.keys.asks() {
            let fault = "the passphrase would have to be asked for".to_owned();
            return Self { fault: Some(fault), ..Self::default() };
        }
        let closed = async {
            let keys = keys::open(place, store, Asking::Never).await?;
            closed(place, store, &keys).await
        };
        match closed.await {
            Ok(closed) => Self { closed, fault: None },
            Err(error) => Self { closed: Vec::new(), fault: Some(format!("{error:#}")) },
        }
    }

    pub(super) fn opens(&self, named: &Named) -> Option<bool> {
        self.fault.is_none().then(|| !self.closed.contains(named))
    }
}

/// The values in force, sealed. Those that were replaced are for what is still under way, and end by themselves.
async fn in_force(place: &Place, store: &Store) -> anyhow::Result<Vec<Resealable>> {
    let scope = place.scope();
    let listed = store.list_secrets(&scope).await?;
    let mut all = store.sealed_everywhere().await?;
    all.retain(|one| one.scope == scope && is_in_force(&listed, one));
    Ok(all)
}

pub(super) fn is_in_force(listed: &[SecretListing], one: &Resealable) -> bool {
    listed.iter().any(|now| now.name == one.name && now.user == one.user && now.version == one.version)
}

/// The secrets whose value in force none of these keys opens.
pub(crate) async fn closed(place: &Place, store: &Store, keys: &Keys) -> anyhow::Result<Vec<Named>> {
    let opens = |one: &Resealable| {
        vault::Sealed::from_bytes(one.sealed.0.clone()).is_ok_and(|sealed| keys.knows(&sealed))
    };
    let all = in_force(place, store).await?.into_iter();
    Ok(all.filter(|one| !opens(one)).map(|one| Named { name: one.name, user: one.user }).collect())
}

/// The secrets that these keys open and that cannot stand where a server needs them, with that server; and those that sign
/// what webhooks are told, and are no keys for that.
pub(crate) async fn unusable(
    place: &Place,
    store: &Store,
    keys: &Keys,
) -> anyhow::Result<Vec<(Named, ServerName)>> {
    let mut unusable = Vec::new();
    for one in in_force(place, store).await? {
        let Some((named, sealed, at)) = located(one)? else { continue };
        let is_key = |value: &[u8]| console::hooks::Key::read(value).is_ok();
        if signs(place, &named) && keys.fits(&sealed, &at, is_key) == Ok(false) {
            unusable.push((named.clone(), ServerName::new(WEBHOOK)?));
        }
        if let Some(server) = header_of(place, &named)
            && keys.fits_header(&sealed, &at) == Ok(false)
        {
            unusable.push((named, server));
        }
    }
    Ok(unusable)
}

/// The secrets that these keys open, that a server is given, and that its texts hold by chance.
pub(crate) async fn commons(place: &Place, store: &Store, keys: &Keys) -> anyhow::Result<Vec<Named>> {
    let mut commons = Vec::new();
    for one in in_force(place, store).await? {
        let Some((named, sealed, at)) = located(one)? else { continue };
        if !users(place, &named).is_empty() && keys.fits(&sealed, &at, inspect::is_common) == Ok(true) {
            commons.push(named);
        }
    }
    Ok(commons)
}

/// What is needed to open one; nothing where it is no sealed value at all.
fn located(one: Resealable) -> anyhow::Result<Option<(Named, vault::Sealed, SecretRef)>> {
    let named = Named { name: one.name, user: one.user };
    let Ok(sealed) = vault::Sealed::from_bytes(one.sealed.0) else { return Ok(None) };
    let at = SecretRef {
        tenant: one.scope.tenant,
        environment: one.scope.environment,
        name: named.name.clone(),
        user: named.user.clone(),
        version: u32::try_from(one.version)?,
    };
    Ok(Some((named, sealed, at)))
}

/// Whether what webhooks are told is signed with this secret.
pub(super) fn signs(place: &Place, named: &Named) -> bool {
    named.user.is_none() && signs_with(place).any(|secret| *secret == named.name)
}

/// A server that is given this secret in a header or a query.
pub(super) fn header_of(place: &Place, named: &Named) -> Option<ServerName> {
    let mut servers = place.meant.settings.servers.iter();
    let uses = servers.find(|(_, server)| {
        let per_user = server.authority == Authority::PerUser;
        (per_user || named.user.is_none())
            && server.credentials.iter().any(|one| {
                let in_text = matches!(one.place, Where::Header { .. } | Where::Query { .. });
                in_text && matches!(one.source, Source::Stored) && one.secret == named.name
            })
    });
    uses.map(|(name, _)| name.clone())
}
