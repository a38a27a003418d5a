//! The registry of servers, for clients that look for some: the reads of the official registry's API (`/v0.1`, its
//! OpenAPI description of 2025-12-01). Every entry leads through this gateway, and whoever asks is shown those of which
//! they may see something.

mod document;
mod query;

use crate::authenticate;
use crate::exchange::{Arrival, Entrance, Inbound, Outlet, Party, Presented};
use crate::gate::{Gate, Live};
use crate::host_side;
use crate::listen::http::{Annex, Body, Visit, json};
use crate::reply::{self, Doors};
use catalog::record::Record;
use decision::{Code, Principal, Refusal, ServerName, Timestamp, Transport};
use document::{Document, Seen};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use query::{Place, Wanted};
use serde_json::{Value, json as object};
use std::{collections::BTreeMap, sync::Arc};
use store::Server;

/// Where it is.
const PREFIX: &str = "/registry";

/// The registry as the listener takes it.
pub fn annex(gate: &Arc<Gate>) -> Annex {
    let gate = Arc::clone(gate);
    Annex {
        prefix: PREFIX,
        answer: Arc::new(move |request, visit| {
            let (gate, (parts, _)) = (Arc::clone(&gate), request.into_parts());
            Box::pin(async move {
                let live = gate.live();
                let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
                let answer = match parts.method {
                    Method::GET | Method::HEAD => {
                        read(&gate, &live, &path, parts.uri.query().unwrap_or_default(), visit).await
                    }
                    Method::OPTIONS => Answer::of(StatusCode::NO_CONTENT, Value::Null),
                    _ => Answer::of(StatusCode::NOT_IMPLEMENTED, said(READ_ONLY)),
                };
                answer.response()
            })
        }),
    }
}

const READ_ONLY: &str =
    "this registry is read here only; its operator adds servers to the configuration and reviews them";

/// Status and body, and what tells how to sign in.
struct Answer {
    status: StatusCode,
    body: Value,
    challenge: Option<String>,
}

impl Answer {
    fn of(status: StatusCode, body: Value) -> Self {
        Self { status, body, challenge: None }
    }

    /// With the headers that pages of other origins need: clients in browsers read registries too.
    fn response(self) -> Response<Body> {
        let text = if self.body.is_null() { String::new() } else { self.body.to_string() };
        let mut response = json(self.status, text);
        let headers = response.headers_mut();
        let mut say = |name: HeaderName, value| drop(headers.insert(name, HeaderValue::from_static(value)));
        say(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        say(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, OPTIONS");
        say(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type");
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn said(message: &str) -> Value {
    object!({ "error": message })
}

/// Who reads.
enum Reader {
    /// Somebody who is known, and sees what they may.
    Known(Arc<Principal>),
    /// Anybody, where the operator lets anybody read which servers there are.
    Anybody,
}

async fn read(gate: &Arc<Gate>, live: &Arc<Live>, path: &str, query: &str, visit: Visit) -> Answer {
    let reader = match reader(gate, live, visit).await {
        Ok(reader) => reader,
        Err(refusal) => return unknown_reader(live, &refusal),
    };
    let namespace = &live.settings.registry.namespace;
    let answer = match query::place(path, namespace) {
        Some(Place::Servers) => match Wanted::read(query, namespace) {
            Ok(wanted) => list(gate, live, &reader, &wanted).await,
            Err(wrong) => return Answer::of(StatusCode::BAD_REQUEST, said(&wrong)),
        },
        Some(Place::Versions(server)) => one(gate, live, &reader, &server, None)
            .await
            .map(|found| found.map(|one| object!({ "servers": [one], "metadata": { "count": 1 } }))),
        Some(Place::Version(server, version)) => one(gate, live, &reader, &server, Some(&version)).await,
        None => Ok(None),
    };
    match answer {
        Ok(Some(body)) => Answer::of(StatusCode::OK, body),
        Ok(None) => Answer::of(StatusCode::NOT_FOUND, said("Server not found")),
        Err(error) => {
            tracing::error!(%error, "the registry cannot be read");
            Answer::of(StatusCode::SERVICE_UNAVAILABLE, said("the registry cannot be read just now"))
        }
    }
}

async fn reader(gate: &Arc<Gate>, live: &Arc<Live>, visit: Visit) -> Result<Reader, Refusal> {
    let nobody = matches!(visit.presented, Presented::Nothing) && visit.facts.certificate.is_none();
    if nobody && live.settings.registry.public {
        return Ok(Reader::Anybody);
    }
    // pages of every origin may read this, so that a peer is on this machine says nothing about who asks for such a page
    if nobody && visit.facts.foreign_origin.is_some() {
        return Err(Refusal::new(Code::CredentialMissing, "no bearer token"));
    }
    let arrival = Arrival {
        inbound: Ok(Inbound::EndSession),
        party: Party::Host,
        transport: Transport::Http,
        entrance: Entrance::Federated,
        presented: visit.presented,
        facts: visit.facts,
        session: None,
        outlet: Outlet::new(1).0,
        cancel: tokio_util::sync::CancellationToken::new(),
        round: None,
        credential: None,
        found: Arc::default(),
        walking: std::sync::OnceLock::new(),
    };
    authenticate::visitor(gate, live, &arrival).await.map(Reader::Known)
}

fn unknown_reader(live: &Live, refusal: &Refusal) -> Answer {
    let doors = Doors { oauth: live.settings.oauth.as_deref(), entrance: &Entrance::Federated };
    let challenge = reply::challenge(refusal, doors);
    let status = match challenge {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::SERVICE_UNAVAILABLE,
    };
    Answer { status, body: said(refusal.code.meaning()), challenge }
}

/// What the store knows of servers, for their entries.
struct Known {
    servers: BTreeMap<ServerName, Server>,
    records: BTreeMap<ServerName, Record>,
    changed: BTreeMap<ServerName, Timestamp>,
}

impl Known {
    async fn read(gate: &Gate, live: &Live) -> Result<Self, store::StoreError> {
        let scope = live.settings.scope();
        let servers = gate.store.list_servers(&scope).await?;
        let servers = servers.into_iter().map(|server| (server.name.clone(), server)).collect();
        let records = gate.store.records(&scope).await?;
        Ok(Self { servers, records, changed: gate.store.accepted_last(&scope).await? })
    }
}

impl Reader {
    /// The entry of a server, if there is one for this reader.
    fn entry(&self, live: &Live, known: &Known, name: &ServerName) -> Option<Document> {
        let catalogue = live.catalogue.server(name)?;
        let settings = live.settings.servers.get(name)?;
        if !live.registry.is_open(name) {
            return None;
        }
        let principal = match self {
            Self::Known(principal) if !host_side::sees_any(live, principal, None, name) => return None,
            Self::Known(principal) => Some(&**principal),
            Self::Anybody => None,
        };
        let server = known.servers.get(name)?;
        let published = server.pinned_at?;
        let record = known.records.get(name);
        let accepted = known.changed.get(name).copied();
        // what its record says is in the entry too: its state, its purpose, who answers for it
        let recorded = record.map(|record| record.changed_at);
        let changed = [accepted, recorded].into_iter().flatten().fold(published, Timestamp::max);
        let seen = Seen { server, record, published, changed };
        Some(Document::of(live, (name, settings, catalogue), &seen, principal))
    }
}

async fn list(
    gate: &Gate,
    live: &Live,
    reader: &Reader,
    wanted: &Wanted,
) -> Result<Option<Value>, store::StoreError> {
    let known = Known::read(gate, live).await?;
    let after = |name: &ServerName| {
        let full = document::full_name(live, name);
        wanted.cursor.as_ref().is_none_or(|cursor| full.as_str() > cursor.as_str())
    };
    let names = live.settings.servers.keys().filter(|name| after(name));
    let mut entries =
        names.filter_map(|name| reader.entry(live, &known, name)).filter(|one| wanted.takes(one));
    let page: Vec<Document> = entries.by_ref().take(wanted.limit).collect();
    let more = entries.next().is_some();
    let mut metadata = object!({ "count": page.len() });
    if let (true, Some(last), Value::Object(members)) = (more, page.last(), &mut metadata) {
        members.insert("nextCursor".to_owned(), object!(wanted.cursor_behind(&last.name)));
    }
    let servers: Vec<Value> = page.into_iter().map(Document::into_value).collect();
    Ok(Some(object!({ "servers": servers, "metadata": metadata })))
}

async fn one(
    gate: &Gate,
    live: &Live,
    reader: &Reader,
    name: &ServerName,
    version: Option<&str>,
) -> Result<Option<Value>, store::StoreError> {
    let known = Known::read(gate, live).await?;
    let entry = reader.entry(live, &known, name);
    let fits = |one: &Document| version.is_none_or(|wanted| wanted == "latest" || wanted == one.version);
    Ok(entry.filter(fits).map(Document::into_value))
}
