//! The scene in which somebody edits the log: a byte in an exported copy, and one in a copy of the live folder.

use super::Stage;
use anyhow::{Context as _, anyhow};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// All files below a folder, in order.
pub(super) fn files(dir: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                match fs::read(entry.path()) {
                    Ok(bytes) => found.push((entry.path(), bytes)),
                    // what is in use may come and go
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a folder's files, as they are now.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for (path, bytes) in files(from)? {
        let to = to.join(path.strip_prefix(from)?);
        fs::create_dir_all(to.parent().context("a file is in no folder")?)?;
        fs::write(to, bytes)?;
    }
    Ok(())
}

pub(super) async fn the_edit(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("Somebody edits the log");
    let call = stage.large.as_deref().context("there was no large refund")?;
    let shown = stage.place.ask(&["audit", "show", call], None).await?.value;
    let entries = shown.get("entries").and_then(Value::as_array).context("the call has no entries")?;
    let kind = |entry: &&Value| entry.pointer("/entry/kind").and_then(Value::as_str) == Some("decision");
    let decision = entries.iter().find(kind).context("the call has no decision")?;
    let index = decision.get("index").and_then(Value::as_u64).context("the entry has no index")?;
    let closed = decision.pointer("/entry/closed-at").context("the decision has no time")?.to_string();
    let kept = stage.place.ask(&["audit", "checkpoint"], None).await?.value;
    let key = kept.get("key").and_then(Value::as_str).context("the log shows no key")?.to_owned();

    let export = stage.place.dir().join("export-edit");
    let to = export.to_str().context("the folder's name is not text")?;
    stage.place.ask(&["audit", "export", to], None).await?;
    let live = stage.place.dir().join("ledger-edit");
    copy(&stage.place.state().join("ledger"), &live)?;
    for (name, dir) in [("an export", &export), ("a copy of the log in use", &live)] {
        let dir_text = dir.to_str().context("the folder's name is not text")?;
        let verify = ["audit", "verify", dir_text, "--key", &key];
        let before = stage.place.ask(&verify, None).await?;
        let (was, is) = edit(dir, &closed)?;
        let after = stage.place.ask(&verify, None).await?;
        stage.tell.asks(&format!("{name}, the refund of 500: \"closed-at\": {was} becomes {is}, one byte"));
        stage.tell.hears(after.value.get("headline").and_then(Value::as_str).unwrap_or_default());
        let place = after.value.pointer("/report/findings/0/place").cloned().unwrap_or_default();
        let named = place.get("index").and_then(Value::as_u64);
        stage.tell.expect(
            before.yes && !after.yes && named == Some(index),
            &format!("it held before; now verify points at entry {index}, which is the one"),
            &format!(
                "verify should have said yes before the edit and no after it, at entry {index}, not {place}"
            ),
        );
    }
    Ok(())
}

/// Changes the last digit of a time, in the one file that has it. Returns the time as it was and as it is.
fn edit(dir: &Path, time: &str) -> anyhow::Result<(String, String)> {
    let needle = format!("\"closed-at\":{time}").into_bytes();
    for (path, mut bytes) in files(dir)? {
        let at = bytes.windows(needle.len()).position(|window| window == needle);
        let last = needle.iter().rposition(u8::is_ascii_digit);
        let (Some(at), Some(last)) = (at, last) else { continue };
        let digit = bytes.get_mut(at + last).context("the time is not in the file")?;
        *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
        let edited = bytes.get(at..at + needle.len()).unwrap_or_default().to_vec();
        fs::write(path, bytes)?;
        let edited = String::from_utf8(edited)?.replace("\"closed-at\":", "");
        return Ok((time.to_owned(), edited));
    }
    Err(anyhow!("the entry is not in `{}`", dir.display()))
}
