//! A permit is earned by the whole path or not at all.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use bytes::Bytes;
use callgate_decision::{
    Actor, AgentName, Asked, Call, CallId, Channel, Claims, Code, DeedId, Direction, Environment,
    InteractionId, Item, ItemKind, Passed, Principal, Refusal, ServerName, Stage, Target, TenantId,
    Timestamp, Trail, Transport,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

fn id(n: u8) -> CallId {
    CallId::new(Timestamp(0), [n; 10])
}

fn call(n: u8, actor: Actor, method: &str, arguments: &'static str) -> Call {
    Call::new(Asked {
        id: id(n),
        deed: DeedId::new(Timestamp(0), [n; 10]),
        leg: 0,
        at: Timestamp(0),
        direction: Direction::ToServer,
        interaction: InteractionId::new("s1").unwrap(),
        principal: Arc::new(Principal {
            tenant: TenantId::default(),
            environment: Environment::default(),
            actor,
            groups: BTreeSet::new(),
            user: None,
        }),
        channel: Channel {
            transport: Transport::Http,
            era: None,
            revision: None,
            server_era: None,
            entrance: "mcp".into(),
        },
        claims: Claims::default(),
        method: method.into(),
        target: Target {
            server: ServerName::new("files").unwrap(),
            item: Item { kind: ItemKind::Tool, name: "read".into() },
            definition: None,
        },
        frame: Bytes::from_static(arguments.as_bytes()),
        arguments: Some(0..arguments.len()),
    })
}

fn agent() -> Actor {
    Actor::Agent(AgentName::new("bot").unwrap())
}

fn walked(n: u8, stages: &[Stage]) -> Trail {
    let mut trail = Trail::open(id(n), Timestamp(0));
    for stage in stages {
        trail.pass(*stage, Ok(Passed::plain(()))).unwrap();
    }
    trail
}

#[test]
fn the_whole_path_earns_a_permit() {
    let call = call(1, agent(), "tools/call", "{}");
    assert!(walked(1, &Stage::BEFORE_DISPATCH).permit(&call).unwrap().covers(&call));
}

#[test]
fn a_permit_does_not_cover_another_call_or_other_arguments() {
    let first = call(1, agent(), "tools/call", "{}");
    let trail = walked(1, &Stage::BEFORE_DISPATCH);
    let permit = trail.permit(&first).unwrap();
    assert!(!permit.covers(&call(2, agent(), "tools/call", "{}")));
    assert!(!permit.covers(&call(1, agent(), "tools/call", r#"{"a":1}"#)));
    assert_eq!(trail.permit(&call(2, agent(), "tools/call", "{}")).unwrap_err().code, Code::PathIncomplete);
}

#[test]
fn leaving_out_or_repeating_any_stage_earns_nothing() {
    for at in 0..Stage::BEFORE_DISPATCH.len() {
        let mut fewer = Stage::BEFORE_DISPATCH.to_vec();
        let stage = fewer.remove(at);
        let mut more = Stage::BEFORE_DISPATCH.to_vec();
        more.insert(at, stage);
        for stages in [fewer, more] {
            let refusal = walked(1, &stages).permit(&call(1, agent(), "tools/call", "{}")).unwrap_err();
            assert_eq!(refusal.code, Code::PathIncomplete);
        }
    }
}

#[test]
fn swapping_any_two_neighbours_earns_nothing() {
    for i in 1..Stage::BEFORE_DISPATCH.len() {
        let mut stages = Stage::BEFORE_DISPATCH.to_vec();
        stages.swap(i - 1, i);
        assert!(walked(1, &stages).permit(&call(1, agent(), "tools/call", "{}")).is_err());
    }
}

#[test]
fn a_refusal_on_the_way_earns_nothing() {
    let last = Stage::BEFORE_DISPATCH.len() - 1;
    let mut trail = walked(1, &Stage::BEFORE_DISPATCH[..last]);
    let no: Result<Passed<()>, Refusal> = Err(Refusal::new(Code::RuleDenied, "no"));
    assert!(trail.pass(Stage::BEFORE_DISPATCH[last], no).is_err());
    assert!(trail.permit(&call(1, agent(), "tools/call", "{}")).is_err());
}

#[test]
fn an_errand_is_only_for_the_gateway_and_only_for_the_closed_list() {
    let trail = Trail::open(id(1), Timestamp(0));
    assert!(trail.errand(&call(1, Actor::Gateway, "tools/list", "{}")).is_ok());
    assert!(trail.errand(&call(1, Actor::Gateway, "tools/call", "{}")).is_err());
    assert!(trail.errand(&call(1, agent(), "tools/list", "{}")).is_err());
}

#[test]
fn the_same_deed_asked_again_has_the_same_digest_whatever_its_spelling() {
    let first = call(1, agent(), "tools/call", r#"{"a":1,"b":"x"}"#);
    let again = call(2, agent(), "tools/call", r#"{ "b": "\u0078", "a": 1 }"#);
    let other = call(3, agent(), "tools/call", r#"{"a":2,"b":"x"}"#);
    assert_eq!(first.digest(), again.digest());
    assert_ne!(first.digest(), other.digest());
}

/// What a stage may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Yes,
    WouldRefuse,
    No,
}

/// The right path with a few stages changed, added, left out or answered otherwise.
fn walks() -> impl Strategy<Value = Vec<(Stage, Says)>> {
    let says = prop::sample::select(vec![Says::Yes, Says::Yes, Says::Yes, Says::WouldRefuse, Says::No]);
    let edit = (0usize..4, 0..Stage::BEFORE_DISPATCH.len(), prop::sample::select(Stage::PATH.to_vec()), says);
    prop::collection::vec(edit, 0..3).prop_map(|edits| {
        let mut walk: Vec<_> = Stage::BEFORE_DISPATCH.iter().map(|stage| (*stage, Says::Yes)).collect();
        for (how, at, stage, says) in edits {
            let at = at.min(walk.len());
            match (how, walk.get_mut(at)) {
                (0, _) => walk.insert(at, (stage, says)),
                (1, Some(_)) => drop(walk.remove(at)),
                (2, Some(step)) => *step = (stage, says),
                (_, Some(step)) => step.1 = says,
                (_, None) => {}
            }
        }
        walk
    })
}

proptest! {
    #[test]
    fn only_the_path_in_full_in_order_and_without_a_no_earns_a_permit(walk in walks()) {
        let call = call(1, agent(), "tools/call", "{}");
        let mut trail = Trail::open(id(1), Timestamp(0));
        let mut earned = Vec::new();
        for (stage, says) in &walk {
            let no = || Refusal::new(Code::RuleDenied, "no");
            let answer = match says {
                Says::Yes => Ok(Passed::plain(())),
                Says::WouldRefuse => Ok(Passed::observed((), no())),
                Says::No => Err(no()),
            };
            prop_assert_eq!(trail.pass(*stage, answer).is_ok(), *says != Says::No);
            earned.push(trail.permit(&call).is_ok());
        }
        let right = |steps: &[(Stage, Says)]| {
            steps.iter().map(|step| step.0).eq(Stage::BEFORE_DISPATCH) && steps.iter().all(|step| step.1 != Says::No)
        };
        let expected: Vec<bool> = (1..=walk.len()).map(|end| right(&walk[..end])).collect();
        prop_assert_eq!(earned, expected);
        // and the record has every step, in its order, with what was said
        let (_, _, evidence) = trail.close();
        let told: Vec<_> = evidence.iter().map(|e| (e.stage, match (e.refused, e.would_refuse) {
            (None, None) => Says::Yes,
            (None, Some(_)) => Says::WouldRefuse,
            (Some(_), _) => Says::No,
        })).collect();
        prop_assert_eq!(told, walk);
    }

    #[test]
    fn two_calls_have_one_digest_only_where_they_are_the_same_deed(
        method in prop::array::uniform2(prop::sample::select(vec!["tools/call", "prompts/get"])),
        arguments in prop::array::uniform2(prop::sample::select(vec![
            r#"{}"#, r#"{ }"#, r#"{"a":1}"#, r#"{"\u0061":1}"#, r#"{"a":1.0}"#, r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"a":"1"}"#,
        ])),
    ) {
        let [one, other] = [0, 1].map(|n| call(1, agent(), method[n], arguments[n]));
        let form = |text: &str| callgate_decision::canonical::bytes(text.as_bytes()).unwrap();
        let same = method[0] == method[1] && form(arguments[0]) == form(arguments[1]);
        prop_assert_eq!(one.digest() == other.digest(), same);
        let permit = walked(1, &Stage::BEFORE_DISPATCH).permit(&one).unwrap();
        prop_assert!(permit.covers(&one));
        prop_assert!(!permit.covers(&other), "it is for one call, not for its twin");
    }
}
