//! Every address of the console, once. What is not here is nothing.

use decision::{ApprovalId, CallId};
use http::Method;
use policy::ConsoleAction;

/// Where the console is.
pub const PREFIX: &str = "/console";

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    SignInPage,
    SignIn,
    SignOut,
    Style,
    Script,
    Icon,
    Home,
    Queue,
    History,
    Approval(ApprovalId),
    /// One line of a list, for a page that is open.
    Row(ApprovalId),
    Approve(ApprovalId),
    Deny(ApprovalId),
    Revoke(ApprovalId),
    Activity,
    Call(CallId),
    /// What webhooks were not told.
    Webhooks,
    /// Has one of them tried anew.
    Redeliver,
    /// Where every server stands.
    Servers,
    /// One of them, which a field names.
    Server,
    /// A step of its record.
    StepServer,
    /// Has one looked at now.
    LookAt,
    /// What one shows and nobody has accepted.
    Review,
    /// A decision about that.
    Judge,
    /// The stream of changes.
    Live,
    /// A decision from a system outside, signed with the key of its webhook.
    Callback,
}

/// Who gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the address.
    Open,
    /// Whoever is signed in.
    Session,
    /// Whoever the rules allow this.
    Rules(ConsoleAction),
}

/// Why a request is for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Astray {
    Nowhere,
    /// The methods that this address has.
    Method(&'static str),
}

impl Route {
    /// Reads a path as it is: no decoding, so nothing has two spellings.
    pub fn of(method: &Method, path: &str) -> Result<Self, Astray> {
        let rest = path.strip_prefix(PREFIX).ok_or(Astray::Nowhere)?;
        let segments: Vec<&str> = rest.split('/').skip(1).collect();
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(Astray::Nowhere);
        }
        let approval = |text: &str| ApprovalId::parse(text).ok_or(Astray::Nowhere);
        let (get, post) = match segments.as_slice() {
            [] => (Some(Self::Home), None),
            ["sign-in"] => (Some(Self::SignInPage), Some(Self::SignIn)),
            ["sign-out"] => (None, Some(Self::SignOut)),
            ["assets", name] if *name == crate::assets::STYLE.name() => (Some(Self::Style), None),
            ["assets", name] if *name == crate::assets::SCRIPT.name() => (Some(Self::Script), None),
            ["assets", name] if *name == crate::assets::ICON.name() => (Some(Self::Icon), None),
            ["approvals"] => (Some(Self::Queue), None),
            ["approvals", "history"] => (Some(Self::History), None),
            ["approvals", id] => (Some(Self::Approval(approval(id)?)), None),
            ["approvals", id, "row"] => (Some(Self::Row(approval(id)?)), None),
            ["approvals", id, "approve"] => (None, Some(Self::Approve(approval(id)?))),
            ["approvals", id, "deny"] => (None, Some(Self::Deny(approval(id)?))),
            ["approvals", id, "revoke"] => (None, Some(Self::Revoke(approval(id)?))),
            ["activity"] => (Some(Self::Activity), None),
            ["activity", call] => (Some(Self::Call(CallId::parse(call).ok_or(Astray::Nowhere)?)), None),
            ["webhooks"] => (Some(Self::Webhooks), None),
            ["webhooks", "redeliver"] => (None, Some(Self::Redeliver)),
            ["servers"] => (Some(Self::Servers), None),
            ["servers", "one"] => (Some(Self::Server), None),
            ["servers", "step"] => (None, Some(Self::StepServer)),
            ["servers", "look"] => (None, Some(Self::LookAt)),
            ["servers", "review"] => (Some(Self::Review), Some(Self::Judge)),
            ["live"] => (Some(Self::Live), None),
            ["hooks"] => (None, Some(Self::Callback)),
            _ => return Err(Astray::Nowhere),
        };
        let asked = match *method {
            Method::GET | Method::HEAD => get,
            Method::POST => post,
            _ => None,
        };
        asked.ok_or(Astray::Method(match (get, post) {
            (Some(_), Some(_)) => "GET, HEAD, POST",
            (Some(_), None) => "GET, HEAD",
            (None, _) => "POST",
        }))
    }

    pub fn access(self) -> Access {
        match self {
            Self::SignInPage | Self::SignIn | Self::Style | Self::Script | Self::Icon | Self::Callback => {
                Access::Open
            }
            Self::SignOut => Access::Session,
            Self::Home => Access::Rules(ConsoleAction::SeeHome),
            Self::Queue | Self::History | Self::Approval(_) | Self::Row(_) | Self::Webhooks | Self::Live => {
                Access::Rules(ConsoleAction::SeeApprovals)
            }
            Self::Redeliver => Access::Rules(ConsoleAction::Redeliver),
            Self::Servers | Self::Server | Self::Review => Access::Rules(ConsoleAction::SeeServers),
            Self::StepServer | Self::LookAt | Self::Judge => Access::Rules(ConsoleAction::ChangeServer),
            Self::Approve(_) | Self::Deny(_) => Access::Rules(ConsoleAction::Decide),
            Self::Revoke(_) => Access::Rules(ConsoleAction::Revoke),
            Self::Activity | Self::Call(_) => Access::Rules(ConsoleAction::SeeActivity),
        }
    }

    /// Whether somebody may want to see it, and come back to it once they are signed in.
    pub fn is_page(self) -> bool {
        match self {
            Self::Home
            | Self::Queue
            | Self::History
            | Self::Approval(_)
            | Self::Activity
            | Self::Call(_)
            | Self::Webhooks
            | Self::Servers
            | Self::Server
            | Self::Review => true,
            Self::SignInPage
            | Self::SignIn
            | Self::SignOut
            | Self::Style
            | Self::Script
            | Self::Icon
            | Self::Row(_)
            | Self::Approve(_)
            | Self::Deny(_)
            | Self::Revoke(_)
            | Self::Redeliver
            | Self::StepServer
            | Self::LookAt
            | Self::Judge
            | Self::Live
            | Self::Callback => false,
        }
    }

    /// One of each, for whoever must not forget any.
    pub fn all(approval: ApprovalId, call: CallId) -> Vec<(Method, Self)> {
        let got = [
            Self::SignInPage,
            Self::Style,
            Self::Script,
            Self::Icon,
            Self::Home,
            Self::Queue,
            Self::History,
            Self::Approval(approval),
            Self::Row(approval),
            Self::Activity,
            Self::Call(call),
            Self::Webhooks,
            Self::Servers,
            Self::Server,
            Self::Review,
            Self::Live,
        ];
        let posted = [
            Self::SignIn,
            Self::SignOut,
            Self::Callback,
            Self::Approve(approval),
            Self::Deny(approval),
            Self::Revoke(approval),
            Self::Redeliver,
            Self::StepServer,
            Self::LookAt,
            Self::Judge,
        ];
        let got = got.into_iter().map(|route| (Method::GET, route));
        got.chain(posted.into_iter().map(|route| (Method::POST, route))).collect()
    }

    /// The one spelling of its address.
    pub fn path(self) -> String {
        let rest = match self {
            Self::Home => String::new(),
            Self::SignInPage | Self::SignIn => "/sign-in".to_owned(),
            Self::SignOut => "/sign-out".to_owned(),
            Self::Style => format!("/assets/{}", crate::assets::STYLE.name()),
            Self::Script => format!("/assets/{}", crate::assets::SCRIPT.name()),
            Self::Icon => format!("/assets/{}", crate::assets::ICON.name()),
            Self::Queue => "/approvals".to_owned(),
            Self::History => "/approvals/history".to_owned(),
            Self::Approval(id) => format!("/approvals/{id}"),
            Self::Row(id) => format!("/approvals/{id}/row"),
            Self::Approve(id) => format!("/approvals/{id}/approve"),
            Self::Deny(id) => format!("/approvals/{id}/deny"),
            Self::Revoke(id) => format!("/approvals/{id}/revoke"),
            Self::Activity => "/activity".to_owned(),
            Self::Call(id) => format!("/activity/{id}"),
            Self::Webhooks => "/webhooks".to_owned(),
            Self::Redeliver => "/webhooks/redeliver".to_owned(),
            Self::Servers => "/servers".to_owned(),
            Self::Server => "/servers/one".to_owned(),
            Self::StepServer => "/servers/step".to_owned(),
            Self::LookAt => "/servers/look".to_owned(),
            Self::Review | Self::Judge => "/servers/review".to_owned(),
            Self::Live => "/live".to_owned(),
            Self::Callback => "/hooks".to_owned(),
        };
        format!("{PREFIX}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::Timestamp;

    #[test]
    fn every_address_has_one_spelling_and_its_own_methods() {
        let (approval, call) = (ApprovalId::new(Timestamp(1), [1; 10]), CallId::new(Timestamp(1), [2; 10]));
        for (method, route) in Route::all(approval, call) {
            let path = route.path();
            assert_eq!(Route::of(&method, &path), Ok(route));
            for wrong in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
                assert!(matches!(Route::of(&wrong, &path), Err(Astray::Method(_))), "{wrong} {path}");
            }
            for other in [format!("{path}/"), format!("/{path}"), path.to_uppercase(), format!("{path}x")] {
                assert!(Route::of(&method, &other).is_err(), "{other}");
            }
        }
        let hostile = format!("/console/approvals/{approval}%0d%0aset-cookie:x");
        assert_eq!(Route::of(&Method::GET, &hostile), Err(Astray::Nowhere));
        assert_eq!(Route::of(&Method::GET, "/consoles"), Err(Astray::Nowhere));
    }
}
