//! As many different tools as five hundred servers have, made of words, so that texts and names have to be looked at one by one.

use crate::calls::{self, Era};
use crate::http::{Peer, find};
use crate::options::Options;
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;

const VERBS: [&str; 20] = [
    "get", "list", "search", "create", "update", "delete", "send", "export", "import", "archive", "restore",
    "assign", "merge", "approve", "schedule", "cancel", "rename", "share", "validate", "count",
];
const NOUNS: [&str; 23] = [
    "invoice",
    "ticket",
    "report",
    "contact",
    "order",
    "page",
    "comment",
    "branch",
    "deployment",
    "alert",
    "metric",
    "user",
    "group",
    "token",
    "file",
    "folder",
    "message",
    "channel",
    "event",
    "shipment",
    "dataset",
    "campaign",
    "payment",
];
const SYLLABLES: [&str; 16] =
    ["ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "zu", "dri", "fle", "gro", "sta", "plu", "kno"];

fn word<'a>(words: &[&'a str], at: usize) -> &'a str {
    words.get(at % words.len().max(1)).copied().unwrap_or_default()
}

/// A word that only this server has.
fn domain(server: usize) -> String {
    // far apart, so that no two look alike
    let mut rest = server.wrapping_add(1).wrapping_mul(40_503) % 65_536;
    let mut name = String::new();
    for _ in 0..4 {
        name.push_str(word(&SYLLABLES, rest % 16));
        rest /= 16;
    }
    name
}

/// The definitions of one server.
pub(crate) fn tools(server: usize, count: usize) -> String {
    let of = domain(server);
    let define = |at: usize| {
        let (verb, noun) = (word(&VERBS, at), word(&NOUNS, server * 7 + at * 5));
        format!(
            r#"{{"name":"{verb}_{of}_{noun}","title":"{verb} one {noun}","description":"Use this to {verb} the {noun} that {of} keeps for a team. The {noun} is named by its id, which the search of the same service returns. Results come in pages of at most one hundred; ask again with the cursor of the last page for more. Fields that the caller may not see are left out of what comes back.","inputSchema":{{"type":"object","properties":{{"{noun}_id":{{"type":"string","description":"Id of the {noun}, as {of} shows it"}},"team":{{"type":"string","description":"The team it belongs to","maxLength":80}},"cursor":{{"type":"string","description":"From the page before"}},"limit":{{"type":"integer","minimum":1,"maximum":100,"default":20}},"state":{{"type":"string","enum":["open","closed","all"]}}}},"required":["{noun}_id"]}}}}"#
        )
    };
    format!("[{}]", (0..count).map(define).collect::<Vec<_>>().join(","))
}

/// The number of the server whose path a request's head names: `/17/mcp`.
pub(crate) fn server_of(head: &str) -> Option<usize> {
    head.split(' ').nth(1)?.strip_prefix('/')?.split('/').next()?.parse().ok()
}

/// Every definition of all servers, as `callgate scan` reads them.
pub(crate) fn catalogue(options: &Options) -> Result<String> {
    let (servers, count): (usize, usize) = (options.need("servers")?, options.need("tools")?);
    let one = |server| format!(r#"{{"server":"s{server:03}","tools":{}}}"#, tools(server, count));
    Ok(format!("[{}]", (0..servers).map(one).collect::<Vec<_>>().join(",")))
}

/// Asks for every page of a list, and says how many tools there were.
pub(crate) fn list(options: &Options) -> Result<String> {
    let (port, token): (u16, String) = (options.need("port")?, options.need("token")?);
    let mut peer = Peer::connect(port)?;
    let (mut found, mut pages, mut cursor) = (0, 0, None);
    loop {
        peer.send(&page(port, &token, cursor.as_deref())?)?;
        let answer = peer.receive()?.context("the connection ended")?;
        ensure!(
            answer.head.starts_with("HTTP/1.1 200 "),
            "{}",
            answer.head.lines().next().unwrap_or_default()
        );
        found += answer.body.windows(13).filter(|part| part == b"\"inputSchema\"").count();
        pages += 1;
        match next(answer.body)? {
            Some(next) => cursor = Some(next),
            None => return Ok(format!(r#"{{"tools":{found},"pages":{pages}}}"#)),
        }
    }
}

fn next(body: &[u8]) -> Result<Option<String>> {
    const KEY: &[u8] = br#""nextCursor":""#;
    let Some(at) = find(body, KEY) else { return Ok(None) };
    let rest = body.get(at + KEY.len()..).unwrap_or_default();
    let cursor = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    Ok(Some(std::str::from_utf8(cursor)?.to_owned()))
}

fn page(port: u16, token: &str, cursor: Option<&str>) -> Result<Vec<u8>> {
    let way = calls::Way {
        port,
        path: "/mcp".to_owned(),
        prefix: String::new(),
        token: Some(token.to_owned()),
        era: Era::Modern,
        session: None,
    };
    let mut more = String::new();
    if let Some(cursor) = cursor {
        write!(more, r#""cursor":"{cursor}","#)?;
    }
    calls::list(&way, 1, &more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_servers_share_a_word_and_no_two_tools_a_name() {
        let domains: BTreeSet<String> = (0..500).map(domain).collect();
        assert_eq!(domains.len(), 500);
        let listed = tools(7, 20);
        let names: BTreeSet<&str> =
            listed.split(r#"{"name":""#).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(names.len(), 20);
    }

    #[test]
    fn a_server_is_named_by_its_path_and_a_page_by_its_cursor() {
        assert_eq!(server_of("POST /17/mcp HTTP/1.1"), Some(17));
        assert_eq!(server_of("POST /mcp HTTP/1.1"), None);
        assert_eq!(next(br#"{"nextCursor":"abc","tools":[]}"#).unwrap().as_deref(), Some("abc"));
        assert_eq!(next(br#"{"tools":[]}"#).unwrap(), None);
        let asked = page(1, "t", Some("abc")).unwrap();
        assert!(find(&asked, br#""params":{"cursor":"abc","_meta""#).is_some());
    }
}
