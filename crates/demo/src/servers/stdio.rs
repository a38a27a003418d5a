//! A legacy server on standard input and output: one message a line, `initialize` first.

use super::Service;
use super::answer::{Refused, answer, handshake};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec, LinesCodecError};
use wire::{Frame, Kind, Limits, Revision, era, rpc, views};

/// Serves until standard input ends.
pub(super) async fn serve(service: impl Service) -> io::Result<()> {
    speak(service, tokio::io::stdin(), tokio::io::stdout()).await
}

pub(super) async fn speak(
    mut service: impl Service,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let lines = LinesCodec::new_with_max_length(Limits::DEFAULT.bytes);
    let mut heard = FramedRead::new(input, lines);
    let mut said = FramedWrite::new(output, LinesCodec::new());
    let mut revision = None;
    while let Some(line) = heard.next().await {
        let line = match line {
            Ok(line) => line,
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
            }
            Err(LinesCodecError::Io(error)) => return Err(error),
        };
        if let Some(reply) = reply(&mut service, &mut revision, line) {
            let text = String::from_utf8(reply.into()).map_err(|_| io::ErrorKind::InvalidData)?;
            said.send(text).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
    }
    Ok(())
}

/// The reply to one line, if it asks for one.
fn reply(service: &mut dyn Service, revision: &mut Option<Revision>, line: String) -> Option<Bytes> {
    let frame = match Frame::scan(Bytes::from(line), &Limits::DEFAULT) {
        Ok(frame) => frame,
        Err(error) => return Some(rpc::error(None, error.rpc_code(), &error.to_string(), None)),
    };
    match frame.kind() {
        Kind::Notification | Kind::Response | Kind::ErrorResponse => return None,
        Kind::Request => {}
    }
    let id = frame.id_raw()?;
    let answered = match (frame.method().as_deref(), *revision) {
        (Some("initialize"), _) => views::InitializeParams::read(&frame)
            .map_err(|error| Refused::new(rpc::INVALID_PARAMS, error.to_string()))
            .map(|asked| {
                let spoken = era::negotiate(&asked.protocol_version);
                *revision = Some(spoken);
                handshake(service, spoken)
            }),
        (Some("ping"), None) => Ok(serde_json::json!({})),
        // what a server of this age says to a probe of the next one
        (Some("server/discover"), _) => {
            Err(Refused::new(rpc::METHOD_NOT_FOUND, "Method not found: server/discover"))
        }
        (_, None) => Err(Refused::new(rpc::INVALID_REQUEST, "Server not initialized")),
        (_, Some(spoken)) => answer(service, spoken, &frame),
    };
    Some(match answered {
        Ok(result) => rpc::result(id, result.to_string().as_bytes()),
        Err(refused) => refused.bytes(Some(id)),
    })
}
