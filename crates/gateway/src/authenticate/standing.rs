//! By what a principal is known, and whether it still is.

use super::{Known, TurnedAway, of_certificate, of_token};
use crate::gate::{Gate, Live};
use crate::introspection;
use crate::listen::tls::{ClientCertificate, Tls};
use crate::workload;
use decision::{AgentName, Class, Code, Principal, Refusal};
use identity::oauth::{Opaque, Verified};
use std::sync::Arc;

/// Whether a provider is asked again about a token that it vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Asked,
    /// Nothing goes on by the token: whoever shows it the next time is asked about then.
    LeftAlone,
}

/// By what a principal is known, so that what outlives a message can ask whether it still is.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// The hash of a token.
    Token([u8; 32]),
    /// A provider's token, as it was verified.
    Signed(Arc<Verified>),
    /// A provider's token that the provider vouches for, and the token itself to ask about it again.
    Vouched(Arc<Verified>, Arc<Opaque>),
    /// By configuration.
    Agent,
    /// By being a program of this machine, as long as those are let in without a token.
    Here(AgentName),
    /// By certificate.
    Workload(Arc<ClientCertificate>),
    /// By something else, over a connection that a certificate stands for.
    Bound(Arc<ClientCertificate>, Box<Standing>),
    /// By something else, over a connection that showed no certificate.
    Bare(Tls, Box<Standing>),
    /// A server's question, in the name of the session it belongs to.
    Session,
}

impl Standing {
    /// Why it counts no longer for whom it named, if it does not. A store that cannot be asked takes nothing
    /// away: whatever the principal asks next is refused then anyway.
    pub(crate) async fn lapse(
        &self,
        gate: &Arc<Gate>,
        live: &Arc<Live>,
        principal: &Arc<Principal>,
        again: Again,
    ) -> Option<Code> {
        let mut standing = self;
        while let Self::Bound(_, inner) | Self::Bare(_, inner) = standing {
            if let Err(refusal) = standing.connection(gate) {
                return Some(refusal.code);
            }
            standing = inner;
        }
        let known = match standing {
            Self::Token(hash) => of_token(gate, live, *hash).await.and_then(|known| still(known, principal)),
            Self::Signed(token) => match gate.issuers.still(token, gate.clock.now()) {
                Ok(()) => gate.tokens.enabled(gate, live, token.principal()).await,
                Err(refusal) => Err(refusal.into()),
            },
            Self::Vouched(token, _) if again == Again::LeftAlone => {
                match gate.issuers.still_in_force(token, gate.clock.now()) {
                    Ok(()) => gate.tokens.enabled(gate, live, token.principal()).await,
                    Err(refusal) => Err(refusal.into()),
                }
            }
            Self::Vouched(token, opaque) => {
                let (now, errand) = (gate.clock.now(), introspection::errand(gate, live));
                // whatever keeps the provider from being asked, nobody vouches for the token any more
                if let Err(refusal) = gate.issuers.still_vouched(token, opaque, now, errand).await {
                    return Some(refusal.code);
                }
                gate.tokens.enabled(gate, live, token.principal()).await
            }
            Self::Agent => gate.tokens.enabled(gate, live, principal).await,
            Self::Here(agent) if live.settings.unauthenticated_loopback.as_ref() != Some(agent) => {
                return Some(Code::CredentialMissing);
            }
            Self::Here(_) => gate.tokens.enabled(gate, live, principal).await,
            Self::Workload(certificate) => {
                of_certificate(gate, live, certificate).await.and_then(|known| still(known, principal))
            }
            Self::Session | Self::Bound(..) | Self::Bare(..) => Ok(()),
        };
        let lapses = |code: Code| code.class() == Class::Authentication || code == Code::ProviderUnreachable;
        known.err().map(|away| away.refusal.code).filter(|code| lapses(*code))
    }

    /// Whether the connection that it came over would be let in now.
    fn connection(&self, gate: &Gate) -> Result<(), Refusal> {
        match self {
            Self::Bound(certificate, _) => workload::holds(gate, certificate),
            Self::Bare(tls, _) => workload::may_be_missing(tls),
            Self::Token(_)
            | Self::Signed(_)
            | Self::Vouched(..)
            | Self::Agent
            | Self::Here(_)
            | Self::Workload(_)
            | Self::Session => Ok(()),
        }
    }

    /// Whether it came with the message, and was not fixed before.
    pub(crate) fn is_shown(&self) -> bool {
        match self {
            Self::Token(_)
            | Self::Signed(_)
            | Self::Vouched(..)
            | Self::Here(_)
            | Self::Workload(_)
            | Self::Bound(..) => true,
            Self::Bare(_, inner) => inner.is_shown(),
            Self::Agent | Self::Session => false,
        }
    }

    /// Whether time alone takes it away, and another of the same principal's may follow.
    pub(crate) fn runs_out(&self) -> bool {
        match self {
            Self::Signed(_) | Self::Vouched(..) | Self::Workload(_) | Self::Bound(..) => true,
            Self::Bare(_, inner) => inner.runs_out(),
            Self::Token(_) | Self::Agent | Self::Here(_) | Self::Session => false,
        }
    }

    /// Whether it takes a provider's answer to know whether it still is.
    pub(crate) fn is_asked_about(&self) -> bool {
        match self {
            Self::Vouched(..) => true,
            Self::Bound(_, inner) | Self::Bare(_, inner) => inner.is_asked_about(),
            Self::Token(_)
            | Self::Signed(_)
            | Self::Agent
            | Self::Here(_)
            | Self::Workload(_)
            | Self::Session => false,
        }
    }

    /// What the provider's token is bounded to; nothing bounds whoever came another way.
    pub(crate) fn token(&self) -> Option<&Verified> {
        match self {
            Self::Signed(token) | Self::Vouched(token, _) => Some(token),
            Self::Bound(_, inner) | Self::Bare(_, inner) => inner.token(),
            Self::Token(_) | Self::Agent | Self::Here(_) | Self::Workload(_) | Self::Session => None,
        }
    }
}

/// Errors: the credential is good, but for somebody else, or with other groups, than it was.
fn still((now, basis, _): Known, then: &Principal) -> Result<(), TurnedAway> {
    if *now == *then {
        return Ok(());
    }
    let because = format!("{basis} is for {} now, or with other groups", now.describe());
    Err(Refusal::new(Code::CredentialRevoked, because).into())
}
