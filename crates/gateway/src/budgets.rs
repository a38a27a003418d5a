//! Is there room for it: what the operator's budgets have left is looked at with the rules, and taken at commit.
//!
//! A call that no budget covers never asks the database.

use crate::arguments::Arguments;
use crate::gate::{Gate, Live};
use crate::resolve::Resolved;
use decision::budget::{Over, Use};
use decision::{Call, Code, DeedId, Direction, Refusal};
use parking_lot::Mutex;
use policy::Held;
use policy::budget::{Asked, Budget, Counts, utc};
use store::{StoreError, Taken};
use tokio::sync::Semaphore;

/// So many calls take of budgets at once; others wait for their turn here, and not for a connection.
const TURNS: usize = 4;
/// So many deeds that are over are settled along with what a call takes.
const SETTLED_AT_ONCE: usize = 64;

/// What the gateway remembers of budgets.
#[derive(Debug)]
pub(crate) struct Budgets {
    pub(crate) turns: Semaphore,
    /// Deeds that are over and keep what they took; that is written with the next call that takes something.
    over: Mutex<Vec<DeedId>>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { turns: Semaphore::new(TURNS), over: Mutex::default() }
    }
}

impl Budgets {
    pub(crate) fn settle(&self, deed: DeedId) {
        self.over.lock().push(deed);
    }
    /// Some deeds to be settled. Whoever cannot brings them back.
    pub(crate) fn some_over(&self) -> Vec<DeedId> {
        let mut over = self.over.lock();
        let from = over.len().saturating_sub(SETTLED_AT_ONCE);
        over.split_off(from)
    }
    pub(crate) fn bring_back(&self, deeds: Vec<DeedId>) {
        self.over.lock().extend(deeds);
    }
}

/// What a call takes, and what stands against it.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) takes: Vec<Taken>,
    /// An earlier leg of the deed has taken some of it.
    pub(crate) earlier: bool,
    pub(crate) held: Option<Held>,
    pub(crate) refused: Option<Refusal>,
}

/// What the call would take, and whether there is room. Errors: it cannot be known, so it does not pass.
pub(crate) async fn look(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
) -> Result<Room, Refusal> {
    let mut room = Room::default();
    let mut wanted = wanted(gate, live, call, resolved, arguments)?;
    if wanted.is_empty() {
        return Ok(room);
    }
    let scope = live.settings.scope();
    if call.leg() > 0 {
        let uses: Vec<Use> = wanted.iter().map(|(_, one)| one.clone()).collect();
        let mut taken = gate.store.taken(&scope, call.deed(), &uses).await.map_err(unkept)?.into_iter();
        wanted.retain(|_| !taken.next().unwrap_or_default());
        room.earlier = wanted.len() < uses.len();
    }
    for (budget, one) in wanted {
        let counted = gate.store.counted(&scope, &one).await.map_err(unkept)?;
        let over = one.over(&counted);
        match (over, &budget.cure) {
            (None, _) => {}
            (Some(over), Some(cure)) => {
                let held = room.held.take();
                let (rules, because) =
                    held.as_ref().map(|held| (held.rules.clone(), held.because.clone())).unwrap_or_default();
                room.held = Some(Held {
                    cure: held.map_or_else(|| cure.clone(), |held| held.cure.and(cure.clone())),
                    rules: rules.into_iter().chain(budget.rule()).collect(),
                    because: because.into_iter().chain([said(budget, &one, over)]).collect(),
                });
            }
            (Some(over), None) => {
                room.refused.get_or_insert_with(|| exceeded(budget, &one, over));
            }
        }
        room.takes.push(Taken { lifted: over.is_some() && budget.cure.is_some(), one });
    }
    Ok(room)
}

/// What the call takes of each budget in force.
fn wanted<'a>(
    gate: &Gate,
    live: &'a Live,
    call: &Call,
    resolved: &Resolved,
    arguments: &Arguments,
) -> Result<Vec<(&'a Budget, Use)>, Refusal> {
    let (Some(item), Direction::ToServer) = (&resolved.item, call.direction()) else {
        return Ok(Vec::new());
    };
    let mut wanted = Vec::new();
    let now = gate.clock.now();
    for budget in &live.settings.budgets {
        let asked = Asked { call, classified: &item.classified, arguments: &arguments.raw, now };
        let uses = budget.uses(asked).map_err(|no| {
            let told = no.to_string();
            let basis = budget.rule().map(|rule| rule.to_string()).into_iter().collect();
            Refusal::new(Code::BudgetUncounted, told.clone()).told(told).basis(basis)
        })?;
        wanted.extend(uses.into_iter().map(|one| (budget, one)));
    }
    Ok(wanted)
}

/// These had room when they were looked at, and have none now.
pub(crate) fn raced(live: &Live, over: &[(Use, Over)]) -> Refusal {
    let refusal = over.iter().find_map(|(one, over)| {
        let budget = live.settings.budgets.iter().find(|budget| budget.name == one.budget)?;
        Some(exceeded(budget, one, *over))
    });
    refusal.unwrap_or_else(|| Refusal::new(Code::BudgetExceeded, "others took the room that was left"))
}

fn exceeded(budget: &Budget, one: &Use, over: Over) -> Refusal {
    let told = said(budget, one, over);
    let basis = budget.rule().map(|rule| rule.to_string()).into_iter().collect();
    let refusal =
        Refusal::new(Code::BudgetExceeded, format!("{told} ({})", one.whose)).told(told).basis(basis);
    match (over.again, &budget.cure) {
        (_, Some(cure)) => refusal.remedy(
            format!("call again: {cure} is asked then"),
            cure.groups().map(ToString::to_string).collect(),
        ),
        (Some(at), None) => refusal.remedy(format!("there is room again at {}", utc(at)), Vec::new()),
        (None, None) => refusal.remedy("it will not fit later either", Vec::new()),
    }
}

/// What the asker may know: the bound, what is used of it, and what this call would take. Not what others did.
fn said(budget: &Budget, one: &Use, over: Over) -> String {
    let name = &budget.name;
    let (used, at_most) = (budget.shown(over.used), budget.shown(budget.at_most));
    match (&budget.counts, budget.path()) {
        (Counts::FirstSeen(path), _) => {
            format!("the budget `{name}`: a value of `{path}` was not seen in the last {}", budget.window)
        }
        (Counts::Sum(path), _) => format!(
            "the budget `{name}` has no room: {used} of {at_most} is used, and `{path}` is {}",
            budget.shown(one.amount)
        ),
        (Counts::Distinct(path), _) => {
            format!(
                "the budget `{name}` has no room: `{path}` had {used} of at most {at_most} different values"
            )
        }
        (Counts::Calls, _) => {
            format!("the budget `{name}` has no room: {used} of at most {at_most} calls were made")
        }
    }
}

/// What cannot be counted must not pass.
pub(crate) fn unkept(error: StoreError) -> Refusal {
    tracing::error!(%error, "budgets cannot be kept; calls that one covers are refused");
    Refusal::new(Code::BudgetUnavailable, error.to_string())
}

/// Settles what is over, and takes out what no window needs any more. For once a minute or so.
pub async fn tidy(gate: &Gate) -> Result<u64, StoreError> {
    let scope = gate.live().settings.scope();
    loop {
        let over = gate.budgets.some_over();
        if over.is_empty() {
            return gate.store.forget_uses().await;
        }
        if let Err(error) = gate.store.settle_deeds(&scope, &over).await {
            gate.budgets.bring_back(over);
            return Err(error);
        }
    }
}
