//! Proofs that an entry is in the log: made here, and checked by whoever has the log's key.

use super::{KEY, entries};
use crate::{
    cli::Given,
    control::{Book, Request, Response},
    failure::{Outcome, Verdict},
    place::Place,
    say::{one_line, tamed_json},
};
use anyhow::Context as _;
use decision::counted;
use serde_json::json;
use std::{collections::BTreeMap, path::Path};
use store::ledger::{EntryProof, PublicKey};

pub(super) async fn prove(which: &str, given: &Given, place: &Place) -> Outcome {
    let book = Book::open_to_read(place).await?;
    let indices = match which.parse::<u64>() {
        Ok(index) => vec![index],
        Err(_) => entries(which, &book, place).await?.iter().map(|found| found.index).collect(),
    };
    let mut proofs = Vec::new();
    for index in indices {
        let Response::Proof { proof, key } = book.ask(Request::Prove { index }).await? else { continue };
        proof
            .check(&key.parse::<PublicKey>()?)
            .context("the proof just made does not hold: verify the log")?;
        proofs.push(json!({ "key": key, "proof": proof }));
    }
    book.close().await?;
    // a proof is for programs and for other people; it has one form
    given.say.raw(&tamed_json(&serde_json::to_string_pretty(&proofs)?));
    Ok(Verdict::Yes)
}

/// What `callgate audit prove` writes of one entry.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    /// Said for whoever has no other; the key that counts is the one that was given.
    #[serde(default)]
    key: Option<String>,
    proof: EntryProof,
}

/// Checks proofs, each entry once, and says which entries they are of: what stands beside a proof is proven by nothing.
pub(super) fn check(file: &Path, key: &str, given: &Given) -> Outcome {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let proofs: Vec<One> =
        serde_json::from_str(&text).context("this is not what `callgate audit prove` writes")?;
    let key = public_key(key)?;
    let (mut held, mut failed) = (BTreeMap::new(), Vec::new());
    for One { key: said, proof } in &proofs {
        let other = said.as_ref().is_some_and(|said| said.parse::<PublicKey>().ok().as_ref() != Some(&key));
        let index = proof.inclusion.index;
        match proof.check(&key) {
            Ok(()) if other => {
                failed.push(format!("the key beside the proof of entry {index} is another one"))
            }
            Ok(()) => drop(held.insert(index, proof)),
            Err(error) => failed.push(error.to_string()),
        }
    }
    let good = failed.is_empty() && !held.is_empty();
    let entries: Vec<_> =
        held.iter().map(|(index, proof)| json!({ "index": index, "call": proof.call() })).collect();
    given.say.json(&json!({ "ok": good, "proofs": held.len(), "entries": entries, "failed": failed }));
    for failure in &failed {
        given.say.line(format!("{} {}", given.say.paint(31, "✗"), one_line(failure)));
    }
    if good {
        for (index, proof) in &held {
            let of = proof.call().map_or_else(|| "of no call".to_owned(), |call| format!("of {call}"));
            given.say.line(format!("  entry {index}, {of}"));
        }
        given.say.line(format!(
            "{} {} {} in the log of {}",
            given.say.paint(32, "✓"),
            counted(held.len(), "entry"),
            if held.len() == 1 { "is" } else { "are" },
            key.origin()
        ));
    }
    Ok(good.into())
}

/// A key as it is, or the file that holds it; as `callgate audit checkpoint` writes it, too.
pub(super) fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    let written = match text.strip_prefix(KEY).unwrap_or(text).parse::<PublicKey>() {
        Ok(key) => return Ok(key),
        Err(_) => {
            std::fs::read_to_string(text).with_context(|| format!("`{text}` is neither a key nor a file"))?
        }
    };
    let written = written.trim();
    written.strip_prefix(KEY).unwrap_or(written).parse().with_context(|| {
        format!("`{text}` holds no public key: `callgate audit checkpoint` writes it on standard error")
    })
}
