//! The first stage: may this message be read at all, and what does it say.

use crate::{
    exchange::{Arrival, BodyFault, Inbound},
    listen::streams::Wanted,
    settings::Limits,
};
use decision::{Code, Passed, Refusal};
use wire::{BatchError, Frame, ScanError};

/// Longest piece of a peer's header that a refusal repeats.
const QUOTED_CHARS_MAX: usize = 120;

/// What arrived, readable.
#[derive(Debug, Clone)]
pub enum Admitted {
    /// One JSON-RPC message that passed the strict scan.
    Message(Frame),
    /// A legacy Host opens or resumes its event stream.
    OpenStream(Wanted),
    /// A legacy Host ends its session.
    EndSession,
}

/// Judges what the transport noticed, then scans the message, once.
///
/// The order is from the cheapest lie to the dearest: a foreign `Host` or `Origin` is told apart
/// before a byte of the body counts.
///
/// # Errors
/// A refusal with one of the codes of [`Stage::Listen`](decision::Stage::Listen).
pub fn admit(arrival: &Arrival, limits: &Limits) -> Result<Passed<Admitted>, Refusal> {
    if let Some(host) = &arrival.facts.foreign_host {
        return Err(foreign_host(host));
    }
    if let Some(origin) = &arrival.facts.foreign_origin {
        return Err(Refusal::new(
            Code::OriginNotAllowed,
            format!("the page `{}` is not in `allowed-origins`", quoted(origin)),
        ));
    }
    match &arrival.inbound {
        Err(fault) => Err(unread(*fault, limits)),
        Ok(Inbound::OpenStream(wanted)) => Ok(Passed::plain(Admitted::OpenStream(wanted.clone()))),
        Ok(Inbound::EndSession) => Ok(Passed::plain(Admitted::EndSession)),
        Ok(Inbound::Message(bytes)) => {
            let bounds = wire::Limits { bytes: limits.message_bytes_max, depth: limits.depth_max };
            match Frame::scan(bytes.clone(), &bounds) {
                Ok(frame) => Ok(Passed::plain(Admitted::Message(frame))),
                Err(error) => Err(unscannable(error)),
            }
        }
    }
}

fn foreign_host(host: &str) -> Refusal {
    let because = if host.is_empty() {
        "no `Host` header came with the request".to_owned()
    } else {
        format!("the host `{}` is neither this gateway's address nor in `allowed-hosts`", quoted(host))
    };
    Refusal::new(Code::HostNotAllowed, because)
}

fn unread(fault: BodyFault, limits: &Limits) -> Refusal {
    let (code, because) = match fault {
        BodyFault::Batch(error) => return no_batch(error),
        BodyFault::TooLarge => {
            (Code::MessageTooLarge, format!("the message is larger than {} bytes", limits.message_bytes_max))
        }
        BodyFault::TooSlow => (
            Code::MessageTooSlow,
            format!("the message did not arrive within {} s", limits.read_timeout.as_secs()),
        ),
        BodyFault::Incomplete => {
            (Code::MessageIncomplete, "the connection ended before the whole message had arrived".to_owned())
        }
        BodyFault::MediaType => (
            Code::MediaTypeUnsupported,
            "send `Content-Type: application/json` without a content encoding, and accept \
             `application/json` and `text/event-stream`"
                .to_owned(),
        ),
        BodyFault::HttpMethod => {
            (Code::HttpMethodUnsupported, "MCP is spoken with POST, GET and DELETE".to_owned())
        }
        BodyFault::Path => (Code::PathUnknown, "MCP is spoken at `/mcp` and `/s/{server}/mcp`".to_owned()),
    };
    Refusal::new(code, because.clone()).told(because)
}

fn no_batch(error: BatchError) -> Refusal {
    let code = match error {
        BatchError::Scan(error) => return unscannable(error),
        BatchError::TooMany => Code::BatchTooLarge,
        BatchError::Empty | BatchError::Nested | BatchError::SameId | BatchError::Initialize => {
            Code::BatchInvalid
        }
    };
    let because = error.to_string();
    Refusal::new(code, because.clone()).told(because)
}

/// A scan error never carries input, so the Host may read it as it is.
fn unscannable(error: ScanError) -> Refusal {
    let code = match error {
        ScanError::TooLarge { .. } => Code::MessageTooLarge,
        ScanError::Batch => Code::BatchUnsupported,
        ScanError::TooDeep { .. } => Code::JsonTooDeep,
        ScanError::DuplicateKey { .. } => Code::JsonDuplicateKey,
        ScanError::LoneSurrogate { .. } => Code::JsonLoneSurrogate,
        ScanError::Empty
        | ScanError::ByteOrderMark
        | ScanError::NotUtf8 { .. }
        | ScanError::Escape { .. }
        | ScanError::ControlCharacter { .. }
        | ScanError::Number { .. }
        | ScanError::NumberRange { .. }
        | ScanError::Syntax { .. }
        | ScanError::Truncated
        | ScanError::Trailing { .. } => Code::JsonMalformed,
        ScanError::NotObject
        | ScanError::Version
        | ScanError::Id
        | ScanError::Method
        | ScanError::Params
        | ScanError::Result
        | ScanError::Error
        | ScanError::Shape => Code::EnvelopeInvalid,
    };
    let because = error.to_string();
    Refusal::new(code, because.clone()).told(because)
}

/// A peer's words, short and on one line.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).map(|c| if c.is_control() || c == '`' { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Entrance, Facts, Found, Outlet, Party, Presented};
    use bytes::Bytes;
    use decision::Transport;
    use tokio_util::sync::CancellationToken;

    fn arrival(inbound: Result<Inbound, BodyFault>, facts: Facts) -> Arrival {
        Arrival {
            party: Party::Host,
            inbound,
            transport: Transport::Http,
            entrance: Entrance::Federated,
            presented: Presented::Nothing,
            facts,
            session: None,
            outlet: Outlet::new(1).0,
            cancel: CancellationToken::new(),
            round: None,
            credential: None,
            found: Found::default(),
            walking: std::sync::OnceLock::new(),
        }
    }
    fn judge(inbound: Result<Inbound, BodyFault>) -> Result<Admitted, Code> {
        let limits = Limits { message_bytes_max: 20_000, ..Limits::default() };
        let judged = admit(&arrival(inbound, Facts::default()), &limits);
        judged.map(|passed| passed.value).map_err(|refusal| refusal.code)
    }
    fn says(text: impl Into<Bytes>) -> Result<Admitted, Code> {
        judge(Ok(Inbound::Message(text.into())))
    }

    #[test]
    fn every_way_not_to_be_a_message_has_its_code() {
        let nested =
            [b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":".as_slice(), &b"[".repeat(10_000)].concat();
        for (text, code) in [
            (Bytes::from_static(b""), Code::JsonMalformed),
            (Bytes::from_static(b"{\"jsonrpc\":"), Code::JsonMalformed),
            (Bytes::from_static(b"\xff\xfe"), Code::JsonMalformed),
            (Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#), Code::JsonDuplicateKey),
            (
                Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"\ud800"}}"#),
                Code::JsonLoneSurrogate,
            ),
            (Bytes::from_static(br#"[{"jsonrpc":"2.0","method":"m"}]"#), Code::BatchUnsupported),
            (Bytes::from_static(b"42"), Code::EnvelopeInvalid),
            (Bytes::from_static(br#"{"jsonrpc":"1.0","method":"m"}"#), Code::EnvelopeInvalid),
            (
                Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#),
                Code::EnvelopeInvalid,
            ),
            (Bytes::from(nested), Code::JsonTooDeep),
            (Bytes::from(vec![b' '; 20_001]), Code::MessageTooLarge),
        ] {
            assert_eq!(says(text.clone()).err(), Some(code), "{:?}", text.slice(..text.len().min(60)));
        }
    }

    #[test]
    fn every_fault_of_a_body_has_its_code() {
        for (fault, code) in [
            (BodyFault::TooLarge, Code::MessageTooLarge),
            (BodyFault::TooSlow, Code::MessageTooSlow),
            (BodyFault::Incomplete, Code::MessageIncomplete),
            (BodyFault::MediaType, Code::MediaTypeUnsupported),
            (BodyFault::HttpMethod, Code::HttpMethodUnsupported),
            (BodyFault::Path, Code::PathUnknown),
            (BodyFault::Batch(BatchError::Empty), Code::BatchInvalid),
            (BodyFault::Batch(BatchError::Nested), Code::BatchInvalid),
            (BodyFault::Batch(BatchError::SameId), Code::BatchInvalid),
            (BodyFault::Batch(BatchError::Initialize), Code::BatchInvalid),
            (BodyFault::Batch(BatchError::TooMany), Code::BatchTooLarge),
            (BodyFault::Batch(BatchError::Scan(ScanError::Truncated)), Code::JsonMalformed),
        ] {
            assert_eq!(judge(Err(fault)).err(), Some(code));
        }
    }

    #[test]
    fn a_foreign_host_or_page_is_refused_before_its_message_is_looked_at() {
        let good =
            || Ok(Inbound::Message(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)));
        let host = Facts { foreign_host: Some("evil`\n.example".into()), ..Facts::default() };
        let refused = admit(&arrival(good(), host), &Limits::default()).unwrap_err();
        assert_eq!(refused.code, Code::HostNotAllowed);
        assert!(refused.because.contains("`evil??.example`"), "{}", refused.because);
        assert_eq!(refused.told, None, "a foreign page learns nothing about the gateway");
        let origin = Facts { foreign_origin: Some("https://evil.example".into()), ..Facts::default() };
        let refused = admit(&arrival(Err(BodyFault::TooLarge), origin), &Limits::default()).unwrap_err();
        assert_eq!(refused.code, Code::OriginNotAllowed);
        assert!(admit(&arrival(good(), Facts::default()), &Limits::default()).is_ok());
    }

    #[test]
    fn what_is_in_order_comes_through_as_it_is() {
        let text = br#" {"jsonrpc":"2.0","id":"a","method":"tools/list","extra":[1]} "#;
        let Ok(Admitted::Message(frame)) = says(text.as_slice()) else { panic!("not admitted") };
        assert_eq!(frame.bytes().as_ref(), text.as_slice());
        assert!(matches!(judge(Ok(Inbound::EndSession)), Ok(Admitted::EndSession)));
        let wanted = Wanted { last_event_id: Some("e".into()), shelf: std::sync::Arc::default() };
        let open = judge(Ok(Inbound::OpenStream(wanted)));
        assert!(
            matches!(open, Ok(Admitted::OpenStream(wanted)) if wanted.last_event_id.as_deref() == Some("e"))
        );
    }
}
