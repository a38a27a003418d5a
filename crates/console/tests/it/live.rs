//! The stream of changes.

use crate::house::{Browser, House};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::time::Duration;

async fn open(house: &House, browser: &Browser) -> (StatusCode, callgate_console::Body) {
    let request = house.request(Method::GET, browser, "/console/live").body(Full::default()).unwrap();
    let (head, body) = house.open(request).await.into_parts();
    (head.status, body)
}

/// The next piece, or `None` at the end.
async fn next(body: &mut callgate_console::Body) -> Option<String> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap()?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_change_is_told_by_name_to_every_page_that_is_open() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    let (_, mut one) = open(&house, &bob).await;
    let (_, mut two) = open(&house, &bob).await;
    for body in [&mut one, &mut two] {
        assert!(next(body).await.unwrap().contains("event: hello"));
    }
    let id = house.propose(house.refund(500, "finance")).await;
    for body in [&mut one, &mut two] {
        assert_eq!(next(body).await.unwrap(), format!("event: approval\ndata: {id}\n\n"));
    }
    let row = house.get(&bob, &format!("/console/approvals/{id}/row")).await;
    assert!(row.text.trim_start().starts_with("<li class=\"line mine\""), "{}", row.text);
}

#[tokio::test]
async fn pages_are_told_that_the_record_has_more_and_that_files_were_refused() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    let (_, mut body) = open(&house, &bob).await;
    next(&mut body).await.unwrap();
    crate::pages::recorded(&house).await;
    assert_eq!(next(&mut body).await.unwrap(), "event: record\ndata: \n\n");
    let refused = callgate_console::RefusedFiles { at: house.now(), problems: vec!["no".to_owned()] };
    house.servers.1.lock().unwrap().refused = Some(refused);
    assert_eq!(next(&mut body).await.unwrap(), "event: record\ndata: \n\n");
    // every page that says it follows has something that it looks at
    house.servers.put("crm");
    for page in [
        "",
        "/approvals",
        "/approvals/history",
        "/activity",
        "/servers",
        "/servers/one?name=crm",
        "/servers/review?name=crm",
    ] {
        let text = house.get(&bob, &format!("/console{page}")).await.text;
        assert!(text.contains("data-watched") || text.contains("data-list"), "{page}");
    }
}

#[tokio::test]
async fn whoever_signed_out_is_told_nothing_more() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    let (_, mut body) = open(&house, &bob).await;
    next(&mut body).await.unwrap();
    let carol = house.sign_in("carol").await;
    let (_, mut other) = open(&house, &carol).await;
    next(&mut other).await.unwrap();
    house.post(&bob, "/console/sign-out", &[]).await;
    let at_once = tokio::time::timeout(Duration::from_secs(5), next(&mut body)).await.unwrap();
    assert_eq!(at_once.as_deref(), Some("event: out\ndata: \n\n"));
    let id = house.propose(house.refund(500, "finance")).await;
    assert_eq!(next(&mut body).await, None);
    let told = next(&mut other).await.unwrap();
    assert_eq!(told, format!("event: approval\ndata: {id}\n\n"), "others go on");
}

#[tokio::test]
async fn whoever_was_removed_or_has_no_role_is_told_nothing_more() {
    let house = House::new().await;
    let mut bodies = Vec::new();
    for name in ["bob", "carol", "alice"] {
        let browser = house.sign_in(name).await;
        let (_, mut body) = open(&house, &browser).await;
        next(&mut body).await.unwrap();
        bodies.push(body);
    }
    house.store.remove_user(&house.scope, &"bob".parse().unwrap(), "ops").await.unwrap();
    house.store.set_groups(&house.scope, &crate::house::user("carol", &[]), "ops").await.unwrap();
    let id = house.propose(house.refund(500, "finance")).await;
    let mut alice = bodies.pop().unwrap();
    for mut body in bodies {
        assert_eq!(next(&mut body).await.as_deref(), Some("event: out\ndata: \n\n"));
        assert_eq!(next(&mut body).await, None);
    }
    assert_eq!(next(&mut alice).await.unwrap(), format!("event: approval\ndata: {id}\n\n"));
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_gateway() {
    let house = House::new().await;
    let bob = house.sign_in("bob").await;
    let mut bodies = Vec::new();
    for _ in 0..64 {
        let (status, body) = open(&house, &bob).await;
        assert_eq!(status, StatusCode::OK);
        bodies.push(body);
    }
    assert_eq!(open(&house, &bob).await.0, StatusCode::SERVICE_UNAVAILABLE);
    bodies.pop();
    let (status, mut body) = open(&house, &bob).await;
    assert_eq!(status, StatusCode::OK, "one that went made room");
    next(&mut body).await.unwrap();
    house.closing.cancel();
    assert_eq!(next(&mut body).await, None);
}
