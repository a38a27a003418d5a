//! What the record says of settings: by a digest which are in force, and by name which are others now.

use super::{Meant, effective};
use decision::Digest;
use toml::{Table, Value};

/// Most names that one event has.
const NAMES_MAX: usize = 32;
/// As deep as names go: `servers.crm.mode`. What is below may be called as somebody likes.
const DEPTH: usize = 3;

/// Other settings than before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) before: Digest,
    pub(crate) after: Digest,
    /// Which they are, never what they are.
    pub(crate) names: String,
}

/// The digest of every setting with its value in force: the same where they mean the same, however they are written.
pub(crate) fn digest(meant: &Meant) -> Digest {
    of(&effective(meant))
}

/// How these settings differ, if they do.
pub(crate) fn changed(before: &Meant, after: &Meant) -> Option<Changed> {
    let (old, new) = (effective(before), effective(after));
    if old == new {
        return None;
    }
    let mut names = Vec::new();
    differing("", &old, &new, DEPTH, &mut names);
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    Some(Changed { before: of(&old), after: of(&new), names: names.join(", ") })
}

fn of(table: &Table) -> Digest {
    Digest::of_parts(&[b"callgate/settings/v1\0", table.to_string().as_bytes()])
}

fn differing(above: &str, old: &Table, new: &Table, depth: usize, names: &mut Vec<String>) {
    let also = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(also) {
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match (old.get(key), new.get(key)) {
            (one, other) if one == other => {}
            (Some(Value::Table(one)), Some(Value::Table(other))) if depth > 1 => {
                differing(&name, one, other, depth - 1, names);
            }
            (_, _) => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn meant(text: &str) -> Meant {
        super::super::read(Path::new("/etc/callgate.toml"), text, Path::new("/state"))
            .unwrap_or_else(|_| panic!("{text}"))
    }

    const PLAIN: &str = "[servers.crm]\nurl = \"http://127.0.0.1:9/mcp\"\n";

    #[test]
    fn whatever_lets_more_pass_is_another_digest_and_named_and_its_value_is_not() {
        let before = meant(PLAIN);
        for (text, names) in [
            (format!("allow-unauthenticated-loopback = \"bot\"\n{PLAIN}"), "allow-unauthenticated-loopback"),
            (format!("{PLAIN}mode = \"observe\"\n"), "servers.crm.mode"),
            (format!("{PLAIN}keep = {{ arguments = false }}\n"), "servers.crm.keep"),
            (format!("{PLAIN}[servers.crm.tools.refund]\neffect = \"read\"\n"), "servers.crm.tools"),
            (format!("{PLAIN}[console]\nadministrators = [\"finance\"]\n"), "console.administrators"),
            (PLAIN.replace(":9/", ":10/"), "servers.crm.url"),
            (String::new(), "servers.crm"),
        ] {
            let after = meant(&text);
            let changed = changed(&before, &after).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((changed.before, changed.after), (digest(&before), digest(&after)), "{text}");
            assert_ne!(changed.before, changed.after, "{text}");
            assert!(changed.names.contains(names), "{text}: {}", changed.names);
            assert!(
                !changed.names.contains("observe") && !changed.names.contains("bot"),
                "{}",
                changed.names
            );
        }
    }

    #[test]
    fn what_is_only_written_otherwise_is_no_change() {
        let again = format!("# a remark\nstdio-agent = \"local\"\n\n{PLAIN}mode = \"enforce\"\n");
        assert_eq!(changed(&meant(PLAIN), &meant(&again)), None);
        let many = (0..40).map(|n| format!("[servers.s{n}]\nurl = \"http://127.0.0.1:9/mcp\"\n"));
        let changed = changed(&meant(""), &meant(&many.collect::<String>())).unwrap();
        assert!(changed.names.ends_with(", 8 more"), "{}", changed.names);
    }
}
