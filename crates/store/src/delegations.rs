//! Who may decide for a group of somebody else's, for a while.

use crate::db::{Outcome, Row, args, statements};
use crate::{Scope, Store, StoreError, untold};
use decision::approval::{Lender, Voter};
use decision::{EventName, GroupName, Timestamp, User, UserName};
use std::collections::BTreeMap;

statements! {
    LEND = "INSERT INTO delegations (tenant, environment, lender, borrower, group_name, made_at, made_by, until) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
        ON CONFLICT (tenant, environment, borrower, lender, group_name) DO UPDATE SET \
        made_at = excluded.made_at, made_by = excluded.made_by, until = excluded.until";
    TAKE_BACK = "DELETE FROM delegations WHERE tenant = $1 AND environment = $2 AND lender = $3 AND borrower = $4";
    LENT = "SELECT lender, borrower, group_name, made_at, made_by, until FROM delegations \
        WHERE tenant = $1 AND environment = $2 AND until > $3 ORDER BY borrower, lender, group_name";
}

/// A group that one person lends another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    pub lender: UserName,
    pub borrower: UserName,
    pub group: GroupName,
    pub made_at: Timestamp,
    pub made_by: String,
    pub until: Timestamp,
}

impl Store {
    /// Lends, or lends until another time.
    ///
    /// Errors: [`StoreError::Unacceptable`] when it would be over already or goes to oneself.
    pub async fn lend(&self, scope: &Scope, one: &Delegation) -> Result<(), StoreError> {
        if one.until <= self.now() {
            return Err(StoreError::Unacceptable { what: "delegation", rule: "it must end in the future" });
        }
        if one.lender == one.borrower {
            return Err(StoreError::Unacceptable { what: "delegation", rule: "it goes to somebody else" });
        }
        let row = args![
            scope.tenant.as_str(),
            scope.environment.as_str(),
            one.lender.as_str(),
            one.borrower.as_str(),
            one.group.as_str(),
            self.now(),
            one.made_by.as_str(),
            one.until,
        ];
        let mut tx = self.db().begin().await?;
        tx.execute(LEND, row).await?;
        let until = one.until.0.to_string();
        let about = [
            ("from", one.lender.as_str()),
            ("to", one.borrower.as_str()),
            ("group", one.group.as_str()),
            ("until", until.as_str()),
        ];
        let event = untold::by(&one.made_by, EventName::DelegationMade, &about);
        self.note_untold(&mut tx, scope, None, self.now(), vec![event]).await?;
        tx.commit().await
    }

    /// Ends whatever the one lent the other; returns how much that was.
    pub async fn take_back(
        &self,
        scope: &Scope,
        lender: &UserName,
        borrower: &UserName,
        by: &str,
    ) -> Result<u64, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        let gone =
            tx.execute(TAKE_BACK, args![tenant, environment, lender.as_str(), borrower.as_str()]).await?;
        if gone > 0 {
            let about = [("from", lender.as_str()), ("to", borrower.as_str())];
            let event = untold::by(by, EventName::DelegationEnded, &about);
            self.note_untold(&mut tx, scope, None, self.now(), vec![event]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// All that are in force.
    pub async fn delegations(&self, scope: &Scope) -> Result<Vec<Delegation>, StoreError> {
        let users = self.list_users(scope).await?;
        self.lent(scope, &users, &self.users_added(scope).await?).await
    }

    async fn lent(
        &self,
        scope: &Scope,
        users: &[User],
        added: &BTreeMap<UserName, Timestamp>,
    ) -> Result<Vec<Delegation>, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str(), self.now()];
        let rows = self.db().rows(LENT, key).await?;
        let all = rows.iter().map(delegation).collect::<Outcome<Vec<_>>>()?;
        // whoever has a name by now that was removed neither lent nor borrowed it
        let knew =
            |one: &Delegation, name: &UserName| added.get(name).is_some_and(|since| *since <= one.made_at);
        // what the lender does not have any more is lent no more
        let has = |one: &Delegation, user: &User| user.name == one.lender && user.groups.contains(&one.group);
        let counts = |one: &Delegation| {
            knew(one, &one.lender) && knew(one, &one.borrower) && users.iter().any(|user| has(one, user))
        };
        Ok(all.into_iter().filter(counts).collect())
    }

    /// Everybody, with their groups and what others lent them.
    pub async fn voters(&self, scope: &Scope) -> Result<Vec<Voter>, StoreError> {
        let mut added = self.users_added(scope).await?;
        let users = self.list_users(scope).await?;
        // who was added in between comes with the next look
        let users: Vec<_> = users.into_iter().filter(|user| added.contains_key(&user.name)).collect();
        let mut lent: BTreeMap<UserName, BTreeMap<GroupName, Vec<Lender>>> = BTreeMap::new();
        for one in self.lent(scope, &users, &added).await? {
            if let Some(user) = users.iter().find(|user| user.name == one.lender) {
                let lender = Lender { person: user.name.clone(), groups: user.groups.clone() };
                lent.entry(one.borrower).or_default().entry(one.group).or_default().push(lender);
            }
        }
        let voter = |user: User| {
            let lent = lent.remove(&user.name).unwrap_or_default();
            let since = added.remove(&user.name)?;
            Some(Voter { person: user.name, since, groups: user.groups, lent })
        };
        Ok(users.into_iter().filter_map(voter).collect())
    }
}

fn delegation(row: &Row) -> Outcome<Delegation> {
    Ok(Delegation {
        lender: row.parsed("lender")?,
        borrower: row.parsed("borrower")?,
        group: row.parsed("group_name")?,
        made_at: row.time("made_at")?,
        made_by: row.get("made_by")?,
        until: row.time("until")?,
    })
}
