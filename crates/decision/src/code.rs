//! Every reason the gateway can give, and what a refusal carries.

use crate::Basis;
use serde::{Deserialize, Serialize};

/// Whose no it is, so that a user's denial, a policy's, a bad argument, an outage and
/// a broken server can be told apart (requirement L11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The asker is not known, or their credential is not good.
    Authentication,
    /// A rule said no, or none said yes.
    PolicyDenial,
    /// A person has to say yes first, or said no.
    ApprovalNeeded,
    /// The message or its arguments are not acceptable.
    Validation,
    /// The upstream could not be reached or did not answer.
    Outage,
    /// The upstream answered, but wrongly.
    ServerError,
    /// The gateway itself cannot do its work and therefore refuses.
    Gateway,
    /// The asker gave up.
    Cancelled,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal, $class:ident;)+) => {
        /// A stable reason code: logged, reported, shown to operators, never renamed, never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $code,)+
        }

        impl Code {
            /// All codes, in the order of the path.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name),+ }
            }
            pub fn class(self) -> Class {
                match self { $(Self::$code => Class::$class),+ }
            }
            /// What it means and who can do what about it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+).trim_ascii_start()),+ }
            }
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == name)
            }
        }
    };
}

codes! {
    /// The `Host` header names another host. Use the address the gateway listens on, or add the name to `allowed-hosts`.
    HostNotAllowed = "host-not-allowed", Validation;
    /// The `Origin` header names a page that may not talk to this gateway. Add it to `allowed-origins` if it should.
    OriginNotAllowed = "origin-not-allowed", Validation;
    /// The body is larger than `max-message-bytes`.
    MessageTooLarge = "message-too-large", Validation;
    /// The body did not arrive in time. Send it faster, or raise `read-timeout`.
    MessageTooSlow = "message-too-slow", Validation;
    /// The connection ended before the whole message had arrived.
    MessageIncomplete = "message-incomplete", Validation;
    /// The body is not JSON as RFC 8259 has it.
    JsonMalformed = "json-malformed", Validation;
    /// An object has the same key twice; peers disagree which one counts, so neither does.
    JsonDuplicateKey = "json-duplicate-key", Validation;
    /// The JSON nests deeper than the limit.
    JsonTooDeep = "json-too-deep", Validation;
    /// A string holds half a surrogate pair, which not every peer can read.
    JsonLoneSurrogate = "json-lone-surrogate", Validation;
    /// The JSON is not one JSON-RPC 2.0 request, notification or response.
    EnvelopeInvalid = "envelope-invalid", Validation;
    /// A JSON-RPC batch came in a revision that has none; only 2025-03-26 has. Send the messages one by one.
    BatchUnsupported = "batch-unsupported", Validation;
    /// The batch is empty, or holds another batch, `initialize`, or two messages of one id.
    BatchInvalid = "batch-invalid", Validation;
    /// The batch has more messages than 64. Send several.
    BatchTooLarge = "batch-too-large", Validation;
    /// The `Content-Type` or `Accept` header does not fit MCP.
    MediaTypeUnsupported = "media-type-unsupported", Validation;
    /// This address does not take this HTTP method.
    HttpMethodUnsupported = "http-method-unsupported", Validation;
    /// There is nothing at this path. MCP is spoken at `/mcp` and `/s/{server}/mcp`.
    PathUnknown = "path-unknown", Validation;
    /// The protocol revision is not one this gateway speaks.
    RevisionUnsupported = "revision-unsupported", Validation;
    /// A required header or `_meta` field of the protocol is missing or contradicts the body.
    HeaderMismatch = "header-mismatch", Validation;
    /// A field of `_meta` has the wrong form, or one that protocol revision 2026-07-28 requires is missing.
    MetaInvalid = "meta-invalid", Validation;
    /// The method is not one the gateway carries for this revision and direction.
    MethodUnsupported = "method-unsupported", Validation;
    /// The session is unknown, expired, or another principal's. Initialize again.
    SessionUnknown = "session-unknown", Validation;
    /// The message needs a session that was initialized first.
    SessionRequired = "session-required", Validation;
    /// The event id is of another session or principal, or of a stream that is not kept any more. Open a stream without it.
    EventUnknown = "event-unknown", Validation;
    /// A request with this id is already in flight on this session.
    IdInUse = "id-in-use", Validation;
    /// The answer belongs to no question that is open on this session.
    AnswerUnexpected = "answer-unexpected", Validation;
    /// The answer to a server's question quotes the credential that the server was given. Somebody has learnt it: rotate it, and answer without it.
    AnswerQuotesSecret = "answer-quotes-secret", Validation;
    /// No call of this principal waits for answers under this `requestState`: it is over, another's, or was never given. Call again without it.
    StateUnknown = "state-unknown", Validation;
    /// The method belongs to an extension that the client did not declare in `_meta`. Declare it, or do not use the method.
    CapabilityUndeclared = "capability-undeclared", Validation;
    /// No bearer token came with the request. Send `Authorization: Bearer …`.
    CredentialMissing = "credential-missing", Authentication;
    /// The credential is not well-formed; it may have been cut or mistyped.
    CredentialMalformed = "credential-malformed", Authentication;
    /// The credential is not one this gateway issued.
    CredentialUnknown = "credential-unknown", Authentication;
    /// The credential has expired. Sign in again, or ask an operator for a new token (`callgate agent token`).
    CredentialExpired = "credential-expired", Authentication;
    /// The credential was revoked.
    CredentialRevoked = "credential-revoked", Authentication;
    /// The credential is good, and the agent it names was disabled here. An operator can let it in again: `callgate agent enable`.
    AgentDisabled = "agent-disabled", Authentication;
    /// The client certificate is trusted, but it names none of the `[[workloads]]` in `callgate.toml`, and no token came either.
    CertificateUnknown = "certificate-unknown", Authentication;
    /// The client certificate is trusted, but it says in two ways, in none, or with a SPIFFE id that is none (capitals make it so), who holds it, or it may sign for others. Issue one that signs for nobody, with exactly one name.
    CertificateInvalid = "certificate-invalid", Authentication;
    /// The client certificate has expired since the connection began, no authority in `client-ca` stands for it any more, or the connection began without one and one is required now. Connect again with a good one.
    CertificateLapsed = "certificate-lapsed", Authentication;
    /// A credential came in the URL, where it would be logged. Send it in the `Authorization` header.
    CredentialInUrl = "credential-in-url", Authentication;
    /// The token is not valid yet, or was issued in the future. Compare the clocks of the gateway and of the provider.
    CredentialEarly = "credential-early", Authentication;
    /// The identity provider says that the token is not active: it has expired, was revoked, or never was one. Sign in again.
    TokenInactive = "token-inactive", Authentication;
    /// The token is of no provider that is configured under `oauth.issuers`.
    IssuerUnknown = "issuer-unknown", Authentication;
    /// The token is of a kind that no access token here may be: by its type, its algorithm or what its header calls critical.
    TokenHeaderRefused = "token-header-refused", Authentication;
    /// The token is signed with a key that its provider does not publish for this.
    TokenKeyUnknown = "token-key-unknown", Authentication;
    /// The token's signature is not its provider's.
    TokenSignatureInvalid = "token-signature-invalid", Authentication;
    /// The token is for another resource. Ask the provider for one whose audience is this entrance's address.
    TokenAudienceMismatch = "token-audience-mismatch", Authentication;
    /// The token lacks a claim that is needed to know who asks, or has it in the wrong form.
    ClaimMissing = "claim-missing", Authentication;
    /// A claim of the token names nobody here: it is in no map, or no name can be made of it.
    ClaimUnusable = "claim-unusable", Authentication;
    /// The token is bound to a certificate or a key, and this request did not prove it. Send it over a connection that shows that certificate; proofs of other keys (DPoP) are not checked here.
    TokenUnproven = "token-unproven", Authentication;
    /// The identity provider cannot be asked, and what is known of it is too old to go on, or lacks the key of this token.
    ProviderUnreachable = "provider-unreachable", Gateway;
    /// The gateway may not ask the identity provider about tokens: it has no secret for that, or the provider does not take it. Check `introspection` of the issuer.
    ProviderRefused = "provider-refused", Gateway;
    /// The identity provider is asked about as many unknown tokens as it may be. Try again in a moment.
    ProviderBusy = "provider-busy", Gateway;
    /// No pinned item of that name exists for anybody.
    ItemUnknown = "item-unknown", Validation;
    /// Several servers offer that resource, and somebody accepted it of each; use `/s/{server}/mcp` to say which is meant.
    ItemAmbiguous = "item-ambiguous", Validation;
    /// The item is new or its definition changed, and nobody has approved it yet (`callgate registry approve`).
    ItemWithdrawn = "item-withdrawn", PolicyDenial;
    /// The server does not speak the protocol era that it spoke when it was looked at last. Try again in a moment.
    EraMismatch = "era-mismatch", Validation;
    /// No rule lets this principal see the item. The caller is told the same as for an unknown one.
    NotPermitted = "not-permitted", PolicyDenial;
    /// No record approves the server, and production has only what is approved. Review it (`callgate registry review`), then approve it (`callgate registry approve SERVER --until DATE`).
    ServerUnapproved = "server-unapproved", PolicyDenial;
    /// The server is a candidate, or reached in another way than was approved, so only what reads may be used. Review and approve it (`callgate registry review`, `callgate registry approve SERVER --until DATE`).
    ServerHeldToReads = "server-held-to-reads", PolicyDenial;
    /// The date until which the server is approved has passed, so only what reads may be used. Look at it again and give it a new date (`callgate registry approve SERVER --until DATE`).
    ServerReviewOverdue = "server-review-overdue", PolicyDenial;
    /// The server is suspended: nobody may use it until it was looked at again (`callgate registry review`).
    ServerSuspended = "server-suspended", PolicyDenial;
    /// The server is retired: nobody may use it. `callgate registry add` begins anew.
    ServerRetired = "server-retired", PolicyDenial;
    /// The token does not have the scope that this call takes. Ask the provider for the scopes of the challenge.
    ScopeInsufficient = "scope-insufficient", PolicyDenial;
    /// The arguments do not fit the pinned schema.
    ArgumentsInvalid = "arguments-invalid", Validation;
    /// The pinned schema cannot be enforced, so nothing can be checked against it and nothing passes.
    SchemaUnenforceable = "schema-unenforceable", Gateway;
    /// `_meta["callgate/idempotency-key"]` is not a text of 1 to 255 visible ASCII characters. Send one that is, or none.
    IdempotencyKeyMalformed = "idempotency-key-malformed", Validation;
    /// The same asker used this key for this tool with other arguments. A key stands for one call: give another call another key.
    IdempotencyKeyReused = "idempotency-key-reused", Validation;
    /// A call under the same key is on its way, or waits for answers to what its server asked. Nothing was sent a second time; ask again in a moment.
    IdempotencyInProgress = "idempotency-in-progress", Validation;
    /// A call under the same key may or may not have happened: its server did not answer, or the gateway stopped. Nothing was sent a second time. Find out whether it happened; then make the call under another key, if it is still wanted.
    IdempotencyOutcomeUnknown = "idempotency-outcome-unknown", Validation;
    /// A call under the same key was made, and its answer cannot be given again: it was too large to be kept, or is gone. Nothing was sent a second time.
    IdempotencyAnswerUnkept = "idempotency-answer-unkept", Validation;
    /// The gateway cannot keep keys now, so nothing that needs one happens. The log says why.
    IdempotencyUnavailable = "idempotency-unavailable", Gateway;
    /// A rule forbids this call, or none permits it.
    RuleDenied = "rule-denied", PolicyDenial;
    /// A rule could not be evaluated for this call; whatever cannot be decided is refused.
    RuleFailed = "rule-failed", Gateway;
    /// A rule holds the call until the named people have said yes. They were asked; make exactly the same call again.
    ApprovalRequired = "approval-required", ApprovalNeeded;
    /// One of the people who were asked said no; the reason is theirs. It stands until the approval's time is over.
    ApprovalDenied = "approval-denied", ApprovalNeeded;
    /// The asker took the request back, or somebody who may do that took the yes back. Make the call again, and people are asked anew.
    ApprovalCancelled = "approval-cancelled", ApprovalNeeded;
    /// The yes was given for something else: what changed is named. Make the call again, and people are asked anew.
    ApprovalVoid = "approval-void", ApprovalNeeded;
    /// Another call used the approval first, or it was taken back: each yes is good for one call. Make the call again.
    ApprovalSpent = "approval-spent", ApprovalNeeded;
    /// A rule holds the call until people have said yes, and it has too many or too long arguments for them to be shown: nobody says yes to what they cannot see. Nothing was kept; make it with fewer or shorter ones.
    ApprovalTooLong = "approval-too-long", Validation;
    /// No draft of this asker's has that id for this tool: it was submitted, its time is over, or the tool is another one now. Draft the call again.
    DraftUnknown = "draft-unknown", Validation;
    /// The gateway cannot keep approvals now, so nothing that needs one happens. The log says why.
    ApprovalUnavailable = "approval-unavailable", Gateway;
    /// A budget has no room for this call; the denial says how much is used and when there is room again.
    BudgetExceeded = "budget-exceeded", PolicyDenial;
    /// A budget counts an argument that this call does not have, or not in a form that can be counted; what is not counted does not pass.
    BudgetUncounted = "budget-uncounted", Validation;
    /// The gateway cannot keep count now, so nothing that a budget covers happens. The log says why.
    BudgetUnavailable = "budget-unavailable", Gateway;
    /// The path to dispatch was not walked in full. This is a defect of the gateway.
    PathIncomplete = "path-incomplete", Gateway;
    /// The ledger cannot write, so nothing may happen. See `callgate serve`'s log for the disk's error.
    LedgerUnavailable = "ledger-unavailable", Gateway;
    /// A file of the gateway's database was moved, removed or replaced while it was open, so nothing may happen: what is decided now would be lost with it. Put it back, or restart the gateway with the one it is to have.
    DatabaseReplaced = "database-replaced", Gateway;
    /// The gateway's database cannot be written: it is away, read only, full or damaged. Nobody could be shut out and nothing be spent, so no new call is taken until it can be; the log says why.
    DatabaseUnavailable = "database-unavailable", Gateway;
    /// The database does not confirm that this gateway alone writes its log: it is away, or another gateway runs on a copy of the state folder. No new call is taken until it does; the log says why.
    LogUnclaimed = "log-unclaimed", Gateway;
    /// The server is used with each user's own credential, and no user stands behind the asker. Sign in as one, or give the agent one with `callgate agent add --user`.
    UserRequired = "user-required", Authentication;
    /// The secret the server needs is not there, or has expired. Put it where its `source` says: a backend, a file or a variable; without one, store it with `callgate secret set`, for a user's own with `--user`.
    SecretMissing = "secret-missing", Gateway;
    /// The backend that has the secret does not answer, is sealed or failed. Nothing was sent. Look at the backend; `callgate explain` and the log name the cause.
    SecretBackendUnavailable = "secret-backend-unavailable", Gateway;
    /// The backend that has the secret does not let the gateway in, or not to this secret. Check its role, credential and policy.
    SecretBackendRefused = "secret-backend-refused", Gateway;
    /// The secret is stored but cannot be opened with this key.
    SecretUnreadable = "secret-unreadable", Gateway;
    /// The secret cannot stand where its server needs it: a header or a query takes visible ASCII, without a line break, a tab or a byte order mark, and with no blank at either end. Put it without them where its `source` says, or, without one, store it again with `callgate secret set`.
    SecretUnusable = "secret-unusable", Gateway;
    /// The upstream could not be reached or its process could not be started. Nothing of the call left.
    UpstreamUnreachable = "upstream-unreachable", Outage;
    /// The upstream did not answer in time. Whether it acted is not known.
    UpstreamTimeout = "upstream-timeout", Outage;
    /// The upstream went away in the middle of the call, or it, or a proxy before it, answered with HTTP 500 to 599. Whether it acted is not known.
    UpstreamLost = "upstream-lost", Outage;
    /// The upstream is at its limit of processes (`max-children`), connections or sessions in use (`max-sessions`), or answered itself that it takes no more now (HTTP 429). Try again later.
    UpstreamBusy = "upstream-busy", Outage;
    /// The upstream refused the gateway's own credential.
    UpstreamUnauthorized = "upstream-unauthorized", ServerError;
    /// The upstream answered something that is not MCP.
    UpstreamNonsense = "upstream-nonsense", ServerError;
    /// The upstream answered with a protocol error, which was passed on.
    UpstreamError = "upstream-error", ServerError;
    /// The answer is larger than `max-result-bytes` and was withheld.
    ResultTooLarge = "result-too-large", ServerError;
    /// The answers of a batch are larger together than one may be (`max-result-bytes`), and this one was withheld. Ask for it alone.
    BatchAnswersTooLarge = "batch-answers-too-large", ServerError;
    /// The structured result does not fit the pinned output schema and was withheld.
    ResultInvalid = "result-invalid", ServerError;
    /// The Host does not offer what the server asks for.
    HostIncapable = "host-incapable", Validation;
    /// The Host went away or did not answer the server's question in time.
    HostUnreachable = "host-unreachable", Outage;
    /// The asker cancelled the call, or hung up where the protocol says that this cancels.
    Cancelled = "cancelled", Cancelled;
    /// The gateway is draining and takes no new calls. Try again in a moment.
    Draining = "draining", Gateway;
    /// The gateway has as many calls in flight, or as many sessions open, as it may have (`max-calls-in-flight`,
    /// `max-sessions`). Try again in a moment.
    Overloaded = "overloaded", Gateway;
    /// A stage of the gateway broke. The call was refused; the operator's log says why.
    StageFailed = "stage-failed", Gateway;
    /// The call was sent, and how it ended could not be recorded, so its answer is withheld. It may have done what it was to do: find out before making it again.
    OutcomeUnrecorded = "outcome-unrecorded", Gateway;
    /// The call was made on people's yes, and its answer cannot be given: the gateway stopped before it was kept. Nothing was sent a second time. Look at what it did before making it again.
    AnswerUnkept = "answer-unkept", Gateway;
    /// The call was sent, and whether it was done is not known: its server did not answer, or the gateway stopped. Nothing was sent a second time. Find out before making it again.
    OutcomeUnknown = "outcome-unknown", Gateway;
}

/// What the asker can do about a refusal, safe for a model to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Remedy {
    /// One plain sentence.
    pub text: String,
    /// The groups whose yes would cure it, if that is the remedy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
}

/// A stage's no. There is no third answer: a stage that cannot decide refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// For the operator, in the record.
    pub because: String,
    /// For the Host: a sentence that gives nothing away. `None` tells only what the code tells.
    pub told: Option<String>,
    pub remedy: Option<Remedy>,
    pub basis: Basis,
}

impl Refusal {
    pub fn new(code: Code, because: impl Into<String>) -> Self {
        Self { code, because: because.into(), told: None, remedy: None, basis: Basis::new() }
    }
    #[must_use]
    pub fn told(mut self, sentence: impl Into<String>) -> Self {
        self.told = Some(sentence.into());
        self
    }
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>, ask: Vec<String>) -> Self {
        self.remedy = Some(Remedy { text: text.into(), ask });
        self
    }
    #[must_use]
    pub fn basis(mut self, basis: Basis) -> Self {
        self.basis = basis;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_is_kebab_case_unique_and_explained() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let name = code.as_str();
            assert!(seen.insert(name), "{name} twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(code.meaning().ends_with('.') && code.meaning().len() > 20, "{name}: {}", code.meaning());
            assert_eq!(Code::parse(name), Some(*code));
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{name}\""));
        }
    }
}
