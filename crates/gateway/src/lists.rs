//! Lists, from the pinned catalogue: what this principal may see, in the author's own bytes.

use crate::authenticate::Asker;
use crate::errands::Watching;
use crate::exchange::{Arrival, Entrance};
use crate::gate::{Change, Gate, Live};
use crate::handles::{self, Bound};
use crate::host_side::behind;
use crate::permission;
use crate::record::Leg;
use crate::session::Session;
use bytes::Bytes;
use decision::{Code, Digest, Era, EventName, ItemKind, Principal, Refusal, ServerName};
use parking_lot::Mutex;
use policy::{Answer, Asked, Circumstances, Question, Subject};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};
use tokio::sync::broadcast::error::RecvError;
use wire::{Revision, Way, rpc};

/// Items on one page.
const PAGE: usize = 500;
/// From this size on nothing more is put on a page.
const PAGE_BYTES: usize = 4 << 20;

/// Answers one of the four lists.
pub(crate) fn list(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    frame: &wire::Frame,
    method: &str,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Bytes, Refusal> {
    let (kind, key) = match method {
        "tools/list" => (ItemKind::Tool, "tools"),
        "prompts/list" => (ItemKind::Prompt, "prompts"),
        "resources/list" => (ItemKind::Resource, "resources"),
        "resources/templates/list" => (ItemKind::ResourceTemplate, "resourceTemplates"),
        _ => return Err(Refusal::new(Code::MethodUnsupported, format!("`{method}` is not a list"))),
    };
    let bound = Bound::to(handles::Kind::Cursor, &asker.principal, &[method, &arrival.entrance.label()]);
    let from = cursor(gate, &bound, frame)?;
    let items = visible(live, arrival, kind, asker, leg.claims.host.as_deref());
    if from > items.len() {
        return Err(bad_cursor());
    }
    let mut raw = format!("{{\"{key}\":[").into_bytes();
    let mut next = from;
    for item in items.iter().skip(from).take(PAGE) {
        if raw.len() >= PAGE_BYTES {
            break;
        }
        raw.extend_from_slice(if next == from { b"" } else { b"," });
        item.parts().iter().for_each(|part| raw.extend_from_slice(part));
        next += 1;
    }
    raw.push(b']');
    if items.len() > next {
        let next = handles::seal(gate, &bound, next.to_string().as_bytes());
        raw.extend_from_slice(format!(",\"nextCursor\":\"{next}\"").as_bytes());
    }
    if asker.era() == Era::Modern {
        // filtered per principal, and a rule may change at any time
        raw.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    raw.push(b'}');
    leg.shown = Some(Digest::of(&raw));
    Ok(rpc::result(frame.id_raw().unwrap_or(b"0"), &raw))
}

/// Where a page starts: at the place that was sealed for whom asks, in this list.
fn cursor(gate: &Gate, bound: &Bound, frame: &wire::Frame) -> Result<usize, Refusal> {
    if frame.at(&["params", "cursor"]).is_none() {
        return Ok(0);
    }
    let given = frame.string_at(&["params", "cursor"]).ok_or_else(bad_cursor)?;
    let from =
        handles::open(gate, bound, &given).and_then(|inner| String::from_utf8(inner).ok()?.parse().ok());
    from.ok_or_else(bad_cursor)
}

fn bad_cursor() -> Refusal {
    let sentence = "the cursor is not one of ours; list again from the start";
    Refusal::new(Code::ArgumentsInvalid, sentence).told(sentence)
}

/// The visible items of one kind behind an entrance, in stable order: by server, then by name.
pub(crate) fn visible(
    live: &Live,
    arrival: &Arrival,
    kind: ItemKind,
    asker: &Asker,
    host: Option<&str>,
) -> Arc<Vec<Shown>> {
    let (entrance, revision, principal) = (&arrival.entrance, asker.revision, &asker.principal);
    let whose = Whose {
        principal: Arc::clone(principal),
        // a client gives itself its name, and may give itself another each time
        host: host.filter(|_| live.policies.read_host()).map(str::to_owned),
        entrance: entrance.clone(),
        revision,
        kind,
    };
    let make = || shown_to(live, entrance, revision, principal, host, kind);
    // for the moment until the next snapshot, a date that has passed counts without it
    if live.registry.has_lapsed() { Arc::new(make()) } else { live.lists.get_or_make(whose, make) }
}

/// Lists that were made of one snapshot. What somebody may see is a matter of the snapshot and of who they are (*see*
/// reads no arguments and no time), so that of thousands of items it need not be asked at every list.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    lists: HashMap<Whose, Arc<Vec<Shown>>>,
    bytes: usize,
}

/// Most bytes of all lists that are kept, beside those of the definitions that all share; then they are made anew.
const KEPT_MAX: usize = 64 << 20;

/// Who asked for which list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whose {
    principal: Arc<Principal>,
    host: Option<String>,
    entrance: Entrance,
    revision: Revision,
    kind: ItemKind,
}

impl Lists {
    fn get_or_make(&self, whose: Whose, make: impl FnOnce() -> Vec<Shown>) -> Arc<Vec<Shown>> {
        if let Some(made) = self.made.lock().lists.get(&whose) {
            return Arc::clone(made);
        }
        let list = Arc::new(make());
        let bytes = whose.bytes() + list.iter().map(Shown::bytes).sum::<usize>();
        let mut made = self.made.lock();
        if made.bytes + bytes > KEPT_MAX {
            *made = Made::default();
        }
        // who asked for it twice at the same time has it twice counted
        if bytes <= KEPT_MAX {
            made.bytes += bytes;
            made.lists.insert(whose, Arc::clone(&list));
        }
        list
    }
}

impl Whose {
    /// About what it takes to keep it.
    fn bytes(&self) -> usize {
        512 + self.host.as_ref().map_or(0, String::len)
    }
}

/// A definition as somebody is shown it. Its bytes are the catalogue's wherever they can be: who asks must not decide how
/// often there are copies of them.
#[derive(Debug)]
pub(crate) struct Shown {
    raw: Bytes,
    /// What stands in place of a part of it: the federated name, encoded.
    renamed: Option<(Range<usize>, Box<str>)>,
    /// It is no copy.
    shared: bool,
}

impl Shown {
    /// Its bytes, in order.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        let Some((range, name)) = &self.renamed else { return [&self.raw, b"", b""] };
        let (before, behind) = (self.raw.get(..range.start), self.raw.get(range.end..));
        [before.unwrap_or_default(), name.as_bytes(), behind.unwrap_or_default()]
    }

    fn bytes(&self) -> usize {
        let name = self.renamed.as_ref().map_or(0, |(_, name)| name.len());
        size_of::<Self>() + name + if self.shared { 0 } else { self.raw.len() }
    }
}

/// The digest of lists, each item on a line of its own.
pub(crate) fn digest<'a>(shown: impl IntoIterator<Item = &'a Shown>) -> Digest {
    let parts: Vec<&[u8]> =
        shown.into_iter().flat_map(|item| item.parts().into_iter().chain([&b"\n"[..]])).collect();
    Digest::of_parts(&parts)
}

fn shown_to(
    live: &Live,
    entrance: &Entrance,
    client: Revision,
    principal: &Principal,
    host: Option<&str>,
    kind: ItemKind,
) -> Vec<Shown> {
    let mut items = Vec::new();
    for (server, peer) in behind(live, entrance) {
        let Some(entry) = live.catalogue.server(server) else {
            continue;
        };
        let submits = entry.submits().filter(|_| kind == ItemKind::Tool);
        let mut all: Vec<_> = entry.of_kind(kind).chain(submits).collect();
        all.sort_by(|one, other| one.definition.name().cmp(other.definition.name()));
        for item in all {
            let name = item.definition.name();
            // what submits a tool's calls is there for whom the tool is
            let judged = match &item.drafting {
                Some(catalog::Drafting::Submit { of }) => of,
                Some(catalog::Drafting::Draft { .. }) | None => name,
            };
            if !permission::visible(live, principal, host, server, kind, judged) {
                continue;
            }
            let way = Way::new(client, peer.eras);
            let federated = *entrance == Entrance::Federated;
            let own = match &item.drafting {
                // it tells whom it is shown to what to call next
                Some(drafting) if federated => {
                    &drafting.listed(&item.definition, |name| catalog::federated(server, name))
                }
                Some(_) | None => item.definition.raw(),
            };
            let raw = match kind {
                ItemKind::Tool => wire::bridge::definition::tool(own, way),
                ItemKind::Prompt
                | ItemKind::Resource
                | ItemKind::ResourceTemplate
                | ItemKind::Server
                | ItemKind::Question => own.clone(),
            };
            let renamed = federated && matches!(kind, ItemKind::Tool | ItemKind::Prompt);
            let renamed = renamed.then(|| rename(&raw, &catalog::federated(server, name))).flatten();
            items.push(Shown { shared: raw.as_ptr() == item.definition.raw().as_ptr(), raw, renamed });
        }
    }
    items
}

/// The author's definition under its federated name: what stands where. Every other byte is as it came.
fn rename(raw: &Bytes, name: &str) -> Option<(Range<usize>, Box<str>)> {
    let (_, range) = wire::json::object_members(raw).find(|(key, _)| key == "name")?;
    Some((range, wire::json::encode_string(name).into()))
}

const NOTICES: [(&str, &[ItemKind]); 3] = [
    ("notifications/tools/list_changed", &[ItemKind::Tool]),
    ("notifications/prompts/list_changed", &[ItemKind::Prompt]),
    ("notifications/resources/list_changed", &[ItemKind::Resource, ItemKind::ResourceTemplate]),
];

/// Tells a legacy session when one of its lists looks different to its principal, for as long as it
/// lasts. Each notice is an event in the record before it is told.
pub(crate) fn follow(gate: &Arc<Gate>, session: &Arc<Session>) {
    let mut changes = gate.changes.subscribe();
    let live = gate.live();
    let mut shown = digests(&live, session);
    let watching = watch(gate, &live, &session.entrance, &session.principal, Revision::LATEST_LEGACY);
    let (gate, session) = (Arc::downgrade(gate), Arc::clone(session));
    tokio::spawn(async move {
        let _watching = watching;
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = session.ended.cancelled() => return,
            };
            let Some(gate) = gate.upgrade() else {
                return;
            };
            match change {
                Ok(Change::Lists) | Err(RecvError::Lagged(_)) => {}
                Ok(Change::Resource { of, .. }) if !Gate::concerns(of.as_ref(), &session.principal) => {
                    continue;
                }
                Ok(Change::Resource { server, uri, .. }) => {
                    resource_updated(&gate, &session, &server, &uri).await;
                    continue;
                }
                Err(RecvError::Closed) => return,
            }
            let live = gate.live();
            let now = digests(&live, &session);
            for (method, _) in NOTICES.iter().filter(|(method, _)| shown.get(method) != now.get(method)) {
                let detail = BTreeMap::from([
                    ("method".to_owned(), (*method).to_owned()),
                    ("interaction".to_owned(), session.interaction.to_string()),
                ]);
                let event = crate::record::event(&gate, &live, EventName::MessageRelayed, None, None, detail);
                if event.await.is_ok() && session.push(rpc::notification(method, None)).is_err() {
                    return;
                }
            }
            shown = now;
        }
    });
}

/// Has the servers behind an entrance that are asked in the modern era say when their lists change.
pub(crate) fn watch(
    gate: &Arc<Gate>,
    live: &Live,
    entrance: &Entrance,
    principal: &Arc<Principal>,
    client: Revision,
) -> Vec<Arc<Watching>> {
    let modern = behind(live, entrance)
        .into_iter()
        .filter(|(_, peer)| Way::new(client, peer.eras).era() == Era::Modern);
    modern.filter_map(|(server, _)| gate.watches.lists(gate, live, server, principal)).collect()
}

/// Tells a legacy session of a resource at a modern server that its Host subscribed to.
async fn resource_updated(gate: &Arc<Gate>, session: &Session, server: &ServerName, uri: &str) {
    if !session.subscribed(server).uris.contains(uri) {
        return;
    }
    let live = gate.live();
    if !may_hear(gate, &live, session, server, uri) {
        return;
    }
    let method = "notifications/resources/updated";
    let detail = BTreeMap::from([
        ("method".to_owned(), method.to_owned()),
        ("uri".to_owned(), uri.to_owned()),
        ("interaction".to_owned(), session.interaction.to_string()),
    ]);
    let event = crate::record::event(gate, &live, EventName::MessageRelayed, None, Some(server), detail);
    if event.await.is_ok() {
        let params = format!("{{\"uri\":{}}}", wire::json::encode_string(uri));
        // a Host that is gone misses what it cannot be told
        let _ = session.push(rpc::notification(method, Some(params.as_bytes())));
    }
}

/// Whether a legacy session may still hear of a resource: access may have been taken away since it subscribed. What
/// people have said yes to then is not held again.
pub(crate) fn may_hear(gate: &Gate, live: &Live, session: &Session, server: &ServerName, uri: &str) -> bool {
    let claims = session.hello().map(|hello| hello.claims).unwrap_or_default();
    let host = claims.host.as_deref();
    let question = Question {
        asker: policy::Asker { principal: &session.principal, host },
        subject: Subject { server, kind: ItemKind::Resource, name: uri },
        method: "resources/subscribe",
        arguments: b"",
        circumstances: Circumstances {
            now: gate.clock.now(),
            transport: session.transport,
            era: Some(Era::Legacy),
            model: claims.model.as_deref(),
            workflow: claims.workflow.as_deref(),
        },
    };
    let answer = live.policies.call(&question);
    let ruled = matches!(answer, Answer::Held(_))
        || permission::settle(live, server, answer.judged(Asked::Call)).is_ok();
    ruled && permission::visible(live, &session.principal, host, server, ItemKind::Resource, uri)
}

fn digests(live: &Live, session: &Session) -> BTreeMap<&'static str, Digest> {
    let host = session.hello().and_then(|hello| hello.claims.host);
    let of = |kinds: &[ItemKind]| {
        let (entrance, principal) = (&session.entrance, &session.principal);
        let shown = |kind: &ItemKind| {
            shown_to(live, entrance, Revision::LATEST_LEGACY, principal, host.as_deref(), *kind)
        };
        digest(&kinds.iter().flat_map(shown).collect::<Vec<_>>())
    };
    NOTICES.iter().map(|(method, kinds)| (*method, of(kinds))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(n: usize) -> Whose {
        Whose {
            principal: Arc::new(Principal::unknown()),
            host: Some(n.to_string()),
            entrance: Entrance::Federated,
            revision: Revision::LATEST_MODERN,
            kind: ItemKind::Tool,
        }
    }

    #[test]
    fn lists_are_kept_by_their_bytes_and_what_all_share_is_counted_for_nobody() {
        let lists = Lists::default();
        let raw = Bytes::from(format!(r#"{{"name":"a","description":"{}"}}"#, "x".repeat(1 << 20)));
        let of = |shared: bool| {
            let shown = Shown { raw: raw.clone(), renamed: rename(&raw, "crm__a"), shared };
            let count = lists.made.lock().lists.len();
            lists.get_or_make(whose(count), || vec![shown])
        };
        (0..100).for_each(|_| drop(of(true)));
        assert_eq!(lists.made.lock().lists.len(), 100);
        assert!(lists.made.lock().bytes < 100 << 10);
        let mut most = 0;
        for _ in 0..200 {
            of(false);
            most = most.max(lists.made.lock().bytes);
        }
        assert!(most > KEPT_MAX / 2 && most <= KEPT_MAX, "{most}");
        let huge = || (0..65).map(|_| Shown { raw: raw.clone(), renamed: None, shared: false }).collect();
        assert_eq!(lists.get_or_make(whose(1_000), huge).len(), 65);
        assert!(!lists.made.lock().lists.contains_key(&whose(1_000)), "one that is too long is not kept");
    }

    #[test]
    fn a_definition_under_another_name_is_its_author_s_in_every_other_byte() {
        let raw = Bytes::from_static(br#"{ "title":"name", "name" : "say\u0021" ,"name2":1}"#);
        let shown = Shown { raw: raw.clone(), renamed: rename(&raw, "crm__say!"), shared: true };
        let told = br#"{ "title":"name", "name" : "crm__say!" ,"name2":1}"#;
        assert_eq!(shown.parts().concat(), told);
        let nameless = Bytes::from_static(b"{}");
        let shown = Shown { renamed: rename(&nameless, "x"), raw: nameless, shared: true };
        assert_eq!(shown.parts().concat(), b"{}");
        assert_eq!(digest([&shown]), Digest::of(b"{}\n"));
    }
}
