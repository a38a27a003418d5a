//! `callgate user`: the people agents act for.

use crate::{
    cli::Given,
    failure::{Outcome, Verdict},
};
use clap::Subcommand;
use decision::{GroupName, User, UserName};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Add a person
    Add {
        name: UserName,
        /// A group they are in; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<GroupName>,
    },
    /// All people
    List,
    /// Remove a person for whom no agent acts any more
    Remove { name: UserName },
}

pub(crate) async fn run(users: Users, given: &Given) -> Outcome {
    let place = given.place()?;
    let (store, scope) = (place.store().await?, place.scope());
    match users {
        Users::Add { name, groups } => {
            let user = User { name: name.clone(), groups: groups.into_iter().collect() };
            store.add_user(&scope, &user).await?;
            given.say.json(&json!({ "user": name }));
            given.say.line(format!("added user `{name}`"));
        }
        Users::List => {
            let users = store.list_users(&scope).await?;
            given.say.json(&users);
            let row = |user: &User| {
                let groups: Vec<&str> = user.groups.iter().map(GroupName::as_str).collect();
                vec![user.name.to_string(), groups.join(", ")]
            };
            given.say.table(&["user", "groups"], users.iter().map(row).collect());
        }
        Users::Remove { name } => {
            store.remove_user(&scope, &name).await?;
            given.say.json(&json!({ "removed": name }));
            given.say.line(format!("removed user `{name}`"));
        }
    }
    Ok(Verdict::Yes)
}
