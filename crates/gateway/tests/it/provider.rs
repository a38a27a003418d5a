//! An identity provider on loopback: it issues tokens, signed and opaque, changes its keys, misbehaves and dies.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{Router, extract::State, http::Uri, response::IntoResponse};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::oauth::{Alg, ClientAuthentication, Introspection, Issuer, Mapping, Oauth, Source};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Under which the gateway of these tests is reached, as tokens name it.
pub(crate) const PUBLIC: &str = "http://gateway.test";

pub(crate) struct Provider {
    pub(crate) url: String,
    shared: Arc<Shared>,
    served: tokio::task::JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<(String, EcdsaKeyPair)>>,
    manner: Mutex<Manner>,
    /// Paths that were asked for.
    asked: Mutex<Vec<String>>,
    /// Opaque tokens, and what is said about each.
    opaque: Mutex<BTreeMap<String, Value>>,
    saying: Mutex<Saying>,
    /// Tokens it was asked about.
    questions: Mutex<Vec<String>>,
}

/// The client that may ask about tokens, the name of its secret in the vault, and the secret, which takes encoding.
pub(crate) const CLIENT: &str = "callgate:gw";
pub(crate) const CLIENT_SECRET_NAME: &str = "idp-client";
pub(crate) const CLIENT_SECRET: &str = "canary%sec ret:+/\u{e9}-42";

/// How it answers when it is asked about an opaque token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saying {
    Truly,
    Slowly(Duration),
    /// With this status, content type and body.
    Raw(u16, &'static str, String),
    RedirectTo(String),
}

/// How it answers when it is asked for its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    Failing,
    Slow(Duration),
    /// A document of so many bytes.
    Huge(usize),
    RedirectTo(String),
    /// Its metadata says that the keys are there.
    KeysAt(String),
    /// Its metadata says that tokens are asked about there.
    IntrospectionAt(String),
    /// Its metadata is another issuer's.
    Issuer(String),
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            url: url.clone(),
            keys: Mutex::new(vec![key("one")]),
            manner: Mutex::new(Manner::Good),
            asked: Mutex::default(),
            opaque: Mutex::default(),
            saying: Mutex::new(Saying::Truly),
            questions: Mutex::default(),
        });
        let app = Router::new()
            .route("/introspect", axum::routing::post(introspect))
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let served = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared, served }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock() = manner;
    }
    /// How often this was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.shared.asked.lock().iter().filter(|asked| *asked == path).count()
    }
    /// Signs with a new key from now on; the old one is published on only if it is to `stay`.
    pub(crate) fn rotate(&self, kid: &str, stay: bool) {
        let mut keys = self.shared.keys.lock();
        if !stay {
            keys.clear();
        }
        keys.insert(0, key(kid));
    }
    pub(crate) fn die(&self) {
        self.served.abort();
    }

    /// Settings for a gateway that takes this provider's tokens.
    pub(crate) fn oauth(&self, enforce_scopes: bool) -> Oauth {
        let source = Source { pause: Duration::from_millis(200), ..Source::of(&self.url) };
        let issuer = Issuer {
            source,
            algorithms: Alg::usual(),
            accept_any_token_type: false,
            audiences: BTreeSet::new(),
            skew: Duration::from_secs(60),
            mapping: Mapping { groups: Some("groups".into()), ..Mapping::default() },
            introspection: None,
        };
        Oauth { public_url: PUBLIC.to_owned(), enforce_scopes, ask: Vec::new(), issuers: vec![issuer] }
    }

    /// The same for one whose opaque tokens are asked about, at its metadata's word.
    pub(crate) fn introspecting(&self) -> Oauth {
        let mut oauth = self.oauth(false);
        oauth.issuers[0].introspection = Some(Introspection {
            endpoint: None,
            client_id: CLIENT.to_owned(),
            secret: CLIENT_SECRET_NAME.parse().unwrap(),
            authentication: ClientAuthentication::Basic,
            cache: Duration::from_secs(30),
        });
        oauth
    }

    /// A new opaque token, about which this is said, with some of the usual claims replaced.
    pub(crate) fn opaque(&self, changed: &Value) -> String {
        let mut random = [0; 24];
        decision::Entropy::fill(&crate::house::Dice, &mut random);
        let token = URL_SAFE_NO_PAD.encode(random);
        self.says_of(&token, changed);
        token
    }
    /// Changes what is said about an opaque token.
    pub(crate) fn says_of(&self, token: &str, changed: &Value) {
        let mut said = self.claims();
        said["active"] = json!(true);
        said["token_type"] = json!("Bearer");
        change(&mut said, changed);
        self.shared.opaque.lock().insert(token.to_owned(), said);
    }
    pub(crate) fn revoke(&self, token: &str) {
        self.shared.opaque.lock().remove(token);
    }
    pub(crate) fn say(&self, saying: Saying) {
        *self.shared.saying.lock() = saying;
    }
    /// The tokens it was asked about so far.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.shared.questions.lock().clone()
    }

    /// The claims of a good token for `/mcp`.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": format!("{PUBLIC}/mcp"), "sub": "alice", "client_id": "claude",
            "groups": ["support"], "scope": "openid", "iat": now(), "exp": now() + 300,
        })
    }
    /// A token that says this, with some of the usual claims replaced. `null` takes one away.
    pub(crate) fn token(&self, changed: &Value) -> String {
        let mut claims = self.claims();
        change(&mut claims, changed);
        self.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.kid() }), &claims)
    }
    pub(crate) fn kid(&self) -> String {
        self.shared.keys.lock()[0].0.clone()
    }
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let keys = self.shared.keys.lock();
        let signature = keys[0].1.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn change(claims: &mut Value, changed: &Value) {
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
}

fn key(kid: &str) -> (String, EcdsaKeyPair) {
    (kid.to_owned(), EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

pub(crate) fn now() -> u64 {
    decision::Clock::now(&crate::house::WallClock).0 / 1_000_000
}

/// As RFC 7662 has it: the client's own credential first, then one token.
async fn introspect(
    State(shared): State<Arc<Shared>>,
    headers: http::HeaderMap,
    axum::Form(form): axum::Form<BTreeMap<String, String>>,
) -> axum::response::Response {
    shared.asked.lock().push("/introspect".to_owned());
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encode(CLIENT), encode(CLIENT_SECRET));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both));
    let post = form.get("client_id").map(String::as_str) == Some(CLIENT)
        && form.get("client_secret").map(String::as_str) == Some(CLIENT_SECRET);
    if !post && headers.get("authorization").is_none_or(|given| given.as_bytes() != basic.as_bytes()) {
        return (http::StatusCode::UNAUTHORIZED, axum::Json(json!({ "error": "invalid_client" })))
            .into_response();
    }
    let token = &form["token"];
    assert_eq!(form["token_type_hint"], "access_token");
    shared.questions.lock().push(token.clone());
    let saying = shared.saying.lock().clone();
    match saying {
        Saying::Truly => {}
        Saying::Slowly(time) => tokio::time::sleep(time).await,
        Saying::Raw(status, kind, body) => {
            let status = http::StatusCode::from_u16(status).unwrap();
            return (status, [(http::header::CONTENT_TYPE, kind)], body).into_response();
        }
        Saying::RedirectTo(place) => {
            return (http::StatusCode::FOUND, [(http::header::LOCATION, place)]).into_response();
        }
    }
    let said = shared.opaque.lock().get(token).cloned();
    axum::Json(said.unwrap_or_else(|| json!({ "active": false }))).into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> axum::response::Response {
    let path = uri.path().to_owned();
    shared.asked.lock().push(path.clone());
    let manner = shared.manner.lock().clone();
    match (path.as_str(), &manner) {
        ("/.well-known/openid-configuration", _) => {
            let issuer = if let Manner::Issuer(other) = &manner { other } else { &shared.url };
            let jwks = format!("{}/jwks", shared.url);
            let jwks = if let Manner::KeysAt(other) = &manner { other } else { &jwks };
            let endpoint = if let Manner::IntrospectionAt(other) = &manner {
                other.clone()
            } else {
                format!("{}/introspect", shared.url)
            };
            axum::Json(json!({ "issuer": issuer, "jwks_uri": jwks, "introspection_endpoint": endpoint }))
                .into_response()
        }
        ("/jwks", Manner::Failing) => http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
        ("/jwks", Manner::Huge(bytes)) => " ".repeat(*bytes).into_response(),
        ("/jwks", Manner::RedirectTo(place)) => {
            (http::StatusCode::FOUND, [(http::header::LOCATION, place.clone())]).into_response()
        }
        ("/jwks", _) => {
            if let Manner::Slow(time) = manner {
                tokio::time::sleep(time).await;
            }
            let keys: Vec<_> = shared.keys.lock().iter().map(published).collect();
            axum::Json(json!({ "keys": keys })).into_response()
        }
        _ => http::StatusCode::NOT_FOUND.into_response(),
    }
}

fn published((kid, pair): &(String, EcdsaKeyPair)) -> Value {
    let point = pair.public_key().as_ref();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": part(&point[1..33]), "y": part(&point[33..]) })
}
