//! Every route, for everybody.

use crate::house::{Browser, House};
use callgate_console::{Access, Route};
use decision::{ApprovalId, CallId};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use policy::Visitor;

/// What somebody gets: ✔ an answer, ✘ a refusal, → signing in.
async fn mark(house: &House, browser: &Browser, method: &Method, route: Route) -> &'static str {
    let status = match *method {
        Method::POST => house.post(browser, &route.path(), &[("reason", "no"), ("code", "x")]).await.status,
        _ => {
            let path = match matches!(route, Route::Server | Route::Review) {
                true => format!("{}?name=crm", route.path()),
                false => route.path(),
            };
            let request = house.request(Method::GET, browser, &path).body(Full::default()).unwrap();
            let mut answer = house.open(request).await;
            // the stream has no end
            let _ = answer.body_mut().frame().await;
            answer.status()
        }
    };
    match (status, route) {
        (StatusCode::BAD_REQUEST, Route::Redeliver) => "\u{2714}", // it names no message
        (StatusCode::NOT_FOUND, Route::StepServer | Route::LookAt | Route::Judge) => "\u{2714}", // it names no server
        (StatusCode::FORBIDDEN, Route::SignIn) => "\u{2714}", // it was a wrong code
        (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _) => "\u{2718}",
        (StatusCode::SEE_OTHER, route) if method == Method::GET && route.access() != Access::Open => {
            "\u{2192}"
        }
        (status, _) if status.is_success() || status.is_redirection() => "\u{2714}",
        (status, _) => panic!("{route:?} says {status}"),
    }
}

#[tokio::test]
async fn every_route_is_for_whom_the_table_says() {
    let house = House::new().await;
    let call = crate::pages::recorded(&house).await;
    let people = ["nobody", "mallory", "erin", "bob", "alice", "dave", "rita", "operator"];
    house.servers.put("crm");
    let mut rows: std::collections::BTreeMap<String, String> = Default::default();
    for who in people {
        for n in 0..Route::all(ApprovalId::from_bytes([0; 16]), call).len() {
            // a fresh one each time: what one route does must not show in the next
            let id = house.propose(house.refund(500, "finance")).await;
            let browser = match who {
                "nobody" => Browser::default(),
                "operator" => house.enter(&house.code(Visitor::Operator).await).await,
                name => house.sign_in(name).await,
            };
            let browser = match browser.form.is_empty() && who == "mallory" {
                // a page without a role has no form; the session has its token all the same
                true => Browser { form: "unknown".to_owned(), ..browser },
                false => browser,
            };
            let (method, route) = Route::all(id, call)[n].clone();
            let mark = mark(&house, &browser, &method, route).await;
            let name = format!("{route:?}").split('(').next().unwrap().to_owned();
            rows.entry(name).or_default().push_str(&format!("{mark} "));
        }
    }
    let table: String = rows.iter().map(|(route, marks)| format!("{route:<11} {}\n", marks.trim())).collect();
    let header = "            nobody, no role, viewer, approver, approver who asked, administrator, registry administrator, operator\n";
    assert_eq!(format!("{header}{table}"), TABLE, "\n{table}");
    let _ = CallId::from_bytes([0; 16]);
}

const TABLE: &str =
    "            nobody, no role, viewer, approver, approver who asked, administrator, registry administrator, operator
Activity    → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Approval    → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Approve     ✘ ✘ ✘ ✔ ✘ ✘ ✘ ✘
Call        → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Callback    ✘ ✘ ✘ ✘ ✘ ✘ ✘ ✘
Deny        ✘ ✘ ✘ ✔ ✘ ✘ ✘ ✘
History     → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Home        → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Icon        ✔ ✔ ✔ ✔ ✔ ✔ ✔ ✔
Judge       ✘ ✘ ✘ ✘ ✘ ✘ ✔ ✘
Live        ✘ ✘ ✔ ✔ ✔ ✔ ✔ ✔
LookAt      ✘ ✘ ✘ ✘ ✘ ✘ ✔ ✘
Queue       → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Redeliver   ✘ ✘ ✘ ✘ ✘ ✔ ✘ ✔
Review      → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Revoke      ✘ ✘ ✘ ✘ ✘ ✔ ✘ ✔
Row         ✘ ✘ ✔ ✔ ✔ ✔ ✔ ✔
Script      ✔ ✔ ✔ ✔ ✔ ✔ ✔ ✔
Server      → ✘ ✔ ✔ ✔ ✔ ✔ ✔
Servers     → ✘ ✔ ✔ ✔ ✔ ✔ ✔
SignIn      ✔ ✔ ✔ ✔ ✔ ✔ ✔ ✔
SignInPage  ✔ ✔ ✔ ✔ ✔ ✔ ✔ ✔
SignOut     ✘ ✘ ✔ ✔ ✔ ✔ ✔ ✔
StepServer  ✘ ✘ ✘ ✘ ✘ ✘ ✔ ✘
Style       ✔ ✔ ✔ ✔ ✔ ✔ ✔ ✔
Webhooks    → ✘ ✔ ✔ ✔ ✔ ✔ ✔
";
