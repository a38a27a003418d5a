//! Telling systems outside, and taking their answers.

use crate::house::{HOST, House, MINUTE};
use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use callgate_console::hooks::{Form, Hook, Key, Keys, Sender};
use callgate_console::{Route, Settings, Worth};
use decision::approval::{Part, State};
use decision::{ApprovalId, SecretName};
use futures::future::BoxFuture;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use store::DeliveryState;

/// 24 bytes under every name, and no key for `lost`.
#[derive(Debug)]
pub(crate) struct OneKey;

const RAW: &[u8; 24] = b"0123456789abcdefghijklmn";

impl Keys for OneKey {
    fn key(&self, name: &SecretName) -> BoxFuture<'_, Result<Key, String>> {
        let known = name.as_str() != "lost";
        Box::pin(async move {
            let text = format!("whsec_{}", STANDARD.encode(RAW));
            if known { Key::read(text.as_bytes()).map_err(|e| e.to_string()) } else { Err("gone".to_owned()) }
        })
    }
}

pub(crate) fn hook(name: &str, url: &str, decides: bool) -> Hook {
    Hook {
        name: name.to_owned(),
        url: url.parse().unwrap(),
        form: Form::Generic,
        secret: "hook".parse().unwrap(),
        decides,
        networks: Vec::new(),
    }
}

/// Signed by hand, and not with what is tested.
fn signature(id: &str, seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, RAW);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes())))
}

async fn callback(house: &House, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
    let mut request =
        Request::builder().method(Method::POST).uri(Route::Callback.path()).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let (head, body) = house.console.answer(request, false, &|| ()).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn said(house: &House, id: ApprovalId, person: &str, vote: &str) -> String {
    let kept = house.store.approval(&house.scope, id).await.unwrap().unwrap();
    let terms = kept.approval.terms.digest();
    json!({ "approval": id, "terms": terms, "person": person, "vote": vote, "reason": "from the chat" })
        .to_string()
}

async fn deciding() -> House {
    let hooks = vec![hook("told", "http://127.0.0.1:1/", false), hook("chat", "http://127.0.0.1:1/", true)];
    House::with(Settings { hooks, ..Settings::default() }).await
}

fn seconds(house: &House) -> u64 {
    house.now().0 / 1_000_000
}

#[tokio::test]
async fn a_signed_answer_counts_as_the_persons_once() {
    let house = deciding().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let body = said(&house, id, "bob", "yes").await;
    let (at, sent) = (seconds(&house).to_string(), signature("m1", seconds(&house), &body));
    let headers =
        [("webhook-id", "m1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", sent.as_str())];
    let (status, told) = callback(&house, &headers, &body).await;
    assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("approved")), "{told}");
    let (status, told) = callback(&house, &headers, &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(told.to_string().contains("taken before"), "{told}");
}

#[tokio::test]
async fn a_forged_callback_decides_nothing() {
    let house = deciding().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let body = said(&house, id, "bob", "yes").await;
    let now = seconds(&house);
    let good = signature("m1", now, &body);
    let other = body.replace("yes", "no");
    let late = signature("m1", now - 301, &body);
    for (id, at, signature, body) in [
        ("m1", now, "v1,AAAA", body.as_str()),
        ("m1", now, "", &body),
        ("m2", now, &good, &body),
        ("m1", now + 1, &good, &body),
        ("m1", now, &good, &other),
        ("m1", now - 301, &late, &body),
        ("", now, &good, &body),
    ] {
        let at = at.to_string();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature)];
        let (status, told) = callback(&house, &headers, body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{told}");
    }
    let at = now.to_string();
    let twice = [
        ("webhook-id", "m1"),
        ("webhook-timestamp", at.as_str()),
        ("webhook-signature", good.as_str()),
        ("webhook-signature", good.as_str()),
    ];
    assert_eq!(
        callback(&house, &twice, &body).await.0,
        StatusCode::UNAUTHORIZED,
        "of two nobody knows which"
    );
    assert_eq!(house.state(id).await, State::Proposed);
    let hooks = vec![hook("told", "http://127.0.0.1:1/", false)];
    let mute = House::with(Settings { hooks, ..Settings::default() }).await;
    let id = mute.propose(mute.refund(500, "finance")).await;
    let body = said(&mute, id, "bob", "yes").await;
    let good = signature("m1", seconds(&mute), &body);
    let at = seconds(&mute).to_string();
    let headers =
        [("webhook-id", "m1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", good.as_str())];
    assert_eq!(callback(&mute, &headers, &body).await.0, StatusCode::UNAUTHORIZED, "it may not decide");
    assert_eq!(mute.state(id).await, State::Proposed);
}

#[tokio::test]
async fn the_right_signature_does_not_make_the_wrong_person_right() {
    let house = deciding().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let good = said(&house, id, "bob", "yes").await;
    let terms = decision::Digest::of(b"other").to_string();
    let mut other: Value = serde_json::from_str(&good).unwrap();
    other["terms"] = json!(terms);
    let mut more: Value = serde_json::from_str(&good).unwrap();
    more["admin"] = json!(true);
    for (n, (body, status)) in [
        (said(&house, id, "alice", "yes").await, StatusCode::CONFLICT),
        (said(&house, id, "erin", "yes").await, StatusCode::CONFLICT),
        (said(&house, id, "nobody", "yes").await, StatusCode::NOT_FOUND),
        (other.to_string(), StatusCode::CONFLICT),
        (more.to_string(), StatusCode::BAD_REQUEST),
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        (good.replace("yes", "maybe"), StatusCode::BAD_REQUEST),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("m{n}");
        let at = seconds(&house).to_string();
        let sent = signature(&name, seconds(&house), &body);
        let headers =
            [("webhook-id", name.as_str()), ("webhook-timestamp", &at), ("webhook-signature", &sent)];
        assert_eq!(callback(&house, &headers, &body).await.0, status, "{body}");
        assert_eq!(house.state(id).await, State::Proposed, "{body}");
    }
}

/// A system outside that answers with these statuses, then with 200, and keeps what it was told.
struct Outside {
    url: String,
    heard: Arc<Mutex<Vec<(http::HeaderMap, String)>>>,
}

impl Outside {
    async fn open(statuses: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (kept, left) = (Arc::clone(&heard), Arc::new(Mutex::new(statuses.to_vec())));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, left) = (Arc::clone(&kept), Arc::clone(&left));
                let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (kept, left) = (Arc::clone(&kept), Arc::clone(&left));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        kept.lock().push((head.headers, String::from_utf8(body.to_vec()).unwrap()));
                        let mut left = left.lock();
                        let status = if left.is_empty() { 200 } else { left.remove(0) };
                        http::Response::builder().status(status).body(Full::new(Bytes::new()))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
                );
            }
        });
        Self { url, heard }
    }
}

fn sender(house: &House, hooks: Vec<Hook>) -> Sender {
    Sender {
        desk: Arc::clone(&house.desk),
        scope: house.scope.clone(),
        settings: Arc::new(ArcSwap::from_pointee(Settings { hooks, ..Settings::default() })),
        base: "https://gate.example.com".to_owned(),
        client: egress::Client::new(egress::EgressPolicy::default(), egress::Settings::default()),
        keys: Arc::new(OneKey),
        clock: house.clock(),
        servers: house.servers.clone(),
    }
}

#[tokio::test]
async fn what_is_dated_before_what_was_told_last_is_told_too() {
    let house = House::new().await;
    let outside = Outside::open(&[]).await;
    let closing = tokio_util::sync::CancellationToken::new();
    let following =
        tokio::spawn(sender(&house, vec![hook("chat", &outside.url, true)]).follow(closing.clone()));
    let told = async |count: usize| {
        for _ in 0..200 {
            if outside.heard.lock().len() >= count {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(outside.heard.lock().len(), count);
    };
    house.pass(2 * MINUTE);
    house.propose(house.refund(500, "finance")).await;
    told(1).await;
    // another gateway's clock, or one that was dated before it was written; and then one that was set back for good
    house.turn_back(2_000_000);
    house.propose(house.refund(501, "finance")).await;
    told(2).await;
    house.turn_back(60 * MINUTE);
    house.propose(house.refund(502, "finance")).await;
    told(3).await;
    closing.cancel();
    following.await.unwrap();
    assert_eq!(outside.heard.lock().len(), 3, "each once");
}

#[tokio::test]
async fn every_event_is_told_once_signed_and_again_until_it_is_taken() {
    let house = House::new().await;
    let outside = Outside::open(&[500, 503]).await;
    let hooks = vec![hook("chat", &outside.url, true)];
    let id = house.propose(house.refund(500, "finance")).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    assert_eq!(outside.heard.lock().len(), 1);
    sender(&house, hooks.clone()).once().await.unwrap();
    assert_eq!(outside.heard.lock().len(), 1, "not before its time");
    for _ in 0..2 {
        house.pass(MINUTE);
        sender(&house, hooks.clone()).once().await.unwrap();
    }
    house.pass(MINUTE);
    // another gateway, or the same after a restart
    sender(&house, hooks.clone()).once().await.unwrap();
    let heard = outside.heard.lock().clone();
    assert_eq!(heard.len(), 3, "taken at the third try, and told no more");
    let ids: std::collections::BTreeSet<_> =
        heard.iter().map(|(head, _)| head["webhook-id"].clone().to_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1, "the same at every try");
    for (head, body) in &heard {
        let text = |name: &str| head[name].to_str().unwrap().to_owned();
        let at: u64 = text("webhook-timestamp").parse().unwrap();
        assert_eq!(text("webhook-signature"), signature(&text("webhook-id"), at, body));
    }
    let told: Value = serde_json::from_str(&heard[0].1).unwrap();
    assert_eq!(told["type"], "approval.proposed");
    assert_eq!(told["data"]["url"], format!("https://gate.example.com/console/approvals/{id}"));
    assert_eq!(told["data"]["needs"], json!([{ "group": "finance", "count": 1, "have": 0 }]));
    house.vote(id, "bob", true).await;
    sender(&house, hooks).once().await.unwrap();
    let last: Value = serde_json::from_str(&outside.heard.lock().last().unwrap().1).unwrap();
    assert_eq!(
        (&last["type"], &last["data"]["votes"][0]["person"]),
        (&json!("approval.approved"), &json!("bob"))
    );
}

#[tokio::test]
async fn nobody_is_asked_for_a_yes_that_counts_for_nothing_and_somebody_is_once_it_counts_again() {
    let house = House::new().await;
    let outside = Outside::open(&[]).await;
    let hooks = vec![hook("chat", &outside.url, true)];
    let worth = |worth| house.servers.1.lock().unwrap().worth = Some(worth);
    worth(Worth::Void(Part::Policy));
    let id = house.propose(house.refund(500, "finance")).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    assert!(outside.heard.lock().is_empty());
    let noted = house.store.deliveries(&house.scope, DeliveryState::Waiting, 9).await.unwrap();
    let why = "not sent: the policies changed since, so a yes would count for nothing";
    assert_eq!((noted.len(), noted[0].error.as_deref()), (1, Some(why)));
    // a gateway beside it that goes by the rules of then, or the same under them again
    worth(Worth::NothingNow("the server is away".to_owned()));
    house.pass(MINUTE);
    sender(&house, hooks.clone()).once().await.unwrap();
    let heard = || outside.heard.lock().len();
    let told = |at: usize| serde_json::from_str::<Value>(&outside.heard.lock()[at].1).unwrap();
    assert_eq!(heard(), 1);
    assert_eq!(told(0)["type"], "approval.proposed");
    // what somebody said is told whatever it is worth
    worth(Worth::Void(Part::Policy));
    house.vote(id, "bob", false).await;
    sender(&house, hooks).once().await.unwrap();
    assert_eq!(heard(), 2);
    assert_eq!(told(1)["type"], "approval.denied");
}

#[tokio::test]
async fn addresses_are_told_which_gateway_makes_a_yes_void_and_what_ended_it() {
    let house = House::new().await;
    let (chat, slack) = (Outside::open(&[]).await, Outside::open(&[]).await);
    let hooks =
        vec![hook("chat", &chat.url, false), Hook { form: Form::Slack, ..hook("slack", &slack.url, false) }];
    house.store.go_by(&house.scope, "callgate/b/ledger", decision::Digest::of(b"other")).await.unwrap();
    let id = house.propose(house.refund(500, "finance")).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    let last = |of: &Outside| of.heard.lock().last().unwrap().1.clone();
    let told: Value = serde_json::from_str(&last(&chat)).unwrap();
    assert_eq!(told["data"]["other-rules"], json!(["callgate/b/ledger"]));
    assert_eq!(told["data"]["ended"], Value::Null);
    assert!(last(&slack).contains("goes by other rules than this was asked under"), "{}", last(&slack));
    house.desk.revoke(&house.scope, id, "bob", Some("too early")).await.unwrap();
    sender(&house, hooks).once().await.unwrap();
    let told: Value = serde_json::from_str(&last(&chat)).unwrap();
    assert_eq!(told["type"], "approval.cancelled");
    let ended = &told["data"]["ended"];
    assert_eq!((&ended["by"], &ended["reason"]), (&json!("bob"), &json!("too early")));
    assert_eq!(told["data"]["other-rules"], json!([]));
    assert!(last(&slack).contains("taken back by bob: too early"), "{}", last(&slack));
}

#[tokio::test]
async fn a_yes_from_outside_that_would_count_for_nothing_is_refused_and_a_no_is_taken() {
    let house = deciding().await;
    house.servers.1.lock().unwrap().worth = Some(Worth::Void(Part::Policy));
    let id = house.propose(house.refund(500, "finance")).await;
    for (name, vote, status) in [("m1", "yes", StatusCode::CONFLICT), ("m2", "no", StatusCode::OK)] {
        let body = said(&house, id, "bob", vote).await;
        let (at, sent) = (seconds(&house).to_string(), signature(name, seconds(&house), &body));
        let headers =
            [("webhook-id", name), ("webhook-timestamp", at.as_str()), ("webhook-signature", sent.as_str())];
        let (answered, told) = callback(&house, &headers, &body).await;
        assert_eq!(answered, status, "{told}");
    }
    assert_eq!(house.state(id).await, State::Denied);
}

#[tokio::test]
async fn what_cannot_be_told_is_given_up_visibly_and_can_be_tried_anew() {
    let house = House::new().await;
    let outside = Outside::open(&[410]).await;
    let lost = Hook { secret: "lost".parse().unwrap(), ..hook("lost", &outside.url, false) };
    let dead = hook("dead", "http://127.0.0.1:9/", false);
    let hooks = vec![hook("gone", &outside.url, false), lost, dead];
    house.propose(house.refund(500, "finance")).await;
    for _ in 0..9 {
        sender(&house, hooks.clone()).once().await.unwrap();
        house.pass(13 * 60 * MINUTE);
    }
    let given_up = house.store.deliveries(&house.scope, DeliveryState::Dead, 10).await.unwrap();
    let why = |name: &str| given_up.iter().find(|one| one.hook == name).unwrap().error.clone().unwrap();
    assert_eq!(given_up.len(), 3, "{given_up:?}");
    assert!(why("gone").contains("410") && why("lost").contains("gone") && !why("dead").is_empty());
    assert_eq!(
        outside.heard.lock().len(),
        1,
        "what is gone is not asked again, and nothing is told unsigned"
    );
    let gone = given_up.iter().find(|one| one.hook == "gone").unwrap();
    house.store.retry_delivery(&house.scope, &gone.id).await.unwrap();
    sender(&house, hooks).once().await.unwrap();
    assert_eq!(outside.heard.lock().len(), 2);
}

/// Takes connections and never answers.
async fn silent() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

#[tokio::test]
async fn an_address_that_hangs_delays_no_other() {
    let house = House::new().await;
    let outside = Outside::open(&[]).await;
    let hooks = vec![hook("hangs", &silent().await, false), hook("chat", &outside.url, false)];
    let closing = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn(sender(&house, hooks).follow(closing.clone()));
    for n in 1..=3 {
        house.propose(house.refund(500 + n, "finance")).await;
        // six seconds, where what hangs is given ten
        let mut looks = 0..300;
        while (outside.heard.lock().len() as u64) < n {
            assert!(looks.next().is_some(), "told {} of {n}", outside.heard.lock().len());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    closing.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn a_state_that_was_passed_is_not_told_late() {
    let house = House::new().await;
    let outside = Outside::open(&[503, 503]).await;
    let hooks = vec![hook("chat", &outside.url, false)];
    let id = house.propose(house.refund(500, "finance")).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    house.pass(1);
    house.vote(id, "bob", true).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    for _ in 0..3 {
        house.pass(10 * MINUTE);
        sender(&house, hooks.clone()).once().await.unwrap();
    }
    let told: Vec<Value> = outside
        .heard
        .lock()
        .iter()
        .map(|(_, body)| serde_json::from_str::<Value>(body).unwrap()["type"].clone())
        .collect();
    assert_eq!(told, ["approval.proposed", "approval.approved", "approval.approved"]);
    assert!(house.store.deliveries(&house.scope, DeliveryState::Dead, 10).await.unwrap().is_empty());
    assert!(house.store.deliveries(&house.scope, DeliveryState::Waiting, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reason_from_outside_is_cut_and_hides_nothing() {
    let house = deciding().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let mut said: Value = serde_json::from_str(&said(&house, id, "bob", "no").await).unwrap();
    said["reason"] = json!(format!("not\nnow \u{202e}{}", "x".repeat(9_000)));
    let body = said.to_string();
    let (at, sent) = (seconds(&house).to_string(), signature("m1", seconds(&house), &body));
    let headers =
        [("webhook-id", "m1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", sent.as_str())];
    assert_eq!(callback(&house, &headers, &body).await.0, StatusCode::OK);
    let kept = house.store.approval(&house.scope, id).await.unwrap().unwrap();
    let reason = kept.approval.votes[0].reason.clone().unwrap();
    assert!(reason.starts_with("not now ⟨U+202E⟩x") && reason.chars().count() < 520, "{reason}");
}

#[tokio::test]
async fn what_was_given_up_is_on_a_page_and_an_administrator_has_it_tried_anew() {
    let house = House::new().await;
    let outside = Outside::open(&[410]).await;
    let hooks = vec![hook("<chat>", &outside.url, false)];
    let dave = house.sign_in("dave").await;
    let empty = house.get(&dave, "/console/webhooks").await.text;
    assert!(empty.contains("Nothing was given up") && empty.contains("Nothing is tried again"), "{empty}");
    assert!(!house.get(&dave, "/console").await.text.contains("id=\"untold\""));
    let about = house.propose(house.refund(500, "finance")).await;
    sender(&house, hooks.clone()).once().await.unwrap();
    let [one] =
        house.store.deliveries(&house.scope, DeliveryState::Dead, 10).await.unwrap().try_into().unwrap();
    for (who, may) in [("erin", false), ("bob", false), ("dave", true)] {
        let browser = house.sign_in(who).await;
        let page = house.get(&browser, "/console/webhooks").await.text;
        assert!(
            page.contains("&#60;chat&#62;") && page.contains("410") && !page.contains("<chat>"),
            "{page}"
        );
        assert!(page.contains(&format!("/console/approvals/{about}")), "{page}");
        assert_eq!(page.contains("Try anew"), may, "{who}");
        let home = house.get(&browser, "/console").await.text;
        assert!(home.contains("One message to a webhook was given up"), "{home}");
    }
    let fields = [("delivery", one.id.as_str())];
    for who in ["erin", "bob"] {
        let browser = house.sign_in(who).await;
        assert_eq!(
            house.post(&browser, "/console/webhooks/redeliver", &fields).await.status,
            StatusCode::FORBIDDEN
        );
    }
    let forged = crate::house::Browser { form: "other".to_owned(), ..dave.clone() };
    assert_eq!(
        house.post(&forged, "/console/webhooks/redeliver", &fields).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(house.store.deliveries(&house.scope, DeliveryState::Dead, 10).await.unwrap().len(), 1);
    for _ in 0..2 {
        // twice is once: the second finds nothing that was given up
        let said = house.post(&dave, "/console/webhooks/redeliver", &fields).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, "/console/webhooks"));
    }
    for wrong in ["", "a b", &"x".repeat(65)] {
        let said = house.post(&dave, "/console/webhooks/redeliver", &[("delivery", wrong)]).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    sender(&house, hooks).once().await.unwrap();
    assert_eq!(outside.heard.lock().len(), 2, "told at last");
    assert!(house.store.deliveries(&house.scope, DeliveryState::Dead, 10).await.unwrap().is_empty());
    let entries = house.ledger.read_entries(0, 1_000).unwrap();
    let recorded = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.contains("webhook-retried") && text.contains(&one.id) && text.contains("dave")
    };
    assert!(entries.iter().any(|(_, bytes)| recorded(bytes)), "it has a name in the record");
}

#[tokio::test]
async fn a_chat_message_cannot_be_written_by_a_call() {
    let house = House::new().await;
    let outside = Outside::open(&[]).await;
    let mut approval = house.refund(500, "finance");
    approval.preview.summary = "pay <!channel> & <https://evil.example|click>".to_owned();
    house.propose(approval).await;
    let slack = Hook { form: Form::Slack, ..hook("slack", &outside.url, false) };
    sender(&house, vec![slack]).once().await.unwrap();
    let told: Value = serde_json::from_str(&outside.heard.lock()[0].1).unwrap();
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt; &amp; &lt;https"), "{text}");
    for block in told["blocks"].as_array().unwrap() {
        let kinds =
            [&block["text"]["type"], &block["elements"][0]["type"], &block["elements"][0]["text"]["type"]];
        assert!(!kinds.contains(&&json!("mrkdwn")), "{block}");
    }
}
