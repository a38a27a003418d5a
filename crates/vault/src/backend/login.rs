//! Getting a token of the backend, and what is known about it.

use super::BackendError;
use super::api::Api;
use super::local::{read_private, read_shared};
use crate::{Lease, Secret};
use decision::SecretName;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Longest life that a token is believed to have: whoever names more is asked again after it.
const LEASE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Where the one credential is that the backend itself wants. Never the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// A file of mode 0600, or one that systemd or Kubernetes hands out; read anew at every login.
    File(PathBuf),
    /// A secret that is sealed in the store.
    Stored(SecretName),
}

/// How the gateway logs in. `mount` is where the method is enabled, as in `auth/{mount}/login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    Token {
        token: Bootstrap,
    },
    AppRole {
        mount: String,
        role_id: String,
        secret_id: Bootstrap,
        /// The credential is a wrapping token, which is good for one unwrapping of the secret id.
        wrapped: bool,
    },
    /// Kubernetes and JWT: a signed token that the platform renews in its file.
    Jwt {
        mount: String,
        role: String,
        jwt: PathBuf,
    },
}

impl Login {
    /// Why the file that a login needs cannot be used now, where it needs one. Nobody is asked.
    pub fn unusable(&self) -> Option<BackendError> {
        match self {
            Self::Token { token: Bootstrap::File(path) }
            | Self::AppRole { secret_id: Bootstrap::File(path), .. } => read_private(path).err(),
            Self::Jwt { jwt, .. } => read_shared(jwt).err(),
            Self::Token { token: Bootstrap::Stored(_) }
            | Self::AppRole { secret_id: Bootstrap::Stored(_), .. } => None,
        }
    }
}

/// A text that is wiped.
pub(super) struct Hidden(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// A token and how long it is good for.
pub(super) struct Token {
    value: Zeroizing<String>,
    /// `None` where it never ends.
    pub(super) until: Option<Instant>,
    /// From when on a new login is better.
    fresh_until: Option<Instant>,
    /// When to renew it, where that can be done.
    pub(super) renew_at: Option<Instant>,
    /// The time it was given at login: a renewal that gives much less is near the end of what may be.
    full: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    fn new(value: Zeroizing<String>, lease: Duration, renewable: bool, full: Duration) -> Self {
        let now = Instant::now();
        // the backend may name any number
        let (lease, full) = (lease.min(LEASE_MAX), full.min(LEASE_MAX));
        let endless = lease.is_zero();
        let at = |part: u32| (!endless).then(|| now.checked_add(lease / 12 * part).unwrap_or(now));
        let renewable = renewable && lease >= full / 2;
        Self {
            value,
            until: at(12),
            // where nobody renews it, log in anew while it is still good
            fresh_until: if renewable { at(11) } else { at(8) },
            renew_at: if renewable { at(8) } else { None },
            full,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.value
    }
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh_until.is_none_or(|until| Instant::now() < until)
    }
    pub(super) fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

#[derive(Deserialize)]
struct Authenticated {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Hidden,
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct Looked {
    data: Lookup,
}

#[derive(Deserialize)]
struct Lookup {
    ttl: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct Unwrapped {
    data: WrappedId,
}

#[derive(Deserialize)]
struct WrappedId {
    secret_id: Hidden,
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct JwtLogin<'a> {
    role: &'a str,
    jwt: &'a str,
}

/// Logs in. `stored` is the opened secret where one is needed; `unwrapped` keeps a secret id that can be
/// unwrapped only once.
///
/// Errors: `NeedsCredential` where `stored` is missing, before anything was sent; those of the backend.
pub(super) async fn log_in(
    api: &Api,
    login: &Login,
    stored: Option<&Lease>,
    unwrapped: &mut Option<Zeroizing<String>>,
) -> Result<Token, BackendError> {
    match login {
        Login::Token { token } => {
            let value = credential(token, stored)?;
            let reply = api.get("auth/token/lookup-self", &value).await;
            let reply = reply.map_err(|error| error.or(BackendError::LoginRefused))?;
            let Looked { data } = reply.read()?;
            let lease = Duration::from_secs(data.ttl);
            Ok(Token::new(value, lease, data.renewable, lease))
        }
        Login::AppRole { mount, role_id, secret_id, wrapped } => {
            let given = match unwrapped {
                Some(known) => known.clone(),
                None if *wrapped => {
                    let id = unwrap(api, &credential(secret_id, stored)?).await?;
                    unwrapped.insert(id).clone()
                }
                None => credential(secret_id, stored)?,
            };
            let body = AppRoleLogin { role_id, secret_id: &given };
            authenticated(api, &format!("auth/{mount}/login"), &body).await
        }
        Login::Jwt { mount, role, jwt } => {
            let jwt = text_of(jwt, &read_shared(jwt)?)?;
            authenticated(api, &format!("auth/{mount}/login"), &JwtLogin { role, jwt: &jwt }).await
        }
    }
}

/// A longer life for a token. Errors: those of the backend.
pub(super) async fn renew(api: &Api, token: &Token) -> Result<Token, BackendError> {
    let reply = api.poke("auth/token/renew-self", token.as_str()).await;
    let reply = reply.map_err(|error| error.or(BackendError::LoginRefused))?;
    let Authenticated { auth } = reply.read()?;
    let lease = Duration::from_secs(auth.lease_duration);
    Ok(Token::new(auth.client_token.0, lease, auth.renewable, token.full))
}

async fn authenticated(api: &Api, path: &str, body: &impl Serialize) -> Result<Token, BackendError> {
    let reply = api.post(path, body).await.map_err(|error| error.or(BackendError::LoginRefused))?;
    let Authenticated { auth } = reply.read()?;
    let lease = Duration::from_secs(auth.lease_duration);
    Ok(Token::new(auth.client_token.0, lease, auth.renewable, lease))
}

async fn unwrap(api: &Api, wrapping_token: &str) -> Result<Zeroizing<String>, BackendError> {
    let reply = api.poke("sys/wrapping/unwrap", wrapping_token).await;
    let reply = reply.map_err(|error| error.or(BackendError::UnwrapRefused))?;
    let Unwrapped { data } = reply.read()?;
    Ok(data.secret_id.0)
}

fn credential(from: &Bootstrap, stored: Option<&Lease>) -> Result<Zeroizing<String>, BackendError> {
    match (from, stored) {
        (Bootstrap::File(path), _) => text(path),
        (Bootstrap::Stored(_), Some(lease)) => Ok(Zeroizing::new(lease.header()?.to_owned())),
        (Bootstrap::Stored(name), None) => Err(BackendError::NeedsCredential(name.clone())),
    }
}

fn text(path: &Path) -> Result<Zeroizing<String>, BackendError> {
    text_of(path, &read_private(path)?)
}

fn text_of(path: &Path, secret: &Secret) -> Result<Zeroizing<String>, BackendError> {
    let text = std::str::from_utf8(secret.bytes()).ok().filter(|text| {
        // of a header or of a JSON text, without a space or line end that was not meant
        text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let wrong = || BackendError::File { path: path.to_owned(), why: "it is not one line of text".to_owned() };
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_of_any_length_is_a_time() {
        for seconds in [1, 3600, LEASE_MAX.as_secs() + 1, u64::MAX / 2, u64::MAX] {
            let lease = Duration::from_secs(seconds);
            for (renewable, full) in [(true, lease), (false, lease), (true, Duration::from_secs(u64::MAX))] {
                let token = Token::new(Zeroizing::new("t".to_owned()), lease, renewable, full);
                let until = token.until.unwrap();
                assert!(until > Instant::now() && until <= Instant::now() + LEASE_MAX, "{seconds}");
                assert!(token.is_good() && token.is_fresh() && token.full <= LEASE_MAX, "{seconds}");
                assert!(token.renew_at.is_none_or(|at| at < until), "{seconds}");
            }
        }
        let endless = Token::new(Zeroizing::new("t".to_owned()), Duration::ZERO, false, Duration::ZERO);
        assert!(endless.until.is_none());
    }
}
