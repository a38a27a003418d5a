//! Pages of the registry, and steps taken on them.

use crate::house::{Browser, House, MINUTE, MORNING, Said};
use crate::review::hidden;
use callgate_console::{Configured, Looks, RefusedFiles, Servers, Worth};
use catalog::observed::{Did, How, Observation};
use catalog::record::{Absent, Access, Fact, Facts, Known, Regime, Standing, State, Step, ToolKnown};
use catalog::{Catalogue, Declarations, Definition, Effect, ServerEntry, Tier};
use decision::approval::Terms;
use decision::{CallId, Entry, Environment, EventName, ServerName, Timestamp};
use futures::future::BoxFuture;
use http::StatusCode;
use policy::{Policies, Source};
use std::sync::{Arc, Mutex};
use store::Taking;

const DAY: u64 = 24 * 60 * MINUTE;

/// The rules that are in force: the bot may use everything, the local agent what only reads, and nobody deletes.
const RULES: &str = r#"
@id("bot-uses") permit(principal == Agent::"refund-bot", action, resource);
@id("others-read") permit(principal, action in Action::"effect:read", resource);
@id("no-deletes") @because("nothing is deleted by agents")
forbid(principal, action in Action::"effect:destructive", resource);
"#;

/// A configuration that the test writes.
#[derive(Debug, Default)]
pub(crate) struct Configuration(Mutex<Vec<Configured>>, pub(crate) Mutex<Answers>);

/// What the test has the gateway say besides.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) worth: Option<Worth>,
    pub(crate) refused: Option<RefusedFiles>,
    /// Why nothing can be looked at.
    pub(crate) away: Option<String>,
    /// Servers that somebody had looked at.
    pub(crate) looked: Vec<ServerName>,
}

impl Configuration {
    pub(crate) fn put(&self, name: &str) {
        let tool = |name: &str, effect, tier, reads| ToolKnown {
            owner: None,
            name: name.to_owned(),
            effect,
            tier,
            documented: reads,
            reads,
            origin: catalog::Origin::Undeclared,
            said: Vec::new(),
            observed: Vec::new(),
            judged: (
                catalog::risk::Effect::Changes,
                tier,
                vec!["its name begins with a verb that changes".to_owned()],
            ),
            approvals: if reads { Vec::new() } else { vec!["2 of finance".to_owned()] },
        };
        let known = Known {
            environment: "production".to_owned(),
            regime: Regime::Production,
            wiring: "url https://crm.example/mcp\nauthority shared".to_owned(),
            tools: vec![
                watched(name, tool("get_customer", Effect::Read, Tier::Low, true)),
                tool("refund\u{202e}yap", Effect::Write, Tier::High, false),
            ],
            resources: vec!["crm://customers".to_owned()],
            ..Known::default()
        };
        let access = Standing::of(known.regime, None, &known.wiring).at(Timestamp(MORNING));
        let name = ServerName::new(name).unwrap();
        self.0.lock().unwrap().push(Configured {
            name,
            known,
            declared: Facts::default(),
            access,
            absent: None,
        });
    }

    fn declare(&self, fact: Fact, value: &str) {
        self.0.lock().unwrap()[0].declared.set(fact, value).unwrap();
    }

    fn change(&self, change: &dyn Fn(&mut Configured)) {
        change(&mut self.0.lock().unwrap()[0]);
    }

    fn absent(&self, because: &str) {
        let absent = Absent { since: Timestamp(MORNING), because: because.to_owned() };
        self.0.lock().unwrap()[0].absent = Some(absent);
    }

    fn withhold(&self, tool: &str, why: &str) {
        self.0.lock().unwrap()[0].known.withheld.insert(tool.to_owned(), why.to_owned());
    }

    pub(crate) fn access(&self, access: Access) {
        self.0.lock().unwrap()[0].access = access;
    }
}

/// Of one server, what is declared a read was seen to delete.
fn watched(server: &str, tool: ToolKnown) -> ToolKnown {
    if server != "watched" {
        return tool;
    }
    let seen = Observation {
        did: Did::Deleted,
        how: How::Flag,
        call: CallId::new(Timestamp(MORNING), [0; 10]),
        at: Timestamp(MORNING),
    };
    ToolKnown { origin: catalog::Origin::Operator, observed: vec![seen], ..tool }
}

impl Servers for Configuration {
    fn configured(&self, only: Option<&ServerName>) -> Vec<Configured> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|one| only.is_none_or(|only| *only == one.name)).cloned().collect()
    }

    fn rules_over(&self, server: &ServerName, definitions: Vec<Arc<Definition>>) -> Option<Policies> {
        let drafted = catalog::Declared { draft: Some(true), ..catalog::Declared::default() };
        let declarations =
            Declarations { tools: vec![("refund".to_owned(), drafted)], ..Declarations::default() };
        let entry = ServerEntry::new(Environment::default(), declarations, definitions);
        let catalogue = Catalogue::new([(server.clone(), entry)].into());
        let source = Source { path: "rules.cedar".to_owned(), text: RULES.to_owned() };
        policy::Loader::default().refit(vec![source], Arc::new(catalogue)).ok()
    }

    fn agents(&self) -> Vec<store::NewAgent> {
        let (name, kind) = ("local".parse().unwrap(), store::AgentKind::Agent);
        vec![store::NewAgent { name, kind, groups: [].into(), user: None }]
    }

    fn worth(&self, _: &Terms) -> Worth {
        self.1.lock().unwrap().worth.clone().unwrap_or(Worth::Counts)
    }

    fn refused(&self) -> Option<RefusedFiles> {
        self.1.lock().unwrap().refused.clone()
    }
}

impl Looks for Configuration {
    fn look<'a>(&'a self, server: &'a ServerName) -> BoxFuture<'a, Result<(), String>> {
        let mut answers = self.1.lock().unwrap();
        answers.looked.push(server.clone());
        let away = answers.away.clone();
        Box::pin(async move { away.map_or(Ok(()), Err) })
    }
}

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

async fn house() -> House {
    let house = House::new().await;
    house.servers.put("crm");
    let sighting = store::Sighting {
        server: crm(),
        kinds: [decision::ItemKind::Tool].into(),
        items: Vec::new(),
        first: store::FirstSight::Pin,
        withheld: Default::default(),
        apart: Default::default(),
    };
    house.store.record_seen(&house.store.own_writer(), &house.scope, &sighting).await.unwrap();
    house
}

const PAGE: &str = "/console/servers/one?name=crm";
const STEP: &str = "/console/servers/step";

async fn state(house: &House) -> Option<State> {
    house.store.record(&house.scope, &crm()).await.unwrap().map(|record| record.state)
}

/// Sends the form of a step as the page has it.
async fn send(house: &House, browser: &Browser, seen: u64, step: &str, more: &[(&str, &str)]) -> StatusCode {
    let page = house.get(browser, PAGE).await.text;
    let shown = hidden(&page, "shown").unwrap_or_else(|| decision::Digest::of(b"no button").to_string());
    send_of(house, browser, (seen, &shown), step, more).await.status
}

/// The same from a page that was opened earlier.
async fn send_of(
    house: &House,
    browser: &Browser,
    (seen, shown): (u64, &str),
    step: &str,
    more: &[(&str, &str)],
) -> Said {
    let seen = seen.to_string();
    let fields = [("server", "crm"), ("seen", seen.as_str()), ("shown", shown), ("step", step)];
    house.post(browser, STEP, &[&fields, more].concat()).await
}

#[tokio::test]
async fn whoever_came_without_a_name_decides_about_no_server_and_is_told_how_to_have_one() {
    let house = House::new().await;
    house.servers.put("crm");
    let operator = house.enter(&house.code(policy::Visitor::Operator).await).await;
    for page in ["/console/servers", PAGE] {
        let text = house.get(&operator, page).await.text;
        assert!(text.contains("callgate console --as NAME"), "{page}: {text}");
        assert!(!text.contains("action=\"/console/servers"), "{page}: {text}");
    }
    let refused = house.post(&operator, STEP, &[("server", "crm"), ("step", "add"), ("seen", "0")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_page_says_what_a_tool_that_is_declared_a_read_was_seen_to_do() {
    let house = House::new().await;
    house.servers.put("watched");
    house.servers.put("crm");
    let rita = house.sign_in("rita").await;
    let page = house.get(&rita, "/console/servers/one?name=watched").await.text;
    assert!(page.contains("is declared read, but on "), "{page}");
    assert!(page.contains("deleted something: its answer says that it was done"), "{page}");
    assert!(!house.get(&rita, PAGE).await.text.contains("is declared read, but on "));
}

#[tokio::test]
async fn the_page_says_that_a_tool_that_was_accepted_is_offered_to_nobody_and_why() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    assert!(!house.get(&rita, PAGE).await.text.contains("is withheld"));
    house.servers.withhold("ahead", "its arguments cannot be checked: `(?=x)<y>` does not compile");
    let page = house.get(&rita, PAGE).await.text;
    assert!(page.contains("`ahead` is withheld, since nobody could use it: its arguments"), "{page}");
    assert!(page.contains("&#60;y&#62;"), "{page}");
}

#[tokio::test]
async fn the_pages_say_since_when_a_server_cannot_be_looked_at_and_why() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    for page in [PAGE, "/console/servers"] {
        let text = house.get(&rita, page).await.text;
        assert!(!text.contains("cannot look at it") && !text.contains("not reached since"), "{text}");
    }
    house.servers.absent("connection refused <b>\u{202e}");
    let page = house.get(&rita, PAGE).await.text;
    assert!(page.contains("The gateway cannot look at it since <time datetime="), "{page}");
    assert!(page.contains("connection refused &#60;b&#62;") && !page.contains('\u{202e}'), "{page}");
    let list = house.get(&rita, "/console/servers").await.text;
    assert!(
        list.contains("not reached since <time datetime=") && list.contains("connection refused"),
        "{list}"
    );
}

const FACTS: [(&str, &str); 7] = [
    ("fact-owner", "Ada <b>Lovelace</b>"),
    ("fact-team", "crm"),
    ("fact-purpose", "customers"),
    ("fact-repository", "https://git.example/crm"),
    ("fact-data-classification", "internal"),
    ("fact-limitations", "none known"),
    ("fact-security-review", "2026-11-01"),
];

/// Three servers: one approved and one whose changes wait, and one that nobody has begun with.
pub(crate) async fn furnished(house: &House) {
    for name in ["crm", "deploy", "mail"] {
        house.servers.put(name);
    }
    crate::review::changed(house).await;
    let rita = house.sign_in("rita").await;
    let facts = [
        ("fact-owner", "Ada Lovelace"),
        ("fact-team", "Customer care"),
        ("fact-purpose", "Customers, their orders and what they were refunded"),
        ("fact-repository", "https://git.example/crm"),
        ("fact-data-classification", "internal"),
        ("fact-limitations", "none known"),
        ("fact-security-review", "2026-11-01"),
    ];
    let yes = [("until", "2027-05-31"), ("because", "reviewed with security")];
    for (seen, step, more) in [(0, "review", &[][..]), (1, "set", &facts[..]), (2, "approve", &yes[..])] {
        assert_eq!(send(house, &rita, seen, step, more).await, StatusCode::SEE_OTHER, "{step}");
    }
    house.servers.access(Access::Whole);
    let fields = [("server", "mail"), ("seen", "0"), ("step", "add")];
    house.post(&rita, STEP, &fields).await;
}

#[tokio::test]
async fn a_registry_administrator_takes_a_server_from_candidate_to_approved_and_back() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    let list = house.get(&rita, "/console/servers").await;
    assert!(list.status.is_success() && list.text.contains("no record") && list.text.contains("crm"));
    assert!(list.text.contains("no owner is recorded") && list.text.contains("title=\"1 to 40 of a-z"));
    assert_eq!(send(&house, &rita, 0, "add", &[]).await, StatusCode::SEE_OTHER);
    assert_eq!(send(&house, &rita, 1, "review", &[("because", "a team asks")]).await, StatusCode::SEE_OTHER);
    let page = house.get(&rita, PAGE).await.text;
    assert!(page.contains("Missing for an approval") && page.contains("Source repository"), "{page}");
    let early = send(&house, &rita, 2, "approve", &[("until", "2027-05-31")]).await;
    assert_eq!((early, state(&house).await), (StatusCode::CONFLICT, Some(State::InReview)));
    assert_eq!(send(&house, &rita, 2, "set", &FACTS).await, StatusCode::SEE_OTHER);
    for wrong in ["", "soon", "2026-11-25", "31.5.2027"] {
        let refused = send(&house, &rita, 3, "approve", &[("until", wrong)]).await;
        assert_eq!(refused, StatusCode::CONFLICT, "{wrong}");
    }
    let far = send(&house, &rita, 3, "approve", &[("until", "9999-01-01"), ("because", "reviewed")]).await;
    assert_eq!((far, state(&house).await), (StatusCode::CONFLICT, Some(State::InReview)), "centuries");
    let yes = [("until", "2027-05-31"), ("because", "reviewed")];
    assert_eq!(send(&house, &rita, 3, "approve", &yes).await, StatusCode::SEE_OTHER);
    assert_eq!(state(&house).await, Some(State::Approved));
    house.servers.access(Access::Whole);
    let page = house.get(&rita, PAGE).await.text;
    for said in [
        "185 days left",
        "until 2027-05-31",
        "reviewed",
        "a team asks",
        "2 of finance",
        "get_customer",
        "high risk",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(
        page.contains("Ada &lt;b&gt;Lovelace") || page.contains("Ada &#60;b&#62;Lovelace"),
        "escaped: {page}"
    );
    assert!(page.contains("U+202E") && !page.contains('\u{202e}'), "nothing turns the page around");
    let stop = send(&house, &rita, 4, "suspend", &[("because", "an incident")]).await;
    assert_eq!((stop, state(&house).await), (StatusCode::SEE_OTHER, Some(State::Suspended)));
    let events: Vec<_> = house
        .ledger
        .read_entries(0, 1_000)
        .unwrap()
        .into_iter()
        .filter_map(|(_, bytes)| match serde_json::from_slice(&bytes).unwrap() {
            Entry::Event(event) if event.event == EventName::ServerRecordChanged => Some(event),
            Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
        })
        .collect();
    let steps: Vec<_> = events.iter().map(|event| event.detail["step"].as_str()).collect();
    assert_eq!(steps, ["add", "review", "set", "approve", "suspend"]);
    assert!(events.iter().all(|event| event.detail["by"] == "rita" && event.server == Some(crm())));
    assert_eq!(events[4].detail["because"], "an incident");
    assert_eq!(events[3].detail["until"], "2027-05-31 00:00:00");
}

/// The fields of the form that the page has for what only people know, each with its value.
fn fields_of(page: &str) -> Vec<(String, String)> {
    let (_, form) = page.split_once("class=\"fields\"").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let tags = form.split('<').filter(|tag| tag.starts_with("input") || tag.starts_with("select"));
    tags.map(|tag| (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap_or_default())).collect()
}

#[tokio::test]
async fn the_largest_form_that_a_page_has_is_taken() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    send(&house, &rita, 0, "review", &[]).await;
    assert_eq!(send(&house, &rita, 1, "set", &[("fact-vendor", "Vendor Inc.")]).await, StatusCode::SEE_OTHER);
    let fields = fields_of(&house.get(&rita, PAGE).await.text);
    let facts = fields.iter().filter(|(name, _)| name.starts_with("fact-")).count();
    assert_eq!(facts, Fact::ALL.len(), "with a vendor, everything is asked: {fields:?}");
    let filled = |(name, value): &(String, String)| {
        let value = match name.strip_prefix("fact-").map(|key| Fact::parse(key).unwrap()) {
            Some(fact) if fact.is_date() => "2026-11-01".to_owned(),
            Some(fact) if !fact.words().is_empty() => "internal".to_owned(),
            // as long as a value may be, in the longest spelling that a form has
            Some(_) => "é".repeat(1_000),
            None => value.clone(),
        };
        (name.clone(), value)
    };
    let filled: Vec<_> = fields.iter().map(filled).collect();
    // the token is the page's own
    let browser = Browser { form: String::new(), ..rita.clone() };
    let sent: Vec<_> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let said = house.post(&browser, STEP, &sent).await;
    assert_eq!(said.status, StatusCode::SEE_OTHER, "{}", said.text);
    let record = house.store.record(&house.scope, &crm()).await.unwrap().unwrap();
    for fact in Fact::ALL {
        assert!(record.facts.get(*fact).is_some(), "{}", fact.key());
    }
}

#[tokio::test]
async fn nobody_else_decides_about_servers_whatever_role_they_have() {
    let house = house().await;
    for who in ["mallory", "erin", "bob", "dave"] {
        let browser = house.sign_in(who).await;
        let browser =
            Browser { form: if browser.form.is_empty() { "x".into() } else { browser.form }, ..browser };
        assert_eq!(send(&house, &browser, 0, "add", &[]).await, StatusCode::FORBIDDEN, "{who}");
        let page = house.get(&browser, PAGE).await;
        assert!(!page.text.contains("value=\"add\""), "{who} has no button");
    }
    let rita = house.sign_in("rita").await;
    let forged = Browser { form: "forged".to_owned(), ..rita };
    assert_eq!(send(&house, &forged, 0, "add", &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(state(&house).await, None);
}

#[tokio::test]
async fn whoever_decides_has_a_server_looked_at_and_is_told_why_where_that_does_not_work() {
    const LOOK: &str = "/console/servers/look";
    let house = house().await;
    let rita = house.sign_in("rita").await;
    let page = house.get(&rita, PAGE).await;
    assert!(page.text.contains("Last looked at") && page.text.contains("Look at it now"), "{}", page.text);
    let look = async |browser: &Browser, server: &str| house.post(browser, LOOK, &[("server", server)]).await;
    let looked = look(&rita, "crm").await;
    assert_eq!(looked.status, StatusCode::SEE_OTHER);
    assert_eq!(looked.headers["location"], PAGE);
    assert_eq!(house.servers.1.lock().unwrap().looked, [crm()]);

    house.servers.1.lock().unwrap().away = Some("it says <b>\u{202e}ffo".to_owned());
    let away = look(&rita, "crm").await;
    let said = "It cannot be looked at now: it says &#60;b&#62;\u{27e8}U+202E\u{27e9}ffo.";
    assert_eq!(away.status, StatusCode::CONFLICT);
    assert!(away.text.contains(said), "{}", away.text);

    for (who, server) in [("rita", "nobody"), ("rita", "../x"), ("dave", "crm"), ("erin", "crm")] {
        let browser = house.sign_in(who).await;
        assert!(look(&browser, server).await.status.is_client_error(), "{who} {server}");
    }
    let forged = Browser { form: "forged".to_owned(), ..rita };
    assert_eq!(look(&forged, "crm").await.status, StatusCode::FORBIDDEN);
    assert_eq!(house.servers.1.lock().unwrap().looked.len(), 2, "nobody else had it looked at");
    let erin = house.sign_in("erin").await;
    assert!(!house.get(&erin, PAGE).await.text.contains("Look at it now"), "a viewer has no button");
}

#[tokio::test]
async fn what_is_decided_is_what_was_on_the_page() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    assert_eq!(send(&house, &rita, 0, "review", &[]).await, StatusCode::SEE_OTHER);
    // meanwhile, at a terminal
    let taking =
        Taking { step: Step::Suspend, by: "root", because: None, facts: None, grant: None, seen: None };
    house.store.take_step(&house.scope, &crm(), &taking).await.unwrap();
    assert_eq!(send(&house, &rita, 1, "retire", &[]).await, StatusCode::CONFLICT);
    assert_eq!(state(&house).await, Some(State::Suspended));
    for (field, value) in [("step", "forget"), ("step", "explode"), ("seen", "x"), ("server", "../x")] {
        let mut fields = vec![("server", "crm"), ("seen", "2"), ("step", "review")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let said = house.post(&rita, STEP, &fields).await.status;
        assert!(said.is_client_error(), "{field}={value}: {said}");
    }
    assert_eq!(state(&house).await, Some(State::Suspended));
}

#[tokio::test]
async fn nothing_is_granted_that_the_page_did_not_show() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    send(&house, &rita, 0, "review", &[]).await;
    send(&house, &rita, 1, "set", &FACTS).await;
    house.servers.declare(Fact::Permissions, "reads");
    let yes = [("until", "2027-05-31"), ("because", "reviewed")];
    let takes = [("declared", "yes")];
    // what a person did not see, while they read
    let command = |one: &mut Configured| one.known.wiring = "command /bin/sh\nargument evil.sh".to_owned();
    let tool = |one: &mut Configured| one.known.tools[1].effect = Effect::Destructive;
    let declared = |one: &mut Configured| one.declared.set(Fact::Permissions, "everything").unwrap();
    let changes: [&dyn Fn(&mut Configured); 3] = [&command, &tool, &declared];
    for change in changes {
        let shown = hidden(&house.get(&rita, PAGE).await.text, "shown").unwrap();
        house.servers.change(change);
        for (step, more) in [("approve", &yes[..]), ("set", &takes), ("review", &[])] {
            let said = send_of(&house, &rita, (2, &shown), step, more).await;
            assert_eq!(said.status, StatusCode::CONFLICT, "{step}");
            assert!(said.text.contains("<code>shown-outdated</code>"), "{}", said.text);
            // it is the page as it is now, which can be decided
            assert_ne!(hidden(&said.text, "shown").unwrap(), shown);
        }
        assert!(house.get(&rita, PAGE).await.text.contains("id=\"approve\""));
        assert_eq!(state(&house).await, Some(State::InReview));
        let record = house.store.record(&house.scope, &crm()).await.unwrap().unwrap();
        assert_eq!(record.facts.get(Fact::Permissions), None);
    }
    let fields = [&[("server", "crm"), ("seen", "2"), ("step", "approve")], &yes[..]].concat();
    assert_eq!(house.post(&rita, STEP, &fields).await.status, StatusCode::BAD_REQUEST, "of no page");
    // a stop grants nothing, and waits for nobody
    let shown = hidden(&house.get(&rita, PAGE).await.text, "shown").unwrap();
    house.servers.change(&|one| one.known.wiring = "url https://crm.example/mcp".to_owned());
    assert_eq!(send(&house, &rita, 2, "approve", &yes).await, StatusCode::SEE_OTHER);
    let record = house.store.record(&house.scope, &crm()).await.unwrap().unwrap();
    assert_eq!(record.approved.unwrap().wiring, "url https://crm.example/mcp");
    let stop = send_of(&house, &rita, (3, &shown), "suspend", &[]).await;
    assert_eq!(stop.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_page_shows_where_the_file_says_otherwise_and_takes_it_over_only_when_told() {
    let house = house().await;
    house.servers.declare(Fact::Owner, "Ada");
    let rita = house.sign_in("rita").await;
    send(&house, &rita, 0, "add", &[]).await;
    let owner = async || {
        let record = house.store.record(&house.scope, &crm()).await.unwrap().unwrap();
        record.facts.get(Fact::Owner).map(str::to_owned)
    };
    assert_eq!(owner().await.as_deref(), Some("Ada"), "a first record has what the file says");
    send(&house, &rita, 1, "set", &[("fact-owner", "Grace")]).await;
    let page = house.get(&rita, PAGE).await.text;
    assert!(
        page.contains("Not as it is recorded") && page.contains("Record what the file declares"),
        "{page}"
    );
    assert_eq!(owner().await.as_deref(), Some("Grace"));
    assert_eq!(send(&house, &rita, 2, "set", &[("declared", "yes")]).await, StatusCode::SEE_OTHER);
    assert_eq!(owner().await.as_deref(), Some("Ada"));
    assert!(!house.get(&rita, PAGE).await.text.contains("Not as it is recorded"));
}

#[tokio::test]
async fn a_date_that_is_near_is_marked_and_a_server_that_nobody_knows_is_nowhere() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    assert_eq!(house.get(&rita, "/console/servers/one?name=nobody").await.status, StatusCode::NOT_FOUND);
    assert_eq!(house.get(&rita, "/console/servers/one").await.status, StatusCode::NOT_FOUND);
    let nobody = ServerName::new("nobody").unwrap();
    for step in ["suspend", "review", "retire"] {
        let form = [("server", "nobody"), ("seen", "0"), ("step", step)];
        assert_eq!(house.post(&rita, STEP, &form).await.status, StatusCode::NOT_FOUND, "{step}");
        assert_eq!(house.store.record(&house.scope, &nobody).await.unwrap(), None, "{step}");
    }
    let form = [("server", "nobody"), ("seen", "0"), ("step", "add")];
    assert_eq!(house.post(&rita, STEP, &form).await.status, StatusCode::SEE_OTHER);
    send(&house, &rita, 0, "review", &[]).await;
    send(&house, &rita, 1, "set", &FACTS).await;
    send(&house, &rita, 2, "approve", &[("until", "2027-05-31")]).await;
    assert!(!house.get(&rita, "/console/servers").await.text.contains("soon"));
    house.pass(160 * DAY);
    let rita = house.sign_in("rita").await;
    assert!(house.get(&rita, "/console/servers").await.text.contains("left soon"));
}

#[tokio::test]
async fn what_was_decided_on_a_page_and_could_not_be_recorded_is_recorded_later() {
    let house = house().await;
    let rita = house.sign_in("rita").await;
    assert_eq!(send(&house, &rita, 0, "review", &[]).await, StatusCode::SEE_OTHER);
    house.ledger.close().await.unwrap();
    let form = [("server", "crm"), ("seen", "1"), ("step", "suspend"), ("because", "an incident")];
    let answer = house.post(&rita, STEP, &form).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("It was decided and counts"), "{}", answer.text);
    assert_eq!(state(&house).await, Some(State::Suspended));
    let next = house.next_ledger();
    assert_eq!(house.store.tell(&house.scope, &next, store::Telling::all_left()).await.unwrap(), 1);
    let entries = next.read_entries(0, 10).unwrap();
    let Entry::Event(event) = serde_json::from_slice(&entries[0].1).unwrap() else { panic!("{entries:?}") };
    let said = |key: &str| event.detail[key].as_str();
    assert_eq!((said("by"), said("because"), said("told")), ("rita", "an incident", "late"));
}
