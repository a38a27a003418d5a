//! What servers offer, read from a file: read as another reader reads it, the same however it is written, and whatever is
//! read can be looked at and is no change of itself.

use catalog::drift::{self, Server};
use catalog::listing::{self, ListingError, Offer};
use catalog::scan;
use serde_json::{Value, json};
use wire::{Limits, ScanError, scan_value};

pub(crate) fn run(data: &[u8]) {
    let strict = listing::strict(data);
    let bare = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let scanned = scan_value(bare, &Limits::DEFAULT);
    match &strict {
        // numbers that no other reader holds are none of its business, and its bound on nesting is its own
        Ok(value) => {
            let own = matches!(scanned, Err(ScanError::NumberRange { .. } | ScanError::TooDeep { .. }));
            assert!(scanned.is_ok() || own, "read what the scan refuses: {scanned:?}");
            assert_eq!(serde_json::from_slice::<Value>(bare).unwrap(), *value);
        }
        Err(ListingError::TooDeep) => {}
        Err(_) => assert!(scanned.is_err() || bare.is_empty(), "refused what the scan lets in: {strict:?}"),
    }
    let read = listing::read(data);
    let Ok(offers) = &read else {
        assert!(!read.unwrap_err().code().is_empty());
        return;
    };
    let spaced = serde_json::to_vec_pretty(&strict.unwrap()).unwrap();
    assert_eq!(listing::read(&spaced).as_ref(), Ok(offers), "by how it is written");
    let again = Value::Array(offers.iter().map(written).collect()).to_string();
    assert_eq!(listing::read(again.as_bytes()).as_ref(), Ok(offers), "by its shape: {again}");
    for offer in offers {
        let named = |item: &Value| item["name"].as_str().is_some_and(|name| !name.is_empty());
        assert!(offer.tools.iter().chain(&offer.prompts).all(named));
        assert!(offer.resources.iter().chain(&offer.resource_templates).all(Value::is_object));
        assert!(offer.identity.as_ref().is_none_or(Value::is_object));
    }
    looked_at(offers);
}

/// Whatever is read can be looked at: each tool has its findings, and nothing has changed since a moment ago.
fn looked_at(offers: &[Offer]) {
    let scanned = scan::scan(offers);
    let counts: Vec<usize> = scanned.tools.iter().map(Vec::len).collect();
    assert_eq!(counts, offers.iter().map(|offer| offer.tools.len()).collect::<Vec<_>>());
    let servers: Vec<Server> = offers.iter().map(Server::from).collect();
    let drift = drift::compare(&servers, &servers);
    assert!(drift.changes.is_empty() && drift.rank == 0.0, "{:?}", drift.changes);
}

/// The same server as one of several.
fn written(offer: &Offer) -> Value {
    let mut value = json!({
        "tools": offer.tools, "prompts": offer.prompts, "resources": offer.resources,
        "resourceTemplates": offer.resource_templates,
    });
    let texts = [("server", &offer.server), ("instructions", &offer.instructions)];
    for (key, text) in texts {
        if let Some(text) = text {
            value[key] = json!(text);
        }
    }
    if let Some(identity) = &offer.identity {
        value["serverInfo"] = identity.clone();
    }
    value
}
