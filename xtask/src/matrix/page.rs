//! `docs/compatibility.md`: what the run said, as a table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;

use super::{Pair, STEPS};

const ABOUT: &str = "# Compatibility

Official clients against official servers, through the gateway. Written by `cargo xtask clients`, which CI repeats; do not edit.

\u{2714} worked, \u{2718} did not, \u{2013} the server does not offer it or the client cannot do it. Every client meets every server,
also where they share no protocol era: `-legacy`, `everything` and `filesystem` know only `initialize`, `-modern` only `server/discover`. In
*elicit* and *sample* the server asks in mid-call for a person's and for a model's word. *All at once* is `/mcp`, where servers are offered together; what is tried there is `reference`.
What holds of every client over every server is in [the matrix](matrix.md).
";

/// The whole page.
pub(crate) fn render(pairs: &[Pair]) -> Result<String> {
    let mut page = ABOUT.to_owned();
    let mut seen = BTreeSet::new();
    for server in pairs.iter().map(|pair| pair.server.as_str()).filter(|server| seen.insert(*server)) {
        writeln!(page, "\n## {server}\n\n| client | revision | {} |", STEPS.join(" | "))?;
        writeln!(page, "|---|---|{}", "---|".repeat(STEPS.len()))?;
        for pair in pairs.iter().filter(|pair| pair.server == server) {
            let marks: Vec<&str> = STEPS
                .iter()
                .map(|step| match pair.outcome(step) {
                    Some(Ok(())) => "\u{2714}",
                    Some(Err(_)) => "\u{2718}",
                    None => "\u{2013}",
                })
                .collect();
            writeln!(page, "| {} | {} | {} |", pair.client, pair.revision(), marks.join(" | "))?;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_a_table_and_a_client_a_row() {
        let said = json!({ "revision": "2025-11-25", "list": "ok", "call": "no", "read": null });
        let page = render(&[Pair { server: "time".to_owned(), client: "C", said }]).unwrap();
        assert!(page.contains("## time\n"), "{page}");
        assert!(page.contains("| C | 2025-11-25 | \u{2714} | \u{2718} | \u{2013} | \u{2013} |"), "{page}");
    }
}
