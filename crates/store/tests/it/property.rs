//! Any history of sightings and decisions, against a model of a few lines.

use crate::bed::{Bed, home};
use crate::pins::{sighting, tool};
use decision::{Digest, ServerName};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use store::{FirstSight, Sighting, Store, Which};

#[derive(Debug, Clone)]
enum Step {
    /// The server shows these tools in these versions.
    See(BTreeMap<u8, u8>),
    ApproveAll,
    Approve(u8),
    Reject(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::btree_map(0..4u8, 0..3u8, 0..4).prop_map(Step::See),
        1 => Just(Step::ApproveAll),
        2 => (0..4u8).prop_map(Step::Approve),
        2 => (0..4u8).prop_map(Step::Reject),
        1 => Just(Step::Reopen),
    ]
}

/// What the words of the documentation say, with no regard to how it is stored.
#[derive(Debug, Default)]
struct Model {
    seen_once: bool,
    tools: BTreeMap<u8, Known>,
}

#[derive(Debug, Default)]
struct Known {
    approved: Option<u8>,
    rejected: Option<u8>,
    last: u8,
    there: bool,
    /// It was something else than was approved, and nobody called that harmless.
    held: bool,
}

impl Model {
    fn see(&mut self, list: &BTreeMap<u8, u8>, pin: bool) {
        let first = !std::mem::replace(&mut self.seen_once, true);
        for known in self.tools.values_mut() {
            known.there = false;
        }
        for (name, version) in list {
            let fresh = !self.tools.contains_key(name);
            let known = self.tools.entry(*name).or_default();
            (known.last, known.there) = (*version, true);
            known.held |= known.approved.is_some_and(|approved| approved != *version);
            if fresh && first && pin {
                known.approved = Some(*version);
            }
        }
        // what nobody decided on is forgotten when it is gone
        self.tools.retain(|_, known| known.there || known.approved.is_some() || known.rejected.is_some());
    }

    fn approve(&mut self, name: u8, sweeping: bool) {
        let Some(known) = self.tools.get_mut(&name) else { return };
        if !known.there {
            self.tools.remove(&name);
        } else if (known.approved != Some(known.last) || known.held)
            && !(sweeping && known.rejected == Some(known.last))
        {
            (known.approved, known.rejected, known.held) = (Some(known.last), None, false);
        }
    }

    fn reject(&mut self, name: u8) {
        // what is not there is not refused
        if let Some(known) = self.tools.get_mut(&name).filter(|known| known.there) {
            known.rejected = Some(known.last);
            known.approved = known.approved.filter(|approved| *approved != known.last);
        }
    }

    fn usable(&self) -> BTreeMap<String, Digest> {
        let shows = |known: &Known| known.there && !known.held && known.approved == Some(known.last);
        let usable = self.tools.iter().filter(|(_, known)| shows(known));
        usable.map(|(name, known)| (name.to_string(), Digest::of(&[known.last]))).collect()
    }
}

fn list(tools: &BTreeMap<u8, u8>, first: FirstSight) -> Sighting {
    let items = tools.iter().map(|(name, version)| store::Seen {
        item: tool(&name.to_string()),
        digest: Digest::of(&[*version]),
        raw: vec![*version].into(),
    });
    Sighting { items: items.collect(), first, ..sighting(&[]) }
}

async fn apply(bed: &Bed, store: Store, model: &mut Model, step: &Step, first: FirstSight) -> Store {
    let server: ServerName = "crm".parse().unwrap();
    match step {
        Step::See(tools) => {
            store.record_seen(&store.own_writer(), &home(), &list(tools, first)).await.unwrap();
            model.see(tools, first == FirstSight::Pin);
        }
        Step::ApproveAll => {
            let done = store.approve(&home(), &server, &Which::All, "a").await;
            assert_eq!(done.is_ok(), model.seen_once);
            for name in model.tools.keys().copied().collect::<Vec<_>>() {
                model.approve(name, true);
            }
        }
        Step::Approve(name) => {
            let one = Which::Items(vec![(tool(&name.to_string()), None)]);
            let done = store.approve(&home(), &server, &one, "a").await;
            assert_eq!(done.is_ok(), model.tools.contains_key(name));
            model.approve(*name, false);
        }
        Step::Reject(name) => {
            let one = Which::Items(vec![(tool(&name.to_string()), None)]);
            let done = store.reject(&home(), &server, &one, "a").await;
            assert_eq!(done.is_ok(), model.tools.get(name).is_some_and(|known| known.there));
            model.reject(*name);
        }
        Step::Reopen => return bed.reopen(store).await,
    }
    store
}

pub(crate) async fn pins_behave_like_their_model(bed: &Bed) {
    let server: ServerName = "crm".parse().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut store = bed.store().await;
    for round in 0..24 {
        let steps = prop::collection::vec(step(), 1..16).new_tree(&mut runner).unwrap().current();
        let first = if round % 4 == 0 { FirstSight::Hold } else { FirstSight::Pin };
        let mut model = Model::default();
        for step in &steps {
            store = apply(bed, store, &mut model, step, first).await;
            let accepted = store.accepted(&home(), &server).await.unwrap();
            let usable: BTreeMap<_, _> =
                accepted.into_iter().map(|one| (one.item.name, one.digest)).collect();
            assert_eq!(usable, model.usable(), "after {step:?} of {steps:?}");
        }
        if model.seen_once {
            store.forget_server(&home(), &server, "root").await.unwrap();
        }
    }
}
