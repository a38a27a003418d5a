//! Events of what was decided: in the ledger once each, whoever stops in between.

use crate::bed::{Bed, elsewhere, home};
use crate::pins::sighting;
use crate::principals::alice;
use crate::records::{facts, grant};
use crate::tokens::{agent, hash};
use catalog::record::Step;
use decision::{Entry, Event, EventName, SecretName, ServerName, Timestamp, User, UserName};
use futures::future::join_all;
use std::sync::Arc;
use store::ledger::Ledger;
use store::{
    By, Delegation, NewAgent, NewSecret, NewToken, Scope, Sealed, Store, StoreError, Taking, TellError,
    Telling, Which,
};

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

async fn step(store: &Store, scope: &Scope, step: Step) {
    let taking = Taking { step, by: "ada", because: Some("why"), facts: None, grant: None, seen: None };
    store.take_step(scope, &crm(), &taking).await.unwrap();
}

fn own(store: &Store) -> Telling {
    Telling::Of(store.writer().clone())
}

fn events(ledger: &Ledger) -> Vec<Event> {
    let entries = ledger.read_entries(0, 1_000).unwrap().into_iter();
    entries
        .filter_map(|(_, bytes)| match serde_json::from_slice(&bytes).unwrap() {
            Entry::Event(event) => Some(event),
            Entry::Intent(_) | Entry::Decision(_) => None,
        })
        .collect()
}

fn said(event: &Event, keys: &[&str]) -> String {
    let of = |key: &&str| event.detail.get(*key).map_or("-", String::as_str);
    keys.iter().map(of).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn whatever_is_decided_is_left_to_be_told_and_told_once(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    store.record_seen(store.writer(), &home(), &sighting(&[("a", r#"{"name":"a"}"#)])).await.unwrap();
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 1, "that it was pinned");
    step(&store, &home(), Step::Review).await;
    step(&store, &home(), Step::Suspend).await;
    let changed = sighting(&[("a", r#"{"name":"a","title":"b"}"#)]);
    store.record_seen(&store.own_writer(), &home(), &changed).await.unwrap();
    assert_eq!(bed.rows("untold").await, 3, "that it changed, which whoever looked tells");
    let shown = decision::Digest::of(b"page");
    let by = By { who: "bob", shown: Some(shown) };
    assert_eq!(store.approve(&home(), &crm(), &Which::All, by).await.unwrap().len(), 1);
    assert_eq!(store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap().len(), 0);
    let facts = facts();
    let review =
        Taking { step: Step::Review, by: "ada", because: None, facts: Some(&facts), grant: None, seen: None };
    store.take_step(&home(), &crm(), &review).await.unwrap();
    let yes = grant(Timestamp(1_900_000_000_000_000));
    let approve = Taking { step: Step::Approve, facts: None, grant: Some(&yes), ..review };
    store.take_step(&home(), &crm(), &approve).await.unwrap();
    store.forget_server(&home(), &crm(), "eve").await.unwrap();
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 7);
    let told = events(&ledger).split_off(1);
    let records: Vec<_> =
        told.iter().map(|one| said(one, &["step", "state", "version", "change", "by"])).collect();
    assert_eq!(
        records,
        [
            "review in-review 1 - ada",
            "suspend suspended 2 - ada",
            "- - - approved bob",
            "review in-review 3 - ada",
            "approve approved 4 - ada",
            "forget in-review 5 - eve",
            "- - - server forgotten eve",
        ]
    );
    assert!(told.iter().all(|one| one.server == Some(crm()) && !one.detail.contains_key("told")));
    assert_eq!(told[2].event, EventName::DefinitionApproved);
    assert_eq!(said(&told[2], &["kind", "name", "shown"]), format!("tool a {shown}"));
    assert_eq!(said(&told[3], &["record.owner", "until"]), "Ada -");
    assert_eq!(said(&told[4], &["until"]), "2030-03-17 17:46:40");
    assert!(told.windows(2).all(|two| two[0].at <= two[1].at));
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 0);
    assert_eq!(store.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 1, "that it changed");
    assert_eq!((events(&ledger).len(), bed.rows("untold").await), (9, 0));
}

/// A look is in the database with its event, whenever the gateway that looked ends.
pub(crate) async fn what_a_look_finds_is_left_to_be_told_with_what_the_looker_knows(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    let both = sighting(&[("a", r#"{"name":"a"}"#), ("b", r#"{"name":"b"}"#)]);
    store.record_seen(store.writer(), &home(), &both).await.unwrap();
    store.record_seen(store.writer(), &home(), &both).await.unwrap();
    let looker = store.own_writer();
    let changed = sighting(&[("a", r#"{"name":"a","title":"x"}"#), ("c", r#"{"name":"c"}"#)]);
    store.record_seen(&looker, &home(), &changed).await.unwrap();
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 1, "what others left is not theirs");
    let add = |event: &mut Event| {
        if event.detail.get("name").is_some_and(|name| name == "c") {
            event.detail.insert("poisoned".to_owned(), "secrecy".to_owned());
        }
    };
    assert_eq!(store.tell_with(&home(), &ledger, Telling::Of(looker), add).await.unwrap(), 3);
    let told = events(&ledger);
    assert_eq!((told[0].event, said(&told[0], &["items"])), (EventName::DefinitionPinned, "2".to_owned()));
    let keys = ["kind", "name", "change", "poisoned", "told"];
    let changes: Vec<_> = told[1..].iter().map(|one| said(one, &keys)).collect();
    assert_eq!(changes, ["tool a changed - -", "tool b gone - -", "tool c new secrecy -"]);
    assert!(told.iter().all(|one| one.server == Some(crm()) && !one.detail.contains_key("by")));
    // the gateway ends before it has told anything
    store.record_seen(&store.own_writer(), &home(), &both).await.unwrap();
    let next = bed.reopen(store).await;
    assert_eq!(next.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 3);
    let late: Vec<_> = events(&ledger)[4..].iter().map(|one| said(one, &keys)).collect();
    assert_eq!(late, ["tool a returned - late", "tool b restored - late", "tool c gone - late"]);
}

pub(crate) async fn what_lets_somebody_in_is_left_to_be_told_too(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let expires_at = Timestamp(bed.now().0 + 3_600_000_000);
    let token = |n| NewToken { agent: "bot".parse().unwrap(), hash: hash(n), expires_at };
    let first = store.add_token(&home(), &token(1), "ada").await.unwrap();
    store.revoke_token(&home(), &first, "bob").await.unwrap();
    store.revoke_token(&home(), &first, "eve").await.unwrap();
    store.add_token(&home(), &token(2), "ada").await.unwrap();
    let bot = "bot".parse().unwrap();
    assert_eq!(store.revoke_tokens(&home(), &bot, "bob").await.unwrap(), 1);
    assert_eq!(store.revoke_tokens(&home(), &bot, "eve").await.unwrap(), 0);
    store.remove_agent(&home(), &bot, "ada").await.unwrap();
    let (name, sealed, user) = (SecretName::new("crm-key").unwrap(), Sealed(vec![1]), Some(alice().name));
    let secret = NewSecret {
        name: name.clone(),
        user: user.clone(),
        server: Some(crm()),
        version: 1,
        sealed,
        expires_at: None,
        rotate_by: None,
    };
    store.put_secret(&home(), &secret, "ada").await.unwrap();
    store.remove_secret(&home(), &name, user.as_ref(), "bob").await.unwrap();
    let (borrower, group, until) = (UserName::new("bob").unwrap(), "finance".parse().unwrap(), expires_at);
    let lent = Delegation {
        lender: alice().name,
        borrower: borrower.clone(),
        group,
        made_at: bed.now(),
        made_by: "ada".to_owned(),
        until,
    };
    store.lend(&home(), &lent).await.unwrap();
    assert_eq!(store.take_back(&home(), &alice().name, &borrower, "alice").await.unwrap(), 1);
    assert_eq!(store.take_back(&home(), &alice().name, &borrower, "eve").await.unwrap(), 0);

    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 11);
    let told = events(&ledger);
    let keys = ["agent", "all", "secret", "version", "user", "from", "to", "group", "by"];
    let told: Vec<_> = told.iter().map(|one| (one.event, said(one, &keys), one.server.is_some())).collect();
    let event = |event, text: &str, server| (event, text.to_owned(), server);
    assert_eq!(
        told,
        [
            event(EventName::AgentAdded, "bot - - - - - - - ops", false),
            event(EventName::TokenIssued, "bot - - - - - - - ada", false),
            event(EventName::TokenRevoked, "- - - - - - - - bob", false),
            event(EventName::TokenIssued, "bot - - - - - - - ada", false),
            event(EventName::TokenRevoked, "bot true - - - - - - bob", false),
            event(EventName::TokenRevoked, "bot true - - - - - - ada", false),
            event(EventName::AgentRemoved, "bot - - - - - - - ada", false),
            event(EventName::SecretStored, "- - crm-key 1 alice@example.com - - - ada", true),
            event(EventName::SecretRemoved, "- - crm-key - alice@example.com - - - bob", false),
            event(EventName::DelegationMade, "- - - - - alice@example.com bob finance ada", false),
            event(EventName::DelegationEnded, "- - - - - alice@example.com bob - alice", false),
        ]
    );
    assert_eq!(events(&ledger)[2].detail["token"], first.to_string());
    assert_eq!(events(&ledger)[9].detail["until"], expires_at.0.to_string());
}

pub(crate) async fn who_is_known_and_in_which_groups_is_left_to_be_told(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    let (fay, bot) = (UserName::new("fay").unwrap(), "bot".parse().unwrap());
    let fay_in = |groups: &[&str]| User {
        name: fay.clone(),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
    };
    store.add_user(&home(), &fay_in(&["finance"]), "ada").await.unwrap();
    store.set_groups(&home(), &fay_in(&["admins", "night"]), "bob").await.unwrap();
    store.set_groups(&home(), &fay_in(&["night", "admins"]), "eve").await.unwrap();
    let acting = NewAgent { user: Some(fay.clone()), groups: fay_in(&["support"]).groups, ..agent("bot") };
    store.add_agent(&home(), &acting, "ada").await.unwrap();
    assert!(store.add_agent(&home(), &acting, "eve").await.is_err());
    assert!(store.remove_user(&home(), &fay, "eve").await.is_err());
    store.disable_agent(&home(), &bot, "bob").await.unwrap();
    store.remove_agent(&home(), &bot, "ada").await.unwrap();
    store.enable_agent(&home(), &bot, "bob").await.unwrap();
    store.remove_user(&home(), &fay, "ada").await.unwrap();
    assert!(store.set_groups(&home(), &fay_in(&[]), "eve").await.is_err());

    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 8);
    let keys = ["user", "agent", "groups", "groups-before", "disabled", "by"];
    let told: Vec<_> = events(&ledger).iter().map(|one| (one.event, said(one, &keys))).collect();
    let event = |event, text: &str| (event, text.to_owned());
    assert_eq!(
        told,
        [
            event(EventName::UserAdded, "fay - finance - - ada"),
            event(EventName::UserChanged, "fay - admins, night finance - bob"),
            event(EventName::AgentAdded, "fay bot support - - ada"),
            event(EventName::AgentDisabled, "- bot - - - bob"),
            event(EventName::TokenRevoked, "- bot - - - ada"),
            event(EventName::AgentRemoved, "- bot - - true ada"),
            event(EventName::AgentEnabled, "- bot - - - bob"),
            event(EventName::UserRemoved, "fay - - admins, night - ada"),
        ]
    );
}

pub(crate) async fn what_is_not_done_leaves_nothing_to_be_told(bed: &Bed) {
    let store = bed.store().await;
    let taking = |step, because| Taking { step, by: "ada", because, facts: None, grant: None, seen: None };
    assert!(store.take_step(&home(), &crm(), &taking(Step::Retire, None)).await.is_err());
    assert!(store.forget_server(&home(), &crm(), "ada").await.is_err());
    assert!(store.approve(&home(), &crm(), &Which::All, "ada").await.is_err());
    // each of these bytes takes six in the record
    let long = "\u{1}".repeat(2_000);
    step(&store, &home(), Step::Review).await;
    let facts = catalog::record::Fact::ALL.iter().filter(|fact| !fact.is_date() && fact.words().is_empty());
    let mut most = catalog::record::Facts::default();
    facts.for_each(|fact| most.set(*fact, &"\"".repeat(2_000)).unwrap());
    let all = Taking { facts: Some(&most), ..taking(Step::Set, Some(long.as_str())) };
    let done = store.take_step(&home(), &crm(), &all).await;
    assert!(matches!(done, Err(StoreError::Unacceptable { .. })), "it could not be recorded: {done:?}");
    assert_eq!(bed.rows("untold").await, 1);
    assert_eq!(store.record(&home(), &crm()).await.unwrap().unwrap().version, 1);
}

pub(crate) async fn what_somebody_else_left_is_told_late_and_as_it_was(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    let before = bed.now();
    step(&store, &home(), Step::Suspend).await;
    let done = store.record(&home(), &crm()).await.unwrap().unwrap().changed_at;
    for scope in elsewhere() {
        step(&store, &scope, Step::Review).await;
    }
    let next = bed.reopen(store).await;
    assert_eq!(next.tell(&home(), &ledger, own(&next)).await.unwrap(), 0, "it is not its own");
    assert_eq!(next.tell(&home(), &ledger, Telling::Left { before }).await.unwrap(), 0, "not so old");
    assert_eq!(
        next.tell(&home(), &ledger, Telling::all_left()).await.unwrap(),
        1,
        "and of no other environment"
    );
    let told = events(&ledger);
    assert_eq!((told.len(), told[0].at, told[0].event), (1, done, EventName::ServerRecordChanged));
    assert_eq!(said(&told[0], &["step", "by", "because", "version", "told"]), "suspend ada why 1 late");
    assert!(told[0].detail.contains_key("told-at"));
    assert_eq!(bed.rows("untold").await, 2);
}

pub(crate) async fn of_many_who_tell_at_once_one_tells_each_event(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    for one in [Step::Review, Step::Suspend, Step::Review, Step::Suspend] {
        step(&store, &home(), one).await;
    }
    let others = [bed.store().await, bed.store().await, store.clone()];
    let all = (0..9).map(|n: usize| {
        let (by, of, ledger) = (others[n % 3].clone(), own(&store), Arc::clone(&ledger));
        let telling = if n.is_multiple_of(2) { of } else { Telling::all_left() };
        async move { by.tell(&home(), &ledger, telling).await.unwrap() }
    });
    let told: usize = join_all(all).await.into_iter().sum();
    let versions: Vec<_> = events(&ledger).iter().map(|one| said(one, &["version"])).collect();
    assert_eq!((told, versions.join("")), (4, "1234".to_owned()));
}

pub(crate) async fn however_much_a_look_finds_is_told_once_and_in_order(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    let names: Vec<String> = (0..600).map(|n| format!("tool-{n:03}")).collect();
    let items: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    store.record_seen(&store.own_writer(), &home(), &sighting(&items[..1])).await.unwrap();
    let looker = store.own_writer();
    store.record_seen(&looker, &home(), &sighting(&items)).await.unwrap();
    assert_eq!(store.tell(&home(), &ledger, Telling::Of(looker.clone())).await.unwrap(), 201);
    assert_eq!(store.tell(&home(), &ledger, Telling::Of(looker)).await.unwrap(), 0);
    let names_of = |told: &[Event]| told.iter().map(|one| said(one, &["name"])).collect::<Vec<_>>();
    let mut told = events(&ledger);
    let many = told.pop().unwrap();
    assert_eq!(names_of(&told), names[1..201]);
    assert_eq!(said(&many, &["change", "items", "new"]), "many 399 399");
    // what somebody decides is told one by one, however much it is
    store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 599);
    assert_eq!(names_of(&events(&ledger)[201..]), names[1..]);
    assert_eq!(bed.rows("untold").await, 1);
}

pub(crate) async fn what_the_ledger_does_not_take_stays_to_be_told(bed: &Bed) {
    let (store, (_dir, shut), (_other, ledger)) = (bed.store().await, bed.ledger(), bed.ledger());
    step(&store, &home(), Step::Suspend).await;
    shut.close().await.unwrap();
    let refused = store.tell(&home(), &shut, own(&store)).await;
    assert!(matches!(refused, Err(TellError::Ledger(_))), "{refused:?}");
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 1);
}

/// Whoever can write the database leaves what the ledger then would have signed.
pub(crate) async fn an_event_of_a_kind_that_nobody_leaves_is_named_and_not_told_as_it_says(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    step(&store, &home(), Step::Suspend).await;
    bed.execute(&[
        "UPDATE untold SET event = REPLACE(event, '\"server-record-changed\"', '\"approval-granted\"')",
    ])
    .await;
    assert_eq!(store.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 1);
    let told = events(&ledger).pop().unwrap();
    assert_eq!((told.event, told.server.as_ref()), (EventName::EventPlanted, None));
    assert_eq!(said(&told, &["says", "by", "step", "told"]), "approval-granted - - late");
    assert_eq!(bed.rows("untold").await, 0, "it does not come again");
    // nor is one of a kind that is left here told of a call
    step(&store, &home(), Step::Set).await;
    bed.execute(&["UPDATE untold SET event = REPLACE(event, '\"server-record-changed\"', \
        '\"server-record-changed\",\"call\":\"call_01jd8000000000000000000000\"')"])
        .await;
    assert_eq!(store.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 1);
    let told = events(&ledger).pop().unwrap();
    assert_eq!((told.event, told.call), (EventName::EventPlanted, None));
    assert_eq!(said(&told, &["says", "step"]), "server-record-changed -");
    // what cannot even be read is in nobody's way
    for turned in [
        "UPDATE untold SET event = '' WHERE deed = (SELECT MIN(deed) FROM untold)",
        "UPDATE untold SET event = '{}' WHERE deed = (SELECT MIN(deed) FROM untold)",
        "UPDATE untold SET event = REPLACE(event, 'server-record-changed', 'no-such-event') \
            WHERE deed = (SELECT MIN(deed) FROM untold)",
    ] {
        step(&store, &home(), Step::Set).await;
        step(&store, &home(), Step::Set).await;
        bed.execute(&[turned]).await;
        assert_eq!(store.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 2, "{turned}");
        let told: Vec<EventName> = events(&ledger).iter().rev().take(2).map(|told| told.event).collect();
        assert!(told.contains(&EventName::EventPlanted), "{told:?}");
        assert!(told.contains(&EventName::ServerRecordChanged), "{told:?}");
    }
}

/// The ledger had it, and the machine stopped before the database knew.
pub(crate) async fn what_a_crash_has_told_twice_is_known_by_server_version_and_time(bed: &Bed) {
    let (store, (_dir, ledger)) = (bed.store().await, bed.ledger());
    step(&store, &home(), Step::Suspend).await;
    bed.execute(&["CREATE TABLE before_the_crash AS SELECT * FROM untold"]).await;
    assert_eq!(store.tell(&home(), &ledger, own(&store)).await.unwrap(), 1);
    bed.execute(&["INSERT INTO untold SELECT * FROM before_the_crash", "DROP TABLE before_the_crash"]).await;
    assert_eq!(store.tell(&home(), &ledger, Telling::all_left()).await.unwrap(), 1);
    let told = events(&ledger);
    let key = |event: &Event| (event.server.clone(), said(event, &["version"]), event.at);
    assert_eq!(told.len(), 2);
    assert_eq!(key(&told[0]), key(&told[1]));
    assert_ne!(told[0].at, Timestamp(0));
    assert_eq!((said(&told[0], &["told"]), said(&told[1], &["told"])), ("-".into(), "late".into()));
}
