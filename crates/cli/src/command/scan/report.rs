//! Everything that one scan found, as programs read it; the other forms are made from it.

use super::{
    clients::{self, Entry, Unread},
    connect::Seen,
    described,
    machine::{self, Server},
    notice::{self, Beside, Notice, Source, Spot},
};
use crate::{command::listed, failure::Failure, jsonc, surroundings::Surroundings};
use catalog::{
    Claimed, lint,
    listing::Offer,
    risk::{self, Judgement, Siblings},
    scan::{self, Finding, IDENTITY},
};
use decision::counted;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One tool, as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Tool {
    pub(super) server: String,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) judged: Judgement,
    pub(super) findings: Vec<Notice>,
    /// What could be better in its design: a group of its own, which no exit code counts.
    pub(super) design: Vec<Notice>,
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
    #[serde(skip)]
    of_machine: bool,
    /// With `--connect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connected: Option<Vec<Seen>>,
    /// Without it: who was named on the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unasked: Vec<Seen>,
}

/// What was to be looked at and was not, and why.
pub(super) struct Gap {
    pub(super) what: String,
    pub(super) because: String,
}

/// What there is to look at.
#[derive(Default)]
pub(super) struct Found {
    pub(super) offers: Vec<(Offer, Stand)>,
    /// How servers are started or reached. What a registry describes is looked at already.
    pub(super) servers: Vec<(Entry, Option<Vec<Notice>>)>,
    unread: Vec<Unread>,
    /// Nobody named a file.
    of_machine: bool,
    pub(super) seen: Option<Vec<Seen>>,
    pub(super) unasked: Vec<Seen>,
}

impl Found {
    /// What the clients of this machine are told. Reads files and nothing else.
    pub(super) fn on_machine(surroundings: &Surroundings) -> Self {
        let (entries, unread) = clients::found(surroundings);
        let servers = entries.into_iter().map(|entry| (entry, None)).collect();
        Self { servers, unread, of_machine: true, ..Self::default() }
    }

    /// What stands in these files.
    pub(super) fn in_files(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for file in files {
            match file.to_str().filter(|name| name.starts_with("https://") || name.starts_with("http://")) {
                Some(url) => found.servers.push((Entry::at(url), None)),
                None => read(file, &mut found)?,
            }
        }
        Ok(found)
    }
}

fn server((entry, looked): (Entry, Option<Vec<Notice>>)) -> Server {
    match looked {
        Some(findings) => Server::described(&entry, findings),
        None => Server::of(&entry),
    }
}

/// Where in a file a server stands.
pub(super) struct Stand {
    pub(super) source: Option<Source>,
    /// A JSON pointer to it.
    pub(super) lists: String,
    pub(super) is: Is,
}

/// What stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
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
    /// What was found, of all kinds.
    pub(super) fn of(found: Found, ignore_annotations: bool) -> Self {
        let Found { offers, servers, unread, of_machine, seen, unasked } = found;
        let mut report = Self {
            servers: (of_machine || !servers.is_empty()).then(|| servers.into_iter().map(server).collect()),
            unread: (of_machine || !unread.is_empty()).then_some(unread),
            of_machine,
            connected: seen,
            unasked,
            ..Self::default()
        };
        report.look(offers, ignore_annotations);
        report
    }

    /// Servers that were to be looked at, and were not.
    pub(super) fn unseen(&self) -> impl Iterator<Item = &Seen> {
        let named = self.connected.iter().flatten().chain(&self.unasked);
        named.filter(|seen| seen.fault().is_some())
    }

    /// All that was to be looked at, and was not: without it, nobody knows that all is well.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap> {
        let unread = self.unread.iter().flatten().map(Unread::gap);
        unread.chain(self.unseen().filter_map(Seen::gap))
    }

    /// Whether nobody named a file.
    pub(super) fn is_of_machine(&self) -> bool {
        self.of_machine
    }

    fn look(&mut self, all: Vec<(Offer, Stand)>, ignore_annotations: bool) {
        let (offers, stands): (Vec<Offer>, Vec<Stand>) = all.into_iter().unzip();
        let scanned = scan::scan(&offers);
        for ((offer, stand), found) in offers.iter().zip(&stands).zip(scanned.tools) {
            let siblings = Siblings::of(offer.tools.iter().map(name));
            let names: lint::Names<'_> = offer.tools.iter().map(name).collect();
            let server = offer.server.as_deref().unwrap_or_default();
            for (i, (tool, found)) in offer.tools.iter().zip(found).enumerate() {
                let spot = Spot {
                    source: stand.source.clone(),
                    pointer: stand.pointer(&format!("tools/{i}")),
                    subject: format!("{server}/{}", name(tool)),
                    key: notice::of_server(server, "", name(tool)),
                    inside: String::new(),
                };
                let claimed = if ignore_annotations { Claimed::default() } else { claimed(tool) };
                let mut judged = judged(server, tool, claimed, &siblings, found, &spot);
                let hints = lint::lint(tool, &judged.judged, &names);
                judged.design = hints.into_iter().map(|hint| Notice::of_design(hint, &spot)).collect();
                self.tools.push(judged);
            }
        }
        let beside = Beside::of(&offers);
        let across = |finding| across(finding, &offers, &stands, &beside);
        self.findings.extend(scanned.across.into_iter().map(across));
    }

    /// What could be better in the design of the tools.
    pub(super) fn design(&self) -> impl Iterator<Item = &Notice> {
        self.tools.iter().flat_map(|tool| &tool.design)
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
            sum.push(counted(self.tools.len(), "tool"));
        }
        if !servers.is_empty() || self.is_of_machine() {
            sum.push(counted(servers.len(), "server"));
        }
        match machine::free(servers) {
            0 => {}
            free => sum.push(format!("{free} of them without a gateway")),
        }
        // servers without a gateway are counted as such
        let told =
            self.notices().filter(|one| one.detector != "ungoverned" || one.is_known() || one.counts());
        let others = told.count().saturating_sub(flagged + known);
        sum.push(format!("{} of severity high or more", counted(flagged, "finding")));
        sum.push(format!("{others} {}", if others == 1 { "other" } else { "others" }));
        let mut sum = sum.join(", ");
        if known > 0 {
            sum.push_str(&format!(", {known} known"));
        }
        match self.gaps().count() {
            0 => {}
            gaps => sum.push_str(&format!(", {gaps} not looked at")),
        }
        sum
    }
}

fn read(file: &Path, found: &mut Found) -> Result<(), Failure> {
    let is_input = file == Path::new("-");
    let bytes = if is_input {
        listed::bytes(file, Ok(std::io::stdin().lock()))?
    } else {
        listed::bytes(file, std::fs::File::open(file))?
    };
    let text = std::str::from_utf8(&bytes).ok();
    let source = text.filter(|_| !is_input).map(|text| Source { file: file.to_owned(), text: text.into() });
    if let Some(named) = text.and_then(|text| clients::named(file, text)) {
        found.unread.extend(named.wrong.into_iter().map(|why| Unread::shape(file, why)));
        found.servers.extend(named.entries.into_iter().map(|entry| (entry, None)));
        return Ok(());
    }
    let value = listed::strict(file, &bytes)?;
    let described = described::servers(file, text.unwrap_or_default(), &value);
    if described.is_empty() {
        let offers =
            catalog::listing::of(value).map_err(|error| listed::failed(file, error.code(), &error))?;
        // an export that came out empty is no pass
        if offers.iter().all(says_nothing) {
            found.unread.push(Unread::nothing(file));
        }
        found.offers.extend(stands(file, offers, source.as_ref()));
    }
    for one in described {
        let offer = Offer { server: Some(one.name), instructions: Some(one.text), ..Offer::default() };
        found.offers.push((offer, Stand { source: source.clone(), lists: one.pointer, is: Is::Described }));
        found.servers.extend(one.servers.into_iter().map(|(entry, looked)| (entry, Some(looked))));
    }
    Ok(())
}

fn says_nothing(offer: &Offer) -> bool {
    let lists = [&offer.tools, &offer.prompts, &offer.resources, &offer.resource_templates];
    lists.iter().all(|list| list.is_empty()) && offer.instructions.is_none() && offer.identity.is_none()
}

/// Of each rule, its worst finding and how many there are, the worst first.
pub(super) fn by_rule<'a>(design: impl Iterator<Item = &'a Notice>) -> Vec<(&'a Notice, usize)> {
    let mut rules: BTreeMap<&str, (&Notice, usize)> = BTreeMap::new();
    for notice in design {
        let (worst, count) = rules.entry(notice.detector).or_insert((notice, 0));
        *count += 1;
        if notice.severity > worst.severity {
            *worst = notice;
        }
    }
    let mut rules: Vec<(&Notice, usize)> = rules.into_values().collect();
    rules.sort_by_key(|(worst, _)| std::cmp::Reverse(worst.severity));
    rules
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
        design: Vec::new(),
    }
}

/// A finding that is not of one tool: of `/2/prompts/0/description`, or of a whole tool or server beside others.
fn across(finding: Finding, offers: &[Offer], places: &[Stand], beside: &Beside) -> Notice {
    let mut parts = finding.place.splitn(5, '/').skip(1);
    let Some((offer, stand)) = parts
        .next()
        .and_then(|i| i.parse::<usize>().ok())
        .and_then(|i| Some((offers.get(i)?, places.get(i)?)))
    else {
        return Notice::across(finding, Spot::default(), beside);
    };
    let server = offer.server.clone().unwrap_or_default();
    let of = |kind: &str, name: &str, list: &str| Spot {
        source: stand.source.clone(),
        pointer: stand.pointer(list),
        subject: match (kind, name) {
            ("", "") => server.clone(),
            _ => format!("{server}/{kind}{name}"),
        },
        key: notice::of_server(&server, kind, name),
        inside: String::new(),
    };
    if let Some((inside, identity)) = in_identity(&finding.place).zip(offer.identity.as_ref()) {
        return Notice::of_item(finding, identity, &of(IDENTITY, "", IDENTITY), &inside);
    }
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
        _ => return Notice::across(finding, of("", "", ""), beside),
    };
    let Some(item) = item else { return Notice::across(finding, of("", "", ""), beside) };
    let named = ["name", "uri", "uriTemplate"].iter().find_map(|key| item.get(*key)?.as_str());
    let place = if index.is_empty() { list.to_owned() } else { format!("{list}/{index}") };
    let spot = of(kind, named.unwrap_or_default(), &place);
    // a whole tool is never wrong by itself, but beside another
    if list == "tools" {
        Notice::across(finding, spot, beside)
    } else {
        Notice::of_item(finding, &item, &spot, &inside)
    }
}

/// Where in what a server calls itself this place is, if it is there: `/title` of `/2/serverInfo/title`.
fn in_identity(place: &str) -> Option<String> {
    let rest = place.splitn(3, '/').nth(2)?.strip_prefix(IDENTITY)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
}

fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn claimed(tool: &Value) -> Claimed {
    tool.get("annotations").and_then(|hints| Claimed::deserialize(hints).ok()).unwrap_or_default()
}
