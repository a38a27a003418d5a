//! Names and texts that others chose, as an entry keeps them.

use decision::{Digest, Item, Target};

/// Longest item name an entry keeps whole; what is longer is cut and its digest added.
pub(super) const NAME_CHARS_MAX: usize = 1_024;
/// And of one that is none of ours.
const ASKED_CHARS_MAX: usize = 128;

pub(super) fn shorten(mut target: Target) -> Target {
    if target.item.name.chars().count() > NAME_CHARS_MAX {
        let digest = Digest::of(target.item.name.as_bytes());
        target.item.name = format!("{}… {digest}", cut(&target.item.name, NAME_CHARS_MAX - 100));
    }
    target
}

/// What somebody wrote where a name belongs: it may be anything.
pub(super) fn named(asked: &Item) -> Item {
    Item { kind: asked.kind, name: inspect::shown::visible(&cut(&asked.name, ASKED_CHARS_MAX)) }
}

/// Bytes of what one stage names that an entry keeps.
const BASIS_BYTES_MAX: usize = 1_024;

/// What a stage names, in an entry: any number of rules can be why. Of what is too much its number and digest are kept.
pub(super) fn bound(basis: &mut Vec<String>) {
    let mut bytes = 0;
    let fits = basis.iter().take_while(|one| {
        bytes += one.len();
        bytes <= BASIS_BYTES_MAX
    });
    let kept = fits.count();
    if kept < basis.len() {
        let rest = basis.split_off(kept);
        basis.push(format!("and {} more: {}", rest.len(), Digest::of(rest.join("\n").as_bytes())));
    }
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_stage_names_so_much_is_kept_and_the_rest_is_counted() {
        let names = |n: usize| (0..n).map(|n| format!("rule:{n:03}")).collect::<Vec<_>>();
        for n in [0, 1, 128] {
            let mut basis = names(n);
            bound(&mut basis);
            assert_eq!(basis, names(n), "{n}");
        }
        let mut basis = names(600);
        bound(&mut basis);
        assert_eq!((basis.len(), &basis[127]), (129, &"rule:127".to_owned()));
        let rest = Digest::of(names(600)[128..].join("\n").as_bytes());
        assert_eq!(basis[128], format!("and 472 more: {rest}"));
        let mut one = vec!["x".repeat(5_000)];
        bound(&mut one);
        assert!(one.len() == 1 && one[0].starts_with("and 1 more: sha256:"), "{one:?}");
    }
}
