//! What servers offer and nobody is shown.

use super::kept::{Kept, Served};
use crate::say::{Say, one_line};
use decision::{ItemKind, ServerName};
use serde::Serialize;
use serde_json::{Value, json};
use store::{Pin, PinState};

/// What was accepted and nobody could use, tools mostly.
#[derive(Debug, Serialize)]
pub(super) struct Tool {
    server: ServerName,
    kind: ItemKind,
    name: String,
    because: String,
}

pub(super) fn unusable(live: &gateway::Live) -> Vec<Tool> {
    let all = live.unusable();
    all.map(|(server, item, because)| Tool {
        server: server.clone(),
        kind: item.kind,
        name: item.name.clone(),
        because: because.to_owned(),
    })
    .collect()
}

/// What waits for a yes, for programs.
pub(super) fn pending(all: &[(ServerName, Vec<Pin>)], served: &Served) -> Vec<Value> {
    let value = |server: &ServerName, pin: &Pin| {
        json!({
            "server": server, "kind": pin.item.kind, "name": pin.item.name, "state": state(pin.state),
            "served": is_served(served, server, pin),
        })
    };
    all.iter().flat_map(|(server, pins)| pins.iter().map(move |pin| value(server, pin))).collect()
}

fn is_served(served: &Served, server: &ServerName, pin: &Pin) -> bool {
    served.contains(&(server.clone(), pin.item.clone()))
}

pub(super) fn tell(say: Say, Kept { pending, served, .. }: &Kept, unusable: &[Tool]) {
    let mark = say.paint(33, "!");
    for (server, pin) in pending.iter().flat_map(|(server, pins)| pins.iter().map(move |pin| (server, pin))) {
        let (kind, name) = (pin.item.kind.as_str(), one_line(&pin.item.name));
        let (state, means) = (
            state(pin.state),
            match is_served(served, server, pin) {
                true => {
                    "served on as it was accepted, since that breaks no client and is harmless by all that is known"
                }
                false => "withheld",
            },
        );
        say.line(format!(
            "{mark} {kind} `{name}` of `{server}` is {state} and {means}: see `callgate registry diff {server}`"
        ));
    }
    for Tool { server, kind, name, because } in unusable {
        let (kind, name, because) = (kind.as_str(), one_line(name), one_line(because));
        say.line(format!(
            "{mark} {kind} `{name}` of `{server}` is withheld, since nobody could use it: {because}"
        ));
    }
}

fn state(state: PinState) -> &'static str {
    match state {
        PinState::Approved => "approved",
        PinState::Changed => "changed",
        PinState::Returned => "returned",
        PinState::New => "new",
        PinState::Gone => "gone",
    }
}
