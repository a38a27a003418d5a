//! The scenes about what was written down: the key that is nowhere, and the counts that agree.

use super::Stage;
use super::look;
use super::tamper::{copy, files};
use crate::client::Client;
use anyhow::Context as _;
use decision::Era;
use serde_json::Value;
use std::path::PathBuf;

/// Looks for the payment key everywhere it must not be, and makes sure that it was where it must.
pub(super) async fn the_key(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("The key of the payments server");
    let key = stage.place.key().as_bytes();
    let requests = stage.payments.requests();
    let calls = requests.iter().filter(|line| *line == "200 tools/call").count();
    let refused = {
        let mut stranger = Client::new(stage.payments.url(), None, Era::Modern);
        stranger.open().await?.status
    };
    stage
        .tell
        .pair("payments", &format!("answered {calls} calls with the key, and {refused} to one without"));
    // nothing of this agent's ever held the key, so these calls can have it only from the gateway
    stage.tell.expect(
        calls >= 2 && refused == 401,
        "payments got its key with every call, from the gateway alone",
        &format!(
            "payments should have answered two calls and 401 without the key, not {calls} and {refused}"
        ),
    );
    let export = stage.place.dir().join("export-key");
    let to = export.to_str().context("the folder's name is not text")?;
    stage.place.ask(&["audit", "export", to], None).await?;
    let live = stage.place.dir().join("state-key");
    copy(&stage.place.state(), &live)?;
    let log = stage.gateway.log().join("\n");
    let mut heard = stage.legacy.heard.clone();
    heard.extend_from_slice(&stage.modern.heard);
    let all = |files: Vec<(PathBuf, Vec<u8>)>| files.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    // with each place something that is there, so that a search that finds nothing is known to search
    let places = [
        ("everything the agent heard", vec![heard], "arrived broken"),
        ("the gateway's log lines", vec![log.into_bytes()], "callgate takes calls"),
        ("the exported record", all(files(&export)?), "arrived broken"),
        ("the gateway's state", all(files(&live)?), "arrived broken"),
    ];
    let mut wrong = Vec::new();
    for (name, texts, there) in &places {
        let size: usize = texts.iter().map(Vec::len).sum();
        let count = |phrase: &[u8]| texts.iter().map(|text| hits(text, phrase)).sum::<usize>();
        // from the middle of what is random of the key
        let (keys, others) = (count(key.get(12..).unwrap_or(key)), count(there.as_bytes()));
        let told = format!("{keys} times in {size} bytes; \"{there}\" {others} times");
        stage.tell.pair(name, &told);
        if keys > 0 || others == 0 {
            wrong.push(format!("{name}: {told}"));
        }
    }
    stage.tell.expect(
        wrong.is_empty(),
        "the key is nowhere else, neither in plain nor in base64",
        &format!("the key should be nowhere, and what was said should be found: {}", wrong.join("; ")),
    );
    Ok(())
}

/// How often a phrase of fourteen bytes or more is there: as it is, or as base64, which is how exports keep values.
/// Twelve of its bytes are enough to know it by.
fn hits(text: &[u8], phrase: &[u8]) -> usize {
    let part = phrase.get(..12).map(<[u8]>::to_vec);
    let encoded = (0..3).filter_map(|shift| encoded(phrase.get(shift..12 + shift)?));
    let parts = part.into_iter().chain(encoded);
    parts.map(|part| text.windows(part.len()).filter(|window| *window == part).count()).sum()
}

/// Base64 (RFC 4648 §4) of twelve bytes: sixteen characters without padding.
fn encoded(bytes: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(16);
    for three in bytes.chunks_exact(3) {
        let [a, b, c] = three.try_into().ok()?;
        let bits = u32::from_be_bytes([0, a, b, c]);
        for shift in [18, 12, 6, 0] {
            out.push(*LETTERS.get((bits >> shift) as usize & 63)?);
        }
    }
    Some(out)
}

/// Compares what was sent with what was recorded.
pub(super) async fn the_counts(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("The record");
    let garbled = stage.legacy.garbled().await?;
    let seen = look::newest(stage.place).await?;
    stage.tell.asks("{\"jsonrpc\":\"2.0\",  (half a message)");
    stage.tell.hears(&format!("{} {}", garbled.status, garbled.text()));
    stage.tell.recorded(&seen.told());
    let mut stranger = Client::new(&stage.gateway.url(), Some("cg_nobody"), Era::Modern);
    let foreign = stranger.open().await?;
    let seen = look::newest(stage.place).await?;
    stage.tell.asks("server/discover with somebody else's token");
    stage.tell.hears(&format!("{} {}", foreign.status, foreign.text()));
    stage.tell.recorded(&seen.told());
    stage.legacy.close().await?;

    let sent = stage.legacy.sent + stage.modern.sent + stranger.sent;
    let rows = stage.place.ask(&["audit", "list", "--limit", "100000"], None).await?.value;
    let rows = rows.as_array().context("the record's answer is not a list")?;
    // a call that waited for people goes on as another leg, with an entry of its own for each
    let first = |row: &&Value| row.get("leg").and_then(Value::as_u64) == Some(0);
    let rows: Vec<&Value> = rows.iter().filter(first).collect();
    let closed = rows.iter().filter(|row| row.get("decision").is_some_and(Value::is_u64)).count();
    let intents = rows.iter().filter(|row| row.get("intent").is_some_and(Value::is_u64)).count();
    stage.tell.pair("sent by the agent", &format!("{sent} requests, refused and garbled ones included"));
    stage.tell.pair("in the record", &format!("{intents} intents, {closed} decisions"));
    stage.tell.expect(
        usize::try_from(sent).is_ok_and(|sent| sent == intents && sent == closed)
            && garbled.status == 400
            && foreign.status == 401,
        "each request has one intent and one decision",
        &format!("{sent} requests should have as many intents and decisions, not {intents} and {closed}"),
    );
    let verified = stage.place.ask(&["audit", "verify"], None).await?;
    let headline = verified.value.get("headline").and_then(Value::as_str).unwrap_or_default();
    stage.tell.asks("callgate audit verify");
    stage.tell.hears(headline);
    stage.tell.expect(verified.yes, "the log holds", "the log should hold");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::hits;

    const KEY: &[u8] = b"sk_demo_00112233445566778899aabbccddeeff";

    #[test]
    fn the_key_is_found_as_it_is_and_in_base64_wherever_it_begins() {
        let part = &KEY[12..];
        assert_eq!(hits(KEY, part), 1);
        assert_eq!(hits(b"nothing of the kind, really nothing at all", part), 0);
        // base64 of the key behind nought, one and two other bytes
        for text in [
            "c2tfZGVtb18wMDExMjIzMzQ0NTU2Njc3ODg5OWFhYmJjY2RkZWVmZg==",
            "eHNrX2RlbW9fMDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=",
            "eHlza19kZW1vXzAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm",
        ] {
            assert!(hits(text.as_bytes(), part) > 0, "{text}");
        }
    }
}
