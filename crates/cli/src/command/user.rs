//! `callgate user`: the people agents act for.

use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::table::{whole, wrapped},
};
use anyhow::anyhow;
use clap::Subcommand;
use decision::{GroupName, User, UserName};
use serde_json::json;
use store::{Scope, Store, StoreError};

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Add a person
    Add {
        name: UserName,
        /// A group they are in; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<GroupName>,
    },
    /// Put a person into these groups and no others; what waits for a group goes by it at once
    #[command(group(clap::ArgGroup::new("which").required(true).args(["groups", "no_groups"])))]
    Set {
        name: UserName,
        /// A group they are in from now on; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<GroupName>,
        /// They are in no group any more
        #[arg(long)]
        no_groups: bool,
    },
    /// All people
    List,
    /// Remove a person for whom no agent acts any more, and the secrets that are theirs alone
    Remove { name: UserName },
}

pub(crate) async fn run(users: Users, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    let by = given.surroundings.user.as_str();
    if matches!(users, Users::List) {
        return list(given, &place).await;
    }
    let (book, store, scope) = (Book::open(&place).await?, place.store().await?, place.scope());
    match users {
        Users::List => {}
        Users::Add { name, groups } => {
            let user = User { name: name.clone(), groups: groups.into_iter().collect() };
            match store.add_user(&scope, &user, by).await {
                Err(StoreError::Exists { .. }) => {
                    let known = "exists already: `callgate user set` changes the groups of one";
                    return Err(anyhow!("the user `{name}` {known}").into());
                }
                added => added?,
            }
            book.tell(&store).await?;
            given.say.json(&json!({ "user": name }));
            given.say.line(format!("added user `{name}`"));
        }
        Users::Set { name, groups, no_groups: _ } => {
            let user = User { name: name.clone(), groups: groups.into_iter().collect() };
            store.set_groups(&scope, &user, by).await?;
            book.tell(&store).await?;
            given.say.json(&user);
            let groups: Vec<String> = user.groups.iter().map(|group| format!("`{group}`")).collect();
            given.say.line(match groups.as_slice() {
                [] => format!("user `{name}` is in no group"),
                groups => format!("user `{name}` is in {}", groups.join(", ")),
            });
        }
        Users::Remove { name } => {
            let secrets = match store.remove_user(&scope, &name, by).await {
                Ok(secrets) => secrets,
                Err(error) => return Err(refused(&store, &scope, &name, error).await),
            };
            book.tell(&store).await?;
            given.say.json(&json!({ "removed": name, "secrets": secrets }));
            given.say.line(format!("removed user `{name}`"));
            if !secrets.is_empty() {
                let secrets: Vec<_> = secrets.iter().map(|one| format!("`{one}`")).collect();
                given.say.line(format!("and the secrets that were theirs alone: {}", secrets.join(", ")));
            }
        }
    }
    book.close().await?;
    Ok(Verdict::Yes)
}

async fn list(given: &Given, place: &Place) -> Outcome {
    let users = place.store_to_read(given.say).await?.list_users(&place.scope()).await?;
    given.say.json(&users);
    let row = |user: &User| {
        let groups: Vec<&str> = user.groups.iter().map(GroupName::as_str).collect();
        vec![user.name.to_string(), groups.join(", ")]
    };
    if users.is_empty() {
        given.say.line("no users yet: add one with `callgate user add NAME`");
    } else {
        let head = [whole("user"), wrapped("groups")];
        given.say.table(&head, users.iter().map(row).collect());
    }
    Ok(Verdict::Yes)
}

/// Why a person cannot be removed, with the agents that are in the way.
async fn refused(store: &Store, scope: &Scope, name: &UserName, error: StoreError) -> Failure {
    if !matches!(error, StoreError::Unacceptable { .. }) {
        return error.into();
    }
    let agents = match store.list_agents(scope).await {
        Ok(agents) => agents,
        Err(error) => return error.into(),
    };
    let theirs = agents.iter().filter(|agent| agent.user.as_ref() == Some(name));
    let theirs: Vec<String> = theirs.map(|agent| format!("`callgate agent remove {}`", agent.name)).collect();
    anyhow!("user `{name}` cannot be removed while agents act for them: first {}", theirs.join(", ")).into()
}
