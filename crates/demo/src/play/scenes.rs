//! The scenes: what the agent asks, and what should come of it.

use super::look::{self, Seen};
use super::place::{AGENT, Place};
use super::tell::Tell;
use super::{Stage, child, record, tamper};
use crate::client::{Client, Reply, pipe};
use anyhow::Context as _;
use decision::Era;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

/// Between two looks at what waits for people.
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn play(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    what_there_is(stage).await?;
    a_read(stage).await?;
    an_unknown_argument(stage).await?;
    a_small_refund(stage).await?;
    a_large_refund(stage).await?;
    two_tools_alike(stage).await?;
    record::the_key(stage).await?;
    record::the_counts(stage).await?;
    tamper::the_edit(stage).await
}

/// Which client of the agent's sees a tool.
fn client<'a>(stage: &'a mut Stage<'_>, tool: &str) -> &'a mut Client {
    if tool.starts_with("payments__") { &mut stage.modern } else { &mut stage.legacy }
}

/// Has the agent call a tool, and tells what was asked, heard and recorded.
async fn call(stage: &mut Stage<'_>, tool: &str, arguments: Value) -> anyhow::Result<(Reply, Seen)> {
    stage.tell.asks(&format!("{tool} {arguments}"));
    let reply = client(stage, tool).call(tool, &arguments).await?;
    stage.tell.hears(reply.text());
    let seen = look::newest(stage.place).await?;
    stage.tell.recorded(&seen.told());
    Ok((reply, seen))
}

async fn what_there_is(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("What there is, and what the agent sees");
    let mut payments = Client::new(stage.payments.url(), Some(stage.place.key()), Era::Modern);
    payments.open().await?;
    let mut tickets = Client::new(stage.tickets.url(), None, Era::Legacy);
    tickets.open().await?;
    let direct = [
        ("crm", "standard input, 2025-11-25", crm(stage).await?),
        ("payments", "HTTP without sessions, 2026-07-28", payments.tools().await?),
        ("tickets", "HTTP with sessions, 2025-11-25", tickets.tools().await?),
    ];
    tickets.close().await?;
    let seen = stage.legacy.tools().await?;
    let alike = stage.modern.tools().await? == seen;
    let (mut all, mut strangers) = (0, seen.len());
    for (server, how, tools) in &direct {
        let own = tools.iter().filter(|tool| seen.contains(&format!("{server}__{tool}"))).count();
        all += tools.len();
        strangers -= own;
        stage.tell.pair(server, &format!("{} tools, {own} of them seen   ({how})", tools.len()));
    }
    stage.tell.prose(&format!("{AGENT} sees {}", seen.join(", ")));
    stage.tell.expect(
        all == 23 && seen.len() == 9 && strangers == 0 && alike,
        &format!("{all} tools exist, this agent sees {}, in either era", seen.len()),
        &format!("23 tools should exist and the agent see 9 of them; {all} exist, it sees {}", seen.len()),
    );
    Ok(())
}

/// The tools of crm, asked of a process of our own, as the gateway's belongs to the gateway.
async fn crm(stage: &Stage<'_>) -> anyhow::Result<Vec<String>> {
    let mut command = stage.place.plain(&["demo-server", "crm"]);
    let mut child = child::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let input = child.stdin.take().context("no standard input")?;
    let output = child.stdout.take().context("no standard output")?;
    let tools = pipe::tools(output, input).await;
    // its standard input has ended
    child.wait().await?;
    Ok(tools?)
}

async fn a_read(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("A read");
    let (reply, seen) = call(stage, "crm__get_customer", json!({ "id": "C-1001" })).await?;
    stage.tell.expect(
        reply.is_good() && reply.got("id") == Some(&json!("C-1001")) && seen.was_answered(),
        "it passes, and the customer comes back as crm sent it",
        &format!("the customer should have come back; the {}", seen.told()),
    );
    Ok(())
}

async fn an_unknown_argument(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("An argument that nobody declared");
    let arguments = json!({ "query": "keller", "include_deleted": true });
    let (reply, seen) = call(stage, "crm__search_customers", arguments).await?;
    stage.tell.expect(
        reply.code() == Some("arguments-invalid")
            && reply.text().contains("include_deleted")
            && seen.was_refused("arguments-invalid"),
        "it is refused with the reason, as the model reads it, and crm never heard of it",
        &format!("the unknown argument should have been refused; the {}", seen.told()),
    );
    Ok(())
}

fn refund(amount: u32) -> Value {
    json!({ "payment_id": "P-7001", "amount": amount, "currency": "EUR", "reason": "arrived broken" })
}

async fn a_small_refund(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("A refund of 40");
    let (reply, seen) = call(stage, "payments__refund", refund(40)).await?;
    stage.tell.expect(
        reply.is_good() && reply.got("amount") == Some(&json!(40.0)) && seen.was_answered(),
        "it passes, and the money is on its way",
        &format!("the refund should have been paid; the {}", seen.told()),
    );
    Ok(())
}

/// The agent asks and waits; meanwhile somebody without standing and somebody of finance look at it.
async fn a_large_refund(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("A refund of 500");
    let (tell, place) = (stage.tell, stage.place);
    tell.asks(&format!("payments__refund {}", refund(500)));
    let arguments = refund(500);
    let agent = stage.modern.call("payments__refund", &arguments);
    let people = people(tell, place, &mut stage.legacy);
    let (reply, decided) = {
        let mut agent = std::pin::pin!(agent);
        tokio::select! {
            reply = &mut agent => (reply?, Decided::default()),
            decided = people => {
                let decided = decided?;
                (agent.await?, decided)
            }
        }
    };
    tell.hears(reply.text());
    let seen = look::newest(place).await?;
    tell.recorded(&seen.told());
    tell.expect(
        decided.untouched && decided.refused && decided.approved,
        "it waits; nothing is paid, and only finance can lift that",
        &format!("the refund should have been held for finance; the {}", seen.told()),
    );
    stage.large = Some(seen.call.clone());
    let (payment, _) = call(stage, "payments__get_payment", json!({ "id": "P-7001" })).await?;
    let refunded = payment.got("refunded").cloned().unwrap_or_default();
    stage.tell.expect(
        decided.approved && reply.is_good() && seen.was_answered() && refunded == json!(540.0),
        "after that yes the same call goes on by itself, once: 540 were paid back in all",
        &format!("the refund should have gone on after finance's yes, once; {refunded} were paid back"),
    );
    Ok(())
}

/// What people did while the agent waited.
#[derive(Debug, Default)]
struct Decided {
    /// Nothing was paid meanwhile.
    untouched: bool,
    /// The word of somebody of another group did not count.
    refused: bool,
    approved: bool,
}

async fn people(tell: &Tell, place: &Place, agent: &mut Client) -> anyhow::Result<Decided> {
    let id = loop {
        let waiting = place.ask(&["approvals", "list"], None).await?.value;
        if let Some(id) = waiting.pointer("/0/id").and_then(Value::as_str) {
            let summary = waiting.pointer("/0/preview/summary").and_then(Value::as_str);
            tell.pair("waits", summary.unwrap_or_default());
            break id.to_owned();
        }
        tokio::time::sleep(LOOK).await;
    };
    let payment = agent.call("payments__get_payment", &json!({ "id": "P-7001" })).await?;
    let says = async |who: &str| {
        let said = place.ask(&["approvals", "approve", &id, "--as", who], None).await?;
        let told = said.value.get("refused").or_else(|| said.value.get("state")).and_then(Value::as_str);
        tell.pair(who, &format!("says yes: {}", told.unwrap_or_default()));
        anyhow::Ok(said)
    };
    Ok(Decided {
        untouched: payment.got("refunded") == Some(&json!(40.0)),
        refused: !says("sue").await?.yes,
        approved: says("fay").await?.value.get("state") == Some(&json!("approved")),
    })
}

async fn two_tools_alike(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.tell.scene("A tool it may not see, and one that does not exist");
    let arguments = json!({ "id": "C-1001" });
    let (hidden, first) = call(stage, "crm__delete_customer", arguments.clone()).await?;
    let (absent, second) = call(stage, "crm__delete_everything", arguments).await?;
    // the name that was asked for, and the number of the message, are the asker's own
    let bare = |reply: &Reply, name: &str| {
        let mut message = reply.message.clone();
        message.as_object_mut().map(|members| members.remove("id"));
        (reply.status, message.to_string().replace(name, "NAME"))
    };
    let alike = bare(&hidden, "crm__delete_customer") == bare(&absent, "crm__delete_everything");
    stage.tell.expect(
        alike
            && hidden.error().is_some()
            && first.was_refused("not-permitted")
            && second.was_refused("item-unknown"),
        "the agent is answered alike; only the record knows the difference",
        "the two answers should be refusals that differ in nothing but the name that was asked for",
    );
    Ok(())
}
