//! Which eras a server speaks, found out by asking it.
//!
//! Modern is asked first, legacy second; each needs an answer that only that era gives. That a server
//! refuses our credential, fails, or is slow, decides nothing (PROTOCOL: the four combinations).

use super::connection::{Connection, Means, Opening, Outgoing};
use super::fault::{Fault, FaultKind};
use super::handshake::{error_code, refused};
use super::http::Endpoint;
use super::injected::Injected;
use super::sse;
use crate::settings::Reach;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Eras, Frame, Kind, Revision, json, rpc};

/// For a stream of HTTP+SSE to begin.
const OLDER_MAX: Duration = Duration::from_secs(5);

/// What one era's question showed.
#[derive(Debug)]
enum Answer {
    Speaks,
    /// It answered, and not in this era. Why, for the operator.
    SpeaksNot(Fault),
    /// Over stdio, where a server may keep silent to a question of another era, or end.
    Silent(Fault),
}

/// Asks a server which eras it speaks. Over stdio each question is put to a process of its own, which
/// ends with it: some servers are bound to the era of the first message, some end at one they do not know.
///
/// Errors: it could not be asked, or speaks no era and revision of ours. Cache the answer with a date;
/// a server that learns the modern era goes on to speak the legacy one.
pub(crate) async fn detect(reach: &Reach, means: &Means, injected: &Arc<Injected>) -> Result<Eras, Fault> {
    if matches!(reach, Reach::Sse { .. }) {
        // of the legacy era by nature: there is nothing to ask in the other
        return match legacy(reach, means, injected).await? {
            Answer::Speaks => Ok(Eras::Legacy),
            Answer::SpeaksNot(fault) | Answer::Silent(fault) => Err(fault),
        };
    }
    let modern = modern(reach, means, injected).await?;
    let legacy = legacy(reach, means, injected).await?;
    match (modern, legacy) {
        (Answer::Speaks, Answer::Speaks) => Ok(Eras::Both),
        (Answer::Speaks, Answer::SpeaksNot(_) | Answer::Silent(_)) => Ok(Eras::Modern),
        (Answer::SpeaksNot(_) | Answer::Silent(_), Answer::Speaks) => Ok(Eras::Legacy),
        (Answer::SpeaksNot(_), Answer::SpeaksNot(fault)) => {
            let detail = older(reach, means, injected).await.unwrap_or(fault.detail);
            Err(Fault { kind: FaultKind::NotThisEra, detail, ..fault })
        }
        (Answer::Silent(fault), Answer::SpeaksNot(_) | Answer::Silent(_))
        | (Answer::SpeaksNot(_), Answer::Silent(fault)) => Err(fault),
    }
}

/// What helps, if the address turns out to be one of HTTP+SSE.
async fn older(reach: &Reach, means: &Means, injected: &Injected) -> Option<String> {
    let Reach::Http { url } = reach else { return None };
    let stream = Endpoint::new(means.client.clone(), url, means.bounds());
    let spoken = sse::is_spoken(&stream, injected, means.bounds().open.min(OLDER_MAX)).await;
    let help = "the server speaks HTTP+SSE of 2024-11-05: write `transport = \"sse\"` beside its `url`";
    spoken.then(|| help.to_owned())
}

async fn modern(reach: &Reach, means: &Means, injected: &Arc<Injected>) -> Result<Answer, Fault> {
    let (opening, _messages) = opening(Revision::LATEST_MODERN, None, injected);
    let (connection, _) = Connection::open(reach, means, opening).await?;
    let (sink, _) = mpsc::channel(1);
    let question = Outgoing {
        id: 1,
        frame: discover(),
        headers: vec![(HeaderName::from_static("mcp-method"), HeaderValue::from_static("server/discover"))],
        injected: Arc::clone(injected),
        timeout: Some(means.bounds().open),
        cancel: CancellationToken::new(),
        sink,
        beside_calls: false,
    };
    let answer = connection.request(question).await;
    connection.close().await;
    match answer {
        Ok(received) => Ok(judge(&received.frame)),
        Err(fault) => not_answered(reach, fault),
    }
}

/// What an answer to `server/discover` shows. Only a modern server has a result for it, or the error
/// that it speaks another modern revision; a legacy one does not know the method.
fn judge(frame: &Frame) -> Answer {
    let other = |detail: &str| Answer::SpeaksNot(Fault::sent(FaultKind::NotThisEra, detail));
    if frame.kind() == Kind::ErrorResponse {
        return match error_code(frame) {
            Some(rpc::HEADER_MISMATCH | rpc::MISSING_REQUIRED_CLIENT_CAPABILITY) => Answer::Speaks,
            Some(_) | None => Answer::SpeaksNot(refused(frame)),
        };
    }
    let Some(versions) = frame.at(&["result", "supportedVersions"]) else {
        return other("its answer to `server/discover` names no versions");
    };
    let ours = |raw: &[u8]| {
        json::decode_string(raw).and_then(|text| Revision::parse(&text).ok()).is_some_and(Revision::is_modern)
    };
    let known = json::array_elements(versions).any(|range| versions.get(range).is_some_and(ours));
    if known { Answer::Speaks } else { other("it speaks no modern revision that we do") }
}

async fn legacy(reach: &Reach, means: &Means, injected: &Arc<Injected>) -> Result<Answer, Fault> {
    let (opening, _messages) = opening(Revision::LATEST_LEGACY, Some(hello()), injected);
    match Connection::open(reach, means, opening).await {
        Ok((connection, _)) => {
            connection.close().await;
            Ok(Answer::Speaks)
        }
        Err(fault) => not_answered(reach, fault),
    }
}

/// What it shows that there was no answer.
fn not_answered(reach: &Reach, fault: Fault) -> Result<Answer, Fault> {
    let over_pipe = matches!(reach, Reach::Stdio { .. });
    match fault.kind {
        // HTTP: a client error that is none of the protocol's
        FaultKind::NotThisEra | FaultKind::Refused => Ok(Answer::SpeaksNot(fault)),
        FaultKind::Lost | FaultKind::Timeout if over_pipe => Ok(Answer::Silent(fault)),
        FaultKind::Lost
        | FaultKind::Timeout
        | FaultKind::Unreachable
        | FaultKind::Busy
        | FaultKind::Unauthorized
        | FaultKind::Nonsense
        | FaultKind::TooLarge
        | FaultKind::Cancelled
        | FaultKind::SessionGone => Err(fault),
    }
}

fn opening(
    revision: Revision,
    hello: Option<Bytes>,
    injected: &Arc<Injected>,
) -> (Opening, mpsc::Receiver<super::FromServer>) {
    // nobody reads it: what a server says beside its answer does not matter here
    let (sink, messages) = mpsc::channel(64);
    (Opening { revision, hello, injected: Arc::clone(injected), sink, hidden: false }, messages)
}

/// The gateway as a client calls itself.
pub(super) const CLIENT: &str =
    concat!(r#"{"name":"callgate","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

fn hello() -> Bytes {
    let revision = Revision::LATEST_LEGACY;
    format!(r#"{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{CLIENT}}}"#).into()
}

fn discover() -> Bytes {
    use wire::era::{META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION};
    let revision = Revision::LATEST_MODERN;
    let params = format!(
        r#"{{"_meta":{{"{META_PROTOCOL_VERSION}":"{revision}","{META_CLIENT_CAPABILITIES}":{{}},"{META_CLIENT_INFO}":{CLIENT}}}}}"#
    );
    rpc::request(b"1", "server/discover", Some(params.as_bytes()))
}
