//! Whom rules name and nobody is: a call may be refused, or wait for a yes, for good.

use crate::{near, place::Place};
use decision::{GroupName, UserName, approval::Cure};
use identity::oauth::{Mapping, Naming};
use policy::{Kind, Policies, Problem, Role};
use std::collections::BTreeSet;
use store::{AgentKind, Store};

/// Who there is: in the store, in the settings, and whom a provider's tokens may speak for.
struct Known<'p> {
    agents: BTreeSet<String>,
    workloads: BTreeSet<String>,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// The people who may decide, and for which groups. No token adds to it.
    deciding: Vec<decision::User>,
    issuers: Vec<&'p Mapping>,
}

/// What is said of the rules, and beside them. Nothing where no state is kept yet: then nobody is known.
pub(super) async fn look(
    place: &Place,
    store: &Store,
    policies: &Policies,
) -> Result<(Vec<Problem>, Vec<String>), store::StoreError> {
    if place.nothing_kept().is_some() {
        return Ok((Vec::new(), Vec::new()));
    }
    let known = Known::of(place, store).await?;
    let mut problems: Vec<Problem> = Vec::new();
    for (kind, name, said) in policies.named() {
        problems.extend(known.unknown(kind, &name).map(|(nobody, help)| said.warning(nobody, help)));
    }
    let (approvals, budgets) = (&place.meant.settings.approvals.escalations, &place.meant.settings.budgets);
    let unmet = |cure: &Cure| known.unmet(cure, |group| approvals.get(group).map(|(_, to)| to));
    let cures = policies.cures();
    for (cure, said) in &cures {
        problems.extend(unmet(cure).into_iter().map(|(few, help)| said.warning(few, help)));
    }
    let mut notes = Vec::new();
    for budget in budgets {
        let few = budget.cure.iter().flat_map(unmet);
        notes.extend(few.map(|(few, help)| format!("the budget `{}`: {few}: {help}", budget.name)));
    }
    let asked: Vec<&Cure> = cures
        .iter()
        .map(|(cure, _)| *cure)
        .chain(budgets.iter().filter_map(|one| one.cure.as_ref()))
        .collect();
    let groups: BTreeSet<&GroupName> =
        asked.iter().flat_map(|cure| &cure.needs).map(|need| &need.group).collect();
    for (group, (_, to)) in approvals {
        if !groups.contains(group) {
            let names = groups.iter().map(ToString::to_string).collect();
            let nothing =
                format!("`[approvals.escalate.{group}]` does nothing, as nothing asks `{group}` for a yes");
            notes.push(near::none(&nothing, group.as_str(), &names));
        } else if known.members(to).is_empty() {
            let (nobody, help) = known.nobody_in(to);
            notes.push(format!("`[approvals.escalate.{group}]`: {nobody}: {help}"));
        }
    }
    notes.extend(known.without_role(&place.meant.console));
    if !asked.is_empty() {
        notes.extend(known.apart(&groups));
    }
    Ok((problems, notes))
}

impl<'p> Known<'p> {
    async fn of(place: &'p Place, store: &Store) -> Result<Self, store::StoreError> {
        let (settings, scope) = (&place.meant.settings, place.scope());
        let stored = store.list_agents(&scope).await?.into_iter().filter(|agent| agent.removed_at.is_none());
        let stored = stored.map(|agent| (agent.name, agent.kind, agent.groups));
        let named = settings.agents().into_iter().map(|agent| (agent.name, agent.kind, agent.groups));
        let deciding = store.list_users(&scope).await?;
        let issuers = settings.oauth.iter().flat_map(|oauth| &oauth.issuers);
        let mut known = Self {
            agents: BTreeSet::new(),
            workloads: BTreeSet::new(),
            users: deciding.iter().map(|user| user.name.to_string()).collect(),
            groups: deciding.iter().flat_map(|user| &user.groups).map(ToString::to_string).collect(),
            deciding,
            issuers: issuers.map(|issuer| &issuer.mapping).collect(),
        };
        for (name, kind, groups) in stored.chain(named) {
            let of_kind = match kind {
                AgentKind::Agent => &mut known.agents,
                AgentKind::Workload => &mut known.workloads,
            };
            of_kind.insert(name.to_string());
            known.groups.extend(groups.iter().map(ToString::to_string));
        }
        Ok(known)
    }

    fn names(&self, kind: Kind) -> &BTreeSet<String> {
        match kind {
            Kind::Agent => &self.agents,
            Kind::Workload => &self.workloads,
            Kind::User => &self.users,
            Kind::Group => &self.groups,
        }
    }

    /// What a provider's token may do with the name, at most.
    fn by_token(&self, kind: Kind, name: &str) -> Naming {
        let one = |issuer: &&Mapping| match kind {
            Kind::Agent | Kind::Workload => issuer.names_agent(name),
            Kind::User => issuer.names_user(name),
            Kind::Group => issuer.names_group(name),
        };
        self.issuers.iter().map(one).max().unwrap_or(Naming::Never)
    }

    /// That nobody has the name, and what helps. Where a provider may have it, only what looks like a slip is told.
    fn unknown(&self, kind: Kind, name: &str) -> Option<(String, String)> {
        let known = self.names(kind);
        let by_token = self.by_token(kind, name);
        if known.contains(name) || by_token == Naming::Listed {
            return None;
        }
        let shown = crate::say::one_line(name);
        let what = match kind {
            Kind::Agent => "agent",
            Kind::Workload => "workload",
            Kind::User => "user",
            Kind::Group => "group",
        };
        // names of all kinds are made of the same letters
        let is_name = UserName::new(name).is_ok();
        let meant = policy::nearest(name, known.iter().map(String::as_str)).map(crate::say::one_line);
        if by_token == Naming::Perhaps {
            let meant = meant?;
            let nobody =
                format!("no {what} `{shown}` is known here, and only an identity provider could name it");
            return Some((nobody, format!("did you mean `{meant}`?")));
        }
        let nobody = match kind {
            Kind::Group => format!("nobody is in the group `{shown}`"),
            Kind::Agent | Kind::Workload | Kind::User => format!("there is no {what} `{shown}`"),
        };
        let help = match (kind, meant) {
            (Kind::Agent, _) if self.workloads.contains(name) => {
                format!("it is a workload: write `Workload::\"{shown}\"`")
            }
            (Kind::Workload, _) if self.agents.contains(name) => {
                format!("it is an agent: write `Agent::\"{shown}\"`")
            }
            (_, Some(meant)) => format!("did you mean `{meant}`?"),
            (_, None) if !is_name => "no name is like that".to_owned(),
            (Kind::Agent, None) => format!("`callgate agent add {shown}` adds it"),
            (Kind::Workload, None) => {
                format!(
                    "name it under `[[workloads]]`, or add it with `callgate agent add {shown} --workload`"
                )
            }
            (Kind::User, None) => format!("`callgate user add {shown}` adds them"),
            (Kind::Group, None) => format!(
                "put somebody into it: `callgate user set NAME --group {shown}`, `callgate agent add NAME --group {shown}`"
            ),
        };
        Some((nobody, help))
    }

    fn members(&self, group: &GroupName) -> BTreeSet<&UserName> {
        self.deciding.iter().filter(|user| user.groups.contains(group)).map(|user| &user.name).collect()
    }

    /// Groups of which fewer people may decide than have to.
    fn unmet<'g>(
        &self,
        cure: &Cure,
        escalation: impl Fn(&GroupName) -> Option<&'g GroupName>,
    ) -> Vec<(String, String)> {
        let mut unmet = Vec::new();
        for need in &cure.needs {
            let mut people = self.members(&need.group);
            people.extend(escalation(&need.group).into_iter().flat_map(|to| self.members(to)));
            match people.len() {
                0 => unmet.push(self.nobody_in(&need.group)),
                few if few < usize::from(need.count) => unmet.push((
                    format!("only {few} of `{}` may decide, and {} have to", need.group, need.count),
                    format!("put more people into it: `callgate user set NAME --group {}`", need.group),
                )),
                _ => {}
            }
        }
        unmet
    }

    /// Groups of the console in which nobody is.
    fn without_role(&self, console: &console::Settings) -> Vec<String> {
        let roles = console.roles.iter().filter(|_| console.enabled);
        let groups = roles.flat_map(|(role, groups)| groups.iter().map(move |group| (role, group)));
        let empty = groups.filter(|(_, group)| self.members(group).is_empty());
        let told = |(role, group): (&Role, &GroupName)| {
            let help = self.instead_of(group);
            format!("`[console]`, `{}s`: nobody is in the group `{group}`: {help}", role.as_str())
        };
        empty.map(told).collect()
    }

    /// That a call would wait for nobody, and what helps.
    fn nobody_in(&self, group: &GroupName) -> (String, String) {
        let nobody = format!("nobody is in the group `{group}`, so a call would wait for nobody");
        (nobody, self.instead_of(group))
    }

    /// What helps where nobody who could decide is in a group.
    fn instead_of(&self, group: &GroupName) -> String {
        let groups = self.deciding.iter().flat_map(|user| &user.groups).map(GroupName::as_str);
        match policy::nearest(group.as_str(), groups) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "put people into it: `callgate user set NAME --group {group}`; groups in a provider's tokens do not count for deciding"
            ),
        }
    }

    /// Those who may decide under another name than they ask under.
    fn apart(&self, groups: &BTreeSet<&GroupName>) -> Option<String> {
        let prefix = self.issuers.iter().find(|one| !one.prefix.is_empty() && one.users.is_empty())?;
        let decides = |user: &&decision::User| user.groups.iter().any(|group| groups.contains(group));
        let strange = |user: &&decision::User| self.by_token(Kind::User, user.name.as_str()) == Naming::Never;
        let people: Vec<String> =
            self.deciding.iter().filter(decides).filter(strange).map(|user| user.name.to_string()).collect();
        let first = people.first()?;
        let prefix = &prefix.prefix;
        Some(format!(
            "{} may decide, and no provider's token names them so: whoever signs in as `{prefix}{first}` is somebody else to the \
             gateway, and the same person could say yes to what they asked. Add people by the name they sign in with: `callgate \
             user add {prefix}{first}`",
            super::architecture::named(&people)
        ))
    }
}
