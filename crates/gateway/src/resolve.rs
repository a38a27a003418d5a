//! Which pinned item is meant, and the call that is judged from here on.

use crate::authenticate::Asker;
use crate::deeds::{self, Held};
use crate::drafts::Submits;
use crate::exchange::{Arrival, Entrance, Party};
use crate::gate::{Gate, Live, Withdrawn};
use crate::listen::Admitted;
use crate::permission;
use crate::reach;
use crate::record::Leg;
use crate::route::Route;
use crate::tasks;
use catalog::Catalogue;
use decision::{Asked, Call, Code, Item, ItemKind, Passed, Refusal, ServerName, Target};
use std::ops::Range;

/// What the message means, in the words of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// The message, scanned; what leaves is spliced from it.
    pub(crate) frame: wire::Frame,
    pub(crate) method: &'static wire::Method,
    /// How the leg to the server, or to the Host, is spoken.
    pub(crate) way: wire::Way,
    pub(crate) target: Target,
    /// The pinned item; `None` for a server's question to the Host.
    pub(crate) item: Option<catalog::Item>,
    /// Where the item's name or URI stands in the frame, and what the server calls it.
    pub(crate) rename: Option<(Range<usize>, String)>,
    /// Where the arguments are in the frame.
    pub(crate) arguments: Option<Range<usize>>,
    /// The server's state or task id, where the client brings it back.
    pub(crate) state: Option<Held>,
    /// The draft whose call this is.
    pub(crate) submits: Option<Submits>,
    /// A task of ours: a call that waits for people.
    pub(crate) waiting: Option<reach::Pending>,
}

impl Resolved {
    /// The tool whose call is prepared and not made.
    pub(crate) fn drafts(&self) -> Option<&str> {
        match self.item.as_ref()?.drafting.as_ref()? {
            catalog::Drafting::Draft { of } => Some(of),
            catalog::Drafting::Submit { .. } => None,
        }
    }
}

/// Finds the pinned item a message names, for the entrance it came through.
pub(crate) fn target(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    heard: &Admitted,
    route: &Route,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Passed<Resolved>, Refusal> {
    let (Admitted::Message(frame), Some(method)) = (heard, route.method()) else {
        return Err(Refusal::new(Code::StageFailed, "a message without a method came to be resolved"));
    };
    let mut resolved = match &arrival.party {
        Party::Server(server) => {
            crate::visits::lead_to_pages(method.name, frame.params_raw())?;
            question(frame, method, asker, server)
        }
        Party::Host if tasks::is_about_one(method) => {
            tasks::resolve(gate, live, arrival, frame, method, asker, leg)?
        }
        Party::Host => {
            if leg.only.is_none() {
                reach::named(frame, leg)?;
            }
            let returned = reach::returned(gate, frame, method, asker)?;
            let bare = returned.as_ref().map_or(frame, |returned| &returned.frame);
            let resolved = named(live, arrival, bare, method, asker, leg)?;
            if let Some(returned) = returned {
                returned.join(&resolved, leg)?;
            }
            resolved
        }
    };
    let frame = &resolved.frame.clone();
    if let Some(range) = resolved.arguments.clone().filter(|range| range.end <= frame.bytes().len()) {
        leg.commit_arguments(gate, frame.bytes().slice(range));
    }
    leg.target = Some(resolved.target.clone());
    leg.channel.server_era = resolved.way.crossed();
    if resolved.state.is_none() {
        resolved.state = deeds::resume(gate, frame, &resolved, asker, leg)?;
    }
    let basis = resolved.target.definition.map(|_| "pinned".to_owned()).into_iter().collect();
    Ok(Passed::new(resolved, basis))
}

fn question(
    frame: &wire::Frame,
    method: &'static wire::Method,
    asker: &Asker,
    server: &ServerName,
) -> Resolved {
    Resolved {
        frame: frame.clone(),
        method,
        way: wire::Way::native(asker.revision),
        target: Target {
            server: server.clone(),
            item: Item { kind: ItemKind::Question, name: method.name.to_owned() },
            definition: None,
        },
        item: None,
        rename: None,
        arguments: frame.params_range(),
        state: None,
        submits: None,
        waiting: None,
    }
}

/// Why an address is refused and what has it is withheld.
pub(crate) const NOT_NORMAL: &str = "the address is not in normal form (a `.` or `..` segment, a letter, digit, slash or `~` as a percent code, a \
     capital in the scheme), so rules about addresses could be walked around";

/// What the peer named: which kind of item, where in the frame, and under which name.
struct Meant {
    kind: ItemKind,
    at: Range<usize>,
    name: String,
}

fn named(
    live: &Live,
    arrival: &Arrival,
    frame: &wire::Frame,
    method: &'static wire::Method,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Resolved, Refusal> {
    let meant = meant(frame, method)?;
    let sought = Item { kind: meant.kind, name: meant.name.clone() };
    let found = find(live, &arrival.entrance, &meant, asker, leg.claims.host.as_deref());
    let address = matches!(meant.kind, ItemKind::Resource | ItemKind::ResourceTemplate);
    // the same whether anybody has it: who may not see it must not learn that it is there
    let watched = || found.as_ref().is_ok_and(|hit| live.observes(&hit.server));
    if address && !policy::is_normal_address(&meant.name) && !watched() {
        leg.asked = Some(sought);
        let sentence = format!("`{}`: {NOT_NORMAL}", inspect::shown::visible(&meant.name));
        return Err(Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence));
    }
    let Hit { server, item, name, way } = found.map_err(|missing| {
        match missing.server {
            Some(server) => leg.target = Some(Target { server, item: sought, definition: None }),
            None => leg.asked = Some(sought),
        }
        let refusal = Refusal::new(missing.code, missing.because.clone());
        if missing.told { refusal.told(missing.because) } else { refusal }
    })?;
    let definition = Some(item.definition.digest());
    // a resource is judged by the address that was asked for, whichever definition it was pinned under
    let item_name = match meant.kind {
        ItemKind::Resource => meant.name.clone(),
        ItemKind::Tool
        | ItemKind::Prompt
        | ItemKind::ResourceTemplate
        | ItemKind::Server
        | ItemKind::Question => item.definition.name().to_owned(),
    };
    let arguments = match method.name {
        "tools/call" | "prompts/get" => frame.member(&["params", "arguments"]),
        "completion/complete" => frame.member(&["params", "argument"]),
        _ => Some(meant.at.clone()),
    };
    Ok(Resolved {
        frame: frame.clone(),
        method,
        way,
        target: Target { server, item: Item { kind: meant.kind, name: item_name }, definition },
        item: Some(item),
        rename: (name != meant.name).then_some((meant.at, name)),
        arguments,
        state: None,
        submits: None,
        waiting: None,
    })
}

fn meant(frame: &wire::Frame, method: &'static wire::Method) -> Result<Meant, Refusal> {
    let invalid = |what: &str| {
        let sentence = format!("`{}` needs {what}", method.name);
        Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence)
    };
    let (kind, path): (ItemKind, &[&str]) = match method.name {
        "tools/call" => (ItemKind::Tool, &["params", "name"]),
        "prompts/get" => (ItemKind::Prompt, &["params", "name"]),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            (ItemKind::Resource, &["params", "uri"])
        }
        "completion/complete" => match frame.string_at(&["params", "ref", "type"]).as_deref() {
            Some("ref/prompt") => (ItemKind::Prompt, &["params", "ref", "name"]),
            Some("ref/resource") => (ItemKind::ResourceTemplate, &["params", "ref", "uri"]),
            Some(_) | None => return Err(invalid("a `ref` of type `ref/prompt` or `ref/resource`")),
        },
        _ => return Err(Refusal::new(Code::MethodUnsupported, format!("`{}` names nothing", method.name))),
    };
    let at = frame.member(path).ok_or_else(|| invalid("a name"))?;
    let name = frame.string_at(path).ok_or_else(|| invalid("a name that is a string"))?;
    Ok(Meant { kind, at, name: name.into_owned() })
}

struct Missing {
    code: Code,
    because: String,
    /// Whether the asker is told why.
    told: bool,
    server: Option<ServerName>,
}

/// A pinned item of that name, what its server calls it, and how that server is spoken to.
struct Hit {
    server: ServerName,
    item: catalog::Item,
    name: String,
    way: wire::Way,
}

/// Looks the name up. What comes of a miss is the same for the asker whatever the reason; the record knows it.
fn find(
    live: &Live,
    entrance: &Entrance,
    meant: &Meant,
    asker: &Asker,
    host: Option<&str>,
) -> Result<Hit, Missing> {
    let servers: Vec<(ServerName, String)> = match (entrance, meant.kind) {
        (Entrance::Server(_), _) => {
            entrance.server().map(|server| (server, meant.name.clone())).into_iter().collect()
        }
        (Entrance::Federated, ItemKind::Tool | ItemKind::Prompt) => {
            catalog::split(&meant.name).map(|(server, name)| (server, name.to_owned())).into_iter().collect()
        }
        (
            Entrance::Federated,
            ItemKind::Resource | ItemKind::ResourceTemplate | ItemKind::Server | ItemKind::Question,
        ) => live.catalogue.servers().map(|(server, _)| (server.clone(), meant.name.clone())).collect(),
    };
    if let [(server, name)] = servers.as_slice() {
        unseen(live, server, (meant.kind, name), asker, host)?;
    }
    let (mut hits, mut shut) = (Vec::new(), Vec::new());
    let mut missing = Missing {
        code: Code::ItemUnknown,
        because: "no pinned item of that name".to_owned(),
        told: false,
        server: None,
    };
    for (server, name) in servers {
        let found = lookup(&live.catalogue, &server, meant.kind, &name);
        let Some(item) = found.unwrap_or_else(|too_much| {
            // as if it had none: what others offer under this address is not theirs to hide
            missing.because = format!("{too_much} on `{server}` to be compared");
            None
        }) else {
            if let Some((withdrawn, claim)) = shut_under(live, &server, meant.kind, &name) {
                missing = Missing {
                    code: Code::ItemWithdrawn,
                    because: withdrawn.because().to_owned(),
                    told: false,
                    server: Some(server.clone()),
                };
                // what nobody has accepted is in the way of nothing
                if withdrawn != Withdrawn::New {
                    shut.push(Shut { server, name, claim });
                }
            }
            continue;
        };
        // a server that nobody could ask what it is offers nothing
        let Some(peer) = live.peers.get(&server) else { continue };
        hits.push(Hit { way: wire::Way::new(asker.revision, peer.eras), server, item, name });
    }
    if hits.len() + shut.len() > 1 {
        let sees = |server: &ServerName, name: &str| {
            permission::permitted(live, &asker.principal, host, server, meant.kind, name)
        };
        keep_meant(&mut hits, &mut shut, sees);
    }
    match (hits.len(), shut.len()) {
        (1, 0) => hits.pop().ok_or(missing),
        (0, _) => Err(missing),
        _ => Err(several(hits.iter().map(|hit| &hit.server).chain(shut.iter().map(|shut| &shut.server)))),
    }
}

/// Several servers stand for an address to whoever asks, each as much as the other.
fn several<'a>(servers: impl Iterator<Item = &'a ServerName>) -> Missing {
    let named: Vec<String> = servers.map(|server| format!("`{server}`")).collect();
    let because = format!(
        "{} all offer this resource, or have a template that it fits: name the one that is meant by asking at \
         `/s/SERVER/mcp`",
        named.join(" and ")
    );
    Missing { code: Code::ItemAmbiguous, because, told: true, server: None }
}

/// Of several that have an address, those that stand for it to whoever sees so much.
fn keep_meant(hits: &mut Vec<Hit>, shut: &mut Vec<Shut>, sees: impl Fn(&ServerName, &str) -> bool) {
    // what the asker may not see must not show by standing in the way; of hidden ones any will be refused
    shut.retain(|shut| sees(&shut.server, &shut.name));
    match hits.iter().any(|hit| sees(&hit.server, &hit.name)) {
        true => hits.retain(|hit| sees(&hit.server, &hit.name)),
        false if shut.is_empty() => hits.truncate(1),
        false => hits.clear(),
    }
    // whoever has a template takes no address from a server that lists it
    let claims = hits.iter().map(|hit| Claim::of(hit.item.definition.kind(), hit.item.definition.name()));
    if let Some(best) = claims.chain(shut.iter().map(|shut| shut.claim)).min() {
        let is_best =
            |item: &catalog::Item| Claim::of(item.definition.kind(), item.definition.name()) == best;
        hits.retain(|hit| is_best(&hit.item));
        shut.retain(|shut| shut.claim == best);
    }
}

/// What a server offers under an address, and is not to be had now. Nobody else may answer in its place.
struct Shut {
    server: ServerName,
    name: String,
    claim: Claim,
}

/// How well a server says that an address is its own, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It lists it.
    Listed,
    Template,
    /// A template of every scheme: whoever offers every address there is takes none from whom it belongs to.
    Everything,
}

impl Claim {
    fn of(kind: ItemKind, name: &str) -> Self {
        match kind {
            ItemKind::ResourceTemplate if !name.split('{').next().unwrap_or_default().contains(':') => {
                Self::Everything
            }
            ItemKind::ResourceTemplate => Self::Template,
            ItemKind::Tool
            | ItemKind::Prompt
            | ItemKind::Resource
            | ItemKind::Server
            | ItemKind::Question => Self::Listed,
        }
    }
}

/// A server that may not be used and that nobody has looked at: whoever the rules let know of it is told why nothing is
/// there.
fn unseen(
    live: &Live,
    server: &ServerName,
    (kind, name): (ItemKind, &str),
    asker: &Asker,
    host: Option<&str>,
) -> Result<(), Missing> {
    let entry = live.catalogue.server(server);
    if live.registry.is_open(server) || entry.is_none_or(|entry| !entry.is_empty()) {
        return Ok(());
    }
    let Err(refusal) = live.registry.check(server, kind, name) else { return Ok(()) };
    let told = permission::known(live, &asker.principal, host, server);
    let code = if told { refusal.code } else { Code::NotPermitted };
    Err(Missing { code, because: refusal.because, told, server: Some(server.clone()) })
}

/// So much is compared with the templates of one server, before they are too many.
const STEPS_MAX: usize = 4 << 20;

/// The pinned item of a server that a name means: for an address also by its template, which is not looked for for ever.
pub(crate) fn lookup(
    catalogue: &Catalogue,
    server: &ServerName,
    kind: ItemKind,
    name: &str,
) -> Result<Option<catalog::Item>, wire::template::TooMuch> {
    let exact = |kind| catalogue.item(server, kind, name).cloned();
    Ok(match kind {
        ItemKind::Resource => {
            if let Some(exact) = exact(ItemKind::Resource) {
                return Ok(Some(exact));
            }
            let Some(entry) = catalogue.server(server) else { return Ok(None) };
            let (sought, mut steps) = (wire::template::Sought::new(name), STEPS_MAX);
            // of several the last counts
            for item in entry.of_kind(ItemKind::ResourceTemplate).rev() {
                if sought.is_of(item.definition.name(), &mut steps)? {
                    return Ok(Some(item.clone()));
                }
            }
            None
        }
        ItemKind::ResourceTemplate => exact(ItemKind::ResourceTemplate).or_else(|| exact(ItemKind::Resource)),
        ItemKind::Tool | ItemKind::Prompt | ItemKind::Server | ItemKind::Question => exact(kind),
    })
}

/// Why what a name means is not offered, for an address also by its template, and how well that claims it.
fn shut_under(live: &Live, server: &ServerName, kind: ItemKind, name: &str) -> Option<(Withdrawn, Claim)> {
    let exact = withdrawn(live, server, kind, name).map(|why| (why, Claim::of(kind, name)));
    if kind != ItemKind::Resource || exact.as_ref().is_some_and(|(why, _)| *why != Withdrawn::New) {
        return exact;
    }
    let (sought, mut steps) = (wire::template::Sought::new(name), STEPS_MAX);
    let all = live.peers.get(server).map(|peer| &peer.withdrawn).into_iter().flatten();
    let templates = all.filter(|((kind, _), _)| *kind == ItemKind::ResourceTemplate);
    let fit = templates.filter(|((_, template), _)| sought.is_of(template, &mut steps) == Ok(true));
    let fit = fit.map(|((kind, template), why)| (why.clone(), Claim::of(*kind, template)));
    // what was accepted once stands before what never was
    fit.chain(exact).min_by_key(|(why, claim)| (*why == Withdrawn::New, *claim))
}

pub(crate) fn withdrawn(live: &Live, server: &ServerName, kind: ItemKind, name: &str) -> Option<Withdrawn> {
    live.peers.get(server)?.withdrawn.get(&(kind, name.to_owned())).cloned()
}

/// The call: built once, never edited. What is judged from here on is what is sent.
pub(crate) fn call(resolved: &Resolved, asker: &Asker, leg: &Leg) -> Call {
    Call::new(Asked {
        id: leg.call_id(),
        deed: leg.deed,
        leg: leg.leg,
        at: leg.opened_at(),
        direction: leg.direction,
        interaction: leg.interaction.clone(),
        principal: std::sync::Arc::clone(&asker.principal),
        channel: leg.channel.clone(),
        claims: leg.claims.clone(),
        method: resolved.method.name.to_owned(),
        target: resolved.target.clone(),
        frame: resolved.frame.bytes().clone(),
        arguments: resolved.arguments.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::{Declarations, Definition, ServerEntry};
    use decision::Environment;
    use std::{collections::BTreeMap, sync::Arc};

    #[test]
    fn an_address_is_compared_with_so_many_templates_of_a_server_and_then_no_more() {
        let server = ServerName::new("files").unwrap();
        let template = |uri: String| {
            let raw = serde_json::json!({ "uriTemplate": uri, "name": "t" }).to_string();
            Arc::new(Definition::new(server.clone(), ItemKind::ResourceTemplate, raw.into()).unwrap())
        };
        let costly = |n: usize| template(format!("x://h/{}b{n}", "{+item}aaaa".repeat(28)));
        let catalogue = |all: Vec<Arc<Definition>>| {
            let entry = ServerEntry::new(Environment::default(), Declarations::default(), all);
            Catalogue::new(BTreeMap::from([(server.clone(), entry)]))
        };
        let uri = format!("x://h/{}", "a".repeat(8_000));
        let few = catalogue((0..4).map(costly).collect());
        assert!(lookup(&few, &server, ItemKind::Resource, &uri).is_ok_and(|found| found.is_none()));
        // more than all of a call may take, and little for each
        let many = catalogue((0..40).map(costly).collect());
        assert!(lookup(&many, &server, ItemKind::Resource, &uri).is_err());
    }
}
