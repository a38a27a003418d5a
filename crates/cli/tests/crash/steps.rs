//! What is decided about servers and its events: both, whoever is killed between the two.

use crate::{
    bed::Bed,
    yard::{Dice, Still, open},
};
use catalog::record::Step;
use decision::{Entry, Event, EventName, ServerName};
use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use store::{Scope, Store, Taking};

const KILLS: u64 = 40;

fn notes() -> ServerName {
    ServerName::new("notes").unwrap()
}

async fn store(bed: &Bed) -> Store {
    let url = format!("sqlite:{}", bed.path("state/callgate.db").display());
    Store::open(&url, Arc::new(Still), Arc::new(Still)).await.unwrap()
}

/// What a command leaves that is killed once its step is in the database.
async fn step_and_die(bed: &Bed, step: Step) {
    let store = store(bed).await;
    let taking = Taking { step, by: "killed", because: Some("late"), facts: None, grant: None, seen: None };
    store.take_step(&Scope::default(), &notes(), &taking).await.unwrap();
    store.close().await;
}

/// The steps that the ledger knows, while nobody has it open.
fn told(bed: &Bed) -> Vec<Event> {
    told_of(bed, EventName::ServerRecordChanged)
}

fn told_of(bed: &Bed, name: EventName) -> Vec<Event> {
    let (ledger, _) = open(&bed.path("state/ledger")).unwrap();
    let (mut events, mut next) = (Vec::new(), 0);
    loop {
        let read = ledger.read_entries(next, 1_024).unwrap();
        let Some((last, _)) = read.last() else { return events };
        next = last + 1;
        for (_, bytes) in read {
            if let Entry::Event(event) = serde_json::from_slice(&bytes).unwrap()
                && event.event == name
            {
                events.push(event);
            }
        }
    }
}

fn said(events: &[Event]) -> Vec<String> {
    let of = |event: &Event, key| event.detail.get(key).cloned().unwrap_or_default();
    let line = |event| format!("{} {} {}", of(event, "version"), of(event, "by"), of(event, "told"));
    events.iter().map(|event| line(event).trim_end().to_owned()).collect()
}

#[tokio::test]
async fn what_was_decided_and_not_recorded_is_recorded_once_by_whoever_opens_the_ledger_next() {
    let bed = Bed::with_notes();
    assert_eq!(bed.run(&["registry", "review", "notes"]).code, 0);
    step_and_die(&bed, Step::Suspend).await;
    assert_eq!(said(&told(&bed)), ["1 tester"]);
    // a command, and one that does not write anything of its own
    assert_eq!(bed.run(&["registry", "review", "notes"]).code, 0);
    assert_eq!(said(&told(&bed)), ["1 tester", "2 killed late", "3 tester"]);
    step_and_die(&bed, Step::Suspend).await;
    assert_eq!(bed.run(&["audit", "list"]).code, 0);
    assert_eq!(said(&told(&bed))[3..], ["4 killed late"]);
    let late = told(&bed).pop().unwrap();
    assert_eq!((late.at.0, late.detail["because"].as_str()), (1_700_000_000_000_000, "late"), "as it was");
    assert!(late.detail["told-at"].starts_with("20"));
    // a gateway
    step_and_die(&bed, Step::Review).await;
    let gateway = bed.serve();
    assert!(bed.log().contains("it is now"), "{}", bed.log());
    // beside one that runs: it does not tell what somebody may be about to, and each command tells its own
    step_and_die(&bed, Step::Suspend).await;
    assert_eq!(bed.run(&["registry", "review", "notes"]).code, 0);
    assert_eq!(gateway.stop(), 0);
    assert_eq!(said(&told(&bed))[4..], ["5 killed late", "7 tester"]);
    assert_eq!(bed.serve().stop(), 0);
    assert_eq!(bed.serve().stop(), 0);
    assert_eq!(said(&told(&bed))[6..], ["6 killed late"]);
}

/// Kills commands at moments that the dice choose; each is told its number.
#[expect(clippy::disallowed_methods, reason = "how long a command takes here is not known otherwise")]
fn kill_commands(bed: &Bed, dice: &mut Dice, words: impl Fn(u64) -> Vec<String>) {
    let run = |n| {
        let mut command = bed.command();
        command.args(words(n)).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let timed = |n| {
        let begun = Instant::now();
        assert!(run(n).wait().unwrap().success());
        u64::try_from(begun.elapsed().as_micros()).unwrap()
    };
    // a busy machine may take twice as long a moment later
    let whole = (0..3).map(|n| timed(KILLS + n)).max().unwrap();
    for n in 0..KILLS {
        let mut child = run(n);
        let most = if n.is_multiple_of(2) { whole } else { whole * 2 };
        // not to wait for something: this is the moment, mostly in the second half, where it is done
        thread::sleep(Duration::from_micros(whole / 3 + dice.roll(most)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn set_owner(n: u64) -> Vec<String> {
    ["registry", "set", "notes", &format!("owner=Ada-{n}")].map(str::to_owned).into()
}

/// Every step of the record has its event; one that a crash has told twice says so.
async fn compare(bed: &Bed) {
    let store = store(bed).await;
    let record = store.record(&Scope::default(), &notes()).await.unwrap().unwrap();
    store.close().await;
    let mut times = BTreeMap::<u64, Vec<bool>>::new();
    for event in told(bed) {
        let late = event.detail.contains_key("told");
        times.entry(event.detail["version"].parse().unwrap()).or_default().push(late);
    }
    assert!(
        times.keys().copied().eq(1..=record.version),
        "{} steps, and of events {times:?}",
        record.version
    );
    for (version, late) in &times {
        assert!(late.len() == 1 || late[1..].iter().all(|late| *late), "{version}: {late:?}");
    }
    assert!(record.version > KILLS / 8, "hardly a command came to its step");
}

#[tokio::test]
async fn whatever_moment_a_command_is_killed_at_its_step_has_its_event() {
    let (bed, mut dice) = (Bed::with_notes(), Dice(27));
    assert_eq!(bed.run(&["registry", "review", "notes"]).code, 0);
    kill_commands(&bed, &mut dice, set_owner);
    assert_eq!(bed.run(&["audit", "list"]).code, 0);
    compare(&bed).await;
    let gateway = bed.serve();
    kill_commands(&bed, &mut dice, set_owner);
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.serve().stop(), 0);
    compare(&bed).await;
}

#[tokio::test]
async fn whatever_moment_a_command_is_killed_at_its_token_has_its_event() {
    let (bed, mut dice) = (Bed::with_notes(), Dice(28));
    assert_eq!(bed.run(&["agent", "add", "robot", "--no-token"]).code, 0);
    // the moment between the two is short: of forty kills not each time one meets it
    for _ in 0..3 {
        kill_commands(&bed, &mut dice, |_| ["agent", "token", "robot"].map(str::to_owned).into());
    }
    assert_eq!(bed.run(&["audit", "list"]).code, 0);
    let store = store(&bed).await;
    let tokens = store.list_tokens(&Scope::default()).await.unwrap();
    store.close().await;
    let mut issued: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for event in told_of(&bed, EventName::TokenIssued) {
        let late = event.detail.contains_key("told");
        issued.entry(event.detail["token"].clone()).or_default().push(late);
    }
    let mut known: Vec<_> = tokens.iter().map(|token| token.id.to_string()).collect();
    known.retain(|id| issued.get(id).is_none_or(|late| late[1..].iter().any(|late| !late)));
    assert!(known.is_empty(), "no event, or two that are not late: {known:?} of {issued:?}");
    assert_eq!(issued.len(), tokens.len(), "an event of no token");
    assert!(tokens.len() as u64 > KILLS / 2, "hardly a command came to its token");
}
