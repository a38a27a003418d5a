//! `crates/gateway/src/lib.rs` reads like the path of a call.

use crate::files::Tree;

const STAGES: &str = "crates/decision/src/stage.rs";
const MODULES: &str = "crates/gateway/src/lib.rs";

/// The stages' modules are there, and in the order of `Stage::PATH`. A module is named after its stage, or starts with its name.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let (Some(stages), Some(library)) = (tree.text(STAGES), tree.text(MODULES)) else {
        return vec![format!("{STAGES} or {MODULES} is missing")];
    };
    let path = stages_of(stages);
    if path.is_empty() {
        return vec![format!("{STAGES} has no `const PATH: [Self; N] = [Self::…]`")];
    }
    let modules = modules_of(library);
    // Before the path is a module there is nothing to order.
    if !modules.contains(&"govern") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut last = 0;
    for stage in path {
        let place = modules.iter().position(|m| *m == stage || m.starts_with(&format!("{stage}_")));
        match place {
            None => problems.push(format!("{MODULES} has no module for the stage `{stage}`")),
            Some(place) if place < last => {
                problems.push(format!(
                    "{MODULES}: the module of `{stage}` comes too early; list modules as a call meets them"
                ));
            }
            Some(place) => last = place,
        }
    }
    problems
}

fn stages_of(text: &str) -> Vec<String> {
    let list = text
        .split_once("const PATH: [Self;")
        .and_then(|(_, rest)| rest.split_once("= ["))
        .and_then(|(_, rest)| rest.split_once(']'));
    list.map(|(list, _)| {
        list.split(',').filter_map(|item| item.trim().strip_prefix("Self::")).map(snake).collect()
    })
    .unwrap_or_default()
}

fn modules_of(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        })
        .collect()
}

fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "pub const PATH: [Self; 3] = [Self::Listen, Self::Route, Self::Inspect];";

    fn judge(library: &str) -> Vec<String> {
        check(&Tree::of(&[(STAGES, PATH), (MODULES, library)]))
    }

    #[test]
    fn modules_in_the_order_of_the_path_are_tidy() {
        assert_eq!(
            judge("pub mod govern;\n\nmod listen;\n\npub(crate) mod route;\nmod inspect_result;\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_module_out_of_order_is_reported() {
        assert_eq!(judge("mod govern;\nmod listen;\nmod inspect;\nmod route;\n").len(), 1);
    }

    #[test]
    fn a_missing_module_is_reported() {
        assert!(judge("mod govern;\nmod listen;\nmod route;\n").concat().contains("`inspect`"));
    }

    #[test]
    fn a_path_that_cannot_be_read_is_reported() {
        let tree = Tree::of(&[(STAGES, "enum Stage {}"), (MODULES, "")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
