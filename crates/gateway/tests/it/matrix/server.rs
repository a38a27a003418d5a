//! A server with every kind of governed method, as a function from a message to messages. Which credential it was
//! given and what it was asked it writes down; how its words travel is [`super::carriers`]'s matter.

use decision::Era;
use serde_json::{Value, json};

/// The credential that the gateway has for it. Without it nothing is served.
pub(super) const KEY: &str = crate::house::SECRET;
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const UPDATED: &str = "notifications/resources/updated";

/// The fates an item can have, and their names.
pub(super) const ITEMS: [&str; 5] = ["open", "hidden", "refused", "leaky", "held"];
/// What a server may ask, and how its tools call it.
pub(super) const QUESTIONS: [(&str, &str); 3] =
    [("elicitation", "elicitation/create"), ("sampling", "sampling/createMessage"), ("roots", "roots/list")];

/// What it keeps of one conversation: who listens to which resource, `null` for a legacy session as a whole.
#[derive(Debug, Default)]
pub(super) struct Memory(Vec<(Value, Value)>);

/// A server's two notebooks: what it has to remember, and what a test wants to know.
pub(super) struct Desk<'a> {
    /// Its resources are `test://NAME/ITEM`.
    pub(super) name: &'a str,
    pub(super) era: Era,
    /// What came as a credential with this message, or with the process.
    pub(super) key: &'a str,
    pub(super) memory: &'a mut Memory,
    /// Writes down what was heard: a method, an item, and who said it where the message tells.
    pub(super) note: &'a dyn Fn(&str),
}

/// Everything that is said to one message, in order.
pub(super) fn hear(desk: &mut Desk<'_>, message: &Value) -> Vec<Value> {
    let Some(method) = message["method"].as_str() else {
        return answered(desk, message);
    };
    let (id, params) = (&message["id"], &message["params"]);
    let about = params["name"].as_str().or(params["uri"].as_str()).or(params["ref"]["name"].as_str());
    let listened = params["notifications"]["resourceSubscriptions"].to_string();
    let item = about.unwrap_or(if listened == "null" { "-" } else { &listened });
    let text = params["arguments"]["text"].as_str().unwrap_or("-");
    (desk.note)(&format!("{method} {item} {text}"));
    if id.is_null() {
        if method == "notifications/cancelled" {
            desk.memory.0.retain(|(listener, _)| *listener != params["requestId"]);
        }
        return Vec::new();
    }
    let modern = params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
    if modern != (desk.era == Era::Modern) {
        return vec![error(id, -32601, "not of my era")];
    }
    if desk.key != KEY {
        return vec![error(id, -32099, "no credential, no service")];
    }
    match method {
        "tools/call" => call(desk, id, params),
        "resources/subscribe" => {
            desk.memory.0.push((Value::Null, params["uri"].clone()));
            vec![result(desk.era, id, said_with(about))]
        }
        "resources/unsubscribe" => {
            desk.memory.0.retain(|(_, uri)| *uri != params["uri"]);
            vec![result(desk.era, id, said_with(about))]
        }
        "subscriptions/listen" => {
            let wanted = &params["notifications"];
            for uri in wanted["resourceSubscriptions"].as_array().into_iter().flatten() {
                desk.memory.0.push((id.clone(), uri.clone()));
            }
            let params = json!({ "notifications": wanted, "_meta": { SUBSCRIPTION: id } });
            vec![note("notifications/subscriptions/acknowledged", params)]
        }
        _ => vec![served(desk, method, about, id, params)],
    }
}

/// Methods that are one answer and no more.
fn served(desk: &Desk<'_>, method: &str, about: Option<&str>, id: &Value, params: &Value) -> Value {
    let (about, era) = (about.unwrap_or_default(), desk.era);
    let item = about.rsplit_once('/').map_or(about, |(_, item)| item);
    let text = words(method, item);
    let capabilities = json!({ "tools": { "listChanged": true }, "prompts": {}, "completions": {}, "logging": {},
        "resources": { "subscribe": true } });
    let named = |name: &&str| json!({ "name": name, "arguments": [{ "name": "who" }] });
    let at = |name: &&str| json!({ "name": name, "uri": format!("test://{}/{name}", desk.name) });
    let told = match (method, era) {
        ("server/discover", Era::Modern) => {
            json!({ "supportedVersions": ["2026-07-28"], "capabilities": capabilities })
        }
        ("initialize", Era::Legacy) => json!({ "protocolVersion": params["protocolVersion"],
            "capabilities": capabilities, "serverInfo": { "name": "matrix", "version": "1" } }),
        ("ping" | "logging/setLevel", Era::Legacy) => json!({}),
        ("tools/list", _) => json!({ "tools": tools() }),
        ("prompts/list", _) => json!({ "prompts": ITEMS.iter().map(named).collect::<Vec<_>>() }),
        ("resources/list", _) => json!({ "resources": ITEMS.iter().map(at).collect::<Vec<_>>() }),
        ("resources/templates/list", _) => json!({ "resourceTemplates": [] }),
        ("prompts/get", _) => {
            json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": text } }] })
        }
        ("resources/read", _) => json!({ "contents": [{ "uri": about, "text": text }] }),
        ("completion/complete", _) => json!({ "completion": { "values": [text] } }),
        _ => return error(id, -32601, "no such method"),
    };
    result(era, id, told)
}

/// An answer without content, but for what it lets slip.
fn said_with(about: Option<&str>) -> Value {
    if about.is_some_and(|uri| uri.ends_with("/leaky")) {
        json!({ "_meta": { "example.com/as": KEY } })
    } else {
        json!({})
    }
}

/// What it says of an item: where that is `leaky`, its own credential too.
fn words(method: &str, item: &str) -> String {
    match item {
        "leaky" => format!("served {method} {item} with {KEY}"),
        _ => format!("served {method} {item}"),
    }
}

fn tools() -> Value {
    let tool = |name: String| json!({ "name": name, "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } } });
    let plain = ["chatty", "touch", "decided", "limited"].into_iter().chain(ITEMS).map(str::to_owned);
    let asking = ["ask", "leak"].iter().flat_map(|how| QUESTIONS.map(|(kind, _)| format!("{how}-{kind}")));
    let mut tools: Vec<Value> = plain.chain(asking).map(tool).collect();
    let mut broken = tool("broken".to_owned());
    broken["outputSchema"] =
        json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "number" } } });
    tools.push(broken);
    json!(tools)
}

fn call(desk: &mut Desk<'_>, id: &Value, params: &Value) -> Vec<Value> {
    let name = params["name"].as_str().unwrap_or_default();
    let say = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
    if let Some((how, kind)) = name.split_once('-') {
        return ask(desk, id, params, how == "leak", kind);
    }
    let done = result(desk.era, id, say(&words("tools/call", name)));
    match name {
        "chatty" => {
            let line = json!({ "level": "warning", "data": format!("I log in with {KEY}") });
            let step = json!({ "progressToken": params["_meta"]["progressToken"], "progress": 1,
                "message": format!("as {KEY}") });
            vec![note("notifications/message", line), note("notifications/progress", step), done]
        }
        "touch" => {
            let said = desk.memory.0.iter().map(|(listener, uri)| {
                let mut params = json!({ "uri": uri, "title": format!("seen with {KEY}") });
                if !listener.is_null() {
                    params["_meta"] = json!({ SUBSCRIPTION: listener });
                }
                note(UPDATED, params)
            });
            said.chain([done]).collect()
        }
        "broken" => {
            let mut wrong = say("as promised");
            wrong["structuredContent"] = json!({ "n": "not a number" });
            vec![result(desk.era, id, wrong)]
        }
        _ => vec![done],
    }
}

/// A question in mid-call: a request of its own in the legacy era, a part of a result in the modern one.
fn ask(desk: &Desk<'_>, id: &Value, params: &Value, leaks: bool, kind: &str) -> Vec<Value> {
    let said = if leaks { format!("is {KEY} yours?") } else { "sure?".to_owned() };
    let (method, put) = match kind {
        "elicitation" => {
            let empty = json!({ "type": "object", "properties": {} });
            ("elicitation/create", json!({ "message": said, "requestedSchema": empty }))
        }
        "sampling" => {
            let asked = json!([{ "role": "user", "content": { "type": "text", "text": said } }]);
            ("sampling/createMessage", json!({ "messages": asked, "maxTokens": 9 }))
        }
        _ => ("roots/list", json!({ "_meta": { "example.com/why": said } })),
    };
    let who = params["arguments"]["text"].as_str().unwrap_or("-");
    let state = format!("the server's own, of {who}");
    match (desk.era, params["inputResponses"]["q"].is_null()) {
        (Era::Legacy, _) => {
            let own = format!("q {id} {who}");
            vec![json!({ "jsonrpc": "2.0", "id": own, "method": method, "params": put })]
        }
        (Era::Modern, true) => {
            let asked = json!({ "resultType": "input_required", "requestState": state,
                "inputRequests": { "q": { "method": method, "params": put } } });
            vec![json!({ "jsonrpc": "2.0", "id": id, "result": asked })]
        }
        (Era::Modern, false) => {
            let same = if params["requestState"] == state { "answer" } else { "another state" };
            (desk.note)(&format!("{same} - {who}"));
            let text = format!("heard {}", params["inputResponses"]["q"]);
            vec![result(desk.era, id, json!({ "content": [{ "type": "text", "text": text }] }))]
        }
    }
}

/// A legacy Host's answer, under the id that says of which call and to whom the question was.
fn answered(desk: &Desk<'_>, message: &Value) -> Vec<Value> {
    let id = message["id"].as_str().unwrap_or_default();
    let [_, call, who] = id.splitn(3, ' ').collect::<Vec<_>>()[..] else { return Vec::new() };
    let (word, said) = match message.get("result") {
        Some(said) => ("answer", format!("heard {said}")),
        None => ("declined", "heard no".to_owned()),
    };
    (desk.note)(&format!("{word} - {who}"));
    let told = json!({ "content": [{ "type": "text", "text": said }] });
    vec![result(desk.era, &json!(call.parse::<u64>().unwrap()), told)]
}

/// Which request a message belongs to, for carriers that answer each on its own stream; none for a change notice.
pub(super) fn belongs(said: &Value, heard: &Value) -> Option<Value> {
    match said["method"].as_str() {
        Some(UPDATED) => Some(said["params"]["_meta"][SUBSCRIPTION].clone()).filter(|id| !id.is_null()),
        Some(_) => Some(heard["id"].clone()),
        None => Some(said["id"].clone()),
    }
}

fn result(era: Era, id: &Value, mut told: Value) -> Value {
    if era == Era::Modern {
        told["resultType"] = json!("complete");
        told["ttlMs"] = json!(0);
        told["cacheScope"] = json!("private");
    }
    json!({ "jsonrpc": "2.0", "id": id, "result": told })
}

fn note(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
