//! Where a file has state kept that does not hold: whoever works by what is in force has to find the gateway by it.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use toml::de::DeTable;

/// Most places that are tried.
const TRIED_MAX: usize = 8;
const KEYS: [&str; 2] = ["state-dir", "state_dir"];

/// Where this file may have state kept, whatever else is wrong with it: each place that looks as if it said so is read for
/// itself, since a slip in one can hide those that follow. Whoever asks there has to see whether it is right.
pub(crate) fn state_dirs(path: &Path, bytes: &[u8]) -> BTreeSet<PathBuf> {
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    let text = text(bytes);
    let said = KEYS.iter().flat_map(|key| text.match_indices(key).map(move |(at, _)| (at + key.len(), *key)));
    let dirs = said.filter_map(|(at, _)| value(text.get(at..)?));
    dirs.take(TRIED_MAX).map(|dir| base.join(dir)).collect()
}

/// The string that such a key is set to.
fn value(rest: &str) -> Option<String> {
    let line = rest.lines().next()?;
    let line = line.strip_prefix(['"', '\'']).unwrap_or(line).trim_start().strip_prefix('=')?;
    let line = format!("dir = {}", line.trim_start());
    let (table, _) = DeTable::parse_recoverable(&line);
    Some(table.get_ref().get("dir")?.get_ref().as_str()?.to_owned())
}

/// An editor may have written it in another encoding, which is a slip too.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let (units, _) = bytes.as_chunks::<2>();
        Cow::Owned(String::from_utf16_lossy(&units.iter().map(|unit| of(*unit)).collect::<Vec<_>>()))
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Vec<String> {
        let dirs = state_dirs(Path::new("/etc/callgate/callgate.toml"), bytes);
        dirs.into_iter().map(|dir| dir.display().to_string()).collect()
    }

    #[test]
    fn where_state_is_kept_is_found_in_a_file_that_does_not_hold() {
        let wanted = ["/etc/callgate/state"];
        let good = "listen = \"127.0.0.1:1\"\nstate-dir = \"state\"\n[servers.a]\n";
        assert_eq!(found(good.as_bytes()), wanted);
        for slip in ["oops = = 1\n", "x = \"\n", "\0", "\"\"\"\n"] {
            assert_eq!(found(format!("{good}{slip}").as_bytes()), wanted, "{slip:?}");
            assert_eq!(found(format!("{slip}{good}").as_bytes()), wanted, "{slip:?}");
        }
        for (key, value) in [
            ("\"state-dir\"", "'state'"),
            ("'state-dir'", "\"state\""),
            ("state_dir", "\"state\" # M"),
            ("state-dir", "\"state\" listen = 3"),
            ("listen = \"127.0.0.1:1\" state-dir", "\"state\""),
        ] {
            assert_eq!(found(format!("oops = = 1\n{key} = {value}\r\n").as_bytes()), wanted, "{key} {value}");
        }
        assert_eq!(found(&[good.as_bytes(), b"# M\xfcller\n"].concat()), wanted);
        let wide = |of: fn(u16) -> [u8; 2]| {
            let text = format!("\u{feff}{good}");
            text.encode_utf16().flat_map(of).collect::<Vec<u8>>()
        };
        assert_eq!(found(&wide(u16::to_le_bytes)), wanted);
        assert_eq!(found(&wide(u16::to_be_bytes)), wanted);
        assert_eq!(found(b"state-dir = 3\n# the state-dir is elsewhere\nstate-dirs = \"x\"\n"), [""; 0]);
    }
}
