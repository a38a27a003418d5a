//! A refusal or a result, as MCP and HTTP. The one place that knows what a Host is told.

use crate::exchange::{Arrival, Entrance, Party, Reply, ReplyBody};
use crate::gate::Live;
use crate::listen::streams::Stream;
use crate::permission::SCOPE;
use crate::record::Leg;
use crate::rounds::Asks;
use crate::session::Session;
use bytes::Bytes;
use decision::{CallId, Class, Code, Era, Refusal, Transport};
use http::StatusCode;
use identity::{Challenge, Fault, Scope, oauth::Oauth};
use serde_json::json;
use std::sync::Arc;
use wire::rpc;

/// Where programs find the approval that a refusal is about.
const APPROVAL: &str = "callgate/approval";

/// What the path answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The JSON-RPC response, ready to send.
    Message(Bytes),
    /// The upstream's own JSON-RPC error, ready to send, and its code.
    Failed(Bytes, Option<i64>),
    /// Questions of a modern server that the legacy asker has to be put first.
    Asks(Box<Asks>),
    /// A session was begun with this response.
    Begun(Bytes, Arc<Session>),
    /// A notification, or an answer to a question, was taken.
    Accepted,
    /// The session that was asked to end is over.
    Ended,
    /// What a `GET` reads.
    Stream(Stream),
    /// A subscription, fed through the outlet once the sender says that it is recorded.
    Subscribed(tokio::sync::oneshot::Sender<()>),
}

/// An answer as it may be given: those of a batch are one message, and no larger together than one may be.
pub(crate) fn within(arrival: &Arrival, live: &Live, answer: Answer) -> Result<Answer, Refusal> {
    let (Answer::Message(bytes) | Answer::Failed(bytes, _), Some(batch)) = (&answer, &arrival.facts.batch)
    else {
        return Ok(answer);
    };
    if batch.takes(bytes.len(), live.settings.limits.result_bytes_max) {
        return Ok(answer);
    }
    Err(Refusal::new(Code::BatchAnswersTooLarge, format!("{} bytes more", bytes.len())))
}

/// What must be known of the message to answer it, when the message itself is gone.
#[derive(Debug)]
pub(crate) struct Facts {
    call: CallId,
    id: Option<Vec<u8>>,
    era: Option<Era>,
    transport: Transport,
    method: Option<String>,
    is_message: bool,
    in_batch: bool,
    /// The asker is a server, which is told that its question was refused and no more.
    to_server: bool,
    item: Option<String>,
    /// The revision the request named in its header, whatever it is.
    revision: Option<String>,
    /// The approval that it is about.
    approval: Option<serde_json::Value>,
    /// It was sent to its server.
    left: bool,
}

impl Facts {
    pub(crate) fn of(arrival: &Arrival, leg: &Leg) -> Self {
        Self {
            call: leg.call_id(),
            id: leg.heard.id.clone(),
            era: leg.channel.era,
            transport: arrival.transport,
            method: leg.method.clone(),
            is_message: leg.heard.is_message,
            in_batch: arrival.facts.batch.is_some(),
            to_server: matches!(arrival.party, Party::Server(_)),
            item: leg.heard.item.clone(),
            revision: arrival.facts.revision.clone(),
            approval: leg.about.clone(),
            left: leg.dispatched,
        }
    }
    /// The asker's own id.
    pub(crate) fn id(&self) -> Vec<u8> {
        self.id.clone().unwrap_or_default()
    }
    fn is_tool_call(&self) -> bool {
        self.method.as_deref() == Some("tools/call")
    }
}

/// What a challenge says of where to get a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors<'a> {
    pub(crate) oauth: Option<&'a Oauth>,
    pub(crate) entrance: &'a Entrance,
}

/// The reply to a message whose record is closed.
pub(crate) fn reply(facts: &Facts, outcome: Result<Answer, Refusal>, doors: Doors<'_>) -> Reply {
    match outcome {
        Ok(Answer::Message(bytes)) => Reply::message(bytes),
        Ok(Answer::Failed(bytes, code)) => Reply::with(failed_status(facts, code), ReplyBody::Message(bytes)),
        Ok(Answer::Begun(bytes, session)) => Reply { session: Some(session), ..Reply::message(bytes) },
        // asked before anybody replies
        Ok(Answer::Asks(_)) => broken(),
        Ok(Answer::Accepted) => Reply::accepted(),
        // official clients warn of any other success
        Ok(Answer::Ended) => Reply::with(StatusCode::NO_CONTENT, ReplyBody::Nothing),
        Ok(Answer::Stream(stream)) => Reply::with(StatusCode::OK, ReplyBody::Stream(stream)),
        Ok(Answer::Subscribed(recorded)) => {
            // nobody waiting means that the subscription is over already
            let _ = recorded.send(());
            Reply::with(StatusCode::OK, ReplyBody::Subscribed)
        }
        Err(refusal) => refused(facts, &refusal, doors),
    }
}

/// 2026-07-28 gives some of a server's errors an HTTP status of their own (*Streamable HTTP*, errors; *capability negotiation*).
fn failed_status(facts: &Facts, code: Option<i64>) -> StatusCode {
    if facts.era != Some(Era::Modern) {
        return StatusCode::OK;
    }
    match code {
        Some(rpc::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            rpc::HEADER_MISMATCH
            | rpc::MISSING_REQUIRED_CLIENT_CAPABILITY
            | rpc::UNSUPPORTED_PROTOCOL_VERSION,
        ) => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// The reply when not even a record could be made: the gateway itself broke.
pub(crate) fn broken() -> Reply {
    let body = rpc::error(None, rpc::INTERNAL_ERROR, "the gateway could not complete the call", None);
    Reply::with(StatusCode::INTERNAL_SERVER_ERROR, ReplyBody::Message(body))
}

fn refused(facts: &Facts, refusal: &Refusal, doors: Doors<'_>) -> Reply {
    if refusal.code == Code::Cancelled || (facts.is_message && facts.transport == Transport::Stdio) {
        return Reply::accepted();
    }
    // no code of the legacy era says that a Host cannot be asked
    let unasked = refusal.code == Code::HostIncapable && facts.era == Some(Era::Legacy);
    if facts.is_tool_call() && facts.id.is_some() && (for_the_model(refusal.code) || unasked) {
        return Reply::message(tool_result(facts, refusal));
    }
    let told = told(refusal.code, facts);
    if facts.to_server {
        let body = rpc::error(facts.id.as_deref(), told.rpc, "the question was refused", None);
        return Reply::with(told.status, ReplyBody::Message(body));
    }
    let sentence = refusal.told.as_deref().filter(|_| !told.hides).unwrap_or(&told.sentence);
    let data = (!told.hides).then(|| data(facts, refusal).to_string().into_bytes());
    let body = rpc::error(facts.id.as_deref(), told.rpc, sentence, data.as_deref());
    // among the answers of a batch, one without an id would answer nothing
    let untold = facts.in_batch && facts.is_message;
    let body = if untold { ReplyBody::Nothing } else { ReplyBody::Message(body) };
    let mut reply = Reply::with(told.status, body);
    reply.challenge = challenge(refusal, doors);
    reply
}

/// Refusals that all sound as if there were no such thing.
pub(crate) fn is_hidden(code: Code) -> bool {
    matches!(code, Code::NotPermitted | Code::ItemUnknown | Code::ItemWithdrawn)
}

/// Refusals of a tool call that the model should read, as 2025-11-25 (SEP-1303) has it for arguments:
/// an `isError` result. Unknown tools and broken messages stay protocol errors.
fn for_the_model(code: Code) -> bool {
    let hidden = is_hidden(code);
    let about_arguments = matches!(
        code,
        Code::ArgumentsInvalid | Code::SchemaUnenforceable | Code::DraftUnknown | Code::ApprovalTooLong
    );
    let about_twins = matches!(
        code,
        Code::IdempotencyKeyMalformed
            | Code::IdempotencyKeyReused
            | Code::IdempotencyInProgress
            | Code::IdempotencyOutcomeUnknown
            | Code::IdempotencyAnswerUnkept
    );
    let transport = matches!(
        code,
        Code::Draining
            | Code::Overloaded
            | Code::LedgerUnavailable
            | Code::DatabaseReplaced
            | Code::DatabaseUnavailable
            | Code::LogUnclaimed
            | Code::PathIncomplete
            | Code::ProviderUnreachable
            | Code::ProviderRefused
            | Code::ProviderBusy
    );
    // what is asked of a server was found and permitted before
    let was_asked = code == Code::EraMismatch;
    // the client has to read this one: it is the client that can ask for more
    let for_the_client = code == Code::ScopeInsufficient;
    match code.class() {
        Class::PolicyDenial if for_the_client => false,
        Class::PolicyDenial | Class::ApprovalNeeded | Class::Outage | Class::ServerError => !hidden,
        Class::Validation => about_arguments || about_twins || was_asked,
        Class::Gateway => !transport,
        Class::Authentication | Class::Cancelled => false,
    }
}

fn data(facts: &Facts, refusal: &Refusal) -> serde_json::Value {
    let mut data = json!({
        "code": refusal.code.as_str(),
        "class": refusal.code.class(),
        "decision": facts.call.to_string(),
    });
    if let serde_json::Value::Object(members) = &mut data {
        if refusal.code == Code::ScopeInsufficient {
            let scopes = refusal.basis.iter().filter_map(|one| one.strip_prefix(SCOPE));
            members.insert("scopes".to_owned(), scopes.collect());
        } else if refusal.code.class() == Class::PolicyDenial || refusal.code.class() == Class::ApprovalNeeded
        {
            members.insert("rules".to_owned(), json!(refusal.basis));
        }
        if refusal.code == Code::RevisionUnsupported {
            let modern = wire::Revision::ALL.into_iter().filter(|revision| revision.is_modern());
            members.insert("supported".to_owned(), modern.map(wire::Revision::as_str).collect());
            members.extend(facts.revision.as_deref().map(|named| ("requested".to_owned(), json!(named))));
        }
        if refusal.code == Code::CapabilityUndeclared {
            let extensions = json!({ "extensions": { wire::bridge::capabilities::TASKS: {} } });
            members.insert("requiredCapabilities".to_owned(), extensions);
        }
        if let Some(approval) = facts.approval.as_ref().filter(|_| !facts.is_tool_call()) {
            members.insert(APPROVAL.to_owned(), approval.clone());
        }
        if let Some(remedy) = &refusal.remedy {
            members.insert("remedy".to_owned(), json!(remedy.text));
            if !remedy.ask.is_empty() {
                members.insert("ask".to_owned(), json!(remedy.ask));
            }
        }
    }
    data
}

fn tool_result(facts: &Facts, refusal: &Refusal) -> Bytes {
    let told = told(refusal.code, facts);
    let sentence = refusal.told.as_deref().unwrap_or(&told.sentence);
    let mut text = format!("{}: {sentence}", verb(refusal.code, facts.left));
    if let Some(remedy) = &refusal.remedy {
        // what a code says of itself ends in a full stop
        text.truncate(text.trim_end_matches('.').len());
        text.push_str(&format!(". What helps: {}", remedy.text));
    }
    text.push_str(&format!(" [{}, {}]", refusal.code.as_str(), facts.call));
    let mut meta = json!({ "callgate/refusal": data(facts, refusal) });
    if let (Some(approval), serde_json::Value::Object(members)) = (&facts.approval, &mut meta) {
        members.insert(APPROVAL.to_owned(), approval.clone());
    }
    let mut result = json!({
        "content": [{ "type": "text", "text": text }],
        "isError": true,
        "_meta": meta,
    });
    if let (Some(Era::Modern), serde_json::Value::Object(members)) = (facts.era, &mut result) {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    rpc::result(facts.id.as_deref().unwrap_or(b"0"), result.to_string().as_bytes())
}

/// What became of the call. Who reads that a server could not be reached tries again, so that is never said of one that left.
fn verb(code: Code, left: bool) -> &'static str {
    if matches!(code, Code::OutcomeUnknown | Code::AnswerUnkept) {
        return "Not sent again";
    }
    match code.class() {
        Class::Outage if left && code == Code::UpstreamBusy => "The server did not take the call",
        Class::Outage if left => "The call was sent, and there is no answer",
        Class::Gateway if left => "The call was sent, and the gateway cannot give its answer",
        Class::PolicyDenial | Class::Authentication => "Refused by policy",
        Class::ApprovalNeeded => "Held",
        Class::Validation => "Refused",
        Class::Outage => "The server could not be reached",
        Class::ServerError => "The server's answer was withheld",
        Class::Gateway => "The gateway could not complete the call",
        Class::Cancelled => "Cancelled",
    }
}

/// RFC 6750 §3.1: no error code where no bearer token came, so that a client asks for one first. Where tokens of
/// providers are taken, with what RFC 9728 and SEP-835 let a client find its way by.
pub(crate) fn challenge(refusal: &Refusal, doors: Doors<'_>) -> Option<String> {
    let code = refusal.code;
    let mut challenge = Challenge::bearer();
    if let Some(oauth) = doors.oauth {
        challenge = challenge.resource_metadata(&doors.entrance.resource().metadata_url(oauth));
    }
    if code == Code::ScopeInsufficient {
        let scopes = refusal.basis.iter().filter_map(|one| Scope::new(one.strip_prefix(SCOPE)?).ok());
        return Some(challenge.fault(Fault::InsufficientScope, code.meaning()).scopes(scopes).to_string());
    }
    if code.class() != Class::Authentication {
        return None;
    }
    if let Some(oauth) = doors.oauth {
        challenge = challenge.scopes(doors.entrance.resource().first_scopes(oauth));
    }
    let fault = if code == Code::CredentialInUrl { Fault::InvalidRequest } else { Fault::InvalidToken };
    let told =
        if code == Code::CredentialMissing { challenge } else { challenge.fault(fault, code.meaning()) };
    Some(told.to_string())
}

/// What the Host is told for a code, when the stage that refused said nothing better.
struct Told {
    status: StatusCode,
    rpc: i64,
    sentence: String,
    /// Nothing beyond the sentence may be told: that the item exists is itself a secret.
    hides: bool,
}

/// JSON-RPC codes of our own, from the range JSON-RPC leaves to implementations; MCP reserves -32020 to -32099.
const UNAUTHENTICATED: i64 = -32001;
const DENIED: i64 = -32003;
pub(crate) const APPROVAL_NEEDED: i64 = -32004;
const OUTAGE: i64 = -32005;
const SERVER_ERROR: i64 = -32006;
const SESSION: i64 = -32007;
const UNAVAILABLE: i64 = -32008;

/// Deliberately less than what the record says: a caller who may not use an item is told the same
/// as one who asked for an item that is not there.
fn told(code: Code, facts: &Facts) -> Told {
    let modern = facts.era == Some(Era::Modern);
    let plain = |status, rpc| Told { status, rpc, sentence: code.meaning().to_owned(), hides: false };
    let bad = |rpc| plain(StatusCode::BAD_REQUEST, rpc);
    let ok = |rpc| plain(StatusCode::OK, rpc);
    let who = || plain(StatusCode::UNAUTHORIZED, UNAUTHENTICATED);
    let unavailable = || plain(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE);
    match code {
        Code::HostNotAllowed | Code::OriginNotAllowed => plain(StatusCode::FORBIDDEN, rpc::INVALID_REQUEST),
        Code::MessageTooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, rpc::INVALID_REQUEST),
        Code::MessageTooSlow => plain(StatusCode::REQUEST_TIMEOUT, rpc::INVALID_REQUEST),
        Code::MediaTypeUnsupported => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, rpc::INVALID_REQUEST),
        Code::HttpMethodUnsupported => plain(StatusCode::METHOD_NOT_ALLOWED, rpc::INVALID_REQUEST),
        Code::PathUnknown => plain(StatusCode::NOT_FOUND, rpc::INVALID_REQUEST),
        Code::JsonMalformed | Code::JsonDuplicateKey | Code::JsonTooDeep | Code::JsonLoneSurrogate => {
            bad(rpc::PARSE_ERROR)
        }
        Code::RevisionUnsupported if modern || facts.era.is_none() => bad(rpc::UNSUPPORTED_PROTOCOL_VERSION),
        Code::HeaderMismatch => bad(rpc::HEADER_MISMATCH),
        Code::CapabilityUndeclared => bad(rpc::MISSING_REQUIRED_CLIENT_CAPABILITY),
        Code::MetaInvalid => bad(rpc::INVALID_PARAMS),
        Code::MethodUnsupported if modern => plain(StatusCode::NOT_FOUND, rpc::METHOD_NOT_FOUND),
        Code::MethodUnsupported => ok(rpc::METHOD_NOT_FOUND),
        Code::SessionUnknown => plain(StatusCode::NOT_FOUND, SESSION),
        Code::SessionRequired => bad(SESSION),
        Code::MessageIncomplete | Code::EnvelopeInvalid | Code::BatchUnsupported => bad(rpc::INVALID_REQUEST),
        Code::BatchInvalid | Code::BatchTooLarge | Code::RevisionUnsupported => bad(rpc::INVALID_REQUEST),
        Code::EventUnknown | Code::IdInUse => bad(rpc::INVALID_REQUEST),
        Code::AnswerUnexpected | Code::AnswerQuotesSecret => bad(rpc::INVALID_REQUEST),
        Code::CredentialMissing | Code::CredentialMalformed | Code::CredentialInUrl => who(),
        Code::CredentialUnknown | Code::CredentialExpired | Code::CredentialRevoked => who(),
        Code::AgentDisabled | Code::CredentialEarly | Code::IssuerUnknown => who(),
        Code::CertificateUnknown | Code::CertificateInvalid | Code::CertificateLapsed => who(),
        Code::TokenHeaderRefused | Code::TokenKeyUnknown | Code::TokenSignatureInvalid => who(),
        Code::TokenAudienceMismatch | Code::TokenUnproven | Code::TokenInactive => who(),
        Code::ClaimMissing | Code::ClaimUnusable => who(),
        Code::ScopeInsufficient => plain(StatusCode::FORBIDDEN, DENIED),
        Code::ItemUnknown | Code::ItemWithdrawn | Code::NotPermitted => hidden(facts),
        Code::ItemAmbiguous | Code::ArgumentsInvalid | Code::StateUnknown => ok(rpc::INVALID_PARAMS),
        Code::DraftUnknown | Code::BudgetUncounted | Code::IdempotencyAnswerUnkept => ok(rpc::INVALID_PARAMS),
        Code::IdempotencyKeyMalformed | Code::IdempotencyKeyReused => ok(rpc::INVALID_PARAMS),
        Code::IdempotencyInProgress | Code::IdempotencyOutcomeUnknown => ok(rpc::INVALID_PARAMS),
        Code::ApprovalTooLong => ok(rpc::INVALID_PARAMS),
        Code::RuleDenied | Code::UserRequired | Code::BudgetExceeded => ok(DENIED),
        Code::ServerUnapproved | Code::ServerHeldToReads | Code::ServerReviewOverdue => ok(DENIED),
        Code::ServerSuspended | Code::ServerRetired => ok(DENIED),
        Code::ApprovalRequired | Code::ApprovalDenied | Code::ApprovalCancelled => ok(APPROVAL_NEEDED),
        Code::ApprovalVoid | Code::ApprovalSpent => ok(APPROVAL_NEEDED),
        Code::UpstreamUnreachable | Code::UpstreamTimeout | Code::UpstreamLost => ok(OUTAGE),
        Code::UpstreamBusy | Code::HostUnreachable | Code::HostIncapable => ok(OUTAGE),
        Code::EraMismatch | Code::SecretBackendUnavailable => ok(OUTAGE),
        Code::UpstreamUnauthorized | Code::UpstreamNonsense | Code::UpstreamError => ok(SERVER_ERROR),
        Code::ResultTooLarge | Code::BatchAnswersTooLarge | Code::ResultInvalid => ok(SERVER_ERROR),
        Code::Draining | Code::Overloaded => unavailable(),
        Code::LedgerUnavailable | Code::LogUnclaimed => unavailable(),
        Code::DatabaseReplaced | Code::DatabaseUnavailable => unavailable(),
        Code::ApprovalUnavailable | Code::BudgetUnavailable | Code::IdempotencyUnavailable => unavailable(),
        Code::ProviderUnreachable | Code::ProviderRefused | Code::ProviderBusy => unavailable(),
        Code::SecretMissing | Code::SecretUnreadable | Code::SecretUnusable => ok(rpc::INTERNAL_ERROR),
        Code::RuleFailed | Code::SchemaUnenforceable | Code::PathIncomplete => ok(rpc::INTERNAL_ERROR),
        Code::SecretBackendRefused | Code::StageFailed | Code::AnswerUnkept => ok(rpc::INTERNAL_ERROR),
        Code::OutcomeUnknown | Code::OutcomeUnrecorded | Code::Cancelled => ok(rpc::INTERNAL_ERROR),
    }
}

/// The same for what is not there and for what may not be seen.
fn hidden(facts: &Facts) -> Told {
    let is_resource = facts.method.as_deref().is_some_and(|method| method.starts_with("resources/"));
    let legacy_resource = is_resource && facts.era != Some(Era::Modern);
    Told {
        status: StatusCode::OK,
        rpc: if legacy_resource { rpc::RESOURCE_NOT_FOUND } else { rpc::INVALID_PARAMS },
        sentence: unknown_item(facts),
        hides: true,
    }
}

fn unknown_item(facts: &Facts) -> String {
    let name = facts.item.as_deref().unwrap_or_default();
    if facts.method.as_deref().is_some_and(|method| method.starts_with("tasks/")) {
        return "Unknown task".to_owned();
    }
    let kind = match facts.method.as_deref() {
        Some("tools/call") => "tool",
        Some("prompts/get") => "prompt",
        Some(method) if method.starts_with("resources/") => "resource",
        Some(_) | None => "item",
    };
    format!("Unknown {kind}: {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::Timestamp;

    #[test]
    fn what_was_asked_of_a_server_is_not_told_as_if_it_were_not_there() {
        let facts = |method: &str| Facts {
            call: CallId::new(Timestamp(1), [0; 10]),
            id: Some(b"7".to_vec()),
            era: Some(Era::Modern),
            transport: Transport::Http,
            method: Some(method.to_owned()),
            is_message: false,
            in_batch: false,
            to_server: false,
            item: Some("crm__refund".to_owned()),
            revision: None,
            approval: None,
            left: false,
        };
        for method in ["tools/call", "prompts/get"] {
            for code in [Code::EraMismatch, Code::ItemUnknown] {
                let doors = Doors { oauth: None, entrance: &Entrance::Federated };
                let reply = reply(&facts(method), Err(Refusal::new(code, "HTTP 400")), doors);
                let ReplyBody::Message(told) = reply.body else { panic!("{method}") };
                let told = String::from_utf8_lossy(&told).into_owned();
                let shown = code == Code::EraMismatch;
                assert_eq!(told.contains("era-mismatch"), shown, "{told}");
                assert_eq!(told.contains("Unknown"), !shown, "{told}");
            }
        }
    }
}
