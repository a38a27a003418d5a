//! An answer from outside: somebody's yes or no, said by a system that holds the address's key.

use super::{Hook, Keys};
use crate::{Servers, Settings};
use arc_swap::ArcSwap;
use decision::approval::{Approval, Part, Unfit};
use decision::{ApprovalId, Clock, Digest, UserName};
use serde::Deserialize;
use std::sync::Arc;
use store::{Desk, DeskError, Scope, Turn};

/// Most bytes of one.
pub(crate) const BYTES_MAX: usize = 16 << 10;
const ID_CHARS_MAX: usize = 128;

/// What a callback is answered from.
#[derive(Debug, Clone)]
pub struct Callback {
    pub desk: Arc<Desk>,
    pub scope: Scope,
    pub settings: Arc<ArcSwap<Settings>>,
    pub keys: Arc<dyn Keys>,
    pub clock: Arc<dyn Clock>,
    /// By which a yes is known that would count for nothing.
    pub servers: Arc<dyn Servers>,
}

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    approval: ApprovalId,
    /// The digest of what the event was about.
    terms: Digest,
    /// Who decided: a user of the gateway's.
    person: UserName,
    vote: Word,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Yes,
    No,
}

/// The three headers, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signed<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// Why a callback is not taken. The first three look the same to whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    #[error("it is not signed by whoever may decide here")]
    Forged,
    #[error("it was taken before")]
    Repeated,
    #[error("{0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Unfit(Unfit),
    #[error("the approval is about something else")]
    OtherTerms,
    #[error("{}", .0.counts_nothing())]
    Void(Part),
    #[error("there is no such approval or person")]
    Unknown,
    #[error("it cannot be taken now: {0}")]
    Unavailable(String),
}

impl Unheard {
    pub(crate) fn status(&self) -> http::StatusCode {
        match self {
            Self::Forged => http::StatusCode::UNAUTHORIZED,
            Self::Repeated | Self::Unfit(_) | Self::OtherTerms | Self::Void(_) => http::StatusCode::CONFLICT,
            Self::Malformed(_) => http::StatusCode::BAD_REQUEST,
            Self::Unknown => http::StatusCode::NOT_FOUND,
            Self::Unavailable(_) => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Callback {
    /// Whose key signed it, of those that may decide.
    async fn signer(&self, signed: Signed<'_>, body: &[u8]) -> Result<Hook, Unheard> {
        let seconds: u64 = signed.timestamp.parse().map_err(|_| Unheard::Forged)?;
        let now = self.clock.now().0 / 1_000_000;
        if !(1..=ID_CHARS_MAX).contains(&signed.id.len()) || body.len() > BYTES_MAX {
            return Err(Unheard::Forged);
        }
        let settings = self.settings.load_full();
        let mut closed = None;
        for hook in settings.hooks.iter().filter(|hook| hook.decides) {
            match self.keys.key(&hook.secret).await {
                Ok(key) if key.verify(signed.id, seconds, body, signed.signature, now) => {
                    return Ok(hook.clone());
                }
                Ok(_) => {}
                Err(why) => closed = Some(why),
            }
        }
        Err(closed.map_or(Unheard::Forged, Unheard::Unavailable))
    }

    /// Takes one. What is signed right is taken once, within five minutes.
    pub async fn hear(&self, signed: Signed<'_>, body: &[u8]) -> Result<Approval, Unheard> {
        let hook = self.signer(signed, body).await?;
        let said: Said = serde_json::from_slice(body).map_err(|_| {
            Unheard::Malformed("the body needs approval, terms, person and vote, and nothing else")
        })?;
        let unavailable = |error: DeskError| Unheard::Unavailable(error.to_string());
        let heard = self.desk.store().hear_callback(&self.scope, &hook.name, signed.id).await;
        if heard.map_err(|e| unavailable(e.into()))? == Turn::Missed {
            return Err(Unheard::Repeated);
        }
        let voted = self.vote(&hook, signed.id, &said).await;
        if let Err(Unheard::Unavailable(_)) = &voted {
            // whoever sent it tries again, under the same id
            let unheard = self.desk.store().unhear_callback(&self.scope, &hook.name, signed.id).await;
            if let Err(error) = unheard {
                tracing::warn!(hook = %hook.name, %error, "a callback that could not be taken cannot be repeated");
            }
        }
        voted
    }

    async fn vote(&self, hook: &Hook, id: &str, said: &Said) -> Result<Approval, Unheard> {
        let unavailable = |error: DeskError| Unheard::Unavailable(error.to_string());
        let kept = self.desk.store().approval(&self.scope, said.approval).await;
        let kept = kept.map_err(|e| unavailable(e.into()))?.ok_or(Unheard::Unknown)?;
        if kept.approval.terms.digest() != said.terms {
            return Err(Unheard::OtherTerms);
        }
        let voter = self.desk.voter(&self.scope, &said.person).await.map_err(unavailable)?;
        let voter = voter.ok_or(Unheard::Unknown)?;
        let yes = said.vote == Word::Yes;
        if let Some(part) = self.servers.void(&kept.approval).filter(|_| yes) {
            return Err(Unheard::Void(part));
        }
        // whoever has the key can speak for everybody, so the record says by which of its messages it was
        let via = format!("webhook:{} {id}", hook.name);
        let reason = said.reason.as_deref().and_then(inspect::shown::reason);
        let voted = self.desk.vote(&self.scope, said.approval, &voter, yes, reason.as_deref(), &via).await;
        voted.map_err(|error| match error {
            DeskError::Unfit(why) => Unheard::Unfit(why),
            DeskError::Missing(_) => Unheard::Unknown,
            other @ (DeskError::Raced | DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Entry(_)) => {
                unavailable(other)
            }
        })
    }
}
