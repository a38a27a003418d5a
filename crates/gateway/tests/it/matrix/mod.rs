//! The matrix: every revision of client on every transport, over every era of server on every transport, with every
//! kind of governed method, allowed, hidden, refused and redacted. The same rules hold on every path, and the record
//! of a row is the same.
//!
//! `MATRIX=write` in the environment writes the tables of `docs/matrix.md`; without it they are compared.

mod carriers;
mod cells;
mod client;
mod page;
mod record;
mod server;

use crate::house::{House, settings};
use carriers::{Carrier, SERVERS, Server};
use cells::{Act, Defect, Mark, Outcome, Row, cell, rows};
use client::{CLIENTS, DOORS, Door, Host, Kind, Who};
use decision::{AgentName, Era, User};
use policy::budget::{Budget, Counts, Covers, Per, Window};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Conversations that go on at a time.
const AT_ONCE: usize = 6;

/// What came of one cell.
#[derive(Debug)]
struct Cell {
    row: Row,
    client: Kind,
    door: Door,
    era: Era,
    carrier: Carrier,
    server_name: String,
    /// As the client calls itself.
    name: String,
    /// Where in the ledger its entries are.
    window: Range<u64>,
    mark: Result<Mark, String>,
    record: Result<(), String>,
}

fn is_sound(cell: &Cell) -> bool {
    cell.mark.is_ok() && cell.record.is_ok()
}

/// `hidden` is hidden and `refused` is refused, whatever kind of item it is; of the other agents, one may not be asked
/// anything and one not now.
fn policy(servers: &[Server]) -> String {
    let named = |item: &str| {
        let all = servers.iter().flat_map(|server| {
            let name = &server.name;
            [
                format!("resource == Tool::\"{name}__{item}\""),
                format!("resource == Prompt::\"{name}__{item}\""),
                format!("resource == McpResource::\"{name}:test://{name}/{item}\""),
            ]
        });
        all.collect::<Vec<_>>().join(" || ")
    };
    let (hidden, refused, held) = (named("hidden"), named("refused"), named("held"));
    let decided = servers.iter().map(|server| format!("resource == Tool::\"{}__decided\"", server.name));
    let held = std::iter::once(held).chain(decided).collect::<Vec<_>>().join(" || ");
    format!(
        r#"
@id("bot") permit (principal == Agent::"bot", action, resource) unless {{ {hidden} }};
@id("silenced") permit (principal == Agent::"silenced", action, resource);
@id("unheard") permit (principal == Agent::"unheard", action in Action::"kind:tool", resource);
@id("gone") permit (principal == Agent::"gone", action, resource);

@id("not-today") @because("not today")
forbid (principal, action, resource) when {{ context.now.epoch > 0 && ({refused}) }};

@id("four-eyes") @because("two look at it") @unless-approved("finance")
forbid (principal, action, resource) when {{ context.now.epoch > 0 && ({held}) }};

@id("not-now") @because("not now")
forbid (principal == Agent::"silenced", action in Action::"kind:question", resource)
when {{ context.now.epoch > 0 }};
"#
    )
}

/// Of each server's tool `limited` a client may call one.
fn budget() -> Budget {
    Budget {
        name: "one-each".parse().unwrap(),
        counts: Counts::Calls,
        covers: Covers { tool: Some("limited".to_owned()), ..Covers::default() },
        per: Per::Host,
        window: Window::Sliding(3_600_000_000),
        at_most: 1,
        cure: None,
    }
}

struct World {
    house: Arc<House>,
    agents: BTreeMap<&'static str, Who>,
}

impl World {
    async fn open(servers: &[Server]) -> Self {
        let reached = servers.iter().map(|server| (server.name.clone(), server.settings())).collect();
        let settings = gateway::Settings { budgets: vec![budget()], ..settings(reached) };
        let house = House::with(settings, &policy(servers)).await;
        let mut agents = BTreeMap::from([("bot", Who { agent: "bot", token: house.token.clone() })]);
        for agent in ["unheard", "silenced", "gone"] {
            agents.insert(agent, Who { agent, token: house.agent(agent).await });
        }
        let scope = house.gate.live().settings.scope();
        let fay = User { name: "fay".parse().unwrap(), groups: ["finance".parse().unwrap()].into() };
        house.store.add_user(&scope, &fay, "ops").await.unwrap();
        house.store.disable_agent(&scope, &AgentName::new("gone").unwrap(), "ops").await.unwrap();
        house.until_refused(&agents["gone"].token).await;
        Self { house: Arc::new(house), agents }
    }

    async fn walk(
        &self,
        host: &mut Result<Host, String>,
        server: &Server,
        (client, door): (Kind, Door),
        row: Row,
    ) -> Cell {
        let alone = match host {
            Ok(_) if needs_the_pipe(server, client, row) => (Some(server.pipe.write().await), None),
            Ok(_) | Err(_) => (None, Some(server.pipe.read().await)),
        };
        let from = self.house.gate.ledger().size();
        let mark = match host {
            Ok(host) => cell(host, server, row, &self.agents["gone"]).await,
            Err(fault) => Err(format!("no conversation: {fault}")),
        };
        let name = host.as_ref().map(|host| host.name.clone()).unwrap_or_default();
        let window = from..self.house.gate.ledger().size();
        drop(alone);
        let Server { era, carrier, .. } = *server;
        let server_name = server.name.to_string();
        Cell { row, client, door, era, carrier, server_name, name, window, mark, record: Ok(()) }
    }

    /// All rows of one agent in one conversation, which stays open.
    async fn converse(
        &self,
        server: &Server,
        from: (Kind, Door),
        agent: &str,
    ) -> (Vec<Cell>, Result<Host, String>) {
        let mut host = Host::connect(&self.house, from, server, &self.agents[agent]).await;
        let mut cells = Vec::new();
        for row in rows().into_iter().filter(|row| row.agent() == agent && !needs_full_disk(*row)) {
            cells.push(self.walk(&mut host, server, from, row).await);
        }
        (cells, host)
    }
}

/// Where several clients share what a server's words come over, and these name no request (a question in mid-call, a log
/// line), they are for the only one in flight or for nobody.
fn needs_the_pipe(server: &Server, client: Kind, row: Row) -> bool {
    let shared = server.carrier != Carrier::Http && (server.era == Era::Modern || client.is_modern());
    shared && matches!(row.act, Act::IsAsked(_) | Act::IsTold)
}

/// The rows that are walked by all at once, when the disk is full.
fn needs_full_disk(row: Row) -> bool {
    row.act == Act::Fails(Defect::NoRecord)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_over_every_server_is_governed_and_recorded_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = Vec::new();
    for (era, carrier) in SERVERS {
        servers.push(Server::start(era, carrier, folder.path()).await);
    }
    let world = Arc::new(World::open(&servers).await);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut talks = Vec::new();
    for server in &servers {
        let from = CLIENTS.iter().flat_map(|client| DOORS.map(|door| (*client, door)));
        for (from, agent) in from.flat_map(|from| ["bot", "unheard", "silenced"].map(|a| (from, a))) {
            let (world, room, server) = (Arc::clone(&world), Arc::clone(&room), server.clone());
            talks.push(tokio::spawn(async move {
                let _place = room.acquire_owned().await.unwrap();
                let (cells, host) = world.converse(&server, from, agent).await;
                match host {
                    Ok(host) if agent != "bot" => {
                        host.leave().await;
                        (cells, None)
                    }
                    host => (cells, Some((host, server, from)).filter(|_| agent == "bot")),
                }
            }));
        }
    }
    let (mut cells, mut open) = (Vec::new(), Vec::new());
    for talk in talks {
        let (done, host) = talk.await.unwrap();
        cells.extend(done);
        open.extend(host);
    }
    cells.extend(without_record(&world, open).await);
    let words = judge(&world.house, &mut cells);
    let red = cells.iter().filter(|cell| !is_sound(cell)).count();
    assert_eq!(red, 0, "{}", report(&cells));
    compare(&page::tables(&cells, &words));
    assert_eq!(
        cells.len(),
        rows().len() * CLIENTS.len() * DOORS.len() * SERVERS.len(),
        "no cell is left out"
    );
}

/// A conversation that goes on.
type Open = (Result<Host, String>, Server, (Kind, Door));

/// One call of each when the ledger's disk is full.
async fn without_record(world: &Arc<World>, open: Vec<Open>) -> Vec<Cell> {
    let row = rows().into_iter().find(|row| needs_full_disk(*row)).unwrap();
    for _ in 0..8 {
        world.house.faults.push(store::ledger::Fault::NoSpace);
    }
    let walked = open.into_iter().map(|(mut host, server, from)| async move {
        let cell = world.walk(&mut host, &server, from, row).await;
        (cell, host)
    });
    let mut cells = Vec::new();
    for (cell, host) in futures::future::join_all(walked).await {
        cells.push(cell);
        drop(host);
    }
    cells
}

/// Reads the record of every cell, compares it within its row, and gives the words for each row.
fn judge(house: &House, cells: &mut [Cell]) -> BTreeMap<Row, BTreeSet<String>> {
    let ledger = record::Ledger::read(house);
    let mut words = BTreeMap::<Row, BTreeSet<String>>::new();
    let mut first = BTreeMap::new();
    for cell in cells.iter_mut().filter(|cell| !needs_full_disk(cell.row)) {
        // a modern client that stops to listen says nothing that is recorded
        let by_call = !matches!(cell.row.act, Act::Listens | Act::Leaves);
        if matches!((&cell.mark, by_call), (Ok(Mark::Nothing(_)), false)) {
            continue;
        }
        let masked = cell.row.outcome == Outcome::Redact && by_call && cell.mark == Ok(Mark::Masked);
        let judged = record::form(&ledger, cell).and_then(|form| {
            record::channels(&ledger, cell)?;
            if masked {
                record::counts_masked(&ledger, cell)?;
            }
            words.entry(cell.row).or_default().insert(form.words);
            let known = first
                .entry((cell.row, form.among))
                .or_insert_with(|| (form.lines.clone(), cell.name.clone()));
            match known.0 == form.lines {
                true => Ok(()),
                false => Err(format!(
                    "its record is\n  {}\nand that of {} is\n  {}",
                    form.lines.join("\n  "),
                    known.1,
                    known.0.join("\n  ")
                )),
            }
        });
        cell.record = judged;
    }
    words
}

/// Which cells are not as they should be, and why, for some of each row.
fn report(cells: &[Cell]) -> String {
    let mut by_row = BTreeMap::<String, Vec<&Cell>>::new();
    for cell in cells.iter().filter(|cell| !is_sound(cell)) {
        by_row.entry(format!("{:?} {:?}", cell.row.act, cell.row.outcome)).or_default().push(cell);
    }
    let mut said = String::new();
    for (row, red) in &by_row {
        said += &format!("{row}: {} red\n", red.len());
        let (marks, records): (Vec<&Cell>, Vec<&Cell>) = red.iter().partition(|cell| cell.mark.is_err());
        for cell in marks.iter().take(3).chain(records.iter().take(2)) {
            let why = cell.mark.as_ref().err().or(cell.record.as_ref().err()).unwrap();
            said += &format!("  {} over {}: {why}\n", cell.name, cell.server_name);
        }
    }
    let red: usize = by_row.values().map(Vec::len).sum();
    said + &format!("{red} of {} cells are red, in {} rows\n", cells.len(), by_row.len())
}

#[expect(clippy::disallowed_methods, reason = "the test is asked to write the page")]
fn compare(tables: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/matrix.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(page::BEGIN).unwrap();
    let (written, after) = rest.split_once(page::END).unwrap();
    if std::env::var("MATRIX").is_ok_and(|what| what == "write") {
        std::fs::write(path, [before, page::BEGIN, tables, page::END, after].concat()).unwrap();
    } else {
        assert!(written == tables, "docs/matrix.md is stale: run this test with MATRIX=write");
    }
}
