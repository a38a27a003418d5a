//! What people are shown of a call that waits for them.

use crate::gate::{Gate, Live};
use crate::resolve::Resolved;
use catalog::Effect;
use decision::approval::{Before, Preview, Source};
use decision::{Call, Code, ItemKind, Refusal, Timestamp};
use policy::Held;

/// How much of what the agent read before is named.
const READ_MAX: usize = 8;
/// How many calls of the interaction are looked at for it.
const HOUR_US: u64 = 3_600_000_000;
const LOOKED_AT_MAX: u64 = 64;

/// Refused where they could not be shown all of it.
pub(crate) async fn of(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    held: &Held,
    before: Option<Before>,
) -> Result<Preview, Refusal> {
    let target = call.target();
    let classified = resolved.item.as_ref().map(|item| &item.classified);
    let effect = classified.map(|one| one.effect);
    let server = live.settings.servers.get(&target.server);
    let is_tool = target.item.kind == ItemKind::Tool;
    let undo = server.filter(|_| is_tool).and_then(|server| server.declarations.undo(&target.item.name));
    let prints = gate.opener.prints();
    let shown = inspect::shown::arguments(&call.arguments().unwrap_or_default(), &|value| prints.of(value));
    if !shown.whole {
        let sentence = "people have to agree to this call, and its arguments are too many or too long for them to be shown";
        return Err(Refusal::new(Code::ApprovalTooLong, sentence).told(sentence));
    }
    let name = inspect::shown::visible(&target.item.name);
    let what = match target.item.kind {
        ItemKind::Tool => format!("run `{name}`"),
        ItemKind::Prompt => format!("use the prompt `{name}`"),
        ItemKind::Resource | ItemKind::ResourceTemplate | ItemKind::Server | ItemKind::Question => {
            format!("reach `{name}`")
        }
    };
    let does = match effect {
        Some(Effect::Read) => "which reads data",
        Some(Effect::Write) => "which changes data",
        Some(Effect::Destructive) => "which may be irreversible",
        None => "whose effect is not known",
    };
    let (values, with) = match shown.brief.as_str() {
        "" => (String::new(), String::new()),
        brief => (format!(", with {brief}"), format!(" with {brief}")),
    };
    Ok(Preview {
        summary: format!(
            "{} wants to {what} on `{}`, {does}{values}.",
            call.principal().describe(),
            target.server
        ),
        brief: format!("{name}{with}"),
        effect: effect.map(|one| one.as_str().to_owned()).unwrap_or_default(),
        tier: classified.map(|one| one.tier.as_str().to_owned()).unwrap_or_default(),
        categories: classified
            .map(|one| one.categories.iter().map(|one| one.as_str().to_owned()).collect())
            .unwrap_or_default(),
        arguments: shown.text,
        masked: shown.masked,
        hidden: u64::try_from(shown.hidden).unwrap_or(u64::MAX),
        labels: shown.labels,
        before,
        read: read(gate, live, call).await,
        undo: undo.map(inspect::shown::visible),
        because: held.because.clone(),
        rules: held.rules.clone(),
    })
}

/// What the same interaction was given before, as far as the index has it: a page without it is better than no page.
async fn read(gate: &Gate, live: &Live, call: &Call) -> Vec<Source> {
    let filter = store::Filter {
        interaction: Some(call.interaction().clone()),
        ended: Some(store::Ended::Answered),
        since: Some(Timestamp(gate.clock.now().0.saturating_sub(HOUR_US))),
        ..store::Filter::default()
    };
    let found = gate.store.find_calls(&live.settings.scope(), &filter, LOOKED_AT_MAX, None).await;
    let rows = found.inspect_err(|error| tracing::warn!(%error, "what was read before is not known"));
    let gave = rows
        .unwrap_or_default()
        .into_iter()
        .filter(|row| matches!(row.method.as_deref(), Some("tools/call" | "resources/read" | "prompts/get")));
    let sources = gave.filter_map(|row| {
        Some(Source {
            call: row.call,
            at: row.at,
            server: row.server?,
            item: inspect::shown::visible(&row.item?.name),
        })
    });
    sources.take(READ_MAX).collect()
}
