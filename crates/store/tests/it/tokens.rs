//! Tokens and whom they lead to.

use crate::bed::{Bed, elsewhere, home};
use crate::principals::{add_agent, alice};
use decision::{Actor, AgentName, Timestamp};
use store::{AgentKind, Lapsed, NewAgent, NewToken, StoreError, TokenHash, TokenId};

pub(crate) fn agent(name: &str) -> NewAgent {
    NewAgent { name: AgentName::new(name).unwrap(), kind: AgentKind::Agent, groups: [].into(), user: None }
}

pub(crate) fn hash(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

pub(crate) fn in_an_hour(bed: &Bed) -> Timestamp {
    Timestamp(bed.now().0 + 3_600_000_000)
}

fn token(bed: &Bed, name: &str, n: u8) -> NewToken {
    NewToken { agent: AgentName::new(name).unwrap(), hash: hash(n), expires_at: in_an_hour(bed) }
}

pub(crate) async fn a_token_leads_to_its_principal(bed: &Bed) {
    let store = bed.store().await;
    let scope = &elsewhere()[1];
    store.add_user(scope, &alice(), "ops").await.unwrap();
    let groups = ["support".parse().unwrap()].into();
    let bot = NewAgent { groups, user: Some(alice().name), ..agent("bot") };
    store.add_agent(scope, &bot, "ops").await.unwrap();
    let nightly = NewAgent { kind: AgentKind::Workload, ..agent("nightly") };
    store.add_agent(scope, &nightly, "ops").await.unwrap();
    let id = store.add_token(scope, &token(bed, "bot", 1), "ops").await.unwrap();
    store.add_token(scope, &token(bed, "nightly", 2), "ops").await.unwrap();
    let store = bed.reopen(store).await;

    let record = store.token_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!(record.id, id);
    let principal = record.principal(bed.now()).unwrap();
    assert_eq!((&principal.tenant, &principal.environment), (&scope.tenant, &scope.environment));
    assert_eq!(principal.actor, Actor::Agent("bot".parse().unwrap()));
    assert_eq!((principal.groups, principal.user), (bot.groups, Some(alice())));

    let record = store.token_by_hash(&hash(2)).await.unwrap().unwrap();
    let principal = record.principal(bed.now()).unwrap();
    assert_eq!(principal.actor, Actor::Workload("nightly".parse().unwrap()));
    assert!(principal.user.is_none());
}

pub(crate) async fn an_unknown_hash_leads_nowhere(bed: &Bed) {
    let store = bed.store().await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    store.add_token(&home(), &token(bed, "bot", 1), "ops").await.unwrap();
    assert_eq!(store.token_by_hash(&hash(2)).await.unwrap(), None);
    let shown = format!("{:?} {:?}", hash(7), token(bed, "bot", 7));
    assert!(!shown.contains("7, 7"), "{shown}");
}

pub(crate) async fn a_lapsed_token_leads_to_nobody_and_says_why(bed: &Bed) {
    let store = bed.store().await;
    let bot = AgentName::new("bot").unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let new = token(bed, "bot", 1);
    let id = store.add_token(&home(), &new, "ops").await.unwrap();
    let who = async |at| store.token_by_hash(&hash(1)).await.unwrap().unwrap().principal(at);

    assert!(who(Timestamp(new.expires_at.0 - 1)).await.is_ok());
    assert_eq!(who(new.expires_at).await, Err(Lapsed::Expired));
    store.disable_agent(&home(), &bot, "ops").await.unwrap();
    let known = match who(bed.now()).await {
        Err(Lapsed::AgentDisabled(principal)) => Some(principal.actor),
        _ => None,
    };
    assert_eq!(known, Some(decision::Actor::Agent(bot.clone())));
    store.enable_agent(&home(), &bot, "ops").await.unwrap();
    assert!(who(bed.now()).await.is_ok());
    store.revoke_token(&home(), &id, "ops").await.unwrap();
    let first = store.token_by_hash(&hash(1)).await.unwrap().unwrap().revoked_at;
    store.revoke_token(&home(), &id, "ops").await.unwrap();
    assert_eq!(who(bed.now()).await, Err(Lapsed::Revoked));
    let second = store.token_by_hash(&hash(1)).await.unwrap().unwrap().revoked_at;
    assert_eq!(first, second, "the first revocation stands");
    assert_eq!(store.list_tokens(&home()).await.unwrap().len(), 1, "a revoked token stays on record");
}

pub(crate) async fn a_removed_agents_tokens_never_come_back(bed: &Bed) {
    let store = bed.store().await;
    let bot = AgentName::new("bot").unwrap();
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    store.add_token(&home(), &token(bed, "bot", 1), "ops").await.unwrap();
    store.remove_agent(&home(), &bot, "ops").await.unwrap();
    assert_eq!(store.token_by_hash(&hash(1)).await.unwrap(), None);
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let record = store.token_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!(record.principal(bed.now()), Err(Lapsed::Revoked));
}

pub(crate) async fn a_token_needs_an_agent_a_future_and_a_hash_of_its_own(bed: &Bed) {
    let store = bed.store().await;
    let refused = store.add_token(&home(), &token(bed, "bot", 1), "ops").await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "agent", .. })));
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let now = bed.now();
    let stale = NewToken { expires_at: now, ..token(bed, "bot", 1) };
    assert!(matches!(store.add_token(&home(), &stale, "ops").await, Err(StoreError::Unacceptable { .. })));
    store.add_token(&home(), &token(bed, "bot", 1), "ops").await.unwrap();
    for scope in [home(), elsewhere()[0].clone()] {
        if scope != home() {
            store.add_agent(&scope, &agent("bot"), "ops").await.unwrap();
        }
        let twice = store.add_token(&scope, &token(bed, "bot", 1), "ops").await;
        assert!(matches!(twice, Err(StoreError::Exists { .. })), "one token must not be two agents");
    }
    for text in ["", "tok_", "tok_0123456789abcdeg", "tok_0123456789ABCDEF", "0123456789abcdef"] {
        assert!(text.parse::<TokenId>().is_err(), "{text}");
    }
    let id = TokenId::new([0, 0, 0, 0, 0, 0, 0, 255]);
    assert_eq!(id.to_string().parse::<TokenId>().unwrap(), id);
}

pub(crate) async fn a_token_is_revoked_only_where_it_lives(bed: &Bed) {
    let store = bed.store().await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let id = store.add_token(&home(), &token(bed, "bot", 1), "ops").await.unwrap();
    for scope in elsewhere() {
        assert!(matches!(store.revoke_token(&scope, &id, "ops").await, Err(StoreError::Missing { .. })));
        assert_eq!(store.revoke_tokens(&scope, &"bot".parse().unwrap(), "ops").await.unwrap(), 0);
        assert!(store.list_tokens(&scope).await.unwrap().is_empty());
    }
    assert!(store.token_by_hash(&hash(1)).await.unwrap().unwrap().principal(bed.now()).is_ok());
    store.add_token(&home(), &token(bed, "bot", 2), "ops").await.unwrap();
    assert_eq!(store.revoke_tokens(&home(), &"bot".parse().unwrap(), "ops").await.unwrap(), 2);
    assert_eq!(store.revoke_tokens(&home(), &"bot".parse().unwrap(), "ops").await.unwrap(), 0);
}

pub(crate) async fn the_last_use_never_goes_back(bed: &Bed) {
    let store = bed.store().await;
    store.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
    let id = store.add_token(&home(), &token(bed, "bot", 1), "ops").await.unwrap();
    let before = store.revision().await.unwrap();
    let used = async || store.token_by_hash(&hash(1)).await.unwrap().unwrap().last_used_at;
    assert_eq!(used().await, None);
    store.mark_used(&[(id.clone(), Timestamp(20)), (id.clone(), Timestamp(10))]).await.unwrap();
    assert_eq!(used().await, Some(Timestamp(20)));
    store.mark_used(&[(id, Timestamp(15))]).await.unwrap();
    assert_eq!(used().await, Some(Timestamp(20)));
    assert_eq!(store.revision().await.unwrap(), before, "use is not a change");
}

pub(crate) async fn a_token_added_while_its_agent_is_removed_never_lives(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    for n in 0..12 {
        one.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
        let new = token(bed, "bot", n);
        let bot = AgentName::new("bot").unwrap();
        let scope = home();
        let (added, removed) =
            tokio::join!(one.add_token(&scope, &new, "ops"), two.remove_agent(&scope, &bot, "ops"));
        removed.unwrap();
        one.add_agent(&home(), &agent("bot"), "ops").await.unwrap();
        match added {
            Ok(_) => {
                let record = one.token_by_hash(&hash(n)).await.unwrap().unwrap();
                assert_eq!(record.principal(bed.now()), Err(Lapsed::Revoked), "round {n}");
            }
            Err(error) => assert!(matches!(error, StoreError::Missing { .. }), "{error}"),
        }
        one.remove_agent(&home(), &bot, "ops").await.unwrap();
    }
}

pub(crate) async fn parallel_writers_lose_nothing(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    add_agent(&one, &home(), "bot", None).await;
    let before = one.revision().await.unwrap();
    let mut running = Vec::new();
    for n in 0..40 {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        let new = token(bed, "bot", n);
        running.push(tokio::spawn(async move { store.add_token(&home(), &new, "ops").await }));
    }
    for writer in running {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(one.list_tokens(&home()).await.unwrap().len(), 40);
    assert_eq!(one.revision().await.unwrap().0, before.0 + 40);
}
