//! What tools that are taken for reads were seen to do. A server has no more of it than pinned tools times four.

use crate::db::{Outcome, Row, args, statements};
use crate::words::words;
use crate::{Scope, Store, StoreError};
use catalog::observed::{Did, How, Observation};
use decision::{CallId, ServerName};
use std::collections::BTreeMap;

statements! {
    PINNED = "SELECT state FROM pins WHERE tenant = $1 AND environment = $2 AND server = $3 AND kind = 'tool' AND name = $4";
    KEEP = "INSERT INTO observations (tenant, environment, server, name, did, how, call, at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, environment, server, name, did) DO NOTHING";
    ALL = "SELECT server, name, did, how, call, at FROM observations WHERE tenant = $1 AND environment = $2 \
        ORDER BY server, name, did";
}

words! {
    did_word, did_from: Did { Created = "created", Changed = "changed", Deleted = "deleted", Sent = "sent" }
    how_word, how_from: How {
        Counter = "counter", Flag = "flag", Word = "word", Command = "command", HttpStatus = "http-status",
        Mutation = "mutation", Sentence = "sentence", Notice = "notice",
    }
}

/// By server, and by the name of the tool.
pub type Observations = BTreeMap<ServerName, BTreeMap<String, Vec<Observation>>>;

impl Store {
    /// Keeps the first observation of each kind of a tool that is pinned. True if this is the first.
    pub async fn keep_observation(
        &self,
        scope: &Scope,
        server: &ServerName,
        tool: &str,
        observation: &Observation,
    ) -> Result<bool, StoreError> {
        let (tenant, environment) = (scope.tenant.as_str(), scope.environment.as_str());
        let mut tx = self.db().begin().await?;
        if tx.row(PINNED, args![tenant, environment, server.as_str(), tool]).await?.is_none() {
            return Ok(false);
        }
        let Observation { did, how, call, at } = observation;
        let row = args![
            tenant,
            environment,
            server.as_str(),
            tool,
            did_word(*did),
            how_word(*how),
            call.to_string(),
            *at,
        ];
        if tx.execute(KEEP, row).await? == 0 {
            return Ok(false);
        }
        self.commit_noticed(tx, scope).await?;
        Ok(true)
    }

    /// Everything that was observed.
    pub async fn observations(&self, scope: &Scope) -> Result<Observations, StoreError> {
        let key = args![scope.tenant.as_str(), scope.environment.as_str()];
        let mut all = Observations::new();
        for row in &self.db().rows(ALL, key).await? {
            let tools = all.entry(row.parsed("server")?).or_default();
            tools.entry(row.get("name")?).or_default().push(observation(row)?);
        }
        Ok(all)
    }
}

fn observation(row: &Row) -> Outcome<Observation> {
    Ok(Observation {
        did: row.word("did", did_from)?,
        how: row.word("how", how_from)?,
        call: row.word("call", CallId::parse)?,
        at: row.time("at")?,
    })
}
