//! `cargo xtask codegen`: pages of docs/reference that are written from the code.
//!
//! Those that are read from the source are checked by tidy too; those that the built program tells are checked by the test run.

mod built;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::environment::say;
use crate::files::{Tree, root};
use crate::gateway::programs;

const CODES_FROM: &str = "crates/decision/src/code.rs";
const CODES_TO: &str = "docs/reference/codes.md";

const CODES_ABOUT: &str = "# Codes

Every answer the gateway gives has one of these codes: in the reply's `data`, in the record, in the log and in `callgate explain`. A code is
never renamed and never reused. Its class says whose no it is.

Written by `cargo xtask codegen` from the code; do not edit.

| code | class | meaning |
|---|---|---|
";

/// Writes every page, or with `--check` only says which differ.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let tree = Tree::load()?;
    match arguments {
        [] => {
            programs(false)?;
            for (path, text) in pages(&tree)?.into_iter().chain(built::pages()?) {
                let full = root().join(path);
                if let Some(folder) = full.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(full, text)?;
                say(&format!("wrote {path}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        [only] if only == "--check" => {
            programs(false)?;
            let mut stale = stale(&tree)?;
            stale.extend(stale_built(&tree)?);
            stale.iter().for_each(|problem| say(problem));
            Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => bail!("`codegen` takes `--check` or nothing"),
    }
}

/// Pages that are not what the source would write now.
pub(crate) fn stale(tree: &Tree) -> Result<Vec<String>> {
    Ok(differing(tree, &pages(tree)?))
}

/// Pages that are not what the built program would write now.
pub(crate) fn stale_built(tree: &Tree) -> Result<Vec<String>> {
    Ok(differing(tree, &built::pages()?))
}

fn differing(tree: &Tree, pages: &[(&'static str, String)]) -> Vec<String> {
    let stale = pages.iter().filter(|(path, text)| tree.text(path) != Some(text.as_str()));
    stale.map(|(path, _)| format!("{path} is stale: run `cargo xtask codegen`")).collect()
}

fn pages(tree: &Tree) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![(CODES_TO, codes(tree.text(CODES_FROM).unwrap_or_default())?)])
}

/// The table of codes from the `codes!` list: doc comments, then `Name = "name", Class;`.
fn codes(source: &str) -> Result<String> {
    let Some((_, list)) = source.split_once("\ncodes! {\n") else {
        bail!("{CODES_FROM} has no `codes!` list")
    };
    let mut page = CODES_ABOUT.to_owned();
    let mut meaning = String::new();
    let mut rows = 0;
    for line in list.lines().map(str::trim).take_while(|line| *line != "}") {
        if let Some(text) = line.strip_prefix("///") {
            meaning.push_str(text);
            continue;
        }
        let parsed = line.strip_suffix(';').and_then(|item| {
            let (_, rest) = item.split_once(" = \"")?;
            let (name, class) = rest.split_once("\", ")?;
            Some((name, class))
        });
        match parsed {
            Some((name, class)) if !meaning.trim().is_empty() => {
                writeln!(page, "| `{name}` | {} | {} |", spaced(class), meaning.trim().replace('|', "\\|"))?;
                rows += 1;
            }
            Some((name, _)) => bail!("{CODES_FROM}: `{name}` has no doc comment"),
            None if line.is_empty() => {}
            None => bail!("{CODES_FROM}: cannot read `{line}`"),
        }
        meaning.clear();
    }
    if rows == 0 {
        bail!("{CODES_FROM} lists no code");
    }
    Ok(page)
}

/// `PolicyDenial` as `policy denial`.
fn spaced(class: &str) -> String {
    let mut words = String::new();
    for letter in class.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "x\ncodes! {\n    /// It is\n    /// a | b.\n    NotOk = \"not-ok\", PolicyDenial;\n}\n";

    #[test]
    fn a_code_becomes_a_row() {
        assert!(codes(SOURCE).unwrap().ends_with("| `not-ok` | policy denial | It is a \\| b. |\n"));
    }

    #[test]
    fn a_code_without_a_meaning_is_a_fault() {
        assert!(codes("\ncodes! {\n    Ok = \"ok\", Gateway;\n}\n").is_err());
        assert!(codes("\ncodes! {\n}\n").is_err());
        assert!(codes("fn main() {}").is_err());
    }

    #[test]
    fn a_page_that_was_not_written_again_is_stale() {
        let page = codes(SOURCE).unwrap();
        assert_eq!(
            stale(&Tree::of(&[(CODES_FROM, SOURCE), (CODES_TO, &page)])).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(stale(&Tree::of(&[(CODES_FROM, SOURCE), (CODES_TO, "old")])).unwrap().len(), 1);
        assert_eq!(stale(&Tree::of(&[(CODES_FROM, SOURCE)])).unwrap().len(), 1);
    }
}
