//! Approvals as rows: one step at a time, whoever races for it.

use crate::Bed;
use crate::bed::home;
use decision::approval::{Approval, Cure, Preview, Settled, State, Step, Terms, Voter};
use decision::{
    ApprovalId, CallId, DeedId, Digest, Item, ItemKind, Principal, ServerName, Target, Timestamp, User,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Delegation, Delivery, DeliveryState, Forgotten, Page, Store, StoreError, Turn};

const ALL: Page = Page { after: None, limit: 100 };

pub(crate) fn approval(n: u8, expires_at: Timestamp) -> Approval {
    let (at, once) = (Timestamp(u64::from(n) * 1_000_000), Timestamp(1));
    let ids = (ApprovalId::new(at, [n; 10]), DeedId::new(once, [n; 10]), CallId::new(once, [n; 10]));
    let terms = Terms {
        principal: Arc::new(Principal::unknown()),
        host: None,
        method: "tools/call".to_owned(),
        target: Target {
            server: ServerName::new("crm").unwrap(),
            item: Item { kind: ItemKind::Tool, name: "refund".to_owned() },
            definition: None,
        },
        arguments: Digest::of(&[n]),
        by_value: None,
        policy: Digest::of(b"p"),
    };
    let cure = "finance".parse::<Cure>().unwrap();
    Approval {
        preview: Preview { summary: "é\u{202e}".to_owned(), ..Preview::default() },
        ..Approval::proposed(ids, terms, cure, (at, expires_at))
    }
}

const LATER: Timestamp = Timestamp(u64::MAX >> 1);

fn fay() -> Voter {
    Voter {
        person: "fay".parse().unwrap(),
        since: Timestamp(0),
        groups: BTreeSet::from(["finance".parse().unwrap()]),
        lent: BTreeMap::new(),
    }
}

fn yes() -> Step {
    Step::Vote { voter: fay(), yes: true, reason: None }
}

fn spend(one: &Approval, deed: DeedId) -> Step {
    Step::Spend { call: one.call, deed, terms: one.terms.clone(), log: "l".to_owned(), people: vec![fay()] }
}

pub(crate) async fn one_is_open_for_a_subject_and_it_comes_back_as_it_was(bed: &Bed) {
    let store = bed.store().await;
    let one = approval(1, LATER);
    assert_eq!(store.propose(&home(), &one).await.unwrap(), Turn::Taken);
    assert!(store.keep_call(&home(), one.id, b"sealed").await.unwrap());
    let twin = Approval { id: ApprovalId::new(Timestamp(9), [9; 10]), ..one.clone() };
    assert_eq!(store.propose(&home(), &twin).await.unwrap(), Turn::Missed);
    let open = store.open_approval(&home(), &one.terms.subject()).await.unwrap().unwrap();
    assert_eq!(open.approval, one);
    assert_eq!(store.sealed_call(&home(), one.id).await.unwrap().as_deref(), Some(b"sealed".as_slice()));
    let elsewhere = store::Scope::new("other".parse().unwrap(), home().environment);
    assert!(store.approval(&elsewhere, one.id).await.unwrap().is_none());
    assert!(store.approvals_in(&elsewhere, State::Proposed, ALL).await.unwrap().is_empty());
    let over = one.after(Step::Revoke { by: "fay".to_owned(), reason: None }, Timestamp(2)).unwrap();
    assert_eq!(store.step(&home(), &open, &over).await.unwrap(), Turn::Taken);
    assert_eq!(store.sealed_call(&home(), one.id).await.unwrap(), None, "what is over keeps no call");
    assert_eq!(store.propose_with(&home(), &twin, Some(b"own")).await.unwrap(), Turn::Taken);
    assert_eq!(store.sealed_call(&home(), twin.id).await.unwrap().as_deref(), Some(b"own".as_slice()));
    let third = Approval { id: ApprovalId::new(Timestamp(9), [8; 10]), ..one.clone() };
    assert_eq!(store.propose_with(&home(), &third, Some(b"other")).await.unwrap(), Turn::Missed);
    assert_eq!(store.sealed_call(&home(), twin.id).await.unwrap().as_deref(), Some(b"own".as_slice()));
    let last = store.last_approval(&home(), &one.terms.subject()).await.unwrap().unwrap();
    assert_eq!(last.approval.id, one.id, "the youngest by its time");
}

pub(crate) async fn of_many_who_spend_the_same_one_succeeds(bed: &Bed) {
    let store = bed.store().await;
    let one = approval(1, LATER);
    store.propose(&home(), &one).await.unwrap();
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    let approved = one.after(yes(), Timestamp(2)).unwrap();
    store.step(&home(), &kept, &approved).await.unwrap();
    assert_eq!(
        store.step(&home(), &kept, &approved).await.unwrap(),
        Turn::Missed,
        "it is not as it was read"
    );
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    // none of them is the one it was proposed for: an id keeps milliseconds
    for n in 100..116 {
        let (store, kept) = (store.clone(), kept.clone());
        tasks.spawn(async move {
            let step = spend(&kept.approval, DeedId::new(Timestamp(7), [n; 10]));
            let after = kept.approval.after(step, Timestamp(3)).unwrap();
            store.step(&home(), &kept, &after).await.unwrap()
        });
    }
    let turns = tasks.join_all().await;
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::Taken).count(), 1, "{turns:?}");
    let spent = store.approvals_in(&home(), State::Executing, ALL).await.unwrap();
    let found = store.spent_approval(&home(), spent[0].approval.deed).await.unwrap().unwrap();
    assert_eq!(found.approval.id, one.id);
    assert!(store.spent_approval(&home(), one.deed).await.unwrap().is_none(), "the deed it was spent on");
}

pub(crate) async fn pages_of_a_list_have_each_once(bed: &Bed) {
    let store = bed.store().await;
    for n in 1..=25 {
        store.propose(&home(), &approval(n, LATER)).await.unwrap();
    }
    assert_eq!(store.count_approvals(&home(), State::Proposed).await.unwrap(), 25);
    let mut seen = Vec::new();
    let mut page = Page { after: None, limit: 10 };
    loop {
        let found = store.approvals_in(&home(), State::Proposed, page).await.unwrap();
        let Some(last) = found.last() else { break };
        page.after = Some((last.approval.proposed_at, last.approval.id));
        seen.extend(found.iter().map(|one| one.approval.proposed_at.0 / 1_000_000));
    }
    assert_eq!(seen, (1..=25).collect::<Vec<u64>>(), "the oldest first");
    for kept in store.approvals_in(&home(), State::Proposed, ALL).await.unwrap().into_iter().take(12) {
        let over =
            kept.approval.after(Step::Revoke { by: "x".to_owned(), reason: None }, Timestamp(2)).unwrap();
        store.step(&home(), &kept, &over).await.unwrap();
    }
    let mut past = BTreeSet::new();
    let mut page = Page { after: None, limit: 5 };
    loop {
        let found = store.approvals_past(&home(), page).await.unwrap();
        let Some(last) = found.last() else { break };
        page.after = Some((last.changed_at, last.approval.id));
        past.extend(found.iter().map(|one| one.approval.id));
    }
    assert_eq!(past.len(), 12);
}

pub(crate) async fn what_is_due_is_found(bed: &Bed) {
    let store = bed.store().await;
    store.propose(&home(), &approval(1, Timestamp(5))).await.unwrap();
    store.propose(&home(), &approval(2, LATER)).await.unwrap();
    let due = store.due_approvals(&home()).await.unwrap();
    assert_eq!(due.iter().map(|one| one.approval.id).collect::<Vec<_>>(), [approval(1, LATER).id]);
}

pub(crate) async fn a_group_is_lent_for_a_while_and_taken_back(bed: &Bed) {
    let store = bed.store().await;
    let lent = |until| Delegation {
        lender: "fay".parse().unwrap(),
        borrower: "bob".parse().unwrap(),
        group: "finance".parse().unwrap(),
        made_at: Timestamp(0),
        made_by: "fay".to_owned(),
        until,
    };
    let past = store.lend(&home(), &lent(Timestamp(1))).await;
    assert!(matches!(past, Err(StoreError::Unacceptable { .. })));
    store.lend(&home(), &lent(LATER)).await.unwrap();
    store.lend(&home(), &lent(Timestamp(LATER.0 - 1))).await.unwrap();
    assert!(store.delegations(&home()).await.unwrap().is_empty(), "by and to nobody who is known");
    for (name, groups) in [("fay", &["finance"][..]), ("bob", &[])] {
        let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
        store.add_user(&home(), &User { name: name.parse().unwrap(), groups }, "ops").await.unwrap();
    }
    assert!(
        store.voters(&home()).await.unwrap().iter().all(|one| one.lent.is_empty()),
        "lent by others of the names"
    );
    assert!(store.delegations(&home()).await.unwrap().is_empty(), "nor is it shown");
    store.lend(&home(), &Delegation { made_at: bed.now(), ..lent(LATER) }).await.unwrap();
    let until = Timestamp(LATER.0 - 1);
    store.lend(&home(), &Delegation { made_at: bed.now(), ..lent(until) }).await.unwrap();
    let [one] = store.delegations(&home()).await.unwrap().try_into().unwrap();
    assert_eq!((one.until, one.made_by.as_str()), (until, "fay"));
    let bob = store.voters(&home()).await.unwrap().into_iter().find(|one| one.person.as_str() == "bob");
    assert_eq!(bob.unwrap().lent.len(), 1);
    store.lend(&home(), &lent(Timestamp(LATER.0 - 1))).await.unwrap();
    let to_oneself = Delegation { borrower: "fay".parse().unwrap(), ..lent(LATER) };
    assert!(store.lend(&home(), &to_oneself).await.is_err());
    assert_eq!(store.take_back(&home(), &one.lender, &one.borrower, "ops").await.unwrap(), 1);
    assert!(store.delegations(&home()).await.unwrap().is_empty());
}

pub(crate) async fn a_draft_is_its_owners_is_submitted_once_and_ends_with_its_time(bed: &Bed) {
    let store = bed.store().await;
    let now = bed.now();
    let draft = |n: u8, expires_at| store::Draft {
        id: decision::DraftId::new(Timestamp(1), [n; 10]),
        owner: Digest::of(b"bot"),
        server: ServerName::new("crm").unwrap(),
        tool: "refund".to_owned(),
        definition: Digest::of(b"d"),
        sealed: vec![n],
        made_at: now,
        expires_at,
        deed: None,
    };
    let one = draft(1, Timestamp(now.0 + 1_000_000));
    store.keep_draft(&home(), &one).await.unwrap();
    let store = bed.reopen(store).await;
    assert_eq!(store.draft(&home(), &one.owner, one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.draft(&home(), &Digest::of(b"other"), one.id).await.unwrap(), None, "another's is none");
    let deed = |n: u8| DeedId::new(Timestamp(1), [n; 10]);
    assert_eq!(store.spend_draft(&home(), one.id, deed(1)).await.unwrap(), Turn::Taken);
    assert_eq!(store.spend_draft(&home(), one.id, deed(2)).await.unwrap(), Turn::Missed);
    store.give_back_draft(&home(), one.id, deed(2)).await.unwrap();
    assert_eq!(
        store.spend_draft(&home(), one.id, deed(2)).await.unwrap(),
        Turn::Missed,
        "not its own to give"
    );
    store.give_back_draft(&home(), one.id, deed(1)).await.unwrap();
    bed.clock.advance(1_000_000);
    assert_eq!(store.draft(&home(), &one.owner, one.id).await.unwrap(), None, "its time is over");
    assert_eq!(store.spend_draft(&home(), one.id, deed(3)).await.unwrap(), Turn::Missed);
    for n in 0..=255 {
        store.keep_draft(&home(), &draft(n, LATER)).await.unwrap();
    }
    assert_eq!(bed.rows("drafts").await, 256, "those whose time is over are gone");
}

/// One whose arguments people are shown, and an address that is to be told of it.
fn telling(n: u8) -> (Approval, Delivery) {
    let shown = "NEEDLE".repeat(200);
    let preview = Preview {
        summary: format!("refund {shown}"),
        brief: shown.clone(),
        arguments: format!("{{\"text\":\"{shown}\"}}"),
        labels: vec![format!("holds {shown}")],
        because: vec!["somebody looks".to_owned()],
        ..Preview::default()
    };
    let one = Approval { preview, ..approval(n, LATER) };
    let delivery = Delivery {
        hook: "chat".to_owned(),
        subject: one.id.to_string(),
        event: "approval.proposed".to_owned(),
        id: format!("msg_{n}"),
        body: shown,
        made_at: Timestamp(5),
        next_at: Timestamp(5),
        tries: 0,
        state: DeliveryState::Waiting,
        error: None,
    };
    (one, delivery)
}

fn no() -> Step {
    Step::Vote { voter: fay(), yes: false, reason: Some("no".to_owned()) }
}

/// Whether anything of it can be read any more: of the rows, and of the bytes of a database that is a file.
async fn is_gone(store: &Store, bed: &Bed, id: ApprovalId) {
    let kept = store.approval(&home(), id).await.unwrap().unwrap().approval;
    assert!(!serde_json::to_string(&kept).unwrap().contains("NEEDLE"), "{kept:?}");
    assert_eq!(kept.preview.because, ["somebody looks"], "why it was held is no value");
    let dead = store.deliveries(&home(), DeliveryState::Dead, 9).await.unwrap();
    assert_eq!(dead.iter().map(|one| one.body.as_str()).collect::<Vec<_>>(), [""]);
    assert!(store.due_deliveries(&home(), "chat", 9).await.unwrap().is_empty());
    assert!(store.retry_delivery(&home(), &dead[0].id).await.is_err(), "nothing is left to tell");
    for path in bed.files() {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"NEEDLE"), "{}", path.display());
    }
}

pub(crate) async fn what_is_still_decided_by_is_not_forgotten_and_the_rest_is_everywhere(bed: &Bed) {
    let store = bed.store().await;
    let (one, delivery) = telling(3);
    store.propose(&home(), &one).await.unwrap();
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    assert_eq!(store.note_delivery(&home(), &kept, &delivery).await.unwrap(), Turn::Taken);
    assert_eq!(store.forget_arguments(&home(), one.id).await.unwrap(), Forgotten::Open);
    assert_eq!(store.approval(&home(), one.id).await.unwrap().unwrap(), kept);
    let over = one.after(no(), Timestamp(9)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    assert!(kept.approval.preview.summary.contains("NEEDLE"), "it is kept until somebody has it erased");
    assert_eq!(store.forget_arguments(&home(), one.id).await.unwrap(), Forgotten::Done);
    assert_eq!(store.forget_arguments(&home(), one.id).await.unwrap(), Forgotten::Nothing, "nothing is left");
    // whoever read it before may not bring it back
    let late = Delivery { event: "approval.denied".to_owned(), id: "msg_9".to_owned(), ..delivery };
    assert_eq!(store.note_delivery(&home(), &kept, &late).await.unwrap(), Turn::Missed);
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Missed);
    assert!(store.scrub().await.unwrap());
    is_gone(&store, bed, one.id).await;
    let none = ApprovalId::new(Timestamp(1), [1; 10]);
    assert_eq!(store.forget_arguments(&home(), none).await.unwrap(), Forgotten::Nothing);
}

pub(crate) async fn what_was_proposed_before_arguments_were_kept_no_more_is_forgotten_too(bed: &Bed) {
    let store = bed.store().await;
    let (ended, delivery) = telling(5);
    store.propose(&home(), &ended).await.unwrap();
    let kept = store.approval(&home(), ended.id).await.unwrap().unwrap();
    assert_eq!(store.note_delivery(&home(), &kept, &delivery).await.unwrap(), Turn::Taken);
    let over = ended.after(no(), Timestamp(9)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    let (open, _) = telling(6);
    store.propose(&home(), &open).await.unwrap();
    let server = ended.terms.target.server.clone();
    let other = ["other".parse().unwrap()].into();
    assert_eq!(store.forget_unkept(&home(), &other).await.unwrap(), (0, 0), "another server's");
    assert_eq!(store.forget_unkept(&home(), &[server.clone()].into()).await.unwrap(), (2, 0));
    let kept = store.approval(&home(), ended.id).await.unwrap().unwrap();
    assert!(!kept.approval.has_values(), "{kept:?}");
    let kept = store.approval(&home(), open.id).await.unwrap().unwrap();
    assert_eq!(kept.approval.preview, open.preview, "people still decide by it");
    let over = kept.approval.after(no(), Timestamp(9)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    assert!(!store.approval(&home(), open.id).await.unwrap().unwrap().approval.has_values());
    is_gone(&store, bed, ended.id).await;
    assert_eq!(store.forget_unkept(&home(), &[server].into()).await.unwrap(), (0, 0), "once");
}

pub(crate) async fn what_the_operator_does_not_keep_goes_with_the_end(bed: &Bed) {
    let store = bed.store().await;
    let (one, delivery) = telling(4);
    let one = Approval { forgets: true, ..one };
    store.propose(&home(), &one).await.unwrap();
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    assert_eq!(store.note_delivery(&home(), &kept, &delivery).await.unwrap(), Turn::Taken);
    assert_eq!(kept.approval, one, "whoever decides sees it");
    let over = one.after(no(), Timestamp(9)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    is_gone(&store, bed, one.id).await;
}

pub(crate) async fn a_delivery_that_a_later_state_overtook_is_known_before_it_is_dropped(bed: &Bed) {
    let store = bed.store().await;
    let (one, delivery) = telling(8);
    store.propose(&home(), &one).await.unwrap();
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    let first = Delivery { state: DeliveryState::Waiting, tries: 0, made_at: Timestamp(5), ..delivery };
    assert_eq!(store.note_delivery(&home(), &kept, &first).await.unwrap(), Turn::Taken);
    let over = one.after(no(), Timestamp(9)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
    let later = Delivery {
        event: "approval.denied".to_owned(),
        id: "msg_later".to_owned(),
        made_at: Timestamp(9),
        ..first.clone()
    };
    assert_eq!(store.note_delivery(&home(), &kept, &later).await.unwrap(), Turn::Taken);
    assert!(store.overtaken(&home()).await.unwrap().is_empty(), "each is tried once");
    assert_eq!(store.take_delivery(&home(), &first, Timestamp(9)).await.unwrap(), Turn::Taken);
    let known = [(first.hook.clone(), first.id.clone())].into();
    assert_eq!(store.overtaken(&home()).await.unwrap(), known);
    let tried = Delivery { tries: 1, ..first };
    assert_eq!(store.drop_outdated(&home(), &tried).await.unwrap(), Turn::Taken);
    assert!(store.overtaken(&home()).await.unwrap().is_empty());
}

/// One whose call is on its way.
async fn on_its_way(store: &Store, one: &Approval) -> store::Kept {
    store.propose(&home(), one).await.unwrap();
    let deed = DeedId::new(Timestamp(7), [7; 10]);
    for step in [yes(), spend(one, deed)] {
        let kept = store.approval(&home(), one.id).await.unwrap().unwrap();
        let after = kept.approval.after(step, Timestamp(2)).unwrap();
        assert_eq!(store.step(&home(), &kept, &after).await.unwrap(), Turn::Taken);
    }
    store.approval(&home(), one.id).await.unwrap().unwrap()
}

pub(crate) async fn an_answer_is_forgotten_and_a_call_that_waits_to_leave_is_not(bed: &Bed) {
    let store = bed.store().await;
    let (waits, one) = (approval(7, LATER), approval(8, LATER));
    store.propose(&home(), &waits).await.unwrap();
    assert!(store.keep_call(&home(), waits.id, b"call").await.unwrap());
    let kept = on_its_way(&store, &one).await;
    store.keep_answer(&home(), one.id, b"answer").await.unwrap();
    let both = [waits.id, one.id];
    assert_eq!(store.forget_result(&home(), one.call, &both).await.unwrap(), 0, "nothing has ended");
    let over = kept.approval.after(Step::Settle { end: Settled::Executed }, Timestamp(3)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken);
    store.keep_answer(&home(), one.id, b"answer").await.unwrap();
    assert_eq!(store.forget_result(&home(), one.call, &both).await.unwrap(), 1);
    assert_eq!(store.sealed_call(&home(), one.id).await.unwrap(), None);
    assert_eq!(store.sealed_call(&home(), waits.id).await.unwrap().as_deref(), Some(b"call".as_slice()));
    assert_eq!(store.forget_result(&home(), one.call, &both).await.unwrap(), 0, "once");
}

pub(crate) async fn a_call_on_its_way_ends_whatever_is_kept_no_more_meanwhile(bed: &Bed) {
    let store = bed.store().await;
    let (one, _) = telling(9);
    let kept = on_its_way(&store, &one).await;
    let servers = [one.terms.target.server.clone()].into();
    assert_eq!(store.forget_unkept(&home(), &servers).await.unwrap(), (0, 1));
    let over = kept.approval.after(Step::Settle { end: Settled::Executed }, Timestamp(3)).unwrap();
    assert_eq!(store.step(&home(), &kept, &over).await.unwrap(), Turn::Taken, "nobody stepped in between");
    assert_eq!(store.forget_unkept(&home(), &servers).await.unwrap(), (1, 0), "the next look has it");
    assert!(!store.approval(&home(), one.id).await.unwrap().unwrap().approval.has_values());
}
