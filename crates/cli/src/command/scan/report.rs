//! Everything that one scan found, as programs read it; the other forms are made from it.

use super::{
    clients::{self, Unread},
    described,
    machine::{self, Server},
    notice::{Notice, Source, Spot},
};
use crate::{command::listed, failure::Failure, jsonc, surroundings::Surroundings};
use catalog::{
    Claimed,
    listing::Offer,
    risk::{self, Judgement, Siblings},
    scan::{self, Finding},
};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One tool, as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Tool {
    pub(super) server: String,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) judged: Judgement,
    pub(super) findings: Vec<Notice>,
}

/// The members that are not always there are those of a scan of this machine.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) tools: Vec<Tool>,
    pub(super) findings: Vec<Notice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) servers: Option<Vec<Server>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unread: Option<Vec<Unread>>,
}

/// Where in a file a server stands.
struct Stand {
    source: Option<Source>,
    /// A JSON pointer to it.
    lists: String,
    is: Is,
}

/// What stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    /// An object with `tools` and other lists.
    Lists,
    /// An array of tools.
    Bare,
    /// What a registry says of it.
    Described,
}

impl Stand {
    /// A JSON pointer to what is at `tools/3`.
    fn pointer(&self, place: &str) -> String {
        let place = match self.is {
            Is::Lists => place,
            Is::Bare => place.strip_prefix("tools/").unwrap_or_default(),
            Is::Described if place == "instructions" => "description",
            Is::Described => "",
        };
        if place.is_empty() { self.lists.clone() } else { format!("{}/{place}", self.lists) }
    }
}

impl Report {
    /// What the clients of this machine are told.
    pub(super) fn of_machine(surroundings: &Surroundings) -> Self {
        let (servers, unread) = machine::look(surroundings);
        Self { servers: Some(servers), unread: Some(unread), ..Self::default() }
    }

    /// What stands in these files.
    pub(super) fn of_files(files: &[PathBuf], ignore_annotations: bool) -> Result<Self, Failure> {
        let mut report = Self::default();
        let mut all = Vec::new();
        for file in files {
            match read(file)? {
                Held::Offers(offers) => all.extend(offers),
                Held::Servers(found, described) => {
                    report.servers.get_or_insert_default().extend(found);
                    all.extend(described);
                }
            }
        }
        report.look(all, ignore_annotations);
        Ok(report)
    }

    /// Whether nobody named a file.
    pub(super) fn is_of_machine(&self) -> bool {
        self.unread.is_some()
    }

    fn look(&mut self, all: Vec<(Offer, Stand)>, ignore_annotations: bool) {
        let (offers, stands): (Vec<Offer>, Vec<Stand>) = all.into_iter().unzip();
        let scanned = scan::scan(&offers);
        for ((offer, stand), found) in offers.iter().zip(&stands).zip(scanned.tools) {
            let siblings = Siblings::of(offer.tools.iter().map(name));
            let server = offer.server.as_deref().unwrap_or_default();
            for (i, (tool, found)) in offer.tools.iter().zip(found).enumerate() {
                let spot = Spot {
                    source: stand.source.clone(),
                    pointer: stand.pointer(&format!("tools/{i}")),
                    subject: format!("{server}/{}", name(tool)),
                    inside: String::new(),
                };
                let claimed = if ignore_annotations { Claimed::default() } else { claimed(tool) };
                self.tools.push(judged(server, tool, claimed, &siblings, found, &spot));
            }
        }
        self.findings.extend(scanned.across.into_iter().map(|finding| across(finding, &offers, &stands)));
    }

    /// All that was found.
    pub(super) fn notices(&self) -> impl Iterator<Item = &Notice> {
        let of_servers = self.servers.iter().flatten().flat_map(|server| &server.findings);
        self.tools.iter().flat_map(|tool| &tool.findings).chain(&self.findings).chain(of_servers)
    }

    pub(super) fn each(&mut self, mut f: impl FnMut(&mut Notice)) {
        let of_servers = self.servers.iter_mut().flatten().flat_map(|server| &mut server.findings);
        let of_tools = self.tools.iter_mut().flat_map(|tool| &mut tool.findings);
        of_tools.chain(&mut self.findings).chain(of_servers).for_each(&mut f);
    }

    /// One line of how much there is.
    pub(super) fn sum(&self, flagged: usize, known: usize) -> String {
        let servers = self.servers.as_deref().unwrap_or_default();
        let mut sum = Vec::new();
        if !self.tools.is_empty() || servers.is_empty() && !self.is_of_machine() {
            sum.push(count(self.tools.len(), "tool"));
        }
        if !servers.is_empty() || self.is_of_machine() {
            sum.push(count(servers.len(), "server"));
        }
        match machine::free(servers) {
            0 => {}
            free => sum.push(format!("{free} of them without a gateway")),
        }
        let others = self.notices().count().saturating_sub(flagged + known);
        sum.push(format!("{} of severity high or more", count(flagged, "finding")));
        sum.push(format!("{others} {}", if others == 1 { "other" } else { "others" }));
        let mut sum = sum.join(", ");
        if known > 0 {
            sum.push_str(&format!(", {known} known"));
        }
        sum
    }
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What a file holds.
enum Held {
    /// Definitions.
    Offers(Vec<(Offer, Stand)>),
    /// How servers are started or reached, and what is said of them.
    Servers(Vec<Server>, Vec<(Offer, Stand)>),
}

fn read(file: &Path) -> Result<Held, Failure> {
    let is_input = file == Path::new("-");
    let bytes = if is_input {
        listed::bytes(file, Ok(std::io::stdin().lock()))?
    } else {
        listed::bytes(file, std::fs::File::open(file))?
    };
    let text = std::str::from_utf8(&bytes).ok();
    let source = text.filter(|_| !is_input).map(|text| Source { file: file.to_owned(), text: text.into() });
    if let Some(entries) = text.and_then(|text| clients::named(file, text)) {
        return Ok(Held::Servers(entries.iter().map(Server::of).collect(), Vec::new()));
    }
    let value = listed::strict(file, &bytes)?;
    let described = described::servers(file, text.unwrap_or_default(), &value);
    if !described.is_empty() {
        let offer = |one: &described::Described| {
            let offer = Offer {
                server: Some(one.name.clone()),
                instructions: Some(one.text.clone()),
                ..Offer::default()
            };
            (offer, Stand { source: source.clone(), lists: one.pointer.clone(), is: Is::Described })
        };
        let offers = described.iter().map(offer).collect();
        return Ok(Held::Servers(described.into_iter().flat_map(|one| one.servers).collect(), offers));
    }
    let offers = catalog::listing::of(value).map_err(|error| listed::failed(file, error.code(), &error))?;
    Ok(Held::Offers(stands(file, offers, source.as_ref())))
}

/// The servers in a file; one without a name is called as the file is.
fn stands(file: &Path, offers: Vec<Offer>, source: Option<&Source>) -> Vec<(Offer, Stand)> {
    let root = source.and_then(|source| jsonc::parse(&source.text).ok());
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let of = |(i, mut offer): (usize, Offer)| {
        offer.server.get_or_insert_with(|| stem.clone());
        let shapes = [format!("/{i}/result"), format!("/{i}"), "/result".to_owned(), String::new()];
        let is_it = |lists: &String| {
            let at = root.as_ref().and_then(|root| root.at(lists));
            at.is_some_and(|at| ["tools", "server", "prompts"].iter().any(|key| at.child(key).is_some()))
        };
        let (lists, is) = match shapes.into_iter().find(is_it) {
            Some(lists) => (lists, Is::Lists),
            None => (String::new(), Is::Bare),
        };
        (offer, Stand { source: source.cloned(), lists, is })
    };
    offers.into_iter().enumerate().map(of).collect()
}

fn judged(
    server: &str,
    tool: &Value,
    claimed: Claimed,
    siblings: &Siblings,
    mut found: Vec<Finding>,
    spot: &Spot,
) -> Tool {
    let as_tool = risk::Tool::of(tool, claimed);
    found.extend(scan::contradiction(&as_tool, siblings));
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let notice = |finding: Finding| {
        let inside = finding.place.clone();
        Notice::of_item(finding, tool, spot, &inside)
    };
    Tool {
        server: server.to_owned(),
        name: name(tool).to_owned(),
        judged: risk::judge(&as_tool, siblings),
        findings: found.into_iter().map(notice).collect(),
    }
}

/// A finding that is not of one tool: of `/2/prompts/0/description`, or of a whole tool or server beside others.
fn across(finding: Finding, offers: &[Offer], places: &[Stand]) -> Notice {
    let mut parts = finding.place.splitn(5, '/').skip(1);
    let Some((offer, stand)) = parts
        .next()
        .and_then(|i| i.parse::<usize>().ok())
        .and_then(|i| Some((offers.get(i)?, places.get(i)?)))
    else {
        return Notice::across(finding, Spot::default());
    };
    let server = offer.server.clone().unwrap_or_default();
    let of = |subject: String, list: &str| Spot {
        source: stand.source.clone(),
        pointer: stand.pointer(list),
        subject,
        inside: String::new(),
    };
    let (list, index) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let inside = parts.next().map(|rest| format!("/{rest}")).unwrap_or_default();
    let item = |items: &[Value]| index.parse::<usize>().ok().and_then(|i| items.get(i).cloned());
    let (kind, item) = match list {
        "tools" => ("", item(&offer.tools)),
        "prompts" => ("prompt:", item(&offer.prompts)),
        "resources" => ("resource:", item(&offer.resources)),
        "resourceTemplates" => ("resource-template:", item(&offer.resource_templates)),
        "instructions" if stand.is == Is::Described => {
            ("description", offer.instructions.clone().map(Value::from))
        }
        "instructions" => ("instructions", offer.instructions.clone().map(Value::from)),
        _ => return Notice::across(finding, of(server, "")),
    };
    let Some(item) = item else { return Notice::across(finding, of(server, "")) };
    let named = ["name", "uri", "uriTemplate"].iter().find_map(|key| item.get(*key)?.as_str());
    let subject = format!("{server}/{kind}{}", named.unwrap_or_default());
    let place = if index.is_empty() { list.to_owned() } else { format!("{list}/{index}") };
    let spot = of(subject, &place);
    // a whole tool is never wrong by itself, but beside another
    if list == "tools" {
        Notice::across(finding, spot)
    } else {
        Notice::of_item(finding, &item, &spot, &inside)
    }
}

fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn claimed(tool: &Value) -> Claimed {
    tool.get("annotations").and_then(|hints| Claimed::deserialize(hints).ok()).unwrap_or_default()
}
