//! Values that stand on a scale: who sees it, who may what, where it happens, how much of it.

use crate::names::words;

/// From less to more; what stands together is the same.
const SCALES: &[&[&[&str]]] = &[
    &[
        &["private", "secret", "nobody"],
        &["internal", "restricted", "confidential"],
        &["team", "group", "org", "organization", "company", "domain", "authenticated"],
        &["unlisted", "link"],
        &["public", "anyone", "world", "anonymous", "everyone"],
    ],
    &[
        &["none", "guest"],
        &["viewer", "reader", "view", "read", "readonly", "commenter", "triage"],
        &["member", "user", "contributor", "editor", "writer", "write", "edit", "developer", "collaborator"],
        &["maintainer", "maintain", "manager", "moderator", "operator"],
        &["admin", "administrator", "owner", "superuser", "superadmin", "root", "full", "unrestricted"],
    ],
    &[
        &["local", "dev", "development", "test", "testing", "sandbox", "qa", "demo"],
        &["staging", "stage", "preview", "preprod", "canary"],
        &["production", "prod", "live"],
    ],
    &[
        &["me", "self", "own", "mine", "myself", "current", "one", "single"],
        &["team", "group", "selected", "some"],
        &["all", "any", "every", "everyone", "everybody", "everything", "others", "global", "anybody"],
    ],
    &[
        &["ask", "prompt", "always", "manual", "required", "strict", "enforce", "enforced", "block"],
        &["warn", "optional", "moderate", "relaxed", "lenient", "permissive"],
        &["auto", "automatic", "never", "off", "disabled", "skip", "ignore", "false", "bypass"],
    ],
    &[&["readonly"], &["workspace", "write"], &["full", "danger", "unrestricted", "unconfined"]],
];

/// Where a value stands on each scale: the highest of its words.
fn places(value: &str) -> Vec<Option<usize>> {
    let mut words = words(value);
    if words.windows(2).any(|pair| matches!(pair, [a, b] if a == "read" && b == "only")) {
        words.retain(|word| word != "read" && word != "only");
        words.push("readonly".to_owned());
    }
    let height =
        |scale: &&[&[&str]], word: &String| scale.iter().position(|step| step.contains(&word.as_str()));
    SCALES.iter().map(|scale| words.iter().filter_map(|word| height(scale, word)).max()).collect()
}

/// So long a value is no word of a scale.
const VALUE_MAX: usize = 60;

/// How far some values go on each scale.
pub(super) struct Tops(Vec<Option<usize>>);

impl Tops {
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut tops = vec![None; SCALES.len()];
        for value in values.filter(|value| value.len() <= VALUE_MAX) {
            tops.iter_mut().zip(places(value)).for_each(|(top, place)| *top = place.max(*top));
        }
        Self(tops)
    }

    /// Whether a value goes further than any of them, on a scale that some of them are on.
    pub(super) fn are_below(&self, value: &str) -> bool {
        let both = self.0.iter().zip(if value.len() > VALUE_MAX { vec![] } else { places(value) });
        both.filter_map(|(top, place)| top.zip(place)).any(|(top, place)| place > top)
    }
}

/// Whether one value stands for more than another, on a scale that has both.
pub(super) fn is_more(old: &str, new: &str) -> bool {
    Tops::of([old].into_iter()).are_below(new)
}

/// Whether a path, or a pattern of names, takes hold of more than another: it leads to it, or is a root.
pub(super) fn is_wider(old: &str, new: &str) -> bool {
    const ROOTS: &[&str] = &["/", "~", "~/", "*", "**", "/*", "/**", "**/*", "..", "../", ".*", "C:\\", "%"];
    let root = |path: &str| ROOTS.contains(&path);
    if root(new) {
        return !root(old);
    }
    let inside = |path: &str| path.trim_start_matches("./").to_owned();
    let (before, after) = (inside(old), inside(new));
    let above = after.trim_end_matches(['*', '/']);
    let is_path = |one: &str| one.contains('/') || one.starts_with(['.', '~']) || one.contains('*');
    if !is_path(old) || !(is_path(new) || before.starts_with(&format!("{new}/"))) || old.contains("://") {
        return false;
    }
    let leads =
        after.is_empty() || after == "." || above.is_empty() || before.starts_with(&format!("{above}/"));
    let leaves = |path: &str| path.starts_with(['/', '~']) || path.starts_with("..");
    (leads && before.trim_end_matches(['*', '/']) != above) || (leaves(new) && !leaves(old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_from_less_where_both_are_on_one_scale() {
        for (less, more) in [
            ("private", "public-read"),
            ("viewer", "owner"),
            ("staging", "production"),
            ("me", "all"),
            ("read-only", "danger-full-access"),
            ("ask", "never"),
            ("read-only", "read-write"),
        ] {
            assert!(is_more(less, more) && !is_more(more, less), "{less} {more}");
        }
        for (one, other) in [("asc", "desc"), ("private", "admin"), ("read", "read"), ("json", "all")] {
            assert!(!is_more(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_path_that_leads_to_another_is_wider() {
        for (less, more) in [
            ("./build", "/"),
            ("./build", "."),
            ("src/a", "src"),
            ("src/**", "**"),
            ("*.log", "*"),
            ("/tmp/x", "/tmp"),
            ("./a", "../a"),
            ("out/", "~/out"),
        ] {
            assert!(is_wider(less, more) && !is_wider(more, less), "{less} {more}");
        }
        for (one, other) in [
            ("./build", "./dist"),
            ("a", "b"),
            ("a.txt", "b.txt"),
            ("/tmp", "/tmp/"),
            ("https://a.b/c", "https://a.b"),
        ] {
            assert!(!is_wider(one, other), "{one} {other}");
        }
    }
}
