//! Ten thousand that wait.

use crate::house::House;
use std::time::Duration;

/// What the page may cost the server.
const TIME_MAX: Duration = Duration::from_millis(200);
const BYTES_MAX: usize = 150_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_wait_are_a_page_in_200_ms_and_150_kb() {
    let house = House::new().await;
    for n in 0..10_000 {
        let mut one = house.refund(n, "finance");
        one.preview.summary = format!("{} {}", one.preview.summary, "and tell them so ".repeat(20));
        // behind the desk's back: ten thousand entries of the ledger are not what is measured
        house.store.propose(&house.scope, &one).await.unwrap();
    }
    let bob = house.sign_in("bob").await;
    let mut path = "/console/approvals".to_owned();
    for step in 0..4 {
        let mut best = Duration::MAX;
        let mut text = String::new();
        // the best of three: another test may have the processor
        for _ in 0..3 {
            let began = tokio::time::Instant::now();
            text = house.get(&bob, &path).await.text;
            best = best.min(began.elapsed());
        }
        assert_eq!(text.matches("<li class=\"line").count(), 50);
        assert!(text.contains(">10000</span>"), "all are counted");
        assert!(best < TIME_MAX, "page {step} took {best:?}");
        assert!(text.len() < BYTES_MAX, "page {step} has {} bytes", text.len());
        let (before, _) = text.split_once("\" rel=\"next\"").unwrap();
        path = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&");
    }
    let home = house.get(&bob, "/console").await.text;
    assert!(home.contains("and at least 192 more") && home.contains("9800 more wait"), "{home}");
    assert!(home.len() < BYTES_MAX);
}
