//! The messages of the legacy handshake and of cancellation, which are the gateway's own.

use super::connection::INITIALIZE_ID;
use super::fault::{Fault, FaultKind, printable};
use bytes::Bytes;
use wire::{Frame, Kind, Revision, json, rpc};

/// `initialize` with the given raw params.
pub(super) fn initialize(hello: Option<Bytes>) -> Result<Bytes, Fault> {
    let hello =
        hello.ok_or_else(|| Fault::unsent(FaultKind::NotThisEra, "no `initialize` params to open with"))?;
    Ok(rpc::request(INITIALIZE_ID.to_string().as_bytes(), "initialize", Some(&hello)))
}

/// `notifications/initialized`.
pub(super) fn initialized() -> Bytes {
    rpc::notification("notifications/initialized", None)
}

/// `notifications/cancelled` for our request `id`.
pub(super) fn cancelled(id: u64, reason: &str) -> Bytes {
    let params = format!("{{\"requestId\":{id},\"reason\":{}}}", json::encode_string(reason));
    rpc::notification("notifications/cancelled", Some(params.as_bytes()))
}

/// The revision the server chose in its answer to `initialize`.
///
/// Errors: it answered with an error, or chose a revision that we or the handshake do not know.
pub(super) fn chosen(answer: &Frame) -> Result<Revision, Fault> {
    if answer.kind() == Kind::ErrorResponse {
        return Err(refused(answer));
    }
    let given = answer.at(&["result", "protocolVersion"]).and_then(json::decode_string).unwrap_or_default();
    match Revision::parse(&given) {
        Ok(revision) if !revision.is_modern() => Ok(revision),
        Ok(_) | Err(_) => {
            let detail = format!("the server chose protocol version `{}`", printable(&given, 40));
            Err(Fault::sent(FaultKind::NotThisEra, detail))
        }
    }
}

/// What an error says, as a fault: of another era, or a plain refusal.
pub(super) fn refused(answer: &Frame) -> Fault {
    let code = error_code(answer);
    let message = answer.at(&["error", "message"]).and_then(json::decode_string).unwrap_or_default();
    let kind = match code {
        Some(rpc::UNSUPPORTED_PROTOCOL_VERSION | rpc::METHOD_NOT_FOUND) => FaultKind::NotThisEra,
        Some(_) | None => FaultKind::Refused,
    };
    let code = code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
    Fault::sent(kind, format!("the server answered with error {code}: {}", printable(&message, 200)))
}

/// The code of an error response.
pub(crate) fn error_code(answer: &Frame) -> Option<i64> {
    std::str::from_utf8(answer.at(&["error", "code"])?).ok()?.parse().ok()
}
