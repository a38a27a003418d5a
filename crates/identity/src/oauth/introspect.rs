//! One question about one token, and what the answer is worth (RFC 7662).
//!
//! The answer is judged as the claims of a signed token are, and by the same functions. In two things it is judged
//! more strictly: it must say that the token is active, and it must have a `sub`, as without one a person's token
//! could pass for one that the client has for itself.

use super::{
    InForce, Opaque, fetch, provider, quoted,
    settings::{ClientAuthentication, Introspection, Issuer, Source},
    verified::{self, Verified},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use decision::{Code, Digest, Refusal, SecretName, Timestamp, canonical};
use egress::{Client, FetchBounds, News, Outage};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header::AUTHORIZATION};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};
use tokio::{sync::Mutex, time, time::Instant};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// For one answer.
const BOUNDS: FetchBounds = FetchBounds { total_max: Duration::from_secs(5), body_max: 32 << 10 };
/// For finding out where to ask, and asking.
const PATIENCE: Duration = Duration::from_secs(8);
/// For finding out: what is left of the patience is enough to ask.
const LOOKING: Duration = Duration::from_secs(4);
/// How long it is not looked for again after it was not found, whoever shows a token meanwhile.
const PAUSE: Duration = Duration::from_secs(2);

/// A provider that is asked: where, and over which connections.
#[derive(Debug)]
pub(super) struct Exchange {
    source: Source,
    settings: Introspection,
    client: Client,
    found: Mutex<Found>,
    outage: Outage,
}

/// What its metadata says of where it is asked.
#[derive(Debug, Default)]
struct Found {
    endpoint: Option<(Uri, Instant)>,
    /// Why that is not known, or not anew, and since when.
    fault: Option<(String, Instant)>,
}

impl Found {
    /// The place, if it was read so recently.
    fn within(&self, age: Duration) -> Option<Uri> {
        let recent = self.endpoint.as_ref().filter(|(_, at)| at.elapsed() < age);
        recent.map(|(endpoint, _)| endpoint.clone())
    }
}

impl Exchange {
    pub(super) fn new(source: &Source, settings: &Introspection, http: egress::Settings) -> Self {
        let reach = match &settings.endpoint {
            // where it is written, nothing else needs to be reached
            Some(endpoint) => provider::policy(source, &[Some(endpoint)], None),
            None => provider::policy(source, &[Some(&source.issuer)], None),
        };
        let client = Client::new(reach, http);
        Self {
            source: source.clone(),
            settings: settings.clone(),
            client,
            found: Mutex::default(),
            outage: Outage::default(),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.source.issuer
    }
    pub(super) fn secret(&self) -> &SecretName {
        &self.settings.secret
    }

    /// Asks once. Errors: the provider cannot be asked, does not let the gateway ask, or does not answer.
    pub(super) async fn ask(&self, token: &Opaque, client_secret: &[u8]) -> Result<Reply, Refusal> {
        let asked = async {
            let endpoint = self.endpoint().await?;
            self.post(&endpoint, token, client_secret).await
        };
        let answer = time::timeout(PATIENCE, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(self.unreachable("no answer in time")));
        match self.outage.note(answer.as_ref().err()) {
            Some(News::Began(no)) => {
                tracing::warn!(reason = %no.because, "opaque tokens cannot be asked about: they are refused");
            }
            Some(News::Over) => {
                tracing::info!(issuer = %self.source.issuer, "opaque tokens can be asked about again");
            }
            None => {}
        }
        answer
    }

    async fn endpoint(&self) -> Result<Uri, Refusal> {
        let parsed = |url: &str| url.parse::<Uri>().map_err(|_| self.unreachable("its address is not one"));
        if let Some(endpoint) = &self.settings.endpoint {
            return parsed(endpoint);
        }
        let mut found = self.found.lock().await;
        if let Some(endpoint) = found.within(self.source.refresh) {
            return Ok(endpoint);
        }
        let recent = found.fault.as_ref().filter(|(_, at)| at.elapsed() < PAUSE);
        let why = match recent.map(|(why, _)| why.clone()) {
            Some(why) => why,
            None => match self.look().await {
                Ok(endpoint) => {
                    *found = Found { endpoint: Some((endpoint.clone(), Instant::now())), fault: None };
                    return Ok(endpoint);
                }
                Err(why) => {
                    found.fault = Some((why.clone(), Instant::now()));
                    why
                }
            },
        };
        // as with keys: a document that cannot be read anew does not make the last one wrong at once
        found.within(self.source.keys_max_age).ok_or_else(|| self.unreachable(&why))
    }

    async fn look(&self) -> Result<Uri, String> {
        let looking = fetch::introspection(&self.client, &self.source);
        let endpoint = time::timeout(LOOKING, looking).await.map_err(|_| "no metadata in time")??;
        endpoint.parse().map_err(|_| "its address is not one".to_owned())
    }

    async fn post(&self, endpoint: &Uri, token: &Opaque, client_secret: &[u8]) -> Result<Reply, Refusal> {
        let mut headers = HeaderMap::new();
        let mut fields = vec![("token", token.text()), ("token_type_hint", "access_token")];
        let unfit = |_| self.refused("the secret cannot be sent: it is not UTF-8");
        match self.settings.authentication {
            ClientAuthentication::Basic => {
                headers.insert(AUTHORIZATION, basic(&self.settings.client_id, client_secret)?);
            }
            ClientAuthentication::Post => {
                let secret = std::str::from_utf8(client_secret).map_err(unfit)?;
                fields.extend([("client_id", self.settings.client_id.as_str()), ("client_secret", secret)]);
            }
        }
        let answer = self.client.post_form(endpoint, &fields, headers, BOUNDS).await;
        let answer = answer.map_err(|error| self.unreachable(&error.to_string()))?;
        match answer.status {
            StatusCode::OK => Reply::read(&answer.body).map_err(|why| self.unreachable(why)),
            // RFC 7662, section 2.3: the gateway itself is not let in
            status if is_no_entry(status, &answer.body) => Err(self.refused(&format!("it answers {status}"))),
            status => Err(self.unreachable(&format!("it answers {status}"))),
        }
    }

    fn unreachable(&self, why: &str) -> Refusal {
        let because = format!("`{}` cannot be asked about the token: {why}", self.source.issuer);
        Refusal::new(Code::ProviderUnreachable, because)
    }
    fn refused(&self, why: &str) -> Refusal {
        let because = format!("`{}` does not let the gateway ask about tokens: {why}", self.source.issuer);
        Refusal::new(Code::ProviderRefused, because)
    }
}

/// Whether an answer is about who asks, and not about the token: RFC 6749, section 5.2, lets a client that is not let in be
/// told so by a 400 as well.
fn is_no_entry(status: StatusCode, body: &[u8]) -> bool {
    const OF_THE_CLIENT: [&str; 3] = ["invalid_client", "unauthorized_client", "access_denied"];
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST => {
            let said = serde_json::from_slice::<Map<String, Value>>(body);
            let error = said.ok().and_then(|members| members.get("error")?.as_str().map(str::to_owned));
            error.is_some_and(|error| OF_THE_CLIENT.contains(&error.as_str()))
        }
        _ => false,
    }
}

/// RFC 6749, section 2.3.1: both halves are form-encoded before they are put together.
fn basic(client_id: &str, client_secret: &[u8]) -> Result<HeaderValue, Refusal> {
    let mut both = Zeroizing::new(String::with_capacity(3 * (client_id.len() + client_secret.len()) + 1));
    both.extend(byte_serialize(client_id.as_bytes()));
    both.push(':');
    both.extend(byte_serialize(client_secret));
    let encoded = Zeroizing::new(STANDARD.encode(both.as_bytes()));
    let text = Zeroizing::new(format!("Basic {}", *encoded));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Refusal::new(Code::ProviderRefused, "the secret cannot be put in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a provider says about a token. Shown without it: it is about a person.
pub struct Reply {
    claims: Map<String, Value>,
    size: u64,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(..)")
    }
}

impl Reply {
    /// Its bytes as they came.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the provider says that the token is good.
    pub fn is_active(&self) -> bool {
        self.claims.get("active") == Some(&Value::Bool(true))
    }

    /// An object that says whether the token is active. Errors: what else it is.
    pub(super) fn read(text: &[u8]) -> Result<Self, &'static str> {
        canonical::bytes(text).map_err(|_| "its answer is not JSON, or says something twice")?;
        let Ok(members) = serde_json::from_slice::<Map<String, Value>>(text) else {
            return Err("its answer is not an object");
        };
        match members.get("active") {
            Some(Value::Bool(_)) => Ok(Self { claims: members, size: text.len() as u64 }),
            Some(_) | None => Err("its answer does not say whether the token is active"),
        }
    }

    /// The token it speaks of, if that is good now. Errors: with the code of the first check that failed.
    pub(super) fn judge(
        &self,
        issuer: &Issuer,
        by: &InForce,
        id: Digest,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let claims = &self.claims;
        if !self.is_active() {
            let because = format!("`{}` says that the token is not active", issuer.source.issuer);
            return Err(Refusal::new(Code::TokenInactive, because));
        }
        let named = claims.get("iss").and_then(Value::as_str);
        if claims.contains_key("iss") && named != Some(issuer.source.issuer.as_str()) {
            let because = format!(
                "`{}` vouches for a token of {}",
                issuer.source.issuer,
                named.map_or_else(|| "something else".to_owned(), quoted)
            );
            return Err(Refusal::new(Code::IssuerUnknown, because));
        }
        is_for_access(claims)?;
        if !claims.contains_key("sub") {
            let because = "the answer has no `sub`, so a person cannot be told from the client";
            return Err(Refusal::new(Code::ClaimMissing, because));
        }
        let verified = verified::of_claims(claims, issuer, by, (None, id))?;
        verified.times.check(now)?;
        Ok(verified)
    }
}

/// Providers answer about refresh tokens too, which whoever bears them may only show to the provider, and each says
/// in its own way which kind it is.
fn is_for_access(claims: &Map<String, Value>) -> Result<(), Refusal> {
    const KINDS: [(&str, &[&str]); 3] = [
        ("token_type", &["bearer"]),
        ("typ", &["bearer", "at+jwt", "application/at+jwt"]),
        ("token_use", &["access_token", "access"]),
    ];
    for (claim, good) in KINDS {
        let fits = match claims.get(claim) {
            None | Some(Value::Null) => true,
            Some(Value::String(kind)) => good.iter().any(|one| kind.eq_ignore_ascii_case(one)),
            Some(_) => false,
        };
        if !fits {
            let kind = claims.get(claim).and_then(Value::as_str).map_or_else(String::new, quoted);
            let because = format!("`{claim}` is {kind}, and not that of a bearer's access token");
            return Err(Refusal::new(Code::TokenHeaderRefused, because));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{
        Mapping,
        tests::{oauth_of, with},
    };
    use decision::{Environment, TenantId};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn who_is_not_let_in_is_told_from_what_is_wrong_with_the_provider() {
        let no_entry =
            |status: u16, body: &str| is_no_entry(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(
            no_entry(401, "") && no_entry(403, "<html>") && no_entry(400, r#"{"error":"invalid_client"}"#)
        );
        for body in ["", "{", "[]", r#"{"error":"invalid_request"}"#, r#"{"error":7}"#] {
            assert!(!no_entry(400, body), "{body}");
        }
        assert!(!no_entry(500, r#"{"error":"invalid_client"}"#) && !no_entry(404, ""));
    }

    const NOW: u64 = 1_800_000_000;
    const ISSUER: &str = "https://login.example/tenant";

    fn by() -> InForce {
        InForce {
            oauth: Arc::new(oauth_of(ISSUER, Mapping::default())),
            tenant: TenantId::default(),
            environment: Environment::default(),
            providers: Vec::new(),
            introspector: None,
        }
    }

    fn judged(text: &str) -> Result<String, Code> {
        let by = by();
        let reply = Reply::read(text.as_bytes()).map_err(|_| Code::ProviderUnreachable)?;
        let now = Timestamp(NOW * 1_000_000);
        let verified = reply.judge(&by.oauth.issuers[0], &by, Digest::of(b"t"), now);
        verified.map(|good| good.principal.describe()).map_err(|refusal| refusal.code)
    }

    fn said(changed: &Value) -> Value {
        let usual = json!({ "active": true, "sub": "alice", "client_id": "claude", "iss": ISSUER,
            "aud": "https://gate.example/mcp", "exp": NOW + 300 });
        with(usual, changed)
    }

    #[test]
    fn an_answer_is_an_object_that_says_once_and_truly_that_the_token_is_active() {
        assert_eq!(judged(&said(&json!({})).to_string()), Ok("agent claude for alice".to_owned()));
        let good = said(&json!({})).to_string();
        for text in [
            String::new(),
            "null".to_owned(),
            "[true]".to_owned(),
            "\"active\"".to_owned(),
            format!("{good}{good}"),
            good.replacen('{', "{\"active\":false,", 1),
            good.replacen('{', "{\"acti\\u0076e\":true,", 1),
            said(&json!({ "active": "true" })).to_string(),
            said(&json!({ "active": 1 })).to_string(),
            said(&json!({ "active": null })).to_string(),
            said(&json!({ "active": null, "Active": true })).to_string(),
        ] {
            assert_eq!(judged(&text), Err(Code::ProviderUnreachable), "{text}");
        }
        assert_eq!(judged("{\"active\":false}"), Err(Code::TokenInactive));
        assert_eq!(judged(&said(&json!({ "active": false })).to_string()), Err(Code::TokenInactive));
    }

    #[test]
    fn a_person_without_a_subject_does_not_pass_for_the_client() {
        for more in [json!({ "sub": null }), json!({ "sub": null, "username": "alice" })] {
            assert_eq!(judged(&said(&more).to_string()), Err(Code::ClaimMissing), "{more}");
        }
        let own = judged(&said(&json!({ "sub": "claude" })).to_string());
        assert_eq!(own, Ok("workload claude".to_owned()));
    }

    #[test]
    fn both_halves_of_a_basic_credential_are_encoded_and_it_is_not_shown() {
        // the example of RFC 6749 has no character that needs it; these have
        let value = basic("a:b c", "p%+/=\u{e9}".as_bytes()).unwrap();
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let decoded = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(decoded, "a%3Ab+c:p%25%2B%2F%3D%C3%A9");
        assert!(value.is_sensitive() && !format!("{value:?}").contains(text));
        let reply = Reply::read(said(&json!({})).to_string().as_bytes()).unwrap();
        assert!(!format!("{reply:?}").contains("alice"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_fall_over_and_none_without_a_yes_is_good(
            raw: Vec<u8>, name in "[a-z_]{2,10}", value in "[a-zA-Z0-9 ./:]{0,30}", active: bool,
        ) {
            let _ = Reply::read(&raw);
            let mut text = said(&json!({ "active": active }));
            if name != "active" {
                text[name.as_str()] = json!(value);
            }
            let judged = judged(&text.to_string());
            prop_assert!(active || judged == Err(Code::TokenInactive));
            // nothing but what names them changes who somebody is
            let named = ["sub", "client_id", "azp", "gty", "idtyp"].contains(&name.as_str());
            if let (Ok(who), false) = (judged, named) {
                prop_assert_eq!(who, "agent claude for alice");
            }
        }
    }
}
