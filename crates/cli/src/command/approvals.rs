//! `callgate approvals`: what waits for people, and their yes or no.

mod deliveries;
mod shown;
mod void;

use crate::{
    cli::Given,
    control::{Book, Request, Response},
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        table::{Cell, cut, whole, wrapped},
        tamed_json, when,
    },
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use decision::approval::{Part, State};
use decision::{Approval, ApprovalId, Clock as _, GroupName, Timestamp, UserName};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{Delegation, Desk, Page, Store};

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// What waits for a decision, the oldest first
    List {
        /// What was decided, too, the latest first
        #[arg(long)]
        all: bool,
    },
    /// One approval: what would happen, for whom, and who has to agree
    Show { id: ApprovalId },
    /// Say yes to exactly this call, once
    Approve(Vote),
    /// Say no; the agent is told the reason
    Deny {
        #[command(flatten)]
        vote: Vote,
        /// What the agent is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take one back, until the call has left: whoever asked for it or decided it, or an administrator of the console
    Revoke {
        #[command(flatten)]
        vote: Vote,
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Follow what is proposed and decided until interrupted
    Watch,
    /// Let somebody else decide for a group of yours, for a while
    Delegate {
        /// Who lends the group
        from: UserName,
        /// Who may decide meanwhile
        to: UserName,
        #[arg(long)]
        group: GroupName,
        /// For how long, such as `3d`
        #[arg(long = "for", value_name = "TIME")]
        lasts: String,
    },
    /// What is delegated now
    Delegations,
    /// End whatever one lent the other
    Undelegate { from: UserName, to: UserName },
    /// What webhooks are still to be told, and what was given up
    Deliveries,
    /// Try a delivery that was given up anew
    Redeliver { id: String },
}

#[derive(Debug, Args)]
pub(crate) struct Vote {
    id: ApprovalId,
    /// The person who decides; by default the user of that name who runs this command
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<UserName>,
}

/// A page of what is listed.
const PAGE: u32 = 500;
/// Between two looks of `watch`.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(approvals: Approvals, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    match approvals {
        Approvals::List { all } => list(all, given, &place).await,
        Approvals::Show { id } => show(id, given, &place).await,
        Approvals::Approve(vote) => decide(&vote, Word::Yes, None, given, &place).await,
        Approvals::Deny { vote, reason } => decide(&vote, Word::No, reason, given, &place).await,
        Approvals::Revoke { vote, reason } => decide(&vote, Word::Revoke, reason, given, &place).await,
        Approvals::Watch => watch(given, &place).await,
        Approvals::Delegate { from, to, group, lasts } => {
            delegate(from, to, group, &lasts, given, &place).await
        }
        Approvals::Delegations => delegations(given, &place).await,
        Approvals::Undelegate { from, to } => undelegate(from, to, given, &place).await,
        Approvals::Deliveries => deliveries::list(given, &place).await,
        Approvals::Redeliver { id } => deliveries::again(&id, given, &place).await,
    }
}

/// What somebody says of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    Yes,
    No,
    Revoke,
}

async fn list(all: bool, given: &Given, place: &Place) -> Outcome {
    let (store, scope) = (place.store_to_read(given.say).await?, place.scope());
    let page = Page { after: None, limit: PAGE };
    let now = SystemClock.now();
    // all of them: whoever asks for much hides nobody else's
    let mut kept = store.all_approvals_in(&scope, State::Proposed).await?;
    kept.retain(|one| now < one.approval.expires_at || all);
    let waiting = kept.len();
    let void = void::of(kept.iter().map(|one| &one.approval), &store, place, given.say).await;
    if all {
        let past = store.approvals_past(&scope, page).await?;
        if past.len() == PAGE as usize {
            given.say.aside(format!("of those that are over, the last {PAGE} are shown"));
        }
        kept.extend(past);
    }
    let value = |one: &Approval| void::value(one, void.get(&one.id).copied());
    given.say.json(&kept.iter().map(|one| value(&one.approval)).collect::<anyhow::Result<Vec<_>>>()?);
    let row = |one: &Approval| {
        let (colour, word) = shown::stands(one, void.get(&one.id).copied(), now);
        vec![
            Cell::from(one.id.to_string()),
            Cell::painted(colour, word),
            shown::needs(one).into(),
            shown::left(one, now).into(),
            one.preview.summary.clone().into(),
        ]
    };
    let rows: Vec<_> = kept.iter().map(|one| row(&one.approval)).collect();
    if rows.is_empty() {
        given.say.line("nothing waits for a decision");
    } else {
        let head = [whole("approval"), whole("state"), wrapped("needs"), whole("left"), cut("what")];
        given.say.table(&head, rows);
        if waiting > 0 {
            given.say.line(given.say.paint(2, "look at one with `callgate approvals show ID`"));
        }
    }
    Ok(Verdict::Yes)
}

async fn show(id: ApprovalId, given: &Given, place: &Place) -> Outcome {
    let store = place.store_to_read(given.say).await?;
    let Some(kept) = store.approval(&place.scope(), id).await? else {
        return Err(anyhow!("there is no approval `{id}`").into());
    };
    let waits = Some(&kept.approval).filter(|one| one.state == State::Proposed);
    let void = void::of(waits, &store, place, given.say).await.get(&id).copied();
    given.say.json(&void::value(&kept.approval, void)?);
    for line in shown::whole(given.say, &kept.approval, void, SystemClock.now()) {
        given.say.line(line);
    }
    let against = store.gateways_against(&place.scope(), &kept.approval).await?;
    for line in shown::elsewhere(given.say, &against) {
        given.say.line(line);
    }
    Ok(Verdict::Yes)
}

async fn decide(vote: &Vote, word: Word, reason: Option<String>, given: &Given, place: &Place) -> Outcome {
    let store = place.store().await?;
    let by = person(vote.person.as_ref(), &store, given, place).await?;
    if word == Word::Yes
        && let Some(why) = counts_nothing(vote.id, &store, given, place).await?
    {
        return Ok(not_counted(vote.id, &why, given));
    }
    let book = Book::open(place).await?;
    let account = Some(given.surroundings.user.clone());
    let asked = Request::Decide { approval: vote.id, by: by.clone(), word, reason, account };
    let answered = match &book {
        Book::Running { .. } => book.ask(asked).await?,
        Book::Own { ledger, scope, .. } => {
            let desk = Desk::new(store.clone(), Arc::clone(ledger), Arc::new(SystemClock));
            crate::control::decided(&desk, scope, asked, &place.meant.console).await
        }
    };
    book.close().await?;
    if let Response::Unfit { why } = &answered {
        return Ok(not_counted(vote.id, why, given));
    }
    if let Response::Failed { why } = &answered {
        return Err(anyhow!(why.clone()).into());
    }
    let Response::Decided { approval } = answered else {
        return Err(anyhow!("the gateway answered something else: {answered:?}").into());
    };
    given.say.json(&approval);
    let now = SystemClock.now();
    let state = shown::state(given.say, &approval, now);
    given.say.line(format!("{}: {state} ({by} said {})", approval.id, shown::word(word)));
    if approval.state == State::Proposed {
        given.say.line(format!("still needed: {}", shown::needs(&approval)));
    }
    Ok(Verdict::Yes)
}

fn not_counted(id: ApprovalId, why: &str, given: &Given) -> Verdict {
    given.say.json(&json!({ "approval": id, "refused": why }));
    given.say.line(format!("{}: {why}", given.say.paint(31, "not counted")));
    Verdict::No
}

/// Why a yes would count for nothing by what is in force.
async fn counts_nothing(
    id: ApprovalId,
    store: &Store,
    given: &Given,
    place: &Place,
) -> Result<Option<String>, Failure> {
    let kept = store.approval(&place.scope(), id).await?;
    let waits = kept.iter().map(|kept| &kept.approval).filter(|one| one.state == State::Proposed);
    let void = void::of(waits, store, place, given.say).await.get(&id).copied();
    Ok(void.map(Part::counts_nothing))
}

/// Who decides: whoever is named, else the user who has the name of the account that runs this.
async fn person(
    named: Option<&UserName>,
    store: &Store,
    given: &Given,
    place: &Place,
) -> Result<UserName, Failure> {
    let users = store.list_users(&place.scope()).await?;
    let known = |name: &UserName| users.iter().any(|user| user.name == *name);
    let account = UserName::new(given.surroundings.user.clone()).ok();
    match (named.cloned(), account) {
        (Some(name), _) if known(&name) => Ok(name),
        (Some(name), _) => {
            Err(anyhow!("there is no user `{name}`: add one with `callgate user add {name} --group …`")
                .into())
        }
        (None, Some(name)) if known(&name) => Ok(name),
        (None, _) => Err(Failure::Usage(
            "say who decides with `--as PERSON`; people are added with `callgate user add`".to_owned(),
        )),
    }
}

async fn watch(given: &Given, place: &Place) -> Outcome {
    // what begins later would not be seen
    if let Some(nothing) = place.nothing_kept() {
        return Err(anyhow!(nothing).into());
    }
    let (store, scope) = (place.store().await?, place.scope());
    let page = Page { after: None, limit: PAGE };
    let mut seen: BTreeMap<ApprovalId, State> = BTreeMap::new();
    let mut first = true;
    loop {
        let mut kept = store.approvals_past(&scope, page).await?;
        kept.extend(store.all_approvals_in(&scope, State::Proposed).await?);
        let now = SystemClock.now();
        for (approval, changed_at) in kept.into_iter().map(|one| (one.approval, one.changed_at)) {
            let known = seen.insert(approval.id, approval.state);
            // what was over before somebody watched is history
            if known == Some(approval.state) || (first && !approval.state.is_open()) {
                continue;
            }
            if given.say.json {
                let text = serde_json::to_string(&approval).context("an approval as JSON")?;
                given.say.raw(&tamed_json(&text));
            }
            let state = shown::state(given.say, &approval, now);
            let at = when(changed_at);
            given.say.line(format!("{at}  {}  {state}  {}", approval.id, approval.preview.summary));
        }
        first = false;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("cannot listen for signals")?;
                return Ok(Verdict::Yes);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn delegate(
    from: UserName,
    to: UserName,
    group: GroupName,
    lasts: &str,
    given: &Given,
    place: &Place,
) -> Outcome {
    let lasts = crate::settings::duration(lasts)
        .ok_or_else(|| Failure::Usage(format!("`{lasts}` is not a time such as `3d` or `12h`")))?;
    let (store, scope) = (place.store().await?, place.scope());
    let users = store.list_users(&scope).await?;
    let lender = users.iter().find(|user| user.name == from);
    if !lender.is_some_and(|user| user.groups.contains(&group)) {
        return Err(anyhow!("`{from}` is not in `{group}`, so there is nothing to lend").into());
    }
    if !users.iter().any(|user| user.name == to) {
        return Err(anyhow!("there is no user `{to}`: add one with `callgate user add {to}`").into());
    }
    let now = SystemClock.now();
    let until = Timestamp(now.0.saturating_add(u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX)));
    let book = Book::open(place).await?;
    let made_by = given.surroundings.user.clone();
    let one = Delegation { lender: from, borrower: to, group, made_at: now, made_by, until };
    store.lend(&scope, &one).await?;
    let (lender, borrower) = (one.lender.to_string(), one.borrower.to_string());
    book.tell(&store).await?;
    book.close().await?;
    given
        .say
        .json(&json!({ "from": one.lender, "to": one.borrower, "group": one.group, "until": one.until }));
    given.say.line(format!("{borrower} may decide for `{}` of {lender} until {}", one.group, when(until)));
    Ok(Verdict::Yes)
}

async fn delegations(given: &Given, place: &Place) -> Outcome {
    let store = place.store_to_read(given.say).await?;
    let all = store.delegations(&place.scope()).await?;
    let value = |one: &Delegation| json!({ "from": one.lender, "to": one.borrower, "group": one.group, "until": one.until, "by": one.made_by });
    given.say.json(&all.iter().map(value).collect::<Vec<_>>());
    let row = |one: &Delegation| {
        vec![one.borrower.to_string(), one.group.to_string(), one.lender.to_string(), when(one.until)]
    };
    let head = [wrapped("who may decide"), wrapped("for"), wrapped("of"), whole("until")];
    given.say.table(&head, all.iter().map(row).collect());
    Ok(Verdict::Yes)
}

async fn undelegate(from: UserName, to: UserName, given: &Given, place: &Place) -> Outcome {
    let (store, scope) = (place.store().await?, place.scope());
    let book = Book::open(place).await?;
    let ended = store.take_back(&scope, &from, &to, &given.surroundings.user).await?;
    book.tell(&store).await?;
    book.close().await?;
    given.say.json(&json!({ "ended": ended }));
    given.say.line(match ended {
        0 => format!("{from} lends {to} nothing"),
        _ => format!("{to} decides for {from} no more"),
    });
    Ok(if ended > 0 { Verdict::Yes } else { Verdict::No })
}
