//! What a machine that stops takes with it, and what had left before: the system calls of the real binary.

use crate::{
    bed::until,
    host::{Crowd, Host},
    replay::{LEFT, Model},
    trace::{self, Call},
    yard::{Dice, Yard, open},
};
use decision::{CallId, Ending, Entry, Slot};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};
use store::{
    Store,
    ledger::{Disclosed, verify},
};

/// A traced gateway.
struct Traced {
    tracer: Child,
    /// The gateway itself.
    pid: Option<u32>,
}

impl Drop for Traced {
    fn drop(&mut self) {
        if matches!(self.tracer.try_wait(), Ok(None)) {
            // the tracer lets go of what it traces and does not end it
            let all = [Some(self.tracer.id()), self.pid].into_iter().flatten().map(|pid| pid.to_string());
            let _ = Command::new("kill").arg("-KILL").args(all).status();
            let _ = self.tracer.wait();
        }
    }
}

impl Traced {
    fn serve(yard: &Yard) -> Option<Self> {
        // not where the gateway watches for changes of its files: it would be told of every line
        fs::create_dir(yard.bed.path("traces")).unwrap();
        let strace = trace::strace(&yard.bed.path("traces/trace"))?;
        let _ = fs::remove_file(yard.bed.path("state/callgate.db.lock"));
        let plain = yard.bed.command();
        let mut command = Command::new(strace.get_program());
        command.args(strace.get_args()).arg(plain.get_program()).arg("serve").env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        let log = fs::File::create(yard.bed.path("serve.log")).unwrap();
        command.current_dir(yard.bed.path("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let tracer = command.spawn().unwrap();
        let mut traced = Self { tracer, pid: None };
        let lock = yard.bed.path("state/callgate.db.lock");
        until("the gateway says who it is", || {
            let text = fs::read_to_string(&lock).unwrap_or_default();
            traced.pid = text.trim().parse().ok();
            traced.pid.is_some()
        });
        for server in ["books", "desk"] {
            let mut host = yard.host(server);
            until("the server was looked at", || host.greet().is_ok() && host.tools() == 1);
        }
        Some(traced)
    }

    fn stop(mut self) {
        let done = Command::new("kill").args(["-TERM", &self.pid.unwrap().to_string()]).status().unwrap();
        assert!(done.success());
        assert!(self.tracer.wait().unwrap().success());
    }
}

/// Where a call went out: bytes for a server, or for a Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Server,
    Host,
}

fn door(call: &Call, yard: &Yard) -> Option<Door> {
    let to = |port: u16| call.on.starts_with("TCP:") && call.on.ends_with(&format!(":{port}]"));
    let from = |port: u16| call.on.starts_with(&format!("TCP:[127.0.0.1:{port}->"));
    // a server over stdio is reached by a pipe, or by a pair of sockets
    let piped = call.on.starts_with("pipe:") || call.on.starts_with("UNIX");
    match () {
        () if from(yard.port) => Some(Door::Host),
        () if to(yard.books) || piped => Some(Door::Server),
        () => None,
    }
}

/// The call's id in the intent that was written just before its arguments.
fn call_id(written: &[u8], what: &str) -> String {
    let text = String::from_utf8_lossy(written).into_owned();
    let before = &text[..text.find(what).unwrap()];
    let intent = &before[before.rfind("\"kind\":\"intent\"").unwrap()..];
    let id = intent.split_once("\"call\":\"").unwrap().1;
    id[..id.find('"').unwrap()].to_owned()
}

/// Shows for one call what was flushed before what left.
fn prove(yard: &Yard, calls: &[Call], what: &str) {
    let done = format!("done {what}");
    let after = |line: usize| calls.iter().filter(move |call| call.begin > line);
    let is_segment = |call: &&Call| call.on.contains("/ledger/segments/");
    let flushed = |written: &Call| {
        let flush = after(written.end).find(|call| call.syncs() && call.on == written.on).unwrap();
        assert_eq!(flush.returned, Some(0), "{flush:?}");
        flush.end
    };
    let asked =
        calls.iter().find(|c| c.reads() && door(c, yard) == Some(Door::Host) && c.holds(what)).unwrap();
    let intent = calls.iter().filter(is_segment).find(|c| c.writes() && c.holds(what)).unwrap();
    let intent_flushed = flushed(intent);
    let sent =
        calls.iter().find(|c| c.writes() && door(c, yard) == Some(Door::Server) && c.holds(what)).unwrap();
    assert!(intent_flushed < sent.begin, "{what} left before its intent was flushed");
    let early = after(asked.begin)
        .find(|c| c.writes() && c.begin < intent_flushed && door(c, yard) == Some(Door::Server));
    assert!(early.is_none(), "something of {what} left before its intent was flushed: {early:?}");

    let id = call_id(&intent.bytes(), what);
    let decision = after(intent.end).filter(is_segment).find(|c| c.writes() && c.holds(&id)).unwrap();
    assert!(decision.holds("\"kind\":\"decision\"") && decision.begin > sent.begin);
    let decision_flushed = flushed(decision);
    let answered =
        calls.iter().find(|c| c.writes() && door(c, yard) == Some(Door::Host) && c.holds(&done)).unwrap();
    assert!(decision_flushed < answered.begin, "{what} was answered before its decision was flushed");
    let first = after(asked.begin).find(|c| c.writes() && c.on == asked.on).unwrap();
    assert!(
        decision_flushed < first.begin,
        "the answer to {what} began before its decision was flushed: {first:?}"
    );
}

#[test]
fn a_flush_returns_before_the_first_byte_of_a_call_and_another_before_that_of_its_answer() {
    let yard = Yard::new();
    let Some(gateway) = Traced::serve(&yard) else { return };
    for (server, what) in [("books", "deed-over-http."), ("desk", "deed-over-stdio.")] {
        let mut host = yard.host(server);
        host.greet().unwrap();
        // the first opens the way to the server; the second has nothing to do but the call
        for what in ["deed-first.", what] {
            let heard = host.call(what).unwrap().message;
            assert_eq!(heard["result"]["content"][0]["text"], format!("done {what}"), "{heard}");
        }
    }
    gateway.stop();
    let calls = trace::read(&yard.bed.path("traces/trace"));
    prove(&yard, &calls, "deed-over-http.");
    prove(&yard, &calls, "deed-over-stdio.");
}

/// What had left the gateway before a moment.
#[derive(Default)]
struct Left {
    sent: Vec<String>,
    answered: Vec<String>,
}

impl Left {
    fn hear(&mut self, call: &Call, yard: &Yard) -> bool {
        let door = if call.writes() { door(call, yard) } else { None };
        let text = String::from_utf8_lossy(&call.bytes()).into_owned();
        let deeds = text.match_indices("deed-").filter_map(|(at, _)| Some(text[at..].split_once('.')?.0));
        match door {
            Some(Door::Server) => self.sent.extend(deeds.map(|deed| format!("{deed}."))),
            Some(Door::Host) if text.contains("done deed-") => {
                self.answered.extend(deeds.map(|deed| format!("{deed}.")));
            }
            Some(Door::Host) | None => return false,
        }
        true
    }
}

/// The entries of an image: which deeds have an intent, and how each ended.
fn deeds(dir: &Path, known: u64) -> (u64, Vec<Vec<u8>>, BTreeMap<String, Option<Ending>>) {
    let (ledger, recovered) = open(dir).unwrap();
    assert!(recovered.size >= known, "the index knows {known} entries, the ledger has {}", recovered.size);
    let (mut entries, mut whats, mut endings) =
        (Vec::new(), BTreeMap::<CallId, String>::new(), BTreeMap::new());
    while (entries.len() as u64) < recovered.size {
        entries.extend(
            ledger.read_entries(entries.len() as u64, 1024).unwrap().into_iter().map(|(_, bytes)| bytes),
        );
    }
    for (index, bytes) in entries.iter().enumerate() {
        match serde_json::from_slice(bytes).unwrap() {
            Entry::Intent(intent) => {
                if let Disclosed::Kept(kept) = ledger.disclosure(index as u64, Slot::Arguments).unwrap() {
                    let value: serde_json::Value = serde_json::from_slice(&kept.value).unwrap_or_default();
                    let what = value["what"].as_str().unwrap_or_default().to_owned();
                    whats.insert(intent.call, what.clone());
                    endings.insert(what, None);
                }
            }
            Entry::Decision(decision) => {
                if let Some(what) = whats.get(&decision.call) {
                    endings.insert(what.clone(), Some(decision.ending));
                }
            }
            Entry::Event(_) => {}
        }
    }
    (recovered.size, entries, endings)
}

/// How many entries the database of an image knows of, which it can only know when it opens.
fn known(image: &Path, runtime: &tokio::runtime::Runtime) -> u64 {
    let log = fs::read_to_string(image.join("ledger/log.pub")).unwrap();
    let log: store::ledger::PublicKey = log.parse().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}", image.join("callgate.db").display());
        let still = Arc::new(crate::yard::Still);
        let store = Store::open(&url, Arc::clone(&still) as _, still).await.unwrap();
        let known = store.indexed_up_to(log.origin()).await.unwrap();
        store.close().await;
        known
    })
}

/// One image in so many comes with its database.
const WITH_DATABASE: usize = 6;
/// A sample: one in so many of the moments.
const EVERY: u64 = 5;

#[test]
fn whatever_a_lost_page_cache_leaves_what_left_the_gateway_is_in_its_record() {
    let yard = Yard::new();
    let state = yard.bed.path("state");
    let mut model = Model::of(&state);
    let Some(gateway) = Traced::serve(&yard) else { return };
    let hosts: Vec<Host> = (0..2).flat_map(|_| [yard.host("books"), yard.host("desk")]).collect();
    let crowd = Crowd::start(hosts);
    until("there was something to lose", || crowd.answered.done.lock().unwrap().len() >= 40);
    crowd.stop();
    gateway.stop();
    let calls = trace::read(&yard.bed.path("traces/trace"));
    let (_, whole, _) = deeds(&yard.ledger(), 0);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut dice, mut left, mut images, mut shorter) = (Dice(9), Left::default(), 0_usize, 0);
    for (number, call) in trace::by_effect(&calls).into_iter().enumerate() {
        model.take(call);
        let inside =
            [&call.on, &call.opened].into_iter().any(|path| path.starts_with(state.to_str().unwrap()));
        let went = left.hear(call, &yard);
        let changed = inside && !call.reads() && !["close", "lseek"].contains(&&*call.name);
        // whenever something has left, and of the other moments a sample
        if !(went || changed && dice.roll(EVERY) == 0) {
            continue;
        }
        let how = LEFT[images % LEFT.len()];
        let image = yard.bed.path(&format!("image-{number}"));
        fs::create_dir(&image).unwrap();
        let with_database = images % WITH_DATABASE == 0;
        let skip: fn(&Path) -> bool = if with_database {
            |path: &Path| path.ends_with("callgate.db-shm")
        } else {
            |path: &Path| !path.to_string_lossy().contains("/ledger")
        };
        model.image(&image, how, &mut |below| dice.roll(below), skip);
        let known = if with_database { known(&image, &runtime) } else { 0 };
        let (size, entries, endings) = deeds(&image.join("ledger"), known);
        let when = format!("{how:?} after call {number} ({} on {})", call.name, call.on);
        assert!(whole.starts_with(&entries), "{when}: other entries");
        for what in &left.sent {
            assert!(endings.contains_key(what), "{when}: {what} was sent and has no intent");
        }
        for what in &left.answered {
            assert_eq!(
                endings[what],
                Some(Ending::Answered),
                "{when}: {what} was answered and has no decision"
            );
        }
        let report = verify(&image.join("ledger"), None, None).unwrap();
        assert!(report.holds(), "{when}: {}", report.text());
        shorter += usize::from(size < whole.len() as u64);
        fs::remove_dir_all(&image).unwrap();
        images += 1;
    }
    println!(
        "{} calls, {images} images, {} deeds sent, {} answered",
        calls.len(),
        left.sent.len(),
        left.answered.len()
    );
    assert!(left.sent.len() >= 40 && left.answered.len() >= 40 && images > 200 && shorter > 200);
}
