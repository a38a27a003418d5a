//! HashiCorp Vault and OpenBao: the key-value secrets engine, version 2.

use super::api::{Api, Unanswered};
use super::login::{Hidden, Login, Token, log_in, renew};
use super::{BackendError, Owner, PathTemplate};
use crate::{Lease, Secret};
use decision::{Call, Permit, SecretName};
use egress::Client;
use parking_lot::Mutex;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A login that failed is not tried again for so long: a storm of calls must not become one of logins.
const LEAVE_ALONE: Duration = Duration::from_secs(1);
/// Values kept at once.
const CACHED_MAX: usize = 256;

/// How the backend is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvSettings {
    /// `https://vault.example.com:8200`.
    pub address: String,
    pub namespace: Option<String>,
    /// Where the engine is mounted, such as `secret`.
    pub mount: PathTemplate,
    pub login: Login,
    /// How long a value may be used without asking again; zero asks for every call.
    pub cache: Duration,
}

/// Where one secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvPlace {
    pub path: PathTemplate,
    pub field: String,
    /// `None` is the latest.
    pub version: Option<u32>,
}

/// The backend, logged in when it is first needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kv(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    owner: Owner,
    settings: KvSettings,
    mount: String,
    session: tokio::sync::Mutex<Session>,
    keeper: Mutex<Option<AbortHandle>>,
    cache: Mutex<BTreeMap<Key, Cached>>,
}

#[derive(Default)]
struct Session {
    token: Option<Arc<Token>>,
    /// Of a wrapping token, which cannot be unwrapped twice.
    secret_id: Option<Zeroizing<String>>,
    failed: Option<(Instant, BackendError)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({:?}, {:?}, ..)", self.token, self.failed)
    }
}

/// Path, field and version.
type Key = (String, String, Option<u32>);

struct Cached {
    value: Zeroizing<Vec<u8>>,
    until: Instant,
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cached(..)")
    }
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    data: Versioned<'a>,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<Fields<'a>>,
    metadata: Metadata,
}

/// The fields of one secret, none of them twice: two readers would take different ones.
struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = BTreeMap<String, &'de RawValue>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("fields, none of them twice")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field occurs twice"));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Once).map(Self)
    }
}

#[derive(Deserialize)]
struct Metadata {
    version: u32,
}

impl Kv {
    /// A backend at `settings.address`, which is the only place `client` need reach. Nothing is asked yet.
    /// Errors: the namespace cannot be sent, or the mount has a `{user}` in it.
    pub fn new(settings: KvSettings, owner: Owner, client: Client) -> Result<Self, BackendError> {
        let inner = Inner {
            api: Api::new(client, &settings.address, settings.namespace.as_deref())?,
            mount: settings.mount.fill(None)?,
            owner,
            settings,
            session: tokio::sync::Mutex::default(),
            keeper: Mutex::default(),
            cache: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    pub fn settings(&self) -> &KvSettings {
        &self.0.settings
    }

    /// The secret at `place` for `call`, which `permit` must be of. A path of users is that of the person
    /// behind the call, or none.
    ///
    /// `stored` is the backend's own credential, opened for this call; only a login needs it. Without it the
    /// answer may be `NeedsCredential`. Errors: [`BackendError`]. While the backend is down there is no value
    /// older than the settings allow.
    pub async fn lease(
        &self,
        permit: &Permit,
        call: &Call,
        name: &SecretName,
        place: &KvPlace,
        stored: Option<&Lease>,
    ) -> Result<Lease, BackendError> {
        let inner = &self.0;
        inner.owner.allows(permit, call, name)?;
        let path = place.path.fill(call.principal().person())?;
        let key = (path, place.field.clone(), place.version);
        if let Some(value) = inner.cached(&key) {
            return Ok(Lease::of(value, name));
        }
        let token = inner.token(stored).await?;
        let value = match inner.read(&token, &key).await {
            // the token was revoked: with a new one it may be allowed
            Err(BackendError::Denied(_)) if !inner.is_known(&token).await? => {
                inner.forget(&token).await;
                let token = inner.token(stored).await?;
                inner.read(&token, &key).await?
            }
            read => read?,
        };
        inner.keep(key, &value);
        Ok(Lease::of(value, name))
    }
}

impl Inner {
    async fn read(&self, token: &Token, (path, field, version): &Key) -> Result<Secret, BackendError> {
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let asked = self.api.get(&format!("{}/data/{path}{query}", self.mount), token.as_str()).await;
        let reply = asked.map_err(|error| {
            error.or(|status| match status {
                403 => BackendError::Denied(path.clone()),
                404 => BackendError::Missing(path.clone()),
                other => BackendError::Failed(other),
            })
        })?;
        let Read { data } = reply.read()?;
        let Fields(fields) = data.data.ok_or_else(|| BackendError::Missing(path.clone()))?;
        if version.is_some_and(|asked| asked != data.metadata.version) {
            return Err(BackendError::Malformed("another version than was asked for"));
        }
        let text = fields.get(field).and_then(|value| serde_json::from_str::<Hidden>(value.get()).ok());
        let value = text.and_then(|Hidden(text)| Secret::from_input(text.as_bytes().to_vec()).ok());
        value.ok_or_else(|| BackendError::Field { path: path.clone(), field: field.clone() })
    }

    /// Whether the backend knows the token at all.
    async fn is_known(&self, token: &Token) -> Result<bool, BackendError> {
        match self.api.get("auth/token/lookup-self", token.as_str()).await {
            Ok(_) => Ok(true),
            Err(Unanswered::Refused(_)) => Ok(false),
            Err(Unanswered::Other(error)) => Err(error),
        }
    }

    async fn forget(&self, token: &Arc<Token>) {
        let mut session = self.session.lock().await;
        if session.token.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, token)) {
            session.token = None;
        }
    }

    /// A token that is good now: the one at hand, or that of a new login. One login at a time.
    async fn token(self: &Arc<Self>, stored: Option<&Lease>) -> Result<Arc<Token>, BackendError> {
        let mut session = self.session.lock().await;
        if let Some(token) = session.token.as_ref().filter(|token| token.is_fresh()) {
            return Ok(Arc::clone(token));
        }
        let at_hand = session.token.clone().filter(|token| token.is_good());
        let failed = session.failed.clone().filter(|(at, _)| at.elapsed() < LEAVE_ALONE);
        let outcome = match failed {
            Some((_, error)) => Err(error),
            None => log_in(&self.api, &self.settings.login, stored, &mut session.secret_id).await,
        };
        match outcome {
            Ok(token) => {
                let token = Arc::new(token);
                session.failed = None;
                session.token = Some(Arc::clone(&token));
                self.look_after(&token);
                Ok(token)
            }
            Err(BackendError::NeedsCredential(name)) => Err(BackendError::NeedsCredential(name)),
            Err(error) => {
                let since = session.failed.take().filter(|(at, _)| at.elapsed() < LEAVE_ALONE);
                session.failed = Some(since.unwrap_or_else(|| (Instant::now(), error.clone())));
                // near its end, but good until then
                at_hand.ok_or(error)
            }
        }
    }

    /// Renews the token in good time for as long as it can be, so that a credential that is good for one
    /// login lasts.
    fn look_after(self: &Arc<Self>, token: &Arc<Token>) {
        let task = token.renew_at.map(|_| tokio::spawn(look_after(Arc::downgrade(self), Arc::clone(token))));
        let new = task.map(|task| task.abort_handle());
        if let Some(old) = std::mem::replace(&mut *self.keeper.lock(), new) {
            old.abort();
        }
    }

    fn cached(&self, key: &Key) -> Option<Secret> {
        let mut cache = self.cache.lock();
        let now = Instant::now();
        cache.retain(|_, cached| now < cached.until);
        cache.get(key).and_then(|cached| Secret::from_input(cached.value.to_vec()).ok())
    }

    fn keep(self: &Arc<Self>, key: Key, value: &Secret) {
        if self.settings.cache.is_zero() {
            return;
        }
        let until = Instant::now() + self.settings.cache;
        let cached = Cached { value: Zeroizing::new(value.bytes().to_vec()), until };
        let mut cache = self.cache.lock();
        if cache.len() < CACHED_MAX || cache.contains_key(&key) {
            cache.insert(key.clone(), cached);
            drop(cache);
            tokio::spawn(wipe(Arc::downgrade(self), key, until));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}

/// Also where nobody asks again, a value is not kept longer than it may be used.
async fn wipe(inner: Weak<Inner>, key: Key, until: Instant) {
    tokio::time::sleep_until(until).await;
    if let Some(inner) = inner.upgrade() {
        let mut cache = inner.cache.lock();
        if cache.get(&key).is_some_and(|cached| cached.until <= until) {
            cache.remove(&key);
        }
    }
}

async fn look_after(inner: Weak<Inner>, mut token: Arc<Token>) {
    let Some(mut at) = token.renew_at else { return };
    loop {
        tokio::time::sleep_until(at).await;
        let Some(inner) = inner.upgrade() else { return };
        let renewed = renew(&inner.api, &token).await;
        let mut session = inner.session.lock().await;
        // another login has taken its place
        if !session.token.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, &token)) {
            return;
        }
        match renewed {
            Ok(next) => {
                let Some(next_at) = next.renew_at else {
                    // the end of what may be renewed: calls log in anew while this one is still good
                    session.token = Some(Arc::new(next));
                    return;
                };
                token = Arc::new(next);
                session.token = Some(Arc::clone(&token));
                at = next_at;
            }
            // it is no token any more
            Err(BackendError::LoginRefused(_)) => {
                session.token = None;
                return;
            }
            Err(_) => {
                let left = token.until.map(|until| until.saturating_duration_since(Instant::now()));
                match left {
                    Some(left) if !left.is_zero() => at = Instant::now() + (left / 3).max(RETRY_MIN),
                    Some(_) | None => return,
                }
            }
        }
    }
}

/// Between two tries to renew a token while the backend cannot be reached.
const RETRY_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_named_twice_is_no_answer() {
        let read = |fields: &str| {
            let text = format!(r#"{{"data":{{"data":{fields},"metadata":{{"version":1}}}}}}"#);
            serde_json::from_str::<Read<'_>>(&text)
                .map(|read| read.data.data.map(|Fields(fields)| fields.into_keys().collect::<Vec<_>>()))
                .ok()
        };
        assert_eq!(
            read(r#"{"key":"a","other":{"x":1}}"#),
            Some(Some(vec!["key".to_owned(), "other".to_owned()]))
        );
        assert_eq!(read("null"), Some(None));
        for twice in
            [r#"{"key":"a","key":"b"}"#, r#"{"key":"a","\u006bey":"a"}"#, r#"{"x":1,"key":"a","x":2}"#]
        {
            assert_eq!(read(twice), None, "{twice}");
        }
    }
}
