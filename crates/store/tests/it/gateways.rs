//! Gateways that share a database.

use crate::bed::{Bed, elsewhere, home};
use decision::Digest;

pub(crate) async fn whoever_is_there_by_other_rules_is_known(bed: &Bed) {
    let store = bed.store().await;
    let (ours, theirs) = (Digest::of(b"ours"), Digest::of(b"theirs"));
    store.go_by(&home(), "callgate/one/ledger", ours).await.unwrap();
    store.go_by(&home(), "callgate/two/ledger", theirs).await.unwrap();
    store.go_by(&elsewhere()[0], "callgate/three/ledger", theirs).await.unwrap();
    let beside = async || {
        let all = store.gateways_beside(&home(), ours).await.unwrap();
        all.into_iter().map(|one| one.log).collect::<Vec<_>>()
    };
    assert_eq!(beside().await, ["callgate/two/ledger"]);
    store.go_by(&home(), "callgate/two/ledger", ours).await.unwrap();
    assert!(beside().await.is_empty(), "it goes by the same");
    store.go_by(&home(), "callgate/two/ledger", theirs).await.unwrap();
    bed.clock.advance(200_000_000);
    assert!(beside().await.is_empty(), "it is not there any more");
    assert_eq!(store.gateways(&home()).await.unwrap().len(), 2, "but it was");
    store.go_by(&home(), "callgate/two/ledger", theirs).await.unwrap();
    store.leave(&home(), "callgate/two/ledger").await.unwrap();
    assert_eq!(store.gateways(&home()).await.unwrap().len(), 1);
}
