//! For whom a call is made, said to its server in a form it can check (requirement I2): a JSON Web Token of a minute,
//! for this server and this call alone, signed by a key of the gateway whose public half it publishes.

use crate::gate::{Gate, Live};
use crate::secrets::sealed_at;
use crate::settings::AssertionUse;
use crate::upstream::{Fault, FaultKind};
use decision::{Actor, Call, CallId, Clock, Code, Permit, Principal, Refusal, UserName};
use http::{HeaderMap, HeaderName, HeaderValue};
use launch::LockedBytes;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;
use store::{Revision, StoredSecret};
use vault::{ASSERTION_KEY, SigningKey};

/// How long an assertion holds.
const HOLDS: Duration = Duration::from_secs(60);
/// Under which name they are taken out of what a server says.
pub(crate) const SHOWN_AS: &str = "assertion";
/// Most assertions of one call that are remembered to be taken out, the last ones. A call takes a few.
const KEPT_MAX: usize = 32;
/// How long a replaced key is still published: longer than anybody keeps the list.
pub(crate) const PUBLISHED_MIN: Duration = Duration::from_secs(60 * 60);

/// The gateway's keys, as of one revision of the store.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    known: Mutex<(Revision, Arc<[Arc<SigningKey>]>)>,
    /// The last that were read, in public.
    published: Mutex<Option<String>>,
}

impl Assertions {
    /// Forgets the keys if the store has changed since.
    pub(crate) fn renew(&self, revision: Revision) {
        let mut known = self.known.lock();
        if known.0 != revision {
            *known = (revision, Arc::default());
        }
    }

    /// The keys, the one that signs first.
    async fn keys(&self, gate: &Gate, live: &Live) -> Result<Arc<[Arc<SigningKey>]>, Refusal> {
        let revision = {
            let known = self.known.lock();
            if !known.1.is_empty() {
                return Ok(Arc::clone(&known.1));
            }
            known.0
        };
        let unreadable = |e: &dyn fmt::Display| {
            Refusal::new(Code::SecretUnreadable, format!("the gateway's key for assertions: {e}"))
        };
        let scope = live.settings.scope();
        let name = ASSERTION_KEY.parse().map_err(|e| unreadable(&e))?;
        let stored = gate.store.secret_versions(&scope, &name, None).await.map_err(|e| unreadable(&e))?;
        let open = |stored: StoredSecret| {
            let (sealed, at) = sealed_at(&scope, stored).map_err(|e| unreadable(&e))?;
            gate.opener.signing_key(&sealed, &at).map(Arc::new).map_err(|e| unreadable(&e))
        };
        let keys: Arc<[_]> = stored.into_iter().map(open).collect::<Result<_, _>>()?;
        let public: Vec<String> = keys.iter().map(|key| key.public()).collect();
        *self.published.lock() = Some(format!("{{\"keys\":[{}]}}", public.join(",")));
        let mut known = self.known.lock();
        if known.0 == revision {
            known.1 = Arc::clone(&keys);
        }
        Ok(keys)
    }

    /// What says to the call's server for whom it is made. Needs the call's permit, as every credential does.
    pub(crate) async fn begin(
        &self,
        gate: &Gate,
        live: &Live,
        permit: &Permit,
        call: &Call,
        wanted: &AssertionUse,
    ) -> Result<Assertion, Refusal> {
        if !permit.covers(call) {
            return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
        }
        let keys = self.keys(gate, live).await?;
        let missing =
            || Refusal::new(Code::SecretMissing, "the gateway has no key for assertions yet: restart it");
        Ok(Assertion {
            header: wanted.header.clone(),
            key: keys.first().map(Arc::clone).ok_or_else(missing)?,
            claims: claims(live, call, wanted),
            call: call.id(),
            clock: Arc::clone(&gate.clock),
            messages: AtomicU64::new(0),
            sent: Mutex::default(),
        })
    }
}

impl Gate {
    /// The public keys with which assertions are checked, as a JSON Web Key Set (RFC 7517).
    pub fn assertion_keys(&self) -> String {
        self.assertions.published.lock().clone().unwrap_or_else(|| r#"{"keys":[]}"#.to_owned())
    }

    /// Reads the keys again, after the store has changed.
    pub async fn publish_assertion_keys(&self) {
        let live = self.live();
        if live.settings.servers.values().any(|server| server.assertion.is_some())
            && let Err(refusal) = self.assertions.keys(self, &live).await
        {
            tracing::warn!(because = refusal.because, "the keys for assertions cannot be read");
        }
    }
}

/// What is said of a call, without what differs between its messages and without the last brace.
fn claims(live: &Live, call: &Call, wanted: &AssertionUse) -> String {
    let principal = call.principal();
    let target = call.target();
    let actor = subject(&principal.actor);
    let mut claims = json!({
        "iss": live.settings.issuer,
        "aud": wanted.audience,
        "sub": principal.person().map_or_else(|| actor.clone(), person),
        "callgate": {
            "tenant": principal.tenant,
            "environment": principal.environment,
            "call": call.id(),
            "method": call.method(),
            "kind": target.item.kind,
            "name": target.item.name,
            "server": target.server,
        },
    });
    if let Some(members) = claims.as_object_mut() {
        // RFC 8693, section 4.1: who acts for the subject
        if principal.user.is_some() {
            members.insert("act".to_owned(), json!({ "sub": actor }));
        }
        if wanted.groups {
            members.insert("groups".to_owned(), json!(groups(principal)));
        }
    }
    let mut text = claims.to_string();
    text.pop();
    text
}

fn groups(principal: &Principal) -> Vec<String> {
    let own = principal.user.as_ref().map_or(&principal.groups, |user| &user.groups);
    own.iter().map(ToString::to_string).collect()
}

/// A person, by name; written out where the name is one that only an agent, a service or the gateway has here.
fn person(name: &UserName) -> String {
    let text = name.as_str();
    let ours = matches!(text, "gateway" | "unknown")
        || ["agent:", "workload:", "server:", "user:"].iter().any(|kind| text.starts_with(kind));
    if ours { format!("user:{text}") } else { text.to_owned() }
}

/// Who acts, in a form that no person's name has by accident.
fn subject(actor: &Actor) -> String {
    match actor {
        Actor::Agent(name) => format!("agent:{name}"),
        Actor::Workload(name) => format!("workload:{name}"),
        Actor::User(name) => person(name),
        Actor::Server(name) => format!("server:{name}"),
        Actor::Gateway => "gateway".to_owned(),
        Actor::Unknown => "unknown".to_owned(),
    }
}

/// The assertion of one call. Each message that is sent for it, such as a handshake before it, is given one of its
/// own, so that a server can refuse whatever it has seen before.
pub(crate) struct Assertion {
    header: HeaderName,
    key: Arc<SigningKey>,
    claims: String,
    call: CallId,
    clock: Arc<dyn Clock>,
    messages: AtomicU64,
    /// How many were made, and the last of them.
    sent: Mutex<(u64, VecDeque<LockedBytes>)>,
}

impl Assertion {
    /// How many were made so far.
    pub(crate) fn count(&self) -> u64 {
        self.sent.lock().0
    }

    /// What was sent and must not be seen: each whole, and its signature, which is all of it that cannot be guessed.
    pub(crate) fn each_secret(&self, mut each: impl FnMut(&[u8])) {
        for token in &self.sent.lock().1 {
            each(token);
            each(token.rsplit(|byte| *byte == b'.').next().unwrap_or_default());
        }
    }

    fn keep(&self, token: &str) {
        let (count, sent) = &mut *self.sent.lock();
        if sent.len() >= KEPT_MAX {
            sent.pop_front();
        }
        sent.push_back(LockedBytes::copy_of(token.as_bytes()));
        *count += 1;
    }

    /// Puts a new one in, in place of whatever stands there under that name.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        let message = self.messages.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now().0 / 1_000_000;
        let until = now.saturating_add(HOLDS.as_secs());
        let Self { claims, call, .. } = self;
        let token =
            self.key.token(&format!(r#"{claims},"jti":"{call}.{message}","iat":{now},"exp":{until}}}"#));
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| Fault::unsent(FaultKind::Unreachable, "the assertion cannot be a header"))?;
        value.set_sensitive(true);
        self.keep(&token);
        headers.insert(self.header.clone(), value);
        Ok(())
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_an_agent_a_service_or_the_gateway() {
        let name = |text: &str| person(&text.parse().unwrap());
        for plain in ["ann", "ann@example.com", "gateways", "https://idp.example/7"] {
            assert_eq!(name(plain), plain);
        }
        for taken in ["gateway", "unknown", "agent:bot", "workload:billing", "server:crm", "user:ann"] {
            assert_eq!(name(taken), format!("user:{taken}"));
        }
        let actors = ["agent:bot", "workload:bot", "gateway", "unknown"].map(name);
        assert!(actors.iter().all(|person| *person != subject(&Actor::Agent("bot".parse().unwrap()))));
    }
}
