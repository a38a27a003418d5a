//! The rows, and what each asserts of the client's end and the server's. What the record says of it is
//! [`super::record`]'s matter.

use super::carriers::Server;
use super::client::{Fault, Host, Told, Who};
use super::server::KEY;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Allow,
    Hide,
    Refuse,
    Redact,
    /// The rules want people's yes, and there is none.
    Hold,
}

/// What is done in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// A method that names an item and is answered.
    Asks(&'static str),
    /// Hearing of updates of a resource: `resources/subscribe`, or `subscriptions/listen`.
    Listens,
    /// No longer: `resources/unsubscribe`, or the end of the stream.
    Leaves,
    /// A tool that asks the Host in mid-call.
    IsAsked(&'static str),
    /// Notices on the way to an answer.
    IsTold,
    /// A tool's call as a member of a batch.
    Batched,
    /// A tool's call that is held until somebody decides, and made again.
    Decided(bool),
    /// More calls of a tool than a budget has room for.
    Spends,
    /// A tool's call that is made again under its key: the same, or another.
    Repeats,
    /// What a stage refuses by itself, whatever the rules say.
    Fails(Defect),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Defect {
    /// A key that stands in the message twice.
    TwoNames,
    /// A method that the gateway does not carry.
    Task,
    /// An agent that was disabled.
    Stranger,
    /// A tool that the server has and never listed.
    Unlisted,
    /// Arguments that the pinned schema does not have.
    Misfit,
    /// A result that is not what the pinned schema promises.
    Broken,
    /// The disk of the ledger is full.
    NoRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) act: Act,
    pub(super) outcome: Outcome,
}

/// What was asserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// Answered with the server's own content.
    Served,
    /// In no list, and answered as something that does not exist; the server does not hear of it.
    Hidden,
    /// Not done, and the asker reads why; the server does not hear of it.
    Refused,
    /// Served, and the server's credential taken out of what it said.
    Masked,
    /// It waits for people, and the asker reads for whom; the server does not hear of it.
    Held,
    /// It has no meaning here, and nothing happens.
    Nothing(&'static str),
}

const BY_RULES: [Outcome; 4] = [Outcome::Allow, Outcome::Hide, Outcome::Refuse, Outcome::Redact];

/// Every row, in the order of the page.
pub(super) fn rows() -> Vec<Row> {
    let asks = ["tools/call", "prompts/get", "resources/read", "completion/complete"].map(Act::Asks);
    let asked = ["elicitation", "sampling", "roots"].map(Act::IsAsked);
    let held = asks.into_iter().chain([Act::Batched]).map(|act| Row { act, outcome: Outcome::Hold });
    let acts = asks.into_iter().chain([Act::Batched, Act::Listens, Act::Leaves]).chain(asked);
    let product = acts.flat_map(|act| BY_RULES.map(|outcome| Row { act, outcome }));
    let decided = [
        (Act::Decided(true), Outcome::Allow),
        (Act::Decided(false), Outcome::Refuse),
        (Act::Spends, Outcome::Refuse),
        (Act::Repeats, Outcome::Allow),
        (Act::Repeats, Outcome::Refuse),
    ];
    let decided = decided.map(|(act, outcome)| Row { act, outcome });
    let defects = [
        Defect::TwoNames,
        Defect::Task,
        Defect::Stranger,
        Defect::Unlisted,
        Defect::Misfit,
        Defect::NoRecord,
        Defect::Broken,
    ];
    let more = defects.map(|defect| Row { act: Act::Fails(defect), outcome: Outcome::Refuse });
    let told = [Row { act: Act::IsTold, outcome: Outcome::Redact }];
    product.chain(held).chain(decided).chain(told).chain(more).collect()
}

impl Row {
    /// Questions are about no item, so that it is the asker for whom the rules differ.
    pub(super) fn agent(self) -> &'static str {
        match (self.act, self.outcome) {
            (Act::IsAsked(_), Outcome::Hide) => "unheard",
            (Act::IsAsked(_), Outcome::Refuse) => "silenced",
            _ => "bot",
        }
    }

    fn item(self) -> &'static str {
        match self.outcome {
            Outcome::Allow => "open",
            Outcome::Hide => "hidden",
            Outcome::Refuse => "refused",
            Outcome::Redact => "leaky",
            Outcome::Hold => "held",
        }
    }
}

fn sure(is: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if is { Ok(()) } else { Err(what()) }
}

/// One cell: what the client does, what it reads, and what the server heard.
pub(super) async fn cell(host: &mut Host, server: &Server, row: Row, stranger: &Who) -> Result<Mark, Fault> {
    host.forget();
    let mark = match (row.act, row.outcome) {
        (Act::Asks(method), Outcome::Allow) => served(host, method, row.item()).await?,
        (Act::Asks(method), Outcome::Redact) => masked(host, method, row.item()).await?,
        (Act::Asks(method), Outcome::Hide) => hidden(host, method).await?,
        (Act::Asks(method), Outcome::Refuse) => refused(host, method).await?,
        (Act::Asks(method), Outcome::Hold) => held(host, method).await?,
        (Act::Batched, outcome) => batched(host, server, outcome, row.item()).await?,
        (Act::Decided(yes), _) => decided(host, server, yes).await?,
        (Act::Spends, _) => spends(host, server).await?,
        (Act::Repeats, outcome) => repeats(host, server, outcome).await?,
        (Act::Listens, _) => listens(host, row).await?,
        (Act::Leaves, _) => leaves(host, row).await?,
        (Act::IsAsked(kind), _) => is_asked(host, server, kind, row.outcome).await?,
        (Act::IsTold, _) => is_told(host).await?,
        (Act::Fails(defect), _) => fails(host, server, defect, stranger).await?,
    };
    let item = row.item();
    let by_rules = matches!(row.act, Act::Asks(_) | Act::Batched | Act::Listens | Act::Leaves);
    let never = by_rules && matches!(row.outcome, Outcome::Hide | Outcome::Refuse | Outcome::Hold);
    sure(!never || server.heard(&[item]) == 0, || format!("the server heard of `{item}`"))?;
    Ok(mark)
}

fn params(host: &Host, method: &str, item: &str, text: &str) -> Value {
    let name = host.named(item);
    match method {
        "tools/call" => json!({ "name": name, "arguments": { "text": text } }),
        "prompts/get" => json!({ "name": name, "arguments": { "who": text } }),
        "completion/complete" => {
            json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": { "name": "who", "value": text } })
        }
        _ => json!({ "uri": host.uri(item) }),
    }
}

/// In the words of the client's own era.
fn of_its_era(host: &Host, told: &Value) -> Result<(), Fault> {
    let text = told.to_string();
    let foreign = ["resultType", "ttlMs", "cacheScope", "io.modelcontextprotocol"];
    match host.kind.is_modern() {
        true => {
            let typed = told.get("result").is_none_or(|result| result["resultType"] == "complete");
            sure(typed, || format!("a result without a type: {text}"))
        }
        false => {
            sure(!foreign.iter().any(|word| text.contains(word)), || format!("words of another era: {text}"))
        }
    }
}

async fn served(host: &mut Host, method: &str, item: &str) -> Result<Mark, Fault> {
    let name = host.name.clone();
    let told = host.ask(method, params(host, method, item, &name)).await?;
    of_its_era(host, &told.answer)?;
    let want = format!("served {method} {item}");
    sure(told.answer["result"].to_string().contains(&want), || format!("not served: {}", told.text()))?;
    Ok(Mark::Served)
}

async fn masked(host: &mut Host, method: &str, item: &str) -> Result<Mark, Fault> {
    let told = host.ask(method, params(host, method, item, "a")).await?;
    of_its_era(host, &told.answer)?;
    let want = format!("served {method} {item} with [secret:key]");
    sure(told.answer["result"].to_string().contains(&want), || format!("not masked: {}", told.text()))?;
    Ok(Mark::Masked)
}

/// The list that an item of this method would be in, and how it stands there.
async fn listed(host: &mut Host, method: &str, item: &str) -> Result<bool, Fault> {
    let list = match method {
        "tools/call" => "tools/list",
        "prompts/get" | "completion/complete" => "prompts/list",
        _ => "resources/list",
    };
    let told = host.ask(list, json!({})).await?;
    of_its_era(host, &told.answer)?;
    let is_in = |item: &str| {
        let named = if list == "resources/list" { host.uri(item) } else { host.named(item) };
        told.text().contains(&format!("\"{named}\""))
    };
    sure(is_in("open"), || format!("an empty list: {}", told.text()))?;
    Ok(is_in(item))
}

async fn hidden(host: &mut Host, method: &str) -> Result<Mark, Fault> {
    sure(!listed(host, method, "hidden").await?, || "it is in the list".to_owned())?;
    let told = host.ask(method, params(host, method, "hidden", "a")).await?;
    let absent = host.ask(method, params(host, method, "absent", "a")).await?;
    as_unknown(&told, &absent)
}

/// What is hidden and what does not exist look the same.
fn as_unknown(told: &Told, absent: &Told) -> Result<Mark, Fault> {
    let bare = |told: &Told, name: &str| {
        let mut answer = told.answer.clone();
        answer["id"] = Value::Null;
        answer.to_string().replace(name, "NAME")
    };
    let (one, two) = (bare(told, "hidden"), bare(absent, "absent"));
    sure(told.answer["error"].is_object() && one == two, || format!("{one} is not {two}"))?;
    Ok(Mark::Hidden)
}

async fn refused(host: &mut Host, method: &str) -> Result<Mark, Fault> {
    sure(listed(host, method, "refused").await?, || "it is not in the list".to_owned())?;
    let told = host.ask(method, params(host, method, "refused", "a")).await?;
    sure(told.text().contains("not today"), || format!("without the reason: {}", told.text()))?;
    sure(!told.text().contains("served"), || told.text())?;
    Ok(Mark::Refused)
}

/// The code of a refusal, wherever its era has a place for it.
fn code(told: &Value) -> &str {
    let refusal = &told["result"]["_meta"]["callgate/refusal"]["code"];
    refusal.as_str().or(told["error"]["data"]["code"].as_str()).unwrap_or_default()
}

/// That it waits for people, and for whom.
fn waits(told: &Value) -> Result<Mark, Fault> {
    let text = told.to_string();
    let names = text.contains("two look at it") && text.contains("finance");
    sure(code(told) == "approval-required" && names && !text.contains("served"), || {
        format!("not held: {text}")
    })?;
    Ok(Mark::Held)
}

async fn held(host: &mut Host, method: &str) -> Result<Mark, Fault> {
    sure(listed(host, method, "held").await?, || "it is not in the list".to_owned())?;
    let name = host.name.clone();
    let told = host.ask(method, params(host, method, "held", &name)).await?;
    waits(&told.answer)
}

/// Held, until somebody said yes or no to exactly that; a yes is good once.
async fn decided(host: &mut Host, server: &Server, yes: bool) -> Result<Mark, Fault> {
    let who = format!("{} {yes}", host.name);
    let call = params(host, "tools/call", "decided", &who);
    let told = host.ask("tools/call", call.clone()).await?.answer;
    waits(&told)?;
    let operation = &told["result"]["_meta"]["callgate/approval"]["operation"];
    host.decide(operation.as_str().ok_or_else(|| format!("no operation: {told}"))?, yes).await;
    let again = host.ask("tools/call", call.clone()).await?;
    let left = server.heard(&["tools/call", "decided", &who]);
    if !yes {
        let no = code(&again.answer) == "approval-denied" && left == 0;
        sure(no, || format!("left {left} times: {}", again.text()))?;
        return Ok(Mark::Refused);
    }
    of_its_era(host, &again.answer)?;
    sure(again.text().contains("served tools/call decided"), || format!("not served: {}", again.text()))?;
    waits(&host.ask("tools/call", call).await?.answer)?;
    let left = server.heard(&["tools/call", "decided", &who]);
    sure(left == 1, || format!("it left {left} times"))?;
    Ok(Mark::Served)
}

/// There is room for one.
async fn spends(host: &mut Host, server: &Server) -> Result<Mark, Fault> {
    let who = host.name.clone();
    let call = params(host, "tools/call", "limited", &who);
    let first = host.ask("tools/call", call.clone()).await?;
    sure(first.text().contains("served tools/call limited"), || format!("not served: {}", first.text()))?;
    let second = host.ask("tools/call", call).await?;
    let left = server.heard(&["tools/call", "limited", &who]);
    let no = code(&second.answer) == "budget-exceeded" && left == 1;
    sure(no, || format!("left {left} times: {}", second.text()))?;
    Ok(Mark::Refused)
}

/// A key is for one call, which is made once: the same again has its answer, and another is refused.
async fn repeats(host: &mut Host, server: &Server, outcome: Outcome) -> Result<Mark, Fault> {
    let key = format!("{}-{outcome:?}", host.name);
    let under_key = |host: &Host, text: &str| {
        let mut params = params(host, "tools/call", "open", text);
        params["_meta"]["callgate/idempotency-key"] = json!(key);
        params
    };
    let first = host.ask("tools/call", under_key(host, &key)).await?;
    sure(first.text().contains("served tools/call open"), || format!("not served: {}", first.text()))?;
    let text = if outcome == Outcome::Allow { key.clone() } else { format!("{key}, another") };
    let again = host.ask("tools/call", under_key(host, &text)).await?;
    of_its_era(host, &again.answer)?;
    let left = server.heard(&["tools/call", "open", &key]);
    let (right, mark) = match outcome == Outcome::Allow {
        true => (again.answer["result"] == first.answer["result"], Mark::Served),
        false => (code(&again.answer) == "idempotency-key-reused", Mark::Refused),
    };
    sure(right && left == 1, || format!("left {left} times: {}", again.text()))?;
    Ok(mark)
}

/// A call and a ping at once. Only 2025-03-26 has that; of other revisions nothing in it is done.
async fn batched(host: &mut Host, server: &Server, outcome: Outcome, item: &str) -> Result<Mark, Fault> {
    let who = format!("{} batch", host.name);
    let call = params(host, "tools/call", item, &who);
    let answers = host.ask_at_once(&[("tools/call", call), ("ping", json!({}))]).await?;
    if !host.kind.knows_batches() {
        let no = answers.iter().all(|one| code(one) == "batch-unsupported");
        sure(no && server.heard(&["tools/call", &who]) == 0, || format!("not refused: {answers:?}"))?;
        return Ok(Mark::Refused);
    }
    let [told, pong] = answers.as_slice() else { return Err(format!("not two answers: {answers:?}")) };
    sure(pong["result"] == json!({}), || format!("no pong: {pong}"))?;
    of_its_era(host, told)?;
    let text = told.to_string();
    match outcome {
        Outcome::Allow => {
            sure(text.contains("served tools/call open"), || format!("not served: {text}"))?;
            Ok(Mark::Served)
        }
        Outcome::Redact => {
            let masked = text.contains("served tools/call leaky with [secret:key]");
            sure(masked, || format!("not masked: {text}"))?;
            Ok(Mark::Masked)
        }
        Outcome::Hide => {
            let call = params(host, "tools/call", "absent", &who);
            let absent = host.ask_at_once(&[("tools/call", call), ("ping", json!({}))]).await?.swap_remove(0);
            let told = |answer: &Value| Told { answer: answer.clone(), before: Vec::new() };
            as_unknown(&told(&answers[0]), &told(&absent))
        }
        Outcome::Refuse => {
            sure(text.contains("not today") && !text.contains("served"), || format!("not refused: {text}"))?;
            Ok(Mark::Refused)
        }
        Outcome::Hold => waits(told),
    }
}

/// Until a touch of the server's resources is heard of; how long that takes to begin is nobody's promise.
async fn hears(host: &mut Host, item: &str, tries: u32) -> Result<Option<Value>, Fault> {
    let uri = host.uri(item);
    for _ in 0..tries {
        host.ask("tools/call", params(host, "tools/call", "touch", "-")).await?;
        let about =
            |one: &Value| one["method"] == "notifications/resources/updated" && one["params"]["uri"] == uri;
        if let Some(one) = host.soon(Duration::from_millis(150), about).await {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// Begins to listen: the id of what is to be ended where that is a stream, and whether it was granted.
async fn listen(host: &mut Host, item: &str) -> Result<(u64, Result<(), Told>), Fault> {
    let uri = host.uri(item);
    if !host.kind.is_modern() {
        let told = host.ask("resources/subscribe", json!({ "uri": uri })).await?;
        of_its_era(host, &told.answer)?;
        return Ok((0, if told.answer.get("result").is_some() { Ok(()) } else { Err(told) }));
    }
    let wanted = json!({ "notifications": { "resourceSubscriptions": [uri] } });
    let (id, request) = host.request("subscriptions/listen", wanted);
    host.say(&request).await?;
    let ack = |one: &Value| {
        one["method"] == "notifications/subscriptions/acknowledged"
            && one["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id
    };
    let ack = host.until("an acknowledgement", ack).await?;
    let granted = ack["params"]["notifications"]["resourceSubscriptions"].to_string().contains(&uri);
    Ok((id, if granted { Ok(()) } else { Err(Told { answer: ack, before: Vec::new() }) }))
}

async fn unlisten(host: &mut Host, id: u64, item: &str) -> Result<(), Fault> {
    if host.kind.is_modern() {
        return host.cancel(id).await;
    }
    let told = host.ask("resources/unsubscribe", json!({ "uri": host.uri(item) })).await?;
    of_its_era(host, &told.answer)?;
    sure(told.answer.get("result").is_some(), || format!("not taken back: {}", told.text()))
}

async fn listens(host: &mut Host, row: Row) -> Result<Mark, Fault> {
    let (id, granted) = listen(host, row.item()).await?;
    match (row.outcome, granted) {
        (Outcome::Allow | Outcome::Redact, Ok(())) => {
            let heard = hears(host, row.item(), 40).await?;
            let heard = heard.ok_or("no update came")?;
            if host.kind.is_modern() {
                let named = &heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
                sure(*named == id, || format!("of another subscription: {heard}"))?;
            } else {
                of_its_era(host, &heard)?;
            }
            unlisten(host, id, row.item()).await?;
            Ok(if row.outcome == Outcome::Allow { Mark::Served } else { Mark::Masked })
        }
        (Outcome::Allow | Outcome::Redact, Err(told)) => Err(format!("not granted: {}", told.text())),
        (Outcome::Hide | Outcome::Refuse, Ok(())) => Err("it was granted".to_owned()),
        (Outcome::Hold, _) => Err("no row asks for that".to_owned()),
        (Outcome::Hide, Err(told)) if !host.kind.is_modern() => {
            let absent = host.ask("resources/subscribe", json!({ "uri": host.uri("absent") })).await?;
            as_unknown(&told, &absent)
        }
        (Outcome::Refuse, Err(told)) if !host.kind.is_modern() => {
            sure(told.text().contains("not today"), || format!("without the reason: {}", told.text()))?;
            Ok(Mark::Refused)
        }
        // a modern client reads in the acknowledgement what it may hear, and no reason
        (Outcome::Hide | Outcome::Refuse, Err(_)) => {
            host.cancel(id).await?;
            Ok(if row.outcome == Outcome::Hide { Mark::Hidden } else { Mark::Refused })
        }
    }
}

async fn leaves(host: &mut Host, row: Row) -> Result<Mark, Fault> {
    if matches!(row.outcome, Outcome::Hide | Outcome::Refuse) {
        if host.kind.is_modern() {
            return Ok(Mark::Nothing("closes its stream, which names nothing"));
        }
        let params = json!({ "uri": host.uri(row.item()) });
        let told = host.ask("resources/unsubscribe", params).await?;
        if row.outcome == Outcome::Hide {
            let absent = host.ask("resources/unsubscribe", json!({ "uri": host.uri("absent") })).await?;
            return as_unknown(&told, &absent);
        }
        sure(told.text().contains("not today"), || format!("without the reason: {}", told.text()))?;
        return Ok(Mark::Refused);
    }
    let (id, granted) = listen(host, row.item()).await?;
    granted.map_err(|told| format!("not granted: {}", told.text()))?;
    hears(host, row.item(), 40).await?.ok_or("no update came")?;
    unlisten(host, id, row.item()).await?;
    host.forget();
    // some may be on their way, and others go on listening to a server that does not tell one from another
    let mut quiet = 0;
    for _ in 0..20 {
        quiet = if hears(host, row.item(), 1).await?.is_none() { quiet + 1 } else { 0 };
        if quiet == 2 {
            break;
        }
    }
    sure(quiet == 2, || "it is still told".to_owned())?;
    Ok(if row.outcome == Outcome::Allow { Mark::Served } else { Mark::Masked })
}

async fn is_asked(host: &mut Host, server: &Server, kind: &str, outcome: Outcome) -> Result<Mark, Fault> {
    let method = match kind {
        "elicitation" => "elicitation/create",
        "sampling" => "sampling/createMessage",
        _ => "roots/list",
    };
    let who = format!("{} {kind} {outcome:?}", host.name);
    let tool = if outcome == Outcome::Redact { format!("leak-{kind}") } else { format!("ask-{kind}") };
    let told = host.ask("tools/call", params(host, "tools/call", &tool, &who)).await?;
    of_its_era(host, &told.answer)?;
    sure(server.heard(&["tools/call", &who]) > 0, || format!("the call did not leave: {}", told.text()))?;
    let (asked, answered) = (told.questions(method), server.heard(&["answer", &who]));
    let meant = host.kind.knows_forms() || kind != "elicitation";
    if !meant || matches!(outcome, Outcome::Hide | Outcome::Refuse) {
        let not = || format!("asked {asked} times, {answered} answers: {}", told.text());
        sure(asked == 0 && answered == 0 && !told.text().contains("yes-by"), not)?;
        return Ok(match (meant, outcome) {
            (false, _) => Mark::Nothing("2025-03-26 knows no elicitation: the client is not asked"),
            (true, Outcome::Hide) => Mark::Hidden,
            (true, _) => Mark::Refused,
        });
    }
    let once = || format!("asked {asked} times, {answered} answers: {}", told.text());
    sure(asked == 1 && answered == 1 && told.text().contains("yes-by"), once)?;
    if outcome == Outcome::Allow {
        return Ok(Mark::Served);
    }
    let said = told.before.iter().find(|one| one["method"] == method).map(Value::to_string);
    let said = said.unwrap_or_default();
    sure(said.contains("is [secret:key] yours?"), || format!("not masked: {said}"))?;
    Ok(Mark::Masked)
}

async fn is_told(host: &mut Host) -> Result<Mark, Fault> {
    let told = host.ask("tools/call", params(host, "tools/call", "chatty", "a")).await?;
    let step = Value::from(told.before.clone()).to_string();
    sure(step.contains("as [secret:key]"), || format!("no progress, or not masked: {step}"))?;
    let logged = |one: &Value| one["method"] == "notifications/message";
    let line = match told.before.into_iter().find(logged) {
        Some(line) => line,
        // over stdio it names no request, and comes when it comes
        None => host.until("a log line", logged).await?,
    };
    sure(line.to_string().contains("I log in with [secret:key]"), || format!("not masked: {line}"))?;
    Ok(Mark::Masked)
}

async fn fails(host: &mut Host, server: &Server, defect: Defect, stranger: &Who) -> Result<Mark, Fault> {
    let who = format!("{} {defect:?}", host.name);
    let plain = params(host, "tools/call", "open", &who);
    let open = |more: Value| {
        let mut params = plain.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            params["arguments"][key] = value.clone();
        }
        params
    };
    let (told, reason) = match defect {
        Defect::TwoNames => {
            let (_, message) = host.request("tools/call", open(json!({})));
            let named = |item: &str| format!("\"name\":\"{}\"", host.named(item));
            let both = format!("{},{}", named("touch"), named("open"));
            let text = message.to_string().replacen(&named("open"), &both, 1);
            host.write(text).await?;
            let told = host.until("a refusal", |one| one["error"].is_object()).await?;
            (told, "")
        }
        Defect::Task => {
            let told = host.ask("tasks/result", json!({ "taskId": who, "name": who })).await?;
            sure(server.heard(&["tasks/result"]) == 0, || "the server heard of a task".to_owned())?;
            (told.answer, "")
        }
        Defect::Stranger => (host.disguised(stranger, "tools/call", open(json!({}))).await?, ""),
        Defect::Unlisted => {
            let told = host.ask("tools/call", params(host, "tools/call", "unlisted", &who)).await?;
            let absent = host.ask("tools/call", params(host, "tools/call", "absent", &who)).await?;
            let mut like = told.answer.clone();
            like["id"] = absent.answer["id"].clone();
            let same = like.to_string().replace("unlisted", "absent") == absent.text();
            sure(same, || format!("{} is not {}", told.text(), absent.text()))?;
            (told.answer, "")
        }
        Defect::Misfit => (host.ask("tools/call", open(json!({ "more": 1 }))).await?.answer, "more"),
        Defect::NoRecord => (host.ask("tools/call", open(json!({}))).await?.answer, "ledger-unavailable"),
        Defect::Broken => {
            let told = host.ask("tools/call", params(host, "tools/call", "broken", &who)).await?.answer;
            sure(server.heard(&["tools/call", &who]) == 1, || "the call did not leave".to_owned())?;
            sure(!told.to_string().contains("as promised"), || format!("not withheld: {told}"))?;
            (told, "")
        }
    };
    let no = told["error"].is_object() || told["result"]["isError"] == true;
    sure(no && told.to_string().contains(reason), || format!("not refused: {told}"))?;
    let left = defect != Defect::Broken && server.heard(&[&who]) > 0;
    sure(!left, || "the server heard it".to_owned())?;
    Ok(Mark::Refused)
}

/// Whether a message has what no client may ever read.
pub(super) fn tells(message: &Value) -> bool {
    message.to_string().contains(KEY)
}
