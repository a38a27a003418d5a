//! The same call under its key, made until somebody says what became of it, while gateways are killed: it is executed once.

use crate::{
    bed::until,
    books::done,
    host::Host,
    yard::{Dice, Yard, is_ready},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const HOSTS: usize = 3;
const KILLS: usize = 12;

/// What a Host was told in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// What came of it, by whichever call it was done.
    Done,
    /// It was done, and the answer is gone.
    Unkept,
    /// Nobody knows.
    Unknown,
}

impl Told {
    /// Nothing where it has to be made again.
    fn of(what: &str, message: &Value) -> Option<Self> {
        if message["result"]["content"] == done(what)["content"] {
            return Some(Self::Done);
        }
        match message["result"]["_meta"]["callgate/refusal"]["code"].as_str()? {
            "idempotency-answer-unkept" => Some(Self::Unkept),
            "idempotency-outcome-unknown" => Some(Self::Unknown),
            "idempotency-in-progress" => None,
            other => {
                assert!(!other.starts_with("idempotency"), "{what}: {other}");
                None
            }
        }
    }
}

fn insist(mut host: Host, number: usize, told: &Mutex<BTreeMap<String, Told>>, stop: &AtomicBool) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let what = format!("once-{number}-{n}.");
        loop {
            if !host.has_session() && host.greet().is_err() {
                // the pause between two looks for a gateway
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            let heard = host.call_under(&what, &what);
            if let Some(end) = heard.ok().and_then(|heard| Told::of(&what, &heard.message)) {
                told.lock().unwrap().insert(what, end);
                break;
            }
            host.forget_session();
        }
    }
}

#[test]
fn a_call_under_a_key_is_executed_once_however_often_it_is_made_while_gateways_are_killed() {
    let yard = Arc::new(Yard::new());
    assert_eq!(yard.serve().stop(), 0, "both servers are known before the first kill");
    let (told, stop) = (Arc::new(Mutex::new(BTreeMap::new())), Arc::new(AtomicBool::new(false)));
    let hosts = (0..HOSTS).flat_map(|_| [yard.host("books"), yard.host("desk")]);
    let hosts = hosts.enumerate().map(|(number, host)| {
        let (told, stop) = (Arc::clone(&told), Arc::clone(&stop));
        thread::spawn(move || insist(host, number, &told, &stop))
    });
    let hosts: Vec<_> = hosts.collect();
    let mut dice = Dice(11);
    for _ in 0..KILLS {
        let mut gateway = yard.spawn();
        let before = told.lock().unwrap().len();
        until("the gateway is ready and calls are answered", || {
            assert!(gateway.try_wait().unwrap().is_none(), "{}", yard.bed.log());
            is_ready(yard.port) && told.lock().unwrap().len() > before + HOSTS
        });
        // not to wait for something: this is the moment
        thread::sleep(Duration::from_micros(dice.roll(60_000)));
        gateway.kill().unwrap();
        gateway.wait().unwrap();
        until("nothing the gateway started is left", || yard.processes().is_empty());
    }
    let gateway = yard.bed.serve();
    stop.store(true, Ordering::Relaxed);
    for host in hosts {
        host.join().unwrap();
    }
    let told = told.lock().unwrap().clone();
    // long after, and under another gateway, each is still what it was
    for (server, of) in [("books", 0), ("desk", 1)] {
        let mut host = yard.host(server);
        until("the gateway takes calls", || host.greet().is_ok());
        for (what, end) in told.iter().filter(|(what, _)| number(what) % 2 == of) {
            let heard = host.call_under(what, what).unwrap();
            assert_eq!(Told::of(what, &heard.message), Some(*end), "{what}");
        }
    }
    assert_eq!(gateway.stop(), 0);
    let mut executed: BTreeMap<String, usize> = BTreeMap::new();
    for what in yard.executed() {
        *executed.entry(what).or_default() += 1;
    }
    for (what, end) in &told {
        let times = executed.get(what).copied().unwrap_or_default();
        assert!(times == 1 || (times == 0 && *end == Told::Unknown), "{what} is {end:?}, executed {times}×");
    }
    assert!(executed.values().all(|times| *times == 1));
    assert!(told.values().any(|end| *end == Told::Unknown), "hardly a kill hit a call: {told:?}");
}

fn number(what: &str) -> usize {
    what.split('-').nth(1).unwrap().parse().unwrap()
}
