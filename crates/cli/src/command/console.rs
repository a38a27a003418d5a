//! `callgate console`: a link that lets somebody into the console once.

use crate::{
    cli::Given,
    control::{self, Request, Response},
    failure::{Outcome, Verdict},
};
use anyhow::anyhow;
use clap::Args as ClapArgs;
use decision::UserName;
use serde_json::json;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// For this person, whose groups say what they may do; else for an administrator without a name, who decides neither calls nor servers
    #[arg(long = "as", value_name = "NAME")]
    person: Option<UserName>,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    let socket = place.socket_path()?;
    if control::ping(&socket).await.is_none() {
        return Err(anyhow!("this needs a running gateway: start it with `callgate serve`").into());
    }
    let request = Request::ConsoleLink { person: args.person };
    let answered = control::ask(&socket, &request).await?;
    if let Response::Failed { why } = answered {
        return Err(anyhow!(why).into());
    }
    let Response::ConsoleLink { link } = answered else {
        return Err(anyhow!("the gateway answered something else: {answered:?}").into());
    };
    let minutes = console::LINK_TIME.as_secs() / 60;
    given.say.json(&json!({ "link": link, "minutes": minutes }));
    given.say.line(&link);
    given.say.aside(format!("good once, for {minutes} minutes: whoever opens it is signed in"));
    Ok(Verdict::Yes)
}
