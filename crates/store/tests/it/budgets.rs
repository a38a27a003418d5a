//! Counters of budgets: what is taken, given back and forgotten, whoever races for it.

use crate::Bed;
use crate::bed::home;
use decision::budget::{Measure, Span, Use};
use decision::{CallId, DeedId, Digest, Timestamp};
use std::sync::Arc;
use store::{Spending, Store, StoreError, Taken, Takes};

const LATER: Timestamp = Timestamp(u64::MAX >> 1);

fn call(n: u16) -> CallId {
    CallId::new(Timestamp(u64::from(n) * 1_000), [7; 10])
}

fn deed(n: u16) -> DeedId {
    DeedId::new(Timestamp(u64::from(n) * 1_000), [7; 10])
}

fn takes_of(name: &str, amount: u64, at_most: u64) -> Use {
    let at = Timestamp(5);
    Use {
        budget: name.parse().unwrap(),
        subject: Digest::of(name.as_bytes()),
        whose: "everybody".to_owned(),
        measure: Measure::Amount,
        span: Span { bucket: at, since: at, until: LATER },
        amount,
        values: Vec::new(),
        at_most,
    }
}

fn values(measure: Measure, values: &[u8], at_most: u64) -> Use {
    let values = values.iter().map(|value| Digest::of(&[*value])).collect();
    Use { measure, values, ..takes_of("values", 1, at_most) }
}

async fn spend(store: &Store, n: u16, uses: &[Use], lifted: bool) -> Result<Spending, StoreError> {
    let uses: Vec<Taken> = uses.iter().map(|one| Taken { one: one.clone(), lifted }).collect();
    let takes = Takes { call: call(n), deed: deed(n), log: "l", uses: &uses, key: None };
    store.spend(&home(), None, takes, &[]).await
}

async fn used(store: &Store, one: &Use) -> u64 {
    store.counted(&home(), one).await.unwrap().iter().map(|one| one.amount).sum()
}

pub(crate) async fn of_many_at_once_no_more_pass_than_there_is_room(bed: &Bed) {
    let stores = [bed.store().await, bed.store().await];
    let turns = Arc::new(tokio::sync::Semaphore::new(16));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..240 {
        let (store, turns) = (stores[usize::from(n % 2)].clone(), Arc::clone(&turns));
        tasks.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            // in different orders, which must not make them wait for each other
            let mut uses = [takes_of("a", 1, 1_000), takes_of("b", 3, 100)];
            if n % 3 == 0 {
                uses.reverse();
            }
            spend(&store, n, &uses, false).await.unwrap()
        });
    }
    let passed = tasks.join_all().await.into_iter().filter(|one| *one == Spending::Done).count();
    assert_eq!(passed, 33, "33 times 3 is as near to 100 as it gets");
    assert_eq!(used(&stores[0], &takes_of("b", 0, 0)).await, 99);
    assert_eq!(
        used(&stores[0], &takes_of("a", 0, 0)).await,
        33,
        "who has no room for one takes no other either"
    );
}

pub(crate) async fn what_never_left_is_given_back_once(bed: &Bed) {
    let store = bed.store().await;
    let one = takes_of("a", 5, 10);
    for n in [1, 2] {
        assert_eq!(spend(&store, n, std::slice::from_ref(&one), false).await.unwrap(), Spending::Done);
    }
    let Spending::Over(over) = spend(&store, 3, std::slice::from_ref(&one), false).await.unwrap() else {
        unreachable!("there was no room");
    };
    assert_eq!((over[0].1.used, over[0].1.again), (10, Some(LATER)));
    for _ in 0..2 {
        store.give_back(&home(), call(1)).await.unwrap();
    }
    assert_eq!(used(&store, &one).await, 5, "twice is once");
    store.settle_deeds(&home(), &[deed(2)]).await.unwrap();
    store.give_back(&home(), call(2)).await.unwrap();
    assert_eq!(used(&store, &one).await, 5, "what is over is kept");
}

pub(crate) async fn what_people_lifted_passes_and_counts(bed: &Bed) {
    let store = bed.store().await;
    let one = takes_of("a", 8, 10);
    assert_eq!(spend(&store, 1, std::slice::from_ref(&one), false).await.unwrap(), Spending::Done);
    assert_eq!(spend(&store, 2, std::slice::from_ref(&one), true).await.unwrap(), Spending::Done);
    assert_eq!(used(&store, &one).await, 16);
}

pub(crate) async fn a_restart_knows_what_is_open_and_what_a_deed_has(bed: &Bed) {
    let store = bed.store().await;
    let one = takes_of("a", 5, 100);
    for n in [1, 2, 3] {
        spend(&store, n, std::slice::from_ref(&one), false).await.unwrap();
    }
    let none = Takes { call: call(9), deed: deed(9), log: "l", uses: &[], key: None };
    store.spend(&home(), None, none, &[deed(2)]).await.unwrap();
    let store = bed.reopen(store).await;
    let open = store.unsettled_uses(&home(), "l").await.unwrap();
    assert_eq!(open, [(call(1), deed(1)), (call(3), deed(3))]);
    assert!(store.unsettled_uses(&home(), "another").await.unwrap().is_empty());
    let other = Use { amount: 6, ..one.clone() };
    let uses = [one, other, takes_of("b", 5, 100)];
    assert_eq!(store.taken(&home(), deed(1), &uses).await.unwrap(), [true, false, false]);
    assert_eq!(store.taken(&home(), deed(4), &uses).await.unwrap(), [false; 3]);
    assert!(store.has_taken(&home(), deed(1)).await.unwrap());
    assert!(!store.has_taken(&home(), deed(2)).await.unwrap());
}

pub(crate) async fn values_count_once_each(bed: &Bed) {
    let store = bed.store().await;
    let distinct = |of: &[u8]| values(Measure::Distinct, of, 2);
    for (n, of, passes) in
        [(1, [1, 2].as_slice(), true), (2, &[2], true), (3, &[3], false), (4, &[1, 3], false)]
    {
        let done = spend(&store, n, &[distinct(of)], false).await.unwrap();
        assert_eq!(done == Spending::Done, passes, "{of:?}");
    }
    store.give_back(&home(), call(2)).await.unwrap();
    assert!(matches!(spend(&store, 5, &[distinct(&[3])], false).await.unwrap(), Spending::Over(_)));
    store.give_back(&home(), call(1)).await.unwrap();
    assert_eq!(spend(&store, 6, &[distinct(&[3])], false).await.unwrap(), Spending::Done);
}

pub(crate) async fn a_value_is_new_until_it_was_let_through(bed: &Bed) {
    let store = bed.store().await;
    let first = |of: &[u8]| values(Measure::FirstSeen, of, 0);
    assert!(matches!(spend(&store, 1, &[first(&[1])], false).await.unwrap(), Spending::Over(_)));
    assert_eq!(spend(&store, 2, &[first(&[1])], true).await.unwrap(), Spending::Done);
    assert_eq!(spend(&store, 3, &[first(&[1])], false).await.unwrap(), Spending::Done);
    assert!(matches!(spend(&store, 4, &[first(&[1, 2])], false).await.unwrap(), Spending::Over(_)));
}

pub(crate) async fn what_no_window_needs_is_forgotten(bed: &Bed) {
    let store = bed.store().await;
    let soon = Timestamp(bed.now().0 + 1_000_000);
    let brief = takes_of("short", 1, 9);
    let brief = Use { span: Span { until: soon, ..brief.span }, ..brief };
    spend(&store, 1, &[brief, takes_of("long", 1, 9)], false).await.unwrap();
    let (short, long) = ("short".parse().unwrap(), "long".parse().unwrap());
    for budget in [&short, &long] {
        let counters = store.counters(&home(), budget, 10).await.unwrap();
        assert_eq!(counters.iter().map(|one| &one.budget).collect::<Vec<_>>(), [budget]);
        assert!(store.counters(&home(), budget, 0).await.unwrap().is_empty());
    }
    assert_eq!(store.forget_uses().await.unwrap(), 0);
    bed.clock.advance(2_000_000);
    assert!(store.counters(&home(), &short, 10).await.unwrap().is_empty());
    assert_eq!(store.counters(&home(), &long, 10).await.unwrap().len(), 1);
    assert_eq!(store.forget_uses().await.unwrap(), 3);
    for table in ["budget_subjects", "budget_uses", "budget_reservations"] {
        assert_eq!(bed.rows(table).await, 1, "{table}");
    }
    let elsewhere = store::Scope::new("other".parse().unwrap(), home().environment);
    assert!(store.counters(&elsewhere, &long, 10).await.unwrap().is_empty());
}
