//! Opaque tokens: who is asked about which, by whose errand, and how long the answer stands.

use super::{
    InForce, Issuer, Issuers, Oauth, Opaque, Reply, Resource, Verified,
    asked::{self, Book, Next, Outcome, Turn},
    introspect::Exchange,
};
use decision::{Code, Digest, Refusal, SecretName, Timestamp};
use std::{future::Future, sync::Arc};
use tokio::time::Instant;

/// The provider that is asked, and what it said.
#[derive(Debug)]
pub(super) struct Introspector {
    /// Which of the issuers it is.
    at: usize,
    exchange: Exchange,
    book: Arc<Book>,
}

impl Introspector {
    /// That of the one issuer that says how it is asked. A token is never shown to a provider to find out whether it
    /// is one of its own, so where two could be meant, none is.
    pub(super) fn of(oauth: &Oauth, http: &egress::Settings) -> Option<Self> {
        let asked = |(at, issuer): (usize, &Issuer)| {
            let settings = issuer.introspection.as_ref()?;
            let exchange = Exchange::new(&issuer.source, settings, http.clone());
            Some(Self { at, exchange, book: Book::new(settings.cache) })
        };
        let mut all = oauth.issuers.iter().enumerate().filter_map(asked);
        all.next().filter(|_| all.next().is_none())
    }
}

/// A question to a provider about a token. Asking takes the gateway's own secret, and so an errand with a permit,
/// which is the caller's part.
#[derive(Debug)]
pub struct Question {
    opaque: Arc<Opaque>,
    to: Arc<Introspector>,
    strange: bool,
}

impl Question {
    pub fn issuer(&self) -> &str {
        self.to.exchange.issuer()
    }
    /// The name of the secret that asking takes.
    pub fn secret(&self) -> &SecretName {
        self.to.exchange.secret()
    }
    /// Whether it is about a token that was never good here: anybody can make one up.
    pub fn is_strange(&self) -> bool {
        self.strange
    }
    /// For the record: at whose token, and which, as a decision names the token itself.
    pub fn describe(&self) -> String {
        super::verified::describe(self.issuer(), self.opaque.id())
    }
    /// Asks, once. Errors: the provider cannot be asked, or does not let the gateway ask.
    pub async fn put(&self, client_secret: &[u8]) -> Result<Reply, Refusal> {
        self.to.exchange.ask(&self.opaque, client_secret).await
    }
}

impl Issuers {
    /// The token, if it is one that a provider is asked about under the settings in force.
    pub fn opaque(&self, token: &str) -> Option<Arc<Opaque>> {
        self.in_force.load().as_ref()?.introspector.as_ref()?;
        Opaque::of(token).map(Arc::new)
    }

    /// Whether an opaque token is good for this resource, now. `ask` puts the question where nothing recent is known;
    /// it is run to its end whatever becomes of the caller. Must be called inside a runtime.
    ///
    /// Errors: with the code of the first check that failed.
    pub async fn vouched<F>(
        &self,
        opaque: &Arc<Opaque>,
        resource: Resource<'_>,
        now: Timestamp,
        ask: impl FnOnce(Question) -> F,
    ) -> Outcome
    where
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let unconfigured = || Refusal::new(Code::CredentialMalformed, "this is not a token of this gateway");
        let in_force = self.in_force.load_full().ok_or_else(unconfigured)?;
        let verified = in_force.answer(opaque, now, ask).await?;
        let issuer = in_force.oauth.issuer(&verified.issuer).ok_or_else(unconfigured)?;
        verified.check(&in_force.oauth, issuer, resource, now)?;
        Ok(verified)
    }

    /// Whether a token that was good when it was shown still is. Asks ahead of time, so that a provider which is gone
    /// for a moment ends no stream, and waits for the answer only where the last one is too old.
    pub async fn still_vouched<F>(
        &self,
        verified: &Verified,
        opaque: &Arc<Opaque>,
        now: Timestamp,
        ask: impl FnOnce(Question) -> F,
    ) -> Result<(), Refusal>
    where
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let in_force = self.judged_by(verified, now)?;
        let ahead = in_force.introspector.as_ref().and_then(|to| Some((to, to.book.ahead(opaque.id())?)));
        let said = match ahead {
            // what was said last counts until the next answer: it may be another than the one before it
            Some((to, (turn, said))) => {
                in_force.begin(to, turn, opaque, now, ask);
                Ok(said)
            }
            None => in_force.answer(opaque, now, ask).await,
        };
        match said {
            Ok(said) if said.still_means(verified) => Ok(()),
            Ok(_) => {
                let because = "its provider says something else of the token than when it was shown";
                Err(Refusal::new(Code::CredentialRevoked, because))
            }
            // the provider's clock may be ahead of what we allow for
            Err(refusal) if refusal.code == Code::TokenInactive && now.0 >= verified.times.expires => {
                Err(Refusal::new(Code::CredentialExpired, "the token has expired"))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

impl InForce {
    /// What is known of a token, or becomes known by asking.
    async fn answer<F>(
        self: &Arc<Self>,
        opaque: &Arc<Opaque>,
        now: Timestamp,
        ask: impl FnOnce(Question) -> F,
    ) -> Outcome
    where
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let Some(to) = &self.introspector else {
            return Err(Refusal::new(Code::CredentialMalformed, "no provider is asked about opaque tokens"));
        };
        match to.book.look(opaque.id()) {
            Next::Known(outcome) => outcome,
            Next::Wait(awaited) => asked::wait(awaited).await,
            Next::Ask(turn) => {
                let awaited = turn.awaited();
                self.begin(to, turn, opaque, now, ask);
                asked::wait(awaited).await
            }
        }
    }

    /// Spawned: others may wait for the answer, and the errand's record must be closed.
    fn begin<F>(
        self: &Arc<Self>,
        to: &Arc<Introspector>,
        turn: Turn,
        opaque: &Arc<Opaque>,
        now: Timestamp,
        ask: impl FnOnce(Question) -> F,
    ) where
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let question = Question { opaque: Arc::clone(opaque), to: Arc::clone(to), strange: turn.strange };
        let asking = ask(question);
        let (by, at, id) = (Arc::clone(self), to.at, opaque.id());
        let asked = Instant::now();
        tokio::spawn(async move {
            let outcome = asking.await.and_then(|reply| by.worth(at, &reply, id, now));
            turn.done(outcome.map(Arc::new), asked, now);
        });
    }

    /// What an answer makes of the token.
    fn worth(&self, at: usize, reply: &Reply, id: Digest, now: Timestamp) -> Result<Verified, Refusal> {
        let issuer = self.oauth.issuers.get(at).ok_or_else(|| {
            Refusal::new(Code::StageFailed, "an answer without an issuer: this is a defect of the gateway")
        })?;
        reply.judge(issuer, self, id, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{
        ClientAuthentication, Introspection, Mapping,
        tests::{oauth_of, with},
    };
    use decision::{Entropy, Environment, TenantId};
    use serde_json::{Value, json};
    use std::{future, time::Duration};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
    /// Where no keys are fetched from: nothing private is asked.
    const ISSUER: &str = "https://127.0.0.1:1/tenant";
    const CACHE: Duration = Duration::from_millis(600);
    /// As often as streams are looked at, against the cache: each look is due to ask ahead.
    const LOOK: Duration = Duration::from_millis(350);

    #[derive(Debug)]
    struct Zero;
    impl Entropy for Zero {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn issuers() -> Issuers {
        let introspection = Introspection {
            endpoint: None,
            client_id: "callgate".to_owned(),
            secret: SecretName::new("idp-client").unwrap(),
            authentication: ClientAuthentication::Basic,
            cache: CACHE,
        };
        let mut oauth = oauth_of(ISSUER, Mapping::default());
        oauth.issuers.iter_mut().for_each(|issuer| issuer.introspection = Some(introspection.clone()));
        let issuers = Issuers::new(egress::Settings::default(), &Zero);
        issuers.install(Some(&Arc::new(oauth)), &TenantId::default(), &Environment::default());
        issuers
    }

    fn said(changed: &Value) -> Reply {
        let usual = json!({ "active": true, "sub": "alice", "client_id": "claude", "iss": ISSUER,
            "aud": "https://gate.example/mcp", "exp": NOW.0 / 1_000_000 + 300 });
        Reply::read(with(usual, changed).to_string().as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_look_that_asks_ahead_takes_what_was_said_before_it_for_what_it_is() {
        for changed in [
            json!({ "sub": "bob" }),
            json!({ "client_id": "bot" }),
            json!({ "aud": "https://gate.example/s/crm/mcp" }),
            json!({}),
        ] {
            let issuers = issuers();
            let opaque = issuers.opaque("an-opaque-token-of-alice").unwrap();
            let at = Resource { server: None };
            let first =
                issuers.vouched(&opaque, at, NOW, |_| future::ready(Ok(said(&json!({}))))).await.unwrap();
            let mut ended = None;
            for _ in 0..4 {
                tokio::time::sleep(LOOK).await;
                let answer = Ok(said(&changed));
                let look = issuers.still_vouched(&first, &opaque, NOW, |_| future::ready(answer)).await;
                ended = ended.or(look.err());
            }
            let expected = (changed != json!({})).then_some(Code::CredentialRevoked);
            assert_eq!(ended.map(|refusal| refusal.code), expected, "{changed}");
        }
    }
}
