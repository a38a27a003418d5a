//! Where somebody wanted to go before they were signed in. Their browser keeps it for as long as a link is good.

use crate::web::{self, Body};
use crate::{Fields, LINK_TIME, Route};
use http::{HeaderMap, HeaderValue, Method, Response, header};

const COOKIE: &str = "__Host-callgate-to";
/// Longest address that is kept with what it asks; of a longer one the page is.
const BYTES_MAX: usize = 1_500;
/// What pages are asked.
const ASKED: [&str; 13] = [
    "name", "only", "after", "before", "text", "agent", "user", "server", "tool", "code", "ended", "from",
    "to",
];

/// The address of a page with what it is asked, written anew: nothing of a request is in it as it came.
pub(crate) fn of(route: Route, fields: &Fields) -> String {
    let asked = ASKED.into_iter().filter_map(|name| Some((name, fields.get(name)?)));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(asked).finish();
    let whole = format!("{}?{query}", route.path());
    if query.is_empty() || whole.len() > BYTES_MAX { route.path() } else { whole }
}

/// The page that a form was on.
pub(crate) fn behind(route: Route, fields: &Fields) -> Option<String> {
    let of_server = |page| {
        let name = fields.get("server")?.clone();
        Some(of(page, &Fields::from([("name".to_owned(), name)])))
    };
    match route {
        Route::Approve(id) | Route::Deny(id) | Route::Revoke(id) => Some(Route::Approval(id).path()),
        Route::Redeliver => Some(Route::Webhooks.path()),
        Route::StepServer | Route::LookAt => of_server(Route::Server),
        Route::Judge => of_server(Route::Review),
        Route::SignInPage
        | Route::SignIn
        | Route::SignOut
        | Route::Style
        | Route::Script
        | Route::Icon
        | Route::Home
        | Route::Queue
        | Route::History
        | Route::Approval(_)
        | Route::Row(_)
        | Route::Activity
        | Route::Call(_)
        | Route::Webhooks
        | Route::Servers
        | Route::Server
        | Route::Review
        | Route::Live
        | Route::Callback => None,
    }
}

/// Has the browser keep it.
pub(crate) fn keep(mut response: Response<Body>, to: &str) -> Response<Body> {
    set(
        &mut response,
        &format!("{COOKIE}={to}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}", LINK_TIME.as_secs()),
    );
    response
}

/// Has the browser forget what it kept, if it did.
pub(crate) fn forget(mut response: Response<Body>, headers: &HeaderMap) -> Response<Body> {
    if web::cookie(headers, COOKIE).is_some() {
        set(&mut response, &format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"));
    }
    response
}

/// What the browser kept, if it is a page of ours; whoever wrote it there, it leads to nowhere else.
pub(crate) fn kept(headers: &HeaderMap) -> Option<String> {
    read(web::cookie(headers, COOKIE)?)
}

fn read(text: &str) -> Option<String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let route = Route::of(&Method::GET, path).ok().filter(|route| route.is_page())?;
    Some(of(route, &web::fields(query.as_bytes()).ok()?))
}

fn set(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::{ApprovalId, Timestamp};

    #[test]
    fn a_target_is_a_page_of_ours_and_nothing_else() {
        let page = Route::Approval(ApprovalId::new(Timestamp(1), [1; 10])).path();
        for ours in [
            page.as_str(),
            "/console",
            "/console/servers/review?name=crm",
            "/console/activity?text=a+%2F%2Fb%0D%0A&ended=refused",
        ] {
            assert_eq!(read(ours).as_deref(), Some(ours));
        }
        assert_eq!(
            read("/console/servers/one?name=crm&next=//evil").as_deref(),
            Some("/console/servers/one?name=crm")
        );
        let long = format!("/console/activity?text={}", "x".repeat(2_000));
        assert_eq!(read(&long).as_deref(), Some("/console/activity"));
        for foreign in [
            "",
            "/",
            "//evil.example",
            "//evil.example/console",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "https://evil.example/console",
            "https:evil.example",
            "javascript:alert(1)",
            "/console//evil.example",
            "/console/../x",
            "/console/.//evil.example",
            "/console\\evil",
            "/console@evil.example",
            "/consoles",
            "console",
            "/mcp",
            "/console/live",
            "/console/sign-in",
            "/console/sign-out",
            "/console/servers/step",
            "/console/approvals/x",
            "/console#/x",
            "/console/activity?text=a&text=b",
        ] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }
}
