//! Agents, people, and noticing changes.

use crate::bed::{Bed, elsewhere, home};
use crate::tokens::{agent, hash, in_an_hour};
use decision::twin::{Key, Standing};
use decision::{
    Actor, AgentName, CallId, DeedId, Digest, DraftId, Own, Principal, SecretName, Timestamp, User, UserName,
};
use std::time::Duration;
use store::{
    AgentKind, Draft, KeyClaim, NewAgent, NewSecret, NewToken, Revision, Scope, Sealed, Spending, Store,
    StoreError, Takes,
};
use tokio::time::{Instant, timeout};

pub(crate) fn alice() -> User {
    let groups = ["finance", "staff"].map(|group| group.parse().unwrap()).into();
    User { name: UserName::new("alice@example.com").unwrap(), groups }
}

pub(crate) async fn add_agent(store: &Store, scope: &Scope, name: &str, user: Option<&UserName>) {
    let new = NewAgent { user: user.cloned(), ..agent(name) };
    store.add_agent(scope, &new, "ops").await.unwrap();
}

pub(crate) async fn an_agent_and_a_user_are_listed_as_they_were_added(bed: &Bed) {
    let store = bed.store().await;
    let before = bed.now();
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    let groups = ["support".parse().unwrap(), "a+b".parse().unwrap()].into();
    let bot =
        NewAgent { kind: AgentKind::Workload, groups, user: Some(alice().name), ..agent("support-bot") };
    store.add_agent(&home(), &bot, "ops").await.unwrap();
    store.add_agent(&home(), &agent("cursor"), "ops").await.unwrap();
    let store = bed.reopen(store).await;
    assert_eq!(store.list_users(&home()).await.unwrap(), [alice()]);
    let listed = store.list_agents(&home()).await.unwrap();
    let names: Vec<_> = listed.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names, ["cursor", "support-bot"], "by name");
    assert_eq!((listed[1].kind, &listed[1].groups, &listed[1].user), (bot.kind, &bot.groups, &bot.user));
    assert!(listed[0].user.is_none() && listed[0].groups.is_empty());
    assert!(listed.iter().all(|agent| agent.disabled_at.is_none() && agent.created_at > before));
    store.remove_agent(&home(), &"cursor".parse().unwrap(), "ops").await.unwrap();
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 1);
}

pub(crate) async fn a_name_is_taken_once(bed: &Bed) {
    let store = bed.store().await;
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let again = store.add_agent(&home(), &agent("bot"), "ops").await.unwrap_err();
    assert_eq!(again.to_string(), "the agent `bot` exists already: remove it first, or choose another name");
    assert!(matches!(
        store.add_user(&home(), &alice(), "ops").await,
        Err(StoreError::Exists { what: "user", .. })
    ));
    let gone = store.remove_agent(&home(), &"bat".parse().unwrap(), "ops").await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no agent `bat`: `callgate agent list` shows all");
}

pub(crate) async fn a_disabled_agent_that_is_removed_stays_refused_until_it_is_enabled(bed: &Bed) {
    let (store, bot): (_, &AgentName) = (bed.store().await, &"bot".parse().unwrap());
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    add_agent(&store, &home(), "bot", Some(&alice().name)).await;
    let token = NewToken { agent: bot.clone(), hash: hash(1), expires_at: in_an_hour(bed) };
    store.add_token(&home(), &token, "ops").await.unwrap();
    store.disable_agent(&home(), bot, "ops").await.unwrap();
    assert!(store.remove_agent(&home(), bot, "ops").await.unwrap(), "the ban stays");
    let store = bed.reopen(store).await;
    let listed = store.list_agents(&home()).await.unwrap();
    assert!(listed[0].disabled_at.is_some() && listed[0].removed_at.is_some(), "{listed:?}");
    assert!(listed[0].user.is_none() && store.principals(&home(), &[]).await.unwrap().is_empty());
    assert!(store.token_by_hash(&hash(1)).await.unwrap().unwrap().revoked_at.is_some());
    store.remove_user(&home(), &alice().name, "ops").await.unwrap();
    // nothing but `enable` lifts it, and nobody is told that there is such an agent
    let again = NewToken { hash: hash(2), ..token };
    let refused = [
        store.add_agent(&home(), &agent("bot"), "ops").await,
        store.remove_agent(&home(), bot, "ops").await.map(|_| ()),
        store.add_token(&home(), &again, "ops").await.map(|_| ()),
    ];
    assert!(refused.iter().all(|one| matches!(one, Err(StoreError::Banned { .. }))), "{refused:?}");
    store.disable_agent(&home(), bot, "ops").await.unwrap();
    assert!(store.list_agents(&home()).await.unwrap()[0].disabled_at.is_some());
    let before = store.revision().await.unwrap();
    store.enable_agent(&home(), bot, "ops").await.unwrap();
    assert!(store.revision().await.unwrap() > before);
    assert!(store.list_agents(&home()).await.unwrap().is_empty());
    // one that was not disabled leaves nothing
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    assert!(!store.remove_agent(&home(), bot, "ops").await.unwrap());
    assert!(store.list_agents(&home()).await.unwrap().is_empty());
}

pub(crate) async fn an_agent_cannot_act_for_a_user_nobody_added(bed: &Bed) {
    let store = bed.store().await;
    let bot = NewAgent { user: Some(alice().name), ..agent("bot") };
    let refused = store.add_agent(&home(), &bot, "ops").await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "user", .. })));
    assert!(store.list_agents(&home()).await.unwrap().is_empty());
    // Somebody of the same name in another environment is somebody else.
    store.add_user(&elsewhere()[0], &alice(), "ops").await.unwrap();
    assert!(store.add_agent(&home(), &bot, "ops").await.is_err());
}

pub(crate) async fn a_user_with_an_agent_cannot_be_removed(bed: &Bed) {
    let store = bed.store().await;
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    add_agent(&store, &home(), "bot", Some(&alice().name)).await;
    let refused = store.remove_user(&home(), &alice().name, "ops").await;
    assert!(matches!(refused, Err(StoreError::Unacceptable { .. })));
    store.remove_agent(&home(), &"bot".parse().unwrap(), "ops").await.unwrap();
    store.remove_user(&home(), &alice().name, "ops").await.unwrap();
    assert!(store.list_users(&home()).await.unwrap().is_empty());
    let gone = store.remove_user(&home(), &alice().name, "ops").await;
    assert!(matches!(gone, Err(StoreError::Missing { what: "user", .. })));
}

pub(crate) async fn whoever_has_the_name_of_somebody_removed_finds_nothing_of_theirs(bed: &Bed) {
    let store = bed.store().await;
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    let mut kept = Vec::new();
    for (n, name) in [(1, "bot"), (2, "other")] {
        add_agent(&store, &home(), name, Some(&alice().name)).await;
        let asker = Principal {
            tenant: home().tenant,
            environment: home().environment,
            actor: Actor::Agent(name.parse().unwrap()),
            groups: Default::default(),
            user: Some(alice()),
        };
        let key = Key { digest: Digest::of(&[n]), owner: asker.owner(Own::Keys), asks: Digest::of(b"asks") };
        let claim = KeyClaim { key, leg: 0, window_us: 60_000_000, over: None };
        let call = CallId::new(bed.now(), [n; 10]);
        let deed = DeedId::new(bed.now(), [n; 10]);
        let takes = Takes { call, deed, log: "a", uses: &[], key: Some(&claim) };
        assert_eq!(store.spend(&home(), None, takes, &[]).await.unwrap(), Spending::Done);
        let answer = Some(b"sealed".as_slice());
        store.settle_key(&home(), Some(&key), call, Standing::Answered, answer).await.unwrap();
        let draft = Draft {
            id: DraftId::new(bed.now(), [n; 10]),
            owner: asker.owner(Own::Drafts),
            server: "crm".parse().unwrap(),
            tool: "go".to_owned(),
            definition: Digest::of(b"go"),
            sealed: vec![1],
            made_at: bed.now(),
            expires_at: Timestamp(bed.now().0 + 60_000_000),
            deed: None,
        };
        store.keep_draft(&home(), &draft).await.unwrap();
        kept.push((key, draft));
    }
    let found = async |(key, draft): &(Key, Draft)| {
        let twin = store.twin(&home(), key).await.unwrap().is_some();
        (twin, store.draft(&home(), &draft.owner, draft.id).await.unwrap().is_some())
    };
    assert_eq!((found(&kept[0]).await, found(&kept[1]).await), ((true, true), (true, true)));
    store.remove_agent(&home(), &"bot".parse().unwrap(), "ops").await.unwrap();
    add_agent(&store, &home(), "bot", Some(&alice().name)).await;
    assert_eq!((found(&kept[0]).await, found(&kept[1]).await), ((false, false), (true, true)));
}

pub(crate) async fn nothing_is_seen_from_another_tenant_or_environment(bed: &Bed) {
    let store = bed.store().await;
    store.add_user(&home(), &alice(), "ops").await.unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    for scope in elsewhere() {
        assert!(store.list_agents(&scope).await.unwrap().is_empty());
        assert!(store.list_users(&scope).await.unwrap().is_empty());
        assert!(store.remove_agent(&scope, &"bot".parse().unwrap(), "ops").await.is_err());
        assert!(store.disable_agent(&scope, &"bot".parse().unwrap(), "ops").await.is_err());
        store.add_agent(&scope, &agent("bot"), "ops").await.unwrap();
        store.remove_agent(&scope, &"bot".parse().unwrap(), "ops").await.unwrap();
    }
    assert_eq!(store.list_agents(&home()).await.unwrap().len(), 1);
}

pub(crate) async fn every_change_a_gateway_must_notice_counts(bed: &Bed) {
    let store = bed.store().await;
    let mut last = store.revision().await.unwrap();
    assert_eq!(last, Revision(0));
    macro_rules! counts {
        ($change:expr) => {
            $change.await.unwrap();
            let now = store.revision().await.unwrap();
            assert!(now > last, "{}", stringify!($change));
            last = now;
        };
    }
    let bot = &"bot".parse().unwrap();
    counts!(store.add_user(&home(), &alice(), "ops"));
    counts!(store.add_agent(&home(), &agent("bot"), "ops"));
    counts!(store.add_agent(&elsewhere()[1], &agent("bot"), "ops"));
    counts!(store.disable_agent(&home(), bot, "ops"));
    counts!(store.enable_agent(&home(), bot, "ops"));
    let token = NewToken { agent: bot.clone(), hash: hash(1), expires_at: in_an_hour(bed) };
    let id = store.add_token(&home(), &token, "ops").await.unwrap();
    counts!(store.revoke_token(&home(), &id, "ops"));
    counts!(store.revoke_tokens(&home(), bot, "ops"));
    counts!(store.remove_agent(&home(), bot, "ops"));
    counts!(store.remove_user(&home(), &alice().name, "ops"));
    let name = SecretName::new("github").unwrap();
    let secret = NewSecret {
        name: name.clone(),
        user: None,
        server: None,
        version: 1,
        sealed: Sealed(vec![1]),
        expires_at: None,
        rotate_by: None,
    };
    counts!(store.put_secret(&home(), &secret, "ops"));
    counts!(store.remove_secret(&home(), &name, None, "ops"));
    let sighting = crate::pins::sighting(&[("a", "1")]);
    counts!(store.record_seen(&store.own_writer(), &home(), &sighting));
    let sighting = crate::pins::sighting(&[("a", "2")]);
    counts!(store.record_seen(&store.own_writer(), &home(), &sighting));
    counts!(store.approve(&home(), &sighting.server, &store::Which::All, "alice"));
    store.record_seen(&store.own_writer(), &home(), &sighting).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), last, "nothing changed, nothing counts");
    assert!(store.remove_agent(&home(), bot, "ops").await.is_err());
    assert_eq!(store.revision().await.unwrap(), last, "what failed does not count");
}

pub(crate) async fn a_waiter_wakes_when_another_process_revokes(bed: &Bed) {
    let (here, there) = (bed.store().await, bed.store().await);
    there.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let token = NewToken { agent: "bot".parse().unwrap(), hash: hash(1), expires_at: in_an_hour(bed) };
    let id = there.add_token(&home(), &token, "ops").await.unwrap();
    let since = here.revision().await.unwrap();
    let mut waiter = tokio::spawn({
        let here = here.clone();
        async move { here.changed(since, Duration::from_secs(30)).await.unwrap() }
    });
    let early = timeout(Duration::from_millis(60), &mut waiter).await;
    assert!(early.is_err(), "it waits while nothing happens");
    there.revoke_token(&home(), &id, "ops").await.unwrap();
    let seen = timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
    assert_ne!(seen, since);
    let record = here.token_by_hash(&hash(1)).await.unwrap().unwrap();
    assert!(record.revoked_at.is_some());
}

pub(crate) async fn a_waiter_gives_up_when_nothing_happens(bed: &Bed) {
    let store = bed.store().await;
    let since = store.revision().await.unwrap();
    let started = Instant::now();
    assert_eq!(store.changed(since, Duration::from_millis(20)).await.unwrap(), since);
    assert!(started.elapsed() >= Duration::from_millis(20));
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let at_once = timeout(Duration::from_secs(5), store.changed(since, Duration::from_secs(60))).await;
    assert_ne!(at_once.unwrap().unwrap(), since);
}
