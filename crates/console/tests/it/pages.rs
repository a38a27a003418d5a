//! What pages say.

use crate::house::{Browser, House, MINUTE};
use callgate_console::{RefusedFiles, Route, Worth};
use catalog::record::{Access, Held, Shut};
use decision::approval::{Part, State};
use decision::{
    Actor, CallId, Channel, Claims, Code, Decision, Direction, Ending, Entry, Environment, Evidence, Intent,
    InteractionId, Item, ItemKind, Principal, Stage, Target, TenantId, Timestamp, Transport,
};
use http::StatusCode;
use policy::Visitor;
use std::sync::Arc;
use store::ledger::Record;

/// A call that was refused, in ledger and index.
pub(crate) async fn recorded(house: &House) -> CallId {
    recorded_as(house, Ending::Refused { code: Code::NotPermitted }).await
}

/// The same, or one that was let through.
pub(crate) async fn recorded_as(house: &House, ending: Ending) -> CallId {
    let at = house.now();
    let call = CallId::new(at, [7; 10]);
    let principal = Principal {
        actor: Actor::Agent("refund-bot".parse().unwrap()),
        user: Some(crate::house::user("alice", &["support"])),
        ..Principal::unknown()
    };
    let deed = decision::DeedId::new(at, [7; 10]);
    let interaction = InteractionId::new("session-1").unwrap();
    let intent = Intent {
        v: 1,
        call,
        deed,
        leg: 0,
        at,
        tenant: TenantId::default(),
        environment: Environment::default(),
        interaction: interaction.clone(),
        direction: Direction::ToServer,
        errand: false,
        principal: Arc::new(principal),
        claimed: Claims { host: Some("Claude Code".to_owned()), ..Claims::default() },
        channel: Channel {
            transport: Transport::Http,
            era: None,
            revision: Some("2026-07-28".to_owned()),
            server_era: None,
            entrance: "mcp".to_owned(),
        },
        method: Some("tools/call".to_owned()),
        target: Some(Target {
            server: "crm".parse().unwrap(),
            item: Item { kind: ItemKind::Tool, name: "delete_customer".to_owned() },
            definition: None,
        }),
        asked: None,
        arguments: None,
        bytes: 412,
        policy: None,
    };
    let evidence = |stage, refused: Option<Code>, because: &str| Evidence {
        stage,
        refused,
        would_refuse: None,
        because: because.to_owned(),
        basis: vec!["rule:no-deletes".to_owned()],
    };
    let dispatched = ending == Ending::Answered;
    let decision = Decision {
        v: 1,
        call,
        deed,
        leg: 0,
        tenant: TenantId::default(),
        environment: Environment::default(),
        interaction,
        opened_at: at,
        closed_at: Timestamp(at.0 + 2_300),
        ending,
        evidence: vec![
            evidence(Stage::Permission, None, ""),
            evidence(Stage::Rules, Some(Code::NotPermitted), "customers are not deleted by agents"),
        ],
        dispatched,
        outcome: None,
        shown: None,
        progress: 0,
        observed: false,
        policy: None,
        events: Vec::new(),
    };
    let entries = [Entry::Intent(Box::new(intent)), Entry::Decision(Box::new(decision))];
    let from = house.ledger.size();
    for entry in entries.clone() {
        house.ledger.append(vec![Record::new(entry, Vec::new()).unwrap()]).await.unwrap();
    }
    let log = house.ledger.public_key().origin().to_owned();
    let up_to: Vec<(u64, Entry)> = house
        .ledger
        .read_entries(0, 1_000)
        .unwrap()
        .into_iter()
        .map(|(index, bytes)| (index, Entry::read(&bytes).unwrap()))
        .collect();
    assert!(from < house.ledger.size());
    house.store.index_entries(&log, &up_to).await.unwrap();
    call
}

#[tokio::test]
async fn the_page_of_an_approval_says_everything_that_somebody_who_decides_should_know() {
    let house = House::new().await;
    let id = house.propose(house.refund(7_000, "finance and security")).await;
    let page = house.get(&house.sign_in("bob").await, &Route::Approval(id).path()).await;
    assert_eq!(page.status, StatusCode::OK);
    for told in [
        "Refund 7000 euro of order 1 to the customer",
        "crm",
        "refund_payment",
        "refund-bot",
        "alice",
        "Claude Code",
        "as it says itself",
        "data-effect=\"write\"",
        "data-tier=\"high\"",
        "financial",
        "&#34;amount&#34;",
        "7000",
        "the recipient is outside the company",
        "email",
        "void the refund in the CRM within a day",
        "read_order",
        "refunds above 100 need somebody of finance",
        "large-refunds",
        "0 of 1",
        "1 h left",
        "<b class=\"warn\">2 values are hidden from you</b>: <bdi>email</bdi>. Good for exactly this call, once",
    ] {
        assert!(page.text.contains(told), "{told} is not in {}", page.text);
    }
}

#[tokio::test]
async fn a_yes_of_the_right_people_is_an_approval_and_stands_in_the_history() {
    let house = House::new().await;
    let id = house.propose(house.refund(7_000, "finance and security")).await;
    let (bob, carol) = (house.sign_in("bob").await, house.sign_in("carol").await);
    let said = house.post(&bob, &Route::Approve(id).path(), &[]).await;
    assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, &*Route::Approval(id).path()));
    assert_eq!(house.state(id).await, State::Proposed, "security is still needed");
    let page = house.get(&bob, &Route::Approval(id).path()).await;
    assert!(page.text.contains("You have decided already; others are still needed."), "{}", page.text);
    assert_eq!(house.post(&carol, &Route::Approve(id).path(), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(house.state(id).await, State::Approved);
    let history = house.get(&bob, "/console/approvals/history").await;
    assert!(history.text.contains("bob, carol said yes"), "{}", history.text);
    let again = house.post(&carol, &Route::Approve(id).path(), &[]).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(again.text.contains("It is approved already."), "{}", again.text);
}

#[tokio::test]
async fn a_no_has_a_reason_that_the_agent_may_read_and_a_yes_can_be_taken_back() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    let id = house.propose(house.refund(500, "finance")).await;
    let silent = house.post(&bob, &Route::Deny(id).path(), &[("reason", "  ")]).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.state(id).await, State::Proposed);
    let said = house.post(&bob, &Route::Deny(id).path(), &[("reason", "wrong\r\naccount \u{202e}x")]).await;
    assert_eq!(said.status, StatusCode::SEE_OTHER);
    let kept = house.store.approval(&house.scope, id).await.unwrap().unwrap().approval;
    assert_eq!(kept.denial().unwrap().reason.as_deref(), Some("wrong account ⟨U+202E⟩x"));
    let id = house.propose(house.refund(500, "finance")).await;
    house.post(&bob, &Route::Approve(id).path(), &[]).await;
    let other = house.post(&house.sign_in("carol").await, &Route::Revoke(id).path(), &[]).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "who did not decide it does not take it back");
    assert_eq!(house.state(id).await, State::Approved);
    house.post(&bob, &Route::Revoke(id).path(), &[("reason", "too early")]).await;
    assert_eq!(house.state(id).await, State::Cancelled);
    let page = house.get(&bob, &Route::Approval(id).path()).await;
    assert!(page.text.contains("taken back by bob: too early"), "{}", page.text);
}

#[tokio::test]
async fn who_may_not_decide_is_told_why() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let operator = house.enter(&house.code(Visitor::Operator).await).await;
    for (browser, why) in [
        (house.sign_in("alice").await, "asked in your own name"),
        (house.sign_in("erin").await, "Members of finance decide this."),
        (operator, "without a name, and nobody&#39;s yes is no yes"),
    ] {
        let page = house.get(&browser, &Route::Approval(id).path()).await;
        assert!(page.text.contains(why), "{}", page.text);
        assert!(!page.text.contains("id=\"approve\""));
    }
    house.pass(61 * MINUTE);
    let page = house.get(&house.sign_in("bob").await, &Route::Approval(id).path()).await;
    assert!(page.text.contains("Its time is over."), "{}", page.text);
    assert!(page.text.contains("data-state=\"expired\""));
}

#[tokio::test]
async fn home_has_first_what_waits_for_whoever_looks() {
    let house = House::new().await;
    recorded(&house).await;
    house.propose(house.refund(900, "security")).await;
    house.propose(house.refund(800, "finance")).await;
    let home = house.get(&house.sign_in("bob").await, "/console").await.text;
    let (mine, others) = home.split_once("id=\"others\"").unwrap();
    assert!(mine.contains("Refund 800 euro") && !mine.contains("Refund 900 euro"));
    assert!(others.contains("Refund 900 euro") && !others.contains("Refund 800 euro"));
    assert!(others.contains("delete_customer"), "refused lately");
}

#[tokio::test]
async fn what_has_no_room_on_home_is_counted_where_it_belongs() {
    let house = House::new().await;
    for amount in 0..11 {
        house.propose(house.refund(500 + amount, "finance")).await;
    }
    let home = house.get(&house.sign_in("bob").await, "/console").await.text;
    let (mine, others) = home.split_once("id=\"h-others\"").unwrap();
    assert!(mine.contains("and 3 more") && mine.contains("data-full=\"true\""), "{home}");
    assert!(!others.contains(" more<") && others.contains("Nothing waits for anybody else."), "{home}");
    // without a single server nobody is told that all is well with them
    assert!(
        home.contains("What to do first") && !home.contains("Every server shows what was accepted"),
        "{home}"
    );
    house.servers.put("crm");
    let home = house.get(&house.sign_in("erin").await, "/console").await.text;
    let (mine, others) = home.split_once("id=\"h-others\"").unwrap();
    assert!(!mine.contains(" more<") && others.contains("and 5 more"), "{home}");
    assert!(!home.contains("What to do first"), "{home}");
}

#[tokio::test]
async fn home_says_that_newer_files_are_not_in_force_and_why() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    assert!(!house.get(&bob, "/console").await.text.contains("do not hold"));
    let problems = (0..7).map(|n| format!("rules.cedar:{n}: \u{202e}`princpal` is no word")).collect();
    house.servers.1.lock().unwrap().refused = Some(RefusedFiles { at: house.now(), problems });
    let home = house.get(&bob, "/console").await.text;
    assert!(home.contains("The newest files do not hold, so older ones are in force"), "{home}");
    assert!(home.contains("rules.cedar:4: ⟨U+202E⟩`princpal`") && home.contains("and 2 more"), "{home}");
}

#[tokio::test]
async fn nobody_is_asked_for_a_yes_that_counts_for_nothing() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let (bob, path) = (house.sign_in("bob").await, Route::Approval(id).path());
    let counted = |page: &str| page.contains("id=\"waiting\">1<");
    let home = house.get(&bob, "/console").await.text;
    assert!(home.contains("Refund 500 euro") && counted(&home), "{home}");
    assert!(house.get(&bob, &path).await.text.contains("Approve this one call"));
    let worth = |worth| house.servers.1.lock().unwrap().worth = Some(worth);
    worth(Worth::Void(Part::Definition));
    let page = house.get(&bob, &path).await.text;
    assert!(!page.contains("Approve this one call"), "{page}");
    assert!(
        page.contains("the definition of what is called changed since, so a yes would count for nothing"),
        "{page}"
    );
    let yes = house.post(&bob, &Route::Approve(id).path(), &[]).await;
    assert_eq!(yes.status, StatusCode::CONFLICT);
    assert_eq!(house.state(id).await, State::Proposed, "nobody said yes");
    let home = house.get(&bob, "/console").await.text;
    assert!(!home.contains("Refund 500 euro") && !counted(&home), "{home}");
    let queue = house.get(&bob, "/console/approvals").await.text;
    assert!(queue.contains("data-state=\"void\">void<"), "{queue}");
    // what may count later is asked for, and says that it sends nothing now
    worth(Worth::NothingNow("`refund_payment` is not offered by `crm` now".to_owned()));
    house.servers.put("crm");
    house.servers.access(Access::Whole);
    let page = house.get(&bob, &path).await.text;
    assert!(
        page.contains("A yes sends nothing now:")
            && page.contains("<code>refund_payment</code> is not offered"),
        "{page}"
    );
    assert!(page.contains("Approve this one call"), "{page}");
    // whoever takes it off the queue may
    worth(Worth::Void(Part::Policy));
    house.post(&bob, &Route::Deny(id).path(), &[("reason", "over")]).await;
    assert_eq!(house.state(id).await, State::Denied);
}

#[tokio::test]
async fn the_page_says_which_gateway_makes_a_yes_void_and_what_ended_it() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let (bob, path) = (house.sign_in("bob").await, Route::Approval(id).path());
    let terms = house.store.approval(&house.scope, id).await.unwrap().unwrap().approval.terms;
    let told = "the gateway with the log `callgate/b/ledger` goes by other rules than this was asked under";
    house.store.go_by(&house.scope, "callgate/a/ledger", terms.policy).await.unwrap();
    assert!(!house.get(&bob, &path).await.text.contains("goes by other rules"));
    house.store.go_by(&house.scope, "callgate/b/ledger", decision::Digest::of(b"other")).await.unwrap();
    let page = house.get(&bob, &path).await.text;
    assert!(page.contains(told) && !page.contains("callgate/a/ledger"), "{page}");
    house.desk.void(&house.scope, id, Part::Policy).await.unwrap();
    let page = house.get(&bob, &path).await.text;
    assert!(
        page.contains("<b class=\"warn\">Ended</b>") && page.contains("void: the policies changed"),
        "{page}"
    );
    assert!(page.contains(told), "that is why: {page}");
    // what ended otherwise is nobody's affair elsewhere
    let other = house.propose(house.refund(501, "finance")).await;
    house.desk.revoke(&house.scope, other, "bob", Some("too early")).await.unwrap();
    let page = house.get(&bob, &Route::Approval(other).path()).await.text;
    assert!(page.contains("taken back by bob: too early") && !page.contains(told), "{page}");
}

#[tokio::test]
async fn pages_of_the_queue_say_which_lines_they_have_and_how_many_come() {
    let house = House::new().await;
    for amount in 0..64 {
        house.propose(house.refund(500 + amount, "finance")).await;
    }
    let bob = house.sign_in("bob").await;
    let first = house.get(&bob, "/console/approvals").await.text;
    assert!(first.contains("1–50 of 64") && first.contains("Next 14<"), "{first}");
    let next = first.split_once("\" rel=\"next\"").unwrap().0.rsplit_once("href=\"").unwrap().1;
    let last = house.get(&bob, &next.replace("&#38;", "&").replace("&amp;", "&")).await.text;
    assert!(last.contains("51–64 of 64") && !last.contains("Next "), "{last}");
}

#[tokio::test]
async fn the_page_of_an_approval_says_what_the_tool_says_of_itself() {
    let house = House::new().await;
    let lines: String = (0..30).map(|n| format!("line {n} of what it does\u{202e}\n")).collect();
    let tool = serde_json::json!({ "name": "refund_payment", "description": lines });
    crate::review::shows(&house, std::slice::from_ref(&tool)).await;
    let definition =
        catalog::Definition::new("crm".parse().unwrap(), ItemKind::Tool, tool.to_string().into()).unwrap();
    let mut one = house.refund(500, "finance");
    one.terms.target.definition = Some(definition.digest());
    let id = house.propose(one).await;
    let page = house.get(&house.sign_in("bob").await, &Route::Approval(id).path()).await.text;
    let (first, rest) = page.split_once("<summary>The rest").unwrap();
    assert!(first.contains("line 0 of what it does⟨U+202E⟩\nline 1") && !first.contains("line 4 "), "{page}");
    assert!(rest.contains("line 29 of what it does"), "{page}");
}

#[tokio::test]
async fn what_is_held_is_not_shown_as_refused() {
    let house = House::new().await;
    let call = recorded_as(&house, Ending::Refused { code: Code::ApprovalRequired }).await;
    let bob = house.sign_in("bob").await;
    let home = house.get(&bob, "/console").await.text;
    assert!(home.contains("Nothing was refused."), "{home}");
    let activity = house.get(&bob, "/console/activity").await.text;
    assert!(activity.contains("data-state=\"held\">held<"), "{activity}");
    let refusals = house.get(&bob, "/console/activity?ended=refused").await.text;
    assert!(!refusals.contains("data-state=\"held\""), "{refusals}");
    let held = house.get(&bob, "/console/activity?ended=held").await.text;
    assert!(held.contains("data-state=\"held\"") && held.contains("value=\"held\" selected"), "{held}");
    let page = house.get(&bob, &Route::Call(call).path()).await.text;
    assert!(page.contains("Held until people say yes: nothing ran"), "{page}");
}

#[tokio::test]
async fn a_decision_is_found_and_shown_with_its_trail() {
    let house = House::new().await;
    let call = recorded(&house).await;
    let erin = house.sign_in("erin").await;
    let found = |query: &'static str| {
        let (house, erin) = (&house, &erin);
        async move { house.get(erin, &format!("/console/activity?{query}")).await }
    };
    for query in [
        "",
        "agent=refund-bot",
        "server=crm&ended=refused",
        "tool=delete_customer",
        "text=CLAUDE",
        "user=alice",
    ] {
        assert!(found(query).await.text.contains(&call.to_string()), "{query}");
    }
    for query in ["agent=other", "ended=answered", "to=2020-01-01T00:00"] {
        assert!(found(query).await.text.contains("No call is like this"), "{query}");
    }
    assert!(found("agent=a%0ab").await.text.contains("No agent can have this name."));
    let page = house.get(&erin, &Route::Call(call).path()).await;
    for told in
        ["customers are not deleted by agents", "rule:no-deletes", "permission", "2.3 ms", "session-1"]
    {
        assert!(page.text.contains(told), "{told} is not in {}", page.text);
    }
    let other = Route::Call(CallId::from_bytes([1; 16])).path();
    assert_eq!(house.get(&erin, &other).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_is_locked_down_and_only_what_never_changes_is_kept() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    for path in ["/console", "/console/sign-in", "/console/nowhere", "/console/approvals"] {
        let said = house.get(&bob, path).await;
        let csp = said.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"), "{csp}");
        assert!(!csp.contains("unsafe") && csp.contains("frame-ancestors 'none'"));
        assert_eq!(said.header("cache-control"), "no-store");
        assert_eq!(said.header("x-content-type-options"), "nosniff");
        assert!(!said.text.contains(" style=") && !said.text.contains(" onclick="), "nothing inline");
        assert!(!said.text.contains("<style") && said.text.matches("<script").count() == 1);
    }
    let style = house.get(&Browser::default(), &Route::Style.path()).await;
    assert!(style.header("cache-control").contains("immutable"));
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn who_reads_of_a_call_that_ran_is_told_how_to_undo_it() {
    for (ending, told) in [(Ending::Answered, true), (Ending::Refused { code: Code::NotPermitted }, false)] {
        let undo = catalog::Declared { undo: Some("restore it <by hand>".to_owned()), ..Default::default() };
        let declared =
            catalog::Declarations { tools: vec![("delete_*".to_owned(), undo)], ..Default::default() };
        let roles = [(policy::Role::Viewer, ["support".parse().unwrap()].into())].into();
        let declared = [("crm".parse().unwrap(), declared)].into();
        let house = House::with(callgate_console::Settings { declared, roles, ..Default::default() }).await;
        let call = recorded_as(&house, ending).await;
        let erin = house.sign_in("erin").await;
        let page = house.get(&erin, &Route::Call(call).path()).await.text;
        assert_eq!(page.contains("To undo it"), told, "{page}");
        assert_eq!(page.contains("restore it &#60;by hand&#62;"), told, "{page}");
    }
}

#[tokio::test]
async fn a_line_begins_with_what_is_asked_and_the_page_has_the_whole_sentence() {
    let house = House::new().await;
    let mut one = house.refund(95_000, "finance");
    one.preview.summary =
        "agent refund-bot for alice wants to run `refund` on `crm`, which changes data, with amount 95000 \
        and 16 more."
            .to_owned();
    one.preview.brief = "refund with amount 95000 and 16 more".to_owned();
    let id = house.propose(one).await;
    let old = house.propose(house.refund(80, "finance")).await;
    let bob = house.sign_in("bob").await;
    for path in ["/console".to_owned(), "/console/approvals".to_owned(), Route::Row(id).path()] {
        let page = house.get(&bob, &path).await.text;
        assert!(page.contains("\">refund with amount 95000 and 16 more</a>"), "{path}: {page}");
        assert!(!page.contains("wants to run"), "{path}: {page}");
    }
    let row = house.get(&bob, &Route::Row(old).path()).await.text;
    assert!(row.contains("Refund 80 euro"), "one from before there was a shorter word: {row}");
    let page = house.get(&bob, &Route::Approval(id).path()).await.text;
    assert!(
        page.contains("wants to run `refund` on `crm`, which changes data, with amount 95000 and 16 more.")
    );
}

#[tokio::test]
async fn whoever_approves_is_told_that_the_server_may_not_be_used_now() {
    let house = House::new().await;
    house.servers.put("crm");
    let id = house.propose(house.refund(500, "finance")).await;
    let path = Route::Approval(id).path();
    let bob = house.sign_in("bob").await;
    let page = async || house.get(&bob, &path).await.text;
    let told = "A yes sends nothing now:";
    house.servers.access(Access::Whole);
    assert!(!page().await.contains(told));
    house.servers.access(Access::Nothing(Shut::Suspended));
    let text = page().await;
    assert!(text.contains(told) && text.contains("is suspended until somebody has looked at it"), "{text}");
    assert!(
        text.contains("may ask again") && text.contains("<code>callgate registry review crm</code>"),
        "{text}"
    );
    // held to reads, a tool that is none is refused too
    house.servers.access(Access::Reads(Held::Overdue));
    assert!(page().await.contains("the review of the server"));
    house.vote(id, "bob", false).await;
    assert!(!page().await.contains(told), "what is over is over");
}

#[tokio::test]
async fn a_page_does_not_tell_of_a_call_what_the_ledger_says_of_another() {
    let house = House::new().await;
    let one = recorded(&house).await;
    house.pass(MINUTE);
    let other = recorded(&house).await;
    let log = house.ledger.public_key().origin().to_owned();
    let turned: Vec<(u64, Entry)> = house
        .ledger
        .read_entries(0, 100)
        .unwrap()
        .into_iter()
        .map(|(index, bytes)| {
            let text = String::from_utf8(bytes).unwrap().replace(&one.to_string(), &other.to_string());
            (index, serde_json::from_str(&text).unwrap())
        })
        .collect();
    house.store.wipe_index(&log).await.unwrap();
    house.store.index_entries(&log, &turned).await.unwrap();
    let browser = house.sign_in("erin").await;
    let said = house.get(&browser, &Route::Call(other).path()).await;
    assert_eq!(said.status, StatusCode::CONFLICT);
    assert!(said.text.contains("rebuild-index") && !said.text.contains("delete_customer"), "{}", said.text);
}
