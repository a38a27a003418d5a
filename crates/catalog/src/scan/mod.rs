//! Whether what servers say of their tools is poisoned: every text of every definition, and servers side by side.
//!
//! Pure, and of no consequence by itself. Which text is of what kind is known here, as is what the tool is about; what
//! hides in a text or would steer a model is `inspect`'s to say. Read in this order: [`Finding`], [`scan`].

mod across;
mod addresses;
mod carriers;
mod items;
mod places;

pub use across::Alike;
pub use items::{scan_identity, scan_items, scan_reserved};

use crate::Claimed;
use crate::listing::Offer;
use crate::risk::{Effect, Level, Siblings, Tool, judge};
use inspect::text::{self, About, Topics, Worded};
use inspect::{Detector, Severity, Sighting};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where among what a server says it says what it is.
pub const IDENTITY: &str = "serverInfo";

/// Something seen, and where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub detector: Detector,
    pub severity: Severity,
    pub confidence: f32,
    /// A JSON pointer: into the tool's definition, or for what is not of one tool into the list of servers.
    pub place: String,
    pub because: String,
}

impl Finding {
    fn at(place: impl Into<String>, sighting: Sighting) -> Self {
        let Sighting { detector, severity, confidence, because } = sighting;
        Self { detector, severity, confidence, place: place.into(), because }
    }
}

/// What was found: of each server's each tool, and of what is not of one tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scanned {
    pub tools: Vec<Vec<Vec<Finding>>>,
    pub across: Vec<Finding>,
}

impl Scanned {
    /// All of it.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        self.tools.iter().flatten().flatten().chain(&self.across)
    }
}

/// Looks at everything that the servers offer. Total, and a function of what it is given.
pub fn scan(offers: &[Offer]) -> Scanned {
    let names: Vec<Names> = offers.iter().map(Names::of).collect();
    let mut scanned = Scanned::default();
    for (i, offer) in offers.iter().enumerate() {
        look_at(i, offer, &names, &mut scanned);
    }
    scanned.across.extend(across::look(offers));
    scanned
}

/// Looks at what the last of these offers, beside the others, whose own texts are not looked at.
fn scan_last(offers: &[Offer]) -> Scanned {
    let names: Vec<Names> = offers.iter().map(Names::of).collect();
    let mut scanned = Scanned::default();
    if let (Some(last), Some(offer)) = (offers.len().checked_sub(1), offers.last()) {
        look_at(last, offer, &names, &mut scanned);
    }
    scanned.across.extend(across::look_at_last(offers));
    scanned
}

/// Looks at what one of the servers says.
fn look_at(i: usize, offer: &Offer, names: &[Names], scanned: &mut Scanned) {
    let theirs: BTreeSet<String> = names
        .iter()
        .enumerate()
        .filter(|(j, other)| {
            *j != i && (other.server.is_none() || names.get(i).is_none_or(|own| own.server != other.server))
        })
        .flat_map(|(_, other)| other.telling())
        .collect();
    let Some(names) = names.get(i) else { return };
    let side = Side { names, theirs: &theirs };
    scanned.tools.push(offer.tools.iter().map(|tool| side.tool(tool)).collect());
    scanned.across.extend(side.others(i, offer));
}

/// Every sentence of a tool's definition with what it is weighed by, for whoever learns from it.
pub fn wordings(tool: &Value) -> Vec<Worded> {
    let places = places::of(tool);
    let told = places.iter().filter(|place| !place.is_plain());
    told.flat_map(|place| {
        let about = About { asks: place.is_asking(), value: place.is_data(), ..About::default() };
        text::wordings(place.text, place.seat, &about)
    })
    .collect()
}

/// The author's hints deny what everything else says, surely.
pub fn contradiction(tool: &Tool<'_>, siblings: &Siblings) -> Option<Finding> {
    if tool.claimed.read_only != Some(true) {
        return None;
    }
    // what the author claims must not make the rest less sure
    let unclaimed = Tool { claimed: Claimed::default(), ..*tool };
    let judged = judge(&unclaimed, siblings);
    // a name that looks, and a description that deletes
    let named = judge(&Tool { title: None, description: None, input_schema: None, ..unclaimed }, siblings);
    // by what it is told to do, and not by what its arguments may be filtered for
    let told = judge(&Tool { name: "", title: None, input_schema: None, ..unclaimed }, siblings);
    let deletes =
        told.effect == Effect::Irreversible && told.level == Level::Critical && told.confidence >= 0.8;
    let description = tool.description.unwrap_or_default();
    if named.effect == Effect::None && deletes && !names_things(description) {
        let because = "its name and its author say that it only reads; its description says that it deletes or replaces";
        let sighting = Sighting::new(Detector::Contradiction, Severity::High, 0.6, because);
        return Some(Finding::at("/description", sighting));
    }
    let grave = judged.effect == Effect::Irreversible || judged.level == Level::Critical;
    // where the name looks, a description that speaks of changes may be about what others do
    let named_so = named.effect != Effect::None;
    let severity =
        if grave && named_so && !gives_it_back(description) { Severity::High } else { Severity::Low };
    let writes = matches!(judged.effect, Effect::Changes | Effect::Irreversible);
    (writes && judged.confidence >= 0.8).then(|| {
        let because =
            "its author says that it only reads; its name and description say that it changes something";
        let sighting = Sighting::new(Detector::Contradiction, severity, 0.7, because);
        Finding::at("/annotations/readOnlyHint", sighting)
    })
}

/// "Sweeps between own accounts", "Transfers of a month": things, and no deed.
fn names_things(description: &str) -> bool {
    const BEHIND: &[&str] = &["of", "between", "for", "in", "by", "per", "from", "with", "at", "against"];
    description.split_whitespace().nth(1).is_some_and(|second| BEHIND.contains(&second))
}

/// What is done is done to an answer: a copy is returned, a draft is made.
fn gives_it_back(description: &str) -> bool {
    let lower = description.to_lowercase();
    let head = lower.split(". ").next().unwrap_or_default();
    ["returns a copy", "returns the copy", "returns a new", "returns the changed", "returns the result"]
        .iter()
        .any(|said| head.contains(said))
        || head.starts_with("draft")
        || head.starts_with("preview")
        || names_things(&lower)
}

/// The names of one server.
struct Names {
    server: Option<String>,
    tools: BTreeSet<String>,
    /// What the server is about by its own name and by those of several tools.
    topics: Topics,
}

impl Names {
    fn of(offer: &Offer) -> Self {
        let tools: BTreeSet<String> = offer.tools.iter().map(|tool| name(tool).to_lowercase()).collect();
        let mut topics = offer.server.as_deref().map(text::topics).unwrap_or_default();
        let mut before = Topics::default();
        for tool in &tools {
            let of = text::topics(tool);
            topics = topics.or(before.and(of));
            before = before.or(of);
        }
        Self { server: offer.server.as_ref().map(|name| name.to_lowercase()), tools, topics }
    }
    /// Names that no sentence holds by chance.
    fn telling(&self) -> impl Iterator<Item = String> {
        self.tools
            .iter()
            .chain(&self.server)
            .filter(|name| name.contains(['_', '-', '.']) || name.len() > 8)
            .cloned()
    }
}

fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// One server, beside the others.
struct Side<'a> {
    names: &'a Names,
    theirs: &'a BTreeSet<String>,
}

impl Side<'_> {
    fn tool(&self, tool: &Value) -> Vec<Finding> {
        let places = places::of(tool);
        let parameters = places.iter().filter(|place| place.is_parameter);
        // what an `action` can be chosen to do is its own, as its arguments are
        let chosen = places.iter().filter(|place| place.is_action());
        let ours: BTreeSet<String> =
            parameters.chain(chosen).map(|place| place.text.to_lowercase()).collect();
        let own = self.names.topics.or(text::topics(name(tool)));
        let siblings = Some(&self.names.tools);
        let name = name(tool).to_lowercase();
        let near =
            tool.get("description").and_then(Value::as_str).map(text::first_topics).unwrap_or_default();
        let theirs = Some(self.theirs);
        let about =
            About { name: Some(&name), own, ours: Some(&ours), siblings, theirs, near, ..About::default() };
        look(&places, &about)
    }

    /// What it calls itself, instructions, prompts and resources.
    fn others(&self, i: usize, offer: &Offer) -> Vec<Finding> {
        let about = About {
            name: None,
            own: self.names.topics,
            ours: None,
            siblings: Some(&self.names.tools),
            theirs: Some(self.theirs),
            ..About::default()
        };
        let lists = [
            ("prompts", &offer.prompts),
            ("resources", &offer.resources),
            ("resourceTemplates", &offer.resource_templates),
        ];
        let instructions = offer
            .instructions
            .as_deref()
            .map(|text| places::instructions(text, format!("/{i}/instructions")));
        let mut found = look(instructions.as_slice(), &about);
        let mut within = |root: String, places: Vec<places::Place<'_>>| {
            let inside = look(&places, &about).into_iter();
            found.extend(inside.map(|one| Finding { place: format!("{root}{}", one.place), ..one }));
        };
        if let Some(identity) = &offer.identity {
            within(format!("/{i}/{IDENTITY}"), places::of_identity(identity));
        }
        for (key, items) in lists {
            items
                .iter()
                .enumerate()
                .for_each(|(j, item)| within(format!("/{i}/{key}/{j}"), places::of(item)));
        }
        found
    }
}

fn look(places: &[places::Place<'_>], about: &About<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    // texts about one parameter follow each other
    let mut of_parameter = ("", Topics::default());
    for place in places {
        if place.is_plain() {
            continue;
        }
        let mut near = about.near;
        if let Some(parameter) = place.parameter.filter(|_| place.text.contains(' ')) {
            if of_parameter.0 != parameter {
                of_parameter = (parameter, text::topics(parameter));
            }
            near = near.or(of_parameter.1);
        }
        let (asks, value, parameter) = (place.is_asking(), place.is_data(), place.parameter);
        let of_place = About { near, asks, value, parameter, ..*about };
        let seen = text::look(place.text, place.seat, &of_place).into_iter().map(|one| place.weakened(one));
        let carried = carriers::look(place).into_iter().chain(carriers::blanks(place));
        let long = text::too_long(place.text, place.seat);
        found.extend(
            seen.chain(carried).chain(long).map(|sighting| Finding::at(place.pointer.clone(), sighting)),
        );
    }
    found
}
