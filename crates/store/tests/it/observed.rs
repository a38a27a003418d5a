//! What tools that are taken for reads were seen to do.

use crate::bed::{Bed, home};
use crate::pins::{sighting, tool};
use catalog::observed::{Did, How, Observation};
use decision::{CallId, Environment, ServerName, TenantId, Timestamp};
use store::{Scope, Store, Which};

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

fn away() -> Scope {
    Scope::new(TenantId::default(), Environment::new("elsewhere").unwrap())
}

fn saw(did: Did, how: How, at: u64) -> Observation {
    Observation { did, how, call: CallId::new(Timestamp(at), [7; 10]), at: Timestamp(at) }
}

async fn of(store: &Store, name: &str) -> Vec<Observation> {
    let mut all = store.observations(&home()).await.unwrap();
    all.remove(&crm()).and_then(|mut tools| tools.remove(name)).unwrap_or_default()
}

pub(crate) async fn the_first_of_each_kind_is_kept_of_pinned_tools_only(bed: &Bed) {
    let store = bed.store().await;
    store.record_seen(&store.own_writer(), &home(), &sighting(&[("a", "a1"), ("b", "b1")])).await.unwrap();
    let keep = async |name: &str, one: &Observation| {
        store.keep_observation(&home(), &crm(), name, one).await.unwrap()
    };
    let before = store.revision().await.unwrap();
    assert!(!keep("never seen", &saw(Did::Created, How::Flag, 5)).await);
    assert_eq!(store.revision().await.unwrap(), before);
    assert!(keep("a", &saw(Did::Created, How::Flag, 5)).await);
    assert_ne!(store.revision().await.unwrap(), before, "snapshots are made anew");
    assert!(!keep("a", &saw(Did::Created, How::Counter, 9)).await, "the first");
    for (n, how) in How::ALL.into_iter().enumerate() {
        let did = Did::ALL[n % Did::ALL.len()];
        keep("b", &saw(did, how, 10)).await;
    }
    assert!(!store.keep_observation(&away(), &crm(), "a", &saw(Did::Sent, How::Flag, 5)).await.unwrap());
    let store = bed.reopen(store).await;
    assert_eq!(of(&store, "a").await, [saw(Did::Created, How::Flag, 5)]);
    assert_eq!(of(&store, "b").await.len(), Did::ALL.len());
    assert!(store.observations(&away()).await.unwrap().is_empty());
}

pub(crate) async fn what_is_forgotten_did_nothing(bed: &Bed) {
    let store = bed.store().await;
    store.record_seen(&store.own_writer(), &home(), &sighting(&[("a", "a1"), ("b", "b1")])).await.unwrap();
    for name in ["a", "b"] {
        store.keep_observation(&home(), &crm(), name, &saw(Did::Deleted, How::Flag, 5)).await.unwrap();
    }
    // `b` is gone, and somebody takes note
    store.record_seen(&store.own_writer(), &home(), &sighting(&[("a", "a1")])).await.unwrap();
    assert_eq!(of(&store, "b").await.len(), 1);
    let which = Which::Items(vec![(tool("b"), None)]);
    store.approve(&home(), &crm(), &which, "alice").await.unwrap();
    assert_eq!((of(&store, "a").await.len(), of(&store, "b").await.len()), (1, 0));
    store.forget_server(&home(), &crm(), "alice").await.unwrap();
    assert!(store.observations(&home()).await.unwrap().is_empty());
}
