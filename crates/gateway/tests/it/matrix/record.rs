//! What the ledger says of a cell, and that the cells of a row say the same.

use super::Cell;
use super::carriers::Carrier;
use super::cells::{Act, Defect, Outcome};
use super::client::Door;
use decision::{
    Code, Decision, Direction, Ending, Entry, Era, EventName, Intent, ItemKind, ServerName, Stage, Transport,
};
use std::collections::BTreeMap;

/// The whole ledger, read once.
pub(super) struct Ledger {
    intents: Vec<(u64, Intent)>,
    decisions: BTreeMap<decision::CallId, Vec<(u64, Decision)>>,
    /// Events that say that something was taken out of what a server said.
    redacted: Vec<(u64, Option<ServerName>)>,
}

/// One call and how it ended.
type Leg<'l> = (&'l Intent, &'l Decision);

impl Ledger {
    pub(super) fn read(house: &crate::house::House) -> Self {
        let (mut intents, mut redacted) = (Vec::new(), Vec::new());
        let mut decisions = BTreeMap::<_, Vec<_>>::new();
        for (at, entry) in house.entries().into_iter().enumerate() {
            let at = at as u64;
            match entry {
                Entry::Intent(intent) if !intent.errand => intents.push((at, *intent)),
                Entry::Decision(decision) => {
                    decisions.entry(decision.call).or_default().push((at, *decision))
                }
                Entry::Event(event) if event.event == EventName::ResultRedacted => {
                    redacted.push((at, event.server));
                }
                Entry::Intent(_) | Entry::Event(_) => {}
            }
        }
        Self { intents, decisions, redacted }
    }

    /// The legs of a cell, in order: all but lists, the touches, and what was asked for comparison.
    fn legs(&self, cell: &Cell) -> Result<Vec<Leg<'_>>, String> {
        let aside = |intent: &Intent| {
            let item = intent.target.as_ref().map(|target| target.item.name.as_str());
            let method = intent.method.as_deref().unwrap_or_default();
            let absent =
                intent.target.is_none() && NAMED.contains(&method) && cell.row.outcome == Outcome::Hide;
            method.ends_with("/list") && method != "roots/list"
                || method.starts_with("notifications/")
                || intent.method.is_none() && !is_nameless(cell)
                || item == Some("touch")
                || absent
        };
        let mine = self.intents.iter().filter(|(at, intent)| cell.window.contains(at) && is_of(cell, intent));
        let mut legs = Vec::new();
        for (at, intent) in mine.filter(|(_, intent)| !aside(intent)) {
            let [(closed, decision)] = self.decisions.get(&intent.call).map_or(&[][..], Vec::as_slice) else {
                return Err(format!("not exactly one decision for {intent:?}"));
            };
            if closed <= at {
                return Err("the decision comes before its intent".to_owned());
            }
            if is_why(cell, decision) {
                legs.push((intent, decision));
            }
        }
        if is_nameless(cell) {
            legs.truncate(1);
        }
        Ok(legs)
    }
}

/// Methods that name an item.
const NAMED: [&str; 6] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "resources/subscribe",
    "resources/unsubscribe",
];

/// Rows in which a message comes no further than to where nobody knows yet which Host says it.
fn is_nameless(cell: &Cell) -> bool {
    matches!(cell.row.act, Act::Fails(Defect::TwoNames | Defect::Stranger | Defect::Task))
        || is_no_batch(cell)
}

/// A batch of a revision that has none is not read.
fn is_no_batch(cell: &Cell) -> bool {
    cell.row.act == Act::Batched && !cell.client.knows_batches()
}

/// Of messages that were not read, which it was shows in why.
fn is_why(cell: &Cell, decision: &Decision) -> bool {
    let code = if cell.row.act == Act::Fails(Defect::TwoNames) {
        Code::JsonDuplicateKey
    } else if is_no_batch(cell) {
        Code::BatchUnsupported
    } else {
        return true;
    };
    decision.ending == Ending::Refused { code }
}

/// What the record calls the door.
fn entrance(cell: &Cell) -> &str {
    match cell.door {
        Door::Own => &cell.server_name,
        Door::All => "mcp",
    }
}

fn is_of(cell: &Cell, intent: &Intent) -> bool {
    if is_nameless(cell) {
        let is = |defect| cell.row.act == Act::Fails(defect);
        let named = if is(Defect::Task) { "tasks/result" } else { "tools/call" };
        let method = (!is(Defect::TwoNames) && !is_no_batch(cell)).then_some(named);
        let asker = match is(Defect::Stranger) {
            true => decision::Actor::Agent("gone".parse().unwrap()),
            // what is wrong with a message is told to whoever is known
            false => decision::Actor::Agent("bot".parse().unwrap()),
        };
        return intent.principal.actor == asker
            && intent.method.as_deref() == method
            && intent.channel.entrance == entrance(cell)
            && intent.channel.transport == cell.client.transport;
    }
    intent.claimed.host.as_deref() == Some(&cell.name)
}

/// What the record says of a cell without what may differ in its row, and the words for the page.
pub(super) struct Form {
    /// Cells of a row with the same of this must have the same lines.
    pub(super) among: String,
    pub(super) lines: Vec<String>,
    pub(super) words: String,
}

/// Ids, times, sizes, salted commitments, the era and revision, and by what a credential is known on a transport are
/// never in a line. More may differ only as said here:
///
/// - *updates of a resource* are two methods: the two eras of clients are compared each for itself;
/// - *a batch* is one of 2025-03-26, and its members end in any order; of another revision it is refused unread;
/// - *a question* takes more legs where a modern end has to come again: of the call the first intent and the last
///   decision count, what was masked and how often progress was reported is summed, and of each question what the
///   rules said;
/// - *a question that is refused* a legacy server is told of, and ends its call itself; a modern server or a modern
///   client cannot be told, so that the call ends there: cells are compared where both eras are the same;
/// - *a pipe that a modern client's calls share* with a legacy server does not say whose a question is once a call on it
///   was given up: the server is told that nobody can be asked, and ends its call itself.
pub(super) fn form(ledger: &Ledger, cell: &Cell) -> Result<Form, String> {
    let legs = ledger.legs(cell)?;
    let (client, server) =
        (if cell.client.is_modern() { "modern" } else { "legacy" }, format!("{:?}", cell.era));
    let (among, lines) = match (cell.row.act, cell.row.outcome) {
        (Act::IsAsked(_), Outcome::Allow | Outcome::Redact) => ("all".to_owned(), deed(cell, &legs)?),
        (Act::IsAsked(_), _) => {
            let shared = cell.client.is_modern() && cell.era == Era::Legacy && cell.carrier != Carrier::Http;
            let answered = legs.last().is_some_and(|leg| leg.1.ending == Ending::Answered);
            let how = if shared && answered { ", after another was given up" } else { "" };
            (format!("{client} over {server}{how}"), deed(cell, &legs)?)
        }
        (Act::Listens | Act::Leaves, _) => {
            (client.to_owned(), legs.iter().map(|leg| line(cell, *leg)).collect())
        }
        (Act::Repeats, Outcome::Allow) => {
            of_one_deed(&legs)?;
            ("all".to_owned(), legs.iter().map(|leg| line(cell, *leg)).collect())
        }
        (Act::Batched, _) => {
            let mut lines: Vec<_> = legs.iter().map(|leg| line(cell, *leg)).collect();
            lines.sort();
            (format!("read: {}", cell.client.knows_batches()), lines)
        }
        _ => ("all".to_owned(), legs.iter().map(|leg| line(cell, *leg)).collect()),
    };
    // nobody can be asked, so that it is refused by whoever finds that out
    let among = match &cell.mark {
        Ok(super::cells::Mark::Nothing(why)) => format!("{client} over {server}: {why}"),
        Ok(_) | Err(_) => among,
    };
    let to_server = legs.iter().filter(|(intent, _)| intent.direction == Direction::ToServer);
    let calls: Vec<_> = to_server.filter(|(intent, _)| intent.method.as_deref() != Some("ping")).collect();
    let last = calls.last().ok_or("nothing is recorded")?;
    let one_by_one = || calls.iter().map(|leg| words(leg.1)).collect::<Vec<_>>().join(", then ");
    let several = matches!(cell.row.act, Act::Decided(_) | Act::Spends | Act::Repeats);
    let said = if several { one_by_one() } else { words(last.1) };
    Ok(Form { among, lines, words: said })
}

fn words(decision: &Decision) -> String {
    let at = decision.evidence.iter().find(|one| one.refused.is_some());
    let stage = at.map(|one| format!("{:?}", one.stage).to_lowercase()).unwrap_or_default();
    match &decision.ending {
        Ending::Answered => "answered".to_owned(),
        Ending::Refused { code } => format!("`{}` at {stage}", code.as_str()),
        Ending::Failed { code } => format!("`{}` at {stage}, after it left", code.as_str()),
        Ending::Cancelled => "cancelled".to_owned(),
        Ending::Unknown => "unknown".to_owned(),
    }
}

/// The call with its questions as one.
fn deed(cell: &Cell, legs: &[Leg<'_>]) -> Result<Vec<String>, String> {
    let calls: Vec<_> =
        legs.iter().copied().filter(|(intent, _)| intent.direction == Direction::ToServer).collect();
    let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
        return Err("no call is recorded".to_owned());
    };
    of_one_deed(&calls)?;
    if calls.iter().enumerate().any(|(at, (intent, _))| intent.leg as usize != at) {
        return Err("its legs are not counted".to_owned());
    }
    let mut lines = vec![asked(cell, first.0), decided(cell, last.1)];
    let mut answers = Vec::new();
    for (intent, decision) in legs {
        answers.extend(answered(decision));
        if intent.direction == Direction::ToHost {
            let rules = decision.evidence.iter().find(|one| one.stage == Stage::Rules);
            let basis = rules.filter(|one| one.refused.is_none()).map(|one| one.basis.join(" "));
            lines.push(question(intent.method.as_deref().unwrap_or_default(), basis.as_deref()));
        } else {
            let inspected = decision.evidence.iter().find(|one| one.stage == Stage::Inspect);
            for one in inspected.iter().flat_map(|one| &one.basis) {
                if let Some((method, rules)) = one.strip_prefix("asks:").and_then(|said| said.split_once(' '))
                {
                    lines.push(question(method, Some(rules)));
                }
            }
        }
    }
    answers.sort();
    lines.extend(answers);
    Ok(lines)
}

fn of_one_deed(legs: &[Leg<'_>]) -> Result<(), String> {
    match legs.windows(2).all(|two| two[0].0.deed == two[1].0.deed) {
        true => Ok(()),
        false => Err("its legs are not of one deed".to_owned()),
    }
}

/// The answers that were judged with this leg: one by one, or as many as came with a call that was made again.
fn answered(decision: &Decision) -> Vec<String> {
    let basis = decision.evidence.iter().flat_map(|one| &one.basis);
    let counted = basis.filter_map(|one| one.strip_prefix("answers:")).flat_map(|one| {
        let (method, count) = one.split_once('×').unwrap_or((one, "1"));
        std::iter::repeat_n(format!("answers {method}"), count.parse().unwrap())
    });
    counted.collect()
}

fn question(method: &str, rules: Option<&str>) -> String {
    match rules {
        Some(rules) => format!("asks {method}: {rules}"),
        None => format!("may not ask {method}"),
    }
}

fn masked(decision: &Decision) -> u64 {
    let basis = decision.evidence.iter().flat_map(|one| &one.basis);
    let counts = basis.filter_map(|one| one.strip_prefix("masked:")?.rsplit_once('×')?.1.parse::<u64>().ok());
    counts.sum()
}

fn line(cell: &Cell, (intent, decision): Leg<'_>) -> String {
    format!("{} | {}", asked(cell, intent), decided(cell, decision))
}

fn asked(cell: &Cell, intent: &Intent) -> String {
    let Intent { direction, method, target, principal, arguments, .. } = intent;
    let target = target.as_ref().map(|target| {
        let own = target.server.as_str() == cell.server_name;
        let definition = target.definition.map(|digest| digest.to_string()).unwrap_or_default();
        // the address of a resource, which names its server, is a part of its definition
        let of_address = target.item.kind == ItemKind::Resource && !definition.is_empty();
        let definition = if of_address { "its own" } else { &definition };
        let name = target.item.name.replace(&cell.server_name, "SERVER");
        format!("{:?} {name}{} {definition}", target.item.kind, if own { "" } else { " of another" })
    });
    let method = method.as_deref().unwrap_or("no method");
    format!("{direction:?} {method} {target:?} by {} arguments:{}", principal.describe(), arguments.is_some())
}

fn decided(cell: &Cell, decision: &Decision) -> String {
    let Decision { ending, dispatched, progress, observed, outcome, events, evidence, .. } = decision;
    let is_error = outcome.as_ref().map(|outcome| outcome.is_error);
    let events: Vec<_> = events.iter().filter(|one| **one != EventName::ResultRedacted).collect();
    let stages: Vec<_> = evidence.iter().map(|one| stage(cell, one)).collect();
    format!(
        "{ending:?} dispatched:{dispatched} progress:{progress} observed:{observed} error:{is_error:?} {events:?} {stages:?}"
    )
}

fn stage(cell: &Cell, one: &decision::Evidence) -> String {
    // by what somebody is known, and of which revision a method is or is not
    let told_apart = matches!(one.stage, Stage::Route | Stage::Authenticate);
    // what was masked, asked and answered is counted apart
    let apart = |basis: &str| {
        let inspected =
            basis.ends_with(" bytes") || basis.starts_with("masked:") || basis.starts_with("asks:");
        // by how its client can be reached
        let reached = basis.starts_with("reached:");
        told_apart || one.stage == Stage::Inspect && inspected || basis.starts_with("answers:") || reached
    };
    // where in the message something stands depends on what an era writes before it
    let named = |text: &str| match text.split_once(" at byte ") {
        Some((what, _)) => what.to_owned(),
        None => {
            let text = text.replace(&cell.name, "CLIENT").replace(&format!("{}__", cell.server_name), "");
            without_ids(&text.replace(&cell.server_name, "SERVER"))
        }
    };
    let basis: Vec<_> = one.basis.iter().filter(|basis| !apart(basis)).map(|basis| named(basis)).collect();
    let because = if told_apart { String::new() } else { named(&one.because) };
    format!("{:?} {:?} {:?} {because} {basis:?}", one.stage, one.refused, one.would_refuse)
}

/// Every approval and every call has an id of its own.
fn without_ids(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
    let is_id = |word: &str| word.starts_with("appr_") || word.starts_with("call_");
    words.map(|word| if is_id(word) { "ID " } else { word }).collect()
}

/// Whether the record counts what was taken out. What a legacy server says over stdio or HTTP+SSE beside its answers belongs to
/// the session and no call of it, and is counted in an event.
pub(super) fn counts_masked(ledger: &Ledger, cell: &Cell) -> Result<(), String> {
    let legs = ledger.legs(cell)?;
    let counted: u64 = legs.iter().map(|leg| masked(leg.1)).sum();
    let named = legs.iter().any(|leg| leg.1.events.contains(&EventName::ResultRedacted));
    let of_session = cell.era == Era::Legacy && cell.carrier != Carrier::Http && !cell.client.is_modern();
    let in_events = ledger.redacted.iter().filter(|(at, server)| {
        let here = server.as_ref().is_some_and(|name| name.as_str() == cell.server_name);
        of_session && here && cell.window.contains(at)
    });
    let want = if cell.row.act == Act::IsTold { 2 } else { 1 };
    let all = counted + in_events.count() as u64;
    match all >= want && (named || of_session) {
        true => Ok(()),
        false => Err(format!("the record counts {all} of {want} that were masked")),
    }
}

/// The channel of each leg says what is true of the cell.
pub(super) fn channels(ledger: &Ledger, cell: &Cell) -> Result<(), String> {
    for (intent, decision) in ledger.legs(cell)? {
        let channel = &intent.channel;
        let era = if cell.client.is_modern() { decision::Era::Modern } else { decision::Era::Legacy };
        let came = channel.transport == cell.client.transport && channel.entrance == entrance(cell);
        if !came || channel.transport == Transport::Internal {
            return Err(format!("another channel: {channel:?}"));
        }
        if is_nameless(cell) {
            continue;
        }
        let speaks = channel.era == Some(era) && channel.revision.as_deref() == Some(cell.client.revision);
        let left = decision.dispatched && intent.direction == Direction::ToServer && intent.target.is_some();
        let crossed = (era != cell.era).then_some(cell.era);
        if !speaks || (left && channel.server_era != crossed) {
            return Err(format!("another channel: {channel:?}"));
        }
    }
    Ok(())
}
