//! Whatever people, agents, time, restarts and two gateways on one store do: nothing leaves without a matching, unspent and
//! unexpired yes, and no yes lets something leave twice.

use crate::approvals::approval;
use crate::bed::{Bed, Hands, home};
use decision::approval::{Approval, Cure, Part, Settled, State, Terms};
use decision::{ApprovalId, CallId, Clock, DeedId, Digest, Entropy, Timestamp, User};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use store::ledger::{Ledger, Options};
use store::{Desk, Store, Takes};

const MINUTE: u64 = 60_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// The agent asks for deed `n`, at either gateway.
    Propose(u8, bool),
    Vote {
        of: u8,
        who: u8,
        yes: bool,
        second: bool,
    },
    Revoke(u8),
    Void(u8),
    /// Retries of one call at both gateways at once, perhaps under other policies or another definition.
    Retry {
        of: u8,
        changed: bool,
    },
    /// What was on its way turns out not to have left.
    GiveBack(u8),
    Settle(u8),
    Time(u8),
    Expire,
    /// The first gateway stops and starts.
    Restart,
    /// Somebody is not here any more, whatever they said before.
    Leave(u8),
    Return(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let deed = 0..2u8;
    prop_oneof![
        3 => (deed.clone(), any::<bool>()).prop_map(|(n, second)| Step::Propose(n, second)),
        10 => (deed.clone(), 0..5u8, prop::bool::weighted(0.95), any::<bool>())
            .prop_map(|(of, who, yes, second)| Step::Vote { of, who, yes, second }),
        1 => deed.clone().prop_map(Step::Revoke),
        1 => deed.clone().prop_map(Step::Void),
        6 => (deed.clone(), prop::bool::weighted(0.2)).prop_map(|(of, changed)| Step::Retry { of, changed }),
        1 => deed.clone().prop_map(Step::GiveBack),
        2 => deed.prop_map(Step::Settle),
        1 => (0..7u8).prop_map(Step::Time),
        1 => Just(Step::Expire),
        1 => Just(Step::Restart),
        1 => (0..4u8).prop_map(Step::Leave),
        6 => (0..4u8).prop_map(Step::Return),
    ]
}

#[derive(Debug)]
struct Dice(u8);

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

fn desk(store: &Store, clock: &Arc<Hands>, dir: &std::path::Path, dice: u8) -> Desk {
    let options = Options::default();
    let (ledger, _) = Ledger::open(dir, Arc::clone(clock) as Arc<dyn Clock>, &Dice(dice), options).unwrap();
    Desk::new(store.clone(), Arc::new(ledger), Arc::clone(clock) as _)
}

fn user(who: u8) -> User {
    // of three people of finance one is also of security; one of security; one of neither
    let (name, groups): (&str, &[&str]) = match who {
        0 => ("ann", &["finance"]),
        1 => ("ben", &["finance"]),
        2 => ("cem", &["finance", "security"]),
        3 => ("dov", &["security"]),
        _ => ("eve", &["support"]),
    };
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    User { name: name.parse().unwrap(), groups }
}

/// What the test itself has seen: who said yes to which approval, and what left under it.
#[derive(Debug, Default)]
struct Journal {
    said: BTreeMap<ApprovalId, BTreeSet<u8>>,
    refused: BTreeSet<ApprovalId>,
    left: BTreeMap<ApprovalId, Vec<CallId>>,
    given_back: BTreeSet<CallId>,
    gone: BTreeSet<u8>,
    next: u64,
}

impl Journal {
    /// Whether people's words are enough, by the words of the documentation.
    fn suffice(&self, one: &Approval) -> bool {
        let said = self.said.get(&one.id).cloned().unwrap_or_default();
        let said: BTreeSet<u8> = said.difference(&self.gone).copied().collect();
        let finance = said.iter().filter(|who| **who <= 2).count();
        let security = said.iter().filter(|who| matches!(**who, 2 | 3)).count();
        match one.cure.to_string().as_str() {
            "finance" => finance >= 1,
            "2 of finance" => finance >= 2,
            // the one who is both counts for one of them
            _ => finance >= 1 && security >= 1 && said.iter().filter(|who| **who <= 3).count() >= 2,
        }
    }

    fn spent(&mut self, before: &Approval, asked: &Terms, call: CallId, now: Timestamp) {
        assert!(self.suffice(before), "nobody, or too few, said yes to {before:?}");
        assert!(!self.refused.contains(&before.id), "somebody said no");
        assert!(now < before.expires_at, "its time was over");
        assert_eq!(&before.terms, asked, "it was given for something else");
        let left = self.left.entry(before.id).or_default();
        left.push(call);
        let gone = left.iter().filter(|call| !self.given_back.contains(call)).count();
        assert!(gone <= 1, "{} left twice", before.id);
    }
}

struct World {
    store: Store,
    clock: Arc<Hands>,
    dirs: [PathBuf; 2],
    desks: [Option<Desk>; 2],
    cure: &'static str,
    journal: Journal,
}

impl World {
    fn desk(&self, second: bool) -> &Desk {
        self.desks[usize::from(second)].as_ref().unwrap()
    }

    fn terms(n: u8) -> Terms {
        approval(n, Timestamp(0)).terms
    }

    async fn latest(&self, n: u8) -> Option<store::Kept> {
        self.store.last_approval(&home(), &Self::terms(n).subject()).await.unwrap()
    }

    fn id(&mut self) -> [u8; 10] {
        self.journal.next += 1;
        let mut id = [0; 10];
        id[..8].copy_from_slice(&self.journal.next.to_be_bytes());
        id
    }

    async fn take(&mut self, step: &Step) {
        let scope = home();
        match step {
            Step::Propose(n, second) => {
                let (now, id) = (self.clock.now(), self.id());
                let one = Approval {
                    id: ApprovalId::new(now, id),
                    cure: self.cure.parse::<Cure>().unwrap(),
                    proposed_at: now,
                    expires_at: Timestamp(now.0 + 10 * MINUTE),
                    ..approval(*n, now)
                };
                self.desk(*second).propose(&scope, one).await.unwrap();
            }
            Step::Vote { of, who, yes, second } => {
                let Some(kept) = self.latest(*of).await else { return };
                let id = kept.approval.id;
                let voter = self.desk(*second).voter(&scope, &user(*who).name).await.unwrap();
                assert_eq!(voter.is_none(), self.journal.gone.contains(who));
                let Some(voter) = voter else { return };
                if self.desk(*second).vote(&scope, id, &voter, *yes, None, "a test").await.is_ok() {
                    match yes {
                        true => drop(self.journal.said.entry(id).or_default().insert(*who)),
                        false => drop(self.journal.refused.insert(id)),
                    }
                }
            }
            Step::Revoke(n) => {
                if let Some(kept) = self.latest(*n).await
                    && self.desk(false).revoke(&scope, kept.approval.id, "ann", None).await.is_ok()
                {
                    self.journal.refused.insert(kept.approval.id);
                }
            }
            Step::Void(n) => {
                if let Some(kept) = self.latest(*n).await
                    && self.desk(true).void(&scope, kept.approval.id, Part::Policy).await.is_ok()
                {
                    self.journal.refused.insert(kept.approval.id);
                }
            }
            Step::Retry { of, changed } => self.retry(*of, *changed).await,
            Step::GiveBack(n) => {
                if let Some(kept) = self.latest(*n).await
                    && self.desk(false).give_back(&scope, kept.approval.id, kept.approval.call).await.is_ok()
                {
                    self.journal.given_back.insert(kept.approval.call);
                }
            }
            Step::Settle(n) => {
                if let Some(kept) = self.latest(*n).await {
                    let _ = self.desk(true).settle(&scope, kept.approval.id, Settled::Executed).await;
                }
            }
            Step::Time(minutes) => self.clock.advance(u64::from(*minutes) * MINUTE),
            Step::Expire => drop(self.desk(false).expire(&scope).await.unwrap()),
            Step::Restart => self.restart().await,
            Step::Leave(who) => {
                if self.journal.gone.insert(*who) {
                    self.store.remove_user(&scope, &user(*who).name, "ops").await.unwrap();
                }
            }
            Step::Return(who) => self.comes_back(*who).await,
        }
    }

    /// The same call at both gateways, twice at each, all at once.
    async fn retry(&mut self, n: u8, changed: bool) {
        let Some(kept) = self.latest(n).await else { return };
        let mut terms = Self::terms(n);
        if changed {
            terms.policy = Digest::of(b"other");
        }
        let calls: Vec<CallId> = (0..4).map(|_| CallId::new(Timestamp(1), self.id())).collect();
        let now = self.clock.now();
        let spends = calls.iter().enumerate().map(|(at, call)| {
            let deed = DeedId::new(Timestamp(1), [u8::try_from(at).unwrap(); 10]);
            let (kept, terms, desk) = (&kept, terms.clone(), self.desk(at % 2 == 1));
            let takes = Takes { call: *call, deed, log: "", uses: &[], key: None };
            async move { desk.spend(&home(), kept, terms, takes).await }
        });
        let spent = futures::future::join_all(spends).await;
        for (call, spent) in calls.into_iter().zip(spent) {
            if spent.is_ok() {
                self.journal.spent(&kept.approval, &terms, call, now);
            }
        }
    }

    async fn comes_back(&mut self, who: u8) {
        if self.journal.gone.remove(&who) {
            self.store.add_user(&home(), &user(who), "ops").await.unwrap();
        }
    }

    /// What it had spent and nothing says that it left comes back.
    async fn restart(&mut self) {
        self.desks[0] = None;
        self.desks[0] = Some(desk(&self.store, &self.clock, &self.dirs[0], 1));
        for one in self.desk(false).unsettled(&home()).await.unwrap() {
            self.desk(false).give_back(&home(), one.id, one.call).await.unwrap();
            self.journal.given_back.insert(one.call);
        }
    }
}

pub(crate) async fn nothing_leaves_without_a_yes_or_twice(bed: &Bed) {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut executed = 0;
    for who in 0..5 {
        bed.store().await.add_user(&home(), &user(who), "ops").await.unwrap();
    }
    for round in 0..72_u8 {
        let store = bed.store().await;
        let dirs = [1, 2].map(|n| dir.path().join(format!("{round}-{n}")));
        let desks = [1, 2].map(|n| Some(desk(&store, &bed.clock, &dirs[usize::from(n) - 1], n)));
        let cure = ["finance", "2 of finance", "finance and security"][usize::from(round) % 3];
        let clock = Arc::clone(&bed.clock);
        let mut world = World { store, clock, dirs, desks, cure, journal: Journal::default() };
        let steps = prop::collection::vec(step(), 24..64).new_tree(&mut runner).unwrap().current();
        for step in &steps {
            world.take(step).await;
        }
        for who in 0..5 {
            world.comes_back(who).await;
        }
        executed += world.journal.left.values().map(Vec::len).sum::<usize>();
        // the next round begins with nothing open
        bed.clock.advance(60 * MINUTE);
        world.desk(false).expire(&home()).await.unwrap();
        for state in [State::Proposed, State::Approved] {
            assert_eq!(world.store.count_approvals(&home(), state).await.unwrap(), 0);
        }
        world.desks = [None, None];
        world.store.close().await;
    }
    assert!(executed > 20, "only {executed} left: the histories show little");
}
