//! A wall clock that somebody sets, back and forth, while calls are on their way.

use crate::calls::legacy_house;
use decision::Entry;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

const HOUR: i64 = 3_600;

#[tokio::test]
async fn a_wall_clock_that_jumps_costs_nothing_but_what_has_expired_by_it() {
    let (house, script) = legacy_house().await;
    let house = Arc::new(house);
    let session = house.initialize("/s/script/mcp").await;
    let call = |id: u64, name: &'static str| {
        let (house, session) = (Arc::clone(&house), session.clone());
        async move {
            let params = json!({ "name": name, "arguments": {} });
            let told = house.legacy("/s/script/mcp", &session, id, "tools/call", params);
            timeout(Duration::from_secs(20), told).await.unwrap()
        }
    };
    // the token is good for an hour from now
    for (id, hours) in (10..).zip([0, -1, -24 * 30, 0, -24 * 365 * 20, 0]) {
        house.set_clock(hours * HOUR);
        let told = call(id, "echo").await;
        assert_eq!(told.status, 200, "{hours} hours: {told:?}");
        assert!(told.json()["result"].is_object(), "{hours} hours: {told:?}");
    }
    house.set_clock(48 * HOUR);
    let told = call(30, "echo").await;
    assert!(told.json()["result"].is_null(), "a token that has expired by the clock: {told:?}");
    house.set_clock(0);

    // a timeout is measured, not read off the wall
    for (id, hours) in [(40, 5), (41, -5)] {
        let session = house.initialize("/s/script/mcp").await;
        let (other, heard, began) = (Arc::clone(&house), script.heard("tools/call").len(), Instant::now());
        let hanging = tokio::spawn(async move {
            let params = json!({ "name": "hang", "arguments": {} });
            other.legacy("/s/script/mcp", &session, id, "tools/call", params).await
        });
        while script.heard("tools/call").len() == heard {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.set_clock(hours * HOUR);
        let told = timeout(Duration::from_secs(30), hanging).await.unwrap().unwrap();
        house.set_clock(0);
        let code = told.json()["result"]["_meta"]["callgate/refusal"]["code"].clone();
        assert_eq!(code, "upstream-timeout", "{told:?}");
        assert!(began.elapsed() > Duration::from_millis(2_500), "after {:?}", began.elapsed());
    }

    let (asked, decided) = house.counts();
    assert_eq!(asked, decided);
    let mut ids = BTreeSet::new();
    for entry in house.entries() {
        if let Entry::Decision(decision) = entry {
            assert!(ids.insert(decision.call), "{} twice", decision.call);
        }
    }
    // errands of the gateway's own have theirs, too
    assert!(ids.len() >= asked, "{} decisions of {asked} calls", ids.len());
}
