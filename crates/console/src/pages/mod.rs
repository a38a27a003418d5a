//! The pages. Each is a template in `templates` and a value with nothing in it but what is shown.

mod activity;
mod approval;
mod approvals;
mod call;
mod home;
mod servers;
mod webhooks;

pub(crate) use activity::activity;
pub(crate) use approval::{approval, decide, revoke};
pub(crate) use approvals::{history, queue, row};
pub(crate) use call::call;
pub(crate) use home::home;
pub(crate) use servers::{judge, look, review, server, servers, step};
pub(crate) use webhooks::{redeliver, webhooks};

use crate::door::Shut;
use crate::view;
use crate::web::{self, Body, Stop};
use crate::{Console, PREFIX, Route, Signed};
use askama::Template;
use decision::approval::State;
use http::{HeaderValue, Response, StatusCode, header};
use store::Page;

/// Approvals that are looked through for one page; there may be more in the queue.
const LOOKED_THROUGH: u32 = 200;

/// What is around every page of somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Frame {
    head: Head,
    /// Which part of the console it is.
    section: &'static str,
    person: String,
    roles: String,
    /// Nobody knows who it is: they came by a link for nobody.
    nameless: bool,
    /// What every form carries.
    form: String,
    /// Approvals that wait for anybody; void ones are left out, of those that were looked through.
    waiting: u64,
}

/// What every page begins with.
#[derive(Debug)]
struct Head {
    style: String,
    script: String,
    icon: String,
    root: &'static str,
}

impl Head {
    fn new() -> Self {
        let path = |route: Route| route.path();
        Self { style: path(Route::Style), script: path(Route::Script), icon: path(Route::Icon), root: PREFIX }
    }
}

impl Frame {
    pub(crate) async fn of(console: &Console, signed: &Signed, route: Route) -> Result<Self, Stop> {
        let roles: Vec<_> = signed.roles.iter().map(|role| role.as_str()).collect();
        Ok(Self {
            head: Head::new(),
            nameless: matches!(signed.visitor, policy::Visitor::Operator),
            section: match route {
                Route::Activity | Route::Call(_) => "activity",
                Route::Servers
                | Route::Server
                | Route::StepServer
                | Route::LookAt
                | Route::Review
                | Route::Judge => "servers",
                Route::Queue
                | Route::History
                | Route::Approval(_)
                | Route::Row(_)
                | Route::Approve(_)
                | Route::Deny(_)
                | Route::Revoke(_)
                | Route::Webhooks
                | Route::Redeliver => "approvals",
                Route::Home
                | Route::SignInPage
                | Route::SignIn
                | Route::SignOut
                | Route::Style
                | Route::Script
                | Route::Icon
                | Route::Live
                | Route::Callback => "home",
            },
            person: signed.visitor.to_string(),
            roles: roles.join(", "),
            form: signed.form_token.clone(),
            waiting: waiting(console).await?,
        })
    }
}

/// How many approvals wait for a yes that counts: of the oldest, each is looked at.
async fn waiting(console: &Console) -> Result<u64, Stop> {
    let (store, scope) = (console.store(), &console.parts.scope);
    let all = store.count_approvals(scope, State::Proposed).await?;
    let page = Page { after: None, limit: LOOKED_THROUGH };
    let looked = store.approvals_in(scope, State::Proposed, page).await?;
    let now = console.parts.clock.now();
    let over = |kept: &&store::Kept| {
        view::state(&kept.approval, now) != State::Proposed || view::void(console, &kept.approval).is_some()
    };
    Ok(all.saturating_sub(u64::try_from(looked.iter().filter(over).count()).unwrap_or_default()))
}

#[derive(Template)]
#[template(path = "stopped.html")]
struct Stopped<'a> {
    head: Head,
    title: &'a str,
    text: &'a str,
    on: Option<(&'a str, &'a str)>,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignIn {
    head: Head,
    already: bool,
    /// Whether it goes on to a page that was asked for.
    goes_on: bool,
    problem: Option<&'static str>,
}

/// A template as a page. A template cannot fail but by a fault of ours.
fn rendered(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Stop> {
    template.render().map(|html| web::page(status, html)).map_err(|error| Stop::fault(&error))
}

pub(crate) fn stopped(stop: &Stop) -> Response<Body> {
    let on = stop.on.as_ref().map(|(path, does)| (path.as_str(), *does));
    let page = Stopped { head: Head::new(), title: stop.title, text: &stop.text, on };
    web::page(stop.status, page.render().unwrap_or_default())
}

pub(crate) fn wrong_method(allowed: &'static str) -> Response<Body> {
    let text = "This address is not for that method.";
    let mut response = stopped(&Stop::new(StatusCode::METHOD_NOT_ALLOWED, "Not like this", text));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(crate) fn sign_in(already: bool, goes_on: bool, shut: Option<Shut>) -> Response<Body> {
    let problem = shut.map(|shut| match shut {
        Shut::NoSuchLink => "This link was used, has expired, or never was one. Get another.",
        Shut::TooMany => "Too many wrong codes were tried, and this is none either. Get another link.",
    });
    let page = SignIn { head: Head::new(), already, goes_on, problem };
    web::page(shut.map_or(StatusCode::OK, StatusCode::from), page.render().unwrap_or_default())
}
