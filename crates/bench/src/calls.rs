//! The calls both ends know: what is asked, what is answered, and whether an answer is the right one.

use crate::http::find;
use anyhow::{Context as _, Result, bail, ensure};
use std::fmt::Write as _;
use std::str::FromStr;

/// Bytes that are echoed.
const ECHO_BYTES: usize = 64;
/// Bytes of a large result.
const LARGE_BYTES: usize = 64 << 10;

/// What is asked again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64 bytes, and the same 64 bytes back.
    Echo,
    /// A result of 64 KiB that was never seen before.
    Large,
    /// `tools/list`.
    List,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "echo" => Ok(Self::Echo),
            "large" => Ok(Self::Large),
            "list" => Ok(Self::List),
            _ => bail!("the kinds are echo, large and list"),
        }
    }
}

/// The era a message is spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25.
    Legacy,
}

impl FromStr for Era {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "modern" => Ok(Self::Modern),
            "legacy" => Ok(Self::Legacy),
            _ => bail!("the eras are modern and legacy"),
        }
    }
}

/// Letters and digits that only this number has.
fn unique(number: u64, bytes: usize) -> String {
    let mut text = format!("{number:016x}");
    text.reserve(bytes);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_be_bytes();
        text.extend(word.iter().map(|byte| char::from(b'a' + byte % 26)));
    }
    text.truncate(bytes);
    text
}

/// Where calls go and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) port: u16,
    pub(crate) path: String,
    /// What stands before a tool's own name.
    pub(crate) prefix: String,
    pub(crate) token: Option<String>,
    pub(crate) era: Era,
    /// Of a legacy connection, once it began.
    pub(crate) session: Option<String>,
}

/// The first message of a legacy connection, head and body.
pub(crate) fn greeting(way: &Way) -> Result<Vec<u8>> {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    message(way, "", body)
}

fn message(way: &Way, more: &str, body: &str) -> Result<Vec<u8>> {
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\n{more}",
        way.path,
        way.port,
        body.len()
    );
    if let Some(token) = &way.token {
        write!(head, "authorization: Bearer {token}\r\n")?;
    }
    head.push_str("\r\n");
    head.push_str(body);
    Ok(head.into_bytes())
}

/// A request, head and body.
pub(crate) fn request(kind: Kind, number: u64, way: &Way) -> Result<Vec<u8>> {
    let name = |tool: &str| format!("{}{tool}", way.prefix);
    let (method, name, params) = match kind {
        Kind::Echo => ("tools/call", Some(name("echo")), ("text", unique(number, ECHO_BYTES))),
        Kind::Large => ("tools/call", Some(name("large")), ("seed", number.to_string())),
        Kind::List => ("tools/list", None, ("", String::new())),
    };
    let mut asked = String::new();
    if let Some(name) = &name {
        write!(asked, r#""name":"{name}","arguments":{{"{}":"{}"}},"#, params.0, params.1)?;
    }
    whole(way, number, method, name.as_deref(), &asked)
}

/// A request for a list, `asked` in front of its metadata.
pub(crate) fn list(way: &Way, number: u64, asked: &str) -> Result<Vec<u8>> {
    whole(way, number, "tools/list", None, asked)
}

fn whole(way: &Way, number: u64, method: &str, name: Option<&str>, asked: &str) -> Result<Vec<u8>> {
    let mut body = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{{{asked}"#);
    let mut more = String::new();
    match way.era {
        Era::Modern => {
            body.push_str(
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}}}"#,
            );
            write!(more, "mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n")?;
            if let Some(name) = name {
                write!(more, "mcp-name: {name}\r\n")?;
            }
        }
        Era::Legacy => {
            body.push_str(r#""_meta":{}}}"#);
            more.push_str("mcp-protocol-version: 2025-11-25\r\n");
            if let Some(session) = &way.session {
                write!(more, "mcp-session-id: {session}\r\n")?;
            }
        }
    }
    message(way, &more, &body)
}

/// Whether this is the answer to that request, byte for byte where it matters.
pub(crate) fn check(kind: Kind, number: u64, head: &str, body: &[u8]) -> Result<()> {
    let shown = || {
        let body: String = String::from_utf8_lossy(body).chars().take(300).collect();
        format!("call {number} was answered `{}` `{body}`", head.lines().next().unwrap_or_default())
    };
    ensure!(head.starts_with("HTTP/1.1 200 "), shown());
    ensure!(member(body, "id").is_some_and(|id| id == number.to_string().as_bytes()), shown());
    let text = || {
        let at = find(body, br#""text":""#).with_context(shown)? + 8;
        let rest = body.get(at..).unwrap_or_default();
        rest.split(|byte| *byte == b'"').next().with_context(shown)
    };
    match kind {
        Kind::Echo => ensure!(text()? == unique(number, ECHO_BYTES).as_bytes(), shown()),
        Kind::Large => ensure!(text()? == unique(number, LARGE_BYTES).as_bytes(), shown()),
        Kind::List => ensure!(find(body, br#""tools":["#).is_some(), shown()),
    }
    Ok(())
}

/// What a server of that era with `tools` tools answers to a message; `None` to one that has no id.
pub(crate) fn answer(body: &[u8], tools: &str, era: Era) -> Result<Option<String>> {
    let Some(id) = member(body, "id") else { return Ok(None) };
    let id = std::str::from_utf8(id)?;
    let string = |name: &str| -> Result<&str> {
        let raw = member(body, name).with_context(|| format!("no `{name}`"))?;
        Ok(std::str::from_utf8(raw)?.trim_matches('"'))
    };
    let text = |text: &str| format!(r#""content":[{{"type":"text","text":"{text}"}}],"#);
    let result = match string("method")? {
        "initialize" if era == Era::Legacy => {
            r#""protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"},"#.to_owned()
        }
        "server/discover" if era == Era::Modern => {
            r#""supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"},"ttlMs":0,"cacheScope":"private","#.to_owned()
        }
        "tools/list" => format!(r#""tools":{tools},"ttlMs":0,"cacheScope":"private","#),
        "tools/call" if string("name")?.ends_with("large") => {
            text(&unique(string("seed")?.parse().context("the seed is no number")?, LARGE_BYTES))
        }
        "tools/call" => text(string("text")?),
        _ => {
            return Ok(Some(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"not here"}}}}"#
            )));
        }
    };
    let last = match era {
        Era::Modern => r#""resultType":"complete""#,
        Era::Legacy => r#""_meta":{}"#,
    };
    Ok(Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{result}{last}}}}}"#)))
}

/// The raw value behind the first `"name":`, a number or a string without escapes. Both ends write their messages
/// themselves, and the gateway changes no byte but the ids.
fn member<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let key = format!("\"{name}\":");
    let rest = body.get(find(body, key.as_bytes())? + key.len()..)?;
    match rest.split_first()? {
        (b'"', inside) => {
            let end = inside.iter().position(|byte| *byte == b'"')?;
            rest.get(..end + 2)
        }
        _ => rest.split(|byte| matches!(byte, b',' | b'}')).next(),
    }
}

/// `count` definitions, `echo` and `large` among them, as large as real ones tend to be.
pub(crate) fn tools(count: usize) -> String {
    let says = |name: &str| {
        format!(
            "Does what {name} says, and nothing else. Give it exactly what its schema asks for; what is not named there is refused. The answer is one text."
        )
    };
    offer(count, "tool", &["en", "de", "fr"], says)
}

/// The same of a server that is another one and would not be taken for a copy: in other words, under other names but
/// for the two that are called.
pub(crate) fn others(count: usize) -> String {
    let says = |name: &str| {
        format!(
            "Part of another product, where {name} stands for some work of its own. Callers pass a handful of fields and read back plain words that belong to them alone."
        )
    };
    offer(count, "work", &["fi", "it"], says)
}

fn offer(count: usize, stem: &str, languages: &[&str], says: impl Fn(&str) -> String) -> String {
    let define = |name: &str, properties: &str, required: &str| {
        format!(
            r#"{{"name":"{name}","title":"The {stem} {name}","description":"{}","inputSchema":{{"type":"object","properties":{{{properties}}},"required":[{required}],"additionalProperties":false}},"annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#,
            says(name)
        )
    };
    let spoken = languages.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(",");
    let mut all = vec![
        define(
            "echo",
            &format!(
                r#""text":{{"type":"string","minLength":1,"maxLength":256}},"language":{{"type":"string","enum":[{spoken}]}},"repeat":{{"type":"integer","minimum":1,"maximum":3}}"#
            ),
            r#""text""#,
        ),
        define("large", r#""seed":{"type":"string","maxLength":20}"#, r#""seed""#),
    ];
    for number in all.len()..count {
        all.push(define(
            &format!("{stem}-{number:03}"),
            r#""path":{"type":"string","description":"Where to look, from the root"},"limit":{"type":"integer","minimum":1,"maximum":1000},"mode":{"type":"string","enum":["fast","thorough"]}"#,
            r#""path""#,
        ));
    }
    format!("[{}]", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        let (path, prefix) = ("/mcp".to_owned(), "up__".to_owned());
        Way { port: 1, path, prefix, token: None, era: Era::Modern, session: None }
    }

    fn exchange(kind: Kind, number: u64) -> String {
        let request = request(kind, number, &way()).unwrap();
        let body = request.splitn(2, |_| false).next().unwrap();
        let at = find(body, b"\r\n\r\n").unwrap() + 4;
        answer(&body[at..], &tools(3), Era::Modern).unwrap().unwrap()
    }

    #[test]
    fn an_answer_to_another_call_is_not_taken() {
        for kind in [Kind::Echo, Kind::Large] {
            let answer = exchange(kind, 7);
            check(kind, 7, "HTTP/1.1 200 OK", answer.as_bytes()).unwrap();
            assert!(check(kind, 8, "HTTP/1.1 200 OK", answer.as_bytes()).is_err(), "another id");
            let stale = answer.replace(r#""id":7"#, r#""id":8"#);
            assert!(check(kind, 8, "HTTP/1.1 200 OK", stale.as_bytes()).is_err(), "another payload");
            assert!(check(kind, 7, "HTTP/1.1 500 Oh", answer.as_bytes()).is_err(), "another status");
        }
    }

    #[test]
    fn payloads_have_their_length_and_differ() {
        assert_eq!(unique(1, 64).len(), 64);
        assert_eq!(unique(1, LARGE_BYTES).len(), LARGE_BYTES);
        assert_ne!(unique(1, 64), unique(2, 64));
    }

    #[test]
    fn the_server_says_what_it_does_not_know_and_nothing_to_a_notification() {
        let unknown = answer(br#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#, "[]", Era::Modern)
            .unwrap()
            .unwrap();
        assert!(unknown.contains("-32601"));
        assert!(
            answer(br#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "[]", Era::Modern).unwrap().is_none()
        );
    }

    #[test]
    fn a_list_has_as_many_tools_as_were_asked_for() {
        assert_eq!(tools(100).matches(r#""inputSchema""#).count(), 100);
        check(Kind::List, 3, "HTTP/1.1 200 OK", exchange(Kind::List, 3).as_bytes()).unwrap();
    }

    // a gateway withholds what passes for another server's, and then nothing could be measured
    #[test]
    fn another_server_is_no_copy_of_the_first() {
        let read = |text: String| -> Vec<serde_json::Value> { serde_json::from_str(&text).unwrap() };
        let words = |tool: &serde_json::Value| -> std::collections::BTreeSet<String> {
            let text = tool["description"].as_str().unwrap().to_lowercase();
            text.split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.len() > 2)
                .map(str::to_owned)
                .collect()
        };
        let (one, other) = (read(tools(20)), read(others(20)));
        let mut both = Vec::new();
        for tool in &one {
            for twin in other.iter().filter(|twin| twin["name"] == tool["name"]) {
                let (a, b) = (words(tool), words(twin));
                assert!(a.intersection(&b).count() * 3 < a.len().min(b.len()), "{tool}\n{twin}");
                both.push(tool["name"].as_str().unwrap());
            }
        }
        assert_eq!(both, ["echo", "large"]);
    }
}
