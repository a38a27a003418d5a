//! Rule texts: whatever somebody writes is loaded or refused with its place, always the same way; what is loaded
//! answers the same however often it is asked, shows what it lets pass, and a forbid beside it never widens it.

use bytes::Bytes;
use catalog::{Catalogue, Category, Declarations, Declared, Definition, Effect, ServerEntry, Tier};
use decision::{
    Actor, AgentName, Environment, GroupName, ItemKind, Principal, ServerName, TenantId, Timestamp,
    Transport, User, UserName,
};
use policy::{Answer, Asker, Circumstances, Loader, Policies, Problem, Question, Source, Subject};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// 2026-11-20, a Friday, 14:30:00 UTC.
const NOW: Timestamp = Timestamp(1_795_185_000_000_000);
const FORBID: &str = "\n@id(\"fuzz-forbid\") @because(\"no\") forbid(principal, action, resource);";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // one loader has seen many texts, one is new: what the first keeps must change nothing
    let loaded = LOADER.with_borrow(|loader| load(loader, text));
    let again = match data.len() % 4 {
        0 => load(&Loader::default(), text),
        _ => LOADER.with_borrow(|loader| load(loader, text)),
    };
    match (&loaded, &again) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.digest(), other.digest());
            answers(one, other, text);
        }
        (Err(one), Err(other)) => {
            assert!(!one.is_empty());
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
            one.iter().for_each(|problem| placed(problem, text));
        }
        other => panic!("loads once and not twice: {other:?}"),
    }
    // it keeps a verdict of every text
    if data.len().is_multiple_of(64) {
        LOADER.set(Loader::default());
    }
}

thread_local! {
    static LOADER: RefCell<Loader> = RefCell::default();
}

fn load(loader: &Loader, text: &str) -> Result<Policies, Vec<Problem>> {
    loader
        .load(vec![Source { path: "policies/fuzz.cedar".into(), text: text.into() }], Arc::clone(&CATALOGUE))
}

fn placed(problem: &Problem, text: &str) {
    if let Some((path, line, column)) = problem.place() {
        assert_eq!(path, "policies/fuzz.cedar");
        assert!(line >= 1 && column >= 1 && line <= text.matches('\n').count() + 1, "{problem:?}");
    }
    assert!(!problem.to_string().is_empty());
}

fn answers(policies: &Policies, fresh: &Policies, text: &str) {
    policies.warnings().iter().for_each(|problem| placed(problem, text));
    let forbidden = LOADER.with_borrow(|loader| load(loader, &format!("{text}{FORBID}")));
    for principal in PRINCIPALS.iter() {
        for (kind, name, arguments) in ITEMS {
            let see = |policies: &Policies| policies.see(asker(principal), subject(kind, name));
            let call = |policies: &Policies| {
                policies.call(&Question {
                    asker: asker(principal),
                    subject: subject(kind, name),
                    method: if kind == ItemKind::Tool { "tools/call" } else { "resources/read" },
                    arguments: arguments.as_bytes(),
                    circumstances: Circumstances {
                        now: NOW,
                        transport: Transport::Http,
                        era: None,
                        model: None,
                        workflow: None,
                    },
                })
            };
            let (seen, called) = (see(policies), call(policies));
            assert_eq!((see(policies), call(policies)), (seen.clone(), called.clone()), "asked twice");
            assert_eq!((see(fresh), call(fresh)), (seen.clone(), called.clone()), "asked afresh");
            if !matches!(called, Answer::Refused { .. }) {
                assert!(seen.is_allowed(), "may be called and not seen: {text}");
            }
            if let Ok(forbidden) = &forbidden {
                assert!(matches!(see(forbidden), Answer::Refused { .. }), "{text}");
                assert!(matches!(call(forbidden), Answer::Refused { .. }), "{text}");
            }
        }
    }
}

const ITEMS: [(ItemKind, &str, &str); 4] = [
    (
        ItemKind::Tool,
        "refund",
        r#"{"amount":12.5,"currency":"EUR","count":2,"tags":["a"],"to":{"country":"DE"}}"#,
    ),
    (ItemKind::Tool, "get_invoice", r#"{"id":"1"}"#),
    (ItemKind::Resource, "file:///docs/a.md", ""),
    (ItemKind::Tool, "unknown", "{}"),
];

static SERVER: LazyLock<ServerName> = LazyLock::new(|| ServerName::new("payments").unwrap());

fn subject(kind: ItemKind, name: &str) -> Subject<'_> {
    Subject { server: &SERVER, kind, name }
}

fn asker(principal: &Principal) -> Asker<'_> {
    Asker { principal, host: Some("good") }
}

static PRINCIPALS: LazyLock<[Principal; 3]> = LazyLock::new(|| {
    let groups = |names: &[&str]| -> BTreeSet<GroupName> {
        names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
    };
    let of = |actor, groups, user| Principal {
        tenant: TenantId::default(),
        environment: Environment::default(),
        actor,
        groups,
        user,
    };
    let bot = || Actor::Agent(AgentName::new("bot").unwrap());
    let alice = || UserName::new("alice").unwrap();
    [
        of(bot(), groups(&["ops"]), None),
        of(Actor::User(alice()), groups(&[]), None),
        of(bot(), groups(&[]), Some(User { name: alice(), groups: groups(&["ops"]) })),
    ]
});

static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| {
    let says = |effect, tier, category: &[Category]| Declared {
        effect: Some(effect),
        tier,
        categories: category.iter().copied().collect(),
        ..Declared::default()
    };
    let declarations = Declarations {
        trust_annotations: false,
        tools: vec![
            ("get_*".into(), says(Effect::Read, None, &[])),
            ("refund".into(), says(Effect::Write, Some(Tier::Critical), &[Category::Financial])),
        ],
    };
    let items = [
        (
            ItemKind::Tool,
            r#"{"name":"refund","inputSchema":{"type":"object","required":["amount"],"properties":{
            "amount":{"type":"number"},"currency":{"enum":["EUR","USD"]},"count":{"type":"integer"},
            "note":{"type":["string","null"]},"tags":{"type":"array","items":{"type":"string"}},
            "to":{"type":"object","properties":{"country":{"type":"string"}}}}}}"#,
        ),
        (
            ItemKind::Tool,
            r#"{"name":"get_invoice","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}}}"#,
        ),
        (ItemKind::Resource, r#"{"uri":"file:///docs/a.md","name":"a"}"#),
    ];
    let items = items.map(|(kind, raw)| {
        Arc::new(Definition::new(SERVER.clone(), kind, Bytes::from_static(raw.as_bytes())).unwrap())
    });
    let entry = ServerEntry::new(Environment::new("production").unwrap(), declarations, items);
    Arc::new(Catalogue::new(BTreeMap::from([(SERVER.clone(), entry)])))
});
