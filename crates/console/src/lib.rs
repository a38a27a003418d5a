//! The control plane: pages on which people see what needs them, decide approvals, and search decisions.
//!
//! Server-rendered, with one style sheet and one small script of our own. Nothing here governs a call: what people
//! decide goes through `store::Desk`, what they see comes from the store and the ledger, and what they may do is asked
//! of `policy::ConsoleRules`. It never names the gateway.
//!
//! Start at [`Console::answer`]; [`route`] has every address.

mod aside;
mod assets;
mod door;
pub mod hooks;
mod live;
mod pages;
mod ports;
pub mod review;
mod route;
mod settings;
mod signed;
mod target;
mod urgency;
mod view;
mod web;

pub use door::LINK_TIME;
pub use ports::{Configured, Looks, RefusedFiles, Servers, Worth};
pub use route::{Access, PREFIX, Route};
pub use settings::Settings;
pub use web::Body;

use arc_swap::ArcSwap;
use bytes::Bytes;
use decision::approval::Approval;
use decision::{Clock, Entropy, Entry, Event, EventName};
use door::{Door, Shut};
use egress::Seldom;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use pages::Frame;
use policy::{ConsoleAction, ConsoleRules, On, Visitor};
use route::Astray;
use signed::Signed;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{
    Desk, Scope, Store,
    ledger::{Ledger, Record},
};
use tokio_util::sync::CancellationToken;
use urgency::Urgencies;
use web::Stop;

/// What the console works on.
#[derive(Debug, Clone)]
pub struct Parts {
    pub desk: Arc<Desk>,
    pub ledger: Arc<Ledger>,
    pub scope: Scope,
    /// May be exchanged while it runs.
    pub settings: Arc<ArcSwap<Settings>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// What is so of the gateway's servers.
    pub servers: Arc<dyn Servers>,
    /// What looks at them when somebody asks.
    pub looks: Arc<dyn Looks>,
    /// What takes decisions from outside.
    pub callback: hooks::Callback,
    /// Ends the streams.
    pub closing: CancellationToken,
}

/// The console of one gateway.
#[derive(Debug)]
pub struct Console {
    parts: Parts,
    rules: ConsoleRules,
    door: Door,
    places: live::Places,
    urgencies: Urgencies,
    /// Lines about what anybody can send.
    unheard: Seldom,
    shut_out: Seldom,
}

type Fields = BTreeMap<String, String>;

impl Console {
    pub fn new(parts: Parts) -> Result<Arc<Self>, policy::Unloadable> {
        let door = Door::new(Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        Ok(Arc::new(Self {
            rules: ConsoleRules::load()?,
            door,
            places: live::Places::default(),
            urgencies: Urgencies::default(),
            unheard: Seldom::default(),
            shut_out: Seldom::default(),
            parts,
        }))
    }

    /// What follows `base` in a link that lets somebody in once. The code is behind `#`, where it is sent to nobody.
    ///
    /// Errors: [`store::StoreError::Missing`] when there is no such person.
    pub async fn invite(&self, visitor: Visitor) -> Result<String, store::StoreError> {
        let name = visitor.to_string();
        let guest = self.guest(visitor).await?;
        let guest = guest.ok_or(store::StoreError::Missing { what: "user", name })?;
        Ok(format!("{}#{}", Route::SignInPage.path(), self.door.invite(guest)))
    }

    /// Answers one request. Whoever calls has checked that its `Host` is ours, and is told where it is somebody who is
    /// signed in.
    pub async fn answer<B>(
        self: &Arc<Self>,
        request: Request<B>,
        secure: bool,
        met: &(dyn Fn() + Send + Sync),
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        match self.try_answer(&head, body, (secure, met)).await {
            Ok(response) => response,
            Err(stop) => pages::stopped(&stop),
        }
    }

    async fn try_answer<B>(
        self: &Arc<Self>,
        head: &request::Parts,
        body: B,
        (secure, met): (bool, &(dyn Fn() + Send + Sync)),
    ) -> Result<Response<Body>, Stop>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !self.settings().enabled {
            return Err(Stop::nowhere());
        }
        let route = match Route::of(&head.method, head.uri.path()) {
            Ok(route) => route,
            Err(Astray::Nowhere) => return Err(Stop::nowhere()),
            Err(Astray::Method(allowed)) => return Ok(pages::wrong_method(allowed)),
        };
        if route == Route::Callback {
            let body = web::bytes(body, hooks::CALLBACK_BYTES_MAX).await?;
            return Ok(self.hear(head, &body).await);
        }
        let fields = match head.method {
            Method::POST if web::from_ourselves(&head.headers, secure) => {
                let most =
                    if route == Route::StepServer { web::RECORD_BYTES_MAX } else { web::FORM_BYTES_MAX };
                web::form(&head.headers, body, most).await?
            }
            Method::POST => {
                return Err(Stop::forbidden("This form was not sent from a page of this console."));
            }
            _ => web::fields(head.uri.query().unwrap_or_default().as_bytes())?,
        };
        let signed = self.signed(head).await?;
        if signed.is_some() {
            met();
        }
        match (route, signed) {
            (Route::SignInPage, signed) => {
                let goes_on = target::kept(&head.headers).is_some();
                Ok(pages::sign_in(signed.is_some(), goes_on, None))
            }
            (Route::SignIn, _) => self.sign_in(head, &fields).await,
            (Route::Style, _) => Ok(web::asset(&assets::STYLE)),
            (Route::Script, _) => Ok(web::asset(&assets::SCRIPT)),
            (Route::Icon, _) => Ok(web::asset(&assets::ICON)),
            (route, None) => unknown(route, head, &fields),
            (route, Some(signed)) => self.admit(route, &signed, &fields).await,
        }
    }

    /// For somebody who is signed in: first whether they may, then what they asked for.
    async fn admit(
        self: &Arc<Self>,
        route: Route,
        signed: &Signed,
        fields: &Fields,
    ) -> Result<Response<Body>, Stop> {
        let posts = matches!(
            route,
            Route::SignOut
                | Route::Approve(_)
                | Route::Deny(_)
                | Route::Revoke(_)
                | Route::Redeliver
                | Route::StepServer
                | Route::LookAt
                | Route::Judge
                | Route::SignIn
        );
        if posts && !same(fields.get("form").map_or("", String::as_str), &signed.form_token) {
            return Err(Stop::forbidden(
                "This form is not of your session. Load the page again and send it anew.",
            ));
        }
        match route.access() {
            Access::Open | Access::Session => {}
            // whoever may not see approvals is not told whether there is this one
            Access::Rules(ConsoleAction::Decide | ConsoleAction::Revoke) => {
                self.demand(signed, ConsoleAction::SeeApprovals)?;
            }
            Access::Rules(action) => self.demand(signed, action)?,
        }
        let frame = || Frame::of(self, signed, route);
        match route {
            Route::SignOut => {
                self.door.leave(&signed.token);
                Ok(web::with_session(web::see(&Route::SignInPage.path()), None))
            }
            Route::Home => pages::home(self, signed, frame().await?).await,
            Route::Queue => pages::queue(self, signed, frame().await?, fields).await,
            Route::History => pages::history(self, signed, frame().await?, fields).await,
            Route::Approval(id) => pages::approval(self, signed, frame().await?, id, None).await,
            Route::Row(id) => pages::row(self, signed, id).await,
            Route::Approve(id) => pages::decide(self, signed, id, true, fields).await,
            Route::Deny(id) => pages::decide(self, signed, id, false, fields).await,
            Route::Revoke(id) => pages::revoke(self, signed, id, fields).await,
            Route::Activity => pages::activity(self, frame().await?, fields).await,
            Route::Call(call) => pages::call(self, frame().await?, call).await,
            Route::Webhooks => pages::webhooks(self, signed, frame().await?).await,
            Route::Redeliver => pages::redeliver(self, signed, fields).await,
            Route::Servers => pages::servers(self, signed, frame().await?).await,
            Route::Server => pages::server(self, signed, frame().await?, fields, None).await,
            Route::StepServer => pages::step(self, signed, fields).await,
            Route::LookAt => pages::look(self, signed, fields).await,
            Route::Review => pages::review(self, signed, frame().await?, fields).await,
            Route::Judge => pages::judge(self, signed, fields).await,
            Route::Live => self.live(signed),
            Route::SignInPage
            | Route::SignIn
            | Route::Style
            | Route::Script
            | Route::Icon
            | Route::Callback => Err(Stop::nowhere()),
        }
    }

    /// A decision from outside. Nothing here depends on a session or a page.
    async fn hear(&self, head: &request::Parts, body: &[u8]) -> Response<Body> {
        let header = |name: &str| {
            let mut all = head.headers.get_all(name).iter();
            // of two nobody knows which one was meant
            let first = all.next().filter(|_| all.next().is_none());
            first.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let signed = hooks::Signed {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        match self.parts.callback.hear(signed, body).await {
            Ok(approval) => web::json(
                StatusCode::OK,
                &serde_json::json!({
                    "approval": approval.id, "state": approval.state,
                }),
            ),
            Err(unheard) => {
                // whoever holds no key can say as much as they like
                let left_out = match unheard {
                    hooks::Unheard::Forged | hooks::Unheard::Unavailable(_) => {
                        self.unheard.now(self.parts.clock.now().0)
                    }
                    hooks::Unheard::Repeated
                    | hooks::Unheard::Malformed(_)
                    | hooks::Unheard::Unfit(_)
                    | hooks::Unheard::OtherTerms
                    | hooks::Unheard::Void(_)
                    | hooks::Unheard::Unknown => Some(0),
                };
                if let Some(left_out) = left_out {
                    tracing::warn!(%unheard, left_out, "a callback was not taken");
                }
                web::json(unheard.status(), &serde_json::json!({ "error": unheard.to_string() }))
            }
        }
    }

    async fn sign_in(&self, head: &request::Parts, fields: &Fields) -> Result<Response<Body>, Stop> {
        let entered = match self.door.spend(fields.get("code").map_or("", |code| code.trim())) {
            // a link ends with the person it was made for
            Ok(guest) => self.still(guest).await?.ok_or(Shut::NoSuchLink),
            Err(shut) => Err(shut),
        };
        match entered {
            Ok(guest) => {
                let visitor = guest.visitor.clone();
                let token = self.door.begin(guest);
                // whatever session the browser had is not the new one
                if let Some(old) = web::session_token(&head.headers) {
                    self.door.leave(old);
                }
                if let Err(error) = self.tell(EventName::ConsoleEntered, &visitor, &[]).await {
                    self.door.leave(&token);
                    return Err(Stop::fault(&error));
                }
                let to = target::kept(&head.headers).unwrap_or_else(|| Route::Home.path());
                let response = web::with_session(web::see(&to), Some(&token));
                Ok(target::forget(response, &head.headers))
            }
            Err(shut) => {
                if let Some(left_out) = self.shut_out.now(self.parts.clock.now().0) {
                    tracing::warn!(?shut, left_out, "somebody could not sign in to the console");
                }
                Ok(pages::sign_in(false, target::kept(&head.headers).is_some(), Some(shut)))
            }
        }
    }

    /// Has what was just decided written into the record; the store knows what that is.
    async fn tell_decided(&self) -> Result<(), Stop> {
        let telling = store::Telling::Of(self.store().writer().clone());
        let told = self.store().tell(&self.parts.scope, &self.parts.ledger, telling).await;
        told.map(drop).map_err(|error| {
            tracing::error!(%error, "what was decided in the console cannot be recorded yet");
            let text = "It was decided and counts, but the record cannot be written now. It will have it as soon as it can.";
            Stop::new(StatusCode::SERVICE_UNAVAILABLE, "Decided, but not recorded yet", text)
        })
    }

    /// Writes into the record who did what here. Errors: it is not in there.
    async fn tell(
        &self,
        event: EventName,
        visitor: &Visitor,
        more: &[(&str, &str)],
    ) -> Result<(), store::DeskError> {
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let entry = Entry::Event(Event {
            v: 1,
            at: self.parts.clock.now(),
            tenant: self.parts.scope.tenant.clone(),
            environment: self.parts.scope.environment.clone(),
            event,
            call: None,
            server: None,
            detail: more.chain([("by".to_owned(), visitor.to_string())]).collect(),
        });
        self.parts.ledger.append(vec![Record::new(entry, Vec::new())?]).await?;
        Ok(())
    }

    fn live(self: &Arc<Self>, signed: &Signed) -> Result<Response<Body>, Stop> {
        let Some(place) = self.places.take() else {
            let text = "As many pages follow changes as may. This one shows them when it is loaded again.";
            return Err(Stop::new(StatusCode::SERVICE_UNAVAILABLE, "Too many", text));
        };
        let (console, token) = (Arc::clone(self), signed.token.clone());
        let may: live::May = Box::new(move || {
            let (console, token) = (Arc::clone(&console), token.clone());
            Box::pin(async move { console.follows(&token).await })
        });
        let told = live::Told {
            changes: self.parts.desk.changes(),
            left: self.door.left(),
            record: {
                let (ledger, servers) = (Arc::clone(&self.parts.ledger), Arc::clone(&self.parts.servers));
                // whatever happens is in the record, but that files were refused
                Box::new(move || (ledger.size(), servers.refused().map(|refused| refused.at)))
            },
        };
        Ok(web::stream(live::body(told, place, self.parts.closing.clone(), may)))
    }

    fn settings(&self) -> Arc<Settings> {
        self.parts.settings.load_full()
    }

    fn store(&self) -> &Store {
        self.parts.desk.store()
    }

    /// The one question: may this visitor do this to that.
    fn may(&self, signed: &Signed, action: ConsoleAction, on: &On) -> bool {
        self.rules.may(&signed.visitor, &signed.roles, action, on)
    }

    fn demand(&self, signed: &Signed, action: ConsoleAction) -> Result<(), Stop> {
        match self.may(signed, action, &On::Console) {
            true => Ok(()),
            false => Err(Stop::forbidden(match signed.roles.is_empty() {
                true => {
                    "None of your groups has a role here: an administrator gives roles to groups under \
                    `[console]` in callgate.toml."
                }
                false => "Your roles do not include this.",
            })),
        }
    }
}

/// What the rules are told of an approval.
fn on(approval: &Approval) -> On {
    On::Approval {
        id: approval.id,
        asker: approval.terms.principal.person().cloned(),
        votes: approval.votes.iter().map(|vote| vote.person.clone()).collect(),
    }
}

/// Compares secrets in a time that says nothing about them.
fn same(given: &str, kept: &str) -> bool {
    bool::from(subtle::ConstantTimeEq::ct_eq(given.as_bytes(), kept.as_bytes()))
}

/// For nobody we know: pages lead to signing in and from there back to themselves, everything else is refused.
fn unknown(route: Route, head: &request::Parts, fields: &Fields) -> Result<Response<Body>, Stop> {
    let by_itself = head.headers.get("sec-fetch-dest").is_some_and(|to| to == "empty");
    if by_itself || !route.is_page() {
        let text = "Nothing was done. Sign in, and do it again.";
        let on = target::behind(route, fields).map(|page| (page, "Sign in, and come back to the page"));
        return Err(Stop { on, ..Stop::new(StatusCode::UNAUTHORIZED, "Signed out", text) });
    }
    let page = target::of(route, fields);
    // a link on another site does not bring a strict cookie along; the same page, once it is ours, does
    let elsewhere = head.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if elsewhere && web::session_token(&head.headers).is_none() {
        let mut response = pages::stopped(&Stop::new(StatusCode::OK, "One moment", "The console opens."));
        if let Ok(value) = HeaderValue::from_str(&format!("0; url={page}")) {
            response.headers_mut().insert(header::REFRESH, value);
        }
        return Ok(response);
    }
    let response = web::see(&Route::SignInPage.path());
    Ok(if route == Route::Home { response } else { target::keep(response, &page) })
}

impl From<Shut> for StatusCode {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::NoSuchLink => Self::FORBIDDEN,
            Shut::TooMany => Self::TOO_MANY_REQUESTS,
        }
    }
}
