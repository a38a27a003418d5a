//! What somebody would try.

use crate::house::{Browser, HOST, House, MINUTE, ORIGIN};
use bytes::Bytes;
use callgate_console::Route;
use decision::approval::{Preview, State};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use policy::Visitor;

#[tokio::test]
async fn a_stolen_link_is_worth_nothing_twice_late_or_by_get() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let code = house.code(Visitor::Person("bob".parse().unwrap())).await;
    // a preview fetches the link: nothing is spent
    for path in [format!("/console/sign-in?code={code}"), format!("/console/sign-in?{code}")] {
        let said = house.get(&Browser::default(), &path).await;
        assert!(said.cookie().is_none());
        assert!(!said.text.contains(&code), "nor repeated");
    }
    house.enter(&code).await;
    let twice = house.post(&Browser::default(), "/console/sign-in", &[("code", &code)]).await;
    assert_eq!(twice.status, StatusCode::FORBIDDEN);
    assert!(twice.cookie().is_none());
    // the address of a vote without the session
    let nobody = house.post(&Browser::default(), &Route::Approve(id).path(), &[]).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    let late = house.code(Visitor::Person("bob".parse().unwrap())).await;
    house.pass(10 * MINUTE);
    let said = house.post(&Browser::default(), "/console/sign-in", &[("code", &late)]).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    assert_eq!(house.state(id).await, State::Proposed);
}

#[tokio::test]
async fn nobody_approves_by_following_a_link() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let bob = house.sign_in("bob").await;
    for route in [Route::Approve(id), Route::Deny(id), Route::Revoke(id)] {
        let path = format!("{}?form={}&reason=x", route.path(), bob.form);
        let said = house.get(&bob, &path).await;
        assert_eq!((said.status, said.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
    assert_eq!(house.state(id).await, State::Proposed);
}

#[tokio::test]
async fn nobody_approves_their_own() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let alice = house.sign_in("alice").await;
    let said = house.post(&alice, &Route::Approve(id).path(), &[]).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    assert!(said.text.contains("nobody approves their own"));
    // nor by what she lent
    let lent = store::Delegation {
        lender: "alice".parse().unwrap(),
        borrower: "mallory".parse().unwrap(),
        group: "finance".parse().unwrap(),
        made_at: house.now(),
        made_by: "alice".to_owned(),
        until: decision::Timestamp(house.now().0 + MINUTE),
    };
    house.store.lend(&house.scope, &lent).await.unwrap();
    let mallory = house.sign_in("mallory").await;
    let said = house.post(&mallory, &Route::Approve(id).path(), &[]).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    assert_eq!(house.state(id).await, State::Proposed);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_or_from_another_page_does_nothing() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let (bob, carol) = (house.sign_in("bob").await, house.sign_in("carol").await);
    for form in ["", "guessed", &carol.form] {
        let forged = Browser { form: form.to_owned(), ..bob.clone() };
        let said = house.post(&forged, &Route::Approve(id).path(), &[]).await;
        assert_eq!(said.status, StatusCode::FORBIDDEN, "token `{form}`");
    }
    let body = format!("form={}", bob.form);
    for origin in [
        None,
        Some("null"),
        Some("http://evil.example"),
        Some("http://callgate.localhost:9999"),
        Some("https://callgate.localhost:7300"),
    ] {
        let mut request = house
            .request(Method::POST, &bob, &Route::Approve(id).path())
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let said = house.send(request.body(Full::from(body.clone())).unwrap()).await;
        assert_eq!(said.status, StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert_eq!(house.state(id).await, State::Proposed);
    let right = house.post(&bob, &Route::Approve(id).path(), &[]).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_is_signed_in_by_another_page() {
    let house = House::new().await;
    let code = house.code(Visitor::Person("mallory".parse().unwrap())).await;
    let request = Request::post("/console/sign-in")
        .header("host", HOST)
        .header("origin", "http://evil.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(format!("code={code}")))
        .unwrap();
    let said = house.send(request).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    assert!(said.cookie().is_none());
    house.enter(&code).await;
}

#[tokio::test]
async fn a_session_that_was_planted_is_nobodys() {
    let house = House::new().await;
    let planted = Browser { cookie: format!("__Host-callgate={}", "A".repeat(43)), form: String::new() };
    let code = house.code(Visitor::Person("bob".parse().unwrap())).await;
    let said = house.post(&planted, "/console/sign-in", &[("code", &code)]).await;
    let given = said.cookie().unwrap();
    assert_ne!(given, planted.cookie, "the session is a new one");
    assert_eq!(house.get(&planted, "/console").await.status, StatusCode::SEE_OTHER);
    // signing in again ends the session the browser had
    let first = Browser { cookie: given, form: String::new() };
    let code = house.code(Visitor::Person("carol".parse().unwrap())).await;
    let second = house.post(&first, "/console/sign-in", &[("code", &code)]).await;
    assert_ne!(second.cookie().unwrap(), first.cookie);
    assert_eq!(house.get(&first, "/console").await.status, StatusCode::SEE_OTHER);
    let both =
        Browser { cookie: format!("{}; {}", first.cookie, second.cookie().unwrap()), form: String::new() };
    assert_eq!(house.get(&both, "/console").await.status, StatusCode::SEE_OTHER, "two are none");
}

#[tokio::test]
async fn text_of_a_call_cannot_make_the_prompt_lie() {
    let house = House::new().await;
    let mut lie = house.refund(500, "finance");
    lie.preview = Preview {
        summary: "Refund 5 <b>euro</b>\u{202e}ruoy ot 0005".to_owned(),
        arguments: "{\n  \"to\": \"</pre><script>alert(1)</script>\u{2067}x\u{200b}\",\n  \"n\": 5\n}"
            .to_owned(),
        effect: "read\"><b>".to_owned(),
        labels: vec!["<img src=x>\u{2066}".to_owned()],
        because: vec!["a\u{85}b".to_owned()],
        undo: Some("\u{e0041}undo".to_owned()),
        ..lie.preview
    };
    let terms = &mut lie.terms;
    terms.host = Some("<i>Host</i>\u{feff}".to_owned());
    terms.target.item.name = "read\u{202e}tfard".to_owned();
    let id = house.propose(lie).await;
    let bob = house.sign_in("bob").await;
    for path in ["/console", "/console/approvals", &Route::Approval(id).path(), &Route::Row(id).path()] {
        let page = house.get(&bob, path).await;
        assert_eq!(page.status, StatusCode::OK);
        for markup in ["<b>euro", "<script>alert", "<img src=x", "<i>Host", "read\"><b>"] {
            assert!(!page.text.contains(markup), "{markup} in {path}");
        }
        let hidden = |c: char| {
            matches!(
                c,
                '\u{202e}' | '\u{2067}' | '\u{2066}' | '\u{200b}' | '\u{85}' | '\u{feff}' | '\u{e0041}'
            )
        };
        assert!(!page.text.contains(hidden), "{path}");
        assert!(page.text.contains("⟨U+202E⟩ruoy ot 0005"), "{path}");
    }
    let page = house.get(&bob, &Route::Approval(id).path()).await.text;
    assert!(
        page.contains(
            "<bdi>&#34;&#60;/pre&#62;&#60;script&#62;alert(1)&#60;/script&#62;⟨U+2067⟩x⟨U+200B⟩&#34;</bdi>,"
        ),
        "{page}"
    );
}

#[tokio::test]
async fn nothing_of_a_request_gets_into_a_header() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let bob = house.sign_in("bob").await;
    let split = "x%0d%0aset-cookie:%20a=b";
    for path in [
        format!("/console/approvals/{id}{split}"),
        format!("/console/approvals?after={split}"),
        format!("/console/activity?before={split}&text={split}"),
        format!("/console/sign-in?next={split}"),
    ] {
        let said = house.get(&bob, &path).await;
        assert!(said.header("set-cookie").is_empty() && said.header("location").is_empty(), "{path}");
    }
    let reason = [("reason", "x\r\nset-cookie: a=b"), ("next", "//evil.example")];
    let said = house.post(&bob, &Route::Deny(id).path(), &reason).await;
    assert_eq!(said.header("location"), Route::Approval(id).path());
    assert!(said.header("set-cookie").is_empty());
}

#[tokio::test]
async fn a_form_that_is_too_large_odd_or_double_is_refused() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let bob = house.sign_in("bob").await;
    let send = |kind: &'static str, body: String| {
        let request = house
            .request(Method::POST, &bob, &Route::Deny(id).path())
            .header("origin", ORIGIN)
            .header("content-type", kind)
            .body(Full::from(Bytes::from(body)))
            .unwrap();
        house.send(request)
    };
    let form = "application/x-www-form-urlencoded";
    let token = &bob.form;
    let large = send(form, format!("form={token}&reason={}", "x".repeat(20 << 10))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let json = send("application/json", "{}".to_owned()).await;
    assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let double = send(form, format!("form={token}&form={token}&reason=x")).await;
    assert_eq!(double.status, StatusCode::BAD_REQUEST);
    let many: String = (0..40).map(|n| format!("&f{n}=")).collect();
    assert_eq!(send(form, format!("form={token}{many}")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.state(id).await, State::Proposed);
    let long = send(form, format!("form={token}&reason={}", "x".repeat(5_000))).await;
    assert_eq!(long.status, StatusCode::SEE_OTHER);
    let kept = house.store.approval(&house.scope, id).await.unwrap().unwrap().approval;
    assert_eq!(kept.denial().unwrap().reason.as_ref().unwrap().len(), 500);
}
