//! Coming in and going out.

use crate::house::{Browser, House, MINUTE, ORIGIN};
use callgate_console::LINK_TIME;
use http::{Method, StatusCode};
use http_body_util::Full;
use policy::Visitor;

#[tokio::test]
async fn a_link_lets_one_person_in_with_a_cookie_that_only_this_host_gets() {
    let house = House::new().await;
    let page = house.get(&Browser::default(), "/console/sign-in").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("action=\"/console/sign-in\""));
    let link = house.console.invite(Visitor::Person("bob".parse().unwrap())).await.unwrap();
    let (path, code) = link.split_once('#').unwrap();
    assert_eq!(path, "/console/sign-in", "the code is where no server sees it");
    assert_eq!(code.len(), 43, "256 bits");
    let said = house.post(&Browser::default(), path, &[("code", code)]).await;
    assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, "/console"));
    let cookie = said.header("set-cookie");
    assert!(cookie.starts_with("__Host-callgate="));
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
    let browser = Browser { cookie: said.cookie().unwrap(), form: String::new() };
    let home = house.get(&browser, "/console").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.text.contains(">bob<small>approver</small>"), "{}", home.text);
}

#[tokio::test]
async fn nobody_who_is_not_signed_in_sees_anything() {
    let house = House::new().await;
    for path in ["/console", "/console/approvals", "/console/activity"] {
        let said = house.get(&Browser::default(), path).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, "/console/sign-in"));
        let wrong = Browser { cookie: "__Host-callgate=guessed".to_owned(), form: String::new() };
        assert_eq!(house.get(&wrong, path).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(house.get(&Browser::default(), "/console/live").await.status, StatusCode::UNAUTHORIZED);
}

/// `name=value` of each cookie that was set.
fn cookies(said: &crate::house::Said) -> Vec<String> {
    let set = said.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    set.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_asked_for_a_page_comes_to_it_once_they_are_signed_in() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let nobody = Browser::default();
    for page in [format!("/console/approvals/{id}"), "/console/servers/review?name=crm".to_owned()] {
        let said = house.get(&nobody, &page).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, "/console/sign-in"));
        let kept = said.header("set-cookie");
        assert!(kept.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=600"), "{kept}");
        let browser = Browser { cookie: cookies(&said).remove(0), form: String::new() };
        let door = house.get(&browser, "/console/sign-in").await.text;
        assert!(
            door.contains("the page that you asked for") && door.contains("callgate console --as NAME"),
            "{door}"
        );
        let wrong = house.post(&browser, "/console/sign-in", &[("code", "wrong")]).await;
        assert!(wrong.text.contains("the page that you asked for"), "{}", wrong.text);
        let code = house.code(Visitor::Person("bob".parse().unwrap())).await;
        let said = house.post(&browser, "/console/sign-in", &[("code", &code)]).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, page.as_str()));
        let [session, forgotten] = cookies(&said).try_into().unwrap();
        assert!(session.len() > 50 && forgotten == "__Host-callgate-to=", "kept once");
    }
    assert!(!house.get(&nobody, "/console/sign-in").await.text.contains("asked for"));
}

#[tokio::test]
async fn signing_in_leads_to_no_other_place() {
    let house = House::new().await;
    for to in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "/console/../evil",
        "/console//evil.example",
        "/console/sign-out",
        "/mcp",
        "/console/activity; __Host-callgate-to=/console/webhooks",
    ] {
        let browser = Browser { cookie: format!("__Host-callgate-to={to}"), form: String::new() };
        let code = house.code(Visitor::Person("bob".parse().unwrap())).await;
        let query = format!("/console/sign-in?to={}", to.replace([';', ' ', '\\'], ""));
        let said = house.post(&browser, &query, &[("code", &code), ("to", to)]).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, "/console"), "{to}");
    }
}

#[tokio::test]
async fn a_form_of_somebody_who_is_signed_out_says_so_and_leads_back() {
    let house = House::new().await;
    let id = house.propose(house.refund(500, "finance")).await;
    let bob = house.sign_in("bob").await;
    house.post(&bob, "/console/sign-out", &[]).await;
    for (path, field, back) in [
        (format!("/console/approvals/{id}/approve"), ("reason", "x"), format!("/console/approvals/{id}")),
        ("/console/servers/step".to_owned(), ("server", "crm"), "/console/servers/one?name=crm".to_owned()),
        (
            "/console/servers/review".to_owned(),
            ("server", "\"><b>"),
            "/console/servers/review?name=%22%3E%3Cb%3E".to_owned(),
        ),
    ] {
        let said = house.post(&bob, &path, &[field]).await;
        assert_eq!(said.status, StatusCode::UNAUTHORIZED);
        assert!(
            said.text.contains("Nothing was done") && said.text.contains(&format!("href=\"{back}\"")),
            "{}",
            said.text
        );
    }
    // what a page asks by itself is told the same, and is no target
    let by_itself = house.request(Method::GET, &bob, "/console/approvals").header("sec-fetch-dest", "empty");
    let said = house.send(by_itself.body(Full::default()).unwrap()).await;
    assert_eq!((said.status, said.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""));
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_in_any_case_one_day() {
    let house = House::new().await;
    let browser = house.sign_in("bob").await;
    for _ in 0..3 {
        house.pass(29 * MINUTE);
        assert_eq!(house.get(&browser, "/console").await.status, StatusCode::OK);
    }
    house.pass(20 * MINUTE);
    let by_itself = house.request(Method::GET, &browser, "/console").header("sec-fetch-dest", "empty");
    assert_eq!(house.send(by_itself.body(Full::default()).unwrap()).await.status, StatusCode::OK);
    house.pass(11 * MINUTE);
    let idle = house.get(&browser, "/console").await;
    assert_eq!(idle.status, StatusCode::SEE_OTHER, "what the page did by itself was no use");
    let browser = house.sign_in("bob").await;
    for _ in 0..25 {
        house.pass(28 * MINUTE);
        assert_eq!(house.get(&browser, "/console").await.status, StatusCode::OK);
    }
    house.pass(28 * MINUTE);
    assert_eq!(house.get(&browser, "/console").await.status, StatusCode::SEE_OTHER, "12 hours are over");
}

#[tokio::test]
async fn who_signs_out_is_out() {
    let house = House::new().await;
    let browser = house.sign_in("bob").await;
    let said = house.post(&browser, "/console/sign-out", &[]).await;
    assert_eq!(said.status, StatusCode::SEE_OTHER);
    assert!(said.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(house.get(&browser, "/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_person_who_loses_a_group_is_out_at_once() {
    let house = House::new().await;
    let browser = house.sign_in("bob").await;
    house.store.set_groups(&house.scope, &crate::house::user("bob", &[]), "ops").await.unwrap();
    assert_eq!(
        house.get(&browser, "/console").await.status,
        StatusCode::FORBIDDEN,
        "without a group, no role"
    );
}

#[tokio::test]
async fn sessions_and_links_end_with_the_person_and_not_with_the_name() {
    let house = House::new().await;
    let bob: decision::UserName = "bob".parse().unwrap();
    let id = house.propose(house.refund(500, "finance")).await;
    // with a click while there is nobody of that name, and without one
    for clicks in [true, false] {
        let browser = house.sign_in("bob").await;
        let (early, late) =
            (house.code(Visitor::Person(bob.clone())).await, house.code(Visitor::Person(bob.clone())).await);
        house.store.remove_user(&house.scope, &bob, "ops").await.unwrap();
        if clicks {
            assert_eq!(house.get(&browser, "/console").await.status, StatusCode::SEE_OTHER);
        }
        let spent = house.post(&Browser::default(), "/console/sign-in", &[("code", &early)]).await;
        assert_eq!((spent.status, spent.cookie()), (StatusCode::FORBIDDEN, None), "nobody has that name");
        house.pass(1);
        let again = crate::house::user("bob", &["finance"]);
        house.store.add_user(&house.scope, &again, "ops").await.unwrap();
        assert_eq!(house.get(&browser, "/console").await.status, StatusCode::SEE_OTHER);
        let approve = format!("/console/approvals/{id}/approve");
        assert_eq!(house.post(&browser, &approve, &[]).await.status, StatusCode::UNAUTHORIZED);
        let spent = house.post(&Browser::default(), "/console/sign-in", &[("code", &late)]).await;
        assert_eq!((spent.status, spent.cookie()), (StatusCode::FORBIDDEN, None), "it is another bob");
    }
    assert_eq!(house.state(id).await, decision::approval::State::Proposed);
    house.sign_in("bob").await;
}

#[tokio::test]
async fn a_link_elsewhere_opens_the_page_once_the_browser_sends_its_cookie() {
    let house = House::new().await;
    let from_chat =
        house.request(Method::GET, &Browser::default(), "/console/approvals?x=%0d%0aset-cookie:y");
    let request = from_chat.header("sec-fetch-site", "cross-site").body(Full::default()).unwrap();
    let said = house.send(request).await;
    assert_eq!((said.status, said.header("refresh")), (StatusCode::OK, "0; url=/console/approvals"));
    assert!(said.header("set-cookie").is_empty());
}

#[tokio::test]
async fn wrong_codes_are_counted_and_keep_nobody_out_who_has_a_right_one() {
    let house = House::new().await;
    let nobody = Browser::default();
    let good = house.code(Visitor::Person("bob".parse().unwrap())).await;
    for n in 0..10 {
        let said = house.post(&nobody, "/console/sign-in", &[("code", &format!("guess-{n}"))]).await;
        assert_eq!(said.status, StatusCode::FORBIDDEN);
        assert!(said.cookie().is_none());
    }
    let guess = async || house.post(&nobody, "/console/sign-in", &[("code", "guess")]).await.status;
    assert_eq!(guess().await, StatusCode::TOO_MANY_REQUESTS);
    house.enter(&good).await;
    assert_eq!(guess().await, StatusCode::TOO_MANY_REQUESTS);
    house.pass(MINUTE);
    assert_eq!(guess().await, StatusCode::FORBIDDEN);
    let said = house.post(&nobody, "/console/sign-in", &[("code", &good)]).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN, "it is spent");
}

#[tokio::test]
async fn a_link_is_over_after_ten_minutes() {
    let house = House::new().await;
    let code = house.code(Visitor::Operator).await;
    house.pass(u64::try_from(LINK_TIME.as_micros()).unwrap());
    let said = house.post(&Browser::default(), "/console/sign-in", &[("code", &code)]).await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
    assert!(said.cookie().is_none());
}

#[tokio::test]
async fn a_console_that_is_off_is_nowhere() {
    let house = House::with(callgate_console::Settings { enabled: false, ..Default::default() }).await;
    let code = house.code(Visitor::Operator).await;
    for path in ["/console", "/console/sign-in"] {
        assert_eq!(house.get(&Browser::default(), path).await.status, StatusCode::NOT_FOUND);
    }
    let said = house.post(&Browser::default(), "/console/sign-in", &[("code", &code)]).await;
    assert_eq!(said.status, StatusCode::NOT_FOUND);
    assert!(ORIGIN.starts_with("http://"));
}
