//! Which item somebody means who types a name.

use crate::failure::Failure;
use decision::{Digest, Item, ItemKind};
use store::Pin;

type Reading = (Item, Option<Digest>);

/// `NAME`, `KIND:NAME`, either with `=sha256:…`. The server chose its names: a text that could mean two of its items means
/// neither, so that nobody accepts another one than they looked at.
pub(super) fn item(text: &str, pins: &[Pin]) -> Result<Reading, Failure> {
    let exists = |item: &Item| pins.iter().any(|pin| pin.item == *item);
    let mut readings = readings(text);
    let usual = readings.first().cloned();
    readings.retain(|(item, _)| exists(item));
    // one of another kind that has all of it for its name was not meant, unless something was forgotten
    let others = pins.iter().map(|pin| &pin.item).filter(|item| item.name == text);
    let others: Vec<&Item> = others.filter(|item| readings.iter().all(|(other, _)| other != *item)).collect();
    match (readings.as_slice(), others.as_slice()) {
        ([one], []) => Ok(one.clone()),
        ([], _) => match (usual, text.rsplit_once("=sha256:")) {
            (Some((_, None)), Some((_, hex))) => {
                Err(Failure::Usage(format!("`sha256:{hex}` is not a digest")))
            }
            (Some(usual), _) => Ok(usual),
            (None, _) => Err(Failure::Usage(format!("`{text}` names nothing"))),
        },
        (meant, others) => {
            let all = meant.iter().map(|(item, _)| item).chain(others.iter().copied());
            let all: Vec<String> =
                all.map(|item| format!("the {} `{}`", item.kind.as_str(), item.name)).collect();
            Err(Failure::Usage(format!(
                "`{text}` could be {}: say which by its kind and its digest, `tool:NAME=sha256:…`",
                all.join(" or ")
            )))
        }
    }
}

/// Everything that a text may mean, the usual first.
fn readings(text: &str) -> Vec<Reading> {
    let digest = text.rsplit_once("=sha256:").and_then(|(name, hex)| {
        let digest = Digest::parse(&format!("sha256:{hex}"))?;
        Some((name, Some(digest)))
    });
    let mut readings = Vec::new();
    for (name, digest) in digest.into_iter().chain([(text, None)]) {
        let kind = name.split_once(':').and_then(|(word, rest)| {
            // a question is no item
            let of_item = |kind: &ItemKind| *kind != ItemKind::Question && kind.as_str() == word;
            ItemKind::ALL.into_iter().find(of_item).map(|kind| (kind, rest))
        });
        let tool = Some((ItemKind::Tool, name));
        let items = kind.into_iter().chain(tool);
        readings.extend(items.map(|(kind, name)| (Item { kind, name: name.to_owned() }, digest)));
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::Timestamp;
    use store::PinState;

    fn pin(kind: ItemKind, name: &str) -> Pin {
        Pin {
            item: Item { kind, name: name.to_owned() },
            state: PinState::New,
            approved: None,
            seen: Digest::of(name.as_bytes()),
            seen_at: Timestamp(0),
            rejected: None,
            left: None,
        }
    }

    #[test]
    fn an_item_is_named_by_kind_name_and_digest() {
        let hex = "0".repeat(64);
        let (tool, none) = item("refund", &[]).unwrap();
        assert_eq!((tool.kind, tool.name.as_str(), none), (ItemKind::Tool, "refund", None));
        let pins = [pin(ItemKind::Resource, "file:///a=b")];
        for pins in [&[], pins.as_slice()] {
            let (uri, digest) = item(&format!("resource:file:///a=b=sha256:{hex}"), pins).unwrap();
            assert_eq!((uri.kind, uri.name.as_str()), (ItemKind::Resource, "file:///a=b"));
            assert_eq!(digest, Digest::parse(&format!("sha256:{hex}")));
        }
        assert!(matches!(item("refund=sha256:12", &[]), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_name_that_reads_as_another_item_names_neither() {
        let hex = "0".repeat(64);
        let look = format!("look=sha256:{hex}");
        for (text, pins) in [
            (look.as_str(), [pin(ItemKind::Tool, "look"), pin(ItemKind::Tool, &look)]),
            ("prompt:p", [pin(ItemKind::Prompt, "p"), pin(ItemKind::Tool, "prompt:p")]),
            ("prompt:p", [pin(ItemKind::Prompt, "p"), pin(ItemKind::Resource, "prompt:p")]),
        ] {
            let Err(Failure::Usage(why)) = item(text, &pins) else { panic!("{text} is taken") };
            assert!(why.contains("could be") && why.contains("tool:"), "{why}");
        }
        // an address may end like a digest
        let uri = format!("oci://x?digest=sha256:{hex}");
        let (one, digest) = item(&format!("resource:{uri}"), &[pin(ItemKind::Resource, &uri)]).unwrap();
        assert_eq!((one.name, digest), (uri, None));
        let (one, _) =
            item("tool:prompt:p", &[pin(ItemKind::Prompt, "p"), pin(ItemKind::Tool, "prompt:p")]).unwrap();
        assert_eq!(one.name, "prompt:p");
    }
}
