//! What webhooks are told, as far as somebody may have to look after it.

use crate::{
    cli::Given,
    failure::{Outcome, Verdict},
    place::Place,
    say::{
        table::{Cell, whole, wrapped},
        when,
    },
};
use serde_json::json;
use store::{Delivery, DeliveryState};

/// Most of each kind that are shown.
const SHOWN_MAX: u64 = 200;

pub(super) async fn list(given: &Given, place: &Place) -> Outcome {
    let (store, scope) = (place.store_to_read(given.say).await?, place.scope());
    let mut all = store.deliveries(&scope, DeliveryState::Dead, SHOWN_MAX).await?;
    let given_up = all.len();
    all.extend(store.deliveries(&scope, DeliveryState::Waiting, SHOWN_MAX).await?);
    let overtaken = store.overtaken(&scope).await?;
    let is_overtaken = |one: &Delivery| overtaken.contains(&(one.hook.clone(), one.id.clone()));
    let value = |one: &Delivery| {
        json!({
            "overtaken": is_overtaken(one),
            "id": one.id, "webhook": one.hook, "approval": one.subject, "event": one.event, "tries": one.tries,
            "given-up": one.state == DeliveryState::Dead, "error": one.error,
            "next": (one.state == DeliveryState::Waiting && !is_overtaken(one)).then_some(one.next_at),
        })
    };
    given.say.json(&all.iter().map(value).collect::<Vec<_>>());
    let row = |one: &Delivery| {
        let state = match one.state {
            DeliveryState::Dead => Cell::painted(31, "given up"),
            DeliveryState::Waiting if is_overtaken(one) => "not tried again: a later state is told".into(),
            DeliveryState::Waiting => format!("next {}", when(one.next_at)).into(),
            DeliveryState::Sent => "sent".into(),
        };
        let error = one.error.clone().unwrap_or_default();
        let [id, hook, event] = [&one.id, &one.hook, &one.event].map(|text| Cell::from(text.clone()));
        vec![id, hook, event, one.tries.to_string().into(), state, error.into()]
    };
    if all.is_empty() {
        given.say.line("every webhook was told everything");
    } else {
        let [delivery, tries] = ["delivery", "tries"].map(whole);
        let [webhook, event, state, error] = ["webhook", "event", "state", "error"].map(wrapped);
        let head = [delivery, webhook, event, tries, state, error];
        given.say.table(&head, all.iter().map(row).collect());
    }
    Ok(if given_up == 0 { Verdict::Yes } else { Verdict::No })
}

pub(super) async fn again(id: &str, given: &Given, place: &Place) -> Outcome {
    place.store().await?.retry_delivery(&place.scope(), id).await?;
    given.say.json(&json!({ "delivery": id, "waits": true }));
    given.say.line(format!("`{id}` is tried anew"));
    Ok(Verdict::Yes)
}
