//! The search index over the ledger.

use crate::bed::{Bed, elsewhere, home};
use crate::principals::alice;
use decision::{
    Actor, CallId, Channel, Claims, Code, Decision, DeedId, Digest, Direction, Ending, Entry, Era, Event,
    EventName, Intent, Item, ItemKind, Principal, Target, Timestamp, Transport,
};
use std::{collections::BTreeSet, sync::Arc};
use store::{CallRow, Ended, EntryKind, Filter, Scope, Store, StoreError};

const LOG: &str = "callgate/one";

fn at(n: u64) -> Timestamp {
    Timestamp(1_000_000_000 + n * 1000)
}

fn call_id(n: u8) -> CallId {
    CallId::new(at(u64::from(n)), [n; 10])
}

fn deed_id(n: u8) -> DeedId {
    DeedId::new(at(u64::from(n)), [n; 10])
}

/// A call of `support-bot` for alice: `crm`'s tool `refund`.
fn intent(scope: &Scope, n: u8) -> Intent {
    let principal = Principal {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        actor: Actor::Agent("support-bot".parse().unwrap()),
        groups: BTreeSet::new(),
        user: Some(alice()),
    };
    let item = Item { kind: ItemKind::Tool, name: "refund".to_owned() };
    Intent {
        v: 1,
        call: call_id(n),
        deed: deed_id(n),
        leg: 2,
        at: at(u64::from(n)),
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        interaction: "sess:1".parse().unwrap(),
        direction: Direction::ToServer,
        errand: false,
        principal: principal.into(),
        claimed: Claims {
            host: Some("Cursor".to_owned()),
            host_version: None,
            model: Some("m-1".to_owned()),
            workflow: Some("nightly".to_owned()),
        },
        channel: Channel {
            transport: Transport::Http,
            era: Some(Era::Modern),
            revision: Some("2026-07-28".to_owned()),
            server_era: None,
            entrance: "mcp".to_owned(),
        },
        method: Some("tools/call".to_owned()),
        target: Some(Target {
            server: "crm".parse().unwrap(),
            item,
            definition: Some(Digest::of(b"refund")),
        }),
        asked: None,
        arguments: None,
        bytes: 10,
        policy: Some(Digest::of(b"policy")),
    }
}

fn decision(scope: &Scope, n: u8, ending: Ending) -> Decision {
    Decision {
        v: 1,
        call: call_id(n),
        deed: deed_id(n),
        leg: 2,
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        interaction: "sess:1".parse().unwrap(),
        opened_at: at(u64::from(n)),
        closed_at: Timestamp(at(u64::from(n)).0 + 250),
        dispatched: matches!(ending, Ending::Answered | Ending::Failed { .. }),
        ending,
        evidence: Vec::new(),
        outcome: None,
        shown: Some(Digest::of(b"shown")),
        progress: 0,
        observed: false,
        policy: Some(Digest::of(b"policy")),
        events: Vec::new(),
    }
}

fn event(scope: &Scope, n: u8) -> Entry {
    Entry::Event(Event {
        v: 1,
        at: at(u64::from(n)),
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        event: EventName::ToolListChanged,
        call: None,
        server: Some("crm".parse().unwrap()),
        detail: [("tool".to_owned(), "refund".to_owned())].into(),
    })
}

fn opened(intent: Intent) -> Entry {
    Entry::Intent(Box::new(intent))
}

fn closed(decision: Decision) -> Entry {
    Entry::Decision(Box::new(decision))
}

/// Numbers entries from `from` on, as the ledger does.
fn numbered(from: u64, entries: impl IntoIterator<Item = Entry>) -> Vec<(u64, Entry)> {
    (from..).zip(entries).collect()
}

async fn find(store: &Store, filter: Filter) -> Vec<CallRow> {
    store.find_calls(&home(), &filter, 100, None).await.unwrap()
}

async fn found(store: &Store, filter: Filter) -> Vec<CallId> {
    find(store, filter).await.into_iter().map(|row| row.call).collect()
}

pub(crate) async fn a_call_is_found_with_everything_that_is_known_of_it(bed: &Bed) {
    let store = bed.store().await;
    let entries = numbered(
        0,
        [
            event(&home(), 1),
            opened(intent(&home(), 2)),
            closed(decision(&home(), 2, Ending::Refused { code: Code::ALL[0] })),
        ],
    );
    assert_eq!(store.index_entries(LOG, &entries).await.unwrap(), 3);
    let store = bed.reopen(store).await;
    let rows = find(&store, Filter::default()).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.log.as_str(), row.intent, row.decision.clone()), (LOG, 1, Some((LOG.to_owned(), 2))));
    assert_eq!((row.call, row.deed, row.leg), (call_id(2), deed_id(2), 2));
    assert_eq!((row.interaction.as_str(), row.at, row.direction), ("sess:1", at(2), Direction::ToServer));
    assert_eq!((row.errand, row.actor_kind.as_str()), (false, "agent"));
    assert_eq!(row.actor.as_deref(), Some("support-bot"));
    assert_eq!(row.user.as_deref(), Some("alice@example.com"));
    assert_eq!(row.host.as_deref(), Some("Cursor"));
    assert_eq!((row.model.as_deref(), row.workflow.as_deref()), (Some("m-1"), Some("nightly")));
    assert_eq!((row.transport, row.era, row.entrance.as_str()), (Transport::Http, Some(Era::Modern), "mcp"));
    assert_eq!(row.revision.as_deref(), Some("2026-07-28"));
    assert_eq!(row.method.as_deref(), Some("tools/call"));
    assert_eq!(row.server.as_ref().unwrap().as_str(), "crm");
    assert_eq!(row.item, Some(Item { kind: ItemKind::Tool, name: "refund".to_owned() }));
    assert_eq!(row.definition, Some(Digest::of(b"refund")));
    assert_eq!((row.policy, row.shown), (Some(Digest::of(b"policy")), Some(Digest::of(b"shown"))));
    assert_eq!((row.ended, row.code), (Some(Ended::Refused), Some(Code::ALL[0])));
    assert_eq!((row.dispatched, row.duration_us), (Some(false), Some(250)));

    let places = store.call(&home(), call_id(2)).await.unwrap();
    let places: Vec<_> = places.iter().map(|place| (place.index, place.kind)).collect();
    assert_eq!(places, [(1, EntryKind::Intent), (2, EntryKind::Decision)]);
    assert!(store.call(&home(), call_id(9)).await.unwrap().is_empty());
    for scope in elsewhere() {
        assert!(store.call(&scope, call_id(2)).await.unwrap().is_empty());
        assert!(store.find_calls(&scope, &Filter::default(), 9, None).await.unwrap().is_empty());
        assert_eq!(store.counts(&scope).await.unwrap().intents, 0);
    }
    let counts = store.counts(&home()).await.unwrap();
    assert_eq!((counts.intents, counts.decisions, counts.events, counts.refused), (1, 1, 1, 1));
}

pub(crate) async fn who_used_what_is_counted(bed: &Bed) {
    let store = bed.store().await;
    let of = |n, of: &dyn Fn(&mut Intent)| {
        let mut one = intent(&home(), n);
        of(&mut one);
        opened(one)
    };
    let long = "x".repeat(600);
    let item = |kind, name: &str| Item { kind, name: name.to_owned() };
    let read = |uri: &str| item(ItemKind::Resource, uri);
    let refusal = || Ending::Refused { code: Code::ALL[0] };
    let entries = [
        of(1, &|_| {}),
        of(2, &|_| {}),
        of(3, &|one| one.claimed.host = None),
        of(4, &|one| one.errand = true),
        of(5, &|one| one.target.as_mut().unwrap().item.kind = ItemKind::Prompt),
        of(6, &|one| one.target.as_mut().unwrap().server = "mail".parse().unwrap()),
        of(7, &|one| one.target.as_mut().unwrap().item.name.clone_from(&long)),
        of(8, &|_| {}),
        opened(intent(&elsewhere()[0], 9)),
        // refused before it was sent, which is no use, and after, which is
        of(10, &|_| {}),
        closed(Decision { dispatched: false, ..decision(&home(), 10, refusal()) }),
        of(11, &|one| one.target.as_mut().unwrap().item = read("crm://customers/7")),
        closed(Decision { dispatched: true, ..decision(&home(), 11, refusal()) }),
        of(12, &|one| one.target.as_mut().unwrap().item = read(&format!("crm://customers/{long}"))),
    ];
    store.index_entries(LOG, &numbered(0, entries)).await.unwrap();
    let crm = "crm".parse().unwrap();
    let all = store.callers(&home(), &crm, at(2)).await.unwrap();
    let of = |item: &Item| {
        let used = all.iter().filter(|one| one.used(item));
        used.map(|one| (one.actor.as_deref(), one.host.as_deref(), one.calls)).collect::<Vec<_>>()
    };
    let bot = Some("support-bot");
    let refund = item(ItemKind::Tool, "refund");
    assert_eq!(
        of(&refund),
        [(bot, Some("Cursor"), 2), (bot, None, 1)],
        "what was before, or is not theirs, is left out"
    );
    assert_eq!(of(&item(ItemKind::Prompt, "refund")), [(bot, Some("Cursor"), 1)]);
    assert_eq!(of(&item(ItemKind::Tool, &long)), [(bot, Some("Cursor"), 1)]);
    assert_eq!(all.iter().map(|one| one.calls).sum::<u64>(), 7);
    // addresses that belong to a template used it, and a server's instructions reach whoever uses anything of it
    for (kind, name, calls) in [
        (ItemKind::ResourceTemplate, "crm://customers/{id}", 2),
        (ItemKind::ResourceTemplate, "crm://orders/{id}", 0),
        (ItemKind::Resource, "crm://customers/8", 0),
        (ItemKind::Server, "instructions", 7),
    ] {
        let used = of(&item(kind, name));
        assert_eq!(used.iter().map(|(.., calls)| calls).sum::<u64>(), calls, "{name}");
    }
    assert_eq!(all[0].user.as_deref(), Some("alice@example.com"));
}

pub(crate) async fn an_open_call_has_no_decision(bed: &Bed) {
    let store = bed.store().await;
    store.index_entries(LOG, &numbered(0, [opened(intent(&home(), 1))])).await.unwrap();
    let row = find(&store, Filter::default()).await.remove(0);
    assert!(row.decision.is_none() && row.ended.is_none() && row.code.is_none() && row.duration_us.is_none());
    // Another process finishes what the first had begun; the call is still one.
    let late = numbered(0, [closed(decision(&home(), 1, Ending::Unknown))]);
    store.index_entries("callgate/two", &late).await.unwrap();
    let row = find(&store, Filter::default()).await.remove(0);
    assert_eq!((row.decision, row.ended), (Some(("callgate/two".to_owned(), 0)), Some(Ended::Unknown)));
}

pub(crate) async fn a_decision_is_found_however_it_came(bed: &Bed) {
    let store = bed.store().await;
    // with its intent, after it, and without one
    let together = [opened(intent(&home(), 1)), closed(decision(&home(), 1, Ending::Answered))];
    let begun = [opened(intent(&home(), 2))];
    let late = [
        closed(decision(&home(), 2, Ending::Answered)),
        closed(decision(&home(), 3, Ending::Answered)),
        event(&home(), 9),
    ];
    store.index_entries(LOG, &numbered(0, together)).await.unwrap();
    store.index_entries(LOG, &numbered(2, begun)).await.unwrap();
    assert_eq!(store.counts(&home()).await.unwrap().decisions, 1, "one call is open");
    store.index_entries(LOG, &numbered(3, late)).await.unwrap();
    for (call, wanted) in [
        (1, &[(0, EntryKind::Intent), (1, EntryKind::Decision)][..]),
        (2, &[(2, EntryKind::Intent), (3, EntryKind::Decision)]),
        (3, &[(4, EntryKind::Decision)]),
    ] {
        let places = store.call(&home(), call_id(call)).await.unwrap();
        let places: Vec<_> = places.iter().map(|place| (place.index, place.kind)).collect();
        assert_eq!(places, wanted, "call {call}");
    }
    let counts = store.counts(&home()).await.unwrap();
    assert_eq!((counts.intents, counts.decisions, counts.events, counts.answered), (2, 3, 1, 2));
}

/// Six calls that differ in one thing each.
async fn six(store: &Store) {
    store.index_entries(LOG, &of_six()).await.unwrap();
}

fn of_six() -> Vec<(u64, Entry)> {
    let (mut two, mut three, mut four, mut five) =
        (intent(&home(), 2), intent(&home(), 3), intent(&home(), 4), intent(&home(), 5));
    Arc::make_mut(&mut two.principal).actor = Actor::Agent("cursor".parse().unwrap());
    Arc::make_mut(&mut three.principal).user = None;
    three.interaction = "sess:2".parse().unwrap();
    four.target.as_mut().unwrap().server = "files".parse().unwrap();
    five.target.as_mut().unwrap().item.name = "100%_sure\\".to_owned();
    let mut six = intent(&home(), 6);
    Arc::make_mut(&mut six.principal).actor = Actor::User("support-bot".parse().unwrap());
    let code = Code::ALL[3];
    let entries = [
        opened(intent(&home(), 1)),
        opened(two),
        closed(decision(&home(), 1, Ending::Answered)),
        opened(three),
        closed(decision(&home(), 2, Ending::Refused { code })),
        closed(decision(&home(), 3, Ending::Failed { code: Code::ALL[4] })),
        opened(four),
        opened(five),
        closed(decision(&home(), 4, Ending::Cancelled)),
        opened(six),
        closed(decision(&home(), 5, Ending::Unknown)),
    ];
    numbered(0, entries)
}

pub(crate) async fn every_filter_finds_its_calls_and_no_others(bed: &Bed) {
    let store = bed.store().await;
    six(&store).await;
    let all = Filter::default;
    let ids = |ns: &[u8]| ns.iter().map(|n| call_id(*n)).collect::<Vec<_>>();
    let bot = Some("support-bot".parse().unwrap());
    let expected: [(Filter, &[u8]); 19] = [
        (all(), &[6, 5, 4, 3, 2, 1]),
        (Filter { agent: bot.clone(), ..all() }, &[5, 4, 3, 1]),
        (Filter { agent: Some("cursor".parse().unwrap()), ..all() }, &[2]),
        (Filter { user: Some(alice().name), ..all() }, &[6, 5, 4, 2, 1]),
        (Filter { interaction: Some("sess:2".parse().unwrap()), ..all() }, &[3]),
        (Filter { server: Some("files".parse().unwrap()), ..all() }, &[4]),
        (Filter { item: Some("100%_sure\\".to_owned()), ..all() }, &[5]),
        (Filter { code: Some(Code::ALL[3]), ..all() }, &[2]),
        (Filter { code: Some(Code::ALL[5]), ..all() }, &[]),
        (Filter { ended: Some(Ended::Answered), ..all() }, &[1]),
        (Filter { ended: Some(Ended::Refused), ..all() }, &[2]),
        (Filter { ended: Some(Ended::Held), ..all() }, &[]),
        (Filter { errand: Some(true), ..all() }, &[]),
        (Filter { errand: Some(false), ..all() }, &[6, 5, 4, 3, 2, 1]),
        (Filter { ended: Some(Ended::Failed), ..all() }, &[3]),
        (Filter { ended: Some(Ended::Cancelled), ..all() }, &[4]),
        (Filter { since: Some(at(5)), ..all() }, &[6, 5]),
        (Filter { until: Some(at(3)), ..all() }, &[2, 1]),
        (
            Filter { agent: bot, user: Some(alice().name), since: Some(at(2)), until: Some(at(5)), ..all() },
            &[4],
        ),
    ];
    for (filter, wanted) in expected {
        assert_eq!(found(&store, filter.clone()).await, ids(wanted), "{filter:?}");
    }
    let everything = Filter {
        agent: Some("support-bot".parse().unwrap()),
        user: Some(alice().name),
        server: Some("crm".parse().unwrap()),
        item: Some("100%_sure\\".to_owned()),
        interaction: Some("sess:1".parse().unwrap()),
        ended: Some(Ended::Unknown),
        errand: Some(false),
        code: None,
        since: Some(at(1)),
        until: Some(at(9)),
        text: Some("URE\\".to_owned()),
    };
    assert_eq!(found(&store, everything).await, ids(&[5]));
    let counts = store.counts(&home()).await.unwrap();
    assert_eq!((counts.intents, counts.decisions, counts.events), (6, 5, 0));
    let ends = (counts.answered, counts.refused, counts.failed, counts.cancelled, counts.unknown);
    assert_eq!(ends, (1, 1, 1, 1, 1));
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repetition(bed: &Bed) {
    let store = bed.store().await;
    // Two logs, and many calls of one microsecond.
    for (log, low) in [(LOG, 0), ("callgate/two", 100)] {
        let calls =
            (low..low + 40).map(|n| opened(Intent { at: at(u64::from(n) / 16), ..intent(&home(), n) }));
        store.index_entries(log, &numbered(0, calls)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.find_calls(&home(), &Filter::default(), 7, before.as_ref()).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 7);
        before = Some(last.cursor());
        seen.extend(page);
    }
    let places: BTreeSet<_> = seen.iter().map(|row| (row.log.clone(), row.intent)).collect();
    assert_eq!((seen.len(), places.len()), (80, 80));
    assert!(seen.is_sorted_by(|a, b| a.at >= b.at), "newest first");
    assert!(store.find_calls(&home(), &Filter::default(), 0, None).await.unwrap().is_empty());
}

pub(crate) async fn text_is_searched_literally(bed: &Bed) {
    let store = bed.store().await;
    six(&store).await;
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    for (part, count) in
        [("%", 1), ("_", 1), ("\\", 1), ("%_", 1), ("0%s", 0), ("'; --", 0), ("$1", 0), ("?1", 0)]
    {
        assert_eq!(found(&store, text(part)).await.len(), count, "{part}");
    }
    for (part, count) in [("REFUND", 5), ("cursor", 6), ("Tools/", 6), ("alice", 5), ("file", 1), ("M-1", 6)]
    {
        assert_eq!(found(&store, text(part)).await.len(), count, "{part}");
    }
}

pub(crate) async fn a_batch_sent_twice_is_indexed_once(bed: &Bed) {
    let store = bed.store().await;
    let calls = |from: u64, to: u8| numbered(from, (0..to).map(|n| opened(intent(&home(), n))));
    assert_eq!(store.indexed_up_to(LOG).await.unwrap(), 0);
    assert_eq!(store.index_entries(LOG, &calls(0, 100)).await.unwrap(), 100);
    assert_eq!(store.index_entries(LOG, &calls(0, 100)).await.unwrap(), 100);
    assert_eq!(store.index_entries(LOG, &calls(0, 150)).await.unwrap(), 150, "half of it is new");
    assert_eq!(store.index_entries::<Entry>(LOG, &[]).await.unwrap(), 150);
    let store = bed.reopen(store).await;
    assert_eq!(store.indexed_up_to(LOG).await.unwrap(), 150);
    assert_eq!(store.counts(&home()).await.unwrap().intents, 150);
}

pub(crate) async fn how_entries_are_batched_makes_no_difference(bed: &Bed) {
    let store = bed.store().await;
    let entries = of_six();
    six(&store).await;
    let (whole, counted) = (find(&store, Filter::default()).await, store.counts(&home()).await.unwrap());
    assert_eq!(whole.iter().filter(|row| row.decision.is_none()).count(), 1);
    for size in 1..entries.len() {
        store.wipe_index(LOG).await.unwrap();
        for batch in entries.chunks(size) {
            store.index_entries(LOG, batch).await.unwrap();
        }
        assert_eq!(find(&store, Filter::default()).await, whole, "by {size}");
        assert_eq!(store.counts(&home()).await.unwrap(), counted, "by {size}");
    }
}

pub(crate) async fn a_gap_is_refused_and_changes_nothing(bed: &Bed) {
    let store = bed.store().await;
    let call = |n| opened(intent(&home(), n));
    let late = store.index_entries(LOG, &numbered(1, [call(1)])).await.unwrap_err();
    assert_eq!(
        late.to_string(),
        "the log `callgate/one` is indexed up to entry 0, so 1 cannot be next: send those between first, or rebuild the index"
    );
    let torn = [(0, call(0)), (1, call(1)), (3, call(3))];
    assert!(matches!(
        store.index_entries(LOG, &torn).await,
        Err(StoreError::Gap { expected: 2, found: 3, .. })
    ));
    assert_eq!(store.indexed_up_to(LOG).await.unwrap(), 0);
    assert_eq!(store.counts(&home()).await.unwrap().intents, 0);
    for log in ["", "a\0b", &"x".repeat(513)] {
        assert!(matches!(store.index_entries::<Entry>(log, &[]).await, Err(StoreError::Unacceptable { .. })));
    }
}

/// Two stores fill one log as copies of it have it: the first notices that it is not alone, and has no more calls taken.
pub(crate) async fn what_somebody_else_filled_is_not_filled_on(bed: &Bed) {
    let (one, other) = (bed.store().await, bed.store().await);
    let call = |n: u8| numbered(u64::from(n), [opened(intent(&home(), n))]);
    let root = |size: u64, text: &str| Some((size, Digest::of(text.as_bytes())));
    one.index_up_to(LOG, &call(0), root(1, "both")).await.unwrap();
    assert_eq!(one.known_root(LOG).await.unwrap(), root(1, "both"));
    // a command fills on and knows no root; what it left is not forgotten
    other.index_entries(LOG, &call(1)).await.unwrap();
    assert_eq!(one.known_root(LOG).await.unwrap(), root(1, "both"));
    one.index_up_to(LOG, &call(2), root(3, "its own")).await.unwrap();
    // whoever empties it fills it anew
    one.wipe_index(LOG).await.unwrap();
    assert_eq!(one.known_root(LOG).await.unwrap(), None);
    one.index_up_to(LOG, &call(0), root(1, "both")).await.unwrap();
    assert_eq!(one.writes_log(), Ok(()));
    other.index_up_to(LOG, &call(1), root(2, "another")).await.unwrap();
    let parted = one.index_up_to(LOG, &call(2), root(3, "its own")).await.unwrap_err();
    assert!(matches!(parted, StoreError::LogParted { .. }), "{parted}");
    assert!(parted.to_string().contains("(log-parted)"), "{parted}");
    assert_eq!(one.indexed_up_to(LOG).await.unwrap(), 2, "nothing was filled");
    assert_eq!(&*one.writes_log().unwrap_err(), parted.to_string());
    assert_eq!(other.writes_log(), Ok(()), "whoever filled last knows nothing of it yet");
}

pub(crate) async fn a_wiped_index_is_filled_again_to_the_same(bed: &Bed) {
    let store = bed.store().await;
    six(&store).await;
    let other = numbered(0, [opened(intent(&home(), 9))]);
    store.index_entries("callgate/two", &other).await.unwrap();
    let before = find(&store, Filter::default()).await;
    store.wipe_index(LOG).await.unwrap();
    assert_eq!(store.indexed_up_to(LOG).await.unwrap(), 0);
    assert_eq!(found(&store, Filter::default()).await, [call_id(9)], "the other log stays");
    six(&store).await;
    assert_eq!(find(&store, Filter::default()).await, before);
}

pub(crate) async fn what_a_peer_sends_cannot_break_the_index(bed: &Bed) {
    let store = bed.store().await;
    let mut hostile = intent(&home(), 1);
    let name = format!("a\0b{}", "é".repeat(5000));
    hostile.target.as_mut().unwrap().item.name = name.clone();
    hostile.method = Some("\0".repeat(600));
    hostile.claimed.host = Some("'); DROP TABLE entries; --".to_owned());
    hostile.channel.revision = Some("\u{202e}x".to_owned());
    let mut bare = intent(&home(), 2);
    bare.principal = Principal::unknown().into();
    (bare.method, bare.target, bare.policy, bare.claimed) = (None, None, None, Claims::default());
    (bare.channel.era, bare.channel.revision) = (None, None);
    store.index_entries(LOG, &numbered(0, [opened(hostile), opened(bare)])).await.unwrap();
    let rows = find(&store, Filter::default()).await;
    assert_eq!((rows[0].actor_kind.as_str(), &rows[0].actor, &rows[0].item), ("unknown", &None, &None));
    let kept = &rows[1].item.as_ref().unwrap().name;
    assert!(kept.starts_with("a bé") && kept.len() <= 512);
    assert_eq!(rows[1].host.as_deref(), Some("'); DROP TABLE entries; --"));
    let by_name = Filter { item: Some(name), ..Filter::default() };
    assert_eq!(found(&store, by_name).await, [call_id(1)], "asked in full, found by what was kept");
}

pub(crate) async fn two_writers_of_one_log_do_not_disturb_each_other(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    let entries = numbered(0, (0..200).map(|n| opened(intent(&home(), n))));
    for upper in [30, 90, 91, 200] {
        let batch = &entries[..upper];
        let (left, right) = tokio::join!(one.index_entries(LOG, batch), two.index_entries(LOG, batch));
        assert_eq!((left.unwrap(), right.unwrap()), (upper as u64, upper as u64));
    }
    assert_eq!(one.counts(&home()).await.unwrap().intents, 200);
}

/// Calls that differ in nothing that people search by, but for every tenth, which has an item of its own.
fn alike(calls: std::ops::Range<u8>) -> impl Iterator<Item = Entry> {
    calls.flat_map(|n| {
        let mut intent = intent(&home(), n);
        if n % 10 == 0 {
            intent.target.as_mut().unwrap().item.name = format!("item-{n}");
        }
        [opened(intent), closed(decision(&home(), n, Ending::Answered))]
    })
}

pub(crate) async fn what_calls_share_is_said_once_and_goes_with_them(bed: &Bed) {
    let store = bed.store().await;
    let entries = numbered(0, alike(1..101));
    for batch in entries.chunks(60) {
        store.index_entries(LOG, batch).await.unwrap();
    }
    assert_eq!((bed.rows("circumstances").await, bed.rows("interactions").await), (11, 1));
    // who remembers nothing says it again
    let store = bed.reopen(store).await;
    let more = numbered(200, alike(101..110));
    store.index_entries(LOG, &more).await.unwrap();
    assert_eq!((bed.rows("circumstances").await, bed.rows("interactions").await), (12, 2));
    assert_eq!(find(&store, Filter { item: Some("refund".to_owned()), ..Filter::default() }).await.len(), 99);
    let odd = [event(&home(), 1), closed(decision(&home(), 200, Ending::Answered))];
    store.index_entries("callgate/two", &numbered(0, odd.into_iter().chain(alike(201..203)))).await.unwrap();
    store.wipe_index(LOG).await.unwrap();
    let left = ["calls", "circumstances", "interactions", "other_entries"];
    for (table, rows) in left.into_iter().zip([2, 1, 1, 2]) {
        assert_eq!(bed.rows(table).await, rows, "{table} of the other log");
    }
    store.wipe_index("callgate/two").await.unwrap();
    for table in left {
        assert_eq!(bed.rows(table).await, 0, "{table}");
    }
}

pub(crate) async fn what_is_remembered_of_a_wiped_index_is_forgotten(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    let entries = numbered(0, alike(1..10));
    one.index_entries(LOG, &entries).await.unwrap();
    // somebody else fills it again, and as far: with other entries in between, so that nothing is where it was
    two.wipe_index(LOG).await.unwrap();
    let events = [event(&home(), 1), event(&home(), 2)];
    let moved = numbered(0, events.into_iter().chain(alike(1..9)));
    assert_eq!(two.index_entries(LOG, &moved).await.unwrap(), 18);
    one.index_entries(LOG, &numbered(18, alike(20..25))).await.unwrap();
    assert_eq!(found(&one, Filter::default()).await.len(), 13, "none of them hangs in the air");
    let rows = find(&one, Filter::default()).await;
    assert!(rows.iter().all(|row| row.interaction.as_str() == "sess:1"), "{rows:?}");
}

pub(crate) async fn a_batch_that_failed_is_not_remembered(bed: &Bed) {
    let store = bed.store().await;
    store.index_entries(LOG, &numbered(0, alike(1..2))).await.unwrap();
    let more = numbered(2, alike(10..12));
    bed.execute(&["ALTER TABLE indexed RENAME COLUMN up_to TO away"]).await;
    assert!(store.index_entries(LOG, &more).await.is_err());
    bed.execute(&["ALTER TABLE indexed RENAME COLUMN away TO up_to"]).await;
    bed.execute(&["ALTER TABLE other_entries RENAME TO away"]).await;
    let failing: Vec<_> = more.iter().cloned().chain([(6, event(&home(), 1))]).collect();
    assert!(store.index_entries(LOG, &failing).await.is_err());
    bed.execute(&["ALTER TABLE away RENAME TO other_entries"]).await;
    assert_eq!(store.index_entries(LOG, &failing).await.unwrap(), 7);
    assert_eq!(found(&store, Filter::default()).await, [call_id(11), call_id(10), call_id(1)]);
}

pub(crate) async fn a_call_is_found_though_its_id_tells_another_time(bed: &Bed) {
    let store = bed.store().await;
    let late = |n| Intent { at: at(u64::from(n) + 7), ..intent(&home(), n) };
    let highest = CallId::parse("call_7zzzzzzzzzzzzzzzzzzzzzzzzz").unwrap();
    let strange = Intent { call: highest, ..intent(&home(), 3) };
    let begun = [opened(late(1)), opened(late(2)), opened(strange)];
    store.index_entries(LOG, &numbered(0, begun)).await.unwrap();
    let strange = Decision { call: highest, ..decision(&home(), 3, Ending::Unknown) };
    let ended = [closed(decision(&home(), 2, Ending::Cancelled)), closed(strange)];
    store.index_entries(LOG, &numbered(3, ended)).await.unwrap();
    for (call, places) in [(call_id(1), 1), (call_id(2), 2), (highest, 2)] {
        assert_eq!(store.call(&home(), call).await.unwrap().len(), places, "{call}");
        assert!(store.call(&elsewhere()[0], call).await.unwrap().is_empty());
    }
    let ends: Vec<_> =
        find(&store, Filter::default()).await.iter().map(|row| (row.call, row.ended)).collect();
    let wanted = [(call_id(2), Some(Ended::Cancelled)), (call_id(1), None), (highest, Some(Ended::Unknown))];
    assert_eq!(ends, wanted);
}

pub(crate) async fn an_interaction_that_is_named_after_a_call_has_its_calls(bed: &Bed) {
    let store = bed.store().await;
    let of = |n, first: u8| Intent {
        interaction: call_id(first).to_string().parse().unwrap(),
        ..intent(&home(), n)
    };
    let calls = [(1, 1), (2, 1), (3, 3), (4, 1), (5, 3), (6, 6)];
    let entries = numbered(0, calls.map(|(n, first)| opened(of(n, first))));
    for batch in entries.chunks(2) {
        store.index_entries(LOG, batch).await.unwrap();
    }
    for (first, wanted) in [(1, &[4, 2, 1][..]), (3, &[5, 3]), (6, &[6]), (2, &[])] {
        let name: decision::InteractionId = call_id(first).to_string().parse().unwrap();
        let rows = find(&store, Filter { interaction: Some(name.clone()), ..Filter::default() }).await;
        assert!(rows.iter().all(|row| row.interaction == name));
        let ids: Vec<_> = rows.iter().map(|row| row.call).collect();
        assert_eq!(ids, wanted.iter().map(|n| call_id(*n)).collect::<Vec<_>>(), "{first}");
    }
}

/// Two agents, and two servers, that have the same number in the indexes.
pub(crate) async fn names_with_the_same_number_are_told_apart(bed: &Bed) {
    let store = bed.store().await;
    let (agents, servers) = (["agent-54132", "agent-101988"], ["server-15076", "server-66848"]);
    let calls = [0, 1].map(|n: u8| {
        let mut intent = intent(&home(), n);
        Arc::make_mut(&mut intent.principal).actor = Actor::Agent(agents[usize::from(n)].parse().unwrap());
        intent.target.as_mut().unwrap().server = servers[usize::from(n)].parse().unwrap();
        opened(intent)
    });
    store.index_entries(LOG, &numbered(0, calls)).await.unwrap();
    for n in [0, 1] {
        let agent = Filter { agent: agents[n].parse().ok(), ..Filter::default() };
        let server = Filter { server: servers[n].parse().ok(), ..Filter::default() };
        let wanted = [call_id(u8::try_from(n).unwrap())];
        assert_eq!(found(&store, agent).await, wanted);
        assert_eq!(found(&store, server).await, wanted);
    }
}

pub(crate) async fn a_shown_list_is_kept_once(bed: &Bed) {
    let store = bed.store().await;
    let list = br#"{"tools":[]}"#;
    let digest = store.keep_shown(&home(), list).await.unwrap();
    assert_eq!(digest, Digest::of(list));
    assert_eq!(store.keep_shown(&home(), list).await.unwrap(), digest);
    let store = bed.reopen(store).await;
    assert_eq!(store.shown(&home(), &digest).await.unwrap().as_deref(), Some(&list[..]));
    assert_eq!(store.shown(&home(), &Digest::of(b"never")).await.unwrap(), None);
    assert_eq!(store.shown(&elsewhere()[0], &digest).await.unwrap(), None, "nor to anybody else");
    let big = vec![b' '; (16 << 20) + 1];
    assert!(matches!(store.keep_shown(&home(), &big).await, Err(StoreError::Unacceptable { .. })));
}
