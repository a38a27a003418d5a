//! The part of `docs/compatibility.md` that says how the official clients sign in. What stands before it is the matrix's.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Flow, STEPS};
use crate::files::root;

pub(crate) const PAGE: &str = "docs/compatibility.md";

const HEADING: &str = "\n# Signing in\n";

const ABOUT: &str = "
Official clients' own OAuth flows against the certified provider `oidc-provider`, with a real browser, from nothing but the gateway's
address. Written by `cargo xtask flows`, which CI repeats; do not edit.

*Sign in*: refused, found the resource's metadata, the provider's, registered, PKCE, login and consent in Chromium, listed the tools. *Call*: a
read, with the scope that was asked for first. *Step up*: a write, refused for want of a scope, asked for it and did it. *Refresh*: the token
ran out and is refused; the client got another without a person. *Audience*: a good token for the gateway's other entrance is refused.
Access tokens are signed (RFC 9068) but where a row says that they are opaque, and then the gateway asks the provider about them (RFC 7662).

\u{2013} the client cannot: asked for a wider scope, the TypeScript SDK v1 refreshes the token it has, gets the same scope and gives up. Where it has
no refresh token it asks the person, as it should.
";

/// The matrix's part of a page.
pub(crate) fn before(page: &str) -> &str {
    page.split_once(HEADING).map_or(page, |(matrix, _)| matrix)
}

/// The matrix's part with the present part on signing in behind it.
pub(crate) fn after(matrix: &str, page: &str) -> String {
    match page.split_once(HEADING) {
        Some((_, flows)) => format!("{matrix}{HEADING}{flows}"),
        None => matrix.to_owned(),
    }
}

pub(super) fn write(flows: &[Flow]) -> Result<()> {
    let path = root().join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, format!("{}{}", before(&page), render(flows)?))?;
    Ok(())
}

pub(super) fn is_true(flows: &[Flow]) -> Result<bool> {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    Ok(page == format!("{}{}", before(&page), render(flows)?))
}

fn render(flows: &[Flow]) -> Result<String> {
    let mut part = format!("{HEADING}{ABOUT}");
    writeln!(part, "\n| client | revision | {} |", STEPS.join(" | "))?;
    writeln!(part, "|---|---|{}", "---|".repeat(STEPS.len()))?;
    for flow in flows {
        let revision = flow.said.get("revision").and_then(serde_json::Value::as_str).unwrap_or("none");
        let mark = |step: &&str| match flow.outcome(step) {
            Some(Ok(())) => "\u{2714}",
            Some(Err(_)) => "\u{2718}",
            None => "\u{2013}",
        };
        let marks: Vec<&str> = STEPS.iter().map(mark).collect();
        writeln!(part, "| {} | {revision} | {} |", flow.client, marks.join(" | "))?;
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_parts_of_the_page_are_kept_apart() {
        let said = json!({ "revision": "2025-11-25", "sign in": "ok", "call": "no" });
        let flow = Flow { client: "C", without: &["refresh"], said };
        let part = render(&[flow]).unwrap();
        assert!(
            part.contains("| C | 2025-11-25 | \u{2714} | \u{2718} | \u{2718} | \u{2013} | \u{2718} |"),
            "{part}"
        );
        let page = format!("# Compatibility\nold\n{part}");
        assert_eq!(before(&page), "# Compatibility\nold\n");
        assert_eq!(after("# Compatibility\nnew\n", &page), format!("# Compatibility\nnew\n{part}"));
        assert_eq!(after("# Compatibility\nnew\n", "nothing"), "# Compatibility\nnew\n");
    }
}
