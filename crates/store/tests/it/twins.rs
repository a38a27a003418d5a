//! Keys under which a deed is done once: of any number of calls one goes on, whatever comes between, on two gateways.

use crate::bed::{Bed, home};
use decision::twin::{Key, Meeting, Repeat, Standing};
use decision::{CallId, DeedId, Digest, Timestamp, Twin};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use store::{KeptTwin, KeyClaim, Spending, Store, Takes};

const MINUTE: u64 = 60_000_000;
const WINDOW: u64 = 10 * MINUTE;

fn key(n: u8, asks: u8) -> Key {
    Key { digest: Digest::of(&[n]), owner: Digest::of(b"bot"), asks: Digest::of(&[asks]) }
}

fn call(n: u64) -> CallId {
    CallId::new(Timestamp(1), id(n))
}

fn deed(n: u64) -> DeedId {
    DeedId::new(Timestamp(1), id(n))
}

fn id(n: u64) -> [u8; 10] {
    let mut id = [0; 10];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id
}

fn claim(key: Key, leg: u32, over: Option<Twin>) -> KeyClaim {
    KeyClaim { key, leg, window_us: WINDOW, over }
}

async fn take(store: &Store, claim: &KeyClaim, n: u64, of: u64, log: &str) -> bool {
    let takes = Takes { call: call(n), deed: deed(of), log, uses: &[], key: Some(claim) };
    let spent = store.spend(&home(), None, takes, &[]).await.unwrap();
    assert!(matches!(spent, Spending::Done | Spending::Twin), "{spent:?}");
    spent == Spending::Done
}

async fn find(store: &Store, key: &Key) -> Option<KeptTwin> {
    store.twin(&home(), key).await.unwrap()
}

async fn standing(store: &Store, key: &Key) -> Option<Standing> {
    find(store, key).await.map(|kept| kept.twin.standing)
}

pub(crate) async fn of_many_twins_at_once_one_takes_the_key(bed: &Bed) {
    let (here, there) = (bed.store().await, bed.store().await);
    let claim = claim(key(1, 1), 0, None);
    let takes = (0..40_u64).map(|n| {
        let (store, log) = if n % 2 == 0 { (&here, "a") } else { (&there, "b") };
        let claim = &claim;
        async move { take(store, claim, n, n, log).await }
    });
    let taken = futures::future::join_all(takes).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    assert_eq!(standing(&there, &key(1, 1)).await, Some(Standing::Sent));
    assert!(take(&here, &crate::twins::claim(key(2, 1), 0, None), 99, 99, "a").await, "another key");
    let elsewhere = crate::bed::elsewhere();
    assert_eq!(here.twin(&elsewhere[0], &key(1, 1)).await.unwrap(), None);
    assert_eq!(here.twin(&elsewhere[1], &key(1, 1)).await.unwrap(), None);
}

pub(crate) async fn what_never_left_leaves_the_key_as_it_was(bed: &Bed) {
    let store = bed.store().await;
    let one = key(1, 1);
    assert!(take(&store, &claim(one, 0, None), 1, 1, "a").await);
    for _ in 0..2 {
        store.give_back_key(&home(), call(1)).await.unwrap();
        assert_eq!(find(&store, &one).await, None);
    }
    // a deed whose server asked something waits on, and one of which nothing is known stays unknown
    for (n, before) in [(10, Standing::Waits), (20, Standing::Unknown)] {
        let one = key(u8::try_from(n).unwrap(), 1);
        assert!(take(&store, &claim(one, 0, None), n, n, "a").await);
        store.settle_key(&home(), Some(&one), call(n), before, None).await.unwrap();
        let over = find(&store, &one).await.unwrap().twin;
        let leg = if before == Standing::Waits { 1 } else { 0 };
        assert!(take(&store, &claim(one, leg, Some(over.clone())), n + 1, n, "a").await);
        assert!(!take(&store, &claim(one, leg, Some(over)), n + 2, n, "a").await, "as it was read, once");
        store.give_back_key(&home(), call(n + 1)).await.unwrap();
        let kept = find(&store, &one).await.unwrap().twin;
        assert_eq!((kept.standing, kept.leg, kept.deed), (before, 0, deed(n)));
    }
}

pub(crate) async fn an_answer_is_kept_for_its_window_and_of_one_asker_the_newest_alone(bed: &Bed) {
    let store = bed.store().await;
    let one = key(1, 1);
    assert!(take(&store, &claim(one, 0, None), 1, 1, "a").await);
    bed.clock.advance(30 * MINUTE);
    assert!(find(&store, &one).await.unwrap().twin.until > bed.now(), "on its way for as long as it takes");
    store.settle_key(&home(), Some(&one), call(1), Standing::Answered, Some(b"sealed")).await.unwrap();
    let store = bed.reopen(store).await;
    let kept = find(&store, &one).await.unwrap();
    assert_eq!(
        (kept.twin.standing, kept.answer.as_deref()),
        (Standing::Answered, Some(b"sealed".as_slice()))
    );
    store.settle_key(&home(), Some(&one), call(1), Standing::Unknown, None).await.unwrap();
    assert_eq!(standing(&store, &one).await, Some(Standing::Answered), "what is over is over");
    let (until, now) = (kept.twin.until.0, bed.now().0);
    assert!((now + WINDOW - MINUTE..=now + WINDOW).contains(&until), "from its end on");
    for n in 2..1_030_u64 {
        let mut other = key(0, 1);
        other.digest = Digest::of(&n.to_be_bytes());
        assert!(take(&store, &claim(other, 0, None), n, n, "a").await);
        store.settle_key(&home(), Some(&other), call(n), Standing::Answered, Some(b"x")).await.unwrap();
    }
    let kept = find(&store, &one).await.unwrap();
    assert_eq!((kept.twin.standing, kept.answer), (Standing::Answered, None), "that it was made stays known");
    assert_eq!(store.forget_keys().await.unwrap(), 0);
    bed.clock.advance(WINDOW + MINUTE);
    assert_eq!(store.forget_keys().await.unwrap(), 1_029);
    assert_eq!(bed.rows("twins").await, 0);
}

pub(crate) async fn an_answer_that_is_to_be_forgotten_goes_and_its_key_stays_taken(bed: &Bed) {
    let store = bed.store().await;
    for n in [1, 2] {
        let one = key(u8::try_from(n).unwrap(), 1);
        assert!(take(&store, &claim(one, 0, None), n, n, "a").await);
        store.settle_key(&home(), Some(&one), call(n), Standing::Answered, Some(b"sealed")).await.unwrap();
    }
    assert_eq!(store.forget_result(&home(), call(1), &[]).await.unwrap(), 1);
    let kept = find(&store, &key(1, 1)).await.unwrap();
    assert_eq!((kept.twin.standing, kept.answer), (Standing::Answered, None), "that it was made stays known");
    assert!(find(&store, &key(2, 1)).await.unwrap().answer.is_some(), "another call's");
    assert_eq!(store.forget_result(&home(), call(1), &[]).await.unwrap(), 0, "once");
}

pub(crate) async fn a_restart_finds_its_own_open_keys(bed: &Bed) {
    let store = bed.store().await;
    for (n, log) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        let one = key(u8::try_from(n).unwrap(), 1);
        assert!(take(&store, &claim(one, 0, None), n, n, log).await);
    }
    store.settle_key(&home(), None, call(3), Standing::Unknown, None).await.unwrap();
    let store = bed.reopen(store).await;
    assert_eq!(store.unsettled_keys(&home(), "a").await.unwrap(), [call(1), call(4)]);
    assert_eq!(store.unsettled_keys(&home(), "b").await.unwrap(), [call(2)]);
}

#[derive(Debug, Clone)]
enum Step {
    /// Several calls under a key at once, at both gateways.
    Call {
        key: u8,
        asks: u8,
        times: u8,
    },
    /// One that is on its way ends.
    End {
        which: u8,
        how: How,
    },
    /// The client answers what the server of a deed asked, twice at once.
    Answer(u8),
    /// A gateway stops and starts: by its record some of what was on its way left and some did not.
    Crash {
        second: bool,
        left: bool,
    },
    Time(u8),
    Tidy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    NeverLeft,
    Answered,
    Waits,
    Unknown,
}

fn step() -> impl Strategy<Value = Step> {
    let how =
        prop::sample::select(vec![How::NeverLeft, How::Answered, How::Answered, How::Waits, How::Unknown]);
    prop_oneof![
        6 => (0..3_u8, prop::bool::weighted(0.1), 1..5_u8)
            .prop_map(|(key, asks, times)| Step::Call { key, asks: u8::from(asks), times }),
        6 => (any::<u8>(), how).prop_map(|(which, how)| Step::End { which, how }),
        3 => any::<u8>().prop_map(Step::Answer),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(second, left)| Step::Crash { second, left }),
        2 => (0..7_u8).prop_map(Step::Time),
        1 => Just(Step::Tidy),
    ]
}

/// One message that left, or is about to, as the test itself knows it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    call: u64,
    deed: u64,
    leg: u32,
    key: u8,
    asks: u8,
    second: bool,
}

/// What the test has seen of each deed that was done, or may have been.
#[derive(Debug, Clone, Copy)]
struct Deed {
    number: u64,
    asks: u8,
    /// Since when nothing of it is on its way.
    ended: Option<Timestamp>,
}

struct World {
    stores: [Store; 2],
    next: u64,
    on_their_way: Vec<Sent>,
    waiting: Vec<Sent>,
    deeds: BTreeMap<u8, Vec<Deed>>,
    given_again: usize,
    executed: usize,
}

impl World {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn log(second: bool) -> &'static str {
        if second { "b" } else { "a" }
    }

    /// What a gateway does with a call: look, and take if it may go.
    async fn attempt(store: &Store, now: Timestamp, one: Sent) -> (Option<Meeting>, bool, Option<CallId>) {
        let key = key(one.key, one.asks);
        let found = find(store, &key).await;
        let meets = found
            .as_ref()
            .map(|kept| kept.twin.meets(&key.asks, (deed(one.deed), one.leg), Repeat::Never, now));
        let twin = found.as_ref().map(|kept| kept.twin.call);
        if !matches!(meets, None | Some(Meeting::Goes)) {
            return (meets, false, twin);
        }
        let claim = claim(key, one.leg, found.map(|kept| kept.twin));
        (meets, take(store, &claim, one.call, one.deed, Self::log(one.second)).await, twin)
    }

    async fn several(&mut self, bed: &Bed, asked: Vec<Sent>) {
        let now = bed.now();
        let stores = &self.stores;
        let attempts = asked.iter().map(|one| Self::attempt(&stores[usize::from(one.second)], now, *one));
        let attempts = futures::future::join_all(attempts).await;
        for (one, (meets, went, twin)) in asked.into_iter().zip(attempts) {
            let known = self.deeds.entry(one.key).or_default();
            if went {
                self.on_their_way.push(one);
                self.waiting.retain(|waits| waits.deed != one.deed);
                let stands = |deed: &&Deed| {
                    deed.number != one.deed && deed.ended.is_none_or(|at| now.0 < at.0 + WINDOW)
                };
                assert_eq!(known.iter().find(stands).map(|deed| deed.number), None, "beside {one:?}");
                match known.iter_mut().find(|deed| deed.number == one.deed) {
                    Some(own) => own.ended = None,
                    None => known.push(Deed { number: one.deed, asks: one.asks, ended: None }),
                }
                self.executed += usize::from(one.leg == 0);
            } else if meets == Some(Meeting::Answered) {
                let last = known.last().unwrap();
                assert_eq!((last.asks, twin.is_some()), (one.asks, true), "the answer to another question");
                self.given_again += 1;
            }
        }
    }

    async fn end(&mut self, one: Sent, how: How) {
        let (store, key) = (&self.stores[usize::from(one.second)], key(one.key, one.asks));
        let scope = home();
        let settled = |standing| store.settle_key(&scope, Some(&key), call(one.call), standing, None);
        match how {
            How::NeverLeft => store.give_back_key(&home(), call(one.call)).await.unwrap(),
            How::Answered => settled(Standing::Answered).await.unwrap(),
            How::Waits => settled(Standing::Waits).await.unwrap(),
            How::Unknown => settled(Standing::Unknown).await.unwrap(),
        }
        self.ended(one, how).await;
    }

    async fn ended(&mut self, one: Sent, how: How) {
        let at = find(&self.stores[0], &key(one.key, one.asks)).await.map(|kept| kept.twin.until.0 - WINDOW);
        let deeds = self.deeds.get_mut(&one.key).unwrap();
        let place = deeds.iter().position(|deed| deed.number == one.deed).unwrap();
        match how {
            How::NeverLeft if one.leg == 0 => {
                deeds.remove(place);
                return;
            }
            How::NeverLeft => self.waiting.push(Sent { leg: one.leg - 1, ..one }),
            How::Waits => self.waiting.push(one),
            How::Answered | How::Unknown => {}
        }
        deeds[place].ended = Some(Timestamp(at.unwrap_or_default()));
    }

    async fn take(&mut self, bed: &Bed, step: &Step) {
        match step {
            Step::Call { key, asks, times } => {
                let calls = (0..*times).map(|n| {
                    let number = self.number();
                    let second = n % 2 == 1;
                    Sent { call: number, deed: number, leg: 0, key: *key, asks: *asks, second }
                });
                let calls = calls.collect();
                self.several(bed, calls).await;
            }
            Step::End { which, how } if !self.on_their_way.is_empty() => {
                let one = self.on_their_way.remove(usize::from(*which) % self.on_their_way.len());
                self.end(one, *how).await;
            }
            Step::Answer(which) if !self.waiting.is_empty() => {
                let one = self.waiting[usize::from(*which) % self.waiting.len()];
                let legs = [false, true].map(|second| {
                    let call = self.number();
                    Sent { call, leg: one.leg + 1, second, ..one }
                });
                let before = self.on_their_way.len();
                self.several(bed, legs.into()).await;
                assert!(self.on_their_way.len() <= before + 1, "a message left twice");
            }
            Step::End { .. } | Step::Answer(_) => {}
            Step::Crash { second, left } => {
                let open = self.stores[0].unsettled_keys(&home(), Self::log(*second)).await.unwrap();
                let (gone, here): (Vec<Sent>, Vec<Sent>) =
                    std::mem::take(&mut self.on_their_way).into_iter().partition(|one| one.second == *second);
                self.on_their_way = here;
                let known: BTreeSet<_> = gone.iter().map(|one| call(one.call)).collect();
                assert_eq!(open.into_iter().collect::<BTreeSet<_>>(), known);
                for one in gone {
                    self.end(one, if *left { How::Unknown } else { How::NeverLeft }).await;
                }
            }
            Step::Time(minutes) => bed.clock.advance(u64::from(*minutes) * MINUTE),
            Step::Tidy => drop(self.stores[1].forget_keys().await.unwrap()),
        }
    }
}

pub(crate) async fn no_history_does_a_deed_twice(bed: &Bed) {
    let mut runner = TestRunner::deterministic();
    let (mut executed, mut given_again) = (0, 0);
    let stores = [bed.store().await, bed.store().await];
    for round in 0..32_u64 {
        let mut world = World {
            stores: stores.clone(),
            next: round * 10_000,
            on_their_way: Vec::new(),
            waiting: Vec::new(),
            deeds: BTreeMap::new(),
            given_again: 0,
            executed: 0,
        };
        let steps = prop::collection::vec(step(), 24..48).new_tree(&mut runner).unwrap().current();
        for step in &steps {
            world.take(bed, step).await;
        }
        executed += world.executed;
        given_again += world.given_again;
        // the next round begins with nothing
        bed.clock.advance(24 * 60 * MINUTE);
        world.stores[0].forget_keys().await.unwrap();
        assert_eq!(bed.rows("twins").await, 0);
    }
    assert!(executed > 50 && given_again > 50, "{executed} done, {given_again} given again: too little");
}
