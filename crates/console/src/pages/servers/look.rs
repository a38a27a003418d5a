//! Has the gateway look at a server, for whoever does not wait until it is its turn.

use super::step::again;
use super::{href, named};
use crate::web::{self, Body, Stop};
use crate::{Console, Fields, Signed};
use http::Response;

pub(crate) async fn look(
    console: &Console,
    signed: &Signed,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let name = named(fields, "server")?;
    if console.parts.servers.configured(Some(&name)).is_empty() {
        return Err(Stop::nowhere());
    }
    match console.parts.looks.look(&name).await {
        Ok(()) => Ok(web::see(&href(&name))),
        Err(why) => {
            let why = inspect::shown::visible(&why);
            again(console, signed, &name, format!("It cannot be looked at now: {why}.")).await
        }
    }
}
