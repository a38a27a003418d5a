//! Sealed values: kept whole, given to whom they belong, never shown.

use crate::bed::{Bed, elsewhere, home};
use crate::principals::alice;
use decision::{SecretName, ServerName, Timestamp, UserName};
use store::{NewSecret, Sealed, StoreError, Telling};

fn name() -> SecretName {
    SecretName::new("github-token").unwrap()
}

fn github() -> ServerName {
    ServerName::new("github").unwrap()
}

fn shared(version: u64, sealed: &[u8]) -> NewSecret {
    let sealed = Sealed(sealed.to_vec());
    NewSecret { name: name(), user: None, server: None, version, sealed, expires_at: None, rotate_by: None }
}

pub(crate) async fn a_secret_comes_back_as_it_was_sealed(bed: &Bed) {
    let store = bed.store().await;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let end = Timestamp(bed.now().0 + 1000);
    let expires_at = Some(end);
    let rotate_by = Some(Timestamp(end.0 - 500));
    let new = NewSecret { expires_at, rotate_by, server: Some(github()), ..shared(1, &all_bytes) };
    store.put_secret(&home(), &new, "ops").await.unwrap();
    let store = bed.reopen(store).await;
    let found = store.sealed_secret(&home(), &name(), &github(), None).await.unwrap().unwrap();
    assert_eq!(found.sealed, new.sealed);
    assert_eq!((found.listing.version, found.listing.expires_at), (1, expires_at));
    assert_eq!(
        (found.listing.rotate_by, store.list_secrets(&home()).await.unwrap()[0].rotate_by),
        (rotate_by, rotate_by)
    );
    assert!(!found.expired(bed.now()) && found.expired(end));
    for scope in elsewhere() {
        assert_eq!(store.sealed_secret(&scope, &name(), &github(), None).await.unwrap(), None);
        assert!(store.list_secrets(&scope).await.unwrap().is_empty());
        assert!(store.remove_secret(&scope, &name(), None, "ops").await.is_err());
    }
    for bad in [vec![], vec![0; 128 * 1024 + 1]] {
        let refused = store.put_secret(&home(), &shared(2, &bad), "ops").await;
        assert!(matches!(refused, Err(StoreError::Unacceptable { .. })));
    }
}

pub(crate) async fn a_users_secret_and_the_shared_one_never_stand_in_for_each_other(bed: &Bed) {
    let store = bed.store().await;
    let (alice, bob) = (alice().name, UserName::new("bob").unwrap());
    let get = async |user: Option<&UserName>| {
        let found = store.sealed_secret(&home(), &name(), &github(), user).await.unwrap();
        found.map(|found| (found.sealed.0, found.listing.user))
    };
    store.put_secret(&home(), &shared(1, b"shared"), "ops").await.unwrap();
    assert_eq!(get(Some(&alice)).await, None);
    let own = NewSecret { user: Some(alice.clone()), ..shared(1, b"alice's") };
    store.put_secret(&home(), &own, "ops").await.unwrap();
    assert_eq!(get(Some(&alice)).await, Some((b"alice's".to_vec(), Some(alice.clone()))));
    assert_eq!(get(None).await, Some((b"shared".to_vec(), None)));
    assert_eq!(get(Some(&bob)).await, None);
    store.remove_secret(&home(), &name(), None, "ops").await.unwrap();
    assert_eq!(get(None).await, None);
    assert!(get(Some(&alice)).await.is_some());
}

pub(crate) async fn a_secret_of_somebody_who_was_removed_is_nobodys(bed: &Bed) {
    let store = bed.store().await;
    let alice = alice();
    let own = |version| NewSecret { user: Some(alice.name.clone()), ..shared(version, b"alice's") };
    let get = async || {
        let found = store.sealed_secret(&home(), &name(), &github(), Some(&alice.name)).await.unwrap();
        found.map(|found| found.listing.version)
    };
    // of somebody whom only an identity provider knows it is theirs
    store.put_secret(&home(), &own(1), "ops").await.unwrap();
    assert_eq!(get().await, Some(1));
    bed.clock.advance(1);
    store.add_user(&home(), &alice, "ops").await.unwrap();
    assert_eq!(get().await, None, "it is from before they were added");
    store.put_secret(&home(), &own(2), "ops").await.unwrap();
    assert_eq!(get().await, Some(2));

    store.put_secret(&home(), &shared(1, b"everybody's"), "ops").await.unwrap();
    let theirs = NewSecret { user: Some("bob".parse().unwrap()), ..shared(1, b"bob's") };
    store.put_secret(&home(), &theirs, "ops").await.unwrap();
    assert_eq!(store.remove_user(&home(), &alice.name, "ops").await.unwrap(), [name()]);
    let left: Vec<_> = store.list_secrets(&home()).await.unwrap().into_iter().map(|one| one.user).collect();
    assert_eq!(left, [None, theirs.user]);
    assert_eq!(store.sealed_everywhere().await.unwrap().len(), 2, "with every value they had");
    store.add_user(&home(), &alice, "ops").await.unwrap();
    assert_eq!(get().await, None);

    let (_dir, ledger) = bed.ledger();
    store.tell(&home(), &ledger, Telling::Of(store.writer().clone())).await.unwrap();
    let events = ledger.read_entries(0, 100).unwrap().into_iter();
    let events: Vec<_> = events.map(|(_, raw)| String::from_utf8(raw).unwrap()).collect();
    let gone = |raw: &&String| raw.contains("secret-removed") && raw.contains(alice.name.as_str());
    assert_eq!(events.iter().filter(gone).count(), 1, "and the record names it: {events:?}");
}

pub(crate) async fn a_secret_of_one_server_is_not_given_to_another(bed: &Bed) {
    let store = bed.store().await;
    let of_github = NewSecret { server: Some(github()), ..shared(1, b"x") };
    store.put_secret(&home(), &of_github, "ops").await.unwrap();
    let crm = ServerName::new("crm").unwrap();
    assert_eq!(store.sealed_secret(&home(), &name(), &crm, None).await.unwrap(), None);
    assert!(store.sealed_secret(&home(), &name(), &github(), None).await.unwrap().is_some());
    // The next version may belong to another server, and then no longer to the first.
    let of_crm = NewSecret { server: Some(crm.clone()), ..shared(2, b"y") };
    store.put_secret(&home(), &of_crm, "ops").await.unwrap();
    assert_eq!(store.sealed_secret(&home(), &name(), &github(), None).await.unwrap(), None);
    assert!(store.sealed_secret(&home(), &name(), &crm, None).await.unwrap().is_some());
}

pub(crate) async fn a_version_is_stored_once(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    let next = async || one.next_secret_version(&home(), &name(), None).await.unwrap();
    assert_eq!(next().await, 1);
    for wrong in [0, 2] {
        let refused = one.put_secret(&home(), &shared(wrong, b"x"), "ops").await;
        assert!(matches!(refused, Err(StoreError::Moved { what: "secret", .. })), "{wrong}");
    }
    for version in 1..6 {
        assert_eq!(next().await, version);
        let (left, right) = (shared(version, b"left"), shared(version, b"right"));
        let scope = home();
        let (left, right) =
            tokio::join!(one.put_secret(&scope, &left, "ops"), two.put_secret(&scope, &right, "ops"));
        let expected: &[u8] = if left.is_ok() { b"left" } else { b"right" };
        let refused = if left.is_ok() { right } else { left };
        assert!(matches!(refused, Err(StoreError::Moved { what: "secret", .. })), "{refused:?}");
        let kept = one.sealed_secret(&home(), &name(), &github(), None).await.unwrap().unwrap();
        assert_eq!((kept.listing.version, kept.sealed.0.as_slice()), (version, expected));
    }
}

pub(crate) async fn a_replaced_value_is_kept_until_nothing_uses_it(bed: &Bed) {
    let store = bed.store().await;
    store.put_secret(&home(), &shared(1, b"first"), "ops").await.unwrap();
    assert_eq!(store.retired_secrets(&home()).await.unwrap(), []);
    let before = bed.now();
    for (version, value) in [(2, b"second"), (3, b"third!")] {
        store.put_secret(&home(), &shared(version, value), "ops").await.unwrap();
    }
    let own = NewSecret { user: Some(alice().name), ..shared(1, b"alice's") };
    store.put_secret(&home(), &own, "ops").await.unwrap();
    let store = bed.reopen(store).await;
    let versions = async || {
        let found = store.secret_versions(&home(), &name(), None).await.unwrap();
        found.into_iter().map(|one| (one.listing.version, one.sealed.0)).collect::<Vec<_>>()
    };
    let kept = [(3, b"third!".to_vec()), (2, b"second".to_vec()), (1, b"first".to_vec())];
    assert_eq!(versions().await, kept);
    let current = store.sealed_secret(&home(), &name(), &github(), None).await.unwrap().unwrap();
    assert_eq!(current.listing.version, 3, "calls are given the newest alone");
    let retired = store.retired_secrets(&home()).await.unwrap();
    assert_eq!(retired.iter().map(|one| one.version).collect::<Vec<_>>(), [1, 2]);
    assert!(retired.iter().all(|one| one.retired_at > before && one.user.is_none()));
    for scope in elsewhere() {
        assert_eq!(store.retired_secrets(&scope).await.unwrap(), []);
        store.purge_secret(&scope, &retired[0]).await.unwrap();
    }
    assert_eq!(versions().await, kept, "not from elsewhere");
    store.purge_secret(&home(), &retired[0]).await.unwrap();
    store.purge_secret(&home(), &retired[0]).await.unwrap();
    assert_eq!(versions().await, kept[..2]);
    // what is removed is removed with all it was
    store.remove_secret(&home(), &name(), None, "ops").await.unwrap();
    assert_eq!(versions().await, []);
    assert_eq!(store.retired_secrets(&home()).await.unwrap(), []);
    assert_eq!(store.secret_versions(&home(), &name(), Some(&alice().name)).await.unwrap().len(), 1);
}

pub(crate) async fn a_value_is_resealed_only_as_it_was_read(bed: &Bed) {
    let store = bed.store().await;
    store.put_secret(&home(), &shared(1, b"old-1"), "ops").await.unwrap();
    store.put_secret(&home(), &shared(2, b"old-2"), "ops").await.unwrap();
    let own = NewSecret { user: Some(alice().name), ..shared(1, b"old-a") };
    store.put_secret(&elsewhere()[1], &own, "ops").await.unwrap();
    let all = store.sealed_everywhere().await.unwrap();
    assert_eq!(all.len(), 3, "of every tenant, retired ones too");
    let revision = store.revision().await.unwrap();
    for one in &all {
        let mut stale = one.clone();
        stale.sealed.0.push(0);
        assert!(!store.reseal_secret(&stale, &Sealed(b"never".to_vec())).await.unwrap());
        let new = Sealed([&b"new"[..], &one.sealed.0].concat());
        assert!(store.reseal_secret(one, &new).await.unwrap());
        assert!(!store.reseal_secret(one, &new).await.unwrap(), "it is another one now");
    }
    assert!(store.revision().await.unwrap() > revision, "a gateway notices");
    let resealed = store.sealed_everywhere().await.unwrap();
    for (before, after) in all.iter().zip(&resealed) {
        assert_eq!(after.sealed.0, [&b"new"[..], &before.sealed.0].concat());
        assert_eq!((&after.scope, &after.name, &after.user), (&before.scope, &before.name, &before.user));
        assert_eq!(after.version, before.version);
    }
}

pub(crate) async fn a_removed_secret_is_gone_and_starts_again(bed: &Bed) {
    let store = bed.store().await;
    store.put_secret(&home(), &shared(1, b"x"), "ops").await.unwrap();
    store.put_secret(&home(), &shared(2, b"y"), "ops").await.unwrap();
    store.remove_secret(&home(), &name(), None, "ops").await.unwrap();
    assert!(matches!(
        store.remove_secret(&home(), &name(), None, "ops").await,
        Err(StoreError::Missing { what: "secret", .. })
    ));
    assert_eq!(store.sealed_secret(&home(), &name(), &github(), None).await.unwrap(), None);
    assert_eq!(store.next_secret_version(&home(), &name(), None).await.unwrap(), 1);
    store.put_secret(&home(), &shared(1, b"z"), "ops").await.unwrap();
}

pub(crate) async fn listing_and_debug_show_no_value(bed: &Bed) {
    let store = bed.store().await;
    let new = shared(1, b"hunter2-sealed");
    let before = bed.now();
    store.put_secret(&home(), &new, "ops").await.unwrap();
    store
        .put_secret(&home(), &NewSecret { user: Some(alice().name), ..shared(1, b"hunter2-own") }, "ops")
        .await
        .unwrap();
    store.put_secret(&home(), &shared(2, b"hunter2-again"), "ops").await.unwrap();
    let listed = store.list_secrets(&home()).await.unwrap();
    let versions: Vec<_> = listed.iter().map(|one| (one.user.clone(), one.version)).collect();
    assert_eq!(versions, [(None, 2), (Some(alice().name), 1)]);
    assert!(listed[0].created_at > before && listed[0].updated_at > listed[0].created_at);
    let found = store.sealed_secret(&home(), &name(), &github(), None).await.unwrap().unwrap();
    for shown in [format!("{new:?}"), format!("{listed:?}"), format!("{found:?}")] {
        let bytes = format!("{:?}", b"hunter2").replace(['[', ']'], "");
        assert!(!shown.contains("hunter2") && !shown.contains(&bytes), "{shown}");
    }
}
