//! Nothing leaks (U13, V3, V6, V7, V9, L6, W7): secrets of every kind are planted, servers say them again in every
//! form and place they can think of, and everything that can be observed is searched for them.
//!
//! What searches shares no code with what masks.

use crate::bed::{Bed, Served, free_port, until};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

const PHRASE: &str = "Six random-words of/a list+77";
const PHRASE_FILE: &str = "phrase";
const IN_HEADER: &str = "Hdr/canary+9fZ~\"q&2_x=77";
const IN_QUERY: &str = "qry<canary>/+84-1k'33%zz";
const IN_ENV: &str = "env canary\\/+5pQ\"é&<12>";
/// What the two servers have, each its own.
const NOTES: [&str; 2] = ["note://garden/1", "note://bridge/1"];

/// Every form that is promised to be found, of the secret by itself.
fn forms(secret: &str) -> Vec<String> {
    let each = |write: &dyn Fn(u8) -> String| secret.bytes().map(write).collect::<String>();
    let partly = |write: &dyn Fn(u8) -> String| {
        each(&|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { write(b) })
    };
    let quoted = json!(secret).to_string();
    let quoted = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap().to_owned();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let wide =
        |write: &dyn Fn(u32) -> String| secret.chars().map(|c| write(u32::from(c))).collect::<String>();
    let hex = each(&|b| format!("{b:02x}"));
    let mut forms = vec![
        secret.to_owned(),
        quoted.clone(),
        quoted.replace('/', "\\/"),
        wide(&|c| format!("\\u{c:04x}")),
        each(&|b| format!("%{b:02X}")),
        each(&|b| format!("%{b:02x}")),
        partly(&|b| format!("%{b:02X}")),
        partly(&|b| format!("%{b:02X}")).replace('%', "%25"),
        html.replace('\'', "&#39;"),
        html.replace('\'', "&apos;"),
        wide(&|c| format!("&#{c};")),
        wide(&|c| format!("&#x{c:x};")),
        each(&|b| format!("{b:02x}:")).trim_end_matches(':').to_owned(),
        hex.to_ascii_uppercase(),
        hex,
    ];
    let cores: Vec<_> = (0..3).flat_map(|shift| base64(secret.as_bytes(), shift)).collect();
    forms.extend(cores.iter().map(|core| core.replace('+', "%2B").replace('/', "%2F")));
    forms.extend(cores);
    forms
}

/// The digits of base64 that the secret alone decides, so many bytes after a multiple of three, in both alphabets.
fn base64(secret: &[u8], shift: usize) -> [String; 2] {
    let padded = [&[0; 2][..shift], secret].concat();
    let bits: Vec<bool> = padded.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1 == 1)).collect();
    let first = (shift * 8).div_ceil(6);
    [*b"+/", *b"-_"].map(|last| {
        let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last).collect();
        let digits = bits.chunks_exact(6).skip(first);
        digits
            .map(|six| char::from(alphabet[six.iter().fold(0, |n, bit| n << 1 | usize::from(*bit))]))
            .collect()
    })
}

/// What is looked for, and what it is a form of.
pub(crate) struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    pub(crate) fn of(secrets: &[(&str, &str)]) -> Self {
        let of = |(name, secret): &(&str, &str)| {
            let name = (*name).to_owned();
            forms(secret).into_iter().map(move |form| (name.clone(), form.into_bytes()))
        };
        Self(secrets.iter().flat_map(of).collect())
    }
    fn in_text(&self, text: &[u8]) -> BTreeSet<String> {
        let found = self.0.iter().filter(|(_, needle)| find(text, needle));
        found.map(|(name, needle)| format!("{name} as {}", String::from_utf8_lossy(needle))).collect()
    }
    pub(crate) fn must_not_be_in(&self, place: &str, text: &[u8]) {
        assert!(!text.is_empty(), "{place} is empty: nothing was searched");
        let found = self.in_text(text);
        assert!(found.is_empty(), "{place} has {found:#?}\n{}", String::from_utf8_lossy(text));
    }
}

fn find(text: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// What a server says for a message, when it has been told these secrets.
fn rant(secrets: &[String]) -> String {
    let mut text = String::from("I was told:");
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        let _ = write!(text, " <{form}>\n{form}");
    }
    text
}

fn answer(message: &Value, secrets: &[String]) -> Vec<Value> {
    let (id, rant) = (&message["id"], rant(secrets));
    let ok = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
    let notice =
        |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    // an address of its own: what another server names already waits for a person
    let uri = if secrets.len() > 1 { NOTES[0] } else { NOTES[1] };
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => vec![ok(json!({ "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {}, "resources": {}, "logging": {} }, "instructions": rant,
            "serverInfo": { "name": "gossip", "version": "1", "title": rant } }))],
        "tools/list" => {
            // texts of their own: of two servers that offer the same, one is taken for a copy
            let own = if secrets.len() > 1 {
                "Passes on whatever the neighbours shout over their garden fences on warm summer evenings."
            } else {
                "Murmurs behind a heavy curtain about letters somebody hid under an old stone bridge."
            };
            let tool = |name: &str| {
                json!({ "name": name, "description": format!("{own} {rant}"), "title": rant,
                "inputSchema": { "type": "object", "description": rant, "properties": { "a": { "default": rant } } },
                "annotations": { "readOnlyHint": true } })
            };
            vec![ok(json!({ "tools": [tool("say"), tool("fail")] }))]
        }
        "resources/list" => vec![ok(json!({ "resources": [
            { "uri": uri, "name": "one", "description": rant }] }))],
        "resources/templates/list" => vec![ok(json!({ "resourceTemplates": [] }))],
        "resources/read" => {
            vec![ok(json!({ "contents": [{ "uri": uri, "text": rant, "blob": rant }] }))]
        }
        "tools/call" if message["params"]["name"] == "fail" => vec![json!({ "jsonrpc": "2.0", "id": id,
            "error": { "code": -32000, "message": rant, "data": { "why": [rant] } } })],
        "tools/call" => vec![
            notice(
                "notifications/message",
                json!({ "level": "error", "logger": rant, "data": { "all": rant } }),
            ),
            notice(
                "notifications/progress",
                json!({ "progressToken": message["params"]["_meta"]["progressToken"],
                "progress": 1, "message": rant }),
            ),
            ok(json!({ "content": [{ "type": "text", "text": rant }, { "type": "text", "text": rant }],
                "structuredContent": { rant.clone(): [rant] }, "_meta": { "x/y": rant } })),
        ],
        _ => vec![ok(json!({}))],
    }
}

/// A server over HTTP that gives away the credentials of each request, in its headers as well.
fn gossip() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || while hear(&stream).is_some() {});
        }
    });
    port
}

fn hear(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let header = |name: &str| {
        let of = |line: &str| {
            Some(line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))?.1.to_owned())
        };
        head.lines().find_map(of)
    };
    let mut body = vec![0; header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let query = head.split([' ', '?']).find_map(|part| part.strip_prefix("key=")).map(decoded);
    let secrets: Vec<String> =
        header("authorization").map(|v| v.replace("Bearer ", "")).into_iter().chain(query).collect();
    assert!(secrets.len() == 2 || !head.starts_with("POST"), "{head}");
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let session = secrets.first().map(String::as_str).unwrap_or_default();
    let reply = if !head.starts_with("POST") {
        "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n".to_owned()
    } else if message["id"].is_null() {
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned()
    } else if message["params"]["name"] == "page" {
        let page = json!({ "error": { "message": rant(&secrets) } }).to_string();
        format!(
            "HTTP/1.1 418 {session}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        )
    } else {
        // each message over many `data:` lines, and the whole in chunks that cut everything
        let mut events = String::new();
        for said in answer(&message, &secrets) {
            let pretty = serde_json::to_string_pretty(&said).unwrap();
            let _ = write!(events, ": {session}\nid: {session}\n");
            for line in pretty.lines() {
                let _ = writeln!(events, "data: {line}");
            }
            events.push('\n');
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: {session}\r\n\
             X-Key: {session}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut body = Vec::new();
        for chunk in events.as_bytes().chunks(5) {
            body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            body.extend(chunk);
            body.extend(b"\r\n");
        }
        stream.write_all(&body).ok()?;
        "0\r\n\r\n".to_owned()
    };
    stream.write_all(reply.as_bytes()).ok()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let pair: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&pair, 16).unwrap()
            }
            b => b,
        });
    }
    String::from_utf8(out).unwrap()
}

/// A server over stdio that gives its environment away. What it says was written down for it before, with
/// `@ID@` where the id goes.
const WHISPER: &str = r#"#!/bin/sh
cat "$0.rant" >&2
say() { sed "s/\"@ID@\"/$id/g; s/\"@TOKEN@\"/$token/g" "$0.$1"; }
while IFS= read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  token=$(printf %s "$line" | sed -n 's/.*"progressToken":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"name":"die"'*) cat "$0.rant" >&2; exit 3 ;;
    *'"name":"fail"'*) say fail ;;
    *'"method":"tools/call"'*) say call ;;
    *'"method":"initialize"'*) say initialize ;;
    *'"method":"tools/list"'*) say list ;;
    *'"method":"resources/list"'*) say resources ;;
    *'"method":"resources/read"'*) say read ;;
    *) [ -n "$id" ] && printf '{"jsonrpc":"2.0","id":%s,"result":{"resourceTemplates":[]}}\n' "$id" ;;
  esac
done
"#;

fn write_whisper(bed: &Bed) {
    bed.write("whisper.sh", WHISPER);
    let secrets = [IN_ENV.to_owned()];
    let mut tools = answer(&json!({ "id": "@ID@", "method": "tools/list" }), &secrets).remove(0);
    let mut die = tools["result"]["tools"][0].clone();
    die["name"] = json!("die");
    tools["result"]["tools"].as_array_mut().unwrap().push(die);
    bed.write("whisper.sh.list", &format!("{tools}\n"));
    bed.write("whisper.sh.rant", &rant(&secrets));
    for (file, method, name) in [
        ("initialize", "initialize", ""),
        ("resources", "resources/list", ""),
        ("read", "resources/read", ""),
        ("call", "tools/call", "say"),
        ("fail", "tools/call", "fail"),
    ] {
        let params = json!({ "name": name, "_meta": { "progressToken": "@TOKEN@" } });
        let said = answer(&json!({ "id": "@ID@", "method": method, "params": params }), &secrets);
        let lines: String = said.iter().map(|message| format!("{message}\n")).collect();
        bed.write(&format!("whisper.sh.{file}"), &lines);
    }
}

/// The gateway with both servers and a third that has no secret.
fn house() -> (Bed, Arc<String>) {
    house_under("", &[])
}

/// The same with these lines about the vault, and this in the environment.
fn house_under(vault: &str, env: &[(&str, &str)]) -> (Bed, Arc<String>) {
    let bed = Bed::new();
    if vault.contains(PHRASE_FILE) {
        bed.write(PHRASE_FILE, PHRASE);
        fs::set_permissions(bed.path(PHRASE_FILE), fs::Permissions::from_mode(0o600)).unwrap();
    }
    write_whisper(&bed);
    let upstream = gossip();
    let notes = bed.notes_config(free_port());
    bed.write(
        "callgate.toml",
        &format!(
            "{notes}[servers.gossip]\nurl = \"http://127.0.0.1:{upstream}/mcp\"\n\
             keep = {{ arguments = true, results = true }}\ncredentials = [\
             {{ secret = \"hdr\", header = \"Authorization\", prefix = \"Bearer \" }}, {{ secret = \"qry\", query = \"key\" }}]\n\
             [servers.whisper]\ncommand = \"/bin/sh\"\nargs = [\"{}\"]\n\
             keep = {{ arguments = true, results = true }}\n\
             credentials = [{{ secret = \"env\", env = \"WHISPER_TOKEN\" }}]\n{vault}",
            bed.path("whisper.sh").display()
        ),
    );
    bed.write(
        "policies/all.cedar",
        "@id(\"all\")\n@because(\"all\")\npermit (principal, action, resource);\n",
    );
    for (server, secret, value) in
        [("gossip", "hdr", IN_HEADER), ("gossip", "qry", IN_QUERY), ("whisper", "env", IN_ENV)]
    {
        let said = bed.run_env(env, &["secret", "set", secret, "--server", server], value);
        assert_eq!(said.code, 0, "{said:?}");
        Needles::of(&[("the secret", value)]).must_not_be_in("`secret set`", format!("{said:?}").as_bytes());
    }
    let token = Arc::new(bed.token("bot"));
    (bed, token)
}

/// Every process under this one, itself included.
fn family(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children: Vec<u32> = children
        .flat_map(|line| line.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(family)).collect()
}

/// Every file under a folder, with its bytes.
pub(crate) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            // a socket has no bytes
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

/// Everything the Host got for one message, heads included.
fn ask(gateway: &Served, token: &str, server: &str, session: Option<&str>, message: &Value) -> Vec<u8> {
    gateway.raw(token, server, session, message)
}

/// Talks to both servers about everything, and gives back every byte the Host got.
fn everything_the_host_gets(gateway: &Served, token: &str) -> Vec<u8> {
    let mut got = Vec::new();
    for server in ["gossip", "whisper"] {
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } } });
        let greeted = ask(gateway, token, server, None, &hello);
        let head = String::from_utf8_lossy(&greeted).into_owned();
        let session = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("mcp-session-id: ").map(str::to_owned));
        let session = session.unwrap_or_else(|| panic!("{head}"));
        got.extend(greeted);
        let mut say = |message: Value| {
            let said = ask(gateway, token, server, Some(&session), &message);
            got.extend_from_slice(&said);
            String::from_utf8_lossy(&said).into_owned()
        };
        say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        until("the server was looked at", || say(list.clone()).contains("\"say\""));
        let call = |name: &str| {
            json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call",
            "params": { "name": name, "arguments": {}, "_meta": { "progressToken": "p" } } })
        };
        // a log line of a child process names no call, and on a busy machine may come on the session's own stream
        let mut told = String::new();
        until("a notice came along with the answer", || {
            told = say(call("say"));
            told.contains("notifications/message")
        });
        for secret in if server == "gossip" { &["hdr", "qry"][..] } else { &["env"] } {
            assert!(
                told.matches(&format!("[secret:{secret}]")).count() > 80,
                "{server} said nothing: {told}"
            );
        }
        assert!(told.contains("notifications/progress") && told.contains("notifications/message"), "{told}");
        assert!(say(call("fail")).contains("[secret:"));
        say(json!({ "jsonrpc": "2.0", "id": 4, "method": "resources/list" }));
        let uri = if server == "gossip" { NOTES[0] } else { NOTES[1] };
        let read = json!({ "jsonrpc": "2.0", "id": 5, "method": "resources/read", "params": { "uri": uri } });
        assert!(say(read).contains("[secret:"));
        say(call(if server == "gossip" { "page" } else { "die" }));
        say(call("nothing"));
    }
    got
}

#[test]
fn no_secret_is_found_anywhere_but_where_it_belongs() {
    let (bed, token) = house();
    let gateway = bed.serve_env(&[("CALLGATE_LOG", "trace,hyper=trace,h2=trace,rustls=trace,sqlx=trace")]);
    let secrets = [("hdr", IN_HEADER), ("qry", IN_QUERY), ("env", IN_ENV)];
    let needles = Needles::of(&secrets);
    let with_token = Needles::of(&[secrets[0], secrets[1], secrets[2], ("the Host's token", token.as_str())]);

    let got = everything_the_host_gets(&gateway, &token);
    with_token.must_not_be_in("what the Host got", &got);
    let metrics = gateway.get("/metrics").2;
    assert!(metrics.contains("callgate_secrets_masked_total{server=\"gossip\"}"), "{metrics}");
    with_token.must_not_be_in("/metrics", metrics.as_bytes());

    // the record says that something was masked, and not what
    let calls = bed.json(&["audit", "list"]);
    with_token.must_not_be_in("audit list", calls.to_string().as_bytes());
    let mut masked = 0;
    for call in calls.as_array().unwrap() {
        let id = call["call"].as_str().unwrap();
        for told in [bed.run(&["explain", id, "--json"]), bed.run(&["audit", "show", id])] {
            masked += usize::from(told.out.contains("masked:hdr×") && told.out.contains("result-redacted"));
            with_token.must_not_be_in("the record of a call", format!("{}{}", told.out, told.err).as_bytes());
        }
    }
    assert!(masked > 0, "no decision says what was masked");
    assert_eq!(bed.run(&["audit", "export", "out"]).code, 0);
    for said in [bed.run(&["registry", "list"]), bed.run(&["secret", "list"]), bed.run(&["check"])] {
        with_token.must_not_be_in("a command", format!("{said:?}").as_bytes());
    }

    // no process but the one that was started with it has it to show
    for pid in family(gateway.pid()) {
        let of = |what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        with_token.must_not_be_in("a command line", &of("cmdline"));
        let limits = String::from_utf8(of("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        // nor can it be allowed again: the soft and the hard limit
        let limits: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(limits, ["0", "0"], "a core of {pid} may be written: {core}");
        let is_whisper = String::from_utf8_lossy(&of("cmdline")).contains("whisper.sh");
        let environ = [b"=".to_vec(), of("environ")].concat();
        let has: Vec<_> = with_token.in_text(&environ).into_iter().collect();
        assert!(has.iter().all(|one| is_whisper && one.starts_with("env as")), "{pid} has {has:?}");
    }

    assert_eq!(gateway.stop(), 0);
    let log = bed.log();
    // what we say is there, and what the libraries would have said is not
    assert!(log.contains("quotes its credential") && !log.contains("TRACE"), "{log}");
    with_token.must_not_be_in("the log at trace", log.as_bytes());
    let key = files(&bed.path("state"))
        .into_iter()
        .find(|(name, _)| name.ends_with("secrets.key"))
        .map(|(_, bytes)| bytes);
    let key = key.unwrap_or_else(|| {
        panic!("no key in {:?}", files(&bed.path("state")).iter().map(|f| &f.0).collect::<Vec<_>>())
    });
    let raw = Needles(vec![("the key".to_owned(), key.trim_ascii().to_vec())]);
    for (name, bytes) in files(&bed.path("state")).into_iter().chain(files(&bed.path("out"))) {
        let bytes = [b".".to_vec(), bytes].concat();
        with_token.must_not_be_in(&name, &bytes);
        if !name.ends_with("secrets.key") {
            raw.must_not_be_in(&name, &bytes);
        }
    }
    for (place, bytes) in [("the log", log.as_bytes()), ("what the Host got", &got)] {
        raw.must_not_be_in(place, bytes);
    }
    needles.must_not_be_in("the settings", &fs::read(bed.path("callgate.toml")).unwrap());
}

// what the key was made of is as secret as the key: wherever it came from, and while the database's log is being written
#[test]
fn no_key_is_found_anywhere_whatever_it_came_from_nor_a_secret_in_a_live_database() {
    let raw: Vec<u8> = (0..32).map(|n| n * 7 + 3).collect();
    let digits = BASE64_STANDARD.encode(&raw);
    let variable = [("VAULT_KEY", digits.as_str())];
    let passphrase = format!("[vault]\nkey = {{ passphrase = {{ file = \"{PHRASE_FILE}\" }} }}\n");
    let of_variable = {
        let mut needles = Needles::of(&[("the variable", &digits)]);
        needles.0.push(("the key".to_owned(), raw.clone()));
        needles.0.push((
            "the key in hex".to_owned(),
            raw.iter().map(|b| format!("{b:02x}")).collect::<String>().into_bytes(),
        ));
        needles
    };
    for (vault, env, needles) in [
        ("[vault]\nkey = { env = \"VAULT_KEY\" }\n", &variable[..], of_variable),
        (passphrase.as_str(), &[], Needles::of(&[("the passphrase", PHRASE)])),
    ] {
        let (bed, token) = house_under(vault, env);
        let secrets = Needles::of(&[("hdr", IN_HEADER), ("qry", IN_QUERY), ("env", IN_ENV)]);
        let logs = ("CALLGATE_LOG", "trace,hyper=trace,h2=trace,rustls=trace,sqlx=trace");
        let gateway = bed.serve_env(&[env, &[logs]].concat());
        let search = |place: &str, bytes: &[u8]| {
            let bytes = [b".", bytes].concat();
            needles.must_not_be_in(place, &bytes);
            secrets.must_not_be_in(place, &bytes);
        };
        search("what the Host got", &everything_the_host_gets(&gateway, &token));
        search("/metrics", gateway.get("/metrics").2.as_bytes());
        for pid in family(gateway.pid()) {
            let of = |what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            // a child has a secret of its own in there
            for what in ["cmdline", "environ"] {
                needles.must_not_be_in(what, &[b"=".to_vec(), of(what)].concat());
            }
        }
        // while the gateway has it open
        until("the database has a log", || {
            fs::metadata(bed.path("state/callgate.db-wal")).is_ok_and(|wal| wal.len() > 0)
        });
        for (name, bytes) in files(&bed.path("state")) {
            search(&name, &bytes);
        }
        let said = bed.run_env(env, &["secret", "list"], "");
        search("a command", format!("{said:?}").as_bytes());
        assert_eq!(gateway.stop(), 0);
        search("the log at trace", bed.log().as_bytes());
        for (name, bytes) in files(&bed.path("state")) {
            search(&name, &bytes);
        }
    }
}

// the searcher itself finds what is there
#[test]
fn what_searches_finds_each_form() {
    let needles = Needles::of(&[("env", IN_ENV)]);
    for form in forms(IN_ENV) {
        assert!(!needles.in_text(format!("a {form} b").as_bytes()).is_empty(), "{form}");
    }
    let encoded = Command::new("/bin/sh")
        .args(["-c", "printf '%s' \"xx$0yy\" | base64 -w0", IN_ENV])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(!needles.in_text(&encoded.stdout).is_empty(), "{encoded:?}");
    assert!(needles.in_text(b"nothing of the kind").is_empty());
}
