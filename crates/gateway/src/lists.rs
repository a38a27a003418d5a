//! Lists, from the pinned catalogue: what this principal may see, in the author's own bytes.

use crate::authenticate::Asker;
use crate::exchange::{Arrival, Entrance};
use crate::gate::Live;
use crate::host_side::behind;
use crate::permission;
use crate::record::Leg;
use bytes::Bytes;
use decision::{Code, Digest, Era, ItemKind, Refusal};
use wire::rpc;

/// Items on one page.
const PAGE: usize = 500;

/// Answers one of the four lists.
pub(crate) fn list(
    live: &Live,
    arrival: &Arrival,
    frame: &wire::Frame,
    method: &str,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Bytes, Refusal> {
    let (kind, key) = match method {
        "tools/list" => (ItemKind::Tool, "tools"),
        "prompts/list" => (ItemKind::Prompt, "prompts"),
        "resources/list" => (ItemKind::Resource, "resources"),
        "resources/templates/list" => (ItemKind::ResourceTemplate, "resourceTemplates"),
        _ => return Err(Refusal::new(Code::MethodUnsupported, format!("`{method}` is not a list"))),
    };
    let from = cursor(frame)?;
    let items = visible(live, arrival, kind, asker, leg.claims.host.as_deref());
    if from > items.len() {
        return Err(bad_cursor());
    }
    let mut raw = format!("{{\"{key}\":[").into_bytes();
    for (i, item) in items.iter().skip(from).take(PAGE).enumerate() {
        raw.extend_from_slice(if i == 0 { b"" } else { b"," });
        raw.extend_from_slice(item);
    }
    raw.push(b']');
    if items.len() > from + PAGE {
        raw.extend_from_slice(format!(",\"nextCursor\":\"{}\"", from + PAGE).as_bytes());
    }
    if asker.era() == Era::Modern {
        // filtered per principal, and a rule may change at any time
        raw.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    raw.push(b'}');
    leg.shown = Some(Digest::of(&raw));
    Ok(rpc::result(frame.id_raw().unwrap_or(b"0"), &raw))
}

fn cursor(frame: &wire::Frame) -> Result<usize, Refusal> {
    match frame.at(&["params", "cursor"]) {
        None => Ok(0),
        Some(_) => {
            let text = frame.string_at(&["params", "cursor"]).ok_or_else(bad_cursor)?;
            let from: usize = text.parse().map_err(|_| bad_cursor())?;
            if from.is_multiple_of(PAGE) { Ok(from) } else { Err(bad_cursor()) }
        }
    }
}

fn bad_cursor() -> Refusal {
    let sentence = "the cursor is not one of ours; list again from the start";
    Refusal::new(Code::ArgumentsInvalid, sentence).told(sentence)
}

/// The visible items of one kind behind an entrance, in stable order: by server, then by name.
pub(crate) fn visible(
    live: &Live,
    arrival: &Arrival,
    kind: ItemKind,
    asker: &Asker,
    host: Option<&str>,
) -> Vec<Bytes> {
    let mut items = Vec::new();
    for (server, _) in behind(live, &arrival.entrance, asker.era()) {
        let Some(entry) = live.catalogue.server(server) else {
            continue;
        };
        for item in entry.of_kind(kind) {
            let name = item.definition.name();
            if !permission::visible(live, &asker.principal, host, server, kind, name) {
                continue;
            }
            let raw = item.definition.raw();
            let federated = arrival.entrance == Entrance::Federated;
            let renamed = federated && matches!(kind, ItemKind::Tool | ItemKind::Prompt);
            items.push(if renamed { rename(raw, &catalog::federated(server, name)) } else { raw.clone() });
        }
    }
    items
}

/// The author's definition under its federated name; every other byte as it came.
fn rename(raw: &Bytes, name: &str) -> Bytes {
    let member = wire::json::object_members(raw).find(|(key, _)| key == "name");
    let Some((_, range)) = member else {
        return raw.clone();
    };
    let mut out = Vec::with_capacity(raw.len() + name.len());
    out.extend_from_slice(raw.get(..range.start).unwrap_or_default());
    out.extend_from_slice(wire::json::encode_string(name).as_bytes());
    out.extend_from_slice(raw.get(range.end..).unwrap_or_default());
    out.into()
}
