//! Who is signed in, as they are at this moment.

use crate::door::{Guest, Session};
use crate::{Access, Console, Route, web, web::Stop};
use decision::approval::Voter;
use http::request;
use policy::{On, Role, Visitor};
use std::collections::BTreeSet;
use store::{DeskError, StoreError};

/// Somebody who is signed in, as they are at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) visitor: Visitor,
    pub(crate) roles: BTreeSet<Role>,
    /// Nobody whose yes counts where there is none.
    pub(crate) voter: Option<Voter>,
    pub(crate) form_token: String,
    pub(crate) token: String,
}

impl Console {
    /// Whose session the request names, if it still holds and the person is still there.
    pub(crate) async fn signed(&self, head: &request::Parts) -> Result<Option<Signed>, Stop> {
        let Some(token) = web::session_token(&head.headers) else { return Ok(None) };
        let settings = self.settings();
        // what an open page asks by itself keeps nobody signed in
        let by_itself = head.headers.get("sec-fetch-dest").is_some_and(|to| to == "empty");
        if by_itself && !self.door.holds(token, settings.idle, settings.longest) {
            return Ok(None);
        }
        let session = match by_itself {
            true => self.door.peek(token),
            false => self.door.session(token, settings.idle, settings.longest),
        };
        let Some(session) = session else { return Ok(None) };
        let signed = self.known(token, session).await.map_err(|e| Stop::fault(&e))?;
        if signed.is_none() {
            self.door.leave(token);
        }
        Ok(signed)
    }

    /// Whether whoever has this session may still be told of changes. The session is not used by this.
    pub(crate) async fn follows(&self, token: &str) -> Result<bool, DeskError> {
        let settings = self.settings();
        if !self.door.holds(token, settings.idle, settings.longest) {
            return Ok(false);
        }
        let Some(session) = self.door.peek(token) else { return Ok(false) };
        let Some(signed) = self.known(token, session).await? else { return Ok(false) };
        Ok(match Route::Live.access() {
            Access::Rules(action) => self.may(&signed, action, &On::Console),
            Access::Open | Access::Session => true,
        })
    }

    /// Whose session it is, with the roles they have now. `None` for somebody who was removed.
    async fn known(&self, token: &str, session: Session) -> Result<Option<Signed>, DeskError> {
        let Session { guest, form_token, .. } = session;
        let (roles, voter) = match &guest.visitor {
            // who decides about servers has a name, which the record says
            Visitor::Operator => (BTreeSet::from([Role::Administrator]), None),
            Visitor::Person(name) => {
                let Some(voter) = self.parts.desk.voter(&self.parts.scope, name).await? else {
                    return Ok(None);
                };
                (self.settings().roles_of(&voter.groups), Some(voter))
            }
        };
        // after their groups were read: they are this person's
        let Some(Guest { visitor, .. }) = self.still(guest).await? else { return Ok(None) };
        Ok(Some(Signed { visitor, roles, voter, form_token, token: token.to_owned() }))
    }

    /// Whom a visitor's name stands for now, if for anybody.
    pub(crate) async fn guest(&self, visitor: Visitor) -> Result<Option<Guest>, StoreError> {
        let added = match &visitor {
            Visitor::Operator => return Ok(Some(Guest { visitor, added: None })),
            Visitor::Person(name) => self.store().user_added(&self.parts.scope, name).await?,
        };
        Ok(added.map(|added| Guest { visitor, added: Some(added) }))
    }

    /// The same guest, if their name was not taken away since, be it to be given again.
    pub(crate) async fn still(&self, guest: Guest) -> Result<Option<Guest>, StoreError> {
        let now = self.guest(guest.visitor.clone()).await?;
        Ok(now.filter(|now| *now == guest))
    }
}
